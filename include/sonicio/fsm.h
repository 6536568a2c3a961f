/* <sonicio/fsm.h> - state machines written as tables: what a table is
 *
 * A machine is a .def file that holds, besides comments,
 *     STATE(name)                        the first one is the start
 *     FINAL(name)                        a state that the machine ends in
 *     EVENT(name)
 *     ROW(state, event, next, action, "why: the section that says so")
 * A .c file that owns the machine turns it into code with
 * <sonicio/fsm_build.h>.  What this header declares is the same table as data:
 * for checking it, drawing it, printing it, and for tracing a running machine.
 *
 * A cell that cannot happen is written all the same, with the action
 * `impossible` and the reason.
 */
#ifndef SONICIO_FSM_H
#define SONICIO_FSM_H

#include <stdio.h>

#include <sonicio/api.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_fsm_row {
    uint8_t state, event, next;
    const char *action;
    const char *why;
} sonic_fsm_row;

typedef struct sonic_fsm {
    const char *name;
    const char *const *states;
    const bool *final; /* per state: the machine may end here */
    const char *const *events;
    const sonic_fsm_row *rows;
    unsigned n_states, n_events, n_rows;
    bool sparse;    /* a format: events a state does not list cannot occur */
    unsigned *hits; /* [state * n_events + event], NULL unless coverage is on */
} sonic_fsm;

/* Called for each step of a traced machine, before its action. */
typedef void sonic_fsm_trace_fn(const sonic_fsm *fsm, unsigned from,
                                unsigned event, unsigned to, void *ud);

typedef struct sonic_fsm_tracer {
    sonic_fsm_trace_fn *fn;
    void *ud;
} sonic_fsm_tracer;

/* sonic_fsm_check - prove that a table is sound
 *
 * Deterministic (no cell twice), total unless sparse, every state reachable
 * from the first, a final state reachable from every state, every event
 * possible in some state, every row with a reason; cells that are impossible
 * lead nowhere.  Returns 0, or SONIC_ESTATE with the first fault in why (cut
 * to cap bytes, terminated unless cap is 0). */
SONIC_API SONIC_MUST_CHECK int sonic_fsm_check(const sonic_fsm *fsm, char *why,
                                               size_t cap);

/* sonic_fsm_print_text, sonic_fsm_print_dot - the table for people, and as a
 * graph for Graphviz's dot(1).  0, or -EIO when out could not be written. */
SONIC_API SONIC_MUST_CHECK int sonic_fsm_print_text(const sonic_fsm *fsm,
                                                    FILE *out);
SONIC_API SONIC_MUST_CHECK int sonic_fsm_print_dot(const sonic_fsm *fsm,
                                                   FILE *out);

/* sonic_fsm_builtin - the library's own machines, NULL past the last one */
SONIC_API const sonic_fsm *sonic_fsm_builtin(size_t index);

#ifdef __cplusplus
}
#endif
#endif
