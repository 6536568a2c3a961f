/* Sockets and pipes: made, shut down, closed. */
#include "net.h"

#include <fcntl.h>
#include <netinet/in.h>

struct sim_sock *
sonic__sim_sock_new(sonic_sim *sim, int family, int type, int flags)
{
    const struct sim_ops *ops = family == 0          ? &sonic__sim_pipe_ops
                                : type == SOCK_DGRAM ? &sonic__sim_dgram_ops
                                                     : &sonic__sim_stream_ops;
    struct sim_sock *s = sonic__sim_get(sim, sizeof *s);

    if (s == NULL)
        return NULL;
    sonic__sim_file_init(&s->file, sim, ops, flags);
    s->family = family;
    if (type == SOCK_DGRAM && sonic__sim_udp_new(s) < 0) {
        sonic__sim_put(sim, s, sizeof *s);
        return NULL;
    }
    s->send_buffer = family == 0 ? sim->opt.pipe_buffer : sim->opt.send_buffer;
    s->receive_buffer = sim->opt.receive_buffer;
    sim_list_init(&s->bound);
    sim_list_init(&s->queue);
    sim_list_init(&s->queued_in);
    return s;
}

void
sonic__sim_join(struct sim_link *link, unsigned side, struct sim_sock *s)
{
    link->refs++;
    link->end[side] = s;
    s->link = link;
    s->side = side;
}

/* Let go of the link as close(2) does. */
static void
leave(struct sim_sock *s)
{
    struct sim_link *link = s->link;
    struct sim_lane *in = &link->lane[!s->side];
    bool unread = in->arrived > in->read;
    bool abort = unread || s->abort ||
                 (s->family != AF_UNIX && sonic__sim_linger_resets(s));

    link->end[s->side] = NULL;
    if (s->family == 0) {
        if (link->end[!s->side] != NULL)
            sonic__sim_wake(&link->end[!s->side]->file, 0);
    } else if (link->up && s->state == SIM_CONNECTED) {
        if (!abort || s->family == AF_UNIX)
            sonic__sim_lane_fin(link, s->side, true);
        if (abort)
            sonic__sim_lane_reset(link, s->side, ECONNRESET);
    }
    sonic__sim_lane_abandon(link, !s->side);
    s->link = NULL;
    sonic__sim_link_record(link);
    sonic__sim_link_unref(link);
}

void
sonic__sim_sock_free(struct sim_sock *s)
{
    sonic_sim *sim = s->file.sim;

    sim_list_remove(&s->queued_in);
    if (s->state == SIM_LISTENING)
        sonic__sim_stop_listening(s);
    if (s->link != NULL)
        leave(s);
    if (s->udp != NULL)
        sonic__sim_udp_close(s);
    sonic__sim_unbind(s);
    sonic__sim_option_free(s);
    sonic__sim_put(sim, s, sizeof *s);
}

void
sonic__sim_sock_close(struct sim_file *f)
{
    sonic__sim_sock_free(SIM_ITEM(f, struct sim_sock, file));
}

static int
check_type(int domain, int type, int protocol)
{
    int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
        return -EAFNOSUPPORT;
    if (kind != SOCK_STREAM && (kind != SOCK_DGRAM || domain == AF_UNIX))
        return -ESOCKTNOSUPPORT;
    if (protocol != 0 &&
        (domain == AF_UNIX ||
         protocol != (kind == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP)))
        return -EPROTONOSUPPORT;
    return 0;
}

static int
file_flags(int type)
{
    return O_RDWR | ((type & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0);
}

static int
make_socket(sonic_sim *sim, int domain, int type)
{
    int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct sim_sock *s =
        sonic__sim_sock_new(sim, domain, kind, file_flags(type));
    int fd;

    if (s == NULL)
        return -ENOBUFS;
    fd = sonic__sim_install(&s->file);
    if (fd < 0)
        sonic__sim_sock_free(s);
    return fd;
}

int
sonic__sim_socket(int domain, int type, int protocol, void *ud)
{
    sonic_sim *sim = ud;
    int fd = sonic__sim_begin(sim, SONIC_SIM_SOCKET, domain, type);

    if (fd == 0)
        fd = check_type(domain, type, protocol);
    if (fd == 0 && SIM_CHANCE(sim, socket_nobufs))
        fd = -ENOBUFS;
    if (fd == 0)
        fd = make_socket(sim, domain, type);
    return (int)sonic__sim_end(sim, fd);
}

/* Two ends of a link that is up, and their descriptors. */
static int
make_pair(sonic_sim *sim, int family, int flags[2], int fd[2])
{
    struct sim_link *link = sonic__sim_link_new(sim, family != AF_INET);
    struct sim_sock *s[2] = {NULL, NULL};
    int err = -ENOMEM;
    unsigned i;

    if (link == NULL)
        return err;
    link->pipe = family == 0;
    for (i = 0; i < 2; i++) {
        s[i] = sonic__sim_sock_new(sim, family, SOCK_STREAM, flags[i]);
        if (s[i] == NULL)
            goto fail;
        sonic__sim_join(link, i, s[i]);
    }
    for (i = 0; i < 2; i++) { /* of a pipe, the reading end is first */
        err = fd[i] = sonic__sim_install(&s[family == 0 ? !i : i]->file);
        if (err < 0)
            goto fail;
    }
    s[0]->state = s[1]->state = SIM_CONNECTED;
    s[0]->announced = s[1]->announced = true;
    sonic__sim_link_up(link);
    sonic__sim_link_unref(link);
    return 0;
fail:
    for (i = 0; i < 2; i++) {
        if (s[i] == NULL)
            continue;
        if (s[i]->file.fd >= 0)
            sonic__sim_uninstall(&s[i]->file);
        sonic__sim_sock_free(s[i]);
    }
    sonic__sim_link_unref(link);
    return err;
}

int
sonic__sim_socketpair(int domain, int type, int protocol, int fd[2], void *ud)
{
    sonic_sim *sim = ud;
    int flags[2] = {file_flags(type), file_flags(type)};
    int err = sonic__sim_begin(sim, SONIC_SIM_SOCKETPAIR, domain, type);

    if (err == 0)
        err = check_type(domain, type, protocol);
    if (err == 0 && domain != AF_UNIX)
        err = -EOPNOTSUPP;
    if (err == 0 && SIM_CHANCE(sim, socket_nobufs))
        err = -ENOBUFS;
    if (err == 0)
        err = make_pair(sim, AF_UNIX, flags, fd);
    return (int)sonic__sim_end(sim, err);
}

int
sonic__sim_pipe2(int fd[2], int flags, void *ud)
{
    sonic_sim *sim = ud;
    int nonblock = flags & O_NONBLOCK;
    int of[2] = {O_WRONLY | nonblock, O_RDONLY | nonblock};
    int err = sonic__sim_begin(sim, SONIC_SIM_PIPE2, -1, flags);

    if (err == 0 && (flags & ~(O_NONBLOCK | O_CLOEXEC)) != 0)
        err = -EINVAL;
    if (err == 0)
        err = make_pair(sim, 0, of, fd);
    return (int)sonic__sim_end(sim, err);
}

int
sonic_sim_pair(sonic_sim *sim, int fd[2])
{
    struct sim_ip ip = {.addr = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
    int flags[2] = {O_RDWR | O_NONBLOCK, O_RDWR | O_NONBLOCK};
    struct sim_sock *s[2];
    int err = make_pair(sim, AF_INET, flags, fd);
    unsigned i;

    if (err < 0)
        return err;
    for (i = 0; i < 2; i++) {
        s[i] = SIM_ITEM(sim->files[fd[i]], struct sim_sock, file);
        ip.port = sonic__sim_next_port(sim);
        sonic__sim_name_from_ip(&s[i]->local, AF_INET, &ip);
    }
    s[0]->remote = s[1]->local;
    s[1]->remote = s[0]->local;
    return 0;
}

int
sonic_sim_reset_at(sonic_sim *sim, int fd, enum sonic_sim_direction dir,
                   uint64_t byte)
{
    struct sim_link *link;
    struct sim_sock *s;
    int err = sonic__sim_sock(sim, fd, &s);

    if (err < 0)
        return -EBADF;
    link = s->link;
    if (link == NULL || link->local || s->state == SIM_DEAD)
        return -ENOTCONN;
    link->cut_dir = dir == SONIC_SIM_SENT ? s->side : !s->side;
    if (link->lane[link->cut_dir].written > byte)
        return -EINVAL;
    link->cut_at = byte;
    if (link->up && link->lane[link->cut_dir].arrived == byte)
        sonic__sim_after(link, link->cut_dir, sim->now, SIM_EV_CUT, 0);
    return 0;
}

static int
shut_tcp(struct sim_sock *s, int how)
{
    if (s->state == SIM_LISTENING && how != SHUT_WR) {
        sonic__sim_stop_listening(s);
        s->state = SIM_FRESH;
        sonic__sim_wake(&s->file, 0);
        return 0;
    }
    if (s->state != SIM_CONNECTED)
        return -ENOTCONN;
    if (how != SHUT_WR)
        s->read_shut = true;
    if (how != SHUT_RD && !s->write_shut) {
        s->write_shut = true;
        sonic__sim_lane_fin(s->link, s->side, false);
    }
    sonic__sim_after(s->link, s->side, s->file.sim->now, SIM_EV_WAKE, 0);
    return 0;
}

static int
shut_unix(struct sim_sock *s, int how)
{
    struct sim_sock *peer = s->link != NULL ? s->link->end[!s->side] : NULL;

    s->read_shut |= how != SHUT_WR;
    if (how != SHUT_RD && !s->write_shut) {
        s->write_shut = true;
        if (peer != NULL)
            sonic__sim_lane_fin(s->link, s->side, false);
    }
    sonic__sim_wake(&s->file, 0);
    if (peer != NULL && how != SHUT_WR) {
        peer->write_shut = true;
        sonic__sim_wake(&peer->file, 0);
    }
    return 0;
}

int
sonic__sim_shutdown(int fd, int how, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_SHUTDOWN, fd, how);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0 && how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        err = -EINVAL;
    if (err == 0)
        err = s->udp != NULL         ? sonic__sim_udp_shutdown(s, how)
              : s->family == AF_UNIX ? shut_unix(s, how)
                                     : shut_tcp(s, how);
    return (int)sonic__sim_end(sim, err);
}
