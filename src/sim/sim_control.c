/* Control messages: put_cmsg, ip_cmsg_recv, ip_cmsg_send and their siblings.
 */
#include "net.h"

#include <netinet/udp.h>
#include <sys/time.h>
#include <time.h>

#ifndef SO_TIMESTAMPNS
#define SO_TIMESTAMPNS 35
#endif
#ifndef SO_TIMESTAMPING
#define SO_TIMESTAMPING 37
#endif
#ifndef SO_RXQ_OVFL
#define SO_RXQ_OVFL 40
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* linux/net_tstamp.h: SOF_TIMESTAMPING_RX_SOFTWARE and _SOFTWARE */
enum { RX_SOFTWARE = 1 << 3, SOFTWARE = 1 << 4 };

/* ---- out of the kernel ---- */

struct control {
    struct msghdr *m;
    uint8_t *at;
    size_t room;
};

static void
put(struct control *c, int level, int type, const void *data, size_t len)
{
    struct cmsghdr head = {.cmsg_level = level, .cmsg_type = type};
    size_t n = CMSG_LEN(len), space = CMSG_SPACE(len);

    if (c->at == NULL || c->room < sizeof head) {
        c->m->msg_flags |= MSG_CTRUNC;
        return;
    }
    if (n > c->room) {
        c->m->msg_flags |= MSG_CTRUNC;
        n = c->room;
    }
    if (space > c->room)
        space = c->room;
    head.cmsg_len = n;
    memcpy(c->at, &head, sizeof head);
    memcpy(c->at + CMSG_LEN(0), data, n - CMSG_LEN(0));
    c->at += space;
    c->room -= space;
}

static void
put_int(struct control *c, int level, int type, int value)
{
    put(c, level, type, &value, sizeof value);
}

static bool
on(const struct sim_sock *s, int level, int name)
{
    return sonic__sim_option_int(s, level, name) != 0;
}

static void
put_times(struct control *c, const struct sim_sock *s, int64_t t)
{
    struct timespec now[3] = {
        {.tv_sec = (time_t)(t / SIM_S), .tv_nsec = (long)(t % SIM_S)}};
    struct timeval tv = {.tv_sec = now->tv_sec,
                         .tv_usec = (suseconds_t)(now->tv_nsec / 1000)};
    int which = sonic__sim_option_int(s, SOL_SOCKET, SO_TIMESTAMPING);

    if (on(s, SOL_SOCKET, SO_TIMESTAMPNS))
        put(c, SOL_SOCKET, SO_TIMESTAMPNS, now, sizeof *now);
    else if (on(s, SOL_SOCKET, SO_TIMESTAMP))
        put(c, SOL_SOCKET, SO_TIMESTAMP, &tv, sizeof tv);
    if ((which & (RX_SOFTWARE | SOFTWARE)) == (RX_SOFTWARE | SOFTWARE))
        put(c, SOL_SOCKET, SO_TIMESTAMPING, now, sizeof now);
}

static void
put_v4(struct control *c, const struct sim_sock *s, const struct sim_packet *p)
{
    struct in_pktinfo info = {.ipi_ifindex = (int)p->iface};
    uint8_t tos = (uint8_t)p->tos;

    memcpy(&info.ipi_addr, p->to.addr + 12, 4);
    info.ipi_spec_dst = info.ipi_addr;
    if (sonic__sim_ip_is_multicast(&p->to)) /* who would answer: here, itself */
        memcpy(&info.ipi_spec_dst, p->from.addr + 12, 4);
    if (on(s, IPPROTO_IP, IP_PKTINFO))
        put(c, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    if (on(s, IPPROTO_IP, IP_RECVTTL))
        put_int(c, IPPROTO_IP, IP_TTL, (int)p->ttl);
    if (on(s, IPPROTO_IP, IP_RECVTOS))
        put(c, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
}

static void
put_v6(struct control *c, const struct sim_sock *s, const struct sim_packet *p)
{
    struct in6_pktinfo info = {.ipi6_ifindex = p->iface};

    memcpy(&info.ipi6_addr, p->to.addr, 16);
    if (on(s, IPPROTO_IPV6, IPV6_RECVPKTINFO))
        put(c, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    if (sonic__sim_ip_is_v4(&p->to))
        return;
    if (on(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT))
        put_int(c, IPPROTO_IPV6, IPV6_HOPLIMIT, (int)p->ttl);
    if (on(s, IPPROTO_IPV6, IPV6_RECVTCLASS))
        put_int(c, IPPROTO_IPV6, IPV6_TCLASS, (int)p->tos);
}

void
sonic__sim_control_out(struct sim_sock *s, struct msghdr *m,
                       const struct sim_packet *p)
{
    struct control c = {m, m->msg_control, m->msg_controllen};
    size_t room = c.at != NULL ? c.room : 0;

    c.room = room;
    put_times(&c, s, SIM_EPOCH + p->arrived);
    if (on(s, SOL_SOCKET, SO_RXQ_OVFL) && p->lost > 0)
        put(&c, SOL_SOCKET, SO_RXQ_OVFL, &p->lost, sizeof p->lost);
    if (p->segment > 0)
        put_int(&c, IPPROTO_UDP, UDP_GRO, (int)p->segment);
    if (s->family == AF_INET6)
        put_v6(&c, s, p);
    if (sonic__sim_ip_is_v4(&p->to))
        put_v4(&c, s, p);
    m->msg_controllen = room - c.room;
}

/* ---- into it ---- */

static int
take_v4(const struct cmsghdr *c, size_t len, struct sim_sending *out)
{
    struct in_pktinfo info;
    int n = 0;

    if (c->cmsg_type == IP_PKTINFO && len >= sizeof info) {
        memcpy(&info, CMSG_DATA(c), sizeof info);
        out->iface = (unsigned)info.ipi_ifindex;
        if (info.ipi_spec_dst.s_addr != 0) {
            sonic__sim_ip_any(&out->from, AF_INET);
            memcpy(out->from.addr + 12, &info.ipi_spec_dst, 4);
        }
        return 0;
    }
    if ((c->cmsg_type != IP_TTL && c->cmsg_type != IP_TOS) || len < sizeof n)
        return -EINVAL;
    memcpy(&n, CMSG_DATA(c), sizeof n);
    if (n < (c->cmsg_type == IP_TTL) || n > 255)
        return -EINVAL;
    if (c->cmsg_type == IP_TTL)
        out->ttl = n;
    else
        out->tos = n;
    return 0;
}

static int
take_v6(const struct cmsghdr *c, size_t len, struct sim_sending *out)
{
    struct in6_pktinfo info;
    int n = 0;

    if (c->cmsg_type == IPV6_PKTINFO && len >= sizeof info) {
        memcpy(&info, CMSG_DATA(c), sizeof info);
        out->iface = info.ipi6_ifindex;
        if (!IN6_IS_ADDR_UNSPECIFIED(&info.ipi6_addr))
            memcpy(out->from.addr, &info.ipi6_addr, 16);
        return 0;
    }
    if ((c->cmsg_type != IPV6_HOPLIMIT && c->cmsg_type != IPV6_TCLASS) ||
        len != sizeof n)
        return -EINVAL;
    memcpy(&n, CMSG_DATA(c), sizeof n);
    if (n < -1 || n > 255)
        return -EINVAL;
    if (c->cmsg_type == IPV6_HOPLIMIT)
        out->ttl = n;
    else
        out->tos = n;
    return 0;
}

static int
take_udp(const struct cmsghdr *c, size_t len, struct sim_sending *out)
{
    uint16_t n;

    if (c->cmsg_type != UDP_SEGMENT || len != sizeof n)
        return -EINVAL;
    memcpy(&n, CMSG_DATA(c), sizeof n);
    out->segment = n;
    return 0;
}

int
sonic__sim_control_in(struct sim_sock *s, const struct msghdr *m,
                      struct sim_sending *out)
{
    struct msghdr copy = *m;
    struct cmsghdr *c;
    int err = 0;

    if (m->msg_control == NULL || m->msg_controllen == 0)
        return 0;
    for (c = CMSG_FIRSTHDR(&copy); c != NULL && err == 0;
         c = CMSG_NXTHDR(&copy, c)) {
        size_t len = c->cmsg_len - CMSG_LEN(0);

        if (c->cmsg_len < CMSG_LEN(0) ||
            (uint8_t *)c + c->cmsg_len >
                (uint8_t *)copy.msg_control + copy.msg_controllen)
            return -EINVAL;
        if (c->cmsg_level == IPPROTO_IP && sonic__sim_ip_is_v4(&out->to))
            err = take_v4(c, len, out);
        else if (c->cmsg_level == IPPROTO_IPV6 && s->family == AF_INET6)
            err = take_v6(c, len, out);
        else if (c->cmsg_level == IPPROTO_UDP)
            err = take_udp(c, len, out);
        else if (c->cmsg_level == SOL_SOCKET)
            err = -EINVAL;
    }
    return err;
}
