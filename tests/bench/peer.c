/* The two echo servers: the floor, which does what any echo server has to do
 * and nothing else, and sonicio's WebSocket. */
#include "bench/peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sonicio/sonicio.h>

#include "bench/kit.h"

enum { EVENTS = 256, ROOM = 512 << 10 };

/* ---- the floor -------------------------------------------------------- */

static void
watch(int ep, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
        kit_die("epoll_ctl");
}

static void
accept_one(int ep, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (fd < 0)
        kit_die("accept4");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(ep, fd);
}

/* False when the connection has ended. */
static bool
echo_once(int fd, char *buf)
{
    ssize_t n = recv(fd, buf, ROOM, 0), sent = 0, k;

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    while (sent < n) {
        k = send(fd, buf + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (k < 0 && errno != EAGAIN)
            return false;
        if (k < 0)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else
            sent += k;
    }
    return true;
}

static void
serve_raw(const struct peer_options *opt, void (*ready)(uint16_t, void *),
          void *ud)
{
    struct epoll_event events[EVENTS];
    size_t connections = 0;
    uint16_t port;
    int listener = kit_listen(&port), ep = epoll_create1(EPOLL_CLOEXEC);
    char *buf = malloc(ROOM);

    if (ep < 0 || buf == NULL)
        kit_die("epoll_create1");
    watch(ep, listener);
    ready(port, ud);
    for (bool over = false; !over;) {
        int n = epoll_wait(ep, events, EVENTS, opt->spin ? 0 : -1);

        if (n < 0 && errno != EINTR)
            kit_die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;

            if (fd == listener) {
                accept_one(ep, listener);
                connections++;
            } else if (!echo_once(fd, buf)) {
                close(fd);
                over = --connections == 0 && opt->brief;
            }
        }
    }
    free(buf);
    close(ep);
    close(listener);
}

/* ---- sonicio ---------------------------------------------------------- */

struct server {
    const struct peer_options *opt;
    sonic_io *io;
    size_t connections;
};

static void
on_open(sonic_ws *ws, void *ud)
{
    struct server *s = ud;

    (void)ws;
    s->connections++;
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    int ret = sonic_ws_send(ws, m->opcode, m->data, m->len);

    (void)ud;
    if (ret == 1)
        sonic_ws_pause(ws);
    else if (ret < 0)
        fprintf(stderr, "bench: send: %s\n", sonic_errname(ret));
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    (void)ud;
    sonic_ws_resume(ws);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct server *s = ud;

    (void)ws;
    if (why->layer == SONIC_WS_LAYER_PROTOCOL)
        fprintf(stderr, "bench: %s\n", sonic_errname(why->error));
    if (--s->connections == 0 && s->opt->brief)
        sonic_io_stop(s->io);
}

static void
serve_ws(const struct peer_options *opt, void (*ready)(uint16_t, void *),
         void *ud)
{
    static const sonic_ws_handler handler = {
        SONIC_WS_HANDLER_INIT, .on_open = on_open,   .on_message = on_message,
        .on_drain = on_drain,  .on_close = on_close,
    };
    struct server s = {.opt = opt};
    sonic_ws_server *server;
    sonic_address bound;

    kit_check(sonic_io_new(&s.io, NULL), "sonic_io_new");
    kit_check(sonic_ws_server_new(s.io, NULL, &handler, &s, &server),
              "server_new");
    kit_check(sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &bound),
              "listen");
    ready((uint16_t)sonic_address_port(&bound), ud);
    kit_check(opt->spin ? sonic_io_run_spin(s.io) : sonic_io_run(s.io), "run");
    sonic_io_free(s.io);
}

/* ---- either ----------------------------------------------------------- */

void
peer_serve(const struct peer_options *opt, void (*ready)(uint16_t, void *),
           void *ud)
{
    signal(SIGPIPE, SIG_IGN);
    (opt->raw ? serve_raw : serve_ws)(opt, ready, ud);
}

static void
tell(uint16_t port, void *ud)
{
    int *fd = ud;

    if (write(*fd, &port, sizeof port) != sizeof port)
        kit_die("pipe");
}

struct peer
peer_start(const struct peer_options *opt)
{
    struct peer p;
    int ends[2];

    fflush(NULL);
    if (pipe(ends) < 0 || (p.pid = fork()) < 0)
        kit_die("fork");
    if (p.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive a failed bench */
        close(ends[0]);
        kit_pin(0);
        peer_serve(opt, tell, &ends[1]);
        exit(EXIT_FAILURE);
    }
    close(ends[1]);
    if (read(ends[0], &p.port, sizeof p.port) != sizeof p.port)
        kit_die("the server did not start");
    close(ends[0]);
    return p;
}

void
peer_stop(const struct peer *p)
{
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
}
