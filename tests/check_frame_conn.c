/* Frames over a stream: what is sent arrives, and how a connection ends. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame/conn.h"
#include "support/frame_world.h"

#define SZ .size = sizeof(sonic_frame_format)
#define KB ((size_t)1024)

static struct frame_world w;

/* ---- receiving -------------------------------------------------------- */

START_TEST(many_frames_of_one_read)
{
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    for (uint8_t i = 0; i < 200; i++)
        frame_peer_frame(&w, &i, 1);
    frame_world_until(&w, &w.frames, 200);
    ck_assert_uint_eq(w.bytes, 200);
    ck_assert_uint_eq(w.last[0], 199);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(frames_come_byte_by_byte)
{
    static const uint8_t wire[] = {0, 0, 0, 3, 'a', 'b', 'c', 0,
                                   0, 0, 0, 0, 0,   0,   1,   'd'};

    frame_world_begin(&w, _i, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof wire; i++) {
        size_t whole = i >= 15 ? 3 : i >= 10 ? 2 : i >= 6 ? 1 : 0;

        frame_peer_puts(&w, wire + i, 1);
        frame_world_until(&w, &w.frames, whole);
        ck_assert_uint_eq(w.frames, whole);
    }
    ck_assert_uint_eq(w.bytes, 4);
    ck_assert_uint_eq(w.last[0], 'd');
    ck_assert(frame_world_end(&w));
}
END_TEST

/* 3 of 5 bytes, then 3 more: one item, and a byte that is left. */
START_TEST(a_part_is_kept)
{
    static const uint8_t wire[] = {0, 0, 0, 1, 'x', 0};

    frame_world_begin(&w, _i, NULL, NULL, NULL);
    frame_peer_puts(&w, wire, 3);
    frame_peer_puts(&w, wire + 3, 3);
    frame_world_until(&w, &w.frames, 1);
    ck_assert_uint_eq(
        sonic_stream_buffered(sonic_frame_conn_next_layer(w.conn)), 1);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(frames_larger_than_the_buffer)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    static const size_t sizes[] = {64 * 1024 - 5, 64 * 1024 - 4, 64 * 1024 - 3,
                                   100000,        1000000,       3};
    uint8_t *body = malloc(1000000);
    size_t total = 0;

    memset(body, 'z', 1000000);
    opt.buffer_size = 64 * KB;
    frame_world_begin(&w, _i, &opt, NULL, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        frame_peer_frame(&w, body, sizes[i]);
        total += sizes[i];
    }
    frame_world_until(&w, &w.frames, sizeof sizes / sizeof sizes[0]);
    ck_assert_uint_eq(w.bytes, total);
    ck_assert(frame_world_end(&w));
    free(body);
}
END_TEST

/* ---- half a million at once ------------------------------------------- */

static uintptr_t lowest, highest;

static void
look_at_stack(void)
{
    volatile char here;
    uintptr_t at = (uintptr_t)&here;

    if (lowest == 0 || at < lowest)
        lowest = at;
    if (at > highest)
        highest = at;
}

static void
deep_on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    look_at_stack();
    frame_recorder.on_frame(conn, data, len, ud);
}

static const sonic_frame_handler deep = {
    SONIC_FRAME_HANDLER_INIT,
    .on_frame = deep_on_frame,
};

static void
deep_on_read(sonic_frame_conn *conn, int err, uint8_t *data, size_t len,
             void *ud)
{
    if (err < 0)
        return;
    look_at_stack();
    frame_recorder.on_frame(conn, data, len, ud);
    sonic_frame_async_read(conn, deep_on_read, ud);
}

static void
half_a_million(int i, bool pull)
{
    static const sonic_frame_format one = {SZ, .length = 1};
    static const uint8_t wire[500000];
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;

    lowest = highest = 0;
    opt.buffer_size = 1 << 20;
    frame_world_begin(&w, i, &opt, &one, NULL);
    ck_assert_int_eq(
        sonic_frame_conn_set_handler(w.conn, pull ? &frame_puller : &deep, &w),
        0);
    if (pull)
        sonic_frame_async_read(w.conn, deep_on_read, &w);
    frame_peer_puts(&w, wire, sizeof wire);
    frame_world_until(&w, &w.frames, sizeof wire);
    ck_assert_uint_lt(highest - lowest, 4096);
    ck_assert(frame_world_end(&w));
}

START_TEST(half_a_million_frames_do_not_grow_the_stack)
{
    half_a_million(_i, false);
    half_a_million(_i, true);
}
END_TEST

/* ---- pause ------------------------------------------------------------ */

static void
pausing_on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    frame_recorder.on_frame(conn, data, len, ud);
    if (data[0] == 'p')
        sonic_frame_pause(conn);
    if (data[0] == 'r') { /* no pause after all */
        sonic_frame_pause(conn);
        sonic_frame_resume(conn);
    }
}

static const sonic_frame_handler pausing = {
    SONIC_FRAME_HANDLER_INIT,
    .on_frame = pausing_on_frame,
    .on_close = NULL,
};

START_TEST(paused_means_that_no_frame_comes)
{
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_conn_set_handler(w.conn, &pausing, &w), 0);
    for (const char *p = "arpbpc"; *p != '\0'; p++)
        frame_peer_frame(&w, p, 1);
    frame_world_until(&w, &w.frames, 3);
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    ck_assert_uint_eq(w.frames, 3);
    ck_assert_uint_eq(w.last[0], 'p');
    sonic_frame_resume(w.conn);
    frame_world_until(&w, &w.frames, 5);
    ck_assert_uint_eq(w.frames, 5);
    sonic_frame_resume(w.conn);
    frame_world_until(&w, &w.frames, 6);
    ck_assert_uint_eq(w.last[0], 'c');
    ck_assert(frame_world_end(&w));
}
END_TEST

/* The peer of a paused connection feels it: the reader takes no more than one
 * buffer, whatever comes. */
START_TEST(paused_means_that_nothing_is_read)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    sonic_io_stats stats;
    static uint8_t body[60000];

    opt.buffer_size = 64 * KB;
    frame_world_begin(&w, _i, &opt, NULL, NULL);
    sonic_frame_pause(w.conn);
    for (int i = 0; i < 200; i++)
        frame_peer_frame(&w, body, sizeof body);
    for (int i = 0; i < 20; i++)
        ck_assert_int_ge(sonic_io_poll(w.io), 0);
    sonic_io_get_stats(w.io, &stats);
    ck_assert_uint_le(stats.bytes_in, 64 * KB);
    ck_assert_uint_gt(sonic_stream_queued(w.peer), 200 * sizeof body / 2);
    sonic_frame_resume(w.conn);
    frame_world_until(&w, &w.frames, 200);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* ---- read operations -------------------------------------------------- */

static struct got {
    size_t calls, len;
    int err;
    uint8_t *data;
} got;

static void
on_read(sonic_frame_conn *conn, int err, uint8_t *data, size_t len, void *ud)
{
    (void)conn;
    (void)ud;
    got = (struct got){got.calls + 1, len, err, data};
}

static void
pull_world(int i)
{
    frame_world_begin(&w, i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_conn_set_handler(w.conn, &frame_puller, &w),
                     0);
    got = (struct got){0, 0, 0, NULL};
}

START_TEST(a_read_gets_one_frame)
{
    uint8_t buf[8];

    pull_world(_i);
    frame_peer_frame(&w, "one", 3);
    frame_peer_frame(&w, "two", 3);
    frame_peer_frame(&w, "", 0);
    sonic_frame_async_read(w.conn, on_read, NULL);
    frame_world_until(&w, &got.calls, 1);
    ck_assert_int_eq(got.err, 0);
    ck_assert_uint_eq(got.len, 3);
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    ck_assert_uint_eq(got.calls, 1);
    sonic_frame_async_read_into(w.conn, buf, sizeof buf, on_read, NULL);
    frame_world_until(&w, &got.calls, 2);
    ck_assert_ptr_eq(got.data, buf);
    ck_assert_uint_eq(got.len, 3);
    ck_assert_mem_eq(buf, "two", 3);
    sonic_frame_async_read_into(w.conn, NULL, 0, on_read, NULL);
    frame_world_until(&w, &got.calls, 3);
    ck_assert_int_eq(got.err, 0);
    ck_assert_uint_eq(got.len, 0);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(a_read_comes_before_the_handler)
{
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    got = (struct got){0, 0, 0, NULL};
    sonic_frame_async_read(w.conn, on_read, NULL);
    frame_peer_frame(&w, "a", 1);
    frame_peer_frame(&w, "b", 1);
    frame_world_until(&w, &w.frames, 1);
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_uint_eq(w.last[0], 'b');
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(a_second_read_is_refused)
{
    struct got first;

    pull_world(_i);
    sonic_frame_async_read(w.conn, on_read, NULL);
    sonic_frame_async_read(w.conn, on_read, NULL);
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_int_eq(got.err, -EBUSY);
    first = got;
    frame_peer_frame(&w, "a", 1);
    frame_world_until(&w, &got.calls, first.calls + 1);
    ck_assert_int_eq(got.err, 0);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(a_cancelled_read_takes_nothing)
{
    pull_world(_i);
    sonic_frame_async_read(w.conn, on_read, NULL);
    sonic_frame_cancel_read(w.conn);
    ck_assert_uint_eq(got.calls, 0); /* from the loop */
    frame_world_until(&w, &got.calls, 1);
    ck_assert_int_eq(got.err, -ECANCELED);
    sonic_frame_cancel_read(w.conn); /* nothing is pending */
    frame_peer_frame(&w, "a", 1);
    sonic_frame_async_read(w.conn, on_read, NULL);
    frame_world_until(&w, &got.calls, 2);
    ck_assert_int_eq(got.err, 0);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* Told before the body is there, and again; the frame is not lost. */
START_TEST(a_frame_over_the_buffer_stays)
{
    static const uint8_t head[] = {0, 0, 0, 6};
    uint8_t buf[6];

    pull_world(_i);
    frame_peer_puts(&w, head, sizeof head);
    for (size_t i = 1; i <= 3; i++) {
        sonic_frame_async_read_into(w.conn, buf, 5, on_read, NULL);
        frame_world_until(&w, &got.calls, i);
        ck_assert_int_eq(got.err, SONIC_ETOOBIG);
        ck_assert_uint_eq(got.len, 6);
    }
    frame_peer_puts(&w, "sixish\0\0\0\1x", 11);
    sonic_frame_async_read_into(w.conn, buf, 5, on_read, NULL);
    frame_world_until(&w, &got.calls, 4);
    ck_assert_int_eq(got.err, SONIC_ETOOBIG);
    sonic_frame_async_read_into(w.conn, buf, 6, on_read, NULL);
    frame_world_until(&w, &got.calls, 5);
    ck_assert_int_eq(got.err, 0);
    ck_assert_mem_eq(buf, "sixish", 6);
    sonic_frame_async_read_into(w.conn, buf, 6, on_read, NULL);
    frame_world_until(&w, &got.calls, 6);
    ck_assert_uint_eq(got.len, 1);
    ck_assert(frame_world_end(&w));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("frame conn");
    TCase *tc = tcase_create("receiving");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, many_frames_of_one_read, 0, BACKENDS);
    tcase_add_loop_test(tc, frames_come_byte_by_byte, 0, BACKENDS);
    tcase_add_loop_test(tc, a_part_is_kept, 0, BACKENDS);
    tcase_add_loop_test(tc, frames_larger_than_the_buffer, 0, BACKENDS);
    tcase_add_loop_test(tc, half_a_million_frames_do_not_grow_the_stack, 0,
                        BACKENDS);
    tcase_add_loop_test(tc, paused_means_that_no_frame_comes, 0, BACKENDS);
    tcase_add_loop_test(tc, paused_means_that_nothing_is_read, 0, BACKENDS);
    tcase_add_loop_test(tc, a_read_gets_one_frame, 0, BACKENDS);
    tcase_add_loop_test(tc, a_read_comes_before_the_handler, 0, BACKENDS);
    tcase_add_loop_test(tc, a_second_read_is_refused, 0, BACKENDS);
    tcase_add_loop_test(tc, a_cancelled_read_takes_nothing, 0, BACKENDS);
    tcase_add_loop_test(tc, a_frame_over_the_buffer_stays, 0, BACKENDS);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
