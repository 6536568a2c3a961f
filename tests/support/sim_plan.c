#include "sim_plan.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <sonicio/error.h>

enum { CALL_LIMIT = 3000000, SAME_TWICE = 16, FEW = 10 };

void (*plan_tune)(sonic_sim_options *world);

void
session_wrong(struct session *s, const char *what)
{
    if (s->wrong == NULL)
        s->wrong = what;
}

int
session_pair(struct session *s, sonic_stream *out[2])
{
    const sonic_sys *k = sonic_sim_sys(s->sim);
    int fd[2], err;

    if (sonic_sim_below(s->sim, 3) == 0)
        return sonic_stream_pair(s->io, out);
    err = sonic_sim_pair(s->sim, fd);
    if (err < 0)
        return err;
    err = sonic_stream_adopt(s->io, fd[0], &out[0]);
    if (err < 0) {
        k->close(fd[0], k->ud);
        k->close(fd[1], k->ud);
        return err;
    }
    err = sonic_stream_adopt(s->io, fd[1], &out[1]);
    if (err < 0) {
        k->close(fd[1], k->ud);
        sonic_stream_free(out[0]);
    }
    return err;
}

void
session_run(struct session *s)
{
    int err = sonic_io_run(s->io);

    if (err == -EDEADLK)
        session_wrong(s, "the io waits for ever");
    else if (err < 0 && sonic_sim_stats(s->sim)->forced == 0)
        session_wrong(s, "the io's run failed");
}

/* Whether a world's faults may make an operation fail for good. */
static bool
can_fail(const sonic_sim_faults *f)
{
    return f->reset + f->send_nobufs + f->socket_nobufs + f->map_fails +
               f->memfd_fails + f->alloc_fails + f->accept_abort +
               f->accept_full + f->refuse + f->resolve_fails + f->disk_full +
               f->disk_error >
           0;
}

static int
new_io(struct session *s)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;

    opt.sys = sonic_sim_sys(s->sim);
    opt.mem = sonic_sim_mem(s->sim);
    opt.backend = s->seed % 2 == 0 ? SONIC_BACKEND_EPOLL : SONIC_BACKEND_POLL;
    opt.batch = 1 + (unsigned)sonic_sim_below(s->sim, 8);
    opt.budget = 1 + (unsigned)sonic_sim_below(s->sim, 20);
    opt.buffer_size = (size_t)4096 << sonic_sim_below(s->sim, 6);
    return sonic_io_new(&s->io, &opt);
}

/* What holds for every world when all is over. */
static void
check_world(struct session *s)
{
    const sonic_sim_counters *c;
    sonic_sim_connection conn;
    uint64_t i;

    if (s->started != s->completed)
        session_wrong(s, "completions and operations do not match");
    if (s->wrong != NULL)
        return;
    sonic_sim_advance(s->sim, INT64_MAX); /* let all that flies land */
    c = sonic_sim_stats(s->sim);
    if (c->bad_fd > 0)
        session_wrong(s, "a descriptor was used after its close");
    if (c->bytes_flying > 0)
        session_wrong(s, "bytes are unaccounted for");
    for (i = 0; sonic_sim_connection_get(s->sim, i, &conn) == 0; i++) {
        if (conn.written[0] != conn.read[0] + conn.dropped[0] ||
            conn.written[1] != conn.read[1] + conn.dropped[1])
            session_wrong(s, "a connection's bytes do not add up");
    }
}

const char *
plan_run(struct plan *p)
{
    struct session s = {.seed = p->world.seed};
    static char what[96];
    sonic_sim_leaks leaks;
    int err;

    p->world.call_limit = CALL_LIMIT;
    p->world.trace = p->show ? CALL_LIMIT : 0;
    ck_assert_int_eq(sonic_sim_new(&s.sim, &p->world), 0);
    s.rough = p->rough && sonic_sim_below(s.sim, 3) == 0;
    s.may_fail = s.rough || can_fail(&p->world.faults) || p->fail > 0;
    sonic_sim_fail_call(s.sim, p->call, p->fail, 0);
    err = new_io(&s);
    if (err == 0) {
        p->run(&s);
        sonic_io_free(s.io);
        p->look(&s);
    } else if (!s.may_fail) {
        session_wrong(&s, sonic_errname(err));
    }
    check_world(&s);
    p->hash = sonic_sim_hash(s.sim);
    p->forced = sonic_sim_stats(s.sim)->forced;
    if (p->show) {
        sonic_sim_print_trace(s.sim, stdout);
        fflush(stdout); /* a failing test takes what is buffered with it */
    }
    if (sonic_sim_free(s.sim, &leaks) < 0 && s.wrong == NULL) {
        snprintf(what, sizeof what, "%s", leaks.what);
        s.wrong = what;
    }
    return s.wrong;
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static struct plan
swarm(session_fn *run, session_fn *look, uint64_t seed)
{
    struct plan p = {.run = run,
                     .look = look,
                     .world = SONIC_SIM_OPTIONS_INIT,
                     .call = SONIC_SIM_ANY,
                     .rough = true,
                     .show = getenv("SONIC_SEED") != NULL};

    sonic_sim_swarm(&p.world, seed);
    if (plan_tune != NULL)
        plan_tune(&p.world);
    return p;
}

void
plan_seeds(session_fn *run, session_fn *look, uint64_t n)
{
    uint64_t first = setting("SONIC_SEED", 1), seed, hash;
    uint64_t last = first > 1 ? first : setting("SONIC_SEEDS", n);

    if (getenv("SONIC_SEED") != NULL)
        last = first;
    for (seed = first; seed <= last; seed++) {
        struct plan p = swarm(run, look, seed);
        const char *wrong = plan_run(&p);

        ck_assert_msg(wrong == NULL, "SONIC_SEED=%" PRIu64 ": %s", seed, wrong);
        if (seed % SAME_TWICE != 0)
            continue;
        hash = p.hash;
        wrong = plan_run(&p);
        ck_assert_msg(wrong == NULL && p.hash == hash,
                      "SONIC_SEED=%" PRIu64 ": not the same twice", seed);
    }
}

void
plan_fail_each(session_fn *run, session_fn *look, enum sonic_sim_call call,
               uint64_t seed)
{
    const char *only = getenv("SONIC_FAIL"), *wrong;
    struct plan p = {.run = run,
                     .look = look,
                     .world = SONIC_SIM_OPTIONS_INIT,
                     .call = call,
                     .show = only != NULL};

    p.world.seed = seed;
    p.world.latency_max = 1000000;
    p.fail = setting("SONIC_FAIL", 1);
    do {
        wrong = plan_run(&p);
        ck_assert_msg(wrong == NULL,
                      "seed %" PRIu64 " SONIC_FAIL=%" PRIu64 " of %s: %s", seed,
                      p.fail, call == SONIC_SIM_ANY ? "calls" : "allocations",
                      wrong);
        p.fail++;
    } while (p.forced > 0 && only == NULL);
    ck_assert(only != NULL || p.fail > FEW);
}

/* ---- a suite of them --------------------------------------------------- */

static session_fn *suite_run, *suite_look;

START_TEST(every_call_may_fail)
{
    plan_fail_each(suite_run, suite_look, SONIC_SIM_ANY, (uint64_t)_i + 1);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    plan_fail_each(suite_run, suite_look, SONIC_SIM_ALLOC, (uint64_t)_i + 1);
}
END_TEST

int
plan_main(const char *name, const struct TTest *test, session_fn *run,
          session_fn *look, int n)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create("sessions");
    SRunner *runner;
    int failed;

    suite_run = run;
    suite_look = look;
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, test);
    tcase_add_loop_test(tc, every_call_may_fail, 0, n);
    tcase_add_loop_test(tc, every_allocation_may_fail, 0, n);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
