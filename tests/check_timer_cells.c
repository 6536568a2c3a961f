/* Every cell of timer.def: what a timer does in each state on each event, and
 * what it does after that.  The time stands still but for the test. */
#include <stdio.h>
#include <string.h>

#include "support/rig.h"

enum { LOG = 128 };

static struct {
    struct rig r;
    sonic_timer *t;
    char log[LOG];
    size_t n;
} now;

static void
say(const char *text)
{
    int n = snprintf(now.log + now.n, sizeof now.log - now.n, "%s", text);

    ck_assert_int_lt(n, (int)(sizeof now.log - now.n));
    now.n += (size_t)n;
}

/* Who was called, and with what: a0 ok, aC cancelled, aB busy, aX closed. */
static void
note(sonic_timer *t, int err, void *ud)
{
    const char *what = err == 0               ? "0 "
                       : err == -ECANCELED    ? "C "
                       : err == -EBUSY        ? "B "
                       : err == SONIC_ECLOSED ? "X "
                                              : "? ";

    ck_assert_ptr_eq(t, now.t);
    say(ud);
    say(what);
}

/* The state, how many callbacks are owed, and q when the loop is to run it. */
static void
say_state(const char *end)
{
    static const char letter[] = {[SONIC_TIMER_READY] = 'R',
                                  [SONIC_TIMER_SCHEDULED] = 'S',
                                  [SONIC_TIMER_CLOSED] = 'D'};
    char text[8];

    snprintf(text, sizeof text, "%c%zu%s%s", letter[sonic_timer_state(now.t)],
             sonic_io_pending(now.r.io),
             sonic_io_next_deadline(now.r.io) == 0 ? "q" : "", end);
    say(text);
}

static void
arm(const char *who)
{
    sonic_timer_once(now.t, SECOND, note, (void *)(uintptr_t)who);
}

static void
settle(void)
{
    rig_settle(&now.r);
}

static void
pass(void)
{
    now.r.hook.now += SECOND;
    settle();
}

/* Into a state. */
static void
ready(void)
{
}

static void
scheduled(void)
{
    arm("a");
}

static void
repeating(void)
{
    sonic_timer_repeat(now.t, SECOND, SONIC_TICK_SKIP, note, (void *)"a");
}

static void
cancelled(void)
{
    arm("a");
    sonic_timer_cancel(now.t);
}

static void
last_word(void)
{
    arm("a");
    sonic_timer_close(now.t);
}

static void
closed(void)
{
    sonic_timer_close(now.t);
    settle();
}

/* The loop still means to run the timer, which is ready when it does. */
static void
ready_and_queued(void)
{
    cancelled();
    sonic_timer_once(now.t, 0, note, (void *)"b");
}

static void
scheduled_and_queued(void)
{
    cancelled();
    arm("b");
}

static void
closed_and_queued(void)
{
    sonic_timer_close(now.t);
}

/* Events. */
static void
on_arm(void)
{
    arm("b");
}

static void
on_cancel(void)
{
    sonic_timer_cancel(now.t);
}

static void
on_close(void)
{
    sonic_timer_close(now.t);
}

#define on_time pass   /* FIRE or TICK */
#define on_turn settle /* SPEAK */

/* log: the event, ten seconds, and another schedule by z. */
#define CELL(state, event, log)                                                \
    {                                                                          \
#state " " #event, state, event, log                                   \
    }

static const struct {
    const char *name;
    void (*state)(void);
    void (*event)(void);
    const char *log;
} cells[] = {
    CELL(ready, on_arm, "S1|b0 R0|z0 R0"),
    CELL(ready, on_cancel, "R0|R0|z0 R0"),
    CELL(ready, on_close, "D0q|D0|zX D0"),
    CELL(ready_and_queued, on_turn, "aC b0 R0|R0|z0 R0"),
    CELL(scheduled, on_arm, "bB S1|a0 R0|z0 R0"),
    CELL(scheduled, on_time, "a0 R0|R0|z0 R0"),
    CELL(repeating, on_time, "a0 S1|a0 S1|zB a0 S1"),
    CELL(scheduled, on_cancel, "R1q|aC R0|z0 R0"),
    CELL(repeating, on_cancel, "R1q|aC R0|z0 R0"),
    CELL(scheduled, on_close, "D1q|aC D0|zX D0"),
    CELL(scheduled_and_queued, on_turn, "aC S1|b0 R0|z0 R0"),
    CELL(cancelled, on_arm, "aC S1q|b0 R0|z0 R0"),
    CELL(cancelled, on_cancel, "R1q|aC R0|z0 R0"),
    CELL(cancelled, on_close, "D1q|aC D0|zX D0"),
    CELL(cancelled, on_turn, "aC R0|R0|z0 R0"),
    CELL(last_word, on_arm, "bX D1q|aC D0|zX D0"),
    CELL(last_word, on_cancel, "D1q|aC D0|zX D0"),
    CELL(last_word, on_close, "D1q|aC D0|zX D0"),
    CELL(last_word, on_turn, "aC D0|D0|zX D0"),
    CELL(closed, on_arm, "bX D0|D0|zX D0"),
    CELL(closed, on_cancel, "D0|D0|zX D0"),
    CELL(closed, on_close, "D0|D0|zX D0"),
    CELL(closed_and_queued, on_turn, "D0|D0|zX D0"),
};

enum { CELLS = sizeof cells / sizeof *cells };

START_TEST(cell)
{
    const char *name = cells[_i].name;

    for (int backend = 0; backend < RIG_BACKENDS; backend++) {
        memset(&now, 0, sizeof now);
        rig_open(&now.r, backend);
        hook_clock(&now.r.hook, SECOND);
        ck_assert_int_eq(sonic_timer_new(now.r.io, &now.t), 0);
        cells[_i].state();
        cells[_i].event();
        say_state("|");
        now.r.hook.now += 9 * SECOND;
        pass();
        say_state("|");
        arm("z");
        pass();
        say_state("");
        ck_assert_msg(strcmp(now.log, cells[_i].log) == 0,
                      "%s: \"%s\" instead of \"%s\"", name, now.log,
                      cells[_i].log);
        rig_close(&now.r);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("timer_cells");
    TCase *tc = tcase_create("cells");

    tcase_add_loop_test(tc, cell, 0, CELLS);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
