/* Groups: joining, leaving, filters (RFC 3678), and the settings of ip(7) and
 * ipv6(7). */
#include <sonicio/multicast.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include "net/options.h"
#include "net/udp.h"

bool
sonic_multicast_is_group(const sonic_address *a)
{
    const struct sockaddr_in *sin = (const void *)&a->storage;
    const struct sockaddr_in6 *sin6 = (const void *)&a->storage;

    if (a->len == 0)
        return false;
    if (a->storage.ss_family == AF_INET)
        return IN_MULTICAST(ntohl(sin->sin_addr.s_addr));
    return a->storage.ss_family == AF_INET6 &&
           IN6_IS_ADDR_MULTICAST(&sin6->sin6_addr);
}

/* ---- text ------------------------------------------------------------- */

/* An address without a port; *scope is what stands behind a %, or NULL. */
static int
read_host(const char *text, sonic_address *out, const char **scope)
{
    struct sockaddr_in *sin = (void *)&out->storage;
    struct sockaddr_in6 *sin6 = (void *)&out->storage;
    char host[INET6_ADDRSTRLEN];
    size_t n;

    memset(out, 0, sizeof *out);
    *scope = NULL;
    if (text == NULL)
        return SONIC_EADDRESS;
    n = strcspn(text, "%");
    if (n >= sizeof host)
        return SONIC_EADDRESS;
    memcpy(host, text, n);
    host[n] = '\0';
    if (text[n] == '%')
        *scope = text + n + 1;
    if (*scope == NULL && inet_pton(AF_INET, host, &sin->sin_addr) == 1) {
        sin->sin_family = AF_INET;
        out->len = sizeof *sin;
        return 0;
    }
    if (inet_pton(AF_INET6, host, &sin6->sin6_addr) != 1 ||
        (*scope != NULL && **scope == '\0'))
        return SONIC_EADDRESS;
    sin6->sin6_family = AF_INET6;
    out->len = sizeof *sin6;
    return 0;
}

/* What an operation is about. */
struct target {
    sonic_address group, source;
    unsigned interface;
};

static int
find_interface(sonic_udp *u, const char *scope, const char *interface,
               unsigned *index)
{
    unsigned named;
    int err = sonic_interface_find(u->object.io, interface, index);

    if (err < 0 || scope == NULL)
        return err;
    err = sonic_interface_find(u->object.io, scope, &named);
    if (err == 0 && *index != 0 && *index != named)
        err = -EINVAL; /* they contradict each other */
    *index = named;
    return err;
}

static int
read_group(sonic_udp *u, const char *group, const char *interface,
           struct target *t)
{
    const char *scope;
    int err;

    memset(t, 0, sizeof *t);
    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    err = read_host(group, &t->group, &scope);
    if (err < 0)
        return err;
    if (!sonic_multicast_is_group(&t->group))
        return SONIC_EGROUP;
    if (u->family == AF_INET && t->group.storage.ss_family == AF_INET6)
        return -EAFNOSUPPORT;
    return find_interface(u, scope, interface, &t->interface);
}

static int
read_source(const char *source, struct target *t)
{
    const char *scope;
    int err = read_host(source, &t->source, &scope);

    if (err < 0)
        return err;
    if (sonic_multicast_is_group(&t->source))
        return SONIC_EADDRESS;
    return t->source.storage.ss_family == t->group.storage.ss_family
               ? 0
               : -EAFNOSUPPORT;
}

/* ---- joining and leaving ---------------------------------------------- */

static int
set(const sonic_udp *u, int level, int name, const void *v, socklen_t len)
{
    const sonic_sys *sys = u->object.io->sys;

    return sys->setsockopt(u->object.fd, level, name, v, len, sys->ud);
}

static int
level_of(const sonic_address *a)
{
    return a->storage.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
}

static int
change_group(sonic_udp *u, int name, const char *group, const char *interface)
{
    struct group_req req;
    struct target t;
    int err = read_group(u, group, interface, &t);

    if (err < 0)
        return err;
    memset(&req, 0, sizeof req);
    req.gr_interface = t.interface;
    memcpy(&req.gr_group, &t.group.storage, t.group.len);
    return set(u, level_of(&t.group), name, &req, sizeof req);
}

static int
change_source(sonic_udp *u, int name, const char *group, const char *source,
              const char *interface)
{
    struct group_source_req req;
    struct target t;
    int err = read_group(u, group, interface, &t);

    if (err == 0)
        err = read_source(source, &t);
    if (err < 0)
        return err;
    memset(&req, 0, sizeof req);
    req.gsr_interface = t.interface;
    memcpy(&req.gsr_group, &t.group.storage, t.group.len);
    memcpy(&req.gsr_source, &t.source.storage, t.source.len);
    return set(u, level_of(&t.group), name, &req, sizeof req);
}

int
sonic_multicast_join(sonic_udp *u, const char *group, const char *interface)
{
    return change_group(u, MCAST_JOIN_GROUP, group, interface);
}

int
sonic_multicast_leave(sonic_udp *u, const char *group, const char *interface)
{
    return change_group(u, MCAST_LEAVE_GROUP, group, interface);
}

int
sonic_multicast_join_source(sonic_udp *u, const char *group, const char *source,
                            const char *interface)
{
    return change_source(u, MCAST_JOIN_SOURCE_GROUP, group, source, interface);
}

int
sonic_multicast_leave_source(sonic_udp *u, const char *group,
                             const char *source, const char *interface)
{
    return change_source(u, MCAST_LEAVE_SOURCE_GROUP, group, source, interface);
}

int
sonic_multicast_block_source(sonic_udp *u, const char *group,
                             const char *source, const char *interface)
{
    return change_source(u, MCAST_BLOCK_SOURCE, group, source, interface);
}

int
sonic_multicast_unblock_source(sonic_udp *u, const char *group,
                               const char *source, const char *interface)
{
    return change_source(u, MCAST_UNBLOCK_SOURCE, group, source, interface);
}

/* ---- settings --------------------------------------------------------- */

/* An IPv6 socket may carry IPv4 as well: what is set is set for both. */
static int
set_both(const sonic_udp *u, int name, int name6, int v)
{
    int err;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    if (u->family == AF_INET)
        return set(u, IPPROTO_IP, name, &v, sizeof v);
    err = set(u, IPPROTO_IPV6, name6, &v, sizeof v);
    if (err < 0)
        return err;
    err = set(u, IPPROTO_IP, name, &v, sizeof v);
    return err == -ENOPROTOOPT ? 0 : err;
}

static int
get(const sonic_udp *u, int name, int name6, int *v)
{
    const sonic_sys *sys = u->object.io->sys;
    socklen_t len = sizeof *v;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    *v = 0;
    if (u->family == AF_INET)
        return sys->getsockopt(u->object.fd, IPPROTO_IP, name, v, &len,
                               sys->ud);
    return sys->getsockopt(u->object.fd, IPPROTO_IPV6, name6, v, &len, sys->ud);
}

static int
get_switch(const sonic_udp *u, int name, int name6, bool *on)
{
    int v, err = get(u, name, name6, &v);

    if (err == 0)
        *on = v != 0;
    return err;
}

int
sonic_multicast_set_loop(sonic_udp *u, bool on)
{
    return set_both(u, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on);
}

int
sonic_multicast_loop(const sonic_udp *u, bool *on)
{
    return get_switch(u, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on);
}

int
sonic_multicast_set_ttl(sonic_udp *u, int ttl)
{
    if (ttl < 0 || ttl > 255) /* the kernel takes -1, for its default */
        return SONIC_EOPTION;
    return set_both(u, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl);
}

int
sonic_multicast_ttl(const sonic_udp *u, int *ttl)
{
    int v, err = get(u, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, &v);

    if (err == 0)
        *ttl = v;
    return err;
}

int
sonic_multicast_set_all(sonic_udp *u, bool on)
{
    return set_both(u, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, on);
}

int
sonic_multicast_all(const sonic_udp *u, bool *on)
{
    return get_switch(u, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, on);
}

/* ---- interfaces ------------------------------------------------------- */

/* IPv4: the kernel keeps the index that is set to itself, and gives back the
 * address that is set beside it: so one of the interface is. */
static int
set_outbound_v4(sonic_udp *u, unsigned index)
{
    struct ip_mreqn req = {.imr_ifindex = (int)index};
    sonic_address a;
    int n = 0;

    if (index != 0)
        n = sonic_interface_addresses(u->object.io, index, AF_INET, &a, 1);
    if (n < 0)
        return n;
    if (n > 0)
        req.imr_address = ((struct sockaddr_in *)&a.storage)->sin_addr;
    return set(u, IPPROTO_IP, IP_MULTICAST_IF, &req, sizeof req);
}

int
sonic_multicast_set_outbound(sonic_udp *u, const char *interface)
{
    unsigned index;
    int err, v;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    err = sonic_interface_find(u->object.io, interface, &index);
    if (err < 0)
        return err;
    v = (int)index;
    if (u->family == AF_INET6)
        err = set(u, IPPROTO_IPV6, IPV6_MULTICAST_IF, &v, sizeof v);
    if (err == 0)
        err = set_outbound_v4(u, index);
    if (u->family == AF_INET6 && err == -ENOPROTOOPT)
        err = 0;
    if (err == 0)
        u->outbound = index;
    return err;
}

static bool
has_address(const sonic_udp *u, unsigned index, struct in_addr ip)
{
    sonic_address a[16];
    int n = sonic_interface_addresses(u->object.io, index, AF_INET, a, 16);

    for (int i = 0; i < n && i < 16; i++)
        if (((struct sockaddr_in *)&a[i].storage)->sin_addr.s_addr == ip.s_addr)
            return true;
    return false;
}

/* What was set says which of several interfaces with this address it is, and
 * which it is when it has none; the kernel, whether that still stands. */
static int
outbound_v4(const sonic_udp *u, unsigned *index)
{
    const sonic_sys *sys = u->object.io->sys;
    char text[INET_ADDRSTRLEN];
    struct in_addr ip = {0};
    socklen_t len = sizeof ip;
    int err = sys->getsockopt(u->object.fd, IPPROTO_IP, IP_MULTICAST_IF, &ip,
                              &len, sys->ud);

    if (err < 0)
        return err;
    *index = u->outbound;
    if (ip.s_addr == 0 || (*index != 0 && has_address(u, *index, ip)))
        return 0;
    inet_ntop(AF_INET, &ip, text, sizeof text);
    return sonic_interface_find(u->object.io, text, index);
}

int
sonic_multicast_outbound(const sonic_udp *u, unsigned *index)
{
    int v, err;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    if (u->family == AF_INET)
        return outbound_v4(u, index);
    err = get(u, 0, IPV6_MULTICAST_IF, &v);
    if (err == 0)
        *index = (unsigned)v;
    return err;
}

int
sonic_multicast_set_inbound(sonic_udp *u, const char *interface)
{
    char name[SONIC_INTERFACE_NAME] = "";
    unsigned index;
    int err;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    err = sonic_interface_find(u->object.io, interface, &index);
    if (err == 0 && index != 0)
        err = sonic_interface_name(u->object.io, index, name);
    if (err < 0)
        return err;
    return set(u, SOL_SOCKET, SO_BINDTODEVICE, name,
               (socklen_t)strlen(name) + 1);
}

int
sonic_multicast_inbound(const sonic_udp *u, unsigned *index)
{
    const sonic_sys *sys = u->object.io->sys;
    char name[IFNAMSIZ] = "";
    socklen_t len = sizeof name;
    int err;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    err = sys->getsockopt(u->object.fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len,
                          sys->ud);
    if (err < 0)
        return err;
    if (len >= sizeof name)
        len = sizeof name - 1;
    name[len] = '\0';
    return sonic_interface_find(u->object.io, name, index);
}

/* ---- making one ------------------------------------------------------- */

static int
prepare(sonic_udp *u, const sonic_multicast_options *o)
{
    int err = sonic_multicast_set_ttl(u, o->ttl != 0 ? o->ttl : 1);

    if (err == 0 && o->loop != SONIC_DEFAULT)
        err = sonic_multicast_set_loop(u, o->loop == SONIC_ON);
    if (err == 0 && o->outbound != NULL)
        err = sonic_multicast_set_outbound(u, o->outbound);
    if (err == 0 && o->inbound != NULL)
        err = sonic_multicast_set_inbound(u, o->inbound);
    return err;
}

int
sonic_multicast_new(sonic_io *io, const char *address,
                    const sonic_multicast_options *opt, sonic_udp **out)
{
    sonic_multicast_options o;
    sonic_udp_options udp;
    sonic_socket_options socket;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err == 0)
        err = sonic__options_copy(&udp, sizeof udp, o.udp);
    if (err == 0)
        err = sonic__options_copy(&socket, sizeof socket, udp.socket);
    if (err == 0 && (o.ttl < 0 || o.ttl > 255))
        err = SONIC_EOPTION;
    if (err < 0)
        return err;
    if (socket.reuse_addr == SONIC_DEFAULT)
        socket.reuse_addr = SONIC_ON;
    if (socket.reuse_port == SONIC_DEFAULT)
        socket.reuse_port = SONIC_ON;
    udp.socket = &socket;
    err = sonic__udp_new(io, address, &udp, o.all != SONIC_ON, out);
    if (err < 0)
        return err;
    err = prepare(*out, &o);
    if (err < 0) {
        sonic_udp_free(*out);
        *out = NULL;
    }
    return err;
}
