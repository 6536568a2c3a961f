/* Addresses as text: every form, and nothing but these forms. */
#include <check.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "net/address.h"

/* Text, and how it is written back; NULL: the same. */
static const struct {
    const char *text, *back;
    int family;
    uint16_t port;
} good[] = {
    {"127.0.0.1:80", NULL, AF_INET, 80},
    {"0.0.0.0:0", NULL, AF_INET, 0},
    {"255.255.255.255:65535", NULL, AF_INET, 65535},
    {"tcp:1.2.3.4:5", "1.2.3.4:5", AF_INET, 5},
    {"tcp4:1.2.3.4:5", "1.2.3.4:5", AF_INET, 5},
    {"1.2.3.4:00080", "1.2.3.4:80", AF_INET, 80},
    {"[::1]:80", NULL, AF_INET6, 80},
    {"[::]:0", NULL, AF_INET6, 0},
    {"[2001:DB8::a]:443", "[2001:db8::a]:443", AF_INET6, 443},
    {"[::ffff:1.2.3.4]:9", NULL, AF_INET6, 9},
    {"[fe80::1%7]:9", NULL, AF_INET6, 9},
    {"[fe80::1%4294967295]:9", NULL, AF_INET6, 9},
    {"tcp:[::1]:80", "[::1]:80", AF_INET6, 80},
    {"tcp6:[::1]:80", "[::1]:80", AF_INET6, 80},
    {":80", "[::]:80", AF_INET6, 80},
    {"tcp6::80", "[::]:80", AF_INET6, 80},
    {"tcp4::80", "0.0.0.0:80", AF_INET, 80},
    {"udp:1.2.3.4:5", "1.2.3.4:5", AF_INET, 5},
    {"udp4::80", "0.0.0.0:80", AF_INET, 80},
    {"udp6:[::1]:80", "[::1]:80", AF_INET6, 80},
    {"unix:/tmp/x", NULL, AF_UNIX, 0},
    {"unix:x", NULL, AF_UNIX, 0},
    {"unix:a:b", NULL, AF_UNIX, 0},
    {"unix:@x", NULL, AF_UNIX, 0},
    {"unix:@@", NULL, AF_UNIX, 0},
};

/* Malformed, for everybody. */
static const char *const bad[] = {
    "",
    ":",
    "80",
    "tcp:",
    "tcp:80",
    "tcp4:[::1]:80",
    "tcp6:127.0.0.1:80",
    "tcp5:127.0.0.1:80",
    "udp:80",
    "udp4:[::1]:80",
    "udp6:127.0.0.1:80",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:+1",
    "127.0.0.1: 1",
    "127.0.0.1:1 ",
    "127.0.0.1:0x50",
    "127.0.0.1:000080",
    "127.0.0.1:http",
    "127.0.0.1:80:80",
    "127.0.0.1:4294967376",
    "127.0.0.1:18446744073709551696",
    " 127.0.0.1:80",
    "127.1:80",
    "127.0.0.256:80",
    "127.0.0.01:80",
    "1.2.3.4.5:80",
    "2130706433:80",
    "0x7f.1:80",
    "0x7f000001:80",
    "host.0x1f:80",
    "example.123:80",
    "example.123.:80",
    "::1:80",
    "::1",
    "[::1]",
    "[::1]80",
    "[::1:80",
    "[]:80",
    "[::1]]:80",
    "[127.0.0.1]:80",
    "[localhost]:80",
    "[::1%]:80",
    "[::1%0]:80",
    "[::1%4294967296]:80",
    "[::1%no-such-interface]:80",
    "[:::1]:80",
    "[::g]:80",
    "a..b:80",
    ".a:80",
    ".:80",
    "a b:80",
    "a/b:80",
    "a@b:80",
    "a%b:80",
    "\xc3\xa9:80",
    "unix:",
    "unix:@",
    "UNIX:/x",
};

START_TEST(good_addresses_are_read_and_written_back)
{
    const char *back = good[_i].back ? good[_i].back : good[_i].text;
    char text[SONIC_ADDRESS_TEXT];
    sonic_address a, again;
    int n;

    ck_assert_int_eq(sonic_address_parse(good[_i].text, &a), 0);
    ck_assert_int_eq(a.storage.ss_family, good[_i].family);
    ck_assert_uint_eq(sonic_address_port(&a), good[_i].port);
    n = sonic_address_format(&a, text, sizeof text);
    ck_assert_str_eq(text, back);
    ck_assert_int_eq(n, (int)strlen(back));
    ck_assert_int_eq(sonic_address_parse(text, &again), 0);
    ck_assert_uint_eq(a.len, again.len);
    ck_assert_mem_eq(&a.storage, &again.storage, a.len);
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
    sonic_address a;
    struct sonic__address_parts parts;

    ck_assert_int_eq(sonic_address_parse(bad[_i], &a), SONIC_EADDRESS);
    ck_assert_uint_eq(a.len, 0);
    ck_assert_int_eq(sonic__address_split(bad[_i], &parts), SONIC_EADDRESS);
}
END_TEST

START_TEST(each_is_for_streams_or_for_datagrams)
{
    struct sonic__address_parts p;

    ck_assert_int_eq(sonic__address_split("udp:1.2.3.4:5", &p), SONIC_EADDRESS);
    ck_assert_int_eq(sonic__address_split("udp6::5", &p), SONIC_EADDRESS);
    ck_assert_int_eq(sonic__address_split_udp("tcp:1.2.3.4:5", &p),
                     SONIC_EADDRESS);
    ck_assert_int_eq(sonic__address_split_udp("unix:x", &p), SONIC_EADDRESS);
    ck_assert_int_eq(sonic__address_split_udp(NULL, &p), SONIC_EADDRESS);
    ck_assert_int_eq(sonic__address_split_udp("udp4:example.com:5", &p), 0);
    ck_assert_int_eq(p.family, AF_INET);
    ck_assert_str_eq(p.host, "example.com");
    ck_assert_int_eq(sonic__address_split_udp("[::1]:5", &p), 0);
    ck_assert_int_eq(p.kind, SONIC__ADDRESS_NUMERIC);
}
END_TEST

START_TEST(null_is_refused)
{
    sonic_address a;

    ck_assert_int_eq(sonic_address_parse(NULL, &a), SONIC_EADDRESS);
}
END_TEST

START_TEST(names_are_taken_apart_but_not_looked_up)
{
    static const struct {
        const char *text, *host;
        int family;
    } v[] = {
        {"localhost:80", "localhost", AF_UNSPEC},
        {"tcp:example.com:80", "example.com", AF_UNSPEC},
        {"tcp4:example.com:80", "example.com", AF_INET},
        {"tcp6:example.com.:80", "example.com.", AF_INET6},
        {"1.2.3.4.example:80", "1.2.3.4.example", AF_UNSPEC},
        {"_srv.a-b.x1:80", "_srv.a-b.x1", AF_UNSPEC},
        {"0xyz:80", "0xyz", AF_UNSPEC},
    };

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        struct sonic__address_parts parts;
        sonic_address a;

        ck_assert_int_eq(sonic__address_split(v[i].text, &parts), 0);
        ck_assert_int_eq(parts.kind, SONIC__ADDRESS_NAME);
        ck_assert_str_eq(parts.host, v[i].host);
        ck_assert_int_eq(parts.family, v[i].family);
        ck_assert_uint_eq(parts.port, 80);
        ck_assert_int_eq(sonic_address_parse(v[i].text, &a), SONIC_EADDRESS);
    }
}
END_TEST

/* A name of n characters in labels of 60 and a rest. */
static void
long_name(char *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = i % 61 == 60 && i != n - 1 ? '.' : 'a';
    strcpy(out + n, ":80");
}

START_TEST(long_names_are_taken_whole_or_refused)
{
    struct sonic__address_parts parts;
    char text[1024];

    for (size_t n = 1; n < 1000; n++) {
        int want = n <= SONIC__HOST_MAX ? 0 : SONIC_EADDRESS;

        long_name(text, n);
        ck_assert_int_eq(sonic__address_split(text, &parts), want);
        if (want == 0)
            ck_assert_uint_eq(strlen(parts.host), n);
    }
}
END_TEST

START_TEST(a_label_has_at_most_63_characters)
{
    struct sonic__address_parts parts;
    char text[80];

    memset(text, 'a', 63);
    strcpy(text + 63, ":1");
    ck_assert_int_eq(sonic__address_split(text, &parts), 0);
    memset(text, 'a', 64);
    strcpy(text + 64, ":1");
    ck_assert_int_eq(sonic__address_split(text, &parts), SONIC_EADDRESS);
}
END_TEST

START_TEST(long_paths_are_taken_whole_or_refused)
{
    struct sockaddr_un un;
    char text[256] = "unix:", back[SONIC_ADDRESS_TEXT];
    const size_t most = sizeof un.sun_path - 1;

    for (int abstract = 0; abstract < 2; abstract++)
        for (size_t n = 2; n < 200; n++) {
            sonic_address a;

            memset(text + 5, 'p', n);
            text[5] = abstract ? '@' : 'p';
            text[5 + n] = '\0';
            if (n > most) {
                ck_assert_int_eq(sonic_address_parse(text, &a), SONIC_EADDRESS);
                continue;
            }
            ck_assert_int_eq(sonic_address_parse(text, &a), 0);
            ck_assert_int_gt(sonic_address_format(&a, back, sizeof back), 0);
            ck_assert_str_eq(back, text);
        }
}
END_TEST

START_TEST(abstract_names_are_as_long_as_they_are)
{
    sonic_address a;
    const struct sockaddr_un *un = (const void *)&a.storage;

    ck_assert_int_eq(sonic_address_parse("unix:@abc", &a), 0);
    ck_assert_uint_eq(a.len, offsetof(struct sockaddr_un, sun_path) + 4);
    ck_assert_mem_eq(un->sun_path, "\0abc", 4);
    ck_assert_int_eq(sonic_address_parse("unix:abc", &a), 0);
    ck_assert_uint_eq(a.len, offsetof(struct sockaddr_un, sun_path) + 4);
    ck_assert_mem_eq(un->sun_path, "abc\0", 4);
}
END_TEST

START_TEST(a_scope_may_be_named)
{
    unsigned lo = if_nametoindex("lo");
    char want[64], text[64];
    sonic_address a;

    if (lo == 0)
        return; /* a machine without a loopback interface of that name */
    ck_assert_int_eq(sonic_address_parse("[fe80::1%lo]:1", &a), 0);
    ck_assert_uint_eq(((struct sockaddr_in6 *)&a.storage)->sin6_scope_id, lo);
    snprintf(want, sizeof want, "[fe80::1%%%u]:1", lo);
    ck_assert_int_gt(sonic_address_format(&a, text, sizeof text), 0);
    ck_assert_str_eq(text, want);
}
END_TEST

START_TEST(short_room_is_an_error_and_terminated)
{
    char text[16];
    sonic_address a;

    ck_assert_int_eq(sonic_address_parse("127.0.0.1:80", &a), 0);
    for (size_t cap = 1; cap <= 12; cap++) {
        memset(text, 'x', sizeof text);
        ck_assert_int_eq(sonic_address_format(&a, text, cap), SONIC_ETOOBIG);
        ck_assert_uint_eq(strlen(text), cap - 1);
        ck_assert_int_eq(text[cap], 'x');
    }
    ck_assert_int_eq(sonic_address_format(&a, text, 0), SONIC_ETOOBIG);
    ck_assert_int_eq(sonic_address_format(&a, text, 13), 12);
}
END_TEST

START_TEST(no_address_and_unnamed_ones)
{
    sonic_address a = {0};
    char text[SONIC_ADDRESS_TEXT];

    ck_assert_int_eq(sonic_address_format(&a, text, sizeof text), 0);
    ck_assert_uint_eq(sonic_address_port(&a), 0);
    a.storage.ss_family = AF_UNIX;
    a.len = sizeof(sa_family_t);
    ck_assert_int_eq(sonic_address_format(&a, text, sizeof text), 5);
    ck_assert_str_eq(text, "unix:");
}
END_TEST

/* Every string of up to four characters of those that mean something, and
 * every cut of good ones: no crash, and what is accepted comes back. */
START_TEST(no_string_crashes)
{
    static const char set[] = "a1.:[]%@0-x";
    const size_t k = sizeof set - 1;
    char text[64], back[SONIC_ADDRESS_TEXT];
    sonic_address a;

    for (size_t i = 0; i < k * k * k * k; i++) {
        snprintf(text, sizeof text, "%c%c%c%c:1", set[i % k], set[i / k % k],
                 set[i / k / k % k], set[i / k / k / k]);
        if (sonic_address_parse(text, &a) == 0)
            ck_assert_int_gt(sonic_address_format(&a, back, sizeof back), 0);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t n = strlen(good[i].text); n-- > 0;) {
            snprintf(text, n + 1, "%s", good[i].text);
            if (sonic_address_parse(text, &a) == 0)
                ck_assert_int_gt(sonic_address_format(&a, back, sizeof back),
                                 0);
        }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("address");
    TCase *tc = tcase_create("text");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_loop_test(tc, good_addresses_are_read_and_written_back, 0,
                        sizeof good / sizeof *good);
    tcase_add_loop_test(tc, bad_addresses_are_refused, 0,
                        sizeof bad / sizeof *bad);
    tcase_add_test(tc, each_is_for_streams_or_for_datagrams);
    tcase_add_test(tc, null_is_refused);
    tcase_add_test(tc, names_are_taken_apart_but_not_looked_up);
    tcase_add_test(tc, long_names_are_taken_whole_or_refused);
    tcase_add_test(tc, a_label_has_at_most_63_characters);
    tcase_add_test(tc, long_paths_are_taken_whole_or_refused);
    tcase_add_test(tc, abstract_names_are_as_long_as_they_are);
    tcase_add_test(tc, a_scope_may_be_named);
    tcase_add_test(tc, short_room_is_an_error_and_terminated);
    tcase_add_test(tc, no_address_and_unnamed_ones);
    tcase_add_test(tc, no_string_crashes);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
