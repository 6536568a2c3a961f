/* One MoldUDP64 session, or two one after the other, in a simulated world, and
 * the oracle that judges what subscribers get. */
#ifndef SONICIO_TESTS_SIM_FEED_H
#define SONICIO_TESTS_SIM_FEED_H

#include <sonicio/mold_feed.h>
#include <sonicio/timer.h>

#include "sim_plan.h"

enum {
    FEED_SUBSCRIBERS = 2,
    FEED_SERVERS = 2,
    FEED_DAYS = 2,
    FEED_GAPS = 1024,
    FEED_MOST = 200,       /* bytes of a message */
    FEED_MEMORY = 4 << 20, /* bytes that all of it may take */
};

struct feed;

struct subscriber {
    struct feed *feed;
    sonic_mold_subscriber *mold;
    bool join;     /* takes what comes first */
    int day;       /* index of the session it is in; -1: none yet */
    uint64_t next; /* message to come */
    bool waiting;  /* for a snapshot ... */
    uint64_t from; /* ... which will go on here */
    bool over;     /* the last session has ended */
    size_t open;
    struct {
        uint64_t first, last;
    } gap[FEED_GAPS];
    uint64_t messages, gaps, filled, lost, snapshots, sessions, ended;
};

struct day {
    char name[SONIC_MOLD_SESSION + 1];
    uint64_t salt;
    uint64_t messages, published;
    bool unended; /* the publisher dies before it says that it is over */
};

struct feed {
    struct session *session;
    sonic_timer *timer;
    sonic_mold_store *store, *short_store; /* of the second server */
    sonic_mold_publisher *publisher;
    sonic_mold_server *servers[FEED_SERVERS];
    size_t n_servers, n_subscribers;
    struct subscriber subscribers[FEED_SUBSCRIBERS];
    struct day days[FEED_DAYS];
    int n_days, day;
    bool six, patient; /* requests are never given up */
    bool show;
    bool dark; /* both feeds are cut for a while, once */
    unsigned dark_until, ticks, since_end;
    size_t window, packet_max;
};

extern struct feed feed;

void feed_run(struct session *s);
void feed_look(struct session *s);

#endif
