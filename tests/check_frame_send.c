/* Sending: every way to, what is on the wire, back-pressure, blocking twins,
 * and that nothing allocates once it runs. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame/conn.h"
#include "support/frame_world.h"

#define SZ .size = sizeof(sonic_frame_format)
#define KB ((size_t)1024)

static struct frame_world w;
static uint8_t body[4000000], wire[sizeof body];

static struct {
    size_t calls;
    int err;
    const void *ud;
} sent;

static void
on_sent(sonic_frame_conn *conn, int err, void *ud)
{
    (void)conn;
    sent.calls++;
    sent.err = err;
    sent.ud = ud;
}

static void
fill_body(void)
{
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
}

/* ---- the wire --------------------------------------------------------- */

static const sonic_frame_format formats[] = {
    {SZ},
    {SZ, .length = SONIC_FRAME_VARINT},
    {SZ, .length = SONIC_FRAME_VARINT, .offset = 3},
    {SZ, .length = 8, .order = SONIC_FRAME_LITTLE_ENDIAN, .offset = 1},
    {SZ, .offset = 40}, /* a header over what streams copy in front */
};

static const size_t sizes[] = {0, 1, 127, 128, 1000, 16383, 16384, 32000};
static const size_t large[] = {32768, 100000, 3000000};

/* The peer must get this frame and nothing else. */
static void
expect_frame(const sonic_frame_format *f, const void *prefix, size_t len)
{
    uint8_t head[SONIC_FRAME_HEADER_MAX] = {0};
    sonic_frame_codec c;
    int n = sonic_frame_codec_init(&c, f);

    if (prefix != NULL)
        memcpy(head, prefix, f->offset);
    n = sonic_frame_encode_header(&c, len, head, sizeof head);
    ck_assert_int_gt(n, 0);
    frame_peer_gets(&w, wire, (size_t)n + len);
    ck_assert_mem_eq(wire, head, (size_t)n);
    ck_assert_msg(memcmp(wire + n, body, len) == 0, "%zu bytes", len);
    ck_assert_uint_eq(sonic_frame_queued(w.conn), 0);
}

/* The body in three parts, one of them empty. */
static void
three_parts(struct iovec *iov, size_t len)
{
    iov[0] = (struct iovec){body, len / 3};
    iov[1] = (struct iovec){NULL, 0};
    iov[2] = (struct iovec){body + len / 3, len - len / 3};
}

static void
send_all_ways(const sonic_frame_format *f, size_t len)
{
    uint8_t prefix[64];
    struct iovec iov[3];
    size_t calls = sent.calls;

    memset(prefix, 0xee, sizeof prefix);
    three_parts(iov, len);
    ck_assert_int_ge(sonic_frame_send(w.conn, body, len), 0);
    expect_frame(f, NULL, len);
    ck_assert_int_ge(sonic_frame_sendv(w.conn, prefix, iov, 3), 0);
    expect_frame(f, prefix, len);
    sonic_frame_async_send(w.conn, body, len, on_sent, prefix);
    expect_frame(f, NULL, len);
    frame_world_until(&w, &sent.calls, calls + 1);
    ck_assert_int_eq(sent.err, 0);
    ck_assert_ptr_eq(sent.ud, prefix);
    sonic_frame_async_sendv(w.conn, prefix, iov, 3, on_sent, NULL);
    expect_frame(f, prefix, len);
    frame_world_until(&w, &sent.calls, calls + 2);
}

/* Room for n, of which len are used. */
static void
send_in_place(const sonic_frame_format *f, size_t n, size_t len)
{
    uint8_t prefix[64], *at = sonic_frame_reserve(w.conn, n);

    memset(prefix, 0xdd, sizeof prefix);
    ck_assert_ptr_nonnull(at);
    memcpy(at, body, n);
    ck_assert_int_eq(sonic_frame_commit(w.conn, prefix, len), 0);
    expect_frame(f, prefix, len);
}

START_TEST(what_is_sent_is_on_the_wire)
{
    fill_body();
    for (size_t k = 0; k < sizeof formats / sizeof formats[0]; k++) {
        const sonic_frame_format *f = &formats[k];

        frame_world_begin(&w, _i, NULL, f, NULL);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            send_all_ways(f, sizes[i]);
            for (size_t j = 0; j <= i; j++)
                send_in_place(f, sizes[i], sizes[j]);
        }
        for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
            send_all_ways(f, large[i]);
        ck_assert_int_eq(sonic_frame_sendv(w.conn, NULL, NULL, 0), 0);
        expect_frame(f, NULL, 0);
        ck_assert(frame_world_end(&w));
    }
}
END_TEST

/* Many at once, by every way in turn: all arrive, in the order of the calls,
 * and each callback runs once. */
START_TEST(nothing_overtakes)
{
    enum { N = 300, LEN = 3000 };
    static uint8_t each[N][LEN];
    size_t calls = sent.calls;

    frame_world_begin(&w, _i, NULL, NULL, NULL);
    for (unsigned i = 0; i < N; i++) {
        struct iovec iov[2] = {{each[i], 1}, {each[i] + 1, LEN - 1}};

        memset(each[i], (int)(i & 0xff), LEN);
        if (i % 3 == 0)
            ck_assert_int_ge(sonic_frame_send(w.conn, each[i], LEN), 0);
        else if (i % 3 == 1)
            sonic_frame_async_send(w.conn, each[i], LEN, on_sent, NULL);
        else
            ck_assert_int_ge(sonic_frame_sendv(w.conn, NULL, iov, 2), 0);
    }
    for (unsigned i = 0; i < N; i++) {
        static const uint8_t head[4] = {0, 0, LEN >> 8, LEN & 0xff};

        frame_peer_gets(&w, wire, 4 + LEN);
        ck_assert_mem_eq(wire, head, 4);
        ck_assert_mem_eq(wire + 4, each[i], LEN);
    }
    frame_world_until(&w, &sent.calls, calls + N / 3);
    ck_assert_uint_eq(sent.calls, calls + N / 3);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* ---- refusals --------------------------------------------------------- */

START_TEST(what_is_refused_leaves_no_trace)
{
    static const sonic_frame_format two = {SZ, .length = 2};
    struct iovec iov[SONIC_FRAME_PARTS_MAX + 1] = {{body, 1}};
    uint8_t *p;

    frame_world_begin(&w, _i, NULL, &two, NULL);
    ck_assert_int_eq(sonic_frame_send(w.conn, body, 65536),
                     SONIC_EFRAME_LENGTH);
    ck_assert_int_eq(sonic_frame_send(w.conn, body, (16 << 20) + 1),
                     SONIC_EFRAME_TOOBIG);
    ck_assert_int_eq(sonic_frame_sendv(w.conn, NULL, iov, -1), -EINVAL);
    ck_assert_int_eq(
        sonic_frame_sendv(w.conn, NULL, iov, SONIC_FRAME_PARTS_MAX + 1),
        -EINVAL);
    ck_assert_ptr_null(
        sonic_frame_reserve(w.conn, SONIC_FRAME_RESERVE_MAX + 1));
    ck_assert_int_eq(sonic_frame_commit(w.conn, NULL, 0), SONIC_ESTATE);
    p = sonic_frame_reserve(w.conn, 10);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(sonic_frame_commit(w.conn, NULL, 11), SONIC_ESTATE);
    sonic_frame_async_send(w.conn, body, 65536, on_sent, NULL);
    ck_assert_int_eq(sent.err, SONIC_EFRAME_LENGTH);
    sonic_frame_async_sendv(w.conn, NULL, iov, SONIC_FRAME_PARTS_MAX + 1,
                            on_sent, NULL);
    ck_assert_int_eq(sent.err, -EINVAL);
    ck_assert_int_eq(sonic_frame_write(w.conn, body, 65536),
                     SONIC_EFRAME_LENGTH);
    ck_assert_uint_eq(sonic_frame_queued(w.conn), 0);
    body[0] = 'z';
    ck_assert_int_eq(sonic_frame_sendv(w.conn, NULL, iov, 63), 0);
    frame_peer_gets(&w, wire, 3);
    ck_assert_mem_eq(wire, "\0\1z", 3);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(a_peer_that_is_gone)
{
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    sonic_frame_pause(w.conn);
    sonic_stream_free(w.peer);
    w.peer = NULL;
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    ck_assert_int_eq(sonic_frame_write(w.conn, "x", 1), -EPIPE);
    ck_assert_int_eq(sonic_frame_send(w.conn, "x", 1), -EPIPE);
    ck_assert_int_eq(sonic_frame_conn_state(w.conn), SONIC_FRAME_OPEN);
    sonic_frame_conn_close(w.conn);
    frame_world_until(&w, &w.closes, 1);
    ck_assert_int_eq(w.why.error, -EPIPE);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* ---- back-pressure ---------------------------------------------------- */

/* Send until the queue is refused; how many sends said 1. */
static size_t
fill_queue(size_t len, size_t *frames)
{
    size_t ones = 0;
    int r;

    while ((r = sonic_frame_send(w.conn, body, len)) >= 0) {
        ones += r == 1;
        ++*frames;
        ck_assert_int_ge(sonic_io_poll(w.io), 0);
    }
    ck_assert_int_eq(r, SONIC_EQUEUE);
    return ones;
}

START_TEST(a_peer_that_never_reads)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    const size_t len = 1000;
    size_t frames = 0;

    opt.low_water = 64 * KB;
    opt.high_water = 256 * KB;
    opt.queue_limit = 512 * KB;
    frame_world_begin(&w, _i, NULL, NULL, &opt);
    for (size_t round = 1; round <= 3; round++) {
        ck_assert_uint_gt(fill_queue(len, &frames), 100);
        ck_assert_uint_le(sonic_frame_queued(w.conn), opt.queue_limit);
        ck_assert_uint_eq(w.drains, round - 1);
        while (frames > 0) {
            frame_peer_gets(&w, wire, len + 4);
            frames--;
            if (sonic_frame_queued(w.conn) > opt.low_water)
                ck_assert_uint_eq(w.drains, round - 1);
        }
        for (int i = 0; i < 10; i++)
            ck_assert_int_ge(sonic_io_poll(w.io), 0);
        ck_assert_uint_eq(w.drains, round); /* exactly one for a crossing */
    }
    ck_assert(frame_world_end(&w));
}
END_TEST

/* All of the frame is queued, or nothing, whatever its size. */
START_TEST(a_full_queue_takes_no_part_of_a_frame)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    struct iovec iov[2] = {{body, 3}, {body, 200000}};
    size_t frames = 0, before;

    opt.queue_limit = 100 * KB;
    opt.high_water = 50 * KB;
    opt.low_water = 1;
    frame_world_begin(&w, _i, NULL, NULL, &opt);
    (void)fill_queue(1000, &frames);
    before = sonic_frame_queued(w.conn);
    ck_assert_int_eq(sonic_frame_send(w.conn, body, 200000), SONIC_EQUEUE);
    ck_assert_int_eq(sonic_frame_sendv(w.conn, NULL, iov, 2), SONIC_EQUEUE);
    iov[1].iov_len = 2000;
    ck_assert_int_eq(sonic_frame_sendv(w.conn, NULL, iov, 2), SONIC_EQUEUE);
    ck_assert_ptr_null(sonic_frame_reserve(w.conn, 30000));
    sonic_frame_async_send(w.conn, body, 200000, on_sent, NULL);
    ck_assert_int_eq(sent.err, SONIC_EQUEUE);
    ck_assert_uint_eq(sonic_frame_queued(w.conn), before);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* A queue that can no longer drain ends the connection that waits for it. */
START_TEST(a_drain_that_cannot_come)
{
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    sonic_frame_pause(w.conn);
    ck_assert_int_eq(sonic_frame_send(w.conn, body, sizeof body), 1);
    sonic_stream_free(w.peer);
    w.peer = NULL;
    frame_world_until(&w, &w.closes, 1);
    ck_assert_uint_eq(w.drains, 0);
    ck_assert_int_eq(w.why.side, SONIC_FRAME_NOBODY);
    ck_assert(w.why.error == -EPIPE || w.why.error == -ECONNRESET);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* ---- blocking twins --------------------------------------------------- */

static void
tries_to_block(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    frame_recorder.on_frame(conn, data, len, ud);
    ck_assert_int_eq(sonic_frame_read(conn, wire, sizeof wire, NULL), -EBUSY);
    ck_assert_int_eq(sonic_frame_write(conn, data, len), -EBUSY);
}

static const sonic_frame_handler blocker = {
    SONIC_FRAME_HANDLER_INIT,
    .on_frame = tries_to_block,
};

START_TEST(twins_do_not_block_in_callbacks)
{
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_conn_set_handler(w.conn, &blocker, &w), 0);
    frame_peer_frame(&w, "a", 1);
    frame_peer_frame(&w, "b", 1);
    frame_world_until(&w, &w.frames, 2);
    ck_assert_uint_eq(sonic_frame_queued(w.conn), 0);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(twins_end_when_the_io_is_stopped)
{
    uint8_t *gone = malloc(sizeof body);
    size_t len = 7;

    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_conn_set_handler(w.conn, &frame_puller, &w),
                     0);
    sonic_io_stop(w.io);
    ck_assert_int_eq(sonic_frame_read(w.conn, gone, 10, &len), SONIC_ESTOPPED);
    ck_assert_uint_eq(len, 0);
    sonic_io_restart(w.io);
    frame_peer_frame(&w, "kept", 4); /* the read that ended took nothing */
    ck_assert_int_eq(sonic_frame_read(w.conn, gone, 10, &len), 0);
    ck_assert_uint_eq(len, 4);
    sonic_io_stop(w.io);
    memcpy(gone, body, sizeof body);
    ck_assert_int_eq(sonic_frame_write(w.conn, gone, sizeof body),
                     SONIC_ESTOPPED);
    free(gone);
    sonic_io_restart(w.io);
    ck_assert_int_eq(sonic_frame_conn_state(w.conn), SONIC_FRAME_CLOSED);
    frame_world_until(&w, &w.closes, 1);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* ---- the steady state ------------------------------------------------- */

static void
answer(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    uint8_t *p;

    frame_recorder.on_frame(conn, data, len, ud);
    ck_assert_int_ge(sonic_frame_send(conn, data, len), 0);
    p = sonic_frame_reserve(conn, len);
    ck_assert_ptr_nonnull(p);
    memcpy(p, data, len);
    ck_assert_int_ge(sonic_frame_commit(conn, NULL, len), 0);
    sonic_frame_async_send(conn, body, len, on_sent, NULL);
}

static const sonic_frame_handler echo = {
    SONIC_FRAME_HANDLER_INIT,
    .on_frame = answer,
};

static void
answer_read(sonic_frame_conn *conn, int err, uint8_t *data, size_t len,
            void *ud)
{
    if (err < 0)
        return;
    answer(conn, data, len, ud);
    sonic_frame_async_read(conn, answer_read, ud);
}

static void
rounds(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = i % 2 == 0 ? 100 : 5000;

        for (int k = 0; k < 3; k++)
            frame_peer_frame(&w, body, len);
        frame_peer_gets(&w, wire, 9 * (len + 4));
    }
}

START_TEST(nothing_allocates_once_it_runs)
{
    sonic_io_stats before, after;
    size_t allocs;

    for (int pull = 0; pull < 2; pull++) {
        frame_world_begin(&w, _i, NULL, NULL, NULL);
        ck_assert_int_eq(sonic_frame_conn_set_handler(
                             w.conn, pull ? &frame_puller : &echo, &w),
                         0);
        if (pull)
            sonic_frame_async_read(w.conn, answer_read, &w);
        rounds(20);
        sonic_io_get_stats(w.io, &before);
        allocs = w.allocs;
        rounds(500);
        sonic_io_get_stats(w.io, &after);
        ck_assert_uint_eq(w.allocs, allocs);
        ck_assert_uint_eq(after.buffers, before.buffers);
        ck_assert_uint_eq(after.registered, before.registered);
        /* one answer to all frames of a receive: the peer's and ours */
        ck_assert_uint_le(after.writes - before.writes, 500 * 2 + 20);
        ck_assert_uint_eq(w.frames, 520 * 3);
        ck_assert(frame_world_end(&w));
    }
}
END_TEST

START_TEST(an_idle_connection_holds_no_buffer)
{
    sonic_io_stats stats;

    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_conn_set_handler(w.conn, &echo, &w), 0);
    rounds(3);
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    sonic_io_get_stats(w.io, &stats);
    ck_assert_uint_eq(stats.buffers_lent, 0);
    ck_assert_uint_le(sizeof(sonic_frame_conn), 96);
    ck_assert(frame_world_end(&w));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("frame send");
    TCase *tc = tcase_create("send");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, what_is_sent_is_on_the_wire, 0, BACKENDS);
    tcase_add_loop_test(tc, nothing_overtakes, 0, BACKENDS);
    tcase_add_loop_test(tc, what_is_refused_leaves_no_trace, 0, BACKENDS);
    tcase_add_loop_test(tc, a_peer_that_is_gone, 0, BACKENDS);
    tcase_add_loop_test(tc, a_peer_that_never_reads, 0, BACKENDS);
    tcase_add_loop_test(tc, a_full_queue_takes_no_part_of_a_frame, 0, BACKENDS);
    tcase_add_loop_test(tc, a_drain_that_cannot_come, 0, BACKENDS);
    tcase_add_loop_test(tc, twins_do_not_block_in_callbacks, 0, BACKENDS);
    tcase_add_loop_test(tc, twins_end_when_the_io_is_stopped, 0, BACKENDS);
    tcase_add_loop_test(tc, nothing_allocates_once_it_runs, 0, BACKENDS);
    tcase_add_loop_test(tc, an_idle_connection_holds_no_buffer, 0, BACKENDS);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
