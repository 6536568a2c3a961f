/* soup_client_server - a SoupBinTCP session that survives its connection
 *
 * The server has a session of 20 messages, and cuts the first connection after
 * the eighth.  The client logs in again, and goes on with the ninth.  It is
 * written in the blocking style; the server's callbacks run meanwhile. */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { MESSAGES = 20, CUT_AFTER = 8 };

/* ---- the server -------------------------------------------------------- */

static unsigned logins;

static void
on_login(sonic_soup *soup, const sonic_soup_login *login, void *ud)
{
    int err;

    (void)ud;
    if (sonic_soup_same(login->user, "alice") &&
        sonic_soup_same(login->password, "secret"))
        err = sonic_soup_accept(soup, "MONDAY", login->sequence);
    else
        err = sonic_soup_reject(soup, SONIC_SOUP_NOT_AUTHORIZED);
    if (err < 0)
        sonic_soup_terminate(soup);
    logins++;
}

/* Any message, old or new, by its number. */
static const void *
source(sonic_soup *soup, uint64_t sequence, size_t *len, void *ud)
{
    static char text[32];

    (void)ud;
    if (sequence > MESSAGES) {
        sonic_soup_close(soup); /* the session is over */
        return NULL;
    }
    if (logins == 1 && sequence > CUT_AFTER) {
        sonic_soup_terminate(soup);
        return NULL;
    }
    *len = (size_t)snprintf(text, sizeof text, "message %d", (int)sequence);
    return text;
}

static void
on_unsequenced(sonic_soup *soup, uint8_t *data, size_t len, void *ud)
{
    (void)soup;
    (void)ud;
    printf("the server got: %.*s\n", (int)len, (const char *)data);
}

static void
on_close(sonic_soup *soup, const sonic_soup_close_record *why, void *ud)
{
    (void)why;
    (void)ud;
    sonic_soup_free(soup);
}

static const sonic_soup_handler server = {
    SONIC_SOUP_HANDLER_INIT,          .on_login = on_login, .source = source,
    .on_unsequenced = on_unsequenced, .on_close = on_close,
};

static void
on_accept(sonic_listener *listener, int err, sonic_stream *stream, void *ud)
{
    sonic_soup *soup;

    if (err == 0 &&
        sonic_soup_server_new(stream, NULL, &server, NULL, &soup) < 0)
        sonic_stream_free(stream);
    if (err != -ECANCELED && err != SONIC_ECLOSED)
        sonic_listener_async_accept(listener, on_accept, ud);
}

/* ---- the client -------------------------------------------------------- */

/* One connection: messages until it ends.  SONIC_EOF: so did the session. */
static int
follow(sonic_io *io, const char *address, sonic_soup_position *at,
       unsigned *count)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    sonic_soup *soup = NULL;
    sonic_stream *stream;
    uint64_t sequence;
    char buf[64];
    size_t len;
    int err = sonic_stream_new(io, &stream);

    if (err == 0)
        err = sonic_stream_connect(stream, address, NULL);
    opt.user = "alice";
    opt.password = "secret";
    opt.position = at; /* where it was, and kept up to date */
    if (err == 0)
        err = sonic_soup_client_new(stream, &opt, NULL, NULL, &soup);
    if (err == 0)
        err = sonic_soup_wait(soup);
    if (err == 0)
        err = sonic_soup_send_unsequenced(soup, "an order", 8);
    while (err >= 0) {
        err = sonic_soup_read(soup, buf, sizeof buf, &len, &sequence);
        if (err == 0) {
            printf("%2llu: %.*s\n", (unsigned long long)sequence, (int)len,
                   buf);
            ++*count;
        }
    }
    sonic_soup_free(soup);
    return err;
}

int
main(void)
{
    char address[SONIC_ADDRESS_TEXT];
    sonic_soup_position at = {"", 0};
    sonic_listener *listener;
    unsigned count = 0;
    sonic_io *io = NULL;
    sonic_address bound;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = sonic_listener_new(io, "127.0.0.1:0", NULL, &listener);
    if (err == 0)
        err = sonic_listener_address(listener, &bound);
    if (err == 0) {
        sonic_address_format(&bound, address, sizeof address);
        sonic_listener_async_accept(listener, on_accept, NULL);
        err = follow(io, address, &at, &count);
        printf("the connection broke (%s); next is message %llu\n",
               sonic_strerror(err), (unsigned long long)at.next);
        err = follow(io, address, &at, &count);
    }
    if (err < 0 && err != SONIC_EOF)
        fprintf(stderr, "soup_client_server: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err != SONIC_EOF || count != MESSAGES || logins != 2;
}
