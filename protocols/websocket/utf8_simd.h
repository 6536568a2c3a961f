/* utf8_simd.h - how neighbours can be wrong, for vectors
 *
 * After J. Keiser, D. Lemire, "Validating UTF-8 in less than one instruction
 * per byte", 2021: each way for two neighbours to be wrong is a bit.  Three
 * nibbles (both of the first byte, the high one of the second) are looked up
 * in tables of the bits that they allow; what all three allow is an error.
 * The last one alone can be right: two continuations in a row are, where a
 * lead byte stands two or three places before. */
#ifndef SONICIO_WEBSOCKET_UTF8_SIMD_H
#define SONICIO_WEBSOCKET_UTF8_SIMD_H

#include <stddef.h>
#include <stdint.h>

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

/* Each a table of 16. */
#define FIRST_HIGH                                                             \
    LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, TWO, TWO, TWO, TWO,        \
    SHORT | OVER2, SHORT, SHORT | OVER3 | SURR,                                \
    SHORT | LARGE | LARGE8 | OVER4
#define FIRST_LOW                                                              \
    ANY | OVER3 | OVER2 | OVER4, ANY | OVER2, ANY, ANY, ANY | LARGE,           \
    ANY | LARGE | LARGE8, ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,          \
    ANY | LARGE | LARGE8, ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,          \
    ANY | LARGE | LARGE8, ANY | LARGE | LARGE8,                                \
    ANY | LARGE | LARGE8 | SURR, ANY | LARGE | LARGE8,                         \
    ANY | LARGE | LARGE8
#define SECOND_HIGH                                                            \
    SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,                    \
    LONG | OVER2 | TWO | OVER3 | LARGE8 | OVER4,                               \
    LONG | OVER2 | TWO | OVER3 | LARGE,                                        \
    LONG | OVER2 | TWO | SURR | LARGE, LONG | OVER2 | TWO | SURR | LARGE,      \
    SHORT, SHORT, SHORT, SHORT
/* What the last three bytes of a vector may be without needing the next. */
#define ENDS 0xf0 - 1, 0xe0 - 1, 0xc0 - 1
/* clang-format on */

/* Where the character begins that p[0..n) ends in or with. */
static inline size_t
sonic__utf8_last(const uint8_t *p, size_t n)
{
    size_t i = n;

    while (i > 0 && n - i < 3 && (p[i - 1] & 0xc0) == 0x80)
        i--;
    return i > 0 && p[i - 1] >= 0xc0 ? i - 1 : n;
}

#endif
