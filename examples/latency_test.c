/* latency_test - the round trip of eight bytes over TCP
 *
 *     latency_test                     both ends, blocking and then hot
 *     latency_test server ADDRESS [-n SAMPLES] [-block]
 *     latency_test client ADDRESS [-block]
 *
 * The server sends the time, 8 bytes of monotonic nanoseconds; the client sends
 * them back; the server records how long that took, and prints a histogram of
 * every SAMPLES (32,768 unless said) of them.  Hot, each end spins on its own
 * core; blocking, it sleeps until something comes, and the figure contains two
 * wake-ups by the system.  For a fair figure, run the ends with taskset(1) on
 * two cores that do nothing else. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { SAMPLES = 32768 };

struct end {
    sonic_io *io;
    bool hot;
    sonic_stream *stream;
    int64_t time; /* what is sent and received */
    int err;

    /* the server's */
    sonic_listener *listener;
    sonic_histogram *h;
    uint64_t samples;
    int64_t until; /* when to stop, with whatever there is; 0: never */
};

static void
finish(struct end *e, int err)
{
    e->err = err;
    sonic_io_stop(e->io);
}

/* ---- server ------------------------------------------------------------- */

static void on_back(sonic_stream *s, int err, size_t n, void *ud);

static void
send_time(struct end *e)
{
    int err;

    e->time = sonic_clock_monotonic(NULL);
    err = sonic_stream_send(e->stream, &e->time, sizeof e->time);
    if (err < 0)
        finish(e, err);
    else
        sonic_stream_async_read_all(e->stream, &e->time, sizeof e->time,
                                    on_back, e);
}

static void
on_back(sonic_stream *s, int err, size_t n, void *ud)
{
    struct end *e = ud;
    int64_t now = sonic_clock_monotonic(NULL);

    (void)s;
    (void)n;
    if (err < 0) {
        finish(e, err == SONIC_EOF ? 0 : err);
        return;
    }
    sonic_histogram_record(e->h, now - e->time);
    if (sonic_histogram_count(e->h) == e->samples ||
        (e->until != 0 && now > e->until)) {
        printf("%s, round trip of 8 bytes, %llu samples\n",
               e->hot ? "hot" : "blocking",
               (unsigned long long)sonic_histogram_count(e->h));
        err = sonic_histogram_draw(e->h, stdout, NULL);
        if (err < 0 || e->until != 0) {
            finish(e, err);
            return;
        }
        sonic_histogram_reset(e->h);
    }
    send_time(e);
}

static void
on_accept(sonic_listener *l, int err, sonic_stream *s, void *ud)
{
    struct end *e = ud;

    (void)l;
    if (err < 0) {
        finish(e, err);
        return;
    }
    e->stream = s;
    send_time(e);
}

static int
open_server(struct end *e, const char *at, char *bound)
{
    sonic_address address;
    int err = sonic_io_new(&e->io, NULL);

    if (err == 0)
        err = sonic_histogram_new(NULL, &e->h);
    if (err == 0)
        err = sonic_listener_new(e->io, at, NULL, &e->listener);
    if (err == 0)
        err = sonic_listener_address(e->listener, &address);
    if (err < 0)
        return err;
    sonic_address_format(&address, bound, SONIC_ADDRESS_TEXT);
    sonic_listener_async_accept(e->listener, on_accept, e);
    return 0;
}

/* ---- client ------------------------------------------------------------- */

static void
on_time(sonic_stream *s, int err, size_t n, void *ud)
{
    struct end *e = ud;

    (void)n;
    if (err == 0)
        err = sonic_stream_send(s, &e->time, sizeof e->time);
    if (err < 0)
        finish(e, err == SONIC_EOF || err == -ECONNRESET ? 0 : err);
    else
        sonic_stream_async_read_all(s, &e->time, sizeof e->time, on_time, e);
}

static int
open_client(struct end *e, const char *at)
{
    int err = sonic_io_new(&e->io, NULL);

    if (err == 0)
        err = sonic_stream_new(e->io, &e->stream);
    if (err == 0)
        err = sonic_stream_connect(e->stream, at, NULL);
    if (err == 0)
        sonic_stream_async_read_all(e->stream, &e->time, sizeof e->time,
                                    on_time, e);
    return err;
}

/* ---- both --------------------------------------------------------------- */

static int
run(struct end *e)
{
    int err = e->hot ? sonic_io_run_spin(e->io) : sonic_io_run(e->io);

    return err < 0 ? err : e->err;
}

static void
close_end(struct end *e)
{
    sonic_histogram_free(e->h);
    sonic_io_free(e->io);
}

struct client_thread {
    struct end e;
    const char *address;
    int err;
};

static void *
client_thread(void *arg)
{
    struct client_thread *c = arg;

    c->err = open_client(&c->e, c->address);
    if (c->err == 0)
        c->err = run(&c->e);
    close_end(&c->e);
    return NULL;
}

/* Both ends, on two threads, for half a second at most. */
static int
both(bool hot)
{
    char address[SONIC_ADDRESS_TEXT];
    struct end server = {.hot = hot, .samples = SAMPLES};
    struct client_thread client = {.e = {.hot = hot}, .address = address};
    pthread_t thread;
    int err = open_server(&server, "127.0.0.1:0", address);

    if (err == 0) {
        server.until = sonic_clock_monotonic(NULL) + 500 * 1000 * 1000;
        pthread_create(&thread, NULL, client_thread, &client);
        err = run(&server);
        close_end(&server); /* the client sees the end */
        pthread_join(thread, NULL);
        return err < 0 ? err : client.err;
    }
    close_end(&server);
    return err;
}

int
main(int argc, char **argv)
{
    char address[SONIC_ADDRESS_TEXT];
    struct end e = {.hot = true, .samples = SAMPLES};
    int err;

    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], "-block") == 0)
            e.hot = false;
        else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
            e.samples = strtoull(argv[++i], NULL, 10);
    if (argc < 3) {
        err = both(false);
        if (err == 0)
            err = both(true);
    } else {
        err = strcmp(argv[1], "server") == 0 ? open_server(&e, argv[2], address)
                                             : open_client(&e, argv[2]);
        if (err == 0)
            err = run(&e);
        close_end(&e);
    }
    if (err < 0)
        fprintf(stderr, "latency_test: %s\n", sonic_strerror(err));
    return err < 0;
}
