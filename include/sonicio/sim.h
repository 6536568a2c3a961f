/* <sonicio/sim.h> - a simulated world to test network programs in
 *
 * A sonic_sim is a small kernel in user space: descriptors, stream sockets,
 * pipes, epoll, names, a clock, and a network that delays, cuts and loses
 * connections.  It stands behind struct sonic_sys, so the reactor, the streams
 * and every protocol run over it unchanged:
 *
 *     sonic_sim_options world = SONIC_SIM_OPTIONS_INIT;
 *     sonic_sim *sim;
 *
 *     sonic_sim_swarm(&world, seed);           // some mix of faults
 *     if (sonic_sim_new(&sim, &world) < 0) ...
 *     options.sys = sonic_sim_sys(sim);        // of the sonic_io
 *     options.mem = sonic_sim_mem(sim);
 *     ... run clients and servers on that sonic_io ...
 *     if (sonic_sim_free(sim, &leaks) < 0)     // descriptors, memory
 *         sonic_sim_print_trace(...)           // (before the free)
 *
 * Everything that happens follows from the seed: the same seed and the same
 * program give the same calls, results and times, and so the same
 * sonic_sim_hash.  A failing seed can be run again under a debugger.
 *
 * TIME is virtual.  A call costs `call_cost`; beyond that the clock moves only
 * while the program waits: poll, epoll_wait or a blocking call with nothing
 * ready jumps to whatever happens next, or to its timeout.  Hours of time-outs
 * take no time.  A wait without a time-out in a world where nothing will ever
 * happen returns -EDEADLK: a program that hangs fails at once.  So does a
 * program that makes more than `call_limit` calls.
 *
 * FAULTS are ones that a real kernel may show, so a correct program survives
 * them.  In particular a short read or write, or EAGAIN after readiness, comes
 * with a fresh edge later, as epoll(7) promises to edge-triggered programs.
 *
 * KINDS  TCP and UDP over IPv4 and IPv6, multicast and its source filters,
 * UNIX stream sockets (path, abstract, pair), pipes, eventfd, signalfd, epoll
 * (edge and level triggered, one-shot, nested epoll not), /dev/null, regular
 * files.  Every
 * address is local to the world: any may be bound, and a connection to one that
 * nobody listens on is refused, unless sonic_sim_route says otherwise.  A
 * descriptor cannot be duplicated.  Memory for mirrored buffers (memfd, mmap)
 * is the real kernel's.
 *
 * DATAGRAMS to one address stay in their order, unless a fault (reorder) lets
 * one be overtaken; those to another go another way.  What does not fit the
 * receiver's buffer is lost, as it is by the kernel: each takes its length and
 * 768 bytes of it.  The time of day, which timestamps are in, is the virtual
 * clock's: that is 0 at the beginning of 2021.
 *
 * FILES live in memory, until the world ends.  A path is a name as a whole:
 * any may be opened with O_CREAT, and of directories there are only "/", "."
 * and "/tmp".
 *
 * Not safe to use from two threads: post to an io from its own thread only.
 *
 * TWO IOS may live in one world.  Waiting in one knows nothing of work that is
 * ready in the other, so step them with polls that do not wait, and when both
 * are idle move the clock to whatever is first:
 *     while (sonic_io_poll(a) + sonic_io_poll(b) > 0) {}
 *     t = least of sonic_sim_next(sim) and each io's next deadline;
 *     sonic_sim_advance(sim, t);
 */
#ifndef SONICIO_SIM_H
#define SONICIO_SIM_H

#include <stdio.h>

#include <sonicio/api.h>
#include <sonicio/mem.h>
#include <sonicio/sys.h>

/* X(NAME, text, error): the kinds of call, and the error that
 * sonic_sim_fail_call gives when it is asked for none in particular.  0: such
 * a call cannot be made to fail, as it would not with a correct program.
 * NET_ are no calls: what becomes of datagrams, for the trace.  There the
 * descriptor is the receiver's, or -1, and the argument the length. */
#define SONIC_SIM_CALL_LIST(X)                                                 \
    X(CLOCK, "clock", 0)                                                       \
    X(RANDOM, "random", EIO)                                                   \
    X(SOCKET, "socket", EMFILE)                                                \
    X(SOCKETPAIR, "socketpair", EMFILE)                                        \
    X(BIND, "bind", EADDRINUSE)                                                \
    X(LISTEN, "listen", EADDRINUSE)                                            \
    X(ACCEPT, "accept4", ECONNABORTED)                                         \
    X(CONNECT, "connect", ENETUNREACH)                                         \
    X(SHUTDOWN, "shutdown", 0)                                                 \
    X(GETSOCKOPT, "getsockopt", ENOBUFS)                                       \
    X(SETSOCKOPT, "setsockopt", ENOBUFS)                                       \
    X(GETSOCKNAME, "getsockname", ENOBUFS)                                     \
    X(GETPEERNAME, "getpeername", ENOTCONN)                                    \
    X(RECV, "recv", ECONNRESET)                                                \
    X(RECVMSG, "recvmsg", ECONNRESET)                                          \
    X(SEND, "send", ENOBUFS)                                                   \
    X(SENDMSG, "sendmsg", ENOBUFS)                                             \
    X(READV, "readv", EIO)                                                     \
    X(WRITEV, "writev", ENOBUFS)                                               \
    X(OPEN, "open", EMFILE)                                                    \
    X(CLOSE, "close", EIO)                                                     \
    X(UNLINK, "unlink", EACCES)                                                \
    X(PIPE2, "pipe2", EMFILE)                                                  \
    X(FCNTL, "fcntl", EINVAL)                                                  \
    X(POLL, "poll", ENOMEM)                                                    \
    X(EPOLL_CREATE1, "epoll_create1", EMFILE)                                  \
    X(EPOLL_CTL, "epoll_ctl", ENOMEM)                                          \
    X(EPOLL_WAIT, "epoll_wait", EINTR)                                         \
    X(EVENTFD, "eventfd", EMFILE)                                              \
    X(SIGNALFD, "signalfd", EMFILE)                                            \
    X(MEMFD_CREATE, "memfd_create", EMFILE)                                    \
    X(FTRUNCATE, "ftruncate", ENOSPC)                                          \
    X(MMAP, "mmap", ENOMEM)                                                    \
    X(MUNMAP, "munmap", 0)                                                     \
    X(MADVISE, "madvise", ENOMEM)                                              \
    X(GETADDRINFO, "getaddrinfo", ENOMEM)                                      \
    X(FREEADDRINFO, "freeaddrinfo", 0)                                         \
    X(RECVMMSG, "recvmmsg", ENOMEM)                                            \
    X(SENDMMSG, "sendmmsg", ENOBUFS)                                           \
    X(IF_NAMETOINDEX, "if_nametoindex", EMFILE)                                \
    X(IF_INDEXTONAME, "if_indextoname", EMFILE)                                \
    X(GETIFADDRS, "getifaddrs", ENOMEM)                                        \
    X(FREEIFADDRS, "freeifaddrs", 0)                                           \
    X(PREAD, "pread", EIO)                                                     \
    X(PWRITE, "pwrite", ENOSPC)                                                \
    X(LSEEK, "lseek", ESPIPE)                                                  \
    X(FSTAT, "fstat", EIO)                                                     \
    X(FSYNC, "fsync", EIO)                                                     \
    X(ALLOC, "alloc", ENOMEM)                                                  \
    X(FREE, "free", 0)                                                         \
    X(NET_ARRIVED, "(arrived)", 0)                                             \
    X(NET_OVERFLOWED, "(overflowed)", 0)                                       \
    X(NET_UNWANTED, "(unwanted)", 0)                                           \
    X(NET_DROPPED, "(dropped)", 0)                                             \
    X(NET_DUPLICATED, "(duplicated)", 0)                                       \
    X(NET_REORDERED, "(reordered)", 0)                                         \
    X(NET_SKEWED, "(skewed)", 0)

enum sonic_sim_call {
#define X(name, text, error) SONIC_SIM_##name,
    SONIC_SIM_CALL_LIST(X)
#undef X
        SONIC_SIM_CALLS,
    SONIC_SIM_ANY = -1, /* any call that can fail; not ALLOC */
};

/* X(name, what it does to a program).  A probability in parts per million of
 * the occasions; 1,000,000 is always, which few programs can survive. */
#define SONIC_SIM_FAULT_LIST(X)                                                \
    X(short_read, "a read gets less than there is; the rest comes later")      \
    X(short_write, "a write takes less than fits; room comes later")           \
    X(eintr, "-EINTR from a read, write, accept or wait")                      \
    X(read_again, "-EAGAIN from a read that had been announced")               \
    X(write_again, "-EAGAIN from a write that had been announced")             \
    X(stall, "bytes or a connection are held up for `stall` more")             \
    X(reset, "a TCP connection is cut at a random byte, first `reset_within`") \
    X(accept_abort, "-ECONNABORTED from accept; the connection is gone")       \
    X(accept_full, "-EMFILE from accept; the connection stays queued")         \
    X(refuse, "a TCP connection is refused although somebody listens")         \
    X(lose, "the SYN is lost: the connection takes a second more")             \
    X(send_nobufs, "-ENOBUFS from a write")                                    \
    X(socket_nobufs, "-ENOBUFS from socket and socketpair")                    \
    X(map_fails, "-ENOMEM from mmap")                                          \
    X(memfd_fails, "-EMFILE from memfd_create, -ENOSPC from ftruncate")        \
    X(alloc_fails, "no memory")                                                \
    X(resolve_fails, "EAI_AGAIN from getaddrinfo")                             \
    X(spurious_wait, "a wait ends early with nothing: another clock, rounded") \
    X(clock_jump, "a wait ends up to `jump` late: the machine was busy")       \
    X(drop, "a datagram does not reach a receiver")                            \
    X(duplicate, "a datagram arrives twice, the second up to `reorder_delay`") \
    X(reorder, "a datagram is overtaken for up to `reorder_delay`")            \
    X(skew, "from now on the way to an address takes up to `skew_delay` more") \
    X(datagram_nobufs, "-ENOBUFS from sending a datagram: a full queue")       \
    X(disk_full, "-ENOSPC from writing to a file")                             \
    X(disk_error, "-EIO from reading, writing or syncing a file")

typedef struct sonic_sim_faults {
#define X(name, text) uint32_t name;
    SONIC_SIM_FAULT_LIST(X)
#undef X
} sonic_sim_faults;

/* All times in nanoseconds, all sizes in bytes; 0 is the default. */
typedef struct sonic_sim_options {
    size_t size; /* sizeof(sonic_sim_options) */
    uint64_t seed;
    sonic_sim_faults faults; /* all never */

    int64_t start;       /* clock of a new world; 1 s */
    int64_t call_cost;   /* of each call, clock included; 50 */
    uint64_t call_limit; /* calls until all fail with -EDEADLK; 50 million */

    /* A segment takes between these, evenly; UNIX sockets too, pipes not.
     * Both 0: bytes arrive within the call that sends them; latency_max alone
     * 0: always latency_min. */
    int64_t latency_min;
    int64_t latency_max;
    int64_t stall;         /* 200 ms */
    int64_t jump;          /* 1 s */
    int64_t reorder_delay; /* 5 ms */
    int64_t skew_delay;    /* 2 ms */
    uint64_t reset_within; /* 64 Ki */

    size_t send_buffer;    /* of a socket, until SO_SNDBUF; 64 Ki */
    size_t receive_buffer; /* of a socket, until SO_RCVBUF; 64 Ki */
    size_t pipe_buffer;    /* 64 Ki */
    size_t disk;           /* for all files, then ENOSPC; 16 Mi */
    unsigned fd_limit;     /* first number that is too high: EMFILE; 1024 */
    unsigned first_fd;     /* lowest number in use; 3 */

    size_t trace;         /* calls kept for sonic_sim_print_trace; 256 */
    const sonic_mem *mem; /* beneath sonic_sim_mem; malloc.  Copied. */
    const sonic_sys *sys; /* for memfd and mmap; sonic_sys_kernel() */
} sonic_sim_options;

#define SONIC_SIM_OPTIONS_INIT                                                 \
    {                                                                          \
        .size = sizeof(sonic_sim_options)                                      \
    }

/* What has happened so far. */
typedef struct sonic_sim_counters {
    uint64_t calls;                 /* all, clock and memory not */
    uint64_t call[SONIC_SIM_CALLS]; /* by kind */
    sonic_sim_faults fault;         /* faults that happened, by kind */
    uint64_t forced;                /* failures by sonic_sim_fail_call */
    uint64_t bad_fd;                /* EBADF: a descriptor used wrongly */
    uint64_t events;                /* handed out by epoll_wait and poll */
    uint64_t connections;           /* made, of all kinds; pipes not */
    uint64_t bytes_written;         /* into connections and pipes ... */
    uint64_t bytes_read;            /* ... and out of them again ... */
    uint64_t bytes_dropped;         /* ... or lost by close and reset */
    uint64_t bytes_flying;          /* the rest: in buffers or on the way */
    uint64_t datagrams_sent;        /* taken from their senders */
    uint64_t datagrams_arrived;    /* put into receivers' buffers, each one's */
    uint64_t datagrams_read;       /* and taken out of them */
    uint64_t datagrams_overflowed; /* lost at a receiver without room */
    uint64_t datagrams_unwanted;   /* nobody was there to receive them */
    uint64_t fds;                  /* descriptors open now */
    uint64_t maps;                 /* mappings now */
    uint64_t blocks;               /* memory from sonic_sim_mem now ... */
    uint64_t block_bytes;          /* ... and its size */
    uint64_t block_bytes_most;     /* ever */
    uint64_t bad_frees;            /* freed with a size not asked for */
} sonic_sim_counters;

/* What is left when a world ends.  `what` names the first of it. */
typedef struct sonic_sim_leaks {
    uint64_t fds;
    uint64_t maps;
    uint64_t blocks;
    uint64_t block_bytes;
    uint64_t addrinfos;
    uint64_t bad_frees;
    char what[96];
} sonic_sim_leaks;

/* One connection and what it carried: [0] from the side that connected (or
 * fd[0] of a pair) to the other, [1] back.  written = read + dropped once both
 * ends are closed; `order` is a hash of the bytes in their order, equal for
 * written and read while nothing was dropped. */
typedef struct sonic_sim_connection {
    bool closed; /* at both ends */
    bool reset;
    uint64_t written[2];
    uint64_t read[2];
    uint64_t dropped[2];
    uint64_t order_written[2];
    uint64_t order_read[2];
} sonic_sim_connection;

enum sonic_sim_direction {
    SONIC_SIM_SENT = 0,     /* bytes that this end writes */
    SONIC_SIM_RECEIVED = 1, /* bytes that it reads */
};

/* What becomes of a TCP connection or a datagram to an address. */
enum sonic_sim_route {
    SONIC_SIM_NORMAL = 0,
    SONIC_SIM_REFUSE,      /* ECONNREFUSED after a round trip */
    SONIC_SIM_UNREACHABLE, /* EHOSTUNREACH after a round trip; for a datagram
                              with IP_RECVERR only, as that may pass */
    SONIC_SIM_NO_ROUTE,    /* ENETUNREACH from connect or send itself */
    SONIC_SIM_BLACKHOLE,   /* no answer: ETIMEDOUT after 127 s; datagrams are
                              lost, those to a group too */
};

typedef struct sonic_sim sonic_sim;

#ifdef __cplusplus
extern "C" {
#endif

/* sonic_sim_new - make a world
 *
 *   opt  read during the call; NULL is all defaults.
 *
 * RETURNS  0, -ENOMEM, or SONIC_EOPTION for options that contradict themselves.
 */
SONIC_API SONIC_MUST_CHECK int sonic_sim_new(sonic_sim **out,
                                             const sonic_sim_options *opt);

/* sonic_sim_free - end a world, and say what was left over
 *
 *   leaks  filled in; may be NULL.
 *
 * Free every io that uses the world first.  Descriptors left open are closed.
 * Memory and mappings left over stay, so that valgrind finds them too.
 *
 * RETURNS  0, or -ENOTEMPTY when something is left.  sim may be NULL.
 */
SONIC_API int sonic_sim_free(sonic_sim *sim, sonic_sim_leaks *leaks);

/* sonic_sim_swarm - choose a mix of faults, delays and buffer sizes by a seed
 *
 * Sets opt's seed, faults, latencies and buffers; leaves the rest.  Each fault
 * is off in about half of the seeds and between rare and frequent in the
 * others, since faults hide one another.  In half of the seeds those that make
 * an operation fail for good (reset, refuse, accept_*, *_nobufs, *_fails) are
 * all off: there every operation should succeed.
 */
SONIC_API void sonic_sim_swarm(sonic_sim_options *opt, uint64_t seed);

/* sonic_sim_sys - the world as a struct sonic_sys; lives as long as sim
 * sonic_sim_mem - memory that is counted, checked and fails on order */
SONIC_API const sonic_sys *sonic_sim_sys(sonic_sim *sim);
SONIC_API const sonic_mem *sonic_sim_mem(sonic_sim *sim);

/* sonic_sim_now - the virtual clock, nanoseconds; costs no time */
SONIC_API int64_t sonic_sim_now(const sonic_sim *sim);

/* sonic_sim_next - when the next thing happens in the network: a time not
 * before now, or INT64_MAX when nothing will.  Time-outs of the program are
 * its own and not counted. */
SONIC_API int64_t sonic_sim_next(const sonic_sim *sim);

/* sonic_sim_advance - let time pass until `when`, and all that falls due */
SONIC_API void sonic_sim_advance(sonic_sim *sim, int64_t when);

/* sonic_sim_random - a number from the seed, for the test's own decisions:
 * these have a sequence of their own, so asking for one does not change what
 * the world does.  sonic_sim_below: in [0, n), n > 0. */
SONIC_API uint64_t sonic_sim_random(sonic_sim *sim);
SONIC_API uint64_t sonic_sim_below(sonic_sim *sim, uint64_t n);

/* sonic_sim_pair - two connected TCP sockets, non-blocking
 *
 * RETURNS  0, -EMFILE or -ENOMEM.  Close them with sonic_sim_sys(sim)->close.
 */
SONIC_API SONIC_MUST_CHECK int sonic_sim_pair(sonic_sim *sim, int fd[2]);

/* sonic_sim_host - give a name its addresses
 *
 *   addresses  numeric, separated by spaces, in the order in which they are
 *              to be found: "2001:db8::1 192.0.2.1".  "" : EAI_NODATA.
 *   delay      time that each look-up takes.
 *
 * A name set again is replaced.  "localhost" is ::1 and 127.0.0.1 unless set;
 * other names are EAI_NONAME.
 *
 * RETURNS  0, -ENOMEM, or -EINVAL for something that is no address.
 */
SONIC_API SONIC_MUST_CHECK int sonic_sim_host(sonic_sim *sim, const char *name,
                                              const char *addresses,
                                              int64_t delay);

/* sonic_sim_host_fails - let look-ups of a name fail with eai, an EAI_ code */
SONIC_API SONIC_MUST_CHECK int
sonic_sim_host_fails(sonic_sim *sim, const char *name, int eai, int64_t delay);

/* sonic_sim_route - what happens to what is sent to an address
 *
 *   address  numeric, without a port; a group, too, for datagrams.
 *   delay    added to the latency of everything on connections to it, and of
 *            datagrams to it.
 *
 * RETURNS  0, -ENOMEM or -EINVAL.
 */
SONIC_API SONIC_MUST_CHECK int sonic_sim_route(sonic_sim *sim,
                                               const char *address,
                                               enum sonic_sim_route route,
                                               int64_t delay);

/* sonic_sim_interface - add a network interface
 *
 *   name       at most 15 bytes; "lo", with index 1, is there already.
 *   addresses  numeric, separated by spaces, at most 8; the first of a family
 *              is the source of multicasts sent from the interface.
 *   wire       interfaces with the same number hear one another's multicasts,
 *              as two hosts on a switch would.
 *
 * A multicast leaves by the interface that the socket or the message names,
 * else by the one that has the sender's address, else by the first one added,
 * or lo when there is none.  It comes back on that same interface unless
 * IP_MULTICAST_LOOP is off, and arrives on the others of the wire unless its
 * TTL is 0.  A unicast goes to whoever has bound the address, and arrives on
 * the interface that has it, or on lo.
 *
 * RETURNS  the index: 2, 3, ...; -EEXIST, -ENOMEM, -ENOSPC after 15 of them, or
 *          -EINVAL for a name or an address that is none.
 */
SONIC_API SONIC_MUST_CHECK int sonic_sim_interface(sonic_sim *sim,
                                                   const char *name,
                                                   const char *addresses,
                                                   unsigned wire);

/* sonic_sim_reset_at - cut a connection at one exact byte
 *
 *   fd    either end.
 *   dir   which of its directions is counted.
 *   byte  so many bytes of that direction arrive, from the connection's
 *         beginning; then both ends are reset.  They can still be read.
 *
 * RETURNS  0, -EBADF, -ENOTCONN for no connection, or -EINVAL when more than
 * that has been written already.
 */
SONIC_API SONIC_MUST_CHECK int sonic_sim_reset_at(sonic_sim *sim, int fd,
                                                  enum sonic_sim_direction dir,
                                                  uint64_t byte);

/* sonic_sim_fail_call - let the nth call from now fail, once
 *
 *   call  a kind, or SONIC_SIM_ANY for the nth of all that can fail.
 *   n     1 is the next one; 0 takes an order back.
 *   err   a positive errno; 0 for the one that fits the call.
 *
 * One order per kind and one for ANY may stand at a time.  A call so failed
 * has had no effect, except that close closes.  Made for loops that fail call
 * 1, 2, 3 ... until the program gets through without meeting the failure
 * (sonic_sim_stats(sim)->forced stays 0).  EAGAIN for a read or write comes
 * with a fresh edge later.
 */
SONIC_API void sonic_sim_fail_call(sonic_sim *sim, enum sonic_sim_call call,
                                   uint64_t n, int err);

/* sonic_sim_signal - deliver a signal to the signalfds that wait for it */
SONIC_API void sonic_sim_signal(sonic_sim *sim, int signo);

/* sonic_sim_stats - counters up to now; the struct lives as long as sim */
SONIC_API const sonic_sim_counters *sonic_sim_stats(sonic_sim *sim);

/* sonic_sim_connection_get - the record of connection `index`, counted from 0
 * in the order in which they were made.  -ERANGE: no such one yet. */
SONIC_API SONIC_MUST_CHECK int
sonic_sim_connection_get(const sonic_sim *sim, uint64_t index,
                         sonic_sim_connection *out);

/* sonic_sim_hash - all that happened, in one number: every call with its time,
 * descriptor, size and result, and every byte written */
SONIC_API uint64_t sonic_sim_hash(const sonic_sim *sim);

/* sonic_sim_print_trace - the last calls (options.trace of them), one a line:
 * number, time, call, descriptor, argument, result */
SONIC_API void sonic_sim_print_trace(const sonic_sim *sim, FILE *out);

/* sonic_sim_call_name - "recv"; "?" for no kind of call */
SONIC_API const char *sonic_sim_call_name(enum sonic_sim_call call);

#ifdef __cplusplus
}
#endif
#endif
