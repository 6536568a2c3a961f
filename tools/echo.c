/* The io of an echo server, and its WebSockets. */
#include "echo.h"

#include <errno.h>
#include <string.h>

static void
on_open(sonic_ws *ws, void *ud)
{
    (void)ws;
    ((struct echo *)ud)->connections++;
}

/* Where an io keeps its echo. */
static const char key;

static struct echo **
echo_of(sonic_io *io)
{
    return sonic_io_attach(io, &key, sizeof(struct echo *), NULL);
}

/* The queue is full, or the last message was not echoed at all. */
static void
on_unusual(sonic_ws *ws, int r)
{
    struct echo *e = *echo_of(sonic_ws_io(ws));

    if (r == 1) {
        sonic_ws_pause(ws); /* no more until the peer takes what is queued */
        return;
    }
    e->messages--;
    e->bytes -= e->last;
    if (sonic_ws_state(ws) == SONIC_WS_OPEN)
        sonic_ws_close(ws, SONIC_WS_INTERNAL, sonic_strerror(r));
}

/* Counted before it is sent: so nothing but ws has to outlive the call. */
static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct echo *e = ud;
    int r;

    e->messages++;
    e->last = m->len;
    e->bytes += e->last;
    r = sonic_ws_send(ws, m->opcode, m->data, m->len);
    if (r != 0)
        on_unusual(ws, r);
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    (void)ud;
    sonic_ws_resume(ws);
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_message = on_message,
    .on_drain = on_drain};

size_t
echo_queue_limit(const struct echo_options *opt)
{
    static const size_t usual = (size_t)64 << 20, spare = (size_t)2 << 20;

    /* Limits of its own cost each connection memory: only where needed. */
    return opt->max_message <= usual - spare ? 0
                                             : (size_t)opt->max_message + spare;
}

static int
listen_ws(struct echo *e, const char *address,
          const sonic_listener_options *lopt, sonic_address *bound)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    int err;

    opt.max_message = e->opt->max_message;
    opt.queue_limit = echo_queue_limit(e->opt);
    opt.deflate = &e->opt->deflate;
    opt.tls = e->tls;
    err = sonic_ws_server_new(e->io, &opt, &handler, e, &e->server);
    if (err < 0)
        return err;
    return sonic_ws_server_listen(e->server, address, lopt, bound);
}

int
echo_new(struct echo *e, const struct echo_options *opt, const char *address,
         sonic_address *bound)
{
    sonic_io_options iopt = SONIC_IO_OPTIONS_INIT;
    sonic_listener_options lopt = SONIC_LISTENER_OPTIONS_INIT;
    sonic_socket_options sopt = SONIC_SOCKET_OPTIONS_INIT;
    int err;

    memset(e, 0, sizeof *e);
    e->opt = opt;
    iopt.backend = opt->backend;
    err = sonic_io_new(&e->io, &iopt);
    if (err < 0)
        return err;
    if (echo_of(e->io) == NULL)
        return -ENOMEM;
    *echo_of(e->io) = e;
    sonic_io_work_begin(e->io); /* run until the drain is over */
    err = secure_serve(e->io, "echo", &opt->tls, &e->tls);
    if (err < 0)
        return err;
    if (opt->threads > 1) {
        sopt.reuse_port = SONIC_ON;
        lopt.socket = &sopt;
    }
    return opt->proto == ECHO_WS ? listen_ws(e, address, &lopt, bound)
                                 : echo_listen_conns(e, address, &lopt, bound);
}

void
echo_reload(struct echo *e)
{
    char why[256];
    int err;

    if (e->tls == NULL)
        return;
    err = sonic_tls_context_reload(e->tls, NULL, why, sizeof why);
    if (err < 0)
        complain("echo", "the old certificates stay: %s",
                 *why != '\0' ? why : sonic_strerror(err));
    else if (!e->opt->quiet)
        fprintf(stderr, "certificates read again\n");
}

static void
on_drained(sonic_ws_server *server, int err, const sonic_ws_drained *counts,
           void *ud)
{
    struct echo *e = ud;

    (void)server;
    if (err == 0) {
        e->clean = counts->clean;
        e->reset = counts->reset;
    }
    sonic_io_stop(e->io);
}

void
echo_drain(struct echo *e)
{
    if (e->draining)
        return;
    e->draining = true;
    if (e->opt->proto == ECHO_WS)
        sonic_ws_server_async_drain(e->server, ECHO_DEADLINE, on_drained, e);
    else
        echo_drain_conns(e);
}

void
echo_free(struct echo *e)
{
    if (e->server != NULL)
        sonic_ws_server_free(e->server);
    echo_free_conns(e);
    sonic_io_free(e->io);
    sonic_tls_context_free(e->tls);
    e->tls = NULL;
    e->io = NULL;
}
