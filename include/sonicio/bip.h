/* <sonicio/bip.h> - the bip buffer: a FIFO of packets in one block of memory
 *
 * Every claim and every commit is contiguous, so a packet never wraps: when
 * what is left behind the last packet is too little, the next ones go to the
 * front, and the buffer is "wrapped" until those behind have been consumed.
 * Claim room, receive into it, commit what came; look at the head, consume.
 * After Simon Cooke.  For a stream of bytes <sonicio/mirror.h> is better: all
 * of its room is contiguous.
 */
#ifndef SONICIO_BIP_H
#define SONICIO_BIP_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/mem.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_bip sonic_bip;

typedef struct sonic_bip_options {
    size_t size;
    const sonic_mem *mem;       /* copied; NULL: malloc(3) */
    enum sonic_switch prefault; /* touch every page now */
} sonic_bip_options;

#define SONIC_BIP_OPTIONS_INIT                                                 \
    {                                                                          \
        .size = sizeof(sonic_bip_options)                                      \
    }

/* sonic_bip_new - a buffer of exactly `bytes`; nothing is allocated later
 * opt may be NULL.  ERRORS  SONIC_EOPTION when bytes is 0; -ENOMEM. */
SONIC_API SONIC_MUST_CHECK int
sonic_bip_new(size_t bytes, const sonic_bip_options *opt, sonic_bip **out);
SONIC_API void sonic_bip_free(sonic_bip *b); /* NULL is allowed */

/* sonic_bip_claim - room to write n bytes into
 *
 * Wrapped: the gap between the two chunks.  Otherwise the larger of the room
 * before the committed bytes and the room after them; of equals, after.
 * What is claimed is not queued; a second claim replaces the first.
 *   *got  how many bytes there are, at most n
 * Returns NULL, and *got 0, when the buffer is full. */
SONIC_API uint8_t *sonic_bip_claim(sonic_bip *b, size_t n, size_t *got);

/* sonic_bip_commit - queue the first n claimed bytes, cut to the claim
 *
 * The claim is over; n 0 abandons it.
 *   *len  bytes queued by this call
 * Returns exactly these bytes, or NULL when there are none. */
SONIC_API uint8_t *sonic_bip_commit(sonic_bip *b, size_t n, size_t *len);

/* sonic_bip_head - the first chunk: all that is queued unless the buffer is
 * wrapped.  NULL, and *len 0, when nothing is. */
SONIC_API uint8_t *sonic_bip_head(const sonic_bip *b, size_t *len);

/* sonic_bip_consume - drop n bytes from the front of the head
 * When that is all of the head or more, the wrapped chunk, if there is one,
 * becomes the head, untouched.  Returns how many bytes were dropped. */
SONIC_API size_t sonic_bip_consume(sonic_bip *b, size_t n);

SONIC_API bool sonic_bip_wrapped(const sonic_bip *b);
SONIC_API size_t sonic_bip_committed(const sonic_bip *b); /* both chunks */
SONIC_API size_t sonic_bip_claimed(const sonic_bip *b);
SONIC_API size_t sonic_bip_size(const sonic_bip *b);
/* Nothing is queued, and nothing claimed. */
SONIC_API bool sonic_bip_empty(const sonic_bip *b);

/* sonic_bip_reset - drop everything, a claim too */
SONIC_API void sonic_bip_reset(sonic_bip *b);

/* sonic_bip_prefault - touch every page, so that none is made by the first
 * packet.  What is queued stays. */
SONIC_API void sonic_bip_prefault(sonic_bip *b);

#ifdef __cplusplus
}
#endif
#endif
