/* The warm path: what it does, what it says it could not do. */
#include <sonicio/thread.h>
#include <sonicio/warm.h>

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "support/rig.h"

/* Locking would slow down what runs after it. */
static void
unlock(void)
{
    munlockall();
}

static long
faults(void)
{
    struct rusage u;

    ck_assert_int_eq(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_minflt;
}

START_TEST(all_of_it)
{
    sonic_warm_options o = SONIC_WARM_OPTIONS_INIT;
    sonic_warm_report rep;
    struct rig r;
    unsigned cpus[64];
    char text[512];
    int n = sonic_thread_cpus(NULL, cpus, 64), err;

    rig_open(&r, _i);
    o.cpus = cpus;
    o.n_cpus = (size_t)(n < 64 ? n : 64);
    o.buffers = 3;
    o.blocks = 2;
    o.stack = 100 * 1000;
    err = sonic_warm_path(r.io, &o, &rep);
    /* a limit of locked memory may stand against it, and nothing else */
    ck_assert(err == 0 ||
              (err == rep.lock && (err == -EPERM || err == -ENOMEM)));
    ck_assert_int_eq(rep.pin, 0);
    ck_assert_int_eq(rep.buffers, 0);
    ck_assert_uint_eq(rep.buffer_bytes, 3 * 256 * 1024);
    ck_assert_int_eq(rep.blocks, 0);
    ck_assert_uint_eq(rep.block_bytes, 2 * (512 + 2048 + 8192 + 32768));
    ck_assert_int_eq(rep.stack, 0);
    ck_assert_uint_ge(rep.stack_bytes, 100 * 1000);
    ck_assert_int_gt(sonic_warm_format(&rep, text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, "buffers  done, 768 KiB\n"));
    ck_assert_int_eq(sonic_warm_format(&rep, text, 20), SONIC_ETOOBIG);
    ck_assert_uint_eq(strlen(text), 19);
    ck_assert_int_eq(sonic_warm_format(&rep, text, 0), SONIC_ETOOBIG);
    unlock();
    rig_close(&r);
}
END_TEST

static void
on_lent(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct outcome *o = ud;

    (void)s;
    (void)data;
    o->calls++;
    o->err = err;
    o->n = len;
}

enum { MESSAGE = 60 * 1024 }; /* 15 pages */

/* Page faults while an io receives a message. */
static long
faults_of_receiving(int i, bool warm)
{
    sonic_warm_options o = SONIC_WARM_OPTIONS_INIT;
    struct outcome got = {0};
    static char block[MESSAGE];
    struct rig r;
    long before, after;
    int peer;
    sonic_stream *s;

    rig_open(&r, i);
    o.lock = SONIC_OFF;
    s = rig_stream(&r, &peer);
    if (warm)
        ck_assert_int_eq(sonic_warm_path(r.io, &o, NULL), 0);
    rig_fill(block, sizeof block, 0);
    rig_put(peer, block, sizeof block);
    rig_await(sonic_stream_fd(s), POLLIN);
    before = faults();
    sonic_stream_lend(s, MESSAGE, MESSAGE, on_lent, &got);
    while (got.calls == 0)
        sonic_io_poll(r.io);
    after = faults();
    ck_assert_int_eq(got.err, 0);
    ck_assert_uint_eq(got.n, MESSAGE);
    close(peer);
    rig_close(&r);
    return after - before;
}

/* The first message then meets no page that is not there. */
START_TEST(receiving_makes_no_page)
{
    long cold, warm;

    faults_of_receiving(_i, false); /* the code itself has pages */
    cold = faults_of_receiving(_i, false);
    warm = faults_of_receiving(_i, true);
    ck_assert_int_ge(cold, 15);
    ck_assert_int_le(warm, cold - 13);
}
END_TEST

START_TEST(what_could_not_be_done)
{
    sonic_warm_options o = SONIC_WARM_OPTIONS_INIT;
    sonic_warm_report rep;
    struct rig r;
    const unsigned cpu = 0;
    char text[512];

    rig_open(&r, _i);
    o.cpus = &cpu;
    o.n_cpus = 1;
    hook_fail(&r.hook, HOOK_sched_setaffinity, -EINVAL, 1);
    hook_fail(&r.hook, HOOK_madvise, -EFAULT, 1);
    hook_fail(&r.hook, HOOK_mlockall, -EPERM, 1);
    o.stack = (size_t)1 << 40;
    ck_assert_int_eq(sonic_warm_path(r.io, &o, &rep), -EINVAL);
    ck_assert_int_eq(rep.pin, -EINVAL);
    ck_assert_int_eq(rep.buffers, -ENOMEM);
    ck_assert_uint_eq(rep.buffer_bytes, 0);
    ck_assert_int_eq(rep.blocks, 0);
    ck_assert_int_eq(rep.stack, -ENOMEM);
    ck_assert_uint_gt(rep.stack_bytes, 64 * 1024); /* what there is */
    ck_assert_int_eq(rep.lock, -EPERM);
    ck_assert_int_gt(sonic_warm_format(&rep, text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, strerror(EPERM)));

    o = (sonic_warm_options)SONIC_WARM_OPTIONS_INIT;
    o.lock = SONIC_OFF;
    hook_mem_fail_nth(&r.hook, 1);
    ck_assert_int_eq(sonic_warm_path(r.io, &o, &rep), -ENOMEM);
    ck_assert_int_eq(rep.pin, 1);
    ck_assert_int_eq(rep.lock, 1);
    ck_assert_int_eq(rep.buffers, -ENOMEM);
    ck_assert_int_gt(sonic_warm_format(&rep, text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, "lock     not asked for\n"));
    o.buffers = 1025;
    ck_assert_int_eq(sonic_warm_path(r.io, &o, &rep), SONIC_EOPTION);
    o.buffers = 0;
    o.blocks = 4097;
    ck_assert_int_eq(sonic_warm_path(r.io, &o, &rep), SONIC_EOPTION);
    rig_close(&r);
}
END_TEST

/* Which locks are asked for, and what an old kernel makes of it. */
static int asked[4], n_asked;

static int
note_lock(int flags, void *ud)
{
    (void)ud;
    asked[n_asked++] = flags;
    return flags & 4 ? -EINVAL : 0;
}

START_TEST(locking)
{
    sonic_warm_options o = SONIC_WARM_OPTIONS_INIT;
    struct rig r;

    rig_open(&r, _i);
    r.hook.sys.mlockall = note_lock;
    n_asked = 0;
    ck_assert_int_eq(sonic_warm_path(r.io, NULL, NULL), 0);
    ck_assert_int_eq(n_asked, 2);
    ck_assert_int_eq(asked[0], MCL_CURRENT | MCL_FUTURE | 4);
    ck_assert_int_eq(asked[1], MCL_CURRENT);
    o.lock_all = SONIC_ON;
    ck_assert_int_eq(sonic_warm_path(r.io, &o, NULL), 0);
    ck_assert_int_eq(asked[2], MCL_CURRENT | MCL_FUTURE);
    rig_close(&r);
}
END_TEST

static void *
on_small_stack(void *arg)
{
    sonic_warm_options o = SONIC_WARM_OPTIONS_INIT;
    sonic_warm_report rep;

    o.lock = SONIC_OFF;
    o.stack = 1 << 20;
    ck_assert_int_eq(sonic_warm_path(arg, &o, &rep), -ENOMEM);
    ck_assert_uint_gt(rep.stack_bytes, 0);
    ck_assert_uint_lt(rep.stack_bytes, 256 * 1024);
    return NULL;
}

START_TEST(a_small_stack)
{
    struct rig r;
    pthread_attr_t attr;
    pthread_t id;

    rig_open(&r, _i);
    ck_assert_int_eq(pthread_attr_init(&attr), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attr, 256 * 1024), 0);
    ck_assert_int_eq(pthread_create(&id, &attr, on_small_stack, r.io), 0);
    pthread_join(id, NULL);
    pthread_attr_destroy(&attr);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("warm");
    TCase *tc = tcase_create("warm");

    rig_add(tc, all_of_it);
    rig_add(tc, receiving_makes_no_page);
    rig_add(tc, what_could_not_be_done);
    rig_add(tc, locking);
    rig_add(tc, a_small_stack);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
