/* The clock, and the queue of what will happen: a binary heap. */
#include "net.h"

static bool
earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->when != b->when ? a->when < b->when : a->serial < b->serial;
}

static void
swap(struct sim_event *a, struct sim_event *b)
{
    struct sim_event t = *a;

    *a = *b;
    *b = t;
}

int
sonic__sim_schedule(sonic_sim *sim, const struct sim_event *ev)
{
    void *heap = sim->heap;
    size_t i = sim->events;

    if (sonic__sim_grow(sim, &heap, &sim->events_max, i + 1,
                        sizeof *sim->heap) < 0) {
        sim->sick = -ENOMEM;
        return -ENOMEM;
    }
    sim->heap = heap;
    sim->heap[i] = *ev;
    sim->heap[i].serial = sim->serial++;
    sim->events++;
    while (i > 0 && earlier(&sim->heap[i], &sim->heap[(i - 1) / 2])) {
        swap(&sim->heap[i], &sim->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    return 0;
}

void
sonic__sim_after(struct sim_link *link, unsigned dir, int64_t when,
                 enum sim_what what, uint64_t arg)
{
    const struct sim_event ev = {
        .when = when, .link = link, .arg = arg, .what = what, .dir = dir};

    if (sonic__sim_schedule(link->sim, &ev) == 0)
        link->refs++;
}

static struct sim_event
pop(sonic_sim *sim)
{
    struct sim_event *h = sim->heap;
    struct sim_event first = h[0];
    size_t i = 0, n = --sim->events;

    h[0] = h[n];
    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < n && earlier(&h[child + 1], &h[child]))
            child++;
        if (child >= n || !earlier(&h[child], &h[i]))
            return first;
        swap(&h[child], &h[i]);
        i = child;
    }
}

/* An event lets go of what it is about. */
static void
forget(sonic_sim *sim, const struct sim_event *ev)
{
    if (ev->what < SIM_EV_PACKET)
        sonic__sim_link_unref(ev->link);
    else if (ev->what < SIM_EV_UDP_READ)
        sonic__sim_packet_free(sim, ev->packet);
    else
        sonic__sim_udp_unref(sim, ev->udp);
}

static void
happen(sonic_sim *sim, const struct sim_event *ev)
{
    if (ev->what >= SIM_EV_UDP_READ)
        sonic__sim_udp_event(ev);
    else if (ev->what >= SIM_EV_PACKET)
        sonic__sim_net_event(sim, ev);
    else if (ev->what >= SIM_EV_SYN)
        sonic__sim_connect_event(ev);
    else
        sonic__sim_link_event(ev);
    forget(sim, ev);
}

void
sonic__sim_drop_events(sonic_sim *sim)
{
    while (sim->events > 0)
        forget(sim, &sim->heap[--sim->events]);
}

void
sonic__sim_run_due(sonic_sim *sim)
{
    while (sim->events > 0 && sim->heap[0].when <= sim->now) {
        struct sim_event ev = pop(sim);

        happen(sim, &ev);
    }
}

int
sonic__sim_wait(sonic_sim *sim, int64_t deadline)
{
    int64_t next = sonic_sim_next(sim);

    if (sim->sick < 0)
        return sim->sick;
    if (next < deadline) {
        if (next > sim->now)
            sim->now = next;
        sonic__sim_run_due(sim);
        return 0;
    }
    if (deadline == INT64_MAX)
        return -EDEADLK;
    if (deadline > sim->now)
        sim->now = deadline;
    sonic__sim_run_due(sim);
    return -ETIMEDOUT;
}

int64_t
sonic__sim_deadline(const sonic_sim *sim, int64_t timeout)
{
    if (timeout < 0 || timeout > INT64_MAX - 1 - sim->now)
        return INT64_MAX;
    return sim->now + timeout;
}

int64_t
sonic_sim_now(const sonic_sim *sim)
{
    return sim->now;
}

int64_t
sonic_sim_next(const sonic_sim *sim)
{
    if (sim->events == 0)
        return INT64_MAX;
    return sim->heap[0].when > sim->now ? sim->heap[0].when : sim->now;
}

void
sonic_sim_advance(sonic_sim *sim, int64_t when)
{
    while (sonic_sim_next(sim) <= when && sim->events > 0)
        sonic__sim_wait(sim, INT64_MAX);
    if (when > sim->now && when < INT64_MAX)
        sim->now = when;
}
