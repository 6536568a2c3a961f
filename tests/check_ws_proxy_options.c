/* What a proxy may be asked: lengths, addresses, bytes that may not be sent. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/proxy.h"

#define HTTP SONIC__PROXY_HTTP
#define SOCKS SONIC__PROXY_SOCKS5
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct sonic__http_field room[2];

START_TEST(the_longest_names)
{
    static char name[256], user[256], out[700];
    struct sonic__proxy_options to = {
        .kind = SOCKS, .host = name, .port = 1, .user = user, .password = user};
    struct sonic__proxy p;

    memset(name, 'n', 253);
    memset(user, 'u', 255);
    ck_assert_int_eq(sonic__proxy_init(&p, &to, room, 2), 0);
    ck_assert_int_eq(sonic__proxy_say(&p, out, sizeof out), 4);
    ck_assert_int_eq(sonic__proxy_feed(&p, "\5\2", 2), 2);
    ck_assert_int_eq(sonic__proxy_say(&p, out, sizeof out), 3 + 2 * 255);
    ck_assert_int_eq((uint8_t)out[1], 255);
    ck_assert_int_eq((uint8_t)out[257], 255);
    ck_assert_int_eq(sonic__proxy_feed(&p, "\1\0", 2), 2);
    ck_assert_int_eq(sonic__proxy_say(&p, out, sizeof out), 7 + 253);
    to.kind = HTTP;
    ck_assert_int_eq(sonic__proxy_init(&p, &to, room, 2), 0);
    ck_assert_int_gt(sonic__proxy_say(&p, NULL, 0), 2 * 253 + 684);
}
END_TEST

static int
begin(const struct sonic__proxy_options *to)
{
    struct sonic__proxy p;
    int err = sonic__proxy_init(&p, to, room, COUNT(room));

    ck_assert_ptr_nonnull(p.why);
    if (err != 0) {
        ck_assert_int_eq(sonic__proxy_say(&p, NULL, 0), err);
        ck_assert_int_eq(sonic__proxy_feed(&p, "\5\0", 2), err);
        ck_assert(!sonic__proxy_is_open(&p));
    }
    return err;
}

START_TEST(bad_options)
{
    static char name[256], user[258];
    struct sonic__proxy_options o;

    memset(name, 'n', 254);
    memset(user, 'u', 256);
    for (enum sonic__proxy_kind kind = HTTP; kind <= SOCKS; kind++) {
        static const char *const hosts[] = {NULL,  "",  "fe80::1%e",
                                            "a:b", ":", "1:2:3"};

        o = (struct sonic__proxy_options){.kind = kind, .host = "h"};
        ck_assert_int_eq(begin(&o), -EINVAL); /* port 0 */
        o.port = 1;
        ck_assert_int_eq(begin(&o), 0);
        o.password = "p";
        ck_assert_int_eq(begin(&o), -EINVAL);
        o.user = "u";
        ck_assert_int_eq(begin(&o), 0);
        o.user = user;
        ck_assert_int_eq(begin(&o), -EINVAL);
        o.user = "u";
        o.password = user;
        ck_assert_int_eq(begin(&o), -EINVAL);
        o.user = o.password = user + 1;
        ck_assert_int_eq(begin(&o), 0);
        o.user = "";
        ck_assert_int_eq(begin(&o), kind == HTTP ? 0 : -EINVAL);
        o.user = "u";
        o.password = "";
        ck_assert_int_eq(begin(&o), kind == HTTP ? 0 : -EINVAL);
        o.password = NULL;
        ck_assert_int_eq(begin(&o), kind == HTTP ? 0 : -EINVAL);
        o.user = "u:";
        o.password = "p:";
        ck_assert_int_eq(begin(&o), kind == HTTP ? SONIC_EWS_HEADER : 0);
        o.user = o.password = NULL;
        for (size_t i = 0; i < COUNT(hosts); i++) {
            o.host = hosts[i];
            ck_assert_int_eq(begin(&o), -EINVAL);
        }
        o.host = name;
        ck_assert_int_eq(begin(&o), -EINVAL);
        o.host = name + 1;
        ck_assert_int_eq(begin(&o), 0);
    }
}
END_TEST

START_TEST(bytes_that_may_not_be_sent)
{
    for (enum sonic__proxy_kind kind = HTTP; kind <= SOCKS; kind++)
        for (int c = 1; c < 256; c++) {
            const char text[] = {'a', (char)c, 'b', '\0'};
            bool host = c > ' ' && c < 0x7f && strchr("/?#@\\[]", c) == NULL;
            bool credential = c >= ' ' && c != 0x7f;
            struct sonic_ws_header h = {"x", text, false};
            struct sonic__proxy_options o = {
                .kind = kind, .host = text, .port = 1};

            if (c == ':' || c == '%')
                ck_assert_int_eq(begin(&o), -EINVAL);
            else
                ck_assert_int_eq(begin(&o), host ? 0 : SONIC_EWS_HEADER);
            o.host = "h";
            o.user = "u";
            o.password = text;
            ck_assert_int_eq(begin(&o), credential ? 0 : SONIC_EWS_HEADER);
            o.user = text;
            if (kind == HTTP && c == ':')
                credential = false;
            ck_assert_int_eq(begin(&o), credential ? 0 : SONIC_EWS_HEADER);
            o.user = o.password = NULL;
            o.headers = &h;
            o.n_headers = 1;
            if (kind == HTTP)
                ck_assert_int_eq(begin(&o), (c >= ' ' && c != 0x7f) || c == '\t'
                                                ? 0
                                                : SONIC_EWS_HEADER);
        }
}
END_TEST

START_TEST(headers_that_are_ours)
{
    static const char *const names[] = {
        "Host", "content-length", "Transfer-Encoding", "CONNECTION", "Upgrade"};

    for (size_t i = 0; i < COUNT(names); i++) {
        const struct sonic_ws_header h = {names[i], "x", false};
        const struct sonic__proxy_options o = {
            .host = "h", .port = 1, .headers = &h, .n_headers = 1};

        ck_assert_int_eq(begin(&o), SONIC_EWS_HEADER);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_proxy_options");
    TCase *tc = tcase_create("options");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, the_longest_names);
    tcase_add_test(tc, bad_options);
    tcase_add_test(tc, bytes_that_may_not_be_sent);
    tcase_add_test(tc, headers_that_are_ours);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
