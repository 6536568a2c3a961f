#include "talk.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/signal.h>
#include <sonicio/timer.h>

#include "input.h"

/* The longest line; the queue takes two of them. */
#define LINE_MAX_BYTES ((size_t)1 << 30)
#define QUEUE_LIMIT ((size_t)2 << 30)

struct talk {
    const struct talk_options *opt;
    sonic_io *io;
    sonic_ws *ws;
    sonic_tls_context *tls;
    sonic_timer *wait;
    sonic_signal *signal;
    sigset_t ends;
    struct input input;
    size_t at;  /* where in the block the next line begins */
    char *line; /* a line that began in an earlier block ... */
    size_t len; /* ... its bytes, and the room for it */
    size_t room;
    bool full;        /* a send said so: wait for on_drain */
    bool interrupted; /* a signal has come */
    bool failed;      /* we gave up, and said why */
    bool unreadable;  /* standard input failed, or a line of it was bad */
    bool over;
    uint64_t received, lines; /* lines of the input */
    sonic_ws_close_record why;
};

/* End for a reason of our own. */
static void
give_up(struct talk *t, const char *what, int err)
{
    complain("connect", "%s: %s", what, sonic_strerror(err));
    t->failed = true;
    sonic_ws_terminate(t->ws);
}

static void
say_goodbye(struct talk *t)
{
    /* When closing has begun already there is nothing to do. */
    if (sonic_ws_close(t->ws, SONIC_WS_NORMAL, NULL) < 0)
        return;
}

/* ---- from standard input ---------------------------------------------- */

/* RFC 3629 section 4. */
static bool
is_utf8(const unsigned char *p, size_t len)
{
    while (len > 0) {
        size_t n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
        uint32_t c = n == 1 ? *p : *p & (0x7fu >> n);
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

        if (n > len || (*p >= 0x80 && *p < 0xc2) || *p > 0xf4)
            return false;
        for (size_t i = 1; i < n; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
        p += n;
        len -= n;
    }
    return true;
}

/* A peer would close for such a line, and never see those behind it. */
static void
refuse_line(struct talk *t)
{
    complain("connect",
             "line %llu of the input is not UTF-8, and ends it; --binary sends "
             "any bytes",
             (unsigned long long)t->lines);
    t->unreadable = true;
    say_goodbye(t);
}

static void
send_line(struct talk *t, const void *data, size_t len)
{
    int r;

    t->lines++;
    if (!t->opt->binary && t->opt->ws.no_utf8 != SONIC_ON &&
        !is_utf8(data, len)) {
        refuse_line(t);
        return;
    }
    r = sonic_ws_send(t->ws, t->opt->binary ? SONIC_WS_BINARY : SONIC_WS_TEXT,
                      data, len);
    if (r == 1)
        t->full = true;
    else if (r < 0 && sonic_ws_state(t->ws) == SONIC_WS_OPEN)
        give_up(t, "cannot send", r);
}

/* Keep the beginning of a line. */
static int
keep(struct talk *t, const char *data, size_t len)
{
    if (len > LINE_MAX_BYTES - t->len)
        return SONIC_ETOOBIG;
    if (t->len + len > t->room) {
        size_t room = 2 * (t->len + len);
        char *line = realloc(t->line, room);

        if (line == NULL)
            return -ENOMEM;
        t->line = line;
        t->room = room;
    }
    memcpy(t->line + t->len, data, len);
    t->len += len;
    return 0;
}

static void
on_wait(sonic_timer *timer, int err, void *ud)
{
    (void)timer;
    if (err == 0)
        say_goodbye(ud);
}

static void
end_of_input(struct talk *t)
{
    if (t->input.len < 0) {
        complain("connect", "cannot read standard input: %s",
                 sonic_strerror((int)t->input.len));
        t->unreadable = true;
    }
    if (t->len > 0)
        send_line(t, t->line, t->len);
    t->len = 0;
    if (t->opt->wait >= 0)
        sonic_timer_once(t->wait, t->opt->wait, on_wait, t);
}

/* The next line of the block.  false: there is none, its beginning is kept. */
static bool
next_line(struct talk *t)
{
    const char *begin = t->input.block + t->at;
    size_t rest = (size_t)t->input.len - t->at;
    const char *end = memchr(begin, '\n', rest);
    size_t len = end != NULL ? (size_t)(end - begin) : rest;
    int err = 0;

    if (end == NULL || t->len > 0)
        err = keep(t, begin, len);
    t->at += len + (end != NULL);
    if (err < 0)
        give_up(t, "line of the input", err);
    if (err < 0 || end == NULL)
        return false;
    if (t->len > 0)
        send_line(t, t->line, t->len);
    else
        send_line(t, begin, len);
    t->len = 0;
    return true;
}

static void
take_lines(struct talk *t)
{
    while (!t->full && !t->failed && !t->unreadable &&
           t->at < (size_t)t->input.len)
        next_line(t);
    if (!t->full && !t->failed && !t->unreadable)
        input_next(&t->input);
}

static void
on_input(sonic_io *io, void *ud)
{
    struct talk *t = ud;

    (void)io;
    t->at = 0;
    if (t->over)
        return;
    if (t->input.len > 0)
        take_lines(t);
    else
        end_of_input(t);
}

/* ---- from the connection ---------------------------------------------- */

static void
on_open(sonic_ws *ws, void *ud)
{
    struct talk *t = ud;
    const char *sub = sonic_ws_subprotocol(ws), *ext = sonic_ws_extensions(ws);
    int err;

    if (!t->opt->quiet)
        fprintf(stderr, "connected to %s%s%s%s%s\n", t->opt->url,
                sub != NULL ? ", subprotocol " : "", sub != NULL ? sub : "",
                ext != NULL ? ", " : "", ext != NULL ? ext : "");
    show_doubt(sonic_ws_next_layer(ws), t->opt);
    err = input_start(&t->input, t->io, on_input, t);
    if (err < 0)
        give_up(t, "cannot read standard input", err);
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct talk *t = ud;

    (void)ws;
    if (t->opt->count > 0 && t->received == t->opt->count)
        return; /* came while we were closing */
    t->received++;
    if (m->opcode == SONIC_WS_TEXT)
        show_text((const char *)m->data, m->len);
    else if (t->opt->binary)
        show_raw(m->data, m->len);
    else
        show_dump(m->data, m->len);
    if (flush_output("connect") < 0) {
        t->failed = true; /* and it was said */
        sonic_ws_terminate(t->ws);
    } else if (t->received == t->opt->count)
        say_goodbye(t);
}

static void
on_control(sonic_ws *ws, enum sonic_ws_opcode opcode, const uint8_t *data,
           size_t len, void *ud)
{
    struct talk *t = ud;
    char text[16];

    (void)data;
    (void)len;
    if (opcode != SONIC_WS_PONG || t->opt->quiet || sonic_ws_rtt(ws) == 0)
        return;
    sonic_histogram_format(sonic_ws_rtt(ws), text, sizeof text);
    fprintf(stderr, "pong after %s\n", text);
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    struct talk *t = ud;

    (void)ws;
    t->full = false;
    if (t->input.len > 0)
        take_lines(t);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct talk *t = ud;

    (void)ws;
    t->why = *why;
    t->over = true;
    sonic_io_stop(t->io);
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT,    .on_open = on_open,   .on_message = on_message,
    .on_control = on_control, .on_drain = on_drain, .on_close = on_close};

/* ---- beginning, ending ------------------------------------------------ */

/* The first signal closes, the second does what it does by default. */
static void
on_signal(sonic_signal *sig, int err, int signo, void *ud)
{
    struct talk *t = ud;

    if (err < 0)
        return;
    if (t->interrupted) {
        signal(signo, SIG_DFL);
        raise(signo);
        pthread_sigmask(SIG_UNBLOCK, &t->ends, NULL);
    }
    t->interrupted = true;
    sonic_signal_async_wait(sig, on_signal, t);
    if (sonic_ws_state(t->ws) < SONIC_WS_OPEN)
        sonic_ws_terminate(t->ws);
    else
        say_goodbye(t);
}

static int
begin(struct talk *t)
{
    sonic_ws_options wopt = t->opt->ws;
    int err = sonic_io_new(&t->io, NULL);

    if (err < 0)
        return err;
    sigemptyset(&t->ends);
    sigaddset(&t->ends, SIGINT);
    sigaddset(&t->ends, SIGTERM);
    err = sonic_signal_new(t->io, &t->ends, &t->signal);
    if (err == 0)
        err = sonic_timer_new(t->io, &t->wait);
    if (err == 0 && strncmp(t->opt->url, "wss", 3) == 0) {
        err = secure_client(t->io, "connect", &t->opt->tls, &t->tls);
        t->failed = err < 0; /* and it was said */
    }
    wopt.queue_limit = QUEUE_LIMIT;
    wopt.tls = t->tls;
    if (err == 0)
        err = sonic_ws_new(t->io, &wopt, &handler, t, &t->ws);
    if (err < 0)
        return err;
    sonic_signal_async_wait(t->signal, on_signal, t);
    sonic_ws_async_connect(t->ws, t->opt->url, NULL, NULL);
    return 0;
}

/* The URL of the proxy was wrong; our own was looked at before. */
static bool
refused_proxy(const sonic_ws_close_record *why)
{
    return why->error == SONIC_EWS_URL || why->error == SONIC_EOPTION;
}

/* What the exit status says, and why where the close record does not. */
static int
judge(const struct talk *t)
{
    if (t->failed || !t->over)
        return EXIT_BAD;
    show_close(&t->why, t->opt);
    if (refused_proxy(&t->why)) {
        fputs("Try: sonicio connect --help\n", stderr);
        return EXIT_USAGE;
    }
    if (!went_well(&t->why) || t->unreadable)
        return EXIT_BAD;
    if (t->received < t->opt->count) {
        complain("connect", "%llu of %llu messages came",
                 (unsigned long long)t->received,
                 (unsigned long long)t->opt->count);
        return EXIT_BAD;
    }
    return EXIT_GOOD;
}

int
talk(const struct talk_options *opt)
{
    struct talk *t = calloc(1, sizeof *t);
    int err = t != NULL ? 0 : -ENOMEM, status = EXIT_BAD;

    if (err == 0) {
        t->opt = opt;
        err = begin(t);
    }
    if (err == 0 && !t->over)
        err = run_io(t->io, RUN_BLOCKING);
    if (err < 0 && (t == NULL || !t->failed))
        complain("connect", "%s", sonic_strerror(err));
    else if (err == 0)
        status = judge(t);
    if (t != NULL) {
        input_stop(&t->input);
        sonic_ws_free(t->ws);
        sonic_io_free(t->io);
        sonic_tls_context_free(t->tls);
        free(t->line);
        free(t);
    }
    return status;
}
