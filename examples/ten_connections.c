/* ten_connections - ten clients on one thread, each reads one message
 *
 *     ten_connections [HOST:PORT]
 *
 * Without an address it serves itself: the other end is a listener on the same
 * io, which greets whoever comes. */
#include <stdio.h>

#include <sonicio/sonicio.h>

enum { CLIENTS = 10 };

struct client {
    int id;
    char buf[128];
};

static void
on_read(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct client *c = ud;

    if (err < 0)
        printf("could not read from %d: %s\n", c->id, sonic_strerror(err));
    else
        printf("%d got %.*s\n", c->id, (int)n, c->buf);
    sonic_stream_close(stream);
}

static void
on_connect(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct client *c = ud;

    (void)n;
    if (err < 0)
        printf("%d could not connect: %s\n", c->id, sonic_strerror(err));
    else
        sonic_stream_async_read(stream, c->buf, sizeof c->buf, on_read, c);
}

static void
on_accept(sonic_listener *listener, int err, sonic_stream *peer, void *ud)
{
    int *left = ud;

    if (err < 0)
        return;
    if (sonic_stream_send(peer, "hello", 5) < 0)
        fprintf(stderr, "a greeting was lost\n");
    sonic_stream_shutdown(peer); /* freed with the io */
    if (--*left > 0)
        sonic_listener_async_accept(listener, on_accept, left);
}

int
main(int argc, char **argv)
{
    struct client client[CLIENTS];
    char address[SONIC_ADDRESS_TEXT];
    sonic_io *io = NULL;
    sonic_listener *listener;
    sonic_stream *stream;
    sonic_address at;
    int left = CLIENTS;
    int err = sonic_io_new(&io, NULL);

    if (err == 0 && argc < 2) {
        err = sonic_listener_new(io, "127.0.0.1:0", NULL, &listener);
        if (err == 0)
            err = sonic_listener_address(listener, &at);
        if (err == 0) {
            sonic_address_format(&at, address, sizeof address);
            sonic_listener_async_accept(listener, on_accept, &left);
        }
    }
    for (int i = 0; i < CLIENTS && err == 0; i++) {
        client[i].id = i;
        err = sonic_stream_new(io, &stream);
        if (err == 0)
            sonic_stream_async_connect(stream, argc < 2 ? address : argv[1],
                                       NULL, on_connect, &client[i]);
    }
    if (err == 0) /* returns when every operation has completed */
        err = sonic_io_run_pending(io);
    if (err < 0)
        fprintf(stderr, "ten_connections: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
