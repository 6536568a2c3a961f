/* Connecting a stream: the name, the race of its addresses, and one deadline
 * over everything.  See connect.def.
 *
 * The operation and each attempt are objects of the io with descriptors of
 * their own; the stream sees a descriptor only when one of them has won. */
#include "net/stream.h"

#include "net/attempt.h"
#include "net/resolve.h"

#define TIMEOUT INT64_C(10000000000) /* ns, by default */
#define STAGGER INT64_C(250000000)   /* ns, by default: RFC 8305 section 5 */
#define RETRY INT64_C(5000000)       /* ns, for a unix socket's full backlog */

struct sonic__connect {
    struct sonic__object object; /* bits: the state; error: to be told */
    sonic_stream *stream;
    sonic_stream_fn *cb;
    void *ud;
    struct sonic__timer deadline, next;
    int64_t stagger, began;
    sonic_connect_timing *timing; /* may be NULL */
    struct sonic__resolve *resolve;
    const sonic_address *addresses;
    unsigned n, tried;
    struct sonic__attempt *attempts; /* under way */
    int won;                         /* -1, or a connected descriptor */
    struct sonic__address_parts to;
    struct sonic__plan plan;
};

typedef void fsm_act(struct sonic__connect *c);
static fsm_act act_end, act_resolve, act_attempt, act_expire, act_cancel,
    act_hand_over, act_tell, act_nothing, act_impossible;

#define FSM_NAME "connect"
#define FSM_DEF "net/connect.def"
#define FSM_INFO sonic__connect_fsm
#include <sonicio/fsm_build.h>

static void
step(struct sonic__connect *c, enum fsm_event e)
{
    fsm_step(&c->object.bits, e, NULL)->act(c);
}

/* Also outside the loop. */
static int64_t
clock_now(const sonic_io *io)
{
    return io->sys->clock(io->sys->ud);
}

static int64_t
deadline_after(sonic_io *io, int64_t ns)
{
    int64_t now = clock_now(io);

    return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

/* ---- the race --------------------------------------------------------- */

static void
on_deadline(struct sonic__timer *t)
{
    step((void *)((char *)t - offsetof(struct sonic__connect, deadline)),
         E_DEADLINE);
}

static void
on_next(struct sonic__timer *t)
{
    step((void *)((char *)t - offsetof(struct sonic__connect, next)),
         E_STAGGER);
}

static void
on_resolved(struct sonic__resolve *r, void *ud)
{
    struct sonic__connect *c = ud;

    c->addresses = r->found;
    c->n = r->n;
    c->object.error = r->err;
    if (c->timing != NULL) {
        int64_t now = clock_now(c->object.io);

        c->timing->resolve = now - c->began;
        c->timing->resolving = r->err < 0 || now >= c->deadline.deadline;
    }
    step(c, r->err < 0 ? E_UNRESOLVED : E_ADDRESSES);
}

static void
act_resolve(struct sonic__connect *c)
{
    int err = sonic__resolve_start(c->object.io, c->to.host, c->to.family,
                                   c->to.port, on_resolved, c, &c->resolve);

    if (c->timing != NULL)
        c->timing->resolving = true;
    if (err < 0) {
        c->object.error = err;
        step(c, E_UNRESOLVED);
    }
}

/* An attempt has ended. */
static void
on_attempt(struct sonic__attempt *a, int fd, void *ud)
{
    struct sonic__connect *c = ud;
    struct sonic__attempt **p = &c->attempts;

    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    sonic__attempt_free(a);
    if (fd >= 0) {
        c->won = fd;
        step(c, E_WON);
        return;
    }
    c->object.error = fd;
    step(c, c->attempts == NULL && c->tried == c->n ? E_ALL_LOST : E_LOST);
}

/* Start attempts until one is under way.  A unix socket whose backlog is full
 * says EAGAIN and will not say when it is not any more: ask again. */
static void
act_attempt(struct sonic__connect *c)
{
    sonic_io *io = c->object.io;
    struct sonic__attempt *a;

    sonic__timer_disarm(io, &c->next);
    while (c->tried < c->n) {
        int err = sonic__attempt_start(io, &c->plan, &c->addresses[c->tried++],
                                       on_attempt, c, &a);

        if (err >= 0) {
            c->won = err;
            step(c, E_WON);
            return;
        }
        if (err == -EINPROGRESS) {
            a->next = c->attempts;
            c->attempts = a;
            if (c->tried < c->n)
                sonic__timer_arm(io, &c->next, deadline_after(io, c->stagger));
            return;
        }
        c->object.error = err;
        if (err == -EAGAIN && c->to.kind == SONIC__ADDRESS_UNIX) {
            c->tried--;
            sonic__timer_arm(io, &c->next, deadline_after(io, RETRY));
            return;
        }
    }
    if (c->attempts == NULL)
        step(c, E_ALL_LOST);
}

/* Close what lost, and ask the loop for a turn. */
static void
act_end(struct sonic__connect *c)
{
    sonic_io *io = c->object.io;
    struct sonic__attempt *a;

    while ((a = c->attempts) != NULL) {
        c->attempts = a->next;
        sonic__attempt_free(a);
    }
    sonic__timer_disarm(io, &c->deadline);
    sonic__timer_disarm(io, &c->next);
    sonic__resolve_drop(c->resolve);
    c->resolve = NULL;
    sonic__defer(&c->object);
}

static void
act_expire(struct sonic__connect *c)
{
    c->object.error = -ETIMEDOUT;
    act_end(c);
}

static void
close_won(struct sonic__connect *c)
{
    const sonic_sys *sys = c->object.io->sys;

    if (c->won >= 0)
        sys->close(c->won, sys->ud);
    c->won = -1;
}

static void
act_cancel(struct sonic__connect *c)
{
    c->object.error = -ECANCELED;
    close_won(c);
    act_end(c);
}

static void
act_tell(struct sonic__connect *c)
{
    sonic_connect_timing *t = c->timing;
    sonic_io *io = c->object.io;

    if (t != NULL && c->object.error == 0)
        t->connect = clock_now(io) - c->began - t->resolve;
    if (t != NULL)
        t->attempts = c->tried;

    sonic__stream_set_connecting(c->stream, NULL);
    sonic__object_free(&c->object);
    sonic__complete_begin(io);
    c->cb(c->stream, c->object.error, 0, c->ud);
    sonic__complete_end(io);
}

static void
act_hand_over(struct sonic__connect *c)
{
    sonic__stream_set_connecting(c->stream, NULL);
    c->object.error = sonic__stream_attach(c->stream, c->won);
    if (c->object.error < 0)
        close_won(c);
    act_tell(c);
}

static void
act_nothing(struct sonic__connect *c)
{
    (void)c;
}

static void
act_impossible(struct sonic__connect *c)
{
    (void)c;
    assert(false && "connect.def: a cell that cannot happen");
}

/* ---- the operation ---------------------------------------------------- */

static void
connect_run(struct sonic__object *o)
{
    step((struct sonic__connect *)o, E_SPEAK);
}

static void
connect_close(struct sonic__object *o)
{
    step((struct sonic__connect *)o, E_CANCEL);
}

static void
connect_destroy(struct sonic__object *o)
{
    struct sonic__connect *c = (struct sonic__connect *)o;

    sonic__timer_fini(o->io, &c->deadline);
    sonic__timer_fini(o->io, &c->next);
    sonic__free(o->io, c, sizeof *c);
}

static const struct sonic__class connect_class = {
    .name = "connect",
    .run = connect_run,
    .close = connect_close,
    .destroy = connect_destroy,
};

void
sonic__connect_cancel(struct sonic__connect *c)
{
    step(c, E_CANCEL);
}

static int
make(sonic_io *io, struct sonic__connect **out)
{
    struct sonic__connect *c = sonic__alloc(io, sizeof *c);
    int err;

    if (c == NULL)
        return -ENOMEM;
    err = sonic__timer_init(io, &c->deadline, on_deadline);
    if (err < 0)
        goto fail;
    err = sonic__timer_init(io, &c->next, on_next);
    if (err < 0)
        goto fail_deadline;
    err = sonic__object_init(io, &c->object, &connect_class);
    if (err < 0)
        goto fail_next;
    c->won = -1;
    *out = c;
    return 0;

fail_next:
    sonic__timer_fini(io, &c->next);
fail_deadline:
    sonic__timer_fini(io, &c->deadline);
fail:
    sonic__free(io, c, sizeof *c);
    return err;
}

static int
prepare(struct sonic__connect *c, const char *address,
        const sonic_connect_options *opt)
{
    sonic_connect_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err < 0)
        return err;
    err = sonic__address_split(address, &c->to);
    if (err < 0)
        return err;
    if (c->to.kind == SONIC__ADDRESS_ANY)
        return SONIC_EADDRESS;
    if (o.stagger < 0)
        return SONIC_EOPTION;
    err = sonic__plan_init(&c->plan, o.socket, &c->to);
    if (err < 0)
        return err;
    if (o.timeout < 0)
        return -ETIMEDOUT;
    c->stagger = o.stagger != 0 ? o.stagger : STAGGER;
    c->addresses = &c->to.address;
    c->n = 1;
    c->timing = o.timing;
    c->began = clock_now(c->object.io);
    if (c->timing != NULL)
        *c->timing = (sonic_connect_timing){0};
    sonic__timer_arm(
        c->object.io, &c->deadline,
        deadline_after(c->object.io, o.timeout != 0 ? o.timeout : TIMEOUT));
    return 0;
}

/* Why not, before there is an operation; or 0. */
static int
refusal(const sonic_stream *s)
{
    if (sonic__stream_closed(s))
        return SONIC_ECLOSED;
    if (sonic__stream_connecting(s) != NULL)
        return -EBUSY;
    return sonic_stream_is_open(s) || sonic_stream_next_layer(s) != NULL
               ? -EISCONN
               : 0;
}

void
sonic_stream_async_connect(sonic_stream *s, const char *address,
                           const sonic_connect_options *opt,
                           sonic_stream_fn *cb, void *ud)
{
    struct sonic__connect *c = NULL;
    int err = refusal(s);

    if (err == 0)
        err = make(s->object.io, &c);
    if (err < 0) {
        sonic__stream_refuse(s, err, cb, ud);
        return;
    }
    sonic__op_begin(s->object.io);
    c->stream = s;
    c->cb = cb;
    c->ud = ud;
    sonic__stream_set_connecting(s, c);
    err = prepare(c, address, opt);
    c->object.error = err;
    if (err < 0)
        step(c, E_REFUSE);
    else
        step(c, c->to.kind == SONIC__ADDRESS_NAME ? E_LOOK_UP : E_ADDRESSES);
}

/* ---- the blocking twin ------------------------------------------------ */

struct wait {
    bool done;
    int err;
};

static void
on_connect(sonic_stream *s, int err, size_t n, void *ud)
{
    struct wait *w = ud;

    (void)s;
    (void)n;
    w->done = true;
    w->err = err;
}

static void
nobody(sonic_stream *s, int err, size_t n, void *ud)
{
    (void)s;
    (void)err;
    (void)n;
    (void)ud;
}

int
sonic_stream_connect(sonic_stream *s, const char *address,
                     const sonic_connect_options *opt)
{
    sonic_io *io = s->object.io;
    struct wait w = {false, 0};
    struct sonic__connect *c;
    int err;

    if (io->running || io->dispatched > 0)
        return -EBUSY;
    sonic_stream_async_connect(s, address, opt, on_connect, &w);
    err = w.done ? 0 : sonic_io_run_until(io, &w.done);
    if (w.done)
        return w.err;
    c = sonic__stream_connecting(s); /* the loop was stopped: take it back */
    c->cb = nobody;
    step(c, E_CANCEL);
    step(c, E_SPEAK);
    return err;
}
