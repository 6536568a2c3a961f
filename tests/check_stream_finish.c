/* The orderly end of a stream: everything arrives, or the peer knows that it
 * did not. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

enum { MANY = 4 << 20 };

static uint8_t data[MANY];

static void
send_many(sonic_stream *s)
{
    rig_fill(data, MANY, 0);
    ck_assert_int_ge(sonic_stream_send(s, data, MANY), 0);
}

static void
end_open(struct rig *r)
{
    rig_settle(r);
    ck_assert_uint_eq(sonic_io_pending(r->io), 0);
    ck_assert_uint_eq(rig_stats(r).objects, 0);
    rig_close(r);
}

/* A peer that takes its time gets all of it, then the end, and has the last
 * word: which is not wanted. */
START_TEST(a_slow_peer)
{
    for (int shut = 0; shut < 2; shut++) {
        struct outcome o = {0}, cut = {0};
        struct rig r;
        sonic_stream *s;
        uint8_t byte;
        int peer;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        send_many(s);
        sonic_stream_async_read(s, &byte, 1, on_outcome, &cut);
        if (shut)
            ck_assert_int_eq(sonic_stream_shutdown(s), 0);
        sonic_stream_async_finish(s, 0, on_outcome, &o);
        ck_assert_int_eq(sonic_stream_send(s, "x", 1), -EPIPE);
        rig_take(&r, peer, 0, MANY);
        ck_assert_int_eq(cut.err, -ECANCELED);
        ck_assert_uint_eq(o.calls, 0);
        rig_put(peer, "last words", 10);
        rig_settle(&r);
        ck_assert_uint_eq(o.calls, 0);
        rig_get_end(peer);
        close(peer);
        RIG_UNTIL(&r, o.calls > 0);
        ck_assert_int_eq(o.err, 0);
        end_open(&r);
    }
}
END_TEST

/* It ended before we did: what is queued is for it all the same. */
START_TEST(a_peer_that_only_listens)
{
    struct outcome o = {0};
    struct rig r;
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    shutdown(peer, SHUT_WR);
    send_many(s);
    sonic_stream_async_finish(s, SECOND * 10, on_outcome, &o);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 0);
    rig_take(&r, peer, 0, MANY);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_int_eq(o.err, 0);
    rig_get_end(peer);
    close(peer);
    end_open(&r);
}
END_TEST

/* One that does not read: after the time it is reset.  One that reads, and
 * never ends, is left with an orderly end. */
START_TEST(a_deaf_peer)
{
    for (int reads = 0; reads < 2; reads++) {
        struct outcome o = {0};
        struct rig r;
        sonic_stream *s;
        ssize_t n;
        int peer;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        if (reads)
            ck_assert_int_eq(sonic_stream_send(s, "x", 1), 0);
        else
            send_many(s);
        hook_clock(&r.hook, sonic_io_now(r.io));
        sonic_stream_async_finish(s, 50 * MS, on_outcome, &o);
        RIG_UNTIL(&r, o.calls > 0);
        ck_assert_int_eq(o.err, -ETIMEDOUT);
        rig_settle(&r);
        while ((n = recv(peer, data, MANY, 0)) > 0)
            ;
        ck_assert_int_eq(n < 0 ? errno : 0, reads ? 0 : ECONNRESET);
        close(peer);
        end_open(&r);
    }
}
END_TEST

/* It goes in the middle: the error is told, once. */
START_TEST(a_peer_that_resets)
{
    struct linger now = {.l_onoff = 1};
    struct outcome o = {0};
    struct rig r;
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    send_many(s);
    sonic_stream_async_finish(s, 0, on_outcome, &o);
    rig_settle(&r);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(peer);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert(o.err == -ECONNRESET || o.err == -EPIPE);
    end_open(&r);
}
END_TEST

/* A pipe has one direction; one that is not connected, none. */
START_TEST(other_kinds)
{
    struct outcome o = {0};
    sonic_stream *s[2], *none;
    char got[8];
    size_t n;
    struct rig r;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_pipe_new(r.io, s), 0);
    ck_assert_int_eq(sonic_stream_send(s[1], "word", 4), 0);
    sonic_stream_async_finish(s[1], 0, on_outcome, &o);
    ck_assert_int_eq(sonic_stream_read_all(s[0], got, 8, &n), SONIC_EOF);
    ck_assert_uint_eq(n, 4);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_int_eq(o.err, 0);
    sonic_stream_free(s[0]);
    ck_assert_int_eq(sonic_stream_new(r.io, &none), 0);
    sonic_stream_async_finish(none, 0, on_outcome, &o);
    ck_assert_uint_eq(o.calls, 2);
    ck_assert_int_eq(o.err, -ENOTCONN);
    end_open(&r);
}
END_TEST

static void
give_up(sonic_stream *s, int err, size_t n, void *ud)
{
    on_outcome(s, err, n, ud);
    sonic_stream_free(s);
}

/* Freed meanwhile, or with the io, with a callback or without. */
START_TEST(freed_meanwhile)
{
    for (int what = 0; what < 6; what++) {
        struct outcome o = {0};
        struct rig r;
        sonic_stream *s;
        int peer;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        send_many(s);
        sonic_stream_async_finish(s, 0, what % 2 == 0 ? give_up : NULL, &o);
        if (what >= 2)
            rig_settle(&r);
        if (what >= 4)
            sonic_stream_free(s);
        close(peer);
        rig_close(&r);
        ck_assert_uint_eq(o.calls, what % 2 == 0);
        ck_assert_int_eq(o.err, what % 2 == 0 ? -ECANCELED : 0);
    }
}
END_TEST

static void
stop(sonic_timer *t, int err, void *ud)
{
    (void)t;
    (void)err;
    sonic_io_stop(ud);
}

START_TEST(blocking_twin)
{
    sonic_stream *s[2];
    sonic_timer *t;
    struct rig r;

    rig_open(&r, _i);
    ck_assert_int_eq(sonic_stream_pair(r.io, s), 0);
    sonic_stream_async_finish(s[1], 0, NULL, NULL);
    ck_assert_int_eq(sonic_stream_finish(s[0], 0), 0);
    ck_assert_int_eq(sonic_stream_pair(r.io, s), 0);
    ck_assert_int_eq(sonic_stream_finish(s[0], MS), -ETIMEDOUT);
    sonic_stream_free(s[1]);
    ck_assert_int_eq(sonic_stream_pair(r.io, s), 0);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_timer_once(t, 0, stop, r.io);
    ck_assert_int_eq(sonic_stream_finish(s[0], 0), SONIC_ESTOPPED);
    sonic_timer_free(t);
    sonic_stream_free(s[1]);
    sonic_io_restart(r.io);
    end_open(&r);
}
END_TEST

/* Without memory it is refused, and freed nevertheless. */
START_TEST(memory_fails)
{
    for (unsigned long n = 1;; n++) {
        struct outcome o = {0};
        struct rig r;
        sonic_stream *s;
        bool failed;
        int peer;

        rig_open(&r, _i);
        s = rig_stream(&r, &peer);
        close(peer);
        hook_mem_fail_nth(&r.hook, n);
        sonic_stream_async_finish(s, 0, on_outcome, &o);
        RIG_UNTIL(&r, o.calls > 0);
        failed = r.hook.mem_failed;
        hook_mem_fail_nth(&r.hook, 0);
        ck_assert(o.err == 0 || (failed && o.err == -ENOMEM));
        end_open(&r);
        ck_assert_uint_eq(o.calls, 1);
        if (!failed)
            break;
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_finish");
    TCase *tc = tcase_create("stream_finish");

    rig_add(tc, a_slow_peer);
    rig_add(tc, a_peer_that_only_listens);
    rig_add(tc, a_deaf_peer);
    rig_add(tc, a_peer_that_resets);
    rig_add(tc, other_kinds);
    rig_add(tc, freed_meanwhile);
    rig_add(tc, blocking_twin);
    rig_add(tc, memory_fails);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
