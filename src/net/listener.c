/* Accepting: the whole backlog of one readiness, within the budget, and a
 * policy for the day when no descriptor is left. */
#include <sonicio/listener.h>

#include <fcntl.h>
#include <net/if.h>
#include <string.h>

#include "net/bind.h"
#include "net/options.h"
#include "net/stream.h"

enum { BACKLOG = 4096 };
#define REST INT64_C(100000000) /* ns */

struct sonic_listener {
    struct sonic__object object;
    sonic_accept_fn *cb; /* NULL: nobody waits */
    void *ud;
    struct sonic__timer rest; /* armed: it does not try meanwhile */
    uint64_t shed;
    int reserve; /* a descriptor to have one to give up; -1: none */
    int family;
    bool cancelled;
    bool looping;          /* its loop is on the stack */
    bool told;             /* of this occasion of having no descriptors */
    bool keep_path;        /* or there is none */
    sonic_address address; /* as asked for */
    sonic_socket_options accepted;
    char device[IFNAMSIZ];
};

static void
finish(sonic_listener *l, int err, sonic_stream *stream)
{
    sonic_io *io = l->object.io;
    sonic_accept_fn *cb = l->cb;

    l->cb = NULL;
    l->cancelled = false;
    sonic__complete_begin(io);
    cb(l, err, stream, l->ud);
    sonic__complete_end(io);
}

static int
take(sonic_listener *l)
{
    const sonic_sys *sys = l->object.io->sys;

    return sys->accept4(l->object.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC,
                        sys->ud);
}

static int
open_reserve(sonic_io *io)
{
    return io->sys->open("/dev/null", O_RDONLY | O_CLOEXEC, 0, io->sys->ud);
}

/* An accepted connection becomes a stream. */
static void
deliver(sonic_listener *l, int fd)
{
    sonic_io *io = l->object.io;
    sonic_stream *s = NULL;
    int err = sonic__options_apply(io, fd, l->family, SOCK_STREAM, &l->accepted,
                                   SONIC__ACCEPTED);

    if (err == 0)
        err = sonic_stream_new(io, &s);
    if (err == 0 && (err = sonic__stream_attach(s, fd)) < 0)
        sonic_stream_free(s);
    if (err < 0) {
        io->sys->close(fd, io->sys->ud);
        s = NULL;
    }
    finish(l, err, s);
}

/* Once per occasion: it lasts until a connection has been accepted. */
static void
tell(sonic_listener *l, int err)
{
    if (l->told)
        return;
    l->told = true;
    finish(l, err, NULL);
}

/* Nothing can be done now.  The system would say so as often as it is asked,
 * so it is not asked for a while. */
static void
rest(sonic_listener *l, int err)
{
    sonic_io *io = l->object.io;

    sonic__timer_arm(io, &l->rest, io->sys->clock(io->sys->ud) + REST);
    tell(l, err);
}

/* No descriptor is left: spend the reserve on the connection, so that its
 * client is not kept waiting.  Linux says so even when nobody is waiting. */
static void
turn_away(sonic_listener *l, int err)
{
    const sonic_sys *sys = l->object.io->sys;
    int fd;

    if (l->reserve < 0) {
        l->reserve = open_reserve(l->object.io);
        if (l->reserve < 0)
            rest(l, err);
        return;
    }
    sys->close(l->reserve, sys->ud);
    fd = take(l);
    if (fd >= 0) {
        sys->close(fd, sys->ud);
        l->shed++;
    }
    l->reserve = open_reserve(l->object.io);
    if (fd == -EAGAIN)
        sonic__await(&l->object, SONIC__READ);
    else if (fd == -EMFILE || fd == -ENFILE)
        rest(l, err); /* somebody else was faster */
    else
        tell(l, err);
}

static void
accept_one(sonic_listener *l)
{
    int fd = take(l);

    switch (fd) {
    case -EAGAIN:
        sonic__await(&l->object, SONIC__READ);
        return;
    case -EMFILE:
    case -ENFILE:
        turn_away(l, fd);
        return;
    case -ENOMEM:
    case -ENOBUFS:
        rest(l, fd);
        return;
    case -EINTR:
    case -ECONNABORTED:
    case -EPROTO:
    case -ENETDOWN: /* accept(2): errors of the connection, not of accept */
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return;
    default:
        if (fd < 0) {
            finish(l, fd, NULL);
            return;
        }
        l->told = false;
        deliver(l, fd);
    }
}

/* Whatever happens, the callback may accept again: hence the loop. */
static void
listener_run(struct sonic__object *o)
{
    sonic_listener *l = (sonic_listener *)o;
    unsigned budget = o->io->budget;

    l->looping = true;
    while (l->cb != NULL) {
        if (budget-- == 0 || !sonic__may_complete(o->io)) {
            sonic__defer(o);
            break;
        }
        if (l->cancelled || (o->flags & SONIC__CLOSED)) {
            finish(l, -ECANCELED, NULL);
            continue;
        }
        if (sonic__timer_armed(&l->rest) || !(o->ready & SONIC__READ))
            break;
        accept_one(l);
    }
    l->looping = false;
}

static void
on_rested(struct sonic__timer *t)
{
    sonic_listener *l =
        (sonic_listener *)((char *)t - offsetof(sonic_listener, rest));

    listener_run(&l->object);
}

static void
listener_close(struct sonic__object *o)
{
    sonic_listener *l = (sonic_listener *)o;
    const sonic_sys *sys = o->io->sys;

    sonic__timer_disarm(o->io, &l->rest);
    sonic__object_unwatch(o);
    if (l->reserve >= 0)
        sys->close(l->reserve, sys->ud);
    if (!l->keep_path)
        sonic__unbind(o->io, &l->address);
}

static void
listener_destroy(struct sonic__object *o)
{
    sonic__timer_fini(o->io, &((sonic_listener *)o)->rest);
    sonic__free(o->io, o, sizeof(sonic_listener));
}

static const struct sonic__class listener_class = {
    .name = "listener",
    .run = listener_run,
    .close = listener_close,
    .destroy = listener_destroy,
};

static int
make(sonic_io *io, sonic_listener **out)
{
    sonic_listener *l = sonic__alloc(io, sizeof *l);
    int err;

    if (l == NULL)
        return -ENOMEM;
    err = sonic__timer_init(io, &l->rest, on_rested);
    if (err < 0)
        goto fail;
    err = sonic__object_init(io, &l->object, &listener_class);
    if (err < 0)
        goto fail_timer;
    l->keep_path = true; /* until there is one */
    l->reserve = -1;
    *out = l;
    return 0;

fail_timer:
    sonic__timer_fini(io, &l->rest);
fail:
    sonic__free(io, l, sizeof *l);
    return err;
}

/* Options for connections are copied, and checked now rather than at each. */
static int
copy_accepted(sonic_listener *l, const sonic_socket_options *opt)
{
    int err = sonic__options_copy(&l->accepted, sizeof l->accepted, opt);

    if (err == 0)
        err = sonic__options_check(&l->accepted, l->family, SOCK_STREAM,
                                   SONIC__ACCEPTED);
    if (err == 0 && l->accepted.device != NULL) {
        strcpy(l->device, l->accepted.device); /* checked: it fits */
        l->accepted.device = l->device;
    }
    return err;
}

static int
begin(sonic_listener *l, const char *address, const sonic_listener_options *opt)
{
    sonic_io *io = l->object.io;
    bool keep = opt->keep_path == SONIC_ON;
    int backlog = opt->backlog != 0 ? opt->backlog : BACKLOG, fd, err;

    if (backlog < 0)
        return SONIC_EOPTION;
    l->reserve = open_reserve(io);
    if (l->reserve < 0)
        return l->reserve;
    fd = sonic__listen(io, address, backlog, keep, opt->socket, &l->address);
    if (fd < 0)
        return fd;
    l->family = l->address.storage.ss_family;
    l->keep_path = keep;
    err = copy_accepted(l, opt->accepted);
    if (err == 0)
        err = sonic__object_watch(&l->object, fd);
    if (err < 0)
        io->sys->close(fd, io->sys->ud);
    return err;
}

int
sonic_listener_new(sonic_io *io, const char *address,
                   const sonic_listener_options *opt, sonic_listener **out)
{
    sonic_listener_options o;
    sonic_listener *l;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err < 0 || (err = make(io, &l)) < 0)
        return err;
    err = begin(l, address, &o);
    if (err < 0) {
        sonic__object_free(&l->object);
        return err;
    }
    *out = l;
    return 0;
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_accept_fn *)cb)(object, err, NULL, ud);
}

void
sonic_listener_async_accept(sonic_listener *l, sonic_accept_fn *cb, void *ud)
{
    struct sonic__object *o = &l->object;

    if (l->cb != NULL || (o->flags & SONIC__CLOSED)) {
        sonic__refuse(o, say, l->cb != NULL ? -EBUSY : SONIC_ECLOSED,
                      (void (*)(void))cb, ud);
        return;
    }
    sonic__op_begin(o->io);
    l->cb = cb;
    l->ud = ud;
    if (!l->looping && (o->ready & SONIC__READ))
        sonic__defer(o);
}

struct wait {
    bool done;
    int err;
    sonic_stream *stream;
};

static void
on_accept(sonic_listener *l, int err, sonic_stream *stream, void *ud)
{
    struct wait *w = ud;

    (void)l;
    w->done = true;
    w->err = err;
    w->stream = stream;
}

int
sonic_listener_accept(sonic_listener *l, sonic_stream **out)
{
    sonic_io *io = l->object.io;
    struct wait w = {false, 0, NULL};
    int err;

    if (io->running || io->dispatched > 0)
        return -EBUSY;
    sonic_listener_async_accept(l, on_accept, &w);
    err = w.done ? 0 : sonic_io_run_until(io, &w.done);
    if (!w.done) { /* the loop was stopped: w must not be used any more */
        l->cb = NULL;
        l->cancelled = false;
        io->pending--;
        return err;
    }
    *out = w.stream;
    return w.err;
}

void
sonic_listener_cancel(sonic_listener *l)
{
    if (l->cb == NULL)
        return;
    l->cancelled = true;
    sonic__defer(&l->object);
}

void
sonic_listener_close(sonic_listener *l)
{
    sonic__object_close(&l->object);
}

void
sonic_listener_free(sonic_listener *l)
{
    if (l != NULL)
        sonic__object_free(&l->object);
}

int
sonic_listener_address(const sonic_listener *l, sonic_address *out)
{
    const sonic_sys *sys = l->object.io->sys;

    if (l->object.flags & SONIC__CLOSED)
        return SONIC_ECLOSED;
    memset(out, 0, sizeof *out);
    out->len = sizeof out->storage;
    return sys->getsockname(l->object.fd, (struct sockaddr *)&out->storage,
                            &out->len, sys->ud);
}

int
sonic_listener_fd(const sonic_listener *l)
{
    return l->object.fd;
}

uint64_t
sonic_listener_shed(const sonic_listener *l)
{
    return l->shed;
}

sonic_io *
sonic_listener_io(const sonic_listener *l)
{
    return l->object.io;
}
