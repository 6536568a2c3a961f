/* What the parser delivers, for every way to cut its input. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "support/ws_drive.h"
#include "support/ws_reference.h"
#include "support/ws_script.h"

#define FAILS(name) "SONIC_" name "\n"

/* Golden traces, from the RFC.  The limit is 100 bytes a message, RSV1 is not
 * in use.  frames is what arrives frame by frame; NULL: nothing before the
 * failure, and the same failure. */
static const struct trace {
    const char *script, *messages, *frames;
} traces[] = {
    {"thello", "m1/0 5 hello\n", "F1/0 5 hello\n"},
    {"bhello", "m2/0 5 hello\n", "F2/0 5 hello\n"},
    {"t", "m1/0 0 \n", "F1/0 0 \n"},
    {"b", "m2/0 0 \n", "F2/0 0 \n"},
    {"ta tb tc", "m1/0 1 a\nm1/0 1 b\nm1/0 1 c\n",
     "F1/0 1 a\nF1/0 1 b\nF1/0 1 c\n"},
    /* 5.4: fragments, with nothing in some of them */
    {"t+hel clo", "m1/0 5 hello\n", "f1/0 3 hel\nF0/0 2 lo\n"},
    {"b+hel c+l co tx", "m2/0 5 hello\nm1/0 1 x\n",
     "f2/0 3 hel\nf0/0 1 l\nF0/0 1 o\nF1/0 1 x\n"},
    {"t+ c+ c", "m1/0 0 \n", "f1/0 0 \nf0/0 0 \nF0/0 0 \n"},
    {"t+ c+a c", "m1/0 1 a\n", "f1/0 0 \nf0/0 1 a\nF0/0 0 \n"},
    {"b+ c+ cab tx", "m2/0 2 ab\nm1/0 1 x\n",
     "f2/0 0 \nf0/0 0 \nF0/0 2 ab\nF1/0 1 x\n"},
    /* 5.5: control frames, between messages and inside them */
    {"phi ohi p o", "c9/0 2 hi\nc10/0 2 hi\nc9/0 0 \nc10/0 0 \n",
     "F9/0 2 hi\nF10/0 2 hi\nF9/0 0 \nF10/0 0 \n"},
    {"t+hel pabc clo", "c9/0 3 abc\nm1/0 5 hello\n",
     "f1/0 3 hel\nF9/0 3 abc\nF0/0 2 lo\n"},
    {"t+a p1 c+b p2 o c+ p3 cd te",
     "c9/0 1 1\nc9/0 1 2\nc10/0 0 \nc9/0 1 3\nm1/0 3 abd\nm1/0 1 e\n",
     "f1/0 1 a\nF9/0 1 1\nf0/0 1 b\nF9/0 1 2\nF10/0 0 \nf0/0 0 \nF9/0 1 3\n"
     "F0/0 1 d\nF1/0 1 e\n"},
    {"t+ p1 c", "c9/0 1 1\nm1/0 0 \n", "f1/0 0 \nF9/0 1 1\nF0/0 0 \n"},
    {"ta x%03%e8bye", "m1/0 1 a\nc8/0 5 %03%e8bye\n",
     "F1/0 1 a\nF8/0 5 %03%e8bye\n"},
    {"=8a00", NULL, NULL}, /* stands for its masked or unmasked form, below */
    /* 5.4: out of sequence */
    {"cx", FAILS("EWS_FRAGMENT"), NULL},
    {"c+x", FAILS("EWS_FRAGMENT"), NULL},
    {"ta cx", "m1/0 1 a\n" FAILS("EWS_FRAGMENT"),
     "F1/0 1 a\n" FAILS("EWS_FRAGMENT")},
    {"t+a tb", FAILS("EWS_FRAGMENT"), "f1/0 1 a\n" FAILS("EWS_FRAGMENT")},
    {"t+a b+b", FAILS("EWS_FRAGMENT"), "f1/0 1 a\n" FAILS("EWS_FRAGMENT")},
    {"t+a p1 c+b b", "c9/0 1 1\n" FAILS("EWS_FRAGMENT"),
     "f1/0 1 a\nF9/0 1 1\nf0/0 1 b\n" FAILS("EWS_FRAGMENT")},
    {"t+a cb cc", "m1/0 2 ab\n" FAILS("EWS_FRAGMENT"),
     "f1/0 1 a\nF0/0 1 b\n" FAILS("EWS_FRAGMENT")},
    /* 5.2, 5.5: bits, opcodes, control frames */
    {"rta", FAILS("EWS_RSV"), NULL},
    {"=a180", FAILS("EWS_RSV"), NULL},
    {"=9180", FAILS("EWS_RSV"), NULL},
    {"=8380", FAILS("EWS_OPCODE"), NULL},
    {"=8780", FAILS("EWS_OPCODE"), NULL},
    {"=8b80", FAILS("EWS_OPCODE"), NULL},
    {"=8f80", FAILS("EWS_OPCODE"), NULL},
    {"p+a", FAILS("EWS_CONTROL"), NULL},
    {"x+", FAILS("EWS_CONTROL"), NULL},
    {"=89fe", FAILS("EWS_CONTROL"), NULL},
    {"=8aff", FAILS("EWS_CONTROL"), NULL},
    {"=887e", FAILS("EWS_CONTROL"), NULL},
    {"t+a =a080", FAILS("EWS_RSV"), "f1/0 1 a\n" FAILS("EWS_RSV")},
    {"ta =8380 tb", "m1/0 1 a\n" FAILS("EWS_OPCODE"),
     "F1/0 1 a\n" FAILS("EWS_OPCODE")},
    /* the limit: 100 bytes, all fragments together, told at the header */
    {"b*100", "m2/0 100 #7114dff456bb6e85\n", "F2/0 100 #7114dff456bb6e85\n"},
    {"ta b*101", "m1/0 1 a\n" FAILS("EWS_TOOBIG"),
     "F1/0 1 a\n" FAILS("EWS_TOOBIG")},
    {"b+*64 c*37", FAILS("EWS_TOOBIG"),
     "f2/0 64 zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
     "\n" FAILS("EWS_TOOBIG")},
    {"b+*101", FAILS("EWS_TOOBIG"), NULL},
    {"b+aa c+*64 c*35", FAILS("EWS_TOOBIG"),
     "f2/0 2 aa\nf0/0 64 zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
     "zzzzzzzzzzzz\n" FAILS("EWS_TOOBIG")},
    {"b+ p*125 c*101", "c9/0 125 #554481dead75ef8d\n" FAILS("EWS_TOOBIG"),
     "f2/0 0 \nF9/0 125 #554481dead75ef8d\n" FAILS("EWS_TOOBIG")},
    /* 8.1: UTF-8, over the whole message, at the first wrong byte */
    {"t%e2%82%ac", "m1/0 3 %e2%82%ac\n", "F1/0 3 %e2%82%ac\n"},
    {"t+%e2 p c+%82 c+ c%ac", "c9/0 0 \nm1/0 3 %e2%82%ac\n",
     "f1/0 1 %e2\nF9/0 0 \nf0/0 1 %82\nf0/0 0 \nF0/0 1 %ac\n"},
    {"b%ff", "m2/0 1 %ff\n", "F2/0 1 %ff\n"},
    {"t%ff", FAILS("EWS_UTF8"), NULL},
    {"t%c3", FAILS("EWS_UTF8"), NULL},
    {"t+%c3 c", FAILS("EWS_UTF8"), "f1/0 1 %c3\n" FAILS("EWS_UTF8")},
    {"t+a c%ed%a0%80", FAILS("EWS_UTF8"), "f1/0 1 a\n" FAILS("EWS_UTF8")},
    {"t+%f0%9f cx", FAILS("EWS_UTF8"), "f1/0 2 %f0%9f\n" FAILS("EWS_UTF8")},
    {"ta t%f4%90", "m1/0 1 a\n" FAILS("EWS_UTF8"),
     "F1/0 1 a\n" FAILS("EWS_UTF8")},
    {"t+%c3 c%a9 t%c3", "m1/0 2 %c3%a9\n" FAILS("EWS_UTF8"),
     "f1/0 1 %c3\nF0/0 1 %a9\n" FAILS("EWS_UTF8")},
    /* longer than a vector, with the wrong byte inside and the limit near */
    {"taaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%80aaaaaaaaa", FAILS("EWS_UTF8"),
     NULL},
};

enum { TRACES = sizeof traces / sizeof *traces, LIMIT = 100 };

static struct sonic__ws_rules
rules_for(bool server)
{
    return (struct sonic__ws_rules){
        .simd = sonic__ws_simd_best(),
        .max_message = LIMIT,
        .expect = {.mask = server ? 0x80 : 0},
        .utf8 = true,
    };
}

static void
expect_log(const struct ws_drive *d, const char *expected, const char *what)
{
    ck_assert_msg(strcmp(ws_log_text(&d->log), expected) == 0,
                  "%s, expected:\n%sgot:\n%s", what, expected,
                  ws_log_text(&d->log));
}

/* One trace, one role, one delivery, cut in one way. */
struct form {
    uint8_t in[512];
    size_t n;
    struct sonic__ws_rules rules;
    enum sonic__ws_delivery delivery;
    const char *script, *expected;
    bool pause;
};

static void
run_form(const struct form *f, const size_t *cut, size_t cuts)
{
    struct ws_drive d;
    char what[128];

    snprintf(what, sizeof what, "%.60s, delivery %d, %s, cut at %zu and %zu",
             f->script, (int)f->delivery,
             f->rules.expect.mask ? "masked" : "not masked",
             cuts > 0 ? cut[0] : 0, cuts > 1 ? cut[1] : 0);
    ws_drive_init(&d, &f->rules, f->delivery);
    d.pause = f->pause;
    ck_assert_msg(ws_drive_pieces(&d, f->in, f->n, cut, cuts), "%s: %s", what,
                  ws_log_text(&d.log));
    expect_log(&d, f->expected, what);
    if (d.err == 0)
        ck_assert_msg(d.len == 0, "%s: bytes kept", what);
    ws_drive_free(&d);
}

static void
run_all_cuts(const struct form *f)
{
    size_t cut[512];

    run_form(f, NULL, 0);
    for (size_t i = 0; i <= f->n; i++) {
        cut[0] = i;
        run_form(f, cut, 1);
        if (f->n > 64 && i % 7 != 0)
            continue; /* long ones: all pairs would take seconds */
        for (size_t k = i; k <= f->n; k++) {
            cut[1] = k;
            run_form(f, cut, 2);
        }
    }
    for (size_t i = 0; i < f->n; i++)
        cut[i] = i;
    run_form(f, cut, f->n); /* byte by byte */
}

static void
make_form(struct form *f, const struct trace *t, bool server,
          enum sonic__ws_delivery delivery, bool pause)
{
    memset(f, 0, sizeof *f);
    f->script = t->script;
    f->n = ws_script(t->script, server, f->in, sizeof f->in);
    f->rules = rules_for(server);
    f->delivery = delivery;
    f->pause = pause;
    f->expected = t->messages;
    if (delivery == SONIC__WS_FRAMES && t->frames != NULL)
        f->expected = t->frames;
    if (t->messages == NULL) /* a pong that is not masked */
        f->expected = server                         ? FAILS("EWS_MASK")
                      : delivery == SONIC__WS_FRAMES ? "F10/0 0 \n"
                                                     : "c10/0 0 \n";
}

START_TEST(golden_trace_at_every_split)
{
    for (int form = 0; form < 12; form++) {
        struct form f;

        make_form(&f, &traces[_i], form & 1,
                  (enum sonic__ws_delivery)(form >> 2), form & 2);
        run_all_cuts(&f);
    }
}
END_TEST

/* The reference, which the random test stands on, agrees with the traces. */
START_TEST(reference_gives_the_golden_traces)
{
    for (int form = 0; form < 6; form++) {
        struct ws_log log = {NULL, 0, 0};
        struct form f;

        make_form(&f, &traces[_i], form & 1,
                  (enum sonic__ws_delivery)(form >> 1), false);
        ws_reference(&f.rules, f.delivery, f.in, f.n, &log);
        ck_assert_str_eq(ws_log_text(&log), f.expected);
        ws_log_free(&log);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_parser");
    TCase *t = tcase_create("rfc6455 5");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_loop_test(t, golden_trace_at_every_split, 0, TRACES);
    tcase_add_loop_test(t, reference_gives_the_golden_traces, 0, TRACES);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
