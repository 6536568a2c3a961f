/* Online statistics against two passes over the values; clocks; processors. */
#include <sonicio/clock.h>
#include <sonicio/stats.h>
#include <sonicio/thread.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sim.h>

#include "support/chance.h"
#include "support/hook.h"

/* ---- statistics ------------------------------------------------------- */

START_TEST(of_nothing_and_of_one)
{
    sonic_stats s = {0};

    ck_assert_uint_eq(sonic_stats_count(&s), 0);
    ck_assert_double_eq(sonic_stats_mean(&s), 0);
    ck_assert_double_eq(sonic_stats_min(&s), 0);
    ck_assert_double_eq(sonic_stats_max(&s), 0);
    ck_assert_double_eq(sonic_stats_stddev(&s), 0);
    ck_assert_double_eq(sonic_stats_sample_variance(&s), 0);
    sonic_stats_add(&s, NAN);
    ck_assert_uint_eq(sonic_stats_count(&s), 0);
    sonic_stats_add(&s, -7);
    ck_assert_uint_eq(sonic_stats_count(&s), 1);
    ck_assert_double_eq(sonic_stats_mean(&s), -7);
    ck_assert_double_eq(sonic_stats_min(&s), -7);
    ck_assert_double_eq(sonic_stats_max(&s), -7);
    ck_assert_double_eq(sonic_stats_variance(&s), 0);
    ck_assert_double_eq(sonic_stats_sample_variance(&s), 0);
    sonic_stats_reset(&s);
    ck_assert_uint_eq(sonic_stats_count(&s), 0);
}
END_TEST

START_TEST(of_the_textbook)
{
    static const double v[] = {2, 4, 4, 4, 5, 5, 7, 9};
    sonic_stats s = {0};

    for (int i = 0; i < 8; i++)
        sonic_stats_add(&s, v[i]);
    ck_assert_double_eq(sonic_stats_mean(&s), 5);
    ck_assert_double_eq(sonic_stats_variance(&s), 4);
    ck_assert_double_eq(sonic_stats_stddev(&s), 2);
    ck_assert_double_eq_tol(sonic_stats_sample_variance(&s), 32.0 / 7, 1e-12);
    ck_assert_double_eq_tol(sonic_stats_sample_stddev(&s), sqrt(32.0 / 7),
                            1e-12);
    ck_assert_double_eq(sonic_stats_min(&s), 2);
    ck_assert_double_eq(sonic_stats_max(&s), 9);
}
END_TEST

static void
close_to(double a, double b)
{
    double size = fabs(b) > 1 ? fabs(b) : 1;

    ck_assert_double_le(fabs(a - b) / size, 1e-9);
}

/* Values of some 1e9 and a spread of 1, say, where the sum of squares would
 * have no digit left; cut into parts and merged. */
START_TEST(as_two_passes_say)
{
    enum { N = 5000 };
    static const double offset[] = {0, 1e6, 1e9, -1e12};
    static double v[N];
    struct chance c = chance_open(20261125 + (uint64_t)_i);
    double mean = 0, squares = 0, low = INFINITY, high = -INFINITY;
    sonic_stats all = {0}, parts = {0}, part = {0};

    for (int i = 0; i < N; i++) {
        v[i] = offset[_i] + (double)chance_below(&c, 1000) / 64;
        mean += (v[i] - offset[_i]) / N;
    }
    for (int i = 0; i < N; i++) {
        double d = v[i] - offset[_i] - mean;

        squares += d * d;
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
        sonic_stats_add(&all, v[i]);
        sonic_stats_add(&part, v[i]);
        if (chance_below(&c, 100) == 0) {
            sonic_stats_merge(&parts, &part);
            sonic_stats_reset(&part);
        }
    }
    sonic_stats_merge(&parts, &part);
    for (int k = 0; k < 2; k++) {
        const sonic_stats *s = k == 0 ? &all : &parts;
        double tol = _i == 3 ? 1e-3 : 1e-6;

        ck_assert_uint_eq(sonic_stats_count(s), N);
        close_to(sonic_stats_mean(s), offset[_i] + mean);
        ck_assert_double_eq_tol(sonic_stats_variance(s), squares / N, tol);
        ck_assert_double_eq(sonic_stats_min(s), low);
        ck_assert_double_eq(sonic_stats_max(s), high);
    }
    part = all;
    sonic_stats_merge(&all, &all);
    ck_assert_uint_eq(sonic_stats_count(&all), 2 * N);
    ck_assert_double_eq_tol(sonic_stats_variance(&all),
                            sonic_stats_variance(&part), 1e-6);
}
END_TEST

START_TEST(windows)
{
    sonic_tracker t = {.window = 3};
    unsigned complete = 0;

    for (int i = 1; i <= 7; i++)
        if (sonic_tracker_add(&t, i)) {
            complete++;
            ck_assert_double_eq(sonic_stats_mean(&t.last), i - 1);
            ck_assert_double_eq(sonic_stats_min(&t.last), i - 2);
        }
    ck_assert_uint_eq(complete, 2);
    ck_assert_uint_eq(sonic_stats_count(&t.now), 1);
    t = (sonic_tracker){0};
    for (complete = 0; !sonic_tracker_add(&t, 1); complete++)
        ;
    ck_assert_uint_eq(complete, 127);
}
END_TEST

/* ---- clocks ----------------------------------------------------------- */

START_TEST(the_seam_has_the_time)
{
    sonic_sim_options o = SONIC_SIM_OPTIONS_INIT;
    int64_t a = sonic_clock_monotonic(NULL), b = sonic_clock_monotonic(NULL);
    sonic_sim *sim;
    sonic_tsc tsc;

    ck_assert_int_ge(b, a);
    ck_assert_int_gt(sonic_clock_realtime(NULL), INT64_C(1600000000000000000));
    ck_assert_int_eq(sonic_sim_new(&sim, &o), 0);
    a = sonic_clock_realtime(sonic_sim_sys(sim)) -
        sonic_clock_monotonic(sonic_sim_sys(sim));
    ck_assert_int_ge(a, INT64_C(1609459200000000000) - 1000000);
    ck_assert_int_le(a, INT64_C(1609459200000000000) + 1000000);
    ck_assert_int_eq(sonic_tsc_open(&tsc, sonic_sim_sys(sim), 0),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic_sim_free(sim, NULL), 0);
}
END_TEST

START_TEST(the_counter)
{
    const int64_t calibration = 20 * 1000 * 1000;
    sonic_tsc tsc;
    int64_t last = 0, now, clock, before;
    int err;

    ck_assert_int_eq(sonic_tsc_open(&tsc, NULL, -1), SONIC_EOPTION);
    ck_assert_int_eq(sonic_tsc_open(&tsc, NULL, INT64_C(10000000001)),
                     SONIC_EOPTION);
    before = sonic_clock_monotonic(NULL);
    err = sonic_tsc_open(&tsc, NULL, calibration);
    if (err == SONIC_EOPTION) {
        printf("no counter of one rate here: only that was looked at\n");
        return;
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_ge(sonic_clock_monotonic(NULL) - before, calibration);
    for (int i = 0; i < 20000; i++) {
        before = sonic_clock_monotonic(NULL);
        now = sonic_tsc_now(&tsc);
        clock = sonic_clock_monotonic(NULL);
        ck_assert_int_ge(now, last);
        last = now;
        /* between the two, with some 100 ppm of what has passed since */
        ck_assert_int_ge(now, before - 200000);
        ck_assert_int_le(now, clock + 200000);
    }
    sonic_tsc_sync(&tsc);
    clock = sonic_tsc_sync(&tsc); /* at once again: it is right */
    ck_assert_int_le(clock, 20000);
    ck_assert_int_ge(clock, -20000);
}
END_TEST

/* ---- processors ------------------------------------------------------- */

START_TEST(pinning)
{
    unsigned cpus[64], now[64], one;
    const unsigned none[] = {8191}, too_great[] = {0, 8192};
    struct hook h;
    int n = sonic_thread_cpus(NULL, cpus, 64);

    ck_assert_int_gt(n, 0);
    if (n > 64)
        n = 64;
    one = cpus[n - 1];
    ck_assert_int_eq(sonic_pin_thread(NULL, &one, 1), 0);
    ck_assert_int_eq(sonic_thread_cpus(NULL, now, 64), 1);
    ck_assert_uint_eq(now[0], one);
    ck_assert_int_eq(sonic_thread_cpus(NULL, NULL, 0), 1);
    ck_assert_int_eq(sonic_pin_thread(NULL, none, 1), -EINVAL);
    ck_assert_int_eq(sonic_pin_thread(NULL, too_great, 2), SONIC_EOPTION);
    ck_assert_int_eq(sonic_pin_thread(NULL, cpus, 0), SONIC_EOPTION);
    ck_assert_int_eq(sonic_pin_thread(NULL, cpus, (size_t)n), 0);
    ck_assert_int_eq(sonic_thread_cpus(NULL, now, 64), n);
    ck_assert_mem_eq(now, cpus, (size_t)n * sizeof *now);
    hook_init(&h);
    hook_fail(&h, HOOK_sched_setaffinity, -EPERM, 1);
    ck_assert_int_eq(sonic_pin_thread(&h.sys, cpus, 1), -EPERM);
    hook_fail(&h, HOOK_sched_getaffinity, -ENOSYS, 1);
    ck_assert_int_eq(sonic_thread_cpus(&h.sys, cpus, 1), -ENOSYS);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("stats");
    TCase *tc = tcase_create("statistics, clocks, processors");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(tc, of_nothing_and_of_one);
    tcase_add_test(tc, of_the_textbook);
    tcase_add_loop_test(tc, as_two_passes_say, 0, 4);
    tcase_add_test(tc, windows);
    tcase_add_test(tc, the_seam_has_the_time);
    tcase_add_test(tc, the_counter);
    tcase_add_test(tc, pinning);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
