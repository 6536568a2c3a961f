/* iperf - how many bytes a second go through one connection
 *
 *     iperf                      both ends, 8 KiB reads, then lent ones
 *     iperf server ADDRESS       receive, until the sender ends
 *     iperf client ADDRESS       send for two seconds
 *
 * The receiver counts what comes in reads of 8 KiB, as iperf-like tests do; and
 * in a second round without any copy, being shown the bytes where the reactor
 * received them. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { READ = 8 * 1024, WRITE = 128 * 1024 };
#define MS INT64_C(1000000)

/* ---- receiver ----------------------------------------------------------- */

struct receiver {
    sonic_io *io;
    sonic_listener *listener;
    char address[SONIC_ADDRESS_TEXT];
    bool lend;
    char buf[READ];
    uint64_t bytes, calls;
    int64_t began, ended;
    int err;
};

static void
end(struct receiver *r, sonic_stream *s, int err)
{
    r->ended = sonic_clock_monotonic(NULL);
    r->err = err == SONIC_EOF ? 0 : err;
    sonic_stream_free(s);
    sonic_io_stop(r->io);
}

static void
on_read(sonic_stream *s, int err, size_t n, void *ud)
{
    struct receiver *r = ud;

    if (err < 0) {
        end(r, s, err);
        return;
    }
    r->bytes += n;
    r->calls++;
    sonic_stream_async_read(s, r->buf, sizeof r->buf, on_read, r);
}

static void
on_lent(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct receiver *r = ud;

    (void)data; /* a real program would look at it here */
    if (err < 0) {
        end(r, s, err);
        return;
    }
    r->bytes += len;
    r->calls++;
    sonic_stream_consume(s, len);
    sonic_stream_lend(s, 1, 0, on_lent, r);
}

static void
on_accept(sonic_listener *l, int err, sonic_stream *s, void *ud)
{
    struct receiver *r = ud;

    (void)l;
    r->began = sonic_clock_monotonic(NULL);
    if (err < 0)
        end(r, NULL, err);
    else if (r->lend)
        sonic_stream_lend(s, 1, 0, on_lent, r);
    else
        sonic_stream_async_read(s, r->buf, sizeof r->buf, on_read, r);
}

static int
open_receiver(struct receiver *r, const char *at)
{
    sonic_address address;
    int err = sonic_io_new(&r->io, NULL);

    if (err == 0)
        err = sonic_listener_new(r->io, at, NULL, &r->listener);
    if (err == 0)
        err = sonic_listener_address(r->listener, &address);
    if (err < 0)
        return err;
    sonic_address_format(&address, r->address, sizeof r->address);
    sonic_listener_async_accept(r->listener, on_accept, r);
    return 0;
}

static int
receive(struct receiver *r)
{
    int err = sonic_io_run(r->io);
    double s;

    if (err < 0 || r->err < 0)
        return err < 0 ? err : r->err;
    s = (double)(r->ended - r->began) / 1e9;
    printf("%s: %.0f MB in %.2f s, %.1f Gbit/s, %.0f bytes a callback\n",
           r->lend ? "lent      " : "8 KiB read", (double)r->bytes / 1e6, s,
           (double)r->bytes * 8 / 1e9 / s,
           (double)r->bytes / (double)(r->calls ? r->calls : 1));
    return r->bytes > 0 ? 0 : -EIO;
}

/* ---- sender ------------------------------------------------------------- */

struct sender {
    const char *address;
    int64_t time; /* to send for */
    int64_t until;
    char buf[WRITE];
    int err;
};

static void
on_written(sonic_stream *s, int err, size_t n, void *ud)
{
    struct sender *t = ud;

    (void)n;
    t->err = err;
    if (err == 0 && sonic_clock_monotonic(NULL) < t->until)
        sonic_stream_async_write(s, t->buf, sizeof t->buf, on_written, t);
    else
        sonic_stream_free(s);
}

static int
send_all(struct sender *t)
{
    sonic_io *io = NULL;
    sonic_stream *s;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = sonic_stream_new(io, &s);
    if (err == 0)
        err = sonic_stream_connect(s, t->address, NULL);
    if (err == 0) {
        t->until = sonic_clock_monotonic(NULL) + t->time;
        sonic_stream_async_write(s, t->buf, sizeof t->buf, on_written, t);
        err = sonic_io_run(io);
    }
    sonic_io_free(io);
    return err < 0 ? err : t->err;
}

static void *
sender_thread(void *arg)
{
    struct sender *t = arg;

    t->err = send_all(t);
    return NULL;
}

/* ---- both --------------------------------------------------------------- */

static int
both(bool lend)
{
    static struct receiver r;
    static struct sender t;
    pthread_t thread;
    int err;

    memset(&r, 0, sizeof r);
    r.lend = lend;
    err = open_receiver(&r, "127.0.0.1:0");
    if (err == 0) {
        t.address = r.address;
        t.time = 300 * MS;
        pthread_create(&thread, NULL, sender_thread, &t);
        err = receive(&r);
        pthread_join(thread, NULL);
    }
    sonic_io_free(r.io);
    return err < 0 ? err : t.err;
}

int
main(int argc, char **argv)
{
    static struct receiver r;
    static struct sender t;
    int err;

    if (argc < 3) {
        err = both(false);
        if (err == 0)
            err = both(true);
    } else if (strcmp(argv[1], "server") == 0) {
        err = open_receiver(&r, argv[2]);
        if (err == 0)
            err = receive(&r);
        sonic_io_free(r.io);
    } else {
        t.address = argv[2];
        t.time = 2000 * MS;
        err = send_all(&t);
    }
    if (err < 0)
        fprintf(stderr, "iperf: %s\n", sonic_strerror(err));
    return err < 0;
}
