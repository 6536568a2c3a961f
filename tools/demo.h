/* demo.h - a feed, its clients, and the check that nothing goes astray
 *
 * One io has both ends.  A seller, the server's end of a connection, sends
 * quotes; a buyer, the client's, sends an acknowledgement for every DEMO_BURST
 * of them, which sets off the next ones.  All are messages of feed.h and are
 * checked where they arrive: buyer i is sent feed 2i and sends feed 2i + 1. */
#ifndef SONICIO_TOOLS_DEMO_H
#define SONICIO_TOOLS_DEMO_H

#include <sonicio/timer.h>

#include "common.h"
#include "counting.h"
#include "feed.h"
#include "link.h"
#include "secure.h"

enum { DEMO_BURST = 16, DEMO_PROTOS = 2 }; /* LINK_WS, LINK_FRAME */

struct demo_options {
    unsigned clients;
    size_t size; /* bytes of each message */
    int64_t warmup, duration;
    enum sonic_backend backend;
    sonic_ws_deflate_options deflate;
    bool json;
    bool tls;
};

struct demo;

struct buyer {
    struct link link;
    struct demo *demo;
    struct feed_check quotes;
    uint64_t acks; /* sent */
    unsigned unacked;
    bool over;
};

struct seller {
    struct link link;
    struct demo *demo;
    struct buyer *buyer; /* its own, once the first message has said so */
    struct feed_check acks;
    uint64_t quotes; /* sent */
    bool done;
};

/* What is measured: since the warm-up, by protocol and in all. */
struct demo_figures {
    uint64_t messages[DEMO_PROTOS]; /* quotes and acknowledgements */
    sonic_histogram *latency[DEMO_PROTOS];
    uint64_t calls, allocs;
    int64_t begin, end; /* of the measured time */
};

/* All that was ever sent. */
struct demo_verdict {
    uint64_t messages, lost, reordered, corrupt;
};

struct demo {
    const struct demo_options *opt;
    struct counting counting;
    sonic_io *io;
    sonic_ws_server *server;
    sonic_listener *listener;
    sonic_tls_context *tls_server, *tls_client; /* NULL: plain */
    sonic_timer *clock, *screen;
    struct buyer *buyer;   /* opt->clients of each */
    struct seller *seller; /* in the order in which they came */
    unsigned arrived, subscribed, done, over;
    struct demo_figures figures;
    struct demo_verdict verdict;
    uint8_t *scratch; /* a message that is too large for link_reserve */
    bool measuring, stopping, ending;
    int64_t started;
    char where[DEMO_PROTOS][SONIC_ADDRESS_TEXT + 8]; /* to connect to */
    int err;
    char why[256];
};

/* Set up, run, sum up, let go: 0, or an error with why. */
int demo_run(struct demo *d, const struct demo_options *opt);
void demo_free(struct demo *d);

/* Its course: all are subscribed; all messages are there; it cannot go on. */
void demo_begin(struct demo *d);
void demo_finish(struct demo *d);
void demo_fail(struct demo *d, int err, const char *what, const char *why);

/* demo_ends.c: buyers connect with these events, sellers come from the servers
 * with these. */
extern const struct link_events demo_buyer_events;
extern const sonic_ws_handler demo_ws_handler;
void demo_on_accept(sonic_listener *listener, int err, sonic_stream *stream,
                    void *ud);
void demo_publish(struct seller *s);

/* demo_show.c */
bool demo_has_screen(const struct demo *d);
void demo_draw_screen(const struct demo *d);
void demo_clear_screen(const struct demo *d);
void demo_print(const struct demo *d);
void demo_print_json(const struct demo *d);
bool demo_is_good(const struct demo *d);

#endif
