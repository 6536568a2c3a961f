/* <sonicio/sys.h> - the one seam between the library and the outside world
 *
 * Every system call, the clock and randomness go through a struct sonic_sys.
 * sonic_sys_kernel() is the real one.  To count, record or fail calls, copy
 * it and replace members; to have no kernel at all, use <sonicio/sim.h>.
 *
 * Each member behaves as the system call of its name (man section 2), with
 * two differences: it returns -errno instead of -1 and never touches errno
 * for the caller; and it has `ud`, the struct's own pointer, last.
 */
#ifndef SONICIO_SYS_H
#define SONICIO_SYS_H

#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h> /* sigset_t, under -std=c11 too */
#include <sys/socket.h>
#include <sys/uio.h>

#include <sonicio/api.h>

#ifdef __cplusplus
extern "C" {
#endif

struct addrinfo;
struct epoll_event;
struct ifaddrs;
struct mmsghdr;
struct stat;

typedef struct sonic_sys {
    size_t size; /* sizeof(sonic_sys) */
    void *ud;    /* handed to every member */

    /* Run blocking jobs (DNS, files) on the loop's own thread, in order.  Set
     * by worlds that must be deterministic. */
    bool single_threaded;

    /* CLOCK_MONOTONIC in nanoseconds. */
    int64_t (*clock)(void *ud);
    /* Fill buf with unpredictable bytes: 0 or -errno.  getrandom(2) */
    int (*random)(void *buf, size_t len, void *ud);

    int (*socket)(int domain, int type, int protocol, void *ud);
    int (*socketpair)(int domain, int type, int protocol, int fd[2], void *ud);
    int (*bind)(int fd, const struct sockaddr *a, socklen_t n, void *ud);
    int (*listen)(int fd, int backlog, void *ud);
    int (*accept4)(int fd, struct sockaddr *a, socklen_t *n, int flags,
                   void *ud);
    int (*connect)(int fd, const struct sockaddr *a, socklen_t n, void *ud);
    int (*shutdown)(int fd, int how, void *ud);
    int (*getsockopt)(int fd, int level, int name, void *val, socklen_t *n,
                      void *ud);
    int (*setsockopt)(int fd, int level, int name, const void *val, socklen_t n,
                      void *ud);
    int (*getsockname)(int fd, struct sockaddr *a, socklen_t *n, void *ud);
    int (*getpeername)(int fd, struct sockaddr *a, socklen_t *n, void *ud);

    ssize_t (*recv)(int fd, void *buf, size_t len, int flags, void *ud);
    ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags, void *ud);
    ssize_t (*send)(int fd, const void *buf, size_t len, int flags, void *ud);
    ssize_t (*sendmsg)(int fd, const struct msghdr *msg, int flags, void *ud);
    ssize_t (*readv)(int fd, const struct iovec *iov, int n, void *ud);
    /* Never raises SIGPIPE: a pipe without a reader is -EPIPE. */
    ssize_t (*writev)(int fd, const struct iovec *iov, int n, void *ud);

    int (*open)(const char *path, int flags, unsigned mode, void *ud);
    int (*close)(int fd, void *ud);
    int (*unlink)(const char *path, void *ud);
    int (*pipe2)(int fd[2], int flags, void *ud);
    /* F_GETFL and F_SETFL only. */
    int (*fcntl)(int fd, int cmd, int arg, void *ud);

    /* Waiting.  A timeout is in nanoseconds; negative waits for ever.  Where
     * the kernel counts in milliseconds it is rounded up: never early. */
    int (*poll)(struct pollfd *fds, nfds_t n, int64_t timeout, void *ud);
    int (*epoll_create1)(int flags, void *ud);
    int (*epoll_ctl)(int epfd, int op, int fd, struct epoll_event *ev,
                     void *ud);
    int (*epoll_wait)(int epfd, struct epoll_event *ev, int max,
                      int64_t timeout, void *ud);
    int (*eventfd)(unsigned initial, int flags, void *ud);
    /* Block the set in this thread and make a descriptor for it. */
    int (*signalfd)(int fd, const sigset_t *set, int flags, void *ud);

    /* Memory that a mirrored buffer lies in. */
    int (*memfd_create)(const char *name, unsigned flags, void *ud);
    int (*ftruncate)(int fd, int64_t len, void *ud);
    /* Returns MAP_FAILED with *err set to -errno, else the address. */
    void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd,
                  int64_t off, int *err, void *ud);
    int (*munmap)(void *addr, size_t len, void *ud);
    int (*madvise)(void *addr, size_t len, int advice, void *ud);

    /* As getaddrinfo(3): 0 or an EAI_ code.  May be called on any thread. */
    int (*getaddrinfo)(const char *node, const char *service,
                       const struct addrinfo *hints, struct addrinfo **res,
                       void *ud);
    void (*freeaddrinfo)(struct addrinfo *res, void *ud);

    /* Datagrams in batches: how many, or an error when it is of the first.
     * recvmmsg(2), without its timeout, and sendmmsg(2). */
    int (*recvmmsg)(int fd, struct mmsghdr *msgs, unsigned n, int flags,
                    void *ud);
    int (*sendmmsg)(int fd, struct mmsghdr *msgs, unsigned n, int flags,
                    void *ud);

    /* Network interfaces: an index above 0, or -ENODEV.  if_nametoindex(3) */
    int (*if_nametoindex)(const char *name, void *ud);
    /* name has room for IF_NAMESIZE bytes.  0, -ENODEV.  if_indextoname(3) */
    int (*if_indextoname)(unsigned index, char *name, void *ud);
    int (*getifaddrs)(struct ifaddrs **out, void *ud); /* getifaddrs(3) */
    void (*freeifaddrs)(struct ifaddrs *list, void *ud);

    /* Files.  Any thread. */
    ssize_t (*pread)(int fd, void *buf, size_t len, int64_t off, void *ud);
    ssize_t (*pwrite)(int fd, const void *buf, size_t len, int64_t off,
                      void *ud);
    int64_t (*lseek)(int fd, int64_t off, int whence, void *ud);
    int (*fstat)(int fd, struct stat *st, void *ud);
    int (*fsync)(int fd, void *ud);

    /* CLOCK_REALTIME: nanoseconds since 1970, UTC without leap seconds. */
    int64_t (*realtime)(void *ud);
    /* Of the calling thread; set is a cpu_set_t of `size` bytes.
     * sched_setaffinity(2): 0 or an error. */
    int (*sched_setaffinity)(size_t size, const void *set, void *ud);
    int (*sched_getaffinity)(size_t size, void *set, void *ud);
    int (*mlockall)(int flags, void *ud);
    int (*ioctl)(int fd, unsigned long request, void *arg, void *ud);
} sonic_sys;

/* sonic_sys_kernel - the operating system; constant, valid for ever */
SONIC_API const sonic_sys *sonic_sys_kernel(void);

#ifdef __cplusplus
}
#endif
#endif
