/* The read side of sockets for datagrams.
 *
 * One loop per socket runs its operations: each is tried, completed, and when
 * its callback began another, that is tried in turn, never nested. */
#include "net/udp.h"

#include <string.h>

static unsigned
kind_of(const sonic_udp *u)
{
    return u->object.bits & SONIC__UDP_READ_KIND;
}

/* The operation ends here: what comes next is its callback. */
static void
end(sonic_udp *u)
{
    if (u->object.bits & SONIC__UDP_READ_WAITED)
        u->stats.scheduled_reads++;
    else
        u->stats.immediate_reads++;
    u->object.bits &= (uint8_t) ~(
        SONIC__UDP_READ_KIND | SONIC__UDP_READ_CANCEL | SONIC__UDP_READ_WAITED);
}

/* What the callback queued on this socket goes out in one call. */
static void
dispatch_end(sonic_udp *u)
{
    if (u->queue.unsent > 0)
        sonic__udp_write_run(u);
}

static void
complete_error(sonic_udp *u, int err)
{
    sonic_io *io = u->object.io;
    bool lend = kind_of(u) == SONIC__UDP_LEND;
    void *ud = u->ud;

    u->object.bits &= (uint8_t) ~(
        SONIC__UDP_READ_KIND | SONIC__UDP_READ_CANCEL | SONIC__UDP_READ_WAITED);
    u->stats.read_errors += err != -ECANCELED && err != -ETIMEDOUT;
    sonic__complete_begin(io);
    if (lend)
        u->cb.lend(u, err, NULL, 0, ud);
    else
        u->cb.read(u, err, NULL, ud);
    sonic__complete_end(io);
    dispatch_end(u);
}

/* What a receive said that brought nothing: 0 when the loop is to wait or to
 * try again, or the error that ends the operation. */
int
sonic__udp_receive_judge(sonic_udp *u, ssize_t n)
{
    struct sonic__object *o = &u->object;

    if (n == -EINTR)
        return 0;
    u->stats.empty_receives++;
    if (n != -EAGAIN && n != -EWOULDBLOCK)
        return (int)n;
    o->ready &= (uint8_t)~SONIC__HUP;
    sonic__await(o, SONIC__READ);
    return 0;
}

/* Each try_ returns false when it has to wait. */
static bool
try_lend(sonic_udp *u)
{
    struct sonic__object *o = &u->object;
    struct sonic__udp_ring *r = u->ring;
    unsigned n;
    int err;

    if (r == NULL) {
        if (!(o->ready & SONIC__READ))
            return false;
        r = sonic__udp_ring_take(u);
        if (r == NULL) {
            complete_error(u, -ENOMEM);
            return true;
        }
        err = sonic__udp_ring_receive(u, r);
        if (err <= 0) {
            sonic__udp_ring_give(u, r);
            if (err < 0)
                complete_error(u, err);
            return err < 0 || (o->ready & SONIC__READ);
        }
        u->ring = r;
    }
    n = sonic__udp_ring_show(u, r);
    end(u);
    sonic__complete_begin(o->io);
    u->cb.lend(u, 0, r->view, n, u->ud);
    sonic__complete_end(o->io);
    if (r->at == r->used || sonic__udp_closed(u)) {
        u->ring = NULL;
        sonic__udp_ring_give(u, r);
    }
    dispatch_end(u);
    return true;
}

static ssize_t
receive(sonic_udp *u, struct msghdr *m)
{
    const sonic_sys *sys = u->object.io->sys;

    return sys->recvmsg(u->object.fd, m, MSG_TRUNC, sys->ud);
}

static bool
try_read(sonic_udp *u)
{
    _Alignas(8) uint8_t control[SONIC__UDP_CONTROL];
    struct sonic__object *o = &u->object;
    struct iovec iov = {u->buf, u->len};
    struct msghdr m = {.msg_name = &u->from.storage,
                       .msg_namelen = sizeof u->from.storage,
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    struct sonic__udp_told told;
    const sonic_address *to;
    sonic_datagram d;
    ssize_t n;

    if (!(o->ready & SONIC__READ))
        return false;
    n = receive(u, &m);
    if (n < 0) {
        int err = sonic__udp_receive_judge(u, n);

        if (err < 0)
            complete_error(u, err);
        return err < 0 || (o->ready & SONIC__READ);
    }
    to = sonic__udp_hear(u, &m, &told, &u->to);
    u->from.len = m.msg_namelen;
    d = (sonic_datagram){
        .data = u->buf,
        .len = (size_t)n < u->len ? (size_t)n : u->len,
        .sent = (size_t)n,
        .truncated = (size_t)n > u->len || (m.msg_flags & MSG_TRUNC) != 0,
        .interface = told.interface,
        .from = &u->from,
        .to = to != NULL ? to : &sonic__udp_nowhere,
        .timestamp = told.timestamp,
        .hardware_time = told.hardware_time,
        .drops = told.drops,
    };
    u->stats.receives++;
    u->stats.datagrams_in++;
    u->stats.bytes_in += d.len;
    u->stats.truncated += d.truncated;
    if (u->stats.batch_most == 0)
        u->stats.batch_most = 1;
    end(u);
    sonic__complete_begin(o->io);
    u->cb.read(u, 0, &d, u->ud);
    sonic__complete_end(o->io);
    dispatch_end(u);
    return true;
}

/* An operation that ends without being tried. */
static int
verdict(sonic_udp *u)
{
    struct sonic__object *o = &u->object;
    int err = o->error;

    if ((o->bits & SONIC__UDP_READ_CANCEL) || (o->flags & SONIC__CLOSED))
        return -ECANCELED;
    if (o->bits & SONIC__UDP_READ_LATE)
        return -ETIMEDOUT;
    o->error = 0;
    return err;
}

void
sonic__udp_read_run(sonic_udp *u)
{
    struct sonic__object *o = &u->object;
    unsigned turns = 0;

    if (o->bits & SONIC__UDP_READ_BUSY)
        return; /* the loop that is on the stack goes on */
    o->bits |= SONIC__UDP_READ_BUSY;
    while (kind_of(u) != 0) {
        int err;

        if (turns++ == o->io->budget || !sonic__may_complete(o->io)) {
            sonic__defer(o);
            break;
        }
        err = verdict(u);
        if (err < 0)
            complete_error(u, err);
        else if (kind_of(u) == SONIC__UDP_LEND ? !try_lend(u) : !try_read(u))
            break;
    }
    if (kind_of(u) != 0 && !(o->ready & SONIC__READ))
        o->bits |= SONIC__UDP_READ_WAITED;
    o->bits &= (uint8_t)~SONIC__UDP_READ_BUSY;
}

/* Of a blocking twin: take its operation away without its callback. */
void
sonic__udp_read_abandon(sonic_udp *u, const void *ud)
{
    if (kind_of(u) == 0 || u->ud != ud)
        return;
    u->object.bits &= (uint8_t) ~(
        SONIC__UDP_READ_KIND | SONIC__UDP_READ_CANCEL | SONIC__UDP_READ_WAITED);
    u->object.io->pending--;
}

/* 0, or why the operation is refused. */
static int
begin(sonic_udp *u, unsigned kind)
{
    struct sonic__object *o = &u->object;

    if (o->flags & SONIC__CLOSED)
        return SONIC_ECLOSED;
    if (kind_of(u) != 0)
        return -EBUSY;
    if (kind == SONIC__UDP_READ && (o->bits2 & SONIC__UDP_GRO))
        return SONIC_ESTATE;
    o->bits |= (uint8_t)kind;
    return 0;
}

static void
start(sonic_udp *u)
{
    if (sonic__may_complete(u->object.io))
        sonic__udp_read_run(u);
    else
        sonic__defer(&u->object);
}

static void
say_read(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_udp_read_fn *)cb)(object, err, NULL, ud);
}

void
sonic_udp_async_read(sonic_udp *u, void *buf, size_t len, sonic_udp_read_fn *cb,
                     void *ud)
{
    int err = begin(u, SONIC__UDP_READ);

    if (err < 0) {
        sonic__refuse(&u->object, say_read, err, (void (*)(void))cb, ud);
        return;
    }
    sonic__op_begin(u->object.io);
    u->cb.read = cb;
    u->ud = ud;
    u->buf = buf;
    u->len = len;
    start(u);
}

int
sonic_udp_set_async_read_buffer(sonic_udp *u, void *buf, size_t len)
{
    if (kind_of(u) != SONIC__UDP_READ)
        return SONIC_ESTATE;
    u->buf = buf;
    u->len = len;
    return 0;
}

static void
say_lend(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_udp_lend_fn *)cb)(object, err, NULL, 0, ud);
}

void
sonic_udp_lend(sonic_udp *u, sonic_udp_lend_fn *cb, void *ud)
{
    int err = begin(u, SONIC__UDP_LEND);

    if (err < 0) {
        sonic__refuse(&u->object, say_lend, err, (void (*)(void))cb, ud);
        return;
    }
    sonic__op_begin(u->object.io);
    u->cb.lend = cb;
    u->ud = ud;
    start(u);
}
