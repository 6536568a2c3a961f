/* bench_broadcast - one message to 1,000 connections: sonic_ws_send to each,
 * a prepared message, and the floor, which is send(2) of a frame that stands
 * there already.  All in one process; what was sent is read, by the peers, in
 * between, and that time does not count.
 *
 *   bench_broadcast [--quick]                 the table
 *   bench_broadcast floor|send|prepared plain|deflate SIZE ROUNDS
 * prints how many messages were sent, for run.sh to count instructions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sonicio/sonicio.h>

#include "bench/kit.h"
#include "support/ws_deflate_json.h"

enum {
    PEERS = 1000,
    LARGEST = 16384,  /* bytes of a message */
    FEW = 16,         /* rounds of what takes long */
    UNREAD = 64 << 10 /* bytes at most between two readings, which a socket
                         takes */
};

enum way { FLOOR, SEND, PREPARED };
static const char *const ways[] = {"floor", "send", "prepared"};

struct world {
    sonic_io *io;
    sonic_ws_server *server;
    int fd[PEERS];   /* the peers' ends */
    int ours[PEERS]; /* of the floor */
    enum way way;
    size_t size;
    uint8_t message[4 + LARGEST];
    uint64_t sent;
};

static struct world w;

/* ---- connections ------------------------------------------------------ */

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)m;
    (void)ud;
}

static void
upgrade(int fd, bool deflate)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    char buf[1024];

    snprintf(buf, sizeof buf, "%s%s\r\n", request,
             deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    if (send(fd, buf, strlen(buf), 0) < 0)
        kit_die("send");
    sonic_io_poll(w.io);
    sonic_io_poll(w.io);
    if (recv(fd, buf, sizeof buf, 0) <= 0)
        kit_die("recv");
}

static void
open_world(enum way way, bool deflate, size_t size)
{
    static const sonic_ws_handler handler = {SONIC_WS_HANDLER_INIT,
                                             .on_message = on_message};
    sonic_stream *s;
    int pair[2];

    kit_descriptors();
    w.way = way;
    w.size = size;
    ws_deflate_json((char *)w.message + 4, size, 1);
    if (sonic_io_new(&w.io, NULL) < 0 ||
        sonic_ws_server_new(w.io, NULL, &handler, NULL, &w.server) < 0)
        kit_die("a server");
    for (int i = 0; i < PEERS; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
            kit_die("socketpair");
        w.fd[i] = pair[0];
        w.ours[i] = pair[1];
        if (way == FLOOR)
            continue;
        if (sonic_stream_adopt(w.io, pair[1], &s) < 0 ||
            sonic_ws_server_accept(w.server, s, NULL) < 0)
            kit_die("accept");
        upgrade(pair[0], deflate);
    }
}

static void
close_world(void)
{
    sonic_io_free(w.io);
    for (int i = 0; i < PEERS; i++) {
        close(w.fd[i]);
        if (w.way == FLOOR)
            close(w.ours[i]);
    }
}

/* ---- a round ---------------------------------------------------------- */

static void
send_plainly(sonic_ws *ws, void *ud)
{
    (void)ud;
    if (sonic_ws_send(ws, SONIC_WS_TEXT, w.message + 4, w.size) < 0)
        kit_die("sonic_ws_send");
}

static void
floor_round(void)
{
    w.message[0] = 0x81;
    w.message[1] = 126;
    w.message[2] = (uint8_t)(w.size >> 8);
    w.message[3] = (uint8_t)w.size;
    for (int i = 0; i < PEERS; i++)
        if (send(w.ours[i], w.message, 4 + w.size, MSG_NOSIGNAL) !=
            (ssize_t)(4 + w.size))
            kit_die("send");
}

/* One dispatch, from a post, as a feed's would be. */
static void
on_post(sonic_io *io, void *ud)
{
    sonic_ws_prepared *p;

    (void)ud;
    if (w.way == SEND) {
        sonic_ws_server_each(w.server, send_plainly, NULL);
        return;
    }
    if (sonic_ws_prepared_new(io, SONIC_WS_TEXT, w.message + 4, w.size, &p) < 0)
        kit_die("sonic_ws_prepared_new");
    sonic_ws_broadcast(w.server, p, SONIC_WS_SLOW_QUEUE, NULL);
    sonic_ws_prepared_free(p);
}

static void
round_of(void)
{
    if (w.way == FLOOR) {
        floor_round();
    } else {
        if (sonic_io_post(w.io, on_post, NULL) < 0)
            kit_die("post");
        sonic_io_poll(w.io);
    }
    w.sent += PEERS;
}

static void
read_all(void)
{
    static uint8_t buf[256 * 1024];

    for (int i = 0; i < PEERS; i++)
        while (recv(w.fd[i], buf, sizeof buf, 0) > 0)
            ;
}

/* Nanoseconds that the sending took. */
static double
run(unsigned rounds)
{
    unsigned at_once = w.size * 16 < UNREAD ? 16 : UNREAD / (unsigned)w.size;
    double took = 0;

    while (rounds > 0) {
        unsigned n = rounds < at_once ? rounds : at_once;
        double began = kit_now();

        rounds -= n;
        for (unsigned i = 0; i < n; i++)
            round_of();
        took += kit_now() - began;
        read_all();
    }
    return took;
}

static double
nanoseconds(enum way way, bool deflate, size_t size, unsigned rounds)
{
    double took;

    open_world(way, deflate, size);
    run(1);
    took = run(rounds) / rounds / PEERS;
    close_world();
    return took;
}

/* ---- the table -------------------------------------------------------- */

static void
row(const char *what, bool deflate, size_t size, unsigned rounds, double must)
{
    enum { TIMES = 3 };
    double floor[TIMES], one[TIMES], all[TIMES];
    char name[64];

    for (int i = 0; i < TIMES; i++) {
        floor[i] = nanoseconds(FLOOR, false, size, rounds);
        one[i] = nanoseconds(SEND, deflate, size, deflate ? FEW : rounds);
        all[i] = nanoseconds(PREPARED, deflate, size, rounds);
    }
    snprintf(name, sizeof name, "%s, sonic_ws_send", what);
    kit_row(&(struct kit_row){.what = name,
                              .measured = kit_median(one, TIMES),
                              .floor = kit_median(floor, TIMES)});
    snprintf(name, sizeof name, "%s, prepared", what);
    kit_row(
        &(struct kit_row){.what = name,
                          .measured = kit_median(all, TIMES),
                          .floor = kit_median(floor, TIMES),
                          .must = must,
                          .rule = must > 0 ? KIT_RATIO_AT_MOST : KIT_NO_RULE});
}

static int
count(char **argv)
{
    enum way way = FLOOR;
    size_t size = strtoul(argv[3], NULL, 10);

    while (way < PREPARED && strcmp(argv[1], ways[way]) != 0)
        way++;
    if (size == 0 || size > LARGEST)
        kit_die("a size of 1 to 16384");
    open_world(way, strcmp(argv[2], "deflate") == 0, size);
    run((unsigned)strtoul(argv[4], NULL, 10));
    close_world();
    printf("%ju\n", (uintmax_t)w.sent);
    return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    unsigned rounds;

    if (argc == 5)
        return count(argv);
    rounds = kit_quick(argc, argv) ? 16 : 96;
    kit_pin(0);
    kit_title("One message to 1,000 connections", "ns/msg");
    row("128 B", false, 128, rounds, 1.2);
    row("1 KiB", false, 1024, rounds, 1.2);
    row("16 KiB", false, LARGEST, FEW, 1.2);
    if (sonic_ws_can_deflate())
        row("1 KiB of JSON, compressed", true, 1024, rounds, 0);
    return EXIT_SUCCESS;
}
