/* Running an io: the run modes, posts, guards, errors of the wait. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

/* ---- posts ------------------------------------------------------------ */

static unsigned next_post;

static void
in_order(sonic_io *io, void *ud)
{
    (void)io;
    ck_assert_uint_eq((uintptr_t)ud, next_post);
    next_post++;
}

START_TEST(a_thousand_posts)
{
    struct rig r;

    rig_open(&r, _i);
    next_post = 0;
    for (uintptr_t i = 0; i < 1000; i++)
        ck_assert_int_eq(sonic_io_post(r.io, in_order, (void *)i), 0);
    ck_assert_uint_eq(sonic_io_posted(r.io), 1000);
    ck_assert_uint_eq(sonic_io_pending(r.io), 1000);
    ck_assert_int_eq(sonic_io_run_pending(r.io), 1000);
    ck_assert_uint_eq(next_post, 1000);
    ck_assert_uint_eq(sonic_io_posted(r.io), 0);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    rig_close(&r);
}
END_TEST

static void
post_again(sonic_io *io, void *ud)
{
    unsigned *left = ud;

    if (--*left > 0)
        ck_assert_int_eq(sonic_io_post(io, post_again, left), 0);
}

START_TEST(post_in_a_post)
{
    struct rig r;
    unsigned left = 500;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_io_post(r.io, post_again, &left), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 500);
    rig_close(&r);
}
END_TEST

static void
do_nothing(sonic_io *io, void *ud)
{
    (void)io;
    (void)ud;
}

START_TEST(post_without_memory)
{
    struct rig r;

    rig_open(&r, _i);
    hook_mem_fail_nth(&r.hook, 1);
    ck_assert_int_eq(sonic_io_post(r.io, do_nothing, NULL), -ENOMEM);
    ck_assert_uint_eq(sonic_io_posted(r.io), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 0);
    ck_assert_int_eq(sonic_io_post(r.io, do_nothing, NULL), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    hook_mem_fail_nth(&r.hook, 1); /* the node is there already */
    ck_assert_int_eq(sonic_io_post(r.io, do_nothing, NULL), 0);
    hook_mem_fail_nth(&r.hook, 0);
    rig_close(&r);
}
END_TEST

/* What was posted before the end runs; afterwards nothing can be posted. */
START_TEST(post_around_the_end)
{
    struct rig r;
    unsigned left = 1;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_io_post(r.io, post_again, &left), 0);
    sonic_io_close(r.io);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(sonic_io_post(r.io, post_again, &left), SONIC_ECLOSED);
    ck_assert_uint_eq(sonic_io_posted(r.io), 0);
    rig_close(&r);
}
END_TEST

/* ---- nothing to do ---------------------------------------------------- */

START_TEST(idle)
{
    struct rig r;
    sonic_timer *t;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    ck_assert_int_eq(sonic_io_poll(r.io), 0);
    ck_assert_int_eq(sonic_io_poll_one(r.io), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 0);
    ck_assert_int_eq(sonic_io_run_pending(r.io), 0);
    ck_assert_int_eq(sonic_io_run_one(r.io), 0);
    ck_assert_int_eq(sonic_io_run_batch(r.io), 0);
    ck_assert_int_eq(sonic_io_run_warm(r.io, 1, MS), 0);
    ck_assert_int_eq(sonic_io_run_spin(r.io), 0);
    ck_assert_int_eq(sonic_io_run_for(r.io, SECOND), 0);
    ck_assert_int_eq(sonic_io_run_until(r.io, &(bool){true}), 0);
    ck_assert_int_eq(sonic_io_run_until(r.io, &(bool){false}), SONIC_ESTOPPED);
    ck_assert_uint_eq(atomic_load(&r.hook.sleeps), 0);
    rig_close(&r);
}
END_TEST

START_TEST(run_one_for_waits)
{
    static const int64_t times[] = {MS, 1, 0, -5, INT64_MIN, 300 * 1000};
    const sonic_sys *k = sonic_sys_kernel();
    struct rig r;

    rig_open(&r, _i);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t start = k->clock(k->ud);

        ck_assert_int_eq(sonic_io_run_one_for(r.io, times[i]), -ETIMEDOUT);
        ck_assert(k->clock(k->ud) - start >= times[i]);
    }
    sonic_io_work_begin(r.io);
    ck_assert_int_eq(sonic_io_run_for(r.io, MS), -ETIMEDOUT);
    sonic_io_work_end(r.io);
    rig_close(&r);
}
END_TEST

START_TEST(run_for_ends_in_time)
{
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_timer_repeat(t, 10 * MS, SONIC_TICK_CATCH_UP, on_timer_outcome, &o);
    ck_assert_int_eq(sonic_io_run_for(r.io, 35 * MS), 3);
    ck_assert(r.hook.now == SECOND + 35 * MS);
    ck_assert_int_eq(sonic_io_run_one_for(r.io, 10 * MS), 1);
    ck_assert(r.hook.now == SECOND + 40 * MS);
    ck_assert(sonic_io_now(r.io) == r.hook.now);
    rig_close(&r);
}
END_TEST

/* ---- guards ----------------------------------------------------------- */

static void
end_guard(sonic_timer *t, int err, void *ud)
{
    (void)t;
    ck_assert_int_eq(err, 0);
    sonic_io_work_end(ud);
}

START_TEST(work_guard)
{
    struct rig r;
    sonic_timer *t;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_io_work_begin(r.io);
    sonic_io_work_begin(r.io);
    sonic_io_work_end(r.io);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    ck_assert_int_eq(sonic_io_run_pending(r.io), 0); /* not held */
    ck_assert_int_eq(sonic_io_run_for(r.io, MS), -ETIMEDOUT);
    ck_assert_int_eq(sonic_io_post(r.io, do_nothing, NULL), 0);
    ck_assert_int_eq(sonic_io_run_for(r.io, MS), 1); /* and the whole time */
    ck_assert(r.hook.now == SECOND + 2 * MS);
    sonic_timer_once(t, MS, end_guard, r.io);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    sonic_io_work_end(r.io); /* one too many is nothing */
    sonic_io_work_begin(r.io);
    ck_assert_int_eq(sonic_io_run_for(r.io, MS), -ETIMEDOUT);
    rig_close(&r);
}
END_TEST

/* ---- warm and spin ---------------------------------------------------- */

START_TEST(run_warm)
{
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t;
    unsigned long looks;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_io_run_warm(r.io, 0, SECOND), SONIC_EOPTION);
    ck_assert_int_eq(sonic_io_run_warm(r.io, 1, 1000), SONIC_EOPTION);
    ck_assert_int_eq(sonic_io_run_warm(r.io, 1, 0), SONIC_EOPTION);
    ck_assert_int_eq(sonic_io_run_warm(r.io, 1, -SECOND), SONIC_EOPTION);
    hook_clock(&r.hook, SECOND);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_timer_once(t, 10 * MS, on_timer_outcome, &o);
    looks = atomic_load(&r.hook.looks);
    ck_assert_int_eq(sonic_io_run_warm(r.io, 7, 2 * MS), 1);
    /* seven looks, then five waits of 2 ms until it was due */
    ck_assert_uint_eq(atomic_load(&r.hook.looks) - looks, 7);
    ck_assert_uint_eq(atomic_load(&r.hook.sleeps), 5);
    rig_close(&r);
}
END_TEST

START_TEST(run_spin)
{
    struct rig r;
    struct outcome o = {0}, rd = {0};
    sonic_timer *t;
    sonic_stream *s;
    char buf[4];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_timer_once(t, MS, on_timer_outcome, &o);
    sonic_stream_async_read_all(s, buf, 4, on_outcome, &rd);
    rig_put(peer, "spin", 4);
    ck_assert_int_eq(sonic_io_post(r.io, do_nothing, NULL), 0);
    ck_assert_int_eq(sonic_io_run_spin(r.io), 3);
    ck_assert_uint_eq(o.calls, 1);
    ck_assert_uint_eq(rd.calls, 1);
    ck_assert_mem_eq(buf, "spin", 4);
    ck_assert_uint_eq(atomic_load(&r.hook.sleeps), 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- one at a time ---------------------------------------------------- */

enum { MANY = 10 };

struct mix {
    struct rig r;
    sonic_stream *s[MANY];
    sonic_timer *t[MANY];
    int peer[MANY];
    char buf[MANY][8];
    struct outcome read[MANY], timer[MANY];
    unsigned posts;
};

static void
count_post(sonic_io *io, void *ud)
{
    (void)io;
    ++*(unsigned *)ud;
}

static void
mix_open(struct mix *m, int backend)
{
    memset(m, 0, sizeof *m);
    rig_open(&m->r, backend);
    for (int i = 0; i < MANY; i++) {
        m->s[i] = rig_stream(&m->r, &m->peer[i]);
        rig_put(m->peer[i], "x", 1);
        rig_await(sonic_stream_fd(m->s[i]), POLLIN);
        sonic_stream_async_read(m->s[i], m->buf[i], 8, on_outcome, &m->read[i]);
        ck_assert_int_eq(sonic_timer_new(m->r.io, &m->t[i]), 0);
        sonic_timer_once(m->t[i], 0, on_timer_outcome, &m->timer[i]);
        ck_assert_int_eq(sonic_io_post(m->r.io, count_post, &m->posts), 0);
    }
    next_post = 0;
    for (uintptr_t i = 0; i < MANY; i++)
        ck_assert_int_eq(sonic_io_post(m->r.io, in_order, (void *)i), 0);
}

static unsigned
mix_sum(const struct mix *m)
{
    unsigned n = m->posts + next_post;

    for (int i = 0; i < MANY; i++) {
        ck_assert_uint_le(m->read[i].calls, 1);
        ck_assert_uint_le(m->timer[i].calls, 1);
        ck_assert(i == 0 || m->timer[i].calls <= m->timer[i - 1].calls);
        n += m->read[i].calls + m->timer[i].calls;
    }
    return n;
}

static int
one_for(sonic_io *io)
{
    return sonic_io_run_one_for(io, SECOND);
}

/* Much is ready: each call runs one handler, none is lost or moved. */
START_TEST(one_at_a_time)
{
    static int (*const run[])(sonic_io *) = {sonic_io_run_one,
                                             sonic_io_poll_one, one_for};

    for (int k = 0; k < 3; k++) {
        static struct mix m;

        mix_open(&m, _i);
        for (unsigned n = 1; n <= 4 * MANY; n++) {
            ck_assert_uint_eq(sonic_io_pending(m.r.io), 4 * MANY + 1 - n);
            ck_assert_int_eq(run[k](m.r.io), 1);
            ck_assert_uint_eq(mix_sum(&m), n);
        }
        ck_assert_int_eq(sonic_io_poll_one(m.r.io), 0);
        for (int i = 0; i < MANY; i++)
            close(m.peer[i]);
        rig_close(&m.r);
    }
}
END_TEST

/* poll goes on with what a call for one handler left, and looks for more. */
START_TEST(the_rest)
{
    static struct mix m;

    mix_open(&m, _i);
    ck_assert_int_eq(sonic_io_run_one(m.r.io), 1);
    ck_assert_int_eq(sonic_io_post(m.r.io, count_post, &m.posts), 0);
    ck_assert_int_eq(sonic_io_poll(m.r.io), 4 * MANY);
    ck_assert_uint_eq(mix_sum(&m), 4 * MANY + 1);
    for (int i = 0; i < MANY; i++)
        close(m.peer[i]);
    rig_close(&m.r);
}
END_TEST

/* What is left is there already: no wait for more. */
START_TEST(the_rest_as_a_batch)
{
    static struct mix m;

    mix_open(&m, _i);
    ck_assert_int_eq(sonic_io_run_one(m.r.io), 1);
    ck_assert_int_eq(sonic_io_run_batch(m.r.io), 4 * MANY - 1);
    ck_assert_uint_eq(atomic_load(&m.r.hook.sleeps), 0);
    for (int i = 0; i < MANY; i++)
        close(m.peer[i]);
    rig_close(&m.r);
}
END_TEST

/* ---- the wait itself -------------------------------------------------- */

static enum hook_call
wait_call(const struct rig *r)
{
    return r->backend == SONIC_BACKEND_EPOLL ? HOOK_epoll_wait : HOOK_poll;
}

/* Signals end the waits, each when some of the time has passed: the rest of it
 * is waited for, no more. */
START_TEST(interrupted)
{
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t;
    int64_t began;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    r.hook.signal_after = MS;
    hook_fail(&r.hook, wait_call(&r), -EINTR, 3);
    ck_assert_int_eq(sonic_io_run_one_for(r.io, 5 * MS), -ETIMEDOUT);
    ck_assert(r.hook.now == SECOND + 5 * MS);
    for (int mode = 0; mode < 4; mode++) {
        int ran;

        began = r.hook.now;
        sonic_timer_once(t, 4 * MS, on_timer_outcome, &o);
        hook_fail(&r.hook, wait_call(&r), -EINTR, 3);
        ran = mode == 0   ? sonic_io_run(r.io)
              : mode == 1 ? sonic_io_run_batch(r.io)
              : mode == 2 ? sonic_io_run_warm(r.io, 2, MS)
                          : sonic_io_run_one(r.io);
        ck_assert_int_eq(ran, 1);
        ck_assert_uint_eq(o.calls, (unsigned)mode + 1);
        ck_assert_int_eq(r.hook.now - began, 4 * MS);
    }
    rig_close(&r);
}
END_TEST

START_TEST(failing)
{
    struct rig r;
    struct outcome o = {0};
    sonic_timer *t;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_timer_once(t, MS, on_timer_outcome, &o);
    for (int mode = 0; mode < 4; mode++) {
        int ran;

        hook_fail(&r.hook, wait_call(&r), -ENOMEM, 1);
        ran = mode == 0   ? sonic_io_run(r.io)
              : mode == 1 ? sonic_io_poll(r.io)
              : mode == 2 ? sonic_io_run_warm(r.io, 2, MS)
                          : sonic_io_run_spin(r.io);
        ck_assert_int_eq(ran, -ENOMEM);
    }
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    rig_close(&r);
}
END_TEST

static unsigned finis;

static void
on_fini(sonic_io *io, void *block)
{
    ck_assert_ptr_nonnull(io);
    ck_assert_int_eq(*(int *)block, 7);
    finis++;
}

START_TEST(protocols_attach_and_borrow)
{
    static const char keys[2];
    sonic_mirror *small, *large, *again;
    sonic_io_stats stats;
    struct rig r;
    int *block;

    finis = 0;
    rig_open(&r, _i);
    block = sonic_io_attach(r.io, &keys[0], sizeof *block, on_fini);
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(*block, 0);
    *block = 7;
    ck_assert_ptr_eq(sonic_io_attach(r.io, &keys[0], sizeof *block, on_fini),
                     block);
    ck_assert_ptr_ne(sonic_io_attach(r.io, &keys[1], 100, NULL), block);
    hook_mem_fail_nth(&r.hook, 1);
    ck_assert_ptr_null(sonic_io_attach(r.io, &r, 100, on_fini));

    ck_assert_int_eq(sonic_io_borrow(r.io, 1, &small), 0);
    ck_assert_int_eq(
        sonic_io_borrow(r.io, sonic_mirror_size(small) + 1, &large), 0);
    ck_assert_uint_gt(sonic_mirror_size(large), sonic_mirror_size(small));
    sonic_io_get_stats(r.io, &stats);
    ck_assert_uint_eq(stats.buffers_lent, 2);
    sonic_io_give_back(r.io, large);
    sonic_io_give_back(r.io, small);
    ck_assert_int_eq(sonic_io_borrow(r.io, 1, &again), 0);
    ck_assert_ptr_eq(again, small); /* the one that is warm */
    ck_assert_uint_eq(sonic_mirror_used(again), 0);
    sonic_io_give_back(r.io, again);
    ck_assert_int_eq(sonic_io_borrow(r.io, SIZE_MAX, &again), SONIC_ETOOBIG);
    sonic_io_get_stats(r.io, &stats);
    ck_assert_uint_eq(stats.buffers_lent, 0);
    rig_close(&r);
    ck_assert_uint_eq(finis, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("io");
    TCase *tc = tcase_create("posts");

    rig_add(tc, protocols_attach_and_borrow);
    rig_add(tc, a_thousand_posts);
    rig_add(tc, post_in_a_post);
    rig_add(tc, post_without_memory);
    rig_add(tc, post_around_the_end);
    suite_add_tcase(suite, tc);
    tc = tcase_create("modes");
    rig_add(tc, idle);
    rig_add(tc, run_one_for_waits);
    rig_add(tc, run_for_ends_in_time);
    rig_add(tc, work_guard);
    rig_add(tc, run_warm);
    rig_add(tc, run_spin);
    rig_add(tc, one_at_a_time);
    rig_add(tc, the_rest);
    rig_add(tc, the_rest_as_a_batch);
    suite_add_tcase(suite, tc);
    tc = tcase_create("wait");
    rig_add(tc, interrupted);
    rig_add(tc, failing);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
