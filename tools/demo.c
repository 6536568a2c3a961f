#include "demo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GRACE (5 * NS_PER_S) /* for the last messages, for the end */
#define SCREEN_INTERVAL (NS_PER_S / 5)

void
demo_fail(struct demo *d, int err, const char *what, const char *why)
{
    if (d->err == 0) {
        d->err = err < 0 ? err : SONIC_EOF;
        snprintf(d->why, sizeof d->why, "%s: %s", what, why);
    }
    sonic_io_stop(d->io);
}

/* ---- the course of it ------------------------------------------------- */

static void
sum_up(struct demo *d)
{
    struct demo_verdict *v = &d->verdict;

    for (unsigned i = 0; i < d->opt->clients; i++) {
        struct seller *s = &d->seller[i];
        struct buyer *b = s->buyer;

        if (b == NULL)
            continue;
        feed_finish(&b->quotes, s->quotes);
        feed_finish(&s->acks, b->acks);
        v->messages += s->quotes + b->acks;
        v->lost += b->quotes.lost + s->acks.lost;
        v->reordered += b->quotes.reordered + s->acks.reordered;
        v->corrupt += b->quotes.corrupt + s->acks.corrupt;
    }
}

static void
on_end(sonic_timer *timer, int err, void *ud)
{
    struct demo *d = ud;

    (void)timer;
    if (err == 0)
        demo_fail(d, -ETIMEDOUT, "closing", sonic_strerror(-ETIMEDOUT));
}

/* All messages are there, or will not come. */
void
demo_finish(struct demo *d)
{
    d->ending = true;
    sum_up(d);
    sonic_timer_cancel(d->clock);
    sonic_timer_once(d->clock, GRACE, on_end, d);
    for (unsigned i = 0; i < d->opt->clients; i++)
        link_close(&d->buyer[i].link);
}

static void
on_grace(sonic_timer *timer, int err, void *ud)
{
    (void)timer;
    if (err == 0)
        demo_finish(ud);
}

static void
on_stop(sonic_timer *timer, int err, void *ud)
{
    struct demo *d = ud;

    if (err < 0)
        return;
    d->figures.calls = d->counting.calls - d->figures.calls;
    d->figures.allocs = d->counting.allocs - d->figures.allocs;
    d->figures.end = monotonic_now();
    d->measuring = false;
    d->stopping = true;
    sonic_timer_once(timer, GRACE, on_grace, d);
}

static void
on_warm(sonic_timer *timer, int err, void *ud)
{
    struct demo *d = ud;

    if (err < 0)
        return;
    for (unsigned i = 0; i < DEMO_PROTOS; i++) {
        sonic_histogram_reset(d->figures.latency[i]);
        d->figures.messages[i] = 0;
    }
    d->figures.calls = d->counting.calls;
    d->figures.allocs = d->counting.allocs;
    d->figures.begin = monotonic_now();
    d->measuring = true;
    sonic_timer_once(timer, d->opt->duration, on_stop, d);
}

static void
on_screen(sonic_timer *timer, int err, void *ud)
{
    (void)timer;
    if (err == 0)
        demo_draw_screen(ud);
}

void
demo_begin(struct demo *d)
{
    d->started = monotonic_now();
    sonic_timer_once(d->clock, d->opt->warmup, on_warm, d);
    if (demo_has_screen(d))
        sonic_timer_repeat(d->screen, SCREEN_INTERVAL, SONIC_TICK_SKIP,
                           on_screen, d);
    for (unsigned i = 0; i < d->opt->clients; i++)
        demo_publish(&d->seller[i]);
}

/* ---- setting up ------------------------------------------------------- */

static int
make_io(struct demo *d)
{
    sonic_io_options iopt = SONIC_IO_OPTIONS_INIT;
    int err;

    counting_init(&d->counting);
    iopt.backend = d->opt->backend;
    iopt.sys = &d->counting.sys;
    iopt.mem = &d->counting.mem;
    err = sonic_io_new(&d->io, &iopt);
    if (err < 0)
        return err;
    sonic_io_work_begin(d->io);
    err = sonic_timer_new(d->io, &d->clock);
    return err < 0 ? err : sonic_timer_new(d->io, &d->screen);
}

static int
make_memory(struct demo *d)
{
    int err = 0;

    d->buyer = calloc(d->opt->clients, sizeof *d->buyer);
    d->seller = calloc(d->opt->clients, sizeof *d->seller);
    d->scratch = malloc(d->opt->size);
    if (d->buyer == NULL || d->seller == NULL || d->scratch == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < DEMO_PROTOS && err == 0; i++)
        err = sonic_histogram_new(NULL, &d->figures.latency[i]);
    return err;
}

static int
make_servers(struct demo *d)
{
    sonic_address bound;
    char text[SONIC_ADDRESS_TEXT];
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    int err = 0;

    if (d->opt->tls)
        err = secure_both(d->io, &d->tls_server, &d->tls_client);
    opt.deflate = &d->opt->deflate;
    opt.tls = d->tls_server;
    if (err == 0)
        err = sonic_ws_server_new(d->io, &opt, &demo_ws_handler, d, &d->server);
    if (err == 0)
        err = sonic_ws_server_listen(d->server, "127.0.0.1:0", NULL, &bound);
    if (err < 0)
        return err;
    sonic_address_format(&bound, text, sizeof text);
    snprintf(d->where[LINK_WS], sizeof d->where[LINK_WS], "%s://%s/",
             d->opt->tls ? "wss" : "ws", text);
    err = sonic_listener_new(d->io, "127.0.0.1:0", NULL, &d->listener);
    if (err == 0)
        err = sonic_listener_address(d->listener, &bound);
    if (err < 0)
        return err;
    sonic_address_format(&bound, d->where[LINK_FRAME],
                         sizeof d->where[LINK_FRAME]);
    sonic_listener_async_accept(d->listener, demo_on_accept, d);
    return 0;
}

static void
connect_buyers(struct demo *d)
{
    for (unsigned i = 0; i < d->opt->clients && d->err == 0; i++) {
        struct buyer *b = &d->buyer[i];

        b->demo = d;
        b->quotes.feed = 2 * (uint64_t)i;
        b->quotes.size = d->opt->size;
        b->link.owner = b;
        b->link.events = &demo_buyer_events;
        b->link.deflate = &d->opt->deflate;
        b->link.tls = d->tls_client;
        b->link.proto = i % 2 == 0 ? LINK_WS : LINK_FRAME;
        link_connect(&b->link, d->io, d->where[b->link.proto]);
    }
}

int
demo_run(struct demo *d, const struct demo_options *opt)
{
    int err;

    memset(d, 0, sizeof *d);
    d->opt = opt;
    err = make_io(d);
    if (err == 0)
        err = make_memory(d);
    if (err == 0)
        err = make_servers(d);
    if (err == 0) {
        connect_buyers(d);
        err = run_io(d->io, RUN_BLOCKING);
    }
    if (err < 0)
        snprintf(d->why, sizeof d->why, "%s", sonic_strerror(err));
    return err < 0 ? err : d->err;
}

void
demo_free(struct demo *d)
{
    for (unsigned i = 0; d->buyer != NULL && i < d->opt->clients; i++)
        link_drop(&d->buyer[i].link);
    for (unsigned i = 0; d->seller != NULL && i < d->arrived; i++)
        link_drop(&d->seller[i].link);
    if (d->server != NULL)
        sonic_ws_server_free(d->server);
    sonic_io_free(d->io);
    sonic_tls_context_free(d->tls_server);
    sonic_tls_context_free(d->tls_client);
    for (unsigned i = 0; i < DEMO_PROTOS; i++)
        sonic_histogram_free(d->figures.latency[i]);
    free(d->buyer);
    free(d->seller);
    free(d->scratch);
}
