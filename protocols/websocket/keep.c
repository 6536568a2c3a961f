/* A client's connection that comes back: see <sonicio/websocket_keep.h> and
 * keep.def.  The session says what happens to it (opened, ended); what was
 * kept is told of its own end after the session has told of its. */
#include <sonicio/websocket_keep.h>

#include <assert.h>
#include <errno.h>

#include "base/pack.h"
#include "websocket/session.h"

#define MS INT64_C(1000000) /* nanoseconds */

struct sonic__ws_keep {
    sonic_ws *ws;
    sonic_ws_keep_options opt;
    sonic_ws_fn *cb;
    void *ud;
    char *url;
    sonic_timer *timer;
    int64_t pause, opened; /* the last one; time */
    sonic_ws_keeping seen;
    int outcome;
    uint8_t state;
    bool cut;    /* the end that comes is the caller's wish */
    bool posted; /* on_told is on its way */
};

typedef void fsm_act(struct sonic__ws_keep *k);
static fsm_act act_note_open, act_pause, act_cancel, act_cut, act_attempt,
    act_nothing, act_impossible;

#define FSM_NAME "ws-keep"
#define FSM_DEF "websocket/keep.def"
#define FSM_INFO sonic__ws_keep_fsm
#include <sonicio/fsm_build.h>

static void
step(struct sonic__ws_keep *k, enum fsm_event e)
{
    fsm_step(&k->state, e, k->ws->config->rules.tracer)->act(k);
}

static sonic_io *
io_of(const struct sonic__ws_keep *k)
{
    return k->ws->config->io;
}

/* ---- the end of keeping ------------------------------------------------- */

static void
release(struct sonic__ws_keep *k)
{
    sonic_io *io = io_of(k);

    sonic_timer_free(k->timer);
    sonic__ws_release_text(io, k->url);
    sonic__ws_release(io, k, sizeof *k);
}

static void
tell(struct sonic__ws_keep *k)
{
    sonic_ws *ws = k->ws;
    sonic_ws_fn *cb = k->cb;
    void *ud = k->ud;
    int outcome = k->outcome;

    ws->config->keep = NULL; /* before: it may be kept again */
    release(k);
    if (cb != NULL)
        cb(ws, outcome, ud);
}

static void
on_told(sonic_io *io, void *ud)
{
    struct sonic__ws_keep *k = ud;
    sonic_ws *ws = k->ws;

    (void)io;
    tell(k);
    sonic__ws_drop(ws);
}

/* ---- actions ------------------------------------------------------------ */

static void
act_note_open(struct sonic__ws_keep *k)
{
    k->seen.opens++;
    k->opened = sonic_io_now(io_of(k));
}

/* From least to three times the last one, and most at most. */
static int64_t
next_pause(struct sonic__ws_keep *k)
{
    int64_t least = k->opt.pause_min, most = k->opt.pause_max;
    uint64_t chance = 0, range;

    if (k->cut)
        return 0;
    if (k->pause == 0)
        k->pause = least;
    if (k->pause < most / 3)
        most = 3 * k->pause;
    range = (uint64_t)(most - least) + 1;
    if (sonic_io_random(io_of(k), &chance, sizeof chance) < 0)
        chance = range - 1; /* without chance: late rather than early */
    k->pause = least + (int64_t)(chance % range);
    return k->pause;
}

static void
on_due(sonic_timer *t, int err, void *ud)
{
    sonic_ws *ws = ud;
    struct sonic__ws_keep *k = ws->config->keep;

    /* Cancelled: by what has gone on without it. */
    if (err == 0 && k != NULL && k->timer == t)
        step(k, E_DUE);
    sonic__ws_drop(ws);
}

static void
act_pause(struct sonic__ws_keep *k)
{
    int64_t now = sonic_io_now(io_of(k)), pause = next_pause(k);

    k->cut = false;
    k->seen.next = pause > INT64_MAX - now ? INT64_MAX - 1 : now + pause;
    sonic__ws_hold(k->ws);
    sonic_timer_at(k->timer, k->seen.next, on_due, k->ws);
}

static void
act_cancel(struct sonic__ws_keep *k)
{
    k->seen.next = INT64_MAX;
    k->outcome = -ECANCELED;
    k->posted = true;
    sonic_timer_cancel(k->timer);
    sonic__ws_hold(k->ws);
    if (sonic_io_post(io_of(k), on_told, k) < 0)
        on_told(io_of(k), k);
}

static void
act_cut(struct sonic__ws_keep *k)
{
    k->cut = true;
    sonic_ws_terminate(k->ws);
}

/* An attempt that cannot even be begun has no end of its own. */
static void
act_attempt(struct sonic__ws_keep *k)
{
    sonic_ws *ws = k->ws;

    k->seen.next = INT64_MAX;
    sonic_timer_cancel(k->timer);
    sonic__ws_hold(ws);
    sonic__ws_connect_kept(ws, k->url);
    k = ws->config->keep; /* a callback may have ended it */
    if (k != NULL && k->state == S_TRYING && sonic__ws_is_over(ws) &&
        !ws->end_posted)
        step(k, E_LOST);
    sonic__ws_drop(ws);
}

static void
act_nothing(struct sonic__ws_keep *k)
{
    (void)k;
}

static void
act_impossible(struct sonic__ws_keep *k)
{
    (void)k;
    assert(false && "keep.def: a cell that cannot happen");
}

/* ---- what the session says ---------------------------------------------- */

void
sonic__ws_keep_opened(sonic_ws *ws)
{
    step(ws->config->keep, E_OPENED);
}

static int
outcome_of(const sonic_ws_close_record *why)
{
    if (why->clean && why->side == SONIC_WS_US)
        return 0;
    if (why->error < 0)
        return why->error;
    return why->clean ? SONIC_EWS_CLOSED : SONIC_EWS_ABNORMAL;
}

/* Did the caller end it? */
static bool
is_wanted(const sonic_ws_close_record *why)
{
    return why->side == SONIC_WS_US &&
           (why->layer == SONIC_WS_LAYER_CLOSE || why->error == -ECANCELED);
}

/* It has ended, and on_close follows. */
void
sonic__ws_keep_ended(sonic_ws *ws, const sonic_ws_close_record *why)
{
    struct sonic__ws_keep *k = ws->config->keep;
    bool again =
        why->retryable || k->seen.opens > 0 || k->opt.stubborn == SONIC_ON;

    if (k->posted) {
        step(k, k->cut ? E_LOST : E_SPENT);
        return;
    }
    if (k->state == S_OPEN &&
        sonic_io_now(io_of(k)) - k->opened >= k->opt.settled) {
        k->seen.failures = 0;
        k->pause = 0;
    }
    k->outcome = outcome_of(why);
    if (k->cut) {
        step(k, E_LOST);
        return;
    }
    k->seen.failures++;
    step(k, again && !is_wanted(why) && k->seen.failures < k->opt.tries
                ? E_LOST
                : E_SPENT);
}

/* on_close has run. */
void
sonic__ws_keep_settle(sonic_ws *ws)
{
    struct sonic__ws_keep *k = ws->config->keep;

    if (k->state == S_OVER && !k->posted)
        tell(k);
}

/* The caller terminates it, or the io does. */
void
sonic__ws_keep_terminated(sonic_ws *ws)
{
    struct sonic__ws_keep *k = ws->config->keep;

    if (k->state == S_PAUSING)
        step(k, E_STOP);
}

/* ---- the public half ---------------------------------------------------- */

static int
set_options(struct sonic__ws_keep *k, const sonic_ws_keep_options *opt)
{
    sonic_ws_keep_options *o = &k->opt;
    int err = sonic__options_copy(o, sizeof *o, opt);

    if (err < 0)
        return err;
    if (o->pause_min == 0)
        o->pause_min = 100 * MS;
    if (o->pause_max == 0)
        o->pause_max = o->pause_min > 30000 * MS ? o->pause_min : 30000 * MS;
    if (o->settled == 0)
        o->settled = 10000 * MS;
    if (o->tries == 0)
        o->tries = UINT32_MAX;
    return o->pause_min < 0 || o->pause_max < o->pause_min || o->settled < 0
               ? SONIC_EOPTION
               : 0;
}

static int
keep_new(sonic_ws *ws, const char *url, const sonic_ws_keep_options *opt,
         struct sonic__ws_keep **out)
{
    sonic_io *io = ws->config->io;
    struct sonic__ws_keep *k = sonic__ws_alloc(io, sizeof *k);
    int err;

    if (k == NULL)
        return -ENOMEM;
    k->ws = ws;
    err = set_options(k, opt);
    if (err == 0 && (k->url = sonic__ws_copy(io, url)) == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = sonic_timer_new(io, &k->timer);
    if (err < 0) {
        release(k);
        return err;
    }
    k->state = S_TRYING;
    k->seen.on = true;
    *out = k;
    return 0;
}

static int
refusal(const sonic_ws *ws)
{
    if (ws->flags & SONIC__WS_SERVER)
        return SONIC_ESTATE;
    if (ws->flags & SONIC__WS_FREED)
        return SONIC_ECLOSED;
    return ws->config->keep != NULL || ws->end_posted || !sonic__ws_is_over(ws)
               ? -EBUSY
               : 0;
}

void
sonic_ws_async_keep(sonic_ws *ws, const char *url,
                    const sonic_ws_keep_options *opt, sonic_ws_fn *cb, void *ud)
{
    struct sonic__ws_keep *k;
    int err = refusal(ws);

    if (err == 0)
        err = keep_new(ws, url, opt, &k);
    if (err < 0) {
        sonic__ws_decline(ws, err, cb, ud);
        return;
    }
    k->cb = cb;
    k->ud = ud;
    ws->config->keep = k;
    act_attempt(k);
}

void
sonic_ws_stop_keeping(sonic_ws *ws)
{
    if (ws->config->keep != NULL)
        step(ws->config->keep, E_STOP);
}

int
sonic_ws_connect_again(sonic_ws *ws)
{
    if (ws->config->keep == NULL)
        return SONIC_ESTATE;
    step(ws->config->keep, E_AGAIN);
    return 0;
}

sonic_ws_keeping
sonic_ws_kept(const sonic_ws *ws)
{
    const struct sonic__ws_keep *k = ws->config->keep;
    sonic_ws_keeping none = {.next = INT64_MAX};

    return k != NULL ? k->seen : none;
}
