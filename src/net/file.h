/* file.h - the inside of sonic_file
 *
 * file.c       its life, its queue, its callbacks: all on the loop
 * file_open.c  opened, here or on the other thread
 * file_ops.c   the public operations
 * file_work.c  what the system is asked, on any thread
 */
#ifndef SONICIO_SRC_FILE_H
#define SONICIO_SRC_FILE_H

#include <sonicio/file.h>

#include "reactor/reactor.h"

enum sonic__file_kind {
    SONIC__FILE_READ,
    SONIC__FILE_READ_ALL,
    SONIC__FILE_WRITE,
    SONIC__FILE_SEEK,
    SONIC__FILE_SYNC
};

/* One operation and, once it was performed, its outcome. */
struct sonic__file_io {
    uint8_t kind;
    bool here;      /* at the file's position, and moves it */
    uint8_t whence; /* of a seek */
    uint8_t *buf;   /* not written to by a write */
    size_t len;
    int64_t offset; /* of the first byte; of a seek: what was asked for */

    int err;
    size_t n;
    int64_t position; /* before; then: after */
};

struct sonic__file_op {
    struct sonic__file_op *next;
    sonic_file *file;
    sonic_file_fn *cb;
    void *ud;
    struct sonic__file_io io;
};

/* What the other thread knows.  It outlives the file while a job is out. */
struct sonic__file_work {
    struct sonic__job job;
    const sonic_sys *sys;
    sonic_mem mem;
    int fd;
    bool append; /* O_APPEND */

    /* the loop's */
    sonic_file *file; /* NULL: it has gone */
    bool out;         /* the job was submitted and has not come back */
    bool close_fd;    /* the file was closed meanwhile */

    struct sonic__file_io io;
};

struct sonic__file_list {
    struct sonic__file_op *head, **tail;
};

struct sonic__file_opening;

struct sonic_file {
    struct sonic__object object;
    struct sonic__file_opening *opening; /* while it is; nobody has it yet */
    sonic_stream *stream;                /* of a pipe or the like; else NULL */
    struct sonic__file_work *work;       /* of a regular file; else NULL */
    struct sonic__file_op *running;      /* its job is out; it is in no list */
    struct sonic__file_list queue, finished;
    struct sonic__file_op *spare;
    unsigned queued, max_queued; /* operations that have not completed */
    unsigned on_stream;          /* of these, the stream's */
    bool idle;                   /* queued == 0 */
    bool free_later;
    int64_t position;
};

/* Ask the system, as often as it takes. */
void sonic__file_perform(const sonic_sys *sys, int fd, bool append,
                         struct sonic__file_io *io);
int sonic__file_size_of(const sonic_sys *sys, int fd, int64_t *size);

int sonic__file_work_new(sonic_io *io, int fd, bool append,
                         struct sonic__file_work **out);
void sonic__file_work_free(struct sonic__file_work *w);
/* An object without a file in it yet; a descriptor for one, which stays the
 * caller's on error. */
int sonic__file_make(sonic_io *io, const sonic_file_options *opt,
                     sonic_file **out);
int sonic__file_attach(sonic_file *f, int fd);
/* The object's turn while it is being opened. */
void sonic__file_opened(sonic_file *f);

/* Queue an operation, or refuse it with err or for want of room. */
void sonic__file_begin(sonic_file *f, int err, const struct sonic__file_io *io,
                       sonic_file_fn *cb, void *ud);

#endif
