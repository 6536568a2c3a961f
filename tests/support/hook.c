#include "hook.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

/* What a call says when it is the nth and has to fail. */
static const int usual_error[HOOK_N] = {
    [HOOK_random] = -EIO,
    [HOOK_socket] = -EMFILE,
    [HOOK_socketpair] = -EMFILE,
    [HOOK_bind] = -EADDRINUSE,
    [HOOK_listen] = -EADDRINUSE,
    [HOOK_accept4] = -ECONNABORTED,
    [HOOK_connect] = -ENETDOWN,
    [HOOK_shutdown] = -ENOTCONN,
    [HOOK_getsockopt] = -ENOMEM,
    [HOOK_setsockopt] = -ENOMEM,
    [HOOK_getsockname] = -ENOMEM,
    [HOOK_getpeername] = -ENOMEM,
    [HOOK_recv] = -ECONNRESET,
    [HOOK_recvmsg] = -ECONNRESET,
    [HOOK_send] = -ECONNRESET,
    [HOOK_sendmsg] = -ECONNRESET,
    [HOOK_readv] = -EIO,
    [HOOK_writev] = -EIO,
    [HOOK_open] = -EMFILE,
    [HOOK_close] = -EIO,
    [HOOK_unlink] = -EACCES,
    [HOOK_pipe2] = -EMFILE,
    [HOOK_fcntl] = -EINVAL,
    [HOOK_poll] = -ENOMEM,
    [HOOK_epoll_create1] = -EMFILE,
    [HOOK_epoll_ctl] = -ENOSPC,
    [HOOK_epoll_wait] = -ENOMEM,
    [HOOK_eventfd] = -EMFILE,
    [HOOK_signalfd] = -EMFILE,
    [HOOK_memfd_create] = -ENFILE,
    [HOOK_ftruncate] = -ENOMEM,
    [HOOK_mmap] = -ENOMEM,
    [HOOK_munmap] = -ENOMEM,
    [HOOK_madvise] = -ENOMEM,
    [HOOK_recvmmsg] = -ENOMEM,
    [HOOK_sendmmsg] = -EPERM,
    [HOOK_if_nametoindex] = -ENODEV,
    [HOOK_if_indextoname] = -ENODEV,
    [HOOK_getifaddrs] = -EMFILE,
    [HOOK_pread] = -EIO,
    [HOOK_pwrite] = -ENOSPC,
    [HOOK_lseek] = -ESPIPE,
    [HOOK_fstat] = -EOVERFLOW,
    [HOOK_fsync] = -EIO,
    [HOOK_sched_setaffinity] = -EINVAL,
    [HOOK_sched_getaffinity] = -EINVAL,
    [HOOK_mlockall] = -EPERM,
    [HOOK_ioctl] = -ENOTTY,
};

/* Counts; 0, or the error that this call has to meet. */
static int
enter(struct hook *h, enum hook_call call)
{
    atomic_fetch_add_explicit(&h->calls[call], 1, memory_order_relaxed);
    if (h->fail[call].times > 0) {
        h->fail[call].times--;
        return h->fail[call].err;
    }
    if (h->fail_nth > 0 && --h->fail_nth == 0) {
        h->failed = call;
        return usual_error[call];
    }
    return 0;
}

#define WRAP(type, name, params, args)                                         \
    static type wrap_##name params                                             \
    {                                                                          \
        struct hook *h = ud;                                                   \
        int err = enter(h, HOOK_##name);                                       \
                                                                               \
        ud = h->below->ud;                                                     \
        return err < 0 ? err : h->below->name args;                            \
    }

/* A descriptor from the kernel: no program that is executed may get it. */
static int
made(const struct hook *h, int fd)
{
    if (fd < 0 || h->below != sonic_sys_kernel())
        return fd;
    if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC)) { /* in any thread */
        fprintf(stderr, "descriptor %d is not closed on exec\n", fd);
        abort();
    }
    return fd;
}

#define WRAP_MAKER(name, params, args)                                         \
    static int wrap_##name params                                              \
    {                                                                          \
        struct hook *h = ud;                                                   \
        int err = enter(h, HOOK_##name);                                       \
                                                                               \
        ud = h->below->ud;                                                     \
        return err < 0 ? err : made(h, h->below->name args);                   \
    }

WRAP(int, random, (void *buf, size_t n, void *ud), (buf, n, ud))
WRAP_MAKER(socket, (int d, int t, int p, void *ud), (d, t, p, ud))

WRAP(int, bind, (int fd, const struct sockaddr *a, socklen_t n, void *ud),
     (fd, a, n, ud))
WRAP(int, listen, (int fd, int backlog, void *ud), (fd, backlog, ud))
WRAP_MAKER(accept4,
           (int fd, struct sockaddr *a, socklen_t *n, int flags, void *ud),
           (fd, a, n, flags, ud))
WRAP(int, connect, (int fd, const struct sockaddr *a, socklen_t n, void *ud),
     (fd, a, n, ud))
WRAP(int, shutdown, (int fd, int how, void *ud), (fd, how, ud))
WRAP(int, getsockopt,
     (int fd, int level, int name, void *v, socklen_t *n, void *ud),
     (fd, level, name, v, n, ud))
WRAP(int, setsockopt,
     (int fd, int level, int name, const void *v, socklen_t n, void *ud),
     (fd, level, name, v, n, ud))
WRAP(int, getsockname, (int fd, struct sockaddr *a, socklen_t *n, void *ud),
     (fd, a, n, ud))
WRAP(int, getpeername, (int fd, struct sockaddr *a, socklen_t *n, void *ud),
     (fd, a, n, ud))
WRAP(ssize_t, recv, (int fd, void *buf, size_t n, int flags, void *ud),
     (fd, buf, n, flags, ud))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags, void *ud),
     (fd, m, flags, ud))
WRAP(ssize_t, send, (int fd, const void *buf, size_t n, int flags, void *ud),
     (fd, buf, n, flags, ud))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags, void *ud),
     (fd, m, flags, ud))
WRAP(ssize_t, readv, (int fd, const struct iovec *v, int n, void *ud),
     (fd, v, n, ud))
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n, void *ud),
     (fd, v, n, ud))
WRAP_MAKER(open, (const char *path, int flags, unsigned mode, void *ud),
           (path, flags, mode, ud))
WRAP(int, unlink, (const char *path, void *ud), (path, ud))

/* Two of them. */
static int
made_both(const struct hook *h, int err, const int fd[2])
{
    for (int i = 0; err == 0 && i < 2; i++)
        made(h, fd[i]);
    return err;
}

static int
wrap_socketpair(int d, int t, int p, int fd[2], void *ud)
{
    struct hook *h = ud;
    int err = enter(h, HOOK_socketpair);

    if (err == 0)
        err = h->below->socketpair(d, t, p, fd, h->below->ud);
    return made_both(h, err, fd);
}

static int
wrap_pipe2(int fd[2], int flags, void *ud)
{
    struct hook *h = ud;
    int err = enter(h, HOOK_pipe2);

    if (err == 0)
        err = h->below->pipe2(fd, flags, h->below->ud);
    return made_both(h, err, fd);
}

WRAP(int, fcntl, (int fd, int cmd, int arg, void *ud), (fd, cmd, arg, ud))
WRAP(ssize_t, pread, (int fd, void *buf, size_t n, int64_t off, void *ud),
     (fd, buf, n, off, ud))
WRAP(ssize_t, pwrite,
     (int fd, const void *buf, size_t n, int64_t off, void *ud),
     (fd, buf, n, off, ud))
WRAP(int64_t, lseek, (int fd, int64_t off, int whence, void *ud),
     (fd, off, whence, ud))
WRAP(int, fstat, (int fd, struct stat *st, void *ud), (fd, st, ud))
WRAP(int, fsync, (int fd, void *ud), (fd, ud))
WRAP(int, sched_setaffinity, (size_t n, const void *set, void *ud),
     (n, set, ud))
WRAP(int, sched_getaffinity, (size_t n, void *set, void *ud), (n, set, ud))
WRAP(int, mlockall, (int flags, void *ud), (flags, ud))
WRAP(int, ioctl, (int fd, unsigned long request, void *arg, void *ud),
     (fd, request, arg, ud))
WRAP_MAKER(epoll_create1, (int flags, void *ud), (flags, ud))
WRAP(int, epoll_ctl,
     (int epfd, int op, int fd, struct epoll_event *ev, void *ud),
     (epfd, op, fd, ev, ud))
WRAP_MAKER(eventfd, (unsigned initial, int flags, void *ud),
           (initial, flags, ud))
WRAP_MAKER(signalfd, (int fd, const sigset_t *set, int flags, void *ud),
           (fd, set, flags, ud))
WRAP_MAKER(memfd_create, (const char *name, unsigned flags, void *ud),
           (name, flags, ud))
WRAP(int, ftruncate, (int fd, int64_t len, void *ud), (fd, len, ud))
WRAP(int, madvise, (void *p, size_t n, int advice, void *ud),
     (p, n, advice, ud))
WRAP(int, recvmmsg,
     (int fd, struct mmsghdr *m, unsigned n, int flags, void *ud),
     (fd, m, n, flags, ud))
WRAP(int, sendmmsg,
     (int fd, struct mmsghdr *m, unsigned n, int flags, void *ud),
     (fd, m, n, flags, ud))
WRAP(int, if_nametoindex, (const char *name, void *ud), (name, ud))
WRAP(int, if_indextoname, (unsigned index, char *name, void *ud),
     (index, name, ud))
WRAP(int, getifaddrs, (struct ifaddrs * *out, void *ud), (out, ud))

/* These two do their work even when they say that it failed: the caller
 * cannot do anything about it, and must not try again. */
static int
wrap_close(int fd, void *ud)
{
    struct hook *h = ud;
    int err = enter(h, HOOK_close), ret = h->below->close(fd, h->below->ud);

    ck_assert_msg(ret == 0, "close(%d): %s", fd, strerror(-ret));
    return err;
}

static int
wrap_munmap(void *p, size_t n, void *ud)
{
    struct hook *h = ud;
    int err = enter(h, HOOK_munmap), ret = h->below->munmap(p, n, h->below->ud);

    ck_assert_msg(ret == 0, "munmap: %s", strerror(-ret));
    atomic_fetch_sub(&h->mapped, n);
    return err;
}

/* What is laid over a mapping is no mapping more. */
static void *
wrap_mmap(void *p, size_t n, int prot, int flags, int fd, int64_t off, int *err,
          void *ud)
{
    struct hook *h = ud;

    *err = enter(h, HOOK_mmap);
    if (*err < 0)
        return MAP_FAILED;
    p = h->below->mmap(p, n, prot, flags, fd, off, err, h->below->ud);
    if (p != MAP_FAILED && !(flags & MAP_FIXED))
        atomic_fetch_add(&h->mapped, n);
    return p;
}

static int64_t
wrap_clock(void *ud)
{
    struct hook *h = ud;

    return h->clock_stands ? h->now : h->below->clock(h->below->ud);
}

static void
count_wait(struct hook *h, int64_t timeout)
{
    atomic_fetch_add_explicit(timeout == 0 ? &h->looks : &h->sleeps, 1,
                              memory_order_relaxed);
}

/* A wait of a clock that stands: nothing happens but what has happened, and
 * then the time is there. */
static int
slept(struct hook *h, int ret, int64_t timeout)
{
    if (ret == 0 && timeout != 0) {
        ck_assert_msg(timeout > 0, "a wait that would never end");
        h->now = timeout > INT64_MAX - h->now ? INT64_MAX : h->now + timeout;
    }
    return ret;
}

/* A wait that is made to fail: a signal comes when some time has passed. */
static int
ended(struct hook *h, int err, int64_t timeout)
{
    if (h->clock_stands && err == -EINTR && timeout != 0)
        h->now += h->signal_after;
    return err;
}

static int
wrap_epoll_wait(int epfd, struct epoll_event *ev, int max, int64_t timeout,
                void *ud)
{
    struct hook *h = ud;
    int err = enter(h, HOOK_epoll_wait);

    count_wait(h, timeout);
    if (err < 0)
        return ended(h, err, timeout);
    if (!h->clock_stands)
        return h->below->epoll_wait(epfd, ev, max, timeout, h->below->ud);
    return slept(h, h->below->epoll_wait(epfd, ev, max, 0, h->below->ud),
                 timeout);
}

static int
wrap_poll(struct pollfd *fds, nfds_t n, int64_t timeout, void *ud)
{
    struct hook *h = ud;
    int err = enter(h, HOOK_poll);

    count_wait(h, timeout);
    if (err < 0)
        return ended(h, err, timeout);
    if (!h->clock_stands)
        return h->below->poll(fds, n, timeout, h->below->ud);
    return slept(h, h->below->poll(fds, n, 0, h->below->ud), timeout);
}

static int64_t
wrap_realtime(void *ud)
{
    struct hook *h = ud;

    return h->below->realtime(h->below->ud);
}

static int
wrap_getaddrinfo(const char *node, const char *service,
                 const struct addrinfo *hints, struct addrinfo **res, void *ud)
{
    struct hook *h = ud;

    return h->below->getaddrinfo(node, service, hints, res, h->below->ud);
}

static void
wrap_freeaddrinfo(struct addrinfo *res, void *ud)
{
    struct hook *h = ud;

    h->below->freeaddrinfo(res, h->below->ud);
}

static void
wrap_freeifaddrs(struct ifaddrs *list, void *ud)
{
    struct hook *h = ud;

    h->below->freeifaddrs(list, h->below->ud);
}

/* The size stands in front of the memory, so that a free with another size
 * is noticed. */
union front {
    size_t bytes;
    max_align_t align;
};

static void *
mem_alloc(size_t bytes, void *ud)
{
    struct hook *h = ud;
    union front *p;

    atomic_fetch_add_explicit(&h->allocs, 1, memory_order_relaxed);
    if (h->mem_fail_nth > 0 && --h->mem_fail_nth == 0) {
        h->mem_failed = true;
        return NULL;
    }
    p = malloc(sizeof *p + bytes);
    ck_assert_ptr_nonnull(p);
    p->bytes = bytes;
    atomic_fetch_add_explicit(&h->bytes, bytes, memory_order_relaxed);
    return memset(p + 1, 0xa5, bytes); /* nobody may count on zeros */
}

static void
mem_free(void *ptr, size_t bytes, void *ud)
{
    struct hook *h = ud;
    union front *p = (union front *)ptr - 1;

    ck_assert_ptr_nonnull(ptr);
    ck_assert_uint_eq(p->bytes, bytes);
    atomic_fetch_sub_explicit(&h->bytes, bytes, memory_order_relaxed);
    free(p);
}

void
hook_init(struct hook *h)
{
    memset(h, 0, sizeof *h);
    h->below = sonic_sys_kernel();
    h->failed = HOOK_N;
    h->mem = (sonic_mem){mem_alloc, mem_free, h};
    h->sys = (sonic_sys){
        .size = sizeof(sonic_sys),
        .ud = h,
        .clock = wrap_clock,
#define X(name) .name = wrap_##name,
        HOOK_CALLS(X)
#undef X
            .getaddrinfo = wrap_getaddrinfo,
        .freeaddrinfo = wrap_freeaddrinfo,
        .freeifaddrs = wrap_freeifaddrs,
        .realtime = wrap_realtime,
    };
}

unsigned long
hook_calls(const struct hook *h, enum hook_call call)
{
    return atomic_load_explicit(&h->calls[call], memory_order_relaxed);
}

unsigned long
hook_all_calls(const struct hook *h)
{
    unsigned long n = 0;

    for (int i = 0; i < HOOK_N; i++)
        if (i != HOOK_epoll_wait && i != HOOK_poll)
            n += hook_calls(h, (enum hook_call)i);
    return n;
}

void
hook_fail(struct hook *h, enum hook_call call, int err, unsigned times)
{
    h->fail[call].err = err;
    h->fail[call].times = times;
}

void
hook_fail_nth(struct hook *h, unsigned long n)
{
    h->fail_nth = n;
    h->failed = HOOK_N;
}

void
hook_mem_fail_nth(struct hook *h, unsigned long n)
{
    h->mem_fail_nth = n;
    h->mem_failed = false;
}

void
hook_clock(struct hook *h, int64_t now)
{
    h->clock_stands = true;
    h->now = now;
}

size_t
hook_leaked(const struct hook *h)
{
    return atomic_load(&h->bytes) + atomic_load(&h->mapped);
}

const char *
hook_name(enum hook_call call)
{
    static const char *const names[HOOK_N + 1] = {
#define X(name) #name,
        HOOK_CALLS(X)
#undef X
            "none",
    };

    return names[call];
}
