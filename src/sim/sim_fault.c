/* Chance: one generator (xoshiro256**, by Blackman and Vigna) per purpose, so
 * that a question of one kind does not change the answers of another. */
#include "world.h"

enum { MILLION = 1000000 };

static uint64_t
splitmix(uint64_t *x)
{
    uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void
sonic__sim_seed(struct sim_rng *r, uint64_t seed)
{
    size_t i;

    for (i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

static uint64_t
rotate(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

uint64_t
sonic__sim_rand(struct sim_rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* The bias of % is below 2^-40 for the small n used here. */
uint64_t
sonic__sim_rand_below(struct sim_rng *r, uint64_t n)
{
    return sonic__sim_rand(r) % n;
}

bool
sonic__sim_chance(sonic_sim *sim, uint32_t ppm, uint32_t *happened)
{
    if (ppm == 0 || sonic__sim_rand_below(&sim->world, MILLION) >= ppm)
        return false;
    ++*happened;
    return true;
}

int64_t
sonic__sim_latency(sonic_sim *sim, int64_t delay)
{
    int64_t spread = sim->opt.latency_max - sim->opt.latency_min;
    int64_t t = sim->opt.latency_min + delay;

    if (spread > 0)
        t += (int64_t)sonic__sim_rand_below(&sim->world, (uint64_t)spread + 1);
    if (SIM_CHANCE(sim, stall))
        t += sim->opt.stall;
    return t;
}

int
sonic__sim_random(void *buf, size_t len, void *ud)
{
    sonic_sim *sim = ud;
    uint8_t *p = buf;
    int err = sonic__sim_begin(sim, SONIC_SIM_RANDOM, -1, (int64_t)len);

    for (; err == 0 && len > 0; len--)
        *p++ = (uint8_t)(sonic__sim_rand(&sim->entropy) >> 56);
    return (int)sonic__sim_end(sim, err);
}

uint64_t
sonic_sim_random(sonic_sim *sim)
{
    return sonic__sim_rand(&sim->user);
}

uint64_t
sonic_sim_below(sonic_sim *sim, uint64_t n)
{
    return sonic__sim_rand_below(&sim->user, n);
}

/* Off in half of the worlds, else up to `most`, small values as likely as
 * large ones. */
static uint32_t
frequency(struct sim_rng *r, uint32_t most)
{
    uint32_t f = most >> sonic__sim_rand_below(r, 10);

    return sonic__sim_rand_below(r, 2) == 0 ? 0 : f;
}

static size_t
buffer(struct sim_rng *r)
{
    return (size_t)4096 << sonic__sim_rand_below(r, 8);
}

/* Only faults after which a program can go on. */
static void
spare(sonic_sim_faults *f)
{
    f->reset = f->refuse = f->accept_abort = f->accept_full = 0;
    f->send_nobufs = f->socket_nobufs = f->map_fails = f->memfd_fails = 0;
    f->alloc_fails = f->resolve_fails = f->disk_full = f->disk_error = 0;
}

void
sonic_sim_swarm(sonic_sim_options *opt, uint64_t seed)
{
    static const sonic_sim_faults most = {
        .short_read = 500000,
        .short_write = 500000,
        .eintr = 200000,
        .read_again = 200000,
        .write_again = 200000,
        .stall = 50000,
        .reset = 200000,
        .accept_abort = 50000,
        .accept_full = 20000,
        .refuse = 50000,
        .lose = 100000,
        .send_nobufs = 2000,
        .socket_nobufs = 5000,
        .map_fails = 20000,
        .memfd_fails = 20000,
        .alloc_fails = 2000,
        .resolve_fails = 50000,
        .spurious_wait = 100000,
        .clock_jump = 10000,
        .drop = 200000,
        .duplicate = 200000,
        .reorder = 200000,
        .skew = 50000,
        .datagram_nobufs = 50000,
        .disk_full = 20000,
        .disk_error = 20000,
    };
    struct sim_rng r;

    sonic__sim_seed(&r, seed ^ 0x737761726d);
    opt->seed = seed;
#define X(name, text) opt->faults.name = frequency(&r, most.name);
    SONIC_SIM_FAULT_LIST(X)
#undef X
    if (sonic__sim_rand_below(&r, 2) == 0)
        spare(&opt->faults);
    opt->latency_min = 0;
    opt->latency_max = 0;
    if (sonic__sim_rand_below(&r, 4) > 0) {
        opt->latency_min = (int64_t)sonic__sim_rand_below(&r, SIM_MS);
        opt->latency_max =
            opt->latency_min + (int64_t)sonic__sim_rand_below(&r, 20 * SIM_MS);
    }
    opt->send_buffer = buffer(&r);
    opt->receive_buffer = buffer(&r);
    opt->pipe_buffer = buffer(&r);
}
