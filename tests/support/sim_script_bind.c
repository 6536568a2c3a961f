/* UDP: who may be bound where, who gets what, several messages at once. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/time.h>

#include "sim_script_udp.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static void
bind_twice(struct world *w, int opt, bool first_any, bool second_any)
{
    int a = udp_socket(w), b = udp_socket(w);
    struct addr at = first_any ? anywhere(w, 0) : home(w, 0);
    unsigned port;

    if (opt != 0) {
        set_one(w, a, SOL_SOCKET, opt, 1);
        set_one(w, b, SOL_SOCKET, opt, 1);
    }
    told(w, "bind", w->k->bind(a, &at.sa, at.len, w->k->ud));
    port = port_of(w, a);
    at = second_any ? anywhere(w, port) : home(w, port);
    told(w, "bind the same", w->k->bind(b, &at.sa, at.len, w->k->ud));
    done(w, a);
    done(w, b);
}

void
script_udp_binding(struct world *w)
{
    int t = w->k->socket(w->family, SOCK_STREAM, 0, w->k->ud), u;
    struct addr at = home(w, 0);

    bind_twice(w, 0, false, false);
    bind_twice(w, 0, true, false);
    bind_twice(w, SO_REUSEADDR, false, false);
    bind_twice(w, SO_REUSEADDR, true, false);
    bind_twice(w, SO_REUSEPORT, false, false);
    bind_twice(w, SO_REUSEPORT, false, true);
    told(w, "TCP", w->k->bind(t, &at.sa, at.len, w->k->ud));
    at = home(w, port_of(w, t));
    u = udp_socket(w);
    told(w, "has other ports", w->k->bind(u, &at.sa, at.len, w->k->ud));
    at.len -= 5;
    told(w, "short", w->k->bind(t, &at.sa, at.len, w->k->ud));
    done(w, t);
    done(w, u);
}

/* Which of several sockets a datagram is for. */
void
script_udp_choice(struct world *w)
{
    int any = udp_socket(w), exact = udp_socket(w), second = udp_socket(w);
    int friend = udp_bound(w, home(w, 0)), from = udp_bound(w, home(w, 0));
    struct addr at = anywhere(w, 0), of = home(w, port_of(w, friend));

    set_one(w, any, SOL_SOCKET, SO_REUSEADDR, 1);
    set_one(w, exact, SOL_SOCKET, SO_REUSEADDR, 1);
    set_one(w, second, SOL_SOCKET, SO_REUSEADDR, 1);
    ck_assert_int_eq(w->k->bind(any, &at.sa, at.len, w->k->ud), 0);
    at = home(w, port_of(w, any));
    told(w, "send", send_text(w, from, &at, "to any"));
    udp_take(w, "any", any);
    ck_assert_int_eq(w->k->bind(exact, &at.sa, at.len, w->k->ud), 0);
    told(w, "send", send_text(w, from, &at, "to the exact"));
    udp_take(w, "any", any);
    udp_take(w, "exact", exact);
    ck_assert_int_eq(w->k->bind(second, &at.sa, at.len, w->k->ud), 0);
    told(w, "send", send_text(w, from, &at, "to the last"));
    udp_take(w, "exact", exact);
    udp_take(w, "second", second);
    told(w, "connect", w->k->connect(exact, &of.sa, of.len, w->k->ud));
    told(w, "send", send_text(w, friend, &at, "to its friend"));
    told(w, "send", send_text(w, from, &at, "to the other"));
    udp_take(w, "exact", exact);
    udp_take(w, "exact", exact);
    udp_take(w, "second", second);
    done(w, exact);
    done(w, second);
    told(w, "send", send_text(w, from, &at, "to any again"));
    udp_take(w, "any", any);
    done(w, any);
    done(w, friend);
    done(w, from);
}

/* IPv4 and an IPv6 socket. */
void
script_udp_dual_stack(struct world *w)
{
    int six = w->k->socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0, w->k->ud);
    int four = w->k->socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0, w->k->ud);
    int was = w->family;
    struct addr at, to;
    unsigned port;

    w->family = AF_INET6;
    at = anywhere(w, 0);
    told(w, "bind", w->k->bind(six, &at.sa, at.len, w->k->ud));
    port = port_of(w, six);
    set_one(w, six, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    w->family = AF_INET;
    to = home(w, port);
    told(w, "send", send_text(w, four, &to, "four"));
    until(w, six, POLLIN);
    take_from(w, "recv", six, 200, 200, 0);
    to = home(w, port_of(w, four));
    told(w, "an IPv4 name", send_text(w, six, &to, "back"));
    until(w, four, POLLIN);
    udp_take(w, "recv", four);
    w->family = AF_INET6;
    to = addr_of(w, "::ffff:127.0.0.1", port_of(w, four));
    told(w, "a mapped name", send_text(w, six, &to, "back"));
    until(w, four, POLLIN);
    udp_take(w, "recv", four);
    set_one(w, six, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0);
    done(w, six);
    six = udp_socket(w);
    set_one(w, six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    told(w, "only six", send_text(w, six, &to, "back"));
    done(w, six);
    done(w, four);
    w->family = was;
}

enum { BATCH = 4 };

static void
batch(struct mmsghdr m[BATCH], struct iovec v[BATCH], char buf[BATCH][8],
      size_t n)
{
    int i;

    memset(m, 0, BATCH * sizeof *m);
    for (i = 0; i < BATCH; i++) {
        v[i] = (struct iovec){buf[i], n};
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
}

static void
say_batch(struct world *w, const char *what, int n, const struct mmsghdr *m)
{
    int i;

    told(w, what, n);
    for (i = 0; i < n; i++) {
        say(w, "  %u \"%.*s\"%s\n", m[i].msg_len, (int)m[i].msg_len,
            (const char *)m[i].msg_hdr.msg_iov->iov_base,
            (m[i].msg_hdr.msg_flags & MSG_TRUNC) != 0 ? " TRUNC" : "");
    }
}

void
script_udp_messages(struct world *w)
{
    int a = udp_bound(w, home(w, 0)), b = udp_socket(w);
    struct addr at = home(w, port_of(w, a));
    char text[BATCH][8] = {"zero", "one", "two", "three"}, buf[BATCH][8];
    struct mmsghdr m[BATCH];
    struct iovec v[BATCH];

    batch(m, v, text, 3);
    told(w, "nowhere", w->k->sendmmsg(b, m, BATCH, 0, w->k->ud));
    told(w, "none", w->k->sendmmsg(b, m, 0, 0, w->k->ud));
    told(w, "connect", w->k->connect(b, &at.sa, at.len, w->k->ud));
    told(w, "send", w->k->sendmmsg(b, m, BATCH, 0, w->k->ud));
    say(w, "%u %u\n", m[0].msg_len, m[3].msg_len);
    v[2].iov_len = 0;
    told(w, "send", w->k->sendmmsg(b, m, 3, 0, w->k->ud));
    until(w, a, POLLIN);
    batch(m, v, buf, 2);
    say_batch(w, "recv", w->k->recvmmsg(a, m, BATCH, 0, w->k->ud), m);
    batch(m, v, buf, 8);
    say_batch(w, "rest", w->k->recvmmsg(a, m, BATCH, 0, w->k->ud), m);
    told(w, "none", w->k->recvmmsg(a, m, BATCH, 0, w->k->ud));
    told(w, "no room", w->k->recvmmsg(a, m, 0, 0, w->k->ud));
    /* A second message that has nowhere to go. */
    batch(m, v, text, 3);
    v[1].iov_len = 70000;
    v[1].iov_base = NULL;
    told(w, "half", w->k->sendmmsg(b, m, BATCH, 0, w->k->ud));
    batch(m, v, buf, 8);
    say_batch(w, "recv", w->k->recvmmsg(a, m, BATCH, 0, w->k->ud), m);
    done(w, a);
    batch(m, v, text, 3);
    told(w, "to nobody", w->k->sendmmsg(b, m, BATCH, 0, w->k->ud));
    told(w, "recv", w->k->recvmmsg(b, m, BATCH, 0, w->k->ud));
    told(w, "recv", w->k->recvmmsg(b, m, BATCH, 0, w->k->ud));
    done(w, b);
}

/* Many datagrams as one: UDP_SEGMENT, udp(7). */
void
script_udp_segments(struct world *w)
{
    int a = udp_bound(w, home(w, 0)), b = udp_socket(w), size = 4;
    struct addr at = home(w, port_of(w, a));
    int i;

    told(w, "set",
         w->k->setsockopt(b, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size,
                          w->k->ud));
    told(w, "send", send_text(w, b, &at, "aaaabbbbcc"));
    until(w, a, POLLIN);
    for (i = 0; i < 4; i++)
        udp_take(w, "segment", a);
    told(w, "a small one", send_text(w, b, &at, "abc"));
    until(w, a, POLLIN);
    udp_take(w, "segment", a);
    told(w, "empty", send_text(w, b, &at, ""));
    until(w, a, POLLIN);
    udp_take(w, "segment", a);
    size = 70000;
    told(w, "too large",
         w->k->setsockopt(b, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size,
                          w->k->ud));
    done(w, a);
    done(w, b);
}

/* How many fit is the system's affair; that the rest are counted is not. */
void
script_udp_overflow(struct world *w)
{
    enum { SENT = 400 };
    int a = udp_bound(w, home(w, 0)), b = udp_socket(w), got = 0, i;
    struct addr at = home(w, port_of(w, a));
    _Alignas(struct cmsghdr) char control[64];
    uint32_t lost = 0;
    char buf[128];

    set_one(w, a, SOL_SOCKET, SO_RCVBUF, 8192);
    set_one(w, a, SOL_SOCKET, SO_RXQ_OVFL, 1);
    for (i = 0; i < SENT; i++)
        ck_assert_int_eq(send_bytes(w, b, &at, buf, 100), 100);
    for (;;) {
        struct iovec v = {buf, sizeof buf};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = w->k->recvmsg(a, &m, 0, w->k->ud);
        const struct cmsghdr *c = CMSG_FIRSTHDR(&m);

        if (n == -EAGAIN)
            break;
        ck_assert_int_eq(n, 100);
        if (c != NULL)
            memcpy(&lost, CMSG_DATA(c), sizeof lost);
        got += lost == 0;
        if (got > 0 && got < SENT && lost == 0)
            continue;
        break;
    }
    say(w, "some came %d, not yet told %d\n", got > 4 && got < SENT, lost == 0);
    ck_assert_int_eq(send_bytes(w, b, &at, buf, 100), 100);
    until(w, a, POLLIN);
    {
        struct iovec v = {buf, sizeof buf};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};

        told(w, "recv", w->k->recvmsg(a, &m, 0, w->k->ud));
        ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&m));
        memcpy(&lost, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof lost);
        say(w, "all accounted for %d\n", (int)lost + got == SENT);
    }
    done(w, a);
    done(w, b);
}

void
script_udp_blocking(struct world *w)
{
    struct timeval soon = {.tv_usec = 1000};
    int a = udp_bound(w, home(w, 0));
    struct addr at = home(w, port_of(w, a));

    told(w, "fcntl", w->k->fcntl(a, F_SETFL, 0, w->k->ud));
    told(w, "set",
         w->k->setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon,
                          w->k->ud));
    udp_take(w, "recv", a);
    take_from(w, "dontwait", a, 9, 0, MSG_DONTWAIT);
    told(w, "to itself", send_text(w, a, &at, "x"));
    udp_take(w, "recv", a);
    told(w, "connect", w->k->connect(a, &at.sa, at.len, w->k->ud));
    told(w, "shutdown", w->k->shutdown(a, SHUT_RD, w->k->ud));
    udp_take(w, "recv", a);
    done(w, a);
}

/* The sender's address: that of the destination, the bound one, the one said
 * by the message. */
void
script_udp_source(struct world *w)
{
    bool v4 = w->family == AF_INET;
    int a = udp_bound(w, anywhere(w, 0)), b = udp_socket(w), c;
    struct addr here = addr_of(w, v4 ? "10.77.0.1" : "fd77::1", 0), at;
    struct in_pktinfo four = {.ipi_ifindex = 0};
    struct in6_pktinfo six = {.ipi6_ifindex = 0};
    _Alignas(struct cmsghdr) char control[64] = {0};
    struct iovec v = {(char *)"said", 4};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *h = (struct cmsghdr *)(void *)control;

    set_one(w, a, v4 ? IPPROTO_IP : IPPROTO_IPV6,
            v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
    at = addr_of(w, v4 ? "10.77.1.1" : "fd77:1::1", port_of(w, a));
    c = udp_bound(w, here);
    told(w, "bound", send_text(w, c, &at, "bound"));
    until(w, a, POLLIN);
    take_from(w, "recv", a, 200, 200, 0);
    told(w, "unbound", send_text(w, b, &at, "unbound"));
    until(w, a, POLLIN);
    take_from(w, "recv", a, 200, 200, 0);
    four.ipi_spec_dst = here.in.sin_addr;
    six.ipi6_addr = here.in6.sin6_addr;
    h->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    h->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
    h->cmsg_len = v4 ? CMSG_LEN(sizeof four) : CMSG_LEN(sizeof six);
    m.msg_controllen = v4 ? CMSG_SPACE(sizeof four) : CMSG_SPACE(sizeof six);
    if (v4)
        memcpy(CMSG_DATA(h), &four, sizeof four);
    else
        memcpy(CMSG_DATA(h), &six, sizeof six);
    m.msg_name = &at.ss;
    m.msg_namelen = at.len;
    told(w, "said", w->k->sendmsg(b, &m, 0, w->k->ud));
    until(w, a, POLLIN);
    take_from(w, "recv", a, 200, 200, 0);
    h->cmsg_type = 77;
    told(w, "unknown", w->k->sendmsg(b, &m, 0, w->k->ud));
    h->cmsg_len = 3;
    told(w, "malformed", w->k->sendmsg(b, &m, 0, w->k->ud));
    done(w, a);
    done(w, b);
    done(w, c);
}
