/* What is missing, in gaps by the order of their numbers, and whom to ask. */
#include <string.h>

#include "mold/receiver.h"

enum { RUNS_MAX = 16 /* requests for one gap at a time */ };

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void
due(sonic_mold_receiver *r, struct sonic__mold_gap *g, int64_t when)
{
    g->due = when;
    r->soonest = least(r->soonest, when);
}

/* The last gap, if more can be added to it.  One that has just begun grows;
 * when all are in use, the last one does: what lies between is held, so it is
 * not asked for. */
static struct sonic__mold_gap *
growing(const sonic_mold_receiver *r, uint64_t first)
{
    bool full = r->gaps_n > r->gaps_mask;
    struct sonic__mold_gap *g;

    if (r->gaps_n == 0)
        return NULL;
    g = sonic__mold_gap_at(r, r->gaps_n - 1);
    if (full ||
        (g->g.missing > 0 && g->g.last + 1 == first && g->g.requests == 0))
        return g;
    return NULL;
}

/* While a snapshot is awaited nothing is asked for. */
void
sonic__mold_open_gap(sonic_mold_receiver *r, uint64_t first, uint64_t last)
{
    struct sonic__mold_gap *g;

    if (r->state == SONIC_MOLD_SNAPSHOT)
        return;
    g = growing(r, first);
    if (g != NULL && g->g.missing > 0) {
        g->g.last = last;
        g->g.missing += last - first + 1;
        return;
    }
    if (g == NULL)
        g = sonic__mold_gap_at(r, r->gaps_n++);
    memset(g, 0, sizeof *g);
    g->g.first = first;
    g->g.last = last;
    g->g.missing = last - first + 1;
    g->g.begun = r->now;
    due(r, g, r->now + r->opt.request_delay);
    r->stats.gaps++;
    if (r->handler->on_gap != NULL)
        r->handler->on_gap(r, &g->g, r->ud);
}

static void
pop_filled(sonic_mold_receiver *r)
{
    while (r->gaps_n > 0 && sonic__mold_gap_at(r, 0)->g.missing == 0) {
        r->gaps_head = (r->gaps_head + 1) & r->gaps_mask;
        r->gaps_n--;
    }
}

/* The gap with that number in it. */
static struct sonic__mold_gap *
find(const sonic_mold_receiver *r, uint64_t sequence)
{
    size_t from = 0, to = r->gaps_n;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        struct sonic__mold_gap *g = sonic__mold_gap_at(r, mid);

        if (sequence < g->g.first)
            to = mid;
        else if (sequence > g->g.last)
            from = mid + 1;
        else
            return g;
    }
    return NULL;
}

void
sonic__mold_fill(sonic_mold_receiver *r, uint64_t sequence, bool reply)
{
    struct sonic__mold_gap *g = find(r, sequence);
    sonic_mold_gap done;

    if (g == NULL || g->g.missing == 0)
        return;
    if (reply) { /* the server is there: ask it for the rest, if any, soon */
        g->g.from_requests++;
        g->tries = 0;
        due(r, g, r->now + r->opt.request_delay);
    } else {
        g->g.from_feeds++;
    }
    if (--g->g.missing > 0)
        return;
    if (g->lost) { /* on_lost has ended it */
        pop_filled(r);
        return;
    }
    g->g.took = r->now - g->g.begun;
    if (g->g.took > r->stats.longest)
        r->stats.longest = g->g.took;
    r->stats.filled++;
    done = g->g;
    pop_filled(r);
    if (r->handler->on_filled != NULL)
        r->handler->on_filled(r, &done, r->ud);
}

void
sonic__mold_forget(sonic_mold_receiver *r, uint64_t first, uint64_t last)
{
    for (size_t i = 0; i < r->gaps_n; i++) {
        struct sonic__mold_gap *gap = sonic__mold_gap_at(r, i);
        sonic_mold_gap *g = &gap->g;
        uint64_t from = g->first > first ? g->first : first;
        uint64_t to = g->last < last ? g->last : last;

        if (g->first > last)
            break;
        if (from > to || g->missing == 0)
            continue;
        g->missing -= to - from + 1;
        gap->lost = true;
    }
    pop_filled(r);
}

void
sonic__mold_forget_all(sonic_mold_receiver *r)
{
    r->gaps_head = r->gaps_n = 0;
    r->soonest = INT64_MAX;
}

/* ---- requests ---------------------------------------------------------- */

static void
request(sonic_mold_receiver *r, unsigned server, uint64_t first, uint64_t last)
{
    uint64_t n = last - first + 1;
    uint8_t packet[SONIC_MOLD_HEADER];

    if (n > r->opt.request_max)
        n = r->opt.request_max;
    sonic_mold_write_header(packet, r->session, first, (unsigned)n);
    r->stats.requests++;
    r->stats.asked += n;
    if (r->handler->on_request != NULL)
        r->handler->on_request(r, server, packet, sizeof packet, r->request_ud);
}

/* Ask for the runs of a gap that are missing.  An answer may come before a
 * request returns, so they are looked up first. */
static void
ask_for(sonic_mold_receiver *r, struct sonic__mold_gap *g)
{
    const sonic_mold_receiver_options *o = &r->opt;
    uint64_t from = g->g.first > r->next ? g->g.first : r->next;
    uint64_t last = g->g.last, sessions = r->stats.sessions;
    struct {
        uint64_t first, last;
    } run[RUNS_MAX];
    unsigned server = g->server;
    int n = 0;

    while (n < RUNS_MAX && from <= last &&
           sonic_sequencer_missing(r->held, from, last, &run[n].first,
                                   &run[n].last) &&
           sonic__mold_spend(&r->bucket, o->request_rate, o->request_burst,
                             r->now))
        from = run[n++].last + 1;
    if (n == 0) {
        due(r, g,
            sonic__mold_ready(&r->bucket, o->request_rate, o->request_burst));
        return;
    }
    g->tries++;
    g->g.requests++;
    g->server = (server + 1) % o->servers;
    due(r, g, r->now + o->request_timeout);
    for (int i = 0; i < n && !r->dead && r->stats.sessions == sessions; i++)
        request(r, server, run[i].first, run[i].last);
}

/* A gap whose time has come.  True: nobody answers. */
static bool
overdue(sonic_mold_receiver *r, struct sonic__mold_gap *g, bool front)
{
    const sonic_mold_receiver_options *o = &r->opt;

    if (o->servers > 0 && g->tries < o->request_tries)
        ask_for(r, g);
    else if (o->servers == 0 && r->now < g->g.begun + o->request_timeout)
        due(r, g, g->g.begun + o->request_timeout);
    else if (front)
        return true;
    else /* it is given up when it is the first */
        due(r, g, r->now + o->request_timeout);
    return false;
}

bool
sonic__mold_ask(sonic_mold_receiver *r)
{
    bool spent = false;

    if (r->now < r->soonest)
        return false;
    for (size_t i = 0; i < r->gaps_n && !spent; i++) {
        struct sonic__mold_gap *g = sonic__mold_gap_at(r, i);

        if (g->g.missing > 0 && g->due <= r->now)
            spent = overdue(r, g, i == 0);
        if (r->dead)
            return false;
    }
    r->soonest = INT64_MAX;
    for (size_t i = 0; i < r->gaps_n; i++) {
        struct sonic__mold_gap *g = sonic__mold_gap_at(r, i);

        if (g->g.missing > 0)
            r->soonest = least(r->soonest, g->due);
    }
    return spent;
}
