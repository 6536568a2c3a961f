#include "websocket/mask_simd.h"

#ifdef SONIC__WS_NEON
#include <arm_neon.h>

#include "websocket/utf8.h"
#include "websocket/utf8_simd.h"

/* clang-format off */
static const uint8_t first_high[16] = {FIRST_HIGH};
static const uint8_t first_low[16] = {FIRST_LOW};
static const uint8_t second_high[16] = {SECOND_HIGH};
static const uint8_t ends[16] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, ENDS};
/* clang-format on */

static inline uint8x16_t
lookup(const uint8_t *table, uint8x16_t nibbles)
{
    return vqtbl1q_u8(vld1q_u8(table), nibbles);
}

/* The errors in v, which comes after prev. */
static inline uint8x16_t
errors(uint8x16_t v, uint8x16_t prev)
{
    uint8x16_t before1 = vextq_u8(prev, v, 15);
    uint8x16_t before2 = vextq_u8(prev, v, 14);
    uint8x16_t before3 = vextq_u8(prev, v, 13);
    uint8x16_t wrong = vandq_u8(
        vandq_u8(lookup(first_high, vshrq_n_u8(before1, 4)),
                 lookup(first_low, vandq_u8(before1, vdupq_n_u8(0x0f)))),
        lookup(second_high, vshrq_n_u8(v, 4)));
    /* The top bit is set where a continuation must be the third or fourth
     * byte of a character; TWO is the same bit. */
    uint8x16_t third = vqsubq_u8(before2, vdupq_n_u8(0xe0 - 0x80));
    uint8x16_t fourth = vqsubq_u8(before3, vdupq_n_u8(0xf0 - 0x80));
    uint8x16_t must = vandq_u8(vorrq_u8(third, fourth), vdupq_n_u8(0x80));

    return veorq_u8(must, wrong);
}

static inline bool
is_ascii(uint8x16_t v)
{
    return vmaxvq_u8(v) < 0x80;
}

/* Whole vectors, from the beginning of a character; the table does the rest,
 * the last character of the last vector included. */
static __attribute__((noinline)) uint8_t
feed_vectors(const uint8_t *p, size_t n)
{
    uint8x16_t prev = vdupq_n_u8(0), wrong = prev, open = prev;
    size_t i;

    for (i = 0; n - i >= 16; i += 16) {
        uint8x16_t v = vld1q_u8(p + i);

        if (is_ascii(v)) {
            wrong = vorrq_u8(wrong, open);
            open = vdupq_n_u8(0);
        } else {
            wrong = vorrq_u8(wrong, errors(v, prev));
            open = vqsubq_u8(v, vld1q_u8(ends));
        }
        prev = v;
    }
    if (vmaxvq_u8(wrong) != 0)
        return SONIC__UTF8_BAD;
    i = sonic__utf8_last(p, i);
    return sonic__utf8_feed(SONIC__UTF8_OK, p + i, n - i);
}

/* Whatever it is. */
static __attribute__((noinline)) uint8_t
feed_any(uint8_t state, const uint8_t *p, size_t n)
{
    size_t i;

    for (i = 0; state != SONIC__UTF8_OK && i < n; i++)
        state = sonic__utf8_feed(state, p + i, 1);
    if (n - i < 16)
        return sonic__utf8_feed(state, p + i, n - i);
    return feed_vectors(p + i, n - i);
}

/* Most text is ASCII: that is found out first, in few instructions. */
uint8_t
sonic__utf8_feed_neon(uint8_t state, const uint8_t *p, size_t n)
{
    size_t i = 0;

    if (n < 16 || state != SONIC__UTF8_OK)
        return feed_any(state, p, n);
    do
        if (!is_ascii(vld1q_u8(p + i)))
            return feed_any(state, p + i, n - i);
    while ((i += 16) + 16 <= n);
    return i == n ? SONIC__UTF8_OK : feed_any(SONIC__UTF8_OK, p + i, n - i);
}
#endif
