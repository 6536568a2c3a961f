/* Echo, as most programs do it: what a message costs, and that what lies in
 * the lent buffer stays what it was until it has gone out. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream.h"
#include "support/rig.h"

struct echo {
    size_t bytes;   /* echoed */
    unsigned parts; /* sends for each lend, 0 is 1 */
    size_t rest;    /* bytes to leave, where there are more */
    bool scribble;  /* over what was consumed, when it was sent by copy */
    bool ended;
};

static void
on_echo(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct echo *e = ud;
    unsigned parts = e->parts > 0 ? e->parts : 1;
    size_t n = len > e->rest ? len - e->rest : 0, at = 0;

    if (err < 0) {
        e->ended = true;
        return;
    }
    for (unsigned i = 1; i <= parts; i++) {
        size_t to = n * i / parts;

        ck_assert_int_ge(sonic_stream_send(s, data + at, to - at), 0);
        at = to;
    }
    e->bytes += n;
    sonic_stream_consume(s, n);
    sonic_stream_lend(s, e->rest + 1, 0, on_echo, e);
}

/* ---- what it costs ---------------------------------------------------- */

enum { MESSAGES = 10000, SIZE = 100 };

static void
one_message(struct rig *r, int peer, const struct echo *e, unsigned i)
{
    size_t before = e->bytes;
    char msg[SIZE], back[SIZE];

    memset(msg, (int)i, SIZE);
    rig_put(peer, msg, SIZE);
    RIG_UNTIL(r, e->bytes == before + SIZE);
    rig_get(peer, back, SIZE);
    ck_assert_mem_eq(msg, back, SIZE);
}

/* Ten thousand messages: nothing is allocated, nothing is registered. */
START_TEST(nothing_is_allocated)
{
    struct rig r;
    struct echo e = {.parts = 3};
    sonic_stream *s;
    unsigned long allocs, maps, ctls;
    unsigned n = rig_slow() ? MESSAGES / 20 : MESSAGES;
    int peer;

    rig_open(&r, _i);
    s = rig_stream(&r, &peer);
    sonic_stream_lend(s, 1, 0, on_echo, &e);
    for (unsigned i = 0; i < 10; i++)
        one_message(&r, peer, &e, i);
    allocs = atomic_load(&r.hook.allocs);
    maps = hook_calls(&r.hook, HOOK_mmap);
    ctls = hook_calls(&r.hook, HOOK_epoll_ctl);
    for (unsigned i = 0; i < n; i++)
        one_message(&r, peer, &e, i);
    ck_assert_uint_eq(atomic_load(&r.hook.allocs), allocs);
    ck_assert_uint_eq(hook_calls(&r.hook, HOOK_mmap), maps);
    ck_assert_uint_eq(hook_calls(&r.hook, HOOK_epoll_ctl), ctls);
    close(peer);
    rig_close(&r);
}
END_TEST

/* A cycle in which ten connections have something: one wait, one receive and
 * one send for each, however many messages that were. */
START_TEST(one_receive_and_one_send)
{
    enum { STREAMS = 10 };
    struct rig r;
    struct echo e = {.parts = 16};
    sonic_stream *s[STREAMS];
    char msg[16 * SIZE] = {0};
    int peer[STREAMS];

    rig_open(&r, _i);
    for (int i = 0; i < STREAMS; i++) {
        s[i] = rig_stream(&r, &peer[i]);
        sonic_stream_lend(s[i], 1, 0, on_echo, &e);
    }
    rig_settle(&r);
    for (int round = 0; round < 5; round++) {
        unsigned long calls, waits;

        for (int i = 0; i < STREAMS; i++) {
            rig_put(peer[i], msg, sizeof msg);
            rig_await(sonic_stream_fd(s[i]), POLLIN);
        }
        e.bytes = 0;
        calls = hook_all_calls(&r.hook);
        waits = atomic_load(&r.hook.looks) + atomic_load(&r.hook.sleeps);
        ck_assert_int_eq(sonic_io_run_batch(r.io), STREAMS);
        ck_assert_uint_eq(e.bytes, STREAMS * sizeof msg);
        ck_assert_uint_eq(hook_all_calls(&r.hook) - calls, 2 * STREAMS);
        ck_assert_uint_eq(atomic_load(&r.hook.looks) +
                              atomic_load(&r.hook.sleeps) - waits,
                          1);
        for (int i = 0; i < STREAMS; i++)
            rig_get(peer[i], msg, sizeof msg);
    }
    ck_assert_uint_eq(hook_calls(&r.hook, HOOK_sendmsg), 0);
    for (int i = 0; i < STREAMS; i++)
        close(peer[i]);
    rig_close(&r);
}
END_TEST

/* An idle stream is its struct and a slot, no buffer and no queue. */
START_TEST(idle_streams)
{
    enum { STREAMS = 200 };
    struct rig r;
    struct echo e = {0};
    sonic_stream *s[STREAMS];
    int peer[STREAMS];
    size_t before;

    ck_assert_uint_le(sizeof(struct sonic_stream), 112);
    rig_open(&r, _i);
    s[0] = rig_stream(&r, &peer[0]);
    sonic_stream_lend(s[0], 1, 0, on_echo, &e);
    one_message(&r, peer[0], &e, 1);
    before = atomic_load(&r.hook.bytes);
    for (unsigned i = 1; i < STREAMS; i++) {
        s[i] = rig_stream(&r, &peer[i]);
        sonic_stream_lend(s[i], 1, 0, on_echo, &e);
        one_message(&r, peer[i], &e, i);
    }
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
    ck_assert_uint_le((atomic_load(&r.hook.bytes) - before) / (STREAMS - 1),
                      112 + 2 * sizeof(struct sonic__slot) +
                          2 * sizeof(struct pollfd));
    for (int i = 0; i < STREAMS; i++)
        close(peer[i]);
    rig_close(&r);
}
END_TEST

/* ---- many with a rest each -------------------------------------------- */

/* Each of many connections holds a few bytes of an unfinished message; they
 * do not each hold a buffer, and no byte is lost. */
START_TEST(many_rests)
{
    enum { MOST = 1000, LEFT = 50 };
    static sonic_stream *s[MOST];
    static struct echo e[MOST];
    static int peer[MOST];
    struct rlimit lim;
    struct rig r;
    int n = MOST;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
    lim.rlim_cur = lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_cur < 2 * MOST + 50)
        n = (int)(lim.rlim_cur / 2 - 50);
    rig_open(&r, _i);
    for (int i = 0; i < n; i++) {
        char msg[SIZE], back[SIZE];
        int fd[2];

        rig_pair(fd);
        peer[i] = fd[1];
        s[i] = rig_adopt(&r, fd[0]);
        e[i] = (struct echo){.rest = LEFT};
        memset(msg, i, SIZE);
        rig_put(peer[i], msg, SIZE);
        sonic_stream_lend(s[i], LEFT + 1, 0, on_echo, &e[i]);
        RIG_UNTIL(&r, e[i].bytes == SIZE - LEFT);
        rig_get(peer[i], back, SIZE - LEFT);
        ck_assert_uint_eq(sonic_stream_buffered(s[i]), LEFT);
    }
    ck_assert_uint_le(rig_stats(&r).buffers, 66);
    ck_assert_uint_le(rig_stats(&r).buffers_lent, 65);
    for (int i = 0; i < n; i++) {
        char msg[SIZE], back[2 * SIZE - LEFT];

        e[i].rest = 0;
        memset(msg, i, SIZE);
        rig_put(peer[i], msg, SIZE);
        RIG_UNTIL(&r, e[i].bytes == 2 * SIZE - LEFT || e[i].bytes == 2 * SIZE);
        rig_get(peer[i], back, SIZE + LEFT);
        for (size_t k = 0; k < SIZE + LEFT; k++)
            ck_assert_int_eq(back[k], (char)i);
    }
    ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
    for (int i = 0; i < n; i++)
        close(peer[i]);
    rig_close(&r);
}
END_TEST

/* ---- a peer that does not read ---------------------------------------- */

/* All that the peer sends comes back to it, though its window is full most of
 * the time: what waits refers to lent buffers, which go on being used for what
 * comes behind.  In sizes that are copied, that are pinned, and both. */
START_TEST(full_window)
{
    static const unsigned parts[] = {1, 2, 7, 40};
    enum { BUFFER = 64 * 1024, TOTAL = 3 << 20 };

    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        sonic_io_options o = SONIC_IO_OPTIONS_INIT;
        struct rig r;
        struct echo e = {.parts = parts[k], .rest = k % 2 ? 10 : 0};
        sonic_stream *s;
        size_t sent = 0, got = 0, most = 0;
        int fd[2], peer, little = 8192;

        o.buffer_size = BUFFER;
        rig_open_with(&r, _i, &o);
        rig_pair(fd);
        peer = fd[1];
        setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
        s = rig_adopt(&r, fd[0]);
        sonic_stream_lend(s, e.rest + 1, 0, on_echo, &e);
        while (got < TOTAL - e.rest) {
            uint8_t chunk[32 * 1024];
            ssize_t n;

            while (sent < TOTAL) { /* as much as the kernel takes */
                size_t len =
                    sizeof chunk < TOTAL - sent ? sizeof chunk : TOTAL - sent;

                rig_fill(chunk, len, sent);
                n = write(peer, chunk, len);
                if (n < 0)
                    break;
                sent += (size_t)n;
            }
            ck_assert_int_ge(sonic_io_poll(r.io), 0);
            if (sonic_stream_queued(s) > most)
                most = sonic_stream_queued(s);
            if (sent < TOTAL && e.bytes + e.rest < sent)
                continue; /* it has not taken all that yet */
            n = read(peer, chunk, sizeof chunk / 3);
            if (n > 0) {
                ck_assert(rig_same(chunk, (size_t)n, got));
                got += (size_t)n;
            }
        }
        ck_assert_uint_gt(most, 4 * BUFFER); /* it did have to wait */
        ck_assert_uint_eq(sonic_stream_buffered(s), e.rest);
        rig_settle(&r);
        ck_assert_uint_eq(rig_stats(&r).buffers_lent, e.rest > 0);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

/* Closed, and freed, with references into lent buffers in the queue. */
START_TEST(closed_with_pins)
{
    static void (*const ends[])(sonic_stream * s) = {
        sonic_stream_close, sonic_stream_reset, sonic_stream_free};

    for (int how = 0; how < 3; how++) {
        struct rig r;
        struct echo e = {0};
        sonic_stream *s;
        size_t stuffed;
        static uint8_t data[100 * 1024];
        int peer;

        rig_open(&r, _i);
        s = rig_full_stream(&r, &peer, &stuffed);
        sonic_stream_lend(s, 80000, 0, on_echo, &e);
        rig_put(peer, data, 80000);
        RIG_UNTIL(&r, e.bytes > 0);
        ck_assert_uint_ge(sonic_stream_queued(s), 80000);
        ck_assert_uint_eq(rig_stats(&r).buffers_lent, 1);
        ends[how](s);
        ck_assert_uint_eq(rig_stats(&r).buffers_lent, 0);
        rig_settle(&r);
        ck_assert(e.ended);
        close(peer);
        rig_close(&r);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_echo");
    TCase *tc = tcase_create("cost");

    rig_add(tc, nothing_is_allocated);
    rig_add(tc, one_receive_and_one_send);
    rig_add(tc, idle_streams);
    rig_add(tc, many_rests);
    suite_add_tcase(suite, tc);
    tc = tcase_create("full");
    rig_add(tc, full_window);
    rig_add(tc, closed_with_pins);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
