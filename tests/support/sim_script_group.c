/* Multicast, for IPv4 and IPv6: joining, filters, delivery. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "sim_script_udp.h"

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

enum { N0 = 2, N1 = 3 };

struct names {
    const char *group, *other, *sources[2];
};

static const struct names *
names(const struct world *w)
{
    static const struct names four = {
        "239.7.7.7", "239.7.7.8", {"10.77.0.1", "10.77.1.1"}};
    static const struct names six = {
        "ff05::7:7", "ff05::7:8", {"fd77::1", "fd77:1::1"}};

    return w->family == AF_INET ? &four : &six;
}

static int
level(const struct world *w)
{
    return w->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
}

static int
group_do(struct world *w, int fd, int name, const char *group, unsigned iface)
{
    struct group_req r = {.gr_interface = iface};

    r.gr_group = addr_of(w, group, 0).ss;
    return w->k->setsockopt(fd, level(w), name, &r, sizeof r, w->k->ud);
}

static int
source_do(struct world *w, int fd, int name, const char *group,
          const char *source, unsigned iface)
{
    struct group_source_req r = {.gsr_interface = iface};

    r.gsr_group = addr_of(w, group, 0).ss;
    r.gsr_source = addr_of(w, source, 0).ss;
    return w->k->setsockopt(fd, level(w), name, &r, sizeof r, w->k->ud);
}

#define JOIN MCAST_JOIN_GROUP
#define LEAVE MCAST_LEAVE_GROUP
#define BLOCK MCAST_BLOCK_SOURCE
#define UNBLOCK MCAST_UNBLOCK_SOURCE
#define JOIN_SOURCE MCAST_JOIN_SOURCE_GROUP
#define LEAVE_SOURCE MCAST_LEAVE_SOURCE_GROUP

/* Every sequence of three operations on one group: what each says depends on
 * those before it. */
void
script_group_matrix(struct world *w)
{
    static const int ops[] = {JOIN,  LEAVE,   JOIN_SOURCE, LEAVE_SOURCE,
                              BLOCK, UNBLOCK, JOIN_SOURCE, LEAVE_SOURCE,
                              BLOCK, UNBLOCK};
    enum { OPS = sizeof ops / sizeof *ops };
    int i, j;

    for (i = 0; i < OPS * OPS * OPS; i++) {
        int fd = udp_socket(w), left = i;

        say(w, "%d:", i);
        for (j = 0; j < 3; j++, left /= OPS) {
            int op = left % OPS, r;
            const char *source = names(w)->sources[op / 6];

            if (op < 2)
                r = group_do(w, fd, ops[op], names(w)->group, N0);
            else
                r = source_do(w, fd, ops[op], names(w)->group, source, N0);
            say(w, " %d", r);
        }
        say(w, "\n");
        done(w, fd);
    }
}

static int
old_four(struct world *w, int fd, int name, const char *group,
         const char *source, const char *iface)
{
    struct ip_mreq_source s = {.imr_interface.s_addr = inet_addr(iface)};
    struct ip_mreq m = {.imr_interface.s_addr = inet_addr(iface)};

    m.imr_multiaddr.s_addr = s.imr_multiaddr.s_addr = inet_addr(group);
    if (source == NULL)
        return w->k->setsockopt(fd, IPPROTO_IP, name, &m, sizeof m, w->k->ud);
    s.imr_sourceaddr.s_addr = inet_addr(source);
    return w->k->setsockopt(fd, IPPROTO_IP, name, &s, sizeof s, w->k->ud);
}

static void
old_options_four(struct world *w, int fd)
{
    const char *g = "239.7.7.7", *s = "10.77.1.1", *i = "10.77.0.1";
    struct ip_mreqn m = {.imr_ifindex = N1};

    told(w, "join", old_four(w, fd, IP_ADD_MEMBERSHIP, g, NULL, i));
    told(w, "the same by index", group_do(w, fd, JOIN, g, N0));
    told(w, "block", old_four(w, fd, IP_BLOCK_SOURCE, g, s, i));
    told(w, "unblock", old_four(w, fd, IP_UNBLOCK_SOURCE, g, s, i));
    told(w, "no such device",
         old_four(w, fd, IP_ADD_MEMBERSHIP, g, NULL, "10.9.9.9"));
    told(w, "by the routes",
         old_four(w, fd, IP_ADD_MEMBERSHIP, "239.7.7.9", NULL, "0.0.0.0"));
    told(w, "which is n0", group_do(w, fd, LEAVE, "239.7.7.9", N0));
    told(w, "leave", old_four(w, fd, IP_DROP_MEMBERSHIP, g, NULL, i));
    told(w, "source", old_four(w, fd, IP_ADD_SOURCE_MEMBERSHIP, g, s, i));
    told(w, "and out", old_four(w, fd, IP_DROP_SOURCE_MEMBERSHIP, g, s, i));
    told(w, "gone", old_four(w, fd, IP_DROP_MEMBERSHIP, g, NULL, i));
    m.imr_multiaddr.s_addr = inet_addr(g);
    told(w, "by index",
         w->k->setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m,
                          w->k->ud));
    told(w, "leave wherever",
         old_four(w, fd, IP_DROP_MEMBERSHIP, g, NULL, "0.0.0.0"));
    told(w, "short",
         w->k->setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 4, w->k->ud));
}

static void
old_options_six(struct world *w, int fd)
{
    struct ipv6_mreq m = {.ipv6mr_interface = N0};

    m.ipv6mr_multiaddr = addr_of(w, names(w)->group, 0).in6.sin6_addr;
    told(w, "join",
         w->k->setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof m,
                          w->k->ud));
    told(w, "again", group_do(w, fd, JOIN, names(w)->group, N0));
    told(w, "anywhere", group_do(w, fd, JOIN, names(w)->group, 0));
    told(w, "block",
         source_do(w, fd, BLOCK, names(w)->group, names(w)->sources[0], 0));
    told(w, "leave",
         w->k->setsockopt(fd, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &m, sizeof m,
                          w->k->ud));
    told(w, "short",
         w->k->setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, 8, w->k->ud));
    m.ipv6mr_interface = 99;
    told(w, "no device",
         w->k->setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof m,
                          w->k->ud));
}

void
script_group_old_options(struct world *w)
{
    const struct names *n = names(w);
    int fd = udp_socket(w), was = w->family;
    const char *alone = was == AF_INET ? "10.1.2.3" : "fd77::9";

    told(w, "no group", group_do(w, fd, JOIN, alone, N0));
    told(w, "no group", group_do(w, fd, LEAVE, alone, N0));
    told(w, "no group", source_do(w, fd, JOIN_SOURCE, alone, alone, N0));
    told(w, "no group", source_do(w, fd, BLOCK, alone, alone, N0));
    told(w, "no device", group_do(w, fd, JOIN, n->group, 99));
    told(w, "no device", group_do(w, fd, LEAVE, n->group, 99));
    told(w, "no device", source_do(w, fd, BLOCK, n->group, alone, 99));
    told(w, "no device", source_do(w, fd, JOIN_SOURCE, n->group, alone, 99));
    told(w, "on one", group_do(w, fd, JOIN, n->group, N0));
    told(w, "and the other", group_do(w, fd, JOIN, n->group, N1));
    told(w, "leave one", group_do(w, fd, LEAVE, n->group, 0));
    told(w, "leave one", group_do(w, fd, LEAVE, n->group, 0));
    told(w, "leave one", group_do(w, fd, LEAVE, n->group, 0));
    if (was == AF_INET)
        old_options_four(w, fd);
    else
        old_options_six(w, fd);
    done(w, fd);
}

void
script_group_limits(struct world *w)
{
    int fd = udp_socket(w), i;
    char text[40];

    if (w->family == AF_INET) {
        for (i = 0; i < 22; i++) {
            snprintf(text, sizeof text, "239.7.8.%d", i);
            told(w, "join", group_do(w, fd, JOIN, text, N0));
        }
        for (i = 0; i < 12; i++) {
            snprintf(text, sizeof text, "10.8.8.%d", i);
            told(w, "block", source_do(w, fd, BLOCK, "239.7.8.1", text, N0));
        }
        done(w, fd);
        return;
    }
    told(w, "join", group_do(w, fd, JOIN, "ff05::7:7", N0));
    for (i = 0; i < 66; i++) {
        snprintf(text, sizeof text, "fd08::%d", i);
        told(w, "block", source_do(w, fd, BLOCK, "ff05::7:7", text, N0));
    }
    done(w, fd);
}

static void
setting(struct world *w, int fd, int name, int value)
{
    int got = -1;
    socklen_t n = sizeof got;

    told(w, "set",
         w->k->setsockopt(fd, level(w), name, &value, sizeof value, w->k->ud));
    told(w, "get", w->k->getsockopt(fd, level(w), name, &got, &n, w->k->ud));
    say(w, "%d len %d\n", got, (int)n);
}

static void
settings(struct world *w, int fd, int name)
{
    static const int values[] = {0, 1, 2, 255, 256, -1, -2};
    int got = -1;
    size_t i;
    socklen_t n = sizeof got;
    uint8_t byte = 3;

    told(w, "get", w->k->getsockopt(fd, level(w), name, &got, &n, w->k->ud));
    say(w, "by default %d\n", got);
    for (i = 0; i < sizeof values / sizeof *values; i++)
        setting(w, fd, name, values[i]);
    told(w, "a byte", w->k->setsockopt(fd, level(w), name, &byte, 1, w->k->ud));
    told(w, "nothing",
         w->k->setsockopt(fd, level(w), name, &byte, 0, w->k->ud));
}

static void
outbound_four(struct world *w, int fd)
{
    struct in_addr a = {.s_addr = inet_addr("10.77.1.1")}, got = {0};
    struct ip_mreqn m = {.imr_ifindex = N1};
    socklen_t n = sizeof got;

    told(w, "address",
         w->k->setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &a, sizeof a,
                          w->k->ud));
    told(w, "get",
         w->k->getsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &got, &n, w->k->ud));
    say(w, "%s\n", inet_ntoa(got));
    told(w, "index",
         w->k->setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof m,
                          w->k->ud));
    told(w, "get",
         w->k->getsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &got, &n, w->k->ud));
    say(w, "%s\n", inet_ntoa(got));
    m.imr_ifindex = 99;
    told(w, "none",
         w->k->setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof m,
                          w->k->ud));
    a.s_addr = inet_addr("10.1.1.1");
    told(w, "none",
         w->k->setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &a, sizeof a,
                          w->k->ud));
    a.s_addr = 0;
    told(w, "any",
         w->k->setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &a, sizeof a,
                          w->k->ud));
}

void
script_group_settings(struct world *w)
{
    bool v4 = w->family == AF_INET;
    int fd = udp_socket(w);
    char device[IF_NAMESIZE] = "?";
    socklen_t n = sizeof device;

    settings(w, fd, v4 ? IP_MULTICAST_TTL : IPV6_MULTICAST_HOPS);
    settings(w, fd, v4 ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP);
    settings(w, fd, v4 ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL);
    settings(w, fd, v4 ? IP_TTL : IPV6_UNICAST_HOPS);
    if (v4) {
        outbound_four(w, fd);
    } else {
        setting(w, fd, IPV6_MULTICAST_IF, N1);
        setting(w, fd, IPV6_MULTICAST_IF, 99);
        setting(w, fd, IPV6_MULTICAST_IF, 0);
    }
    told(w, "device",
         w->k->setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "n1", 2, w->k->ud));
    told(w, "get",
         w->k->getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &n,
                          w->k->ud));
    say(w, "%s %d\n", device, (int)n);
    told(w, "no such",
         w->k->setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "zz", 3, w->k->ud));
    told(w, "none",
         w->k->setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0, w->k->ud));
    n = sizeof device;
    told(w, "get",
         w->k->getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &n,
                          w->k->ud));
    say(w, "%d\n", (int)n);
    done(w, fd);
}

/* ---- delivery ---- */

/* A receiver at a port that others may have too. */
static int
receiver(struct world *w, struct addr at)
{
    bool v4 = w->family == AF_INET;
    int fd = udp_socket(w);

    set_one(w, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_one(w, fd, level(w), v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
    set_one(w, fd, level(w), v4 ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL, 0);
    ck_assert_int_eq(w->k->bind(fd, &at.sa, at.len, w->k->ud), 0);
    return fd;
}

static void
set_outbound(struct world *w, int fd, int index)
{
    struct ip_mreqn m = {.imr_ifindex = index};

    if (w->family == AF_INET)
        told(w, "outbound",
             w->k->setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof m,
                              w->k->ud));
    else
        told(w, "outbound",
             w->k->setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index,
                              sizeof index, w->k->ud));
}

/* What is sent from a source's address leaves by its interface. */
static int
sender(struct world *w, int which)
{
    int fd = udp_bound(w, addr_of(w, names(w)->sources[which], 0));

    set_outbound(w, fd, N0 + which);
    return fd;
}

/* A datagram takes a moment from one interface to the other. */
static void
settle(struct world *w, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    w->k->poll(&p, 1, SOON * INT64_C(1000000), w->k->ud);
}

static void
all_of(struct world *w, const char *what, int fd)
{
    int i;

    settle(w, fd);
    for (i = 0; i < 3; i++)
        take_from(w, what, fd, 200, 200, 0);
}

void
script_group_delivery(struct world *w)
{
    const struct names *n = names(w);
    int a = receiver(w, anywhere(w, 0)), b, c, s = sender(w, 0), ep;
    unsigned port = port_of(w, a);
    struct addr to = addr_of(w, n->group, port), other;

    b = receiver(w, anywhere(w, port));
    c = receiver(w, anywhere(w, port));
    other = addr_of(w, n->other, port);
    told(w, "nobody", send_text(w, s, &to, "nobody"));
    told(w, "a joins", group_do(w, a, JOIN, n->group, N0));
    told(w, "b joins", group_do(w, b, JOIN, n->group, N0));
    ep = new_epoll(w);
    add(w, ep, a, EPOLLIN | EPOLLET, 'a');
    add(w, ep, b, EPOLLIN | EPOLLET, 'b');
    add(w, ep, c, EPOLLIN | EPOLLET, 'c');
    told(w, "group", send_text(w, s, &to, "group"));
    settle(w, b);
    wait_for(w, "ready", ep, 8, SOON);
    told(w, "other", send_text(w, s, &other, "other"));
    all_of(w, "a", a);
    all_of(w, "b", b);
    all_of(w, "c", c);
    told(w, "b leaves", group_do(w, b, LEAVE, n->group, N0));
    told(w, "group", send_text(w, s, &to, "again"));
    all_of(w, "a", a);
    all_of(w, "b", b);
    done(w, a);
    told(w, "nobody", send_text(w, s, &to, "nobody"));
    all_of(w, "b", b);
    told(w, "connect", w->k->connect(s, &to.sa, to.len, w->k->ud));
    told(w, "b joins", group_do(w, b, JOIN, n->group, N0));
    told(w, "connected", send_text(w, s, NULL, "connected"));
    all_of(w, "b", b);
    done(w, b);
    done(w, c);
    done(w, s);
    done(w, ep);
}

void
script_group_filters(struct world *w)
{
    const struct names *n = names(w);
    int a = receiver(w, anywhere(w, 0)), b, s0 = sender(w, 0), s1;
    unsigned port = port_of(w, a);
    struct addr to = addr_of(w, n->group, port);
    int i;

    b = receiver(w, anywhere(w, port));
    s1 = sender(w, 1);
    set_outbound(w, s1, N0); /* two sources, one interface */
    told(w, "a: all", group_do(w, a, JOIN, n->group, N0));
    told(w, "b: one",
         source_do(w, b, JOIN_SOURCE, n->group, n->sources[1], N0));
    for (i = 0; i < 5; i++) {
        told(w, "send", send_text(w, s0, &to, "from 0"));
        told(w, "send", send_text(w, s1, &to, "from 1"));
        all_of(w, "a", a);
        all_of(w, "b", b);
        if (i == 0)
            told(w, "a: not 0",
                 source_do(w, a, BLOCK, n->group, n->sources[0], N0));
        if (i == 1)
            told(w, "b: 0 too",
                 source_do(w, b, JOIN_SOURCE, n->group, n->sources[0], N0));
        if (i == 2)
            told(w, "a: 0 again",
                 source_do(w, a, UNBLOCK, n->group, n->sources[0], N0));
        if (i == 3)
            told(w, "b: not 1",
                 source_do(w, b, LEAVE_SOURCE, n->group, n->sources[1], N0));
    }
    done(w, a);
    done(w, b);
    done(w, s0);
    done(w, s1);
}

void
script_group_binding(struct world *w)
{
    const struct names *n = names(w);
    int any = receiver(w, anywhere(w, 0)), of_group, one, s = sender(w, 0);
    unsigned port = port_of(w, any);
    struct addr to = addr_of(w, n->group, port);
    struct addr other = addr_of(w, n->other, port);
    struct addr here = addr_of(w, n->sources[0], port);

    of_group = receiver(w, to);
    one = receiver(w, here);
    told(w, "join", group_do(w, any, JOIN, n->group, N0));
    told(w, "join", group_do(w, any, JOIN, n->other, N0));
    told(w, "join", group_do(w, of_group, JOIN, n->group, N0));
    told(w, "join", group_do(w, of_group, JOIN, n->other, N0));
    told(w, "join", group_do(w, one, JOIN, n->group, N0));
    told(w, "send", send_text(w, s, &to, "group"));
    told(w, "send", send_text(w, s, &other, "other"));
    told(w, "send", send_text(w, s, &here, "here"));
    all_of(w, "any", any);
    all_of(w, "of the group", of_group);
    all_of(w, "of an address", one);
    done(w, one);
    told(w, "send", send_text(w, s, &here, "here"));
    all_of(w, "any", any);
    to = home(w, port_of(w, s));
    told(w, "from a group's address", send_text(w, of_group, &here, "x"));
    all_of(w, "any", any);
    done(w, any);
    done(w, of_group);
    done(w, s);
}

/* IP_MULTICAST_ALL: what others have joined. */
void
script_group_all(struct world *w)
{
    const struct names *n = names(w);
    int name = w->family == AF_INET ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL;
    int a = receiver(w, anywhere(w, 0)), b, s = sender(w, 0);
    unsigned port = port_of(w, a);
    struct addr to = addr_of(w, n->group, port);

    b = receiver(w, anywhere(w, port));
    set_one(w, b, level(w), name, 1);
    told(w, "send", send_text(w, s, &to, "nobody joined"));
    all_of(w, "b", b);
    told(w, "join", group_do(w, a, JOIN, n->group, N0));
    told(w, "send", send_text(w, s, &to, "a joined"));
    all_of(w, "a", a);
    all_of(w, "b", b);
    set_one(w, b, level(w), name, 0);
    told(w, "send", send_text(w, s, &to, "not all"));
    all_of(w, "a", a);
    all_of(w, "b", b);
    told(w, "leave", group_do(w, a, LEAVE, n->group, N0));
    set_one(w, b, level(w), name, 1);
    told(w, "send", send_text(w, s, &to, "a left"));
    all_of(w, "b", b);
    done(w, a);
    done(w, b);
    done(w, s);
}

/* n0 and n1 hear each other: each datagram comes back and goes across. */
void
script_group_interfaces(struct world *w)
{
    const struct names *n = names(w);
    int a = receiver(w, anywhere(w, 0)), b, s0 = sender(w, 0);
    int s1 = sender(w, 1), any = udp_socket(w);
    unsigned port = port_of(w, a);
    struct addr to = addr_of(w, n->group, port);

    b = receiver(w, anywhere(w, port));
    told(w, "a on n0", group_do(w, a, JOIN, n->group, N0));
    told(w, "from n0", send_text(w, s0, &to, "from n0"));
    all_of(w, "a", a);
    told(w, "from n1", send_text(w, s1, &to, "from n1"));
    all_of(w, "a", a);
    told(w, "b on n1", group_do(w, b, JOIN, n->group, N1));
    told(w, "from n0", send_text(w, s0, &to, "from n0"));
    settle(w, b);
    all_of(w, "a", a);
    all_of(w, "b", b);
    told(w, "a on n1 too", group_do(w, a, JOIN, n->group, N1));
    told(w, "from n1", send_text(w, s1, &to, "from n1"));
    settle(w, b);
    all_of(w, "a", a);
    all_of(w, "b", b);
    told(w, "device",
         w->k->setsockopt(a, SOL_SOCKET, SO_BINDTODEVICE, "n1", 2, w->k->ud));
    told(w, "from n0", send_text(w, s0, &to, "from n0"));
    settle(w, b);
    all_of(w, "a", a);
    done(w, b);
    set_outbound(w, any, N1);
    told(w, "from n1's address", send_text(w, any, &to, "by n1"));
    all_of(w, "a", a);
    done(w, a);
    done(w, s0);
    done(w, s1);
    done(w, any);
}

void
script_group_loop(struct world *w)
{
    const struct names *n = names(w);
    bool v4 = w->family == AF_INET;
    int loop = v4 ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP;
    int ttl = v4 ? IP_MULTICAST_TTL : IPV6_MULTICAST_HOPS;
    int a = receiver(w, anywhere(w, 0)), s = sender(w, 0), b;
    unsigned port = port_of(w, a);
    struct addr to = addr_of(w, n->group, port);

    b = receiver(w, anywhere(w, port));
    set_one(w, a, level(w), v4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, 1);
    told(w, "a on n0", group_do(w, a, JOIN, n->group, N0));
    set_one(w, s, level(w), loop, 0);
    told(w, "no loop", send_text(w, s, &to, "no loop"));
    all_of(w, "a", a);
    told(w, "b on n1", group_do(w, b, JOIN, n->group, N1));
    told(w, "across only", send_text(w, s, &to, "across"));
    all_of(w, "b", b);
    set_one(w, s, level(w), loop, 1);
    set_one(w, s, level(w), ttl, 0);
    told(w, "ttl 0", send_text(w, s, &to, "here only"));
    all_of(w, "a", a);
    all_of(w, "b", b);
    set_one(w, s, level(w), ttl, 7);
    told(w, "ttl 7", send_text(w, s, &to, "both"));
    settle(w, b);
    all_of(w, "a", a);
    all_of(w, "b", b);
    done(w, a);
    done(w, b);
    done(w, s);
}
