/* udp.h - the inside of sonic_udp
 *
 * Received datagrams lie in a ring: slots for one batch, with room for what
 * the kernel tells about each.  Rings belong to the io, one for each shape
 * (batch, slot) that its sockets ask for, and are lent from the receive to the
 * end of the callback; a socket keeps one only when GRO brought more datagrams
 * than one callback is shown.
 *
 * What waits to be sent lies in the socket's queue, see udp_queue.h.
 */
#ifndef SONICIO_SRC_UDP_H
#define SONICIO_SRC_UDP_H

#include <netinet/in.h>

#include <sonicio/udp.h>

#include "net/udp_queue.h"
#include "reactor/reactor.h"

#ifndef IP_MULTICAST_ALL
#define IP_MULTICAST_ALL 49
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

enum {
    SONIC__UDP_CONTROL = 256,  /* bytes of control messages of a datagram */
    SONIC__UDP_VIEWS = 256,    /* datagrams of one callback, with GRO */
    SONIC__UDP_LARGEST = 65535 /* bytes of a datagram */
};

/* object.bits: the read side */
enum {
    SONIC__UDP_READ = 1,
    SONIC__UDP_LEND = 2,
    SONIC__UDP_READ_KIND = 3,   /* mask of the two */
    SONIC__UDP_READ_BUSY = 4,   /* its loop is on the stack */
    SONIC__UDP_READ_CANCEL = 8, /* complete with -ECANCELED */
    SONIC__UDP_READ_LATE = 16,  /* the deadline has passed */
    SONIC__UDP_READ_WAITED = 32 /* readiness did not stand when it began */
};

/* object.bits2: the write side, and the whole */
enum {
    SONIC__UDP_WRITE_BUSY = 1,   /* its completions are on the stack */
    SONIC__UDP_WRITE_LISTED = 2, /* in io->dirty_udp */
    SONIC__UDP_WRITE_LATE = 4,   /* the deadline has passed */
    SONIC__UDP_CONNECTED = 8,
    SONIC__UDP_GRO = 16,
    SONIC__UDP_NAMELESS = 64, /* nobody asks who sent it */
    SONIC__UDP_FULL = 32      /* the system had no room, and is to tell of it */
};

/* What the kernel tells about a datagram besides its bytes. */
struct sonic__udp_told {
    int64_t timestamp, hardware_time;
    unsigned interface;
    unsigned segment; /* bytes of each of the datagrams joined; 0: one */
    uint64_t drops;
};

/* A batch goes through all of its slots three times, and what is touched of
 * each fits a few lines of the cache: they begin where lines do. */
enum { SONIC__UDP_LINE = 64 };

struct sonic__udp_slot {
    _Alignas(SONIC__UDP_LINE) uint8_t control[SONIC__UDP_CONTROL];
    _Alignas(SONIC__UDP_LINE) sonic_address from;
    _Alignas(SONIC__UDP_LINE) sonic_address to;
};

struct sonic__udp_ring {
    struct sonic__udp_ring *next; /* of the io's */
    size_t bytes;                 /* of all of it */
    size_t datagram_max;
    unsigned batch, views;
    bool nameless;
    unsigned used;                /* slots that hold something */
    unsigned at;                  /* slot to be shown next ... */
    size_t offset;                /* ... from this byte on */
    struct mmsghdr *heads;        /* [batch] */
    struct iovec *iov;            /* [batch] */
    sonic_datagram *view;         /* [views] */
    struct sonic__udp_slot *slot; /* [batch] */
};

struct sonic_udp {
    struct sonic__object object; /* error: of the network, for the next read */
    union {
        sonic_udp_read_fn *read;
        sonic_udp_lend_fn *lend;
    } cb;
    void *ud;
    void *buf;
    size_t len;
    struct sonic__udp_ring *ring; /* holds datagrams not shown yet */

    int family;
    uint16_t port; /* of its own, in network order */
    unsigned batch;
    size_t datagram_max;
    uint32_t dropped;  /* what the kernel's counter said last */
    unsigned outbound; /* interface that was set, for sonic_multicast */

    struct sonic__udp_queue queue;
    size_t gso_most; /* bytes of a segment that the system would take */
    int64_t backoff; /* ns that ENOBUFS is waited out for; 0: it is not */
    int write_err;   /* of a copy, for sonic_udp_flush */
    sonic_udp *next_dirty;
    sonic_udp_write_fn *drain;
    void *drain_ud;
    int drain_err;

    struct sonic__timer read_timer, write_timer, backoff_timer;
    sonic_address from, to; /* of the last async_read */
    sonic_udp_stats stats;
};

static inline bool
sonic__udp_closed(const sonic_udp *u)
{
    return (u->object.flags & SONIC__CLOSED) != 0;
}

/* udp_open.c: a socket as the options want it, not watched yet; and what it
 * is.  A descriptor or an error. */
int sonic__udp_bind(sonic_io *io, const char *address,
                    const sonic_udp_options *opt, bool own_groups);
int sonic__udp_dial(sonic_io *io, const char *address,
                    const sonic_udp_options *opt);
int sonic__udp_setup(sonic_io *io, int fd, int family,
                     const sonic_udp_options *opt);

/* udp.c.  own_groups: it is not to receive, from the first datagram on, what
 * others joined. */
int sonic__udp_new(sonic_io *io, const char *address,
                   const sonic_udp_options *opt, bool own_groups,
                   sonic_udp **out);

/* udp_ring.c */
struct sonic__udp_ring *sonic__udp_ring_take(sonic_udp *u);
void sonic__udp_ring_give(sonic_udp *u, struct sonic__udp_ring *r);
void sonic__udp_rings_free(sonic_io *io);
int sonic__udp_ring_receive(sonic_udp *u, struct sonic__udp_ring *r);
unsigned sonic__udp_ring_show(sonic_udp *u, struct sonic__udp_ring *r);
extern const sonic_address sonic__udp_nowhere; /* of length 0 */
const sonic_address *sonic__udp_hear(sonic_udp *u, struct msghdr *m,
                                     struct sonic__udp_told *told,
                                     sonic_address *to);

/* udp_read.c */
void sonic__udp_read_run(sonic_udp *u);
void sonic__udp_read_abandon(sonic_udp *u, const void *ud);
int sonic__udp_receive_judge(sonic_udp *u, ssize_t n);

/* udp_write.c, udp_flush.c */
void sonic__udp_write_run(sonic_udp *u);
void sonic__udp_flush(sonic_udp *u);
bool sonic__udp_network_error(sonic_udp *u, int err, bool kept);
void sonic__udp_rest(sonic_udp *u);
void sonic__udp_await_room(sonic_udp *u);
void sonic__udp_write_end(sonic_udp *u, int err);
void sonic__udp_write_give_up(sonic_udp *u, int err);
void sonic__udp_write_abandon(sonic_udp *u, const void *ud);
void sonic__udp_list(sonic_udp *u);
void sonic__udp_unlist(sonic_udp *u);
void sonic__udp_flush_dirty(sonic_io *io);

#endif
