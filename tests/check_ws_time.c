/* The times of an open WebSocket, by a simulated clock. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sim.h>
#include <sonicio/websocket.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

#define REQUEST                                                                \
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"              \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                     \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/* A server, and a peer that is a descriptor of the world. */
static struct {
    sonic_sim *sim;
    sonic_io *io;
    sonic_ws_server *server;
    sonic_ws *ws; /* NULL once it is over */
    int fd;
    unsigned messages, closes;
    sonic_ws_close_record why;
    sonic_ws_options opt;
    /* What the peer hears: pings, and the answers that are on their way. */
    unsigned pings;
    int64_t round_trip; /* of its answers; 0: it gives none */
    struct {
        int64_t when;
        uint8_t payload[8];
    } pong[64];
    size_t first, n;
} w;

static void
on_open(sonic_ws *ws, void *ud)
{
    (void)ud;
    w.ws = ws;
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)ud;
    w.messages += m->last;
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    (void)ws;
    (void)ud;
    w.closes++;
    w.why = *why;
    w.ws = NULL;
}

static const sonic_ws_handler pushed = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_message = on_message,
    .on_close = on_close};
static const sonic_ws_handler in_parts = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_chunk = on_message,
    .on_close = on_close};
static const sonic_ws_handler pulled = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_close = on_close};

static void
on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)ud;
    if (err == 0)
        w.messages += m->last;
}

static void
settle(void)
{
    while (sonic_io_poll(w.io) > 0)
        ;
}

static void
say(const void *data, size_t n)
{
    const sonic_sys *k = sonic_sim_sys(w.sim);

    ck_assert(k->send(w.fd, data, n, 0, k->ud) == (ssize_t)n);
    settle();
}

static void
must_get(void *p, size_t n)
{
    const sonic_sys *k = sonic_sim_sys(w.sim);

    ck_assert(k->recv(w.fd, p, n, 0, k->ud) == (ssize_t)n);
}

/* Take what came: nothing but pings. */
static void
hear(void)
{
    const sonic_sys *k = sonic_sim_sys(w.sim);
    uint8_t head[2];
    size_t at;

    while (k->recv(w.fd, head, 1, 0, k->ud) == 1) {
        must_get(head + 1, 1);
        ck_assert_uint_eq(head[0], 0x89);
        ck_assert_uint_eq(head[1], 8);
        at = (w.first + w.n) % 64;
        must_get(w.pong[at].payload, 8);
        w.pings++;
        if (w.round_trip == 0)
            continue;
        w.pong[at].when = sonic_sim_now(w.sim) + w.round_trip;
        ck_assert_uint_lt(w.n++, 64);
    }
}

static void
answer(void)
{
    uint8_t frame[14] = {0x8a, 0x88};

    while (w.n > 0 && w.pong[w.first].when <= sonic_sim_now(w.sim)) {
        memcpy(frame + 6, w.pong[w.first].payload, 8);
        w.first = (w.first + 1) % 64;
        w.n--;
        say(frame, sizeof frame);
    }
}

/* So much time goes by, in steps of 10 ms; the peer does what it does. */
static void
pass(int64_t time)
{
    int64_t until = sonic_sim_now(w.sim) + time;

    settle();
    while (w.closes == 0 && sonic_sim_now(w.sim) < until) {
        hear();
        answer();
        sonic_sim_advance(w.sim, sonic_sim_now(w.sim) + 10 * MS);
        settle();
    }
}

static void
begin(void)
{
    memset(&w, 0, sizeof w);
    w.opt = (sonic_ws_options)SONIC_WS_OPTIONS_INIT;
}

static void
serve(const sonic_ws_handler *handler)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    sonic_stream *s;
    uint8_t head[1024];
    const sonic_sys *k;
    int fd[2];

    ck_assert_int_eq(sonic_sim_new(&w.sim, NULL), 0);
    k = opt.sys = sonic_sim_sys(w.sim);
    opt.mem = sonic_sim_mem(w.sim);
    ck_assert_int_eq(sonic_io_new(&w.io, &opt), 0);
    ck_assert_int_eq(
        sonic_ws_server_new(w.io, &w.opt, handler, NULL, &w.server), 0);
    ck_assert_int_eq(sonic_sim_pair(w.sim, fd), 0);
    w.fd = fd[1];
    ck_assert_int_eq(sonic_stream_adopt(w.io, fd[0], &s), 0);
    ck_assert_int_eq(sonic_ws_server_accept(w.server, s, NULL), 0);
    say(REQUEST, sizeof REQUEST - 1);
    ck_assert_ptr_nonnull(w.ws);
    ck_assert(k->recv(w.fd, head, sizeof head, 0, k->ud) > 0);
}

static void
end(void)
{
    const sonic_sys *k = sonic_sim_sys(w.sim);

    sonic_ws_server_free(w.server);
    sonic_io_free(w.io);
    k->close(w.fd, k->ud);
    ck_assert_int_eq(sonic_sim_free(w.sim, NULL), 0);
}

static void
is_alive(void)
{
    ck_assert_msg(w.closes == 0, "%s", sonic_errname(w.why.error));
    ck_assert_int_eq(sonic_ws_state(w.ws), SONIC_WS_OPEN);
}

static void
is_over(int err)
{
    ck_assert_uint_eq(w.closes, 1);
    ck_assert_msg(w.why.error == err, "%s", sonic_errname(w.why.error));
    ck_assert_int_eq(w.why.side, SONIC_WS_US);
    ck_assert(!w.why.clean);
}

/* ---- keep-alive --------------------------------------------------------- */

/* The interval is shorter than the round trip, which is shorter than what a
 * pong may take. */
START_TEST(a_pong_may_take_longer_than_the_interval)
{
    begin();
    w.opt.ping_interval = 100 * MS;
    w.opt.pong_timeout = SECOND;
    w.round_trip = 250 * MS;
    serve(&pushed);
    pass(30 * SECOND);
    is_alive();
    ck_assert_uint_ge(w.pings, 95); /* one each 300 ms */
    ck_assert_uint_le(w.pings, 101);
    ck_assert_int_ge(sonic_ws_rtt(w.ws), 250 * MS);
    ck_assert_int_le(sonic_ws_rtt(w.ws), 270 * MS);
    w.round_trip = 0; /* and then no more */
    pass(2 * SECOND);
    is_over(SONIC_EWS_PONG);
    end();
}
END_TEST

START_TEST(a_pong_that_takes_too_long)
{
    begin();
    w.opt.ping_interval = 100 * MS;
    w.opt.pong_timeout = 200 * MS;
    w.round_trip = 230 * MS;
    serve(&pushed);
    pass(290 * MS);
    is_alive();
    pass(30 * MS);
    is_over(SONIC_EWS_PONG);
    end();
}
END_TEST

/* Where nobody takes what comes, nothing says that the peer is silent; it is
 * pinged all the same, and its own times go on. */
START_TEST(a_pause_is_no_silence)
{
    begin();
    w.opt.read_idle = 500 * MS;
    w.opt.ping_interval = 100 * MS;
    w.opt.pong_timeout = SECOND;
    w.round_trip = 20 * MS;
    serve(&pushed);
    pass(SECOND);
    is_alive();
    sonic_ws_pause(w.ws);
    w.pings = 0;
    pass(30 * SECOND);
    is_alive();
    ck_assert_uint_ge(w.pings, 295);
    sonic_ws_resume(w.ws);
    pass(SECOND);
    is_alive();
    ck_assert_int_le(sonic_ws_rtt(w.ws), 40 * MS);
    sonic_ws_pause(w.ws);
    w.round_trip = 0;
    pass(10 * SECOND);
    sonic_ws_resume(w.ws); /* from now on it counts: what waits, then nothing */
    pass(490 * MS);
    is_alive();
    pass(30 * MS);
    is_over(SONIC_EWS_IDLE);
    end();
}
END_TEST

/* Paused just before the time is up, and no timer has seen it. */
START_TEST(a_short_pause_is_none_either)
{
    begin();
    w.opt.ping_interval = 10 * SECOND;
    w.opt.pong_timeout = SECOND;
    serve(&pushed);
    pass(10 * SECOND + 100 * MS);
    ck_assert_uint_eq(w.pings, 1);
    sonic_ws_pause(w.ws);
    pass(800 * MS);
    sonic_ws_resume(w.ws);
    pass(950 * MS);
    is_alive();
    pass(100 * MS);
    is_over(SONIC_EWS_PONG);
    end();
}
END_TEST

/* The answer to a ping of before the pause measures the pause. */
START_TEST(a_pause_is_no_round_trip)
{
    begin();
    w.opt.ping_interval = SECOND;
    w.opt.pong_timeout = 10 * SECOND;
    w.round_trip = 20 * MS;
    ck_assert_int_eq(sonic_histogram_new(NULL, &w.opt.rtt), 0);
    serve(&pushed);
    pass(1010 * MS); /* the first ping is out */
    sonic_ws_pause(w.ws);
    say("\x81\x80\0\0\0\0", 6); /* the last that it looks at */
    pass(900 * MS);
    sonic_ws_resume(w.ws);
    pass(50 * MS);
    ck_assert_uint_eq(sonic_histogram_count(w.opt.rtt), 0);
    pass(SECOND);
    ck_assert_uint_eq(sonic_histogram_count(w.opt.rtt), 1);
    ck_assert_int_le(sonic_histogram_max(w.opt.rtt), 40 * MS);
    is_alive();
    sonic_histogram_free(w.opt.rtt);
    end();
}
END_TEST

/* The same without a read operation. */
START_TEST(who_does_not_read_hears_no_silence)
{
    begin();
    w.opt.read_idle = 500 * MS;
    w.opt.ping_interval = 100 * MS;
    w.opt.pong_timeout = SECOND;
    w.round_trip = 20 * MS;
    serve(&pulled);
    pass(30 * SECOND);
    is_alive();
    sonic_ws_async_read(w.ws, on_read, NULL);
    pass(30 * SECOND); /* pongs are heard while it waits */
    is_alive();
    w.round_trip = 0;
    say("\x81\x80\0\0\0\0", 6);
    ck_assert_uint_eq(w.messages, 1);
    say("\x81\x80\0\0\0\0", 6); /* it waits, with what is behind it */
    pass(10 * SECOND);
    is_alive();
    sonic_ws_async_read(w.ws, on_read, NULL);
    pass(490 * MS); /* nobody reads, but nothing comes either */
    ck_assert_uint_eq(w.messages, 2);
    is_alive();
    pass(30 * MS);
    is_over(SONIC_EWS_IDLE);
    end();
}
END_TEST

/* ---- a message ---------------------------------------------------------- */

#define HALF "\x82\x82\0\0\0\0x", 7 /* a message but for its last byte */
#define REST_AND_HALF "x\x82\x82\0\0\0\0x", 8
#define FIRST "\x02\x80\0\0\0\0", 6 /* a fragment */
#define LAST "\x80\x80\0\0\0\0", 6

static const sonic_ws_handler *const takers[] = {&pushed, &in_parts};

/* Ten of them, each within its second, then one that stops. */
START_TEST(a_message_takes_no_longer_than_it_may)
{
    begin();
    w.opt.message_timeout = SECOND;
    serve(takers[_i]);
    pass(5 * SECOND); /* between messages it may take any */
    say(HALF);
    for (int i = 0; i < 10; i++) {
        pass(900 * MS);
        is_alive();
        say(REST_AND_HALF);
    }
    ck_assert_uint_eq(w.messages, 10);
    pass(900 * MS);
    is_alive();
    pass(200 * MS);
    is_over(SONIC_EWS_SLOW);
    ck_assert_int_eq(w.why.layer, SONIC_WS_LAYER_TRANSPORT);
    end();
}
END_TEST

/* However busy it looks: a byte each 100 ms, fragments, or half a header. */
START_TEST(a_trickle_does_not_help)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *more;
        size_t n_more;
    } c[] = {{"\x82\xfe\x10\0\0\0\0\0", 8, "x", 1},
             {FIRST, "\0\x80\0\0\0\0", 6},
             {"\x82", 1, "", 0},
             {"\x89", 1, "", 0}};

    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        begin();
        w.opt.message_timeout = SECOND;
        serve(takers[_i]);
        say(c[i].bytes, c[i].n);
        for (int k = 0; k < 12 && w.closes == 0; k++) {
            if (c[i].n_more > 0)
                say(c[i].more, c[i].n_more);
            pass(100 * MS);
            if (k < 9)
                is_alive();
        }
        is_over(SONIC_EWS_SLOW);
        ck_assert_uint_eq(w.messages, 0);
        end();
    }
}
END_TEST

/* The time of a message ends with it, be it of fragments; when the rest has
 * come the loop has nothing more to wait for than before. */
START_TEST(what_is_whole_is_timed_no_more)
{
    begin();
    w.opt.message_timeout = SECOND;
    serve(takers[_i]);
    say(FIRST);
    pass(900 * MS);
    say(LAST);
    say("\x89", 1);
    pass(900 * MS);
    say("\x80\0\0\0\0", 5);
    ck_assert_uint_eq(w.messages, 1);
    w.pings = 0;
    for (int i = 0; i < 500; i++) {
        sonic_sim_advance(w.sim, sonic_sim_now(w.sim) + 10 * MS);
        settle();
    }
    is_alive();
    end();
}
END_TEST

/* Only time in which somebody takes it counts. */
START_TEST(a_pause_does_not_count)
{
    begin();
    w.opt.message_timeout = SECOND;
    serve(takers[_i]);
    say(HALF);
    pass(500 * MS);
    sonic_ws_pause(w.ws);
    pass(10 * SECOND);
    sonic_ws_resume(w.ws);
    pass(400 * MS);
    is_alive();
    ck_assert_int_eq(sonic_ws_set_handler(w.ws, &pulled, NULL),
                     0); /* that takes nothing */
    pass(10 * SECOND);
    ck_assert_int_eq(sonic_ws_set_handler(w.ws, takers[_i], NULL), 0);
    ck_assert_int_eq(sonic_ws_set_max_message(w.ws, 100), 0); /* anew */
    pass(900 * MS);
    is_alive();
    pass(200 * MS);
    is_over(SONIC_EWS_SLOW);
    end();
}
END_TEST

/* Reading it in parts does not help either. */
START_TEST(reading_in_parts_counts)
{
    begin();
    w.opt.message_timeout = SECOND;
    serve(&pulled);
    sonic_ws_async_read_chunk(w.ws, on_read, NULL);
    say("\x82\xfe\x10\0\0\0\0\0", 8);
    for (int k = 0; k < 12 && w.closes == 0; k++) {
        say("x", 1);
        sonic_ws_async_read_chunk(w.ws, on_read, NULL);
        pass(100 * MS);
        if (k < 9)
            is_alive();
    }
    is_over(SONIC_EWS_SLOW);
    end();
}
END_TEST

START_TEST(it_may_take_any_time)
{
    begin();
    w.opt.message_timeout = INT64_MAX;
    serve(&pushed);
    say(HALF);
    sonic_sim_advance(w.sim, sonic_sim_now(w.sim) + 100000 * SECOND);
    settle();
    is_alive();
    end();

    begin(); /* the default: 2 minutes */
    serve(&pushed);
    say(HALF);
    sonic_sim_advance(w.sim, sonic_sim_now(w.sim) + 119 * SECOND);
    settle();
    is_alive();
    sonic_sim_advance(w.sim, sonic_sim_now(w.sim) + 2 * SECOND);
    settle();
    is_over(SONIC_EWS_SLOW);
    end();
}
END_TEST

/* Many at once, of which every other one is finished. */
START_TEST(many_messages_at_once)
{
    const sonic_sys *k;
    sonic_stream *s;
    int pair[2], fd[40];

    begin();
    w.opt.message_timeout = SECOND;
    serve(&pushed);
    k = sonic_sim_sys(w.sim);
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(sonic_sim_pair(w.sim, pair), 0);
        ck_assert_int_eq(sonic_stream_adopt(w.io, pair[0], &s), 0);
        ck_assert_int_eq(sonic_ws_server_accept(w.server, s, NULL), 0);
        fd[i] = pair[1];
        ck_assert(k->send(fd[i], REQUEST "\x82\x81\0\0\0\0", sizeof REQUEST + 5,
                          0, k->ud) > 0);
        settle();
    }
    for (int i = 0; i < 40; i += 2) {
        ck_assert(k->send(fd[i], "x", 1, 0, k->ud) == 1);
        settle();
    }
    ck_assert_uint_eq(w.messages, 20);
    sonic_sim_advance(w.sim, sonic_sim_now(w.sim) + 1070 * MS);
    settle();
    ck_assert_uint_eq(w.closes, 20);
    ck_assert_int_eq(w.why.error, SONIC_EWS_SLOW);
    ck_assert_uint_eq(sonic_ws_server_count(w.server), 21);
    for (int i = 0; i < 40; i++)
        k->close(fd[i], k->ud);
    settle();
    end();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_time");
    TCase *t = tcase_create("time");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_pong_may_take_longer_than_the_interval);
    tcase_add_test(t, a_pong_that_takes_too_long);
    tcase_add_test(t, a_pause_is_no_silence);
    tcase_add_test(t, a_short_pause_is_none_either);
    tcase_add_test(t, a_pause_is_no_round_trip);
    tcase_add_test(t, who_does_not_read_hears_no_silence);
    tcase_add_loop_test(t, a_message_takes_no_longer_than_it_may, 0, 2);
    tcase_add_loop_test(t, a_trickle_does_not_help, 0, 2);
    tcase_add_loop_test(t, what_is_whole_is_timed_no_more, 0, 2);
    tcase_add_loop_test(t, a_pause_does_not_count, 0, 2);
    tcase_add_test(t, reading_in_parts_counts);
    tcase_add_test(t, it_may_take_any_time);
    tcase_add_test(t, many_messages_at_once);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
