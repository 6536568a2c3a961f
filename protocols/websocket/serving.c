/* The server: connections accepted, kept, and let go gracefully. */
#include "websocket/serving.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/object.h>
#include <sonicio/proxy_header.h>

#include "base/pack.h"

/* ---- the list --------------------------------------------------------- */

/* Room for cap pointers, with the first n of old. */
static void *
grow(sonic_ws_server *s, void *old, uint32_t cap)
{
    void *v = sonic__ws_alloc(s->io, cap * sizeof(void *));

    if (v != NULL && s->n > 0)
        memcpy(v, old, s->n * sizeof(void *));
    return v;
}

static void
list_free(sonic_ws_server *s)
{
    sonic__ws_release(s->io, s->v, s->cap * sizeof *s->v);
    sonic__ws_release(s->io, s->clients, s->cap * sizeof *s->clients);
}

static int
list_grow(sonic_ws_server *s)
{
    uint32_t cap = s->cap == 0 ? 16 : s->cap + s->cap / 2;
    sonic_address **clients = NULL;
    sonic_ws **v = grow(s, s->v, cap);

    if (v == NULL)
        return -ENOMEM;
    if (s->config->opt.n_proxies > 0) {
        clients = grow(s, s->clients, cap);
        if (clients == NULL) {
            sonic__ws_release(s->io, v, cap * sizeof *v);
            return -ENOMEM;
        }
    }
    list_free(s);
    s->v = v;
    s->clients = clients;
    s->cap = cap;
    return 0;
}

static int
list_add(sonic_ws_server *s, sonic_ws *ws)
{
    if (s->n >= SONIC__WS_NOT_LISTED)
        return -ENOMEM;
    if (s->n == s->cap && list_grow(s) < 0)
        return -ENOMEM;
    ws->index = s->n & SONIC__WS_NOT_LISTED; /* n is less */
    if (s->clients != NULL)
        s->clients[s->n] = s->coming;
    s->coming = NULL;
    s->v[s->n++] = ws;
    s->live++;
    return 0;
}

static void
list_move(sonic_ws_server *s, uint32_t from, uint32_t to)
{
    s->v[to] = s->v[from];
    s->v[to]->index = to & SONIC__WS_NOT_LISTED;
    if (s->clients != NULL && from != to) {
        s->clients[to] = s->clients[from];
        s->clients[from] = NULL;
    }
}

static void
list_compact(sonic_ws_server *s)
{
    uint32_t to = 0;

    for (uint32_t i = 0; i < s->n; i++)
        if (s->v[i] != NULL)
            list_move(s, i, to++);
    s->n = to;
}

static void
list_remove(sonic_ws_server *s, sonic_ws *ws)
{
    uint32_t i = ws->index;

    if (s->clients != NULL) {
        sonic__ws_release(s->io, s->clients[i], sizeof **s->clients);
        s->clients[i] = NULL;
    }
    s->v[i] = NULL;
    if (s->walking == 0) { /* the last one takes its place */
        s->n--;
        if (i != s->n)
            list_move(s, s->n, i);
    }
    ws->index = SONIC__WS_NOT_LISTED;
    s->live--;
}

static void
walk(sonic_ws_server *s, void (*fn)(sonic_ws *ws, void *ud), void *ud)
{
    uint32_t n = s->n;

    s->walking++;
    for (uint32_t i = 0; i < n; i++)
        if (s->v[i] != NULL)
            fn(s->v[i], ud);
    if (--s->walking == 0)
        list_compact(s);
}

static void
server_run(void *object)
{
    (void)object;
}

static void
server_destroy(void *object)
{
    sonic_ws_server *s = object;

    if (s->config == NULL)
        return; /* it was never made */
    list_free(s);
    sonic__ws_config_drop(s->config);
}

static void
finish_drain(sonic_ws_server *s, int err)
{
    sonic_ws_drain_fn *cb = s->drain_cb;
    sonic_ws_drained counts = s->drained;

    s->drain_cb = NULL;
    sonic_timer_free(s->drain_timer);
    s->drain_timer = NULL;
    if (cb != NULL)
        cb(s, err, &counts, s->drain_ud);
}

/* ws is over, or its owner's no more.  The server, held until it is settled;
 * NULL when it has forgotten ws before. */
sonic_ws_server *
sonic__ws_server_remove(sonic_ws *ws, bool clean)
{
    sonic_ws_server *s = ws->config->owner;

    if (ws->index == SONIC__WS_NOT_LISTED)
        return NULL; /* and s may be gone */
    list_remove(s, ws);
    if (s->drain_cb != NULL && clean)
        s->drained.clean++;
    else if (s->drain_cb != NULL)
        s->drained.reset++;
    sonic_object_hold(s);
    return s;
}

/* The last of a draining server's connections has gone. */
void
sonic__ws_server_settle(sonic_ws_server *s)
{
    if (s == NULL)
        return;
    if (s->drain_cb != NULL && s->live == 0)
        finish_drain(s, 0);
    sonic_object_drop(s);
}

/* No more connections: it drains, or has as many as it may. */
bool
sonic__ws_server_is_full(const sonic_ws_server *s)
{
    return s->drain_cb != NULL || s->live > s->config->opt.max_connections;
}

/* ---- the public half -------------------------------------------------- */

int
sonic_ws_server_accept(sonic_ws_server *s, sonic_stream *stream, sonic_ws **out)
{
    sonic_ws *ws;
    int err = s->freed ? SONIC_ECLOSED
                       : sonic__ws_make(s->config, s->config->handler,
                                        s->config->ud, &ws);

    if (err < 0) {
        sonic_stream_free(stream);
        return err;
    }
    err = sonic__ws_opening_new(ws);
    if (err == 0)
        err = list_add(s, ws);
    if (err < 0) {
        sonic_stream_free(stream);
        sonic__ws_drop(ws);
        return err;
    }
    ws->stream = stream;
    sonic__ws_hold(ws);
    err = sonic__ws_accept_begin(ws);
    if (err < 0)
        sonic_ws_free(ws);
    else if (out != NULL)
        *out = ws;
    sonic__ws_drop(ws);
    return err < 0 ? err : 0;
}

/* ---- behind a balancer ------------------------------------------------ */

int
sonic_ws_remote_address(const sonic_ws *ws, sonic_address *out)
{
    const sonic_ws_server *s = ws->config->owner;
    const sonic_address *told = NULL;

    if ((ws->flags & SONIC__WS_SERVER) && ws->index != SONIC__WS_NOT_LISTED &&
        s->clients != NULL)
        told = s->clients[ws->index];
    if (told == NULL)
        return ws->stream == NULL
                   ? -ENOTCONN
                   : sonic_stream_remote_address(ws->stream, out);
    *out = *told;
    return 0;
}

static bool
is_balancer(const sonic_ws_server *s, const sonic_stream *stream)
{
    const sonic_ws_options *o = &s->config->opt;
    sonic_address a;

    if (o->n_proxies == 0 || sonic_stream_remote_address(stream, &a) < 0)
        return false;
    for (size_t i = 0; i < o->n_proxies; i++)
        if (sonic_network_holds(o->proxies[i], &a) == 1)
            return true;
    return false;
}

/* Its session hears of nothing before it knows whose it is. */
static int
accept_for(sonic_ws_server *s, sonic_stream *stream,
           const sonic_proxy_header *h)
{
    sonic_address *told = NULL;
    sonic_ws *ws;
    int err;

    if (!h->local) {
        told = sonic__ws_alloc(s->io, sizeof *told);
        if (told == NULL) {
            sonic_stream_reset(stream);
            sonic_stream_free(stream);
            return -ENOMEM;
        }
        *told = h->source;
    }
    s->coming = told;
    err = sonic_ws_server_accept(s, stream, &ws);
    sonic__ws_release(s->io, s->coming, sizeof *told); /* nobody took it */
    s->coming = NULL;
    return err;
}

static void
tell_error(sonic_ws_server *s, int err)
{
    const struct sonic__ws_config *c = s->config;

    if (err < 0 && !s->freed && c->opt.on_error != NULL)
        c->opt.on_error(s, err, c->ud);
}

static void
on_header(sonic_stream *stream, int err, const sonic_proxy_header *h, void *ud)
{
    struct waiting *w = ud;
    sonic_ws_server *s = w->server;

    *w->prev = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    s->n_waiting--;
    if (w->stream != NULL && err == 0) {
        tell_error(s, accept_for(s, stream, h));
    } else if (w->stream != NULL) {
        sonic_stream_reset(stream);
        sonic_stream_free(stream);
    }
    sonic__ws_release(s->io, w, sizeof *w);
    sonic_object_drop(s);
}

static int
await_header(sonic_ws_server *s, sonic_stream *stream)
{
    const sonic_ws_options *o = &s->config->opt;
    struct waiting *w = s->n_waiting < o->max_connections
                            ? sonic__ws_alloc(s->io, sizeof *w)
                            : NULL;

    if (w == NULL) {
        sonic_stream_reset(stream);
        sonic_stream_free(stream);
        return -ENOMEM;
    }
    w->server = s;
    w->stream = stream;
    w->prev = &s->waiting;
    w->next = s->waiting;
    if (w->next != NULL)
        w->next->prev = &w->next;
    s->waiting = w;
    s->n_waiting++;
    sonic_object_hold(s);
    sonic_proxy_header_async_read(stream, o->handshake_timeout, on_header, w);
    return 0;
}

/* Those that wait are gone; each is told so by its stream. */
static void
stop_waiting(sonic_ws_server *s)
{
    for (struct waiting *w = s->waiting; w != NULL; w = w->next) {
        sonic_stream_free(w->stream);
        w->stream = NULL;
    }
}

static void
on_accept(sonic_listener *l, int err, sonic_stream *stream, void *ud)
{
    struct listening *li = ud;
    sonic_ws_server *s = li->server;

    if (err == -ECANCELED || err == SONIC_ECLOSED || s->freed) {
        sonic_stream_free(stream);
        sonic__ws_release(s->io, li, sizeof *li);
        sonic_object_drop(s);
        return;
    }
    if (err == 0)
        err = is_balancer(s, stream) ? await_header(s, stream)
                                     : sonic_ws_server_accept(s, stream, NULL);
    tell_error(s, err); /* the listener knows when to rest */
    sonic_listener_async_accept(l, on_accept, li);
}

int
sonic_ws_server_listen(sonic_ws_server *s, const char *address,
                       const sonic_listener_options *opt, sonic_address *bound)
{
    struct listening *li;
    int err;

    if (s->freed || s->drain_cb != NULL)
        return SONIC_ESTATE;
    li = sonic__ws_alloc(s->io, sizeof *li);
    if (li == NULL)
        return -ENOMEM;
    err = sonic_listener_new(s->io, address, opt, &li->listener);
    if (err == 0 && bound != NULL &&
        (err = sonic_listener_address(li->listener, bound)) < 0)
        sonic_listener_free(li->listener);
    if (err < 0) {
        sonic__ws_release(s->io, li, sizeof *li);
        return err;
    }
    li->server = s;
    li->next = s->listeners;
    s->listeners = li;
    sonic_object_hold(s);
    sonic_listener_async_accept(li->listener, on_accept, li);
    return 0;
}

/* Each listener's pending accept is cancelled, and lets go of the rest. */
static void
stop_listening(sonic_ws_server *s)
{
    struct listening *li;

    while ((li = s->listeners) != NULL) {
        s->listeners = li->next;
        s->shed += sonic_listener_shed(li->listener);
        sonic_listener_free(li->listener);
    }
}

static void
free_one(sonic_ws *ws, void *ud)
{
    (void)ud;
    sonic_ws_free(ws);
}

static void
terminate_one(sonic_ws *ws, void *ud)
{
    (void)ud;
    sonic_ws_terminate(ws);
}

/* The io ends, or the owner frees the server. */
static void
server_close(void *object)
{
    sonic_ws_server *s = object;

    stop_listening(s);
    stop_waiting(s);
    walk(s, terminate_one, NULL);
    if (s->drain_cb != NULL)
        finish_drain(s, -ECANCELED);
}

int
sonic_ws_server_new(sonic_io *io, const sonic_ws_options *opt,
                    const sonic_ws_handler *handler, void *ud,
                    sonic_ws_server **out)
{
    static const sonic_object_class server_class = {
        SONIC_OBJECT_CLASS_INIT,   .bytes = sizeof(sonic_ws_server),
        .run = server_run,         .close = server_close,
        .destroy = server_destroy,
    };
    sonic_ws_server *s;
    void *object;
    int err = sonic__ws_handler_check(handler);

    if (err == 0)
        err = sonic_object_new(io, &server_class, &object);
    if (err < 0)
        return err;
    s = object;
    err = sonic__ws_config_new(io, opt, true, &s->config);
    if (err < 0) {
        sonic_object_free(s);
        return err;
    }
    s->io = io;
    s->config->handler = handler;
    s->config->ud = ud;
    s->config->owner = s;
    *out = s;
    return 0;
}

void
sonic_ws_server_free(sonic_ws_server *s)
{
    if (s == NULL || s->freed)
        return;
    s->freed = true;
    stop_waiting(s);
    walk(s, free_one, NULL);
    sonic_object_free(s);
}

size_t
sonic_ws_server_count(const sonic_ws_server *s)
{
    return s->live;
}

uint64_t
sonic_ws_server_shed(const sonic_ws_server *s)
{
    uint64_t n = s->shed;

    for (const struct listening *li = s->listeners; li != NULL; li = li->next)
        n += sonic_listener_shed(li->listener);
    return n;
}

struct each {
    void (*fn)(sonic_ws *ws, void *ud);
    void *ud;
};

static void
each_open(sonic_ws *ws, void *ud)
{
    const struct each *e = ud;

    if (sonic_ws_state(ws) == SONIC_WS_OPEN)
        e->fn(ws, e->ud);
}

void
sonic_ws_server_each(sonic_ws_server *s, void (*fn)(sonic_ws *ws, void *ud),
                     void *ud)
{
    struct each e = {fn, ud};

    walk(s, each_open, &e);
}

/* ---- draining --------------------------------------------------------- */

static void
reset_one(sonic_ws *ws, void *ud)
{
    (void)ud;
    if (ws->stream != NULL)
        sonic_stream_reset(ws->stream);
    sonic_ws_terminate(ws);
}

static void
on_drain_late(sonic_timer *t, int err, void *ud)
{
    sonic_ws_server *s = ud;

    if (err == 0 && t == s->drain_timer)
        walk(s, reset_one, NULL);
    sonic_object_drop(s);
}

static void
drain_one(sonic_ws *ws, void *ud)
{
    (void)ud;
    if (sonic__ws_phase(ws) == SONIC__WS_HEADS)
        sonic__ws_refuse(ws, SONIC_EWS_REJECTED, 503, NULL, NULL);
    else if (ws->state == SONIC__WS_STATE_SECURING)
        sonic_ws_terminate(ws); /* it cannot be told anything yet */
    else
        (void)sonic_ws_close(ws, SONIC_WS_GOING_AWAY, NULL);
}

static void
say_drained(void *object, int err, void (*cb)(void), void *ud)
{
    const sonic_ws_drained none = {0, 0};

    ((sonic_ws_drain_fn *)cb)(object, err, &none, ud);
}

void
sonic_ws_server_async_drain(sonic_ws_server *s, int64_t timeout,
                            sonic_ws_drain_fn *cb, void *ud)
{
    sonic_ws_drained none = {0, 0};
    int err = s->drain_cb != NULL ? -EBUSY : 0;

    if (err == 0 && s->live > 0)
        err = sonic_timer_new(s->io, &s->drain_timer);
    if (err == 0) {
        stop_listening(s);
        stop_waiting(s);
    }
    if (err < 0 || s->live == 0) {
        sonic_object_refuse(s, say_drained, err, (void (*)(void))cb, ud);
        return;
    }
    s->drain_cb = cb;
    s->drain_ud = ud;
    s->drained = none;
    sonic_object_hold(s); /* the timer's */
    sonic_object_hold(s); /* this call's */
    sonic_timer_once(s->drain_timer, timeout, on_drain_late, s);
    walk(s, drain_one, NULL);
    if (s->live == 0 && s->drain_cb != NULL)
        finish_drain(s, 0);
    sonic_object_drop(s);
}
