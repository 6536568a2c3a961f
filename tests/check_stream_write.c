/* The write side of a stream: one queue, one system call per dispatch. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

enum { BIG = 1 << 20 };

/* writev is not among them: a post uses it to wake the io. */
static unsigned long
send_calls(const struct rig *r)
{
    return hook_calls(&r->hook, HOOK_send) + hook_calls(&r->hook, HOOK_sendmsg);
}

START_TEST(write_arrives)
{
    struct rig r;
    struct outcome w = {0};
    sonic_stream *s;
    char buf[5];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_async_write(s, "hello", 5, on_outcome, &w);
    ck_assert_uint_eq(w.calls, 0);
    ck_assert_uint_eq(sonic_stream_queued(s), 5);
    ck_assert_uint_eq(sonic_io_pending(r.io), 1);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert_int_eq(w.err, 0);
    ck_assert_uint_eq(w.n, 5);
    ck_assert_uint_eq(sonic_stream_queued(s), 0);
    rig_get(peer, buf, 5);
    ck_assert_mem_eq(buf, "hello", 5);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- many writes, one call -------------------------------------------- */

struct burst {
    sonic_stream *s;
    struct outcome w[8];
    uint8_t data[8000];
    size_t sent;
};

/* Every kind of write there is, small and large, in one callback. */
static void
write_much(sonic_io *io, void *ud)
{
    struct burst *b = ud;
    struct iovec v[3] = {
        {b->data + 5100, 400}, {b->data + 5500, 0}, {b->data + 5500, 500}};
    uint8_t *room;

    (void)io;
    rig_fill(b->data, sizeof b->data, 0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(sonic_stream_send(b->s, b->data + i * 10, 10), 0);
    sonic_stream_async_write(b->s, b->data + 100, 5000, on_outcome, &b->w[0]);
    sonic_stream_async_writev(b->s, v, 3, on_outcome, &b->w[1]);
    room = sonic_stream_reserve(b->s, 1000);
    ck_assert_ptr_nonnull(room);
    memcpy(room, b->data + 6000, 500);
    ck_assert_int_eq(sonic_stream_commit(b->s, 500), 0);
    ck_assert_int_eq(sonic_stream_send(b->s, b->data + 6500, 1500), 0);
    sonic_stream_async_write(b->s, NULL, 0, on_outcome, &b->w[2]);
    ck_assert_int_eq(sonic_stream_send(b->s, NULL, 0), 0);
    b->sent = 8000;
    ck_assert_uint_eq(sonic_stream_queued(b->s), b->sent);
}

START_TEST(a_burst_is_one_call)
{
    static struct burst b;
    struct rig r;
    unsigned long before;
    int peer;

    rig_open(&r, _i);
    memset(&b, 0, sizeof b);
    b.s = rig_stream(&r, &peer);
    before = send_calls(&r);
    ck_assert_int_eq(sonic_io_post(r.io, write_much, &b), 0);
    ck_assert_int_eq(sonic_io_run(r.io), 4);
    ck_assert_uint_eq(send_calls(&r) - before, 1);
    ck_assert_uint_eq(b.w[0].calls, 1);
    ck_assert_uint_eq(b.w[0].n, 5000);
    ck_assert_uint_eq(b.w[1].calls, 1);
    ck_assert_uint_eq(b.w[1].n, 900);
    ck_assert_uint_eq(b.w[2].calls, 1);
    ck_assert_uint_eq(b.w[2].n, 0);
    rig_take(&r, peer, 0, b.sent);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- a system that takes little --------------------------------------- */

START_TEST(rest_follows)
{
    static uint8_t data[BIG];
    struct rig r;
    struct outcome w = {0};
    sonic_stream *s;
    size_t stuffed;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    rig_fill(data, BIG, stuffed);
    sonic_stream_async_write(s, data, BIG, on_outcome, &w);
    rig_settle(&r);
    ck_assert_uint_eq(w.calls, 0);
    ck_assert_uint_eq(sonic_stream_queued(s), BIG);
    rig_take(&r, peer, 0, stuffed + BIG);
    rig_settle(&r);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert_int_eq(w.err, 0);
    ck_assert_uint_eq(w.n, BIG);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(sends_are_copied)
{
    struct rig r;
    sonic_stream *s;
    uint8_t data[20000];
    size_t stuffed, sent = 0;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    for (size_t n = 1; n < sizeof data; n = n * 3 + 1) {
        rig_fill(data, n, stuffed + sent);
        ck_assert_int_eq(sonic_stream_send(s, data, n), 0);
        memset(data, 0, n);
        sent += n;
    }
    for (size_t n = 1; n <= 16384; n *= 4) {
        uint8_t *room = sonic_stream_reserve(s, n);

        ck_assert_ptr_nonnull(room);
        rig_fill(room, n, stuffed + sent);
        ck_assert_int_eq(sonic_stream_commit(s, n), 0);
        sent += n;
    }
    ck_assert_uint_eq(sonic_stream_queued(s), sent);
    rig_take(&r, peer, 0, stuffed + sent);
    rig_settle(&r);
    ck_assert_uint_eq(sonic_stream_queued(s), 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* A large send goes to the system at once, and only its rest is copied. */
START_TEST(large_send)
{
    static uint8_t data[BIG];
    struct rig r;
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_fill(data, BIG, 0);
    ck_assert_int_ge(sonic_stream_send(s, data, 100), 0);
    ck_assert_int_ge(sonic_stream_send(s, data + 100, BIG - 100), 0);
    memset(data, 0, BIG);
    rig_take(&r, peer, 0, BIG);
    close(peer);
    rig_close(&r);
}
END_TEST

/* Far more than anything in between can hold, in one write. */
START_TEST(sixty_four_mebibytes)
{
    enum { ALL = 64 << 20 };
    size_t all = rig_slow() ? ALL / 32 : ALL, got = 0;
    uint8_t *data = malloc(all);
    struct rig r;
    struct outcome w = {0};
    sonic_stream *s;
    int peer;

    ck_assert_ptr_nonnull(data);
    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_fill(data, all, 0);
    sonic_stream_async_write(s, data, all, on_outcome, &w);
    while (got < all) {
        static uint8_t chunk[1 << 20];
        ssize_t n = read(peer, chunk, sizeof chunk);

        if (n > 0) {
            ck_assert(memcmp(chunk, data + got, (size_t)n) == 0);
            got += (size_t)n;
        } else {
            ck_assert_int_ge(sonic_io_run_one_for(r.io, 0), -ETIMEDOUT);
        }
    }
    rig_settle(&r);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert_int_eq(w.err, 0);
    ck_assert_uint_eq(w.n, all);
    free(data);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- ending ----------------------------------------------------------- */

START_TEST(shutdown_after_the_queue)
{
    static uint8_t data[BIG];
    struct rig r;
    struct outcome w = {0}, late = {0};
    sonic_stream *s;
    size_t stuffed;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    rig_fill(data, BIG, stuffed);
    sonic_stream_async_write(s, data, BIG, on_outcome, &w);
    ck_assert_int_eq(sonic_stream_shutdown(s), 0);
    ck_assert_int_eq(sonic_stream_shutdown(s), 0);
    ck_assert_int_eq(sonic_stream_send(s, "x", 1), -EPIPE);
    ck_assert_ptr_null(sonic_stream_reserve(s, 1));
    sonic_stream_async_write(s, "x", 1, on_outcome, &late);
    ck_assert_int_eq(late.err, -EPIPE);
    ck_assert_uint_eq(late.calls, 1);
    rig_take(&r, peer, 0, stuffed + BIG);
    rig_settle(&r);
    rig_get_end(peer);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert_int_eq(w.err, 0);
    rig_put(peer, "back", 4); /* reading goes on */
    {
        struct outcome rd = {0};
        char buf[4];

        sonic_stream_async_read_all(s, buf, 4, on_outcome, &rd);
        RIG_UNTIL(&r, rd.calls > 0);
        ck_assert_int_eq(rd.err, 0);
        ck_assert_mem_eq(buf, "back", 4);
    }
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(nothing_to_write_on)
{
    struct rig r;
    struct outcome w = {0};
    sonic_stream *s;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_stream_new(r.io, &s), 0);
    ck_assert_int_eq(sonic_stream_send(s, "x", 1), -ENOTCONN);
    ck_assert_ptr_null(sonic_stream_reserve(s, 1));
    ck_assert_int_eq(sonic_stream_shutdown(s), -ENOTCONN);
    ck_assert_int_eq(sonic_stream_flush(s), 0);
    sonic_stream_async_write(s, "x", 1, on_outcome, &w);
    ck_assert_int_eq(w.err, -ENOTCONN);
    sonic_stream_async_drain(s, on_outcome, &w);
    ck_assert_int_eq(w.err, -ENOTCONN);
    ck_assert_uint_eq(w.calls, 2);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    sonic_stream_close(s);
    ck_assert_int_eq(sonic_stream_send(s, "x", 1), SONIC_ECLOSED);
    sonic_stream_async_write(s, "x", 1, on_outcome, &w);
    ck_assert_int_eq(w.err, SONIC_ECLOSED);
    rig_close(&r);
}
END_TEST

/* ---- a peer that has gone --------------------------------------------- */

/* The kind of descriptor: TCP, unix, pipe. */
static sonic_stream *
stream_of_kind(struct rig *r, int kind, int *peer)
{
    int fd[2];

    if (kind == 0)
        return rig_stream(r, peer);
    if (kind == 1) {
        rig_pair(fd);
    } else {
        ck_assert_int_eq(pipe(fd), 0);
        *peer = fd[0];
        return rig_adopt(r, fd[1]);
    }
    *peer = fd[1];
    return rig_adopt(r, fd[0]);
}

START_TEST(peer_gone)
{
    sigset_t pending;

    signal(SIGPIPE, SIG_DFL); /* it would end us */
    for (int kind = 0; kind < 3; kind++) {
        struct rig r;
        struct outcome w = {0}, d = {0};
        sonic_stream *s;
        int peer, err;

        rig_open(&r, _i);
        s = stream_of_kind(&r, kind, &peer);
        close(peer);
        while (w.err == 0) { /* TCP takes the first ones */
            unsigned before = w.calls;

            sonic_stream_async_write(s, "x", 1, on_outcome, &w);
            RIG_UNTIL(&r, w.calls > before);
        }
        ck_assert(w.err == -EPIPE || w.err == -ECONNRESET);
        ck_assert_uint_eq(w.n, 0);
        err = w.err;
        ck_assert_int_eq(sonic_stream_send(s, "x", 1), err);
        sonic_stream_async_drain(s, on_outcome, &d);
        ck_assert_int_eq(d.err, err);
        ck_assert_int_eq(sigpending(&pending), 0);
        ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
        rig_close(&r);
    }
}
END_TEST

/* Everything that was queued gets the error, in order, once. */
START_TEST(error_ends_all_writes)
{
    struct rig r;
    struct outcome w[3] = {{0}}, d = {0};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    for (int i = 0; i < 3; i++)
        sonic_stream_async_write(s, "abc", 3, on_outcome, &w[i]);
    ck_assert_int_eq(sonic_stream_send(s, "d", 1), 0);
    hook_fail(&r.hook, HOOK_sendmsg, -ENETRESET, 1);
    sonic_stream_async_drain(s, on_outcome, &d);
    ck_assert_int_eq(sonic_io_run(r.io), 4);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(w[i].calls, 1);
        ck_assert_int_eq(w[i].err, -ENETRESET);
        ck_assert_uint_eq(w[i].n, 0);
    }
    ck_assert_uint_eq(d.calls, 1);
    ck_assert_uint_eq(sonic_stream_queued(s), 0);
    ck_assert_int_eq(sonic_stream_flush(s), -ENETRESET);
    close(peer);
    rig_close(&r);
}
END_TEST

/* A call that was interrupted, or a kernel that is short for a moment, is
 * tried again. */
START_TEST(passing_errors)
{
    static const int errors[] = {-EINTR, -EAGAIN, -ENOBUFS};

    for (int i = 0; i < 3; i++) {
        struct rig r;
        struct outcome w = {0};
        sonic_stream *s;
        char buf[5];
        int peer;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        rig_settle(&r);
        hook_fail(&r.hook, HOOK_send, errors[i], errors[i] == -EAGAIN ? 0 : 3);
        sonic_stream_async_write(s, "hello", 5, on_outcome, &w);
        RIG_UNTIL(&r, w.calls > 0);
        ck_assert_int_eq(w.err, 0);
        rig_get(peer, buf, 5);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_write");
    TCase *tc = tcase_create("write");

    rig_add(tc, write_arrives);
    rig_add(tc, a_burst_is_one_call);
    rig_add(tc, rest_follows);
    rig_add(tc, sends_are_copied);
    rig_add(tc, large_send);
    rig_add(tc, sixty_four_mebibytes);
    suite_add_tcase(suite, tc);
    tc = tcase_create("end");
    rig_add(tc, shutdown_after_the_queue);
    rig_add(tc, nothing_to_write_on);
    rig_add(tc, peer_gone);
    rig_add(tc, error_ends_all_writes);
    rig_add(tc, passing_errors);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
