/* The time that a frame may take, by a simulated clock. */
#include <check.h>
#include <stdlib.h>

#include <sonicio/frame.h>
#include <sonicio/sim.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

static sonic_sim *sim;
static sonic_io *io;

static void
count_frames(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    (void)conn;
    (void)data;
    (void)len;
    ++*(size_t *)ud;
}

static const sonic_frame_handler counter = {
    SONIC_FRAME_HANDLER_INIT,
    .on_frame = count_frames,
};

/* n bytes come, and so much time goes by. */
static void
some_bytes(int fd, const char *bytes, size_t n, int64_t time)
{
    const sonic_sys *k = sonic_sim_sys(sim);
    int64_t until = sonic_sim_now(sim) + time;

    ck_assert(n == 0 || k->send(fd, bytes, n, 0, k->ud) == (ssize_t)n);
    while (sonic_io_poll(io) > 0)
        ;
    if (until > sonic_sim_now(sim))
        sonic_sim_advance(sim, until);
    while (sonic_io_poll(io) > 0)
        ;
}

static sonic_frame_conn *
begin(const sonic_frame_options *opt, size_t *frames, int *peer)
{
    sonic_io_options io_opt = SONIC_IO_OPTIONS_INIT;
    sonic_frame_conn *conn;
    sonic_frame_codec codec;
    sonic_stream *s;
    int fd[2];

    ck_assert(sonic_sim_new(&sim, NULL) == 0);
    io_opt.sys = sonic_sim_sys(sim);
    ck_assert(sonic_io_new(&io, &io_opt) == 0);
    ck_assert(sonic_sim_pair(sim, fd) == 0);
    ck_assert(sonic_stream_adopt(io, fd[0], &s) == 0);
    ck_assert(sonic_frame_codec_init(&codec, NULL) == 0);
    ck_assert(sonic_frame_conn_new(s, &codec, opt, &counter, frames, &conn) ==
              0);
    *peer = fd[1];
    return conn;
}

static void
end(sonic_frame_conn *conn, int peer)
{
    sonic_frame_conn_free(conn);
    sonic_io_free(io);
    sonic_sim_sys(sim)->close(peer, sonic_sim_sys(sim)->ud);
    ck_assert_int_eq(sonic_sim_free(sim, NULL), 0);
}

/* A peer that stops inside a frame is cut off; one that is slow between frames
 * is not, nor is one whose frame nobody waits for. */
START_TEST(a_frame_takes_no_longer_than_it_may)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    sonic_frame_conn *conn;
    size_t frames = 0;
    int peer;

    opt.frame_timeout = SECOND;
    conn = begin(&opt, &frames, &peer);
    some_bytes(peer, NULL, 0, 5 * SECOND);
    some_bytes(peer, "\0\0\0\1x\0", 6, 900 * MS);
    some_bytes(peer, "\0\0\1x\0", 5, 900 * MS); /* each within a second */
    some_bytes(peer, "\0\0\1x\0", 5, 900 * MS);
    some_bytes(peer, "\0\0\1x", 4, 5 * SECOND);
    ck_assert_uint_eq(frames, 4);
    sonic_frame_pause(conn);
    some_bytes(peer, "\0\0\0\2x", 5, 900 * MS);
    some_bytes(peer, NULL, 0, 5 * SECOND);
    ck_assert_int_eq(sonic_frame_conn_state(conn), SONIC_FRAME_OPEN);
    sonic_frame_resume(conn); /* from now on it counts */
    some_bytes(peer, NULL, 0, 900 * MS);
    ck_assert_int_eq(sonic_frame_conn_state(conn), SONIC_FRAME_OPEN);
    some_bytes(peer, NULL, 0, 200 * MS);
    ck_assert_int_eq(sonic_frame_conn_state(conn), SONIC_FRAME_CLOSED);
    ck_assert_uint_eq(frames, 4);
    end(conn, peer);
}
END_TEST

/* Nothing that happens meanwhile makes closing take longer. */
START_TEST(closing_has_one_deadline)
{
    static uint8_t body[1000000];
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    const sonic_sys *k;
    sonic_frame_conn *conn;
    size_t frames = 0;
    int peer;

    opt.close_timeout = SECOND;
    conn = begin(&opt, &frames, &peer);
    k = sonic_sim_sys(sim);
    ck_assert_int_ge(sonic_frame_send(conn, body, sizeof body), 0);
    sonic_frame_conn_close(conn);
    some_bytes(peer, NULL, 0, 400 * MS);
    sonic_frame_conn_close(conn);
    some_bytes(peer, "\0\0\0\1x", 5, 100 * MS);
    ck_assert_uint_eq(frames, 1);
    ck_assert_int_eq(k->shutdown(peer, SHUT_WR, k->ud), 0);
    some_bytes(peer, NULL, 0, 400 * MS);
    ck_assert_int_eq(sonic_frame_conn_state(conn), SONIC_FRAME_ENDED);
    sonic_frame_conn_close(conn);
    some_bytes(peer, NULL, 0, 200 * MS);
    ck_assert_int_eq(sonic_frame_conn_state(conn), SONIC_FRAME_CLOSED);
    end(conn, peer);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("frame time");
    TCase *tc = tcase_create("time");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, a_frame_takes_no_longer_than_it_may);
    tcase_add_test(tc, closing_has_one_deadline);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
