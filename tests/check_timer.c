/* Timers: what they promise.  timer.def cell by cell is check_timer_cells.c. */
#include <stdlib.h>
#include <string.h>

#include "support/rig.h"

static sonic_timer *
new_timer(struct rig *r)
{
    sonic_timer *t;

    ck_assert_int_eq(sonic_timer_new(r->io, &t), 0);
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_READY);
    ck_assert(sonic_timer_deadline(t) == INT64_MAX);
    return t;
}

/* ---- once ------------------------------------------------------------- */

START_TEST(once)
{
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t;

    rig_open(&r, _i);
    hook_clock(&r.hook, 5 * SECOND);
    t = new_timer(&r);
    sonic_timer_once(t, 3 * MS, on_timer_outcome, &o);
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_SCHEDULED);
    ck_assert(sonic_timer_deadline(t) == 5 * SECOND + 3 * MS);
    ck_assert_uint_eq(sonic_io_pending(r.io), 1);
    ck_assert(sonic_io_next_deadline(r.io) == 5 * SECOND + 3 * MS);
    ck_assert_int_eq(sonic_io_poll(r.io), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 1); /* exactly one handler */
    ck_assert_uint_eq(o.calls, 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert(r.hook.now == 5 * SECOND + 3 * MS);
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_READY);
    ck_assert(sonic_timer_deadline(t) == INT64_MAX);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    ck_assert(sonic_io_next_deadline(r.io) == INT64_MAX);
    rig_close(&r);
}
END_TEST

/* With the real clock: late, perhaps, but not early. */
START_TEST(never_early)
{
    const sonic_sys *k = sonic_sys_kernel();
    struct rig r;
    sonic_timer *t;

    rig_open(&r, _i);
    t = new_timer(&r);
    for (int i = 1; i <= 20; i++) {
        struct outcome o = {0};
        int64_t delay = i * MS / 8, start = k->clock(k->ud);

        sonic_timer_once(t, delay, on_timer_outcome, &o);
        ck_assert_int_eq(sonic_io_run_one(r.io), 1);
        ck_assert(k->clock(k->ud) - start >= delay);
        ck_assert_uint_eq(o.calls, 1);
    }
    rig_close(&r);
}
END_TEST

static void
chain(sonic_timer *t, int err, void *ud)
{
    unsigned *left = ud;

    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_READY);
    if (--*left > 0)
        sonic_timer_once(t, 10 * MS, chain, left);
}

START_TEST(three_in_a_chain)
{
    struct rig r;
    unsigned left = 3;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    sonic_timer_once(new_timer(&r), 10 * MS, chain, &left);
    ck_assert_int_eq(sonic_io_run(r.io), 3);
    ck_assert(r.hook.now == SECOND + 30 * MS);
    rig_close(&r);
}
END_TEST

static void
chain_now(sonic_timer *t, int err, void *ud)
{
    unsigned *left = ud;

    ck_assert_int_eq(err, 0);
    if (--*left > 0)
        sonic_timer_once(t, (int64_t)(*left % 3) - 2, chain_now, left);
}

/* A delay of nothing is as soon as possible, and no recursion. */
START_TEST(no_delay)
{
    struct rig r;
    sonic_io_stats stats;
    unsigned left = 10000;

    rig_open(&r, _i);
    sonic_timer_once(new_timer(&r), 0, chain_now, &left);
    ck_assert_uint_eq(left, 10000); /* not inside the call */
    ck_assert_int_eq(sonic_io_run(r.io), 10000);
    sonic_io_get_stats(r.io, &stats);
    ck_assert_uint_eq(stats.max_dispatch, 1);
    ck_assert_uint_ge(stats.cycles, 10000); /* others have their turn */
    rig_close(&r);
}
END_TEST

START_TEST(extremes)
{
    static const int64_t past[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1};
    struct rig r;
    struct outcome o[3] = {{0}};
    sonic_timer *t[3];

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    for (int i = 0; i < 3; i++)
        t[i] = new_timer(&r);
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        unsigned before = o[0].calls;

        sonic_timer_at(t[0], past[i], on_timer_outcome, &o[0]);
        ck_assert_int_eq(sonic_io_run_one(r.io), 1);
        sonic_timer_once(t[0], past[i] < 1 ? past[i] : 0, on_timer_outcome,
                         &o[0]);
        ck_assert_int_eq(sonic_io_run(r.io), 1);
        ck_assert_uint_eq(o[0].calls, before + 2);
        ck_assert_int_eq(o[0].err, 0);
    }
    ck_assert(r.hook.now == SECOND);
    sonic_timer_once(t[0], INT64_MAX, on_timer_outcome, &o[0]);
    sonic_timer_at(t[1], INT64_MAX, on_timer_outcome, &o[1]);
    sonic_timer_repeat(t[2], INT64_MAX, SONIC_TICK_CATCH_UP, on_timer_outcome,
                       &o[2]);
    o[0].calls = 0;
    ck_assert_int_eq(sonic_io_run_for(r.io, SECOND), -ETIMEDOUT);
    ck_assert_uint_eq(o[0].calls + o[1].calls + o[2].calls, 0);
    ck_assert_int_eq(sonic_io_run_for(r.io, INT64_MAX), 3); /* that late! */
    ck_assert_uint_eq(o[0].calls + o[1].calls + o[2].calls, 3);
    rig_close(&r);
}
END_TEST

START_TEST(at_a_time)
{
    struct rig r;
    struct outcome o = {0};

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    sonic_timer_at(new_timer(&r), 7 * SECOND + 1, on_timer_outcome, &o);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert(r.hook.now == 7 * SECOND + 1);
    rig_close(&r);
}
END_TEST

/* ---- repeat ----------------------------------------------------------- */

struct ticks {
    struct rig *r;
    int64_t at[64]; /* when, since the start */
    int64_t busy;   /* how long each callback takes */
    unsigned n, stop_at;
    int end; /* the error that ended it */
};

static void
tick(sonic_timer *t, int err, void *ud)
{
    struct ticks *k = ud;

    if (err != 0) {
        ck_assert_int_eq(k->end, 0);
        k->end = err;
        return;
    }
    k->at[k->n++] = k->r->hook.now - SECOND;
    k->r->hook.now += k->busy;
    if (k->n == k->stop_at)
        sonic_timer_close(t);
}

/* 20 ticks of 10 ms with callbacks of 5 ms take 200 ms, not 300. */
START_TEST(no_drift)
{
    struct rig r;
    struct ticks k = {.r = &r, .busy = 5 * MS, .stop_at = 20};

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    sonic_timer_repeat(new_timer(&r), 10 * MS, SONIC_TICK_CATCH_UP, tick, &k);
    ck_assert_int_eq(sonic_io_run(r.io), 21);
    ck_assert_uint_eq(k.n, 20);
    for (int i = 0; i < 20; i++)
        ck_assert(k.at[i] == (i + 1) * 10 * MS);
    ck_assert(r.hook.now - SECOND == 205 * MS);
    ck_assert_int_eq(k.end, -ECANCELED);
    rig_close(&r);
}
END_TEST

static void
slow_once(sonic_timer *t, int err, void *ud)
{
    struct ticks *k = ud;

    k->busy = k->n == 0 ? 34 * MS : 0;
    tick(t, err, ud);
}

/* The first callback, at 10 ms, returns at 44 ms. */
START_TEST(missed_ticks)
{
    static const int64_t caught_up[] = {10, 44, 44, 44, 50, 60},
                         skipped[] = {10, 44, 50, 60, 70, 80};

    for (int policy = 0; policy < 2; policy++) {
        const int64_t *want = policy == SONIC_TICK_SKIP ? skipped : caught_up;
        struct rig r;
        struct ticks k = {.r = &r, .stop_at = 6};

        rig_open(&r, _i);
        hook_clock(&r.hook, SECOND);
        sonic_timer_repeat(new_timer(&r), 10 * MS,
                           (enum sonic_missed_tick)policy, slow_once, &k);
        ck_assert_int_eq(sonic_io_run(r.io), 7);
        for (int i = 0; i < 6; i++)
            ck_assert_msg(k.at[i] == want[i] * MS, "policy %d: tick %d at %d",
                          policy, i, (int)(k.at[i] / MS));
        rig_close(&r);
    }
}
END_TEST

START_TEST(closed_at_the_second)
{
    struct rig r;
    struct ticks k = {.r = &r, .stop_at = 2};
    sonic_timer *t;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    t = new_timer(&r);
    sonic_timer_repeat(t, MS, SONIC_TICK_CATCH_UP, tick, &k);
    ck_assert_int_eq(sonic_io_run(r.io), 3);
    r.hook.now += SECOND;
    rig_settle(&r);
    ck_assert_uint_eq(k.n, 2);
    ck_assert_int_eq(k.end, -ECANCELED);
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_CLOSED);
    rig_close(&r);
}
END_TEST

START_TEST(intervals_that_are_none)
{
    static const int64_t bad[] = {0, -1, INT64_MIN};
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t;

    rig_open(&r, _i);
    t = new_timer(&r);
    for (unsigned i = 0; i < 3; i++) {
        sonic_timer_repeat(t, bad[i], SONIC_TICK_SKIP, on_timer_outcome, &o);
        ck_assert_uint_eq(o.calls, i + 1);
        ck_assert_int_eq(o.err, SONIC_EOPTION);
        ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_READY);
    }
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    rig_close(&r);
}
END_TEST

struct rounds {
    unsigned ticks, ends, left;
};

static void
again(sonic_timer *t, int err, void *ud)
{
    struct rounds *k = ud;

    if (err == -ECANCELED) {
        k->ends++;
        return;
    }
    ck_assert_int_eq(err, 0);
    k->ticks++;
    sonic_timer_cancel(t);
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_READY);
    if (k->left-- > 0)
        sonic_timer_repeat(t, MS, SONIC_TICK_CATCH_UP, again, k);
}

/* Cancelled in the callback and scheduled again, three times. */
START_TEST(cancel_and_repeat_in_the_callback)
{
    struct rig r;
    struct rounds k = {.left = 3};

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    sonic_timer_repeat(new_timer(&r), MS, SONIC_TICK_CATCH_UP, again, &k);
    sonic_io_run(r.io);
    ck_assert_uint_eq(k.ticks, 4);
    ck_assert_uint_eq(k.ends, 4); /* every schedule has its last word */
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    rig_close(&r);
}
END_TEST

/* A cancel before it was scheduled does not end the schedule later. */
START_TEST(cancel_before_repeat)
{
    struct rig r;
    struct ticks k = {.r = &r, .stop_at = 3};
    sonic_timer *t;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    t = new_timer(&r);
    sonic_timer_cancel(t);
    sonic_timer_repeat(t, MS, SONIC_TICK_CATCH_UP, tick, &k);
    sonic_io_run(r.io);
    ck_assert_uint_eq(k.n, 3);
    rig_close(&r);
}
END_TEST

/* ---- ends ------------------------------------------------------------- */

START_TEST(cancelled)
{
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t;

    rig_open(&r, _i);
    t = new_timer(&r);
    sonic_timer_once(t, SECOND, on_timer_outcome, &o);
    ck_assert_uint_eq(sonic_io_pending(r.io), 1);
    sonic_timer_cancel(t);
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_READY);
    ck_assert_uint_eq(o.calls, 0); /* never from inside cancel */
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(o.calls, 1);
    ck_assert_int_eq(o.err, -ECANCELED);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    sonic_timer_once(t, 0, on_timer_outcome, &o);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_int_eq(o.err, 0);
    rig_close(&r);
}
END_TEST

START_TEST(closed_before_it_fires)
{
    struct rig r;
    struct outcome o = {0}, late = {0};
    sonic_timer *t;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    t = new_timer(&r);
    sonic_timer_once(t, MS, on_timer_outcome, &o);
    for (int i = 0; i < 10; i++)
        sonic_timer_close(t);
    sonic_timer_cancel(t); /* does not revive it */
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_CLOSED);
    r.hook.now += SECOND;
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(o.calls, 1);
    ck_assert_int_eq(o.err, -ECANCELED);
    sonic_timer_once(t, 0, on_timer_outcome, &late);
    sonic_timer_repeat(t, MS, SONIC_TICK_SKIP, on_timer_outcome, &late);
    ck_assert_uint_eq(late.calls, 2);
    ck_assert_int_eq(late.err, SONIC_ECLOSED);
    ck_assert_int_eq(sonic_timer_state(t), SONIC_TIMER_CLOSED);
    rig_close(&r);
}
END_TEST

/* What a callback does with timers, its own and others that are due. */
struct deed {
    sonic_timer *self, *other;
    struct outcome *of_other;
    void (*self_do)(sonic_timer *t);
    void (*other_do)(sonic_timer *t);
    bool end_io;
    unsigned calls;
};

static void
do_deed(sonic_timer *t, int err, void *ud)
{
    struct deed *d = ud;

    ck_assert_ptr_eq(t, d->self);
    d->calls++;
    if (err != 0)
        return;
    if (d->self_do != NULL)
        d->self_do(t);
    if (d->other_do != NULL)
        d->other_do(d->other);
    ck_assert_uint_eq(d->of_other->calls, 0);
}

static void (*const deeds[])(sonic_timer *t) = {
    NULL, sonic_timer_cancel, sonic_timer_close, sonic_timer_free};

/* Both are due at once; the first one's callback ends the other, and itself,
 * in every way.  The other one's callback runs with -ECANCELED, once. */
START_TEST(in_a_callback)
{
    for (int i = 0; i < 4; i++)
        for (int j = 1; j < 4; j++)
            for (int repeats = 0; repeats < 2; repeats++) {
                struct rig r;
                struct outcome o = {0};
                struct deed d = {
                    .self_do = deeds[i], .other_do = deeds[j], .of_other = &o};

                rig_open(&r, _i);
                hook_clock(&r.hook, SECOND);
                d.self = new_timer(&r);
                d.other = new_timer(&r);
                if (repeats)
                    sonic_timer_repeat(d.self, MS, SONIC_TICK_SKIP, do_deed,
                                       &d);
                else
                    sonic_timer_once(d.self, MS, do_deed, &d);
                sonic_timer_once(d.other, MS, on_timer_outcome, &o);
                r.hook.now += MS;
                rig_settle(&r);
                ck_assert_uint_eq(o.calls, 1);
                ck_assert_int_eq(o.err, -ECANCELED);
                ck_assert_uint_eq(d.calls, repeats && i > 0 ? 2 : 1);
                rig_close(&r);
            }
}
END_TEST

static void
free_the_io(sonic_timer *t, int err, void *ud)
{
    struct rig *r = ud;

    (void)t;
    (void)err;
    sonic_io_free(r->io);
    r->io = NULL;
}

/* The callback of the schedule that was cancelled runs in the call that makes
 * the next one, here with no run call around it. */
START_TEST(io_freed_by_the_last_word)
{
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t;

    rig_open(&r, _i);
    t = new_timer(&r);
    sonic_timer_once(t, SECOND, free_the_io, &r);
    sonic_timer_cancel(t);
    sonic_timer_once(t, SECOND, on_timer_outcome, &o);
    ck_assert_ptr_null(r.io);
    ck_assert_uint_eq(o.calls, 1);
    ck_assert_int_eq(o.err, -ECANCELED);
    rig_closed(&r);
}
END_TEST

START_TEST(no_memory)
{
    struct rig r;
    sonic_timer *t;

    rig_open(&r, _i);
    for (int i = 0; i < 200; i++) {
        hook_mem_fail_nth(&r.hook, 1);
        ck_assert_int_eq(sonic_timer_new(r.io, &t), -ENOMEM);
        hook_mem_fail_nth(&r.hook, 2);
        if (sonic_timer_new(r.io, &t) == -ENOMEM) {
            hook_mem_fail_nth(&r.hook, 3);
            if (sonic_timer_new(r.io, &t) == -ENOMEM) {
                hook_mem_fail_nth(&r.hook, 0);
                ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
            }
        }
        hook_mem_fail_nth(&r.hook, 0);
    }
    sonic_io_close(r.io);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), SONIC_ECLOSED);
    sonic_timer_free(NULL);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("timer");
    TCase *tc = tcase_create("once");

    rig_add(tc, once);
    rig_add(tc, never_early);
    rig_add(tc, three_in_a_chain);
    rig_add(tc, no_delay);
    rig_add(tc, extremes);
    rig_add(tc, at_a_time);
    suite_add_tcase(suite, tc);
    tc = tcase_create("repeat");
    rig_add(tc, no_drift);
    rig_add(tc, missed_ticks);
    rig_add(tc, closed_at_the_second);
    rig_add(tc, intervals_that_are_none);
    rig_add(tc, cancel_and_repeat_in_the_callback);
    rig_add(tc, cancel_before_repeat);
    suite_add_tcase(suite, tc);
    tc = tcase_create("end");
    rig_add(tc, cancelled);
    rig_add(tc, closed_before_it_fires);
    rig_add(tc, in_a_callback);
    rig_add(tc, io_freed_by_the_last_word);
    rig_add(tc, no_memory);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
