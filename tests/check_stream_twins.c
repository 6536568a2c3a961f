/* The blocking twins of a stream's operations. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

enum { BIG = 4 << 20 };

/* Two ends on one io: whoever blocks on one runs the other. */
START_TEST(both_ends)
{
    struct rig r;
    sonic_stream *s[2];
    char buf[16];
    size_t n;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_stream_pair(r.io, s), 0);
    sonic_stream_lend(s[1], 1, 0, rig_echo, NULL);
    for (int i = 0; i < 50; i++) {
        n = 99;
        ck_assert_int_eq(sonic_stream_write(s[0], "hello", 5, &n), 0);
        ck_assert_uint_eq(n, 5);
        if (i % 2) {
            ck_assert_int_eq(sonic_stream_read_all(s[0], buf, 5, &n), 0);
        } else {
            ck_assert_int_eq(sonic_stream_read(s[0], buf, 16, NULL), 0);
        }
        ck_assert_mem_eq(buf, "hello", 5);
    }
    ck_assert_int_eq(sonic_stream_read(s[0], buf, 0, &n), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(sonic_stream_write(s[0], NULL, 0, &n), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_uint_eq(sonic_io_pending(r.io), 1);
    rig_close(&r);
}
END_TEST

START_TEST(end_and_errors)
{
    struct rig r;
    sonic_stream *s, *none;
    char buf[10];
    size_t n = 99;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_put(peer, "abc", 3);
    close(peer);
    ck_assert_int_eq(sonic_stream_read_all(s, buf, 10, &n), SONIC_EOF);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(sonic_stream_read(s, buf, 10, &n), SONIC_EOF);
    ck_assert_uint_eq(n, 0);
    while (sonic_stream_write(s, "x", 1, &n) == 0)
        ;
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(sonic_stream_new(r.io, &none), 0);
    ck_assert_int_eq(sonic_stream_read(none, buf, 10, &n), -ENOTCONN);
    ck_assert_int_eq(sonic_stream_write(none, buf, 10, &n), -ENOTCONN);
    rig_close(&r);
}
END_TEST

/* ---- where they cannot run -------------------------------------------- */

static void
try_all(sonic_stream *s, int err, size_t n, void *ud)
{
    char c;

    on_outcome(s, err, n, ud);
    ck_assert_int_eq(sonic_stream_read(s, &c, 1, NULL), -EBUSY);
    ck_assert_int_eq(sonic_stream_read_all(s, &c, 1, NULL), -EBUSY);
    ck_assert_int_eq(sonic_stream_write(s, &c, 1, NULL), -EBUSY);
}

START_TEST(inside_a_callback)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_async_write(s, "x", 1, try_all, &o);
    ck_assert_int_eq(sonic_io_run(r.io), 1);
    sonic_stream_close(s);
    sonic_stream_async_write(s, "x", 1, try_all, &o); /* a refusal */
    ck_assert_uint_eq(o.calls, 2);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(while_another_reads)
{
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char buf[4], c;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_async_read_all(s, buf, 4, on_outcome, &o);
    ck_assert_int_eq(sonic_stream_read(s, &c, 1, NULL), -EBUSY);
    rig_put(peer, "abcd", 4);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_mem_eq(buf, "abcd", 4);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- an io that is stopped -------------------------------------------- */

static void
stop(sonic_timer *t, int err, void *ud)
{
    (void)t;
    if (err == 0)
        sonic_io_stop(ud);
}

static void
stop_soon(struct rig *r, sonic_timer *t)
{
    sonic_io_restart(r->io);
    sonic_timer_once(t, MS, stop, r->io);
}

/* The read ends, with the bytes so far; nothing refers to the caller's memory
 * any more, and what others have under way is not touched. */
START_TEST(stopped_while_reading)
{
    struct rig r;
    struct outcome w = {0};
    sonic_stream *s;
    sonic_timer *t;
    size_t stuffed, n;
    char *buf = malloc(10), later[4];
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_stream_async_write(s, "abc", 3, on_outcome, &w);
    rig_put(peer, "123", 3);
    stop_soon(&r, t);
    ck_assert_int_eq(sonic_stream_read_all(s, buf, 10, &n), SONIC_ESTOPPED);
    ck_assert_uint_eq(n, 3);
    ck_assert_mem_eq(buf, "123", 3);
    n = 99;
    ck_assert_int_eq(sonic_stream_read(s, buf, 10, &n), SONIC_ESTOPPED);
    ck_assert_uint_eq(n, 0);
    free(buf);
    ck_assert_uint_eq(w.calls, 0);
    ck_assert_uint_eq(sonic_io_pending(r.io), 1); /* the write */
    sonic_io_restart(r.io);
    rig_put(peer, "4567", 4);
    ck_assert_int_eq(sonic_stream_read_all(s, later, 4, NULL), 0);
    ck_assert_mem_eq(later, "4567", 4);
    rig_take(&r, peer, 0, stuffed);
    RIG_UNTIL(&r, w.calls > 0);
    ck_assert_int_eq(w.err, 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* A write of which nothing is gone is taken back; what was queued before it
 * and behind it is not. */
START_TEST(stopped_before_writing)
{
    struct rig r;
    struct outcome rd = {0}, w = {0};
    sonic_stream *s;
    sonic_timer *t;
    size_t stuffed, n = 99;
    char buf[4];
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_stream_async_read_all(s, buf, 4, on_outcome, &rd);
    sonic_stream_async_write(s, "one", 3, on_outcome, &w);
    ck_assert_int_eq(sonic_stream_send(s, "two", 3), 0);
    stop_soon(&r, t);
    ck_assert_int_eq(sonic_stream_write(s, "bad", 3, &n), SONIC_ESTOPPED);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(sonic_stream_send(s, "three", 5), 0);
    ck_assert_uint_eq(sonic_stream_queued(s), 11);
    sonic_io_restart(r.io);
    ck_assert_uint_eq(rd.calls + w.calls, 0);
    ck_assert_uint_eq(sonic_io_pending(r.io), 2);
    rig_take(&r, peer, 0, stuffed);
    RIG_UNTIL(&r, w.calls > 0);
    rig_settle(&r);
    {
        char all[12];

        rig_get(peer, all, 11);
        ck_assert_mem_eq(all, "onetwothree", 11);
    }
    rig_put(peer, "read", 4);
    RIG_UNTIL(&r, rd.calls > 0);
    ck_assert_int_eq(rd.err, 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* Have the kernel keep less than it otherwise would: with time, the whole. */
static void
keep_little(int fd, int buffer)
{
    int bytes = 64 << 10;

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, buffer, &bytes, sizeof bytes),
                     0);
}

/* A write of which a part is gone reports the part; the rest goes out by
 * itself, from memory of the stream. */
START_TEST(stopped_while_writing)
{
    for (int memory = 0; memory < 2; memory++) {
        struct rig r;
        sonic_stream *s;
        sonic_timer *t;
        size_t n = 0;
        uint8_t *data = malloc(BIG);
        int peer;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        keep_little(sonic_stream_fd(s), SO_SNDBUF);
        keep_little(peer, SO_RCVBUF);
        ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
        rig_fill(data, BIG, 0);
        ck_assert_int_eq(sonic_stream_send(s, data, 10), 0);
        ck_assert_int_eq(sonic_stream_flush(s), 0);
        stop_soon(&r, t);
        /* the write's own block, then the copy of the rest */
        hook_mem_fail_nth(&r.hook, memory ? 0 : 2);
        ck_assert_int_eq(sonic_stream_write(s, data + 10, BIG - 10, &n),
                         SONIC_ESTOPPED);
        hook_mem_fail_nth(&r.hook, 0);
        ck_assert_uint_gt(n, 0);
        ck_assert_uint_lt(n, BIG - 10);
        memset(data, 0, BIG);
        sonic_io_restart(r.io);
        if (memory) {
            ck_assert_uint_eq(sonic_stream_queued(s), BIG - 10 - n);
            rig_take(&r, peer, 0, BIG);
        } else {
            ck_assert(!sonic_stream_is_open(s));
        }
        ck_assert_uint_eq(sonic_io_pending(r.io), 0);
        free(data);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

/* It was stopped before it began; what could go out has gone out. */
START_TEST(stopped_already)
{
    struct rig r;
    sonic_stream *s;
    size_t n = 99;
    char buf[5];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_io_stop(r.io);
    ck_assert_int_eq(sonic_stream_write(s, "hello", 5, &n), SONIC_ESTOPPED);
    ck_assert(n == 0 || n == 5);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    if (n == 5)
        rig_get(peer, buf, 5);
    rig_put(peer, "there", 5);
    ck_assert_int_eq(sonic_stream_read_all(s, buf, 5, &n), SONIC_ESTOPPED);
    ck_assert_uint_eq(n, 0);
    sonic_io_restart(r.io);
    ck_assert_int_eq(sonic_stream_read_all(s, buf, 5, &n), 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- ended by others meanwhile ---------------------------------------- */

struct killer {
    sonic_stream *s;
    int how;
};

static void
kill_it(sonic_io *io, void *ud)
{
    struct killer *k = ud;

    if (k->how == 0)
        sonic_stream_close(k->s);
    else if (k->how == 1)
        sonic_stream_free(k->s);
    else if (k->how == 2)
        sonic_io_close(io);
    else
        sonic_io_free(io);
}

START_TEST(ended_meanwhile)
{
    for (int how = 0; how < 4; how++)
        for (int write = 0; write < 2; write++) {
            struct rig r;
            struct killer k = {.how = how};
            char buf[4] = "";
            size_t stuffed;
            int peer, err;

            rig_open(&r, _i);
            k.s = rig_full_stream(&r, &peer, &stuffed);
            ck_assert_int_eq(sonic_io_post(r.io, kill_it, &k), 0);
            err = write ? sonic_stream_write(k.s, buf, 4, NULL)
                        : sonic_stream_read_all(k.s, buf, 4, NULL);
            ck_assert_int_eq(err, -ECANCELED);
            if (how < 3)
                sonic_io_free(r.io);
            close(peer);
            rig_closed(&r);
        }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_twins");
    TCase *tc = tcase_create("twins");

    rig_add(tc, both_ends);
    rig_add(tc, end_and_errors);
    rig_add(tc, inside_a_callback);
    rig_add(tc, while_another_reads);
    suite_add_tcase(suite, tc);
    tc = tcase_create("stopped");
    rig_add(tc, stopped_while_reading);
    rig_add(tc, stopped_before_writing);
    rig_add(tc, stopped_while_writing);
    rig_add(tc, stopped_already);
    rig_add(tc, ended_meanwhile);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
