/* The loop.  gather() collects what is ready; step() runs one item of it.
 * Between the two, everything ready stands in lists of the io, so a run call
 * may end after any handler and the next one goes on where it was. */
#include "reactor/reactor.h"

#include "base/hint.h"

enum {
    DIRECT_SLOTS = 8,  /* spin: few enough objects to ask each of them */
    DIRECT_TURNS = 32, /* spin: turns between two looks at the rest */
};

/* How one run call behaves. */
struct mode {
    uint64_t handlers; /* at most */
    int64_t deadline;  /* absolute; negative: none */
    const bool *done;  /* stop when it becomes true; may be NULL */
    bool guards;       /* work guards count as work */
    bool wait;         /* block when nothing is ready */
    bool once;         /* a single gather */
    bool work;         /* return when there is none */
};

int64_t
sonic__now_slow(sonic_io *io)
{
    io->now = io->sys->clock(io->sys->ud);
    io->now_valid = true;
    return io->now;
}

static bool
has_work(const sonic_io *io, bool guards)
{
    return io->pending > 0 || io->queue.head != NULL || io->taken != NULL ||
           (guards && io->guards > 0) || sonic_io_posted(io) > 0;
}

static inline void
run_event(sonic_io *io, const struct sonic__event *e)
{
    const struct sonic__slot *s = &io->slots[(uint32_t)e->id];
    struct sonic__object *o = s->owner;
    uint32_t ready = e->ready;

    if (s->generation != e->id >> 32)
        return;        /* closed by a handler of the same batch */
    assert(o != NULL); /* it takes its generation with it */
    if ((ready & ~(uint32_t)(SONIC__READ | SONIC__WRITE)) != 0 &&
        io->backend->translate != NULL)
        ready = io->backend->translate(ready);
    o->ready |= (uint8_t)ready;
    o->cls->run(o);
}

/* The head of the queue.  It has no frame on the stack here, so this is where
 * a freed object goes. */
static void
run_taken(sonic_io *io)
{
    struct sonic__object *o = io->taken;

    io->taken = o->next == o ? NULL : o->next;
    o->next = NULL;
    o->cls->run(o);
    if ((o->flags & SONIC__FREED) && o->next == NULL)
        sonic__object_bury(o);
}

static void
run_due(sonic_io *io)
{
    struct sonic__timer *t = io->due;

    sonic__timer_disarm(io, t);
    t->fire(t);
}

/* Run one item of what is ready.  False when nothing is left. */
static SONIC__RARELY bool
step(sonic_io *io)
{
    if (io->next_event < io->n_events)
        run_event(io, &io->events[io->next_event++]);
    else if (io->due != NULL)
        run_due(io);
    else if (io->posts != NULL)
        sonic__post_run(io);
    else if (io->taken != NULL)
        run_taken(io);
    else
        return false;
    return true;
}

static SONIC__RARELY int64_t
shorter(sonic_io *io, int64_t timeout, int64_t deadline)
{
    int64_t now = sonic__now_slow(io), left;

    left = deadline <= now ? 0 : deadline - now; /* it may be INT64_MIN */
    return timeout < 0 || left < timeout ? left : timeout;
}

static SONIC__RARELY void
take_queue(sonic_io *io)
{
    io->taken = io->queue.head;
    io->queue.head = NULL;
    io->queue.tail = &io->queue.head;
}

static inline bool
is_dirty(const sonic_io *io)
{
    return io->dirty != NULL || io->dirty_udp != NULL;
}

/* Send what is queued.  True when that brought something to run. */
static SONIC__RARELY bool
flush(sonic_io *io)
{
    uint64_t handlers = io->handlers;

    sonic__flush_dirty(io); /* may complete what the caller waits for */
    return is_dirty(io) || io->handlers != handlers;
}

/* A turn of the loop ends with the wait, or the run call, and begins behind
 * it. */
static SONIC__RARELY void
end_cycle(sonic_io *io)
{
    if (io->handlers != io->cycle_handlers)
        sonic_histogram_record(io->cycle_times,
                               io->sys->clock(io->sys->ud) - io->cycle_began);
    io->cycle_handlers = io->handlers;
}

static SONIC__RARELY void
begin_cycle(sonic_io *io)
{
    io->cycle_began = io->sys->clock(io->sys->ud);
    io->cycle_handlers = io->handlers;
}

/* Must the loop look at more than its events? */
static bool
is_anything_besides(const sonic_io *io)
{
    return io->heap_n > 0 || io->due != NULL || io->posts != NULL ||
           io->taken != NULL || io->queue.head != NULL || is_dirty(io) ||
           io->cycle_times != NULL || io->closed || io->allowed == 0;
}

/* Everything ready has run: flush, wait, and collect what is ready next.
 * -EINTR when the wait brought nothing because a signal ended it. */
static SONIC__INLINE int
gather(sonic_io *io, int64_t timeout)
{
    struct sonic__door *door = io->door;
    int n;

    if ((is_dirty(io) && flush(io)) || io->queue.head != NULL)
        timeout = 0;
    if (timeout != 0 && io->heap_n > 0)
        timeout = shorter(io, timeout, io->heap[0].deadline);
    if (timeout != 0 && !sonic__door_sleep(door))
        timeout = 0;
    if (io->cycle_times != NULL)
        end_cycle(io);
    n = io->backend->wait(io, timeout);
    if (io->cycle_times != NULL)
        begin_cycle(io);
    sonic__door_awake(door);
    io->now_valid = false;
    io->stats.cycles++;
    if (n < 0 && n != -EINTR)
        return n;
    io->next_event = 0;
    io->n_events = n > 0 ? (unsigned)n : 0;
    io->stats.events += io->n_events;
    if (io->heap_n > 0)
        sonic__timers_collect(io);
    if (sonic__door_knocked(door))
        sonic__posts_take(io);
    if (io->queue.head != NULL)
        take_queue(io);
    io->besides = is_anything_besides(io);
    return n == -EINTR ? n : 0;
}

/* Events have come, and nothing besides: the shortest way round, for as long
 * as that holds.  Returns 0 or what went wrong in the wait, and leaves the rest
 * to the long way. */
static SONIC__RARELY int
run_events(sonic_io *io)
{
    struct sonic__door *door = io->door;
    int n;

    for (;;) {
        do {
            run_event(io, &io->events[io->next_event++]);
            if (io->besides)
                return 0;
        } while (io->next_event < io->n_events);
        assert(!is_anything_besides(io));
        if (io->pending == 0 || !sonic__door_sleep(door))
            return 0;
        n = io->backend->wait(io, -1);
        sonic__door_awake(door);
        io->now_valid = false;
        io->stats.cycles++;
        if (n <= 0)
            return n;
        io->next_event = 0;
        io->n_events = (unsigned)n;
        io->stats.events += (unsigned)n;
        if (sonic__door_knocked(door)) {
            io->besides = true;
            sonic__posts_take(io);
            return 0;
        }
    }
}

/* After each handler.  One that stops the io leaves nothing allowed. */
static inline bool
is_done(const sonic_io *io, const struct mode *m)
{
    return io->allowed == 0 || (m->done != NULL && *m->done);
}

/* Run what is ready.  True when the run call is to end. */
static SONIC__INLINE bool
drain_ready(sonic_io *io, const struct mode *m)
{
    if (is_done(io, m))
        return true;
    while (io->next_event < io->n_events) {
        run_event(io, &io->events[io->next_event++]);
        if (is_done(io, m))
            return true;
    }
    while (io->due != NULL || io->posts != NULL || io->taken != NULL) {
        step(io);
        if (is_done(io, m))
            return true;
    }
    return false;
}

enum { RUN_OVER = 1 };

/* All that was ready has run.  How long may the wait be: *timeout; or
 * RUN_OVER, or -ETIMEDOUT. */
static SONIC__RARELY int
consider(sonic_io *io, const struct mode *m, bool first, bool waited, bool idle,
         int64_t *timeout)
{
    *timeout = m->wait && !io->closed ? -1 : 0;
    if ((io->closed || m->work) && !has_work(io, m->guards && !io->closed))
        return RUN_OVER;
    if (m->once && (waited || (m->wait && !idle)))
        return RUN_OVER;
    if (m->deadline >= 0) {
        *timeout = shorter(io, *timeout, m->deadline);
        if (*timeout == 0 && !first && m->wait)
            return -ETIMEDOUT;
    }
    return 0;
}

/* Returns 0, -ETIMEDOUT, or what went wrong in the wait. */
static int
turn(sonic_io *io, const struct mode *m)
{
    const bool simple = m->wait && m->work && !m->once && m->deadline < 0;
    const bool endless = simple && m->done == NULL && m->handlers == UINT64_MAX;
    uint64_t before = io->handlers;
    bool first = true, waited = false;

    for (;; first = false) {
        int64_t timeout = -1;
        int err = 0;

        if (drain_ready(io, m))
            return 0;
        if (!simple || io->pending == 0 || io->closed)
            err = consider(io, m, first, waited, io->handlers == before,
                           &timeout);
        if (err != 0)
            return err < 0 ? err : 0;
        err = gather(io, timeout);
        if (err == 0 && endless && !io->besides && io->n_events > 0)
            err = run_events(io);
        if (err < 0 && err != -EINTR)
            return err;
        waited = err == 0;
    }
}

/* The io is closed and no run call is under way: let everything that was
 * closed have its last word. */
void
sonic__io_drain(sonic_io *io)
{
    io->running = true;
    io->allowed = UINT64_MAX;
    do {
        while (step(io))
            ;
        sonic__posts_take(io);
        take_queue(io);
    } while (io->taken != NULL || io->posts != NULL);
    io->running = false;
}

static int
enter(sonic_io *io, uint64_t handlers)
{
    if (io->running || io->dispatched > 0)
        return -EBUSY;
    if (io->closed)
        return SONIC_ECLOSED;
    io->running = true;
    if (io->cycle_times != NULL)
        begin_cycle(io);
    io->allowed = sonic__stop_requested(io) ? 0 : handlers;
    return 0;
}

/* Returns what the run call returns: handlers run, or err. */
static int
leave(sonic_io *io, uint64_t before, int err)
{
    uint64_t ran = io->handlers - before;

    io->allowed = 0; /* what was queued goes out; no handler runs any more */
    sonic__flush_dirty(io);
    if (io->cycle_times != NULL)
        end_cycle(io);
    io->running = false;
    io->allowed = UINT64_MAX;
    io->now_valid = false;
    if (io->freed)
        sonic__io_destroy(io);
    else if (io->closed)
        sonic__io_drain(io);
    else
        sonic__door_wake_self(io);
    if (err < 0 && err != -EINTR && (err != -ETIMEDOUT || ran == 0))
        return err;
    return ran > INT32_MAX ? INT32_MAX : (int)ran;
}

static int
run(sonic_io *io, const struct mode *m)
{
    uint64_t before = io->handlers;
    int err = enter(io, m->handlers);

    if (err < 0)
        return err;
    err = turn(io, m);
    return leave(io, before, err);
}

/* now + ns, which may be any number */
static int64_t
deadline_after(sonic_io *io, int64_t ns)
{
    int64_t now = sonic__now_slow(io);

    io->now_valid = false;
    if (ns <= 0)
        return now;
    return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

int
sonic_io_run(sonic_io *io)
{
    return run(io, &(struct mode){.handlers = UINT64_MAX,
                                  .deadline = -1,
                                  .guards = true,
                                  .wait = true,
                                  .work = true});
}

int
sonic_io_run_pending(sonic_io *io)
{
    return run(io, &(struct mode){.handlers = UINT64_MAX,
                                  .deadline = -1,
                                  .wait = true,
                                  .work = true});
}

int
sonic_io_run_one(sonic_io *io)
{
    return run(io, &(struct mode){.handlers = 1,
                                  .deadline = -1,
                                  .guards = true,
                                  .wait = true,
                                  .work = true});
}

int
sonic_io_run_one_for(sonic_io *io, int64_t ns)
{
    return run(io, &(struct mode){.handlers = 1,
                                  .deadline = deadline_after(io, ns),
                                  .wait = true});
}

int
sonic_io_run_batch(sonic_io *io)
{
    return run(io, &(struct mode){.handlers = UINT64_MAX,
                                  .deadline = -1,
                                  .guards = true,
                                  .wait = true,
                                  .once = true,
                                  .work = true});
}

int
sonic_io_run_for(sonic_io *io, int64_t ns)
{
    return run(io, &(struct mode){.handlers = UINT64_MAX,
                                  .deadline = deadline_after(io, ns),
                                  .guards = true,
                                  .wait = true,
                                  .work = true});
}

int
sonic_io_poll(sonic_io *io)
{
    return run(io, &(struct mode){
                       .handlers = UINT64_MAX, .deadline = -1, .once = true});
}

int
sonic_io_poll_one(sonic_io *io)
{
    return run(io, &(struct mode){.handlers = 1, .deadline = -1, .once = true});
}

int
sonic_io_run_until(sonic_io *io, const bool *done)
{
    int ran = run(io, &(struct mode){.handlers = UINT64_MAX,
                                     .deadline = -1,
                                     .done = done,
                                     .wait = true,
                                     .work = true});

    if (ran < 0 || *done)
        return ran < 0 ? ran : 0;
    return SONIC_ESTOPPED;
}

int
sonic_io_run_warm(sonic_io *io, unsigned busy, int64_t timeout)
{
    static const struct mode all = {.handlers = UINT64_MAX, .deadline = -1};
    uint64_t before = io->handlers, seen;
    unsigned idle = 0;
    int err;

    if (busy == 0 || timeout < 1000000)
        return SONIC_EOPTION;
    err = enter(io, UINT64_MAX);
    if (err < 0)
        return err;
    for (seen = io->handlers; err == 0 || err == -EINTR;) {
        if (drain_ready(io, &all) || !has_work(io, !io->closed))
            break;
        idle = seen == io->handlers ? idle + 1 : 0;
        seen = io->handlers;
        err = gather(io, idle > busy && !io->closed ? timeout : 0);
    }
    return leave(io, before, err);
}

/* Ask every object that waits for bytes for them, without epoll(7). */
static void
poll_directly(sonic_io *io)
{
    for (uint32_t i = 0; i < io->slots_n && io->allowed > 0; i++) {
        struct sonic__object *o = io->slots[i].owner;

        if (o == NULL || o->cls->reading == NULL || !o->cls->reading(o))
            continue;
        o->ready |= SONIC__READ;
        o->cls->run(o);
    }
}

/* Is there anything that a look at the objects themselves would miss? */
static bool
quiet(sonic_io *io)
{
    return io->slots_n <= DIRECT_SLOTS && io->queue.head == NULL &&
           !sonic__door_knocked(io->door) &&
           (io->heap_n == 0 || io->heap[0].deadline > sonic__now_slow(io));
}

int
sonic_io_run_spin(sonic_io *io)
{
    static const struct mode all = {.handlers = UINT64_MAX, .deadline = -1};
    uint64_t before = io->handlers;
    int err = enter(io, UINT64_MAX);

    if (err < 0)
        return err;
    while (err == 0 || err == -EINTR) {
        if (drain_ready(io, &all) || !has_work(io, !io->closed))
            break;
        for (unsigned i = 0; i < DIRECT_TURNS && quiet(io); i++) {
            io->now_valid = false;
            poll_directly(io);
            sonic__flush_dirty(io);
            if (sonic__stop_requested(io) || io->closed)
                break;
        }
        err = gather(io, 0);
    }
    return leave(io, before, err);
}
