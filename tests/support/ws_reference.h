/* ws_reference.h - the receiving half of RFC 6455 once more, written to be
 * obvious: all the input at once, one byte at a time, everything copied. */
#ifndef SONICIO_TESTS_WS_REFERENCE_H
#define SONICIO_TESTS_WS_REFERENCE_H

#include "ws_drive.h"

/* Write the log that any split of in[0..n) must give. */
void ws_reference(const struct sonic__ws_rules *rules,
                  enum sonic__ws_delivery delivery, const uint8_t *in, size_t n,
                  struct ws_log *log);

enum ws_utf8 { WS_UTF8_WHOLE, WS_UTF8_CUT, WS_UTF8_BAD };

/* Is p[0..n) UTF-8, or cut off in the middle of a character? */
enum ws_utf8 ws_reference_utf8(const uint8_t *p, size_t n);

#endif
