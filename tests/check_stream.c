/* The read side of a stream: into the caller's memory. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

/* ---- bytes ------------------------------------------------------------ */

START_TEST(reads_what_there_is)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char buf[16];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    for (unsigned i = 1; i <= 100; i++) {
        memset(buf, 0, sizeof buf);
        if (i % 2) /* there before it is asked for, or after */
            rig_put(peer, "hello", 5);
        sonic_stream_async_read(s, buf, sizeof buf, on_outcome, &o);
        ck_assert_uint_eq(o.calls, i - 1);
        ck_assert_uint_eq(sonic_io_pending(r.io), 1);
        rig_settle(&r);
        if (i % 2 == 0)
            rig_put(peer, "hello", 5);
        RIG_UNTIL(&r, o.calls == i);
        ck_assert_int_eq(o.err, 0);
        ck_assert_uint_eq(o.n, 5);
        ck_assert_mem_eq(buf, "hello", 6);
        ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    }
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(a_part_at_a_time)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char buf[3];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_put(peer, "abcdefgh", 8);
    for (size_t at = 0; at < 8; at += o.n) {
        unsigned before = o.calls;

        sonic_stream_async_read(s, buf, 3, on_outcome, &o);
        RIG_UNTIL(&r, o.calls > before);
        ck_assert_int_eq(o.err, 0);
        ck_assert(o.n >= 1 && o.n <= 3);
        ck_assert_mem_eq(buf, &"abcdefgh"[at], o.n);
    }
    close(peer);
    rig_close(&r);
}
END_TEST

/* Five bytes that come in two segments are five bytes. */
START_TEST(read_all_over_segments)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char buf[5];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_async_read_all(s, buf, 5, on_outcome, &o);
    rig_put(peer, "he", 2);
    rig_await(sonic_stream_fd(s), POLLIN);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 0);
    rig_put(peer, "llo!", 4);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_int_eq(o.err, 0);
    ck_assert_uint_eq(o.n, 5);
    ck_assert_mem_eq(buf, "hello", 5);
    sonic_stream_async_read_all(s, buf, 1, on_outcome, &o);
    RIG_UNTIL(&r, o.calls > 1);
    ck_assert_int_eq(buf[0], '!');
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(read_all_of_much)
{
    enum { MUCH = 8 << 20 };
    uint8_t *in = malloc(MUCH), *out = malloc(MUCH);
    struct rig r;
    struct outcome rd = {0}, wr = {0};
    sonic_stream *s[2];
    int fd[2];

    rig_open(&r, _i);
    rig_tcp(fd);
    for (int i = 0; i < 2; i++)
        s[i] = rig_adopt(&r, fd[i]);
    rig_fill(out, MUCH, 0);
    sonic_stream_async_read_all(s[0], in, MUCH, on_outcome, &rd);
    sonic_stream_async_write(s[1], out, MUCH, on_outcome, &wr);
    RIG_UNTIL(&r, rd.calls + wr.calls == 2);
    ck_assert_uint_eq(rd.n, MUCH);
    ck_assert_uint_eq(wr.n, MUCH);
    ck_assert(rig_same(in, MUCH, 0));
    free(in);
    free(out);
    rig_close(&r);
}
END_TEST

/* Nothing asked for is no end of the stream: before it, at it, behind it. */
START_TEST(length_of_zero)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    struct iovec none = {NULL, 0};
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    for (unsigned i = 0; i < 4; i++) {
        unsigned before = o.calls;

        sonic_stream_async_read(s, NULL, 0, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == before + 1);
        ck_assert_int_eq(o.err, 0);
        sonic_stream_async_read_all(s, NULL, 0, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == before + 2);
        ck_assert_int_eq(o.err, 0);
        sonic_stream_async_readv(s, NULL, 0, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == before + 3);
        ck_assert_int_eq(o.err, 0);
        sonic_stream_async_readv(s, &none, 1, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == before + 4);
        ck_assert_int_eq(o.err, 0);
        ck_assert_uint_eq(o.n, 0);
        if (i == 1)
            close(peer);
        if (i == 2) {
            char c;

            sonic_stream_async_read(s, &c, 1, on_outcome, &o);
            RIG_UNTIL(&r, o.calls == before + 5);
            ck_assert_int_eq(o.err, SONIC_EOF);
        }
    }
    rig_close(&r);
}
END_TEST

START_TEST(scattered)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char a[3], b[4];
    struct iovec v[65] = {{a, 3}, {NULL, 0}, {b, 4}};
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_async_readv(s, v, 65, on_outcome, &o);
    ck_assert_int_eq(o.err, -EINVAL);
    sonic_stream_async_readv(s, v, -1, on_outcome, &o);
    ck_assert_int_eq(o.err, -EINVAL);
    ck_assert_uint_eq(o.calls, 2);
    sonic_stream_async_readv(s, v, 3, on_outcome, &o);
    rig_settle(&r);
    rig_put(peer, "abcdefgh", 8);
    RIG_UNTIL(&r, o.calls > 2);
    ck_assert_int_eq(o.err, 0);
    ck_assert_uint_eq(o.n, 7);
    ck_assert_mem_eq(a, "abc", 3);
    ck_assert_mem_eq(b, "defg", 4);
    sonic_stream_async_readv(s, v, 64, on_outcome, &o);
    RIG_UNTIL(&r, o.calls > 3);
    ck_assert_uint_eq(o.n, 1);
    ck_assert_int_eq(a[0], 'h');
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- the end ---------------------------------------------------------- */

START_TEST(end_with_bytes_so_far)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    struct iovec v;
    char buf[10];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_async_read_all(s, buf, 10, on_outcome, &o);
    rig_put(peer, "abc", 3);
    rig_settle(&r);
    close(peer);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_int_eq(o.err, SONIC_EOF);
    ck_assert_uint_eq(o.n, 3);
    ck_assert_mem_eq(buf, "abc", 3);
    v = (struct iovec){buf, 10};
    for (unsigned i = 1; i <= 9; i += 2) { /* it stays the end */
        sonic_stream_async_read(s, buf, 10, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == i + 1);
        ck_assert_int_eq(o.err, SONIC_EOF);
        ck_assert_uint_eq(o.n, 0);
        sonic_stream_async_readv(s, &v, 1, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == i + 2);
        ck_assert_int_eq(o.err, SONIC_EOF);
    }
    ck_assert(sonic_stream_is_open(s)); /* it can still be written to */
    rig_close(&r);
}
END_TEST

/* What came before the end is read before the end is told. */
START_TEST(bytes_then_end)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char buf[4];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_put(peer, "abcdef", 6);
    shutdown(peer, SHUT_WR);
    for (unsigned i = 1; i <= 3; i++) {
        static const size_t n[] = {4, 2, 0};

        sonic_stream_async_read(s, buf, 4, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == i);
        ck_assert_int_eq(o.err, i < 3 ? 0 : SONIC_EOF);
        ck_assert_uint_eq(o.n, n[i - 1]);
    }
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(reset_by_peer)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    struct rig r;
    struct outcome o = {0}, w = {0};
    sonic_stream *s;
    char buf[10];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_async_read_all(s, buf, 10, on_outcome, &o);
    rig_put(peer, "abc", 3);
    rig_await(sonic_stream_fd(s), POLLIN);
    rig_settle(&r);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(peer);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_int_eq(o.err, -ECONNRESET);
    ck_assert_uint_eq(o.n, 3);
    sonic_stream_async_write(s, "x", 1, on_outcome, &w);
    RIG_UNTIL(&r, w.calls > 0);
    ck_assert(w.err == -EPIPE || w.err == -ECONNRESET);
    rig_close(&r);
}
END_TEST

START_TEST(passing_errors)
{
    static const int errors[] = {-EINTR, -EAGAIN};

    for (int k = 0; k < 2; k++) {
        struct rig r;
        struct outcome o = {0};
        sonic_stream *s;
        char buf[5];
        int peer;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        sonic_stream_async_read_all(s, buf, 5, on_outcome, &o);
        hook_fail(&r.hook, HOOK_recv, errors[k], k == 0 ? 3 : 1);
        rig_settle(&r);
        rig_put(peer, "hello", 5);
        RIG_UNTIL(&r, o.calls > 0);
        ck_assert_int_eq(o.err, 0);
        ck_assert_mem_eq(buf, "hello", 5);
        hook_fail(&r.hook, HOOK_recv, -EIO, 1);
        sonic_stream_async_read(s, buf, 5, on_outcome, &o);
        RIG_UNTIL(&r, o.calls > 1);
        ck_assert_int_eq(o.err, -EIO);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

/* ---- one at a time ---------------------------------------------------- */

struct busy {
    sonic_stream *s;
    char buf[8];
    struct iovec v;
    struct outcome o;
};

static void
on_lend(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    (void)data;
    on_outcome(s, err, len, ud);
    sonic_stream_consume(s, len);
}

static void
begin(struct busy *b, int kind, struct outcome *o)
{
    b->v = (struct iovec){b->buf, 8};
    switch (kind) {
    case 0:
        sonic_stream_async_read(b->s, b->buf, 8, on_outcome, o);
        break;
    case 1:
        sonic_stream_async_read_all(b->s, b->buf, 8, on_outcome, o);
        break;
    case 2:
        sonic_stream_async_readv(b->s, &b->v, 1, on_outcome, o);
        break;
    default:
        sonic_stream_lend(b->s, 8, 0, on_lend, o);
    }
}

/* A second read completes with -EBUSY; the first is not touched. */
START_TEST(second_is_busy)
{
    for (int first = 0; first < 4; first++) {
        struct rig r;
        struct busy b = {0};
        int peer;

        rig_open(&r, _i);
        b.s = rig_stream(&r, &peer);
        begin(&b, first, &b.o);
        for (int round = 0; round < 2; round++) {
            for (int second = 0; second < 4; second++) {
                struct outcome o = {0};

                begin(&b, second, &o);
                ck_assert_uint_eq(o.calls, 1);
                ck_assert_int_eq(o.err, -EBUSY);
                ck_assert_uint_eq(sonic_io_pending(r.io), 1);
            }
            rig_settle(&r);
        }
        ck_assert_uint_eq(b.o.calls, 0);
        rig_put(peer, "12345678", 8);
        RIG_UNTIL(&r, b.o.calls > 0);
        ck_assert_int_eq(b.o.err, 0);
        ck_assert_uint_eq(b.o.n, 8);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

/* ---- cancel ----------------------------------------------------------- */

START_TEST(cancel_with_bytes_so_far)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char buf[10];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_async_read_all(s, buf, 10, on_outcome, &o);
    rig_put(peer, "abc", 3);
    rig_await(sonic_stream_fd(s), POLLIN);
    rig_settle(&r);
    sonic_stream_cancel(s, SONIC_WRITING);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 0);
    sonic_stream_cancel(s, SONIC_READING);
    ck_assert_uint_eq(o.calls, 0); /* through the queue */
    rig_put(peer, "de", 2);
    rig_await(sonic_stream_fd(s), POLLIN);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 1);
    ck_assert_int_eq(o.err, -ECANCELED);
    ck_assert_uint_eq(o.n, 3);
    sonic_stream_cancel(s, SONIC_BOTH); /* of nothing, and for nothing later */
    sonic_stream_async_read_all(s, buf, 2, on_outcome, &o);
    RIG_UNTIL(&r, o.calls > 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert_mem_eq(buf, "de", 2);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(cancel_each_kind)
{
    for (int kind = 0; kind < 4; kind++)
        for (int begun = 0; begun < 2; begun++) {
            struct rig r;
            struct busy b = {0};
            int peer;

            rig_open(&r, _i);
            b.s = rig_stream(&r, &peer);
            begin(&b, kind, &b.o);
            if (begun)
                rig_settle(&r);
            sonic_stream_cancel(b.s, SONIC_BOTH);
            sonic_stream_cancel(b.s, SONIC_BOTH);
            ck_assert_int_eq(sonic_io_run(r.io), 1);
            ck_assert_uint_eq(b.o.calls, 1);
            ck_assert_int_eq(b.o.err, -ECANCELED);
            ck_assert_uint_eq(b.o.n, 0);
            close(peer);
            rig_close(&r);
        }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tc = tcase_create("read");

    rig_add(tc, reads_what_there_is);
    rig_add(tc, a_part_at_a_time);
    rig_add(tc, read_all_over_segments);
    rig_add(tc, read_all_of_much);
    rig_add(tc, length_of_zero);
    rig_add(tc, scattered);
    suite_add_tcase(suite, tc);
    tc = tcase_create("end");
    rig_add(tc, end_with_bytes_so_far);
    rig_add(tc, bytes_then_end);
    rig_add(tc, reset_by_peer);
    rig_add(tc, passing_errors);
    suite_add_tcase(suite, tc);
    tc = tcase_create("one");
    rig_add(tc, second_is_busy);
    rig_add(tc, cancel_with_bytes_so_far);
    rig_add(tc, cancel_each_kind);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
