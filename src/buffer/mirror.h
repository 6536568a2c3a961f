/* mirror.h - the mirrored buffer from the inside, for the hot path */
#ifndef SONICIO_SRC_MIRROR_H
#define SONICIO_SRC_MIRROR_H

#include <sonicio/mirror.h>

struct sonic_mirror {
    uint8_t *base; /* size bytes, and the same ones again behind them */
    size_t size;
    size_t head; /* offset of the first queued byte, < size */
    size_t used; /* queued bytes */

    /* the pool's */
    struct sonic_mirror *next;
    uint32_t pins; /* chunks in write queues that point into it */
    uint8_t order; /* size class */
    bool orphan;   /* its reader has left; the last pin returns it */

    bool huge, prefault;
    const sonic_sys *sys;
    sonic_mem mem;
};

/* Have every page made now, in both halves; what is queued stays.  -ENOMEM. */
int sonic__mirror_prefault(struct sonic_mirror *m);

static inline uint8_t *
sonic__mirror_data(const struct sonic_mirror *m)
{
    return m->base + m->head;
}

/* The first free byte; size - used bytes follow. */
static inline uint8_t *
sonic__mirror_tail(const struct sonic_mirror *m)
{
    size_t tail = m->head + m->used;

    return m->base + (tail >= m->size ? tail - m->size : tail);
}

/* n <= used.  An empty buffer starts over at its first, warmest page. */
static inline void
sonic__mirror_drop(struct sonic_mirror *m, size_t n)
{
    m->used -= n;
    if (m->used == 0) {
        m->head = 0;
        return;
    }
    m->head += n;
    if (m->head >= m->size)
        m->head -= m->size;
}

static inline bool
sonic__mirror_holds(const struct sonic_mirror *m, const void *p)
{
    return (uintptr_t)p - (uintptr_t)m->base < 2 * m->size;
}

#endif
