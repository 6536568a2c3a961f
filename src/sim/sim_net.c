/* The way of a datagram.  Those to one address go one way, in their order;
 * where it ends, every socket that wants it gets a copy. */
#include "net.h"

/* The way to an address. */
struct sim_way {
    struct sim_list all;
    struct sim_ip to;
    int64_t last; /* arrival */
    int64_t skew; /* what it takes longer than others */
};

struct sim_packet *
sonic__sim_packet_new(sonic_sim *sim, size_t len)
{
    struct sim_packet *p = sonic__sim_get(sim, sizeof *p + len);

    if (p == NULL)
        return NULL;
    p->len = len;
    sim_list_init(&p->queued);
    return p;
}

void
sonic__sim_packet_free(sonic_sim *sim, struct sim_packet *p)
{
    sonic__sim_put(sim, p, sizeof *p + p->len);
}

static struct sim_way *
find_way(sonic_sim *sim, const struct sim_ip *to)
{
    struct sim_list *l;
    struct sim_way *w;

    for (l = sim->ways.next; l != &sim->ways; l = l->next) {
        w = SIM_ITEM(l, struct sim_way, all);
        if (sonic__sim_ip_equal(&w->to, to))
            return w;
    }
    w = sonic__sim_get(sim, sizeof *w);
    if (w == NULL)
        return NULL;
    w->to = *to;
    sim_list_push(&sim->ways, &w->all);
    return w;
}

void
sonic__sim_ways_free(sonic_sim *sim)
{
    while (!sim_list_empty(&sim->ways)) {
        struct sim_way *w = SIM_ITEM(sim->ways.next, struct sim_way, all);

        sim_list_remove(&w->all);
        sonic__sim_put(sim, w, sizeof *w);
    }
}

static const struct sim_route *
route_to(sonic_sim *sim, const struct sim_ip *to)
{
    struct sim_name name;

    sonic__sim_name_from_ip(&name, AF_INET6, to);
    return sonic__sim_find_route(sim, &name);
}

static int64_t
up_to(sonic_sim *sim, int64_t most)
{
    return (int64_t)sonic__sim_rand_below(&sim->world, (uint64_t)most + 1);
}

static int64_t
arrival(sonic_sim *sim, struct sim_way *w, const struct sim_packet *p)
{
    const struct sim_route *route = route_to(sim, &p->to);
    int64_t t = sim->now;

    if (SIM_CHANCE(sim, skew)) {
        w->skew = up_to(sim, sim->opt.skew_delay);
        sonic__sim_note(sim, SONIC_SIM_NET_SKEWED, -1, (int64_t)p->len,
                        w->skew);
    }
    t += sonic__sim_latency(sim, route != NULL ? route->delay : 0) + w->skew;
    if (SIM_CHANCE(sim, reorder)) {
        sonic__sim_note(sim, SONIC_SIM_NET_REORDERED, -1, (int64_t)p->len, 0);
        return t + up_to(sim, sim->opt.reorder_delay);
    }
    if (t > w->last)
        w->last = t;
    return w->last;
}

static int
send_copy(sonic_sim *sim, const struct sim_packet *p, int64_t when)
{
    struct sim_event ev = {.when = when, .what = SIM_EV_PACKET};
    int err;

    ev.packet = sonic__sim_packet_new(sim, p->len);
    if (ev.packet == NULL)
        return -ENOBUFS;
    memcpy(ev.packet, p, sizeof *p + p->len);
    err = sonic__sim_schedule(sim, &ev);
    if (err < 0)
        sonic__sim_packet_free(sim, ev.packet);
    return err;
}

int
sonic__sim_launch(sonic_sim *sim, struct sim_packet *p)
{
    struct sim_way *w = find_way(sim, &p->to);
    struct sim_event ev = {.what = SIM_EV_PACKET, .packet = p};
    size_t i;
    int err = w != NULL ? 0 : -ENOBUFS;

    if (err == 0) {
        ev.when = arrival(sim, w, p);
        err = sonic__sim_schedule(sim, &ev);
    }
    if (err < 0) {
        sonic__sim_packet_free(sim, p);
        return err;
    }
    sim->count.datagrams_sent++;
    for (i = 0; i < p->len; i++)
        sim->hash = sonic__sim_mix(sim->hash, p->data[i]);
    if (!SIM_CHANCE(sim, duplicate))
        return 0;
    sonic__sim_note(sim, SONIC_SIM_NET_DUPLICATED, -1, (int64_t)p->len, 0);
    return send_copy(sim, p, ev.when + up_to(sim, sim->opt.reorder_delay));
}

/* ---- the end of the way ---- */

static struct sim_sock *
next_udp(sonic_sim *sim, struct sim_list **l)
{
    while ((*l = (*l)->next) != &sim->bound) {
        struct sim_sock *s = SIM_ITEM(*l, struct sim_sock, bound);

        if (s->udp != NULL)
            return s;
    }
    return NULL;
}

/* How well a socket fits, as compute_score() has it; 0: not at all. */
static unsigned
score(const struct sim_sock *s, const struct sim_packet *p, unsigned iface)
{
    unsigned n = s->family == AF_INET ? 2 : 1;
    struct sim_ip remote;
    bool exactly;

    if (!sonic__sim_covers(s, &p->to, &exactly))
        return 0;
    if (s->udp->device != 0 && s->udp->device != iface)
        return 0;
    n += exactly ? 64 : 0; /* looked for first */
    n += s->udp->device != 0 ? 4 : 0;
    if (s->state != SIM_CONNECTED)
        return n;
    if (!sonic__sim_name_ip(&s->remote, &remote) ||
        !sonic__sim_ip_equal(&remote, &p->from) || remote.port != p->from.port)
        return 0;
    return n + 8;
}

/* One flow always goes to the same of SO_REUSEPORT's sockets. */
static uint64_t
flow(const struct sim_packet *p)
{
    uint64_t h = sonic__sim_mix(p->from.port, p->to.port);
    size_t i;

    for (i = 0; i < sizeof p->from.addr; i++)
        h = sonic__sim_mix(h, (uint64_t)p->from.addr[i] << 8 | p->to.addr[i]);
    return h >> 32;
}

/* The one socket that a unicast is for, or NULL.  Among equals it is the last
 * one bound, or with SO_REUSEPORT any. */
static struct sim_sock *
find_one(sonic_sim *sim, const struct sim_packet *p, unsigned iface)
{
    struct sim_list *l = &sim->bound;
    struct sim_sock *s, *best = NULL;
    unsigned best_score = 0;
    uint64_t n = 0;

    while ((s = next_udp(sim, &l)) != NULL) {
        unsigned k = score(s, p, iface);

        if (k == 0 || k < best_score)
            continue;
        if (k > best_score)
            n = 0;
        best_score = k;
        n++;
        if (sonic__sim_option_int(s, SOL_SOCKET, SO_REUSEPORT) == 0 ||
            s->state == SIM_CONNECTED || n == 1 || flow(p) % n == 0)
            best = s;
    }
    return best;
}

static void
deliver(struct sim_sock *s, const struct sim_packet *p, unsigned iface)
{
    sonic_sim *sim = s->file.sim;

    if (SIM_CHANCE(sim, drop))
        sonic__sim_note(sim, SONIC_SIM_NET_DROPPED, s->file.fd, (int64_t)p->len,
                        0);
    else
        sonic__sim_udp_put(s, p, iface);
}

/* All that listen, on one interface. */
static unsigned
deliver_to_all(sonic_sim *sim, const struct sim_packet *p, unsigned iface)
{
    bool group = sonic__sim_ip_is_multicast(&p->to), v4;
    struct sim_list *l = &sim->bound;
    struct sim_sock *s;
    unsigned n = 0;

    if (group && !sonic__sim_mcast_heard(sim, p, iface))
        return 0;
    v4 = sonic__sim_ip_is_v4(&p->to);
    while ((s = next_udp(sim, &l)) != NULL) {
        if (score(s, p, iface) == 0 || (!v4 && s->family == AF_INET) ||
            (group && !sonic__sim_mcast_wanted(s, p, iface)))
            continue;
        deliver(s, p, iface);
        n++;
    }
    return n;
}

static unsigned
arrive_multicast(sonic_sim *sim, const struct sim_packet *p)
{
    unsigned wire = sonic__sim_iface(sim, p->iface)->wire, i, n = 0;

    if (p->loop)
        n = deliver_to_all(sim, p, p->iface);
    if (p->ttl == 0 || p->iface == SIM_LOOPBACK)
        return n;
    for (i = SIM_LOOPBACK + 1; i <= sim->n_ifaces; i++) {
        if (i != p->iface && sonic__sim_iface(sim, i)->wire == wire)
            n += deliver_to_all(sim, p, i);
    }
    return n;
}

static void
bounce(sonic_sim *sim, const struct sim_packet *p, unsigned iface, int err)
{
    struct sim_event ev = {.what = SIM_EV_ICMP, .arg = (uint64_t)err};

    ev.packet = sonic__sim_packet_new(sim, 0);
    if (ev.packet == NULL)
        return;
    ev.packet->from = p->to; /* where an answer would come from */
    ev.packet->to = p->from;
    ev.packet->iface = iface;
    ev.when = sim->now + sonic__sim_latency(sim, 0);
    if (sonic__sim_schedule(sim, &ev) < 0)
        sonic__sim_packet_free(sim, ev.packet);
}

static void
arrive(sonic_sim *sim, const struct sim_packet *p)
{
    const struct sim_route *route = route_to(sim, &p->to);
    enum sonic_sim_route what = route != NULL ? route->what : SONIC_SIM_NORMAL;
    bool one = !sonic__sim_ip_is_multicast(&p->to) &&
               !sonic__sim_ip_is_broadcast(&p->to);
    unsigned iface = sonic__sim_iface_by_ip(sim, &p->to), n = 0;
    struct sim_sock *s;

    if (iface == 0)
        iface = SIM_LOOPBACK;
    if (what != SONIC_SIM_NORMAL) {
        if (one && what == SONIC_SIM_REFUSE)
            bounce(sim, p, iface, ECONNREFUSED);
        else if (one && what == SONIC_SIM_UNREACHABLE)
            bounce(sim, p, iface, EHOSTUNREACH);
    } else if (!one) {
        n = sonic__sim_ip_is_multicast(&p->to)
                ? arrive_multicast(sim, p)
                : deliver_to_all(sim, p, SIM_LOOPBACK);
    } else if ((s = find_one(sim, p, iface)) != NULL) {
        deliver(s, p, iface);
        n = 1;
    } else {
        bounce(sim, p, iface, ECONNREFUSED);
    }
    if (n > 0)
        return;
    sim->count.datagrams_unwanted++;
    sonic__sim_note(sim, SONIC_SIM_NET_UNWANTED, -1, (int64_t)p->len, 0);
}

/* udp_err(): only what is final is told, and to connected sockets, unless they
 * asked for all of it. */
static void
tell(struct sim_sock *s, int err)
{
    bool all = s->family == AF_INET6
                   ? sonic__sim_option_int(s, IPPROTO_IPV6, IPV6_RECVERR) != 0
                   : sonic__sim_option_int(s, IPPROTO_IP, IP_RECVERR) != 0;

    if (!all && (err != ECONNREFUSED || s->state != SIM_CONNECTED))
        return;
    s->err = err;
    sonic__sim_wake(&s->file, EPOLLERR);
}

void
sonic__sim_net_event(sonic_sim *sim, const struct sim_event *ev)
{
    struct sim_sock *s;

    if (ev->what == SIM_EV_PACKET) {
        arrive(sim, ev->packet);
        return;
    }
    s = find_one(sim, ev->packet, ev->packet->iface);
    if (s != NULL)
        tell(s, (int)ev->arg);
}
