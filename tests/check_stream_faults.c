/* A piece of everyday life, again and again: each time another system call
 * fails, or another allocation.  Whatever happens, nothing is leaked and each
 * operation that was begun ends exactly once. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"

enum { BIG = 200 * 1024, OPS = 32 };

struct life {
    struct rig r;
    sonic_stream *s[2], *p[2];
    sonic_timer *t;
    sonic_signal *sig;
    uint8_t *data, *back;
    struct outcome op[OPS];
    unsigned begun;
    size_t echoed;
};

static struct outcome *
next_op(struct life *l)
{
    ck_assert_uint_lt(l->begun, OPS);
    return &l->op[l->begun++];
}

static void
on_signal(sonic_signal *s, int err, int signo, void *ud)
{
    (void)s;
    on_outcome(NULL, err, (size_t)signo, ud);
}

struct server {
    struct life *l;
    struct outcome *op;
};

static void
on_request(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct server *v = ud;

    if (err < 0) {
        v->op->calls++; /* of the last one only */
        return;
    }
    if (sonic_stream_send(s, data, len) >= 0)
        v->l->echoed += len;
    sonic_stream_consume(s, len);
    sonic_stream_lend(s, 1, 0, on_request, v);
}

/* Errors of the wait are the test's own doing: go on. */
static void
turn(struct life *l, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        int ran = sonic_io_run_one_for(l->r.io, 0);

        ck_assert(ran >= 0 || ran == -ETIMEDOUT || ran == -ENOMEM);
    }
}

static void
talk(struct life *l, struct server *v)
{
    struct iovec iov[2] = {{l->data, 1000}, {l->data + 1000, 4000}};

    v->op = next_op(l);
    sonic_stream_lend(l->s[1], 1, 0, on_request, v);
    sonic_stream_async_write(l->s[0], l->data, 100, on_outcome, next_op(l));
    sonic_stream_async_read_all(l->s[0], l->back, 100, on_outcome, next_op(l));
    turn(l, 20);
    sonic_stream_cancel(l->s[0], SONIC_READING);
    turn(l, 5);
    sonic_stream_async_writev(l->s[0], iov, 2, on_outcome, next_op(l));
    sonic_stream_async_read_all(l->s[0], l->back, 5000, on_outcome, next_op(l));
    turn(l, 20);
    sonic_stream_cancel(l->s[0], SONIC_READING);
    turn(l, 5);
    sonic_stream_async_write(l->s[0], l->data, BIG, on_outcome, next_op(l));
    sonic_stream_async_read_all(l->s[0], l->back, BIG, on_outcome, next_op(l));
    sonic_stream_async_drain(l->s[0], on_outcome, next_op(l));
    turn(l, 60);
    if (sonic_stream_set_deadline(l->s[0], SONIC_BOTH, 1) == 0)
        turn(l, 5);
}

static void
others(struct life *l)
{
    sigset_t set;
    char c;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    if (sonic_timer_new(l->r.io, &l->t) == 0)
        sonic_timer_once(l->t, 0, on_timer_outcome, next_op(l));
    if (sonic_signal_new(l->r.io, &set, &l->sig) == 0)
        sonic_signal_async_wait(l->sig, on_signal, next_op(l));
    if (sonic_pipe_new(l->r.io, l->p) == 0) {
        sonic_stream_async_write(l->p[1], "x", 1, on_outcome, next_op(l));
        sonic_stream_async_read(l->p[0], &c, 1, on_outcome, next_op(l));
        turn(l, 8);
        sonic_stream_free(l->p[0]);
        turn(l, 4);
    }
}

/* One life; true when something failed in it. */
static bool
live(struct life *l, int backend, bool memory, unsigned long n)
{
    struct server v = {.l = l};
    int fd[2];

    l->begun = 0;
    l->echoed = 0;
    memset(l->op, 0, sizeof l->op);
    rig_open(&l->r, backend);
    rig_tcp(fd);
    if (memory)
        hook_mem_fail_nth(&l->r.hook, n);
    else
        hook_fail_nth(&l->r.hook, n);
    for (int i = 0; i < 2; i++)
        if (sonic_stream_adopt(l->r.io, fd[i], &l->s[i]) < 0) {
            l->s[i] = NULL;
            close(fd[i]);
        }
    if (l->s[0] != NULL && l->s[1] != NULL)
        talk(l, &v);
    others(l);
    sonic_io_free(l->r.io);
    for (unsigned i = 0; i < l->begun; i++)
        ck_assert_msg(l->op[i].calls == 1, "%s %lu (%s): operation %u: %u",
                      memory ? "allocation" : "call", n,
                      hook_name(l->r.hook.failed), i, l->op[i].calls);
    rig_closed(&l->r);
    return memory ? l->r.hook.mem_failed : l->r.hook.failed != HOOK_N;
}

START_TEST(each_fails_in_turn)
{
    static struct life l;
    unsigned step = rig_slow() ? 7 : 1;

    l.data = malloc(BIG);
    l.back = malloc(BIG);
    rig_fill(l.data, BIG, 0);
    for (int memory = 0; memory < 2; memory++) {
        unsigned long n = 1;

        while (live(&l, _i, memory, n))
            n += step;
        /* the last life was without a fault */
        ck_assert_uint_eq(l.echoed, 100 + 5000 + BIG);
        ck_assert(rig_same(l.back, BIG, 0));
        ck_assert_uint_gt(n, memory ? 8 : 40);
    }
    free(l.data);
    free(l.back);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_faults");
    TCase *tc = tcase_create("faults");

    rig_add(tc, each_fails_in_turn);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
