/* Asking a proxy: whole dialogues at every cut, every answer in every state. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/proxy.h"

#define HTTP SONIC__PROXY_HTTP
#define SOCKS SONIC__PROXY_SOCKS5
#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define BYTES(text)                                                            \
    {                                                                          \
        text, sizeof(text) - 1                                                 \
    }

struct bytes {
    const char *p;
    size_t n;
};

static const struct sonic_ws_header headers[] = {
    {"x-a", "1", false}, {"user-agent", "me", false}, {"X-A", "2", false}};
static const struct sonic_ws_header token[] = {
    {"proxy-authorization", "Bearer t", false}};

static const struct sonic__proxy_options
    plain = {.kind = HTTP, .host = "far", .port = 443},
    basic = {.kind = HTTP,
             .host = "::1",
             .port = 80,
             .user = "Aladdin", /* RFC 7617 2 */
             .password = "open sesame",
             .headers = headers,
             .n_headers = 3},
    bearer = {.kind = HTTP,
              .host = "1.2.3.4",
              .port = 1,
              .headers = token,
              .n_headers = 1},
    nameless = {.kind = HTTP, .host = "far", .port = 443, .user = ""},
    socks = {.kind = SOCKS, .host = "far.example", .port = 443},
    login = {.kind = SOCKS,
             .host = "10.1.2.3",
             .port = 65535,
             .user = "u:1",
             .password = "p\xc3\xa9"},
    socks6 = {.kind = SOCKS, .host = "2001:db8::5", .port = 258};

#define AGENT "User-Agent: sonicio/" SONIC_VERSION "\r\n"
#define CONNECT "CONNECT far:443 HTTP/1.1\r\nHost: far:443\r\n"
#define TO_FAR "\5\1\0\3\13far.example\1\273"
#define TO_V4 "\5\1\0\1\12\1\2\3\377\377"
#define TO_V6 "\5\1\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\5\1\2"

/* say and hear take turns; the last hear leads to verdict. */
static const struct dialogue {
    const struct sonic__proxy_options *to;
    struct bytes say[3], hear[3];
    int verdict; /* 0: open */
    unsigned status;
    const char *why; /* how the reason begins; NULL: not looked at */
} dialogues[] = {
    {&plain,
     {BYTES(CONNECT AGENT "\r\n")},
     {BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")},
     0,
     200,
     "9110 9.3.6: 2xx"},
    {&basic,
     {BYTES("CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n"
            "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
            "User-Agent: me\r\nX-A: 2\r\n\r\n")},
     {BYTES("HTTP/1.0 299 \r\n\r\n")},
     0,
     299,
     "9110 9.3.6: 2xx"},
    {&bearer,
     {BYTES("CONNECT 1.2.3.4:1 HTTP/1.1\r\nHost: 1.2.3.4:1\r\n"
            "Proxy-Authorization: Bearer t\r\n" AGENT "\r\n")},
     {BYTES("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n")},
     -EACCES,
     407,
     "9110 15.5.8"},
    {&nameless,
     {BYTES(CONNECT "Proxy-Authorization: Basic Og==\r\n" AGENT "\r\n")},
     {BYTES("HTTP/1.1 401 No\r\n\r\n")},
     -EACCES,
     401,
     "9110 15.5.2"},
    /* interim answers: nothing is said to them */
    {&plain,
     {BYTES(CONNECT AGENT "\r\n"), BYTES(""), BYTES("")},
     {BYTES("HTTP/1.1 100 a\r\n\r\n"), BYTES("HTTP/1.1 103 b\r\nA: b\r\n\r\n"),
      BYTES("HTTP/1.1 200 c\r\n\r\n")},
     0,
     200,
     "9110 9.3.6: 2xx"},
    {&plain,
     {BYTES(CONNECT AGENT "\r\n")},
     {BYTES("HTTP/1.1 101 a\r\n\r\n")},
     -EPROTO,
     101,
     "9110 9.3.6: not an answer"},
    {&plain,
     {BYTES(CONNECT AGENT "\r\n")},
     {BYTES("SSH-2.0-x")},
     SONIC_EWS_HEAD,
     0,
     "9112 2.3"},
    {&plain,
     {BYTES(CONNECT AGENT "\r\n")},
     {BYTES("HTTP/1.1 200 x\r\nA:b\r\nA:b\r\nA")}, /* room for two */
     SONIC_EWS_HEAD_TOOBIG,
     200,
     "6585 5: too many"},
    {&socks,
     {BYTES("\5\1\0"), BYTES(TO_FAR)},
     {BYTES("\5\0"), BYTES("\5\0\0\1\1\2\3\4\5\6")},
     0,
     0,
     "1928 6: reply 0"},
    {&socks,
     {BYTES("\5\1\0"), BYTES(TO_FAR)},
     {BYTES("\5\0"), BYTES("\5\0\1\4\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\1\2")},
     0,
     0,
     "1928 6: reply 0"},
    {&socks,
     {BYTES("\5\1\0"), BYTES(TO_FAR)},
     {BYTES("\5\0"), BYTES("\5\0\0\3\0\1\2")},
     0,
     0,
     "1928 6: reply 0"},
    {&socks,
     {BYTES("\5\1\0"), BYTES(TO_FAR)},
     {BYTES("\5\0"), BYTES("\5\0\0\3\3abc\1\2")},
     0,
     0,
     "1928 6: reply 0"},
    {&login,
     {BYTES("\5\2\0\2"), BYTES("\1\3u:1\3p\xc3\xa9"), BYTES(TO_V4)},
     {BYTES("\5\2"), BYTES("\1\0"), BYTES("\5\0\0\1\0\0\0\0\0\0")},
     0,
     0,
     "1928 6: reply 0"},
    {&login,
     {BYTES("\5\2\0\2"), BYTES(TO_V4)},
     {BYTES("\5\0"), BYTES("\5\5")},
     -ECONNREFUSED,
     5,
     "1928 6: connection refused"},
    {&login,
     {BYTES("\5\2\0\2"), BYTES("\1\3u:1\3p\xc3\xa9")},
     {BYTES("\5\2"), BYTES("\1\1")},
     -EACCES,
     0,
     "1929 2: wrong"},
    {&login,
     {BYTES("\5\2\0\2"), BYTES("\1\3u:1\3p\xc3\xa9")},
     {BYTES("\5\2"), BYTES("\5\0")},
     -EPROTO,
     0,
     "1929 2: not version"},
    {&socks6,
     {BYTES("\5\1\0"), BYTES(TO_V6)},
     {BYTES("\5\0"), BYTES("\5\0\0\5\1")},
     -EPROTO,
     0,
     "1928 6: not a reply"},
    {&socks,
     {BYTES("\5\1\0")},
     {BYTES("\5\377")},
     -EACCES,
     0,
     "1928 3: no acceptable"},
    {&socks,
     {BYTES("\5\1\0")},
     {BYTES("\5\2")},
     -EPROTO,
     0,
     "1928 3: not a choice"},
    {&socks,
     {BYTES("\5\1\0")},
     {BYTES("\4\0")},
     -EPROTO,
     0,
     "1928 3: not a choice"},
    {&socks,
     {BYTES("\5\1\0")},
     {BYTES("HT")},
     -EPROTO,
     0,
     "1928 3: not a choice"},
    {&socks,
     {BYTES("\5\1\0"), BYTES(TO_FAR)},
     {BYTES("\5\0"), BYTES("\4\0")},
     -EPROTO,
     0,
     "1928 6: not a reply"},
};

static struct sonic__http_field room[2];

static void
expect_say(struct sonic__proxy *p, const struct bytes *text)
{
    char buf[600];

    if (text->n > 0) {
        ck_assert_int_eq(sonic__proxy_say(p, NULL, 0), (int)text->n);
        memset(buf, '!', sizeof buf);
        ck_assert_int_eq(sonic__proxy_say(p, buf, text->n - 1), (int)text->n);
        ck_assert_int_eq(buf[text->n - 1], '!');
    }
    ck_assert_int_eq(sonic__proxy_say(p, buf, sizeof buf), (int)text->n);
    ck_assert_msg(memcmp(buf, text->p, text->n) == 0, "said %.*s", (int)text->n,
                  buf);
    ck_assert_int_eq(sonic__proxy_say(p, buf, sizeof buf), 0); /* once */
}

/* Feed the first len of the answer and `extra` bytes that are not of it, in a
 * block of just that size. */
static int
feed(struct sonic__proxy *p, const struct bytes *text, size_t len, size_t extra)
{
    char *window = malloc(len + extra + 1);
    int got;

    ck_assert_ptr_nonnull(window);
    memcpy(window, text->p, len);
    memset(window + len, '\r', extra);
    window = realloc(window, len + extra > 0 ? len + extra : 1);
    got = sonic__proxy_feed(p, window, len + extra);
    free(window);
    return got;
}

static unsigned steps;

static void
count(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
      void *ud)
{
    (void)ud;
    steps += fsm == &sonic__proxy_fsm && from < fsm->n_states &&
             event < fsm->n_events && to < fsm->n_states;
}

/* The verdict stands, and whatever comes is not looked at. */
static void
expect_end(struct sonic__proxy *p, int verdict)
{
    static const sonic_fsm_tracer tracer = {count, NULL};
    static const struct bytes more[] = {BYTES("\5\0\0\1\0\0\0\0\0\0"),
                                        BYTES("\1\0"),
                                        BYTES("HTTP/1.1 200 \r\n\r\n")};

    p->tracer = &tracer;
    steps = 0;
    ck_assert_int_eq(sonic__proxy_say(p, NULL, 0), verdict);
    for (size_t i = 0; i < COUNT(more); i++)
        ck_assert_int_eq(feed(p, &more[i], more[i].n, 0), verdict);
    ck_assert_uint_eq(steps, 0);
}

/* One dialogue; each answer comes in a first part of `cut` bytes, if it is
 * longer, byte by byte after that when slowly is set, and with others behind
 * it. */
static void
hold(const struct dialogue *d, size_t cut, bool slowly)
{
    struct sonic__proxy p;
    int got = 0;

    ck_assert_int_eq(sonic__proxy_init(&p, d->to, room, COUNT(room)), 0);
    for (size_t i = 0; i < 3 && d->hear[i].p != NULL; i++) {
        const struct bytes *hear = &d->hear[i];

        ck_assert(!sonic__proxy_is_open(&p));
        expect_say(&p, &d->say[i]);
        ck_assert_int_eq(feed(&p, hear, 0, 0), 0);
        for (size_t n = cut; n < hear->n; n = slowly ? n + 1 : hear->n)
            ck_assert_int_eq(feed(&p, hear, n, 0), 0);
        got = feed(&p, hear, hear->n, cut % 5);
        if (got > 0)
            ck_assert_int_eq(got, (int)hear->n);
    }
    ck_assert_int_eq(got < 0 ? got : 0, d->verdict);
    ck_assert_uint_eq(p.status, d->status);
    ck_assert_int_eq(sonic__proxy_is_open(&p), d->verdict == 0);
    ck_assert_ptr_nonnull(p.why);
    if (d->why != NULL)
        ck_assert_msg(strncmp(p.why, d->why, strlen(d->why)) == 0, "%s", p.why);
    /* The head of the last answer can be read, if there is one. */
    ck_assert_uint_eq(p.head.status, d->to->kind == HTTP ? d->status : 0);
    ck_assert_uint_eq(p.head.max_fields, d->to->kind == HTTP ? COUNT(room) : 0);
    expect_end(&p, d->verdict);
}

START_TEST(whole_dialogues)
{
    for (size_t i = 0; i < COUNT(dialogues); i++)
        for (size_t cut = 0; cut < 50; cut++) {
            hold(&dialogues[i], cut, false);
            hold(&dialogues[i], cut, true);
        }
}
END_TEST

/* ---- refusals ---- */

START_TEST(every_reply_code)
{
    static const int errs[] = {0,
                               -EIO,
                               -EACCES,
                               -ENETUNREACH,
                               -EHOSTUNREACH,
                               -ECONNREFUSED,
                               -ETIMEDOUT,
                               -EOPNOTSUPP,
                               -EAFNOSUPPORT};

    for (int code = 1; code < 256; code++) {
        const char reply[] = {5, (char)code};
        const struct dialogue d = {
            &socks,
            {BYTES("\5\1\0"), BYTES(TO_FAR)},
            {BYTES("\5\0"), {reply, 2}},
            code < (int)COUNT(errs) ? errs[code] : -EPROTO,
            (unsigned)code,
            NULL,
        };

        hold(&d, 1, false);
    }
}
END_TEST

START_TEST(every_status)
{
    static const struct {
        int status, err;
    } list[] = {
        {401, -EACCES},       {403, -EACCES},       {405, -EOPNOTSUPP},
        {407, -EACCES},       {408, -ETIMEDOUT},    {501, -EOPNOTSUPP},
        {502, -EHOSTUNREACH}, {503, -EHOSTUNREACH}, {504, -ETIMEDOUT},
    };

    for (int status = 300; status < 1000; status++) {
        char text[64];
        struct dialogue d = {&plain,           {BYTES(CONNECT AGENT "\r\n")},
                             {{text, 0}},      -ECONNREFUSED,
                             (unsigned)status, NULL};

        for (size_t i = 0; i < COUNT(list); i++)
            if (list[i].status == status)
                d.verdict = list[i].err;
        d.hear[0].n = (size_t)snprintf(text, sizeof text,
                                       "HTTP/1.1 %d x\r\nA: b\r\n\r\n", status);
        hold(&d, 9, false);
    }
}
END_TEST

START_TEST(a_refusal_can_be_read)
{
    struct sonic__proxy p;
    static const char head[] =
        "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\n\r\nbody";
    struct sonic__http_str v;

    ck_assert_int_eq(sonic__proxy_init(&p, &plain, room, 2), 0);
    ck_assert_int_eq(sonic__proxy_feed(&p, head, sizeof head - 1), -EACCES);
    ck_assert_int_eq(p.head.verdict, (int)sizeof head - 5);
    ck_assert(
        sonic__http_str_is(sonic__http_str_at(head, p.head.reason), "Who?"));
    ck_assert_uint_eq(
        sonic__http_count(&p.head, head, "proxy-authenticate", &v), 1);
    ck_assert(sonic__http_str_is(v, "Basic"));
}
END_TEST

/* ---- every answer in every state ---- */

/* A machine that has heard the first `heard` answers of a dialogue. */
static void
advance(struct sonic__proxy *p, const struct dialogue *d, size_t heard)
{
    char buf[600];

    ck_assert_int_eq(sonic__proxy_init(p, d->to, room, COUNT(room)), 0);
    for (size_t i = 0; i < heard; i++) {
        ck_assert_int_gt(sonic__proxy_say(p, buf, sizeof buf), 0);
        ck_assert_int_gt(feed(p, &d->hear[i], d->hear[i].n, 0), 0);
    }
}

static unsigned tried;

static void
note(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to, void *ud)
{
    (void)to;
    (void)ud;
    tried += sonic__ws_row_why(fsm, from, event) == NULL;
}

START_TEST(every_answer_has_its_cell)
{
    static const sonic_fsm_tracer tracer = {note, NULL};
    const struct dialogue to_socks = {&socks, {{NULL, 0}}, {BYTES("\5\0")},
                                      0,      0,           NULL};
    const struct dialogue to_login = {&login, {{NULL, 0}}, {BYTES("\5\2")},
                                      0,      0,           NULL};
    struct {
        const struct dialogue *d;
        size_t heard;
    } states[] = {
        {&to_socks, 0}, {&to_login, 0}, {&to_login, 1}, {&to_socks, 1}};

    for (size_t s = 0; s < COUNT(states); s++)
        for (int pair = 0; pair < 65536; pair++) {
            const char answer[5] = {(char)(pair >> 8), (char)pair, 0,
                                    (char)(pair >> 8), 0};
            const struct bytes b = {answer, 5};
            struct sonic__proxy p;
            int got;

            advance(&p, states[s].d, states[s].heard);
            p.tracer = &tracer;
            got = feed(&p, &b, 2, 0);
            if (got == 0) /* a reply that grants; its address may be absurd */
                got = feed(&p, &b, 5, 0);
            if (got < 0 && got != -EPROTO && pair >> 8 != 5 && pair >> 8 != 1)
                ck_abort_msg("%04x: %d", pair, got);
        }
    ck_assert_uint_eq(tried, 0);
}
END_TEST

START_TEST(every_address_type)
{
    for (int type = 0; type < 256; type++) {
        const struct dialogue d = {&socks, {{NULL, 0}}, {BYTES("\5\0")},
                                   0,      0,           NULL};
        const char reply[30] = {5, 0, 0, (char)type, 2};
        const struct bytes b = {reply, sizeof reply};
        const int size = type == 1 ? 10 : type == 3 ? 9 : type == 4 ? 22 : 0;
        struct sonic__proxy p;

        advance(&p, &d, 1);
        ck_assert_int_eq(feed(&p, &b, 4, 0), 0);
        for (int n = 5; n < size; n++)
            ck_assert_int_eq(feed(&p, &b, (size_t)n, 0), 0);
        ck_assert_int_eq(feed(&p, &b, sizeof reply, 0),
                         size != 0 ? size : -EPROTO);
    }
}
END_TEST

/* By the dialogues, run again in this process. */
START_TEST(every_cell_is_taken)
{
    const struct sonic__proxy_options nowhere = {.host = "", .port = 1};
    struct sonic__proxy p;
    const sonic_fsm *fsm = &sonic__proxy_fsm;

    for (size_t i = 0; i < COUNT(dialogues); i++)
        hold(&dialogues[i], 1, false);
    ck_assert_int_eq(sonic__proxy_init(&p, &nowhere, NULL, 0), -EINVAL);
    ck_assert_ptr_nonnull(fsm->hits);
    for (unsigned i = 0; i < fsm->n_rows; i++) {
        const sonic_fsm_row *r = &fsm->rows[i];

        ck_assert_msg(fsm->hits[r->state * fsm->n_events + r->event] > 0,
                      "never taken: %s on %s", fsm->states[r->state],
                      fsm->events[r->event]);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_proxy");
    TCase *tc = tcase_create("proxy");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, whole_dialogues);
    tcase_add_test(tc, every_reply_code);
    tcase_add_test(tc, every_status);
    tcase_add_test(tc, a_refusal_can_be_read);
    tcase_add_test(tc, every_answer_has_its_cell);
    tcase_add_test(tc, every_address_type);
    tcase_add_test(tc, every_cell_is_taken);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
