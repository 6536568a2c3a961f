/* udp_send_recv - datagrams from one socket to another
 *
 *     udp_send_recv                        both ends, over a port the system
 *                                          chooses
 *     udp_send_recv recv ADDRESS           print what comes, until it is killed
 *     udp_send_recv send ADDRESS TEXT...   a datagram for each TEXT
 *
 * The receiver shows the zero-copy read: it is lent all that one system call
 * brought, where it was received.  The sender is connected, so that it hears
 * when nobody is there. */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

static int
fail(const char *what, int err)
{
    fprintf(stderr, "%s: %s\n", what, sonic_strerror(err));
    return 1;
}

/* ---- receiver --------------------------------------------------------- */

struct receiver {
    sonic_udp *udp;
    int left; /* datagrams to wait for; negative: no end */
};

static void
on_datagrams(sonic_udp *udp, int err, const sonic_datagram *d, size_t n,
             void *ud)
{
    struct receiver *r = ud;
    char from[SONIC_ADDRESS_TEXT];

    if (err < 0)
        return;
    for (size_t i = 0; i < n; i++, r->left--) {
        sonic_address_format(d[i].from, from, sizeof from);
        printf("%zu bytes from %s: %.*s%s\n", d[i].len, from, (int)d[i].len,
               (const char *)d[i].data, d[i].truncated ? " (cut)" : "");
    }
    if (r->left != 0)
        sonic_udp_lend(udp, on_datagrams, r); /* go on */
    else
        sonic_udp_close(udp);
}

/* Returns where it listens. */
static int
receive(sonic_io *io, const char *address, struct receiver *r, char *where)
{
    sonic_address bound;
    int err = sonic_udp_new(io, address, NULL, &r->udp);

    if (err == 0)
        err = sonic_udp_local_address(r->udp, &bound);
    if (err < 0)
        return fail(address, err);
    sonic_address_format(&bound, where, SONIC_ADDRESS_TEXT);
    printf("receiving at %s\n", where);
    sonic_udp_lend(r->udp, on_datagrams, r);
    return 0;
}

/* ---- sender ----------------------------------------------------------- */

static void
on_refused(sonic_udp *udp, int err, const sonic_datagram *d, void *ud)
{
    (void)udp;
    (void)d;
    (void)ud;
    if (err < 0 && err != -ECANCELED)
        fail("the other end", err);
}

static int
send_all(sonic_io *io, const char *address, const char *const *text, int n)
{
    static char nothing[1];
    sonic_udp *udp;
    int err = sonic_udp_dial(io, address, NULL, &udp);

    /* nothing is expected but word that nobody is there */
    if (err == 0)
        sonic_udp_async_read(udp, nothing, sizeof nothing, on_refused, NULL);
    for (int i = 0; err == 0 && i < n; i++) {
        err = sonic_udp_write(udp, NULL, text[i], strlen(text[i]));
        if (err == 0)
            sonic_io_poll(io);
    }
    if (err < 0)
        return fail(address, err);
    sonic_udp_free(udp);
    return 0;
}

static int
both(sonic_io *io)
{
    static const char *const text[] = {"one", "two", "", "four"};
    struct receiver r = {.left = 4};
    char where[SONIC_ADDRESS_TEXT];

    if (receive(io, "127.0.0.1:0", &r, where) != 0 ||
        send_all(io, where, text, 4) != 0)
        return 1;
    sonic_io_run(io); /* until the last one has come */
    return r.left;
}

int
main(int argc, char **argv)
{
    struct receiver r = {.left = -1};
    char where[SONIC_ADDRESS_TEXT];
    int status = 2;
    sonic_io *io;

    if (sonic_io_new(&io, NULL) < 0)
        return 1;
    if (argc == 1) {
        status = both(io);
    } else if (argc == 3 && strcmp(argv[1], "recv") == 0) {
        status = receive(io, argv[2], &r, where);
        sonic_io_run(io);
    } else if (argc > 3 && strcmp(argv[1], "send") == 0) {
        status = send_all(io, argv[2], (const char *const *)&argv[3], argc - 3);
    } else {
        fprintf(stderr, "usage: %s [recv ADDRESS | send ADDRESS TEXT...]\n",
                argv[0]);
    }
    sonic_io_free(io);
    return status;
}
