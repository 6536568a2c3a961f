/* A server's choices: the certificate by the name that is asked for (RFC 6066
 * section 3), the application protocol (RFC 7301). */
#include "net/tls.h"

#include <string.h>

#include <openssl/x509v3.h>

/* Every certificate that is made out to name, so that one of each kind of key
 * can be had; 0 when there is none. */
static size_t
use_all(SSL *ssl, const struct sonic__tls_settings *s, const char *name)
{
    size_t used = 0;

    for (size_t i = 0; i < s->n_credentials; i++) {
        const struct sonic__tls_credential *c = &s->credentials[i];

        if (X509_check_host(c->leaf, name, 0,
                            X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1)
            continue;
        if (used == 0)
            SSL_certs_clear(ssl);
        if (SSL_use_certificate(ssl, c->leaf) == 1 &&
            SSL_use_PrivateKey(ssl, c->key) == 1 &&
            SSL_set1_chain(ssl, c->chain) == 1)
            used++;
    }
    return used;
}

static int
choose_certificate(SSL *ssl, void *arg)
{
    const struct sonic__tls_settings *s = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (name != NULL && s->n_credentials > 1)
        (void)use_all(ssl, s, name);
    return 1;
}

/* By the server's preference.  Without one in common the handshake fails. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                const unsigned char *in, unsigned in_len, void *arg)
{
    const struct sonic__tls_settings *s = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, s->alpn, s->alpn_len, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Tell OpenSSL that the name was looked at, so that it confirms it. */
static int
acknowledge_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

void
sonic__tls_choose_set(SSL_CTX *c, struct sonic__tls_settings *s)
{
    SSL_CTX_set_tlsext_servername_callback(c, acknowledge_name);
    SSL_CTX_set_cert_cb(c, choose_certificate, s);
    if (s->alpn_len > 0)
        SSL_CTX_set_alpn_select_cb(c, choose_protocol, s);
}
