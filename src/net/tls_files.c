/* What a context is made of, from files and from memory. */
#include "net/tls.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

enum { FILE_FIRST = 16 * 1024, FILE_LIMIT = 16 << 20 }; /* bytes */

/* ---- files ------------------------------------------------------------ */

/* Text in memory of the context's, grown as it fills. */
struct text {
    char *bytes;
    size_t len, cap;
};

static int
grow(sonic_tls_context *ctx, struct text *x)
{
    size_t cap = x->cap == 0 ? FILE_FIRST : x->cap * 4;
    char *p;

    if (cap > FILE_LIMIT)
        return SONIC_ETOOBIG;
    p = ctx->mem.alloc(cap, ctx->mem.ud);
    if (p == NULL)
        return -ENOMEM;
    if (x->len > 0)
        memcpy(p, x->bytes, x->len);
    sonic__tls_drop_file(ctx, x->bytes, x->cap);
    x->bytes = p;
    x->cap = cap;
    return 0;
}

/* It may be a key: nothing of it stays in memory that is given back. */
void
sonic__tls_drop_file(sonic_tls_context *ctx, char *text, size_t len)
{
    if (text == NULL)
        return;
    OPENSSL_cleanse(text, len);
    ctx->mem.free(text, len, ctx->mem.ud);
}

static int
read_all(sonic_tls_context *ctx, int fd, struct text *x)
{
    const sonic_sys *sys = ctx->sys;

    for (;;) {
        struct iovec v;
        ssize_t n = x->len == x->cap ? grow(ctx, x) : 0;

        if (n < 0)
            return (int)n;
        v = (struct iovec){x->bytes + x->len, x->cap - x->len};
        n = sys->readv(fd, &v, 1, sys->ud);
        if (n == 0)
            return 0;
        if (n > 0)
            x->len += (size_t)n;
        else if (n != -EINTR)
            return (int)n;
    }
}

static int
read_file(sonic_tls_context *ctx, const char *path, struct text *x,
          const struct sonic__why *why)
{
    const sonic_sys *sys = ctx->sys;
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0, sys->ud), err = fd;

    if (fd >= 0) {
        err = read_all(ctx, fd, x);
        sys->close(fd, sys->ud);
    }
    if (err < 0)
        sonic__why(why, "%s: %s", path, sonic_strerror(err));
    return err;
}

/* ---- PEM -------------------------------------------------------------- */

/* Where PEM comes from, for as long as it is read. */
struct source {
    const char *what; /* for reasons */
    struct text file;
    BIO *bio;
};

static int
open_source(sonic_tls_context *ctx, struct source *s, const char *path,
            const void *bytes, size_t len, const struct sonic__why *why)
{
    int err = 0;

    *s = (struct source){.what = path != NULL ? path : "PEM in memory"};
    if (path != NULL)
        err = read_file(ctx, path, &s->file, why);
    if (err < 0)
        return err;
    if (path != NULL) {
        bytes = s->file.bytes;
        len = s->file.len;
    }
    if (len > INT32_MAX)
        return SONIC_ETOOBIG;
    s->bio = BIO_new_mem_buf(bytes, (int)len);
    return s->bio == NULL ? -ENOMEM : 0;
}

static void
close_source(sonic_tls_context *ctx, struct source *s)
{
    BIO_free(s->bio);
    sonic__tls_drop_file(ctx, s->file.bytes, s->file.cap);
}

/* OpenSSL's own would ask at the terminal. */
static int
tell_password(char *buf, int cap, int writing, void *ud)
{
    const char *password = ud;
    size_t n = password != NULL ? strlen(password) : 0;

    (void)writing;
    if (password == NULL || n > (size_t)cap)
        return -1;
    memcpy(buf, password, n);
    return (int)n;
}

static int
complain(const struct sonic__why *why, const char *what, const char *problem)
{
    unsigned long e = ERR_peek_last_error();
    const char *words = ERR_reason_error_string(e);

    sonic__why(why, "%s: %s%s%s", what, problem, words != NULL ? ": " : "",
               words != NULL ? words : "");
    ERR_clear_error();
    return SONIC_ETLS_CERTIFICATE;
}

static int
load_chain(struct source *s, struct sonic__tls_credential *out,
           const struct sonic__why *why)
{
    X509 *x;

    out->leaf = PEM_read_bio_X509_AUX(s->bio, NULL, tell_password, NULL);
    if (out->leaf == NULL)
        return complain(why, s->what, "no certificate");
    out->chain = sk_X509_new_null();
    if (out->chain == NULL)
        return -ENOMEM;
    while ((x = PEM_read_bio_X509(s->bio, NULL, tell_password, NULL)) != NULL)
        if (sk_X509_push(out->chain, x) == 0) {
            X509_free(x);
            return -ENOMEM;
        }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return complain(why, s->what, "malformed certificate");
    ERR_clear_error();
    return 0;
}

static int
load_key(struct source *s, const char *password,
         struct sonic__tls_credential *out, const struct sonic__why *why)
{
    out->key = PEM_read_bio_PrivateKey(s->bio, NULL, tell_password,
                                       (void *)(uintptr_t)password);
    if (out->key == NULL)
        return complain(why, s->what, "no private key that can be read");
    if (X509_check_private_key(out->leaf, out->key) != 1)
        return complain(why, s->what,
                        "key and certificate do not belong "
                        "together");
    return 0;
}

int
sonic__tls_load_credential(sonic_tls_context *ctx,
                           const sonic_tls_certificate *from,
                           struct sonic__tls_credential *out,
                           const struct sonic__why *why)
{
    bool apart = from->key_file != NULL || from->key != NULL;
    struct source s;
    int err = open_source(ctx, &s, from->chain_file, from->chain,
                          from->chain_len, why);

    if (err == 0)
        err = load_chain(&s, out, why);
    if (err == 0 && !apart) {
        (void)BIO_reset(s.bio);
        err = load_key(&s, from->password, out, why);
    }
    close_source(ctx, &s);
    if (err < 0 || !apart)
        return err;
    err = open_source(ctx, &s, from->key_file, from->key, from->key_len, why);
    if (err == 0)
        err = load_key(&s, from->password, out, why);
    close_source(ctx, &s);
    return err;
}

void
sonic__tls_drop_credential(struct sonic__tls_credential *c)
{
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
}

/* ---- whom to trust ---------------------------------------------------- */

/* Certificates into the store, and, of a server, into the list of names that
 * its clients are told. */
static int
trust_certificates(SSL_CTX *c, bool server, struct source *s,
                   const struct sonic__why *why)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c);
    size_t n = 0;
    X509 *x;

    while ((x = PEM_read_bio_X509_AUX(s->bio, NULL, tell_password, NULL))) {
        int ok = X509_STORE_add_cert(store, x);

        if (ok == 1 && server)
            ok = SSL_CTX_add_client_CA(c, x);
        X509_free(x);
        if (ok != 1)
            return -ENOMEM;
        n++;
    }
    if (n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return complain(why, s->what, "no certificates of authorities");
    ERR_clear_error();
    return 0;
}

static int
trust_lists(SSL_CTX *c, struct source *s, const struct sonic__why *why)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c);
    size_t n = 0;
    X509_CRL *crl;

    while ((crl = PEM_read_bio_X509_CRL(s->bio, NULL, tell_password, NULL))) {
        int ok = X509_STORE_add_crl(store, crl);

        X509_CRL_free(crl);
        if (ok != 1)
            return -ENOMEM;
        n++;
    }
    if (n == 0)
        return complain(why, s->what, "no revocation lists");
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return 0;
}

typedef int load_fn(SSL_CTX *c, bool server, struct source *s,
                    const struct sonic__why *why);

static int
trust_source(sonic_tls_context *ctx, SSL_CTX *c, const char *path,
             const void *bytes, size_t len, const struct sonic__why *why)
{
    struct source s;
    int err;

    if (path == NULL && bytes == NULL)
        return 0;
    err = open_source(ctx, &s, path, bytes, len, why);
    if (err == 0)
        err = trust_certificates(c, ctx->role == SONIC_TLS_SERVER, &s, why);
    close_source(ctx, &s);
    return err;
}

static int
trust_crl(sonic_tls_context *ctx, SSL_CTX *c, const struct sonic__why *why)
{
    struct source s;
    int err;

    if (ctx->opt.crl_file == NULL)
        return 0;
    err = open_source(ctx, &s, ctx->opt.crl_file, NULL, 0, why);
    if (err == 0)
        err = trust_lists(c, &s, why);
    close_source(ctx, &s);
    return err;
}

int
sonic__tls_trust(sonic_tls_context *ctx, SSL_CTX *c,
                 const struct sonic__why *why)
{
    const sonic_tls_context_options *o = &ctx->opt;
    int err = trust_source(ctx, c, o->ca_file, NULL, 0, why);

    if (err == 0 && o->ca != NULL)
        err = trust_source(ctx, c, NULL, o->ca, o->ca_len, why);
    if (err == 0)
        err = trust_crl(ctx, c, why);
    if (err == 0 && o->ca_dir != NULL &&
        SSL_CTX_load_verify_dir(c, o->ca_dir) != 1)
        err = complain(why, o->ca_dir, "not usable");
    if (err == 0 && o->system_store == SONIC_ON &&
        SSL_CTX_set_default_verify_paths(c) != 1)
        err = complain(why, "the system's authorities", "not usable");
    return err;
}

/* ---- secrets, when they are asked for --------------------------------- */

int
sonic__tls_key_log_open(sonic_tls_context *ctx, const struct sonic__why *why)
{
    const char *path = ctx->opt.key_log_file;
    const sonic_sys *sys = ctx->sys;
    int fd;

    if (path == NULL && ctx->opt.key_log_env == SONIC_ON)
        path = secure_getenv("SSLKEYLOGFILE");
    if (path == NULL)
        return 0;
    fd = sys->open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600,
                   sys->ud);
    if (fd < 0) {
        sonic__why(why, "%s: %s", path, sonic_strerror(fd));
        return fd;
    }
    ctx->key_log = fd;
    return 0;
}

void
sonic__tls_key_log_close(sonic_tls_context *ctx)
{
    if (ctx->key_log >= 0)
        ctx->sys->close(ctx->key_log, ctx->sys->ud);
    ctx->key_log = -1;
}

/* A line that cannot be written is lost: it is for debugging. */
void
sonic__tls_key_log_line(const SSL *ssl, const char *line)
{
    struct sonic__tls *t = SSL_get_app_data(ssl);
    struct iovec v[2] = {{(void *)(uintptr_t)line, strlen(line)},
                         {(void *)(uintptr_t) "\n", 1}};
    sonic_tls_context *ctx;

    if (t != NULL)
        sonic__tls_see_secret(t, line);
    if (t == NULL || t->ctx->key_log < 0)
        return;
    ctx = t->ctx;
    (void)ctx->sys->writev(ctx->key_log, v, 2, ctx->sys->ud);
}
