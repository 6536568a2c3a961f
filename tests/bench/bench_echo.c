/* bench_echo - messages per second of the WebSocket echo server against the
 * floor, in alternating rounds.  Figures move with the machine and with what
 * else it does; the ratio of two rounds that follow each other moves least,
 * so the ratio is the median of those, not the ratio of the medians. */
#include <stdio.h>

#include "bench/kit.h"
#include "bench/load.h"
#include "bench/peer.h"

enum { CONNECTIONS = 16, MOST_ROUNDS = 5 };

static const struct echo_case {
    const char *name;
    size_t size;
    unsigned depth;
    double must;
} cases[] = {
    {"32 B x 16 x 1", 32, 1, 0.98},       {"32 B x 16 x 16", 32, 16, 0.95},
    {"1 KiB x 16 x 1", 1024, 1, 0.98},    {"1 KiB x 16 x 16", 1024, 16, 0.93},
    {"16 KiB x 16 x 1", 16384, 1, 0.96},  {"16 KiB x 16 x 16", 16384, 16, 0.7},
    {"1 MiB x 16 x 1", 1048576, 1, 0.95},
};

static void
compare(const struct echo_case *c, const struct peer *floor,
        const struct peer *ws, bool quick)
{
    double low[MOST_ROUNDS], ours[MOST_ROUNDS], ratio[MOST_ROUNDS];
    size_t rounds = quick ? 3 : MOST_ROUNDS;
    struct load l = {.connections = CONNECTIONS,
                     .size = c->size,
                     .depth = c->depth,
                     .seconds = quick ? 0.25 : 0.6};

    for (size_t i = 0; i < rounds; i++) {
        l.raw = true;
        l.port = floor->port;
        low[i] = load_run(&l, NULL);
        l.raw = false;
        l.port = ws->port;
        ours[i] = load_run(&l, NULL);
        ratio[i] = ours[i] / low[i];
    }
    kit_row(&(struct kit_row){.what = c->name,
                              .measured = kit_median(ours, rounds),
                              .floor = kit_median(low, rounds),
                              .ratio = kit_median(ratio, rounds),
                              .must = c->must,
                              .rule = KIT_RATIO_AT_LEAST});
}

int
main(int argc, char **argv)
{
    bool quick = kit_quick(argc, argv);
    struct peer floor = peer_start(&(struct peer_options){.raw = true});
    struct peer ws = peer_start(&(struct peer_options){.raw = false});

    kit_pin(1);
    kit_title("Echo: size x connections x depth", "msg/s");
    kit_tell_cores();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        compare(&cases[i], &floor, &ws, quick);
    peer_stop(&floor);
    peer_stop(&ws);
    return 0;
}
