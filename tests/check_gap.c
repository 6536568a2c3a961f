/* The gap detector: every cell of its table, and what each does. */
#include <sonicio/gap.h>

#include <check.h>
#include <stdlib.h>

#include "support/hook.h"

enum { RETRY = 100, TRIES = 3 };

static sonic_gap *
make(uint64_t first, enum sonic_switch join)
{
    sonic_gap_options o = SONIC_GAP_OPTIONS_INIT;
    sonic_gap *g;

    o.first = first;
    o.join = join;
    o.retry = RETRY;
    o.tries = TRIES;
    ck_assert_int_eq(sonic_gap_new(&o, &g), 0);
    return g;
}

static sonic_gap_stats
stats(const sonic_gap *g)
{
    sonic_gap_stats s;

    sonic_gap_get_stats(g, &s);
    return s;
}

/* Messages first.. count come; expect a verdict and a request. */
static void
comes(sonic_gap *g, uint64_t first, uint64_t count, int64_t now,
      enum sonic_gap_verdict verdict, uint64_t ask, uint64_t asked)
{
    sonic_gap_range r = {7, 7};

    ck_assert_int_eq(sonic_gap_received(g, first, count, now, &r), verdict);
    ck_assert_uint_eq(r.count, asked);
    if (asked > 0)
        ck_assert_uint_eq(r.first, ask);
}

static void
uses(sonic_gap *g, uint64_t first, uint64_t count, int64_t now)
{
    comes(g, first, count, now, SONIC_GAP_USE, 0, 0);
}

static void
drops(sonic_gap *g, uint64_t first, uint64_t count)
{
    comes(g, first, count, 0, SONIC_GAP_DROP, 0, 0);
}

static void
stands(const sonic_gap *g, enum sonic_gap_state state, uint64_t next,
       uint64_t future)
{
    ck_assert_int_eq(sonic_gap_state(g), state);
    ck_assert_uint_eq(sonic_gap_next(g), next);
    ck_assert_uint_eq(sonic_gap_future(g), future);
    if (state != SONIC_GAP_OPEN && state != SONIC_GAP_ENDING)
        ck_assert_int_eq(sonic_gap_deadline(g), INT64_MAX);
}

static void
late(sonic_gap *g, int64_t now, int err, uint64_t first, uint64_t count)
{
    sonic_gap_range r = {7, 7};

    ck_assert_int_eq(sonic_gap_late(g, now, &r), err);
    ck_assert_uint_eq(r.count, count);
    if (count > 0)
        ck_assert_uint_eq(r.first, first);
}

static bool
hears(sonic_gap *g, uint64_t next, int64_t now, uint64_t ask, uint64_t asked)
{
    sonic_gap_range r = {7, 7};
    bool missing = sonic_gap_heard(g, next, now, &r);

    ck_assert_uint_eq(r.count, asked);
    if (asked > 0)
        ck_assert_uint_eq(r.first, ask);
    return missing;
}

/* ---- cells ------------------------------------------------------------ */

START_TEST(in_order)
{
    sonic_gap *g = make(0, SONIC_DEFAULT); /* first: 1 */

    stands(g, SONIC_GAP_LEVEL, 1, 0);
    uses(g, 1, 1, 0);
    uses(g, 2, 10, 0);
    drops(g, 11, 1);
    stands(g, SONIC_GAP_LEVEL, 12, 11);
    drops(g, 3, 5);
    drops(g, 12, 0); /* no message at all */
    drops(g, 12, UINT64_MAX);
    uses(g, 10, 4, 0); /* its first part was used before */
    stands(g, SONIC_GAP_LEVEL, 14, 13);
    late(g, INT64_MAX, 0, 0, 0);
    sonic_gap_used(g, 20, 0); /* nothing is kept */
    stands(g, SONIC_GAP_LEVEL, 14, 13);
    ck_assert_uint_eq(stats(g).used, 13);
    ck_assert_uint_eq(stats(g).dropped, 6);
    ck_assert_uint_eq(stats(g).gaps, 0);
    ck_assert_uint_eq(stats(g).retries, 0);
    sonic_gap_free(g);
}
END_TEST

START_TEST(one_gap_filled)
{
    sonic_gap *g = make(0, SONIC_DEFAULT);

    uses(g, 1, 1, 0);
    comes(g, 5, 2, 10, SONIC_GAP_KEEP, 2, 3);
    stands(g, SONIC_GAP_OPEN, 2, 6);
    ck_assert_int_eq(sonic_gap_deadline(g), 10 + RETRY);
    comes(g, 5, 2, 11, SONIC_GAP_KEEP, 0, 0); /* again: not asked for again */
    comes(g, 7, 1, 12, SONIC_GAP_KEEP, 0, 0); /* the live feed goes on */
    drops(g, 1, 1);
    uses(g, 2, 2, 20);
    stands(g, SONIC_GAP_OPEN, 4, 7);
    ck_assert_int_eq(sonic_gap_deadline(g), 20 + RETRY);
    uses(g, 4, 1, 30);
    sonic_gap_used(g, 6, 31);
    stands(g, SONIC_GAP_OPEN, 7, 7);
    ck_assert_int_eq(sonic_gap_deadline(g), 31 + RETRY);
    sonic_gap_used(g, 6, 99); /* that was before */
    ck_assert_int_eq(sonic_gap_deadline(g), 31 + RETRY);
    sonic_gap_used(g, 100, 32); /* cut to future */
    stands(g, SONIC_GAP_LEVEL, 8, 7);
    ck_assert_uint_eq(stats(g).used, 7);
    ck_assert_uint_eq(stats(g).kept, 5);
    ck_assert_uint_eq(stats(g).dropped, 1);
    ck_assert_uint_eq(stats(g).asked, 3);
    ck_assert_uint_eq(stats(g).gaps, 1);
    ck_assert_int_eq(stats(g).longest, 22);
    ck_assert_int_eq(stats(g).last, 22);
    sonic_gap_free(g);
}
END_TEST

/* Each hole is asked for once, from future + 1. */
START_TEST(several_gaps)
{
    sonic_gap *g = make(100, SONIC_DEFAULT);

    comes(g, 103, 1, 0, SONIC_GAP_KEEP, 100, 3);
    comes(g, 106, 1, 5, SONIC_GAP_KEEP, 104, 2);
    ck_assert_int_eq(sonic_gap_deadline(g), RETRY); /* of the older one */
    ck_assert(hears(g, 109, 6, 107, 2));
    ck_assert(hears(g, 109, 7, 0, 0));
    ck_assert(hears(g, 50, 7, 0, 0));
    stands(g, SONIC_GAP_OPEN, 100, 108);
    comes(g, 104, 2, 8, SONIC_GAP_KEEP, 0, 0); /* fills a later one */
    uses(g, 99, 20, 9);                        /* all there is, and more */
    stands(g, SONIC_GAP_LEVEL, 119, 118);
    ck_assert_uint_eq(stats(g).used, 19);
    ck_assert_uint_eq(stats(g).asked, 7);
    ck_assert_uint_eq(stats(g).gaps, 1);
    ck_assert_int_eq(stats(g).last, 9);
    comes(g, 120, 1, 20, SONIC_GAP_KEEP, 119, 1);
    uses(g, 119, 2, 21); /* as one message would */
    ck_assert_int_eq(stats(g).last, 1);
    ck_assert_int_eq(stats(g).longest, 9);
    sonic_gap_free(g);
}
END_TEST

START_TEST(asked_again_and_given_up)
{
    sonic_gap *g = make(0, SONIC_DEFAULT);

    comes(g, 4, 1, 0, SONIC_GAP_KEEP, 1, 3);
    late(g, RETRY - 1, 0, 0, 0);
    late(g, RETRY, 0, 1, 4);
    ck_assert_int_eq(sonic_gap_deadline(g), 2 * RETRY);
    late(g, RETRY + 1, 0, 0, 0);
    uses(g, 1, 1, 150); /* progress: the count starts over */
    late(g, 250, 0, 2, 3);
    late(g, 350, 0, 2, 3);
    late(g, 450, -ETIMEDOUT, 2, 3);
    late(g, 451, 0, 0, 0);
    late(g, 550, -ETIMEDOUT, 2, 3); /* until the caller does something */
    sonic_gap_skip(g, 1, 551);      /* not this: it was used */
    stands(g, SONIC_GAP_OPEN, 2, 4);
    sonic_gap_skip(g, 2, 552);
    stands(g, SONIC_GAP_OPEN, 3, 4);
    late(g, 552 + RETRY, 0, 3, 2);
    sonic_gap_skip(g, 3, 700);
    sonic_gap_used(g, 4, 700);
    stands(g, SONIC_GAP_LEVEL, 5, 4);
    ck_assert_uint_eq(stats(g).lost, 2);
    ck_assert_uint_eq(stats(g).used, 2);
    ck_assert_uint_eq(stats(g).retries, 4);
    ck_assert_int_eq(stats(g).last, 700);
    sonic_gap_free(g);
}
END_TEST

/* A snapshot may lead behind all that was heard of. */
START_TEST(skipping_ahead)
{
    sonic_gap *g = make(0, SONIC_DEFAULT);

    sonic_gap_skip(g, 10, 0);
    stands(g, SONIC_GAP_LEVEL, 11, 10);
    comes(g, 15, 1, 1, SONIC_GAP_KEEP, 11, 4);
    sonic_gap_skip(g, 20, 5);
    stands(g, SONIC_GAP_LEVEL, 21, 20);
    ck_assert_int_eq(stats(g).last, 4);
    comes(g, 23, 1, 6, SONIC_GAP_KEEP, 21, 2);
    sonic_gap_end(g, 6);
    sonic_gap_skip(g, 22, 7);
    stands(g, SONIC_GAP_ENDING, 23, 23);
    sonic_gap_skip(g, 40, 8); /* there is nothing beyond the end */
    stands(g, SONIC_GAP_ENDED, 24, 23);
    sonic_gap_skip(g, 50, 9);
    stands(g, SONIC_GAP_ENDED, 24, 23);
    ck_assert_uint_eq(stats(g).lost, 23);
    sonic_gap_free(g);
}
END_TEST

START_TEST(joining)
{
    sonic_gap *g = make(0, SONIC_ON);

    stands(g, SONIC_GAP_JOINING, 0, 0);
    sonic_gap_used(g, 5, 0);
    late(g, 5, 0, 0, 0);
    stands(g, SONIC_GAP_JOINING, 0, 0);
    uses(g, 500, 3, 0);
    stands(g, SONIC_GAP_LEVEL, 503, 502);
    drops(g, 1, 1);
    ck_assert_uint_eq(stats(g).used, 3);

    sonic_gap_rejoin(g);
    stands(g, SONIC_GAP_JOINING, 0, 0);
    sonic_gap_rejoin(g);
    ck_assert(!hears(g, 9, 0, 0, 0));
    stands(g, SONIC_GAP_LEVEL, 9, 8);
    comes(g, 10, 1, 0, SONIC_GAP_KEEP, 9, 1);

    sonic_gap_rejoin(g);
    sonic_gap_skip(g, 70, 0); /* from a snapshot */
    stands(g, SONIC_GAP_LEVEL, 71, 70);
    ck_assert_uint_eq(stats(g).lost, 0);

    sonic_gap_rejoin(g);
    sonic_gap_restart(g, 3);
    stands(g, SONIC_GAP_LEVEL, 3, 2);
    sonic_gap_rejoin(g);
    sonic_gap_end(g, 0);
    ck_assert_int_eq(sonic_gap_state(g), SONIC_GAP_ENDED);
    sonic_gap_rejoin(g);
    stands(g, SONIC_GAP_JOINING, 0, 0);
    sonic_gap_free(g);
}
END_TEST

START_TEST(the_end)
{
    sonic_gap *g = make(0, SONIC_DEFAULT);

    uses(g, 1, 3, 0);
    ck_assert(!hears(g, 4, 0, 0, 0));
    sonic_gap_end(g, 0);
    stands(g, SONIC_GAP_ENDED, 4, 3);
    drops(g, 4, 1);
    drops(g, 3, 2); /* all that is allowed of it was used */
    ck_assert(!hears(g, 9, 0, 0, 0));
    sonic_gap_used(g, 9, 0);
    late(g, INT64_MAX, 0, 0, 0);
    sonic_gap_end(g, 0);
    stands(g, SONIC_GAP_ENDED, 4, 3);

    sonic_gap_restart(g, 1);
    stands(g, SONIC_GAP_LEVEL, 1, 0);
    ck_assert(hears(g, 6, 0, 1, 5)); /* nothing came, five were sent */
    sonic_gap_end(g, 0);
    stands(g, SONIC_GAP_ENDING, 1, 5);
    sonic_gap_end(g, 0);
    ck_assert(hears(g, 10, 0, 0, 0)); /* not after the end */
    drops(g, 6, 3);
    comes(g, 4, 5, 0, SONIC_GAP_KEEP, 0, 0);
    stands(g, SONIC_GAP_ENDING, 1, 5);
    uses(g, 1, 1, 10);
    ck_assert_int_eq(sonic_gap_deadline(g), 10 + RETRY);
    drops(g, 1, 1);
    uses(g, 2, 1, 11);
    late(g, 11 + RETRY, 0, 3, 3);
    late(g, 11 + 2 * RETRY, 0, 3, 3);
    late(g, 11 + 3 * RETRY, -ETIMEDOUT, 3, 3);
    uses(g, 3, 1, 500);
    sonic_gap_used(g, 4, 501);
    stands(g, SONIC_GAP_ENDING, 5, 5);
    sonic_gap_used(g, 5, 502);
    stands(g, SONIC_GAP_ENDED, 6, 5);
    ck_assert_int_eq(stats(g).last, 502);

    sonic_gap_restart(g, 1);
    comes(g, 3, 1, 0, SONIC_GAP_KEEP, 1, 2);
    sonic_gap_end(g, 0);
    uses(g, 1, 9, 7); /* cut to the end */
    stands(g, SONIC_GAP_ENDED, 4, 3);
    ck_assert_int_eq(stats(g).last, 7);
    ck_assert_uint_eq(stats(g).used, 3 + 5 + 3);
    ck_assert_uint_eq(stats(g).dropped, 1 + 1 + 3 + 1);
    ck_assert_uint_eq(stats(g).retries, 2);
    sonic_gap_free(g);
}
END_TEST

START_TEST(a_new_session_forgets)
{
    sonic_gap *g = make(0, SONIC_DEFAULT);

    comes(g, 3, 1, 0, SONIC_GAP_KEEP, 1, 2);
    sonic_gap_restart(g, 1);
    stands(g, SONIC_GAP_LEVEL, 1, 0);
    comes(g, 3, 1, 0, SONIC_GAP_KEEP, 1, 2);
    sonic_gap_end(g, 0);
    sonic_gap_restart(g, 9);
    stands(g, SONIC_GAP_LEVEL, 9, 8);
    sonic_gap_restart(g, 5);
    stands(g, SONIC_GAP_LEVEL, 5, 4);
    sonic_gap_rejoin(g);
    stands(g, SONIC_GAP_JOINING, 0, 0);
    uses(g, 3, 1, 0);
    comes(g, 5, 1, 0, SONIC_GAP_KEEP, 4, 1);
    sonic_gap_end(g, 0);
    sonic_gap_rejoin(g);
    stands(g, SONIC_GAP_JOINING, 0, 0);
    sonic_gap_free(g);
}
END_TEST

START_TEST(numbers_start_over)
{
    sonic_gap *g = make(UINT64_MAX - 1, SONIC_DEFAULT);

    uses(g, UINT64_MAX - 1, 1, 0);
    comes(g, 1, 1, 0, SONIC_GAP_KEEP, UINT64_MAX, 2);
    drops(g, UINT64_MAX - 1, 1);
    uses(g, UINT64_MAX, 2, 0);
    stands(g, SONIC_GAP_OPEN, 1, 1);
    sonic_gap_used(g, 1, 0);
    stands(g, SONIC_GAP_LEVEL, 2, 1);
    sonic_gap_restart(g, 0);
    stands(g, SONIC_GAP_LEVEL, 0, UINT64_MAX);
    uses(g, 0, 1, 0);
    sonic_gap_free(g);
}
END_TEST

static unsigned steps;

static void
on_step(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
        void *ud)
{
    ck_assert_str_eq(fsm->name, "gap");
    ck_assert(from < fsm->n_states && event < fsm->n_events);
    ck_assert(to < fsm->n_states);
    ck_assert_ptr_eq(ud, &steps);
    steps++;
}

START_TEST(made_traced_and_freed)
{
    const sonic_fsm_tracer tracer = {on_step, &steps};
    sonic_gap_options o = SONIC_GAP_OPTIONS_INIT;
    struct hook h;
    sonic_gap *g;

    hook_init(&h);
    o.mem = &h.mem;
    o.retry = -1;
    ck_assert_int_eq(sonic_gap_new(&o, &g), SONIC_EOPTION);
    o.retry = INT64_MAX;
    hook_mem_fail_nth(&h, 1);
    ck_assert_int_eq(sonic_gap_new(&o, &g), -ENOMEM);
    ck_assert_int_eq(sonic_gap_new(&o, &g), 0);
    sonic_gap_trace(g, &tracer);
    comes(g, 2, 1, 1, SONIC_GAP_KEEP, 1, 1);
    ck_assert_int_eq(sonic_gap_deadline(g), INT64_MAX);
    sonic_gap_trace(g, NULL);
    uses(g, 1, 2, 0);
    ck_assert_uint_eq(steps, 1);
    sonic_gap_free(g);
    sonic_gap_free(NULL);
    ck_assert_uint_eq(hook_leaked(&h), 0);
    ck_assert_int_eq(sonic_gap_new(NULL, &g), 0);
    comes(g, 2, 1, 1, SONIC_GAP_KEEP, 1, 1);
    ck_assert_int_eq(sonic_gap_deadline(g), 100000001);
    sonic_gap_free(g);
}
END_TEST

/* Each counts its own, and no more. */
START_TEST(what_is_counted)
{
    sonic_gap *g = make(0, SONIC_ON);

    sonic_gap_end(g, 50);
    ck_assert_int_eq(stats(g).last, 0); /* no gap was closed */
    sonic_gap_rejoin(g);
    ck_assert_uint_eq(stats(g).kept, 0);
    sonic_gap_skip(g, 3, 60);
    sonic_gap_skip(g, 5, 60);
    ck_assert_uint_eq(stats(g).used, 0);
    ck_assert_uint_eq(stats(g).lost, 2);
    ck_assert(hears(g, 8, 70, 6, 2));
    stands(g, SONIC_GAP_OPEN, 6, 7);
    ck_assert_uint_eq(stats(g).kept, 0);
    sonic_gap_end(g, 75);
    ck_assert_uint_eq(stats(g).kept, 0);
    uses(g, 6, 2, 90);
    ck_assert_int_eq(stats(g).last, 20);
    sonic_gap_restart(g, 1);
    sonic_gap_restart(g, 1); /* level */
    ck_assert_int_eq(stats(g).last, 20);
    ck_assert(hears(g, 8, 100, 1, 7));
    sonic_gap_rejoin(g); /* open */
    ck_assert_int_eq(stats(g).last, 20);
    ck_assert_int_eq(stats(g).longest, 20);
    ck_assert_uint_eq(stats(g).used, 2);
    ck_assert_uint_eq(stats(g).lost, 2);
    ck_assert_uint_eq(stats(g).gaps, 2);
    ck_assert_uint_eq(stats(g).asked, 9);
    sonic_gap_free(g);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("gap");
    TCase *cells = tcase_create("cells");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(cells, in_order);
    tcase_add_test(cells, one_gap_filled);
    tcase_add_test(cells, several_gaps);
    tcase_add_test(cells, asked_again_and_given_up);
    tcase_add_test(cells, skipping_ahead);
    tcase_add_test(cells, joining);
    tcase_add_test(cells, the_end);
    tcase_add_test(cells, a_new_session_forgets);
    tcase_add_test(cells, numbers_start_over);
    tcase_add_test(cells, made_traced_and_freed);
    tcase_add_test(cells, what_is_counted);
    suite_add_tcase(s, cells);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
