/* The HTTP head machine: its limits, and that its work is linear. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/http_drive.h"

#define ASK SONIC__HTTP_REQUEST
#define HEAD SONIC_EWS_HEAD
#define BIG SONIC_EWS_HEAD_TOOBIG
#define GET "GET / HTTP/1.1\r\n"

static struct sonic__http_field room[HTTP_DRIVE_FIELDS];

static char big[1 << 17];

static size_t
put(size_t n, const char *text)
{
    memcpy(big + n, text, strlen(text));
    return n + strlen(text);
}

static size_t
put_many(size_t n, char c, size_t times)
{
    memset(big + n, c, times);
    return n + times;
}

static int
verdict_of(size_t limit, unsigned fields, size_t n, unsigned *answer)
{
    const struct http_input in = {ASK, limit == 0 ? 16384 : limit, fields, big,
                                  n};

    return http_agree_whole(&in, answer, "limit");
}

START_TEST(a_method_is_32_bytes_at_most)
{
    unsigned answer;

    for (size_t len = 31; len <= 34; len++) {
        size_t n = put(put_many(0, 'M', len), " / HTTP/1.1\r\n\r\n");
        int got = verdict_of(0, 1, n, &answer);

        ck_assert_int_eq(got, len <= 32 ? (int)n : BIG);
        ck_assert_uint_eq(answer, len <= 32 ? 0 : 501);
    }
}
END_TEST

START_TEST(a_target_is_8192_bytes_at_most)
{
    unsigned answer;

    for (size_t len = 8191; len <= 8194; len++) {
        size_t n = put(put_many(put(0, "GET "), '/', len), " HTTP/1.1\r\n\r\n");
        int got = verdict_of(0, 1, n, &answer);

        ck_assert_int_eq(got, len <= 8192 ? (int)n : BIG);
        ck_assert_uint_eq(answer, len <= 8192 ? 0 : 414);
    }
}
END_TEST

START_TEST(a_head_is_as_long_as_its_limit_at_most)
{
    /* what is asked for, what holds */
    static const size_t limits[][2] = {
        {0, 16384},   {1, 64},        {64, 64},       {65, 65},
        {1000, 1000}, {65535, 65535}, {65536, 65535}, {SIZE_MAX, 65535},
    };
    unsigned answer;

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        for (size_t more = 0; more <= 2; more++) {
            size_t n = put(0, GET "A:");
            struct sonic__http_head h;

            n = put_many(n, 'a', limits[i][1] - n - 4 + more);
            n = put(n, "\r\n\r\n");
            sonic__http_head_init(&h, ASK, limits[i][0], room, 1);
            ck_assert_int_eq(sonic__http_head_feed(&h, big, n),
                             more == 0 ? (int)n : BIG);
            ck_assert_uint_eq(h.answer, more == 0 ? 0 : 431);
            ck_assert_int_eq(verdict_of(limits[i][1], 1, n, &answer),
                             h.verdict);
        }
    /* The limit speaks before more can arrive, and not of what is complete. */
    put(0, GET "A:" GET GET GET GET GET);
    ck_assert_int_eq(verdict_of(64, 2, 63, &answer), HEAD);
    put_many(put(0, GET "A:"), 'a', 100);
    ck_assert_int_eq(verdict_of(64, 1, 63, &answer), 0);
    ck_assert_int_eq(verdict_of(64, 1, 64, &answer), BIG);
    put_many(put(0, "GET "), '/', 100);
    ck_assert_int_eq(verdict_of(64, 1, 100, &answer), BIG);
    ck_assert_uint_eq(answer, 414);
}
END_TEST

START_TEST(header_lines_are_counted)
{
    unsigned answer;

    for (unsigned max = 0; max <= 3; max++)
        for (unsigned lines = 0; lines <= 4; lines++) {
            size_t n = put(0, GET);
            int got;

            for (unsigned i = 0; i < lines; i++)
                n = put(n, "A: b\r\n");
            n = put(n, "\r\n");
            got = verdict_of(0, max, n, &answer);
            ck_assert_int_eq(got, lines <= max ? (int)n : BIG);
            ck_assert_uint_eq(answer, lines <= max ? 0 : 431);
        }
}
END_TEST

/* ---- linear work ---- */

static unsigned long steps, wrong;

static void
count_step(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
           void *ud)
{
    steps++;
    wrong += fsm != &sonic__http_head_fsm || from >= fsm->n_states ||
             event >= fsm->n_events || to >= fsm->n_states || ud != &steps;
}

/* Touched bytes and steps, whole and byte by byte. */
static void
expect_linear(size_t n, unsigned fields, int verdict)
{
    const sonic_fsm_tracer tracer = {count_step, &steps};
    struct sonic__http_head h;
    int got = 0;

    sonic__http_head_init(&h, ASK, SIZE_MAX, room, (uint16_t)fields);
    h.tracer = &tracer;
    steps = 0;
    ck_assert_int_eq(sonic__http_head_feed(&h, big, n), verdict);
    ck_assert_uint_le(h.work, 2 * n);
    ck_assert_uint_le(steps, n + 1);
    sonic__http_head_init(&h, ASK, SIZE_MAX, room, (uint16_t)fields);
    h.tracer = &tracer;
    steps = 0;
    for (size_t i = 1; i <= n; i++)
        got = sonic__http_head_feed(&h, big, i);
    ck_assert_int_eq(got, verdict);
    ck_assert_uint_le(h.work, 2 * n);
    ck_assert_uint_le(steps, n + 1);
    ck_assert_uint_eq(wrong, 0);
}

START_TEST(ten_thousand_headers_are_linear)
{
    size_t n = put(0, GET);

    for (int i = 0; i < 10000; i++)
        n = put(n, "A:b\r\n");
    n = put(n, "\r\n");
    expect_linear(n, 10000, (int)n);
    expect_linear(n, 9999, BIG);
    expect_linear(n, 100, BIG);
}
END_TEST

START_TEST(white_space_is_linear)
{
    size_t n = put(put_many(put(0, GET "A:"), ' ', 60000), "\r\n\r\n");

    expect_linear(n, 1, (int)n);
    n = put(put_many(put(0, GET "A:b"), '\t', 60000), "\r\n\r\n");
    expect_linear(n, 1, (int)n);
    n = put(0, GET "A:");
    for (int i = 0; i < 30000; i++)
        n = put(n, "b ");
    n = put(n, "\r\n\r\n");
    expect_linear(n, 1, (int)n);
    n = put_many(put(0, GET "A:b"), ' ', 70000);
    expect_linear(n, 1, BIG);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_head_limits");
    TCase *tc = tcase_create("limits");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, a_method_is_32_bytes_at_most);
    tcase_add_test(tc, a_target_is_8192_bytes_at_most);
    tcase_add_test(tc, a_head_is_as_long_as_its_limit_at_most);
    tcase_add_test(tc, header_lines_are_counted);
    tcase_add_test(tc, ten_thousand_headers_are_linear);
    tcase_add_test(tc, white_space_is_linear);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
