/* bench_packets - what the packet buffers cost, and that it does not depend on
 * how much they hold.  Each figure is the best of many short runs: the machine
 * is shared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

#include "bench/kit.h"

enum { BATCH = 1000, PACKET = 200 /* bytes */ };

static sonic_bip *bip;
static sonic_bytes *bytes;
static sonic_sequencer *early;
static sonic_gap *gap;
static sonic_stats stats;
static sonic_tsc tsc;
static uint64_t seq, held;
static volatile int64_t sink;

/* Nanoseconds of one of BATCH things that fn does. */
static double
best(void (*fn)(void), bool quick)
{
    double least = 1e18;

    for (int i = 0; i < (quick ? 50 : 300); i++) {
        double t = kit_now();

        fn();
        t = (kit_now() - t) / BATCH;
        if (t < least)
            least = t;
    }
    return least;
}

static void
row(const char *what, double ns)
{
    kit_row(&(struct kit_row){.what = what, .measured = ns});
}

/* ---- buffers ---------------------------------------------------------- */

static void
through_bip(void)
{
    for (int i = 0; i < BATCH; i++) {
        size_t n;
        uint8_t *p = sonic_bip_claim(bip, PACKET, &n);

        p[0] = 1;
        sonic_bip_commit(bip, n, &n);
        sonic_bip_consume(bip, n);
    }
}

static void
through_bytes(void)
{
    for (int i = 0; i < BATCH; i++) {
        uint8_t *p = sonic_bytes_claim_fixed(bytes, PACKET);

        p[0] = 1;
        sonic_bytes_commit(bytes, PACKET);
        sonic_bytes_consume(bytes, PACKET);
    }
}

/* Eight slots, discarded from the last to the first. */
static void
save_and_discard(void)
{
    for (int i = 0; i < BATCH / 8; i++) {
        sonic_slot s[8];

        for (int k = 0; k < 8; k++) {
            sonic_bytes_claim_fixed(bytes, PACKET);
            sonic_bytes_commit(bytes, PACKET);
            kit_check(sonic_bytes_save(bytes, PACKET, &s[k]), "save");
        }
        for (int k = 7; k >= 0; k--)
            sonic_bytes_discard(bytes, s[k]);
    }
}

/* ---- order ------------------------------------------------------------ */

/* One comes, the oldest goes: `held` stay, every other number missing. */
static void
push_and_pop(void)
{
    for (int i = 0; i < BATCH; i++) {
        sonic_sequenced item = {seq, NULL, PACKET, 0};

        kit_check(sonic_sequencer_push(early, &item), "push");
        kit_check(sonic_sequencer_pop(early, seq - 2 * held, NULL), "pop");
        seq += 2;
    }
}

static void
find_gap(void)
{
    uint64_t first, last;

    for (int i = 0; i < BATCH; i++)
        if (!sonic_sequencer_gap(early, seq - held, &first, &last))
            kit_check(SONIC_ESTATE, "gap");
}

static void
hold(uint64_t n)
{
    sonic_sequencer_reset(early);
    held = n;
    for (uint64_t i = 0; i < n; i++, seq += 2) {
        sonic_sequenced item = {seq, NULL, PACKET, 0};

        kit_check(sonic_sequencer_push(early, &item), "push");
    }
}

static void
detect(void)
{
    sonic_gap_range ask;

    for (int i = 0; i < BATCH; i++)
        if (sonic_gap_received(gap, sonic_gap_next(gap), 1, 0, &ask) !=
            SONIC_GAP_USE)
            kit_check(SONIC_ESTATE, "detect");
}

/* ---- measuring -------------------------------------------------------- */

static void
add(void)
{
    for (int i = 0; i < BATCH; i++)
        sonic_stats_add(&stats, (double)i);
}

static void
ask_kernel(void)
{
    for (int i = 0; i < BATCH; i++)
        sink = sonic_clock_monotonic(NULL);
}

static void
ask_processor(void)
{
    for (int i = 0; i < BATCH; i++)
        sink = sonic_tsc_now(&tsc);
}

int
main(int argc, char **argv)
{
    bool quick = kit_quick(argc, argv);

    kit_title("Packets", "ns");
    kit_check(sonic_bip_new(1 << 20, NULL, &bip), "sonic_bip_new");
    kit_check(sonic_bytes_new(NULL, &bytes), "sonic_bytes_new");
    kit_check(sonic_sequencer_new(NULL, &early), "sonic_sequencer_new");
    kit_check(sonic_gap_new(NULL, &gap), "sonic_gap_new");
    row("bip: claim, commit, consume", best(through_bip, quick));
    row("bytes: claim, commit, consume", best(through_bytes, quick));
    row("bytes: write, save, discard", best(save_and_discard, quick));
    hold(10);
    row("sequencer: push, pop, 10 held", best(push_and_pop, quick));
    row("sequencer: find a gap, 10 held", best(find_gap, quick));
    hold(30000);
    row("sequencer: push, pop, 30,000 held", best(push_and_pop, quick));
    row("sequencer: find a gap, 30,000 held", best(find_gap, quick));
    row("gap: a message in order", best(detect, quick));
    row("statistics: add", best(add, quick));
    row("clock: monotonic", best(ask_kernel, quick));
    if (sonic_tsc_open(&tsc, NULL, 0) == 0)
        row("clock: the processor's", best(ask_processor, quick));
    sonic_gap_free(gap);
    sonic_sequencer_free(early);
    sonic_bytes_free(bytes);
    sonic_bip_free(bip);
    return 0;
}
