/* Everything that can be done to a connection, done inside every callback;
 * memory that runs out at every allocation; and traces. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame/conn.h"
#include "support/frame_world.h"

#define KB ((size_t)1024)

/* ---- every action in every callback ----------------------------------- */

#define PLACES(X) X(FRAME) X(READ) X(SENT) X(DRAIN) X(CLOSED)
#define ACTIONS(X)                                                             \
    X(NOTHING)                                                                 \
    X(CLOSE)                                                                   \
    X(TERMINATE)                                                               \
    X(FREE)                                                                    \
    X(CLOSE_FREE)                                                              \
    X(SEND)                                                                    \
    X(SEND_FREE)                                                               \
    X(ASYNC_SEND)                                                              \
    X(ASYNC_SEND_FREE)                                                         \
    X(RESERVE_COMMIT)                                                          \
    X(READ_AGAIN)                                                              \
    X(READ_FREE)                                                               \
    X(CANCEL_READ)                                                             \
    X(PAUSE)                                                                   \
    X(RESUME)                                                                  \
    X(NO_HANDLER)                                                              \
    X(FREE_SIBLING)                                                            \
    X(FREE_PEER)                                                               \
    X(CLOSE_IO)                                                                \
    X(FREE_IO)

#define P(name) AT_##name,
#define A(name) DO_##name,
enum place { PLACES(P) N_PLACES };
enum action { ACTIONS(A) N_ACTIONS };
#undef P
#undef A
#define NAME(name) #name,
static const char *const place_names[] = {PLACES(NAME)};
static const char *const action_names[] = {ACTIONS(NAME)};

static struct frame_world w;
static struct life {
    enum place place;
    enum action action;
    bool fired;
    bool io_gone;
    size_t reads, reads_done, sends, sends_done; /* begun, and completed */
    sonic_frame_conn *sibling;
    sonic_stream *sibling_peer;
    uint8_t bytes[300000], peer_buf[64 * 1024];
} l;

static sonic_frame_read_fn on_read;

static void on_sent(sonic_frame_conn *conn, int err, void *ud);

static void
begin_read(sonic_frame_conn *conn)
{
    l.reads++;
    sonic_frame_async_read(conn, on_read, NULL);
}

static void
begin_send(sonic_frame_conn *conn, size_t len)
{
    l.sends++;
    sonic_frame_async_send(conn, l.bytes, len, on_sent, NULL);
}

static void
free_conn(void)
{
    sonic_frame_conn_free(w.conn);
    w.conn = NULL;
}

/* The actions on the io and on other objects. */
static void
act_around(enum action action)
{
    switch (action) {
    case DO_FREE_SIBLING:
        sonic_frame_conn_free(l.sibling);
        l.sibling = NULL;
        break;
    case DO_FREE_PEER:
        sonic_stream_free(w.peer);
        w.peer = NULL;
        break;
    case DO_CLOSE_IO:
        sonic_io_close(w.io);
        l.io_gone = true;
        break;
    case DO_FREE_IO: /* and all that is on it */
        sonic_io_free(w.io);
        l.io_gone = true;
        w.io = NULL;
        w.conn = l.sibling = NULL;
        w.peer = l.sibling_peer = NULL;
        break;
    default:
        break;
    }
}

static void
act(enum place place, sonic_frame_conn *c)
{
    uint8_t *p;

    if (l.fired || place != l.place)
        return;
    l.fired = true;
    switch (l.action) {
    case DO_CLOSE_FREE:
    case DO_CLOSE:
        sonic_frame_conn_close(c);
        break;
    case DO_TERMINATE:
        sonic_frame_conn_terminate(c);
        break;
    case DO_SEND_FREE:
    case DO_SEND:
        (void)!sonic_frame_send(c, l.bytes, 100);
        break;
    case DO_ASYNC_SEND_FREE:
    case DO_ASYNC_SEND:
        begin_send(c, sizeof l.bytes);
        break;
    case DO_RESERVE_COMMIT:
        p = sonic_frame_reserve(c, 100);
        if (p != NULL)
            ck_assert_int_ge(sonic_frame_commit(c, NULL, 50), 0);
        break;
    case DO_READ_FREE:
    case DO_READ_AGAIN:
        begin_read(c);
        break;
    case DO_CANCEL_READ:
        sonic_frame_cancel_read(c);
        break;
    case DO_PAUSE:
        sonic_frame_pause(c);
        break;
    case DO_RESUME:
        sonic_frame_resume(c);
        break;
    case DO_NO_HANDLER:
        ck_assert_int_eq(sonic_frame_conn_set_handler(c, NULL, NULL), 0);
        break;
    default:
        act_around(l.action);
        break;
    }
    if (l.action == DO_FREE || l.action == DO_CLOSE_FREE ||
        l.action == DO_SEND_FREE || l.action == DO_ASYNC_SEND_FREE ||
        l.action == DO_READ_FREE)
        free_conn();
}

static void
on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    frame_recorder.on_frame(conn, data, len, ud);
    act(AT_FRAME, conn);
}

static void
on_read(sonic_frame_conn *conn, int err, uint8_t *data, size_t len, void *ud)
{
    (void)data;
    (void)len;
    (void)ud;
    l.reads_done++;
    act(AT_READ, conn);
    if (err == 0 && conn == w.conn && !sonic__frame_has_read(conn))
        begin_read(conn);
}

static void
on_sent(sonic_frame_conn *conn, int err, void *ud)
{
    (void)err;
    (void)ud;
    l.sends_done++;
    act(AT_SENT, conn);
}

static void
on_drain(sonic_frame_conn *conn, void *ud)
{
    frame_recorder.on_drain(conn, ud);
    act(AT_DRAIN, conn);
}

static void
on_close(sonic_frame_conn *conn, const sonic_frame_close_record *why, void *ud)
{
    frame_recorder.on_close(conn, why, ud);
    act(AT_CLOSED, conn);
}

static const sonic_frame_handler hooked = {
    SONIC_FRAME_HANDLER_INIT,
    .on_frame = on_frame,
    .on_drain = on_drain,
    .on_close = on_close,
};

static const sonic_frame_handler hooked_puller = {
    SONIC_FRAME_HANDLER_INIT,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* The peer takes all that comes, and does not look at it. */
static void
peer_read(sonic_stream *stream, int err, size_t n, void *ud)
{
    (void)n;
    if (err == 0)
        sonic_stream_async_read(stream, l.peer_buf, sizeof l.peer_buf,
                                peer_read, ud);
}

/* Run as long as anything happens. */
static void
pump(void)
{
    for (int quiet = 0; quiet < 3 && !l.io_gone;)
        if (sonic_io_poll(w.io) == 0)
            quiet++;
}

static void
add_sibling(void)
{
    sonic_stream *s[2];
    sonic_frame_codec codec;

    ck_assert_int_eq(sonic_frame_codec_init(&codec, NULL), 0);
    ck_assert_int_eq(sonic_stream_pair(w.io, s), 0);
    ck_assert_int_eq(
        sonic_frame_conn_new(s[0], &codec, NULL, NULL, NULL, &l.sibling), 0);
    l.sibling_peer = s[1];
    l.reads++; /* something is under way on it, too */
    sonic_frame_async_read(l.sibling, on_read, NULL);
}

static void
play(int backend, enum place place, enum action action)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    bool pull = place == AT_READ;

    memset(&l, 0, offsetof(struct life, bytes));
    l.place = place;
    l.action = action;
    opt.low_water = 1;
    opt.high_water = 64 * KB;
    frame_world_begin(&w, backend, NULL, NULL, &opt);
    add_sibling();
    ck_assert_int_eq(sonic_frame_conn_set_handler(
                         w.conn, pull ? &hooked_puller : &hooked, &w),
                     0);
    if (pull)
        begin_read(w.conn);
    frame_peer_frame(&w, "a", 1);
    frame_peer_frame(&w, "b", 1);
    frame_peer_frame(&w, "c", 1);
    pump();
    if (w.conn != NULL && sonic_frame_conn_state(w.conn) == SONIC_FRAME_OPEN) {
        (void)!sonic_frame_send(w.conn, l.bytes, sizeof l.bytes);
        begin_send(w.conn, sizeof l.bytes);
    }
    if (w.peer != NULL && !l.io_gone)
        peer_read(w.peer, 0, 0, NULL);
    pump();
    if (w.peer != NULL && !l.io_gone)
        (void)sonic_stream_shutdown(w.peer);
    if (w.conn != NULL)
        sonic_frame_resume(w.conn);
    pump();
}

static void
check_play(int backend, enum place place, enum action action)
{
    bool freed;

    play(backend, place, action);
    freed = w.conn == NULL || action == DO_NO_HANDLER;
    if (!l.io_gone && l.sibling != NULL)
        ck_assert_int_eq(sonic_frame_conn_state(l.sibling), SONIC_FRAME_OPEN);
    sonic_frame_conn_free(l.sibling);
    sonic_stream_free(l.sibling_peer);
    if (!frame_world_end(&w) || !l.fired || l.reads != l.reads_done ||
        l.sends != l.sends_done ||
        w.closes !=
            (size_t)(!freed || place == AT_CLOSED || action == DO_FREE_IO))
        ck_abort_msg("%s in %s: fired %d, reads %zu %zu, sends %zu %zu, "
                     "closes %zu, blocks %zu",
                     action_names[action], place_names[place], l.fired, l.reads,
                     l.reads_done, l.sends, l.sends_done, w.closes, w.blocks);
}

START_TEST(anything_may_be_done_in_any_callback)
{
    for (int place = 0; place < N_PLACES; place++)
        for (int action = 0; action < N_ACTIONS; action++)
            check_play(_i, (enum place)place, (enum action)action);
}
END_TEST

/* ---- no memory -------------------------------------------------------- */

/* A small session in which any step may fail for lack of memory. */
static void
starve(int backend, size_t fail_at)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    uint8_t *p;

    memset(&l, 0, offsetof(struct life, bytes));
    memset(&w, 0, sizeof w);
    l.place = N_PLACES;
    opt.close_timeout = 1000 * 1000;
    w.fail_at = fail_at;
    if (frame_world_open(&w, backend, NULL, NULL, &opt) < 0)
        return;
    begin_read(w.conn);
    begin_read(w.conn); /* busy */
    (void)!sonic_stream_send(w.peer, "\0\0\0\1a\0\0\0\1b", 10);
    pump();
    (void)!sonic_frame_send(w.conn, l.bytes, 1000);
    p = sonic_frame_reserve(w.conn, 1000);
    if (p != NULL)
        (void)!sonic_frame_commit(w.conn, NULL, 1000);
    begin_send(w.conn, 1000);
    (void)!sonic_frame_send(w.conn, l.bytes, sizeof l.bytes);
    begin_send(w.conn, sizeof l.bytes);
    (void)!sonic_frame_conn_set_trace(w.conn, NULL);
    pump();
    sonic_frame_conn_close(w.conn);
    while (w.closes == 0) /* the timeout ends it, if nothing else does */
        if (sonic_io_run_one(w.io) < 0)
            break;
    ck_assert_msg(w.closes == 1, "no end after allocation %zu", fail_at);
    (void)frame_world_end(&w);
}

START_TEST(memory_may_run_out_anywhere)
{
    size_t n = 0;

    do {
        starve(_i, ++n);
        ck_assert_msg(w.blocks == 0, "leak after allocation %zu", n);
        ck_assert_msg(l.reads == l.reads_done && l.sends == l.sends_done,
                      "lost after allocation %zu", n);
    } while (w.allocs >= n);
    ck_assert_uint_gt(n, 10);
}
END_TEST

/* ---- making one ------------------------------------------------------- */

START_TEST(a_stream_that_will_not_do)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    static const sonic_frame_handler no_size = {.on_frame = NULL};
    sonic_frame_codec codec;
    sonic_frame_conn *conn = NULL;
    sonic_stream *s, *pair[2];

    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_codec_init(&codec, NULL), 0);
    ck_assert_int_eq(sonic_stream_new(w.io, &s), 0);
    ck_assert_int_eq(sonic_frame_conn_new(s, &codec, NULL, NULL, NULL, &conn),
                     -ENOTCONN);
    sonic_stream_free(s);
    ck_assert_int_eq(sonic_stream_pair(w.io, pair), 0);
    opt.close_timeout = -1;
    ck_assert_int_eq(
        sonic_frame_conn_new(pair[0], &codec, &opt, NULL, NULL, &conn),
        SONIC_EOPTION);
    opt.close_timeout = INT64_MAX;
    opt.frame_timeout = -1;
    ck_assert_int_eq(
        sonic_frame_conn_new(pair[0], &codec, &opt, NULL, NULL, &conn),
        SONIC_EOPTION);
    opt.frame_timeout = INT64_MAX;
    opt.high_water = 1;
    opt.low_water = 2;
    ck_assert_int_eq(
        sonic_frame_conn_new(pair[0], &codec, &opt, NULL, NULL, &conn),
        SONIC_EOPTION);
    ck_assert_ptr_null(conn);
    opt.high_water = 2;
    ck_assert_int_eq(/* it was the caller's all the while */
                     sonic_frame_conn_new(pair[0], &codec, &opt, NULL, NULL,
                                          &conn),
                     0);
    ck_assert_int_eq(sonic_frame_conn_set_handler(conn, &no_size, NULL),
                     SONIC_EOPTION);
    ck_assert_ptr_eq(sonic_frame_conn_io(conn), w.io);
    ck_assert_ptr_eq(sonic_frame_conn_next_layer(conn), pair[0]);
    sonic_frame_conn_close(conn); /* no deadline so far off overflows */
    sonic_stream_free(pair[1]);
    sonic_frame_conn_free(NULL);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* The first frame does not come before the maker has its connection. */
static void
make_in_callback(sonic_stream *stream, int err, size_t n, void *ud)
{
    sonic_frame_conn **conn = ud;
    sonic_frame_codec codec;

    (void)n;
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(sonic_frame_codec_init(&codec, NULL), 0);
    ck_assert_int_eq(
        sonic_frame_conn_new(stream, &codec, NULL, &frame_recorder, &w, conn),
        0);
    ck_assert_uint_eq(w.frames, 0);
}

START_TEST(frames_wait_for_the_maker)
{
    sonic_frame_conn *conn = NULL;
    sonic_stream *pair[2];
    uint8_t byte;

    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_stream_pair(w.io, pair), 0);
    ck_assert_int_eq(sonic_stream_write(pair[1], "x\0\0\0\1a", 6, NULL), 0);
    sonic_stream_async_read(pair[0], &byte, 1, make_in_callback, &conn);
    frame_world_until(&w, &w.frames, 1);
    ck_assert_ptr_nonnull(conn);
    sonic_frame_conn_free(conn);
    sonic_stream_free(pair[1]);
    ck_assert(frame_world_end(&w));
}
END_TEST

/* ---- traces ----------------------------------------------------------- */

static char trace[1024];

static void
on_step(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
        void *ud)
{
    size_t n = strlen(trace);

    (void)ud;
    snprintf(trace + n, sizeof trace - n, "%s: %s %s %s\n", fsm->name,
             fsm->states[from], fsm->events[event], fsm->states[to]);
}

START_TEST(a_connection_can_be_traced)
{
    static const sonic_fsm_tracer tracer = {on_step, NULL};

    trace[0] = '\0';
    frame_world_begin(&w, _i, NULL, NULL, NULL);
    ck_assert_int_eq(sonic_frame_conn_set_trace(w.conn, NULL), 0);
    ck_assert_int_eq(sonic_frame_conn_set_trace(w.conn, &tracer), 0);
    ck_assert_ptr_eq(sonic_frame_conn_user(w.conn), &w);
    frame_peer_puts(&w, "\0\0", 2);
    frame_peer_puts(&w, "\0\1x", 3);
    frame_world_until(&w, &w.frames, 1);
    ck_assert_int_eq(sonic_stream_shutdown(w.peer), 0);
    frame_world_until(&w, &w.closes, 1);
    ck_assert_str_eq(trace, "frame: PREFIX FIXED LENGTH\n"
                            "frame: LENGTH DONE BODY\n"
                            "frame: BODY WHOLE PREFIX\n"
                            "frame: PREFIX FIXED LENGTH\n"
                            "frame-session: OPEN END ENDED\n"
                            "frame-session: ENDED FLUSHED CLOSED\n");
    ck_assert(frame_world_end(&w));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("frame life");
    TCase *tc = tcase_create("life");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, anything_may_be_done_in_any_callback, 0, BACKENDS);
    tcase_add_loop_test(tc, memory_may_run_out_anywhere, 0, BACKENDS);
    tcase_add_loop_test(tc, a_stream_that_will_not_do, 0, BACKENDS);
    tcase_add_loop_test(tc, frames_wait_for_the_maker, 0, BACKENDS);
    tcase_add_loop_test(tc, a_connection_can_be_traced, 0, BACKENDS);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
