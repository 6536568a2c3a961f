/* WebSocket over TLS: wss, on both sides, through proxies, and what its close
 * record says. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/tls_kit.h"

static struct rig r;

/* What happened at the client. */
static struct log {
    int opens, closes;
    char got[64];
    size_t total;
    sonic_ws_close_record why;
} client_log, server_log;

static void
on_open(sonic_ws *ws, void *ud)
{
    (void)ws;
    ((struct log *)ud)->opens++;
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct log *log = ud;

    snprintf(log->got, sizeof log->got, "%.*s", (int)(m->len % 60), m->data);
    log->total += m->len;
    if (sonic_ws_is_server(ws))
        ck_assert_int_ge(sonic_ws_send(ws, m->opcode, m->data, m->len), 0);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    ck_assert_int_eq(sonic_ws_state(ws), SONIC_WS_TERMINATED);
    ((struct log *)ud)->closes++;
    ((struct log *)ud)->why = *why;
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_message = on_message,
    .on_close = on_close};

static sonic_ws_server *server;
static sonic_ws *client;
static sonic_ws_options co, so;
static char url[SONIC_ADDRESS_TEXT + 16];

static void
begin(int i)
{
    static const sonic_ws_options none = SONIC_WS_OPTIONS_INIT;

    rig_open(&r, i);
    memset(&client_log, 0, sizeof client_log);
    memset(&server_log, 0, sizeof server_log);
    server = NULL;
    client = NULL;
    co = so = none;
    co.tls = kit_client(r.io);
    so.tls = kit_server(r.io);
}

static void
end(void)
{
    sonic_ws_free(client);
    sonic_ws_server_free(server);
    sonic_tls_context_free(co.tls);
    sonic_tls_context_free(so.tls);
    rig_close(&r);
}

static unsigned
serve(void)
{
    sonic_address a;
    char text[SONIC_ADDRESS_TEXT];

    ck_assert_int_eq(
        sonic_ws_server_new(r.io, &so, &handler, &server_log, &server), 0);
    ck_assert_int_eq(sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &a),
                     0);
    sonic_address_format(&a, text, sizeof text);
    snprintf(url, sizeof url, "wss://%s/x", text);
    return (unsigned)atoi(strrchr(text, ':') + 1);
}

static void
make_client(void)
{
    ck_assert_int_eq(sonic_ws_new(r.io, &co, &handler, &client_log, &client),
                     0);
}

static void
echo(const char *text)
{
    size_t before = client_log.total;

    ck_assert_int_eq(sonic_ws_send(client, SONIC_WS_TEXT, text, strlen(text)),
                     0);
    RIG_UNTIL(&r, client_log.total == before + strlen(text));
    ck_assert_str_eq(client_log.got, text);
}

static void
closes_cleanly(void)
{
    ck_assert_int_eq(sonic_ws_close(client, 1000, "bye"), 0);
    RIG_UNTIL(&r, client_log.closes == 1 && server_log.closes == 1);
    ck_assert(client_log.why.clean);
    ck_assert(server_log.why.clean);
    ck_assert_int_eq(client_log.why.error, 0);
}

/* ---- it works --------------------------------------------------------- */

START_TEST(wss)
{
    begin(_i);
    serve();
    make_client();
    ck_assert_int_eq(sonic_ws_connect(client, url), 0);
    ck_assert(sonic_stream_is_tls(sonic_ws_next_layer(client)));
    ck_assert_str_eq(sonic_tls_version_name(sonic_ws_next_layer(client)),
                     "TLSv1.3");
    echo("hello");
    for (int i = 0; i < 20; i++)
        echo("again");
    closes_cleanly();
    ck_assert_int_eq(server_log.opens, 1);
    /* Once more, and the session is resumed. */
    ck_assert_int_eq(sonic_ws_connect(client, url), 0);
    ck_assert_int_eq(sonic_tls_resumed(sonic_ws_next_layer(client)),
                     kit.mode != KIT_BOTH);
    end();
}
END_TEST

/* Megabytes, with settings of its own for the queue. */
START_TEST(large_messages)
{
    size_t n = 3 << 20;
    char *big = malloc(n);

    memset(big, 'a', n);
    begin(_i);
    co.low_water = so.low_water = 1000;
    co.high_water = so.high_water = 2000;
    co.queue_limit = so.queue_limit = 8 << 20;
    serve();
    make_client();
    ck_assert_int_eq(sonic_ws_connect(client, url), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_ge(sonic_ws_send(client, SONIC_WS_TEXT, big, n), 0);
    RIG_UNTIL(&r, client_log.total == 2 * n);
    closes_cleanly();
    end();
    free(big);
}
END_TEST

START_TEST(over_a_unix_socket)
{
    char path[] = "/tmp/check_ws_tls.XXXXXX", at[64];

    begin(_i);
    ck_assert_ptr_nonnull(mkdtemp(path));
    serve();
    snprintf(at, sizeof at, "unix:%s/s", path);
    ck_assert_int_eq(sonic_ws_server_listen(server, at, NULL, NULL), 0);
    snprintf(at, sizeof at, "wss+unix:%s/s:/", path);
    make_client();
    ck_assert_int_eq(sonic_ws_connect(client, at), 0);
    echo("over unix");
    closes_cleanly();
    snprintf(at, sizeof at, "%s/s", path);
    unlink(at);
    rmdir(path);
    end();
}
END_TEST

/* A stream of the caller's: plain, to which TLS comes, or TLS already. */
START_TEST(over_a_stream)
{
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_stream *s, *tls;
    sonic_ws_server *plain;
    sonic_ws *ws;
    struct outcome o = {0};
    int fd[2];

    begin(_i / 2);
    serve();
    make_client();
    rig_pair(fd);
    ck_assert_int_eq(sonic_ws_server_accept(server, rig_adopt(&r, fd[1]), &ws),
                     0);
    s = rig_adopt(&r, fd[0]);
    if (_i % 2) {
        opt.server_name = "localhost";
        ck_assert_int_eq(sonic_tls_new(co.tls, s, &opt, &tls), 0);
        sonic_tls_async_handshake(tls, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == 1);
        ck_assert_int_eq(o.err, 0);
        s = tls;
    }
    sonic_ws_async_upgrade(client, s, "wss://localhost/", NULL, NULL);
    RIG_UNTIL(&r, client_log.opens == 1);
    echo("hello");
    closes_cleanly();

    /* Likewise a server's. */
    so.tls = (sonic_tls_context_free(so.tls), NULL);
    ck_assert_int_eq(
        sonic_ws_server_new(r.io, &so, &handler, &server_log, &plain), 0);
    so.tls = kit_server(r.io);
    rig_pair(fd);
    ck_assert_int_eq(sonic_tls_new(so.tls, rig_adopt(&r, fd[1]), NULL, &tls),
                     0);
    memset(&o, 0, sizeof o);
    sonic_tls_async_handshake(tls, on_outcome, &o);
    sonic_ws_async_upgrade(client, rig_adopt(&r, fd[0]), "wss://localhost/",
                           NULL, NULL);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert_int_eq(sonic_ws_server_accept(plain, tls, NULL), 0);
    RIG_UNTIL(&r, client_log.opens == 2);
    echo("hello");
    sonic_ws_server_free(plain);
    end();
}
END_TEST

/* ---- it does not ------------------------------------------------------ */

static void
fails(const char *to, int err, const char *words)
{
    int closes = client_log.closes;

    ck_assert_int_eq(sonic_ws_connect(client, to), err);
    RIG_UNTIL(&r, client_log.closes == closes + 1);
    ck_assert_msg(client_log.why.error == err, "%s",
                  sonic_errname(client_log.why.error));
    ck_assert_int_eq(client_log.why.layer, SONIC_WS_LAYER_TLS);
    ck_assert_int_eq(client_log.why.code, 1006);
    ck_assert_msg(strstr(client_log.why.reason, words) != NULL, "%s",
                  client_log.why.reason);
}

START_TEST(the_record_says_why)
{
    sonic_tls_certificate own = kit_own(&kit.foreign);
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;

    begin(_i);
    serve();
    co.tls_name = "www.example.com";
    make_client();
    fails(url, SONIC_ETLS_WRONG_HOST,
          "certificate is for localhost, not for www.example.com");
    ck_assert(!client_log.why.retryable);
    sonic_ws_free(client);
    co.tls_name = "www.example.org";
    make_client();
    ck_assert_int_eq(sonic_ws_connect(client, url), 0);
    sonic_ws_free(client);
    co.tls_name = NULL;
    opt.certificates = &own;
    opt.n_certificates = 1;
    ck_assert_int_eq(sonic_tls_context_reload(so.tls, &opt, NULL, 0), 0);
    make_client();
    fails(url, SONIC_ETLS_UNKNOWN_ISSUER, "another root");
    /* The server knows too. */
    RIG_UNTIL(&r, server_log.closes == 3);
    ck_assert_int_eq(server_log.why.layer, SONIC_WS_LAYER_TLS);
    end();
}
END_TEST

/* With no context the system's authorities count, which know nothing of ours.
 */
START_TEST(strangers_are_refused_by_default)
{
    begin(_i);
    serve();
    co.tls = (sonic_tls_context_free(co.tls), NULL);
    make_client();
    fails(url, SONIC_ETLS_UNKNOWN_ISSUER, "not known or trusted");
    fails(url, SONIC_ETLS_UNKNOWN_ISSUER, "not known or trusted");
    end();
}
END_TEST

START_TEST(wrong_contexts)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_server *s;
    sonic_ws *ws;

    begin(_i);
    opt.tls = co.tls;
    ck_assert_int_eq(sonic_ws_server_new(r.io, &opt, &handler, NULL, &s),
                     SONIC_EOPTION);
    opt.tls = so.tls;
    ck_assert_int_eq(sonic_ws_new(r.io, &opt, &handler, NULL, &ws),
                     SONIC_EOPTION);
    end();
}
END_TEST

/* ---- the cells of SECURING -------------------------------------------- */

static int fd;

/* A client whose peer, the test, has accepted and says nothing. */
static void
meet(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char hello[6];

    ck_assert_int_eq(bind(l, (struct sockaddr *)&a, n), 0);
    ck_assert_int_eq(listen(l, 4), 0);
    ck_assert_int_eq(getsockname(l, (struct sockaddr *)&a, &n), 0);
    snprintf(url, sizeof url, "wss://127.0.0.1:%u/", ntohs(a.sin_port));
    make_client();
    sonic_ws_async_connect(client, url, NULL, NULL);
    rig_await(l, POLLIN);
    fd = accept(l, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    close(l);
    for (int i = 0; i < 1000 && recv(fd, hello, 6, MSG_PEEK | MSG_DONTWAIT) < 6;
         i++)
        sonic_io_run_one_for(r.io, MS);
    ck_assert_int_eq(recv(fd, hello, 6, MSG_PEEK), 6);
    ck_assert_int_eq(hello[0], 22); /* a handshake record … */
    ck_assert_int_eq(hello[5], 1);  /* … with a ClientHello */
    ck_assert_int_eq(sonic_ws_state(client), SONIC_WS_HANDSHAKE);
}

static void
ended(int err)
{
    RIG_UNTIL(&r, client_log.closes == 1);
    ck_assert_msg(client_log.why.error == err, "%s",
                  sonic_errname(client_log.why.error));
    ck_assert_int_eq(client_log.why.layer, SONIC_WS_LAYER_TLS);
    close(fd);
    end();
}

START_TEST(securing)
{
    struct linger now = {1, 0};

    begin(_i); /* calls at the wrong time */
    meet();
    ck_assert_int_eq(sonic_ws_connect(client, url), -EBUSY);
    ck_assert_int_eq(sonic_ws_close(client, 1000, NULL), SONIC_ESTATE);
    ck_assert_int_eq(sonic_ws_send(client, SONIC_WS_TEXT, "x", 1),
                     SONIC_ESTATE);
    sonic_ws_terminate(client);
    ended(-ECANCELED);

    begin(_i); /* broken */
    meet();
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    ended(-ECONNRESET);
    ck_assert(client_log.why.retryable);

    begin(_i); /* ended */
    meet();
    shutdown(fd, SHUT_WR);
    ended(SONIC_ETLS_TRUNCATED);
    ck_assert(client_log.why.retryable);

    begin(_i); /* something else altogether */
    meet();
    rig_put(fd, "220 mail.example ESMTP\r\n", 24);
    ended(SONIC_ETLS_PROTOCOL);
    ck_assert(!client_log.why.retryable);
    ck_assert_ptr_null(strstr(client_log.why.reason, "HTTP"));

    begin(_i); /* too slow */
    co.handshake_timeout = 30 * MS;
    meet();
    ended(-ETIMEDOUT);
    ck_assert(client_log.why.retryable);

    begin(_i); /* freed */
    meet();
    sonic_ws_free(client);
    client = NULL;
    rig_settle(&r);
    close(fd);
    end();
}
END_TEST

/* A server of HTTP answers a ClientHello; no more of it than "HTTP/" proves
 * nothing. */
START_TEST(http_is_told)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

    for (int how = 0; how < 2; how++) {
        begin(_i);
        meet();
        rig_put(fd, answer, how == 0 ? sizeof answer - 1 : 5);
        ended(SONIC_ETLS_PROTOCOL);
        ck_assert_uint_eq(strcmp(client_log.why.reason,
                                 "the server speaks HTTP without TLS: try "
                                 "ws://") == 0,
                          how == 0);
    }
}
END_TEST

/* A server whose clients say nothing, or stop. */
START_TEST(securing_a_server)
{
    unsigned port;
    sonic_stream *s;
    int peer;

    for (int how = 0; how < 3; how++) {
        begin(_i);
        so.handshake_timeout = how == 0 ? 30 * MS : 0;
        port = serve();
        (void)port;
        s = rig_stream(&r, &peer);
        ck_assert_int_eq(sonic_ws_server_accept(server, s, NULL), 0);
        ck_assert_uint_eq(sonic_ws_server_count(server), 1);
        rig_settle(&r);
        if (how == 1)
            close(peer);
        if (how == 2)
            rig_put(peer, "GET / HTTP/1.1\r\n\r\n", 18);
        RIG_UNTIL(&r, server_log.closes == 1);
        ck_assert_int_eq(server_log.why.layer, SONIC_WS_LAYER_TLS);
        ck_assert_int_eq(server_log.why.error, how == 0 ? -ETIMEDOUT
                                               : how == 1
                                                   ? SONIC_ETLS_TRUNCATED
                                                   : SONIC_ETLS_PROTOCOL);
        ck_assert_uint_eq(sonic_ws_server_count(server), 0);
        if (how != 1)
            close(peer);
        end();
    }
}
END_TEST

static void
on_drained(sonic_ws_server *s, int err, const sonic_ws_drained *counts,
           void *ud)
{
    (void)s;
    ck_assert_int_eq(err, 0);
    *(sonic_ws_drained *)ud = *counts;
}

START_TEST(drain_in_a_handshake)
{
    sonic_ws_drained counts = {9, 9};
    sonic_stream *s;
    int peer;

    begin(_i);
    serve();
    make_client();
    ck_assert_int_eq(sonic_ws_connect(client, url), 0);
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_ws_server_accept(server, s, NULL), 0);
    rig_settle(&r);
    sonic_ws_server_async_drain(server, 10 * SECOND, on_drained, &counts);
    RIG_UNTIL(&r, counts.clean != 9);
    ck_assert_uint_eq(counts.clean, 1);
    ck_assert_uint_eq(counts.reset, 1);
    close(peer);
    end();
}
END_TEST

/* ---- frames ----------------------------------------------------------- */

static char heard[32];

static void
on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    if (ud != NULL)
        ck_assert_int_ge(sonic_frame_send(conn, data, len), 0);
    else
        snprintf(heard, sizeof heard, "%.*s", (int)len, (const char *)data);
}

/* Frames go over TLS as over any stream. */
START_TEST(frames)
{
    static const sonic_frame_handler h = {SONIC_FRAME_HANDLER_INIT,
                                          .on_frame = on_frame};
    struct kit_ends e;
    sonic_frame_codec codec;
    sonic_frame_conn *a, *b;

    rig_open(&r, _i);
    kit_connect(&r, &e, 1);
    ck_assert_int_eq(sonic_frame_codec_init(&codec, NULL), 0);
    ck_assert_int_eq(sonic_frame_conn_new(e.client, &codec, NULL, &h, NULL, &a),
                     0);
    ck_assert_int_eq(sonic_frame_conn_new(e.server, &codec, NULL, &h, &e, &b),
                     0);
    *heard = '\0';
    ck_assert_int_eq(sonic_frame_send(a, "a frame", 7), 0);
    RIG_UNTIL(&r, strcmp(heard, "a frame") == 0);
    sonic_frame_conn_free(a);
    sonic_frame_conn_free(b);
    rig_close(&r);
}
END_TEST

/* Prepared messages, small and of many records, are encrypted for each. */
START_TEST(prepared)
{
    static uint8_t text[100000];
    size_t total = 0;

    memset(text, 'x', sizeof text);
    begin(_i);
    serve();
    make_client();
    ck_assert_int_eq(sonic_ws_connect(client, url), 0);
    for (size_t n = 10; n <= sizeof text; n *= 10) {
        sonic_ws_broadcast_counts counts;
        sonic_ws_prepared *p;

        ck_assert_int_eq(
            sonic_ws_prepared_new(
                r.io, (enum sonic_ws_opcode)(SONIC_WS_TEXT | SONIC_WS_PLAIN),
                text, n, &p),
            0);
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(
                sonic_ws_broadcast(server, p, SONIC_WS_SLOW_QUEUE, &counts), 0);
        ck_assert_uint_eq(counts.sent, 1);
        sonic_ws_prepared_free(p);
        total += 3 * n;
    }
    RIG_UNTIL(&r, client_log.total == total);
    closes_cleanly();
    end();
}
END_TEST

static void
add_cases(TCase *tc)
{
    rig_add(tc, wss);
    rig_add(tc, large_messages);
    rig_add(tc, over_a_unix_socket);
    tcase_add_loop_test(tc, over_a_stream, 0, 2 * RIG_BACKENDS);
    rig_add(tc, the_record_says_why);
    rig_add(tc, strangers_are_refused_by_default);
    rig_add(tc, wrong_contexts);
    rig_add(tc, securing);
    rig_add(tc, http_is_told);
    rig_add(tc, securing_a_server);
    rig_add(tc, drain_in_a_handshake);
    rig_add(tc, frames);
    rig_add(tc, prepared);
}

int
main(void)
{
    Suite *suite = suite_create("ws_tls");

    kit_add(suite, add_cases);
    return rig_main(suite);
}
