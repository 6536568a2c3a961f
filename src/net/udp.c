/* The life of a socket for datagrams: made, looked at, closed, destroyed. */
#include "net/udp.h"

#include <fcntl.h>
#include <linux/sock_diag.h>
#include <string.h>

#include "net/options.h"

enum { BATCH = 32, BATCH_MAX = 1024, QUEUE_LEAST = 4096 };
#define QUEUE_LIMIT ((size_t)1 << 20)
#define QUEUE_MOST ((size_t)1 << 31)

static void
udp_run(struct sonic__object *o)
{
    sonic_udp *u = (sonic_udp *)o;

    sonic__udp_read_run(u);
    if (u->queue.total > 0 || u->drain != NULL)
        sonic__udp_write_run(u);
}

static void
udp_close(struct sonic__object *o)
{
    sonic_udp *u = (sonic_udp *)o;

    sonic__timer_disarm(o->io, &u->read_timer);
    sonic__timer_disarm(o->io, &u->write_timer);
    sonic__timer_disarm(o->io, &u->backoff_timer);
    sonic__udp_unlist(u);
    sonic__udp_flush(u);
    sonic__timer_disarm(o->io, &u->backoff_timer);
    sonic__udp_write_give_up(u, -ECANCELED);
    if (u->ring != NULL && !(o->bits & SONIC__UDP_READ_BUSY)) {
        sonic__udp_ring_give(u, u->ring); /* else its loop does it */
        u->ring = NULL;
    }
    sonic__object_unwatch(o);
}

static void
udp_destroy(struct sonic__object *o)
{
    sonic_udp *u = (sonic_udp *)o;

    assert(u->ring == NULL && u->queue.finished == 0);
    sonic__timer_fini(o->io, &u->read_timer);
    sonic__timer_fini(o->io, &u->write_timer);
    sonic__timer_fini(o->io, &u->backoff_timer);
    sonic__free(o->io, u->queue.base, u->queue.cap);
    sonic__free(o->io, u, sizeof *u);
}

static bool
udp_reading(const struct sonic__object *o)
{
    return (o->bits & SONIC__UDP_READ_KIND) != 0 &&
           (o->flags & SONIC__REGISTERED);
}

static const struct sonic__class udp_class = {
    .name = "udp",
    .run = udp_run,
    .close = udp_close,
    .destroy = udp_destroy,
    .reading = udp_reading,
};

/* ---- deadlines -------------------------------------------------------- */

static void
on_read_late(struct sonic__timer *t)
{
    sonic_udp *u = (void *)((char *)t - offsetof(sonic_udp, read_timer));

    u->object.bits |= SONIC__UDP_READ_LATE;
    sonic__udp_read_run(u);
}

static void
on_write_late(struct sonic__timer *t)
{
    sonic_udp *u = (void *)((char *)t - offsetof(sonic_udp, write_timer));

    u->object.bits2 |= SONIC__UDP_WRITE_LATE;
    sonic__udp_write_end(u, -ETIMEDOUT);
    sonic__udp_write_run(u);
}

static void
on_rested(struct sonic__timer *t)
{
    sonic_udp *u = (void *)((char *)t - offsetof(sonic_udp, backoff_timer));

    sonic__udp_write_run(u);
}

static void
set_timer(sonic_io *io, struct sonic__timer *t, int64_t when)
{
    if (when == INT64_MAX)
        sonic__timer_disarm(io, t);
    else
        sonic__timer_arm(io, t, when);
}

int
sonic_udp_set_deadline(sonic_udp *u, int directions, int64_t when)
{
    sonic_io *io = u->object.io;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    if (directions & SONIC_READING) {
        u->object.bits &= (uint8_t)~SONIC__UDP_READ_LATE;
        set_timer(io, &u->read_timer, when);
    }
    if (directions & SONIC_WRITING) {
        u->object.bits2 &= (uint8_t)~SONIC__UDP_WRITE_LATE;
        set_timer(io, &u->write_timer, when);
    }
    return 0;
}

/* ---- making one ------------------------------------------------------- */

static int
copy_options(sonic_udp_options *to, const sonic_udp_options *from)
{
    int err = sonic__options_copy(to, sizeof *to, from);

    if (err < 0)
        return err;
    if (to->batch == 0)
        to->batch = BATCH;
    if (to->datagram_max == 0)
        to->datagram_max = SONIC__UDP_LARGEST;
    if (to->queue_limit == 0)
        to->queue_limit = QUEUE_LIMIT;
    if (to->batch > BATCH_MAX || to->datagram_max > SONIC__UDP_LARGEST ||
        to->queue_limit < QUEUE_LEAST || to->queue_limit > QUEUE_MOST)
        return SONIC_EOPTION;
    if (to->gro == SONIC_ON) /* joined datagrams are as long as can be */
        to->datagram_max = SONIC__UDP_LARGEST;
    to->queue_limit &= ~(size_t)15;
    return 0;
}

static int
make(sonic_io *io, const sonic_udp_options *opt, sonic_udp **out)
{
    sonic_udp *u = sonic__alloc(io, sizeof *u);
    int err;

    if (u == NULL)
        return -ENOMEM;
    err = sonic__timer_init(io, &u->read_timer, on_read_late);
    if (err < 0)
        goto fail;
    err = sonic__timer_init(io, &u->write_timer, on_write_late);
    if (err < 0)
        goto fail_read_timer;
    err = sonic__timer_init(io, &u->backoff_timer, on_rested);
    if (err < 0)
        goto fail_write_timer;
    err = sonic__object_init(io, &u->object, &udp_class);
    if (err < 0)
        goto fail_backoff_timer;
    u->object.flags |= SONIC__QUIET;
    u->batch = opt->batch;
    u->datagram_max = opt->datagram_max;
    u->queue.cap = opt->queue_limit;
    if (opt->gro == SONIC_ON)
        u->object.bits2 |= SONIC__UDP_GRO;
    if (opt->from == SONIC_OFF)
        u->object.bits2 |= SONIC__UDP_NAMELESS;
    if (opt->gso == SONIC_ON)
        u->gso_most = SIZE_MAX;
    *out = u;
    return 0;

fail_backoff_timer:
    sonic__timer_fini(io, &u->backoff_timer);
fail_write_timer:
    sonic__timer_fini(io, &u->write_timer);
fail_read_timer:
    sonic__timer_fini(io, &u->read_timer);
fail:
    sonic__free(io, u, sizeof *u);
    return err;
}

typedef int get_name(int fd, struct sockaddr *a, socklen_t *n, void *ud);

static int
ask(sonic_io *io, int fd, get_name *get, sonic_address *out)
{
    memset(out, 0, sizeof *out);
    out->len = sizeof out->storage;
    return get(fd, (struct sockaddr *)&out->storage, &out->len, io->sys->ud);
}

/* What the system says that it is. */
static int
learn(sonic_udp *u, int fd)
{
    sonic_io *io = u->object.io;
    sonic_address a;
    int err = ask(io, fd, io->sys->getsockname, &a);

    if (err < 0)
        return err;
    u->family = a.storage.ss_family;
    u->port = htons(sonic_address_port(&a));
    if (ask(io, fd, io->sys->getpeername, &a) == 0)
        u->object.bits2 |= SONIC__UDP_CONNECTED;
    return 0;
}

/* On error fd stays the caller's. */
static int
attach(sonic_io *io, int fd, const sonic_udp_options *opt, sonic_udp **out)
{
    sonic_udp *u;
    int err = make(io, opt, &u);

    if (err < 0)
        return err;
    err = learn(u, fd);
    if (err == 0)
        err = sonic__object_watch(&u->object, fd);
    if (err < 0) {
        sonic__object_free(&u->object);
        return err;
    }
    *out = u;
    return 0;
}

static int
attach_own(sonic_io *io, int fd, const sonic_udp_options *opt, sonic_udp **out)
{
    int err = fd < 0 ? fd : attach(io, fd, opt, out);

    if (fd >= 0 && err < 0)
        io->sys->close(fd, io->sys->ud);
    return err;
}

int
sonic__udp_new(sonic_io *io, const char *address, const sonic_udp_options *opt,
               bool own_groups, sonic_udp **out)
{
    sonic_udp_options o;
    int err = copy_options(&o, opt);

    if (err < 0)
        return err;
    return attach_own(io, sonic__udp_bind(io, address, &o, own_groups), &o,
                      out);
}

int
sonic_udp_new(sonic_io *io, const char *address, const sonic_udp_options *opt,
              sonic_udp **out)
{
    return sonic__udp_new(io, address, opt, false, out);
}

int
sonic_udp_dial(sonic_io *io, const char *address, const sonic_udp_options *opt,
               sonic_udp **out)
{
    sonic_udp_options o;
    int err = copy_options(&o, opt);

    if (err < 0)
        return err;
    return attach_own(io, sonic__udp_dial(io, address, &o), &o, out);
}

/* Is it a socket for datagrams, and of which family? */
static int
family_of(sonic_io *io, int fd, int *family)
{
    const sonic_sys *sys = io->sys;
    socklen_t len = sizeof *family;
    int type, err;

    err = sys->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, family, &len, sys->ud);
    if (err < 0)
        return err;
    len = sizeof type;
    err = sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len, sys->ud);
    if (err < 0)
        return err;
    if (type != SOCK_DGRAM || (*family != AF_INET && *family != AF_INET6))
        return SONIC_EADDRESS;
    return 0;
}

int
sonic_udp_adopt(sonic_io *io, int fd, const sonic_udp_options *opt,
                sonic_udp **out)
{
    sonic_udp_options o;
    int err = copy_options(&o, opt), family, flags;

    if (err == 0)
        err = family_of(io, fd, &family);
    if (err == 0 && o.socket != NULL)
        err = sonic__options_apply(io, fd, family, SOCK_DGRAM, o.socket,
                                   SONIC__IN_USE);
    if (err == 0)
        err = sonic__udp_setup(io, fd, family, &o);
    if (err < 0)
        return err;
    flags = io->sys->fcntl(fd, F_GETFL, 0, io->sys->ud);
    err = flags < 0 ? flags : 0;
    if (err == 0 && !(flags & O_NONBLOCK))
        err = io->sys->fcntl(fd, F_SETFL, flags | O_NONBLOCK, io->sys->ud);
    return err < 0 ? err : attach(io, fd, &o, out);
}

int
sonic_udp_connect(sonic_udp *u, const sonic_address *to)
{
    static const struct sockaddr none = {.sa_family = AF_UNSPEC};
    const sonic_sys *sys = u->object.io->sys;
    int err;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    if (to == NULL)
        err = sys->connect(u->object.fd, &none, sizeof none, sys->ud);
    else
        err = sys->connect(u->object.fd, (const struct sockaddr *)&to->storage,
                           to->len, sys->ud);
    if (err < 0)
        return err;
    u->object.bits2 &= (uint8_t)~SONIC__UDP_CONNECTED;
    u->object.error = 0;
    return learn(u, u->object.fd);
}

/* ---- ending ----------------------------------------------------------- */

void
sonic_udp_cancel(sonic_udp *u, int directions)
{
    struct sonic__object *o = &u->object;

    if ((directions & SONIC_READING) && (o->bits & SONIC__UDP_READ_KIND)) {
        o->bits |= SONIC__UDP_READ_CANCEL;
        sonic__defer(o);
    }
    if (directions & SONIC_WRITING)
        sonic__udp_write_end(u, -ECANCELED);
}

void
sonic_udp_close(sonic_udp *u)
{
    sonic__object_close(&u->object);
}

void
sonic_udp_free(sonic_udp *u)
{
    if (u != NULL)
        sonic__object_free(&u->object);
}

/* ---- looking at one --------------------------------------------------- */

sonic_io *
sonic_udp_io(const sonic_udp *u)
{
    return u->object.io;
}

bool
sonic_udp_is_open(const sonic_udp *u)
{
    return !sonic__udp_closed(u);
}

int
sonic_udp_fd(const sonic_udp *u)
{
    return u->object.fd;
}

int
sonic_udp_family(const sonic_udp *u)
{
    return u->family;
}

int
sonic_udp_local_address(const sonic_udp *u, sonic_address *out)
{
    sonic_io *io = u->object.io;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    return ask(io, u->object.fd, io->sys->getsockname, out);
}

int
sonic_udp_remote_address(const sonic_udp *u, sonic_address *out)
{
    sonic_io *io = u->object.io;

    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    return ask(io, u->object.fd, io->sys->getpeername, out);
}

int
sonic_udp_set_options(sonic_udp *u, const sonic_socket_options *opt)
{
    if (sonic__udp_closed(u))
        return SONIC_ECLOSED;
    return sonic__options_apply(u->object.io, u->object.fd, u->family,
                                SOCK_DGRAM, opt, SONIC__IN_USE);
}

void
sonic_udp_get_stats(const sonic_udp *u, sonic_udp_stats *out)
{
    const sonic_sys *sys = u->object.io->sys;
    uint32_t info[SK_MEMINFO_VARS];
    socklen_t len = sizeof info;

    *out = u->stats;
    if (sonic__udp_closed(u) ||
        sys->getsockopt(u->object.fd, SOL_SOCKET, SO_MEMINFO, info, &len,
                        sys->ud) < 0 ||
        len < (SK_MEMINFO_DROPS + 1) * sizeof *info)
        return;
    out->kernel_drops += (uint32_t)(info[SK_MEMINFO_DROPS] - u->dropped);
}
