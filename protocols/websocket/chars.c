#include "websocket/chars.h"

enum {
    c = SONIC__HTTP_CTL,
    h = SONIC__HTTP_HT,
    l = SONIC__HTTP_LF,
    r = SONIC__HTTP_CR,
    s = SONIC__HTTP_SP,
    o = SONIC__HTTP_COLON,
    x = SONIC__HTTP_TEXT,
    T = SONIC__HTTP_TCHAR,
    B = SONIC__HTTP_OBS
};

/* clang-format off */
const uint8_t sonic__http_class_of[256] = {
    /*        0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f */
    /* 00 */  c, c, c, c, c, c, c, c, c, h, l, c, c, r, c, c,
    /* 10 */  c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c,
    /*  ! */  s, T, x, T, T, T, T, T, x, x, T, T, x, T, T, x,
    /*  0 */  T, T, T, T, T, T, T, T, T, T, o, x, x, x, x, x,
    /*  @ */  x, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    /*  P */  T, T, T, T, T, T, T, T, T, T, T, x, x, x, T, T,
    /*  ` */  T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    /*  p */  T, T, T, T, T, T, T, T, T, T, T, x, T, x, T, c,
    /* 80 */  B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    /* 90 */  B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    /* a0 */  B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    /* b0 */  B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    /* c0 */  B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    /* d0 */  B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    /* e0 */  B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    /* f0 */  B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
};
/* clang-format on */
