/* Network interfaces, and their addresses: getifaddrs(3). */
#include <sonicio/interface.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SONIC_INTERFACE_NAME >= IF_NAMESIZE, "room for a name");

static bool
same_host(const struct sockaddr *a, int family, const void *ip)
{
    if (a == NULL || a->sa_family != family)
        return false;
    if (family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
                      ip, sizeof(struct in_addr)) == 0;
    return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  ip, sizeof(struct in6_addr)) == 0;
}

/* The interface that has this address: 0, -ENODEV, or why it is not known. */
static int
find_address(const sonic_sys *sys, int family, const void *ip, unsigned *index)
{
    struct ifaddrs *list;
    int err = sys->getifaddrs(&list, sys->ud);

    if (err < 0)
        return err;
    err = -ENODEV;
    for (const struct ifaddrs *i = list; i != NULL && err < 0; i = i->ifa_next)
        if (same_host(i->ifa_addr, family, ip))
            err = sys->if_nametoindex(i->ifa_name, sys->ud);
    sys->freeifaddrs(list, sys->ud);
    if (err > 0)
        *index = (unsigned)err;
    return err > 0 ? 0 : err;
}

static int
find_number(const sonic_sys *sys, const char *text, unsigned *index)
{
    char name[IF_NAMESIZE], *end;
    unsigned long n;

    if (*text < '1' || *text > '9')
        return -ENODEV;
    errno = 0;
    n = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || n > INT32_MAX)
        return -ENODEV;
    *index = (unsigned)n;
    return sys->if_indextoname(*index, name, sys->ud);
}

int
sonic_interface_find(sonic_io *io, const char *text, unsigned *index)
{
    const sonic_sys *sys = sonic_io_sys(io);
    struct in6_addr ip;
    int n;

    *index = 0;
    if (text == NULL || *text == '\0')
        return 0;
    n = strlen(text) < IF_NAMESIZE ? sys->if_nametoindex(text, sys->ud)
                                   : -ENODEV;
    if (n > 0) {
        *index = (unsigned)n;
        return 0;
    }
    if (n != -ENODEV)
        return n;
    if (inet_pton(AF_INET, text, &ip) == 1)
        return find_address(sys, AF_INET, &ip, index);
    if (inet_pton(AF_INET6, text, &ip) == 1)
        return find_address(sys, AF_INET6, &ip, index);
    return find_number(sys, text, index);
}

int
sonic_interface_name(sonic_io *io, unsigned index,
                     char name[SONIC_INTERFACE_NAME])
{
    const sonic_sys *sys = sonic_io_sys(io);

    return sys->if_indextoname(index, name, sys->ud);
}

/* The list has an entry for each address: is this the first of its name? */
static bool
is_first(const struct ifaddrs *list, const struct ifaddrs *i)
{
    while (strcmp(list->ifa_name, i->ifa_name) != 0)
        list = list->ifa_next;
    return list == i;
}

/* From here on, all that is told about the interface of this entry. */
static void
describe(sonic_interface *f, const struct ifaddrs *i)
{
    const char *name = i->ifa_name;

    strncpy(f->name, name, sizeof f->name - 1);
    f->up = (i->ifa_flags & IFF_UP) != 0;
    f->loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
    f->multicast = (i->ifa_flags & IFF_MULTICAST) != 0;
    for (; i != NULL; i = i->ifa_next) {
        if (i->ifa_addr == NULL || strcmp(i->ifa_name, name) != 0)
            continue;
        f->v4 = f->v4 || i->ifa_addr->sa_family == AF_INET;
        f->v6 = f->v6 || i->ifa_addr->sa_family == AF_INET6;
    }
}

/* Keep the list, of n, in order; the last falls off where it is full. */
static void
insert(sonic_interface *out, size_t cap, size_t n, const sonic_interface *f)
{
    size_t at = n < cap ? n : cap;

    while (at > 0 && out[at - 1].index > f->index) {
        if (at < cap)
            out[at] = out[at - 1];
        at--;
    }
    if (at < cap)
        out[at] = *f;
}

int
sonic_interface_list(sonic_io *io, sonic_interface *out, size_t cap)
{
    const sonic_sys *sys = sonic_io_sys(io);
    struct ifaddrs *list;
    int err = sys->getifaddrs(&list, sys->ud), n = 0;

    if (err < 0)
        return err;
    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        sonic_interface f = {0};
        int index;

        if (!is_first(list, i))
            continue;
        index = sys->if_nametoindex(i->ifa_name, sys->ud);
        if (index < 0)
            continue; /* gone meanwhile */
        f.index = (unsigned)index;
        describe(&f, i);
        insert(out, cap, (size_t)n++, &f);
    }
    sys->freeifaddrs(list, sys->ud);
    return n;
}

static socklen_t
length_of(int family)
{
    if (family == AF_INET)
        return sizeof(struct sockaddr_in);
    return family == AF_INET6 ? sizeof(struct sockaddr_in6) : 0;
}

int
sonic_interface_addresses(sonic_io *io, unsigned index, int family,
                          sonic_address *out, size_t cap)
{
    const sonic_sys *sys = sonic_io_sys(io);
    char name[IF_NAMESIZE];
    struct ifaddrs *list;
    int err = sys->if_indextoname(index, name, sys->ud), n = 0;

    if (err == 0)
        err = sys->getifaddrs(&list, sys->ud);
    if (err < 0)
        return err;
    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        int f = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;

        if (strcmp(i->ifa_name, name) != 0 || length_of(f) == 0 ||
            (family != AF_UNSPEC && f != family))
            continue;
        if ((size_t)n < cap) {
            memset(&out[n], 0, sizeof *out);
            out[n].len = length_of(f);
            memcpy(&out[n].storage, i->ifa_addr, out[n].len);
        }
        n++;
    }
    sys->freeifaddrs(list, sys->ud);
    return n;
}
