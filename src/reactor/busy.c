/* Busy polling in epoll_wait(2), and how long the loop's turns take. */
#include "reactor/reactor.h"

#include <sys/ioctl.h>

#include "base/pack.h"

/* struct epoll_params of <linux/eventpoll.h>, Linux 6.9 */
struct params {
    uint32_t busy_poll_usecs;
    uint16_t busy_poll_budget;
    uint8_t prefer_busy_poll;
    uint8_t pad; /* 0 */
};

_Static_assert(sizeof(struct params) == 8, "the kernel's");

enum { SET = 1, GET = 2, IOC_TYPE = 0x8a };

static int
epoll_of(const sonic_io *io)
{
    return io->backend->fd(io);
}

int
sonic_io_set_busy_poll(sonic_io *io, const sonic_busy_poll *p)
{
    sonic_busy_poll o;
    int err = sonic__options_copy(&o, sizeof o, p);
    struct params k = {.busy_poll_usecs = o.time,
                       .busy_poll_budget = o.budget,
                       .prefer_busy_poll = o.prefer == SONIC_ON};

    if (err < 0)
        return err;
    if (epoll_of(io) < 0)
        return SONIC_EOPTION;
    return io->sys->ioctl(epoll_of(io), _IOW(IOC_TYPE, SET, struct params), &k,
                          io->sys->ud);
}

int
sonic_io_get_busy_poll(const sonic_io *io, sonic_busy_poll *out)
{
    struct params k = {0};
    int err;

    if (epoll_of(io) < 0)
        return SONIC_EOPTION;
    err = io->sys->ioctl(epoll_of(io), _IOR(IOC_TYPE, GET, struct params), &k,
                         io->sys->ud);
    if (err < 0)
        return err;
    *out = (sonic_busy_poll){
        .size = sizeof *out,
        .time = k.busy_poll_usecs,
        .budget = k.busy_poll_budget,
        .prefer = k.prefer_busy_poll ? SONIC_ON : SONIC_OFF,
    };
    return 0;
}

/* The turn under way does not count. */
void
sonic_io_time_cycles(sonic_io *io, sonic_histogram *h)
{
    io->cycle_times = h;
    io->besides = true;
    io->cycle_handlers = io->handlers;
    io->cycle_began = sonic__now(io);
}
