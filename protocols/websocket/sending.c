/* The sending half of a session.  A server's payload goes out as it is; a
 * client's is masked on its way into the queue, in one pass. */
#include "websocket/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/hint.h"
#include "websocket/close.h"

enum {
    HEAD_FIRST_TRY = 2048,   /* bytes; most heads are shorter */
    SHORT = 512,             /* bytes; what is longer may be referred to */
    PIECE = 16 * 1024,       /* bytes masked into the queue at a time */
    FLUSH_EVERY = 256 * 1024 /* bytes of a large message between flushes */
};

/* ---- the queue's marks ------------------------------------------------ */

static void
on_drained(sonic_stream *s, int err, size_t n, void *ud)
{
    sonic_ws *ws = ud;
    struct sonic__ws_more *m = ws->more;

    (void)n;
    if (s == ws->stream) {
        ws->flags &= (uint8_t)~SONIC__WS_DRAINING;
        if (err == 0 && m != NULL && m->pong_waits) {
            m->pong_waits = false;
            sonic__ws_send_control(ws, SONIC_WS_PONG, m->pong, m->pong_len);
        }
        if (err == 0 && !(ws->flags & SONIC__WS_FREED) && ws->handler &&
            ws->handler->on_drain != NULL)
            ws->handler->on_drain(ws, ws->ud);
        /* The read side tells, and what came before; unless it sleeps. */
        if (err < 0 && (ws->flags & SONIC__WS_PAUSED))
            sonic__ws_lost(ws, err);
    }
    sonic__ws_drop(ws);
}

/* The queue stands above its high-water mark: say so once when it does not. */
void
sonic__ws_watch_drain(sonic_ws *ws)
{
    if ((ws->flags & SONIC__WS_DRAINING) || ws->stream == NULL)
        return;
    ws->flags |= SONIC__WS_DRAINING;
    sonic__ws_hold(ws);
    sonic_stream_async_drain(ws->stream, on_drained, ws);
}

/* What sending returns: at 1 a drain event is on its way. */
static inline int
sent(sonic_ws *ws, int ret)
{
    if (ret == 1)
        sonic__ws_watch_drain(ws);
    return ret;
}

/* ---- frames ----------------------------------------------------------- */

static int
send_plain(sonic_ws *ws, bool fin, uint8_t rsv, uint8_t opcode,
           const void *data, size_t len)
{
    uint8_t head[SONIC__WS_HEADER_MAX];
    size_t n = sonic__ws_frame_encode(head, fin, rsv, opcode, len, NULL);

    return sent(ws, sonic_stream_send_framed(ws->stream, head, n, data, len));
}

/* One piece: the header, if it is the first, and masked payload. */
static int
send_piece(sonic_ws *ws, const uint8_t *head, size_t n_head,
           const uint8_t *data, size_t len, uint32_t key)
{
    uint8_t *to = sonic_stream_reserve(ws->stream, n_head + len);

    if (to == NULL)
        return -ENOMEM;
    if (n_head > 0)
        memcpy(to, head, n_head);
    if (len > 0)
        ws->config->rules.simd->mask(to + n_head, data, len, key);
    return sonic_stream_commit(ws->stream, n_head + len);
}

static int
send_masked(sonic_ws *ws, bool fin, uint8_t rsv, uint8_t opcode,
            const uint8_t *data, size_t len)
{
    uint8_t head[SONIC__WS_HEADER_MAX];
    uint32_t key;
    size_t done = len < PIECE ? len : PIECE, n, unflushed = done;
    int ret = sonic_io_random(ws->config->io, &key, sizeof key);

    if (ret < 0)
        return ret; /* 5.3: an unpredictable key, or nothing is sent */
    if (len > PIECE && !sonic_stream_has_room(ws->stream, len + sizeof head))
        return SONIC_EQUEUE;
    n = sonic__ws_frame_encode(head, fin, rsv, opcode, len, &key);
    ret = send_piece(ws, head, n, data, done, key);
    if (ret < 0) /* nothing is queued: say why */
        return sonic_stream_has_room(ws->stream, n + done) ? ret : SONIC_EQUEUE;
    while (ret >= 0 && done < len) {
        size_t piece = len - done < PIECE ? len - done : PIECE;

        ret = send_piece(ws, NULL, 0, data + done, piece,
                         sonic__ws_key_rotate(key, done));
        done += piece;
        unflushed += piece;
        if (ret >= 0 && unflushed >= FLUSH_EVERY) {
            unflushed = 0;
            if (sonic_stream_flush(ws->stream) < 0)
                break; /* the read side will tell */
        }
    }
    if (ret < 0) /* half a frame is out: nothing can follow it */
        sonic__ws_lost(ws, ret);
    return sent(ws, ret);
}

static inline int
send_frame(sonic_ws *ws, bool fin, uint8_t rsv, uint8_t opcode,
           const void *data, size_t len)
{
    if (ws->flags & SONIC__WS_SERVER)
        return send_plain(ws, fin, rsv, opcode, data, len);
    return send_masked(ws, fin, rsv, opcode, data, len);
}

int
sonic__ws_send_frame(sonic_ws *ws, bool fin, uint8_t rsv, uint8_t opcode,
                     const void *data, size_t len)
{
    return send_frame(ws, fin, rsv, opcode, data, len);
}

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
        return send_plain(ws, true, 0, (uint8_t)opcode, data, len);
    head = short_head(to, opcode, len);
    if (len > 0)
        memcpy(to + head, data, len);
    return sent(ws, sonic_stream_commit(ws->stream, head + len));
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

int
sonic__ws_send_control(sonic_ws *ws, uint8_t opcode, const void *data,
                       size_t len)
{
    return send_frame(ws, true, 0, opcode, data, len);
}

int
sonic__ws_send_close(sonic_ws *ws, uint16_t code, const char *reason,
                     size_t len)
{
    uint8_t payload[SONIC__WS_CONTROL_MAX];
    int n = 0;

    if (code != 0)
        n = sonic__ws_close_encode(payload, code, (const uint8_t *)reason, len);
    if (n < 0)
        return n;
    return sonic__ws_send_control(ws, SONIC_WS_CLOSE, payload, (size_t)n);
}

/* Answer a ping.  A peer that pings and does not read gets the newest pong
 * only (5.5.3), so that pongs do not fill the queue. */
void
sonic__ws_pong_back(sonic_ws *ws, const uint8_t *data, size_t len)
{
    struct sonic__ws_more *m;

    if (!sonic__ws_may_send(ws))
        return;
    if (!(ws->flags & SONIC__WS_DRAINING)) {
        sonic__ws_send_control(ws, SONIC_WS_PONG, data, len);
        return;
    }
    m = sonic__ws_more(ws);
    if (m == NULL)
        return;
    if (len > 0)
        memcpy(m->pong, data, len);
    m->pong_len = (uint8_t)len;
    m->pong_waits = true;
}

/* Build a head and send it: from the stack, or from the heap when it is
 * long. */
int
sonic__ws_send_head(sonic_ws *ws,
                    int (*build)(const void *what, char *buf, size_t cap),
                    const void *what)
{
    char first[HEAD_FIRST_TRY], *head = first;
    int n = build(what, first, sizeof first), ret;

    if (n < 0)
        return n;
    if ((size_t)n > sizeof first) {
        head = sonic__ws_alloc(ws->config->io, (size_t)n);
        if (head == NULL)
            return -ENOMEM;
        ret = build(what, head, (size_t)n);
        assert(ret == n); /* the same input gives the same bytes */
    }
    ret = sonic_stream_send(ws->stream, head, (size_t)n);
    if (head != first)
        sonic__ws_release(ws->config->io, head, (size_t)n);
    return ret < 0 ? ret : 0;
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
    return send_frame(ws, true, 0, (uint8_t)opcode, data, len);
}

/* Too long for a copy: referred to, if it was lent. */
static SONIC__RARELY int
send_referred(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
              size_t len)
{
    sonic_cork *c = ws->config->cork;

    if (len > UINT16_MAX || !may_cork(ws, c, opcode, 4))
        return send_message(ws, opcode, data, len);
    medium_head(c->at, opcode, len);
    c->at += 4;
    if (sonic_stream_refer(ws->stream, data, len))
        return 0;
    c->at -= 4;
    return send_message(ws, opcode, data, len);
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
                           : send_referred(ws, opcode, data, len);
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
              : send_frame(ws, last, 0, first ? (uint8_t)opcode : 0, data, len);
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
    return send_frame(ws, fin, rsv, (uint8_t)opcode, data, len);
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
    return p == NULL ? NULL : p + m->reserved;
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
        return SONIC_EQUEUE;
    head = header_size(ws, n);
    if (head != m->reserved)
        memmove(p + head, p + m->reserved, n);
    m->reserved = 0;
    if (!(ws->flags & SONIC__WS_SERVER))
        ws->config->rules.simd->mask(p + head, p + head, n, key);
    sonic__ws_frame_encode(p, true, 0, (uint8_t)opcode, n,
                           ws->flags & SONIC__WS_SERVER ? NULL : &key);
    return sent(ws, sonic_stream_commit(ws->stream, head + n));
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

    (void)s;
    (void)n;
    sonic__ws_release(local.ws->config->io, op, sizeof *op);
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
        err = send_masked(ws, true, 0, (uint8_t)bare(opcode), data, len);
    }
    if (err < 0) {
        sonic__ws_release(ws->config->io, op, sizeof *op);
        cb(ws, err, ud);
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
