/* The orderly end of a stream: what is queued goes out, the peer is told, and
 * its own end awaited. */
#include <sonicio/object.h>

#include "net/stream.h"

#define TIMEOUT (INT64_C(10) * 1000 * 1000 * 1000) /* ns */

/* An object of the io, held by each of its two operations. */
struct finish {
    sonic_stream *stream;
    sonic_stream_fn *cb; /* may be NULL */
    void *ud;
    int err;      /* the first that was met */
    bool flushed; /* the system has all that was queued, or never will */
    bool sent;    /* it has */
    bool reading; /* the read is under way */
    bool ended;   /* the peer's end was seen, or never will be */
};

static void
note(struct finish *f, int err)
{
    if (f->err == 0)
        f->err = err == SONIC_ECLOSED ? -ECANCELED : err;
}

/* Called by the loop only.  What was cut short must not look like the end. */
static void
settle(struct finish *f)
{
    sonic_stream *s = f->stream;

    if (!f->flushed || !f->ended)
        return;
    if (!f->sent)
        sonic_stream_reset(s);
    if (f->cb != NULL)
        f->cb(s, f->err, 0, f->ud);
    sonic_stream_free(s);
    sonic_object_free(f);
}

static void
on_flushed(sonic_stream *s, int err, size_t n, void *ud)
{
    struct finish *f = ud;

    (void)n;
    f->flushed = true;
    f->sent = err == 0;
    note(f, err);
    if (err < 0 && f->reading)
        sonic_stream_cancel(s, SONIC_READING);
    sonic_object_drop(f);
    if (f->ended)
        settle(f);
}

/* What the peer still says is not wanted: its end is. */
static void
on_rest(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct finish *f = ud;

    (void)data;
    if (err == 0) {
        sonic_stream_lend_again(s, len);
        return;
    }
    f->reading = false;
    sonic_object_drop(f);
    if (err == -EBUSY) { /* another read: it is cancelled, then this goes on */
        sonic_stream_cancel(s, SONIC_READING);
        sonic_object_defer(f);
        return;
    }
    f->ended = true;
    note(f, err == SONIC_EOF ? 0 : err);
    if (err != SONIC_EOF && !f->flushed)
        sonic_stream_cancel(s, SONIC_WRITING);
    settle(f);
}

static void
run(void *object)
{
    struct finish *f = object;

    if (f->reading || f->ended)
        return;
    if (f->err < 0 || sonic__stream_class(f->stream)->may_shutdown != NULL) {
        f->ended = true; /* a pipe: it has no other direction */
        settle(f);
        return;
    }
    f->reading = true;
    sonic_object_hold(f);
    sonic_stream_lend(f->stream, 1, 0, on_rest, f);
}

/* The shutdown may have been asked for already; where there is none, the queue
 * is all. */
static void
flush_and_shut(struct finish *f)
{
    sonic_stream *s = f->stream;
    uint8_t shut = s->object.bits2 & SONIC__WRITE_SHUT;

    if (s->object.bits2 & SONIC__WRITE_ENDED) {
        f->flushed = f->sent = true;
        return;
    }
    s->object.bits2 &= (uint8_t)~SONIC__WRITE_SHUT;
    sonic_object_hold(f);
    sonic_stream_async_write(s, NULL, 0, on_flushed, f);
    s->object.bits2 |= shut;
    if (!shut)
        (void)sonic_stream_shutdown(s);
}

static int
begin(sonic_stream *s, int64_t timeout, struct finish **out)
{
    static const sonic_object_class finish_class = {
        SONIC_OBJECT_CLASS_INIT, .bytes = sizeof(struct finish), .run = run};
    sonic_io *io = s->object.io;
    int64_t now = io->sys->clock(io->sys->ud);
    void *f;
    int err;

    if (sonic__stream_closed(s))
        return SONIC_ECLOSED;
    if (!(s->object.bits2 & SONIC__CONNECTED))
        return -ENOTCONN;
    if (timeout <= 0)
        timeout = TIMEOUT;
    if (timeout > INT64_MAX / 4)
        timeout = INT64_MAX / 4;
    err = sonic_stream_set_deadline(s, SONIC_BOTH, now + timeout);
    if (err == 0)
        err = sonic_object_new(io, &finish_class, &f);
    if (err < 0)
        return err;
    *out = f;
    (*out)->stream = s;
    return 0;
}

static void
go(struct finish *f, sonic_stream_fn *cb, void *ud)
{
    f->cb = cb;
    f->ud = ud;
    sonic_stream_cancel(f->stream, SONIC_READING);
    flush_and_shut(f);
    sonic_object_defer(f);
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    if (cb != NULL)
        ((sonic_stream_fn *)cb)(object, err, 0, ud);
    sonic_stream_free(object);
}

void
sonic_stream_async_finish(sonic_stream *s, int64_t timeout, sonic_stream_fn *cb,
                          void *ud)
{
    struct finish *f;
    int err = begin(s, timeout, &f);

    if (err < 0)
        sonic__refuse(&s->object, say, err, (void (*)(void))cb, ud);
    else
        go(f, cb, ud);
}

/* ---- the blocking twin ------------------------------------------------- */

int
sonic_stream_finish(sonic_stream *s, int64_t timeout)
{
    sonic_io *io = s->object.io;
    struct sonic__await a = {false, 0, 0};
    struct finish *f;
    int err;

    if (sonic_io_inside(io))
        return -EBUSY;
    err = begin(s, timeout, &f);
    if (err < 0) {
        sonic_stream_free(s);
        return err;
    }
    go(f, sonic__await_done, &a);
    err = sonic_io_run_until(io, &a.done);
    if (!a.done)
        f->cb = NULL; /* the loop was stopped: it goes on without us */
    return err < 0 ? err : a.err;
}
