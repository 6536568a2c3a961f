/* The clock, and the queue of what will happen: a binary heap. */
#include "world.h"

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

void
sonic__sim_after(struct sim_link *link, unsigned dir, int64_t when,
                 enum sim_what what, uint64_t arg)
{
    sonic_sim *sim = link->sim;
    void *heap = sim->heap;
    size_t i = sim->events;

    if (sonic__sim_grow(sim, &heap, &sim->events_max, i + 1,
                        sizeof *sim->heap) < 0) {
        sim->sick = -ENOMEM;
        return;
    }
    sim->heap = heap;
    sim->heap[i] = (struct sim_event){.when = when,
                                      .serial = sim->serial++,
                                      .link = link,
                                      .arg = arg,
                                      .what = what,
                                      .dir = dir};
    sim->events++;
    link->refs++;
    while (i > 0 && earlier(&sim->heap[i], &sim->heap[(i - 1) / 2])) {
        swap(&sim->heap[i], &sim->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
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

static void
happen(const struct sim_event *ev)
{
    if (ev->what >= SIM_EV_SYN)
        sonic__sim_connect_event(ev);
    else
        sonic__sim_link_event(ev);
    sonic__sim_link_unref(ev->link);
}

void
sonic__sim_run_due(sonic_sim *sim)
{
    while (sim->events > 0 && sim->heap[0].when <= sim->now) {
        struct sim_event ev = pop(sim);

        happen(&ev);
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
