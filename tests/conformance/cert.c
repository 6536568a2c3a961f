/* A certificate of our own, and contexts that use it. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "runner.h"

static bool
add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;
    bool good;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    good = e != NULL && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return good;
}

static bool
write_pem(const char *files, const char *suffix, X509 *x, EVP_PKEY *key)
{
    char name[1024];
    FILE *f;
    bool good;

    snprintf(name, sizeof name, "%s%s", files, suffix);
    f = fopen(name, "w");
    if (f == NULL) {
        perror(name);
        return false;
    }
    good = x != NULL ? PEM_write_X509(f, x)
                     : PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    return fclose(f) == 0 && good;
}

bool
cert_make(const char *files)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    bool good;

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    good = add_extension(x, NID_subject_alt_name,
                         "DNS:localhost,IP:127.0.0.1,IP:::1") &&
           add_extension(x, NID_basic_constraints, "critical,CA:TRUE") &&
           X509_sign(x, key, EVP_sha256()) > 0 &&
           write_pem(files, ".crt", x, NULL) &&
           write_pem(files, ".key", NULL, key);
    X509_free(x);
    EVP_PKEY_free(key);
    return good;
}

SSL_CTX *
cert_context(const char *files, bool server)
{
    SSL_CTX *ctx =
        SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    char crt[1024], key[1024];
    bool good;

    snprintf(crt, sizeof crt, "%s.crt", files);
    snprintf(key, sizeof key, "%s.key", files);
    if (server) {
        good = SSL_CTX_use_certificate_chain_file(ctx, crt) == 1 &&
               SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1;
    } else {
        good = SSL_CTX_load_verify_locations(ctx, crt, NULL) == 1;
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    }
    if (!good) {
        fprintf(stderr, "conformance: cannot use %s and %s\n", crt, key);
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}
