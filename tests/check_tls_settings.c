/* What is spoken, who is shown, what is remembered: the settings of TLS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "support/tls_kit.h"

static struct rig r;
static struct kit_ends e;
static sonic_tls_certificate own;
static sonic_tls_context_options co, so;

static void
open_rig(void)
{
    static const sonic_tls_context_options none =
        SONIC_TLS_CONTEXT_OPTIONS_INIT;

    rig_open(&r, 0);
    co = so = none;
    own = kit_own(&kit.server);
    co.ca = kit.root.pem;
    co.ca_len = kit.root.pem_len;
    so.certificates = &own;
    so.n_certificates = 1;
}

/* A handshake with co and so as they are. */
static void
shake(int client_err, int server_err)
{
    sonic_tls_context *c = kit_context(r.io, SONIC_TLS_CLIENT, &co),
                      *s = kit_context(r.io, SONIC_TLS_SERVER, &so);

    kit_shake(&r, &e, 0, c, s, NULL, client_err, server_err);
    if (client_err == 0 && server_err == 0)
        kit_talk(&r, &e);
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
}

/* ---- versions, ciphers ------------------------------------------------ */

START_TEST(versions)
{
    open_rig();
    co.max_version = SONIC_TLS_1_2;
    shake(0, 0);
    ck_assert_str_eq(sonic_tls_version_name(e.client), "TLSv1.2");
    kit_end(&e);
    so.min_version = SONIC_TLS_1_3;
    shake(SONIC_ETLS_VERSION, SONIC_ETLS_VERSION);
    ck_assert_ptr_nonnull(
        strstr(sonic_tls_reason(e.client), "protocol version"));
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* A peer that knows TLS 1.1 only: below the minimum that is the default. */
START_TEST(below_the_minimum)
{
    sonic_tls_context *c;
    struct outcome o = {0};
    SSL_CTX *old = kit_raw_context(_i == 0);
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_stream *s;
    SSL *raw;
    int fd[2];

    open_rig();
    SSL_CTX_set_min_proto_version(old, TLS1_1_VERSION);
    SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION);
    SSL_CTX_set_cipher_list(old, "ALL:@SECLEVEL=0");
    c = _i == 0 ? kit_client(r.io) : kit_server(r.io);
    opt.server_name = "localhost";
    rig_pair(fd);
    raw = kit_raw(old, fd[1], _i == 0);
    ck_assert_int_eq(sonic_tls_new(c, rig_adopt(&r, fd[0]), &opt, &s), 0);
    sonic_tls_async_handshake(s, on_outcome, &o);
    ck_assert_int_eq(kit_raw_shake(&r, raw, &o), -1);
    ck_assert_msg(o.err == SONIC_ETLS_VERSION, "%s: %s", sonic_errname(o.err),
                  sonic_tls_reason(s));
    sonic_stream_free(s);
    sonic_tls_context_free(c);
    SSL_free(raw);
    SSL_CTX_free(old);
    close(fd[1]);
    rig_close(&r);
}
END_TEST

START_TEST(ciphers)
{
    open_rig();
    co.max_version = SONIC_TLS_1_2;
    co.ciphers = so.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305";
    shake(0, 0);
    ck_assert_str_eq(sonic_tls_cipher_name(e.server),
                     "ECDHE-ECDSA-CHACHA20-POLY1305");
    kit_end(&e);
    so.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    shake(SONIC_ETLS_ALERT, SONIC_ETLS_CIPHER);
    kit_end(&e);
    co.max_version = SONIC_TLS_DEFAULT_VERSION;
    co.min_version = SONIC_TLS_1_3;
    co.ciphersuites = "TLS_AES_128_GCM_SHA256";
    shake(0, 0);
    ck_assert_str_eq(sonic_tls_cipher_name(e.server), "TLS_AES_128_GCM_SHA256");
    kit_end(&e);
    so.ciphersuites = "TLS_AES_256_GCM_SHA384";
    shake(SONIC_ETLS_ALERT, SONIC_ETLS_CIPHER);
    kit_end(&e);
    so.ciphersuites = NULL;
    co.groups = "P-384";
    so.groups = "X25519";
    shake(SONIC_ETLS_ALERT, SONIC_ETLS_CIPHER);
    kit_end(&e);
    rig_close(&r);
}
END_TEST

START_TEST(protocols)
{
    const char *const a[] = {"http/1.1", "h2"}, *const b[] = {"h2", "x"},
                      *const none[] = {"other"};

    open_rig();
    co.alpn = a;
    co.n_alpn = 2;
    shake(0, 0); /* the server does not care */
    ck_assert_ptr_null(sonic_tls_alpn(e.client));
    kit_end(&e);
    so.alpn = b;
    so.n_alpn = 2;
    shake(0, 0);
    ck_assert_str_eq(sonic_tls_alpn(e.client), "h2");
    ck_assert_str_eq(sonic_tls_alpn(e.server), "h2");
    kit_end(&e);
    so.alpn = a;
    shake(0, 0); /* the server's preference */
    ck_assert_str_eq(sonic_tls_alpn(e.client), "http/1.1");
    kit_end(&e);
    so.alpn = none;
    so.n_alpn = 1;
    shake(SONIC_ETLS_ALPN, SONIC_ETLS_ALPN);
    kit_end(&e);
    co.n_alpn = 0; /* who does not ask is not refused */
    shake(0, 0);
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* What cannot be is said when the context is made, in words. */
START_TEST(wrong_settings)
{
    static const char *const empty[] = {""}, *const missing[] = {NULL};
    sonic_tls_certificate wrong;
    sonic_tls_context *out;
    char why[128];

#define FAILS(role, opt, err, words)                                           \
    do {                                                                       \
        ck_assert_int_eq(                                                      \
            sonic_tls_context_new(r.io, role, opt, &out, why, sizeof why),     \
            err);                                                              \
        ck_assert_msg(strstr(why, words) != NULL, "%s", why);                  \
    } while (0)
#define CLIENT_FAILS(field, value, err, words)                                 \
    do {                                                                       \
        open_options();                                                        \
        co.field = value;                                                      \
        FAILS(SONIC_TLS_CLIENT, &co, err, words);                              \
    } while (0)
#define open_options() (co = (sonic_tls_context_options){.size = sizeof co})

    open_rig();
    FAILS(SONIC_TLS_SERVER, NULL, SONIC_EOPTION, "needs a certificate");
    CLIENT_FAILS(ciphers, "NONSENSE", SONIC_EOPTION, "NONSENSE");
    CLIENT_FAILS(ciphersuites, "NONSENSE", SONIC_EOPTION, "NONSENSE");
    CLIENT_FAILS(groups, "NONSENSE", SONIC_EOPTION, "NONSENSE");
    CLIENT_FAILS(ca_file, "/nowhere", -ENOENT, "/nowhere");
    CLIENT_FAILS(ca_file, "/dev/null", SONIC_ETLS_CERTIFICATE, "/dev/null");
    CLIENT_FAILS(crl_file, "/dev/null", SONIC_ETLS_CERTIFICATE, "revocation");
    CLIENT_FAILS(key_log_file, "/nowhere/x", -ENOENT, "/nowhere");
    CLIENT_FAILS(depth, -1, SONIC_EOPTION, "depth");
    CLIENT_FAILS(session_cache, SIZE_MAX, SONIC_EOPTION, "session_cache");
    open_options();
    co.min_version = SONIC_TLS_1_3;
    co.max_version = SONIC_TLS_1_2;
    FAILS(SONIC_TLS_CLIENT, &co, SONIC_EOPTION, "min_version");
    open_options();
    co.alpn = empty;
    co.n_alpn = 1;
    FAILS(SONIC_TLS_CLIENT, &co, SONIC_EOPTION, "protocol");
    co.alpn = missing;
    FAILS(SONIC_TLS_CLIENT, &co, SONIC_EOPTION, "protocol");
    open_options();
    co.ca = "garbage";
    co.ca_len = 7;
    FAILS(SONIC_TLS_CLIENT, &co, SONIC_ETLS_CERTIFICATE, "authorities");
    so.client_auth = SONIC_TLS_REQUIRE_CERTIFICATE;
    FAILS(SONIC_TLS_SERVER, &so, SONIC_EOPTION, "authorities to trust");
    so.client_auth = SONIC_TLS_NO_CLIENT_CERTIFICATE;
    so.certificates = &wrong;
    wrong = own;
    wrong.key = kit.client.key_pem;
    wrong.key_len = kit.client.key_len;
    FAILS(SONIC_TLS_SERVER, &so, SONIC_ETLS_CERTIFICATE, "belong together");
    wrong = own;
    wrong.key = NULL; /* then it is with the certificate, where it is not */
    FAILS(SONIC_TLS_SERVER, &so, SONIC_ETLS_CERTIFICATE, "private key");
    wrong = (sonic_tls_certificate){0};
    FAILS(SONIC_TLS_SERVER, &so, SONIC_EOPTION, "neither");
    wrong.chain_file = "/nowhere";
    FAILS(SONIC_TLS_SERVER, &so, -ENOENT, "/nowhere");
    ck_assert_uint_eq(ERR_peek_error(), 0);
    rig_close(&r);
}
END_TEST

/* ---- several certificates, and others later --------------------------- */

static struct certificate
site(const char *names, bool rsa)
{
    return kit_certificate(&(struct certificate_wish){
        .name = "a site", .names = names, .rsa = rsa, .issuer = &kit.root});
}

static void
shows(sonic_tls_context *c, sonic_tls_context *s, const char *ask,
      const char *get)
{
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    char name[64];

    opt.sni = ask;
    opt.verify_host = SONIC_OFF;
    kit_shake(&r, &e, 0, c, s, &opt, 0, 0);
    sonic_tls_peer_name(e.client, name, sizeof name);
    ck_assert_str_eq(name, get);
    kit_end(&e);
}

START_TEST(certificate_by_name)
{
    struct certificate c[3] = {site("DNS:first.test", false),
                               site("DNS:second.test,DNS:third.test", true),
                               site("DNS:*.wild.test", false)};
    sonic_tls_certificate list[3];
    sonic_tls_context *client, *server;

    open_rig();
    for (int i = 0; i < 3; i++)
        list[i] = kit_own(&c[i]);
    so.certificates = list;
    so.n_certificates = 3;
    client = kit_client(r.io);
    server = kit_context(r.io, SONIC_TLS_SERVER, &so);
    shows(client, server, "first.test", "first.test");
    shows(client, server, "second.test", "second.test");
    shows(client, server, "third.test", "second.test");
    shows(client, server, "a.wild.test", "*.wild.test");
    shows(client, server, "unknown.test", "first.test");
    shows(client, server, "", "first.test");
    sonic_tls_context_free(client);
    sonic_tls_context_free(server);
    for (int i = 0; i < 3; i++)
        certificate_free(&c[i]);
    rig_close(&r);
}
END_TEST

static void
write_file(const char *path, const struct certificate *c)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(c->pem, 1, c->pem_len, f), c->pem_len);
    ck_assert_uint_eq(fwrite(c->key_pem, 1, c->key_len, f), c->key_len);
    ck_assert_int_eq(fclose(f), 0);
}

/* Certificate and key in one file, exchanged under a running server. */
START_TEST(reload)
{
    struct certificate a = site("DNS:before.test", false),
                       b = site("DNS:after.test", true);
    sonic_tls_context *client, *server;
    struct kit_ends old;
    char path[] = "/tmp/check_tls.XXXXXX", why[128];

    open_rig();
    close(mkstemp(path));
    write_file(path, &a);
    own = (sonic_tls_certificate){.chain_file = path};
    client = kit_client(r.io);
    server = kit_context(r.io, SONIC_TLS_SERVER, &so);
    shows(client, server, "x", "before.test");
    co.verify = SONIC_OFF;
    kit_shake(&r, &old, 0, client, server,
              &(sonic_tls_options){.size = sizeof(sonic_tls_options),
                                   .verify_host = SONIC_OFF},
              0, 0);
    write_file(path, &b);
    shows(client, server, "x", "before.test"); /* not by itself */
    ck_assert_int_eq(sonic_tls_context_reload(server, NULL, why, sizeof why),
                     0);
    shows(client, server, "x", "after.test");
    kit_talk(&r, &old); /* what was there goes on */
    kit_end(&old);
    unlink(path); /* a failure changes nothing */
    ck_assert_int_eq(sonic_tls_context_reload(server, NULL, why, sizeof why),
                     -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, path));
    shows(client, server, "x", "after.test");
    own = kit_own(&a); /* other settings altogether */
    ck_assert_int_eq(sonic_tls_context_reload(server, &so, NULL, 0), 0);
    shows(client, server, "x", "before.test");
    so.ciphers = "NONSENSE";
    ck_assert_int_eq(sonic_tls_context_reload(server, &so, NULL, 0),
                     SONIC_EOPTION);
    shows(client, server, "x", "before.test");
    ck_assert_int_eq(sonic_tls_context_reload(server, NULL, NULL, 0), 0);
    sonic_tls_context_free(client);
    sonic_tls_context_free(server);
    certificate_free(&a);
    certificate_free(&b);
    rig_close(&r);
}
END_TEST

/* ---- resumption ------------------------------------------------------- */

/* One connection of the two; was it resumed? */
static bool
again(sonic_tls_context *c, sonic_tls_context *s, const sonic_tls_options *opt)
{
    bool resumed;

    kit_shake(&r, &e, 0, c, s, opt, 0, 0);
    kit_talk(&r, &e); /* TLS 1.3: the ticket comes behind the handshake */
    resumed = sonic_tls_resumed(e.client);
    ck_assert(sonic_tls_resumed(e.server) == resumed);
    if (resumed) {
        ck_assert_int_eq(sonic_tls_verify_result(e.client), 0);
        ck_assert_uint_gt(sonic_tls_peer_certificate(e.client, NULL, 0), 0);
    }
    kit_end(&e);
    rig_settle(&r);
    return resumed;
}

START_TEST(sessions_are_remembered)
{
    sonic_tls_context *c, *s;
    sonic_tls_options other = SONIC_TLS_OPTIONS_INIT;

    open_rig();
    co.max_version = _i == 0 ? SONIC_TLS_1_2 : SONIC_TLS_1_3;
    co.session_cache = 1;
    c = kit_context(r.io, SONIC_TLS_CLIENT, &co);
    s = kit_context(r.io, SONIC_TLS_SERVER, &so);
    ck_assert(!again(c, s, NULL));
    ck_assert(again(c, s, NULL));
    ck_assert(again(c, s, NULL));
    other.server_name = "www.example.org"; /* another name: another session */
    ck_assert(!again(c, s, &other));
    ck_assert(again(c, s, &other));
    ck_assert(!again(c, s, NULL)); /* forgotten: there is room for one */
    /* The server's keys survive a reload, the client's memory does not. */
    ck_assert_int_eq(sonic_tls_context_reload(s, NULL, NULL, 0), 0);
    ck_assert(again(c, s, NULL) || _i == 0);
    ck_assert_int_eq(sonic_tls_context_reload(c, NULL, NULL, 0), 0);
    ck_assert(!again(c, s, NULL));
    sonic_tls_context_free(c);
    co.resumption = SONIC_OFF;
    c = kit_context(r.io, SONIC_TLS_CLIENT, &co);
    ck_assert(!again(c, s, NULL));
    ck_assert(!again(c, s, NULL));
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
    rig_close(&r);
}
END_TEST

/* Exported from one client, used by another, perhaps of another process. */
START_TEST(sessions_travel)
{
    sonic_tls_context *a, *b, *s;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    unsigned char *bytes;
    size_t n;

    open_rig();
    co.max_version = _i == 0 ? SONIC_TLS_1_2 : SONIC_TLS_1_3;
    a = kit_context(r.io, SONIC_TLS_CLIENT, &co);
    b = kit_context(r.io, SONIC_TLS_CLIENT, &co);
    s = kit_context(r.io, SONIC_TLS_SERVER, &so);
    kit_shake(&r, &e, 0, a, s, NULL, 0, 0);
    kit_talk(&r, &e);
    n = sonic_tls_export_session(e.client, NULL, 0);
    ck_assert_uint_gt(n, 100);
    bytes = malloc(n);
    ck_assert_uint_eq(sonic_tls_export_session(e.client, bytes, n), n);
    ck_assert_uint_eq(sonic_tls_export_session(e.server, NULL, 0), 0);
    kit_end(&e);
    opt.server_name = "localhost";
    opt.session = bytes;
    opt.session_len = n;
    ck_assert(again(b, s, &opt));
    /* It is no way around verification: the name must fit the session's. */
    opt.server_name = "elsewhere.test";
    kit_shake(&r, &e, 0, b, s, &opt, SONIC_ETLS_WRONG_HOST, 1);
    ck_assert_ptr_nonnull(strstr(sonic_tls_reason(e.client), "elsewhere.test"));
    kit_end(&e);
    free(bytes);
    sonic_tls_context_free(a);
    sonic_tls_context_free(b);
    sonic_tls_context_free(s);
    rig_close(&r);
}
END_TEST

/* ---- secrets ---------------------------------------------------------- */

START_TEST(key_log)
{
    char path[] = "/tmp/check_tls.XXXXXX", text[4096];
    size_t n;
    FILE *f;

    open_rig();
    close(mkstemp(path));
    if (_i == 0)
        co.key_log_file = path;
    else
        co.key_log_env = SONIC_ON;
    setenv("SSLKEYLOGFILE", path, 1);
    shake(0, 0);
    kit_end(&e);
    f = fopen(path, "r");
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    unlink(path);
    text[n] = '\0';
    ck_assert_ptr_nonnull(strstr(text, "CLIENT_TRAFFIC_SECRET_0 "));
    ck_assert_int_eq(text[n - 1], '\n');
    co.key_log_file = NULL; /* and only on request */
    co.key_log_env = SONIC_DEFAULT;
    shake(0, 0);
    kit_end(&e);
    ck_assert_int_ne(access(path, F_OK), 0);
    unsetenv("SSLKEYLOGFILE");
    rig_close(&r);
}
END_TEST

/* Who asks for the kernel's help is told why it does not come. */
START_TEST(ktls_says_why_not)
{
    const char *why;

    open_rig();
    shake(0, 0);
    ck_assert_str_eq(sonic_tls_ktls(e.client), "not asked for");
    kit_end(&e);
    co.ktls = SONIC_ON;
    shake(0, 0); /* over a socket pair */
    ck_assert_str_eq(sonic_tls_ktls(e.client), "the stream below is not TCP");
    kit_end(&e);
    for (int i = 0; i < 2; i++) {
        sonic_tls_context *c = kit_context(r.io, SONIC_TLS_CLIENT, &co),
                          *s = kit_server(r.io);

        hook_fail(&r.hook, HOOK_setsockopt, i == 0 ? -ENOENT : -EBUSY, 1);
        kit_shake(&r, &e, 1, c, s, NULL, 0, 0);
        why = sonic_tls_ktls(e.client);
        ck_assert_str_eq(why, i == 0 ? "the kernel has no tls module"
                                     : "the kernel refuses it for this socket");
        kit_talk(&r, &e);
        kit_end(&e);
        sonic_tls_context_free(c);
        sonic_tls_context_free(s);
    }
    rig_close(&r);
}
END_TEST

/* ---- renegotiation ---------------------------------------------------- */

/* A client of OpenSSL alone asks for it, TLS 1.2: it is told no. */
START_TEST(no_renegotiation)
{
    SSL_CTX *c = kit_raw_context(false);
    sonic_tls_context *s;
    sonic_stream *server;
    struct outcome o = {0}, got = {0};
    char buf[8];
    SSL *raw;
    int fd[2], reason = 0;

    open_rig();
    SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
    rig_pair(fd);
    s = kit_server(r.io);
    ck_assert_int_eq(sonic_tls_new(s, rig_adopt(&r, fd[0]), NULL, &server), 0);
    raw = kit_raw(c, fd[1], false);
    sonic_tls_async_handshake(server, on_outcome, &o);
    ck_assert_int_eq(kit_raw_shake(&r, raw, &o), 1);
    sonic_stream_async_read_all(server, buf, 5, on_outcome, &got);
    ck_assert_int_eq(SSL_renegotiate(raw), 1);
    for (int i = 0; i < 10 && reason == 0; i++) {
        ERR_clear_error();
        ck_assert_int_le(SSL_do_handshake(raw), 0);
        reason = ERR_GET_REASON(ERR_peek_last_error());
        rig_settle(&r);
    }
    /* OpenSSL takes the warning for a failure of its own. */
    ck_assert_int_eq(reason, SSL_R_NO_RENEGOTIATION);
    RIG_UNTIL(&r, got.calls == 1); /* and gives up, which is told */
    ck_assert_int_eq(got.err, SONIC_ETLS_ALERT);
    ck_assert_uint_eq(got.n, 0);
    sonic_stream_free(server);
    sonic_tls_context_free(s);
    SSL_free(raw);
    SSL_CTX_free(c);
    close(fd[1]);
    rig_close(&r);
}
END_TEST

static void
add_cases(TCase *tc)
{
    tcase_add_test(tc, versions);
    tcase_add_loop_test(tc, below_the_minimum, 0, 2);
    tcase_add_test(tc, ciphers);
    tcase_add_test(tc, protocols);
    tcase_add_test(tc, wrong_settings);
    tcase_add_test(tc, certificate_by_name);
    tcase_add_test(tc, reload);
    tcase_add_loop_test(tc, sessions_are_remembered, 0, 2);
    tcase_add_loop_test(tc, sessions_travel, 0, 2);
    tcase_add_loop_test(tc, key_log, 0, 2);
    tcase_add_test(tc, ktls_says_why_not);
    tcase_add_test(tc, no_renegotiation);
}

int
main(void)
{
    Suite *suite = suite_create("tls_settings");

    kit_add(suite, add_cases);
    return rig_main(suite);
}
