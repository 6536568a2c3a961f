/* Datagrams in batches, and network interfaces: not in this world yet. */
#include "world.h"

int
sonic__sim_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
                    void *ud)
{
    (void)fd, (void)msgs, (void)n, (void)flags, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
                    void *ud)
{
    (void)fd, (void)msgs, (void)n, (void)flags, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_if_nametoindex(const char *name, void *ud)
{
    (void)name, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_if_indextoname(unsigned index, char *name, void *ud)
{
    (void)index, (void)name, (void)ud;
    return -ENOSYS;
}

int
sonic__sim_getifaddrs(struct ifaddrs **out, void *ud)
{
    (void)out, (void)ud;
    return -ENOSYS;
}

void
sonic__sim_freeifaddrs(struct ifaddrs *list, void *ud)
{
    (void)list, (void)ud;
}
