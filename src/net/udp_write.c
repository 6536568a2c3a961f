/* The write side of sockets for datagrams: what is queued, what is told. */
#include "net/udp.h"

#include <string.h>

enum { DATAGRAM_MAX = 65527 }; /* bytes that a length of 16 bits leaves */

/* ---- completions ------------------------------------------------------ */

static void
tell(sonic_udp *u, sonic_udp_write_fn *cb, void *ud, int err, size_t n)
{
    sonic_io *io = u->object.io;

    sonic__complete_begin(io);
    cb(u, err, n, ud);
    sonic__complete_end(io);
}

static void
tell_one(sonic_udp *u)
{
    struct sonic__udp_out *r = sonic__udp_queue_finished(&u->queue);
    sonic_udp_write_fn *cb = r->cb;
    size_t n = r->err == 0 ? r->len : 0;
    void *ud = r->ud;
    int err = r->err;

    r->cb = NULL;
    sonic__udp_queue_trim(&u->queue);
    tell(u, cb, ud, err, n);
}

static void
tell_drain(sonic_udp *u)
{
    sonic_udp_write_fn *cb = u->drain;
    int err = u->drain_err;

    u->drain = NULL;
    u->drain_err = 0;
    tell(u, cb, u->drain_ud, err, 0);
}

static bool
drain_due(const sonic_udp *u)
{
    return u->drain != NULL && (u->queue.waiting == 0 || u->drain_err < 0);
}

static void
run_callbacks(sonic_udp *u)
{
    unsigned turns = 0;

    while (u->queue.finished > 0 || drain_due(u)) {
        if (turns++ == SONIC__UDP_VIEWS || !sonic__may_complete(u->object.io)) {
            sonic__defer(&u->object);
            return;
        }
        if (u->queue.finished > 0)
            tell_one(u);
        else
            tell_drain(u);
    }
}

void
sonic__udp_write_run(sonic_udp *u)
{
    struct sonic__object *o = &u->object;

    if (o->bits2 & SONIC__UDP_WRITE_BUSY)
        return;
    o->bits2 |= SONIC__UDP_WRITE_BUSY;
    sonic__udp_flush(u);
    run_callbacks(u);
    o->bits2 &= (uint8_t)~SONIC__UDP_WRITE_BUSY;
}

/* ---- sockets with something to send ----------------------------------- */

/* Have it flushed when the dispatch, or the cycle, ends; one that has to wait
 * is flushed when it need not any more. */
void
sonic__udp_list(sonic_udp *u)
{
    struct sonic__object *o = &u->object;

    if ((o->bits2 & SONIC__UDP_WRITE_LISTED) || !(o->ready & SONIC__WRITE) ||
        sonic__timer_armed(&u->backoff_timer))
        return;
    o->bits2 |= SONIC__UDP_WRITE_LISTED;
    u->next_dirty = NULL;
    *o->io->dirty_udp_tail = u;
    o->io->dirty_udp_tail = &u->next_dirty;
    o->io->besides = true;
}

void
sonic__udp_unlist(sonic_udp *u)
{
    sonic_io *io = u->object.io;
    sonic_udp **p = &io->dirty_udp;

    if (!(u->object.bits2 & SONIC__UDP_WRITE_LISTED))
        return;
    while (*p != u)
        p = &(*p)->next_dirty;
    *p = u->next_dirty;
    if (*p == NULL)
        io->dirty_udp_tail = p;
    u->object.bits2 &= (uint8_t)~SONIC__UDP_WRITE_LISTED;
}

/* Those that are listed now; callbacks may list more, and end any. */
void
sonic__udp_flush_dirty(sonic_io *io)
{
    size_t n = 0;

    for (const sonic_udp *u = io->dirty_udp; u != NULL; u = u->next_dirty)
        n++;
    for (; n > 0 && io->dirty_udp != NULL; n--) {
        sonic_udp *u = io->dirty_udp;

        sonic__udp_unlist(u);
        sonic__udp_write_run(u);
    }
}

/* ---- queueing --------------------------------------------------------- */

static int
check_address(const sonic_udp *u, const sonic_address *to)
{
    int family = to->storage.ss_family;

    if (family != AF_INET && (family != AF_INET6 || u->family == AF_INET))
        return -EAFNOSUPPORT;
    if (to->len != (family == AF_INET ? sizeof(struct sockaddr_in)
                                      : sizeof(struct sockaddr_in6)))
        return -EINVAL;
    return 0;
}

static int
check(const sonic_udp *u, const sonic_address *to, size_t len)
{
    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    if (len > DATAGRAM_MAX)
        return -EMSGSIZE;
    if (to != NULL)
        return check_address(u, to);
    return u->object.bits2 & SONIC__UDP_CONNECTED ? 0 : -EDESTADDRREQ;
}

/* A record for a datagram; room for its bytes where they are to be copied. */
static int
put(sonic_udp *u, const sonic_address *to, size_t len, size_t room,
    struct sonic__udp_out **out)
{
    sonic_io *io = u->object.io;
    struct sonic__udp_queue *q = &u->queue;
    struct sonic__udp_out *r;

    if (q->base == NULL) {
        q->base = io->mem.alloc(q->cap, io->mem.ud);
        if (q->base == NULL)
            return -ENOMEM;
    }
    r = sonic__udp_queue_put(q, room);
    if (r == NULL) {
        u->stats.queue_refused++;
        return SONIC_EQUEUE;
    }
    r->len = (uint32_t)len;
    q->bytes += len;
    if (to != NULL) {
        r->to_len = (uint8_t)to->len;
        memcpy(&r->to, &to->storage, to->len);
    }
    *out = r;
    return 0;
}

static int
queue_copy(sonic_udp *u, const sonic_address *to, const void *data, size_t len)
{
    struct sonic__udp_out *r;
    int err = put(u, to, len, len, &r);

    if (err < 0)
        return err;
    if (len > 0)
        memcpy(r->bytes, data, len);
    r->data = r->bytes;
    sonic__udp_list(u);
    return 0;
}

int
sonic_udp_queue(sonic_udp *u, const sonic_address *to, const void *data,
                size_t len)
{
    int err = check(u, to, len);

    return err < 0 ? err : queue_copy(u, to, data, len);
}

/* One datagram to the system: 0, 1 when it has to wait, or its error. */
static int
send_now(sonic_udp *u, const sonic_address *to, const void *data, size_t len)
{
    const sonic_sys *sys = u->object.io->sys;
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    bool again = false;

    if (to != NULL) {
        m.msg_name = (void *)(uintptr_t)&to->storage;
        m.msg_namelen = to->len;
    }
    for (;;) {
        ssize_t n =
            to == NULL
                ? sys->send(u->object.fd, data, len, MSG_NOSIGNAL, sys->ud)
                : sys->sendmsg(u->object.fd, &m, MSG_NOSIGNAL, sys->ud);

        if (n >= 0)
            return 0;
        if (n == -EAGAIN) {
            sonic__udp_await_room(u);
            return 1;
        }
        if (n == -ENOBUFS || n == -ENOMEM) {
            sonic__udp_rest(u);
            return 1;
        }
        if (n != -EINTR &&
            (again || !sonic__udp_network_error(u, (int)n, false)))
            return (int)n;
        again = again || n != -EINTR;
    }
}

int
sonic_udp_send(sonic_udp *u, const sonic_address *to, const void *data,
               size_t len)
{
    int err = check(u, to, len);

    if (err < 0)
        return err;
    if (u->queue.unsent == 0 && (u->object.ready & SONIC__WRITE) &&
        !sonic__timer_armed(&u->backoff_timer)) {
        err = send_now(u, to, data, len);
        if (err == 0) {
            u->backoff = 0;
            u->stats.sends++;
            u->stats.datagrams_out++;
            u->stats.bytes_out += len;
        }
        u->stats.write_errors += err < 0;
        if (err <= 0)
            return err;
    }
    err = queue_copy(u, to, data, len);
    return err < 0 ? err : 1;
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_udp_write_fn *)cb)(object, err, 0, ud);
}

void
sonic_udp_async_write(sonic_udp *u, const sonic_address *to, const void *data,
                      size_t len, sonic_udp_write_fn *cb, void *ud)
{
    struct sonic__udp_out *r;
    int err = check(u, to, len);

    if (err == 0 && (u->object.bits2 & SONIC__UDP_WRITE_LATE))
        err = -ETIMEDOUT;
    if (err == 0)
        err = put(u, to, len, 0, &r);
    if (err < 0) {
        sonic__refuse(&u->object, say, err, (void (*)(void))cb, ud);
        return;
    }
    sonic__op_begin(u->object.io);
    r->data = data;
    r->cb = cb;
    r->ud = ud;
    sonic__udp_list(u);
}

int
sonic_udp_flush(sonic_udp *u)
{
    int err;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    sonic__udp_flush(u);
    if (u->queue.finished > 0 || drain_due(u))
        sonic__defer(&u->object);
    err = u->write_err;
    u->write_err = 0;
    return err;
}

void
sonic_udp_async_drain(sonic_udp *u, sonic_udp_write_fn *cb, void *ud)
{
    int err = sonic__udp_closed(u) ? SONIC_ECLOSED
              : u->drain != NULL   ? -EBUSY
                                   : 0;

    if (err < 0) {
        sonic__refuse(&u->object, say, err, (void (*)(void))cb, ud);
        return;
    }
    sonic__op_begin(u->object.io);
    u->drain = cb;
    u->drain_ud = ud;
    u->drain_err = 0;
    if (drain_due(u))
        sonic__defer(&u->object);
}

size_t
sonic_udp_queued(const sonic_udp *u)
{
    return u->queue.waiting;
}

size_t
sonic_udp_queued_bytes(const sonic_udp *u)
{
    return u->queue.bytes;
}

/* ---- ending ----------------------------------------------------------- */

/* Be done with those that wait: with all of them, or with those that have
 * callbacks. */
static void
give_up(sonic_udp *u, int err, bool all)
{
    struct sonic__udp_queue *q = &u->queue;
    struct sonic__udp_out *r = NULL;

    if (u->drain != NULL)
        u->drain_err = err;
    for (size_t left = q->unsent; left > 0; left--) {
        r = r == NULL ? sonic__udp_out_at(q, q->next)
                      : sonic__udp_out_next(q, r);
        if (!r->done && (all || r->cb != NULL))
            sonic__udp_queue_done(q, r, err);
    }
    sonic__udp_queue_trim(q);
    if (q->finished > 0 || u->drain != NULL)
        sonic__defer(&u->object);
}

void
sonic__udp_write_end(sonic_udp *u, int err)
{
    give_up(u, err, false);
}

void
sonic__udp_write_give_up(sonic_udp *u, int err)
{
    give_up(u, err, true);
}

/* Of a blocking twin: its datagram may be anywhere, or its callback due. */
void
sonic__udp_write_abandon(sonic_udp *u, const void *ud)
{
    struct sonic__udp_queue *q = &u->queue;
    struct sonic__udp_out *r = NULL;

    for (size_t left = q->total; left > 0; left--) {
        r = r == NULL ? sonic__udp_out_at(q, q->head)
                      : sonic__udp_out_next(q, r);
        if (r->cb != NULL && r->ud == ud)
            break;
        if (left == 1)
            return;
    }
    if (r == NULL)
        return;
    if (!r->done)
        sonic__udp_queue_done(q, r, -ECANCELED);
    q->finished--;
    r->cb = NULL;
    sonic__udp_queue_trim(q);
    u->object.io->pending--;
}
