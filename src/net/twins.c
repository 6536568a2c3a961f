/* The blocking twins of a stream's operations: begin one, run the io until it
 * is complete. */
#include "net/stream.h"

void
sonic__await_done(sonic_stream *s, int err, size_t n, void *ud)
{
    struct sonic__await *a = ud;

    (void)s;
    a->done = true;
    a->err = err;
    a->n = n;
}

/* When the loop was stopped first, nothing may refer to the caller's frame any
 * more: abandon ends the operation here and now, and says how far it got. */
static int
finish(sonic_stream *s, struct sonic__await *a, size_t *n,
       size_t (*abandon)(sonic_stream *s, const void *ud))
{
    int err = a->done ? 0 : sonic_io_run_until(s->object.io, &a->done);

    if (!a->done)
        a->n = abandon(s, a);
    if (n != NULL)
        *n = a->n;
    return err < 0 ? err : a->err;
}

int
sonic_stream_read(sonic_stream *s, void *buf, size_t len, size_t *n)
{
    struct sonic__await a = {false, 0, 0};

    if (sonic_io_inside(s->object.io))
        return -EBUSY;
    sonic_stream_async_read(s, buf, len, sonic__await_done, &a);
    return finish(s, &a, n, sonic__read_abandon);
}

int
sonic_stream_read_all(sonic_stream *s, void *buf, size_t len, size_t *n)
{
    struct sonic__await a = {false, 0, 0};

    if (sonic_io_inside(s->object.io))
        return -EBUSY;
    sonic_stream_async_read_all(s, buf, len, sonic__await_done, &a);
    return finish(s, &a, n, sonic__read_abandon);
}

int
sonic_stream_write(sonic_stream *s, const void *buf, size_t len, size_t *n)
{
    struct sonic__await a = {false, 0, 0};

    if (sonic_io_inside(s->object.io))
        return -EBUSY;
    sonic_stream_async_write(s, buf, len, sonic__await_done, &a);
    return finish(s, &a, n, sonic__write_abandon);
}
