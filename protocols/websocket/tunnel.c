/* The proxy between a client and its server: settings as a URL, and the
 * exchange with it, before the WebSocket handshake. */
#include "websocket/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SAY_MAX = 2048 }; /* bytes of one thing that is said to a proxy */

/* "USER:PASS@" at the start of *rest, percent-encoding not undone. */
static int
take_credentials(sonic_ws *ws, const char **rest)
{
    struct sonic__proxy_options *p = &ws->opening->proxy_options;
    const char *at = strchr(*rest, '@'), *colon = strchr(*rest, ':');
    char *user, *password;

    if (at == NULL)
        return 0;
    if (colon == NULL || colon > at)
        return SONIC_EOPTION;
    user = sonic__ws_alloc(ws->config->io, (size_t)(at - *rest) + 1);
    if (user == NULL)
        return -ENOMEM;
    memcpy(user, *rest, (size_t)(at - *rest));
    password = user + (colon - *rest);
    *password++ = '\0';
    p->user = user;
    p->password = password;
    *rest = at + 1;
    return 0;
}

void
sonic__ws_proxy_free(sonic_ws *ws, struct sonic__ws_opening *o)
{
    struct sonic__proxy_options *p = &o->proxy_options;

    if (p->user != NULL)
        sonic__ws_release(ws->config->io, (void *)(uintptr_t)p->user,
                          strlen(p->user) + strlen(p->password) + 2);
}

int
sonic__ws_proxy_prepare(sonic_ws *ws)
{
    struct sonic__ws_opening *o = ws->opening;
    struct sonic__proxy_options *p = &o->proxy_options;
    const char *rest = ws->config->opt.proxy;
    char url[SONIC_URL_HOST_MAX + 32];
    int err;

    if (o->url.kind == SONIC_URL_UNIX)
        return SONIC_EOPTION;
    if (strncmp(rest, "http://", 7) == 0)
        p->kind = SONIC__PROXY_HTTP;
    else if (strncmp(rest, "socks5://", 9) == 0)
        p->kind = SONIC__PROXY_SOCKS5;
    else
        return SONIC_EOPTION;
    rest = strstr(rest, "//") + 2;
    err = take_credentials(ws, &rest);
    if (err < 0)
        return err;
    if (snprintf(url, sizeof url, "ws://%s", rest) >= (int)sizeof url ||
        sonic_url_parse(url, &o->proxy_url, NULL) < 0)
        return SONIC_EOPTION;
    p->host = o->url.host;
    p->port = o->url.port;
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
