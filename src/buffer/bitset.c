#include "buffer/bitset.h"

#include <errno.h>
#include <string.h>

static size_t
words_for(size_t n)
{
    return n / 64 + (n % 64 != 0);
}

int
sonic__bitset_init(struct sonic__bitset *s, size_t n, const sonic_mem *mem)
{
    size_t words = 0;
    uint64_t *p;

    s->levels = 0;
    for (size_t k = n; s->levels == 0 || k > 1; s->levels++) {
        if (s->levels == SONIC__BITSET_LEVELS)
            return -ENOMEM;
        k = words_for(k);
        words += k;
    }
    s->bytes = words * sizeof *p;
    p = mem->alloc(s->bytes, mem->ud);
    if (p == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < s->levels; i++) {
        s->level[i] = p;
        n = words_for(n);
        p += n;
    }
    sonic__bitset_clear(s);
    return 0;
}

void
sonic__bitset_fini(struct sonic__bitset *s, const sonic_mem *mem)
{
    mem->free(s->level[0], s->bytes, mem->ud);
}

void
sonic__bitset_clear(struct sonic__bitset *s)
{
    memset(s->level[0], 0, s->bytes);
}

void
sonic__bitset_add(struct sonic__bitset *s, size_t i)
{
    for (unsigned l = 0; l < s->levels; l++, i /= 64) {
        uint64_t *w = &s->level[l][i / 64];
        bool was_empty = *w == 0;

        *w |= UINT64_C(1) << i % 64;
        if (!was_empty)
            return; /* the levels above know */
    }
}

void
sonic__bitset_remove(struct sonic__bitset *s, size_t i)
{
    for (unsigned l = 0; l < s->levels; l++, i /= 64) {
        uint64_t *w = &s->level[l][i / 64];

        *w &= ~(UINT64_C(1) << i % 64);
        if (*w != 0)
            return;
    }
}

static unsigned
lowest(uint64_t w)
{
    return (unsigned)__builtin_ctzll(w);
}

static unsigned
highest(uint64_t w)
{
    return 63 - (unsigned)__builtin_clzll(w);
}

/* Up until a word has what is asked for, then down along its bits. */
size_t
sonic__bitset_next(const struct sonic__bitset *s, size_t i)
{
    unsigned l = 0;
    uint64_t w;

    for (;; l++) {
        w = s->level[l][i / 64] >> i % 64;
        if (w != 0)
            break;
        i = i / 64 + 1; /* the next word, a bit of the level above */
        if (l + 1 == s->levels ||
            s->level[l] + i == s->level[l + 1]) /* there is none */
            return SONIC__BITSET_NONE;
    }
    i += lowest(w);
    while (l-- > 0)
        i = i * 64 + lowest(s->level[l][i]);
    return i;
}

size_t
sonic__bitset_prev(const struct sonic__bitset *s, size_t i)
{
    unsigned l = 0;
    uint64_t w;

    for (;; l++) {
        w = s->level[l][i / 64] << (63 - i % 64);
        if (w != 0)
            break;
        i /= 64;
        if (l + 1 == s->levels || i == 0)
            return SONIC__BITSET_NONE;
        i--;
    }
    i -= 63 - highest(w);
    while (l-- > 0)
        i = i * 64 + highest(s->level[l][i]);
    return i;
}
