#include <sonicio/fsm.h>

#include <errno.h>
#include <string.h>

/* Errors of out are sticky: they are asked for once, at the end. */
static int
result(FILE *out)
{
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

static int
widest(const char *const *names, unsigned n, const char *heading)
{
    size_t w = strlen(heading);

    for (unsigned i = 0; i < n; i++)
        if (strlen(names[i]) > w)
            w = strlen(names[i]);
    return (int)w;
}

static int
widest_action(const sonic_fsm *f)
{
    size_t w = strlen("do");

    for (unsigned i = 0; i < f->n_rows; i++)
        if (strlen(f->rows[i].action) > w)
            w = strlen(f->rows[i].action);
    return (int)w;
}

int
sonic_fsm_print_text(const sonic_fsm *fsm, FILE *out)
{
    int state = widest(fsm->states, fsm->n_states, "goto");
    int event = widest(fsm->events, fsm->n_events, "on");
    int action = widest_action(fsm);

    fprintf(out, "%s: %u states, %u events, %u rows%s\n", fsm->name,
            fsm->n_states, fsm->n_events, fsm->n_rows,
            fsm->sparse ? " (a format: what is not listed cannot come)" : "");
    fprintf(out, "starts in %s, ends in", fsm->states[0]);
    for (unsigned i = 0, n = 0; i < fsm->n_states; i++)
        if (fsm->final[i])
            fprintf(out, "%s %s", n++ > 0 ? "," : "", fsm->states[i]);
    fprintf(out, "\n\n%-*s  %-*s  %-*s  %-*s  because\n", state, "in", event,
            "on", state, "goto", action, "do");
    for (unsigned i = 0; i < fsm->n_rows; i++) {
        const sonic_fsm_row *r = &fsm->rows[i];

        if (i > 0 && r->state != r[-1].state)
            fputc('\n', out);
        fprintf(out, "%-*s  %-*s  %-*s  %-*s  %s\n", state,
                fsm->states[r->state], event, fsm->events[r->event], state,
                fsm->states[r->next], action, r->action, r->why);
    }
    return result(out);
}

/* A name as a quoted string of DOT, without the quotes. */
static void
quote(FILE *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', out);
        fputc(*s, out);
    }
}

static bool
drawn(const sonic_fsm_row *r)
{
    return strcmp(r->action, "impossible") != 0;
}

/* One arrow for all rows that lead from one state to one other. */
static void
print_arrow(const sonic_fsm *fsm, const sonic_fsm_row *first, FILE *out)
{
    fprintf(out, "  \"%s\" -> \"%s\" [label=\"", fsm->states[first->state],
            fsm->states[first->next]);
    for (unsigned i = 0; i < fsm->n_rows; i++) {
        const sonic_fsm_row *r = &fsm->rows[i];

        if (r->state == first->state && r->next == first->next && drawn(r))
            fprintf(out, "%s / %s\\l", fsm->events[r->event], r->action);
    }
    fputs("\"];\n", out);
}

static bool
first_of_arrow(const sonic_fsm *fsm, unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (fsm->rows[k].state == fsm->rows[i].state &&
            fsm->rows[k].next == fsm->rows[i].next && drawn(&fsm->rows[k]))
            return false;
    return drawn(&fsm->rows[i]);
}

int
sonic_fsm_print_dot(const sonic_fsm *fsm, FILE *out)
{
    fputs("digraph \"", out);
    quote(out, fsm->name);
    fputs("\" {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n"
          "  \"\" [shape=point];\n",
          out);
    fprintf(out, "  \"\" -> \"%s\";\n", fsm->states[0]);
    for (unsigned i = 0; i < fsm->n_states; i++)
        fprintf(out, "  \"%s\"%s;\n", fsm->states[i],
                fsm->final[i] ? " [peripheries=2]" : "");
    for (unsigned i = 0; i < fsm->n_rows; i++)
        if (first_of_arrow(fsm, i))
            print_arrow(fsm, &fsm->rows[i], out);
    fputs("}\n", out);
    return result(out);
}
