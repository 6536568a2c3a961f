/* Deadlines of a stream, on a clock that the test moves. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

static void
on_lend(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    (void)data;
    on_outcome(s, err, len, ud);
}

static void
set(sonic_stream *s, int directions, int64_t when)
{
    ck_assert_int_eq(sonic_stream_set_deadline(s, directions, when), 0);
}

static void
pass(struct rig *r, int64_t ns)
{
    r->hook.now += ns;
    rig_settle(r);
}

START_TEST(reading)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char buf[8];
    int peer;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_stream_set_deadline(s, 64, SECOND), SONIC_EOPTION);
    set(s, SONIC_READING, 2 * SECOND);
    ck_assert(sonic_io_next_deadline(r.io) == 2 * SECOND);
    sonic_stream_async_read_all(s, buf, 8, on_outcome, &o);
    rig_put(peer, "abc", 3);
    rig_await(sonic_stream_fd(s), POLLIN);
    rig_settle(&r);
    pass(&r, SECOND - 1);
    ck_assert_uint_eq(o.calls, 0);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert(r.hook.now == 2 * SECOND);
    ck_assert_int_eq(o.err, -ETIMEDOUT);
    ck_assert_uint_eq(o.n, 3);
    /* those that begin later too, though there is something to read */
    rig_put(peer, "defgh", 5);
    rig_await(sonic_stream_fd(s), POLLIN);
    sonic_stream_async_read(s, buf, 8, on_outcome, &o);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 2);
    ck_assert_int_eq(o.err, -ETIMEDOUT);
    ck_assert_uint_eq(o.n, 0);
    ck_assert_int_eq(sonic_stream_read(s, buf, 8, NULL), -ETIMEDOUT);
    sonic_stream_lend(s, 1, 0, on_lend, &o);
    rig_settle(&r);
    ck_assert_int_eq(o.err, -ETIMEDOUT);
    /* until it is taken away */
    set(s, SONIC_READING, INT64_MAX);
    ck_assert_int_eq(sonic_stream_read_all(s, buf, 5, NULL), 0);
    ck_assert_mem_eq(buf, "defgh", 5);
    close(peer);
    rig_close(&r);
}
END_TEST

/* One direction's deadline is not the other's. */
START_TEST(by_direction)
{
    struct rig r;
    struct outcome rd = {0}, w = {0};
    sonic_stream *s;
    size_t stuffed;
    char buf[8];
    int peer;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    s = rig_full_stream(&r, &peer, &stuffed);
    sonic_stream_async_read(s, buf, 8, on_outcome, &rd);
    sonic_stream_async_write(s, "x", 1, on_outcome, &w);
    set(s, 0, SECOND); /* of neither */
    pass(&r, SECOND);
    set(s, SONIC_READING, 3 * SECOND);
    set(s, SONIC_WRITING, 4 * SECOND);
    pass(&r, SECOND);
    ck_assert_uint_eq(rd.calls, 1);
    ck_assert_int_eq(rd.err, -ETIMEDOUT);
    ck_assert_uint_eq(w.calls, 0);
    pass(&r, SECOND);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert_int_eq(w.err, -ETIMEDOUT);
    ck_assert_uint_eq(w.n, 0);
    set(s, SONIC_BOTH, 10 * SECOND);
    sonic_stream_async_read(s, buf, 8, on_outcome, &rd);
    sonic_stream_async_write(s, "x", 1, on_outcome, &w);
    pass(&r, SECOND);
    set(s, SONIC_BOTH, 5 * SECOND); /* the past */
    ck_assert_uint_eq(rd.calls + w.calls, 2);
    rig_settle(&r);
    ck_assert_uint_eq(rd.calls + w.calls, 4);
    close(peer);
    rig_close(&r);
}
END_TEST

/* Moved before it comes, it comes later, or never. */
START_TEST(moved)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char c;
    int peer;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    s = rig_stream(&r, &peer);
    sonic_stream_async_read(s, &c, 1, on_outcome, &o);
    for (int i = 0; i < 10; i++) {
        set(s, SONIC_READING, r.hook.now + 2);
        pass(&r, 1);
    }
    ck_assert_uint_eq(o.calls, 0);
    set(s, SONIC_BOTH, INT64_MAX);
    pass(&r, SECOND);
    ck_assert_uint_eq(o.calls, 0);
    ck_assert(sonic_io_next_deadline(r.io) == INT64_MAX);
    close(peer);
    rig_close(&r);
}
END_TEST

/* A deadline is no work: with nothing under way it passes in silence. */
START_TEST(nothing_under_way)
{
    struct rig r;
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    s = rig_stream(&r, &peer);
    set(s, SONIC_BOTH, 2 * SECOND);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 0);
    ck_assert(r.hook.now == SECOND);
    ck_assert_int_eq(sonic_io_run_one_for(r.io, 5 * SECOND), -ETIMEDOUT);
    ck_assert(sonic_stream_is_open(s));
    ck_assert_int_eq(sonic_stream_send(s, "x", 1), 0); /* sends have none */
    close(peer);
    rig_close(&r);
}
END_TEST

/* What is queued behind a deadline that has passed still goes out. */
START_TEST(sends_stay)
{
    struct rig r;
    struct outcome w = {0}, v = {0}, d = {0}, late = {0};
    struct iovec iov[2] = {{(void *)(uintptr_t) "ab", 2},
                           {(void *)(uintptr_t) "cd", 2}};
    sonic_stream *s;
    size_t stuffed;
    char all[10];
    int peer;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    s = rig_full_stream(&r, &peer, &stuffed);
    ck_assert_int_eq(sonic_stream_set_marks(s, 1, 100, 100), 0);
    ck_assert_int_eq(sonic_stream_send(s, "one", 3), 0);
    sonic_stream_async_write(s, "bad", 3, on_outcome, &w);
    sonic_stream_async_writev(s, iov, 2, on_outcome, &v);
    sonic_stream_async_drain(s, on_outcome, &d);
    ck_assert_int_eq(sonic_stream_send(s, "two", 3), 0);
    set(s, SONIC_WRITING, 2 * SECOND);
    pass(&r, SECOND);
    ck_assert(w.calls == 1 && w.err == -ETIMEDOUT);
    ck_assert(v.calls == 1 && v.err == -ETIMEDOUT);
    ck_assert(d.calls == 1 && d.err == -ETIMEDOUT);
    sonic_stream_async_write(s, "x", 1, on_outcome, &late);
    ck_assert_int_eq(late.err, -ETIMEDOUT);
    ck_assert_int_eq(sonic_stream_send(s, "more", 4), 0);
    ck_assert_uint_eq(sonic_stream_queued(s), 10);
    rig_take(&r, peer, 0, stuffed);
    rig_settle(&r);
    rig_get(peer, all, 10);
    ck_assert_mem_eq(all, "onetwomore", 10);
    close(peer);
    rig_close(&r);
}
END_TEST

/* A write of which a part is gone ends as well, with that part, and nothing
 * can follow it. */
START_TEST(half_a_write)
{
    enum { BIG = 8 << 20 };

    for (int parts = 1; parts <= 2; parts++) {
        static uint8_t data[BIG];
        struct rig r;
        struct outcome w = {0}, behind = {0}, d = {0};
        struct iovec v[2] = {{data, BIG - 5}, {data + BIG - 5, 5}};
        sonic_stream *s;
        size_t sum = 0;
        int peer;

        rig_open(&r, _i);
        hook_clock(&r.hook, SECOND);
        s = rig_stream(&r, &peer);
        rig_fill(data, BIG, 0);
        if (parts == 1)
            sonic_stream_async_write(s, data, BIG, on_outcome, &w);
        else
            sonic_stream_async_writev(s, v, 2, on_outcome, &w);
        sonic_stream_async_write(s, "behind", 6, on_outcome, &behind);
        ck_assert_int_eq(sonic_stream_send(s, "lost", 4), 1);
        sonic_stream_async_drain(s, on_outcome, &d);
        set(s, SONIC_WRITING, 2 * SECOND);
        rig_settle(&r);
        ck_assert_uint_eq(w.calls, 0);
        pass(&r, SECOND);
        ck_assert_uint_eq(w.calls, 1);
        ck_assert_int_eq(w.err, -ETIMEDOUT);
        ck_assert_uint_gt(w.n, 0);
        ck_assert_uint_lt(w.n, BIG);
        ck_assert(behind.calls == 1 && behind.err == -ETIMEDOUT);
        ck_assert_uint_eq(behind.n, 0);
        ck_assert(d.calls == 1 && d.err == -ETIMEDOUT);
        ck_assert_uint_eq(sonic_stream_queued(s), 0);
        set(s, SONIC_WRITING, INT64_MAX);
        ck_assert_int_eq(sonic_stream_send(s, "x", 1), -ETIMEDOUT);
        sonic_stream_free(s);
        rig_settle(&r);
        for (;;) { /* the peer has what w.n said, and no more */
            uint8_t chunk[4096];
            ssize_t n;

            rig_await(peer, POLLIN);
            n = read(peer, chunk, sizeof chunk);
            ck_assert_int_ge(n, 0);
            if (n == 0)
                break;
            ck_assert(rig_same(chunk, (size_t)n, sum));
            sum += (size_t)n;
        }
        ck_assert_uint_eq(sum, w.n);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

/* ---- ends ------------------------------------------------------------- */

static void
free_it(sonic_stream *s, int err, size_t n, void *ud)
{
    on_outcome(s, err, n, ud);
    sonic_stream_free(s);
}

START_TEST(freed_when_it_comes)
{
    struct rig r;
    struct outcome rd = {0}, w = {0};
    sonic_stream *s;
    size_t stuffed;
    char c;
    int peer;

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    s = rig_full_stream(&r, &peer, &stuffed);
    sonic_stream_async_read(s, &c, 1, free_it, &rd);
    sonic_stream_async_write(s, "x", 1, on_outcome, &w);
    set(s, SONIC_BOTH, 2 * SECOND);
    pass(&r, SECOND);
    ck_assert(rd.calls == 1 && rd.err == -ETIMEDOUT);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert(sonic_io_next_deadline(r.io) == INT64_MAX);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(ended_before_it_comes)
{
    for (int how = 0; how < 2; how++) {
        struct rig r;
        struct outcome o = {0};
        sonic_stream *s;
        char c;
        int peer;

        rig_open(&r, _i);
        hook_clock(&r.hook, SECOND);
        s = rig_stream(&r, &peer);
        sonic_stream_async_read(s, &c, 1, on_outcome, &o);
        set(s, SONIC_BOTH, 2 * SECOND);
        if (how == 0)
            sonic_stream_close(s);
        else
            sonic_stream_free(s);
        rig_settle(&r);
        pass(&r, 2 * SECOND);
        ck_assert(o.calls == 1 && o.err == -ECANCELED);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

START_TEST(no_memory)
{
    struct rig r;
    sonic_stream *s[40];
    int peer[40];

    rig_open(&r, _i);
    hook_clock(&r.hook, SECOND);
    for (int i = 0; i < 40; i++) {
        s[i] = rig_stream(&r, &peer[i]);
        for (unsigned long n = 1;; n++) {
            int err;

            hook_mem_fail_nth(&r.hook, n);
            err = sonic_stream_set_deadline(s[i], SONIC_BOTH, 2 * SECOND);
            if (err == 0 && !r.hook.mem_failed)
                break;
            ck_assert(err == 0 || err == -ENOMEM);
        }
        hook_mem_fail_nth(&r.hook, 0);
    }
    pass(&r, 2 * SECOND);
    for (int i = 0; i < 40; i++)
        close(peer[i]);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_deadline");
    TCase *tc = tcase_create("deadline");

    rig_add(tc, reading);
    rig_add(tc, by_direction);
    rig_add(tc, moved);
    rig_add(tc, nothing_under_way);
    rig_add(tc, sends_stay);
    rig_add(tc, half_a_write);
    suite_add_tcase(suite, tc);
    tc = tcase_create("end");
    rig_add(tc, freed_when_it_comes);
    rig_add(tc, ended_before_it_comes);
    rig_add(tc, no_memory);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
