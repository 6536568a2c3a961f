/* tls_crafted.h - a peer of TLS 1.3 that sends whatever a test wants
 *
 * OpenSSL makes the handshake; then the test takes the secrets and seals and
 * opens records itself, see ktls_sim.h.
 */
#ifndef SONICIO_TESTS_TLS_CRAFTED_H
#define SONICIO_TESTS_TLS_CRAFTED_H

#include "ktls_kit.h"

enum { ALERT = 21, HANDSHAKE = 22, DATA = 23 }; /* types of records */

struct crafted {
    struct rig *r;
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    uint8_t secret[2][48]; /* the client's, the server's */
    size_t n_secret;
    struct sealing in, out;
    uint8_t raw[4 * SEALED_MAX]; /* received */
    size_t n;
};

/* A peer on fd, which the test closes.  suite: NULL is OpenSSL's choice. */
void crafted_open(struct crafted *c, struct rig *r, int fd, bool server,
                  const char *suite);
/* The handshake with an end of which *o will be told, and the keys. */
void crafted_shake(struct crafted *c, const struct outcome *o);
void crafted_keys(struct crafted *c);
void crafted_close(struct crafted *c);

/* A record as bytes, and sent. */
size_t crafted_seal(struct crafted *c, uint8_t type, const void *p, size_t n,
                    uint8_t *out);
void crafted_send(struct crafted *c, uint8_t type, const void *p, size_t n);
/* Run until a record comes: its content and type; -1: the stream has ended.
 * Tickets are passed over. */
int crafted_next(struct crafted *c, uint8_t *out, uint8_t *type);
/* The next keys of a direction, RFC 8446 section 7.2: of the peer's own records
 * or of the other end's. */
void crafted_update(struct crafted *c, bool own);

/* A stream of ours in that role, in the kernel's hands, with c at the other
 * end. */
sonic_stream *crafted_meet(struct rig *r, struct crafted *c,
                           enum sonic_tls_role role, const char *suite);
void crafted_read(struct rig *r, sonic_stream *s, void *buf, size_t n,
                  struct outcome *o);
/* What c says arrives at s, and the other way round. */
void crafted_hears(struct crafted *c, sonic_stream *s, const char *text);
void crafted_says(struct crafted *c, sonic_stream *s, const char *text);
/* The next record is this one. */
void crafted_expect(struct crafted *c, int type, const void *p, size_t n);

#endif
