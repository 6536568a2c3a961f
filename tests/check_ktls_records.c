/* kTLS: records besides data. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "support/ktls_kit.h"
#include "support/tls_crafted.h"

static struct rig r;

/* ---- what besides data comes ------------------------------------------ */

struct record {
    uint8_t type, n, bytes[10];
};

/* Records that come between data, whole or in parts, and what they lead to. */
static const struct case_of {
    const char *what;
    enum sonic_tls_role role;
    struct record in[3];
    int err;   /* of the next read; 0: data goes on */
    int alert; /* that we answer with; -1: none */
} cases[] = {
    {"close_notify", SONIC_TLS_SERVER, {{ALERT, 2, {1, 0}}}, SONIC_EOF, -1},
    {"the same as if fatal",
     SONIC_TLS_CLIENT,
     {{ALERT, 2, {2, 0}}},
     SONIC_EOF,
     -1},
    {"user_canceled", SONIC_TLS_SERVER, {{ALERT, 2, {1, 90}}}, 0, -1},
    {"user_canceled, close_notify",
     SONIC_TLS_SERVER,
     {{ALERT, 2, {1, 90}}, {ALERT, 2, {1, 0}}},
     SONIC_EOF,
     -1},
    {"handshake_failure",
     SONIC_TLS_SERVER,
     {{ALERT, 2, {2, 40}}},
     SONIC_ETLS_ALERT,
     -1},
    {"no_application_protocol, as a warning",
     SONIC_TLS_CLIENT,
     {{ALERT, 2, {1, 120}}},
     SONIC_ETLS_ALPN,
     -1},
    {"an alert of one byte",
     SONIC_TLS_SERVER,
     {{ALERT, 1, {1}}},
     SONIC_ETLS_PROTOCOL,
     50},
    {"an alert of three",
     SONIC_TLS_SERVER,
     {{ALERT, 3, {1, 0, 0}}},
     SONIC_ETLS_PROTOCOL,
     50},
    {"a ticket", SONIC_TLS_CLIENT, {{HANDSHAKE, 8, {4, 0, 0, 4}}}, 0, -1},
    {"two tickets in one and a half",
     SONIC_TLS_CLIENT,
     {{HANDSHAKE, 10, {4, 0, 0, 2, 0, 0, 4, 0, 0, 4}},
      {HANDSHAKE, 4, {1, 2, 3, 4}}},
     0,
     -1},
    {"a ticket for a server",
     SONIC_TLS_SERVER,
     {{HANDSHAKE, 8, {4, 0, 0, 4}}},
     SONIC_ETLS_PROTOCOL,
     10},
    {"a ClientHello",
     SONIC_TLS_SERVER,
     {{HANDSHAKE, 8, {1, 0, 0, 4}}},
     SONIC_ETLS_PROTOCOL,
     10},
    {"data within a ticket",
     SONIC_TLS_CLIENT,
     {{HANDSHAKE, 6, {4, 0, 0, 4, 1, 2}}, {DATA, 1, {'x'}}},
     SONIC_ETLS_PROTOCOL,
     10},
    {"a KeyUpdate that is longer",
     SONIC_TLS_SERVER,
     {{HANDSHAKE, 6, {24, 0, 0, 2, 0, 0}}},
     SONIC_ETLS_PROTOCOL,
     50},
    {"a KeyUpdate of another kind",
     SONIC_TLS_SERVER,
     {{HANDSHAKE, 5, {24, 0, 0, 1, 2}}},
     SONIC_ETLS_PROTOCOL,
     47},
    {"something behind a KeyUpdate",
     SONIC_TLS_SERVER,
     {{HANDSHAKE, 6, {24, 0, 0, 1, 0, 4}}},
     SONIC_ETLS_PROTOCOL,
     10},
    {"a heartbeat",
     SONIC_TLS_SERVER,
     {{24, 3, {1, 2, 3}}},
     SONIC_ETLS_PROTOCOL,
     10},
    {"change_cipher_spec, sealed",
     SONIC_TLS_SERVER,
     {{20, 1, {1}}},
     SONIC_ETLS_PROTOCOL,
     10},
    {"empty data", SONIC_TLS_SERVER, {{DATA, 0, {0}}, {DATA, 0, {0}}}, 0, -1},
};

START_TEST(control_records)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct crafted c;
        struct outcome o;
        const struct record *in = cases[i].in;
        char x;
        sonic_stream *s;

        ktls_open(&r, _i);
        s = crafted_meet(&r, &c, cases[i].role, NULL);
        crafted_hears(&c, s, "before");
        crafted_says(&c, s, "before");
        for (int k = 0; k < 3 && in[k].type != 0; k++)
            crafted_send(&c, in[k].type, in[k].bytes, in[k].n);
        if (cases[i].err == 0) {
            crafted_hears(&c, s, "after");
        } else {
            crafted_read(&r, s, &x, 1, &o);
            ck_assert_msg(o.err == cases[i].err, "%s: %s (%s)", cases[i].what,
                          sonic_errname(o.err), sonic_tls_reason(s));
            if (o.err != SONIC_EOF)
                ck_assert_str_ne(sonic_tls_reason(s), "");
        }
        if (cases[i].alert >= 0) {
            const uint8_t alert[2] = {2, (uint8_t)cases[i].alert};

            crafted_expect(&c, ALERT, alert, 2);
        } else if (cases[i].err == 0 || cases[i].err == SONIC_EOF) {
            crafted_says(&c, s, "after"); /* only one direction has ended */
        }
        sonic_stream_free(s);
        crafted_close(&c);
        ktls_close(&r);
    }
}
END_TEST

/* Behind data that nobody has read yet. */
START_TEST(end_behind_data)
{
    struct crafted c;
    struct outcome o;
    char buf[8];
    sonic_stream *s;

    ktls_open(&r, _i);
    s = crafted_meet(&r, &c, SONIC_TLS_SERVER, NULL);
    crafted_send(&c, DATA, "da", 2);
    crafted_send(&c, DATA, "ta", 2);
    crafted_send(&c, ALERT, "\1\0", 2);
    rig_await(sonic_stream_fd(s), POLLIN);
    crafted_read(&r, s, buf, 4, &o);
    ck_assert_int_eq(o.err, 0);
    ck_assert_mem_eq(buf, "data", 4);
    crafted_read(&r, s, buf, 1, &o);
    ck_assert_int_eq(o.err, SONIC_EOF);
    sonic_stream_free(s);
    rig_settle(&r);
    crafted_expect(&c, ALERT, "\1\0", 2);
    ck_assert_int_eq(crafted_next(&c, (uint8_t[2]){0}, &(uint8_t){0}), -1);
    crafted_close(&c);
    ktls_close(&r);
}
END_TEST

/* Padding hides a length: RFC 8446 section 5.4. */
START_TEST(padding)
{
    static uint8_t record[SEALED_MAX];
    static const size_t zeros[] = {1, 15, 1000, 16384 - 3};
    struct crafted c;
    sonic_stream *s;

    ktls_open(&r, _i);
    s = crafted_meet(&r, &c, SONIC_TLS_SERVER, NULL);
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) {
        struct outcome o;
        char buf[3];

        rig_put(c.fd, record,
                sealing_seal(&c.out, DATA, "abc", 3, zeros[i], record));
        crafted_read(&r, s, buf, 3, &o);
        ck_assert_msg(o.err == 0, "%zu: %s", zeros[i], sonic_tls_reason(s));
        ck_assert_mem_eq(buf, "abc", 3);
    }
    sonic_stream_free(s);
    crafted_close(&c);
    ktls_close(&r);
}
END_TEST

/* A record that is not authentic, or none: an alert, and that is the end. */
START_TEST(bad_records)
{
    static uint8_t record[SEALED_MAX];

    for (int how = 0; how < 5; how++) {
        static const int alerts[] = {20, 20, 22, 50, 20};
        const uint8_t alert[2] = {2, (uint8_t)alerts[how]};
        struct crafted c;
        struct outcome o;
        char x;
        size_t n;
        sonic_stream *s;

        ktls_open(&r, _i);
        s = crafted_meet(&r, &c, SONIC_TLS_SERVER, NULL);
        crafted_hears(&c, s, "good");
        n = crafted_seal(&c, DATA, "bad", 3, record);
        switch (how) {
        case 0:
            record[7] ^= 1;
            break;
        case 1:
            record[n - 1] ^= 0x80;
            break;
        case 2: /* longer than may be */
            record[3] = 0x41;
            record[4] = 1;
            break;
        case 3:
            record[2] = 9;
            break;
        default: /* shorter than a tag */
            record[3] = 0;
            record[4] = 3;
        }
        rig_put(c.fd, record, n);
        crafted_read(&r, s, &x, 1, &o);
        ck_assert_msg(o.err == SONIC_ETLS_PROTOCOL, "%d: %s (%s)", how,
                      sonic_errname(o.err), sonic_tls_reason(s));
        ck_assert_str_ne(sonic_tls_reason(s), "");
        crafted_expect(&c, ALERT, alert, 2);
        ck_assert_int_eq(sonic_stream_send(s, "x", 1), 0);
        rig_settle(&r);
        sonic_stream_free(s);
        crafted_close(&c);
        ktls_close(&r);
    }
}
END_TEST

/* ---- new keys --------------------------------------------------------- */

static const uint8_t update[] = {24, 0, 0, 1, 0}, ask[] = {24, 0, 0, 1, 1};

/* Linux 6.14 can change them. */
START_TEST(follows_new_keys)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256",
                                         "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};

    for (int i = 0; i < 3; i++) {
        struct crafted c;
        sonic_stream *s;

        ktls_open(&r, _i);
        ktls_sim.rekeys = true;
        s = crafted_meet(&r, &c, (enum sonic_tls_role)(i % 2), suites[i]);
        for (int round = 0; round < 3; round++) {
            crafted_hears(&c, s, "with the old key");
            crafted_send(&c, HANDSHAKE, update, sizeof update);
            crafted_update(&c, true);
            crafted_hears(&c, s, "with the new key");
            crafted_says(&c, s, "our key stays");
            /* in two parts, and with an answer before our next data */
            crafted_send(&c, HANDSHAKE, ask, 3);
            crafted_send(&c, HANDSHAKE, ask + 3, 2);
            crafted_update(&c, true);
            crafted_hears(&c, s, "with the next one");
            ck_assert_int_eq(sonic_stream_send(s, "x", 1), 0);
            crafted_expect(&c, HANDSHAKE, update, sizeof update);
            crafted_update(&c, false);
            crafted_expect(&c, DATA, "x", 1);
            crafted_says(&c, s, "our new key");
        }
        sonic_stream_free(s);
        rig_settle(&r);
        crafted_expect(&c, ALERT, "\1\0", 2);
        crafted_close(&c);
        ktls_close(&r);
    }
}
END_TEST

/* Those before cannot: that is said, to both sides. */
START_TEST(cannot_follow_new_keys)
{
    static const uint8_t internal_error[2] = {2, 80};

    for (int i = 0; i < 2; i++) {
        struct crafted c;
        struct outcome o;
        char x;
        sonic_stream *s;

        ktls_open(&r, _i);
        s = crafted_meet(&r, &c, SONIC_TLS_SERVER, NULL);
        crafted_hears(&c, s, "with the old key");
        crafted_send(&c, HANDSHAKE, i == 0 ? update : ask, sizeof ask);
        crafted_read(&r, s, &x, 1, &o);
        ck_assert_int_eq(o.err, SONIC_ETLS);
        ck_assert_str_eq(
            sonic_tls_reason(s),
            "new keys are due, and the kernel does not change them");
        crafted_expect(&c, ALERT, internal_error, 2);
        sonic_stream_free(s);
        crafted_close(&c);
        ktls_close(&r);
    }
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("ktls_records");
    TCase *tc = tcase_create("ktls_records");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, kit_open, kit_close);
    ktls_add(tc, control_records);
    ktls_add(tc, end_behind_data);
    ktls_add(tc, padding);
    ktls_add(tc, bad_records);
    ktls_add_sim(tc, follows_new_keys);
    ktls_add(tc, cannot_follow_new_keys);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return rig_main(suite());
}
