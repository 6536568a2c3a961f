/* ws_deflate.h - the world of ws_peer.h with permessage-deflate: a peer that
 * compresses and inflates with zlib alone, and says and hears frames of any
 * size. */
#ifndef SONICIO_TESTS_WS_DEFLATE_H
#define SONICIO_TESTS_WS_DEFLATE_H

#include <zlib.h>

#include "ws_deflate_json.h"
#include "ws_peer.h"

#define DEFLATE "permessage-deflate"
#define TAKEOVERS_OFF                                                          \
    DEFLATE "; server_no_context_takeover; client_no_context_takeover"

/* A server, upgraded by an offer; a client, upgraded by an answer (NULL: of
 * no extension).  The answer, or the offer, is left in w->value. */
struct deflate_world {
    struct ws_world w;
    sonic_ws_deflate_options opt; /* of ours; set before */
    char value[256];
    uint32_t key; /* the next frame's, so that they differ */
};

void dw_open(struct deflate_world *d, int backend);
void dw_serve(struct deflate_world *d, const sonic_ws_handler *handler,
              const char *offer);
void dw_client(struct deflate_world *d, const sonic_ws_handler *handler,
               const char *answer);
void dw_close(struct deflate_world *d);

/* The peer says a frame; head is its first byte. */
void dw_say(struct deflate_world *d, uint8_t head, const void *p, size_t n);
/* The peer hears one: its first byte; *n bytes of payload, at most cap. */
uint8_t dw_hear(struct deflate_world *d, void *buf, size_t cap, size_t *n);
/* Hears the close of this code, and nothing else before it. */
void dw_expect_close(struct deflate_world *d, unsigned code);

/* The peer's zlib.  deflate: what a message's (or its part's, not last)
 * payload is; the bytes, at most cap. */
void dw_deflater(z_stream *z, int level, int bits, int memory, int strategy);
size_t dw_deflate(z_stream *z, const void *p, size_t n, uint8_t *out,
                  size_t cap, bool last);
void dw_inflater(z_stream *z, int bits);
/* Of a message that is whole; output one byte at a time where strict, so that
 * a window of `bits` must do. */
size_t dw_inflate(z_stream *z, const uint8_t *p, size_t n, uint8_t *out,
                  size_t cap, bool strict);

#define dw_json ws_deflate_json

#endif
