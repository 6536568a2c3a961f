/* utf8.h - is this UTF-8?  Asked piece by piece, answered at the first byte
 * that cannot be right.  RFC 3629; Unicode 15, table 3-7. */
#ifndef SONICIO_WEBSOCKET_UTF8_H
#define SONICIO_WEBSOCKET_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The two states that mean something to a caller.  Any other one says that
 * the text so far ends inside a character. */
enum { SONIC__UTF8_OK = 0, SONIC__UTF8_BAD = 8 };

/* sonic__utf8_feed - go on from state (at first SONIC__UTF8_OK) over n bytes
 *
 * Returns the state after them.  SONIC__UTF8_BAD is returned as soon as some
 * byte cannot be right, whatever would follow, and is never left again. */
uint8_t sonic__utf8_feed(uint8_t state, const uint8_t *p, size_t n);

#endif
