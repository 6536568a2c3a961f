/* The receiving half of permessage-deflate, RFC 7692 section 7.2.2: bytes of
 * a compressed message from the parser, as they come, to the same sink.
 *
 * A message is inflated into a buffer of the io's pool, which is borrowed for
 * it.  One that is to be delivered whole stays there until it is, in a larger
 * one if need be; parts of others are delivered whenever the buffer is full
 * or the input used up.  The limit and UTF-8 are checked as bytes come out.
 */
#include "websocket/session.h"

#ifndef SONIC_WITHOUT_DEFLATE
#include <errno.h>
#include <string.h>

#include "websocket/utf8.h"

enum {
    EXPANSION = 1032,  /* bytes that one of the input can become, nearly */
    HELD_BACK = 16384, /* bytes that zlib can still have when its input is
                          used up: 31 bits, each a copy of 258 */
    PART_LEAST = 4 * HELD_BACK
};

/* The message is over; everything but the buffer goes back. */
static sonic_mirror *
finish(sonic_ws *ws)
{
    struct sonic__ws_inflation *m = ws->codec->now;
    sonic_mirror *buf = m->buf;

    m->buf = NULL;
    ws->codec->now = NULL;
    sonic__ws_inflation_give(ws->config->press, m);
    sonic__ws_codec_rest(ws);
    return buf;
}

static z_stream *
stream_of(const sonic_ws *ws)
{
    return ws->config->agreed.peer_takeover ? &ws->codec->own[0]
                                            : &ws->codec->now->z;
}

/* The decompressor: made with the first message that needs one. */
static int
open_stream(sonic_ws *ws)
{
    const sonic_ws_deflate_agreed *a = &ws->config->agreed;
    z_stream *z = stream_of(ws);

    if (z->state == Z_NULL)
        return sonic__inflate_open(z, ws->config->press,
                                   a->peer_takeover ? a->peer_window_bits : 15);
    if (!a->peer_takeover)
        inflateReset(z);
    return 0;
}

static void
set_room(struct sonic__ws_inflation *m)
{
    size_t size = sonic_mirror_size(m->buf);

    m->out = sonic_mirror_claim(m->buf, size, &m->room);
    if (m->whole && m->room > m->limit)
        m->room = (size_t)m->limit;
}

static int
begin(sonic_ws *ws, uint8_t opcode)
{
    struct sonic__ws_inflation *m;
    int err = sonic__ws_codec_open(ws);

    if (err < 0)
        return err;
    m = sonic__ws_inflation_take(ws->config->press);
    if (m == NULL)
        return -ENOMEM;
    ws->codec->now = m;
    m->have = 0;
    m->total = 0;
    m->limit = ws->config->rules.max_message;
    m->opcode = opcode;
    m->utf8 = SONIC__UTF8_OK;
    m->whole = ws->parser.delivery == SONIC__WS_WHOLE;
    m->begun = m->ended = m->any = false;
    return open_stream(ws);
}

/* Between its parts a message that has nothing to show has no buffer. */
static int
have_buffer(const sonic_ws *ws, struct sonic__ws_inflation *m)
{
    int err;

    if (m->buf != NULL)
        return 0;
    err = sonic_io_borrow(ws->config->io, PART_LEAST, &m->buf);
    if (err == 0)
        set_room(m);
    return err;
}

static void
spare_buffer(const sonic_ws *ws)
{
    struct sonic__ws_inflation *m = ws->codec->now;

    if (m == NULL || m->have > 0 || m->buf == NULL)
        return;
    sonic_io_give_back(ws->config->io, m->buf);
    m->buf = NULL;
}

/* Look at n new bytes. */
static int
check(const sonic_ws *ws, struct sonic__ws_inflation *m, const uint8_t *p,
      size_t n)
{
    const struct sonic__ws_rules *rules = &ws->config->rules;

    if (n > m->limit - m->total)
        return SONIC_EWS_TOOBIG;
    m->total += n;
    if (m->opcode != SONIC_WS_TEXT || !rules->utf8)
        return 0;
    m->utf8 = rules->simd->utf8(m->utf8, p, n);
    return m->utf8 == SONIC__UTF8_BAD ? SONIC_EWS_UTF8 : 0;
}

/* Inflate behind what is there, until the input is used up or the room, or one
 * byte is there that may not be. */
static int
fill(const sonic_ws *ws, struct sonic__ws_inflation *m, z_stream *z)
{
    uint8_t *to = m->out + m->have;
    size_t room = m->room - m->have;
    uint64_t left = m->limit - m->total;
    ptrdiff_t n;

    if (left < room)
        room = (size_t)left + 1;
    n = sonic__inflate_run(m, z, to, room);
    if (n < 0)
        return (int)n;
    m->have += (size_t)n;
    return check(ws, m, to, (size_t)n);
}

/* ---- a whole message -------------------------------------------------- */

/* The room is used up: is there one byte more?  Then the next size class. */
static int
grow(const sonic_ws *ws, struct sonic__ws_inflation *m, z_stream *z)
{
    sonic_mirror *old = m->buf, *buf;
    const uint8_t *from = m->out;
    uint8_t one;
    ptrdiff_t n = sonic__inflate_run(m, z, &one, 1);
    int err;

    if (n <= 0)
        return (int)n;
    err = check(ws, m, &one, 1);
    if (err == 0)
        err = sonic_io_borrow(ws->config->io, sonic_mirror_size(old) + 1, &buf);
    if (err < 0)
        return err;
    m->buf = buf;
    set_room(m);
    memcpy(m->out, from, m->have);
    m->out[m->have++] = one;
    sonic_io_give_back(ws->config->io, old);
    return 1;
}

/* All of the input of z. */
static int
append(const sonic_ws *ws, struct sonic__ws_inflation *m, z_stream *z)
{
    int r;

    do {
        r = fill(ws, m, z);
        if (r == 0 && m->have == m->room)
            r = grow(ws, m, z);
    } while (r > 0);
    return r;
}

/* The end of the message: what the sender left out brings nothing, and ends a
 * block. */
static int
conclude(struct sonic__ws_inflation *m, z_stream *z)
{
    ptrdiff_t n;
    uint8_t one;

    if (sonic__inflate_tail(m, z)) {
        n = sonic__inflate_run(m, z, &one, 1);
        if (n < 0)
            return (int)n;
        if (n > 0 || !sonic__inflate_complete(m, z))
            return SONIC_EWS_DEFLATE;
    }
    return m->utf8 == SONIC__UTF8_OK ? 0 : SONIC_EWS_UTF8;
}

static int
add_to_whole(sonic_ws *ws, const struct sonic__ws_sink *sink, bool last)
{
    struct sonic__ws_inflation *m = ws->codec->now;
    z_stream *z = stream_of(ws);
    sonic_io *io = ws->config->io;
    uint8_t *data, opcode = m->opcode;
    sonic_mirror *buf;
    size_t n;
    int r = append(ws, m, z);

    if (r == 0 && last)
        r = conclude(m, z);
    if (r < 0 || !last)
        return r;
    data = m->out;
    n = m->have;
    buf = finish(ws); /* first: the callback may end all of it */
    sink->on_message(opcode, 0, data, n, ws);
    sonic_io_give_back(io, buf);
    return 0;
}

/* ---- parts ------------------------------------------------------------ */

/* Deliver what is there.  False: no more, now or ever. */
static bool
deliver(sonic_ws *ws, const struct sonic__ws_sink *sink, bool last)
{
    struct sonic__ws_inflation *m = ws->codec->now;
    sonic_io *io = ws->config->io;
    sonic_mirror *buf = m->buf;
    uint8_t *data = m->out, opcode = m->opcode;
    uint8_t flags = (uint8_t)((m->begun ? 0 : SONIC__WS_FIRST) |
                              (last ? SONIC__WS_LAST : 0));
    size_t n = m->have;
    bool on;

    m->have = 0;
    m->begun = true;
    m->buf = NULL;
    if (last)
        (void)finish(ws);
    on = sink->on_chunk(opcode, flags, data, n, ws);
    if (!last && (ws->flags & SONIC__WS_DEFLATED) && ws->codec != NULL &&
        ws->codec->now == m) {
        m->buf = buf;
        return on;
    }
    sonic_io_give_back(io, buf);
    return false;
}

/* Parts are delivered while somebody takes them.  What zlib still has when its
 * input is used up could not be left there: nothing would bring it out.  So
 * the last byte is held back until the buffer takes all that can come. */
static int
pass_on(sonic_ws *ws, const struct sonic__ws_sink *sink, uint8_t *data,
        size_t n, bool last)
{
    struct sonic__ws_inflation *m = ws->codec->now;
    z_stream *z = stream_of(ws);
    int r;

    for (;;) {
        size_t room = m->room - m->have;
        size_t hold = n > 1 && n > (room - HELD_BACK) / EXPANSION;

        z->next_in = data;
        z->avail_in = (uInt)(n - hold);
        r = fill(ws, m, z);
        if (r < 0)
            return r;
        data += n - hold - z->avail_in;
        n = z->avail_in + hold;
        if (n == 0)
            break;
        if (m->room - m->have < HELD_BACK + EXPANSION &&
            !deliver(ws, sink, false)) {
            sonic__ws_parser_untake(&ws->parser, n, last);
            return 0;
        }
    }
    if (last)
        r = conclude(m, z);
    if (r == 0 && (last || m->have > 0))
        (void)deliver(ws, sink, last);
    return r;
}

void
sonic__ws_inflate(sonic_ws *ws, const struct sonic__ws_sink *sink,
                  uint8_t opcode, uint8_t flags, uint8_t *data, size_t n)
{
    bool last = (flags & SONIC__WS_LAST) != 0;
    int r = flags & SONIC__WS_FIRST ? begin(ws, opcode) : 0;

    if (r == 0)
        r = have_buffer(ws, ws->codec->now);
    if (r == 0) {
        struct sonic__ws_inflation *m = ws->codec->now;
        z_stream *z = stream_of(ws);

        m->any = m->any || n > 0;
        z->next_in = data;
        z->avail_in = (uInt)n;
        r = m->whole ? add_to_whole(ws, sink, last)
                     : pass_on(ws, sink, data, n, last);
    }
    if (r < 0)
        sonic__ws_violated(ws, r);
    else if ((ws->flags & SONIC__WS_DEFLATED) && ws->codec != NULL)
        spare_buffer(ws);
}

#else

void
sonic__ws_inflate(sonic_ws *ws, const struct sonic__ws_sink *sink,
                  uint8_t opcode, uint8_t flags, uint8_t *data, size_t n)
{
    (void)ws;
    (void)sink;
    (void)opcode;
    (void)flags;
    (void)data;
    (void)n;
}
#endif
