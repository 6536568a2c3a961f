/* Take a header of the PROXY protocol off a stream. */
#include <sonicio/proxy_header.h>

#include <errno.h>
#include <string.h>

#include <sonicio/timer.h>

#define TIMEOUT INT64_C(10000000000) /* ns, by default */

struct reading {
    sonic_stream *stream;
    sonic_timer *timer;
    sonic_proxy_header_fn *cb;
    void *ud;
    bool late;
};

static void
finish(struct reading *r, int err, const sonic_proxy_header *h)
{
    const sonic_mem *mem = sonic_io_mem(sonic_stream_io(r->stream));
    struct reading done = *r;

    sonic_timer_free(r->timer);
    mem->free(r, sizeof *r, mem->ud);
    done.cb(done.stream, err, err < 0 ? NULL : h, done.ud);
}

static void
on_time(sonic_timer *t, int err, void *ud)
{
    struct reading *r = ud;

    (void)t;
    if (err < 0)
        return; /* r is gone */
    r->late = true;
    sonic_stream_cancel(r->stream, SONIC_READING);
}

static void
on_bytes(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct reading *r = ud;
    sonic_proxy_header h;
    int n = err == 0 ? sonic_proxy_header_parse(data, len, &h) : err;

    if (n == 0) {
        sonic_stream_lend(s, len + 1, SONIC_PROXY_HEADER_MAX, on_bytes, r);
        return;
    }
    if (n > 0)
        sonic_stream_consume(s, (size_t)n);
    if (n == -ECANCELED && r->late)
        n = -ETIMEDOUT;
    finish(r, n < 0 ? n : 0, &h);
}

void
sonic_proxy_header_async_read(sonic_stream *s, int64_t timeout,
                              sonic_proxy_header_fn *cb, void *ud)
{
    sonic_io *io = sonic_stream_io(s);
    const sonic_mem *mem = sonic_io_mem(io);
    struct reading *r = mem->alloc(sizeof *r, mem->ud);
    int err = r == NULL ? -ENOMEM : 0;

    if (err == 0) {
        memset(r, 0, sizeof *r);
        err = sonic_timer_new(io, &r->timer);
    }
    if (err < 0) {
        if (r != NULL)
            mem->free(r, sizeof *r, mem->ud);
        cb(s, err, NULL, ud);
        return;
    }
    r->stream = s;
    r->cb = cb;
    r->ud = ud;
    sonic_timer_once(r->timer, timeout > 0 ? timeout : TIMEOUT, on_time, r);
    sonic_stream_lend(s, 1, 0, on_bytes, r);
}
