/* tcp_echo - an echo server over TCP or a unix socket, and one client
 *
 *     tcp_echo                   both ends, over a port the system chooses
 *     tcp_echo unix:@name        both ends, over a unix socket
 *     tcp_echo server ADDRESS    the server alone, until it is killed
 *     tcp_echo client ADDRESS    the client alone
 *
 * The server shows the zero-copy read: it is lent the bytes where they were
 * received, sends them, and says that it is done with them. */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

static const char question[] = "is anybody there?";

/* ---- server ----------------------------------------------------------- */

static void on_drain(sonic_stream *s, int err, size_t n, void *ud);

static void
on_bytes(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    int sent;

    if (err < 0) { /* SONIC_EOF: the client is done */
        sonic_stream_free(s);
        return;
    }
    sent = sonic_stream_send(s, data, len);
    sonic_stream_consume(s, len);
    if (sent < 0)
        sonic_stream_free(s);
    else if (sent == 0)
        sonic_stream_lend(s, 1, 0, on_bytes, ud); /* go on reading */
    else /* the client does not read: nor do we, until the queue is short */
        sonic_stream_async_drain(s, on_drain, ud);
}

static void
on_drain(sonic_stream *s, int err, size_t n, void *ud)
{
    (void)n;
    if (err < 0)
        sonic_stream_free(s);
    else
        sonic_stream_lend(s, 1, 0, on_bytes, ud);
}

static void
on_accept(sonic_listener *listener, int err, sonic_stream *peer, void *ud)
{
    if (err == 0)
        sonic_stream_lend(peer, 1, 0, on_bytes, NULL);
    if (err != SONIC_ECLOSED && err != -ECANCELED)
        sonic_listener_async_accept(listener, on_accept, ud);
}

static int
serve(sonic_io *io, const char *address, char *bound)
{
    sonic_listener *listener;
    sonic_address at;
    int err = sonic_listener_new(io, address, NULL, &listener);

    if (err == 0)
        err = sonic_listener_address(listener, &at);
    if (err < 0)
        return err;
    sonic_address_format(&at, bound, SONIC_ADDRESS_TEXT);
    printf("listening on %s\n", bound);
    sonic_listener_async_accept(listener, on_accept, NULL);
    return 0;
}

/* ---- client, in the blocking style ------------------------------------ */

static int
ask(sonic_io *io, const char *address)
{
    char answer[sizeof question] = "";
    sonic_stream *s;
    int err = sonic_stream_new(io, &s);

    if (err < 0)
        return err;
    err = sonic_stream_connect(s, address, NULL);
    if (err == 0)
        err = sonic_stream_write(s, question, strlen(question), NULL);
    if (err == 0)
        err = sonic_stream_read_all(s, answer, strlen(question), NULL);
    if (err == 0)
        printf("the echo: %s\n", answer);
    if (err == 0 && strcmp(answer, question) != 0)
        err = -EPROTO;
    sonic_stream_free(s);
    return err;
}

int
main(int argc, char **argv)
{
    char address[SONIC_ADDRESS_TEXT] = "127.0.0.1:0";
    bool server = argc < 3 || strcmp(argv[1], "client") != 0;
    bool client = argc < 3 || !server;
    const char *at = argc == 3 ? argv[2] : argc == 2 ? argv[1] : address;
    sonic_io *io = NULL;
    int err = sonic_io_new(&io, NULL);

    if (err == 0 && server)
        err = serve(io, at, address);
    if (err == 0 && client)
        err = ask(io, server ? address : at);
    else if (err == 0)
        err = sonic_io_run(io);
    if (err < 0)
        fprintf(stderr, "tcp_echo: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
