/* tls_keys.h - one direction of TLS 1.3 once the handshake is over
 *
 * A traffic secret, the key and the iv that it gives, and records sealed and
 * opened with them: RFC 8446 sections 5.2, 5.3, 7.2 and 7.3.  The ciphers are
 * OpenSSL's; this knows neither streams nor what is in a record.
 *
 * A record is
 *     type 23, version 0x0303, length | content, its type, zeros | tag
 * where everything behind the first bar is encrypted.
 */
#ifndef SONICIO_SRC_TLS_KEYS_H
#define SONICIO_SRC_TLS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <openssl/evp.h>

enum {
    SONIC__TLS_SECRET_MAX = 48, /* bytes: of SHA-384 */
    SONIC__TLS_KEY_MAX = 32,    /* bytes */
    SONIC__TLS_IV = 12,         /* bytes: of every suite */
    SONIC__TLS_TAG = 16,        /* bytes: of every suite */
    SONIC__TLS_HEAD = 5,        /* bytes of a record before its content */
    SONIC__TLS_TAIL = 1 + SONIC__TLS_TAG, /* bytes behind it, unpadded */
    SONIC__TLS_CONTENT = 16384,           /* bytes at most, RFC 8446 5.1 */
    SONIC__TLS_SEALED = 16384 + 256       /* length at most, RFC 8446 5.2 */
};

enum sonic__tls_type { /* of content, RFC 8446 section 5.1 */
                       SONIC__TLS_CHANGE_CIPHER_SPEC = 20,
                       SONIC__TLS_ALERT = 21,
                       SONIC__TLS_HANDSHAKE = 22,
                       SONIC__TLS_DATA = 23
};

struct sonic__tls_suite {
    uint16_t id; /* as on the wire, RFC 8446 B.4 */
    uint8_t key_len, secret_len;
    const char *name; /* of the suite, as OpenSSL has it */
    const char *digest;
    const EVP_CIPHER *(*cipher)(void);
};

/* By its number on the wire; NULL: none that is known here. */
const struct sonic__tls_suite *sonic__tls_suite(unsigned id);

/* What a secret gives, for whoever encrypts (the kernel does too). */
struct sonic__tls_traffic {
    uint8_t key[SONIC__TLS_KEY_MAX]; /* suite->key_len bytes */
    uint8_t iv[SONIC__TLS_IV];
};

/* RFC 8446 section 7.3.  0, or -ENOMEM, SONIC_ETLS.  The caller cleanses. */
int sonic__tls_keys_derive(const struct sonic__tls_suite *suite,
                           const uint8_t *secret,
                           struct sonic__tls_traffic *out);
/* RFC 8446 section 7.2: the secret after this one, in its place. */
int sonic__tls_secret_update(const struct sonic__tls_suite *suite,
                             uint8_t *secret);

struct sonic__tls_keys {
    const struct sonic__tls_suite *suite;
    EVP_CIPHER_CTX *cipher; /* with the key set, for one direction */
    uint64_t seq;           /* of the next record */
    uint8_t iv[SONIC__TLS_IV];
    uint8_t secret[SONIC__TLS_SECRET_MAX]; /* current, for the next */
};

/* Keys from a secret of suite->secret_len bytes, for sealing or for opening,
 * at record seq.  k is zeros; after an error it is as sonic__tls_keys_end
 * leaves it.  0, or -ENOMEM, SONIC_ETLS. */
int sonic__tls_keys_begin(struct sonic__tls_keys *k,
                          const struct sonic__tls_suite *suite,
                          const uint8_t *secret, bool seals, uint64_t seq);
/* The next generation: the first record is number 0 again.  An error leaves
 * keys that must not be used. */
int sonic__tls_keys_update(struct sonic__tls_keys *k, bool seals);
/* Nothing secret is left.  Twice does no harm. */
void sonic__tls_keys_end(struct sonic__tls_keys *k);

/* Where sealed content comes from, and how far it has come. */
struct sonic__tls_from {
    const struct iovec *iov;
    size_t done; /* bytes of *iov */
};

/* Bytes of the record that content of n bytes makes. */
static inline size_t
sonic__tls_sealed_size(size_t n)
{
    return SONIC__TLS_HEAD + n + SONIC__TLS_TAIL;
}

/* Seal the next n bytes of `from` as one record.  It goes to to[0] and then,
 * when that is full, to to[1]; together they are of its size.  to[0] holds at
 * least its head, and the tail is not cut.  `from` moves on.
 * 0, or SONIC_ETLS. */
int sonic__tls_keys_seal(struct sonic__tls_keys *k, enum sonic__tls_type type,
                         struct sonic__tls_from *from, size_t n,
                         const struct iovec to[2]);

/* Open the whole record of `size` bytes: content, type and zeros, which are
 * size - HEAD - TAG bytes, go to `to`, which may be where they stand; the last
 * of them to *last instead, when that is not NULL.
 * 0; SONIC_ETLS_PROTOCOL when it is not authentic (what stands in `to` is
 * wiped); SONIC_ETLS when OpenSSL fails. */
int sonic__tls_keys_open(struct sonic__tls_keys *k, const uint8_t *record,
                         size_t size, uint8_t *to, uint8_t *last);

#endif
