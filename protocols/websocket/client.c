/* The client's public half: connect, and the blocking twins of both roles. */
#include "websocket/session.h"

#include <errno.h>
#include <string.h>

#include <sonicio/object.h>

#include "base/pack.h"

/* The object of the io that stands for a client's connection: when the io is
 * closed it is terminated, when the io is freed it is freed. */
struct sonic__ws_anchor {
    sonic_ws *ws; /* NULL: freed by its owner */
};

static void
anchor_run(void *object)
{
    (void)object;
}

static void
anchor_close(void *object)
{
    struct sonic__ws_anchor *a = object;

    if (a->ws != NULL)
        sonic_ws_terminate(a->ws);
}

static void
anchor_destroy(void *object)
{
    struct sonic__ws_anchor *a = object;

    if (a->ws != NULL) {
        a->ws->config->anchor = NULL;
        sonic_ws_free(a->ws);
    }
}

static int
drop_anchor(sonic_ws *ws)
{
    static const sonic_object_class anchor_class = {
        SONIC_OBJECT_CLASS_INIT,   .bytes = sizeof(struct sonic__ws_anchor),
        .run = anchor_run,         .close = anchor_close,
        .destroy = anchor_destroy,
    };
    void *a;
    int err = sonic_object_new(ws->config->io, &anchor_class, &a);

    if (err < 0) {
        sonic__ws_drop(ws);
        return err;
    }
    ws->config->anchor = a;
    ws->config->anchor->ws = ws;
    return 0;
}

void
sonic__ws_weigh_anchor(sonic_ws *ws)
{
    struct sonic__ws_anchor *a = ws->config->anchor;

    if (a == NULL)
        return;
    ws->config->anchor = NULL;
    a->ws = NULL;
    sonic_object_free(a);
}

int
sonic_ws_new(sonic_io *io, const sonic_ws_options *opt,
             const sonic_ws_handler *handler, void *ud, sonic_ws **out)
{
    struct sonic__ws_config *c;
    int err = sonic__ws_handler_check(handler);

    if (err == 0)
        err = sonic__ws_config_new(io, opt, false, &c);
    if (err < 0)
        return err;
    err = sonic__ws_make(c, handler, ud, out);
    if (err == 0)
        err = drop_anchor(*out);
    sonic__ws_config_drop(c); /* the connection holds it */
    return err;
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    sonic_ws *ws = object;

    ((sonic_ws_fn *)cb)(ws, err, ud);
    sonic__ws_drop(ws);
}

void
sonic__ws_decline(sonic_ws *ws, int err, sonic_ws_fn *cb, void *ud)
{
    if (cb == NULL)
        return;
    sonic__ws_hold(ws);
    sonic_io_refuse(ws->config->io, say, ws, err, (void (*)(void))cb, ud);
}

/* Of a connection that is kept: it hears of its fate from the session. */
static void
kept(sonic_ws *ws, int err, void *ud)
{
    (void)ws;
    (void)err;
    (void)ud;
}

static void
begin_connect(sonic_ws *ws, sonic_stream *stream, const char *text,
              sonic_ws_fn *cb, void *ud)
{
    struct sonic__ws_opening *o;
    int err = 0;

    if (ws->flags & SONIC__WS_FREED)
        err = SONIC_ECLOSED;
    else if ((ws->flags & SONIC__WS_SERVER) || ws->end_posted)
        err = -EBUSY;
    else if (ws->config->keep != NULL && cb != kept)
        err = -EBUSY;
    else if (!sonic__ws_is_over(ws))
        err = sonic__ws_begin(ws); /* the machine says no */
    if (err == 0)
        err = sonic__ws_opening_new(ws);
    if (err < 0) {
        sonic_stream_free(stream);
        sonic__ws_decline(ws, err, cb, ud);
        return;
    }
    sonic__ws_hold(ws);
    o = ws->opening;
    o->cb = cb;
    o->ud = ud;
    ws->stream = stream;
    ws->flags = 0;
    ws->subprotocol = SONIC__WS_NO_SUBPROTOCOL;
    sonic__ws_disagree(ws);
    memset(&ws->config->timing, 0, sizeof ws->config->timing);
    memset(&ws->config->net_timing, 0, sizeof ws->config->net_timing);
    sonic__ws_phase_ends(ws, NULL);
    if (ws->more != NULL)
        sonic__ws_more_reset(ws);
    o->url_text = sonic__ws_copy(ws->config->io, text);
    err = sonic__ws_begin(ws);
    if (err < 0)
        sonic__ws_lost(ws, err);
    sonic__ws_drop(ws);
}

void
sonic__ws_connect_kept(sonic_ws *ws, const char *url)
{
    begin_connect(ws, NULL, url, kept, NULL);
}

void
sonic_ws_async_connect(sonic_ws *ws, const char *url, sonic_ws_fn *cb, void *ud)
{
    begin_connect(ws, NULL, url, cb, ud);
}

void
sonic_ws_async_upgrade(sonic_ws *ws, sonic_stream *stream, const char *url,
                       sonic_ws_fn *cb, void *ud)
{
    begin_connect(ws, stream, url, cb, ud);
}

/* ---- the blocking twins ----------------------------------------------- */

struct await {
    bool done, abandoned;
    int err;
    sonic_ws_message *m;
    sonic_io *io;
};

static struct await *
begin_await(sonic_ws *ws, int *err)
{
    struct await *a = NULL;

    *err = -EBUSY;
    if (!sonic_io_inside(ws->config->io)) {
        *err = -ENOMEM;
        a = sonic__ws_alloc(ws->config->io, sizeof *a);
    }
    if (a != NULL)
        a->io = ws->config->io;
    return a;
}

static void
on_done(sonic_ws *ws, int err, void *ud)
{
    struct await *a = ud;

    (void)ws;
    if (a->abandoned) {
        sonic__ws_release(a->io, a, sizeof *a);
        return;
    }
    a->done = true;
    a->err = err;
}

/* Should the loop be stopped before the operation is complete, the connection
 * is ended: it cannot be left half-way through. */
static int
finish(sonic_ws *ws, struct await *a)
{
    int err = a->done ? 0 : sonic_io_run_until(ws->config->io, &a->done);

    if (!a->done) {
        a->abandoned = true;
        a->m = NULL;
        if (sonic__ws_forget_reader(ws))
            sonic__ws_release(a->io, a, sizeof *a);
        sonic_ws_terminate(ws);
        return err;
    }
    err = a->err;
    sonic__ws_release(a->io, a, sizeof *a);
    return err;
}

int
sonic_ws_connect(sonic_ws *ws, const char *url)
{
    int err;
    struct await *a = begin_await(ws, &err);

    if (a == NULL)
        return err;
    sonic_ws_async_connect(ws, url, on_done, a);
    return finish(ws, a);
}

static void
on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    struct await *a = ud;

    if (m != NULL && a->m != NULL)
        *a->m = *m;
    on_done(ws, err, a);
}

int
sonic_ws_read(sonic_ws *ws, void *buf, size_t cap, sonic_ws_message *m)
{
    int err;
    struct await *a = begin_await(ws, &err);

    if (a == NULL)
        return err;
    a->m = m;
    sonic_ws_async_read_into(ws, buf, cap, on_read, a);
    return finish(ws, a);
}

int
sonic_ws_write(sonic_ws *ws, enum sonic_ws_opcode opcode, const void *data,
               size_t len)
{
    int err;
    struct await *a = begin_await(ws, &err);

    if (a == NULL)
        return err;
    sonic_ws_async_send(ws, opcode, data, len, on_done, a);
    return finish(ws, a);
}

void
sonic_ws_async_close(sonic_ws *ws, uint16_t code, const char *reason,
                     sonic_ws_fn *cb, void *ud)
{
    struct sonic__ws_more *m = sonic__ws_more(ws);
    int err = m == NULL ? -ENOMEM : m->close_cb != NULL ? -EBUSY : 0;

    if (err == 0)
        err = sonic_ws_close(ws, code, reason);
    if (err < 0) {
        sonic__ws_decline(ws, err, cb, ud);
        return;
    }
    m->close_cb = cb;
    m->close_ud = ud;
}

/* Closing has begun, by either side: what is left is to wait for the end. */
static void
await_end(sonic_ws *ws, struct await *a)
{
    struct sonic__ws_more *m = sonic__ws_more(ws);
    int err = m == NULL ? -ENOMEM : m->close_cb != NULL ? -EBUSY : 0;

    if (err < 0) {
        on_done(ws, err, a);
    } else if (sonic__ws_is_over(ws) && !ws->end_posted) {
        on_done(ws, m->record.clean ? 0 : sonic__ws_outcome(ws), a);
    } else {
        m->close_cb = on_done;
        m->close_ud = a;
    }
}

int
sonic_ws_shut(sonic_ws *ws, uint16_t code, const char *reason)
{
    int err;
    struct await *a = begin_await(ws, &err);

    if (a == NULL)
        return err;
    if (sonic_ws_state(ws) >= SONIC_WS_CLOSED_BY_US)
        await_end(ws, a);
    else
        sonic_ws_async_close(ws, code, reason, on_done, a);
    return finish(ws, a);
}

/* ---- looking at one --------------------------------------------------- */

bool
sonic_ws_is_server(const sonic_ws *ws)
{
    return (ws->flags & SONIC__WS_SERVER) != 0;
}

const char *
sonic_ws_subprotocol(const sonic_ws *ws)
{
    if (ws->subprotocol == SONIC__WS_OWN_SUBPROTOCOL)
        return ws->more->subprotocol;
    if (ws->subprotocol >= ws->config->opt.n_subprotocols)
        return NULL;
    return ws->config->opt.subprotocols[ws->subprotocol];
}

int
sonic_ws_why_closed(const sonic_ws *ws, sonic_ws_close_record *out)
{
    if (sonic_ws_state(ws) != SONIC_WS_TERMINATED)
        return SONIC_ESTATE;
    if (ws->more == NULL)
        return -ENOMEM;
    *out = ws->more->record;
    return 0;
}

sonic_stream *
sonic_ws_next_layer(const sonic_ws *ws)
{
    return ws->stream;
}

sonic_io *
sonic_ws_io(const sonic_ws *ws)
{
    return ws->config->io;
}

void *
sonic_ws_user(const sonic_ws *ws)
{
    return ws->ud;
}

void
sonic_ws_discard(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)m;
    (void)ud;
}
