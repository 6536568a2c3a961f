/* hook.h - the seam and the memory of an io, counted and made to fail
 *
 *     struct hook h;
 *     hook_init(&h);                   the kernel and malloc(3) behind it
 *     opt.sys = &h.sys, opt.mem = &h.mem;
 *     hook_calls(&h, HOOK_recv)        how often that was called
 *     hook_fail(&h, HOOK_recv, -EINTR, 3)
 *                                      the next three say -EINTR
 *     hook_fail_nth(&h, n)             the nth call from now, whichever it is
 *     hook_mem_fail_nth(&h, n)         likewise for allocations
 *     hook_clock(&h, ns)               from now on the time stands still;
 *                                      a wait moves it on at once
 *     h.signal_after = ns              and one that ends with -EINTR, by this
 *     hook_leaked(&h)                  bytes allocated or mapped and not given
 *                                      back
 *
 * A descriptor that the kernel makes without close-on-exec ends the test.
 * Counting is safe from any thread; making calls fail and setting the clock
 * is for tests of one thread.
 */
#ifndef SONICIO_TESTS_HOOK_H
#define SONICIO_TESTS_HOOK_H

#include <stdatomic.h>

#include <sonicio/mem.h>
#include <sonicio/sys.h>

/* X(name): the members of sonic_sys that a hook counts */
#define HOOK_CALLS(X)                                                          \
    X(random)                                                                  \
    X(socket)                                                                  \
    X(socketpair)                                                              \
    X(bind)                                                                    \
    X(listen)                                                                  \
    X(accept4)                                                                 \
    X(connect)                                                                 \
    X(shutdown)                                                                \
    X(getsockopt)                                                              \
    X(setsockopt)                                                              \
    X(getsockname)                                                             \
    X(getpeername)                                                             \
    X(recv)                                                                    \
    X(recvmsg)                                                                 \
    X(send)                                                                    \
    X(sendmsg)                                                                 \
    X(readv)                                                                   \
    X(writev)                                                                  \
    X(open)                                                                    \
    X(close)                                                                   \
    X(unlink)                                                                  \
    X(pipe2)                                                                   \
    X(fcntl)                                                                   \
    X(poll)                                                                    \
    X(epoll_create1)                                                           \
    X(epoll_ctl)                                                               \
    X(epoll_wait)                                                              \
    X(eventfd)                                                                 \
    X(signalfd)                                                                \
    X(memfd_create)                                                            \
    X(ftruncate)                                                               \
    X(mmap)                                                                    \
    X(munmap)                                                                  \
    X(madvise)                                                                 \
    X(recvmmsg)                                                                \
    X(sendmmsg)                                                                \
    X(if_nametoindex)                                                          \
    X(if_indextoname)                                                          \
    X(getifaddrs)                                                              \
    X(pread)                                                                   \
    X(pwrite)                                                                  \
    X(lseek)                                                                   \
    X(fstat)                                                                   \
    X(fsync)                                                                   \
    X(sched_setaffinity)                                                       \
    X(sched_getaffinity)                                                       \
    X(mlockall)                                                                \
    X(ioctl)

enum hook_call {
#define X(name) HOOK_##name,
    HOOK_CALLS(X)
#undef X
        HOOK_N
};

struct hook {
    sonic_sys sys;
    sonic_mem mem;
    const sonic_sys *below; /* the kernel; may be changed after hook_init */

    atomic_ulong calls[HOOK_N];
    atomic_ulong looks, sleeps; /* waits that could not block, that could */
    struct {
        int err;
        unsigned times;
    } fail[HOOK_N];
    unsigned long fail_nth; /* counts down; 0: not set */
    enum hook_call failed;  /* which one that was; HOOK_N: none yet */

    bool clock_stands;
    int64_t now, signal_after;

    atomic_ulong allocs;
    atomic_size_t bytes;  /* allocated now */
    atomic_size_t mapped; /* address space, by mmap */
    unsigned long mem_fail_nth;
    bool mem_failed;
};

void hook_init(struct hook *h);
unsigned long hook_calls(const struct hook *h, enum hook_call call);
/* All of them but waits, which a loop makes as often as it likes. */
unsigned long hook_all_calls(const struct hook *h);
void hook_fail(struct hook *h, enum hook_call call, int err, unsigned times);
void hook_fail_nth(struct hook *h, unsigned long n);
void hook_mem_fail_nth(struct hook *h, unsigned long n);
void hook_clock(struct hook *h, int64_t now);
size_t hook_leaked(const struct hook *h);
const char *hook_name(enum hook_call call);

#endif
