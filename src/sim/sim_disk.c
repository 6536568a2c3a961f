/* Files, processors: not in this world yet; but the time of day is. */
#include "world.h"

ssize_t
sonic__sim_pread(int fd, void *buf, size_t len, int64_t off, void *ud)
{
    (void)fd, (void)buf, (void)len, (void)off, (void)ud;
    return -ENOSYS;
}

ssize_t
sonic__sim_pwrite(int fd, const void *buf, size_t len, int64_t off, void *ud)
{
    (void)fd, (void)buf, (void)len, (void)off, (void)ud;
    return -ENOSYS;
}

int64_t
sonic__sim_lseek(int fd, int64_t off, int whence, void *ud)
{
    (void)fd, (void)off, (void)whence, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_fstat(int fd, struct stat *st, void *ud)
{
    (void)fd, (void)st, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_fsync(int fd, void *ud)
{
    (void)fd, (void)ud;
    return -ENOSYS;
}

/* ---- the machine ------------------------------------------------------ */

/* The world began on 2021-01-01, 00:00:00 UTC. */
int64_t
sonic__sim_realtime(void *ud)
{
    sonic_sim *sim = ud;

    return INT64_C(1609459200000000000) + sim->sys.clock(ud);
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
