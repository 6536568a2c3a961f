#include "websocket/extension.h"

#include <stdio.h>
#include <string.h>

struct negotiation;
typedef void fsm_act(struct negotiation *n);
static fsm_act act_begin, act_none, act_fail, act_twice, act_agree,
    act_server_fresh, act_client_fresh, act_server_bits, act_client_bits,
    act_client_any;

#define FSM_NAME "ws-extension"
#define FSM_DEF "websocket/extension.def"
#define FSM_INFO sonic__ws_extension_fsm
#define FSM_SPARSE
#include <sonicio/fsm_build.h>

static const char our_name[] = "permessage-deflate";

enum { BITS_MIN = 8, BITS_MAX = 15 };
enum { ABSENT = 0, ANY = 1 }; /* in place of window bits */

enum param { SERVER_FRESH, CLIENT_FRESH, SERVER_BITS, CLIENT_BITS, PARAMS };
static const char *const names[PARAMS] = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
};

/* The parameters of one element. */
struct params {
    bool server_fresh, client_fresh;
    uint8_t server_bits, client_bits; /* 8 to 15, ABSENT, ANY */
};

struct negotiation {
    uint8_t state;
    bool server; /* our role */
    bool seen[PARAMS];
    uint8_t bits; /* value of the parameter under way */
    struct params p;
    const sonic_ws_deflate_agreed *wish;
    const sonic_fsm_tracer *tracer;
    struct sonic__ws_extension_result *out;
    const char *why;
};

static void
step(struct negotiation *n, enum fsm_event e)
{
    fsm_step(&n->state, e, n->tracer)->act(n);
}

/* ---- text ------------------------------------------------------------- */

static void
put(char text[SONIC__WS_EXTENSION_TEXT], const char *name, unsigned value)
{
    size_t at = strlen(text);

    if (value > ANY)
        snprintf(text + at, SONIC__WS_EXTENSION_TEXT - at, "; %s=%u", name,
                 value);
    else
        snprintf(text + at, SONIC__WS_EXTENSION_TEXT - at, "; %s", name);
}

static void
write_out(const struct params *p, char text[SONIC__WS_EXTENSION_TEXT])
{
    memcpy(text, our_name, sizeof our_name);
    if (p->server_fresh)
        put(text, names[SERVER_FRESH], ANY);
    if (p->client_fresh)
        put(text, names[CLIENT_FRESH], ANY);
    if (p->server_bits != ABSENT)
        put(text, names[SERVER_BITS], p->server_bits);
    if (p->client_bits != ABSENT)
        put(text, names[CLIENT_BITS], p->client_bits);
}

/* What a client asks for.  That it can be told its own window is always said;
 * what is not asked for is the server's to choose. */
static struct params
params_of(const sonic_ws_deflate_agreed *wish)
{
    return (struct params){
        .server_fresh = !wish->peer_takeover,
        .client_fresh = !wish->takeover,
        .server_bits =
            wish->peer_window_bits < BITS_MAX ? wish->peer_window_bits : ABSENT,
        .client_bits = wish->window_bits < BITS_MAX ? wish->window_bits : ANY,
    };
}

void
sonic__ws_extension_offer(const sonic_ws_deflate_agreed *wish,
                          char text[SONIC__WS_EXTENSION_TEXT])
{
    struct params p = params_of(wish);

    write_out(&p, text);
}

/* ---- classification --------------------------------------------------- */

/* The number from 8 to 15 that the value is, decimal and without leading
 * zeros; else 0.  Quotes say nothing (RFC 6455 9.1), nor do their escapes. */
static uint8_t
bits_of(const struct sonic__ws_param *p)
{
    unsigned v = 0, digits = 0;

    for (size_t i = 0; i < p->value.len; i++) {
        char c = p->value.ptr[i];

        if (p->quoted && c == '\\')
            continue; /* what it escapes is a token's character */
        if (c < '0' || c > '9' || (digits == 0 && c == '0') || ++digits > 2)
            return 0;
        v = 10 * v + (unsigned)(c - '0');
    }
    return v >= BITS_MIN && v <= BITS_MAX ? (uint8_t)v : 0;
}

static enum fsm_event
unfit(struct negotiation *n, const char *why)
{
    n->why = why;
    return n->server ? E_UNFIT : E_WRONG;
}

static enum fsm_event
classify_name(struct negotiation *n, struct sonic__http_str name)
{
    if (sonic__http_str_is(name, our_name))
        return E_OURS;
    n->why = "4.1: the extension was not offered";
    return n->server ? E_FOREIGN : E_WRONG;
}

/* A window's size.  An answer may not have a larger one than was asked for,
 * and none at all for us where that was not said to be possible, which we
 * always say. */
static enum fsm_event
classify_bits(struct negotiation *n, const struct sonic__ws_param *p,
              enum param which)
{
    unsigned most =
        which == SERVER_BITS ? n->wish->peer_window_bits : n->wish->window_bits;

    if (p->value.ptr == NULL && which == CLIENT_BITS && n->server)
        return E_CLIENT_ANY;
    n->bits = bits_of(p);
    if (n->bits == 0)
        return unfit(n, "7.1.2: window bits are not 8 to 15");
    if (!n->server && n->bits > most)
        return unfit(n, "7.1.2: a larger window than was offered");
    return which == SERVER_BITS ? E_SERVER_BITS : E_CLIENT_BITS;
}

static enum fsm_event
classify_param(struct negotiation *n, const struct sonic__ws_param *p)
{
    enum param which = 0;

    while (which < PARAMS && !sonic__http_str_is(p->name, names[which]))
        which++;
    if (which == PARAMS)
        return unfit(n, "7: an unknown parameter");
    if (n->seen[which])
        return unfit(n, "7: a parameter twice");
    n->seen[which] = true;
    if (which == SERVER_BITS || which == CLIENT_BITS)
        return classify_bits(n, p, which);
    if (p->value.ptr != NULL)
        return unfit(n, "7.1.1: a value where there is none");
    return which == SERVER_FRESH ? E_SERVER_FRESH : E_CLIENT_FRESH;
}

/* The element is at its end: does an answer have what it must? */
static enum fsm_event
classify_stop(struct negotiation *n)
{
    struct params asked = params_of(n->wish);

    if (n->server || n->state != S_READING)
        return E_STOP;
    if (asked.server_fresh && !n->p.server_fresh)
        return unfit(n, "7.1.1.1: the server keeps its takeover");
    if (asked.server_bits != ABSENT && n->p.server_bits == ABSENT)
        return unfit(n, "7.1.2.1: the server keeps its window");
    return E_STOP;
}

/* ---- actions ---------------------------------------------------------- */

static void
act_begin(struct negotiation *n)
{
    memset(n->seen, 0, sizeof n->seen);
    n->p = (struct params){0};
}

static void
act_none(struct negotiation *n)
{
    (void)n;
}

static void
act_fail(struct negotiation *n)
{
    n->out->agreed.on = false;
    n->out->text[0] = '\0';
    n->out->why = n->why;
}

static void
act_twice(struct negotiation *n)
{
    n->why = "6: permessage-deflate twice";
    act_fail(n);
}

static void
act_server_fresh(struct negotiation *n)
{
    n->p.server_fresh = true;
}

static void
act_client_fresh(struct negotiation *n)
{
    n->p.client_fresh = true;
}

static void
act_server_bits(struct negotiation *n)
{
    n->p.server_bits = n->bits;
}

static void
act_client_bits(struct negotiation *n)
{
    n->p.client_bits = n->bits;
}

static void
act_client_any(struct negotiation *n)
{
    n->p.client_bits = ANY;
}

static uint8_t
least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* From an offer that can be granted to the answer. */
static void
grant(struct negotiation *n)
{
    const sonic_ws_deflate_agreed *wish = n->wish;
    struct params *p = &n->p;
    uint8_t client = wish->peer_window_bits;

    if (!wish->takeover)
        p->server_fresh = true;
    if (p->server_bits != ABSENT || wish->window_bits < BITS_MAX)
        p->server_bits =
            least(p->server_bits != ABSENT ? p->server_bits : BITS_MAX,
                  wish->window_bits);
    if (p->client_bits > ANY)
        client = least(client, p->client_bits);
    /* A client that cannot be told is not told (7.1.2.2); so that its window
     * needs no memory of ours beyond a message, it is to start afresh. */
    if (!wish->peer_takeover || (p->client_bits == ABSENT && client < BITS_MAX))
        p->client_fresh = true;
    p->client_bits =
        p->client_bits != ABSENT && client < BITS_MAX ? client : ABSENT;
}

static void
act_agree(struct negotiation *n)
{
    sonic_ws_deflate_agreed *a = &n->out->agreed;
    uint8_t server, client;

    if (n->server)
        grant(n);
    write_out(&n->p, n->out->text);
    server = n->p.server_bits != ABSENT ? n->p.server_bits : BITS_MAX;
    client = n->p.client_bits != ABSENT ? n->p.client_bits : BITS_MAX;
    a->on = true;
    a->takeover = !(n->server ? n->p.server_fresh : n->p.client_fresh);
    a->peer_takeover = !(n->server ? n->p.client_fresh : n->p.server_fresh);
    a->window_bits = n->server ? server : client;
    a->peer_window_bits = n->server ? client : server;
    if (n->server)
        return;
    /* What we offered of our own side we keep to, said or not. */
    a->takeover = a->takeover && n->wish->takeover;
    a->window_bits = least(a->window_bits, n->wish->window_bits);
}

/* ---- the list --------------------------------------------------------- */

static void
read_element(struct negotiation *n, struct sonic__http_str element)
{
    struct sonic__ws_extension x;
    struct sonic__ws_param p;

    if (sonic__ws_extension_parse(element, &x) < 0)
        return; /* the handshake's check comes first and has refused it */
    step(n, classify_name(n, x.name));
    while (n->state == S_READING && sonic__ws_param_next(&x, &p))
        step(n, classify_param(n, &p));
    if (n->state == S_READING || n->state == S_PASSED)
        step(n, classify_stop(n));
}

static void
negotiate(struct negotiation *n, const struct sonic__http_head *h,
          const char *window)
{
    struct sonic__http_each e;
    struct sonic__http_str element;

    memset(n->out, 0, sizeof *n->out);
    sonic__http_each_begin(&e, h, window, "Sec-WebSocket-Extensions");
    while (n->state != S_FAILED && !(n->server && n->state == S_AGREED) &&
           sonic__http_each_next(&e, &element) > 0)
        read_element(n, element);
    if (n->state != S_FAILED)
        step(n, E_END);
}

void
sonic__ws_extension_answer(const struct sonic__http_head *h, const char *window,
                           const sonic_ws_deflate_agreed *wish,
                           const sonic_fsm_tracer *tracer,
                           struct sonic__ws_extension_result *out)
{
    struct negotiation n = {
        .server = true, .wish = wish, .tracer = tracer, .out = out};

    negotiate(&n, h, window);
}

int
sonic__ws_extension_accept(const struct sonic__http_head *h, const char *window,
                           const sonic_ws_deflate_agreed *wish,
                           const sonic_fsm_tracer *tracer,
                           struct sonic__ws_extension_result *out)
{
    struct negotiation n = {.wish = wish, .tracer = tracer, .out = out};

    negotiate(&n, h, window);
    return n.state == S_DONE ? 0 : SONIC_EWS_EXTENSION;
}
