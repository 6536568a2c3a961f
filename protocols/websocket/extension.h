/* extension.h - permessage-deflate is agreed on.  RFC 7692 sections 5, 7.1
 *
 * What a side wishes, and what both agree on, are of one type: seen from
 * there, "takeover" and "window_bits" are of what it sends, "peer_" of what
 * it receives.
 */
#ifndef SONICIO_WEBSOCKET_EXTENSION_H
#define SONICIO_WEBSOCKET_EXTENSION_H

#include <sonicio/fsm.h>
#include <sonicio/websocket.h>

#include "websocket/fields.h"

enum {
    SONIC__WS_EXTENSION_TEXT = 160 /* bytes that every offer and answer fits */
};

/* sonic__ws_extension_offer - the value of a client's field; terminated */
void sonic__ws_extension_offer(const sonic_ws_deflate_agreed *wish,
                               char text[SONIC__WS_EXTENSION_TEXT]);

/* What came of it. */
struct sonic__ws_extension_result {
    sonic_ws_deflate_agreed agreed;      /* .on is false: no extension */
    char text[SONIC__WS_EXTENSION_TEXT]; /* of the answer; "" for none */
    const char *why;                     /* an error in words; constant */
};

/* sonic__ws_extension_answer - a server judges the offers of a request
 *
 * The first that can be granted is; what cannot is declined, and no error.
 * The fields are well formed: sonic__ws_request_check has seen to that. */
void sonic__ws_extension_answer(const struct sonic__http_head *h,
                                const char *window,
                                const sonic_ws_deflate_agreed *wish,
                                const sonic_fsm_tracer *tracer,
                                struct sonic__ws_extension_result *out);

/* sonic__ws_extension_accept - a client judges the answer to its offer
 *
 * ERRORS  SONIC_EWS_EXTENSION: it is not one to that offer, and the
 * connection must fail. */
SONIC_MUST_CHECK int
sonic__ws_extension_accept(const struct sonic__http_head *h, const char *window,
                           const sonic_ws_deflate_agreed *wish,
                           const sonic_fsm_tracer *tracer,
                           struct sonic__ws_extension_result *out);

extern const sonic_fsm sonic__ws_extension_fsm;

#endif
