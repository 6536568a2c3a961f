/* certificate.h - certificates made on the spot, in memory: for a server that
 * shows itself, and for tests.  Nobody else should trust them. */
#ifndef SONICIO_TOOLS_CERTIFICATE_H
#define SONICIO_TOOLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

struct certificate {
    X509 *x509;
    EVP_PKEY *key;
    char *pem; /* of itself, then of what issued it, but for a root */
    size_t pem_len;
    char *key_pem;
    size_t key_len;
};

struct certificate_wish {
    const char *name; /* common name */
    const char
        *names; /* subjectAltName, "DNS:example.org,IP:127.0.0.1"; NULL */
    const char *usage; /* extendedKeyUsage, "serverAuth"; NULL: any */
    long from, to;     /* seconds from now; both 0: an hour ago, in a day */
    bool authority;    /* it may issue others */
    bool rsa;          /* an RSA key of 2048 bits instead of P-256 */
    long serial;       /* 0: 1 */
    const struct certificate *issuer; /* NULL: itself */
};

/* False when OpenSSL will not; then *out is empty.  Give it back with
 * certificate_free, which also takes an empty one. */
bool certificate_make(const struct certificate_wish *wish,
                      struct certificate *out);
void certificate_free(struct certificate *c);

#endif
