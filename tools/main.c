/* sonicio - the program that comes with libsonicio: see it work, measure it,
 * look into it. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/api.h>

#include "commands.h"

static const struct command *const commands[] = {
    &demo_command,  &echo_command, &connect_command, &bench_command,
    &mcast_command, &mold_command, &soup_command,    &tables_command,
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void
print_overview(FILE *out)
{
    fprintf(out, "sonicio - low-latency networking with protocols written as "
                 "tables\n\n"
                 "Usage: sonicio COMMAND [OPTION...]\n\n"
                 "Commands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out,
            "  %-10s %s\n\n"
            "Options:\n"
            "  -h, --help  show this, and leave\n"
            "  --version   show the version, and leave\n\n"
            "To begin with:\n"
            "  sonicio demo                      ten seconds that show what it "
            "does\n"
            "  sonicio echo                      a WebSocket server, in one "
            "terminal;\n"
            "  sonicio connect ws://127.0.0.1:9001/   and a client, in "
            "another\n"
            "  sonicio help echo                 all that a command can do\n",
            "help", "show how to use a command");
}

static const struct command *
find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int
unknown(const char *name)
{
    complain(NULL, "there is no %s '%s'", *name == '-' ? "option" : "command",
             name);
    fputs("Try: sonicio --help\n", stderr);
    return EXIT_USAGE;
}

static int
help(int argc, char **argv)
{
    const struct command *cmd;

    if (argc > 2) {
        complain("help", "one command at a time");
        fputs("Try: sonicio --help\n", stderr);
        return EXIT_USAGE;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return EXIT_GOOD;
    }
    cmd = find(argv[1]);
    if (cmd == NULL)
        return unknown(argv[1]);
    print_help(cmd);
    return EXIT_GOOD;
}

static int
dispatch(int argc, char **argv)
{
    const struct command *cmd;

    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return EXIT_GOOD;
    }
    if (strcmp(argv[1], "--version") == 0) {
        if (argc > 2) {
            complain(NULL, "--version takes no argument");
            fputs("Try: sonicio --help\n", stderr);
            return EXIT_USAGE;
        }
        printf("sonicio %s\n", sonic_version());
        return EXIT_GOOD;
    }
    if (strcmp(argv[1], "help") == 0)
        return help(argc - 1, argv + 1);
    cmd = find(argv[1]);
    return cmd != NULL ? cmd->run(cmd, argc - 1, argv + 1) : unknown(argv[1]);
}

/* Whoever closed a standard stream shall not find a socket in its place. */
static void
fill_standard_streams(void)
{
    int fd;

    /* Nothing can be written to the first two: what should have gone to a
     * standard output that is closed is missed, and that is told. */
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd < STDERR_FILENO);
    if (fd == STDERR_FILENO) {
        close(fd);
        fd = open("/dev/null", O_RDWR);
        fd = dup(fd);
    }
    if (fd >= 0)
        close(fd);
}

int
main(int argc, char **argv)
{
    int status;

    fill_standard_streams();
    setlocale(LC_CTYPE, ""); /* may bars be drawn with UTF-8? */
    status = dispatch(argc, argv);
    return flush_output(NULL) < 0 ? EXIT_BAD : status;
}
