/* Memory of a session, the record of how it ended, and its end. */
#include "websocket/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- memory and references -------------------------------------------- */

void *
sonic__ws_alloc(sonic_io *io, size_t n)
{
    const sonic_mem *mem = sonic_io_mem(io);
    void *p = mem->alloc(n, mem->ud);

    return p == NULL ? NULL : memset(p, 0, n);
}

void
sonic__ws_release(sonic_io *io, void *p, size_t n)
{
    const sonic_mem *mem = sonic_io_mem(io);

    if (p != NULL)
        mem->free(p, n, mem->ud);
}

char *
sonic__ws_copy(sonic_io *io, const char *text)
{
    size_t n = strlen(text) + 1;
    char *p = sonic__ws_alloc(io, n);

    return p == NULL ? NULL : memcpy(p, text, n);
}

void
sonic__ws_release_text(sonic_io *io, char *text)
{
    if (text != NULL)
        sonic__ws_release(io, text, strlen(text) + 1);
}

struct sonic__ws_more *
sonic__ws_more(sonic_ws *ws)
{
    if (ws->more == NULL)
        ws->more = sonic__ws_alloc(ws->config->io, sizeof *ws->more);
    return ws->more;
}

void
sonic__ws_more_reset(sonic_ws *ws)
{
    sonic__ws_release_text(ws->config->io, ws->more->subprotocol);
    memset(ws->more, 0, sizeof *ws->more);
}

void
sonic__ws_destroy(sonic_ws *ws)
{
    sonic_io *io = ws->config->io;

    assert(ws->stream == NULL);
    sonic__ws_opening_free(ws);
    sonic__ws_codec_release(ws);
    if (ws->more != NULL) {
        sonic_timer_free(ws->more->timer);
        sonic__ws_release_text(io, ws->more->subprotocol);
        sonic__ws_release(io, ws->more, sizeof *ws->more);
    }
    sonic__ws_config_drop(ws->config);
    sonic__ws_release(io, ws, sizeof *ws);
}

int
sonic__ws_make(struct sonic__ws_config *config, const sonic_ws_handler *handler,
               void *ud, sonic_ws **out)
{
    sonic_ws *ws = sonic__ws_alloc(config->io, sizeof *ws);

    if (ws == NULL)
        return -ENOMEM;
    ws->config = config;
    config->refs++;
    ws->handler = handler;
    ws->ud = ud;
    ws->refs = 1;
    ws->subprotocol = SONIC__WS_NO_SUBPROTOCOL;
    if (config->server)
        ws->flags = SONIC__WS_SERVER;
    *out = ws;
    return 0;
}

/* ---- the record ------------------------------------------------------- */

static bool
is_of_system(int err)
{
    return err > SONIC_EOF && err < 0 && err != -ECANCELED;
}

static bool
may_succeed_later(const struct sonic__ws_cause *why)
{
    switch (why->layer) {
    case SONIC_WS_LAYER_RESOLVE:
    case SONIC_WS_LAYER_CONNECT: /* but for a wrong URL, wrong settings */
        return is_of_system(why->err) || why->err == SONIC_ERESOLVE ||
               why->err == SONIC_ERESOLVE_AGAIN;
    case SONIC_WS_LAYER_TRANSPORT:
        return why->err != -ECANCELED;
    case SONIC_WS_LAYER_TLS: /* what the system says may pass */
        return is_of_system(why->err) || why->err == SONIC_ETLS_TRUNCATED;
    case SONIC_WS_LAYER_PROXY:
    case SONIC_WS_LAYER_HANDSHAKE: /* without an answer, or a passing one */
        return is_of_system(why->err) || why->err == SONIC_EWS_ABNORMAL ||
               why->status >= 500 || why->status == 408 || why->status == 429;
    case SONIC_WS_LAYER_CLOSE:
        return why->code == SONIC_WS_GOING_AWAY || why->code == 1012 ||
               why->code == SONIC_WS_TRY_AGAIN;
    default:
        return false;
    }
}

/* The first reason stands; what follows from it adds nothing. */
void
sonic__ws_note(sonic_ws *ws, const struct sonic__ws_cause *why,
               enum sonic_ws_state in)
{
    struct sonic__ws_more *m = sonic__ws_more(ws);
    sonic_ws_close_record *r;
    size_t n = why->reason_len;

    if (m == NULL || m->record.layer != SONIC_WS_LAYER_NONE)
        return;
    r = &m->record;
    memset(r->reason, 0, sizeof r->reason);
    r->side = why->side;
    r->layer = why->layer;
    r->state = in;
    r->error = why->err;
    r->code = why->code != 0 ? why->code : SONIC_WS_ABNORMAL;
    r->status = why->status;
    r->retryable = may_succeed_later(why);
    if (n >= sizeof r->reason)
        n = sizeof r->reason - 1;
    if (n > 0)
        memcpy(r->reason, why->reason, n);
    else if (why->err < 0)
        snprintf(r->reason, sizeof r->reason, "%s", sonic_strerror(why->err));
}

/* What came of the close that is on record. */
void
sonic__ws_note_anew(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    enum sonic_ws_state in = SONIC_WS_OPEN;

    if (ws->more != NULL && ws->more->record.layer != SONIC_WS_LAYER_NONE) {
        in = ws->more->record.state;
        ws->more->record.layer = SONIC_WS_LAYER_NONE;
    }
    sonic__ws_note(ws, why, in);
}

int
sonic__ws_outcome(const sonic_ws *ws)
{
    const struct sonic__ws_more *m = ws->more;

    if (m == NULL)
        return -ENOMEM;
    if (m->record.clean)
        return SONIC_EWS_CLOSED;
    return m->record.error < 0 ? m->record.error : SONIC_EWS_ABNORMAL;
}

/* ---- the end ---------------------------------------------------------- */

/* Everybody that still waits for this connection.  Taken away before the first
 * of them is told, for each may connect again. */
struct farewell {
    sonic_ws_close_record why;
    int outcome; /* for operations */
    sonic_ws_fn *connect_cb, *close_cb;
    sonic_ws_read_fn *read_cb;
    void *connect_ud, *close_ud, *read_ud;
};

static void
take_leave(sonic_ws *ws, struct farewell *f)
{
    struct sonic__ws_opening *opening = sonic__ws_opening(ws);
    struct sonic__ws_more *m = ws->more;

    *f = (struct farewell){.outcome = sonic__ws_outcome(ws),
                           .why = {.layer = SONIC_WS_LAYER_TRANSPORT,
                                   .error = -ENOMEM,
                                   .code = SONIC_WS_ABNORMAL}};
    if (opening != NULL) {
        f->connect_cb = opening->cb;
        f->connect_ud = opening->ud;
    }
    if (m != NULL) {
        f->why = m->record;
        f->read_cb = m->reader.cb;
        f->read_ud = m->reader.ud;
        f->close_cb = m->close_cb;
        f->close_ud = m->close_ud;
        m->reader.cb = NULL;
        m->close_cb = NULL;
    }
    sonic__ws_opening_free(ws);
    sonic__ws_codec_release(ws);
    ws->end_posted = 0;
}

/* From the loop. */
static void
on_end(sonic_io *io, void *ud)
{
    sonic_ws *ws = ud;
    sonic_ws_server *server = NULL;
    struct farewell f;

    (void)io;
    take_leave(ws, &f);
    if (f.connect_cb != NULL)
        f.connect_cb(ws, f.outcome, f.connect_ud);
    if (f.read_cb != NULL)
        f.read_cb(ws, f.outcome, NULL, f.read_ud);
    if (f.close_cb != NULL)
        f.close_cb(ws, f.why.clean ? 0 : f.outcome, f.close_ud);
    if (ws->flags & SONIC__WS_SERVER)
        server = sonic__ws_server_remove(ws, f.why.clean);
    if (ws->config->keep != NULL)
        sonic__ws_keep_ended(ws, &f.why);
    if (!(ws->flags & SONIC__WS_FREED) && ws->handler != NULL &&
        ws->handler->on_close != NULL)
        ws->handler->on_close(ws, &f.why, ws->ud);
    if (ws->config->keep != NULL)
        sonic__ws_keep_settle(ws);
    sonic__ws_server_settle(server);
    if ((ws->flags & SONIC__WS_SERVER) && !(ws->flags & SONIC__WS_FREED)) {
        ws->flags |= SONIC__WS_FREED;
        sonic__ws_drop(ws);
    }
    sonic__ws_drop(ws);
}

/* No more of the stream; on_end follows from the loop. */
void
sonic__ws_end(sonic_ws *ws, const struct sonic__ws_cause *why)
{
    struct sonic__ws_opening *opening = sonic__ws_opening(ws);
    sonic_stream *s = ws->stream;
    sonic_io *io = ws->config->io;

    if (ws->more != NULL) {
        sonic_timer_free(ws->more->timer);
        ws->more->timer = NULL;
        if (s != NULL)
            ws->more->record.unsent = sonic_stream_queued(s);
    }
    if (opening != NULL) {
        sonic_timer_free(opening->timer);
        opening->timer = NULL;
    }
    sonic__ws_rest_messages(ws);
    ws->stream = NULL;
    ws->flags &= (uint8_t) ~(SONIC__WS_ARMED | SONIC__WS_DRAINING);
    if (s != NULL && why->err == -ETIMEDOUT)
        sonic_stream_reset(s);
    sonic_stream_free(s);
    sonic__ws_hold(ws);
    ws->end_posted = 1;
    if (sonic_io_post(io, on_end, ws) < 0)
        on_end(io, ws);
}
