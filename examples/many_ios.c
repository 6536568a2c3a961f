/* many_ios - one reactor a thread, all on one port
 *
 * With SO_REUSEPORT the system spreads connections over the listeners.  The
 * reactors share nothing, so there is nothing to lock. */
#include <pthread.h>
#include <stdio.h>

#include <sonicio/sonicio.h>

enum { WORKERS = 3, CLIENTS = 30 };

struct worker {
    sonic_io *io;
    pthread_t thread;
    int served;
};

static void
on_accept(sonic_listener *listener, int err, sonic_stream *peer, void *ud)
{
    struct worker *w = ud;

    if (err == -ECANCELED || err == SONIC_ECLOSED)
        return;
    if (err == 0) {
        w->served++;
        if (sonic_stream_send(peer, "hi", 2) < 0)
            fprintf(stderr, "a greeting was lost\n");
        sonic_stream_shutdown(peer);
    }
    sonic_listener_async_accept(listener, on_accept, w);
}

static int
prepare(struct worker *w, char *address)
{
    sonic_socket_options socket = SONIC_SOCKET_OPTIONS_INIT;
    sonic_listener_options opt = SONIC_LISTENER_OPTIONS_INIT;
    sonic_listener *listener;
    sonic_address at;
    int err = sonic_io_new(&w->io, NULL);

    socket.reuse_port = SONIC_ON;
    opt.socket = &socket;
    if (err == 0)
        err = sonic_listener_new(w->io, address, &opt, &listener);
    if (err == 0) /* the first one got a port; the others take the same */
        err = sonic_listener_address(listener, &at);
    if (err < 0)
        return err;
    sonic_address_format(&at, address, SONIC_ADDRESS_TEXT);
    sonic_listener_async_accept(listener, on_accept, w);
    return 0;
}

static void *
run(void *arg)
{
    struct worker *w = arg;

    (void)sonic_io_run(w->io);
    return NULL;
}

/* CLIENTS connections, one after the other: how many were greeted. */
static int
visit(const char *address)
{
    sonic_io *io = NULL;
    sonic_stream *s;
    char hi[2];
    int greeted = 0;

    if (sonic_io_new(&io, NULL) < 0)
        return 0;
    for (int i = 0; i < CLIENTS; i++) {
        if (sonic_stream_new(io, &s) < 0)
            continue;
        if (sonic_stream_connect(s, address, NULL) == 0 &&
            sonic_stream_read_all(s, hi, sizeof hi, NULL) == 0)
            greeted++;
        sonic_stream_free(s);
    }
    sonic_io_free(io);
    return greeted;
}

int
main(void)
{
    char address[SONIC_ADDRESS_TEXT] = "127.0.0.1:0";
    struct worker w[WORKERS] = {{0}};
    int err = 0, greeted, served = 0;

    for (int i = 0; i < WORKERS && err == 0; i++)
        err = prepare(&w[i], address);
    if (err < 0) {
        fprintf(stderr, "many_ios: %s\n", sonic_strerror(err));
        return 1;
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&w[i].thread, NULL, run, &w[i]);
    greeted = visit(address);
    for (int i = 0; i < WORKERS; i++) {
        sonic_io_stop(w[i].io);
        pthread_join(w[i].thread, NULL);
        printf("worker %d served %d\n", i, w[i].served);
        served += w[i].served;
        sonic_io_free(w[i].io);
    }
    return greeted != CLIENTS || served != CLIENTS;
}
