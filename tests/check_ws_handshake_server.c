/* The opening handshake, server's side: what it accepts, what it answers. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/handshake.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

#define GET "GET /chat?a HTTP/1.1\r\n"
#define HO "Host: h:81\r\n"
#define UP "Upgrade: websocket\r\n"
#define CO "Connection: Upgrade\r\n"
#define KE "Sec-WebSocket-Key: " KEY "\r\n"
#define VE "Sec-WebSocket-Version: 13\r\n"
#define SP "Sec-WebSocket-Protocol: "
#define SE "Sec-WebSocket-Extensions: "
#define ALL HO UP CO KE VE

static struct sonic__http_field room[20];
static struct sonic__http_head head;
static char window[1000];

static void
read_head(enum sonic__http_role role, const char *text)
{
    int n = snprintf(window, sizeof window, "%s\r\n", text);

    sonic__http_head_init(&head, role, 0, room, COUNT(room));
    ck_assert_int_eq(sonic__http_head_feed(&head, window, (size_t)n), n);
}

static const struct question {
    const char *head;
    int err;
    unsigned status;
} questions[] = {
    {GET ALL, 0, 101},
    {GET VE KE CO UP HO, 0, 101},
    {"GET / HTTP/1.2\r\n" ALL, 0, 101},
    {"GET //x HTTP/1.1\r\n" ALL, 0, 101},
    {GET "host:h\r\nUPGRADE: h2c, WebSocket\r\nCONNECTION:a,upgrade\r\n" KE VE,
     0, 101},
    {GET ALL "Upgrade: x\r\nConnection: keep-alive\r\n", 0, 101},
    {GET ALL "Content-Length: 0\r\nX: y\r\nX: y\r\n", 0, 101},
    {GET ALL "Origin: http://o\r\n" SP "a, b\r\n" SP "a\r\n", 0, 101},
    {GET ALL SE "a; b=c; d=\"e\", f\r\n" SE "g\r\n", 0, 101},
    {GET HO UP CO VE "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAA/==\r\n", 0, 101},
    {GET HO UP CO VE "Sec-WebSocket-Key: 09azAZ+/AAAAAAAAAAAAAA==\r\n", 0, 101},

    /* 4.2.1: the request line */
    {"GET / HTTP/1.0\r\n" ALL, SONIC_EWS_METHOD, 505},
    {"GET / HTTP/2.0\r\n" ALL, SONIC_EWS_METHOD, 505},
    {"GET / HTTP/0.9\r\n" ALL, SONIC_EWS_METHOD, 505},
    {"POST / HTTP/1.1\r\n" ALL, SONIC_EWS_METHOD, 405},
    {"get / HTTP/1.1\r\n" ALL, SONIC_EWS_METHOD, 405},
    {"GETS / HTTP/1.1\r\n" ALL, SONIC_EWS_METHOD, 405},
    {"CONNECT h:80 HTTP/1.1\r\n" ALL, SONIC_EWS_METHOD, 405},
    {"GET http://h/ HTTP/1.1\r\n" ALL, SONIC_EWS_HEAD, 400},
    {"GET ws://h/ HTTP/1.1\r\n" ALL, SONIC_EWS_HEAD, 400},
    {"GET h:80 HTTP/1.1\r\n" ALL, SONIC_EWS_HEAD, 400},
    {"GET * HTTP/1.1\r\n" ALL, SONIC_EWS_HEAD, 400},
    {"GET /# HTTP/1.1\r\n" ALL, SONIC_EWS_HEAD, 400},
    /* Host, Origin */
    {GET UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET ALL HO, SONIC_EWS_HEAD, 400},
    {GET "Host:\r\n" UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET "Host: a b\r\n" UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET "Host: a/b\r\n" UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET "Host: a?b\r\n" UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET "Host: a#b\r\n" UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET "Host: a@b\r\n" UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET "Host: a\\b\r\n" UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET "Host: a\xe9\r\n" UP CO KE VE, SONIC_EWS_HEAD, 400},
    {GET ALL "Origin: a\r\nOrigin: a\r\n", SONIC_EWS_HEAD, 400},
    /* a body */
    {GET ALL "Content-Length: 1\r\n", SONIC_EWS_HEAD, 400},
    {GET ALL "Content-Length: 00\r\n", SONIC_EWS_HEAD, 400},
    {GET ALL "Content-Length:\r\n", SONIC_EWS_HEAD, 400},
    {GET ALL "Content-Length: 0\r\nContent-Length: 0\r\n", SONIC_EWS_HEAD, 400},
    {GET ALL "Transfer-Encoding: chunked\r\n", SONIC_EWS_HEAD, 400},
    {GET ALL "transfer-encoding:\r\n", SONIC_EWS_HEAD, 400},
    {GET ALL "Content-Length: 0\r\nTransfer-Encoding: x\r\n", SONIC_EWS_HEAD,
     400},
    /* Upgrade, Connection */
    {GET HO, SONIC_EWS_UPGRADE, 426},
    {GET HO CO KE VE, SONIC_EWS_UPGRADE, 426},
    {GET HO "Upgrade: websocket/13\r\n" CO KE VE, SONIC_EWS_UPGRADE, 426},
    {GET HO "Upgrade: h2c\r\n" CO KE VE, SONIC_EWS_UPGRADE, 426},
    {GET HO "Upgrade: websocket, \"\r\n" CO KE VE, SONIC_EWS_HEAD, 400},
    {GET HO UP KE VE, SONIC_EWS_UPGRADE, 400},
    {GET HO UP "Connection: keep-alive\r\n" KE VE, SONIC_EWS_UPGRADE, 400},
    {GET HO UP "Connection: \"Upgrade\"\r\n" KE VE, SONIC_EWS_UPGRADE, 400},
    {GET HO UP "Connection: Upgrade, \"\r\n" KE VE, SONIC_EWS_HEAD, 400},
    /* version, key */
    {GET HO UP CO KE, SONIC_EWS_VERSION, 426},
    {GET HO UP CO KE "Sec-WebSocket-Version: 8\r\n", SONIC_EWS_VERSION, 426},
    {GET HO UP CO KE "Sec-WebSocket-Version: 013\r\n", SONIC_EWS_VERSION, 426},
    {GET HO UP CO KE "Sec-WebSocket-Version: 13, 8\r\n", SONIC_EWS_VERSION,
     426},
    {GET HO UP CO KE "Sec-WebSocket-Version:\r\n", SONIC_EWS_VERSION, 426},
    {GET ALL VE, SONIC_EWS_VERSION, 400},
    {GET HO UP CO VE, SONIC_EWS_KEY, 400},
    {GET ALL KE, SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key:\r\n", SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",
     SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: " KEY "=\r\n", SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA=\r\n",
     SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ=Q=\r\n",
     SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n",
     SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ-==\r\n",
     SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j[Q==\r\n",
     SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: @GhlIHNhbXBsZSBub25jZQ==\r\n",
     SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j{Q==\r\n",
     SONIC_EWS_KEY, 400},
    {GET HO UP CO VE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j:Q==\r\n",
     SONIC_EWS_KEY, 400},
    /* offers */
    {GET ALL SP "a b\r\n", SONIC_EWS_SUBPROTOCOL, 400},
    {GET ALL SP "a\r\n" SP "b/c\r\n", SONIC_EWS_SUBPROTOCOL, 400},
    {GET ALL SP "a, \"b\"\r\n", SONIC_EWS_SUBPROTOCOL, 400},
    {GET ALL SP "a, \"\r\n", SONIC_EWS_SUBPROTOCOL, 400},
    {GET ALL SE "a b\r\n", SONIC_EWS_EXTENSION, 400},
    {GET ALL SE "a\r\n" SE "b;\r\n", SONIC_EWS_EXTENSION, 400},
    {GET ALL SE "a; b=\"\r\n", SONIC_EWS_EXTENSION, 400},
};

START_TEST(each_question)
{
    for (size_t i = 0; i < COUNT(questions); i++) {
        const struct question *q = &questions[i];
        struct sonic__ws_asked a;
        int err;

        read_head(SONIC__HTTP_REQUEST, q->head);
        err = sonic__ws_request_check(&head, window, &a);
        ck_assert_msg(err == q->err && a.status == q->status, "%s: %s, %u",
                      q->head, sonic_errname(err), a.status);
        ck_assert_int_eq(a.why != NULL, err != 0);
    }
}
END_TEST

START_TEST(what_was_asked)
{
    struct sonic__ws_asked a;

    read_head(SONIC__HTTP_REQUEST, GET ALL "Origin: http://o\r\n");
    ck_assert_int_eq(sonic__ws_request_check(&head, window, &a), 0);
    ck_assert(sonic__http_str_is(a.target, "/chat?a"));
    ck_assert(sonic__http_str_is(a.host, "h:81"));
    ck_assert(sonic__http_str_is(a.origin, "http://o"));
    ck_assert(sonic__http_str_is(a.key, KEY));
    read_head(SONIC__HTTP_REQUEST, GET ALL);
    ck_assert_int_eq(sonic__ws_request_check(&head, window, &a), 0);
    ck_assert_ptr_null(a.origin.ptr);
}
END_TEST

START_TEST(choosing_a_subprotocol)
{
    static const char *const ours[] = {"b", "a", "C"};
    static const struct {
        const char *lines;
        int index;
    } list[] = {
        {"", -1},
        {SP "x\r\n", -1},
        {SP "a, b\r\n", 0},
        {SP "a\r\n", 1},
        {SP "x, a\r\n" SP "b\r\n", 0},
        {SP "c\r\n", -1},
        {SP "x,y,C\r\n", 2},
        {SP "\r\n", -1},
    };
    char text[200];

    for (size_t i = 0; i < COUNT(list); i++) {
        (void)snprintf(text, sizeof text, GET "%s", list[i].lines);
        read_head(SONIC__HTTP_REQUEST, text);
        ck_assert_int_eq(sonic__ws_subprotocol_choose(&head, window, ours, 3),
                         list[i].index);
        ck_assert_int_eq(sonic__ws_subprotocol_choose(&head, window, NULL, 0),
                         -1);
    }
}
END_TEST

/* ---- answers ---- */

static char out[1 << 21];

static const char *
text_of(int n)
{
    ck_assert_int_gt(n, 0);
    out[n] = '\0';
    return out;
}

static struct sonic__ws_response
consent(void)
{
    return (struct sonic__ws_response){.key = {KEY, SONIC__WS_KEY}};
}

#define CONSENT                                                                \
    "HTTP/1.1 101 Switching Protocols\r\n" UP CO                               \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n"

START_TEST(consents)
{
    static const struct sonic_ws_header headers[] = {
        {"set-cookie", "a=1", false},
        {"Set-Cookie", "b=2", false},
        {"x-YZ", "", true},
    };
    struct sonic__ws_response r = consent();

    ck_assert_str_eq(text_of(sonic__ws_response_build(&r, out, sizeof out - 1)),
                     CONSENT "\r\n");
    r.subprotocol = "chat";
    r.extensions = "x; y";
    r.headers = headers;
    r.n_headers = 3;
    ck_assert_str_eq(text_of(sonic__ws_response_build(&r, out, sizeof out - 1)),
                     CONSENT SP "chat\r\n" SE "x; y\r\n"
                                "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
                                "x-YZ: \r\n\r\n");
}
END_TEST

/* The client of this library agrees with its server. */
START_TEST(both_sides_agree)
{
    static const char *const offers[] = {"a", "b"}, *const ours[] = {"b"};
    struct sonic__ws_request q = {
        .authority = "h", .subprotocols = offers, .n_subprotocols = 2};
    struct sonic__ws_asked asked;
    struct sonic__ws_answer a;
    int n;

    for (int i = 0; i < 256; i++) {
        struct sonic__ws_response r = {.subprotocol = "b"};
        char key[SONIC__WS_KEY];

        memset(q.nonce, i, sizeof q.nonce);
        n = sonic__ws_request_build(&q, window, sizeof window);
        sonic__http_head_init(&head, SONIC__HTTP_REQUEST, 0, room, COUNT(room));
        ck_assert_int_eq(sonic__http_head_feed(&head, window, (size_t)n), n);
        ck_assert_int_eq(sonic__ws_request_check(&head, window, &asked), 0);
        ck_assert_int_eq(sonic__ws_subprotocol_choose(&head, window, ours, 1),
                         0);
        memcpy(key, asked.key.ptr, sizeof key);
        r.key = (struct sonic__http_str){key, sizeof key};
        n = sonic__ws_response_build(&r, window, sizeof window);
        sonic__http_head_init(&head, SONIC__HTTP_RESPONSE, 0, room,
                              COUNT(room));
        ck_assert_int_eq(sonic__http_head_feed(&head, window, (size_t)n), n);
        ck_assert_int_eq(sonic__ws_response_check(&head, window, &q, &a), 0);
        ck_assert(sonic__http_str_is(a.subprotocol, "b"));
    }
}
END_TEST

START_TEST(what_may_not_be_answered)
{
    static const char *const names[] = {
        "Upgrade",
        "connection",
        "Sec-WebSocket-Accept",
        "sec-websocket-protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Content-Length",
        "Transfer-Encoding",
        "",
        "a b",
        "a:",
        "a\r\n",
    };
    static const char *const values[] = {"a\r\nb", "\n", "\r", "\x01", NULL};
    struct sonic_ws_header f = {.value = "x"};
    struct sonic__ws_rejection no = {
        .status = 400, .headers = &f, .n_headers = 1};
    struct sonic__ws_response r = consent();

    r.headers = &f;
    r.n_headers = 1;
    for (size_t i = 0; i < COUNT(names); i++) {
        f.name = names[i];
        ck_assert_int_eq(sonic__ws_response_build(&r, NULL, 0),
                         SONIC_EWS_HEADER);
        ck_assert_int_eq(sonic__ws_rejection_build(&no, NULL, 0),
                         SONIC_EWS_HEADER);
    }
    f.name = "x";
    for (size_t i = 0; i < COUNT(values); i++) {
        f.value = values[i];
        ck_assert_int_eq(sonic__ws_response_build(&r, NULL, 0),
                         SONIC_EWS_HEADER);
        ck_assert_int_eq(sonic__ws_rejection_build(&no, NULL, 0),
                         SONIC_EWS_HEADER);
    }
    r = consent();
    r.subprotocol = "a,b";
    ck_assert_int_eq(sonic__ws_response_build(&r, NULL, 0), SONIC_EWS_HEADER);
    r.subprotocol = "";
    ck_assert_int_eq(sonic__ws_response_build(&r, NULL, 0), SONIC_EWS_HEADER);
    r.subprotocol = NULL;
    r.extensions = "a\r\nb";
    ck_assert_int_eq(sonic__ws_response_build(&r, NULL, 0), SONIC_EWS_HEADER);
    r = consent();
    r.key.len--;
    ck_assert_int_eq(sonic__ws_response_build(&r, NULL, 0), SONIC_EWS_KEY);
    no = (struct sonic__ws_rejection){.status = 400, .reason = "a\r\nb: c"};
    ck_assert_int_eq(sonic__ws_rejection_build(&no, NULL, 0), SONIC_EWS_HEADER);
}
END_TEST

#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"

START_TEST(refusals)
{
    static const struct sonic_ws_header headers[] = {
        {"location", "/x", false},
        {"content-type", "text/html", false},
    };
    static const struct {
        struct sonic__ws_rejection r;
        const char *text;
    } list[] = {
        {{.status = 400},
         "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n" TEXT
         "Content-Length: 11\r\n\r\nBad Request"},
        {{.status = 405},
         "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"
         "Allow: GET\r\n" TEXT "Content-Length: 18\r\n\r\nMethod Not Allowed"},
        {{.status = 426, .body = "no"},
         "HTTP/1.1 426 Upgrade Required\r\n" UP
         "Connection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n" TEXT
         "Content-Length: 2\r\n\r\nno"},
        {{.status = 431, .reason = "Too much", .body = ""},
         "HTTP/1.1 431 Too much\r\nConnection: close\r\n" TEXT
         "Content-Length: 0\r\n\r\n"},
        {{.status = 505},
         "HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n" TEXT
         "Content-Length: 26\r\n\r\nHTTP Version Not Supported"},
        {{.status = 302, .headers = headers, .n_headers = 2, .body = "<p>\r\n"},
         "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 5\r\n"
         "Location: /x\r\nContent-Type: text/html\r\n\r\n<p>\r\n"},
        {{.status = 499, .reason = "", .body = "x"},
         "HTTP/1.1 499 \r\nConnection: close\r\n" TEXT
         "Content-Length: 1\r\n\r\nx"},
        {{.status = 599},
         "HTTP/1.1 599 Refused\r\nConnection: close\r\n" TEXT
         "Content-Length: 7\r\n\r\nRefused"},
    };

    for (size_t i = 0; i < COUNT(list); i++)
        ck_assert_str_eq(
            text_of(sonic__ws_rejection_build(&list[i].r, out, sizeof out - 1)),
            list[i].text);
}
END_TEST

START_TEST(statuses)
{
    for (unsigned status = 0; status <= 700; status++) {
        struct sonic__ws_rejection r = {.status = status};
        bool good = status >= 200 && status <= 599 && status != 204 &&
                    status != 205 && status != 304;
        int n = sonic__ws_rejection_build(&r, out, sizeof out);

        if (!good) {
            ck_assert_int_eq(n, -EINVAL);
            continue;
        }
        sonic__http_head_init(&head, SONIC__HTTP_RESPONSE, 0, room,
                              COUNT(room));
        ck_assert_int_gt(sonic__http_head_feed(&head, out, (size_t)n), 0);
        ck_assert_uint_eq(head.status, status);
        ck_assert_uint_gt(head.reason.len, 0);
    }
}
END_TEST

START_TEST(no_byte_past_the_buffer)
{
    const struct sonic__ws_rejection no = {.status = 426};
    const struct sonic__ws_response yes = consent();
    char *part;

    for (int both = 0; both < 2; both++) {
        int n = both ? sonic__ws_rejection_build(&no, out, sizeof out)
                     : sonic__ws_response_build(&yes, out, sizeof out);

        for (size_t cap = 0; cap <= (size_t)n; cap++) {
            part = malloc(cap + 1);
            part[cap] = '!';
            ck_assert_int_eq(both ? sonic__ws_rejection_build(&no, part, cap)
                                  : sonic__ws_response_build(&yes, part, cap),
                             n);
            ck_assert(memcmp(part, out, cap) == 0 && part[cap] == '!');
            free(part);
        }
    }
}
END_TEST

START_TEST(a_body_is_a_megabyte_at_most)
{
    static char body[(1 << 20) + 1];
    struct sonic__ws_rejection r = {.status = 400, .body = body};

    memset(body, 'x', sizeof body - 1);
    ck_assert_int_eq(sonic__ws_rejection_build(&r, out, sizeof out),
                     SONIC_ETOOBIG);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_handshake_server");
    TCase *tc = tcase_create("server");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, each_question);
    tcase_add_test(tc, what_was_asked);
    tcase_add_test(tc, choosing_a_subprotocol);
    tcase_add_test(tc, consents);
    tcase_add_test(tc, both_sides_agree);
    tcase_add_test(tc, what_may_not_be_answered);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, statuses);
    tcase_add_test(tc, no_byte_past_the_buffer);
    tcase_add_test(tc, a_body_is_a_megabyte_at_most);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
