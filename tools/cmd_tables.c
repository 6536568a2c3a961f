/* sonicio tables - the library's machines, from the tables that run */
#include <stdio.h>
#include <string.h>

#include <sonicio/error.h>
#include <sonicio/fsm.h>

#include "commands.h"

enum { OPT_DOT = 256 };

static const struct option_row options[] = {
    {"dot", OPT_DOT, NULL, "as a graph, for dot(1) of Graphviz"},
    {NULL, 0, NULL, NULL}};

enum { NAME = 40 };

/* A machine's name as one word, which is easier to type: '-' for ' '. */
static const char *
as_word(const char *name, char word[NAME])
{
    snprintf(word, NAME, "%s", name);
    for (char *p = word; *p != '\0'; p++)
        if (*p == ' ')
            *p = '-';
    return word;
}

/* The same word, but that "ws" stands for "websocket". */
static const char *
past_websocket(const char *word)
{
    if (strncmp(word, "websocket-", 10) == 0)
        return word + 10;
    return strncmp(word, "ws-", 3) == 0 ? word + 3 : NULL;
}

static bool
is_called(const sonic_fsm *fsm, const char *asked)
{
    char name[NAME], word[NAME];
    const char *a, *b;

    as_word(fsm->name, name);
    as_word(asked, word);
    a = past_websocket(name);
    b = past_websocket(word);
    return a != NULL && b != NULL ? strcmp(a, b) == 0 : strcmp(name, word) == 0;
}

static void
print_list(void)
{
    const sonic_fsm *fsm;
    char word[NAME];

    printf("%-20s %6s %6s %6s\n", "machine", "states", "events", "rows");
    for (size_t i = 0; (fsm = sonic_fsm_builtin(i)) != NULL; i++)
        printf("%-20s %6u %6u %6u\n", as_word(fsm->name, word), fsm->n_states,
               fsm->n_events, fsm->n_rows);
}

static const sonic_fsm *
find(const char *name)
{
    const sonic_fsm *fsm;

    for (size_t i = 0; (fsm = sonic_fsm_builtin(i)) != NULL; i++)
        if (is_called(fsm, name))
            return fsm;
    return NULL;
}

static int
say_unknown(struct args *a, const char *name)
{
    char list[512] = "";
    char word[NAME];
    const sonic_fsm *fsm;

    for (size_t i = 0; (fsm = sonic_fsm_builtin(i)) != NULL; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                 i == 0 ? "" : ", ", as_word(fsm->name, word));
    return args_wrong(a, "there is no machine '%s'; there are %s", name, list);
}

static int
run(const struct command *cmd, int argc, char **argv)
{
    struct args a = {cmd, argc, argv, EXIT_GOOD, NULL, NULL};
    const sonic_fsm *fsm;
    const char *name;
    bool dot = false;
    int key, err;

    while ((key = args_next(&a)) >= 0)
        dot = true;
    if (key == ARGS_STOP)
        return a.status;
    name = args_operand(&a);
    if (args_operand(&a) != NULL)
        return args_wrong(&a, "one machine at a time");
    if (name == NULL && dot)
        return args_wrong(&a, "--dot needs the name of a machine");
    if (name == NULL) {
        print_list();
        return EXIT_GOOD;
    }
    fsm = find(name);
    if (fsm == NULL)
        return say_unknown(&a, name);
    err = dot ? sonic_fsm_print_dot(fsm, stdout)
              : sonic_fsm_print_text(fsm, stdout);
    if (err < 0 && flush_output(cmd->name) == 0)
        complain(cmd->name, "%s", sonic_strerror(err));
    return err < 0 ? EXIT_BAD : EXIT_GOOD;
}

const struct command tables_command = {
    "tables",
    "the state machines of the library, as text or as a graph",
    "[MACHINE]",
    "A protocol is a table: in this state, on this event, do that, go there,\n"
    "because.  The tables printed here are the ones that run.  Without "
    "MACHINE\n"
    "they are listed.\n",
    options,
    "  sonicio tables                     which machines there are\n"
    "  sonicio tables ws-session          the life of a WebSocket\n"
    "  sonicio tables ws-session --dot | dot -Tsvg >session.svg\n",
    run,
};
