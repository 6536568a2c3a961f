/* The read side of a stream.
 *
 * One loop per stream runs its operations: each is tried, completed, and when
 * its callback began another, that is tried in turn, never nested.  What was
 * lent and not consumed stays in the buffer it was received in; a stream whose
 * bytes are all consumed holds none.
 */
#include "net/stream.h"

#include <string.h>

enum { SMALL_REST = 4096 }; /* bytes that may move to a block */

static enum sonic__read_kind
kind_of(const sonic_stream *s)
{
    return (enum sonic__read_kind)(s->object.bits & SONIC__READ_KIND);
}

static void
set_kind(sonic_stream *s, enum sonic__read_kind kind)
{
    s->object.bits &= (uint8_t)~SONIC__READ_KIND;
    s->object.bits |= (uint8_t)kind;
}

size_t
sonic_stream_buffered(const sonic_stream *s)
{
    if (s->object.bits2 & SONIC__CONNECTING || s->u.mirror == NULL)
        return 0;
    return s->object.bits & SONIC__READ_IN_BLOCK ? s->u.block->len
                                                 : s->u.mirror->used;
}

static uint8_t *
rest_data(const sonic_stream *s)
{
    if (s->u.mirror == NULL)
        return NULL;
    return s->object.bits & SONIC__READ_IN_BLOCK
               ? s->u.block->data
               : sonic__mirror_data(s->u.mirror);
}

const uint8_t *
sonic__stream_rest(const sonic_stream *s)
{
    return s->object.bits2 & SONIC__CONNECTING ? NULL : rest_data(s);
}

void
sonic__read_drop_buffer(sonic_stream *s)
{
    struct sonic__pool *p = &s->object.io->pool;

    if (s->object.bits2 & SONIC__CONNECTING || s->u.mirror == NULL)
        return;
    if (s->object.bits & SONIC__READ_IN_BLOCK)
        sonic__block_free(p, s->u.block);
    else
        sonic__pool_return(p, s->u.mirror);
    s->u.mirror = NULL;
    s->object.bits &= (uint8_t)~SONIC__READ_IN_BLOCK;
}

/* Move the remainder into a mirrored buffer with room for `size` bytes. */
static int
rehouse(sonic_stream *s, size_t size)
{
    struct sonic_mirror *m;
    size_t used = sonic_stream_buffered(s);
    int err = sonic__pool_lend(&s->object.io->pool, size, &m);

    if (err < 0)
        return err;
    if (used > 0) {
        memcpy(m->base, rest_data(s), used);
        m->used = used;
    }
    sonic__read_drop_buffer(s);
    s->u.mirror = m;
    return 0;
}

/* The remainder is small and buffers are scarce: keep it in a block. */
static void
move_to_block(sonic_stream *s)
{
    struct sonic_mirror *m = s->u.mirror;
    struct sonic__pool *p = &s->object.io->pool;
    struct sonic__block *b = sonic__block_new(p, m->used);

    if (b == NULL)
        return; /* it may stay where it is */
    memcpy(b->data, sonic__mirror_data(m), m->used);
    b->len = m->used;
    sonic__pool_return(p, m);
    s->u.block = b;
    s->object.bits |= SONIC__READ_IN_BLOCK;
}

/* After a callback: decide where what it left lies until the next. */
void
sonic__read_settle(sonic_stream *s)
{
    struct sonic__pool *p = &s->object.io->pool;
    struct sonic_mirror *m = s->u.mirror;

    if (m == NULL)
        return;
    if (sonic__stream_closed(s) || sonic_stream_buffered(s) == 0) {
        sonic__read_drop_buffer(s);
        return;
    }
    if (s->object.bits & SONIC__READ_IN_BLOCK)
        return;
    if (m->pins > 0 && rehouse(s, m->used) < 0)
        s->object.error = -ENOMEM; /* told by the next operation */
    else if (s->u.mirror->used <= SMALL_REST && p->lent > SONIC__POOL_HELD)
        move_to_block(s);
}

/* A callback has returned: what it queued for this stream goes out in one
 * call, then the buffer that it may refer to is let go. */
void
sonic__dispatch_end(sonic_stream *s)
{
    if (sonic__corked(s))
        sonic__cork_send(s);
    if (s->wq != NULL)
        sonic__write_run(s);
    sonic__read_settle(s);
}

/* Run a callback as this stream's dispatch. */
void
sonic__read_complete(sonic_stream *s, int err, size_t n)
{
    sonic_io *io = s->object.io;
    sonic_stream *outer = io->dispatching;
    struct sonic__read_op op = s->rd;
    enum sonic__read_kind kind = kind_of(s);

    set_kind(s, SONIC__READ_NONE);
    s->object.bits &= (uint8_t)~SONIC__READ_CANCEL;
    if (kind != SONIC__READ_LEND)
        s->rd.large = 0; /* it was buf */
    io->dispatching = s;
    io->cork.again = false;
    sonic__cork_open(s);
    sonic__complete_begin(io);
    if (kind == SONIC__READ_LEND)
        op.cb.lend(s, err, rest_data(s), sonic_stream_buffered(s), op.ud);
    else
        op.cb.read(s, err, n, op.ud);
    if (io->cork.again && kind == SONIC__READ_LEND) {
        io->cork.again = false;
        sonic_stream_lend_again(s, SIZE_MAX);
    }
    sonic__complete_end(io);
    io->dispatching = outer;
    sonic__dispatch_end(s);
}

/* What a read said: bytes, or 0 after which the loop waits, or an error that
 * ends the operation. */
ssize_t
sonic__read_judge(sonic_stream *s, ssize_t n, size_t asked)
{
    struct sonic__object *o = &s->object;

    o->io->stats.reads++;
    if (n > 0) {
        o->io->stats.bytes_in += (size_t)n;
        if ((size_t)n < asked && sonic__stream_class(s)->short_is_dry &&
            !(o->ready & SONIC__HUP))
            sonic__await(o, SONIC__READ);
        return n;
    }
    if (n == 0) {
        o->bits |= SONIC__READ_EOF;
        return SONIC_EOF;
    }
    if (n == -EAGAIN || n == -EWOULDBLOCK) {
        o->ready &= (uint8_t)~SONIC__HUP;
        sonic__await(o, SONIC__READ);
        return 0;
    }
    return n == -EINTR ? 0 : n;
}

/* Room behind the remainder: a buffer when there is none, a larger one when it
 * is full.  One as large as was needed the last time, or as is wanted now, is
 * taken at once if it is to spare: then nothing has to be moved later.  None
 * is made before the bytes for it have come. */
static int
make_room(sonic_stream *s, size_t want)
{
    struct sonic__pool *p = &s->object.io->pool;
    struct sonic_mirror *m = s->u.mirror;

    if (m == NULL)
        return sonic__pool_lend(
            p, sonic__pool_has(p, s->rd.large) ? s->rd.large : 0, &s->u.mirror);
    if (s->object.bits & SONIC__READ_IN_BLOCK)
        return rehouse(s, s->u.block->len + 1);
    if (want > m->size && sonic__pool_has(p, want))
        return rehouse(s, want);
    if (m->used < m->size)
        return 0;
    return rehouse(s, want > m->size ? want : m->size + 1);
}

/* Receive behind the remainder. */
static ssize_t
fill(sonic_stream *s)
{
    struct sonic_mirror *m;
    ssize_t n;
    size_t room;
    int err = make_room(s, s->rd.done);

    if (err < 0)
        return err;
    m = s->u.mirror;
    room = m->size - m->used;
    n = sonic__read_judge(
        s, sonic__stream_class(s)->read(s, sonic__mirror_tail(m), room), room);
    if (n > 0) {
        m->used += (size_t)n;
        s->rd.large = m->used > s->object.io->pool.base_size ? m->size : 0;
    } else {
        sonic__read_settle(s); /* it waits with little, or nothing */
    }
    return n;
}

/* Each try_ returns false when it has to wait. */
static bool
try_lend(sonic_stream *s)
{
    ssize_t n = 1;

    while (n > 0 && sonic_stream_buffered(s) < s->rd.len) {
        if (s->object.bits & SONIC__READ_EOF)
            n = SONIC_EOF;
        else if (s->object.ready & SONIC__READ)
            n = fill(s);
        else
            n = 0;
    }
    if (n == 0)
        return (s->object.ready & SONIC__READ) != 0; /* EINTR */
    sonic__read_complete(s, n < 0 ? (int)n : 0, 0);
    return true;
}

/* Bytes that a lend left behind come first. */
static size_t
take_rest(sonic_stream *s, uint8_t *buf, size_t len)
{
    size_t n = sonic_stream_buffered(s);

    if (n > len)
        n = len;
    if (n > 0) {
        memcpy(buf, rest_data(s), n);
        sonic_stream_consume(s, n);
        sonic__read_settle(s);
    }
    return n;
}

static ssize_t
read_once(sonic_stream *s, uint8_t *buf, size_t len)
{
    size_t rest = take_rest(s, buf, len);

    if (rest > 0)
        return (ssize_t)rest;
    if (s->object.bits & SONIC__READ_EOF)
        return SONIC_EOF;
    if (!(s->object.ready & SONIC__READ))
        return 0;
    return sonic__read_judge(s, sonic__stream_class(s)->read(s, buf, len), len);
}

static ssize_t
read_vector(sonic_stream *s)
{
    const struct iovec *iov = (const struct iovec *)(const void *)s->rd.buf;
    size_t asked = 0;

    for (size_t i = 0; i < s->rd.len; i++)
        asked += iov[i].iov_len;
    for (size_t i = 0; i < s->rd.len && sonic_stream_buffered(s) > 0; i++)
        s->rd.done += take_rest(s, iov[i].iov_base, iov[i].iov_len);
    if (s->rd.done > 0 || asked == 0)
        return 1;
    if (s->object.bits & SONIC__READ_EOF)
        return SONIC_EOF;
    if (!(s->object.ready & SONIC__READ))
        return 0;
    asked = (size_t)sonic__read_judge(
        s, sonic__stream_class(s)->readv(s, iov, (int)s->rd.len), asked);
    if ((ssize_t)asked > 0)
        s->rd.done = asked;
    return (ssize_t)asked;
}

static bool
try_read(sonic_stream *s)
{
    enum sonic__read_kind kind = kind_of(s);
    ssize_t n;

    do {
        if (kind == SONIC__READ_VECTOR) {
            n = read_vector(s);
            break;
        }
        n = s->rd.done == s->rd.len
                ? 1
                : read_once(s, s->rd.buf + s->rd.done, s->rd.len - s->rd.done);
        if (n > 0 && s->rd.done < s->rd.len)
            s->rd.done += (size_t)n;
    } while (n > 0 && kind == SONIC__READ_ALL && s->rd.done < s->rd.len);
    if (n == 0)
        return (s->object.ready & SONIC__READ) != 0; /* EINTR */
    sonic__read_complete(s, n < 0 ? (int)n : 0, s->rd.done);
    return true;
}

/* An operation that ends without being tried. */
static int
verdict(const sonic_stream *s)
{
    const struct sonic__object *o = &s->object;

    if ((o->bits & SONIC__READ_CANCEL) || (o->flags & SONIC__CLOSED))
        return -ECANCELED;
    if (o->bits & SONIC__READ_LATE)
        return -ETIMEDOUT;
    return o->error == -ENOMEM ? -ENOMEM : 0;
}

void
sonic__read_run(sonic_stream *s)
{
    struct sonic__object *o = &s->object;
    unsigned turns = 0;

    if (o->bits & SONIC__READ_BUSY)
        return; /* the loop that is on the stack goes on */
    o->bits |= SONIC__READ_BUSY;
    while (kind_of(s) != SONIC__READ_NONE) {
        int err = verdict(s);

        if (turns++ == o->io->budget || !sonic__may_complete(o->io)) {
            sonic__defer(o);
            break;
        }
        if (err < 0)
            sonic__read_complete(s, err, s->rd.done);
        else if (kind_of(s) == SONIC__READ_LEND ? !try_lend(s) : !try_read(s))
            break;
    }
    o->bits &= (uint8_t)~SONIC__READ_BUSY;
    if (o->flags & SONIC__CLOSED)
        sonic__read_drop_buffer(s);
}

size_t
sonic__read_abandon(sonic_stream *s, const void *ud)
{
    if (kind_of(s) == SONIC__READ_NONE || s->rd.ud != ud)
        return 0;
    if (kind_of(s) != SONIC__READ_LEND)
        s->rd.large = 0; /* it was buf */
    set_kind(s, SONIC__READ_NONE);
    s->object.bits &= (uint8_t)~SONIC__READ_CANCEL;
    s->object.io->pending--;
    return s->rd.done;
}

/* Why no read may begin, or 0. */
static int
refusal(const sonic_stream *s)
{
    const struct sonic__object *o = &s->object;

    if (o->flags & SONIC__CLOSED)
        return SONIC_ECLOSED;
    if (!(o->bits2 & SONIC__CONNECTED))
        return -ENOTCONN;
    return kind_of(s) != SONIC__READ_NONE ? -EBUSY : 0;
}

void
sonic__read_start(sonic_stream *s)
{
    if (sonic__may_complete(s->object.io))
        sonic__read_run(s);
    else
        sonic__defer(&s->object);
}

/* It is refused, or tried now, or by the loop. */
static void
begin_read(sonic_stream *s, enum sonic__read_kind kind, void *buf, size_t len,
           sonic_stream_fn *cb, void *ud)
{
    int err = refusal(s);

    if (err < 0) {
        sonic__stream_refuse(s, err, cb, ud);
        return;
    }
    sonic__op_begin(s->object.io);
    set_kind(s, kind);
    s->rd = (struct sonic__read_op){
        .cb.read = cb, .ud = ud, .buf = buf, .len = len};
    sonic__read_start(s);
}

void
sonic_stream_async_read(sonic_stream *s, void *buf, size_t len,
                        sonic_stream_fn *cb, void *ud)
{
    begin_read(s, SONIC__READ_SOME, buf, len, cb, ud);
}

void
sonic_stream_async_read_all(sonic_stream *s, void *buf, size_t len,
                            sonic_stream_fn *cb, void *ud)
{
    begin_read(s, SONIC__READ_ALL, buf, len, cb, ud);
}

void
sonic_stream_async_readv(sonic_stream *s, const struct iovec *iov, int n,
                         sonic_stream_fn *cb, void *ud)
{
    if (n < 0 || n > SONIC__IOV_MAX) {
        sonic__stream_refuse(s, -EINVAL, cb, ud);
        return;
    }
    begin_read(s, SONIC__READ_VECTOR, (void *)(uintptr_t)iov, (size_t)n, cb,
               ud);
}
