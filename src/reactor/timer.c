/* sonic_timer: the public object around a deadline.  See timer.def. */
#include "reactor/reactor.h"

#include <stddef.h>

struct sonic_timer {
    struct sonic__object object; /* bits: the state */
    struct sonic__timer timer;
    sonic_timer_fn *cb;
    void *ud;
    int64_t interval; /* 0: once */
    enum sonic_missed_tick missed;
    int64_t when; /* asked for by ARM */
    sonic_timer_fn *next_cb;
    void *next_ud;
    int64_t next_interval;
    enum sonic_missed_tick next_missed;
};

typedef void fsm_act(sonic_timer *t);
static fsm_act act_arm, act_busy, act_closed, act_fire, act_tick, act_disarm,
    act_speak, act_speak_arm, act_nothing, act_impossible;

#define FSM_NAME "timer"
#define FSM_DEF "reactor/timer.def"
#define FSM_INFO sonic__timer_fsm
#include <sonicio/fsm_build.h>

static void
step(sonic_timer *t, enum fsm_event e)
{
    fsm_step(&t->object.bits, e, NULL)->act(t);
}

static void
call(sonic_timer *t, sonic_timer_fn *cb, void *ud, int err)
{
    sonic__complete_begin(t->object.io);
    cb(t, err, ud);
    sonic__complete_end(t->object.io);
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_timer_fn *)cb)(object, err, ud);
}

/* The schedule that ARM asked for does not come about. */
static void
refuse(sonic_timer *t, int err)
{
    sonic__refuse(&t->object, say, err, (void (*)(void))t->next_cb, t->next_ud);
}

static void
act_arm(sonic_timer *t)
{
    t->cb = t->next_cb;
    t->ud = t->next_ud;
    t->interval = t->next_interval;
    t->missed = t->next_missed;
    sonic__op_begin(t->object.io);
    sonic__timer_arm(t->object.io, &t->timer, t->when);
}

static void
act_busy(sonic_timer *t)
{
    refuse(t, -EBUSY);
}

static void
act_closed(sonic_timer *t)
{
    refuse(t, SONIC_ECLOSED);
}

static void
act_fire(sonic_timer *t)
{
    call(t, t->cb, t->ud, 0);
}

/* by > 0; the end of time is as late as it gets */
static int64_t
later(int64_t when, int64_t by)
{
    return by > INT64_MAX - when ? INT64_MAX : when + by;
}

static void
act_tick(sonic_timer *t)
{
    sonic_io *io = t->object.io;
    int64_t next = later(t->timer.deadline, t->interval), now = sonic__now(io);

    if (t->missed == SONIC_TICK_SKIP && next <= now)
        next =
            later(next + (now - next) / t->interval * t->interval, t->interval);
    sonic__op_begin(io); /* the next tick */
    sonic__timer_arm(io, &t->timer, next);
    call(t, t->cb, t->ud, 0);
}

static void
act_disarm(sonic_timer *t)
{
    sonic__timer_disarm(t->object.io, &t->timer);
    sonic__defer(&t->object);
}

static void
act_speak(sonic_timer *t)
{
    call(t, t->cb, t->ud, -ECANCELED);
}

static void
act_speak_arm(sonic_timer *t)
{
    const struct sonic__refusal was = {.owner = &t->object,
                                       .say = say,
                                       .object = t,
                                       .err = -ECANCELED,
                                       .cb = (void (*)(void))t->cb,
                                       .ud = t->ud};

    act_arm(t);
    sonic__end_in_call(t->object.io, &was);
}

static void
act_nothing(sonic_timer *t)
{
    (void)t;
}

static void
act_impossible(sonic_timer *t)
{
    (void)t;
    assert(false && "timer.def: a cell that cannot happen");
}

static void
on_due(struct sonic__timer *timer)
{
    sonic_timer *t =
        (sonic_timer *)((char *)timer - offsetof(sonic_timer, timer));

    step(t, t->interval > 0 ? E_TICK : E_FIRE);
}

static void
timer_run(struct sonic__object *o)
{
    step((sonic_timer *)o, E_SPEAK);
}

static void
timer_close(struct sonic__object *o)
{
    step((sonic_timer *)o, E_CLOSE);
}

static void
timer_destroy(struct sonic__object *o)
{
    sonic__timer_fini(o->io, &((sonic_timer *)o)->timer);
    sonic__free(o->io, o, sizeof(sonic_timer));
}

static const struct sonic__class timer_class = {
    .name = "timer",
    .run = timer_run,
    .close = timer_close,
    .destroy = timer_destroy,
};

int
sonic_timer_new(sonic_io *io, sonic_timer **out)
{
    sonic_timer *t = sonic__alloc(io, sizeof *t);
    int err;

    if (t == NULL)
        return -ENOMEM;
    err = sonic__timer_init(io, &t->timer, on_due);
    if (err < 0)
        goto fail;
    err = sonic__object_init(io, &t->object, &timer_class);
    if (err < 0)
        goto fail_timer;
    *out = t;
    return 0;

fail_timer:
    sonic__timer_fini(io, &t->timer);
fail:
    sonic__free(io, t, sizeof *t);
    return err;
}

static void
schedule(sonic_timer *t, int64_t when, int64_t interval,
         enum sonic_missed_tick missed, sonic_timer_fn *cb, void *ud)
{
    t->when = when;
    t->next_interval = interval;
    t->next_missed = missed;
    t->next_cb = cb;
    t->next_ud = ud;
    step(t, E_ARM);
}

/* now + delay, which may be any number */
static int64_t
deadline_after(sonic_timer *t, int64_t delay)
{
    sonic_io *io = t->object.io;
    int64_t now = io->sys->clock(io->sys->ud);

    return delay <= 0 ? now : later(now, delay);
}

void
sonic_timer_once(sonic_timer *t, int64_t delay, sonic_timer_fn *cb, void *ud)
{
    schedule(t, deadline_after(t, delay), 0, SONIC_TICK_SKIP, cb, ud);
}

void
sonic_timer_at(sonic_timer *t, int64_t when, sonic_timer_fn *cb, void *ud)
{
    schedule(t, when, 0, SONIC_TICK_SKIP, cb, ud);
}

void
sonic_timer_repeat(sonic_timer *t, int64_t interval,
                   enum sonic_missed_tick missed, sonic_timer_fn *cb, void *ud)
{
    if (interval <= 0) {
        t->next_cb = cb;
        t->next_ud = ud;
        refuse(t, SONIC_EOPTION);
        return;
    }
    schedule(t, deadline_after(t, interval), interval, missed, cb, ud);
}

void
sonic_timer_cancel(sonic_timer *t)
{
    step(t, E_CANCEL);
}

void
sonic_timer_close(sonic_timer *t)
{
    sonic__object_close(&t->object);
}

void
sonic_timer_free(sonic_timer *t)
{
    if (t != NULL)
        sonic__object_free(&t->object);
}

enum sonic_timer_state
sonic_timer_state(const sonic_timer *t)
{
    switch (t->object.bits) {
    case S_SCHEDULED:
        return SONIC_TIMER_SCHEDULED;
    case S_READY:
    case S_CANCELLED:
        return SONIC_TIMER_READY;
    default:
        return SONIC_TIMER_CLOSED;
    }
}

int64_t
sonic_timer_deadline(const sonic_timer *t)
{
    return t->object.bits == S_SCHEDULED ? t->timer.deadline : INT64_MAX;
}

sonic_io *
sonic_timer_io(const sonic_timer *t)
{
    return t->object.io;
}
