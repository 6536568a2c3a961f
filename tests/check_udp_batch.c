/* Batches of datagrams: lent, joined, stamped, dropped; what they cost. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/udp.h"
#include "support/udp_rig.h"

/* Sends n datagrams, numbered from *next on. */
static void
send_numbers(sonic_udp *from, const sonic_udp *to, uint32_t *next, unsigned n)
{
    sonic_address a = udp_where(to);

    for (; n > 0; n--) {
        ck_assert_int_eq(sonic_udp_send(from, &a, next, sizeof *next), 0);
        ++*next;
    }
}

/* Expects numbers, in order. */
static void
on_numbers(sonic_udp *u, int err, const sonic_datagram *d, size_t n, void *ud)
{
    uint32_t *next = ud, k;

    (void)u;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(d[i].len, sizeof k);
        memcpy(&k, d[i].data, sizeof k);
        ck_assert_uint_eq(k, *next);
        ++*next;
    }
}

START_TEST(in_order_and_by_batches)
{
    struct udp_rig r;
    sonic_udp *a, *b;
    uint32_t sent = 0, seen = 0;
    struct udp_got got = {.again = true, .each = on_numbers, .each_ud = &seen};
    unsigned long calls;

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    send_numbers(a, b, &sent, 100);
    calls = hook_calls(&r.rig.hook, HOOK_recvmmsg);
    sonic_udp_lend(b, on_udp_lend, &got);
    RIG_UNTIL(&r.rig, seen == 100);
    ck_assert_uint_eq(got.most, 32);
    ck_assert_uint_eq(got.calls, 4);
    rig_settle(&r.rig);
    ck_assert_uint_eq(hook_calls(&r.rig.hook, HOOK_recvmmsg) - calls, 4);
    ck_assert_uint_eq(udp_stats(b).datagrams_in, 100);
    ck_assert_uint_eq(udp_stats(b).bytes_in, 400);
    ck_assert_uint_eq(udp_stats(b).batch_most, 32);
    ck_assert_uint_eq(udp_stats(b).receives, 4);
    ck_assert_uint_eq(udp_stats(b).immediate_reads, 4);
    send_numbers(a, b, &sent, 1);
    RIG_UNTIL(&r.rig, seen == 101);
    ck_assert_uint_eq(udp_stats(b).scheduled_reads, 1);
    udp_close(&r);
}
END_TEST

/* What one dispatch queues leaves in one call. */
static void
answer_all(sonic_udp *u, int err, const sonic_datagram *d, size_t n, void *ud)
{
    (void)ud;
    (void)err; /* at the end */
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(sonic_udp_queue(u, d[i].from, d[i].data, d[i].len), 0);
}

START_TEST(system_calls_and_allocations)
{
    enum { BURST = 20 };
    struct udp_rig r;
    sonic_udp *a, *b;
    uint32_t sent = 0, seen = 0;
    struct udp_got there = {.again = true, .each = answer_all};
    struct udp_got back = {.again = true, .each = on_numbers, .each_ud = &seen};
    unsigned rounds = rig_slow() ? 100 : 2000;
    unsigned long allocs = 0, ctls = 0;

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    sonic_udp_lend(b, on_udp_lend, &there);
    sonic_udp_lend(a, on_udp_lend, &back);
    rig_settle(&r.rig);
    for (unsigned i = 0; i < rounds; i++) {
        unsigned long calls;

        if (i == 3) {
            allocs = atomic_load(&r.rig.hook.allocs);
            ctls = hook_calls(&r.rig.hook, HOOK_epoll_ctl);
        }
        send_numbers(a, b, &sent, BURST);
        calls = hook_all_calls(&r.rig.hook);
        RIG_UNTIL(&r.rig, seen == sent);
        /* one receive and one send there, one receive back */
        ck_assert_uint_eq(hook_all_calls(&r.rig.hook) - calls, 3);
    }
    ck_assert_uint_eq(atomic_load(&r.rig.hook.allocs), allocs);
    ck_assert_uint_eq(hook_calls(&r.rig.hook, HOOK_epoll_ctl), ctls);
    ck_assert_uint_eq(udp_stats(b).sends, rounds);
    udp_close(&r);
}
END_TEST

/* A socket that only sends is not told, datagram by datagram, that they have
 * left: a wait that has nothing to bring sleeps. */
START_TEST(a_sender_sleeps)
{
    struct udp_rig r;
    sonic_io_stats before, after;
    sonic_udp *a, *b;
    uint32_t sent = 0;
    uint8_t buf[8];

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    rig_settle(&r.rig);
    sonic_io_get_stats(r.rig.io, &before);
    for (int i = 0; i < 10; i++) {
        send_numbers(a, b, &sent, 1);
        ck_assert_int_eq(recv(sonic_udp_fd(b), buf, sizeof buf, 0), 4);
        rig_settle(&r.rig);
    }
    sonic_io_get_stats(r.rig.io, &after);
    /* of a, none; b has one for each: its data */
    ck_assert_uint_le(after.events - before.events, 10);
    udp_close(&r);
}
END_TEST

START_TEST(each_door_without_allocating)
{
    struct udp_rig r;
    sonic_udp *a, *b, *c;
    uint8_t buf[64];
    struct udp_got got = {.again = true, .buf = buf, .cap = sizeof buf};
    struct outcome w = {0};
    sonic_address to;
    unsigned long allocs = 0;
    unsigned rounds = rig_slow() ? 50 : 1000;

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    c = udp_dialled(&r, b, NULL);
    to = udp_where(b);
    sonic_udp_async_read(b, buf, sizeof buf, on_udp_read, &got);
    for (unsigned i = 0; i < rounds; i++) {
        if (i == 3)
            allocs = atomic_load(&r.rig.hook.allocs);
        sonic_udp_async_write(a, &to, "abc", 3, on_udp_write, &w);
        sonic_udp_async_write(c, NULL, "defg", 4, on_udp_write, &w);
        ck_assert_int_eq(sonic_udp_send(c, NULL, "x", 1), 1);
        ck_assert_int_eq(sonic_udp_queue(a, &to, "yz", 2), 0);
        ck_assert_uint_eq(sonic_udp_queued(a), 2);
        ck_assert_uint_eq(sonic_udp_queued_bytes(a), 5);
        RIG_UNTIL(&r.rig, got.n == 4 * (i + 1) && w.calls == 2 * (i + 1));
        ck_assert_int_eq(w.err, 0);
        ck_assert_uint_eq(sonic_udp_queued(a) + sonic_udp_queued_bytes(a), 0);
    }
    ck_assert_uint_eq(atomic_load(&r.rig.hook.allocs), allocs);
    udp_close(&r);
}
END_TEST

/* ---- what the kernel tells -------------------------------------------- */

static int64_t
wall_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

START_TEST(timestamps)
{
    enum { PATIENCE = 20000 /* datagrams */ };
    struct udp_rig r;
    sonic_udp_options o[3] = {SONIC_UDP_OPTIONS_INIT, SONIC_UDP_OPTIONS_INIT,
                              SONIC_UDP_OPTIONS_INIT};
    sonic_socket_options s = SONIC_SOCKET_OPTIONS_INIT;

    udp_open(&r, _i);
    s.timestamps = SONIC_ON;
    o[0].timestamps = SONIC_ON;
    o[1].socket = &s;
    o[2].packet_info = o[2].from = SONIC_OFF;
    for (int i = 0; i < 3; i++) {
        struct udp_got got = {0};
        uint32_t next = 0;
        sonic_udp *a = udp_bound(&r, NULL), *b = udp_bound(&r, &o[i]);
        int64_t before = wall_clock();

        do { /* the kernel begins to stamp late, when it finds the time */
            send_numbers(a, b, &next, 1);
            sonic_udp_lend(b, on_udp_lend, &got);
            RIG_UNTIL(&r.rig, got.n == next);
        } while (i < 2 && got.timestamp == 0 && next < PATIENCE);
        if (i < 2) {
            ck_assert_int_ge(got.timestamp, before);
            ck_assert_int_le(got.timestamp, wall_clock());
        } else {
            ck_assert_uint_eq(got.from.len, 0);
            ck_assert_int_eq(got.timestamp, 0);
            ck_assert_uint_eq(got.to.len, 0);
            ck_assert_uint_eq(got.interface, 0);
        }
        ck_assert_int_eq(got.hardware_time, 0); /* lo is no NIC */
        sonic_udp_free(a);
        sonic_udp_free(b);
    }
    udp_close(&r);
}
END_TEST

/* Nobody reads: the kernel drops, counts, and says so with what comes after. */
START_TEST(drops)
{
    enum { SENT = 300 };
    struct udp_rig r;
    sonic_udp_options o = SONIC_UDP_OPTIONS_INIT;
    sonic_socket_options s = SONIC_SOCKET_OPTIONS_INIT;
    struct udp_got got = {.again = true};
    uint32_t next = 0;
    sonic_udp *a, *b;
    uint64_t dropped;

    udp_open(&r, _i);
    s.receive_buffer = 4096;
    o.socket = &s;
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, &o);
    send_numbers(a, b, &next, SENT);
    dropped = udp_stats(b).kernel_drops;
    ck_assert_uint_gt(dropped, 0);
    ck_assert_uint_lt(dropped, SENT);
    sonic_udp_lend(b, on_udp_lend, &got);
    RIG_UNTIL(&r.rig, got.n == SENT - dropped);
    ck_assert_uint_eq(got.drops, 0); /* these came before any was dropped */
    send_numbers(a, b, &next, 1);
    RIG_UNTIL(&r.rig, got.n == SENT - dropped + 1);
    ck_assert_uint_eq(got.drops, dropped);
    ck_assert_uint_eq(udp_stats(b).kernel_drops, dropped);
    udp_close(&r);
}
END_TEST

/* ---- joined datagrams ------------------------------------------------- */

/* Of one size but the last, more than one message and one callback hold. */
START_TEST(joined_and_taken_apart)
{
    enum { SIZE = 100, LAST = 33 };
    struct udp_rig r;
    sonic_udp_options send = SONIC_UDP_OPTIONS_INIT,
                      receive = SONIC_UDP_OPTIONS_INIT;
    sonic_socket_options s = SONIC_SOCKET_OPTIONS_INIT;
    struct udp_got got = {.again = true};
    uint8_t data[SIZE] = {0};
    sonic_udp *a, *b, *plain;
    sonic_address to;
    unsigned rounds = 600;

    udp_open(&r, _i);
    s.receive_buffer = 1 << 20;
    send.gso = SONIC_ON;
    receive.gro = SONIC_ON;
    receive.socket = &s;
    a = udp_bound(&r, &send);
    b = udp_bound(&r, &receive);
    to = udp_where(b);
    sonic_udp_async_read(b, data, SIZE, on_udp_read, &got);
    ck_assert_int_eq(got.err, SONIC_ESTATE);
    got = (struct udp_got){.again = true};
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(data, &i, sizeof i);
        ck_assert_int_eq(sonic_udp_queue(a, &to, data, SIZE), 0);
    }
    ck_assert_int_eq(sonic_udp_queue(a, &to, data, LAST), 0);
    ck_assert_int_eq(sonic_udp_queue(a, &to, data, SIZE), 0);
    ck_assert_int_eq(sonic_udp_queue(a, &to, NULL, 0), 0);
    ck_assert_int_eq(sonic_udp_flush(a), 0);
    ck_assert_uint_ge(udp_stats(a).segmented, rounds);
    ck_assert_uint_eq(udp_stats(a).datagrams_out, rounds + 3);
    ck_assert_uint_lt(udp_stats(a).sends, 10);
    sonic_udp_lend(b, on_udp_lend, &got);
    RIG_UNTIL(&r.rig, got.n == rounds + 3);
    ck_assert_uint_eq(got.len, 0);
    ck_assert_uint_le(got.most, SONIC__UDP_VIEWS);
    ck_assert_uint_gt(udp_stats(b).joined, 0);
    ck_assert_uint_eq(udp_stats(b).truncated, 0);
    ck_assert_uint_eq(udp_stats(b).bytes_in, (rounds + 1) * SIZE + LAST);

    /* one that knows nothing of it gets them one by one */
    plain = udp_bound(&r, NULL);
    to = udp_where(plain);
    got = (struct udp_got){.again = true};
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(sonic_udp_queue(a, &to, data, SIZE), 0);
    ck_assert_int_eq(sonic_udp_flush(a), 0);
    sonic_udp_lend(plain, on_udp_lend, &got);
    RIG_UNTIL(&r.rig, got.n == 50);
    ck_assert_uint_eq(got.len, SIZE);
    udp_close(&r);
}
END_TEST

/* Every datagram of a joined one, with what it holds. */
static void
on_ordered(sonic_udp *u, int err, const sonic_datagram *d, size_t n, void *ud)
{
    unsigned *next = ud, k;

    (void)u;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        memcpy(&k, d[i].data, sizeof k);
        ck_assert_uint_eq(k, *next);
        ck_assert_uint_eq(d[i].len, 10);
        ck_assert_uint_eq(d[i].sent, 10);
        ck_assert(!d[i].truncated);
        ++*next;
    }
}

START_TEST(closed_between_parts)
{
    struct udp_rig r;
    sonic_udp_options send = SONIC_UDP_OPTIONS_INIT,
                      receive = SONIC_UDP_OPTIONS_INIT;
    unsigned seen = 0;
    struct udp_got got = {.each = on_ordered, .each_ud = &seen};
    uint8_t data[10] = {0};
    sonic_udp *a, *b;
    sonic_address to;

    udp_open(&r, _i);
    send.gso = receive.gro = SONIC_ON;
    a = udp_bound(&r, &send);
    b = udp_bound(&r, &receive);
    to = udp_where(b);
    for (unsigned i = 0; i < 600; i++) {
        memcpy(data, &i, sizeof i);
        ck_assert_int_eq(sonic_udp_queue(a, &to, data, sizeof data), 0);
    }
    ck_assert_int_eq(sonic_udp_flush(a), 0);
    sonic_udp_lend(b, on_udp_lend, &got);
    RIG_UNTIL(&r.rig, got.calls == 1);
    ck_assert_uint_eq(seen, SONIC__UDP_VIEWS);
    sonic_udp_lend(b, on_udp_lend, &got); /* the rest is there already */
    RIG_UNTIL(&r.rig, got.calls == 2);
    ck_assert_uint_eq(seen, 2 * SONIC__UDP_VIEWS);
    ck_assert_uint_eq(udp_stats(b).receives, 1);
    sonic_udp_close(b);
    udp_close(&r);
}
END_TEST

/* Larger than the path takes joined, or not done here at all: one by one. */
START_TEST(joining_that_is_refused)
{
    static const int errors[] = {-EINVAL, -EMSGSIZE, -EIO};

    for (int k = 0; k < 3; k++) {
        struct udp_rig r;
        sonic_udp_options send = SONIC_UDP_OPTIONS_INIT;
        struct udp_got got = {.again = true};
        sonic_udp *a, *b;
        sonic_address to;

        udp_open(&r, _i);
        send.gso = SONIC_ON;
        a = udp_bound(&r, &send);
        b = udp_bound(&r, NULL);
        to = udp_where(b);
        for (int i = 0; i < 10; i++)
            ck_assert_int_eq(sonic_udp_queue(a, &to, "12345678", 8), 0);
        hook_fail(&r.rig.hook, HOOK_sendmsg, errors[k], 1);
        ck_assert_int_eq(sonic_udp_flush(a), 0);
        sonic_udp_lend(b, on_udp_lend, &got);
        RIG_UNTIL(&r.rig, got.n == 10);
        ck_assert_uint_eq(udp_stats(a).segmented, 0);
        for (int i = 0; i < 10; i++) /* shorter ones are tried again */
            ck_assert_int_eq(sonic_udp_queue(a, &to, "1234567", 7), 0);
        ck_assert_int_eq(sonic_udp_flush(a), 0);
        RIG_UNTIL(&r.rig, got.n == 20);
        ck_assert_uint_eq(udp_stats(a).segmented, errors[k] == -EIO ? 0 : 10);
        udp_close(&r);
    }
}
END_TEST

/* ---- other ways to run ------------------------------------------------ */

static void
stop_after(sonic_udp *u, int err, const sonic_datagram *d, size_t n, void *ud)
{
    (void)err;
    (void)d;
    (void)n;
    if (((struct udp_got *)ud)->n >= 3)
        sonic_io_stop(sonic_udp_io(u));
}

START_TEST(warm_and_spinning)
{
    for (int spin = 0; spin < 2; spin++) {
        struct udp_rig r;
        struct udp_got got = {.again = true, .each = stop_after};
        uint32_t next = 0;
        sonic_udp *a, *b;
        int ran;

        udp_open(&r, _i);
        got.each_ud = &got;
        a = udp_bound(&r, NULL);
        b = udp_bound(&r, NULL);
        sonic_udp_lend(b, on_udp_lend, &got);
        send_numbers(a, b, &next, 3);
        ran = spin ? sonic_io_run_spin(r.rig.io)
                   : sonic_io_run_warm(r.rig.io, 10, 10 * MS);
        ck_assert_int_ge(ran, 1);
        ck_assert_uint_eq(got.n, 3);
        udp_close(&r);
    }
}
END_TEST

START_TEST(options_in_range)
{
    struct udp_rig r;
    sonic_udp_options o[4] = {SONIC_UDP_OPTIONS_INIT, SONIC_UDP_OPTIONS_INIT,
                              SONIC_UDP_OPTIONS_INIT, SONIC_UDP_OPTIONS_INIT};
    sonic_udp *u;

    udp_open(&r, _i);
    o[0].batch = 1025;
    o[1].datagram_max = 65536;
    o[2].queue_limit = 100;
    o[3].size = 4;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(sonic_udp_new(r.rig.io, r.host, &o[i], &u),
                         SONIC_EOPTION);
    udp_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("udp_batch");
    TCase *tc = tcase_create("batches");

    udp_add(tc, in_order_and_by_batches);
    udp_add(tc, system_calls_and_allocations);
    udp_add(tc, a_sender_sleeps);
    udp_add(tc, each_door_without_allocating);
    suite_add_tcase(suite, tc);
    tc = tcase_create("kernel");
    udp_add(tc, timestamps);
    udp_add(tc, drops);
    udp_add(tc, joined_and_taken_apart);
    udp_add(tc, closed_between_parts);
    udp_add(tc, joining_that_is_refused);
    udp_add(tc, warm_and_spinning);
    udp_add(tc, options_in_range);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
