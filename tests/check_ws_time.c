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
    pass(450 * MS);
    sonic_ws_async_read(w.ws, on_read, NULL);
    pass(490 * MS);
    is_alive();
    pass(30 * MS);
    is_over(SONIC_EWS_IDLE);
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
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
