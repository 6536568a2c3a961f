/* bench_udp - datagrams received and sent a second, beside loops of
 * epoll_wait(2) and recvmsg(2) or recvmmsg(2) alone, in the same run.
 *
 * Receiving: the kernel's buffer is filled, and the time to empty it counts.
 * Sending: to a socket that nobody reads.  One thread, 64 bytes, loopback. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sonicio/sonicio.h>

#include "bench/kit.h"

enum {
    FILL = 192, /* datagrams that every default buffer has room for */
    BATCH = 32,
    BYTES = 64,
    METHODS_MOST = 8,
    ROUNDS_MOST = 4000,
};

static int
plain_socket(struct sockaddr_in *a, bool info)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    socklen_t len = sizeof *a;

    *a = (struct sockaddr_in){.sin_family = AF_INET};
    a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)a, sizeof *a) < 0 ||
        getsockname(fd, (struct sockaddr *)a, &len) < 0)
        kit_die("socket");
    if (info && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) < 0)
        kit_die("IP_PKTINFO");
    return fd;
}

/* ---- receiving -------------------------------------------------------- */

/* The interface that the kernel tells of, as whoever asks looks for it. */
static unsigned
interface_of(struct msghdr *h)
{
    struct in_pktinfo info = {.ipi_ifindex = 0};

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            memcpy(&info, CMSG_DATA(c), sizeof info);
    return (unsigned)info.ipi_ifindex;
}

struct method;

typedef void drain_fn(struct method *m);

static void
await(int epfd)
{
    struct epoll_event ev;

    if (epoll_wait(epfd, &ev, 1, -1) != 1)
        kit_die("epoll_wait");
}

struct method {
    const char *name;
    drain_fn *drain;
    bool info; /* addresses and interfaces too */
    int fd, epfd;
    struct sockaddr_in at;
    sonic_io *io;
    sonic_udp *udp;
    unsigned got;
    uint64_t sum; /* of the first bytes: they are looked at */
    uint8_t buf[2048];
    double ns[ROUNDS_MOST];
};

static void
drain_recvmsg(struct method *m)
{
    uint8_t control[256];
    struct sockaddr_in from;
    struct iovec iov = {m->buf, sizeof m->buf};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

    await(m->epfd);
    for (;;) {
        if (m->info) {
            h.msg_name = &from;
            h.msg_namelen = sizeof from;
            h.msg_control = control;
            h.msg_controllen = sizeof control;
        }
        if (recvmsg(m->fd, &h, 0) < 0)
            return;
        m->got++;
        m->sum += m->buf[0];
        if (m->info)
            m->sum += interface_of(&h) + ntohs(from.sin_port);
    }
}

static void
drain_recvmmsg(struct method *m)
{
    static uint8_t buf[BATCH][2048], control[BATCH][256];
    static struct sockaddr_in from[BATCH];
    static struct iovec iov[BATCH];
    static struct mmsghdr h[BATCH];
    int n;

    await(m->epfd);
    do {
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){buf[i], sizeof buf[i]};
            h[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
            if (!m->info)
                continue;
            h[i].msg_hdr.msg_name = &from[i];
            h[i].msg_hdr.msg_namelen = sizeof from[i];
            h[i].msg_hdr.msg_control = control[i];
            h[i].msg_hdr.msg_controllen = sizeof control[i];
        }
        n = recvmmsg(m->fd, h, BATCH, 0, NULL);
        for (int i = 0; i < n; i++) {
            m->sum += buf[i][0];
            if (m->info)
                m->sum += interface_of(&h[i].msg_hdr) + ntohs(from[i].sin_port);
        }
        m->got += n > 0 ? (unsigned)n : 0;
    } while (n == BATCH);
}

static void
on_lend(sonic_udp *udp, int err, const sonic_datagram *d, size_t n, void *ud)
{
    struct method *m = ud;

    if (err < 0)
        return;
    for (size_t i = 0; i < n; i++)
        m->sum += d[i].data[0] + d[i].interface;
    m->got += (unsigned)n;
    sonic_udp_lend(udp, on_lend, m);
}

static void
on_read(sonic_udp *udp, int err, const sonic_datagram *d, void *ud)
{
    struct method *m = ud;

    if (err < 0)
        return;
    m->sum += d->data[0];
    m->got++;
    sonic_udp_async_read(udp, m->buf, sizeof m->buf, on_read, m);
}

static void
drain_sonic(struct method *m)
{
    while (m->got < FILL)
        if (sonic_io_poll(m->io) < 0)
            kit_die("sonic_io_poll");
}

static void
open_raw(struct method *m)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};

    m->fd = plain_socket(&m->at, m->info);
    m->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (m->epfd < 0 || epoll_ctl(m->epfd, EPOLL_CTL_ADD, m->fd, &ev) < 0)
        kit_die("epoll");
}

static void
open_sonic(struct method *m, bool lend)
{
    sonic_udp_options o = SONIC_UDP_OPTIONS_INIT;
    sonic_address a;

    if (!m->info)
        o.from = o.packet_info = o.drop_counter = SONIC_OFF;
    if (sonic_io_new(&m->io, NULL) < 0 ||
        sonic_udp_new(m->io, "127.0.0.1:0", &o, &m->udp) < 0 ||
        sonic_udp_local_address(m->udp, &a) < 0)
        kit_die("sonic_udp_new");
    memcpy(&m->at, &a.storage, sizeof m->at);
    if (lend)
        sonic_udp_lend(m->udp, on_lend, m);
    else
        sonic_udp_async_read(m->udp, m->buf, sizeof m->buf, on_read, m);
    sonic_io_poll(m->io);
}

static void
fill(int from, const struct method *m)
{
    uint8_t data[BYTES] = {1};

    for (int i = 0; i < FILL; i++)
        if (sendto(from, data, sizeof data, 0, (const void *)&m->at,
                   sizeof m->at) != BYTES)
            kit_die("sendto");
}

static void
round_of(int from, struct method *m, unsigned round)
{
    double before;

    fill(from, m);
    m->got = 0;
    before = kit_now();
    m->drain(m);
    m->ns[round] = kit_now() - before;
    if (m->got != FILL)
        kit_die("datagrams were lost");
}

/* A million a second, of a round's nanoseconds. */
static double
rate(struct method *m, unsigned rounds)
{
    return FILL * 1e9 / kit_median(m->ns, rounds);
}

static void
receive(unsigned rounds)
{
    static struct method m[METHODS_MOST] = {
        {.name = "recvmsg", .drain = drain_recvmsg},
        {.name = "recvmmsg", .drain = drain_recvmmsg},
        {.name = "recvmsg, sender and interface",
         .drain = drain_recvmsg,
         .info = true},
        {.name = "recvmmsg, sender and interface",
         .drain = drain_recvmmsg,
         .info = true},
        {.name = "async_read, the bytes alone", .drain = drain_sonic},
        {.name = "lend, the bytes alone", .drain = drain_sonic},
        {.name = "async_read, sender and interface",
         .drain = drain_sonic,
         .info = true},
        {.name = "lend, sender and interface",
         .drain = drain_sonic,
         .info = true},
    };
    static const int floors[METHODS_MOST] = {-1, -1, -1, -1, 0, 1, 2, 3};
    struct sockaddr_in a;
    int from = plain_socket(&a, false);

    for (int i = 0; i < METHODS_MOST; i++) {
        if (i < 4)
            open_raw(&m[i]);
        else
            open_sonic(&m[i], i % 2 == 1);
    }
    for (unsigned r = 0; r < rounds; r++)
        for (int i = 0; i < METHODS_MOST; i++)
            round_of(from, &m[i], r);
    kit_title("datagrams received, 64 bytes, batches of 32", "packets/s");
    for (int i = 4; i < METHODS_MOST; i++)
        kit_row(&(struct kit_row){.what = m[i].name,
                                  .measured = rate(&m[i], rounds),
                                  .floor = rate(&m[floors[i]], rounds),
                                  .must = 0.95,
                                  .rule = i % 2 ? KIT_RATIO_AT_LEAST
                                                : KIT_NO_RULE});
    for (int i = 0; i < METHODS_MOST; i++) {
        if (i < 4)
            close(m[i].fd), close(m[i].epfd);
        else
            sonic_io_free(m[i].io);
    }
    close(from);
}

/* ---- sending ---------------------------------------------------------- */

struct out {
    int fd;
    sonic_io *io;
    sonic_udp *udp[2]; /* one at a time, joined */
    struct sockaddr_in at;
    sonic_address to;
    double ns[4][ROUNDS_MOST];
};

static void
send_raw(struct out *o, int joined)
{
    static struct iovec iov[BATCH];
    static struct mmsghdr h[BATCH];
    static uint8_t data[BYTES];

    (void)joined;
    for (int n = 0; n < FILL; n += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){data, BYTES};
            h[i].msg_hdr = (struct msghdr){.msg_name = &o->at,
                                           .msg_namelen = sizeof o->at,
                                           .msg_iov = &iov[i],
                                           .msg_iovlen = 1};
        }
        if (sendmmsg(o->fd, h, BATCH, 0) != BATCH)
            kit_die("sendmmsg");
    }
}

static void
send_each(struct out *o, int joined)
{
    static uint8_t data[BYTES];

    (void)joined;
    for (int n = 0; n < FILL; n++)
        if (sendto(o->fd, data, BYTES, 0, (void *)&o->at, sizeof o->at) < 0)
            kit_die("sendto");
}

static void
send_sonic(struct out *o, int joined)
{
    static uint8_t data[BYTES];

    for (int n = 0; n < FILL; n++)
        if (sonic_udp_queue(o->udp[joined], &o->to, data, BYTES) < 0)
            kit_die("sonic_udp_queue");
    if (sonic_udp_flush(o->udp[joined]) < 0)
        kit_die("sonic_udp_flush");
}

static void
send_out(unsigned rounds)
{
    static void (*const how[])(struct out * o, int joined) = {
        send_each, send_raw, send_sonic, send_sonic};
    static struct out o;
    struct sockaddr_in a;
    sonic_udp_options gso = SONIC_UDP_OPTIONS_INIT;
    int sink = plain_socket(&o.at, false);

    gso.gso = SONIC_ON;
    o.fd = plain_socket(&a, false);
    memcpy(&o.to.storage, &o.at, sizeof o.at);
    o.to.len = sizeof o.at;
    if (sonic_io_new(&o.io, NULL) < 0 ||
        sonic_udp_new(o.io, "127.0.0.1:0", NULL, &o.udp[0]) < 0 ||
        sonic_udp_new(o.io, "127.0.0.1:0", &gso, &o.udp[1]) < 0)
        kit_die("sonic_udp_new");
    for (unsigned r = 0; r < rounds; r++) {
        for (int i = 0; i < 4; i++) {
            double before = kit_now();

            how[i](&o, i == 3);
            o.ns[i][r] = kit_now() - before;
        }
    }
    kit_title("datagrams sent, 64 bytes", "packets/s");
    for (int i = 2; i < 4; i++)
        kit_row(&(struct kit_row){
            .what = i == 2 ? "queue (floor: sendmmsg)" : "queue, joined (GSO)",
            .measured = FILL * 1e9 / kit_median(o.ns[i], rounds),
            .floor = FILL * 1e9 / kit_median(o.ns[1], rounds)});
    sonic_io_free(o.io);
    close(o.fd);
    close(sink);
}

int
main(int argc, char **argv)
{
    unsigned rounds = kit_quick(argc, argv) ? 300 : ROUNDS_MOST;

    kit_pin(0);
    receive(rounds);
    send_out(rounds);
    return 0;
}
