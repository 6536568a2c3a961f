/* Looking things up in a head: names, lists, extensions. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/fields.h"

static struct sonic__http_field room[100];
static struct sonic__http_head head;
static const char *window;

/* A complete request with these header lines. */
static void
read_head(const char *lines)
{
    static char text[70000];
    int n;

    strcpy(text, "GET / HTTP/1.1\r\n");
    strcat(text, lines);
    strcat(text, "\r\n");
    window = text;
    sonic__http_head_init(&head, SONIC__HTTP_REQUEST, SIZE_MAX, room, 100);
    n = sonic__http_head_feed(&head, text, strlen(text));
    ck_assert_int_eq(n, (int)strlen(text));
}

static struct sonic__http_str
str(const char *text)
{
    return (struct sonic__http_str){text, strlen(text)};
}

START_TEST(tokens_and_values)
{
    static const char tchars[] = "!#$%&'*+-.^_`|~0123456789"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (int i = 0; i < 256; i++) {
        char c[3] = {(char)i, 'x', (char)i};
        bool token = i != 0 && strchr(tchars, i) != NULL;
        bool value = i == '\t' || (i >= ' ' && i != 0x7f);

        for (size_t n = 1; n <= 3; n++) {
            ck_assert_int_eq(
                sonic__http_is_token((struct sonic__http_str){c, n}), token);
            ck_assert_int_eq(
                sonic__http_is_value((struct sonic__http_str){c, n}), value);
        }
    }
    ck_assert(!sonic__http_is_token(str("")));
    ck_assert(sonic__http_is_value(str("")));
}
END_TEST

START_TEST(comparing)
{
    ck_assert(sonic__http_str_is(str("aB"), "aB"));
    ck_assert(!sonic__http_str_is(str("aB"), "ab"));
    ck_assert(!sonic__http_str_is(str("aB"), "aBc"));
    ck_assert(!sonic__http_str_is(str("aBc"), "aB"));
    ck_assert(sonic__http_str_is((struct sonic__http_str){NULL, 0}, ""));
    ck_assert(sonic__http_str_is_nocase(str("aB-Z@[`{"), "Ab-z@[`{"));
    ck_assert(!sonic__http_str_is_nocase(str("@"), "`"));
    ck_assert(!sonic__http_str_is_nocase(str("["), "{"));
    ck_assert(!sonic__http_str_is_nocase(str("a"), "ab"));
    ck_assert(!sonic__http_str_is_nocase(str("ab"), "a"));
    ck_assert(sonic__http_str_is_nocase(str(""), ""));
}
END_TEST

START_TEST(fields_by_name)
{
    struct sonic__http_str v;

    read_head("a: 1\r\nB: 2\r\nA: 3\r\nab: 4\r\n");
    ck_assert_int_eq(sonic__http_find(&head, window, "A", 0), 0);
    ck_assert_int_eq(sonic__http_find(&head, window, "A", 1), 2);
    ck_assert_int_eq(sonic__http_find(&head, window, "A", 3), -1);
    ck_assert_int_eq(sonic__http_find(&head, window, "A", 99), -1);
    ck_assert_int_eq(sonic__http_find(&head, window, "c", 0), -1);
    ck_assert_uint_eq(sonic__http_count(&head, window, "A", &v), 2);
    ck_assert(sonic__http_str_is(v, "1"));
    ck_assert_uint_eq(sonic__http_count(&head, window, "AB", &v), 1);
    ck_assert(sonic__http_str_is(v, "4"));
    ck_assert_uint_eq(sonic__http_count(&head, window, "c", &v), 0);
    ck_assert_ptr_null(v.ptr);
}
END_TEST

/* The elements, with | behind each; ! for an error. */
static const char *
join(struct sonic__http_each *e)
{
    static char out[70000];
    struct sonic__http_str element;
    size_t n = 0;
    int got;

    while ((got = sonic__http_each_next(e, &element)) > 0) {
        memcpy(out + n, element.ptr, element.len);
        n += element.len;
        out[n++] = '|';
    }
    if (got < 0) {
        ck_assert_int_eq(got, SONIC_EWS_HEAD);
        out[n++] = '!';
    } else {
        ck_assert_int_eq(sonic__http_each_next(e, &element), 0);
    }
    out[n] = '\0';
    return out;
}

START_TEST(lists)
{
    static const struct {
        const char *lines, *elements;
    } list[] = {
        {"", ""},
        {"X:\r\n", ""},
        {"X: ,\r\n", ""},
        {"X: , ,,\t,\r\n", ""},
        {"X: a\r\n", "a|"},
        {"X: a,b\r\n", "a|b|"},
        {"X:a , b\t,\tc d\r\n", "a|b|c d|"},
        {"X: ,a,,b,\r\n", "a|b|"},
        {"X: a\r\nY: n\r\nx: b,c\r\nX:\r\nX: d\r\n", "a|b|c|d|"},
        {"X: \"a,b\",c\r\n", "\"a,b\"|c|"},
        {"X: a;p=\"x,\\\"y,\\\\\",b\r\n", "a;p=\"x,\\\"y,\\\\\"|b|"},
        {"X: \"\"\r\n", "\"\"|"},
        {"X: a, \"b\r\n", "a|!"},
        {"X: \"\r\n", "!"},
        {"X: \"\\\r\n", "!"},
        {"X: \"\\\"\r\n", "!"},
        {"X: \"a\\\",b\r\nX: \"\r\n", "!"},
    };
    struct sonic__http_each e;

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        read_head(list[i].lines);
        sonic__http_each_begin(&e, &head, window, "X");
        ck_assert_str_eq(join(&e), list[i].elements);
    }
}
END_TEST

START_TEST(tokens_in_lists)
{
    static const struct {
        const char *lines;
        int has;
    } list[] = {
        {"", 0},
        {"Connection: upgrade\r\n", 1},
        {"connection: keep-alive, UPGRADE\r\n", 1},
        {"Connection: keep-alive\r\nConnection: ,Upgrade ,\r\n", 1},
        {"Connection: upgrades\r\n", 0},
        {"Connection: upgrad\r\n", 0},
        {"Connection: up grade\r\n", 0},
        {"Connection: \"upgrade\"\r\n", 0},
        {"Connection: \"a, upgrade\"\r\n", 0},
        {"Connection: upgrade;q=1\r\n", 0},
        {"X-Connection: upgrade\r\n", 0},
        {"Connection: upgrade, \"\r\n", SONIC_EWS_HEAD},
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        read_head(list[i].lines);
        ck_assert_msg(sonic__http_has_token(&head, window, "Connection",
                                            "upgrade") == list[i].has,
                      "%s", list[i].lines);
    }
}
END_TEST

/* Every call moves on, so that there are no more calls than bytes, and none
 * looks at a byte in front of where it began: which is linear work. */
static void
expect_moves(const char *text, size_t n, size_t elements)
{
    struct sonic__http_list l = {text, text + n};
    struct sonic__http_str element;
    const char *before = l.at;
    size_t seen = 0;
    int got;

    while ((got = sonic__http_list_next(&l, &element)) > 0) {
        ck_assert(l.at > before && element.ptr >= before &&
                  element.ptr + element.len <= l.at);
        before = l.at;
        seen++;
    }
    ck_assert_int_le(got, 0);
    ck_assert_ptr_eq(l.at, text + n);
    ck_assert_uint_eq(seen, elements);
}

START_TEST(lists_are_linear)
{
    static char text[1 << 16];
    size_t n = sizeof text;

    memset(text, ' ', n);
    expect_moves(text, n, 0);
    text[n / 2] = 'a';
    expect_moves(text, n, 1);
    memset(text, ',', n);
    expect_moves(text, n, 0);
    memset(text, '"', n);
    expect_moves(text, n, 1);
    expect_moves(text, n - 1, 0);
    memset(text, '\\', n);
    expect_moves(text, n, 1);
    text[0] = '"';
    expect_moves(text, n, 0);
    for (size_t i = 0; i < n; i++)
        text[i] = "a ,\t"[i % 4];
    expect_moves(text, n, n / 4);
}
END_TEST

/* name;param=value;... with quotes around a value that had them; "!" when
 * malformed. */
static const char *
render(const char *text)
{
    static char out[300];
    struct sonic__ws_extension x;
    struct sonic__ws_param p;
    size_t n;

    if (sonic__ws_extension_parse(str(text), &x) < 0)
        return "!";
    n = x.name.len;
    memcpy(out, x.name.ptr, n);
    while (sonic__ws_param_next(&x, &p)) {
        out[n++] = ';';
        memcpy(out + n, p.name.ptr, p.name.len);
        n += p.name.len;
        if (p.value.ptr == NULL)
            continue;
        out[n++] = '=';
        out[n] = '"';
        n += p.quoted;
        memcpy(out + n, p.value.ptr, p.value.len);
        n += p.value.len;
        out[n] = '"';
        n += p.quoted;
    }
    ck_assert(!sonic__ws_param_next(&x, &p));
    out[n] = '\0';
    return out;
}

START_TEST(extensions)
{
    static const struct {
        const char *text, *parsed;
    } list[] = {
        {"permessage-deflate", "permessage-deflate"},
        {"a; b", "a;b"},
        {"a ;\tb ; c= 1; d =2;e=\"3\"", "a;b;c=1;d=2;e=\"3\""},
        {"a;b=\"x\\yz\"", "a;b=\"x\\yz\""},
        {"a;b;b;b=1", "a;b;b;b=1"},
        {"", "!"},
        {"a b", "!"},
        {"a=b", "!"},
        {"\"a\"", "!"},
        {";a", "!"},
        {"a;", "!"},
        {"a;;b", "!"},
        {"a;b=", "!"},
        {"a;=b", "!"},
        {"a;b=c d", "!"},
        {"a;b c", "!"},
        {"a;b=c=d", "!"},
        {"a;\"b\"", "!"},
        {"a;b=\"", "!"},
        {"a;b=\"c", "!"},
        {"a;b=\"\"", "!"},
        {"a;b=\"c d\"", "!"},
        {"a;b=\"c;d\"", "!"},
        {"a;b=\"c=\"", "!"},
        {"a;b=\"c\\\"", "!"},
        {"a;b=\"c\\\\\"", "!"},
        {"a;b=\"c\"d", "!"},
        {"a;b=c\"d\"", "!"},
        {"a;b=\"c\"\"d\"", "!"},
        {"a\";b", "!"},
        {"a;b\"=;c\"", "!"},
        {"a;b\"=", "!"},
    };

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        const char *got = render(list[i].text);

        ck_assert_msg(strcmp(got, list[i].parsed) == 0, "%s: %s", list[i].text,
                      got);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_fields");
    TCase *tc = tcase_create("fields");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, tokens_and_values);
    tcase_add_test(tc, comparing);
    tcase_add_test(tc, fields_by_name);
    tcase_add_test(tc, lists);
    tcase_add_test(tc, tokens_in_lists);
    tcase_add_test(tc, lists_are_linear);
    tcase_add_test(tc, extensions);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
