/* secure.h - the TLS of the program's commands */
#ifndef SONICIO_TOOLS_SECURE_H
#define SONICIO_TOOLS_SECURE_H

#include <sonicio/tls.h>

#include "certificate.h"

enum { SECURE_CERTIFICATES = 16 };

/* Of a server: pairs in the order of their options; of a client at most one. */
struct secure_options {
    const char *cert[SECURE_CERTIFICATES], *key[SECURE_CERTIFICATES];
    unsigned n_certs, n_keys;
    const char *cacert;
    bool insecure, ktls;
};

/* NULL when the options fit together, else what is wrong. */
const char *secure_wrong(const struct secure_options *opt);

/* *out stays NULL when no certificate is given.  What is wrong is complained
 * about in the name of cmd. */
int secure_serve(sonic_io *io, const char *cmd,
                 const struct secure_options *opt, sonic_tls_context **out);
/* *out stays NULL when the library's default will do. */
int secure_client(sonic_io *io, const char *cmd,
                  const struct secure_options *opt, sonic_tls_context **out);

/* Contexts of a server that shows a certificate made on the spot for
 * 127.0.0.1, and of a client that trusts that one and no other. */
int secure_both(sonic_io *io, sonic_tls_context **server,
                sonic_tls_context **client);

/* What to do about a connection that TLS refused with err; NULL: nothing. */
const char *secure_advice(int err);

#endif
