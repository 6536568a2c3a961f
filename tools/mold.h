/* mold.h - sonicio mold: a feed to try, on one machine or several */
#ifndef SONICIO_TOOLS_MOLD_H
#define SONICIO_TOOLS_MOLD_H

#include <sonicio/mold_feed.h>

#include "common.h"

struct mold_options {
    sonic_mold_feed feeds[SONIC_MOLD_FEEDS_MAX];
    unsigned n_feeds;
    const char *servers[SONIC_MOLD_SERVERS_MAX];
    unsigned n_servers;
    const char *upstream[SONIC_MOLD_SERVERS_MAX]; /* serve: whom it asks */
    unsigned n_upstream;
    const char *session;
    uint64_t count; /* publish: messages; subscribe: to stop after; 0: all */
    double rate;    /* messages a second */
    size_t size;    /* bytes of a message */
    size_t packet_max;
    double loss, duplicate, reorder; /* of packets, 0 to 1 */
    int64_t skew;                    /* ns that each feed is behind the last */
    uint64_t seed;
    int64_t start;          /* ns before the first message */
    int64_t linger;         /* ns of the end of session */
    int64_t wait;           /* ns of silence, and the subscriber gives up */
    int64_t delay, timeout; /* of requests */
    uint64_t first;
    bool join, json, quiet;
    const char *dump; /* file for a hex dump */
};

/* What the messages begin with, so that a subscriber can check them. */
enum { MOLD_STAMP = 24 };
void mold_stamp(uint8_t *message, uint64_t sequence, int64_t now);
/* False: it is not one of ours, or it is another one. */
bool mold_check(const uint8_t *message, size_t len, uint64_t sequence,
                int64_t *sent);

/* What they say of receiving. */
void mold_receiver_of(const struct mold_options *o,
                      sonic_mold_receiver_options *r);

/* "sonicio mold: WHAT: why"; EXIT_BAD. */
int mold_failed(const char *what, int err);

/* Each returns an exit status. */
int mold_publish(const struct mold_options *o);
int mold_subscribe(const struct mold_options *o);
int mold_serve(const struct mold_options *o);

#endif
