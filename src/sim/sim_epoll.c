/* epoll(7) as fs/eventpoll.c does it: a wake-up puts a watch on the ready
 * list; a wait takes it off, looks what is ready now, and reports that.  Edge
 * triggered means: it is not put back.  Level triggered: at the end. */
#include "world.h"

#include <fcntl.h>
#include <poll.h>

/* Bits of events that are not conditions. */
#define MODES (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)
#define ALWAYS (EPOLLERR | EPOLLHUP)

static void
make_ready(struct sim_watch *w)
{
    if (sim_list_empty(&w->in_ready))
        sim_list_push(&w->ep->ready, &w->in_ready);
}

void
sonic__sim_wake(struct sim_file *f, uint32_t key)
{
    struct sim_list *l;
    bool one_woken = false;

    for (l = f->watches.next; l != &f->watches; l = l->next) {
        struct sim_watch *w = SIM_ITEM(l, struct sim_watch, of_file);
        bool one = (w->events & EPOLLEXCLUSIVE) != 0;

        if ((w->events & ~(uint32_t)MODES) == 0 ||
            (key != 0 && (w->events & key) == 0) || (one && one_woken))
            continue;
        make_ready(w);
        one_woken |= one;
    }
}

static void
unwatch(struct sim_watch *w)
{
    sim_list_remove(&w->of_epoll);
    sim_list_remove(&w->of_file);
    sim_list_remove(&w->in_ready);
    sonic__sim_put(w->ep->file.sim, w, sizeof *w);
}

void
sonic__sim_unwatch(struct sim_file *f)
{
    while (!sim_list_empty(&f->watches))
        unwatch(SIM_ITEM(f->watches.next, struct sim_watch, of_file));
}

static void
epoll_close(struct sim_file *f)
{
    struct sim_epoll *ep = SIM_ITEM(f, struct sim_epoll, file);

    while (!sim_list_empty(&ep->watches))
        unwatch(SIM_ITEM(ep->watches.next, struct sim_watch, of_epoll));
    sonic__sim_put(f->sim, ep, sizeof *ep);
}

static uint32_t
ready_events(const struct sim_watch *w)
{
    return w->file->ops->mask(w->file) & w->events & ~(uint32_t)MODES;
}

static uint32_t
epoll_mask(struct sim_file *f)
{
    struct sim_epoll *ep = SIM_ITEM(f, struct sim_epoll, file);
    struct sim_list *l;

    for (l = ep->ready.next; l != &ep->ready; l = l->next) {
        if (ready_events(SIM_ITEM(l, struct sim_watch, in_ready)) != 0)
            return SIM_IN;
    }
    return 0;
}

static const struct sim_ops epoll_ops = {
    .mask = epoll_mask,
    .close = epoll_close,
};

int
sonic__sim_epoll_create1(int flags, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_epoll *ep = NULL;
    int err = sonic__sim_begin(sim, SONIC_SIM_EPOLL_CREATE1, -1, flags);

    if (err == 0 && (flags & ~EPOLL_CLOEXEC) != 0)
        err = -EINVAL;
    if (err == 0 && (ep = sonic__sim_get(sim, sizeof *ep)) == NULL)
        err = -ENOMEM;
    if (err == 0) {
        sonic__sim_file_init(&ep->file, sim, &epoll_ops, O_RDWR);
        sim_list_init(&ep->watches);
        sim_list_init(&ep->ready);
        err = sonic__sim_install(&ep->file);
        if (err < 0)
            sonic__sim_put(sim, ep, sizeof *ep);
    }
    return (int)sonic__sim_end(sim, err);
}

static int
get_epoll(sonic_sim *sim, int epfd, struct sim_epoll **ep)
{
    struct sim_file *f;
    int err = sonic__sim_file(sim, epfd, &f);

    if (err == 0 && f->ops != &epoll_ops)
        err = -EINVAL;
    if (err == 0)
        *ep = SIM_ITEM(f, struct sim_epoll, file);
    return err;
}

static struct sim_watch *
find(const struct sim_epoll *ep, const struct sim_file *f)
{
    struct sim_list *l;

    for (l = f->watches.next; l != &f->watches; l = l->next) {
        struct sim_watch *w = SIM_ITEM(l, struct sim_watch, of_file);

        if (w->ep == ep)
            return w;
    }
    return NULL;
}

static int
add(struct sim_epoll *ep, struct sim_file *f, const struct epoll_event *ev)
{
    struct sim_watch *w = sonic__sim_get(f->sim, sizeof *w);

    if (w == NULL)
        return -ENOMEM;
    w->ep = ep;
    w->file = f;
    w->events = ev->events | ALWAYS;
    w->data = ev->data;
    sim_list_init(&w->in_ready);
    sim_list_push(&ep->watches, &w->of_epoll);
    sim_list_push(&f->watches, &w->of_file);
    if (ready_events(w) != 0)
        make_ready(w);
    return 0;
}

static int
modify(struct sim_watch *w, const struct epoll_event *ev)
{
    if ((w->events & EPOLLEXCLUSIVE) != 0 || (ev->events & EPOLLEXCLUSIVE) != 0)
        return -EINVAL;
    w->events = ev->events | ALWAYS;
    w->data = ev->data;
    if (ready_events(w) != 0)
        make_ready(w);
    return 0;
}

static int
control(struct sim_epoll *ep, int op, struct sim_file *f,
        const struct epoll_event *ev)
{
    struct sim_watch *w = find(ep, f);

    if (f->ops == &epoll_ops)
        return -EINVAL; /* not nested here */
    if (f->ops->mask == NULL)
        return -EPERM;
    switch (op) {
    case EPOLL_CTL_ADD:
        return w != NULL ? -EEXIST : add(ep, f, ev);
    case EPOLL_CTL_MOD:
        return w == NULL ? -ENOENT : modify(w, ev);
    case EPOLL_CTL_DEL:
        if (w == NULL)
            return -ENOENT;
        unwatch(w);
        return 0;
    default:
        return -EINVAL;
    }
}

int
sonic__sim_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_epoll *ep;
    struct sim_file *f;
    int err = sonic__sim_begin(sim, SONIC_SIM_EPOLL_CTL, fd, op);

    if (err == 0)
        err = sonic__sim_file(sim, fd, &f);
    if (err == 0)
        err = get_epoll(sim, epfd, &ep);
    if (err == 0)
        err = control(ep, op, f, ev);
    return (int)sonic__sim_end(sim, err);
}

static int
collect(struct sim_epoll *ep, struct epoll_event *ev, int max)
{
    struct sim_list taken;
    int n = 0;

    if (sim_list_empty(&ep->ready))
        return 0;
    taken = ep->ready; /* those that come back wait for the next call */
    taken.next->prev = taken.prev->next = &taken;
    sim_list_init(&ep->ready);
    while (!sim_list_empty(&taken) && n < max) {
        struct sim_watch *w = SIM_ITEM(taken.next, struct sim_watch, in_ready);
        uint32_t events = ready_events(w);

        sim_list_remove(&w->in_ready);
        if (events == 0)
            continue;
        ev[n].events = events;
        ev[n].data = w->data;
        n++;
        if ((w->events & EPOLLONESHOT) != 0)
            w->events &= MODES;
        else if ((w->events & EPOLLET) == 0)
            sim_list_push(&ep->ready, &w->in_ready);
    }
    while (!sim_list_empty(&taken)) { /* no room for these: first next time */
        struct sim_list *l = taken.prev;

        sim_list_remove(l);
        sim_list_push(ep->ready.next, l);
    }
    return n;
}

/* Let time pass for a wait with nothing to report.  0: look again. */
static int
pass(sonic_sim *sim, int64_t deadline)
{
    int err;

    if (sim->now >= deadline)
        return -ETIMEDOUT;
    if (deadline != INT64_MAX && SIM_CHANCE(sim, spurious_wait))
        return -ETIMEDOUT;
    err = sonic__sim_wait(sim, deadline);
    if (SIM_CHANCE(sim, clock_jump)) {
        uint64_t jump = (uint64_t)sim->opt.jump + 1;

        sim->now += (int64_t)sonic__sim_rand_below(&sim->world, jump);
        sonic__sim_run_due(sim);
    }
    return err;
}

static int
epoll_wait_in(sonic_sim *sim, struct sim_epoll *ep, struct epoll_event *ev,
              int max, int64_t timeout)
{
    int64_t deadline = sonic__sim_deadline(sim, timeout);

    if (max <= 0)
        return -EINVAL;
    for (;;) {
        int n = collect(ep, ev, max);

        if (n > 0)
            return n;
        if (timeout != 0 && SIM_CHANCE(sim, eintr))
            return -EINTR;
        n = pass(sim, deadline);
        if (n == -ETIMEDOUT)
            return collect(ep, ev, max);
        if (n < 0)
            return n;
    }
}

int
sonic__sim_epoll_wait(int epfd, struct epoll_event *ev, int max,
                      int64_t timeout, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_epoll *ep;
    int r = sonic__sim_begin(sim, SONIC_SIM_EPOLL_WAIT, epfd, timeout);

    if (r == 0)
        r = get_epoll(sim, epfd, &ep);
    if (r == 0)
        r = epoll_wait_in(sim, ep, ev, max, timeout);
    if (r > 0)
        sim->count.events += (uint64_t)r;
    return (int)sonic__sim_end(sim, r);
}

static int
look(sonic_sim *sim, struct pollfd *fds, nfds_t n)
{
    int ready = 0;
    nfds_t i;

    for (i = 0; i < n; i++) {
        struct pollfd *p = &fds[i];
        uint32_t mask = 0, want = (uint16_t)p->events | ALWAYS;

        p->revents = 0;
        if (p->fd < 0)
            continue;
        if ((size_t)p->fd >= sim->files_max || sim->files[p->fd] == NULL) {
            p->revents = POLLNVAL;
            sim->count.bad_fd++;
        } else if (sim->files[p->fd]->ops->mask != NULL) {
            mask = sim->files[p->fd]->ops->mask(sim->files[p->fd]);
            p->revents = (short)(mask & want);
        } else {
            p->revents = (short)(want & (SIM_IN | SIM_OUT));
        }
        ready += p->revents != 0;
    }
    return ready;
}

int
sonic__sim_poll(struct pollfd *fds, nfds_t n, int64_t timeout, void *ud)
{
    sonic_sim *sim = ud;
    int err = sonic__sim_begin(sim, SONIC_SIM_POLL, (int)n, timeout);
    int64_t deadline = sonic__sim_deadline(sim, timeout);
    int ready = 0;

    while (err == 0) {
        ready = look(sim, fds, n);
        if (ready > 0)
            break;
        if (timeout != 0 && SIM_CHANCE(sim, eintr))
            err = -EINTR;
        else
            err = pass(sim, deadline);
    }
    if (err == -ETIMEDOUT) {
        ready = look(sim, fds, n);
        err = 0;
    }
    sim->count.events += (uint64_t)ready;
    return (int)sonic__sim_end(sim, err < 0 ? err : ready);
}
