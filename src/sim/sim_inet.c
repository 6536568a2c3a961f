/* Options of IP and UDP that mean something here: their range, their default,
 * and those that name an interface. */
#include "net.h"

#include <netinet/udp.h>

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { ANY_INT = INT32_MAX, TTL = 64, OCTET = 255 };

static const struct limit {
    int level, name, least, most, otherwise;
    bool minus_one; /* is the default too */
} limits[] = {
    {IPPROTO_IP, IP_TTL, 1, OCTET, TTL, true},
    {IPPROTO_IP, IP_MULTICAST_TTL, 0, OCTET, 1, true},
    {IPPROTO_IP, IP_MULTICAST_LOOP, -ANY_INT, ANY_INT, 1, false},
    {IPPROTO_IP, IP_MULTICAST_ALL, 0, 1, 1, false},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0, OCTET, TTL, true},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 0, OCTET, 1, true},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 1, 1, false},
    {IPPROTO_IPV6, IPV6_MULTICAST_ALL, -ANY_INT, ANY_INT, 1, false},
    {IPPROTO_UDP, UDP_SEGMENT, 0, UINT16_MAX, 0, false},
};

static const struct limit *
find(int level, int name)
{
    size_t i;

    for (i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (limits[i].level == level && limits[i].name == name)
            return &limits[i];
    }
    return NULL;
}

int
sonic__sim_inet_default(int level, int name)
{
    const struct limit *l = find(level, name);

    return l != NULL ? l->otherwise : 0;
}

/* IPv4 takes a byte as well. */
static int
set_limited(struct sim_sock *s, const struct limit *l, const void *val,
            socklen_t len)
{
    int n;

    if (len >= sizeof n)
        memcpy(&n, val, sizeof n);
    else if (len > 0 && l->level == IPPROTO_IP)
        n = *(const uint8_t *)val;
    else
        return -EINVAL;
    if (n == -1 && l->minus_one)
        n = l->otherwise;
    if (n < l->least || n > l->most)
        return -EINVAL;
    if (l->most == ANY_INT)
        n = n != 0;
    return sonic__sim_option_set(s, l->level, l->name, &n, sizeof n);
}

/* ---- interfaces ---- */

static int
set_out4(struct sim_sock *s, const void *val, socklen_t len)
{
    const sonic_sim *sim = s->file.sim;
    struct ip_mreqn m = {.imr_ifindex = 0};
    struct sim_ip ip;
    unsigned index;

    if (len < sizeof m.imr_address)
        return -EINVAL;
    if (len >= sizeof m)
        memcpy(&m, val, sizeof m);
    else if (len >= sizeof(struct ip_mreq))
        memcpy(&m, val, sizeof(struct ip_mreq));
    else
        memcpy(&m.imr_address, val, sizeof m.imr_address);
    index = (unsigned)m.imr_ifindex;
    sonic__sim_ip_any(&ip, AF_INET);
    memcpy(ip.addr + 12, &m.imr_address, 4);
    if (index == 0 && m.imr_address.s_addr != 0)
        index = sonic__sim_iface_by_ip(sim, &ip);
    if (sonic__sim_iface(sim, index) == NULL &&
        (index != 0 || m.imr_address.s_addr != 0))
        return -EADDRNOTAVAIL;
    s->udp->out4 = index;
    s->udp->out4_address = ip;
    return 0;
}

static int
set_out6(struct sim_sock *s, const void *val, socklen_t len)
{
    int index;

    if (len < sizeof index)
        return -EINVAL;
    memcpy(&index, val, sizeof index);
    if (index != 0 && sonic__sim_iface(s->file.sim, (unsigned)index) == NULL)
        return -ENODEV;
    s->udp->out6 = (unsigned)index;
    return 0;
}

static int
set_device(struct sim_sock *s, const void *val, socklen_t len)
{
    char name[IF_NAMESIZE] = "";
    unsigned index;

    memcpy(name, val, len < sizeof name - 1 ? len : sizeof name - 1);
    index = sonic__sim_iface_by_name(s->file.sim, name);
    if (name[0] != 0 && index == 0)
        return -ENODEV;
    s->udp->device = index;
    return 0;
}

int
sonic__sim_inet_set(struct sim_sock *s, int level, int name, const void *val,
                    socklen_t len)
{
    const struct limit *l = find(level, name);

    if (l != NULL)
        return set_limited(s, l, val, len);
    if (s->udp == NULL)
        return SIM_NOT_MINE;
    if (level == IPPROTO_IP && name == IP_MULTICAST_IF)
        return set_out4(s, val, len);
    if (level == IPPROTO_IPV6 && name == IPV6_MULTICAST_IF)
        return set_out6(s, val, len);
    if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
        return set_device(s, val, len);
    return sonic__sim_mcast_set(s, level, name, val, len);
}

static void
out(void *val, socklen_t *len, const void *from, socklen_t n)
{
    if (*len > n)
        *len = n;
    memcpy(val, from, *len);
}

/* linux/sock_diag.h: the receive buffer, and what did not fit into it. */
static void
get_meminfo(const struct sim_sock *s, void *val, socklen_t *len)
{
    enum { USED, SIZE, DROPS = 8, WORDS };
    uint32_t words[WORDS] = {0};

    words[USED] = (uint32_t)s->udp->queued;
    words[SIZE] = (uint32_t)s->receive_buffer;
    words[DROPS] = s->udp->lost;
    out(val, len, words, sizeof words);
}

int
sonic__sim_inet_get(const struct sim_sock *s, int level, int name, void *val,
                    socklen_t *len)
{
    const struct sim_iface *f;

    if (s->udp == NULL)
        return SIM_NOT_MINE;
    if (level == IPPROTO_IP && name == IP_MULTICAST_IF) {
        out(val, len, s->udp->out4_address.addr + 12, 4);
        return 0;
    }
    if (level == IPPROTO_IPV6 && name == IPV6_MULTICAST_IF) {
        out(val, len, &s->udp->out6, sizeof s->udp->out6);
        return 0;
    }
    if (level == SOL_SOCKET && name == SO_MEMINFO) {
        get_meminfo(s, val, len);
        return 0;
    }
    if (level != SOL_SOCKET || name != SO_BINDTODEVICE)
        return SIM_NOT_MINE;
    f = sonic__sim_iface(s->file.sim, s->udp->device);
    if (f == NULL)
        *len = 0;
    else if (*len < IF_NAMESIZE)
        return -EINVAL;
    else
        out(val, len, f->name, (socklen_t)strlen(f->name) + 1);
    return 0;
}
