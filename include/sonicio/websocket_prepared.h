/* <sonicio/websocket_prepared.h> - one message to many connections
 *
 *     sonic_ws_prepared_new(io, SONIC_WS_TEXT, json, n, &tick);
 *     sonic_ws_broadcast(server, tick, SONIC_WS_SLOW_DROP, NULL);
 *     sonic_ws_prepared_free(tick);
 *
 * A prepared message is encoded once: its frame once for all servers'
 * connections, and once more, compressed, for each setting of
 * permessage-deflate without context takeover that it meets.  They send it
 * without a copy of their own, and each lets go when its bytes have gone.
 *
 * Where frames cannot be the same it is sent as sonic_ws_send would: by
 * clients, which mask each with a key of its own (RFC 6455 section 5.3), and
 * with context takeover, where each depends on what came before it.
 */
#ifndef SONICIO_WEBSOCKET_PREPARED_H
#define SONICIO_WEBSOCKET_PREPARED_H

#include <sonicio/websocket.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_ws_prepared sonic_ws_prepared;

/* sonic_ws_prepared_new - prepare a message
 *
 *   opcode  TEXT or BINARY, perhaps with SONIC_WS_PLAIN
 *   data    len bytes, copied; text is not checked
 * Allocates nothing in a steady stream of messages of up to 32,000 bytes.
 * ERRORS -ENOMEM; SONIC_ETOOBIG over 2^30 bytes; SONIC_EWS_OPCODE;
 * SONIC_ECLOSED (the io). */
SONIC_API SONIC_MUST_CHECK int
sonic_ws_prepared_new(sonic_io *io, enum sonic_ws_opcode opcode,
                      const void *data, size_t len, sonic_ws_prepared **out);

/* sonic_ws_prepared_hold - one more holder, for whom it must be freed too */
SONIC_API sonic_ws_prepared *sonic_ws_prepared_hold(sonic_ws_prepared *p);
/* sonic_ws_prepared_free - let go, of what is being sent too: that goes out
 * all the same.  NULL is allowed.  What is left goes with its io. */
SONIC_API void sonic_ws_prepared_free(sonic_ws_prepared *p);

/* The message, as it was given. */
SONIC_API const uint8_t *sonic_ws_prepared_data(const sonic_ws_prepared *p,
                                                size_t *len);

/* sonic_ws_send_prepared - queue it; returns and fails as sonic_ws_send, and
 * keeps its place among other sends.  -EINVAL: ws is of another io. */
SONIC_API int sonic_ws_send_prepared(sonic_ws *ws, sonic_ws_prepared *p);

/* What becomes of a connection that does not take what it is sent. */
enum sonic_ws_slow {
    SONIC_WS_SLOW_QUEUE, /* more is queued, up to its queue_limit; then the
                            message is not sent to it */
    SONIC_WS_SLOW_DROP,  /* it misses messages, from its high-water mark until
                            the queue has drained to the low one */
    SONIC_WS_SLOW_CLOSE  /* as QUEUE, but at the limit it is closed (1013) */
};

/* How many connections ... */
typedef struct sonic_ws_broadcast_counts {
    size_t sent;    /* have it queued */
    size_t above;   /* of these stand above their high-water mark */
    size_t dropped; /* did not get it: slow, or in the midst of a message that
                       is sent in parts */
    size_t closed;  /* were closed for being slow */
} sonic_ws_broadcast_counts;

/* sonic_ws_broadcast - send it to each open connection of a server
 *
 * counts may be NULL.  Connections that are closing are passed over.
 * ERRORS -EINVAL: the server is of another io. */
SONIC_API int sonic_ws_broadcast(sonic_ws_server *server, sonic_ws_prepared *p,
                                 enum sonic_ws_slow slow,
                                 sonic_ws_broadcast_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
