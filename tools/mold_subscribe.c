/* sonicio mold subscribe: the feeds in one, and what became of each gap. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/timer.h>

#include "mold.h"

struct subscribe {
    const struct mold_options *o;
    sonic_io *io;
    sonic_mold_subscriber *sub;
    sonic_timer *timer;
    sonic_histogram *latency, *recovery;
    uint64_t expected; /* by our own count; 0: any */
    uint64_t messages, bytes, twice, disorder, wrong, lost, gaps;
    int64_t first_at, last_at;
    bool ended, enough, silent;
};

/* ---- messages ---------------------------------------------------------- */

static void
finish(struct subscribe *s)
{
    sonic_io_stop(s->io);
}

static void
on_session(sonic_mold_receiver *r, const char *session, uint64_t first,
           void *ud)
{
    struct subscribe *s = ud;

    (void)r;
    s->expected = first;
    if (!s->o->json && !s->o->quiet)
        printf("session %s, from message %llu on\n", session,
               (unsigned long long)first);
}

/* The receiver's promise is checked, not trusted. */
static void
on_message(sonic_mold_receiver *r, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    struct subscribe *s = ud;
    int64_t sent;

    (void)r;
    s->last_at = monotonic_now();
    if (s->messages++ == 0)
        s->first_at = s->last_at;
    s->bytes += len;
    if (sequence < s->expected)
        s->twice++;
    else if (sequence > s->expected)
        s->disorder++;
    s->expected = sequence + 1;
    if (mold_check(data, len, sequence, &sent))
        sonic_histogram_record(s->latency, s->last_at - sent);
    else
        s->wrong++;
    if (s->o->count > 0 && s->messages >= s->o->count && !s->enough) {
        s->enough = true;
        finish(s);
    }
}

static void
on_filled(sonic_mold_receiver *r, const sonic_mold_gap *g, void *ud)
{
    struct subscribe *s = ud;
    char took[32];

    (void)r;
    s->gaps++;
    sonic_histogram_record(s->recovery, g->took);
    if (s->o->json || s->o->quiet)
        return;
    sonic_histogram_format(g->took, took, sizeof took);
    printf("gap %llu-%llu filled after %s: %llu by a feed, %llu by a server "
           "(%u requests)\n",
           (unsigned long long)g->first, (unsigned long long)g->last, took,
           (unsigned long long)g->from_feeds,
           (unsigned long long)g->from_requests, g->requests);
}

static void
on_lost(sonic_mold_receiver *r, uint64_t first, uint64_t last, void *ud)
{
    struct subscribe *s = ud;

    (void)r;
    s->lost += last - first + 1;
    s->expected = last + 1;
    if (!s->o->json)
        printf("LOST %llu-%llu\n", (unsigned long long)first,
               (unsigned long long)last);
}

static void
on_end(sonic_mold_receiver *r, uint64_t next, void *ud)
{
    struct subscribe *s = ud;

    (void)r;
    (void)next;
    s->ended = true;
    finish(s);
}

static const sonic_mold_handler handler = {
    SONIC_MOLD_HANDLER_INIT, .on_session = on_session, .on_message = on_message,
    .on_filled = on_filled,  .on_lost = on_lost,       .on_end = on_end,
};

/* ---- silence ----------------------------------------------------------- */

static void
on_look(sonic_timer *t, int err, void *ud)
{
    struct subscribe *s = ud;
    sonic_mold_receiver_stats st;
    int64_t now = sonic_io_now(s->io), heard = s->first_at;

    (void)t;
    if (err < 0)
        return;
    sonic_mold_receiver_get_stats(sonic_mold_subscriber_receiver(s->sub), &st);
    for (unsigned i = 0; i < s->o->n_feeds; i++)
        if (st.feed[i].heard > heard)
            heard = st.feed[i].heard;
    if (now - heard < s->o->wait)
        return;
    s->silent = true;
    finish(s);
}

/* ---- the figures ------------------------------------------------------- */

static double
rate(const struct subscribe *s)
{
    double seconds = (double)(s->last_at - s->first_at) / 1e9;

    return seconds > 0 ? (double)s->messages / seconds : 0;
}

static void
show_feed(const sonic_mold_feed_stats *f, const char *name)
{
    char text[GROUPED];

    printf("%-8s %s packets,", name, grouped(f->packets, text));
    printf(" %s messages first,", grouped(f->used, text));
    printf(" %s duplicates,", grouped(f->duplicates, text));
    printf(" %s missed,", grouped(f->lost, text));
    printf(" %s late packets\n", grouped(f->late, text));
}

static void
show_text(const struct subscribe *s, const sonic_mold_receiver_stats *st)
{
    char text[GROUPED], name[8] = "feed A";

    printf("%s messages", grouped(s->messages, text));
    printf(", %s a second", grouped((uint64_t)rate(s), text));
    printf("; %llu lost, %llu twice, %llu out of order, %llu not as published"
           "\n",
           (unsigned long long)s->lost, (unsigned long long)s->twice,
           (unsigned long long)s->disorder, (unsigned long long)s->wrong);
    for (unsigned i = 0; i < s->o->n_feeds; i++) {
        name[5] = (char)('A' + i);
        show_feed(&st->feed[i], name);
    }
    show_feed(&st->feed[SONIC_MOLD_REPLY], "servers");
    printf("%llu gaps, %llu filled; %llu requests\n",
           (unsigned long long)st->gaps, (unsigned long long)st->filled,
           (unsigned long long)st->requests);
    if (s->gaps > 0) {
        printf("recovery:\n");
        print_latency(stdout, s->recovery, "  ");
    }
    if (sonic_histogram_count(s->latency) > 0) {
        printf("latency, publisher to here (one machine's clock):\n");
        print_latency(stdout, s->latency, "  ");
    }
}

static void
json_feed(struct json *j, const char *name, const sonic_mold_feed_stats *f)
{
    json_begin(j, name);
    json_count(j, "packets", f->packets);
    json_count(j, "messages", f->messages);
    json_count(j, "first", f->used);
    json_count(j, "duplicates", f->duplicates);
    json_count(j, "missed", f->lost);
    json_count(j, "late", f->late);
    json_count(j, "malformed", f->malformed);
    json_count(j, "foreign", f->foreign);
    json_end(j);
}

static void
show_json(const struct subscribe *s, const sonic_mold_receiver_stats *st)
{
    struct json j = {stdout, false};

    json_begin(&j, NULL);
    json_count(&j, "messages", s->messages);
    json_count(&j, "bytes", s->bytes);
    json_real(&j, "rate", rate(s));
    json_count(&j, "lost", s->lost);
    json_count(&j, "duplicated", s->twice);
    json_count(&j, "reordered", s->disorder);
    json_count(&j, "wrong", s->wrong);
    json_bool(&j, "ended", s->ended);
    json_bool(&j, "silent", s->silent);
    json_count(&j, "gaps", st->gaps);
    json_count(&j, "filled", st->filled);
    json_count(&j, "requests", st->requests);
    json_count(&j, "asked", st->asked);
    for (unsigned i = 0; i < s->o->n_feeds; i++)
        json_feed(&j, (const char[]){(char)('a' + i), '\0'}, &st->feed[i]);
    json_feed(&j, "servers", &st->feed[SONIC_MOLD_REPLY]);
    json_latency(&j, "recovery_ns", s->recovery);
    json_latency(&j, "latency_ns", s->latency);
    json_end(&j);
    putchar('\n');
}

static int
show(const struct subscribe *s)
{
    sonic_mold_receiver_stats st;

    sonic_mold_receiver_get_stats(sonic_mold_subscriber_receiver(s->sub), &st);
    if (s->o->json)
        show_json(s, &st);
    else
        show_text(s, &st);
    if (s->silent)
        complain("mold", "nothing was heard for %.1f seconds",
                 (double)s->o->wait / 1e9);
    else if (!s->ended && !s->enough)
        complain("mold", "stopped before the session's end");
    return (s->ended || s->enough) &&
                   s->lost + s->twice + s->disorder + s->wrong == 0
               ? EXIT_GOOD
               : EXIT_BAD;
}

/* ---- making it --------------------------------------------------------- */

static int
subscribe_to(struct subscribe *s)
{
    const struct mold_options *o = s->o;
    sonic_mold_receiver_options r = SONIC_MOLD_RECEIVER_OPTIONS_INIT;
    sonic_mold_subscriber_options opt = SONIC_MOLD_SUBSCRIBER_OPTIONS_INIT;

    mold_receiver_of(o, &r);
    opt.receiver = &r;
    opt.feeds = o->feeds;
    opt.n_feeds = o->n_feeds;
    opt.servers = o->servers;
    opt.n_servers = o->n_servers;
    return sonic_mold_subscriber_new(s->io, &opt, &handler, s, &s->sub);
}

static int
begin(struct subscribe *s)
{
    const char *what = "memory";
    int err = sonic_histogram_new(NULL, &s->latency);

    if (err == 0)
        err = sonic_histogram_new(NULL, &s->recovery);
    if (err == 0)
        err = stop_on_signal(s->io);
    if (err == 0) {
        what = s->o->feeds[0].address;
        err = subscribe_to(s);
    }
    if (err == 0)
        err = sonic_timer_new(s->io, &s->timer);
    if (err < 0)
        return mold_failed(what, err);
    s->first_at = sonic_io_now(s->io);
    sonic_timer_repeat(s->timer, NS_PER_S / 10, SONIC_TICK_SKIP, on_look, s);
    if (!s->o->json && !s->o->quiet) {
        printf("listening to %s%s%s\n", s->o->feeds[0].address,
               s->o->n_feeds > 1 ? " and " : "",
               s->o->n_feeds > 1 ? s->o->feeds[1].address : "");
        fflush(stdout);
    }
    return EXIT_GOOD;
}

int
mold_subscribe(const struct mold_options *o)
{
    struct subscribe s = {.o = o};
    int err = sonic_io_new(&s.io, NULL), status;

    if (err < 0)
        return mold_failed("io", err);
    status = begin(&s);
    if (status == EXIT_GOOD) {
        err = run_io(s.io, RUN_BLOCKING);
        if (err < 0)
            status = mold_failed("running", err);
        else
            status = show(&s);
    }
    sonic_io_free(s.io);
    sonic_histogram_free(s.latency);
    sonic_histogram_free(s.recovery);
    return status;
}
