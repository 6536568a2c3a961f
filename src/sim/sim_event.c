/* Descriptors that are no streams: eventfd, signalfd, /dev/null. */
#include "world.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

/* ---- eventfd(2) ---- */

struct sim_eventfd {
    struct sim_file file;
    uint64_t count;
    bool semaphore;
};

static uint32_t
event_mask(struct sim_file *f)
{
    const struct sim_eventfd *e = SIM_ITEM(f, struct sim_eventfd, file);

    return (e->count > 0 ? (uint32_t)EPOLLIN : 0) |
           (e->count < UINT64_MAX - 1 ? (uint32_t)EPOLLOUT : 0);
}

static ssize_t
event_read(struct sim_file *f, struct msghdr *m, int flags)
{
    struct sim_eventfd *e = SIM_ITEM(f, struct sim_eventfd, file);
    uint64_t n = e->semaphore ? 1 : e->count;

    (void)flags;
    if (sonic__sim_iov_len(m) < sizeof n)
        return -EINVAL;
    if (e->count == 0)
        return -EAGAIN;
    e->count -= n;
    sonic__sim_iov_put(m, 0, &n, sizeof n);
    sonic__sim_wake(f, EPOLLOUT);
    return sizeof n;
}

static ssize_t
event_write(struct sim_file *f, const struct msghdr *m, int flags)
{
    struct sim_eventfd *e = SIM_ITEM(f, struct sim_eventfd, file);
    uint64_t n;

    (void)flags;
    if (sonic__sim_iov_len(m) < sizeof n)
        return -EINVAL;
    sonic__sim_iov_get(m, 0, &n, sizeof n);
    if (n == UINT64_MAX)
        return -EINVAL;
    if (n > UINT64_MAX - 1 - e->count)
        return -EAGAIN;
    e->count += n;
    sonic__sim_wake(f, EPOLLIN);
    return sizeof n;
}

static void
event_close(struct sim_file *f)
{
    struct sim_eventfd *e = SIM_ITEM(f, struct sim_eventfd, file);

    sonic__sim_put(f->sim, e, sizeof *e);
}

static const struct sim_ops event_ops = {
    .mask = event_mask,
    .read = event_read,
    .write = event_write,
    .close = event_close,
};

static int
make_eventfd(sonic_sim *sim, unsigned initial, int flags)
{
    struct sim_eventfd *e;
    int fd;

    if ((flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) != 0)
        return -EINVAL;
    e = sonic__sim_get(sim, sizeof *e);
    if (e == NULL)
        return -ENOMEM;
    sonic__sim_file_init(&e->file, sim, &event_ops,
                         O_RDWR | (flags & EFD_NONBLOCK));
    e->count = initial;
    e->semaphore = (flags & EFD_SEMAPHORE) != 0;
    fd = sonic__sim_install(&e->file);
    if (fd < 0)
        event_close(&e->file);
    return fd;
}

int
sonic__sim_eventfd(unsigned initial, int flags, void *ud)
{
    int fd = sonic__sim_begin(ud, SONIC_SIM_EVENTFD, -1, initial);

    if (fd == 0)
        fd = make_eventfd(ud, initial, flags);
    return (int)sonic__sim_end(ud, fd);
}

/* ---- signalfd(2): signals come from sonic_sim_signal ---- */

struct sim_signalfd {
    struct sim_file file;
    sigset_t wanted, pending;
};

static int
first_signal(const struct sim_signalfd *s)
{
    int signo;

    for (signo = 1; signo < NSIG; signo++) {
        if (sigismember(&s->pending, signo) == 1)
            return signo;
    }
    return 0;
}

static uint32_t
signal_mask(struct sim_file *f)
{
    return first_signal(SIM_ITEM(f, struct sim_signalfd, file)) > 0 ? EPOLLIN
                                                                    : 0;
}

static ssize_t
signal_read(struct sim_file *f, struct msghdr *m, int flags)
{
    struct sim_signalfd *s = SIM_ITEM(f, struct sim_signalfd, file);
    size_t room = sonic__sim_iov_len(m), n = 0;
    struct signalfd_siginfo info;
    int signo;

    (void)flags;
    if (room < sizeof info)
        return -EINVAL;
    while (room - n >= sizeof info && (signo = first_signal(s)) > 0) {
        memset(&info, 0, sizeof info);
        info.ssi_signo = (uint32_t)signo;
        sigdelset(&s->pending, signo);
        sonic__sim_iov_put(m, n, &info, sizeof info);
        n += sizeof info;
    }
    return n > 0 ? (ssize_t)n : -EAGAIN;
}

static void
signal_close(struct sim_file *f)
{
    struct sim_signalfd *s = SIM_ITEM(f, struct sim_signalfd, file);

    sonic__sim_put(f->sim, s, sizeof *s);
}

static const struct sim_ops signal_ops = {
    .mask = signal_mask,
    .read = signal_read,
    .close = signal_close,
};

static int
make_signalfd(sonic_sim *sim, int fd, const sigset_t *set, int flags)
{
    struct sim_signalfd *s;
    struct sim_file *f;

    if (fd >= 0) { /* a new set for an old one */
        int err = sonic__sim_file(sim, fd, &f);

        if (err < 0 || f->ops != &signal_ops)
            return err < 0 ? err : -EINVAL;
        SIM_ITEM(f, struct sim_signalfd, file)->wanted = *set;
        return fd;
    }
    s = sonic__sim_get(sim, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    sonic__sim_file_init(&s->file, sim, &signal_ops,
                         O_RDONLY | (flags & SFD_NONBLOCK));
    s->wanted = *set;
    sigemptyset(&s->pending);
    fd = sonic__sim_install(&s->file);
    if (fd < 0)
        signal_close(&s->file);
    return fd;
}

int
sonic__sim_signalfd(int fd, const sigset_t *set, int flags, void *ud)
{
    int r = sonic__sim_begin(ud, SONIC_SIM_SIGNALFD, fd, flags);

    if (r == 0)
        r = make_signalfd(ud, fd, set, flags);
    return (int)sonic__sim_end(ud, r);
}

void
sonic_sim_signal(sonic_sim *sim, int signo)
{
    size_t fd;

    for (fd = 0; fd < sim->files_max; fd++) {
        struct sim_file *f = sim->files[fd];
        struct sim_signalfd *s;

        if (f == NULL || f->ops != &signal_ops)
            continue;
        s = SIM_ITEM(f, struct sim_signalfd, file);
        if (sigismember(&s->wanted, signo) != 1)
            continue;
        sigaddset(&s->pending, signo);
        sonic__sim_wake(f, EPOLLIN);
    }
}

/* ---- /dev/null, the one device there is ---- */

static ssize_t
null_read(struct sim_file *f, struct msghdr *m, int flags)
{
    (void)f;
    (void)m;
    (void)flags;
    return 0;
}

static ssize_t
null_write(struct sim_file *f, const struct msghdr *m, int flags)
{
    (void)f;
    (void)flags;
    return (ssize_t)sonic__sim_iov_len(m);
}

static void
null_close(struct sim_file *f)
{
    sonic__sim_put(f->sim, f, sizeof *f);
}

static const struct sim_ops null_ops = {
    .read = null_read,
    .write = null_write,
    .close = null_close,
};

static int
open_null(sonic_sim *sim, int flags)
{
    struct sim_file *f = sonic__sim_get(sim, sizeof *f);
    int fd;

    if (f == NULL)
        return -ENOMEM;
    sonic__sim_file_init(f, sim, &null_ops, flags & (O_ACCMODE | O_NONBLOCK));
    fd = sonic__sim_install(f);
    if (fd < 0)
        null_close(f);
    return fd;
}

int
sonic__sim_open(const char *path, int flags, unsigned mode, void *ud)
{
    int fd = sonic__sim_begin(ud, SONIC_SIM_OPEN, -1, flags);

    if (fd == 0)
        fd = strcmp(path, "/dev/null") == 0
                 ? open_null(ud, flags)
                 : sonic__sim_disk_open(ud, path, flags, mode);
    return (int)sonic__sim_end(ud, fd);
}
