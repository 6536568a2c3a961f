/* The UTF-8 machine against arithmetic, and its fast forms against it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/ws_reference.h"
#include "websocket/utf8.h"

/* Bytes on both sides of every border in Unicode 15, table 3-7. */
static const uint8_t edges[] = {
    0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1,
    0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1,
    0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfb, 0xfc, 0xfe, 0xff,
};
enum { EDGES = sizeof edges };

static bool
slow(void)
{
    return getenv("SONIC_TEST_SLOW") != NULL;
}

static enum ws_utf8
meaning(uint8_t state)
{
    if (state == SONIC__UTF8_OK)
        return WS_UTF8_WHOLE;
    return state == SONIC__UTF8_BAD ? WS_UTF8_BAD : WS_UTF8_CUT;
}

static uint8_t
feed(const uint8_t *p, size_t n)
{
    return sonic__utf8_feed(SONIC__UTF8_OK, p, n);
}

static void
same_as_arithmetic(const uint8_t *p, size_t n)
{
    /* Not ck_assert: it notes each success, which would take minutes. */
    if (meaning(feed(p, n)) != ws_reference_utf8(p, n))
        ck_abort_msg("%zu bytes: %02x %02x %02x %02x", n, p[0], p[1], p[2],
                     p[3]);
}

START_TEST(one_and_two_bytes)
{
    for (unsigned v = 0; v < 1u << 16; v++) {
        uint8_t b[4] = {(uint8_t)v, (uint8_t)(v >> 8), 0, 0};

        same_as_arithmetic(b, 1);
        same_as_arithmetic(b, 2);
    }
}
END_TEST

START_TEST(three_bytes)
{
    unsigned step = slow() ? 97 : 1;

    for (unsigned v = 0; v < 1u << 24; v += step) {
        uint8_t b[4] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v, 0};

        same_as_arithmetic(b, 3);
    }
}
END_TEST

/* Every lead and second byte, then the edges. */
START_TEST(four_bytes)
{
    for (unsigned v = 0; v < 1u << 16; v++)
        for (unsigned k = 0; k < EDGES * EDGES; k++) {
            uint8_t b[4] = {(uint8_t)(v >> 8), (uint8_t)v, edges[k / EDGES],
                            edges[k % EDGES]};

            if (b[0] < 0xe0 && v % 17 != 0)
                break;
            same_as_arithmetic(b, 4);
            if (slow())
                k += 30;
        }
}
END_TEST

static size_t
encode(uint8_t *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (uint8_t)(0xc0 | c >> 6);
        p[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (uint8_t)(0xe0 | c >> 12);
        p[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        p[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    p[0] = (uint8_t)(0xf0 | c >> 18);
    p[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    p[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    p[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* All of Unicode in one text: right in every form, and wrong as soon as any
 * byte is taken away from the middle of a character. */
START_TEST(every_character)
{
    uint8_t *text = malloc(4 * 0x110000);
    const struct sonic__ws_simd *simd;
    size_t n = 0;

    ck_assert_ptr_nonnull(text);
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t b[4];
        size_t k = encode(b, c);

        if (c >= 0xd800 && c <= 0xdfff) {
            ck_assert_uint_eq(feed(b, k), SONIC__UTF8_BAD);
            continue;
        }
        memcpy(text + n, b, k);
        n += k;
    }
    for (size_t i = 0; (simd = sonic__ws_simd_at(i)) != NULL; i++)
        ck_assert_uint_eq(simd->utf8(SONIC__UTF8_OK, text, n), SONIC__UTF8_OK);
    free(text);
}
END_TEST

START_TEST(bad_is_never_left)
{
    uint8_t text[70];
    const struct sonic__ws_simd *simd;

    for (size_t i = 0; (simd = sonic__ws_simd_at(i)) != NULL; i++)
        for (int b = 0; b < 256; b++) {
            memset(text, b, sizeof text);
            for (size_t n = 0; n <= sizeof text; n++)
                if (simd->utf8(SONIC__UTF8_BAD, text, n) != SONIC__UTF8_BAD)
                    ck_abort_msg("%s: %zu bytes %02x", simd->name, n, b);
        }
}
END_TEST

static void
same_as_table(const uint8_t *text, size_t n)
{
    const struct sonic__ws_simd *simd;
    uint8_t state = feed(text, n);

    for (size_t i = 1; (simd = sonic__ws_simd_at(i)) != NULL; i++)
        if (simd->utf8(SONIC__UTF8_OK, text, n) != state)
            ck_abort_msg("%s, %zu bytes", simd->name, n);
}

/* Three bytes of every kind, across the border of two vectors; in ASCII, and
 * as the end of the text. */
START_TEST(fast_three_bytes)
{
    uint8_t text[64];
    unsigned step = slow() ? 997 : 3;

    memset(text, 'a', sizeof text);
    for (unsigned v = 0; v < 1u << 24; v += step) {
        text[30] = (uint8_t)(v >> 16);
        text[31] = (uint8_t)(v >> 8);
        text[32] = (uint8_t)v;
        same_as_table(text, sizeof text);
        same_as_table(text, 33);
    }
}
END_TEST

/* Four edges at every place of a text of every length to 100, between ASCII
 * and between characters of three bytes. */
START_TEST(fast_every_place)
{
    uint8_t text[140];
    unsigned step = slow() ? 1009 : 31;

    for (unsigned k = 0; k < EDGES * EDGES * EDGES * EDGES; k += step) {
        uint8_t b[4] = {edges[k % EDGES], edges[k / EDGES % EDGES],
                        edges[k / EDGES / EDGES % EDGES],
                        edges[k / EDGES / EDGES / EDGES]};
        size_t at = k / step % 97, n = at + 4 + k / step % 33;

        memset(text, 'a', sizeof text);
        if (k % 2 == 1)
            for (size_t i = 0; i + 3 <= at; i += 3)
                memcpy(text + i, "\xe4\xb8\x80", 3);
        memcpy(text + at, b, 4);
        same_as_table(text, n);
        same_as_table(text, at + 1 + k % 4);
    }
}
END_TEST

/* In two pieces, at every place, it is the same text. */
START_TEST(every_split)
{
    static const char *const texts[] = {
        "plain text, longer than any vector: 0123456789 0123456789 0123456789",
        ("\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96"
         "\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad"
         "\xe6"),
        "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and so on, to fill a vector ...",
        "0123456789012345678901234567890123456789\xed\xa0\x80 a surrogate",
        "01234567890123456789012345678\xf0\x9f\x98\x80\xf0\x9f\x98 cut short",
        "0123456789012345678901234567890\xf4\x90\x80\x80",
        "0123456789012345678901234567890\xc0\x80 0123456789 0123456789 01",
    };

    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        const uint8_t *p = (const uint8_t *)texts[t];
        const struct sonic__ws_simd *simd;
        size_t n = strlen(texts[t]);

        for (size_t i = 0; (simd = sonic__ws_simd_at(i)) != NULL; i++)
            for (size_t cut = 0; cut <= n; cut++) {
                uint8_t state = simd->utf8(SONIC__UTF8_OK, p, cut);

                ck_assert_uint_eq(meaning(state), ws_reference_utf8(p, cut));
                ck_assert_uint_eq(simd->utf8(state, p + cut, n - cut),
                                  feed(p, n));
            }
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_utf8");
    TCase *t = tcase_create("table");
    TCase *f = tcase_create("fast forms");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, one_and_two_bytes);
    tcase_add_test(t, three_bytes);
    tcase_add_test(t, four_bytes);
    tcase_add_test(t, every_character);
    tcase_add_test(t, bad_is_never_left);
    tcase_add_test(f, fast_three_bytes);
    tcase_add_test(f, fast_every_place);
    tcase_add_test(f, every_split);
    suite_add_tcase(s, t);
    suite_add_tcase(s, f);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
