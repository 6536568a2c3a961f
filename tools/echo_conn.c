/* Echo of frames and of raw bytes: what the WebSocket server does by itself
 * is done here by hand. */
#include "echo.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

/* ---- which connections there are -------------------------------------- */

static size_t
descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    /* The kernel's own limit, where there is none. */
    return limit.rlim_cur < (1u << 30) ? (size_t)limit.rlim_cur : 1u << 30;
}

static struct echo_slot *
slot_for(struct echo *e, int fd)
{
    size_t chunk = (size_t)fd / ECHO_CHUNK;

    if (fd < 0 || chunk >= e->n_chunks)
        return NULL;
    if (e->chunks[chunk] == NULL)
        e->chunks[chunk] = calloc(ECHO_CHUNK, sizeof(struct echo_slot));
    return e->chunks[chunk] == NULL ? NULL : &e->chunks[chunk][fd % ECHO_CHUNK];
}

/* A connection is over, and freed. */
static void
let_go(struct echo_slot *slot, bool clean)
{
    struct echo *e = slot->echo;

    slot->conn = NULL;
    e->open--;
    if (!e->draining)
        return;
    e->clean += clean;
    e->reset += !clean;
    if (e->open == 0)
        sonic_io_stop(e->io);
}

static void
for_each(struct echo *e, void (*fn)(struct echo_slot *slot))
{
    for (size_t i = 0; i < e->n_chunks; i++)
        for (size_t j = 0; e->chunks[i] != NULL && j < ECHO_CHUNK; j++)
            if (e->chunks[i][j].conn != NULL)
                fn(&e->chunks[i][j]);
}

/* ---- frames ----------------------------------------------------------- */

static void
on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    struct echo *e = ((struct echo_slot *)ud)->echo;
    int r = sonic_frame_send(conn, data, len);

    if (r >= 0) {
        e->messages++;
        e->bytes += len;
    }
    if (r == 1)
        sonic_frame_pause(conn);
    else if (r < 0 && sonic_frame_conn_state(conn) == SONIC_FRAME_OPEN)
        sonic_frame_conn_terminate(conn);
}

static void
on_frame_drain(sonic_frame_conn *conn, void *ud)
{
    (void)ud;
    sonic_frame_resume(conn);
}

static void
on_frame_close(sonic_frame_conn *conn, const sonic_frame_close_record *why,
               void *ud)
{
    bool clean = why->error == 0;

    sonic_frame_conn_free(conn);
    let_go(ud, clean);
}

static const sonic_frame_handler frame_handler = {
    SONIC_FRAME_HANDLER_INIT, .on_frame = on_frame, .on_drain = on_frame_drain,
    .on_close = on_frame_close};

static int
begin_frames(struct echo *e, sonic_stream *stream, struct echo_slot *slot)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    sonic_frame_conn *conn;
    int err;

    opt.queue_limit = echo_queue_limit(e->opt);
    err = sonic_frame_conn_new(stream, &e->codec, &opt, &frame_handler, slot,
                               &conn);
    if (err == 0)
        slot->conn = conn;
    return err;
}

static void
close_frames(struct echo_slot *slot)
{
    sonic_frame_conn_close(slot->conn);
}

/* ---- raw bytes -------------------------------------------------------- */

static void on_raw(sonic_stream *s, int err, uint8_t *data, size_t len,
                   void *ud);

static void
end_raw(sonic_stream *s, struct echo_slot *slot, bool clean)
{
    if (!clean)
        sonic_stream_reset(s);
    sonic_stream_free(s);
    let_go(slot, clean);
}

/* The peer has ended, and all of its echo has gone out. */
static void
on_raw_flushed(sonic_stream *s, int err, size_t n, void *ud)
{
    (void)n;
    if (err != -ECANCELED)
        end_raw(s, ud, err == 0);
}

static void
on_raw_drain(sonic_stream *s, int err, size_t n, void *ud)
{
    (void)n;
    if (err == 0)
        sonic_stream_lend(s, 1, 0, on_raw, ud);
    else if (err != -ECANCELED)
        end_raw(s, ud, false);
}

static void
on_raw(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct echo_slot *slot = ud;
    int r = 0;

    if (err == -ECANCELED)
        return; /* whoever cancelled has freed it */
    if (len > 0 && (r = sonic_stream_send(s, data, len)) >= 0) {
        slot->echo->messages++;
        slot->echo->bytes += len;
        sonic_stream_consume(s, len);
    }
    if (err == SONIC_EOF && r >= 0)
        sonic_stream_async_write(s, "", 0, on_raw_flushed, slot);
    else if (err < 0 || r < 0)
        end_raw(s, slot, false);
    else if (r == 1)
        sonic_stream_async_drain(s, on_raw_drain, slot);
    else
        sonic_stream_lend(s, 1, 0, on_raw, slot);
}

/* Goodbye: the peer sees our end behind its echo, and ends too. */
static void
close_raw(struct echo_slot *slot)
{
    if (sonic_stream_shutdown(slot->conn) < 0)
        end_raw(slot->conn, slot, false);
}

/* ---- accepting, ending ------------------------------------------------ */

static void
begin(struct echo *e, sonic_stream *stream)
{
    struct echo_slot *slot = slot_for(e, sonic_stream_fd(stream));

    if (slot == NULL) {
        sonic_stream_free(stream);
        return;
    }
    slot->echo = e;
    slot->conn = stream;
    if (e->opt->proto == ECHO_FRAME && begin_frames(e, stream, slot) < 0) {
        slot->conn = NULL;
        sonic_stream_free(stream);
        return;
    }
    e->open++;
    e->connections++;
    if (e->opt->proto == ECHO_RAW)
        sonic_stream_lend(stream, 1, 0, on_raw, slot);
}

static void
on_secured(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct echo *e = ud;

    (void)n;
    if (err == 0 && !e->draining)
        begin(e, stream);
    else
        sonic_stream_free(stream);
}

static void
secure(struct echo *e, sonic_stream *stream)
{
    sonic_stream *tls;

    if (sonic_tls_new(e->tls, stream, NULL, &tls) < 0)
        sonic_stream_free(stream);
    else
        sonic_tls_async_handshake(tls, on_secured, e);
}

static void
on_accept(sonic_listener *listener, int err, sonic_stream *stream, void *ud)
{
    struct echo *e = ud;

    if (err == -ECANCELED || err == SONIC_ECLOSED)
        return;
    if (err == 0 && e->tls != NULL)
        secure(e, stream);
    else if (err == 0)
        begin(e, stream);
    sonic_listener_async_accept(listener, on_accept, ud);
}

int
echo_listen_conns(struct echo *e, const char *address,
                  const sonic_listener_options *lopt, sonic_address *bound)
{
    sonic_frame_format format = SONIC_FRAME_FORMAT_INIT;
    int err;

    format.max_body = e->opt->max_message;
    err = sonic_frame_codec_init(&e->codec, &format);
    if (err < 0)
        return err;
    e->n_chunks = descriptor_limit() / ECHO_CHUNK + 1;
    e->chunks = calloc(e->n_chunks, sizeof *e->chunks);
    if (e->chunks == NULL)
        return -ENOMEM;
    err = sonic_timer_new(e->io, &e->deadline);
    if (err < 0)
        return err;
    err = sonic_listener_new(e->io, address, lopt, &e->listener);
    if (err < 0)
        return err;
    sonic_listener_async_accept(e->listener, on_accept, e);
    return sonic_listener_address(e->listener, bound);
}

static void
cut(struct echo_slot *slot)
{
    if (slot->echo->opt->proto == ECHO_FRAME)
        sonic_frame_conn_terminate(slot->conn);
    else
        end_raw(slot->conn, slot, false);
}

static void
on_deadline(sonic_timer *timer, int err, void *ud)
{
    (void)timer;
    if (err == 0)
        for_each(ud, cut);
}

void
echo_drain_conns(struct echo *e)
{
    sonic_listener_close(e->listener);
    if (e->open == 0) {
        sonic_io_stop(e->io);
        return;
    }
    sonic_timer_once(e->deadline, ECHO_DEADLINE, on_deadline, e);
    for_each(e, e->opt->proto == ECHO_FRAME ? close_frames : close_raw);
}

void
echo_free_conns(struct echo *e)
{
    /* Streams, frames, the timer and the listener go with the io. */
    for (size_t i = 0; i < e->n_chunks; i++)
        free(e->chunks[i]);
    free(e->chunks);
    e->chunks = NULL;
    e->n_chunks = 0;
}
