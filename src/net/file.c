/* Files: their life, their queue, their callbacks.
 *
 * Of a regular file one operation at a time is out as a job; when it has come
 * back it joins `finished`, from where the object's turn calls back.  What is
 * cancelled goes there too.  Of other files the stream has the operations.
 */
#include "net/file.h"

#include <sys/stat.h>

#include "base/pack.h"

enum { QUEUED_DEFAULT = 1024 };

static void
append(struct sonic__file_list *list, struct sonic__file_op *op)
{
    op->next = NULL;
    *list->tail = op;
    list->tail = &op->next;
}

static struct sonic__file_op *
take(struct sonic__file_list *list)
{
    struct sonic__file_op *op = list->head;

    if (op == NULL)
        return NULL;
    list->head = op->next;
    if (list->head == NULL)
        list->tail = &list->head;
    return op;
}

static void
finish(sonic_file *f, struct sonic__file_op *op, int err)
{
    op->io.err = err;
    if (err == -ECANCELED)
        op->io.n = 0;
    append(&f->finished, op);
    sonic__defer(&f->object);
}

/* The job that is out is over: its operation has its outcome. */
static void
collect(sonic_file *f)
{
    struct sonic__file_op *op = f->running;

    f->running = NULL;
    op->io = f->work->io;
    if (f->work->close_fd) { /* the other thread has let go of it */
        f->work->close_fd = false;
        f->work->sys->close(f->work->fd, f->work->sys->ud);
    }
    if (op->io.here || op->io.kind == SONIC__FILE_SEEK)
        f->position = op->io.position;
    finish(f, op, op->io.err);
}

/* Take back all that can be. */
static void
cancel(sonic_file *f)
{
    struct sonic__file_op *op = f->running;

    if (op != NULL && sonic__work_recall(f->object.io, &f->work->job)) {
        f->work->out = false;
        f->running = NULL;
        finish(f, op, -ECANCELED);
    }
    while ((op = take(&f->queue)) != NULL)
        finish(f, op, -ECANCELED);
}

static void
start_next(sonic_file *f)
{
    struct sonic__file_work *w = f->work;
    int err;

    while (!w->out && f->running == NULL && f->queue.head != NULL) {
        struct sonic__file_op *op = take(&f->queue);

        op->io.position = f->position;
        w->io = op->io;
        w->out = true;
        f->running = op;
        err = sonic__work_submit(f->object.io, &w->job);
        if (err == 0)
            return;
        w->out = false;
        f->running = NULL;
        finish(f, op, err);
    }
}

static void
recycle(sonic_file *f, struct sonic__file_op *op)
{
    op->next = f->spare;
    f->spare = op;
    f->idle = --f->queued == 0;
}

/* Everything has been told, and the caller wants it gone. */
static void
settle(sonic_file *f)
{
    if (f->free_later && f->queued == 0 && f->on_stream == 0) {
        f->free_later = false;
        sonic__object_free(&f->object);
    }
}

static void
call_back(sonic_file *f, struct sonic__file_op *op)
{
    struct sonic__file_op told = *op;
    sonic_io *io = f->object.io;

    recycle(f, op);
    sonic__complete_begin(io);
    told.cb(f, told.io.err, told.io.n, told.ud);
    sonic__complete_end(io);
}

static void
run(struct sonic__object *o)
{
    sonic_file *f = (sonic_file *)o;
    sonic_io *io = o->io;
    struct sonic__file_op *op;

    if (f->opening != NULL) {
        sonic__file_opened(f);
        return;
    }
    if (f->running != NULL) {
        if (!f->work->out) {
            collect(f);
        } else if (io->closed) { /* its buffer is borrowed until then */
            sonic__work_await(io, &f->work->job);
            collect(f);
        }
    }
    while ((op = f->finished.head) != NULL && io->allowed > 0) {
        take(&f->finished);
        call_back(f, op);
    }
    if (f->work != NULL && !f->work->out && !(o->flags & SONIC__CLOSED))
        start_next(f);
    settle(f);
    /* The stream's callbacks come from the queue, perhaps behind this. */
    if (f->finished.head != NULL ||
        ((o->flags & SONIC__FREED) && f->on_stream > 0))
        sonic__defer(o);
}

static void
close_file(struct sonic__object *o)
{
    sonic_file *f = (sonic_file *)o;
    struct sonic__file_work *w = f->work;

    if (f->stream != NULL)
        sonic_stream_free(f->stream);
    f->stream = NULL;
    if (w == NULL)
        return;
    cancel(f);
    if (f->running != NULL) {
        w->close_fd = true;
        o->fd = -1;
    } else {
        sonic__object_unwatch(o);
    }
}

static void
destroy(struct sonic__object *o)
{
    sonic_file *f = (sonic_file *)o;
    struct sonic__file_op *op;

    while ((op = f->spare) != NULL) {
        f->spare = op->next;
        sonic__free(o->io, op, sizeof *op);
    }
    if (f->work != NULL) {
        f->work->file = NULL;
        if (!f->work->out)
            sonic__file_work_free(f->work);
    }
    sonic__free(o->io, f, sizeof *f);
}

int
sonic__file_make(sonic_io *io, const sonic_file_options *opt, sonic_file **out)
{
    static const struct sonic__class file_class = {
        .name = "file",
        .run = run,
        .close = close_file,
        .destroy = destroy,
    };
    sonic_file_options o;
    sonic_file *f;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err < 0)
        return err;
    f = sonic__alloc(io, sizeof *f);
    if (f == NULL)
        return -ENOMEM;
    err = sonic__object_init(io, &f->object, &file_class);
    if (err < 0) {
        sonic__free(io, f, sizeof *f);
        return err;
    }
    f->queue.tail = &f->queue.head;
    f->finished.tail = &f->finished.head;
    f->idle = true;
    f->max_queued = QUEUED_DEFAULT;
    if (o.max_queued != 0)
        f->max_queued = o.max_queued;
    *out = f;
    return 0;
}

/* Regular files and disks have a position and a thread; others are streams. */
int
sonic__file_attach(sonic_file *f, int fd)
{
    const sonic_sys *sys = f->object.io->sys;
    struct stat st;
    int err = sys->fstat(fd, &st, sys->ud), flags;

    if (err < 0)
        return err;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return sonic_stream_adopt(f->object.io, fd, &f->stream);
    flags = sys->fcntl(fd, F_GETFL, 0, sys->ud);
    if (flags < 0)
        return flags;
    f->position = sys->lseek(fd, 0, SEEK_CUR, sys->ud);
    if (f->position < 0)
        return (int)f->position;
    err = sonic__file_work_new(f->object.io, fd, (flags & O_APPEND) != 0,
                               &f->work);
    if (err < 0)
        return err;
    f->work->file = f;
    f->object.fd = fd;
    return 0;
}

/* ---- operations begin ------------------------------------------------- */

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_file_fn *)cb)(object, err, 0, ud);
}

static void
refuse(sonic_file *f, int err, sonic_file_fn *cb, void *ud)
{
    sonic__refuse(&f->object, say, err, (void (*)(void))cb, ud);
}

static struct sonic__file_op *
new_op(sonic_file *f)
{
    struct sonic__file_op *op = f->spare;

    if (op == NULL)
        return sonic__alloc(f->object.io, sizeof *op);
    f->spare = op->next;
    return op;
}

static void
on_stream(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct sonic__file_op *op = ud, told = *op;
    sonic_file *f = told.file;

    (void)stream;
    recycle(f, op);
    told.cb(f, err, n, told.ud);
    f->on_stream--;
    settle(f);
}

static void
start_on_stream(sonic_file *f, struct sonic__file_op *op)
{
    const struct sonic__file_io *io = &op->io;

    f->on_stream++;
    if (io->kind == SONIC__FILE_READ)
        sonic_stream_async_read(f->stream, io->buf, io->len, on_stream, op);
    else if (io->kind == SONIC__FILE_READ_ALL)
        sonic_stream_async_read_all(f->stream, io->buf, io->len, on_stream, op);
    else
        sonic_stream_async_write(f->stream, io->buf, io->len, on_stream, op);
}

void
sonic__file_begin(sonic_file *f, int err, const struct sonic__file_io *io,
                  sonic_file_fn *cb, void *ud)
{
    struct sonic__file_op *op = NULL;

    if (f->object.flags & SONIC__CLOSED)
        err = SONIC_ECLOSED;
    else if (err == 0 && f->queued >= f->max_queued)
        err = SONIC_EQUEUE;
    else if (err == 0 && (op = new_op(f)) == NULL)
        err = -ENOMEM;
    if (err < 0) {
        refuse(f, err, cb, ud);
        return;
    }
    op->file = f;
    op->cb = cb;
    op->ud = ud;
    op->io = *io;
    f->queued++;
    f->idle = false;
    if (f->stream != NULL) {
        start_on_stream(f, op);
        return;
    }
    sonic__op_begin(f->object.io);
    append(&f->queue, op);
    start_next(f);
}

/* ---- ending ----------------------------------------------------------- */

void
sonic_file_cancel(sonic_file *f)
{
    if (f->stream != NULL)
        sonic_stream_cancel(f->stream, SONIC_BOTH);
    else if (f->work != NULL)
        cancel(f);
}

void
sonic_file_close(sonic_file *f)
{
    sonic__object_close(&f->object);
}

void
sonic_file_free(sonic_file *f)
{
    if (f == NULL)
        return;
    sonic__object_close(&f->object);
    f->free_later = true;
    settle(f);
}
