/* Full buffers, UNIX sockets, pipes, eventfd, misuse. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim_script.h"

static void
fill(struct world *w, int fd)
{
    static const char zeros[BIG];
    ssize_t n;

    do
        n = w->k->send(fd, zeros, sizeof zeros, MSG_NOSIGNAL, w->k->ud);
    while (n > 0);
    told(w, "full", n);
}

static void
drain(struct world *w, int fd)
{
    static char buf[BIG];
    ssize_t n;

    do
        n = w->k->recv(fd, buf, sizeof buf, 0, w->k->ud);
    while (n > 0);
    told(w, "empty", n);
}

void
script_full_buffers(struct world *w)
{
    int ep = new_epoll(w), fd[2], i;

    for (i = 0; i < 2; i++) {
        if (i == 0)
            tcp_pair(w, fd);
        else
            unix_pair(w, fd);
        add(w, ep, fd[0], ET_ALL, 'c');
        wait_for(w, "added", ep, 8, 0);
        fill(w, fd[0]);
        look(w, "full", fd[0]);
        wait_for(w, "quiet", ep, 8, 0);
        until(w, fd[1], POLLIN);
        drain(w, fd[1]);
        until(w, fd[0], POLLOUT);
        wait_for(w, "room", ep, 8, SOON);
        drain(w, fd[1]);
        done(w, fd[0]);
        done(w, fd[1]);
    }
    done(w, ep);
}

void
script_unix_streams(struct world *w)
{
    int ep = new_epoll(w), fd[2];

    unix_pair(w, fd);
    add(w, ep, fd[0], ET_ALL, 'a');
    add(w, ep, fd[1], ET_ALL, 'b');
    wait_for(w, "added", ep, 8, 0);
    told(w, "send", put(w, fd[0], "abc"));
    wait_for(w, "data", ep, 8, 0);
    look(w, "a", fd[0]);
    look(w, "b", fd[1]);
    told(w, "shutdown", w->k->shutdown(fd[0], SHUT_WR, w->k->ud));
    wait_for(w, "end", ep, 8, 0);
    look(w, "a", fd[0]);
    look(w, "b", fd[1]);
    told(w, "send", put(w, fd[0], "x"));
    take(w, "recv", fd[1], 9);
    take(w, "recv", fd[1], 9);
    told(w, "send", put(w, fd[1], "unread"));
    done(w, fd[0]);
    look(w, "reset", fd[1]);
    told(w, "send", put(w, fd[1], "x"));
    take(w, "recv", fd[1], 9);
    take(w, "recv", fd[1], 9);
    done(w, fd[1]);

    unix_pair(w, fd);
    told(w, "send", put(w, fd[0], "bye"));
    done(w, fd[0]);
    look(w, "closed", fd[1]);
    told(w, "send", put(w, fd[1], "x"));
    take(w, "recv", fd[1], 9);
    take(w, "recv", fd[1], 9);
    done(w, fd[1]);

    unix_pair(w, fd);
    told(w, "shutdown", w->k->shutdown(fd[0], SHUT_RD, w->k->ud));
    look(w, "a", fd[0]);
    look(w, "b", fd[1]);
    told(w, "send", put(w, fd[1], "x"));
    told(w, "shutdown", w->k->shutdown(fd[0], SHUT_WR, w->k->ud));
    done(w, fd[0]);
    done(w, fd[1]);
    done(w, ep);
}

void
script_unix_names(struct world *w)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}, got;
    socklen_t n = sizeof got;
    int l, c, d, s, ep = new_epoll(w);
    struct sockaddr *at = (struct sockaddr *)&a;

    snprintf(a.sun_path, sizeof a.sun_path, "%s/sonic", w->dir);
    c = new_socket(w, AF_UNIX, SOCK_NONBLOCK);
    look(w, "fresh", c);
    told(w, "send", put(w, c, "x"));
    take(w, "recv", c, 9);
    told(w, "nobody", w->k->connect(c, at, sizeof a, w->k->ud));
    l = new_socket(w, AF_UNIX, SOCK_NONBLOCK);
    told(w, "listen unbound", w->k->listen(l, 1, w->k->ud));
    told(w, "bind", w->k->bind(l, at, sizeof a, w->k->ud));
    told(w, "bind twice", w->k->bind(l, at, sizeof a, w->k->ud));
    told(w, "not listening", w->k->connect(c, at, sizeof a, w->k->ud));
    told(w, "listen", w->k->listen(l, 0, w->k->ud));
    look(w, "listener", l);
    add(w, ep, l, EPOLLIN | EPOLLET, 'l');
    told(w, "connect", w->k->connect(c, at, sizeof a, w->k->ud));
    wait_for(w, "arrived", ep, 8, 0);
    told(w, "connect", w->k->connect(c, at, sizeof a, w->k->ud));
    d = new_socket(w, AF_UNIX, SOCK_NONBLOCK);
    told(w, "queue full", w->k->connect(d, at, sizeof a, w->k->ud));
    told(w, "send early", put(w, c, "early"));
    s = tried(
        w, "accept",
        w->k->accept4(l, (struct sockaddr *)&got, &n, SOCK_NONBLOCK, w->k->ud));
    say(w, "peer has no name: %d\n", (int)n);
    n = sizeof got;
    told(w, "name",
         w->k->getpeername(c, (struct sockaddr *)&got, &n, w->k->ud));
    say(w, "%d %d\n", (int)n - (int)strlen(a.sun_path),
        strcmp(got.sun_path, a.sun_path));
    take(w, "recv", s, 9);
    told(w, "now", w->k->connect(d, at, sizeof a, w->k->ud));
    done(w, l);
    look(w, "dropped", d);
    take(w, "recv", d, 9);
    take(w, "recv", d, 9);
    done(w, d);
    d = new_socket(w, AF_UNIX, 0);
    told(w, "stale", w->k->connect(d, at, sizeof a, w->k->ud));
    told(w, "in use", w->k->bind(d, at, sizeof a, w->k->ud));
    told(w, "unlink", w->k->unlink(a.sun_path, w->k->ud));
    told(w, "unlink", w->k->unlink(a.sun_path, w->k->ud));
    told(w, "bind", w->k->bind(d, at, sizeof a, w->k->ud));
    told(w, "unlink", w->k->unlink(a.sun_path, w->k->ud));
    told(w, "peer", w->k->getpeername(d, at, &n, w->k->ud));
    done(w, c);
    done(w, d);
    done(w, s);
    done(w, ep);
}

void
script_unix_abstract(struct world *w)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct sockaddr *at = (struct sockaddr *)&a;
    socklen_t n;
    int l, c;

    n = (socklen_t)snprintf(a.sun_path + 1, sizeof a.sun_path - 1,
                            "sonic-check-%d", (int)getpid());
    n += (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1;
    c = new_socket(w, AF_UNIX, SOCK_NONBLOCK);
    told(w, "nobody", w->k->connect(c, at, n, w->k->ud));
    l = new_socket(w, AF_UNIX, SOCK_NONBLOCK);
    told(w, "bind", w->k->bind(l, at, n, w->k->ud));
    told(w, "bind", w->k->bind(c, at, n, w->k->ud));
    told(w, "listen", w->k->listen(l, 4, w->k->ud));
    told(w, "shorter", w->k->connect(c, at, n - 1, w->k->ud));
    told(w, "connect", w->k->connect(c, at, n, w->k->ud));
    done(w, l);
    take(w, "recv", c, 9);
    done(w, c);
    l = new_socket(w, AF_UNIX, SOCK_NONBLOCK);
    told(w, "free again", w->k->bind(l, at, n, w->k->ud));
    done(w, l);
}

ssize_t
pipe_put(struct world *w, int fd, size_t n)
{
    static char zeros[BIG];
    struct iovec v = {zeros, n};

    return w->k->writev(fd, &v, 1, w->k->ud);
}

ssize_t
pipe_take(struct world *w, int fd, size_t n)
{
    static char buf[BIG];
    struct iovec v[2] = {{buf, n / 2}, {buf + n / 2, n - n / 2}};

    return w->k->readv(fd, v, 2, w->k->ud);
}

void
script_pipes(struct world *w)
{
    int ep = new_epoll(w), fd[2];

    told(w, "pipe", w->k->pipe2(fd, O_NONBLOCK | O_CLOEXEC, w->k->ud));
    add(w, ep, fd[0], EPOLLIN | EPOLLET, 'r');
    add(w, ep, fd[1], EPOLLOUT | EPOLLET, 'w');
    wait_for(w, "added", ep, 8, 0);
    look(w, "r", fd[0]);
    look(w, "w", fd[1]);
    told(w, "read", pipe_take(w, fd[0], 9));
    told(w, "write", pipe_put(w, fd[1], 9));
    wait_for(w, "data", ep, 8, 0);
    told(w, "read", pipe_take(w, fd[0], 5));
    told(w, "wrong end", pipe_take(w, fd[1], 5));
    told(w, "wrong end", pipe_put(w, fd[0], 5));
    told(w, "read", pipe_take(w, fd[0], 9));
    told(w, "fill", pipe_put(w, fd[1], BIG));
    told(w, "full", pipe_put(w, fd[1], 1));
    wait_for(w, "full", ep, 8, 0);
    look(w, "w", fd[1]);
    told(w, "read", pipe_take(w, fd[0], 65536));
    wait_for(w, "room", ep, 8, 0);
    told(w, "write", pipe_put(w, fd[1], 9));
    done(w, fd[1]);
    wait_for(w, "end", ep, 8, 0);
    look(w, "r", fd[0]);
    told(w, "read", pipe_take(w, fd[0], 99));
    look(w, "r", fd[0]);
    told(w, "read", pipe_take(w, fd[0], 99));
    done(w, fd[0]);
    told(w, "pipe", w->k->pipe2(fd, O_NONBLOCK, w->k->ud));
    done(w, fd[0]);
    look(w, "w", fd[1]);
    told(w, "write", pipe_put(w, fd[1], 9));
    told(w, "socket call", put(w, fd[1], "x"));
    done(w, fd[1]);
    done(w, ep);
}

void
event_put(struct world *w, int fd, uint64_t n)
{
    struct iovec v = {&n, sizeof n};

    told(w, "write", w->k->writev(fd, &v, 1, w->k->ud));
}

void
event_take(struct world *w, int fd)
{
    uint64_t n = 0;
    struct iovec v = {&n, sizeof n};

    told(w, "read", w->k->readv(fd, &v, 1, w->k->ud));
    say(w, "%d\n", (int)n);
}

void
script_eventfds(struct world *w)
{
    int ep = new_epoll(w), fd = w->k->eventfd(0, EFD_NONBLOCK, w->k->ud);
    struct iovec small = {&ep, sizeof ep};

    add(w, ep, fd, EPOLLIN | EPOLLET, 'e');
    wait_for(w, "added", ep, 8, 0);
    event_take(w, fd);
    event_put(w, fd, 1);
    wait_for(w, "one", ep, 8, 0);
    event_put(w, fd, 2);
    wait_for(w, "each write is an edge", ep, 8, 0);
    wait_for(w, "once", ep, 8, 0);
    look(w, "poll", fd);
    event_take(w, fd);
    look(w, "poll", fd);
    told(w, "short", w->k->readv(fd, &small, 1, w->k->ud));
    event_put(w, fd, UINT64_MAX);
    event_put(w, fd, UINT64_MAX - 1);
    event_put(w, fd, 1);
    look(w, "poll", fd);
    done(w, fd);
    fd = w->k->eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE, w->k->ud);
    event_take(w, fd);
    event_take(w, fd);
    event_take(w, fd);
    done(w, fd);
    told(w, "bad flags", w->k->eventfd(0, 7, w->k->ud));
    done(w, ep);
}

/* Sockets that are not connected, and descriptors that are not sockets. */
void
script_misuse(struct world *w)
{
    struct sockaddr_in at;
    socklen_t n = sizeof at;
    int s = new_socket(w, AF_INET, SOCK_NONBLOCK), ep = new_epoll(w);
    int l = tcp_listener(w, 8, &at), null, e = w->k->eventfd(0, 0, w->k->ud);
    struct epoll_event ev = {.events = EPOLLIN};

    take(w, "recv", s, 9);
    told(w, "send", put(w, s, "x"));
    told(w, "shutdown", w->k->shutdown(s, SHUT_WR, w->k->ud));
    told(w, "peer", w->k->getpeername(s, (struct sockaddr *)&at, &n, w->k->ud));
    at = name_of(w, s);
    say(w, "name %x %d\n", at.sin_addr.s_addr, at.sin_port);
    tried(w, "accept", w->k->accept4(s, NULL, NULL, 0, w->k->ud));
    take(w, "recv", l, 9);
    told(w, "send", put(w, l, "x"));
    at = name_of(w, l);
    told(w, "connect", tcp_connect(w, l, &at));
    told(w, "rebind",
         w->k->bind(l, (struct sockaddr *)&at, sizeof at, w->k->ud));
    at.sin_family = AF_INET6;
    told(w, "family", tcp_connect(w, s, &at));
    at.sin_family = AF_INET;
    told(w, "short", w->k->connect(s, (struct sockaddr *)&at, 4, w->k->ud));
    told(w, "family",
         tried(w, "socket", w->k->socket(77, SOCK_STREAM, 0, w->k->ud)));
    told(w, "type", w->k->socket(AF_INET, SOCK_STREAM | 9, 0, w->k->ud));
    told(w, "protocol",
         w->k->socket(AF_INET, SOCK_STREAM, IPPROTO_UDP, w->k->ud));
    told(w, "not a socket", put(w, ep, "x"));
    told(w, "not a socket", put(w, e, "x"));
    told(w, "not epoll", w->k->epoll_wait(s, &ev, 1, 0, w->k->ud));
    told(w, "max 0", w->k->epoll_wait(ep, &ev, 0, 0, w->k->ud));
    told(w, "itself", w->k->epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev, w->k->ud));
    null = w->k->open("/dev/null", O_RDWR | O_CLOEXEC, 0, w->k->ud);
    told(w, "null", watch(w, ep, EPOLL_CTL_ADD, null, EPOLLIN, 'n'));
    told(w, "null", pipe_put(w, null, 99));
    told(w, "null", pipe_take(w, null, 99));
    look(w, "null", null);
    tried(w, "none", w->k->open("/nonexistent/x", O_RDONLY, 0, w->k->ud));
    done(w, null);
    told(w, "close", w->k->close(null, w->k->ud));
    told(w, "bad", put(w, null, "x"));
    told(w, "bad", put(w, -1, "x"));
    told(w, "bad", watch(w, ep, EPOLL_CTL_ADD, null, EPOLLIN, 'n'));
    look(w, "bad", null);
    done(w, s);
    done(w, l);
    done(w, e);
    done(w, ep);
}

/* Numbers are given out lowest first, so a stale handle hits something. */
void
script_numbers(struct world *w)
{
    int fd[6], i, a, b;

    for (i = 0; i < 6; i++)
        fd[i] = w->k->eventfd(0, 0, w->k->ud);
    done(w, fd[4]);
    done(w, fd[1]);
    a = w->k->eventfd(0, 0, w->k->ud);
    b = w->k->eventfd(0, 0, w->k->ud);
    say(w, "%d %d\n", a == fd[1], b == fd[4]);
    for (i = 0; i < 6; i++)
        done(w, fd[i]);
}

void
script_accept_queue(struct world *w)
{
    struct sockaddr_in at;
    int c[3], i, s, ep = new_epoll(w), l = tcp_listener(w, 8, &at);

    add(w, ep, l, EPOLLIN | EPOLLET, 'l');
    for (i = 0; i < 3; i++) {
        c[i] = new_socket(w, AF_INET, SOCK_NONBLOCK);
        told(w, "connect", tcp_connect(w, c[i], &at));
        until(w, c[i], POLLOUT);
        told(w, "send", put(w, c[i], i == 0 ? "one" : "two"));
    }
    wait_for(w, "all in one edge", ep, 8, SOON);
    wait_for(w, "once", ep, 8, 0);
    s = tried(w, "accept",
              w->k->accept4(l, NULL, NULL, SOCK_NONBLOCK, w->k->ud));
    wait_for(w, "no edge for the rest", ep, 8, 0);
    look(w, "listener", l);
    until(w, s, POLLIN);
    take(w, "recv", s, 9);
    done(w, s);
    done(w, c[1]); /* closed before it is accepted */
    s = tried(w, "accept",
              w->k->accept4(l, NULL, NULL, SOCK_NONBLOCK, w->k->ud));
    until(w, s, POLLRDHUP);
    take(w, "recv", s, 9);
    take(w, "recv", s, 9);
    done(w, s);
    done(w, l); /* with one in the queue */
    until(w, c[2], POLLERR);
    look(w, "reset", c[2]);
    take(w, "recv", c[2], 9);
    done(w, c[2]);
    done(w, c[0]);
    done(w, ep);
}
