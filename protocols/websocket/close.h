/* close.h - the payload of a Close frame, RFC 6455 sections 5.5.1 and 7.4 */
#ifndef SONICIO_WEBSOCKET_CLOSE_H
#define SONICIO_WEBSOCKET_CLOSE_H

#include <sonicio/api.h>

enum {
    SONIC__WS_REASON_MAX = 123 /* bytes: a control frame less the code */
};

/* sonic__ws_close_parse - read what a peer sent
 *
 *   reason  points into data; NULL when reason_len is 0
 *
 * 0, with code 1005 when the payload is empty (7.1.5).
 *   SONIC_EWS_CLOSE  one byte, or a code that must not be on the wire (7.4)
 *   SONIC_EWS_UTF8   the reason is not UTF-8 (5.5.1) */
SONIC_MUST_CHECK int sonic__ws_close_parse(const uint8_t *data, size_t n,
                                           uint16_t *code,
                                           const uint8_t **reason,
                                           size_t *reason_len);

/* sonic__ws_close_encode - write one
 *
 *   dst     room for SONIC__WS_CONTROL_MAX bytes
 *   reason  may be NULL when n is 0
 *
 * Returns the size, 2 + n.
 *   SONIC_EWS_CLOSE  the code must not be on the wire, or the reason is longer
 *                    than SONIC__WS_REASON_MAX
 *   SONIC_EWS_UTF8   the reason is not UTF-8 */
SONIC_MUST_CHECK int sonic__ws_close_encode(uint8_t *dst, uint16_t code,
                                            const uint8_t *reason, size_t n);

/* sonic__ws_close_code_ok - may this code be in a Close frame?  1000-1003,
 * 1007-1014 (as registered with IANA), 3000-4999. */
bool sonic__ws_close_code_ok(uint16_t code);

#endif
