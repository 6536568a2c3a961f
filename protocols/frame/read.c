/* The read side: what the stream lends goes through the scanner, and its
 * frames to whoever takes them. */
#include <errno.h>
#include <string.h>

#include "frame/conn.h"

static bool
pushes(const sonic_frame_conn *c)
{
    return c->handler != NULL && c->handler->on_frame != NULL &&
           !(c->flags & SONIC__FRAME_PAUSED);
}

/* Is the next frame to be looked for?  While we close, always: the peer's end
 * lies behind its frames, and unread bytes would make of our close a reset
 * that can destroy what we sent. */
static bool
wanted(const sonic_frame_conn *c)
{
    if (c->state == SONIC_FRAME_OPEN)
        return pushes(c) || sonic__frame_has_read(c);
    return c->state == SONIC_FRAME_CLOSING || c->state == SONIC_FRAME_WAITING;
}

/* Nobody takes frames now, but somebody wants to hear of the end: it is seen
 * as long as no byte comes before it. */
static bool
watched(const sonic_frame_conn *c)
{
    return c->state == SONIC_FRAME_OPEN && c->handler != NULL &&
           c->handler->on_close != NULL && !(c->flags & SONIC__FRAME_PAUSED) &&
           sonic_stream_buffered(c->stream) == 0;
}

/* End the read operation; its callback may begin another. */
void
sonic__frame_complete_read(sonic_frame_conn *c, int err, uint8_t *data,
                           size_t len)
{
    struct sonic__frame_read op = c->more->read;

    c->more->read.cb = NULL;
    c->flags &= (uint8_t)~SONIC__FRAME_CANCEL;
    if (err == 0 && op.into) {
        if (len > 0)
            memcpy(op.buf, data, len);
        data = op.buf;
    }
    op.cb(c, err, data, len, op.ud);
}

static void
give(sonic_frame_conn *c, uint8_t *data, size_t len)
{
    if (sonic__frame_has_read(c))
        sonic__frame_complete_read(c, 0, data, len);
    else if (pushes(c))
        c->handler->on_frame(c, data, len, c->ud);
}

/* Is that more than the pending read_into has room for? */
static bool
over_cap(const sonic_frame_conn *c, size_t len)
{
    return sonic__frame_has_read(c) && c->more->read.into &&
           len > c->more->read.cap;
}

/* Give away the frames in data[0..len), as long as somebody takes them.
 * c->taken says how far it got.  0, or what is wrong with a frame. */
static int
deliver(sonic_frame_conn *c, uint8_t *data, size_t len)
{
    while (wanted(c)) {
        uint8_t *at = data + c->taken;
        sonic_frame f;
        int err = sonic__frame_scan(&c->u.scan, &c->codec, at, len - c->taken,
                                    sonic__frame_tracer(c), &f);

        if (err < 0 && err != SONIC_ENEEDMORE)
            return err;
        if (f.header > 0 && over_cap(c, f.len)) {
            sonic__frame_complete_read(c, SONIC_ETOOBIG, NULL, f.len);
            continue; /* it is still the next one */
        }
        if (err == SONIC_ENEEDMORE)
            break;
        c->taken += f.total;
        give(c, at + f.offset, f.len);
    }
    return 0;
}

/* A frame that has begun may take frame_timeout, if that is set; anew: it is
 * not the one that was timed.  Closing has a deadline of its own.  False: the
 * session has failed. */
static bool
time_frame(sonic_frame_conn *c, bool anew)
{
    int64_t timeout = c->more != NULL ? c->more->frame_timeout : 0;
    bool timed = (c->flags & SONIC__FRAME_TIMED) != 0, begun;

    if (timeout == 0 || c->state != SONIC_FRAME_OPEN)
        return true;
    begun = wanted(c) && sonic_stream_buffered(c->stream) > 0;
    if (begun == timed && !(timed && anew))
        return true;
    c->flags &= (uint8_t)~SONIC__FRAME_TIMED;
    if (begun)
        c->flags |= SONIC__FRAME_TIMED;
    return sonic__frame_deadline(c, SONIC_READING, begun ? timeout : INT64_MAX);
}

static void
on_lend(sonic_stream *stream, int err, uint8_t *data, size_t len, void *ud)
{
    sonic_frame_conn *c = ud;
    bool anew;

    c->flags &= (uint8_t)~SONIC__FRAME_LENDING;
    sonic_object_drop(c);
    if (c->state == SONIC_FRAME_CLOSED)
        return;
    if (err == SONIC_EOF) { /* less than a frame is there: see arm */
        if (len == 0)
            sonic__frame_ended(c);
        else
            sonic__frame_fail(c, SONIC_FRAME_PEER, SONIC_EFRAME_CUT);
        return;
    }
    if (err < 0) {
        sonic__frame_fail(c, SONIC_FRAME_NOBODY, err);
        return;
    }
    c->flags |= SONIC__FRAME_DELIVERING;
    err = deliver(c, data, len);
    c->flags &= (uint8_t)~SONIC__FRAME_DELIVERING;
    if (c->state == SONIC_FRAME_CLOSED)
        return; /* a callback has ended it */
    sonic_stream_consume(stream, c->taken);
    anew = c->taken > 0;
    c->taken = 0;
    if (err < 0)
        sonic__frame_fail(c, SONIC_FRAME_PEER, err);
    else if (time_frame(c, anew))
        sonic__frame_arm(c);
}

/* Have bytes lent, if somebody wants them and they are not on their way.  To
 * wait for all that the scanner needs means to be called once for a frame, and
 * that an error of the stream comes behind the last frame before it. */
void
sonic__frame_arm(sonic_frame_conn *c)
{
    const struct sonic__frame_scan *s = &c->u.scan;
    enum {
        UNDER_WAY = SONIC__FRAME_LENDING | SONIC__FRAME_DELIVERING |
                    SONIC__FRAME_STARTING
    };
    size_t need, front;

    if ((c->flags & UNDER_WAY) || (!wanted(c) && !watched(c)) ||
        !time_frame(c, false))
        return;
    need = wanted(c) ? sonic__frame_scan_need(s, &c->codec) : 1;
    front = c->codec.strip == 0  ? s->have
            : c->codec.strip > 0 ? (size_t)c->codec.strip
                                 : 0;
    c->flags |= SONIC__FRAME_LENDING;
    sonic_object_hold(c);
    if (s->state != SONIC__FRAME_SCAN_BODY)
        sonic_stream_lend(c->stream, need, 0, on_lend, c);
    else /* what cannot be taken anyway is not waited for */
        sonic_stream_lend(c->stream, over_cap(c, need - front) ? 1 : need, need,
                          on_lend, c);
}

/* ---- read operations -------------------------------------------------- */

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_frame_read_fn *)cb)(object, err, NULL, 0, ud);
}

static void
begin_read(sonic_frame_conn *c, const struct sonic__frame_read *op)
{
    struct sonic__frame_more *more = sonic__frame_more(c);
    bool over = c->state == SONIC_FRAME_ENDED || c->state == SONIC_FRAME_CLOSED;
    int err = 0;

    if (over)
        err = c->error == 0 ? SONIC_EOF : SONIC_ECLOSED;
    else if (more == NULL)
        err = -ENOMEM;
    if (sonic__frame_has_read(c))
        err = -EBUSY;
    if (err < 0) {
        sonic_object_refuse(c, say, err, (void (*)(void))op->cb, op->ud);
        return;
    }
    more->read = *op;
    sonic__frame_arm(c);
}

void
sonic_frame_async_read(sonic_frame_conn *c, sonic_frame_read_fn *cb, void *ud)
{
    begin_read(c, &(struct sonic__frame_read){.cb = cb, .ud = ud});
}

void
sonic_frame_async_read_into(sonic_frame_conn *c, void *buf, size_t cap,
                            sonic_frame_read_fn *cb, void *ud)
{
    begin_read(c,
               &(struct sonic__frame_read){
                   .cb = cb, .ud = ud, .buf = buf, .cap = cap, .into = true});
}

void
sonic_frame_cancel_read(sonic_frame_conn *c)
{
    if (!sonic__frame_has_read(c))
        return;
    c->flags |= SONIC__FRAME_CANCEL;
    sonic_object_defer(c);
}

struct await {
    bool done;
    int err;
    size_t len;
};

static void
on_read(sonic_frame_conn *c, int err, uint8_t *data, size_t len, void *ud)
{
    struct await *a = ud;

    (void)c;
    (void)data;
    *a = (struct await){true, err, len};
}

int
sonic_frame_read(sonic_frame_conn *c, void *buf, size_t cap, size_t *len)
{
    sonic_io *io = sonic_object_io(c);
    struct await a = {false, 0, 0};
    int err;

    if (sonic_io_inside(io))
        return -EBUSY;
    sonic_frame_async_read_into(c, buf, cap, on_read, &a);
    err = a.done ? 0 : sonic_io_run_until(io, &a.done);
    if (!a.done)
        c->more->read.cb = NULL; /* c is there: or else it would be done */
    if (len != NULL)
        *len = a.len;
    return a.done ? a.err : err;
}

void
sonic_frame_pause(sonic_frame_conn *c)
{
    c->flags |= SONIC__FRAME_PAUSED;
}

void
sonic_frame_resume(sonic_frame_conn *c)
{
    c->flags &= (uint8_t)~SONIC__FRAME_PAUSED;
    sonic__frame_arm(c);
}
