/* sonicio echo - a server that sends back what it receives */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/signal.h>

#include "commands.h"
#include "deflate.h"
#include "echo.h"

enum {
    OPT_SPIN = 256,
    OPT_WARM,
    OPT_BACKEND,
    OPT_MAX,
    OPT_DEFLATE,
    OPT_CERT,
    OPT_KTLS,
    OPT_KEY
};

enum { THREADS_MAX = 256 };
#define MESSAGE_MAX (UINT64_C(1) << 30)

static const struct option_row options[] = {
    {"listen", 'l', "ADDR",
     "HOST:PORT, [V6]:PORT, :PORT or unix:PATH; port 0 takes a free one "
     "(127.0.0.1:9001)"},
    {"proto", 'p', "PROTO",
     "ws: WebSocket; frame: 4 bytes of length, big-endian, then a body; raw: "
     "bytes (ws)"},
    {"threads", 't', "N", "so many ios, a thread each, sharing the port (1)"},
    {"spin", OPT_SPIN, NULL,
     "never sleep: burns a core a thread for the lowest latency"},
    {"warm", OPT_WARM, NULL, "stay awake for a while after each message"},
    {"backend", OPT_BACKEND, "NAME", "epoll or poll (epoll)"},
    {"max-message", OPT_MAX, "BYTES",
     "refuse longer ones, with close code 1009 (16M)"},
    {"deflate", OPT_DEFLATE, DEFLATE_ARG,
     "compress messages with clients that can"},
    {"tls-cert", OPT_CERT, "FILE",
     "speak TLS, as the one this certificate and chain (PEM) name; may be "
     "given "
     "several times: a client gets that of the name it asks for"},
    {"tls-key", OPT_KEY, "FILE",
     "the private key of each --tls-cert (in the same file)"},
    {"ktls", OPT_KTLS, NULL, "have the kernel encrypt TLS 1.3, where it can"},
    {"quiet", 'q', NULL, "print no more than the address"},
    {NULL, 0, NULL, NULL}};

static const char *const protos[] = {"ws", "frame", "raw", NULL};

struct thread {
    struct echo echo;
    pthread_t id;
    int err; /* of its run */
};

/* The threads, and the signals that end them. */
struct crew {
    struct echo_options opt;
    struct thread *thread; /* opt.threads of them, of which [0] is ours */
    unsigned started;      /* of the others */
    sonic_signal *signal;
    sigset_t ends;
};

static void
add_file(struct args *a, const char **list, unsigned *n)
{
    if (*n == SECURE_CERTIFICATES)
        args_wrong(a, "--%s: at most %d", a->name, SECURE_CERTIFICATES);
    else
        list[(*n)++] = a->value;
}

static int
parse(struct args *a, struct echo_options *o)
{
    int key;

    while ((key = args_next(a)) >= 0) {
        switch (key) {
        case 'l':
            o->listen = a->value;
            break;
        case 'p':
            o->proto = (enum echo_proto)args_choice(a, protos);
            break;
        case 't':
            o->threads = (unsigned)args_count(a, 1, THREADS_MAX);
            break;
        case OPT_SPIN:
        case OPT_WARM:
            if (o->mode != RUN_BLOCKING)
                args_wrong(a, "one of --spin and --warm, once");
            o->mode = key == OPT_SPIN ? RUN_SPINNING : RUN_WARM;
            break;
        case OPT_BACKEND:
            o->backend = (enum sonic_backend)(args_choice(a, backend_names) +
                                              SONIC_BACKEND_EPOLL);
            break;
        case OPT_MAX:
            o->max_message = args_size(a, 1, MESSAGE_MAX);
            break;
        case OPT_CERT:
            add_file(a, o->tls.cert, &o->tls.n_certs);
            break;
        case OPT_KEY:
            add_file(a, o->tls.key, &o->tls.n_keys);
            break;
        case OPT_KTLS:
            o->tls.ktls = true;
            break;
        case OPT_DEFLATE:
            deflate_on(a, &o->deflate);
            break;
        default:
            o->quiet = true;
        }
    }
    if (key == ARGS_END && args_operand(a) != NULL)
        args_wrong(a, "takes no argument but its options");
    if (key == ARGS_END && address_wrong(o->listen) != NULL)
        args_wrong(a, "cannot listen on %s: %s", o->listen,
                   address_wrong(o->listen));
    if (key == ARGS_END && o->tls.ktls && o->tls.n_certs == 0)
        args_wrong(a, "--ktls needs a --tls-cert");
    if (key == ARGS_END && o->proto != ECHO_WS && o->deflate.on == SONIC_ON)
        args_wrong(a, "--deflate is for WebSocket only");
    if (key == ARGS_END && secure_wrong(&o->tls) != NULL)
        args_wrong(a, "%s", secure_wrong(&o->tls));
    if (key == ARGS_END && o->threads > 1 &&
        strncmp(o->listen, "unix:", 5) == 0)
        args_wrong(a, "only TCP ports can be shared by several threads");
    return key == ARGS_STOP || a->status != EXIT_GOOD ? ARGS_STOP : ARGS_END;
}

/* ---- ending ----------------------------------------------------------- */

static void
on_post(sonic_io *io, void *ud)
{
    (void)io;
    echo_drain(ud);
}

static void
on_reload(sonic_io *io, void *ud)
{
    (void)io;
    echo_reload(ud);
}

/* SIGHUP: the certificates, in each thread. */
static void
reload(struct crew *c)
{
    echo_reload(&c->thread[0].echo);
    for (unsigned i = 1; i <= c->started; i++)
        (void)!sonic_io_post(c->thread[i].echo.io, on_reload,
                             &c->thread[i].echo);
}

/* A second signal is meant: what it does by default. */
static void
end_at_once(struct crew *c, int signo)
{
    signal(signo, SIG_DFL);
    raise(signo);
    pthread_sigmask(SIG_UNBLOCK, &c->ends, NULL);
}

static void
on_signal(sonic_signal *sig, int err, int signo, void *ud)
{
    struct crew *c = ud;

    if (err < 0)
        return;
    if (signo != SIGHUP && c->thread[0].echo.draining)
        end_at_once(c, signo);
    sonic_signal_async_wait(sig, on_signal, c);
    if (signo == SIGHUP) {
        reload(c);
        return;
    }
    for (unsigned i = 1; i <= c->started; i++)
        if (sonic_io_post(c->thread[i].echo.io, on_post, &c->thread[i].echo) <
            0)
            sonic_io_stop(c->thread[i].echo.io);
    echo_drain(&c->thread[0].echo);
}

static void
print_counts(const struct crew *c)
{
    uint64_t connections = 0, messages = 0, bytes = 0, clean = 0, reset = 0;
    char a[GROUPED], b[GROUPED];

    for (unsigned i = 0; i < c->opt.threads; i++) {
        const struct echo *e = &c->thread[i].echo;

        connections += e->connections;
        messages += e->messages;
        bytes += e->bytes;
        clean += e->clean;
        reset += e->reset;
    }
    printf("%s, %s, %s echoed\n", counted(connections, "connection"),
           counted(messages, c->opt.proto == ECHO_RAW ? "read" : "message"),
           counted(bytes, "byte"));
    printf("drained: %s closed cleanly, %s reset\n", grouped(clean, a),
           grouped(reset, b));
}

/* ---- beginning -------------------------------------------------------- */

static void *
work(void *arg)
{
    struct thread *t = arg;

    t->err = run_io(t->echo.io, t->echo.opt->mode);
    return NULL;
}

/* Every io listens before the first one runs; with port 0 the others take the
 * port that the first one got. */
static int
make_servers(struct crew *c, char *text, size_t cap)
{
    sonic_address bound;

    for (unsigned i = 0; i < c->opt.threads; i++) {
        int err = echo_new(&c->thread[i].echo, &c->opt,
                           i == 0 ? c->opt.listen : text, &bound);

        if (err < 0 && c->opt.tls.n_certs > 0 && c->thread[i].echo.tls == NULL)
            return EXIT_BAD; /* that was complained about */
        if (err < 0) {
            complain("echo", "cannot listen on %s: %s", c->opt.listen,
                     sonic_strerror(err));
            if (err != SONIC_EADDRESS)
                return EXIT_BAD;
            fputs("Try: sonicio echo --help\n", stderr);
            return EXIT_USAGE;
        }
        if (i == 0)
            sonic_address_format(&bound, text, cap);
    }
    return EXIT_GOOD;
}

/* The signals are blocked before a thread is started: it inherits that. */
static int
make_signal(struct crew *c)
{
    int err;

    sigemptyset(&c->ends);
    sigaddset(&c->ends, SIGTERM);
    sigaddset(&c->ends, SIGINT);
    if (c->opt.tls.n_certs > 0)
        sigaddset(&c->ends, SIGHUP);
    err = sonic_signal_new(c->thread[0].echo.io, &c->ends, &c->signal);
    if (err < 0) {
        complain("echo", "cannot receive signals: %s", sonic_strerror(err));
        return EXIT_BAD;
    }
    sonic_signal_async_wait(c->signal, on_signal, c);
    return EXIT_GOOD;
}

static int
start_threads(struct crew *c)
{
    for (unsigned i = 1; i < c->opt.threads; i++) {
        int err = pthread_create(&c->thread[i].id, NULL, work, &c->thread[i]);

        if (err != 0) {
            complain("echo", "cannot start thread %u: %s", i + 1,
                     strerror(err));
            return EXIT_BAD;
        }
        c->started = i;
    }
    return EXIT_GOOD;
}

/* Wait for the other threads, which a drain ends; or end them ourselves. */
static void
join_threads(struct crew *c)
{
    for (unsigned i = 1; i <= c->started; i++) {
        if (!c->thread[0].echo.draining)
            sonic_io_stop(c->thread[i].echo.io);
        pthread_join(c->thread[i].id, NULL);
    }
}

/* From the first connection to the last. */
static int
serve(struct crew *c, const char *address)
{
    int status = EXIT_GOOD;

    printf("listening on %s (%s%s)\n", address, protos[c->opt.proto],
           c->opt.tls.n_certs > 0 ? " over TLS" : "");
    if (fflush(stdout) == 0)
        work(&c->thread[0]);
    join_threads(c);
    for (unsigned i = 0; i < c->opt.threads; i++)
        if (c->thread[i].err < 0) {
            complain("echo", "%s", sonic_strerror(c->thread[i].err));
            status = EXIT_BAD;
        }
    if (status == EXIT_GOOD && !c->opt.quiet)
        print_counts(c);
    return status;
}

static int
run(const struct command *cmd, int argc, char **argv)
{
    struct args a = {cmd, argc, argv, EXIT_GOOD, NULL, NULL};
    struct crew c = {.opt = {.listen = "127.0.0.1:9001",
                             .threads = 1,
                             .max_message = 16 << 20}};
    char address[SONIC_ADDRESS_TEXT];
    int status;

    deflate_off(&c.opt.deflate);
    if (parse(&a, &c.opt) == ARGS_STOP)
        return a.status;
    raise_descriptor_limit();
    c.thread = calloc(c.opt.threads, sizeof *c.thread);
    if (c.thread == NULL) {
        complain(cmd->name, "%s", sonic_strerror(-ENOMEM));
        return EXIT_BAD;
    }
    status = make_servers(&c, address, sizeof address);
    if (status == EXIT_GOOD)
        status = make_signal(&c);
    if (status == EXIT_GOOD)
        status = start_threads(&c);
    if (status == EXIT_GOOD)
        status = serve(&c, address);
    else
        join_threads(&c);
    for (unsigned i = 0; i < c.opt.threads; i++)
        echo_free(&c.thread[i].echo);
    free(c.thread);
    return status;
}

const struct command echo_command = {
    "echo",
    "a server that sends back what it receives",
    "",
    "Listens, prints \"listening on ADDR (PROTO)\", and echoes every message,\n"
    "text and binary, unchanged.  A client that does not read is not read "
    "from\n"
    "either.  SIGTERM or SIGINT end it in good order: no more connections are\n"
    "accepted, those there are get 1001 and five seconds, and the counts are\n"
    "printed.  A second signal ends it at once.  With TLS, SIGHUP has the\n"
    "certificates read again, for connections from then on.\n"
    "\n" DEFLATE_ABOUT,
    options,
    "  sonicio echo                               WebSocket, on port 9001\n"
    "  sonicio echo --listen 127.0.0.1:0          on any port that is free\n"
    "  sonicio echo --listen unix:/tmp/echo.sock  on a unix socket\n"
    "  sonicio echo --proto frame --threads 2     frames, on two cores\n"
    "  sonicio echo --deflate=takeover,level=6    compressed, and well\n"
    "  sonicio echo --tls-cert chain.pem --tls-key key.pem\n"
    "  sonicio connect ws://127.0.0.1:9001/       talk to it\n",
    run,
};
