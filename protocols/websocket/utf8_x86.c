#include "websocket/mask_simd.h"

#ifdef SONIC__WS_X86
#include <immintrin.h>

#include "websocket/utf8.h"
#include "websocket/utf8_simd.h"

#define AVX2 __attribute__((target("avx2")))

/* One table for both halves of a vector. */
#define TABLE(...)                                                             \
    {                                                                          \
        __VA_ARGS__, __VA_ARGS__                                               \
    }

/* clang-format off */
static const uint8_t first_high[32] = TABLE(FIRST_HIGH);
static const uint8_t first_low[32] = TABLE(FIRST_LOW);
static const uint8_t second_high[32] = TABLE(SECOND_HIGH);
static const uint8_t ends[32] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, ENDS};
/* clang-format on */

AVX2 static inline __m256i
load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

AVX2 static inline __m256i
lookup(const uint8_t *table, __m256i nibbles)
{
    return _mm256_shuffle_epi8(load(table), nibbles);
}

AVX2 static inline __m256i
high_nibbles(__m256i v)
{
    return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(0x0f));
}

/* The errors in v, which comes after prev. */
AVX2 static inline __m256i
errors(__m256i v, __m256i prev)
{
    __m256i low = _mm256_set1_epi8(0x0f);
    __m256i join = _mm256_permute2x128_si256(prev, v, 0x21);
    __m256i before1 = _mm256_alignr_epi8(v, join, 15);
    __m256i before2 = _mm256_alignr_epi8(v, join, 14);
    __m256i before3 = _mm256_alignr_epi8(v, join, 13);
    __m256i wrong = _mm256_and_si256(
        _mm256_and_si256(lookup(first_high, high_nibbles(before1)),
                         lookup(first_low, _mm256_and_si256(before1, low))),
        lookup(second_high, high_nibbles(v)));
    /* The top bit is set where a continuation must be the third or fourth
     * byte of a character; TWO is the same bit. */
    __m256i third = _mm256_subs_epu8(before2, _mm256_set1_epi8(0xe0 - 0x80));
    __m256i fourth = _mm256_subs_epu8(before3, _mm256_set1_epi8(0xf0 - 0x80));
    __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth),
                                    _mm256_set1_epi8((char)0x80));

    return _mm256_xor_si256(must, wrong);
}

/* Whole vectors, from the beginning of a character; the table does the rest,
 * the last character of the last vector included. */
AVX2 static __attribute__((noinline)) uint8_t
feed_vectors(const uint8_t *p, size_t n)
{
    __m256i prev = _mm256_setzero_si256(), wrong = prev, open = prev;
    size_t i;

    for (i = 0; n - i >= 32; i += 32) {
        __m256i v = load(p + i);

        if (_mm256_movemask_epi8(v) == 0) {
            wrong = _mm256_or_si256(wrong, open);
            open = _mm256_setzero_si256();
        } else {
            wrong = _mm256_or_si256(wrong, errors(v, prev));
            open = _mm256_subs_epu8(v, load(ends));
        }
        prev = v;
    }
    if (!_mm256_testz_si256(wrong, wrong))
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
    if (n - i < 32)
        return sonic__utf8_feed(state, p + i, n - i);
    return feed_vectors(p + i, n - i);
}

/* Most text is ASCII: that is found out first, in few instructions. */
AVX2 uint8_t
sonic__utf8_feed_avx2(uint8_t state, const uint8_t *p, size_t n)
{
    size_t i = 0;

    if (n < 32 || state != SONIC__UTF8_OK)
        return feed_any(state, p, n);
    do
        if (_mm256_movemask_epi8(load(p + i)) != 0)
            return feed_any(state, p + i, n - i);
    while ((i += 32) + 32 <= n);
    return i == n ? SONIC__UTF8_OK : feed_any(SONIC__UTF8_OK, p + i, n - i);
}
#endif
