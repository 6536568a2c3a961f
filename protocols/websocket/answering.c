/* A server's answer to a request: an upgrade, or a refusal that can be read. */
#include "websocket/session.h"

#include <errno.h>
#include <string.h>

/* ---- requests --------------------------------------------------------- */

static int
build_rejection(const void *what, char *buf, size_t cap)
{
    return sonic__ws_rejection_build(what, buf, cap);
}

static int
build_consent(const void *what, char *buf, size_t cap)
{
    return sonic__ws_response_build(what, buf, cap);
}

static struct sonic__ws_rejection
rejection_of(const struct sonic__ws_cause *why)
{
    struct sonic__ws_rejection r = {.status = why->status, .body = why->reason};

    if (why->reply != NULL) {
        r.reason = why->reply->reason;
        r.body = why->reply->body;
        r.headers = why->reply->headers;
        r.n_headers = why->reply->n_headers;
    }
    if (r.status == 0)
        r.status = 500;
    return r;
}

/* Answer with a status. */
void
sonic__ws_serve_refusal(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    struct sonic__ws_rejection r = rejection_of(why);

    if (sonic__ws_send_head(ws, build_rejection, &r) == 0)
        return;
    r = (struct sonic__ws_rejection){.status = 500};
    (void)sonic__ws_send_head(ws, build_rejection, &r);
}

void
sonic__ws_refuse(sonic_ws *ws, int err, unsigned status, const char *text,
                 const sonic_ws_reply *reply)
{
    struct sonic__ws_cause why = {
        .err = err,
        .side = reply != NULL || status == 500 ? SONIC_WS_US : SONIC_WS_PEER,
        .layer = SONIC_WS_LAYER_HANDSHAKE,
        .status = (uint16_t)status,
        .reason = text,
        .reason_len = text != NULL ? strlen(text) : 0,
        .reply = reply,
    };
    struct sonic__ws_rejection r = rejection_of(&why);

    /* What a hook asked for and may not be sent becomes a plain 500. */
    err = reply == NULL ? 0 : sonic__ws_rejection_build(&r, NULL, 0);
    if (err < 0)
        why = (struct sonic__ws_cause){.err = err,
                                       .side = SONIC_WS_US,
                                       .layer = SONIC_WS_LAYER_HANDSHAKE,
                                       .status = 500};
    sonic__ws_refused(ws, &why);
}

static bool
path_matches(const sonic_ws_options *o, struct sonic__http_str target)
{
    const char *query = memchr(target.ptr, '?', target.len);

    if (query != NULL)
        target.len = (size_t)(query - target.ptr);
    return o->path == NULL || sonic__http_str_is(target, o->path);
}

static bool
origin_allowed(const sonic_ws_options *o, struct sonic__http_str origin)
{
    for (size_t i = 0; i < o->n_origins; i++)
        if (origin.ptr != NULL &&
            sonic__http_str_is_nocase(origin, o->origins[i]))
            return true;
    return o->n_origins == 0;
}

/* The status that the settings answer a correct request with; 101: the hook
 * decides. */
static unsigned
judge(const sonic_ws *ws, const struct sonic__ws_asked *asked)
{
    const sonic_ws_options *o = &ws->config->opt;

    if (sonic__ws_server_is_full(ws->config->owner))
        return 503;
    if (!path_matches(o, asked->target))
        return 404;
    return origin_allowed(o, asked->origin) ? 101 : 403;
}

static int
choose_subprotocol(sonic_ws *ws, const char *window, const char *chosen,
                   const char **out)
{
    const sonic_ws_options *o = &ws->config->opt;
    struct sonic__ws_opening *open = ws->opening;
    int i;

    *out = chosen;
    if (chosen == NULL) {
        i = sonic__ws_subprotocol_choose(&open->head, window, o->subprotocols,
                                         o->n_subprotocols);
        if (i >= 0) {
            ws->subprotocol = (uint8_t)i;
            *out = o->subprotocols[i];
        }
        return 0;
    }
    if (sonic__ws_more(ws) == NULL)
        return -ENOMEM;
    ws->more->subprotocol = sonic__ws_copy(ws->config->io, chosen);
    ws->subprotocol = SONIC__WS_OWN_SUBPROTOCOL;
    return ws->more->subprotocol != NULL ? 0 : -ENOMEM;
}

static int
send_consent(sonic_ws *ws, const char *window,
             const struct sonic__ws_asked *asked, const sonic_ws_reply *reply)
{
    struct sonic__ws_response r = {.key = asked->key,
                                   .headers = reply->headers,
                                   .n_headers = reply->n_headers};
    struct sonic__ws_extension_result x = {.why = NULL};
    int err =
        choose_subprotocol(ws, window, reply->subprotocol, &r.subprotocol);

    if (err == 0 &&
        sonic__ws_wants_deflate(ws, reply->handler != NULL ? reply->handler
                                                           : ws->handler)) {
        sonic__ws_extension_answer(&ws->opening->head, window,
                                   &ws->config->wish, ws->config->rules.tracer,
                                   &x);
        err = sonic__ws_agree(ws, &x);
        r.extensions = x.agreed.on ? x.text : NULL;
    }
    return err < 0 ? err : sonic__ws_send_head(ws, build_consent, &r);
}

void
sonic__ws_serve_request(sonic_ws *ws, const char *window, size_t size)
{
    const sonic_ws_options *o = &ws->config->opt;
    sonic_ws_head view = {&ws->opening->head, window};
    sonic_ws_reply reply = {.status = 101};
    struct sonic__ws_asked asked;
    unsigned status;
    int err = sonic__ws_request_check(view.head, window, &asked);

    if (err < 0) {
        sonic__ws_refuse(ws, err, asked.status, asked.why, NULL);
        return;
    }
    status = judge(ws, &asked);
    if (status != 101) {
        sonic__ws_refuse(ws, SONIC_EWS_REJECTED, status, NULL, NULL);
        return;
    }
    if (o->on_upgrade != NULL)
        o->on_upgrade(ws, &view, &reply, ws->ud);
    if (sonic__ws_phase(ws) != SONIC__WS_HEADS)
        return; /* ended by the hook */
    if (reply.status != 101) {
        sonic__ws_refuse(ws, SONIC_EWS_REJECTED, reply.status, reply.body,
                         &reply);
        return;
    }
    err = sonic__ws_handler_check(reply.handler);
    if (err == 0)
        err = send_consent(ws, window, &asked, &reply);
    if (err < 0) {
        sonic__ws_refuse(ws, err, 500, NULL, NULL);
        return;
    }
    if (reply.handler != NULL)
        ws->handler = reply.handler;
    if (reply.ud != NULL)
        ws->ud = reply.ud;
    sonic_stream_consume(ws->stream, size);
    sonic__ws_upgraded(ws);
    sonic__ws_go_on(ws);
}

/* ---- heads, for the hooks --------------------------------------------- */

const char *
sonic_ws_head_field(const sonic_ws_head *head, const char *name, size_t *len)
{
    struct sonic__http_str value = {NULL, 0};

    if (sonic__http_count(head->head, head->window, name, &value) == 0)
        value = (struct sonic__http_str){NULL, 0};
    *len = value.len;
    return value.ptr;
}

const char *
sonic_ws_head_target(const sonic_ws_head *head, size_t *len)
{
    *len = head->head->target.len;
    return head->window + head->head->target.off;
}

unsigned
sonic_ws_head_status(const sonic_ws_head *head)
{
    return head->head->status;
}
