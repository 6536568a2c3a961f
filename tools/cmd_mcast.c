/* sonicio mcast - send to a group, receive from one, see who is in one */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "mcast.h"

enum {
    OPT_TIMESTAMPS = 256,
    OPT_JSON,
    OPT_TTL,
    OPT_SPIN,
    OPT_BACKEND,
    OPT_QUIET
};

static const struct option_row options[] = {
    {"iface", 'i', "IFACE",
     "the interface: its name, its index, or an address of it (the system's "
     "choice)"},
    {"source", 's', "ADDR", "recv: only what this host sends"},
    {"count", 'n', "N", "end after so many packets (at a signal)"},
    {"duration", 'd', "S", "end after so many seconds (at a signal)"},
    {"rate", 'r', "N", "send: packets a second (1000)"},
    {"size", 'b', "BYTES", "send: of each packet, 28 to 65507 (64)"},
    {"ttl", OPT_TTL, "N", "send: routers that it may cross, and one (1)"},
    {"timestamps", 't', NULL,
     "recv: have the kernel stamp packets, and tell the way to it from the way "
     "from it"},
    {"spin", OPT_SPIN, NULL, "never sleep: burns a core"},
    {"backend", OPT_BACKEND, "NAME", "epoll or poll (epoll)"},
    {"json", OPT_JSON, NULL, "print one line of JSON at the end"},
    {"quiet", 'q', NULL, "print no more than the result"},
    {NULL, 0, NULL, NULL}};

static const char *const sides[] = {"recv", "send", "stat", NULL};
enum side { RECV = 1, SEND = 2, STAT = 4 };

struct mcast {
    struct mcast_options o;
    unsigned only;         /* sides that all options given are for */
    const char *misplaced; /* the option that left none */
};

static void
restrict_to(struct mcast *m, const struct args *a, unsigned to)
{
    m->only &= to;
    if (m->misplaced == NULL && to != (RECV | SEND))
        m->misplaced = a->name;
}

static void
take(struct args *a, struct mcast *m, int key)
{
    struct mcast_options *o = &m->o;

    switch (key) {
    case 'i':
        o->iface = a->value;
        break;
    case 's':
        o->source = a->value;
        restrict_to(m, a, RECV);
        break;
    case 'n':
        o->count = args_count(a, 1, UINT64_MAX / 2);
        restrict_to(m, a, RECV | SEND);
        break;
    case 'd':
        o->duration = args_seconds(a, 0.01, 1e6);
        restrict_to(m, a, RECV | SEND);
        break;
    case 'r':
        o->rate = (double)args_count(a, 1, 10000000);
        restrict_to(m, a, SEND);
        break;
    case 'b':
        o->size = (size_t)args_size(a, MCAST_HEAD, MCAST_MOST);
        restrict_to(m, a, SEND);
        break;
    case OPT_TTL:
        o->ttl = (int)args_count(a, 1, 255);
        restrict_to(m, a, SEND);
        break;
    case 't':
        o->timestamps = true;
        restrict_to(m, a, RECV);
        break;
    case OPT_SPIN:
        o->mode = RUN_SPINNING;
        restrict_to(m, a, RECV | SEND);
        break;
    case OPT_BACKEND:
        o->backend = (enum sonic_backend)(args_choice(a, backend_names) +
                                          SONIC_BACKEND_EPOLL);
        break;
    case OPT_JSON:
        o->json = true;
        break;
    default:
        o->quiet = true;
    }
}

/* "GROUP:PORT" or "[GROUP]:PORT"; a scope may name the interface. */
static void
parse_address(struct args *a, struct mcast_options *o)
{
    const char *from = o->address, *colon = strrchr(from, ':');
    size_t n = colon != NULL ? (size_t)(colon - from) : 0;

    if (*from == '[' && n > 2) {
        from++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof o->group) {
        args_wrong(a,
                   "%s: not GROUP:PORT, such as 239.1.2.3:5000 or "
                   "[ff15::1]:5000",
                   o->address);
        return;
    }
    memcpy(o->group, from, n);
    if (sonic_address_parse(o->address, &o->to) < 0)
        args_wrong(a,
                   "%s: not GROUP:PORT, such as 239.1.2.3:5000 or "
                   "[ff15::1]:5000, or of an interface that is not here",
                   o->address);
    else if (!sonic_multicast_is_group(&o->to))
        args_wrong(a,
                   "%s: not a multicast address (224.0.0.0 to "
                   "239.255.255.255, or ff00::/8)",
                   o->address);
    else if (sonic_address_port(&o->to) == 0)
        args_wrong(a, "%s: the port cannot be 0", o->address);
}

static int
parse(struct args *a, struct mcast *m)
{
    const char *name;
    int key, side = 0;

    while ((key = args_next(a)) >= 0)
        take(a, m, key);
    if (key == ARGS_STOP)
        return ARGS_STOP;
    name = args_operand(a);
    if (name == NULL) {
        args_wrong(a, "recv, send or stat?");
        return ARGS_STOP;
    }
    while (sides[side] != NULL && strcmp(sides[side], name) != 0)
        side++;
    m->o.address = args_operand(a);
    if (sides[side] == NULL)
        args_wrong(a, "%s: neither recv, send nor stat", name);
    else if (m->o.address == NULL && side != 2)
        args_wrong(a,
                   "%s: which group?  Give GROUP:PORT, such as "
                   "239.1.2.3:5000",
                   name);
    else if (args_operand(a) != NULL)
        args_wrong(a, "one group at a time");
    else if (!(m->only & 1U << side))
        args_wrong(a, "--%s is not for %s",
                   m->misplaced != NULL ? m->misplaced : "count", name);
    else if (m->o.address != NULL)
        parse_address(a, &m->o);
    return a->status == EXIT_GOOD ? side : ARGS_STOP;
}

static int
run(const struct command *cmd, int argc, char **argv)
{
    struct args a = {cmd, argc, argv, EXIT_GOOD, NULL, NULL};
    struct mcast m = {.o = {.rate = 1000, .size = 64, .ttl = 1},
                      .only = RECV | SEND | STAT};

    switch (parse(&a, &m)) {
    case 0:
        return mcast_receive(&m.o);
    case 1:
        return mcast_send(&m.o);
    case 2:
        return mcast_stat(&m.o);
    default:
        return a.status;
    }
}

const struct command mcast_command = {
    "mcast",
    "send to a multicast group, receive from one, see who is in one",
    "recv|send|stat [GROUP:PORT]",
    "send  numbered, stamped packets at a rate\n"
    "recv  every second, what came: packets, gaps, duplicates, reordering, "
    "and\n"
    "      what the kernel dropped for want of room; at the end, latency.  It\n"
    "      counts from the sender's clock: on two machines these have to "
    "agree.\n"
    "      Packets of others are counted, too.\n"
    "stat  who on this machine is in the group, or in any; which sources were\n"
    "      joined or blocked; and the sockets at the port, with their drops\n"
    "\n"
    "GROUP:PORT is as 239.1.2.3:5000 or [ff15::1]:5000; [ff12::1%eth0]:5000 "
    "names\n"
    "the interface, as groups of a link need it.  SIGINT and SIGTERM end it "
    "with its\n"
    "result; the status is 1 when packets are missing.\n",
    options,
    "  sonicio mcast recv 239.1.2.3:5000 --iface lo           in one window\n"
    "  sonicio mcast send 239.1.2.3:5000 --iface lo -r 10k    in another\n"
    "  sonicio mcast recv -i eth1 -s 10.0.0.7 -t 239.1.2.3:5000\n"
    "  sonicio mcast stat 239.1.2.3:5000\n",
    run,
};
