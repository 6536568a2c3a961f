/* Groups: ip_mc_join_group, ip_mc_source, ip_mc_sf_allow and their siblings
 * for IPv6, with their order of checks. */
#include "net.h"

enum { V4_GROUPS = 20, V4_SOURCES = 10, V6_SOURCES = SIM_FILTER_MAX };

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

bool
sonic__sim_ip_is_multicast(const struct sim_ip *ip)
{
    return sonic__sim_ip_is_v4(ip) ? (ip->addr[12] & 0xf0) == 0xe0
                                   : ip->addr[0] == 0xff;
}

bool
sonic__sim_ip_is_broadcast(const struct sim_ip *ip)
{
    static const uint8_t all[4] = {255, 255, 255, 255};

    return sonic__sim_ip_is_v4(ip) && memcmp(ip->addr + 12, all, 4) == 0;
}

/* ---- who listens to what ---- */

static bool
has_source(const struct sim_member *m, const struct sim_ip *source,
           unsigned *at)
{
    for (*at = 0; *at < m->n; ++*at) {
        if (sonic__sim_ip_equal(&m->sources[*at], source))
            return true;
    }
    return false;
}

static bool
takes(const struct sim_member *m, const struct sim_ip *from)
{
    unsigned at;

    return has_source(m, from, &at) == m->include;
}

/* For IPv6, a socket's own filter is that of the group on any interface. */
bool
sonic__sim_mcast_wanted(const struct sim_sock *s, const struct sim_packet *p,
                        unsigned iface)
{
    bool v4 = sonic__sim_ip_is_v4(&p->to);
    const struct sim_member *m = s->udp->members;

    while (m != NULL && (!sonic__sim_ip_equal(&m->group, &p->to) ||
                         (v4 && m->iface != iface)))
        m = m->next;
    if (m != NULL)
        return takes(m, &p->from);
    if (v4)
        return sonic__sim_option_int(s, IPPROTO_IP, IP_MULTICAST_ALL) != 0;
    return sonic__sim_option_int(s, IPPROTO_IPV6, IPV6_MULTICAST_ALL) != 0;
}

bool
sonic__sim_mcast_heard(const sonic_sim *sim, const struct sim_packet *p,
                       unsigned iface)
{
    size_t fd;

    for (fd = 0; fd < sim->files_max; fd++) {
        const struct sim_sock *s;
        const struct sim_member *m;

        if (sim->files[fd] == NULL ||
            sim->files[fd]->ops != &sonic__sim_dgram_ops)
            continue;
        s = SIM_ITEM(sim->files[fd], const struct sim_sock, file);
        for (m = s->udp->members; m != NULL; m = m->next) {
            if (m->iface == iface && sonic__sim_ip_equal(&m->group, &p->to) &&
                takes(m, &p->from))
                return true;
        }
    }
    return false;
}

/* ---- joining and leaving ---- */

/* What is asked for, whichever of the structs it came in. */
struct request {
    struct sim_ip group, source;
    unsigned iface; /* 0: not said */
    bool v4;
};

static struct sim_member **
find(struct sim_udp *u, const struct request *r)
{
    struct sim_member **m = &u->members;

    while (*m != NULL && (!sonic__sim_ip_equal(&(*m)->group, &r->group) ||
                          (r->iface != 0 && (*m)->iface != r->iface)))
        m = &(*m)->next;
    return m;
}

/* The interface for a group where none is named, as the routes have it; 0:
 * there is no such interface. */
static unsigned
find_device(const sonic_sim *sim, const struct request *r)
{
    if (r->iface == 0)
        return sonic__sim_iface_default(sim);
    return sonic__sim_iface(sim, r->iface) != NULL ? r->iface : 0;
}

static int
join(struct sim_sock *s, const struct request *asked, bool include)
{
    sonic_sim *sim = s->file.sim;
    struct request r = *asked;
    struct sim_member *m;
    unsigned n = 0;

    if (!sonic__sim_ip_is_multicast(&r.group))
        return -EINVAL;
    if (!r.v4 && *find(s->udp, asked) != NULL)
        return -EADDRINUSE;
    r.iface = find_device(sim, asked);
    if (r.iface == 0)
        return -ENODEV;
    if (*find(s->udp, &r) != NULL)
        return -EADDRINUSE;
    for (m = s->udp->members; m != NULL; m = m->next)
        n += sonic__sim_ip_is_v4(&m->group);
    if (r.v4 && n >= V4_GROUPS)
        return -ENOBUFS;
    m = sonic__sim_get(sim, sizeof *m);
    if (m == NULL)
        return -ENOBUFS;
    m->group = r.group;
    m->iface = r.iface;
    m->include = include;
    m->next = s->udp->members;
    s->udp->members = m;
    return 0;
}

static void
leave_one(sonic_sim *sim, struct sim_member **at)
{
    struct sim_member *m = *at;

    *at = m->next;
    sonic__sim_put(sim, m, sizeof *m);
}

static int
leave(struct sim_sock *s, const struct request *asked)
{
    struct request r = *asked;
    struct sim_member **m;

    if (!r.v4 && !sonic__sim_ip_is_multicast(&r.group))
        return -EINVAL;
    if (r.v4 && r.iface == 0)
        r.iface = find_device(s->file.sim, asked);
    m = find(s->udp, &r);
    if (*m == NULL)
        return -EADDRNOTAVAIL;
    leave_one(s->file.sim, m);
    return 0;
}

void
sonic__sim_mcast_leave_all(struct sim_sock *s)
{
    while (s->udp->members != NULL)
        leave_one(s->file.sim, &s->udp->members);
}

static int
add_source(struct sim_member *m, const struct request *r)
{
    unsigned at;

    if (m->n >= (r->v4 ? V4_SOURCES : V6_SOURCES))
        return -ENOBUFS;
    if (has_source(m, &r->source, &at))
        return -EADDRNOTAVAIL;
    m->sources[m->n++] = r->source;
    m->filter = true;
    return 0;
}

static int
change_sources(struct sim_sock *s, struct request r, bool add, bool include)
{
    struct sim_member **found, *m;
    unsigned at;

    if (!sonic__sim_ip_is_multicast(&r.group))
        return -EINVAL;
    if (r.v4)
        r.iface = find_device(s->file.sim, &r);
    if (r.v4 ? r.iface == 0 : find_device(s->file.sim, &r) == 0)
        return -ENODEV;
    found = find(s->udp, &r);
    m = *found;
    if (m == NULL || (m->filter && m->include != include))
        return -EINVAL;
    m->include = include; /* an empty filter may change its mode */
    if (add)
        return add_source(m, &r);
    if (!has_source(m, &r.source, &at))
        return -EADDRNOTAVAIL;
    if (include && m->n == 1) { /* only nothing: the same as not to be in it */
        leave_one(s->file.sim, found);
        return 0;
    }
    m->n--;
    memmove(&m->sources[at], &m->sources[at + 1],
            (m->n - at) * sizeof *m->sources);
    return 0;
}

static int
join_source(struct sim_sock *s, const struct request *r)
{
    int err = join(s, r, true);

    if (err < 0 && err != -EADDRINUSE)
        return err;
    return change_sources(s, *r, true, true);
}

/* ---- what programs ask with ---- */

static void
from_v4(struct sim_ip *ip, const struct in_addr *a)
{
    sonic__sim_ip_any(ip, AF_INET);
    memcpy(ip->addr + 12, a, 4);
}

/* The interface with an IPv4 address: 0 for 0.0.0.0, UINT_MAX for none. */
static unsigned
device_of(const sonic_sim *sim, const struct in_addr *a)
{
    struct sim_ip ip;
    unsigned i;

    from_v4(&ip, a);
    if (a->s_addr == INADDR_ANY)
        return 0;
    i = sonic__sim_iface_by_ip(sim, &ip);
    return i != 0 ? i : UINT32_MAX;
}

static bool
from_name(struct sim_ip *ip, int family, const struct sockaddr_storage *a)
{
    struct sim_name name = {.ss = *a, .len = sizeof name.in6};

    if (a->ss_family != family)
        return false;
    sonic__sim_name_ip(&name, ip);
    ip->port = 0;
    return true;
}

/* struct ip_mreq, ip_mreqn, ipv6_mreq; IP_ADD_MEMBERSHIP and the like. */
static int
old_group(struct sim_sock *s, const void *val, socklen_t len, struct request *r)
{
    struct ip_mreqn m = {.imr_ifindex = 0};
    struct ipv6_mreq m6;

    if (!r->v4) {
        if (len < sizeof m6)
            return -EINVAL;
        memcpy(&m6, val, sizeof m6);
        memcpy(r->group.addr, &m6.ipv6mr_multiaddr, 16);
        r->iface = m6.ipv6mr_interface;
        return 0;
    }
    if (len < sizeof(struct ip_mreq))
        return -EINVAL;
    memcpy(&m, val, len < sizeof m ? sizeof(struct ip_mreq) : sizeof m);
    from_v4(&r->group, &m.imr_multiaddr);
    r->iface = m.imr_ifindex != 0 ? (unsigned)m.imr_ifindex
                                  : device_of(s->file.sim, &m.imr_address);
    return 0;
}

/* struct group_req; MCAST_JOIN_GROUP. */
static int
new_group(const void *val, socklen_t len, struct request *r)
{
    struct group_req g;

    if (len < sizeof g)
        return -EINVAL;
    memcpy(&g, val, sizeof g);
    r->iface = g.gr_interface;
    if (!from_name(&r->group, r->v4 ? AF_INET : AF_INET6, &g.gr_group))
        return r->v4 ? -EINVAL : -EADDRNOTAVAIL;
    return 0;
}

/* struct ip_mreq_source; IP_BLOCK_SOURCE and the like. */
static int
old_source(struct sim_sock *s, const void *val, socklen_t len,
           struct request *r)
{
    struct ip_mreq_source m;

    if (len != sizeof m)
        return -EINVAL;
    memcpy(&m, val, sizeof m);
    from_v4(&r->group, &m.imr_multiaddr);
    from_v4(&r->source, &m.imr_sourceaddr);
    r->iface = device_of(s->file.sim, &m.imr_interface);
    return 0;
}

/* struct group_source_req; MCAST_BLOCK_SOURCE and the like. */
static int
new_source(const void *val, socklen_t len, struct request *r)
{
    int family = r->v4 ? AF_INET : AF_INET6;
    struct group_source_req g;

    if (len != sizeof g)
        return -EINVAL;
    memcpy(&g, val, sizeof g);
    r->iface = g.gsr_interface;
    if (!from_name(&r->group, family, &g.gsr_group) ||
        !from_name(&r->source, family, &g.gsr_source))
        return -EADDRNOTAVAIL;
    return 0;
}

enum operation { JOIN, LEAVE, JOIN_SOURCE, LEAVE_SOURCE, BLOCK, UNBLOCK };
enum form { OLD, NEW };

static const struct option {
    int level, name; /* level 0 (IPPROTO_IP) ... */
    enum operation what;
    enum form form;
} options[] = {
    {IPPROTO_IP, IP_ADD_MEMBERSHIP, JOIN, OLD},
    {IPPROTO_IP, IP_DROP_MEMBERSHIP, LEAVE, OLD},
    {IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, JOIN_SOURCE, OLD},
    {IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, LEAVE_SOURCE, OLD},
    {IPPROTO_IP, IP_BLOCK_SOURCE, BLOCK, OLD},
    {IPPROTO_IP, IP_UNBLOCK_SOURCE, UNBLOCK, OLD},
    {IPPROTO_IP, MCAST_JOIN_GROUP, JOIN, NEW},
    {IPPROTO_IP, MCAST_LEAVE_GROUP, LEAVE, NEW},
    {IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, JOIN_SOURCE, NEW},
    {IPPROTO_IP, MCAST_LEAVE_SOURCE_GROUP, LEAVE_SOURCE, NEW},
    {IPPROTO_IP, MCAST_BLOCK_SOURCE, BLOCK, NEW},
    {IPPROTO_IP, MCAST_UNBLOCK_SOURCE, UNBLOCK, NEW},
    {IPPROTO_IPV6, IPV6_JOIN_GROUP, JOIN, OLD},
    {IPPROTO_IPV6, IPV6_LEAVE_GROUP, LEAVE, OLD},
    {IPPROTO_IPV6, MCAST_JOIN_GROUP, JOIN, NEW},
    {IPPROTO_IPV6, MCAST_LEAVE_GROUP, LEAVE, NEW},
    {IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, JOIN_SOURCE, NEW},
    {IPPROTO_IPV6, MCAST_LEAVE_SOURCE_GROUP, LEAVE_SOURCE, NEW},
    {IPPROTO_IPV6, MCAST_BLOCK_SOURCE, BLOCK, NEW},
    {IPPROTO_IPV6, MCAST_UNBLOCK_SOURCE, UNBLOCK, NEW},
};

static const struct option *
find_option(int level, int name)
{
    size_t i;

    for (i = 0; i < sizeof options / sizeof *options; i++) {
        if (options[i].level == level && options[i].name == name)
            return &options[i];
    }
    return NULL;
}

int
sonic__sim_mcast_set(struct sim_sock *s, int level, int name, const void *val,
                     socklen_t len)
{
    const struct option *o = find_option(level, name);
    struct request r = {.v4 = level == IPPROTO_IP};
    bool of_group = o != NULL && (o->what == JOIN || o->what == LEAVE);
    int err;

    if (o == NULL)
        return SIM_NOT_MINE;
    if (of_group)
        err = o->form == OLD ? old_group(s, val, len, &r)
                             : new_group(val, len, &r);
    else
        err = o->form == OLD ? old_source(s, val, len, &r)
                             : new_source(val, len, &r);
    if (err < 0)
        return err;
    switch (o->what) {
    case JOIN:
        return join(s, &r, false);
    case LEAVE:
        return leave(s, &r);
    case JOIN_SOURCE:
        return join_source(s, &r);
    case LEAVE_SOURCE:
        return change_sources(s, r, false, true);
    case BLOCK:
        return change_sources(s, r, true, false);
    default:
        return change_sources(s, r, false, false);
    }
}
