/* simulated - test a program in a world that is made from one number
 *
 *     simulated [SEED]
 *
 * A WebSocket client and server, unchanged, in a simulated world: bytes come
 * late and in pieces, calls are interrupted, connections break.  The same seed
 * gives the same faults, so a failure can be looked at again and again.
 * Without a seed, two hundred worlds are tried. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sim.h>
#include <sonicio/sonicio.h>

enum { WORLDS = 200, MESSAGES = 20 };

struct conversation {
    int sent, received;
    bool wrong;  /* an answer that is not what was asked */
    bool closed; /* on_close has run */
};

static void
server_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    if (sonic_ws_send(ws, (enum sonic_ws_opcode)m->opcode, m->data, m->len) < 0)
        sonic_ws_terminate(ws);
}

static void
ask(sonic_ws *ws, struct conversation *c)
{
    char text[32];
    int n = snprintf(text, sizeof text, "question %d", c->sent++);

    if (sonic_ws_send(ws, SONIC_WS_TEXT, text, (size_t)n) < 0)
        sonic_ws_terminate(ws);
}

static void
client_open(sonic_ws *ws, void *ud)
{
    ask(ws, ud);
}

static void
client_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct conversation *c = ud;
    char text[32];
    int n = snprintf(text, sizeof text, "question %d", c->received++);

    if (m->len != (size_t)n || memcmp(m->data, text, m->len) != 0)
        c->wrong = true;
    if (c->received < MESSAGES)
        ask(ws, c);
    else
        (void)sonic_ws_close(ws, SONIC_WS_NORMAL, NULL);
}

static void
client_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct conversation *c = ud;

    (void)why;
    c->closed = true;
    sonic_io_stop(sonic_ws_io(ws));
}

static int
converse(sonic_io *io, struct conversation *c)
{
    static const sonic_ws_handler server_handler = {
        SONIC_WS_HANDLER_INIT, .on_message = server_message};
    static const sonic_ws_handler client_handler = {
        SONIC_WS_HANDLER_INIT,
        .on_open = client_open,
        .on_message = client_message,
        .on_close = client_close,
    };
    sonic_ws_server *server;
    sonic_ws *client;
    int err = sonic_ws_server_new(io, NULL, &server_handler, NULL, &server);

    if (err == 0)
        err = sonic_ws_server_listen(server, "127.0.0.1:80", NULL, NULL);
    if (err == 0)
        err = sonic_ws_new(io, NULL, &client_handler, c, &client);
    if (err < 0)
        return err;
    sonic_ws_async_connect(client, "ws://127.0.0.1/", NULL, NULL);
    return sonic_io_run(io);
}

/* What must hold whatever happens: no wrong answer, an end that is told, and
 * nothing left over. */
static bool
world_holds(uint64_t seed, int *answered)
{
    sonic_sim_options world = SONIC_SIM_OPTIONS_INIT;
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    struct conversation c = {0, 0, false, false};
    sonic_sim_leaks leaks;
    sonic_io *io = NULL;
    sonic_sim *sim;
    int err;

    sonic_sim_swarm(&world, seed);
    if (sonic_sim_new(&sim, &world) < 0)
        return false;
    opt.sys = sonic_sim_sys(sim);
    opt.mem = sonic_sim_mem(sim);
    err = sonic_io_new(&io, &opt); /* may fail: memory, too, runs short */
    if (err == 0)
        err = converse(io, &c);
    sonic_io_free(io);
    *answered += c.received;
    if (c.wrong || (err >= 0 && !c.closed)) {
        sonic_sim_print_trace(sim, stderr);
        err = -EPROTO;
    } else {
        err = 0;
    }
    return sonic_sim_free(sim, &leaks) == 0 && err == 0;
}

int
main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t n = argc > 1 ? 1 : WORLDS;
    int answered = 0;

    for (uint64_t seed = first; seed < first + n; seed++)
        if (!world_holds(seed, &answered)) {
            printf("seed %llu fails\n", (unsigned long long)seed);
            return 1;
        }
    printf("%llu worlds hold; %d of %d questions were answered\n",
           (unsigned long long)n, answered, (int)n * MESSAGES);
    return 0;
}
