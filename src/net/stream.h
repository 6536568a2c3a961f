/* stream.h - the inside of sonic_stream
 *
 * 104 bytes for an idle one.  What it needs beyond that it has only while it
 * needs it: a buffer while bytes wait to be consumed, a write queue while
 * bytes wait to be sent, `more` once deadlines or marks were set.
 */
#ifndef SONICIO_SRC_STREAM_H
#define SONICIO_SRC_STREAM_H

#include <sys/socket.h>

#include <sonicio/shared.h>
#include <sonicio/stream.h>

#include "base/hint.h"
#include "reactor/reactor.h"

/* What a stream stands on: a socket, another descriptor, a layer. */
struct sonic__stream_class {
    struct sonic__class base;
    /* As recv(2) and readv(2): 0 is the end of the stream. */
    ssize_t (*read)(sonic_stream *s, void *buf, size_t len);
    ssize_t (*readv)(sonic_stream *s, const struct iovec *iov, int n);
    /* As writev(2), and never SIGPIPE.  write may be NULL. */
    ssize_t (*writev)(sonic_stream *s, const struct iovec *iov, int n);
    ssize_t (*write)(sonic_stream *s, const void *buf, size_t len);
    int (*may_shutdown)(const sonic_stream *s); /* NULL: it may */
    int (*shutdown)(sonic_stream *s);
    sonic_stream *(*next_layer)(const sonic_stream *s); /* may be NULL */
    bool short_is_dry; /* a short read or write has emptied or filled it */

    /* Of a layer, which has no descriptor of its own; NULL for the others.
     * position: bytes that it has put into the stream below.  taken: has the
     * system taken as many?  1; 0: run is called once it has; or why it never
     * will.  cancel: operations that are not of the stream's own kinds. */
    size_t (*position)(const sonic_stream *s);
    int (*taken)(sonic_stream *s, size_t position);
    void (*cancel)(sonic_stream *s);
};

/* object.bits: the read side */
enum {
    SONIC__READ_KIND = 7,      /* mask of enum sonic__read_kind */
    SONIC__READ_EOF = 8,       /* the end of the stream was seen */
    SONIC__READ_BUSY = 16,     /* its loop is on the stack */
    SONIC__READ_CANCEL = 32,   /* complete with -ECANCELED */
    SONIC__READ_LATE = 64,     /* the deadline has passed */
    SONIC__READ_IN_BLOCK = 128 /* the remainder lies in a block */
};

enum sonic__read_kind {
    SONIC__READ_NONE,
    SONIC__READ_SOME,
    SONIC__READ_ALL,
    SONIC__READ_VECTOR,
    SONIC__READ_LEND
};

/* object.bits2: the write side, and the whole */
enum {
    SONIC__WRITE_SHUT = 1,   /* shutdown when the queue is empty */
    SONIC__WRITE_ENDED = 2,  /* that has happened */
    SONIC__WRITE_LISTED = 4, /* in io->dirty */
    SONIC__WRITE_BUSY = 8,   /* its completions are on the stack */
    SONIC__WRITE_LATE = 16,  /* the deadline has passed */
    SONIC__CONNECTED = 32,   /* there is something to read and write */
    SONIC__CONNECTING = 64,  /* u.connect is valid */
    SONIC__RESET = 128       /* close with a reset */
};

/* A read-side operation.  LEND: len is min, done is want, and large stays from
 * one to the next: the size of the buffer if more lay in it, the last time
 * that bytes came, than the smallest holds; or 0. */
struct sonic__read_op {
    union {
        sonic_stream_fn *read;
        sonic_lend_fn *lend;
    } cb; /* valid while the kind is not NONE */
    void *ud;
    union {
        uint8_t *buf; /* VECTOR: the struct iovec array */
        size_t large;
    };
    size_t len;
    size_t done;
};

struct sonic__wq {
    union {
        sonic_stream *dirty;
        struct sonic__wq *spare;
    } next;
    struct sonic__block *head, *tail;       /* not sent */
    struct sonic__block *done, **done_tail; /* sent, or given up: call back */
    size_t bytes;                           /* queued */
    bool started;       /* the first write is in part with the system */
    size_t room;        /* bytes that the last block takes without any check */
    size_t high, limit; /* marks, copied */
    struct sonic__block *spare; /* kept for the next small data */
    sonic_stream_fn *drain;
    void *drain_ud;
    int drain_err;
};

/* Rarely needed. */
struct sonic__stream_more {
    sonic_stream *stream;
    struct sonic__timer read_timer, write_timer;
    size_t low, high, limit;
};

struct sonic__connect;

struct sonic_stream {
    struct sonic__object object;
    struct sonic__read_op rd;
    union {
        struct sonic_mirror *mirror;    /* received, not consumed */
        struct sonic__block *block;     /* the same with READ_IN_BLOCK */
        struct sonic__connect *connect; /* with CONNECTING */
    } u;
    struct sonic__wq *wq;            /* NULL: nothing to write */
    struct sonic__stream_more *more; /* NULL: all defaults */
};

static inline const struct sonic__stream_class *
sonic__stream_class(const sonic_stream *s)
{
    return (const struct sonic__stream_class *)(const void *)s->object.cls;
}

/* What a socket does. */
static inline ssize_t
sonic__socket_read(const sonic_stream *s, const sonic_sys *sys, void *buf,
                   size_t len)
{
    return sys->recv(s->object.fd, buf, len, 0, sys->ud);
}

static inline ssize_t
sonic__socket_write(const sonic_stream *s, const sonic_sys *sys,
                    const void *buf, size_t len)
{
    return sys->send(s->object.fd, buf, len, MSG_NOSIGNAL, sys->ud);
}

static inline ssize_t
sonic__stream_write(sonic_stream *s, const void *buf, size_t len)
{
    const struct sonic__stream_class *cls = sonic__stream_class(s);
    if (cls->write != NULL)
        return cls->write(s, buf, len);
    return cls->writev(s, &(struct iovec){(void *)(uintptr_t)buf, len}, 1);
}

static inline bool
sonic__stream_closed(const sonic_stream *s)
{
    return (s->object.flags & SONIC__CLOSED) != 0;
}

/* life, stream.c */
void sonic__stream_refuse(sonic_stream *s, int err, sonic_stream_fn *cb,
                          void *ud); /* see sonic__refuse */
int sonic__stream_init(sonic_io *io, sonic_stream *s,
                       const struct sonic__stream_class *cls);
struct sonic__stream_more *sonic__stream_more(sonic_stream *s);
void sonic__stream_close(struct sonic__object *o);
void sonic__stream_destroy(struct sonic__object *o);
void sonic__stream_fini(sonic_stream *s); /* all but the memory of s */
void sonic__stream_run(struct sonic__object *o);
void sonic__tcp_run(struct sonic__object *o); /* the same for TCP */
void sonic__stream_go_on(sonic_stream *s);    /* what is pending */
bool sonic__stream_reading(const struct sonic__object *o);
/* Give a new stream its connected descriptor; it owns fd when 0 is
 * returned. */
int sonic__stream_attach(sonic_stream *s, int fd);

/* connecting, connect.c.  The operation lives in the stream from
 * set_connecting(s, c) to set_connecting(s, NULL). */
struct sonic__connect *sonic__stream_connecting(const sonic_stream *s);
void sonic__stream_set_connecting(sonic_stream *s, struct sonic__connect *c);
void sonic__connect_cancel(struct sonic__connect *c);

/* Nothing is in it, nobody waits for it, nobody is at it: an idle stream has
 * no queue. */
static inline void
sonic__write_release(sonic_stream *s)
{
    struct sonic__wq *q = s->wq;

    if (q->head != NULL || q->done != NULL || q->drain != NULL ||
        (s->object.bits2 & (SONIC__WRITE_LISTED | SONIC__WRITE_BUSY)))
        return;
    q->next.spare = s->object.io->spare_wq;
    s->object.io->spare_wq = q;
    s->wq = NULL;
}

void sonic__cork_pull(sonic_stream *s); /* what it holds is queued */

static inline bool
sonic__corked(const sonic_stream *s)
{
    return s->object.io->cork.stream == s;
}

static inline void
sonic__uncork(sonic_stream *s)
{
    if (sonic__corked(s))
        sonic__cork_pull(s);
}

/* Of the blocking twins, twins.c: what the callback of the operation said.
 * sonic__await_done is that callback, its ud a struct sonic__await. */
struct sonic__await {
    bool done;
    int err;
    size_t n;
};
void sonic__await_done(sonic_stream *s, int err, size_t n, void *ud);

/* Likewise: take the operation of ud away without its callback.  Returns the
 * bytes that it moved. */
size_t sonic__read_abandon(sonic_stream *s, const void *ud);
size_t sonic__write_abandon(sonic_stream *s, const void *ud);
void sonic__drain_abandon(sonic_stream *s);

/* read.c, lend.c */
void sonic__read_run(sonic_stream *s);
void sonic__read_start(sonic_stream *s);
ssize_t sonic__read_judge(sonic_stream *s, ssize_t n, size_t asked);
void sonic__read_complete(sonic_stream *s, int err, size_t n);
void sonic__read_settle(sonic_stream *s);
void sonic__read_drop_buffer(sonic_stream *s);
const uint8_t *sonic__stream_rest(const sonic_stream *s); /* what is buffered */
void sonic__dispatch_end(sonic_stream *s);

/* cork.c */
void sonic__cork_prepare(sonic_io *io);
void sonic__cork_open(sonic_stream *s);
void sonic__cork_send(sonic_stream *s); /* its dispatch ends */
void sonic__cork_send_parts(sonic_stream *s);
/* The system took less than the n bytes: an error, or so many. */
void sonic__cork_keep(sonic_stream *s, size_t n, ssize_t taken);
size_t sonic__cork_bytes(const sonic_io *io);

static inline void
sonic__cork_sent(sonic_stream *s, sonic_io *io, size_t n, ssize_t taken)
{
    if (taken != (ssize_t)n) {
        sonic__cork_keep(s, n, taken);
        return;
    }
    io->stats.writes++;
    io->stats.bytes_out += n;
}

/* As sonic__cork_send, of a TCP stream where that is known. */
static SONIC__INLINE void
sonic__cork_flush(sonic_stream *s, sonic_io *io, bool tcp)
{
    const uint8_t *base = io->cork_base;
    size_t n = (size_t)(io->cork.at - base);

    io->cork.stream = NULL;
    if (io->parts.n > 0)
        sonic__cork_send_parts(s);
    else if (n > 0)
        sonic__cork_sent(s, io, n,
                         tcp ? sonic__socket_write(s, io->sys, base, n)
                             : sonic__stream_write(s, base, n));
}

/* shared.c */
struct sonic_shared {
    sonic_io *io;
    struct sonic__block *block;        /* where it lies */
    struct sonic_shared *next, **prev; /* all of the io */
    size_t len, holders;
    uint8_t data[];
};
void sonic__shared_end(sonic_io *io);

/* write.c, flush.c, cancel.c */
enum {
    SONIC__RESERVE_MAX = SONIC__BLOCK_LARGEST,
    SONIC__HEAD_MAX = 16, /* bytes */
    SONIC__IOV_MAX = 64,  /* parts of one system call */
    SONIC__WRITE_PART = 1 /* block.err in a queue: its write goes on in the
                             next block */
};
struct sonic__wq *sonic__write_queue(sonic_stream *s); /* NULL: no memory */
int sonic__write_copy(sonic_stream *s, const void *prefix, size_t n_prefix,
                      const void *buf, size_t len);
int sonic__write_lent(sonic_stream *s, const void *prefix, size_t n_prefix,
                      const void *buf, size_t len);
void sonic__write_marks(const sonic_stream *s, struct sonic__wq *q);
void sonic__write_advance(sonic_stream *s, size_t n);
ssize_t sonic__write_judge(sonic_stream *s, ssize_t n);
size_t sonic__low_water(const sonic_stream *s);
void sonic__write_run(sonic_stream *s);
void sonic__write_drop_block(sonic_stream *s, struct sonic__block *b);
void sonic__write_done(sonic_stream *s, struct sonic__block *b, int err,
                       size_t n);
struct sonic__block *sonic__write_unpinned(sonic_stream *s,
                                           struct sonic__block *b);
void sonic__write_give_up(sonic_stream *s, int err);
void sonic__write_late(sonic_stream *s);
void sonic__write_free(sonic_stream *s);

#endif
