/* The receiving half of a session: bytes from the stream to the parser, what
 * the parser finds to the handler or to a read operation. */
#include "websocket/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <sonicio/object.h>

#include "websocket/close.h"
#include "websocket/plain.h"

static inline bool
is_pulling(const sonic_ws *ws)
{
    return ws->more != NULL && ws->more->reader.cb != NULL;
}

/* A handler that takes data, and is not paused. */
static inline bool
is_pushing(const sonic_ws *ws)
{
    return (ws->flags & (SONIC__WS_PUSHING | SONIC__WS_PAUSED)) ==
           SONIC__WS_PUSHING;
}

/* Is there anybody to deliver to?  While closing, what nobody wants is
 * dropped: the peer's Close frame lies behind it. */
bool
sonic__ws_has_taker(const sonic_ws *ws)
{
    return is_pulling(ws) || is_pushing(ws) || sonic__ws_is_closing(ws);
}

static inline bool
goes_on(const sonic_ws *ws)
{
    if (ws->state == SONIC__WS_STATE_OPEN && is_pushing(ws))
        return true;
    return sonic__ws_phase(ws) == SONIC__WS_DATA && sonic__ws_has_taker(ws);
}

/* Nobody takes data now, but somebody wants to hear of the end, which lies
 * behind control frames, or at once where no data come.  What was read frame
 * by frame has control frames among its frames: there they wait, too. */
static bool
is_watched(const sonic_ws *ws)
{
    return ws->state == SONIC__WS_STATE_OPEN && ws->handler != NULL &&
           ws->handler->on_close != NULL &&
           !(ws->flags & (SONIC__WS_PAUSED | SONIC__WS_FREED)) &&
           (ws->more == NULL || ws->more->reader.kind != READ_FRAME);
}

/* Is what comes looked at, as far as data do not lie before it? */
bool
sonic__ws_is_heard(const sonic_ws *ws)
{
    return sonic__ws_has_taker(ws) ||
           (is_watched(ws) && (ws->flags & SONIC__WS_ARMED));
}

void
sonic__ws_choose_delivery(sonic_ws *ws)
{
    const sonic_ws_handler *h = ws->handler;
    enum sonic__ws_delivery d = SONIC__WS_WHOLE;

    if (h != NULL && (h->on_message || h->on_chunk || h->on_frame))
        ws->flags |= SONIC__WS_PUSHING;
    else
        ws->flags &= (uint8_t)~SONIC__WS_PUSHING;
    if (is_pulling(ws)) {
        if (ws->more->reader.kind == READ_FRAME)
            d = SONIC__WS_FRAMES;
        else if (ws->more->reader.kind != READ_WHOLE)
            d = SONIC__WS_CHUNKS;
    } else if (h != NULL && h->on_message == NULL) {
        if (h->on_chunk != NULL)
            d = SONIC__WS_CHUNKS;
        else if (h->on_frame != NULL)
            d = SONIC__WS_FRAMES;
    }
    sonic__ws_parser_deliver(&ws->parser, d);
}

/* ---- read operations -------------------------------------------------- */

static void
finish_read(sonic_ws *ws, int err, const sonic_ws_message *m)
{
    struct sonic__ws_reader r = ws->more->reader;

    ws->more->reader.cb = NULL;
    sonic__ws_choose_delivery(ws);
    r.cb(ws, err, m, r.ud);
}

bool
sonic__ws_forget_reader(sonic_ws *ws)
{
    if (!is_pulling(ws))
        return false;
    ws->more->reader.cb = NULL;
    return true;
}

/* A part of the message for the caller's buffer. */
static void
read_into(sonic_ws *ws, const sonic_ws_message *part)
{
    struct sonic__ws_reader *r = &ws->more->reader;
    sonic_ws_message whole = *part;

    if (part->len > r->cap - r->have) {
        finish_read(ws, SONIC_EWS_TOOBIG, NULL);
        if (sonic__ws_phase(ws) == SONIC__WS_DATA) /* not ended in there */
            sonic__ws_violated(ws, SONIC_EWS_TOOBIG);
        return;
    }
    if (part->len > 0)
        memcpy(r->buf + r->have, part->data, part->len);
    r->have += part->len;
    if (!part->last)
        return;
    whole.data = r->buf;
    whole.len = r->have;
    whole.first = true;
    finish_read(ws, 0, &whole);
}

/* ---- the parser's sink ------------------------------------------------ */

static const struct sonic__ws_sink sink;

static bool
on_message(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    sonic_ws *ws = ud;
    sonic_ws_message m = {data, n, opcode, 0, true, true};

    (void)flags;
    if (is_pulling(ws) && ws->more->reader.kind == READ_INTO)
        read_into(ws, &m); /* asked for when the message had begun */
    else if (is_pulling(ws))
        finish_read(ws, 0, &m);
    else if (is_pushing(ws) && ws->handler->on_message != NULL)
        ws->handler->on_message(ws, &m, ws->ud);
    return goes_on(ws);
}

static bool
on_chunk(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n, void *ud)
{
    sonic_ws *ws = ud;
    sonic_ws_message m = {data,
                          n,
                          opcode,
                          0,
                          (flags & SONIC__WS_FIRST) != 0,
                          (flags & SONIC__WS_LAST) != 0};

    if (flags & SONIC__WS_COMPRESSED)
        sonic__ws_inflate(ws, &sink, opcode, flags, data, n);
    else if (is_pulling(ws) && ws->more->reader.kind == READ_INTO)
        read_into(ws, &m);
    else if (is_pulling(ws))
        finish_read(ws, 0, &m);
    else if (is_pushing(ws) && ws->handler->on_chunk != NULL)
        ws->handler->on_chunk(ws, &m, ws->ud);
    return goes_on(ws);
}

static void
take_control(sonic_ws *ws, uint8_t opcode, const uint8_t *data, size_t n)
{
    struct sonic__ws_cause why = {.side = SONIC_WS_PEER,
                                  .layer = SONIC_WS_LAYER_CLOSE};
    const uint8_t *reason;
    int err;

    if (opcode == SONIC_WS_PING)
        sonic__ws_pong_back(ws, data, n);
    else if (opcode == SONIC_WS_PONG)
        sonic__ws_keepalive_pong(ws, data, n);
    if (opcode != SONIC_WS_CLOSE)
        return;
    err = sonic__ws_close_parse(data, n, &why.code, &reason, &why.reason_len);
    if (err < 0) {
        sonic__ws_violated(ws, err);
        return;
    }
    why.reason = (const char *)reason;
    why.code_to_send =
        why.code == SONIC_WS_NO_STATUS ? SONIC_WS_NORMAL : why.code;
    sonic__ws_heard_close(ws, &why);
}

static bool
on_control(uint8_t opcode, uint8_t *data, size_t n, void *ud)
{
    sonic_ws *ws = ud;

    take_control(ws, opcode, data, n);
    if (ws->handler != NULL && ws->handler->on_control != NULL &&
        !(ws->flags & SONIC__WS_FREED))
        ws->handler->on_control(ws, (enum sonic_ws_opcode)opcode, data, n,
                                ws->ud);
    return goes_on(ws);
}

static bool
on_frame(bool fin, uint8_t rsv, uint8_t opcode, uint8_t *data, size_t n,
         void *ud)
{
    sonic_ws *ws = ud;
    sonic_ws_message m = {data, n, opcode, rsv, opcode != SONIC_WS_CONTINUATION,
                          fin};

    if (opcode >= SONIC_WS_CLOSE)
        take_control(ws, opcode, data, n);
    if (is_pulling(ws))
        finish_read(ws, 0, &m);
    else if (is_pushing(ws) && ws->handler->on_frame != NULL)
        ws->handler->on_frame(ws, &m, ws->ud);
    return goes_on(ws);
}

static const struct sonic__ws_sink sink = {
    .on_message = on_message,
    .on_chunk = on_chunk,
    .on_frame = on_frame,
    .on_control = on_control,
};

/* As on_message, where sonic__ws_is_plain; false when it no longer is. */
static inline bool
on_plain_message(uint8_t opcode, bool headroom, uint8_t *data, size_t n,
                 void *ud)
{
    sonic_ws *ws = ud;
    sonic_ws_message m = {data, n, opcode, 0, true, true};

    if (headroom)
        ws->config->headroom = data;
    ws->handler->on_message(ws, &m, ws->ud);
    if (headroom)
        ws->config->headroom = NULL;
    return sonic__ws_is_plain(ws);
}

/* ---- bytes ------------------------------------------------------------ */

/* What sonic__ws_parse returned, and what follows from it. */
static void
parsed(sonic_ws *ws, int r, size_t len, const struct sonic__ws_progress *done)
{
    sonic_stream *s = ws->stream;
    size_t left;

    if (done->trimmed > 0)
        sonic_stream_trim(s, done->trimmed);
    sonic_stream_consume(s, done->consumed);
    if (r < 0 && sonic__ws_phase(ws) == SONIC__WS_DATA)
        sonic__ws_violated(ws, r);
    if (sonic__ws_phase(ws) == SONIC__WS_NOISE) {
        sonic_stream_consume(s, SIZE_MAX);
        sonic__ws_arm(ws, 1, 0);
        return;
    }
    if (!goes_on(ws)) {
        sonic__ws_stop_message(ws);
        sonic__ws_go_on(ws);
        return;
    }
    if (ws->parser.timed != 0 || !sonic__ws_parser_idle(&ws->parser))
        sonic__ws_time_message(ws, done->anew);
    left = len - done->consumed - done->trimmed;
    sonic__ws_arm(ws, r == 1 ? 1 : left + 1, done->want);
}

/* Bytes of frames, of which `taken` are done with. */
static void
receive_frames(sonic_ws *ws, uint8_t *data, size_t len, size_t taken)
{
    sonic_stream *s = ws->stream;
    struct sonic__ws_progress done;
    int r;

    ws->flags |= SONIC__WS_PARSING;
    r = sonic__ws_parse(&ws->parser, &ws->config->rules, &sink, ws,
                        data + taken, len - taken, &done);
    ws->flags &= (uint8_t)~SONIC__WS_PARSING;
    done.consumed += taken;
    if (ws->stream == s) /* else it ended meanwhile */
        parsed(ws, r, len, &done);
}

/* Bytes that nobody takes: a control frame is seen to, data wait. */
static void
watch(sonic_ws *ws, uint8_t *data, size_t len)
{
    size_t need = 2, size;

    if (!is_watched(ws) || !sonic__ws_parser_idle(&ws->parser) ||
        !(data[0] & 8))
        return;
    if (len >= need) {
        size = data[1] & 0x7f;
        need += (data[1] & 0x80 ? 4 : 0) + size;
        if (size > SONIC__WS_CONTROL_MAX)
            need = len; /* the parser says what is wrong with it */
    }
    if (len < need)
        sonic__ws_arm(ws, need, 0);
    else
        receive_frames(ws, data, len, 0); /* that one only */
}

static void
take_bytes(sonic_ws *ws, int err, uint8_t *data, size_t len)
{
    if (err < 0) {
        sonic__ws_lost(ws, err);
        return;
    }
    if (ws->more != NULL)
        sonic__ws_keepalive_read(ws);
    switch (sonic__ws_phase(ws)) {
    case SONIC__WS_HEADS:
        sonic__ws_open_bytes(ws, data, len);
        break;
    case SONIC__WS_DATA:
        if (goes_on(ws))
            receive_frames(ws, data, len, 0);
        else
            watch(ws, data, len);
        break;
    case SONIC__WS_NOISE:
        sonic_stream_consume(ws->stream, len);
        sonic__ws_arm(ws, 1, 0);
        break;
    case SONIC__WS_SILENCE:
        break;
    }
}

/* Of the len bytes n were plain messages; r is what sonic__ws_parse_plain told
 * of them. */
static SONIC__RARELY void
take_rest(sonic_ws *ws, sonic_stream *s, uint8_t *data, size_t len, size_t n,
          int r)
{
    struct sonic__ws_progress done = {.consumed = n};

    if (s != ws->stream)
        return; /* it ended meanwhile */
    if (r < 0) {
        r = sonic__ws_parser_fail(&ws->parser, &ws->config->rules, r);
        done.consumed = len;
    } else if (goes_on(ws)) {
        receive_frames(ws, data, len, n);
        return;
    } else {
        r = 1;
    }
    parsed(ws, r, len, &done);
}

static SONIC__RARELY void
on_other_bytes(sonic_stream *s, int err, uint8_t *data, size_t len,
               sonic_ws *ws)
{
    if (s == ws->stream) { /* else it is one of a connection before this one */
        ws->flags &= (uint8_t)~SONIC__WS_ARMED;
        take_bytes(ws, err, data, len);
    }
    sonic__ws_drop(ws);
}

/* All that came was plain, and the session is plain still. */
static SONIC__INLINE void
took_all(sonic_ws *ws)
{
    assert(!(ws->flags & SONIC__WS_ARMED));
    ws->flags ^= SONIC__WS_ARMED | SONIC__WS_PARSING;
    ws->config->cork->again = true;
}

/* The short messages that [data, end) begins with are taken, up to `at`. */
static SONIC__INLINE void
take_more(sonic_stream *s, sonic_ws *ws, uint8_t *data, const uint8_t *end,
          uint8_t *at, int r, bool masked)
{
    const struct sonic__ws_rules *rules = &ws->config->rules;

    if (r == 0 && ws->parser.delivery == SONIC__WS_WHOLE)
        at = sonic__ws_parse_plain(&ws->parser, rules, masked,
                                   SONIC__WS_PLAIN_ANY, on_plain_message, ws,
                                   at, end, &r);
    if (at == end && r == 0) {
        took_all(ws);
        return;
    }
    ws->flags &= (uint8_t)~SONIC__WS_PARSING;
    take_rest(ws, s, data, (size_t)(end - data), (size_t)(at - data), r);
    sonic__ws_drop(ws);
}

static SONIC__RARELY void
take_more_of_client(sonic_stream *s, sonic_ws *ws, uint8_t *data,
                    const uint8_t *end, uint8_t *at, int r)
{
    take_more(s, ws, data, end, at, r, true);
}

static SONIC__RARELY void
take_more_of_server(sonic_stream *s, sonic_ws *ws, uint8_t *data,
                    const uint8_t *end, uint8_t *at, int r)
{
    take_more(s, ws, data, end, at, r, false);
}

/* Most often all that came is whole messages, short ones, and they go on. */
static SONIC__INLINE void
take(sonic_stream *s, int err, uint8_t *data, size_t len, sonic_ws *ws,
     bool masked)
{
    const struct sonic__ws_rules *rules = &ws->config->rules;
    const uint8_t *end = data + len;
    uint8_t *at;
    int r;

    if (err != 0 || s != ws->stream || !sonic__ws_is_plain(ws) ||
        !sonic__ws_is_parser_plain(&ws->parser, rules)) {
        on_other_bytes(s, err, data, len, ws);
        return;
    }
    ws->flags ^= SONIC__WS_ARMED | SONIC__WS_PARSING;
    at =
        sonic__ws_parse_plain(&ws->parser, rules, masked, SONIC__WS_PLAIN_SHORT,
                              on_plain_message, ws, data, end, &r);
    if (at == end && r == 0)
        took_all(ws);
    else if (masked)
        take_more_of_client(s, ws, data, end, at, r);
    else
        take_more_of_server(s, ws, data, end, at, r);
}

static void
on_bytes_of_client(sonic_stream *s, int err, uint8_t *data, size_t len,
                   void *ud)
{
    take(s, err, data, len, ud, true);
}

static void
on_bytes_of_server(sonic_stream *s, int err, uint8_t *data, size_t len,
                   void *ud)
{
    take(s, err, data, len, ud, false);
}

void
sonic__ws_arm(sonic_ws *ws, size_t min, size_t want)
{
    bool masked = ws->config->rules.expect.mask != 0;

    if (ws->stream == NULL || (ws->flags & SONIC__WS_ARMED))
        return;
    ws->flags |= SONIC__WS_ARMED;
    sonic__ws_hold(ws);
    sonic_stream_lend(ws->stream, min, want,
                      masked ? on_bytes_of_client : on_bytes_of_server, ws);
}

/* A taker has come or gone: look at what is there, then at what comes. */
void
sonic__ws_go_on(sonic_ws *ws)
{
    if (!(ws->flags & SONIC__WS_PARSING) && (goes_on(ws) || is_watched(ws)))
        sonic__ws_arm(ws, 1, 0);
}

static void
take_up(sonic_ws *ws, bool was_heard, bool paused)
{
    if (!(ws->flags & SONIC__WS_PARSING) && goes_on(ws)) {
        if (!was_heard)
            sonic__ws_keepalive_resume(ws, paused);
        sonic__ws_time_message(ws, false);
    }
    sonic__ws_go_on(ws);
}

/* ---- the public half -------------------------------------------------- */

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    sonic_ws *ws = object;

    ((sonic_ws_read_fn *)cb)(ws, err, NULL, ud);
    sonic__ws_drop(ws);
}

static void
begin_read(sonic_ws *ws, enum sonic__ws_read_kind kind, void *buf, size_t cap,
           sonic_ws_read_fn *cb, void *ud)
{
    struct sonic__ws_more *m = sonic__ws_more(ws);
    bool had = sonic__ws_is_heard(ws);
    int err = 0;

    if (m == NULL)
        err = -ENOMEM;
    else if (m->reader.cb != NULL)
        err = -EBUSY;
    else if (ws->flags & SONIC__WS_FREED)
        err = SONIC_ECLOSED;
    else if (sonic_ws_state(ws) >= SONIC_WS_CLOSED_BY_PEER)
        err = sonic__ws_outcome(ws);
    else if (sonic__ws_phase(ws) != SONIC__WS_DATA)
        err = SONIC_ESTATE;
    if (err < 0) {
        sonic__ws_hold(ws);
        sonic_io_refuse(ws->config->io, say, ws, err, (void (*)(void))cb, ud);
        return;
    }
    m->reader.cb = cb;
    m->reader.ud = ud;
    m->reader.buf = buf;
    m->reader.cap = cap;
    m->reader.have = 0;
    m->reader.kind = kind;
    sonic__ws_choose_delivery(ws);
    take_up(ws, had, false);
}

void
sonic_ws_async_read(sonic_ws *ws, sonic_ws_read_fn *cb, void *ud)
{
    begin_read(ws, READ_WHOLE, NULL, 0, cb, ud);
}

void
sonic_ws_async_read_into(sonic_ws *ws, void *buf, size_t cap,
                         sonic_ws_read_fn *cb, void *ud)
{
    begin_read(ws, READ_INTO, buf, cap, cb, ud);
}

void
sonic_ws_async_read_chunk(sonic_ws *ws, sonic_ws_read_fn *cb, void *ud)
{
    begin_read(ws, READ_CHUNK, NULL, 0, cb, ud);
}

void
sonic_ws_async_read_frame(sonic_ws *ws, sonic_ws_read_fn *cb, void *ud)
{
    begin_read(ws, READ_FRAME, NULL, 0, cb, ud);
}

void
sonic_ws_pause(sonic_ws *ws)
{
    ws->flags |= SONIC__WS_PAUSED;
    sonic__ws_stop_message(ws);
}

void
sonic_ws_resume(sonic_ws *ws)
{
    bool had = sonic__ws_is_heard(ws);

    ws->flags &= (uint8_t)~SONIC__WS_PAUSED;
    take_up(ws, had, true);
}

int
sonic_ws_set_handler(sonic_ws *ws, const sonic_ws_handler *handler, void *ud)
{
    bool had = sonic__ws_is_heard(ws);
    int err = sonic__ws_handler_check(handler);

    if (err < 0)
        return err;
    ws->handler = handler;
    ws->ud = ud;
    sonic__ws_choose_delivery(ws);
    take_up(ws, had, true);
    return 0;
}
