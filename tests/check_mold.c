/* Packets, the store, publishing, and answers. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mold_world.h"

/* ---- packets ----------------------------------------------------------- */

START_TEST(packets_are_read)
{
    uint8_t packet[128];
    size_t n = mold_write(packet, "S", 258, -1, "ab  c"), len;
    char text[SONIC_MOLD_SESSION + 1];
    sonic_mold_packet p;
    uint8_t *data;

    ck_assert_mem_eq(packet, "S         \0\0\0\0\0\0\1\2\0\3", 20);
    ck_assert_int_eq(sonic_mold_parse(packet, n, &p), 0);
    sonic_mold_session_text(p.session, text);
    ck_assert_str_eq(text, "S");
    ck_assert_uint_eq(p.sequence, 258);
    ck_assert_uint_eq(p.count, 3);
    ck_assert(sonic_mold_take(&p, &data, &len));
    ck_assert_ptr_eq(data, packet + 22);
    ck_assert_uint_eq(len, 2);
    ck_assert(sonic_mold_take(&p, &data, &len));
    ck_assert_uint_eq(len, 0);
    ck_assert(sonic_mold_take(&p, &data, &len));
    ck_assert_mem_eq(data, "c", 1);
    ck_assert(!sonic_mold_take(&p, &data, &len));
}
END_TEST

/* Every length but the right one, of each kind of packet. */
START_TEST(malformed_packets_are_refused)
{
    static const struct {
        int count;
        const char *text;
    } kinds[] = {{-1, "abc de f"}, {0, ""}, {SONIC_MOLD_END, ""}, {-1, "x"}};
    uint8_t packet[128] = {0};
    sonic_mold_packet p;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t n = mold_write(packet, "S", 1, kinds[i].count, kinds[i].text);

        for (size_t len = 0; len <= n + 3; len++) {
            uint8_t *exact = malloc(len > 0 ? len : 1);

            memcpy(exact, packet, len);
            ck_assert_int_eq(sonic_mold_parse(exact, len, &p),
                             len == n ? 0 : SONIC_EMOLD_PACKET);
            free(exact);
        }
    }
    /* A count, or a length, that claims what is not there. */
    (void)mold_write(packet, "S", 1, 4, "a b c");
    ck_assert_int_eq(sonic_mold_parse(packet, 29, &p), SONIC_EMOLD_PACKET);
    (void)mold_write(packet, "S", 1, 2, "a b c");
    ck_assert_int_eq(sonic_mold_parse(packet, 29, &p), SONIC_EMOLD_PACKET);
    (void)mold_write(packet, "S", 1, 3, "a b c");
    packet[20] = 0xff;
    ck_assert_int_eq(sonic_mold_parse(packet, 29, &p), SONIC_EMOLD_PACKET);
}
END_TEST

START_TEST(numbers_do_not_wrap)
{
    static const struct {
        uint64_t sequence;
        int count;
        const char *text;
        int err;
    } rows[] = {
        {UINT64_MAX - 2, 1, "x", 0},
        {UINT64_MAX - 1, 1, "x", SONIC_EMOLD_PACKET},
        {UINT64_MAX - 1, 0, "", 0},
        {UINT64_MAX, 0, "", SONIC_EMOLD_PACKET},
        {UINT64_MAX, SONIC_MOLD_END, "", SONIC_EMOLD_PACKET},
        {UINT64_MAX - 1, SONIC_MOLD_END, "", 0},
    };
    uint8_t packet[64];
    sonic_mold_packet p;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = mold_write(packet, "S", rows[i].sequence, rows[i].count,
                              rows[i].text);

        ck_assert_msg(sonic_mold_parse(packet, n, &p) == rows[i].err, "row %zu",
                      i);
    }
}
END_TEST

START_TEST(requests_are_read)
{
    uint8_t r[24] = {0};
    sonic_mold_packet p;

    for (size_t len = 0; len <= sizeof r; len++) {
        (void)mold_write(r, "S", 7, 5, "");
        ck_assert_int_eq(sonic_mold_parse_request(r, len, &p),
                         len == 20 ? 0 : SONIC_EMOLD_PACKET);
    }
    ck_assert_uint_eq(p.sequence, 7);
    ck_assert_uint_eq(p.count, 5);
    (void)mold_write(r, "S", 7, 0, "");
    ck_assert_int_eq(sonic_mold_parse_request(r, 20, &p), SONIC_EMOLD_PACKET);
    (void)mold_write(r, "S", 7, SONIC_MOLD_END, "");
    ck_assert_int_eq(sonic_mold_parse_request(r, 20, &p), SONIC_EMOLD_PACKET);
    (void)mold_write(r, "S", UINT64_MAX - 3, 3, "");
    ck_assert_int_eq(sonic_mold_parse_request(r, 20, &p), SONIC_EMOLD_PACKET);
}
END_TEST

START_TEST(sessions_are_text)
{
    uint8_t s[SONIC_MOLD_SESSION];
    char text[SONIC_MOLD_SESSION + 1];

    ck_assert_int_eq(sonic_mold_session_set(s, ""), SONIC_EOPTION);
    ck_assert_int_eq(sonic_mold_session_set(s, "12345678901"), SONIC_EOPTION);
    ck_assert_int_eq(sonic_mold_session_set(s, "\x7f"), SONIC_EOPTION);
    ck_assert_int_eq(sonic_mold_session_set(s, "1234567890"), 0);
    sonic_mold_session_text(s, text);
    ck_assert_str_eq(text, "1234567890");
    memcpy(s, "a\0\xff b \0\0  ", 10);
    sonic_mold_session_text(s, text);
    ck_assert_str_eq(text, "a?? b");
}
END_TEST

/* ---- the store --------------------------------------------------------- */

static const char *
fetch(const sonic_mold_store *s, uint64_t n)
{
    static char text[32];
    const void *p;
    size_t len;

    p = sonic_mold_store_get(s, n, &len);
    if (p == NULL)
        return NULL;
    ck_assert_uint_lt(len, sizeof text);
    memcpy(text, p, len);
    text[len] = '\0';
    return text;
}

START_TEST(the_store_keeps_the_last_ones)
{
    sonic_mold_store_options o = SONIC_MOLD_STORE_OPTIONS_INIT;
    sonic_mold_store *s;
    char text[32];

    o.messages = 100; /* 128 */
    o.bytes = 65536;
    ck_assert_int_eq(sonic_mold_store_new(&o, &s), 0);
    ck_assert_ptr_null(fetch(s, 0));
    for (uint64_t i = 1; i <= 1000; i++) {
        snprintf(text, sizeof text, "%d", (int)i);
        ck_assert_int_eq(
            sonic_mold_store_put(s, i, text, i % 7 == 0 ? 0 : strlen(text)), 0);
        ck_assert_uint_eq(sonic_mold_store_next(s), i + 1);
        ck_assert_uint_eq(sonic_mold_store_first(s), i < 128 ? 1 : i - 127);
    }
    for (uint64_t i = 873; i <= 1000; i++) {
        snprintf(text, sizeof text, "%d", (int)i);
        ck_assert_str_eq(fetch(s, i), i % 7 == 0 ? "" : text);
    }
    ck_assert_ptr_null(fetch(s, 872));
    ck_assert_ptr_null(fetch(s, 1001));
    ck_assert_int_eq(sonic_mold_store_put(s, 5000, "x", 1), 0); /* a jump */
    ck_assert_uint_eq(sonic_mold_store_first(s), 5000);
    ck_assert_ptr_null(fetch(s, 1000));
    ck_assert_str_eq(fetch(s, 5000), "x");
    sonic_mold_store_clear(s);
    ck_assert_ptr_null(fetch(s, 5000));
    sonic_mold_store_free(s);
    sonic_mold_store_free(NULL);
}
END_TEST

/* Sizes at random, against what was put: what is there is right, and as much
 * is there as the bytes allow. */
START_TEST(the_store_keeps_bytes_whole)
{
    enum { ROUNDS = 20000 };
    static uint16_t size[ROUNDS];
    sonic_mold_store_options o = SONIC_MOLD_STORE_OPTIONS_INIT;
    static uint8_t body[65536];
    unsigned seed = 12345;
    sonic_mold_store *s;
    const uint8_t *p;
    size_t len;

    o.messages = 4096;
    o.bytes = 1 << 18;
    ck_assert_int_eq(sonic_mold_store_new(&o, &s), 0);
    for (uint64_t i = 1; i < ROUNDS; i++) {
        uint64_t first;

        seed = seed * 1103515245 + 12345;
        size[i] = (uint16_t)((seed >> 16) % (i % 100 == 0 ? 65535
                                             : i % 3 == 0 ? 3
                                                          : 400));
        memset(body, (int)(i & 0xff), size[i]);
        ck_assert_int_eq(sonic_mold_store_put(s, i, body, size[i]), 0);
        first = sonic_mold_store_first(s);
        ck_assert_uint_le(first, i);
        for (uint64_t n = first; n <= i; n += 1 + (i - first) / 8) {
            p = sonic_mold_store_get(s, n, &len);
            ck_assert_ptr_nonnull(p);
            ck_assert_uint_eq(len, size[n]);
            if (len > 0) {
                ck_assert_uint_eq(p[0], n & 0xff);
                ck_assert_uint_eq(p[len - 1], n & 0xff);
            }
        }
    }
    ck_assert_int_eq(sonic_mold_store_put(s, ROUNDS, body, 65536),
                     SONIC_ETOOBIG);
    sonic_mold_store_free(s);
}
END_TEST

/* ---- publishing -------------------------------------------------------- */

static char wire[4096];

static void
on_packet(const void *data, size_t len, void *ud)
{
    char name[SONIC_MOLD_SESSION + 1];
    sonic_mold_packet p;
    uint8_t *m;
    size_t n, at = strlen(wire);

    (void)ud;
    ck_assert_int_eq(sonic_mold_parse((void *)(uintptr_t)data, len, &p), 0);
    sonic_mold_session_text(p.session, name);
    at += (size_t)snprintf(wire + at, sizeof wire - at, "%s %d", name,
                           (int)p.sequence);
    if (p.count == SONIC_MOLD_END)
        at += (size_t)snprintf(wire + at, sizeof wire - at, " end");
    while (p.count != SONIC_MOLD_END && sonic_mold_take(&p, &m, &n))
        at += (size_t)snprintf(wire + at, sizeof wire - at, " %.*s", (int)n,
                               (const char *)m);
    snprintf(wire + at, sizeof wire - at, "\n");
}

#define sent(text)                                                             \
    do {                                                                       \
        ck_assert_str_eq(wire, text);                                          \
        wire[0] = '\0';                                                        \
    } while (0)

START_TEST(messages_are_packed)
{
    sonic_mold_packer_options o = SONIC_MOLD_PACKER_OPTIONS_INIT;
    sonic_mold_packer *p;

    wire[0] = '\0';
    o.session = "DAY";
    o.packet_max = 20 + 10;
    ck_assert_int_eq(sonic_mold_packer_new(&o, on_packet, NULL, &p), 0);
    sonic_mold_packer_tick(p, SECOND); /* we are here */
    sent("DAY 1\n");
    ck_assert_int_eq(sonic_mold_pack(p, "abc", 3, SECOND), 0);
    ck_assert_int_eq(sonic_mold_pack(p, "def", 3, SECOND), 0);
    sent("");
    ck_assert_int_eq(sonic_mold_pack(p, "", 0, SECOND), 0);
    sent("DAY 1 abc def\n");
    ck_assert_int_eq(sonic_mold_pack(p, "12345678", 8, SECOND), 0);
    sent("DAY 3 \n");
    ck_assert_int_eq(sonic_mold_pack(p, "123456789", 9, SECOND), SONIC_ETOOBIG);
    sonic_mold_packer_flush(p, SECOND);
    sonic_mold_packer_flush(p, SECOND);
    sent("DAY 4 12345678\n");
    ck_assert_uint_eq(sonic_mold_packer_next(p), 5);
    sonic_mold_packer_free(p);
    sonic_mold_packer_free(NULL);
}
END_TEST

START_TEST(heartbeats_and_the_end)
{
    sonic_mold_packer_options o = SONIC_MOLD_PACKER_OPTIONS_INIT;
    sonic_mold_packer *p;
    int64_t now = 5 * SECOND;

    wire[0] = '\0';
    o.session = "DAY";
    o.end_repeats = 3;
    ck_assert_int_eq(sonic_mold_packer_new(&o, on_packet, NULL, &p), 0);
    sonic_mold_packer_tick(p, now);
    ck_assert_int_eq(sonic_mold_packer_deadline(p), now + SECOND);
    sonic_mold_packer_tick(p, now + SECOND - 1);
    sent("DAY 1\n");
    sonic_mold_packer_tick(p, now += SECOND);
    sent("DAY 1\n");
    ck_assert_int_eq(sonic_mold_pack(p, "a", 1, now), 0);
    sonic_mold_packer_tick(p, now += SECOND); /* as good as a heartbeat */
    sent("DAY 1 a\n");
    ck_assert_int_eq(sonic_mold_pack(p, "A", 1, now), 0);
    sonic_mold_packer_flush(p, now);
    sonic_mold_packer_tick(p, now += SECOND);
    sent("DAY 2 A\nDAY 3\n");
    ck_assert_int_eq(sonic_mold_pack(p, "b", 1, now), 0);
    sonic_mold_packer_end(p, now);
    sonic_mold_packer_end(p, now);
    sonic_mold_packer_flush(p, now);
    sent("DAY 3 b\nDAY 4 end\n");
    ck_assert_int_eq(sonic_mold_pack(p, "c", 1, now), SONIC_ESTATE);
    sonic_mold_packer_tick(p, now += SECOND);
    sonic_mold_packer_tick(p, now += SECOND);
    sent("DAY 4 end\nDAY 4 end\n");
    ck_assert(sonic_mold_packer_deadline(p) == INT64_MAX);
    sonic_mold_packer_tick(p, now += SECOND);
    ck_assert_int_eq(sonic_mold_pack(p, "c", 1, now), SONIC_ESTATE);
    sonic_mold_packer_flush(p, now);
    sonic_mold_packer_end(p, now);
    sent("");
    ck_assert_uint_eq(sonic_mold_packer_next(p), 4);
    ck_assert(sonic_mold_packer_deadline(p) == INT64_MAX);
    sonic_mold_packer_free(p);
    /* With nothing in the packet. */
    ck_assert_int_eq(sonic_mold_packer_new(&o, on_packet, NULL, &p), 0);
    sonic_mold_packer_flush(p, now);
    sonic_mold_packer_end(p, now);
    sent("DAY 1 end\n");
    ck_assert_int_eq(sonic_mold_pack(p, "c", 1, now), SONIC_ESTATE);
    sonic_mold_packer_free(p);
}
END_TEST

START_TEST(a_packers_options)
{
#define O(...)                                                                 \
    {                                                                          \
        .size = sizeof(sonic_mold_packer_options), __VA_ARGS__                 \
    }
    static const sonic_mold_packer_options rows[] = {
        O(.session = NULL),
        O(.session = ""),
        O(.session = "S", .packet_max = 21),
        O(.session = "S", .packet_max = 65508),
        O(.session = "S", .heartbeat = -1),
        O(.session = "S", .first = UINT64_MAX),
    };
    sonic_mold_packer_options last = O(.session = "S", .first = UINT64_MAX - 2);
    sonic_mold_packer *p;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(sonic_mold_packer_new(&rows[i], on_packet, NULL, &p) ==
                          SONIC_EOPTION,
                      "row %zu", i);
    ck_assert_int_eq(sonic_mold_packer_new(&last, on_packet, NULL, &p), 0);
    ck_assert_int_eq(sonic_mold_pack(p, "x", 1, 0), 0);
    ck_assert_int_eq(sonic_mold_pack(p, "x", 1, 0), SONIC_ESTATE);
    sonic_mold_packer_free(p);
}
END_TEST

/* ---- answers ----------------------------------------------------------- */

static sonic_mold_store *store;
static sonic_mold_answerer *a;

static void
answerer(sonic_mold_answerer_options *o)
{
    sonic_mold_store_options so = SONIC_MOLD_STORE_OPTIONS_INIT;

    wire[0] = '\0';
    so.messages = 64;
    so.bytes = 65536;
    ck_assert_int_eq(sonic_mold_store_new(&so, &store), 0);
    for (uint64_t i = 11; i <= 20; i++)
        ck_assert_int_eq(
            sonic_mold_store_put(store, i, &"abcdefghij"[i - 11], 1), 0);
    o->session = "DAY";
    o->store = store;
    ck_assert_int_eq(sonic_mold_answerer_new(o, &a), 0);
}

static int
ask(const char *session, uint64_t sequence, int count, int64_t now)
{
    uint8_t r[20];

    (void)mold_write(r, session, sequence, count, "");
    return sonic_mold_answer(a, 1, now, r, sizeof r, on_packet, NULL);
}

static void
answerer_end(void)
{
    sonic_mold_answerer_free(a);
    sonic_mold_store_free(store);
}

START_TEST(requests_are_answered)
{
    sonic_mold_answerer_options o = SONIC_MOLD_ANSWERER_OPTIONS_INIT;
    sonic_mold_answerer_stats s;

    o.packet_max = 20 + 4 * 3;
    answerer(&o);
    ck_assert_int_eq(ask("DAY", 12, 2, 0), 2);
    sent("DAY 12 b c\n");
    ck_assert_int_eq(ask("DAY", 11, 10, 0), 4); /* one packet */
    sent("DAY 11 a b c d\n");
    ck_assert_int_eq(ask("DAY", 19, 100, 0), 2);
    sent("DAY 19 i j\n");
    ck_assert_int_eq(ask("DAY", 21, 1, 0), SONIC_EMOLD_GONE);
    ck_assert_int_eq(ask("DAY", 10, 5, 0), SONIC_EMOLD_GONE);
    ck_assert_int_eq(ask("NIGHT", 12, 1, 0), SONIC_EMOLD_SESSION);
    ck_assert_int_eq(ask("DAY", 12, 0, 0), SONIC_EMOLD_PACKET);
    ck_assert_int_eq(sonic_mold_answerer_session(a, ""), SONIC_EOPTION);
    ck_assert_int_eq(sonic_mold_answerer_session(a, "NIGHT"), 0);
    ck_assert_int_eq(ask("NIGHT", 12, 1, 0), 1);
    sent("NIGHT 12 b\n");
    sonic_mold_answerer_get_stats(a, &s);
    ck_assert_uint_eq(s.requests, 8);
    ck_assert_uint_eq(s.packets, 4);
    ck_assert_uint_eq(s.messages, 9);
    ck_assert_uint_eq(s.gone, 2);
    ck_assert_uint_eq(s.foreign, 1);
    ck_assert_uint_eq(s.malformed, 1);
    answerer_end();
}
END_TEST

START_TEST(an_answer_may_have_several_packets)
{
    sonic_mold_answerer_options o = SONIC_MOLD_ANSWERER_OPTIONS_INIT;

    o.packet_max = 20 + 4 * 3;
    o.packets = 2;
    answerer(&o);
    ck_assert_int_eq(ask("DAY", 11, 10, 0), 8);
    sent("DAY 11 a b c d\nDAY 15 e f g h\n");
    ck_assert_int_eq(ask("DAY", 18, 9, 0), 3);
    sent("DAY 18 h i j\n");
    answerer_end();
}
END_TEST

START_TEST(answers_keep_to_their_rate)
{
    sonic_mold_answerer_options o = SONIC_MOLD_ANSWERER_OPTIONS_INIT;
    sonic_mold_answerer_stats s;
    uint8_t r[20];

    o.client_rate = 10;
    o.client_burst = 2;
    o.rate = 100;
    o.burst = 5;
    answerer(&o);
    ck_assert_int_eq(ask("DAY", 11, 1, SECOND), 1);
    ck_assert_int_eq(ask("DAY", 11, 1, SECOND), 1);
    ck_assert_int_eq(ask("DAY", 11, 1, SECOND), SONIC_EMOLD_RATE);
    ck_assert_int_eq(ask("DAY", 11, 1, SECOND + 99 * MS), SONIC_EMOLD_RATE);
    ck_assert_int_eq(ask("DAY", 11, 1, SECOND + 100 * MS), 1);
    (void)mold_write(r, "DAY", 11, 1, "");
    for (uint64_t client = 2; client < 7; client++)
        ck_assert_int_eq(sonic_mold_answer(a, client, SECOND + 100 * MS, r, 20,
                                           on_packet, NULL),
                         client < 6 ? 1 : SONIC_EMOLD_RATE);
    sonic_mold_answerer_get_stats(a, &s);
    ck_assert_uint_eq(s.limited, 3);
    answerer_end();
}
END_TEST

START_TEST(an_answerers_options)
{
    sonic_mold_answerer_options o = SONIC_MOLD_ANSWERER_OPTIONS_INIT, bad;
    sonic_mold_answerer *b;

    answerer(&o);
    bad = o;
    bad.session = NULL;
    ck_assert_int_eq(sonic_mold_answerer_new(&bad, &b), SONIC_EOPTION);
    bad = o;
    bad.store = NULL;
    ck_assert_int_eq(sonic_mold_answerer_new(&bad, &b), SONIC_EOPTION);
    bad = o;
    bad.packets = 65;
    ck_assert_int_eq(sonic_mold_answerer_new(&bad, &b), SONIC_EOPTION);
    bad = o;
    bad.rate = 100000001;
    ck_assert_int_eq(sonic_mold_answerer_new(&bad, &b), SONIC_EOPTION);
    bad = o;
    bad.packet_max = 10;
    ck_assert_int_eq(sonic_mold_answerer_new(&bad, &b), SONIC_EOPTION);
    answerer_end();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("mold");
    TCase *tc = tcase_create("mold");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, packets_are_read);
    tcase_add_test(tc, malformed_packets_are_refused);
    tcase_add_test(tc, numbers_do_not_wrap);
    tcase_add_test(tc, requests_are_read);
    tcase_add_test(tc, sessions_are_text);
    tcase_add_test(tc, the_store_keeps_the_last_ones);
    tcase_add_test(tc, the_store_keeps_bytes_whole);
    tcase_add_test(tc, messages_are_packed);
    tcase_add_test(tc, heartbeats_and_the_end);
    tcase_add_test(tc, a_packers_options);
    tcase_add_test(tc, requests_are_answered);
    tcase_add_test(tc, an_answer_may_have_several_packets);
    tcase_add_test(tc, answers_keep_to_their_rate);
    tcase_add_test(tc, an_answerers_options);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
