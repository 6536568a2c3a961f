/* <sonicio/multicast.h> - groups, for sockets of <sonicio/udp.h>
 *
 * The same for IPv4 (IGMP) and IPv6 (MLD), by the protocol-independent options
 * of RFC 3678.  Every operation takes an optional interface, and a socket may
 * be in a group on several at once.
 *
 *   group, source  an address as text, "239.1.2.3" or "ff02::1"; an IPv6 one
 *                  may name its interface, "ff02::1%eth0"
 *   interface      a name, an index in decimal, or an address of it; NULL
 *                  leaves the choice to the system's routes
 *
 * What is received depends on where the socket is bound: to any address, all
 * of its groups (and what is sent to the machine itself); to a group, that
 * group alone; to an address of an interface, no group at all.  The port
 * always has to match.
 *
 * Every getter asks the kernel.
 */
#ifndef SONICIO_MULTICAST_H
#define SONICIO_MULTICAST_H

#include <sonicio/interface.h>
#include <sonicio/udp.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_multicast_options {
    size_t size;
    const sonic_udp_options *udp; /* reuse_addr and reuse_port default to on */
    const char *outbound;         /* see set_outbound; NULL */
    const char *inbound;          /* see set_inbound; NULL */
    enum sonic_switch loop;       /* default on, as the system has it */
    enum sonic_switch all;        /* default off */
    int ttl;                      /* 1 to 255; default 1 */
} sonic_multicast_options;

#define SONIC_MULTICAST_OPTIONS_INIT                                           \
    {                                                                          \
        .size = sizeof(sonic_multicast_options)                                \
    }

/* sonic_multicast_new - a socket for groups
 *
 * As sonic_udp_new, with what several readers of a feed on one machine need:
 * the port may be shared, a packet goes no further than the next router, and
 * the socket gets what it joined, not what others joined. */
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_new(sonic_io *io, const char *address,
                    const sonic_multicast_options *opt, sonic_udp **out);

/* ---- joining and leaving ---------------------------------------------- */

/* With the socket's filter (Linux; the same for IPv4 and IPv6):
 *
 *   state      join         block        unblock      join_source
 *   nothing    all but ...  EINVAL       EINVAL       only this
 *   all but    EADDRINUSE   blocked, or  unblocked,   only this; EINVAL once
 *   blocked                 EADDRNOT-    or EADDRNOT- a source was blocked
 *   sources                 AVAIL        AVAIL
 *   only some  EADDRINUSE   EINVAL       EINVAL       this too, or
 *   sources                                           EADDRNOTAVAIL
 *
 * leave ends both, or is EADDRNOTAVAIL; leave_source is EADDRNOTAVAIL for a
 * source that was not joined, EINVAL for a group that was not; the last source
 * left is the group left.
 *
 * Linux keeps sources for each interface that a socket joined an IPv4 group on.
 * Of an IPv6 group it looks, whichever interface a packet came in by, at those
 * of the one joined last: filter one group on two interfaces by two sockets.
 *
 * ERRORS of all: SONIC_EADDRESS (not an address), SONIC_EGROUP (not a
 * multicast address), -EAFNOSUPPORT (not the socket's family, or the source is
 * not the group's), -ENODEV (no such interface, or no route to choose one by),
 * -ENOBUFS (net.ipv4.igmp_max_memberships, igmp_max_msf), SONIC_ECLOSED. */
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_join(sonic_udp *udp, const char *group, const char *interface);
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_join_source(sonic_udp *udp, const char *group,
                            const char *source, const char *interface);
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_leave(sonic_udp *udp, const char *group, const char *interface);
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_leave_source(sonic_udp *udp, const char *group,
                             const char *source, const char *interface);
/* Of a group that was joined with all its sources: not this one, and again. */
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_block_source(sonic_udp *udp, const char *group,
                             const char *source, const char *interface);
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_unblock_source(sonic_udp *udp, const char *group,
                               const char *source, const char *interface);

/* ---- settings --------------------------------------------------------- */

/* The interface that datagrams to groups leave by; NULL: the system's choice,
 * which is index 0. */
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_set_outbound(sonic_udp *udp, const char *interface);
SONIC_API SONIC_MUST_CHECK int sonic_multicast_outbound(const sonic_udp *udp,
                                                        unsigned *index);

/* The one interface that anything is received from and sent by
 * (SO_BINDTODEVICE); NULL: all. */
SONIC_API SONIC_MUST_CHECK int
sonic_multicast_set_inbound(sonic_udp *udp, const char *interface);
SONIC_API SONIC_MUST_CHECK int sonic_multicast_inbound(const sonic_udp *udp,
                                                       unsigned *index);

/* Do sockets of this machine, the sender's own included, get what is sent? */
SONIC_API SONIC_MUST_CHECK int sonic_multicast_set_loop(sonic_udp *udp,
                                                        bool on);
SONIC_API SONIC_MUST_CHECK int sonic_multicast_loop(const sonic_udp *udp,
                                                    bool *on);

/* How many routers a datagram may cross, and one: 0 to 255. */
SONIC_API SONIC_MUST_CHECK int sonic_multicast_set_ttl(sonic_udp *udp, int ttl);
SONIC_API SONIC_MUST_CHECK int sonic_multicast_ttl(const sonic_udp *udp,
                                                   int *ttl);

/* Receive from all groups that anybody on this machine joined?
 * (IP_MULTICAST_ALL, IPV6_MULTICAST_ALL) */
SONIC_API SONIC_MUST_CHECK int sonic_multicast_set_all(sonic_udp *udp, bool on);
SONIC_API SONIC_MUST_CHECK int sonic_multicast_all(const sonic_udp *udp,
                                                   bool *on);

/* Is this the address of a group? */
SONIC_API bool sonic_multicast_is_group(const sonic_address *a);

#ifdef __cplusplus
}
#endif
#endif
