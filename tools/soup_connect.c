/* sonicio soup connect: follow a session to its end, however often the
 * connection breaks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/timer.h>

#include "hexdump.h"
#include "soup.h"

enum { BACKOFF = 100000000 /* ns before the next attempt */ };

struct follow {
    const struct soup_options *o;
    sonic_io *io;
    sonic_stream *stream;
    sonic_stream *input; /* standard input; NULL: it has ended */
    sonic_soup *soup;
    sonic_timer *timer;
    sonic_soup_position at;
    uint64_t first;    /* number that it began with */
    uint64_t expected; /* by our own count */
    uint64_t messages, bytes, logins, breaks, gaps, sent;
    unsigned failures; /* in a row */
    bool good, over;
    bool reading; /* standard input, since somebody is there to be told */
    FILE *dump;
};

static void dial(struct follow *f);
static void read_input(struct follow *f);

static void
finish(struct follow *f, bool good)
{
    f->over = true;
    f->good = good;
    sonic_io_stop(f->io);
}

static void
dump_packet(struct follow *f, char letter, char type, const void *data,
            size_t len)
{
    uint8_t packet[3 + SONIC_SOUP_MESSAGE_MAX];

    if (f->dump == NULL)
        return;
    packet[0] = (uint8_t)((len + 1) >> 8);
    packet[1] = (uint8_t)(len + 1);
    packet[2] = (uint8_t)type;
    if (len > 0)
        memcpy(packet + 3, data, len);
    hexdump(f->dump, letter, packet, len + 3);
}

/* ---- the connection ---------------------------------------------------- */

static void
on_open(sonic_soup *soup, const char *session, uint64_t next, void *ud)
{
    struct follow *f = ud;
    char body[31];

    (void)soup;
    f->failures = 0;
    if (f->logins++ == 0)
        f->first = f->expected = next;
    (void)snprintf(body, sizeof body, "%10s%20llu", session,
                   (unsigned long long)next);
    dump_packet(f, 'I', 'A', body, 30);
    read_input(f);
    if (!f->o->quiet && !f->o->json)
        fprintf(stderr, "session %s, from message %llu on\n", session,
                (unsigned long long)next);
}

static void
on_message(sonic_soup *soup, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    struct follow *f = ud;

    dump_packet(f, 'I', 'S', data, len);
    f->messages++;
    f->bytes += len;
    f->gaps += sequence != f->expected;
    f->expected = sequence + 1;
    if (!f->o->quiet && !f->o->json)
        printf("%llu %.*s\n", (unsigned long long)sequence, (int)len,
               (const char *)data);
    if (f->o->count > 0 && f->messages == f->o->count)
        sonic_soup_close(soup);
}

static void
on_debug(sonic_soup *soup, const char *text, size_t len, void *ud)
{
    (void)soup;
    (void)ud;
    fprintf(stderr, "+ %.*s\n", (int)len, text);
}

static void
on_retry(sonic_timer *t, int err, void *ud)
{
    (void)t;
    if (err == 0)
        dial(ud);
}

/* Come back in a while, unless that was once too often. */
static void
again(struct follow *f, const char *what, int err)
{
    if (++f->failures > f->o->retries) {
        soup_failed(what, err);
        finish(f, false);
        return;
    }
    if (!f->o->quiet && !f->o->json)
        fprintf(stderr, "%s: %s; coming back\n", what, sonic_strerror(err));
    sonic_timer_once(f->timer, BACKOFF, on_retry, f);
}

static void
on_close(sonic_soup *soup, const sonic_soup_close_record *why, void *ud)
{
    struct follow *f = ud;

    sonic_soup_free(soup);
    f->soup = NULL;
    if (f->over)
        return;
    switch (why->end) {
    case SONIC_SOUP_LOGOUT:
        finish(f, true); /* --count */
        return;
    case SONIC_SOUP_SESSION:
        dump_packet(f, 'I', 'Z', NULL, 0);
        finish(f, true);
        return;
    case SONIC_SOUP_REJECTED:
        complain("soup", "login refused: %s",
                 why->reject == SONIC_SOUP_NO_SESSION
                     ? "no such session, or number"
                     : "wrong user or password");
        finish(f, false);
        return;
    default:
        if (why->error == SONIC_ESOUP_SEQUENCE ||
            why->error == SONIC_ESOUP_PACKET ||
            why->error == SONIC_ESOUP_UNEXPECTED) {
            soup_failed(f->o->address, why->error);
            finish(f, false);
            return;
        }
        f->breaks++;
        again(f, f->o->address, why->error);
    }
}

static const sonic_soup_handler handler = {
    SONIC_SOUP_HANDLER_INIT, .on_open = on_open,   .on_message = on_message,
    .on_debug = on_debug,    .on_close = on_close,
};

static void
on_connect(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct follow *f = ud;
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    char body[48];

    (void)n;
    f->stream = NULL;
    if (err == 0) {
        opt.user = f->o->user;
        opt.password = f->o->password;
        opt.position = &f->at;
        opt.most_recent =
            f->o->recent && f->logins == 0 ? SONIC_ON : SONIC_DEFAULT;
        opt.heartbeat = f->o->heartbeat;
        opt.silence = f->o->silence;
        (void)snprintf(body, sizeof body, "%-6s%-10s%10s%20llu", opt.user,
                       opt.password, f->at.session,
                       opt.most_recent == SONIC_ON
                           ? 0ULL
                           : (unsigned long long)f->at.next);
        err = sonic_soup_client_new(stream, &opt, &handler, f, &f->soup);
        if (err == 0)
            dump_packet(f, 'O', 'L', body, 46);
    }
    if (err < 0) {
        sonic_stream_free(stream);
        again(f, f->o->address, err);
    }
}

static void
dial(struct follow *f)
{
    int err = sonic_stream_new(f->io, &f->stream);

    if (err < 0) {
        soup_failed("stream", err);
        finish(f, false);
        return;
    }
    sonic_stream_async_connect(f->stream, f->o->address, NULL, on_connect, f);
}

/* ---- lines of standard input ------------------------------------------- */

static bool
can_send(const struct follow *f)
{
    return f->soup != NULL && sonic_soup_state(f->soup) == SONIC_SOUP_OPEN;
}

/* Lines wait while there is no connection. */
static void
on_input(sonic_stream *in, int err, uint8_t *data, size_t len, void *ud)
{
    struct follow *f = ud;
    uint8_t *end;
    size_t n;

    f->reading = false;
    while (len > 0 && can_send(f) && (end = memchr(data, '\n', len)) != NULL) {
        n = (size_t)(end - data);
        if (sonic_soup_send_unsequenced(f->soup, data, n) >= 0) {
            dump_packet(f, 'O', 'U', data, n);
            f->sent++;
        }
        data = end + 1;
        len -= n + 1;
        sonic_stream_consume(in, n + 1);
    }
    if ((err < 0 && can_send(f)) || len >= SONIC_SOUP_MESSAGE_MAX) {
        sonic_stream_free(in);
        f->input = NULL;
    } else if (can_send(f)) {
        f->reading = true;
        sonic_stream_lend(in, len + 1, 0, on_input, f);
    }
}

static void
read_input(struct follow *f)
{
    if (f->input == NULL || f->reading)
        return;
    f->reading = true;
    sonic_stream_lend(f->input, 1, 0, on_input, f);
}

/* A terminal or a pipe; what is neither is left alone. */
static void
open_input(struct follow *f)
{
    int fd = dup(STDIN_FILENO);

    if (fd < 0 || sonic_stream_adopt(f->io, fd, &f->input) < 0) {
        f->input = NULL;
        if (fd >= 0)
            close(fd);
    }
}

/* ---- all of it --------------------------------------------------------- */

static void
show(const struct follow *f)
{
    struct json j = {stdout, false};

    if (!f->o->json) {
        fprintf(stderr,
                "%llu messages, from %llu to %llu; %llu logins, %llu broken "
                "connections, %llu gaps\n",
                (unsigned long long)f->messages, (unsigned long long)f->first,
                (unsigned long long)(f->expected - (f->messages > 0)),
                (unsigned long long)f->logins, (unsigned long long)f->breaks,
                (unsigned long long)f->gaps);
        return;
    }
    json_begin(&j, NULL);
    json_text(&j, "session", f->at.session);
    json_count(&j, "messages", f->messages);
    json_count(&j, "bytes", f->bytes);
    json_count(&j, "first", f->first);
    json_count(&j, "next", f->at.next);
    json_count(&j, "logins", f->logins);
    json_count(&j, "breaks", f->breaks);
    json_count(&j, "gaps", f->gaps);
    json_count(&j, "sent", f->sent);
    json_bool(&j, "ended", f->good);
    json_end(&j);
    putchar('\n');
}

int
soup_connect(const struct soup_options *o)
{
    struct follow f = {.o = o, .at = {.next = o->first}};
    int err = sonic_io_new(&f.io, NULL);

    if (o->session != NULL)
        strcpy(f.at.session, o->session);
    if (err == 0 && o->dump != NULL && (f.dump = fopen(o->dump, "w")) == NULL)
        err = -errno;
    if (err == 0)
        err = sonic_timer_new(f.io, &f.timer);
    if (err == 0) {
        open_input(&f);
        dial(&f);
        err = run_io(f.io, RUN_BLOCKING);
        show(&f);
    }
    sonic_io_free(f.io);
    if (f.dump != NULL && fclose(f.dump) != 0 && err == 0)
        err = -errno;
    if (err < 0)
        return soup_failed(o->dump != NULL ? o->dump : o->address, err);
    return f.good && f.gaps == 0 ? EXIT_GOOD : EXIT_BAD;
}
