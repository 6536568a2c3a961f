/* rig.h - an io to test on, of each backend in turn
 *
 *     START_TEST(something)
 *     {
 *         struct rig r;
 *
 *         rig_open(&r, _i);
 *         ...                              r.io, r.hook (see hook.h)
 *         rig_close(&r);
 *     }
 *     END_TEST
 *
 *     rig_add(tc, something);              runs it once for each backend
 *     return rig_main(suite);
 *
 * rig_close frees the io and fails the test when memory, a descriptor or a
 * mapping of it is left.
 */
#ifndef SONICIO_TESTS_RIG_H
#define SONICIO_TESTS_RIG_H

#include <check.h>
#include <errno.h>

#include <sonicio/sonicio.h>

#include "hook.h"

#define MS INT64_C(1000000) /* nanoseconds */
#define SECOND (1000 * MS)
#define RIG_PATIENCE (20 * SECOND) /* then something will never happen */

struct rig {
    struct hook hook;
    sonic_io *io;
    enum sonic_backend backend;
    unsigned fds; /* open before */
};

/* The backends that were built, by index. */
#ifdef SONIC_WITHOUT_EPOLL
enum { RIG_BACKENDS = 1, RIG_FIRST = SONIC_BACKEND_POLL };
#elif defined(SONIC_WITHOUT_POLL)
enum { RIG_BACKENDS = 1, RIG_FIRST = SONIC_BACKEND_EPOLL };
#else
enum { RIG_BACKENDS = 2, RIG_FIRST = SONIC_BACKEND_EPOLL };
#endif

#define rig_add(tc, test) tcase_add_loop_test(tc, test, 0, RIG_BACKENDS)

/* Open with the options of opt, which may be NULL; its backend, sys and mem
 * are the rig's to set. */
void rig_open(struct rig *r, int index);
void rig_open_with(struct rig *r, int index, const sonic_io_options *opt);
/* With the smallest buffers, of RIG_SMALL bytes. */
enum { RIG_SMALL = 16 * 1024 };
void rig_open_small(struct rig *r, int index);
void rig_close(struct rig *r);
/* Only the check: for tests that free the io themselves. */
void rig_closed(struct rig *r);

/* Run until cond holds; waiting for nothing is a failure. */
#define RIG_UNTIL(r, cond)                                                     \
    do {                                                                       \
        while (!(cond))                                                        \
            ck_assert_int_ge(sonic_io_run_one_for((r)->io, RIG_PATIENCE), 0);  \
    } while (0)
/* Run what can run without waiting, and what comes of it. */
void rig_settle(struct rig *r);
sonic_io_stats rig_stats(const struct rig *r);

unsigned rig_open_fds(void);
/* SONIC_TEST_SLOW is set: fewer rounds, please. */
bool rig_slow(void);
int rig_main(Suite *suite);

/* What a completion said. */
struct outcome {
    unsigned calls;
    int err;
    size_t n;
};
void on_outcome(sonic_stream *s, int err, size_t n, void *ud);
/* For sonic_stream_lend: sends back what comes, until the end. */
void rig_echo(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud);
void on_timer_outcome(sonic_timer *t, int err, void *ud);

/* Plain non-blocking sockets over loopback, connected to each other. */
void rig_tcp(int fd[2]);
void rig_pair(int fd[2]); /* socketpair(2) */
/* A stream over fd, which it owns from now on. */
sonic_stream *rig_adopt(struct rig *r, int fd);
/* A stream over TCP; *peer is the other end, which stays the test's. */
sonic_stream *rig_stream(struct rig *r, int *peer);

/* Plain calls on a peer that must do all of it; they wait with poll(2). */
void rig_put(int fd, const void *p, size_t n);
void rig_get(int fd, void *p, size_t n);
void rig_get_end(int fd);
/* Wait until fd has `events`: what was sent over loopback has arrived. */
void rig_await(int fd, short events);
/* Bytes i..i + n of a sequence that repeats late, and whether p holds them. */
void rig_fill(void *p, size_t n, size_t i);
bool rig_same(const void *p, size_t n, size_t i);
/* Fill what the kernel keeps for fd; returns how many bytes that were, of the
 * sequence from i on. */
size_t rig_stuff(int fd, size_t i);
/* A stream (unix) that cannot write: *stuffed bytes of the sequence are in the
 * kernel. */
sonic_stream *rig_full_stream(struct rig *r, int *peer, size_t *stuffed);
/* Take n bytes of the sequence, from i on, off the peer while the io runs. */
void rig_take(struct rig *r, int peer, size_t i, size_t n);

#endif
