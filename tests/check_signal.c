/* Signals as events of the loop. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

struct caught {
    unsigned calls;
    int err, signo;
    int all; /* sum of what arrived */
};

static void
on_signal(sonic_signal *s, int err, int signo, void *ud)
{
    struct caught *c = ud;

    (void)s;
    c->calls++;
    c->err = err;
    c->signo = signo;
    c->all += signo;
}

static sonic_signal *
make(struct rig *r, int a, int b)
{
    sonic_signal *s;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, a);
    sigaddset(&set, b);
    ck_assert_int_eq(sonic_signal_new(r->io, &set, &s), 0);
    return s;
}

START_TEST(arrives)
{
    struct rig r;
    struct caught c = {0}, busy = {0};
    sonic_signal *s;
    sigset_t now;

    rig_open(&r, _i);
    s = make(&r, SIGUSR1, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    ck_assert(sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2));
    sonic_signal_async_wait(s, on_signal, &c);
    sonic_signal_async_wait(s, on_signal, &busy);
    ck_assert_uint_eq(busy.calls, 1);
    ck_assert_int_eq(busy.err, -EBUSY);
    rig_settle(&r);
    ck_assert_uint_eq(c.calls, 0);
    raise(SIGUSR1);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(c.calls, 1);
    ck_assert_int_eq(c.err, 0);
    ck_assert_int_eq(c.signo, SIGUSR1);
    /* one that came while nobody waited is there for the next */
    kill(getpid(), SIGUSR2);
    rig_settle(&r);
    ck_assert_uint_eq(c.calls, 1);
    sonic_signal_async_wait(s, on_signal, &c);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_int_eq(c.signo, SIGUSR2);
    sonic_signal_free(s);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    ck_assert(sigismember(&now, SIGUSR1)); /* blocked as before */
    rig_close(&r);
}
END_TEST

static void
wait_again(sonic_signal *s, int err, int signo, void *ud)
{
    on_signal(s, err, signo, ud);
    if (err == 0)
        sonic_signal_async_wait(s, wait_again, ud);
}

START_TEST(several)
{
    struct rig r;
    struct caught c = {0};
    sonic_signal *s;

    rig_open(&r, _i);
    s = make(&r, SIGUSR1, SIGUSR2);
    sonic_signal_async_wait(s, wait_again, &c);
    for (int i = 0; i < 3; i++) {
        raise(SIGUSR1);
        raise(SIGUSR2);
        rig_settle(&r);
    }
    ck_assert_uint_eq(c.calls, 6);
    ck_assert_int_eq(c.all, 3 * (SIGUSR1 + SIGUSR2));
    hook_fail(&r.hook, HOOK_readv, -EINTR, 1);
    raise(SIGUSR1);
    rig_settle(&r);
    ck_assert_uint_eq(c.calls, 7);
    hook_fail(&r.hook, HOOK_readv, -EIO, 1);
    raise(SIGUSR1);
    rig_settle(&r);
    ck_assert_int_eq(c.err, -EIO);
    sonic_signal_async_wait(s, on_signal, &c);
    rig_settle(&r);
    ck_assert_int_eq(c.signo, SIGUSR1);
    rig_close(&r);
}
END_TEST

static void (*const ends[])(sonic_signal *s) = {
    sonic_signal_cancel, sonic_signal_close, sonic_signal_free};

START_TEST(ended)
{
    for (int how = 0; how < 3; how++) {
        struct rig r;
        struct caught c = {0};
        sonic_signal *s;

        rig_open(&r, _i);
        s = make(&r, SIGUSR1, SIGUSR2);
        sonic_signal_cancel(s); /* of nothing */
        sonic_signal_async_wait(s, on_signal, &c);
        if (how != 1)
            rig_settle(&r);
        ends[how](s);
        ck_assert_uint_eq(c.calls, 0);
        raise(SIGUSR1); /* too late */
        ck_assert_int_eq(sonic_io_run(r.io), 1);
        ck_assert_uint_eq(c.calls, 1);
        ck_assert_int_eq(c.err, -ECANCELED);
        ck_assert_int_eq(c.signo, 0);
        if (how < 2) {
            sonic_signal_async_wait(s, on_signal, &c);
            rig_settle(&r);
            ck_assert_uint_eq(c.calls, 2);
            ck_assert_int_eq(c.err, how == 0 ? 0 : SONIC_ECLOSED);
            sonic_signal_close(s);
            sonic_signal_free(s);
        }
        if (how > 0) { /* leave none behind */
            s = make(&r, SIGUSR1, SIGUSR1);
            ck_assert_int_eq(sonic_signal_wait(s), SIGUSR1);
        }
        rig_close(&r);
    }
    sonic_signal_free(NULL);
}
END_TEST

static void
end_and_wait(sonic_signal *s, int err, int signo, void *ud)
{
    struct caught *c = ud;

    on_signal(s, err, signo, ud);
    ck_assert_int_eq(sonic_signal_wait(s), -EBUSY);
    if (c->calls == 1) {
        sonic_signal_free(s);
        sonic_signal_async_wait(s, end_and_wait, c);
        ck_assert_int_eq(c->err, SONIC_ECLOSED);
    }
}

START_TEST(freed_in_its_callback)
{
    struct rig r;
    struct caught c = {0};

    rig_open(&r, _i);
    sonic_signal_async_wait(make(&r, SIGUSR1, SIGUSR2), end_and_wait, &c);
    raise(SIGUSR2);
    rig_settle(&r);
    ck_assert_uint_eq(c.calls, 2);
    rig_close(&r);
}
END_TEST

START_TEST(blocking_twin)
{
    struct rig r;
    struct caught c = {0};
    sonic_signal *s;

    rig_open(&r, _i);
    s = make(&r, SIGUSR1, SIGUSR2);
    raise(SIGUSR2);
    ck_assert_int_eq(sonic_signal_wait(s), SIGUSR2);
    sonic_io_stop(r.io);
    ck_assert_int_eq(sonic_signal_wait(s), SONIC_ESTOPPED);
    sonic_io_restart(r.io);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    sonic_signal_async_wait(s, on_signal, &c);
    ck_assert_int_eq(sonic_signal_wait(s), -EBUSY);
    raise(SIGUSR1);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    sonic_signal_close(s);
    ck_assert_int_eq(sonic_signal_wait(s), SONIC_ECLOSED);
    rig_close(&r);
}
END_TEST

START_TEST(making_fails)
{
    for (int what = 0; what < 2; what++)
        for (unsigned long n = 1;; n++) {
            struct rig r;
            sonic_signal *s;
            sigset_t set;
            bool failed;

            rig_open(&r, _i);
            sigemptyset(&set);
            sigaddset(&set, SIGUSR1);
            if (what == 0)
                hook_fail_nth(&r.hook, n);
            else
                hook_mem_fail_nth(&r.hook, n);
            if (sonic_signal_new(r.io, &set, &s) == 0)
                sonic_signal_free(s);
            failed = what == 0 ? r.hook.failed != HOOK_N : r.hook.mem_failed;
            hook_fail_nth(&r.hook, 0);
            hook_mem_fail_nth(&r.hook, 0);
            rig_close(&r);
            if (!failed)
                break;
        }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("signal");
    TCase *tc = tcase_create("signal");

    rig_add(tc, arrives);
    rig_add(tc, several);
    rig_add(tc, ended);
    rig_add(tc, freed_in_its_callback);
    rig_add(tc, blocking_twin);
    rig_add(tc, making_fails);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
