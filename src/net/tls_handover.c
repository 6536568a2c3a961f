/* From OpenSSL's object to our own records.
 *
 * OpenSSL makes the handshake, and with it every decision of trust.  When that
 * is over, its object holds 14 KB of which two keys and two numbers are needed
 * from then on: we take them and let it go.  Where anything is not as it
 * should be, the connection keeps the object and goes on with that.
 */
#include "net/tls_kernel.h"

#include <ctype.h>
#include <string.h>

#include <openssl/err.h>

/* For records of our own?  The kernel's are another matter. */
static bool
keeps_keys(const sonic_tls_context *ctx)
{
    return ctx->opt.handover != SONIC_OFF &&
           (ctx->role == SONIC_TLS_SERVER || ctx->opt.resumption == SONIC_OFF);
}

bool
sonic__tls_wants_keys(const sonic_tls_context *ctx)
{
    return ctx->opt.ktls == SONIC_ON || keeps_keys(ctx);
}

/* ---- what the handshake shows ----------------------------------------- */

static unsigned
hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0')
                    : (unsigned)(tolower((unsigned char)c) - 'a') + 10;
}

/* A line of SSLKEYLOGFILE: a label, the client's random, a secret. */
void
sonic__tls_see_secret(struct sonic__tls *t, const char *line)
{
    static const char *const labels[] = {
        [SONIC_TLS_CLIENT] = "CLIENT_TRAFFIC_SECRET_0 ",
        [SONIC_TLS_SERVER] = "SERVER_TRAFFIC_SECRET_0 ",
    };
    const char *hex = strrchr(line, ' ');
    struct sonic__tls_seen *seen;

    if (t->opening == NULL || hex == NULL)
        return;
    seen = &t->opening->seen;
    for (int i = 0; i < 2; i++) {
        size_t n = 0;

        if (strncmp(line, labels[i], strlen(labels[i])) != 0)
            continue;
        for (hex++;
             isxdigit((unsigned char)hex[0]) &&
             isxdigit((unsigned char)hex[1]) && n < sizeof seen->secret[i];
             hex += 2)
            seen->secret[i][n++] =
                (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        seen->len[i] = *hex == '\0' ? n : 0;
        seen->records[i] = 0; /* RFC 8446 section 5.3 */
        return;
    }
}

/* OpenSSL has written or read the head of a record. */
static void
on_message(int sent, int version, int type, const void *p, size_t n, SSL *ssl,
           void *ud)
{
    struct sonic__tls *t = SSL_get_app_data(ssl);
    int client = t != NULL && t->ctx->role == SONIC_TLS_CLIENT;

    (void)version;
    (void)ud;
    if (t == NULL || t->opening == NULL || type != SSL3_RT_HEADER || n == 0 ||
        *(const uint8_t *)p != SSL3_RT_APPLICATION_DATA)
        return;
    t->opening->seen
        .records[sent == client ? SONIC_TLS_CLIENT : SONIC_TLS_SERVER]++;
}

void
sonic__tls_watch(struct sonic__tls *t)
{
    if (sonic__tls_wants_keys(t->ctx))
        SSL_set_msg_callback(t->ssl, on_message);
}

/* ---- what is kept ----------------------------------------------------- */

static char *
copy(sonic_io *io, const char *text)
{
    size_t n = strlen(text) + 1;
    char *to = sonic__alloc(io, n);

    if (to != NULL)
        memcpy(to, text, n);
    return to;
}

/* What may be asked about the connection.  False: no memory. */
static bool
keep_answers(const struct sonic__tls *t, struct sonic__tls_own *own)
{
    sonic_io *io = t->stream.object.io;
    const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    const X509 *x = SSL_get0_peer_certificate(t->ssl);
    int n = x != NULL ? i2d_X509(x, NULL) : 0;
    unsigned char *p;

    own->resumed = SSL_session_reused(t->ssl);
    own->verified =
        x == NULL ? SONIC_ETLS_NO_CERTIFICATE
                  : sonic__tls_verify_error(SSL_get_verify_result(t->ssl));
    if (name != NULL && (own->server_name = copy(io, name)) == NULL)
        return false;
    if (n <= 0)
        return n == 0;
    own->n_certificate = (size_t)n;
    p = own->certificate = sonic__alloc(io, own->n_certificate);
    return p != NULL && i2d_X509(x, &p) == n;
}

static bool
keep_keys(const struct sonic__tls *t, struct sonic__tls_own *own,
          const struct sonic__tls_suite *suite)
{
    const struct sonic__tls_seen *seen = &t->opening->seen;
    bool client = t->ctx->role == SONIC_TLS_CLIENT;
    int us = client ? SONIC_TLS_CLIENT : SONIC_TLS_SERVER, peer = !us;
    struct sonic__tls_record *r = &own->record;
    unsigned fragment =
        SSL_SESSION_get_max_fragment_length(SSL_get_session(t->ssl));

    if (sonic__tls_keys_begin(&r->in, suite, seen->secret[peer], false,
                              seen->records[peer]) < 0 ||
        sonic__tls_keys_begin(&r->out, suite, seen->secret[us], true,
                              seen->records[us]) < 0)
        return false;
    sonic__tls_record_init(r, client);
    if (fragment != 0) /* RFC 6066 section 4 */
        r->content = (uint16_t)(256u << fragment);
    return true;
}

static void
free_own(sonic_io *io, struct sonic__tls_own *own)
{
    sonic__tls_record_fini(&own->record);
    if (own->server_name != NULL)
        sonic__free(io, own->server_name, strlen(own->server_name) + 1);
    sonic__free(io, own->certificate, own->n_certificate);
    sonic__free(io, own, sizeof *own);
}

void
sonic__tls_own_free(struct sonic__tls *t)
{
    if (t->own != NULL)
        free_own(t->stream.object.io, t->own);
    t->own = NULL;
}

/* ---- the moment ------------------------------------------------------- */

/* The suite, when all there is to take is known, and OpenSSL holds nothing of
 * the connection's that would be lost. */
static const struct sonic__tls_suite *
may_take(const struct sonic__tls *t)
{
    const SSL_CIPHER *c = SSL_get_current_cipher(t->ssl);
    const struct sonic__tls_suite *suite =
        c != NULL ? sonic__tls_suite(SSL_CIPHER_get_protocol_id(c)) : NULL;
    const struct sonic__tls_seen *seen = &t->opening->seen;

    if ((t->kernel == NULL && !keeps_keys(t->ctx)) || suite == NULL ||
        SSL_version(t->ssl) != TLS1_3_VERSION ||
        seen->len[0] != suite->secret_len || seen->len[1] != suite->secret_len)
        return NULL;
    if (!SSL_is_init_finished(t->ssl) || SSL_has_pending(t->ssl) ||
        t->record > 0 || t->out_error < 0 ||
        SSL_get_key_update_type(t->ssl) != SSL_KEY_UPDATE_NONE ||
        SSL_get_early_data_status(t->ssl) == SSL_EARLY_DATA_ACCEPTED)
        return NULL;
    return suite;
}

/* The handshake has succeeded and everything that OpenSSL wrote is in the
 * queue of the stream below. */
void
sonic__tls_hand_over(struct sonic__tls *t)
{
    sonic_io *io = t->stream.object.io;
    const struct sonic__tls_suite *suite;
    struct sonic__tls_own *own;

    sonic__tls_kernel_attach(t);
    suite = may_take(t);
    own = suite != NULL ? sonic__alloc(io, sizeof *own) : NULL;
    SSL_set_msg_callback(t->ssl, NULL);
    if (own == NULL)
        return;
    if (!keep_answers(t, own) || !keep_keys(t, own, suite)) {
        free_own(io, own);
        ERR_clear_error();
        return;
    }
    t->own = own;
    /* Else its session would count as one that went wrong. */
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    t->ssl = NULL;
}
