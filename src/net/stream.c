/* The life of a stream: made, adopted, closed, destroyed. */
#include "net/stream.h"

#include <fcntl.h>

int
sonic__stream_init(sonic_io *io, sonic_stream *s,
                   const struct sonic__stream_class *cls)
{
    return sonic__object_init(io, &s->object, &cls->base);
}

/* What a stream needs rarely, made when it is first needed. */
struct sonic__stream_more *
sonic__stream_more(sonic_stream *s)
{
    sonic_io *io = s->object.io;

    if (s->more == NULL)
        s->more = sonic__alloc(io, sizeof *s->more);
    if (s->more != NULL)
        s->more->stream = s;
    return s->more;
}

bool
sonic__stream_reading(const struct sonic__object *o)
{
    return (o->bits & SONIC__READ_KIND) != SONIC__READ_NONE &&
           (o->flags & SONIC__REGISTERED);
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_stream_fn *)cb)(object, err, 0, ud);
}

void
sonic__stream_refuse(sonic_stream *s, int err, sonic_stream_fn *cb, void *ud)
{
    sonic__refuse(&s->object, say, err, (void (*)(void))cb, ud);
}

void
sonic__stream_go_on(sonic_stream *s)
{
    struct sonic__object *o = &s->object;

    if ((o->bits & SONIC__READ_KIND) != SONIC__READ_NONE)
        sonic__read_run(s);
    if (s->wq != NULL)
        sonic__write_run(s);
    /* The last word on connecting is given by another object, perhaps behind
     * this one in the queue: stay until it has been. */
    if ((o->flags & SONIC__FREED) && sonic__stream_connecting(s) != NULL)
        sonic__defer(o);
}

void
sonic__stream_close(struct sonic__object *o)
{
    sonic_stream *s = (sonic_stream *)o;
    struct sonic__connect *c = sonic__stream_connecting(s);
    static const struct linger now = {.l_onoff = 1, .l_linger = 0};
    const sonic_sys *sys = o->io->sys;

    if (c != NULL)
        sonic__connect_cancel(c);
    sonic__uncork(s);
    if ((o->bits2 & SONIC__RESET) && o->fd >= 0)
        sys->setsockopt(o->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now,
                        sys->ud);
    else if (!(o->bits2 & SONIC__RESET) && s->wq != NULL && o->error == 0)
        sonic_stream_flush(s);
    sonic__write_give_up(s, -ECANCELED);
    if (!(o->bits & SONIC__READ_BUSY)) /* else its loop does it */
        sonic__read_drop_buffer(s);
    sonic__object_unwatch(o);
}

void
sonic__stream_fini(sonic_stream *s)
{
    sonic_io *io = s->object.io;

    sonic__write_free(s);
    if (s->more != NULL && s->more->read_timer.fire != NULL) {
        sonic__timer_fini(io, &s->more->read_timer);
        sonic__timer_fini(io, &s->more->write_timer);
    }
    sonic__free(io, s->more, sizeof *s->more);
}

void
sonic__stream_destroy(struct sonic__object *o)
{
    sonic__stream_fini((sonic_stream *)o);
    sonic__free(o->io, o, sizeof(sonic_stream));
}

int
sonic_stream_adopt(sonic_io *io, int fd, sonic_stream **out)
{
    sonic_stream *s;
    int err = sonic_stream_new(io, &s), flags;

    if (err < 0)
        return err;
    flags = io->sys->fcntl(fd, F_GETFL, 0, io->sys->ud);
    err = flags < 0 ? flags : 0;
    if (err == 0 && !(flags & O_NONBLOCK))
        err = io->sys->fcntl(fd, F_SETFL, flags | O_NONBLOCK, io->sys->ud);
    if (err >= 0)
        err = sonic__stream_attach(s, fd);
    if (err < 0) {
        sonic_stream_free(s);
        return err;
    }
    *out = s;
    return 0;
}

/* Two descriptors become two streams, or are closed. */
static int
adopt_both(sonic_io *io, const int fd[2], sonic_stream *out[2])
{
    int err = sonic_stream_adopt(io, fd[0], &out[0]);

    if (err < 0) {
        io->sys->close(fd[0], io->sys->ud);
        io->sys->close(fd[1], io->sys->ud);
        return err;
    }
    err = sonic_stream_adopt(io, fd[1], &out[1]);
    if (err < 0) {
        io->sys->close(fd[1], io->sys->ud);
        sonic_stream_free(out[0]);
    }
    return err;
}

int
sonic_stream_pair(sonic_io *io, sonic_stream *out[2])
{
    int fd[2], type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int err = io->sys->socketpair(AF_UNIX, type, 0, fd, io->sys->ud);

    return err < 0 ? err : adopt_both(io, fd, out);
}

int
sonic_pipe_new(sonic_io *io, sonic_stream *out[2])
{
    int fd[2];
    int err = io->sys->pipe2(fd, O_NONBLOCK | O_CLOEXEC, io->sys->ud);

    return err < 0 ? err : adopt_both(io, fd, out);
}

struct sonic__connect *
sonic__stream_connecting(const sonic_stream *s)
{
    return s->object.bits2 & SONIC__CONNECTING ? s->u.connect : NULL;
}

void
sonic__stream_set_connecting(sonic_stream *s, struct sonic__connect *c)
{
    s->u.connect = c;
    if (c != NULL)
        s->object.bits2 |= SONIC__CONNECTING;
    else
        s->object.bits2 &= (uint8_t)~SONIC__CONNECTING;
}

static void
on_late(sonic_stream *s, int directions)
{
    if (directions & SONIC_READING)
        s->object.bits |= SONIC__READ_LATE;
    if (directions & SONIC_WRITING) {
        s->object.bits2 |= SONIC__WRITE_LATE;
    }
    sonic__stream_run(&s->object);
}

static void
on_read_late(struct sonic__timer *t)
{
    struct sonic__stream_more *m =
        (void *)((char *)t - offsetof(struct sonic__stream_more, read_timer));

    on_late(m->stream, SONIC_READING);
}

static void
on_write_late(struct sonic__timer *t)
{
    struct sonic__stream_more *m =
        (void *)((char *)t - offsetof(struct sonic__stream_more, write_timer));

    on_late(m->stream, SONIC_WRITING);
}

static int
init_timers(sonic_io *io, struct sonic__stream_more *m)
{
    int err = sonic__timer_init(io, &m->read_timer, on_read_late);

    if (err < 0)
        return err;
    err = sonic__timer_init(io, &m->write_timer, on_write_late);
    if (err < 0) {
        sonic__timer_fini(io, &m->read_timer);
        m->read_timer.fire = NULL;
    }
    return err;
}

static void
set_timer(sonic_io *io, struct sonic__timer *t, int64_t when)
{
    if (when == INT64_MAX)
        sonic__timer_disarm(io, t);
    else
        sonic__timer_arm(io, t, when);
}

int
sonic_stream_set_deadline(sonic_stream *s, int directions, int64_t when)
{
    sonic_io *io = s->object.io;
    struct sonic__stream_more *m;
    int err;

    if (directions & ~SONIC_BOTH)
        return SONIC_EOPTION;
    if (sonic__stream_closed(s))
        return SONIC_ECLOSED;
    m = sonic__stream_more(s);
    if (m == NULL)
        return -ENOMEM;
    if (m->read_timer.fire == NULL && (err = init_timers(io, m)) < 0)
        return err;
    if (directions & SONIC_READING) {
        s->object.bits &= (uint8_t)~SONIC__READ_LATE;
        set_timer(io, &m->read_timer, when);
    }
    if (directions & SONIC_WRITING) {
        s->object.bits2 &= (uint8_t)~SONIC__WRITE_LATE;
        set_timer(io, &m->write_timer, when);
    }
    return 0;
}

int
sonic_stream_shutdown(sonic_stream *s)
{
    const struct sonic__stream_class *cls = sonic__stream_class(s);
    struct sonic__object *o = &s->object;
    int err;

    if (o->flags & SONIC__CLOSED)
        return SONIC_ECLOSED;
    if (!(o->bits2 & SONIC__CONNECTED))
        return -ENOTCONN;
    if (o->bits2 & SONIC__WRITE_SHUT)
        return 0;
    if (cls->may_shutdown != NULL && (err = cls->may_shutdown(s)) < 0)
        return err;
    sonic__uncork(s);
    o->bits2 |= SONIC__WRITE_SHUT;
    if (s->wq != NULL)
        s->wq->room = 0; /* nothing more may be queued */
    if (s->wq != NULL && s->wq->head != NULL)
        return 0; /* when the queue has gone out */
    o->bits2 |= SONIC__WRITE_ENDED;
    return cls->shutdown(s);
}

void
sonic_stream_close(sonic_stream *s)
{
    sonic__object_close(&s->object);
}

void
sonic_stream_reset(sonic_stream *s)
{
    s->object.bits2 |= SONIC__RESET;
    sonic__object_close(&s->object);
}

void
sonic_stream_free(sonic_stream *s)
{
    if (s != NULL)
        sonic__object_free(&s->object);
}

sonic_io *
sonic_stream_io(const sonic_stream *s)
{
    return s->object.io;
}

bool
sonic_stream_is_open(const sonic_stream *s)
{
    return (s->object.bits2 & SONIC__CONNECTED) && !sonic__stream_closed(s);
}

sonic_stream *
sonic_stream_next_layer(const sonic_stream *s)
{
    const struct sonic__stream_class *c = sonic__stream_class(s);

    return c->next_layer != NULL ? c->next_layer(s) : NULL;
}

/* A layer's is that of what it stands on. */
int
sonic_stream_fd(const sonic_stream *s)
{
    const sonic_stream *below;

    while (s->object.fd < 0 && (below = sonic_stream_next_layer(s)) != NULL)
        s = below;
    return s->object.fd;
}

typedef int get_name(int fd, struct sockaddr *a, socklen_t *n, void *ud);

static int
get_address(const sonic_stream *s, get_name *get, sonic_address *out)
{
    const sonic_sys *sys = s->object.io->sys;
    int fd = sonic_stream_fd(s);

    if (fd < 0)
        return -ENOTCONN;
    out->len = sizeof out->storage;
    return get(fd, (struct sockaddr *)&out->storage, &out->len, sys->ud);
}

int
sonic_stream_local_address(const sonic_stream *s, sonic_address *out)
{
    return get_address(s, s->object.io->sys->getsockname, out);
}

int
sonic_stream_remote_address(const sonic_stream *s, sonic_address *out)
{
    return get_address(s, s->object.io->sys->getpeername, out);
}
