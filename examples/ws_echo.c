/* ws_echo - a WebSocket echo server, and a client that talks to it
 *
 *     ws_echo                  both, over a port the system chooses
 *     ws_echo server ADDRESS   the server alone, until it is killed
 *     ws_echo client URL       the client alone */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

/* ---- server: a table of what happens ----------------------------------- */

static void
server_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    int ret =
        sonic_ws_send(ws, (enum sonic_ws_opcode)m->opcode, m->data, m->len);

    (void)ud;
    if (ret == 1) /* the peer does not read: stop reading from it */
        sonic_ws_pause(ws);
    else if (ret < 0)
        sonic_ws_terminate(ws);
}

static void
server_drain(sonic_ws *ws, void *ud)
{
    (void)ud;
    sonic_ws_resume(ws);
}

static int
serve(sonic_io *io, const char *address, char *bound)
{
    static const sonic_ws_handler handler = {
        SONIC_WS_HANDLER_INIT,
        .on_message = server_message,
        .on_drain = server_drain,
    };
    sonic_ws_server *server;
    sonic_address at;
    int err = sonic_ws_server_new(io, NULL, &handler, NULL, &server);

    if (err == 0)
        err = sonic_ws_server_listen(server, address, NULL, &at);
    if (err < 0)
        return err;
    sonic_address_format(&at, bound, SONIC_ADDRESS_TEXT);
    printf("listening on %s\n", bound);
    return 0;
}

/* ---- client ------------------------------------------------------------ */

static void
client_open(sonic_ws *ws, void *ud)
{
    (void)ud;
    (void)sonic_ws_send(ws, SONIC_WS_TEXT, "hello", 5);
}

static void
client_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    printf("got %.*s\n", (int)m->len, (const char *)m->data);
    (void)sonic_ws_close(ws, SONIC_WS_NORMAL, "that was all");
}

static void
client_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    bool *clean = ud;

    *clean = why->clean;
    printf("closed: %s, code %u%s%s\n", why->clean ? "clean" : "not clean",
           why->code, why->reason[0] != '\0' ? ", " : "", why->reason);
    sonic_io_stop(sonic_ws_io(ws));
}

static int
visit(sonic_io *io, const char *url)
{
    static const sonic_ws_handler handler = {
        SONIC_WS_HANDLER_INIT,
        .on_open = client_open,
        .on_message = client_message,
        .on_close = client_close,
    };
    sonic_ws *ws;
    bool clean = false;
    int err = sonic_ws_new(io, NULL, &handler, &clean, &ws);

    if (err < 0)
        return err;
    sonic_ws_async_connect(ws, url, NULL, NULL);
    err = sonic_io_run(io);
    sonic_ws_free(ws);
    return err < 0 ? err : clean ? 0 : SONIC_EWS_ABNORMAL;
}

int
main(int argc, char **argv)
{
    char address[SONIC_ADDRESS_TEXT] = "127.0.0.1:0";
    char url[SONIC_ADDRESS_TEXT + 8];
    const char *role = argc == 3 ? argv[1] : "both";
    sonic_io *io = NULL;
    int err = sonic_io_new(&io, NULL);

    if (err == 0 && strcmp(role, "client") == 0) {
        err = visit(io, argv[2]);
    } else if (err == 0 && strcmp(role, "server") == 0) {
        err = serve(io, argv[2], address);
        if (err == 0)
            err = sonic_io_run(io);
    } else if (err == 0) {
        err = serve(io, address, address);
        snprintf(url, sizeof url, "ws://%s/", address);
        if (err == 0)
            err = visit(io, url);
    }
    if (err < 0)
        fprintf(stderr, "ws_echo: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
