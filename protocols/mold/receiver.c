#include "mold/receiver.h"

#include <assert.h>
#include <string.h>

/* What an event brings. */
struct arg {
    sonic_mold_packet packet;
    unsigned feed;
    uint64_t to; /* RESUME: go on with this number */
};

typedef int fsm_act(sonic_mold_receiver *r, struct arg *a);
static fsm_act act_begin, act_give_up, act_abandon, act_deliver, act_hold,
    act_miss, act_finish, act_fetch, act_skip, act_make_room, act_resume,
    act_refuse, act_duplicate, act_nothing, act_impossible;

#define FSM_NAME "mold"
#define FSM_DEF "mold/receiver.def"
#define FSM_INFO sonic__mold_receiver_fsm
#include <sonicio/fsm_build.h>

_Static_assert((int)SONIC_MOLD_IDLE == (int)S_IDLE &&
                   (int)SONIC_MOLD_LEVEL == (int)S_LEVEL &&
                   (int)SONIC_MOLD_GAPPED == (int)S_GAPPED &&
                   (int)SONIC_MOLD_SNAPSHOT == (int)S_SNAPSHOT &&
                   (int)SONIC_MOLD_ENDED == (int)S_ENDED,
               "see <sonicio/mold.h>");

static int
step(sonic_mold_receiver *r, enum fsm_event e, struct arg *a)
{
    return fsm_step(&r->state, e, r->tracer)->act(r, a);
}

static bool
is_reply(const struct arg *a)
{
    return a->feed == SONIC_MOLD_REPLY;
}

static unsigned
messages_of(const sonic_mold_packet *p)
{
    return p->count == SONIC_MOLD_END ? 0 : p->count;
}

static uint64_t
behind(const sonic_mold_packet *p)
{
    return p->sequence + messages_of(p);
}

/* ---- delivery ---------------------------------------------------------- */

static void
give(sonic_mold_receiver *r, uint8_t *data, size_t len)
{
    uint64_t sequence = r->next++;

    if (r->high < r->next)
        r->high = r->next;
    r->stats.messages++;
    if (r->handler->on_message != NULL)
        r->handler->on_message(r, sequence, data, len, r->ud);
}

/* What was put aside and is next now. */
static void
drain(sonic_mold_receiver *r)
{
    sonic_sequenced item;

    while (!r->dead && sonic__mold_unhold(r, r->next, &item)) {
        r->stats.held++;
        give(r, item.data, item.len);
        if (!r->dead)
            sonic__mold_drop(r, &item);
    }
}

/* Is that all there is? */
static void
settle(sonic_mold_receiver *r, struct arg *a)
{
    if (r->dead || r->next != r->high)
        return;
    if (r->next == r->end && (r->state == S_LEVEL || r->state == S_GAPPED))
        (void)step(r, E_DONE, a);
    else if (r->state == S_GAPPED)
        (void)step(r, E_CLOSED, a);
}

static void
lose(sonic_mold_receiver *r, uint64_t first, uint64_t last)
{
    r->stats.lost += last - first + 1;
    if (r->handler->on_lost != NULL)
        r->handler->on_lost(r, first, last, r->ud);
}

/* ---- packets ----------------------------------------------------------- */

static void
count_packet(sonic_mold_receiver *r, const struct arg *a, size_t len)
{
    sonic_mold_feed_stats *f = &r->stats.feed[a->feed];
    uint64_t *expected = &r->feed_next[a->feed];
    const sonic_mold_packet *p = &a->packet;

    f->packets++;
    f->bytes += len;
    f->messages += messages_of(p);
    f->heartbeats += p->count == 0;
    f->ends += p->count == SONIC_MOLD_END;
    f->heard = r->now;
    if (is_reply(a))
        return;
    if (*expected != 0 && p->sequence > *expected)
        f->lost += p->sequence - *expected;
    else if (*expected != 0 && p->sequence < *expected)
        f->late++;
    if (behind(p) > *expected)
        *expected = behind(p);
}

/* Of a session that is wanted?  *fresh: it is not the one we are in. */
static bool
session_fits(const sonic_mold_receiver *r, const struct arg *a, bool *fresh)
{
    const uint8_t *s = a->packet.session;

    *fresh =
        r->state == S_IDLE || memcmp(s, r->session, SONIC_MOLD_SESSION) != 0;
    if (!*fresh)
        return true;
    if (r->has_wanted)
        return r->state == S_IDLE &&
               memcmp(s, r->wanted, SONIC_MOLD_SESSION) == 0;
    if (r->has_before && memcmp(s, r->before, SONIC_MOLD_SESSION) == 0)
        return false; /* a straggler of the session before */
    return !is_reply(a);
}

static enum fsm_event
classify(const sonic_mold_receiver *r, const sonic_mold_packet *p)
{
    uint64_t last = behind(p);

    if (last > r->high && last - r->next > r->opt.window &&
        !(p->sequence <= r->next && r->state != S_SNAPSHOT))
        return r->handler->on_snapshot != NULL || r->state == S_SNAPSHOT
                   ? E_FETCH
                   : E_SKIP;
    if (last <= r->next)
        return E_PAST;
    if (messages_of(p) == 0)
        return last > r->high ? E_SHORT : E_PAST;
    return p->sequence <= r->next ? E_NEXT : E_AHEAD;
}

/* One packet.  When we are too far behind for it, that is dealt with first. */
static void
take(sonic_mold_receiver *r, struct arg *a)
{
    enum fsm_event e = classify(r, &a->packet);

    while (e == E_SKIP && r->state != S_ENDED) {
        (void)step(r, e, a);
        if (r->dead)
            return;
        e = classify(r, &a->packet);
    }
    if (e != E_FETCH || r->state == S_ENDED) {
        (void)step(r, e, a);
        return;
    }
    if (r->state != S_SNAPSHOT) { /* the user may resume at once */
        (void)step(r, e, a);
        if (!r->dead && (e = classify(r, &a->packet)) != E_FETCH)
            (void)step(r, e, a);
    }
    if (r->dead || e != E_FETCH || r->state != S_SNAPSHOT)
        return;
    (void)step(r, e, a);
    (void)step(r, messages_of(&a->packet) > 0 ? E_AHEAD : E_SHORT, a);
}

static void
leave(sonic_mold_receiver *r)
{
    if (--r->busy == 0 && r->dead) {
        r->dead = false;
        sonic_mold_receiver_free(r);
    }
}

int
sonic_mold_receive(sonic_mold_receiver *r, unsigned feed, int64_t now,
                   void *data, size_t len)
{
    struct arg a = {.feed = feed};
    bool fresh;

    if (feed > SONIC_MOLD_REPLY)
        return SONIC_EOPTION;
    r->now = now;
    if (sonic_mold_parse(data, len, &a.packet) < 0) {
        r->stats.feed[feed].malformed++;
        return SONIC_EMOLD_PACKET;
    }
    if (!session_fits(r, &a, &fresh)) {
        r->stats.feed[feed].foreign++;
        return SONIC_EMOLD_SESSION;
    }
    r->busy++;
    if (fresh)
        (void)step(r, E_SESSION, &a);
    if (!r->dead) {
        count_packet(r, &a, len);
        if (a.packet.count == SONIC_MOLD_END && r->state != S_ENDED)
            r->end = a.packet.sequence;
        take(r, &a);
        settle(r, &a);
    }
    leave(r);
    return 0;
}

void
sonic_mold_receiver_tick(sonic_mold_receiver *r, int64_t now)
{
    struct arg a = {.feed = SONIC_MOLD_REPLY};

    r->now = now;
    r->busy++;
    while (!r->dead && r->state == S_GAPPED && sonic__mold_ask(r)) {
        (void)step(r, r->handler->on_snapshot != NULL ? E_FETCH : E_SKIP, &a);
        settle(r, &a);
    }
    leave(r);
}

int64_t
sonic_mold_receiver_deadline(const sonic_mold_receiver *r)
{
    return r->state == S_GAPPED ? r->soonest : INT64_MAX;
}

int
sonic_mold_receiver_resume(sonic_mold_receiver *r, uint64_t next, int64_t now)
{
    struct arg a = {.feed = SONIC_MOLD_REPLY, .to = next};
    int err;

    if (r->state == S_SNAPSHOT && (next < r->next || next == UINT64_MAX))
        return SONIC_EOPTION;
    r->now = now;
    r->busy++;
    err = step(r, E_RESUME, &a);
    if (err == 0)
        settle(r, &a);
    leave(r);
    return err;
}

/* ---- actions ----------------------------------------------------------- */

/* The packet's session begins; nothing is left of another. */
static int
act_begin(sonic_mold_receiver *r, struct arg *a)
{
    const sonic_mold_packet *p = &a->packet;

    r->has_before = r->name[0] != '\0';
    memcpy(r->before, r->session, sizeof r->before);
    memcpy(r->session, p->session, sizeof r->session);
    sonic_mold_session_text(r->session, r->name);
    sonic__mold_drop_all(r);
    sonic__mold_forget_all(r);
    memset(r->feed_next, 0, sizeof r->feed_next);
    r->next = r->opt.join == SONIC_ON ? p->sequence : r->opt.first;
    r->high = r->next;
    r->end = 0;
    r->stats.sessions++;
    if (r->handler->on_session != NULL)
        r->handler->on_session(r, r->name, r->next, r->ud);
    return 0;
}

/* Give up what is missing before the first message that is put aside, or
 * before `otherwise` when none is. */
static void
skip(sonic_mold_receiver *r, uint64_t otherwise)
{
    uint64_t first = r->next;

    r->next = sonic__mold_held_least(r);
    if (r->next == UINT64_MAX)
        r->next = otherwise;
    if (r->high < r->next)
        r->high = r->next;
    sonic__mold_forget(r, first, r->next - 1);
    lose(r, first, r->next - 1);
    drain(r);
}

/* What was put aside of the session before is delivered, the rest is lost. */
static int
act_give_up(sonic_mold_receiver *r, struct arg *a)
{
    while (!r->dead && r->next < r->high)
        skip(r, r->high);
    return r->dead ? 0 : act_begin(r, a);
}

static int
act_abandon(sonic_mold_receiver *r, struct arg *a)
{
    lose(r, r->next, r->high - 1);
    return r->dead ? 0 : act_begin(r, a);
}

/* The packet has `next`.  What it has that is held already is not needed. */
static int
act_deliver(sonic_mold_receiver *r, struct arg *a)
{
    sonic_mold_packet *p = &a->packet;
    sonic_mold_feed_stats *f = &r->stats.feed[a->feed];
    uint64_t sequence = p->sequence;
    sonic_sequenced item;
    uint8_t *data;
    size_t len;

    for (; !r->dead && sonic_mold_take(p, &data, &len); sequence++) {
        if (sequence < r->next) {
            f->duplicates++;
            continue;
        }
        if (sequence != r->next || r->state == S_SNAPSHOT)
            return 0; /* a callback changed the course of things */
        if (sequence < r->high && sonic__mold_unhold(r, sequence, &item)) {
            sonic__mold_drop(r, &item);
            f->duplicates++;
        } else {
            f->used++;
            if (sequence < r->high)
                sonic__mold_fill(r, sequence, is_reply(a));
            if (r->dead || sequence != r->next)
                return 0;
        }
        give(r, data, len);
    }
    drain(r);
    return 0;
}

/* Put a message aside; what cannot be is missing. */
static void
hold(sonic_mold_receiver *r, struct arg *a, uint64_t sequence,
     const uint8_t *data, size_t len)
{
    sonic_mold_feed_stats *f = &r->stats.feed[a->feed];
    int err = sonic__mold_hold(r, sequence, data, len);

    while (err < 0 && err != -EEXIST && r->state == S_SNAPSHOT &&
           sonic__mold_held_least(r) < sequence) {
        sonic__mold_drop_before(r, sonic__mold_held_least(r) + 1);
        err = sonic__mold_hold(r, sequence, data, len);
    }
    if (err == -EEXIST) {
        f->duplicates++;
    } else if (err < 0) {
        r->stats.no_room++;
        if (sequence >= r->high)
            sonic__mold_open_gap(r, sequence, sequence);
    } else {
        f->used++;
        if (sequence < r->high)
            sonic__mold_fill(r, sequence, is_reply(a));
    }
    if (!r->dead && r->high <= sequence)
        r->high = sequence + 1;
}

static int
act_hold(sonic_mold_receiver *r, struct arg *a)
{
    sonic_mold_packet *p = &a->packet;
    uint64_t sequence = p->sequence;
    uint8_t *data;
    size_t len;

    if (sequence > r->high)
        (void)act_miss(r, a);
    for (; !r->dead && sonic_mold_take(p, &data, &len); sequence++) {
        if (sequence >= r->next)
            hold(r, a, sequence, data, len);
        else
            r->stats.feed[a->feed].duplicates++;
    }
    return 0;
}

/* All up to the packet's number exists. */
static int
act_miss(sonic_mold_receiver *r, struct arg *a)
{
    uint64_t first = r->high;

    r->high = a->packet.sequence;
    sonic__mold_open_gap(r, first, r->high - 1);
    return 0;
}

static int
act_finish(sonic_mold_receiver *r, struct arg *a)
{
    (void)a;
    if (r->handler->on_end != NULL)
        r->handler->on_end(r, r->next, r->ud);
    return 0;
}

/* No gap is waited for any more. */
static int
act_fetch(sonic_mold_receiver *r, struct arg *a)
{
    uint64_t newest = behind(&a->packet);

    sonic__mold_forget_all(r);
    r->stats.snapshots++;
    r->handler->on_snapshot(r, r->next, newest > r->high ? newest : r->high,
                            r->ud);
    return 0;
}

/* The first message that is there is next: one that was put aside, or the
 * packet's. */
static int
act_skip(sonic_mold_receiver *r, struct arg *a)
{
    skip(r, a->packet.sequence > r->high ? a->packet.sequence : r->high);
    return 0;
}

/* The packet is to be held, and what is held shall lie within the window. */
static int
act_make_room(sonic_mold_receiver *r, struct arg *a)
{
    uint64_t last = behind(&a->packet);

    if (last > r->opt.window)
        sonic__mold_drop_before(r, last - r->opt.window);
    return 0;
}

static int
act_resume(sonic_mold_receiver *r, struct arg *a)
{
    uint64_t first = a->to, last;

    sonic__mold_forget_all(r);
    sonic__mold_drop_before(r, a->to);
    r->next = a->to;
    if (r->high < r->next)
        r->high = r->next;
    drain(r);
    first = r->next;
    while (
        !r->dead && r->state == S_GAPPED && first < r->high &&
        sonic_sequencer_missing(r->held, first, r->high - 1, &first, &last)) {
        sonic__mold_open_gap(r, first, last);
        first = last + 1;
    }
    return 0;
}

static int
act_refuse(sonic_mold_receiver *r, struct arg *a)
{
    (void)r;
    (void)a;
    return SONIC_ESTATE;
}

static int
act_duplicate(sonic_mold_receiver *r, struct arg *a)
{
    r->stats.feed[a->feed].duplicates += messages_of(&a->packet);
    return 0;
}

static int
act_nothing(sonic_mold_receiver *r, struct arg *a)
{
    (void)r;
    (void)a;
    return 0;
}

static int
act_impossible(sonic_mold_receiver *r, struct arg *a)
{
    (void)r;
    (void)a;
    assert(false && "a cell that cannot be reached");
    return SONIC_ESTATE;
}
