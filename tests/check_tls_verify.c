/* Whom TLS takes for whom: each refusal has its own error and its words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/tls_kit.h"

enum { DAY = 24 * 3600 };

static struct rig r;
static struct kit_ends e;

/* A server with this certificate, asked for by this name by a client that
 * trusts kit.root. */
static void
meet(const struct certificate *c, const char *name, int client_err)
{
    sonic_tls_certificate own = kit_own(c);
    sonic_tls_context_options so = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_tls_context *server, *client = kit_client(r.io);

    so.certificates = &own;
    so.n_certificates = 1;
    server = kit_context(r.io, SONIC_TLS_SERVER, &so);
    opt.server_name = name;
    kit_shake(&r, &e, 0, client, server, &opt, client_err, 1);
    sonic_tls_context_free(client);
    sonic_tls_context_free(server);
}

static void
refused(const struct certificate_wish *wish, const char *name, int err,
        const char *words)
{
    struct certificate c = kit_certificate(wish);

    meet(&c, name, err);
    ck_assert_msg(strstr(sonic_tls_reason(e.client), words) != NULL,
                  "\"%s\" is not in \"%s\"", words, sonic_tls_reason(e.client));
    ck_assert_int_ne(sonic_tls_verify_result(e.client), 0);
    /* The server is told, one way or the other. */
    if (e.s.err != 0)
        ck_assert_int_eq(e.s.err, SONIC_ETLS_ALERT);
    kit_end(&e);
    certificate_free(&c);
}

static void
taken(const struct certificate_wish *wish, const char *name)
{
    struct certificate c = kit_certificate(wish);

    meet(&c, name, 0);
    kit_talk(&r, &e);
    kit_end(&e);
    certificate_free(&c);
}

START_TEST(dates)
{
    rig_open(&r, 0);
    refused(&(struct certificate_wish){.name = "old",
                                       .names = "DNS:localhost",
                                       .from = -2 * DAY,
                                       .to = -DAY,
                                       .issuer = &kit.root},
            "localhost", SONIC_ETLS_EXPIRED, "certificate expired on 20");
    refused(&(struct certificate_wish){.name = "new",
                                       .names = "DNS:localhost",
                                       .from = DAY,
                                       .to = 2 * DAY,
                                       .issuer = &kit.root},
            "localhost", SONIC_ETLS_NOT_YET_VALID, "not valid before 20");
    rig_close(&r);
}
END_TEST

START_TEST(names)
{
    static const struct {
        const char *in_certificate, *asked;
        bool fits;
    } table[] = {
        {"DNS:localhost", "localhost", true},
        {"DNS:localhost", "LOCALHOST", true},
        {"DNS:localhost", "localhost.", true},
        {"DNS:example.org,DNS:www.example.org", "www.example.org", true},
        {"DNS:example.org", "example.com", false},
        {"DNS:example.org", "www.example.org", false},
        {"DNS:*.example.org", "www.example.org", true},
        {"DNS:*.example.org", "a.b.example.org", false},
        {"DNS:*.example.org", "example.org", false},
        {"DNS:w*.example.org", "www.example.org", false}, /* RFC 9525 6.3 */
        {"DNS:*", "localhost", false},
        {"IP:127.0.0.1", "127.0.0.1", true},
        {"IP:127.0.0.1", "127.0.0.2", false},
        {"IP:::1", "::1", true},
        {"IP:::1", "[::1]", true},
        {"IP:::1", "0:0::0:1", true},
        {"IP:fe80::1", "fe80::1%eth0", true},
        {"IP:::1", "::2", false},
        {"DNS:127.0.0.1", "127.0.0.1", false}, /* a name is no address */
        {"IP:127.0.0.1", "localhost", false},
    };

    rig_open(&r, 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct certificate_wish w = {.name = "localhost",
                                     .names = table[i].in_certificate,
                                     .issuer = &kit.root};

        if (table[i].fits)
            taken(&w, table[i].asked);
        else
            refused(&w, table[i].asked, SONIC_ETLS_WRONG_HOST,
                    "certificate is for ");
    }
    /* The common name alone is no name: RFC 9525 section 2. */
    refused(
        &(struct certificate_wish){.name = "localhost", .issuer = &kit.root},
        "localhost", SONIC_ETLS_WRONG_HOST, "no subjectAltName");
    rig_close(&r);
}
END_TEST

/* A name, and the certificate's, are said in the reason. */
START_TEST(words_name_names)
{
    rig_open(&r, 0);
    refused(&(struct certificate_wish){.name = "x",
                                       .names = "DNS:right.example",
                                       .issuer = &kit.root},
            "wrong.example", SONIC_ETLS_WRONG_HOST,
            "certificate is for right.example, not for wrong.example");
    rig_close(&r);
}
END_TEST

START_TEST(issuers)
{
    struct certificate leaf, alone;

    rig_open(&r, 0);
    refused(
        &(struct certificate_wish){.name = "alone", .names = "DNS:localhost"},
        "localhost", SONIC_ETLS_SELF_SIGNED, "self");
    refused(&(struct certificate_wish){.name = "x",
                                       .names = "DNS:localhost",
                                       .issuer = &kit.other_root},
            "localhost", SONIC_ETLS_UNKNOWN_ISSUER, "another root");
    /* With what stands between: fine.  Without: not. */
    taken(&(struct certificate_wish){.name = "x",
                                     .names = "DNS:localhost",
                                     .issuer = &kit.between},
          "localhost");
    leaf = kit_certificate(&(struct certificate_wish){
        .name = "x", .names = "DNS:localhost", .issuer = &kit.between});
    alone = leaf;
    alone.pem_len =
        (size_t)(strstr(leaf.pem, "-----END") - leaf.pem) + strlen("-----END");
    alone.pem_len += strcspn(leaf.pem + alone.pem_len, "\n") + 1;
    meet(&alone, "localhost", SONIC_ETLS_UNKNOWN_ISSUER);
    ck_assert_ptr_nonnull(
        strstr(sonic_tls_reason(e.client), "sonicio test intermediate"));
    kit_end(&e);
    certificate_free(&leaf);
    /* Who is no authority cannot be one, and a client's is no server's. */
    leaf = kit_certificate(
        &(struct certificate_wish){.name = "leaf", .issuer = &kit.root});
    refused(&(struct certificate_wish){.name = "x",
                                       .names = "DNS:localhost",
                                       .issuer = &leaf},
            "localhost", SONIC_ETLS_PURPOSE, "");
    certificate_free(&leaf);
    refused(&(struct certificate_wish){.name = "x",
                                       .names = "DNS:localhost",
                                       .usage = "clientAuth",
                                       .issuer = &kit.root},
            "localhost", SONIC_ETLS_PURPOSE, "purpose");
    rig_close(&r);
}
END_TEST

/* A file of the test's own, gone with it. */
static const char *
file_with(const char *text, size_t n)
{
    static char path[64];
    FILE *f;
    int fd;

    strcpy(path, "/tmp/check_tls.XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    f = fdopen(fd, "w");
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

START_TEST(revocation)
{
    struct certificate bad =
        kit_certificate(&(struct certificate_wish){.name = "stolen",
                                                   .names = "DNS:localhost",
                                                   .serial = 99,
                                                   .issuer = &kit.root});
    long serial = 99;
    char *list = kit_revoke(&kit.root, &serial, 1);
    sonic_tls_context_options co = SONIC_TLS_CONTEXT_OPTIONS_INIT,
                              so = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_certificate own[2] = {kit_own(&bad), kit_own(&kit.server)};
    sonic_tls_context *client, *server;

    rig_open(&r, 0);
    co.ca = kit.root.pem;
    co.ca_len = kit.root.pem_len;
    co.crl_file = file_with(list, strlen(list));
    client = kit_context(r.io, SONIC_TLS_CLIENT, &co);
    unlink(co.crl_file);
    so.n_certificates = 1;
    for (int i = 0; i < 2; i++) {
        so.certificates = &own[i];
        server = kit_context(r.io, SONIC_TLS_SERVER, &so);
        kit_shake(&r, &e, 0, client, server, NULL,
                  i == 0 ? SONIC_ETLS_REVOKED : 0, 1);
        kit_end(&e);
        sonic_tls_context_free(server);
    }
    sonic_tls_context_free(client);
    free(list);
    certificate_free(&bad);
    rig_close(&r);
}
END_TEST

/* Verification off: anybody is taken, and what is wrong can be read. */
START_TEST(off_means_off)
{
    sonic_tls_context_options co = SONIC_TLS_CONTEXT_OPTIONS_INIT,
                              so = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_certificate own = kit_own(&kit.foreign);
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_tls_context *client, *server;

    rig_open(&r, 0);
    co.verify = SONIC_OFF;
    so.certificates = &own;
    so.n_certificates = 1;
    client = kit_context(r.io, SONIC_TLS_CLIENT, &co);
    server = kit_context(r.io, SONIC_TLS_SERVER, &so);
    for (int i = 0; i < 2; i++) {
        opt.server_name = i == 0 ? "localhost" : NULL;
        kit_shake(&r, &e, 0, client, server, &opt, 0, 0);
        ck_assert_int_eq(sonic_tls_verify_result(e.client),
                         SONIC_ETLS_UNKNOWN_ISSUER);
        ck_assert_str_ne(sonic_tls_reason(e.client), "");
        kit_end(&e);
    }
    sonic_tls_context_free(client);
    sonic_tls_context_free(server);
    rig_close(&r);
}
END_TEST

/* Host, SNI and the verified name are three things. */
START_TEST(names_apart)
{
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_tls_context *client, *server;

    rig_open(&r, 0);
    client = kit_client(r.io);
    server = kit_server(r.io);
    opt.server_name = "elsewhere.test";
    opt.verify_name = "localhost";
    kit_shake(&r, &e, 0, client, server, &opt, 0, 0);
    ck_assert_str_eq(sonic_tls_server_name(e.server), "elsewhere.test");
    kit_end(&e);
    opt.sni = "front.test";
    kit_shake(&r, &e, 0, client, server, &opt, 0, 0);
    ck_assert_str_eq(sonic_tls_server_name(e.server), "front.test");
    kit_end(&e);
    opt.sni = "";
    kit_shake(&r, &e, 0, client, server, &opt, 0, 0);
    ck_assert_ptr_null(sonic_tls_server_name(e.server));
    kit_end(&e);
    opt.verify_name = NULL;
    kit_shake(&r, &e, 0, client, server, &opt, SONIC_ETLS_WRONG_HOST, 1);
    kit_end(&e);
    opt.verify_host = SONIC_OFF;
    kit_shake(&r, &e, 0, client, server, &opt, 0, 0);
    kit_end(&e);
    sonic_tls_context_free(client);
    sonic_tls_context_free(server);
    rig_close(&r);
}
END_TEST

/* ---- certificates of clients ------------------------------------------ */

/* The client's own, or NULL; what its first read says, because with TLS 1.3 a
 * client has finished before the server judges. */
static void
client_shows(const struct certificate *c, enum sonic_tls_client_auth auth,
             enum sonic_tls_version version, int server_err, int client_err)
{
    sonic_tls_certificate own = kit_own(&kit.server), mine = {0};
    sonic_tls_context_options co = SONIC_TLS_CONTEXT_OPTIONS_INIT,
                              so = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_context *client, *server;
    struct outcome o = {0};
    char buf[8], name[64];

    if (c != NULL)
        mine = kit_own(c);
    co.ca = so.ca = kit.root.pem;
    co.ca_len = so.ca_len = kit.root.pem_len;
    co.certificates = &mine;
    co.n_certificates = c != NULL;
    co.max_version = version;
    so.certificates = &own;
    so.n_certificates = 1;
    so.client_auth = auth;
    client = kit_context(r.io, SONIC_TLS_CLIENT, &co);
    server = kit_context(r.io, SONIC_TLS_SERVER, &so);
    kit_begin(&r, &e, 0, client, server, NULL);
    RIG_UNTIL(&r, e.c.calls == 1 && e.s.calls == 1);
    ck_assert_msg(e.s.err == server_err, "%s: %s", sonic_errname(e.s.err),
                  sonic_tls_reason(e.server));
    if (server_err == 0) {
        kit_talk(&r, &e);
        if (c != NULL) {
            sonic_tls_peer_name(e.server, name, sizeof name);
            ck_assert_str_eq(name, "/CN=the client");
            ck_assert_int_eq(sonic_tls_verify_result(e.server), 0);
            ck_assert_uint_gt(sonic_tls_peer_certificate(e.server, NULL, 0),
                              100);
        }
    } else {
        if (e.c.err == 0) {
            sonic_stream_async_read(e.client, buf, sizeof buf, on_outcome, &o);
            RIG_UNTIL(&r, o.calls == 1);
            e.c.err = o.err;
        }
        ck_assert_msg(e.c.err == client_err, "%s", sonic_errname(e.c.err));
        ck_assert_msg(strstr(sonic_tls_reason(e.client), "the peer says") !=
                          NULL,
                      "%s", sonic_tls_reason(e.client));
    }
    kit_end(&e);
    sonic_tls_context_free(client);
    sonic_tls_context_free(server);
}

START_TEST(client_certificates)
{
    struct certificate wrong = kit_certificate(&(struct certificate_wish){
        .name = "the client", .issuer = &kit.other_root});
    enum sonic_tls_version v = _i == 0 ? SONIC_TLS_1_2 : SONIC_TLS_1_3;

    rig_open(&r, 0);
    client_shows(NULL, SONIC_TLS_NO_CLIENT_CERTIFICATE, v, 0, 0);
    client_shows(NULL, SONIC_TLS_REQUEST_CERTIFICATE, v, 0, 0);
    client_shows(&kit.client, SONIC_TLS_REQUEST_CERTIFICATE, v, 0, 0);
    client_shows(&kit.client, SONIC_TLS_REQUIRE_CERTIFICATE, v, 0, 0);
    client_shows(NULL, SONIC_TLS_REQUIRE_CERTIFICATE, v,
                 SONIC_ETLS_NO_CERTIFICATE, SONIC_ETLS_ALERT);
    client_shows(&wrong, SONIC_TLS_REQUIRE_CERTIFICATE, v,
                 SONIC_ETLS_UNKNOWN_ISSUER, SONIC_ETLS_ALERT);
    client_shows(&wrong, SONIC_TLS_REQUEST_CERTIFICATE, v,
                 SONIC_ETLS_UNKNOWN_ISSUER, SONIC_ETLS_ALERT);
    certificate_free(&wrong);
    rig_close(&r);
}
END_TEST

static void
add_cases(TCase *tc)
{
    tcase_add_test(tc, dates);
    tcase_add_test(tc, names);
    tcase_add_test(tc, words_name_names);
    tcase_add_test(tc, issuers);
    tcase_add_test(tc, revocation);
    tcase_add_test(tc, off_means_off);
    tcase_add_test(tc, names_apart);
    tcase_add_loop_test(tc, client_certificates, 0, 2);
}

int
main(void)
{
    Suite *suite = suite_create("tls_verify");

    kit_add(suite, add_cases);
    return rig_main(suite);
}
