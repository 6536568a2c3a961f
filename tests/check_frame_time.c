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

/* A peer that stops inside a frame is cut off; one that is slow between frames
 * is not, nor is one whose frame nobody waits for. */
START_TEST(a_frame_takes_no_longer_than_it_may)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    sonic_io_options io_opt = SONIC_IO_OPTIONS_INIT;
    sonic_frame_conn *conn;
    sonic_frame_codec codec;
    sonic_stream *s;
    size_t frames = 0;
    int fd[2];

    ck_assert(sonic_sim_new(&sim, NULL) == 0);
    io_opt.sys = sonic_sim_sys(sim);
    ck_assert(sonic_io_new(&io, &io_opt) == 0);
    ck_assert(sonic_sim_pair(sim, fd) == 0);
    ck_assert(sonic_stream_adopt(io, fd[0], &s) == 0);
    ck_assert(sonic_frame_codec_init(&codec, NULL) == 0);
    opt.frame_timeout = SECOND;
    ck_assert(sonic_frame_conn_new(s, &codec, &opt, &counter, &frames, &conn) ==
              0);
    some_bytes(fd[1], NULL, 0, 5 * SECOND);
    some_bytes(fd[1], "\0\0\0\1x\0", 6, 900 * MS);
    some_bytes(fd[1], "\0\0\1x\0", 5, 900 * MS); /* each within a second */
    some_bytes(fd[1], "\0\0\1x\0", 5, 900 * MS);
    some_bytes(fd[1], "\0\0\1x", 4, 5 * SECOND);
    ck_assert_uint_eq(frames, 4);
    sonic_frame_pause(conn);
    some_bytes(fd[1], "\0\0\0\2x", 5, 900 * MS);
    some_bytes(fd[1], NULL, 0, 5 * SECOND);
    ck_assert_int_eq(sonic_frame_conn_state(conn), SONIC_FRAME_OPEN);
    sonic_frame_resume(conn); /* from now on it counts */
    some_bytes(fd[1], NULL, 0, 900 * MS);
    ck_assert_int_eq(sonic_frame_conn_state(conn), SONIC_FRAME_OPEN);
    some_bytes(fd[1], NULL, 0, 200 * MS);
    ck_assert_int_eq(sonic_frame_conn_state(conn), SONIC_FRAME_CLOSED);
    ck_assert_uint_eq(frames, 4);
    sonic_frame_conn_free(conn);
    sonic_io_free(io);
    sonic_sim_sys(sim)->close(fd[1], sonic_sim_sys(sim)->ud);
    ck_assert_int_eq(sonic_sim_free(sim, NULL), 0);
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
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
