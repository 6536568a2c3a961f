/* The frame header: what RFC 6455 section 5.2 allows, and that the table and
 * the direct load are one and the same. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "websocket/frame.h"

static const struct sonic__ws_expect server = {.mask = 0x80};
static const struct sonic__ws_expect client = {.mask = 0};

static int
load(struct sonic__ws_frame *f, const uint8_t *p, size_t n,
     struct sonic__ws_expect expect)
{
    memset(f, 0, sizeof *f);
    return sonic__ws_frame_load(f, p, n, expect);
}

/* In two pieces.  Bytes taken, or the error. */
static int
feed(struct sonic__ws_frame *f, const uint8_t *p, size_t n, size_t cut,
     struct sonic__ws_expect expect)
{
    int first, second = 0;

    memset(f, 0, sizeof *f);
    first = sonic__ws_frame_feed(f, p, cut, expect, NULL);
    if (first < 0)
        return first;
    if (!sonic__ws_frame_done(f))
        second = sonic__ws_frame_feed(f, p + cut, n - cut, expect, NULL);
    return second < 0 ? second : first + second;
}

/* Headers that are right, field by field. */
static const struct right {
    uint8_t bytes[14];
    size_t size;
    bool fin;
    uint8_t rsv, opcode;
    uint64_t len;
} rights[] = {
    {{0x81, 0x00}, 2, true, 0, SONIC__WS_TEXT, 0},
    {{0x02, 0x05}, 2, false, 0, SONIC__WS_BINARY, 5},
    {{0x80, 0x7d}, 2, true, 0, SONIC__WS_CONT, 125},
    {{0xc1, 0x01}, 2, true, 0x40, SONIC__WS_TEXT, 1},
    {{0x42, 0x01}, 2, false, 0x40, SONIC__WS_BINARY, 1},
    {{0x88, 0x02}, 2, true, 0, SONIC__WS_CLOSE, 2},
    {{0x89, 0x7d}, 2, true, 0, SONIC__WS_PING, 125},
    {{0x8a, 0x00}, 2, true, 0, SONIC__WS_PONG, 0},
    {{0x82, 0x7e, 0x00, 0x7e}, 4, true, 0, SONIC__WS_BINARY, 126},
    {{0x82, 0x7e, 0x01, 0x02}, 4, true, 0, SONIC__WS_BINARY, 0x102},
    {{0x82, 0x7e, 0xff, 0xff}, 4, true, 0, SONIC__WS_BINARY, 0xffff},
    {{0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0},
     10,
     true,
     0,
     SONIC__WS_BINARY,
     0x10000},
    {{0x82, 0x7f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
     10,
     true,
     0,
     SONIC__WS_BINARY,
     0x0123456789abcdef},
    {{0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
     10,
     true,
     0,
     SONIC__WS_BINARY,
     0x7fffffffffffffff},
};
enum { RIGHTS = sizeof rights / sizeof *rights };

START_TEST(fields)
{
    const struct right *r = &rights[_i];
    const struct sonic__ws_expect rsv1 = {.rsv = 0x40};
    const struct sonic__ws_expect masked = {.mask = 0x80, .rsv = 0x40};
    static const uint8_t key[4] = {0xde, 0xad, 0xbe, 0xef};
    uint8_t b[18];

    memcpy(b, r->bytes, sizeof r->bytes);
    for (size_t cut = 0; cut <= r->size + 1; cut++) {
        struct sonic__ws_frame f;
        int size = cut <= r->size ? feed(&f, b, r->size, cut, rsv1)
                                  : load(&f, b, r->size + 3, rsv1);

        ck_assert_int_eq(size, (int)r->size);
        ck_assert(sonic__ws_frame_done(&f));
        ck_assert_int_eq(sonic__ws_frame_fin(&f), r->fin);
        ck_assert_uint_eq(sonic__ws_frame_rsv(&f), r->rsv);
        ck_assert_uint_eq(sonic__ws_frame_opcode(&f), r->opcode);
        ck_assert(!sonic__ws_frame_masked(&f));
        ck_assert_uint_eq(f.len, r->len);
    }
    b[1] |= 0x80;
    memcpy(b + r->size, key, 4);
    for (size_t cut = 0; cut <= r->size + 5; cut++) {
        struct sonic__ws_frame f;
        int size = cut <= r->size + 4 ? feed(&f, b, r->size + 4, cut, masked)
                                      : load(&f, b, r->size + 4, masked);

        ck_assert_int_eq(size, (int)r->size + 4);
        ck_assert(sonic__ws_frame_done(&f));
        ck_assert(sonic__ws_frame_masked(&f));
        ck_assert_uint_eq(f.len, r->len);
        ck_assert_mem_eq(&f.key, key, 4);
    }
}
END_TEST

/* Headers that are not allowed: the reason, and after how many bytes it is
 * told.  The first reason wins: RSV, opcode, control, mask, length. */
static const struct wrong {
    uint8_t bytes[10];
    size_t told;
    struct sonic__ws_expect expect;
    int err;
} wrongs[] = {
    {{0xc1, 0x00}, 2, {0, 0}, SONIC_EWS_RSV},
    {{0xa1, 0x00}, 2, {0, 0x40}, SONIC_EWS_RSV},
    {{0x91, 0x00}, 2, {0, 0x40}, SONIC_EWS_RSV},
    {{0xf1, 0x00}, 2, {0, 0x40}, SONIC_EWS_RSV},
    {{0xc0, 0x00}, 2, {0, 0x40}, SONIC_EWS_RSV}, /* 7692 6.1: the first only */
    {{0x40, 0x00}, 2, {0, 0x40}, SONIC_EWS_RSV},
    {{0xc9, 0x00}, 2, {0, 0x40}, SONIC_EWS_RSV},
    {{0xc8, 0x00}, 2, {0, 0x70}, SONIC_EWS_RSV},
    {{0xc3, 0x80}, 2, {0, 0x40}, SONIC_EWS_RSV}, /* before the opcode */
    {{0x83, 0x00}, 2, {0, 0}, SONIC_EWS_OPCODE},
    {{0x84, 0x00}, 2, {0, 0}, SONIC_EWS_OPCODE},
    {{0x05, 0x00}, 2, {0, 0}, SONIC_EWS_OPCODE},
    {{0x86, 0x80}, 2, {0x80, 0}, SONIC_EWS_OPCODE},
    {{0x87, 0x00}, 2, {0, 0}, SONIC_EWS_OPCODE},
    {{0x8b, 0x00}, 2, {0, 0}, SONIC_EWS_OPCODE},
    {{0x8c, 0x00}, 2, {0, 0}, SONIC_EWS_OPCODE},
    {{0x8d, 0x00}, 2, {0, 0}, SONIC_EWS_OPCODE},
    {{0x0e, 0x7f}, 2, {0, 0}, SONIC_EWS_OPCODE},  /* before control */
    {{0x8f, 0x80}, 2, {0, 0}, SONIC_EWS_OPCODE},  /* before mask */
    {{0x08, 0x00}, 2, {0, 0}, SONIC_EWS_CONTROL}, /* FIN clear */
    {{0x09, 0x80}, 2, {0x80, 0}, SONIC_EWS_CONTROL},
    {{0x0a, 0x00}, 2, {0, 0}, SONIC_EWS_CONTROL},
    {{0x88, 0x7e}, 2, {0, 0}, SONIC_EWS_CONTROL}, /* over 125 bytes */
    {{0x89, 0x7f}, 2, {0, 0}, SONIC_EWS_CONTROL},
    {{0x8a, 0xfe}, 2, {0, 0}, SONIC_EWS_CONTROL}, /* before mask */
    {{0x81, 0x00}, 2, {0x80, 0}, SONIC_EWS_MASK},
    {{0x81, 0x80}, 2, {0, 0}, SONIC_EWS_MASK},
    {{0x81, 0x7e, 0, 0}, 2, {0x80, 0}, SONIC_EWS_MASK}, /* before length */
    {{0x88, 0x00}, 2, {0x80, 0}, SONIC_EWS_MASK},
    {{0x81, 0x7e, 0, 0}, 4, {0, 0}, SONIC_EWS_LENGTH},
    {{0x81, 0x7e, 0, 125}, 4, {0, 0}, SONIC_EWS_LENGTH},
    {{0x81, 0xfe, 0, 125}, 4, {0x80, 0}, SONIC_EWS_LENGTH},
    {{0x81, 0x7f}, 10, {0, 0}, SONIC_EWS_LENGTH},
    {{0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0, 126}, 10, {0, 0}, SONIC_EWS_LENGTH},
    {{0x81, 0x7f, 0, 0, 0, 0, 0, 0, 255, 255}, 10, {0, 0}, SONIC_EWS_LENGTH},
    {{0x81, 0xff, 0, 0, 0, 0, 0, 0, 255, 255}, 10, {0x80, 0}, SONIC_EWS_LENGTH},
    {{0x81, 0x7f, 0x80}, 10, {0, 0}, SONIC_EWS_LENGTH},
    {{0x81, 0xff, 0xff, 255, 255, 255, 255, 255, 255, 255},
     10,
     {0x80, 0},
     SONIC_EWS_LENGTH},
};
enum { WRONGS = sizeof wrongs / sizeof *wrongs };

START_TEST(refusals)
{
    const struct wrong *w = &wrongs[_i];
    struct sonic__ws_frame f;

    for (size_t n = 0; n <= w->told; n++) {
        int err = n == w->told ? w->err : 0, fed = n < w->told ? (int)n : err;

        ck_assert_int_eq(load(&f, w->bytes, n, w->expect), err);
        if (err == 0)
            ck_assert(f.state == SONIC__WS_FRAME_HEAD && f.have == 0);
        for (size_t cut = 0; cut <= n; cut++)
            ck_assert_int_eq(feed(&f, w->bytes, n, cut, w->expect), fed);
    }
    /* once failed, always failed, until it is made ready again */
    ck_assert(!sonic__ws_frame_done(&f));
    ck_assert_int_eq(sonic__ws_frame_feed(&f, w->bytes, 2, w->expect, NULL),
                     SONIC_ESTATE);
    (void)load(&f, w->bytes, w->told, w->expect);
    ck_assert_int_eq(sonic__ws_frame_feed(&f, w->bytes, 0, w->expect, NULL),
                     SONIC_ESTATE);
    sonic__ws_frame_reset(&f);
    ck_assert_int_eq(sonic__ws_frame_feed(&f, rights[0].bytes, 2, client, NULL),
                     2);
    ck_assert(sonic__ws_frame_done(&f));
}
END_TEST

static unsigned long cases; /* compared, to see that there were some */

static bool
same_header(const struct sonic__ws_frame *a, const struct sonic__ws_frame *b)
{
    return a->state == b->state && a->have == b->have && a->len == b->len &&
           a->head[0] == b->head[0] && a->head[1] == b->head[1] &&
           (!sonic__ws_frame_masked(a) || a->key == b->key);
}

/* Whatever the n bytes are, load and feed (at every cut) say the same. */
static void
compare(const uint8_t *b, size_t n, struct sonic__ws_expect expect)
{
    struct sonic__ws_frame loaded, fed;
    int size = load(&loaded, b, n, expect);

    for (size_t cut = 0; cut <= n; cut++) {
        int taken = feed(&fed, b, n, cut, expect);
        bool same;

        cases++;
        if (size < 0)
            same = taken == size && fed.state == loaded.state;
        else if (size == 0)
            same = taken == (int)n && !sonic__ws_frame_done(&fed) &&
                   loaded.state == SONIC__WS_FRAME_HEAD && loaded.have == 0;
        else
            same = taken == size && same_header(&fed, &loaded);
        if (!same) /* not ck_assert: there are millions */
            ck_abort_msg("%02x %02x.., %zu bytes cut at %zu: feed %d load %d",
                         b[0], b[1], n, cut, taken, size);
    }
}

static const uint64_t lengths[] = {
    0,
    1,
    125,
    126,
    127,
    255,
    256,
    65534,
    65535,
    65536,
    65537,
    1u << 24,
    (UINT64_C(1) << 31) - 1,
    (UINT64_C(1) << 31) + 1,
    (UINT64_C(1) << 32) - 1,
    UINT64_C(1) << 32,
    UINT64_C(1) << 62,
    (UINT64_C(1) << 63) - 1,
    UINT64_C(1) << 63,
    UINT64_MAX - 10,
    UINT64_MAX,
};

START_TEST(load_equals_feed_over_every_head)
{
    struct sonic__ws_expect expect = {
        .mask = (uint8_t)((_i & 1) * 0x80),
        .rsv = (uint8_t)((_i >> 1 & 1) * 0x40 | (_i >> 2 & 1) * 0x30),
    };
    size_t step = getenv("SONIC_TEST_SLOW") != NULL ? 13 : 1;

    for (unsigned head = 0; head < 1u << 16; head += (unsigned)step) {
        uint8_t b[16] = {(uint8_t)(head >> 8),
                         (uint8_t)head,
                         0,
                         126,
                         5,
                         6,
                         7,
                         8,
                         9,
                         10,
                         11,
                         12,
                         13,
                         14,
                         15,
                         16};
        unsigned len7 = head & 0x7f;
        size_t ext = len7 < 126 ? 0 : len7 == 126 ? 2 : 8;
        size_t size = 2 + ext + (head & 0x80 ? 4 : 0);
        size_t kinds = ext == 0 ? 1 : sizeof lengths / sizeof *lengths;

        for (size_t k = 0; k < kinds; k++) {
            for (size_t i = 0; i < ext; i++)
                b[2 + i] = (uint8_t)(lengths[k] >> 8 * (ext - 1 - i));
            for (size_t n = 0; n <= size + 1; n++)
                compare(b, n, expect);
        }
    }
    ck_assert_uint_gt(cases, 100000);
}
END_TEST

START_TEST(load_equals_feed_over_every_16_bit_length)
{
    for (unsigned v = 0; v < 1u << 16; v++) {
        uint8_t b[8] = {0x82, 126, (uint8_t)(v >> 8), (uint8_t)v, 1, 2, 3, 4};

        compare(b, 4, client);
        b[1] = 254;
        compare(b, 8, server);
    }
}
END_TEST

/* What is written is read back, and takes the fewest bytes. */
START_TEST(encode)
{
    static const uint8_t opcodes[] = {0, 1, 2, 8, 9, 10};
    const uint32_t key = 0x9abcdef0;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (unsigned k = 0; k < 24; k++) {
            const struct sonic__ws_expect expect = {
                .mask = (uint8_t)((k & 1) * 0x80),
                .rsv = 0x40,
            };
            uint8_t opcode = opcodes[k >> 2];
            bool fin = k & 2 || opcode >= 8;
            uint8_t rsv = opcode == 1 ? 0x40 : 0;
            uint64_t len = lengths[i];
            uint8_t b[SONIC__WS_HEADER_MAX + 1];
            struct sonic__ws_frame f;
            size_t size;

            if (len >> 63 || (opcode >= 8 && len > SONIC__WS_CONTROL_MAX))
                continue;
            memset(b, 0xee, sizeof b);
            size = sonic__ws_frame_encode(b, fin, rsv, opcode, len,
                                          k & 1 ? &key : NULL);
            ck_assert_uint_eq(size, (len < 126     ? 2
                                     : len < 65536 ? 4
                                                   : 10) +
                                        (k & 1 ? 4u : 0u));
            ck_assert_uint_eq(b[size], 0xee);
            ck_assert_int_eq(load(&f, b, size, expect), (int)size);
            ck_assert_uint_eq(f.len, len);
            ck_assert_int_eq(sonic__ws_frame_fin(&f), fin);
            ck_assert_uint_eq(sonic__ws_frame_rsv(&f), rsv);
            ck_assert_uint_eq(sonic__ws_frame_opcode(&f), opcode);
            if (k & 1)
                ck_assert_uint_eq(f.key, key);
        }
}
END_TEST

static void
count(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
      void *ud)
{
    unsigned *steps = ud;

    ck_assert_ptr_eq(fsm, &sonic__ws_frame_fsm);
    ck_assert_uint_lt(event, fsm->n_events);
    ck_assert_uint_ne(from, to);
    ++*steps;
}

START_TEST(a_tracer_sees_the_fields)
{
    static const uint8_t b[] = {0x82, 0xfe, 0x01, 0x00, 1, 2, 3, 4};
    struct sonic__ws_frame f = {0};
    unsigned steps = 0;
    const sonic_fsm_tracer tracer = {count, &steps};

    ck_assert_int_eq(sonic__ws_frame_feed(&f, b, sizeof b, server, &tracer),
                     (int)sizeof b);
    ck_assert_uint_eq(steps, 3);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_frame");
    TCase *t = tcase_create("rfc6455 5.2");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_loop_test(t, fields, 0, RIGHTS);
    tcase_add_loop_test(t, refusals, 0, WRONGS);
    tcase_add_loop_test(t, load_equals_feed_over_every_head, 0, 8);
    tcase_add_test(t, load_equals_feed_over_every_16_bit_length);
    tcase_add_test(t, encode);
    tcase_add_test(t, a_tracer_sees_the_fields);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
