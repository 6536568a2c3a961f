/* Regular files: a disk in memory.  A path is a name as a whole: directories
 * are not made, and any path may have slashes in it.  "/", "." and "/tmp" are
 * directories, and so is what ends in a slash. */
#include "world.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512, MODE_BITS = 07777 };

/* What a path names, until nobody does and the last descriptor is closed. */
struct sim_inode {
    struct sim_list all; /* in sim->inodes while it has a name */
    unsigned refs;       /* the name, descriptors */
    uint64_t number;
    mode_t mode;
    uint8_t *data;
    size_t size, room;
    char path[];
};

struct sim_open {
    struct sim_file file;
    struct sim_inode *inode;
    int64_t at; /* the position */
    bool append;
};

static struct sim_open *
open_of(struct sim_file *f)
{
    return SIM_ITEM(f, struct sim_open, file);
}

static void
unref(sonic_sim *sim, struct sim_inode *i)
{
    if (--i->refs > 0)
        return;
    sim->disk_used -= i->room;
    sonic__sim_put(sim, i->data, i->room);
    sonic__sim_put(sim, i, sizeof *i + strlen(i->path) + 1);
}

static struct sim_inode *
find(const sonic_sim *sim, const char *path)
{
    struct sim_list *l;

    for (l = sim->inodes.next; l != &sim->inodes; l = l->next) {
        struct sim_inode *i = SIM_ITEM(l, struct sim_inode, all);

        if (strcmp(i->path, path) == 0)
            return i;
    }
    return NULL;
}

void
sonic__sim_disk_free(sonic_sim *sim)
{
    while (!sim_list_empty(&sim->inodes)) {
        struct sim_inode *i = SIM_ITEM(sim->inodes.next, struct sim_inode, all);

        sim_list_remove(&i->all);
        unref(sim, i);
    }
}

int
sonic__sim_disk_unlink(sonic_sim *sim, const char *path)
{
    struct sim_inode *i = find(sim, path);

    if (i == NULL)
        return -ENOENT;
    sim_list_remove(&i->all);
    unref(sim, i);
    return 0;
}

/* ---- contents ---- */

/* Make a file at least so long; what is new is zero. */
static int
extend(sonic_sim *sim, struct sim_inode *i, size_t size)
{
    size_t room = i->room > 0 ? i->room : BLOCK;
    uint8_t *data;

    while (room < size)
        room *= 2;
    if (room > i->room) {
        if (room - i->room > sim->opt.disk - sim->disk_used)
            return -ENOSPC;
        data = sonic__sim_get(sim, room);
        if (data == NULL)
            return -ENOSPC;
        if (i->size > 0)
            memcpy(data, i->data, i->size);
        sonic__sim_put(sim, i->data, i->room);
        sim->disk_used += room - i->room;
        i->data = data;
        i->room = room;
    }
    if (size > i->size)
        i->size = size;
    return 0;
}

static void
truncate_to(struct sim_inode *i, size_t size)
{
    if (size < i->size)
        memset(i->data + size, 0, i->size - size);
    i->size = size;
}

static bool
may(const struct sim_file *f, int how)
{
    int mode = f->flags & O_ACCMODE;

    return mode == O_RDWR || mode == how;
}

/* How much of n bytes one call moves. */
static size_t
part(sonic_sim *sim, size_t n, bool write)
{
    bool cut = n > 1 && (write ? SIM_CHANCE(sim, short_write)
                               : SIM_CHANCE(sim, short_read));

    return cut ? 1 + (size_t)sonic__sim_rand_below(&sim->world, n - 1) : n;
}

static ssize_t
read_at(struct sim_open *o, const struct msghdr *m, int64_t at)
{
    struct sim_inode *i = o->inode;
    size_t n = sonic__sim_iov_len(m), left;
    struct msghdr to = *m;

    if (!may(&o->file, O_RDONLY))
        return -EBADF;
    if (S_ISDIR(i->mode))
        return -EISDIR;
    if (SIM_CHANCE(o->file.sim, disk_error))
        return -EIO;
    if ((uint64_t)at >= i->size)
        return 0;
    left = i->size - (size_t)at;
    n = part(o->file.sim, n < left ? n : left, false);
    sonic__sim_iov_put(&to, 0, i->data + at, n);
    return (ssize_t)n;
}

static ssize_t
write_at(struct sim_open *o, const struct msghdr *m, int64_t at)
{
    sonic_sim *sim = o->file.sim;
    struct sim_inode *i = o->inode;
    size_t n = sonic__sim_iov_len(m), k;
    int err;

    if (!may(&o->file, O_WRONLY))
        return -EBADF;
    if (n == 0)
        return 0;
    if (SIM_CHANCE(sim, disk_error))
        return -EIO;
    if (SIM_CHANCE(sim, disk_full))
        return -ENOSPC;
    if (at > SSIZE_MAX / 4)
        return -EFBIG;
    n = part(sim, n, true);
    if ((err = extend(sim, i, (size_t)at + n)) < 0)
        return err;
    sonic__sim_iov_get(m, 0, i->data + at, n);
    for (k = 0; k < n; k++)
        sim->hash = sonic__sim_mix(sim->hash, i->data[(size_t)at + k]);
    return (ssize_t)n;
}

static ssize_t
disk_read(struct sim_file *f, struct msghdr *m, int flags)
{
    struct sim_open *o = open_of(f);
    ssize_t n = read_at(o, m, o->at);

    (void)flags;
    if (n > 0)
        o->at += n;
    return n;
}

static ssize_t
disk_write(struct sim_file *f, const struct msghdr *m, int flags)
{
    struct sim_open *o = open_of(f);
    int64_t at = o->append ? (int64_t)o->inode->size : o->at;
    ssize_t n = write_at(o, m, at);

    (void)flags;
    if (n > 0)
        o->at = at + n;
    return n;
}

static void
disk_close(struct sim_file *f)
{
    struct sim_open *o = open_of(f);

    unref(f->sim, o->inode);
    sonic__sim_put(f->sim, o, sizeof *o);
}

static const struct sim_ops disk_ops = {
    .read = disk_read,
    .write = disk_write,
    .close = disk_close,
};

/* ---- opening ---- */

static bool
is_directory(const char *path)
{
    size_t n = strlen(path);

    return strcmp(path, ".") == 0 || strcmp(path, "/tmp") == 0 ||
           (n > 0 && path[n - 1] == '/');
}

static struct sim_inode *
make(sonic_sim *sim, const char *path, mode_t mode)
{
    size_t n = strlen(path) + 1;
    struct sim_inode *i = sonic__sim_get(sim, sizeof *i + n);

    if (i == NULL)
        return NULL;
    memcpy(i->path, path, n);
    i->number = ++sim->inode_number;
    i->mode = mode;
    sim_list_init(&i->all);
    return i;
}

/* What the path names, perhaps made for it, or NULL with *err. */
static struct sim_inode *
look_up(sonic_sim *sim, const char *path, int flags, unsigned mode, int *err)
{
    struct sim_inode *i = find(sim, path);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;

    *err = -ENOMEM;
    if (is_directory(path)) {
        *err = (flags & O_CREAT) != 0 || writes ? -EISDIR : -ENOMEM;
        return *err == -EISDIR ? NULL : make(sim, path, S_IFDIR | 0755);
    }
    if (i != NULL) {
        bool refused = (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0;

        *err = refused ? -EEXIST : -ENOTDIR;
        return refused || (flags & O_DIRECTORY) != 0 ? NULL : i;
    }
    if ((flags & O_CREAT) == 0 || path[0] == 0) {
        *err = -ENOENT;
        return NULL;
    }
    i = make(sim, path, S_IFREG | (mode & MODE_BITS));
    if (i != NULL) {
        i->refs++; /* the name's */
        sim_list_push(&sim->inodes, &i->all);
    }
    return i;
}

int
sonic__sim_disk_open(sonic_sim *sim, const char *path, int flags, unsigned mode)
{
    struct sim_open *o;
    struct sim_inode *i;
    int err, fd;

    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    i = look_up(sim, path, flags, mode, &err);
    if (i == NULL)
        return err;
    i->refs++;
    o = sonic__sim_get(sim, sizeof *o);
    if (o == NULL) {
        unref(sim, i);
        return -ENOMEM;
    }
    sonic__sim_file_init(&o->file, sim, &disk_ops,
                         flags & (O_ACCMODE | O_NONBLOCK | O_APPEND));
    o->inode = i;
    o->append = (flags & O_APPEND) != 0;
    fd = sonic__sim_install(&o->file);
    if (fd < 0)
        disk_close(&o->file);
    else if ((flags & O_TRUNC) != 0 && may(&o->file, O_WRONLY))
        truncate_to(i, 0);
    return fd;
}

/* ---- calls ---- */

/* The file, for a call that needs a position: other kinds have none. */
static int
get_open(sonic_sim *sim, int fd, struct sim_open **out)
{
    struct sim_file *f;
    int err = sonic__sim_file(sim, fd, &f);

    if (err < 0)
        return err;
    if (f->ops != &disk_ops)
        return -ESPIPE;
    *out = open_of(f);
    return 0;
}

/* One that reads or writes at an offset, which is to be at least 0. */
static int
get_at(sonic_sim *sim, int fd, int64_t off, struct sim_open **out)
{
    if (off < 0)
        return -EINVAL;
    return SIM_CHANCE(sim, eintr) ? -EINTR : get_open(sim, fd, out);
}

ssize_t
sonic__sim_pread(int fd, void *buf, size_t len, int64_t off, void *ud)
{
    sonic_sim *sim = ud;
    struct iovec v = {buf, len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    struct sim_open *o;
    ssize_t r = sonic__sim_begin(sim, SONIC_SIM_PREAD, fd, (int64_t)len);

    if (r == 0)
        r = get_at(sim, fd, off, &o);
    if (r == 0)
        r = read_at(o, &m, off);
    return sonic__sim_end(sim, r);
}

/* With O_APPEND Linux ignores the offset: pwrite(2), BUGS. */
ssize_t
sonic__sim_pwrite(int fd, const void *buf, size_t len, int64_t off, void *ud)
{
    sonic_sim *sim = ud;
    struct iovec v = {(void *)(uintptr_t)buf, len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    struct sim_open *o;
    ssize_t r = sonic__sim_begin(sim, SONIC_SIM_PWRITE, fd, (int64_t)len);

    if (r == 0)
        r = get_at(sim, fd, off, &o);
    if (r == 0)
        r = write_at(o, &m, o->append ? (int64_t)o->inode->size : off);
    return sonic__sim_end(sim, r);
}

static int64_t
seek(struct sim_open *o, int64_t off, int whence)
{
    int64_t base = whence == SEEK_SET   ? 0
                   : whence == SEEK_CUR ? o->at
                   : whence == SEEK_END ? (int64_t)o->inode->size
                                        : -1;

    if (base < 0 || off < -base)
        return -EINVAL;
    if (off > INT64_MAX - base)
        return -EOVERFLOW;
    return o->at = base + off;
}

int64_t
sonic__sim_lseek(int fd, int64_t off, int whence, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_open *o;
    int64_t r = sonic__sim_begin(sim, SONIC_SIM_LSEEK, fd, off);

    if (r == 0)
        r = get_open(sim, fd, &o);
    if (r == 0)
        r = seek(o, off, whence);
    return sonic__sim_end(sim, r);
}

static void
fill_in(const struct sim_file *f, struct stat *st)
{
    memset(st, 0, sizeof *st);
    st->st_nlink = 1;
    st->st_blksize = BLOCK * 8;
    if (f->ops == &disk_ops) {
        const struct sim_inode *i =
            SIM_ITEM(f, const struct sim_open, file)->inode;

        st->st_mode = i->mode;
        st->st_size = (off_t)i->size;
        st->st_ino = i->number;
        st->st_blocks = (blkcnt_t)((i->size + BLOCK - 1) / BLOCK);
    } else if (f->ops->socket) {
        st->st_mode = S_IFSOCK | 0777;
    } else if (f->ops == &sonic__sim_pipe_ops) {
        st->st_mode = S_IFIFO | 0600;
    } else {
        st->st_mode = S_IFCHR | 0600;
    }
}

int
sonic__sim_fstat(int fd, struct stat *st, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_file *f;
    int r = sonic__sim_begin(sim, SONIC_SIM_FSTAT, fd, 0);

    if (r == 0)
        r = sonic__sim_file(sim, fd, &f);
    if (r == 0)
        fill_in(f, st);
    return (int)sonic__sim_end(sim, r);
}

int
sonic__sim_disk_truncate(sonic_sim *sim, int fd, int64_t len)
{
    struct sim_open *o;
    int err = get_open(sim, fd, &o);

    if (err < 0)
        return err;
    if (len < 0 || !may(&o->file, O_WRONLY))
        return -EINVAL;
    if ((uint64_t)len > o->inode->size)
        return extend(sim, o->inode, (size_t)len);
    truncate_to(o->inode, (size_t)len);
    return 0;
}

int
sonic__sim_fsync(int fd, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_open *o;
    int r = sonic__sim_begin(sim, SONIC_SIM_FSYNC, fd, 0);

    if (r == 0)
        r = get_open(sim, fd, &o);
    if (r == -ESPIPE) /* nothing to be written out */
        r = -EINVAL;
    if (r == 0 && SIM_CHANCE(sim, eintr))
        r = -EINTR;
    if (r == 0 && SIM_CHANCE(sim, disk_error))
        r = -EIO;
    return (int)sonic__sim_end(sim, r);
}
