#include "counting.h"

#include <stdlib.h>

/* Each member: count, then do what the kernel's does. */
#define COUNTED(ret, member, params, args)                                     \
    static ret counted_##member params                                         \
    {                                                                          \
        const sonic_sys *kernel = sonic_sys_kernel();                          \
                                                                               \
        ((struct counting *)ud)->calls++;                                      \
        return kernel->member args;                                            \
    }

#define UD void *ud
#define KUD kernel->ud

COUNTED(int, random, (void *buf, size_t len, UD), (buf, len, KUD))
COUNTED(int, socket, (int domain, int type, int protocol, UD),
        (domain, type, protocol, KUD))
COUNTED(int, socketpair, (int domain, int type, int protocol, int fd[2], UD),
        (domain, type, protocol, fd, KUD))
COUNTED(int, bind, (int fd, const struct sockaddr *a, socklen_t n, UD),
        (fd, a, n, KUD))
COUNTED(int, listen, (int fd, int backlog, UD), (fd, backlog, KUD))
COUNTED(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags, UD),
        (fd, a, n, flags, KUD))
COUNTED(int, connect, (int fd, const struct sockaddr *a, socklen_t n, UD),
        (fd, a, n, KUD))
COUNTED(int, shutdown, (int fd, int how, UD), (fd, how, KUD))
COUNTED(int, getsockopt,
        (int fd, int level, int name, void *val, socklen_t *n, UD),
        (fd, level, name, val, n, KUD))
COUNTED(int, setsockopt,
        (int fd, int level, int name, const void *val, socklen_t n, UD),
        (fd, level, name, val, n, KUD))
COUNTED(int, getsockname, (int fd, struct sockaddr *a, socklen_t *n, UD),
        (fd, a, n, KUD))
COUNTED(int, getpeername, (int fd, struct sockaddr *a, socklen_t *n, UD),
        (fd, a, n, KUD))
COUNTED(ssize_t, recv, (int fd, void *buf, size_t len, int flags, UD),
        (fd, buf, len, flags, KUD))
COUNTED(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags, UD),
        (fd, msg, flags, KUD))
COUNTED(ssize_t, send, (int fd, const void *buf, size_t len, int flags, UD),
        (fd, buf, len, flags, KUD))
COUNTED(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags, UD),
        (fd, msg, flags, KUD))
COUNTED(ssize_t, readv, (int fd, const struct iovec *iov, int n, UD),
        (fd, iov, n, KUD))
COUNTED(ssize_t, writev, (int fd, const struct iovec *iov, int n, UD),
        (fd, iov, n, KUD))
COUNTED(int, open, (const char *path, int flags, unsigned mode, UD),
        (path, flags, mode, KUD))
COUNTED(int, close, (int fd, UD), (fd, KUD))
COUNTED(int, unlink, (const char *path, UD), (path, KUD))
COUNTED(int, pipe2, (int fd[2], int flags, UD), (fd, flags, KUD))
COUNTED(int, fcntl, (int fd, int cmd, int arg, UD), (fd, cmd, arg, KUD))
COUNTED(int, poll, (struct pollfd * fds, nfds_t n, int64_t timeout, UD),
        (fds, n, timeout, KUD))
COUNTED(int, epoll_create1, (int flags, UD), (flags, KUD))
COUNTED(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *ev, UD),
        (epfd, op, fd, ev, KUD))
COUNTED(int, epoll_wait,
        (int epfd, struct epoll_event *ev, int max, int64_t timeout, UD),
        (epfd, ev, max, timeout, KUD))
COUNTED(int, eventfd, (unsigned initial, int flags, UD), (initial, flags, KUD))
COUNTED(int, signalfd, (int fd, const sigset_t *set, int flags, UD),
        (fd, set, flags, KUD))
COUNTED(int, memfd_create, (const char *name, unsigned flags, UD),
        (name, flags, KUD))
COUNTED(int, ftruncate, (int fd, int64_t len, UD), (fd, len, KUD))
COUNTED(void *, mmap,
        (void *addr, size_t len, int prot, int flags, int fd, int64_t off,
         int *err, UD),
        (addr, len, prot, flags, fd, off, err, KUD))
COUNTED(int, munmap, (void *addr, size_t len, UD), (addr, len, KUD))
COUNTED(int, madvise, (void *addr, size_t len, int advice, UD),
        (addr, len, advice, KUD))

static void *
counted_alloc(size_t bytes, void *ud)
{
    ((struct counting *)ud)->allocs++;
    return malloc(bytes);
}

static void
counted_free(void *ptr, size_t bytes, void *ud)
{
    (void)bytes;
    (void)ud;
    free(ptr);
}

void
counting_init(struct counting *c)
{
    c->calls = c->allocs = 0;
    c->mem = (sonic_mem){counted_alloc, counted_free, c};
    c->sys = *sonic_sys_kernel(); /* the rest, which is not counted */
    c->sys.ud = c;
    c->sys.random = counted_random;
    c->sys.socket = counted_socket;
    c->sys.socketpair = counted_socketpair;
    c->sys.bind = counted_bind;
    c->sys.listen = counted_listen;
    c->sys.accept4 = counted_accept4;
    c->sys.connect = counted_connect;
    c->sys.shutdown = counted_shutdown;
    c->sys.getsockopt = counted_getsockopt;
    c->sys.setsockopt = counted_setsockopt;
    c->sys.getsockname = counted_getsockname;
    c->sys.getpeername = counted_getpeername;
    c->sys.recv = counted_recv;
    c->sys.recvmsg = counted_recvmsg;
    c->sys.send = counted_send;
    c->sys.sendmsg = counted_sendmsg;
    c->sys.readv = counted_readv;
    c->sys.writev = counted_writev;
    c->sys.open = counted_open;
    c->sys.close = counted_close;
    c->sys.unlink = counted_unlink;
    c->sys.pipe2 = counted_pipe2;
    c->sys.fcntl = counted_fcntl;
    c->sys.poll = counted_poll;
    c->sys.epoll_create1 = counted_epoll_create1;
    c->sys.epoll_ctl = counted_epoll_ctl;
    c->sys.epoll_wait = counted_epoll_wait;
    c->sys.eventfd = counted_eventfd;
    c->sys.signalfd = counted_signalfd;
    c->sys.memfd_create = counted_memfd_create;
    c->sys.ftruncate = counted_ftruncate;
    c->sys.mmap = counted_mmap;
    c->sys.munmap = counted_munmap;
    c->sys.madvise = counted_madvise;
}
