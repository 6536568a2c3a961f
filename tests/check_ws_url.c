/* WebSocket URLs and the URLs of proxies: good ones, bad ones, any string. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "websocket/proxy.h"

#define NAME SONIC_URL_NAME
#define IPV4 SONIC_URL_IPV4
#define IPV6 SONIC_URL_IPV6
#define UNIX SONIC_URL_UNIX

static const struct good {
    const char *text;
    enum sonic_url_kind kind;
    bool secure;
    unsigned port;
    const char *host, *authority, *resource;
} good[] = {
    {"ws://example.com", NAME, false, 80, "example.com", "example.com", ""},
    {"ws://example.com/", NAME, false, 80, "example.com", "example.com", "/"},
    {"wss://example.com/a/b?c=d&e=/?", NAME, true, 443, "example.com",
     "example.com", "/a/b?c=d&e=/?"},
    {"WsS://EXAMPLE.com/A", NAME, true, 443, "EXAMPLE.com", "EXAMPLE.com",
     "/A"},
    {"ws://h?x", NAME, false, 80, "h", "h", "?x"},
    {"ws://h:?x", NAME, false, 80, "h", "h", "?x"},
    {"ws://h:80/", NAME, false, 80, "h", "h", "/"},
    {"ws://h:443/", NAME, false, 443, "h", "h:443", "/"},
    {"wss://h:80", NAME, true, 80, "h", "h:80", ""},
    {"wss://h:443", NAME, true, 443, "h", "h", ""},
    {"ws://h:1", NAME, false, 1, "h", "h:1", ""},
    {"ws://h:65535", NAME, false, 65535, "h", "h:65535", ""},
    {"ws://h:0080", NAME, false, 80, "h", "h", ""},
    {"ws://a_b.c-d~e.xn--p1ai./", NAME, false, 80, "a_b.c-d~e.xn--p1ai.",
     "a_b.c-d~e.xn--p1ai.", "/"},
    {"ws://!$&'()*+,;=a/", NAME, false, 80, "!$&'()*+,;=a", "!$&'()*+,;=a",
     "/"},
    {"ws://h/@:[]{}|\\^`<>\"%", NAME, false, 80, "h", "h", "/@:[]{}|\\^`<>\"%"},
    {"ws://127.0.0.1:8080/x", IPV4, false, 8080, "127.0.0.1", "127.0.0.1:8080",
     "/x"},
    {"ws://1.2.3.4a/", NAME, false, 80, "1.2.3.4a", "1.2.3.4a", "/"},
    {"ws://0xg/", NAME, false, 80, "0xg", "0xg", "/"},
    {"ws://[::1]", IPV6, false, 80, "::1", "[::1]", ""},
    {"ws://[::1]:9001/x", IPV6, false, 9001, "::1", "[::1]:9001", "/x"},
    {"wss://[2001:DB8::a]:/x", IPV6, true, 443, "2001:DB8::a", "[2001:DB8::a]",
     "/x"},
    {"ws://[::ffff:1.2.3.4]:5", IPV6, false, 5, "::ffff:1.2.3.4",
     "[::ffff:1.2.3.4]:5", ""},
    {"ws://[fe80::1%25eth0]:80/", IPV6, false, 80, "fe80::1%eth0", "[fe80::1]",
     "/"},
    {"ws://[fe80::1%25a%2db]:81/", IPV6, false, 81, "fe80::1%a-b",
     "[fe80::1]:81", "/"},
    {"ws+unix:/run/s.sock", UNIX, false, 0, "/run/s.sock", "localhost", ""},
    {"ws+unix:/run/s.sock:/r?q", UNIX, false, 0, "/run/s.sock", "localhost",
     "/r?q"},
    {"ws+unix:///run/s.sock:/r:x", UNIX, false, 0, "/run/s.sock", "localhost",
     "/r:x"},
    {"ws+unix:/run/s.sock:", UNIX, false, 0, "/run/s.sock", "localhost", ""},
    {"ws+unix:/run/s.sock:?q", UNIX, false, 0, "/run/s.sock", "localhost",
     "?q"},
    {"ws+unix:/run/s.sock?q:/", UNIX, false, 0, "/run/s.sock", "localhost",
     "?q:/"},
    {"WS+UNIX:s", UNIX, false, 0, "s", "localhost", ""},
    {"ws+unix:@name:/", UNIX, false, 0, "@name", "localhost", "/"},
    {"wss+unix:/s:/x", UNIX, true, 0, "/s", "localhost", "/x"},
    {"ws+unix:/a%20b%3a%3Fc:/", UNIX, false, 0, "/a b:?c", "localhost", "/"},
};

static const struct bad {
    const char *text, *why; /* why begins with */
} bad[] = {
    {"", "the scheme"},
    {"ws", "the scheme"},
    {"http://h/", "the scheme"},
    {"wsss://h/", "the scheme"},
    {"xws://h/", "the scheme"},
    {"example.com", "the scheme"},
    {"ws+unix", "the scheme"},
    {"wsss+unix:/s", "the scheme"},
    {"ws:", "there is no //"},
    {"ws:/h/", "there is no //"},
    {"ws:h", "there is no //"},
    {"ws://", "there is no host"},
    {"ws:///", "there is no host"},
    {"ws://:80/", "there is no host"},
    {"ws://?x", "there is no host"},
    {"ws://u@h/", "a user name"},
    {"ws://u:p@h/", "a user name"},
    {"ws://@h/", "a user name"},
    {"ws://@/", "a user name"},
    {"ws://h/#f", "a fragment"},
    {"ws://h#", "a fragment"},
    {"ws://h/?#", "a fragment"},
    {"ws+unix:/s:/#", "a fragment"},
    {"ws://h:0/", "port 0"},
    {"ws://h:00", "port 0"},
    {"ws://h:65536", "the port is above"},
    {"ws://h:99999999999999999999999999", "the port is above"},
    {"ws://h:-1", "the port is not"},
    {"ws://h:+1", "the port is not"},
    {"ws://h:1x/", "the port is not"},
    {"ws://h:0x50", "the port is not"},
    {"ws://h:1:2", "an IPv6 address is written"},
    {"ws://::1/", "an IPv6 address is written"},
    {"ws://2001:db8::1:80/", "an IPv6 address is written"},
    {"ws://a%41/", "percent-encoding in a host"},
    {"ws://a\\b/", "the host has a character"},
    {"ws://a\"b/", "the host has a character"},
    {"ws://a]b/", "the host has a character"},
    {"ws://a[b]/", "the host has a character"},
    {"ws://a<b/", "the host has a character"},
    {"ws://a^b/", "the host has a character"},
    {"ws://a|b/", "the host has a character"},
    {"ws://1.2.3", "the host looks like an IPv4"},
    {"ws://1.2.3.256/", "the host looks like an IPv4"},
    {"ws://1.2.3.4.5", "the host looks like an IPv4"},
    {"ws://1.2.3.4./", "the host looks like an IPv4"},
    {"ws://1.2.3.04/", "the host looks like an IPv4"},
    {"ws://a.1/", "the host looks like an IPv4"},
    {"ws://2130706433/", "the host looks like an IPv4"},
    {"ws://0x7f.1/", "the host looks like an IPv4"},
    {"ws://0x7F000001/", "the host looks like an IPv4"},
    {"ws://127.0x1/", "the host looks like an IPv4"},
    {"ws://127.0X/", "the host looks like an IPv4"},
    {"ws://[::1/", "the bracket"},
    {"ws://[", "the bracket"},
    {"ws://[]", "the brackets do not"},
    {"ws://[1.2.3.4]/", "the brackets do not"},
    {"ws://[v1.x]/", "the brackets do not"},
    {"ws://[::1::]/", "the brackets do not"},
    {"ws://[12345::]/", "the brackets do not"},
    {"ws://[%25eth0]/", "the brackets do not"},
    {"ws://[aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa]/",
     "the brackets do not"},
    {"ws://[::1]x", "only a port"},
    {"ws://[::1]]", "only a port"},
    {"ws://[::1][::1]", "only a port"},
    {"ws://[::1]:x", "the port is not"},
    {"ws://[fe80::1%]/", "an IPv6 scope"},
    {"ws://[fe80::1%25]/", "an IPv6 scope"},
    {"ws://[fe80::1%eth0]/", "an IPv6 scope"},
    {"ws://[fe80::1%25a%]/", "a % is not"},
    {"ws://[fe80::1%25a%2]/", "a % is not"},
    {"ws://[fe80::1%25%zz]/", "a % is not"},
    {"ws://[fe80::1%25%2f]/", "the IPv6 scope has"},
    {"ws://[fe80::1%25a:b]/", "the IPv6 scope has"},
    {"ws://[fe80::1%25%00]/", "%00"},
    {"ws://h/a b", "a space"},
    {" ws://h/", "a space"},
    {"ws://h/\n", "a space"},
    {"ws://h/\x7f", "a space"},
    {"ws://h\r\nX: y/", "a space"},
    {"ws://h/\xc3\xa9", "a byte is not ASCII"},
    {"ws://\xc3\xa9/", "a byte is not ASCII"},
    {"ws+unix:", "there is no socket"},
    {"ws+unix::/x", "there is no socket"},
    {"ws+unix:?x", "there is no socket"},
    {"ws+unix:/s:x", "the path behind"},
    {"ws+unix://host/s", "a unix socket has no host"},
    {"ws+unix://", "a unix socket has no host"},
    {"ws+unix:/a%00b", "%00"},
    {"ws+unix:/a%2", "a % is not"},
    {"ws+unix:/a%:/", "a % is not"},
    {"ws+unix:/a%g0", "a % is not"},
};

enum { GOOD = sizeof good / sizeof good[0], BAD = sizeof bad / sizeof bad[0] };

START_TEST(good_ones)
{
    for (size_t i = 0; i < GOOD; i++) {
        const struct good *g = &good[i];
        sonic_url u = SONIC_URL_INIT;
        const char *why = "";

        ck_assert_msg(sonic_url_parse(g->text, &u, &why) == 0, "%s: %s",
                      g->text, why);
        ck_assert_ptr_null(why);
        ck_assert_str_eq(u.host, g->host);
        ck_assert_str_eq(u.authority, g->authority);
        ck_assert_str_eq(u.resource, g->resource);
        ck_assert_msg(u.kind == g->kind && u.secure == g->secure &&
                          u.port == g->port,
                      "%s", g->text);
        ck_assert_ptr_eq(u.resource,
                         g->text + strlen(g->text) - strlen(g->resource));
    }
}
END_TEST

START_TEST(bad_ones)
{
    for (size_t i = 0; i < BAD; i++) {
        sonic_url u = SONIC_URL_INIT;
        const char *why = NULL;

        ck_assert_msg(sonic_url_parse(bad[i].text, &u, &why) == SONIC_EWS_URL,
                      "%s", bad[i].text);
        ck_assert_ptr_nonnull(why);
        ck_assert_msg(strncmp(why, bad[i].why, strlen(bad[i].why)) == 0,
                      "%s: %s", bad[i].text, why);
        ck_assert_int_eq(sonic_url_parse(bad[i].text, &u, NULL), SONIC_EWS_URL);
        ck_assert_ptr_null(u.resource); /* left as it was */
    }
}
END_TEST

START_TEST(bad_arguments)
{
    sonic_url u = SONIC_URL_INIT;

    ck_assert_int_eq(sonic_url_parse(NULL, &u, NULL), -EINVAL);
    ck_assert_int_eq(sonic_url_parse("ws://h", NULL, NULL), -EINVAL);
    u.size = 0;
    ck_assert_int_eq(sonic_url_parse("ws://h", &u, NULL), -EINVAL);
}
END_TEST

static char text[SONIC_URL_MAX + 100];

/* before, then c to make what is between them `times` long, then after */
static const char *
make(const char *before, char c, size_t times, const char *after)
{
    size_t n = strlen(before);

    memcpy(text, before, n);
    memset(text + n, c, times);
    memcpy(text + n + times, after, strlen(after) + 1);
    return text;
}

static int
parse(const char *url)
{
    sonic_url u = SONIC_URL_INIT;

    return sonic_url_parse(url, &u, NULL);
}

START_TEST(lengths)
{
    for (size_t n = 252; n <= 258; n++) {
        ck_assert_int_eq(parse(make("ws://", 'a', n, ":65534/")),
                         n <= 253 ? 0 : SONIC_EWS_URL);
        ck_assert_int_eq(parse(make("ws://", 'a', n, "")),
                         n <= 253 ? 0 : SONIC_EWS_URL);
        /* fe80::1% is 8 of them */
        ck_assert_int_eq(parse(make("ws://[fe80::1%25", 'a', n - 8, "]:65534")),
                         n <= 253 ? 0 : SONIC_EWS_URL);
    }
    for (size_t n = 106; n <= 109; n++) {
        ck_assert_int_eq(parse(make("ws+unix:", 'a', n, ":/")),
                         n <= 107 ? 0 : SONIC_EWS_URL);
        ck_assert_int_eq(parse(make("ws+unix:%41", 'a', n - 1, "")),
                         n <= 107 ? 0 : SONIC_EWS_URL);
    }
    for (size_t n = SONIC_URL_MAX - 1; n <= SONIC_URL_MAX + 1; n++)
        ck_assert_int_eq(parse(make("ws://h/", 'a', n - 7, "")),
                         n <= SONIC_URL_MAX ? 0 : SONIC_EWS_URL);
}
END_TEST

/* Whatever the string, the answer holds together. */
static void
expect_sense(const char *url)
{
    size_t len = strlen(url);
    char *copy = malloc(len + 1);
    sonic_url u = SONIC_URL_INIT;
    const char *why = NULL;
    int err;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, url, len + 1);
    err = sonic_url_parse(copy, &u, &why);
    if ((err != 0) != (why != NULL) || (err != 0 && err != SONIC_EWS_URL))
        ck_abort_msg("%s: %d", url, err);
    if (err == 0 &&
        (u.host[0] == '\0' || memchr(u.host, 0, sizeof u.host) == NULL ||
         strpbrk(u.authority, "/?#@ \r\n") != NULL ||
         (u.port == 0) != (u.kind == UNIX) || u.resource < copy ||
         u.resource + strlen(u.resource) != copy + len))
        ck_abort_msg("%s: nonsense", url);
    free(copy);
}

START_TEST(any_string)
{
    static const char *const words[] = {
        "ws:",  "wss://", "ws://", "ws+unix:", "/",   "//",    "[",   "]",
        ":",    "@",      "#",     "?",        "%25", "%",     "::1", "fe80::1",
        "1",    "1.2.3",  ".",     "0x",       "a",   "h.com", "80",  "65536",
        "\x80", " ",      "\n",    "%00",      "%2f", "eth0",
    };
    uint64_t seed = 6455;

    for (int round = 0; round < 50000; round++) {
        char url[200] = "";

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        for (uint64_t bits = seed >> 8, n = seed >> 60; n > 0; n--) {
            strcat(url, words[bits % (sizeof words / sizeof words[0])]);
            bits = bits / 7 + seed;
            seed = seed * 6364136223846793005u + 1442695040888963407u;
        }
        expect_sense(url);
    }
    for (size_t i = 0; i < GOOD; i++)
        for (int c = 1; c < 256; c++)
            for (size_t at = 0; at < strlen(good[i].text); at++) {
                char url[200];

                (void)snprintf(url, sizeof url, "%s", good[i].text);
                url[at] = (char)c;
                expect_sense(url);
            }
}
END_TEST

/* ---- proxies ---- */

#define HTTP SONIC__PROXY_HTTP
#define SOCKS SONIC__PROXY_SOCKS5

START_TEST(proxies)
{
    static const struct {
        const char *text;
        enum sonic__proxy_kind kind;
        const char *host;
        unsigned port;
        const char *user, *password; /* NULL: none */
    } list[] = {
        {"http://p", HTTP, "p", 80, NULL, NULL},
        {"HTTP://p:3128/", HTTP, "p", 3128, NULL, NULL},
        {"socks5://[fe80::1%25e]:9", SOCKS, "fe80::1%e", 9, NULL, NULL},
        {"socks5h://127.0.0.1", SOCKS, "127.0.0.1", 1080, NULL, NULL},
        {"http://u@p", HTTP, "p", 80, "u", ""},
        {"http://u:@p", HTTP, "p", 80, "u", ""},
        {"http://@p", HTTP, "p", 80, "", ""},
        {"http://:w@p", HTTP, "p", 80, "", "w"},
        {"http://u%40h:a:b%3a@c@p:1", HTTP, "p", 1, "u@h", "a:b:@c"},
        {"http://a[:]b@[::1]:1", HTTP, "::1", 1, "a[", "]b"},
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct sonic__proxy_url u;
        const char *why = "";

        ck_assert_msg(sonic__proxy_url_parse(list[i].text, &u, &why) == 0,
                      "%s: %s", list[i].text, why);
        ck_assert_ptr_null(why);
        ck_assert_uint_eq(u.kind, list[i].kind);
        ck_assert_str_eq(u.at.host, list[i].host);
        ck_assert_uint_eq(u.at.port, list[i].port);
        ck_assert_int_eq(u.credentials, list[i].user != NULL);
        ck_assert_str_eq(u.user, list[i].user != NULL ? list[i].user : "");
        ck_assert_str_eq(u.password,
                         list[i].password != NULL ? list[i].password : "");
    }
}
END_TEST

START_TEST(bad_proxies)
{
    static const struct bad list[] = {
        {"", "the proxy's scheme"},
        {"p:3128", "the proxy's scheme"},
        {"https://p", "the proxy's scheme"},
        {"socks4://p", "the proxy's scheme"},
        {"http:p", "there is no //"},
        {"http://", "there is no host"},
        {"http://u@", "there is no host"},
        {"http://p/x", "a proxy's URL has no path"},
        {"http://p?x", "a proxy's URL has no path"},
        {"http://p#x", "a proxy's URL has no path"},
        {"http://u%:p@h", "a % is not"},
        {"http://u:%zz@h", "a % is not"},
        {"http://u%00:p@h", "%00"},
        {"http://p:0", "port 0"},
        {"http://p\r\n", "a space"},
        {"http://\xff", "a byte is not"},
    };
    struct sonic__proxy_url u;
    const char *why;

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        ck_assert_msg(sonic__proxy_url_parse(list[i].text, &u, &why) ==
                          SONIC_EWS_URL,
                      "%s", list[i].text);
        ck_assert_msg(strncmp(why, list[i].why, strlen(list[i].why)) == 0,
                      "%s: %s", list[i].text, why);
    }
    for (size_t n = 254; n <= 257; n++) {
        int expected = n <= 255 ? 0 : SONIC_EWS_URL;

        ck_assert_int_eq(
            sonic__proxy_url_parse(make("http://", 'u', n, "@p"), &u, NULL),
            expected);
        ck_assert_int_eq(
            sonic__proxy_url_parse(make("http://u:", 'p', n, "@p"), &u, &why),
            expected);
        ck_assert_int_eq(why != NULL, expected != 0);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_url");
    TCase *tc = tcase_create("url");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, good_ones);
    tcase_add_test(tc, bad_ones);
    tcase_add_test(tc, bad_arguments);
    tcase_add_test(tc, lengths);
    tcase_add_test(tc, any_string);
    tcase_add_test(tc, proxies);
    tcase_add_test(tc, bad_proxies);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
