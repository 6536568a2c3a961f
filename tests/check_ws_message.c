/* Every cell of the message machine, as RFC 6455 section 5.4 has it: bytes
 * that lead to the state, the bytes that are the event, and what must have
 * been delivered; then bytes that tell the states apart. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "support/ws_drive.h"
#include "support/ws_script.h"

#define FRAGMENT "SONIC_EWS_FRAGMENT\n"
#define UTF8 "SONIC_EWS_UTF8\n"

/* To a client: nothing is masked.  "=0102 =61" is the header of a fragment of
 * two bytes and the first of them. */
static const struct cell {
    const char *state, *event;
    const char *before, *bytes;
    const char *log, *next;
    const char *probe, *all; /* and the log after these bytes */
} cells[] = {
    {"IDLE", "SINGLE", "", "=8102", "", "LAST", "=6162 cz",
     "m1/0 2 ab\n" FRAGMENT},
    {"IDLE", "FIRST", "", "=0202", "", "PART", "=6162 cz", "m2/0 3 abz\n"},
    {"IDLE", "MORE", "", "c+x", FRAGMENT, "FAILED", "tz", FRAGMENT},
    {"IDLE", "FINISH", "", "cx", FRAGMENT, "FAILED", "tz", FRAGMENT},
    {"IDLE", "CONTROL", "", "px", "c9/0 1 x\n", "IDLE", "cz",
     "c9/0 1 x\n" FRAGMENT},
    {"IDLE", "BAD", "", "=8300", "SONIC_EWS_OPCODE\n", "FAILED", "tz",
     "SONIC_EWS_OPCODE\n"},
    {"PART", "END", "=0102 =61", "=62", "", "BETWEEN", "cz", "m1/0 3 abz\n"},
    {"PART", "BAD", "=0102 =61", "=ff", UTF8, "FAILED", "cz", UTF8},
    {"BETWEEN", "SINGLE", "t+a", "=8201", FRAGMENT, "FAILED", "cz", FRAGMENT},
    {"BETWEEN", "FIRST", "t+a", "=0101", FRAGMENT, "FAILED", "cz", FRAGMENT},
    {"BETWEEN", "MORE", "t+a", "=0001", "", "PART", "=62 cz", "m1/0 3 abz\n"},
    {"BETWEEN", "FINISH", "t+a", "=8001", "", "LAST", "=62 cz",
     "m1/0 2 ab\n" FRAGMENT},
    {"BETWEEN", "CONTROL", "t+a", "ox", "c10/0 1 x\n", "BETWEEN", "cz",
     "c10/0 1 x\nm1/0 2 az\n"},
    {"BETWEEN", "BAD", "t+a", "=887e", "SONIC_EWS_CONTROL\n", "FAILED", "cz",
     "SONIC_EWS_CONTROL\n"},
    {"LAST", "END", "=8102 =61", "=62", "m1/0 2 ab\n", "IDLE", "cz",
     "m1/0 2 ab\n" FRAGMENT},
    {"LAST", "BAD", "=8102 =61", "=c0", UTF8, "FAILED", "tz", UTF8},
    {"FAILED", "BAD", "cx", "ty", FRAGMENT, "FAILED", "tz", FRAGMENT},
};
enum { CELLS = sizeof cells / sizeof *cells };

struct step {
    const char *state, *event, *next; /* the last one */
    unsigned n;
};

static void
trace(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
      void *ud)
{
    struct step *last = ud;

    if (fsm != &sonic__ws_message_fsm)
        return;
    last->state = fsm->states[from];
    last->event = fsm->events[event];
    last->next = fsm->states[to];
    last->n++;
}

static void
feed(struct ws_drive *d, const char *script)
{
    uint8_t bytes[100];
    size_t n = ws_script(script, false, bytes, sizeof bytes);

    ck_assert(ws_drive_feed(d, bytes, n));
}

static const char *
state_of(const struct ws_drive *d)
{
    return sonic__ws_message_fsm.states[d->parser.state];
}

START_TEST(every_cell)
{
    const struct cell *c = &cells[_i];
    struct step last = {NULL, NULL, NULL, 0};
    const sonic_fsm_tracer tracer = {trace, &last};
    const struct sonic__ws_rules rules = {
        .simd = sonic__ws_simd_best(),
        .tracer = &tracer,
        .max_message = 100,
        .utf8 = true,
    };
    struct ws_drive d;
    unsigned before;

    ws_drive_init(&d, &rules, SONIC__WS_WHOLE);
    feed(&d, c->before);
    ck_assert_str_eq(state_of(&d), c->state);
    before = last.n;
    feed(&d, c->bytes);
    ck_assert_uint_eq(last.n, before + 1); /* one step: this cell */
    ck_assert_str_eq(last.state, c->state);
    ck_assert_str_eq(last.event, c->event);
    ck_assert_str_eq(last.next, c->next);
    ck_assert_str_eq(state_of(&d), c->next);
    ck_assert_str_eq(ws_log_text(&d.log), c->log);
    feed(&d, c->probe);
    ck_assert_str_eq(ws_log_text(&d.log), c->all);
    if (strcmp(c->next, "FAILED") == 0)
        ck_assert_int_eq(d.err, SONIC_ESTATE); /* the second time */
    ws_drive_free(&d);
}
END_TEST

/* No cell that can be taken is missing above, and none is there that cannot. */
START_TEST(all_cells_are_tested)
{
    const sonic_fsm *f = &sonic__ws_message_fsm;

    for (unsigned i = 0; i < f->n_rows; i++) {
        const sonic_fsm_row *r = &f->rows[i];
        int tested = 0;

        for (size_t k = 0; k < CELLS; k++)
            if (strcmp(cells[k].state, f->states[r->state]) == 0 &&
                strcmp(cells[k].event, f->events[r->event]) == 0)
                tested++;
        ck_assert_msg(tested == (strcmp(r->action, "impossible") != 0),
                      "%s on %s", f->states[r->state], f->events[r->event]);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_message");
    TCase *t = tcase_create("rfc6455 5.4");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_loop_test(t, every_cell, 0, CELLS);
    tcase_add_test(t, all_cells_are_tested);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
