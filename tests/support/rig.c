#include "rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned
rig_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

void
rig_open_with(struct rig *r, int index, const sonic_io_options *opt)
{
    sonic_io_options o = SONIC_IO_OPTIONS_INIT;

    if (opt != NULL)
        o = *opt;
    hook_init(&r->hook);
    r->backend = (enum sonic_backend)(RIG_FIRST + index);
    r->fds = rig_open_fds();
    o.backend = r->backend;
    o.sys = &r->hook.sys;
    o.mem = &r->hook.mem;
    ck_assert_int_eq(sonic_io_new(&r->io, &o), 0);
}

void
rig_open(struct rig *r, int index)
{
    rig_open_with(r, index, NULL);
}

void
rig_closed(struct rig *r)
{
    ck_assert_uint_eq(hook_leaked(&r->hook), 0);
    ck_assert_uint_eq(rig_open_fds(), r->fds);
}

void
rig_open_small(struct rig *r, int index)
{
    sonic_io_options o = SONIC_IO_OPTIONS_INIT;

    o.buffer_size = RIG_SMALL;
    rig_open_with(r, index, &o);
}

void
rig_close(struct rig *r)
{
    sonic_io_free(r->io);
    r->io = NULL;
    rig_closed(r);
}

sonic_io_stats
rig_stats(const struct rig *r)
{
    sonic_io_stats s;

    sonic_io_get_stats(r->io, &s);
    return s;
}

void
rig_settle(struct rig *r)
{
    for (int idle = 0; idle < 3;) {
        int ran = sonic_io_poll(r->io);

        ck_assert_int_ge(ran, 0);
        idle = ran == 0 ? idle + 1 : 0;
    }
}

bool
rig_slow(void)
{
    return getenv("SONIC_TEST_SLOW") != NULL;
}

int
rig_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void
on_outcome(sonic_stream *s, int err, size_t n, void *ud)
{
    struct outcome *o = ud;

    (void)s;
    o->calls++;
    o->err = err;
    o->n = n;
}

void
rig_echo(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    if (err < 0)
        return;
    ck_assert_int_ge(sonic_stream_send(s, data, len), 0);
    sonic_stream_consume(s, len);
    sonic_stream_lend(s, 1, 0, rig_echo, ud);
}

void
on_timer_outcome(sonic_timer *t, int err, void *ud)
{
    struct outcome *o = ud;

    (void)t;
    o->calls++;
    o->err = err;
}

void
rig_tcp(int fd[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(l, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(listen(l, 1), 0);
    ck_assert_int_eq(getsockname(l, (struct sockaddr *)&a, &len), 0);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd[0], (struct sockaddr *)&a, sizeof a), 0);
    fd[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    ck_assert_int_ge(fd[1], 0);
    ck_assert_int_eq(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
    close(l);
}

void
rig_pair(int fd[2])
{
    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd),
        0);
}

sonic_stream *
rig_adopt(struct rig *r, int fd)
{
    sonic_stream *s;

    ck_assert_int_eq(sonic_stream_adopt(r->io, fd, &s), 0);
    return s;
}

sonic_stream *
rig_stream(struct rig *r, int *peer)
{
    int fd[2];

    rig_tcp(fd);
    *peer = fd[1];
    return rig_adopt(r, fd[0]);
}

void
rig_await(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    ck_assert_int_eq(poll(&p, 1, (int)(RIG_PATIENCE / MS)), 1);
}

void
rig_put(int fd, const void *p, size_t n)
{
    for (const char *at = p; n > 0;) {
        ssize_t k;

        rig_await(fd, POLLOUT);
        k = write(fd, at, n);
        ck_assert_int_gt(k, 0);
        at += k;
        n -= (size_t)k;
    }
}

void
rig_get(int fd, void *p, size_t n)
{
    for (char *at = p; n > 0;) {
        ssize_t k;

        rig_await(fd, POLLIN);
        k = read(fd, at, n);
        ck_assert_int_gt(k, 0);
        at += k;
        n -= (size_t)k;
    }
}

void
rig_get_end(int fd)
{
    char c;

    rig_await(fd, POLLIN);
    ck_assert_int_eq(read(fd, &c, 1), 0);
}

/* 251 is prime: no power of two is a period. */
static uint8_t
byte_at(size_t i)
{
    return (uint8_t)(i % 251 ^ i / 251);
}

void
rig_fill(void *p, size_t n, size_t i)
{
    for (uint8_t *at = p; n > 0; n--)
        *at++ = byte_at(i++);
}

bool
rig_same(const void *p, size_t n, size_t i)
{
    for (const uint8_t *at = p; n > 0; n--)
        if (*at++ != byte_at(i++))
            return false;
    return true;
}

size_t
rig_stuff(int fd, size_t i)
{
    uint8_t chunk[4096];
    size_t sum = 0;

    for (;;) {
        ssize_t k;

        rig_fill(chunk, sizeof chunk, i + sum);
        k = write(fd, chunk, sizeof chunk);
        if (k < 0)
            break;
        sum += (size_t)k;
    }
    ck_assert_int_eq(errno, EAGAIN);
    return sum;
}

sonic_stream *
rig_full_stream(struct rig *r, int *peer, size_t *stuffed)
{
    int fd[2], size = 4096;

    rig_pair(fd);
    ck_assert_int_eq(
        setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    *stuffed = rig_stuff(fd[0], 0);
    *peer = fd[1];
    return rig_adopt(r, fd[0]);
}

void
rig_take(struct rig *r, int peer, size_t i, size_t n)
{
    uint8_t chunk[8192];

    while (n > 0) {
        size_t k = n < sizeof chunk ? n : sizeof chunk;
        ssize_t got = read(peer, chunk, k);

        if (got < 0) {
            ck_assert_int_eq(errno, EAGAIN);
            ck_assert_int_ge(sonic_io_poll(r->io), 0);
            continue;
        }
        ck_assert_int_gt(got, 0);
        ck_assert(rig_same(chunk, (size_t)got, i));
        i += (size_t)got;
        n -= (size_t)got;
    }
}
