/* Opening, refusing, reading by operation, blocking twins, draining. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/net_world.h"
#include "support/ws_peer.h"

#define MS INT64_C(1000000)

static struct ws_world w;

static void
begin(int i)
{
    ws_world_open(&w, i);
}

/* ---- the server's answers ---------------------------------------------- */

static void
on_upgrade(sonic_ws *ws, const sonic_ws_head *head, sonic_ws_reply *reply,
           void *ud)
{
    static const sonic_ws_header why[] = {{"X-Why", "not today", false}};
    size_t n;
    const char *field = sonic_ws_head_field(head, "x-Pass", &n);
    const char *target = sonic_ws_head_target(head, &n);

    (void)ws;
    (void)ud;
    ck_assert_int_eq(strncmp(target, "/chat?a=1", n), 0);
    if (field != NULL)
        return;
    reply->status = 401;
    reply->body = "who are you?";
    reply->headers = why;
    reply->n_headers = 1;
}

static const struct {
    const char *request, *status;
    int err;
} refused[] = {
    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", " 426 ", SONIC_EWS_UPGRADE},
    {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", " 405 ", SONIC_EWS_METHOD},
    {"GET / HTTP/1.1\nHost: x\r\n\r\n", " 400 ", SONIC_EWS_HEAD},
    {"garbage\r\n\r\n", " 400 ", SONIC_EWS_HEAD},
    {"GET /other HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
     "Sec-WebSocket-Version: 13\r\nOrigin: http://good\r\n\r\n",
     " 404 ", SONIC_EWS_REJECTED},
    {WS_REQUEST "Origin: http://evil\r\n\r\n", " 403 ", SONIC_EWS_REJECTED},
    {WS_REQUEST "Origin: http://good\r\n\r\n", " 401 ", SONIC_EWS_REJECTED},
};

START_TEST(refusals_are_readable)
{
    static const char *const origins[] = {"http://good"};

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char answer[2048] = "";

        begin(_i);
        w.opt.path = "/chat";
        w.opt.origins = origins;
        w.opt.n_origins = 1;
        w.opt.on_upgrade = on_upgrade;
        ws_serve(&w, &ws_log_handler);
        ws_say_text(&w, refused[i].request);
        answer[ws_hear(&w, answer, sizeof answer - 1)] = '\0'; /* to its end */
        ck_assert_msg(strstr(answer, refused[i].status) != NULL, "%s", answer);
        ck_assert_msg(strstr(answer, "Connection: ") != NULL &&
                          strstr(answer, "close\r\n") != NULL,
                      "%s", answer);
        if (i == 6) {
            ck_assert_ptr_nonnull(strstr(answer, "X-Why: not today\r\n"));
            ck_assert_ptr_nonnull(strstr(answer, "\r\n\r\nwho are you?"));
        }
        close(w.fd);
        w.fd = -1;
        ws_until(&w, "close:1006 ");
        ck_assert_int_eq(w.log.why.error, refused[i].err);
        ck_assert_int_eq(w.log.why.layer, SONIC_WS_LAYER_HANDSHAKE);
        ck_assert_int_eq(w.log.opens, 0);
        ws_world_close(&w);
    }
}
END_TEST

START_TEST(hook_lets_in)
{
    char head[1024];
    static const char *const sub[] = {"v2", "v1"};

    begin(_i);
    w.opt.on_upgrade = on_upgrade;
    w.opt.subprotocols = sub;
    w.opt.n_subprotocols = 2;
    ws_serve(&w, &ws_log_handler);
    ws_say_text(&w, WS_REQUEST "X-Pass: yes\r\n"
                               "Sec-WebSocket-Protocol: v0, v1\r\n\r\n");
    ws_hear_head(&w, head, sizeof head);
    ck_assert_ptr_nonnull(strstr(head, " 101 "));
    ck_assert_ptr_nonnull(strstr(head, "Sec-WebSocket-Protocol: v1\r\n"));
    ck_assert_str_eq(sonic_ws_subprotocol(w.log.ws), "v1");
    ws_world_close(&w);
}
END_TEST

START_TEST(slow_and_endless_heads)
{
    char answer[512] = "", line[600];

    begin(_i);
    w.opt.handshake_timeout = 20 * MS;
    ws_serve(&w, &ws_log_handler);
    ws_say_text(&w, "GET / HT"); /* and no more */
    ws_hear(&w, answer, 20);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 408 "));
    ws_world_close(&w);

    begin(_i);
    w.opt.max_head = 2000;
    ws_serve(&w, &ws_log_handler);
    ws_say_text(&w, "GET / HTTP/1.1\r\n");
    memset(line, 'a', sizeof line);
    memcpy(line, "X: ", 3);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    for (int i = 0; i < 5; i++)
        ws_say_text(&w, line);
    ws_hear(&w, answer, 20);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 431 "));
    ws_world_close(&w);
}
END_TEST

START_TEST(too_many_connections)
{
    char answer[64] = "";
    int first;

    begin(_i);
    w.opt.max_connections = 1;
    ws_serve_open(&w, &ws_log_handler);
    first = dup(w.fd);
    ws_serve(&w, &ws_log_handler);
    ws_say_text(&w, WS_REQUEST "\r\n");
    ws_hear(&w, answer, 20);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 503 "));
    close(first);
    ws_world_close(&w);
}
END_TEST

static void
on_drained(sonic_ws_server *server, int err, const sonic_ws_drained *c,
           void *ud)
{
    (void)server;
    ck_assert_int_eq(err, 0);
    *(sonic_ws_drained *)ud = *c;
}

START_TEST(drain_counts)
{
    sonic_ws_drained c = {99, 99};
    int silent, upgrading;
    char answer[32] = "";

    begin(_i);
    ws_serve_open(&w, &ws_log_handler);
    silent = dup(w.fd); /* never answers */
    ws_serve(&w, &ws_log_handler);
    ws_say_text(&w, "GET");
    upgrading = dup(w.fd);
    ws_serve_open(&w, &ws_log_handler);
    ck_assert_uint_eq(sonic_ws_server_count(w.server), 3);
    sonic_ws_server_async_drain(w.server, 30 * MS, on_drained, &c);
    ws_expect_close(&w, 1001);
    ws_say_frame(&w, 0x88, "\x03\xe9");
    ck_assert_int_eq(recv(upgrading, answer, 12, 0), 12);
    ck_assert_str_eq(answer, "HTTP/1.1 503");
    close(upgrading);
    close(w.fd);
    w.fd = -1;
    while (c.clean == 99)
        sonic_io_run_one_for(w.io, MS);
    ck_assert_uint_eq(c.clean, 1);
    ck_assert_uint_eq(c.reset, 2);
    ck_assert_uint_eq(sonic_ws_server_count(w.server), 0);
    close(silent);
    ws_world_close(&w);
}
END_TEST

/* What is left is reset: the peer cannot take it for an orderly end. */
START_TEST(drain_resets)
{
    static const char hello[] = WS_REQUEST "\r\n";
    sonic_ws_drained c = {99, 99};
    sonic_ws_server *server;
    sonic_address at;
    char got[512];
    ssize_t n;
    int fd;

    begin(_i);
    ck_assert_int_eq(
        sonic_ws_server_new(w.io, &w.opt, &ws_log_handler, &w.log, &server), 0);
    ck_assert_int_eq(sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &at),
                     0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at.storage, at.len), 0);
    ck_assert_int_eq(send(fd, hello, sizeof hello - 1, 0),
                     (ssize_t)sizeof hello - 1);
    while (recv(fd, got, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
        sonic_io_run_one_for(w.io, MS);
    sonic_ws_server_async_drain(server, 10 * MS, on_drained, &c);
    while (c.clean == 99)
        sonic_io_run_one_for(w.io, MS);
    ck_assert_uint_eq(c.clean, 0);
    ck_assert_uint_eq(c.reset, 1);
    while ((n = recv(fd, got, sizeof got, 0)) > 0)
        ;
    ck_assert(n < 0 && errno == ECONNRESET);
    close(fd);
    sonic_ws_server_free(server);
    ws_world_close(&w);
}
END_TEST

/* ---- the client -------------------------------------------------------- */

static void
more_headers(sonic_ws *ws, const sonic_ws_header **more, size_t *n, void *ud)
{
    static const sonic_ws_header h[] = {{"x-late", "2", false}};

    (void)ws;
    (void)ud;
    *more = h;
    *n = 1;
}

START_TEST(client_request)
{
    static const sonic_ws_header h[] = {{"x-early", "1", false},
                                        {"Origin", "http://other", false},
                                        {"X-EXACT", "3", true}};
    char head[2048];

    begin(_i);
    w.opt.headers = h;
    w.opt.n_headers = 3;
    w.opt.origin = "http://mine";
    w.opt.on_request = more_headers;
    ws_client(&w, &ws_log_handler);
    ws_hear_head(&w, head, sizeof head);
    ck_assert_int_eq(strncmp(head, "GET /x HTTP/1.1\r\n", 17), 0);
    ck_assert_ptr_nonnull(strstr(head, "Host: example.com\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "X-Early: 1\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "X-Late: 2\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "X-EXACT: 3\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "Origin: http://other\r\n"));
    ck_assert_ptr_null(strstr(head, "mine"));
    ws_world_close(&w);
}
END_TEST

#define SPEAKS_TLS "the server speaks TLS: try wss://"

START_TEST(client_is_refused)
{
    static const struct {
        const char *answer;
        int err;
        unsigned status;
        const char *reason;
    } c[] = {
        {"HTTP/1.1 403 Go away\r\nContent-Length: 0\r\n\r\n", SONIC_EWS_STATUS,
         403, "Go away"},
        {"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         SONIC_EWS_ACCEPT, 101, NULL},
        {"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", SONIC_EWS_UPGRADE,
         101, NULL},
        {"ICY 200 OK\r\n\r\n", SONIC_EWS_HEAD, 0, NULL},
        /* records of TLS: a fatal alert, a handshake message, one in pieces */
        {"\x15\3\1\2\2\x16", SONIC_EWS_HEAD, 0, SPEAKS_TLS},
        {"\x16\3\3\7\1", SONIC_EWS_HEAD, 0, SPEAKS_TLS},
        {"\x15", SONIC_EWS_HEAD, 0, SPEAKS_TLS},
        {"\x15\2\1\2\2\x16", SONIC_EWS_HEAD, 0,
         "9112 2.3: not an HTTP version"},
        {"\x17\3\3\7\1", SONIC_EWS_HEAD, 0, "9112 2.3: not an HTTP version"},
    };

    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        char head[2048];

        begin(_i);
        ws_client(&w, &ws_log_handler);
        ws_hear_head(&w, head, sizeof head);
        ws_say_text(&w, c[i].answer);
        ws_until(&w, "close:1006 ");
        ck_assert_int_eq(w.log.why.error, c[i].err);
        ck_assert_uint_eq(w.log.why.status, c[i].status);
        ck_assert_int_eq(w.log.why.layer, SONIC_WS_LAYER_HANDSHAKE);
        if (c[i].reason != NULL)
            ck_assert_str_eq(w.log.why.reason, c[i].reason);
        ws_world_close(&w);
    }
}
END_TEST

/* As a server of TLS that says nothing to what is no TLS, and as one that
 * began to answer. */
START_TEST(client_gets_no_answer)
{
    for (int some = 0; some < 2; some++) {
        char head[2048];

        begin(_i);
        ws_client(&w, &ws_log_handler);
        ws_hear_head(&w, head, sizeof head);
        if (some)
            ws_say_text(&w, "HTTP/1");
        ck_assert_int_eq(shutdown(w.fd, SHUT_WR), 0);
        ws_until(&w, "close:1006 ");
        ck_assert_int_eq(w.log.why.error, SONIC_EWS_ABNORMAL);
        ck_assert_int_eq(strstr(w.log.why.reason, "try wss://") == NULL, some);
        ws_world_close(&w);
    }
}
END_TEST

static void
store(sonic_ws *ws, int err, void *ud)
{
    (void)ws;
    *(int *)ud = err;
}

START_TEST(client_cannot_connect)
{
    static const struct {
        const char *url;
        int err;
    } c[] = {{"http://x/", SONIC_EWS_URL},
             {"ws://127.0.0.1:1/", -ECONNREFUSED},
#ifdef SONIC_WITHOUT_TLS
             {"wss://127.0.0.1:1/", SONIC_ENOTLS},
#else
             {"wss://127.0.0.1:1/", -ECONNREFUSED},
#endif
             {"ws+unix:/nowhere/at/all:/", -ENOENT}};

    begin(_i);
    ck_assert_int_eq(
        sonic_ws_new(w.io, &w.opt, &ws_log_handler, &w.log, &w.client), 0);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        int got = 1;

        sonic_ws_async_connect(w.client, c[i].url, store, &got);
        ck_assert_int_ge(sonic_io_run(w.io), 0);
        ck_assert_int_eq(got, c[i].err);
        ck_assert_int_eq(w.log.closes, (int)i + 1);
        ck_assert_int_eq(w.log.why.error, c[i].err);
        ck_assert_uint_gt(strlen(w.log.why.reason), 0);
    }
    ws_world_close(&w);
}
END_TEST

/* Listens on a real port and serves on the same io. */
static void
listen_and_url(char *url, size_t cap)
{
    char text[SONIC_ADDRESS_TEXT];
    sonic_address at;

    ck_assert_int_eq(
        sonic_ws_server_new(w.io, &w.opt, &ws_log_handler, &w.log, &w.server),
        0);
    ck_assert_int_eq(sonic_ws_server_listen(w.server, "127.0.0.1:0", NULL, &at),
                     0);
    sonic_address_format(&at, text, sizeof text);
    snprintf(url, cap, "ws://%s/", text);
}

START_TEST(one_object_connects_again_and_again)
{
    char url[256];

    begin(_i);
    listen_and_url(url, sizeof url);
    ck_assert_int_eq(sonic_ws_new(w.io, &w.opt, NULL, NULL, &w.client), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(sonic_ws_connect(w.client, url), 0);
        ck_assert_int_eq(sonic_ws_connect(w.client, url), -EBUSY);
        ck_assert_int_eq(sonic_ws_shut(w.client, 1000, "again"), 0);
        ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_TERMINATED);
    }
    sonic_ws_server_free(w.server);
    w.server = NULL;
    ck_assert_int_eq(sonic_ws_connect(w.client, url), -ECONNREFUSED);
    ws_world_close(&w);
}
END_TEST

/* ---- reading by operation ---------------------------------------------- */

struct reads {
    char text[512];
    int last;
};

static void
on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    struct reads *r = ud;
    size_t used = strlen(r->text);

    (void)ws;
    r->last = err;
    if (err < 0)
        snprintf(r->text + used, sizeof r->text - used, "%s ",
                 sonic_errname(err));
    else
        snprintf(r->text + used, sizeof r->text - used, "%u%s%.*s%s ",
                 m->opcode, m->first ? "<" : "-", (int)m->len,
                 (const char *)m->data, m->last ? ">" : "-");
}

START_TEST(reads_of_every_kind)
{
    struct reads r = {"", 0};
    char buf[8];

    begin(_i);
    ws_serve_open(&w, &ws_quiet_handler);
    ws_say_frame(&w, 0x81, "one"); /* waits: nobody takes it */
    ws_say_frame(&w, 0x81, "two");
    ck_assert_str_eq(w.log.text, "open ");
    sonic_ws_async_read(w.log.ws, on_read, &r);
    sonic_ws_async_read(w.log.ws, on_read, &r);
    ck_assert_str_eq(r.text, "EBUSY ");
    while (strstr(r.text, "one") == NULL)
        sonic_io_run_one_for(w.io, MS);
    sonic_ws_async_read_into(w.log.ws, buf, sizeof buf, on_read, &r);
    while (strstr(r.text, "two") == NULL)
        sonic_io_run_one_for(w.io, MS);
    ck_assert_str_eq(r.text, "EBUSY 1<one> 1<two> ");
    ck_assert_mem_eq(buf, "two", 3);
    r.text[0] = '\0';
    sonic_ws_async_read_frame(w.log.ws, on_read, &r);
    ws_say_frame(&w, 0x02, "ab");
    while (strstr(r.text, "ab") == NULL)
        sonic_io_run_one_for(w.io, MS);
    sonic_ws_async_read_chunk(w.log.ws, on_read, &r);
    ws_say_frame(&w, 0x80, "cd");
    while (strstr(r.text, "cd") == NULL)
        sonic_io_run_one_for(w.io, MS);
    ck_assert_str_eq(r.text, "2<ab- 0-cd> ");
    r.text[0] = '\0';
    sonic_ws_async_read_into(w.log.ws, buf, sizeof buf, on_read, &r);
    ws_say_frame(&w, 0x82, "more than eight");
    ws_expect_close(&w, 1009);
    ck_assert_str_eq(r.text, "SONIC_EWS_TOOBIG ");
    ws_world_close(&w);
}
END_TEST

START_TEST(reads_end_with_the_connection)
{
    struct reads r = {"", 0};

    begin(_i);
    ws_serve_open(&w, &ws_quiet_handler);
    sonic_ws_async_read(w.log.ws, on_read, &r);
    ws_say_frame(&w, 0x88, "\x03\xe8");
    close(w.fd);
    w.fd = -1;
    ws_until(&w, "close:1000 ");
    ck_assert_str_eq(r.text, "SONIC_EWS_CLOSED ");
    ws_world_close(&w);

    r.text[0] = '\0';
    begin(_i);
    ws_client_open(&w, &ws_quiet_handler);
    sonic_ws_async_read(w.client, on_read, &r);
    sonic_ws_free(w.client);
    w.client = NULL;
    ck_assert_int_ge(sonic_io_run(w.io), 0);
    ck_assert_str_eq(r.text, "ECANCELED ");
    ck_assert_int_eq(w.log.closes, 0); /* freed: nobody is told */
    ws_world_close(&w);
}
END_TEST

START_TEST(blocking_twins)
{
    static char big[3 << 20], got[3 << 20];
    char url[256], text[SONIC_ADDRESS_TEXT];
    const char *here = "[::1]:0";
    sonic_ws_message m;
    sonic_address at;

    if (!net_has_ipv6()) {
        puts("no IPv6 on loopback: the twins talk over IPv4");
        here = "127.0.0.1:0";
    }
    begin(_i);
    ck_assert_int_eq(
        sonic_ws_server_new(w.io, NULL, &ws_echo_handler, NULL, &w.server), 0);
    ck_assert_int_eq(sonic_ws_server_listen(w.server, here, NULL, &at), 0);
    sonic_address_format(&at, text, sizeof text);
    snprintf(url, sizeof url, "ws://%s/path", text);
    ck_assert_int_eq(sonic_ws_new(w.io, NULL, NULL, NULL, &w.client), 0);
    ck_assert_int_eq(sonic_ws_connect(w.client, url), 0);
    for (size_t n = 0; n <= sizeof big; n = n * 5 + 1) {
        memset(big, (int)n & 0x7f, n);
        ck_assert_int_eq(sonic_ws_write(w.client, SONIC_WS_BINARY, big, n), 0);
        ck_assert_int_eq(sonic_ws_read(w.client, got, sizeof got, &m), 0);
        ck_assert_uint_eq(m.len, n);
        ck_assert_mem_eq(got, big, n);
    }
    sonic_io_stop(w.io);
    ck_assert_int_eq(sonic_ws_read(w.client, got, sizeof got, &m),
                     SONIC_ESTOPPED);
    sonic_io_restart(w.io);
    ck_assert_int_ge(sonic_io_run_for(w.io, MS), -ETIMEDOUT);
    ws_world_close(&w);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_api");
    TCase *t = tcase_create("both backends");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, refusals_are_readable, 0, 2);
    tcase_add_loop_test(t, hook_lets_in, 0, 2);
    tcase_add_loop_test(t, slow_and_endless_heads, 0, 2);
    tcase_add_loop_test(t, too_many_connections, 0, 2);
    tcase_add_loop_test(t, drain_counts, 0, 2);
    tcase_add_loop_test(t, drain_resets, 0, 2);
    tcase_add_loop_test(t, client_request, 0, 2);
    tcase_add_loop_test(t, client_is_refused, 0, 2);
    tcase_add_loop_test(t, client_gets_no_answer, 0, 2);
    tcase_add_loop_test(t, client_cannot_connect, 0, 2);
    tcase_add_loop_test(t, one_object_connects_again_and_again, 0, 2);
    tcase_add_loop_test(t, reads_of_every_kind, 0, 2);
    tcase_add_loop_test(t, reads_end_with_the_connection, 0, 2);
    tcase_add_loop_test(t, blocking_twins, 0, 2);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
