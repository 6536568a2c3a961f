/* The clients.  They do as little as they can: frames are made once, and of
 * the answers the length is counted and, one at a time, the payload is
 * compared. */
#include "bench/load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/kit.h"
#include "websocket/frame.h"

enum { EVENTS = 64, ROOM = 4 << 20, LONGEST_HEAD = 4096 };

struct connection {
    int fd;
    size_t sent, got; /* bytes of this burst */
};

struct burst {
    uint8_t *out, *in;
    size_t out_len, in_len; /* bytes of all its messages */
};

/* ---- bytes ------------------------------------------------------------ */

static size_t
put_frame(const struct load *l, uint8_t *p)
{
    static const uint8_t key_bytes[4] = {1, 2, 3, 4};
    size_t head = 0;
    uint32_t key;

    memcpy(&key, key_bytes, sizeof key);
    if (!l->raw)
        head =
            sonic__ws_frame_encode(p, true, 0, l->text ? 1 : 2, l->size, &key);
    for (size_t i = 0; i < l->size; i++)
        p[head + i] = (uint8_t)('a' ^ (l->raw ? 0 : key_bytes[i % 4]));
    return head + l->size;
}

static struct burst
burst_new(const struct load *l)
{
    size_t room = (l->size + SONIC__WS_HEADER_MAX) * l->depth;
    struct burst b = {.out = malloc(room), .in = malloc(ROOM)};
    size_t one = 0;

    if (b.out == NULL || b.in == NULL)
        kit_die("malloc");
    for (unsigned i = 0; i < l->depth; i++)
        b.out_len += one = put_frame(l, b.out + b.out_len);
    b.in_len = (one - (l->raw ? 0 : 4)) * l->depth; /* without the key */
    return b;
}

static void
burst_free(struct burst *b)
{
    free(b->out);
    free(b->in);
}

/* ---- connections ------------------------------------------------------ */

static void
upgrade(int fd)
{
    static const char request[] = "GET / HTTP/1.1\r\n"
                                  "Host: localhost\r\n"
                                  "Upgrade: websocket\r\n"
                                  "Connection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: "
                                  "dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Sec-WebSocket-Version: 13\r\n\r\n";
    char head[LONGEST_HEAD];
    size_t n = 0;

    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) !=
        sizeof request - 1)
        kit_die("send");
    do { /* the server speaks only when spoken to: all this is the head */
        ssize_t k = recv(fd, head + n, sizeof head - n, 0);

        if (k <= 0)
            kit_die("the handshake failed");
        n += (size_t)k;
    } while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0);
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0)
        kit_die("the handshake was refused");
}

int
load_connect(const struct load *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(l->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        kit_die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!l->raw)
        upgrade(fd);
    return fd;
}

static void
set_nonblocking(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        kit_die("fcntl");
}

/* ---- throughput ------------------------------------------------------- */

static bool
would_block(ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    errno = n == 0 ? ECONNRESET : errno;
    kit_die("echo");
}

/* Go on with c until it would block.  Returns the bursts that ended. */
static unsigned
advance(struct connection *c, const struct burst *b)
{
    unsigned ended = 0;
    ssize_t n;

    for (;;) {
        while (c->sent < b->out_len) {
            n = send(c->fd, b->out + c->sent, b->out_len - c->sent,
                     MSG_NOSIGNAL);
            if (n <= 0 && would_block(n))
                break;
            c->sent += (size_t)n;
        }
        while (c->got < b->in_len) {
            size_t left = b->in_len - c->got;

            n = recv(c->fd, b->in, left < ROOM ? left : ROOM, 0);
            if (n <= 0 && would_block(n))
                return ended;
            c->got += (size_t)n;
        }
        if (c->sent < b->out_len)
            kit_die("answered before it was asked");
        c->sent = c->got = 0;
        ended++;
    }
}

static int
connect_all(const struct load *l, struct connection *c)
{
    int ep = epoll_create1(EPOLL_CLOEXEC);

    for (unsigned i = 0; i < l->connections; i++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                .data.ptr = &c[i]};

        c[i].fd = load_connect(l);
        set_nonblocking(c[i].fd);
        if (epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &e) < 0)
            kit_die("epoll_ctl");
    }
    return ep;
}

double
load_run(const struct load *l, uint64_t *count)
{
    struct connection *c = calloc(l->connections, sizeof *c);
    struct burst b = burst_new(l);
    struct epoll_event events[EVENTS];
    uint64_t answered = 0;
    double start, now;
    int ep;

    if (c == NULL)
        kit_die("calloc");
    ep = connect_all(l, c);
    start = now = kit_now();
    while (l->seconds > 0 ? now - start < l->seconds * 1e9
                          : answered < l->messages) {
        int n = epoll_wait(ep, events, EVENTS, 100);

        for (int i = 0; i < n; i++)
            answered += l->depth * advance(events[i].data.ptr, &b);
        now = kit_now();
    }
    for (unsigned i = 0; i < l->connections; i++)
        close(c[i].fd);
    close(ep);
    free(c);
    burst_free(&b);
    if (count != NULL)
        *count = answered;
    return (double)answered / (now - start) * 1e9;
}

/* ---- one at a time ---------------------------------------------------- */

static void
ping(int fd, const struct burst *b)
{
    size_t got = 0;

    if (send(fd, b->out, b->out_len, MSG_NOSIGNAL) != (ssize_t)b->out_len)
        kit_die("send");
    while (got < b->in_len) {
        ssize_t n = recv(fd, b->in + got, b->in_len - got, 0);

        if (n <= 0 && would_block(n))
            continue;
        got += (size_t)n;
    }
}

static void
compare(const struct load *l, const struct burst *b)
{
    const uint8_t *payload = b->in + b->in_len - l->size;

    for (size_t i = 0; i < l->size; i++) {
        if (payload[i] != 'a')
            kit_die("the echo is not what was sent");
    }
}

void
load_pings(const struct load *l, bool spin, double *ns, size_t count)
{
    struct burst b = burst_new(l);
    int fd = load_connect(l);

    if (spin)
        set_nonblocking(fd);
    for (size_t i = 0; i < count; i++) {
        double start = kit_now();

        ping(fd, &b);
        ns[i] = kit_now() - start;
    }
    compare(l, &b);
    close(fd);
    burst_free(&b);
}

void
load_once(const struct load *l, int fd)
{
    struct burst b = burst_new(l);

    ping(fd, &b);
    compare(l, &b);
    burst_free(&b);
}
