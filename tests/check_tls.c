/* TLS streams: handshake, bytes both ways, the end. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "support/tls_kit.h"

/* Tests run for each backend, over a socket pair and over TCP. */
enum { WAYS = 2 * RIG_BACKENDS };
#define backend(i) ((i) / 2)
#define way(i) ((i) % 2)
#define add_ways(tc, test) tcase_add_loop_test(tc, test, 0, WAYS)

START_TEST(shakes_hands_and_talks)
{
    struct rig r;
    struct kit_ends e;
    char name[64];

    rig_open(&r, backend(_i));
    kit_connect(&r, &e, way(_i));
    ck_assert(sonic_stream_is_tls(e.client));
    ck_assert(sonic_stream_is_open(e.client));
    ck_assert_str_eq(sonic_tls_version_name(e.client), "TLSv1.3");
    ck_assert_ptr_nonnull(sonic_tls_cipher_name(e.server));
    ck_assert_str_eq(sonic_tls_server_name(e.server), "localhost");
    ck_assert_int_eq(sonic_tls_verify_result(e.client), 0);
    ck_assert_int_eq(sonic_tls_verify_result(e.server),
                     SONIC_ETLS_NO_CERTIFICATE);
    ck_assert_str_eq(sonic_tls_reason(e.client), "");
    ck_assert_uint_eq(sonic_tls_peer_name(e.client, name, sizeof name), 9);
    ck_assert_str_eq(name, "localhost");
    ck_assert(!sonic_tls_resumed(e.client));
    ck_assert_ptr_null(sonic_tls_alpn(e.client));
    for (int i = 0; i < 3; i++)
        kit_talk(&r, &e);
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* What assumed a descriptor finds the one below. */
START_TEST(passes_down)
{
    struct rig r;
    struct kit_ends e;
    sonic_stream *below;
    sonic_address a, b;
    sonic_socket_options opt = SONIC_SOCKET_OPTIONS_INIT;

    rig_open(&r, _i);
    kit_connect(&r, &e, 1);
    below = sonic_stream_next_layer(e.client);
    ck_assert_ptr_nonnull(below);
    ck_assert(!sonic_stream_is_tls(below));
    ck_assert_ptr_null(sonic_tls_version_name(below));
    ck_assert_int_eq(sonic_stream_fd(e.client), sonic_stream_fd(below));
    ck_assert_int_eq(sonic_stream_local_address(e.client, &a), 0);
    ck_assert_int_eq(sonic_stream_remote_address(e.server, &b), 0);
    ck_assert_mem_eq(&a.storage, &b.storage, a.len);
    opt.keep_alive = SONIC_ON;
    ck_assert_int_eq(sonic_stream_set_options(e.client, &opt), 0);
    sonic_stream_close(e.client);
    ck_assert_int_eq(sonic_stream_fd(e.client), -1);
    ck_assert_ptr_null(sonic_stream_next_layer(e.client));
    ck_assert_int_eq(sonic_stream_local_address(e.client, &a), -ENOTCONN);
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* ---- the end ---------------------------------------------------------- */

START_TEST(close_notify_is_the_end)
{
    struct rig r;
    struct kit_ends e;
    struct outcome o = {0};
    char buf[16];

    rig_open(&r, backend(_i));
    kit_connect(&r, &e, way(_i));
    sonic_stream_async_read(e.server, buf, sizeof buf, on_outcome, &o);
    ck_assert_int_eq(sonic_stream_send(e.client, "last", 4), 0);
    sonic_stream_close(e.client);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert_uint_eq(o.n, 4);
    for (unsigned i = 2; i < 4; i++) { /* and so it stays */
        sonic_stream_async_read(e.server, buf, sizeof buf, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == i);
        ck_assert_int_eq(o.err, SONIC_EOF);
    }
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* Shutdown ends one direction: the other goes on. */
START_TEST(half_close)
{
    struct rig r;
    struct kit_ends e;
    struct outcome o = {0};
    char buf[16];

    rig_open(&r, backend(_i));
    kit_connect(&r, &e, way(_i));
    ck_assert_int_eq(sonic_stream_send(e.client, "ask", 3), 0);
    ck_assert_int_eq(sonic_stream_shutdown(e.client), 0);
    ck_assert_int_eq(sonic_stream_send(e.client, "x", 1), -EPIPE);
    sonic_stream_async_read_all(e.server, buf, sizeof buf, on_outcome, &o);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, SONIC_EOF);
    ck_assert_uint_eq(o.n, 3);
    ck_assert_int_eq(sonic_stream_send(e.server, "answer", 6), 0);
    ck_assert_int_eq(sonic_stream_shutdown(e.server), 0);
    sonic_stream_async_read_all(e.client, buf, sizeof buf, on_outcome, &o);
    RIG_UNTIL(&r, o.calls == 2);
    ck_assert_int_eq(o.err, SONIC_EOF);
    ck_assert_uint_eq(o.n, 6);
    ck_assert_mem_eq(buf, "answer", 6);
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* TCP ends, TLS has not: somebody may have cut it. */
START_TEST(truncation_is_told)
{
    struct rig r;
    struct kit_ends e;
    struct outcome o = {0};
    char buf[16];

    rig_open(&r, backend(_i));
    kit_connect(&r, &e, way(_i));
    ck_assert_int_eq(sonic_stream_send(e.client, "half", 4), 0);
    ck_assert_int_eq(sonic_stream_flush(e.client), 0);
    sonic_stream_shutdown(sonic_stream_next_layer(e.client));
    sonic_stream_async_read_all(e.server, buf, sizeof buf, on_outcome, &o);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, SONIC_ETLS_TRUNCATED);
    ck_assert_uint_eq(o.n, 4);
    ck_assert_ptr_nonnull(strstr(sonic_tls_reason(e.server), "close_notify"));
    kit_end(&e);
    rig_close(&r);
}
END_TEST

START_TEST(cancel_and_deadline_of_a_read)
{
    struct rig r;
    struct kit_ends e;
    struct outcome o = {0};
    char buf[16];

    rig_open(&r, backend(_i));
    kit_connect(&r, &e, way(_i));
    sonic_stream_async_read(e.client, buf, sizeof buf, on_outcome, &o);
    rig_settle(&r);
    sonic_stream_cancel(e.client, SONIC_READING);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, -ECANCELED);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    ck_assert_int_eq(sonic_io_run_pending(r.io), 0);
    ck_assert_int_eq(sonic_stream_set_deadline(e.client, SONIC_READING,
                                               sonic_io_now(r.io) + MS),
                     0);
    sonic_stream_async_read(e.client, buf, sizeof buf, on_outcome, &o);
    RIG_UNTIL(&r, o.calls == 2);
    ck_assert_int_eq(o.err, -ETIMEDOUT);
    ck_assert_int_eq(
        sonic_stream_set_deadline(e.client, SONIC_READING, INT64_MAX), 0);
    kit_talk(&r, &e);
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* ---- the handshake ends otherwise ------------------------------------- */

START_TEST(handshake_deadline)
{
    struct rig r;
    sonic_tls_context *c;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_stream *s;
    struct outcome o = {0};
    int fd[2];

    rig_open(&r, _i);
    c = kit_client(r.io);
    opt.server_name = "localhost";
    for (int i = 0; i < 2; i++) {
        rig_tcp(fd);
        opt.timeout = i == 0 ? 2 * MS : -1;
        ck_assert_int_eq(sonic_tls_new(c, rig_adopt(&r, fd[0]), &opt, &s), 0);
        memset(&o, 0, sizeof o);
        sonic_tls_async_handshake(s, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == 1);
        ck_assert_int_eq(o.err, -ETIMEDOUT);
        sonic_tls_async_handshake(s, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == 2);
        ck_assert_int_eq(o.err, -ETIMEDOUT); /* it can only be freed */
        sonic_stream_free(s);
        close(fd[1]);
    }
    sonic_tls_context_free(c);
    rig_close(&r);
}
END_TEST

/* 0: cancel, 1: close, 2: free, 3: free the io. */
START_TEST(handshake_is_given_up)
{
    struct rig r;
    sonic_tls_context *c;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_stream *s;
    struct outcome o = {0};
    int fd[2];

    rig_open(&r, 0);
    c = kit_client(r.io);
    opt.server_name = "localhost";
    rig_tcp(fd);
    ck_assert_int_eq(sonic_tls_new(c, rig_adopt(&r, fd[0]), &opt, &s), 0);
    sonic_tls_context_free(c); /* the stream keeps what it needs */
    sonic_tls_async_handshake(s, on_outcome, &o);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 0);
    if (_i == 0)
        sonic_stream_cancel(s, SONIC_BOTH);
    else if (_i == 1)
        sonic_stream_close(s);
    else if (_i == 2)
        sonic_stream_free(s);
    ck_assert_uint_eq(o.calls, 0);
    if (_i == 3) {
        sonic_io_free(r.io);
        ck_assert_uint_eq(o.calls, 1);
        ck_assert_int_eq(o.err, -ECANCELED);
        close(fd[1]);
        rig_closed(&r);
        return;
    }
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, -ECANCELED);
    close(fd[1]);
    if (_i < 2)
        sonic_stream_free(s);
    rig_close(&r);
    ck_assert_uint_eq(o.calls, 1);
}
END_TEST

START_TEST(refusals)
{
    struct rig r;
    struct kit_ends e;
    sonic_tls_context *c, *s;
    sonic_tls_context_options co = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_stream *plain, *out;
    struct outcome o = {0};
    char buf[4];
    int peer;

    rig_open(&r, _i);
    co.ca = kit.root.pem;
    co.ca_len = kit.root.pem_len;
    c = kit_context(r.io, SONIC_TLS_CLIENT, &co); /* it may resume */
    s = kit_server(r.io);
    plain = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_tls_new(c, plain, NULL, &out), SONIC_EOPTION);
    opt.server_name = "";
    ck_assert_int_eq(sonic_tls_new(c, plain, &opt, &out), SONIC_EOPTION);
    opt.server_name = "not a name";
    ck_assert_int_eq(sonic_tls_new(c, plain, &opt, &out), SONIC_EOPTION);
    opt.server_name = "localhost";
    opt.session = "rubbish";
    opt.session_len = 7;
    ck_assert_int_eq(sonic_tls_new(c, plain, &opt, &out), SONIC_EOPTION);
    ck_assert(sonic_stream_is_open(plain)); /* it is still ours */
    sonic_stream_async_read(plain, buf, 4, on_outcome, &o);
    ck_assert_int_eq(sonic_tls_new(s, plain, NULL, &out), -EBUSY);
    sonic_stream_cancel(plain, SONIC_READING);
    RIG_UNTIL(&r, o.calls == 1);
    sonic_tls_async_handshake(plain, on_outcome, &o);
    ck_assert_uint_eq(o.calls, 2);
    ck_assert_int_eq(o.err, -EINVAL);
    sonic_stream_close(plain);
    ck_assert_int_eq(sonic_tls_new(s, plain, NULL, &out), -ENOTCONN);
    sonic_stream_free(plain);
    close(peer);

    kit_begin(&r, &e, 0, c, s, NULL);
    sonic_stream_async_read(e.client, buf, 4, on_outcome, &o);
    ck_assert_int_eq(o.err, -ENOTCONN); /* not before the handshake */
    sonic_tls_async_handshake(e.client, on_outcome, &o);
    ck_assert_int_eq(o.err, -EBUSY);
    sonic_stream_async_connect(e.client, "127.0.0.1:1", NULL, on_outcome, &o);
    ck_assert_int_eq(o.err, -EISCONN);
    RIG_UNTIL(&r, e.c.calls == 1 && e.s.calls == 1);
    sonic_tls_async_handshake(e.client, on_outcome, &o);
    ck_assert_int_eq(o.err, -EISCONN);
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* The blocking twin, against a server in the same io. */
START_TEST(blocking_twin)
{
    struct rig r;
    sonic_tls_context *c, *s;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_stream *client, *server;
    struct outcome o = {0};
    size_t n;
    int fd[2];

    rig_open(&r, _i);
    c = kit_client(r.io);
    s = kit_server(r.io);
    rig_tcp(fd);
    opt.server_name = "127.0.0.1";
    ck_assert_int_eq(sonic_tls_new(c, rig_adopt(&r, fd[0]), &opt, &client), 0);
    ck_assert_int_eq(sonic_tls_new(s, rig_adopt(&r, fd[1]), NULL, &server), 0);
    sonic_tls_async_handshake(server, on_outcome, &o);
    ck_assert_int_eq(sonic_tls_handshake(client), 0);
    ck_assert_ptr_null(sonic_tls_server_name(client)); /* RFC 6066 section 3 */
    ck_assert_int_eq(sonic_stream_write(client, "hello", 5, &n), 0);
    ck_assert_uint_eq(n, 5);
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
    sonic_stream_free(client);
    sonic_stream_free(server);
    rig_close(&r);
}
END_TEST

static void
add_cases(TCase *tc)
{
    add_ways(tc, shakes_hands_and_talks);
    rig_add(tc, passes_down);
    add_ways(tc, close_notify_is_the_end);
    add_ways(tc, half_close);
    add_ways(tc, truncation_is_told);
    add_ways(tc, cancel_and_deadline_of_a_read);
    rig_add(tc, handshake_deadline);
    tcase_add_loop_test(tc, handshake_is_given_up, 0, 4);
    rig_add(tc, refusals);
    rig_add(tc, blocking_twin);
}

int
main(void)
{
    Suite *suite = suite_create("tls");

    kit_add(suite, add_cases);
    return rig_main(suite);
}
