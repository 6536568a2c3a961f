/* Sending what is queued: sendmmsg(2), and UDP_SEGMENT of udp(7). */
#include "net/udp.h"

#include <netinet/udp.h>
#include <string.h>

enum {
    MESSAGES = 32, /* of one system call */
    PARTS = 128,   /* datagrams of it */
    JOINED = 64,   /* of one message: UDP_MAX_SEGMENTS of older kernels */
    JOINED_BYTES = 65000
};
#define BACKOFF_FIRST INT64_C(100000)  /* ns */
#define BACKOFF_LAST INT64_C(10000000) /* ns */

/* One system call.  Message i sends the next count[i] datagrams. */
struct batch {
    unsigned n, parts;
    struct mmsghdr head[MESSAGES];
    struct iovec iov[PARTS];
    unsigned count[MESSAGES];
    _Alignas(8) uint8_t control[MESSAGES][CMSG_SPACE(sizeof(uint16_t))];
};

static void
begin_message(struct batch *b, struct sonic__udp_out *r)
{
    struct msghdr *m = &b->head[b->n].msg_hdr;

    memset(m, 0, sizeof *m);
    if (r->to_len > 0) {
        m->msg_name = &r->to;
        m->msg_namelen = r->to_len;
    }
    m->msg_iov = &b->iov[b->parts];
    b->count[b->n++] = 0;
}

static void
add_part(struct batch *b, const struct sonic__udp_out *r)
{
    b->iov[b->parts].iov_base = (void *)(uintptr_t)r->data;
    b->iov[b->parts++].iov_len = r->len;
    b->head[b->n - 1].msg_hdr.msg_iovlen++;
    b->count[b->n - 1]++;
}

/* The message is of several datagrams: say where one ends. */
static void
cut_message(struct batch *b, uint16_t segment)
{
    struct msghdr *m = &b->head[b->n - 1].msg_hdr;
    struct cmsghdr *c = (void *)b->control[b->n - 1];

    memset(c, 0, sizeof b->control[0]);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
    m->msg_control = c;
    m->msg_controllen = sizeof b->control[0];
}

/* Where a message of one size and destination stands. */
struct run {
    const struct sonic__udp_out *first;
    size_t bytes;
    bool open; /* another may follow */
};

static bool
joins(const sonic_udp *u, const struct batch *b, const struct run *run,
      const struct sonic__udp_out *r)
{
    return run->open && r->len > 0 && r->len <= run->first->len &&
           run->first->len < u->gso_most && b->count[b->n - 1] < JOINED &&
           run->bytes + r->len <= JOINED_BYTES &&
           r->to_len == run->first->to_len &&
           memcmp(&r->to, &run->first->to, r->to_len) == 0;
}

/* The next batch of what is queued. */
static void
collect(sonic_udp *u, struct batch *b)
{
    struct sonic__udp_queue *q = &u->queue;
    struct sonic__udp_out *r = sonic__udp_out_at(q, q->next);
    struct run run = {.open = false};

    b->n = b->parts = 0;
    for (size_t left = q->unsent; left > 0 && b->parts < PARTS; left--) {
        if (!r->done && joins(u, b, &run, r)) {
            add_part(b, r);
            if (b->count[b->n - 1] == 2)
                cut_message(b, (uint16_t)run.first->len);
            run.bytes += r->len;
            run.open = r->len == run.first->len;
        } else if (!r->done) {
            if (b->n == MESSAGES)
                return;
            begin_message(b, r);
            add_part(b, r);
            run = (struct run){r, r->len, u->gso_most > 0 && r->len > 0};
        }
        if (left > 1)
            r = sonic__udp_out_next(q, r);
    }
}

/* The next n datagrams that are not done with are, now. */
static void
done(sonic_udp *u, size_t n, int err)
{
    struct sonic__udp_queue *q = &u->queue;
    struct sonic__udp_out *r = sonic__udp_out_at(q, q->next);

    for (;; r = sonic__udp_out_next(q, r)) {
        if (r->done)
            continue;
        if (err == 0) {
            u->stats.datagrams_out++;
            u->stats.bytes_out += r->len;
        } else {
            u->stats.write_errors++;
            if (r->cb == NULL && u->write_err == 0)
                u->write_err = err;
        }
        sonic__udp_queue_done(q, r, err);
        if (--n == 0)
            break;
    }
    sonic__udp_queue_trim(q);
}

/* What another datagram came back with, told by the next call: udp(7).  Is it
 * one of these, and was it passed on to the read side?  Then the call may be
 * made again.  kept: also when nobody is reading now. */
bool
sonic__udp_network_error(sonic_udp *u, int err, bool kept)
{
    struct sonic__object *o = &u->object;
    bool reading = (o->bits & SONIC__UDP_READ_KIND) != 0;

    if (!(o->bits2 & SONIC__UDP_CONNECTED) || o->error != 0 ||
        !(reading || kept))
        return false;
    switch (err) {
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -ENONET:
    case -ENOPROTOOPT:
    case -EPROTO:
        break;
    default:
        return false;
    }
    o->error = err;
    if (reading)
        sonic__defer(o);
    return true;
}

/* The device has no memory.  It would say so as often as it is asked. */
void
sonic__udp_rest(sonic_udp *u)
{
    sonic_io *io = u->object.io;

    u->backoff = u->backoff == 0 ? BACKOFF_FIRST : 2 * u->backoff;
    if (u->backoff > BACKOFF_LAST)
        u->backoff = BACKOFF_LAST;
    u->stats.backoffs++;
    sonic__timer_arm(io, &u->backoff_timer,
                     io->sys->clock(io->sys->ud) + u->backoff);
}

/* The system has no room, and is to say when there is. */
void
sonic__udp_await_room(sonic_udp *u)
{
    struct sonic__object *o = &u->object;
    sonic_io *io = o->io;

    u->stats.full_sends++;
    if (!(o->bits2 & SONIC__UDP_FULL) && io->backend->tell_room != NULL &&
        io->backend->tell_room(io, o, true) < 0) {
        sonic__udp_rest(u); /* ask it again, then */
        return;
    }
    o->bits2 |= SONIC__UDP_FULL;
    sonic__await(o, SONIC__WRITE);
}

/* There is room, and nothing to fill it with. */
static void
room_enough(sonic_udp *u)
{
    struct sonic__object *o = &u->object;

    o->bits2 &= (uint8_t)~SONIC__UDP_FULL;
    if (o->io->backend->tell_room != NULL)
        o->io->backend->tell_room(o->io, o, false);
}

/* A message was refused.  False when the rest has to wait. */
static bool
refused(sonic_udp *u, const struct batch *b, int err, bool again)
{
    const struct sonic__udp_out *r =
        sonic__udp_out_at(&u->queue, u->queue.next);

    switch (err) {
    case -EINTR:
        return true;
    case -EAGAIN:
        sonic__udp_await_room(u);
        return false;
    case -ENOBUFS:
    case -ENOMEM:
        sonic__udp_rest(u);
        return false;
    default:
        break;
    }
    if (b->count[0] > 1) { /* too large for the path, or not done here */
        u->gso_most = err == -EIO || err == -EOPNOTSUPP ? 0 : r->len;
        return true;
    }
    if (again || !sonic__udp_network_error(u, err, r->cb == NULL))
        done(u, 1, err);
    return true;
}

/* One at a time, where the seam has no batches. */
static int
send_one(sonic_udp *u, const struct batch *b)
{
    const sonic_sys *sys = u->object.io->sys;
    ssize_t n =
        sys->sendmsg(u->object.fd, &b->head[0].msg_hdr, MSG_NOSIGNAL, sys->ud);

    return n < 0 ? (int)n : 1;
}

static int
send_batch(sonic_udp *u, struct batch *b)
{
    const sonic_sys *sys = u->object.io->sys;
    int n;

    if (b->n == 1)
        return send_one(u, b);
    n = sys->sendmmsg(u->object.fd, b->head, b->n, MSG_NOSIGNAL, sys->ud);
    return n == -ENOSYS ? send_one(u, b) : n;
}

static void
sent(sonic_udp *u, const struct batch *b, unsigned n)
{
    size_t datagrams = 0;

    for (unsigned i = 0; i < n; i++) {
        datagrams += b->count[i];
        if (b->count[i] > 1)
            u->stats.segmented += b->count[i];
    }
    u->stats.sends++;
    u->backoff = 0;
    done(u, datagrams, 0);
}

/* Send what the system takes.  Nothing is called back here. */
void
sonic__udp_flush(sonic_udp *u)
{
    struct sonic__object *o = &u->object;
    const struct sonic__udp_out *failed = NULL;
    struct batch b;

    sonic__udp_queue_trim(&u->queue);
    while (u->queue.unsent > 0 && (o->ready & SONIC__WRITE) && o->fd >= 0 &&
           !sonic__timer_armed(&u->backoff_timer)) {
        const struct sonic__udp_out *r =
            sonic__udp_out_at(&u->queue, u->queue.next);
        int n;

        collect(u, &b);
        n = send_batch(u, &b);
        if (n > 0)
            sent(u, &b, (unsigned)n);
        else if (!refused(u, &b, n == 0 ? -EAGAIN : n, r == failed))
            return;
        failed = n < 0 && n != -EINTR ? r : NULL;
    }
    if (u->queue.unsent == 0 && (o->bits2 & SONIC__UDP_FULL) && o->fd >= 0)
        room_enough(u);
}
