#include <sonicio/fsm.h>

#include <stdarg.h>
#include <string.h>

#include <sonicio/error.h>

/* State numbers are uint8_t in a row. */
enum { MAX_STATES = 256 };

struct report {
    char *why;
    size_t cap;
    const sonic_fsm *fsm;
};

/* Say what is wrong, after the machine's name. */
SONIC_PRINTF(2, 3)
static int
fault(const struct report *r, const char *format, ...)
{
    const char *name = r->fsm->name != NULL ? r->fsm->name : "(no name)";
    va_list ap;
    int n;

    if (r->cap == 0)
        return SONIC_ESTATE;
    n = snprintf(r->why, r->cap, "%s: ", name);
    if (n < 0 || (size_t)n >= r->cap)
        return SONIC_ESTATE;
    va_start(ap, format);
    (void)vsnprintf(r->why + n, r->cap - (size_t)n, format, ap);
    va_end(ap);
    return SONIC_ESTATE;
}

static bool
empty(const char *s)
{
    return s == NULL || *s == '\0';
}

/* A row that says it cannot be taken leads nowhere. */
static bool
possible(const sonic_fsm_row *row)
{
    return strcmp(row->action, "impossible") != 0;
}

static int
check_names(const struct report *r, const char *what, const char *const *names,
            unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (empty(names[i]))
            return fault(r, "%s %u has no name", what, i);
        for (unsigned k = 0; k < i; k++)
            if (strcmp(names[i], names[k]) == 0)
                return fault(r, "two %ss are called %s", what, names[i]);
    }
    return 0;
}

static int
check_row(const struct report *r, unsigned i)
{
    const sonic_fsm *f = r->fsm;
    const sonic_fsm_row *row = &f->rows[i];
    const char *state, *event;

    if (row->state >= f->n_states || row->next >= f->n_states ||
        row->event >= f->n_events)
        return fault(r, "row %u names what there is not", i);
    state = f->states[row->state];
    event = f->events[row->event];
    if (empty(row->action))
        return fault(r, "%s on %s has no action", state, event);
    if (empty(row->why))
        return fault(r, "%s on %s has no reason", state, event);
    for (unsigned k = 0; k < i; k++)
        if (f->rows[k].state == row->state && f->rows[k].event == row->event)
            return fault(r, "%s on %s is there twice", state, event);
    return 0;
}

static int
check_total(const struct report *r)
{
    const sonic_fsm *f = r->fsm;
    unsigned k;

    for (unsigned s = 0; s < f->n_states; s++)
        for (unsigned e = 0; e < f->n_events; e++) {
            for (k = 0; k < f->n_rows; k++)
                if (f->rows[k].state == s && f->rows[k].event == e)
                    break;
            if (k == f->n_rows)
                return fault(r, "%s on %s is missing", f->states[s],
                             f->events[e]);
        }
    return 0;
}

/* An event that no state answers is a mistake in a sparse table too. */
static int
check_events(const struct report *r)
{
    const sonic_fsm *f = r->fsm;
    unsigned k;

    for (unsigned e = 0; e < f->n_events; e++) {
        for (k = 0; k < f->n_rows; k++)
            if (f->rows[k].event == e && possible(&f->rows[k]))
                break;
        if (k == f->n_rows)
            return fault(r, "%s cannot happen in any state", f->events[e]);
    }
    return 0;
}

/* Mark what can be reached from the marked states, against the arrows if
 * backwards. */
static void
spread(const sonic_fsm *f, bool *marked, bool backwards)
{
    bool grew;

    do {
        grew = false;
        for (unsigned i = 0; i < f->n_rows; i++) {
            const sonic_fsm_row *row = &f->rows[i];
            unsigned from = backwards ? row->next : row->state;
            unsigned to = backwards ? row->state : row->next;

            if (possible(row) && marked[from] && !marked[to]) {
                marked[to] = true;
                grew = true;
            }
        }
    } while (grew);
}

static int
check_reachable(const struct report *r)
{
    const sonic_fsm *f = r->fsm;
    bool from_start[MAX_STATES] = {true}, to_final[MAX_STATES] = {false};

    spread(f, from_start, false);
    for (unsigned s = 0; s < f->n_states; s++)
        to_final[s] = f->final[s];
    spread(f, to_final, true);
    for (unsigned s = 0; s < f->n_states; s++)
        if (!from_start[s])
            return fault(r, "%s cannot be reached", f->states[s]);
    for (unsigned s = 0; s < f->n_states; s++)
        if (!to_final[s])
            return fault(r, "%s has no way to a final state", f->states[s]);
    return 0;
}

int
sonic_fsm_check(const sonic_fsm *fsm, char *why, size_t cap)
{
    struct report r = {why, cap, fsm};
    int err;

    if (cap > 0)
        why[0] = '\0';
    if (empty(fsm->name))
        return fault(&r, "a machine has a name");
    if (fsm->n_states == 0 || fsm->n_states > MAX_STATES ||
        fsm->n_events == 0 || fsm->n_events > MAX_STATES || fsm->n_rows == 0)
        return fault(&r, "no states, events or rows, or more than %d",
                     MAX_STATES);
    if ((err = check_names(&r, "state", fsm->states, fsm->n_states)) != 0 ||
        (err = check_names(&r, "event", fsm->events, fsm->n_events)) != 0)
        return err;
    for (unsigned i = 0; i < fsm->n_rows; i++)
        if ((err = check_row(&r, i)) != 0)
            return err;
    if (!fsm->sparse && (err = check_total(&r)) != 0)
        return err;
    if ((err = check_events(&r)) != 0)
        return err;
    return check_reachable(&r);
}
