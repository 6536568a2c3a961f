/* market_data - a client of two exchanges' feeds of trades
 *
 *     market_data                            both, with servers of its own
 *     market_data binance|okex URL SYMBOL..  one of them, for ever: such as
 *                        okex wss://ws.okx.com:8443/ws/v5/public BTC-USDT
 *
 * The client subscribes, takes trades, notices when the feed has died, and then
 * connects and subscribes again, after pauses that grow.  Where the exchanges
 * differ stands in a table:
 *   binance  {"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1} is
 *            answered with {"result":null,"id":1}.  The server sends WebSocket
 *            pings, which the library answers.
 *   okex     {"op":"subscribe","args":[{"channel":"trades","instId":"X-Y"}]} is
 *            answered with {"event":"subscribe",...}.  After a silence the
 *            client sends the text "ping", and "pong" must come.
 * Our own servers cut the first connection, and that of okex is silent before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { SYMBOLS = 8, TRADES = 200, CUT_AFTER = 60, TRIES = 8, TEXT = 1024 };
#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

struct trade {
    char symbol[32], price[32];
    uint64_t id;
};

struct venue {
    const char *name;
    int (*subscribe)(char *text, size_t cap, const char *const *symbols,
                     size_t n);
    bool (*acknowledged)(const sonic_ws_message *m);
    bool (*parse)(const sonic_ws_message *m, struct trade *t);
    int64_t silence; /* after it the client sends a text ping; 0: the server
                        pings */
    /* of a server like theirs */
    const char *answer; /* to a subscription */
    int (*publish)(char *text, size_t cap, const char *symbol, uint64_t id);
    const char *symbols[2];
};

/* ---- JSON, as much as these messages need ---------------------------------
 */

static const uint8_t *
find(const sonic_ws_message *m, const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i + n <= m->len; i++)
        if (memcmp(m->data + i, text, n) == 0)
            return m->data + i + n;
    return NULL;
}

/* The value of the first member of that name, at any depth: a string without
 * its quotes, or a number as it stands. */
static bool
member(const sonic_ws_message *m, const char *name, char *out, size_t cap)
{
    char key[32];
    const uint8_t *p, *end = m->data + m->len;

    snprintf(key, sizeof key, "\"%s\":", name);
    p = find(m, key);
    if (p == NULL)
        return false;
    if (p < end && *p == '"')
        p++;
    while (p < end && cap > 1 && strchr("\",}]", *p) == NULL) {
        *out++ = (char)*p++;
        cap--;
    }
    *out = '\0';
    return true;
}

static bool
is_text(const sonic_ws_message *m, const char *text)
{
    return m->len == strlen(text) && memcmp(m->data, text, m->len) == 0;
}

/* ---- the two exchanges ----------------------------------------------------
 */

/* A subscription: head, then before SYMBOL after for each, with commas, tail.
 */
static int
list(char *text, size_t cap, const char *const part[4],
     const char *const *symbols, size_t n)
{
    int len = snprintf(text, cap, "%s", part[0]);

    for (size_t i = 0; i < n && len >= 0 && (size_t)len < cap; i++)
        len += snprintf(text + len, cap - (size_t)len, "%s%s%s%s",
                        i > 0 ? "," : "", part[1], symbols[i], part[2]);
    if (len >= 0 && (size_t)len < cap)
        len += snprintf(text + len, cap - (size_t)len, "%s", part[3]);
    return len;
}

static int
binance_subscribe(char *text, size_t cap, const char *const *symbols, size_t n)
{
    static const char *const part[] = {"{\"method\":\"SUBSCRIBE\",\"params\":[",
                                       "\"", "@trade\"", "],\"id\":1}"};

    return list(text, cap, part, symbols, n);
}

static bool
binance_acknowledged(const sonic_ws_message *m)
{
    return find(m, "\"result\":null") != NULL;
}

static bool
binance_parse(const sonic_ws_message *m, struct trade *t)
{
    char id[24];

    if (find(m, "\"e\":\"trade\"") == NULL || !member(m, "t", id, sizeof id) ||
        !member(m, "s", t->symbol, sizeof t->symbol) ||
        !member(m, "p", t->price, sizeof t->price))
        return false;
    t->id = strtoull(id, NULL, 10);
    return true;
}

static int
binance_publish(char *text, size_t cap, const char *symbol, uint64_t id)
{
    return snprintf(text, cap,
                    "{\"e\":\"trade\",\"s\":\"%s\",\"t\":%llu,\"p\":\"%llu.50\""
                    ",\"q\":\"0.1\"}",
                    symbol, (unsigned long long)id,
                    (unsigned long long)(60000 + id % 100));
}

static int
okex_subscribe(char *text, size_t cap, const char *const *symbols, size_t n)
{
    static const char *const part[] = {"{\"op\":\"subscribe\",\"args\":[",
                                       "{\"channel\":\"trades\",\"instId\":\"",
                                       "\"}", "]}"};

    return list(text, cap, part, symbols, n);
}

static bool
okex_acknowledged(const sonic_ws_message *m)
{
    return find(m, "\"event\":\"subscribe\"") != NULL;
}

static bool
okex_parse(const sonic_ws_message *m, struct trade *t)
{
    char id[24];

    if (find(m, "\"data\":[") == NULL || !member(m, "tradeId", id, sizeof id) ||
        !member(m, "instId", t->symbol, sizeof t->symbol) ||
        !member(m, "px", t->price, sizeof t->price))
        return false;
    t->id = strtoull(id, NULL, 10);
    return true;
}

static int
okex_publish(char *text, size_t cap, const char *symbol, uint64_t id)
{
    return snprintf(text, cap,
                    "{\"arg\":{\"channel\":\"trades\",\"instId\":\"%s\"},"
                    "\"data\":[{\"instId\":\"%s\",\"tradeId\":\"%llu\","
                    "\"px\":\"%llu.5\",\"sz\":\"0.1\",\"side\":\"buy\"}]}",
                    symbol, symbol, (unsigned long long)id,
                    (unsigned long long)(60000 + id % 100));
}

static const struct venue venues[] = {
    {.name = "binance",
     .subscribe = binance_subscribe,
     .acknowledged = binance_acknowledged,
     .parse = binance_parse,
     .answer = "{\"result\":null,\"id\":1}",
     .publish = binance_publish,
     .symbols = {"btcusdt", "ethusdt"}},
    {.name = "okex",
     .subscribe = okex_subscribe,
     .acknowledged = okex_acknowledged,
     .parse = okex_parse,
     .silence = 25 * SECOND, /* theirs ends a connection after 30 s */
     .answer = "{\"event\":\"subscribe\",\"arg\":{\"channel\":\"trades\"},"
               "\"connId\":\"1\"}",
     .publish = okex_publish,
     .symbols = {"BTC-USDT", "ETH-USDT"}},
};

/* ---- client ---------------------------------------------------------------
 */

struct client {
    const struct venue *venue;
    const char *url;
    const char *symbols[SYMBOLS];
    size_t n_symbols;
    sonic_ws *ws;
    sonic_timer *alive;     /* looks after the feed */
    int64_t silence, heard; /* heard: when something last came */
    int64_t asked;          /* when a text ping went out; 0: none is */
    uint64_t wanted, last;  /* trades, 0: for ever; number of the last */
    unsigned sessions, subscribed, pings, pongs;
    uint64_t trades, missed;
    int err;
};

static void
on_open(sonic_ws *ws, void *ud)
{
    struct client *c = ud;
    char text[TEXT];
    int n = c->venue->subscribe(text, sizeof text, c->symbols, c->n_symbols);

    c->sessions++;
    c->asked = 0;
    c->heard = sonic_io_now(sonic_ws_io(ws));
    if (n < 0 || n >= TEXT ||
        sonic_ws_send(ws, SONIC_WS_TEXT, text, (size_t)n) < 0)
        sonic_ws_terminate(ws);
}

static void
on_trade(struct client *c, const struct trade *t)
{
    c->trades++;
    if (c->last != 0 && t->id > c->last + 1)
        c->missed += t->id - c->last - 1;
    c->last = t->id;
    if (c->wanted == 0)
        printf("%s %s %s\n", c->venue->name, t->symbol, t->price);
    else if (c->trades == c->wanted)
        (void)sonic_ws_close(c->ws, SONIC_WS_NORMAL, NULL);
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct client *c = ud;
    struct trade t;

    c->heard = sonic_io_now(sonic_ws_io(ws));
    if (is_text(m, "pong")) {
        c->pongs++;
        c->asked = 0;
    } else if (c->venue->parse(m, &t)) {
        on_trade(c, &t);
    } else if (c->venue->acknowledged(m)) {
        c->subscribed++;
    }
}

static void
on_control(sonic_ws *ws, enum sonic_ws_opcode opcode, const uint8_t *data,
           size_t len, void *ud)
{
    struct client *c = ud;

    (void)data;
    (void)len;
    c->heard = sonic_io_now(sonic_ws_io(ws));
    c->pings += opcode == SONIC_WS_PING;
}

/* The feed may be dead though the connection is not. */
static void
on_alive(sonic_timer *timer, int err, void *ud)
{
    struct client *c = ud;
    int64_t now = sonic_io_now(sonic_timer_io(timer));

    if (err < 0 || sonic_ws_state(c->ws) != SONIC_WS_OPEN ||
        now - c->heard < c->silence)
        return;
    if (c->asked == 0 && sonic_ws_send(c->ws, SONIC_WS_TEXT, "ping", 4) >= 0)
        c->asked = now;
    else if (now - c->asked >= c->silence)
        (void)sonic_ws_connect_again(c->ws);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct client *c = ud;

    if (sonic_ws_kept(ws).next != INT64_MAX)
        printf("%s: %s; again\n", c->venue->name,
               why->reason[0] != '\0' ? why->reason : "closed");
}

/* Closed by us, or given up. */
static void
on_over(sonic_ws *ws, int err, void *ud)
{
    struct client *c = ud;

    c->err = err;
    sonic_io_stop(sonic_ws_io(ws));
}

static int
start(sonic_io *io, struct client *c)
{
    static const sonic_ws_handler handler = {
        SONIC_WS_HANDLER_INIT,    .on_open = on_open,
        .on_message = on_message, .on_control = on_control,
        .on_close = on_close,
    };
    sonic_ws_keep_options keep = SONIC_WS_KEEP_OPTIONS_INIT;
    int err = sonic_ws_new(io, NULL, &handler, c, &c->ws);

    if (err == 0)
        err = sonic_timer_new(io, &c->alive);
    if (err < 0)
        return err;
    if (c->silence > 0)
        sonic_timer_repeat(c->alive, c->silence / 4, SONIC_TICK_SKIP, on_alive,
                           c);
    keep.pause_min = 5 * MS;
    keep.tries = TRIES;
    sonic_ws_async_keep(c->ws, c->url, &keep, on_over, c);
    return 0;
}

/* ---- a server like theirs -------------------------------------------------
 */

struct server {
    const struct venue *venue;
    sonic_ws *ws; /* the one that has subscribed */
    sonic_timer *timer;
    uint64_t id;
    unsigned sessions;
    bool silent;
};

static void
server_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct server *s = ud;

    if (is_text(m, "ping")) {
        s->silent = false;
        (void)sonic_ws_send(ws, SONIC_WS_TEXT, "pong", 4);
    } else if (find(m, s->venue->symbols[0]) != NULL) {
        s->ws = ws;
        s->sessions++;
        (void)sonic_ws_send(ws, SONIC_WS_TEXT, s->venue->answer,
                            strlen(s->venue->answer));
    }
}

static void
server_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct server *s = ud;

    (void)why;
    if (s->ws == ws)
        s->ws = NULL;
}

static void
on_publish(sonic_timer *timer, int err, void *ud)
{
    struct server *s = ud;
    char text[TEXT];
    int n;

    (void)timer;
    if (err < 0 || s->ws == NULL || s->silent)
        return;
    n = s->venue->publish(text, sizeof text, s->venue->symbols[s->id % 2],
                          s->id + 1);
    s->id++;
    (void)sonic_ws_send(s->ws, SONIC_WS_TEXT, text, (size_t)n);
    if (s->venue->silence == 0 && s->id % 20 == 0)
        (void)sonic_ws_ping(s->ws, "are you there?", 14);
    if (s->venue->silence != 0 && s->id == CUT_AFTER / 2)
        s->silent = true;
    if (s->id == CUT_AFTER)
        sonic_ws_terminate(s->ws); /* without a word */
}

static int
serve(sonic_io *io, struct server *s, char *url, size_t cap)
{
    static const sonic_ws_handler handler = {
        SONIC_WS_HANDLER_INIT,
        .on_message = server_message,
        .on_close = server_close,
    };
    char address[SONIC_ADDRESS_TEXT];
    sonic_ws_server *server;
    sonic_address at;
    int err = sonic_ws_server_new(io, NULL, &handler, s, &server);

    if (err == 0)
        err = sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &at);
    if (err == 0)
        err = sonic_timer_new(io, &s->timer);
    if (err < 0)
        return err;
    sonic_address_format(&at, address, sizeof address);
    snprintf(url, cap, "ws://%s/ws", address);
    sonic_timer_repeat(s->timer, MS / 5, SONIC_TICK_SKIP, on_publish, s);
    return 0;
}

/* ---- both -----------------------------------------------------------------
 */

static int
rehearse(const struct venue *venue)
{
    char url[SONIC_ADDRESS_TEXT + 8];
    struct server s = {.venue = venue};
    struct client c = {.venue = venue,
                       .url = url,
                       .symbols = {venue->symbols[0], venue->symbols[1]},
                       .n_symbols = 2,
                       .silence = venue->silence != 0 ? 20 * MS : 0,
                       .wanted = TRADES};
    sonic_io *io = NULL;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = serve(io, &s, url, sizeof url);
    if (err == 0)
        err = start(io, &c);
    if (err == 0)
        err = sonic_io_run(io);
    sonic_io_free(io);
    printf("%s: %llu trades, %llu missed, %u sessions, %u subscriptions, "
           "%u pings answered, %u pongs\n",
           venue->name, (unsigned long long)c.trades,
           (unsigned long long)c.missed, c.sessions, c.subscribed, c.pings,
           c.pongs);
    if (err < 0 || c.err < 0)
        return err < 0 ? err : c.err;
    return c.sessions >= 2 && c.subscribed >= 2 &&
                   (venue->silence != 0 ? c.pongs : c.pings) > 0
               ? 0
               : -EPROTO;
}

static int
visit(const struct venue *venue, int argc, char **argv)
{
    struct client c = {
        .venue = venue, .url = argv[2], .silence = venue->silence};
    sonic_io *io = NULL;
    int err = sonic_io_new(&io, NULL);

    for (int i = 3; i < argc && c.n_symbols < SYMBOLS; i++)
        c.symbols[c.n_symbols++] = argv[i];
    if (err == 0)
        err = start(io, &c);
    if (err == 0)
        err = sonic_io_run(io);
    sonic_io_free(io);
    return err < 0 ? err : c.err;
}

int
main(int argc, char **argv)
{
    int err = 0;

    for (size_t i = 0; i < sizeof venues / sizeof *venues && err == 0; i++)
        if (argc < 4)
            err = rehearse(&venues[i]);
        else if (strcmp(argv[1], venues[i].name) == 0)
            err = visit(&venues[i], argc, argv);
    if (err < 0)
        fprintf(stderr, "market_data: %s\n", sonic_strerror(err));
    return err < 0;
}
