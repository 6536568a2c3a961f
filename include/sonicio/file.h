/* <sonicio/file.h> - files
 *
 * A regular file (or a block device) is always "ready", and yet a read may wait
 * for a disk: its asynchronous operations are queued, run one after the other
 * on another thread, and complete on the loop in that order.  A pipe, a
 * terminal or another device is a stream on the reactor; the functions that
 * need a position say -ESPIPE of it.
 *
 * A file has a position of its own, which the operations without an offset use
 * and move; those with one (_at) leave it alone, as pread(2) does.
 *
 * A buffer is borrowed from the call to its callback.  What the other thread
 * has begun cannot be taken back: it completes with what it did, and an io that
 * is closed waits for that.  An io has four such threads, shared with the
 * look-up of names: a job that hangs holds one, and the fifth waits.
 */
#ifndef SONICIO_FILE_H
#define SONICIO_FILE_H

#include <fcntl.h>

#include <sonicio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_file sonic_file;

typedef struct sonic_file_options {
    size_t size;
    unsigned max_queued; /* operations at a time; default 1024 */
} sonic_file_options;

#define SONIC_FILE_OPTIONS_INIT                                                \
    {                                                                          \
        .size = sizeof(sonic_file_options)                                     \
    }

/* n: bytes moved; seek: the new position; sync: 0 */
typedef void sonic_file_fn(sonic_file *file, int err, size_t n, void *ud);

/* sonic_file_open - open a file by its path
 *
 *   flags  those of open(2): O_RDONLY, O_CREAT, O_TRUNC, O_APPEND ...;
 *          O_CLOEXEC, O_NOCTTY and O_NONBLOCK are always set
 *   mode   permissions of a file that is made
 *   opt    may be NULL
 * The call itself blocks as open(2) does; see async_open.  A FIFO opened for
 * reading is at its end until somebody has opened it for writing. ERRORS  those
 * of open(2); -EISDIR, a directory, however it is opened; -ENOMEM;
 * SONIC_ECLOSED, the io; SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int sonic_file_open(sonic_io *io, const char *path,
                                               int flags, unsigned mode,
                                               const sonic_file_options *opt,
                                               sonic_file **out);
/* sonic_file_async_open - the same on the other thread
 *
 *   path  copied
 *   cb    its file is the new one, and NULL with an error
 * ERRORS, given to cb: as open; -ECANCELED, the io's end. */
SONIC_API void sonic_file_async_open(sonic_io *io, const char *path, int flags,
                                     unsigned mode,
                                     const sonic_file_options *opt,
                                     sonic_file_fn *cb, void *ud);
/* sonic_file_adopt - a file over a descriptor that is open already.  It belongs
 * to the file when 0 is returned, and stays the caller's on error. */
SONIC_API SONIC_MUST_CHECK int sonic_file_adopt(sonic_io *io, int fd,
                                                const sonic_file_options *opt,
                                                sonic_file **out);

/* ERRORS, given to any callback
 *   the system's     of pread(2), pwrite(2), fsync(2)
 *   -ECANCELED       sonic_file_cancel, _close, _free, or the io's end
 *   SONIC_EQUEUE     max_queued operations are queued
 *   -ENOMEM; SONIC_ECLOSED
 *   -ESPIPE          the file is a stream, and the operation needs a position
 *   -EINVAL          an offset below 0, or a position that would be
 * and of streams also what <sonicio/stream.h> says.  An operation that is
 * refused is called back before the call returns. */

/* sonic_file_async_read - at least one byte, at most len
 * len 0 completes with 0 bytes and no error.  At the end: SONIC_EOF. */
SONIC_API void sonic_file_async_read(sonic_file *file, void *buf, size_t len,
                                     sonic_file_fn *cb, void *ud);
/* sonic_file_async_read_all - exactly len bytes, or an error and the bytes that
 * came before it */
SONIC_API void sonic_file_async_read_all(sonic_file *file, void *buf,
                                         size_t len, sonic_file_fn *cb,
                                         void *ud);
/* sonic_file_async_read_at - as _read, from byte `offset` */
SONIC_API void sonic_file_async_read_at(sonic_file *file, void *buf, size_t len,
                                        int64_t offset, sonic_file_fn *cb,
                                        void *ud);
/* sonic_file_async_write - all of it, or an error and the bytes written before
 * With O_APPEND it goes behind the last byte of the file, and so does the
 * position. */
SONIC_API void sonic_file_async_write(sonic_file *file, const void *buf,
                                      size_t len, sonic_file_fn *cb, void *ud);
/* sonic_file_async_write_at - the same from byte `offset`; with O_APPEND Linux
 * appends all the same */
SONIC_API void sonic_file_async_write_at(sonic_file *file, const void *buf,
                                         size_t len, int64_t offset,
                                         sonic_file_fn *cb, void *ud);
/* sonic_file_async_seek - move the position, after what is queued
 *   whence  SEEK_SET, SEEK_CUR or SEEK_END */
SONIC_API void sonic_file_async_seek(sonic_file *file, int64_t offset,
                                     int whence, sonic_file_fn *cb, void *ud);
/* sonic_file_async_sync - what was written is on the disk (fsync(2)) */
SONIC_API void sonic_file_async_sync(sonic_file *file, sonic_file_fn *cb,
                                     void *ud);

/* The blocking twins, which run on this thread, after what is queued.  *n and
 * *position may be NULL.  -EBUSY inside a callback of the io. */
SONIC_API SONIC_MUST_CHECK int sonic_file_read(sonic_file *file, void *buf,
                                               size_t len, size_t *n);
SONIC_API SONIC_MUST_CHECK int sonic_file_read_all(sonic_file *file, void *buf,
                                                   size_t len, size_t *n);
SONIC_API SONIC_MUST_CHECK int sonic_file_read_at(sonic_file *file, void *buf,
                                                  size_t len, int64_t offset,
                                                  size_t *n);
SONIC_API SONIC_MUST_CHECK int
sonic_file_write(sonic_file *file, const void *buf, size_t len, size_t *n);
SONIC_API SONIC_MUST_CHECK int sonic_file_write_at(sonic_file *file,
                                                   const void *buf, size_t len,
                                                   int64_t offset, size_t *n);
SONIC_API SONIC_MUST_CHECK int sonic_file_seek(sonic_file *file, int64_t offset,
                                               int whence, int64_t *position);
SONIC_API SONIC_MUST_CHECK int sonic_file_sync(sonic_file *file);

/* sonic_file_size - bytes of the file now, whatever is queued
 * ERRORS  -ESPIPE; SONIC_ECLOSED; those of fstat(2). */
SONIC_API SONIC_MUST_CHECK int sonic_file_size(const sonic_file *file,
                                               int64_t *size);
/* sonic_file_position - behind the last operation that has completed; 0 of a
 * stream. */
SONIC_API int64_t sonic_file_position(const sonic_file *file);

/* sonic_file_cancel - complete what is queued with -ECANCELED, from the loop;
 * what the other thread has begun, as above. */
SONIC_API void sonic_file_cancel(sonic_file *file);
/* sonic_file_close - the same, and no more operations.  Idempotent.  The
 * descriptor is closed now, or when the other thread is done with it. */
SONIC_API void sonic_file_close(sonic_file *file);
/* sonic_file_free - close and release.  NULL is allowed. */
SONIC_API void sonic_file_free(sonic_file *file);

SONIC_API sonic_io *sonic_file_io(const sonic_file *file);
SONIC_API bool sonic_file_is_open(const sonic_file *file);
SONIC_API int sonic_file_fd(const sonic_file *file); /* -1 when closed */
/* The stream that a pipe, terminal or device is read through, and that stays
 * the file's; NULL of a regular file. */
SONIC_API sonic_stream *sonic_file_stream(const sonic_file *file);
/* Operations that have not completed. */
SONIC_API size_t sonic_file_queued(const sonic_file *file);

#ifdef __cplusplus
}
#endif
#endif
