/* The end of a stream: closed, reset, freed, by anybody, in any callback. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

/* ---- plain ends ------------------------------------------------------- */

static void (*const ends[])(sonic_stream *s) = {
    sonic_stream_close, sonic_stream_reset, sonic_stream_free};

START_TEST(pending_operations_end)
{
    for (int how = 0; how < 3; how++)
        for (int begun = 0; begun < 2; begun++) {
            struct rig r;
            struct outcome rd = {0}, w[2] = {{0}}, d = {0};
            sonic_stream *s;
            size_t stuffed;
            char buf[8];
            int peer;

            rig_open(&r, _i);
            s = rig_full_stream(&r, &peer, &stuffed);
            ck_assert_int_eq(sonic_stream_set_marks(s, 1, 1, 100), 0);
            sonic_stream_async_read_all(s, buf, 8, on_outcome, &rd);
            sonic_stream_async_write(s, "xy", 2, on_outcome, &w[0]);
            sonic_stream_async_write(s, "z", 1, on_outcome, &w[1]);
            sonic_stream_async_drain(s, on_outcome, &d);
            rig_put(peer, "abc", 3);
            if (begun)
                rig_settle(&r);
            ends[how](s);
            if (how < 2)
                ends[how](s); /* idempotent */
            ck_assert_uint_eq(rd.calls + w[0].calls + w[1].calls + d.calls, 0);
            ck_assert_int_eq(sonic_io_run(r.io), 4);
            ck_assert_int_eq(rd.err, -ECANCELED);
            ck_assert_uint_eq(rd.n, begun ? 3 : 0);
            for (int i = 0; i < 2; i++) {
                ck_assert_uint_eq(w[i].calls, 1);
                ck_assert_int_eq(w[i].err, -ECANCELED);
                ck_assert_uint_eq(w[i].n, 0);
            }
            ck_assert_int_eq(d.err, -ECANCELED);
            ck_assert_uint_eq(rd.calls + d.calls, 2);
            close(peer);
            rig_close(&r);
        }
    sonic_stream_free(NULL);
}
END_TEST

static void
on_late_lend(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    ck_assert_ptr_null(data);
    on_outcome(s, err, len, ud);
}

START_TEST(operations_on_a_closed_one)
{
    struct rig r;
    struct outcome o = {0};
    struct iovec v;
    sonic_stream *s;
    char buf[8];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_close(s);
    v = (struct iovec){buf, 8};
    sonic_stream_async_read(s, buf, 8, on_outcome, &o);
    ck_assert_int_eq(o.err, SONIC_ECLOSED);
    sonic_stream_async_read_all(s, buf, 8, on_outcome, &o);
    sonic_stream_async_readv(s, &v, 1, on_outcome, &o);
    sonic_stream_lend(s, 1, 0, on_late_lend, &o);
    sonic_stream_async_write(s, buf, 8, on_outcome, &o);
    sonic_stream_async_writev(s, &v, 1, on_outcome, &o);
    sonic_stream_async_drain(s, on_outcome, &o);
    ck_assert_uint_eq(o.calls, 7);
    ck_assert_int_eq(o.err, SONIC_ECLOSED);
    ck_assert_int_eq(sonic_stream_read(s, buf, 8, NULL), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_stream_write(s, buf, 8, NULL), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_stream_send(s, buf, 8), SONIC_ECLOSED);
    ck_assert_ptr_null(sonic_stream_reserve(s, 8));
    ck_assert_int_eq(sonic_stream_commit(s, 1), SONIC_ESTATE);
    ck_assert_int_eq(sonic_stream_shutdown(s), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_stream_set_deadline(s, SONIC_BOTH, 0),
                     SONIC_ECLOSED);
    ck_assert_int_eq(sonic_stream_flush(s), 0);
    sonic_stream_cancel(s, SONIC_BOTH);
    sonic_stream_consume(s, 1);
    sonic_stream_trim(s, 1);
    ck_assert_uint_eq(sonic_stream_buffered(s) + sonic_stream_queued(s), 0);
    close(peer);
    rig_close(&r);
}
END_TEST

/* What is queued is offered once more; the peer then sees the end. */
START_TEST(close_flushes)
{
    struct rig r;
    sonic_stream *s;
    char buf[5];
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_stream_send(s, "hello", 5), 0);
    sonic_stream_close(s);
    rig_get(peer, buf, 5);
    ck_assert_mem_eq(buf, "hello", 5);
    rig_get_end(peer);
    close(peer);
    rig_close(&r);
}
END_TEST

START_TEST(reset_is_seen)
{
    struct rig r;
    sonic_stream *s;
    char c;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    ck_assert_int_eq(sonic_stream_send(s, "hello", 5), 0);
    sonic_stream_reset(s);
    rig_await(peer, POLLIN);
    ck_assert_int_eq(read(peer, &c, 1), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(peer);
    rig_close(&r);
}
END_TEST

/* The descriptor is closed at once; its number may be another's. */
START_TEST(descriptor_goes_at_once)
{
    struct rig r;
    sonic_stream *s;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_close(s);
    rig_get_end(peer);
    ck_assert_int_eq(sonic_stream_fd(s), -1);
    close(peer);
    rig_close(&r);
}
END_TEST

/* ---- anything in any callback ----------------------------------------- */

enum trigger { READ, READ_ALL, READV, LEND, WRITE, WRITEV, DRAIN, TRIGGERS };

/* a has the operation whose callback acts, and one of the other direction
 * that waits.  b has some of each, and perhaps an event in the same batch. */
struct play {
    struct rig r;
    sonic_stream *a, *b;
    int peer_a, peer_b;
    char buf[5][8];
    struct iovec v;
    struct outcome trigger, a_other, b_lend, b_write, b_writev, b_drain;
    struct outcome next[8];
    void (*act)(struct play *p);
    bool acted, io_gone;
};

static void
on_b_lend(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    (void)data;
    on_outcome(s, err, len, ud);
}

static void
close_a(struct play *p)
{
    sonic_stream_close(p->a);
}

static void
reset_a(struct play *p)
{
    sonic_stream_reset(p->a);
}

static void
free_a(struct play *p)
{
    ck_assert_int_le(sonic_stream_send(p->a, "bye", 3), 1);
    sonic_stream_free(p->a);
    p->a = NULL;
}

static void
cancel_a(struct play *p)
{
    sonic_stream_cancel(p->a, SONIC_BOTH);
}

static void
close_b(struct play *p)
{
    sonic_stream_close(p->b);
}

static void
reset_b(struct play *p)
{
    sonic_stream_reset(p->b);
}

static void
free_b(struct play *p)
{
    ck_assert_int_le(sonic_stream_send(p->b, "bye", 3), 1);
    sonic_stream_free(p->b);
    p->b = NULL;
}

static void
cancel_b(struct play *p)
{
    sonic_stream_cancel(p->b, SONIC_BOTH);
}

static void
free_both(struct play *p)
{
    free_b(p);
    free_a(p);
}

static void
shut_both(struct play *p)
{
    (void)sonic_stream_shutdown(p->a);
    (void)sonic_stream_shutdown(p->b);
}

static void
late_both(struct play *p)
{
    ck_assert_int_eq(sonic_stream_set_deadline(p->a, SONIC_BOTH, 1), 0);
    ck_assert_int_eq(sonic_stream_set_deadline(p->b, SONIC_BOTH, 1), 0);
}

static void
close_io(struct play *p)
{
    sonic_io_close(p->r.io);
}

static void
free_io(struct play *p)
{
    sonic_io_free(p->r.io);
    p->io_gone = true;
}

static void
begin_next(struct play *p)
{
    p->v = (struct iovec){p->buf[3], 8};
    sonic_stream_async_read(p->a, p->buf[3], 8, on_outcome, &p->next[0]);
    sonic_stream_async_read_all(p->a, p->buf[3], 8, on_outcome, &p->next[1]);
    sonic_stream_async_readv(p->a, &p->v, 1, on_outcome, &p->next[2]);
    sonic_stream_lend(p->a, 1, 0, on_b_lend, &p->next[3]);
    sonic_stream_async_write(p->a, "next", 4, on_outcome, &p->next[4]);
    sonic_stream_async_writev(p->a, &p->v, 1, on_outcome, &p->next[5]);
    sonic_stream_async_drain(p->a, on_outcome, &p->next[6]);
    sonic_stream_lend(p->b, 1, 0, on_b_lend, &p->next[7]);
}

static void
begin_and_free(struct play *p)
{
    begin_next(p);
    free_both(p);
}

static void (*const acts[])(struct play *p) = {
    close_a,   reset_a,  free_a,   cancel_a,   close_b,
    reset_b,   free_b,   cancel_b, free_both,  shut_both,
    late_both, close_io, free_io,  begin_next, begin_and_free};

enum { ACTS = sizeof acts / sizeof *acts };

static void
on_trigger(sonic_stream *s, int err, size_t n, void *ud)
{
    struct play *p = ud;

    on_outcome(s, err, n, &p->trigger);
    if (p->acted)
        return;
    p->acted = true;
    ck_assert_int_eq(err, 0);
    p->act(p);
}

static void
on_lend_trigger(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct play *p = ud;

    ck_assert_mem_eq(data, "12345678", 8);
    on_trigger(s, err, len, ud);
    if (!p->io_gone) /* valid until this returns, whatever was done */
        ck_assert_mem_eq(data, "12345678", 8);
}

static void
set_up_a(struct play *p, enum trigger t)
{
    size_t stuffed;
    int fd[2];

    if (t < WRITE) {
        p->a = rig_full_stream(&p->r, &p->peer_a, &stuffed);
        sonic_stream_async_write(p->a, "other", 5, on_outcome, &p->a_other);
        rig_put(p->peer_a, "12345678", 8);
    } else {
        rig_pair(fd);
        p->peer_a = fd[1];
        p->a = rig_adopt(&p->r, fd[0]);
        sonic_stream_async_read(p->a, p->buf[1], 8, on_outcome, &p->a_other);
    }
}

static void
set_up_b(struct play *p)
{
    static const struct iovec v[2] = {{(void *)(uintptr_t) "ab", 2},
                                      {(void *)(uintptr_t) "cd", 2}};
    size_t stuffed;

    p->b = rig_full_stream(&p->r, &p->peer_b, &stuffed);
    ck_assert_int_eq(sonic_stream_set_marks(p->b, 1, 1, 100), 0);
    rig_put(p->peer_b, "rest", 4);
    sonic_stream_lend(p->b, 100, 0, on_b_lend, &p->b_lend);
    sonic_stream_async_write(p->b, "xyz", 3, on_outcome, &p->b_write);
    sonic_stream_async_writev(p->b, v, 2, on_outcome, &p->b_writev);
    sonic_stream_async_drain(p->b, on_outcome, &p->b_drain);
}

static void
begin_trigger(struct play *p, enum trigger t)
{
    static const struct iovec out[2] = {{(void *)(uintptr_t) "12", 2},
                                        {(void *)(uintptr_t) "34", 2}};

    p->v = (struct iovec){p->buf[0], 8};
    if (t == READ)
        sonic_stream_async_read(p->a, p->buf[0], 8, on_trigger, p);
    else if (t == READ_ALL)
        sonic_stream_async_read_all(p->a, p->buf[0], 8, on_trigger, p);
    else if (t == READV)
        sonic_stream_async_readv(p->a, &p->v, 1, on_trigger, p);
    else if (t == LEND)
        sonic_stream_lend(p->a, 8, 0, on_lend_trigger, p);
    else if (t == WRITE)
        sonic_stream_async_write(p->a, "1234", 4, on_trigger, p);
    else if (t == WRITEV)
        sonic_stream_async_writev(p->a, out, 2, on_trigger, p);
    else
        sonic_stream_async_drain(p->a, on_trigger, p);
}

static void
check_once(const struct outcome *o, const char *what, int t, int act)
{
    ck_assert_msg(o->calls == 1, "%s of trigger %d, act %d: %u times", what, t,
                  act, o->calls);
}

static void
one_play(int backend, int t, int act, int also)
{
    static struct play p;
    char sink[8192];

    memset(&p, 0, sizeof p);
    p.act = acts[act];
    rig_open(&p.r, backend);
    set_up_a(&p, (enum trigger)t);
    set_up_b(&p);
    rig_settle(&p.r); /* a waits for the trigger only */
    ck_assert_uint_eq(p.trigger.calls, 0);
    if (also) /* what b waits for comes in the same batch */
        while (read(p.peer_b, sink, sizeof sink) > 0)
            ;
    begin_trigger(&p, (enum trigger)t);
    for (int i = 0; i < 8 && !p.io_gone && sonic_io_poll(p.r.io) >= 0; i++)
        ;
    ck_assert_uint_eq(p.trigger.calls, 1);
    if (!p.io_gone)
        sonic_io_free(p.r.io);
    check_once(&p.trigger, "trigger", t, act);
    check_once(&p.a_other, "other of a", t, act);
    check_once(&p.b_lend, "lend of b", t, act);
    check_once(&p.b_write, "write of b", t, act);
    check_once(&p.b_writev, "writev of b", t, act);
    check_once(&p.b_drain, "drain of b", t, act);
    if (acts[act] == begin_next || acts[act] == begin_and_free)
        for (int i = 0; i < 8; i++)
            check_once(&p.next[i], "next", t, act);
    close(p.peer_a);
    close(p.peer_b);
    rig_closed(&p.r);
}

START_TEST(anything_in_any_callback)
{
    for (int t = 0; t < TRIGGERS; t++)
        for (int act = 0; act < ACTS; act++)
            for (int also = 0; also < 2; also++)
                one_play(_i, t, act, also);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_close");
    TCase *tc = tcase_create("end");

    rig_add(tc, pending_operations_end);
    rig_add(tc, operations_on_a_closed_one);
    rig_add(tc, close_flushes);
    rig_add(tc, reset_is_seen);
    rig_add(tc, descriptor_goes_at_once);
    suite_add_tcase(suite, tc);
    tc = tcase_create("callbacks");
    rig_add(tc, anything_in_any_callback);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
