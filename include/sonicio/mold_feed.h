/* <sonicio/mold_feed.h> - MoldUDP64 on sockets and timers
 *
 * What <sonicio/mold.h> has, put on an io:
 *   sonic_mold_publisher   messages to one or more feeds (a packer)
 *   sonic_mold_server      requests for what was missed (an answerer)
 *   sonic_mold_subscriber  the feeds, to messages in order (a receiver)
 *
 * A publisher and a server of one process share a sonic_mold_store.  A feed is
 * a multicast group or the address of one receiver, IPv4 or IPv6.
 */
#ifndef SONICIO_MOLD_FEED_H
#define SONICIO_MOLD_FEED_H

#include <sonicio/mold.h>
#include <sonicio/multicast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a feed is. */
typedef struct sonic_mold_feed {
    const char *address;   /* GROUP:PORT, or HOST:PORT of the one receiver */
    const char *interface; /* of a group: to send or receive on; NULL: the
                              system's choice */
    const char *source;    /* subscriber: only what this host sends to the
                              group; NULL: anybody */
} sonic_mold_feed;

/* ---- publishing -------------------------------------------------------- */

typedef struct sonic_mold_publisher sonic_mold_publisher;

typedef struct sonic_mold_publisher_options {
    size_t size;
    const sonic_mold_packer_options *packer; /* required; mem is not looked at:
                                                it is the io's */
    const sonic_mold_feed *feeds;            /* 1 to 8 */
    unsigned n_feeds;
    const sonic_udp_options *udp; /* NULL: defaults */
    int ttl;                      /* of groups; default 1 */
    /* Instead of sending a packet: for those who part the feeds in time, or
     * lose packets on purpose.  sonic_mold_publisher_send sends.  data is valid
     * until this returns.  NULL: it is sent. */
    void (*on_packet)(sonic_mold_publisher *p, unsigned feed, const void *data,
                      size_t len, void *ud);
    /* The end of the session has been said as often as it is to be. */
    void (*on_done)(sonic_mold_publisher *p, void *ud);
    void *ud;
} sonic_mold_publisher_options;

#define SONIC_MOLD_PUBLISHER_OPTIONS_INIT                                      \
    {                                                                          \
        .size = sizeof(sonic_mold_publisher_options)                           \
    }

/* sonic_mold_publisher_new - everything is copied, but for the store
 * Heartbeats begin at once, from the loop, and keep sonic_io_run running until
 * on_done or the publisher is freed.
 * ERRORS  SONIC_EOPTION, -ENOMEM, those of sonic_udp_new and
 * sonic_multicast_new. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_publisher_new(sonic_io *io, const sonic_mold_publisher_options *opt,
                         sonic_mold_publisher **out);

/* sonic_mold_publish - the next message
 * It goes out with others when the dispatch ends, or earlier, when a packet is
 * full.  ERRORS  as sonic_mold_pack; SONIC_ECLOSED. */
SONIC_API SONIC_MUST_CHECK int sonic_mold_publish(sonic_mold_publisher *p,
                                                  const void *data, size_t len);
/* sonic_mold_publisher_flush - offer to the system now what there is */
SONIC_API void sonic_mold_publisher_flush(sonic_mold_publisher *p);
/* sonic_mold_publisher_end - the session is over; see sonic_mold_packer_end */
SONIC_API void sonic_mold_publisher_end(sonic_mold_publisher *p);
/* sonic_mold_publisher_send - send bytes to a feed, as on_packet got them
 * ERRORS  those of sonic_udp_queue; SONIC_EOPTION, there is no such feed. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_publisher_send(sonic_mold_publisher *p, unsigned feed,
                          const void *data, size_t len);
SONIC_API void sonic_mold_publisher_free(sonic_mold_publisher *p); /* or NULL */

SONIC_API uint64_t sonic_mold_publisher_next(const sonic_mold_publisher *p);
/* The socket of a feed, for statistics and options; NULL: no such feed. */
SONIC_API sonic_udp *sonic_mold_publisher_udp(const sonic_mold_publisher *p,
                                              unsigned feed);
/* Packets made, and those that a feed's socket refused. */
SONIC_API uint64_t sonic_mold_publisher_packets(const sonic_mold_publisher *p);
SONIC_API uint64_t sonic_mold_publisher_refused(const sonic_mold_publisher *p);

/* ---- answering --------------------------------------------------------- */

typedef struct sonic_mold_server sonic_mold_server;

typedef struct sonic_mold_server_options {
    size_t size;
    const char *address; /* to take requests at; port 0: the system's choice */
    const sonic_mold_answerer_options *answerer; /* required; mem: the io's */
    const sonic_udp_options *udp;                /* NULL: defaults */
} sonic_mold_server_options;

#define SONIC_MOLD_SERVER_OPTIONS_INIT                                         \
    {                                                                          \
        .size = sizeof(sonic_mold_server_options)                              \
    }

/* sonic_mold_server_new - copied, but for the store
 * ERRORS  SONIC_EOPTION, -ENOMEM, those of sonic_udp_new. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_server_new(sonic_io *io, const sonic_mold_server_options *opt,
                      sonic_mold_server **out);
SONIC_API void sonic_mold_server_free(sonic_mold_server *s); /* or NULL */
SONIC_API sonic_udp *sonic_mold_server_udp(const sonic_mold_server *s);
/* The answerer, for its statistics and session. */
SONIC_API sonic_mold_answerer *
sonic_mold_server_answerer(const sonic_mold_server *s);

/* ---- subscribing ------------------------------------------------------- */

typedef struct sonic_mold_subscriber sonic_mold_subscriber;

typedef struct sonic_mold_subscriber_options {
    size_t size;
    const sonic_mold_receiver_options *receiver; /* mem, servers: not looked
                                                    at; NULL: defaults */
    const sonic_mold_feed *feeds;                /* 1 to 8 */
    unsigned n_feeds;
    const char *const *servers; /* HOST:PORT to ask; at most 8.  Answers are
                                   taken from there only */
    unsigned n_servers;
    const sonic_udp_options *udp; /* NULL: defaults */
} sonic_mold_subscriber_options;

#define SONIC_MOLD_SUBSCRIBER_OPTIONS_INIT                                     \
    {                                                                          \
        .size = sizeof(sonic_mold_subscriber_options)                          \
    }

/* sonic_mold_subscriber_new - open the sockets, join the groups, and receive
 *
 *   handler, ud  of the receiver; copied.  on_request is not called: the
 *                servers are asked.
 * Callbacks run from the loop, which the subscriber keeps running until it is
 * freed; any of them may free it.
 * ERRORS  SONIC_EOPTION, -ENOMEM, those of sonic_udp_new, sonic_udp_dial,
 * sonic_multicast_new and sonic_multicast_join. */
SONIC_API SONIC_MUST_CHECK int sonic_mold_subscriber_new(
    sonic_io *io, const sonic_mold_subscriber_options *opt,
    const sonic_mold_handler *handler, void *ud, sonic_mold_subscriber **out);
SONIC_API void
sonic_mold_subscriber_free(sonic_mold_subscriber *s); /* or NULL */

/* The receiver, for its statistics, for sonic_mold_receiver_resume ... */
SONIC_API sonic_mold_receiver *
sonic_mold_subscriber_receiver(const sonic_mold_subscriber *s);
/* The socket of a feed, or with SONIC_MOLD_FEEDS_MAX + i of server i; NULL:
 * there is none. */
SONIC_API sonic_udp *sonic_mold_subscriber_udp(const sonic_mold_subscriber *s,
                                               unsigned which);
/* After sonic_mold_receiver_resume outside of a callback: look at the time
 * again. */
SONIC_API void sonic_mold_subscriber_kick(sonic_mold_subscriber *s);

#ifdef __cplusplus
}
#endif
#endif
