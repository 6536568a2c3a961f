/* Contexts: settings, kept so that they can be read again. */
#include "net/tls.h"

#include <string.h>

#include "base/pack.h"

enum { LIST_MAX = 1024, DEPTH = 10, SESSIONS = 64, SESSIONS_MAX = 1 << 20 };

/* ---- options ---------------------------------------------------------- */

static int
wrong(const struct sonic__why *why, const char *what)
{
    sonic__why(why, "%s", what);
    return SONIC_EOPTION;
}

static int
check_certificates(const sonic_tls_context_options *o,
                   const struct sonic__why *why)
{
    if (o->n_certificates > LIST_MAX || o->n_alpn > LIST_MAX)
        return wrong(why, "too many certificates or protocols");
    for (size_t i = 0; i < o->n_certificates; i++) {
        const sonic_tls_certificate *c = &o->certificates[i];

        if (c->chain_file == NULL && c->chain == NULL)
            return wrong(why, "a certificate has neither file nor bytes");
    }
    for (size_t i = 0; i < o->n_alpn; i++)
        if (o->alpn[i] == NULL)
            return wrong(why, "a protocol has no name");
    return 0;
}

/* Check, and put the defaults in. */
static int
fill_in(sonic_tls_context_options *o, enum sonic_tls_role role,
        const struct sonic__why *why)
{
    bool trusts = o->ca_file != NULL || o->ca_dir != NULL || o->ca != NULL ||
                  o->system_store == SONIC_ON;

    if (o->depth == 0)
        o->depth = DEPTH;
    if (o->session_cache == 0)
        o->session_cache = SESSIONS;
    if (o->depth < 0 || o->session_cache > SESSIONS_MAX)
        return wrong(why, "depth or session_cache out of range");
    if (o->min_version != 0 && o->max_version != 0 &&
        o->min_version > o->max_version)
        return wrong(why, "min_version is above max_version");
    if (role == SONIC_TLS_CLIENT && !trusts &&
        o->system_store == SONIC_DEFAULT && o->verify != SONIC_OFF)
        o->system_store = SONIC_ON;
    if (role == SONIC_TLS_SERVER && o->n_certificates == 0)
        return wrong(why, "a server needs a certificate");
    if (role == SONIC_TLS_SERVER && !trusts &&
        o->client_auth != SONIC_TLS_NO_CLIENT_CERTIFICATE)
        return wrong(why, "client certificates need authorities to trust");
    return check_certificates(o, why);
}

static void
pack_certificate(struct sonic__pack *p, sonic_tls_certificate *c)
{
    sonic__pack_text(p, &c->chain_file);
    sonic__pack_text(p, &c->key_file);
    sonic__pack_text(p, &c->password);
    sonic__pack_bytes(p, &c->chain, c->chain_len);
    sonic__pack_bytes(p, &c->key, c->key_len);
}

static void
pack_all(struct sonic__pack *p, sonic_tls_context_options *o)
{
    sonic_tls_certificate *to = sonic__pack(
        p, o->certificates, o->n_certificates * sizeof *o->certificates);

    for (size_t i = 0; i < o->n_certificates; i++) {
        sonic_tls_certificate c = o->certificates[i];

        pack_certificate(p, &c);
        if (to != NULL)
            to[i] = c;
    }
    if (to != NULL)
        o->certificates = to;
    sonic__pack_text(p, &o->ca_file);
    sonic__pack_text(p, &o->ca_dir);
    sonic__pack_bytes(p, &o->ca, o->ca_len);
    sonic__pack_text(p, &o->crl_file);
    sonic__pack_text(p, &o->ciphers);
    sonic__pack_text(p, &o->ciphersuites);
    sonic__pack_text(p, &o->groups);
    sonic__pack_list(p, &o->alpn, o->n_alpn);
    sonic__pack_text(p, &o->key_log_file);
}

/* ctx->opt becomes a copy of opt that needs nobody else's memory. */
static int
copy_options(sonic_tls_context *ctx, const sonic_tls_context_options *opt,
             const struct sonic__why *why)
{
    sonic_tls_context_options o, probe;
    struct sonic__pack p = {NULL, 0};
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err == 0)
        err = fill_in(&o, ctx->role, why);
    if (err < 0)
        return err;
    probe = o;
    pack_all(&p, &probe);
    ctx->packed_len = p.used + 1;
    ctx->packed = ctx->mem.alloc(ctx->packed_len, ctx->mem.ud);
    if (ctx->packed == NULL)
        return -ENOMEM;
    p = (struct sonic__pack){ctx->packed, 0};
    pack_all(&p, &o);
    ctx->opt = o;
    return 0;
}

static void
drop_options(sonic_tls_context *ctx)
{
    sonic__tls_drop_file(ctx, ctx->packed, ctx->packed_len);
    ctx->packed = NULL;
}

/* ---- life ------------------------------------------------------------- */

void
sonic__tls_context_drop(sonic_tls_context *ctx)
{
    sonic_mem mem = ctx->mem;

    if (--ctx->refs > 0)
        return;
    sonic__tls_sessions_free(ctx);
    SSL_CTX_free(ctx->ssl_ctx);
    sonic__tls_key_log_close(ctx);
    drop_options(ctx);
    mem.free(ctx, sizeof *ctx, mem.ud);
}

sonic_tls_context *
sonic_tls_context_hold(sonic_tls_context *ctx)
{
    ctx->refs++;
    return ctx;
}

void
sonic_tls_context_free(sonic_tls_context *ctx)
{
    if (ctx != NULL)
        sonic__tls_context_drop(ctx);
}

int
sonic_tls_context_new(sonic_io *io, enum sonic_tls_role role,
                      const sonic_tls_context_options *opt,
                      sonic_tls_context **out, char *why, size_t n_why)
{
    const struct sonic__why w = {why, n_why};
    sonic_tls_context *ctx = sonic__alloc(io, sizeof *ctx);
    int err;

    if (n_why > 0 && why != NULL)
        *why = '\0';
    if (ctx == NULL)
        return -ENOMEM;
    ctx->io = io;
    ctx->mem = io->mem;
    ctx->sys = io->sys;
    ctx->refs = 1;
    ctx->role = role;
    ctx->key_log = -1;
    err = copy_options(ctx, opt, &w);
    if (err == 0)
        err = sonic__tls_key_log_open(ctx, &w);
    if (err == 0)
        err = sonic__tls_build(ctx, &ctx->ssl_ctx, &w);
    if (err < 0) {
        sonic__tls_context_drop(ctx);
        return err;
    }
    *out = ctx;
    return 0;
}

/* What a context has of its options. */
struct kept {
    sonic_tls_context_options opt;
    void *packed;
    size_t packed_len;
    int key_log;
};

static struct kept
keep(const sonic_tls_context *ctx)
{
    return (struct kept){ctx->opt, ctx->packed, ctx->packed_len, ctx->key_log};
}

static void
restore(sonic_tls_context *ctx, const struct kept *k)
{
    ctx->opt = k->opt;
    ctx->packed = k->packed;
    ctx->packed_len = k->packed_len;
    ctx->key_log = k->key_log;
}

int
sonic_tls_context_reload(sonic_tls_context *ctx,
                         const sonic_tls_context_options *opt, char *why,
                         size_t n_why)
{
    const struct sonic__why w = {why, n_why};
    struct kept old = keep(ctx), now;
    SSL_CTX *c;
    int err = 0;

    if (n_why > 0 && why != NULL)
        *why = '\0';
    if (opt != NULL) {
        ctx->packed = NULL;
        ctx->key_log = -1;
        err = copy_options(ctx, opt, &w);
        if (err == 0)
            err = sonic__tls_key_log_open(ctx, &w);
    }
    if (err == 0)
        err = sonic__tls_build(ctx, &c, &w);
    now = keep(ctx);
    if (opt != NULL) { /* one of the two sets goes */
        if (err == 0)
            restore(ctx, &old);
        sonic__tls_key_log_close(ctx);
        drop_options(ctx);
        restore(ctx, err == 0 ? &now : &old);
    }
    if (err < 0)
        return err;
    sonic__tls_sessions_free(ctx);
    SSL_CTX_free(ctx->ssl_ctx);
    ctx->ssl_ctx = c;
    return 0;
}

sonic_io *
sonic_tls_context_io(const sonic_tls_context *ctx)
{
    return ctx->io;
}

enum sonic_tls_role
sonic_tls_context_role(const sonic_tls_context *ctx)
{
    return ctx->role;
}
