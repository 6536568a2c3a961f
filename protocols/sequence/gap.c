#include <sonicio/gap.h>

#include <assert.h>

#include "base/mem.h"
#include "base/pack.h"

/* What an event is about: messages first..last (last alone where one number is
 * meant), and the time. */
struct gap_step {
    uint64_t first, last;
    int64_t now;
    sonic_gap_range *ask;
};

typedef int fsm_act(sonic_gap *g, const struct gap_step *p);
static fsm_act act_use, act_use_on, act_use_close, act_keep, act_ask_keep,
    act_drop, act_ask, act_ask_again, act_give_up, act_go_on, act_close,
    act_settle, act_begin, act_nothing, act_impossible;

#define FSM_NAME "gap"
#define FSM_DEF "sequence/gap.def"
#define FSM_INFO sonic__gap_fsm
#include <sonicio/fsm_build.h>

_Static_assert((int)S_JOINING == (int)SONIC_GAP_JOINING &&
                   (int)S_LEVEL == (int)SONIC_GAP_LEVEL &&
                   (int)S_OPEN == (int)SONIC_GAP_OPEN &&
                   (int)S_ENDING == (int)SONIC_GAP_ENDING &&
                   (int)S_ENDED == (int)SONIC_GAP_ENDED,
               "see gap.h");

#define RETRY_DEFAULT INT64_C(100000000) /* ns */
enum { TRIES_DEFAULT = 10 };

struct sonic_gap {
    uint64_t present, future;
    int64_t since;    /* the gap was first seen */
    int64_t deadline; /* of what was asked for */
    int64_t retry;
    unsigned tries, max_tries;
    uint8_t state; /* machine: gap.def */
    const sonic_fsm_tracer *tracer;
    sonic_gap_stats stats;
    sonic_mem mem;
};

int
sonic_gap_new(const sonic_gap_options *opt, sonic_gap **out)
{
    sonic_gap_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    sonic_gap *g;

    if (err < 0)
        return err;
    if (o.retry < 0)
        return SONIC_EOPTION;
    g = mem->alloc(sizeof *g, mem->ud);
    if (g == NULL)
        return -ENOMEM;
    *g = (sonic_gap){
        .retry = o.retry != 0 ? o.retry : RETRY_DEFAULT,
        .max_tries = o.tries != 0 ? o.tries : TRIES_DEFAULT,
        .state = S_JOINING,
        .mem = *mem,
    };
    if (o.join != SONIC_ON)
        sonic_gap_restart(g, o.first != 0 ? o.first : 1);
    *out = g;
    return 0;
}

void
sonic_gap_free(sonic_gap *g)
{
    if (g != NULL)
        g->mem.free(g, sizeof *g, g->mem.ud);
}

/* ---- what has happened ------------------------------------------------ */

/* RFC 1982: a comes after b. */
static inline bool
after(uint64_t a, uint64_t b)
{
    return a != b && a - b <= (uint64_t)INT64_MAX;
}

static int
step(sonic_gap *g, enum fsm_event e, const struct gap_step *p)
{
    return fsm_step(&g->state, e, g->tracer)->act(g, p);
}

/* Messages p->first..p->last; p->last is cut to what may be used. */
static enum fsm_event
classify(const sonic_gap *g, struct gap_step *p)
{
    if ((g->state == S_ENDING || g->state == S_ENDED) &&
        after(p->last, g->future)) {
        if (after(p->first, g->future))
            return E_OLD;
        p->last = g->future;
    }
    if (!after(p->last, g->present))
        return E_OLD;
    if (!after(p->first, g->present + 1))
        return after(g->future, p->last) ? E_FILL : E_NEXT;
    return after(p->first, g->future + 1) ? E_JUMP : E_EARLY;
}

enum sonic_gap_verdict
sonic_gap_received(sonic_gap *g, uint64_t first, uint64_t count, int64_t now,
                   sonic_gap_range *ask)
{
    struct gap_step p = {first, first + count - 1, now, ask};

    *ask = (sonic_gap_range){0, 0};
    if (count == 0 || count > (uint64_t)INT64_MAX)
        return SONIC_GAP_DROP;
    if (g->state == S_JOINING)
        g->present = g->future = first - 1;
    return (enum sonic_gap_verdict)step(g, classify(g, &p), &p);
}

bool
sonic_gap_heard(sonic_gap *g, uint64_t next, int64_t now, sonic_gap_range *ask)
{
    struct gap_step p = {next, next - 1, now, ask};
    bool more = g->state == S_JOINING;

    *ask = (sonic_gap_range){0, 0};
    if (g->state == S_LEVEL || g->state == S_OPEN)
        more = after(p.last, g->future);
    if (more)
        step(g, E_HEARD, &p);
    return g->state == S_OPEN || g->state == S_ENDING;
}

void
sonic_gap_used(sonic_gap *g, uint64_t last, int64_t now)
{
    struct gap_step p = {last, last, now, NULL};

    if ((g->state != S_OPEN && g->state != S_ENDING) ||
        !after(last, g->present))
        return;
    if (after(last, g->future))
        p.last = g->future;
    g->stats.used += p.last - g->present;
    step(g, p.last == g->future ? E_CLOSED : E_USED, &p);
}

void
sonic_gap_skip(sonic_gap *g, uint64_t last, int64_t now)
{
    struct gap_step p = {last, last, now, NULL};
    bool open = g->state == S_OPEN || g->state == S_ENDING;

    if (g->state == S_ENDED)
        return;
    if (g->state != S_JOINING) {
        if (!after(last, g->present))
            return;
        if (g->state == S_ENDING && after(last, g->future))
            p.last = g->future;
        g->stats.lost += p.last - g->present;
    }
    step(g, open && after(g->future, p.last) ? E_USED : E_CLOSED, &p);
}

int64_t
sonic_gap_deadline(const sonic_gap *g)
{
    return g->state == S_OPEN || g->state == S_ENDING ? g->deadline : INT64_MAX;
}

int
sonic_gap_late(sonic_gap *g, int64_t now, sonic_gap_range *ask)
{
    struct gap_step p = {0, 0, now, ask};

    *ask = (sonic_gap_range){0, 0};
    if ((g->state != S_OPEN && g->state != S_ENDING) || now < g->deadline)
        return 0;
    return step(g, g->tries < g->max_tries ? E_LATE : E_SPENT, &p);
}

void
sonic_gap_end(sonic_gap *g, int64_t now)
{
    struct gap_step p = {0, 0, now, NULL};

    step(g, E_END, &p);
}

void
sonic_gap_restart(sonic_gap *g, uint64_t first)
{
    struct gap_step p = {first, first - 1, 0, NULL};

    step(g, E_RESTART, &p);
}

void
sonic_gap_rejoin(sonic_gap *g)
{
    struct gap_step p = {0, 0, 0, NULL};

    step(g, E_REJOIN, &p);
}

/* ---- what is done about it -------------------------------------------- */

static int64_t
retry_time(const sonic_gap *g, int64_t now)
{
    return now > INT64_MAX - g->retry ? INT64_MAX : now + g->retry;
}

/* All up to p->last is used. */
static int
act_go_on(sonic_gap *g, const struct gap_step *p)
{
    g->present = p->last;
    g->tries = 1;
    g->deadline = retry_time(g, p->now);
    return 0;
}

static int
act_settle(sonic_gap *g, const struct gap_step *p)
{
    g->present = g->future = p->last;
    return 0;
}

static int
act_begin(sonic_gap *g, const struct gap_step *p)
{
    return act_settle(g, p);
}

static int
act_close(sonic_gap *g, const struct gap_step *p)
{
    g->stats.last = p->now - g->since;
    if (g->stats.last > g->stats.longest)
        g->stats.longest = g->stats.last;
    return act_settle(g, p);
}

static int
act_use(sonic_gap *g, const struct gap_step *p)
{
    g->stats.used += p->last - g->present;
    act_settle(g, p);
    return SONIC_GAP_USE;
}

static int
act_use_on(sonic_gap *g, const struct gap_step *p)
{
    g->stats.used += p->last - g->present;
    act_go_on(g, p);
    return SONIC_GAP_USE;
}

static int
act_use_close(sonic_gap *g, const struct gap_step *p)
{
    g->stats.used += p->last - g->present;
    act_close(g, p);
    return SONIC_GAP_USE;
}

static int
act_drop(sonic_gap *g, const struct gap_step *p)
{
    g->stats.dropped += p->last - p->first + 1;
    return SONIC_GAP_DROP;
}

static int
act_keep(sonic_gap *g, const struct gap_step *p)
{
    g->stats.kept += p->last - p->first + 1;
    if (after(p->last, g->future))
        g->future = p->last;
    return SONIC_GAP_KEEP;
}

/* Those between future and p->first.  The deadline of an older gap stands. */
static int
act_ask(sonic_gap *g, const struct gap_step *p)
{
    if (g->present == g->future) {
        g->since = p->now;
        g->deadline = retry_time(g, p->now);
        g->tries = 1;
        g->stats.gaps++;
    }
    *p->ask = (sonic_gap_range){g->future + 1, p->first - g->future - 1};
    g->stats.asked += p->ask->count;
    g->future = p->first - 1;
    return 0;
}

static int
act_ask_keep(sonic_gap *g, const struct gap_step *p)
{
    act_ask(g, p);
    return act_keep(g, p);
}

static int
act_give_up(sonic_gap *g, const struct gap_step *p)
{
    *p->ask = (sonic_gap_range){g->present + 1, g->future - g->present};
    g->deadline = retry_time(g, p->now);
    return -ETIMEDOUT;
}

static int
act_ask_again(sonic_gap *g, const struct gap_step *p)
{
    act_give_up(g, p);
    g->tries++;
    g->stats.retries++;
    return 0;
}

static int
act_nothing(sonic_gap *g, const struct gap_step *p)
{
    (void)g;
    (void)p;
    return 0;
}

static int
act_impossible(sonic_gap *g, const struct gap_step *p)
{
    (void)g;
    (void)p;
    assert(false && "a cell that cannot be reached");
    return 0;
}

/* ---- looking at it ---------------------------------------------------- */

enum sonic_gap_state
sonic_gap_state(const sonic_gap *g)
{
    return (enum sonic_gap_state)g->state;
}

uint64_t
sonic_gap_next(const sonic_gap *g)
{
    return g->state == S_JOINING ? 0 : g->present + 1;
}

uint64_t
sonic_gap_future(const sonic_gap *g)
{
    return g->state == S_JOINING ? 0 : g->future;
}

void
sonic_gap_get_stats(const sonic_gap *g, sonic_gap_stats *out)
{
    *out = g->stats;
}

void
sonic_gap_trace(sonic_gap *g, const sonic_fsm_tracer *tracer)
{
    g->tracer = tracer;
}
