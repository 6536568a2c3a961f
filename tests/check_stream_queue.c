/* The write queue: its marks, its limit, drain and cancel. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

enum { BIG = 1 << 20 };

/* ---- order ------------------------------------------------------------ */

enum { STREAMS = 5 };
static int sent[STREAMS], n_sent;

static ssize_t
note_send(int fd, const void *buf, size_t len, int flags, void *ud)
{
    ck_assert_int_lt(n_sent, STREAMS);
    sent[n_sent++] = fd;
    return sonic_sys_kernel()->send(fd, buf, len, flags, ud);
}

/* What is sent outside a dispatch goes out in the order in which the streams
 * began to send; one that is gone by then is left out. */
START_TEST(first_come_first_served)
{
    struct rig r;
    sonic_sys sys = *sonic_sys_kernel();
    sonic_stream *s[STREAMS];
    int peer[STREAMS];

    sys.send = note_send;
    rig_open(&r, _i);
    r.hook.below = &sys;
    n_sent = 0;
    for (int i = 0; i < STREAMS; i++)
        s[i] = rig_stream(&r, &peer[i]);
    for (int i = 0; i < 2 * STREAMS; i++)
        ck_assert_int_eq(sonic_stream_send(s[i % STREAMS], "x", 1), 0);
    sonic_stream_reset(s[STREAMS - 1]);
    sonic_stream_free(s[STREAMS - 1]);
    rig_settle(&r);
    ck_assert_int_eq(n_sent, STREAMS - 1);
    for (int i = 0; i < n_sent; i++)
        ck_assert_int_eq(sent[i], sonic_stream_fd(s[i]));
    for (int i = 0; i < STREAMS; i++)
        close(peer[i]);
    rig_close(&r);
}
END_TEST

/* ---- marks and limit -------------------------------------------------- */

START_TEST(marks_are_checked)
{
    struct rig r;
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_stream_set_marks(s, 2, 1, 3), SONIC_EOPTION);
    ck_assert_int_eq(sonic_stream_set_marks(s, 1, 3, 2), SONIC_EOPTION);
    ck_assert_int_eq(sonic_stream_set_marks(s, 2 << 20, 0, 0), SONIC_EOPTION);
    ck_assert_int_eq(sonic_stream_set_marks(s, 0, 0, SIZE_MAX / 4 + 1),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic_stream_set_marks(s, 0, 0, 1000), 0);
    ck_assert_int_eq(sonic_stream_set_marks(s, 0, 1001, 0), SONIC_EOPTION);
    ck_assert_int_eq(sonic_stream_set_marks(s, 1001, 0, 0), SONIC_EOPTION);
    ck_assert_int_eq(sonic_stream_set_marks(s, 1000, 1000, 0), 0);
    ck_assert_int_eq(sonic_stream_set_marks(s, 0, 0, 0), 0);
    ck_assert_int_eq(sonic_stream_set_marks(s, 1, 1, 1), 0);
    ck_assert_int_eq(sonic_stream_set_marks(s, 0, 0, 4), 0);
    ck_assert_int_eq(sonic_stream_set_marks(s, 2, 0, 0), SONIC_EOPTION);
    ck_assert_int_eq(sonic_stream_set_marks(s, 0, 5, 0), SONIC_EOPTION);
    close(peer);
    rig_close(&r);
}
END_TEST

/* What it says is what a send finds, to the byte; what is queued counts. */
START_TEST(room_is_what_a_send_finds)
{
    enum { LIMIT = 1000, SENT = 400 };
    static const char data[LIMIT + 1];
    struct rig r;
    sonic_stream *s;
    size_t stuffed;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    ck_assert_int_eq(sonic_stream_set_marks(s, 10, 900, LIMIT), 0);
    for (size_t queued = 0; queued <= SENT; queued += SENT) {
        ck_assert_uint_eq(sonic_stream_queued(s), queued);
        ck_assert(sonic_stream_has_room(s, 0));
        ck_assert(sonic_stream_has_room(s, LIMIT - queued));
        ck_assert(!sonic_stream_has_room(s, LIMIT - queued + 1));
        ck_assert(!sonic_stream_has_room(s, SIZE_MAX));
        ck_assert_int_eq(sonic_stream_send(s, data, LIMIT - queued + 1),
                         SONIC_EQUEUE);
        if (queued == 0)
            ck_assert_int_eq(sonic_stream_send(s, data, SENT), 0);
    }
    ck_assert_int_eq(sonic_stream_send(s, data, LIMIT - SENT), 1);
    ck_assert(sonic_stream_has_room(s, 0));
    ck_assert(!sonic_stream_has_room(s, 1));
    close(peer);
    rig_close(&r);
}
END_TEST

/* Above the high mark send says 1; one drain for each crossing of the low
 * one, and none in between. */
START_TEST(one_drain_a_crossing)
{
    struct rig r;
    struct outcome d = {0}, busy = {0};
    sonic_stream *s;
    uint8_t data[1000];
    size_t stuffed, at;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    ck_assert_int_eq(sonic_stream_set_marks(s, 2000, 5000, 8000), 0);
    at = stuffed;
    for (unsigned crossing = 1; crossing <= 3; crossing++) {
        for (int i = 1; i <= 8; i++) {
            rig_fill(data, sizeof data, at);
            ck_assert_int_eq(sonic_stream_send(s, data, sizeof data), i > 5);
            at += sizeof data;
        }
        ck_assert_int_eq(sonic_stream_send(s, data, 1), SONIC_EQUEUE);
        ck_assert_ptr_null(sonic_stream_reserve(s, 1));
        ck_assert_uint_eq(sonic_stream_queued(s), 8000);
        sonic_stream_async_drain(s, on_outcome, &d);
        sonic_stream_async_drain(s, on_outcome, &busy);
        ck_assert_int_eq(busy.err, -EBUSY);
        rig_settle(&r);
        ck_assert_uint_eq(d.calls, crossing - 1);
        rig_take(&r, peer, at - 8000 - stuffed, 8000 + stuffed);
        rig_settle(&r);
        ck_assert_uint_eq(d.calls, crossing);
        ck_assert_int_eq(d.err, 0);
        ck_assert_uint_le(d.n, 2000);
        /* what is in the kernel again, for the next time */
        stuffed = rig_stuff(sonic_stream_fd(s), at);
        at += stuffed;
    }
    sonic_stream_async_drain(s, on_outcome, &d); /* at once: there is nothing */
    rig_settle(&r);
    ck_assert_uint_eq(d.calls, 4);
    close(peer);
    rig_close(&r);
}
END_TEST

/* One write may be larger than the limit, for it is not copied; behind it
 * there is no room for anything. */
START_TEST(limit_holds_behind_a_large_write)
{
    static uint8_t data[BIG];
    struct rig r;
    struct outcome w = {0}, refused = {0};
    sonic_stream *s;
    struct iovec v = {data, 1};
    size_t stuffed;
    int peer;

    rig_open(&r, _i);
    s = rig_full_stream(&r, &peer, &stuffed);
    rig_fill(data, BIG, stuffed);
    ck_assert_int_eq(sonic_stream_set_marks(s, 1000, 1000, 1000), 0);
    sonic_stream_async_write(s, data, BIG, on_outcome, &w);
    ck_assert_int_eq(sonic_stream_send(s, data, 1), SONIC_EQUEUE);
    ck_assert_ptr_null(sonic_stream_reserve(s, 1));
    sonic_stream_async_write(s, data, 1, on_outcome, &refused);
    ck_assert_int_eq(refused.err, SONIC_EQUEUE);
    sonic_stream_async_writev(s, &v, 1, on_outcome, &refused);
    ck_assert_int_eq(refused.err, SONIC_EQUEUE);
    ck_assert_uint_eq(refused.calls, 2);
    ck_assert_uint_eq(sonic_stream_queued(s), BIG);
    rig_take(&r, peer, 0, stuffed + BIG);
    rig_settle(&r);
    ck_assert_uint_eq(w.calls, 1);
    ck_assert_int_eq(w.err, 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- the queue and its own callbacks ---------------------------------- */

static void
send_too_much(sonic_stream *s, int err, size_t n, void *ud)
{
    static uint8_t data[BIG];

    ck_assert_int_eq(sonic_stream_send(s, data, sizeof data), SONIC_EQUEUE);
    on_outcome(s, err, n, ud);
}

START_TEST(refused_in_the_last_callback)
{
    struct rig r;
    struct outcome w = {0}, d = {0};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_stream_set_marks(s, 1000, 1000, 1000), 0);
    sonic_stream_async_write(s, "hello", 5, send_too_much, &w);
    RIG_UNTIL(&r, w.calls > 0);
    sonic_stream_async_drain(s, send_too_much, &d);
    RIG_UNTIL(&r, d.calls > 0);
    close(peer);
    rig_close(&r);
}
END_TEST

static void
on_request(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    on_outcome(s, err, len, ud);
    if (err == 0) {
        ck_assert_int_eq(sonic_stream_send(s, data, len), 0);
        sonic_stream_consume(s, len);
    }
}

static void
on_reply_sent(sonic_stream *s, int err, size_t n, void *ud)
{
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(n, 5);
    sonic_stream_lend(s, 1, 0, on_request, ud);
}

/* The reply is written, its callback looks for the next request, which is
 * there already, and queues the reply to that: it must go out too. */
START_TEST(send_below_a_write_callback)
{
    struct rig r;
    struct outcome rd = {0};
    sonic_stream *s;
    char buf[10];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_put(peer, "again", 5);
    rig_await(sonic_stream_fd(s), POLLIN);
    rig_settle(&r); /* no event is left that would help */
    sonic_stream_async_write(s, "first", 5, on_reply_sent, &rd);
    rig_settle(&r);
    ck_assert_uint_eq(rd.calls, 1);
    ck_assert_uint_eq(sonic_stream_queued(s), 0);
    rig_get(peer, buf, 10);
    ck_assert_mem_eq(buf, "firstagain", 10);
    close(peer);
    rig_close(&r);
}
END_TEST

struct eager {
    unsigned drains, at_tick;
    bool ticked;
};

static void
drain_again(sonic_stream *s, int err, size_t n, void *ud)
{
    struct eager *e = ud;

    (void)n;
    e->drains++;
    if (err == 0 && e->drains < 100000)
        sonic_stream_async_drain(s, drain_again, e);
}

static void
on_eager_tick(sonic_timer *t, int err, void *ud)
{
    struct eager *e = ud;

    (void)t;
    ck_assert_int_eq(err, 0);
    e->ticked = true;
    e->at_tick = e->drains;
}

/* Nobody who drains an empty queue keeps the others from running. */
START_TEST(drain_of_nothing_is_fair)
{
    struct rig r;
    struct eager e = {0};
    sonic_stream *s;
    sonic_timer *t;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_timer_new(r.io, &t), 0);
    sonic_stream_async_drain(s, drain_again, &e);
    sonic_timer_once(t, 0, on_eager_tick, &e);
    while (!e.ticked)
        ck_assert_int_ge(sonic_io_poll(r.io), 1);
    ck_assert_uint_le(e.at_tick, 100);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- cancel ----------------------------------------------------------- */

/* Of what is queued: sends stay, so does a write of which a part is gone;
 * writes that nothing has been taken of end. */
START_TEST(cancel_takes_back_what_it_can)
{
    static uint8_t data[BIG];
    struct rig r;
    struct outcome first = {0}, w[3] = {{0}}, d = {0};
    struct iovec v[3] = {{data, 10}, {data, 20}, {data, 30}};
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    rig_fill(data, BIG, 0);
    for (size_t n = 0; sonic_stream_queued(s) == 0; n += BIG) {
        /* as much as the kernel takes, and then the first in part */
        static uint8_t more[BIG];

        rig_fill(more, BIG, n);
        first.calls = 0;
        sonic_stream_async_write(s, more, BIG, on_outcome, &first);
        rig_settle(&r);
    }
    ck_assert_uint_eq(first.calls, 0);
    ck_assert_uint_lt(sonic_stream_queued(s), BIG);
    sonic_stream_async_write(s, data, 100, on_outcome, &w[0]);
    ck_assert_int_eq(sonic_stream_send(s, data, 50), 0);
    sonic_stream_async_writev(s, v, 3, on_outcome, &w[1]);
    ck_assert_int_eq(sonic_stream_send(s, data, 50), 0);
    sonic_stream_async_write(s, data, 100, on_outcome, &w[2]);
    sonic_stream_async_drain(s, on_outcome, &d);
    sonic_stream_cancel(s, SONIC_READING);
    rig_settle(&r);
    ck_assert_uint_eq(w[0].calls + w[1].calls + w[2].calls, 0);
    sonic_stream_cancel(s, SONIC_WRITING);
    ck_assert_uint_eq(w[0].calls, 0);
    rig_settle(&r);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(w[i].calls, 1);
        ck_assert_int_eq(w[i].err, -ECANCELED);
        ck_assert_uint_eq(w[i].n, 0);
    }
    close(peer);
    rig_close(&r);
    ck_assert_uint_eq(first.calls, 1);
    ck_assert_int_eq(first.err, -ECANCELED);
    ck_assert_uint_gt(first.n, 0);
    ck_assert_uint_lt(first.n, BIG);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_queue");
    TCase *tc = tcase_create("marks");

    rig_add(tc, first_come_first_served);
    rig_add(tc, marks_are_checked);
    rig_add(tc, room_is_what_a_send_finds);
    rig_add(tc, one_drain_a_crossing);
    rig_add(tc, limit_holds_behind_a_large_write);
    suite_add_tcase(suite, tc);
    tc = tcase_create("callbacks");
    rig_add(tc, refused_in_the_last_callback);
    rig_add(tc, send_below_a_write_callback);
    rig_add(tc, drain_of_nothing_is_fair);
    suite_add_tcase(suite, tc);
    tc = tcase_create("cancel");
    rig_add(tc, cancel_takes_back_what_it_can);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
