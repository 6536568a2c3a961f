#include "certificate.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

enum { HOUR = 3600, DAY = 24 * HOUR, RSA_BITS = 2048 };

static bool
add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    e = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    ok = e != NULL && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool
set_names(X509 *x, X509 *issuer, const struct certificate_wish *w)
{
    X509_NAME *name = X509_get_subject_name(x);
    const unsigned char *text = (const unsigned char *)w->name;

    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1,
                                      0) == 1 &&
           X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 &&
           (w->names == NULL ||
            add_extension(x, issuer, NID_subject_alt_name, w->names));
}

static bool
set_uses(X509 *x, X509 *issuer, const struct certificate_wish *w)
{
    return add_extension(x, issuer, NID_basic_constraints,
                         w->authority ? "critical,CA:TRUE" : "CA:FALSE") &&
           add_extension(x, issuer, NID_subject_key_identifier, "hash") &&
           (!w->authority ||
            add_extension(x, issuer, NID_key_usage, "keyCertSign,cRLSign")) &&
           (w->usage == NULL ||
            add_extension(x, issuer, NID_ext_key_usage, w->usage));
}

static bool
fill(const struct certificate_wish *w, struct certificate *c)
{
    X509 *issuer = w->issuer != NULL ? w->issuer->x509 : c->x509;
    EVP_PKEY *key = w->issuer != NULL ? w->issuer->key : c->key;
    bool usual = w->from == 0 && w->to == 0;

    return X509_set_version(c->x509, 2) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(c->x509),
                            w->serial != 0 ? w->serial : 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(c->x509),
                           usual ? -HOUR : w->from) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(c->x509), usual ? DAY : w->to) !=
               NULL &&
           X509_set_pubkey(c->x509, c->key) == 1 &&
           set_names(c->x509, issuer, w) && set_uses(c->x509, issuer, w) &&
           X509_sign(c->x509, key, EVP_sha256()) > 0;
}

/* What b holds, terminated; in memory of malloc(3). */
static char *
text_of(BIO *b, size_t *len)
{
    const char *from;
    long n = BIO_get_mem_data(b, &from);
    char *to = n < 0 ? NULL : malloc((size_t)n + 1);

    if (to == NULL)
        return NULL;
    memcpy(to, from, (size_t)n);
    to[n] = '\0';
    *len = (size_t)n;
    return to;
}

static bool
write_pem(const struct certificate_wish *w, struct certificate *c)
{
    BIO *chain = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
    const struct certificate *up = w->issuer;
    bool ok = chain != NULL && key != NULL &&
              PEM_write_bio_X509(chain, c->x509) == 1 &&
              PEM_write_bio_PKCS8PrivateKey(key, c->key, NULL, NULL, 0, NULL,
                                            NULL) == 1;

    if (ok && up != NULL &&
        X509_NAME_cmp(X509_get_subject_name(up->x509),
                      X509_get_issuer_name(up->x509)) != 0)
        ok = BIO_write(chain, up->pem, (int)up->pem_len) == (int)up->pem_len;
    if (ok) {
        c->pem = text_of(chain, &c->pem_len);
        c->key_pem = text_of(key, &c->key_len);
    }
    BIO_free(chain);
    BIO_free(key);
    return ok && c->pem != NULL && c->key_pem != NULL;
}

bool
certificate_make(const struct certificate_wish *wish, struct certificate *out)
{
    *out = (struct certificate){.x509 = X509_new()};
    out->key = wish->rsa ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
    if (out->x509 != NULL && out->key != NULL && fill(wish, out) &&
        write_pem(wish, out))
        return true;
    certificate_free(out);
    ERR_clear_error();
    return false;
}

void
certificate_free(struct certificate *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
    free(c->pem);
    free(c->key_pem);
    *c = (struct certificate){0};
}
