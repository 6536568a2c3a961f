/* sonicio soup - a SoupBinTCP server and client to try */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "soup.h"

enum {
    OPT_RATE = 256,
    OPT_SIZE,
    OPT_DROP,
    OPT_FIRST,
    OPT_RETRIES,
    OPT_HEARTBEAT,
    OPT_SILENCE,
    OPT_JSON,
    OPT_DUMP
};

static const struct option_row options[] = {
    {"user", 'u', "NAME", "up to 6 characters (guest)"},
    {"password", 'p', "TEXT", "up to 10 characters (guest)"},
    {"session", 's', "NAME",
     "up to 10 characters; serve: SONICIO; connect: the current one"},
    {"count", 'n', "N",
     "serve: messages of the session (10k); connect: stop after so many"},
    {"rate", OPT_RATE, "N", "serve: messages a second (1k)"},
    {"size", OPT_SIZE, "BYTES", "serve: of a message (64)"},
    {"drop-after", OPT_DROP, "N",
     "serve: cut each connection after so many messages, so that clients have "
     "to come back"},
    {"first", OPT_FIRST, "N",
     "connect: the message wanted first (1); 0: the most recent"},
    {"retries", OPT_RETRIES, "N",
     "connect: come back so often, and go on where it was (10)"},
    {"heartbeat", OPT_HEARTBEAT, "SECONDS", "sent when idle (1)"},
    {"silence", OPT_SILENCE, "SECONDS", "then the other side is gone (15)"},
    {"json", OPT_JSON, NULL, "the figures as one JSON object"},
    {"quiet", 'q', NULL, "do not print messages and logins"},
    {"hexdump", OPT_DUMP, "FILE",
     "connect: write what goes both ways to FILE, for Wireshark's text2pcap"},
    {NULL, 0, NULL, NULL}};

int
soup_failed(const char *what, int err)
{
    complain("soup", "%s: %s", what, sonic_strerror(err));
    return EXIT_BAD;
}

#define FIELD(name) offsetof(struct soup_options, name)
#define MS UINT64_C(1000000)
#define S (1000 * MS)

static const struct option_field fields[] = {
    {'u', OPTION_TEXT, FIELD(user), 0, 0},
    {'p', OPTION_TEXT, FIELD(password), 0, 0},
    {'s', OPTION_TEXT, FIELD(session), 0, 0},
    {'n', OPTION_COUNT, FIELD(count), 1, UINT64_C(1) << 62},
    {OPT_RATE, OPTION_RATE, FIELD(rate), 1, 10000000},
    {OPT_SIZE, OPTION_SIZE, FIELD(size), 8, SONIC_SOUP_MESSAGE_MAX},
    {OPT_DROP, OPTION_COUNT, FIELD(drop_after), 1, UINT64_C(1) << 62},
    {OPT_FIRST, OPTION_COUNT, FIELD(first), 0, UINT64_MAX - 1},
    {OPT_RETRIES, OPTION_COUNT, FIELD(retries), 0, 1000000},
    {OPT_HEARTBEAT, OPTION_SECONDS, FIELD(heartbeat), MS, 1000000 * S},
    {OPT_SILENCE, OPTION_SECONDS, FIELD(silence), MS, 1000000 * S},
    {OPT_JSON, OPTION_FLAG, FIELD(json), 0, 0},
    {'q', OPTION_FLAG, FIELD(quiet), 0, 0},
    {OPT_DUMP, OPTION_TEXT, FIELD(dump), 0, 0},
};

static bool
fits(const char *text, size_t max)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return n <= max;
}

static int (*parse(struct args *a,
                   struct soup_options *o))(const struct soup_options *o)
{
    const char *work;
    int key;

    while ((key = args_next(a)) >= 0)
        args_keep(a, key, fields, sizeof fields / sizeof *fields, o);
    o->recent = o->first == 0;
    if (key == ARGS_STOP)
        return NULL;
    work = args_operand(a);
    if (work == NULL ||
        (strcmp(work, "serve") != 0 && strcmp(work, "connect") != 0))
        args_wrong(a, "serve or connect?");
    else if ((o->address = args_operand(a)) == NULL)
        args_wrong(a, "%s where?  Give an address, such as 127.0.0.1:30010",
                   work);
    else if (args_operand(a) != NULL)
        args_wrong(a, "one address at a time");
    else if (!fits(o->user, SONIC_SOUP_USER_MAX))
        args_wrong(a, "--user: '%s' is not up to 6 printable characters",
                   o->user);
    else if (!fits(o->password, SONIC_SOUP_PASSWORD_MAX))
        args_wrong(a, "--password: it is not up to 10 printable characters");
    else if (o->session != NULL && (o->session[0] == '\0' ||
                                    !fits(o->session, SONIC_SOUP_SESSION_MAX)))
        args_wrong(a, "--session: '%s' is not 1 to 10 printable characters",
                   o->session);
    else if (o->silence != 0 && o->silence < o->heartbeat)
        args_wrong(a, "--silence: shorter than a heartbeat");
    if (a->status != EXIT_GOOD)
        return NULL;
    return strcmp(work, "serve") == 0 ? soup_serve : soup_connect;
}

static int
run(const struct command *cmd, int argc, char **argv)
{
    struct args a = {cmd, argc, argv, EXIT_GOOD, NULL, NULL};
    struct soup_options o = {.user = "guest",
                             .password = "guest",
                             .rate = 1000,
                             .size = 64,
                             .first = 1,
                             .retries = 10};
    int (*work)(const struct soup_options *o) = parse(&a, &o);

    return work != NULL ? work(&o) : a.status;
}

const struct command soup_command = {
    "soup",
    "SoupBinTCP: serve a session of numbered messages, follow one",
    "serve|connect ADDR",
    "serve makes a session of numbered messages at a rate, sends it to every\n"
    "client that logs in, from the number it asks for, and ends it.  connect\n"
    "logs in, counts, comes back when the connection breaks, and goes on\n"
    "where it was.  Its exit status is 0 when the session came to its end, or\n"
    "to --count, without a gap.  Lines of connect's standard input are sent\n"
    "as messages without a number, which serve prints.\n"
    "\n"
    "ADDR is HOST:PORT, [V6]:PORT or unix:PATH; serve takes a free port for "
    "0.\n",
    options,
    "  sonicio soup serve 127.0.0.1:30010 &\n"
    "  sonicio soup connect 127.0.0.1:30010 --quiet\n"
    "  sonicio soup serve 127.0.0.1:30010 --drop-after 1000 &\n"
    "  sonicio soup connect 127.0.0.1:30010 --json\n",
    run,
};
