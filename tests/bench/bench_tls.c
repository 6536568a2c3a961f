/* bench_tls - what TLS costs an echo server, in time of its own processor for
 * each message and in memory for each connection that is idle, beside a floor
 * in the same run: OpenSSL on its own sockets, SSL_read and SSL_write in an
 * epoll(7) loop and nothing else.  Rounds alternate, and the ratio is the
 * median of those of neighbours. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <sonicio/sonicio.h>

#include "bench/kit.h"
#include "certificate.h"

enum { EVENTS = 64, ROOM = 512 << 10, ROUNDS = 5, FIRST = 50 };

static struct certificate certificate;

/* ---- the floor -------------------------------------------------------- */

static void
accept_one(int ep, int listener, SSL_CTX *ctx)
{
    struct epoll_event e = {.events = EPOLLIN};
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    SSL *ssl = SSL_new(ctx);

    if (fd < 0 || ssl == NULL)
        kit_die("accept4");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL_set_fd(ssl, fd);
    SSL_set_accept_state(ssl);
    e.data.ptr = ssl;
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
        kit_die("epoll_ctl");
}

/* All of buf; what the socket does not take is waited for. */
static bool
write_all(SSL *ssl, const char *buf, int n)
{
    for (;;) {
        int k = SSL_write(ssl, buf, n), e;

        if (k > 0)
            return true;
        e = SSL_get_error(ssl, k);
        if (e != SSL_ERROR_WANT_WRITE)
            return false;
        poll(&(struct pollfd){.fd = SSL_get_fd(ssl), .events = POLLOUT}, 1, -1);
    }
}

/* False when it has ended. */
static bool
echo(SSL *ssl, char *buf)
{
    for (;;) {
        int n = SSL_read(ssl, buf, ROOM);

        if (n <= 0)
            return SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
        if (!write_all(ssl, buf, n))
            return false;
    }
}

static void
serve_floor(int tell)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct epoll_event events[EVENTS], e = {.events = EPOLLIN};
    int ep = epoll_create1(0), listener;
    char *buf = malloc(ROOM);
    uint16_t port;

    listener = kit_listen(&port);
    if (ctx == NULL || buf == NULL || ep < 0 ||
        epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e) < 0)
        kit_die("epoll");
    SSL_CTX_use_certificate(ctx, certificate.x509);
    SSL_CTX_use_PrivateKey(ctx, certificate.key);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (write(tell, &port, sizeof port) != sizeof port)
        kit_die("pipe");
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            SSL *ssl = events[i].data.ptr;

            if (ssl == NULL) {
                accept_one(ep, listener, ctx);
            } else if (!echo(ssl, buf)) {
                ERR_clear_error();
                close(SSL_get_fd(ssl));
                SSL_free(ssl);
            }
        }
    }
}

/* ---- sonicio ---------------------------------------------------------- */

static void
on_bytes(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    if (err < 0 || sonic_stream_send(s, data, len) < 0) {
        sonic_stream_free(s);
        return;
    }
    sonic_stream_consume(s, len);
    sonic_stream_lend(s, 1, 0, on_bytes, ud);
}

static void
on_secured(sonic_stream *s, int err, size_t n, void *ud)
{
    (void)n;
    if (err == 0)
        sonic_stream_lend(s, 1, 0, on_bytes, ud);
    else
        sonic_stream_free(s);
}

static void
on_accept(sonic_listener *l, int err, sonic_stream *s, void *ud)
{
    sonic_stream *tls;

    if (err == 0 && sonic_tls_new(ud, s, NULL, &tls) == 0)
        sonic_tls_async_handshake(tls, on_secured, NULL);
    sonic_listener_async_accept(l, on_accept, ud);
}

static void
serve_sonicio(int tell)
{
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_certificate own = {.chain = certificate.pem,
                                 .chain_len = certificate.pem_len,
                                 .key = certificate.key_pem,
                                 .key_len = certificate.key_len};
    sonic_tls_context *ctx;
    sonic_listener *l;
    sonic_address a;
    sonic_io *io;
    uint16_t port;

    opt.certificates = &own;
    opt.n_certificates = 1;
    if (sonic_io_new(&io, NULL) < 0 ||
        sonic_tls_context_new(io, SONIC_TLS_SERVER, &opt, &ctx, NULL, 0) < 0 ||
        sonic_listener_new(io, "127.0.0.1:0", NULL, &l) < 0 ||
        sonic_listener_address(l, &a) < 0)
        kit_die("sonicio");
    port = (uint16_t)sonic_address_port(&a);
    sonic_listener_async_accept(l, on_accept, ctx);
    if (write(tell, &port, sizeof port) != sizeof port)
        kit_die("pipe");
    sonic_io_run(io);
}

/* ---- a server in a process of its own --------------------------------- */

struct server {
    pid_t pid;
    uint16_t port;
};

static struct server
start(void (*serve)(int tell))
{
    struct server s;
    int ends[2];

    fflush(NULL);
    malloc_trim(0); /* what is free here would be the child's, resident */
    if (pipe(ends) < 0 || (s.pid = fork()) < 0)
        kit_die("fork");
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        kit_pin(0);
        serve(ends[1]);
        _exit(1);
    }
    close(ends[1]);
    if (read(ends[0], &s.port, sizeof s.port) != sizeof s.port)
        kit_die("the server did not start");
    close(ends[0]);
    return s;
}

static void
stop(const struct server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

/* ---- the load --------------------------------------------------------- */

static SSL_CTX *client_ctx;

static SSL *
dial(const struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(s->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    SSL *ssl = SSL_new(client_ctx);

    if (fd < 0 || ssl == NULL ||
        connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        kit_die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        kit_die("SSL_connect");
    return ssl;
}

static void
hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    SSL_free(ssl);
    close(fd);
}

struct load {
    size_t size;
    unsigned connections, depth;
    double seconds;
};

struct connection {
    SSL *ssl;
    size_t sent, got;
};

static char *out, *in;

/* As far as it goes; how many bursts of n bytes came back. */
static unsigned
advance(struct connection *c, size_t n)
{
    unsigned ended = 0;

    for (;;) {
        size_t k;
        bool moved = false;

        ERR_clear_error();
        if (c->sent < n && SSL_write_ex(c->ssl, out, n - c->sent, &k) == 1) {
            c->sent += k;
            moved = true;
        }
        while (c->got < n && SSL_read_ex(c->ssl, in, ROOM, &k) == 1) {
            c->got += k;
            moved = true;
        }
        if (c->got == n) {
            c->sent = c->got = 0;
            ended++;
        } else if (!moved) {
            return ended;
        }
    }
}

/* Nanoseconds of the server's processor for a message. */
static double
run(const struct server *s, const struct load *l)
{
    struct connection *c = calloc(l->connections, sizeof *c);
    struct epoll_event events[EVENTS];
    size_t n = l->size * l->depth;
    double begin = 0, cpu = 0, now;
    uint64_t bursts = 0;
    int ep = epoll_create1(0);

    if (c == NULL || ep < 0)
        kit_die("calloc");
    for (unsigned i = 0; i < l->connections; i++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                .data.ptr = &c[i]};
        int fd;

        c[i].ssl = dial(s);
        fd = SSL_get_fd(c[i].ssl);
        if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
            epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
            kit_die("epoll_ctl");
    }
    do {
        int k = epoll_wait(ep, events, EVENTS, 100);

        for (int i = 0; i < k; i++)
            bursts += advance(events[i].data.ptr, n);
        now = kit_now();
        if (begin == 0 && bursts > 100) { /* it is warm */
            begin = now;
            cpu = kit_processor(s->pid);
            bursts = 0;
        }
    } while (begin == 0 || now - begin < l->seconds * 1e9);
    cpu = kit_processor(s->pid) - cpu;
    for (unsigned i = 0; i < l->connections; i++)
        hang_up(c[i].ssl);
    close(ep);
    free(c);
    return cpu / (double)(bursts * l->depth);
}

static void
compare(const char *what, const struct load *l, double must)
{
    double low[ROUNDS], ours[ROUNDS], ratio[ROUNDS];
    struct server floor = start(serve_floor), s = start(serve_sonicio);

    for (size_t i = 0; i < ROUNDS; i++) {
        low[i] = run(&floor, l);
        ours[i] = run(&s, l);
        ratio[i] = ours[i] / low[i];
    }
    kit_row(&(struct kit_row){.what = what,
                              .measured = kit_median(ours, ROUNDS),
                              .floor = kit_median(low, ROUNDS),
                              .ratio = kit_median(ratio, ROUNDS),
                              .must = must,
                              .rule = KIT_RATIO_AT_MOST});
    stop(&floor);
    stop(&s);
}

/* ---- memory ----------------------------------------------------------- */

static void
open_one(const struct server *s, SSL **ssl)
{
    char text[32] = "thirty-two bytes, more or less";
    size_t n;

    *ssl = dial(s);
    if (SSL_write_ex(*ssl, text, sizeof text, &n) != 1 ||
        SSL_read_ex(*ssl, text, sizeof text, &n) != 1)
        kit_die("echo");
}

static double
idle(void (*serve)(int tell), size_t n)
{
    struct server s = start(serve);
    SSL **ssl = calloc(n + FIRST, sizeof(SSL *));
    double before, after;

    if (ssl == NULL)
        kit_die("calloc");
    for (size_t i = 0; i < FIRST; i++)
        open_one(&s, &ssl[i]);
    before = kit_resident(s.pid);
    for (size_t i = FIRST; i < n + FIRST; i++)
        open_one(&s, &ssl[i]);
    after = kit_resident(s.pid);
    for (size_t i = 0; i < n + FIRST; i++)
        hang_up(ssl[i]);
    free(ssl);
    stop(&s);
    return (after - before) / (double)n;
}

/* Both ends may have as many descriptors as the kernel allows. */
static size_t
affordable(size_t wanted)
{
    size_t most = kit_descriptors();

    return most < wanted + 200 ? most - 200 : wanted;
}

int
main(int argc, char **argv)
{
    bool quick = kit_quick(argc, argv);
    double seconds = quick ? 0.2 : 0.6;
    size_t n = affordable(quick ? 500 : 3000);
    char what[64];

    signal(SIGPIPE, SIG_IGN);
    if (!certificate_make(&(struct certificate_wish){.name = "bench",
                                                     .names = "IP:127.0.0.1"},
                          &certificate))
        kit_die("certificate");
    client_ctx = SSL_CTX_new(TLS_client_method());
    out = calloc(1, ROOM);
    in = malloc(ROOM);
    if (client_ctx == NULL || out == NULL || in == NULL)
        kit_die("malloc");
    SSL_CTX_set_mode(client_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    kit_pin(1);
    kit_title("TLS echo: size x connections x depth", "ns/msg");
    kit_tell_cores();
    compare("32 B x 1 x 16", &(struct load){32, 1, 16, seconds}, 1.05);
    compare("1 KiB x 16 x 16", &(struct load){1024, 16, 16, seconds}, 1.0);
    compare("16 KiB x 16 x 16", &(struct load){16384, 16, 16, seconds}, 0.9);
    kit_title("Memory of an idle TLS connection", "bytes");
    snprintf(what, sizeof what, "resident, %zu connections", n);
    kit_row(&(struct kit_row){.what = what,
                              .measured = idle(serve_sonicio, n),
                              .floor = idle(serve_floor, n),
                              .must = 12000,
                              .rule = KIT_AT_MOST});
    return 0;
}
