/* A server that has taken the keys, beside a client that is OpenSSL alone: the
 * numbers of the records, the answers about the connection, new keys. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "support/tls_raw.h"

/* ---- the hand-over ---------------------------------------------------- */

/* Whatever number of tickets was sent under the key that we take. */
START_TEST(suites_and_tickets)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256",
                                         "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};

    raw_open();
    raw.so.ciphersuites = suites[_i / 6];
    raw.so.resumption = _i % 6 == 5 ? SONIC_OFF : SONIC_ON;
    raw.s = kit_context(raw.r.io, SONIC_TLS_SERVER, &raw.so);
    if (_i % 6 < 5)
        SSL_CTX_set_num_tickets(raw.s->ssl_ctx, (size_t)(_i % 6));
    raw_shake(NULL);
    ck_assert_uint_eq(raw_record()->out.seq,
                      _i % 6 < 5 ? (unsigned)(_i % 6) : 0);
    ck_assert_uint_eq(raw_record()->in.seq, 0);
    ck_assert_str_eq(sonic_tls_cipher_name(raw.server), suites[_i / 6]);
    raw_talk();
    raw_close();
}
END_TEST

/* With a session, and with tickets of that. */
START_TEST(resumed)
{
    SSL_SESSION *session;

    raw_open();
    raw_shake(NULL);
    raw_talk();
    session = SSL_get1_session(raw.client);
    ck_assert(!sonic_tls_resumed(raw.server));
    raw_hang_up();
    for (int i = 0; i < 3; i++) {
        raw_shake(session);
        ck_assert(sonic_tls_resumed(raw.server));
        ck_assert_uint_eq(raw_record()->out.seq, 1); /* one more ticket */
        raw_talk();
        SSL_SESSION_free(session);
        session = SSL_get1_session(raw.client);
        raw_hang_up();
    }
    SSL_SESSION_free(session);
    raw_close();
}
END_TEST

/* The client's first bytes arrive with its Finished. */
START_TEST(data_in_the_last_flight)
{
    struct outcome o = {0};
    char buf[5];
    int fd[2], n = 0;

    raw_open();
    raw.s = kit_context(raw.r.io, SONIC_TLS_SERVER, &raw.so);
    rig_pair(fd);
    raw.fd = fd[0];
    raw.client = kit_raw(raw.c, fd[0], false);
    ck_assert_int_eq(
        sonic_tls_new(raw.s, rig_adopt(&raw.r, fd[1]), NULL, &raw.server), 0);
    sonic_tls_async_handshake(raw.server, on_outcome, &raw.shook);
    while ((n = SSL_do_handshake(raw.client)) != 1)
        rig_settle(&raw.r);
    ck_assert_int_eq(SSL_write(raw.client, "early", 5), 5);
    rig_settle(&raw.r);
    ck_assert_uint_eq(raw.shook.calls, 1);
    sonic_stream_async_read_all(raw.server, buf, 5, on_outcome, &o);
    RIG_UNTIL(&raw.r, o.calls == 1);
    ck_assert_mem_eq(buf, "early", 5);
    raw_talk();
    raw_close();
}
END_TEST

/* ---- answers ---------------------------------------------------------- */

struct answers {
    char version[16], cipher[64], alpn[16], name[64], peer[64], reason[64];
    unsigned char certificate[4096];
    size_t n;
    int verified;
    bool resumed;
};

static struct answers
ask(void)
{
    struct answers a;
    const char *alpn = sonic_tls_alpn(raw.server);

    memset(&a, 0, sizeof a);
    strncpy(a.version, sonic_tls_version_name(raw.server), 15);
    strncpy(a.cipher, sonic_tls_cipher_name(raw.server), 63);
    strncpy(a.alpn, alpn != NULL ? alpn : "-", 15);
    strncpy(a.name, sonic_tls_server_name(raw.server), 63);
    strncpy(a.reason, sonic_tls_reason(raw.server), 63);
    sonic_tls_peer_name(raw.server, a.peer, sizeof a.peer);
    a.n = sonic_tls_peer_certificate(raw.server, a.certificate,
                                     sizeof a.certificate);
    a.verified = sonic_tls_verify_result(raw.server);
    a.resumed = sonic_tls_resumed(raw.server);
    ck_assert_str_eq(sonic_tls_ktls(raw.server), "not asked for");
    return a;
}

/* With and without a certificate of the client's, the same as OpenSSL's. */
START_TEST(answers_stay_the_same)
{
    static const char *const alpn[] = {"h2", "x"};
    struct answers with, without;

    for (int i = 0; i < 2; i++) {
        raw_open();
        raw.so.alpn = alpn;
        raw.so.n_alpn = 2;
        raw.so.ca = kit.root.pem;
        raw.so.ca_len = kit.root.pem_len;
        raw.so.handover = i == 0 ? SONIC_DEFAULT : SONIC_OFF;
        raw.so.client_auth = SONIC_TLS_REQUEST_CERTIFICATE;
        SSL_CTX_set_alpn_protos(raw.c, (const unsigned char *)"\1x", 2);
        if (_i == 1) {
            SSL_CTX_use_certificate(raw.c, kit.client.x509);
            SSL_CTX_use_PrivateKey(raw.c, kit.client.key);
        }
        raw_shake(NULL);
        ck_assert((sonic_tls_native(raw.server) == NULL) == (i == 0));
        *(i == 0 ? &with : &without) = ask();
        raw_talk();
        raw_close();
    }
    ck_assert_mem_eq(&with, &without, sizeof with);
    ck_assert_str_eq(with.alpn, "x");
    ck_assert_str_eq(with.name, "localhost");
    ck_assert_int_eq(with.verified, _i == 1 ? 0 : SONIC_ETLS_NO_CERTIFICATE);
    ck_assert((with.n > 100) == (_i == 1));
}
END_TEST

/* Who keeps OpenSSL's object. */
START_TEST(some_keep_it)
{
    raw_open();
    if (_i == 0)
        raw.so.handover = SONIC_OFF;
    else
        raw.so.max_version = SONIC_TLS_1_2;
    raw_shake(NULL);
    ck_assert_ptr_nonnull(sonic_tls_native(raw.server));
    raw_talk();
    raw_close();
}
END_TEST

/* ---- new keys --------------------------------------------------------- */

START_TEST(keys_of_the_client)
{
    raw_open();
    raw_shake(NULL);
    for (int i = 0; i < 40; i++) {
        bool asks = (i + _i) % 2 == 1;
        uint8_t before[48];

        memcpy(before, raw_record()->out.secret, sizeof before);
        ck_assert_int_eq(
            SSL_key_update(raw.client, asks ? SSL_KEY_UPDATE_REQUESTED
                                            : SSL_KEY_UPDATE_NOT_REQUESTED),
            1);
        raw_up("under new keys");
        ck_assert_uint_eq(raw_record()->in.seq, 1);
        raw_down("and back");
        ck_assert((memcmp(before, raw_record()->out.secret, sizeof before) !=
                   0) == asks);
        ck_assert_uint_eq(raw_record()->n_note, 0);
    }
    raw_close();
}
END_TEST

/* Long before a key has sealed more than it may. */
START_TEST(keys_of_the_server)
{
    raw_open();
    raw_shake(NULL);
    raw_record()->limit = 3;
    for (int i = 0; i < 40; i++) {
        raw_down("a record");
        ck_assert_uint_le(raw_record()->out.seq, 3);
    }
    raw_up("well");
    raw_close();
}
END_TEST

/* ---- records ---------------------------------------------------------- */

/* OpenSSL pads; and what is read is less than a record holds. */
START_TEST(padded_and_in_little_pieces)
{
    enum { MUCH = 50000 };
    static unsigned char out[MUCH], in[MUCH];
    static const size_t pieces[] = {1, 7, 1000, 16383, 16384, 16385, 40000};
    size_t wrote = 0, got = 0, turn = 0;

    raw_open();
    SSL_CTX_set_block_padding(raw.c, _i == 0 ? 0 : 777);
    raw_shake(NULL);
    rig_fill(out, MUCH, 0);
    SSL_set_mode(raw.client, SSL_MODE_ENABLE_PARTIAL_WRITE);
    while (got < MUCH) {
        struct outcome o = {0};
        size_t n = pieces[turn++ % 7];

        if (wrote < MUCH) {
            int k = SSL_write(raw.client, out + wrote, (int)(MUCH - wrote));

            wrote += k > 0 ? (size_t)k : 0;
        }
        n = n < MUCH - got ? n : MUCH - got;
        sonic_stream_async_read(raw.server, in + got, n, on_outcome, &o);
        RIG_UNTIL(&raw.r, o.calls == 1);
        ck_assert_int_eq(o.err, 0);
        got += o.n;
    }
    ck_assert_mem_eq(in, out, MUCH);
    raw_talk();
    raw_close();
}
END_TEST

/* RFC 6066 section 4. */
START_TEST(small_fragments)
{
    static unsigned char much[20000], got[20000];

    raw_open();
    SSL_CTX_set_tlsext_max_fragment_length(raw.c, (uint8_t)(_i + 1));
    raw_shake(NULL);
    ck_assert_uint_eq(raw_record()->content, 512u << _i);
    rig_fill(much, sizeof much, 1);
    ck_assert_int_eq(sonic_stream_send(raw.server, much, sizeof much), 0);
    rig_settle(&raw.r);
    raw_read(got, sizeof got); /* OpenSSL refuses longer ones */
    ck_assert_mem_eq(much, got, sizeof much);
    raw_talk();
    raw_close();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tls_handover");
    TCase *tc = tcase_create("tls_handover");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, kit_open_server, kit_close);
    tcase_add_loop_test(tc, suites_and_tickets, 0, 18);
    tcase_add_test(tc, resumed);
    tcase_add_test(tc, data_in_the_last_flight);
    tcase_add_loop_test(tc, answers_stay_the_same, 0, 2);
    tcase_add_loop_test(tc, some_keep_it, 0, 2);
    tcase_add_loop_test(tc, keys_of_the_client, 0, 2);
    tcase_add_test(tc, keys_of_the_server);
    tcase_add_loop_test(tc, padded_and_in_little_pieces, 0, 2);
    tcase_add_loop_test(tc, small_fragments, 0, 4);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
