/* Out of the queue and into the system. */
#include "net/stream.h"
#include "net/udp.h"

#include <string.h>

void
sonic__write_drop_block(sonic_stream *s, struct sonic__block *b)
{
    struct sonic__pool *p = &s->object.io->pool;

    if (b->pin != NULL)
        sonic__pool_unpin(p, b->pin);
    b->pin = NULL;
    if (b->shared != NULL)
        sonic_shared_free(b->shared);
    if (s->wq->spare == NULL && b->cap == SONIC__BLOCK_LARGEST) {
        sonic__block_empty(b);
        s->wq->spare = b;
    } else {
        sonic__block_free(p, b);
    }
}

/* A write whose last byte is gone, or which is given up: its callback runs
 * from the loop. */
void
sonic__write_done(sonic_stream *s, struct sonic__block *b, int err, size_t n)
{
    struct sonic__wq *q = s->wq;

    if (b->pin != NULL)
        sonic__pool_unpin(&s->object.io->pool, b->pin);
    b->pin = NULL;
    b->err = err;
    b->total = n;
    b->len = 0;
    if (err == 0 && sonic__stream_class(s)->position != NULL)
        b->len = sonic__stream_class(s)->position(s); /* see run_callbacks */
    b->next = NULL;
    *q->done_tail = b;
    q->done_tail = &b->next;
}

/* What a write said: bytes; 0 after which the queue waits; or the error that
 * ends the write side, noted. */
ssize_t
sonic__write_judge(sonic_stream *s, ssize_t n)
{
    struct sonic__object *o = &s->object;

    o->io->stats.writes++;
    if (n >= 0) {
        o->io->stats.bytes_out += (uint64_t)n;
        return n;
    }
    if (n == -EAGAIN || n == -EWOULDBLOCK) {
        sonic__await(o, SONIC__WRITE);
        return 0;
    }
    if (n == -EINTR || n == -ENOBUFS) {
        sonic__defer(o); /* the kernel is short for a moment: try again */
        return 0;
    }
    o->error = (int)n;
    sonic__write_give_up(s, (int)n);
    return n;
}

/* The front of the queue as one call's parts. */
static int
gather(const struct sonic__wq *q, struct iovec *iov)
{
    int n = 0;

    for (struct sonic__block *b = q->head; b && n < SONIC__IOV_MAX - 1;
         b = b->next) {
        if (b->n_prefix > 0)
            iov[n++] = (struct iovec){b->prefix, b->n_prefix};
        if (b->len > 0)
            iov[n++] = (struct iovec){b->data, b->len};
    }
    return n;
}

static size_t
take_prefix(struct sonic__block *b, size_t n)
{
    size_t k = n < b->n_prefix ? n : b->n_prefix;

    if (k > 0) {
        b->n_prefix = (uint8_t)(b->n_prefix - k);
        memmove(b->prefix, b->prefix + k, b->n_prefix);
    }
    return k;
}

/* The system has taken the first n bytes. */
void
sonic__write_advance(sonic_stream *s, size_t n)
{
    struct sonic__wq *q = s->wq;
    struct sonic__block *b;

    q->bytes -= n;
    while ((b = q->head) != NULL) {
        size_t k = take_prefix(b, n), m = n - k < b->len ? n - k : b->len;

        if (m > 0) /* data may be NULL where there is nothing of it */
            b->data += m;
        b->len -= m;
        n -= k + m;
        if (b->len > 0 || b->n_prefix > 0) {
            q->started |= k + m > 0;
            return;
        }
        q->started = b->err == SONIC__WRITE_PART;
        q->head = b->next;
        if (q->head == NULL) {
            q->tail = NULL;
            q->room = 0;
        }
        if (b->cb != NULL)
            sonic__write_done(s, b, 0, b->total);
        else
            sonic__write_drop_block(s, b);
    }
}

int
sonic_stream_flush(sonic_stream *s)
{
    struct sonic__object *o = &s->object;
    struct iovec iov[SONIC__IOV_MAX];
    ssize_t n = 1;

    sonic__uncork(s);
    if (s->wq == NULL || o->error < 0 || !(o->bits2 & SONIC__CONNECTED))
        return o->error < 0 ? o->error : 0;
    while (n > 0 && s->wq->head != NULL && (o->ready & SONIC__WRITE)) {
        int parts = gather(s->wq, iov);

        n = parts == 0 ? 0 : sonic__stream_class(s)->writev(s, iov, parts);
        if (parts > 0)
            n = sonic__write_judge(s, n);
        if (n > 0 || parts == 0)
            sonic__write_advance(s, (size_t)n);
        if (parts == 0)
            n = 1; /* empty writes: they are done */
    }
    return n < 0 ? (int)n : 0;
}

/* What of the queue lies in the lent buffer m? */
static size_t
pinned_bytes(const struct sonic__wq *q, const struct sonic_mirror *m)
{
    size_t n = 0;

    for (const struct sonic__block *b = q->head; b != NULL; b = b->next)
        if (b->pin == m)
            n += b->len;
    return n;
}

/* Copy what was left of a reference, so that the buffer can be used again. */
struct sonic__block *
sonic__write_unpinned(sonic_stream *s, struct sonic__block *b)
{
    struct sonic__block *c = sonic__block_new(&s->object.io->pool, b->len);

    if (c == NULL)
        return b; /* the buffer stays with the queue */
    memcpy(c->bytes, b->data, b->len);
    c->len = b->len;
    c->n_prefix = b->n_prefix;
    memcpy(c->prefix, b->prefix, sizeof c->prefix);
    c->next = b->next;
    sonic__write_drop_block(s, b);
    return c;
}

/* The dispatch is over and the system was full: references into the lent
 * buffer become copies, unless they fill a quarter of it. */
static void
unpin_rest(sonic_stream *s)
{
    struct sonic__wq *q = s->wq;
    struct sonic_mirror *keep = NULL;

    for (struct sonic__block **p = &q->head; *p != NULL; p = &(*p)->next) {
        struct sonic_mirror *m = (*p)->pin;

        if (m == NULL || m == keep)
            continue;
        if (pinned_bytes(q, m) >= m->size / 4) {
            keep = m;
            continue;
        }
        if (q->tail == *p) {
            q->tail = *p = sonic__write_unpinned(s, *p);
            q->room = 0;
        } else
            *p = sonic__write_unpinned(s, *p);
    }
}

/* ---- the loop's part -------------------------------------------------- */

static void
complete(sonic_stream *s, sonic_stream_fn *cb, int err, size_t n, void *ud)
{
    sonic_io *io = s->object.io;

    sonic__complete_begin(io);
    cb(s, err, n, ud);
    sonic__complete_end(io);
}

static bool
drain_due(const sonic_stream *s)
{
    const struct sonic__wq *q = s->wq;

    return q->drain != NULL &&
           (q->drain_err < 0 || q->bytes <= sonic__low_water(s));
}

/* A write that a layer has passed on is complete when the system has it: a
 * stream that is closed then has lost nothing. */
static bool
is_taken(sonic_stream *s, struct sonic__block *b)
{
    int taken = sonic__stream_class(s)->taken(s, b->len);

    if (taken < 0) {
        b->err = taken;
        b->total = 0;
    }
    return taken != 0;
}

/* One drain a turn: whoever asks for the next at once gets it in the next. */
static void
run_callbacks(sonic_stream *s)
{
    struct sonic__wq *q = s->wq;
    bool drained = false;

    while (q->done != NULL || (!drained && drain_due(s))) {
        struct sonic__block *b = q->done;

        if (b != NULL && b->len > 0 && !is_taken(s, b)) {
            if (drained || !drain_due(s))
                return;
            b = NULL;
        }
        if (!sonic__may_complete(s->object.io)) {
            sonic__defer(&s->object);
            return;
        }
        if (b != NULL) {
            sonic_stream_fn *cb = b->cb;
            void *ud = b->ud;
            int err = b->err;
            size_t n = b->total;

            q->done = b->next;
            if (q->done == NULL)
                q->done_tail = &q->done;
            sonic__block_free(&s->object.io->pool, b);
            complete(s, cb, err, n, ud);
        } else {
            sonic_stream_fn *cb = q->drain;
            int err = q->drain_err;

            drained = true;
            q->drain = NULL;
            q->drain_err = 0;
            complete(s, cb, err, q->bytes, q->drain_ud);
        }
    }
}

/* Send what is queued, then call back. */
void
sonic__write_run(sonic_stream *s)
{
    struct sonic__object *o = &s->object;
    struct sonic__wq *q = s->wq;

    if (o->bits2 & SONIC__WRITE_BUSY)
        return;
    o->bits2 |= SONIC__WRITE_BUSY;
    if (o->bits2 & SONIC__WRITE_LATE)
        sonic__write_late(s);
    if (q->head != NULL && !(o->flags & SONIC__CLOSED)) {
        sonic_stream_flush(s);
        if (q->head != NULL)
            unpin_rest(s);
    }
    if (q->head == NULL &&
        (o->bits2 & (SONIC__WRITE_SHUT | SONIC__WRITE_ENDED)) ==
            SONIC__WRITE_SHUT &&
        o->error == 0 && !(o->flags & SONIC__CLOSED)) {
        o->bits2 |= SONIC__WRITE_ENDED;
        sonic__stream_class(s)->shutdown(s);
    }
    run_callbacks(s);
    o->bits2 &= (uint8_t)~SONIC__WRITE_BUSY;
    sonic__write_release(s);
}

static void
flush_list(sonic_io *io)
{
    sonic_stream *s = io->dirty;

    io->dirty = NULL;
    io->dirty_tail = &io->dirty;
    while (s != NULL) {
        sonic_stream *next = s->wq->next.dirty;

        s->object.bits2 &= (uint8_t)~SONIC__WRITE_LISTED;
        sonic__write_run(s);
        s = next;
    }
    if (io->dirty_udp != NULL)
        sonic__udp_flush_dirty(io);
}

/* Twice: what a layer had goes into the stream below. */
void
sonic__flush_dirty(sonic_io *io)
{
    flush_list(io);
    if (io->dirty != NULL)
        flush_list(io);
}

static void
say_queued(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_stream_fn *)cb)(object, err, sonic_stream_queued(object), ud);
}

void
sonic_stream_async_drain(sonic_stream *s, sonic_stream_fn *cb, void *ud)
{
    int err = 0;

    if (s->object.flags & SONIC__CLOSED)
        err = SONIC_ECLOSED;
    else if (!(s->object.bits2 & SONIC__CONNECTED))
        err = -ENOTCONN;
    else if (s->object.error < 0)
        err = s->object.error;
    else if (s->wq != NULL && s->wq->drain != NULL)
        err = -EBUSY;
    else if (sonic__write_queue(s) == NULL)
        err = -ENOMEM;
    if (err < 0) {
        sonic__refuse(&s->object, say_queued, err, (void (*)(void))cb, ud);
        return;
    }
    sonic__op_begin(s->object.io);
    s->wq->drain = cb;
    s->wq->drain_ud = ud;
    s->wq->drain_err = 0;
    if (drain_due(s))
        sonic__defer(&s->object);
}

size_t
sonic_stream_queued(const sonic_stream *s)
{
    const sonic_cork *c = &s->object.io->cork;
    const sonic_stream *below;
    size_t n = s->wq != NULL ? s->wq->bytes : 0;

    if (c->stream == s)
        n += sonic__cork_bytes(s->object.io);
    below = s->object.fd < 0 ? sonic_stream_next_layer(s) : NULL;
    return below != NULL ? n + sonic_stream_queued(below) : n;
}

/* A stream can go in the very turn in which it queued something. */
static void
unlist(sonic_stream *s)
{
    sonic_stream **p = &s->object.io->dirty;

    while (*p != s)
        p = &(*p)->wq->next.dirty;
    *p = s->wq->next.dirty;
    if (*p == NULL)
        s->object.io->dirty_tail = p;
    s->object.bits2 &= (uint8_t)~SONIC__WRITE_LISTED;
}

/* The memory of a queue, nothing called back: that has happened. */
void
sonic__write_free(sonic_stream *s)
{
    struct sonic__wq *q = s->wq;
    struct sonic__block *b;

    if (q == NULL)
        return;
    if (s->object.bits2 & SONIC__WRITE_LISTED)
        unlist(s);
    while ((b = q->head) != NULL) {
        q->head = b->next;
        sonic__write_drop_block(s, b);
    }
    assert(q->done == NULL && q->drain == NULL);
    if (q->spare != NULL)
        sonic__block_free(&s->object.io->pool, q->spare);
    sonic__free(s->object.io, q, sizeof *q);
    s->wq = NULL;
}

void
sonic__net_free(sonic_io *io)
{
    if (io->cork_wq != NULL) {
        io->cork_wq->next.spare = io->spare_wq;
        io->spare_wq = io->cork_wq;
    }
    sonic__udp_rings_free(io);
    sonic__shared_end(io);
    while (io->spare_wq != NULL) {
        struct sonic__wq *q = io->spare_wq;

        io->spare_wq = q->next.spare;
        if (q->spare != NULL)
            sonic__block_free(&io->pool, q->spare);
        sonic__free(io, q, sizeof *q);
    }
}
