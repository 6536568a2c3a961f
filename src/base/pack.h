/* pack.h - options of a caller, copied, with everything that they point to
 *
 * Pack twice: with bytes NULL, which only counts, then into memory of that
 * size, which also makes the pointers point there.
 */
#ifndef SONICIO_SRC_PACK_H
#define SONICIO_SRC_PACK_H

#include <stddef.h>

struct sonic__pack {
    char *bytes; /* aligned as malloc(3) aligns; NULL: count */
    size_t used;
};

/* A copy of n bytes, aligned; NULL when counting. */
void *sonic__pack(struct sonic__pack *p, const void *from, size_t n);
/* *text, which may be NULL. */
void sonic__pack_text(struct sonic__pack *p, const char **text);
/* *bytes, n of them; NULL stays NULL. */
void sonic__pack_bytes(struct sonic__pack *p, const void **bytes, size_t n);
/* A list of n texts. */
void sonic__pack_list(struct sonic__pack *p, const char *const **list,
                      size_t n);

/* Copy an options struct of a caller who was perhaps compiled against another
 * version: src begins with its size, and so does dst, of cap bytes.  What src
 * lacks is 0.  src may be NULL: all defaults.
 * SONIC_EOPTION: size was not set, or is none that a struct can have, or asks
 * for something that dst has not. */
int sonic__options_copy(void *dst, size_t cap, const void *src);

/* The same check for one that is read where it is, such as a handler: so it
 * must have all cap bytes. */
int sonic__options_fit(const void *src, size_t cap);

#endif
