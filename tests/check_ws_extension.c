/* permessage-deflate is agreed on: every offer and answer of up to three
 * parameters, for every wish, against a plain reference that never sees the
 * text; and the RFC's own examples. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/extension.h"

#define NAME "permessage-deflate"
#define SE "Sec-WebSocket-Extensions: "

/* ---- parameters ------------------------------------------------------- */

enum kind { SF, CF, SB, CB, BAD };

/* What the text means; value 0: none. */
static const struct param {
    const char *text;
    enum kind kind;
    int value;
} params[] = {
    {"server_no_context_takeover", SF, 0},
    {"client_no_context_takeover", CF, 0},
    {"server_max_window_bits=8", SB, 8},
    {"server_max_window_bits=10", SB, 10},
    {"server_max_window_bits=15", SB, 15},
    {"server_max_window_bits=\"9\"", SB, 9},
    {"server_max_window_bits=\"1\\1\"", SB, 11},
    {"client_max_window_bits", CB, 0},
    {"client_max_window_bits=8", CB, 8},
    {"client_max_window_bits=12", CB, 12},
    {"client_max_window_bits = \"15\"", CB, 15},
    {"server_max_window_bits", BAD, 0}, /* must have a value */
    {"server_max_window_bits=7", BAD, 0},
    {"server_max_window_bits=0", BAD, 0},
    {"server_max_window_bits=16", BAD, 0},
    {"server_max_window_bits=99", BAD, 0},
    {"server_max_window_bits=08", BAD, 0},
    {"server_max_window_bits=010", BAD, 0},
    {"client_max_window_bits=115", BAD, 0},
    {"client_max_window_bits=4294967306", BAD, 0}, /* 2^32 + 10 */
    {"client_max_window_bits=+9", BAD, 0},
    {"client_max_window_bits=9a", BAD, 0},
    {"client_max_window_bits=\"\\08\"", BAD, 0},
    {"server_no_context_takeover=1", BAD, 0},
    {"client_no_context_takeover=\"true\"", BAD, 0},
    {"Server_no_context_takeover", BAD, 0},
    {"x-unknown", BAD, 0},
};
enum { PARAMS = sizeof params / sizeof *params, MOST = 3, ELEMENTS = 2 };

struct element {
    const struct param *p[MOST];
    unsigned n;
    const char *name; /* NULL: ours */
};

/* Element number i of those with at most `most` parameters. */
static struct element
element_at(size_t i, unsigned most)
{
    struct element e = {.n = 0};

    while (i > 0 && e.n < most) {
        i--;
        e.p[e.n++] = &params[i % PARAMS];
        i /= PARAMS;
    }
    return e;
}

static size_t
elements_of(unsigned most)
{
    size_t n = 1;

    for (unsigned i = 0; i < most; i++)
        n = n * PARAMS + 1;
    return n;
}

/* ---- the reference ---------------------------------------------------- */

struct meaning {
    bool right, sf, cf, any;
    int sb, cb; /* 0: not there */
};

static struct meaning
meaning_of(const struct element *e)
{
    struct meaning m = {.right = true};

    for (unsigned i = 0; i < e->n; i++) {
        const struct param *p = e->p[i];

        for (unsigned j = 0; j < i; j++)
            if (e->p[j]->kind == p->kind)
                m.right = false;
        m.right = m.right && p->kind != BAD;
        m.sf = m.sf || p->kind == SF;
        m.cf = m.cf || p->kind == CF;
        if (p->kind == SB)
            m.sb = p->value;
        if (p->kind == CB) {
            m.cb = p->value;
            m.any = true;
        }
    }
    return m;
}

struct expected {
    sonic_ws_deflate_agreed agreed;
    char text[200];
};

static void
put(struct expected *x, const char *name, int value)
{
    size_t n = strlen(x->text);

    snprintf(x->text + n, sizeof x->text - n, value > 0 ? "; %s=%d" : "; %s",
             name, value);
}

/* RFC 7692 7.1 for a server that is offered m. */
static void
expect_answer(const sonic_ws_deflate_agreed *wish, const struct meaning *m,
              struct expected *x)
{
    int server = wish->window_bits, client = 15;
    bool sf = m->sf || !wish->takeover, cf = m->cf || !wish->peer_takeover;

    if (m->sb > 0 && m->sb < server)
        server = m->sb;
    if (m->any) {
        if (m->cb > 0)
            client = m->cb;
        if (wish->peer_window_bits < client)
            client = wish->peer_window_bits;
    } else if (wish->peer_window_bits < 15) {
        cf = true;
    }
    strcpy(x->text, NAME);
    if (sf)
        put(x, "server_no_context_takeover", 0);
    if (cf)
        put(x, "client_no_context_takeover", 0);
    if (m->sb > 0 || server < 15)
        put(x, "server_max_window_bits", server);
    if (m->any && client < 15)
        put(x, "client_max_window_bits", client);
    x->agreed = (sonic_ws_deflate_agreed){true, !sf, !cf, (uint8_t)server,
                                          (uint8_t)client};
}

/* And for a client that wished and is answered m; false: it must fail. */
static bool
expect_accept(const sonic_ws_deflate_agreed *wish, const struct meaning *m,
              struct expected *x)
{
    if (!m->right || (m->any && m->cb == 0))
        return false;
    if (!wish->peer_takeover && !m->sf)
        return false;
    if (wish->peer_window_bits < 15 &&
        (m->sb == 0 || m->sb > wish->peer_window_bits))
        return false;
    if (m->cb > wish->window_bits)
        return false;
    x->agreed = (sonic_ws_deflate_agreed){
        true, wish->takeover && !m->cf, !m->sf,
        m->cb > 0 ? (uint8_t)m->cb : wish->window_bits,
        m->sb > 0 ? (uint8_t)m->sb : 15};
    return true;
}

/* ---- the machine ------------------------------------------------------ */

static size_t
write_element(const struct element *e, char *to, size_t cap)
{
    size_t n =
        (size_t)snprintf(to, cap, "%s", e->name != NULL ? e->name : NAME);

    for (unsigned i = 0; i < e->n; i++)
        n += (size_t)snprintf(to + n, cap - n, i % 2 ? " ;\t%s" : "; %s",
                              e->p[i]->text);
    return n;
}

/* The value of one field, or a field each. */
static void
write_head(char *text, size_t cap, bool server, const struct element *e,
           unsigned n, bool fields)
{
    size_t at = (size_t)snprintf(text, cap, "%s\r\n" SE,
                                 server ? "GET / HTTP/1.1" : "HTTP/1.1 101 x");

    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            at += (size_t)snprintf(text + at, cap - at,
                                   fields ? "\r\n" SE : " ,,\t");
        at += write_element(&e[i], text + at, cap - at);
    }
    snprintf(text + at, cap - at, "\r\n\r\n");
}

static int
judge(const char *text, bool server, const sonic_ws_deflate_agreed *wish,
      struct sonic__ws_extension_result *out)
{
    struct sonic__http_field fields[SONIC__HTTP_HEAD_FIELDS];
    struct sonic__http_head head;
    size_t n = strlen(text);

    sonic__http_head_init(&head,
                          server ? SONIC__HTTP_REQUEST : SONIC__HTTP_RESPONSE,
                          16384, fields, SONIC__HTTP_HEAD_FIELDS);
    ck_assert_msg(sonic__http_head_feed(&head, text, n) == (int)n, "%s", text);
    if (!server)
        return sonic__ws_extension_accept(&head, text, wish, NULL, out);
    sonic__ws_extension_answer(&head, text, wish, NULL, out);
    return 0;
}

static bool
same(const sonic_ws_deflate_agreed *a, const sonic_ws_deflate_agreed *b)
{
    return a->on == b->on && a->takeover == b->takeover &&
           a->peer_takeover == b->peer_takeover &&
           a->window_bits == b->window_bits &&
           a->peer_window_bits == b->peer_window_bits;
}

static void
check_server(const sonic_ws_deflate_agreed *wish, const struct element *e,
             unsigned n, bool fields)
{
    struct sonic__ws_extension_result got;
    struct expected x = {.text = ""};
    char text[1024];

    for (unsigned i = 0; i < n && !x.agreed.on; i++) {
        struct meaning m = meaning_of(&e[i]);

        if (e[i].name == NULL && m.right)
            expect_answer(wish, &m, &x);
    }
    write_head(text, sizeof text, true, e, n, fields);
    judge(text, true, wish, &got);
    if (!same(&got.agreed, &x.agreed) || strcmp(got.text, x.text) != 0 ||
        got.why != NULL)
        ck_abort_msg("%sanswer: %s\nexpected: %s", text, got.text, x.text);
}

static void
check_client(const sonic_ws_deflate_agreed *wish, const struct element *e,
             unsigned n, bool fields)
{
    struct sonic__ws_extension_result got;
    struct expected x = {.text = ""};
    char text[1024];
    bool right = n < 2;
    int err;

    for (unsigned i = 0; i < n && right; i++) {
        struct meaning m = meaning_of(&e[i]);

        right = e[i].name == NULL && expect_accept(wish, &m, &x);
    }
    write_head(text, sizeof text, false, e, n, fields);
    err = judge(text, false, wish, &got);
    if (err != (right ? 0 : SONIC_EWS_EXTENSION) ||
        (right && !same(&got.agreed, &x.agreed)) ||
        (!right && (got.agreed.on || got.why == NULL || got.text[0] != '\0')))
        ck_abort_msg("%s: %d %s, expected %s", text, err, got.text,
                     right ? "success" : "failure");
}

/* Every switch, and windows at their bounds and between. */
static sonic_ws_deflate_agreed
wish_at(size_t i)
{
    static const uint8_t bits[] = {15, 8, 11};

    return (sonic_ws_deflate_agreed){true, (i & 1) == 0, (i & 2) == 0,
                                     bits[i / 4 % 3], bits[i / 12 % 3]};
}
enum { WISHES = 36 };

START_TEST(every_element)
{
    sonic_ws_deflate_agreed wish = wish_at((size_t)_i);
    unsigned most = _i % 5 == 0 ? MOST : 2;

    for (size_t i = 0; i < elements_of(most); i++) {
        struct element e = element_at(i, most);

        check_server(&wish, &e, 1, false);
        check_client(&wish, &e, 1, false);
        e.name = "x-webkit-deflate-frame";
        if (i < elements_of(1)) {
            check_server(&wish, &e, 1, false);
            check_client(&wish, &e, 1, false);
        }
    }
}
END_TEST

/* Two elements, in one field or one each; of the second one may be of others.
 */
START_TEST(every_pair)
{
    sonic_ws_deflate_agreed wish = wish_at((size_t)_i);

    for (size_t i = 0; i < elements_of(1); i++)
        for (size_t j = 0; j < elements_of(1); j++)
            for (int how = 0; how < 6; how++) {
                struct element e[ELEMENTS] = {element_at(i, 1),
                                              element_at(j, 1)};

                if (how / 2 > 0)
                    e[how / 2 - 1].name = "x-webkit-deflate-frame";
                check_server(&wish, e, 2, how % 2);
                check_client(&wish, e, 2, how % 2);
            }
}
END_TEST

static const sonic_ws_deflate_agreed all = {true, true, true, 15, 15};

START_TEST(nothing_offered)
{
    struct sonic__ws_extension_result r;

    ck_assert_int_eq(judge("GET / HTTP/1.1\r\nA: b\r\n\r\n", true, &all, &r),
                     0);
    ck_assert(!r.agreed.on);
    ck_assert_str_eq(r.text, "");
    ck_assert_int_eq(judge("HTTP/1.1 101 x\r\nA: b\r\n\r\n", false, &all, &r),
                     0);
    ck_assert(!r.agreed.on);
    ck_assert_int_eq(
        judge("HTTP/1.1 101 x\r\n" SE " , \r\n\r\n", false, &all, &r), 0);
    ck_assert(!r.agreed.on);
}
END_TEST

/* RFC 7692 7.1.3, in whole. */
START_TEST(examples_of_the_rfc)
{
    static const struct {
        const char *offer, *answer;
        sonic_ws_deflate_agreed wish;
    } c[] = {
        {NAME, NAME, {true, true, true, 15, 15}},
        {NAME "; client_max_window_bits; server_max_window_bits=10",
         NAME "; server_max_window_bits=10",
         {true, true, true, 15, 15}},
        {NAME "; client_max_window_bits; server_max_window_bits=10, " NAME
              "; client_max_window_bits",
         NAME "; server_max_window_bits=10",
         {true, true, true, 15, 15}},
        {NAME "; server_max_window_bits=7, " NAME "; client_max_window_bits",
         NAME "; client_no_context_takeover; server_max_window_bits=9"
              "; client_max_window_bits=10",
         {true, true, false, 9, 10}},
    };
    struct sonic__ws_extension_result r;
    char text[512];

    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" SE "%s\r\n\r\n",
                 c[i].offer);
        judge(text, true, &c[i].wish, &r);
        ck_assert_str_eq(r.text, c[i].answer);
    }
}
END_TEST

START_TEST(offers_are_what_is_wished)
{
    static const struct {
        sonic_ws_deflate_agreed wish;
        const char *text;
    } c[] = {
        {{true, true, true, 15, 15}, NAME "; client_max_window_bits"},
        {{true, false, true, 15, 15},
         NAME "; client_no_context_takeover; client_max_window_bits"},
        {{true, true, false, 9, 15},
         NAME "; server_no_context_takeover; client_max_window_bits=9"},
        {{true, false, false, 8, 12},
         NAME "; server_no_context_takeover; client_no_context_takeover"
              "; server_max_window_bits=12; client_max_window_bits=8"},
    };
    char text[SONIC__WS_EXTENSION_TEXT];

    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        sonic__ws_extension_offer(&c[i].wish, text);
        ck_assert_str_eq(text, c[i].text);
    }
}
END_TEST

/* Whatever a client and a server of ours wish, they understand each other. */
START_TEST(both_sides_agree)
{
    for (size_t i = 0; i < WISHES; i++)
        for (size_t j = 0; j < WISHES; j++) {
            sonic_ws_deflate_agreed client = wish_at(i), server = wish_at(j);
            struct sonic__ws_extension_result a, b;
            char offer[SONIC__WS_EXTENSION_TEXT], text[512];

            sonic__ws_extension_offer(&client, offer);
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" SE "%s\r\n\r\n",
                     offer);
            judge(text, true, &server, &a);
            ck_assert(a.agreed.on);
            snprintf(text, sizeof text, "HTTP/1.1 101 x\r\n" SE "%s\r\n\r\n",
                     a.text);
            ck_assert_msg(judge(text, false, &client, &b) == 0, "%s", text);
            ck_assert_str_eq(a.text, b.text);
            ck_assert_int_eq(a.agreed.takeover, b.agreed.peer_takeover);
            ck_assert_int_ge(a.agreed.peer_takeover, b.agreed.takeover);
            ck_assert_uint_eq(a.agreed.window_bits, b.agreed.peer_window_bits);
            ck_assert_uint_ge(a.agreed.peer_window_bits, b.agreed.window_bits);
            ck_assert_uint_le(a.agreed.window_bits, server.window_bits);
            ck_assert_uint_le(b.agreed.window_bits, client.window_bits);
        }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ws_extension");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_element, 0, WISHES);
    tcase_add_loop_test(tc, every_pair, 0, WISHES);
    tcase_add_test(tc, nothing_offered);
    tcase_add_test(tc, examples_of_the_rfc);
    tcase_add_test(tc, offers_are_what_is_wished);
    tcase_add_test(tc, both_sides_agree);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
