/* Compressed messages against zlib used in the plainest way: whatever comes,
 * in whatever pieces, is what it inflates to or is refused with the right
 * code.
 *
 * Input: three bytes of settings, then messages.
 *   0  bit 0 delivery in chunks, 1 takeover, 2 text, 3 pause at every delivery,
 *      4-7 the limit, as 16 << n
 *   1  seed of the sizes of the frames
 *   2  seed of the sizes of the pieces in which they come
 * A message is two bytes of length, big-endian, cut to what there is, and so
 * many bytes of payload. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <sonicio/sonicio.h>

#include "websocket/frame.h"
#include "websocket/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SETTINGS = 3, MOST = 16 << 15, TURNS = 200000 };

struct run {
    bool chunks, takeover, text, pause;
    size_t limit;
    uint32_t frames, pieces;
    sonic_ws *ws;
    int fd;
    z_stream z; /* the reference's */
    /* what was delivered of the message under way, and of whole ones */
    size_t have;
    unsigned messages;
    bool over;
    uint16_t code;
};

static uint8_t expected[MOST + 1], got[MOST + 1], whole[MOST + 1];
static size_t n_whole;

static void
fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

static size_t
next(uint32_t *seed, size_t most)
{
    *seed = *seed * 1664525u + 1013904223u;
    return most == 0 ? 0 : (*seed >> 8) % (most + 1);
}

/* ---- the reference ---------------------------------------------------- */

/* 0 with *n bytes in expected, or the close code. */
static unsigned
reference(struct run *r, const uint8_t *p, size_t size, size_t *n)
{
    static const uint8_t tail[4] = {0, 0, 0xff, 0xff};
    bool ended = false;
    size_t before = 0;

    if (!r->takeover)
        inflateReset(&r->z);
    r->z.next_out = expected;
    r->z.avail_out = (uInt)(r->limit + 1);
    for (int part = 0; part < 2; part++) {
        if (part == 1 && (ended || size == 0))
            break; /* a final block is an end, and so is nothing */
        before = r->z.avail_out;
        r->z.next_in = (Bytef *)(uintptr_t)(part == 0 ? p : tail);
        r->z.avail_in = part == 0 ? (uInt)size : sizeof tail;
        while (r->z.avail_in > 0) {
            int e = inflate(&r->z, Z_SYNC_FLUSH);

            ended = e == Z_STREAM_END;
            if (e != Z_OK && e != Z_STREAM_END && e != Z_BUF_ERROR)
                return 1007;
            if (ended)
                inflateResetKeep(&r->z);
            if (r->z.avail_out == 0)
                return part == 0 ? 1009 : 1007;
        }
        if (part == 1 && r->z.avail_out != before)
            return 1007; /* the tail brings nothing, in what is not cut */
    }
    *n = r->limit + 1 - r->z.avail_out;
    if (!ended && size > 0 && r->z.data_type != 128)
        return 1007;
    if (r->text && sonic__utf8_feed(0, expected, *n) != SONIC__UTF8_OK)
        return 1007;
    return 0;
}

/* ---- ours ------------------------------------------------------------- */

static void
on_open(sonic_ws *ws, void *ud)
{
    ((struct run *)ud)->ws = ws;
}

static void
on_part(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct run *r = ud;

    if (m->len > sizeof got - r->have)
        fail("more than the limit");
    if (m->len > 0)
        memcpy(got + r->have, m->data, m->len);
    r->have += m->len;
    if (r->pause)
        sonic_ws_pause(ws);
    if (!m->last)
        return;
    memcpy(whole, got, r->have);
    n_whole = r->have;
    r->have = 0;
    r->messages++;
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct run *r = ud;

    (void)ws;
    r->over = true;
    r->code = why->code;
}

static const sonic_ws_handler by_messages = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_message = on_part,
    .on_close = on_close};
static const sonic_ws_handler by_chunks = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_chunk = on_part,
    .on_close = on_close};

static void
turn(sonic_io *io, struct run *r)
{
    char drop[512];
    ssize_t k;

    if (sonic_io_poll(io) < 0)
        fail("poll");
    if (r->pause && r->ws != NULL && !r->over)
        sonic_ws_resume(r->ws);
    while ((k = recv(r->fd, drop, sizeof drop, MSG_DONTWAIT)) > 0)
        ;
    if (k == 0) /* the server has ended it: so do we */
        shutdown(r->fd, SHUT_WR);
}

static void
say(sonic_io *io, struct run *r, const uint8_t *p, size_t n)
{
    while (n > 0 && !r->over) {
        size_t piece = 1 + next(&r->pieces, n - 1);
        ssize_t k = send(r->fd, p, piece, MSG_DONTWAIT | MSG_NOSIGNAL);

        turn(io, r);
        if (k < 0)
            continue;
        p += k;
        n -= (size_t)k;
    }
}

static void
say_message(sonic_io *io, struct run *r, const uint8_t *p, size_t n)
{
    uint8_t f[SONIC__WS_HEADER_MAX + 65535];
    uint32_t key = 0;
    bool first = true, last;

    do {
        size_t k = next(&r->frames, n), at;

        last = k == n;
        at = sonic__ws_frame_encode(f, last, first ? 0x40 : 0,
                                    !first    ? SONIC_WS_CONTINUATION
                                    : r->text ? SONIC_WS_TEXT
                                              : SONIC_WS_BINARY,
                                    k, &key);
        memcpy(f + at, p, k);
        say(io, r, f, at + k);
        first = false;
        p += k;
        n -= k;
    } while (!last && !r->over);
}

static void
begin(sonic_io *io, sonic_ws_server *server, struct run *r)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    sonic_stream *s;
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0 ||
        sonic_stream_adopt(io, fd[0], &s) < 0 ||
        sonic_ws_server_accept(server, s, NULL) < 0)
        fail("accept");
    r->fd = fd[1];
    if (send(r->fd, request, sizeof request - 1, 0) < 0)
        fail("send");
    for (int i = 0; i < TURNS && r->ws == NULL; i++)
        turn(io, r);
    if (sonic_ws_set_max_message(r->ws, r->limit) < 0)
        fail("limit");
}

static void
play(sonic_io *io, struct run *r, const uint8_t *data, size_t size)
{
    while (size >= 2 && !r->over) {
        size_t n = (size_t)data[0] << 8 | data[1], want = 0;
        unsigned before = r->messages, code;

        data += 2;
        size -= 2;
        n = n < size ? n : size;
        code = reference(r, data, n, &want);
        say_message(io, r, data, n);
        for (int i = 0; i < TURNS && r->messages == before && !r->over; i++)
            turn(io, r);
        if (code == 0 && (r->messages != before + 1 || n_whole != want ||
                          memcmp(whole, expected, want) != 0))
            fail("not the message");
        /* What is wrong twice may be told of either way. */
        if (code != 0 && (!r->over || (r->code != 1007 && r->code != 1009)))
            fail("not refused");
        if (code == 1009 && !r->text && r->code != 1009)
            fail("not refused as too big");
        data += n;
        size -= n;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonic_ws_deflate_options d = SONIC_WS_DEFLATE_OPTIONS_INIT;
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_io_options iopt = SONIC_IO_OPTIONS_INIT;
    struct run r = {0};
    sonic_ws_server *server = NULL;
    sonic_io *io = NULL;

    if (size < SETTINGS)
        return 0;
    r.chunks = data[0] & 1;
    r.takeover = data[0] & 2;
    r.text = data[0] & 4;
    r.pause = data[0] & 8;
    r.limit = (size_t)16 << (data[0] >> 4);
    r.frames = data[1];
    r.pieces = data[2];
    d.peer_takeover = r.takeover ? SONIC_ON : SONIC_OFF;
    opt.deflate = &d;
    iopt.backend = SONIC_BACKEND_POLL;
    iopt.buffer_size = 4096;
    if (inflateInit2(&r.z, -15) != Z_OK || sonic_io_new(&io, &iopt) < 0 ||
        sonic_ws_server_new(io, &opt, r.chunks ? &by_chunks : &by_messages, &r,
                            &server) < 0)
        fail("set up");
    begin(io, server, &r);
    play(io, &r, data + SETTINGS, size - SETTINGS);
    sonic_io_free(io);
    close(r.fd);
    inflateEnd(&r.z);
    return 0;
}
