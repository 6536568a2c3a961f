/* The kernel behind struct sonic_sys: one thin function per system call. */
#include <sonicio/sys.h>

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/hint.h"

enum { NS_PER_MS = 1000000 };
#define NS_PER_S INT64_C(1000000000)

/* What a system call said, the library's way. */
#define SYS(call)                                                              \
    do {                                                                       \
        long sys_ret = (long)(call);                                           \
        return sys_ret < 0 ? -errno : (int)sys_ret;                            \
    } while (0)
#define SYS_SIZE(call)                                                         \
    do {                                                                       \
        ssize_t sys_ret = (call);                                              \
        return sys_ret < 0 ? (ssize_t)-errno : sys_ret;                        \
    } while (0)

static int64_t
k_clock(void *ud)
{
    struct timespec t;

    (void)ud;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int
k_random(void *buf, size_t len, void *ud)
{
    uint8_t *p = buf;

    (void)ud;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int
k_socket(int domain, int type, int protocol, void *ud)
{
    (void)ud;
    SYS(socket(domain, type, protocol));
}

static int
k_socketpair(int domain, int type, int protocol, int fd[2], void *ud)
{
    (void)ud;
    SYS(socketpair(domain, type, protocol, fd));
}

static int
k_bind(int fd, const struct sockaddr *a, socklen_t n, void *ud)
{
    (void)ud;
    SYS(bind(fd, a, n));
}

static int
k_listen(int fd, int backlog, void *ud)
{
    (void)ud;
    SYS(listen(fd, backlog));
}

static int
k_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags, void *ud)
{
    (void)ud;
    SYS(accept4(fd, a, n, flags));
}

static int
k_connect(int fd, const struct sockaddr *a, socklen_t n, void *ud)
{
    (void)ud;
    SYS(connect(fd, a, n));
}

static int
k_shutdown(int fd, int how, void *ud)
{
    (void)ud;
    SYS(shutdown(fd, how));
}

static int
k_getsockopt(int fd, int level, int name, void *val, socklen_t *n, void *ud)
{
    (void)ud;
    SYS(getsockopt(fd, level, name, val, n));
}

static int
k_setsockopt(int fd, int level, int name, const void *val, socklen_t n,
             void *ud)
{
    (void)ud;
    SYS(setsockopt(fd, level, name, val, n));
}

static int
k_getsockname(int fd, struct sockaddr *a, socklen_t *n, void *ud)
{
    (void)ud;
    SYS(getsockname(fd, a, n));
}

static int
k_getpeername(int fd, struct sockaddr *a, socklen_t *n, void *ud)
{
    (void)ud;
    SYS(getpeername(fd, a, n));
}

static ssize_t
k_recv(int fd, void *buf, size_t len, int flags, void *ud)
{
    (void)ud;
    SYS_SIZE(recv(fd, buf, len, flags));
}

static ssize_t
k_recvmsg(int fd, struct msghdr *msg, int flags, void *ud)
{
    (void)ud;
    SYS_SIZE(recvmsg(fd, msg, flags));
}

static ssize_t
k_send(int fd, const void *buf, size_t len, int flags, void *ud)
{
    (void)ud;
    SYS_SIZE(send(fd, buf, len, flags));
}

static ssize_t
k_sendmsg(int fd, const struct msghdr *msg, int flags, void *ud)
{
    (void)ud;
    SYS_SIZE(sendmsg(fd, msg, flags));
}

static ssize_t
k_readv(int fd, const struct iovec *iov, int n, void *ud)
{
    (void)ud;
    SYS_SIZE(readv(fd, iov, n));
}

/* A pipe has no MSG_NOSIGNAL, and the process's SIGPIPE handling is not ours
 * to change: block the signal, write, and take back what the write raised. */
static ssize_t
k_writev(int fd, const struct iovec *iov, int n, void *ud)
{
    static const struct timespec now = {0, 0};
    sigset_t pipe_set, old, pending;
    ssize_t ret;
    int err;

    (void)ud;
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    ret = writev(fd, iov, n);
    err = errno;
    if (ret < 0 && err == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe_set, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ret < 0 ? (ssize_t)-err : ret;
}

static int
k_open(const char *path, int flags, unsigned mode, void *ud)
{
    (void)ud;
    SYS(open(path, flags, mode));
}

static int
k_close(int fd, void *ud)
{
    (void)ud;
    SYS(close(fd));
}

static int
k_unlink(const char *path, void *ud)
{
    (void)ud;
    SYS(unlink(path));
}

static int
k_pipe2(int fd[2], int flags, void *ud)
{
    (void)ud;
    SYS(pipe2(fd, flags));
}

static int
k_fcntl(int fd, int cmd, int arg, void *ud)
{
    (void)ud;
    SYS(fcntl(fd, cmd, arg));
}

static struct timespec *
timespec_of(int64_t ns, struct timespec *t)
{
    if (ns < 0)
        return NULL;
    t->tv_sec = (time_t)(ns / NS_PER_S);
    t->tv_nsec = (long)(ns % NS_PER_S);
    return t;
}

static int
k_poll(struct pollfd *fds, nfds_t n, int64_t timeout, void *ud)
{
    struct timespec t;

    (void)ud;
    SYS(ppoll(fds, n, timespec_of(timeout, &t), NULL));
}

static int
k_epoll_create1(int flags, void *ud)
{
    (void)ud;
    SYS(epoll_create1(flags));
}

static int
k_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev, void *ud)
{
    (void)ud;
    SYS(epoll_ctl(epfd, op, fd, ev));
}

/* A timeout finer than epoll_wait(2) has: nanoseconds with epoll_pwait2(2), or,
 * before Linux 5.11, milliseconds rounded up. */
static SONIC__RARELY int
wait_finely(int epfd, struct epoll_event *ev, int max, int64_t timeout)
{
    int64_t ms = (timeout - 1) / NS_PER_MS + 1;
#ifdef SYS_epoll_pwait2
    struct timespec t;
    long ret = syscall(SYS_epoll_pwait2, epfd, ev, max,
                       timespec_of(timeout, &t), NULL, (size_t)0);

    if (ret >= 0 || (errno != ENOSYS && errno != EPERM))
        return ret < 0 ? -errno : (int)ret;
#endif
    SYS(epoll_wait(epfd, ev, max, ms > INT32_MAX ? INT32_MAX : (int)ms));
}

static int
k_epoll_wait(int epfd, struct epoll_event *ev, int max, int64_t timeout,
             void *ud)
{
    (void)ud;
    if (timeout > 0)
        return wait_finely(epfd, ev, max, timeout);
    /* 0, or -1 where it is negative */
    SYS(epoll_wait(epfd, ev, max, -(int)((uint64_t)timeout >> 63)));
}

static int
k_eventfd(unsigned initial, int flags, void *ud)
{
    (void)ud;
    SYS(eventfd(initial, flags));
}

static int
k_signalfd(int fd, const sigset_t *set, int flags, void *ud)
{
    int err = pthread_sigmask(SIG_BLOCK, set, NULL);

    (void)ud;
    if (err != 0)
        return -err;
    SYS(signalfd(fd, set, flags));
}

static int
k_memfd_create(const char *name, unsigned flags, void *ud)
{
    (void)ud;
    SYS(memfd_create(name, flags));
}

static int
k_ftruncate(int fd, int64_t len, void *ud)
{
    (void)ud;
    SYS(ftruncate(fd, (off_t)len));
}

static void *
k_mmap(void *addr, size_t len, int prot, int flags, int fd, int64_t off,
       int *err, void *ud)
{
    void *p = mmap(addr, len, prot, flags, fd, (off_t)off);

    (void)ud;
    *err = p == MAP_FAILED ? -errno : 0;
    return p;
}

static int
k_munmap(void *addr, size_t len, void *ud)
{
    (void)ud;
    SYS(munmap(addr, len));
}

static int
k_madvise(void *addr, size_t len, int advice, void *ud)
{
    (void)ud;
    SYS(madvise(addr, len, advice));
}

static int
k_getaddrinfo(const char *node, const char *service,
              const struct addrinfo *hints, struct addrinfo **res, void *ud)
{
    (void)ud;
    return getaddrinfo(node, service, hints, res);
}

static void
k_freeaddrinfo(struct addrinfo *res, void *ud)
{
    (void)ud;
    freeaddrinfo(res);
}

static int
k_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, void *ud)
{
    (void)ud;
    SYS(recvmmsg(fd, msgs, n, flags, NULL));
}

static int
k_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, void *ud)
{
    (void)ud;
    SYS(sendmmsg(fd, msgs, n, flags));
}

/* if_nametoindex(3) needs a socket to ask with: what it says when there is
 * none is not that there is no such interface. */
static int
k_if_nametoindex(const char *name, void *ud)
{
    unsigned index;

    (void)ud;
    errno = 0;
    index = if_nametoindex(name);
    if (index != 0)
        return (int)index;
    return errno == 0 || errno == ENXIO ? -ENODEV : -errno;
}

static int
k_if_indextoname(unsigned index, char *name, void *ud)
{
    (void)ud;
    if (if_indextoname(index, name) != NULL)
        return 0;
    return errno == ENXIO ? -ENODEV : -errno;
}

static int
k_getifaddrs(struct ifaddrs **out, void *ud)
{
    (void)ud;
    SYS(getifaddrs(out));
}

static void
k_freeifaddrs(struct ifaddrs *list, void *ud)
{
    (void)ud;
    freeifaddrs(list);
}

static ssize_t
k_pread(int fd, void *buf, size_t len, int64_t off, void *ud)
{
    (void)ud;
    SYS_SIZE(pread(fd, buf, len, (off_t)off));
}

static ssize_t
k_pwrite(int fd, const void *buf, size_t len, int64_t off, void *ud)
{
    (void)ud;
    SYS_SIZE(pwrite(fd, buf, len, (off_t)off));
}

static int64_t
k_lseek(int fd, int64_t off, int whence, void *ud)
{
    off_t at = lseek(fd, (off_t)off, whence);

    (void)ud;
    return at < 0 ? -errno : (int64_t)at;
}

static int
k_fstat(int fd, struct stat *st, void *ud)
{
    (void)ud;
    SYS(fstat(fd, st));
}

static int
k_fsync(int fd, void *ud)
{
    (void)ud;
    SYS(fsync(fd));
}

static int64_t
k_realtime(void *ud)
{
    struct timespec t;

    (void)ud;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int
k_sched_setaffinity(size_t size, const void *set, void *ud)
{
    (void)ud;
    SYS(sched_setaffinity(0, size, set));
}

static int
k_sched_getaffinity(size_t size, void *set, void *ud)
{
    (void)ud;
    SYS(sched_getaffinity(0, size, set));
}

static int
k_mlockall(int flags, void *ud)
{
    (void)ud;
    SYS(mlockall(flags));
}

static int
k_ioctl(int fd, unsigned long request, void *arg, void *ud)
{
    (void)ud;
    SYS(ioctl(fd, request, arg));
}

const sonic_sys *
sonic_sys_kernel(void)
{
    static const sonic_sys kernel = {
        .size = sizeof(sonic_sys),
        .clock = k_clock,
        .random = k_random,
        .socket = k_socket,
        .socketpair = k_socketpair,
        .bind = k_bind,
        .listen = k_listen,
        .accept4 = k_accept4,
        .connect = k_connect,
        .shutdown = k_shutdown,
        .getsockopt = k_getsockopt,
        .setsockopt = k_setsockopt,
        .getsockname = k_getsockname,
        .getpeername = k_getpeername,
        .recv = k_recv,
        .recvmsg = k_recvmsg,
        .send = k_send,
        .sendmsg = k_sendmsg,
        .readv = k_readv,
        .writev = k_writev,
        .open = k_open,
        .close = k_close,
        .unlink = k_unlink,
        .pipe2 = k_pipe2,
        .fcntl = k_fcntl,
        .poll = k_poll,
        .epoll_create1 = k_epoll_create1,
        .epoll_ctl = k_epoll_ctl,
        .epoll_wait = k_epoll_wait,
        .eventfd = k_eventfd,
        .signalfd = k_signalfd,
        .memfd_create = k_memfd_create,
        .ftruncate = k_ftruncate,
        .mmap = k_mmap,
        .munmap = k_munmap,
        .madvise = k_madvise,
        .getaddrinfo = k_getaddrinfo,
        .freeaddrinfo = k_freeaddrinfo,
        .recvmmsg = k_recvmmsg,
        .sendmmsg = k_sendmmsg,
        .if_nametoindex = k_if_nametoindex,
        .if_indextoname = k_if_indextoname,
        .getifaddrs = k_getifaddrs,
        .freeifaddrs = k_freeifaddrs,
        .pread = k_pread,
        .pwrite = k_pwrite,
        .lseek = k_lseek,
        .fstat = k_fstat,
        .fsync = k_fsync,
        .realtime = k_realtime,
        .sched_setaffinity = k_sched_setaffinity,
        .sched_getaffinity = k_sched_getaffinity,
        .mlockall = k_mlockall,
        .ioctl = k_ioctl,
    };

    return &kernel;
}
