/* The opening handshake, client's side: what it sends, what it accepts. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/handshake.h"

#define NONCE "the sample nonce" /* RFC 6455 1.3 */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct sonic__ws_request
request(void)
{
    struct sonic__ws_request r = {.authority = "h:81", .resource = "/chat"};

    memcpy(r.nonce, NONCE, SONIC__WS_NONCE);
    return r;
}

static char out[1 << 21];

/* What is built, terminated; "" after the error *err. */
static const char *
build(const struct sonic__ws_request *r, int *err)
{
    int n = sonic__ws_request_build(r, out, sizeof out - 1);

    *err = n < 0 ? n : 0;
    out[n < 0 ? 0 : n] = '\0';
    return out;
}

START_TEST(the_rfcs_own_example)
{
    char key[SONIC__WS_KEY + 1], accept[SONIC__WS_ACCEPT + 1];

    sonic__ws_key(key, (const uint8_t *)NONCE);
    ck_assert_str_eq(key, KEY);
    ck_assert_int_eq(sonic__ws_accept(accept, key), 0);
    ck_assert_str_eq(accept, ACCEPT);
}
END_TEST

#define OWN                                                                    \
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"                            \
    "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
#define AGENT "User-Agent: sonicio/" SONIC_VERSION "\r\n"

START_TEST(a_request_as_it_is_sent)
{
    static const char *const subprotocols[] = {"chat", "superchat"};
    struct sonic__ws_request r = request();
    int err;

    ck_assert_str_eq(build(&r, &err),
                     "GET /chat HTTP/1.1\r\nHost: h:81\r\n" OWN AGENT "\r\n");
    r.origin = "http://example.com";
    r.subprotocols = subprotocols;
    r.n_subprotocols = 2;
    r.extensions = "permessage-deflate; client_max_window_bits";
    ck_assert_str_eq(build(&r, &err),
                     "GET /chat HTTP/1.1\r\nHost: h:81\r\n" OWN
                     "Sec-WebSocket-Protocol: chat, superchat\r\n"
                     "Sec-WebSocket-Extensions: permessage-deflate; "
                     "client_max_window_bits\r\n"
                     "Origin: http://example.com\r\n" AGENT "\r\n");
}
END_TEST

START_TEST(a_resource_gets_its_slash)
{
    static const char *const list[][2] = {
        {NULL, "GET / HTTP/1.1\r\n"},      {"", "GET / HTTP/1.1\r\n"},
        {"/", "GET / HTTP/1.1\r\n"},       {"?q", "GET /?q HTTP/1.1\r\n"},
        {"/a?b", "GET /a?b HTTP/1.1\r\n"},
    };
    struct sonic__ws_request r = request();
    int err;

    for (size_t i = 0; i < COUNT(list); i++) {
        r.resource = list[i][0];
        ck_assert_msg(
            strncmp(build(&r, &err), list[i][1], strlen(list[i][1])) == 0, "%s",
            out);
    }
}
END_TEST

/* Headers "Name: value" or, exact, "=Name: value", and what comes of them. */
static const struct override {
    const char *headers[4];
    const char *host, *rest; /* the Host line; all behind our own */
} overrides[] = {
    {{"x-api-key: 1"}, "Host: h:81\r\n", AGENT "X-Api-Key: 1\r\n"},
    {{"=x-api-KEY: 1"}, "Host: h:81\r\n", AGENT "x-api-KEY: 1\r\n"},
    {{"X-API-KEY: 1"}, "Host: h:81\r\n", AGENT "X-Api-Key: 1\r\n"},
    {{"-a--b1c-: 1"}, "Host: h:81\r\n", AGENT "-A--B1c-: 1\r\n"},
    {{"a: 1", "b: 2", "A: 3"}, "Host: h:81\r\n", AGENT "B: 2\r\nA: 3\r\n"},
    {{"a: 1", "=A: 2", "=a: 3"}, "Host: h:81\r\n", AGENT "a: 3\r\n"},
    {{"host: x", "a: 1"}, "Host: x\r\n", AGENT "A: 1\r\n"},
    {{"=hOST: x", "host: y"}, "Host: y\r\n", AGENT},
    {{"user-agent: me"}, "Host: h:81\r\n", "User-Agent: me\r\n"},
    {{"origin: http://o", "=USER-AGENT: x"},
     "Host: h:81\r\n",
     "Origin: http://o\r\nUSER-AGENT: x\r\n"},
    {{"a: "}, "Host: h:81\r\n", AGENT "A: \r\n"},
    {{"a: \t b\xff c"}, "Host: h:81\r\n", AGENT "A: \t b\xff c\r\n"},
};

START_TEST(headers_of_the_caller)
{
    for (size_t i = 0; i < COUNT(overrides); i++) {
        const struct override *o = &overrides[i];
        char names[4][32], expected[1000];
        struct sonic_ws_header h[4];
        struct sonic__ws_request r = request();
        int err;

        r.headers = h;
        for (; r.n_headers < 4 && o->headers[r.n_headers]; r.n_headers++) {
            const char *text = o->headers[r.n_headers];
            char *name = names[r.n_headers];

            h[r.n_headers].exact_case = text[0] == '=';
            (void)snprintf(name, 32, "%s", text + (text[0] == '='));
            *strchr(name, ':') = '\0';
            h[r.n_headers].name = name;
            h[r.n_headers].value = strchr(text, ':') + 2;
        }
        (void)snprintf(expected, sizeof expected,
                       "GET /chat HTTP/1.1\r\n%s" OWN "%s\r\n", o->host,
                       o->rest);
        ck_assert_str_eq(build(&r, &err), expected);
    }
}
END_TEST

START_TEST(names_that_are_ours)
{
    static const char *const names[] = {
        "Upgrade",
        "connection",
        "SEC-WEBSOCKET-KEY",
        "Sec-WebSocket-Version",
        "sec-websocket-accept",
        "Sec-WebSocket-Protocol",
        "Sec-Websocket-Extensions",
        "Content-length",
        "Transfer-Encoding",
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        struct sonic_ws_header h[] = {{"a", "b", false},
                                      {names[i], "x", false}};
        struct sonic__ws_request r = request();
        int err;

        r.headers = h;
        r.n_headers = 2;
        build(&r, &err);
        ck_assert_int_eq(err, SONIC_EWS_HEADER);
    }
}
END_TEST

/* Every byte, wherever a caller can put one. */
START_TEST(bytes_that_may_not_be_sent)
{
    for (int c = 1; c < 256; c++) {
        const char text[] = {'a', (char)c, 'b', '\0'};
        bool token = sonic__http_is_token((struct sonic__http_str){text, 3});
        bool visible = c > ' ' && c < 0x7f;
        bool value = c == '\t' || (c >= ' ' && c != 0x7f);
        const char *const list[] = {text};
        struct sonic_ws_header name = {text, "x", false};
        struct sonic_ws_header content = {"x", text, false};
        struct sonic__ws_request r;
        int err;

        r = request();
        r.resource = text;
        build(&r, &err);
        ck_assert_int_eq(err, visible ? 0 : SONIC_EWS_HEADER);
        r = request();
        r.authority = text;
        build(&r, &err);
        ck_assert_int_eq(err, value ? 0 : SONIC_EWS_HEADER);
        r = request();
        r.origin = text;
        build(&r, &err);
        ck_assert_int_eq(err, value ? 0 : SONIC_EWS_HEADER);
        r = request();
        r.extensions = text;
        build(&r, &err);
        ck_assert_int_eq(err, value ? 0 : SONIC_EWS_HEADER);
        r = request();
        r.subprotocols = list;
        r.n_subprotocols = 1;
        build(&r, &err);
        ck_assert_int_eq(err, token ? 0 : SONIC_EWS_HEADER);
        r = request();
        r.headers = &name;
        r.n_headers = 1;
        build(&r, &err);
        ck_assert_int_eq(err, token ? 0 : SONIC_EWS_HEADER);
        r.headers = &content;
        build(&r, &err);
        ck_assert_int_eq(err, value ? 0 : SONIC_EWS_HEADER);
    }
}
END_TEST

START_TEST(what_is_missing_or_twice)
{
    static const char *const list[][2] = {
        {"a", "a"}, {"a", ""}, {"", "a"}, {"a", NULL}};
    static const struct sonic_ws_header headers[] = {
        {"", "x", false}, {NULL, "x", false}, {"x", NULL, false}};
    static const struct sonic_ws_header host = {"Host", "x", false};
    static const char *const fine[] = {"a", "A", "b"};
    struct sonic__ws_request r = request();
    int err;

    r.n_subprotocols = 2;
    for (size_t i = 0; i < COUNT(list); i++) {
        r.subprotocols = list[i];
        build(&r, &err);
        ck_assert_int_eq(err, SONIC_EWS_HEADER);
    }
    r.subprotocols = fine;
    r.n_subprotocols = 3;
    build(&r, &err);
    ck_assert_int_eq(err, 0);
    r.n_headers = 1;
    for (size_t i = 0; i < COUNT(headers); i++) {
        r.headers = &headers[i];
        build(&r, &err);
        ck_assert_int_eq(err, SONIC_EWS_HEADER);
    }
    r = request();
    r.authority = NULL;
    build(&r, &err);
    ck_assert_int_eq(err, SONIC_EWS_HEADER);
    r.headers = &host;
    r.n_headers = 1;
    build(&r, &err);
    ck_assert_int_eq(err, 0);
}
END_TEST

START_TEST(no_byte_past_the_buffer)
{
    struct sonic__ws_request r = request();
    char whole[400], *part;
    int n = sonic__ws_request_build(&r, NULL, 0);

    ck_assert_int_eq(sonic__ws_request_build(&r, whole, sizeof whole), n);
    for (size_t cap = 0; cap <= (size_t)n; cap++) {
        part = malloc(cap + 1);
        part[cap] = '!';
        ck_assert_int_eq(sonic__ws_request_build(&r, part, cap), n);
        ck_assert(memcmp(part, whole, cap) == 0 && part[cap] == '!');
        free(part);
    }
}
END_TEST

START_TEST(a_head_is_a_megabyte_at_most)
{
    static char resource[(1 << 20) + 1];
    struct sonic__ws_request r = request();
    int rest, err;

    resource[0] = '/';
    r.resource = resource;
    build(&r, &rest);
    rest = (int)strlen(out) - 1;
    memset(resource, '/', sizeof resource - 1);
    build(&r, &err);
    ck_assert_int_eq(err, SONIC_ETOOBIG);
    resource[(1 << 20) - rest + 1] = '\0';
    build(&r, &err);
    ck_assert_int_eq(err, SONIC_ETOOBIG);
    resource[(1 << 20) - rest] = '\0';
    ck_assert_uint_eq(strlen(build(&r, &err)), 1 << 20);
}
END_TEST

/* ---- the server's answer ---- */

#define LINE "HTTP/1.1 101 Switching Protocols\r\n"
#define UP "Upgrade: websocket\r\n"
#define CO "Connection: Upgrade\r\n"
#define AC "Sec-WebSocket-Accept: " ACCEPT "\r\n"
#define SP "Sec-WebSocket-Protocol: "
#define SE "Sec-WebSocket-Extensions: "

/* Offered: subprotocols "chat" and "Chat2", extension "x; y=\"1\", zz". */
static const struct answer {
    const char *head;
    int err;
    const char *subprotocol; /* NULL: none */
} answers[] = {
    {LINE UP CO AC, 0, NULL},
    {"HTTP/1.1 101\r\n" UP CO AC, 0, NULL},
    {"HTTP/1.2 101 x\r\n" UP CO AC, 0, NULL},
    {LINE "UPGRADE:WebSocket\r\nconnection: a ,UPGRADE\r\n" AC, 0, NULL},
    {LINE UP "Connection: close\r\n" CO AC, 0, NULL},
    {LINE UP CO AC "Content-Length: 0\r\nX: y\r\nX: y\r\n", 0, NULL},
    {LINE UP CO AC SP "chat\r\n", 0, "chat"},
    {LINE UP CO AC SP "Chat2\r\n", 0, "Chat2"},
    {LINE UP CO AC SE "x\r\n", 0, NULL},
    {LINE UP CO AC SE "x; q, zz;a=\"b\"\r\n" SE "x\r\n", 0, NULL},
    {LINE UP CO AC SE "\r\n", 0, NULL},

    {"HTTP/1.1 200 OK\r\n" UP CO AC, SONIC_EWS_STATUS, NULL},
    {"HTTP/1.1 301 Moved\r\nLocation: /\r\n", SONIC_EWS_STATUS, NULL},
    {"HTTP/1.1 401 No\r\n", SONIC_EWS_STATUS, NULL},
    {"HTTP/1.1 407 No\r\n", SONIC_EWS_STATUS, NULL},
    {"HTTP/1.0 503 No\r\n", SONIC_EWS_STATUS, NULL},
    {"HTTP/1.1 100 Continue\r\n", SONIC_EWS_STATUS, NULL},
    {"HTTP/1.0 101 x\r\n" UP CO AC, SONIC_EWS_METHOD, NULL},
    {"HTTP/2.1 101 x\r\n" UP CO AC, SONIC_EWS_METHOD, NULL},
    {"HTTP/0.9 101 x\r\n" UP CO AC, SONIC_EWS_METHOD, NULL},
    {LINE CO AC, SONIC_EWS_UPGRADE, NULL},
    {LINE UP UP CO AC, SONIC_EWS_UPGRADE, NULL},
    {LINE "Upgrade: websockets\r\n" CO AC, SONIC_EWS_UPGRADE, NULL},
    {LINE "Upgrade: h2c, websocket\r\n" CO AC, SONIC_EWS_UPGRADE, NULL},
    {LINE "Upgrade:\r\n" CO AC, SONIC_EWS_UPGRADE, NULL},
    {LINE UP AC, SONIC_EWS_UPGRADE, NULL},
    {LINE UP "Connection: keep-alive\r\n" AC, SONIC_EWS_UPGRADE, NULL},
    {LINE UP "Connection: Upgrade, \"\r\n" AC, SONIC_EWS_UPGRADE, NULL},
    {LINE UP CO, SONIC_EWS_ACCEPT, NULL},
    {LINE UP CO AC AC, SONIC_EWS_ACCEPT, NULL},
    {LINE UP CO "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
     SONIC_EWS_ACCEPT, NULL},
    {LINE UP CO "Sec-WebSocket-Accept: " ACCEPT "=\r\n", SONIC_EWS_ACCEPT,
     NULL},
    {LINE UP CO "Sec-WebSocket-Accept: " KEY "\r\n", SONIC_EWS_ACCEPT, NULL},
    {LINE UP CO "Sec-WebSocket-Accept:\r\n", SONIC_EWS_ACCEPT, NULL},
    {LINE UP CO AC SP "\r\n", SONIC_EWS_SUBPROTOCOL, NULL},
    {LINE UP CO AC SP "CHAT\r\n", SONIC_EWS_SUBPROTOCOL, NULL},
    {LINE UP CO AC SP "cha\r\n", SONIC_EWS_SUBPROTOCOL, NULL},
    {LINE UP CO AC SP "chat, Chat2\r\n", SONIC_EWS_SUBPROTOCOL, NULL},
    {LINE UP CO AC SP "chat\r\n" SP "chat\r\n", SONIC_EWS_SUBPROTOCOL, NULL},
    {LINE UP CO AC SE "y\r\n", SONIC_EWS_EXTENSION, NULL},
    {LINE UP CO AC SE "X\r\n", SONIC_EWS_EXTENSION, NULL},
    {LINE UP CO AC SE "x, permessage-deflate\r\n", SONIC_EWS_EXTENSION, NULL},
    {LINE UP CO AC SE "x\r\n" SE "z\r\n", SONIC_EWS_EXTENSION, NULL},
    {LINE UP CO AC SE "x;\r\n", SONIC_EWS_EXTENSION, NULL},
    {LINE UP CO AC SE "x; y=\"\r\n", SONIC_EWS_EXTENSION, NULL},
    {LINE UP CO AC "Content-Length: 1\r\n", SONIC_EWS_HEAD, NULL},
    {LINE UP CO AC "Content-Length: 0, 0\r\n", SONIC_EWS_HEAD, NULL},
    {LINE UP CO AC "Content-Length: 0\r\ncontent-length: 0\r\n", SONIC_EWS_HEAD,
     NULL},
    {LINE UP CO AC "Transfer-Encoding: chunked\r\n", SONIC_EWS_HEAD, NULL},
};

static struct sonic__http_field room[20];

static int
judge(const char *text, const struct sonic__ws_request *asked,
      struct sonic__ws_answer *answer, struct sonic__http_head *h)
{
    static char window[1000];
    int n = snprintf(window, sizeof window, "%s\r\n", text);

    sonic__http_head_init(h, SONIC__HTTP_RESPONSE, 0, room, COUNT(room));
    ck_assert_int_eq(sonic__http_head_feed(h, window, (size_t)n), n);
    return sonic__ws_response_check(h, window, asked, answer);
}

START_TEST(each_answer)
{
    static const char *const subprotocols[] = {"chat", "Chat2"};
    struct sonic__ws_request asked = request();
    struct sonic__ws_answer a;
    struct sonic__http_head h;

    asked.subprotocols = subprotocols;
    asked.n_subprotocols = 2;
    asked.extensions = "x; y=\"1\", zz";
    for (size_t i = 0; i < COUNT(answers); i++) {
        int err = judge(answers[i].head, &asked, &a, &h);

        ck_assert_msg(err == answers[i].err, "%s: %s", answers[i].head,
                      sonic_errname(err));
        ck_assert_int_eq(a.why != NULL, err != 0);
        if (err != 0)
            continue;
        ck_assert_int_eq(a.subprotocol.ptr != NULL,
                         answers[i].subprotocol != NULL);
        if (a.subprotocol.ptr != NULL)
            ck_assert(
                sonic__http_str_is(a.subprotocol, answers[i].subprotocol));
    }
}
END_TEST

START_TEST(nothing_was_offered)
{
    struct sonic__ws_request asked = request();
    struct sonic__ws_answer a;
    struct sonic__http_head h;

    ck_assert_int_eq(judge(LINE UP CO AC, &asked, &a, &h), 0);
    ck_assert_ptr_null(a.subprotocol.ptr);
    ck_assert_int_eq(judge(LINE UP CO AC SP "chat\r\n", &asked, &a, &h),
                     SONIC_EWS_SUBPROTOCOL);
    ck_assert_int_eq(judge(LINE UP CO AC SE "x\r\n", &asked, &a, &h),
                     SONIC_EWS_EXTENSION);
    asked.nonce[15] ^= 1;
    ck_assert_int_eq(judge(LINE UP CO AC, &asked, &a, &h), SONIC_EWS_ACCEPT);
}
END_TEST

START_TEST(a_status_is_readable)
{
    static const struct {
        const char *head;
        unsigned status;
        bool interim;
    } list[] = {
        {"HTTP/1.1 100 a\r\n", 100, true},  {"HTTP/1.1 103 a\r\n", 103, true},
        {"HTTP/1.1 101 a\r\n", 101, false}, {"HTTP/1.1 199 a\r\n", 199, true},
        {"HTTP/1.1 200 a\r\n", 200, false}, {"HTTP/1.1 302 a\r\n", 302, false},
    };
    struct sonic__ws_request asked = request();
    struct sonic__ws_answer a;
    struct sonic__http_head h;

    for (size_t i = 0; i < COUNT(list); i++) {
        ck_assert_int_lt(judge(list[i].head, &asked, &a, &h), 0);
        ck_assert_uint_eq(h.status, list[i].status);
        ck_assert_int_eq(sonic__ws_response_is_interim(&h), list[i].interim);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_handshake");
    TCase *tc = tcase_create("client");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, the_rfcs_own_example);
    tcase_add_test(tc, a_request_as_it_is_sent);
    tcase_add_test(tc, a_resource_gets_its_slash);
    tcase_add_test(tc, headers_of_the_caller);
    tcase_add_test(tc, names_that_are_ours);
    tcase_add_test(tc, bytes_that_may_not_be_sent);
    tcase_add_test(tc, what_is_missing_or_twice);
    tcase_add_test(tc, no_byte_past_the_buffer);
    tcase_add_test(tc, a_head_is_a_megabyte_at_most);
    tcase_add_test(tc, each_answer);
    tcase_add_test(tc, nothing_was_offered);
    tcase_add_test(tc, a_status_is_readable);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
