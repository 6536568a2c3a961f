/* The door: what other threads may touch.
 *
 * Posts are pushed on a stack with one compare-and-swap and taken off all at
 * once with one exchange, so there is no ABA and no lock.  Used nodes go back
 * the same way, in batches, to several stacks in turn: a poster that is
 * preempted while it holds one stack leaves the others.  A poster wakes the
 * loop only when the loop said that it sleeps, so posts that come together cost
 * one wake-up.
 *
 * The door and its eventfd outlive the io while a worker holds the door.
 */
#include "reactor/reactor.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include "base/mem.h"

enum { BATCH = 64 };

static void
push(_Atomic(struct sonic__post *) *stack, struct sonic__post *first,
     struct sonic__post *last)
{
    last->next = atomic_load_explicit(stack, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        stack, &last->next, first, memory_order_seq_cst, memory_order_relaxed))
        ;
}

/* The same with batches; the last one's link is set. */
static void
push_batches(_Atomic(struct sonic__post *) *stack, struct sonic__post *first)
{
    struct sonic__post *last = first;

    while (last->batch != NULL)
        last = last->batch;
    last->batch = atomic_load_explicit(stack, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        stack, &last->batch, first, memory_order_release, memory_order_relaxed))
        ;
}

static void
write_eventfd(struct sonic__door *d)
{
    uint64_t one = 1;
    struct iovec v = {&one, sizeof one};

    /* EAGAIN: 2^64 - 2 wake-ups are waiting already. */
    while (d->sys->writev(d->eventfd, &v, 1, d->sys->ud) == -EINTR)
        ;
}

/* After something was put where the loop looks. */
static void
wake(struct sonic__door *d)
{
    atomic_store(&d->knocked, true);
    if (atomic_exchange(&d->sleeping, false))
        write_eventfd(d);
}

static void
waker_run(struct sonic__object *o)
{
    uint64_t count;
    struct iovec v = {&count, sizeof count};

    if (!(o->ready & SONIC__READ) || (o->flags & SONIC__CLOSED))
        return;
    if (o->io->sys->readv(o->fd, &v, 1, o->io->sys->ud) > 0)
        o->io->stats.wakeups++;
    sonic__await(o, SONIC__READ);
}

static void
waker_close(struct sonic__object *o)
{
    sonic__object_detach(o); /* the door closes it */
}

static void
waker_destroy(struct sonic__object *o)
{
    (void)o; /* lies in the door */
}

static const struct sonic__class waker_class = {
    .name = "waker",
    .run = waker_run,
    .close = waker_close,
    .destroy = waker_destroy,
};

int
sonic__door_new(sonic_io *io)
{
    struct sonic__door *d = sonic__alloc(io, sizeof *d);
    int err = -ENOMEM;

    if (d == NULL)
        return err;
    err = sonic__object_init(io, &d->waker, &waker_class);
    if (err < 0)
        goto fail;
    d->waker.flags |= SONIC__INTERNAL;
    err = io->sys->eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC, io->sys->ud);
    if (err < 0)
        goto fail;
    d->eventfd = err;
    err = sonic__object_watch(&d->waker, d->eventfd);
    if (err < 0)
        goto fail_fd;
    sonic__await(&d->waker, SONIC__READ);
    d->sys = io->sys;
    d->mem = io->mem;
    io->door = d;
    atomic_init(&d->holders, 1);
    atomic_init(&d->sleeping, true);
    return 0;

fail_fd:
    io->sys->close(d->eventfd, io->sys->ud);
fail:
    sonic__free(io, d, sizeof *d);
    return err;
}

static void
free_posts(struct sonic__door *d, struct sonic__post *p)
{
    while (p != NULL) {
        struct sonic__post *next = p->next;

        d->mem.free(p, sizeof *p, d->mem.ud);
        p = next;
    }
}

static void
free_batches(struct sonic__door *d, struct sonic__post *p)
{
    while (p != NULL) {
        struct sonic__post *next = p->batch;

        free_posts(d, p);
        p = next;
    }
}

void
sonic__door_hold(struct sonic__door *d)
{
    atomic_fetch_add(&d->holders, 1);
}

void
sonic__door_drop(struct sonic__door *d)
{
    struct sonic__job *job, *next;
    sonic_mem mem = d->mem;

    if (atomic_fetch_sub(&d->holders, 1) != 1)
        return;
    for (job = atomic_exchange(&d->jobs, NULL); job != NULL; job = next) {
        next = job->next;
        job->done(job, NULL);
    }
    free_posts(d, atomic_exchange(&d->posts, NULL));
    for (unsigned i = 0; i < SONIC__SPARE_SHARDS; i++)
        free_batches(d, atomic_exchange(&d->spare[i], NULL));
    d->sys->close(d->eventfd, d->sys->ud);
    mem.free(d, sizeof *d, mem.ud);
}

/* The io is going: nobody is woken from here on. */
void
sonic__door_shut(sonic_io *io)
{
    struct sonic__door *d = io->door;

    atomic_store(&d->shut, true);
    free_posts(d, io->posts);
    free_posts(d, io->used_posts);
    io->posts = io->used_posts = NULL;
    io->door = NULL;
    sonic__door_drop(d);
}

/* A worker has finished a job. */
void
sonic__door_job_done(struct sonic__door *d, struct sonic__job *job)
{
    job->next = atomic_load_explicit(&d->jobs, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&d->jobs, &job->next, job))
        ;
    wake(d);
}

static void
report_jobs(sonic_io *io)
{
    struct sonic__job *job, *next;

    if (atomic_load_explicit(&io->door->jobs, memory_order_relaxed) == NULL)
        return;
    for (job = atomic_exchange(&io->door->jobs, NULL); job; job = next) {
        next = job->next;
        job->done(job, io);
    }
}

/* Nobody runs the loop now: whoever waits for sonic_io_fd is to see what was
 * posted meanwhile. */
void
sonic__door_wake_self(sonic_io *io)
{
    if (!sonic__door_sleep(io->door))
        write_eventfd(io->door);
}

void
sonic__posts_take(sonic_io *io)
{
    struct sonic__door *d = io->door;
    struct sonic__post *p, *oldest_first = NULL;

    atomic_store(&d->knocked, false); /* first: what comes now knocks again */
    if (atomic_load(&d->stop) && !io->closed)
        io->allowed = 0;
    report_jobs(io);
    if (io->posts != NULL ||
        atomic_load_explicit(&d->posts, memory_order_relaxed) == NULL)
        return;
    p = atomic_exchange(&d->posts, NULL);
    while (p != NULL) {
        struct sonic__post *next = p->next;

        p->next = oldest_first;
        oldest_first = p;
        p = next;
    }
    io->posts = oldest_first;
}

/* Before the last of them runs: it may post. */
static void
give_back(sonic_io *io)
{
    unsigned shard = io->used_shard++ % SONIC__SPARE_SHARDS;

    io->used_posts->batch = NULL;
    push_batches(&io->door->spare[shard], io->used_posts);
    io->used_posts = NULL;
    io->used_n = 0;
}

void
sonic__post_run(sonic_io *io)
{
    struct sonic__post *p = io->posts;
    sonic_post_fn *fn = p->fn;
    void *ud = p->ud;

    io->posts = p->next;
    p->next = io->used_posts;
    io->used_posts = p;
    if (++io->used_n == BATCH || io->posts == NULL)
        give_back(io);
    atomic_fetch_sub(&io->door->posted, 1);
    sonic__op_begin(io);
    sonic__complete_begin(io);
    fn(io, ud);
    sonic__complete_end(io);
}

/* Take the first node of the first batch and put the rest back: at once when
 * nothing came in between. */
static struct sonic__post *
take_from(_Atomic(struct sonic__post *) *stack)
{
    struct sonic__post *p, *rest, *none = NULL;

    if (atomic_load_explicit(stack, memory_order_relaxed) == NULL)
        return NULL;
    p = atomic_exchange_explicit(stack, NULL, memory_order_acquire);
    if (p == NULL)
        return NULL;
    rest = p->batch;
    if (p->next != NULL) {
        rest = p->next;
        rest->batch = p->batch;
    }
    if (rest != NULL &&
        !atomic_compare_exchange_strong_explicit(
            stack, &none, rest, memory_order_release, memory_order_relaxed))
        push_batches(stack, rest);
    return p;
}

/* A node: a spare one, or new. */
static struct sonic__post *
take_node(struct sonic__door *d)
{
    for (unsigned i = 0; i < SONIC__SPARE_SHARDS; i++) {
        struct sonic__post *p = take_from(&d->spare[i]);

        if (p != NULL)
            return p;
    }
    return d->mem.alloc(sizeof(struct sonic__post), d->mem.ud);
}

int
sonic_io_post(sonic_io *io, sonic_post_fn *fn, void *ud)
{
    struct sonic__door *d = io->door;
    struct sonic__post *p;

    if (atomic_load(&d->shut))
        return SONIC_ECLOSED;
    p = take_node(d);
    if (p == NULL)
        return -ENOMEM;
    p->fn = fn;
    p->ud = ud;
    atomic_fetch_add(&d->posted, 1);
    push(&d->posts, p, p);
    wake(d);
    return 0;
}

size_t
sonic_io_posted(const sonic_io *io)
{
    return atomic_load(&io->door->posted);
}

/* In a signal handler too, hence errno. */
void
sonic_io_stop(sonic_io *io)
{
    int saved = errno;

    atomic_store(&io->door->stop, true);
    wake(io->door);
    errno = saved;
}

void
sonic_io_restart(sonic_io *io)
{
    atomic_store(&io->door->stop, false);
}

bool
sonic_io_stopped(const sonic_io *io)
{
    return atomic_load(&io->door->stop);
}
