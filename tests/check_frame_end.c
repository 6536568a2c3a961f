/* How a connection ends: by either side, in good order, in the middle, late,
 * and with everything that is wrong. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame/conn.h"
#include "support/frame_world.h"

#define SZ .size = sizeof(sonic_frame_format)
#define MS INT64_C(1000000)

static struct frame_world w;

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

static void
expect_end(enum sonic_frame_side side, enum sonic_frame_state state, int error)
{
    ck_assert_uint_eq(w.closes, 1);
    ck_assert_int_eq(w.why.side, side);
    ck_assert_int_eq(w.why.state, state);
    ck_assert_int_eq(w.why.error, error);
    ck_assert_int_eq(sonic_frame_conn_state(w.conn), SONIC_FRAME_CLOSED);
    ck_assert_ptr_null(sonic_frame_conn_next_layer(w.conn));
    ck_assert_int_eq(sonic_frame_send(w.conn, "x", 1), SONIC_ESTATE);
}

START_TEST(the_peer_ends)
{
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    frame_peer_frame(&w, "bye", 3);
    ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
    frame_world_until(&w, &w.closes, 1);
    ck_assert_uint_eq(w.frames, 1);
    expect_end(SONIC_FRAME_PEER, SONIC_FRAME_ENDED, 0);
    ck_assert(frame_peer_sees_end(&w));
    ck_assert(frame_world_end(&w));
}
END_TEST

static void
answer(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    frame_recorder.on_frame(conn, data, len, ud);
    ck_assert_int_ge(sonic_frame_send(conn, data, len), 0);
}

/* The peer ends at once; every answer reaches it all the same, though they
 * do not fit in the socket. */
START_TEST(answers_go_out_behind_the_peers_end)
{
    enum { N = 60, SIZE = 50000 };
    uint8_t *body = malloc(SIZE + 4);
    sonic_frame_handler h = frame_recorder;

    h.on_frame = answer;
    memset(body, 'q', SIZE + 4);
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_conn_set_handler(w.conn, &h, &w), 0);
    for (int i = 0; i < N; i++)
        frame_peer_frame(&w, body, SIZE);
    ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
    for (int i = 0; i < N; i++)
        frame_peer_gets(&w, body, SIZE + 4);
    ck_assert(frame_peer_sees_end(&w));
    frame_world_until(&w, &w.closes, 1);
    expect_end(SONIC_FRAME_PEER, SONIC_FRAME_ENDED, 0);
    ck_assert_uint_eq(w.why.unsent, 0);
    ck_assert(frame_world_end(&w));
    free(body);
}
END_TEST

START_TEST(the_peer_ends_inside_a_frame)
{
    static const uint8_t wire[] = {0, 0, 0, 0, 0, 0, 0, 9, 'x'};

    for (size_t cut = 5; cut <= sizeof wire; cut++) {
        frame_world_begin(&w, _i, NULL, NULL, NULL);
        frame_peer_puts(&w, wire, cut);
        sonic_stream_free(w.peer);
        w.peer = NULL;
        frame_world_until(&w, &w.closes, 1);
        ck_assert_uint_eq(w.frames, 1);
        expect_end(SONIC_FRAME_PEER, SONIC_FRAME_OPEN, SONIC_EFRAME_CUT);
        ck_assert_uint_eq(w.why.partial, cut - 4);
        ck_assert(frame_world_end(&w));
    }
}
END_TEST

static const struct {
    sonic_frame_format format;
    size_t n;
    uint8_t wire[8];
    int error;
} wrong[] = {
    {{SZ, .length = 4}, 4, {1, 0, 0, 1}, SONIC_EFRAME_TOOBIG},
    {{SZ, .length = 8}, 8, {0x80, 0, 0, 0, 0, 0, 0, 0}, SONIC_EFRAME_TOOBIG},
    {{SZ, .length = SONIC_FRAME_VARINT}, 2, {0x80, 0}, SONIC_EFRAME_LENGTH},
    {{SZ, .length = 2, .counts = SONIC_FRAME_EVERYTHING},
     2,
     {0, 1},
     SONIC_EFRAME_LENGTH},
};

/* Behind good frames, at once, and the connection is over. */
START_TEST(wrong_frames_end_it)
{
    uint8_t buf[16] = {0};
    sonic_frame_codec c;
    int err, n;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        frame_world_begin(&w, _i, NULL, &wrong[i].format, NULL);
        ck_assert_int_eq(sonic_frame_codec_init(&c, &wrong[i].format), 0);
        n = sonic_frame_encode_header(&c, 0, buf, sizeof buf);
        ck_assert_int_gt(n, 0);
        frame_peer_puts(&w, buf, (size_t)n);
        frame_peer_puts(&w, wrong[i].wire, wrong[i].n);
        frame_world_until(&w, &w.closes, 1);
        ck_assert_uint_eq(w.frames, 1);
        expect_end(SONIC_FRAME_PEER, SONIC_FRAME_OPEN, wrong[i].error);
        err = sonic_frame_read(w.conn, buf, sizeof buf, NULL);
        ck_assert_int_eq(err, SONIC_ECLOSED);
        ck_assert(frame_peer_sees_end(&w));
        ck_assert(frame_world_end(&w));
    }
}
END_TEST

START_TEST(a_claim_of_a_gigabyte_costs_nothing)
{
    static const sonic_frame_format big = {SZ, .max_body = 1u << 31};
    static const uint8_t claim[] = {0x40, 0, 0, 0, 'x'};
    sonic_io_stats before, after;
    size_t allocs;

    frame_world_begin(&w, _i, NULL, &big, NULL);
    frame_peer_puts(&w, "\0\0\0\1a", 5);
    frame_world_until(&w, &w.frames, 1);
    sonic_io_get_stats(w.io, &before);
    allocs = w.allocs;
    frame_peer_puts(&w, claim, sizeof claim);
    for (int i = 0; i < 10; i++)
        ck_assert_int_ge(sonic_io_poll(w.io), 0);
    sonic_io_get_stats(w.io, &after);
    ck_assert_uint_eq(
        sonic_stream_buffered(sonic_frame_conn_next_layer(w.conn)),
        sizeof claim);
    ck_assert_uint_eq(after.buffer_bytes, before.buffer_bytes);
    ck_assert_uint_eq(w.allocs, allocs);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(we_close)
{
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_send(w.conn, "bye", 3), 0);
    sonic_frame_conn_close(w.conn);
    sonic_frame_conn_close(w.conn);
    ck_assert_int_eq(sonic_frame_conn_state(w.conn), SONIC_FRAME_CLOSING);
    ck_assert_int_eq(sonic_frame_send(w.conn, "x", 1), SONIC_ESTATE);
    frame_peer_gets(&w, w.last, 7);
    ck_assert_mem_eq(w.last, "\0\0\0\3bye", 7);
    ck_assert(frame_peer_sees_end(&w));
    ck_assert_int_eq(sonic_frame_conn_state(w.conn), SONIC_FRAME_WAITING);
    sonic_frame_conn_close(w.conn);
    frame_peer_frame(&w, "you too", 7);
    ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
    frame_world_until(&w, &w.closes, 1);
    ck_assert_uint_eq(w.frames, 1); /* still delivered */
    expect_end(SONIC_FRAME_US, SONIC_FRAME_WAITING, 0);
    sonic_frame_conn_close(w.conn);
    sonic_frame_conn_terminate(w.conn);
    ck_assert_uint_eq(w.closes, 1);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* What nobody takes is dropped: the peer's end lies behind it. */
START_TEST(we_close_and_nobody_reads)
{
    static uint8_t body[50000];

    pull_world(_i);
    for (int i = 0; i < 20; i++)
        frame_peer_frame(&w, body, sizeof body);
    sonic_frame_conn_close(w.conn);
    ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
    frame_world_until(&w, &w.closes, 1);
    expect_end(SONIC_FRAME_US, SONIC_FRAME_WAITING, 0);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* The peer ends while our queue is still going out: a reader hears of it at
 * once, the peer gets all the same what we sent. */
START_TEST(both_close)
{
    static uint8_t body[3000000];

    frame_world_begin(&w, _i, NULL, NULL, NULL);
    got = (struct got){0, 0, 0, NULL};
    sonic_frame_async_read(w.conn, on_read, NULL);
    ck_assert_int_eq(sonic_frame_send(w.conn, body, sizeof body), 1);
    sonic_frame_conn_close(w.conn);
    ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
    frame_world_until(&w, &got.calls, 1);
    ck_assert_int_eq(got.err, SONIC_EOF);
    ck_assert_int_eq(sonic_frame_conn_state(w.conn), SONIC_FRAME_ENDED);
    ck_assert_uint_gt(sonic_frame_queued(w.conn), 0);
    sonic_frame_conn_close(w.conn);
    frame_peer_gets(&w, body, 4);
    frame_peer_gets(&w, body, sizeof body);
    ck_assert(frame_peer_sees_end(&w));
    frame_world_until(&w, &w.closes, 1);
    expect_end(SONIC_FRAME_US, SONIC_FRAME_ENDED, 0);
    ck_assert(frame_world_end(&w));
}
END_TEST

static const struct {
    bool fill, end;
    enum sonic_frame_state state;
} slow[] = {
    {false, false, SONIC_FRAME_WAITING}, /* the peer does not end */
    {true, false, SONIC_FRAME_CLOSING},  /* nor read */
    {true, true, SONIC_FRAME_ENDED},     /* ends, and does not read */
};

START_TEST(closing_takes_no_longer_than_it_may)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    static uint8_t body[3000000];

    opt.close_timeout = 5 * MS;
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        frame_world_begin(&w, _i, NULL, NULL, &opt);
        if (slow[i].fill)
            ck_assert_int_eq(sonic_frame_send(w.conn, body, sizeof body), 1);
        if (slow[i].end)
            ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
        else
            sonic_frame_conn_close(w.conn);
        frame_world_until(&w, &w.closes, 1);
        expect_end(slow[i].end ? SONIC_FRAME_PEER : SONIC_FRAME_US,
                   slow[i].state, -ETIMEDOUT);
        ck_assert_int_eq(w.why.unsent > 0, slow[i].fill);
        ck_assert(frame_world_end(&w));
    }
}
END_TEST

START_TEST(we_terminate)
{
    pull_world(_i);
    sonic_frame_async_read(w.conn, on_read, NULL);
    ck_assert_int_eq(sonic_frame_send(w.conn, "out", 3), 0);
    sonic_frame_conn_terminate(w.conn);
    ck_assert_uint_eq(w.closes, 0); /* from the loop */
    ck_assert_uint_eq(got.calls, 0);
    frame_world_until(&w, &w.closes, 1);
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_int_eq(got.err, -ECANCELED);
    expect_end(SONIC_FRAME_US, SONIC_FRAME_OPEN, -ECANCELED);
    frame_peer_gets(&w, w.last, 7); /* what the system took, it took */
    ck_assert(frame_peer_sees_end(&w));
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(the_io_ends)
{
    pull_world(_i);
    sonic_frame_async_read(w.conn, on_read, NULL);
    sonic_io_close(w.io);
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_int_eq(got.err, -ECANCELED);
    expect_end(SONIC_FRAME_NOBODY, SONIC_FRAME_OPEN, -ECANCELED);
    ck_assert(frame_world_end(&w));
    /* freed with its io, whatever was under way */
    pull_world(_i);
    sonic_frame_async_read(w.conn, on_read, NULL);
    ck_assert_int_eq(sonic_frame_send(w.conn, "out", 3), 0);
    w.conn = NULL;
    w.peer = NULL;
    ck_assert(frame_world_end(&w));
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_uint_eq(w.closes, 1);
}
END_TEST

START_TEST(a_reader_learns_of_the_end)
{
    uint8_t byte;

    pull_world(_i);
    frame_peer_frame(&w, "a", 1);
    ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
    ck_assert_int_eq(sonic_frame_read(w.conn, &byte, 1, NULL), 0);
    ck_assert_int_eq(sonic_frame_read(w.conn, &byte, 1, NULL), SONIC_EOF);
    ck_assert_int_eq(sonic_frame_read(w.conn, &byte, 1, NULL), SONIC_EOF);
    frame_world_until(&w, &w.closes, 1);
    ck_assert_int_eq(sonic_frame_read(w.conn, &byte, 1, NULL), SONIC_EOF);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* Nobody reads: the end is heard all the same, as long as no frame hides it,
 * and then by a send that fails. */
START_TEST(one_who_only_sends_hears_of_the_end)
{
    pull_world(_i);
    ck_assert_int_eq(sonic_frame_send(w.conn, "tick", 4), 0);
    ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
    frame_world_until(&w, &w.closes, 1);
    expect_end(SONIC_FRAME_PEER, SONIC_FRAME_ENDED, 0);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(a_send_that_fails_ends_it)
{
    static char block[4096];
    int ret;

    pull_world(_i);
    frame_peer_frame(&w, "unread", 6);
    sonic_io_poll(w.io);
    sonic_stream_free(w.peer);
    w.peer = NULL;
    for (ret = 0; ret >= 0; sonic_io_poll(w.io)) {
        ck_assert_uint_eq(w.closes, 0);
        ret = sonic_frame_send(w.conn, block, sizeof block);
        ck_assert_uint_eq(w.closes, 0);
    }
    ck_assert(ret == -EPIPE || ret == -ECONNRESET);
    frame_world_until(&w, &w.closes, 1);
    expect_end(SONIC_FRAME_NOBODY, SONIC_FRAME_OPEN, ret);
    ck_assert_uint_eq(w.why.partial, 10);
    ck_assert(frame_world_end(&w));
}
END_TEST

START_TEST(every_row_is_taken)
{
    const sonic_fsm *m = &sonic__frame_session_fsm;

    for (unsigned i = 0; i < m->n_rows; i++) {
        const sonic_fsm_row *r = &m->rows[i];
        unsigned hits = m->hits[r->state * m->n_events + r->event];

        ck_assert_msg((hits > 0) != (strcmp(r->action, "impossible") == 0),
                      "%s %s: %u", m->states[r->state], m->events[r->event],
                      hits);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("frame end");
    TCase *tc = tcase_create("ending");
    SRunner *sr = srunner_create(s);
    int failed;

    /* One process: the last test looks at the counters of the others. */
    srunner_set_fork_status(sr, CK_NOFORK);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, the_peer_ends, 0, BACKENDS);
    tcase_add_loop_test(tc, answers_go_out_behind_the_peers_end, 0, BACKENDS);
    tcase_add_loop_test(tc, the_peer_ends_inside_a_frame, 0, BACKENDS);
    tcase_add_loop_test(tc, wrong_frames_end_it, 0, BACKENDS);
    tcase_add_loop_test(tc, a_claim_of_a_gigabyte_costs_nothing, 0, BACKENDS);
    tcase_add_loop_test(tc, we_close, 0, BACKENDS);
    tcase_add_loop_test(tc, we_close_and_nobody_reads, 0, BACKENDS);
    tcase_add_loop_test(tc, both_close, 0, BACKENDS);
    tcase_add_loop_test(tc, closing_takes_no_longer_than_it_may, 0, BACKENDS);
    tcase_add_loop_test(tc, we_terminate, 0, BACKENDS);
    tcase_add_loop_test(tc, the_io_ends, 0, BACKENDS);
    tcase_add_loop_test(tc, a_reader_learns_of_the_end, 0, BACKENDS);
    tcase_add_loop_test(tc, one_who_only_sends_hears_of_the_end, 0, BACKENDS);
    tcase_add_loop_test(tc, a_send_that_fails_ends_it, 0, BACKENDS);
    tcase_add_test(tc, every_row_is_taken);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
