/* mold_feed - a MoldUDP64 feed that loses packets, and gets them back
 *
 * A publisher sends 10,000 messages to two feeds.  One loses every fourth
 * packet, the other every third, and a server answers for what both lost.  The
 * subscriber gets every message, in order, once.  Both ends run here, over
 * IPv4; a feed could as well be a multicast group: "239.1.1.1:5000". */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { MESSAGES = 10000 };

/* ---- the subscriber ---------------------------------------------------- */

struct subscriber {
    sonic_io *io;
    uint64_t messages, expected, filled;
    bool good;
};

static void
on_message(sonic_mold_receiver *r, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    struct subscriber *s = ud;
    uint64_t number;

    (void)r;
    memcpy(&number, data, sizeof number); /* data lies where it was received */
    s->good = s->good && len == sizeof number && number == sequence &&
              sequence == s->expected;
    s->expected = sequence + 1;
    s->messages++;
}

static void
on_filled(sonic_mold_receiver *r, const sonic_mold_gap *gap, void *ud)
{
    struct subscriber *s = ud;

    (void)r;
    if (s->filled++ < 5)
        printf("messages %llu to %llu were missing for %lld us: %llu came by "
               "the other feed, %llu from the server\n",
               (unsigned long long)gap->first, (unsigned long long)gap->last,
               (long long)gap->took / 1000, (unsigned long long)gap->from_feeds,
               (unsigned long long)gap->from_requests);
}

static void
on_lost(sonic_mold_receiver *r, uint64_t first, uint64_t last, void *ud)
{
    struct subscriber *s = ud;

    (void)r;
    printf("messages %llu to %llu are lost\n", (unsigned long long)first,
           (unsigned long long)last);
    s->good = false;
}

static void
on_end(sonic_mold_receiver *r, uint64_t next, void *ud)
{
    struct subscriber *s = ud;

    (void)r;
    (void)next;
    sonic_io_stop(s->io);
}

/* ---- the publisher ----------------------------------------------------- */

struct publisher {
    sonic_mold_publisher *p;
    uint64_t published;
    unsigned packets[2]; /* of each feed */
};

/* In the place of the network, which is too good here. */
static void
on_packet(sonic_mold_publisher *p, unsigned feed, const void *data, size_t len,
          void *ud)
{
    struct publisher *s = ud;

    if (++s->packets[feed] % (4 - feed) == 0)
        return;
    if (sonic_mold_publisher_send(p, feed, data, len) < 0)
        printf("feed %u: a packet was not sent\n", feed);
}

static void
on_tick(sonic_timer *t, int err, void *ud)
{
    struct publisher *s = ud;
    uint64_t number;

    for (int i = 0; i < 100 && err == 0 && s->published < MESSAGES; i++) {
        number = sonic_mold_publisher_next(s->p);
        err = sonic_mold_publish(s->p, &number, sizeof number);
        s->published++;
    }
    if (err == 0 && s->published == MESSAGES) {
        sonic_mold_publisher_end(s->p);
        sonic_timer_cancel(t);
    }
}

/* ---- all of it --------------------------------------------------------- */

/* The port that the system gave a socket, as "127.0.0.1:PORT". */
static int
address_of(const sonic_udp *udp, char *text)
{
    sonic_address a;
    int err = sonic_udp_local_address(udp, &a);

    if (err == 0)
        err = sonic_address_format(&a, text, SONIC_ADDRESS_TEXT);
    return err < 0 ? err : 0;
}

static int
subscribe_to(sonic_io *io, const char *server, struct subscriber *s,
             char feeds[2][SONIC_ADDRESS_TEXT])
{
    static const sonic_mold_handler handler = {
        SONIC_MOLD_HANDLER_INIT, .on_message = on_message,
        .on_filled = on_filled, .on_lost = on_lost, .on_end = on_end};
    const sonic_mold_feed any[2] = {{"127.0.0.1:0", NULL, NULL},
                                    {"127.0.0.1:0", NULL, NULL}};
    sonic_mold_subscriber_options opt = SONIC_MOLD_SUBSCRIBER_OPTIONS_INIT;
    sonic_mold_subscriber *sub;
    int err;

    opt.feeds = any;
    opt.n_feeds = 2;
    opt.servers = &server;
    opt.n_servers = 1;
    err = sonic_mold_subscriber_new(io, &opt, &handler, s, &sub);
    for (unsigned i = 0; i < 2 && err == 0; i++)
        err = address_of(sonic_mold_subscriber_udp(sub, i), feeds[i]);
    return err;
}

static int
publish_to(sonic_io *io, sonic_mold_store *store, struct publisher *s,
           char feeds[2][SONIC_ADDRESS_TEXT])
{
    const sonic_mold_feed feed[2] = {{feeds[0], NULL, NULL},
                                     {feeds[1], NULL, NULL}};
    sonic_mold_packer_options packer = SONIC_MOLD_PACKER_OPTIONS_INIT;
    sonic_mold_publisher_options opt = SONIC_MOLD_PUBLISHER_OPTIONS_INIT;
    sonic_timer *timer;
    int err;

    packer.session = "EXAMPLE";
    packer.store = store;
    opt.packer = &packer;
    opt.feeds = feed;
    opt.n_feeds = 2;
    opt.on_packet = on_packet;
    opt.ud = s;
    err = sonic_mold_publisher_new(io, &opt, &s->p);
    if (err == 0)
        err = sonic_timer_new(io, &timer);
    if (err == 0)
        sonic_timer_repeat(timer, 1000000, SONIC_TICK_SKIP, on_tick, s);
    return err;
}

static int
serve(sonic_io *io, sonic_mold_store *store, char *address)
{
    sonic_mold_answerer_options answerer = SONIC_MOLD_ANSWERER_OPTIONS_INIT;
    sonic_mold_server_options opt = SONIC_MOLD_SERVER_OPTIONS_INIT;
    sonic_mold_server *server;
    int err;

    answerer.session = "EXAMPLE";
    answerer.store = store;
    opt.address = "127.0.0.1:0";
    opt.answerer = &answerer;
    err = sonic_mold_server_new(io, &opt, &server);
    return err == 0 ? address_of(sonic_mold_server_udp(server), address) : err;
}

int
main(void)
{
    char server[SONIC_ADDRESS_TEXT], feeds[2][SONIC_ADDRESS_TEXT];
    struct subscriber s = {.expected = 1, .good = true};
    struct publisher p = {.p = NULL};
    sonic_mold_store *store = NULL;
    int err = sonic_io_new(&s.io, NULL);

    if (err == 0)
        err = sonic_mold_store_new(NULL, &store);
    if (err == 0)
        err = serve(s.io, store, server);
    if (err == 0)
        err = subscribe_to(s.io, server, &s, feeds);
    if (err == 0)
        err = publish_to(s.io, store, &p, feeds);
    if (err == 0)
        err = sonic_io_run(s.io);
    if (err < 0)
        fprintf(stderr, "mold_feed: %s\n", sonic_strerror(err));
    printf("%llu messages in order, %llu gaps filled\n",
           (unsigned long long)s.messages, (unsigned long long)s.filled);
    sonic_io_free(s.io);
    sonic_mold_store_free(store);
    return err < 0 || !s.good || s.messages != MESSAGES;
}
