/* The contract of <sonicio/udp.h>; what it does follows. */
#include <sonicio/udp.h>

int
sonic_udp_new(sonic_io *io, const char *address, const sonic_udp_options *opt,
              sonic_udp **out)
{
    (void)io, (void)address, (void)opt, (void)out;
    return -ENOSYS;
}

int
sonic_udp_dial(sonic_io *io, const char *address, const sonic_udp_options *opt,
               sonic_udp **out)
{
    (void)io, (void)address, (void)opt, (void)out;
    return -ENOSYS;
}

int
sonic_udp_adopt(sonic_io *io, int fd, const sonic_udp_options *opt,
                sonic_udp **out)
{
    (void)io, (void)fd, (void)opt, (void)out;
    return -ENOSYS;
}

int
sonic_udp_connect(sonic_udp *udp, const sonic_address *to)
{
    (void)udp, (void)to;
    return -ENOSYS;
}

void
sonic_udp_async_read(sonic_udp *udp, void *buf, size_t len,
                     sonic_udp_read_fn *cb, void *ud)
{
    (void)udp, (void)buf, (void)len, (void)cb, (void)ud;
}

int
sonic_udp_set_async_read_buffer(sonic_udp *udp, void *buf, size_t len)
{
    (void)udp, (void)buf, (void)len;
    return -ENOSYS;
}

int
sonic_udp_read(sonic_udp *udp, void *buf, size_t len, sonic_datagram *d)
{
    (void)udp, (void)buf, (void)len, (void)d;
    return -ENOSYS;
}

void
sonic_udp_lend(sonic_udp *udp, sonic_udp_lend_fn *cb, void *ud)
{
    (void)udp, (void)cb, (void)ud;
}

int
sonic_udp_send(sonic_udp *udp, const sonic_address *to, const void *data,
               size_t len)
{
    (void)udp, (void)to, (void)data, (void)len;
    return -ENOSYS;
}

int
sonic_udp_queue(sonic_udp *udp, const sonic_address *to, const void *data,
                size_t len)
{
    (void)udp, (void)to, (void)data, (void)len;
    return -ENOSYS;
}

void
sonic_udp_async_write(sonic_udp *udp, const sonic_address *to, const void *data,
                      size_t len, sonic_udp_write_fn *cb, void *ud)
{
    (void)udp, (void)to, (void)data, (void)len, (void)cb, (void)ud;
}

int
sonic_udp_write(sonic_udp *udp, const sonic_address *to, const void *data,
                size_t len)
{
    (void)udp, (void)to, (void)data, (void)len;
    return -ENOSYS;
}

int
sonic_udp_flush(sonic_udp *udp)
{
    (void)udp;
    return -ENOSYS;
}

size_t
sonic_udp_queued(const sonic_udp *udp)
{
    (void)udp;
    return 0;
}

size_t
sonic_udp_queued_bytes(const sonic_udp *udp)
{
    (void)udp;
    return 0;
}

void
sonic_udp_async_drain(sonic_udp *udp, sonic_udp_write_fn *cb, void *ud)
{
    (void)udp, (void)cb, (void)ud;
}

void
sonic_udp_cancel(sonic_udp *udp, int directions)
{
    (void)udp, (void)directions;
}

int
sonic_udp_set_deadline(sonic_udp *udp, int directions, int64_t when)
{
    (void)udp, (void)directions, (void)when;
    return -ENOSYS;
}

void
sonic_udp_close(sonic_udp *udp)
{
    (void)udp;
}

void
sonic_udp_free(sonic_udp *udp)
{
    (void)udp;
}

sonic_io *
sonic_udp_io(const sonic_udp *udp)
{
    (void)udp;
    return NULL;
}

bool
sonic_udp_is_open(const sonic_udp *udp)
{
    (void)udp;
    return false;
}

int
sonic_udp_fd(const sonic_udp *udp)
{
    (void)udp;
    return -ENOSYS;
}

int
sonic_udp_family(const sonic_udp *udp)
{
    (void)udp;
    return -ENOSYS;
}

int
sonic_udp_local_address(const sonic_udp *udp, sonic_address *out)
{
    (void)udp, (void)out;
    return -ENOSYS;
}

int
sonic_udp_remote_address(const sonic_udp *udp, sonic_address *out)
{
    (void)udp, (void)out;
    return -ENOSYS;
}

int
sonic_udp_set_options(sonic_udp *udp, const sonic_socket_options *opt)
{
    (void)udp, (void)opt;
    return -ENOSYS;
}

void
sonic_udp_get_stats(const sonic_udp *udp, sonic_udp_stats *out)
{
    (void)udp, (void)out;
}
