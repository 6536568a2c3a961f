/* Whole feeds with loss, duplicates and disorder, recovered by the gap detector
 * and a sequencer as their headers say. */
#include <sonicio/gap.h>
#include <sonicio/sequencer.h>

#include <stdlib.h>

#include "support/chance.h"

enum { MESSAGES = 400, FLYING = 64 };

/* A feed of messages 1..MESSAGES.  What is sent flies a while, may be lost,
 * come twice, and overtake others; requests are answered in the same way. */
struct feed {
    struct chance c;
    sonic_gap *g;
    sonic_sequencer *s;
    struct flight {
        uint64_t first, count;
        int64_t due;
    } air[FLYING];
    size_t flying;
    int64_t now;
    uint64_t used; /* all up to this one were used, in order */
    size_t loss;   /* percent */
};

static void
launch(struct feed *f, uint64_t first, uint64_t count)
{
    size_t copies = chance_below(&f->c, 10) == 0 ? 2 : 1;

    for (; copies > 0 && f->flying < FLYING; copies--)
        if (chance_below(&f->c, 100) >= f->loss)
            f->air[f->flying++] = (struct flight){
                first, count, f->now + 1 + (int64_t)chance_below(&f->c, 9)};
}

static void
ask(struct feed *f, const sonic_gap_range *r)
{
    must(r->count <= MESSAGES);
    if (r->count > 0 && chance_below(&f->c, 100) >= f->loss)
        for (uint64_t q = r->first; q < r->first + r->count; q++)
            launch(f, q, 1);
}

static void
use(struct feed *f, uint64_t seq)
{
    ck_assert_uint_eq(seq, f->used + 1);
    f->used = seq;
}

/* As the header says. */
static void
land(struct feed *f, uint64_t first, uint64_t count)
{
    sonic_sequenced held[16];
    sonic_gap_range r;
    uint64_t next = sonic_gap_next(f->g), before = f->used;
    size_t n;

    switch (sonic_gap_received(f->g, first, count, f->now, &r)) {
    case SONIC_GAP_USE:
        for (uint64_t q = next; q < first + count; q++)
            use(f, q);
        for (uint64_t q = next; q <= f->used; q++)
            (void)!sonic_sequencer_pop(f->s, q, NULL); /* came twice */
        while ((n = sonic_sequencer_pop_range(f->s, f->used + 1, 16, held)) > 0)
            for (size_t i = 0; i < n; i++)
                use(f, held[i].seq);
        sonic_gap_used(f->g, f->used, f->now);
        ck_assert_uint_gt(f->used, before);
        break;
    case SONIC_GAP_KEEP:
        for (uint64_t q = first; q < first + count; q++) {
            sonic_sequenced item = {q, NULL, 1, 0};
            int err = sonic_sequencer_push(f->s, &item);

            ck_assert(err == 0 || err == -EEXIST);
        }
        break;
    case SONIC_GAP_DROP:
        break;
    }
    ck_assert_uint_eq(sonic_gap_next(f->g), f->used + 1);
    ask(f, &r);
}

static void
arrivals(struct feed *f)
{
    for (size_t i = 0; i < f->flying;)
        if (f->air[i].due <= f->now) {
            struct flight a = f->air[i];

            f->air[i] = f->air[--f->flying];
            land(f, a.first, a.count);
        } else {
            i++;
        }
}

/* What of it is not kept. */
static void
ask_again(struct feed *f)
{
    sonic_gap_range r;
    int err = sonic_gap_late(f->g, f->now, &r);
    uint64_t a, b, from = r.first, to = r.first + r.count - 1;

    ck_assert(err == 0 || err == -ETIMEDOUT);
    must(r.count <= MESSAGES);
    if (r.count == 0)
        return;
    for (; sonic_sequencer_missing(f->s, from, to, &a, &b); from = b + 1)
        ask(f, &(sonic_gap_range){a, b - a + 1});
}

static void
run_feed(struct feed *f)
{
    uint64_t sent = 0;
    sonic_gap_range r;
    sonic_gap_stats stats;

    while (sonic_gap_state(f->g) != SONIC_GAP_ENDED) {
        f->now++;
        if (sent < MESSAGES && chance_below(&f->c, 2)) {
            uint64_t count = 1 + chance_below(&f->c, 4);

            if (count > MESSAGES - sent)
                count = MESSAGES - sent;
            launch(f, sent + 1, count);
            sent += count;
        } else if (f->now % 50 == 0) { /* a heartbeat */
            sonic_gap_heard(f->g, sent + 1, f->now, &r);
            ask(f, &r);
            if (sent == MESSAGES)
                sonic_gap_end(f->g, f->now);
        }
        arrivals(f);
        ask_again(f);
        must(f->now < 20000);
    }
    ck_assert_uint_eq(f->used, MESSAGES);
    ck_assert_uint_eq(sonic_sequencer_items(f->s), 0);
    sonic_gap_get_stats(f->g, &stats);
    ck_assert_uint_eq(stats.used, MESSAGES);
}

START_TEST(feeds_recover)
{
    sonic_gap_options o = SONIC_GAP_OPTIONS_INIT;
    struct chance c = chance_open(20261125);

    o.retry = 100;
    o.tries = 3;
    for (size_t i = 0; i < 300; i++) {
        struct feed f = {.c = {chance_next(&c)}, .loss = i % 30};

        ck_assert_int_eq(sonic_gap_new(&o, &f.g), 0);
        ck_assert_int_eq(sonic_sequencer_new(NULL, &f.s), 0);
        run_feed(&f);
        sonic_sequencer_free(f.s);
        sonic_gap_free(f.g);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("gap_feed");
    TCase *tc = tcase_create("feeds");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, feeds_recover);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
