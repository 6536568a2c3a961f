/* bench_latency - ping and pong of 32 bytes on one connection, against the
 * floor in alternating rounds: client and server spin, or both block. */
#include "bench/kit.h"
#include "bench/load.h"
#include "bench/peer.h"

enum { MOST_ROUNDS = 5, MOST_PINGS = 10000, WARM = 500, QUANTILES = 3 };

static const struct quantile {
    const char *busy, *blocking;
    double share;
    double must;
} quantiles[QUANTILES] = {
    {"p50, busy", "p50, blocking", 0.5, 1.02},
    {"p99, busy", "p99, blocking", 0.99, 1.05},
    {"p99.9, busy", "p99.9, blocking", 0.999, 1.1},
};

/* One round.  The server is there for this round only: two that spin would
 * share the core. */
static void
measure(bool raw, bool spin, size_t count, double *us)
{
    static double ns[MOST_PINGS];
    struct peer p =
        peer_start(&(struct peer_options){.raw = raw, .spin = spin});
    struct load l = {.port = p.port, .raw = raw, .size = 32, .depth = 1};

    load_pings(&l, spin, ns, WARM);
    load_pings(&l, spin, ns, count);
    peer_stop(&p);
    kit_median(ns, count); /* sorts */
    for (size_t q = 0; q < QUANTILES; q++)
        us[q] = ns[(size_t)((double)count * quantiles[q].share)] / 1e3;
}

static void
compare(bool spin, bool quick)
{
    double low[QUANTILES][MOST_ROUNDS], ours[QUANTILES][MOST_ROUNDS];
    size_t rounds = quick ? 3 : MOST_ROUNDS;
    size_t count = quick ? 5000 : MOST_PINGS;

    for (size_t i = 0; i < rounds; i++) {
        double us[QUANTILES];

        measure(true, spin, count, us);
        for (size_t q = 0; q < QUANTILES; q++)
            low[q][i] = us[q];
        measure(false, spin, count, us);
        for (size_t q = 0; q < QUANTILES; q++)
            ours[q][i] = us[q];
    }
    for (size_t q = 0; q < QUANTILES; q++)
        kit_row(&(struct kit_row){
            .what = spin ? quantiles[q].busy : quantiles[q].blocking,
            .measured = kit_median(ours[q], rounds),
            .floor = kit_median(low[q], rounds),
            .must = spin || q == 0 ? quantiles[q].must : 0,
            .rule = spin || q == 0 ? KIT_RATIO_AT_MOST : KIT_NO_RULE});
}

int
main(int argc, char **argv)
{
    bool quick = kit_quick(argc, argv);

    kit_pin(1);
    kit_title("Ping-pong, 1 connection, 32 B", "us");
    kit_tell_cores();
    compare(false, quick);
    compare(true, quick);
    return 0;
}
