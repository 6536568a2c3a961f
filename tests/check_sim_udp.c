/* Seeded conversations of UDP sockets in simulated worlds, over IPv4 and IPv6.
 * Each datagram says who sent it to whom, and its number.  None is invented,
 * changed or delivered elsewhere; where the network doubles none, none comes
 * twice; where it lets none be overtaken, they stay in order; where it loses
 * none, all come.  Every operation completes once. */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>
#include <sonicio/timer.h>
#include <sonicio/udp.h>

#include "support/sim_message.h"
#include "support/sim_plan.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

enum {
    SEEDS = 2000,
    FAIL_SEEDS = 3,
    PEERS = 4,
    WRITES = 3,  /* of a peer under way */
    MOST = 9000, /* bytes of a body */
    TO_SEND = 40,
    QUIET = 100, /* ticks without news before a peer stops */
    MAX_TICKS = 100000,
};

enum mode { READS, LENDS, BOTH, MODES };

struct head {
    uint16_t from, to;
    uint32_t n;
};

struct peer;

struct writing {
    struct peer *peer;
    uint32_t n;
    bool busy;
    uint8_t buf[sizeof(struct head) + MOST];
};

struct peer {
    struct session *session;
    uint16_t id;
    sonic_udp *udp;
    sonic_timer *timer;
    sonic_address at;
    struct peer *only; /* connected to it */
    enum mode mode;
    bool reading, lending, draining, over, small;
    bool broken; /* an operation failed: what it was for may be lost */
    uint64_t salt;
    size_t most;
    unsigned to_send, sent, ticks, quiet;
    uint16_t to[TO_SEND];    /* by number */
    bool accepted[TO_SEND];  /* the library took it */
    bool cancelled[TO_SEND]; /* and gave it back unsent, or may have */
    unsigned seen[TO_SEND];
    int64_t last[PEERS]; /* number received from each */
    uint64_t got;
    struct writing writes[WRITES];
    uint8_t into[2][sizeof(struct head) + MOST];
    unsigned in_use; /* of the two */
    uint8_t scratch[sizeof(struct head) + MOST];
};

static struct peer peers[PEERS];
static size_t n_peers;

static void on_tick(sonic_timer *timer, int err, void *ud);
static void read_next(struct peer *p);

static uint64_t
pick(struct peer *p, uint64_t n)
{
    return sonic_sim_below(p->session->sim, n);
}

static const sonic_sim_faults *
happened(const struct peer *p)
{
    return &sonic_sim_stats(p->session->sim)->fault;
}

static void
tick_later(struct peer *p)
{
    if (p->timer == NULL || sonic_timer_state(p->timer) != SONIC_TIMER_READY)
        return;
    p->session->started++;
    sonic_timer_once(p->timer, (int64_t)pick(p, 5 * MS), on_tick, p);
}

/* ---- receiving ---- */

static void
take(struct peer *p, const sonic_datagram *d)
{
    struct session *s = p->session;
    struct peer *from;
    struct head h;
    size_t len;

    p->quiet = 0;
    p->got++;
    if (d->truncated != (d->len < d->sent) || (d->truncated && !p->small))
        session_wrong(s, "a datagram was cut for no reason");
    if (d->len < sizeof h)
        return; /* cut */
    memcpy(&h, d->data, sizeof h);
    if (h.from >= n_peers || h.to != p->id || h.n >= peers[h.from].sent ||
        peers[h.from].to[h.n] != p->id) {
        session_wrong(s, "a datagram was invented or delivered elsewhere");
        return;
    }
    from = &peers[h.from];
    len = message_length(from->salt, h.n, from->most);
    if (d->sent != sizeof h + len ||
        !message_is(from->salt, h.n, len, 0, d->data + sizeof h,
                    d->len - sizeof h))
        session_wrong(s, "a datagram was changed");
    if (sonic_address_port(d->from) != sonic_address_port(&from->at) ||
        (d->to->len > 0 &&
         sonic_address_port(d->to) != sonic_address_port(&p->at)))
        session_wrong(s, "a datagram's addresses are wrong");
    if (from->seen[h.n]++ > happened(p)->duplicate)
        session_wrong(s, "a datagram came twice");
    if (p->last[h.from] >= (int64_t)h.n && happened(p)->duplicate == 0 &&
        happened(p)->reorder == 0)
        session_wrong(s, "datagrams are out of order");
    p->last[h.from] = h.n;
    if (p->only != NULL && p->only != from)
        session_wrong(s, "a connected socket received from a stranger");
}

/* What may befall a read in a session where nothing is to fail for good. */
static bool
excused(const struct peer *p, int err)
{
    if (err == -ECANCELED || err == -ETIMEDOUT)
        return true;
    if (err == -ECONNREFUSED && p->only != NULL)
        return p->only->over || p->session->rough;
    return p->session->may_fail;
}

static void
read_failed(struct peer *p, int err)
{
    if (!excused(p, err))
        session_wrong(p->session, sonic_errname(err));
    if (p->over)
        return;
    if (err == -ETIMEDOUT &&
        sonic_udp_set_deadline(p->udp, SONIC_READING, INT64_MAX) < 0)
        session_wrong(p->session, "a deadline stays");
    tick_later(p); /* which reads on */
}

static void
on_read(sonic_udp *udp, int err, const sonic_datagram *d, void *ud)
{
    struct peer *p = ud;

    (void)udp;
    p->session->completed++;
    if (!p->reading || (err == 0) != (d != NULL))
        session_wrong(p->session, "a read completed wrongly");
    p->reading = false;
    if (err < 0) {
        read_failed(p, err);
        return;
    }
    if (d->data != p->into[p->in_use])
        session_wrong(p->session, "a read went to another buffer");
    take(p, d);
    memset(p->into, 0xee, sizeof p->into);
    if (pick(p, 10) > 0)
        read_next(p);
}

static void
on_lend(sonic_udp *udp, int err, const sonic_datagram *d, size_t n, void *ud)
{
    struct peer *p = ud;
    size_t i;

    (void)udp;
    p->session->completed++;
    if (!p->lending || (err == 0) != (n > 0))
        session_wrong(p->session, "a lend completed wrongly");
    p->lending = false;
    if (err < 0) {
        read_failed(p, err);
        return;
    }
    for (i = 0; i < n; i++) {
        take(p, &d[i]);
        memset(d[i].data, 0xee, d[i].len); /* it is ours meanwhile */
    }
    if (pick(p, 10) > 0)
        read_next(p);
}

static size_t
room(const struct peer *p)
{
    return p->small ? 64 : sizeof p->into[0];
}

static void
read_next(struct peer *p)
{
    if (p->udp == NULL || p->over || p->reading || p->lending)
        return;
    p->session->started++;
    if (p->mode == LENDS || (p->mode == BOTH && pick(p, 2) == 0)) {
        p->lending = true;
        sonic_udp_lend(p->udp, on_lend, p);
        return;
    }
    p->reading = true;
    sonic_udp_async_read(p->udp, p->into[p->in_use], room(p), on_read, p);
}

static void
disturb(struct peer *p)
{
    int err;

    switch (pick(p, 40)) {
    case 0:
        sonic_udp_cancel(p->udp, SONIC_READING);
        break;
    case 1:
        sonic_udp_cancel(p->udp, SONIC_WRITING);
        break;
    case 2:
        if (!p->reading)
            return;
        p->in_use = !p->in_use;
        err = sonic_udp_set_async_read_buffer(p->udp, p->into[p->in_use],
                                              room(p));
        if (err < 0)
            session_wrong(p->session, "an armed read's buffer is not changed");
        break;
    case 3:
        err = sonic_udp_set_deadline(p->udp, SONIC_READING,
                                     sonic_sim_now(p->session->sim) +
                                         (int64_t)pick(p, 10 * MS));
        if (err < 0 && !p->session->may_fail)
            session_wrong(p->session, sonic_errname(err));
        break;
    default:
        break;
    }
}

/* ---- sending ---- */

static void
not_sent(struct peer *p, uint32_t n, int err)
{
    p->cancelled[n] = true;
    if (err != SONIC_EQUEUE && !excused(p, err))
        session_wrong(p->session, sonic_errname(err));
}

static void
on_written(sonic_udp *udp, int err, size_t n, void *ud)
{
    struct writing *w = ud;
    struct peer *p = w->peer;

    (void)udp;
    p->session->completed++;
    if (!w->busy)
        session_wrong(p->session, "a write completed twice");
    if (err == 0 &&
        n != sizeof(struct head) + message_length(p->salt, w->n, p->most))
        session_wrong(p->session, "a write was short");
    w->busy = false;
    memset(w->buf, 0xee, sizeof w->buf);
    if (err < 0)
        not_sent(p, w->n, err);
}

static void
on_drain(sonic_udp *udp, int err, size_t n, void *ud)
{
    struct peer *p = ud;

    (void)n;
    p->session->completed++;
    if (!p->draining)
        session_wrong(p->session, "a drain completed twice");
    p->draining = false;
    if (err == 0 && sonic_udp_queued(udp) > 0)
        session_wrong(p->session, "a queue is not empty when it drained");
    if (err < 0 && !excused(p, err))
        session_wrong(p->session, sonic_errname(err));
}

static struct writing *
free_write(struct peer *p)
{
    size_t i;

    for (i = 0; i < WRITES; i++) {
        if (!p->writes[i].busy)
            return &p->writes[i];
    }
    return NULL;
}

/* Datagram n, into buf; returns its length. */
static size_t
make(struct peer *p, uint32_t n, uint8_t *buf)
{
    struct head h = {p->id, p->to[n], n};
    size_t len = message_length(p->salt, n, p->most);

    memcpy(buf, &h, sizeof h);
    message_bytes(p->salt, n, len, 0, buf + sizeof h, len);
    return sizeof h + len;
}

static void
send_one(struct peer *p)
{
    struct peer *to =
        p->only != NULL ? p->only : &peers[pick(p, (uint64_t)n_peers)];
    const sonic_address *at = p->only != NULL ? NULL : &to->at;
    struct writing *w = free_write(p);
    uint64_t how = pick(p, 3);
    uint32_t n = p->sent;
    size_t len;
    int r;

    p->to[n] = to->id;
    p->sent++;
    if (how == 0 && w != NULL) {
        p->session->started++;
        p->accepted[n] = true;
        w->peer = p;
        w->n = n;
        w->busy = true;
        len = make(p, n, w->buf);
        sonic_udp_async_write(p->udp, at, w->buf, len, on_written, w);
        return;
    }
    len = make(p, n, p->scratch);
    r = how == 1 ? sonic_udp_send(p->udp, at, p->scratch, len)
                 : sonic_udp_queue(p->udp, at, p->scratch, len);
    memset(p->scratch, 0xee, len);
    p->accepted[n] = r >= 0;
    if (r < 0)
        not_sent(p, n, r);
    if (r != 1 || p->draining)
        return;
    p->draining = true;
    p->session->started++;
    sonic_udp_async_drain(p->udp, on_drain, p);
}

/* ---- the end ---- */

static void
stop(struct peer *p)
{
    sonic_udp *udp = p->udp;
    sonic_timer *timer = p->timer;

    p->over = true;
    p->udp = NULL;
    p->timer = NULL;
    sonic_timer_free(timer);
    sonic_udp_free(udp);
}

static bool
all_quiet(void)
{
    size_t i;

    for (i = 0; i < n_peers; i++) {
        const struct peer *p = &peers[i];

        if (!p->over && (p->sent < p->to_send || p->quiet < QUIET ||
                         sonic_udp_queued(p->udp) > 0))
            return false;
    }
    return true;
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct peer *p = ud;
    int i;

    (void)timer;
    p->session->completed++;
    if (err < 0 || p->over)
        return;
    if (p->ticks++ == MAX_TICKS) {
        session_wrong(p->session, "a session never ends");
        stop(p);
        return;
    }
    p->quiet++;
    disturb(p);
    for (i = (int)pick(p, 4); i > 0 && p->sent < p->to_send; i--)
        send_one(p);
    err = sonic_udp_flush(p->udp);
    if (err < 0 && !excused(p, err))
        session_wrong(p->session, sonic_errname(err));
    if (err < 0)
        p->broken = true; /* some copy was not sent, and which is not told */
    read_next(p);
    if (p->session->rough && pick(p, 100) == 0)
        stop(p);
    else if (all_quiet())
        stop(p);
    else
        tick_later(p);
}

/* ---- sessions ---- */

static int
new_peer(struct session *s, struct peer *p, bool six)
{
    sonic_udp_options opt = SONIC_UDP_OPTIONS_INIT;
    int err, i;

    memset(p, 0, sizeof *p);
    p->session = s;
    p->id = (uint16_t)(p - peers);
    p->salt = sonic_sim_random(s->sim);
    p->mode = (enum mode)pick(p, MODES);
    p->small = pick(p, 8) == 0;
    p->most = pick(p, 2) == 0 ? 400 : MOST;
    p->to_send = (unsigned)pick(p, TO_SEND + 1);
    for (i = 0; i < PEERS; i++)
        p->last[i] = -1;
    opt.timestamps = pick(p, 2) == 0 ? SONIC_ON : SONIC_DEFAULT;
    opt.gso = pick(p, 2) == 0 ? SONIC_ON : SONIC_DEFAULT;
    if (pick(p, 3) == 0) {
        opt.gro = SONIC_ON;
        p->mode = LENDS;
    }
    opt.batch = 1 + (unsigned)pick(p, 10);
    if (p->small)
        opt.datagram_max = 64;
    if (pick(p, 4) == 0)
        opt.queue_limit = 20000;
    err = sonic_udp_new(s->io, six ? "[::1]:0" : "127.0.0.1:0", &opt, &p->udp);
    if (err == 0)
        err = sonic_udp_local_address(p->udp, &p->at);
    if (err == 0)
        err = sonic_timer_new(s->io, &p->timer);
    return err;
}

/* Some pairs are connected. */
static int
pair_up(struct peer *p)
{
    struct peer *mate = p + 1;
    int err;

    if (p->id % 2 == 1 || mate == peers + n_peers || pick(p, 2) == 0)
        return 0;
    err = sonic_udp_connect(p->udp, &mate->at);
    if (err == 0)
        err = sonic_udp_connect(mate->udp, &p->at);
    p->only = mate;
    mate->only = p;
    return err;
}

static void
run(struct session *s)
{
    bool six = sonic_sim_below(s->sim, 2) == 0;
    size_t wanted = 2 + (size_t)sonic_sim_below(s->sim, PEERS - 1), i;
    int err = 0;

    for (n_peers = 0; n_peers < wanted && err == 0; n_peers++)
        err = new_peer(s, &peers[n_peers], six);
    for (i = 0; i < n_peers && err == 0; i++)
        err = pair_up(&peers[i]);
    if (err < 0 && !s->may_fail)
        session_wrong(s, sonic_errname(err));
    for (i = 0; i < n_peers && err == 0; i++) {
        read_next(&peers[i]);
        tick_later(&peers[i]);
    }
    if (err == 0)
        session_run(s);
    for (i = 0; i < n_peers; i++)
        stop(&peers[i]);
}

/* Has nothing been lost that was to come? */
static void
look_at_losses(struct session *s)
{
    const sonic_sim_counters *c = sonic_sim_stats(s->sim);
    size_t i;
    unsigned n;

    if (s->may_fail || c->fault.drop > 0 || c->datagrams_overflowed > 0)
        return;
    for (i = 0; i < n_peers; i++) {
        const struct peer *p = &peers[i];

        for (n = 0; n < p->sent && !p->broken; n++) {
            if (p->accepted[n] && !p->cancelled[n] && p->seen[n] == 0 &&
                !peers[p->to[n]].small &&
                (peers[p->to[n]].only == NULL || peers[p->to[n]].only == p))
                session_wrong(s, "a datagram was lost");
        }
    }
}

static void
look(struct session *s)
{
    uint64_t got = 0;
    size_t i, j;

    for (i = 0; i < n_peers; i++) {
        const struct peer *p = &peers[i];

        got += p->got;
        for (j = 0; j < WRITES; j++) {
            if (p->writes[j].busy)
                session_wrong(s, "a write never completed");
        }
        if (p->reading || p->lending || p->draining)
            session_wrong(s, "an operation never completed");
    }
    if (got > sonic_sim_stats(s->sim)->datagrams_read)
        session_wrong(s, "more was delivered than was read");
    look_at_losses(s);
}

START_TEST(conversations_survive_every_world)
{
    plan_seeds(run, look, SEEDS);
}
END_TEST

int
main(void)
{
    return plan_main("sim_udp", conversations_survive_every_world, run, look,
                     FAIL_SEEDS);
}
