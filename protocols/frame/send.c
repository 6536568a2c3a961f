/* The write side: a header in front, and into the stream's queue. */
#include <errno.h>
#include <string.h>

#include "frame/codec.h"
#include "frame/conn.h"

enum {
    HEAD_MAX = 16,          /* bytes that sonic_stream_send_framed copies */
    RESERVE_MAX = 32 * 1024 /* bytes that sonic_stream_reserve gives */
};

static void
on_drained(sonic_stream *stream, int err, size_t n, void *ud)
{
    sonic_frame_conn *c = ud;

    (void)stream;
    (void)n;
    c->flags &= (uint8_t)~SONIC__FRAME_DRAINING;
    sonic_object_drop(c);
    if (c->state == SONIC_FRAME_CLOSED)
        return;
    if (err < 0)
        sonic__frame_fail(c, SONIC_FRAME_NOBODY, err);
    else if (c->state == SONIC_FRAME_OPEN && c->handler != NULL &&
             c->handler->on_drain != NULL)
        c->handler->on_drain(c, c->ud);
}

/* Pass on what a send said; above the high-water mark, wait for the low.  Was
 * an error the stream's?  The loop will see. */
static int
sent(sonic_frame_conn *c, int r)
{
    if (r < 0 && r != SONIC_EQUEUE)
        sonic_object_defer(c);
    if (r == 1 && !(c->flags & SONIC__FRAME_DRAINING)) {
        c->flags |= SONIC__FRAME_DRAINING;
        sonic_object_hold(c);
        sonic_stream_async_drain(c->stream, on_drained, c);
    }
    return r;
}

static int
plan(const sonic_frame_conn *c, uint64_t body, struct sonic__frame_plan *p)
{
    if (c->state != SONIC_FRAME_OPEN)
        return SONIC_ESTATE;
    return sonic__frame_plan(&c->codec, body, p);
}

/* The header that was planned; prefix may be NULL. */
static void
write_header(const sonic_frame_conn *c, const struct sonic__frame_plan *p,
             const void *prefix, uint8_t *dst)
{
    size_t n = c->codec.offset;

    if (n > 0 && prefix != NULL)
        memcpy(dst, prefix, n);
    else if (n > 0)
        memset(dst, 0, n);
    sonic__frame_write_length(&c->codec, p, dst + n);
}

/* Bytes of the parts together, or -EINVAL. */
static int
sum(const struct iovec *iov, int n, uint64_t *total)
{
    *total = 0;
    if (n < 0 || n > SONIC_FRAME_PARTS_MAX)
        return -EINVAL;
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len > UINT64_MAX - *total)
            return -EINVAL;
        *total += iov[i].iov_len;
    }
    return 0;
}

static void
gather(uint8_t *dst, const struct iovec *iov, int n)
{
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len > 0)
            memcpy(dst, iov[i].iov_base, iov[i].iov_len);
        dst += iov[i].iov_len;
    }
}

/* Parts that do not fit in one block of the queue: put them together first, so
 * that all of the frame is queued or nothing. */
static int
send_large(sonic_frame_conn *c, const struct sonic__frame_plan *p,
           const void *prefix, const struct iovec *iov, int n, size_t size)
{
    const sonic_mem *mem = sonic_io_mem(sonic_object_io(c));
    uint8_t *whole = mem->alloc(size, mem->ud);
    int r;

    if (whole == NULL)
        return -ENOMEM;
    write_header(c, p, prefix, whole);
    gather(whole + p->header, iov, n);
    r = sonic_stream_send(c->stream, whole, size);
    mem->free(whole, size, mem->ud);
    return r;
}

/* Why sonic_stream_reserve gave nothing: what a send would say. */
static int
why_no_room(sonic_frame_conn *c)
{
    int err = sonic_stream_send(c->stream, NULL, 0);

    return err < 0 ? err : SONIC_EQUEUE;
}

int
sonic_frame_sendv(sonic_frame_conn *c, const void *prefix,
                  const struct iovec *iov, int n)
{
    struct sonic__frame_plan p;
    uint8_t head[HEAD_MAX], *dst;
    uint64_t body;
    size_t size;
    int err = sum(iov, n, &body);

    if (err == 0)
        err = plan(c, body, &p);
    if (err < 0)
        return err;
    size = p.header + (size_t)body;
    if (n == 1 && p.header <= HEAD_MAX) {
        write_header(c, &p, prefix, head);
        return sent(c, sonic_stream_send_framed(c->stream, head, p.header,
                                                iov->iov_base, iov->iov_len));
    }
    if (size > RESERVE_MAX)
        return sent(c, send_large(c, &p, prefix, iov, n, size));
    dst = sonic_stream_reserve(c->stream, size);
    if (dst == NULL)
        return sent(c, why_no_room(c));
    write_header(c, &p, prefix, dst);
    gather(dst + p.header, iov, n);
    return sent(c, sonic_stream_commit(c->stream, size));
}

int
sonic_frame_send(sonic_frame_conn *c, const void *data, size_t len)
{
    struct iovec part = {(void *)(uintptr_t)data, len};
    struct sonic__frame_plan p;
    uint8_t head[HEAD_MAX];
    int err = plan(c, len, &p);

    if (err < 0)
        return err;
    if (p.header > HEAD_MAX)
        return sonic_frame_sendv(c, NULL, &part, 1);
    write_header(c, &p, NULL, head);
    return sent(c,
                sonic_stream_send_framed(c->stream, head, p.header, data, len));
}

uint8_t *
sonic_frame_reserve(sonic_frame_conn *c, size_t n)
{
    struct sonic__frame_more *more = sonic__frame_more(c);
    struct sonic__frame_plan p;
    uint8_t *dst;

    if (more == NULL || n > SONIC_FRAME_RESERVE_MAX || plan(c, n, &p) < 0)
        return NULL;
    dst = sonic_stream_reserve(c->stream, p.header + n);
    if (dst == NULL)
        return NULL;
    more->reserved = dst;
    more->reserved_header = p.header;
    more->reserved_body = n;
    return dst + p.header;
}

int
sonic_frame_commit(sonic_frame_conn *c, const void *prefix, size_t n)
{
    struct sonic__frame_more *more = c->more;
    struct sonic__frame_plan p;
    uint8_t *dst;
    int err = plan(c, n, &p);

    if (err < 0)
        return err;
    if (more == NULL || more->reserved == NULL || n > more->reserved_body)
        return SONIC_ESTATE;
    dst = more->reserved;
    more->reserved = NULL;
    if (p.header < more->reserved_header) /* a shorter body, a shorter varint */
        memmove(dst + p.header, dst + more->reserved_header, n);
    write_header(c, &p, prefix, dst);
    return sent(c, sonic_stream_commit(c->stream, p.header + n));
}

/* ---- sends that call back --------------------------------------------- */

static struct sonic__frame_write *
take_write(sonic_frame_conn *c)
{
    const sonic_mem *mem = sonic_io_mem(sonic_object_io(c));
    struct sonic__frame_more *more = sonic__frame_more(c);
    struct sonic__frame_write *w;

    if (more == NULL)
        return NULL;
    w = more->spare;
    if (w != NULL)
        more->spare = w->next;
    else
        w = mem->alloc(sizeof *w, mem->ud);
    return w;
}

static void
on_written(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct sonic__frame_write *w = ud;
    sonic_frame_conn *c = w->conn;
    sonic_frame_fn *cb = w->cb;
    void *cb_ud = w->ud;

    (void)stream;
    (void)n;
    w->next = c->more->spare;
    c->more->spare = w;
    sonic_object_drop(c);
    if (c->state != SONIC_FRAME_CLOSED)
        (void)sent(c, err);
    if (cb != NULL)
        cb(c, err, cb_ud);
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_frame_fn *)cb)(object, err, ud);
}

/* Returns what refers to cb, or NULL when it was called. */
static struct sonic__frame_write *
begin_write(sonic_frame_conn *c, const void *prefix, const struct iovec *iov,
            int n, sonic_frame_fn *cb, void *ud)
{
    struct iovec parts[SONIC_FRAME_PARTS_MAX + 1];
    struct sonic__frame_write *w = NULL;
    struct sonic__frame_plan p;
    uint64_t body;
    int err = sum(iov, n, &body);

    if (err == 0)
        err = plan(c, body, &p);
    if (err == 0 && (w = take_write(c)) == NULL)
        err = -ENOMEM;
    if (err < 0) {
        sonic_object_refuse(c, say, err, (void (*)(void))cb, ud);
        return NULL;
    }
    w->conn = c;
    w->cb = cb;
    w->ud = ud;
    write_header(c, &p, prefix, w->head);
    parts[0] = (struct iovec){w->head, p.header};
    for (int i = 0; i < n; i++)
        parts[i + 1] = iov[i];
    sonic_object_hold(c);
    sonic_stream_async_writev(c->stream, parts, n + 1, on_written, w);
    return w;
}

void
sonic_frame_async_sendv(sonic_frame_conn *c, const void *prefix,
                        const struct iovec *iov, int n, sonic_frame_fn *cb,
                        void *ud)
{
    (void)begin_write(c, prefix, iov, n, cb, ud);
}

void
sonic_frame_async_send(sonic_frame_conn *c, const void *data, size_t len,
                       sonic_frame_fn *cb, void *ud)
{
    struct iovec part = {(void *)(uintptr_t)data, len};

    (void)begin_write(c, NULL, &part, 1, cb, ud);
}

struct await {
    bool done;
    int err;
};

static void
on_sent(sonic_frame_conn *c, int err, void *ud)
{
    struct await *a = ud;

    (void)c;
    *a = (struct await){true, err};
}

int
sonic_frame_write(sonic_frame_conn *c, const void *data, size_t len)
{
    struct iovec part = {(void *)(uintptr_t)data, len};
    sonic_io *io = sonic_object_io(c);
    struct sonic__frame_write *w;
    struct await a = {false, 0};
    int err;

    if (sonic_io_inside(io))
        return -EBUSY;
    w = begin_write(c, NULL, &part, 1, on_sent, &a);
    err = a.done ? 0 : sonic_io_run_until(io, &a.done);
    if (!a.done) {
        w->cb = NULL;
        sonic_frame_conn_terminate(c); /* lets go of data */
    }
    return a.done ? a.err : err;
}

size_t
sonic_frame_queued(const sonic_frame_conn *c)
{
    return c->stream != NULL ? sonic_stream_queued(c->stream) : 0;
}
