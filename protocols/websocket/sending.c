/* What a program sends: messages, parts, frames.  What most servers send most,
 * a message from the callback of another, goes the shortest way. */
#include "websocket/session.h"

#include <errno.h>
#include <string.h>

#include "base/hint.h"
#include "websocket/plain.h"

enum { SHORT = 512 /* bytes; what is longer may be referred to */ };

/* As memcpy for n from 16 to 64, without a call. */
static inline void
copy(uint8_t *to, const uint8_t *from, size_t n)
{
    memcpy(to, from, 16);
    if (n > 32) {
        memcpy(to + 16, from + 16, 16);
        memcpy(to + n - 32, from + n - 32, 16);
    }
    memcpy(to + n - 16, from + n - 16, 16);
}

/* The header of a server's unfragmented message of 126 to 65,535 bytes. */
static inline void
medium_head(uint8_t to[4], enum sonic_ws_opcode opcode, size_t len)
{
    to[0] = (uint8_t)(0x80 | (unsigned)opcode);
    to[1] = 126;
    to[2] = (uint8_t)(len >> 8);
    to[3] = (uint8_t)len;
}

/* Of one that may be shorter; 2 or 4 bytes. */
static inline size_t
short_head(uint8_t *to, enum sonic_ws_opcode opcode, size_t len)
{
    if (len > 125) {
        medium_head(to, opcode, len);
        return 4;
    }
    to[0] = (uint8_t)(0x80 | (unsigned)opcode);
    to[1] = (uint8_t)len;
    return 2;
}

/* A server's unfragmented message, when it is short: most of them.  Encoded
 * straight into the queue. */
static int
send_short(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
           size_t len)
{
    uint8_t *to = sonic_stream_reserve(ws->stream, 4 + len);
    size_t head;

    if (to == NULL) /* as it would be done otherwise, with its error */
        return sonic__ws_send_frame(ws, true, 0, (uint8_t)opcode, data, len);
    head = short_head(to, opcode, len);
    if (len > 0)
        memcpy(to + head, data, len);
    return sonic__ws_sent(ws, sonic_stream_commit(ws->stream, head + len));
}

/* Is this stream's callback on the stack, with room in the cork?  Then it may
 * be used where nothing but a plain message is sent. */
static inline bool
may_cork(const sonic_ws *ws, const sonic_cork *c, enum sonic_ws_opcode opcode,
         size_t room)
{
    return c->stream == ws->stream && ws->more == NULL &&
           sonic__ws_is(ws, SONIC__WS_SERVER | SONIC__WS_DEFLATED,
                        SONIC__WS_SERVER, SONIC__WS_STATE_OPEN) &&
           (unsigned)opcode - 1 <= 1 && room <= (size_t)(c->end - c->at);
}

/* ---- the public half -------------------------------------------------- */

static inline uint8_t
part_of(const sonic_ws *ws)
{
    return ws->more != NULL ? ws->more->part : 0;
}

static inline bool
is_data(enum sonic_ws_opcode opcode)
{
    return opcode == SONIC_WS_TEXT || opcode == SONIC_WS_BINARY;
}

/* 0, or why no message may begin now. */
static inline int
refusal(const sonic_ws *ws, enum sonic_ws_opcode opcode)
{
    if (!sonic__ws_may_send(ws))
        return SONIC_ESTATE;
    if (!is_data(opcode))
        return SONIC_EWS_OPCODE;
    return part_of(ws) != 0 ? SONIC_EWS_FRAGMENT : 0;
}

/* The opcode without what is or'ed to it. */
static inline enum sonic_ws_opcode
bare(enum sonic_ws_opcode opcode)
{
    return (enum sonic_ws_opcode)((unsigned)opcode & ~(unsigned)SONIC_WS_PLAIN);
}

/* Is a message of this opcode and length to be compressed? */
static inline bool
is_deflated(const sonic_ws *ws, enum sonic_ws_opcode opcode, size_t len)
{
    return (ws->flags & SONIC__WS_DEFLATED) && bare(opcode) == opcode &&
           len >= ws->config->deflate.threshold;
}

static SONIC__RARELY int
send_message(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
             size_t len)
{
    int err = refusal(ws, bare(opcode));

    if (err < 0)
        return err;
    if (is_deflated(ws, opcode, len))
        return sonic__ws_deflate_send(ws, (uint8_t)opcode, data, len);
    opcode = bare(opcode);
    if (len < SHORT && (ws->flags & SONIC__WS_SERVER))
        return send_short(ws, opcode, data, len);
    return sonic__ws_send_frame(ws, true, 0, (uint8_t)opcode, data, len);
}

/* Too long for a copy: referred to, if it was lent. */
static SONIC__RARELY int
send_referred(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
              size_t len)
{
    sonic_cork *c = ws->config->cork;

    if (!may_cork(ws, c, opcode, 4))
        return send_message(ws, opcode, data, len);
    medium_head(c->at, opcode, len);
    c->at += 4;
    if (sonic_stream_refer(ws->stream, data, len))
        return 0;
    c->at -= 4;
    return send_message(ws, opcode, data, len);
}

static SONIC__RARELY int
send_back_apart(sonic_ws *ws, enum sonic_ws_opcode opcode, const uint8_t *data,
                size_t len)
{
    if (sonic_stream_refer(ws->stream, data - SONIC__WS_HEADROOM,
                           SONIC__WS_HEADROOM + len))
        return 0;
    return send_referred(ws, opcode, data, len);
}

/* Most often it is the message whose callback runs, with room for the header
 * in front of it; and what was sent last ends there. */
static SONIC__RARELY int
send_medium(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
            size_t len)
{
    struct sonic__ws_config *config = ws->config;
    sonic_cork *c = config->cork;
    const size_t n = SONIC__WS_HEADROOM + len;
    uint8_t *head;

    if (!may_cork(ws, c, opcode, 0) || len > UINT16_MAX)
        return send_message(ws, opcode, data, len);
    if (data != config->headroom)
        return send_referred(ws, opcode, data, len);
    head = config->headroom - SONIC__WS_HEADROOM;
    config->headroom = NULL; /* there is one header only */
    medium_head(head, opcode, len);
    if (c->ref_end != head || c->at != c->ref_at || n > c->ref_room)
        return send_back_apart(ws, opcode, data, len);
    c->ref_end += n;
    c->ref_room -= n;
    return 0;
}

/* Shorter or longer than most: copied into the cork. */
static SONIC__RARELY int
send_copied(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
            size_t len)
{
    sonic_cork *c = ws->config->cork;

    if (!may_cork(ws, c, opcode, 4 + len))
        return send_message(ws, opcode, data, len);
    c->at += short_head(c->at, opcode, len);
    if (len > 0)
        memcpy(c->at, data, len);
    c->at += len;
    return 0;
}

int
sonic_ws_send(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
              size_t len)
{
    sonic_cork *c = ws->config->cork;
    uint8_t *to = c->at;

    if (len - 16 > 48)
        return len < SHORT ? send_copied(ws, opcode, data, len)
                           : send_medium(ws, opcode, data, len);
    if (!may_cork(ws, c, opcode, 2 + len))
        return send_message(ws, opcode, data, len);
    (void)short_head(to, opcode, len);
    copy(to + 2, data, len);
    c->at = to + 2 + len;
    return 0;
}

int
sonic_ws_send_part(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
                   size_t len, bool last)
{
    struct sonic__ws_more *m = sonic__ws_more(ws);
    bool first;
    int ret;

    if (m == NULL)
        return -ENOMEM;
    if (!sonic__ws_may_send(ws))
        return SONIC_ESTATE;
    first = m->part == 0;
    if (first && !is_data(bare(opcode)))
        return SONIC_EWS_OPCODE;
    if (first)
        m->part_deflated = is_deflated(ws, opcode, last ? len : SIZE_MAX);
    opcode = bare(opcode);
    ret = m->part_deflated
              ? sonic__ws_deflate_part(ws, (uint8_t)opcode, data, len, first,
                                       last)
              : sonic__ws_send_frame(ws, last, 0, first ? (uint8_t)opcode : 0,
                                     data, len);
    if (ret >= 0)
        m->part = last ? 0 : (uint8_t)opcode;
    return ret;
}

int
sonic_ws_send_frame(sonic_ws *ws, bool fin, uint8_t rsv,
                    enum sonic_ws_opcode opcode, const void *data, size_t len)
{
    if (!sonic__ws_may_send(ws))
        return SONIC_ESTATE;
    if (rsv & (uint8_t)~ws->config->rules.expect.rsv ||
        (rsv != 0 && opcode == SONIC_WS_CONTINUATION))
        return SONIC_EWS_RSV;
    if (opcode == SONIC_WS_PING || opcode == SONIC_WS_PONG) {
        if (!fin || len > SONIC__WS_CONTROL_MAX || rsv != 0)
            return SONIC_EWS_CONTROL;
    } else if (!is_data(opcode) && opcode != SONIC_WS_CONTINUATION) {
        return SONIC_EWS_OPCODE;
    }
    return sonic__ws_send_frame(ws, fin, rsv, (uint8_t)opcode, data, len);
}

static int
ping_or_pong(sonic_ws *ws, uint8_t opcode, const void *data, size_t len)
{
    if (!sonic__ws_may_send(ws))
        return SONIC_ESTATE;
    if (len > SONIC__WS_CONTROL_MAX)
        return SONIC_EWS_CONTROL;
    return sonic__ws_send_control(ws, opcode, data, len);
}

int
sonic_ws_ping(sonic_ws *ws, const void *data, size_t len)
{
    return ping_or_pong(ws, SONIC_WS_PING, data, len);
}

int
sonic_ws_pong(sonic_ws *ws, const void *data, size_t len)
{
    return ping_or_pong(ws, SONIC_WS_PONG, data, len);
}

/* Header bytes that n bytes of payload need. */
static size_t
header_size(const sonic_ws *ws, size_t n)
{
    size_t ext = n < 126 ? 0 : n < 65536 ? 2 : 8;

    return 2 + ext + (ws->flags & SONIC__WS_SERVER ? 0 : 4);
}

uint8_t *
sonic_ws_reserve(sonic_ws *ws, size_t n)
{
    struct sonic__ws_more *m = sonic__ws_more(ws);
    uint8_t *p;

    if (m == NULL || n > 16000 || refusal(ws, SONIC_WS_BINARY) < 0)
        return NULL;
    m->reserved = (uint8_t)header_size(ws, n);
    p = sonic_stream_reserve(ws->stream, m->reserved + n);
    if (p == NULL) {
        (void)sonic__ws_no_room(ws, m->reserved + n);
        return NULL;
    }
    return p + m->reserved;
}

/* What was encoded lies where the compressed message will: it is moved out of
 * the way first. */
static int
commit_deflated(sonic_ws *ws, enum sonic_ws_opcode opcode, size_t n)
{
    struct sonic__ws_more *m = ws->more;
    sonic_io *io = ws->config->io;
    sonic_mirror *buf;
    const uint8_t *p = sonic_stream_reserve(ws->stream, m->reserved + n);
    uint8_t *copied;
    size_t got;
    int ret = p == NULL ? SONIC_EQUEUE : sonic_io_borrow(io, n, &buf);

    if (ret < 0)
        return ret;
    copied = sonic_mirror_claim(buf, n, &got);
    memcpy(copied, p + m->reserved, n);
    m->reserved = 0;
    ret = sonic__ws_deflate_send(ws, (uint8_t)opcode, copied, n);
    sonic_io_give_back(io, buf);
    return ret;
}

int
sonic_ws_commit(sonic_ws *ws, enum sonic_ws_opcode opcode, size_t n)
{
    struct sonic__ws_more *m = ws->more;
    size_t head;
    uint32_t key = 0;
    uint8_t *p;
    int err = refusal(ws, bare(opcode));

    if (err == 0 && (m == NULL || m->reserved == 0))
        err = SONIC_ESTATE;
    if (err == 0 && is_deflated(ws, opcode, n))
        return commit_deflated(ws, opcode, n);
    opcode = bare(opcode);
    if (err == 0 && !(ws->flags & SONIC__WS_SERVER))
        err = sonic_io_random(ws->config->io, &key, sizeof key);
    if (err < 0)
        return err;
    p = sonic_stream_reserve(ws->stream, m->reserved + n); /* the same room */
    if (p == NULL)
        return sonic__ws_no_room(ws, m->reserved + n);
    head = header_size(ws, n);
    if (head != m->reserved)
        memmove(p + head, p + m->reserved, n);
    m->reserved = 0;
    if (!(ws->flags & SONIC__WS_SERVER))
        ws->config->rules.simd->mask(p + head, p + head, n, key);
    sonic__ws_frame_encode(p, true, 0, (uint8_t)opcode, n,
                           ws->flags & SONIC__WS_SERVER ? NULL : &key);
    return sonic__ws_sent(ws, sonic_stream_commit(ws->stream, head + n));
}

/* ---- with a callback -------------------------------------------------- */

struct send_op {
    sonic_ws *ws;
    sonic_ws_fn *cb;
    void *ud;
};

static void
on_sent(sonic_stream *s, int err, size_t n, void *ud)
{
    struct send_op *op = ud;
    struct send_op local = *op;

    (void)n;
    sonic__ws_release(local.ws->config->io, op, sizeof *op);
    if (s == local.ws->stream)
        (void)sonic__ws_sent(local.ws, err);
    local.cb(local.ws, err, local.ud);
    sonic__ws_drop(local.ws);
}

void
sonic_ws_async_send(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
                    size_t len, sonic_ws_fn *cb, void *ud)
{
    struct send_op *op = NULL;
    uint8_t head[SONIC__WS_HEADER_MAX];
    int err = refusal(ws, bare(opcode));
    bool copied = !(ws->flags & SONIC__WS_SERVER);

    if (err == 0) {
        op = sonic__ws_alloc(ws->config->io, sizeof *op);
        err = op == NULL ? -ENOMEM : 0;
    }
    if (err == 0 && is_deflated(ws, opcode, len)) {
        err = sonic__ws_deflate_send(ws, (uint8_t)opcode, data, len);
        copied = true;
    } else if (err == 0 && copied) {
        err =
            sonic__ws_send_frame(ws, true, 0, (uint8_t)bare(opcode), data, len);
    }
    if (err < 0) {
        sonic__ws_release(ws->config->io, op, sizeof *op);
        sonic__ws_decline(ws, err, cb, ud);
        return;
    }
    *op = (struct send_op){ws, cb, ud};
    sonic__ws_hold(ws);
    if (!copied)
        sonic_stream_async_write_framed(
            ws->stream, head,
            sonic__ws_frame_encode(head, true, 0, (uint8_t)bare(opcode), len,
                                   NULL),
            data, len, on_sent, op);
    else /* completes when all that was queued before it has gone */
        sonic_stream_async_write(ws->stream, head, 0, on_sent, op);
}

size_t
sonic_ws_queued(const sonic_ws *ws)
{
    return ws->stream != NULL ? sonic_stream_queued(ws->stream) : 0;
}
