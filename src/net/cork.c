/* The cork: where a dispatch gathers what is small.
 *
 * A queue with one block stands ready, of no stream.  A callback fills the
 * block, and refers to larger parts of the memory that it was lent; when it
 * returns, all of that goes out in one call and the block is used again.
 * Only what the system does not take, or what has to stand in order with
 * something else, gets a queue of the stream's own. */
#include "net/stream.h"

#include "base/hint.h"

enum { REFERRED_MAX = 256 << 10 /* bytes: less than any high-water mark */ };

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
    io->cork_base = q->spare->bytes;
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
    if (io->cork_base == NULL)
        sonic__cork_prepare(io);
    if (io->cork_base == NULL)
        return;
    io->cork.at = io->cork_base;
    io->cork.stream = s;
}

size_t
sonic__cork_bytes(const sonic_io *io)
{
    size_t n = (size_t)(io->cork.at - io->cork_base);

    return io->parts.n > 0 ? n + (REFERRED_MAX - io->cork.ref_room) : n;
}

/* The last reference ends where the cork says; the cork's bytes behind it
 * become a part. */
static void
close_parts(sonic_io *io)
{
    struct sonic__cork_parts *p = &io->parts;
    sonic_cork *c = &io->cork;

    if (p->n > 0) {
        struct iovec *last = &p->v[p->n - 1];

        last->iov_len = (size_t)(c->ref_end - (uint8_t *)last->iov_base);
    }
    if (c->ref_at == c->at)
        return;
    p->v[p->n++] = (struct iovec){(void *)(uintptr_t)c->ref_at,
                                  (size_t)(c->at - c->ref_at)};
    c->ref_at = c->at;
}

static void
forget_parts(sonic_io *io)
{
    io->parts.n = 0;
    io->cork.ref_room = 0;
}

/* May s refer to it? */
static bool
is_lent(const sonic_stream *s, const void *buf)
{
    return sonic__corked(s) && s->u.mirror != NULL &&
           !(s->object.bits & SONIC__READ_IN_BLOCK) &&
           sonic__mirror_holds(s->u.mirror, buf);
}

bool
sonic_stream_refer(sonic_stream *s, const void *buf, size_t len)
{
    sonic_io *io = s->object.io;
    struct sonic__cork_parts *p = &io->parts;
    sonic_cork *c = &io->cork;
    size_t room = p->n > 0 ? c->ref_room : REFERRED_MAX;

    if (!is_lent(s, buf) || p->n > SONIC__CORK_PARTS - 3 || len > room)
        return false;
    if (p->n == 0)
        c->ref_at = io->cork_base;
    if (p->n == 0 || c->at != c->ref_at || c->ref_end != buf) {
        close_parts(io);
        p->v[p->n++].iov_base = (void *)(uintptr_t)buf;
    }
    c->ref_end = (const uint8_t *)buf + len;
    c->ref_room = room - len;
    return true;
}

/* The cork's queue becomes the stream's, with the n bytes in its block. */
static void
hand_over(sonic_stream *s, size_t n)
{
    sonic_io *io = s->object.io;
    struct sonic__wq *q = io->cork_wq;

    io->cork_wq = NULL;
    io->cork_base = NULL;
    sonic__write_marks(s, q);
    q->head = q->tail = q->spare;
    q->spare = NULL;
    q->head->len = n;
    q->bytes = n;
    s->wq = q;
}

/* The parts get a queue of the stream's own; the cork keeps its block.  False:
 * there is no memory. */
static bool
queue_parts(sonic_stream *s)
{
    sonic_io *io = s->object.io;
    const struct sonic__cork_parts *p = &io->parts;
    int err = sonic__write_queue(s) == NULL ? -ENOMEM : 0;

    for (unsigned i = 0; i < p->n && err == 0; i++) {
        const struct iovec *v = &p->v[i];

        if (sonic__mirror_holds(s->u.mirror, v->iov_base))
            err = sonic__write_lent(s, NULL, 0, v->iov_base, v->iov_len);
        else
            err = sonic__write_copy(s, NULL, 0, v->iov_base, v->iov_len);
    }
    if (err < 0) { /* a stream with a hole is no stream */
        s->object.error = err;
        sonic__write_give_up(s, err);
        sonic__defer(&s->object); /* who reads is told */
    }
    return err == 0;
}

static bool
queue_all(sonic_stream *s, size_t n)
{
    sonic_io *io = s->object.io;
    bool queued = true;

    if (io->parts.n > 0)
        queued = queue_parts(s);
    else
        hand_over(s, n);
    forget_parts(io);
    return queued;
}

void
sonic__cork_pull(sonic_stream *s)
{
    sonic_io *io = s->object.io;
    size_t n = (size_t)(io->cork.at - io->cork_base);

    io->cork.stream = NULL;
    if (io->parts.n > 0)
        close_parts(io);
    if (n > 0 || io->parts.n > 0)
        (void)queue_all(s, n);
}

void
sonic__cork_keep(sonic_stream *s, size_t n, ssize_t taken)
{
    if (!queue_all(s, n))
        return;
    taken = sonic__write_judge(s, taken);
    if (taken > 0)
        sonic__write_advance(s, (size_t)taken);
}

void
sonic__cork_send_parts(sonic_stream *s)
{
    sonic_io *io = s->object.io;
    const struct iovec *v = io->parts.v;
    size_t n = sonic__cork_bytes(io);

    close_parts(io);
    sonic__cork_sent(
        s, io, n,
        io->parts.n == 1
            ? sonic__stream_write(s, v->iov_base, v->iov_len)
            : sonic__stream_class(s)->writev(s, v, (int)io->parts.n));
    forget_parts(io);
}

void
sonic__cork_send(sonic_stream *s)
{
    sonic__cork_flush(s, s->object.io, false);
}
