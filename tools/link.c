#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common.h"

const char *const link_proto_names[] = {"ws", "frame", "raw", NULL};

static void
over(struct link *l, int err, const char *why)
{
    link_drop(l);
    l->events->over(l, err, why);
}

/* ---- WebSocket -------------------------------------------------------- */

static void
ws_open(sonic_ws *ws, void *ud)
{
    struct link *l = ud;

    (void)ws;
    l->events->open(l);
}

static void
ws_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct link *l = ud;

    (void)ws;
    l->events->message(l, m->data, m->len);
}

static void
ws_drain(sonic_ws *ws, void *ud)
{
    struct link *l = ud;

    (void)ws;
    if (l->events->drain != NULL)
        l->events->drain(l);
}

static void
ws_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct link *l = ud;
    int err = why->clean ? 0 : why->error;
    char reason[4 * sizeof why->reason + 9], words[sizeof reason + 64];

    if (!l->ours)
        l->ws = NULL; /* its server frees it after this */
    (void)ws;
    printable(why->reason, strlen(why->reason), "", reason, sizeof reason);
    if (why->clean)
        snprintf(words, sizeof words, "closed by the %s: %u%s%s",
                 l->ours == (why->side == SONIC_WS_PEER) ? "server" : "client",
                 why->code, *reason ? ", " : "", reason);
    else
        snprintf(words, sizeof words, "%s",
                 *reason ? reason : sonic_strerror(err));
    over(l, err, words);
}

static const sonic_ws_handler ws_handler = {
    SONIC_WS_HANDLER_INIT, .on_open = ws_open, .on_message = ws_message,
    .on_drain = ws_drain, .on_close = ws_close};

void
link_take_ws(struct link *l, sonic_ws *ws)
{
    l->proto = LINK_WS;
    l->ours = false;
    l->io = sonic_ws_io(ws);
    l->ws = ws;
    if (sonic_ws_set_handler(ws, &ws_handler, l) < 0)
        sonic_ws_terminate(ws); /* it is one: this does not happen */
}

/* ---- frames ----------------------------------------------------------- */

static void
frame_message(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    struct link *l = ud;

    (void)conn;
    l->events->message(l, data, len);
}

static void
frame_drain(sonic_frame_conn *conn, void *ud)
{
    struct link *l = ud;

    (void)conn;
    if (l->events->drain != NULL)
        l->events->drain(l);
}

static void
frame_close(sonic_frame_conn *conn, const sonic_frame_close_record *why,
            void *ud)
{
    (void)conn;
    over(ud, why->error,
         why->error == 0 ? "closed by the peer" : sonic_strerror(why->error));
}

static const sonic_frame_handler frame_handler = {
    SONIC_FRAME_HANDLER_INIT, .on_frame = frame_message,
    .on_drain = frame_drain, .on_close = frame_close};

int
link_take_frames(struct link *l, sonic_stream *stream)
{
    sonic_frame_codec codec;
    int err = sonic_frame_codec_init(&codec, NULL);

    l->proto = LINK_FRAME;
    l->io = sonic_stream_io(stream);
    if (err == 0)
        err = sonic_frame_conn_new(stream, &codec, NULL, &frame_handler, l,
                                   &l->frame);
    return err;
}

/* ---- raw bytes -------------------------------------------------------- */

static void
raw_bytes(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct link *l = ud;
    size_t done = 0;

    if (err == -ECANCELED)
        return;
    for (; len - done >= l->raw_size; done += l->raw_size) {
        l->events->message(l, data + done, l->raw_size);
        if (l->stream != s)
            return; /* dropped by it */
    }
    sonic_stream_consume(s, done);
    if (err == 0)
        sonic_stream_lend(s, l->raw_size, l->raw_size, raw_bytes, l);
    else if (err == SONIC_EOF && l->closing)
        over(l, 0, sonic_strerror(0));
    else
        over(l, err, sonic_strerror(err));
}

static void
raw_drain(sonic_stream *s, int err, size_t n, void *ud)
{
    struct link *l = ud;

    (void)s;
    (void)n;
    if (err == 0 && l->events->drain != NULL)
        l->events->drain(l);
}

static int
raw_send(struct link *l, const void *data, size_t len)
{
    int r = sonic_stream_send(l->stream, data, len);

    if (r == 1)
        sonic_stream_async_drain(l->stream, raw_drain, l);
    return r;
}

/* ---- all of them ------------------------------------------------------ */

static void
on_ready(sonic_stream *s, int err, size_t n, void *ud)
{
    struct link *l = ud;

    (void)n;
    if (err == -ECANCELED)
        return; /* dropped */
    if (err == 0 && l->proto == LINK_FRAME) {
        err = link_take_frames(l, s);
        if (err == 0)
            l->stream = NULL; /* the conn's */
    }
    if (err < 0) {
        over(l, err, sonic_strerror(err));
        return;
    }
    l->events->open(l);
    if (l->stream == s)
        sonic_stream_lend(s, l->raw_size, l->raw_size, raw_bytes, l);
}

static void
on_connected(sonic_stream *s, int err, size_t n, void *ud)
{
    struct link *l = ud;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;

    opt.verify_host = SONIC_OFF; /* only one certificate is trusted */
    if (err == 0 && l->tls != NULL)
        err = sonic_tls_new(l->tls, s, &opt, &l->stream);
    if (err == 0 && l->tls != NULL)
        sonic_tls_async_handshake(l->stream, on_ready, l);
    else
        on_ready(s, err, n, ud);
}

void
link_connect(struct link *l, sonic_io *io, const char *where)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    int err;

    opt.deflate = l->deflate;
    opt.tls = l->tls;
    l->io = io;
    l->ours = true;
    l->closing = false;
    if (l->proto == LINK_WS)
        err = sonic_ws_new(io, &opt, &ws_handler, l, &l->ws);
    else
        err = sonic_stream_new(io, &l->stream);
    if (err < 0)
        over(l, err, sonic_strerror(err));
    else if (l->proto == LINK_WS)
        sonic_ws_async_connect(l->ws, where, NULL, NULL);
    else
        sonic_stream_async_connect(l->stream, where, NULL, on_connected, l);
}

int
link_send(struct link *l, const void *data, size_t len)
{
    if (l->ws != NULL)
        return sonic_ws_send(l->ws, l->text ? SONIC_WS_TEXT : SONIC_WS_BINARY,
                             data, len);
    if (l->frame != NULL)
        return sonic_frame_send(l->frame, data, len);
    return l->stream != NULL ? raw_send(l, data, len) : SONIC_ECLOSED;
}

uint8_t *
link_reserve(struct link *l, size_t len)
{
    if (l->ws != NULL)
        return sonic_ws_reserve(l->ws, len);
    return l->frame != NULL ? sonic_frame_reserve(l->frame, len) : NULL;
}

int
link_commit(struct link *l, size_t len)
{
    if (l->ws != NULL)
        return sonic_ws_commit(l->ws, l->text ? SONIC_WS_TEXT : SONIC_WS_BINARY,
                               len);
    return sonic_frame_commit(l->frame, NULL, len);
}

void
link_close(struct link *l)
{
    if (l->ws != NULL && sonic_ws_close(l->ws, SONIC_WS_NORMAL, NULL) < 0)
        sonic_ws_terminate(l->ws);
    else if (l->frame != NULL)
        sonic_frame_conn_close(l->frame);
    else if (l->stream != NULL) {
        l->closing = true;
        if (sonic_stream_shutdown(l->stream) < 0)
            over(l, -ENOTCONN, sonic_strerror(-ENOTCONN));
    }
}

void
link_drop(struct link *l)
{
    if (l->ws != NULL)
        sonic_ws_free(l->ws);
    sonic_frame_conn_free(l->frame);
    sonic_stream_free(l->stream);
    l->ws = NULL;
    l->frame = NULL;
    l->stream = NULL;
}
