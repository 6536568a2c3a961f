/* <sonicio/stream.h> - bytes in order, both ways
 *
 * One interface over TCP, unix sockets, pipes, adopted descriptors and
 * whatever a layer (TLS) puts on top of another stream.
 *
 * Reading has two doors.  async_read and its kin fill the caller's memory.
 * lend shows the caller the bytes where they were received, in the reactor's
 * buffer: no copy is made, and an idle stream holds no buffer.
 * Writing has two doors too.  send copies into the stream's queue and is
 * forgotten; async_write refers to the caller's memory and calls back.  Both
 * go out in the order of the calls, and what one dispatch queued goes out in
 * one system call when it ends.
 *
 * One read-side operation (read, read_all, readv or lend) may be under way at
 * a time: a second completes with -EBUSY.  Writes queue up.
 *
 * The blocking twins run the io until their operation completes; other
 * operations of the io go on meanwhile.  Inside a callback they are -EBUSY.
 */
#ifndef SONICIO_STREAM_H
#define SONICIO_STREAM_H

#include <sys/uio.h>

#include <sonicio/address.h>
#include <sonicio/io.h>
#include <sonicio/options.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_stream sonic_stream;

/* The result of a stream's operation.
 *   err  0; SONIC_EOF; -ECANCELED after cancel, close or sonic_io_free;
 *        -ETIMEDOUT after a deadline; -EBUSY; SONIC_ECLOSED; -errno
 *   n    bytes moved, valid also when err is not 0 */
typedef void sonic_stream_fn(sonic_stream *stream, int err, size_t n, void *ud);

/* Bytes lent: data[0..len) is all that was received and not yet consumed, in
 * order and contiguous.  It may be written to; it is valid until the callback
 * returns.  With an err, the bytes that came before it. */
typedef void sonic_lend_fn(sonic_stream *stream, int err, uint8_t *data,
                           size_t len, void *ud);

/* ---- making one ------------------------------------------------------- */

/* sonic_stream_new - a stream that is not connected yet
 * ERRORS  -ENOMEM, SONIC_ECLOSED (the io). */
SONIC_API SONIC_MUST_CHECK int sonic_stream_new(sonic_io *io,
                                                sonic_stream **out);

/* sonic_stream_adopt - a stream over a descriptor that is open already
 *
 * Any kind: a socket, a pipe, a terminal, a regular file.  The descriptor is
 * made non-blocking, and with it every descriptor that shares its open file
 * description (fcntl(2), O_NONBLOCK), in other processes too: of a terminal or
 * an inherited standard input that is the parent's.  It stays so when the
 * stream is freed: who adopts such a one sets it back.
 * It belongs to the stream when 0 is returned, and stays the caller's on
 * error. */
SONIC_API SONIC_MUST_CHECK int sonic_stream_adopt(sonic_io *io, int fd,
                                                  sonic_stream **out);

/* sonic_stream_pair - two streams connected to each other (socketpair(2)) */
SONIC_API SONIC_MUST_CHECK int sonic_stream_pair(sonic_io *io,
                                                 sonic_stream *out[2]);

/* sonic_pipe_new - out[0] is read from, out[1] is written to (pipe(2)) */
SONIC_API SONIC_MUST_CHECK int sonic_pipe_new(sonic_io *io,
                                              sonic_stream *out[2]);

/* How long it took to connect, in nanoseconds; of what was not done, 0. */
typedef struct sonic_connect_timing {
    int64_t resolve;   /* the name */
    int64_t connect;   /* from then until an address had accepted */
    unsigned attempts; /* addresses tried */
    bool resolving;    /* at the name when it ended: it was not found, or not
                          in time */
} sonic_connect_timing;

typedef struct sonic_connect_options {
    size_t size;
    int64_t timeout; /* nanoseconds for everything: name, addresses, TCP;
                        default 10 s; negative: it is over already */
    int64_t stagger; /* nanoseconds between two attempts; default 250 ms */
    const sonic_socket_options *socket; /* NULL: defaults */
    sonic_connect_timing *timing; /* borrowed until cb, and filled in; may be
                                     NULL */
} sonic_connect_options;

#define SONIC_CONNECT_OPTIONS_INIT                                             \
    {                                                                          \
        .size = sizeof(sonic_connect_options)                                  \
    }

/* sonic_stream_async_connect - connect to an address given as text
 *
 * Names are looked up on another thread, one of four that an io has for this
 * and for files: a resolver that hangs holds one until it gives up
 * (resolv.conf(5): 5 s twice for each server by default), and the fifth job
 * waits for the first, within its own timeout.  All addresses are tried, in the
 * order of RFC 8305: families alternate, the next attempt starts when the one
 * before failed or `stagger` has passed, the first connection wins.
 *   address  see <sonicio/address.h>; copied
 *   opt      copied, what it points to included; may be NULL
 *   cb       with n 0
 * A unix socket whose backlog is full is asked again until the deadline.
 * ERRORS, given to cb: SONIC_EADDRESS, SONIC_ERESOLVE, SONIC_ERESOLVE_AGAIN (no
 * name server answered), -ETIMEDOUT, the error of the last attempt
 * (-ECONNREFUSED …), -EISCONN, -EBUSY, -ECANCELED, SONIC_EOPTION,
 * SONIC_ECLOSED, -ENOMEM. A stream that failed to connect may try again. */
SONIC_API void sonic_stream_async_connect(sonic_stream *stream,
                                          const char *address,
                                          const sonic_connect_options *opt,
                                          sonic_stream_fn *cb, void *ud);
SONIC_API SONIC_MUST_CHECK int
sonic_stream_connect(sonic_stream *stream, const char *address,
                     const sonic_connect_options *opt);

/* ---- reading ---------------------------------------------------------- */

/* sonic_stream_async_read - at least one byte, at most len
 * buf is borrowed until cb runs.  len 0 completes with 0 bytes and no error. */
SONIC_API void sonic_stream_async_read(sonic_stream *stream, void *buf,
                                       size_t len, sonic_stream_fn *cb,
                                       void *ud);
/* sonic_stream_async_read_all - exactly len bytes, or an error and the bytes
 * that came before it */
SONIC_API void sonic_stream_async_read_all(sonic_stream *stream, void *buf,
                                           size_t len, sonic_stream_fn *cb,
                                           void *ud);
/* sonic_stream_async_readv - as async_read, scattered (readv(2))
 * The array and what it points to are borrowed.  n at most 64, else -EINVAL. */
SONIC_API void sonic_stream_async_readv(sonic_stream *stream,
                                        const struct iovec *iov, int n,
                                        sonic_stream_fn *cb, void *ud);

/* The blocking twins.  *n may be NULL. */
SONIC_API SONIC_MUST_CHECK int
sonic_stream_read(sonic_stream *stream, void *buf, size_t len, size_t *n);
SONIC_API SONIC_MUST_CHECK int
sonic_stream_read_all(sonic_stream *stream, void *buf, size_t len, size_t *n);

/* sonic_stream_lend - be shown what has been received, once
 *
 *   min  call back when this many unconsumed bytes are there (at least 1)
 *   want bytes that what is being received will need, contiguous; 0 when not
 *        known.  Once the buffer is full, one of that size is borrowed;
 *        before that, if there is one to spare.
 * In cb, sonic_stream_consume says how many bytes are done with; the rest is
 * lent again, with more behind it.  Calling sonic_stream_lend in cb goes on;
 * not calling it is back-pressure.
 * ERRORS  as async_read, and -ENOMEM when no buffer can be had. */
SONIC_API void sonic_stream_lend(sonic_stream *stream, size_t min, size_t want,
                                 sonic_lend_fn *cb, void *ud);

/* sonic_stream_lend_again - in a lend callback: consume n bytes, and call back
 * again, the same function, when there is more (min 1, want 0) */
SONIC_API void sonic_stream_lend_again(sonic_stream *stream, size_t n);

/* sonic_stream_consume - drop the first n bytes of what was lent, cut to what
 * there is.  In the callback, or later: the bytes are kept meanwhile. */
SONIC_API void sonic_stream_consume(sonic_stream *stream, size_t n);

/* sonic_stream_trim - drop the last n bytes of what was lent, cut likewise:
 * for a protocol that moved what it keeps to the front. */
SONIC_API void sonic_stream_trim(sonic_stream *stream, size_t n);

/* Bytes received and not consumed. */
SONIC_API size_t sonic_stream_buffered(const sonic_stream *stream);

/* ---- writing ---------------------------------------------------------- */

/* sonic_stream_send - queue a copy of len bytes
 *
 * The copy is avoided for large parts of memory that is lent to the callback
 * that runs: those may not be changed until it returns.
 * Returns 0, or 1 when the queue stands above its high-water mark now: the
 * caller should pause and wait for sonic_stream_async_drain.
 * ERRORS  nothing is queued: SONIC_EQUEUE over the limit; -ENOMEM;
 * SONIC_ECLOSED; -ENOTCONN; -EPIPE after shutdown; or the error that an
 * earlier write met. */
SONIC_API SONIC_MUST_CHECK int sonic_stream_send(sonic_stream *stream,
                                                 const void *buf, size_t len);

/* sonic_stream_send_framed - the same with a head of at most 16 bytes, which is
 * always copied, in front: both are queued, or neither is. */
SONIC_API SONIC_MUST_CHECK int
sonic_stream_send_framed(sonic_stream *stream, const void *head, size_t n_head,
                         const void *body, size_t len);

/* sonic_stream_refer - send memory that was lent to the running callback,
 * without a copy; it may not be changed until the callback returns
 * False: not here, not now, and nothing happened.  sonic_stream_send does it
 * in any case, and refers where it pays. */
SONIC_API bool sonic_stream_refer(sonic_stream *stream, const void *buf,
                                  size_t len);

/* sonic_stream_reserve, _commit - encode straight into the queue
 *
 * reserve gives room for at least n bytes (n at most 32 KiB), NULL on the
 * errors of send.  commit queues the first n of them; returns as send.
 * Nothing else may be done with the stream in between. */
SONIC_API uint8_t *sonic_stream_reserve(sonic_stream *stream, size_t n);
SONIC_API SONIC_MUST_CHECK int sonic_stream_commit(sonic_stream *stream,
                                                   size_t n);

/* sonic_stream_async_write, _writev - write all of it
 *
 * buf, and for writev the parts, are borrowed until cb runs; the array itself
 * is copied.  n at most 64, else -EINVAL.  cb runs when the system has taken
 * the last byte, or with an error and the bytes that it took before.  A write
 * of 0 bytes completes when all that was queued before it has gone out. */
SONIC_API void sonic_stream_async_write(sonic_stream *stream, const void *buf,
                                        size_t len, sonic_stream_fn *cb,
                                        void *ud);
SONIC_API void sonic_stream_async_writev(sonic_stream *stream,
                                         const struct iovec *iov, int n,
                                         sonic_stream_fn *cb, void *ud);
/* As async_write, with a head of at most 16 bytes, copied, in front; n counts
 * the body. */
SONIC_API void sonic_stream_async_write_framed(sonic_stream *stream,
                                               const void *head, size_t n_head,
                                               const void *body, size_t len,
                                               sonic_stream_fn *cb, void *ud);
/* The blocking twin.  *n may be NULL. */
SONIC_API SONIC_MUST_CHECK int sonic_stream_write(sonic_stream *stream,
                                                  const void *buf, size_t len,
                                                  size_t *n);

/* sonic_stream_flush - offer the queue to the system now instead of when the
 * dispatch ends.  0, or the error that the write met. */
SONIC_API int sonic_stream_flush(sonic_stream *stream);

/* Bytes queued and not taken by the system yet; those of a layer's next layer
 * are counted too. */
SONIC_API size_t sonic_stream_queued(const sonic_stream *stream);

/* Could n more bytes be queued without SONIC_EQUEUE? */
SONIC_API bool sonic_stream_has_room(const sonic_stream *stream, size_t n);

/* sonic_stream_set_marks - limits of the write queue, in bytes
 *
 * low <= high <= limit <= SIZE_MAX / 4, else SONIC_EOPTION.  0 keeps a value,
 * but for what would stand above the next one: that is cut to it.  Defaults:
 * low 256 KiB, high 1 MiB, limit 64 MiB. */
SONIC_API SONIC_MUST_CHECK int sonic_stream_set_marks(sonic_stream *stream,
                                                      size_t low, size_t high,
                                                      size_t limit);

/* sonic_stream_async_drain - call back once when the queue stands at or below
 * its low-water mark, at once when it does already.  One at a time; with n the
 * bytes queued. */
SONIC_API void sonic_stream_async_drain(sonic_stream *stream,
                                        sonic_stream_fn *cb, void *ud);

/* ---- ending ----------------------------------------------------------- */

enum sonic_direction { SONIC_READING = 1, SONIC_WRITING = 2, SONIC_BOTH = 3 };

/* sonic_stream_cancel - complete the pending operations of these directions
 * with -ECANCELED and the bytes moved so far.  Queued sends stay queued, as
 * does an operation of which a part is written already: a stream cannot take
 * bytes back. */
SONIC_API void sonic_stream_cancel(sonic_stream *stream, int directions);

/* sonic_stream_set_deadline - complete operations of these directions with
 * -ETIMEDOUT when the time comes, those that begin later included.  when is
 * absolute; INT64_MAX takes the deadline away.
 * Queued sends stay queued.  A write of which a part is gone ends too, and the
 * write side with it, for a stream cannot take bytes back: whatever is written
 * later gets -ETIMEDOUT as well, also when the deadline is taken away.
 * ERRORS -ENOMEM, SONIC_ECLOSED, SONIC_EOPTION: no such direction. */
SONIC_API SONIC_MUST_CHECK int
sonic_stream_set_deadline(sonic_stream *stream, int directions, int64_t when);

/* sonic_stream_shutdown - no more writes: when the queue has gone out the peer
 * sees the end of the stream (shutdown(2), SHUT_WR)
 * The writing end of a pipe, and whatever else is for writing only, is closed
 * for that: sonic_stream_fd is -1 then.
 * ERRORS  -ENOTCONN; SONIC_ECLOSED; -ENOTSOCK, neither a socket nor for writing
 * only: a terminal, the reading end of a pipe. */
SONIC_API int sonic_stream_shutdown(sonic_stream *stream);

/* sonic_stream_async_finish - an orderly end: send what is queued, shut down,
 * wait for the peer's end, free
 *
 * The stream is freed in any case, right after cb; only that may be done with
 * it sooner, by sonic_stream_free, or the io.
 *   timeout  nanoseconds for all of it; 0 or less: 10 s
 *   cb       with n 0; NULL: nobody wants to know
 * A pending read gets -ECANCELED, writes complete as ever; what the peer still
 * says is dropped.  Of a pipe there is nothing to wait for.
 * ERRORS, given to cb: 0, all was sent and the peer has ended; -ETIMEDOUT;
 * those of writes and reads; -ECANCELED; -ENOTCONN; SONIC_ECLOSED; -ENOMEM.
 * Where not all was sent the peer gets a reset: it cannot take that for the
 * end. */
SONIC_API void sonic_stream_async_finish(sonic_stream *stream, int64_t timeout,
                                         sonic_stream_fn *cb, void *ud);
/* The blocking twin.  -EBUSY, inside a callback, leaves the stream as it was;
 * after SONIC_ESTOPPED it goes on in later runs. */
SONIC_API SONIC_MUST_CHECK int sonic_stream_finish(sonic_stream *stream,
                                                   int64_t timeout);

/* sonic_stream_close - close, at once
 *
 * What is queued is offered to the system one last time; what it does not
 * take is lost (see sonic_stream_async_finish), and pending operations complete
 * with -ECANCELED from the loop.  Operations begun later complete with
 * SONIC_ECLOSED.  Idempotent. */
SONIC_API void sonic_stream_close(sonic_stream *stream);
/* sonic_stream_reset - close, and tell the peer so with a TCP reset */
SONIC_API void sonic_stream_reset(sonic_stream *stream);
/* sonic_stream_free - close and release.  NULL is allowed. */
SONIC_API void sonic_stream_free(sonic_stream *stream);

/* ---- looking at one --------------------------------------------------- */

SONIC_API sonic_io *sonic_stream_io(const sonic_stream *stream);
SONIC_API bool sonic_stream_is_open(const sonic_stream *stream);
/* The descriptor, for options and select-like loops; -1 when not connected.
 * It stays the stream's.  A layer's is that of the stream it stands on, and so
 * are the addresses. */
SONIC_API int sonic_stream_fd(const sonic_stream *stream);
/* The stream below a layer; NULL for one that is on a descriptor. */
SONIC_API sonic_stream *sonic_stream_next_layer(const sonic_stream *stream);
/* What the system says (getsockname(2), getpeername(2)). */
SONIC_API SONIC_MUST_CHECK int
sonic_stream_local_address(const sonic_stream *stream, sonic_address *out);
SONIC_API SONIC_MUST_CHECK int
sonic_stream_remote_address(const sonic_stream *stream, sonic_address *out);
/* Apply socket options to a connected stream. */
SONIC_API SONIC_MUST_CHECK int
sonic_stream_set_options(sonic_stream *stream, const sonic_socket_options *opt);

#ifdef __cplusplus
}
#endif
#endif
