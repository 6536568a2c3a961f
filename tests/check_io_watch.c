/* Descriptors: registered once, stale events dropped, fair turns, bounded
 * depth. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

/* ---- registered once -------------------------------------------------- */

enum { STREAMS = 20, ROUNDS = 50 };

/* However many operations there are: one epoll_ctl when a descriptor comes,
 * one when it goes. */
START_TEST(registered_once)
{
    struct rig r;
    sonic_io_stats stats;
    sonic_stream *s[STREAMS];
    int peer[STREAMS];
    unsigned long before;
    char buf[8];

    rig_open(&r, _i);
    before = hook_calls(&r.hook, HOOK_epoll_ctl);
    for (int i = 0; i < STREAMS; i++)
        s[i] = rig_stream(&r, &peer[i]);
    for (int k = 0; k < ROUNDS; k++)
        for (int i = 0; i < STREAMS; i++) {
            struct outcome o = {0}, w = {0};

            sonic_stream_async_read(s[i], buf, sizeof buf, on_outcome, &o);
            rig_settle(&r);
            rig_put(peer[i], "x", 1);
            sonic_stream_async_write(s[i], "y", 1, on_outcome, &w);
            RIG_UNTIL(&r, o.calls > 0 && w.calls > 0);
            rig_get(peer[i], buf, 1);
        }
    sonic_io_get_stats(r.io, &stats);
    ck_assert_uint_eq(stats.registered, STREAMS + 1); /* and the waker */
    for (int i = 0; i < STREAMS; i++) {
        sonic_stream_free(s[i]);
        close(peer[i]);
    }
    rig_settle(&r);
    if (r.backend == SONIC_BACKEND_EPOLL)
        ck_assert_uint_eq(hook_calls(&r.hook, HOOK_epoll_ctl) - before,
                          2 * STREAMS);
    sonic_io_get_stats(r.io, &stats);
    ck_assert_uint_eq(stats.objects, 0);
    rig_close(&r);
}
END_TEST

/* A descriptor that cannot be registered stays the caller's, and nothing is
 * left pending. */
START_TEST(not_registered)
{
    struct rig r;
    sonic_stream *s;
    int fd[2];

    rig_open(&r, _i);
    rig_pair(fd);
    hook_fail(&r.hook, HOOK_epoll_ctl, -ENOSPC, 1);
    if (r.backend == SONIC_BACKEND_EPOLL)
        ck_assert_int_eq(sonic_stream_adopt(r.io, fd[0], &s), -ENOSPC);
    ck_assert_int_ge(fcntl(fd[0], F_GETFD), 0);
    rig_settle(&r);
    ck_assert_uint_eq(sonic_io_pending(r.io), 0);
    hook_fail(&r.hook, HOOK_epoll_ctl, 0, 0);
    s = rig_adopt(&r, fd[0]);
    close(fd[1]);
    rig_close(&r);
}
END_TEST

START_TEST(high_descriptors)
{
    struct rlimit lim;
    struct rig r;
    struct outcome o = {0};
    sonic_stream *s;
    char buf[2];
    int fd[2], high;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_cur < 5001) {
        printf("not tested: the limit is %llu descriptors\n",
               (unsigned long long)lim.rlim_cur);
        return;
    }
    rig_open(&r, _i);
    rig_pair(fd);
    high = fcntl(fd[0], F_DUPFD_CLOEXEC, 5000);
    ck_assert_int_ge(high, 5000);
    close(fd[0]);
    s = rig_adopt(&r, high);
    sonic_stream_async_read_all(s, buf, 2, on_outcome, &o);
    rig_settle(&r);
    rig_put(fd[1], "hi", 2);
    RIG_UNTIL(&r, o.calls > 0);
    ck_assert_mem_eq(buf, "hi", 2);
    close(fd[1]);
    rig_close(&r);
}
END_TEST

/* ---- events of what is gone ------------------------------------------- */

struct siblings {
    struct rig r;
    sonic_stream *s[8], *again;
    int peer[8], again_peer, dup;
    char buf[8][4], again_buf[4];
    struct outcome read[8], again_read;
    bool reuse, ended;
};

/* The first to be called closes all the others, whose events are in the same
 * batch, and may put a new stream in the place of one. */
static void
end_siblings(sonic_stream *s, int err, size_t n, void *ud)
{
    struct siblings *b = ud;
    int fd[2], number = -1;

    for (int i = 0; i < 8; i++)
        if (b->s[i] == s) {
            b->read[i].calls++;
            b->read[i].err = err;
            b->read[i].n = n;
        }
    if (b->ended)
        return;
    b->ended = true;
    ck_assert_int_eq(err, 0);
    for (int i = 0; i < 8; i++)
        if (b->s[i] != s) {
            number = sonic_stream_fd(b->s[i]);
            if (b->dup < 0)
                b->dup = dup(number);
            if (i % 2)
                sonic_stream_free(b->s[i]);
            else
                sonic_stream_close(b->s[i]);
        }
    if (!b->reuse)
        return;
    rig_pair(fd);
    if (fd[0] != number) {
        ck_assert_int_eq(dup3(fd[0], number, O_CLOEXEC), number);
        close(fd[0]);
    }
    b->again_peer = fd[1];
    b->again = rig_adopt(&b->r, number);
    sonic_stream_async_read(b->again, b->again_buf, 4, on_outcome,
                            &b->again_read);
}

static void
check_siblings(struct siblings *b)
{
    unsigned served = 0;

    for (int i = 0; i < 8; i++) {
        ck_assert_uint_eq(b->read[i].calls, 1);
        if (b->read[i].err == 0)
            served++;
        else
            ck_assert_int_eq(b->read[i].err, -ECANCELED);
    }
    ck_assert_uint_eq(served, 1);
}

START_TEST(siblings_closed)
{
    for (int reuse = 0; reuse < 2; reuse++) {
        static struct siblings b;
        sonic_io_stats before, after;
        unsigned long recvs;

        memset(&b, 0, sizeof b);
        b.reuse = reuse;
        b.dup = -1;
        rig_open(&b.r, _i);
        for (int i = 0; i < 8; i++) {
            b.s[i] = rig_stream(&b.r, &b.peer[i]);
            sonic_stream_async_read(b.s[i], b.buf[i], 4, end_siblings, &b);
        }
        rig_settle(&b.r);
        for (int i = 0; i < 8; i++) {
            rig_put(b.peer[i], "x", 1);
            rig_await(sonic_stream_fd(b.s[i]), POLLIN);
        }
        recvs = hook_calls(&b.r.hook, HOOK_recv);
        rig_settle(&b.r);
        check_siblings(&b);
        /* one for the first, one for the new one to find nothing */
        ck_assert_uint_eq(hook_calls(&b.r.hook, HOOK_recv) - recvs,
                          reuse ? 2 : 1);
        /* A duplicate of a closed descriptor lives on; nobody hears of it. */
        sonic_io_get_stats(b.r.io, &before);
        for (int i = 0; i < 8; i++)
            if (send(b.peer[i], "y", 1, MSG_NOSIGNAL) < 0)
                ck_assert(errno == EPIPE || errno == ECONNRESET);
        rig_await(b.dup, POLLIN);
        rig_settle(&b.r);
        sonic_io_get_stats(b.r.io, &after);
        ck_assert_uint_le(after.events - before.events, 1); /* the first's */
        ck_assert_uint_eq(b.again_read.calls, 0);
        if (reuse) {
            rig_put(b.again_peer, "new", 3);
            RIG_UNTIL(&b.r, b.again_read.calls > 0);
            ck_assert_mem_eq(b.again_buf, "new", 3);
            close(b.again_peer);
        }
        for (int i = 0; i < 8; i++)
            close(b.peer[i]);
        close(b.dup);
        rig_close(&b.r);
    }
}
END_TEST

/* ---- depth ------------------------------------------------------------ */

enum { CHAIN = 40 };

struct chain {
    struct rig r;
    sonic_stream *s[CHAIN];
    int peer[CHAIN];
    char buf[CHAIN];
    unsigned at, depth, deepest;
};

static void
next_in_chain(sonic_stream *s, int err, size_t n, void *ud)
{
    struct chain *c = ud;

    (void)s;
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(n, 1);
    if (++c->depth > c->deepest)
        c->deepest = c->depth;
    if (++c->at < CHAIN)
        sonic_stream_async_read(c->s[c->at], &c->buf[c->at], 1, next_in_chain,
                                c);
    c->depth--;
}

/* Forty streams with a byte each, each read begun in the callback before. */
START_TEST(bounded_depth)
{
    static struct chain c;
    sonic_io_stats stats;

    memset(&c, 0, sizeof c);
    rig_open(&c.r, _i);
    for (int i = 0; i < CHAIN; i++) {
        c.s[i] = rig_stream(&c.r, &c.peer[i]);
        rig_put(c.peer[i], "x", 1);
        rig_await(sonic_stream_fd(c.s[i]), POLLIN);
    }
    sonic_stream_async_read(c.s[0], &c.buf[0], 1, next_in_chain, &c);
    ck_assert_uint_eq(c.at, 0); /* outside the loop: not in the call */
    ck_assert_int_eq(sonic_io_run(c.r.io), CHAIN);
    ck_assert_uint_eq(c.at, CHAIN);
    ck_assert_uint_eq(c.deepest, SONIC_MAX_DISPATCH);
    sonic_io_get_stats(c.r.io, &stats);
    ck_assert_uint_eq(stats.max_dispatch, SONIC_MAX_DISPATCH);
    for (int i = 0; i < CHAIN; i++)
        close(c.peer[i]);
    rig_close(&c.r);
}
END_TEST

struct two {
    sonic_stream *s[2];
    char buf;
    unsigned left, depth, deepest;
};

static void
other_one(sonic_stream *s, int err, size_t n, void *ud)
{
    struct two *t = ud;

    (void)n;
    ck_assert_int_eq(err, 0);
    if (++t->depth > t->deepest)
        t->deepest = t->depth;
    if (--t->left > 0)
        sonic_stream_async_read(t->s[s == t->s[0]], &t->buf, 1, other_one, t);
    t->depth--;
}

/* Two that begin each other's reads: however much there is to read, the stack
 * does not grow with it. */
START_TEST(two_by_turns)
{
    enum { EACH = 2000 };
    static char data[EACH];
    struct rig r;
    struct two t = {.left = 2 * EACH};
    int peer[2];

    rig_open(&r, _i);
    for (int i = 0; i < 2; i++) {
        t.s[i] = rig_stream(&r, &peer[i]);
        rig_put(peer[i], data, EACH);
    }
    sonic_stream_async_read(t.s[0], &t.buf, 1, other_one, &t);
    RIG_UNTIL(&r, t.left == 0);
    ck_assert_uint_le(t.deepest, SONIC_MAX_DISPATCH);
    ck_assert_uint_eq(t.depth, 0);
    close(peer[0]);
    close(peer[1]);
    rig_close(&r);
}
END_TEST

/* ---- fairness --------------------------------------------------------- */

struct hose {
    struct rig r;
    int peer, quiet_peer;
    char buf[512], quiet_buf;
    unsigned reads, at_timer, at_read, at_post;
    bool done;
};

/* Never dry: whoever reads also fills up. */
static void
on_hose(sonic_stream *s, int err, size_t n, void *ud)
{
    struct hose *h = ud;

    if (err == -ECANCELED)
        return;
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(write(h->peer, h->buf, n), (ssize_t)n);
    if (++h->reads == 5000)
        h->done = true;
    if (!h->done)
        sonic_stream_async_read(s, h->buf, sizeof h->buf, on_hose, h);
}

static void
hose_timer(sonic_timer *t, int err, void *ud)
{
    struct hose *h = ud;

    (void)t;
    ck_assert_int_eq(err, 0);
    h->at_timer = h->reads;
}

static void
hose_read(sonic_stream *s, int err, size_t n, void *ud)
{
    struct hose *h = ud;

    (void)s;
    (void)n;
    ck_assert_int_eq(err, 0);
    h->at_read = h->reads;
}

static void
hose_post(sonic_io *io, void *ud)
{
    struct hose *h = ud;

    (void)io;
    h->at_post = h->reads;
}

static void
start_others(struct hose *h)
{
    sonic_stream *s = rig_stream(&h->r, &h->quiet_peer);
    sonic_timer *t;

    ck_assert_int_eq(sonic_timer_new(h->r.io, &t), 0);
    sonic_timer_once(t, 0, hose_timer, h);
    sonic_stream_async_read(s, &h->quiet_buf, 1, hose_read, h);
    rig_put(h->quiet_peer, "x", 1);
    rig_await(sonic_stream_fd(s), POLLIN);
    ck_assert_int_eq(sonic_io_post(h->r.io, hose_post, h), 0);
}

/* In terms of handlers, not of time: the others have their turn before the
 * firehose has had two of its own budgets, in each run mode that matters. */
START_TEST(firehose)
{
    for (int spin = 0; spin < 2; spin++) {
        static struct hose h;
        static const char fill[4096];
        sonic_stream *s;
        int fd[2];

        memset(&h, 0, sizeof h);
        rig_open(&h.r, _i);
        rig_pair(fd);
        h.peer = fd[1];
        s = rig_adopt(&h.r, fd[0]);
        rig_put(h.peer, fill, sizeof fill);
        sonic_stream_async_read(s, h.buf, sizeof h.buf, on_hose, &h);
        ck_assert_int_ge(sonic_io_run_batch(h.r.io), 1);
        ck_assert_uint_le(h.reads, 2 * 16);
        start_others(&h);
        h.at_timer = h.at_read = h.at_post = (unsigned)-1;
        h.reads = 0;
        if (spin)
            ck_assert_int_ge(sonic_io_run_spin(h.r.io), 3);
        else
            ck_assert_int_ge(sonic_io_run(h.r.io), 3);
        ck_assert_uint_eq(h.reads, 5000);
        ck_assert_uint_le(h.at_timer, 3 * 16);
        ck_assert_uint_le(h.at_read, 3 * 16);
        ck_assert_uint_le(h.at_post, 3 * 16);
        close(h.peer);
        close(h.quiet_peer);
        rig_close(&h.r);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("io_watch");
    TCase *tc = tcase_create("registry");

    rig_add(tc, registered_once);
    rig_add(tc, not_registered);
    rig_add(tc, high_descriptors);
    rig_add(tc, siblings_closed);
    suite_add_tcase(suite, tc);
    tc = tcase_create("turns");
    rig_add(tc, bounded_depth);
    rig_add(tc, two_by_turns);
    rig_add(tc, firehose);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
