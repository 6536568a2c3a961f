/* Inside the simulated world.  See <sonicio/sim.h> for what it promises.
 *
 * sim.c         the world: options, counters, making and ending one
 * sim_time.c    the clock and the queue of what will happen
 * sim_call.c    what every call goes through: cost, failures, trace, hash
 * sim_fault.c   random numbers, chances, swarms
 * sim_fd.c      descriptors and the calls that all of them share
 * sim_epoll.c   epoll, poll and wake-ups
 * sim_link.c    bytes under way between two ends
 * sim_stream.c  reading, writing and readiness of stream ends
 * sim_sock.c    making, shutting and closing sockets and pipes
 * sim_connect.c listen, accept, connect, and their handshake
 * sim_name.c    addresses: bind, lookup, routes
 * sim_option.c  socket options
 * sim_event.c   eventfd, signalfd, /dev/null
 * sim_memory.c  allocator hooks, memfd, mmap
 * sim_host.c    getaddrinfo
 * sim_disk.c    regular files
 * sim_machine.c the time of day
 * net.h         datagrams, which have files of their own
 *
 * A call runs to its end before anything else happens.  What it causes (a
 * segment's arrival, a refusal) is put into the queue, even if it is due at
 * once, and happens before the next call begins.
 */
#ifndef SONICIO_SIM_WORLD_H
#define SONICIO_SIM_WORLD_H

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <sonicio/sim.h>

#define SIM_MS INT64_C(1000000)
#define SIM_S INT64_C(1000000000)
/* CLOCK_REALTIME when the virtual clock is 0: 2021-01-01, 00:00:00 UTC. */
#define SIM_EPOCH INT64_C(1609459200000000000)

/* EPOLLIN and its twin, EPOLLOUT and its twins, as the kernel reports them. */
#define SIM_IN (EPOLLIN | EPOLLRDNORM)
#define SIM_OUT (EPOLLOUT | EPOLLWRNORM)

/* ---- lists ---- */

struct sim_list {
    struct sim_list *prev, *next;
};

#define SIM_ITEM(node, type, member)                                           \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void
sim_list_init(struct sim_list *l)
{
    l->prev = l->next = l;
}

static inline bool
sim_list_empty(const struct sim_list *l)
{
    return l->next == l;
}

static inline void
sim_list_push(struct sim_list *l, struct sim_list *node)
{
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}

static inline void
sim_list_remove(struct sim_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sim_list_init(node);
}

/* ---- descriptors ---- */

struct sim_file;

/* What one kind of descriptor does.  A member that is NULL: -EINVAL. */
struct sim_ops {
    /* Readiness now, in EPOLL bits. */
    uint32_t (*mask)(struct sim_file *f);
    /* Never block: -EAGAIN.  The caller waits if the descriptor blocks. */
    ssize_t (*read)(struct sim_file *f, struct msghdr *m, int flags);
    ssize_t (*write)(struct sim_file *f, const struct msghdr *m, int flags);
    void (*close)(struct sim_file *f); /* and free */
    /* Seem empty, or full, for a while.  NULL: cannot. */
    void (*hold)(struct sim_file *f, bool full);
    bool socket;
};

struct sim_file {
    const struct sim_ops *ops;
    sonic_sim *sim;
    int fd;                  /* -1: not accepted yet */
    int flags;               /* O_ACCMODE, O_NONBLOCK */
    struct sim_list watches; /* sim_watch.of_file */
};

/* ---- names ---- */

struct sim_name {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage ss;
    };
};

/* An IP address and port; IPv4 as ::ffff:a.b.c.d. */
struct sim_ip {
    uint8_t addr[16];
    uint16_t port;
};

struct sim_route {
    struct sim_list all;
    struct sim_ip ip;
    enum sonic_sim_route what;
    int64_t delay;
};

/* ---- streams ---- */

/* What one end wrote and the other will read, as positions in the stream:
 * read <= arrived <= due <= sent, acked <= arrived. */
struct sim_lane {
    uint8_t *ring;
    size_t size;                      /* of the ring, a power of two or 0 */
    uint64_t sent;                    /* taken from the writer */
    uint64_t due;                     /* has travelled */
    uint64_t arrived;                 /* fits the reader's buffer */
    uint64_t read;                    /* taken by the reader */
    uint64_t acked;                   /* no longer in the writer's buffer */
    uint64_t written, taken, dropped; /* bytes: written, read, lost */
    size_t send_limit;                /* of sent - acked */
    size_t read_limit;                /* of arrived - read */
    int64_t last;                     /* when the last thing sent arrives */
    bool fin_sent, fin_due, fin;
    bool fin_close;            /* by close, not shutdown */
    bool read_hold;            /* the rest seems not to be there yet */
    bool write_hold;           /* there seems to be no room */
    uint64_t order_w, order_r; /* hashes of the bytes so far */
};

struct sim_sock;

/* A connection, a pipe, or an attempt at one.  lane[d] runs from end[d] to
 * end[!d].  Lives until both ends are closed and no event names it. */
struct sim_link {
    sonic_sim *sim;
    unsigned refs;  /* ends + events */
    uint64_t index; /* in sim->records; UINT64_MAX for pipes and attempts */
    bool local;     /* not TCP: nothing is buffered at the reader */
    bool pipe;      /* and it has no latency */
    bool up;        /* established */
    bool reset;
    int64_t delay;            /* of the route */
    unsigned cut_dir;         /* reset when lane[cut_dir] has carried cut_at */
    uint64_t cut_at;          /* UINT64_MAX: never */
    unsigned tries;           /* SYNs sent */
    struct sim_name from, to; /* of TCP */
    struct sim_sock *end[2];  /* NULL: closed */
    struct sim_lane lane[2];
};

enum sim_state {
    SIM_FRESH,
    SIM_LISTENING,
    SIM_CONNECTING,
    SIM_CONNECTED,
    SIM_DEAD, /* reset, or the connection failed */
};

struct sim_setting {
    struct sim_setting *next;
    int level, name;
    socklen_t len;
    uint8_t val[16];
};

struct sim_udp;

/* A socket, or an end of a pipe (family 0). */
struct sim_sock {
    struct sim_file file;
    int family;
    enum sim_state state;
    struct sim_udp *udp; /* NULL: a stream */
    struct sim_link *link;
    unsigned side; /* of the link */
    int err;       /* positive, for SO_ERROR and the next call */
    bool read_shut;
    bool write_shut;
    bool no_space;                 /* wake when there is room again */
    bool announced;                /* connect has told how it ended */
    bool abort;                    /* closing resets */
    struct sim_name local, remote; /* len 0: none */
    struct sim_list bound;         /* in sim->bound */
    size_t send_buffer, receive_buffer;
    struct sim_setting *settings;
    /* Of listeners. */
    unsigned backlog, queued;
    struct sim_list queue;     /* sim_sock.queued_in, oldest first */
    struct sim_list queued_in; /* of sockets that wait to be accepted */
};

/* ---- epoll ---- */

struct sim_epoll {
    struct sim_file file;
    struct sim_list watches; /* sim_watch.of_epoll */
    struct sim_list ready;   /* sim_watch.in_ready, oldest first */
};

struct sim_watch {
    struct sim_epoll *ep;
    struct sim_file *file;
    struct sim_list of_epoll, of_file, in_ready;
    uint32_t events;
    epoll_data_t data;
};

/* ---- time ---- */

enum sim_what {
    SIM_EV_ARRIVE,      /* arg: position that has travelled */
    SIM_EV_ACK,         /* arg: position */
    SIM_EV_FIN,         /* the writer of lane dir is done */
    SIM_EV_RESET,       /* reaches the reader of lane dir; arg: errno */
    SIM_EV_CUT,         /* reaches both */
    SIM_EV_WAKE,        /* the writer of lane dir */
    SIM_EV_READ_AGAIN,  /* end of read_hold */
    SIM_EV_WRITE_AGAIN, /* end of write_hold */
    SIM_EV_SYN,         /* reaches the listener */
    SIM_EV_SYN_ACK,     /* reaches the client */
    SIM_EV_SYN_ACKED,   /* reaches the listener */
    SIM_EV_FAILED,      /* the client learns that arg, an errno, happened */
    SIM_EV_PACKET,      /* a datagram arrives */
    SIM_EV_ICMP,        /* its sender learns that arg, an errno, happened */
    SIM_EV_UDP_READ,    /* end of a UDP socket's read_hold */
    SIM_EV_UDP_WRITE,   /* end of its write_hold */
};

struct sim_packet;

struct sim_event {
    int64_t when;
    uint64_t serial; /* first made, first done */
    union {          /* by `what` */
        struct sim_link *link;
        struct sim_packet *packet;
        struct sim_udp *udp;
    };
    uint64_t arg;
    enum sim_what what;
    unsigned dir;
};

/* ---- the world ---- */

struct sim_rng {
    uint64_t s[4];
};

struct sim_trace {
    uint64_t n;
    int64_t when;
    int64_t arg, result;
    int fd;
    enum sonic_sim_call call;
};

struct sim_order { /* of sonic_sim_fail_call */
    uint64_t left; /* 0: none */
    int err;
};

struct sim_host;
struct sim_map;
struct sim_block;

struct sim_path { /* a UNIX socket's name in the file system */
    struct sim_list all;
    struct sim_sock *owner; /* NULL: left behind by a closed socket */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
};

enum { SIM_IFACES = 16, SIM_IFACE_ADDRESSES = 8 };

struct sim_iface { /* its index is its place plus one */
    char name[IF_NAMESIZE];
    unsigned wire;
    size_t n;
    struct sim_ip ip[SIM_IFACE_ADDRESSES];
};

struct sonic_sim {
    sonic_sys sys;
    sonic_mem mem;
    sonic_sim_options opt;
    sonic_mem own; /* for the world itself, and beneath mem */
    int64_t now;
    int sick; /* -ENOMEM once the world itself ran out of memory */
    struct sim_rng world, entropy, user;

    struct sim_event *heap;
    size_t events, events_max;
    uint64_t serial;

    struct sim_file **files;
    size_t files_max;
    size_t lowest_free;

    struct sim_list bound;  /* sim_sock.bound */
    struct sim_list paths;  /* sim_path.all */
    struct sim_list routes; /* sim_route.all */
    struct sim_list ways;   /* sim_way.all */
    struct sim_iface ifaces[SIM_IFACES];
    unsigned n_ifaces;
    struct sim_list inodes; /* sim_inode.all: files with a name */
    uint64_t inode_number;
    size_t disk_used;
    uint16_t port; /* last one given out */
    sonic_sim_connection *records;
    size_t records_max;

    struct sim_host *hosts;
    uint64_t addrinfos;
    struct sim_map *maps;
    struct sim_block *blocks;
    uint64_t block_serial;

    struct sim_order orders[SONIC_SIM_CALLS + 1]; /* the last: any call */
    struct sim_trace *trace;
    struct sim_trace call;  /* under way */
    uint64_t traced, noted; /* lines of the trace; those of the network */
    uint64_t hash;
    sonic_sim_counters count;
};

/* sim.c: the world's own memory, zeroed */
void *sonic__sim_get(sonic_sim *sim, size_t bytes);
void sonic__sim_put(sonic_sim *sim, void *ptr, size_t bytes);
/* Grow an array of *max items so that it holds `need`; 0 or -ENOMEM. */
int sonic__sim_grow(sonic_sim *sim, void **array, size_t *max, size_t need,
                    size_t item);

/* sim_time.c */
void sonic__sim_after(struct sim_link *link, unsigned dir, int64_t when,
                      enum sim_what what, uint64_t arg);
/* Put a copy of ev into the queue, with a serial number of its own. */
int sonic__sim_schedule(sonic_sim *sim, const struct sim_event *ev);
void sonic__sim_drop_events(sonic_sim *sim);
void sonic__sim_run_due(sonic_sim *sim);
/* Let the next thing happen, or time pass until the deadline (INT64_MAX for
 * ever).  0, -ETIMEDOUT when it is the deadline, -EDEADLK. */
int sonic__sim_wait(sonic_sim *sim, int64_t deadline);
/* now + timeout; a negative one is for ever */
int64_t sonic__sim_deadline(const sonic_sim *sim, int64_t timeout);

/* sim_call.c */
int sonic__sim_begin(sonic_sim *sim, enum sonic_sim_call call, int fd,
                     int64_t arg);
int64_t sonic__sim_end(sonic_sim *sim, int64_t result);
/* Something that the network did, not a call: a line in the trace. */
void sonic__sim_note(sonic_sim *sim, enum sonic_sim_call what, int fd,
                     int64_t arg, int64_t result);
int sonic__sim_ordered(sonic_sim *sim, enum sonic_sim_call call);
uint64_t sonic__sim_mix(uint64_t hash, uint64_t word);

/* sim_fault.c */
void sonic__sim_seed(struct sim_rng *r, uint64_t seed);
uint64_t sonic__sim_rand(struct sim_rng *r);
uint64_t sonic__sim_rand_below(struct sim_rng *r, uint64_t n);
bool sonic__sim_chance(sonic_sim *sim, uint32_t ppm, uint32_t *happened);
#define SIM_CHANCE(sim, kind)                                                  \
    sonic__sim_chance(sim, (sim)->opt.faults.kind, &(sim)->count.fault.kind)
/* One way, with this delay and a stall if chance has it. */
int64_t sonic__sim_latency(sonic_sim *sim, int64_t delay);
int sonic__sim_random(void *buf, size_t len, void *ud);

/* sim_fd.c */
void sonic__sim_file_init(struct sim_file *f, sonic_sim *sim,
                          const struct sim_ops *ops, int flags);
/* Give f the lowest free number: that, or -EMFILE, -ENOMEM. */
int sonic__sim_install(struct sim_file *f);
void sonic__sim_uninstall(struct sim_file *f);
bool sonic__sim_fd_left(sonic_sim *sim);
void sonic__sim_close_all(sonic_sim *sim);
int sonic__sim_file(sonic_sim *sim, int fd, struct sim_file **out);
int sonic__sim_sock(sonic_sim *sim, int fd, struct sim_sock **out);
bool sonic__sim_blocks(const struct sim_file *f, int flags);
size_t sonic__sim_iov_len(const struct msghdr *m);
void sonic__sim_iov_put(struct msghdr *m, size_t at, const void *p, size_t n);
void sonic__sim_iov_get(const struct msghdr *m, size_t at, void *p, size_t n);
ssize_t sonic__sim_recv(int, void *, size_t, int, void *);
ssize_t sonic__sim_recvmsg(int, struct msghdr *, int, void *);
ssize_t sonic__sim_send(int, const void *, size_t, int, void *);
ssize_t sonic__sim_sendmsg(int, const struct msghdr *, int, void *);
int sonic__sim_recvmmsg(int, struct mmsghdr *, unsigned, int, void *);
int sonic__sim_sendmmsg(int, struct mmsghdr *, unsigned, int, void *);
ssize_t sonic__sim_readv(int, const struct iovec *, int, void *);
ssize_t sonic__sim_writev(int, const struct iovec *, int, void *);
int sonic__sim_close(int, void *);
int sonic__sim_fcntl(int, int, int, void *);

/* sim_epoll.c */
/* Something changed: key are the EPOLL bits it is about, 0 for all. */
void sonic__sim_wake(struct sim_file *f, uint32_t key);
void sonic__sim_unwatch(struct sim_file *f);
int sonic__sim_poll(struct pollfd *, nfds_t, int64_t, void *);
int sonic__sim_epoll_create1(int, void *);
int sonic__sim_epoll_ctl(int, int, int, struct epoll_event *, void *);
int sonic__sim_epoll_wait(int, struct epoll_event *, int, int64_t, void *);

/* sim_link.c */
struct sim_link *sonic__sim_link_new(sonic_sim *sim, bool local);
void sonic__sim_link_unref(struct sim_link *link);
/* It is up: give it a record and buffers by the two ends' settings. */
void sonic__sim_link_up(struct sim_link *link);
void sonic__sim_link_limits(struct sim_link *link);
uint64_t sonic__sim_lane_ready(const struct sim_lane *l); /* to be read */
uint64_t sonic__sim_lane_room(const struct sim_lane *l);
bool sonic__sim_lane_eof(const struct sim_lane *l);
int sonic__sim_lane_write(struct sim_link *link, unsigned dir,
                          const struct msghdr *m, size_t n);
void sonic__sim_lane_read(struct sim_link *link, unsigned dir, struct msghdr *m,
                          size_t n, bool peek);
/* The end of lane dir, behind all bytes. */
void sonic__sim_lane_fin(struct sim_link *link, unsigned dir, bool close);
void sonic__sim_lane_reset(struct sim_link *link, unsigned dir, int err);
/* Nobody reads lane dir any more. */
void sonic__sim_lane_abandon(struct sim_link *link, unsigned dir);
/* Make lane dir seem empty, or full, for a while. */
void sonic__sim_hold_read(struct sim_link *link, unsigned dir);
void sonic__sim_hold_write(struct sim_link *link, unsigned dir);
void sonic__sim_link_event(const struct sim_event *ev);
void sonic__sim_link_record(struct sim_link *link);

/* sim_stream.c */
extern const struct sim_ops sonic__sim_stream_ops;
extern const struct sim_ops sonic__sim_pipe_ops;
bool sonic__sim_writable(const struct sim_sock *s);
int sonic__sim_take_error(struct sim_sock *s); /* 0 or -errno */

/* sim_sock.c */
/* type: of socket(2). */
struct sim_sock *sonic__sim_sock_new(sonic_sim *sim, int family, int type,
                                     int flags);
void sonic__sim_sock_free(struct sim_sock *s);
void sonic__sim_sock_close(struct sim_file *f);
/* Make s an end of the link, which it keeps alive. */
void sonic__sim_join(struct sim_link *link, unsigned side, struct sim_sock *s);
int sonic__sim_socket(int, int, int, void *);
int sonic__sim_socketpair(int, int, int, int[2], void *);
int sonic__sim_shutdown(int, int, void *);
int sonic__sim_pipe2(int[2], int, void *);

/* sim_connect.c */
void sonic__sim_connect_event(const struct sim_event *ev);
void sonic__sim_stop_listening(struct sim_sock *s);
int sonic__sim_listen(int, int, void *);
int sonic__sim_accept4(int, struct sockaddr *, socklen_t *, int, void *);
int sonic__sim_connect(int, const struct sockaddr *, socklen_t, void *);

/* sim_disk.c */
ssize_t sonic__sim_pread(int, void *, size_t, int64_t, void *);
ssize_t sonic__sim_pwrite(int, const void *, size_t, int64_t, void *);
int64_t sonic__sim_lseek(int, int64_t, int, void *);
int sonic__sim_fstat(int, struct stat *, void *);
int sonic__sim_fsync(int, void *);
void sonic__sim_disk_free(sonic_sim *sim);
int sonic__sim_disk_open(sonic_sim *sim, const char *path, int flags,
                         unsigned mode);
int sonic__sim_disk_unlink(sonic_sim *sim, const char *path);
/* -ESPIPE: it is no regular file. */
int sonic__sim_disk_truncate(sonic_sim *sim, int fd, int64_t len);

/* sim_machine.c */
int64_t sonic__sim_realtime(void *);
int sonic__sim_setaffinity(size_t, const void *, void *);
int sonic__sim_getaffinity(size_t, void *, void *);
int sonic__sim_mlockall(int, void *);
int sonic__sim_ioctl(int, unsigned long, void *, void *);

/* sim_name.c */
/* Copy a caller's address if it is one of the family: 0 or an error. */
int sonic__sim_name_set(struct sim_name *n, int family,
                        const struct sockaddr *a, socklen_t len);
void sonic__sim_name_out(const struct sim_name *n, int family,
                         struct sockaddr *a, socklen_t *len);
bool sonic__sim_name_ip(const struct sim_name *n, struct sim_ip *ip);
/* The same address for a socket of another family. */
void sonic__sim_name_from_ip(struct sim_name *n, int family,
                             const struct sim_ip *ip);
uint16_t sonic__sim_next_port(sonic_sim *sim);
bool sonic__sim_ip_is_v4(const struct sim_ip *ip);
bool sonic__sim_ip_is_any(const struct sim_ip *ip);
bool sonic__sim_ip_equal(const struct sim_ip *a, const struct sim_ip *b);
/* 0.0.0.0 or ::, by the family. */
void sonic__sim_ip_any(struct sim_ip *ip, int family);
/* Any address is this host: 127.0.0.1 or ::1; the port stays. */
void sonic__sim_ip_home(struct sim_ip *ip);
/* Whether what is sent to an address reaches a socket bound as s is. */
bool sonic__sim_covers(const struct sim_sock *s, const struct sim_ip *ip,
                       bool *exactly);
int sonic__sim_parse_ip(const char *text, struct sim_ip *ip);
/* sim_host.c: numeric ones, separated by spaces: how many, or -EINVAL. */
int sonic__sim_parse_ips(const char *text, struct sim_ip *ip, int most);
/* Where a connection to an address goes: 0.0.0.0 is this host. */
int sonic__sim_name_to(const struct sim_sock *s, struct sim_name *n,
                       const struct sockaddr *a, socklen_t len);
/* -EADDRINUSE when another one listens where s is about to. */
int sonic__sim_listen_clash(const struct sim_sock *s);
int sonic__sim_autobind(struct sim_sock *s, const struct sim_name *to);
void sonic__sim_unbind(struct sim_sock *s);
struct sim_sock *sonic__sim_find_listener(sonic_sim *sim,
                                          const struct sim_name *to,
                                          bool *exists);
const struct sim_route *sonic__sim_find_route(sonic_sim *sim,
                                              const struct sim_name *to);
int sonic__sim_bind(int, const struct sockaddr *, socklen_t, void *);
int sonic__sim_getsockname(int, struct sockaddr *, socklen_t *, void *);
int sonic__sim_getpeername(int, struct sockaddr *, socklen_t *, void *);
int sonic__sim_unlink(const char *, void *);

/* sim_option.c */
/* As set, or as it is by default. */
int sonic__sim_option_int(const struct sim_sock *s, int level, int name);
int sonic__sim_option_set(struct sim_sock *s, int level, int name,
                          const void *val, socklen_t len);
bool sonic__sim_linger_resets(const struct sim_sock *s);
int64_t sonic__sim_option_deadline(const struct sim_sock *s, int name);
int sonic__sim_option_copy(struct sim_sock *to, const struct sim_sock *from);
void sonic__sim_option_free(struct sim_sock *s);
int sonic__sim_getsockopt(int, int, int, void *, socklen_t *, void *);
int sonic__sim_setsockopt(int, int, int, const void *, socklen_t, void *);

/* sim_event.c */
int sonic__sim_open(const char *, int, unsigned, void *);
int sonic__sim_eventfd(unsigned, int, void *);
int sonic__sim_signalfd(int, const sigset_t *, int, void *);

/* sim_memory.c */
void *sonic__sim_alloc(size_t bytes, void *ud);
void sonic__sim_release(void *ptr, size_t bytes, void *ud);
void sonic__sim_memory_leaks(sonic_sim *sim, sonic_sim_leaks *leaks);
int sonic__sim_memfd_create(const char *, unsigned, void *);
int sonic__sim_ftruncate(int, int64_t, void *);
void *sonic__sim_mmap(void *, size_t, int, int, int, int64_t, int *, void *);
int sonic__sim_munmap(void *, size_t, void *);
int sonic__sim_madvise(void *, size_t, int, void *);

/* sim_host.c */
void sonic__sim_hosts_free(sonic_sim *sim);
int sonic__sim_getaddrinfo(const char *, const char *, const struct addrinfo *,
                           struct addrinfo **, void *);
void sonic__sim_freeaddrinfo(struct addrinfo *, void *);

#endif
