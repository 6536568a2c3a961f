/* sonicio bench - how fast an echo server answers */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/url.h>

#include "commands.h"
#include "deflate.h"
#include "load.h"

enum {
    OPT_SPIN = 256,
    OPT_TEXT,
    OPT_WARMUP,
    OPT_JSON,
    OPT_BACKEND,
    OPT_DEFLATE,
    OPT_CACERT,
    OPT_INSECURE
};

enum { CONNECTIONS_MAX = 100000, DEPTH_MAX = 100000 };
#define SIZE_MOST (UINT64_C(1) << 24)

static const struct option_row options[] = {
    {"connections", 'c', "N", "so many at a time (1)"},
    {"depth", 'd', "N",
     "messages under way on each: the next one is sent when an answer comes "
     "(1)"},
    {"rate", 'r', "N",
     "instead, send N messages a second in all, whether answers come or not: "
     "latency then counts from when a message was due"},
    {"size", 'b', "BYTES", "of each message (32)"},
    {"seconds", 's', "SECONDS", "how long to measure (5)"},
    {"warmup", OPT_WARMUP, "SECONDS", "and how long before that not to (1)"},
    {"text", OPT_TEXT, NULL, "send text, not binary (ws)"},
    {"spin", OPT_SPIN, NULL,
     "never sleep: burns a core, and shows the server's latency better"},
    {"backend", OPT_BACKEND, "NAME", "epoll or poll (epoll)"},
    {"deflate", OPT_DEFLATE, DEFLATE_ARG,
     "offer to compress messages, which are of JSON then (ws)"},
    {"cacert", OPT_CACERT, "FILE",
     "wss: trust the authorities in this file (PEM), and no others"},
    {"insecure", OPT_INSECURE, NULL, "wss: take any certificate"},
    {"json", OPT_JSON, NULL, "print one line of JSON; see sonicio(1)"},
    {NULL, 0, NULL, NULL}};

struct bench {
    struct load_options load;
    const char *url; /* as given */
    bool json;
};

static void
take(struct args *a, struct bench *b, int key)
{
    struct load_options *o = &b->load;

    switch (key) {
    case 'c':
        o->connections = (unsigned)args_count(a, 1, CONNECTIONS_MAX);
        break;
    case 'd':
        o->depth = (unsigned)args_count(a, 1, DEPTH_MAX);
        break;
    case 'r':
        o->rate = (double)args_count(a, 1, 1000000000);
        break;
    case 'b':
        o->size = (size_t)args_size(a, 0, SIZE_MOST);
        break;
    case 's':
        o->duration = args_seconds(a, 0.01, 1e6);
        break;
    case OPT_WARMUP:
        o->warmup = args_seconds(a, 0, 1e6);
        break;
    case OPT_TEXT:
        o->text = true;
        break;
    case OPT_CACERT:
        o->tls.cacert = a->value;
        break;
    case OPT_INSECURE:
        o->tls.insecure = true;
        break;
    case OPT_SPIN:
        o->mode = RUN_SPINNING;
        break;
    case OPT_BACKEND:
        o->backend = (enum sonic_backend)(args_choice(a, backend_names) +
                                          SONIC_BACKEND_EPOLL);
        break;
    case OPT_DEFLATE:
        deflate_on(a, &o->deflate);
        break;
    default:
        b->json = true;
    }
}

/* What frame:// and raw:// have behind them is an address. */
static void
parse_url(struct args *a, struct bench *b)
{
    struct load_options *o = &b->load;
    sonic_url url = SONIC_URL_INIT;
    const char *why;

    o->where = b->url;
    if (strncmp(b->url, "frame://", 8) == 0) {
        o->proto = LINK_FRAME;
        o->where += 8;
    } else if (strncmp(b->url, "raw://", 6) == 0) {
        o->proto = LINK_RAW;
        o->where += 6;
    } else if (sonic_url_parse(b->url, &url, &why) < 0)
        args_wrong(a, "%s: not frame:// or raw://, and %s", b->url, why);
    if (o->proto != LINK_WS && *o->where == '\0')
        args_wrong(a, "%s: there is no address", b->url);
    if (o->proto != LINK_WS && (why = address_wrong(o->where)) != NULL)
        args_wrong(a, "%s: %s", b->url, why);
    if (o->proto != LINK_WS && (o->text || o->deflate.on == SONIC_ON))
        args_wrong(a, "--text and --deflate are for ws:// only");
    if (o->proto == LINK_RAW && o->size == 0)
        args_wrong(a, "--size: raw messages have at least 1 byte");
}

static int
parse(struct args *a, struct bench *b)
{
    bool deep = false;
    int key;

    while ((key = args_next(a)) >= 0) {
        deep = deep || key == 'd';
        take(a, b, key);
    }
    if (key == ARGS_STOP)
        return ARGS_STOP;
    b->url = args_operand(a);
    if (b->url == NULL)
        args_wrong(a, "whom?  Give a URL, such as ws://127.0.0.1:9001/");
    else if (args_operand(a) != NULL)
        args_wrong(a, "one URL at a time");
    else
        parse_url(a, b);
    if (deep && b->load.rate > 0)
        args_wrong(a, "--depth and --rate exclude each other");
    return a->status == EXIT_GOOD ? ARGS_END : ARGS_STOP;
}

/* ---- the report ------------------------------------------------------- */

static double
per_second(const struct load_result *r)
{
    return (double)r->messages / ((double)r->elapsed / 1e9);
}

static void
print_json(const struct bench *b, const struct load_result *r)
{
    const struct load_options *o = &b->load;
    struct json j = {stdout, false};

    json_begin(&j, NULL);
    json_text(&j, "url", b->url);
    json_text(&j, "protocol", link_proto_names[o->proto]);
    json_text(&j, "backend", r->backend);
    json_bool(&j, "spin", o->mode == RUN_SPINNING);
    json_bool(&j, "text", o->text);
    json_bool(&j, "deflate", o->deflate.on == SONIC_ON);
    json_count(&j, "connections", o->connections);
    json_count(&j, "size", o->size);
    json_text(&j, "loop", o->rate > 0 ? "open" : "closed");
    if (o->rate > 0)
        json_real(&j, "rate", o->rate);
    else
        json_count(&j, "depth", o->depth);
    json_real(&j, "seconds", (double)r->elapsed / 1e9);
    json_count(&j, "messages", r->messages);
    json_real(&j, "messages_per_second", per_second(r));
    json_real(&j, "bytes_per_second", per_second(r) * (double)o->size);
    json_count(&j, "unanswered", r->unanswered);
    json_count(&j, "wrong", r->wrong);
    json_latency(&j, "latency_ns", r->latency);
    json_end(&j);
    putchar('\n');
}

static void
print_text(const struct bench *b, const struct load_result *r)
{
    const struct load_options *o = &b->load;
    char text[GROUPED];

    printf("%s: %s, %u connection%s, ", b->url, link_proto_names[o->proto],
           o->connections, o->connections == 1 ? "" : "s");
    if (o->rate > 0)
        printf("%s messages/s due, ", grouped((uint64_t)o->rate, text));
    else
        printf("depth %u, ", o->depth);
    printf("%zu bytes%s, %s%s, %g s\n", o->size, o->text ? " of text" : "",
           r->backend, o->mode == RUN_SPINNING ? " spinning" : "",
           (double)r->elapsed / 1e9);
    printf("\n  %s messages/s", grouped((uint64_t)per_second(r), text));
    printf("   %.2f MB/s each way   %s messages\n\n",
           per_second(r) * (double)o->size / 1e6, grouped(r->messages, text));
    print_latency(stdout, r->latency, "  ");
    putchar('\n');
    draw_latency(stdout, r->latency, "  ");
    if (o->rate > 0)
        puts("\nOpen loop: latency counts from when each message was due.");
    else
        puts("\nClosed loop: a slow answer delays the messages behind it, so "
             "that latency\nunder load looks better than it is; --rate shows "
             "it as it is.");
}

/* Figures, and what is wrong with them; the exit status. */
static int
report(const struct bench *b, const struct load_result *r)
{
    bool silent = r->answered == 0 && r->unanswered > 0;

    if (b->json)
        print_json(b, r);
    else if (!silent)
        print_text(b, r);
    if (silent)
        complain("bench",
                 "%s: nothing came back: is this an echo server for %s?",
                 b->url, link_proto_names[b->load.proto]);
    else if (r->unanswered > 0)
        complain("bench", "%s not answered", counted(r->unanswered, "message"));
    if (r->wrong > 0)
        complain("bench", "%s of another length", counted(r->wrong, "answer"));
    return r->unanswered + r->wrong > 0 ? EXIT_BAD : EXIT_GOOD;
}

static int
run(const struct command *cmd, int argc, char **argv)
{
    struct args a = {cmd, argc, argv, EXIT_GOOD, NULL, NULL};
    struct bench b = {.load = {.connections = 1,
                               .depth = 1,
                               .size = 32,
                               .warmup = NS_PER_S,
                               .duration = 5 * NS_PER_S}};
    struct load_result r = {.unanswered = 0};
    int err, status;

    deflate_off(&b.load.deflate);
    if (parse(&a, &b) == ARGS_STOP)
        return a.status;
    raise_descriptor_limit();
    err = sonic_histogram_new(NULL, &r.latency);
    if (err == 0)
        err = load_run(&b.load, &r);
    status = err == 0 ? report(&b, &r) : EXIT_BAD;
    if (err == SONIC_EADDRESS)
        status = args_wrong(&a, "%s: %s", b.url, sonic_strerror(err));
    else if (err < 0)
        complain(cmd->name, "%s: %s", b.url,
                 *r.why ? r.why : sonic_strerror(err));
    sonic_histogram_free(r.latency);
    return status;
}

const struct command bench_command = {
    "bench",
    "load and latency of an echo server",
    "URL",
    "Sends messages to a server that echoes them, and tells how many a second\n"
    "came back, and how long each took.\n"
    "\n"
    "URL is ws://HOST[:PORT][/PATH], ws+unix:SOCKET, or frame://ADDR or "
    "raw://ADDR\n"
    "for `sonicio echo --proto frame` or raw, with ADDR as in HOST:PORT or\n"
    "unix:PATH.\n"
    "\n" DEFLATE_ABOUT,
    options,
    "  sonicio bench ws://127.0.0.1:9001/                  ping-pong\n"
    "  sonicio bench -c 16 -d 16 ws://127.0.0.1:9001/      throughput\n"
    "  sonicio bench -c 100 -r 50k ws://127.0.0.1:9001/    latency under load\n"
    "  sonicio bench -b 1k --deflate ws://127.0.0.1:9001/  compressed JSON\n"
    "  sonicio bench --spin --json raw://127.0.0.1:9001    for other "
    "programs\n",
    run,
};
