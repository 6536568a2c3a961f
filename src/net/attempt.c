/* A socket is made, set up, bound and sent on its way; when it is writable,
 * connect(2) has ended, and SO_ERROR says how. */
#include "net/attempt.h"

#include <netinet/in.h>
#include <string.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static void
close_fd(sonic_io *io, int fd)
{
    io->sys->close(fd, io->sys->ud);
}

static bool
same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

/* On its way to a port of this machine on which nobody listens, a socket may
 * be given that very port to come from; TCP then connects it to itself. */
static bool
is_self(sonic_io *io, int fd, const sonic_address *to)
{
    sonic_address a = {.len = sizeof a.storage};

    if (to->storage.ss_family == AF_UNIX ||
        io->sys->getsockname(fd, (struct sockaddr *)&a.storage, &a.len,
                             io->sys->ud) < 0)
        return false;
    return sonic_address_port(&a) == sonic_address_port(to) &&
           same_host(&a.storage, &to->storage);
}

/* fd has connected: it, or the reason why it is of no use, and closed. */
static int
check(sonic_io *io, const struct sonic__plan *plan, const sonic_address *to,
      int fd)
{
    int err = -ECONNREFUSED;

    if (!is_self(io, fd, to))
        err = sonic__options_apply(io, fd, to->storage.ss_family, SOCK_STREAM,
                                   &plan->socket, SONIC__AFTER_CONNECT);
    if (err < 0) {
        close_fd(io, fd);
        return err;
    }
    return fd;
}

/* What the system says about a connection that was on its way. */
static int
outcome(sonic_io *io, int fd)
{
    int value = 0, err;
    socklen_t len = sizeof value;

    err = io->sys->getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len,
                              io->sys->ud);
    return err < 0 ? err : -value;
}

static void
attempt_run(struct sonic__object *o)
{
    struct sonic__attempt *a = (struct sonic__attempt *)o;
    int fd, err;

    if ((o->flags & SONIC__CLOSED) || !(o->ready & SONIC__WRITE))
        return;
    err = outcome(o->io, o->fd);
    fd = sonic__object_detach(o);
    if (err < 0) {
        close_fd(o->io, fd);
        fd = err;
    } else {
        fd = check(o->io, a->plan, a->to, fd);
    }
    a->fn(a, fd, a->ud);
}

static void
attempt_close(struct sonic__object *o)
{
    sonic__object_unwatch(o);
}

static void
attempt_destroy(struct sonic__object *o)
{
    sonic__free(o->io, o, sizeof(struct sonic__attempt));
}

static const struct sonic__class attempt_class = {
    .name = "attempt",
    .run = attempt_run,
    .close = attempt_close,
    .destroy = attempt_destroy,
};

/* fd is connecting: wait for what comes of it. */
static int
watch(sonic_io *io, int fd, struct sonic__attempt **out)
{
    struct sonic__attempt *a = sonic__alloc(io, sizeof *a);
    int err;

    if (a == NULL)
        return -ENOMEM;
    err = sonic__object_init(io, &a->object, &attempt_class);
    if (err < 0) {
        sonic__free(io, a, sizeof *a);
        return err;
    }
    err = sonic__object_watch(&a->object, fd);
    if (err < 0) {
        sonic__object_free(&a->object);
        return err;
    }
    sonic__await(&a->object, SONIC__WRITE);
    *out = a;
    return 0;
}

/* Where from.  The port is left to connect(2) where none is given: then as
 * many connections are possible as there are pairs of addresses. */
static int
bind_local(sonic_io *io, const struct sonic__plan *plan, int fd, int family)
{
    const sonic_sys *sys = io->sys;
    sonic_address from = plan->from.address;
    int on = 1;

    if (plan->socket.bind == NULL)
        return 0;
    if (plan->from.kind == SONIC__ADDRESS_ANY) {
        memset(&from, 0, sizeof from);
        from.storage.ss_family = (sa_family_t)family;
        from.len = family == AF_INET ? sizeof(struct sockaddr_in)
                                     : sizeof(struct sockaddr_in6);
        sonic__address_set_port(&from, plan->from.port);
    }
    if (plan->from.port == 0)
        (void)sys->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
                              sizeof on, sys->ud);
    return sys->bind(fd, (const struct sockaddr *)&from.storage, from.len,
                     sys->ud);
}

static int
send_off(sonic_io *io, const struct sonic__plan *plan, const sonic_address *to,
         int fd)
{
    int family = to->storage.ss_family;
    int err = sonic__options_apply(io, fd, family, SOCK_STREAM, &plan->socket,
                                   SONIC__BEFORE_CONNECT);

    if (err == 0)
        err = bind_local(io, plan, fd, family);
    if (err == 0)
        err = io->sys->connect(fd, (const struct sockaddr *)&to->storage,
                               to->len, io->sys->ud);
    return err == -EINTR ? -EINPROGRESS : err; /* connect(2): it goes on */
}

int
sonic__attempt_start(sonic_io *io, const struct sonic__plan *plan,
                     const sonic_address *to, sonic__attempt_fn *fn, void *ud,
                     struct sonic__attempt **out)
{
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, err;
    int fd = io->sys->socket(to->storage.ss_family, type, 0, io->sys->ud);

    if (fd < 0)
        return fd;
    err = send_off(io, plan, to, fd);
    if (err == 0)
        return check(io, plan, to, fd);
    if (err == -EINPROGRESS && (err = watch(io, fd, out)) == 0) {
        (*out)->fn = fn;
        (*out)->ud = ud;
        (*out)->to = to;
        (*out)->plan = plan;
        return -EINPROGRESS;
    }
    close_fd(io, fd);
    return err;
}

/* The local address must be of the family of the remote one. */
static int
init_from(struct sonic__plan *plan, struct sonic__address_parts *to)
{
    int err = sonic__address_split(plan->socket.bind, &plan->from);

    if (err < 0 || plan->from.kind == SONIC__ADDRESS_NAME ||
        plan->from.kind == SONIC__ADDRESS_UNIX ||
        to->kind == SONIC__ADDRESS_UNIX)
        return SONIC_EOPTION;
    if (plan->from.family == AF_UNSPEC || plan->from.family == to->family)
        return 0;
    if (to->family != AF_UNSPEC)
        return SONIC_EOPTION;
    to->family = plan->from.family; /* of a name, these addresses only */
    return 0;
}

int
sonic__plan_init(struct sonic__plan *plan, const sonic_socket_options *opt,
                 struct sonic__address_parts *to)
{
    int err = sonic__options_copy(&plan->socket, sizeof plan->socket, opt);

    if (err == 0)
        err = sonic__options_check(&plan->socket, to->family, SOCK_STREAM,
                                   SONIC__BEFORE_CONNECT);
    if (err < 0)
        return err;
    if (plan->socket.device != NULL) {
        strcpy(plan->device, plan->socket.device); /* checked: it fits */
        plan->socket.device = plan->device;
    }
    return plan->socket.bind != NULL ? init_from(plan, to) : 0;
}
