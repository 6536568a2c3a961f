/* The kit: a machine made with it runs as its table says, wrong tables are
 * found, and the library's own tables are right. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>
#include <sonicio/fsm.h>

struct log {
    uint8_t state;
    char text[200];
};

typedef void fsm_act(struct log *log);
static fsm_act act_thank, act_turn, act_refuse, act_alarm, act_impossible;

#define FSM_NAME "turn\"stile"
#define FSM_DEF "support/turnstile.def"
#define FSM_INFO turnstile_fsm
#include <sonicio/fsm_build.h>

/* An action sees the state that the step leads to. */
static void
note(struct log *log, const char *what)
{
    size_t n = strlen(log->text);

    snprintf(log->text + n, sizeof log->text - n, "%s>%s ", what,
             fsm_state_names[log->state]);
}

static void
act_thank(struct log *log)
{
    note(log, "thank");
}

static void
act_turn(struct log *log)
{
    note(log, "turn");
}

static void
act_refuse(struct log *log)
{
    note(log, "refuse");
}

static void
act_alarm(struct log *log)
{
    note(log, "alarm");
}

static void
act_impossible(struct log *log)
{
    note(log, "impossible");
}

static void
trace(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
      void *ud)
{
    struct log *log = ud;
    size_t n = strlen(log->text);

    ck_assert_ptr_eq(fsm, &turnstile_fsm);
    ck_assert_uint_eq(log->state, from); /* told before it changes */
    snprintf(log->text + n, sizeof log->text - n, "%s:%s:%s ",
             fsm->states[from], fsm->events[event], fsm->states[to]);
}

static void
step(struct log *log, enum fsm_event e, const sonic_fsm_tracer *tracer)
{
    fsm_step(&log->state, e, tracer)->act(log);
}

START_TEST(steps_follow_the_table)
{
    struct log log = {S_LOCKED, ""};

    step(&log, E_PUSH, NULL);
    step(&log, E_COIN, NULL);
    step(&log, E_COIN, NULL);
    step(&log, E_PUSH, NULL);
    step(&log, E_KICK, NULL);
    step(&log, E_COIN, NULL);
    ck_assert_str_eq(log.text, "refuse>LOCKED thank>OPEN thank>OPEN "
                               "turn>LOCKED alarm>BROKEN refuse>BROKEN ");
}
END_TEST

START_TEST(a_tracer_sees_each_step_before_its_action)
{
    struct log log = {S_LOCKED, ""};
    const sonic_fsm_tracer tracer = {trace, &log};

    step(&log, E_COIN, &tracer);
    step(&log, E_PUSH, &tracer);
    ck_assert_str_eq(log.text, "LOCKED:COIN:OPEN thank>OPEN "
                               "OPEN:PUSH:LOCKED turn>LOCKED ");
}
END_TEST

START_TEST(the_table_as_data)
{
    const sonic_fsm *f = &turnstile_fsm;
    char why[100];

    ck_assert_uint_eq(f->n_states, 3);
    ck_assert_uint_eq(f->n_events, 3);
    ck_assert_uint_eq(f->n_rows, 9);
    ck_assert(!f->sparse);
    ck_assert(!f->final[S_LOCKED] && !f->final[S_OPEN] && f->final[S_BROKEN]);
    ck_assert_str_eq(f->rows[4].action, "turn");
    ck_assert_str_eq(f->rows[4].why, "1: once for each coin");
    ck_assert_int_eq(sonic_fsm_check(f, why, sizeof why), 0);
    ck_assert_str_eq(why, "");
}
END_TEST

/* A sound table to be spoiled: A -go-> B -go-> END, both may stay. */
struct sample {
    const char *states[3], *events[2];
    bool final[3];
    sonic_fsm_row rows[7];
    sonic_fsm fsm;
};

static void
sample_init(struct sample *t)
{
    static const struct sample sound = {
        .states = {"A", "B", "END"},
        .events = {"go", "stay"},
        .final = {false, false, true},
        .rows = {{0, 0, 1, "a", "1"},
                 {0, 1, 0, "b", "1"},
                 {1, 0, 2, "a", "1"},
                 {1, 1, 1, "b", "1"},
                 {2, 0, 2, "impossible", "1"},
                 {2, 1, 2, "b", "1"},
                 {0, 0, 0, "a", "not counted"}},
    };

    *t = sound;
    t->fsm = (sonic_fsm){
        .name = "sample",
        .states = t->states,
        .final = t->final,
        .events = t->events,
        .rows = t->rows,
        .n_states = 3,
        .n_events = 2,
        .n_rows = 6,
    };
}

static void
spoil_row(struct sample *t, int how)
{
    switch (how) {
    case 0:
        t->fsm.n_rows = 7;
        break;
    case 1:
        t->rows[5] = t->rows[0];
        break;
    case 2:
        t->fsm.n_rows = 5;
        break;
    case 3:
        t->rows[0].next = 0; /* nothing leads to B */
        break;
    case 4:
        t->rows[0].action = "impossible";
        break;
    case 5:
        t->rows[0].next = 2; /* B, reached all the same, stays B */
        t->rows[1].next = 1;
        t->rows[2].next = 1;
        break;
    case 6:
        t->final[2] = false;
        break;
    case 7:
        t->rows[3].why = "";
        break;
    case 8:
        t->rows[3].why = NULL;
        break;
    case 9:
        t->rows[3].action = "";
        break;
    case 10:
        t->rows[3].next = 3;
        break;
    case 11:
        t->rows[3].state = 3;
        break;
    case 12:
        t->rows[3].event = 2;
        break;
    }
}

static void
spoil(struct sample *t, int how)
{
    switch (how) {
    case 13:
        t->states[1] = "A";
        break;
    case 14:
        t->events[1] = "go";
        break;
    case 15:
        t->states[1] = NULL;
        break;
    case 16:
        t->fsm.n_states = 0;
        break;
    case 17:
        t->fsm.n_rows = 0;
        break;
    case 18:
        t->fsm.n_states = 257;
        break;
    case 19:
        t->fsm.name = NULL;
        break;
    case 20:
        t->rows[1].action = t->rows[3].action = t->rows[5].action =
            "impossible";
        break;
    case 21: /* sparse: the missing row is none, the others still count */
        t->fsm.sparse = true;
        t->fsm.n_rows = 5;
        t->rows[4] = t->rows[2];
        break;
    default:
        spoil_row(t, how);
        break;
    }
}

static const char *const faults[] = {
    "sample: A on go is there twice",
    "sample: A on go is there twice",
    "sample: END on stay is missing",
    "sample: B cannot be reached",
    "sample: B cannot be reached",
    "sample: B has no way to a final state",
    "sample: A has no way to a final state",
    "sample: B on stay has no reason",
    "sample: B on stay has no reason",
    "sample: B on stay has no action",
    "sample: row 3 names what there is not",
    "sample: row 3 names what there is not",
    "sample: row 3 names what there is not",
    "sample: two states are called A",
    "sample: two events are called go",
    "sample: state 1 has no name",
    "sample: no states, events or rows, or more than 256",
    "sample: no states, events or rows, or more than 256",
    "sample: no states, events or rows, or more than 256",
    "(no name): a machine has a name",
    "sample: stay cannot happen in any state",
    "sample: B on go is there twice",
};
enum { FAULTS = sizeof faults / sizeof *faults };

START_TEST(a_wrong_table_is_found)
{
    struct sample t;
    char why[100];

    sample_init(&t);
    ck_assert_int_eq(sonic_fsm_check(&t.fsm, why, sizeof why), 0);
    spoil(&t, _i);
    ck_assert_int_eq(sonic_fsm_check(&t.fsm, why, sizeof why), SONIC_ESTATE);
    ck_assert_str_eq(why, faults[_i]);
}
END_TEST

START_TEST(a_sparse_table_may_have_holes)
{
    struct sample t;
    char why[100];

    sample_init(&t);
    t.fsm.n_rows = 4; /* END answers nothing */
    ck_assert_int_eq(sonic_fsm_check(&t.fsm, why, sizeof why), SONIC_ESTATE);
    t.fsm.sparse = true;
    ck_assert_int_eq(sonic_fsm_check(&t.fsm, why, sizeof why), 0);
}
END_TEST

START_TEST(the_reason_is_cut_to_size)
{
    struct sample t;
    char why[100];

    sample_init(&t);
    t.fsm.n_rows = 5;
    for (size_t cap = 0; cap < 40; cap++) {
        size_t full = strlen(faults[2]);

        memset(why, 'x', sizeof why);
        ck_assert_int_eq(sonic_fsm_check(&t.fsm, why, cap), SONIC_ESTATE);
        ck_assert_int_eq(why[cap], 'x');
        if (cap == 0)
            continue;
        ck_assert_uint_eq(strlen(why), cap - 1 < full ? cap - 1 : full);
        ck_assert_int_eq(strncmp(why, faults[2], strlen(why)), 0);
    }
    ck_assert_int_eq(sonic_fsm_check(&t.fsm, NULL, 0), SONIC_ESTATE);
}
END_TEST

static char *
printed(int (*print)(const sonic_fsm *, FILE *), const sonic_fsm *f)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(print(f, out), 0);
    fclose(out);
    return text;
}

START_TEST(text_and_graph)
{
    char *text = printed(sonic_fsm_print_text, &turnstile_fsm);

    ck_assert_str_eq(
        text, "turn\"stile: 3 states, 3 events, 9 rows\n"
              "starts in LOCKED, ends in BROKEN\n"
              "\n"
              "in      on    goto    do          because\n"
              "LOCKED  COIN  OPEN    thank       1: paid\n"
              "LOCKED  PUSH  LOCKED  refuse      1: not paid\n"
              "LOCKED  KICK  BROKEN  alarm       2: it is not made of steel\n"
              "\n"
              "OPEN    COIN  OPEN    thank       1: we keep it\n"
              "OPEN    PUSH  LOCKED  turn        1: once for each coin\n"
              "OPEN    KICK  BROKEN  alarm       2: it is not made of steel\n"
              "\n"
              "BROKEN  COIN  BROKEN  refuse      2: closed\n"
              "BROKEN  PUSH  BROKEN  refuse      2: closed\n"
              "BROKEN  KICK  BROKEN  impossible  2: there is nothing left\n");
    free(text);
    text = printed(sonic_fsm_print_dot, &turnstile_fsm);
    ck_assert_str_eq(
        text, "digraph \"turn\\\"stile\" {\n"
              "  rankdir=LR;\n"
              "  node [shape=box, style=rounded];\n"
              "  \"\" [shape=point];\n"
              "  \"\" -> \"LOCKED\";\n"
              "  \"LOCKED\";\n"
              "  \"OPEN\";\n"
              "  \"BROKEN\" [peripheries=2];\n"
              "  \"LOCKED\" -> \"OPEN\" [label=\"COIN / thank\\l\"];\n"
              "  \"LOCKED\" -> \"LOCKED\" [label=\"PUSH / refuse\\l\"];\n"
              "  \"LOCKED\" -> \"BROKEN\" [label=\"KICK / alarm\\l\"];\n"
              "  \"OPEN\" -> \"OPEN\" [label=\"COIN / thank\\l\"];\n"
              "  \"OPEN\" -> \"LOCKED\" [label=\"PUSH / turn\\l\"];\n"
              "  \"OPEN\" -> \"BROKEN\" [label=\"KICK / alarm\\l\"];\n"
              "  \"BROKEN\" -> \"BROKEN\" "
              "[label=\"COIN / refuse\\lPUSH / refuse\\l\"];\n"
              "}\n");
    free(text);
}
END_TEST

START_TEST(a_full_disk_is_an_error)
{
    FILE *out = fopen("/dev/full", "w");

    if (out == NULL)
        return; /* not on this system */
    ck_assert_int_eq(sonic_fsm_print_text(&turnstile_fsm, out), -EIO);
    fclose(out);
    out = fopen("/dev/full", "w");
    ck_assert_int_eq(sonic_fsm_print_dot(&turnstile_fsm, out), -EIO);
    fclose(out);
}
END_TEST

START_TEST(every_machine_of_the_library_is_sound)
{
    const sonic_fsm *f, *g;
    size_t n;
    char why[200];

    for (n = 0; (f = sonic_fsm_builtin(n)) != NULL; n++) {
        char *text;

        ck_assert_msg(sonic_fsm_check(f, why, sizeof why) == 0, "%s", why);
        for (size_t k = 0; (g = sonic_fsm_builtin(k)) != f; k++)
            ck_assert_str_ne(g->name, f->name);
        for (unsigned i = 0; i < f->n_rows; i++)
            if (strcmp(f->rows[i].action, "impossible") == 0)
                ck_assert_msg(f->rows[i].next == f->rows[i].state,
                              "%s: %s on %s is impossible and goes somewhere",
                              f->name, f->states[f->rows[i].state],
                              f->events[f->rows[i].event]);
        text = printed(sonic_fsm_print_text, f);
        for (unsigned i = 0; i < f->n_rows; i++)
            ck_assert_ptr_nonnull(strstr(text, f->rows[i].why));
        free(text);
        free(printed(sonic_fsm_print_dot, f));
    }
    ck_assert_uint_ge(n, 2);
    ck_assert_ptr_null(sonic_fsm_builtin(n));
    ck_assert_ptr_null(sonic_fsm_builtin(SIZE_MAX));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("fsm");
    TCase *t = tcase_create("kit");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, steps_follow_the_table);
    tcase_add_test(t, a_tracer_sees_each_step_before_its_action);
    tcase_add_test(t, the_table_as_data);
    tcase_add_loop_test(t, a_wrong_table_is_found, 0, FAULTS);
    tcase_add_test(t, a_sparse_table_may_have_holes);
    tcase_add_test(t, the_reason_is_cut_to_size);
    tcase_add_test(t, text_and_graph);
    tcase_add_test(t, a_full_disk_is_an_error);
    tcase_add_test(t, every_machine_of_the_library_is_sound);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
