/* The byte buffer's operations on streams. */
#include "buffer/bytes.h"
#include "reactor/reactor.h"

/* The buffer may go in its callback, or may have gone before. */
static void
finish(sonic_bytes *b, struct sonic__bytes_op op, int err, size_t n)
{
    op.cb(b, err, n, op.ud);
    if (--b->busy == 0 && b->freed)
        sonic__bytes_destroy(b);
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    finish(object, (struct sonic__bytes_op){(sonic_bytes_fn *)cb, ud}, err, 0);
}

/* The last thing that a call does: the callback may free the io. */
static void
refuse(sonic_bytes *b, sonic_stream *stream, int err, struct sonic__bytes_op op)
{
    b->busy++;
    sonic_io_refuse(sonic_stream_io(stream), say, b, err, (void (*)(void))op.cb,
                    op.ud);
}

static void
end_reading(sonic_bytes *b, size_t n)
{
    b->reading.cb = NULL;
    b->end += n;
}

static void
end_writing(sonic_bytes *b, size_t n)
{
    b->writing.cb = NULL;
    sonic__bytes_drop(b, n);
}

static void
on_read(sonic_stream *stream, int err, size_t n, void *ud)
{
    sonic_bytes *b = ud;
    struct sonic__bytes_op op = b->reading;

    (void)stream;
    end_reading(b, n);
    finish(b, op, err, n);
}

static void
on_written(sonic_stream *stream, int err, size_t n, void *ud)
{
    sonic_bytes *b = ud;
    struct sonic__bytes_op op = b->writing;

    (void)stream;
    end_writing(b, n);
    finish(b, op, err, n);
}

/* Where a read may go: 0, or why it may not. */
static int
room_for(const sonic_bytes *b, size_t most, uint8_t **p, size_t *len)
{
    *p = sonic__bytes_room(b, len);
    if (most != 0 && most < *len)
        *len = most;
    if (b->reading.cb != NULL)
        return -EBUSY;
    return *len == 0 ? -ENOBUFS : 0;
}

void
sonic_bytes_async_read_from(sonic_bytes *b, sonic_stream *stream, size_t most,
                            sonic_bytes_fn *cb, void *ud)
{
    struct sonic__bytes_op op = {cb, ud};
    uint8_t *p;
    size_t len;
    int err = room_for(b, most, &p, &len);

    if (err < 0) {
        refuse(b, stream, err, op);
        return;
    }
    b->reading = op;
    b->busy++;
    sonic_stream_async_read(stream, p, len, on_read, b);
}

void
sonic_bytes_async_write_to(sonic_bytes *b, sonic_stream *stream,
                           sonic_bytes_fn *cb, void *ud)
{
    struct sonic__bytes_op op = {cb, ud};
    size_t len;
    uint8_t *p = sonic_bytes_data(b, &len);

    if (b->writing.cb != NULL) {
        refuse(b, stream, -EBUSY, op);
        return;
    }
    b->writing = op;
    b->busy++;
    sonic_stream_async_write(stream, p, len, on_written, b);
}

/* ---- the blocking twins ----------------------------------------------- */

/* Other callbacks run meanwhile: the bytes are as taken as with the others. */
static void
nobody(sonic_bytes *b, int err, size_t n, void *ud)
{
    (void)b;
    (void)err;
    (void)n;
    (void)ud;
}

int
sonic_bytes_read_from(sonic_bytes *b, sonic_stream *stream, size_t most,
                      size_t *n)
{
    const struct sonic__bytes_op op = {nobody, NULL};
    uint8_t *p;
    size_t len, got = 0;
    int err = room_for(b, most, &p, &len);

    if (err == 0) {
        b->reading = op;
        b->busy++;
        err = sonic_stream_read(stream, p, len, &got);
        end_reading(b, got);
        finish(b, op, err, got);
    }
    if (n != NULL)
        *n = got;
    return err;
}

int
sonic_bytes_write_to(sonic_bytes *b, sonic_stream *stream, size_t *n)
{
    const struct sonic__bytes_op op = {nobody, NULL};
    size_t len, put = 0;
    uint8_t *p = sonic_bytes_data(b, &len);
    int err = -EBUSY;

    if (b->writing.cb == NULL) {
        b->writing = op;
        b->busy++;
        err = sonic_stream_write(stream, p, len, &put);
        end_writing(b, put);
        finish(b, op, err, put);
    }
    if (n != NULL)
        *n = put;
    return err;
}
