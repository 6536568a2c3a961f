/* Listening sockets, and the paths that unix sockets leave behind. */
#include "net/bind.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "net/options.h"
#include "net/resolve.h"

struct request {
    struct sonic__opening base;
    int backlog;
    bool keep_path;
};

/* The path, or NULL: another family, or a name in the abstract namespace. */
static const char *
path_of(const sonic_address *a)
{
    const struct sockaddr_un *un = (const void *)&a->storage;

    if (a->len == 0 || un->sun_family != AF_UNIX || un->sun_path[0] == '\0')
        return NULL;
    return un->sun_path;
}

/* Does nobody answer at this path, and is it a socket?  To connect(2), a file
 * of any other kind refuses too; open(2) tells them apart: ENXIO. */
static bool
is_stale(sonic_io *io, const sonic_address *a)
{
    const sonic_sys *sys = io->sys;
    int flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
    int fd = sys->socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                         sys->ud);
    int err;

    if (fd < 0)
        return false;
    err =
        sys->connect(fd, (const struct sockaddr *)&a->storage, a->len, sys->ud);
    sys->close(fd, sys->ud);
    if (err != -ECONNREFUSED)
        return false;
    fd = sys->open(path_of(a), flags, 0, sys->ud);
    if (fd >= 0)
        sys->close(fd, sys->ud);
    return fd == -ENXIO;
}

void
sonic__unbind(sonic_io *io, const sonic_address *a)
{
    if (path_of(a) != NULL && is_stale(io, a))
        io->sys->unlink(path_of(a), io->sys->ud);
}

static int
bind_to(sonic_io *io, int fd, const sonic_address *a, bool keep_path)
{
    const struct sockaddr *sa = (const struct sockaddr *)&a->storage;
    int err = io->sys->bind(fd, sa, a->len, io->sys->ud);

    if (err != -EADDRINUSE || keep_path || path_of(a) == NULL)
        return err;
    sonic__unbind(io, a);
    return io->sys->bind(fd, sa, a->len, io->sys->ud);
}

static int
listen_at(sonic_io *io, const struct sonic__opening *base,
          const sonic_address *a)
{
    const struct request *r = (const void *)base;
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int family = a->storage.ss_family, err;
    bool bound;
    int fd = io->sys->socket(family, type, 0, io->sys->ud);

    if (fd < 0)
        return fd;
    err = sonic__options_apply(io, fd, family, SOCK_STREAM, &base->socket,
                               SONIC__BEFORE_BIND);
    if (err == 0)
        err = bind_to(io, fd, a, r->keep_path);
    bound = err == 0;
    if (bound)
        err = io->sys->listen(fd, r->backlog, io->sys->ud);
    if (err == 0)
        return fd;
    io->sys->close(fd, io->sys->ud);
    if (bound && !r->keep_path)
        sonic__unbind(io, a);
    return err;
}

/* Both families on one socket, or IPv4 alone where there is no IPv6. */
static int
open_any(sonic_io *io, struct sonic__opening *r,
         const struct sonic__address_parts *parts, sonic_address *out)
{
    bool open = parts->family == AF_UNSPEC;
    bool both = open && r->socket.v6_only == SONIC_DEFAULT;
    struct sonic__address_parts v4;
    int fd;

    *out = parts->address;
    if (both)
        r->socket.v6_only = SONIC_OFF;
    fd = r->open(io, r, out);
    if (!both || (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL))
        return fd;
    if (sonic__address_split("tcp4::0", &v4) < 0)
        return fd;
    r->socket.v6_only = SONIC_DEFAULT;
    *out = v4.address;
    sonic__address_set_port(out, parts->port);
    return r->open(io, r, out);
}

/* The first address of the name that can be had. */
static int
open_name(sonic_io *io, const struct sonic__opening *r,
          const struct sonic__address_parts *parts, sonic_address *out)
{
    struct sonic__resolve *found;
    int fd =
        sonic__resolve_now(io, parts->host, parts->family, parts->port, &found);

    if (fd < 0)
        return fd;
    for (unsigned i = 0; i < found->n; i++) {
        *out = found->found[i];
        fd = r->open(io, r, out);
        if (fd >= 0)
            break;
    }
    sonic__resolve_drop(found);
    return fd;
}

int
sonic__open(sonic_io *io, struct sonic__opening *r,
            const struct sonic__address_parts *parts, sonic_address *out)
{
    if (parts->kind == SONIC__ADDRESS_ANY)
        return open_any(io, r, parts, out);
    if (parts->kind == SONIC__ADDRESS_NAME)
        return open_name(io, r, parts, out);
    *out = parts->address;
    return r->open(io, r, out);
}

int
sonic__listen(sonic_io *io, const char *address, int backlog, bool keep_path,
              const sonic_socket_options *opt, sonic_address *out)
{
    struct request r = {
        .base.open = listen_at, .backlog = backlog, .keep_path = keep_path};
    struct sonic__address_parts parts;
    int err = sonic__options_copy(&r.base.socket, sizeof r.base.socket, opt);

    if (err < 0 || (err = sonic__address_split(address, &parts)) < 0)
        return err;
    return sonic__open(io, &r.base, &parts, out);
}
