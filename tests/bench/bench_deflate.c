/* bench_deflate - permessage-deflate echo of 1 KiB of JSON, against the same
 * zlib alone and the same echo without it
 *
 * One process has both ends of a socketpair(2): the server is sonicio's, the
 * client writes frames that were made before and reads whole ones.  What the
 * echo of a compressed message takes beyond that of a plain one is compared
 * with inflate() and deflate() of the same messages, with a reset where there
 * is no takeover.
 *
 *   bench_deflate [--quick]
 *   bench_deflate SETTING zlib|plain|deflate MESSAGES    for run.sh to count
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <sonicio/sonicio.h>

#include "bench/kit.h"
#include "support/ws_deflate_json.h"
#include "websocket/frame.h"

enum { SIZE = 1024, CYCLE = 64, ROOM = 4096, ROUNDS = 15 };

static const struct setting {
    const char *name;
    int level;
    bool takeover;
} settings[] = {
    {"shared, level 1", 1, false},
    {"shared, level 6", 6, false},
    {"takeover, level 1", 1, true},
    {"takeover, level 6", 6, true},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

enum mode { ZLIB, PLAIN, DEFLATE, MODES };

/* CYCLE messages: as they are, compressed, and as frames of either kind.  The
 * first one refers to none before it, so that they can go round. */
struct messages {
    uint8_t plain[CYCLE][SIZE];
    uint8_t packed[CYCLE][ROOM];
    size_t n_packed[CYCLE];
    uint8_t frame[MODES][CYCLE][ROOM];
    size_t n_frame[MODES][CYCLE];
};

struct bench {
    const struct setting *setting;
    struct messages *m;
    sonic_io *io;
    sonic_ws_server *server;
    int fd[MODES]; /* the client's ends */
    z_stream in, out;
    unsigned next; /* message of the cycle */
};

/* ---- messages --------------------------------------------------------- */

static size_t
frame_of(uint8_t *to, uint8_t rsv, const uint8_t *payload, size_t n)
{
    static const uint8_t key_bytes[4] = {1, 2, 3, 4};
    size_t head;
    uint32_t key;

    memcpy(&key, key_bytes, sizeof key);
    head = sonic__ws_frame_encode(to, true, rsv, SONIC_WS_TEXT, n, &key);
    for (size_t i = 0; i < n; i++)
        to[head + i] = payload[i] ^ key_bytes[i % 4];
    return head + n;
}

static size_t
pack(z_stream *z, const uint8_t *from, uint8_t *to)
{
    z->next_in = (Bytef *)(uintptr_t)from;
    z->avail_in = SIZE;
    z->next_out = to;
    z->avail_out = ROOM;
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_out == 0)
        kit_die("deflate");
    return ROOM - z->avail_out - 4;
}

static void
make_messages(const struct setting *s, struct messages *m)
{
    z_stream z = {0};

    if (deflateInit2(&z, s->level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        kit_die("deflateInit2");
    for (unsigned i = 0; i < CYCLE; i++) {
        ws_deflate_json((char *)m->plain[i], SIZE, i);
        if (!s->takeover)
            deflateReset(&z);
        m->n_packed[i] = pack(&z, m->plain[i], m->packed[i]);
        m->n_frame[PLAIN][i] =
            frame_of(m->frame[PLAIN][i], 0, m->plain[i], SIZE);
        m->n_frame[DEFLATE][i] =
            frame_of(m->frame[DEFLATE][i], 0x40, m->packed[i], m->n_packed[i]);
    }
    deflateEnd(&z);
}

/* ---- the server ------------------------------------------------------- */

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    if (sonic_ws_send(ws, m->opcode, m->data, m->len) < 0)
        kit_die("sonic_ws_send");
}

static int
connect_one(struct bench *b, const char *extensions)
{
    char head[1024];
    sonic_stream *s;
    size_t n = 0;
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0 ||
        sonic_stream_adopt(b->io, fd[0], &s) < 0 ||
        sonic_ws_server_accept(b->server, s, NULL) < 0)
        kit_die("connect");
    dprintf(fd[1],
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
            extensions);
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
        ssize_t k;

        if (sonic_io_poll(b->io) < 0)
            kit_die("sonic_io_poll");
        k = recv(fd[1], head + n, sizeof head - n, 0);
        n += k > 0 ? (size_t)k : 0;
    }
    return fd[1];
}

static void
set_up(struct bench *b, const struct setting *s, struct messages *m)
{
    static const sonic_ws_handler handler = {SONIC_WS_HANDLER_INIT,
                                             .on_message = on_message};
    sonic_ws_deflate_options d = SONIC_WS_DEFLATE_OPTIONS_INIT;
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;

    *b = (struct bench){.setting = s, .m = m};
    make_messages(s, m);
    d.level = s->level;
    d.takeover = d.peer_takeover = s->takeover ? SONIC_ON : SONIC_OFF;
    opt.deflate = &d;
    if (sonic_io_new(&b->io, NULL) < 0 ||
        sonic_ws_server_new(b->io, &opt, &handler, NULL, &b->server) < 0 ||
        inflateInit2(&b->in, -15) != Z_OK ||
        deflateInit2(&b->out, s->level, Z_DEFLATED, -15, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        kit_die("set up");
    b->fd[PLAIN] = connect_one(b, "");
    b->fd[DEFLATE] =
        connect_one(b, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
}

static void
tear_down(struct bench *b)
{
    sonic_io_free(b->io);
    close(b->fd[PLAIN]);
    close(b->fd[DEFLATE]);
    inflateEnd(&b->in);
    deflateEnd(&b->out);
}

/* ---- one message ------------------------------------------------------ */

/* As any program would: inflate with the four bytes, deflate, and drop them. */
static void
zlib_alone(struct bench *b, unsigned i)
{
    static const uint8_t tail[4] = {0, 0, 0xff, 0xff};
    static uint8_t plain[ROOM], packed[ROOM];

    if (!b->setting->takeover)
        inflateReset(&b->in);
    b->in.next_in = b->m->packed[i];
    b->in.avail_in = (uInt)b->m->n_packed[i];
    b->in.next_out = plain;
    b->in.avail_out = sizeof plain;
    inflate(&b->in, Z_SYNC_FLUSH);
    b->in.next_in = (Bytef *)(uintptr_t)tail;
    b->in.avail_in = sizeof tail;
    inflate(&b->in, Z_SYNC_FLUSH);
    if (b->in.avail_out != sizeof plain - SIZE)
        kit_die("inflate");
    if (!b->setting->takeover)
        deflateReset(&b->out);
    (void)pack(&b->out, plain, packed);
}

static void
echo(struct bench *b, enum mode mode, unsigned i)
{
    static uint8_t in[ROOM];
    size_t got = 0, want = 2;
    int fd = b->fd[mode];

    if (send(fd, b->m->frame[mode][i], b->m->n_frame[mode][i], 0) !=
        (ssize_t)b->m->n_frame[mode][i])
        kit_die("send");
    while (got < want) {
        ssize_t n;

        if (sonic_io_poll(b->io) < 0)
            kit_die("sonic_io_poll");
        n = recv(fd, in + got, sizeof in - got, 0);
        got += n > 0 ? (size_t)n : 0;
        if (got >= 4)
            want = in[1] < 126 ? 2u + in[1] : 4u + ((size_t)in[2] << 8 | in[3]);
    }
    if (got != want || (in[0] & 0x40) != (mode == DEFLATE ? 0x40 : 0))
        kit_die("the echo is wrong");
}

/* Time of this process: nothing in it waits. */
static double
cpu_now(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
        kit_die("clock_gettime");
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Whole cycles, about n messages; nanoseconds for each. */
static double
run(struct bench *b, enum mode mode, unsigned n)
{
    double start = cpu_now();
    unsigned done = 0;

    while (done < n) {
        unsigned i = done++ % CYCLE;

        if (mode == ZLIB)
            zlib_alone(b, i);
        else
            echo(b, mode, i);
    }
    return (cpu_now() - start) / done;
}

/* ---- the table -------------------------------------------------------- */

static void
compare(const struct setting *s, struct messages *m, bool quick)
{
    double v[MODES][ROUNDS], t[MODES];
    unsigned n = quick ? 20 * CYCLE : 100 * CYCLE;
    char what[64];
    struct bench b;

    set_up(&b, s, m);
    for (int r = 0; r < ROUNDS; r++)
        for (int mode = 0; mode < MODES; mode++)
            v[mode][r] = run(&b, (enum mode)mode, n);
    for (int mode = 0; mode < MODES; mode++)
        t[mode] = kit_median(v[mode], ROUNDS);
    tear_down(&b);
    snprintf(what, sizeof what, "%s, less plain echo", s->name);
    kit_row(&(struct kit_row){.what = what,
                              .measured = t[DEFLATE] - t[PLAIN],
                              .floor = t[ZLIB],
                              .must = 1.10,
                              .rule = KIT_RATIO_AT_MOST});
}

static int
count(struct messages *m, char **argv)
{
    static const char *const names[MODES] = {"zlib", "plain", "deflate"};
    unsigned n = (unsigned)strtoul(argv[3], NULL, 10) / CYCLE * CYCLE;
    struct bench b;

    for (int i = 0; i < SETTINGS; i++)
        for (int mode = 0; mode < MODES; mode++)
            if (strcmp(argv[1], settings[i].name) == 0 &&
                strcmp(argv[2], names[mode]) == 0) {
                set_up(&b, &settings[i], m);
                run(&b, (enum mode)mode, n);
                tear_down(&b);
                printf("%u\n", n);
                return EXIT_SUCCESS;
            }
    kit_die("no such case");
}

int
main(int argc, char **argv)
{
    struct messages *m = calloc(1, sizeof *m);
    bool quick;

    if (m == NULL)
        kit_die("calloc");
    if (argc == 4)
        return count(m, argv);
    quick = kit_quick(argc, argv);
    kit_title("permessage-deflate echo, 1 KiB of JSON", "ns/msg");
    kit_pin(0);
    for (int i = 0; i < SETTINGS; i++)
        compare(&settings[i], m, quick);
    free(m);
    return EXIT_SUCCESS;
}
