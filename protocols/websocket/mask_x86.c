#include "websocket/mask_simd.h"

#ifdef SONIC__WS_X86
#include <immintrin.h>
#include <string.h>

#include "base/hint.h"
#include "websocket/utf8.h"

/* As in mask.c: the last vector is read first and written last, and a store
 * never reaches what has yet to be read.  Each function here is compiled for
 * its processor and called only where simd_at has seen that processor. */
#define SSE2 __attribute__((target("sse2")))
#define AVX2 __attribute__((target("avx2")))

SSE2 static inline __m128i
load128(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

SSE2 static inline void
store128(uint8_t *p, __m128i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, v);
}

/* The OR of all that was written; n >= 16. */
SSE2 static inline __m128i
mask_sse2(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    __m128i k = _mm_set1_epi32((int)key);
    __m128i r = _mm_set1_epi32((int)sonic__ws_key_rotate(key, n));
    __m128i last = _mm_xor_si128(load128(src + n - 16), r);
    __m128i seen = last;
    size_t i = 0;

    for (; i + 64 < n; i += 64) {
        __m128i a = _mm_xor_si128(load128(src + i), k);
        __m128i b = _mm_xor_si128(load128(src + i + 16), k);
        __m128i c = _mm_xor_si128(load128(src + i + 32), k);
        __m128i d = _mm_xor_si128(load128(src + i + 48), k);

        store128(dst + i, a);
        store128(dst + i + 16, b);
        store128(dst + i + 32, c);
        store128(dst + i + 48, d);
        seen = _mm_or_si128(
            seen, _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)));
    }
    for (; i + 16 < n; i += 16) {
        __m128i a = _mm_xor_si128(load128(src + i), k);

        store128(dst + i, a);
        seen = _mm_or_si128(seen, a);
    }
    store128(dst + n - 16, last);
    return seen;
}

SSE2 static void
mask(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    if (n < 16)
        sonic__ws_mask_portable(dst, src, n, key);
    else
        (void)mask_sse2(dst, src, n, key);
}

SSE2 static bool
mask_ascii(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    if (n < 16)
        return sonic__ws_mask_ascii_portable(dst, src, n, key);
    return _mm_movemask_epi8(mask_sse2(dst, src, n, key)) == 0;
}

const struct sonic__ws_simd sonic__ws_sse2 = {"sse2", mask, mask_ascii,
                                              sonic__utf8_feed};

AVX2 static SONIC__INLINE __m256i
load256(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

AVX2 static inline void
store256(uint8_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

/* 128 bytes; the OR of what was written. */
AVX2 static SONIC__INLINE __m256i
mask_128(uint8_t *dst, const uint8_t *src, __m256i k)
{
    __m256i a = _mm256_xor_si256(load256(src), k);
    __m256i b = _mm256_xor_si256(load256(src + 32), k);
    __m256i c = _mm256_xor_si256(load256(src + 64), k);
    __m256i d = _mm256_xor_si256(load256(src + 96), k);

    store256(dst, a);
    store256(dst + 32, b);
    store256(dst + 64, c);
    store256(dst + 96, d);
    return _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
}

/* The OR of all that was written; n >= 32. */
AVX2 static SONIC__INLINE __m256i
mask_avx2(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    __m256i k = _mm256_set1_epi32((int)key);
    __m256i r = _mm256_set1_epi32((int)sonic__ws_key_rotate(key, n));
    __m256i last = _mm256_xor_si256(load256(src + n - 32), r);
    __m256i seen = last;

    if (n <= 64) { /* two vectors, however they overlap */
        __m256i first = _mm256_xor_si256(load256(src), k);

        store256(dst, first);
        store256(dst + n - 32, last);
        return _mm256_or_si256(first, last);
    }
    for (size_t i = n / 256; i > 0; i--, dst += 256, src += 256) {
        seen = _mm256_or_si256(seen, mask_128(dst, src, k));
        seen = _mm256_or_si256(seen, mask_128(dst + 128, src + 128, k));
    }
    n %= 256;
    if (n == 0)
        return seen; /* the last vector was one of these */
    if (n >= 128) {
        seen = _mm256_or_si256(seen, mask_128(dst, src, k));
        n -= 128, dst += 128, src += 128;
    }
    for (; n > 32; n -= 32, dst += 32, src += 32) {
        __m256i a = _mm256_xor_si256(load256(src), k);

        store256(dst, a);
        seen = _mm256_or_si256(seen, a);
    }
    store256(dst + n - 32, last);
    return seen;
}

/* A store that crosses a cache line costs twice as much as one that does not.
 * Here it pays to align them; from somewhat longer on in place, or where it
 * moves down by less than its length. */
static inline bool
is_long(const uint8_t *dst, const uint8_t *src, size_t n)
{
    return n > 1024 || (n >= 512 && (uintptr_t)src - (uintptr_t)dst >= n);
}

/* The same for what is long: the first vector reaches up to where stores are
 * aligned, or further, and is read first and written last. */
AVX2 static SONIC__INLINE __m256i
mask_aligned(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    __m256i first = _mm256_xor_si256(load256(src), _mm256_set1_epi32((int)key));
    size_t i = -(uintptr_t)dst & 31;
    __m256i seen =
        mask_avx2(dst + i, src + i, n - i, sonic__ws_key_rotate(key, i));

    store256(dst, first);
    return _mm256_or_si256(first, seen);
}

AVX2 static SONIC__RARELY void
mask_long(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    (void)mask_aligned(dst, src, n, key);
}

AVX2 static SONIC__RARELY bool
mask_long_ascii(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    return _mm256_movemask_epi8(mask_aligned(dst, src, n, key)) == 0;
}

AVX2 static void
mask_256(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    if (n < 32)
        mask(dst, src, n, key);
    else if (is_long(dst, src, n))
        mask_long(dst, src, n, key);
    else
        (void)mask_avx2(dst, src, n, key);
}

AVX2 static bool
mask_ascii_256(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
    if (n < 32)
        return mask_ascii(dst, src, n, key);
    if (is_long(dst, src, n))
        return mask_long_ascii(dst, src, n, key);
    return _mm256_movemask_epi8(mask_avx2(dst, src, n, key)) == 0;
}

const struct sonic__ws_simd sonic__ws_avx2 = {"avx2", mask_256, mask_ascii_256,
                                              sonic__utf8_feed_avx2};
#endif
