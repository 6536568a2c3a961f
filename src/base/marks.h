/* marks.h - the three marks of a write queue */
#ifndef SONICIO_SRC_MARKS_H
#define SONICIO_SRC_MARKS_H

#include <sonicio/error.h>

#define SONIC__LOW_WATER ((size_t)256 << 10)
#define SONIC__HIGH_WATER ((size_t)1 << 20)
#define SONIC__QUEUE_LIMIT ((size_t)64 << 20)
#define SONIC__SIZE_MOST (SIZE_MAX / 4) /* more is no limit */

/* Bytes. */
struct sonic__marks {
    size_t low, high, limit;
};

/* One that is 0 is as it was in `was`, but no higher than the one above it.
 * 0, or SONIC_EOPTION. */
static inline int
sonic__marks_fill_in(struct sonic__marks *m, const struct sonic__marks *was)
{
    if (m->limit == 0)
        m->limit = was->limit;
    if (m->high == 0)
        m->high = was->high < m->limit ? was->high : m->limit;
    if (m->low == 0)
        m->low = was->low < m->high ? was->low : m->high;
    return m->low <= m->high && m->high <= m->limit &&
                   m->limit <= SONIC__SIZE_MOST
               ? 0
               : SONIC_EOPTION;
}

#endif
