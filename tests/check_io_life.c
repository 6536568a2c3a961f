/* Making an io, stopping it, ending it; from its callbacks and from without. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

/* ---- the run modes, to be tried one after the other ------------------- */

static int
run_one_for(sonic_io *io)
{
    return sonic_io_run_one_for(io, SECOND);
}

static int
run_for(sonic_io *io)
{
    return sonic_io_run_for(io, SECOND);
}

static int
run_warm(sonic_io *io)
{
    return sonic_io_run_warm(io, 2, MS);
}

static int
run_until(sonic_io *io)
{
    bool done = false;

    return sonic_io_run_until(io, &done);
}

static int (*const modes[])(sonic_io *) = {
    sonic_io_run,       sonic_io_run_pending,
    sonic_io_run_one,   run_one_for,
    sonic_io_run_batch, run_for,
    run_warm,           sonic_io_run_spin,
    sonic_io_poll,      sonic_io_poll_one,
    run_until};

enum { MODES = sizeof modes / sizeof *modes, UNTIL = MODES - 1 };

/* ---- inside a callback ------------------------------------------------ */

static void
run_all(sonic_io *io, void *ud)
{
    ck_assert(sonic_io_inside(io));
    for (int i = 0; i < MODES; i++)
        ck_assert_int_eq(modes[i](io), -EBUSY);
    ++*(unsigned *)ud;
}

START_TEST(nested_run)
{
    struct rig r;
    unsigned ran = 0;

    rig_open(&r, _i);
    ck_assert(!sonic_io_inside(r.io));
    ck_assert_int_eq(sonic_io_post(r.io, run_all, &ran), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(ran, 1);
    rig_close(&r);
}
END_TEST

static void
run_refused(sonic_stream *s, int err, size_t n, void *ud)
{
    (void)n;
    ck_assert_int_eq(err, -ENOTCONN);
    run_all(sonic_stream_io(s), ud);
}

/* A callback that refuses runs inside the call, with no run call around. */
START_TEST(run_in_a_refusal)
{
    struct rig r;
    unsigned ran = 0;
    sonic_stream *s;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_stream_new(r.io, &s), 0);
    sonic_stream_async_write(s, "x", 1, run_refused, &ran);
    ck_assert_uint_eq(ran, 1);
    rig_close(&r);
}
END_TEST

/* ---- ending it in a callback ------------------------------------------ */

struct ending {
    struct rig r;
    void (*end)(sonic_io *io);
    sonic_stream *s;
    int peer;
    char buf[16];
    struct outcome read, write, timer, signal, post;
    int err_of_post; /* of a post after the end */
};

static void
on_signal_outcome(sonic_signal *s, int err, int signo, void *ud)
{
    struct outcome *o = ud;

    (void)s;
    ck_assert_int_eq(signo, 0);
    o->calls++;
    o->err = err;
}

/* One operation of each kind that will not complete by itself. */
static void
begin_all(struct ending *e)
{
    sonic_timer *t;
    sonic_signal *sig;
    sigset_t set;
    size_t stuffed;

    e->s = rig_full_stream(&e->r, &e->peer, &stuffed);
    sonic_stream_async_read(e->s, e->buf, sizeof e->buf, on_outcome, &e->read);
    sonic_stream_async_write(e->s, "x", 1, on_outcome, &e->write);
    ck_assert_int_eq(sonic_timer_new(e->r.io, &t), 0);
    sonic_timer_once(t, 3600 * SECOND, on_timer_outcome, &e->timer);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(sonic_signal_new(e->r.io, &set, &sig), 0);
    sonic_signal_async_wait(sig, on_signal_outcome, &e->signal);
}

static void
check_all_cancelled(const struct ending *e)
{
    const struct outcome *all[] = {&e->read, &e->write, &e->timer, &e->signal};

    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(all[i]->calls, 1);
        ck_assert_int_eq(all[i]->err, -ECANCELED);
    }
}

static void
do_nothing(sonic_io *io, void *ud)
{
    (void)io;
    (void)ud;
}

static void
end_it(sonic_io *io, void *ud)
{
    struct ending *e = ud;

    e->post.calls++;
    e->end(io);
    ck_assert_uint_eq(e->read.calls, 0); /* from the loop, not from here */
    e->end(io);                          /* twice is once */
    e->err_of_post = sonic_io_post(io, do_nothing, NULL);
}

static void (*const ends[])(sonic_io *io) = {sonic_io_close, sonic_io_free};

START_TEST(ended_in_a_callback)
{
    for (int mode = 0; mode < MODES; mode++)
        for (int how = 0; how < 2; how++) {
            static struct ending e;
            int ran;

            memset(&e, 0, sizeof e);
            e.end = ends[how];
            rig_open(&e.r, _i);
            begin_all(&e);
            ck_assert_int_eq(sonic_io_post(e.r.io, end_it, &e), 0);
            while (e.post.calls == 0) {
                ran = modes[mode](e.r.io);
                ck_assert_int_ge(ran, mode == UNTIL ? SONIC_ESTOPPED : 0);
            }
            ck_assert_int_eq(e.err_of_post, SONIC_ECLOSED);
            check_all_cancelled(&e);
            if (how == 0) {
                for (int i = 0; i < MODES; i++)
                    ck_assert_int_eq(modes[i](e.r.io), SONIC_ECLOSED);
                ck_assert_uint_eq(sonic_io_pending(e.r.io), 0);
                sonic_io_free(e.r.io);
            }
            close(e.peer);
            rig_closed(&e.r);
        }
}
END_TEST

START_TEST(ended_outside)
{
    for (int how = 0; how < 2; how++) {
        static struct ending e;
        struct outcome late = {0};

        memset(&e, 0, sizeof e);
        rig_open(&e.r, _i);
        begin_all(&e);
        if (how == 0) { /* everything has begun to wait */
            rig_settle(&e.r);
            sonic_io_close(e.r.io);
            check_all_cancelled(&e);
            sonic_io_close(e.r.io);
            sonic_stream_async_read(e.s, e.buf, 1, on_outcome, &late);
            ck_assert_int_eq(late.err, SONIC_ECLOSED);
            ck_assert_uint_eq(sonic_io_pending(e.r.io), 0);
        }
        sonic_io_free(e.r.io);
        check_all_cancelled(&e);
        close(e.peer);
        rig_closed(&e.r);
    }
    sonic_io_free(NULL);
}
END_TEST

/* A callback of the end may use whatever it likes: it is all closed. */
static void
on_end(sonic_stream *s, int err, size_t n, void *ud)
{
    struct ending *e = ud;
    sonic_stream *made;
    sonic_timer *t;

    on_outcome(s, err, n, &e->read);
    ck_assert_int_eq(err, -ECANCELED);
    sonic_stream_async_read(s, e->buf, 1, on_outcome, &e->write);
    ck_assert_int_eq(e->write.err, SONIC_ECLOSED);
    ck_assert_int_eq(sonic_stream_new(e->r.io, &made), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_timer_new(e->r.io, &t), SONIC_ECLOSED);
    sonic_stream_free(s);
    sonic_io_free(e->r.io);
}

START_TEST(end_in_the_end)
{
    struct ending e;

    memset(&e, 0, sizeof e);
    rig_open(&e.r, _i);
    e.s = rig_stream(&e.r, &e.peer);
    sonic_stream_async_read(e.s, e.buf, 1, on_end, &e);
    rig_settle(&e.r);
    sonic_io_free(e.r.io);
    ck_assert_uint_eq(e.read.calls, 1);
    ck_assert_uint_eq(e.write.calls, 1);
    close(e.peer);
    rig_closed(&e.r);
}
END_TEST

/* ---- stop ------------------------------------------------------------- */

struct stops {
    sonic_io *io;
    unsigned ran;
    char buf[4];
};

static void
stop_post(sonic_io *io, void *ud)
{
    struct stops *p = ud;

    if (++p->ran == 3)
        sonic_io_stop(io);
}

START_TEST(stop_in_a_handler)
{
    for (int mode = 0; mode < MODES; mode++) {
        struct rig r;
        struct stops p = {0};
        int ran;

        rig_open(&r, _i);
        for (int i = 0; i < 6; i++)
            ck_assert_int_eq(sonic_io_post(r.io, stop_post, &p), 0);
        while (p.ran < 3)
            ck_assert_int_ge(modes[mode](r.io), SONIC_ESTOPPED);
        ck_assert(sonic_io_stopped(r.io));
        ck_assert_uint_eq(p.ran, 3);
        for (int i = 0; i < MODES; i++) {
            ran = modes[i](r.io);
            ck_assert_int_eq(ran, i == UNTIL ? SONIC_ESTOPPED : 0);
        }
        ck_assert_uint_eq(p.ran, 3);
        ck_assert_uint_eq(sonic_io_posted(r.io), 3);
        sonic_io_restart(r.io);
        ck_assert(!sonic_io_stopped(r.io));
        ck_assert_int_eq(sonic_io_run(r.io), 3);
        rig_close(&r);
    }
}
END_TEST

static void
stop_read(sonic_stream *s, int err, size_t n, void *ud)
{
    struct stops *p = ud;

    ck_assert(err == 0 || err == -ECANCELED);
    (void)n;
    p->ran++;
    if (err == 0) {
        sonic_stream_async_read(s, p->buf, 1, stop_read, p);
        sonic_io_stop(sonic_stream_io(s));
    }
}

static void
stop_write(sonic_stream *s, int err, size_t n, void *ud)
{
    struct stops *p = ud;

    ck_assert(err == 0 || err == -ECANCELED);
    (void)n;
    p->ran++;
    if (err == 0)
        sonic_io_stop(sonic_stream_io(s));
}

/* "As soon as the handler has returned", also where a stream would go on: the
 * next byte is there, the next write is complete. */
START_TEST(stop_in_the_middle)
{
    struct rig r;
    struct stops p = {0};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_put(peer, "abcdefgh", 8);
    rig_await(sonic_stream_fd(s), POLLIN);
    sonic_stream_async_read(s, p.buf, 1, stop_read, &p);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(p.ran, 1);
    sonic_io_restart(r.io);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    sonic_stream_cancel(s, SONIC_READING);
    sonic_io_restart(r.io);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(p.ran, 3);
    for (int i = 0; i < 4; i++)
        sonic_stream_async_write(s, "x", 1, stop_write, &p);
    for (unsigned i = 4; i <= 7; i++) {
        ck_assert_int_eq(sonic_io_run(r.io), 1);
        ck_assert_uint_eq(p.ran, i);
        sonic_io_restart(r.io);
    }
    close(peer);
    rig_close(&r);
}
END_TEST

static void *
stop_from_thread(void *arg)
{
    struct stops *p = arg;

    sonic_io_stop(p->io);
    return NULL;
}

START_TEST(stop_from_a_thread)
{
    for (int mode = 0; mode < 5; mode++) {
        static int (*const blocking[])(sonic_io *) = {
            sonic_io_run, sonic_io_run_one, sonic_io_run_batch, run_warm,
            sonic_io_run_spin};
        struct rig r;
        struct stops p = {0};
        pthread_t id;

        rig_open(&r, _i);
        p.io = r.io;
        sonic_io_work_begin(r.io);
        for (int round = 0; round < 20; round++) {
            ck_assert_int_eq(pthread_create(&id, NULL, stop_from_thread, &p),
                             0);
            do /* a batch may be an old wake-up and nothing else */
                ck_assert_int_eq(blocking[mode](r.io), 0);
            while (mode == 2 && !sonic_io_stopped(r.io));
            ck_assert(sonic_io_stopped(r.io));
            pthread_join(id, NULL);
            sonic_io_restart(r.io);
        }
        rig_close(&r);
    }
}
END_TEST

static sonic_io *of_handler;

static void
stop_from_handler(int signo)
{
    (void)signo;
    errno = EXDEV;
    sonic_io_stop(of_handler);
    if (errno != EXDEV)
        abort();
}

START_TEST(stop_from_a_signal_handler)
{
    struct rig r;
    struct sigaction act = {.sa_handler = stop_from_handler}, old;

    rig_open(&r, _i);
    of_handler = r.io;
    sigaction(SIGUSR1, &act, &old);
    hook_fail(&r.hook, HOOK_writev, -EAGAIN, 1); /* waking it fails, even */
    raise(SIGUSR1);
    sonic_io_work_begin(r.io);
    ck_assert_int_eq(sonic_io_run(r.io), 0);
    sonic_io_restart(r.io);
    raise(SIGUSR1);
    ck_assert_int_eq(sonic_io_run(r.io), 0);
    sigaction(SIGUSR1, &old, NULL);
    rig_close(&r);
}
END_TEST

/* Ended while it is stopped, with something refused in between. */
START_TEST(stopped_and_ended)
{
    struct ending e;
    struct outcome refused = {0};

    memset(&e, 0, sizeof e);
    rig_open(&e.r, _i);
    begin_all(&e);
    rig_settle(&e.r);
    sonic_io_stop(e.r.io);
    sonic_stream_async_read(e.s, e.buf, 1, on_outcome, &refused);
    ck_assert_int_eq(refused.err, -EBUSY);
    sonic_io_free(e.r.io);
    check_all_cancelled(&e);
    close(e.peer);
    rig_closed(&e.r);
}
END_TEST

/* ---- making one ------------------------------------------------------- */

START_TEST(bad_options)
{
    sonic_io_options o = SONIC_IO_OPTIONS_INIT;
    unsigned fds = rig_open_fds();
    sonic_io *io;

    o.batch = 4097;
    ck_assert_int_eq(sonic_io_new(&io, &o), SONIC_EOPTION);
    o.batch = 4096;
    o.backend = (enum sonic_backend)99;
    ck_assert_int_eq(sonic_io_new(&io, &o), SONIC_EOPTION);
    o.backend = (enum sonic_backend) - 1;
    ck_assert_int_eq(sonic_io_new(&io, &o), SONIC_EOPTION);
    o.backend = SONIC_BACKEND_DEFAULT;
    o.buffer_limit = SIZE_MAX;
    ck_assert_int_eq(sonic_io_new(&io, &o), SONIC_EOPTION);
    o.buffer_limit = 0;
    o.buffer_size = SIZE_MAX;
    ck_assert_int_eq(sonic_io_new(&io, &o), SONIC_EOPTION);
    o.buffer_size = 1;
    o.batch = 1;
    ck_assert_int_eq(sonic_io_new(&io, &o), 0);
    sonic_io_free(io);
    ck_assert_uint_eq(rig_open_fds(), fds);
}
END_TEST

START_TEST(backend_by_environment)
{
    static const char *const names[] = {
#ifndef SONIC_WITHOUT_EPOLL
        "epoll",
#endif
#ifndef SONIC_WITHOUT_POLL
        "poll",
#endif
    };
    const char *old = getenv("SONIC_BACKEND");
    char *saved = old != NULL ? strdup(old) : NULL;
    sonic_io *io;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("SONIC_BACKEND", names[i], 1);
        ck_assert_int_eq(sonic_io_new(&io, NULL), 0);
        ck_assert_str_eq(sonic_io_backend_name(io), names[i]);
        sonic_io_free(io);
    }
    setenv("SONIC_BACKEND", "carrier-pigeon", 1);
    ck_assert_int_eq(sonic_io_new(&io, NULL), SONIC_EOPTION);
    setenv("SONIC_BACKEND", "", 1);
    ck_assert_int_eq(sonic_io_new(&io, NULL), 0);
    ck_assert_str_eq(sonic_io_backend_name(io), names[0]);
    sonic_io_free(io);
    unsetenv("SONIC_BACKEND");
    ck_assert_int_eq(sonic_io_new(&io, NULL), 0);
    ck_assert_str_eq(sonic_io_backend_name(io), names[0]);
    sonic_io_free(io);
    if (saved != NULL)
        setenv("SONIC_BACKEND", saved, 1);
    free(saved);
}
END_TEST

/* Each allocation, then each system call, fails in turn. */
START_TEST(making_fails)
{
    unsigned fds = rig_open_fds();

    for (int what = 0; what < 2; what++) {
        bool failed = true;

        for (unsigned long n = 1; failed; n++) {
            sonic_io_options o = SONIC_IO_OPTIONS_INIT;
            struct hook h;
            sonic_io *io;
            int err;

            hook_init(&h);
            o.sys = &h.sys;
            o.mem = &h.mem;
            o.backend = (enum sonic_backend)(RIG_FIRST + _i);
            if (what == 0)
                hook_mem_fail_nth(&h, n);
            else
                hook_fail_nth(&h, n);
            err = sonic_io_new(&io, &o);
            failed = what == 0 ? h.mem_failed : h.failed != HOOK_N;
            if (err == 0)
                sonic_io_free(io);
            else
                ck_assert(failed);
            ck_assert(what == 1 || !failed || err == -ENOMEM);
            ck_assert_uint_eq(hook_leaked(&h), 0);
            ck_assert_uint_eq(rig_open_fds(), fds);
            ck_assert_uint_lt(n, 100);
        }
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("io_life");
    TCase *tc = tcase_create("inside");

    rig_add(tc, nested_run);
    rig_add(tc, run_in_a_refusal);
    suite_add_tcase(suite, tc);
    tc = tcase_create("end");
    rig_add(tc, ended_in_a_callback);
    rig_add(tc, ended_outside);
    rig_add(tc, end_in_the_end);
    suite_add_tcase(suite, tc);
    tc = tcase_create("stop");
    rig_add(tc, stop_in_a_handler);
    rig_add(tc, stop_in_the_middle);
    rig_add(tc, stop_from_a_thread);
    rig_add(tc, stop_from_a_signal_handler);
    rig_add(tc, stopped_and_ended);
    suite_add_tcase(suite, tc);
    tc = tcase_create("make");
    tcase_add_test(tc, bad_options);
    tcase_add_test(tc, backend_by_environment);
    rig_add(tc, making_fails);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
