#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 26, HELP_WIDTH = 79 };

static const struct option_row help_row = {"help", 'h', NULL,
                                           "show this, and leave"};

void
complain(const char *name, const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fprintf(stderr, "sonicio%s%s: ", name != NULL ? " " : "",
            name != NULL ? name : "");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    putc('\n', stderr);
}

int
flush_output(const char *name)
{
    static int err;
    int before = name != NULL ? errno : 0; /* of what has just failed */

    if (err != 0)
        return err;
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    err = errno != 0 ? -errno : before != 0 ? -before : -EIO;
    fprintf(stderr, "sonicio%s%s: cannot write to standard output: %s\n",
            name != NULL ? " " : "", name != NULL ? name : "", strerror(-err));
    return err;
}

int
args_wrong(struct args *a, const char *fmt, ...)
{
    va_list ap;

    if (a->status != EXIT_GOOD)
        return a->status; /* one complaint is enough */
    fflush(stdout);
    fprintf(stderr, "sonicio %s: ", a->cmd->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry: sonicio %s --help\n", a->cmd->name);
    a->status = EXIT_USAGE;
    return a->status;
}

/* ---- the walk --------------------------------------------------------- */

/* getopt_long's tables, from ours. */
struct tables {
    struct option longs[ARGS_MAX + 2];
    char shorts[3 + 2 * (ARGS_MAX + 1) + 1];
};

static void
add_row(struct tables *t, size_t i, const struct option_row *row)
{
    size_t n = strlen(t->shorts);

    t->longs[i].name = row->name;
    t->longs[i].has_arg = row->arg == NULL     ? no_argument
                          : row->arg[0] == '[' ? optional_argument
                                               : required_argument;
    t->longs[i].flag = NULL;
    t->longs[i].val = row->key;
    if (row->key < 256) {
        t->shorts[n++] = (char)row->key;
        if (row->arg != NULL)
            t->shorts[n++] = ':';
        t->shorts[n] = '\0';
    }
}

static void
make_tables(struct tables *t, const struct command *cmd)
{
    size_t n = 0;

    memset(t, 0, sizeof *t);
    t->shorts[0] = ':'; /* say which mistake it was, print nothing */
    for (; n < ARGS_MAX && cmd->options[n].name != NULL; n++)
        add_row(t, n, &cmd->options[n]);
    add_row(t, n, &help_row);
}

static const char *
name_of(const struct command *cmd, int key)
{
    for (const struct option_row *row = cmd->options; row->name != NULL; row++)
        if (row->key == key)
            return row->name;
    return help_row.name;
}

/* "--t is ambiguous: --threads, --tls-cert"; false when it is not. */
static bool
say_ambiguous(struct args *a, const char *word)
{
    size_t n = strcspn(word, "="), found = 0;
    char list[256] = "";

    if (n < 3 || strncmp(word, "--", 2) != 0)
        return false;
    for (const struct option_row *row = a->cmd->options; row->name != NULL;
         row++)
        if (strncmp(row->name, word + 2, n - 2) == 0)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s--%s",
                     found++ > 0 ? ", " : "", row->name);
    if (strncmp(help_row.name, word + 2, n - 2) == 0)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s--%s",
                 found++ > 0 ? ", " : "", help_row.name);
    if (found < 2)
        return false;
    args_wrong(a, "%.*s is ambiguous: %s", (int)n, word, list);
    return true;
}

/* What getopt_long did not like. */
static void
say_mistake(struct args *a, int how)
{
    const char *word = a->argv[optind - 1];

    if (how == ':')
        args_wrong(a, "--%s needs an argument", name_of(a->cmd, optopt));
    else if (optopt >= 256 || (optopt != 0 && strncmp(word, "--", 2) == 0))
        args_wrong(a, "--%s takes no argument", name_of(a->cmd, optopt));
    else if (optopt != 0)
        args_wrong(a, "there is no option -%c", optopt);
    else if (!say_ambiguous(a, word))
        args_wrong(a, "there is no option %s", word);
}

/* The variable is looked at by whatever makes an io. */
static bool
wrong_backend(struct args *a)
{
    const char *name = getenv("SONIC_BACKEND");

    if (name == NULL || *name == '\0' || strcmp(name, "epoll") == 0 ||
        strcmp(name, "poll") == 0)
        return false;
    args_wrong(a, "SONIC_BACKEND: '%s' is not epoll or poll", name);
    return true;
}

int
args_next(struct args *a)
{
    struct tables t;
    int key;

    if (a->status != EXIT_GOOD)
        return ARGS_STOP;
    make_tables(&t, a->cmd);
    opterr = 0;
    key = getopt_long(a->argc, a->argv, t.shorts, t.longs, NULL);
    if (key == -1)
        return wrong_backend(a) ? ARGS_STOP : ARGS_END;
    if (key == '?' || key == ':') {
        say_mistake(a, key);
        return ARGS_STOP;
    }
    if (key == help_row.key) {
        print_help(a->cmd);
        return ARGS_STOP;
    }
    a->name = name_of(a->cmd, key);
    a->value = optarg;
    return key;
}

const char *
args_operand(struct args *a)
{
    return optind < a->argc ? a->argv[optind++] : NULL;
}

/* ---- values ----------------------------------------------------------- */

static uint64_t
number(struct args *a, uint64_t low, uint64_t high, unsigned unit,
       const char *what)
{
    static const char letters[] = "kMG";
    unsigned long long n = 0;
    const char *letter;
    char *end = NULL;
    bool good = a->value[0] >= '0' && a->value[0] <= '9';

    errno = 0;
    if (good)
        n = strtoull(a->value, &end, 10);
    good = good && errno == 0;
    if (good && *end != '\0') {
        letter = strchr(letters, *end == 'K' ? 'k' : *end);
        good = letter != NULL && end[1] == '\0';
        for (long i = 0; good && i <= letter - letters; i++) {
            good = n <= UINT64_MAX / unit;
            n *= unit;
        }
    }
    if (good && n >= low && n <= high)
        return n;
    args_wrong(a, "--%s: '%s' is not %s from %" PRIu64 " to %" PRIu64, a->name,
               a->value, what, low, high);
    return low;
}

uint64_t
args_count(struct args *a, uint64_t low, uint64_t high)
{
    return number(a, low, high, 1000, "a number");
}

uint64_t
args_size(struct args *a, uint64_t low, uint64_t high)
{
    return number(a, low, high, 1024, "a number of bytes");
}

int64_t
args_seconds(struct args *a, double low, double high)
{
    char *end;
    double s = strtod(a->value, &end);

    if (end != a->value && *end == '\0' && s >= low && s <= high)
        return (int64_t)(s * 1e9);
    args_wrong(a, "--%s: '%s' is not a number of seconds from %.10g to %.10g",
               a->name, a->value, low, high);
    return (int64_t)(low * 1e9);
}

int
args_choice(struct args *a, const char *const *choices)
{
    char list[128] = "";

    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(a->value, choices[i]) == 0)
            return i;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                 i == 0                   ? ""
                 : choices[i + 1] == NULL ? " or "
                                          : ", ",
                 choices[i]);
    }
    args_wrong(a, "--%s: '%s' is not %s", a->name, a->value, list);
    return 0;
}

const char *
address_wrong(const char *text)
{
    const char *port = strrchr(text, ':');
    size_t digits;

    if (strncmp(text, "unix:", 5) == 0)
        return NULL;
    if (port == NULL)
        return "there is no port: give HOST:PORT, [V6]:PORT or unix:PATH";
    digits = strspn(++port, "0123456789");
    if (digits == 0 || digits > 5 || port[digits] != '\0' ||
        atol(port) > UINT16_MAX)
        return "the port is not a number from 0 to 65535";
    return NULL;
}

static void
keep(struct args *a, const struct option_field *f, void *member)
{
    switch (f->kind) {
    case OPTION_FLAG:
        *(bool *)member = true;
        break;
    case OPTION_TEXT:
        *(const char **)member = a->value;
        break;
    case OPTION_COUNT:
        *(uint64_t *)member = args_count(a, f->low, f->high);
        break;
    case OPTION_RATE:
        *(double *)member = (double)args_count(a, f->low, f->high);
        break;
    case OPTION_SIZE:
        *(size_t *)member = (size_t)args_size(a, f->low, f->high);
        break;
    default:
        *(int64_t *)member =
            args_seconds(a, (double)f->low / 1e9, (double)f->high / 1e9);
    }
}

bool
args_keep(struct args *a, int key, const struct option_field *fields, size_t n,
          void *options)
{
    for (size_t i = 0; i < n; i++)
        if (fields[i].key == key) {
            keep(a, &fields[i], (char *)options + fields[i].at);
            return true;
        }
    return false;
}

/* ---- help ------------------------------------------------------------- */

/* A help text in its column, broken between words. */
static void
print_wrapped(const char *text, int column)
{
    int at = column;

    while (*text != '\0') {
        int word = (int)strcspn(text, " ");

        if (at + word > HELP_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        }
        printf("%.*s", word, text);
        at += word;
        text += word;
        if (*text == ' ') {
            text++;
            if (at < HELP_WIDTH && *text != '\0' &&
                at + 1 + (int)strcspn(text, " ") <= HELP_WIDTH) {
                putchar(' ');
                at++;
            } else
                at = HELP_WIDTH;
        }
    }
    putchar('\n');
}

static void
print_option(const struct option_row *row)
{
    char text[64];
    int n;

    if (row->key < 256)
        n = snprintf(text, sizeof text, "  -%c, --%s", row->key, row->name);
    else
        n = snprintf(text, sizeof text, "      --%s", row->name);
    if (row->arg != NULL)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%s",
                      row->arg[0] == '[' ? "" : " ", row->arg);
    printf("%s", text);
    if (n >= HELP_COLUMN - 1)
        printf("\n%*s", HELP_COLUMN, "");
    else
        printf("%*s", HELP_COLUMN - n, "");
    print_wrapped(row->help, HELP_COLUMN);
}

void
print_help(const struct command *cmd)
{
    printf("sonicio %s - %s\n\nUsage: sonicio %s [OPTION...]%s%s\n\n%s\n",
           cmd->name, cmd->summary, cmd->name, *cmd->operands ? " " : "",
           cmd->operands, cmd->about);
    printf("Options:\n");
    for (const struct option_row *row = cmd->options; row->name != NULL; row++)
        print_option(row);
    print_option(&help_row);
    printf("\nExamples:\n%s\nSee sonicio(1) for all the rest.\n",
           cmd->examples);
}
