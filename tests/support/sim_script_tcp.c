/* TCP: readiness, ends and resets. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>

#include "sim_script.h"

void
script_connecting(struct world *w)
{
    struct sockaddr_in at, peer, self;
    socklen_t n = sizeof peer;
    int ep = new_epoll(w), c, s, l = tcp_listener(w, 8, &at);

    c = new_socket(w, AF_INET, SOCK_NONBLOCK);
    look(w, "fresh", c);
    add(w, ep, l, EPOLLIN | EPOLLET, 'l');
    add(w, ep, c, ET_ALL, 'c');
    wait_for(w, "before", ep, 8, 0);
    told(w, "connect", tcp_connect(w, c, &at));
    until(w, l, POLLIN);
    wait_for(w, "after", ep, 8, SOON);
    wait_for(w, "once", ep, 8, 0);
    so_error(w, c);
    told(w, "connect again", tcp_connect(w, c, &at));
    told(w, "and again", tcp_connect(w, c, &at));
    s = w->k->accept4(l, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK, w->k->ud);
    self = name_of(w, c);
    say(w, "peer %d %d\n", peer.sin_port == self.sin_port,
        peer.sin_addr.s_addr == self.sin_addr.s_addr);
    self = name_of(w, s);
    say(w, "own %d %x\n", self.sin_port == at.sin_port,
        ntohl(self.sin_addr.s_addr));
    say(w, "flags %d\n",
        w->k->fcntl(s, F_GETFL, 0, w->k->ud) == (O_RDWR | O_NONBLOCK));
    tried(w, "accept", w->k->accept4(l, NULL, NULL, 0, w->k->ud));
    look(w, "client", c);
    look(w, "server", s);
    done(w, s);
    wait_for(w, "closed", ep, 8, SOON);
    done(w, c);
    done(w, l);
    done(w, ep);
}

void
script_refused(struct world *w)
{
    struct sockaddr_in at;
    int ep = new_epoll(w), c, l = tcp_listener(w, 8, &at);

    done(w, l); /* now nobody listens there */
    c = new_socket(w, AF_INET, SOCK_NONBLOCK);
    add(w, ep, c, ET_ALL, 'c');
    wait_for(w, "fresh", ep, 8, 0);
    told(w, "connect", tcp_connect(w, c, &at));
    wait_for(w, "refused", ep, 8, SOON);
    look(w, "poll", c);
    so_error(w, c);
    so_error(w, c);
    look(w, "poll", c);
    told(w, "send", put(w, c, "x"));
    take(w, "recv", c, 1);
    told(w, "again", tcp_connect(w, c, &at));
    told(w, "again", tcp_connect(w, c, &at));
    until(w, c, POLLOUT);
    take(w, "recv", c, 1);
    told(w, "send", put(w, c, "x"));
    done(w, c);
    c = new_socket(w, AF_INET, 0);
    told(w, "blocking", tcp_connect(w, c, &at));
    done(w, c);
    done(w, ep);
}

void
script_edges(struct world *w)
{
    int ep = new_epoll(w), fd[2];

    tcp_pair(w, fd);
    add(w, ep, fd[1], ET_ALL, 's');
    wait_for(w, "added", ep, 8, 0);
    wait_for(w, "quiet", ep, 8, 0);
    told(w, "send", put(w, fd[0], "abc"));
    wait_for(w, "data", ep, 8, SOON);
    wait_for(w, "not again", ep, 8, 0);
    take(w, "part", fd[1], 2);
    wait_for(w, "nor after a part", ep, 8, 0);
    told(w, "send", put(w, fd[0], "de"));
    wait_for(w, "more data", ep, 8, SOON);
    take(w, "all", fd[1], 9);
    take(w, "none", fd[1], 9);
    wait_for(w, "drained", ep, 8, 0);
    told(w, "send", put(w, fd[0], "f"));
    told(w, "send", put(w, fd[0], "g"));
    wait_for(w, "both in one", ep, 8, SOON);
    told(w, "mod", watch(w, ep, EPOLL_CTL_MOD, fd[1], ET_ALL, 'S'));
    wait_for(w, "mod shows it again", ep, 8, 0);
    wait_for(w, "once", ep, 8, 0);
    told(w, "mod", watch(w, ep, EPOLL_CTL_MOD, fd[1], EPOLLIN | EPOLLET, 'i'));
    wait_for(w, "in only", ep, 8, 0);
    told(w, "send", put(w, fd[0], "h"));
    take(w, "before the wait", fd[1], 9);
    wait_for(w, "an edge that is gone", ep, 8, 0);
    done(w, fd[0]);
    done(w, fd[1]);
    done(w, ep);
}

void
script_levels(struct world *w)
{
    int ep = new_epoll(w), a[2], b[2];
    const uint32_t one = EPOLLIN | EPOLLONESHOT;

    tcp_pair(w, a);
    tcp_pair(w, b);
    add(w, ep, a[1], EPOLLIN, 'a');
    add(w, ep, b[1], EPOLLIN, 'b');
    wait_for(w, "nothing", ep, 8, 0);
    told(w, "send", put(w, b[0], "1"));
    told(w, "send", put(w, a[0], "2"));
    until(w, a[1], POLLIN);
    wait_for(w, "in order", ep, 8, SOON);
    wait_for(w, "again", ep, 8, 0);
    wait_for(w, "one at a time", ep, 1, 0);
    wait_for(w, "then the other", ep, 1, 0);
    wait_for(w, "and round", ep, 1, 0);
    take(w, "a", a[1], 9);
    wait_for(w, "b only", ep, 8, 0);
    told(w, "oneshot", watch(w, ep, EPOLL_CTL_MOD, b[1], one, 'o'));
    wait_for(w, "one shot", ep, 8, 0);
    wait_for(w, "no more", ep, 8, 0);
    told(w, "send", put(w, b[0], "3"));
    wait_for(w, "still none", ep, 8, 0);
    told(w, "rearm", watch(w, ep, EPOLL_CTL_MOD, b[1], one, 'O'));
    wait_for(w, "again", ep, 8, 0);
    told(w, "del", watch(w, ep, EPOLL_CTL_DEL, b[1], 0, 0));
    told(w, "del", watch(w, ep, EPOLL_CTL_DEL, b[1], 0, 0));
    told(w, "mod", watch(w, ep, EPOLL_CTL_MOD, b[1], EPOLLIN, 0));
    told(w, "add", watch(w, ep, EPOLL_CTL_ADD, b[1], EPOLLIN, 'b'));
    told(w, "add", watch(w, ep, EPOLL_CTL_ADD, b[1], EPOLLIN, 'b'));
    wait_for(w, "added", ep, 8, 0);
    done(w, b[1]);
    wait_for(w, "closing removes", ep, 8, 0);
    told(w, "send", put(w, a[0], "4"));
    wait_for(w, "a", ep, 8, SOON);
    done(w, a[0]);
    done(w, a[1]);
    done(w, b[0]);
    done(w, ep);
}

void
script_half_close(struct world *w)
{
    int ep = new_epoll(w), fd[2];

    tcp_pair(w, fd);
    add(w, ep, fd[0], ET_ALL, 'c');
    add(w, ep, fd[1], ET_ALL, 's');
    wait_for(w, "added", ep, 8, 0);
    told(w, "send", put(w, fd[0], "last words"));
    wait_for(w, "data", ep, 8, SOON);
    told(w, "shutdown", w->k->shutdown(fd[0], SHUT_WR, w->k->ud));
    until(w, fd[1], POLLRDHUP);
    wait_for(w, "end", ep, 8, SOON);
    look(w, "client", fd[0]);
    look(w, "server", fd[1]);
    told(w, "send", put(w, fd[0], "x"));
    take(w, "recv", fd[1], 5);
    take(w, "recv", fd[1], 50);
    take(w, "recv", fd[1], 50);
    take(w, "recv", fd[1], 50);
    told(w, "answer", put(w, fd[1], "reply"));
    wait_for(w, "answer", ep, 8, SOON);
    take(w, "recv", fd[0], 50);
    take(w, "recv", fd[0], 50);
    done(w, fd[1]);
    until(w, fd[0], POLLRDHUP);
    wait_for(w, "closed", ep, 8, SOON);
    look(w, "client", fd[0]);
    take(w, "recv", fd[0], 50);
    told(w, "send", put(w, fd[0], "x"));
    so_error(w, fd[0]);
    done(w, fd[0]);
    done(w, ep);
}

void
script_shut_reading(struct world *w)
{
    int fd[2];

    tcp_pair(w, fd);
    told(w, "send", put(w, fd[0], "early"));
    until(w, fd[1], POLLIN);
    told(w, "shutdown", w->k->shutdown(fd[1], SHUT_RD, w->k->ud));
    look(w, "server", fd[1]);
    take(w, "recv", fd[1], 50);
    take(w, "recv", fd[1], 50);
    told(w, "send", put(w, fd[1], "still"));
    until(w, fd[0], POLLIN);
    take(w, "recv", fd[0], 50);
    told(w, "shutdown", w->k->shutdown(fd[0], SHUT_RDWR, w->k->ud));
    look(w, "client", fd[0]);
    told(w, "what", w->k->shutdown(fd[0], 7, w->k->ud));
    done(w, fd[0]);
    done(w, fd[1]);
}

/* Closing while something is unread resets: the peer still reads its data. */
void
script_reset_by_close(struct world *w)
{
    int ep = new_epoll(w), fd[2];

    tcp_pair(w, fd);
    add(w, ep, fd[0], ET_ALL, 'c');
    wait_for(w, "added", ep, 8, 0);
    told(w, "send", put(w, fd[1], "for you"));
    told(w, "send", put(w, fd[0], "unread"));
    until(w, fd[1], POLLIN);
    until(w, fd[0], POLLIN);
    wait_for(w, "data", ep, 8, SOON);
    done(w, fd[1]);
    until(w, fd[0], POLLERR);
    wait_for(w, "reset", ep, 8, SOON);
    wait_for(w, "once", ep, 8, 0);
    look(w, "client", fd[0]);
    take(w, "recv", fd[0], 3);
    take(w, "recv", fd[0], 50);
    take(w, "recv", fd[0], 50);
    take(w, "recv", fd[0], 50);
    told(w, "send", put(w, fd[0], "x"));
    so_error(w, fd[0]);
    look(w, "client", fd[0]);
    done(w, fd[0]);
    done(w, ep);
}

void
script_reset_by_linger(struct world *w)
{
    struct linger l = {.l_onoff = 1};
    int fd[2];

    tcp_pair(w, fd);
    told(
        w, "linger",
        w->k->setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &l, sizeof l, w->k->ud));
    done(w, fd[1]);
    until(w, fd[0], POLLERR);
    look(w, "client", fd[0]);
    told(w, "send", put(w, fd[0], "x"));
    told(w, "send", put(w, fd[0], "x"));
    take(w, "recv", fd[0], 50);
    done(w, fd[0]);
}

/* The first write after the peer's close works, and is answered by a reset. */
void
script_write_to_closed(struct world *w)
{
    int ep = new_epoll(w), fd[2];

    tcp_pair(w, fd);
    add(w, ep, fd[0], ET_ALL, 'c');
    wait_for(w, "added", ep, 8, 0);
    done(w, fd[1]);
    until(w, fd[0], POLLRDHUP);
    wait_for(w, "end", ep, 8, SOON);
    told(w, "send", put(w, fd[0], "x"));
    until(w, fd[0], POLLERR);
    wait_for(w, "reset", ep, 8, SOON);
    look(w, "client", fd[0]);
    take(w, "recv", fd[0], 50);
    told(w, "send", put(w, fd[0], "x"));
    told(w, "send", put(w, fd[0], "x"));
    so_error(w, fd[0]);
    done(w, fd[0]);
    done(w, ep);
}
