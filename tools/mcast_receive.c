/* sonicio mcast recv - what comes for a group: rate, gaps, latency */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "mcast.h"

enum { WINDOW = 4096, RUNS = 64 };

/* One sender's run. */
struct run {
    uint64_t number, next, first;
    uint64_t seen[WINDOW / 64]; /* bits, of the last WINDOW before next */
};

struct counts {
    uint64_t packets, bytes, missing, duplicates, reordered, foreign, late;
};

struct receiver {
    const struct mcast_options *o;
    sonic_io *io;
    sonic_udp *udp;
    sonic_timer *second, *end;
    struct run run[RUNS];
    unsigned runs;
    struct counts total, shown;
    uint64_t drops_shown;
    int64_t begun, first, last; /* ns of CLOCK_MONOTONIC */
    sonic_histogram *latency;   /* from the sender's clock to here ... */
    sonic_histogram *wire;      /* ... to the kernel ... */
    sonic_histogram *kernel;    /* ... and from the kernel to here */
    int err;
};

/* ---- sequence --------------------------------------------------------- */

static struct run *
find_run(struct receiver *r, const struct mcast_packet *p)
{
    struct run *run = r->run;

    for (unsigned i = 0; i < r->runs; i++, run++)
        if (run->number == p->run)
            return run;
    if (r->runs == RUNS) /* the oldest is forgotten */
        memmove(r->run, r->run + 1, --r->runs * sizeof *run);
    run = &r->run[r->runs++];
    memset(run, 0, sizeof *run);
    run->number = p->run;
    run->first = run->next = p->sequence;
    return run;
}

static bool
test_and_set(struct run *run, uint64_t sequence)
{
    uint64_t *word = &run->seen[sequence / 64 % (WINDOW / 64)];
    uint64_t bit = UINT64_C(1) << sequence % 64;
    bool was = (*word & bit) != 0;

    *word |= bit;
    return was;
}

/* Up to a sequence number: those between are missing, for now. */
static void
advance(struct run *run, uint64_t to)
{
    uint64_t n = to - run->next + 1;

    for (uint64_t i = 0; i < n && i < WINDOW; i++)
        run->seen[(to - i) / 64 % (WINDOW / 64)] &=
            ~(UINT64_C(1) << (to - i) % 64);
    run->next = to + 1;
    test_and_set(run, to);
}

static void
take_sequence(struct counts *c, struct run *run, uint64_t sequence)
{
    if (sequence >= run->next) {
        c->missing += sequence - run->next;
        advance(run, sequence);
    } else if (sequence < run->first) {
        c->late++; /* from before we came */
    } else if (run->next - sequence > WINDOW) {
        c->late++; /* too old to tell */
    } else if (test_and_set(run, sequence)) {
        c->duplicates++;
    } else {
        c->reordered++;
        c->missing--;
    }
}

/* ---- packets ---------------------------------------------------------- */

static void
take(struct receiver *r, const sonic_datagram *d, int64_t now)
{
    struct mcast_packet p;

    r->total.packets++;
    r->total.bytes += d->len;
    if (d->timestamp > 0)
        sonic_histogram_record(r->kernel, now - d->timestamp);
    if (!mcast_decode(d->data, d->len, &p)) {
        r->total.foreign++;
        return;
    }
    take_sequence(&r->total, find_run(r, &p), p.sequence);
    sonic_histogram_record(r->latency, now - p.sent);
    if (d->timestamp > 0)
        sonic_histogram_record(r->wire, d->timestamp - p.sent);
}

static void
on_packets(sonic_udp *udp, int err, const sonic_datagram *d, size_t n, void *ud)
{
    struct receiver *r = ud;
    int64_t now = wall_clock();

    if (err < 0) {
        r->err = err == -ECANCELED ? 0 : err;
        sonic_io_stop(r->io);
        return;
    }
    r->last = monotonic_now();
    if (r->total.packets == 0)
        r->first = r->last;
    for (size_t i = 0; i < n; i++) {
        take(r, &d[i], now);
        if (r->o->count > 0 && r->total.packets == r->o->count) {
            sonic_io_stop(r->io);
            return;
        }
    }
    sonic_udp_lend(udp, on_packets, r);
}

/* ---- what is shown ---------------------------------------------------- */

static void
on_second(sonic_timer *timer, int err, void *ud)
{
    struct receiver *r = ud;
    const struct counts *t = &r->total, *s = &r->shown;
    sonic_udp_stats st;
    char a[GROUPED];

    (void)timer;
    if (err < 0)
        return;
    sonic_udp_get_stats(r->udp, &st);
    printf("%10s packets/s %9.2f MB/s  missing %" PRId64 "  duplicate %" PRIu64
           "  reordered %" PRIu64 "  kernel drops %" PRIu64 "\n",
           grouped(t->packets - s->packets, a),
           (double)(t->bytes - s->bytes) / 1e6,
           (int64_t)(t->missing - s->missing), t->duplicates - s->duplicates,
           t->reordered - s->reordered, st.kernel_drops - r->drops_shown);
    fflush(stdout);
    r->shown = *t;
    r->drops_shown = st.kernel_drops;
}

static void
on_end(sonic_timer *timer, int err, void *ud)
{
    (void)timer;
    if (err == 0)
        sonic_io_stop(((struct receiver *)ud)->io);
}

static double
elapsed(const struct receiver *r)
{
    return r->total.packets > 1 ? (double)(r->last - r->first) / 1e9 : 0;
}

static double
rate(const struct receiver *r)
{
    double s = elapsed(r);

    return s > 0 ? (double)(r->total.packets - 1) / s : 0;
}

static void
print_json(const struct receiver *r, const sonic_udp_stats *st)
{
    const struct counts *t = &r->total;
    struct json j = {stdout, false};

    json_begin(&j, NULL);
    json_text(&j, "group", r->o->address);
    json_count(&j, "packets", t->packets);
    json_count(&j, "bytes", t->bytes);
    json_real(&j, "seconds", elapsed(r));
    json_real(&j, "packets_per_second", rate(r));
    json_count(&j, "runs", r->runs);
    json_count(&j, "missing", t->missing);
    json_count(&j, "duplicates", t->duplicates);
    json_count(&j, "reordered", t->reordered);
    json_count(&j, "late", t->late);
    json_count(&j, "foreign", t->foreign);
    json_count(&j, "kernel_drops", st->kernel_drops);
    json_count(&j, "truncated", st->truncated);
    json_count(&j, "largest_batch", st->batch_most);
    json_latency(&j, "latency_ns", r->latency);
    if (r->o->timestamps) {
        json_latency(&j, "to_kernel_ns", r->wire);
        json_latency(&j, "from_kernel_ns", r->kernel);
    }
    json_end(&j);
    putchar('\n');
}

static void
print_histogram(const char *title, const sonic_histogram *h)
{
    if (sonic_histogram_count(h) == 0)
        return;
    printf("\n%s\n", title);
    print_latency(stdout, h, "  ");
    putchar('\n');
    draw_latency(stdout, h, "  ");
}

static void
print_text(const struct receiver *r, const sonic_udp_stats *st)
{
    const struct counts *t = &r->total;
    char a[GROUPED], b[GROUPED], c[GROUPED];

    printf("\n%s packets, %s bytes, %s a second, from %u sender%s\n",
           grouped(t->packets, a), grouped(t->bytes, b),
           grouped((uint64_t)(rate(r) + 0.5), c), r->runs,
           r->runs == 1 ? "" : "s");
    printf("missing %s", grouped(t->missing, a));
    printf("   duplicate %s", grouped(t->duplicates, a));
    printf("   reordered %s", grouped(t->reordered, a));
    printf("   kernel drops %s", grouped(st->kernel_drops, a));
    printf("   truncated %s\n", grouped(st->truncated, a));
    if (t->late > 0)
        printf("%s were too old to tell\n", grouped(t->late, a));
    if (t->foreign > 0)
        printf("%s were not sent by sonicio mcast send: neither gaps nor "
               "latency are known of them\n",
               grouped(t->foreign, a));
    print_histogram("latency, from the sender's clock to this one:",
                    r->latency);
    print_histogram("of that, until the kernel had it:", r->wire);
    print_histogram("from the kernel to this program:", r->kernel);
}

/* ---- one run ---------------------------------------------------------- */

static int
make_histograms(struct receiver *r)
{
    int err = sonic_histogram_new(NULL, &r->latency);

    if (err == 0)
        err = sonic_histogram_new(NULL, &r->wire);
    if (err == 0)
        err = sonic_histogram_new(NULL, &r->kernel);
    return err;
}

static int
begin(struct receiver *r)
{
    const struct mcast_options *o = r->o;
    int err = make_histograms(r);

    if (err == 0)
        err = mcast_socket(r->io, o, true, &r->udp);
    if (err == 0)
        err = sonic_timer_new(r->io, &r->second);
    if (err == 0)
        err = sonic_timer_new(r->io, &r->end);
    if (err < 0)
        return err;
    r->begun = monotonic_now();
    sonic_udp_lend(r->udp, on_packets, r);
    if (!o->json && !o->quiet)
        sonic_timer_repeat(r->second, NS_PER_S, SONIC_TICK_SKIP, on_second, r);
    if (o->duration > 0)
        sonic_timer_once(r->end, o->duration, on_end, r);
    if (!o->json && !o->quiet)
        printf("receiving from %s%s%s\n", o->address,
               o->source != NULL ? ", sent by " : "",
               o->source != NULL ? o->source : "");
    return 0;
}

int
mcast_receive(const struct mcast_options *o)
{
    static struct receiver r; /* it is large */
    sonic_udp_stats st;
    int err;

    memset(&r, 0, sizeof r);
    r.o = o;
    err = mcast_io(o, &r.io);
    if (err < 0)
        return mcast_fail(o->address, err);
    err = begin(&r);
    if (err == 0 && fflush(stdout) == 0)
        err = run_io(r.io, o->mode);
    if (err == 0)
        err = r.err;
    if (err < 0) {
        mcast_fail(o->iface != NULL && err == -ENODEV ? o->iface : o->address,
                   err);
    } else {
        sonic_udp_get_stats(r.udp, &st);
        if (o->json)
            print_json(&r, &st);
        else
            print_text(&r, &st);
    }
    sonic_io_free(r.io);
    sonic_histogram_free(r.latency);
    sonic_histogram_free(r.wire);
    sonic_histogram_free(r.kernel);
    return err < 0 || r.total.missing > 0 ? EXIT_BAD : EXIT_GOOD;
}
