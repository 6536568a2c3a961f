/* Files: positions, order, ends and errors, in both forms. */
#include <sonicio/file.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/rig.h"

static char dir[] = "/tmp/sonicio-file-XXXXXX";
static char path[64];

static void
make_place(void)
{
    strcpy(dir, "/tmp/sonicio-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
}

static void
clear_place(void)
{
    unlink(path);
    rmdir(dir);
}

struct told {
    unsigned calls;
    int err;
    size_t n;
};

static void
on_file(sonic_file *f, int err, size_t n, void *ud)
{
    struct told *t = ud;

    (void)f;
    t->calls++;
    t->err = err;
    t->n = n;
}

static sonic_file *
open_file(struct rig *r, int flags)
{
    sonic_file *f;

    ck_assert_int_eq(sonic_file_open(r->io, path, flags, 0600, NULL, &f), 0);
    ck_assert(sonic_file_is_open(f));
    ck_assert_ptr_eq(sonic_file_io(f), r->io);
    return f;
}

#define FRESH (O_RDWR | O_CREAT | O_TRUNC)

/* ---- the blocking form ------------------------------------------------ */

START_TEST(positions)
{
    struct rig r;
    sonic_file *f;
    char got[16] = "";
    int64_t at;
    size_t n;

    rig_open(&r, _i);
    f = open_file(&r, FRESH);
    ck_assert_int_eq(sonic_file_write(f, "hello, world", 12, &n), 0);
    ck_assert_uint_eq(n, 12);
    ck_assert_int_eq(sonic_file_position(f), 12);
    ck_assert_int_eq(sonic_file_size(f, &at), 0);
    ck_assert_int_eq(at, 12);
    ck_assert_int_eq(sonic_file_read(f, got, 5, &n), SONIC_EOF);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(sonic_file_read(f, got, 0, &n), 0); /* not the end */
    ck_assert_int_eq(sonic_file_seek(f, 7, SEEK_SET, &at), 0);
    ck_assert_int_eq(at, 7);
    ck_assert_int_eq(sonic_file_read(f, got, 3, NULL), 0);
    ck_assert_mem_eq(got, "wor", 3);
    ck_assert_int_eq(sonic_file_seek(f, -5, SEEK_CUR, &at), 0);
    ck_assert_int_eq(at, 5);
    ck_assert_int_eq(sonic_file_seek(f, -5, SEEK_END, NULL), 0);
    ck_assert_int_eq(sonic_file_read(f, got, 16, &n), 0); /* what there is */
    ck_assert_uint_eq(n, 5);
    ck_assert_mem_eq(got, "world", 5);

    ck_assert_int_eq(sonic_file_seek(f, 3, SEEK_SET, NULL), 0);
    ck_assert_int_eq(sonic_file_read_at(f, got, 4, 0, &n), 0);
    ck_assert_mem_eq(got, "hell", 4);
    ck_assert_int_eq(sonic_file_write_at(f, "J", 1, 0, NULL), 0);
    ck_assert_int_eq(sonic_file_position(f), 3); /* neither moved it */
    ck_assert_int_eq(sonic_file_seek(f, 8, SEEK_SET, NULL), 0);
    ck_assert_int_eq(sonic_file_read_all(f, got, 16, &n), SONIC_EOF);
    ck_assert_uint_eq(n, 4); /* and the bytes before it */
    ck_assert_mem_eq(got, "orld", 4);
    ck_assert_int_eq(sonic_file_position(f), 12);
    ck_assert_int_eq(sonic_file_sync(f), 0);
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

START_TEST(beyond_4_gib)
{
    const int64_t far = INT64_C(5) << 30;
    struct rig r;
    sonic_file *f;
    int64_t size;
    char c;

    rig_open(&r, _i);
    f = open_file(&r, FRESH);
    ck_assert_int_eq(sonic_file_seek(f, far, SEEK_SET, NULL), 0);
    ck_assert_int_eq(sonic_file_write(f, "x", 1, NULL), 0);
    ck_assert_int_eq(sonic_file_size(f, &size), 0);
    ck_assert_int_eq(size, far + 1);
    ck_assert_int_eq(sonic_file_read_at(f, &c, 1, far, NULL), 0);
    ck_assert_int_eq(c, 'x');
    ck_assert_int_eq(sonic_file_read_at(f, &c, 1, far - 1, NULL), 0);
    ck_assert_int_eq(c, 0); /* a hole */
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

START_TEST(appending)
{
    struct rig r;
    sonic_file *f, *other;
    char got[8];

    rig_open(&r, _i);
    f = open_file(&r, FRESH | O_APPEND);
    other = open_file(&r, O_WRONLY | O_APPEND);
    ck_assert_int_eq(sonic_file_write(f, "ab", 2, NULL), 0);
    ck_assert_int_eq(sonic_file_write(other, "cd", 2, NULL), 0);
    ck_assert_int_eq(sonic_file_seek(f, 0, SEEK_SET, NULL), 0);
    ck_assert_int_eq(sonic_file_write(f, "ef", 2, NULL), 0);
    ck_assert_int_eq(sonic_file_position(f), 6); /* behind what it wrote */
    ck_assert_int_eq(sonic_file_read_at(f, got, 6, 0, NULL), 0);
    ck_assert_mem_eq(got, "abcdef", 6);
    ck_assert_int_eq(sonic_file_read(other, got, 1, NULL), -EBADF);
    sonic_file_free(f);
    sonic_file_free(other);
    rig_close(&r);
}
END_TEST

START_TEST(what_is_refused)
{
    struct rig r;
    struct told t = {0};
    sonic_file *f;
    int64_t at;
    char c = 0;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_file_open(r.io, path, O_RDONLY, 0, NULL, &f),
                     -ENOENT);
    ck_assert_int_eq(sonic_file_open(r.io, dir, O_RDONLY, 0, NULL, &f),
                     -EISDIR);
    ck_assert_int_eq(sonic_file_open(r.io, dir, O_RDWR, 0, NULL, &f), -EISDIR);
    ck_assert_int_eq(
        sonic_file_open(r.io, dir, O_RDONLY | O_DIRECTORY, 0, NULL, &f),
        -EISDIR);
    f = open_file(&r, FRESH);
    ck_assert_int_eq(sonic_file_read_at(f, &c, 1, -1, NULL), -EINVAL);
    ck_assert_int_eq(sonic_file_write_at(f, &c, 1, -1, NULL), -EINVAL);
    ck_assert_int_eq(sonic_file_write_at(f, &c, 1, INT64_MAX, NULL), -EINVAL);
    ck_assert_int_eq(sonic_file_seek(f, -1, SEEK_SET, NULL), -EINVAL);
    ck_assert_int_eq(sonic_file_seek(f, 5, SEEK_SET, NULL), 0);
    ck_assert_int_eq(sonic_file_seek(f, -6, SEEK_CUR, &at), -EINVAL);
    ck_assert_int_eq(at, 5);
    ck_assert_int_eq(sonic_file_seek(f, INT64_MAX, SEEK_CUR, NULL), -EOVERFLOW);
    ck_assert_int_eq(sonic_file_seek(f, INT64_MIN, SEEK_CUR, NULL), -EINVAL);
    ck_assert_int_eq(sonic_file_seek(f, 0, 77, NULL), -EINVAL);
    ck_assert_int_eq(sonic_file_seek(f, 0, -1, NULL), -EINVAL);
    ck_assert_int_eq(sonic_file_position(f), 5);
    sonic_file_async_read_at(f, &c, 1, -1, on_file, &t);
    ck_assert_uint_eq(t.calls, 1); /* before the call returned */
    ck_assert_int_eq(t.err, -EINVAL);
    sonic_file_close(f);
    sonic_file_close(f);
    ck_assert(!sonic_file_is_open(f));
    ck_assert_int_eq(sonic_file_fd(f), -1);
    sonic_file_async_read(f, &c, 1, on_file, &t);
    ck_assert_uint_eq(t.calls, 2);
    ck_assert_int_eq(t.err, SONIC_ECLOSED);
    ck_assert_int_eq(sonic_file_read(f, &c, 1, NULL), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_file_size(f, &at), SONIC_ECLOSED);
    sonic_file_cancel(f);
    sonic_file_free(f);
    sonic_file_free(NULL);
    rig_close(&r);
}
END_TEST

/* ---- the asynchronous form -------------------------------------------- */

/* Order: each takes the position that the one before it left. */
START_TEST(in_the_order_of_the_calls)
{
    enum { N = 1000 };
    struct rig r;
    struct told writes = {0}, seek = {0}, reads = {0}, sync = {0};
    static char in[N], out[N];
    sonic_file *f;

    rig_open(&r, _i);
    f = open_file(&r, FRESH);
    rig_fill(in, N, 0);
    for (int i = 0; i < N / 4; i++)
        sonic_file_async_write(f, in + 4 * i, 4, on_file, &writes);
    sonic_file_async_sync(f, on_file, &sync);
    sonic_file_async_seek(f, -N, SEEK_CUR, on_file, &seek);
    for (int i = 0; i < N / 2; i++)
        sonic_file_async_read_all(f, out + 2 * i, 2, on_file, &reads);
    ck_assert_uint_eq(sonic_file_queued(f), N / 4 + N / 2 + 2);
    ck_assert_uint_eq(writes.calls, 0);
    RIG_UNTIL(&r, reads.calls == N / 2);
    ck_assert_uint_eq(writes.calls, N / 4);
    ck_assert_int_eq(writes.err, 0);
    ck_assert_uint_eq(sync.calls, 1);
    ck_assert_int_eq(sync.err, 0);
    ck_assert_uint_eq(seek.calls, 1);
    ck_assert_int_eq(seek.err, 0);
    ck_assert_uint_eq(seek.n, 0);
    ck_assert(rig_same(out, N, 0));
    ck_assert_uint_eq(sonic_file_queued(f), 0);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    sonic_file_async_read(f, out, 1, on_file, &reads);
    RIG_UNTIL(&r, reads.calls == N / 2 + 1);
    ck_assert_int_eq(reads.err, SONIC_EOF);
    sonic_file_async_read(f, out, 0, on_file, &reads);
    /* the blocking form waits for what is queued */
    ck_assert_int_eq(sonic_file_write(f, "!", 1, NULL), 0);
    ck_assert_uint_eq(reads.calls, N / 2 + 2);
    ck_assert_int_eq(reads.err, 0);
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

struct chain {
    unsigned left;
    char c;
    uint64_t sum;
    const struct rig *r;
};

static void
on_link(sonic_file *f, int err, size_t n, void *ud)
{
    struct chain *c = ud;

    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(n, 1);
    c->sum += (uint8_t)c->c;
    ck_assert_int_eq(sonic_file_read_at(f, &c->c, 1, 0, NULL), -EBUSY);
    if (--c->left > 0)
        sonic_file_async_read(f, &c->c, 1, on_link, c);
}

/* A read in the callback of the one before, far past 32 of them: D7. */
START_TEST(one_after_the_other)
{
    enum { N = 2000 };
    struct rig r;
    struct chain c = {.left = N};
    static uint8_t in[N];
    unsigned long allocs;
    uint64_t sum = 0;
    sonic_file *f;

    rig_open(&r, _i);
    f = open_file(&r, FRESH);
    rig_fill(in, N, 0);
    for (int i = 0; i < N; i++)
        sum += in[i];
    ck_assert_int_eq(sonic_file_write(f, in, N, NULL), 0);
    ck_assert_int_eq(sonic_file_seek(f, 0, SEEK_SET, NULL), 0);
    sonic_file_async_read(f, &c.c, 1, on_link, &c);
    RIG_UNTIL(&r, c.left == N / 2);
    allocs = r.hook.allocs;
    RIG_UNTIL(&r, c.left == 0);
    ck_assert_uint_eq(c.sum, sum);
    ck_assert_uint_eq(r.hook.allocs, allocs); /* nothing in the steady state */
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

START_TEST(one_handler_at_a_time)
{
    struct rig r;
    struct told t = {0};
    sonic_file *f;
    char c;

    rig_open(&r, _i);
    f = open_file(&r, FRESH);
    ck_assert_int_eq(sonic_file_write(f, "abc", 3, NULL), 0);
    for (int i = 0; i < 3; i++)
        sonic_file_async_read_at(f, &c, 1, i, on_file, &t);
    sonic_file_cancel(f); /* all are ready now, or two are */
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(sonic_io_run_one(r.io), 1);
        ck_assert_uint_eq(t.calls, i);
    }
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

START_TEST(limits)
{
    struct rig r;
    struct told t = {0}, late = {0};
    sonic_file_options o = SONIC_FILE_OPTIONS_INIT;
    sonic_file *f;
    char c[3];

    rig_open(&r, _i);
    o.max_queued = 2;
    ck_assert_int_eq(sonic_file_open(r.io, path, FRESH, 0600, &o, &f), 0);
    ck_assert_int_eq(sonic_file_write(f, "abc", 3, NULL), 0);
    sonic_file_async_read_at(f, c, 1, 0, on_file, &t);
    sonic_file_async_read_at(f, c + 1, 1, 1, on_file, &t);
    sonic_file_async_read_at(f, c + 2, 1, 2, on_file, &late);
    ck_assert_uint_eq(late.calls, 1);
    ck_assert_int_eq(late.err, SONIC_EQUEUE);
    RIG_UNTIL(&r, t.calls == 2);
    ck_assert_mem_eq(c, "ab", 2);
    sonic_file_free(f);
    hook_mem_fail_nth(&r.hook, 1);
    ck_assert_int_eq(sonic_file_open(r.io, path, O_RDWR, 0, &o, &f), -ENOMEM);
    ck_assert_int_eq(sonic_file_open(r.io, path, O_RDWR, 0, &o, &f), 0);
    hook_mem_fail_nth(&r.hook, 1);
    sonic_file_async_read(f, c, 1, on_file, &late);
    ck_assert_uint_eq(late.calls, 2);
    ck_assert_int_eq(late.err, -ENOMEM);
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

/* Each call of open in turn fails; nothing is left. */
START_TEST(opening_fails)
{
    struct rig r;
    sonic_file *f;
    unsigned long n;

    rig_open(&r, _i);
    sonic_file_free(open_file(&r, FRESH));
    rig_settle(&r);
    for (n = 1;; n++) {
        int err;

        hook_fail_nth(&r.hook, n);
        err = sonic_file_open(r.io, path, O_RDWR, 0, NULL, &f);
        hook_fail_nth(&r.hook, 0);
        if (err == 0)
            break;
        rig_settle(&r);
    }
    ck_assert_uint_eq(n, 5); /* open, fstat, fcntl, lseek */
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

START_TEST(calls_that_fall_short)
{
    struct rig r;
    struct told t = {0};
    sonic_file *f;
    char got[8];
    size_t n;

    rig_open(&r, _i);
    hook_fail(&r.hook, HOOK_open, -EINTR, 2);
    f = open_file(&r, FRESH);
    hook_fail(&r.hook, HOOK_pwrite, -EINTR, 3);
    ck_assert_int_eq(sonic_file_write(f, "abcdef", 6, NULL), 0);
    hook_fail(&r.hook, HOOK_fsync, -EINTR, 3);
    ck_assert_int_eq(sonic_file_sync(f), 0);
    hook_fail(&r.hook, HOOK_fsync, -EIO, 1);
    ck_assert_int_eq(sonic_file_sync(f), -EIO);
    hook_fail(&r.hook, HOOK_pwrite, -ENOSPC, 1);
    ck_assert_int_eq(sonic_file_write(f, "x", 1, &n), -ENOSPC);
    ck_assert_uint_eq(n, 0);
    hook_fail(&r.hook, HOOK_pread, -EIO, 1);
    sonic_file_async_read_at(f, got, 6, 0, on_file, &t);
    RIG_UNTIL(&r, t.calls == 1);
    ck_assert_int_eq(t.err, -EIO);
    hook_fail(&r.hook, HOOK_pread, -EINTR, 3);
    sonic_file_async_read_at(f, got, 6, 0, on_file, &t);
    RIG_UNTIL(&r, t.calls == 2);
    ck_assert_int_eq(t.err, 0);
    ck_assert_mem_eq(got, "abcdef", 6);
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

/* ---- files that are streams ------------------------------------------- */

START_TEST(a_pipe)
{
    struct rig r;
    struct told t = {0};
    sonic_file *f, *w;
    char got[8];
    int fd[2];
    int64_t at;
    size_t n;

    rig_open(&r, _i);
    ck_assert_int_eq(pipe(fd), 0);
    ck_assert_int_eq(sonic_file_adopt(r.io, fd[0], NULL, &f), 0);
    ck_assert_int_eq(sonic_file_adopt(r.io, fd[1], NULL, &w), 0);
    ck_assert_ptr_nonnull(sonic_file_stream(f));
    ck_assert_int_eq(sonic_file_fd(f), fd[0]);
    sonic_file_async_read(f, got, 8, on_file, &t);
    rig_settle(&r);
    ck_assert_uint_eq(t.calls, 0);
    ck_assert_uint_eq(sonic_file_queued(f), 1);
    ck_assert_int_eq(sonic_file_write(w, "abc", 3, &n), 0);
    ck_assert_uint_eq(n, 3);
    RIG_UNTIL(&r, t.calls == 1);
    ck_assert_uint_eq(t.n, 3);
    sonic_file_async_read_all(f, got, 4, on_file, &t);
    sonic_file_async_write(w, "defg", 4, on_file, &t);
    RIG_UNTIL(&r, t.calls == 3);
    ck_assert_mem_eq(got, "defg", 4);
    ck_assert_int_eq(sonic_file_read_at(f, got, 1, 0, NULL), -ESPIPE);
    ck_assert_int_eq(sonic_file_write_at(w, got, 1, 0, NULL), -ESPIPE);
    ck_assert_int_eq(sonic_file_seek(f, 0, SEEK_SET, NULL), -ESPIPE);
    ck_assert_int_eq(sonic_file_size(f, &at), -ESPIPE);
    ck_assert_int_eq(sonic_file_sync(f), -EINVAL);
    sonic_file_async_seek(f, 0, SEEK_SET, on_file, &t);
    ck_assert_uint_eq(t.calls, 4);
    ck_assert_int_eq(t.err, -ESPIPE);
    sonic_file_async_read(f, got, 1, on_file, &t);
    sonic_file_cancel(f);
    RIG_UNTIL(&r, t.calls == 5);
    ck_assert_int_eq(t.err, -ECANCELED);
    ck_assert_int_eq(sonic_file_write(w, "h", 1, NULL), 0);
    ck_assert_int_eq(sonic_file_read(f, got, 1, NULL), 0);
    sonic_file_async_read(f, got, 1, on_file, &t);
    sonic_file_free(w);
    RIG_UNTIL(&r, t.calls == 6);
    ck_assert_int_eq(t.err, SONIC_EOF);
    ck_assert_int_eq(sonic_file_read_all(f, got, 1, NULL), SONIC_EOF);
    sonic_file_async_read(f, got, 0, on_file, &t);
    sonic_file_free(f);
    RIG_UNTIL(&r, t.calls == 7);
    rig_close(&r);
}
END_TEST

START_TEST(a_fifo_a_terminal_and_nothing)
{
    struct rig r;
    struct told t = {0};
    sonic_file *f, *w;
    char got[8] = "";
    int master;

    rig_open(&r, _i);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    f = open_file(&r, O_RDWR); /* both ends: it cannot come to its end */
    w = open_file(&r, O_WRONLY);
    sonic_file_async_read(f, got, 8, on_file, &t);
    ck_assert_int_eq(sonic_file_write(w, "fifo", 4, NULL), 0);
    RIG_UNTIL(&r, t.calls == 1);
    ck_assert_str_eq(got, "fifo");
    sonic_file_free(w);
    sonic_file_free(f);

    master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    ck_assert_int_eq(
        sonic_file_open(r.io, ptsname(master), O_RDWR, 0, NULL, &f), 0);
    sonic_file_async_read(f, got, 8, on_file, &t);
    rig_settle(&r);
    ck_assert_uint_eq(t.calls, 1); /* nobody has typed */
    ck_assert_int_eq(write(master, "tty\n", 4), 4);
    RIG_UNTIL(&r, t.calls == 2);
    ck_assert_mem_eq(got, "tty\n", 4);
    sonic_file_free(f);
    close(master);

    ck_assert_int_eq(sonic_file_open(r.io, "/dev/null", O_RDWR, 0, NULL, &f),
                     0);
    ck_assert_int_eq(sonic_file_write(f, "x", 1, NULL), 0);
    ck_assert_int_eq(sonic_file_read(f, got, 1, NULL), SONIC_EOF);
    sonic_file_free(f);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("file");
    TCase *tc = tcase_create("files");

    tcase_add_checked_fixture(tc, make_place, clear_place);
    rig_add(tc, positions);
    rig_add(tc, beyond_4_gib);
    rig_add(tc, appending);
    rig_add(tc, what_is_refused);
    rig_add(tc, in_the_order_of_the_calls);
    rig_add(tc, one_after_the_other);
    rig_add(tc, one_handler_at_a_time);
    rig_add(tc, limits);
    rig_add(tc, opening_fails);
    rig_add(tc, calls_that_fall_short);
    rig_add(tc, a_pipe);
    rig_add(tc, a_fifo_a_terminal_and_nothing);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
