/* Looking at a TLS stream. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/x509v3.h>

static const struct sonic__tls *
established(const sonic_stream *s)
{
    const struct sonic__tls *t = sonic__tls_of(s);

    return t != NULL && (t->flags & SONIC__TLS_ESTABLISHED) ? t : NULL;
}

const char *
sonic_tls_version_name(const sonic_stream *tls)
{
    const struct sonic__tls *t = established(tls);

    if (t == NULL)
        return NULL;
    return t->own != NULL ? "TLSv1.3" : SSL_get_version(t->ssl);
}

const char *
sonic_tls_cipher_name(const sonic_stream *tls)
{
    const struct sonic__tls *t = established(tls);

    if (t == NULL)
        return NULL;
    return t->own != NULL ? t->own->record.in.suite->name
                          : SSL_get_cipher_name(t->ssl);
}

const char *
sonic_tls_alpn(const sonic_stream *tls)
{
    const struct sonic__tls *t = established(tls);

    return t != NULL ? t->alpn : NULL;
}

const char *
sonic_tls_server_name(const sonic_stream *tls)
{
    const struct sonic__tls *t = sonic__tls_of(tls);

    if (t == NULL)
        return NULL;
    return t->own != NULL
               ? t->own->server_name
               : SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
}

static size_t
cut(const char *from, size_t n, char *buf, size_t cap)
{
    size_t k = cap == 0 ? 0 : n < cap - 1 ? n : cap - 1;

    if (cap == 0)
        return n;
    memcpy(buf, from, k);
    buf[k] = '\0';
    return n;
}

static size_t
print_name(const GENERAL_NAME *g, char *buf, size_t cap)
{
    char text[INET6_ADDRSTRLEN];
    const ASN1_STRING *s;

    if (g->type == GEN_DNS) {
        s = g->d.dNSName;
        return cut((const char *)ASN1_STRING_get0_data(s),
                   (size_t)ASN1_STRING_length(s), buf, cap);
    }
    if (g->type != GEN_IPADD)
        return 0;
    s = g->d.iPAddress;
    if (inet_ntop(ASN1_STRING_length(s) == 4 ? AF_INET : AF_INET6,
                  ASN1_STRING_get0_data(s), text, sizeof text) == NULL)
        return 0;
    return cut(text, strlen(text), buf, cap);
}

size_t
sonic__tls_certificate_name(X509 *x, char *buf, size_t cap)
{
    GENERAL_NAMES *names;
    char subject[256];
    size_t n = 0;

    names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; n == 0 && i < sk_GENERAL_NAME_num(names); i++)
        n = print_name(sk_GENERAL_NAME_value(names, i), buf, cap);
    GENERAL_NAMES_free(names);
    if (n > 0)
        return n;
    X509_NAME_oneline(X509_get_subject_name(x), subject, (int)sizeof subject);
    return cut(subject, strlen(subject), buf, cap);
}

/* A reference of the caller's; NULL: the peer has shown none. */
static X509 *
peer_certificate(const struct sonic__tls *t)
{
    const unsigned char *p;

    if (t == NULL)
        return NULL;
    if (t->own == NULL)
        return SSL_get1_peer_certificate(t->ssl);
    p = t->own->certificate;
    return p == NULL ? NULL : d2i_X509(NULL, &p, (long)t->own->n_certificate);
}

size_t
sonic_tls_peer_name(const sonic_stream *tls, char *buf, size_t cap)
{
    X509 *x = peer_certificate(sonic__tls_of(tls));
    size_t n = 0;

    if (cap > 0)
        *buf = '\0';
    if (x != NULL)
        n = sonic__tls_certificate_name(x, buf, cap);
    X509_free(x);
    return n;
}

size_t
sonic_tls_peer_certificate(const sonic_stream *tls, void *buf, size_t cap)
{
    X509 *x = peer_certificate(sonic__tls_of(tls));
    unsigned char *p = buf;
    int n = x != NULL ? i2d_X509(x, NULL) : 0;

    if (n > 0 && (size_t)n <= cap)
        (void)i2d_X509(x, &p);
    X509_free(x);
    return n > 0 ? (size_t)n : 0;
}

const char *
sonic_tls_reason(const sonic_stream *tls)
{
    const struct sonic__tls *t = sonic__tls_of(tls);
    int v;

    if (t == NULL)
        return "";
    if (t->why != NULL && *t->why != '\0')
        return t->why;
    if (t->error < 0)
        return sonic_strerror(t->error);
    v = established(tls) != NULL && t->ctx->role == SONIC_TLS_CLIENT
            ? sonic_tls_verify_result(tls)
            : 0;
    return v < 0 ? sonic_strerror(v) : "";
}

bool
sonic_tls_resumed(const sonic_stream *tls)
{
    const struct sonic__tls *t = established(tls);

    if (t == NULL)
        return false;
    return t->own != NULL ? t->own->resumed : SSL_session_reused(t->ssl);
}

const char *
sonic_tls_ktls(const sonic_stream *tls)
{
    const struct sonic__tls *t = sonic__tls_of(tls);

    return t != NULL ? t->ktls : NULL;
}

void *
sonic_tls_native(const sonic_stream *tls)
{
    const struct sonic__tls *t = sonic__tls_of(tls);

    return t != NULL ? t->ssl : NULL;
}
