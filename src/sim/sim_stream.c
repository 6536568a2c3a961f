/* What the two ends of a link can do: tcp_poll, tcp_recvmsg, tcp_sendmsg and
 * their siblings in net/unix and fs/pipe.c, as far as a program can tell. */
#include "world.h"

#include <fcntl.h>

enum { PIPE_BUF_SIZE = 4096 };

static struct sim_sock *
sock_of(struct sim_file *f)
{
    return SIM_ITEM(f, struct sim_sock, file);
}

static struct sim_lane *
in_lane(const struct sim_sock *s)
{
    return &s->link->lane[!s->side];
}

static struct sim_lane *
out_lane(const struct sim_sock *s)
{
    return &s->link->lane[s->side];
}

int
sonic__sim_take_error(struct sim_sock *s)
{
    int err = -s->err;

    s->err = 0;
    return err;
}

/* Whether poll says so; a write may find room before. */
bool
sonic__sim_writable(const struct sim_sock *s)
{
    const struct sim_lane *l;
    uint64_t used;

    if (s->link == NULL)
        return s->state != SIM_LISTENING;
    l = out_lane(s);
    if (l->write_hold)
        return false;
    used = l->sent - l->acked;
    if (s->family == AF_UNIX) /* unix_writable() */
        return used * 4 <= l->send_limit;
    if (s->family == 0)
        return sonic__sim_lane_room(l) >= PIPE_BUF_SIZE || used == 0;
    return sonic__sim_lane_room(l) >= used / 2; /* sk_stream_is_writeable() */
}

static uint32_t
out_bits(struct sim_sock *s)
{
    if (sonic__sim_writable(s))
        return SIM_OUT | (s->family == AF_UNIX ? EPOLLWRBAND : 0);
    s->no_space = true;
    return 0;
}

static bool
readable(const struct sim_sock *s)
{
    return s->link != NULL && sonic__sim_lane_ready(in_lane(s)) > 0;
}

static bool
at_end(const struct sim_sock *s)
{
    return s->read_shut && (s->link == NULL || !in_lane(s)->read_hold);
}

static uint32_t
stream_mask(struct sim_file *f)
{
    struct sim_sock *s = sock_of(f);
    uint32_t mask = s->err != 0 ? EPOLLERR : 0;

    if (s->state == SIM_LISTENING)
        return s->queued > 0 ? SIM_IN : 0;
    if ((at_end(s) && s->write_shut) || s->state == SIM_FRESH ||
        s->state == SIM_DEAD)
        mask |= EPOLLHUP;
    if (at_end(s))
        mask |= SIM_IN | EPOLLRDHUP;
    if (readable(s))
        mask |= SIM_IN;
    if (s->state == SIM_CONNECTING)
        return mask;
    if (s->write_shut && s->family != AF_UNIX)
        return mask | SIM_OUT;
    return mask | out_bits(s);
}

/* How much of what can be read a read of `want` bytes shall get. */
static size_t
read_size(struct sim_sock *s, size_t want, int flags)
{
    sonic_sim *sim = s->file.sim;
    uint64_t ready = sonic__sim_lane_ready(in_lane(s));
    size_t n = want < ready ? want : (size_t)ready;

    if (n == 0 || s->link->pipe || (flags & MSG_PEEK) != 0)
        return n;
    if (SIM_CHANCE(sim, read_again)) {
        sonic__sim_hold_read(s->link, !s->side);
        return 0;
    }
    if (n > 1 && SIM_CHANCE(sim, short_read)) {
        n = 1 + (size_t)sonic__sim_rand_below(&sim->world, n - 1);
        sonic__sim_hold_read(s->link, !s->side);
    }
    return n;
}

static ssize_t
stream_read(struct sim_file *f, struct msghdr *m, int flags)
{
    struct sim_sock *s = sock_of(f);
    size_t want = sonic__sim_iov_len(m), n;

    if ((flags & MSG_OOB) != 0)
        return -EINVAL;
    if ((flags & MSG_ERRQUEUE) != 0)
        return -EAGAIN;
    m->msg_namelen = 0;
    m->msg_controllen = 0;
    m->msg_flags = 0;
    if (s->state == SIM_FRESH || s->state == SIM_LISTENING)
        return s->family == AF_UNIX ? -EINVAL : -ENOTCONN;
    if (want == 0 && readable(s))
        return 0;
    n = s->link != NULL ? read_size(s, want, flags) : 0;
    if (n > 0) {
        sonic__sim_lane_read(s->link, !s->side, m, n, (flags & MSG_PEEK) != 0);
        return (ssize_t)n;
    }
    if (s->link != NULL && s->family != AF_UNIX &&
        sonic__sim_lane_eof(in_lane(s)))
        return 0; /* the end came before any error: SOCK_DONE */
    if (s->err != 0)
        return sonic__sim_take_error(s);
    return at_end(s) ? 0 : -EAGAIN;
}

static size_t
write_size(struct sim_sock *s, size_t want)
{
    sonic_sim *sim = s->file.sim;
    uint64_t room = sonic__sim_lane_room(out_lane(s));
    size_t n = want < room ? want : (size_t)room;

    if (n == 0 || s->link->pipe)
        return n;
    if (SIM_CHANCE(sim, write_again)) {
        sonic__sim_hold_write(s->link, s->side);
        return 0;
    }
    if (n > 1 && SIM_CHANCE(sim, short_write)) {
        n = 1 + (size_t)sonic__sim_rand_below(&sim->world, n - 1);
        sonic__sim_hold_write(s->link, s->side);
    }
    return n;
}

/* Why nothing can be written for good, or 0. */
static int
write_error(struct sim_sock *s)
{
    if (s->family == AF_UNIX) {
        if (s->state == SIM_FRESH || s->state == SIM_LISTENING)
            return -ENOTCONN;
        return s->write_shut || s->link->end[!s->side] == NULL ? -EPIPE : 0;
    }
    if (s->err != 0)
        return sonic__sim_take_error(s);
    if (s->state == SIM_CONNECTING)
        return -EAGAIN;
    return s->write_shut || s->state != SIM_CONNECTED ? -EPIPE : 0;
}

static ssize_t
stream_write(struct sim_file *f, const struct msghdr *m, int flags)
{
    struct sim_sock *s = sock_of(f);
    size_t want = sonic__sim_iov_len(m), n;
    int err = write_error(s);

    if ((flags & MSG_OOB) != 0)
        return -EOPNOTSUPP;
    if (err < 0)
        return err;
    if (want == 0)
        return 0;
    n = write_size(s, want);
    if (n == 0) {
        s->no_space = true;
        return -EAGAIN;
    }
    err = sonic__sim_lane_write(s->link, s->side, m, n);
    if (n < want)
        s->no_space = true;
    return err < 0 ? err : (ssize_t)n;
}

static void
stream_hold(struct sim_file *f, bool full)
{
    struct sim_sock *s = sock_of(f);

    if (s->link != NULL && full)
        sonic__sim_hold_write(s->link, s->side);
    else if (s->link != NULL)
        sonic__sim_hold_read(s->link, !s->side);
}

const struct sim_ops sonic__sim_stream_ops = {
    .mask = stream_mask,
    .read = stream_read,
    .write = stream_write,
    .hold = stream_hold,
    .close = sonic__sim_sock_close,
    .socket = true,
};

/* ---- pipes: end 0 writes, end 1 reads ---- */

static uint32_t
pipe_mask(struct sim_file *f)
{
    struct sim_sock *s = sock_of(f);
    uint32_t mask = 0;

    if (s->side == 1) {
        mask |= readable(s) ? SIM_IN : 0;
        return mask | (s->link->end[0] == NULL ? EPOLLHUP : 0);
    }
    mask |= s->link->end[1] == NULL ? EPOLLERR : 0;
    return mask | out_bits(s);
}

static ssize_t
pipe_read(struct sim_file *f, struct msghdr *m, int flags)
{
    struct sim_sock *s = sock_of(f);
    size_t want = sonic__sim_iov_len(m), n;

    if (s->side == 0)
        return -EBADF;
    n = read_size(s, want, flags);
    if (n == 0)
        return want == 0 || s->link->end[0] == NULL ? 0 : -EAGAIN;
    sonic__sim_lane_read(s->link, 0, m, n, false);
    return (ssize_t)n;
}

static ssize_t
pipe_write(struct sim_file *f, const struct msghdr *m, int flags)
{
    struct sim_sock *s = sock_of(f);
    size_t want = sonic__sim_iov_len(m), n;
    int err;

    (void)flags;
    if (s->side == 1)
        return -EBADF;
    if (want == 0)
        return 0;
    if (s->link->end[1] == NULL)
        return -EPIPE;
    n = write_size(s, want);
    if (n < want && (want <= PIPE_BUF_SIZE || n == 0)) { /* pipe(7): whole */
        s->no_space = true;
        return -EAGAIN;
    }
    err = sonic__sim_lane_write(s->link, 0, m, n);
    return err < 0 ? err : (ssize_t)n;
}

const struct sim_ops sonic__sim_pipe_ops = {
    .mask = pipe_mask,
    .read = pipe_read,
    .write = pipe_write,
    .close = sonic__sim_sock_close,
};
