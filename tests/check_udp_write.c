/* Sending when it does not go at once: no room, no memory, refusals, limits,
 * cancelling; every call failing; anything ended in any callback. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/udp.h"
#include "support/udp_rig.h"

/* From now on and `times` times the system says err to whatever sends. */
static void
refuse(struct udp_rig *r, int err, unsigned times)
{
    hook_fail(&r->rig.hook, HOOK_send, err, times);
    hook_fail(&r->rig.hook, HOOK_sendmsg, err, times);
    hook_fail(&r->rig.hook, HOOK_sendmmsg, err, times);
}

/* Whatever it said. */
static void
ignore(int err)
{
    (void)err;
}

START_TEST(no_room)
{
    struct udp_rig r;
    sonic_udp *a, *b;
    struct udp_got got = {.again = true};
    struct outcome w = {0}, drain = {0};
    sonic_address to;

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    to = udp_where(b);
    sonic_udp_async_drain(a, on_udp_write, &drain);
    RIG_UNTIL(&r.rig, drain.calls == 1); /* there is nothing */
    refuse(&r, -EAGAIN, 1);
    ck_assert_int_eq(sonic_udp_send(a, &to, "1", 1), 1);
    ck_assert_int_eq(sonic_udp_send(a, &to, "2", 1), 1); /* it does not pass */
    sonic_udp_async_write(a, &to, "3", 1, on_udp_write, &w);
    sonic_udp_async_drain(a, on_udp_write, &drain);
    sonic_udp_async_drain(a, on_udp_write, &w);
    ck_assert_int_eq(w.err, -EBUSY);
    w.calls = 0;
    ck_assert_uint_eq(sonic_udp_queued(a), 3);
    ck_assert_uint_eq(udp_stats(a).full_sends, 1);
    refuse(&r, 0, 0);
    sonic_udp_lend(b, on_udp_lend, &got);
    RIG_UNTIL(&r.rig, got.n == 3 && w.calls == 1 && drain.calls == 2);
    ck_assert_int_eq(w.err, 0);
    ck_assert_uint_eq(w.n, 1);
    ck_assert_int_eq(got.data[0], '3');
    ck_assert_uint_eq(udp_stats(a).sends, 1);
    rig_settle(&r.rig);
    udp_close(&r);
}
END_TEST

/* The device has no memory: a timer waits it out, and the loop sleeps. */
START_TEST(no_memory_in_the_device)
{
    struct udp_rig r;
    sonic_udp *a, *b;
    struct outcome w = {0};
    sonic_address to;
    unsigned long tried, waits;
    uint8_t buf[8];

    udp_open(&r, _i);
    hook_clock(&r.rig.hook, SECOND);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    to = udp_where(b);
    refuse(&r, -ENOBUFS, 1000);
    ck_assert_int_eq(sonic_udp_send(a, &to, "1", 1), 1);
    ck_assert_int_eq(sonic_udp_send(a, &to, "2", 1), 1);
    sonic_udp_async_write(a, &to, "3", 1, on_udp_write, &w);
    tried = hook_all_calls(&r.rig.hook);
    waits = atomic_load(&r.rig.hook.looks) + atomic_load(&r.rig.hook.sleeps);
    ck_assert_int_eq(sonic_io_run_for(r.rig.io, SECOND), -ETIMEDOUT);
    tried = hook_all_calls(&r.rig.hook) - tried;
    waits = atomic_load(&r.rig.hook.looks) + atomic_load(&r.rig.hook.sleeps) -
            waits;
    /* 0.1 ms, 0.2 ... 10 ms, and every 10 ms from then on */
    ck_assert_uint_ge(tried, 90);
    ck_assert_uint_le(tried, 115);
    ck_assert_uint_le(waits, 3 * tried);
    ck_assert_uint_ge(udp_stats(a).backoffs, tried);
    refuse(&r, 0, 0);
    RIG_UNTIL(&r.rig, w.calls == 1);
    for (int i = 1; i <= 3; i++) {
        ck_assert_int_eq(recv(sonic_udp_fd(b), buf, sizeof buf, 0), 1);
        ck_assert_int_eq(buf[0], '0' + i);
    }
    udp_close(&r);
}
END_TEST

/* One is refused: that one, and the others go. */
START_TEST(refused_by_the_system)
{
    struct udp_rig r;
    sonic_udp *a, *b;
    struct udp_got got = {.again = true};
    struct outcome w = {0}, x = {0};
    sonic_address to;

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    to = udp_where(b);
    sonic_udp_lend(b, on_udp_lend, &got);
    refuse(&r, -EPERM, 1);
    ck_assert_int_eq(sonic_udp_send(a, &to, "0", 1), -EPERM);
    refuse(&r, 0, 0);
    hook_fail(&r.rig.hook, HOOK_sendmmsg, -EPERM, 1);
    sonic_udp_async_write(a, &to, "1", 1, on_udp_write, &w);
    sonic_udp_async_write(a, &to, "2", 1, on_udp_write, &x);
    RIG_UNTIL(&r.rig, w.calls == 1 && x.calls == 1 && got.n == 1);
    ck_assert_int_eq(w.err, -EPERM);
    ck_assert_uint_eq(w.n, 0);
    ck_assert_int_eq(x.err, 0);
    ck_assert_int_eq(got.data[0], '2');
    refuse(&r, 0, 0);
    hook_fail(&r.rig.hook, HOOK_sendmmsg, -EPERM, 1);
    ck_assert_int_eq(sonic_udp_queue(a, &to, "3", 1), 0);
    ck_assert_int_eq(sonic_udp_queue(a, &to, "4", 1), 0);
    ck_assert_int_eq(sonic_udp_flush(a), -EPERM); /* told once */
    ck_assert_int_eq(sonic_udp_flush(a), 0);
    RIG_UNTIL(&r.rig, got.n == 2);
    ck_assert_int_eq(got.data[0], '4');
    ck_assert_uint_eq(udp_stats(a).write_errors, 3);
    refuse(&r, -EINTR, 2);
    ck_assert_int_eq(sonic_udp_send(a, &to, "5", 1), 0);
    RIG_UNTIL(&r.rig, got.n == 3);
    udp_close(&r);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
    struct udp_rig r;
    sonic_udp_options o = SONIC_UDP_OPTIONS_INIT;
    sonic_udp *a, *b;
    struct outcome w = {0};
    struct udp_got got = {.again = true};
    static uint8_t data[5000];
    sonic_address to;
    unsigned n = 0;

    udp_open(&r, _i);
    o.queue_limit = 10000;
    a = udp_bound(&r, &o);
    b = udp_bound(&r, NULL);
    to = udp_where(b);
    for (int round = 0; round < 50; round++) {
        size_t len = 1 + (size_t)round * 97 % sizeof data;
        int err;

        while ((err = sonic_udp_queue(a, &to, data, len)) == 0)
            n++;
        ck_assert_int_eq(err, SONIC_EQUEUE);
        ck_assert_uint_gt(sonic_udp_queued(a), 0);
        ck_assert_uint_le(sonic_udp_queued_bytes(a), 10000);
        if (len > 100) {
            sonic_udp_async_write(a, &to, data, len, on_udp_write, &w);
            if (w.err != 0)
                ck_assert_int_eq(w.err, SONIC_EQUEUE);
        }
        ck_assert_int_eq(sonic_udp_flush(a), 0);
        rig_settle(&r.rig);
        n += w.calls == 1 && w.err == 0;
        w.calls = 0;
        w.err = 0;
        sonic_udp_lend(b, on_udp_lend, &got);
        rig_settle(&r.rig);
        sonic_udp_cancel(b, SONIC_READING);
        rig_settle(&r.rig);
    }
    ck_assert_uint_eq(udp_stats(a).datagrams_out, n);
    ck_assert_uint_ge(udp_stats(a).queue_refused, 50);
    udp_close(&r);
}
END_TEST

/* The queue's memory, against a plain list: random sizes in and out. */
START_TEST(the_queue_against_a_list)
{
    enum { CAP = 4096, MOST = 256 };
    struct sonic__udp_queue q = {.cap = CAP};
    struct {
        struct sonic__udp_out *r;
        uint32_t len;
        uint8_t fill;
    } list[MOST];
    size_t head = 0, n = 0;
    uint32_t seed = 12345;
    unsigned puts = 0;

    q.base = malloc(CAP);
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525 + 1013904223;
        if ((seed >> 24) % 2 == 0 && n < MOST) {
            uint32_t len = (seed >> 8) % 700;
            struct sonic__udp_out *r = sonic__udp_queue_put(&q, len);

            if (r == NULL)
                continue;
            puts++;
            r->len = len;
            q.bytes += len;
            memset(r->bytes, (int)(seed >> 3), len);
            list[(head + n) % MOST].r = r;
            list[(head + n) % MOST].len = len;
            list[(head + n++) % MOST].fill = (uint8_t)(seed >> 3);
        } else if (n > 0) {
            struct sonic__udp_out *r = sonic__udp_out_at(&q, q.next);

            bool same = r == list[head].r && r->len == list[head].len;

            for (uint32_t k = 0; same && k < r->len; k++)
                same = r->bytes[k] == list[head].fill;
            ck_assert(same);
            sonic__udp_queue_done(&q, r, 0);
            sonic__udp_queue_trim(&q);
            head = (head + 1) % MOST;
            n--;
        }
        if (q.unsent != n || q.waiting != n || q.used > CAP ||
            (q.used == 0) != (n == 0))
            ck_abort_msg("lost count");
    }
    ck_assert_uint_gt(puts, 10000);
    free(q.base);
}
END_TEST

START_TEST(cancelled_or_late)
{
    for (int late = 0; late < 2; late++) {
        struct udp_rig r;
        sonic_udp *a, *b;
        struct outcome w[3] = {{0}, {0}, {0}}, drain = {0};
        struct udp_got got = {.again = true};
        int want = late ? -ETIMEDOUT : -ECANCELED;
        sonic_address to;

        udp_open(&r, _i);
        a = udp_bound(&r, NULL);
        b = udp_bound(&r, NULL);
        to = udp_where(b);
        refuse(&r, -ENOBUFS, 1000);
        ck_assert_int_eq(sonic_udp_send(a, &to, "copy 1", 6), 1);
        for (int i = 0; i < 3; i++)
            sonic_udp_async_write(a, &to, "w", 1, on_udp_write, &w[i]);
        ck_assert_int_eq(sonic_udp_send(a, &to, "copy 2", 6), 1);
        sonic_udp_async_drain(a, on_udp_write, &drain);
        if (late)
            ck_assert_int_eq(sonic_udp_set_deadline(
                                 a, SONIC_WRITING, sonic_io_now(r.rig.io) + MS),
                             0);
        else
            sonic_udp_cancel(a, SONIC_WRITING);
        RIG_UNTIL(&r.rig, w[2].calls == 1 && drain.calls == 1);
        for (int i = 0; i < 3; i++) {
            ck_assert_uint_eq(w[i].calls, 1);
            ck_assert_int_eq(w[i].err, want);
        }
        ck_assert_int_eq(drain.err, want);
        ck_assert_uint_eq(sonic_udp_queued(a), 2);
        if (late) { /* those that begin later too */
            sonic_udp_async_write(a, &to, "w", 1, on_udp_write, &w[0]);
            ck_assert_int_eq(w[0].err, -ETIMEDOUT);
            ck_assert_int_eq(
                sonic_udp_set_deadline(a, SONIC_WRITING, INT64_MAX), 0);
        }
        refuse(&r, 0, 0);
        sonic_udp_lend(b, on_udp_lend, &got);
        sonic_udp_async_drain(a, on_udp_write, &drain);
        RIG_UNTIL(&r.rig, got.n == 2 && drain.calls == 2);
        ck_assert_int_eq(drain.err, 0);
        ck_assert_mem_eq(got.data, "copy 2", 6);
        udp_close(&r);
    }
}
END_TEST

/* Closed with a queue: offered once more, then given up. */
START_TEST(closed_with_a_queue)
{
    static void (*const ends[])(sonic_udp * u) = {sonic_udp_close,
                                                  sonic_udp_free};

    for (int k = 0; k < 4; k++) {
        bool full = k / 2 == 1;
        struct udp_rig r;
        sonic_udp *a, *b;
        struct outcome w = {0}, drain = {0};
        uint8_t buf[8];
        sonic_address to;

        udp_open(&r, _i);
        a = udp_bound(&r, NULL);
        b = udp_bound(&r, NULL);
        to = udp_where(b);
        ck_assert_int_eq(sonic_udp_queue(a, &to, "copy", 4), 0);
        sonic_udp_async_write(a, &to, "write", 5, on_udp_write, &w);
        sonic_udp_async_drain(a, on_udp_write, &drain);
        if (full)
            refuse(&r, -ENOBUFS, 10);
        ends[k % 2](a);
        ck_assert_uint_eq(w.calls, 0);
        rig_settle(&r.rig);
        ck_assert_uint_eq(w.calls, 1);
        ck_assert_uint_eq(drain.calls, 1);
        ck_assert_int_eq(w.err, full ? -ECANCELED : 0);
        ck_assert_int_eq(recv(sonic_udp_fd(b), buf, sizeof buf, 0),
                         full ? -1 : 4);
        udp_close(&r);
    }
}
END_TEST

/* ---- ended in callbacks ----------------------------------------------- */

struct ender {
    sonic_udp *victim;
    sonic_io *io;
    int how;
    unsigned calls, errors;
};

static void
end_it(struct ender *e)
{
    int how = e->how;

    e->how = -1;
    switch (how) {
    case 0:
        sonic_udp_close(e->victim);
        break;
    case 1:
        sonic_udp_free(e->victim);
        break;
    case 2:
        sonic_udp_cancel(e->victim, SONIC_BOTH);
        break;
    case 3:
        sonic_io_close(e->io);
        break;
    case 4:
        sonic_io_free(e->io);
        break;
    default:
        break;
    }
}

static void
ending_write(sonic_udp *u, int err, size_t n, void *ud)
{
    struct ender *e = ud;

    (void)u;
    (void)n;
    e->calls++;
    e->errors += err < 0;
    end_it(e);
}

static void
ending_lend(sonic_udp *u, int err, const sonic_datagram *d, size_t n, void *ud)
{
    struct ender *e = ud;

    for (size_t i = 0; i < n; i++)
        ignore(sonic_udp_queue(u, d[i].from, d[i].data, d[i].len));
    sonic_udp_async_write(u, n > 0 ? d->from : NULL, "w", 1, ending_write, e);
    e->calls++;
    e->errors += err < 0;
    end_it(e);
    for (size_t i = 0; i < n; i++) /* still there */
        ck_assert_uint_eq(d[i].data[0], 'x');
    if (err == 0 && e->calls < 100)
        sonic_udp_lend(u, ending_lend, e);
}

/* itself, in a lend; a sibling whose event is in the same batch */
START_TEST(ended_in_a_lend)
{
    for (int sibling = 0; sibling < 2; sibling++) {
        struct udp_rig r;
        struct ender e[2] = {{.how = _i % 5}, {.how = -1}};
        sonic_udp *u[2], *from;

        udp_open(&r, _i / 5);
        from = udp_bound(&r, NULL);
        for (int i = 0; i < 2; i++) {
            u[i] = udp_bound(&r, NULL);
            e[i].io = r.rig.io;
            sonic_udp_lend(u[i], ending_lend, &e[i]);
        }
        e[0].victim = e[1].victim = u[sibling];
        rig_settle(&r.rig);
        for (int i = 0; i < 2; i++) {
            sonic_address to = udp_where(u[i]);

            for (int k = 0; k < 3; k++)
                ck_assert_int_eq(sonic_udp_send(from, &to, "x", 1), 0);
        }
        if (e[0].how < 3) {
            rig_settle(&r.rig);
            ck_assert_uint_gt(e[0].calls, 0);
            udp_close(&r);
        } else {
            bool freed = e[0].how == 4;

            ck_assert_int_ge(sonic_io_poll(r.rig.io), 1);
            if (!freed)
                sonic_io_free(r.rig.io);
            rig_closed(&r.rig);
            ck_assert_uint_gt(e[0].errors + e[1].errors, 0);
        }
    }
}
END_TEST

START_TEST(ended_in_a_write)
{
    struct udp_rig r;
    struct ender e = {.how = _i % 5}, more = {.how = -1};
    sonic_udp *a, *b;
    sonic_address to;
    bool freed = e.how == 4;

    udp_open(&r, _i / 5);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    to = udp_where(b);
    e.victim = a;
    e.io = r.rig.io;
    sonic_udp_async_write(a, &to, "1", 1, ending_write, &e);
    for (int i = 0; i < 5; i++)
        sonic_udp_async_write(a, &to, "2", 1, ending_write, &more);
    ck_assert_int_ge(sonic_io_poll(r.rig.io), 1);
    if (e.how != 3 && !freed) {
        for (int i = 0; i < 3; i++)
            (void)sonic_io_poll(r.rig.io);
    }
    if (!freed)
        sonic_io_free(r.rig.io);
    rig_closed(&r.rig);
    ck_assert_uint_eq(e.calls, 1);
    ck_assert_uint_eq(more.calls, 5);
}
END_TEST

/* ---- each call failing ------------------------------------------------ */

struct talk {
    unsigned reads, writes, ended;
};

static void
talk_lend(sonic_udp *u, int err, const sonic_datagram *d, size_t n, void *ud)
{
    struct talk *t = ud;

    if (err < 0) {
        t->ended++;
        return;
    }
    t->reads += (unsigned)n;
    for (size_t i = 0; i < n; i++)
        ignore(sonic_udp_queue(u, d[i].from, d[i].data, d[i].len));
    sonic_udp_lend(u, talk_lend, t);
}

static void
talk_written(sonic_udp *u, int err, size_t n, void *ud)
{
    struct talk *t = ud;

    (void)u;
    ck_assert_uint_eq(n, err == 0 ? 3 : 0);
    t->writes++;
}

/* A bit of everything; errors are as may be, but all of it ends. */
static void
talk(struct udp_rig *r)
{
    sonic_udp_options o = SONIC_UDP_OPTIONS_INIT;
    struct talk t = {0}, back = {0};
    sonic_udp *a = NULL, *b = NULL;
    sonic_address to;
    unsigned begun = 0;

    o.gso = o.gro = SONIC_ON;
    if (sonic_udp_new(r->rig.io, r->host, &o, &a) < 0 ||
        sonic_udp_new(r->rig.io, r->host, NULL, &b) < 0 ||
        sonic_udp_local_address(b, &to) < 0)
        return;
    sonic_udp_lend(a, talk_lend, &back);
    sonic_udp_lend(b, talk_lend, &t);
    for (int round = 0; round < 3; round++) {
        ignore(sonic_udp_send(a, &to, "one", 3));
        for (int i = 0; i < 3; i++, begun++)
            sonic_udp_async_write(a, &to, "two", 3, talk_written, &back);
        ignore(sonic_udp_queue(a, &to, "six", 3));
        for (int i = 0; i < 4; i++)
            (void)sonic_io_poll(r->rig.io);
        (void)sonic_udp_flush(a);
    }
    sonic_udp_close(a);
    sonic_udp_close(b);
    for (int i = 0; i < 4; i++)
        (void)sonic_io_poll(r->rig.io);
    ck_assert_uint_eq(back.writes, begun);
    ck_assert_uint_eq(t.ended, 1);
    ck_assert_uint_eq(back.ended, 1);
}

START_TEST(each_call_failing)
{
    for (unsigned long nth = 1;; nth++) {
        struct udp_rig r;
        bool over;

        udp_open(&r, _i);
        hook_fail_nth(&r.rig.hook, nth);
        talk(&r);
        over = r.rig.hook.failed == HOOK_N;
        r.rig.hook.fail_nth = 0;
        udp_close(&r);
        if (over)
            break;
        ck_assert_uint_lt(nth, 2000);
    }
}
END_TEST

START_TEST(each_allocation_failing)
{
    for (unsigned long nth = 1;; nth++) {
        struct udp_rig r;
        bool over;

        udp_open(&r, _i);
        hook_mem_fail_nth(&r.rig.hook, nth);
        talk(&r);
        over = !r.rig.hook.mem_failed;
        r.rig.hook.mem_fail_nth = 0;
        udp_close(&r);
        if (over)
            break;
        ck_assert_uint_lt(nth, 100);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("udp_write");
    TCase *tc = tcase_create("waiting");

    udp_add(tc, no_room);
    udp_add(tc, no_memory_in_the_device);
    udp_add(tc, refused_by_the_system);
    udp_add(tc, the_queue_is_bounded);
    tcase_add_test(tc, the_queue_against_a_list);
    udp_add(tc, cancelled_or_late);
    udp_add(tc, closed_with_a_queue);
    suite_add_tcase(suite, tc);
    tc = tcase_create("ends");
    tcase_add_loop_test(tc, ended_in_a_lend, 0, 5 * RIG_BACKENDS);
    tcase_add_loop_test(tc, ended_in_a_write, 0, 5 * RIG_BACKENDS);
    udp_add(tc, each_call_failing);
    udp_add(tc, each_allocation_failing);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
