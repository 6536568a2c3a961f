/* <sonicio/fsm_build.h> - turn a .def file into a running machine (C only)
 *
 * The .c file that owns a machine includes this once, after
 *     #define FSM_NAME "x"               what people call the machine
 *     #define FSM_DEF  "x.def"           the table (see <sonicio/fsm.h>)
 *     #define FSM_INFO my_x_fsm          name for the table as data (extern)
 *     #define FSM_SPARSE                 only for formats
 *     typedef ... fsm_act(...);          the signature of an action
 *     static fsm_act act_...;            the actions that the rows name
 * and gets
 *     enum fsm_state  { S_name..., FSM_STATES }
 *     enum fsm_event  { E_name..., FSM_EVENTS }
 *     fsm_table[state][event]            .next and .act
 *     fsm_step(&state, event, tracer)    takes the step, returns the cell
 *     const sonic_fsm FSM_INFO
 *
 * An unknown name, a repeated row and a missing row do not compile.  One
 * machine per .c file: the names are private to it, so they can be as short
 * as the standard's.
 *
 * With SONIC_FSM_COVER defined, for tests, the machine counts the cells that
 * it takes and presents itself, before main, to a function of the program's:
 *     int sonic_fsm_cover(const sonic_fsm *fsm, sonic_fsm_row *change)
 * fsm->hits are the counts.  It returns -1; or, to see whether a test notices,
 * fills in state, event and next of change and returns the number of the row
 * whose action that cell is to have: the machine then runs with this change.
 */
#include <sonicio/fsm.h>

#define FSM_SKIP(...)
#ifdef SONIC_FSM_COVER
#define FSM_CONST
#else
#define FSM_CONST const
#endif

/* The states, then the events. */
#define STATE(s) S_##s,
#define FINAL(s) S_##s,
#define EVENT FSM_SKIP
#define ROW FSM_SKIP
enum fsm_state {
#include FSM_DEF
    FSM_STATES
};
#undef STATE
#undef FINAL
#undef EVENT

#define STATE FSM_SKIP
#define FINAL FSM_SKIP
#define EVENT(e) E_##e,
enum fsm_event {
#include FSM_DEF
    FSM_EVENTS
};
#undef EVENT
#undef ROW

/* One enumerator per row.  Two rows for one cell collide; too few rows fail
 * the count.  Together: every state answers every event exactly once. */
#define EVENT FSM_SKIP
#define ROW(s, e, n, a, why) R_##s##__##e,
enum fsm_row {
#include FSM_DEF
    FSM_ROWS
};
#undef ROW
#ifndef FSM_SPARSE
_Static_assert((int)FSM_ROWS == (int)FSM_STATES * (int)FSM_EVENTS,
               FSM_DEF ": a state does not answer every event");
#endif

/* The table that runs. */
#define ROW(s, e, n, a, why) [S_##s][E_##e] = {S_##n, act_##a},
static FSM_CONST struct fsm_cell {
    uint8_t next;
    fsm_act *act;
} fsm_table[FSM_STATES][FSM_EVENTS] = {
#include FSM_DEF
};
#undef ROW

/* The same table as data. */
#define ROW(s, e, n, a, why) {S_##s, E_##e, S_##n, #a, why},
static const sonic_fsm_row fsm_rows[] = {
#include FSM_DEF
};
#undef ROW
#define ROW FSM_SKIP

#undef STATE
#undef FINAL
#define STATE(s) [S_##s] = #s,
#define FINAL(s) [S_##s] = #s,
static const char *const fsm_state_names[] = {
#include FSM_DEF
};
#undef STATE
#undef FINAL
#define STATE(s) [S_##s] = false,
#define FINAL(s) [S_##s] = true,
static const bool fsm_final[] = {
#include FSM_DEF
};
#undef STATE
#undef FINAL
#undef EVENT
#define STATE FSM_SKIP
#define FINAL FSM_SKIP
#define EVENT(e) [E_##e] = #e,
static const char *const fsm_event_names[] = {
#include FSM_DEF
};
#undef STATE
#undef FINAL
#undef EVENT
#undef ROW

#ifdef SONIC_FSM_COVER
static unsigned fsm_hits[FSM_STATES * FSM_EVENTS];
#define FSM_HITS fsm_hits
#define FSM_HIT(s, e) (fsm_hits[(unsigned)(s)*FSM_EVENTS + (unsigned)(e)]++)
#else
#define FSM_HITS NULL
#define FSM_HIT(s, e) ((void)0)
#endif

extern const sonic_fsm FSM_INFO;
const sonic_fsm FSM_INFO = {
    .name = FSM_NAME,
    .states = fsm_state_names,
    .final = fsm_final,
    .events = fsm_event_names,
    .rows = fsm_rows,
    .n_states = FSM_STATES,
    .n_events = FSM_EVENTS,
    .n_rows = FSM_ROWS,
#ifdef FSM_SPARSE
    .sparse = true,
#endif
    .hits = FSM_HITS,
};

#ifdef SONIC_FSM_COVER
int sonic_fsm_cover(const sonic_fsm *fsm, sonic_fsm_row *change);

__attribute__((constructor)) static void
fsm_present(void)
{
    sonic_fsm_row c;
    int like = sonic_fsm_cover(&FSM_INFO, &c);

    if (like < 0)
        return;
    fsm_table[c.state][c.event].next = c.next;
    fsm_table[c.state][c.event].act =
        fsm_table[fsm_rows[like].state][fsm_rows[like].event].act;
}
#endif

/* Take one step.  The state changes here and nowhere else, and before the
 * action runs, because an action may call back into the machine. */
static inline const struct fsm_cell *
fsm_step(uint8_t *state, enum fsm_event e, const sonic_fsm_tracer *tracer)
{
    const struct fsm_cell *c = &fsm_table[*state][e];

    FSM_HIT(*state, e);
    if (__builtin_expect(tracer != NULL, 0))
        tracer->fn(&FSM_INFO, *state, (unsigned)e, c->next, tracer->ud);
    *state = c->next;
    return c;
}
#undef FSM_SKIP
#undef FSM_CONST
