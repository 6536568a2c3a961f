/* UDP, for IPv4 and IPv6: w->family says which. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>

#include "sim_script_udp.h"

int
udp_socket(struct world *w)
{
    int fd = w->k->socket(w->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                          0, w->k->ud);

    ck_assert_int_ge(fd, 0);
    return fd;
}

struct addr
addr_of(struct world *w, const char *text, unsigned port)
{
    struct addr a = {.len = w->family == AF_INET ? sizeof a.in : sizeof a.in6};

    a.sa.sa_family = (sa_family_t)w->family;
    if (w->family == AF_INET) {
        a.in.sin_port = htons((uint16_t)port);
        ck_assert_int_eq(inet_pton(AF_INET, text, &a.in.sin_addr), 1);
    } else {
        a.in6.sin6_port = htons((uint16_t)port);
        ck_assert_int_eq(inet_pton(AF_INET6, text, &a.in6.sin6_addr), 1);
    }
    return a;
}

struct addr
home(struct world *w, unsigned port)
{
    return addr_of(w, w->family == AF_INET ? "127.0.0.1" : "::1", port);
}

struct addr
anywhere(struct world *w, unsigned port)
{
    return addr_of(w, w->family == AF_INET ? "0.0.0.0" : "::", port);
}

unsigned
port_of(struct world *w, int fd)
{
    struct addr a;

    a.len = sizeof a.in6;
    ck_assert_int_eq(w->k->getsockname(fd, &a.sa, &a.len, w->k->ud), 0);
    return ntohs(a.in.sin_port); /* where sin6_port is, too */
}

static void
say_addr(struct world *w, const char *what, const struct addr *a)
{
    char text[INET6_ADDRSTRLEN] = "?";

    if (a->sa.sa_family == AF_INET)
        inet_ntop(AF_INET, &a->in.sin_addr, text, sizeof text);
    else if (a->sa.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &a->in6.sin6_addr, text, sizeof text);
    say(w, "%s: %s%s len %d\n", what, text, a->in.sin_port != 0 ? " port" : "",
        (int)a->len);
}

static void
say_own(struct world *w, int fd)
{
    struct addr a;

    a.len = sizeof a.in6;
    told(w, "getsockname", w->k->getsockname(fd, &a.sa, &a.len, w->k->ud));
    say_addr(w, "own", &a);
    a.len = sizeof a.in6;
    memset(&a.ss, 0, sizeof a.ss);
    told(w, "getpeername", w->k->getpeername(fd, &a.sa, &a.len, w->k->ud));
    say_addr(w, "peer", &a);
}

int
udp_bound(struct world *w, struct addr at)
{
    int fd = udp_socket(w);

    ck_assert_int_eq(w->k->bind(fd, &at.sa, at.len, w->k->ud), 0);
    return fd;
}

ssize_t
send_bytes(struct world *w, int fd, const struct addr *to, const void *p,
           size_t n)
{
    struct iovec v = {(void *)(uintptr_t)p, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    if (to != NULL) {
        m.msg_name = (void *)(uintptr_t)&to->ss;
        m.msg_namelen = to->len;
    }
    return w->k->sendmsg(fd, &m, MSG_NOSIGNAL, w->k->ud);
}

ssize_t
send_text(struct world *w, int fd, const struct addr *to, const char *text)
{
    return send_bytes(w, fd, to, text, strlen(text));
}

static void
say_control(struct world *w, struct msghdr *m)
{
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        char text[INET6_ADDRSTRLEN];
        struct in_pktinfo four;
        struct in6_pktinfo six;
        int n = 0;

        say(w, "  control %d %d of %d:", c->cmsg_level, c->cmsg_type,
            (int)(c->cmsg_len - CMSG_LEN(0)));
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&four, CMSG_DATA(c), sizeof four);
            say(w, " if %d to %s", four.ipi_ifindex,
                inet_ntop(AF_INET, &four.ipi_addr, text, sizeof text));
            say(w, " spec %s",
                inet_ntop(AF_INET, &four.ipi_spec_dst, text, sizeof text));
        } else if (c->cmsg_level == IPPROTO_IPV6 &&
                   c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&six, CMSG_DATA(c), sizeof six);
            say(w, " if %u to %s", six.ipi6_ifindex,
                inet_ntop(AF_INET6, &six.ipi6_addr, text, sizeof text));
        } else if (c->cmsg_level != SOL_SOCKET) { /* times differ */
            memcpy(&n, CMSG_DATA(c),
                   c->cmsg_len - CMSG_LEN(0) < sizeof n
                       ? c->cmsg_len - CMSG_LEN(0)
                       : sizeof n);
            say(w, " %d", n);
        }
        say(w, "\n");
    }
}

void
take_from(struct world *w, const char *what, int fd, size_t max, size_t room,
          int flags)
{
    _Alignas(struct cmsghdr) char control[512] = {0};
    char buf[256];
    struct addr from = {.len = 0};
    struct iovec v = {buf, max};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_name = &from.ss,
                       .msg_namelen = sizeof from.ss,
                       .msg_control = room > 0 ? control : NULL,
                       .msg_controllen = room};
    ssize_t n = w->k->recvmsg(fd, &m, flags, w->k->ud);

    told(w, what, n);
    if (n < 0)
        return;
    say(w, "  \"%.*s\" flags%s%s\n", (int)(n < (ssize_t)max ? n : (ssize_t)max),
        buf, (m.msg_flags & MSG_TRUNC) != 0 ? " TRUNC" : "",
        (m.msg_flags & MSG_CTRUNC) != 0 ? " CTRUNC" : "");
    from.len = m.msg_namelen;
    say_addr(w, "  from", &from);
    say(w, "  control length %d\n", (int)m.msg_controllen);
    say_control(w, &m);
}

void
udp_take(struct world *w, const char *what, int fd)
{
    take_from(w, what, fd, 200, 0, 0);
}

void
set_one(struct world *w, int fd, int level, int name, int value)
{
    ck_assert_int_eq(
        w->k->setsockopt(fd, level, name, &value, sizeof value, w->k->ud), 0);
}

/* ---- scripts ---- */

void
script_udp_unconnected(struct world *w)
{
    int ep = new_epoll(w), a = udp_socket(w), b = udp_socket(w);
    struct addr at = home(w, 0), bad;

    look(w, "fresh", a);
    say_own(w, a);
    add(w, ep, a, ET_ALL, 'a');
    add(w, ep, b, ET_ALL, 'b');
    wait_for(w, "fresh", ep, 8, 0);
    told(w, "bind", w->k->bind(a, &at.sa, at.len, w->k->ud));
    told(w, "bind again", w->k->bind(a, &at.sa, at.len, w->k->ud));
    say_own(w, a);
    at = home(w, port_of(w, a));
    told(w, "nowhere", send_text(w, b, NULL, "x"));
    told(w, "send", send_text(w, b, &at, "hello"));
    say_own(w, b);
    wait_for(w, "arrived", ep, 8, SOON);
    wait_for(w, "once", ep, 8, 0);
    look(w, "poll", a);
    take_from(w, "peek", a, 200, 0, MSG_PEEK);
    udp_take(w, "recv", a);
    udp_take(w, "none", a);
    told(w, "empty", send_text(w, b, &at, ""));
    wait_for(w, "arrived", ep, 8, SOON);
    udp_take(w, "recv", a);
    told(w, "long", send_text(w, b, &at, "0123456789"));
    until(w, a, POLLIN);
    take_from(w, "cut", a, 4, 0, 0);
    told(w, "long", send_text(w, b, &at, "0123456789"));
    until(w, a, POLLIN);
    take_from(w, "its length", a, 4, 0, MSG_TRUNC | MSG_PEEK);
    take_from(w, "of no length", a, 0, 0, 0);
    udp_take(w, "none", a);
    bad = at;
    bad.len--;
    told(w, "short address", send_text(w, b, &bad, "x"));
    bad = at;
    bad.len = 1;
    told(w, "shorter", send_text(w, b, &bad, "x"));
    bad = at;
    bad.in.sin_port = 0;
    told(w, "port 0", send_text(w, b, &bad, "x"));
    bad = at;
    bad.sa.sa_family = AF_UNIX;
    told(w, "family", send_text(w, b, &bad, "x"));
    told(w, "listen", w->k->listen(a, 1, w->k->ud));
    told(w, "accept", w->k->accept4(a, NULL, NULL, 0, w->k->ud));
    done(w, a);
    told(w, "to nobody", send_text(w, b, &at, "x"));
    wait_for(w, "no error", ep, 8, 0);
    so_error(w, b);
    done(w, b);
    done(w, ep);
}

void
script_udp_connected(struct world *w)
{
    int ep = new_epoll(w), a = udp_bound(w, home(w, 0)), b = udp_socket(w);
    int c = udp_socket(w);
    struct addr at = home(w, port_of(w, a)), of_b, none = {.len = sizeof at.in};

    told(w, "connect", w->k->connect(b, &at.sa, at.len, w->k->ud));
    say_own(w, b);
    of_b = home(w, port_of(w, b));
    told(w, "stranger", send_text(w, c, &of_b, "from c"));
    told(w, "friend", send_text(w, a, &of_b, "from a"));
    until(w, b, POLLIN);
    udp_take(w, "recv", b);
    udp_take(w, "recv", b);
    told(w, "send", send_text(w, b, NULL, "to a"));
    until(w, a, POLLIN);
    udp_take(w, "recv", a);
    told(w, "elsewhere", send_text(w, b, &of_b, "to itself"));
    udp_take(w, "recv", b);
    told(w, "again", w->k->connect(b, &of_b.sa, of_b.len, w->k->ud));
    told(w, "send", send_text(w, b, NULL, "to itself"));
    until(w, b, POLLIN);
    udp_take(w, "recv", b);
    none.sa.sa_family = AF_UNSPEC;
    told(w, "undo", w->k->connect(b, &none.sa, none.len, w->k->ud));
    say_own(w, b);
    told(w, "send", send_text(w, b, NULL, "x"));
    told(w, "short", w->k->connect(b, &at.sa, 3, w->k->ud));
    add(w, ep, b, ET_ALL, 'b');
    wait_for(w, "added", ep, 8, 0);
    told(w, "connect", w->k->connect(b, &at.sa, at.len, w->k->ud));
    done(w, a); /* now nobody is there */
    told(w, "send", send_text(w, b, NULL, "x"));
    wait_for(w, "refused", ep, 8, SOON);
    look(w, "poll", b);
    told(w, "send", send_text(w, b, NULL, "x"));
    told(w, "send", send_text(w, b, NULL, "x"));
    udp_take(w, "recv", b);
    udp_take(w, "recv", b);
    told(w, "send", send_text(w, b, NULL, "x"));
    so_error(w, b);
    so_error(w, b);
    told(w, "elsewhere", send_text(w, b, &of_b, "to itself"));
    done(w, b);
    done(w, c);
    done(w, ep);
}

void
script_udp_shutdown(struct world *w)
{
    int ep = new_epoll(w), a = udp_bound(w, home(w, 0)), b = udp_socket(w);
    struct addr at = home(w, port_of(w, a));

    add(w, ep, a, ET_ALL, 'a');
    wait_for(w, "added", ep, 8, 0);
    told(w, "unconnected", w->k->shutdown(a, SHUT_RD, w->k->ud));
    wait_for(w, "but it is", ep, 8, 0);
    told(w, "send", send_text(w, b, &at, "late"));
    until(w, a, POLLIN);
    udp_take(w, "recv", a);
    udp_take(w, "none", a);
    told(w, "connect", w->k->connect(b, &at.sa, at.len, w->k->ud));
    told(w, "write side", w->k->shutdown(b, SHUT_WR, w->k->ud));
    look(w, "poll", b);
    told(w, "send", send_text(w, b, NULL, "x"));
    told(w, "both", w->k->shutdown(b, SHUT_RDWR, w->k->ud));
    look(w, "poll", b);
    told(w, "how", w->k->shutdown(b, 7, w->k->ud));
    done(w, a);
    done(w, b);
    done(w, ep);
}

void
script_udp_edges(struct world *w)
{
    int ep = new_epoll(w), a = udp_bound(w, home(w, 0)), b = udp_socket(w);
    struct addr at = home(w, port_of(w, a));

    add(w, ep, a, EPOLLIN | EPOLLET, 'a');
    add(w, ep, b, ET_ALL, 'b');
    wait_for(w, "added", ep, 8, 0);
    told(w, "send", send_text(w, b, &at, "1"));
    wait_for(w, "one", ep, 8, SOON);
    wait_for(w, "no more", ep, 8, 0);
    told(w, "send", send_text(w, b, &at, "2"));
    wait_for(w, "undrained, but new", ep, 8, SOON);
    udp_take(w, "recv", a);
    wait_for(w, "no more", ep, 8, 0);
    udp_take(w, "recv", a);
    wait_for(w, "drained", ep, 8, 0);
    told(w, "send", send_text(w, b, &at, "3"));
    udp_take(w, "before the wait", a);
    wait_for(w, "an edge that is gone", ep, 8, 0);
    done(w, a);
    done(w, b);
    done(w, ep);
}

void
script_udp_sizes(struct world *w)
{
    static char big[70000];
    int a = udp_bound(w, home(w, 0)), b = udp_socket(w);
    struct addr at = home(w, port_of(w, a));

    set_one(w, a, SOL_SOCKET, SO_RCVBUF, 200000);
    set_one(w, b, SOL_SOCKET, SO_SNDBUF, 200000);
    told(w, "65507", send_bytes(w, b, &at, big, 65507));
    until(w, a, POLLIN);
    told(w, "recv", w->k->recv(a, big, sizeof big, 0, w->k->ud));
    told(w, "65508", send_bytes(w, b, &at, big, 65508));
    told(w, "recv", w->k->recv(a, big, sizeof big, 0, w->k->ud));
    told(w, "65527", send_bytes(w, b, &at, big, 65527));
    told(w, "recv", w->k->recv(a, big, sizeof big, 0, w->k->ud));
    told(w, "65528", send_bytes(w, b, &at, big, 65528));
    told(w, "65535", send_bytes(w, b, &at, big, 65535));
    told(w, "65536", send_bytes(w, b, &at, big, 65536));
    told(w, "oob", w->k->send(b, big, 1, MSG_OOB, w->k->ud));
    told(w, "connect", w->k->connect(b, &at.sa, at.len, w->k->ud));
    told(w, "oob", w->k->send(b, big, 1, MSG_OOB, w->k->ud));
    told(w, "errqueue", w->k->recv(a, big, 1, MSG_ERRQUEUE, w->k->ud));
    done(w, a);
    done(w, b);
}

void
script_udp_control(struct world *w)
{
    bool v4 = w->family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    int a = udp_bound(w, anywhere(w, 0)), b = udp_socket(w);
    struct addr at = home(w, port_of(w, a));

    told(w, "send", send_text(w, b, &at, "plain"));
    until(w, a, POLLIN);
    take_from(w, "nothing asked for", a, 200, 256, 0);
    set_one(w, a, level, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
    set_one(w, a, level, v4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, 1);
    set_one(w, a, level, v4 ? IP_RECVTOS : IPV6_RECVTCLASS, 1);
    set_one(w, a, SOL_SOCKET, SO_RXQ_OVFL, 1);
    set_one(w, b, level, v4 ? IP_TOS : IPV6_TCLASS, 0x10);
    told(w, "send", send_text(w, b, &at, "info"));
    until(w, a, POLLIN);
    take_from(w, "all of it", a, 200, 256, 0);
    set_one(w, b, level, v4 ? IP_TTL : IPV6_UNICAST_HOPS, 9);
    told(w, "send", send_text(w, b, &at, "info"));
    until(w, a, POLLIN);
    take_from(w, "a part", a, 200, 36, 0);
    told(w, "send", send_text(w, b, &at, "info"));
    until(w, a, POLLIN);
    take_from(w, "no room", a, 200, 8, 0);
    set_one(w, a, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    told(w, "send", send_text(w, b, &at, "time"));
    until(w, a, POLLIN);
    take_from(w, "times", a, 200, 256, 0);
    set_one(w, a, SOL_SOCKET, SO_TIMESTAMPNS, 0);
    set_one(w, a, SOL_SOCKET, SO_TIMESTAMP, 1);
    told(w, "send", send_text(w, b, &at, "time"));
    until(w, a, POLLIN);
    take_from(w, "times", a, 200, 256, 0);
    done(w, a);
    done(w, b);
}
