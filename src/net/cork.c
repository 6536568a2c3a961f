/* The cork: where a dispatch gathers what is small.
 *
 * A queue with one block stands ready, of no stream.  A callback fills the
 * block; when it returns, the block goes out in one call and is used again.
 * Only what the system does not take, or what has to stand in order with
 * something else, makes the queue the stream's own. */
#include "net/stream.h"

/* A queue with a block for the next dispatch, when there is none. */
void
sonic__cork_prepare(sonic_io *io)
{
    struct sonic__wq *q = io->spare_wq;

    if (q != NULL) {
        io->spare_wq = q->next.spare;
    } else {
        q = sonic__alloc(io, sizeof *q);
        if (q == NULL)
            return;
        q->done_tail = &q->done;
    }
    if (q->spare == NULL)
        q->spare = sonic__block_new(&io->pool, SONIC__BLOCK_LARGEST);
    if (q->spare == NULL) {
        q->next.spare = io->spare_wq;
        io->spare_wq = q;
        return;
    }
    io->cork_wq = q;
    io->cork.end = q->spare->bytes + SONIC__BLOCK_LARGEST;
}

/* A dispatch of s begins.  Its queue must be empty, and s without settings of
 * its own: its marks are then beyond what the cork holds. */
void
sonic__cork_open(sonic_stream *s)
{
    const struct sonic__object *o = &s->object;
    sonic_io *io = o->io;

    if (io->cork.stream != NULL)
        sonic__cork_pull(io->cork.stream);
    if (s->wq != NULL || s->more != NULL || o->bits2 != SONIC__CONNECTED ||
        o->error != 0 || (o->flags & ~SONIC__REGISTERED) ||
        !(o->ready & SONIC__WRITE))
        return;
    if (io->cork_wq == NULL)
        sonic__cork_prepare(io);
    if (io->cork_wq == NULL)
        return;
    io->cork.at = io->cork_wq->spare->bytes;
    io->cork.stream = s;
}

/* Make the queue the stream's own, with n bytes in its block. */
static void
hand_over(sonic_stream *s, size_t n)
{
    sonic_io *io = s->object.io;
    struct sonic__wq *q = io->cork_wq;

    io->cork_wq = NULL;
    sonic__write_marks(s, q);
    q->head = q->tail = q->spare;
    q->spare = NULL;
    q->head->len = n;
    q->bytes = n;
    s->wq = q;
}

void
sonic__cork_pull(sonic_stream *s)
{
    sonic_io *io = s->object.io;
    size_t n = (size_t)(io->cork.at - io->cork_wq->spare->bytes);

    io->cork.stream = NULL;
    if (n > 0)
        hand_over(s, n);
}

void
sonic__cork_send(sonic_stream *s)
{
    sonic_io *io = s->object.io;
    const uint8_t *base = io->cork_wq->spare->bytes;
    size_t n = (size_t)(io->cork.at - base);
    ssize_t taken;

    io->cork.stream = NULL;
    if (n == 0)
        return;
    taken = sonic__stream_write(s, base, n);
    if (taken == (ssize_t)n) {
        io->stats.writes++;
        io->stats.bytes_out += n;
        return;
    }
    hand_over(s, n);
    taken = sonic__write_judge(s, taken);
    if (taken > 0)
        sonic__write_advance(s, (size_t)taken);
}
