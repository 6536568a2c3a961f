/* Files are opened: here, or on the other thread. */
#include "net/file.h"

#include <string.h>

int
sonic_file_adopt(sonic_io *io, int fd, const sonic_file_options *opt,
                 sonic_file **out)
{
    sonic_file *f;
    int err = sonic__file_make(io, opt, &f);

    if (err < 0)
        return err;
    err = sonic__file_attach(f, fd);
    if (err < 0) {
        sonic__object_free(&f->object);
        return err;
    }
    *out = f;
    return 0;
}

static int
open_path(const sonic_sys *sys, const char *path, int flags, unsigned mode)
{
    const int always = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd;

    do
        fd = sys->open(path, flags | always, mode, sys->ud);
    while (fd == -EINTR);
    return fd;
}

int
sonic_file_open(sonic_io *io, const char *path, int flags, unsigned mode,
                const sonic_file_options *opt, sonic_file **out)
{
    int fd = open_path(io->sys, path, flags, mode), err;

    if (fd < 0)
        return fd;
    err = sonic_file_adopt(io, fd, opt, out);
    if (err < 0)
        io->sys->close(fd, io->sys->ud);
    return err;
}

/* ---- on the other thread ---------------------------------------------- */

/* It has no memory of the caller's, so an io that ends need not wait for it. */
struct sonic__file_opening {
    struct sonic__job job;
    const sonic_sys *sys;
    sonic_mem mem;
    sonic_file *file; /* NULL: it has gone */
    bool out;         /* the job was submitted and has not come back */
    sonic_file_fn *cb;
    void *ud;
    int flags;
    unsigned mode;
    int fd; /* or why there is none */
    size_t size;
    char path[];
};

static void
release(struct sonic__file_opening *o)
{
    sonic_mem mem = o->mem;

    if (o->fd >= 0)
        o->sys->close(o->fd, o->sys->ud);
    mem.free(o, o->size, mem.ud);
}

static void
work(struct sonic__job *job)
{
    struct sonic__file_opening *o = (struct sonic__file_opening *)job;

    o->fd = open_path(o->sys, o->path, o->flags, o->mode);
}

static void
done(struct sonic__job *job, sonic_io *io)
{
    struct sonic__file_opening *o = (struct sonic__file_opening *)job;

    o->out = false;
    if (io == NULL || o->file == NULL)
        release(o);
    else
        sonic__defer(&o->file->object);
}

static int
take_over(sonic_file *f, struct sonic__file_opening *o)
{
    int err = o->fd < 0 ? o->fd : sonic__file_attach(f, o->fd);

    if (err == 0)
        o->fd = -1;
    return err;
}

void
sonic__file_opened(sonic_file *f)
{
    struct sonic__file_opening *o = f->opening;
    sonic_io *io = f->object.io;
    sonic_file_fn *cb = o->cb;
    void *ud = o->ud;
    int err = -ECANCELED;

    if (f->object.flags & SONIC__CLOSED) { /* the io ends */
        if (o->out && sonic__work_recall(io, &o->job))
            o->out = false;
    } else if (o->out) {
        return;
    } else {
        err = take_over(f, o);
    }
    f->opening = NULL;
    o->file = NULL;
    if (!o->out)
        release(o);
    if (err < 0)
        sonic__object_free(&f->object);
    sonic__complete_begin(io);
    cb(err < 0 ? NULL : f, err, 0, ud);
    sonic__complete_end(io);
}

static int
begin(sonic_file *f, const char *path, int flags, unsigned mode,
      sonic_file_fn *cb, void *ud)
{
    sonic_io *io = f->object.io;
    size_t size = sizeof(struct sonic__file_opening) + strlen(path) + 1;
    struct sonic__file_opening *o = sonic__alloc(io, size);
    int err;

    if (o == NULL)
        return -ENOMEM;
    *o = (struct sonic__file_opening){
        .job = {.work = work, .done = done},
        .sys = io->sys,
        .mem = io->mem,
        .file = f,
        .out = true,
        .cb = cb,
        .ud = ud,
        .flags = flags,
        .mode = mode,
        .fd = -1,
        .size = size,
    };
    strcpy(o->path, path);
    err = sonic__work_submit(io, &o->job);
    if (err < 0) {
        release(o);
        return err;
    }
    f->opening = o;
    return 0;
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    (void)object;
    ((sonic_file_fn *)cb)(NULL, err, 0, ud);
}

void
sonic_file_async_open(sonic_io *io, const char *path, int flags, unsigned mode,
                      const sonic_file_options *opt, sonic_file_fn *cb,
                      void *ud)
{
    sonic_file *f;
    int err = sonic__file_make(io, opt, &f);

    if (err == 0) {
        err = begin(f, path, flags, mode, cb, ud);
        if (err < 0)
            sonic__object_free(&f->object);
    }
    if (err == 0)
        sonic__op_begin(io);
    else
        sonic_io_refuse(io, say, NULL, err, (void (*)(void))cb, ud);
}
