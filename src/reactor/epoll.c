/* epoll(7): every descriptor is registered once, edge-triggered, for both
 * directions; what an edge said is remembered in the object. */
#include "reactor/reactor.h"

#include <sys/epoll.h>

_Static_assert(sizeof(struct sonic__event) == sizeof(struct epoll_event) &&
                   offsetof(struct sonic__event, id) ==
                       offsetof(struct epoll_event, data) &&
                   SONIC__READ == (int)EPOLLIN && SONIC__WRITE == (int)EPOLLOUT,
               "io->events is filled in by the kernel");

static int
epoll_open(sonic_io *io)
{
    int fd = io->sys->epoll_create1(EPOLL_CLOEXEC, io->sys->ud);

    if (fd < 0)
        return fd;
    io->watch.fd = fd;
    return 0;
}

static void
epoll_end(sonic_io *io)
{
    io->sys->close(io->watch.fd, io->sys->ud);
}

static int
control(sonic_io *io, struct sonic__object *o, int op, bool room)
{
    struct epoll_event ev = {
        .events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET,
        .data.u64 = sonic__event_id(o->slot, io->slots[o->slot].generation),
    };

    if (room)
        ev.events |= EPOLLOUT;
    return io->sys->epoll_ctl(io->watch.fd, op, o->fd, &ev, io->sys->ud);
}

static int
epoll_add(sonic_io *io, struct sonic__object *o)
{
    return control(io, o, EPOLL_CTL_ADD, !(o->flags & SONIC__QUIET));
}

static int
epoll_tell_room(sonic_io *io, struct sonic__object *o, bool tell)
{
    return control(io, o, EPOLL_CTL_MOD, tell);
}

/* Not left to close(2): a duplicate of the descriptor, in this process or in a
 * forked one, would keep the registration and its events alive. */
static void
epoll_remove(sonic_io *io, struct sonic__object *o)
{
    io->sys->epoll_ctl(io->watch.fd, EPOLL_CTL_DEL, o->fd, NULL, io->sys->ud);
}

static uint32_t
epoll_translate(uint32_t ev)
{
    uint32_t ready = ev & (EPOLLIN | EPOLLOUT);

    if (ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
        ready |= SONIC__READ | SONIC__HUP; /* PRI: reads stop at the mark */
    if (ev & (EPOLLHUP | EPOLLERR)) /* both directions fail, and say why */
        ready |= SONIC__WRITE;
    return ready;
}

static int
epoll_collect(sonic_io *io, int64_t timeout)
{
    return io->sys->epoll_wait(io->watch.fd,
                               (struct epoll_event *)(void *)io->events,
                               (int)io->batch, timeout, io->sys->ud);
}

static int
epoll_fd(const sonic_io *io)
{
    return io->watch.fd;
}

const struct sonic__backend sonic__backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_end,
    .add = epoll_add,
    .remove = epoll_remove,
    .tell_room = epoll_tell_room,
    .wait = epoll_collect,
    .translate = epoll_translate,
    .fd = epoll_fd,
};
