/* What a stream can stand on: sockets of each type, pipes, files, terminals;
 * and how one is made. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "support/rig.h"

/* ---- every kind ------------------------------------------------------- */

enum kind { TCP, UNIX, SEQPACKET, DGRAM, PIPE, TTY, KINDS };

static void
open_tty(int fd[2])
{
    struct termios t;

    fd[1] = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    ck_assert_int_ge(fd[1], 0);
    ck_assert_int_eq(grantpt(fd[1]), 0);
    ck_assert_int_eq(unlockpt(fd[1]), 0);
    fd[0] = open(ptsname(fd[1]), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(fd[0], 0);
    ck_assert_int_eq(tcgetattr(fd[0], &t), 0);
    cfmakeraw(&t);
    ck_assert_int_eq(tcsetattr(fd[0], TCSANOW, &t), 0);
}

/* fd[0] is read from, fd[1] is written to. */
static void
open_kind(enum kind kind, int fd[2])
{
    static const int type[] = {[UNIX] = SOCK_STREAM,
                               [SEQPACKET] = SOCK_SEQPACKET,
                               [DGRAM] = SOCK_DGRAM};

    if (kind == TCP)
        rig_tcp(fd);
    else if (kind == PIPE)
        ck_assert_int_eq(pipe(fd), 0);
    else if (kind == TTY)
        open_tty(fd);
    else
        ck_assert_int_eq(socketpair(AF_UNIX, type[kind], 0, fd), 0);
}

/* From one io's stream to another's, in each direction that there is. */
START_TEST(to_and_fro)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct rig r;
        sonic_stream *s[2];
        int fd[2], ways = kind == PIPE ? 1 : 2;

        rig_open(&r, _i);
        open_kind((enum kind)kind, fd);
        for (int i = 0; i < 2; i++)
            s[i] = rig_adopt(&r, fd[i]);
        for (int round = 0; round < 50 * ways; round++) {
            struct outcome rd = {0}, wr = {0};
            char in[7];
            int to = ways == 1 ? 0 : round % 2;

            sonic_stream_async_read_all(s[to], in, 7, on_outcome, &rd);
            sonic_stream_async_write(s[1 - to], "message", 7, on_outcome, &wr);
            RIG_UNTIL(&r, rd.calls + wr.calls == 2);
            ck_assert_int_eq(rd.err, 0);
            ck_assert_int_eq(wr.err, 0);
            ck_assert_mem_eq(in, "message", 7);
        }
        rig_close(&r);
    }
}
END_TEST

static void
on_part(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct outcome *o = ud;

    o->err = err;
    o->n += len;
    o->calls++;
    if (err < 0)
        return;
    ck_assert(memcmp(data, "one two ", len < 8 ? len : 8) == 0);
    sonic_stream_consume(s, len);
    if (o->n < 3 * 8)
        sonic_stream_lend(s, 1, 0, on_part, ud);
}

/* What lies ready in several pieces is all read, also where one call brings
 * one piece only. */
START_TEST(several_pieces)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int lend = 0; lend < 2; lend++) {
            struct rig r;
            struct outcome o = {0};
            sonic_stream *s;
            char in[3 * 8];
            int fd[2];

            rig_open(&r, _i);
            open_kind((enum kind)kind, fd);
            s = rig_adopt(&r, fd[0]);
            if (lend)
                sonic_stream_lend(s, 1, 0, on_part, &o);
            else
                sonic_stream_async_read_all(s, in, sizeof in, on_outcome, &o);
            rig_settle(&r);
            for (int i = 0; i < 3; i++)
                rig_put(fd[1], "one two ", 8);
            RIG_UNTIL(&r, o.n == 3 * 8);
            ck_assert_int_eq(o.err, 0);
            close(fd[1]);
            rig_close(&r);
        }
}
END_TEST

/* ---- receives that stop early ----------------------------------------- */

static void
on_six(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    on_outcome(s, err, len, ud);
    ck_assert_uint_eq(len, 6);
    ck_assert_mem_eq(data, "abcdef", 6);
    sonic_stream_consume(s, len);
}

static void
read_six(struct rig *r, sonic_stream *s, bool lend)
{
    struct outcome o = {0};
    char in[6];

    if (lend)
        sonic_stream_lend(s, 6, 0, on_six, &o);
    else
        sonic_stream_async_read_all(s, in, 6, on_outcome, &o);
    RIG_UNTIL(r, o.calls > 0);
    ck_assert_int_eq(o.err, 0);
    if (!lend)
        ck_assert_mem_eq(in, "abcdef", 6);
}

/* The kernel stops a receive before urgent data; what is behind it is there
 * all the same, and no event will tell of it. */
START_TEST(urgent_data)
{
    for (int lend = 0; lend < 2; lend++) {
        struct rig r;
        sonic_stream *s;
        int peer;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        rig_settle(&r);
        rig_put(peer, "abc", 3);
        ck_assert_int_eq(send(peer, "!", 1, MSG_OOB), 1);
        rig_put(peer, "def", 3);
        rig_await(sonic_stream_fd(s), POLLPRI);
        rig_settle(&r);
        read_six(&r, s, lend);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

static void
send_with_descriptor(int fd, const char *text)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } c = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
                    .cmsg_level = SOL_SOCKET,
                    .cmsg_type = SCM_RIGHTS}};
    struct iovec v = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = &c,
                       .msg_controllen = sizeof c};

    memcpy(CMSG_DATA(&c.head), &fd, sizeof fd);
    ck_assert_int_eq(sendmsg(fd, &m, 0), (ssize_t)strlen(text));
}

/* The same where a peer passes descriptors, which nobody takes here. */
START_TEST(passed_descriptors)
{
    for (int lend = 0; lend < 2; lend++) {
        struct rig r;
        sonic_stream *s;
        int fd[2];

        rig_open(&r, _i);
        rig_pair(fd);
        s = rig_adopt(&r, fd[0]);
        rig_settle(&r);
        send_with_descriptor(fd[1], "abc");
        send_with_descriptor(fd[1], "de");
        rig_put(fd[1], "f", 1);
        rig_await(fd[0], POLLIN);
        rig_settle(&r);
        read_six(&r, s, lend);
        close(fd[1]);
        rig_close(&r);
    }
}
END_TEST

/* ---- pipes ------------------------------------------------------------ */

/* A pipe whose writer has gone says so once: no turns are spent on it. */
START_TEST(hang_up_is_told_once)
{
    struct rig r;
    struct outcome o = {0};
    sonic_io_stats before, after;
    sonic_stream *s;
    char c;
    int fd[2];

    rig_open(&r, _i);
    ck_assert_int_eq(pipe(fd), 0);
    s = rig_adopt(&r, fd[0]);
    sonic_stream_async_read(s, &c, 1, on_outcome, &o);
    rig_settle(&r);
    close(fd[1]);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_int_eq(o.err, SONIC_EOF);
    sonic_io_get_stats(r.io, &before);
    sonic_io_work_begin(r.io);
    ck_assert_int_eq(sonic_io_run_for(r.io, 5 * MS), -ETIMEDOUT);
    sonic_io_work_end(r.io);
    sonic_io_get_stats(r.io, &after);
    ck_assert_uint_le(after.cycles - before.cycles, 4);
    rig_close(&r);
}
END_TEST

/* The same for the writer of a pipe without a reader, and with the error. */
START_TEST(no_reader)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    int fd[2];
    size_t stuffed;

    rig_open(&r, _i);
    ck_assert_int_eq(pipe2(fd, O_NONBLOCK), 0);
    stuffed = rig_stuff(fd[1], 0);
    ck_assert_uint_gt(stuffed, 0);
    s = rig_adopt(&r, fd[1]);
    sonic_stream_async_write(s, "x", 1, on_outcome, &o);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 0);
    close(fd[0]);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_int_eq(o.err, -EPIPE);
    ck_assert_int_eq(sonic_stream_shutdown(s), 0);
    rig_close(&r);
}
END_TEST

/* Shutting down the writing end of a pipe closes it, once all that was queued
 * has gone: the reader sees it, then the end. */
START_TEST(a_pipe_is_shut_down)
{
    for (int full = 0; full < 2; full++) {
        struct rig r;
        struct outcome o = {0};
        sonic_stream *s[2];
        int fd[2];
        size_t stuffed = 0, n;
        static uint8_t got[1 << 20];

        rig_open(&r, _i);
        ck_assert_int_eq(pipe2(fd, O_NONBLOCK), 0);
        if (full)
            stuffed = rig_stuff(fd[1], 0);
        for (int i = 0; i < 2; i++)
            s[i] = rig_adopt(&r, fd[i]);
        ck_assert_int_eq(sonic_stream_send(s[1], "last", 4), 0);
        ck_assert_int_eq(sonic_stream_shutdown(s[1]), 0);
        ck_assert_int_eq(sonic_stream_shutdown(s[1]), 0);
        ck_assert_int_eq(sonic_stream_send(s[1], "x", 1), -EPIPE);
        ck_assert_int_eq(sonic_stream_read_all(s[0], got, sizeof got, &n),
                         SONIC_EOF);
        ck_assert_uint_eq(n, stuffed + 4);
        ck_assert(rig_same(got, stuffed, 0));
        ck_assert_mem_eq(got + stuffed, "last", 4);
        ck_assert_int_eq(sonic_stream_fd(s[1]), -1);
        ck_assert(sonic_stream_is_open(s[1]));
        sonic_stream_async_drain(s[1], on_outcome, &o);
        sonic_stream_async_write(s[1], "x", 1, on_outcome, &o);
        ck_assert_int_eq(o.err, -EPIPE);
        rig_settle(&r);
        ck_assert_uint_eq(o.calls, 2);
        ck_assert_int_eq(sonic_stream_shutdown(s[0]), -ENOTSOCK);
        sonic_stream_free(s[1]);
        rig_close(&r);
    }
}
END_TEST

/* What can be read still is not closed for it; nothing else happens either. */
START_TEST(a_terminal_is_not_shut_down)
{
    struct rig r;
    sonic_stream *s[2];
    char got[4];
    int fd[2];

    rig_open(&r, _i);
    open_tty(fd);
    for (int i = 0; i < 2; i++)
        s[i] = rig_adopt(&r, fd[i]);
    ck_assert_int_eq(sonic_stream_shutdown(s[0]), -ENOTSOCK);
    ck_assert_int_eq(sonic_stream_send(s[0], "more", 4), 0);
    ck_assert_int_eq(sonic_stream_read_all(s[1], got, 4, NULL), 0);
    ck_assert_mem_eq(got, "more", 4);
    rig_close(&r);
}
END_TEST

/* ---- files ------------------------------------------------------------ */

static int
temporary_file(void)
{
    char path[] = "/tmp/sonicio-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    return fd;
}

static void
on_block(sonic_stream *s, int err, size_t n, void *ud)
{
    struct outcome *o = ud;
    static char buf[16];

    (void)n;
    o->calls++;
    o->err = err;
    o->n += n;
    if (err == 0)
        sonic_stream_async_read(s, buf, sizeof buf, on_block, o);
}

/* Far more reads than any dispatch bound, one begun in the other's callback;
 * then the end, in bounded depth and with nothing left pending. */
START_TEST(regular_file)
{
    enum { SIZE = 16 * 500 };
    struct rig r;
    struct outcome w = {0}, rd = {0};
    sonic_io_stats stats;
    sonic_stream *s;
    uint8_t data[SIZE];
    int fd = temporary_file(), again = dup(fd);

    rig_open(&r, _i);
    r.fds--; /* the file is given away */
    s = rig_adopt(&r, fd);
    rig_fill(data, SIZE, 0);
    sonic_stream_async_write(s, data, SIZE, on_outcome, &w);
    RIG_UNTIL(&r, w.calls > 0);
    ck_assert_int_eq(w.err, 0);
    ck_assert_int_eq(sonic_stream_send(s, "tail", 4), 0);
    ck_assert_int_eq(sonic_stream_flush(s), 0);
    ck_assert_int_eq(lseek(again, 0, SEEK_SET), 0);
    sonic_stream_async_read(s, data, 0, on_block, &rd);
    RIG_UNTIL(&r, rd.err != 0);
    ck_assert_int_eq(rd.err, SONIC_EOF);
    ck_assert_uint_eq(rd.n, SIZE + 4);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    sonic_io_get_stats(r.io, &stats);
    ck_assert_uint_le(stats.max_dispatch, SONIC_MAX_DISPATCH);
    rig_close(&r);
    close(again);
}
END_TEST

/* ---- making one ------------------------------------------------------- */

START_TEST(adopted)
{
    struct rig r;
    sonic_stream *s;
    sonic_address local, remote, of_peer;
    socklen_t len = sizeof of_peer.storage;
    int peer, fd;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    fd = sonic_stream_fd(s);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_ptr_eq(sonic_stream_io(s), r.io);
    ck_assert(sonic_stream_is_open(s));
    ck_assert_ptr_null(sonic_stream_next_layer(s));
    ck_assert_int_eq(sonic_stream_local_address(s, &local), 0);
    ck_assert_int_eq(sonic_stream_remote_address(s, &remote), 0);
    ck_assert_int_eq(
        getsockname(peer, (struct sockaddr *)&of_peer.storage, &len), 0);
    ck_assert_uint_eq(len, remote.len);
    ck_assert_mem_eq(&of_peer.storage, &remote.storage, len);
    sonic_stream_close(s);
    ck_assert(!sonic_stream_is_open(s));
    ck_assert_int_eq(sonic_stream_fd(s), -1);
    ck_assert_int_eq(sonic_stream_local_address(s, &local), -ENOTCONN);
    ck_assert_int_eq(sonic_stream_remote_address(s, &remote), -ENOTCONN);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(blocking_descriptor)
{
    struct rig r;
    sonic_stream *s;
    int fd[2];

    rig_open(&r, _i);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    ck_assert_int_eq(fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0);
    s = rig_adopt(&r, fd[0]);
    ck_assert_int_ne(fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0);
    sonic_stream_free(s);
    close(fd[1]);
    rig_close(&r);
}
END_TEST

START_TEST(not_adopted)
{
    struct rig r;
    sonic_stream *s;
    int fd[2];

    rig_open(&r, _i);
    rig_pair(fd);
    ck_assert_int_eq(sonic_stream_adopt(r.io, -1, &s), -EBADF);
    hook_fail(&r.hook, HOOK_fcntl, -EACCES, 1);
    ck_assert_int_eq(sonic_stream_adopt(r.io, fd[0], &s), -EACCES);
    hook_mem_fail_nth(&r.hook, 1);
    ck_assert_int_eq(sonic_stream_adopt(r.io, fd[0], &s), -ENOMEM);
    sonic_io_close(r.io);
    ck_assert_int_eq(sonic_stream_adopt(r.io, fd[0], &s), SONIC_ECLOSED);
    ck_assert_int_ge(fcntl(fd[0], F_GETFD), 0); /* still the caller's */
    close(fd[0]);
    close(fd[1]);
    rig_close(&r);
}
END_TEST

/* sonic_stream_pair and sonic_pipe_new, with each call and allocation failing
 * in turn: two streams, or nothing. */
START_TEST(pairs)
{
    static int (*const make[])(sonic_io *, sonic_stream *[2]) = {
        sonic_stream_pair, sonic_pipe_new};

    for (int kind = 0; kind < 2; kind++)
        for (int what = 0; what < 2; what++)
            for (unsigned long n = 1;; n++) {
                struct rig r;
                struct outcome rd = {0};
                sonic_stream *s[2];
                char buf[5];
                bool failed;
                int err;

                rig_open(&r, _i);
                if (what == 0)
                    hook_fail_nth(&r.hook, n);
                else
                    hook_mem_fail_nth(&r.hook, n);
                err = make[kind](r.io, s);
                failed =
                    what == 0 ? r.hook.failed != HOOK_N : r.hook.mem_failed;
                hook_fail_nth(&r.hook, 0);
                hook_mem_fail_nth(&r.hook, 0);
                if (err == 0) {
                    ck_assert_int_eq(sonic_stream_send(s[1], "hello", 5), 0);
                    sonic_stream_async_read_all(s[0], buf, 5, on_outcome, &rd);
                    RIG_UNTIL(&r, rd.calls > 0);
                    ck_assert_mem_eq(buf, "hello", 5);
                }
                rig_close(&r);
                if (!failed)
                    break;
            }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_kinds");
    TCase *tc = tcase_create("kinds");

    rig_add(tc, to_and_fro);
    rig_add(tc, a_pipe_is_shut_down);
    rig_add(tc, a_terminal_is_not_shut_down);
    rig_add(tc, several_pieces);
    rig_add(tc, urgent_data);
    rig_add(tc, passed_descriptors);
    rig_add(tc, hang_up_is_told_once);
    rig_add(tc, no_reader);
    rig_add(tc, regular_file);
    suite_add_tcase(suite, tc);
    tc = tcase_create("made");
    rig_add(tc, adopted);
    rig_add(tc, blocking_descriptor);
    rig_add(tc, not_adopted);
    rig_add(tc, pairs);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
