/* <sonicio/sequencer.h> - what came too early, by sequence number
 *
 * Keeps packets (or messages) that cannot be used before others have come, and
 * knows which are missing.  It holds references: no byte is moved or copied.
 * Pushing, popping and finding a gap take the same time whatever is held, and
 * nothing is allocated after sonic_sequencer_new.
 *
 * What is held lies within `span` consecutive numbers, wherever these are; an
 * empty sequencer takes any number.  Numbers follow each other modulo 2^64:
 * 0 comes after UINT64_MAX.
 *
 *     on a packet:   seq == next: use it, next++, then pop next, next + 1 ...
 *                    else: push it, and ask for what sonic_sequencer_gap says
 * <sonicio/gap.h> decides which of the two, and when to ask.
 */
#ifndef SONICIO_SEQUENCER_H
#define SONICIO_SEQUENCER_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/mem.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_sequencer sonic_sequencer;

typedef struct sonic_sequencer_options {
    size_t size;
    const sonic_mem *mem; /* copied; NULL: malloc(3) */
    size_t span;          /* from the least number held to the greatest; default
                             65,536; rounded up to a power of two, at least 64,
                             at most 2^24; 24 bytes of memory each */
    size_t max_items;     /* held at a time; default and at most: span */
    size_t max_bytes;     /* the lengths of all of them; default 64 MiB */
} sonic_sequencer_options;

#define SONIC_SEQUENCER_OPTIONS_INIT                                           \
    {                                                                          \
        .size = sizeof(sonic_sequencer_options)                                \
    }

/* One that is held.  data stays the caller's and must live until it is popped;
 * tag is the caller's too: the slot of a byte buffer, an index, anything. */
typedef struct sonic_sequenced {
    uint64_t seq;
    void *data;
    size_t len;
    uint64_t tag;
} sonic_sequenced;

/* sonic_sequencer_new - an empty one
 * opt may be NULL.  ERRORS -ENOMEM; SONIC_EOPTION, a value over its limit. */
SONIC_API SONIC_MUST_CHECK int
sonic_sequencer_new(const sonic_sequencer_options *opt, sonic_sequencer **out);
/* NULL is allowed.  What is held is forgotten; it is the caller's. */
SONIC_API void sonic_sequencer_free(sonic_sequencer *s);

/* sonic_sequencer_push - hold an item
 *
 *   item  copied
 * ERRORS  nothing has changed:
 *   -EEXIST   one of that number is held
 *   -ERANGE   with it, what is held would reach over more than span numbers
 *   -ENOBUFS  it is one item or some bytes over the limit */
SONIC_API SONIC_MUST_CHECK int
sonic_sequencer_push(sonic_sequencer *s, const sonic_sequenced *item);

/* sonic_sequencer_pop - take the one of number seq
 *   out  may be NULL
 * ERRORS  -ENOENT, none is held. */
SONIC_API SONIC_MUST_CHECK int
sonic_sequencer_pop(sonic_sequencer *s, uint64_t seq, sonic_sequenced *out);

/* sonic_sequencer_pop_range - take seq, seq + 1, ... n at most, up to the first
 * that is not held.  Returns how many, in order, are in out. */
SONIC_API size_t sonic_sequencer_pop_range(sonic_sequencer *s, uint64_t seq,
                                           size_t n, sonic_sequenced *out);

/* sonic_sequencer_pop_first - take the one with the least number
 * For giving up on a gap, and for emptying.  ERRORS -ENOENT. */
SONIC_API SONIC_MUST_CHECK int sonic_sequencer_pop_first(sonic_sequencer *s,
                                                         sonic_sequenced *out);

/* sonic_sequencer_has, _peek - look without taking.  peek: -ENOENT. */
SONIC_API bool sonic_sequencer_has(const sonic_sequencer *s, uint64_t seq);
SONIC_API SONIC_MUST_CHECK int sonic_sequencer_peek(const sonic_sequencer *s,
                                                    uint64_t seq,
                                                    sonic_sequenced *out);

/* sonic_sequencer_gap - the first run of missing numbers at or after `from`
 *
 *   *first, *last  the run, both ends included; last + 1 is held
 * Returns false, and changes neither, when none is missing between `from` and
 * the greatest number held, or nothing is held.  All of them:
 *     for (from = next; sonic_sequencer_gap(s, from, &a, &b); from = b + 1)
 * `from` may lie 2^63 - 1 below the least number held. */
SONIC_API bool sonic_sequencer_gap(const sonic_sequencer *s, uint64_t from,
                                   uint64_t *first, uint64_t *last);

/* sonic_sequencer_missing - the same among from .. to, both ends included,
 * whether or not anything beyond is held: of an empty sequencer all of them.
 * For what <sonicio/gap.h> says is to be asked for again. */
SONIC_API bool sonic_sequencer_missing(const sonic_sequencer *s, uint64_t from,
                                       uint64_t to, uint64_t *first,
                                       uint64_t *last);

/* The least and the greatest number held.  false: nothing is. */
SONIC_API bool sonic_sequencer_bounds(const sonic_sequencer *s, uint64_t *least,
                                      uint64_t *greatest);

SONIC_API size_t sonic_sequencer_items(const sonic_sequencer *s);
SONIC_API size_t sonic_sequencer_bytes(const sonic_sequencer *s);
/* How full it is, of items or of bytes, whichever is nearer its limit: 0 to
 * 100. */
SONIC_API double sonic_sequencer_percent(const sonic_sequencer *s);

/* sonic_sequencer_reset - forget everything */
SONIC_API void sonic_sequencer_reset(sonic_sequencer *s);

#ifdef __cplusplus
}
#endif
#endif
