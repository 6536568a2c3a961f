/* Where a datagram goes, from which address and by which interface. */
#include "net.h"

#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Up to sin6_flowinfo and the address, without the scope: RFC 2133. */
enum { LEAST_V6 = 24 };

static int
to_v4(struct sim_sending *out, const struct sockaddr_in *a, socklen_t len)
{
    if (len < sizeof *a)
        return -EINVAL;
    if (a->sin_family != AF_INET && a->sin_family != AF_UNSPEC)
        return -EAFNOSUPPORT;
    if (a->sin_port == 0)
        return -EINVAL;
    sonic__sim_ip_any(&out->to, AF_INET);
    memcpy(out->to.addr + 12, &a->sin_addr, 4);
    out->to.port = ntohs(a->sin_port);
    return 0;
}

static int
to_v6(struct sim_sock *s, struct sim_sending *out, const struct sockaddr_in6 *a,
      socklen_t len)
{
    bool only = sonic__sim_option_int(s, IPPROTO_IPV6, IPV6_V6ONLY) != 0;

    if (len < sizeof a->sin6_family)
        return -EINVAL;
    if (a->sin6_family == AF_INET)
        return only ? -ENETUNREACH : to_v4(out, (const void *)a, len);
    if (a->sin6_family != AF_INET6 || len < LEAST_V6)
        return -EINVAL;
    memcpy(out->to.addr, &a->sin6_addr, 16);
    out->to.port = ntohs(a->sin6_port);
    if (sonic__sim_ip_is_v4(&out->to))
        return only ? -ENETUNREACH : a->sin6_port == 0 ? -EINVAL : 0;
    if (a->sin6_port == 0)
        return -EINVAL;
    if (len >= sizeof *a)
        out->scope = a->sin6_scope_id;
    return 0;
}

static int
destination(struct sim_sock *s, const struct msghdr *m, struct sim_sending *out)
{
    const void *a = m->msg_name;

    if (a == NULL || m->msg_namelen == 0 ||
        (s->family == AF_INET6 &&
         ((const struct sockaddr *)a)->sa_family == AF_UNSPEC)) {
        if (s->state != SIM_CONNECTED)
            return -EDESTADDRREQ;
        sonic__sim_name_ip(&s->remote, &out->to);
        if (s->family == AF_INET6)
            out->scope = s->remote.in6.sin6_scope_id;
        return 0;
    }
    if (s->family == AF_INET)
        return to_v4(out, a, m->msg_namelen);
    return to_v6(s, out, a, m->msg_namelen);
}

/* A destination that is a group: the interface, and its address. */
static int
route_group(struct sim_sock *s, struct sim_sending *out, bool v4)
{
    const sonic_sim *sim = s->file.sim;
    const struct sim_udp *u = s->udp;
    bool said = !sonic__sim_ip_is_any(&out->from);

    if (out->iface == 0 && !v4)
        out->iface = out->scope;
    if (out->iface == 0)
        out->iface = u->device;
    if (out->iface == 0)
        out->iface = v4 ? u->out4 : u->out6;
    if (v4 && !said && !sonic__sim_ip_is_any(&u->out4_address)) {
        memcpy(out->from.addr, u->out4_address.addr, 16);
        said = true;
    }
    if (out->iface == 0 && said && v4)
        out->iface = sonic__sim_iface_by_ip(sim, &out->from);
    if (out->iface == 0)
        out->iface = sonic__sim_iface_default(sim);
    if (sonic__sim_iface(sim, out->iface) == NULL)
        return -ENODEV;
    if (!said)
        sonic__sim_iface_source(sim, out->iface, &out->to, &out->from);
    return 0;
}

int
sonic__sim_route_out(struct sim_sock *s, struct sim_sending *out)
{
    const struct sim_route *route;
    struct sim_name name;
    bool v4;

    if (sonic__sim_ip_is_any(&out->to))
        sonic__sim_ip_home(&out->to);
    v4 = sonic__sim_ip_is_v4(&out->to);
    if (out->iface != 0 && sonic__sim_iface(s->file.sim, out->iface) == NULL)
        return -ENODEV;
    sonic__sim_name_from_ip(&name, AF_INET6, &out->to);
    route = sonic__sim_find_route(s->file.sim, &name);
    if (route != NULL && route->what == SONIC_SIM_NO_ROUTE)
        return -ENETUNREACH;
    if (sonic__sim_ip_is_broadcast(&out->to) &&
        sonic__sim_option_int(s, SOL_SOCKET, SO_BROADCAST) == 0)
        return -EACCES;
    if (sonic__sim_ip_is_any(&out->from))
        sonic__sim_ip_any(&out->from, v4 ? AF_INET : AF_INET6);
    if (sonic__sim_ip_is_multicast(&out->to))
        return route_group(s, out, v4);
    if (sonic__sim_ip_is_any(&out->from))
        memcpy(out->from.addr, out->to.addr, 16);
    if (sonic__sim_ip_is_broadcast(&out->from))
        sonic__sim_ip_home(&out->from);
    return 0;
}

static void
fill_in(struct sim_sock *s, struct sim_sending *out)
{
    bool v4 = sonic__sim_ip_is_v4(&out->to);
    bool group = sonic__sim_ip_is_multicast(&out->to);
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    int ttl = v4 ? (group ? IP_MULTICAST_TTL : IP_TTL)
                 : (group ? IPV6_MULTICAST_HOPS : IPV6_UNICAST_HOPS);

    if (out->ttl < 0)
        out->ttl = sonic__sim_option_int(s, level, ttl);
    if (out->tos < 0)
        out->tos = sonic__sim_option_int(s, level, v4 ? IP_TOS : IPV6_TCLASS);
}

int
sonic__sim_send_to(struct sim_sock *s, const struct msghdr *m,
                   struct sim_sending *out)
{
    struct sim_ip own;
    int err;

    *out = (struct sim_sending){.ttl = -1, .tos = -1};
    if ((err = destination(s, m, out)) < 0)
        return err;
    sonic__sim_name_ip(&s->local, &own);
    out->segment = (unsigned)sonic__sim_option_int(s, IPPROTO_UDP, UDP_SEGMENT);
    if ((err = sonic__sim_control_in(s, m, out)) < 0)
        return err;
    if (sonic__sim_ip_is_any(&out->from) && !sonic__sim_ip_is_multicast(&own))
        memcpy(out->from.addr, own.addr, 16);
    if ((err = sonic__sim_route_out(s, out)) < 0)
        return err;
    out->from.port = own.port;
    fill_in(s, out);
    return 0;
}
