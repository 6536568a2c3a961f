/* The write side of a stream: one queue of blocks.
 *
 * Small data is gathered in the room of the last block.  Large data that lies
 * in the buffer lent to the running callback is referred to; so is the memory
 * of an async_write, and what is shared.  When the dispatch ends, all of it
 * goes out in one call. What the system did not take stays queued, and is
 * copied out of the lent buffer unless it fills a good part of it.
 */
#include "net/stream.h"

#include <string.h>

#include "base/marks.h"

enum {
    REFER_MIN = 4096,       /* bytes worth a reference instead of a copy ... */
    CORK_REFER_MIN = 512,   /* ... and in the cork, where it costs less */
    SHARE_MIN = 256,        /* ... and where it makes a holder only */
    THROUGH_MIN = 64 * 1024 /* bytes that a send offers to the system itself */
};

size_t
sonic__low_water(const sonic_stream *s)
{
    return s->more != NULL && s->more->limit != 0 ? s->more->low
                                                  : SONIC__LOW_WATER;
}

static size_t
high_water(const sonic_stream *s)
{
    return s->more != NULL && s->more->limit != 0 ? s->more->high
                                                  : SONIC__HIGH_WATER;
}

static size_t
queue_limit(const sonic_stream *s)
{
    return s->more != NULL && s->more->limit != 0 ? s->more->limit
                                                  : SONIC__QUEUE_LIMIT;
}

int
sonic_stream_set_marks(sonic_stream *s, size_t low, size_t high, size_t limit)
{
    const struct sonic__marks was = {sonic__low_water(s), high_water(s),
                                     queue_limit(s)};
    struct sonic__marks marks = {low, high, limit};
    struct sonic__stream_more *m;
    int err = sonic__marks_fill_in(&marks, &was);

    if (err < 0)
        return err;
    m = sonic__stream_more(s);
    if (m == NULL)
        return -ENOMEM;
    sonic__uncork(s);
    m->low = marks.low;
    m->high = marks.high;
    m->limit = marks.limit;
    if (s->wq != NULL) {
        s->wq->high = marks.high;
        s->wq->limit = marks.limit;
    }
    return 0;
}

/* ---- the queue -------------------------------------------------------- */

void
sonic__write_marks(const sonic_stream *s, struct sonic__wq *q)
{
    q->high = high_water(s);
    q->limit = queue_limit(s);
}

struct sonic__wq *
sonic__write_queue(sonic_stream *s)
{
    sonic_io *io = s->object.io;
    struct sonic__wq *q;

    sonic__uncork(s);
    q = s->wq;
    if (q != NULL)
        return q;
    q = io->spare_wq; /* empty, and so as it should be */
    if (q != NULL) {
        io->spare_wq = q->next.spare;
    } else {
        q = sonic__alloc(io, sizeof *q);
        if (q == NULL)
            return NULL;
        q->done_tail = &q->done;
    }
    sonic__write_marks(s, q);
    s->wq = q;
    return q;
}

/* To be flushed: when the dispatch ends, or, where that is a callback below a
 * write callback of the same stream, when the cycle does. */
static void
mark_dirty(sonic_stream *s)
{
    sonic_io *io = s->object.io;
    unsigned busy = s->object.bits2 & (SONIC__WRITE_LISTED | SONIC__WRITE_BUSY);

    if ((busy & SONIC__WRITE_LISTED) || (io->dispatching == s && busy == 0))
        return;
    s->object.bits2 |= SONIC__WRITE_LISTED;
    s->wq->next.dirty = NULL;
    *io->dirty_tail = s;
    io->dirty_tail = &s->wq->next.dirty;
    io->besides = true;
}

static void
append_block(struct sonic__wq *q, struct sonic__block *b)
{
    if (q->tail != NULL)
        q->tail->next = b;
    else
        q->head = b;
    q->tail = b;
    q->room = 0;
}

/* Why nothing may be queued now, or 0. */
static int
refusal(const sonic_stream *s)
{
    const struct sonic__object *o = &s->object;

    if (o->flags & SONIC__CLOSED)
        return SONIC_ECLOSED;
    if (!(o->bits2 & SONIC__CONNECTED))
        return -ENOTCONN;
    if (o->error < 0)
        return o->error;
    return o->bits2 & SONIC__WRITE_SHUT ? -EPIPE : 0;
}

static int
above_high(const sonic_stream *s)
{
    return s->wq->bytes > s->wq->high;
}

/* The last block's room, when n bytes fit in it; else a new block's.  The
 * first blocks of a queue that the system does not take are small ones. */
static struct sonic__block *
room_for(sonic_stream *s, size_t n)
{
    struct sonic__wq *q = s->wq;
    struct sonic__block *b = q->tail;
    size_t size = SONIC__BLOCK_LARGEST;

    if (b != NULL && b->cb == NULL && b->pin == NULL &&
        sonic__block_room(b) >= n)
        return b;
    if (!(s->object.ready & SONIC__WRITE) && q->bytes < size)
        size = q->bytes < 2048 ? 2048 : q->bytes;
    if (q->spare != NULL && n <= SONIC__BLOCK_LARGEST &&
        size == SONIC__BLOCK_LARGEST) {
        b = q->spare;
        q->spare = NULL;
        append_block(q, b);
        return b;
    }
    b = sonic__block_new(&s->object.io->pool, n > size ? n : size);
    if (b != NULL)
        append_block(q, b);
    return b;
}

/* What the last block takes without any check. */
static void
set_room(struct sonic__wq *q)
{
    size_t room = sonic__block_room(q->tail);
    size_t left = q->limit > q->bytes ? q->limit - q->bytes : 0;

    q->room = room < left ? room : left;
}

static void
put(struct sonic__wq *q, struct sonic__block *b, const void *p, size_t n)
{
    memcpy(b->data + b->len, p, n);
    b->len += n;
    q->bytes += n;
    set_room(q);
}

/* Queue a reference; the prefix goes with it. */
static struct sonic__block *
refer(sonic_stream *s, const void *prefix, size_t n_prefix, const void *buf,
      size_t len)
{
    struct sonic__block *b = sonic__block_new(&s->object.io->pool, 0);

    if (b == NULL)
        return NULL;
    b->n_prefix = (uint8_t)n_prefix;
    if (n_prefix > 0)
        memcpy(b->prefix, prefix, n_prefix);
    b->data = (uint8_t *)(uintptr_t)buf;
    b->len = len;
    append_block(s->wq, b);
    s->wq->bytes += n_prefix + len;
    return b;
}

/* ---- sending ---------------------------------------------------------- */

int
sonic__write_copy(sonic_stream *s, const void *prefix, size_t n_prefix,
                  const void *buf, size_t len)
{
    struct sonic__block *b = room_for(s, n_prefix + len);

    if (b == NULL)
        return -ENOMEM;
    if (n_prefix > 0)
        put(s->wq, b, prefix, n_prefix);
    if (len > 0)
        put(s->wq, b, buf, len);
    return 0;
}

/* Much at once: what the system takes now needs no copy. */
static int
send_through(sonic_stream *s, const void *prefix, size_t n_prefix,
             const void *buf, size_t len)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)prefix, n_prefix},
                           {(void *)(uintptr_t)buf, len}};
    ssize_t n = sonic_stream_flush(s);

    if (n < 0)
        return (int)n;
    if (s->wq->head != NULL)
        return sonic__write_copy(s, prefix, n_prefix, buf, len);
    n = sonic__stream_class(s)->writev(s, iov + (n_prefix == 0),
                                       2 - (n_prefix == 0));
    n = sonic__write_judge(s, n);
    if (n < 0)
        return (int)n;
    if ((size_t)n == n_prefix + len)
        return 0;
    if ((size_t)n < n_prefix)
        n = sonic__write_copy(s, (const char *)prefix + n, n_prefix - (size_t)n,
                              buf, len);
    else
        n = sonic__write_copy(s, NULL, 0,
                              (const char *)buf + ((size_t)n - n_prefix),
                              len - ((size_t)n - n_prefix));
    if (n < 0) /* a part is on the wire: the stream cannot go on */
        s->object.error = (int)n;
    return (int)n;
}

/* Does buf lie in the buffer that the running callback was lent? */
static bool
is_lent(const sonic_stream *s, const void *buf)
{
    return s->object.io->dispatching == s && s->u.mirror != NULL &&
           !(s->object.bits & SONIC__READ_IN_BLOCK) &&
           sonic__mirror_holds(s->u.mirror, buf);
}

int
sonic__write_lent(sonic_stream *s, const void *prefix, size_t n_prefix,
                  const void *buf, size_t len)
{
    struct sonic__block *b = refer(s, prefix, n_prefix, buf, len);

    if (b == NULL)
        return -ENOMEM;
    b->pin = s->u.mirror;
    b->pin->pins++;
    return 0;
}

static bool
over_limit(const sonic_stream *s, size_t n)
{
    size_t limit = queue_limit(s), bytes = sonic_stream_queued(s);

    return n > limit || bytes > limit - n;
}

bool
sonic_stream_has_room(const sonic_stream *s, size_t n)
{
    return !over_limit(s, n);
}

/* Small, or lent, and the cork has room. */
static bool
send_corked(sonic_stream *s, const void *prefix, size_t n_prefix,
            const void *buf, size_t len)
{
    sonic_cork *c = &s->object.io->cork;
    bool refer = len >= CORK_REFER_MIN;
    size_t n = n_prefix + (refer ? 0 : len);

    if (c->stream != s || n_prefix > SONIC__HEAD_MAX ||
        n > (size_t)(c->end - c->at))
        return false;
    if (n_prefix > 0)
        memcpy(c->at, prefix, n_prefix);
    if (n > n_prefix)
        memcpy(c->at + n_prefix, buf, len);
    c->at += n;
    if (!refer || sonic_stream_refer(s, buf, len))
        return true;
    c->at -= n;
    return false;
}

int
sonic_stream_send_framed(sonic_stream *s, const void *prefix, size_t n_prefix,
                         const void *buf, size_t len)
{
    int err;

    if (send_corked(s, prefix, n_prefix, buf, len))
        return 0;
    err = n_prefix > SONIC__HEAD_MAX ? -EINVAL : refusal(s);
    if (err < 0)
        return err;
    if (sonic__write_queue(s) == NULL)
        return -ENOMEM;
    if (over_limit(s, len + n_prefix))
        err = SONIC_EQUEUE;
    else if (len < REFER_MIN)
        err = sonic__write_copy(s, prefix, n_prefix, buf, len);
    else if (is_lent(s, buf))
        err = sonic__write_lent(s, prefix, n_prefix, buf, len);
    else if (len >= THROUGH_MIN && (s->object.ready & SONIC__WRITE))
        err = send_through(s, prefix, n_prefix, buf, len);
    else
        err = sonic__write_copy(s, prefix, n_prefix, buf, len);
    if (err < 0) {
        sonic__write_release(s);
        return err;
    }
    mark_dirty(s);
    return above_high(s);
}

int
sonic_stream_send(sonic_stream *s, const void *buf, size_t len)
{
    return sonic_stream_send_framed(s, NULL, 0, buf, len);
}

int
sonic_stream_send_shared(sonic_stream *s, sonic_shared *m, size_t from,
                         size_t len)
{
    struct sonic__block *b = NULL;
    int err;

    if (m->io != s->object.io || from > m->len || len > m->len - from)
        return -EINVAL;
    if (len < SHARE_MIN && (s->wq != NULL || sonic__corked(s)))
        return sonic_stream_send(s, m->data + from, len);
    err = refusal(s);
    if (err < 0)
        return err;
    if (sonic__write_queue(s) == NULL)
        return -ENOMEM;
    if (over_limit(s, len))
        err = SONIC_EQUEUE;
    else if ((b = refer(s, NULL, 0, m->data + from, len)) == NULL)
        err = -ENOMEM;
    if (err < 0) {
        sonic__write_release(s);
        return err;
    }
    b->shared = sonic_shared_hold(m);
    mark_dirty(s);
    return above_high(s);
}

static uint8_t *
reserve_slowly(sonic_stream *s, size_t n)
{
    struct sonic__wq *q;
    struct sonic__block *b;

    if (n > SONIC__RESERVE_MAX || refusal(s) < 0 ||
        sonic__write_queue(s) == NULL)
        return NULL;
    q = s->wq;
    b = over_limit(s, n) ? NULL : room_for(s, n);
    if (b == NULL) {
        sonic__write_release(s);
        return NULL;
    }
    set_room(q);
    return b->data + b->len;
}

uint8_t *
sonic_stream_reserve(sonic_stream *s, size_t n)
{
    const sonic_cork *c = &s->object.io->cork;
    const struct sonic__wq *q = s->wq;

    if (c->stream == s && n <= (size_t)(c->end - c->at))
        return c->at;
    if (q != NULL && n <= q->room)
        return q->tail->data + q->tail->len;
    return reserve_slowly(s, n);
}

int
sonic_stream_commit(sonic_stream *s, size_t n)
{
    sonic_cork *c = &s->object.io->cork;
    struct sonic__wq *q = s->wq;

    if (c->stream == s && n <= (size_t)(c->end - c->at)) {
        c->at += n;
        return 0;
    }
    if (q == NULL || n > q->room)
        return SONIC_ESTATE; /* that was not reserved */
    q->tail->len += n;
    q->bytes += n;
    q->room -= n;
    if (s->object.io->dispatching != s || (s->object.bits2 & SONIC__WRITE_BUSY))
        mark_dirty(s);
    return q->bytes > q->high;
}

void
sonic_stream_async_write_framed(sonic_stream *s, const void *prefix,
                                size_t n_prefix, const void *buf, size_t len,
                                sonic_stream_fn *cb, void *ud)
{
    struct sonic__block *b = NULL;
    int err = n_prefix > SONIC__HEAD_MAX ? -EINVAL : refusal(s);

    if (err == 0 && (s->object.bits2 & SONIC__WRITE_LATE))
        err = -ETIMEDOUT;
    if (err == 0 && sonic__write_queue(s) == NULL)
        err = -ENOMEM;
    if (err == 0 && s->wq->bytes > 0 && over_limit(s, n_prefix + len))
        err = SONIC_EQUEUE; /* one write may be larger: it is not copied */
    if (err == 0 && (b = refer(s, prefix, n_prefix, buf, len)) == NULL)
        err = -ENOMEM;
    if (err < 0) {
        sonic__stream_refuse(s, err, cb, ud);
        return;
    }
    b->cb = cb;
    b->ud = ud;
    b->total = len;
    sonic__op_begin(s->object.io);
    mark_dirty(s);
}

void
sonic_stream_async_write(sonic_stream *s, const void *buf, size_t len,
                         sonic_stream_fn *cb, void *ud)
{
    sonic_stream_async_write_framed(s, NULL, 0, buf, len, cb, ud);
}

/* One block a part, in order; the last one carries the callback. */
static int
refer_parts(sonic_stream *s, const struct iovec *iov, int n,
            struct sonic__block **first, struct sonic__block **last,
            size_t *total)
{
    struct sonic__block *b, **end = first;

    for (int i = 0; i < n; i++) {
        b = sonic__block_new(&s->object.io->pool, 0);
        if (b == NULL)
            return -ENOMEM;
        b->data = iov[i].iov_base;
        b->len = iov[i].iov_len;
        b->err = i < n - 1 ? SONIC__WRITE_PART : 0;
        *total += b->len;
        *end = *last = b;
        end = &b->next;
    }
    return *total > 0 && s->wq->bytes > 0 && over_limit(s, *total)
               ? SONIC_EQUEUE
               : 0;
}

void
sonic_stream_async_writev(sonic_stream *s, const struct iovec *iov, int n,
                          sonic_stream_fn *cb, void *ud)
{
    struct sonic__block *b, *first = NULL, *last = NULL;
    size_t total = 0;
    int err = n < 0 || n > SONIC__IOV_MAX ? -EINVAL : refusal(s);

    if (n == 0) {
        sonic_stream_async_write(s, NULL, 0, cb, ud);
        return;
    }
    if (err == 0 && (s->object.bits2 & SONIC__WRITE_LATE))
        err = -ETIMEDOUT;
    if (err == 0 && sonic__write_queue(s) == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = refer_parts(s, iov, n, &first, &last, &total);
    if (err < 0) {
        while ((b = first) != NULL) {
            first = b->next;
            sonic__block_free(&s->object.io->pool, b);
        }
        sonic__stream_refuse(s, err, cb, ud);
        return;
    }
    last->cb = cb;
    last->ud = ud;
    last->total = total;
    append_block(s->wq, first);
    s->wq->tail = last;
    s->wq->bytes += total;
    sonic__op_begin(s->object.io);
    mark_dirty(s);
}
