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

static void
on_secured(sonic_stream *s, int err, size_t n, void *ud)
{
    sonic_ws *ws = ud;

    (void)n;
    if (s == ws->stream) {
        if (err < 0)
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

/* What TLS has to say about an end with err. */
const char *
sonic__ws_tls_reason(const sonic_ws *ws, int err)
{
    if (err > SONIC_ETLS || err < SONIC_ETLS_VERIFY || ws->stream == NULL)
        return NULL;
    return sonic_tls_reason(ws->stream);
}
