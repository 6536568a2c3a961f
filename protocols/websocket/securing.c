/* TLS under a connection, on either side. */
#include "websocket/session.h"

#include <errno.h>
#include <string.h>

/* ---- settings --------------------------------------------------------- */

int
sonic__ws_tls_configure(struct sonic__ws_config *c)
{
    enum sonic_tls_role role = c->server ? SONIC_TLS_SERVER : SONIC_TLS_CLIENT;

    if (c->opt.tls == NULL)
        return 0;
    if (sonic_tls_context_role(c->opt.tls) != role ||
        sonic_tls_context_io(c->opt.tls) != c->io)
        return SONIC_EOPTION;
    sonic_tls_context_hold(c->opt.tls);
    return 0;
}

void
sonic__ws_tls_release(struct sonic__ws_config *c)
{
    sonic_tls_context_free(c->opt.tls);
    c->opt.tls = NULL;
}

/* A context for all clients of an io that bring none: reading the system's
 * authorities takes long, and much memory. */
struct shared {
    sonic_tls_context *client;
};

static void
drop_shared(sonic_io *io, void *block)
{
    (void)io;
    sonic_tls_context_free(((struct shared *)block)->client);
}

static int
default_context(sonic_io *io, sonic_tls_context **out)
{
    static const char key;
    struct shared *s = sonic_io_attach(io, &key, sizeof *s, drop_shared);
    int err = 0;

    if (s == NULL)
        return -ENOMEM;
    if (s->client == NULL)
        err = sonic_tls_context_new(io, SONIC_TLS_CLIENT, NULL, &s->client,
                                    NULL, 0);
    if (err == 0)
        *out = s->client;
    return err;
}

/* ---- the handshake ---------------------------------------------------- */

/* A stream that is TLS already, the caller's own, needs no more of it. */
bool
sonic__ws_wants_tls(const sonic_ws *ws)
{
    if (ws->stream != NULL && sonic_stream_is_tls(ws->stream))
        return false;
    if (ws->flags & SONIC__WS_SERVER)
        return ws->config->opt.tls != NULL;
    return sonic__ws_opening(ws) != NULL && ws->opening->url.secure;
}

static int
context_for(sonic_ws *ws, sonic_tls_context **out)
{
    *out = ws->config->opt.tls;
    return *out != NULL ? 0 : default_context(ws->config->io, out);
}

int
sonic__ws_tls_prepare(sonic_ws *ws)
{
    sonic_tls_context *ctx;

    return sonic__ws_wants_tls(ws) ? context_for(ws, &ctx) : 0;
}

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* What is left of a status line, RFC 9112 section 4, of which TLS has looked
 * at as much as the head of a record takes: "HTTP/". */
static bool
is_version_and_status(const uint8_t *p, size_t len)
{
    return len >= 5 && is_digit(p[0]) && p[1] == '.' && is_digit(p[2]) &&
           p[3] == ' ' && is_digit(p[4]);
}

static void
on_rest(sonic_stream *below, int err, uint8_t *data, size_t len, void *ud)
{
    sonic_ws *ws = ud;

    if (ws->stream != NULL && sonic_stream_next_layer(ws->stream) == below) {
        if (err == 0 && is_version_and_status(data, len))
            ws->opening->why = "the server speaks HTTP without TLS: try ws://";
        sonic__ws_lost(ws, SONIC_ETLS_PROTOCOL);
    }
    sonic__ws_drop(ws);
}

/* It is lost, and not for TLS: what did the peer say instead? */
static void
look_at_rest(sonic_ws *ws)
{
    sonic_stream *below = sonic_stream_next_layer(ws->stream);

    if ((ws->flags & SONIC__WS_SERVER) || below == NULL ||
        sonic_stream_buffered(below) == 0) {
        sonic__ws_lost(ws, SONIC_ETLS_PROTOCOL);
        return;
    }
    sonic__ws_hold(ws);
    sonic_stream_lend(below, 1, 0, on_rest, ws);
}

static void
on_secured(sonic_stream *s, int err, size_t n, void *ud)
{
    sonic_ws *ws = ud;

    (void)n;
    if (s == ws->stream) {
        if (err == SONIC_ETLS_PROTOCOL)
            look_at_rest(ws);
        else if (err < 0)
            sonic__ws_lost(ws, err);
        else
            sonic__ws_secured(ws);
    }
    sonic__ws_drop(ws);
}

static void
name_server(const sonic_ws *ws, sonic_tls_options *opt)
{
    const sonic_url *u = &ws->opening->url;

    opt->server_name = u->kind == SONIC_URL_UNIX ? "localhost" : u->host;
    opt->verify_name = ws->config->opt.tls_name;
    opt->sni = ws->config->opt.tls_sni;
}

int
sonic__ws_open_secure(sonic_ws *ws)
{
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_tls_context *ctx;
    sonic_stream *tls;
    int err = sonic__ws_open_timer(ws);

    if (err == 0)
        err = context_for(ws, &ctx);
    if (err < 0)
        return err;
    opt.timeout = ws->config->opt.handshake_timeout; /* ours comes first */
    if (!(ws->flags & SONIC__WS_SERVER))
        name_server(ws, &opt);
    err = sonic_tls_new(ctx, ws->stream, &opt, &tls);
    if (err < 0)
        return err;
    ws->stream = tls;
    err = sonic__ws_open_marks(ws);
    if (err < 0)
        return err;
    sonic__ws_hold(ws);
    sonic_tls_async_handshake(tls, on_secured, ws);
    return 0;
}

/* A server of TLS ends the connection when it sees a request. */
static bool
no_answer(const sonic_ws *ws, int err)
{
    const struct sonic__ws_opening *o = sonic__ws_opening(ws);

    return err == SONIC_EOF && ws->state == SONIC__WS_STATE_UPGRADING &&
           !(ws->flags & SONIC__WS_SERVER) && ws->stream != NULL &&
           !sonic_stream_is_tls(ws->stream) && o != NULL && o->head.seen == 0;
}

/* What TLS, or that there is none, has to do with an end with err. */
const char *
sonic__ws_tls_reason(const sonic_ws *ws, int err)
{
    if (no_answer(ws, err))
        return "the server hung up unanswered: if it speaks TLS, try wss://";
    if (err > SONIC_ETLS || err < SONIC_ETLS_VERIFY || ws->stream == NULL)
        return NULL;
    return sonic_tls_reason(ws->stream);
}
