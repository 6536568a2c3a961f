/* Resumption: the sessions that a client remembers, and hands out. */
#include "net/tls.h"

#include <string.h>

#include <openssl/err.h>

struct sonic__tls_saved {
    struct sonic__tls_saved *next;
    SSL_SESSION *session;
    size_t size; /* bytes of this struct */
    char name[];
};

static void
drop(sonic_tls_context *ctx, struct sonic__tls_saved **p)
{
    struct sonic__tls_saved *e = *p;

    *p = e->next;
    ctx->n_saved--;
    SSL_SESSION_free(e->session);
    ctx->mem.free(e, e->size, ctx->mem.ud);
}

void
sonic__tls_sessions_free(sonic_tls_context *ctx)
{
    while (ctx->saved != NULL)
        drop(ctx, &ctx->saved);
}

static struct sonic__tls_saved **
find(sonic_tls_context *ctx, const char *name)
{
    struct sonic__tls_saved **p = &ctx->saved;

    while (*p != NULL && strcmp((*p)->name, name) != 0)
        p = &(*p)->next;
    return *p != NULL ? p : NULL;
}

/* Keep session in front; the one of longest ago makes room. */
static bool
save(sonic_tls_context *ctx, const char *name, SSL_SESSION *session)
{
    size_t n = strlen(name) + 1;
    struct sonic__tls_saved *e, **p = find(ctx, name);

    if (p != NULL)
        drop(ctx, p);
    if (ctx->n_saved >= ctx->opt.session_cache) {
        for (p = &ctx->saved; (*p)->next != NULL;)
            p = &(*p)->next;
        drop(ctx, p);
    }
    e = ctx->mem.alloc(sizeof *e + n, ctx->mem.ud);
    if (e == NULL)
        return false;
    e->size = sizeof *e + n;
    e->session = session;
    memcpy(e->name, name, n);
    e->next = ctx->saved;
    ctx->saved = e;
    ctx->n_saved++;
    return true;
}

/* OpenSSL has a session that could be resumed.  1: it is ours now. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    struct sonic__tls *t = SSL_get_app_data(ssl);

    if (t == NULL || t->name == NULL)
        return 0;
    return save(t->ctx, t->name, session);
}

void
sonic__tls_sessions_set(sonic_tls_context *ctx, SSL_CTX *c)
{
    static const unsigned char id[] = "sonicio";

    if (ctx->opt.resumption == SONIC_OFF) {
        SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(c, 0);
        return;
    }
    if (ctx->role == SONIC_TLS_CLIENT) {
        SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT |
                                              SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c, on_session);
        return;
    }
    SSL_CTX_set_session_id_context(c, id, sizeof id - 1);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(c, (long)ctx->opt.session_cache);
}

/* The caller's session, or the one that is remembered.  RFC 8446 C.4: a ticket
 * of TLS 1.3 is used once. */
int
sonic__tls_session_use(struct sonic__tls *t, const sonic_tls_options *opt)
{
    const unsigned char *p = opt->session;
    struct sonic__tls_saved **saved;
    SSL_SESSION *s;
    int ok;

    if (t->ctx->opt.resumption == SONIC_OFF)
        return 0;
    if (opt->session_len > 0) {
        s = d2i_SSL_SESSION(NULL, &p, (long)opt->session_len);
        ERR_clear_error();
        if (s == NULL)
            return SONIC_EOPTION;
        ok = SSL_set_session(t->ssl, s);
        SSL_SESSION_free(s);
        return ok == 1 ? 0 : SONIC_EOPTION;
    }
    saved = t->name != NULL ? find(t->ctx, t->name) : NULL;
    if (saved == NULL)
        return 0;
    s = (*saved)->session;
    (void)SSL_set_session(t->ssl, s); /* else a full handshake */
    ERR_clear_error();
    if (SSL_SESSION_get_protocol_version(s) >= TLS1_3_VERSION)
        drop(t->ctx, saved);
    return 0;
}

size_t
sonic_tls_export_session(const sonic_stream *tls, void *buf, size_t cap)
{
    const struct sonic__tls *t = sonic__tls_of(tls);
    SSL_SESSION *s =
        t != NULL && t->ssl != NULL ? SSL_get_session(t->ssl) : NULL;
    unsigned char *p = buf;
    int n;

    if (s == NULL || !SSL_SESSION_is_resumable(s) ||
        t->ctx->role != SONIC_TLS_CLIENT)
        return 0;
    n = i2d_SSL_SESSION(s, NULL);
    if (n <= 0)
        return 0;
    if ((size_t)n <= cap)
        (void)i2d_SSL_SESSION(s, &p);
    return (size_t)n;
}
