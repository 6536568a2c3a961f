/* The heap of deadlines against a model, and what arming costs. */
#include <stdlib.h>
#include <string.h>

#include "support/rig.h"

enum { TIMERS = 300, EQUAL = 64 };

static uint64_t state;

static uint64_t
next(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

/* ---- equal deadlines -------------------------------------------------- */

static unsigned order[EQUAL], fired;

static void
note_order(sonic_timer *t, int err, void *ud)
{
    (void)t;
    ck_assert_int_eq(err, 0);
    order[fired++] = (unsigned)(uintptr_t)ud;
}

START_TEST(first_armed_first)
{
    struct rig r;
    sonic_timer *t[EQUAL];

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    fired = 0;
    for (int i = 0; i < EQUAL; i++)
        ck_assert_int_eq(sonic_timer_new(r.io, &t[i]), 0);
    for (unsigned i = 0; i < EQUAL; i++) /* not in the order of making */
        sonic_timer_at(t[i * 37 % EQUAL], 2 * SECOND, note_order,
                       (void *)(uintptr_t)i);
    ck_assert_int_eq(sonic_io_run(r.io), EQUAL);
    for (unsigned i = 0; i < EQUAL; i++)
        ck_assert_uint_eq(order[i], i);
    rig_close(&r);
}
END_TEST

/* ---- a model ---------------------------------------------------------- */

struct model_timer {
    sonic_timer *t;
    int64_t deadline;
    uint64_t seq;
    bool armed;
    unsigned cancelled, cancels;
};

static struct model {
    struct rig r;
    struct model_timer timer[TIMERS];
    uint64_t seq;
    unsigned armed, fired;
} model;

/* Of the armed ones, none comes before this. */
static void
check_turn(const struct model_timer *m)
{
    ck_assert(m->armed);
    ck_assert(m->deadline <= model.r.hook.now);
    for (int i = 0; i < TIMERS; i++) {
        const struct model_timer *o = &model.timer[i];

        if (o->armed)
            ck_assert(o->deadline > m->deadline ||
                      (o->deadline == m->deadline && o->seq >= m->seq));
    }
}

static void
on_model(sonic_timer *t, int err, void *ud)
{
    struct model_timer *m = ud;

    ck_assert_ptr_eq(t, m->t);
    if (err == -ECANCELED) {
        m->cancelled++;
        return;
    }
    ck_assert_int_eq(err, 0);
    check_turn(m);
    m->armed = false;
    model.armed--;
    model.fired++;
}

static void
random_step(void)
{
    struct model_timer *m = &model.timer[next() % TIMERS];

    if (!m->armed) {
        m->deadline = model.r.hook.now + (int64_t)(next() % 64);
        m->seq = model.seq++;
        m->armed = true;
        model.armed++;
        sonic_timer_at(m->t, m->deadline, on_model, m);
    } else if (next() % 2 == 0) {
        m->armed = false;
        model.armed--;
        m->cancels++;
        sonic_timer_cancel(m->t);
    }
}

static int64_t
first_deadline(void)
{
    int64_t first = INT64_MAX;

    for (int i = 0; i < TIMERS; i++)
        if (model.timer[i].armed && model.timer[i].deadline < first)
            first = model.timer[i].deadline;
    return first;
}

static void
let_fire(void)
{
    int64_t first;

    model.r.hook.now += (int64_t)(next() % 8);
    rig_settle(&model.r);
    first = first_deadline();
    ck_assert(first > model.r.hook.now);
    ck_assert(sonic_io_next_deadline(model.r.io) == first);
    ck_assert_uint_eq(sonic_io_pending(model.r.io), model.armed);
}

START_TEST(like_the_model)
{
    unsigned rounds = rig_slow() ? 300 : 5000;

    memset(&model, 0, sizeof model);
    state = 20261123;
    rig_open(&model.r, _i);
    hook_clock(&model.r.hook, SECOND);
    for (int i = 0; i < TIMERS; i++)
        ck_assert_int_eq(sonic_timer_new(model.r.io, &model.timer[i].t), 0);
    for (unsigned round = 0; round < rounds; round++) {
        for (uint64_t n = next() % 20; n > 0; n--)
            random_step();
        let_fire();
    }
    ck_assert_uint_gt(model.fired, rounds);
    for (int i = 0; i < TIMERS; i++)
        ck_assert_uint_eq(model.timer[i].cancels, model.timer[i].cancelled);
    rig_close(&model.r);
}
END_TEST

/* ---- cost ------------------------------------------------------------- */

START_TEST(arming_is_free)
{
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t[TIMERS];
    unsigned long allocs, calls;

    rig_open(&r, _i);
    for (int i = 0; i < TIMERS; i++)
        ck_assert_int_eq(sonic_timer_new(r.io, &t[i]), 0);
    allocs = atomic_load(&r.hook.allocs);
    calls = hook_all_calls(&r.hook);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < TIMERS; i++)
            sonic_timer_once(t[i], (i * 7919) % 1000 + SECOND, on_timer_outcome,
                             &o);
        for (int i = 0; i < TIMERS; i++)
            sonic_timer_cancel(t[i]);
        while (sonic_io_pending(r.io) > 0)
            ck_assert_int_ge(sonic_io_poll(r.io), 0);
    }
    ck_assert_uint_eq(o.calls, 100 * TIMERS);
    ck_assert_uint_eq(atomic_load(&r.hook.allocs), allocs);
    ck_assert_uint_eq(hook_all_calls(&r.hook), calls);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("timer_heap");
    TCase *tc = tcase_create("heap");

    rig_add(tc, first_armed_first);
    rig_add(tc, like_the_model);
    rig_add(tc, arming_is_free);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
