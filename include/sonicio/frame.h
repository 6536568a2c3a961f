/* <sonicio/frame.h> - length-prefixed frames
 *
 * A frame on the wire is
 *
 *      prefix            length field          body
 *      `offset` bytes    fixed size or varint  any number of bytes
 *      \_____________ header ______________/
 *
 * A sonic_frame_format describes that in words, a sonic_frame_codec is made
 * from it once.  sonic_frame_decode and sonic_frame_encode_header work on any
 * bytes: datagrams, files, captures.  A sonic_frame_conn sends and receives
 * frames over any sonic_stream.
 *
 * Some formats:
 *      4 bytes, big endian             SONIC_FRAME_FORMAT_INIT
 *      DNS over TCP, RFC 1035 4.2.2    .length = 2
 *      Protocol Buffers, delimited     .length = SONIC_FRAME_VARINT
 *      Kafka, SoupBinTCP, FTDC, SBE    .length, .order, .counts, .offset
 *
 * The machine is `sonicio tables frame`; it and the connection over it also
 * serve as the example of how a protocol is written: protocols/frame.
 */
#ifndef SONICIO_FRAME_H
#define SONICIO_FRAME_H

#include <sonicio/fsm.h>
#include <sonicio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the format ------------------------------------------------------- */

enum sonic_frame_order {
    SONIC_FRAME_BIG_ENDIAN = 0, /* network order */
    SONIC_FRAME_LITTLE_ENDIAN
};

/* What the number in the length field counts. */
enum sonic_frame_counts {
    SONIC_FRAME_BODY = 0,        /* the bytes behind the length field */
    SONIC_FRAME_LENGTH_AND_BODY, /* these, and the length field */
    SONIC_FRAME_EVERYTHING       /* these, and the prefix */
};

enum {
    SONIC_FRAME_VARINT = -1, /* length: base-128, least significant group
                                first (LEB128, as in Protocol Buffers) */
    SONIC_FRAME_KEEP = -1,   /* strip: deliver the header, too */
    SONIC_FRAME_OFFSET_MAX = 255,
    SONIC_FRAME_STRIP_MAX = 32767,
    SONIC_FRAME_ADJUST_MAX = 1 << 30,
    SONIC_FRAME_HEADER_MAX = SONIC_FRAME_OFFSET_MAX + 10, /* any format */
    SONIC_FRAME_PARTS_MAX = 63,     /* of a frame sent in parts */
    SONIC_FRAME_RESERVE_MAX = 32000 /* bytes of a body encoded in place */
};

typedef struct sonic_frame_format {
    size_t size;
    int length;      /* bytes of the length field: 1, 2, 3, 4 or 8, or
                        SONIC_FRAME_VARINT; default 4 */
    int varint_max;  /* bytes of a varint, 1 to 10; default 10 */
    unsigned offset; /* bytes before the length field, at most 255 */
    enum sonic_frame_order order; /* of a length of fixed size */
    enum sonic_frame_counts counts;
    int32_t adjust; /* added to the number on the wire to get what it counts;
                       -2^30 to 2^30 */
    int32_t strip;  /* bytes of a frame, from its front, that are not
                       delivered: up to 32767, or SONIC_FRAME_KEEP; default:
                       the header */
    enum sonic_switch non_minimal; /* ON: a varint may have more bytes than it
                                      needs */
    uint64_t max_body; /* bytes behind the length field; default 16 MiB, at
                          most SIZE_MAX / 4 */
} sonic_frame_format;

#define SONIC_FRAME_FORMAT_INIT                                                \
    {                                                                          \
        .size = sizeof(sonic_frame_format)                                     \
    }

/* A format, checked and made ready.  A value: copy it, share it.  Its members
 * are the library's. */
typedef struct sonic_frame_codec {
    uint64_t max_body;
    int32_t base;
    int16_t strip;
    uint8_t offset;
    uint8_t field;
} sonic_frame_codec;

/* sonic_frame_codec_init - check a format and make a codec of it
 *
 *   format  NULL: all defaults
 * ERRORS  SONIC_EOPTION: a member is out of its range; varint_max or
 * non_minimal without a varint; little endian with one; or members that
 * together leave no frame that could be expressed. */
SONIC_API SONIC_MUST_CHECK int
sonic_frame_codec_init(sonic_frame_codec *codec,
                       const sonic_frame_format *format);

/* ---- decoding and encoding -------------------------------------------- */

/* Where things lie in a frame; bytes, counted from its first one. */
typedef struct sonic_frame {
    size_t header; /* size of the header; 0 while it is not complete */
    size_t offset; /* where that which is delivered begins ... */
    size_t len;    /* ... and how many bytes of it there are */
    size_t total;  /* size of the frame */
    size_t need;   /* bytes without which it is no use to ask again */
} sonic_frame;

/* sonic_frame_decode - find the first frame in data[0..len)
 *
 * Returns 0 when it is complete: *out is filled in, the next frame begins at
 * data + out->total.  Otherwise
 *   SONIC_ENEEDMORE       len is too small, out->need says what for: more of
 *                         the header, or all of the frame.  What is known of
 *                         the frame is filled in, the rest is 0.
 *   SONIC_EFRAME_LENGTH   a varint that has too many bytes, is not minimal or
 *                         is over 64 bits; a length that is negative once
 *                         adjusted, overflows 64 bits, or is shorter than
 *                         what is to be stripped
 *   SONIC_EFRAME_TOOBIG   the body is longer than max_body
 * Both are told as soon as the length field is there (a varint: as soon as it
 * cannot become right), whatever has come of the body.  data is only read. */
SONIC_API SONIC_MUST_CHECK int
sonic_frame_decode(const sonic_frame_codec *codec, const void *data, size_t len,
                   sonic_frame *out);

/* sonic_frame_header_size - bytes of the header of a frame with that body
 * ERRORS as sonic_frame_encode_header. */
SONIC_API SONIC_MUST_CHECK int
sonic_frame_header_size(const sonic_frame_codec *codec, uint64_t body);

/* sonic_frame_encode_header - write the length field of a frame
 *
 *   body  bytes that will follow the length field
 *   dst   room for cap bytes; SONIC_FRAME_HEADER_MAX always suffice.  The
 *         first `offset` of them, the prefix, are left as they are.
 * Returns the size of the header.
 * ERRORS  nothing is written: SONIC_EFRAME_TOOBIG, body is over max_body;
 * SONIC_EFRAME_LENGTH, the length field cannot express it, or the frame would
 * be shorter than what is to be stripped; SONIC_ETOOBIG, over cap. */
SONIC_API SONIC_MUST_CHECK int
sonic_frame_encode_header(const sonic_frame_codec *codec, uint64_t body,
                          void *dst, size_t cap);

/* ---- a connection ----------------------------------------------------- */

/* Frames over a stream.
 *
 * They come through a handler (push) or through read operations (pull); a read
 * operation, while one is pending, comes first.  A frame is shown where it was
 * received: it lies in the reactor's buffer, is contiguous, may be written to,
 * and is valid until the callback returns.  All frames of one receive are
 * delivered in one go.
 *
 * Whatever ends a connection, on_close runs once, last, with a record of it.
 * A wrong frame ends it; so does the end of the peer's stream, once what is
 * queued has gone out. */
typedef struct sonic_frame_conn sonic_frame_conn;

enum sonic_frame_state {
    SONIC_FRAME_OPEN,    /* frames both ways */
    SONIC_FRAME_CLOSING, /* we close: our queue is going out */
    SONIC_FRAME_WAITING, /* our stream has ended, the peer's end is awaited */
    SONIC_FRAME_ENDED,   /* the peer's has ended, our queue is going out */
    SONIC_FRAME_CLOSED   /* over; see the close record */
};

enum sonic_frame_side {
    SONIC_FRAME_NOBODY, /* the network, or the io's end */
    SONIC_FRAME_US,
    SONIC_FRAME_PEER
};

/* Why a connection ended. */
typedef struct sonic_frame_close_record {
    enum sonic_frame_side side;   /* who ended it */
    enum sonic_frame_state state; /* in which state */
    int error;      /* 0: both streams ended between two frames, and all that
                       was queued went out; SONIC_EFRAME_CUT: the peer's ended
                       inside a frame; SONIC_EFRAME_LENGTH, _TOOBIG;
                       -ECANCELED: sonic_frame_conn_terminate, sonic_io_close;
                       -ETIMEDOUT: close_timeout, frame_timeout; or the
                       stream's error */
    size_t partial; /* bytes received and not delivered: of a frame that was
                       cut, say */
    size_t unsent;  /* bytes that were queued and did not go out */
} sonic_frame_close_record;

/* What happens on a connection.  Members may be NULL.  The table is borrowed,
 * and the same one may serve any number of connections. */
typedef struct sonic_frame_handler {
    size_t size;
    /* A frame.  NULL: frames come through read operations only.  Without one
     * the next frame waits, and behind it the peer's end; while there is none,
     * and there is an on_close, the end is awaited, which is an operation that
     * is pending.  A send that meets the stream's error ends the connection,
     * from the loop, in any case. */
    void (*on_frame)(sonic_frame_conn *conn, uint8_t *data, size_t len,
                     void *ud);
    /* The queue is at or below its low-water mark: once for each time that it
     * rose above the high-water mark and a send returned 1. */
    void (*on_drain)(sonic_frame_conn *conn, void *ud);
    /* The end, once.  The connection may be freed from here. */
    void (*on_close)(sonic_frame_conn *conn,
                     const sonic_frame_close_record *why, void *ud);
} sonic_frame_handler;

#define SONIC_FRAME_HANDLER_INIT .size = sizeof(sonic_frame_handler)

typedef struct sonic_frame_options {
    size_t size;
    int64_t close_timeout; /* nanoseconds for an orderly end; default 5 s */
    int64_t frame_timeout; /* from the first byte of a frame to its last, while
                              somebody waits for it; 0: any */
    size_t low_water, high_water, queue_limit; /* bytes; see stream.h */
} sonic_frame_options;

#define SONIC_FRAME_OPTIONS_INIT                                               \
    {                                                                          \
        .size = sizeof(sonic_frame_options)                                    \
    }

/* sonic_frame_conn_new - speak frames over a stream that is connected
 *
 *   stream   the connection's from now on; on error it stays the caller's
 *   codec    copied
 *   opt      may be NULL
 *   handler  borrowed; may be NULL
 * The first frame may be delivered from the loop, not before this returns.
 * ERRORS  -ENOMEM, -ENOTCONN, SONIC_ECLOSED (the io), SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int
sonic_frame_conn_new(sonic_stream *stream, const sonic_frame_codec *codec,
                     const sonic_frame_options *opt,
                     const sonic_frame_handler *handler, void *ud,
                     sonic_frame_conn **out);

/* ---- receiving -------------------------------------------------------- */

/* data is NULL with an error. */
typedef void sonic_frame_read_fn(sonic_frame_conn *conn, int err, uint8_t *data,
                                 size_t len, void *ud);

/* sonic_frame_async_read - the next frame, lent
 *
 * Called again in its callback it goes on with the same receive, in a loop.
 * ERRORS  SONIC_EOF when the peer's stream ended between two frames, also when
 * it had ended before; what else ends the connection (SONIC_EFRAME_CUT …);
 * -EBUSY, a read is pending; -ECANCELED; -ENOMEM; SONIC_ECLOSED, it is over
 * already. */
SONIC_API void sonic_frame_async_read(sonic_frame_conn *conn,
                                      sonic_frame_read_fn *cb, void *ud);

/* sonic_frame_async_read_into - the next frame, copied into the caller's
 * memory, which is borrowed until cb runs and which data is then
 * ERRORS  as async_read; and SONIC_ETOOBIG, with len the bytes needed: it is
 * over cap.  That is told before the body is awaited, and the frame is still
 * the next one. */
SONIC_API void sonic_frame_async_read_into(sonic_frame_conn *conn, void *buf,
                                           size_t cap, sonic_frame_read_fn *cb,
                                           void *ud);

/* sonic_frame_read - the blocking twin of async_read_into
 * *len may be given with SONIC_ETOOBIG too; len may be NULL. */
SONIC_API SONIC_MUST_CHECK int
sonic_frame_read(sonic_frame_conn *conn, void *buf, size_t cap, size_t *len);

/* sonic_frame_cancel_read - the read that is pending completes with
 * -ECANCELED, from the loop */
SONIC_API void sonic_frame_cancel_read(sonic_frame_conn *conn);

/* Stop, and go on with, delivery to on_frame.  A paused connection stops
 * reading: the peer feels it.  Read operations are not concerned. */
SONIC_API void sonic_frame_pause(sonic_frame_conn *conn);
SONIC_API void sonic_frame_resume(sonic_frame_conn *conn);

/* ---- sending ---------------------------------------------------------- */

/* sonic_frame_send - queue a frame
 *
 *   data, len  the body; data may be (part of) a frame being delivered
 * A prefix, where the format has one, is all zeros; see sonic_frame_sendv.
 * Returns 0, or 1 when the queue stands above its high-water mark now: pause,
 * and wait for on_drain.
 * ERRORS  nothing is queued: SONIC_ESTATE after the end of either side;
 * SONIC_EFRAME_TOOBIG, _LENGTH as sonic_frame_encode_header; SONIC_EQUEUE;
 * -ENOMEM; or the error that an earlier write met. */
SONIC_API SONIC_MUST_CHECK int sonic_frame_send(sonic_frame_conn *conn,
                                                const void *data, size_t len);

/* sonic_frame_sendv - queue a frame whose body is in n parts
 *   n       at most SONIC_FRAME_PARTS_MAX
 *   prefix  the `offset` bytes before the length field; NULL: zeros
 * Returns as send; -EINVAL when n is not 0 to that. */
SONIC_API SONIC_MUST_CHECK int sonic_frame_sendv(sonic_frame_conn *conn,
                                                 const void *prefix,
                                                 const struct iovec *iov,
                                                 int n);

/* sonic_frame_reserve, _commit - encode a body straight into the queue
 *
 * reserve gives room for up to n bytes (n at most SONIC_FRAME_RESERVE_MAX),
 * NULL on the errors of send.  commit queues a frame with the first n of them;
 * returns as send. Nothing else may be done with conn in between. */
SONIC_API uint8_t *sonic_frame_reserve(sonic_frame_conn *conn, size_t n);
SONIC_API SONIC_MUST_CHECK int sonic_frame_commit(sonic_frame_conn *conn,
                                                  const void *prefix, size_t n);

typedef void sonic_frame_fn(sonic_frame_conn *conn, int err, void *ud);

/* sonic_frame_async_send, _sendv - queue a frame that refers to the caller's
 * memory
 *
 * The body, in parts or not, is borrowed until cb runs; the prefix and the
 * array are copied.  cb runs when the system has taken the last byte.  Any
 * number may be under way.
 * ERRORS, given to cb: those of send, and -ECANCELED. */
SONIC_API void sonic_frame_async_send(sonic_frame_conn *conn, const void *data,
                                      size_t len, sonic_frame_fn *cb, void *ud);
SONIC_API void sonic_frame_async_sendv(sonic_frame_conn *conn,
                                       const void *prefix,
                                       const struct iovec *iov, int n,
                                       sonic_frame_fn *cb, void *ud);

/* sonic_frame_write - the blocking twin of async_send
 * When sonic_io_stop or a failed wait ends it early the connection is
 * terminated: part of the frame may be out. */
SONIC_API SONIC_MUST_CHECK int sonic_frame_write(sonic_frame_conn *conn,
                                                 const void *data, size_t len);

/* Bytes queued. */
SONIC_API size_t sonic_frame_queued(const sonic_frame_conn *conn);

/* ---- ending ----------------------------------------------------------- */

/* sonic_frame_conn_close - end in good order
 *
 * What is queued goes out, the peer then sees the end of our stream, and the
 * connection is over when its own has come.  Frames until then are delivered,
 * or dropped when nobody takes them: no read is pending, and on_frame is NULL
 * or paused.  What takes longer than close_timeout is cut.  on_close follows.
 * Idempotent. */
SONIC_API void sonic_frame_conn_close(sonic_frame_conn *conn);

/* sonic_frame_conn_terminate - end now.  Pending operations get -ECANCELED and
 * on_close runs, from the loop. */
SONIC_API void sonic_frame_conn_terminate(sonic_frame_conn *conn);

/* sonic_frame_conn_free - terminate and release; on_close does not run any
 * more, pending operations complete with -ECANCELED all the same.  A
 * connection that is not freed goes with its io.  NULL is allowed. */
SONIC_API void sonic_frame_conn_free(sonic_frame_conn *conn);

/* ---- looking at one --------------------------------------------------- */

SONIC_API enum sonic_frame_state
sonic_frame_conn_state(const sonic_frame_conn *conn);
/* The stream below; it stays the conn's.  NULL once CLOSED. */
SONIC_API sonic_stream *
sonic_frame_conn_next_layer(const sonic_frame_conn *conn);
SONIC_API sonic_io *sonic_frame_conn_io(const sonic_frame_conn *conn);
/* Another handler; NULL: none.  ERRORS SONIC_EOPTION: it is not one (size), and
 * the present one stays. */
SONIC_API SONIC_MUST_CHECK int
sonic_frame_conn_set_handler(sonic_frame_conn *conn,
                             const sonic_frame_handler *handler, void *ud);
SONIC_API void *sonic_frame_conn_user(const sonic_frame_conn *conn);
/* Trace every step of the connection's machines.  tracer is borrowed; NULL
 * ends it.  ERRORS -ENOMEM. */
SONIC_API SONIC_MUST_CHECK int
sonic_frame_conn_set_trace(sonic_frame_conn *conn,
                           const sonic_fsm_tracer *tracer);

#ifdef __cplusplus
}
#endif
#endif
