/* Traffic secrets and records of TLS 1.3, with OpenSSL's ciphers. */
#include "net/tls_keys.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>

#include <sonicio/error.h>

/* Content that is copied to where it is encrypted in place: up to this many
 * bytes that costs less than another call of OpenSSL's. */
enum { SMALL = 512 };

/* ---- suites ----------------------------------------------------------- */

const struct sonic__tls_suite *
sonic__tls_suite(unsigned id)
{
    static const struct sonic__tls_suite suites[] = {
        {0x1301, 16, 32, "TLS_AES_128_GCM_SHA256", "SHA256", EVP_aes_128_gcm},
        {0x1302, 32, 48, "TLS_AES_256_GCM_SHA384", "SHA384", EVP_aes_256_gcm},
        {0x1303, 32, 32, "TLS_CHACHA20_POLY1305_SHA256", "SHA256",
         EVP_chacha20_poly1305},
    };

    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (suites[i].id == id)
            return &suites[i];
    return NULL;
}

/* ---- secrets ---------------------------------------------------------- */

/* HKDF-Expand-Label without a context: RFC 8446 section 7.1. */
static int
expand_label(const struct sonic__tls_suite *suite, const uint8_t *secret,
             const char *label, uint8_t *out, size_t len)
{
    static const char prefix[] = "tls13 ";
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    size_t n = strlen(prefix) + strlen(label);
    uint8_t info[32] = {0, (uint8_t)len, (uint8_t)n}; /* ends in a 0 */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                         (char *)(uintptr_t)suite->digest, 0),
        OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, suite->secret_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 3 + n + 1),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    int ok;

    memcpy(info + 3, prefix, strlen(prefix));
    memcpy(info + 3 + strlen(prefix), label, strlen(label));
    ok = ctx != NULL ? EVP_KDF_derive(ctx, out, len, params) : 1;
    EVP_KDF_free(kdf);
    if (ctx == NULL)
        return -ENOMEM;
    EVP_KDF_CTX_free(ctx);
    return ok == 1 ? 0 : SONIC_ETLS;
}

int
sonic__tls_keys_derive(const struct sonic__tls_suite *suite,
                       const uint8_t *secret, struct sonic__tls_traffic *out)
{
    int err = expand_label(suite, secret, "key", out->key, suite->key_len);

    return err < 0 ? err
                   : expand_label(suite, secret, "iv", out->iv, SONIC__TLS_IV);
}

int
sonic__tls_secret_update(const struct sonic__tls_suite *suite, uint8_t *secret)
{
    uint8_t next[SONIC__TLS_SECRET_MAX];
    int err =
        expand_label(suite, secret, "traffic upd", next, suite->secret_len);

    if (err == 0)
        memcpy(secret, next, suite->secret_len);
    OPENSSL_cleanse(next, sizeof next);
    return err;
}

/* ---- keys ------------------------------------------------------------- */

static int
set_key(struct sonic__tls_keys *k, const EVP_CIPHER *cipher, bool seals)
{
    struct sonic__tls_traffic t;
    int err = sonic__tls_keys_derive(k->suite, k->secret, &t);

    if (err == 0 &&
        EVP_CipherInit_ex(k->cipher, cipher, NULL, t.key, t.iv, seals) != 1)
        err = SONIC_ETLS;
    if (err == 0)
        memcpy(k->iv, t.iv, sizeof k->iv);
    OPENSSL_cleanse(&t, sizeof t);
    return err;
}

int
sonic__tls_keys_begin(struct sonic__tls_keys *k,
                      const struct sonic__tls_suite *suite,
                      const uint8_t *secret, bool seals, uint64_t seq)
{
    int err;

    k->suite = suite;
    k->seq = seq;
    memcpy(k->secret, secret, suite->secret_len);
    k->cipher = EVP_CIPHER_CTX_new();
    err = k->cipher == NULL ? -ENOMEM : set_key(k, suite->cipher(), seals);
    if (err < 0)
        sonic__tls_keys_end(k);
    return err;
}

int
sonic__tls_keys_update(struct sonic__tls_keys *k, bool seals)
{
    int err = sonic__tls_secret_update(k->suite, k->secret);

    k->seq = 0;
    return err < 0 ? err : set_key(k, NULL, seals);
}

void
sonic__tls_keys_end(struct sonic__tls_keys *k)
{
    EVP_CIPHER_CTX_free(k->cipher); /* cleanses */
    OPENSSL_cleanse(k, sizeof *k);
}

/* ---- records ---------------------------------------------------------- */

/* A nonce for the next record, and its head to be authentic: RFC 8446 sections
 * 5.3 and 5.2. */
static bool
begin(struct sonic__tls_keys *k, const uint8_t *head)
{
    uint8_t nonce[SONIC__TLS_IV];
    uint64_t seq = k->seq++;
    int n;

    memcpy(nonce, k->iv, sizeof nonce);
    for (size_t i = sizeof nonce; seq > 0; seq >>= 8)
        nonce[--i] ^= (uint8_t)seq;
    return EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, nonce, -1) == 1 &&
           EVP_CipherUpdate(k->cipher, NULL, &n, head, SONIC__TLS_HEAD) == 1;
}

static bool
crypt(struct sonic__tls_keys *k, const void *from, size_t n, uint8_t *to)
{
    int got;

    return n == 0 ||
           (EVP_CipherUpdate(k->cipher, to, &got, from, (int)n) == 1 &&
            (size_t)got == n);
}

static size_t
part(struct sonic__tls_from *from, size_t most, const uint8_t **p)
{
    size_t n;

    while (from->done == from->iov->iov_len) {
        from->iov++;
        from->done = 0;
    }
    n = from->iov->iov_len - from->done;
    n = n < most ? n : most;
    *p = (const uint8_t *)from->iov->iov_base + from->done;
    from->done += n;
    return n;
}

/* The next n bytes, and the type behind them, in one call. */
static bool
seal_small(struct sonic__tls_keys *k, uint8_t type,
           struct sonic__tls_from *from, size_t n, uint8_t *to)
{
    const uint8_t *p;

    for (size_t at = 0, got; at < n; at += got) {
        got = part(from, n - at, &p);
        memcpy(to + at, p, got);
    }
    to[n] = type;
    return crypt(k, to, n + 1, to);
}

static bool
seal_parts(struct sonic__tls_keys *k, struct sonic__tls_from *from, size_t n,
           uint8_t *to)
{
    const uint8_t *p;
    bool ok = true;

    for (size_t at = 0, got; ok && at < n; at += got) {
        got = part(from, n - at, &p);
        ok = crypt(k, p, got, to + at);
    }
    return ok;
}

int
sonic__tls_keys_seal(struct sonic__tls_keys *k, enum sonic__tls_type type,
                     struct sonic__tls_from *from, size_t n,
                     const struct iovec to[2])
{
    uint8_t *head = to[0].iov_base, *tail = head + SONIC__TLS_HEAD + n;
    size_t len = n + SONIC__TLS_TAIL, first = n;
    uint8_t t = (uint8_t)type;
    bool ok;
    int unused;

    if (to[1].iov_len > 0) {
        first = to[0].iov_len - SONIC__TLS_HEAD;
        tail = (uint8_t *)to[1].iov_base + (n - first);
    }
    head[0] = SONIC__TLS_DATA;
    head[1] = head[2] = 3;
    head[3] = (uint8_t)(len >> 8);
    head[4] = (uint8_t)len;
    ok = begin(k, head);
    head += SONIC__TLS_HEAD;
    if (n <= SMALL && to[1].iov_len == 0)
        ok = ok && seal_small(k, t, from, n, head);
    else
        ok = ok && seal_parts(k, from, first, head) &&
             seal_parts(k, from, n - first, tail - (n - first)) &&
             crypt(k, &t, 1, tail);
    ok = ok && EVP_CipherFinal_ex(k->cipher, tail + 1, &unused) == 1 &&
         EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_GET_TAG, SONIC__TLS_TAG,
                             tail + 1) == 1;
    return ok ? 0 : SONIC_ETLS;
}

int
sonic__tls_keys_open(struct sonic__tls_keys *k, const uint8_t *record,
                     size_t size, uint8_t *to, uint8_t *last)
{
    size_t n = size - SONIC__TLS_HEAD - SONIC__TLS_TAG;
    size_t here = last != NULL ? n - 1 : n;
    uint8_t tag[SONIC__TLS_TAG];
    int unused;

    if (size <= SONIC__TLS_HEAD + SONIC__TLS_TAG)
        return SONIC_ETLS_PROTOCOL;
    record += SONIC__TLS_HEAD;
    memcpy(tag, record + n, sizeof tag);
    if (!begin(k, record - SONIC__TLS_HEAD) || !crypt(k, record, here, to) ||
        (last != NULL && !crypt(k, record + here, 1, last)) ||
        EVP_CIPHER_CTX_ctrl(k->cipher, EVP_CTRL_AEAD_SET_TAG, SONIC__TLS_TAG,
                            tag) != 1)
        return SONIC_ETLS;
    if (EVP_CipherFinal_ex(k->cipher, tag, &unused) == 1)
        return 0;
    OPENSSL_cleanse(to, here);
    return SONIC_ETLS_PROTOCOL;
}
