#include "websocket/mask_simd.h"

#ifdef SONIC__WS_X86
#include <immintrin.h>

#include "websocket/utf8.h"

/* After J. Keiser, D. Lemire, "Validating UTF-8 in less than one instruction
 * per byte", 2021: each way for two neighbours to be wrong is a bit.  Three
 * nibbles (both of the first byte, the high one of the second) are looked up
 * in tables of the bits that they allow; what all three allow is an error.
 * The last one alone can be right: two continuations in a row are, where a
 * lead byte stands two or three places before. */
/* clang-format off */
enum {
    SHORT = 1 << 0,  /* a lead, no continuation       11...... 0 or 11... */
    LONG = 1 << 1,   /* ASCII, then a continuation    0....... 10......   */
    OVER3 = 1 << 2,  /* 3 bytes where 2 are enough    11100000 100.....   */
    LARGE = 1 << 3,  /* over U+10FFFF                 11110100 1001....   */
    SURR = 1 << 4,   /* a surrogate                   11101101 101.....   */
    OVER2 = 1 << 5,  /* 2 bytes where 1 is enough     1100000. 10......   */
    OVER4 = 1 << 6,  /* 4 bytes where 3 are enough    11110000 1000....   */
    LARGE8 = 1 << 6, /* over U+10FFFF                 11110101 1000....   */
    TWO = 1 << 7,    /* two continuations             10...... 10......   */
    ANY = SHORT | LONG | TWO /* whatever the low nibble is */
};

#define AVX2 __attribute__((target("avx2")))

/* One table for both halves of a vector. */
#define TABLE(...) {__VA_ARGS__, __VA_ARGS__}

static const uint8_t first_high[32] = TABLE(
    LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, TWO, TWO, TWO, TWO,
    SHORT | OVER2, SHORT, SHORT | OVER3 | SURR,
    SHORT | LARGE | LARGE8 | OVER4);
static const uint8_t first_low[32] = TABLE(
    ANY | OVER3 | OVER2 | OVER4, ANY | OVER2, ANY, ANY, ANY | LARGE,
    ANY | LARGE | LARGE8, ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,
    ANY | LARGE | LARGE8, ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,
    ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,
    ANY | LARGE | LARGE8 | SURR, ANY | LARGE | LARGE8,
    ANY | LARGE | LARGE8);
static const uint8_t second_high[32] = TABLE(
    SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,
    LONG | OVER2 | TWO | OVER3 | LARGE8 | OVER4,
    LONG | OVER2 | TWO | OVER3 | LARGE,
    LONG | OVER2 | TWO | SURR | LARGE, LONG | OVER2 | TWO | SURR | LARGE,
    SHORT, SHORT, SHORT, SHORT);
/* What a byte at the end of a vector may be without needing the next one. */
static const uint8_t ends[32] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    0xf0 - 1, 0xe0 - 1, 0xc0 - 1};
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

/* Where the character begins that p[0..n) ends in or with. */
static size_t
last_character(const uint8_t *p, size_t n)
{
    size_t i = n;

    while (i > 0 && n - i < 3 && (p[i - 1] & 0xc0) == 0x80)
        i--;
    return i > 0 && p[i - 1] >= 0xc0 ? i - 1 : n;
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
    i = last_character(p, i);
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
