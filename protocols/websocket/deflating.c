/* The sending half of permessage-deflate, RFC 7692 section 7.2.1.
 *
 * A message is compressed straight into the stream's queue, behind room for
 * its header, or into a buffer of the io's pool when it is large.  Without
 * takeover it goes out as it is when that is not longer.
 */
#include "websocket/session.h"

#include <errno.h>
#include <string.h>

#ifndef SONIC_WITHOUT_DEFLATE

enum {
    RSV1 = 0x40,
    SHORT_HEADER = 4, /* bytes, of a frame under 64 KiB */
    MASKED = 4,       /* bytes more where it is masked */
    DIRECT = 8192,    /* bytes, at worst, that are compressed into the queue */
    SMALL = 3800      /* bytes: a window of 12 bits looks back over all of it */
};

static bool
is_server(const sonic_ws *ws)
{
    return (ws->flags & SONIC__WS_SERVER) != 0;
}

/* ---- the compressor --------------------------------------------------- */

int
sonic__ws_codec_open(sonic_ws *ws)
{
    const struct sonic__ws_config *c = ws->config;

    if (ws->codec == NULL)
        ws->codec = sonic__ws_codec_new(c->press, (unsigned)c->agreed.takeover +
                                                      c->agreed.peer_takeover);
    return ws->codec == NULL ? -ENOMEM : 0;
}

/* The connection's own, made with the first message that needs it. */
static z_stream *
own(sonic_ws *ws)
{
    const struct sonic__ws_config *c = ws->config;
    z_stream *z;

    if (sonic__ws_codec_open(ws) < 0)
        return NULL;
    z = &ws->codec->own[c->agreed.peer_takeover];
    if (z->state == Z_NULL &&
        sonic__deflate_open(z, c->press, c->deflate.level,
                            c->deflate.memory_level, c->agreed.window_bits) < 0)
        return NULL;
    return z;
}

static int
lesser(int a, int b)
{
    return a < b ? a : b;
}

/* What a message of n bytes is compressed with.  Clearing the tables of a
 * large one takes longer than a small message does; what that needs of them is
 * the same in small ones. */
struct sonic__ws_deflate_setting
sonic__ws_deflate_setting(const sonic_ws *ws, size_t n)
{
    const struct sonic__ws_config *c = ws->config;
    struct sonic__ws_deflate_setting s = {.level = c->deflate.level,
                                          .memory = c->deflate.memory_level,
                                          .bits = c->agreed.window_bits};

    if (n <= SMALL) {
        s.memory = lesser(s.memory, 5);
        s.bits = lesser(s.bits, 12);
    }
    return s;
}

static struct sonic__ws_deflater *
lend(const sonic_ws *ws, size_t n)
{
    return sonic__ws_deflater_take(ws->config->press,
                                   sonic__ws_deflate_setting(ws, n));
}

/* ---- messages --------------------------------------------------------- */

/* Header bytes of a frame of n bytes, under 64 KiB. */
static size_t
header_size(const sonic_ws *ws, size_t n)
{
    size_t masked = is_server(ws) ? 0 : MASKED;

    return masked + (n < 126 ? 2u : (size_t)SHORT_HEADER);
}

enum { NOT_SHORTER = 2, NO_ROOM = 3 }; /* it is to go out as it is */

/* Into the queue.  As sonic_stream_send, or one of the above. */
static int
press_direct(sonic_ws *ws, z_stream *z, uint8_t opcode, const void *data,
             size_t len, size_t cap)
{
    const size_t room = SHORT_HEADER + MASKED;
    bool server = is_server(ws);
    uint32_t key = 0;
    uint8_t *to;
    ptrdiff_t n;
    size_t head;
    int err;

    if (!server) {
        err = sonic_io_random(ws->config->io, &key, sizeof key);
        if (err < 0)
            return err;
    }
    to = sonic_stream_reserve(ws->stream, room + cap);
    if (to == NULL)
        return NO_ROOM;
    n = sonic__deflate_run(z, data, len, to + room, cap, true);
    if (n < 0)
        return NOT_SHORTER;
    head = header_size(ws, (size_t)n);
    if (server)
        memmove(to + head, to + room, (size_t)n);
    else
        ws->config->rules.simd->mask(to + head, to + room, (size_t)n, key);
    sonic__ws_frame_encode(to, true, RSV1, opcode, (size_t)n,
                           server ? NULL : &key);
    return sonic_stream_commit(ws->stream, head + (size_t)n);
}

/* By way of a buffer. */
static int
press_buffered(sonic_ws *ws, z_stream *z, uint8_t opcode, const void *data,
               size_t len, size_t cap)
{
    sonic_io *io = ws->config->io;
    sonic_mirror *buf;
    uint8_t *to;
    ptrdiff_t n;
    size_t got;
    int ret;

    if (sonic_io_borrow(io, cap, &buf) < 0)
        return NO_ROOM;
    to = sonic_mirror_claim(buf, cap, &got);
    n = sonic__deflate_run(z, data, len, to, cap, true);
    ret = n < 0 ? NOT_SHORTER
                : sonic__ws_send_frame(ws, true, RSV1, opcode, to, (size_t)n);
    sonic_io_give_back(io, buf);
    return ret;
}

static int
press(sonic_ws *ws, z_stream *z, uint8_t opcode, const void *data, size_t len,
      bool takeover)
{
    /* One byte of room is left over, and four are the mark: what is as long as
     * the message does not fit. */
    size_t cap = takeover ? sonic__deflate_bound(z, len) : len + 4;
    int ret = cap <= DIRECT ? press_direct(ws, z, opcode, data, len, cap)
                            : press_buffered(ws, z, opcode, data, len, cap);

    if (takeover && (ret < 0 || ret == NOT_SHORTER))
        deflateReset(z); /* the peer will never see what this refers to */
    return ret;
}

int
sonic__ws_deflate_send(sonic_ws *ws, uint8_t opcode, const void *data,
                       size_t len)
{
    const struct sonic__ws_config *c = ws->config;
    struct sonic__ws_deflater *d;
    int ret = NO_ROOM;
    z_stream *z;

    if (len >= c->deflate.threshold && len <= SONIC__DEFLATE_MOST) {
        if (c->agreed.takeover && (z = own(ws)) != NULL) {
            ret = press(ws, z, opcode, data, len, true);
        } else if (!c->agreed.takeover && (d = lend(ws, len)) != NULL) {
            ret = press(ws, &d->z, opcode, data, len, false);
            sonic__ws_deflater_give(c->press, d);
        }
    }
    if (ret == NOT_SHORTER || ret == NO_ROOM)
        return sonic__ws_send_frame(ws, true, 0, opcode, data, len);
    return sonic__ws_sent(ws, ret);
}

/* ---- messages in parts ------------------------------------------------ */

/* The compressor of a message in parts: one that is lent stays with it. */
static z_stream *
stream_for_parts(sonic_ws *ws)
{
    struct sonic__ws_more *m = ws->more;

    if (ws->config->agreed.takeover)
        return own(ws);
    if (m->parts == NULL)
        m->parts = lend(ws, SIZE_MAX);
    return m->parts != NULL ? &m->parts->z : NULL;
}

static void
end_parts(sonic_ws *ws)
{
    struct sonic__ws_more *m = ws->more;

    if (m == NULL || m->parts == NULL)
        return;
    sonic__ws_deflater_give(ws->config->press, m->parts);
    m->parts = NULL;
}

/* Each part is flushed: the peer can read it before the next one. */
int
sonic__ws_deflate_part(sonic_ws *ws, uint8_t opcode, const void *data,
                       size_t len, bool first, bool last)
{
    sonic_io *io = ws->config->io;
    z_stream *z = stream_for_parts(ws);
    sonic_mirror *buf = NULL;
    size_t cap = 0, got;
    ptrdiff_t n;
    uint8_t *to;
    int ret = z == NULL                   ? -ENOMEM
              : len > SONIC__DEFLATE_MOST ? SONIC_ETOOBIG
                                          : 0;

    if (ret == 0) {
        cap = sonic__deflate_bound(z, len);
        ret = sonic_io_borrow(io, cap, &buf);
    }
    if (ret == 0) {
        to = sonic_mirror_claim(buf, cap, &got);
        n = sonic__deflate_run(z, data, len, to, cap, last);
        ret = n < 0 ? -ENOMEM
                    : sonic__ws_send_frame(ws, last, first ? RSV1 : 0,
                                           first ? opcode : SONIC__WS_CONT, to,
                                           (size_t)n);
        sonic_io_give_back(io, buf);
        if (ret < 0) /* between parts, too, a compressor may start afresh */
            deflateReset(z);
    }
    if (ret < 0 ? first : last)
        end_parts(ws);
    return ret;
}

/* ---- rest ------------------------------------------------------------- */

void
sonic__ws_codec_rest(sonic_ws *ws)
{
    const struct sonic__ws_config *c = ws->config;

    if (c->agreed.takeover || c->agreed.peer_takeover || ws->codec->now != NULL)
        return;
    sonic__ws_codec_free(c->press, ws->codec, false, false);
    ws->codec = NULL;
}

void
sonic__ws_codec_release(sonic_ws *ws)
{
    const struct sonic__ws_config *c = ws->config;

    if (!(ws->flags & SONIC__WS_DEFLATED))
        return;
    end_parts(ws);
    if (ws->codec != NULL)
        sonic__ws_codec_free(c->press, ws->codec, c->agreed.peer_takeover,
                             c->agreed.takeover);
    ws->codec = NULL;
    ws->flags &= (uint8_t)~SONIC__WS_DEFLATED;
}

#else

int
sonic__ws_deflate_send(sonic_ws *ws, uint8_t opcode, const void *data,
                       size_t len)
{
    return sonic__ws_send_frame(ws, true, 0, opcode, data, len);
}

int
sonic__ws_deflate_part(sonic_ws *ws, uint8_t opcode, const void *data,
                       size_t len, bool first, bool last)
{
    return sonic__ws_send_frame(ws, last, 0, first ? opcode : SONIC__WS_CONT,
                                data, len);
}

void
sonic__ws_codec_release(sonic_ws *ws)
{
    (void)ws;
}
#endif
