/* The HTTP head machine: golden traces at every cut, every byte in every
 * state, random heads against a reference, every cell. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/http_drive.h"

#define ASK SONIC__HTTP_REQUEST
#define ANSWER SONIC__HTTP_RESPONSE
#define HEAD SONIC_EWS_HEAD
#define BIG SONIC_EWS_HEAD_TOOBIG
#define GET "GET / HTTP/1.1\r\n"
#define OK "HTTP/1.1 200 OK\r\n"

/* text is what was read; with an error NULL, and the last byte of the input
 * is the one that shows it. */
static const struct trace {
    enum sonic__http_role role;
    const char *input;
    int verdict; /* 0 stands for "complete" */
    unsigned answer;
    const char *text;
} traces[] = {
    {ASK,
     "GET /chat?a=b HTTP/1.1\r\nHost: server.example.com\r\n"
     "Upgrade:websocket\r\nX: \t a \t b \t \r\n\r\n",
     0, 0,
     "GET\n/chat?a=b\n1.1\nHost=server.example.com\nUpgrade=websocket\n"
     "X=a \t b\n"},
    {ASK, GET "\r\n", 0, 0, "GET\n/\n1.1\n"},
    {ASK, "\r\n" GET "\r\n", 0, 0, "GET\n/\n1.1\n"},
    {ASK, "M-Search * HTTP/0.9\r\nA:\r\nA: \r\nA:\t\r\n\r\n", 0, 0,
     "M-Search\n*\n0.9\nA=\nA=\nA=\n"},
    {ASK, "CONNECT h:1 HTTP/2.0\r\nA::\r\nB:=\x80\r\n\r\n", 0, 0,
     "CONNECT\nh:1\n2.0\nA=:\nB==\x80\n"},
    {ASK, "G http://a/%00?[]{}| HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ:,\r\n\r\n", 0,
     0, "G\nhttp://a/%00?[]{}|\n1.1\n!#$%&'*+-.^_`|~09azAZ=,\n"},
    {ASK, GET "A: \xff b\r\nB:\t(c)\r\nC: :\r\n\r\n", 0, 0,
     "GET\n/\n1.1\nA=\xff b\nB=(c)\nC=:\n"},
    {ASK, GET "Ab:c:(d)\xfe \te\r\n\r\n", 0, 0,
     "GET\n/\n1.1\nAb=c:(d)\xfe \te\n"},
    {ANSWER, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
     0, 0, "1.1\n101\nSwitching Protocols\nUpgrade=websocket\n"},
    {ANSWER, "HTTP/1.0 407 \r\n\r\n", 0, 0, "1.0\n407\n\n"},
    {ANSWER, "HTTP/1.1 999\r\n\r\n", 0, 0, "1.1\n999\n\n"},
    {ANSWER, "HTTP/1.1 100  a:\t(b) \xe9 \r\n\r\n", 0, 0,
     "1.1\n100\n a:\t(b) \xe9 \n"},

    /* the request line */
    {ASK, " ", HEAD, 400, NULL},
    {ASK, "\r", HEAD, 0, NULL}, /* not yet */
    {ASK, "\ra", HEAD, 400, NULL},
    {ASK, "\r\r", HEAD, 400, NULL},
    {ASK, "\r\n\r", HEAD, 400, NULL},
    {ASK, "\r\n\n", HEAD, 400, NULL},
    {ASK, "\r\n ", HEAD, 400, NULL},
    {ASK, "\r\nMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM", BIG, 501, NULL},
    {ASK, "\n", HEAD, 400, NULL},
    {ASK, "GET\t", HEAD, 400, NULL},
    {ASK, "GET\r", HEAD, 400, NULL},
    {ASK, "GET\n", HEAD, 400, NULL},
    {ASK, "G:", HEAD, 400, NULL},
    {ASK, "G(", HEAD, 400, NULL},
    {ASK, "G\x80", HEAD, 400, NULL},
    {ASK, "G\x01", HEAD, 400, NULL},
    {ASK, "\x16\x03\x01", HEAD, 400, NULL}, /* TLS; cut below */
    {ASK, "GET  ", HEAD, 400, NULL},
    {ASK, "GET /\t", HEAD, 400, NULL},
    {ASK, "GET /\r", HEAD, 400, NULL}, /* HTTP/0.9 */
    {ASK, "GET /\n", HEAD, 400, NULL},
    {ASK, "GET /\x7f", HEAD, 400, NULL},
    {ASK, "GET /\xc3", HEAD, 400, NULL},
    {ASK, "GET / HTTP/1.1 ", HEAD, 400, NULL},
    {ASK, "GET / HTTP/1.1\n", HEAD, 400, NULL},
    {ASK, "GET / HTTP/1.1\t", HEAD, 400, NULL},
    {ASK, "GET / HTTP:", HEAD, 400, NULL},
    {ASK, "GET / H\x80", HEAD, 400, NULL},
    {ASK, "GET / H\x02", HEAD, 400, NULL},
    {ASK, "GET / http/1.1\r", HEAD, 400, NULL},
    {ASK, "GET / HTTP/1\r", HEAD, 400, NULL},
    {ASK, "GET / HTTP/11.", HEAD, 0, NULL}, /* not yet */
    {ASK, "GET / HTTP/1.x\r", HEAD, 400, NULL},
    {ASK, "GET / HTTP/x.1\r", HEAD, 400, NULL},
    {ASK, "GET / HTTP/1,1\r", HEAD, 400, NULL},
    {ASK, "GET / \r", HEAD, 400, NULL},
    {ASK, "GET / HTTP/1.11", HEAD, 400, NULL},
    {ASK, GET "\n", HEAD, 400, NULL},
    {ASK, "GET / HTTP/1.1\r\r", HEAD, 400, NULL},
    {ASK, "GET / HTTP/1.1\ra", HEAD, 400, NULL},

    {ASK, "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM", BIG, 501, NULL},

    /* the status line */
    {ANSWER, "HTTP/1.1\t", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1\r", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1\n", HEAD, 400, NULL},
    {ANSWER, "HTTP/1 ", HEAD, 400, NULL},
    {ANSWER, "ICY ", HEAD, 400, NULL},
    {ANSWER, "http/1.1 ", HEAD, 400, NULL},
    {ANSWER, "SSH-2.0-O", HEAD, 400, NULL},
    {ANSWER, "H:", HEAD, 400, NULL},
    {ANSWER, "H\xff", HEAD, 400, NULL},
    {ANSWER, "H\x1f", HEAD, 400, NULL},
    {ANSWER, "\x05\x01", HEAD, 400, NULL}, /* cut below */
    {ANSWER, "HTTP/1.1  ", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 10 ", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 10\r", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 099 ", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 x01 ", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 1x1 ", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 10x ", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 1010", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 101\t", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 101\n", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 1:", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 1/", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 1\xf0", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 1\x03", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 101 a\n", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 101 a\x0b", HEAD, 400, NULL},
    {ANSWER, "HTTP/1.1 101 a\r\r", HEAD, 400, NULL},

    /* fields */
    {ASK, GET " ", HEAD, 400, NULL},
    {ASK, GET "\t", HEAD, 400, NULL},
    {ASK, GET ":", HEAD, 400, NULL},
    {ASK, GET "(", HEAD, 400, NULL},
    {ASK, GET "\x80", HEAD, 400, NULL},
    {ASK, GET "\x7f", HEAD, 400, NULL},
    {ASK, GET "A:b\r\n ", HEAD, 400, NULL},
    {ASK, GET "A:b\r\n\t", HEAD, 400, NULL},
    {ASK, GET "A:b\r\n\n", HEAD, 400, NULL},
    {ASK, GET "A ", HEAD, 400, NULL},
    {ASK, GET "A\t", HEAD, 400, NULL},
    {ASK, GET "A\r", HEAD, 400, NULL},
    {ASK, GET "A\n", HEAD, 400, NULL},
    {ASK, GET "A/", HEAD, 400, NULL},
    {ASK, GET "A\xe9", HEAD, 400, NULL},
    {ASK, GET "A\x08", HEAD, 400, NULL},
    {ASK, GET "A:\n", HEAD, 400, NULL},
    {ASK, GET "A: \x7f", HEAD, 400, NULL},
    {ASK, GET "A:b\n", HEAD, 400, NULL},
    {ASK, GET "A:b\x1b", HEAD, 400, NULL},
    {ASK, GET "A:b\r\r", HEAD, 400, NULL},
    {ASK, GET "A:b\r ", HEAD, 400, NULL},
    {ASK, GET "A:\rb", HEAD, 400, NULL},
    {ASK, GET "A:b\r\n\r\r", HEAD, 400, NULL},
    {ASK, GET "A:b\r\n\ra", HEAD, 400, NULL},
    {ANSWER, OK " ", HEAD, 400, NULL},
    {ANSWER, OK "A:b\r\n\r ", HEAD, 400, NULL},
};

enum { TRACES = sizeof traces / sizeof traces[0] };

static struct http_reference ref;

static struct http_input
input_of(const struct trace *t)
{
    return (struct http_input){t->role, SONIC__HTTP_HEAD_BYTES, 100, t->input,
                               strlen(t->input)};
}

START_TEST(golden_traces)
{
    for (size_t i = 0; i < TRACES; i++) {
        const struct trace *t = &traces[i];
        const struct http_input in = input_of(t);
        int expected = t->verdict != 0 ? t->verdict : (int)in.n, got;
        unsigned answer;

        if (t->verdict != 0 && t->answer == 0)
            expected = 0;
        got = http_agree_whole(&in, &answer, t->input);
        ck_assert_msg(got == expected, "%s: %d", t->input, got);
        ck_assert_uint_eq(answer, t->answer);
        http_reference(&ref, t->role, in.limit, in.fields, in.text, in.n);
        if (t->text != NULL)
            ck_assert_str_eq(ref.text, t->text);
    }
}
END_TEST

/* Cut once, and cut twice. */
START_TEST(every_cut_gives_the_same)
{
    for (size_t i = 0; i < TRACES; i++) {
        const struct http_input in = input_of(&traces[i]);
        struct http_drive d;

        http_reference(&ref, in.role, in.limit, in.fields, in.text, in.n);
        for (size_t a = 0; a <= in.n; a++)
            for (size_t b = a; b <= in.n; b += in.n < 40 ? 1 : 7) {
                http_drive_init(&d, &in);
                (void)http_drive_to(&d, a);
                (void)http_drive_to(&d, b);
                (void)http_drive_to(&d, in.n);
                http_agree(&d, &ref, in.text);
                http_drive_end(&d);
            }
    }
}
END_TEST

/* With room for header lines, and without. */
static void
feed_traces_bytewise(void)
{
    for (size_t i = 0; i < TRACES; i++) {
        struct http_input in = input_of(&traces[i]);

        http_agree_bytewise(&in, in.text);
        in.fields = 0;
        http_agree_bytewise(&in, in.text);
    }
}

START_TEST(the_byte_that_decides)
{
    feed_traces_bytewise();
}
END_TEST

START_TEST(bytes_behind_the_head_are_not_touched)
{
    char text[256];

    for (size_t i = 0; i < TRACES; i++) {
        struct http_input in = input_of(&traces[i]);
        size_t n = in.n;
        struct http_drive d;

        if (traces[i].verdict != 0)
            continue;
        in.n = (size_t)snprintf(text, sizeof text, "%s\x81\n\r\n: ", in.text);
        in.text = text;
        http_reference(&ref, in.role, in.limit, in.fields, in.text, in.n);
        http_drive_init(&d, &in);
        for (size_t len = n; len <= in.n; len++)
            ck_assert_int_eq(http_drive_to(&d, len), (int)n);
        http_agree(&d, &ref, in.text);
        ck_assert_uint_le(d.h.work, 2 * n);
        http_drive_end(&d);
    }
}
END_TEST

/* Prefixes that end in each state. */
static const struct prefix {
    enum sonic__http_role role;
    const char *text;
} prefixes[] = {
    {ASK, ""},          {ASK, "G"},
    {ASK, "\r"},        {ASK, "\r\n"},
    {ASK, "GET "},      {ASK, "GET /"},
    {ASK, "GET / "},    {ASK, "GET / HTTP/1.1"},
    {ASK, "GET / H"},   {ASK, "GET / HTTP/1.1\r"},
    {ASK, GET},         {ASK, GET "A"},
    {ASK, GET "A:"},    {ASK, GET "A: "},
    {ASK, GET "A:b"},   {ASK, GET "A:b "},
    {ASK, GET "A:b\r"}, {ASK, GET "A:b\r\n"},
    {ASK, GET "\r"},    {ASK, GET "A:b\r\n\r"},
    {ANSWER, ""},       {ANSWER, "HTTP/1."},
    {ANSWER, "H"},      {ANSWER, "HTTP/1.1"},
    {ANSWER, OK},       {ANSWER, "HTTP/1.1 "},
    {ANSWER, OK "A:b"}, {ANSWER, "HTTP/1.1 20"},
    {ANSWER, OK "\r"},  {ANSWER, "HTTP/1.1 200"},
    {ANSWER, OK "A"},   {ANSWER, "HTTP/1.1 200 "},
    {ANSWER, OK "A:"},  {ANSWER, "HTTP/1.1 200 O"},
};

enum { PREFIXES = sizeof prefixes / sizeof prefixes[0] };

static void
feed_every_byte(void)
{
    char text[64];
    unsigned answer;

    for (size_t i = 0; i < PREFIXES; i++)
        for (int c = 0; c < 256; c++) {
            const struct prefix *p = &prefixes[i];
            size_t n = strlen(p->text);
            struct http_input in = {p->role, 16384, 1, text, n + 1};

            memcpy(text, p->text, n);
            text[n] = (char)c;
            http_agree_bytewise(&in, p->text);
            (void)http_agree_whole(&in, &answer, p->text);
        }
}

START_TEST(every_byte_in_every_state)
{
    feed_every_byte();
}
END_TEST

static uint32_t
next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Change some bytes, drop some. */
static size_t
spoil(char *text, size_t n, uint64_t *seed)
{
    static const char spice[] = "\r\n\r\n \t:::/()\x01\x7f\x80\xff aG1";

    for (unsigned k = next_random(seed) % 3; k > 0 && n > 1; k--) {
        size_t at = next_random(seed) % n;
        size_t what = next_random(seed) % (sizeof spice - 1);

        text[at] = spice[what];
        if (what % 3 == 0) {
            memmove(text + at, text + at + 1, n - at - 1);
            n--;
        }
    }
    return n;
}

START_TEST(random_heads_as_the_reference)
{
    uint64_t seed = 20110411;
    char text[300];

    for (int round = 0; round < 20000; round++) {
        const struct trace *t = &traces[next_random(&seed) % TRACES];
        struct http_input in = {t->role, 64 + next_random(&seed) % 64,
                                next_random(&seed) % 4, text, strlen(t->input)};
        struct http_drive d;

        memcpy(text, t->input, in.n);
        in.n = spoil(text, in.n, &seed);
        memcpy(text + in.n, "\r\n\r\n", 4);
        in.n += 4;
        http_reference(&ref, in.role, in.limit, in.fields, text, in.n);
        http_drive_init(&d, &in);
        for (size_t at = 0; at < in.n;) {
            at += 1 + next_random(&seed) % 30;
            (void)http_drive_to(&d, at < in.n ? at : in.n);
        }
        http_agree(&d, &ref, "random head");
        http_drive_end(&d);
    }
}
END_TEST

static size_t
put(char *text, size_t n, const char *more)
{
    memcpy(text + n, more, strlen(more));
    return n + strlen(more);
}

static size_t
put_many(char *text, size_t n, char c, size_t times)
{
    memset(text + n, c, times);
    return n + times;
}

/* Every element that the limit can cut, cut there: behind a first line of
 * each length, fields of every kind. */
static void
feed_over_limit(void)
{
    static const char fields[] = "A:  b c\r\nA:\r\nA:b\r\n\r\n";
    char text[256];
    unsigned answer;

    for (size_t pad = 1; pad <= 80; pad++) {
        struct http_input in = {ASK, 64, 9, text, 0};

        in.n = put_many(text, put(text, 0, "GET "), 'x', pad);
        in.n = put(text, put(text, in.n, " HTTP/1.1\r\n"), fields);
        http_agree_bytewise(&in, "over the limit");
        (void)http_agree_whole(&in, &answer, "over the limit");
        in.role = ANSWER;
        in.n = put_many(text, put(text, 0, "HTTP/1.1 200 "), 'x', pad);
        in.n = put(text, put(text, in.n, "\r\n"), fields);
        http_agree_bytewise(&in, "over the limit");
        (void)http_agree_whole(&in, &answer, "over the limit");
    }
}

START_TEST(the_limit_holds_in_every_state)
{
    feed_over_limit();
}
END_TEST

static unsigned steps;

static void
count(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
      void *ud)
{
    (void)ud;
    steps += fsm == &sonic__http_head_fsm && from < fsm->n_states &&
             event < fsm->n_events && to < fsm->n_states;
}

START_TEST(a_verdict_stands)
{
    const sonic_fsm_tracer tracer = {count, NULL};
    char text[300];

    for (size_t i = 0; i < TRACES; i++) {
        struct http_input in = input_of(&traces[i]);
        const size_t n = in.n;
        struct http_drive d;
        int verdict;

        if (traces[i].verdict != 0 && traces[i].answer == 0)
            continue;
        in.n = (size_t)snprintf(text, sizeof text, "%sa b:\r\n\r\n", in.text);
        in.text = text;
        http_drive_init(&d, &in);
        d.h.tracer = &tracer;
        steps = 0;
        verdict = http_drive_to(&d, n);
        ck_assert_int_ne(verdict, 0);
        ck_assert_uint_gt(steps, 0);
        steps = 0;
        for (size_t more = n; more <= in.n; more++)
            ck_assert_int_eq(http_drive_to(&d, more), verdict);
        ck_assert_uint_eq(steps, 0);
        http_drive_end(&d);
    }
}
END_TEST

/* ---- the table ---- */

START_TEST(every_state_answers_every_byte)
{
    const sonic_fsm *fsm = &sonic__http_head_fsm;

    /* All nine kinds of byte in every state but the first and the last two. */
    for (unsigned s = 1; s + 2 < fsm->n_states; s++)
        for (unsigned e = 0; e < 9; e++)
            ck_assert_msg(sonic__ws_row_why(fsm, s, e) != NULL, "%s on %s",
                          fsm->states[s], fsm->events[e]);
    ck_assert_ptr_null(sonic__ws_row_why(fsm, 0, 0));
}
END_TEST

/* By the tests above, run again in this process: libcheck may have run them
 * in others. */
START_TEST(every_cell_is_taken)
{
    const sonic_fsm *fsm = &sonic__http_head_fsm;
    static char text[9000];
    struct http_input in = {ASK, SONIC__HTTP_HEAD_BYTES, 0, text, 0};
    unsigned answer;

    feed_traces_bytewise();
    feed_every_byte();
    feed_over_limit();
    in.n = put_many(text, put(text, 0, "GET "), '/', 8193);
    ck_assert_int_eq(http_agree_whole(&in, &answer, "long target"), BIG);
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
    Suite *s = suite_create("ws_head");
    TCase *tc = tcase_create("head");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, golden_traces);
    tcase_add_test(tc, every_cut_gives_the_same);
    tcase_add_test(tc, the_byte_that_decides);
    tcase_add_test(tc, bytes_behind_the_head_are_not_touched);
    tcase_add_test(tc, every_byte_in_every_state);
    tcase_add_test(tc, random_heads_as_the_reference);
    tcase_add_test(tc, the_limit_holds_in_every_state);
    tcase_add_test(tc, a_verdict_stands);
    tcase_add_test(tc, every_state_answers_every_byte);
    tcase_add_test(tc, every_cell_is_taken);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
