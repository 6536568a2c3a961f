/* args.h - commands, their options, and their help, from one table each */
#ifndef SONICIO_TOOLS_ARGS_H
#define SONICIO_TOOLS_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sonicio/api.h>

/* Exit statuses of every command. */
enum {
    EXIT_GOOD = 0,
    EXIT_BAD = 1,  /* it ran, and the result is not good */
    EXIT_USAGE = 2 /* it did not understand its arguments */
};

/* An option.  key is its letter, or 256 and more for one without. */
struct option_row {
    const char *name;
    int key;
    const char *arg; /* what its argument is called; NULL: it has none;
                        "[=NAME]": it may be left out */
    const char *help;
};

struct command {
    const char *name;
    const char *summary;              /* one line, as the list shows it */
    const char *operands;             /* "URL", for the usage line */
    const char *about;                /* paragraphs, lines already broken */
    const struct option_row *options; /* the last one has no name */
    const char *examples;
    int (*run)(const struct command *cmd, int argc, char **argv);
};

enum { ARGS_MAX = 24 }; /* options of one command */

/* One walk over the arguments of a command. */
struct args {
    const struct command *cmd;
    int argc;
    char **argv;
    int status;       /* why ARGS_STOP: what to exit with */
    const char *name; /* of the option that args_next returned */
    const char *value;
};

enum { ARGS_END = -1, ARGS_STOP = -2 };

/* The next option's key; ARGS_END when none is left; ARGS_STOP when the
 * command shall return a->status, all being said: --help, or a mistake. */
int args_next(struct args *a);

/* The next operand, NULL when there is none. */
const char *args_operand(struct args *a);

/* Complain in one line, with a hint; the status to return. */
int args_wrong(struct args *a, const char *fmt, ...) SONIC_PRINTF(2, 3);

/* The option's argument as a number in [low, high].  When it is not one that
 * is said, and the next args_next stops. */
uint64_t args_count(struct args *a, uint64_t low, uint64_t high);
/* Bytes: k, M and G mean 2^10, 2^20 and 2^30. */
uint64_t args_size(struct args *a, uint64_t low, uint64_t high);
/* Seconds, decimals allowed, as nanoseconds. */
int64_t args_seconds(struct args *a, double low, double high);
/* The index of the argument in a list that ends with NULL. */
int args_choice(struct args *a, const char *const *choices);

/* A member of a command's options that holds the argument of one option. */
enum option_kind {
    OPTION_FLAG,    /* bool: it was given */
    OPTION_TEXT,    /* const char * */
    OPTION_COUNT,   /* uint64_t */
    OPTION_RATE,    /* double, of a whole number */
    OPTION_SIZE,    /* size_t, bytes */
    OPTION_SECONDS, /* int64_t, nanoseconds; so are the limits */
};
struct option_field {
    int key;
    enum option_kind kind;
    size_t at; /* offset in the command's options */
    uint64_t low, high;
};

/* The option that args_next returned, if it is among the n fields, into the
 * options; false when it is not. */
bool args_keep(struct args *a, int key, const struct option_field *fields,
               size_t n, void *options);

/* "sonicio NAME: ..." on stderr, for what goes wrong later. */
void complain(const char *name, const char *fmt, ...) SONIC_PRINTF(2, 3);

/* Write out what standard output holds: 0, or an errno negated, which is
 * complained about once, in the name of a command, or NULL: then it was not
 * the last thing that failed. */
int flush_output(const char *name);

/* NULL when it looks like HOST:PORT, [V6]:PORT, :PORT or unix:PATH, else what
 * is wrong. */
const char *address_wrong(const char *text);

void print_help(const struct command *cmd);

#endif
