/* Random bytes: from batches, each handed out once, and never twice in two
 * processes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sonicio/sonicio.h>

enum { KEYS = 4000 };

static int draws, fail;

static int
counting_random(void *buf, size_t len, void *ud)
{
    draws++;
    return fail ? -EIO : sonic_sys_kernel()->random(buf, len, ud);
}

static sonic_io *
open_io(const sonic_sys *sys)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    sonic_io *io;

    opt.sys = sys;
    draws = fail = 0;
    ck_assert_int_eq(sonic_io_new(&io, &opt), 0);
    return io;
}

static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

START_TEST(comes_in_batches_without_repeats)
{
    static uint64_t key[KEYS];
    sonic_sys sys = *sonic_sys_kernel();
    sonic_io *io;

    sys.random = counting_random;
    io = open_io(&sys);
    for (int i = 0; i < KEYS; i++)
        ck_assert_int_eq(sonic_io_random(io, &key[i], sizeof key[i]), 0);
    ck_assert_int_le(draws, KEYS * 8 / 1024);
    qsort(key, KEYS, sizeof *key, compare);
    for (int i = 1; i < KEYS; i++)
        ck_assert(key[i - 1] != key[i]);
    sonic_io_free(io);
}
END_TEST

START_TEST(differs_in_a_forked_child)
{
    uint8_t mine[16], its[16];
    sonic_io *io = open_io(NULL);
    int fd[2], status;
    pid_t pid;

    ck_assert_int_eq(sonic_io_random(io, mine, sizeof mine), 0);
    ck_assert_int_eq(pipe(fd), 0);
    pid = fork();
    if (pid == 0) {
        int err = sonic_io_random(io, its, sizeof its);

        _exit(err < 0 || write(fd[1], its, sizeof its) != sizeof its);
    }
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(read(fd[0], its, sizeof its), sizeof its);
    ck_assert_int_eq(sonic_io_random(io, mine, sizeof mine), 0);
    ck_assert_mem_ne(mine, its, sizeof its);
    close(fd[0]);
    close(fd[1]);
    sonic_io_free(io);
}
END_TEST

/* Four bytes, a masking key, go a way of their own. */
START_TEST(keys_differ_in_a_forked_child)
{
    uint32_t mine[4], its[4], first;
    sonic_io *io = open_io(NULL);
    int fd[2], status;
    pid_t pid;

    ck_assert_int_eq(sonic_io_random(io, &first, sizeof first), 0);
    ck_assert_int_eq(pipe(fd), 0);
    pid = fork();
    for (int i = 0; i < 4; i++) {
        uint32_t *to = pid == 0 ? its : mine;

        ck_assert_int_eq(sonic_io_random(io, &to[i], sizeof to[i]), 0);
    }
    if (pid == 0)
        _exit(write(fd[1], its, sizeof its) != sizeof its);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(read(fd[0], its, sizeof its), sizeof its);
    ck_assert_mem_ne(mine, its, sizeof its);
    close(fd[0]);
    close(fd[1]);
    sonic_io_free(io);
}
END_TEST

/* Of the kernel's own, one in 4000 million keys is drawn again by chance. */
START_TEST(keys_come_in_batches_and_hardly_repeat)
{
    enum { DRAWN = 100000 };
    static uint64_t key[DRAWN];
    sonic_sys sys = *sonic_sys_kernel();
    unsigned repeats = 0;
    sonic_io *io;

    sys.random = counting_random;
    io = open_io(&sys);
    for (int i = 0; i < DRAWN; i++)
        ck_assert_int_eq(sonic_io_random(io, &key[i], 4), 0);
    ck_assert_int_le(draws, DRAWN * 4 / 1024);
    qsort(key, DRAWN, sizeof *key, compare);
    for (int i = 1; i < DRAWN; i++)
        repeats += key[i - 1] == key[i];
    ck_assert_uint_lt(repeats, 20); /* 1.2 are to be expected */
    sonic_io_free(io);
}
END_TEST

START_TEST(failure_is_told)
{
    sonic_sys sys = *sonic_sys_kernel();
    uint8_t big[5000];
    sonic_io *io;

    sys.random = counting_random;
    io = open_io(&sys);
    ck_assert_int_eq(sonic_io_random(io, big, sizeof big), 0);
    fail = 1;
    ck_assert_int_eq(sonic_io_random(io, big, sizeof big), -EIO);
    ck_assert_int_eq(sonic_io_random(io, big, 8), -EIO);
    ck_assert_int_eq(sonic_io_random(io, big, 4), -EIO);
    fail = 0;
    ck_assert_int_eq(sonic_io_random(io, big, 4), 0);
    sonic_io_free(io);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("random");
    TCase *t = tcase_create("batches");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, comes_in_batches_without_repeats);
    tcase_add_test(t, differs_in_a_forked_child);
    tcase_add_test(t, keys_differ_in_a_forked_child);
    tcase_add_test(t, keys_come_in_batches_and_hardly_repeat);
    tcase_add_test(t, failure_is_told);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
