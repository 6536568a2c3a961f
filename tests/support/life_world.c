#include "life_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/session.h"

#define S INT64_C(1000000000)

enum { STEPS = 300, CALLS = 400000, MESSAGE_MOST = 200000 };

unsigned long life_seen[LIFE_PLACES][LIFE_ENDS][LIFE_STATES];
static struct life the_life;

const char *
life_deed_name(enum life_deed deed)
{
    static const char *const names[] = {
#define X(name) #name,
        LIFE_DEED_LIST(X)
#undef X
    };

    return names[deed];
}

const char *
life_place_name(enum life_place place)
{
    static const char *const names[] = {
#define X(name) #name,
        LIFE_PLACE_LIST(X)
#undef X
    };

    return names[place];
}

struct life *
life_now(void)
{
    return &the_life;
}

/* The first thing is kept. */
void
life_wrong(struct life *l, const char *what)
{
    if (l->wrong == NULL)
        l->wrong = what;
}

/* ---- operations -------------------------------------------------------- */

/* What goes along with an operation: whose it is, and its number. */
void *
life_begin_op(struct life *l, unsigned end)
{
    if (l->ops + 1 == LIFE_OPS)
        life_wrong(l, "too many operations for the test");
    else
        l->ops++;
    return (void *)(uintptr_t)(l->ops << 1 | end);
}

unsigned
life_end_op(struct life *l, void *ud)
{
    uintptr_t n = (uintptr_t)ud;

    if (l->op[n >> 1]++ > 0)
        life_wrong(l, "an operation completed twice");
    return n & 1;
}

/* ---- places ------------------------------------------------------------ */

void
life_at(struct life *l, unsigned end, enum life_place place)
{
    const sonic_ws *ws = l->end[end].ws;

    if (ws != NULL)
        life_seen[place][end][ws->state]++;
    if (l->io_ending)
        return;
    if (++l->places != l->deeds.at || l->done)
        return;
    l->done = true;
    life_do(l, l->deeds.deed, l->deeds.whom);
    if (!l->io_ending)
        life_do(l, l->deeds.then, l->deeds.whom);
}

/* ---- a life ------------------------------------------------------------ */

static int
open_sim(struct life *l, unsigned seed)
{
    sonic_sim_options world = SONIC_SIM_OPTIONS_INIT;
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    int err;

    world.seed = seed;
    world.latency_max = 1000000;
    world.call_limit = CALLS;
    world.trace = 1;
    err = sonic_sim_new(&l->sim, &world);
    if (err < 0)
        return err;
    opt.sys = sonic_sim_sys(l->sim);
    opt.mem = sonic_sim_mem(l->sim);
    opt.backend = seed % 2 == 0 ? SONIC_BACKEND_EPOLL : SONIC_BACKEND_POLL;
    opt.buffer_size = 8192;
    return sonic_io_new(&l->io, &opt);
}

/* Step by step, with a place between two steps. */
static void
run(struct life *l)
{
    for (unsigned i = 0; i < STEPS && l->io != NULL && !l->io_ending; i++) {
        int r;

        life_at(l, LIFE_CLIENT, LIFE_AT_BETWEEN);
        if (l->io == NULL)
            return;
        if (l->end[LIFE_SERVER].ws != NULL) {
            life_at(l, LIFE_SERVER, LIFE_AT_BETWEEN);
            if (l->io == NULL)
                return;
        }
        if (sonic_io_pending(l->io) == 0)
            break;
        r = sonic_io_run_one_for(l->io, 20 * S);
        if (r == -EDEADLK || r == -ETIMEDOUT)
            break;
        if (r < 0 && r != SONIC_ECLOSED)
            life_wrong(l, sonic_errname(r));
    }
}

/* Whoever is still there is freed. */
static void
tidy(struct life *l)
{
    bool was_freed = l->io == NULL;

    if (!was_freed && !l->io_ending) {
        struct life_end *c = &l->end[LIFE_CLIENT];

        c->freed = true;
        sonic_ws_free(c->ws);
        c->ws = NULL;
        if (l->server != NULL) {
            l->end[LIFE_SERVER].freed = true;
            sonic_ws_server_free(l->server);
        }
        sonic_listener_free(l->listener);
        sonic_stream_free(l->proxied);
        (void)sonic_io_poll(l->io);
    }
    l->io_ending = true;
    if (!was_freed)
        sonic_io_free(l->io);
    l->io = NULL;
}

static void
check(struct life *l)
{
    for (size_t i = 1; i <= l->ops; i++)
        if (l->op[i] == 0)
            life_wrong(l, "an operation never completed");
    for (unsigned i = 0; i < LIFE_ENDS; i++) {
        struct life_end *e = &l->end[i];

        if (e->closes > e->begun)
            life_wrong(l, "a connection ended more than once");
        if (!e->freed && !e->muted && e->closes < e->begun)
            life_wrong(l, "a connection did not end");
        if (e->opens > e->begun)
            life_wrong(l, "a connection opened more than once");
    }
    if (sonic_sim_stats(l->sim)->bad_fd > 0)
        life_wrong(l, "a descriptor was used after its close");
}

const char *
life_run(const struct life_plan *plan, const struct life_deeds *deeds,
         unsigned seed, unsigned long *places)
{
    struct life *l = &the_life;
    static uint8_t payload[MESSAGE_MOST];
    static char what[96];
    sonic_sim_leaks leaks;
    int err;

    memset(l, 0, sizeof *l);
    memset(payload, 'x', sizeof payload);
    l->plan = plan;
    l->deeds = *deeds;
    l->payload = payload;
    err = open_sim(l, seed);
    if (err == 0)
        err = life_open_world(l);
    if (err < 0)
        return sonic_errname(err);
    life_at(l, LIFE_CLIENT, LIFE_AT_BETWEEN);
    life_connect(l);
    run(l);
    tidy(l);
    check(l);
    if (sonic_sim_free(l->sim, &leaks) < 0 && l->wrong == NULL) {
        snprintf(what, sizeof what, "%s", leaks.what);
        l->wrong = what;
    }
    *places = l->places;
    return l->wrong;
}
