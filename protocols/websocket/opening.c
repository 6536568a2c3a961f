/* The client's way to an open connection: name, stream, proxy, handshake. */
#include "websocket/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int
sonic__ws_opening_new(sonic_ws *ws)
{
    struct sonic__ws_opening *o = sonic__ws_alloc(ws->config->io, sizeof *o);

    if (o == NULL)
        return -ENOMEM;
    o->url = (sonic_url)SONIC_URL_INIT;
    ws->opening = o;
    return 0;
}

void
sonic__ws_opening_free(sonic_ws *ws)
{
    struct sonic__ws_opening *o = sonic__ws_opening(ws);
    sonic_io *io = ws->config->io;

    if (o == NULL)
        return;
    ws->opening = NULL;
    sonic_timer_free(o->timer);
    sonic__ws_release_text(io, o->url_text);
    sonic__ws_release(io, o, sizeof *o);
}

/* ---- the deadline over everything ------------------------------------- */

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    sonic_ws *ws = ud;

    if (err == 0 && ws->opening != NULL && ws->opening->timer == t)
        sonic__ws_late(ws, -ETIMEDOUT);
    sonic__ws_drop(ws);
}

int
sonic__ws_open_timer(sonic_ws *ws)
{
    int err;

    if (ws->opening->timer != NULL)
        return 0;
    err = sonic_timer_new(ws->config->io, &ws->opening->timer);
    if (err < 0)
        return err;
    sonic__ws_hold(ws);
    sonic_timer_once(ws->opening->timer, ws->config->opt.handshake_timeout,
                     on_timer, ws);
    return 0;
}

/* ---- how long it takes -------------------------------------------------- */

/* A part of a client's connecting is over: note how long it took. */
void
sonic__ws_phase_ends(sonic_ws *ws, int64_t *took)
{
    struct sonic__ws_config *c = ws->config;
    int64_t now = sonic_io_now(c->io);

    if (c->server)
        return; /* its settings are not this connection's alone */
    if (took != NULL)
        *took = now - c->phase_began;
    c->phase_began = now;
}

sonic_ws_timing
sonic_ws_connect_timing(const sonic_ws *ws)
{
    return ws->config->timing;
}

/* ---- the stream ------------------------------------------------------- */

static void
note_connect(struct sonic__ws_config *c)
{
    c->timing.resolve = c->net_timing.resolve;
    c->timing.connect = c->net_timing.connect;
}

static void
on_connected(sonic_stream *s, int err, size_t n, void *ud)
{
    sonic_ws *ws = ud;

    (void)n;
    if (s == ws->stream) {
        note_connect(ws->config);
        sonic__ws_phase_ends(ws, NULL);
        if (err < 0)
            sonic__ws_lost(ws, err);
        else
            sonic__ws_connected(ws, ws->config->opt.proxy != NULL);
    }
    sonic__ws_drop(ws);
}

/* What to connect to, as text for <sonicio/address.h>. */
static void
address_text(const sonic_url *u, char *text, size_t cap)
{
    if (u->kind == SONIC_URL_UNIX)
        snprintf(text, cap, "unix:%s", u->host);
    else if (u->kind == SONIC_URL_IPV6)
        snprintf(text, cap, "[%s]:%u", u->host, u->port);
    else
        snprintf(text, cap, "%s:%u", u->host, u->port);
}

/* Of the stream that carries the messages: not of one below TLS. */
int
sonic__ws_open_marks(sonic_ws *ws)
{
    const sonic_ws_options *o = &ws->config->opt;

    if ((o->low_water == 0 && o->high_water == 0 && o->queue_limit == 0) ||
        sonic__ws_wants_tls(ws))
        return 0;
    return sonic_stream_set_marks(ws->stream, o->low_water, o->high_water,
                                  o->queue_limit);
}

int
sonic__ws_open_connect(sonic_ws *ws)
{
    const sonic_ws_options *opt = &ws->config->opt;
    sonic_connect_options connect = SONIC_CONNECT_OPTIONS_INIT;
    struct sonic__ws_opening *o = ws->opening;
    char text[sizeof o->url.host + 32];
    int err = o->url_text == NULL
                  ? -ENOMEM
                  : sonic_url_parse(o->url_text, &o->url, &o->why);

    if (err == 0)
        err = sonic__ws_tls_prepare(ws);
    if (err == 0)
        err = sonic__ws_open_timer(ws);
    if (err < 0)
        return err;
    if (ws->stream != NULL) { /* the caller's own */
        err = sonic__ws_open_marks(ws);
        if (err == 0)
            sonic__ws_connected(ws, false);
        return err;
    }
    err = sonic_stream_new(ws->config->io, &ws->stream);
    if (err == 0)
        err = sonic__ws_open_marks(ws);
    if (err == 0 && opt->proxy != NULL)
        err = sonic__ws_proxy_prepare(ws);
    if (err < 0)
        return err;
    if (opt->connect != NULL)
        connect = *opt->connect;
    if (connect.timeout == 0)
        connect.timeout = opt->handshake_timeout;
    connect.timing = &ws->config->net_timing;
    address_text(opt->proxy != NULL ? &o->proxy_url.at : &o->url, text,
                 sizeof text);
    sonic__ws_hold(ws);
    sonic_stream_async_connect(
        ws->stream,
        opt->connect_to != NULL && opt->proxy == NULL ? opt->connect_to : text,
        &connect, on_connected, ws);
    return 0;
}

/* ---- the request ------------------------------------------------------ */

static int
build_request(const void *what, char *buf, size_t cap)
{
    return sonic__ws_request_build(what, buf, cap);
}

/* The settings' fields and those of the caller's hook, in one array. */
static int
send_with_hook(sonic_ws *ws, struct sonic__ws_request *r)
{
    const sonic_ws_options *opt = &ws->config->opt;
    const sonic_ws_header *extra = NULL;
    sonic_ws_header *all;
    size_t n = 0;
    int err;

    if (opt->on_request != NULL)
        opt->on_request(ws, &extra, &n, ws->ud);
    if (sonic__ws_phase(ws) != SONIC__WS_HEADS)
        return 0; /* ended by the hook */
    if (n == 0)
        return sonic__ws_send_head(ws, build_request, r);
    if (n > 1024)
        return SONIC_EOPTION;
    all = sonic__ws_alloc(ws->config->io, (n + opt->n_headers) * sizeof *all);
    if (all == NULL)
        return -ENOMEM;
    if (opt->n_headers > 0)
        memcpy(all, opt->headers, opt->n_headers * sizeof *all);
    memcpy(all + opt->n_headers, extra, n * sizeof *all);
    r->headers = all;
    r->n_headers = n + opt->n_headers;
    err = sonic__ws_send_head(ws, build_request, r);
    r->headers = NULL;
    r->n_headers = 0;
    sonic__ws_release(ws->config->io, all, (n + opt->n_headers) * sizeof *all);
    return err;
}

int
sonic__ws_open_ask(sonic_ws *ws)
{
    const sonic_ws_options *opt = &ws->config->opt;
    struct sonic__ws_opening *o = ws->opening;
    struct sonic__ws_request *r = &o->request;
    int err = sonic_io_random(ws->config->io, r->nonce, sizeof r->nonce);

    if (err < 0)
        return err;
    r->authority = o->url.authority;
    r->resource = o->url.resource;
    r->origin = opt->origin;
    r->subprotocols = opt->subprotocols;
    r->n_subprotocols = opt->n_subprotocols;
    r->headers = opt->headers;
    r->n_headers = opt->n_headers;
    if (sonic__ws_wants_deflate(ws, ws->handler)) {
        sonic__ws_extension_offer(&ws->config->wish, o->offer);
        r->extensions = o->offer;
    }
    sonic__http_head_init(&o->head, SONIC__HTTP_RESPONSE, opt->max_head,
                          o->fields, SONIC__HTTP_HEAD_FIELDS);
    o->head.tracer = ws->config->rules.tracer;
    err = send_with_hook(ws, r);
    if (err == 0)
        sonic__ws_arm(ws, 1, 0);
    return err;
}

/* ---- the response ----------------------------------------------------- */

/* The handshake fails: with the server's own words where it gave any. */
static void
reject(sonic_ws *ws, int err, const char *reason, size_t len)
{
    const struct sonic__http_head *h = &ws->opening->head;
    struct sonic__ws_cause why = {
        .err = err,
        .side = SONIC_WS_PEER,
        .layer = SONIC_WS_LAYER_HANDSHAKE,
        .status = h->verdict > 0 ? h->status : 0,
        .reason = reason,
        .reason_len = len,
    };

    sonic__ws_rejected(ws, &why);
}

static void
take_subprotocol(sonic_ws *ws, struct sonic__http_str chosen)
{
    const sonic_ws_options *opt = &ws->config->opt;

    for (size_t i = 0; i < opt->n_subprotocols; i++)
        if (sonic__http_str_is(chosen, opt->subprotocols[i]))
            ws->subprotocol = (uint8_t)i;
}

/* The answer to our offer, if we made one. */
static int
take_extensions(sonic_ws *ws, const char *window, const char **why)
{
    struct sonic__ws_extension_result r;
    int err;

    if (ws->opening->request.extensions == NULL)
        return 0;
    err = sonic__ws_extension_accept(&ws->opening->head, window,
                                     &ws->config->wish,
                                     ws->config->rules.tracer, &r);
    *why = r.why;
    return err < 0 ? err : sonic__ws_agree(ws, &r);
}

static void
judge_response(sonic_ws *ws, const char *window, size_t size)
{
    struct sonic__ws_opening *o = ws->opening;
    sonic_ws_head view = {&o->head, window};
    struct sonic__ws_answer answer;
    int err = 0;

    if (ws->config->opt.on_response != NULL)
        err = ws->config->opt.on_response(ws, &view, ws->ud);
    if (sonic__ws_phase(ws) != SONIC__WS_HEADS)
        return; /* ended by the hook */
    if (err < 0) {
        reject(ws, err, NULL, 0);
        return;
    }
    err = sonic__ws_response_check(&o->head, window, &o->request, &answer);
    if (err == SONIC_EWS_STATUS) {
        struct sonic__http_str r = sonic__http_str_at(window, o->head.reason);

        reject(ws, err, r.ptr, r.len);
        return;
    }
    if (err < 0) {
        reject(ws, err, answer.why, answer.why ? strlen(answer.why) : 0);
        return;
    }
    err = take_extensions(ws, window, &answer.why);
    if (err < 0) {
        reject(ws, err, answer.why, answer.why ? strlen(answer.why) : 0);
        return;
    }
    if (answer.subprotocol.ptr != NULL)
        take_subprotocol(ws, answer.subprotocol);
    sonic_stream_consume(ws->stream, size);
    sonic__ws_upgraded(ws);
    sonic__ws_go_on(ws);
}

/* A record of TLS, RFC 8446 section 5.1: an alert or a handshake message, of
 * version 3. */
static bool
is_tls(const char *window, size_t len)
{
    return (window[0] == 0x15 || window[0] == 0x16) &&
           (len == 1 || window[1] == 3);
}

static void
client_bytes(sonic_ws *ws, const char *window, size_t len)
{
    struct sonic__ws_opening *o = ws->opening;
    int n = sonic__http_head_feed(&o->head, window, len);

    if (n < 0) {
        const char *why = is_tls(window, len)
                              ? "the server speaks TLS: try wss://"
                              : o->head.why;

        reject(ws, n, why, why != NULL ? strlen(why) : 0);
    } else if (n == 0) {
        sonic__ws_arm(ws, len + 1, 0);
    } else if (sonic__ws_response_is_interim(&o->head)) {
        sonic_stream_consume(ws->stream, (size_t)n);
        sonic__http_head_init(&o->head, SONIC__HTTP_RESPONSE,
                              ws->config->opt.max_head, o->fields,
                              SONIC__HTTP_HEAD_FIELDS);
        sonic__ws_arm(ws, 1, 0);
    } else {
        judge_response(ws, window, (size_t)n);
    }
}

/* ---- the server's side of it ------------------------------------------ */

int
sonic__ws_open_await(sonic_ws *ws)
{
    struct sonic__ws_opening *o = ws->opening;
    int err = sonic__ws_open_timer(ws);

    if (err == 0)
        err = sonic__ws_open_marks(ws);
    if (err < 0)
        return err;
    sonic__http_head_init(&o->head, SONIC__HTTP_REQUEST,
                          ws->config->opt.max_head, o->fields,
                          SONIC__HTTP_HEAD_FIELDS);
    o->head.tracer = ws->config->rules.tracer;
    sonic__ws_arm(ws, 1, 0);
    return 0;
}

static void
server_bytes(sonic_ws *ws, const char *window, size_t len)
{
    struct sonic__ws_opening *o = ws->opening;
    int n = sonic__http_head_feed(&o->head, window, len);

    if (n < 0) {
        struct sonic__ws_cause why = {
            .err = n,
            .side = SONIC_WS_PEER,
            .layer = SONIC_WS_LAYER_HANDSHAKE,
            .status = o->head.answer,
            .reason = o->head.why,
            .reason_len = o->head.why != NULL ? strlen(o->head.why) : 0,
        };

        sonic__ws_refused(ws, &why);
    } else if (n == 0) {
        sonic__ws_arm(ws, len + 1, 0);
    } else {
        sonic__ws_serve_request(ws, window, (size_t)n);
    }
    if (sonic__ws_phase(ws) == SONIC__WS_NOISE) {
        sonic_stream_consume(ws->stream, SIZE_MAX);
        sonic__ws_arm(ws, 1, 0);
    }
}

void
sonic__ws_open_bytes(sonic_ws *ws, uint8_t *data, size_t len)
{
    const char *window = (const char *)data;

    if (sonic__ws_is_proxying(ws))
        sonic__ws_proxy_bytes(ws, window, len);
    else if (ws->flags & SONIC__WS_SERVER)
        server_bytes(ws, window, len);
    else
        client_bytes(ws, window, len);
}
