#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

enum { LOOPS = 4, WORDS = 1200, STEPS = 64, LINE = 4096 };

struct loop {
    char name[32];
    char *word[WORDS];
    size_t n, at;
};

struct reader {
    struct cases *cases;
    const char *file;
    int number; /* of the line */
    unsigned section;
    struct loop loop[LOOPS];
    size_t loops;
    char head[LINE]; /* what follows "case", or nothing */
    char *step[STEPS];
    int step_number[STEPS];
    size_t steps;
};

static void
refuse(const struct reader *r, const char *what)
{
    fprintf(stderr, "conformance: %s:%d: %s\n", r->file, r->number, what);
    exit(2);
}

static char *
copy_of(const char *text, size_t len)
{
    char *p = must_alloc(len + 1);

    memcpy(p, text, len);
    return p;
}

/* ---- loops ------------------------------------------------------------- */

static void
add_word(struct reader *r, struct loop *l, const char *text, size_t len)
{
    if (l->n == WORDS)
        refuse(r, "too many words");
    l->word[l->n++] = copy_of(text, len);
}

/* Whether the word is a range, which then is written out. */
static bool
add_range(struct reader *r, struct loop *l, const char *text)
{
    unsigned from, to;
    char word[32];
    bool hex = sscanf(text, "x%2x..%2x", &from, &to) == 2;

    if (!hex && sscanf(text, "%u..%u", &from, &to) != 2)
        return false;
    for (; from <= to; from++) {
        int n = snprintf(word, sizeof word, hex ? "%02x" : "%u", from);

        add_word(r, l, word, (size_t)n);
    }
    return true;
}

static void
read_loop(struct reader *r, const char *text)
{
    struct loop *l = &r->loop[r->loops];
    int used = 0;

    if (r->loops == LOOPS || sscanf(text, "%31s in %n", l->name, &used) != 1 ||
        used == 0)
        refuse(r, "for NAME in WORD...");
    r->loops++;
    l->n = l->at = 0;
    for (const char *p = text + used; *p != '\0';) {
        size_t n = 0;
        bool quoted = false;

        if (*p == '\'') {
            n = strcspn(p + 1, "'");
            add_word(r, l, p + 1, n);
            p += n + (p[n + 1] == '\'' ? 2 : 1);
            p += strspn(p, " ");
            continue;
        }
        while (p[n] != '\0' && (quoted || p[n] != ' ')) {
            quoted ^= p[n] == '"';
            n += p[n] == '\\' && p[n + 1] != '\0' ? 2 : 1;
        }
        if (n > 0 && (p[0] == '"' || !add_range(r, l, p)))
            add_word(r, l, p, n);
        p += n;
        p += strspn(p, " ");
    }
    if (l->n == 0)
        refuse(r, "a loop over nothing");
}

static void
forget_loops(struct reader *r)
{
    for (size_t i = 0; i < r->loops; i++)
        for (size_t j = 0; j < r->loop[i].n; j++)
            free(r->loop[i].word[j]);
    r->loops = 0;
}

/* ---- cases ------------------------------------------------------------- */

static const char *
value_of(const struct reader *r, const char *name, size_t *len)
{
    for (size_t i = 0; i < r->loops; i++) {
        size_t n = strlen(r->loop[i].name);

        if (strncmp(name, r->loop[i].name, n) == 0) {
            *len = n;
            return r->loop[i].word[r->loop[i].at];
        }
    }
    refuse(r, "no loop of that name");
    return NULL;
}

/* The line, with each $NAME as what it is this time. */
static char *
fill_in(const struct reader *r, const char *text, unsigned combination)
{
    char out[2 * LINE];
    size_t n = 0;

    while (*text != '\0' && n + LINE < sizeof out) {
        size_t len = 0;

        if (*text != '$') {
            out[n++] = *text++;
        } else if (text[1] == '#') {
            n += (size_t)snprintf(out + n, 16, "%u", combination);
            text += 2;
        } else {
            const char *value = value_of(r, text + 1, &len);

            n += (size_t)snprintf(out + n, LINE, "%s", value);
            text += 1 + len;
        }
    }
    return copy_of(out, n);
}

static void
add_case(struct reader *r, unsigned combination)
{
    struct cases *c = r->cases;
    struct test_case *t;
    char *blank;

    if ((c->n & (c->n - 1)) == 0) { /* a power of two is full */
        size_t cap = c->n == 0 ? 1 : 2 * c->n;
        struct test_case *list = must_alloc(cap * sizeof *list);

        if (c->n > 0)
            memcpy(list, c->list, c->n * sizeof *list);
        free(c->list);
        c->list = list;
    }
    t = &c->list[c->n++];
    t->section = r->section;
    t->file = r->file;
    t->id = fill_in(r, r->head, combination);
    blank = strchr(t->id, ' ');
    if (blank == NULL)
        refuse(r, "case NUMBER TITLE");
    *blank = '\0';
    t->title = blank + 1;
    t->line = must_alloc((r->steps + 1) * sizeof *t->line);
    t->number = must_alloc((r->steps + 1) * sizeof *t->number);
    for (size_t i = 0; i < r->steps; i++) {
        t->line[i] = fill_in(r, r->step[i], combination);
        t->number[i] = r->step_number[i];
    }
}

/* The next combination of the loops; false when that was the last. */
static bool
turn(struct reader *r)
{
    for (size_t i = r->loops; i-- > 0;) {
        if (++r->loop[i].at < r->loop[i].n)
            return true;
        r->loop[i].at = 0;
    }
    return false;
}

/* What has been read so far is a case, if anything is. */
static void
end_case(struct reader *r)
{
    unsigned combination = 1;

    if (r->head[0] == '\0')
        return;
    if (r->steps == 0)
        refuse(r, "a case without steps before this line");
    do
        add_case(r, combination++);
    while (turn(r));
    for (size_t i = 0; i < r->steps; i++)
        free(r->step[i]);
    r->steps = 0;
    r->head[0] = '\0';
    forget_loops(r);
}

static void
read_line(struct reader *r, const char *line)
{
    if (*line == '#' || *line == '\0')
        return;
    if (*line == ' ') {
        line += strspn(line, " ");
        if (*line == '#')
            return;
        if (r->head[0] == '\0' || r->steps == STEPS)
            refuse(r, "a step without a case, or too many");
        r->step[r->steps] = copy_of(line, strlen(line));
        r->step_number[r->steps++] = r->number;
        return;
    }
    end_case(r);
    if (strncmp(line, "section ", 8) == 0) {
        char *title;

        r->section = (unsigned)strtoul(line + 8, &title, 10) % 100;
        title += strspn(title, " ");
        free(r->cases->section[r->section]);
        r->cases->section[r->section] = copy_of(title, strlen(title));
    } else if (strncmp(line, "for ", 4) == 0) {
        read_loop(r, line + 4);
    } else if (strncmp(line, "case ", 5) == 0) {
        snprintf(r->head, sizeof r->head, "%s", line + 5);
    } else {
        refuse(r, "neither section, for, case nor a step");
    }
}

void
cases_read(struct cases *c, const char *file)
{
    struct reader *r = must_alloc(sizeof *r);
    FILE *f = fopen(file, "r");
    char line[LINE];

    r->cases = c;
    r->file = file;
    if (f == NULL)
        refuse(r, "cannot be read");
    while (fgets(line, sizeof line, f) != NULL) {
        r->number++;
        if (strchr(line, '\n') == NULL)
            refuse(r, "too long a line");
        line[strcspn(line, "\n")] = '\0';
        read_line(r, line);
    }
    end_case(r);
    fclose(f);
    free(r);
}

void
cases_free(struct cases *c)
{
    for (size_t i = 0; i < c->n; i++) {
        for (size_t j = 0; c->list[i].line[j] != NULL; j++)
            free(c->list[i].line[j]);
        free(c->list[i].line);
        free(c->list[i].number);
        free(c->list[i].id);
    }
    free(c->list);
    for (size_t i = 0; i < 100; i++)
        free(c->section[i]);
}
