/* Buffers that nobody used for a while go back to the system. */
#include "reactor/reactor.h"

static sonic_io *
io_of_timer(struct sonic__timer *t)
{
    return (sonic_io *)(void *)((char *)t - offsetof(sonic_io, spares));
}

static void
arm(sonic_io *io)
{
    sonic__timer_arm(io, &io->spares, sonic__now(io) + io->buffer_idle);
}

static void
fire(struct sonic__timer *t)
{
    sonic_io *io = io_of_timer(t);

    if (sonic__pool_trim(&io->pool))
        arm(io);
}

static void
watch(struct sonic__pool *p)
{
    arm((sonic_io *)(void *)((char *)p - offsetof(sonic_io, pool)));
}

int
sonic__spares_init(sonic_io *io)
{
    io->pool.watch = watch;
    (void)sonic__pool_trim(&io->pool);
    return sonic__timer_init(io, &io->spares, fire);
}
