#include <assert.h>

#include "frame/conn.h"

#define CLOSE_TIMEOUT (INT64_C(5) * 1000 * 1000 * 1000)

typedef void fsm_act(sonic_frame_conn *c, int err);
static fsm_act act_flush, act_shut, act_tell, act_end, act_nothing,
    act_impossible;

#define FSM_NAME "frame-session"
#define FSM_DEF "frame/session.def"
#define FSM_INFO sonic__frame_session_fsm
#include <sonicio/fsm_build.h>

_Static_assert((int)SONIC_FRAME_OPEN == (int)S_OPEN &&
                   (int)SONIC_FRAME_CLOSING == (int)S_CLOSING &&
                   (int)SONIC_FRAME_WAITING == (int)S_WAITING &&
                   (int)SONIC_FRAME_ENDED == (int)S_ENDED &&
                   (int)SONIC_FRAME_CLOSED == (int)S_CLOSED,
               "see <sonicio/frame.h>");

/* The first who does something is the one who ended it. */
static void
step(sonic_frame_conn *c, enum fsm_event e, enum sonic_frame_side side, int err)
{
    if (c->state == S_OPEN)
        c->side = (uint8_t)side;
    if (c->state != S_CLOSED)
        c->ended_in = c->state;
    fsm_step(&c->state, e, sonic__frame_tracer(c))->act(c, err);
}

void
sonic__frame_close(sonic_frame_conn *c)
{
    step(c, E_CLOSE, SONIC_FRAME_US, 0);
}

void
sonic__frame_ended(sonic_frame_conn *c)
{
    step(c, E_END, SONIC_FRAME_PEER, 0);
}

void
sonic__frame_fail(sonic_frame_conn *c, enum sonic_frame_side side, int err)
{
    step(c, E_FAIL, side, err);
}

static void
on_flushed(sonic_stream *stream, int err, size_t n, void *ud)
{
    sonic_frame_conn *c = ud;

    (void)stream;
    (void)n;
    sonic_object_drop(c);
    if (c->state == S_CLOSED)
        return;
    if (err < 0)
        sonic__frame_fail(c, SONIC_FRAME_NOBODY, err);
    else
        step(c, E_FLUSHED, SONIC_FRAME_US, 0);
}

bool
sonic__frame_deadline(sonic_frame_conn *c, int directions, int64_t timeout)
{
    int64_t now = sonic_io_now(sonic_object_io(c));
    int err;

    if (timeout > INT64_MAX - now)
        timeout = INT64_MAX - now;
    err = sonic_stream_set_deadline(c->stream, directions, now + timeout);
    if (err < 0)
        sonic__frame_fail(c, SONIC_FRAME_NOBODY, err);
    return err == 0;
}

/* An empty write is complete when all before it is. */
static void
act_flush(sonic_frame_conn *c, int err)
{
    int64_t timeout = c->more != NULL ? c->more->close_timeout : 0;

    (void)err;
    if (timeout == 0)
        timeout = CLOSE_TIMEOUT;
    if (!sonic__frame_deadline(c, SONIC_BOTH, timeout))
        return;
    sonic_object_defer(c); /* reads again, or tells a reader of the end */
    sonic_object_hold(c);
    sonic_stream_async_write(c->stream, NULL, 0, on_flushed, c);
}

static void
act_shut(sonic_frame_conn *c, int err)
{
    err = sonic_stream_shutdown(c->stream);
    if (err < 0)
        sonic__frame_fail(c, SONIC_FRAME_NOBODY, err);
}

static void
act_tell(sonic_frame_conn *c, int err)
{
    (void)err;
    sonic_object_defer(c);
}

/* The stream goes; object.close defers, so conn.c's run tells the user. */
static void
act_end(sonic_frame_conn *c, int err)
{
    size_t partial = sonic_stream_buffered(c->stream);

    (void)sonic_stream_flush(c->stream); /* if it fails, that is what is left */
    c->error = err;
    c->u.left.partial = partial > c->taken ? partial - c->taken : 0;
    c->u.left.unsent = sonic_stream_queued(c->stream);
    sonic_stream_free(c->stream);
    c->stream = NULL;
    sonic_object_close(c);
}

static void
act_nothing(sonic_frame_conn *c, int err)
{
    (void)c;
    (void)err;
}

static void
act_impossible(sonic_frame_conn *c, int err)
{
    (void)c;
    (void)err;
    assert(false && "a cell that cannot be reached");
}
