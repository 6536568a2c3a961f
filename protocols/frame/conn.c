#include <errno.h>
#include <string.h>

#include "base/pack.h"
#include "frame/conn.h"

_Static_assert(sizeof(sonic_frame_conn) <= 96, "it is in every idle one");

/* The user learns of the end, once all that was under way has come back. */
static void
report(sonic_frame_conn *c)
{
    const sonic_frame_close_record why = {
        .side = (enum sonic_frame_side)c->side,
        .state = (enum sonic_frame_state)c->ended_in,
        .error = c->error,
        .partial = c->u.left.partial,
        .unsent = c->u.left.unsent,
    };

    c->flags |= SONIC__FRAME_REPORTED;
    if (sonic__frame_has_read(c))
        sonic__frame_complete_read(c, c->error < 0 ? c->error : SONIC_EOF, NULL,
                                   0);
    if (c->handler != NULL && c->handler->on_close != NULL)
        c->handler->on_close(c, &why, c->ud);
}

/* Where nothing is read, an error that a write met would be told by nobody. */
static void
look_for_error(sonic_frame_conn *c)
{
    int err = 0;

    if (c->state == SONIC_FRAME_OPEN && !(c->flags & SONIC__FRAME_LENDING))
        err = sonic_stream_flush(c->stream);
    if (err < 0)
        sonic__frame_fail(c, SONIC_FRAME_NOBODY, err);
}

/* A turn of the loop. */
static void
run(void *object)
{
    sonic_frame_conn *c = object;

    c->flags &= (uint8_t)~SONIC__FRAME_STARTING;
    if ((c->flags & SONIC__FRAME_CANCEL) && sonic__frame_has_read(c))
        sonic__frame_complete_read(c, -ECANCELED, NULL, 0);
    if (c->state == SONIC_FRAME_ENDED && sonic__frame_has_read(c))
        sonic__frame_complete_read(c, SONIC_EOF, NULL, 0);
    if (c->state != SONIC_FRAME_CLOSED) {
        sonic__frame_arm(c);
        look_for_error(c);
    } else if (!sonic_object_held(c) && !(c->flags & SONIC__FRAME_REPORTED)) {
        report(c);
    }
}

/* The io's end; or the session's, which has closed the object. */
static void
close_object(void *object)
{
    sonic_frame_conn *c = object;

    if (c->state != SONIC_FRAME_CLOSED)
        sonic__frame_fail(c, SONIC_FRAME_NOBODY, -ECANCELED);
}

static void
destroy(void *object)
{
    sonic_frame_conn *c = object;
    const sonic_mem *mem = sonic_io_mem(sonic_object_io(c));
    struct sonic__frame_write *w;

    if (c->more == NULL)
        return;
    while ((w = c->more->spare) != NULL) {
        c->more->spare = w->next;
        mem->free(w, sizeof *w, mem->ud);
    }
    mem->free(c->more, sizeof *c->more, mem->ud);
}

struct sonic__frame_more *
sonic__frame_more(sonic_frame_conn *c)
{
    const sonic_mem *mem = sonic_io_mem(sonic_object_io(c));

    if (c->more == NULL) {
        c->more = mem->alloc(sizeof *c->more, mem->ud);
        if (c->more != NULL)
            memset(c->more, 0, sizeof *c->more);
    }
    return c->more;
}

static int
set_options(sonic_frame_conn *c, sonic_stream *stream,
            const sonic_frame_options *opt)
{
    if (opt->close_timeout < 0 || opt->frame_timeout < 0)
        return SONIC_EOPTION;
    if (opt->close_timeout > 0 || opt->frame_timeout > 0) {
        if (sonic__frame_more(c) == NULL)
            return -ENOMEM;
        c->more->close_timeout = opt->close_timeout;
        c->more->frame_timeout = opt->frame_timeout;
    }
    if (opt->low_water == 0 && opt->high_water == 0 && opt->queue_limit == 0)
        return 0;
    return sonic_stream_set_marks(stream, opt->low_water, opt->high_water,
                                  opt->queue_limit);
}

int
sonic_frame_conn_new(sonic_stream *stream, const sonic_frame_codec *codec,
                     const sonic_frame_options *opt,
                     const sonic_frame_handler *handler, void *ud,
                     sonic_frame_conn **out)
{
    static const sonic_object_class cls = {
        SONIC_OBJECT_CLASS_INIT,
        .bytes = sizeof(sonic_frame_conn),
        .run = run,
        .close = close_object,
        .destroy = destroy,
    };
    sonic_frame_options o;
    sonic_frame_conn *c;
    void *object;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err == 0 && handler != NULL)
        err = sonic__options_fit(handler, sizeof *handler);
    if (err < 0)
        return err;
    if (!sonic_stream_is_open(stream))
        return -ENOTCONN;
    err = sonic_object_new(sonic_stream_io(stream), &cls, &object);
    if (err < 0)
        return err;
    c = object;
    err = set_options(c, stream, &o);
    if (err < 0)
        goto fail;
    c->stream = stream;
    c->codec = *codec;
    c->handler = handler;
    c->ud = ud;
    sonic__frame_scan_reset(&c->u.scan);
    c->flags = SONIC__FRAME_STARTING;
    sonic_object_defer(c);
    *out = c;
    return 0;

fail:
    c->state = SONIC_FRAME_CLOSED; /* there is no stream to end */
    c->flags = SONIC__FRAME_REPORTED;
    sonic_object_free(c);
    return err;
}

void
sonic_frame_conn_close(sonic_frame_conn *c)
{
    sonic__frame_close(c);
}

void
sonic_frame_conn_terminate(sonic_frame_conn *c)
{
    sonic__frame_fail(c, SONIC_FRAME_US, -ECANCELED);
}

void
sonic_frame_conn_free(sonic_frame_conn *c)
{
    if (c == NULL)
        return;
    c->handler = NULL;
    sonic_frame_conn_terminate(c);
    sonic_object_free(c);
}

enum sonic_frame_state
sonic_frame_conn_state(const sonic_frame_conn *c)
{
    return (enum sonic_frame_state)c->state;
}

sonic_stream *
sonic_frame_conn_next_layer(const sonic_frame_conn *c)
{
    return c->stream;
}

sonic_io *
sonic_frame_conn_io(const sonic_frame_conn *c)
{
    return sonic_object_io(c);
}

int
sonic_frame_conn_set_handler(sonic_frame_conn *c,
                             const sonic_frame_handler *handler, void *ud)
{
    int err =
        handler == NULL ? 0 : sonic__options_fit(handler, sizeof *handler);

    if (err < 0)
        return err;
    c->handler = handler;
    c->ud = ud;
    if (c->state != SONIC_FRAME_CLOSED)
        sonic__frame_arm(c);
    return 0;
}

void *
sonic_frame_conn_user(const sonic_frame_conn *c)
{
    return c->ud;
}

int
sonic_frame_conn_set_trace(sonic_frame_conn *c, const sonic_fsm_tracer *tracer)
{
    if (tracer == NULL && c->more == NULL)
        return 0;
    if (sonic__frame_more(c) == NULL)
        return -ENOMEM;
    c->more->tracer = tracer;
    return 0;
}
