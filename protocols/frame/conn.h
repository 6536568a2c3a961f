/* conn.h - the inside of a frame connection
 *
 * How a protocol is written, by example:
 *   scan.def, scan.c        bytes to frames: a machine that does no I/O
 *   session.def, session.c  the life of a connection: a machine, too
 *   read.c                  bytes lent by the stream, through scan, to the user
 *   send.c                  frames into the stream's queue
 *   conn.c                  made, looked at, freed
 *
 * Rules that make callbacks safe, whatever they do:
 *   - The connection is a <sonicio/object.h>: its memory stays until the loop
 *     has no more to do with it, freed or not.
 *   - Whatever the stream will call back for holds the object.
 *   - After a callback of the user's, the state is looked at again before the
 *     stream is touched: CLOSED means that there is none.
 *   - What ends a connection calls nobody.  It defers: on_close and the rest
 *     run from the loop, when all that the stream had under way has come back.
 */
#ifndef SONICIO_FRAME_CONN_H
#define SONICIO_FRAME_CONN_H

#include <sonicio/frame.h>
#include <sonicio/object.h>

#include "frame/scan.h"

enum {
    SONIC__FRAME_LENDING = 1,    /* sonic_stream_lend is under way */
    SONIC__FRAME_DELIVERING = 2, /* its callback is on the stack */
    SONIC__FRAME_PAUSED = 4,
    SONIC__FRAME_DRAINING = 8,  /* sonic_stream_async_drain is under way */
    SONIC__FRAME_STARTING = 16, /* not yet in the loop: nothing is read */
    SONIC__FRAME_CANCEL = 32,   /* the read operation is to be cancelled */
    SONIC__FRAME_REPORTED = 64, /* on_close has run */
    SONIC__FRAME_TIMED = 128    /* the frame under way has a deadline */
};

/* A read operation; cb NULL: none is pending. */
struct sonic__frame_read {
    sonic_frame_read_fn *cb;
    void *ud;
    uint8_t *buf; /* read_into */
    size_t cap;
    bool into;
};

/* An async_send under way. */
struct sonic__frame_write {
    struct sonic__frame_write *next; /* spare ones */
    sonic_frame_conn *conn;
    sonic_frame_fn *cb; /* NULL: nobody waits any more */
    void *ud;
    uint8_t head[SONIC_FRAME_HEADER_MAX];
};

/* What not every connection needs, made when it is first needed. */
struct sonic__frame_more {
    struct sonic__frame_read read;
    struct sonic__frame_write *spare;
    uint8_t *reserved;      /* by sonic_frame_reserve; NULL: nothing is */
    size_t reserved_header; /* bytes before the body there */
    size_t reserved_body;   /* bytes of it, at most */
    int64_t close_timeout, frame_timeout; /* 0: the default */
    const sonic_fsm_tracer *tracer;
};

struct sonic_frame_conn {
    sonic_stream *stream; /* NULL once CLOSED */
    const sonic_frame_handler *handler;
    void *ud;
    struct sonic__frame_more *more; /* NULL: never needed */
    sonic_frame_codec codec;
    union {
        struct sonic__frame_scan scan; /* until CLOSED */
        struct {
            size_t partial, unsent;
        } left; /* for the close record */
    } u;
    size_t taken;     /* DELIVERING: bytes of what was lent that are done */
    int error;        /* of the close record */
    uint8_t side;     /* of the close record */
    uint8_t ended_in; /* of the close record: its state */
    uint8_t state;    /* machine: session.def; enum sonic_frame_state */
    uint8_t flags;
};

/* conn.c: `more`, or NULL when there is no memory. */
struct sonic__frame_more *sonic__frame_more(sonic_frame_conn *c);

/* session.c: what may happen to a session.  None of them calls back. */
void sonic__frame_close(sonic_frame_conn *c);
void sonic__frame_ended(sonic_frame_conn *c);
void sonic__frame_fail(sonic_frame_conn *c, enum sonic_frame_side side,
                       int err);
/* Give the stream's operations so much time from now on, INT64_MAX: any.
 * False: that failed, and so has the session. */
bool sonic__frame_deadline(sonic_frame_conn *c, int directions,
                           int64_t timeout);

/* read.c */
void sonic__frame_arm(sonic_frame_conn *c);
void sonic__frame_complete_read(sonic_frame_conn *c, int err, uint8_t *data,
                                size_t len);

static inline bool
sonic__frame_has_read(const sonic_frame_conn *c)
{
    return c->more != NULL && c->more->read.cb != NULL;
}

static inline const sonic_fsm_tracer *
sonic__frame_tracer(const sonic_frame_conn *c)
{
    return c->more != NULL ? c->more->tracer : NULL;
}

extern const sonic_fsm sonic__frame_session_fsm;

#endif
