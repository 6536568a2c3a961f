/* Options, addresses, messages, calls that block. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "sim_script.h"

static void
option(struct world *w, int fd, int level, int name, int value)
{
    int got = -1;
    socklen_t n = sizeof got;

    told(w, "set",
         w->k->setsockopt(fd, level, name, &value, sizeof value, w->k->ud));
    told(w, "get", w->k->getsockopt(fd, level, name, &got, &n, w->k->ud));
    say(w, "%d\n", got);
}

void
script_options(struct world *w)
{
    int s = new_socket(w, AF_INET, SOCK_NONBLOCK);
    int u = new_socket(w, AF_UNIX, SOCK_NONBLOCK), e;
    short small = 1;

    option(w, s, SOL_SOCKET, SO_SNDBUF, 20000);
    option(w, s, SOL_SOCKET, SO_RCVBUF, 20000);
    option(w, s, SOL_SOCKET, SO_SNDBUF, 1);
    option(w, s, SOL_SOCKET, SO_REUSEADDR, 1);
    option(w, s, SOL_SOCKET, SO_REUSEPORT, 1);
    option(w, s, SOL_SOCKET, SO_KEEPALIVE, 1);
    option(w, s, IPPROTO_TCP, TCP_NODELAY, 1);
    option(w, s, IPPROTO_TCP, TCP_KEEPIDLE, 77);
    option(w, s, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
    option(w, s, IPPROTO_IP, IP_TTL, 9);
    option(w, s, SOL_SOCKET, SO_TYPE, 1);
    option(w, s, SOL_SOCKET, SO_DOMAIN, 1);
    option(w, s, SOL_SOCKET, SO_PROTOCOL, 1);
    option(w, s, SOL_SOCKET, SO_ACCEPTCONN, 1);
    option(w, u, IPPROTO_TCP, TCP_NODELAY, 1);
    told(w, "short",
         w->k->setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &small, sizeof small,
                          w->k->ud));
    e = w->k->eventfd(0, 0, w->k->ud);
    told(w, "not a socket",
         w->k->setsockopt(e, SOL_SOCKET, SO_KEEPALIVE, &e, sizeof e, w->k->ud));
    done(w, e);
    done(w, s);
    done(w, u);
}

static int
bind_to(struct world *w, int fd, int family, uint16_t port, bool any)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = port};
    struct sockaddr_in four = loopback(port);

    if (any)
        four.sin_addr.s_addr = htonl(INADDR_ANY);
    if (!any)
        six.sin6_addr = in6addr_loopback;
    if (family == AF_INET)
        return w->k->bind(fd, (struct sockaddr *)&four, sizeof four, w->k->ud);
    return w->k->bind(fd, (struct sockaddr *)&six, sizeof six, w->k->ud);
}

static void
set_int(struct world *w, int fd, int level, int name)
{
    int one = 1;

    ck_assert_int_eq(
        w->k->setsockopt(fd, level, name, &one, sizeof one, w->k->ud), 0);
}

static void
bind_twice(struct world *w, int opt, bool first_any, bool second_any)
{
    int a = new_socket(w, AF_INET, 0), b = new_socket(w, AF_INET, 0);
    uint16_t port;

    if (opt != 0) {
        set_int(w, a, SOL_SOCKET, opt);
        set_int(w, b, SOL_SOCKET, opt);
    }
    told(w, "bind", bind_to(w, a, AF_INET, 0, first_any));
    port = name_of(w, a).sin_port;
    told(w, "bind the same", bind_to(w, b, AF_INET, port, second_any));
    told(w, "listen", w->k->listen(a, 1, w->k->ud));
    told(w, "listen", w->k->listen(b, 1, w->k->ud));
    done(w, b);
    b = new_socket(w, AF_INET, 0);
    if (opt != 0)
        set_int(w, b, SOL_SOCKET, opt);
    told(w, "while it listens", bind_to(w, b, AF_INET, port, second_any));
    done(w, a);
    done(w, b);
}

void
script_binding(struct world *w)
{
    int a, b;
    uint16_t port;

    bind_twice(w, 0, false, false);
    bind_twice(w, 0, true, false);
    bind_twice(w, SO_REUSEADDR, false, false);
    bind_twice(w, SO_REUSEADDR, true, false);
    bind_twice(w, SO_REUSEPORT, false, false);
    bind_twice(w, SO_REUSEPORT, false, true);
    a = new_socket(w, AF_INET, 0);
    ck_assert_int_eq(bind_to(w, a, AF_INET, 0, true), 0);
    port = name_of(w, a).sin_port;
    b = new_socket(w, AF_INET6, 0);
    told(w, "dual stack", bind_to(w, b, AF_INET6, port, true));
    done(w, b);
    b = new_socket(w, AF_INET6, 0);
    set_int(w, b, IPPROTO_IPV6, IPV6_V6ONLY);
    told(w, "v6 only", bind_to(w, b, AF_INET6, port, true));
    told(w, "wrong family", bind_to(w, a, AF_INET6, 0, true));
    done(w, a);
    done(w, b);
}

/* An IPv4 client of an IPv6 listener. */
void
script_dual_stack(struct world *w)
{
    int l = new_socket(w, AF_INET6, SOCK_NONBLOCK), c, s;
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    socklen_t n = sizeof six;

    told(w, "bind", bind_to(w, l, AF_INET6, 0, true));
    told(w, "listen", w->k->listen(l, 4, w->k->ud));
    told(w, "name",
         w->k->getsockname(l, (struct sockaddr *)&six, &n, w->k->ud));
    four = loopback(six.sin6_port);
    c = new_socket(w, AF_INET, SOCK_NONBLOCK);
    told(w, "connect", tcp_connect(w, c, &four));
    until(w, l, POLLIN);
    n = sizeof six;
    s = w->k->accept4(l, (struct sockaddr *)&six, &n, SOCK_NONBLOCK, w->k->ud);
    say(w, "%d %d %d\n", six.sin6_family == AF_INET6, (int)n,
        IN6_IS_ADDR_V4MAPPED(&six.sin6_addr));
    say(w, "port %d\n", six.sin6_port == name_of(w, c).sin_port);
    told(w, "send", put(w, s, "six"));
    until(w, c, POLLIN);
    take(w, "recv", c, 9);
    done(w, c);
    done(w, s);
    done(w, l);
}

void
script_messages(struct world *w)
{
    char a[4], b[4];
    struct iovec v[3] = {{(char *)"he", 2}, {NULL, 0}, {(char *)"llo", 3}};
    struct iovec r[2] = {{a, sizeof a}, {b, sizeof b}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};
    int fd[2];

    tcp_pair(w, fd);
    told(w, "sendmsg", w->k->sendmsg(fd[0], &m, MSG_NOSIGNAL, w->k->ud));
    until(w, fd[1], POLLIN);
    told(w, "peek", w->k->recv(fd[1], a, 4, MSG_PEEK, w->k->ud));
    m.msg_iov = r;
    m.msg_iovlen = 2;
    told(w, "recvmsg", w->k->recvmsg(fd[1], &m, 0, w->k->ud));
    say(w, "%.4s%.1s %d\n", a, b, (int)m.msg_namelen);
    told(w, "recvmsg", w->k->recvmsg(fd[1], &m, 0, w->k->ud));
    told(w, "length 0", w->k->recv(fd[1], a, 0, 0, w->k->ud));
    told(w, "length 0", w->k->send(fd[0], a, 0, MSG_NOSIGNAL, w->k->ud));
    told(w, "writev", w->k->writev(fd[0], v, 3, w->k->ud));
    until(w, fd[1], POLLIN);
    told(w, "readv", w->k->readv(fd[1], r, 2, w->k->ud));
    told(w, "errqueue", w->k->recv(fd[1], a, 4, MSG_ERRQUEUE, w->k->ud));
    told(w, "oob", w->k->recv(fd[1], a, 4, MSG_OOB, w->k->ud));
    done(w, fd[0]);
    done(w, fd[1]);
}

/* Calls that wait by themselves. */
void
script_blocking(struct world *w)
{
    struct timeval soon = {.tv_usec = 1000};
    struct sockaddr_in at;
    int c, s, l = tcp_listener(w, 8, &at);

    told(w, "fcntl", w->k->fcntl(l, F_SETFL, 0, w->k->ud));
    c = new_socket(w, AF_INET, 0);
    told(w, "connect", tcp_connect(w, c, &at));
    told(w, "connect", tcp_connect(w, c, &at));
    s = tried(w, "accept", w->k->accept4(l, NULL, NULL, 0, w->k->ud));
    told(w, "send", put(w, c, "abc"));
    take(w, "recv", s, 9);
    told(w, "set",
         w->k->setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon,
                          w->k->ud));
    take(w, "recv", s, 9);
    told(w, "dontwait", w->k->recv(c, &at, 4, MSG_DONTWAIT, w->k->ud));
    done(w, c);
    take(w, "recv", s, 9);
    done(w, s);
    done(w, l);
}

/* An epoll descriptor can itself be polled: another loop drives ours. */
void
script_poll_epoll(struct world *w)
{
    int ep = new_epoll(w), e = w->k->eventfd(0, EFD_NONBLOCK, w->k->ud);

    add(w, ep, e, EPOLLIN | EPOLLET, 'e');
    look(w, "idle", ep);
    event_put(w, e, 1);
    look(w, "ready", ep);
    wait_for(w, "taken", ep, 8, 0);
    look(w, "idle", ep);
    event_put(w, e, 1);
    event_take(w, e);
    look(w, "nothing after all", ep);
    done(w, e);
    done(w, ep);
}
