/* The heap of deadlines: 4-ary, so that a node's children share a cache line.
 * What is due is moved to a list before any of it runs; a timer armed by a
 * callback therefore waits for the next turn. */
#include "reactor/reactor.h"

#include <string.h>

static bool
before(const struct sonic__heap_entry *a, const struct sonic__heap_entry *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline
                                      : a->seq < b->seq;
}

static void
place(sonic_io *io, uint32_t pos, struct sonic__heap_entry e)
{
    io->heap[pos] = e;
    e.timer->pos = pos;
}

static void
sift_up(sonic_io *io, uint32_t pos, struct sonic__heap_entry e)
{
    while (pos > 0) {
        uint32_t parent = (pos - 1) / 4;

        if (!before(&e, &io->heap[parent]))
            break;
        place(io, pos, io->heap[parent]);
        pos = parent;
    }
    place(io, pos, e);
}

static void
sift_down(sonic_io *io, uint32_t pos, struct sonic__heap_entry e)
{
    for (;;) {
        uint32_t first = 4 * pos + 1, end = first + 4, best = first;

        if (first >= io->heap_n)
            break;
        if (end > io->heap_n)
            end = io->heap_n;
        for (uint32_t i = first + 1; i < end; i++)
            if (before(&io->heap[i], &io->heap[best]))
                best = i;
        if (!before(&io->heap[best], &e))
            break;
        place(io, pos, io->heap[best]);
        pos = best;
    }
    place(io, pos, e);
}

static void
heap_remove(sonic_io *io, uint32_t pos)
{
    struct sonic__heap_entry last = io->heap[--io->heap_n];

    io->heap[pos].timer->pos = SONIC__TIMER_IDLE;
    if (pos == io->heap_n)
        return;
    if (pos > 0 && before(&last, &io->heap[(pos - 1) / 4]))
        sift_up(io, pos, last);
    else
        sift_down(io, pos, last);
}

/* Make the timer, with its place in the heap: arming cannot fail later. */
int
sonic__timer_init(sonic_io *io, struct sonic__timer *t,
                  void (*fire)(struct sonic__timer *t))
{
    if (io->timers == io->heap_cap) {
        uint32_t cap = io->heap_cap == 0 ? 16 : io->heap_cap * 2;
        struct sonic__heap_entry *v;

        if (cap > UINT32_MAX / 4)
            return -ENOMEM;
        v = io->mem.alloc(cap * sizeof *v, io->mem.ud);
        if (v == NULL)
            return -ENOMEM;
        if (io->heap_n > 0)
            memcpy(v, io->heap, io->heap_n * sizeof *v);
        sonic__free(io, io->heap, io->heap_cap * sizeof *v);
        io->heap = v;
        io->heap_cap = cap;
    }
    io->timers++;
    memset(t, 0, sizeof *t);
    t->pos = SONIC__TIMER_IDLE;
    t->fire = fire;
    return 0;
}

/* The opposite of init. */
void
sonic__timer_fini(sonic_io *io, struct sonic__timer *t)
{
    sonic__timer_disarm(io, t);
    io->timers--;
}

/* Arm, or arm anew. */
void
sonic__timer_arm(sonic_io *io, struct sonic__timer *t, int64_t deadline)
{
    sonic__timer_disarm(io, t);
    t->deadline = deadline;
    assert(io->heap_n < io->heap_cap);
    io->besides = true;
    sift_up(io, io->heap_n++,
            (struct sonic__heap_entry){deadline, io->timer_seq++, t});
}

void
sonic__timer_disarm(sonic_io *io, struct sonic__timer *t)
{
    if (t->pos == SONIC__TIMER_IDLE)
        return;
    if (t->pos != SONIC__TIMER_DUE) {
        heap_remove(io, t->pos);
        return;
    }
    *t->prev = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    else
        io->due_tail = t->prev;
    t->pos = SONIC__TIMER_IDLE;
}

void
sonic__timers_collect(sonic_io *io)
{
    int64_t now;

    if (io->heap_n == 0)
        return;
    now = sonic__now(io);
    while (io->heap_n > 0 && io->heap[0].deadline <= now) {
        struct sonic__timer *t = io->heap[0].timer;

        heap_remove(io, 0);
        t->pos = SONIC__TIMER_DUE;
        t->next = NULL;
        t->prev = io->due_tail;
        *io->due_tail = t;
        io->due_tail = &t->next;
    }
}

void
sonic__timers_free(sonic_io *io)
{
    sonic__free(io, io->heap, io->heap_cap * sizeof *io->heap);
    io->heap = NULL;
    io->heap_n = io->heap_cap = 0;
}
