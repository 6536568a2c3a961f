/* sonicio mold - publish, subscribe to, and serve a MoldUDP64 feed */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "mold.h"

enum {
    OPT_RATE = 256,
    OPT_SIZE,
    OPT_PACKET,
    OPT_LOSS,
    OPT_DUPLICATE,
    OPT_REORDER,
    OPT_SKEW,
    OPT_SEED,
    OPT_START,
    OPT_LINGER,
    OPT_WAIT,
    OPT_DELAY,
    OPT_TIMEOUT,
    OPT_FIRST,
    OPT_JOIN,
    OPT_UPSTREAM,
    OPT_JSON,
    OPT_DUMP
};

static const struct option_row options[] = {
    {"feed", 'f', "ADDR[@IF]",
     "GROUP:PORT on an interface, or HOST:PORT of one receiver; given twice: "
     "feeds A and B (239.255.64.1:30001@lo and 239.255.64.2:30002@lo)"},
    {"server", 'r', "ADDR",
     "publish, serve: answer requests here; subscribe: ask there, may be given "
     "several times (127.0.0.1:30003)"},
    {"session", 's', "NAME", "up to 10 characters (SONICIO)"},
    {"count", 'n', "N",
     "publish so many messages, then end the session (100k); subscribe: stop "
     "after so many"},
    {"rate", OPT_RATE, "N", "messages a second (10k)"},
    {"size", OPT_SIZE, "BYTES", "of a message (64)"},
    {"packet-max", OPT_PACKET, "BYTES", "of a packet (1400)"},
    {"loss", OPT_LOSS, "PERCENT", "publish: of each feed's packets, lose"},
    {"duplicate", OPT_DUPLICATE, "PERCENT", "likewise, send twice"},
    {"reorder", OPT_REORDER, "PERCENT", "likewise, send behind the next one"},
    {"skew", OPT_SKEW, "SECONDS", "publish: feed B is so far behind A"},
    {"seed", OPT_SEED, "N", "of what is lost, and so on (1)"},
    {"start", OPT_START, "SECONDS", "publish: wait before the first one (0.5)"},
    {"linger", OPT_LINGER, "SECONDS",
     "publish, serve: say the end, and answer, for so long (3)"},
    {"wait", OPT_WAIT, "SECONDS", "subscribe: give up a silent feed (15)"},
    {"request-delay", OPT_DELAY, "SECONDS",
     "time that another feed has to fill a gap (0.002)"},
    {"request-timeout", OPT_TIMEOUT, "SECONDS",
     "then the next server is asked (0.1)"},
    {"first", OPT_FIRST, "N", "subscribe: begin with this message (1)"},
    {"join", OPT_JOIN, NULL, "subscribe: begin with whatever comes first"},
    {"upstream", OPT_UPSTREAM, "ADDR",
     "serve: whom to ask for what this server misses itself"},
    {"json", OPT_JSON, NULL, "the figures as one JSON object"},
    {"quiet", 'q', NULL, "no line for each gap"},
    {"hexdump", OPT_DUMP, "FILE",
     "write what is sent to FILE, for Wireshark's text2pcap"},
    {NULL, 0, NULL, NULL}};

_Static_assert(sizeof options / sizeof options[0] <= ARGS_MAX + 1,
               "see args.h");

/* ---- what messages begin with ------------------------------------------ */

static const char magic[8] = "SonicMld";

void
mold_stamp(uint8_t *message, uint64_t sequence, int64_t now)
{
    memcpy(message, magic, 8);
    memcpy(message + 8, &sequence, 8);
    memcpy(message + 16, &now, 8);
}

bool
mold_check(const uint8_t *message, size_t len, uint64_t sequence, int64_t *sent)
{
    uint64_t number;

    if (len < MOLD_STAMP || memcmp(message, magic, 8) != 0)
        return false;
    memcpy(&number, message + 8, 8);
    memcpy(sent, message + 16, 8);
    return number == sequence;
}

/* ---- what they share --------------------------------------------------- */

int
mold_failed(const char *what, int err)
{
    complain("mold", "%s: %s", what, sonic_strerror(err));
    return EXIT_BAD;
}

void
mold_receiver_of(const struct mold_options *o, sonic_mold_receiver_options *r)
{
    r->session = o->session;
    r->first = o->first;
    r->join = o->join ? SONIC_ON : SONIC_DEFAULT;
    r->request_delay = o->delay;
    r->request_timeout = o->timeout;
}

/* ---- options ----------------------------------------------------------- */

static double
percent(struct args *a)
{
    char *end;
    double v = strtod(a->value, &end);

    if (end != a->value && *end == '%')
        end++;
    if (end != a->value && *end == '\0' && v >= 0 && v <= 90)
        return v / 100;
    args_wrong(a, "--%s: '%s' is not a percentage from 0 to 90", a->name,
               a->value);
    return 0;
}

static void
add_feed(struct args *a, struct mold_options *o)
{
    char *text = (char *)(uintptr_t)a->value;
    char *at = strchr(text, '@');
    sonic_address parsed;

    if (at != NULL)
        *at++ = '\0';
    if (sonic_address_parse(text, &parsed) < 0)
        args_wrong(a, "--feed: '%s' is not ADDRESS:PORT, numeric", text);
    else if (o->n_feeds == SONIC_MOLD_FEEDS_MAX)
        args_wrong(a, "--feed: at most %d", SONIC_MOLD_FEEDS_MAX);
    else
        o->feeds[o->n_feeds++] = (sonic_mold_feed){text, at, NULL};
}

static void
add_server(struct args *a, const char **list, unsigned *n)
{
    if (*n == SONIC_MOLD_SERVERS_MAX)
        args_wrong(a, "--%s: at most %d", a->name, SONIC_MOLD_SERVERS_MAX);
    else
        list[(*n)++] = a->value;
}

#define FIELD(name) offsetof(struct mold_options, name)
#define MS UINT64_C(1000000)
#define S (1000 * MS)

static const struct option_field fields[] = {
    {'s', OPTION_TEXT, FIELD(session), 0, 0},
    {'n', OPTION_COUNT, FIELD(count), 1, UINT64_C(1) << 62},
    {OPT_RATE, OPTION_RATE, FIELD(rate), 1, 10000000},
    {OPT_SIZE, OPTION_SIZE, FIELD(size), MOLD_STAMP, 65000},
    {OPT_PACKET, OPTION_SIZE, FIELD(packet_max), 64, SONIC_MOLD_PACKET_MAX},
    {OPT_SKEW, OPTION_SECONDS, FIELD(skew), 0, 60 * S},
    {OPT_SEED, OPTION_COUNT, FIELD(seed), 0, UINT64_MAX},
    {OPT_START, OPTION_SECONDS, FIELD(start), 0, 1000000 * S},
    {OPT_LINGER, OPTION_SECONDS, FIELD(linger), 0, 1000000 * S},
    {OPT_WAIT, OPTION_SECONDS, FIELD(wait), 100 * MS, 1000000 * S},
    {OPT_DELAY, OPTION_SECONDS, FIELD(delay), 1, 1000 * S},
    {OPT_TIMEOUT, OPTION_SECONDS, FIELD(timeout), 1000, 1000 * S},
    {OPT_FIRST, OPTION_COUNT, FIELD(first), 1, UINT64_MAX - 2},
    {OPT_JOIN, OPTION_FLAG, FIELD(join), 0, 0},
    {OPT_JSON, OPTION_FLAG, FIELD(json), 0, 0},
    {'q', OPTION_FLAG, FIELD(quiet), 0, 0},
    {OPT_DUMP, OPTION_TEXT, FIELD(dump), 0, 0},
};

static void
take(struct args *a, struct mold_options *o, int key)
{
    switch (key) {
    case 'f':
        add_feed(a, o);
        break;
    case 'r':
        add_server(a, o->servers, &o->n_servers);
        break;
    case OPT_UPSTREAM:
        add_server(a, o->upstream, &o->n_upstream);
        break;
    case OPT_LOSS:
        o->loss = percent(a);
        break;
    case OPT_DUPLICATE:
        o->duplicate = percent(a);
        break;
    case OPT_REORDER:
        o->reorder = percent(a);
        break;
    default:
        args_keep(a, key, fields, sizeof fields / sizeof *fields, o);
    }
}

static void
set_defaults(struct mold_options *o)
{
    if (o->n_feeds == 0) {
        o->feeds[o->n_feeds++] =
            (sonic_mold_feed){"239.255.64.1:30001", "lo", NULL};
        o->feeds[o->n_feeds++] =
            (sonic_mold_feed){"239.255.64.2:30002", "lo", NULL};
    }
    if (o->n_servers == 0)
        o->servers[o->n_servers++] = "127.0.0.1:30003";
}

/* The work to do, or NULL. */
static int (*parse(struct args *a,
                   struct mold_options *o))(const struct mold_options *o)
{
    static const struct {
        const char *name;
        int (*run)(const struct mold_options *o);
    } works[] = {{"publish", mold_publish},
                 {"subscribe", mold_subscribe},
                 {"serve", mold_serve}};
    uint8_t session[SONIC_MOLD_SESSION];
    const char *work;
    int key;

    while ((key = args_next(a)) >= 0)
        take(a, o, key);
    if (key == ARGS_STOP)
        return NULL;
    set_defaults(o);
    work = args_operand(a);
    if (work == NULL)
        args_wrong(a, "publish, subscribe or serve?");
    else if (args_operand(a) != NULL)
        args_wrong(a, "one thing at a time");
    else if (o->session != NULL &&
             sonic_mold_session_set(session, o->session) < 0)
        args_wrong(a, "--session: '%s' is not 1 to 10 printable characters",
                   o->session);
    else if (o->size > o->packet_max - SONIC_MOLD_HEADER - 2)
        args_wrong(a, "--size: a message does not fit into a packet");
    else
        for (size_t i = 0; i < sizeof works / sizeof works[0]; i++)
            if (strcmp(work, works[i].name) == 0)
                return a->status == EXIT_GOOD ? works[i].run : NULL;
    if (a->status == EXIT_GOOD)
        args_wrong(a, "'%s' is not publish, subscribe or serve", work);
    return NULL;
}

static int
run(const struct command *cmd, int argc, char **argv)
{
    struct args a = {cmd, argc, argv, EXIT_GOOD, NULL, NULL};
    struct mold_options o = {.rate = 10000,
                             .size = 64,
                             .packet_max = 1400,
                             .seed = 1,
                             .start = NS_PER_S / 2,
                             .linger = 3 * NS_PER_S,
                             .wait = 15 * NS_PER_S};
    int (*work)(const struct mold_options *o) = parse(&a, &o);

    return work != NULL ? work(&o) : a.status;
}

const struct command mold_command = {
    "mold",
    "MoldUDP64: publish a feed, subscribe to it, re-send what was lost",
    "publish|subscribe|serve",
    "publish sends numbered messages to two feeds, and answers requests for\n"
    "those that were lost; --loss and its kin spoil each feed on purpose.\n"
    "subscribe takes whichever copy comes first, asks for what none brought,\n"
    "and shows each gap, how long it took, and what each feed did.  Its exit\n"
    "status is 1 when a message was lost, came twice or out of order.\n"
    "serve is a second re-request server: it subscribes, and answers.\n",
    options,
    "  sonicio mold subscribe &\n"
    "  sonicio mold publish --loss 5% --duplicate 5% --reorder 5%\n"
    "  sonicio mold subscribe -f 239.1.1.1:5000@eth0 -f 239.1.1.2:5000@eth1 "
    "\\\n"
    "      -r 10.0.0.5:6000 --json\n"
    "  sonicio mold serve -r 127.0.0.1:30004 --upstream 127.0.0.1:30003\n",
    run,
};
