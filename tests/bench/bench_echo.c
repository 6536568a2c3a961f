/* bench_echo - messages per second of the WebSocket echo server against the
 * floor, in alternating rounds, and the processor time that they take of it.
 * Figures move with the machine and with what else it does, the rate more than
 * the time; the ratio of two rounds that follow each other moves least, so the
 * ratio is the median of those, not the ratio of the medians. */
#include <stdio.h>

#include "bench/kit.h"
#include "bench/load.h"
#include "bench/peer.h"

enum { CONNECTIONS = 16, MOST_ROUNDS = 15 };

struct series {
    double low[MOST_ROUNDS], ours[MOST_ROUNDS], ratio[MOST_ROUNDS];
};

struct measured {
    struct series rate, time;
};

static const struct echo_case {
    const char *name;
    size_t size;
    unsigned depth;
    double must; /* ratio of the rates */
    size_t rounds;
} cases[] = {
    {"32 B x 16 x 1", 32, 1, 0.98, 9},
    {"32 B x 16 x 16", 32, 16, 0.95, 9},
    {"1 KiB x 16 x 1", 1024, 1, 0.98, 9},
    {"1 KiB x 16 x 16", 1024, 16, 0.93, 9},
    {"16 KiB x 16 x 1", 16384, 1, 0.96, 9},
    {"16 KiB x 16 x 16", 16384, 16, 0.7, 9},
    {"1 MiB x 16 x 1", 1048576, 1, 0.95, MOST_ROUNDS}, /* scatters most */
};
enum { N_CASES = sizeof cases / sizeof *cases };

static size_t
rounds(const struct echo_case *c, bool quick)
{
    return quick ? 3 : c->rounds;
}

/* One round: messages per second, and nanoseconds for each. */
static void
run(struct load *l, const struct peer *p, double *rate, double *time)
{
    double before = kit_processor(p->pid);
    uint64_t count;

    l->port = p->port;
    *rate = load_run(l, &count);
    *time = (kit_processor(p->pid) - before) / (double)count;
}

static void
row(const char *what, struct series *s, size_t n, double must,
    enum kit_rule rule)
{
    for (size_t i = 0; i < n; i++)
        s->ratio[i] = s->ours[i] / s->low[i];
    kit_row(&(struct kit_row){.what = what,
                              .measured = kit_median(s->ours, n),
                              .floor = kit_median(s->low, n),
                              .ratio = kit_median(s->ratio, n),
                              .must = must,
                              .rule = must > 0 ? rule : KIT_NO_RULE});
}

static void
compare(const struct echo_case *c, struct measured *m, const struct peer *floor,
        const struct peer *ws, size_t n, double seconds)
{
    struct load l = {.connections = CONNECTIONS,
                     .size = c->size,
                     .depth = c->depth,
                     .seconds = seconds};

    for (size_t i = 0; i < n; i++) {
        l.raw = true;
        run(&l, floor, &m->rate.low[i], &m->time.low[i]);
        l.raw = false;
        run(&l, ws, &m->rate.ours[i], &m->time.ours[i]);
    }
    row(c->name, &m->rate, n, c->must, KIT_RATIO_AT_LEAST);
}

int
main(int argc, char **argv)
{
    bool quick = kit_quick(argc, argv);
    struct peer floor = peer_start(&(struct peer_options){.raw = true});
    struct peer ws = peer_start(&(struct peer_options){.raw = false});
    static struct measured m[N_CASES];

    kit_pin(1);
    kit_title("Echo: size x connections x depth", "msg/s");
    kit_tell_cores();
    for (size_t i = 0; i < N_CASES; i++)
        compare(&cases[i], &m[i], &floor, &ws, rounds(&cases[i], quick),
                quick ? 0.25 : 0.6);
    kit_title("The same: processor time of the server", "ns/msg");
    for (size_t i = 0; i < N_CASES; i++)
        row(cases[i].name, &m[i].time, rounds(&cases[i], quick), 0,
            KIT_RATIO_AT_MOST);
    peer_stop(&floor);
    peer_stop(&ws);
    return 0;
}
