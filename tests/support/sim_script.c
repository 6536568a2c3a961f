/* What the scripts are written with. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include <sonicio/error.h>

#include "sim_script.h"

void
say(struct world *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    w->n += (size_t)vsnprintf(w->account + w->n, ACCOUNT - w->n, fmt, ap);
    va_end(ap);
    ck_assert_uint_lt(w->n, ACCOUNT);
}

void
told(struct world *w, const char *what, ssize_t r)
{
    if (r < 0)
        say(w, "%s: %s\n", what, sonic_errname((int)r));
    else
        say(w, "%s: %zd\n", what, r);
}

int
tried(struct world *w, const char *what, int r)
{
    told(w, what, r < 0 ? r : 0);
    return r;
}

static void
say_mask(struct world *w, uint32_t mask)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } bits[] = {
        {EPOLLIN, " IN"},      {EPOLLOUT, " OUT"},    {EPOLLRDHUP, " RDHUP"},
        {EPOLLHUP, " HUP"},    {EPOLLERR, " ERR"},    {EPOLLPRI, " PRI"},
        {EPOLLRDNORM, " rdn"}, {EPOLLWRNORM, " wrn"}, {EPOLLRDBAND, " rdb"},
        {EPOLLWRBAND, " wrb"}, {POLLNVAL, " NVAL"},
    };
    size_t i;

    for (i = 0; i < sizeof bits / sizeof *bits; i++) {
        if ((mask & bits[i].bit) != 0)
            say(w, "%s", bits[i].name);
    }
}

void
wait_for(struct world *w, const char *what, int ep, int max, int ms)
{
    struct epoll_event ev[MAX_EVENTS];
    int i, n = w->k->epoll_wait(ep, ev, max, ms * INT64_C(1000000), w->k->ud);

    say(w, "%s:", what);
    if (n < 0)
        say(w, " %s", sonic_errname(n));
    for (i = 0; i < n; i++) {
        say(w, " [%c", (int)ev[i].data.u32);
        say_mask(w, ev[i].events);
        say(w, "]");
    }
    say(w, "\n");
}

void
look(struct world *w, const char *what, int fd)
{
    struct pollfd p = {.fd = fd,
                       .events = POLLIN | POLLOUT | POLLRDHUP | POLLRDNORM |
                                 POLLWRNORM | POLLPRI | POLLWRBAND};
    int n = w->k->poll(&p, 1, 0, w->k->ud);

    say(w, "%s: %d", what, n);
    say_mask(w, (uint16_t)p.revents);
    say(w, "\n");
}

void
until(struct world *w, int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    ck_assert_int_eq(w->k->poll(&p, 1, INT64_C(2000000000), w->k->ud), 1);
}

int
new_epoll(struct world *w)
{
    int ep = w->k->epoll_create1(EPOLL_CLOEXEC, w->k->ud);

    ck_assert_int_ge(ep, 0);
    return ep;
}

int
watch(struct world *w, int ep, int op, int fd, uint32_t events, char tag)
{
    struct epoll_event ev = {.events = events, .data.u32 = (uint32_t)tag};

    return w->k->epoll_ctl(ep, op, fd, &ev, w->k->ud);
}

void
add(struct world *w, int ep, int fd, uint32_t events, char tag)
{
    ck_assert_int_eq(watch(w, ep, EPOLL_CTL_ADD, fd, events, tag), 0);
}

void
done(struct world *w, int fd)
{
    ck_assert_int_eq(w->k->close(fd, w->k->ud), 0);
}

ssize_t
put(struct world *w, int fd, const char *text)
{
    return w->k->send(fd, text, strlen(text), MSG_NOSIGNAL, w->k->ud);
}

void
take(struct world *w, const char *what, int fd, size_t max)
{
    char buf[256];
    ssize_t n = w->k->recv(fd, buf, max, 0, w->k->ud);

    told(w, what, n);
    if (n > 0)
        say(w, "  \"%.*s\"\n", (int)n, buf);
}

void
so_error(struct world *w, int fd)
{
    socklen_t n = sizeof(int);
    int err = -1;

    ck_assert_int_eq(
        w->k->getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n, w->k->ud), 0);
    told(w, "SO_ERROR", -err);
}

struct sockaddr_in
loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = port};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

int
new_socket(struct world *w, int family, int flags)
{
    int fd =
        w->k->socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, w->k->ud);

    ck_assert_int_ge(fd, 0);
    return fd;
}

struct sockaddr_in
name_of(struct world *w, int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;

    ck_assert_int_eq(w->k->getsockname(fd, (struct sockaddr *)&a, &n, w->k->ud),
                     0);
    ck_assert_uint_eq(n, sizeof a);
    return a;
}

int
tcp_listener(struct world *w, int backlog, struct sockaddr_in *at)
{
    int fd = new_socket(w, AF_INET, SOCK_NONBLOCK);

    *at = loopback(0);
    ck_assert_int_eq(
        w->k->bind(fd, (struct sockaddr *)at, sizeof *at, w->k->ud), 0);
    ck_assert_int_eq(w->k->listen(fd, backlog, w->k->ud), 0);
    *at = name_of(w, fd);
    return fd;
}

int
tcp_connect(struct world *w, int fd, const struct sockaddr_in *to)
{
    return w->k->connect(fd, (const struct sockaddr *)to, sizeof *to, w->k->ud);
}

void
tcp_pair(struct world *w, int fd[2])
{
    struct sockaddr_in at;
    int l = tcp_listener(w, 8, &at);

    fd[0] = new_socket(w, AF_INET, SOCK_NONBLOCK);
    ck_assert_int_eq(tcp_connect(w, fd[0], &at), -EINPROGRESS);
    until(w, l, POLLIN);
    fd[1] = w->k->accept4(l, NULL, NULL, SOCK_NONBLOCK, w->k->ud);
    ck_assert_int_ge(fd[1], 0);
    until(w, fd[0], POLLOUT);
    done(w, l);
}

void
unix_pair(struct world *w, int fd[2])
{
    ck_assert_int_eq(
        w->k->socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd, w->k->ud),
        0);
}
