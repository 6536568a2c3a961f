#include "sim_ws.h"

#include <errno.h>
#include <string.h>

#include <sonicio/error.h>

#include "sim_message.h"

#define MS INT64_C(1000000)

enum { RESERVE = 16000, MAX_TICKS = 200000, STEPS = 3 };

static void on_tick(sonic_timer *timer, int err, void *ud);

static uint64_t
pick(struct ws_end *e, uint64_t n)
{
    return sonic_sim_below(e->session->sim, n);
}

static void
wrong(struct ws_end *e, const char *what)
{
    session_wrong(e->session, what);
}

static bool
is_open(const struct ws_end *e)
{
    return e->ws != NULL && !e->over && sonic_ws_state(e->ws) == SONIC_WS_OPEN;
}

static void
step_later(struct ws_end *e)
{
    if (e->timer == NULL || sonic_timer_state(e->timer) != SONIC_TIMER_READY)
        return;
    e->session->started++;
    sonic_timer_once(e->timer, (int64_t)pick(e, 5 * MS), on_tick, e);
}

/* ---- receiving ---- */

/* A part of the message that is due. */
static void
take_part(struct ws_end *e, const sonic_ws_message *m, bool first)
{
    uint64_t salt = e->other->salt;
    size_t length = message_length(salt, e->got, WS_MOST);

    if (e->lossy)
        return;
    if (first != (e->part_got == 0 && !e->parting_in))
        wrong(e, "a message begins in the middle of another");
    if (first && (m->opcode == SONIC_WS_TEXT) != message_is_text(salt, e->got))
        wrong(e, "a message's opcode is wrong");
    if (!message_is(salt, e->got, length, e->part_got, m->data, m->len))
        wrong(e, "a message's bytes are wrong");
    e->part_got += m->len;
    e->parting_in = !m->last;
    if (!m->last)
        return;
    if (e->part_got != length)
        wrong(e, "a message's length is wrong");
    e->part_got = 0;
    e->got++;
    if (e->got > e->other->sent)
        wrong(e, "a message was invented");
}

static void
take_frame(struct ws_end *e, const sonic_ws_message *m)
{
    if (m->opcode < SONIC_WS_CLOSE)
        take_part(e, m, m->opcode != SONIC_WS_CONTINUATION);
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    take_part(ud, m, true);
    if (m->len > 0 && !m->last)
        wrong(ud, "a whole message is not whole");
}

static void
on_chunk(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    take_part(ud, m, m->first);
}

static void
on_frame(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    take_frame(ud, m);
}

static void on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud);

static void
read_next(struct ws_end *e)
{
    if (e->mode < WS_READ || e->reading || e->over || e->ws == NULL)
        return;
    e->reading = true;
    e->session->started++;
    switch (e->mode) {
    case WS_READ:
        sonic_ws_async_read(e->ws, on_read, e);
        break;
    case WS_READ_INTO:
        sonic_ws_async_read_into(e->ws, e->into, sizeof e->into, on_read, e);
        break;
    case WS_READ_CHUNK:
        sonic_ws_async_read_chunk(e->ws, on_read, e);
        break;
    default:
        sonic_ws_async_read_frame(e->ws, on_read, e);
        break;
    }
}

static void
on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    struct ws_end *e = ud;

    (void)ws;
    e->session->completed++;
    if (!e->reading || (err == 0) != (m != NULL))
        wrong(e, "a read completed wrongly");
    e->reading = false;
    if (err < 0) {
        if (err != SONIC_EWS_CLOSED && !e->session->may_fail)
            wrong(e, sonic_errname(err));
        return;
    }
    if (e->mode == WS_READ_FRAME)
        take_frame(e, m);
    else
        take_part(e, m, e->mode == WS_READ_CHUNK ? m->first : true);
    if (pick(e, 10) == 0)
        step_later(e); /* which reads on */
    else
        read_next(e);
}

/* ---- sending ---- */

/* What a send returned. */
static bool
queued(struct ws_end *e, int r)
{
    if (r == 1)
        e->draining = true;
    if (r >= 0)
        return true;
    if (!e->session->may_fail)
        wrong(e, sonic_errname(r));
    if (!e->over)
        sonic_ws_terminate(e->ws);
    return false;
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    struct ws_end *e = ud;

    (void)ws;
    e->draining = false; /* or an answered ping had crossed the mark */
    step_later(e);
}

static void
on_sent(sonic_ws *ws, int err, void *ud)
{
    struct ws_send *op = ud;
    struct ws_end *e = op->end;

    (void)ws;
    e->session->completed++;
    if (!op->busy)
        wrong(e, "a send completed twice");
    op->busy = false;
    memset(op->buf, 0xee, sizeof op->buf);
    if (err < 0 && !e->session->may_fail)
        wrong(e, sonic_errname(err));
    if (err < 0 && e->ws != NULL && !e->over)
        sonic_ws_terminate(e->ws);
}

static void
send_some_part(struct ws_end *e, enum sonic_ws_opcode opcode, size_t length)
{
    size_t left = length - e->part_sent;
    size_t n = pick(e, 3) == 0 ? left : (size_t)pick(e, left + 1);
    bool last = n == left && pick(e, 4) > 0;
    int r;

    message_bytes(e->salt, e->sent, length, e->part_sent, e->scratch, n);
    e->part_sent = last ? 0 : e->part_sent + n;
    e->parting = !last;
    e->sent += last; /* before it can be received */
    r = sonic_ws_send_part(e->ws, opcode, e->scratch, n, last);
    queued(e, r);
}

static struct ws_send *
free_send(struct ws_end *e)
{
    size_t i;

    for (i = 0; i < WS_SENDS; i++) {
        if (!e->sends[i].busy)
            return &e->sends[i];
    }
    return NULL;
}

static void
send_async(struct ws_end *e, enum sonic_ws_opcode opcode, size_t length,
           struct ws_send *op)
{
    op->end = e;
    op->busy = true;
    e->session->started++;
    message_bytes(e->salt, e->sent, length, 0, op->buf, length);
    e->sent++;
    sonic_ws_async_send(e->ws, opcode, op->buf, length, on_sent, op);
}

static void
send_in_place(struct ws_end *e, enum sonic_ws_opcode opcode, size_t length)
{
    uint8_t *to = sonic_ws_reserve(e->ws, RESERVE);

    if (to == NULL) {
        queued(e, -ENOMEM);
        return;
    }
    message_bytes(e->salt, e->sent, length, 0, to, length);
    e->sent++;
    queued(e, sonic_ws_commit(e->ws, opcode, length));
}

static void
send_one(struct ws_end *e)
{
    size_t length = message_length(e->salt, e->sent, WS_MOST);
    struct ws_send *op = free_send(e);
    enum sonic_ws_opcode opcode =
        message_is_text(e->salt, e->sent) ? SONIC_WS_TEXT : SONIC_WS_BINARY;
    uint64_t how = pick(e, 4);

    if (pick(e, 5) == 0)
        opcode = (enum sonic_ws_opcode)(opcode | SONIC_WS_PLAIN);
    if (e->parting || how == 0) {
        send_some_part(e, opcode, length);
    } else if (how == 1 && op != NULL) {
        send_async(e, opcode, length, op);
    } else if (how == 2 && length <= RESERVE) {
        send_in_place(e, opcode, length);
    } else {
        message_bytes(e->salt, e->sent, length, 0, e->scratch, length);
        e->sent++;
        queued(e, sonic_ws_send(e->ws, opcode, e->scratch, length));
    }
}

/* ---- the end ---- */

static void
maybe_close(struct ws_end *e)
{
    if (!e->closer || !is_open(e) || e->sent < e->to_send || e->parting ||
        e->got < e->other->to_send)
        return;
    if (sonic_ws_close(e->ws, SONIC_WS_NORMAL, "done") < 0 &&
        !e->session->may_fail)
        wrong(e, "cannot close");
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct ws_end *e = ud;
    sonic_timer *timer = e->timer;

    if (e->over)
        wrong(e, "closed twice");
    e->over = true;
    e->why = *why;
    e->timer = NULL;
    sonic_timer_free(timer);
    if (sonic_ws_is_server(ws)) {
        e->ws = NULL; /* it goes by itself */
    } else if (pick(e, 2) == 0) {
        e->ws = NULL;
        sonic_ws_free(ws);
    }
}

static void
on_open(sonic_ws *ws, void *ud)
{
    struct ws_end *e = ud;

    if (e->opened)
        wrong(e, "opened twice");
    e->opened = true;
    e->ws = ws;
    if (sonic_timer_new(e->session->io, &e->timer) < 0) {
        e->timer = NULL;
        sonic_ws_terminate(ws);
        return;
    }
    step_later(e);
    read_next(e);
}

void
ws_end_connected(sonic_ws *ws, int err, void *ud)
{
    struct ws_end *e = ud;

    (void)ws;
    e->session->completed++;
    if (!e->connecting)
        wrong(e, "a connect completed twice");
    e->connecting = false;
    if (err == 0 && !e->opened)
        wrong(e, "connected without being open");
    if (err < 0 && !e->session->may_fail)
        wrong(e, sonic_errname(err));
}

static void
be_rough(struct ws_end *e)
{
    switch (pick(e, 3)) {
    case 0:
        sonic_ws_terminate(e->ws);
        break;
    case 1:
        e->lossy = true; /* what nobody reads while closing is dropped */
        if (sonic_ws_close(e->ws, SONIC_WS_GOING_AWAY, NULL) < 0 && is_open(e))
            wrong(e, "cannot close an open connection");
        break;
    default:
        ws_end_free(e);
        break;
    }
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct ws_end *e = ud;
    int i;

    (void)timer;
    e->session->completed++;
    if (err < 0 || e->over || e->ws == NULL)
        return;
    if (e->ticks++ == MAX_TICKS) {
        wrong(e, "a session never ends");
        sonic_ws_terminate(e->ws);
        return;
    }
    if (e->paused || pick(e, 30) == 0) {
        e->paused = !e->paused;
        if (e->paused)
            sonic_ws_pause(e->ws);
        else
            sonic_ws_resume(e->ws);
    }
    if (is_open(e) && pick(e, 10) == 0)
        queued(e, sonic_ws_ping(e->ws, "ping", (size_t)pick(e, 5)));
    if (e->session->rough && pick(e, 40) == 0)
        be_rough(e);
    for (i = 0; i < STEPS && is_open(e) && !e->draining; i++) {
        if (e->sent < e->to_send)
            send_one(e);
    }
    read_next(e);
    maybe_close(e);
    step_later(e);
}

void
ws_end_init(struct ws_end *e, struct session *s, struct ws_end *other)
{
    *e = (struct ws_end){.session = s, .other = other};
    e->salt = sonic_sim_random(s->sim);
    e->to_send = (unsigned)pick(e, 15);
    e->mode = (enum ws_mode)pick(e, WS_MODES);
    e->handler = (sonic_ws_handler){SONIC_WS_HANDLER_INIT, .on_open = on_open,
                                    .on_drain = on_drain, .on_close = on_close};
    if (e->mode == WS_MESSAGES)
        e->handler.on_message = on_message;
    else if (e->mode == WS_CHUNKS)
        e->handler.on_chunk = on_chunk;
    else if (e->mode == WS_FRAMES)
        e->handler.on_frame = on_frame;
}

void
ws_end_free(struct ws_end *e)
{
    sonic_timer *timer = e->timer;
    sonic_ws *ws = e->ws;

    e->over = true;
    e->timer = NULL;
    e->ws = NULL;
    sonic_timer_free(timer);
    if (ws != NULL)
        sonic_ws_free(ws);
}
