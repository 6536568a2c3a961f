/* What is done to an end, and what must become of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "life_world.h"

static void
on_sent(sonic_ws *ws, int err, void *ud)
{
    struct life *l = life_now();
    unsigned end = life_end_op(l, ud);

    (void)ws;
    (void)err;
    l->depth++;
    life_at(l, end, LIFE_AT_SENT);
    l->depth--;
}

static void
on_closed(sonic_ws *ws, int err, void *ud)
{
    struct life *l = life_now();
    unsigned end = life_end_op(l, ud);

    (void)ws;
    (void)err;
    l->depth++;
    life_at(l, end, LIFE_AT_CLOSED);
    l->depth--;
}

static void
on_drained(sonic_ws_server *server, int err, const sonic_ws_drained *counts,
           void *ud)
{
    struct life *l = life_now();
    unsigned end = life_end_op(l, ud);

    (void)server;
    (void)err;
    if (counts == NULL)
        life_wrong(l, "drained without counts");
    l->depth++;
    life_at(l, end, LIFE_AT_DRAINED);
    l->depth--;
}

static void
break_it(sonic_ws *ws)
{
    sonic_stream *s = sonic_ws_next_layer(ws);

    if (s != NULL)
        sonic_stream_reset(s);
}

/* The blocking twins refuse to run inside a callback. */
static void
try_twins(struct life *l, sonic_ws *ws)
{
    sonic_ws_message m;
    char buf[8];

    if (l->depth == 0)
        return;
    if (sonic_ws_connect(ws, l->url) != -EBUSY ||
        sonic_ws_read(ws, buf, sizeof buf, &m) != -EBUSY ||
        sonic_ws_write(ws, SONIC_WS_TEXT, "x", 1) != -EBUSY ||
        sonic_ws_shut(ws, 1000, NULL) != -EBUSY ||
        sonic_io_run(l->io) != -EBUSY)
        life_wrong(l, "a blocking call inside a callback is not -EBUSY");
}

static void
reserve(sonic_ws *ws)
{
    uint8_t *to = sonic_ws_reserve(ws, 10);

    if (to != NULL) {
        memset(to, 'r', 10);
        (void)sonic_ws_commit(ws, SONIC_WS_TEXT, 10);
    }
}

static void
mute(struct life_end *e)
{
    sonic_ws *ws = e->ws;

    e->muted = true;
    if (sonic_ws_is_server(ws))
        e->ws = NULL; /* from now on nobody says when it goes */
    if (sonic_ws_set_handler(ws, NULL, NULL) < 0)
        abort();
}

static void
drop(struct life_end *e)
{
    sonic_ws *ws = e->ws;

    e->freed = true;
    e->ws = NULL;
    sonic_ws_free(ws);
}

/* To the server, and to the io. */
static void
do_to_all(struct life *l, enum life_deed deed)
{
    sonic_io *io = l->io;

    switch (deed) {
    case LIFE_DO_DRAIN_SERVER:
        if (l->server != NULL)
            sonic_ws_server_async_drain(l->server, 1000000000, on_drained,
                                        life_begin_op(l, LIFE_SERVER));
        break;
    case LIFE_DO_FREE_SERVER:
        l->end[LIFE_SERVER].freed = true;
        l->end[LIFE_SERVER].ws = NULL;
        sonic_ws_server_free(l->server);
        l->server = NULL;
        break;
    case LIFE_DO_CLOSE_IO:
        l->io_ending = true;
        sonic_io_close(io);
        break;
    default:
        l->io_ending = true;
        l->io = NULL;
        sonic_io_free(io);
        break;
    }
}

void
life_do(struct life *l, enum life_deed deed, unsigned whom)
{
    struct life_end *e = &l->end[whom];
    sonic_ws *ws = e->ws;

    if (deed == LIFE_DO_NOTHING)
        return;
    if (deed >= LIFE_DO_DRAIN_SERVER) {
        do_to_all(l, deed);
        return;
    }
    if (ws == NULL)
        return;
    switch (deed) {
    case LIFE_DO_CLOSE:
        (void)sonic_ws_close(ws, SONIC_WS_GOING_AWAY, "so it is");
        break;
    case LIFE_DO_ASYNC_CLOSE:
        sonic_ws_async_close(ws, SONIC_WS_NORMAL, NULL, on_closed,
                             life_begin_op(l, whom));
        break;
    case LIFE_DO_TERMINATE:
        sonic_ws_terminate(ws);
        break;
    case LIFE_DO_FREE:
        drop(e);
        break;
    case LIFE_DO_SEND:
        (void)sonic_ws_send(ws, SONIC_WS_TEXT, l->payload, l->plan->size);
        break;
    case LIFE_DO_ASYNC_SEND:
        sonic_ws_async_send(ws, SONIC_WS_TEXT, l->payload, l->plan->size,
                            on_sent, life_begin_op(l, whom));
        break;
    case LIFE_DO_SEND_PART:
        (void)sonic_ws_send_part(ws, SONIC_WS_TEXT, "part", 4, false);
        (void)sonic_ws_send_part(ws, SONIC_WS_TEXT, "part", 4, true);
        break;
    case LIFE_DO_RESERVE:
        reserve(ws);
        break;
    case LIFE_DO_PING:
        (void)sonic_ws_ping(ws, "ping", 4);
        break;
    case LIFE_DO_READ:
        life_read(l, whom);
        break;
    case LIFE_DO_RECONNECT:
        if (whom == LIFE_CLIENT)
            life_connect(l);
        break;
    case LIFE_DO_TWINS:
        try_twins(l, ws);
        break;
    case LIFE_DO_PAUSE:
        sonic_ws_pause(ws);
        break;
    case LIFE_DO_RESUME:
        sonic_ws_resume(ws);
        break;
    case LIFE_DO_MUTE:
        mute(e);
        break;
    default:
        break_it(ws);
        break;
    }
}
