/* The contract of <sonicio/multicast.h>; what it does follows. */
#include <sonicio/multicast.h>

int
sonic_multicast_new(sonic_io *io, const char *address,
                    const sonic_multicast_options *opt, sonic_udp **out)
{
    (void)io, (void)address, (void)opt, (void)out;
    return -ENOSYS;
}

int
sonic_multicast_join(sonic_udp *udp, const char *group, const char *interface)
{
    (void)udp, (void)group, (void)interface;
    return -ENOSYS;
}

int
sonic_multicast_join_source(sonic_udp *udp, const char *group,
                            const char *source, const char *interface)
{
    (void)udp, (void)group, (void)source, (void)interface;
    return -ENOSYS;
}

int
sonic_multicast_leave(sonic_udp *udp, const char *group, const char *interface)
{
    (void)udp, (void)group, (void)interface;
    return -ENOSYS;
}

int
sonic_multicast_leave_source(sonic_udp *udp, const char *group,
                             const char *source, const char *interface)
{
    (void)udp, (void)group, (void)source, (void)interface;
    return -ENOSYS;
}

int
sonic_multicast_block_source(sonic_udp *udp, const char *group,
                             const char *source, const char *interface)
{
    (void)udp, (void)group, (void)source, (void)interface;
    return -ENOSYS;
}

int
sonic_multicast_unblock_source(sonic_udp *udp, const char *group,
                               const char *source, const char *interface)
{
    (void)udp, (void)group, (void)source, (void)interface;
    return -ENOSYS;
}

int
sonic_multicast_set_outbound(sonic_udp *udp, const char *interface)
{
    (void)udp, (void)interface;
    return -ENOSYS;
}

int
sonic_multicast_outbound(const sonic_udp *udp, unsigned *index)
{
    (void)udp, (void)index;
    return -ENOSYS;
}

int
sonic_multicast_set_inbound(sonic_udp *udp, const char *interface)
{
    (void)udp, (void)interface;
    return -ENOSYS;
}

int
sonic_multicast_inbound(const sonic_udp *udp, unsigned *index)
{
    (void)udp, (void)index;
    return -ENOSYS;
}

int
sonic_multicast_set_loop(sonic_udp *udp, bool on)
{
    (void)udp, (void)on;
    return -ENOSYS;
}

int
sonic_multicast_loop(const sonic_udp *udp, bool *on)
{
    (void)udp, (void)on;
    return -ENOSYS;
}

int
sonic_multicast_set_ttl(sonic_udp *udp, int ttl)
{
    (void)udp, (void)ttl;
    return -ENOSYS;
}

int
sonic_multicast_ttl(const sonic_udp *udp, int *ttl)
{
    (void)udp, (void)ttl;
    return -ENOSYS;
}

int
sonic_multicast_set_all(sonic_udp *udp, bool on)
{
    (void)udp, (void)on;
    return -ENOSYS;
}

int
sonic_multicast_all(const sonic_udp *udp, bool *on)
{
    (void)udp, (void)on;
    return -ENOSYS;
}

bool
sonic_multicast_is_group(const sonic_address *a)
{
    (void)a;
    return false;
}
