/* The session: closing in every order, violations, keep-alive, limits. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/ws_peer.h"

#define MS INT64_C(1000000)

static struct ws_world w;

/* Each test runs on each backend. */
static void
begin(int i)
{
    ws_world_open(&w, i);
}

START_TEST(echoes_what_came_with_the_request)
{
    char head[1024];

    begin(_i);
    ws_serve(&w, &ws_log_handler);
    /* The request and two frames in one write: early bytes are kept. */
    ws_say(&w, WS_REQUEST "\r\n\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0",
           sizeof WS_REQUEST - 1 + 2 + 8 + 6);
    ws_hear_head(&w, head, sizeof head);
    ws_expect_frame(&w, 0x8a, "");
    ck_assert_str_eq(w.log.text, "open text:hi ping ");
    ws_world_close(&w);
}
END_TEST

START_TEST(peer_closes)
{
    static const struct {
        const char *payload;
        unsigned code, reply;
    } c[] = {{"\x03\xe8", 1000, 1000},
             {"", 1005, 1000},
             {"\x03\xe9gone", 1001, 1001},
             {"\x0b\xb8", 3000, 3000}};

    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        begin(_i);
        ws_serve_open(&w, &ws_log_handler);
        ws_say_frame(&w, 0x88, c[i].payload);
        ws_expect_close(&w, c[i].reply);
        ws_expect_eof(&w); /* the server ends TCP first */
        ck_assert_int_eq(sonic_ws_state(w.log.ws), SONIC_WS_CLOSE_ACKED);
        shutdown(w.fd, SHUT_WR);
        while (w.log.closes == 0)
            sonic_io_run_one_for(w.io, MS);
        ck_assert_uint_eq(w.log.why.code, c[i].code);
        ck_assert(w.log.why.clean);
        ck_assert_int_eq(w.log.why.side, SONIC_WS_PEER);
        ck_assert_int_eq(w.log.why.error, 0);
        ck_assert_str_eq(w.log.why.reason, i == 2 ? "gone" : "");
        ws_world_close(&w);
    }
}
END_TEST

/* Code and reason are the peer's (7.1.5). */
START_TEST(we_close)
{
    static const struct {
        const char *payload, *reason;
        unsigned code;
    } answer[] = {{"\x03\xe8", "", 1000},
                  {"", "", 1005},
                  {"\x03\xf3"
                   "boom",
                   "boom", 1011}};
    char last[32];

    for (size_t i = 0; i < sizeof answer / sizeof *answer; i++) {
        begin(_i);
        ws_serve_open(&w, &ws_log_handler);
        ck_assert_int_eq(sonic_ws_close(w.log.ws, 1000, "bye"), 0);
        ck_assert_int_eq(sonic_ws_state(w.log.ws), SONIC_WS_CLOSED_BY_US);
        ck_assert_int_eq(sonic_ws_close(w.log.ws, 1000, NULL), SONIC_ESTATE);
        ck_assert_int_eq(sonic_ws_send(w.log.ws, SONIC_WS_TEXT, "x", 1),
                         SONIC_ESTATE);
        ws_expect_frame(&w, 0x88,
                        "\x03\xe8"
                        "bye");
        ws_say_frame(&w, 0x81, "late"); /* still delivered */
        ws_say_frame(&w, 0x88, answer[i].payload);
        ws_expect_eof(&w);
        close(w.fd);
        w.fd = -1;
        snprintf(last, sizeof last, "text:late bye close:%u ", answer[i].code);
        ws_until(&w, last);
        ck_assert(w.log.why.clean);
        ck_assert_int_eq(w.log.why.error, 0);
        ck_assert_int_eq(w.log.why.side, SONIC_WS_US);
        ck_assert_int_eq(w.log.why.layer, SONIC_WS_LAYER_CLOSE);
        ck_assert_str_eq(w.log.why.reason, answer[i].reason);
        ws_world_close(&w);
    }
}
END_TEST

START_TEST(close_that_may_not_be_sent)
{
    char reason[125];

    begin(_i);
    ws_serve_open(&w, &ws_log_handler);
    memset(reason, 'r', 124);
    reason[124] = '\0';
    ck_assert_int_eq(sonic_ws_close(w.log.ws, 1005, NULL), SONIC_EWS_CLOSE);
    ck_assert_int_eq(sonic_ws_close(w.log.ws, 999, NULL), SONIC_EWS_CLOSE);
    ck_assert_int_eq(sonic_ws_close(w.log.ws, 1000, reason), SONIC_EWS_CLOSE);
    ck_assert_int_eq(sonic_ws_close(w.log.ws, 1000, "\xff"), SONIC_EWS_UTF8);
    ck_assert_int_eq(sonic_ws_close(w.log.ws, 0, "why"), SONIC_EWS_CLOSE);
    ck_assert_int_eq(sonic_ws_state(w.log.ws), SONIC_WS_OPEN);
    ck_assert_int_eq(sonic_ws_close(w.log.ws, 0, NULL), 0);
    ws_expect_close(&w, 0);
    ws_world_close(&w);
}
END_TEST

START_TEST(close_is_not_answered)
{
    begin(_i);
    w.opt.close_timeout = 20 * MS;
    ws_serve_open(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_close(w.log.ws, 1000, "bye"), 0);
    ws_until(&w, "close:1006 ");
    ck_assert_str_eq(w.log.why.reason, sonic_strerror(-ETIMEDOUT));
    ck_assert(!w.log.why.clean);
    ck_assert_int_eq(w.log.why.error, -ETIMEDOUT);
    ws_world_close(&w);
}
END_TEST

START_TEST(stream_ends_without_close)
{
    begin(_i);
    ws_serve_open(&w, &ws_log_handler);
    ws_say(&w, "\x81", 1); /* in the middle of a frame, too */
    close(w.fd);
    w.fd = -1;
    ws_until(&w, "close:1006 ");
    ck_assert_int_eq(w.log.why.error, SONIC_EWS_ABNORMAL);
    ck_assert_int_eq(w.log.why.side, SONIC_WS_PEER);
    ck_assert(!w.log.why.clean && w.log.why.retryable);
    ws_world_close(&w);
}
END_TEST

static const struct {
    const char *bytes;
    size_t n;
    unsigned code;
    int err;
} violation[] = {
    {"\x81\x01x", 3, 1002, SONIC_EWS_MASK},
    {"\xc1\x80\0\0\0\0", 6, 1002, SONIC_EWS_RSV},
    {"\x83\x80\0\0\0\0", 6, 1002, SONIC_EWS_OPCODE},
    {"\x09\x80\0\0\0\0", 6, 1002, SONIC_EWS_CONTROL},
    {"\x89\xfe\0\x7e\0\0\0\0", 8, 1002, SONIC_EWS_CONTROL},
    {"\x80\x80\0\0\0\0", 6, 1002, SONIC_EWS_FRAGMENT},
    {"\x82\xfe\0\x01\0\0\0\0x", 9, 1002, SONIC_EWS_LENGTH},
    {"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, 1002, SONIC_EWS_LENGTH},
    {"\x82\xff\0\0\0\0\x40\0\0\0\0\0\0\0", 14, 1009, SONIC_EWS_TOOBIG},
    {"\x81\x82\0\0\0\0\xc3\x28", 8, 1007, SONIC_EWS_UTF8},
    {"\x01\x81\0\0\0\0\xc3\x80\x80\0\0\0\0", 13, 1007, SONIC_EWS_UTF8},
    {"\x88\x81\0\0\0\0x", 7, 1002, SONIC_EWS_CLOSE},
    {"\x88\x82\0\0\0\0\x03\xec", 8, 1002, SONIC_EWS_CLOSE}, /* 1004 */
};

START_TEST(violations_fail_the_connection)
{
    for (size_t i = 0; i < sizeof violation / sizeof *violation; i++) {
        begin(_i);
        ws_serve_open(&w, &ws_log_handler);
        ws_say_frame(&w, 0x81, "ok"); /* what came before stands */
        ws_say(&w, violation[i].bytes, violation[i].n);
        ws_expect_close(&w, violation[i].code);
        ws_expect_eof(&w);
        ws_say_frame(&w, 0x81, "ignored");
        close(w.fd);
        w.fd = -1;
        while (w.log.closes == 0)
            sonic_io_run_one_for(w.io, MS);
        ck_assert_int_eq(strncmp(w.log.text, "open text:ok ", 13), 0);
        ck_assert_ptr_null(strstr(w.log.text, "ignored"));
        ck_assert_int_eq(w.log.why.error, violation[i].err);
        ck_assert_uint_eq(w.log.why.code, violation[i].code);
        ck_assert_int_eq(w.log.why.layer, SONIC_WS_LAYER_PROTOCOL);
        ck_assert_int_eq(w.log.why.side, SONIC_WS_PEER);
        ws_world_close(&w);
    }
}
END_TEST

/* In words, too. */
START_TEST(a_violation_is_told_its_reason)
{
    begin(_i);
    ws_serve_open(&w, &ws_log_handler);
    ws_say_frame(&w, 0x88, "\x03\xec"); /* 1004 */
    ws_expect_frame(&w, 0x88,
                    "\x03\xea"
                    "websocket: malformed close payload");
    ws_world_close(&w);
}
END_TEST

START_TEST(violation_while_closing_sends_no_second_close)
{
    char c;

    begin(_i);
    ws_serve_open(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_close(w.log.ws, 1000, NULL), 0);
    ws_expect_close(&w, 1000);
    ws_say(&w, "\x81\x01x", 3); /* not masked */
    ck_assert_uint_eq(ws_hear(&w, &c, 1), 0);
    close(w.fd);
    w.fd = -1;
    ws_until(&w, "close:1006 ");
    ck_assert(!w.log.why.clean);
    ck_assert_int_eq(w.log.why.error, SONIC_EWS_MASK);
    ws_world_close(&w);
}
END_TEST

START_TEST(client_refuses_masked_frames)
{
    begin(_i);
    ws_client_open(&w, &ws_log_handler);
    ws_say(&w, "\x81\x81\0\0\0\0x", 7);
    ws_expect_close(&w, 1002);
    close(w.fd);
    w.fd = -1;
    ws_until(&w, "close:1002 ");
    ck_assert_int_eq(w.log.why.error, SONIC_EWS_MASK);
    ws_world_close(&w);
}
END_TEST

START_TEST(client_waits_for_the_server_to_end_tcp)
{
    begin(_i);
    ws_client_open(&w, &ws_log_handler);
    ws_say_frame(&w, 0x88, "\x03\xe8");
    ws_expect_close(&w, 1000);
    for (int i = 0; i < 5; i++)
        sonic_io_run_one_for(w.io, MS);
    ck_assert_int_eq(w.log.closes, 0);
    close(w.fd);
    w.fd = -1;
    ws_until(&w, "close:1000 ");
    ck_assert(w.log.why.clean);
    ws_world_close(&w);
}
END_TEST

START_TEST(pings_are_answered_and_pongs_told)
{
    begin(_i);
    ws_client_open(&w, &ws_log_handler);
    ws_say_frame(&w, 0x89, "same payload");
    ws_expect_frame(&w, 0x8a, "same payload");
    ws_say_frame(&w, 0x8a, "unasked");
    ck_assert_int_eq(sonic_ws_ping(w.client, "p", 1), 0);
    ws_expect_frame(&w, 0x89, "p");
    ws_until(&w, "ping:same payload pong:unasked ");
    ck_assert_int_eq(sonic_ws_ping(w.client, w.log.text, 126),
                     SONIC_EWS_CONTROL);
    ws_world_close(&w);
}
END_TEST

START_TEST(keep_alive)
{
    uint8_t ping[10];

    begin(_i);
    w.opt.ping_interval = 5 * MS;
    w.opt.pong_timeout = 10000 * MS;
    ck_assert_int_eq(sonic_histogram_new(NULL, &w.opt.rtt), 0);
    ws_serve_open(&w, &ws_log_handler);
    ck_assert_uint_eq(ws_hear(&w, ping, sizeof ping), sizeof ping);
    ck_assert_uint_eq(ping[0], 0x89);
    ck_assert_uint_eq(ping[1], 8);
    ws_say(&w, "\x8a\x88\0\0\0\0", 6);
    ws_say(&w, ping + 2, 8);
    for (int i = 0; i < 1000 && sonic_ws_rtt(w.log.ws) == 0; i++)
        sonic_io_run_one_for(w.io, MS);
    ck_assert_int_gt(sonic_ws_rtt(w.log.ws), 0);
    ck_assert_uint_eq(sonic_histogram_count(w.opt.rtt), 1);
    ck_assert_int_eq(sonic_histogram_max(w.opt.rtt), sonic_ws_rtt(w.log.ws));
    ws_say_frame(&w, 0x8a, "unasked!"); /* is no round trip */
    ck_assert_uint_eq(sonic_histogram_count(w.opt.rtt), 1);
    sonic_histogram_free(w.opt.rtt);
    ws_world_close(&w);

    begin(_i);
    w.opt.ping_interval = 10 * MS;
    ws_serve_open(&w, &ws_log_handler);
    ws_until(&w, "close:1006 ");
    ck_assert_int_eq(w.log.why.error, SONIC_EWS_PONG);
    ws_world_close(&w);

    begin(_i);
    w.opt.read_idle = 20 * MS;
    ws_serve_open(&w, &ws_log_handler);
    ws_until(&w, "close:1006 ");
    ck_assert_int_eq(w.log.why.error, SONIC_EWS_IDLE);
    ws_world_close(&w);
}
END_TEST

START_TEST(fragments_chunks_frames)
{
    begin(_i);
    ws_serve_open(&w, &ws_log_handler);
    ws_say_frame(&w, 0x01, "frag");
    ws_say_frame(&w, 0x89, "between");
    ws_say_frame(&w, 0x00, "");
    ws_say_frame(&w, 0x80, "ment");
    ws_until(&w, "open ping:between text:fragment ");
    ws_world_close(&w);

    begin(_i);
    ws_serve_open(&w, &ws_chunk_handler);
    ws_say_frame(&w, 0x02, "ab");
    ws_say_frame(&w, 0x80, "cd");
    ws_until(&w, "binary:<-ab binary:->cd ");
    ws_world_close(&w);

    begin(_i);
    ws_serve_open(&w, &ws_frame_handler);
    ws_say_frame(&w, 0x01, "ab");
    ws_say_frame(&w, 0x89, "p");
    ws_say_frame(&w, 0x80, "cd");
    ws_until(&w, "text:<-ab ping:<>p more:->cd ");
    ws_expect_frame(&w, 0x8a, "p");
    ws_world_close(&w);
}
END_TEST

START_TEST(sends_in_every_way)
{
    static uint8_t big[70000];
    uint8_t *p;

    begin(_i);
    ws_serve_open(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_send_part(w.log.ws, SONIC_WS_TEXT, "a", 1, false),
                     0);
    ck_assert_int_eq(sonic_ws_send(w.log.ws, SONIC_WS_TEXT, "x", 1),
                     SONIC_EWS_FRAGMENT);
    ck_assert_int_eq(sonic_ws_ping(w.log.ws, NULL, 0), 0);
    ck_assert_int_eq(sonic_ws_send_part(w.log.ws, SONIC_WS_TEXT, "b", 1, true),
                     0);
    ws_expect(&w,
              "\x01\x01"
              "a\x89\0\x80\x01"
              "b",
              8);
    p = sonic_ws_reserve(w.log.ws, 300);
    ck_assert_ptr_nonnull(p);
    memcpy(p, "short", 5);
    ck_assert_int_eq(sonic_ws_commit(w.log.ws, SONIC_WS_BINARY, 5), 0);
    ws_expect_frame(&w, 0x82, "short");
    ck_assert_int_eq(
        sonic_ws_send_frame(w.log.ws, true, 0x40, SONIC_WS_TEXT, "", 0),
        SONIC_EWS_RSV);
    ck_assert_int_eq(
        sonic_ws_send_frame(w.log.ws, false, 0, SONIC_WS_PING, "", 0),
        SONIC_EWS_CONTROL);
    ck_assert_int_eq(
        sonic_ws_send_frame(w.log.ws, true, 0, SONIC_WS_CLOSE, "", 0),
        SONIC_EWS_OPCODE);
    memset(big, 'z', sizeof big);
    ck_assert_int_ge(sonic_ws_send(w.log.ws, SONIC_WS_BINARY, big, sizeof big),
                     0);
    ws_expect(&w, "\x82\x7f\0\0\0\0\0\x01\x11\x70", 10);
    ws_expect(&w, big, sizeof big);
    ws_world_close(&w);
}
END_TEST

START_TEST(one_drain_for_each_crossing)
{
    static char block[10000];
    char sink[10000];
    int ret = 0, sent = 0, ones = 0;

    begin(_i);
    w.opt.low_water = 20000;
    w.opt.high_water = 50000;
    w.opt.queue_limit = 400000;
    ws_serve_open(&w, &ws_log_handler);
    while (ret >= 0 && sent < 1000) {
        ret = sonic_ws_send(w.log.ws, SONIC_WS_BINARY, block, sizeof block);
        ones += ret == 1;
        sent += ret >= 0;
        sonic_io_poll(w.io);
    }
    ck_assert_int_eq(ret, SONIC_EQUEUE); /* bounded, and said so */
    ck_assert_int_gt(ones, 1);
    ck_assert_int_eq(w.log.drains, 0);
    for (int i = 0; i < sent; i++) {
        ck_assert_uint_eq(ws_hear(&w, sink, 4), 4);
        ck_assert_uint_eq(ws_hear(&w, sink, sizeof block), sizeof block);
    }
    ck_assert_int_eq(w.log.drains, 1);
    ws_world_close(&w);
}
END_TEST

/* Not reading, it would else wait for ever for the drain. */
START_TEST(a_paused_connection_hears_of_its_end)
{
    static char block[10000];

    begin(_i);
    w.opt.low_water = 20000;
    w.opt.high_water = 50000;
    ws_serve_open(&w, &ws_log_handler);
    do
        sonic_io_poll(w.io);
    while (sonic_ws_send(w.log.ws, SONIC_WS_BINARY, block, sizeof block) == 0);
    sonic_ws_pause(w.log.ws);
    ws_say_frame(&w, 0x81, "unread"); /* the last that it looks at */
    sonic_io_poll(w.io);
    close(w.fd);
    w.fd = -1;
    ws_until(&w, "close:1006 ");
    ck_assert(!w.log.why.clean);
    ck_assert_int_eq(w.log.why.layer, SONIC_WS_LAYER_TRANSPORT);
    ck_assert_int_eq(w.log.drains, 0);
    ws_world_close(&w);
}
END_TEST

START_TEST(ping_flood_keeps_the_newest_pong)
{
    static char block[10000];
    char sink[10000], last[16];
    int blocks = 0;

    begin(_i);
    w.opt.low_water = 20000;
    w.opt.high_water = 50000;
    ws_serve_open(&w, &ws_log_handler);
    while (sonic_ws_send(w.log.ws, SONIC_WS_BINARY, block, sizeof block) == 0) {
        blocks++;
        sonic_io_poll(w.io);
    }
    blocks++;
    for (int i = 0; i < 100; i++) {
        snprintf(last, sizeof last, "%d", i);
        w.log.text[0] = '\0';
        ws_say_frame(&w, 0x89, last);
    }
    for (int i = 0; i < blocks; i++) {
        ck_assert_uint_eq(ws_hear(&w, sink, 4), 4);
        ck_assert_uint_eq(ws_hear(&w, sink, sizeof block), sizeof block);
    }
    ws_expect_frame(&w, 0x8a, last);
    ws_world_close(&w);
}
END_TEST

static void
act_free(sonic_ws *ws)
{
    if (sonic_ws_is_server(ws)) {
        sonic_ws_free(ws);
        return;
    }
    w.client = NULL;
    sonic_ws_free(ws);
}

static void
act_close(sonic_ws *ws)
{
    (void)sonic_ws_close(ws, 1000, NULL);
}

static void
act_io_close(sonic_ws *ws)
{
    (void)ws;
    sonic_io_close(w.io);
}

/* Free, terminate, close, send and end the io inside every callback. */
START_TEST(anything_in_any_callback)
{
    static const char *const at[] = {"open", "text",  "ping",
                                     "bye",  "close", "pong"};
    void (*const act[])(sonic_ws *) = {act_free, sonic_ws_terminate, act_close,
                                       act_io_close};

    for (size_t role = 0; role < 2; role++)
        for (size_t i = 0; i < sizeof at / sizeof *at; i++)
            for (size_t k = 0; k < sizeof act / sizeof *act; k++) {
                static const char *const frames[] = {"t", "p", "o"};
                static const uint8_t heads[] = {0x81, 0x89, 0x8a};

                begin(_i);
                if (role == 0)
                    ws_serve(&w, &ws_log_handler);
                w.log.act_at = at[i];
                w.log.act = act[k];
                if (role == 0)
                    (void)!write(w.fd, WS_REQUEST "\r\n",
                                 sizeof WS_REQUEST + 1);
                else
                    ws_client_open(&w, &ws_log_handler);
                for (int f = 0; f < 3; f++) {
                    uint8_t b[7] = {heads[f], role == 0 ? 0x81 : 1};
                    size_t n = role == 0 ? 7 : 3;

                    b[n - 1] = (uint8_t)frames[f][0];
                    (void)!send(w.fd, b, n, MSG_NOSIGNAL);
                }
                (void)!send(w.fd, role == 0 ? "\x88\x80\0\0\0\0" : "\x88\0",
                            role == 0 ? 6 : 2, MSG_NOSIGNAL);
                shutdown(w.fd, SHUT_WR);
                while (sonic_io_run_one_for(w.io, 3 * MS) > 0)
                    ;
                ck_assert_int_le(w.log.closes, 1);
                ws_world_close(&w);
            }
}
END_TEST

START_TEST(no_allocation_in_the_steady_state)
{
    size_t before = 0;

    begin(_i);
    ws_serve_open(&w, &ws_log_handler);
    for (int i = 0; i < 3000; i++) {
        if (i == 100)
            before = w.allocs;
        w.log.text[0] = '\0';
        ws_say_frame(&w, 0x81, "0123456789012345678901234567890");
        ck_assert_int_eq(sonic_ws_send(w.log.ws, SONIC_WS_TEXT, "reply", 5), 0);
        ws_expect_frame(&w, 0x81, "reply");
    }
    ck_assert_uint_eq(w.allocs, before);
    ws_world_close(&w);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_session");
    TCase *t = tcase_create("both backends");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, echoes_what_came_with_the_request, 0, 2);
    tcase_add_loop_test(t, peer_closes, 0, 2);
    tcase_add_loop_test(t, we_close, 0, 2);
    tcase_add_loop_test(t, close_that_may_not_be_sent, 0, 2);
    tcase_add_loop_test(t, close_is_not_answered, 0, 2);
    tcase_add_loop_test(t, stream_ends_without_close, 0, 2);
    tcase_add_loop_test(t, violations_fail_the_connection, 0, 2);
    tcase_add_loop_test(t, a_violation_is_told_its_reason, 0, 2);
    tcase_add_loop_test(t, violation_while_closing_sends_no_second_close, 0, 2);
    tcase_add_loop_test(t, client_refuses_masked_frames, 0, 2);
    tcase_add_loop_test(t, client_waits_for_the_server_to_end_tcp, 0, 2);
    tcase_add_loop_test(t, pings_are_answered_and_pongs_told, 0, 2);
    tcase_add_loop_test(t, keep_alive, 0, 2);
    tcase_add_loop_test(t, fragments_chunks_frames, 0, 2);
    tcase_add_loop_test(t, sends_in_every_way, 0, 2);
    tcase_add_loop_test(t, one_drain_for_each_crossing, 0, 2);
    tcase_add_loop_test(t, a_paused_connection_hears_of_its_end, 0, 2);
    tcase_add_loop_test(t, ping_flood_keeps_the_newest_pong, 0, 2);
    tcase_add_loop_test(t, anything_in_any_callback, 0, 2);
    tcase_add_loop_test(t, no_allocation_in_the_steady_state, 0, 2);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
