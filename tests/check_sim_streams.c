/* Seeded sessions: real streams and a real io in simulated worlds.  In each,
 * every operation completes exactly once, bytes arrive unchanged and in order
 * up to a reset, and nothing is left over. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/sim_dial.h"
#include "support/sim_peer.h"

enum { SEEDS = 1500, FAIL_SEEDS = 6, MAX_PAIRS = 3 };

static struct peer peers[2 * MAX_PAIRS];
static struct dial dials[MAX_PAIRS];

static void
check_peer(struct session *s, const struct peer *p)
{
    size_t i;

    if (s->wrong != NULL)
        return;
    if (p->read.busy || p->draining)
        s->wrong = "an operation never completed";
    for (i = 0; i < PEER_WRITES; i++) {
        if (p->writes[i].busy)
            s->wrong = "a write never completed";
    }
    if (s->may_fail || s->wrong != NULL)
        return;
    if (p->failed)
        s->wrong = "a peer failed though nothing was to fail";
    else if (!p->ended)
        s->wrong = "a peer did not see the end";
    else if (p->checked != p->other->to_write)
        s->wrong = "bytes were lost";
}

/* Peers that are connected, or will be.  Whether all went well. */
static bool
start_pairs(struct session *s)
{
    size_t pairs = 1 + (size_t)sonic_sim_below(s->sim, MAX_PAIRS), i;
    sonic_stream *streams[2];

    for (i = 0; i < pairs; i++) {
        struct peer *a = &peers[2 * i], *b = a + 1;

        if (sonic_sim_below(s->sim, 2) == 0) {
            dial_start(&dials[i], s, a, b);
            continue;
        }
        if (session_pair(s, streams) < 0)
            return false;
        b->other = a;
        peer_start(a, s, streams[0], b);
        peer_start(b, s, streams[1], a);
    }
    return true;
}

static void
check_dial(struct session *s, const struct dial *d)
{
    if (d->session == NULL || s->wrong != NULL)
        return;
    if (d->accepting || d->connecting)
        s->wrong = "an accept or connect never completed";
    else if (d->failed && !s->may_fail)
        s->wrong = "no connection though nothing was to fail";
}

static void
run(struct session *s)
{
    size_t i;

    memset(peers, 0, sizeof peers);
    memset(dials, 0, sizeof dials);
    if (!start_pairs(s) && !s->may_fail)
        session_wrong(s, "a pair could not be made");
    session_run(s);
    for (i = 0; i < MAX_PAIRS; i++) {
        dial_end(&dials[i]);
        peer_end(&peers[2 * i]);
        peer_end(&peers[2 * i + 1]);
    }
}

static void
look(struct session *s)
{
    size_t i;

    for (i = 0; i < MAX_PAIRS; i++)
        check_dial(s, &dials[i]);
    for (i = 0; i < 2 * MAX_PAIRS; i++) {
        if (peers[i].session != NULL)
            check_peer(s, &peers[i]);
    }
}

START_TEST(streams_survive_every_world)
{
    plan_seeds(run, look, SEEDS);
}
END_TEST

int
main(void)
{
    return plan_main("sim_streams", streams_survive_every_world, run, look,
                     FAIL_SEEDS);
}
