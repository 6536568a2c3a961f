/* bench_idle_deflate - memory of an idle connection that agreed on
 * permessage-deflate, after one echoed compressed message each, and how much
 * of it is zlib's: as much as contexts take that did the same work alone.
 *
 * One process has both ends of every connection, which is nothing but a
 * descriptor at the client's.  What counts is what malloc(3) has given out:
 * of a context not every page is touched. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <sonicio/sonicio.h>

#include "bench/kit.h"
#include "support/ws_deflate_json.h"
#include "websocket/frame.h"

enum { SIZE = 1024, ROOM = 4096, FIRST = 50, MOST = 2000 };

static const struct setting {
    const char *name;
    int bits, memory;
    bool takeover;
    size_t n; /* connections: a little less than the arrays grow to */
} settings[] = {
    {"shared", 15, 8, false, 1990},
    {"takeover, 9 bits, memory 1", 9, 1, true, 960},
    {"takeover, 12 bits, memory 5", 12, 5, true, 450},
    {"takeover, 15 bits, memory 8", 15, 8, true, 200},
};

static double
heap(void)
{
    struct mallinfo2 m = mallinfo2();

    return (double)m.uordblks + (double)m.hblkhd;
}

/* ---- zlib alone ------------------------------------------------------- */

static size_t
pack(z_stream *z, uint8_t *to)
{
    char json[SIZE];

    ws_deflate_json(json, sizeof json, 1);
    z->next_in = (Bytef *)json;
    z->avail_in = sizeof json;
    z->next_out = to;
    z->avail_out = ROOM;
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK)
        kit_die("deflate");
    return ROOM - z->avail_out - 4;
}

struct context {
    z_stream *in, *out;
};

static struct context
context_new(const struct setting *s, uint8_t *packed, size_t *n)
{
    struct context c = {calloc(1, sizeof *c.in), calloc(1, sizeof *c.out)};
    uint8_t plain[ROOM];

    if (c.in == NULL || c.out == NULL || inflateInit2(c.in, -s->bits) != Z_OK ||
        deflateInit2(c.out, 1, Z_DEFLATED, -s->bits, s->memory,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        kit_die("zlib");
    *n = pack(c.out, packed);
    c.in->next_in = packed;
    c.in->avail_in = (uInt)*n;
    c.in->next_out = plain;
    c.in->avail_out = sizeof plain;
    if (inflate(c.in, Z_SYNC_FLUSH) != Z_OK)
        kit_die("inflate");
    return c;
}

static void
context_free(struct context *c)
{
    inflateEnd(c->in);
    deflateEnd(c->out);
    free(c->in);
    free(c->out);
}

static double
per_context(const struct setting *s)
{
    static struct context c[MOST];
    uint8_t packed[ROOM];
    double before = heap(), after;
    size_t n;

    if (!s->takeover)
        return 0;
    for (size_t i = 0; i < s->n; i++)
        c[i] = context_new(s, packed, &n);
    after = heap();
    for (size_t i = 0; i < s->n; i++)
        context_free(&c[i]);
    return (after - before) / (double)s->n;
}

/* ---- connections ------------------------------------------------------ */

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    if (sonic_ws_send(ws, m->opcode, m->data, m->len) < 0)
        kit_die("sonic_ws_send");
}

/* Say something, and hear `want` bytes, or up to the end of a head. */
static void
talk(sonic_io *io, int fd, const void *p, size_t n, bool head)
{
    uint8_t in[ROOM];
    size_t got = 0, want = 4;

    if (send(fd, p, n, 0) != (ssize_t)n)
        kit_die("send");
    while (got < want) {
        ssize_t k;

        if (sonic_io_poll(io) < 0)
            kit_die("sonic_io_poll");
        k = recv(fd, in + got, sizeof in - got, 0);
        got += k > 0 ? (size_t)k : 0;
        if (got < 4)
            continue;
        if (head)
            want = memcmp(in + got - 4, "\r\n\r\n", 4) == 0 ? got : got + 1;
        else
            want = in[1] < 126 ? 2u + in[1] : 4u + ((size_t)in[2] << 8 | in[3]);
    }
    if (!head && (in[0] & 0x40) == 0)
        kit_die("the echo is not compressed");
}

static int
open_one(sonic_io *io, sonic_ws_server *server, const uint8_t *frame, size_t n)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; "
        "client_max_window_bits\r\n\r\n";
    sonic_stream *stream;
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0 ||
        sonic_stream_adopt(io, fd[0], &stream) < 0 ||
        sonic_ws_server_accept(server, stream, NULL) < 0)
        kit_die("connect");
    talk(io, fd[1], request, sizeof request - 1, true);
    talk(io, fd[1], frame, n, false);
    return fd[1];
}

static double
per_connection(const struct setting *s)
{
    static const sonic_ws_handler handler = {SONIC_WS_HANDLER_INIT,
                                             .on_message = on_message};
    sonic_ws_deflate_options d = SONIC_WS_DEFLATE_OPTIONS_INIT;
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    static int fds[FIRST + MOST];
    uint8_t packed[ROOM], frame[ROOM];
    struct context c;
    sonic_ws_server *server;
    double before = 0, after;
    uint32_t key = 0;
    size_t n, head;
    sonic_io *io;

    c = context_new(s, packed, &n);
    context_free(&c);
    head = sonic__ws_frame_encode(frame, true, 0x40, 1, n, &key);
    memcpy(frame + head, packed, n);
    d.window_bits = d.peer_window_bits = s->bits;
    d.memory_level = s->memory;
    d.takeover = d.peer_takeover = s->takeover ? SONIC_ON : SONIC_OFF;
    opt.deflate = &d;
    if (sonic_io_new(&io, NULL) < 0 ||
        sonic_ws_server_new(io, &opt, &handler, NULL, &server) < 0)
        kit_die("set up");
    for (size_t i = 0; i < FIRST + s->n; i++) {
        if (i == FIRST) /* what a server makes once is there */
            before = heap();
        fds[i] = open_one(io, server, frame, head + n);
    }
    after = heap();
    sonic_io_free(io);
    for (size_t i = 0; i < FIRST + s->n; i++)
        close(fds[i]);
    return (after - before) / (double)s->n;
}

/* Either, in a process of its own: what malloc(3) keeps at hand for its thread
 * counts as given out, and it would keep what was measured before. */
static double
alone(double (*measure)(const struct setting *s), const struct setting *s)
{
    double result;
    int pipe_[2];
    pid_t pid;

    if (pipe(pipe_) < 0 || (pid = fork()) < 0)
        kit_die("fork");
    if (pid == 0) {
        result = measure(s);
        _exit(write(pipe_[1], &result, sizeof result) != sizeof result);
    }
    close(pipe_[1]);
    if (read(pipe_[0], &result, sizeof result) != sizeof result)
        exit(EXIT_FAILURE); /* it said why */
    close(pipe_[0]);
    waitpid(pid, NULL, 0);
    return result;
}

int
main(int argc, char **argv)
{
    char what[64];

    (void)kit_quick(argc, argv);
    if (kit_descriptors() < 2 * (FIRST + MOST))
        kit_die("too few descriptors");
    kit_title("Memory of an idle connection, deflate", "bytes");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct setting *s = &settings[i];
        double all = alone(per_connection, s), zlib = alone(per_context, s);

        kit_row(&(struct kit_row){.what = s->name, .measured = all});
        if (s->takeover)
            snprintf(what, sizeof what, "  beyond zlib's %.0f", zlib);
        else
            snprintf(what, sizeof what, "  all of it");
        kit_row(&(struct kit_row){.what = what,
                                  .measured = all - zlib,
                                  .must = 256,
                                  .rule = KIT_AT_MOST});
    }
    return EXIT_SUCCESS;
}
