/* websocket_broadcast - one feed, many WebSocket clients, and a slow one
 *
 *     websocket_broadcast             itself and 50 clients; it ends by itself
 *     websocket_broadcast ADDRESS     the feed alone, until it is killed
 *
 * Each tick is encoded once and sent to all of them, without a copy for each;
 * whoever does not read misses ticks, and holds up nobody. */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { CLIENTS = 50, TICKS = 200, PAYLOAD = 4096, MS = 1000000 };

/* ---- the feed ---------------------------------------------------------- */

struct feed {
    sonic_ws_server *server;
    unsigned ticks, most; /* sent; 0: no end */
    size_t missed;        /* by anybody */
};

/* A table of prices, say. */
static size_t
snapshot(char *to, size_t cap, unsigned number)
{
    size_t n = (size_t)snprintf(to, cap, "{\"seq\":%u,\"px\":[", number);

    for (unsigned i = 0; n < PAYLOAD; i++)
        n += (size_t)snprintf(to + n, cap - n, "%u.%02u,", 100 + i % 7,
                              (number + i) % 100);
    return n + (size_t)snprintf(to + n, cap - n, "0]}");
}

static void
on_drained(sonic_ws_server *server, int err, const sonic_ws_drained *counts,
           void *ud)
{
    (void)server;
    (void)ud;
    if (err == 0) /* the slow one never answers */
        printf("%zu said goodbye, %zu were reset\n", counts->clean,
               counts->reset);
}

static void
on_tick(sonic_timer *t, int err, void *ud)
{
    struct feed *f = ud;
    sonic_ws_broadcast_counts counts;
    sonic_ws_prepared *tick;
    char text[PAYLOAD + 64];

    if (err < 0)
        return;
    if (f->most > 0 && f->ticks == f->most) {
        sonic_timer_cancel(t);
        sonic_ws_server_async_drain(f->server, 100 * MS, on_drained, NULL);
        return;
    }
    if (sonic_ws_prepared_new(sonic_timer_io(t), SONIC_WS_TEXT, text,
                              snapshot(text, sizeof text, ++f->ticks),
                              &tick) < 0)
        return; /* no memory: this tick is missed by all */
    if (sonic_ws_broadcast(f->server, tick, SONIC_WS_SLOW_DROP, &counts) == 0)
        f->missed += counts.dropped;
    sonic_ws_prepared_free(tick); /* what waits holds on to it */
}

static int
serve(sonic_io *io, struct feed *f, const char *address, char *bound)
{
    /* Less than the defaults, so that a slow one is soon known to be. */
    sonic_socket_options small = SONIC_SOCKET_OPTIONS_INIT;
    sonic_listener_options listener = SONIC_LISTENER_OPTIONS_INIT;
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_address at;
    int err;

    opt.low_water = 16 << 10;
    opt.high_water = 64 << 10;
    small.send_buffer = 32 << 10;
    listener.accepted = &small;
    err = sonic_ws_server_new(io, &opt, NULL, NULL, &f->server);
    if (err == 0)
        err = sonic_ws_server_listen(f->server, address, &listener, &at);
    if (err < 0)
        return err;
    sonic_address_format(&at, bound, SONIC_ADDRESS_TEXT);
    printf("a tick every millisecond on ws://%s/\n", bound);
    fflush(stdout);
    return 0;
}

/* ---- clients ----------------------------------------------------------- */

struct client {
    sonic_ws *ws;
    unsigned heard, last;
    bool slow;
};

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct client *c = ud;
    unsigned seq;

    if (sscanf((const char *)m->data, "{\"seq\":%u,", &seq) != 1 ||
        seq <= c->last) {
        fprintf(stderr, "not in order\n");
        sonic_ws_terminate(ws);
        return;
    }
    c->last = seq;
    c->heard++;
    if (c->slow && c->heard == 1)
        sonic_ws_pause(ws); /* it never reads again */
}

static void
visit(sonic_io *io, struct client *c, const char *url)
{
    static const sonic_ws_handler handler = {SONIC_WS_HANDLER_INIT,
                                             .on_message = on_message};
    sonic_socket_options small = SONIC_SOCKET_OPTIONS_INIT;
    sonic_connect_options connect = SONIC_CONNECT_OPTIONS_INIT;
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_deflate_options deflate = SONIC_WS_DEFLATE_OPTIONS_INIT;

    small.receive_buffer = 32 << 10;
    connect.socket = &small;
    opt.connect = &connect;
    /* The slow one as it came: compressed it would fit into the sockets. */
    deflate.on = c->slow ? SONIC_OFF : SONIC_DEFAULT;
    opt.deflate = &deflate;
    if (sonic_ws_new(io, &opt, &handler, c, &c->ws) == 0)
        sonic_ws_async_connect(c->ws, url, NULL, NULL);
}

static int
judge(const struct client *c, const struct feed *f)
{
    unsigned least = TICKS;

    for (int i = 1; i < CLIENTS; i++)
        least = c[i].heard < least ? c[i].heard : least;
    printf("%u ticks; %d clients heard at least %u of them, the slow one"
           " missed %zu\n",
           f->ticks, CLIENTS - 1, least, f->missed);
    /* they joined while it ran */
    return least >= TICKS / 2 && f->missed > TICKS / 2 ? 0 : SONIC_ESTATE;
}

int
main(int argc, char **argv)
{
    static struct client clients[CLIENTS];
    char address[SONIC_ADDRESS_TEXT], url[SONIC_ADDRESS_TEXT + 8];
    struct feed feed = {.most = argc > 1 ? 0 : TICKS};
    sonic_io *io = NULL;
    sonic_timer *timer;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = serve(io, &feed, argc > 1 ? argv[1] : "127.0.0.1:0", address);
    if (err == 0)
        err = sonic_timer_new(io, &timer);
    if (err == 0) {
        snprintf(url, sizeof url, "ws://%s/", address);
        for (int i = 0; i < CLIENTS && argc == 1; i++) {
            clients[i].slow = i == 0;
            visit(io, &clients[i], url);
        }
        sonic_timer_repeat(timer, MS, SONIC_TICK_SKIP, on_tick, &feed);
        err = sonic_io_run(io);
    }
    if (err >= 0 && argc == 1)
        err = judge(clients, &feed);
    if (err < 0)
        fprintf(stderr, "websocket_broadcast: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
