/* Seeded MoldUDP64 feeds in simulated worlds: a publisher, two groups, request
 * servers and subscribers, over IPv4 or IPv6.  The network drops, doubles,
 * delays and reorders datagrams, requests and answers among them, and the two
 * feeds drift apart.  The oracle is simple: message n can be worked out.
 *
 * SONIC_SEEDS=n runs so many, SONIC_SEED=n only that one, and shows what its
 * subscribers heard. */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/sim_feed.h"

enum { SEEDS = 10000, FAIL_SEEDS = 2 };

/* What the sessions of a run did, to show that they did something. */
static struct {
    uint64_t messages, gaps, filled, lost, snapshots, changes, dropped, doubled,
        reordered, skewed, ended;
} sum;

/* The network does more to these worlds than to most. */
static void
tune(sonic_sim_options *world)
{
    uint32_t percent = (uint32_t)(world->seed % 16); /* 0: as it is */

    world->faults.drop += 10000 * percent;
    world->faults.duplicate += 3000 * percent;
    world->faults.reorder += 3000 * percent;
    world->faults.skew += 1000 * percent;
}

static void
run(struct session *s)
{
    feed_run(s);
}

static void
look(struct session *s)
{
    const sonic_sim_counters *c = sonic_sim_stats(s->sim);
    const struct feed *f = &feed;
    size_t i;

    feed_look(s);
    sum.dropped += c->fault.drop + c->datagrams_overflowed;
    sum.doubled += c->fault.duplicate;
    sum.reordered += c->fault.reorder;
    sum.skewed += c->fault.skew;
    for (i = 0; i < f->n_subscribers; i++) {
        const struct subscriber *u = &f->subscribers[i];

        sum.messages += u->messages;
        sum.gaps += u->gaps;
        sum.filled += u->filled;
        sum.lost += u->lost;
        sum.snapshots += u->snapshots;
        sum.changes += u->sessions > 1;
        sum.ended += u->ended;
    }
}

START_TEST(feeds_survive_every_world)
{
    memset(&sum, 0, sizeof sum);
    plan_tune = tune;
    plan_seeds(run, look, SEEDS);
    printf("feeds: %" PRIu64 " messages, %" PRIu64 " gaps, %" PRIu64
           " of them filled, %" PRIu64 " messages given up, %" PRIu64
           " snapshots, %" PRIu64 " new sessions, %" PRIu64 " ends\n"
           "network: %" PRIu64 " datagrams lost, %" PRIu64 " doubled, %" PRIu64
           " reordered, %" PRIu64 " drifts\n",
           sum.messages, sum.gaps, sum.filled, sum.lost, sum.snapshots,
           sum.changes, sum.ended, sum.dropped, sum.doubled, sum.reordered,
           sum.skewed);
    fflush(stdout);
    if (getenv("SONIC_SEED") != NULL || getenv("SONIC_SEEDS") != NULL)
        return;
    ck_assert_uint_gt(sum.messages, SEEDS * 20);
    ck_assert_uint_gt(sum.filled, SEEDS);
    ck_assert_uint_gt(sum.snapshots, SEEDS / 100);
    ck_assert_uint_gt(sum.changes, SEEDS / 20);
    ck_assert_uint_gt(sum.dropped, SEEDS * 2);
    ck_assert_uint_gt(sum.ended, SEEDS / 2);
}
END_TEST

int
main(void)
{
    return plan_main("sim_feed", feeds_survive_every_world, run, look,
                     FAIL_SEEDS);
}
