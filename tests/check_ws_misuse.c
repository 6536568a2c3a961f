/* What a caller does wrong or twice: handlers that are none, answers that may
 * not be sent, an end that has begun. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/ws_peer.h"

static struct ws_world w;

static void
begin(int i)
{
    ws_world_open(&w, i);
}

static void
take(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)m;
    (void)ud;
}

/* What a hook may ask for and gets a 500 instead. */
static const sonic_ws_handler no_size = {.on_open = NULL};
static const sonic_ws_handler two_ways = {SONIC_WS_HANDLER_INIT,
                                          .on_message = take, .on_frame = take};
static const sonic_ws_header reserved = {"Connection", "close", false};

static const struct {
    sonic_ws_reply reply;
    int err;
} wrong[] = {
    {{.status = 700}, -EINVAL},
    {{.status = 204}, -EINVAL},
    {{.status = 403, .headers = &reserved, .n_headers = 1}, SONIC_EWS_HEADER},
    {{.status = 101, .headers = &reserved, .n_headers = 1}, SONIC_EWS_HEADER},
    {{.status = 101, .handler = &no_size}, SONIC_EOPTION},
    {{.status = 101, .handler = &two_ways}, SONIC_EOPTION},
};
static size_t wrong_at;

static void
decide_wrongly(sonic_ws *ws, const sonic_ws_head *head, sonic_ws_reply *reply,
               void *ud)
{
    (void)ws;
    (void)head;
    (void)ud;
    *reply = wrong[wrong_at].reply;
}

START_TEST(hook_decides_wrongly)
{
    for (wrong_at = 0; wrong_at < sizeof wrong / sizeof *wrong; wrong_at++) {
        char answer[512] = "";

        begin(_i);
        w.opt.on_upgrade = decide_wrongly;
        ws_serve(&w, &ws_log_handler);
        ws_say_text(&w, WS_REQUEST "\r\n");
        ws_hear(&w, answer, 13);
        ck_assert_str_eq(answer, "HTTP/1.1 500 ");
        close(w.fd);
        w.fd = -1;
        ws_until(&w, "close:1006 ");
        ck_assert_int_eq(w.log.why.error, wrong[wrong_at].err);
        ck_assert_uint_eq(w.log.why.status, 500);
        ck_assert_int_eq(w.log.why.side, SONIC_WS_US);
        ck_assert_int_eq(w.log.opens, 0);
        ws_world_close(&w);
    }
}
END_TEST

START_TEST(handlers_that_are_none)
{
    sonic_ws_server *server = NULL;
    sonic_ws *ws = NULL;

    begin(_i);
    ck_assert_int_eq(sonic_ws_new(w.io, NULL, &no_size, NULL, &ws),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic_ws_new(w.io, NULL, &two_ways, NULL, &ws),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic_ws_server_new(w.io, NULL, &two_ways, NULL, &server),
                     SONIC_EOPTION);
    ws_serve_open(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_set_handler(w.log.ws, &no_size, NULL),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic_ws_set_handler(w.log.ws, &two_ways, NULL),
                     SONIC_EOPTION);
    ws_say_frame(&w, 0x81, "still heard");
    ws_until(&w, "text:still heard ");
    ws_world_close(&w);
}
END_TEST

/* Whoever began, and whatever was read of it: shut waits, and then the object
 * connects again. */
START_TEST(shut_waits_for_an_end_begun)
{
    char url[256], text[SONIC_ADDRESS_TEXT], small[4];
    sonic_ws_message m;
    sonic_address at;

    begin(_i);
    ck_assert_int_eq(
        sonic_ws_server_new(w.io, NULL, &ws_echo_handler, NULL, &w.server), 0);
    ck_assert_int_eq(sonic_ws_server_listen(w.server, "127.0.0.1:0", NULL, &at),
                     0);
    sonic_address_format(&at, text, sizeof text);
    snprintf(url, sizeof url, "ws://%s/", text);
    ck_assert_int_eq(sonic_ws_new(w.io, NULL, NULL, NULL, &w.client), 0);
    ck_assert_int_eq(sonic_ws_shut(w.client, 1000, NULL), SONIC_ESTATE);
    ck_assert_int_eq(sonic_ws_connect(w.client, url), 0);
    ck_assert_int_eq(sonic_ws_write(w.client, SONIC_WS_TEXT, "too long", 8), 0);
    ck_assert_int_eq(sonic_ws_read(w.client, small, sizeof small, &m),
                     SONIC_EWS_TOOBIG);
    ck_assert_int_eq(sonic_ws_read(w.client, small, sizeof small, &m),
                     SONIC_ESTATE);
    ck_assert_int_eq(sonic_ws_shut(w.client, 1000, NULL), SONIC_EWS_TOOBIG);
    ck_assert_int_eq(sonic_ws_connect(w.client, url), 0);
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), 0);
    ck_assert_int_eq(sonic_ws_read(w.client, small, sizeof small, &m),
                     SONIC_EWS_CLOSED);
    ck_assert_int_eq(sonic_ws_shut(w.client, 1000, NULL), 0);
    ck_assert_int_eq(sonic_ws_shut(w.client, 1000, NULL), 0);
    ck_assert_int_eq(sonic_ws_connect(w.client, url), 0);
    ws_world_close(&w);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_misuse");
    TCase *t = tcase_create("both backends");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, hook_decides_wrongly, 0, 2);
    tcase_add_loop_test(t, handlers_that_are_none, 0, 2);
    tcase_add_loop_test(t, shut_waits_for_an_end_begun, 0, 2);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
