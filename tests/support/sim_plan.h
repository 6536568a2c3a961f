/* Seeded sessions: a world and an io for each, the checks that hold for all of
 * them, and loops over seeds and over calls that fail.
 *
 * A failure prints its seed.  SONIC_SEED=n runs that one and shows its trace,
 * SONIC_SEEDS=n runs so many; SONIC_FAIL=n lets only the nth call fail, and
 * shows the trace. */
#ifndef SONICIO_TESTS_SIM_PLAN_H
#define SONICIO_TESTS_SIM_PLAN_H

#include <sonicio/io.h>
#include <sonicio/sim.h>
#include <sonicio/stream.h>

struct session {
    sonic_sim *sim;
    sonic_io *io;
    uint64_t seed;
    uint64_t started, completed; /* operations */
    bool rough;                  /* ends may give up */
    bool may_fail;               /* something may go wrong for good */
    const char *wrong;           /* what was found, or NULL */
};

/* The first thing that goes wrong is kept. */
void session_wrong(struct session *s, const char *what);

/* Two streams connected to each other: TCP or UNIX. */
int session_pair(struct session *s, sonic_stream *out[2]);

/* sonic_io_run, which must not wait for ever. */
void session_run(struct session *s);

/* Begin a session, run it, end everything but the io; then (with the io freed)
 * look at what became of it. */
typedef void session_fn(struct session *s);

struct plan {
    session_fn *run, *look;
    sonic_sim_options world;
    enum sonic_sim_call call; /* that fails by order ... */
    uint64_t fail;            /* ... the nth of them; 0: none */
    bool rough;               /* a third of the sessions are */
    bool show;
    uint64_t hash, forced; /* results */
};

/* What is wrong, or NULL. */
const char *plan_run(struct plan *p);

/* Changes the world of each seed, if set. */
extern void (*plan_tune)(sonic_sim_options *world);

/* Seeds 1 to n in all their worlds; some twice, to be the same. */
void plan_seeds(session_fn *run, session_fn *look, uint64_t n);
/* Call 1 fails, then call 2, ... until a session gets through without. */
void plan_fail_each(session_fn *run, session_fn *look, enum sonic_sim_call call,
                    uint64_t seed);

struct TTest; /* of libcheck: what START_TEST makes */

/* A suite of these: `test` (which calls plan_seeds), then, with each of the
 * first n seeds, every call and every allocation failing.  What main returns.
 */
int plan_main(const char *name, const struct TTest *test, session_fn *run,
              session_fn *look, int n);

#endif
