/* packet.h - numbers as the wire has them, and the token buckets that keep
 * requests and answers within their rates */
#ifndef SONICIO_MOLD_PACKET_H
#define SONICIO_MOLD_PACKET_H

#include <sonicio/mold.h>

#include "base/mem.h"

enum { SONIC__MOLD_PACKET_DEFAULT = 1400, SONIC__MOLD_BLOCK = 2 };

static inline unsigned
sonic__mold_get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static inline void
sonic__mold_put16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* So many a second, and so many at once. */
struct sonic__mold_bucket {
    int64_t paid; /* the time for which everything is used up */
};

/* Take one, if that is possible now. */
bool sonic__mold_spend(struct sonic__mold_bucket *b, unsigned rate,
                       unsigned burst, int64_t now);
/* When one can be had. */
int64_t sonic__mold_ready(const struct sonic__mold_bucket *b, unsigned rate,
                          unsigned burst);

/* Zeroed. */
void *sonic__mold_alloc(const sonic_mem *mem, size_t bytes);
void sonic__mold_release(const sonic_mem *mem, void *p, size_t bytes);

#endif
