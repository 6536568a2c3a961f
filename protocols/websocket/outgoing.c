/* Frames into the stream's queue.  A server's payload goes out as it is; a
 * client's is masked on its way into the queue, in one pass. */
#include "websocket/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "websocket/close.h"

enum {
    HEAD_FIRST_TRY = 2048,   /* bytes; most heads are shorter */
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

/* ---- a stream that is broken ------------------------------------------ */

/* From the loop.  Where the stream is read, that tells, and what came before;
 * else nobody would. */
static void
on_doubt(sonic_io *io, void *ud)
{
    sonic_ws *ws = ud;
    int err;

    (void)io;
    ws->more->doubted = false;
    if (ws->stream != NULL && !(ws->flags & SONIC__WS_ARMED)) {
        err = sonic_stream_flush(ws->stream);
        if (err < 0)
            sonic__ws_lost(ws, err);
    }
    sonic__ws_drop(ws);
}

/* A send was refused: was that the stream's end? */
void
sonic__ws_doubt(sonic_ws *ws, int err)
{
    struct sonic__ws_more *m;

    if (err == SONIC_EQUEUE || ws->stream == NULL)
        return;
    m = sonic__ws_more(ws);
    if (m == NULL || m->doubted)
        return;
    if (sonic_io_post(ws->config->io, on_doubt, ws) < 0)
        return; /* the next one may have the memory */
    m->doubted = true;
    sonic__ws_hold(ws);
}

/* Why sonic_stream_reserve gave no n bytes. */
int
sonic__ws_no_room(sonic_ws *ws, size_t n)
{
    int err = SONIC_EQUEUE;

    if (sonic_stream_has_room(ws->stream, n)) {
        err = sonic_stream_flush(ws->stream);
        if (err == 0)
            err = -ENOMEM;
    }
    return sonic__ws_sent(ws, err);
}

/* ---- frames ----------------------------------------------------------- */

static int
send_plain(sonic_ws *ws, bool fin, uint8_t rsv, uint8_t opcode,
           const void *data, size_t len)
{
    uint8_t head[SONIC__WS_HEADER_MAX];
    size_t n = sonic__ws_frame_encode(head, fin, rsv, opcode, len, NULL);

    return sonic__ws_sent(
        ws, sonic_stream_send_framed(ws->stream, head, n, data, len));
}

/* One piece: the header, if it is the first, and masked payload. */
static int
send_piece(sonic_ws *ws, const uint8_t *head, size_t n_head,
           const uint8_t *data, size_t len, uint32_t key)
{
    uint8_t *to = sonic_stream_reserve(ws->stream, n_head + len);

    if (to == NULL)
        return sonic__ws_no_room(ws, n_head + len);
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
    if (ret < 0)
        return ret; /* nothing is queued */
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
    return sonic__ws_sent(ws, ret);
}

int
sonic__ws_send_frame(sonic_ws *ws, bool fin, uint8_t rsv, uint8_t opcode,
                     const void *data, size_t len)
{
    if (ws->flags & SONIC__WS_SERVER)
        return send_plain(ws, fin, rsv, opcode, data, len);
    return send_masked(ws, fin, rsv, opcode, data, len);
}

/* ---- control frames, heads --------------------------------------------- */

int
sonic__ws_send_control(sonic_ws *ws, uint8_t opcode, const void *data,
                       size_t len)
{
    return sonic__ws_send_frame(ws, true, 0, opcode, data, len);
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
