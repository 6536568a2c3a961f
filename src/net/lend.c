/* Lending: the reader is shown the bytes where they were received. */
#include "net/stream.h"

#include "base/hint.h"

/* ---- the usual case on the shortest way -------------------------------- */

/* What the callback left in the buffer m that the pool believes to be spare,
 * and in the queue. */
static SONIC__RARELY void
settle(sonic_stream *s, struct sonic_mirror *m)
{
    s->object.io->pool.spare_bytes -= m->size;
    s->object.io->pool.lent++;
    if (s->wq != NULL)
        sonic__write_run(s);
    sonic__read_settle(s);
    s->object.bits &= (uint8_t)~SONIC__READ_BUSY;
}

/* As sonic__complete_begin and _end, where nothing else is on the stack. */
static inline void
call_back(sonic_stream *s, sonic_io *io, uint8_t *data, size_t n)
{
    io->pending--;
    io->handlers++;
    io->allowed--;
    io->dispatched = 1;
    io->dispatching = s;
    s->rd.cb.lend(s, 0, data, n, s->rd.ud);
    io->dispatching = NULL;
    sonic__complete_end(io);
}

/* Lend the n bytes that were received into m, the pool's next spare buffer.
 * True when nothing was left, in it or to be sent: it is in the pool again. */
static SONIC__INLINE bool
deliver(sonic_stream *s, sonic_io *io, struct sonic_mirror *m, size_t n,
        bool tcp)
{
    struct sonic__object *o = &s->object;

    io->pool.spare[0] = m->next;
    m->used = n;
    s->u.mirror = m;
    o->bits = SONIC__READ_BUSY;
    io->cork.again = false;
    io->cork.at = io->cork_base;
    io->cork.stream = s;
    call_back(s, io, m->base, n);
    if (io->cork.again && o->bits == SONIC__READ_BUSY) {
        m->used = m->head = 0;
        io->pending++;
        o->bits = SONIC__READ_BUSY | SONIC__READ_LEND;
    }
    if (io->cork.stream == s)
        sonic__cork_flush(s, io, tcp);
    if (s->wq != NULL || m->used != 0 || m->pins != 0) {
        settle(s, m);
        return false;
    }
    o->bits &= (uint8_t)~SONIC__READ_BUSY;
    s->u.mirror = NULL;
    m->next = io->pool.spare[0];
    io->pool.spare[0] = m;
    return true;
}

/* A read that brought nothing. */
static SONIC__RARELY void
deny(sonic_stream *s, ssize_t n, size_t asked)
{
    n = sonic__read_judge(s, n, asked);
    if (n < 0) {
        s->object.bits |= SONIC__READ_BUSY;
        sonic__read_complete(s, (int)n, 0);
        s->object.bits &= (uint8_t)~SONIC__READ_BUSY;
    }
}

/* Whatever comes is lent, the stream holds nothing, nothing waits to be sent,
 * and bytes may be there. */
static inline bool
is_usual(const sonic_stream *s, const sonic_io *io)
{
    return sonic__object_is(&s->object, SONIC__READ | SONIC__WRITE,
                            SONIC__REGISTERED, SONIC__READ_LEND,
                            SONIC__CONNECTED) &&
           ((uintptr_t)s->u.mirror | (uintptr_t)s->wq | (uintptr_t)s->more |
            s->rd.large) == 0 &&
           s->rd.len == 1 && io->cork_base != NULL && io->pool.spare[0] != NULL;
}

/* As sonic__read_judge of some bytes, where is_usual: nothing but READ and
 * WRITE is set. */
static SONIC__INLINE void
count(sonic_stream *s, sonic_io *io, size_t n, size_t asked, bool tcp)
{
    io->stats.reads++;
    io->stats.bytes_in += n;
    if (n < asked && (tcp || sonic__stream_class(s)->short_is_dry)) {
        s->object.ready = SONIC__WRITE;
        if (io->backend->arm != NULL)
            sonic__await(&s->object, SONIC__READ);
    }
}

static SONIC__INLINE void
run(sonic_stream *s, bool tcp)
{
    sonic_io *io = s->object.io;
    struct sonic_mirror *m = io->pool.spare[0];
    ssize_t n;

    assert(io->allowed > 0 && io->dispatched == 0);
    if (is_usual(s, io)) {
        n = tcp ? sonic__socket_read(s, io->sys, m->base, m->size)
                : sonic__stream_class(s)->read(s, m->base, m->size);
        if (n <= 0) {
            deny(s, n, m->size);
        } else {
            count(s, io, (size_t)n, m->size, tcp);
            if (deliver(s, io, m, (size_t)n, tcp) &&
                sonic__object_is(&s->object, SONIC__WRITE, SONIC__REGISTERED,
                                 SONIC__READ_LEND, SONIC__CONNECTED))
                return;
        }
    }
    sonic__stream_go_on(s);
}

void
sonic__stream_run(struct sonic__object *o)
{
    run((sonic_stream *)o, false);
}

void
sonic__tcp_run(struct sonic__object *o)
{
    run((sonic_stream *)o, true);
}

/* ---- the public half --------------------------------------------------- */

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_lend_fn *)cb)(object, err, NULL, 0, ud);
}

static void
refuse(sonic_stream *s, sonic_lend_fn *cb, void *ud)
{
    int err = -EBUSY;

    if (sonic__stream_closed(s))
        err = SONIC_ECLOSED;
    else if (!(s->object.bits2 & SONIC__CONNECTED))
        err = -ENOTCONN;
    sonic__refuse(&s->object, say, err, (void (*)(void))cb, ud);
}

void
sonic_stream_lend(sonic_stream *s, size_t min, size_t want, sonic_lend_fn *cb,
                  void *ud)
{
    struct sonic__object *o = &s->object;

    if ((o->bits & SONIC__READ_KIND) || (o->flags & SONIC__CLOSED) ||
        !(o->bits2 & SONIC__CONNECTED)) {
        refuse(s, cb, ud);
        return;
    }
    sonic__op_begin(o->io);
    o->bits |= SONIC__READ_LEND;
    s->rd.cb.lend = cb;
    s->rd.ud = ud;
    s->rd.len = min > 0 ? min : 1;
    s->rd.done = want;
    if (!(o->bits & SONIC__READ_BUSY))
        sonic__read_start(s);
}

void
sonic_stream_lend_again(sonic_stream *s, size_t n)
{
    struct sonic__object *o = &s->object;
    struct sonic_mirror *m = s->u.mirror;

    if (o->bits != SONIC__READ_BUSY || o->flags != SONIC__REGISTERED ||
        m == NULL) {
        sonic_stream_consume(s, n);
        sonic_stream_lend(s, 1, 0, s->rd.cb.lend, s->rd.ud);
        return;
    }
    sonic__mirror_drop(m, n < m->used ? n : m->used);
    sonic__op_begin(o->io);
    o->bits |= SONIC__READ_LEND;
    s->rd.len = 1;
    s->rd.done = 0;
}

/* Outside its callbacks nobody looks at the buffer: it may go now. */
static void
consumed(sonic_stream *s)
{
    if (!(s->object.bits & SONIC__READ_BUSY))
        sonic__read_settle(s);
}

void
sonic_stream_consume(sonic_stream *s, size_t n)
{
    size_t have = sonic_stream_buffered(s);

    if (n > have)
        n = have;
    if (n == 0)
        return;
    if (s->object.bits & SONIC__READ_IN_BLOCK) {
        s->u.block->data += n;
        s->u.block->len -= n;
    } else {
        sonic__mirror_drop(s->u.mirror, n);
    }
    consumed(s);
}

void
sonic_stream_trim(sonic_stream *s, size_t n)
{
    size_t have = sonic_stream_buffered(s);

    if (n > have)
        n = have;
    if (n == 0)
        return;
    if (s->object.bits & SONIC__READ_IN_BLOCK)
        s->u.block->len -= n;
    else
        s->u.mirror->used -= n;
    consumed(s);
}
