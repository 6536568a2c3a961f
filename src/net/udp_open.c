/* Sockets for datagrams, as their options want them. */
#include "net/udp.h"

#include <netinet/udp.h>
#include <string.h>

#include "net/bind.h"
#include "net/options.h"

/* From linux/net_tstamp.h, which not every system has. */
enum {
    STAMP_RX_HARDWARE = 1 << 2,
    STAMP_RX_SOFTWARE = 1 << 3,
    STAMP_SOFTWARE = 1 << 4,
    STAMP_RAW_HARDWARE = 1 << 6
};

enum { UDP_TYPE = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC };

struct request {
    struct sonic__opening base;
    const sonic_udp_options *opt;
    bool own_groups;
    struct sonic__address_parts from; /* of dial; len 0: not given */
};

static int
set_int(sonic_io *io, int fd, int level, int name, int v)
{
    return io->sys->setsockopt(fd, level, name, &v, sizeof v, io->sys->ud);
}

/* On by default, where the system has it. */
static int
set_usual(sonic_io *io, int fd, int level, int name, enum sonic_switch want)
{
    int err;

    if (want == SONIC_OFF)
        return 0;
    err = set_int(io, fd, level, name, 1);
    return want == SONIC_DEFAULT ? 0 : err;
}

/* Off by default; what is asked for and not there is refused. */
static int
set_extra(sonic_io *io, int fd, int level, int name, int v,
          enum sonic_switch want)
{
    int err;

    if (want != SONIC_ON)
        return 0;
    err = set_int(io, fd, level, name, v);
    return err == -ENOPROTOOPT ? SONIC_EOPTION : err;
}

static int
set_timestamps(sonic_io *io, int fd, const sonic_udp_options *opt)
{
    bool asked = opt->socket != NULL && opt->socket->timestamps == SONIC_ON;

    return set_extra(io, fd, SOL_SOCKET, SO_TIMESTAMPING,
                     STAMP_RX_HARDWARE | STAMP_RX_SOFTWARE | STAMP_SOFTWARE |
                         STAMP_RAW_HARDWARE,
                     asked ? SONIC_ON : opt->timestamps);
}

/* What the kernel is to tell of each datagram, and how it cuts them. */
int
sonic__udp_setup(sonic_io *io, int fd, int family, const sonic_udp_options *opt)
{
    int err;

    if (family == AF_INET)
        err = set_usual(io, fd, IPPROTO_IP, IP_PKTINFO, opt->packet_info);
    else
        err =
            set_usual(io, fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, opt->packet_info);
    if (err == 0)
        err = set_usual(io, fd, SOL_SOCKET, SO_RXQ_OVFL, opt->drop_counter);
    if (err == 0)
        err = set_timestamps(io, fd, opt);
    if (err == 0)
        err = set_extra(io, fd, SOL_SOCKET, SO_BROADCAST, 1, opt->broadcast);
    if (err == 0)
        err = set_extra(io, fd, IPPROTO_UDP, UDP_GRO, 1, opt->gro);
    if (err ==
        0) /* whether there is such a thing: none for the socket itself */
        err = set_extra(io, fd, IPPROTO_UDP, UDP_SEGMENT, 0, opt->gso);
    return err;
}

/* An IPv6 socket may carry IPv4 as well. */
static int
set_own_groups(sonic_io *io, int fd, int family)
{
    int err = 0;

    if (family == AF_INET6)
        err = set_int(io, fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
    return err < 0 ? err : set_int(io, fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
}

/* A socket with its options, neither bound nor connected. */
static int
make(sonic_io *io, const struct request *r, int family, enum sonic__stage stage)
{
    sonic_socket_options o = r->base.socket;
    int fd = io->sys->socket(family, UDP_TYPE, 0, io->sys->ud), err;

    if (fd < 0)
        return fd;
    o.timestamps = SONIC_DEFAULT; /* ours are finer */
    err = sonic__options_apply(io, fd, family, SOCK_DGRAM, &o, stage);
    if (err == 0)
        err = sonic__udp_setup(io, fd, family, r->opt);
    if (err == 0 && r->own_groups)
        err = set_own_groups(io, fd, family);
    if (err == 0)
        return fd;
    io->sys->close(fd, io->sys->ud);
    return err;
}

static int
bind_at(sonic_io *io, const struct sonic__opening *base, const sonic_address *a)
{
    int fd =
        make(io, (const void *)base, a->storage.ss_family, SONIC__BEFORE_BIND);
    int err;

    if (fd < 0)
        return fd;
    err = io->sys->bind(fd, (const struct sockaddr *)&a->storage, a->len,
                        io->sys->ud);
    if (err == 0)
        return fd;
    io->sys->close(fd, io->sys->ud);
    return err;
}

static int
bind_from(sonic_io *io, int fd, const struct request *r, int family)
{
    const sonic_address *a = &r->from.address;
    sonic_address any = {.len = 0};

    if (a->len == 0)
        return 0;
    if (r->from.kind == SONIC__ADDRESS_ANY) { /* a port, of either family */
        any.len = family == AF_INET ? sizeof(struct sockaddr_in)
                                    : sizeof(struct sockaddr_in6);
        any.storage.ss_family = (sa_family_t)family;
        sonic__address_set_port(&any, r->from.port);
        a = &any;
    }
    return io->sys->bind(fd, (const struct sockaddr *)&a->storage, a->len,
                         io->sys->ud);
}

static int
dial_at(sonic_io *io, const struct sonic__opening *base, const sonic_address *a)
{
    const struct request *r = (const void *)base;
    int family = a->storage.ss_family;
    int fd = make(io, r, family, SONIC__BEFORE_CONNECT), err;

    if (fd < 0)
        return fd;
    err = bind_from(io, fd, r, family);
    if (err == 0)
        err = io->sys->connect(fd, (const struct sockaddr *)&a->storage, a->len,
                               io->sys->ud);
    if (err == 0)
        return fd;
    io->sys->close(fd, io->sys->ud);
    return err;
}

static int
init(struct request *r, const sonic_udp_options *opt)
{
    memset(r, 0, sizeof *r);
    r->opt = opt;
    return sonic__options_copy(&r->base.socket, sizeof r->base.socket,
                               opt->socket);
}

int
sonic__udp_bind(sonic_io *io, const char *address, const sonic_udp_options *opt,
                bool own_groups)
{
    struct sonic__address_parts to;
    sonic_address got;
    struct request r;
    int err = init(&r, opt);

    if (err == 0)
        err = sonic__address_split_udp(address != NULL ? address : ":0", &to);
    if (err < 0)
        return err;
    r.base.open = bind_at;
    r.own_groups = own_groups;
    return sonic__open(io, &r.base, &to, &got);
}

int
sonic__udp_dial(sonic_io *io, const char *address, const sonic_udp_options *opt)
{
    struct sonic__address_parts to;
    sonic_address got;
    struct request r;
    int err = init(&r, opt);

    if (err == 0)
        err = sonic__address_split_udp(address, &to);
    if (err == 0 && to.kind == SONIC__ADDRESS_ANY)
        err = SONIC_EADDRESS;
    if (err == 0 && r.base.socket.bind != NULL) {
        err = sonic__address_split_udp(r.base.socket.bind, &r.from);
        if (err < 0 || r.from.kind == SONIC__ADDRESS_NAME)
            return SONIC_EOPTION;
        if (to.family == AF_UNSPEC)
            to.family = r.from.family;
        if (r.from.family != AF_UNSPEC && r.from.family != to.family)
            return SONIC_EOPTION;
    }
    if (err < 0)
        return err;
    r.base.open = dial_at;
    return sonic__open(io, &r.base, &to, &got);
}
