/* What every call goes through on its way in and out. */
#include "world.h"

#include <inttypes.h>

#include <sonicio/error.h>

uint64_t
sonic__sim_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static int
due(struct sim_order *o, int otherwise)
{
    if (o->left == 0 || --o->left > 0)
        return 0;
    return o->err != 0 ? o->err : otherwise;
}

/* The error ordered for this call, positive, or 0. */
static int
ordered(sonic_sim *sim, enum sonic_sim_call call)
{
    static const int fitting[] = {
#define X(name, text, error) error,
        SONIC_SIM_CALL_LIST(X)
#undef X
    };
    int err, any = 0;

    if (fitting[call] == 0)
        return 0; /* cannot fail */
    err = due(&sim->orders[call], fitting[call]);
    if (call != SONIC_SIM_ALLOC)
        any = due(&sim->orders[SONIC_SIM_CALLS], fitting[call]);
    if (err == 0)
        err = any;
    sim->count.forced += err != 0;
    return err;
}

int
sonic__sim_ordered(sonic_sim *sim, enum sonic_sim_call call)
{
    return -ordered(sim, call);
}

int
sonic__sim_begin(sonic_sim *sim, enum sonic_sim_call call, int fd, int64_t arg)
{
    sim->count.call[call]++;
    if (call != SONIC_SIM_CLOCK)
        sim->count.calls++;
    sim->now += sim->opt.call_cost;
    sonic__sim_run_due(sim);
    sim->call = (struct sim_trace){
        .n = sim->traced, .when = sim->now, .arg = arg, .fd = fd, .call = call};
    if (sim->sick < 0)
        return sim->sick;
    if (sim->traced - sim->noted >= sim->opt.call_limit)
        return -EDEADLK;
    return -ordered(sim, call);
}

int64_t
sonic__sim_end(sonic_sim *sim, int64_t result)
{
    struct sim_trace *t = &sim->call;

    sonic__sim_run_due(sim);
    t->result = result;
    sim->hash = sonic__sim_mix(sim->hash, (uint64_t)t->call << 32 ^
                                              (uint64_t)(unsigned)t->fd);
    sim->hash = sonic__sim_mix(sim->hash, (uint64_t)t->when);
    sim->hash = sonic__sim_mix(sim->hash, (uint64_t)t->arg);
    sim->hash = sonic__sim_mix(sim->hash, (uint64_t)t->result);
    sim->trace[sim->traced++ % sim->opt.trace] = *t;
    return result;
}

void
sonic__sim_note(sonic_sim *sim, enum sonic_sim_call what, int fd, int64_t arg,
                int64_t result)
{
    sim->count.call[what]++;
    sim->hash = sonic__sim_mix(sim->hash, (uint64_t)what << 32 ^ (unsigned)fd);
    sim->hash = sonic__sim_mix(sim->hash, (uint64_t)sim->now);
    sim->trace[sim->traced % sim->opt.trace] =
        (struct sim_trace){.n = sim->traced,
                           .when = sim->now,
                           .arg = arg,
                           .result = result,
                           .fd = fd,
                           .call = what};
    sim->traced++;
    sim->noted++;
}

void
sonic_sim_fail_call(sonic_sim *sim, enum sonic_sim_call call, uint64_t n,
                    int err)
{
    size_t which = SONIC_SIM_CALLS;

    if (call >= 0 && call < SONIC_SIM_CALLS)
        which = (size_t)call;
    sim->orders[which] = (struct sim_order){.left = n, .err = err};
}

uint64_t
sonic_sim_hash(const sonic_sim *sim)
{
    return sim->hash;
}

const char *
sonic_sim_call_name(enum sonic_sim_call call)
{
    static const char *const names[] = {
#define X(name, text, error) text,
        SONIC_SIM_CALL_LIST(X)
#undef X
    };

    return call >= 0 && call < SONIC_SIM_CALLS ? names[call] : "?";
}

void
sonic_sim_print_trace(const sonic_sim *sim, FILE *out)
{
    uint64_t kept = sim->traced < sim->opt.trace ? sim->traced : sim->opt.trace;
    uint64_t n;

    for (n = sim->traced - kept; n < sim->traced; n++) {
        const struct sim_trace *t = &sim->trace[n % sim->opt.trace];

        fprintf(out, "%8" PRIu64 " %14" PRId64 " %-13s fd %-4d %10" PRId64, n,
                t->when, sonic_sim_call_name(t->call), t->fd, t->arg);
        if (t->result < 0)
            fprintf(out, " = %s\n", sonic_errname((int)t->result));
        else
            fprintf(out, " = %" PRId64 "\n", t->result);
    }
}
