/* UDP sockets: udp_recvmsg, udp_sendmsg, udp_poll and their siblings, as far
 * as a program can tell. */
#include "net.h"

#include <netinet/udp.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { HOLD = 20 * 1000, LONGEST = 65535, SEGMENTS = 128, GRO_MOST = 64 };

static struct sim_sock *
sock_of(struct sim_file *f)
{
    return SIM_ITEM(f, struct sim_sock, file);
}

int
sonic__sim_udp_new(struct sim_sock *s)
{
    struct sim_udp *u = sonic__sim_get(s->file.sim, sizeof *u);

    if (u == NULL)
        return -ENOMEM;
    u->sock = s;
    u->refs = 1;
    sim_list_init(&u->queue);
    s->udp = u;
    return 0;
}

void
sonic__sim_udp_unref(sonic_sim *sim, struct sim_udp *u)
{
    if (--u->refs == 0)
        sonic__sim_put(sim, u, sizeof *u);
}

static struct sim_packet *
first(const struct sim_udp *u)
{
    return SIM_ITEM(u->queue.next, struct sim_packet, queued);
}

static void
take_off(sonic_sim *sim, struct sim_udp *u, struct sim_packet *p)
{
    sim_list_remove(&p->queued);
    u->queued -= p->len + SIM_PACKET_COST;
    sonic__sim_packet_free(sim, p);
}

void
sonic__sim_udp_close(struct sim_sock *s)
{
    sonic_sim *sim = s->file.sim;
    struct sim_udp *u = s->udp;

    while (!sim_list_empty(&u->queue))
        take_off(sim, u, first(u));
    sonic__sim_mcast_leave_all(s);
    u->sock = NULL;
    s->udp = NULL;
    sonic__sim_udp_unref(sim, u);
}

/* ---- UDP_GRO: datagrams of a flow are joined before they are read ---- */

static bool
joins(const struct sim_packet *a, const struct sim_packet *b)
{
    size_t segment = a->segment > 0 ? a->segment : a->len;

    return sonic__sim_ip_equal(&a->from, &b->from) &&
           a->from.port == b->from.port &&
           sonic__sim_ip_equal(&a->to, &b->to) && a->iface == b->iface &&
           a->ttl == b->ttl && a->tos == b->tos && b->len > 0 &&
           b->len <= segment && a->len % segment == 0 &&
           a->len / segment < GRO_MOST && a->len + b->len <= LONGEST - 28;
}

/* Put p behind the datagram that came last, if chance has it. */
static bool
join(struct sim_sock *s, const struct sim_packet *p)
{
    sonic_sim *sim = s->file.sim;
    struct sim_udp *u = s->udp;
    struct sim_packet *last, *both;

    if (sonic__sim_option_int(s, IPPROTO_UDP, UDP_GRO) == 0 ||
        sim_list_empty(&u->queue))
        return false;
    last = SIM_ITEM(u->queue.prev, struct sim_packet, queued);
    if (!joins(last, p) || sonic__sim_rand_below(&sim->world, 4) == 0)
        return false;
    both = sonic__sim_packet_new(sim, last->len + p->len);
    if (both == NULL)
        return false;
    memcpy(both, last, sizeof *last + last->len);
    memcpy(both->data + last->len, p->data, p->len);
    both->segment = last->segment > 0 ? last->segment : (unsigned)last->len;
    both->len = last->len + p->len;
    take_off(sim, u, last);
    sim_list_push(&u->queue, &both->queued);
    u->queued += both->len + SIM_PACKET_COST;
    return true;
}

void
sonic__sim_udp_put(struct sim_sock *s, const struct sim_packet *p,
                   unsigned iface)
{
    sonic_sim *sim = s->file.sim;
    struct sim_udp *u = s->udp;
    size_t cost = p->len + SIM_PACKET_COST;
    struct sim_packet *copy = NULL;

    if (u->queued == 0 || u->queued + cost <= s->receive_buffer)
        copy = sonic__sim_packet_new(sim, p->len);
    if (copy == NULL) {
        u->lost++;
        sim->count.datagrams_overflowed++;
        sonic__sim_note(sim, SONIC_SIM_NET_OVERFLOWED, s->file.fd,
                        (int64_t)p->len, 0);
        return;
    }
    memcpy(copy, p, sizeof *p + p->len);
    copy->iface = iface;
    copy->arrived = sim->now;
    copy->lost = u->lost;
    if (join(s, copy)) {
        sonic__sim_packet_free(sim, copy);
    } else {
        sim_list_push(&u->queue, &copy->queued);
        u->queued += cost;
    }
    sim->count.datagrams_arrived++;
    sonic__sim_note(sim, SONIC_SIM_NET_ARRIVED, s->file.fd, (int64_t)p->len, 0);
    sonic__sim_wake(&s->file, SIM_IN);
}

/* ---- faults ---- */

static void
dgram_hold(struct sim_file *f, bool full)
{
    sonic_sim *sim = f->sim;
    struct sim_udp *u = sock_of(f)->udp;
    bool *hold = full ? &u->write_hold : &u->read_hold;
    int64_t t = (int64_t)sonic__sim_rand_below(&sim->world, HOLD);
    struct sim_event ev = {.when = sim->now + t, .udp = u};

    if (*hold)
        return;
    ev.what = full ? SIM_EV_UDP_WRITE : SIM_EV_UDP_READ;
    if (sonic__sim_schedule(sim, &ev) < 0)
        return;
    u->refs++;
    *hold = true;
}

void
sonic__sim_udp_event(const struct sim_event *ev)
{
    struct sim_udp *u = ev->udp;
    bool read = ev->what == SIM_EV_UDP_READ;

    if (read)
        u->read_hold = false;
    else
        u->write_hold = false;
    if (u->sock == NULL)
        return;
    if (read && !sim_list_empty(&u->queue))
        sonic__sim_wake(&u->sock->file, SIM_IN);
    else if (!read)
        sonic__sim_wake(&u->sock->file, SIM_OUT);
}

/* ---- readiness ---- */

static uint32_t
dgram_mask(struct sim_file *f)
{
    const struct sim_sock *s = sock_of(f);
    uint32_t mask = s->err != 0 ? EPOLLERR : 0;

    if (s->read_shut)
        mask |= SIM_IN | EPOLLRDHUP;
    if (s->read_shut && s->write_shut)
        mask |= EPOLLHUP;
    if (!sim_list_empty(&s->udp->queue) && !s->udp->read_hold)
        mask |= SIM_IN;
    if (!s->udp->write_hold)
        mask |= SIM_OUT | EPOLLWRBAND;
    return mask;
}

/* ---- receiving ---- */

static void
say_from(const struct sim_sock *s, struct msghdr *m, const struct sim_packet *p)
{
    struct sim_name name;

    if (m->msg_name == NULL)
        return;
    sonic__sim_name_from_ip(&name, s->family, &p->from);
    if (s->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&name.in6.sin6_addr))
        name.in6.sin6_scope_id = p->iface;
    sonic__sim_name_out(&name, s->family, m->msg_name, &m->msg_namelen);
}

static ssize_t
dgram_read(struct sim_file *f, struct msghdr *m, int flags)
{
    struct sim_sock *s = sock_of(f);
    struct sim_udp *u = s->udp;
    bool peek = (flags & MSG_PEEK) != 0;
    struct sim_packet *p;
    size_t n;

    if ((flags & MSG_ERRQUEUE) != 0)
        return -EAGAIN;
    if (s->err != 0)
        return sonic__sim_take_error(s);
    if (sim_list_empty(&u->queue) || u->read_hold) {
        if (!s->read_shut || !sonic__sim_blocks(f, flags))
            return -EAGAIN;
        m->msg_namelen = 0;
        m->msg_controllen = 0;
        m->msg_flags = 0;
        return 0;
    }
    if (!peek && SIM_CHANCE(f->sim, read_again)) {
        dgram_hold(f, false);
        return -EAGAIN;
    }
    p = first(u);
    n = sonic__sim_iov_len(m);
    m->msg_flags = n < p->len ? MSG_TRUNC : 0;
    if (n > p->len)
        n = p->len;
    sonic__sim_iov_put(m, 0, p->data, n);
    say_from(s, m, p);
    sonic__sim_control_out(s, m, p);
    if ((flags & MSG_TRUNC) != 0)
        n = p->len;
    if (!peek) {
        f->sim->count.datagrams_read +=
            p->segment > 0 ? (p->len - 1) / p->segment + 1 : 1;
        take_off(f->sim, u, p);
    }
    return (ssize_t)n;
}

/* ---- sending ---- */

/* What the network layer says to a datagram, in its order. */
static int
refuse(struct sim_sock *s, const struct sim_sending *to, size_t len)
{
    bool v4 = sonic__sim_ip_is_v4(&to->to);
    size_t most = v4 ? LONGEST - 28 : LONGEST - 8;

    if (s->err != 0)
        return sonic__sim_take_error(s);
    if (s->write_shut)
        return -EPIPE;
    if (to->segment == 0)
        return len > most ? -EMSGSIZE : 0;
    if (to->segment > len)
        return 0;
    return len > most || len > (size_t)to->segment * SEGMENTS ? -EINVAL : 0;
}

static int
launch(struct sim_sock *s, const struct msghdr *m, size_t at, size_t n,
       const struct sim_sending *to)
{
    sonic_sim *sim = s->file.sim;
    struct sim_packet *p = sonic__sim_packet_new(sim, n);

    if (p == NULL)
        return -ENOBUFS;
    p->from = to->from;
    p->to = to->to;
    p->iface = to->iface;
    p->ttl = (unsigned)to->ttl;
    p->tos = (unsigned)to->tos;
    p->loop =
        s->family == AF_INET6 && !sonic__sim_ip_is_v4(&to->to)
            ? sonic__sim_option_int(s, IPPROTO_IPV6, IPV6_MULTICAST_LOOP) != 0
            : sonic__sim_option_int(s, IPPROTO_IP, IP_MULTICAST_LOOP) != 0;
    sonic__sim_iov_get(m, at, p->data, n);
    return sonic__sim_launch(sim, p);
}

static ssize_t
dgram_write(struct sim_file *f, const struct msghdr *m, int flags)
{
    struct sim_sock *s = sock_of(f);
    size_t len = sonic__sim_iov_len(m), at = 0, n;
    struct sim_sending to;
    int err = 0;

    if (s->local.len == 0 && sonic__sim_autobind(s, NULL) < 0)
        return -EAGAIN;
    if (len > LONGEST)
        return -EMSGSIZE;
    if ((flags & MSG_OOB) != 0 && s->family == AF_INET)
        return -EOPNOTSUPP;
    if ((err = sonic__sim_send_to(s, m, &to)) < 0 ||
        (err = refuse(s, &to, len)) < 0)
        return err;
    if (s->udp->write_hold)
        return -EAGAIN;
    if (SIM_CHANCE(f->sim, write_again)) {
        dgram_hold(f, true);
        return -EAGAIN;
    }
    if (SIM_CHANCE(f->sim, datagram_nobufs))
        return -ENOBUFS;
    do {
        n = len - at;
        if (to.segment > 0 && n > to.segment)
            n = to.segment;
        err = launch(s, m, at, n, &to);
        at += n;
    } while (err == 0 && at < len);
    /* It has left: sock_wfree() says that there is room. */
    sonic__sim_wake(f, SIM_OUT | EPOLLWRBAND);
    return err < 0 ? err : (ssize_t)len;
}

static void
dgram_close(struct sim_file *f)
{
    sonic__sim_sock_free(sock_of(f));
}

const struct sim_ops sonic__sim_dgram_ops = {
    .mask = dgram_mask,
    .read = dgram_read,
    .write = dgram_write,
    .close = dgram_close,
    .hold = dgram_hold,
    .socket = true,
};

/* ---- connecting: the address that is sent to and received from ---- */

static void
disconnect(struct sim_sock *s)
{
    struct sim_ip ip;

    memset(&s->remote, 0, sizeof s->remote);
    s->state = SIM_FRESH;
    if (!s->udp->fixed_address && sonic__sim_name_ip(&s->local, &ip)) {
        uint16_t port = ip.port;

        sonic__sim_ip_any(&ip, s->family);
        ip.port = port;
        sonic__sim_name_from_ip(&s->local, s->family, &ip);
    }
    if (!s->udp->fixed_port)
        sonic__sim_unbind(s);
}

int
sonic__sim_udp_connect(struct sim_sock *s, const struct sockaddr *a,
                       socklen_t len)
{
    struct sim_sending to = {.ttl = -1, .tos = -1};
    struct sim_name name;
    struct sim_ip ip;
    int err;

    if (len < sizeof a->sa_family)
        return -EINVAL;
    if (a->sa_family == AF_UNSPEC) {
        disconnect(s);
        return 0;
    }
    if (s->local.len == 0 && sonic__sim_autobind(s, NULL) < 0)
        return -EAGAIN;
    if ((err = sonic__sim_name_to(s, &name, a, len)) < 0)
        return err;
    sonic__sim_name_ip(&name, &to.to);
    if (s->family == AF_INET6)
        to.scope = name.in6.sin6_scope_id;
    if ((err = sonic__sim_route_out(s, &to)) < 0)
        return err;
    sonic__sim_name_ip(&s->local, &ip);
    if (sonic__sim_ip_is_any(&ip)) {
        memcpy(ip.addr, to.from.addr, sizeof ip.addr);
        sonic__sim_name_from_ip(&s->local, s->family, &ip);
    }
    s->remote = name;
    s->state = SIM_CONNECTED;
    return 0;
}

int
sonic__sim_udp_shutdown(struct sim_sock *s, int how)
{
    /* inet_shutdown() does so even where it says that it does not. */
    s->read_shut |= how != SHUT_WR;
    s->write_shut |= how != SHUT_RD;
    sonic__sim_wake(&s->file, 0);
    return s->state == SIM_CONNECTED ? 0 : -ENOTCONN;
}
