/* subject - an echo of every kind, for the conformance runner to play against
 *
 * usage: subject server ADDRESS [OPTION...]
 *        subject client URL [OPTION...]
 *   --deliver whole|chunk|frame|read|into|read-chunk|read-frame
 *   --send send|parts|async|reserve
 *   --takeover 0|1, --peer-takeover 0|1, --bits N, --peer-bits N, --memory N,
 *   --level N, --threshold N         of permessage-deflate
 *   --cert PREFIX                    a server's TLS, of PREFIX.crt and .key
 *
 * The server prints its address and echoes.  The client asks for a number of
 * cases, and for each, as the clients of Autobahn do; it goes on whatever
 * becomes of one.  It links the library that has assertions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum deliver {
    DELIVER_WHOLE,
    DELIVER_CHUNK,
    DELIVER_FRAME,
    DELIVER_READ, /* from here on by operations */
    DELIVER_INTO,
    DELIVER_READ_CHUNK,
    DELIVER_READ_FRAME
};
enum send { SEND_PLAIN, SEND_PARTS, SEND_ASYNC, SEND_RESERVE };
enum { INTO = 65 << 20, RESERVE = 16000 };

/* The runner plays one case at a time: so there is one connection. */
static struct {
    sonic_io *io;
    enum deliver deliver;
    enum send send;
    bool waiting; /* for room, to read on */
    bool counting;
    int cases;
    uint8_t *into;
    sonic_ws_deflate_options deflate;
    const char *cert; /* prefix of a server's .crt and .key */
    sonic_tls_context *tls;
} s = {.deflate = SONIC_WS_DEFLATE_OPTIONS_INIT};

static const char *const delivers[] = {"whole",      "chunk", "frame",
                                       "read",       "into",  "read-chunk",
                                       "read-frame", NULL};
static const char *const sends[] = {"send", "parts", "async", "reserve", NULL};

static void read_on(sonic_ws *ws);

/* ---- sending ----------------------------------------------------------- */

static void
on_sent(sonic_ws *ws, int err, void *ud)
{
    (void)ws;
    (void)err;
    free(ud);
}

static int
send_copy(sonic_ws *ws, const sonic_ws_message *m)
{
    uint8_t *copy = malloc(m->len + 1);

    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, m->data, m->len);
    sonic_ws_async_send(ws, (enum sonic_ws_opcode)m->opcode, copy, m->len,
                        on_sent, copy);
    return 0;
}

static int
send_parts(sonic_ws *ws, const sonic_ws_message *m)
{
    size_t half = m->len / 2;
    int r = sonic_ws_send_part(ws, (enum sonic_ws_opcode)m->opcode, m->data,
                               half, false);

    return r < 0 ? r
                 : sonic_ws_send_part(ws, (enum sonic_ws_opcode)m->opcode,
                                      m->data + half, m->len - half, true);
}

static int
send_whole(sonic_ws *ws, const sonic_ws_message *m)
{
    enum sonic_ws_opcode opcode = (enum sonic_ws_opcode)m->opcode;
    uint8_t *to;

    switch (s.send) {
    case SEND_PARTS:
        return send_parts(ws, m);
    case SEND_ASYNC:
        return send_copy(ws, m);
    case SEND_RESERVE:
        to = m->len <= RESERVE ? sonic_ws_reserve(ws, m->len) : NULL;
        if (to != NULL) {
            memcpy(to, m->data, m->len);
            return sonic_ws_commit(ws, opcode, m->len);
        }
        break;
    default:
        break;
    }
    return sonic_ws_send(ws, opcode, m->data, m->len);
}

/* What came goes back, or says how many cases there are. */
static int
echo(sonic_ws *ws, const sonic_ws_message *m)
{
    if (s.counting) {
        for (size_t i = 0; i < m->len; i++)
            if (m->data[i] >= '0' && m->data[i] <= '9' && s.cases < 100000)
                s.cases = s.cases * 10 + m->data[i] - '0';
        return 0;
    }
    if (m->opcode >= SONIC_WS_CLOSE)
        return 0; /* a control frame, seen on its way */
    if (s.deliver == DELIVER_FRAME || s.deliver == DELIVER_READ_FRAME)
        return sonic_ws_send_frame(
            ws, m->last, 0, (enum sonic_ws_opcode)m->opcode, m->data, m->len);
    if (s.deliver == DELIVER_CHUNK || s.deliver == DELIVER_READ_CHUNK)
        return sonic_ws_send_part(ws, (enum sonic_ws_opcode)m->opcode, m->data,
                                  m->len, m->last);
    return send_whole(ws, m);
}

/* ---- receiving --------------------------------------------------------- */

static void
on_data(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    if (echo(ws, m) == 1)
        sonic_ws_pause(ws);
}

static void
on_drain(sonic_ws *ws, void *ud)
{
    (void)ud;
    sonic_ws_resume(ws);
    if (s.deliver >= DELIVER_READ && s.waiting) {
        s.waiting = false;
        read_on(ws);
    }
}

static void
on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    if (err < 0)
        return;
    if (echo(ws, m) == 1)
        s.waiting = true;
    else
        read_on(ws);
}

static void
read_on(sonic_ws *ws)
{
    if (s.deliver == DELIVER_READ)
        sonic_ws_async_read(ws, on_read, NULL);
    else if (s.deliver == DELIVER_INTO)
        sonic_ws_async_read_into(ws, s.into, INTO, on_read, NULL);
    else if (s.deliver == DELIVER_READ_CHUNK)
        sonic_ws_async_read_chunk(ws, on_read, NULL);
    else if (s.deliver == DELIVER_READ_FRAME)
        sonic_ws_async_read_frame(ws, on_read, NULL);
}

static void
on_open(sonic_ws *ws, void *ud)
{
    (void)ud;
    s.waiting = false;
    read_on(ws);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    (void)why;
    (void)ud;
    if (!sonic_ws_is_server(ws))
        sonic_io_stop(sonic_ws_io(ws));
}

static sonic_ws_handler
make_handler(void)
{
    sonic_ws_handler h = {SONIC_WS_HANDLER_INIT, .on_open = on_open,
                          .on_drain = on_drain, .on_close = on_close};

    if (s.deliver == DELIVER_WHOLE)
        h.on_message = on_data;
    else if (s.deliver == DELIVER_CHUNK)
        h.on_chunk = on_data;
    else if (s.deliver == DELIVER_FRAME)
        h.on_frame = on_data;
    return h;
}

static void
set_options(sonic_ws_options *opt)
{
    opt->queue_limit = (size_t)128 << 20;
    opt->deflate = &s.deflate;
    opt->tls = s.tls; /* a client's is the default one */
}

/* ---- the two roles ----------------------------------------------------- */

static int
converse(const char *url, const sonic_ws_handler *handler)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws *ws;
    int err;

    set_options(&opt);
    err = sonic_ws_new(s.io, &opt, handler, NULL, &ws);
    if (err < 0)
        return err;
    sonic_ws_async_connect(ws, url, NULL, NULL);
    err = sonic_io_run(s.io);
    sonic_io_restart(s.io);
    sonic_ws_free(ws);
    return err < 0 ? err : 0;
}

static int
be_client(const char *url, const sonic_ws_handler *handler)
{
    char text[1024];
    int err;

    s.counting = true;
    snprintf(text, sizeof text, "%s/getCaseCount", url);
    err = converse(text, handler);
    s.counting = false;
    for (int i = 1; i <= s.cases && err == 0; i++) {
        snprintf(text, sizeof text, "%s/runCase?case=%d&agent=subject", url, i);
        err = converse(text, handler);
    }
    snprintf(text, sizeof text, "%s/updateReports?agent=subject", url);
    return err < 0 ? err : converse(text, handler);
}

static void
on_signal(sonic_signal *sig, int err, int signo, void *ud)
{
    (void)sig;
    (void)signo;
    (void)ud;
    if (err >= 0)
        sonic_io_stop(s.io);
}

static int
be_server(const char *address, const sonic_ws_handler *handler)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    char text[SONIC_ADDRESS_TEXT];
    sonic_ws_server *server;
    sonic_signal *sig;
    sonic_address at;
    sigset_t set;
    int err;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    err = sonic_signal_new(s.io, &set, &sig);
    if (err < 0)
        return err;
    sonic_signal_async_wait(sig, on_signal, NULL);
    set_options(&opt);
    err = sonic_ws_server_new(s.io, &opt, handler, NULL, &server);
    if (err == 0)
        err = sonic_ws_server_listen(server, address, NULL, &at);
    if (err < 0)
        return err;
    sonic_address_format(&at, text, sizeof text);
    printf("listening on %s (ws)\n", text);
    fflush(stdout);
    err = sonic_io_run(s.io);
    sonic_ws_server_free(server);
    return err < 0 && err != SONIC_ESTOPPED ? err : 0;
}

static int
choice(const char *const *list, const char *word)
{
    for (int i = 0; list[i] != NULL; i++)
        if (strcmp(list[i], word) == 0)
            return i;
    fprintf(stderr, "subject: what is %s?\n", word);
    exit(2);
}

/* 0 keeps the default. */
static bool
take_number(const char *name, int value)
{
    sonic_ws_deflate_options *d = &s.deflate;
    enum sonic_switch way = value > 0 ? SONIC_ON : SONIC_OFF;

    if (strcmp(name, "--takeover") == 0)
        d->takeover = way;
    else if (strcmp(name, "--peer-takeover") == 0)
        d->peer_takeover = way;
    else if (strcmp(name, "--bits") == 0)
        d->window_bits = value;
    else if (strcmp(name, "--peer-bits") == 0)
        d->peer_window_bits = value;
    else if (strcmp(name, "--memory") == 0)
        d->memory_level = value;
    else if (strcmp(name, "--level") == 0)
        d->level = value;
    else if (strcmp(name, "--threshold") == 0)
        d->threshold = (size_t)value;
    else
        return false;
    return true;
}

static int
open_tls(void)
{
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    char crt[512], key[512];
    sonic_tls_certificate cert = {.chain_file = crt, .key_file = key};

    if (s.cert == NULL)
        return 0;
    snprintf(crt, sizeof crt, "%s.crt", s.cert);
    snprintf(key, sizeof key, "%s.key", s.cert);
    opt.certificates = &cert;
    opt.n_certificates = 1;
    return sonic_tls_context_new(s.io, SONIC_TLS_SERVER, &opt, &s.tls, NULL, 0);
}

int
main(int argc, char **argv)
{
    sonic_ws_handler handler;
    int err;

    if (argc == 2 && strcmp(argv[1], "features") == 0) {
#ifndef SONIC_WITHOUT_TLS
        printf("tls ");
#endif
        printf("%s\n", sonic_ws_can_deflate() ? "deflate" : "");
        return 0;
    }
    if (argc < 3 || argc % 2 == 0) {
        fprintf(stderr, "usage: subject server|client ADDRESS|URL [OPTION "
                        "VALUE]...\n");
        return 2;
    }
    for (int i = 3; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--deliver") == 0)
            s.deliver = (enum deliver)choice(delivers, argv[i + 1]);
        else if (strcmp(argv[i], "--send") == 0)
            s.send = (enum send)choice(sends, argv[i + 1]);
        else if (strcmp(argv[i], "--cert") == 0)
            s.cert = argv[i + 1];
        else if (!take_number(argv[i], atoi(argv[i + 1])))
            return 2;
    }
    handler = make_handler();
    s.into = malloc(INTO);
    err = s.into == NULL ? -ENOMEM : sonic_io_new(&s.io, NULL);
    if (err == 0)
        err = open_tls();
    if (err == 0)
        err = strcmp(argv[1], "server") == 0 ? be_server(argv[2], &handler)
                                             : be_client(argv[2], &handler);
    if (err < 0)
        fprintf(stderr, "subject: %s\n", sonic_strerror(err));
    sonic_tls_context_free(s.tls);
    sonic_io_free(s.io);
    free(s.into);
    return err < 0;
}
