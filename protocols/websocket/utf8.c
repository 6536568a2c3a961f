#include "websocket/utf8.h"

#include <string.h>

/* A state is what must come next: OK a new character, Tn n trailing bytes,
 * Ea..Fb one restricted byte and then the trailing ones, XX not UTF-8. */
enum { OK, T1, T2, T3, Ea, Eb, Fa, Fb, XX };

_Static_assert((int)OK == (int)SONIC__UTF8_OK &&
                   (int)XX == (int)SONIC__UTF8_BAD,
               "see utf8.h");

/* The classes of bytes, in the order of the columns below. */
enum { A, C1, C2, C3, L2, E0, L3, ED, F0, L4, F4, NO };

/* clang-format off */
static const uint8_t utf8_class[256] = {
/*        x0  x1  x2  x3  x4  x5  x6  x7  x8  x9  xA  xB  xC  xD  xE  xF */
/* 0x */  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,
/* 1x */  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,
/* 2x */  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,
/* 3x */  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,
/* 4x */  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,
/* 5x */  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,
/* 6x */  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,
/* 7x */  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,  A,
/* 8x */  C1, C1, C1, C1, C1, C1, C1, C1, C1, C1, C1, C1, C1, C1, C1, C1,
/* 9x */  C2, C2, C2, C2, C2, C2, C2, C2, C2, C2, C2, C2, C2, C2, C2, C2,
/* Ax */  C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3,
/* Bx */  C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3, C3,
/* Cx */  NO, NO, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2,
/* Dx */  L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2, L2,
/* Ex */  E0, L3, L3, L3, L3, L3, L3, L3, L3, L3, L3, L3, L3, ED, L3, L3,
/* Fx */  F0, L4, L4, L4, F4, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
};

static const uint8_t utf8_next[9][12] = {
/*        A   C1  C2  C3  L2  E0  L3  ED  F0  L4  F4  NO
 *        00  80  90  A0  C2  E0  E1  ED  F0  F1  F4  C0 C1
 *        7F  8F  9F  BF  DF      EF          F3      F5..FF */
[OK] = {  OK, XX, XX, XX, T1, Ea, T2, Eb, Fa, T3, Fb, XX },
[T1] = {  XX, OK, OK, OK, XX, XX, XX, XX, XX, XX, XX, XX },
[T2] = {  XX, T1, T1, T1, XX, XX, XX, XX, XX, XX, XX, XX },
[T3] = {  XX, T2, T2, T2, XX, XX, XX, XX, XX, XX, XX, XX },
[Ea] = {  XX, XX, XX, T1, XX, XX, XX, XX, XX, XX, XX, XX }, /* not overlong */
[Eb] = {  XX, T1, T1, XX, XX, XX, XX, XX, XX, XX, XX, XX }, /* no surrogate */
[Fa] = {  XX, XX, T2, T2, XX, XX, XX, XX, XX, XX, XX, XX }, /* not overlong */
[Fb] = {  XX, T2, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX }, /* <= U+10FFFF  */
[XX] = {  XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX },
};
/* clang-format on */

/* Between characters, ASCII is skipped 8 bytes at a time. */
uint8_t
sonic__utf8_feed(uint8_t state, const uint8_t *p, size_t n)
{
    size_t i = 0;

    while (i < n) {
        uint64_t w;

        if (state == OK && n - i >= 8) {
            memcpy(&w, p + i, 8);
            if ((w & 0x8080808080808080u) == 0) {
                i += 8;
                continue;
            }
        }
        state = utf8_next[state][utf8_class[p[i++]]];
        if (state == XX)
            break;
    }
    return state;
}
