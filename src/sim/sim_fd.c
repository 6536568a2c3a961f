/* Descriptors: numbers, and the calls that every kind shares. */
#include "world.h"

#include <fcntl.h>

enum { MOST_MESSAGES = 1024 }; /* UIO_MAXIOV */

void
sonic__sim_file_init(struct sim_file *f, sonic_sim *sim,
                     const struct sim_ops *ops, int flags)
{
    f->ops = ops;
    f->sim = sim;
    f->fd = -1;
    f->flags = flags;
    sim_list_init(&f->watches);
}

static size_t
lowest_free(sonic_sim *sim)
{
    size_t fd = sim->lowest_free;

    while (fd < sim->files_max && sim->files[fd] != NULL)
        fd++;
    return sim->lowest_free = fd;
}

bool
sonic__sim_fd_left(sonic_sim *sim)
{
    return lowest_free(sim) < sim->opt.fd_limit;
}

int
sonic__sim_install(struct sim_file *f)
{
    sonic_sim *sim = f->sim;
    size_t fd = lowest_free(sim);
    void *files = sim->files;

    if (fd >= sim->opt.fd_limit)
        return -EMFILE;
    if (sonic__sim_grow(sim, &files, &sim->files_max, fd + 1,
                        sizeof(struct sim_file *)) < 0)
        return -ENOMEM;
    sim->files = files;
    sim->files[fd] = f;
    sim->count.fds++;
    f->fd = (int)fd;
    return f->fd;
}

void
sonic__sim_uninstall(struct sim_file *f)
{
    sonic_sim *sim = f->sim;
    size_t fd = (size_t)f->fd;

    sonic__sim_unwatch(f);
    sim->files[fd] = NULL;
    if (fd < sim->lowest_free)
        sim->lowest_free = fd;
    sim->count.fds--;
}

static void
close_file(struct sim_file *f)
{
    sonic__sim_uninstall(f);
    f->ops->close(f);
}

void
sonic__sim_close_all(sonic_sim *sim)
{
    size_t fd;

    for (fd = 0; fd < sim->files_max; fd++) {
        if (sim->files[fd] != NULL)
            close_file(sim->files[fd]);
    }
}

int
sonic__sim_file(sonic_sim *sim, int fd, struct sim_file **out)
{
    if (fd < 0 || (size_t)fd >= sim->files_max || sim->files[fd] == NULL) {
        sim->count.bad_fd++;
        return -EBADF;
    }
    *out = sim->files[fd];
    return 0;
}

int
sonic__sim_sock(sonic_sim *sim, int fd, struct sim_sock **out)
{
    struct sim_file *f;
    int err = sonic__sim_file(sim, fd, &f);

    if (err < 0)
        return err;
    if (!f->ops->socket)
        return -ENOTSOCK;
    *out = SIM_ITEM(f, struct sim_sock, file);
    return 0;
}

bool
sonic__sim_blocks(const struct sim_file *f, int flags)
{
    return (f->flags & O_NONBLOCK) == 0 && (flags & MSG_DONTWAIT) == 0;
}

size_t
sonic__sim_iov_len(const struct msghdr *m)
{
    size_t i, n = 0;

    for (i = 0; i < m->msg_iovlen; i++)
        n += m->msg_iov[i].iov_len;
    return n;
}

void
sonic__sim_iov_put(struct msghdr *m, size_t at, const void *p, size_t n)
{
    const uint8_t *from = p;
    size_t i;

    for (i = 0; i < m->msg_iovlen && n > 0; i++) {
        size_t len = m->msg_iov[i].iov_len;
        size_t k = len > at ? len - at : 0;

        if (k > n)
            k = n;
        if (k > 0)
            memcpy((uint8_t *)m->msg_iov[i].iov_base + at, from, k);
        from += k;
        n -= k;
        at = len > at ? 0 : at - len;
    }
}

void
sonic__sim_iov_get(const struct msghdr *m, size_t at, void *p, size_t n)
{
    uint8_t *to = p;
    size_t i;

    for (i = 0; i < m->msg_iovlen && n > 0; i++) {
        size_t len = m->msg_iov[i].iov_len;
        size_t k = len > at ? len - at : 0;

        if (k > n)
            k = n;
        if (k > 0)
            memcpy(to, (const uint8_t *)m->msg_iov[i].iov_base + at, k);
        to += k;
        n -= k;
        at = len > at ? 0 : at - len;
    }
}

static int64_t
deadline_of(const struct sim_file *f, int option)
{
    if (!f->ops->socket)
        return INT64_MAX;
    return sonic__sim_option_deadline(SIM_ITEM(f, struct sim_sock, file),
                                      option);
}

/* One read, as long as it takes; `ordered` is what begin said, `again` that it
 * is not the first of the call. */
static ssize_t
read_file(sonic_sim *sim, int fd, struct msghdr *m, int flags, bool socket,
          int ordered, bool again)
{
    struct sim_file *f;
    int64_t deadline;
    ssize_t n = sonic__sim_file(sim, fd, &f);

    if (n < 0)
        return n;
    if (socket && !f->ops->socket)
        return -ENOTSOCK;
    if (ordered < 0 && ordered != -EAGAIN)
        return ordered;
    if (f->ops->read == NULL)
        return -EINVAL;
    if (!again && SIM_CHANCE(sim, eintr))
        return -EINTR;
    if (ordered == -EAGAIN && f->ops->hold != NULL)
        f->ops->hold(f, false);
    deadline = deadline_of(f, SO_RCVTIMEO);
    for (;;) {
        n = f->ops->read(f, m, flags);
        if (n != -EAGAIN || !sonic__sim_blocks(f, flags))
            return n;
        n = sonic__sim_wait(sim, deadline);
        if (n < 0)
            return n == -ETIMEDOUT ? -EAGAIN : n;
    }
}

static ssize_t
write_file(sonic_sim *sim, int fd, const struct msghdr *m, int flags,
           bool socket, int ordered, bool again)
{
    struct sim_file *f;
    int64_t deadline;
    ssize_t n = sonic__sim_file(sim, fd, &f);

    if (n < 0)
        return n;
    if (socket && !f->ops->socket)
        return -ENOTSOCK;
    if (ordered < 0 && ordered != -EAGAIN)
        return ordered;
    if (f->ops->write == NULL)
        return -EINVAL;
    if (!again && SIM_CHANCE(sim, eintr))
        return -EINTR;
    if (f->ops == &sonic__sim_stream_ops && SIM_CHANCE(sim, send_nobufs))
        return -ENOBUFS;
    if (ordered == -EAGAIN && f->ops->hold != NULL)
        f->ops->hold(f, true);
    deadline = deadline_of(f, SO_SNDTIMEO);
    for (;;) {
        n = f->ops->write(f, m, flags);
        if (n != -EAGAIN || !sonic__sim_blocks(f, flags))
            return n;
        n = sonic__sim_wait(sim, deadline);
        if (n < 0)
            return n == -ETIMEDOUT ? -EAGAIN : n;
    }
}

ssize_t
sonic__sim_recv(int fd, void *buf, size_t len, int flags, void *ud)
{
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int err = sonic__sim_begin(ud, SONIC_SIM_RECV, fd, (int64_t)len);

    return sonic__sim_end(ud, read_file(ud, fd, &m, flags, true, err, false));
}

ssize_t
sonic__sim_recvmsg(int fd, struct msghdr *m, int flags, void *ud)
{
    int err = sonic__sim_begin(ud, SONIC_SIM_RECVMSG, fd,
                               (int64_t)sonic__sim_iov_len(m));

    return sonic__sim_end(ud, read_file(ud, fd, m, flags, true, err, false));
}

ssize_t
sonic__sim_readv(int fd, const struct iovec *iov, int n, void *ud)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                       .msg_iovlen = (size_t)n};
    int err = sonic__sim_begin(ud, SONIC_SIM_READV, fd,
                               (int64_t)sonic__sim_iov_len(&m));

    return sonic__sim_end(ud, read_file(ud, fd, &m, 0, false, err, false));
}

ssize_t
sonic__sim_send(int fd, const void *buf, size_t len, int flags, void *ud)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int err = sonic__sim_begin(ud, SONIC_SIM_SEND, fd, (int64_t)len);

    return sonic__sim_end(ud, write_file(ud, fd, &m, flags, true, err, false));
}

ssize_t
sonic__sim_sendmsg(int fd, const struct msghdr *m, int flags, void *ud)
{
    int err = sonic__sim_begin(ud, SONIC_SIM_SENDMSG, fd,
                               (int64_t)sonic__sim_iov_len(m));

    return sonic__sim_end(ud, write_file(ud, fd, m, flags, true, err, false));
}

/* ---- several at once ---- */

/* An error behind the first message is for the next call: recvmmsg(2). */
static int
read_messages(sonic_sim *sim, int fd, struct mmsghdr *msgs, unsigned n,
              int flags, int ordered)
{
    bool one = (flags & MSG_WAITFORONE) != 0;
    struct sim_sock *s;
    unsigned i;

    flags &= ~MSG_WAITFORONE;
    for (i = 0; i < n; i++) {
        ssize_t r =
            read_file(sim, fd, &msgs[i].msg_hdr, flags, true, ordered, i > 0);

        if (r < 0 && i > 0 && r != -EAGAIN && r != -EINTR &&
            sonic__sim_sock(sim, fd, &s) == 0)
            s->err = (int)-r;
        if (r < 0)
            return i > 0 ? (int)i : (int)r;
        msgs[i].msg_len = (unsigned)r;
        if (one)
            flags |= MSG_DONTWAIT;
    }
    return (int)n;
}

int
sonic__sim_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
                    void *ud)
{
    int err = sonic__sim_begin(ud, SONIC_SIM_RECVMMSG, fd, n);

    n = n < MOST_MESSAGES ? n : MOST_MESSAGES;
    return (int)sonic__sim_end(ud, read_messages(ud, fd, msgs, n, flags, err));
}

int
sonic__sim_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
                    void *ud)
{
    int err = sonic__sim_begin(ud, SONIC_SIM_SENDMMSG, fd, n);
    ssize_t r = 0;
    unsigned i;

    n = n < MOST_MESSAGES ? n : MOST_MESSAGES;
    for (i = 0; i < n; i++) {
        if (i > 0)
            sonic__sim_run_due(ud); /* the first may have been refused */
        r = write_file(ud, fd, &msgs[i].msg_hdr, flags, true, err, i > 0);
        if (r < 0)
            break;
        msgs[i].msg_len = (unsigned)r;
    }
    return (int)sonic__sim_end(ud, i > 0 ? (int)i : r);
}

ssize_t
sonic__sim_writev(int fd, const struct iovec *iov, int n, void *ud)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                       .msg_iovlen = (size_t)n};
    int err = sonic__sim_begin(ud, SONIC_SIM_WRITEV, fd,
                               (int64_t)sonic__sim_iov_len(&m));

    return sonic__sim_end(ud, write_file(ud, fd, &m, 0, false, err, false));
}

/* Closes whatever is ordered: so does Linux. */
int
sonic__sim_close(int fd, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_file *f;
    int ordered = sonic__sim_begin(sim, SONIC_SIM_CLOSE, fd, 0);
    int err = sonic__sim_file(sim, fd, &f);

    if (err == 0) {
        close_file(f);
        err = ordered;
    }
    return (int)sonic__sim_end(sim, err);
}

int
sonic__sim_fcntl(int fd, int cmd, int arg, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_file *f;
    int keep = O_NONBLOCK;
    int err = sonic__sim_begin(sim, SONIC_SIM_FCNTL, fd, cmd);

    if (err == 0)
        err = sonic__sim_file(sim, fd, &f);
    if (err == 0 && cmd == F_GETFL)
        err = f->flags;
    else if (err == 0 && cmd == F_SETFL)
        f->flags = (f->flags & ~keep) | (arg & keep);
    else if (err == 0)
        err = -EINVAL;
    return (int)sonic__sim_end(sim, err);
}
