/* Whom we talk to, and what went wrong, as an error and in words. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* ---- words ------------------------------------------------------------ */

void
sonic__why(const struct sonic__why *why, const char *format, ...)
{
    va_list ap;

    if (why->text == NULL || why->cap == 0)
        return;
    va_start(ap, format);
    vsnprintf(why->text, why->cap, format, ap);
    va_end(ap);
}

void
sonic__tls_explain(struct sonic__tls *t, const char *format, ...)
{
    va_list ap;

    if (t->why == NULL)
        t->why = sonic__alloc(t->stream.object.io, SONIC__TLS_WHY);
    if (t->why == NULL)
        return;
    /* The first reason stands, but for one that did no harm. */
    if (*t->why != '\0' && !(t->flags & SONIC__TLS_HARMLESS))
        return;
    t->flags &= ~(unsigned)SONIC__TLS_HARMLESS;
    va_start(ap, format);
    vsnprintf(t->why, SONIC__TLS_WHY, format, ap);
    va_end(ap);
}

/* ---- errors of verification ------------------------------------------- */

int
sonic__tls_verify_error(long x509_error)
{
    static const struct {
        int x509, err;
    } table[] = {
        {X509_V_OK, 0},
        {X509_V_ERR_CERT_HAS_EXPIRED, SONIC_ETLS_EXPIRED},
        {X509_V_ERR_CERT_NOT_YET_VALID, SONIC_ETLS_NOT_YET_VALID},
        {X509_V_ERR_HOSTNAME_MISMATCH, SONIC_ETLS_WRONG_HOST},
        {X509_V_ERR_IP_ADDRESS_MISMATCH, SONIC_ETLS_WRONG_HOST},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, SONIC_ETLS_SELF_SIGNED},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, SONIC_ETLS_UNKNOWN_ISSUER},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, SONIC_ETLS_UNKNOWN_ISSUER},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         SONIC_ETLS_UNKNOWN_ISSUER},
        {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, SONIC_ETLS_UNKNOWN_ISSUER},
        {X509_V_ERR_CERT_UNTRUSTED, SONIC_ETLS_UNKNOWN_ISSUER},
        {X509_V_ERR_CERT_REVOKED, SONIC_ETLS_REVOKED},
        {X509_V_ERR_UNABLE_TO_GET_CRL, SONIC_ETLS_CRL},
        {X509_V_ERR_CRL_NOT_YET_VALID, SONIC_ETLS_CRL},
        {X509_V_ERR_CRL_HAS_EXPIRED, SONIC_ETLS_CRL},
        {X509_V_ERR_CRL_SIGNATURE_FAILURE, SONIC_ETLS_CRL},
        {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, SONIC_ETLS_CRL},
        {X509_V_ERR_INVALID_PURPOSE, SONIC_ETLS_PURPOSE},
        {X509_V_ERR_INVALID_CA, SONIC_ETLS_PURPOSE},
        {X509_V_ERR_CERT_REJECTED, SONIC_ETLS_PURPOSE},
        {X509_V_ERR_CERT_SIGNATURE_FAILURE, SONIC_ETLS_SIGNATURE},
        {X509_V_ERR_EE_KEY_TOO_SMALL, SONIC_ETLS_WEAK},
        {X509_V_ERR_CA_KEY_TOO_SMALL, SONIC_ETLS_WEAK},
        {X509_V_ERR_CA_MD_TOO_WEAK, SONIC_ETLS_WEAK},
        {X509_V_ERR_OUT_OF_MEM, -ENOMEM},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].x509 == x509_error)
            return table[i].err;
    return SONIC_ETLS_VERIFY;
}

static bool
has_names(const X509 *x)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    bool yes = names != NULL;

    GENERAL_NAMES_free(names);
    return yes;
}

static void
print_time(const ASN1_TIME *when, char *text, size_t cap)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(when, &tm) != 1 ||
        strftime(text, cap, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(text, cap, "?");
}

/* What the certificate says that is refused. */
static void
explain_certificate(struct sonic__tls *t, X509 *x, long v)
{
    char text[SONIC__TLS_WHY / 2] = "";

    switch (v) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        print_time(X509_get0_notAfter(x), text, sizeof text);
        sonic__tls_explain(t, "certificate expired on %s", text);
        return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        print_time(X509_get0_notBefore(x), text, sizeof text);
        sonic__tls_explain(t, "certificate is not valid before %s", text);
        return;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        if (!has_names(x)) {
            sonic__tls_explain(t, "certificate names no host: it has no "
                                  "subjectAltName");
            return;
        }
        sonic__tls_certificate_name(x, text, sizeof text);
        sonic__tls_explain(t, "certificate is for %s, not for %.100s", text,
                           t->name != NULL ? t->name : "this name");
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        X509_NAME_oneline(X509_get_issuer_name(x), text, (int)sizeof text);
        sonic__tls_explain(t, "issuer is not known or trusted: %s", text);
        return;
    default:
        sonic__tls_explain(t, "%s", X509_verify_cert_error_string(v));
    }
}

/* OpenSSL's word on a certificate of the chain, which is gone when the
 * handshake has failed. */
int
sonic__tls_on_verified(int ok, X509_STORE_CTX *store)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct sonic__tls *t = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
    X509 *x = X509_STORE_CTX_get_current_cert(store);

    if (!ok && t != NULL && x != NULL)
        explain_certificate(t, x, X509_STORE_CTX_get_error(store));
    return ok;
}

static int
verify_failure(struct sonic__tls *t)
{
    long v = SSL_get_verify_result(t->ssl);

    sonic__tls_explain(t, "%s", X509_verify_cert_error_string(v));
    return sonic__tls_verify_error(v);
}

int
sonic_tls_verify_result(const sonic_stream *tls)
{
    struct sonic__tls *t = sonic__tls_of(tls);
    long v;

    if (t == NULL || (t->opening != NULL && t->error == 0))
        return 0;
    if (t->own != NULL)
        return t->own->verified;
    v = SSL_get_verify_result(t->ssl);
    if (v == X509_V_OK && SSL_get0_peer_certificate(t->ssl) == NULL)
        return SONIC_ETLS_NO_CERTIFICATE;
    return sonic__tls_verify_error(v);
}

/* ---- errors of OpenSSL ------------------------------------------------ */

static int
alert_error(int alert)
{
    switch (alert) {
    case SSL_AD_PROTOCOL_VERSION:
        return SONIC_ETLS_VERSION;
    case SSL_AD_NO_APPLICATION_PROTOCOL:
        return SONIC_ETLS_ALPN;
    default:
        return SONIC_ETLS_ALERT;
    }
}

/* The peer has sent a fatal alert. */
static int
told(struct sonic__tls *t, int alert)
{
    sonic__tls_explain(t, "the peer says: %s (alert %d)",
                       SSL_alert_desc_string_long(alert), alert);
    return alert_error(alert);
}

static int
reason_error(int reason)
{
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return SONIC_ETLS_NO_CERTIFICATE;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
        return SONIC_ETLS_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        return SONIC_ETLS_CIPHER;
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return SONIC_ETLS_ALPN;
    default:
        return SONIC_ETLS_PROTOCOL;
    }
}

/* What OpenSSL has in its queue of errors, the first of which is the cause. */
int
sonic__tls_fail(struct sonic__tls *t, int ssl_error)
{
    unsigned long e = ERR_peek_error();
    int reason = ERR_GET_REASON(e), err;
    const char *words = e != 0 ? ERR_reason_error_string(e) : NULL;

    if (e != 0 && reason == ERR_R_MALLOC_FAILURE)
        err = -ENOMEM;
    else if (ERR_GET_LIB(e) != ERR_LIB_SSL)
        err = e == 0 && ssl_error == SSL_ERROR_SYSCALL ? SONIC_ETLS_PROTOCOL
                                                       : SONIC_ETLS;
    else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        err = verify_failure(t);
    else if (reason > SSL_AD_REASON_OFFSET)
        err = told(t, reason - SSL_AD_REASON_OFFSET);
    else
        err = reason_error(reason);
    sonic__tls_explain(t, "%s", words != NULL ? words : sonic_strerror(err));
    ERR_clear_error();
    return err;
}

/* The same of our own records. */
int
sonic__tls_own_fail(struct sonic__tls *t)
{
    const struct sonic__tls_record *r = &t->own->record;
    int err = r->error == SONIC_ETLS_ALERT ? told(t, r->alert) : r->error;

    sonic__tls_explain(t, "%s", r->why != NULL ? r->why : sonic_strerror(err));
    ERR_clear_error();
    return err;
}

/* ---- names ------------------------------------------------------------ */

enum { NAME_MAX_LEN = 254 }; /* RFC 1035 section 2.3.4, and a final dot */

static bool
is_address(const char *text)
{
    uint8_t address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, address) == 1 ||
           inet_pton(AF_INET6, text, address) == 1;
}

/* A host without the dot at its end, the scope of an address, brackets. */
static int
tidy_name(const char *from, char to[NAME_MAX_LEN + 2])
{
    size_t n = strlen(from);
    const char *scope = strchr(from, '%');

    if (n > 1 && from[0] == '[' && from[n - 1] == ']') {
        from++;
        n -= 2;
    }
    if (scope != NULL && memchr(from, ':', n) != NULL)
        n = (size_t)(scope - from);
    if (n > 0 && from[n - 1] == '.')
        n--;
    if (n == 0 || n >= NAME_MAX_LEN)
        return SONIC_EOPTION;
    memcpy(to, from, n);
    to[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)to[i] <= ' ' || (unsigned char)to[i] >= 0x7f)
            return SONIC_EOPTION;
    return 0;
}

static int
set_verified_name(struct sonic__tls *t, const char *name)
{
    X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
    size_t n = strlen(name) + 1;

    X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                           X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(p, name) != 1
                         : X509_VERIFY_PARAM_set1_host(p, name, 0) != 1)
        return -ENOMEM;
    t->name = sonic__alloc(t->stream.object.io, n);
    if (t->name == NULL)
        return -ENOMEM;
    memcpy(t->name, name, n);
    return 0;
}

/* Of a client: what it asks for and what it verifies. */
int
sonic__tls_name_peer(struct sonic__tls *t, const sonic_tls_options *opt)
{
    const char *verify =
        opt->verify_name != NULL ? opt->verify_name : opt->server_name;
    const char *sni = opt->sni != NULL ? opt->sni : opt->server_name;
    char name[NAME_MAX_LEN + 2];
    int err;

    if (sni != NULL && *sni != '\0') {
        err = tidy_name(sni, name);
        if (err < 0)
            return err;
        if (!is_address(name) && SSL_set_tlsext_host_name(t->ssl, name) != 1)
            return -ENOMEM;
    }
    if (opt->verify_host == SONIC_OFF)
        return 0;
    if (verify == NULL)
        return t->ctx->opt.verify == SONIC_OFF ? 0 : SONIC_EOPTION;
    err = tidy_name(verify, name);
    return err < 0 ? err : set_verified_name(t, name);
}

static bool
is_for(const struct sonic__tls *t, X509 *x)
{
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                     X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

    if (t->name == NULL)
        return true;
    if (is_address(t->name))
        return X509_check_ip_asc(x, t->name, flags) == 1;
    return X509_check_host(x, t->name, 0, flags, NULL) == 1;
}

/* A session that is resumed shows no certificate: the one that it began with
 * must still be good for us, whoever made the session. */
int
sonic__tls_accept_peer(struct sonic__tls *t)
{
    X509 *x = SSL_get0_peer_certificate(t->ssl);
    long v = SSL_get_verify_result(t->ssl);

    if (t->ctx->role == SONIC_TLS_SERVER || t->ctx->opt.verify == SONIC_OFF)
        return 1;
    if (x == NULL) {
        sonic__tls_explain(t, "the server has shown no certificate");
        return SONIC_ETLS_NO_CERTIFICATE;
    }
    if (v == X509_V_OK && SSL_session_reused(t->ssl)) {
        if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
            v = X509_V_ERR_CERT_HAS_EXPIRED;
        else if (!is_for(t, x))
            v = X509_V_ERR_HOSTNAME_MISMATCH;
    }
    if (v == X509_V_OK)
        return 1;
    explain_certificate(t, x, v);
    return sonic__tls_verify_error(v);
}
