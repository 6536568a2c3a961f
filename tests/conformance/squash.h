/* permessage-deflate (RFC 7692) by zlib itself. */
#ifndef CONFORMANCE_SQUASH_H
#define CONFORMANCE_SQUASH_H

#include <zlib.h>

#include "bytes.h"

/* What the two ends agreed on. */
struct agreement {
    bool on;
    bool server_fresh, client_fresh;   /* ..._no_context_takeover */
    unsigned server_bits, client_bits; /* ..._max_window_bits; 15 unless said */
};

struct squash {
    bool on;
    bool out_fresh, in_fresh; /* no context takeover */
    z_stream out, in;
};

/* Read a Sec-WebSocket-Extensions answer that can only be permessage-deflate.
 * NULL, or what is wrong with it. */
const char *agreement_read(struct agreement *a, const char *text);

void squash_open(struct squash *s, const struct agreement *a, bool server);
void squash_close(struct squash *s);
/* A message: compressed, without its last 00 00 ff ff. */
void squash_out(struct squash *s, const void *data, size_t len,
                struct bytes *out);
/* The other way round.  NULL, or what is wrong. */
const char *squash_in(struct squash *s, const void *data, size_t len,
                      struct bytes *out);

#endif
