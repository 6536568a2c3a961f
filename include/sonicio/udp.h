/* <sonicio/udp.h> - datagrams over IPv4 and IPv6
 *
 * One object for sockets that are bound, connected, or both; <sonicio/
 * multicast.h> adds groups to it.
 *
 * Reading has two doors.  async_read fills the caller's memory with one
 * datagram.  lend shows the caller as many as one system call brought, where
 * they were received, in memory of the reactor: nothing is copied, and a
 * socket that waits holds no memory for it.
 * Writing has three.  send goes to the system at once, and into the queue when
 * that has no room.  queue copies, and what one dispatch queued goes out in
 * one system call when it ends.  async_write refers to the caller's memory,
 * goes out with the queue and calls back.  All of them keep their order.
 *
 * One read-side operation may be under way at a time: a second completes with
 * -EBUSY.  A datagram of no bytes is a datagram like any other.
 *
 * Errors that the network reports (ICMP, such as -ECONNREFUSED when nobody is
 * at the port) come to connected sockets only.  They end the read that is
 * under way; without one they are kept for the next, or returned by the next
 * send, which has not sent then.  On an unconnected socket a datagram to a
 * port that nobody is at is lost without a word, as udp(7) has it.
 */
#ifndef SONICIO_UDP_H
#define SONICIO_UDP_H

#include <sonicio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_udp sonic_udp;

/* A datagram received.  It, and all it points to, is valid until the callback
 * that got it returns. */
typedef struct sonic_datagram {
    uint8_t *data; /* may be written to */
    size_t len;    /* bytes there */
    size_t sent;   /* bytes that were sent: more than len when it was cut */
    bool truncated;
    unsigned interface;        /* index of the one it came in on; 0: unknown */
    const sonic_address *from; /* IPv4 on an IPv6 socket is ::ffff:a.b.c.d;
                                  len 0: not asked for */
    const sonic_address *to;   /* with the socket's port; len 0: unknown */
    int64_t timestamp;         /* when the kernel had it: ns of CLOCK_REALTIME;
                                  0: absent */
    int64_t hardware_time;     /* when the NIC had it, by its own clock, in ns;
                                  0: absent */
    uint64_t drops; /* datagrams that the kernel had dropped for want of room
                       in this socket's buffer when this one came */
} sonic_datagram;

/* d is NULL with an error. */
typedef void sonic_udp_read_fn(sonic_udp *udp, int err, const sonic_datagram *d,
                               void *ud);
/* d[0..n) in the order of arrival; n is 0 with an error. */
typedef void sonic_udp_lend_fn(sonic_udp *udp, int err, const sonic_datagram *d,
                               size_t n, void *ud);
/* n: bytes sent, all of the datagram or none. */
typedef void sonic_udp_write_fn(sonic_udp *udp, int err, size_t n, void *ud);

/* Everything asked for is applied, or the call fails with the system's error,
 * or with SONIC_EOPTION. */
typedef struct sonic_udp_options {
    size_t size;
    const sonic_socket_options *socket; /* reuse, buffers, ttl, tos, device,
                                           v6_only, busy poll ...; NULL */
    enum sonic_switch from;             /* who sent it, for lend; default on */
    enum sonic_switch packet_info;      /* interface and to; default on */
    enum sonic_switch timestamps;       /* SO_TIMESTAMPING: by the kernel, and
                                           by the NIC where that was told to;
                                           default off */
    enum sonic_switch drop_counter;     /* SO_RXQ_OVFL; default on */
    enum sonic_switch broadcast;        /* SO_BROADCAST */
    enum sonic_switch gro; /* UDP_GRO: the kernel joins datagrams of a flow,
                              lend takes them apart again; such a socket has
                              no async_read; default off */
    enum sonic_switch gso; /* UDP_SEGMENT: queued datagrams in a row that have
                              one destination and one size go through the
                              system as one; default off */
    size_t datagram_max;   /* bytes of a datagram that lend has room for: more
                              is cut; default 65,535 */
    unsigned batch;        /* datagrams of one system call; default 32, at most
                              1024 */
    size_t queue_limit;    /* bytes, heads included, that wait for the system;
                              default 1 MiB; made when first needed */
} sonic_udp_options;

#define SONIC_UDP_OPTIONS_INIT                                                 \
    {                                                                          \
        .size = sizeof(sonic_udp_options)                                      \
    }

/* ---- making one ------------------------------------------------------- */

/* sonic_udp_new - a socket bound to an address given as text
 *
 *   address  HOST:PORT, [V6]:PORT or :PORT as in <sonicio/address.h>, also
 *            with udp:, udp4: or udp6: in front.  ":PORT" is any address of
 *            both families, or of IPv4 where there is no IPv6.  Port 0 takes
 *            a free one.  NULL is ":0".  A name is looked up, blocking.
 *   opt      may be NULL
 * ERRORS  SONIC_EADDRESS, SONIC_ERESOLVE, _AGAIN, SONIC_EOPTION, -EADDRINUSE,
 * -EADDRNOTAVAIL, -ENOMEM ... */
SONIC_API SONIC_MUST_CHECK int sonic_udp_new(sonic_io *io, const char *address,
                                             const sonic_udp_options *opt,
                                             sonic_udp **out);

/* sonic_udp_dial - a socket connected to an address given as text
 *
 * It receives from there only, and learns of errors.  Of a name's addresses
 * the first that has a route is taken.  opt->socket->bind says where from. */
SONIC_API SONIC_MUST_CHECK int sonic_udp_dial(sonic_io *io, const char *address,
                                              const sonic_udp_options *opt,
                                              sonic_udp **out);

/* sonic_udp_adopt - a socket that is open already
 * It is made non-blocking, and is the object's when 0 is returned.
 * ERRORS  -ENOTSOCK; SONIC_EADDRESS: not a datagram socket of IPv4 or IPv6. */
SONIC_API SONIC_MUST_CHECK int sonic_udp_adopt(sonic_io *io, int fd,
                                               const sonic_udp_options *opt,
                                               sonic_udp **out);

/* sonic_udp_connect - from now on, to and from this address only; NULL takes
 * that back.  What is queued without a destination goes to the new one. */
SONIC_API SONIC_MUST_CHECK int sonic_udp_connect(sonic_udp *udp,
                                                 const sonic_address *to);

/* ---- reading ---------------------------------------------------------- */

/* sonic_udp_async_read - one datagram into buf, which is borrowed until cb
 * runs.  What does not fit is lost, and the datagram marked so.
 * ERRORS, given to cb: -ECANCELED, -ETIMEDOUT, -EBUSY, SONIC_ECLOSED;
 * SONIC_ESTATE with GRO; of a connected socket, -ECONNREFUSED,
 * -EHOSTUNREACH ... */
SONIC_API void sonic_udp_async_read(sonic_udp *udp, void *buf, size_t len,
                                    sonic_udp_read_fn *cb, void *ud);

/* sonic_udp_set_async_read_buffer - have the read that is under way use
 * another buffer: the one before is the caller's again at once.
 * ERRORS  SONIC_ESTATE: no async_read is under way. */
SONIC_API SONIC_MUST_CHECK int
sonic_udp_set_async_read_buffer(sonic_udp *udp, void *buf, size_t len);

/* The blocking twin.  *d may be NULL; what it points to is valid until the
 * next operation of this socket. */
SONIC_API SONIC_MUST_CHECK int sonic_udp_read(sonic_udp *udp, void *buf,
                                              size_t len, sonic_datagram *d);

/* sonic_udp_lend - be shown what has been received, once, in batches
 *
 * One system call, one callback.  Calling sonic_udp_lend in cb goes on; not
 * calling it is back-pressure: the kernel keeps what fits its buffer and drops
 * the rest, which it counts.
 * ERRORS  as async_read, and -ENOMEM for the first batch of an io. */
SONIC_API void sonic_udp_lend(sonic_udp *udp, sonic_udp_lend_fn *cb, void *ud);

/* ---- writing ---------------------------------------------------------- */

/* `to` is NULL on a connected socket.  An empty datagram has len 0. */

/* sonic_udp_send - to the system now, unless others wait already
 *
 * Returns 0: the system has it; 1: it is queued (a copy), because others are
 * or the system has no room: the caller should pause until
 * sonic_udp_async_drain.  Want of memory in the device (-ENOBUFS) is waited
 * out by a timer.
 * ERRORS  nothing is sent: SONIC_EQUEUE over the limit; -EMSGSIZE;
 * -EDESTADDRREQ; -ENETUNREACH, -EACCES, -EPERM ...; SONIC_ECLOSED; -ENOMEM. */
SONIC_API SONIC_MUST_CHECK int sonic_udp_send(sonic_udp *udp,
                                              const sonic_address *to,
                                              const void *data, size_t len);

/* sonic_udp_queue - queue a copy; it goes out when the dispatch ends, with
 * all that was queued in it.  What the system says of it then is counted, and
 * returned by sonic_udp_flush.
 * ERRORS  SONIC_EQUEUE, -EMSGSIZE, SONIC_ECLOSED, -ENOMEM. */
SONIC_API SONIC_MUST_CHECK int sonic_udp_queue(sonic_udp *udp,
                                               const sonic_address *to,
                                               const void *data, size_t len);

/* sonic_udp_async_write - the same, of memory that is borrowed until cb runs
 * ERRORS, given to cb: as send and queue; -ECANCELED, -ETIMEDOUT. */
SONIC_API void sonic_udp_async_write(sonic_udp *udp, const sonic_address *to,
                                     const void *data, size_t len,
                                     sonic_udp_write_fn *cb, void *ud);

/* The blocking twin. */
SONIC_API SONIC_MUST_CHECK int sonic_udp_write(sonic_udp *udp,
                                               const sonic_address *to,
                                               const void *data, size_t len);

/* sonic_udp_flush - offer the queue to the system now.  0, or the first error
 * that a queued datagram without a callback met since the last call. */
SONIC_API int sonic_udp_flush(sonic_udp *udp);

/* Datagrams, and their bytes, that the system has not taken yet. */
SONIC_API size_t sonic_udp_queued(const sonic_udp *udp);
SONIC_API size_t sonic_udp_queued_bytes(const sonic_udp *udp);

/* sonic_udp_async_drain - call back once when the queue is empty, at once when
 * it is already; n is 0.  One at a time. */
SONIC_API void sonic_udp_async_drain(sonic_udp *udp, sonic_udp_write_fn *cb,
                                     void *ud);

/* ---- ending ----------------------------------------------------------- */

/* sonic_udp_cancel - complete the pending operations of these directions with
 * -ECANCELED.  Copies that are queued stay queued. */
SONIC_API void sonic_udp_cancel(sonic_udp *udp, int directions);

/* sonic_udp_set_deadline - complete operations of these directions with
 * -ETIMEDOUT when the time comes, those that begin later included.  when is
 * absolute; INT64_MAX takes the deadline away.  ERRORS SONIC_ECLOSED. */
SONIC_API SONIC_MUST_CHECK int
sonic_udp_set_deadline(sonic_udp *udp, int directions, int64_t when);

/* sonic_udp_close - close, at once
 *
 * What is queued is offered to the system one last time; pending operations
 * complete with -ECANCELED from the loop.  Operations begun later complete
 * with SONIC_ECLOSED.  Idempotent. */
SONIC_API void sonic_udp_close(sonic_udp *udp);
/* sonic_udp_free - close and release.  NULL is allowed. */
SONIC_API void sonic_udp_free(sonic_udp *udp);

/* ---- looking at one --------------------------------------------------- */

SONIC_API sonic_io *sonic_udp_io(const sonic_udp *udp);
SONIC_API bool sonic_udp_is_open(const sonic_udp *udp);
/* The descriptor; it stays the object's.  -1 when closed. */
SONIC_API int sonic_udp_fd(const sonic_udp *udp);
/* AF_INET or AF_INET6. */
SONIC_API int sonic_udp_family(const sonic_udp *udp);
/* What the system says: with the real port.  ERRORS SONIC_ECLOSED, and
 * -ENOTCONN for remote_address. */
SONIC_API SONIC_MUST_CHECK int sonic_udp_local_address(const sonic_udp *udp,
                                                       sonic_address *out);
SONIC_API SONIC_MUST_CHECK int sonic_udp_remote_address(const sonic_udp *udp,
                                                        sonic_address *out);
/* Apply socket options to an open socket. */
SONIC_API SONIC_MUST_CHECK int
sonic_udp_set_options(sonic_udp *udp, const sonic_socket_options *opt);

typedef struct sonic_udp_stats {
    uint64_t datagrams_in, bytes_in;
    uint64_t immediate_reads; /* reads and lends that did not have to wait */
    uint64_t scheduled_reads; /* that had to */
    uint64_t receives;        /* system calls that brought datagrams ... */
    uint64_t empty_receives;  /* ... and that brought none */
    uint64_t batch_most;      /* datagrams of the largest batch */
    uint64_t truncated;
    uint64_t joined;       /* datagrams that came joined by GRO */
    uint64_t kernel_drops; /* for want of room in the socket's buffer, or with
                              a wrong checksum */
    uint64_t read_errors;  /* told to reads */
    uint64_t datagrams_out, bytes_out;
    uint64_t sends;         /* system calls that took datagrams ... */
    uint64_t full_sends;    /* ... and that found no room */
    uint64_t backoffs;      /* times that ENOBUFS was waited out */
    uint64_t segmented;     /* datagrams that went out joined by GSO */
    uint64_t write_errors;  /* datagrams that the system refused */
    uint64_t queue_refused; /* that met SONIC_EQUEUE */
} sonic_udp_stats;

/* sonic_udp_get_stats - since the socket was made; kernel_drops is asked of
 * the system, where it can say */
SONIC_API void sonic_udp_get_stats(const sonic_udp *udp, sonic_udp_stats *out);

#ifdef __cplusplus
}
#endif
#endif
