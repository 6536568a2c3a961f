/* The exchange with a proxy, before the WebSocket handshake. */
#include "websocket/session.h"

#include <string.h>

enum { SAY_MAX = 2048 }; /* bytes of one thing that is said to a proxy */

int
sonic__ws_proxy_prepare(sonic_ws *ws)
{
    struct sonic__ws_opening *o = ws->opening;
    struct sonic__proxy_options *p = &o->proxy_options;
    int err;

    if (o->url.kind == SONIC_URL_UNIX)
        return SONIC_EOPTION; /* a proxy cannot reach it */
    err = sonic__proxy_url_parse(ws->config->opt.proxy, &o->proxy_url, &o->why);
    if (err < 0)
        return err;
    p->kind = o->proxy_url.kind;
    p->host = o->url.host;
    p->port = o->url.port;
    if (o->proxy_url.credentials) {
        p->user = o->proxy_url.user;
        p->password = o->proxy_url.password;
    }
    return 0;
}

static int
say(sonic_ws *ws)
{
    char text[SAY_MAX];
    int n = sonic__proxy_say(&ws->opening->proxy, text, sizeof text);

    if (n > (int)sizeof text)
        return SONIC_ETOOBIG;
    return n <= 0 ? n : sonic_stream_send(ws->stream, text, (size_t)n);
}

int
sonic__ws_open_ask_proxy(sonic_ws *ws)
{
    struct sonic__ws_opening *o = ws->opening;
    int err = sonic__proxy_init(&o->proxy, &o->proxy_options, o->fields,
                                SONIC__HTTP_HEAD_FIELDS);

    if (err < 0)
        return err;
    o->proxy.tracer = ws->config->rules.tracer;
    err = say(ws);
    if (err < 0)
        return err;
    sonic__ws_arm(ws, 1, 0);
    return 0;
}

void
sonic__ws_proxy_bytes(sonic_ws *ws, const char *window, size_t len)
{
    struct sonic__proxy *p = &ws->opening->proxy;
    int n = sonic__proxy_feed(p, window, len);

    if (n > 0) {
        sonic_stream_consume(ws->stream, (size_t)n);
        if (sonic__proxy_is_open(p)) {
            sonic__ws_tunnelled(ws);
            return;
        }
        len = 0;
        n = say(ws);
        if (n > 0)
            n = 0;
    }
    if (n < 0) {
        struct sonic__ws_cause why = {
            .err = n,
            .side = SONIC_WS_PEER,
            .layer = SONIC_WS_LAYER_PROXY,
            .status = p->status,
            .reason = p->why,
            .reason_len = p->why != NULL ? strlen(p->why) : 0,
        };

        sonic__ws_rejected(ws, &why);
        return;
    }
    sonic__ws_arm(ws, len + 1, 0);
}
