/* codec.h - headers to be sent */
#ifndef SONICIO_FRAME_CODEC_H
#define SONICIO_FRAME_CODEC_H

#include <sonicio/frame.h>

/* The header of a frame, before it is written. */
struct sonic__frame_plan {
    uint64_t value;  /* the number in the length field */
    unsigned field;  /* bytes of the length field */
    unsigned header; /* bytes of the header */
};

/* sonic__frame_plan - errors as sonic_frame_encode_header, but for its cap */
int sonic__frame_plan(const sonic_frame_codec *c, uint64_t body,
                      struct sonic__frame_plan *plan);

/* sonic__frame_write_length - write the length field itself */
void sonic__frame_write_length(const sonic_frame_codec *c,
                               const struct sonic__frame_plan *plan,
                               uint8_t *dst);

#endif
