/* listen, accept and connect.  A TCP connection takes one and a half round
 * trips: SYN, SYN_ACK (the client is connected), SYN_ACKED (the server can
 * accept).  A SYN without an answer is repeated after 1, 2, 4 ... 32 s and
 * given up after 127 s in all, as with tcp_syn_retries = 6. */
#include "net.h"

#include <fcntl.h>

enum { SYN_TRIES = 7, MAX_BACKLOG = 4096 };

static void
send_handshake(struct sim_link *link, enum sim_what what, uint64_t arg)
{
    sonic__sim_after(
        link, 0, link->sim->now + sonic__sim_latency(link->sim, link->delay),
        what, arg);
}

static void
syn_unanswered(struct sim_link *link)
{
    int64_t again = link->sim->now + (SIM_S << link->tries);

    link->tries++;
    if (link->tries == SYN_TRIES)
        sonic__sim_after(link, 0, again, SIM_EV_FAILED, ETIMEDOUT);
    else
        sonic__sim_after(link, 0, again, SIM_EV_SYN, 0);
}

/* A SYN reaches the address that it was sent to. */
static void
syn(struct sim_link *link)
{
    sonic_sim *sim = link->sim;
    const struct sim_route *route = sonic__sim_find_route(sim, &link->to);
    enum sonic_sim_route what = route != NULL ? route->what : SONIC_SIM_NORMAL;
    struct sim_sock *l = sonic__sim_find_listener(sim, &link->to, NULL);

    if (what == SONIC_SIM_BLACKHOLE || SIM_CHANCE(sim, lose))
        syn_unanswered(link);
    else if (what == SONIC_SIM_UNREACHABLE)
        send_handshake(link, SIM_EV_FAILED, EHOSTUNREACH);
    else if (what == SONIC_SIM_REFUSE || l == NULL || SIM_CHANCE(sim, refuse))
        send_handshake(link, SIM_EV_FAILED, ECONNREFUSED);
    else if (l->queued > l->backlog)
        syn_unanswered(link);
    else
        send_handshake(link, SIM_EV_SYN_ACK, 0);
}

static void
syn_ack(struct sim_link *link)
{
    struct sim_sock *s = link->end[0];

    s->state = SIM_CONNECTED;
    sonic__sim_link_up(link);
    /* Everything that the client sends comes after this. */
    link->lane[0].last =
        link->sim->now + sonic__sim_latency(link->sim, link->delay);
    sonic__sim_after(link, 0, link->lane[0].last, SIM_EV_SYN_ACKED, 0);
    sonic__sim_wake(&s->file, 0);
}

static void
failed(struct sim_link *link, int err)
{
    struct sim_sock *s = link->end[0];

    link->end[0] = NULL;
    s->link = NULL;
    s->state = SIM_DEAD;
    s->err = err;
    s->read_shut = s->write_shut = true;
    sonic__sim_wake(&s->file, EPOLLERR);
    sonic__sim_wake(&s->file, 0);
    sonic__sim_link_unref(link);
}

/* The server's end, in the listener's queue until it is accepted. */
static int
enqueue(struct sim_sock *listener, struct sim_link *link)
{
    struct sim_sock *s = sonic__sim_sock_new(
        listener->file.sim, listener->family, SOCK_STREAM, O_RDWR);

    if (s == NULL)
        return -ENOMEM;
    if (sonic__sim_option_copy(s, listener) < 0) {
        sonic__sim_sock_free(s);
        return -ENOMEM;
    }
    s->state = SIM_CONNECTED;
    s->announced = true;
    sonic__sim_join(link, 1, s);
    sonic__sim_link_limits(link);
    sim_list_push(&listener->queue, &s->queued_in);
    listener->queued++;
    return 0;
}

static void
syn_acked(struct sim_link *link, const struct sim_name *from)
{
    sonic_sim *sim = link->sim;
    struct sim_sock *l = sonic__sim_find_listener(sim, &link->to, NULL);
    struct sim_sock *s;
    struct sim_ip ip;

    if (l == NULL) {
        sonic__sim_lane_reset(link, 1, ECONNRESET);
        return;
    }
    if (enqueue(l, link) < 0) {
        sim->sick = -ENOMEM;
        return;
    }
    s = link->end[1];
    if (sonic__sim_name_ip(&link->to, &ip))
        sonic__sim_name_from_ip(&s->local, s->family, &ip);
    if (sonic__sim_name_ip(from, &ip))
        sonic__sim_name_from_ip(&s->remote, s->family, &ip);
    sonic__sim_wake(&l->file, SIM_IN);
}

void
sonic__sim_connect_event(const struct sim_event *ev)
{
    struct sim_link *link = ev->link;

    if (ev->what == SIM_EV_SYN_ACKED) {
        syn_acked(link, &link->from);
        return;
    }
    if (link->end[0] == NULL)
        return; /* the client gave up */
    if (ev->what == SIM_EV_SYN)
        syn(link);
    else if (ev->what == SIM_EV_SYN_ACK)
        syn_ack(link);
    else
        failed(link, (int)ev->arg);
}

void
sonic__sim_stop_listening(struct sim_sock *s)
{
    while (!sim_list_empty(&s->queue)) {
        struct sim_sock *c =
            SIM_ITEM(s->queue.next, struct sim_sock, queued_in);

        c->abort = true;
        sonic__sim_sock_free(c);
    }
    s->queued = 0;
}

static int
start_listening(struct sim_sock *s, int backlog)
{
    int err;

    if (s->state != SIM_FRESH && s->state != SIM_LISTENING)
        return -EINVAL;
    if (s->family == AF_UNIX && s->local.len == 0)
        return -EINVAL;
    if (s->local.len == 0 && (err = sonic__sim_autobind(s, NULL)) < 0)
        return err;
    if (s->state == SIM_FRESH && (err = sonic__sim_listen_clash(s)) < 0)
        return err;
    s->backlog =
        backlog < 0 || backlog > MAX_BACKLOG ? MAX_BACKLOG : (unsigned)backlog;
    s->state = SIM_LISTENING;
    return 0;
}

int
sonic__sim_listen(int fd, int backlog, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_LISTEN, fd, backlog);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0)
        err = s->udp != NULL ? -EOPNOTSUPP : start_listening(s, backlog);
    return (int)sonic__sim_end(sim, err);
}

static struct sim_sock *
dequeue(struct sim_sock *l)
{
    struct sim_sock *s = SIM_ITEM(l->queue.next, struct sim_sock, queued_in);

    sim_list_remove(&s->queued_in);
    l->queued--;
    return s;
}

static int
accept_from(struct sim_sock *l, struct sockaddr *a, socklen_t *n, int flags)
{
    sonic_sim *sim = l->file.sim;
    int64_t deadline = sonic__sim_option_deadline(l, SO_RCVTIMEO);
    struct sim_sock *s;
    int err;

    if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0)
        return -EINVAL;
    if (!sonic__sim_fd_left(sim)) /* so early: see do_accept() */
        return -EMFILE;
    if (l->udp != NULL)
        return -EOPNOTSUPP;
    if (l->state != SIM_LISTENING)
        return -EINVAL;
    if (SIM_CHANCE(sim, eintr))
        return -EINTR;
    while (l->queued == 0) {
        if (!sonic__sim_blocks(&l->file, 0))
            return -EAGAIN;
        err = sonic__sim_wait(sim, deadline);
        if (err < 0)
            return err == -ETIMEDOUT ? -EAGAIN : err;
    }
    if (SIM_CHANCE(sim, accept_full))
        return -EMFILE;
    s = dequeue(l);
    if (SIM_CHANCE(sim, accept_abort)) {
        s->abort = true;
        sonic__sim_sock_free(s);
        return -ECONNABORTED;
    }
    s->file.flags = O_RDWR | ((flags & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0);
    err = sonic__sim_install(&s->file);
    if (err < 0) {
        s->abort = true;
        sonic__sim_sock_free(s);
    } else if (a != NULL) {
        sonic__sim_name_out(&s->remote, s->family, a, n);
    }
    return err;
}

int
sonic__sim_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags,
                   void *ud)
{
    sonic_sim *sim = ud;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_ACCEPT, fd, flags);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0)
        err = accept_from(s, a, n, flags);
    return (int)sonic__sim_end(sim, err);
}

/* ---- connect ---- */

static int
connect_unix(struct sim_sock *s, const struct sim_name *to)
{
    sonic_sim *sim = s->file.sim;
    int64_t deadline = sonic__sim_option_deadline(s, SO_SNDTIMEO);
    struct sim_link *link;
    struct sim_sock *l;
    bool exists;
    int err;

    for (;;) {
        l = sonic__sim_find_listener(sim, to, &exists);
        if (l == NULL)
            return exists ? -ECONNREFUSED
                          : (to->un.sun_path[0] != 0 ? -ENOENT : -ECONNREFUSED);
        if (l->queued <= l->backlog)
            break;
        if (!sonic__sim_blocks(&s->file, 0))
            return -EAGAIN;
        err = sonic__sim_wait(sim, deadline);
        if (err < 0)
            return err == -ETIMEDOUT ? -EAGAIN : err;
    }
    if (s->state != SIM_FRESH)
        return s->state == SIM_LISTENING ? -EINVAL : -EISCONN;
    link = sonic__sim_link_new(sim, true);
    if (link == NULL)
        return -ENOMEM;
    err = enqueue(l, link);
    if (err == 0) {
        sonic__sim_join(link, 0, s);
        s->state = SIM_CONNECTED;
        s->announced = true;
        s->remote = *to;
        link->end[1]->local = l->local;
        link->end[1]->remote = s->local;
        sonic__sim_link_up(link);
        sonic__sim_wake(&l->file, SIM_IN);
        sonic__sim_wake(&s->file, 0);
    }
    sonic__sim_link_unref(link);
    return err;
}

static int
start_connecting(struct sim_sock *s, const struct sim_name *to)
{
    sonic_sim *sim = s->file.sim;
    const struct sim_route *route = sonic__sim_find_route(sim, to);
    struct sim_link *link;
    int err;

    if (route != NULL && route->what == SONIC_SIM_NO_ROUTE)
        return -ENETUNREACH;
    if ((err = sonic__sim_autobind(s, to)) < 0)
        return err;
    link = sonic__sim_link_new(sim, false);
    if (link == NULL)
        return -ENOBUFS;
    link->delay = route != NULL ? route->delay : 0;
    link->to = *to;
    link->from = s->local;
    s->remote = *to;
    s->state = SIM_CONNECTING;
    s->announced = false;
    s->read_shut = s->write_shut = false;
    sonic__sim_join(link, 0, s);
    send_handshake(link, SIM_EV_SYN, 0);
    sonic__sim_link_unref(link);
    return -EINPROGRESS;
}

/* What connect says to a socket that has been asked to connect before. */
static int
connect_again(struct sim_sock *s)
{
    int err;

    if (s->announced || s->state == SIM_LISTENING)
        return -EISCONN;
    if (s->state == SIM_CONNECTING)
        return -EALREADY;
    s->announced = true;
    if (s->state == SIM_CONNECTED)
        return 0;
    err = s->err != 0 ? sonic__sim_take_error(s) : -ECONNABORTED;
    s->state = SIM_FRESH;
    return err;
}

static int
connect_tcp(struct sim_sock *s, const struct sim_name *to)
{
    int64_t deadline = sonic__sim_option_deadline(s, SO_SNDTIMEO);
    int err;

    err = s->state == SIM_FRESH ? start_connecting(s, to) : connect_again(s);
    if ((err != -EINPROGRESS && err != -EALREADY) ||
        !sonic__sim_blocks(&s->file, 0))
        return err;
    while (s->state == SIM_CONNECTING) {
        err = sonic__sim_wait(s->file.sim, deadline);
        if (err < 0)
            return err == -ETIMEDOUT ? -EINPROGRESS : err;
    }
    return connect_again(s);
}

int
sonic__sim_connect(int fd, const struct sockaddr *a, socklen_t n, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_name to;
    struct sim_sock *s;
    int err = sonic__sim_begin(sim, SONIC_SIM_CONNECT, fd, n);

    if (err == 0)
        err = sonic__sim_sock(sim, fd, &s);
    if (err == 0 && s->udp != NULL)
        err = sonic__sim_udp_connect(s, a, n);
    else if (err == 0 && (err = sonic__sim_name_to(s, &to, a, n)) == 0)
        err = s->family == AF_UNIX ? connect_unix(s, &to) : connect_tcp(s, &to);
    return (int)sonic__sim_end(sim, err);
}
