/* From a format to a codec, and headers to be sent. */
#include <string.h>

#include "frame/codec.h"
#include "base/pack.h"
#include "frame/scan.h"

#define MAX_BODY ((uint64_t)16 << 20)
enum { LENGTH = 4, VARINT_MAX = 10 };

static int
check_length(const sonic_frame_format *f)
{
    switch (f->length) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 8:
        return f->varint_max == 0 && f->non_minimal == SONIC_DEFAULT
                   ? 0
                   : SONIC_EOPTION;
    case SONIC_FRAME_VARINT:
        return f->varint_max >= 0 && f->varint_max <= VARINT_MAX &&
                       f->order == SONIC_FRAME_BIG_ENDIAN
                   ? 0
                   : SONIC_EOPTION;
    default:
        return SONIC_EOPTION;
    }
}

static int
check_ranges(const sonic_frame_format *f)
{
    unsigned order = (unsigned)f->order, counts = (unsigned)f->counts;
    int non_minimal = (int)f->non_minimal;

    if (order > SONIC_FRAME_LITTLE_ENDIAN || counts > SONIC_FRAME_EVERYTHING ||
        non_minimal < SONIC_OFF || non_minimal > SONIC_ON ||
        f->offset > SONIC_FRAME_OFFSET_MAX ||
        f->adjust < -SONIC_FRAME_ADJUST_MAX ||
        f->adjust > SONIC_FRAME_ADJUST_MAX || f->strip < SONIC_FRAME_KEEP ||
        f->strip > SONIC_FRAME_STRIP_MAX || f->max_body > SIZE_MAX / 4)
        return SONIC_EOPTION;
    return check_length(f);
}

static int64_t
larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Can any frame be expressed?  Of the bodies that are long enough the shortest
 * is the one with the smallest number in its length field. */
static bool
possible(const sonic_frame_codec *c)
{
    bool varint = c->field & SONIC__FRAME_VARINT;
    int64_t field = varint ? 1 : c->field & SONIC__FRAME_BYTES;
    int64_t header = c->offset + field, base = c->base;

    if (c->field & SONIC__FRAME_NO_SIZE)
        base += field;
    return sonic_frame_header_size(
               c, (uint64_t)larger(0, larger(base, c->strip) - header)) > 0;
}

int
sonic_frame_codec_init(sonic_frame_codec *codec,
                       const sonic_frame_format *format)
{
    sonic_frame_format f;
    int err = sonic__options_copy(&f, sizeof f, format);
    bool varint = f.length == SONIC_FRAME_VARINT;
    int bytes = f.length != 0 ? f.length : LENGTH;

    if (err == 0)
        err = check_ranges(&f);
    if (err < 0)
        return err;
    if (varint)
        bytes = f.varint_max != 0 ? f.varint_max : VARINT_MAX;
    *codec = (sonic_frame_codec){
        .max_body = f.max_body != 0 ? f.max_body : MAX_BODY,
        .base = f.adjust,
        .strip = (int16_t)f.strip,
        .offset = (uint8_t)f.offset,
        .field = (uint8_t)bytes,
    };
    if (f.counts != SONIC_FRAME_EVERYTHING)
        codec->base += codec->offset;
    if (f.counts == SONIC_FRAME_BODY && !varint)
        codec->base += bytes;
    if (f.counts == SONIC_FRAME_BODY && varint)
        codec->field |= SONIC__FRAME_NO_SIZE;
    if (varint)
        codec->field |= SONIC__FRAME_VARINT;
    if (f.order == SONIC_FRAME_LITTLE_ENDIAN)
        codec->field |= SONIC__FRAME_LITTLE;
    if (f.non_minimal == SONIC_ON)
        codec->field |= SONIC__FRAME_NON_MINIMAL;
    return possible(codec) ? 0 : SONIC_EOPTION;
}

/* The number that the length field of n bytes says for that body.  False when
 * it would be negative. */
static bool
number(const sonic_frame_codec *c, uint64_t body, unsigned n, uint64_t *value)
{
    int64_t base = c->base;

    if (c->field & SONIC__FRAME_NO_SIZE)
        base += n;
    *value = body + c->offset + n; /* at most 2^62 + 265 */
    if (base > 0 && *value < (uint64_t)base)
        return false;
    *value -= (uint64_t)base;
    return true;
}

static unsigned
varint_bytes(uint64_t value)
{
    unsigned n = 1;

    while (value >>= 7)
        n++;
    return n;
}

/* Bytes of the length field, or 0 when the body cannot be expressed.  A varint
 * that counts itself grows with its own size: the first size that is enough
 * for the number that it leads to is exact. */
static unsigned
fit(const sonic_frame_codec *c, uint64_t body, uint64_t *value)
{
    unsigned bytes = c->field & SONIC__FRAME_BYTES;

    if (c->field & SONIC__FRAME_VARINT) {
        for (unsigned n = 1; n <= bytes; n++)
            if (number(c, body, n, value) && varint_bytes(*value) == n)
                return n;
        return 0;
    }
    if (!number(c, body, bytes, value))
        return 0;
    return bytes == 8 || *value >> 8 * bytes == 0 ? bytes : 0;
}

int
sonic__frame_plan(const sonic_frame_codec *c, uint64_t body,
                  struct sonic__frame_plan *plan)
{
    if (body > c->max_body)
        return SONIC_EFRAME_TOOBIG;
    plan->field = fit(c, body, &plan->value);
    plan->header = c->offset + plan->field;
    if (plan->field == 0 ||
        (c->strip > 0 && plan->header + body < (uint64_t)c->strip))
        return SONIC_EFRAME_LENGTH;
    return 0;
}

static inline void
put_be(uint8_t *dst, uint64_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        dst[i] = (uint8_t)(value >> 8 * (n - 1 - i));
}

static inline void
put_le(uint8_t *dst, uint64_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        dst[i] = (uint8_t)(value >> 8 * i);
}

static void
put_varint(uint8_t *dst, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        *dst++ = (uint8_t)(value | 0x80);
    *dst = (uint8_t)value;
}

void
sonic__frame_write_length(const sonic_frame_codec *c,
                          const struct sonic__frame_plan *plan, uint8_t *dst)
{
    if (c->field & SONIC__FRAME_VARINT)
        put_varint(dst, plan->value);
    else if (c->field & SONIC__FRAME_LITTLE)
        put_le(dst, plan->value, plan->field);
    else if (plan->field == 4) /* most there are: not a loop */
        put_be(dst, plan->value, 4);
    else
        put_be(dst, plan->value, plan->field);
}

int
sonic_frame_header_size(const sonic_frame_codec *codec, uint64_t body)
{
    struct sonic__frame_plan plan;
    int err = sonic__frame_plan(codec, body, &plan);

    return err < 0 ? err : (int)plan.header;
}

int
sonic_frame_encode_header(const sonic_frame_codec *codec, uint64_t body,
                          void *dst, size_t cap)
{
    struct sonic__frame_plan plan;
    int err = sonic__frame_plan(codec, body, &plan);

    if (err < 0)
        return err;
    if (plan.header > cap)
        return SONIC_ETOOBIG;
    sonic__frame_write_length(codec, &plan, (uint8_t *)dst + codec->offset);
    return (int)plan.header;
}
