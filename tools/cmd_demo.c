/* sonicio demo - ten seconds that show what the library does */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "deflate.h"
#include "demo.h"

enum { OPT_JSON = 256, OPT_BACKEND, OPT_DEFLATE, OPT_TLS };

enum { CLIENTS_MAX = 10000 };

static const struct option_row options[] = {
    {"clients", 'c', "N", "so many, WebSocket and frames in turn (8)"},
    {"size", 'b', "BYTES", "of each message, 32 to 1M (64)"},
    {"seconds", 's', "SECONDS", "how long it takes (10)"},
    {"backend", OPT_BACKEND, "NAME", "epoll or poll (epoll)"},
    {"deflate", OPT_DEFLATE, DEFLATE_ARG, "compress WebSocket messages"},
    {"tls", OPT_TLS, NULL, "over TLS, with a certificate made on the spot"},
    {"json", OPT_JSON, NULL, "print one line of JSON; see sonicio(1)"},
    {NULL, 0, NULL, NULL}};

static int
parse(struct args *a, struct demo_options *o)
{
    int64_t seconds = 10 * NS_PER_S;
    int key;

    while ((key = args_next(a)) >= 0) {
        switch (key) {
        case 'c':
            o->clients = (unsigned)args_count(a, 1, CLIENTS_MAX);
            break;
        case 'b':
            o->size = (size_t)args_size(a, FEED_MIN, FEED_MAX);
            break;
        case 's':
            seconds = args_seconds(a, 0.1, 1e6);
            break;
        case OPT_BACKEND:
            o->backend = (enum sonic_backend)(args_choice(a, backend_names) +
                                              SONIC_BACKEND_EPOLL);
            break;
        case OPT_DEFLATE:
            deflate_on(a, &o->deflate);
            break;
        case OPT_TLS:
            o->tls = true;
            break;
        default:
            o->json = true;
        }
    }
    if (key == ARGS_END && args_operand(a) != NULL)
        args_wrong(a, "takes no argument but its options");
    /* A tenth is for getting warm, a second at most. */
    o->warmup = seconds / 10 < NS_PER_S ? seconds / 10 : NS_PER_S;
    o->duration = seconds - o->warmup;
    return a->status == EXIT_GOOD && key == ARGS_END ? ARGS_END : ARGS_STOP;
}

/* What is wrong, in one line. */
static void
say_wrong(const struct demo *d)
{
    const struct demo_verdict *v = &d->verdict;

    if (v->messages == 0)
        complain("demo", "no message was sent");
    else
        complain("demo",
                 "of %llu messages %llu were lost, %llu reordered, %llu "
                 "corrupt",
                 (unsigned long long)v->messages, (unsigned long long)v->lost,
                 (unsigned long long)v->reordered,
                 (unsigned long long)v->corrupt);
}

static int
run(const struct command *cmd, int argc, char **argv)
{
    struct args a = {cmd, argc, argv, EXIT_GOOD, NULL, NULL};
    struct demo_options o = {.clients = 8, .size = 64};
    struct demo d;
    int err;

    deflate_off(&o.deflate);
    if (parse(&a, &o) == ARGS_STOP)
        return a.status;
    if (o.deflate.threshold == 0)
        o.deflate.threshold = 1; /* its messages are short */
    raise_descriptor_limit();
    err = demo_run(&d, &o);
    if (err < 0) {
        demo_clear_screen(&d);
        complain(cmd->name, "%s", d.why);
    } else {
        if (o.json)
            demo_print_json(&d);
        else
            demo_print(&d);
        if (!demo_is_good(&d))
            say_wrong(&d);
    }
    err = err < 0 || !demo_is_good(&d) ? EXIT_BAD : EXIT_GOOD;
    demo_free(&d);
    return err;
}

const struct command demo_command = {
    "demo",
    "ten seconds that show what the library does",
    "",
    "A feed sends numbered, stamped messages to its clients as fast as one\n"
    "thread can carry both, over WebSocket and length-prefixed frames side by\n"
    "side.  Every message is checked where it arrives.  At the end: messages "
    "a\n"
    "second, latency, and what a message cost in system calls and memory\n"
    "allocations.  The exit status is 1 if anything was lost, came out of "
    "order\n"
    "or was not what was sent.\n"
    "\n" DEFLATE_ABOUT,
    options,
    "  sonicio demo\n"
    "  sonicio demo --clients 100 --size 1k\n"
    "  sonicio demo --seconds 2 --json\n",
    run,
};
