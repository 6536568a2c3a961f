/* Formats, headers and lengths: what may be said, what is written, what is
 * read back, what is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "support/frame_formats.h"

#define V SONIC_FRAME_VARINT
#define SZ .size = sizeof(sonic_frame_format)

enum { SIZES = 32768 };

/* Encode a header, and read it back from a window of just its frame, one that
 * is a byte short, and one that is longer. */
static bool
round_trips(const sonic_frame_format *f, const sonic_frame_codec *c,
            size_t body)
{
    static uint8_t buf[SIZES + SONIC_FRAME_HEADER_MAX + 1];
    int n = sonic_frame_encode_header(c, body, buf, sizeof buf);
    size_t max = f->max_body != 0 ? (size_t)f->max_body : 16 << 20;
    size_t total, skip;
    sonic_frame got, more;

    if (n != sonic_frame_header_size(c, body))
        return false;
    if (n < 0) /* allowed only where the field is too small, or a limit is */
        return body > max || f->length == 1 || f->length == 2 ||
               f->length == V || f->adjust > 0 || f->strip > 0;
    total = (size_t)n + body;
    skip = f->strip == 0 ? (size_t)n : f->strip < 0 ? 0 : (size_t)f->strip;
    return sonic_frame_decode(c, buf, total, &got) == 0 &&
           got.header == (size_t)n && got.total == total &&
           got.offset == skip && got.len == total - skip &&
           sonic_frame_decode(c, buf, total + 1, &more) == 0 &&
           memcmp(&got, &more, sizeof got) == 0 &&
           sonic_frame_decode(c, buf, total - 1, &more) == SONIC_ENEEDMORE &&
           (body == 0 || more.need == total);
}

START_TEST(every_size_round_trips_in_every_format)
{
    sonic_frame_codec c = frame_codec(&frame_formats[_i]);

    for (size_t body = 0; body < SIZES; body++)
        if (!round_trips(&frame_formats[_i], &c, body))
            ck_abort_msg("a body of %zu bytes", body);
}
END_TEST

START_TEST(default_is_four_bytes_big_endian)
{
    static const sonic_frame_format zero = SONIC_FRAME_FORMAT_INIT;
    static const uint8_t want[4] = {0x00, 0x01, 0x02, 0x03};
    sonic_frame_codec a, b;
    uint8_t got[4];

    ck_assert_int_eq(sonic_frame_codec_init(&a, NULL), 0);
    ck_assert_int_eq(sonic_frame_codec_init(&b, &zero), 0);
    ck_assert_mem_eq(&a, &b, sizeof a);
    ck_assert_int_eq(sonic_frame_encode_header(&a, 0x010203, got, 4), 4);
    ck_assert_mem_eq(got, want, 4);
}
END_TEST

/* ---- headers, byte by byte -------------------------------------------- */

static const struct {
    sonic_frame_format format;
    uint64_t body;
    int size;
    uint8_t bytes[16]; /* 0xee where the prefix is */
} headers[] = {
    {{SZ, .length = 1}, 255, 1, {0xff}},
    {{SZ, .length = 2}, 258, 2, {1, 2}},
    {{SZ, .length = 2, .order = SONIC_FRAME_LITTLE_ENDIAN}, 258, 2, {2, 1}},
    {{SZ, .length = 3}, 66051, 3, {1, 2, 3}},
    {{SZ, .length = 3, .order = SONIC_FRAME_LITTLE_ENDIAN},
     66051,
     3,
     {3, 2, 1}},
    {{SZ, .length = 8}, 258, 8, {0, 0, 0, 0, 0, 0, 1, 2}},
    {{SZ, .length = 8, .order = SONIC_FRAME_LITTLE_ENDIAN}, 258, 8, {2, 1}},
    {{SZ, .length = 2, .counts = SONIC_FRAME_LENGTH_AND_BODY}, 5, 2, {0, 7}},
    {{SZ, .length = 2, .offset = 3, .counts = SONIC_FRAME_LENGTH_AND_BODY},
     5,
     5,
     {0xee, 0xee, 0xee, 0, 7}},
    {{SZ, .length = 2, .offset = 3, .counts = SONIC_FRAME_EVERYTHING},
     5,
     5,
     {0xee, 0xee, 0xee, 0, 10}},
    /* the number on the wire is 3 more than what follows */
    {{SZ, .length = 2, .adjust = -3}, 5, 2, {0, 8}},
    {{SZ, .length = 2, .adjust = 3}, 5, 2, {0, 2}},
    {{SZ, .length = V}, 0, 1, {0}},
    {{SZ, .length = V}, 127, 1, {0x7f}},
    {{SZ, .length = V}, 128, 2, {0x80, 0x01}},
    {{SZ, .length = V}, 300, 2, {0xac, 0x02}}, /* the .proto manual's */
    {{SZ, .length = V, .offset = 1}, 300, 3, {0xee, 0xac, 0x02}},
    /* a varint that counts itself */
    {{SZ, .length = V, .counts = SONIC_FRAME_EVERYTHING}, 126, 1, {0x7f}},
    {{SZ, .length = V, .counts = SONIC_FRAME_EVERYTHING}, 127, 2, {0x81, 0x01}},
    {{SZ, .length = V, .counts = SONIC_FRAME_EVERYTHING}, 128, 2, {0x82, 0x01}},
};

START_TEST(headers_are_what_the_format_says)
{
    sonic_frame_codec c = frame_codec(&headers[_i].format);
    uint8_t got[16];
    int n = headers[_i].size;

    memset(got, 0xee, sizeof got);
    ck_assert_int_eq(
        sonic_frame_encode_header(&c, headers[_i].body, got, (size_t)n), n);
    ck_assert_mem_eq(got, headers[_i].bytes, (size_t)n);
    for (size_t i = (size_t)n; i < sizeof got; i++)
        ck_assert_uint_eq(got[i], 0xee); /* nothing behind it is touched */
    memset(got, 0xee, sizeof got);
    ck_assert_int_eq(
        sonic_frame_encode_header(&c, headers[_i].body, got, (size_t)n - 1),
        SONIC_ETOOBIG);
    for (size_t i = 0; i < sizeof got; i++)
        ck_assert_uint_eq(got[i], 0xee);
}
END_TEST

static const struct {
    sonic_frame_format format;
    uint64_t body;
    int err;
} unsendable[] = {
    {{SZ, .length = 1}, 256, SONIC_EFRAME_LENGTH},
    {{SZ, .length = 2}, 65536, SONIC_EFRAME_LENGTH},
    {{SZ, .length = 3}, 1 << 24, SONIC_EFRAME_LENGTH},
    {{SZ, .length = 4}, (16 << 20) + 1, SONIC_EFRAME_TOOBIG},
    {{SZ, .length = 4}, UINT64_MAX, SONIC_EFRAME_TOOBIG},
    {{SZ, .length = 4, .max_body = UINT32_MAX / 4},
     UINT32_MAX / 4 + 1,
     SONIC_EFRAME_TOOBIG},
    {{SZ, .length = V, .varint_max = 1}, 128, SONIC_EFRAME_LENGTH},
    {{SZ, .length = V, .varint_max = 1, .counts = SONIC_FRAME_EVERYTHING},
     127,
     SONIC_EFRAME_LENGTH},
    {{SZ, .length = 1, .counts = SONIC_FRAME_EVERYTHING},
     255,
     SONIC_EFRAME_LENGTH},
    {{SZ, .length = 4, .adjust = 10}, 9, SONIC_EFRAME_LENGTH},
    {{SZ, .length = V, .adjust = 10}, 9, SONIC_EFRAME_LENGTH},
    {{SZ, .length = 4, .strip = 10}, 5, SONIC_EFRAME_LENGTH},
    {{SZ, .length = 1, .max_body = 7}, 8, SONIC_EFRAME_TOOBIG},
};

START_TEST(what_cannot_be_expressed_is_not_sent)
{
    sonic_frame_codec c = frame_codec(&unsendable[_i].format);
    uint8_t dst[SONIC_FRAME_HEADER_MAX] = {0}, zero[sizeof dst] = {0};

    ck_assert_int_eq(
        sonic_frame_encode_header(&c, unsendable[_i].body, dst, sizeof dst),
        unsendable[_i].err);
    ck_assert_int_eq(sonic_frame_header_size(&c, unsendable[_i].body),
                     unsendable[_i].err);
    ck_assert_mem_eq(dst, zero, sizeof dst);
}
END_TEST

/* ---- lengths that have broken others ---------------------------------- */

static const uint64_t lengths[] = {
    0,
    1,
    125,
    126,
    127,
    128,
    255,
    256,
    65535,
    65536,
    (1 << 24) - 1,
    1 << 24,
    (1 << 24) + 1,
    INT32_MAX - UINT64_C(1),
    INT32_MAX,
    INT32_MAX + UINT64_C(1),
    INT32_MAX + UINT64_C(2),
    UINT32_MAX - UINT64_C(1),
    UINT32_MAX,
    UINT32_MAX + UINT64_C(1),
    UINT32_MAX + UINT64_C(2),
    INT64_MAX - UINT64_C(1),
    INT64_MAX,
    INT64_MAX + UINT64_C(1),
    INT64_MAX + UINT64_C(2),
    UINT64_MAX - 300,
    UINT64_MAX - 20,
    UINT64_MAX - 10,
    UINT64_MAX - 1,
    UINT64_MAX,
};

/* The length as the format's field would write it, if it can. */
static size_t
put_length(const sonic_frame_format *f, uint64_t v, uint8_t *dst)
{
    size_t n = f->length > 0 ? (size_t)f->length : 4, i = 0;

    if (f->length == V) {
        for (; v > 127; v >>= 7)
            dst[i++] = (uint8_t)(v | 128);
        dst[i++] = (uint8_t)v;
        return i;
    }
    for (; i < n; i++, v >>= 8)
        dst[f->order == SONIC_FRAME_LITTLE_ENDIAN ? i : n - 1 - i] = (uint8_t)v;
    return v == 0 ? n : 0;
}

START_TEST(extreme_lengths_are_judged_at_once)
{
    const sonic_frame_format *f = &frame_formats[_i];
    sonic_frame_codec c = frame_codec(f);

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t head[SONIC_FRAME_HEADER_MAX + 10] = {0};
        size_t n = f->offset + put_length(f, lengths[i], head + f->offset);

        if (n == f->offset)
            continue; /* over the field */
        for (size_t cut = 0; cut <= n; cut++) {
            uint8_t *exact = malloc(cut + 1);
            sonic_frame got, want;
            int err = frame_reference(f, head, cut, &want);

            memcpy(exact, head, cut);
            if (sonic_frame_decode(&c, exact, cut, &got) != err ||
                memcmp(&got, &want, sizeof got) != 0)
                ck_abort_msg("length %zu, %zu bytes of %zu", i, cut, n);
            free(exact);
        }
    }
}
END_TEST

START_TEST(limit_holds_to_the_byte)
{
    for (int n = 1; n <= 4; n++) {
        sonic_frame_format f = {SZ, .length = n, .max_body = 200};
        sonic_frame_codec c = frame_codec(&f);
        uint8_t at[4] = {0}, over[4] = {0};
        sonic_frame got;

        at[n - 1] = 200;
        over[n - 1] = 201;
        ck_assert_int_eq(sonic_frame_decode(&c, at, (size_t)n, &got),
                         SONIC_ENEEDMORE);
        ck_assert_uint_eq(got.need, (size_t)n + 200);
        ck_assert_int_eq(sonic_frame_decode(&c, over, (size_t)n, &got),
                         SONIC_EFRAME_TOOBIG);
    }
}
END_TEST

/* ---- varints ---------------------------------------------------------- */

static const struct {
    int max, minimal, err; /* err: of a window that ends there */
    size_t n;
    uint8_t bytes[12];
} varints[] = {
    {0, 1, 0, 1, {0}},
    {0, 1, SONIC_ENEEDMORE, 1, {0x80}},
    {0, 1, SONIC_EFRAME_LENGTH, 2, {0x80, 0}},
    {0, 0, 0, 2, {0x80, 0}},
    {0, 1, SONIC_EFRAME_LENGTH, 3, {0x85, 0x80, 0}},
    {0, 0, SONIC_ENEEDMORE, 3, {0x85, 0x80, 0}},
    {1, 1, SONIC_EFRAME_LENGTH, 1, {0x80}},
    {1, 0, SONIC_EFRAME_LENGTH, 1, {0xff}},
    {2, 1, SONIC_ENEEDMORE, 1, {0x80}},
    {2, 1, SONIC_EFRAME_LENGTH, 2, {0x80, 0x80}},
    {5, 0, 0, 5, {0x80, 0x80, 0x80, 0x80, 0}},
    {5, 0, SONIC_EFRAME_LENGTH, 5, {0x80, 0x80, 0x80, 0x80, 0x80}},
    {5, 1, SONIC_EFRAME_TOOBIG, 5, {0xff, 0xff, 0xff, 0xff, 0x7f}},
    {0,
     0,
     SONIC_EFRAME_LENGTH,
     10,
     {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}},
    {0, 0, 0, 10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}},
    /* 2^63 and 2^64-1, and one bit more */
    {0,
     1,
     SONIC_EFRAME_TOOBIG,
     10,
     {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}},
    {0,
     1,
     SONIC_EFRAME_LENGTH,
     10,
     {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
    {0,
     1,
     SONIC_EFRAME_LENGTH,
     10,
     {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2}},
};

START_TEST(varints_stop_at_their_cap)
{
    sonic_frame_format f = {SZ, .length = V, .varint_max = varints[_i].max};
    sonic_frame_codec c;
    sonic_frame got;

    if (!varints[_i].minimal)
        f.non_minimal = SONIC_ON;
    c = frame_codec(&f);
    ck_assert_int_eq(
        sonic_frame_decode(&c, varints[_i].bytes, varints[_i].n, &got),
        varints[_i].err);
    for (size_t cut = 0; cut < varints[_i].n; cut++)
        ck_assert_int_eq(sonic_frame_decode(&c, varints[_i].bytes, cut, &got),
                         SONIC_ENEEDMORE);
}
END_TEST

/* ---- formats ---------------------------------------------------------- */

static const sonic_frame_format bad_formats[] = {
    {SZ, .length = 5},
    {SZ, .length = 6},
    {SZ, .length = 7},
    {SZ, .length = 9},
    {SZ, .length = 16},
    {SZ, .length = -2},
    {SZ, .length = V, .varint_max = 11},
    {SZ, .length = V, .varint_max = -1},
    {SZ, .length = 4, .varint_max = 4},
    {SZ, .length = 4, .non_minimal = SONIC_ON},
    {SZ, .length = 4, .non_minimal = SONIC_OFF},
    {SZ, .length = V, .order = SONIC_FRAME_LITTLE_ENDIAN},
    {SZ, .order = (enum sonic_frame_order)2},
    {SZ, .counts = (enum sonic_frame_counts)3},
    {SZ, .length = V, .non_minimal = (enum sonic_switch)2},
    {SZ, .length = V, .non_minimal = (enum sonic_switch) - 2},
    {SZ, .offset = 256},
    {SZ, .offset = UINT32_MAX},
    {SZ, .adjust = SONIC_FRAME_ADJUST_MAX + 1},
    {SZ, .adjust = -SONIC_FRAME_ADJUST_MAX - 1},
    {SZ, .adjust = INT32_MIN},
    {SZ, .strip = -2},
    {SZ, .strip = 32768},
    {SZ, .strip = INT32_MIN},
    /* unlimited cannot be expressed */
    {SZ, .max_body = UINT64_MAX},
    {SZ, .max_body = (uint64_t)SIZE_MAX / 4 + 1},
    {SZ, .max_body = SIZE_MAX},
    {SZ, .max_body = (uint64_t)1 << 63},
    /* no frame is possible: every length is negative, or over the limit, or
     * too short to strip */
    {SZ, .length = 1, .adjust = -256},
    {SZ, .length = 1, .counts = SONIC_FRAME_EVERYTHING, .offset = 255},
    {SZ, .length = 4, .adjust = 101, .max_body = 100},
    {SZ, .length = 4, .strip = 105, .max_body = 100},
    {SZ, .length = V, .varint_max = 1, .adjust = -128},
    {SZ, .length = V, .varint_max = 1, .counts = SONIC_FRAME_EVERYTHING,
     .offset = 127},
    {SZ, .length = V, .strip = 102, .max_body = 100},
};

START_TEST(impossible_formats_are_refused)
{
    sonic_frame_codec c;

    ck_assert_int_eq(sonic_frame_codec_init(&c, &bad_formats[_i]),
                     SONIC_EOPTION);
}
END_TEST

/* The nearest that is allowed. */
static const sonic_frame_format good_formats[] = {
    {SZ, .length = V, .varint_max = 10},
    {SZ, .length = V, .non_minimal = SONIC_OFF},
    {SZ, .offset = 255, .strip = 32767, .adjust = SONIC_FRAME_ADJUST_MAX,
     .max_body = SIZE_MAX / 4},
    {SZ, .adjust = -SONIC_FRAME_ADJUST_MAX},
    {SZ, .length = 1, .adjust = -255},
    {SZ, .length = 1, .counts = SONIC_FRAME_EVERYTHING, .offset = 254},
    {SZ, .length = 4, .adjust = 100, .max_body = 100},
    {SZ, .length = 4, .strip = 104, .max_body = 100},
    {SZ, .length = V, .varint_max = 1, .adjust = -127},
    {SZ, .length = V, .varint_max = 1, .counts = SONIC_FRAME_EVERYTHING,
     .offset = 126},
    {SZ, .length = V, .strip = 101, .max_body = 100},
};

START_TEST(formats_at_the_limit_are_allowed)
{
    sonic_frame_codec c;

    ck_assert_int_eq(sonic_frame_codec_init(&c, &good_formats[_i]), 0);
}
END_TEST

#define LOOP(tc, test, table)                                                  \
    tcase_add_loop_test(tc, test, 0, (int)(sizeof table / sizeof table[0]))

int
main(void)
{
    Suite *s = suite_create("frame");
    TCase *tc = tcase_create("codec");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_size_round_trips_in_every_format, 0,
                        (int)frame_formats_n);
    tcase_add_loop_test(tc, extreme_lengths_are_judged_at_once, 0,
                        (int)frame_formats_n);
    tcase_add_test(tc, default_is_four_bytes_big_endian);
    LOOP(tc, headers_are_what_the_format_says, headers);
    LOOP(tc, what_cannot_be_expressed_is_not_sent, unsendable);
    tcase_add_test(tc, limit_holds_to_the_byte);
    LOOP(tc, varints_stop_at_their_cap, varints);
    LOOP(tc, impossible_formats_are_refused, bad_formats);
    LOOP(tc, formats_at_the_limit_are_allowed, good_formats);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
