/* An io inside another event loop, and what it tells about itself. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

/* ---- another loop around it ------------------------------------------- */

/* One turn of the outer loop: wait for the io's descriptor or its deadline,
 * and poll it.  How long it may be idle is a failure like any other. */
static void
outer_turn(struct rig *r)
{
    int64_t deadline = sonic_io_next_deadline(r->io), left, ms;
    const sonic_sys *k = sonic_sys_kernel();
    struct pollfd p = {.fd = sonic_io_fd(r->io), .events = POLLIN};

    left = deadline - k->clock(k->ud);
    if (deadline == INT64_MAX || left > RIG_PATIENCE)
        left = RIG_PATIENCE;
    ms = left <= 0 ? 0 : (left - 1) / MS + 1;
    ck_assert_int_ge(poll(&p, 1, (int)ms), 0);
    ck_assert_msg(p.revents != 0 || left < RIG_PATIENCE, "nobody woke us");
    ck_assert_int_ge(sonic_io_poll(r->io), 0);
}

static void
count(sonic_io *io, void *ud)
{
    (void)io;
    atomic_fetch_add((atomic_uint *)ud, 1);
}

struct poster {
    sonic_io *io;
    atomic_uint ran;
    atomic_bool stop;
};

static void *
post_one_by_one(void *arg)
{
    struct poster *p = arg;

    for (unsigned i = 0; i < 200; i++) {
        if (sonic_io_post(p->io, count, &p->ran) != 0)
            abort();
        while (atomic_load(&p->ran) <= i) /* until the loop has woken */
            sched_yield();
    }
    return NULL;
}

START_TEST(woken_by_posts)
{
    struct rig r;
    struct poster p = {0};
    pthread_t id;

    rig_open(&r, _i);
    if (sonic_io_fd(r.io) < 0) { /* a backend that has none */
        ck_assert_int_eq(r.backend, SONIC_BACKEND_POLL);
        rig_close(&r);
        return;
    }
    p.io = r.io;
    ck_assert_int_eq(pthread_create(&id, NULL, post_one_by_one, &p), 0);
    while (atomic_load(&p.ran) < 200)
        outer_turn(&r);
    pthread_join(id, NULL);
    rig_close(&r);
}
END_TEST

/* Timers, streams, writes, drains and posts of its own, without a run call:
 * each comes to its end by the descriptor and the deadline alone. */
START_TEST(everything_from_outside)
{
    struct rig r;
    sonic_timer *t;
    sonic_stream *s;
    atomic_uint ran = 0;
    int peer;

    rig_open(&r, _i);
    if (sonic_io_fd(r.io) < 0) {
        rig_close(&r);
        return;
    }
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    for (unsigned i = 1; i <= 20; i++) {
        struct outcome rd = {0}, w = {0}, tm = {0}, d = {0}, c = {0};
        char buf[5];

        sonic_stream_async_read_all(s, buf, 5, on_outcome, &rd);
        sonic_stream_async_write(s, "hello", 5, on_outcome, &w);
        sonic_stream_async_drain(s, on_outcome, &d);
        sonic_timer_once(t, i * MS / 4, on_timer_outcome, &tm);
        ck_assert_int_eq(sonic_io_post(r.io, count, &ran), 0);
        while (tm.calls + w.calls + d.calls + atomic_load(&ran) < 3 + i)
            outer_turn(&r);
        rig_put(peer, "there", 5);
        while (rd.calls == 0)
            outer_turn(&r);
        rig_get(peer, buf, 5);
        sonic_stream_async_read(s, buf, 1, on_outcome, &c);
        sonic_stream_cancel(s, SONIC_READING);
        while (c.calls == 0)
            outer_turn(&r);
        ck_assert_uint_eq(sonic_io_pending(r.io), 0);
        ck_assert(sonic_io_next_deadline(r.io) == INT64_MAX);
    }
    close(peer);
    rig_close(&r);
}
END_TEST

/* Whatever can run now makes the deadline one that has passed. */
START_TEST(work_is_in_the_past)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    sonic_timer *t;
    atomic_uint ran = 0;
    char c;
    int peer;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    s = rig_stream(&r, &peer);
    rig_settle(&r);
    ck_assert(sonic_io_next_deadline(r.io) == INT64_MAX);
    ck_assert_int_eq(sonic_io_post(r.io, count, &ran), 0);
    ck_assert(sonic_io_next_deadline(r.io) <= SECOND);
    rig_settle(&r);
    ck_assert_int_eq(sonic_stream_send(s, "x", 1), 0);
    ck_assert(sonic_io_next_deadline(r.io) <= SECOND);
    rig_settle(&r);
    sonic_stream_async_read(s, &c, 1, on_outcome, &o);
    ck_assert(sonic_io_next_deadline(r.io) <= SECOND);
    rig_settle(&r);
    ck_assert(sonic_io_next_deadline(r.io) == INT64_MAX);
    sonic_stream_cancel(s, SONIC_READING);
    ck_assert(sonic_io_next_deadline(r.io) <= SECOND);
    rig_settle(&r);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_timer_once(t, 5, on_timer_outcome, &o);
    ck_assert(sonic_io_next_deadline(r.io) == SECOND + 5);
    ck_assert_int_eq(sonic_io_post(r.io, count, &ran), 0);
    ck_assert_int_eq(sonic_io_post(r.io, count, &ran), 0);
    ck_assert_int_eq(sonic_io_run_one(r.io), 1);
    ck_assert(sonic_io_next_deadline(r.io) <= SECOND); /* one is left */
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- what it tells ---------------------------------------------------- */

START_TEST(stats)
{
    struct rig r;
    struct outcome o = {0}, w = {0};
    sonic_io_stats s;
    sonic_stream *stream;
    sonic_timer *t;
    char buf[5];
    int peer;

    rig_open(&r, _i);
    sonic_io_get_stats(r.io, &s);
    ck_assert_uint_eq(s.objects + s.handlers + s.reads + s.writes + s.bytes_in +
                          s.bytes_out + s.buffers + s.buffers_lent +
                          s.buffer_bytes,
                      0);
    stream = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    rig_put(peer, "hello", 5);
    rig_await(sonic_stream_fd(stream), POLLIN);
    sonic_stream_async_read_all(stream, buf, 5, on_outcome, &o);
    sonic_stream_async_write(stream, "abc", 3, on_outcome, &w);
    RIG_UNTIL(&r, o.calls + w.calls == 2);
    sonic_io_get_stats(r.io, &s);
    ck_assert_uint_eq(s.objects, 2);
    ck_assert_uint_eq(s.handlers, 2);
    ck_assert_uint_eq(s.reads, 1);
    ck_assert_uint_eq(s.writes, 1);
    ck_assert_uint_eq(s.bytes_in, 5);
    ck_assert_uint_eq(s.bytes_out, 3);
    ck_assert_uint_ge(s.cycles, 1);
    ck_assert_uint_ge(s.deferred, 1);
    ck_assert_uint_eq(s.waits,
                      atomic_load(&r.hook.looks) + atomic_load(&r.hook.sleeps));
    ck_assert_uint_eq(s.max_dispatch, 1);
    sonic_stream_free(stream);
    sonic_timer_free(t);
    rig_settle(&r);
    sonic_io_get_stats(r.io, &s);
    ck_assert_uint_eq(s.objects, 0);
    close(peer);
    rig_close(&r);
}
END_TEST

static void
look_at_clock(sonic_timer *t, int err, void *ud)
{
    struct rig *r = ud;
    int64_t now = sonic_io_now(r->io);

    (void)t;
    ck_assert_int_eq(err, 0);
    r->hook.now += 7;
    ck_assert(sonic_io_now(r->io) == now); /* of the cycle */
}

START_TEST(now)
{
    struct rig r;
    sonic_timer *t;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    ck_assert(sonic_io_now(r.io) == SECOND);
    r.hook.now++;
    ck_assert(sonic_io_now(r.io) == SECOND + 1); /* no cycle: the clock's */
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_timer_once(t, 0, look_at_clock, &r);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert(sonic_io_now(r.io) == SECOND + 8);
    ck_assert_ptr_eq(sonic_io_sys(r.io), &r.hook.sys);
    ck_assert_ptr_eq(sonic_io_mem(r.io)->ud, &r.hook);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("io_embed");
    TCase *tc = tcase_create("embed");

    rig_add(tc, woken_by_posts);
    rig_add(tc, everything_from_outside);
    rig_add(tc, work_is_in_the_past);
    suite_add_tcase(suite, tc);
    tc = tcase_create("look");
    rig_add(tc, stats);
    rig_add(tc, now);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
