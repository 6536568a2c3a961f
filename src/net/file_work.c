/* Operations on files as the system knows them: blocking, on any thread. */
#include "net/file.h"

#include <sys/stat.h>
#include <unistd.h>

enum {
    AT_ONCE = 1 << 30
}; /* bytes of one call; Linux takes a little less
      than 2 GiB */

int
sonic__file_size_of(const sonic_sys *sys, int fd, int64_t *size)
{
    struct stat st;
    int err = sys->fstat(fd, &st, sys->ud);

    if (err < 0)
        return err;
    if (S_ISREG(st.st_mode))
        *size = st.st_size;
    else if (S_ISBLK(st.st_mode))
        *size = sys->lseek(fd, 0, SEEK_END, sys->ud);
    else
        return -ESPIPE;
    return *size < 0 ? (int)*size : 0;
}

/* One call, again when a signal came first. */
static ssize_t
move_once(const sonic_sys *sys, int fd, bool append,
          const struct sonic__file_io *io)
{
    int64_t offset = io->offset + (int64_t)io->n;
    size_t len = io->len - io->n;
    struct iovec v;
    ssize_t n;

    if (len > AT_ONCE)
        len = AT_ONCE;
    do {
        if (io->kind != SONIC__FILE_WRITE) {
            n = sys->pread(fd, io->buf + io->n, len, offset, sys->ud);
        } else if (append && io->here) {
            v = (struct iovec){io->buf + io->n, len};
            n = sys->writev(fd, &v, 1, sys->ud);
        } else {
            n = sys->pwrite(fd, io->buf + io->n, len, offset, sys->ud);
        }
    } while (n == -EINTR);
    return n;
}

static int
move(const sonic_sys *sys, int fd, bool append, struct sonic__file_io *io)
{
    if (io->len > (uint64_t)(INT64_MAX - io->offset))
        return -EINVAL;
    while (io->n < io->len) {
        ssize_t n = move_once(sys, fd, append, io);

        if (n < 0)
            return (int)n;
        if (n == 0)
            return io->kind == SONIC__FILE_WRITE ? -EIO : SONIC_EOF;
        io->n += (size_t)n;
        if (io->kind == SONIC__FILE_READ)
            break;
    }
    return 0;
}

/* The descriptor's own position is nobody's but an appending write's. */
static int
find_end(const sonic_sys *sys, int fd, int64_t *position)
{
    int64_t at = sys->lseek(fd, 0, SEEK_CUR, sys->ud);

    if (at < 0)
        return (int)at;
    *position = at;
    return 0;
}

static int
seek(const sonic_sys *sys, int fd, struct sonic__file_io *io)
{
    int64_t base = 0;
    int err;

    if (io->whence == SEEK_CUR)
        base = io->position;
    else if (io->whence == SEEK_END &&
             (err = sonic__file_size_of(sys, fd, &base)) < 0)
        return err;
    if (io->offset > INT64_MAX - base)
        return -EOVERFLOW;
    if (io->offset < -base)
        return -EINVAL;
    io->position = base + io->offset;
    io->n = (size_t)io->position;
    return 0;
}

void
sonic__file_perform(const sonic_sys *sys, int fd, bool append,
                    struct sonic__file_io *io)
{
    int err;

    io->n = 0;
    switch (io->kind) {
    case SONIC__FILE_SEEK:
        io->err = seek(sys, fd, io);
        return;
    case SONIC__FILE_SYNC:
        do
            io->err = sys->fsync(fd, sys->ud);
        while (io->err == -EINTR);
        return;
    default:
        break;
    }
    if (io->here)
        io->offset = io->position;
    io->err = move(sys, fd, append, io);
    if (!io->here || io->n == 0)
        return;
    io->position = io->offset + (int64_t)io->n;
    if (io->kind == SONIC__FILE_WRITE && append) {
        err = find_end(sys, fd, &io->position);
        if (io->err == 0)
            io->err = err;
    }
}

/* ---- as a job --------------------------------------------------------- */

static void
work(struct sonic__job *job)
{
    struct sonic__file_work *w = (struct sonic__file_work *)job;

    sonic__file_perform(w->sys, w->fd, w->append, &w->io);
}

/* On the loop; without an io, or without the file, there is only to free. */
static void
done(struct sonic__job *job, sonic_io *io)
{
    struct sonic__file_work *w = (struct sonic__file_work *)job;

    w->out = false;
    if (io == NULL || w->file == NULL)
        sonic__file_work_free(w);
    else
        sonic__defer(&w->file->object);
}

int
sonic__file_work_new(sonic_io *io, int fd, bool append,
                     struct sonic__file_work **out)
{
    struct sonic__file_work *w = sonic__alloc(io, sizeof *w);

    if (w == NULL)
        return -ENOMEM;
    w->job.work = work;
    w->job.done = done;
    w->sys = io->sys;
    w->mem = io->mem;
    w->fd = fd;
    w->append = append;
    *out = w;
    return 0;
}

void
sonic__file_work_free(struct sonic__file_work *w)
{
    sonic_mem mem = w->mem;

    if (w->close_fd)
        w->sys->close(w->fd, w->sys->ud);
    mem.free(w, sizeof *w, mem.ud);
}
