/* A receiver on sockets and a timer. */
#include <string.h>

#include <sonicio/object.h>
#include <sonicio/timer.h>

#include "base/pack.h"
#include "mold/receiver.h"
#include "mold/socket.h"

enum {
    SOCKETS = SONIC_MOLD_FEEDS_MAX + SONIC_MOLD_SERVERS_MAX,
    FAILURES_MAX = 100 /* of one socket, in a row: then it is left alone */
};

struct socket {
    sonic_mold_subscriber *owner;
    sonic_udp *udp;
    unsigned feed; /* as the receiver counts */
    unsigned failures;
};

struct sonic_mold_subscriber {
    sonic_mold_receiver *r;
    sonic_timer *timer;
    struct socket sockets[SOCKETS]; /* feeds, then servers */
    sonic_mold_handler handler;
    bool closed;
};

static int64_t
now(const sonic_mold_subscriber *s)
{
    return sonic_io_now(sonic_object_io(s));
}

/* ---- time -------------------------------------------------------------- */

static void on_timer(sonic_timer *t, int err, void *ud);

/* The timer is never late; it may be early, and is set again then. */
static void
arm(sonic_mold_subscriber *s)
{
    int64_t when = sonic_mold_receiver_deadline(s->r);

    if (when >= sonic_timer_deadline(s->timer))
        return;
    sonic_timer_cancel(s->timer);
    sonic_object_hold(s);
    sonic_timer_at(s->timer, when, on_timer, s);
}

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    sonic_mold_subscriber *s = ud;

    (void)t;
    if (err == 0 && !s->closed) {
        sonic_mold_receiver_tick(s->r, now(s));
        if (!s->closed)
            arm(s);
    }
    sonic_object_drop(s);
}

void
sonic_mold_subscriber_kick(sonic_mold_subscriber *s)
{
    if (!s->closed)
        arm(s);
}

/* ---- sockets ----------------------------------------------------------- */

/* A server that is not there (-ECONNREFUSED) is no reason to stop: it may come
 * back, and the next one is asked. */
static void
on_datagrams(sonic_udp *udp, int err, const sonic_datagram *d, size_t n,
             void *ud)
{
    struct socket *k = ud;
    sonic_mold_subscriber *s = k->owner;

    for (size_t i = 0; i < n && !s->closed; i++)
        (void)sonic_mold_receive(s->r, k->feed, now(s), d[i].data, d[i].len);
    k->failures = err < 0 ? k->failures + 1 : 0;
    if (s->closed || err == -ECANCELED || err == SONIC_ECLOSED ||
        k->failures >= FAILURES_MAX) {
        sonic_object_drop(s);
        return;
    }
    arm(s);
    sonic_udp_lend(udp, on_datagrams, k);
}

static void
on_request(sonic_mold_receiver *r, unsigned server, const void *data,
           size_t len, void *ud)
{
    sonic_mold_subscriber *s = ud;
    sonic_udp *udp = s->sockets[SONIC_MOLD_FEEDS_MAX + server].udp;
    int err = sonic_udp_send(udp, NULL, data, len);

    (void)r;
    (void)err; /* as good as lost: it is asked for again */
}

static int
open_sockets(sonic_mold_subscriber *s, const sonic_mold_subscriber_options *o)
{
    sonic_io *io = sonic_object_io(s);
    int err = 0;

    if (o->n_feeds == 0 || o->n_feeds > SONIC_MOLD_FEEDS_MAX ||
        o->n_servers > SONIC_MOLD_SERVERS_MAX)
        return SONIC_EOPTION;
    for (unsigned i = 0; i < SOCKETS; i++)
        s->sockets[i] = (struct socket){
            .owner = s,
            .feed = i < SONIC_MOLD_FEEDS_MAX ? i : SONIC_MOLD_REPLY};
    for (unsigned i = 0; i < o->n_feeds && err == 0; i++)
        err = sonic__mold_listen(io, &o->feeds[i], o->udp, &s->sockets[i].udp);
    for (unsigned i = 0; i < o->n_servers && err == 0; i++)
        err = sonic_udp_dial(io, o->servers[i], o->udp,
                             &s->sockets[SONIC_MOLD_FEEDS_MAX + i].udp);
    return err;
}

/* ---- the object -------------------------------------------------------- */

/* The first turn of the loop: callbacks may run from now on. */
static void
run(void *object)
{
    sonic_mold_subscriber *s = object;

    for (unsigned i = 0; i < SOCKETS && !s->closed; i++) {
        struct socket *k = &s->sockets[i];

        if (k->udp == NULL || sonic_object_closed(s))
            continue;
        sonic_object_hold(s);
        sonic_udp_lend(k->udp, on_datagrams, k);
    }
}

static void
destroy(void *object)
{
    sonic_mold_subscriber *s = object;

    if (!s->closed)
        sonic_mold_receiver_free(s->r);
}

static int
new_receiver(sonic_mold_subscriber *s, const sonic_mold_subscriber_options *o,
             const sonic_mold_handler *handler, void *ud)
{
    sonic_mold_receiver_options opt;
    int err = sonic__options_copy(&opt, sizeof opt, o->receiver);

    if (err == 0)
        err = sonic__options_fit(handler, sizeof *handler);
    if (err < 0)
        return err;
    opt.mem = sonic_io_mem(sonic_object_io(s));
    opt.servers = o->n_servers;
    s->handler = *handler;
    s->handler.on_request = on_request;
    err = sonic_mold_receiver_new(&opt, &s->handler, ud, &s->r);
    if (err == 0)
        s->r->request_ud = s;
    return err;
}

int
sonic_mold_subscriber_new(sonic_io *io,
                          const sonic_mold_subscriber_options *opt,
                          const sonic_mold_handler *handler, void *ud,
                          sonic_mold_subscriber **out)
{
    static const sonic_mold_handler nothing = {SONIC_MOLD_HANDLER_INIT};
    static const sonic_object_class cls = {
        SONIC_OBJECT_CLASS_INIT,
        .bytes = sizeof(sonic_mold_subscriber),
        .run = run,
        .destroy = destroy,
    };
    sonic_mold_subscriber_options o;
    sonic_mold_subscriber *s;
    void *object;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err == 0)
        err = sonic_object_new(io, &cls, &object);
    if (err < 0)
        return err;
    s = object;
    err = new_receiver(s, &o, handler != NULL ? handler : &nothing, ud);
    if (err == 0)
        err = sonic_timer_new(io, &s->timer);
    if (err == 0)
        err = open_sockets(s, &o);
    if (err < 0) {
        sonic_mold_subscriber_free(s);
        return err;
    }
    sonic_object_defer(s);
    *out = s;
    return 0;
}

void
sonic_mold_subscriber_free(sonic_mold_subscriber *s)
{
    if (s == NULL || s->closed)
        return;
    s->closed = true;
    for (unsigned i = 0; i < SOCKETS; i++) {
        sonic_udp_free(s->sockets[i].udp);
        s->sockets[i].udp = NULL;
    }
    sonic_timer_free(s->timer);
    sonic_mold_receiver_free(s->r);
    sonic_object_free(s);
}

sonic_mold_receiver *
sonic_mold_subscriber_receiver(const sonic_mold_subscriber *s)
{
    return s->r;
}

sonic_udp *
sonic_mold_subscriber_udp(const sonic_mold_subscriber *s, unsigned which)
{
    return which < SOCKETS ? s->sockets[which].udp : NULL;
}
