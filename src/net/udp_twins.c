/* The blocking twins of a datagram socket's operations: begin one, run the io
 * until it is complete. */
#include "net/udp.h"

struct await {
    bool done;
    int err;
    sonic_datagram *d;
};

static void
on_read(sonic_udp *u, int err, const sonic_datagram *d, void *ud)
{
    struct await *a = ud;

    (void)u;
    a->done = true;
    a->err = err;
    if (d != NULL && a->d != NULL)
        *a->d = *d;
}

static void
on_written(sonic_udp *u, int err, size_t n, void *ud)
{
    struct await *a = ud;

    (void)u;
    (void)n;
    a->done = true;
    a->err = err;
}

int
sonic_udp_read(sonic_udp *u, void *buf, size_t len, sonic_datagram *d)
{
    struct await a = {false, 0, d};
    int err;

    if (sonic_io_inside(u->object.io))
        return -EBUSY;
    sonic_udp_async_read(u, buf, len, on_read, &a);
    err = a.done ? 0 : sonic_io_run_until(u->object.io, &a.done);
    if (!a.done) /* the loop was stopped: a must not be used any more */
        sonic__udp_read_abandon(u, &a);
    return err < 0 ? err : a.err;
}

int
sonic_udp_write(sonic_udp *u, const sonic_address *to, const void *data,
                size_t len)
{
    struct await a = {false, 0, NULL};
    int err;

    if (sonic_io_inside(u->object.io))
        return -EBUSY;
    sonic_udp_async_write(u, to, data, len, on_written, &a);
    err = a.done ? 0 : sonic_io_run_until(u->object.io, &a.done);
    if (!a.done)
        sonic__udp_write_abandon(u, &a);
    return err < 0 ? err : a.err;
}
