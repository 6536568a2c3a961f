/* ws_latency - the round trip of a WebSocket ping
 *
 *     ws_latency                 against a server of its own, on this thread
 *     ws_latency URL [COUNT]     against another, such as ws://HOST:PORT/
 *
 * Each ping carries the time it was sent; the peer returns it in its pong (RFC
 * 6455 section 5.5.3), without its program having to do anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

#define HALF_A_SECOND INT64_C(500000000)

struct test {
    sonic_histogram *h;
    uint64_t count;
    int64_t until; /* stop with whatever there is; 0: never */
    int err;
};

static void
send_ping(sonic_ws *ws, struct test *t)
{
    int64_t now = sonic_clock_monotonic(NULL);
    int err = sonic_ws_ping(ws, &now, sizeof now);

    if (err < 0) {
        t->err = err;
        sonic_ws_terminate(ws);
    }
}

static void
on_open(sonic_ws *ws, void *ud)
{
    send_ping(ws, ud);
}

static void
on_control(sonic_ws *ws, enum sonic_ws_opcode opcode, const uint8_t *data,
           size_t len, void *ud)
{
    struct test *t = ud;
    int64_t sent, now = sonic_clock_monotonic(NULL);

    if (opcode != SONIC_WS_PONG || len != sizeof sent)
        return;
    memcpy(&sent, data, sizeof sent);
    sonic_histogram_record(t->h, now - sent);
    if (sonic_histogram_count(t->h) == t->count ||
        (t->until != 0 && now > t->until))
        (void)sonic_ws_close(ws, SONIC_WS_NORMAL, NULL);
    else
        send_ping(ws, t);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct test *t = ud;

    if (!why->clean && t->err == 0)
        t->err = why->error < 0 ? why->error : SONIC_EWS_ABNORMAL;
    sonic_io_stop(sonic_ws_io(ws));
}

/* A connection that nobody takes messages from is not read from. */
static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)m;
    (void)ud;
}

static int
serve(sonic_io *io, char *url, size_t cap)
{
    static const sonic_ws_handler nothing = {SONIC_WS_HANDLER_INIT,
                                             .on_message = on_message};
    char address[SONIC_ADDRESS_TEXT];
    sonic_ws_server *server;
    sonic_address at;
    int err = sonic_ws_server_new(io, NULL, &nothing, NULL, &server);

    if (err == 0)
        err = sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &at);
    if (err < 0)
        return err;
    sonic_address_format(&at, address, sizeof address);
    snprintf(url, cap, "ws://%s/", address);
    return 0;
}

int
main(int argc, char **argv)
{
    static const sonic_ws_handler handler = {
        SONIC_WS_HANDLER_INIT,    .on_open = on_open,
        .on_message = on_message, .on_control = on_control,
        .on_close = on_close,
    };
    char url[SONIC_ADDRESS_TEXT + 8] = "";
    struct test t = {.count = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000};
    sonic_io *io = NULL;
    sonic_ws *ws;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = sonic_histogram_new(NULL, &t.h);
    if (err == 0 && argc < 2)
        err = serve(io, url, sizeof url);
    if (err == 0)
        err = sonic_ws_new(io, NULL, &handler, &t, &ws);
    if (err == 0) {
        if (argc < 2)
            t.until = sonic_clock_monotonic(NULL) + HALF_A_SECOND;
        sonic_ws_async_connect(ws, argc < 2 ? url : argv[1], NULL, NULL);
        err = sonic_io_run(io);
    }
    if (err >= 0)
        err = t.err;
    if (err == 0) {
        printf("ping to pong, %llu times\n",
               (unsigned long long)sonic_histogram_count(t.h));
        err = sonic_histogram_draw(t.h, stdout, NULL);
    }
    if (err < 0)
        fprintf(stderr, "ws_latency: %s\n", sonic_strerror(err));
    sonic_histogram_free(t.h);
    sonic_io_free(io);
    return err < 0;
}
