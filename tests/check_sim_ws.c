/* Seeded WebSocket sessions: clients and a server on one io in simulated
 * worlds.  Every message arrives once, whole, in order; every operation
 * completes once; every connection closes once, and cleanly where nothing is
 * to fail. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/sim_plan.h"
#include "support/sim_ws.h"

#define S INT64_C(1000000000)

enum { SEEDS = 1200, FAIL_SEEDS = 3, MAX_LOOKS = 5000 };

static struct ws_end clients[WS_PAIRS], servers[WS_PAIRS];
static size_t pairs;
static sonic_ws_server *server;
static sonic_timer *watch;
static unsigned looks;

/* The path tells which client it is. */
static void
on_upgrade(sonic_ws *ws, const sonic_ws_head *head, sonic_ws_reply *reply,
           void *ud)
{
    size_t len;
    const char *target = sonic_ws_head_target(head, &len);
    struct ws_end *e;

    (void)ws;
    (void)ud;
    if (len != 2 || target[1] < '0' || target[1] >= '0' + (int)pairs) {
        reply->status = 404;
        return;
    }
    e = &servers[target[1] - '0'];
    reply->handler = &e->handler;
    reply->ud = e;
}

static bool
by_frames(const struct ws_end *e)
{
    return e->mode == WS_FRAMES || e->mode == WS_READ_FRAME;
}

/* Any way to compress; frames are as they are on the wire, so not with them. */
static void
set_deflate(struct session *s, sonic_ws_options *opt,
            sonic_ws_deflate_options *d, bool on)
{
    static const enum sonic_switch some[] = {SONIC_DEFAULT, SONIC_ON,
                                             SONIC_OFF};

    *d = (sonic_ws_deflate_options)SONIC_WS_DEFLATE_OPTIONS_INIT;
    opt->deflate = d;
    if (!on || sonic_sim_below(s->sim, 4) == 0)
        d->on = SONIC_OFF;
    d->level = (int)sonic_sim_below(s->sim, 10);
    d->memory_level = (int)sonic_sim_below(s->sim, 10);
    d->window_bits = 8 + (int)sonic_sim_below(s->sim, 8);
    d->peer_window_bits = 8 + (int)sonic_sim_below(s->sim, 8);
    d->takeover = some[sonic_sim_below(s->sim, 3)];
    d->peer_takeover = some[sonic_sim_below(s->sim, 3)];
    d->threshold = (size_t)sonic_sim_below(s->sim, 100);
}

static void
set_options(struct session *s, sonic_ws_options *opt)
{
    opt->handshake_timeout = 600 * S;
    opt->close_timeout = 60 * S;
    if (sonic_sim_below(s->sim, 2) == 0) {
        opt->ping_interval = 1 + (int64_t)sonic_sim_below(s->sim, S);
        opt->pong_timeout = 600 * S;
        opt->read_idle = 600 * S;
    }
    if (sonic_sim_below(s->sim, 2) == 0) {
        opt->low_water = 1 + (size_t)sonic_sim_below(s->sim, 5000);
        opt->high_water = 5000 + (size_t)sonic_sim_below(s->sim, 60000);
    }
}

/* All clients are over, and no connection is left: end the server. */
static void
on_watch(sonic_timer *timer, int err, void *ud)
{
    struct session *s = ud;
    size_t i;

    (void)timer;
    if (err < 0) {
        s->completed++;
        return;
    }
    if (looks++ == MAX_LOOKS)
        session_wrong(s, "a connection is left over");
    for (i = 0; i < pairs && looks < MAX_LOOKS; i++) {
        if (clients[i].ws != NULL && !clients[i].over)
            return;
    }
    if (looks < MAX_LOOKS && sonic_ws_server_count(server) > 0)
        return;
    sonic_ws_server_free(server);
    server = NULL;
    sonic_timer_cancel(timer);
}

static int
connect_over(struct session *s, struct ws_end *client, const char *url)
{
    sonic_stream *streams[2];
    int err = session_pair(s, streams);

    if (err < 0)
        return err;
    client->connecting = true;
    s->started++;
    sonic_ws_async_upgrade(client->ws, streams[0], url, ws_end_connected,
                           client);
    return sonic_ws_server_accept(server, streams[1], NULL);
}

static int
start_client(struct session *s, size_t i, uint16_t port)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_deflate_options deflate;
    struct ws_end *c = &clients[i];
    char url[64];
    int err;

    ws_end_init(c, s, &servers[i]);
    ws_end_init(&servers[i], s, c);
    c->closer = sonic_sim_below(s->sim, 2) == 0;
    servers[i].closer = !c->closer || sonic_sim_below(s->sim, 4) == 0;
    set_options(s, &opt);
    set_deflate(s, &opt, &deflate, !by_frames(c) && !by_frames(&servers[i]));
    err = sonic_ws_new(s->io, &opt, &c->handler, c, &c->ws);
    if (err < 0) {
        c->ws = NULL;
        return err;
    }
    snprintf(url, sizeof url, "ws://localhost:%d/%d", port, (int)i);
    if (sonic_sim_below(s->sim, 2) == 0)
        return connect_over(s, c, url);
    c->connecting = true;
    s->started++;
    sonic_ws_async_connect(c->ws, url, ws_end_connected, c);
    return 0;
}

static int
start(struct session *s)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_deflate_options deflate;
    sonic_address at;
    size_t n = 1 + (size_t)sonic_sim_below(s->sim, WS_PAIRS);
    int err;

    opt.on_upgrade = on_upgrade;
    set_options(s, &opt);
    set_deflate(s, &opt, &deflate, true);
    err = sonic_ws_server_new(s->io, &opt, NULL, NULL, &server);
    if (err < 0) {
        server = NULL;
        return err;
    }
    err = sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &at);
    if (err == 0)
        err = sonic_timer_new(s->io, &watch);
    if (err < 0)
        return err;
    s->started++;
    sonic_timer_repeat(watch, S, SONIC_TICK_SKIP, on_watch, s);
    while (pairs < n) {
        pairs++;
        err = start_client(s, pairs - 1, sonic_address_port(&at));
        if (err < 0)
            return err;
    }
    return 0;
}

static void
run(struct session *s)
{
    size_t i;
    int err;

    pairs = 0;
    looks = 0;
    server = NULL;
    watch = NULL;
    memset(clients, 0, sizeof clients);
    memset(servers, 0, sizeof servers);
    err = start(s);
    if (err < 0 && !s->may_fail)
        session_wrong(s, sonic_errname(err));
    if (err == 0)
        session_run(s);
    for (i = 0; i < pairs; i++) {
        ws_end_free(&clients[i]);
        ws_end_free(&servers[i]);
    }
    if (server != NULL)
        sonic_ws_server_free(server);
    sonic_timer_free(watch);
}

static void
look_at(struct session *s, const struct ws_end *e)
{
    size_t i;

    for (i = 0; i < WS_SENDS; i++) {
        if (e->sends[i].busy)
            session_wrong(s, "a send never completed");
    }
    if (e->reading || e->connecting)
        session_wrong(s, "a read or connect never completed");
    if (s->may_fail)
        return;
    if (!e->opened)
        session_wrong(s, "a connection never opened");
    else if (e->got != e->other->to_send)
        session_wrong(s, "messages were lost");
    else if (!e->why.clean || e->why.code != SONIC_WS_NORMAL ||
             e->why.error != 0)
        session_wrong(s, "a connection did not close cleanly");
}

static void
look(struct session *s)
{
    size_t i;

    for (i = 0; i < pairs; i++) {
        look_at(s, &clients[i]);
        look_at(s, &servers[i]);
    }
}

START_TEST(sessions_survive_every_world)
{
    plan_seeds(run, look, SEEDS);
}
END_TEST

int
main(void)
{
    return plan_main("sim_ws", sessions_survive_every_world, run, look,
                     FAIL_SEEDS);
}
