/* The two ends of a connection of the demo. */
#include "demo.h"

#include <string.h>

enum { RESERVE_MAX = 8192 };

/* ---- messages --------------------------------------------------------- */

/* Send message `seq` of a feed, written where it goes out from if that can
 * be. */
static void
send_message(struct demo *d, struct link *link, uint64_t feed, uint64_t seq)
{
    size_t size = d->opt->size;
    uint8_t *p = size <= RESERVE_MAX ? link_reserve(link, size) : NULL;
    int r;

    feed_write(p != NULL ? p : d->scratch, size, feed, seq, monotonic_now());
    r = p != NULL ? link_commit(link, size) : link_send(link, d->scratch, size);
    if (r < 0)
        demo_fail(d, r, "cannot send", sonic_strerror(r));
}

static void
acknowledge(struct buyer *b)
{
    b->unacked = 0;
    send_message(b->demo, &b->link, b->quotes.feed + 1, b->acks++);
}

void
demo_publish(struct seller *s)
{
    for (unsigned i = 0; i < DEMO_BURST; i++)
        send_message(s->demo, &s->link, s->acks.feed - 1, s->quotes++);
}

/* ---- buyers ----------------------------------------------------------- */

static void
buyer_open(struct link *link)
{
    acknowledge(link->owner); /* says which feed it wants */
}

static void
buyer_message(struct link *link, const uint8_t *data, size_t len)
{
    struct buyer *b = link->owner;
    struct demo_figures *f = &b->demo->figures;
    int64_t sent = feed_read(&b->quotes, data, len);

    f->messages[link->proto]++;
    if (sent >= 0)
        sonic_histogram_record(f->latency[link->proto], monotonic_now() - sent);
    if (++b->unacked == DEMO_BURST)
        acknowledge(b);
}

static void
buyer_over(struct link *link, int err, const char *why)
{
    struct buyer *b = link->owner;
    struct demo *d = b->demo;

    b->over = true;
    if (!d->ending || err < 0)
        demo_fail(d, err, "a client's connection ended", why);
    else if (++d->over == d->opt->clients)
        sonic_io_stop(d->io);
}

const struct link_events demo_buyer_events = {buyer_open, buyer_message, NULL,
                                              buyer_over};

/* ---- sellers ---------------------------------------------------------- */

/* The first message says whose end this is. */
static bool
subscribe(struct seller *s, const uint8_t *data, size_t len)
{
    struct demo *d = s->demo;
    uint64_t feed = 0;

    if (len >= sizeof feed)
        memcpy(&feed, data, sizeof feed);
    if (feed % 2 == 0 || feed / 2 >= d->opt->clients) {
        demo_fail(d, SONIC_ESTATE, "a client asks for no feed", "");
        return false;
    }
    s->buyer = &d->buyer[feed / 2];
    s->acks.feed = feed;
    s->acks.size = d->opt->size;
    return true;
}

static void
seller_message(struct link *link, const uint8_t *data, size_t len)
{
    struct seller *s = link->owner;
    struct demo *d = s->demo;
    bool first = s->buyer == NULL;

    if (first && !subscribe(s, data, len))
        return;
    feed_read(&s->acks, data, len);
    d->figures.messages[link->proto]++;
    if (first && ++d->subscribed == d->opt->clients)
        demo_begin(d);
    else if (!first && !d->stopping)
        demo_publish(s);
    else if (d->stopping && !s->done) {
        s->done = true;
        if (++d->done == d->opt->clients)
            demo_finish(d);
    }
}

static void
seller_over(struct link *link, int err, const char *why)
{
    struct seller *s = link->owner;

    if (!s->demo->ending)
        demo_fail(s->demo, err, "a connection of the feed ended", why);
}

static const struct link_events seller_events = {NULL, seller_message, NULL,
                                                 seller_over};

static struct seller *
next_seller(struct demo *d)
{
    struct seller *s;

    if (d->arrived == d->opt->clients)
        return NULL; /* somebody else found the port */
    s = &d->seller[d->arrived++];
    s->demo = d;
    s->link.owner = s;
    s->link.events = &seller_events;
    return s;
}

static void
ws_open(sonic_ws *ws, void *ud)
{
    struct seller *s = next_seller(ud);

    if (s != NULL)
        link_take_ws(&s->link, ws);
    else
        sonic_ws_terminate(ws);
}

const sonic_ws_handler demo_ws_handler = {SONIC_WS_HANDLER_INIT,
                                          .on_open = ws_open};

/* A stream of frames is there. */
static void
take_frames(struct demo *d, sonic_stream *stream)
{
    struct seller *s = next_seller(d);
    int err = s != NULL ? link_take_frames(&s->link, stream) : SONIC_ESTATE;

    if (err < 0)
        sonic_stream_free(stream);
}

static void
on_secured(sonic_stream *stream, int err, size_t n, void *ud)
{
    (void)n;
    if (err == -ECANCELED)
        return;
    if (err == 0) {
        take_frames(ud, stream);
        return;
    }
    demo_fail(ud, err, "TLS", sonic_tls_reason(stream));
    sonic_stream_free(stream);
}

static void
secure(struct demo *d, sonic_stream *stream)
{
    sonic_stream *tls;
    int err = sonic_tls_new(d->tls_server, stream, NULL, &tls);

    if (err == 0) {
        sonic_tls_async_handshake(tls, on_secured, d);
        return;
    }
    sonic_stream_free(stream);
    demo_fail(d, err, "TLS", sonic_strerror(err));
}

void
demo_on_accept(sonic_listener *listener, int err, sonic_stream *stream,
               void *ud)
{
    struct demo *d = ud;

    if (err == -ECANCELED || err == SONIC_ECLOSED)
        return;
    if (err < 0) {
        demo_fail(d, err, "cannot accept a client", sonic_strerror(err));
        return;
    }
    if (d->tls_server != NULL)
        secure(d, stream);
    else
        take_frames(d, stream);
    sonic_listener_async_accept(listener, demo_on_accept, d);
}
