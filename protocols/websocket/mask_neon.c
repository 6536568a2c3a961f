#include "websocket/mask_simd.h"

#ifdef SONIC__WS_NEON
#include <arm_neon.h>

#include "websocket/utf8.h"

/* As in mask.c: the last vector is read first and written last, and a store
 * never reaches what has yet to be read. */

/* The OR of all that was written; n >= 16. */
static inline uint8x16_t
mask_vectors(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    uint8x16_t k = vreinterpretq_u8_u32(vdupq_n_u32(key));
    uint8x16_t r =
        vreinterpretq_u8_u32(vdupq_n_u32(sonic__ws_key_rotate(key, n)));
    uint8x16_t last = veorq_u8(vld1q_u8(src + n - 16), r);
    uint8x16_t seen = last;
    size_t i = 0;

    for (; i + 64 < n; i += 64) {
        uint8x16_t a = veorq_u8(vld1q_u8(src + i), k);
        uint8x16_t b = veorq_u8(vld1q_u8(src + i + 16), k);
        uint8x16_t c = veorq_u8(vld1q_u8(src + i + 32), k);
        uint8x16_t d = veorq_u8(vld1q_u8(src + i + 48), k);

        vst1q_u8(dst + i, a);
        vst1q_u8(dst + i + 16, b);
        vst1q_u8(dst + i + 32, c);
        vst1q_u8(dst + i + 48, d);
        seen = vorrq_u8(seen, vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d)));
    }
    for (; i + 16 < n; i += 16) {
        uint8x16_t a = veorq_u8(vld1q_u8(src + i), k);

        vst1q_u8(dst + i, a);
        seen = vorrq_u8(seen, a);
    }
    vst1q_u8(dst + n - 16, last);
    return seen;
}

static void
mask(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    if (n < 16)
        sonic__ws_mask_portable(dst, src, n, key);
    else
        (void)mask_vectors(dst, src, n, key);
}

static bool
mask_ascii(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    if (n < 16)
        return sonic__ws_mask_ascii_portable(dst, src, n, key);
    return vmaxvq_u8(mask_vectors(dst, src, n, key)) < 0x80;
}

const struct sonic__ws_simd sonic__ws_neon = {"neon", mask, mask_ascii,
                                              sonic__utf8_feed_neon};
#endif
