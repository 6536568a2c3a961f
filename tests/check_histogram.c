/* The histogram against a sorted list of the same values. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/histogram.h>

enum { VALUES = 20000 };

static const double percents[] = {0,  0.01, 1,    10,    50,     75,
                                  90, 99,   99.9, 99.99, 99.999, 100};
enum { PERCENTS = sizeof percents / sizeof percents[0] };

static sonic_histogram *
make(void)
{
    sonic_histogram *h;

    ck_assert_int_eq(sonic_histogram_new(NULL, &h), 0);
    return h;
}

/* A repeatable source of numbers; enough for a test (Knuth's MMIX). */
static uint64_t
next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 1;
}

/* Any magnitude is as likely as any other. */
static int64_t
any_value(uint64_t *state)
{
    unsigned shift = (unsigned)(next_random(state) >> 40) % 63;

    return (int64_t)(next_random(state) >> shift);
}

struct bucket {
    int64_t low, high;
    uint64_t n;
    unsigned calls;
};

static void
remember(int64_t low, int64_t high, uint64_t n, void *ud)
{
    struct bucket *b = ud;

    if (b->calls > 0)
        ck_assert_int_gt(low, b->high);
    b->low = low;
    b->high = high;
    b->n += n;
    b->calls++;
}

static void
holds(sonic_histogram *h, int64_t v)
{
    struct bucket b = {0, 0, 0, 0};

    sonic_histogram_reset(h);
    sonic_histogram_record(h, v);
    sonic_histogram_each(h, remember, &b);
    ck_assert_uint_eq(b.calls, 1);
    ck_assert_uint_eq(b.n, 1);
    ck_assert_int_le(b.low, v);
    ck_assert_int_ge(b.high, v);
    /* The promise: off by less than 1/64, exact below 128. */
    ck_assert_int_le(b.high - b.low, v < 128 ? 0 : b.low / 64);
    ck_assert_int_eq(sonic_histogram_percentile(h, 50), v);
}

START_TEST(every_value_has_a_bucket_that_is_narrow_enough)
{
    sonic_histogram *h = make();
    uint64_t seed = 1;

    for (int64_t v = 0; v < 3000; v++)
        holds(h, v);
    for (unsigned e = 7; e < 63; e++)
        for (int64_t d = -1; d <= 1; d++)
            holds(h, (INT64_C(1) << e) + d);
    holds(h, INT64_MAX);
    for (unsigned i = 0; i < 2000; i++)
        holds(h, any_value(&seed));
    sonic_histogram_free(h);
}
END_TEST

START_TEST(buckets_leave_no_gap_and_do_not_overlap)
{
    sonic_histogram *h = make();
    int64_t v = 0;
    unsigned n = 0;

    for (;;) {
        struct bucket b = {0, 0, 0, 0};

        sonic_histogram_reset(h);
        sonic_histogram_record(h, v);
        sonic_histogram_each(h, remember, &b);
        ck_assert_int_eq(b.low, v);
        n++;
        if (b.high == INT64_MAX)
            break;
        v = b.high + 1;
    }
    ck_assert_uint_eq(n, 128 + 56 * 64);
    sonic_histogram_free(h);
}
END_TEST

static int
by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int64_t
at_percentile(const int64_t *sorted, size_t n, double percent)
{
    long double rank =
        ceill((long double)n * (long double)percent / 100 - 1e-9L);

    return sorted[rank < 1 ? 0 : (size_t)rank - 1];
}

static void
agrees(const sonic_histogram *h, int64_t *values, size_t n)
{
    long double sum = 0, squares = 0, mean;

    qsort(values, n, sizeof *values, by_value);
    for (size_t i = 0; i < n; i++)
        sum += (long double)values[i];
    mean = sum / (long double)n;
    for (size_t i = 0; i < n; i++)
        squares +=
            ((long double)values[i] - mean) * ((long double)values[i] - mean);
    ck_assert_uint_eq(sonic_histogram_count(h), n);
    ck_assert_int_eq(sonic_histogram_min(h), values[0]);
    ck_assert_int_eq(sonic_histogram_max(h), values[n - 1]);
    ck_assert(fabsl(sonic_histogram_mean(h) - mean) <= mean * 1e-9L);
    ck_assert(fabsl(sonic_histogram_stddev(h) -
                    sqrtl(squares / (long double)n)) <= mean * 1e-6L);
    for (size_t i = 0; i < PERCENTS; i++) {
        int64_t v = at_percentile(values, n, percents[i]);
        int64_t got = sonic_histogram_percentile(h, percents[i]);

        ck_assert_msg(got >= v && got - v <= v / 64, "p%g: %lld for %lld",
                      percents[i], (long long)got, (long long)v);
    }
}

START_TEST(percentiles_and_moments_agree_with_a_sorted_list)
{
    static const size_t sizes[] = {1, 2, 3, 10, 100, 1000, 10000, VALUES};
    int64_t *values = calloc(VALUES, sizeof *values);
    sonic_histogram *h = make();
    uint64_t seed = 7;

    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        sonic_histogram_reset(h);
        for (size_t i = 0; i < sizes[k]; i++) {
            values[i] = any_value(&seed) >> 20;
            sonic_histogram_record(h, values[i]);
        }
        agrees(h, values, sizes[k]);
    }
    sonic_histogram_free(h);
    free(values);
}
END_TEST

/* A narrow spread far from 0 is where sums of squares go wrong. */
START_TEST(deviation_survives_a_large_offset)
{
    sonic_histogram *h = make();

    for (int i = 0; i < 1000; i++)
        sonic_histogram_record(h, INT64_C(1000000000000000) + i % 2 * 20);
    ck_assert(fabs(sonic_histogram_stddev(h) - 10) < 1e-9);
    ck_assert(sonic_histogram_mean(h) == 1000000000000010.0);
    sonic_histogram_free(h);
}
END_TEST

START_TEST(percentile_takes_the_rank_and_not_the_next)
{
    sonic_histogram *h = make();

    for (int64_t v = 1; v <= 100; v++)
        sonic_histogram_record(h, v);
    for (int p = 1; p <= 100; p++)
        ck_assert_int_eq(sonic_histogram_percentile(h, p), p);
    ck_assert_int_eq(sonic_histogram_percentile(h, 50.01), 51);
    ck_assert_int_eq(sonic_histogram_percentile(h, -3), 1);
    ck_assert_int_eq(sonic_histogram_percentile(h, 250), 100);
    ck_assert_int_eq(sonic_histogram_percentile(h, (double)NAN), 1);
    sonic_histogram_free(h);
}
END_TEST

START_TEST(many_at_once_is_the_same_as_one_by_one)
{
    int64_t values[30];
    sonic_histogram *h = make();

    sonic_histogram_record_n(h, 5000, 10);
    sonic_histogram_record_n(h, 1, 0);
    sonic_histogram_record_n(h, 90, 15);
    sonic_histogram_record_n(h, 123456, 5);
    for (int i = 0; i < 30; i++)
        values[i] = i < 10 ? 5000 : i < 25 ? 90 : 123456;
    agrees(h, values, 30);
    sonic_histogram_free(h);
}
END_TEST

START_TEST(adding_is_the_same_as_recording_all_in_one)
{
    int64_t *values = calloc(VALUES, sizeof *values);
    sonic_histogram *h[4] = {make(), make(), make(), make()};
    uint64_t seed = 3;

    for (size_t i = 0; i < VALUES; i++) {
        values[i] = any_value(&seed) >> 20;
        sonic_histogram_record(h[i % 3], values[i]);
    }
    for (size_t i = 0; i < 3; i++)
        sonic_histogram_add(h[3], h[i]);
    agrees(h[3], values, VALUES);
    sonic_histogram_reset(h[0]);
    sonic_histogram_add(h[3], h[0]); /* an empty one changes nothing */
    agrees(h[3], values, VALUES);
    for (size_t i = 0; i < 4; i++)
        sonic_histogram_free(h[i]);
    free(values);
}
END_TEST

START_TEST(adding_itself_doubles_it)
{
    sonic_histogram *h = make();
    double deviation;

    sonic_histogram_record(h, 100);
    sonic_histogram_record(h, 300);
    deviation = sonic_histogram_stddev(h);
    sonic_histogram_add(h, h);
    ck_assert_uint_eq(sonic_histogram_count(h), 4);
    ck_assert(sonic_histogram_mean(h) == 200);
    ck_assert(sonic_histogram_stddev(h) == deviation && deviation == 100);
    sonic_histogram_free(h);
}
END_TEST

START_TEST(an_empty_one_says_zero)
{
    sonic_histogram *h = make();

    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(sonic_histogram_count(h), 0);
        ck_assert_int_eq(sonic_histogram_min(h), 0);
        ck_assert_int_eq(sonic_histogram_max(h), 0);
        ck_assert(sonic_histogram_mean(h) == 0);
        ck_assert(sonic_histogram_stddev(h) == 0);
        ck_assert_int_eq(sonic_histogram_percentile(h, 99), 0);
        sonic_histogram_record(h, 77777);
        sonic_histogram_reset(h); /* and so does one that was emptied */
    }
    sonic_histogram_free(h);
}
END_TEST

START_TEST(a_negative_value_counts_as_zero)
{
    sonic_histogram *h = make();

    sonic_histogram_record(h, -1);
    sonic_histogram_record_n(h, INT64_MIN, 2);
    ck_assert_uint_eq(sonic_histogram_count(h), 3);
    ck_assert_int_eq(sonic_histogram_max(h), 0);
    sonic_histogram_free(h);
}
END_TEST

/* ---- memory ----------------------------------------------------------- */

struct account {
    size_t given, taken_back;
    unsigned calls, allowed;
};

static void *
count_alloc(size_t bytes, void *ud)
{
    struct account *a = ud;

    if (a->calls++ >= a->allowed)
        return NULL;
    a->given += bytes;
    return malloc(bytes);
}

static void
count_free(void *ptr, size_t bytes, void *ud)
{
    struct account *a = ud;

    a->taken_back += bytes;
    free(ptr);
}

START_TEST(memory_is_asked_for_once_and_given_back)
{
    struct account a = {0, 0, 0, 1};
    const sonic_mem mem = {count_alloc, count_free, &a};
    sonic_histogram *h;

    ck_assert_int_eq(sonic_histogram_new(&mem, &h), 0);
    for (int64_t v = 1; v < INT64_MAX / 2; v *= 2)
        sonic_histogram_record(h, v);
    sonic_histogram_reset(h);
    ck_assert_uint_eq(a.calls, 1);
    ck_assert_uint_le(a.given, 31 * 1024);
    sonic_histogram_free(h);
    ck_assert_uint_eq(a.given, a.taken_back);
    ck_assert_int_eq(sonic_histogram_new(&mem, &h), -ENOMEM);
    sonic_histogram_free(h);
    sonic_histogram_free(NULL);
}
END_TEST

/* ---- for people ------------------------------------------------------- */

START_TEST(durations_have_three_digits)
{
    static const struct {
        int64_t ns;
        const char *text;
    } rows[] = {
        {0, "0 ns"},
        {7, "7 ns"},
        {999, "999 ns"},
        {1000, "1.00 us"},
        {1234, "1.23 us"},
        {9994, "9.99 us"},
        {9995, "10.0 us"},
        {99949, "99.9 us"},
        {99950, "100 us"},
        {999499, "999 us"},
        {999500, "1.00 ms"},
        {12345678, "12.3 ms"},
        {1500000000, "1.50 s"},
        {INT64_C(86400000000000), "86400 s"},
        {-1500, "-1.50 us"},
    };
    char text[16];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int n = sonic_histogram_format(rows[i].ns, text, sizeof text);

        ck_assert_str_eq(text, rows[i].text);
        ck_assert_int_eq(n, (int)strlen(text));
    }
    ck_assert_int_eq(sonic_histogram_format(1234, text, 4), SONIC_ETOOBIG);
    ck_assert_str_eq(text, "1.2");
    ck_assert_int_gt(sonic_histogram_format(INT64_MIN, text, sizeof text), 0);
    ck_assert_int_gt(sonic_histogram_format(INT64_MAX, text, sizeof text), 0);
}
END_TEST

static char *
drawing_of(const sonic_histogram *h, const sonic_histogram_drawing *how)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(sonic_histogram_draw(h, out, how), 0);
    fclose(out);
    return text;
}

static unsigned
lines_of(const char *text)
{
    unsigned n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

START_TEST(a_drawing_shows_every_value_and_every_mark)
{
    sonic_histogram_drawing how = SONIC_HISTOGRAM_DRAWING_INIT;
    sonic_histogram *h = make();
    char *text, *line, *rest;
    unsigned long long total = 0;

    how.ascii = SONIC_ON;
    how.indent = "> ";
    for (int64_t v = 1; v <= 100000; v++)
        sonic_histogram_record(h, v * 10);
    text = drawing_of(h, &how);
    ck_assert_uint_le(lines_of(text), 20);
    ck_assert_uint_ge(lines_of(text), 6);
    for (line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        unsigned long long n;
        char low[16], high[16], bar[64];

        ck_assert(strncmp(line, "> ", 2) == 0);
        /* LOW UNIT - HIGH UNIT BAR COUNT */
        ck_assert_msg(sscanf(line, "> %*s %15s - %*s %15s %63[#] %llu", low,
                             high, bar, &n) == 4,
                      "%s", line);
        ck_assert_uint_gt(n, 0);
        total += n;
    }
    ck_assert_uint_eq(total, 100000);
    free(text);
    text = drawing_of(h, NULL);
    ck_assert_ptr_nonnull(strstr(text, " p50"));
    ck_assert_ptr_nonnull(strstr(text, " p99.99"));
    ck_assert_ptr_nonnull(strstr(text, " max\n"));
    free(text);
    sonic_histogram_free(h);
}
END_TEST

START_TEST(a_stray_value_does_not_hide_the_rest)
{
    sonic_histogram_drawing how = SONIC_HISTOGRAM_DRAWING_INIT;
    sonic_histogram *h = make();
    char *text;

    how.ascii = SONIC_ON;
    for (int64_t v = 10000; v < 30000; v++)
        sonic_histogram_record(h, v);
    sonic_histogram_record(h, INT64_C(500000000));
    text = drawing_of(h, &how);
    ck_assert_uint_le(lines_of(text), 20);
    ck_assert_ptr_nonnull(strstr(text, "10 us -    12 us"));
    ck_assert_ptr_nonnull(strstr(text, "18 us -    22 us"));
    free(text);
    sonic_histogram_free(h);
}
END_TEST

START_TEST(extremes_can_be_drawn)
{
    static const int64_t values[] = {0, 1, 9, 10, 127, 128, INT64_MAX};
    sonic_histogram_drawing how = SONIC_HISTOGRAM_DRAWING_INIT;
    sonic_histogram *h = make();
    char *text = drawing_of(h, NULL);

    ck_assert_str_eq(text, "(nothing recorded)\n");
    free(text);
    how.unit = "bytes";
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        sonic_histogram_reset(h);
        sonic_histogram_record(h, values[i]);
        text = drawing_of(h, &how);
        ck_assert_uint_eq(lines_of(text), 1);
        ck_assert_ptr_nonnull(strstr(text, "100.00 %  p50 p90 p99 p99.9 "
                                           "p99.99 max\n"));
        ck_assert_ptr_nonnull(strstr(text, " bytes "));
        free(text);
    }
    for (int64_t v = INT64_MAX; v > 0; v /= 2)
        sonic_histogram_record_n(h, v, 1000);
    text = drawing_of(h, NULL);
    ck_assert_uint_le(lines_of(text), 20);
    free(text);
    sonic_histogram_free(h);
}
END_TEST

START_TEST(a_full_disk_is_reported)
{
    sonic_histogram *h = make();
    FILE *full = fopen("/dev/full", "w");

    if (full != NULL) {
        setvbuf(full, NULL, _IONBF, 0);
        ck_assert_int_eq(sonic_histogram_draw(h, full, NULL), -EIO);
        fclose(full);
    }
    sonic_histogram_free(h);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("histogram");
    TCase *tc = tcase_create("counting");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, every_value_has_a_bucket_that_is_narrow_enough);
    tcase_add_test(tc, buckets_leave_no_gap_and_do_not_overlap);
    tcase_add_test(tc, percentiles_and_moments_agree_with_a_sorted_list);
    tcase_add_test(tc, deviation_survives_a_large_offset);
    tcase_add_test(tc, percentile_takes_the_rank_and_not_the_next);
    tcase_add_test(tc, many_at_once_is_the_same_as_one_by_one);
    tcase_add_test(tc, adding_is_the_same_as_recording_all_in_one);
    tcase_add_test(tc, adding_itself_doubles_it);
    tcase_add_test(tc, an_empty_one_says_zero);
    tcase_add_test(tc, a_negative_value_counts_as_zero);
    tcase_add_test(tc, memory_is_asked_for_once_and_given_back);
    suite_add_tcase(s, tc);
    tc = tcase_create("people");
    tcase_add_test(tc, durations_have_three_digits);
    tcase_add_test(tc, a_drawing_shows_every_value_and_every_mark);
    tcase_add_test(tc, a_stray_value_does_not_hide_the_rest);
    tcase_add_test(tc, extremes_can_be_drawn);
    tcase_add_test(tc, a_full_disk_is_reported);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
