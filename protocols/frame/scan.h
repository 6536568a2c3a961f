/* scan.h - finding frames in a window: contiguous bytes that begin where a
 * frame begins and that the caller received and owns */
#ifndef SONICIO_FRAME_SCAN_H
#define SONICIO_FRAME_SCAN_H

#include <sonicio/frame.h>

/* codec.field: the size of the length field, and what it is. */
enum {
    SONIC__FRAME_BYTES = 15,       /* fixed: its bytes; varint: the most */
    SONIC__FRAME_VARINT = 16,      /* base-128 */
    SONIC__FRAME_LITTLE = 32,      /* fixed: little endian */
    SONIC__FRAME_NO_SIZE = 64,     /* varint: its own size is not in base */
    SONIC__FRAME_NON_MINIMAL = 128 /* varint: as it comes */
};

/* A frame under way. */
struct sonic__frame_scan {
    uint64_t value; /* a varint's groups so far; size of the frame in BODY */
    uint16_t have;  /* bytes of the header that are done with */
    uint8_t state;  /* machine: scan.def */
};

/* State numbers of scan.def that are of use outside. */
enum { SONIC__FRAME_SCAN_PREFIX = 0, SONIC__FRAME_SCAN_BODY = 3 };

static inline void
sonic__frame_scan_reset(struct sonic__frame_scan *s)
{
    s->value = 0;
    s->have = 0;
    s->state = SONIC__FRAME_SCAN_PREFIX;
}

/* sonic__frame_measure - the size of a frame
 *
 *   value  what the length field says
 *   field  bytes of the length field
 * Returns 0 and the size, or SONIC_EFRAME_LENGTH, SONIC_EFRAME_TOOBIG. */
static inline int
sonic__frame_measure(const sonic_frame_codec *c, uint64_t value, unsigned field,
                     uint64_t *total)
{
    unsigned header = c->offset + field;
    int64_t base = c->base;

    if (c->field & SONIC__FRAME_NO_SIZE)
        base += field;
    if (base < 0 ? value < (uint64_t)-base
                 : value > UINT64_MAX - (uint64_t)base)
        return SONIC_EFRAME_LENGTH;
    value += (uint64_t)base;
    if (value < header || (c->strip > 0 && value < (uint64_t)c->strip))
        return SONIC_EFRAME_LENGTH;
    *total = value;
    return value - header > c->max_body ? SONIC_EFRAME_TOOBIG : 0;
}

/* sonic__frame_scan - go on with a frame
 *
 *   data   data[0..len): the same bytes as last time and more behind them,
 *          perhaps elsewhere in memory
 *   out    always filled in, as by sonic_frame_decode
 * Returns 0 when the frame is complete; s is ready for the next one then.
 * Otherwise as sonic_frame_decode; and SONIC_ESTATE after a failure.
 * tracer may be NULL. */
int sonic__frame_scan(struct sonic__frame_scan *s, const sonic_frame_codec *c,
                      const uint8_t *data, size_t len,
                      const sonic_fsm_tracer *tracer, sonic_frame *out);

/* sonic__frame_scan_table - the same, by the table alone */
int sonic__frame_scan_table(struct sonic__frame_scan *s,
                            const sonic_frame_codec *c, const uint8_t *data,
                            size_t len, const sonic_fsm_tracer *tracer,
                            sonic_frame *out);

/* sonic__frame_scan_need - bytes of the window without which there is no use
 * in going on */
size_t sonic__frame_scan_need(const struct sonic__frame_scan *s,
                              const sonic_frame_codec *c);

extern const sonic_fsm sonic__frame_scan_fsm;

#endif
