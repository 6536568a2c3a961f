/* Network interfaces.  lo, with index 1, is always there. */
#include "net.h"

#include <ifaddrs.h>

static const char loopback[] = "127.0.0.1 ::1";

const struct sim_iface *
sonic__sim_iface(const sonic_sim *sim, unsigned index)
{
    return index > 0 && index <= sim->n_ifaces ? &sim->ifaces[index - 1] : NULL;
}

unsigned
sonic__sim_iface_by_name(const sonic_sim *sim, const char *name)
{
    unsigned i;

    for (i = 0; i < sim->n_ifaces; i++) {
        if (strncmp(sim->ifaces[i].name, name, IF_NAMESIZE) == 0)
            return i + 1;
    }
    return 0;
}

unsigned
sonic__sim_iface_by_ip(const sonic_sim *sim, const struct sim_ip *ip)
{
    unsigned i;
    size_t j;

    for (i = 0; i < sim->n_ifaces; i++) {
        for (j = 0; j < sim->ifaces[i].n; j++) {
            if (sonic__sim_ip_equal(&sim->ifaces[i].ip[j], ip))
                return i + 1;
        }
    }
    return 0;
}

unsigned
sonic__sim_iface_default(const sonic_sim *sim)
{
    return sim->n_ifaces > SIM_LOOPBACK ? SIM_LOOPBACK + 1 : SIM_LOOPBACK;
}

static bool
is_link_local(const struct sim_ip *ip)
{
    return ip->addr[0] == 0xfe && (ip->addr[1] & 0xc0) == 0x80;
}

/* RFC 6724, as far as it matters here: the first of the family, for a group
 * of the link's scope a link-local one. */
bool
sonic__sim_iface_source(const sonic_sim *sim, unsigned index,
                        const struct sim_ip *to, struct sim_ip *from)
{
    const struct sim_iface *f = sonic__sim_iface(sim, index);
    bool v4 = sonic__sim_ip_is_v4(to), found = false;
    bool link = !v4 && (to->addr[1] & 0x0f) <= 2;
    uint16_t port = from->port;
    size_t i;

    sonic__sim_ip_any(from, v4 ? AF_INET : AF_INET6);
    for (i = 0; i < f->n; i++) {
        bool better = !v4 && is_link_local(&f->ip[i]) == link &&
                      is_link_local(from) != link;

        if (sonic__sim_ip_is_v4(&f->ip[i]) != v4 || (found && !better))
            continue;
        memcpy(from->addr, f->ip[i].addr, sizeof from->addr);
        found = true;
    }
    from->port = port;
    return found;
}

int
sonic_sim_interface(sonic_sim *sim, const char *name, const char *addresses,
                    unsigned wire)
{
    struct sim_iface f = {.wire = wire};
    int n = sonic__sim_parse_ips(addresses, f.ip, SIM_IFACE_ADDRESSES);

    if (n < 0 || name[0] == 0 || strlen(name) >= sizeof f.name)
        return -EINVAL;
    if (sonic__sim_iface_by_name(sim, name) != 0)
        return -EEXIST;
    if (sim->n_ifaces == SIM_IFACES)
        return -ENOSPC;
    strcpy(f.name, name);
    f.n = (size_t)n;
    sim->ifaces[sim->n_ifaces++] = f;
    return (int)sim->n_ifaces;
}

void
sonic__sim_loopback(sonic_sim *sim)
{
    if (sonic_sim_interface(sim, "lo", loopback, 0) < 0)
        sim->n_ifaces = 0; /* cannot be */
}

/* ---- calls ---- */

int
sonic__sim_if_nametoindex(const char *name, void *ud)
{
    sonic_sim *sim = ud;
    int r = sonic__sim_begin(sim, SONIC_SIM_IF_NAMETOINDEX, -1, 0);

    if (r == 0)
        r = (int)sonic__sim_iface_by_name(sim, name);
    if (r == 0)
        r = -ENODEV;
    return (int)sonic__sim_end(sim, r);
}

int
sonic__sim_if_indextoname(unsigned index, char *name, void *ud)
{
    sonic_sim *sim = ud;
    const struct sim_iface *f = sonic__sim_iface(sim, index);
    int r = sonic__sim_begin(sim, SONIC_SIM_IF_INDEXTONAME, -1, index);

    if (r == 0 && f == NULL)
        r = -ENODEV;
    if (r == 0)
        strcpy(name, f->name);
    return (int)sonic__sim_end(sim, r);
}

/* One address of an interface, or the interface itself (AF_PACKET's place). */
struct sim_ifaddr {
    struct ifaddrs head;
    struct sim_name address, mask;
    char name[IF_NAMESIZE];
};

static void
free_list(sonic_sim *sim, struct ifaddrs *list)
{
    while (list != NULL) {
        struct ifaddrs *next = list->ifa_next;

        sonic__sim_put(sim, list, sizeof(struct sim_ifaddr));
        sim->addrinfos--;
        list = next;
    }
}

static struct ifaddrs *
make_ifaddr(sonic_sim *sim, unsigned index, const struct sim_ip *ip)
{
    const struct sim_iface *f = sonic__sim_iface(sim, index);
    struct sim_ifaddr *a = sonic__sim_get(sim, sizeof *a);
    struct sim_ip ones;
    int family;

    if (a == NULL)
        return NULL;
    sim->addrinfos++;
    memcpy(a->name, f->name, sizeof a->name);
    a->head.ifa_name = a->name;
    a->head.ifa_flags = IFF_UP | IFF_RUNNING;
    a->head.ifa_flags |=
        index == SIM_LOOPBACK ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST;
    if (ip == NULL)
        return &a->head;
    family = sonic__sim_ip_is_v4(ip) ? AF_INET : AF_INET6;
    memset(&ones, 0xff, sizeof ones);
    ones.port = 0;
    sonic__sim_name_from_ip(&a->address, family, ip);
    sonic__sim_name_from_ip(&a->mask, family, &ones);
    if (family == AF_INET6 && is_link_local(ip))
        a->address.in6.sin6_scope_id = index;
    a->head.ifa_addr = &a->address.sa;
    a->head.ifa_netmask = &a->mask.sa;
    return &a->head;
}

static int
list(sonic_sim *sim, struct ifaddrs **out)
{
    struct ifaddrs **end = out;
    unsigned i;
    size_t j;

    for (i = 1; i <= sim->n_ifaces; i++) {
        const struct sim_iface *f = sonic__sim_iface(sim, i);

        for (j = 0; j <= f->n; j++) {
            *end = make_ifaddr(sim, i, j == 0 ? NULL : &f->ip[j - 1]);
            if (*end == NULL) {
                free_list(sim, *out);
                *out = NULL;
                return -ENOMEM;
            }
            end = &(*end)->ifa_next;
        }
    }
    return 0;
}

int
sonic__sim_getifaddrs(struct ifaddrs **out, void *ud)
{
    sonic_sim *sim = ud;
    int r = sonic__sim_begin(sim, SONIC_SIM_GETIFADDRS, -1, 0);

    *out = NULL;
    if (r == 0)
        r = list(sim, out);
    return (int)sonic__sim_end(sim, r);
}

void
sonic__sim_freeifaddrs(struct ifaddrs *l, void *ud)
{
    sonic__sim_begin(ud, SONIC_SIM_FREEIFADDRS, -1, 0);
    free_list(ud, l);
    sonic__sim_end(ud, 0);
}
