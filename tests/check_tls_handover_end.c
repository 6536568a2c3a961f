/* A server that has taken the keys, beside a client that is OpenSSL alone: the
 * end, and what is not as it was sent. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "support/tls_raw.h"

/* ---- the end ---------------------------------------------------------- */

START_TEST(the_client_closes)
{
    struct outcome o = {0};
    char buf[8];

    raw_open();
    raw_shake(NULL);
    if (_i == 1) /* and wants new keys before that */
        SSL_key_update(raw.client, SSL_KEY_UPDATE_REQUESTED);
    raw_up("the last");
    ck_assert_int_eq(SSL_shutdown(raw.client), 0);
    sonic_stream_async_read(raw.server, buf, 8, on_outcome, &o);
    RIG_UNTIL(&raw.r, o.calls == 1);
    ck_assert_int_eq(o.err, SONIC_EOF);
    raw_down("but we go on");
    ck_assert_int_eq(sonic_stream_shutdown(raw.server), 0);
    rig_settle(&raw.r);
    ck_assert_int_le(SSL_read(raw.client, buf, 8), 0);
    ck_assert_int_eq(SSL_get_shutdown(raw.client),
                     SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    raw_close();
}
END_TEST

START_TEST(the_server_closes)
{
    char buf[8];

    raw_open();
    raw_shake(NULL);
    raw_down("the last");
    if (_i == 0) {
        ck_assert_int_eq(sonic_stream_shutdown(raw.server), 0);
        raw_up("but we go on");
    } else {
        sonic_stream_free(raw.server);
        raw.server = NULL;
    }
    rig_settle(&raw.r);
    ck_assert_int_le(SSL_read(raw.client, buf, 8), 0);
    ck_assert_int_eq(SSL_get_error(raw.client, 0), SSL_ERROR_ZERO_RETURN);
    if (raw.server == NULL) {
        SSL_free(raw.client);
        close(raw.fd);
    }
    raw_close();
}
END_TEST

/* The end of the socket is no end of TLS, within a record or between. */
START_TEST(truncation)
{
    struct outcome o = {0};
    char buf[8];

    raw_open();
    raw_shake(NULL);
    raw_up("the last");
    if (_i == 1)
        rig_put(raw.fd, "\x17\3\3\0\x20half", 9);
    shutdown(raw.fd, SHUT_RDWR);
    sonic_stream_async_read(raw.server, buf, 8, on_outcome, &o);
    RIG_UNTIL(&raw.r, o.calls == 1);
    ck_assert_int_eq(o.err, SONIC_ETLS_TRUNCATED);
    raw_close();
}
END_TEST

/* A fatal alert is told in OpenSSL's words. */
START_TEST(an_alert)
{
    struct outcome o = {0};
    char buf[8];

    raw_open();
    raw_shake(NULL);
    sonic_stream_async_read(raw.server, buf, 8, on_outcome, &o);
    rig_settle(&raw.r);
    raw_down("x");
    /* The client is given rubbish, and complains. */
    ck_assert_int_eq(
        sonic_stream_send(sonic_stream_next_layer(raw.server),
                          "\x17\3\3\0\x20rubbishrubbishrubbishrubbish....", 37),
        0);
    sonic_stream_flush(sonic_stream_next_layer(raw.server));
    rig_settle(&raw.r);
    ck_assert_int_le(SSL_read(raw.client, buf, 8), 0);
    RIG_UNTIL(&raw.r, o.calls == 1);
    ck_assert_int_eq(o.err, SONIC_ETLS_ALERT);
    ck_assert_str_eq(sonic_tls_reason(raw.server),
                     "the peer says: bad record mac (alert 20)");
    ck_assert_int_lt(sonic_stream_send(raw.server, "x", 1) |
                         (int)sonic_stream_flush(raw.server),
                     0);
    raw_close();
}
END_TEST

/* What is sealed well and means nothing: both ends have taken the keys, and
 * the test speaks for the client. */
START_TEST(nonsense)
{
    static const struct {
        unsigned type;
        const char *bytes, *ours, *theirs;
        size_t n;
    } table[] = {
        {SONIC__TLS_CHANGE_CIPHER_SPEC, "\1", "bad record type",
         "the peer says: unexpected_message (alert 10)", 1},
        {SONIC__TLS_HANDSHAKE, "\1\0\0\1\0", "unexpected handshake message",
         "the peer says: unexpected_message (alert 10)", 5},
        {SONIC__TLS_HANDSHAKE, "\x18\0\0\1\7", "bad key update",
         "the peer says: illegal parameter (alert 47)", 5},
        {SONIC__TLS_ALERT, "\2", "an alert of another size",
         "the peer says: decode error (alert 50)", 1},
    };
    struct rig r;

    rig_open(&r, 0);
    kit.mode = KIT_BOTH;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct outcome o = {0}, c = {0};
        uint8_t record[64], buf[8];
        size_t size = sonic__tls_sealed_size(table[i].n);
        struct iovec v = {(void *)(uintptr_t)table[i].bytes, table[i].n},
                     to[2] = {{record, size}, {NULL, 0}};
        struct sonic__tls_from from = {&v, 0};
        struct kit_ends e;

        kit_connect(&r, &e, _i);
        ck_assert_int_eq(
            sonic__tls_keys_seal(&sonic__tls_of(e.client)->own->record.out,
                                 table[i].type, &from, table[i].n, to),
            0);
        sonic_stream_async_read(e.server, buf, sizeof buf, on_outcome, &o);
        sonic_stream_async_read(e.client, buf, sizeof buf, on_outcome, &c);
        rig_put(sonic_stream_fd(e.client), record, size);
        RIG_UNTIL(&r, o.calls == 1 && c.calls == 1);
        ck_assert_int_eq(o.err, SONIC_ETLS_PROTOCOL);
        ck_assert_str_eq(sonic_tls_reason(e.server), table[i].ours);
        ck_assert_int_eq(c.err, SONIC_ETLS_ALERT);
        ck_assert_str_eq(sonic_tls_reason(e.client), table[i].theirs);
        kit_end(&e);
    }
    rig_close(&r);
}
END_TEST

/* ---- damage ----------------------------------------------------------- */

/* Bytes of the client's next record, taken from between the two. */
static size_t
intercept(const char *text, unsigned char *to, size_t cap)
{
    BIO *wire = SSL_get_wbio(raw.client), *memory = BIO_new(BIO_s_mem());
    int n = (int)strlen(text);
    size_t got;

    BIO_up_ref(wire);
    SSL_set0_wbio(raw.client, memory);
    ck_assert_int_eq(SSL_write(raw.client, text, n), n);
    ck_assert_int_eq(BIO_read_ex(memory, to, cap, &got), 1);
    SSL_set0_wbio(raw.client, wire);
    return got;
}

/* What the server answers to a damaged record is an alert that OpenSSL
 * understands, and the reader is shown nothing. */
START_TEST(damage_at_every_byte)
{
    unsigned char bytes[64];
    size_t n = 64;

    raw_open();
    for (size_t at = 0; at < n; at++) {
        struct outcome o = {0};
        char buf[32] = "untouched";

        raw_shake(NULL);
        n = intercept("precious", bytes, sizeof bytes);
        bytes[at] ^= at == 4 ? 1 : 0x80; /* it does not wait for more */
        sonic_stream_async_read(raw.server, buf, sizeof buf, on_outcome, &o);
        rig_put(raw.fd, bytes, n);
        RIG_UNTIL(&raw.r, o.calls == 1);
        ck_assert_int_eq(o.err, SONIC_ETLS_PROTOCOL);
        ck_assert_uint_eq(o.n, 0);
        ck_assert_ptr_null(memmem(buf, sizeof buf, "precious", 8));
        ck_assert_str_ne(sonic_tls_reason(raw.server), "");
        rig_settle(&raw.r);
        ERR_clear_error();
        ck_assert_int_le(SSL_read(raw.client, buf, 8), 0);
        ck_assert_int_eq(SSL_get_error(raw.client, 0), SSL_ERROR_SSL);
        ck_assert_int_eq(ERR_GET_REASON(ERR_peek_error()) -
                             SSL_AD_REASON_OFFSET,
                         at == 0   ? SSL_AD_UNEXPECTED_MESSAGE
                         : at < 3  ? SSL_AD_DECODE_ERROR
                         : at == 3 ? SSL_AD_RECORD_OVERFLOW
                                   : SSL_AD_BAD_RECORD_MAC);
        raw_hang_up();
    }
    ck_assert_uint_eq(n, 5 + 8 + 17);
    raw_close();
}
END_TEST

/* Good records before a bad one are delivered. */
START_TEST(what_came_before_the_damage)
{
    unsigned char bytes[128];
    struct outcome o = {0};
    char buf[64];
    size_t n;

    raw_open();
    raw_shake(NULL);
    n = intercept("one", bytes, sizeof bytes);
    n += intercept("two", bytes + n, sizeof bytes - n);
    bytes[n - 1] ^= 1;
    rig_put(raw.fd, bytes, n);
    sonic_stream_async_read(raw.server, buf, sizeof buf, on_outcome, &o);
    RIG_UNTIL(&raw.r, o.calls == 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert_uint_eq(o.n, 3);
    ck_assert_mem_eq(buf, "one", 3);
    sonic_stream_async_read(raw.server, buf, sizeof buf, on_outcome, &o);
    RIG_UNTIL(&raw.r, o.calls == 2);
    ck_assert_int_eq(o.err, SONIC_ETLS_PROTOCOL);
    raw_close();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tls_handover_end");
    TCase *tc = tcase_create("tls_handover_end");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, kit_open_server, kit_close);
    tcase_add_loop_test(tc, the_client_closes, 0, 2);
    tcase_add_loop_test(tc, the_server_closes, 0, 2);
    tcase_add_loop_test(tc, truncation, 0, 2);
    tcase_add_test(tc, an_alert);
    tcase_add_loop_test(tc, nonsense, 0, 2);
    tcase_add_test(tc, damage_at_every_byte);
    tcase_add_test(tc, what_came_before_the_damage);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
