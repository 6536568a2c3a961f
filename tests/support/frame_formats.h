/* Formats to test with, and what a frame is by definition: written from
 * <sonicio/frame.h> alone, in arithmetic wide enough never to overflow. */
#ifndef SONICIO_TESTS_FRAME_FORMATS_H
#define SONICIO_TESTS_FRAME_FORMATS_H

#include <sonicio/frame.h>

/* Every combination of size, order and what is counted, with some offsets,
 * adjustments and strips. */
extern const sonic_frame_format frame_formats[];
extern const size_t frame_formats_n;

/* What sonic_frame_decode must return for data[0..len). */
int frame_reference(const sonic_frame_format *f, const uint8_t *data,
                    size_t len, sonic_frame *out);

/* A codec, or abort. */
sonic_frame_codec frame_codec(const sonic_frame_format *f);

#endif
