/* Blocking jobs on their threads: sonic__work_submit. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/reactor.h"
#include "support/rig.h"

enum { AT_ONCE = 4 };

struct job {
    struct sonic__job base;
    pthread_barrier_t *barrier;
    atomic_bool *go;
    atomic_uint worked;
    unsigned done, dropped;
};

static void
work(struct sonic__job *base)
{
    struct job *j = (struct job *)base;

    if (j->barrier != NULL)
        pthread_barrier_wait(j->barrier);
    while (j->go != NULL && !atomic_load(j->go))
        sched_yield();
    atomic_fetch_add(&j->worked, 1);
}

static void
done(struct sonic__job *base, sonic_io *io)
{
    struct job *j = (struct job *)base;

    if (io == NULL) {
        j->dropped++;
        return;
    }
    ck_assert_uint_eq(atomic_load(&j->worked), 1);
    j->done++;
    sonic_io_work_end(io);
}

static void
submit(struct rig *r, struct job *j)
{
    j->base.work = work;
    j->base.done = done;
    sonic_io_work_begin(r->io);
    ck_assert_int_eq(sonic__work_submit(r->io, &j->base), 0);
}

/* A job that takes long does not hold up those behind it, also when a thread
 * was idle before. */
START_TEST(side_by_side)
{
    struct rig r;
    struct job j[AT_ONCE];
    pthread_barrier_t barrier;

    for (int round = 0; round < 20; round++) {
        rig_open(&r, _i);
        memset(j, 0, sizeof j);
        pthread_barrier_init(&barrier, NULL, AT_ONCE);
        submit(&r, &j[0]);
        ck_assert_int_ge(sonic_io_run(r.io), 0);
        ck_assert_uint_eq(j[0].done, 1);
        for (int i = 0; i < 100 * round; i++)
            sched_yield(); /* most likely its thread is idle now */
        memset(j, 0, sizeof j);
        for (int i = 0; i < AT_ONCE; i++) {
            j[i].barrier = &barrier;
            submit(&r, &j[i]);
        }
        ck_assert_int_ge(sonic_io_run(r.io), 0);
        for (int i = 0; i < AT_ONCE; i++)
            ck_assert_uint_eq(j[i].done, 1);
        pthread_barrier_destroy(&barrier);
        rig_close(&r);
    }
}
END_TEST

START_TEST(more_than_threads)
{
    enum { MANY = 100 };
    static struct job j[MANY];
    struct rig r;

    memset(j, 0, sizeof j);
    rig_open(&r, _i);
    for (int i = 0; i < MANY; i++)
        submit(&r, &j[i]);
    ck_assert_int_ge(sonic_io_run(r.io), 0);
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(j[i].done + j[i].dropped, 1);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("work");
    TCase *tc = tcase_create("work");

    rig_add(tc, side_by_side);
    rig_add(tc, more_than_threads);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
