/* Memory that datagrams are received into, and what the kernel tells of them.
 * recvmmsg(2), ip(7), ipv6(7), udp(7), socket(7). */
#include "net/udp.h"

#include <netinet/udp.h>
#include <string.h>

/* Slots are apart by this much more than they are long, so that the first
 * bytes of each, which are what is looked at, do not all fall into one set of
 * the caches. */
enum { LINE = SONIC__UDP_LINE, SKEW = 5 * LINE };

static size_t
align(size_t n)
{
    return (n + LINE - 1) & ~(size_t)(LINE - 1);
}

/* Where the parts lie behind the struct. */
struct shape {
    size_t heads, iov, slots, views, data, stride, bytes;
};

static struct shape
shape_of(unsigned batch, unsigned views, size_t datagram_max)
{
    struct shape s;

    s.heads = align(sizeof(struct sonic__udp_ring));
    s.iov = align(s.heads + batch * sizeof(struct mmsghdr));
    s.slots = align(s.iov + batch * sizeof(struct iovec));
    s.views = align(s.slots + batch * sizeof(struct sonic__udp_slot));
    s.data = align(s.views + views * sizeof(sonic_datagram));
    s.stride = align(datagram_max) + SKEW;
    s.bytes = s.data + batch * s.stride;
    return s;
}

static void
init_slot(struct sonic__udp_ring *r, unsigned i, uint8_t *data)
{
    struct sonic__udp_slot *s = &r->slot[i];
    struct msghdr *m = &r->heads[i].msg_hdr;

    r->iov[i].iov_base = data;
    r->iov[i].iov_len = r->datagram_max;
    m->msg_name = r->nameless ? NULL : &s->from.storage;
    m->msg_iov = &r->iov[i];
    m->msg_iovlen = 1;
    m->msg_control = s->control;
}

/* The bytes of the slots are left as they come: pages exist when touched. */
static struct sonic__udp_ring *
make(sonic_udp *u, unsigned views)
{
    sonic_io *io = u->object.io;
    struct shape s = shape_of(u->batch, views, u->datagram_max);
    uint8_t *p = io->mem.alloc(s.bytes + LINE, io->mem.ud), *base;
    struct sonic__udp_ring *r = (void *)p;

    if (p == NULL)
        return NULL;
    base = (uint8_t *)align((size_t)(uintptr_t)p + s.heads) - s.heads;
    memset(p, 0, s.data + LINE);
    r->bytes = s.bytes + LINE;
    r->batch = u->batch;
    r->views = views;
    r->nameless = (u->object.bits2 & SONIC__UDP_NAMELESS) != 0;
    r->datagram_max = u->datagram_max;
    r->heads = (void *)(base + s.heads);
    r->iov = (void *)(base + s.iov);
    r->slot = (void *)(base + s.slots);
    r->view = (void *)(base + s.views);
    for (unsigned i = 0; i < r->batch; i++)
        init_slot(r, i, base + s.data + i * s.stride);
    r->used = r->batch; /* to be made ready */
    return r;
}

struct sonic__udp_ring *
sonic__udp_ring_take(sonic_udp *u)
{
    sonic_io *io = u->object.io;
    struct sonic__udp_ring **p = &io->spare_rings, *r;
    unsigned views = u->batch;
    bool nameless = (u->object.bits2 & SONIC__UDP_NAMELESS) != 0;

    if ((u->object.bits2 & SONIC__UDP_GRO) && views < SONIC__UDP_VIEWS)
        views = SONIC__UDP_VIEWS;
    for (; (r = *p) != NULL; p = &r->next) {
        if (r->batch != u->batch || r->datagram_max != u->datagram_max ||
            r->views != views || r->nameless != nameless)
            continue;
        *p = r->next;
        return r;
    }
    return make(u, views);
}

void
sonic__udp_ring_give(sonic_udp *u, struct sonic__udp_ring *r)
{
    sonic_io *io = u->object.io;

    r->next = io->spare_rings;
    io->spare_rings = r;
}

void
sonic__udp_rings_free(sonic_io *io)
{
    while (io->spare_rings != NULL) {
        struct sonic__udp_ring *r = io->spare_rings;

        io->spare_rings = r->next;
        sonic__free(io, r, r->bytes);
    }
}

/* The kernel writes over these. */
static void
make_ready(struct sonic__udp_ring *r)
{
    for (unsigned i = 0; i < r->used; i++) {
        struct msghdr *m = &r->heads[i].msg_hdr;

        m->msg_namelen = r->nameless ? 0 : sizeof(struct sockaddr_storage);
        m->msg_controllen = SONIC__UDP_CONTROL;
        m->msg_flags = 0;
    }
    r->used = r->at = 0;
    r->offset = 0;
}

/* One at a time, where the seam has no batches. */
static int
receive_one(sonic_udp *u, struct sonic__udp_ring *r)
{
    const sonic_sys *sys = u->object.io->sys;
    ssize_t n =
        sys->recvmsg(u->object.fd, &r->heads[0].msg_hdr, MSG_TRUNC, sys->ud);

    if (n < 0)
        return (int)n;
    r->heads[0].msg_len = (unsigned)n;
    u->object.ready |= SONIC__HUP; /* there may be more */
    return 1;
}

/* How many datagrams came; 0: none now; or an error. */
int
sonic__udp_ring_receive(sonic_udp *u, struct sonic__udp_ring *r)
{
    struct sonic__object *o = &u->object;
    const sonic_sys *sys = o->io->sys;
    int n;

    make_ready(r);
    n = sys->recvmmsg(o->fd, r->heads, r->batch, MSG_TRUNC, sys->ud);
    if (n == -ENOSYS)
        n = receive_one(u, r);
    if (n <= 0)
        return sonic__udp_receive_judge(u, n == 0 ? -EAGAIN : n);
    u->stats.receives++;
    if ((uint64_t)n > u->stats.batch_most)
        u->stats.batch_most = (uint64_t)n;
    if ((unsigned)n < r->batch && !(o->ready & SONIC__HUP))
        sonic__await(o, SONIC__READ);
    r->used = (unsigned)n;
    return n;
}

/* ---- what the kernel tells -------------------------------------------- */

static int64_t
nanoseconds(const uint8_t *p, size_t size)
{
    int64_t v[2];
    int32_t w[2];

    if (size == sizeof w) {
        memcpy(w, p, sizeof w);
        v[0] = w[0];
        v[1] = w[1];
    } else {
        memcpy(v, p, sizeof v);
    }
    return v[0] * INT64_C(1000000000) + v[1];
}

/* Three times: by the kernel, one that is no more, and by the NIC.  As wide as
 * the system has them. */
static void
hear_times(struct sonic__udp_told *told, const uint8_t *p, size_t len)
{
    size_t size = len / 3;

    if (len != 3 * 8 && len != 3 * 16)
        return;
    told->timestamp = nanoseconds(p, size);
    told->hardware_time = nanoseconds(p + 2 * size, size);
}

static void
hear_drops(sonic_udp *u, const uint8_t *p)
{
    uint32_t now;

    memcpy(&now, p, sizeof now);
    u->stats.kernel_drops += (uint32_t)(now - u->dropped); /* it goes round */
    u->dropped = now;
}

static void
hear_socket(sonic_udp *u, const struct cmsghdr *c, const uint8_t *p,
            struct sonic__udp_told *told)
{
    size_t len = c->cmsg_len - CMSG_LEN(0);

    if (c->cmsg_type == SO_RXQ_OVFL)
        hear_drops(u, p);
    else if (c->cmsg_type == SCM_TIMESTAMPING)
        hear_times(told, p, len);
    else if (c->cmsg_type == SCM_TIMESTAMPNS && (len == 8 || len == 16))
        told->timestamp = nanoseconds(p, len);
}

static void
hear_v4(const sonic_udp *u, const uint8_t *p, struct sonic__udp_told *told,
        sonic_address *to)
{
    struct sockaddr_in *sin = (void *)&to->storage;
    struct in_pktinfo info;

    memcpy(&info, p, sizeof info);
    told->interface = (unsigned)info.ipi_ifindex;
    sin->sin_family = AF_INET;
    sin->sin_port = u->port;
    sin->sin_addr = info.ipi_addr;
    to->len = sizeof *sin;
}

static void
hear_v6(const sonic_udp *u, const uint8_t *p, struct sonic__udp_told *told,
        sonic_address *to)
{
    struct sockaddr_in6 *sin6 = (void *)&to->storage;
    struct in6_pktinfo info;

    memcpy(&info, p, sizeof info);
    told->interface = (unsigned)info.ipi6_ifindex;
    sin6->sin6_family = AF_INET6;
    sin6->sin6_port = u->port;
    sin6->sin6_flowinfo = 0;
    sin6->sin6_addr = info.ipi6_addr;
    sin6->sin6_scope_id = 0;
    if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ||
        IN6_IS_ADDR_MC_LINKLOCAL(&info.ipi6_addr))
        sin6->sin6_scope_id = (uint32_t)info.ipi6_ifindex;
    to->len = sizeof *sin6;
}

/* Where it was sent to, and the rest into *told; NULL: that is not told. */
const sonic_address *
sonic__udp_hear(sonic_udp *u, struct msghdr *m, struct sonic__udp_told *told,
                sonic_address *to)
{
    const sonic_address *heard = NULL;

    memset(told, 0, sizeof *told);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
         c = CMSG_NXTHDR(m, c)) {
        const uint8_t *p = CMSG_DATA(c);
        int segment;

        if (c->cmsg_level == SOL_SOCKET) {
            hear_socket(u, c, p, told);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            hear_v4(u, p, told, to);
            heard = to;
        } else if (c->cmsg_level == IPPROTO_IPV6 &&
                   c->cmsg_type == IPV6_PKTINFO) {
            hear_v6(u, p, told, to);
            heard = to;
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&segment, p, sizeof segment);
            told->segment = segment > 0 ? (unsigned)segment : 0;
        }
    }
    told->drops = u->stats.kernel_drops;
    return heard;
}

/* ---- what the caller is shown ----------------------------------------- */

const sonic_address sonic__udp_nowhere;

/* What of a slot is told the first time that it is looked at. */
static void
hear(sonic_udp *u, struct sonic__udp_slot *s, struct msghdr *m,
     sonic_datagram *d, struct sonic__udp_told *told)
{
    const sonic_address *to = sonic__udp_hear(u, m, told, &s->to);

    d->from = &sonic__udp_nowhere;
    if (m->msg_namelen > 0) {
        s->from.len = m->msg_namelen;
        d->from = &s->from;
    }
    d->to = to != NULL ? to : &sonic__udp_nowhere;
    d->interface = told->interface;
    d->timestamp = told->timestamp;
    d->hardware_time = told->hardware_time;
    d->drops = told->drops;
}

/* The datagrams of the slot that is due, which holds several where the kernel
 * joined them, into view[n...], until that is full.  Returns the new n. */
static unsigned
show(sonic_udp *u, struct sonic__udp_ring *r, unsigned n)
{
    struct sonic__udp_slot *s = &r->slot[r->at];
    struct mmsghdr *h = &r->heads[r->at];
    uint8_t *data = r->iov[r->at].iov_base;
    size_t have = h->msg_len < r->datagram_max ? h->msg_len : r->datagram_max;
    sonic_datagram *d = &r->view[n];
    struct sonic__udp_told told;

    hear(u, s, &h->msg_hdr, d, &told);
    while (told.segment > 0 && have - r->offset > told.segment) {
        d->data = data + r->offset;
        d->len = d->sent = told.segment;
        d->truncated = false;
        r->offset += told.segment;
        u->stats.joined++;
        if (++n == r->views)
            return n;
        r->view[n] = *d;
        d = &r->view[n];
    }
    d->data = data + r->offset;
    d->len = have - r->offset;
    d->sent = h->msg_len - r->offset;
    d->truncated = d->sent > d->len || (h->msg_hdr.msg_flags & MSG_TRUNC) != 0;
    u->stats.truncated += d->truncated;
    u->stats.joined += told.segment > 0;
    u->stats.bytes_in += have;
    r->offset = 0;
    r->at++;
    return n + 1;
}

/* Fill r->view; how many. */
unsigned
sonic__udp_ring_show(sonic_udp *u, struct sonic__udp_ring *r)
{
    unsigned n = 0;

    while (r->at < r->used && n < r->views)
        n = show(u, r, n);
    u->stats.datagrams_in += n;
    return n;
}
