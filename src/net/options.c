/* Socket options: socket(7), tcp(7), ip(7), ipv6(7). */
#include "net/options.h"

#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include <sonicio/stream.h>

/* Kinds of socket. */
enum {
    TCP4 = 1,
    TCP6 = 2,
    UDP4 = 4,
    UDP6 = 8,
    UNIX = 16,
    TCP = TCP4 | TCP6,
    IP = TCP | UDP4 | UDP6,
    ALL = IP | UNIX
};

enum { SWITCH = 0 }; /* instead of a maximum */

struct row {
    size_t field;   /* offset of an int or a switch */
    int max;        /* 1 to max, or SWITCH */
    unsigned kinds; /* that have it */
    int level, name;
    int name6; /* of IPPROTO_IPV6, set as well on such a socket; 0: none */
};

#define FIELD(name) offsetof(sonic_socket_options, name)

/* tos comes before priority, which it sets as well (ip(7)). */
static const struct row rows[] = {
    {FIELD(reuse_addr), SWITCH, IP, SOL_SOCKET, SO_REUSEADDR, 0},
    {FIELD(reuse_port), SWITCH, IP, SOL_SOCKET, SO_REUSEPORT, 0},
    {FIELD(no_delay), SWITCH, TCP, IPPROTO_TCP, TCP_NODELAY, 0},
    {FIELD(quick_ack), SWITCH, TCP, IPPROTO_TCP, TCP_QUICKACK, 0},
    {FIELD(v6_only), SWITCH, TCP6 | UDP6, IPPROTO_IPV6, IPV6_V6ONLY, 0},
    {FIELD(keep_alive), SWITCH, TCP, SOL_SOCKET, SO_KEEPALIVE, 0},
    {FIELD(keep_alive_idle), 32767, TCP, IPPROTO_TCP, TCP_KEEPIDLE, 0},
    {FIELD(keep_alive_interval), 32767, TCP, IPPROTO_TCP, TCP_KEEPINTVL, 0},
    {FIELD(keep_alive_count), 127, TCP, IPPROTO_TCP, TCP_KEEPCNT, 0},
    {FIELD(user_timeout), INT_MAX, TCP, IPPROTO_TCP, TCP_USER_TIMEOUT, 0},
    {FIELD(receive_buffer), INT_MAX, ALL, SOL_SOCKET, SO_RCVBUF, 0},
    {FIELD(send_buffer), INT_MAX, ALL, SOL_SOCKET, SO_SNDBUF, 0},
    {FIELD(busy_poll), INT_MAX, IP, SOL_SOCKET, SO_BUSY_POLL, 0},
    {FIELD(timestamps), SWITCH, ALL, SOL_SOCKET, SO_TIMESTAMPNS, 0},
    {FIELD(ttl), 255, IP, IPPROTO_IP, IP_TTL, IPV6_UNICAST_HOPS},
    {FIELD(tos), 255, IP, IPPROTO_IP, IP_TOS, IPV6_TCLASS},
    {FIELD(priority), 6, IP, SOL_SOCKET, SO_PRIORITY, 0},
};

enum { ROWS = sizeof rows / sizeof *rows };

static int
value_of(const sonic_socket_options *opt, const struct row *r)
{
    int v;

    memcpy(&v, (const char *)opt + r->field, sizeof v);
    return v;
}

static unsigned
kind_of(int family, int type)
{
    if (family == AF_UNIX)
        return UNIX;
    if (family == AF_INET)
        return type == SOCK_STREAM ? TCP4 : UDP4;
    if (family == AF_INET6)
        return type == SOCK_STREAM ? TCP6 : UDP6;
    return 0; /* nothing that we know of */
}

/* A listener has no connection to be quick about, and only what connects can
 * choose where from. */
static bool
is_out_of_place(const sonic_socket_options *opt, enum sonic__stage stage)
{
    if (stage == SONIC__BEFORE_CONNECT || stage == SONIC__AFTER_CONNECT)
        return false;
    return opt->bind != NULL ||
           (stage == SONIC__BEFORE_BIND && opt->quick_ack != SONIC_DEFAULT);
}

int
sonic__options_check(const sonic_socket_options *opt, int family, int type,
                     enum sonic__stage stage)
{
    unsigned kind = family == 0 ? ALL : kind_of(family, type);

    for (size_t i = 0; i < ROWS; i++) {
        int v = value_of(opt, &rows[i]);
        int min = rows[i].max == SWITCH ? SONIC_OFF : 0;
        int max = rows[i].max == SWITCH ? SONIC_ON : rows[i].max;

        if (v < min || v > max || (v != 0 && !(rows[i].kinds & kind)))
            return SONIC_EOPTION;
    }
    if (opt->device != NULL &&
        (strlen(opt->device) >= IFNAMSIZ || !(kind & IP)))
        return SONIC_EOPTION;
    return is_out_of_place(opt, stage) ? SONIC_EOPTION : 0;
}

static void
set_defaults(const sonic_io *io, sonic_socket_options *opt, unsigned kind,
             enum sonic__stage stage)
{
    if (stage == SONIC__IN_USE || stage == SONIC__AFTER_CONNECT)
        return;
    if ((kind & TCP) && opt->reuse_addr == SONIC_DEFAULT &&
        stage == SONIC__BEFORE_BIND)
        opt->reuse_addr = SONIC_ON;
    if ((kind & TCP) && opt->no_delay == SONIC_DEFAULT &&
        stage != SONIC__BEFORE_BIND)
        opt->no_delay = SONIC_ON;
    if ((kind & IP) && opt->busy_poll == 0)
        opt->busy_poll =
            io->busy_poll_us > INT_MAX ? INT_MAX : (int)io->busy_poll_us;
}

static int
set(const sonic_sys *sys, int fd, int level, int name, int v)
{
    return sys->setsockopt(fd, level, name, &v, sizeof v, sys->ud);
}

/* An IPv6 socket may carry IPv4 as well (mapped addresses): what belongs to
 * the network layer is set for both. */
static int
apply_row(const sonic_sys *sys, int fd, unsigned kind, const struct row *r,
          int v)
{
    int err;

    if (r->max == SWITCH)
        v = v == SONIC_ON;
    if (r->name6 == 0 || !(kind & (TCP6 | UDP6)))
        return set(sys, fd, r->level, r->name, v);
    err = set(sys, fd, IPPROTO_IPV6, r->name6, v);
    if (err < 0)
        return err;
    err = set(sys, fd, r->level, r->name, v);
    return err == -ENOPROTOOPT ? 0 : err;
}

/* Is it this stage's business? */
static bool
is_due(const struct row *r, enum sonic__stage stage)
{
    bool quick = r->field == FIELD(quick_ack);

    if (stage == SONIC__AFTER_CONNECT)
        return quick;
    return stage != SONIC__BEFORE_CONNECT || !quick;
}

int
sonic__options_apply(sonic_io *io, int fd, int family, int type,
                     const sonic_socket_options *opt, enum sonic__stage stage)
{
    unsigned kind = kind_of(family, type);
    sonic_socket_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err == 0)
        err = sonic__options_check(&o, family, type, stage);
    if (err < 0)
        return err;
    set_defaults(io, &o, kind, stage);
    for (size_t i = 0; i < ROWS; i++) {
        int v = value_of(&o, &rows[i]);

        if (v == 0 || !is_due(&rows[i], stage))
            continue;
        err = apply_row(io->sys, fd, kind, &rows[i], v);
        if (err < 0)
            return err;
    }
    if (o.device != NULL && stage != SONIC__AFTER_CONNECT)
        err = io->sys->setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o.device,
                                  (socklen_t)strlen(o.device) + 1, io->sys->ud);
    return err;
}

int
sonic_stream_set_options(sonic_stream *stream, const sonic_socket_options *opt)
{
    sonic_io *io = sonic_stream_io(stream);
    const sonic_sys *sys = io->sys;
    int fd = sonic_stream_fd(stream), family, type, err;
    socklen_t len = sizeof family;

    if (fd < 0)
        return -ENOTCONN;
    err = sys->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len, sys->ud);
    if (err < 0)
        return err;
    len = sizeof type;
    err = sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len, sys->ud);
    if (err < 0)
        return err;
    return sonic__options_apply(io, fd, family, type, opt, SONIC__IN_USE);
}
