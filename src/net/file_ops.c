/* The operations on files, in their two forms. */
#include "net/file.h"

static int
wrong(const sonic_file *f, const struct sonic__file_io *io)
{
    bool moves = io->kind <= SONIC__FILE_WRITE;

    if (f->object.flags & SONIC__CLOSED)
        return SONIC_ECLOSED;
    if (f->stream != NULL && io->kind == SONIC__FILE_SYNC)
        return -EINVAL; /* as fsync(2) says */
    if (f->stream != NULL && (!moves || !io->here))
        return -ESPIPE;
    if (moves && !io->here && io->offset < 0)
        return -EINVAL;
    if (io->kind == SONIC__FILE_SEEK && io->whence != SEEK_SET &&
        io->whence != SEEK_CUR && io->whence != SEEK_END)
        return -EINVAL;
    return 0;
}

static void
begin(sonic_file *f, const struct sonic__file_io *io, sonic_file_fn *cb,
      void *ud)
{
    sonic__file_begin(f, wrong(f, io), io, cb, ud);
}

/* The twin of a stream's operation. */
static int
block_on_stream(sonic_file *f, struct sonic__file_io *io)
{
    if (io->kind == SONIC__FILE_READ)
        return sonic_stream_read(f->stream, io->buf, io->len, &io->n);
    if (io->kind == SONIC__FILE_READ_ALL)
        return sonic_stream_read_all(f->stream, io->buf, io->len, &io->n);
    return sonic_stream_write(f->stream, io->buf, io->len, &io->n);
}

/* What is queued first, then straight to the system. */
static int
block(sonic_file *f, struct sonic__file_io *io, size_t *n)
{
    sonic_io *owner = f->object.io;
    int err = sonic_io_inside(owner) ? -EBUSY : wrong(f, io);

    io->n = 0;
    if (err == 0 && f->stream != NULL) {
        err = block_on_stream(f, io);
    } else if (err == 0) {
        while (err == 0 && !f->idle)
            err = sonic_io_run_until(owner, &f->idle);
        if (err == 0) /* a callback may have closed it */
            err = wrong(f, io);
        if (err == 0) {
            io->position = f->position;
            sonic__file_perform(owner->sys, f->object.fd, f->work->append, io);
            err = io->err;
            if (io->here || io->kind == SONIC__FILE_SEEK)
                f->position = io->position;
        }
    }
    if (n != NULL)
        *n = io->n;
    return err;
}

/* ---- reading ---------------------------------------------------------- */

static struct sonic__file_io
reading(enum sonic__file_kind kind, void *buf, size_t len)
{
    return (struct sonic__file_io){
        .kind = (uint8_t)kind, .here = true, .buf = buf, .len = len};
}

static struct sonic__file_io
at(struct sonic__file_io io, int64_t offset)
{
    io.here = false;
    io.offset = offset;
    return io;
}

void
sonic_file_async_read(sonic_file *f, void *buf, size_t len, sonic_file_fn *cb,
                      void *ud)
{
    struct sonic__file_io io = reading(SONIC__FILE_READ, buf, len);

    begin(f, &io, cb, ud);
}

void
sonic_file_async_read_all(sonic_file *f, void *buf, size_t len,
                          sonic_file_fn *cb, void *ud)
{
    struct sonic__file_io io = reading(SONIC__FILE_READ_ALL, buf, len);

    begin(f, &io, cb, ud);
}

void
sonic_file_async_read_at(sonic_file *f, void *buf, size_t len, int64_t offset,
                         sonic_file_fn *cb, void *ud)
{
    struct sonic__file_io io = at(reading(SONIC__FILE_READ, buf, len), offset);

    begin(f, &io, cb, ud);
}

int
sonic_file_read(sonic_file *f, void *buf, size_t len, size_t *n)
{
    struct sonic__file_io io = reading(SONIC__FILE_READ, buf, len);

    return block(f, &io, n);
}

int
sonic_file_read_all(sonic_file *f, void *buf, size_t len, size_t *n)
{
    struct sonic__file_io io = reading(SONIC__FILE_READ_ALL, buf, len);

    return block(f, &io, n);
}

int
sonic_file_read_at(sonic_file *f, void *buf, size_t len, int64_t offset,
                   size_t *n)
{
    struct sonic__file_io io = at(reading(SONIC__FILE_READ, buf, len), offset);

    return block(f, &io, n);
}

/* ---- writing ---------------------------------------------------------- */

static struct sonic__file_io
writing(const void *buf, size_t len)
{
    return reading(SONIC__FILE_WRITE, (void *)(uintptr_t)buf, len);
}

void
sonic_file_async_write(sonic_file *f, const void *buf, size_t len,
                       sonic_file_fn *cb, void *ud)
{
    struct sonic__file_io io = writing(buf, len);

    begin(f, &io, cb, ud);
}

void
sonic_file_async_write_at(sonic_file *f, const void *buf, size_t len,
                          int64_t offset, sonic_file_fn *cb, void *ud)
{
    struct sonic__file_io io = at(writing(buf, len), offset);

    begin(f, &io, cb, ud);
}

int
sonic_file_write(sonic_file *f, const void *buf, size_t len, size_t *n)
{
    struct sonic__file_io io = writing(buf, len);

    return block(f, &io, n);
}

int
sonic_file_write_at(sonic_file *f, const void *buf, size_t len, int64_t offset,
                    size_t *n)
{
    struct sonic__file_io io = at(writing(buf, len), offset);

    return block(f, &io, n);
}

/* ---- the rest --------------------------------------------------------- */

static struct sonic__file_io
seeking(int64_t offset, int whence)
{
    return (struct sonic__file_io){
        .kind = SONIC__FILE_SEEK,
        .whence =
            whence < 0 || whence > UINT8_MAX ? UINT8_MAX : (uint8_t)whence,
        .offset = offset,
    };
}

void
sonic_file_async_seek(sonic_file *f, int64_t offset, int whence,
                      sonic_file_fn *cb, void *ud)
{
    struct sonic__file_io io = seeking(offset, whence);

    begin(f, &io, cb, ud);
}

int
sonic_file_seek(sonic_file *f, int64_t offset, int whence, int64_t *position)
{
    struct sonic__file_io io = seeking(offset, whence);
    int err = block(f, &io, NULL);

    if (position != NULL)
        *position = f->position;
    return err;
}

void
sonic_file_async_sync(sonic_file *f, sonic_file_fn *cb, void *ud)
{
    struct sonic__file_io io = {.kind = SONIC__FILE_SYNC};

    begin(f, &io, cb, ud);
}

int
sonic_file_sync(sonic_file *f)
{
    struct sonic__file_io io = {.kind = SONIC__FILE_SYNC};

    return block(f, &io, NULL);
}

/* ---- looking at it ---------------------------------------------------- */

int
sonic_file_size(const sonic_file *f, int64_t *size)
{
    if (f->object.flags & SONIC__CLOSED)
        return SONIC_ECLOSED;
    if (f->stream != NULL)
        return -ESPIPE;
    return sonic__file_size_of(f->object.io->sys, f->object.fd, size);
}

int64_t
sonic_file_position(const sonic_file *f)
{
    return f->position;
}

sonic_io *
sonic_file_io(const sonic_file *f)
{
    return f->object.io;
}

bool
sonic_file_is_open(const sonic_file *f)
{
    return (f->object.flags & SONIC__CLOSED) == 0;
}

int
sonic_file_fd(const sonic_file *f)
{
    return f->stream != NULL ? sonic_stream_fd(f->stream) : f->object.fd;
}

sonic_stream *
sonic_file_stream(const sonic_file *f)
{
    return f->stream;
}

size_t
sonic_file_queued(const sonic_file *f)
{
    return f->queued;
}
