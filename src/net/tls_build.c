/* An SSL_CTX from the settings of a context. */
#include "net/tls.h"

#include <string.h>

#include <openssl/err.h>

/* ---- what hangs on an SSL_CTX ----------------------------------------- */

static void
free_settings(struct sonic__tls_settings *s)
{
    sonic_mem mem = s->mem;

    for (size_t i = 0; i < s->n_credentials; i++)
        sonic__tls_drop_credential(&s->credentials[i]);
    if (s->credentials != NULL)
        mem.free(s->credentials, s->n_credentials * sizeof *s->credentials,
                 mem.ud);
    if (s->alpn != NULL)
        mem.free(s->alpn, s->alpn_len, mem.ud);
    mem.free(s, sizeof *s, mem.ud);
}

/* The SSL_CTX goes, with its last connection. */
static void
on_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
        void *argp)
{
    (void)parent;
    (void)ad;
    (void)index;
    (void)argl;
    (void)argp;
    if (ptr != NULL)
        free_settings(ptr);
}

/* One index for the process, as OpenSSL wants it. */
static int
settings_index(void)
{
    static atomic_int shared = -1;
    int index = atomic_load(&shared), none = -1;

    if (index >= 0)
        return index;
    index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_free);
    if (index >= 0 && !atomic_compare_exchange_strong(&shared, &none, index))
        index = none; /* another thread was first; ours stays unused */
    return index;
}

static void *
take(sonic_tls_context *ctx, size_t n)
{
    void *p = ctx->mem.alloc(n, ctx->mem.ud);

    return p == NULL ? NULL : memset(p, 0, n);
}

static int
attach_settings(sonic_tls_context *ctx, SSL_CTX *c,
                struct sonic__tls_settings **out)
{
    struct sonic__tls_settings *s = take(ctx, sizeof *s);
    int index = settings_index();

    if (s == NULL)
        return -ENOMEM;
    s->mem = ctx->mem;
    if (index < 0 || SSL_CTX_set_ex_data(c, index, s) != 1) {
        free_settings(s);
        return -ENOMEM;
    }
    *out = s;
    return 0;
}

/* ---- its parts -------------------------------------------------------- */

static int
wrong(const struct sonic__why *why, const char *what, const char *value)
{
    sonic__why(why, "%s: %s", what, value);
    ERR_clear_error();
    return SONIC_EOPTION;
}

static int
set_protocols(sonic_tls_context *ctx, SSL_CTX *c, struct sonic__tls_settings *s,
              const struct sonic__why *why)
{
    const sonic_tls_context_options *o = &ctx->opt;
    unsigned char *p;
    size_t len = 0;

    for (size_t i = 0; i < o->n_alpn; i++) {
        size_t n = strlen(o->alpn[i]);

        if (n == 0 || n > 255)
            return wrong(why, "not a protocol's name", o->alpn[i]);
        len += n + 1;
    }
    if (len == 0)
        return 0;
    if (len > UINT16_MAX)
        return wrong(why, "protocols", "too many");
    s->alpn = p = take(ctx, len);
    if (p == NULL)
        return -ENOMEM;
    s->alpn_len = (unsigned)len;
    for (size_t i = 0; i < o->n_alpn; i++) {
        size_t n = strlen(o->alpn[i]);

        *p++ = (unsigned char)n;
        memcpy(p, o->alpn[i], n);
        p += n;
    }
    if (ctx->role == SONIC_TLS_CLIENT &&
        SSL_CTX_set_alpn_protos(c, s->alpn, s->alpn_len) != 0)
        return -ENOMEM;
    return 0;
}

static int
set_versions(sonic_tls_context *ctx, SSL_CTX *c, const struct sonic__why *why)
{
    const sonic_tls_context_options *o = &ctx->opt;
    int min = o->min_version != 0 ? (int)o->min_version : TLS1_2_VERSION;

    if (SSL_CTX_set_min_proto_version(c, min) != 1 ||
        SSL_CTX_set_max_proto_version(c, (int)o->max_version) != 1)
        return wrong(why, "versions", "not possible");
    if (o->ciphers != NULL && SSL_CTX_set_cipher_list(c, o->ciphers) != 1)
        return wrong(why, "no such ciphers", o->ciphers);
    if (o->ciphersuites != NULL &&
        SSL_CTX_set_ciphersuites(c, o->ciphersuites) != 1)
        return wrong(why, "no such ciphersuites", o->ciphersuites);
    if (o->groups != NULL && SSL_CTX_set1_groups_list(c, o->groups) != 1)
        return wrong(why, "no such groups", o->groups);
    return 0;
}

static int
set_credentials(sonic_tls_context *ctx, SSL_CTX *c,
                struct sonic__tls_settings *s, const struct sonic__why *why)
{
    const sonic_tls_context_options *o = &ctx->opt;
    const struct sonic__tls_credential *first;

    if (o->n_certificates == 0)
        return 0;
    s->credentials = take(ctx, o->n_certificates * sizeof *s->credentials);
    if (s->credentials == NULL)
        return -ENOMEM;
    s->n_credentials = o->n_certificates;
    for (size_t i = 0; i < o->n_certificates; i++) {
        int err = sonic__tls_load_credential(ctx, &o->certificates[i],
                                             &s->credentials[i], why);

        if (err < 0)
            return err;
    }
    first = &s->credentials[0];
    if (SSL_CTX_use_certificate(c, first->leaf) != 1 ||
        SSL_CTX_use_PrivateKey(c, first->key) != 1 ||
        SSL_CTX_set1_chain(c, first->chain) != 1) {
        sonic__why(why, "certificate: %s",
                   ERR_reason_error_string(ERR_peek_last_error()));
        return SONIC_ETLS_CERTIFICATE;
    }
    return 0;
}

static void
set_verification(sonic_tls_context *ctx, SSL_CTX *c)
{
    const sonic_tls_context_options *o = &ctx->opt;
    int mode = SSL_VERIFY_NONE;

    if (ctx->role == SONIC_TLS_CLIENT && o->verify != SONIC_OFF)
        mode = SSL_VERIFY_PEER;
    if (ctx->role == SONIC_TLS_SERVER &&
        o->client_auth != SONIC_TLS_NO_CLIENT_CERTIFICATE)
        mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (ctx->role == SONIC_TLS_SERVER &&
        o->client_auth == SONIC_TLS_REQUIRE_CERTIFICATE)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(c, mode, sonic__tls_on_verified);
    SSL_CTX_set_verify_depth(c, o->depth);
}

static void
set_behaviour(SSL_CTX *c)
{
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS |
                            SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(c, 0);
    SSL_CTX_set_timeout(c, 7200); /* seconds a session may be resumed */
}

/* Tickets that the SSL_CTX before this one gave stay good, unless what its
 * clients had to show for them may have changed. */
static void
keep_tickets(const sonic_tls_context *ctx, SSL_CTX *c)
{
    unsigned char keys[80]; /* SSL_CTX_set_tlsext_ticket_key_cb(3) */
    long n;

    if (ctx->ssl_ctx == NULL || ctx->role != SONIC_TLS_SERVER ||
        ctx->opt.client_auth != SONIC_TLS_NO_CLIENT_CERTIFICATE)
        return;
    n = SSL_CTX_get_tlsext_ticket_keys(ctx->ssl_ctx, NULL, 0);
    if (n > 0 && n <= (long)sizeof keys &&
        SSL_CTX_get_tlsext_ticket_keys(ctx->ssl_ctx, keys, n) == 1)
        SSL_CTX_set_tlsext_ticket_keys(c, keys, n);
    OPENSSL_cleanse(keys, sizeof keys);
    ERR_clear_error();
}

static int
fill(sonic_tls_context *ctx, SSL_CTX *c, const struct sonic__why *why)
{
    struct sonic__tls_settings *s = NULL;
    int err = attach_settings(ctx, c, &s);

    set_behaviour(c);
    if (err == 0)
        err = set_versions(ctx, c, why);
    if (err == 0)
        err = set_protocols(ctx, c, s, why);
    if (err == 0)
        err = set_credentials(ctx, c, s, why);
    if (err == 0)
        err = sonic__tls_trust(ctx, c, why);
    if (err < 0)
        return err;
    set_verification(ctx, c);
    sonic__tls_sessions_set(ctx, c);
    if (ctx->role == SONIC_TLS_SERVER)
        sonic__tls_choose_set(c, s);
    if (ctx->opt.key_log_file != NULL || ctx->opt.key_log_env == SONIC_ON ||
        sonic__tls_wants_keys(ctx))
        SSL_CTX_set_keylog_callback(c, sonic__tls_key_log_line);
    keep_tickets(ctx, c);
    return 0;
}

int
sonic__tls_build(sonic_tls_context *ctx, SSL_CTX **out,
                 const struct sonic__why *why)
{
    SSL_CTX *c;
    int err;

    ERR_clear_error();
    c = SSL_CTX_new(ctx->role == SONIC_TLS_CLIENT ? TLS_client_method()
                                                  : TLS_server_method());
    if (c == NULL)
        return -ENOMEM;
    err = fill(ctx, c, why);
    ERR_clear_error();
    if (err < 0) {
        SSL_CTX_free(c);
        return err;
    }
    *out = c;
    return 0;
}
