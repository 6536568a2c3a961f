#include "frame_formats.h"

#include <stdlib.h>

#define B SONIC_FRAME_BODY
#define L SONIC_FRAME_LENGTH_AND_BODY
#define E SONIC_FRAME_EVERYTHING
#define V SONIC_FRAME_VARINT
#define SZ .size = sizeof(sonic_frame_format)

/* All orders and counts of one size of the length field. */
#define SIX(n)                                                                 \
    {SZ, .length = n, .counts = B}, {SZ, .length = n, .counts = L},            \
        {SZ, .length = n, .counts = E},                                        \
        {SZ, .length = n, .counts = B, .order = SONIC_FRAME_LITTLE_ENDIAN},    \
        {SZ, .length = n, .counts = L, .order = SONIC_FRAME_LITTLE_ENDIAN},    \
    {                                                                          \
        SZ, .length = n, .counts = E, .order = SONIC_FRAME_LITTLE_ENDIAN       \
    }

const sonic_frame_format frame_formats[] = {
    SIX(1),
    SIX(2),
    SIX(3),
    SIX(4),
    SIX(8),
    {SZ, .length = V, .counts = B},
    {SZ, .length = V, .counts = L},
    {SZ, .length = V, .counts = E},
    {SZ, .length = V, .counts = E, .offset = 3},
    {SZ, .length = V, .counts = L, .offset = 3, .adjust = -7},
    {SZ, .length = V, .adjust = 5},
    {SZ, .length = V, .adjust = -130},
    {SZ, .length = V, .varint_max = 1},
    {SZ, .length = V, .varint_max = 2},
    {SZ, .length = V, .varint_max = 3, .counts = L},
    {SZ, .length = V, .varint_max = 5, .non_minimal = SONIC_ON},
    {SZ, .length = V, .counts = E, .non_minimal = SONIC_ON},
    {SZ, .length = V, .strip = SONIC_FRAME_KEEP},
    {SZ, .length = V, .strip = 4},
    {SZ, .length = 2, .offset = 1, .counts = E},
    {SZ, .length = 2, .offset = 5, .counts = L, .strip = SONIC_FRAME_KEEP},
    {SZ, .length = 2, .offset = 255, .counts = E, .strip = 255},
    {SZ, .length = 4, .offset = 2, .adjust = -6},
    {SZ, .length = 4, .adjust = 12, .strip = 8},
    {SZ, .length = 4, .strip = 100},
    {SZ, .length = 4, .adjust = -SONIC_FRAME_ADJUST_MAX},
    {SZ, .length = 4, .adjust = SONIC_FRAME_ADJUST_MAX,
     .max_body = SONIC_FRAME_ADJUST_MAX + (uint64_t)40000},
    {SZ, .length = 4, .max_body = 32767},
    {SZ, .length = 8, .max_body = SIZE_MAX / 4},
    {SZ, .length = 8, .adjust = 7, .offset = 1, .max_body = SIZE_MAX / 4},
    {SZ, .length = V, .max_body = SIZE_MAX / 4},
    {SZ, .length = V, .counts = E, .adjust = -3, .max_body = SIZE_MAX / 4},
    {SZ, .length = 1, .max_body = 100},
    {SZ, .length = 1, .adjust = 1000, .strip = SONIC_FRAME_KEEP},
};

const size_t frame_formats_n = sizeof frame_formats / sizeof frame_formats[0];

sonic_frame_codec
frame_codec(const sonic_frame_format *f)
{
    sonic_frame_codec c;

    if (sonic_frame_codec_init(&c, f) != 0)
        abort();
    return c;
}

/* ---- the reference ---------------------------------------------------- */

__extension__ typedef __int128 wide;

/* The length field at p[0..n): bytes it has, 0 when that is not known yet, or
 * SONIC_EFRAME_LENGTH. */
static int
read_varint(const sonic_frame_format *f, const uint8_t *p, size_t n, wide *v)
{
    size_t most = f->varint_max != 0 ? (size_t)f->varint_max : 10, i = 0;

    *v = 0;
    for (;; i++) {
        if (i == most)
            return SONIC_EFRAME_LENGTH;
        if (i == n)
            return 0;
        *v += (wide)(p[i] & 127) << 7 * i;
        if (*v > UINT64_MAX || (i == 9 && p[i] > 127))
            return SONIC_EFRAME_LENGTH;
        /* a group that cannot be the last one, in the last place */
        if (i + 1 == most && p[i] > 127)
            return SONIC_EFRAME_LENGTH;
        if (p[i] < 128)
            break;
    }
    if (i > 0 && p[i] == 0 && f->non_minimal != SONIC_ON)
        return SONIC_EFRAME_LENGTH;
    return (int)i + 1;
}

static int
read_field(const sonic_frame_format *f, const uint8_t *p, size_t n, wide *v)
{
    size_t bytes = f->length != 0 ? (size_t)f->length : 4;

    if (f->length == V)
        return read_varint(f, p, n, v);
    if (n < bytes)
        return 0;
    *v = 0;
    for (size_t i = 0; i < bytes; i++)
        *v = *v * 256 +
             p[f->order == SONIC_FRAME_LITTLE_ENDIAN ? bytes - 1 - i : i];
    return (int)bytes;
}

int
frame_reference(const sonic_frame_format *f, const uint8_t *data, size_t len,
                sonic_frame *out)
{
    size_t first = f->length == V ? 1 : f->length != 0 ? (size_t)f->length : 4;
    wide v, total, header, max = f->max_body != 0 ? f->max_body : 16 << 20;
    int n = 0;

    *out = (sonic_frame){.need = f->offset + first};
    if (len >= f->offset)
        n = read_field(f, data + f->offset, len - f->offset, &v);
    if (n == 0) {
        if (f->length == V && len >= f->offset)
            out->need = len + 1; /* every byte there is says: go on */
        return SONIC_ENEEDMORE;
    }
    out->need = 0;
    if (n < 0)
        return n;
    header = (wide)f->offset + n;
    total = v + f->adjust;
    if (f->counts == L)
        total += f->offset;
    else if (f->counts == B)
        total += header;
    if (total > UINT64_MAX || total < header || total < f->strip)
        return SONIC_EFRAME_LENGTH;
    if (total - header > max)
        return SONIC_EFRAME_TOOBIG;
    out->header = (size_t)header;
    out->total = out->need = (size_t)total;
    out->offset = f->strip == 0                  ? (size_t)header
                  : f->strip == SONIC_FRAME_KEEP ? 0
                                                 : (size_t)f->strip;
    out->len = out->total - out->offset;
    return len < out->total ? SONIC_ENEEDMORE : 0;
}
