/* witness - a server that is choosy, and tells how each connection ended
 *
 * On the path /chat it speaks chat.v2 and chat.v1, with pages of two origins
 * and nobody else.  It listens on a port that the system
 * chooses, says which, echoes, and prints a line for each end:
 *
 *     SIDE CODE clean|unclean ERROR REASON
 */
#include <stdio.h>

#include <sonicio/sonicio.h>

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    if (sonic_ws_send(ws, (enum sonic_ws_opcode)m->opcode, m->data, m->len) < 0)
        sonic_ws_terminate(ws);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    static const char *const sides[] = {"nobody", "us", "peer"};

    (void)ws;
    (void)ud;
    printf("%s %u %s %s %s\n", sides[why->side], why->code,
           why->clean ? "clean" : "unclean",
           why->error < 0 ? sonic_errname(why->error) : "0", why->reason);
    fflush(stdout);
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT, .on_message = on_message, .on_close = on_close};

static int
serve(sonic_io *io)
{
    static const char *const subprotocols[] = {"chat.v2", "chat.v1"};
    static const char *const origins[] = {"http://here", "http://there"};
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    char text[SONIC_ADDRESS_TEXT];
    sonic_ws_server *server;
    sonic_address bound;
    int err;

    opt.path = "/chat";
    opt.subprotocols = subprotocols;
    opt.n_subprotocols = 2;
    opt.origins = origins;
    opt.n_origins = 2;
    opt.max_message = 1000;
    err = sonic_ws_server_new(io, &opt, &handler, NULL, &server);
    if (err == 0)
        err = sonic_ws_server_listen(server, "127.0.0.1:0", NULL, &bound);
    if (err < 0)
        return err;
    sonic_address_format(&bound, text, sizeof text);
    printf("listening on %s (ws)\n", text);
    fflush(stdout);
    return sonic_io_run(io);
}

int
main(void)
{
    sonic_io *io = NULL;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = serve(io);
    if (err < 0)
        fprintf(stderr, "witness: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
