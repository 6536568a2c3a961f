/* One who only sends, and one who reads now and then: each hears of the
 * end. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/ws_peer.h"

static struct ws_world w;
static int reads;

static void
begin(int i, const sonic_ws_handler *handler)
{
    ws_world_open(&w, i);
    ws_serve_open(&w, handler);
    reads = 0;
}

static void
on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    reads++;
    ck_assert_int_eq(err, *(int *)ud);
    ck_assert_int_eq(m != NULL, err == 0);
}

static void
hang_up(void)
{
    close(w.fd);
    w.fd = -1;
}

START_TEST(it_answers_and_hears_the_close)
{
    begin(_i, &ws_quiet_handler);
    ws_say_frame(&w, 0x89, "are you there?");
    ws_expect_frame(&w, 0x8a, "are you there?");
    ck_assert_int_eq(sonic_ws_send(w.log.ws, SONIC_WS_TEXT, "tick", 4), 0);
    ws_expect_frame(&w, 0x81, "tick");
    ws_say_frame(&w, 0x88, "\x03\xe9");
    ws_expect_close(&w, SONIC_WS_GOING_AWAY);
    ws_expect_eof(&w);
    hang_up();
    ws_until(&w, "close:1001 ");
    ck_assert(w.log.why.clean);
    ws_world_close(&w);
}
END_TEST

START_TEST(it_hears_that_the_peer_is_gone)
{
    begin(_i, &ws_quiet_handler);
    hang_up();
    ws_until(&w, "close:1006 ");
    ck_assert_int_eq(w.log.why.error, SONIC_EWS_ABNORMAL);
    ws_world_close(&w);
}
END_TEST

/* A control frame in pieces; and one that is none. */
START_TEST(control_frames_come_in_any_pieces)
{
    static const char ping[] = "\x89\x83\x01\x02\x03\x04nbf";

    begin(_i, &ws_quiet_handler);
    for (size_t i = 0; i < sizeof ping - 1; i++) {
        ws_say(&w, ping + i, 1);
        ck_assert_int_ge(sonic_io_poll(w.io), 0);
    }
    ws_expect_frame(&w, 0x8a, "o`e");
    ws_say(&w, "\x89\xfe", 2); /* of 126 bytes or more */
    ws_expect_close(&w, SONIC_WS_PROTOCOL_ERROR);
    hang_up();
    ws_until(&w, "close:1002 ");
    ws_world_close(&w);
}
END_TEST

/* Nothing is lost that nobody has taken yet. */
START_TEST(data_wait_and_so_does_what_is_behind_them)
{
    static int fine = 0, over = SONIC_EWS_CLOSED;

    begin(_i, &ws_quiet_handler);
    ws_say_frame(&w, 0x89, "one");
    ws_expect_frame(&w, 0x8a, "one");
    ws_say_frame(&w, 0x81, "data");
    ws_say_frame(&w, 0x89, "two");
    ws_say_frame(&w, 0x81, "more");
    ws_say_frame(&w, 0x88, "");
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    ck_assert_int_eq(sonic_ws_state(w.log.ws), SONIC_WS_OPEN);
    sonic_ws_async_read(w.log.ws, on_read, &fine);
    ws_expect_frame(&w, 0x8a, "two"); /* it lies before the next data */
    ck_assert_int_eq(reads, 1);
    ck_assert_int_eq(sonic_ws_state(w.log.ws), SONIC_WS_OPEN);
    sonic_ws_async_read(w.log.ws, on_read, &fine);
    ws_expect_close(&w, SONIC_WS_NORMAL);
    ck_assert_int_eq(reads, 2);
    sonic_ws_async_read(w.log.ws, on_read, &over);
    hang_up();
    ws_until(&w, "close:1005 ");
    ck_assert_int_eq(reads, 3);
    ws_world_close(&w);
}
END_TEST

/* To one who reads frames a ping is one of them. */
START_TEST(frames_are_left_to_who_reads_frames)
{
    static int fine = 0;

    begin(_i, &ws_quiet_handler);
    sonic_ws_async_read_frame(w.log.ws, on_read, &fine);
    ws_say_frame(&w, 0x81, "data");
    ws_say_frame(&w, 0x89, "ping");
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    ck_assert_int_eq(reads, 1);
    sonic_ws_async_read_frame(w.log.ws, on_read, &fine);
    ws_expect_frame(&w, 0x8a, "ping");
    ck_assert_int_eq(reads, 2);
    ws_world_close(&w);
}
END_TEST

/* A peer that is there no more, and says nothing of it. */
START_TEST(its_pings_must_be_answered)
{
    ws_world_open(&w, _i);
    w.opt.ping_interval = 20000000;
    w.opt.pong_timeout = 40000000;
    ws_serve_open(&w, &ws_quiet_handler);
    ws_until(&w, "close:1006 ");
    ck_assert_int_eq(w.log.why.error, SONIC_EWS_PONG);
    ws_world_close(&w);
}
END_TEST

/* Send until it says why not; on_close does not run in there. */
static void
send_till_it_fails(const char *close)
{
    static char block[4096];
    int ret;

    hang_up();
    do {
        ret = sonic_ws_send(w.log.ws, SONIC_WS_BINARY, block, sizeof block);
        ck_assert_int_eq(w.log.closes, 0);
        if (ret >= 0)
            ck_assert_int_ge(sonic_io_poll(w.io), 0);
    } while (ret >= 0 && w.log.closes == 0);
    ck_assert(ret == -EPIPE || ret == -ECONNRESET);
    ck_assert_int_eq(w.log.closes, 0);
    ck_assert_ptr_null(sonic_ws_reserve(w.log.ws, 100));
    ws_until(&w, close);
    ck_assert_int_eq(w.log.closes, 1);
    ck_assert_int_eq(w.log.why.error, ret);
    ck_assert_int_eq(w.log.why.layer, SONIC_WS_LAYER_TRANSPORT);
}

/* The peer's data are in front of its end: only a send can tell. */
START_TEST(a_send_that_fails_ends_it)
{
    begin(_i, &ws_quiet_handler);
    ws_say_frame(&w, 0x81, "unread");
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    send_till_it_fails("close:1006 ");
    ws_world_close(&w);
}
END_TEST

START_TEST(a_clients_too)
{
    ws_world_open(&w, _i);
    ws_client_open(&w, &ws_quiet_handler);
    ws_say_frame(&w, 0x81, "unread");
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    send_till_it_fails("close:1006 ");
    ws_world_close(&w);
}
END_TEST

static void
on_sent(sonic_ws *ws, int err, void *ud)
{
    (void)ws;
    *(int *)ud = err;
}

START_TEST(a_send_with_a_callback_too)
{
    static char block[4096];
    int err = 0;

    begin(_i, &ws_quiet_handler);
    ws_say_frame(&w, 0x81, "unread");
    ck_assert_int_ge(sonic_io_poll(w.io), 0);
    hang_up();
    sonic_ws_async_send(w.log.ws, SONIC_WS_BINARY, block, sizeof block, on_sent,
                        &err);
    ws_until(&w, "close:1006 ");
    ck_assert_int_lt(err, 0);
    ck_assert_int_eq(w.log.why.error, err);
    ws_world_close(&w);
}
END_TEST

/* What cannot be queued is no end. */
START_TEST(a_full_queue_is_no_end)
{
    static char block[60000];
    int ret;

    ws_world_open(&w, _i);
    w.opt.low_water = 1000;
    w.opt.high_water = 50000;
    w.opt.queue_limit = 100000;
    ws_serve_open(&w, &ws_quiet_handler);
    do {
        ret = sonic_ws_send(w.log.ws, SONIC_WS_BINARY, block, sizeof block);
        if (ret >= 0)
            ck_assert_int_ge(sonic_io_poll(w.io), 0);
    } while (ret >= 0);
    ck_assert_int_eq(ret, SONIC_EQUEUE);
    for (int i = 0; i < 10; i++)
        ck_assert_int_ge(sonic_io_poll(w.io), 0);
    ck_assert_int_eq(sonic_ws_state(w.log.ws), SONIC_WS_OPEN);
    ck_assert_int_eq(w.log.closes, 0);
    ws_world_close(&w);
}
END_TEST

/* A paused one reads nothing; one that discards reads all. */
START_TEST(what_is_discarded_hides_nothing)
{
    sonic_ws_handler handler = ws_quiet_handler;

    handler.on_chunk = sonic_ws_discard;
    begin(_i, &handler);
    sonic_ws_pause(w.log.ws);
    ws_say_frame(&w, 0x81, "who cares?");
    ws_say_frame(&w, 0x88, "\x03\xe8");
    for (int i = 0; i < 10; i++)
        ck_assert_int_ge(sonic_io_poll(w.io), 0);
    ck_assert_int_eq(sonic_ws_state(w.log.ws), SONIC_WS_OPEN);
    sonic_ws_resume(w.log.ws);
    ws_expect_close(&w, SONIC_WS_NORMAL);
    hang_up();
    ws_until(&w, "close:1000 ");
    ck_assert(w.log.why.clean);
    ws_world_close(&w);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_sender");
    TCase *tc = tcase_create("sender");
    SRunner *r;
    int failed;

    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, it_answers_and_hears_the_close, 0, 2);
    tcase_add_loop_test(tc, it_hears_that_the_peer_is_gone, 0, 2);
    tcase_add_loop_test(tc, control_frames_come_in_any_pieces, 0, 2);
    tcase_add_loop_test(tc, data_wait_and_so_does_what_is_behind_them, 0, 2);
    tcase_add_loop_test(tc, frames_are_left_to_who_reads_frames, 0, 2);
    tcase_add_loop_test(tc, its_pings_must_be_answered, 0, 2);
    tcase_add_loop_test(tc, a_send_that_fails_ends_it, 0, 2);
    tcase_add_loop_test(tc, a_clients_too, 0, 2);
    tcase_add_loop_test(tc, a_send_with_a_callback_too, 0, 2);
    tcase_add_loop_test(tc, a_full_queue_is_no_end, 0, 2);
    tcase_add_loop_test(tc, what_is_discarded_hides_nothing, 0, 2);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
