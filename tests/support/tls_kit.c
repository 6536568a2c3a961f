#include "tls_kit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

struct kit kit;

struct certificate
kit_certificate(const struct certificate_wish *wish)
{
    struct certificate c;

    ck_assert(certificate_make(wish, &c));
    return c;
}

void
kit_open(void)
{
    kit.root = kit_certificate(&(struct certificate_wish){
        .name = "sonicio test root", .authority = true, .serial = 10});
    kit.other_root = kit_certificate(&(struct certificate_wish){
        .name = "another root", .authority = true, .serial = 11});
    kit.between = kit_certificate(
        &(struct certificate_wish){.name = "sonicio test intermediate",
                                   .authority = true,
                                   .serial = 12,
                                   .issuer = &kit.root});
    kit.server = kit_certificate(&(struct certificate_wish){
        .name = "the server",
        .names = "DNS:localhost,DNS:*.example.org,IP:127.0.0.1,IP:::1",
        .serial = 20,
        .issuer = &kit.root});
    kit.client = kit_certificate(&(struct certificate_wish){
        .name = "the client", .serial = 21, .issuer = &kit.root});
    kit.foreign = kit_certificate(
        &(struct certificate_wish){.name = "the server of others",
                                   .names = "DNS:localhost",
                                   .serial = 22,
                                   .issuer = &kit.other_root});
}

void
kit_close(void)
{
    certificate_free(&kit.root);
    certificate_free(&kit.other_root);
    certificate_free(&kit.between);
    certificate_free(&kit.server);
    certificate_free(&kit.client);
    certificate_free(&kit.foreign);
}

static void
open_openssl(void)
{
    kit_open();
    kit.mode = KIT_OPENSSL;
}

void
kit_open_server(void)
{
    kit_open();
    kit.mode = KIT_SERVER;
}

static void
open_both(void)
{
    kit_open();
    kit.mode = KIT_BOTH;
}

void
kit_add(Suite *suite, void (*add)(TCase *tc))
{
    static const struct {
        const char *name;
        void (*open)(void);
    } modes[KIT_MODES] = {
        [KIT_OPENSSL] = {"openssl", open_openssl},
        [KIT_SERVER] = {"server", kit_open_server},
        [KIT_BOTH] = {"both", open_both},
    };

    for (int i = 0; i < KIT_MODES; i++) {
        TCase *tc = tcase_create(modes[i].name);

        tcase_add_unchecked_fixture(tc, modes[i].open, kit_close);
        add(tc);
        suite_add_tcase(suite, tc);
    }
}

void
kit_set_mode(sonic_tls_context_options *opt, enum sonic_tls_role role)
{
    if (kit.mode == KIT_OPENSSL)
        opt->handover = SONIC_OFF;
    if (kit.mode == KIT_BOTH && role == SONIC_TLS_CLIENT)
        opt->resumption = SONIC_OFF;
}

char *
kit_revoke(const struct certificate *issuer, const long *serials, size_t n)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -3600),
              *next = X509_gmtime_adj(NULL, 3600);
    BIO *b = BIO_new(BIO_s_mem());
    char *from, *to;
    long len;

    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, next);
    for (size_t i = 0; i < n; i++) {
        X509_REVOKED *e = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();

        ASN1_INTEGER_set(serial, serials[i]);
        X509_REVOKED_set_serialNumber(e, serial);
        X509_REVOKED_set_revocationDate(e, now);
        X509_CRL_add0_revoked(crl, e);
        ASN1_INTEGER_free(serial);
    }
    X509_CRL_sort(crl);
    ck_assert_int_gt(X509_CRL_sign(crl, issuer->key, EVP_sha256()), 0);
    ck_assert_int_eq(PEM_write_bio_X509_CRL(b, crl), 1);
    len = BIO_get_mem_data(b, &from);
    to = calloc(1, (size_t)len + 1);
    memcpy(to, from, (size_t)len);
    BIO_free(b);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
    return to;
}

/* ---- contexts --------------------------------------------------------- */

sonic_tls_certificate
kit_own(const struct certificate *c)
{
    return (sonic_tls_certificate){.chain = c->pem,
                                   .chain_len = c->pem_len,
                                   .key = c->key_pem,
                                   .key_len = c->key_len};
}

sonic_tls_context *
kit_context(sonic_io *io, enum sonic_tls_role role,
            const sonic_tls_context_options *opt)
{
    sonic_tls_context_options o = *opt;
    sonic_tls_context *ctx;
    char why[256];
    int err;

    if (kit.mode == KIT_OPENSSL)
        o.handover = SONIC_OFF;
    err = sonic_tls_context_new(io, role, &o, &ctx, why, sizeof why);
    ck_assert_msg(err == 0, "%s: %s", sonic_errname(err), why);
    return ctx;
}

sonic_tls_context *
kit_server(sonic_io *io)
{
    sonic_tls_certificate own = kit_own(&kit.server);
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;

    opt.certificates = &own;
    opt.n_certificates = 1;
    return kit_context(io, SONIC_TLS_SERVER, &opt);
}

sonic_tls_context *
kit_client(sonic_io *io)
{
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;

    opt.ca = kit.root.pem;
    opt.ca_len = kit.root.pem_len;
    kit_set_mode(&opt, SONIC_TLS_CLIENT);
    return kit_context(io, SONIC_TLS_CLIENT, &opt);
}

/* ---- two ends --------------------------------------------------------- */

void
kit_begin(struct rig *r, struct kit_ends *e, int how, sonic_tls_context *client,
          sonic_tls_context *server, const sonic_tls_options *opt)
{
    sonic_tls_options usual = SONIC_TLS_OPTIONS_INIT;
    int fd[2];

    memset(e, 0, sizeof *e);
    usual.server_name = "localhost";
    if (how == 0)
        rig_pair(fd);
    else
        rig_tcp(fd);
    ck_assert_int_eq(sonic_tls_new(client, rig_adopt(r, fd[0]),
                                   opt != NULL ? opt : &usual, &e->client),
                     0);
    ck_assert_int_eq(
        sonic_tls_new(server, rig_adopt(r, fd[1]), NULL, &e->server), 0);
    sonic_tls_async_handshake(e->server, on_outcome, &e->s);
    sonic_tls_async_handshake(e->client, on_outcome, &e->c);
}

void
kit_shake(struct rig *r, struct kit_ends *e, int how, sonic_tls_context *client,
          sonic_tls_context *server, const sonic_tls_options *opt,
          int client_err, int server_err)
{
    kit_begin(r, e, how, client, server, opt);
    RIG_UNTIL(r, e->c.calls == 1 && e->s.calls == 1);
    ck_assert_msg(e->c.err == client_err, "client: %s (%s), not %s",
                  sonic_errname(e->c.err), sonic_tls_reason(e->client),
                  sonic_errname(client_err));
    if (server_err <= 0)
        ck_assert_msg(e->s.err == server_err, "server: %s (%s), not %s",
                      sonic_errname(e->s.err), sonic_tls_reason(e->server),
                      sonic_errname(server_err));
}

void
kit_connect(struct rig *r, struct kit_ends *e, int how)
{
    sonic_tls_context *c = kit_client(r->io), *s = kit_server(r->io);

    kit_shake(r, e, how, c, s, NULL, 0, 0);
    ck_assert((sonic_tls_native(e->server) == NULL) ==
              (kit.mode != KIT_OPENSSL));
    ck_assert((sonic_tls_native(e->client) == NULL) == (kit.mode == KIT_BOTH));
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
}

void
kit_end(struct kit_ends *e)
{
    sonic_stream_free(e->client);
    sonic_stream_free(e->server);
}

static void
say(struct rig *r, sonic_stream *from, sonic_stream *to, const char *text)
{
    struct outcome o = {0}, w = {0};
    char buf[32];
    size_t n = strlen(text);

    sonic_stream_async_write(from, text, n, on_outcome, &w);
    sonic_stream_async_read_all(to, buf, n, on_outcome, &o);
    RIG_UNTIL(r, o.calls == 1 && w.calls == 1);
    ck_assert_int_eq(w.err, 0);
    ck_assert_uint_eq(w.n, n);
    ck_assert_int_eq(o.err, 0);
    ck_assert_mem_eq(buf, text, n);
}

void
kit_talk(struct rig *r, struct kit_ends *e)
{
    say(r, e->client, e->server, "from the client");
    say(r, e->server, e->client, "from the server");
}

/* ---- OpenSSL alone ---------------------------------------------------- */

SSL_CTX *
kit_raw_context(bool server)
{
    SSL_CTX *c = SSL_CTX_new(TLS_method());

    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(
        X509_STORE_add_cert(SSL_CTX_get_cert_store(c), kit.root.x509), 1);
    if (server) {
        ck_assert_int_eq(SSL_CTX_use_certificate(c, kit.server.x509), 1);
        ck_assert_int_eq(SSL_CTX_use_PrivateKey(c, kit.server.key), 1);
    }
    return c;
}

SSL *
kit_raw(SSL_CTX *c, int fd, bool server)
{
    SSL *ssl = SSL_new(c);

    ck_assert_ptr_nonnull(ssl);
    ck_assert_int_eq(SSL_set_fd(ssl, fd), 1);
    if (server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

int
kit_raw_shake(struct rig *r, SSL *raw, const struct outcome *o)
{
    int result = 0;

    while (result == 0 || o->calls == 0) {
        if (result == 0) {
            int n, e;

            ERR_clear_error();
            n = SSL_do_handshake(raw);
            e = SSL_get_error(raw, n);
            if (n == 1)
                result = 1;
            else if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
                result = -1;
        }
        if (o->calls == 0)
            ck_assert_int_ge(sonic_io_run_one_for(r->io, 10 * MS), -ETIMEDOUT);
    }
    return result;
}
