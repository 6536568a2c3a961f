#include "websocket/mask.h"

#include <string.h>

#include "websocket/mask_simd.h"
#include "websocket/utf8.h"

static inline uint64_t
load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t
load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* Less than 8 bytes.  Returns the OR of all that was written, byte order and
 * places do not matter. */
static inline uint64_t
mask_short(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    uint64_t seen = 0;

    if (n >= 4) {
        uint32_t first = load32(src) ^ key;
        uint32_t last = load32(src + n - 4) ^ sonic__ws_key_rotate(key, n);

        memcpy(dst, &first, 4);
        memcpy(dst + n - 4, &last, 4);
        return first | last;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t k[4];

        memcpy(k, &key, 4);
        dst[i] = src[i] ^ k[i];
        seen |= dst[i];
    }
    return seen;
}

/* The last 8 bytes are read before anything is written and written last: they
 * may overlap the ones before, and in place a byte must not be masked twice.
 * Writing upwards is right for dst < src: a store never reaches what has yet
 * to be read. */
static inline uint64_t
mask_words(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    uint64_t k = (uint64_t)key << 32 | key;
    uint32_t r = sonic__ws_key_rotate(key, n);
    uint64_t seen, last;

    if (n < 8)
        return mask_short(dst, src, n, key);
    last = load64(src + n - 8) ^ ((uint64_t)r << 32 | r);
    seen = last;
    for (size_t i = 0; i + 8 < n; i += 8) {
        uint64_t v = load64(src + i) ^ k;

        memcpy(dst + i, &v, 8);
        seen |= v;
    }
    memcpy(dst + n - 8, &last, 8);
    return seen;
}

void
sonic__ws_mask_portable(uint8_t *dst, const uint8_t *src, size_t n,
                        uint32_t key)
{
    (void)mask_words(dst, src, n, key);
}

bool
sonic__ws_mask_ascii_portable(uint8_t *dst, const uint8_t *src, size_t n,
                              uint32_t key)
{
    return (mask_words(dst, src, n, key) & 0x8080808080808080u) == 0;
}

static const struct sonic__ws_simd portable = {
    "portable",
    sonic__ws_mask_portable,
    sonic__ws_mask_ascii_portable,
    sonic__utf8_feed,
};

const struct sonic__ws_simd *
sonic__ws_simd_at(size_t index)
{
    /* AVX-512 masks no faster where it was measured (a 64 KiB message 606 ns,
     * with AVX2 585), and slows some processors down for a while. */
    const struct sonic__ws_simd *known[4] = {&portable};
    size_t n = 1;

#ifdef SONIC__WS_X86
    if (__builtin_cpu_supports("sse2"))
        known[n++] = &sonic__ws_sse2;
    if (__builtin_cpu_supports("avx2"))
        known[n++] = &sonic__ws_avx2;
#endif
#ifdef SONIC__WS_NEON
    known[n++] = &sonic__ws_neon;
#endif
    return index < n ? known[index] : NULL;
}

const struct sonic__ws_simd *
sonic__ws_simd_best(void)
{
    const struct sonic__ws_simd *best = &portable, *next;

    for (size_t i = 1; (next = sonic__ws_simd_at(i)) != NULL; i++)
        best = next;
    return best;
}
