/* Files that are cancelled, closed or freed while the other thread is at
 * them, or the io is. */
#include <sonicio/file.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

/* A gate in the way of pread, and of open: a call that has come in stays there
 * until it is opened. */
static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned inside;
    bool open;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};

static void
pass_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    pthread_cond_broadcast(&gate.moved);
    while (!gate.open)
        pthread_cond_wait(&gate.moved, &gate.lock);
    gate.inside--;
    pthread_mutex_unlock(&gate.lock);
}

static ssize_t
gated_pread(int fd, void *buf, size_t len, int64_t off, void *ud)
{
    struct hook *h = ud;

    pass_gate();
    return h->below->pread(fd, buf, len, off, h->below->ud);
}

static int
gated_open(const char *path, int flags, unsigned mode, void *ud)
{
    struct hook *h = ud;

    pass_gate();
    return h->below->open(path, flags, mode, h->below->ud);
}

static void
open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
}

/* Until n calls are inside. */
static void
await_inside(unsigned n)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.inside != n)
        pthread_cond_wait(&gate.moved, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void *
opener(void *arg)
{
    (void)arg;
    open_gate();
    return NULL;
}

struct told {
    unsigned calls;
    int err;
    size_t n;
    sonic_file *free_it;
};

static void
on_file(sonic_file *f, int err, size_t n, void *ud)
{
    struct told *t = ud;

    (void)f;
    t->calls++;
    t->err = err;
    t->n = n;
    sonic_file_free(t->free_it);
    t->free_it = NULL;
}

static sonic_file *
begin(struct rig *r, int i)
{
    char path[] = "/tmp/sonicio-file-XXXXXX";
    sonic_file *f;
    int fd;

    rig_open(r, i);
    fd = mkstemp(path);
    r->hook.sys.pread = gated_pread;
    gate.open = false;
    ck_assert_int_ge(fd, 0);
    unlink(path);
    ck_assert_int_eq(write(fd, "abcdef", 6), 6);
    ck_assert_int_eq(lseek(fd, 1, SEEK_SET), 1);
    ck_assert_int_eq(sonic_file_adopt(r->io, fd, NULL, &f), 0);
    ck_assert_int_eq(sonic_file_position(f), 1); /* where it stood */
    return f;
}

START_TEST(cancelled)
{
    struct rig r;
    struct told first = {0}, rest = {0};
    sonic_file *f = begin(&r, _i);
    char c = 0, d = 0;

    sonic_file_async_read(f, &c, 1, on_file, &first);
    await_inside(1);
    for (int i = 0; i < 3; i++)
        sonic_file_async_read(f, &d, 1, on_file, &rest);
    sonic_file_cancel(f);
    RIG_UNTIL(&r, rest.calls == 3); /* before that which is begun */
    ck_assert_int_eq(rest.err, -ECANCELED);
    ck_assert_uint_eq(rest.n, 0);
    ck_assert_uint_eq(first.calls, 0);
    open_gate();
    RIG_UNTIL(&r, first.calls == 1);
    ck_assert_int_eq(first.err, 0); /* it says what it did */
    ck_assert_int_eq(c, 'b');
    ck_assert_int_eq(d, 0);
    ck_assert_int_eq(sonic_file_position(f), 2);
    ck_assert_int_eq(sonic_file_read(f, &d, 1, NULL), 0);
    ck_assert_int_eq(d, 'c');
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

/* The library's four threads are all taken, so the fifth is not begun. */
START_TEST(cancelled_before_it_began)
{
    struct rig r;
    struct told busy = {0}, t = {0};
    sonic_file *f = begin(&r, _i), *others[4];
    char c[5] = "";

    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(
            sonic_file_adopt(r.io, dup(sonic_file_fd(f)), NULL, &others[i]), 0);
        sonic_file_async_read(others[i], &c[i], 1, on_file, &busy);
    }
    await_inside(4);
    sonic_file_async_read(f, &c[4], 1, on_file, &t);
    sonic_file_cancel(f);
    RIG_UNTIL(&r, t.calls == 1);
    ck_assert_int_eq(t.err, -ECANCELED);
    sonic_file_async_read(f, &c[4], 1, on_file, &t); /* waits for its job */
    sonic_file_async_read(f, &c[4], 1, on_file, &t);
    sonic_file_cancel(f);
    RIG_UNTIL(&r, t.calls == 3);
    sonic_file_async_read(f, &c[4], 1, on_file, &t);
    open_gate();
    RIG_UNTIL(&r, t.calls == 4 && busy.calls == 4);
    ck_assert_int_eq(t.err, 0);
    ck_assert_int_eq(c[4], 'b');
    for (int i = 0; i < 4; i++)
        sonic_file_free(others[i]);
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

/* Jobs are taken back from the middle of the queue and from its end. */
START_TEST(taken_back_from_among_others)
{
    struct rig r;
    struct told t[8] = {{0}};
    sonic_file *f[8];
    char c[8] = "";

    f[0] = begin(&r, _i);
    for (int i = 1; i < 8; i++)
        ck_assert_int_eq(
            sonic_file_adopt(r.io, dup(sonic_file_fd(f[0])), NULL, &f[i]), 0);
    for (int i = 0; i < 4; i++)
        sonic_file_async_read(f[i], &c[i], 1, on_file, &t[i]);
    await_inside(4);
    for (int i = 4; i < 7; i++)
        sonic_file_async_read(f[i], &c[i], 1, on_file, &t[i]);
    sonic_file_cancel(f[5]);
    sonic_file_cancel(f[6]);
    sonic_file_async_read(f[7], &c[7], 1, on_file, &t[7]); /* behind f[4] */
    open_gate();
    for (int i = 0; i < 8; i++)
        RIG_UNTIL(&r, t[i].calls == 1);
    for (int i = 0; i < 8; i++) {
        bool gone = i == 5 || i == 6;

        ck_assert_int_eq(t[i].err, gone ? -ECANCELED : 0);
        ck_assert_int_eq(c[i], gone ? 0 : 'b');
        sonic_file_free(f[i]);
    }
    rig_close(&r);
}
END_TEST

START_TEST(closed_meanwhile)
{
    struct rig r;
    struct told t = {0}, rest = {0};
    sonic_file *f = begin(&r, _i);
    unsigned fds = rig_open_fds();
    char c = 0;

    sonic_file_async_read(f, &c, 1, on_file, &t);
    await_inside(1);
    sonic_file_async_read(f, &c, 1, on_file, &rest);
    sonic_file_close(f);
    ck_assert_int_eq(sonic_file_fd(f), -1);
    RIG_UNTIL(&r, rest.calls == 1);
    ck_assert_int_eq(rest.err, -ECANCELED);
    open_gate();
    RIG_UNTIL(&r, t.calls == 1);
    ck_assert_int_eq(t.err, 0);
    ck_assert_int_eq(c, 'b');
    ck_assert_uint_eq(rig_open_fds(), fds - 1); /* closed, not freed */
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

START_TEST(freed_meanwhile)
{
    struct rig r;
    struct told t = {0}, rest = {0};
    sonic_file *f = begin(&r, _i);
    char c = 0;

    sonic_file_async_read(f, &c, 1, on_file, &t);
    await_inside(1);
    sonic_file_async_read(f, &c, 1, on_file, &rest);
    sonic_file_free(f);
    open_gate();
    RIG_UNTIL(&r, t.calls + rest.calls == 2);
    ck_assert_int_eq(t.err, 0);
    ck_assert_int_eq(rest.err, -ECANCELED);
    rig_close(&r);
}
END_TEST

START_TEST(freed_in_a_callback)
{
    struct rig r;
    struct told t = {0}, rest = {0};
    sonic_file *f = begin(&r, _i);
    char c = 0;

    open_gate();
    t.free_it = f;
    sonic_file_async_read(f, &c, 1, on_file, &t);
    for (int i = 0; i < 3; i++)
        sonic_file_async_read(f, &c, 1, on_file, &rest);
    RIG_UNTIL(&r, t.calls == 1 && rest.calls == 3);
    ck_assert_int_eq(t.err, 0);
    ck_assert_int_eq(rest.err, -ECANCELED);
    rig_close(&r);
}
END_TEST

/* The io ends: it waits for what the other thread has begun, because a buffer
 * of the caller's is lent to it. */
START_TEST(the_io_ends)
{
    struct rig r;
    struct told t = {0}, rest = {0};
    sonic_file *f = begin(&r, _i);
    pthread_t id;
    char c = 0;

    sonic_file_async_read(f, &c, 1, on_file, &t);
    await_inside(1);
    sonic_file_async_read(f, &c, 1, on_file, &rest);
    ck_assert_int_eq(pthread_create(&id, NULL, opener, NULL), 0);
    sonic_io_free(r.io);
    ck_assert_uint_eq(t.calls, 1);
    ck_assert_int_eq(t.err, 0);
    ck_assert_int_eq(c, 'b');
    ck_assert_uint_eq(rest.calls, 1);
    ck_assert_int_eq(rest.err, -ECANCELED);
    pthread_join(id, NULL);
    rig_closed(&r);
}
END_TEST

START_TEST(the_io_ends_before_it_began)
{
    struct rig r;
    struct told t = {0};
    sonic_file *f = begin(&r, _i);
    char c = 0;

    open_gate();
    for (int i = 0; i < 20; i++)
        sonic_file_async_read_at(f, &c, 1, 0, on_file, &t);
    sonic_file_close(f);
    sonic_io_free(r.io);
    ck_assert_uint_eq(t.calls, 20);
    rig_closed(&r);
}
END_TEST

/* A pipe's file goes with the io, a read under way. */
START_TEST(the_io_ends_with_a_pipe)
{
    struct rig r;
    struct told t = {0};
    sonic_file *f;
    int fd[2];
    char c;

    rig_open(&r, _i);
    ck_assert_int_eq(pipe(fd), 0);
    ck_assert_int_eq(sonic_file_adopt(r.io, fd[0], NULL, &f), 0);
    sonic_file_async_read(f, &c, 1, on_file, &t);
    if (_i % 2 == 0)
        sonic_file_free(f);
    sonic_io_free(r.io);
    ck_assert_uint_eq(t.calls, 1);
    ck_assert_int_eq(t.err, -ECANCELED);
    close(fd[1]);
    rig_closed(&r);
}
END_TEST

static void
free_io(sonic_file *f, int err, size_t n, void *ud)
{
    struct told *t = ud;

    t->calls++;
    t->err = err;
    t->n = n;
    sonic_io_free(sonic_file_io(f));
}

START_TEST(the_io_goes_in_a_callback)
{
    struct rig r;
    struct told t = {0}, rest = {0};
    sonic_file *f = begin(&r, _i);
    char c;

    open_gate();
    sonic_file_async_read(f, &c, 1, free_io, &t);
    sonic_file_async_read(f, &c, 1, on_file, &rest);
    while (t.calls == 0)
        ck_assert_int_ge(sonic_io_run_one(r.io), 0);
    ck_assert_uint_eq(rest.calls, 1);
    rig_closed(&r);

    f = begin(&r, _i);
    sonic_file_async_read_at(f, &c, 1, -1, free_io, &t); /* refused */
    ck_assert_uint_eq(t.calls, 2);
    rig_closed(&r);
}
END_TEST

/* The blocking form waits for what is queued, unless the io is stopped. */
START_TEST(stopped_while_waiting)
{
    struct rig r;
    struct told t = {0};
    sonic_file *f = begin(&r, _i);
    char c, d;

    sonic_file_async_read(f, &c, 1, on_file, &t);
    await_inside(1);
    sonic_io_stop(r.io);
    ck_assert_int_eq(sonic_file_read(f, &d, 1, NULL), SONIC_ESTOPPED);
    sonic_io_restart(r.io);
    open_gate();
    ck_assert_int_eq(sonic_file_read(f, &d, 1, NULL), 0);
    ck_assert_uint_eq(t.calls, 1);
    ck_assert_int_eq(c, 'b');
    ck_assert_int_eq(d, 'c');
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

/* ---- opening ---------------------------------------------------------- */

struct opened {
    unsigned calls;
    int err;
    sonic_file *file;
};

static void
on_open(sonic_file *f, int err, size_t n, void *ud)
{
    struct opened *o = ud;

    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(f == NULL, err < 0);
    o->calls++;
    o->err = err;
    o->file = f;
}

START_TEST(opened_elsewhere)
{
    struct rig r;
    struct opened o = {0};
    char c[4];

    rig_open(&r, _i);
    sonic_file_async_open(r.io, "/proc/self/exe", O_RDONLY, 0, NULL, on_open,
                          &o);
    ck_assert_uint_eq(o.calls, 0);
    ck_assert_uint_eq(sonic_io_pending(r.io), 1);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert_int_eq(sonic_file_read(o.file, c, 4, NULL), 0);
    ck_assert_mem_eq(c, "\177ELF", 4);
    sonic_file_free(o.file);
    sonic_file_async_open(r.io, "/dev/null", O_RDONLY, 0, NULL, on_open, &o);
    RIG_UNTIL(&r, o.calls == 2);
    ck_assert_int_eq(sonic_file_read(o.file, c, 4, NULL), SONIC_EOF);
    sonic_file_free(o.file);
    sonic_file_async_open(r.io, "/nowhere", O_RDONLY, 0, NULL, on_open, &o);
    RIG_UNTIL(&r, o.calls == 3);
    ck_assert_int_eq(o.err, -ENOENT);
    sonic_file_async_open(r.io, "/", O_RDONLY, 0, NULL, on_open, &o);
    RIG_UNTIL(&r, o.calls == 4);
    ck_assert_int_eq(o.err, -EISDIR);
    for (unsigned long n = 1; n <= 2; n++) {
        hook_mem_fail_nth(&r.hook, n);
        sonic_file_async_open(r.io, "/", O_RDONLY, 0, NULL, on_open, &o);
        ck_assert_uint_eq(o.calls, 4 + n);
        ck_assert_int_eq(o.err, -ENOMEM);
    }
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    rig_close(&r);
}
END_TEST

/* Nobody's memory is lent to it: the io does not wait. */
START_TEST(the_io_ends_while_opening)
{
    struct rig r;
    struct opened o[5] = {{0}};

    rig_open(&r, _i);
    r.hook.sys.open = gated_open;
    gate.open = false;
    for (int i = 0; i < 5; i++) /* four threads, and one that must wait */
        sonic_file_async_open(r.io, "/dev/null", O_RDONLY, 0, NULL, on_open,
                              &o[i]);
    await_inside(4);
    sonic_io_free(r.io);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(o[i].calls, 1);
        ck_assert_int_eq(o[i].err, -ECANCELED);
    }
    open_gate();
    while (hook_leaked(&r.hook) > 0 || rig_open_fds() != r.fds)
        sched_yield(); /* until the threads have cleaned up */
    rig_closed(&r);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("file_life");
    TCase *tc = tcase_create("life");

    rig_add(tc, cancelled);
    rig_add(tc, cancelled_before_it_began);
    rig_add(tc, taken_back_from_among_others);
    rig_add(tc, closed_meanwhile);
    rig_add(tc, freed_meanwhile);
    rig_add(tc, freed_in_a_callback);
    rig_add(tc, the_io_ends);
    rig_add(tc, the_io_ends_before_it_began);
    rig_add(tc, the_io_ends_with_a_pipe);
    rig_add(tc, the_io_goes_in_a_callback);
    rig_add(tc, stopped_while_waiting);
    rig_add(tc, opened_elsewhere);
    rig_add(tc, the_io_ends_while_opening);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
