/* Descriptors: which a program that is executed gets, and numbers where
 * select(2) would have ended. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include "support/rig.h"

static void
keep_stream(sonic_listener *l, int err, sonic_stream *s, void *ud)
{
    (void)l;
    ck_assert_int_eq(err, 0);
    *(sonic_stream **)ud = s;
}

/* A listener, a stream connected to it, and the one that it accepted. */
struct connected {
    char text[SONIC_ADDRESS_TEXT];
    sonic_listener *l;
    sonic_stream *s, *accepted;
};

static void
make_connected(sonic_io *io, const char *address, struct connected *c)
{
    sonic_address a;

    c->accepted = NULL;
    ck_assert_int_eq(sonic_listener_new(io, address, NULL, &c->l), 0);
    ck_assert_int_eq(sonic_listener_address(c->l, &a), 0);
    ck_assert_int_gt(sonic_address_format(&a, c->text, sizeof c->text), 0);
    sonic_listener_async_accept(c->l, keep_stream, &c->accepted);
    ck_assert_int_eq(sonic_stream_new(io, &c->s), 0);
    ck_assert_int_eq(sonic_stream_connect(c->s, c->text, NULL), 0);
    while (c->accepted == NULL)
        ck_assert_int_ge(sonic_io_run_one(io), 0);
}

/* Everything that has descriptors; how many there are at least. */
static unsigned
make_everything(sonic_io *io)
{
    sonic_stream *pair[2], *pipe[2];
    struct connected c;
    sonic_signal *sig;
    sonic_udp *udp;
    sonic_file *file;
    sigset_t set;

    make_connected(io, "127.0.0.1:0", &c);
    make_connected(io, "unix:@sonicio-check-io-fds", &c);
    ck_assert_int_eq(sonic_stream_pair(io, pair), 0);
    ck_assert_int_eq(sonic_pipe_new(io, pipe), 0);
    ck_assert_int_eq(sonic_udp_new(io, "127.0.0.1:0", NULL, &udp), 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(sonic_signal_new(io, &set, &sig), 0);
    ck_assert_int_eq(
        sonic_file_open(io, "/proc/self/status", O_RDONLY, 0, NULL, &file), 0);
    return 6 + 2 + 2 + 1 + 1 + 1;
}

enum { LOOKED_AT = 256 };

/* Without the rig's hook, which would see some of it: the kernel's own list. */
START_TEST(nothing_is_left_to_a_program)
{
    static bool before[LOOKED_AT];
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    unsigned made = 0, least;
    sonic_io *io;

    for (int fd = 0; fd < LOOKED_AT; fd++)
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    opt.backend = (enum sonic_backend)(RIG_FIRST + _i);
    ck_assert_int_eq(sonic_io_new(&io, &opt), 0);
    least = make_everything(io);
    for (int fd = 0; fd < LOOKED_AT; fd++) {
        int flags = before[fd] ? -1 : fcntl(fd, F_GETFD);
        char path[32], what[64] = "";

        if (flags < 0)
            continue;
        made++;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        (void)!readlink(path, what, sizeof what - 1);
        ck_assert_msg(flags & FD_CLOEXEC, "%d is left open: %s", fd, what);
    }
    ck_assert_uint_gt(made, least); /* the loop's own, too */
    sonic_io_free(io);
}
END_TEST

/* ---- high ones --------------------------------------------------------- */

static void
connect_high(struct rig *r)
{
    struct outcome refused = {0};
    struct connected c;
    char buf[2];

    make_connected(r->io, "127.0.0.1:0", &c);
    ck_assert_int_ge(sonic_stream_fd(c.s), FD_SETSIZE);
    ck_assert_int_ge(sonic_stream_fd(c.accepted), FD_SETSIZE);
    ck_assert_int_eq(sonic_stream_write(c.s, "hi", 2, NULL), 0);
    ck_assert_int_eq(sonic_stream_read_all(c.accepted, buf, 2, NULL), 0);
    ck_assert_mem_eq(buf, "hi", 2);
    sonic_listener_free(c.l);
    sonic_stream_free(c.s);
    rig_settle(r);
    ck_assert_int_eq(sonic_stream_new(r->io, &c.s), 0);
    sonic_stream_async_connect(c.s, c.text, NULL, on_outcome, &refused);
    RIG_UNTIL(r, refused.calls > 0);
    ck_assert_int_eq(refused.err, -ECONNREFUSED);
}

START_TEST(made_above_the_lowest_1024)
{
    static int taken[FD_SETSIZE];
    struct rlimit lim;
    struct rig r;
    int n = 0;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_cur < FD_SETSIZE + 100) {
        printf("not tested: the limit is %llu descriptors\n",
               (unsigned long long)lim.rlim_cur);
        return;
    }
    do {
        taken[n] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(taken[n], 0);
    } while (taken[n++] < FD_SETSIZE - 1);
    rig_open(&r, _i);
    connect_high(&r);
    rig_close(&r);
    while (n > 0)
        close(taken[--n]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("io_fds");
    TCase *tc = tcase_create("descriptors");

    rig_add(tc, nothing_is_left_to_a_program);
    rig_add(tc, made_above_the_lowest_1024);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
