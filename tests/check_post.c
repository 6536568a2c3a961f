/* Posts from other threads; also built and run under ThreadSanitizer. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "support/rig.h"

enum { PRODUCERS = 4, EACH = 100000, BOUND = 1000 };

/* ---- many producers --------------------------------------------------- */

struct producer {
    sonic_io *io;
    pthread_t id;
    unsigned each;
    size_t bound;  /* posts under way, 0: none */
    unsigned seen; /* by the loop */
    struct crowd *crowd;
};

struct crowd {
    struct rig r;
    struct producer p[PRODUCERS];
    unsigned ended;
};

/* A post carries its producer and its number in one pointer. */
struct parcel {
    struct producer *from;
    unsigned number;
};

static void
take_parcel(sonic_io *io, void *ud)
{
    struct parcel *q = ud;
    struct producer *p = q->from;

    (void)io;
    ck_assert_uint_eq(q->number, p->seen);
    if (++p->seen == p->each && ++p->crowd->ended == PRODUCERS)
        sonic_io_work_end(p->crowd->r.io);
}

/* With a bound, as a program has that keeps pace with its io. */
static void *
produce(void *arg)
{
    struct producer *p = arg;
    struct parcel *all = calloc(p->each, sizeof *all);

    for (unsigned i = 0; i < p->each; i++) {
        all[i] = (struct parcel){p, i};
        while (p->bound > 0 && sonic_io_posted(p->io) > p->bound)
            sched_yield();
        if (sonic_io_post(p->io, take_parcel, &all[i]) != 0)
            abort();
    }
    return all; /* to be freed when all of them have run */
}

static void
round_of_posts(struct crowd *c, unsigned each, size_t bound)
{
    c->ended = 0;
    sonic_io_work_begin(c->r.io);
    for (int i = 0; i < PRODUCERS; i++) {
        c->p[i] = (struct producer){
            .io = c->r.io, .each = each, .bound = bound, .crowd = c};
        ck_assert_int_eq(pthread_create(&c->p[i].id, NULL, produce, &c->p[i]),
                         0);
    }
    ck_assert_int_eq(sonic_io_run(c->r.io), (int)(PRODUCERS * each));
    for (int i = 0; i < PRODUCERS; i++) {
        void *all;

        pthread_join(c->p[i].id, &all);
        free(all);
        ck_assert_uint_eq(c->p[i].seen, each);
    }
    ck_assert_uint_eq(sonic_io_posted(c->r.io), 0);
}

/* All run, each producer's in order, and few of them wake the io. */
START_TEST(four_producers)
{
    static struct crowd c;
    unsigned each = rig_slow() ? EACH / 20 : EACH;
    sonic_io_stats stats;

    memset(&c, 0, sizeof c);
    rig_open(&c.r, _i);
    round_of_posts(&c, each, 0);
    sonic_io_get_stats(c.r.io, &stats);
    ck_assert_uint_le(stats.wakeups, PRODUCERS * each / 4);
    rig_close(&c.r);
}
END_TEST

/* There are little more nodes than posts were ever under way at a time, for
 * however long it goes on. */
START_TEST(nodes_are_reused)
{
    static struct crowd c;
    unsigned each = rig_slow() ? EACH / 50 : EACH / 4;

    memset(&c, 0, sizeof c);
    rig_open(&c.r, _i);
    for (int i = 0; i < 12; i++)
        round_of_posts(&c, each, BOUND);
    ck_assert_uint_le(atomic_load(&c.r.hook.allocs), BOUND * 5 / 2);
    rig_close(&c.r);
}
END_TEST

/* ---- wake-ups --------------------------------------------------------- */

static void
count(sonic_io *io, void *ud)
{
    (void)io;
    ++*(unsigned *)ud;
}

struct poster {
    sonic_io *io;
    unsigned ran;
    unsigned long accepted;
};

static void *
post_thousand(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < 1000; i++)
        if (sonic_io_post(p->io, count, &p->ran) != 0)
            abort();
    return NULL;
}

/* A thousand posts to an io that does not run: one system call. */
START_TEST(one_wake_up)
{
    struct rig r;
    struct poster p = {0};
    pthread_t id;
    unsigned long before;

    rig_open(&r, _i);
    p.io = r.io;
    for (unsigned round = 1; round <= 3; round++) {
        rig_settle(&r);
        before = hook_calls(&r.hook, HOOK_writev);
        ck_assert_int_eq(pthread_create(&id, NULL, post_thousand, &p), 0);
        pthread_join(id, NULL);
        ck_assert_uint_eq(hook_calls(&r.hook, HOOK_writev) - before, 1);
        ck_assert_int_eq(sonic_io_run(r.io), 1000);
        ck_assert_uint_eq(p.ran, 1000 * round);
    }
    rig_close(&r);
}
END_TEST

/* ---- a handler that takes its time ------------------------------------ */

struct slow {
    sonic_io *io;
    atomic_bool in_handler, posted;
    unsigned ran;
};

static void
slow_handler(sonic_io *io, void *ud)
{
    struct slow *p = ud;

    (void)io;
    atomic_store(&p->in_handler, true);
    while (!atomic_load(&p->posted)) /* for ever, if posting waited for us */
        sched_yield();
}

static void *
post_meanwhile(void *arg)
{
    struct slow *p = arg;

    while (!atomic_load(&p->in_handler))
        sched_yield();
    for (int i = 0; i < 100; i++)
        if (sonic_io_post(p->io, count, &p->ran) != 0)
            abort();
    atomic_store(&p->posted, true);
    return NULL;
}

START_TEST(posting_waits_for_nobody)
{
    struct rig r;
    struct slow p = {0};
    pthread_t id;

    rig_open(&r, _i);
    p.io = r.io;
    ck_assert_int_eq(sonic_io_post(r.io, slow_handler, &p), 0);
    ck_assert_int_eq(pthread_create(&id, NULL, post_meanwhile, &p), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 101);
    pthread_join(id, NULL);
    ck_assert_uint_eq(p.ran, 100);
    rig_close(&r);
}
END_TEST

/* ---- the end ---------------------------------------------------------- */

static void *
post_until_closed(void *arg)
{
    struct poster *p = arg;
    int err;

    while ((err = sonic_io_post(p->io, count, &p->ran)) == 0)
        p->accepted++;
    if (err != SONIC_ECLOSED)
        abort();
    return NULL;
}

static void
close_at_thousand(sonic_io *io, void *ud)
{
    struct poster *p = ud;

    if (p->ran < 1000)
        ck_assert_int_eq(sonic_io_post(io, close_at_thousand, p), 0);
    else
        sonic_io_close(io);
}

/* Closed while others post: what was accepted runs, what was not does not. */
START_TEST(closed_under_posters)
{
    struct rig r;
    struct poster p[2] = {{0}};
    pthread_t id[2];

    rig_open(&r, _i);
    for (int i = 0; i < 2; i++) {
        p[i].io = r.io;
        ck_assert_int_eq(pthread_create(&id[i], NULL, post_until_closed, &p[i]),
                         0);
    }
    ck_assert_int_eq(sonic_io_post(r.io, close_at_thousand, &p[0]), 0);
    ck_assert_int_ge(sonic_io_run(r.io), 1000);
    for (int i = 0; i < 2; i++)
        pthread_join(id[i], NULL);
    sonic_io_free(r.io);
    for (int i = 0; i < 2; i++)
        ck_assert_uint_eq(p[i].ran, p[i].accepted);
    rig_closed(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("post");
    TCase *tc = tcase_create("post");

    rig_add(tc, four_producers);
    rig_add(tc, nodes_are_reused);
    rig_add(tc, one_wake_up);
    rig_add(tc, posting_waits_for_nobody);
    rig_add(tc, closed_under_posters);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
