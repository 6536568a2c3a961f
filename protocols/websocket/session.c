/* The session machine: see session.def.  An action does what its row says;
 * the state has changed before it runs. */
#include "websocket/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sonicio/websocket_keep.h>

#include "websocket/close.h"

typedef int fsm_act(sonic_ws *ws, const struct sonic__ws_cause *why);
static fsm_act act_connect, act_await_head, act_ask, act_ask_proxy, act_open,
    act_secure, act_upgrade, act_refuse, act_say_close, act_reply, act_acked,
    act_fail, act_give_up, act_unanswered, act_end, act_busy, act_not_open,
    act_nothing, act_impossible;

#define FSM_NAME "ws-session"
#define FSM_DEF "websocket/session.def"
#define FSM_INFO sonic__ws_session_fsm
#include <sonicio/fsm_build.h>

_Static_assert((int)S_PROXYING == SONIC__WS_STATE_PROXYING &&
                   (int)S_SECURING == SONIC__WS_STATE_SECURING &&
                   (int)S_UPGRADING == SONIC__WS_STATE_UPGRADING &&
                   (int)S_OPEN == SONIC__WS_STATE_OPEN &&
                   (int)S_CLOSING == SONIC__WS_STATE_CLOSING &&
                   (int)S_ENDING == SONIC__WS_STATE_ENDING,
               "session.h and session.def differ");

static const struct sonic__ws_cause no_cause = {0};

static int
step(sonic_ws *ws, enum fsm_event e, const struct sonic__ws_cause *why)
{
    enum sonic_ws_state in = sonic_ws_state(ws);
    const struct fsm_cell *c =
        fsm_step(&ws->state, e, ws->config->rules.tracer);

    if (ws->state == S_CLOSED && in != SONIC_WS_TERMINATED)
        sonic__ws_note(ws, why, in);
    return c->act(ws, why);
}

static bool
is_server(const sonic_ws *ws)
{
    return (ws->flags & SONIC__WS_SERVER) != 0;
}

/* Our last word is said.  A server ends TCP, a client lets it (7.1.1). */
static void
await_end(sonic_ws *ws, bool shut)
{
    if (shut)
        sonic_stream_shutdown(ws->stream);
    sonic__ws_close_timer(ws);
    if (!(ws->flags & SONIC__WS_PARSING))
        sonic__ws_arm(ws, 1, 0);
}

/* ---- actions ---------------------------------------------------------- */

static int
act_connect(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)why;
    return sonic__ws_open_connect(ws);
}

static int
act_await_head(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)why;
    return sonic__ws_open_await(ws);
}

static int
act_ask(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)why;
    return sonic__ws_open_ask(ws);
}

static int
act_ask_proxy(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)why;
    return sonic__ws_open_ask_proxy(ws);
}

static int
act_secure(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)why;
    return sonic__ws_open_secure(ws);
}

static int
act_upgrade(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    return is_server(ws) ? act_await_head(ws, why) : act_ask(ws, why);
}

static int
act_open(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    struct sonic__ws_opening *opening = ws->opening;
    sonic_ws_fn *cb = opening->cb;
    void *ud = opening->ud;

    (void)why;
    opening->cb = NULL;
    sonic__ws_opening_free(ws);
    if (ws->config->agreed.on)
        ws->flags |= SONIC__WS_DEFLATED;
    sonic__ws_parser_init(&ws->parser, SONIC__WS_WHOLE);
    sonic__ws_choose_delivery(ws);
    sonic__ws_keepalive_start(ws);
    if (ws->config->keep != NULL)
        sonic__ws_keep_opened(ws);
    if (ws->handler != NULL && ws->handler->on_open != NULL)
        ws->handler->on_open(ws, ws->ud);
    if (cb != NULL)
        cb(ws, 0, ud);
    return 0;
}

static int
act_refuse(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    sonic__ws_note(ws, why, SONIC_WS_HANDSHAKE);
    if (is_server(ws))
        sonic__ws_serve_refusal(ws, why);
    await_end(ws, true);
    return 0;
}

static int
act_say_close(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    int err;

    sonic__ws_note(ws, why, SONIC_WS_OPEN);
    err = sonic__ws_send_close(ws, why->code_to_send, why->reason,
                               why->reason_len);
    if (err < 0) {
        sonic__ws_lost(ws, err);
        return 0;
    }
    sonic__ws_close_timer(ws);
    if (!(ws->flags & SONIC__WS_PARSING))
        sonic__ws_arm(ws, 1, 0); /* a paused connection too */
    return 0;
}

static int
act_reply(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    sonic__ws_note(ws, why, SONIC_WS_OPEN);
    if (sonic__ws_send_close(ws, why->code_to_send, NULL, 0) >= 0 && ws->more)
        ws->more->record.clean = true;
    await_end(ws, is_server(ws));
    return 0;
}

/* 7.1.5: code and reason are the peer's, though we closed first. */
static int
act_acked(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    struct sonic__ws_cause ours = *why;
    struct sonic__ws_more *m = sonic__ws_more(ws);

    if (m != NULL) {
        ours.side = SONIC_WS_US;
        sonic__ws_note_anew(ws, &ours);
        m->record.clean = true;
    }
    await_end(ws, is_server(ws));
    return 0;
}

static int
act_fail(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    sonic__ws_note(ws, why, SONIC_WS_OPEN);
    sonic__ws_send_close(ws, why->code_to_send, why->reason, why->reason_len);
    await_end(ws, true);
    return 0;
}

/* We closed, and the peer's Close frame did not come. */
static void
note_unanswered(sonic_ws *ws, int err)
{
    struct sonic__ws_cause why = {.err = err,
                                  .side = SONIC_WS_US,
                                  .layer = SONIC_WS_LAYER_CLOSE,
                                  .code = SONIC_WS_ABNORMAL};

    sonic__ws_note_anew(ws, &why);
}

static int
act_give_up(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    note_unanswered(ws, why->err);
    await_end(ws, true);
    return 0;
}

static int
act_unanswered(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    note_unanswered(ws, why->err);
    sonic__ws_end(ws, why);
    return 0;
}

static int
act_end(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    sonic__ws_end(ws, why);
    return 0;
}

static int
act_busy(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)ws;
    (void)why;
    return -EBUSY;
}

static int
act_not_open(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)ws;
    (void)why;
    return SONIC_ESTATE;
}

static int
act_nothing(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)ws;
    (void)why;
    return 0;
}

static int
act_impossible(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    (void)ws;
    (void)why;
    assert(false && "session.def: a cell that cannot happen");
    return SONIC_ESTATE;
}

/* ---- events ----------------------------------------------------------- */

int
sonic__ws_begin(sonic_ws *ws)
{
    return step(ws, E_CONNECT, &no_cause);
}

int
sonic__ws_accept_begin(sonic_ws *ws)
{
    return step(ws, sonic__ws_wants_tls(ws) ? E_TO_TLS : E_ACCEPT, &no_cause);
}

void
sonic__ws_connected(sonic_ws *ws, bool at_proxy)
{
    enum fsm_event e = sonic__ws_wants_tls(ws) ? E_TO_TLS : E_CONNECTED;
    int err = step(ws, at_proxy ? E_AT_PROXY : e, &no_cause);

    if (err < 0)
        sonic__ws_lost(ws, err);
}

void
sonic__ws_tunnelled(sonic_ws *ws)
{
    enum fsm_event e = sonic__ws_wants_tls(ws) ? E_TO_TLS : E_TUNNELLED;
    int err;

    sonic__ws_phase_ends(ws, &ws->config->timing.proxy);
    err = step(ws, e, &no_cause);

    if (err < 0)
        sonic__ws_lost(ws, err);
}

void
sonic__ws_secured(sonic_ws *ws)
{
    int err;

    sonic__ws_phase_ends(ws, &ws->config->timing.tls);
    err = step(ws, E_SECURED, &no_cause);

    if (err < 0)
        sonic__ws_lost(ws, err);
}

void
sonic__ws_upgraded(sonic_ws *ws)
{
    sonic__ws_phase_ends(ws, &ws->config->timing.upgrade);
    step(ws, E_UPGRADED, &no_cause);
}

void
sonic__ws_rejected(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    step(ws, E_REJECTED, why);
}

void
sonic__ws_refused(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    step(ws, E_REFUSED, why);
}

void
sonic__ws_heard_close(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    step(ws, E_HEAR_CLOSE, why);
}

static uint16_t
close_code_of(int err)
{
    switch (err) {
#define X(name, value, close, text)                                            \
    case value:                                                                \
        return close;
        SONIC_ERROR_LIST(X)
#undef X
    }
    return 0;
}

/* The peer broke the protocol, or we cannot go on: fail the connection.  The
 * Close frame says in words what was wrong (5.5.1 allows it), a malformed one's
 * answer too, where Sonic sends the code alone: whoever reads the peer's log
 * will need them. */
void
sonic__ws_violated(sonic_ws *ws, int err)
{
    uint16_t code = close_code_of(err);
    const char *text = sonic_strerror(err);
    struct sonic__ws_cause why = {
        .err = err,
        .side = code != 0 ? SONIC_WS_PEER : SONIC_WS_US,
        .layer = SONIC_WS_LAYER_PROTOCOL,
        .code_to_send = code != 0 ? code : SONIC_WS_INTERNAL,
        .reason = text,
        .reason_len = strlen(text),
    };

    if (why.reason_len > SONIC__WS_REASON_MAX)
        why.reason_len = SONIC__WS_REASON_MAX;
    why.code = why.code_to_send;
    step(ws, E_VIOLATION, &why);
}

/* What part of the way a connection has come. */
static enum sonic_ws_layer
layer_of(const sonic_ws *ws, int err)
{
    if (err <= SONIC_ETLS && err >= SONIC_ETLS_VERIFY)
        return SONIC_WS_LAYER_TLS;
    switch (ws->state) {
    case S_CONNECTING:
        return ws->config->net_timing.resolving ? SONIC_WS_LAYER_RESOLVE
                                                : SONIC_WS_LAYER_CONNECT;
    case S_PROXYING:
        return SONIC_WS_LAYER_PROXY;
    case S_SECURING:
        return SONIC_WS_LAYER_TLS;
    case S_UPGRADING:
        return SONIC_WS_LAYER_HANDSHAKE;
    case S_CLOSING:
        return SONIC_WS_LAYER_CLOSE;
    default:
        return SONIC_WS_LAYER_TRANSPORT;
    }
}

void
sonic__ws_lost(sonic_ws *ws, int err)
{
    struct sonic__ws_cause why = {.err = err, .side = SONIC_WS_NOBODY};
    const struct sonic__ws_opening *opening = sonic__ws_opening(ws);

    why.layer = layer_of(ws, err);
    if (opening != NULL && opening->why != NULL)
        why.reason = opening->why;
    else
        why.reason = sonic__ws_tls_reason(ws, err);
    why.reason_len = why.reason != NULL ? strlen(why.reason) : 0;
    if (err == SONIC_EOF) {
        why.side = SONIC_WS_PEER;
        why.err = SONIC_EWS_ABNORMAL;
    }
    if (err == -ECANCELED)
        why.side = SONIC_WS_US;
    step(ws, err == SONIC_EOF ? E_EOF : E_BROKEN, &why);
}

void
sonic__ws_late(sonic_ws *ws, int err)
{
    struct sonic__ws_cause why = {.err = err, .side = SONIC_WS_US};

    why.layer = layer_of(ws, err);
    if (is_server(ws) && ws->state == S_UPGRADING) {
        why.status = 408;
        sonic__ws_refused(ws, &why);
        return;
    }
    step(ws, E_LATE, &why);
}

int
sonic_ws_close(sonic_ws *ws, uint16_t code, const char *reason)
{
    size_t n = reason != NULL ? strlen(reason) : 0;
    uint8_t test[SONIC__WS_CONTROL_MAX];
    struct sonic__ws_cause why = {
        .side = SONIC_WS_US,
        .layer = SONIC_WS_LAYER_CLOSE,
        .code = code != 0 ? code : SONIC_WS_NO_STATUS,
        .code_to_send = code,
        .reason = reason,
        .reason_len = n,
    };
    int err;

    if (code == 0 && n > 0)
        return SONIC_EWS_CLOSE; /* 5.5.1: a reason follows a code */
    if (code != 0) {
        err = sonic__ws_close_encode(test, code, (const uint8_t *)reason, n);
        if (err < 0)
            return err;
    }
    sonic__ws_hold(ws);
    err = step(ws, E_SAY_CLOSE, &why);
    sonic__ws_drop(ws);
    return err;
}

void
sonic_ws_terminate(sonic_ws *ws)
{
    struct sonic__ws_cause why = {.err = -ECANCELED, .side = SONIC_WS_US};

    why.layer = layer_of(ws, -ECANCELED);
    if (ws->config->keep != NULL)
        sonic__ws_keep_terminated(ws);
    step(ws, E_TERMINATE, &why);
}

void
sonic_ws_free(sonic_ws *ws)
{
    if (ws == NULL || (ws->flags & SONIC__WS_FREED))
        return;
    ws->flags |= SONIC__WS_FREED;
    sonic__ws_weigh_anchor(ws);
    sonic_ws_stop_keeping(ws);
    sonic_ws_terminate(ws);
    if (is_server(ws))
        sonic__ws_server_settle(sonic__ws_server_remove(ws, false));
    sonic__ws_drop(ws);
}

/* ---- what the states mean --------------------------------------------- */

bool
sonic__ws_is_over(const sonic_ws *ws)
{
    return ws->state == S_CLOSED || ws->state == S_IDLE;
}

enum sonic_ws_state
sonic_ws_state(const sonic_ws *ws)
{
    switch (ws->state) {
    case S_IDLE:
        return SONIC_WS_IDLE;
    case S_OPEN:
        return SONIC_WS_OPEN;
    case S_CLOSING:
        return SONIC_WS_CLOSED_BY_US;
    case S_ENDING:
        if (ws->more != NULL && !ws->more->record.clean)
            return SONIC_WS_CLOSED_BY_US; /* failed: ours is the only close */
        if (ws->more != NULL && ws->more->record.side == SONIC_WS_PEER &&
            sonic_ws_queued(ws) > 0)
            return SONIC_WS_CLOSED_BY_PEER;
        return SONIC_WS_CLOSE_ACKED;
    case S_CLOSED:
        return SONIC_WS_TERMINATED;
    default:
        return SONIC_WS_HANDSHAKE;
    }
}

bool
sonic__ws_is_proxying(const sonic_ws *ws)
{
    return ws->state == S_PROXYING;
}
