/* Bytes under way.  What one end writes lies in its send buffer until it is
 * acknowledged; a segment travels for some latency and arrives when the
 * reader's buffer has room for it. */
#include "world.h"

enum { SEGMENT = 16 * 1024, HOLD = 20 * 1000 };

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

struct sim_link *
sonic__sim_link_new(sonic_sim *sim, bool local)
{
    struct sim_link *link = sonic__sim_get(sim, sizeof *link);

    if (link == NULL)
        return NULL;
    link->sim = sim;
    link->refs = 1; /* the maker's */
    link->index = UINT64_MAX;
    link->local = local;
    link->cut_at = UINT64_MAX;
    link->lane[0].order_w = link->lane[0].order_r = FNV_BASIS;
    link->lane[1].order_w = link->lane[1].order_r = FNV_BASIS;
    return link;
}

void
sonic__sim_link_record(struct sim_link *link)
{
    sonic_sim_connection *r;
    unsigned d;

    if (link->index == UINT64_MAX)
        return;
    r = &link->sim->records[link->index];
    r->closed = link->end[0] == NULL && link->end[1] == NULL;
    r->reset = link->reset;
    for (d = 0; d < 2; d++) {
        const struct sim_lane *l = &link->lane[d];

        r->written[d] = l->written;
        r->read[d] = l->taken;
        r->dropped[d] = l->dropped;
        r->order_written[d] = l->order_w;
        r->order_read[d] = l->order_r;
    }
}

/* Nobody will read what is left. */
static void
drop_rest(struct sim_link *link, unsigned dir, uint64_t from)
{
    struct sim_lane *l = &link->lane[dir];
    uint64_t n = l->sent - from;

    l->dropped += n;
    link->sim->count.bytes_dropped += n;
    l->sent = l->due = from;
    if (l->arrived > from)
        l->arrived = from;
    if (l->acked > from)
        l->acked = from;
    sonic__sim_link_record(link);
}

void
sonic__sim_link_unref(struct sim_link *link)
{
    sonic_sim *sim = link->sim;
    unsigned d;

    if (--link->refs > 0)
        return;
    for (d = 0; d < 2; d++) {
        drop_rest(link, d, link->lane[d].read);
        sonic__sim_put(sim, link->lane[d].ring, link->lane[d].size);
    }
    sonic__sim_link_record(link);
    sonic__sim_put(sim, link, sizeof *link);
}

void
sonic__sim_link_limits(struct sim_link *link)
{
    unsigned d;

    for (d = 0; d < 2; d++) {
        if (link->end[d] != NULL)
            link->lane[d].send_limit = link->end[d]->send_buffer;
        if (link->local)
            link->lane[d].read_limit = SIZE_MAX / 2;
        else if (link->end[!d] != NULL)
            link->lane[d].read_limit = link->end[!d]->receive_buffer;
    }
}

/* A record to remember it by, and perhaps a byte at which it will end. */
static void
keep_record(struct sim_link *link)
{
    sonic_sim *sim = link->sim;
    uint64_t n = sim->count.connections;
    void *records = sim->records;

    if (sonic__sim_grow(sim, &records, &sim->records_max, (size_t)n + 1,
                        sizeof *sim->records) < 0) {
        sim->sick = -ENOMEM;
        return;
    }
    sim->records = records;
    link->index = n;
    sim->count.connections++;
    sonic__sim_link_record(link);
}

void
sonic__sim_link_up(struct sim_link *link)
{
    sonic_sim *sim = link->sim;

    sonic__sim_link_limits(link);
    link->up = true;
    if (link->pipe)
        return;
    keep_record(link);
    if (link->local || link->cut_at != UINT64_MAX || !SIM_CHANCE(sim, reset))
        return;
    link->cut_dir = (unsigned)sonic__sim_rand_below(&sim->world, 2);
    link->cut_at =
        1 + sonic__sim_rand_below(&sim->world, sim->opt.reset_within);
}

uint64_t
sonic__sim_lane_ready(const struct sim_lane *l)
{
    return l->read_hold ? 0 : l->arrived - l->read;
}

bool
sonic__sim_lane_eof(const struct sim_lane *l)
{
    return l->fin && !l->read_hold;
}

uint64_t
sonic__sim_lane_room(const struct sim_lane *l)
{
    uint64_t used = l->sent - l->acked;

    return l->write_hold || used >= l->send_limit ? 0 : l->send_limit - used;
}

/* ---- the ring ---- */

static int
ring_fit(sonic_sim *sim, struct sim_lane *l, size_t need)
{
    size_t size = l->size > 0 ? l->size : 1024;
    uint8_t *ring;
    uint64_t at;

    if (need <= l->size)
        return 0;
    while (size < need)
        size *= 2;
    ring = sonic__sim_get(sim, size);
    if (ring == NULL)
        return -ENOMEM;
    for (at = l->read; at < l->sent; at++)
        ring[at & (size - 1)] = l->ring[at & (l->size - 1)];
    sonic__sim_put(sim, l->ring, l->size);
    l->ring = ring;
    l->size = size;
    return 0;
}

/* The piece of the ring at a position, at most n bytes. */
static uint8_t *
ring_at(const struct sim_lane *l, uint64_t at, size_t *n)
{
    size_t i = (size_t)at & (l->size - 1);

    if (*n > l->size - i)
        *n = l->size - i;
    return l->ring + i;
}

static uint64_t
order(uint64_t hash, const uint8_t *p, size_t n)
{
    while (n-- > 0)
        hash = (hash ^ *p++) * FNV_PRIME;
    return hash;
}

/* ---- the way ---- */

static int64_t
arrival(struct sim_link *link, struct sim_lane *l)
{
    int64_t when = link->sim->now;

    if (!link->pipe)
        when += sonic__sim_latency(link->sim, link->delay);
    if (when > l->last)
        l->last = when;
    return l->last;
}

int
sonic__sim_lane_write(struct sim_link *link, unsigned dir,
                      const struct msghdr *m, size_t n)
{
    sonic_sim *sim = link->sim;
    struct sim_lane *l = &link->lane[dir];
    size_t done = 0;

    if (ring_fit(sim, l, (size_t)(l->sent - l->read) + n) < 0)
        return -ENOBUFS;
    while (done < n) {
        size_t k = n - done;
        uint8_t *to = ring_at(l, l->sent, &k);

        if (k > SEGMENT)
            k = SEGMENT;
        sonic__sim_iov_get(m, done, to, k);
        l->order_w = order(l->order_w, to, k);
        l->sent += k;
        l->written += k;
        done += k;
        sonic__sim_after(link, dir, arrival(link, l), SIM_EV_ARRIVE, k);
    }
    sim->hash = sonic__sim_mix(sim->hash, l->order_w);
    sim->count.bytes_written += n;
    sonic__sim_link_record(link);
    return 0;
}

static bool
has_cut(const struct sim_link *link, unsigned dir)
{
    return link->cut_dir == dir && link->cut_at != UINT64_MAX &&
           link->lane[dir].arrived >= link->cut_at;
}

/* Let what has travelled into the reader's buffer, and the end behind it. */
static void
deliver(struct sim_link *link, unsigned dir)
{
    struct sim_lane *l = &link->lane[dir];
    struct sim_sock *reader = link->end[!dir];
    uint64_t to = l->read + l->read_limit;

    if (to > l->due)
        to = l->due;
    if (link->cut_dir == dir && to > link->cut_at)
        to = link->cut_at;
    if (to > l->arrived) {
        l->arrived = to;
        if (!link->local)
            sonic__sim_after(link, dir,
                             link->sim->now +
                                 sonic__sim_latency(link->sim, link->delay),
                             SIM_EV_ACK, to);
        sonic__sim_wake(&reader->file, SIM_IN);
    }
    if (has_cut(link, dir))
        sonic__sim_after(link, dir, link->sim->now, SIM_EV_CUT, 0);
    if (!l->fin_due || l->arrived != l->sent ||
        (l->fin && (!l->fin_close || reader->write_shut)))
        return;
    l->fin = true;
    reader->read_shut = true;
    if (l->fin_close)
        reader->write_shut = true;
    sonic__sim_wake(&reader->file, 0);
    if (!link->local && link->end[dir] != NULL) /* acknowledged */
        sonic__sim_wake(&link->end[dir]->file, 0);
}

static void
tell_room(struct sim_link *link, unsigned dir)
{
    struct sim_sock *writer = link->end[dir];

    if (writer == NULL || !writer->no_space || !sonic__sim_writable(writer))
        return;
    writer->no_space = false;
    sonic__sim_wake(&writer->file, SIM_OUT);
}

void
sonic__sim_lane_read(struct sim_link *link, unsigned dir, struct msghdr *m,
                     size_t n, bool peek)
{
    struct sim_lane *l = &link->lane[dir];
    size_t done = 0;

    while (done < n) {
        size_t k = n - done;
        const uint8_t *from = ring_at(l, l->read + done, &k);

        sonic__sim_iov_put(m, done, from, k);
        if (!peek)
            l->order_r = order(l->order_r, from, k);
        done += k;
    }
    if (peek || n == 0)
        return;
    l->read += n;
    l->taken += n;
    link->sim->count.bytes_read += n;
    if (link->local) {
        l->acked = l->read;
        tell_room(link, dir);
    } else if (l->due > l->arrived) {
        deliver(link, dir);
    }
    sonic__sim_link_record(link);
}

/* ---- ends ---- */

void
sonic__sim_lane_fin(struct sim_link *link, unsigned dir, bool close)
{
    struct sim_lane *l = &link->lane[dir];

    close = close && link->local; /* TCP does not tell them apart */
    l->fin_close |= close;
    if (l->fin_sent && !close)
        return;
    l->fin_sent = true;
    sonic__sim_after(link, dir, arrival(link, l), SIM_EV_FIN, 0);
}

void
sonic__sim_lane_reset(struct sim_link *link, unsigned dir, int err)
{
    sonic__sim_after(link, dir, arrival(link, &link->lane[dir]), SIM_EV_RESET,
                     (uint64_t)err);
}

void
sonic__sim_lane_abandon(struct sim_link *link, unsigned dir)
{
    struct sim_lane *l = &link->lane[dir];
    uint64_t n = l->arrived - l->read;

    l->dropped += n;
    l->read = l->arrived; /* the rest is dropped when it arrives */
    link->sim->count.bytes_dropped += n;
    sonic__sim_link_record(link);
}

/* A reset reaches end[side]: what has arrived can still be read. */
static void
reset_end(struct sim_link *link, unsigned side, int err)
{
    struct sim_sock *s = link->end[side];
    unsigned d;

    link->reset = true;
    if (s == NULL)
        return;
    for (d = 0; d < 2; d++) {
        link->lane[d].read_hold = link->lane[d].write_hold = false;
        drop_rest(link, d, link->lane[d].arrived);
    }
    if (s->state == SIM_DEAD)
        return;
    s->err = err;
    if (s->family != AF_UNIX && link->lane[!side].fin)
        s->err = EPIPE;
    s->state = SIM_DEAD;
    s->read_shut = s->write_shut = true;
    sonic__sim_wake(&s->file, EPOLLERR);
    sonic__sim_wake(&s->file, 0);
    sonic__sim_link_record(link);
}

static void
arrive(struct sim_link *link, unsigned dir, uint64_t n)
{
    struct sim_lane *l = &link->lane[dir];

    if (n > l->sent - l->due)
        n = l->sent - l->due; /* a reset dropped the rest */
    if (n == 0)
        return;
    l->due += n;
    if (link->end[!dir] != NULL) {
        deliver(link, dir);
        return;
    }
    /* Nobody is there to read it: RFC 9293 section 3.10.7.1. */
    l->dropped += l->due - l->read;
    link->sim->count.bytes_dropped += l->due - l->read;
    l->read = l->arrived = l->acked = l->due;
    sonic__sim_lane_reset(link, !dir, ECONNRESET);
    sonic__sim_link_record(link);
}

/* ---- faults ---- */

void
sonic__sim_hold_read(struct sim_link *link, unsigned dir)
{
    struct sim_lane *l = &link->lane[dir];

    if (l->read_hold)
        return;
    l->read_hold = true;
    sonic__sim_after(link, dir,
                     link->sim->now + (int64_t)sonic__sim_rand_below(
                                          &link->sim->world, HOLD),
                     SIM_EV_READ_AGAIN, 0);
}

void
sonic__sim_hold_write(struct sim_link *link, unsigned dir)
{
    struct sim_lane *l = &link->lane[dir];

    if (l->write_hold)
        return;
    l->write_hold = true;
    if (link->end[dir] != NULL)
        link->end[dir]->no_space = true;
    sonic__sim_after(link, dir,
                     link->sim->now + (int64_t)sonic__sim_rand_below(
                                          &link->sim->world, HOLD),
                     SIM_EV_WRITE_AGAIN, 0);
}

void
sonic__sim_link_event(const struct sim_event *ev)
{
    struct sim_link *link = ev->link;
    struct sim_lane *l = &link->lane[ev->dir];
    struct sim_sock *reader = link->end[!ev->dir];

    switch (ev->what) {
    case SIM_EV_ARRIVE:
        arrive(link, ev->dir, ev->arg);
        break;
    case SIM_EV_ACK:
        if (ev->arg > l->acked && ev->arg <= l->arrived)
            l->acked = ev->arg;
        tell_room(link, ev->dir);
        break;
    case SIM_EV_FIN:
        l->fin_due = true;
        if (reader != NULL)
            deliver(link, ev->dir);
        break;
    case SIM_EV_RESET:
        reset_end(link, !ev->dir, (int)ev->arg);
        break;
    case SIM_EV_CUT:
        reset_end(link, 0, ECONNRESET);
        reset_end(link, 1, ECONNRESET);
        break;
    case SIM_EV_WAKE:
        if (link->end[ev->dir] != NULL)
            sonic__sim_wake(&link->end[ev->dir]->file, 0);
        break;
    case SIM_EV_READ_AGAIN:
        l->read_hold = false;
        if (reader != NULL)
            sonic__sim_wake(&reader->file, l->fin ? 0 : SIM_IN);
        break;
    default: /* SIM_EV_WRITE_AGAIN */
        l->write_hold = false;
        tell_room(link, ev->dir);
        break;
    }
}
