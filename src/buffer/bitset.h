/* bitset.h - a set of small numbers that finds the next member at once
 *
 * Level 0 has a bit for each number; a bit of the level above says that a word
 * of the one below is not empty.  So adding, removing and finding the next or
 * the one before touch one word a level: six levels for 2^36 numbers.
 */
#ifndef SONICIO_SRC_BITSET_H
#define SONICIO_SRC_BITSET_H

#include <sonicio/mem.h>

enum { SONIC__BITSET_LEVELS = 6 };

struct sonic__bitset {
    uint64_t *level[SONIC__BITSET_LEVELS];
    unsigned levels;
    size_t bytes; /* of level[0], which the others lie behind */
};

#define SONIC__BITSET_NONE SIZE_MAX

/* An empty set for numbers below n, which is at least 1.  -ENOMEM. */
int sonic__bitset_init(struct sonic__bitset *s, size_t n, const sonic_mem *mem);
void sonic__bitset_fini(struct sonic__bitset *s, const sonic_mem *mem);

void sonic__bitset_clear(struct sonic__bitset *s);
void sonic__bitset_add(struct sonic__bitset *s, size_t i);
void sonic__bitset_remove(struct sonic__bitset *s, size_t i);

static inline bool
sonic__bitset_has(const struct sonic__bitset *s, size_t i)
{
    return (s->level[0][i / 64] >> i % 64 & 1) != 0;
}

/* The first member >= i, the last one <= i; SONIC__BITSET_NONE without. */
size_t sonic__bitset_next(const struct sonic__bitset *s, size_t i);
size_t sonic__bitset_prev(const struct sonic__bitset *s, size_t i);

#endif
