/* Settings: defaults filled in, strings copied, shared by reference. */
#include "websocket/session.h"

#include <errno.h>
#include <string.h>

#include <sonicio/proxy_header.h>

#include "base/marks.h"
#include "base/pack.h"

#define MS INT64_C(1000000)
#define S (1000 * MS)

enum { CONNECTIONS = 1000000, HEAD = 16 * 1024, STRINGS_MAX = 1024 };
#define MESSAGE ((uint64_t)16 << 20)
#define MESSAGE_MAX UINT32_MAX

/* One piece of memory for everything that the options point to. */
struct sonic__ws_strings {
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

static void
pack_headers(struct sonic__pack *p, const sonic_ws_header **list, size_t n)
{
    sonic_ws_header *to = sonic__pack(p, *list, n * sizeof **list);

    for (size_t i = 0; i < n; i++) {
        sonic_ws_header h = (*list)[i];

        sonic__pack_text(p, &h.name);
        sonic__pack_text(p, &h.value);
        if (to != NULL)
            to[i] = h;
    }
    if (to != NULL)
        *list = to;
}

static void
pack_all(struct sonic__pack *p, struct sonic__ws_config *c)
{
    sonic_ws_options *o = &c->opt;

    sonic__pack_list(p, &o->subprotocols, o->n_subprotocols);
    pack_headers(p, &o->headers, o->n_headers);
    sonic__pack_list(p, &o->origins, o->n_origins);
    sonic__pack_list(p, &o->proxies, o->n_proxies);
    sonic__pack_text(p, &o->origin);
    sonic__pack_text(p, &o->proxy);
    sonic__pack_text(p, &o->connect_to);
    sonic__pack_text(p, &o->tls_name);
    sonic__pack_text(p, &o->tls_sni);
    sonic__pack_text(p, &o->path);
    sonic__pack_text(p, &c->socket.device);
    sonic__pack_text(p, &c->socket.bind);
}

static bool
names_are_there(const sonic_ws_options *o)
{
    if (o->n_headers > STRINGS_MAX || o->n_origins > STRINGS_MAX ||
        o->n_proxies > STRINGS_MAX ||
        o->n_subprotocols > SONIC__WS_OWN_SUBPROTOCOL)
        return false;
    for (size_t i = 0; i < o->n_headers; i++)
        if (o->headers[i].name == NULL || o->headers[i].value == NULL)
            return false;
    for (size_t i = 0; i < o->n_subprotocols; i++)
        if (o->subprotocols[i] == NULL)
            return false;
    for (size_t i = 0; i < o->n_origins; i++)
        if (o->origins[i] == NULL)
            return false;
    for (size_t i = 0; i < o->n_proxies; i++)
        if (o->proxies[i] == NULL ||
            sonic_network_holds(o->proxies[i], &(sonic_address){0}) < 0)
            return false;
    return true;
}

/* As a stream would see them, or none of them where none is set. */
static int
fill_in_marks(sonic_ws_options *o)
{
    static const struct sonic__marks defaults = {
        SONIC__LOW_WATER, SONIC__HIGH_WATER, SONIC__QUEUE_LIMIT};
    struct sonic__marks m = {o->low_water, o->high_water, o->queue_limit};
    int err;

    if (m.low == 0 && m.high == 0 && m.limit == 0)
        return 0;
    err = sonic__marks_fill_in(&m, &defaults);
    o->low_water = m.low;
    o->high_water = m.high;
    o->queue_limit = m.limit;
    return err;
}

static int
fill_in(sonic_ws_options *o)
{
    if (o->max_message == 0)
        o->max_message = MESSAGE;
    if (o->max_head == 0)
        o->max_head = HEAD;
    if (o->handshake_timeout == 0)
        o->handshake_timeout = 10 * S;
    if (o->close_timeout == 0)
        o->close_timeout = 5 * S;
    if (o->message_timeout == 0)
        o->message_timeout = 120 * S;
    if (o->pong_timeout == 0)
        o->pong_timeout = o->ping_interval;
    if (o->max_connections == 0)
        o->max_connections = CONNECTIONS;
    if (o->max_message > MESSAGE_MAX ||
        o->max_head > SONIC__HTTP_HEAD_BYTES_MAX || o->handshake_timeout < 0 ||
        o->close_timeout < 0 || o->message_timeout < 0 || o->read_idle < 0 ||
        o->ping_interval < 0 || o->pong_timeout < 0 || !names_are_there(o) ||
        (o->path != NULL && o->path[0] != '/'))
        return SONIC_EOPTION;
    return fill_in_marks(o);
}

static void
set_rules(struct sonic__ws_config *c)
{
    c->rules.simd = sonic__ws_simd_best();
    c->rules.max_message = c->opt.max_message;
    c->rules.expect.mask = c->server ? 0x80 : 0;
    c->rules.utf8 = c->opt.no_utf8 != SONIC_ON;
}

/* Copy what the options point to into memory of the settings' own. */
static int
copy_strings(struct sonic__ws_config *c)
{
    struct sonic__pack p = {NULL, 0};
    struct sonic__ws_config probe = *c;

    if (c->opt.connect != NULL) {
        int err =
            sonic__options_copy(&c->connect, sizeof c->connect, c->opt.connect);

        if (err == 0 && c->connect.socket != NULL) {
            err = sonic__options_copy(&c->socket, sizeof c->socket,
                                      c->connect.socket);
            c->connect.socket = &c->socket;
        }
        if (err < 0)
            return err;
        c->opt.connect = &c->connect;
    }
    probe = *c;
    pack_all(&p, &probe);
    c->strings = sonic__ws_alloc(c->io, sizeof *c->strings + p.used);
    if (c->strings == NULL)
        return -ENOMEM;
    c->strings->size = p.used;
    p = (struct sonic__pack){c->strings->bytes, 0};
    pack_all(&p, c);
    return 0;
}

/* May it be the handler of a connection, or of those of a server? */
int
sonic__ws_handler_check(const sonic_ws_handler *h)
{
    int err = h == NULL ? 0 : sonic__options_fit(h, sizeof *h);

    if (err < 0 || h == NULL)
        return err;
    if ((h->on_message != NULL) + (h->on_chunk != NULL) +
            (h->on_frame != NULL) >
        1)
        return SONIC_EOPTION;
    return 0;
}

int
sonic__ws_config_new(sonic_io *io, const sonic_ws_options *opt, bool server,
                     struct sonic__ws_config **out)
{
    struct sonic__ws_config *c = sonic__ws_alloc(io, sizeof *c);
    int err;

    if (c == NULL)
        return -ENOMEM;
    c->io = io;
    c->cork = sonic_io_cork(io);
    c->refs = 1;
    c->server = server;
    err = sonic__options_copy(&c->opt, sizeof c->opt, opt);
    if (err == 0)
        err = fill_in(&c->opt);
    if (err == 0)
        err = sonic__ws_deflate_configure(c);
    if (err == 0)
        err = sonic__ws_tls_configure(c);
    if (err == 0 && (err = copy_strings(c)) < 0)
        sonic__ws_tls_release(c);
    if (err < 0) {
        sonic__ws_release(io, c, sizeof *c);
        return err;
    }
    set_rules(c);
    *out = c;
    return 0;
}

void
sonic__ws_config_drop(struct sonic__ws_config *c)
{
    struct sonic__ws_config *base = c->base;

    if (--c->refs > 0)
        return;
    if (base != NULL) {
        sonic__ws_config_unlist(c);
        sonic__ws_release(c->io, c, sizeof *c);
        sonic__ws_config_drop(base);
        return;
    }
    sonic__ws_slow_release(c);
    sonic__ws_tls_release(c);
    sonic__ws_release(c->io, c->strings, sizeof *c->strings + c->strings->size);
    sonic__ws_release(c->io, c, sizeof *c);
}

/* Settings of ws alone, equal to the shared ones. */
int
sonic__ws_config_own(sonic_ws *ws)
{
    struct sonic__ws_config *old = ws->config, *c;
    bool timed = ws->parser.timed != 0;
    int err;

    if (old->refs == 1) {
        sonic__ws_config_unlist(old); /* for no other from now on */
        return 0;
    }
    err = sonic__ws_config_new(old->io, &old->opt, old->server, &c);
    if (err < 0)
        return err;
    c->rules = old->rules;
    c->handler = old->handler;
    c->ud = old->ud;
    c->owner = old->owner;
    c->agreed = old->agreed;
    c->press = old->press;
    memcpy(c->extensions, old->extensions, sizeof c->extensions);
    /* In the callback of a message that is the connection's, not the others'.
     */
    c->headroom = old->headroom;
    old->headroom = NULL;
    sonic__ws_untime_message(ws);
    ws->config = c;
    sonic__ws_config_drop(old);
    if (timed)
        sonic__ws_time_message(ws, true);
    return 0;
}

int
sonic_ws_set_max_message(sonic_ws *ws, uint64_t bytes)
{
    int err;

    if (bytes == 0 || bytes > MESSAGE_MAX)
        return SONIC_EOPTION;
    err = sonic__ws_config_own(ws);
    if (err < 0)
        return err;
    ws->config->opt.max_message = bytes;
    ws->config->rules.max_message = bytes;
    return 0;
}

int
sonic_ws_set_trace(sonic_ws *ws, const sonic_fsm_tracer *tracer)
{
    int err = sonic__ws_config_own(ws);

    if (err < 0)
        return err;
    ws->config->rules.tracer = tracer;
    return 0;
}
