/* Seeded sessions: real streams and a real io in simulated worlds.  In each,
 * every operation completes exactly once, bytes arrive unchanged and in order
 * up to a reset, and nothing is left over.
 *
 * A failure prints its seed; SONIC_SEED=n runs that one and shows its trace,
 * SONIC_SEEDS=n runs so many. */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>
#include <sonicio/io.h>

#include "support/sim_dial.h"
#include "support/sim_peer.h"

enum { SEEDS = 1500, FAIL_SEEDS = 6, MAX_PAIRS = 3, CALL_LIMIT = 3000000 };

static struct peer peers[2 * MAX_PAIRS];
static struct dial dials[MAX_PAIRS];

/* Whether a world's faults may make an operation fail for good. */
static bool
can_fail(const sonic_sim_faults *f)
{
    return f->reset + f->send_nobufs + f->socket_nobufs + f->map_fails +
               f->memfd_fails + f->alloc_fails + f->accept_abort +
               f->accept_full + f->refuse + f->resolve_fails >
           0;
}

static int
open_pair(struct session *s, sonic_stream *out[2])
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

static void
check_peer(struct session *s, const struct peer *p, bool may_fail)
{
    size_t i;

    if (s->wrong != NULL)
        return;
    if (p->read.busy || p->draining)
        s->wrong = "an operation never completed";
    for (i = 0; i < PEER_WRITES; i++) {
        if (p->writes[i].busy)
            s->wrong = "a write never completed";
    }
    if (may_fail || s->wrong != NULL)
        return;
    if (p->failed)
        s->wrong = "a peer failed though nothing was to fail";
    else if (!p->ended)
        s->wrong = "a peer did not see the end";
    else if (p->checked != p->other->to_write)
        s->wrong = "bytes were lost";
}

/* Peers that are connected, or will be.  Whether all went well. */
static bool
start_pairs(struct session *s)
{
    size_t pairs = 1 + (size_t)sonic_sim_below(s->sim, MAX_PAIRS), i;
    sonic_stream *streams[2];

    for (i = 0; i < pairs; i++) {
        struct peer *a = &peers[2 * i], *b = a + 1;

        if (sonic_sim_below(s->sim, 2) == 0) {
            dial_start(&dials[i], s, a, b);
            continue;
        }
        if (open_pair(s, streams) < 0)
            return false;
        b->other = a;
        peer_start(a, s, streams[0], b);
        peer_start(b, s, streams[1], a);
    }
    return true;
}

static void
check_dial(struct session *s, const struct dial *d, bool may_fail)
{
    if (d->session == NULL || s->wrong != NULL)
        return;
    if (d->accepting || d->connecting)
        s->wrong = "an accept or connect never completed";
    else if (d->failed && !may_fail)
        s->wrong = "no connection though nothing was to fail";
}

static void
run_pairs(struct session *s, bool may_fail)
{
    size_t i;
    int err;

    memset(peers, 0, sizeof peers);
    memset(dials, 0, sizeof dials);
    if (!start_pairs(s) && !may_fail)
        s->wrong = "a pair could not be made";
    err = sonic_io_run(s->io);
    if (err == -EDEADLK)
        s->wrong = "the io waits for ever";
    else if (err < 0 && sonic_sim_stats(s->sim)->forced == 0)
        s->wrong = "run failed";
    for (i = 0; i < MAX_PAIRS; i++) {
        dial_end(&dials[i]);
        peer_end(&peers[2 * i]);
        peer_end(&peers[2 * i + 1]);
    }
    sonic_io_free(s->io);
    if (s->started != s->completed && s->wrong == NULL)
        s->wrong = "completions and operations do not match";
    for (i = 0; i < MAX_PAIRS; i++)
        check_dial(s, &dials[i], may_fail);
    for (i = 0; i < 2 * MAX_PAIRS; i++) {
        if (peers[i].session != NULL)
            check_peer(s, &peers[i], may_fail);
    }
}

static void
check_world(struct session *s)
{
    const sonic_sim_counters *c;
    sonic_sim_connection conn;
    uint64_t i;

    if (s->wrong != NULL)
        return;
    sonic_sim_advance(s->sim, INT64_MAX); /* let all that flies land */
    c = sonic_sim_stats(s->sim);
    if (c->bad_fd > 0)
        s->wrong = "a descriptor was used after its close";
    if (c->bytes_flying > 0)
        s->wrong = "bytes are unaccounted for";
    for (i = 0; sonic_sim_connection_get(s->sim, i, &conn) == 0; i++) {
        if (conn.written[0] != conn.read[0] + conn.dropped[0] ||
            conn.written[1] != conn.read[1] + conn.dropped[1])
            s->wrong = "a connection's bytes do not add up";
    }
}

/* One world, and which call of it fails by order. */
struct plan {
    sonic_sim_options world;
    enum sonic_sim_call call;
    uint64_t fail; /* 0: none */
    bool rough;    /* peers may give up */
    bool show;
    uint64_t hash, forced; /* results */
};

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

static const char *
run_plan(struct plan *p)
{
    struct session s = {.seed = p->world.seed};
    static char what[96];
    sonic_sim_leaks leaks;
    bool may_fail;
    int err;

    p->world.call_limit = CALL_LIMIT;
    p->world.trace = p->show ? CALL_LIMIT : 0;
    ck_assert_int_eq(sonic_sim_new(&s.sim, &p->world), 0);
    s.rough = p->rough && sonic_sim_below(s.sim, 3) == 0;
    may_fail = s.rough || can_fail(&p->world.faults) || p->fail > 0;
    sonic_sim_fail_call(s.sim, p->call, p->fail, 0);
    err = new_io(&s);
    if (err == 0)
        run_pairs(&s, may_fail);
    else if (!may_fail)
        s.wrong = sonic_errname(err);
    check_world(&s);
    p->hash = sonic_sim_hash(s.sim);
    p->forced = sonic_sim_stats(s.sim)->forced;
    if (p->show)
        sonic_sim_print_trace(s.sim, stdout);
    if (sonic_sim_free(s.sim, &leaks) < 0 && s.wrong == NULL) {
        snprintf(what, sizeof what, "%s", leaks.what);
        s.wrong = what;
    }
    return s.wrong;
}

static const char *
run_seed(uint64_t seed, bool show, uint64_t *hash)
{
    struct plan p = {.world = SONIC_SIM_OPTIONS_INIT,
                     .call = SONIC_SIM_ANY,
                     .rough = true,
                     .show = show};
    const char *wrong;

    sonic_sim_swarm(&p.world, seed);
    wrong = run_plan(&p);
    *hash = p.hash;
    return wrong;
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

START_TEST(streams_survive_every_world)
{
    uint64_t first = setting("SONIC_SEED", 1), seed, hash, again;
    bool one = getenv("SONIC_SEED") != NULL;
    uint64_t last = one ? first : setting("SONIC_SEEDS", SEEDS);
    const char *wrong;

    for (seed = first; seed <= last; seed++) {
        wrong = run_seed(seed, one, &hash);
        ck_assert_msg(wrong == NULL, "SONIC_SEED=%" PRIu64 ": %s", seed, wrong);
        if (seed % 16 != 0)
            continue;
        wrong = run_seed(seed, false, &again);
        ck_assert_msg(wrong == NULL && hash == again,
                      "SONIC_SEED=%" PRIu64 ": not the same twice", seed);
    }
}
END_TEST

/* Call 1 fails, call 2 fails, ... until a session gets through without. */
static void
fail_each(enum sonic_sim_call call, uint64_t seed)
{
    const char *only = getenv("SONIC_FAIL");
    struct plan p = {.world = SONIC_SIM_OPTIONS_INIT, .call = call};
    const char *wrong;

    p.world.seed = seed;
    p.world.latency_max = 1000000;
    p.show = only != NULL;
    p.fail = setting("SONIC_FAIL", 1);
    do {
        wrong = run_plan(&p);
        ck_assert_msg(wrong == NULL,
                      "seed %" PRIu64 " SONIC_FAIL=%" PRIu64 " of %s: %s", seed,
                      p.fail, call == SONIC_SIM_ANY ? "calls" : "allocations",
                      wrong);
        p.fail++;
    } while (p.forced > 0 && only == NULL);
    ck_assert_uint_gt(p.fail, 10);
}

START_TEST(every_call_may_fail)
{
    fail_each(SONIC_SIM_ANY, (uint64_t)_i + 1);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    fail_each(SONIC_SIM_ALLOC, (uint64_t)_i + 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim_streams");
    TCase *tc = tcase_create("sessions");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, streams_survive_every_world);
    tcase_add_loop_test(tc, every_call_may_fail, 0, FAIL_SEEDS);
    tcase_add_loop_test(tc, every_allocation_may_fail, 0, FAIL_SEEDS);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
