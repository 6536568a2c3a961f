/* poll(2): an array of descriptors beside the slots; each readiness is asked
 * for when a call has denied it, and told of once. */
#include "reactor/reactor.h"

#include <string.h>

struct watch {
    struct pollfd *fds; /* by slot; fd -1 where nothing is waited for */
    uint32_t cap;
    uint32_t next; /* slot to look at first: no slot is always last */
};

static int
poll_open(sonic_io *io)
{
    io->watch.data = sonic__alloc(io, sizeof(struct watch));
    return io->watch.data == NULL ? -ENOMEM : 0;
}

static void
poll_end(sonic_io *io)
{
    struct watch *w = io->watch.data;

    sonic__free(io, w->fds, w->cap * sizeof *w->fds);
    sonic__free(io, w, sizeof *w);
}

static int
poll_add(sonic_io *io, struct sonic__object *o)
{
    struct watch *w = io->watch.data;
    uint32_t cap = w->cap == 0 ? 64 : w->cap;
    struct pollfd *v;

    while (cap <= o->slot)
        cap *= 2;
    if (cap > w->cap) {
        v = sonic__alloc(io, cap * sizeof *v);
        if (v == NULL)
            return -ENOMEM;
        for (uint32_t i = w->cap; i < cap; i++)
            v[i].fd = -1;
        if (w->cap > 0)
            memcpy(v, w->fds, w->cap * sizeof *v);
        sonic__free(io, w->fds, w->cap * sizeof *v);
        w->fds = v;
        w->cap = cap;
    }
    w->fds[o->slot] = (struct pollfd){.fd = -1};
    return 0;
}

static void
poll_remove(sonic_io *io, struct sonic__object *o)
{
    ((struct watch *)io->watch.data)->fds[o->slot] = (struct pollfd){.fd = -1};
}

static void
poll_arm(sonic_io *io, struct sonic__object *o, unsigned ready)
{
    struct pollfd *p = &((struct watch *)io->watch.data)->fds[o->slot];

    p->fd = o->fd;
    if (ready & SONIC__READ)
        p->events |= POLLIN | POLLRDHUP;
    if (ready & SONIC__WRITE)
        p->events |= POLLOUT;
}

/* What came, and stop asking for it: a hang-up is told of once, not for ever.
 */
static uint32_t
take_ready(struct pollfd *p)
{
    uint32_t ready = 0;

    if (p->revents & POLLIN)
        ready |= SONIC__READ;
    if (p->revents & POLLOUT)
        ready |= SONIC__WRITE;
    if (p->revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
        ready |= SONIC__READ | SONIC__HUP;
    if (p->revents & (POLLHUP | POLLERR | POLLNVAL))
        ready |= SONIC__WRITE;
    if (ready & SONIC__READ)
        p->events &= (short)~(POLLIN | POLLRDHUP);
    if (ready & SONIC__WRITE)
        p->events &= (short)~POLLOUT;
    if (p->events == 0)
        p->fd = -1;
    p->revents = 0;
    return ready;
}

static int
poll_collect(sonic_io *io, int64_t timeout)
{
    struct watch *w = io->watch.data;
    uint32_t len = io->slots_n < w->cap ? io->slots_n : w->cap;
    unsigned n = 0;
    int ret = io->sys->poll(w->fds, len, timeout, io->sys->ud);

    if (ret <= 0)
        return ret;
    for (uint32_t k = 0; k < len && n < io->batch; k++) {
        uint32_t i = w->next < len ? w->next : 0;

        w->next = i + 1;
        if (w->fds[i].fd < 0 || w->fds[i].revents == 0)
            continue;
        io->events[n++] = (struct sonic__event){
            .id = sonic__event_id(i, io->slots[i].generation),
            .ready = take_ready(&w->fds[i]),
        };
    }
    return (int)n;
}

static int
poll_fd(const sonic_io *io)
{
    (void)io;
    return -1;
}

const struct sonic__backend sonic__backend_poll = {
    .name = "poll",
    .open = poll_open,
    .close = poll_end,
    .add = poll_add,
    .remove = poll_remove,
    .arm = poll_arm,
    .wait = poll_collect,
    .fd = poll_fd,
};
