/* fsm_cover.c - what the library's machines did in a test program
 *
 * SONIC_FSM_COVER_FILE   a file to append to at exit, for each machine and
 *                        row: machine, state, event, action, count (tabs)
 * SONIC_FSM_MUTANT       "machine/STATE/EVENT/NEXT/action": that row is run as
 *                        written here instead
 * tests/check_fsm_coverage.sh and tests/mutants.sh need them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/fsm.h>

int sonic_fsm_cover(const sonic_fsm *fsm, sonic_fsm_row *change);

enum { MAX_MACHINES = 64, MAX_LINE = 256 };

static const sonic_fsm *machines[MAX_MACHINES];
static size_t n_machines;

enum { NO_SUCH_ROW = 64 }; /* exit status; tests/mutants.sh knows it */

static void
give_up(const char *why, const char *what)
{
    fprintf(stderr, "fsm_cover: %s: %s\n", why, what);
    _exit(NO_SUCH_ROW);
}

static void
print_counts(FILE *out)
{
    for (size_t m = 0; m < n_machines; m++) {
        const sonic_fsm *f = machines[m];

        for (unsigned i = 0; i < f->n_rows; i++) {
            const sonic_fsm_row *r = &f->rows[i];

            fprintf(out, "%s\t%s\t%s\t%s\t%u\n", f->name, f->states[r->state],
                    f->events[r->event], r->action,
                    f->hits[r->state * f->n_events + r->event]);
        }
    }
}

/* One write: test programs, and what they fork, end at the same time. */
static void
append_counts(void)
{
    const char *path = getenv("SONIC_FSM_COVER_FILE");
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    int fd;

    if (out == NULL)
        give_up("no memory", path);
    print_counts(out);
    fclose(out);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, text, n) != (ssize_t)n)
        give_up("cannot write", path);
    close(fd);
    free(text);
}

static unsigned
index_of(const char *const *names, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (name != NULL && strcmp(names[i], name) == 0)
            return i;
    give_up("no such name", name != NULL ? name : "(none)");
    return 0;
}

/* The first row with that action, or -1 if this machine is not meant. */
static int
mutant(const sonic_fsm *f, const char *spec, sonic_fsm_row *change)
{
    char line[MAX_LINE], *save;
    const char *action;

    snprintf(line, sizeof line, "%s", spec);
    if (strcmp(strtok_r(line, "/", &save), f->name) != 0)
        return -1;
    change->state =
        (uint8_t)index_of(f->states, f->n_states, strtok_r(NULL, "/", &save));
    change->event =
        (uint8_t)index_of(f->events, f->n_events, strtok_r(NULL, "/", &save));
    change->next =
        (uint8_t)index_of(f->states, f->n_states, strtok_r(NULL, "/", &save));
    action = strtok_r(NULL, "/", &save);
    for (unsigned i = 0; action != NULL && i < f->n_rows; i++)
        if (strcmp(f->rows[i].action, action) == 0)
            return (int)i;
    give_up("no such action", spec);
    return -1;
}

int
sonic_fsm_cover(const sonic_fsm *fsm, sonic_fsm_row *change)
{
    const char *spec = getenv("SONIC_FSM_MUTANT");

    if (n_machines == MAX_MACHINES)
        give_up("too many machines", fsm->name);
    if (n_machines == 0 && getenv("SONIC_FSM_COVER_FILE") != NULL)
        atexit(append_counts);
    machines[n_machines++] = fsm;
    return spec != NULL && *spec != '\0' ? mutant(fsm, spec, change) : -1;
}
