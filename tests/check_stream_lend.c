/* Bytes lent in the reactor's buffer. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

enum { SMALL = RIG_SMALL, BIG = 1 << 20 };

/* What a lend showed, and what is to be done with it. */
struct loan {
    unsigned calls;
    int err;
    size_t len;     /* shown */
    size_t at;      /* place in the sequence of its first byte */
    size_t consume; /* in the callback; SIZE_MAX: all */
    size_t trim;
    bool again;
    size_t min, want;
    bool wrong; /* not the sequence */
};

static void
on_loan(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct loan *l = ud;
    size_t n = l->consume < len ? l->consume : len;

    l->calls++;
    l->err = err;
    l->len = len;
    ck_assert_uint_eq(sonic_stream_buffered(s), len);
    ck_assert(len == 0 || data != NULL);
    if (!rig_same(data, len, l->at))
        l->wrong = true;
    sonic_stream_consume(s, n);
    l->at += n;
    sonic_stream_trim(s, l->trim);
    if (l->again && err == 0)
        sonic_stream_lend(s, l->min, l->want, on_loan, l);
}

static void
put(int peer, size_t n, size_t i)
{
    uint8_t *p = malloc(n);

    rig_fill(p, n, i);
    rig_put(peer, p, n);
    free(p);
}

/* ---- shown and consumed ----------------------------------------------- */

START_TEST(shown_and_consumed)
{
    struct rig r;
    struct loan l = {.consume = SIZE_MAX, .again = true};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_lend(s, 0, 0, on_loan, &l);
    rig_settle(&r);
    ck_assert_uint_eq(l.calls, 0);
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0); /* it waits without */
    for (unsigned i = 0; i < 50; i++) {
        put(peer, 100, i * 100);
        RIG_UNTIL(&r, l.at == (i + 1) * 100);
        ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
    }
    ck_assert(!l.wrong);
    ck_assert_uint_le(rig_stats(&r).buffers, 1);
    close(peer);
    RIG_UNTIL(&r, l.err != 0);
    ck_assert_int_eq(l.err, SONIC_EOF);
    ck_assert_uint_eq(l.len, 0);
    rig_close(&r);
}
END_TEST

START_TEST(at_least)
{
    struct rig r;
    struct loan l = {.consume = SIZE_MAX};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_lend(s, 10, 0, on_loan, &l);
    for (unsigned i = 0; i < 9; i++) {
        put(peer, 1, i);
        rig_await(sonic_stream_fd(s), POLLIN);
        rig_settle(&r);
    }
    ck_assert_uint_eq(l.calls, 0);
    ck_assert_uint_eq(sonic_stream_buffered(s), 9);
    put(peer, 1, 9);
    RIG_UNTIL(&r, l.calls > 0);
    ck_assert_uint_eq(l.len, 10);
    ck_assert(!l.wrong);
    close(peer);
    rig_close(&r);
}
END_TEST

/* What was not consumed comes again, with more behind it, contiguous, however
 * often the buffer goes round. */
START_TEST(the_rest_comes_again)
{
    struct rig r;
    struct loan l = {.again = true, .min = 1};
    sonic_stream *s;
    size_t sent = 0;
    int peer;

    rig_open_small(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_lend(s, 1, 0, on_loan, &l);
    for (unsigned i = 1; i < 400; i++) {
        size_t n = i * 37 % 1200 + 1, rest = i % 50;

        /* it is called when there is one byte more than it left */
        l.min = rest + 1;
        l.consume = sent - l.at + n - rest;
        put(peer, n, sent);
        sent += n;
        rig_await(sonic_stream_fd(s), POLLIN);
        rig_settle(&r);
        ck_assert(!l.wrong);
        ck_assert_uint_le(sent - l.at, 50 + 1200);
    }
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 1);
    ck_assert_uint_eq(sonic_stream_buffered(s), sent - l.at);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(trimmed)
{
    struct rig r;
    struct loan l = {.consume = 10, .trim = 20};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    put(peer, 100, 0);
    rig_await(sonic_stream_fd(s), POLLIN);
    sonic_stream_lend(s, 100, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 0);
    ck_assert_uint_eq(sonic_stream_buffered(s), 70);
    l.trim = SIZE_MAX;
    sonic_stream_lend(s, 70, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 1);
    ck_assert_uint_eq(l.len, 70); /* 10 … 79 */
    ck_assert(!l.wrong);
    ck_assert_uint_eq(sonic_stream_buffered(s), 0);
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
    sonic_stream_consume(s, 5); /* of nothing */
    sonic_stream_trim(s, 5);
    close(peer);
    rig_close(&r);
}
END_TEST

/* Other reads begin with what a lend left. */
START_TEST(the_rest_by_other_reads)
{
    struct rig r;
    struct loan l = {.consume = 2};
    struct outcome o = {0};
    sonic_stream *s;
    uint8_t buf[40];
    struct iovec v[2] = {{buf, 3}, {buf + 3, 4}};
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    put(peer, 20, 0);
    rig_await(sonic_stream_fd(s), POLLIN);
    sonic_stream_lend(s, 20, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 0);
    sonic_stream_async_read(s, buf, 5, on_outcome, &o);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_uint_eq(o.n, 5);
    ck_assert(rig_same(buf, 5, 2));
    sonic_stream_async_readv(s, v, 2, on_outcome, &o);
    RIG_UNTIL(&r, o.calls == 2);
    ck_assert_uint_eq(o.n, 7);
    ck_assert(rig_same(buf, 7, 7));
    put(peer, 10, 20);
    sonic_stream_async_read_all(s, buf, 16, on_outcome, &o);
    RIG_UNTIL(&r, o.calls == 3);
    ck_assert_uint_eq(o.n, 16);
    ck_assert(rig_same(buf, 16, 14));
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
    close(peer);
    rig_close(&r);
}
END_TEST

static void
consume_later(sonic_timer *t, int err, void *ud)
{
    sonic_stream *s = ud;

    (void)t;
    ck_assert_int_eq(err, 0);
    sonic_stream_consume(s, 30);
    ck_assert_uint_eq(sonic_stream_buffered(s), 70);
    sonic_stream_trim(s, 60);
    sonic_stream_consume(s, 10);
}

/* Consumed behind the callback: the buffer goes back all the same. */
START_TEST(consumed_later)
{
    struct rig r;
    struct loan l = {0};
    sonic_stream *s;
    sonic_timer *t;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    put(peer, 100, 0);
    rig_await(sonic_stream_fd(s), POLLIN);
    sonic_stream_lend(s, 100, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 0);
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 1);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_timer_once(t, 0, consume_later, s);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    ck_assert_uint_eq(sonic_stream_buffered(s), 0);
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* Whoever does not ask again is not shown more, and nothing is received. */
START_TEST(back_pressure)
{
    struct rig r;
    struct loan l = {.consume = SIZE_MAX};
    uint64_t reads;
    sonic_stream *s;
    size_t stuffed;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_lend(s, 1, 0, on_loan, &l);
    put(peer, 1, 0);
    RIG_UNTIL(&r, l.calls > 0);
    reads = rig_stats(&r).reads;
    stuffed = rig_stuff(peer, 1);
    rig_settle(&r);
    ck_assert_uint_eq(rig_stats(&r).reads, reads);
    ck_assert_uint_eq(l.calls, 1);
    l.again = true;
    sonic_stream_lend(s, 1, 0, on_loan, &l);
    RIG_UNTIL(&r, l.at == 1 + stuffed);
    ck_assert(!l.wrong);
    close(peer);
    rig_close(&r);
}
END_TEST

static void
scribble(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    on_outcome(s, err, len, ud);
    memset(data, '#', len); /* a protocol may unmask in place */
}

START_TEST(may_be_written_to)
{
    struct rig r;
    struct outcome o = {0}, rd = {0};
    sonic_stream *s;
    char buf[5];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_put(peer, "hello", 5);
    rig_await(sonic_stream_fd(s), POLLIN);
    sonic_stream_lend(s, 5, 0, scribble, &o);
    sonic_io_run(r.io);
    sonic_stream_async_read_all(s, buf, 5, on_outcome, &rd);
    sonic_io_run(r.io);
    ck_assert_mem_eq(buf, "#####", 5);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- larger than the buffer ------------------------------------------- */

START_TEST(larger_than_the_buffer)
{
    for (int told = 0; told < 2; told++) {
        struct rig r;
        struct loan l = {.consume = SIZE_MAX};
        sonic_stream *s;
        uint8_t *data = malloc(BIG);
        size_t sent = 0;
        int peer;

        rig_open_small(&r, _i);
        s = rig_stream(&r, &peer);
        rig_fill(data, BIG, 0);
        sonic_stream_lend(s, BIG, told ? BIG : 0, on_loan, &l);
        while (l.calls == 0) {
            ssize_t n = write(peer, data + sent, BIG - sent);

            if (n > 0)
                sent += (size_t)n;
            ck_assert_int_ge(sonic_io_poll(r.io), 0);
        }
        ck_assert_int_eq(l.err, 0);
        ck_assert_uint_eq(l.len, BIG);
        ck_assert(!l.wrong);
        ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
        /* told, it borrowed the right one at once: the small and the large */
        ck_assert_uint_eq(rig_stats(&r).buffers, told ? 2 : 7);
        free(data);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

/* No larger buffer can be had: an error, the bytes so far, and another try. */
START_TEST(over_the_buffer_limit)
{
    struct rig r;
    sonic_io_options o = SONIC_IO_OPTIONS_INIT;
    struct loan l = {0};
    sonic_stream *s;
    int peer;

    o.buffer_size = SMALL;
    o.buffer_limit = 2 * SMALL;
    rig_open_with(&r, _i, &o);
    s = rig_stream(&r, &peer);
    put(peer, SMALL + 10, 0);
    sonic_stream_lend(s, SMALL + 1, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 0);
    ck_assert_int_eq(l.err, -ENOMEM);
    ck_assert_uint_eq(l.len, SMALL);
    ck_assert(!l.wrong);
    ck_assert(sonic_stream_is_open(s));
    l.consume = SIZE_MAX;
    sonic_stream_lend(s, 10, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 1);
    ck_assert_int_eq(l.err, 0);
    sonic_stream_lend(s, 10, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 2);
    ck_assert_uint_eq(l.len, 10);
    ck_assert(!l.wrong);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(no_buffer_at_all)
{
    struct rig r;
    struct loan l = {.consume = SIZE_MAX};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    put(peer, 10, 0);
    rig_await(sonic_stream_fd(s), POLLIN);
    hook_fail(&r.hook, HOOK_memfd_create, -EMFILE, 1);
    sonic_stream_lend(s, 10, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 0);
    ck_assert(l.err == -EMFILE || l.err == -ENOMEM);
    sonic_stream_lend(s, 10, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 1);
    ck_assert_int_eq(l.err, 0);
    ck_assert(!l.wrong);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- ends ------------------------------------------------------------- */

START_TEST(end_with_a_rest)
{
    struct rig r;
    struct loan l = {.consume = SIZE_MAX};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    put(peer, 7, 0);
    close(peer);
    sonic_stream_lend(s, 10, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 0);
    ck_assert_int_eq(l.err, SONIC_EOF);
    ck_assert_uint_eq(l.len, 7);
    ck_assert(!l.wrong);
    sonic_stream_lend(s, 1, 0, on_loan, &l);
    RIG_UNTIL(&r, l.calls > 1);
    ck_assert_int_eq(l.err, SONIC_EOF);
    ck_assert_uint_eq(l.len, 0);
    rig_close(&r);
}
END_TEST

START_TEST(cancelled_with_a_rest)
{
    struct rig r;
    struct loan l = {0};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    put(peer, 7, 0);
    rig_await(sonic_stream_fd(s), POLLIN);
    sonic_stream_lend(s, 10, 0, on_loan, &l);
    rig_settle(&r);
    sonic_stream_cancel(s, SONIC_READING);
    RIG_UNTIL(&r, l.calls > 0);
    ck_assert_int_eq(l.err, -ECANCELED);
    ck_assert_uint_eq(l.len, 7);
    put(peer, 3, 7);
    l.consume = SIZE_MAX;
    sonic_stream_lend(s, 10, 0, on_loan, &l); /* nothing is lost */
    RIG_UNTIL(&r, l.calls > 1);
    ck_assert_int_eq(l.err, 0);
    ck_assert_uint_eq(l.len, 10);
    ck_assert(!l.wrong);
    close(peer);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_lend");
    TCase *tc = tcase_create("lend");

    rig_add(tc, shown_and_consumed);
    rig_add(tc, at_least);
    rig_add(tc, the_rest_comes_again);
    rig_add(tc, trimmed);
    rig_add(tc, the_rest_by_other_reads);
    rig_add(tc, consumed_later);
    rig_add(tc, back_pressure);
    rig_add(tc, may_be_written_to);
    suite_add_tcase(suite, tc);
    tc = tcase_create("large");
    rig_add(tc, larger_than_the_buffer);
    rig_add(tc, over_the_buffer_limit);
    rig_add(tc, no_buffer_at_all);
    suite_add_tcase(suite, tc);
    tc = tcase_create("end");
    rig_add(tc, end_with_a_rest);
    rig_add(tc, cancelled_with_a_rest);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
