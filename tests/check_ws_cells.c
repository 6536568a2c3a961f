/* The cells of session.def that ordinary conversations do not take: calls at
 * the wrong time, proxies, and connections that break in every state. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/ws_peer.h"

#define MS INT64_C(1000000)

static struct ws_world w;
static int listener;
static char url[64], proxy[96];

/* A client, and a TCP port that the test itself answers on. */
static void
begin(int i)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;

    ws_world_open(&w, i);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, n), 0);
    ck_assert_int_eq(listen(listener, 4), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", ntohs(a.sin_port));
    snprintf(proxy, sizeof proxy, "http://me:secret@127.0.0.1:%u",
             ntohs(a.sin_port));
}

static void
end(void)
{
    close(listener);
    ws_world_close(&w);
}

static void
make_client(void)
{
    ck_assert_int_eq(
        sonic_ws_new(w.io, &w.opt, &ws_log_handler, &w.log, &w.client), 0);
}

/* The client begins; the test accepts. */
static void
meet(const char *to)
{
    make_client();
    sonic_ws_async_connect(w.client, to, NULL, NULL);
    for (int i = 0; i < 3; i++)
        sonic_io_run_one_for(w.io, 100 * MS);
    w.fd = accept(listener, NULL, NULL);
    ck_assert_int_ge(w.fd, 0);
}

static void
meet_at_proxy(void)
{
    char head[1024];

    w.opt.proxy = proxy;
    meet("ws://far.example/x");
    ws_hear_head(&w, head, sizeof head);
    ck_assert_int_eq(strncmp(head, "CONNECT far.example:80 HTTP/1.1\r\n", 33),
                     0);
    ck_assert_ptr_nonnull(
        strstr(head, "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"));
}

static void
break_it(void)
{
    struct linger now = {1, 0};

    setsockopt(w.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(w.fd);
    w.fd = -1;
}

static void
hang_up(void)
{
    close(w.fd);
    w.fd = -1;
}

/* What a caller may not do now is refused, and changes nothing. */
static void
refuses_calls(void)
{
    enum sonic_ws_state before = sonic_ws_state(w.client);

    ck_assert_int_eq(sonic_ws_connect(w.client, url), -EBUSY);
    if (before != SONIC_WS_OPEN)
        ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), SONIC_ESTATE);
    ck_assert_int_eq(sonic_ws_state(w.client), before);
}

static void
ended(int err, enum sonic_ws_layer layer)
{
    for (int i = 0; i < 2000 && w.log.closes == 0; i++)
        sonic_io_run_one_for(w.io, MS);
    ck_assert_int_eq(w.log.closes, 1);
    ck_assert_msg(w.log.why.error == err, "%s", sonic_errname(w.log.why.error));
    ck_assert_int_eq(w.log.why.layer, layer);
    ck_assert_int_eq(w.log.why.state, layer <= SONIC_WS_LAYER_HANDSHAKE
                                          ? SONIC_WS_HANDSHAKE
                                          : SONIC_WS_OPEN);
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), SONIC_ESTATE);
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_TERMINATED);
    sonic_ws_terminate(w.client);
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_TERMINATED);
}

/* We closed, and no Close frame came back. */
static void
unanswered(int err)
{
    ended(err, SONIC_WS_LAYER_CLOSE);
    ck_assert(!w.log.why.clean);
    ck_assert_int_eq(w.log.why.side, SONIC_WS_US);
    ck_assert_uint_eq(w.log.why.code, SONIC_WS_ABNORMAL);
    ck_assert_str_eq(w.log.why.reason, sonic_strerror(err));
}

START_TEST(idle_and_closed)
{
    begin(_i);
    make_client();
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), SONIC_ESTATE);
    sonic_ws_terminate(w.client);
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_IDLE);
    ck_assert_int_eq(sonic_io_run(w.io), 0);
    ck_assert_int_eq(w.log.closes, 0);
    end();
}
END_TEST

START_TEST(connecting)
{
    begin(_i);
    make_client();
    sonic_ws_async_connect(w.client, url, NULL, NULL);
    refuses_calls();
    sonic_ws_terminate(w.client);
    ended(-ECANCELED, SONIC_WS_LAYER_CONNECT);
    ck_assert_int_eq(w.log.why.side, SONIC_WS_US);
    end();
}
END_TEST

START_TEST(upgrading_is_ended)
{
    begin(_i);
    ws_client(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_HANDSHAKE);
    sonic_ws_terminate(w.client);
    ended(-ECANCELED, SONIC_WS_LAYER_HANDSHAKE);
    end();
}
END_TEST

/* We close, the peer answers, and only then lets go of the stream. */
START_TEST(closing)
{
    begin(_i);
    ws_client_open(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), 0);
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_CLOSED_BY_US);
    ws_expect_close(&w, 1000);
    ws_say_frame(&w, 0x88, "\x03\xe8");
    for (int i = 0;
         i < 2000 && sonic_ws_state(w.client) == SONIC_WS_CLOSED_BY_US; i++)
        sonic_io_run_one_for(w.io, MS);
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_CLOSE_ACKED);
    ck_assert_int_eq(w.log.closes, 0);
    hang_up();
    ended(0, SONIC_WS_LAYER_CLOSE);
    ck_assert(w.log.why.clean);
    end();
}
END_TEST

/* We close, and the peer resets without having read it. */
START_TEST(closing_is_broken)
{
    begin(_i);
    ws_client_open(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), 0);
    sonic_io_poll(w.io);
    hang_up();
    unanswered(-ECONNRESET);
    end();
}
END_TEST

/* The peer breaks the protocol: it is told why, and nothing is clean. */
START_TEST(violation)
{
    begin(_i);
    ws_client_open(&w, &ws_log_handler);
    ws_say(&w, "\x83\0", 2);
    ws_expect_close(&w, 1002);
    ws_expect_eof(&w);
    hang_up();
    ended(SONIC_EWS_OPCODE, SONIC_WS_LAYER_PROTOCOL);
    ck_assert(!w.log.why.clean);
    end();
}
END_TEST

/* A unix listener whose backlog is full keeps a client waiting. */
START_TEST(connecting_takes_too_long)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    sonic_connect_options patient = SONIC_CONNECT_OPTIONS_INIT;
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c[8];
    char to[128];
    socklen_t n;

    snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "check_ws_cells.%d.%d",
             (int)getpid(), _i);
    n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                    strlen(a.sun_path + 1));
    ck_assert_int_eq(bind(l, (struct sockaddr *)&a, n), 0);
    ck_assert_int_eq(listen(l, 0), 0);
    for (int i = 0; i < 8; i++) {
        c[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(c[i], (struct sockaddr *)&a, n);
    }
    begin(_i);
    patient.timeout = 10000 * MS;
    w.opt.connect = &patient;
    w.opt.handshake_timeout = 30 * MS;
    snprintf(to, sizeof to, "ws+unix:@%s:/", a.sun_path + 1);
    make_client();
    sonic_ws_async_connect(w.client, to, NULL, NULL);
    ended(-ETIMEDOUT, SONIC_WS_LAYER_CONNECT);
    end();
    for (int i = 0; i < 8; i++)
        close(c[i]);
    close(l);
}
END_TEST

START_TEST(through_a_proxy)
{
    begin(_i);
    meet_at_proxy();
    refuses_calls();
    ws_say_text(&w, "HTTP/1.1 200 Fine\r\n\r\n");
    ws_answer(&w);
    ws_say_frame(&w, 0x81, "hi");
    ws_until(&w, "text:hi ");
    end();
}
END_TEST

START_TEST(the_proxy_fails)
{
    begin(_i);
    meet_at_proxy();
    ws_say_text(&w, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
    ended(-EACCES, SONIC_WS_LAYER_PROXY);
    ck_assert_uint_eq(w.log.why.status, 407);
    end();

    begin(_i);
    meet_at_proxy();
    hang_up();
    ended(SONIC_EWS_ABNORMAL, SONIC_WS_LAYER_PROXY);
    end();

    begin(_i);
    meet_at_proxy();
    break_it();
    ended(-ECONNRESET, SONIC_WS_LAYER_PROXY);
    end();

    begin(_i);
    w.opt.handshake_timeout = 30 * MS;
    meet_at_proxy();
    ended(-ETIMEDOUT, SONIC_WS_LAYER_PROXY);
    end();

    begin(_i);
    meet_at_proxy();
    sonic_ws_terminate(w.client);
    ended(-ECANCELED, SONIC_WS_LAYER_PROXY);
    end();
}
END_TEST

START_TEST(socks)
{
    static const char hello[] = "\x05\x01\x00";
    static const char ask[] = "\x05\x01\x00\x03\x0b"
                              "far.example\x00\x50";
    static const char yes[] = "\x05\x00\x00\x01\0\0\0\0\0\0";

    begin(_i);
    snprintf(proxy, sizeof proxy, "socks5://%s", url + 5);
    proxy[strlen(proxy) - 1] = '\0';
    w.opt.proxy = proxy;
    meet("ws://far.example/x");
    ws_expect(&w, hello, 3);
    ws_say(&w, "\x05\x00", 2);
    ws_expect(&w, ask, sizeof ask - 1);
    ws_say(&w, yes, 10);
    ws_answer(&w);
    end();
}
END_TEST

START_TEST(upgrading)
{
    char head[1024];

    begin(_i);
    meet(url);
    refuses_calls();
    ws_hear_head(&w, head, sizeof head); /* unread bytes would be a reset */
    hang_up();
    ended(SONIC_EWS_ABNORMAL, SONIC_WS_LAYER_HANDSHAKE);
    end();

    begin(_i);
    meet(url);
    break_it();
    ended(-ECONNRESET, SONIC_WS_LAYER_HANDSHAKE);
    end();

    begin(_i);
    w.opt.handshake_timeout = 30 * MS;
    meet(url);
    ended(-ETIMEDOUT, SONIC_WS_LAYER_HANDSHAKE);
    end();
}
END_TEST

START_TEST(open_and_closing)
{
    begin(_i);
    meet(url);
    ws_answer(&w);
    refuses_calls();
    break_it();
    ended(-ECONNRESET, SONIC_WS_LAYER_TRANSPORT);
    end();

    begin(_i);
    meet(url);
    ws_answer(&w);
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), 0);
    refuses_calls();
    ws_expect_close(&w, 1000); /* unread bytes would be a reset */
    hang_up();
    unanswered(SONIC_EWS_ABNORMAL);
    end();

    begin(_i);
    meet(url);
    ws_answer(&w);
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), 0);
    ws_expect_close(&w, 1000);
    break_it();
    unanswered(-ECONNRESET);
    end();

    begin(_i);
    meet(url);
    ws_answer(&w);
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, "done"), 0);
    sonic_ws_terminate(w.client);
    unanswered(-ECANCELED);
    end();
}
END_TEST

START_TEST(ending)
{
    begin(_i);
    w.opt.close_timeout = 30 * MS;
    meet(url);
    ws_answer(&w);
    ws_say_frame(&w, 0x88, "\x03\xe8");
    ws_expect_close(&w, 1000);
    refuses_calls();
    ended(0, SONIC_WS_LAYER_CLOSE); /* although the server keeps TCP open */
    ck_assert(w.log.why.clean);
    end();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_cells");
    TCase *t = tcase_create("both backends");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, idle_and_closed, 0, 2);
    tcase_add_loop_test(t, connecting, 0, 2);
    tcase_add_loop_test(t, upgrading_is_ended, 0, 2);
    tcase_add_loop_test(t, closing, 0, 2);
    tcase_add_loop_test(t, closing_is_broken, 0, 2);
    tcase_add_loop_test(t, violation, 0, 2);
    tcase_add_loop_test(t, connecting_takes_too_long, 0, 2);
    tcase_add_loop_test(t, through_a_proxy, 0, 2);
    tcase_add_loop_test(t, the_proxy_fails, 0, 2);
    tcase_add_loop_test(t, socks, 0, 2);
    tcase_add_loop_test(t, upgrading, 0, 2);
    tcase_add_loop_test(t, open_and_closing, 0, 2);
    tcase_add_loop_test(t, ending, 0, 2);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
