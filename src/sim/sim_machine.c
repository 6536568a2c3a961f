/* The machine: the time of day; processors and memory not yet. */
#include "world.h"

int64_t
sonic__sim_realtime(void *ud)
{
    sonic_sim *sim = ud;

    return SIM_EPOCH + sim->sys.clock(ud);
}

int
sonic__sim_setaffinity(size_t size, const void *set, void *ud)
{
    (void)size, (void)set, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_getaffinity(size_t size, void *set, void *ud)
{
    (void)size, (void)set, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_mlockall(int flags, void *ud)
{
    (void)flags, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_ioctl(int fd, unsigned long request, void *arg, void *ud)
{
    (void)fd, (void)request, (void)arg, (void)ud;
    return -ENOSYS;
}
