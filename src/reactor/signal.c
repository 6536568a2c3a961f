#include <sonicio/signal.h>

#include "reactor/reactor.h"

#include <sys/signalfd.h>

struct sonic_signal {
    struct sonic__object object;
    sonic_signal_fn *cb; /* NULL: nobody waits */
    void *ud;
    bool cancelled;
};

static void
finish(sonic_signal *s, int err, int signo)
{
    sonic_io *io = s->object.io;
    sonic_signal_fn *cb = s->cb;

    s->cb = NULL;
    s->cancelled = false;
    sonic__complete_begin(io);
    cb(s, err, signo, s->ud);
    sonic__complete_end(io);
}

/* Whatever happens, the callback may wait again: hence the loop. */
static void
signal_run(struct sonic__object *o)
{
    sonic_signal *s = (sonic_signal *)o;
    const sonic_sys *sys = o->io->sys;

    while (s->cb != NULL && sonic__may_complete(o->io)) {
        struct signalfd_siginfo info;
        struct iovec v = {&info, sizeof info};
        ssize_t n;

        if (s->cancelled || (o->flags & SONIC__CLOSED)) {
            finish(s, -ECANCELED, 0);
            continue;
        }
        if (!(o->ready & SONIC__READ))
            return;
        n = sys->readv(o->fd, &v, 1, sys->ud);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN)
            sonic__await(o, SONIC__READ);
        else if (n < 0)
            finish(s, (int)n, 0);
        else
            finish(s, 0, (int)info.ssi_signo);
    }
    if (s->cb != NULL)
        sonic__defer(o);
}

static void
signal_close(struct sonic__object *o)
{
    sonic__object_unwatch(o);
}

static void
signal_destroy(struct sonic__object *o)
{
    sonic__free(o->io, o, sizeof(sonic_signal));
}

static const struct sonic__class signal_class = {
    .name = "signal",
    .run = signal_run,
    .close = signal_close,
    .destroy = signal_destroy,
};

int
sonic_signal_new(sonic_io *io, const sigset_t *set, sonic_signal **out)
{
    sonic_signal *s = sonic__alloc(io, sizeof *s);
    int err, fd;

    if (s == NULL)
        return -ENOMEM;
    err = sonic__object_init(io, &s->object, &signal_class);
    if (err < 0) {
        sonic__free(io, s, sizeof *s);
        return err;
    }
    fd = io->sys->signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC, io->sys->ud);
    err = fd < 0 ? fd : sonic__object_watch(&s->object, fd);
    if (err < 0) {
        if (fd >= 0)
            io->sys->close(fd, io->sys->ud);
        sonic__object_free(&s->object);
        return err;
    }
    *out = s;
    return 0;
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_signal_fn *)cb)(object, err, 0, ud);
}

void
sonic_signal_async_wait(sonic_signal *s, sonic_signal_fn *cb, void *ud)
{
    if (s->cb != NULL || (s->object.flags & SONIC__CLOSED)) {
        sonic__refuse(&s->object, say, s->cb != NULL ? -EBUSY : SONIC_ECLOSED,
                      (void (*)(void))cb, ud);
        return;
    }
    sonic__op_begin(s->object.io);
    s->cb = cb;
    s->ud = ud;
    sonic__defer(&s->object);
}

struct wait {
    bool done;
    int result;
};

static void
on_wait(sonic_signal *s, int err, int signo, void *ud)
{
    struct wait *w = ud;

    (void)s;
    w->done = true;
    w->result = err < 0 ? err : signo;
}

int
sonic_signal_wait(sonic_signal *s)
{
    struct wait w = {false, 0};
    int err;

    if (s->object.io->running)
        return -EBUSY;
    sonic_signal_async_wait(s, on_wait, &w);
    err = w.done ? 0 : sonic_io_run_until(s->object.io, &w.done);
    if (!w.done) { /* the loop was stopped: w must not be used any more */
        s->cb = NULL;
        s->object.io->pending--;
    }
    return err < 0 ? err : w.result;
}

void
sonic_signal_cancel(sonic_signal *s)
{
    if (s->cb == NULL)
        return;
    s->cancelled = true;
    sonic__defer(&s->object);
}

void
sonic_signal_close(sonic_signal *s)
{
    sonic__object_close(&s->object);
}

void
sonic_signal_free(sonic_signal *s)
{
    if (s != NULL)
        sonic__object_free(&s->object);
}
