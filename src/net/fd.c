/* What most streams stand on: a descriptor. */
#include "net/stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static ssize_t
socket_read(sonic_stream *s, void *buf, size_t len)
{
    return sonic__socket_read(s, s->object.io->sys, buf, len);
}

static ssize_t
socket_write(sonic_stream *s, const void *buf, size_t len)
{
    return sonic__socket_write(s, s->object.io->sys, buf, len);
}

static ssize_t
fd_read(sonic_stream *s, void *buf, size_t len)
{
    const sonic_sys *sys = s->object.io->sys;
    struct iovec v = {buf, len};

    return sys->readv(s->object.fd, &v, 1, sys->ud);
}

static ssize_t
fd_readv(sonic_stream *s, const struct iovec *iov, int n)
{
    const sonic_sys *sys = s->object.io->sys;

    return sys->readv(s->object.fd, iov, n, sys->ud);
}

static ssize_t
socket_writev(sonic_stream *s, const struct iovec *iov, int n)
{
    const sonic_sys *sys = s->object.io->sys;
    struct msghdr m = {0};

    if (n == 1)
        return socket_write(s, iov->iov_base, iov->iov_len);
    m.msg_iov = (struct iovec *)(uintptr_t)iov;
    m.msg_iovlen = (size_t)n;
    return sys->sendmsg(s->object.fd, &m, MSG_NOSIGNAL, sys->ud);
}

static ssize_t
fd_writev(sonic_stream *s, const struct iovec *iov, int n)
{
    const sonic_sys *sys = s->object.io->sys;

    return sys->writev(s->object.fd, iov, n, sys->ud);
}

static int
socket_shutdown(sonic_stream *s)
{
    const sonic_sys *sys = s->object.io->sys;

    return sys->shutdown(s->object.fd, SHUT_WR, sys->ud);
}

/* The other end of a pipe sees its end when this one is closed, and only then:
 * that can be done where there is nothing to read. */
static int
fd_may_shutdown(const sonic_stream *s)
{
    const sonic_sys *sys = s->object.io->sys;
    int flags = sys->fcntl(s->object.fd, F_GETFL, 0, sys->ud);

    if (flags < 0)
        return flags;
    return (flags & O_ACCMODE) == O_WRONLY ? 0 : -ENOTSOCK;
}

static int
fd_shutdown(sonic_stream *s)
{
    sonic__object_unwatch(&s->object);
    return 0;
}

/* TCP: a receive that brings less than was asked for has taken all. */
static const struct sonic__stream_class tcp_class = {
    .base = {.name = "tcp",
             .run = sonic__tcp_run,
             .close = sonic__stream_close,
             .destroy = sonic__stream_destroy,
             .reading = sonic__stream_reading},
    .read = socket_read,
    .readv = fd_readv,
    .writev = socket_writev,
    .write = socket_write,
    .shutdown = socket_shutdown,
    .short_is_dry = true,
};

/* Sockets that keep bounds: between datagrams, or, on a unix stream, between
 * bytes that came with descriptors and others. */
static const struct sonic__stream_class socket_class = {
    .base = {.name = "socket",
             .run = sonic__stream_run,
             .close = sonic__stream_close,
             .destroy = sonic__stream_destroy,
             .reading = sonic__stream_reading},
    .read = socket_read,
    .readv = fd_readv,
    .writev = socket_writev,
    .write = socket_write,
    .shutdown = socket_shutdown,
};

static const struct sonic__stream_class fd_class = {
    .base = {.name = "descriptor",
             .run = sonic__stream_run,
             .close = sonic__stream_close,
             .destroy = sonic__stream_destroy,
             .reading = sonic__stream_reading},
    .read = fd_read,
    .readv = fd_readv,
    .writev = fd_writev,
    .may_shutdown = fd_may_shutdown,
    .shutdown = fd_shutdown,
};

int
sonic_stream_new(sonic_io *io, sonic_stream **out)
{
    sonic_stream *s = sonic__alloc(io, sizeof *s);
    int err;

    if (s == NULL)
        return -ENOMEM;
    err = sonic__stream_init(io, s, &tcp_class);
    if (err < 0) {
        sonic__free(io, s, sizeof *s);
        return err;
    }
    *out = s;
    return 0;
}

int
sonic__stream_attach(sonic_stream *s, int fd)
{
    struct sonic__object *o = &s->object;
    const sonic_sys *sys = o->io->sys;
    int protocol = 0, err;
    socklen_t len = sizeof protocol;

    err =
        sys->getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len, sys->ud);
    if (err < 0 && err != -ENOTSOCK)
        return err;
    if (err < 0)
        o->cls = &fd_class.base;
    else
        o->cls = protocol == IPPROTO_TCP ? &tcp_class.base : &socket_class.base;
    err = sonic__object_watch(o, fd);
    if (err < 0)
        return err;
    o->bits = 0;
    o->bits2 = SONIC__CONNECTED;
    o->error = 0;
    if (o->io->cork_wq == NULL)
        sonic__cork_prepare(o->io); /* or the first dispatch does */
    return 0;
}
