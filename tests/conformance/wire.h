/* A connection as the runner sees it: a socket, perhaps TLS by OpenSSL over
 * it, bytes in and bytes out.  Non-blocking; every wait ends at a deadline. */
#ifndef CONFORMANCE_WIRE_H
#define CONFORMANCE_WIRE_H

#include <openssl/ssl.h>

#include "bytes.h"

enum wire_end { WIRE_OPEN, WIRE_EOF, WIRE_RESET, WIRE_LATE, WIRE_TLS };

struct wire {
    int fd;
    bool step;   /* a piece goes out when the peer has read the one before */
    size_t chop; /* bytes a piece; 0 is all at once */
    size_t cipher_chop; /* the same of TLS's own bytes */
    int64_t deadline;
    enum wire_end end; /* of what comes in */
    bool deaf;         /* the peer takes no more */
    struct bytes in;   /* [at, len) is not taken yet */
    size_t at;
    struct bytes out;
    SSL *ssl;
    BIO *from_net, *to_net;
    int version;   /* the only one that we speak; 0: any */
    char why[160]; /* what TLS says is wrong */
};

/* Take fd over.  ctx may be NULL: no TLS. */
void wire_open(struct wire *w, int fd, bool step);
/* The TLS handshake; host is NULL for the server's side. */
bool wire_secure(struct wire *w, SSL_CTX *ctx, const char *host);
void wire_close(struct wire *w);  /* the socket, at once */
void wire_cut(struct wire *w);    /* with a reset */
void wire_finish(struct wire *w); /* no more from us: close_notify, FIN */

/* Send what is in out.  False when the peer takes no more, or not in time. */
bool wire_flush(struct wire *w);
/* Send what TLS itself has to say. */
bool wire_push_cipher(struct wire *w);
/* Wait for more bytes: whether some came. */
bool wire_fill(struct wire *w);
/* At least n bytes that are not taken, or the end. */
bool wire_need(struct wire *w, size_t n);

/* Sockets.  An address is HOST:PORT, numeric, or unix:PATH. */
int wire_dial(const char *address);
int wire_listen(const char *address, char *bound, size_t cap);

#endif
