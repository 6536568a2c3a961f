/* What the sides of `sonicio mcast` share: packets, sockets, errors. */
#include "mcast.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const uint8_t magic[4] = {'s', 'n', 'c', 'm'};

static void
put64(uint8_t *to, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        to[i] = (uint8_t)v;
}

static uint64_t
get64(const uint8_t *from)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | from[i];
    return v;
}

void
mcast_encode(uint8_t *to, const struct mcast_packet *p)
{
    memcpy(to, magic, sizeof magic);
    put64(to + 4, p->run);
    put64(to + 12, p->sequence);
    put64(to + 20, (uint64_t)p->sent);
}

bool
mcast_decode(const uint8_t *data, size_t len, struct mcast_packet *p)
{
    if (len < MCAST_HEAD || memcmp(data, magic, sizeof magic) != 0)
        return false;
    p->run = get64(data + 4);
    p->sequence = get64(data + 12);
    p->sent = (int64_t)get64(data + 20);
    return true;
}

int64_t
wall_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int
mcast_fail(const char *what, int err)
{
    const char *why = sonic_strerror(err);

    if (err == -ENODEV)
        why = "no such interface, or no route to choose one by: see --iface";
    else if (err == -ENETUNREACH)
        why = "no route to the group: see --iface";
    else if (err == -EAFNOSUPPORT)
        why = "IPv4 and IPv6 do not mix";
    complain("mcast", "%s: %s", what, why);
    return EXIT_BAD;
}

int
mcast_io(const struct mcast_options *o, sonic_io **io)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    int err;

    opt.backend = o->backend;
    err = sonic_io_new(io, &opt);
    if (err < 0)
        return err;
    err = stop_on_signal(*io);
    if (err < 0)
        sonic_io_free(*io);
    return err;
}

static int
join(sonic_udp *u, const struct mcast_options *o)
{
    if (o->source != NULL)
        return sonic_multicast_join_source(u, o->group, o->source, o->iface);
    return sonic_multicast_join(u, o->group, o->iface);
}

int
mcast_socket(sonic_io *io, const struct mcast_options *o, bool receive,
             sonic_udp **out)
{
    sonic_multicast_options m = SONIC_MULTICAST_OPTIONS_INIT;
    sonic_udp_options u = SONIC_UDP_OPTIONS_INIT;
    sonic_socket_options s = SONIC_SOCKET_OPTIONS_INIT;
    bool v4 = o->to.storage.ss_family == AF_INET;
    int err;

    s.receive_buffer = receive ? 4 << 20 : 0; /* as far as the system lets */
    u.socket = &s;
    u.timestamps = o->timestamps ? SONIC_ON : SONIC_DEFAULT;
    m.udp = &u;
    m.ttl = o->ttl;
    if (receive) { /* bound to the group: what comes is for it */
        err = sonic_multicast_new(io, o->address, &m, out);
        return err < 0 ? err : join(*out, o);
    }
    m.outbound = o->iface;
    return sonic_multicast_new(io, v4 ? "udp4::0" : "udp6::0", &m, out);
}
