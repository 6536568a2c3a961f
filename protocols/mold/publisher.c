/* A packer on sockets and a timer. */
#include <string.h>

#include <sonicio/object.h>
#include <sonicio/timer.h>

#include "base/pack.h"
#include "mold/socket.h"

struct sonic_mold_publisher {
    sonic_mold_packer *packer;
    sonic_timer *timer;
    sonic_udp *udp[SONIC_MOLD_FEEDS_MAX];
    sonic_address to[SONIC_MOLD_FEEDS_MAX];
    unsigned n_feeds;
    bool closed, done;
    uint64_t packets, refused;
    void (*on_packet)(sonic_mold_publisher *p, unsigned feed, const void *data,
                      size_t len, void *ud);
    void (*on_done)(sonic_mold_publisher *p, void *ud);
    void *ud;
};

static int64_t
now(const sonic_mold_publisher *p)
{
    return sonic_io_now(sonic_object_io(p));
}

int
sonic_mold_publisher_send(sonic_mold_publisher *p, unsigned feed,
                          const void *data, size_t len)
{
    int err;

    if (feed >= p->n_feeds || p->udp[feed] == NULL)
        return SONIC_EOPTION;
    err = sonic_udp_queue(p->udp[feed], &p->to[feed], data, len);
    if (err < 0)
        p->refused++;
    return err;
}

/* A packet that a socket refuses is lost on that feed; it is counted, and the
 * other feed or a server makes up for it. */
static void
on_packet(const void *data, size_t len, void *ud)
{
    sonic_mold_publisher *p = ud;
    int err = 0;

    p->packets++;
    for (unsigned i = 0; i < p->n_feeds && !p->closed; i++) {
        if (p->on_packet != NULL)
            p->on_packet(p, i, data, len, p->ud);
        else
            err = sonic_mold_publisher_send(p, i, data, len);
    }
    (void)err;
}

static void on_timer(sonic_timer *t, int err, void *ud);

static void
arm(sonic_mold_publisher *p)
{
    int64_t when = sonic_mold_packer_deadline(p->packer);

    if (when == INT64_MAX)
        return;
    sonic_object_hold(p);
    sonic_timer_at(p->timer, when, on_timer, p);
}

static void
tell_done(sonic_mold_publisher *p)
{
    if (p->done || p->closed ||
        sonic_mold_packer_deadline(p->packer) != INT64_MAX)
        return;
    p->done = true;
    if (p->on_done != NULL)
        p->on_done(p, p->ud);
}

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    sonic_mold_publisher *p = ud;

    (void)t;
    if (err == 0 && !p->closed) {
        sonic_mold_packer_tick(p->packer, now(p));
        if (!p->closed)
            arm(p);
        tell_done(p);
    }
    sonic_object_drop(p);
}

/* The dispatch has ended. */
static void
run(void *object)
{
    sonic_mold_publisher *p = object;

    if (!p->closed && !sonic_object_closed(p))
        sonic_mold_packer_flush(p->packer, now(p));
}

static void
destroy(void *object)
{
    sonic_mold_publisher *p = object;

    sonic_mold_packer_free(p->packer);
}

int
sonic_mold_publish(sonic_mold_publisher *p, const void *data, size_t len)
{
    if (p->closed)
        return SONIC_ECLOSED;
    sonic_object_defer(p);
    return sonic_mold_pack(p->packer, data, len, now(p));
}

void
sonic_mold_publisher_flush(sonic_mold_publisher *p)
{
    if (p->closed)
        return;
    sonic_mold_packer_flush(p->packer, now(p));
    for (unsigned i = 0; i < p->n_feeds && !p->closed; i++)
        (void)sonic_udp_flush(p->udp[i]);
}

void
sonic_mold_publisher_end(sonic_mold_publisher *p)
{
    if (!p->closed)
        sonic_mold_packer_end(p->packer, now(p));
}

static int
open_feeds(sonic_mold_publisher *p, const sonic_mold_publisher_options *o)
{
    sonic_io *io = sonic_object_io(p);
    int err = 0;

    if (o->n_feeds == 0 || o->n_feeds > SONIC_MOLD_FEEDS_MAX)
        return SONIC_EOPTION;
    for (unsigned i = 0; i < o->n_feeds && err == 0; i++) {
        err = sonic__mold_speak(io, &o->feeds[i], o->udp, o->ttl, &p->udp[i],
                                &p->to[i]);
        if (err == 0)
            p->n_feeds++;
    }
    return err;
}

int
sonic_mold_publisher_new(sonic_io *io, const sonic_mold_publisher_options *opt,
                         sonic_mold_publisher **out)
{
    static const sonic_object_class cls = {
        SONIC_OBJECT_CLASS_INIT,
        .bytes = sizeof(sonic_mold_publisher),
        .run = run,
        .destroy = destroy,
    };
    sonic_mold_publisher_options o;
    sonic_mold_packer_options packer;
    sonic_mold_publisher *p;
    void *object;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err == 0)
        err = sonic__options_copy(&packer, sizeof packer, o.packer);
    if (err < 0)
        return err;
    err = sonic_object_new(io, &cls, &object);
    if (err < 0)
        return err;
    p = object;
    p->on_packet = o.on_packet;
    p->on_done = o.on_done;
    p->ud = o.ud;
    packer.mem = sonic_io_mem(io);
    err = sonic_mold_packer_new(&packer, on_packet, p, &p->packer);
    if (err == 0)
        err = sonic_timer_new(io, &p->timer);
    if (err == 0)
        err = open_feeds(p, &o);
    if (err < 0) {
        sonic_mold_publisher_free(p);
        return err;
    }
    arm(p);
    *out = p;
    return 0;
}

void
sonic_mold_publisher_free(sonic_mold_publisher *p)
{
    if (p == NULL || p->closed)
        return;
    p->closed = true;
    for (unsigned i = 0; i < p->n_feeds; i++) {
        sonic_udp_free(p->udp[i]);
        p->udp[i] = NULL;
    }
    sonic_timer_free(p->timer);
    sonic_object_free(p);
}

uint64_t
sonic_mold_publisher_next(const sonic_mold_publisher *p)
{
    return sonic_mold_packer_next(p->packer);
}

sonic_udp *
sonic_mold_publisher_udp(const sonic_mold_publisher *p, unsigned feed)
{
    return feed < p->n_feeds ? p->udp[feed] : NULL;
}

uint64_t
sonic_mold_publisher_packets(const sonic_mold_publisher *p)
{
    return p->packets;
}

uint64_t
sonic_mold_publisher_refused(const sonic_mold_publisher *p)
{
    return p->refused;
}
