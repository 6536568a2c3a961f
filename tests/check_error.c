/* The errors: every code has a name and words, and no two share a number. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

static const struct {
    const char *name;
    int value;
    int close;
    const char *text;
} rows[] = {
#define X(name, value, close, text) {"SONIC_" #name, value, close, text},
    SONIC_ERROR_LIST(X)
#undef X
};

enum { ROWS = sizeof rows / sizeof rows[0] };

START_TEST(every_code_has_its_name_and_words)
{
    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_str_eq(sonic_errname(rows[i].value), rows[i].name);
        ck_assert_str_eq(sonic_strerror(rows[i].value), rows[i].text);
    }
}
END_TEST

START_TEST(codes_are_distinct_and_below_errno)
{
    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_int_lt(rows[i].value, -4096);
        for (size_t j = 0; j < i; j++)
            ck_assert_int_ne(rows[i].value, rows[j].value);
    }
}
END_TEST

START_TEST(close_codes_are_ones_that_may_be_sent)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].close != 0)
            ck_assert_msg(rows[i].close >= 1002 && rows[i].close <= 1011 &&
                              rows[i].close != 1005 && rows[i].close != 1006,
                          "%s: %d", rows[i].name, rows[i].close);
}
END_TEST

START_TEST(system_errors_are_the_systems)
{
    ck_assert_str_eq(sonic_errname(-ECONNREFUSED), "ECONNREFUSED");
    ck_assert_str_eq(sonic_strerror(-ENOENT), strerror(ENOENT));
}
END_TEST

START_TEST(success_and_strangers)
{
    ck_assert_str_eq(sonic_strerror(0), "success");
    ck_assert_str_eq(sonic_strerror(42), "success");
    ck_assert_str_eq(sonic_errname(0), "SONIC_OK");
    ck_assert_str_eq(sonic_errname(1), "E?");
    ck_assert_str_eq(sonic_errname(-4095), "E?");
    ck_assert_str_eq(sonic_errname(-4999), "E?");
    ck_assert_str_eq(sonic_strerror(-4999), "unknown error");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("error");
    TCase *tc = tcase_create("list");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, every_code_has_its_name_and_words);
    tcase_add_test(tc, codes_are_distinct_and_below_errno);
    tcase_add_test(tc, close_codes_are_ones_that_may_be_sent);
    tcase_add_test(tc, system_errors_are_the_systems);
    tcase_add_test(tc, success_and_strangers);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
