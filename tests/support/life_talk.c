/* How the two talk while nothing is done to them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "certificate.h"
#include "life_world.h"

#define S INT64_C(1000000000)

static unsigned
end_of(const void *ud)
{
    return ud == &life_now()->end[LIFE_SERVER];
}

/* A callback of an end: nothing may be called once it was freed. */
static struct life *
enter(unsigned end, enum life_place place)
{
    struct life *l = life_now();

    if (l->end[end].freed)
        life_wrong(l, "a handler is called although the connection was freed");
    if (l->end[end].muted && place > LIFE_AT_ON_UPGRADE)
        life_wrong(l, "a handler is called although it was taken away");
    l->depth++;
    life_at(l, end, place);
    return l;
}

static void
leave(struct life *l, unsigned end, enum life_place place)
{
    life_at(l, end, place);
    l->depth--;
}

/* Still there to go on with? */
static bool
there(const struct life *l, unsigned end)
{
    return l->end[end].ws != NULL && !l->io_ending;
}

/* ---- reading ----------------------------------------------------------- */

static void on_data(struct life *l, unsigned end, const sonic_ws_message *m);

static void
on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    struct life *l = life_now();
    unsigned end = life_end_op(l, ud);

    (void)ws;
    if ((err == 0) != (m != NULL))
        life_wrong(l, "a read with neither a message nor an error, or both");
    l->end[end].reading = false;
    l->depth++;
    life_at(l, end, LIFE_AT_READ_DONE);
    if (err == 0 && there(l, end))
        on_data(l, end, m);
    if (err == 0 && there(l, end) && l->plan->delivery >= LIFE_READ)
        life_read(l, end);
    leave(l, end, LIFE_AT_READ_DONE);
}

void
life_read(struct life *l, unsigned end)
{
    struct life_end *e = &l->end[end];
    void *op = life_begin_op(l, end);

    switch (l->plan->delivery) {
    case LIFE_READ_INTO:
        sonic_ws_async_read_into(e->ws, e->into, sizeof e->into, on_read, op);
        break;
    case LIFE_READ_CHUNK:
        sonic_ws_async_read_chunk(e->ws, on_read, op);
        break;
    case LIFE_READ_FRAME:
        sonic_ws_async_read_frame(e->ws, on_read, op);
        break;
    default:
        sonic_ws_async_read(e->ws, on_read, op);
        break;
    }
}

/* ---- the talk ---------------------------------------------------------- */

/* The server echoes, and the client closes when its echo has come. */
static void
on_data(struct life *l, unsigned end, const sonic_ws_message *m)
{
    const struct life_plan *p = l->plan;

    if (m->opcode >= SONIC_WS_CLOSE || !m->last)
        return;
    if (end == LIFE_SERVER) {
        if (p->drain)
            life_do(l, LIFE_DO_DRAIN_SERVER, end);
        else
            life_do(l, LIFE_DO_ASYNC_SEND, end);
        if (p->server_closes && there(l, end))
            life_do(l, LIFE_DO_ASYNC_CLOSE, end);
    } else if (!p->server_closes && !p->nobody_closes) {
        life_do(l, LIFE_DO_ASYNC_CLOSE, end);
    }
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    unsigned end = end_of(ud);
    struct life *l = enter(end, LIFE_AT_ON_MESSAGE);

    (void)ws;
    if (there(l, end))
        on_data(l, end, m);
    leave(l, end, LIFE_AT_ON_MESSAGE);
}

static void
on_chunk(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    unsigned end = end_of(ud);
    struct life *l = enter(end, LIFE_AT_ON_CHUNK);

    (void)ws;
    if (there(l, end))
        on_data(l, end, m);
    leave(l, end, LIFE_AT_ON_CHUNK);
}

static void
on_frame(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    unsigned end = end_of(ud);
    struct life *l = enter(end, LIFE_AT_ON_FRAME);

    (void)ws;
    if (there(l, end))
        on_data(l, end, m);
    leave(l, end, LIFE_AT_ON_FRAME);
}

static void
on_control(sonic_ws *ws, enum sonic_ws_opcode opcode, const uint8_t *data,
           size_t len, void *ud)
{
    unsigned end = end_of(ud);
    struct life *l = enter(end, LIFE_AT_ON_CONTROL);

    (void)ws;
    (void)opcode;
    (void)data;
    (void)len;
    leave(l, end, LIFE_AT_ON_CONTROL);
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    unsigned end = end_of(ud);
    struct life *l = enter(end, LIFE_AT_ON_DRAIN);

    (void)ws;
    leave(l, end, LIFE_AT_ON_DRAIN);
}

static void
on_open(sonic_ws *ws, void *ud)
{
    unsigned end = end_of(ud);
    struct life *l = life_now();

    l->end[end].opens++;
    if (end == LIFE_SERVER && l->end[end].ws == NULL)
        l->end[end].ws = ws;
    enter(end, LIFE_AT_ON_OPEN);
    if (end == LIFE_SERVER && l->plan->deaf_server && there(l, end))
        sonic_ws_pause(ws);
    if (there(l, end) && l->plan->delivery >= LIFE_READ)
        life_read(l, end);
    if (end == LIFE_CLIENT && there(l, end)) {
        life_do(l, LIFE_DO_PING, end);
        if (l->plan->bad_text)
            (void)sonic_ws_send(ws, SONIC_WS_TEXT, "\xff", 1);
        else
            life_do(l, LIFE_DO_ASYNC_SEND, end);
        if (there(l, end) && l->plan->deaf_server && !l->plan->nobody_closes)
            life_do(l, LIFE_DO_ASYNC_CLOSE, end);
    }
    leave(l, end, LIFE_AT_ON_OPEN);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    unsigned end = end_of(ud);
    struct life *l = life_now();

    if (end == LIFE_SERVER && ws != l->end[end].ws) {
        /* It never came to the hook, or was one too many. */
        if (l->end[end].freed && l->server == NULL)
            life_wrong(l, "a connection of a freed server is heard of");
        return;
    }
    l->end[end].closes++;
    if (why->layer == SONIC_WS_LAYER_NONE)
        life_wrong(l, "a connection ended for no reason");
    enter(end, LIFE_AT_ON_CLOSE);
    leave(l, end, LIFE_AT_ON_CLOSE);
    if (end == LIFE_SERVER)
        l->end[end].ws = NULL; /* it goes by itself */
}

/* ---- the beginning ----------------------------------------------------- */

static void
on_request(sonic_ws *ws, const sonic_ws_header **more, size_t *n, void *ud)
{
    struct life *l = enter(LIFE_CLIENT, LIFE_AT_ON_REQUEST);

    (void)ws;
    (void)more;
    (void)n;
    (void)ud;
    leave(l, LIFE_CLIENT, LIFE_AT_ON_REQUEST);
}

static int
on_response(sonic_ws *ws, const sonic_ws_head *head, void *ud)
{
    struct life *l = enter(LIFE_CLIENT, LIFE_AT_ON_RESPONSE);

    (void)ws;
    (void)head;
    (void)ud;
    leave(l, LIFE_CLIENT, LIFE_AT_ON_RESPONSE);
    return 0;
}

static void
on_upgrade(sonic_ws *ws, const sonic_ws_head *head, sonic_ws_reply *reply,
           void *ud)
{
    struct life *l = life_now();

    (void)head;
    (void)ud;
    if (l->end[LIFE_SERVER].ws != NULL) { /* a second one */
        reply->status = 503;
        reply->ud = NULL;
        return;
    }
    l->end[LIFE_SERVER].ws = ws;
    l->end[LIFE_SERVER].begun++;
    enter(LIFE_SERVER, LIFE_AT_ON_UPGRADE);
    if (l->plan->refuse)
        reply->status = 401;
    leave(l, LIFE_SERVER, LIFE_AT_ON_UPGRADE);
}

static void
on_connected(sonic_ws *ws, int err, void *ud)
{
    struct life *l = life_now();

    (void)ws;
    life_end_op(l, ud);
    /* At once: such a connection never began, and on_close does not follow. */
    if (l->asking && (err == -EBUSY || err == SONIC_ECLOSED))
        l->end[LIFE_CLIENT].begun--;
    l->asking = false;
    l->depth++;
    life_at(l, LIFE_CLIENT, LIFE_AT_CONNECTED);
    leave(l, LIFE_CLIENT, LIFE_AT_CONNECTED);
}

void
life_connect(struct life *l)
{
    struct life_end *e = &l->end[LIFE_CLIENT];

    if (e->ws == NULL || l->io_ending)
        return;
    e->begun++;
    l->asking = true;
    sonic_ws_async_connect(
        e->ws, l->plan->no_such_host ? "ws://nowhere.example/" : l->url,
        on_connected, life_begin_op(l, LIFE_CLIENT));
    l->asking = false;
}

/* ---- a proxy, or nobody ------------------------------------------------ */

static void
on_asked(sonic_stream *s, int err, size_t n, void *ud)
{
    struct life *l = ud;

    (void)n;
    if (err < 0 || l->io_ending || l->server == NULL)
        return;
    l->proxied = NULL;
    if (sonic_stream_send(s, "HTTP/1.1 200 Fine\r\n\r\n", 21) < 0)
        sonic_stream_free(s);
    else
        (void)!sonic_ws_server_accept(l->server, s, NULL);
}

static void
on_accept(sonic_listener *listener, int err, sonic_stream *stream, void *ud)
{
    struct life *l = ud;

    (void)listener;
    if (err < 0)
        return;
    sonic_stream_free(l->proxied);
    l->proxied = stream;
    if (l->plan->proxy)
        sonic_stream_async_read(stream, l->head, sizeof l->head, on_asked, l);
    sonic_listener_async_accept(listener, on_accept, l);
}

static int
open_listener(struct life *l, sonic_address *at)
{
    int err = sonic_listener_new(l->io, "127.0.0.1:0", NULL, &l->listener);

    if (err < 0)
        return err;
    sonic_listener_async_accept(l->listener, on_accept, l);
    return sonic_listener_address(l->listener, at);
}

/* ---- both -------------------------------------------------------------- */

static void
set_handler(struct life *l, unsigned end)
{
    sonic_ws_handler *h = &l->end[end].handler;

    *h = (sonic_ws_handler){SONIC_WS_HANDLER_INIT, .on_open = on_open,
                            .on_control = on_control, .on_drain = on_drain,
                            .on_close = on_close};
    if (l->plan->delivery == LIFE_MESSAGES)
        h->on_message = on_message;
    else if (l->plan->delivery == LIFE_CHUNKS)
        h->on_chunk = on_chunk;
    else if (l->plan->delivery == LIFE_FRAMES)
        h->on_frame = on_frame;
}

static void
set_options(const struct life_plan *p, sonic_ws_options *opt)
{
    opt->handshake_timeout = S;
    opt->close_timeout = S;
    if (p->small_marks) {
        opt->low_water = 1;
        opt->high_water = 2;
        opt->queue_limit = 1 << 20;
    }
}

/* The contexts belong to the options, until these have been used. */
static int
set_tls(struct life *l, sonic_ws_options *server, sonic_ws_options *client)
{
    static struct certificate c; /* for all lives */
    sonic_tls_certificate own;
    sonic_tls_context_options so = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_context_options co = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    int err;

    if (c.pem == NULL &&
        !certificate_make(&(struct certificate_wish){.name = "a life",
                                                     .names = "IP:127.0.0.1"},
                          &c))
        return -ENOMEM;
    own = (sonic_tls_certificate){.chain = c.pem,
                                  .chain_len = c.pem_len,
                                  .key = c.key_pem,
                                  .key_len = c.key_len};
    so.certificates = &own;
    so.n_certificates = 1;
    co.ca = c.pem;
    co.ca_len = c.pem_len;
    err = sonic_tls_context_new(l->io, SONIC_TLS_SERVER, &so, &server->tls,
                                NULL, 0);
    if (err == 0)
        err = sonic_tls_context_new(l->io, SONIC_TLS_CLIENT, &co, &client->tls,
                                    NULL, 0);
    return err;
}

static int
make_ends(struct life *l, sonic_ws_options *server, sonic_ws_options *client)
{
    sonic_address at, other;
    int err;

    set_handler(l, LIFE_SERVER);
    set_handler(l, LIFE_CLIENT);
    set_options(l->plan, server);
    set_options(l->plan, client);
    server->on_upgrade = on_upgrade;
    client->on_request = on_request;
    client->on_response = on_response;
    if (l->plan->keepalive) {
        client->ping_interval = S;
        client->pong_timeout = S;
        server->read_idle = 3 * S;
    }
    err = l->plan->tls || l->plan->mistaken ? set_tls(l, server, client) : 0;
    if (l->plan->mistaken) {
        sonic_tls_context_free(server->tls);
        server->tls = NULL;
    }
    if (err == 0)
        err = sonic_ws_server_new(l->io, server, &l->end[LIFE_SERVER].handler,
                                  &l->end[LIFE_SERVER], &l->server);
    if (err == 0)
        err = sonic_ws_server_listen(l->server, "127.0.0.1:0", NULL, &at);
    if (err == 0 && (l->plan->proxy || l->plan->silent_server))
        err = open_listener(l, &other);
    if (err < 0)
        return err;
    if (l->plan->silent_server)
        at = other;
    snprintf(l->url, sizeof l->url, "%s://127.0.0.1:%u/",
             l->plan->tls || l->plan->mistaken ? "wss" : "ws",
             sonic_address_port(&at));
    if (l->plan->proxy) {
        snprintf(l->proxy_url, sizeof l->proxy_url, "http://127.0.0.1:%u",
                 sonic_address_port(&other));
        client->proxy = l->proxy_url;
    }
    return sonic_ws_new(l->io, client, &l->end[LIFE_CLIENT].handler,
                        &l->end[LIFE_CLIENT], &l->end[LIFE_CLIENT].ws);
}

int
life_open_world(struct life *l)
{
    sonic_ws_options server = SONIC_WS_OPTIONS_INIT;
    sonic_ws_options client = SONIC_WS_OPTIONS_INIT;
    int err = make_ends(l, &server, &client);

    sonic_tls_context_free(server.tls);
    sonic_tls_context_free(client.tls);
    return err;
}
