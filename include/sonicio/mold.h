/* <sonicio/mold.h> - MoldUDP64: a numbered stream of messages over datagrams
 *
 * A publisher numbers the messages of a session and sends each once, several
 * in a packet, usually to two multicast groups (feeds A and B).  A receiver
 * takes whichever copy comes first, puts what came too early aside, and asks a
 * re-request server for what did not come at all.  Source: NASDAQ, "MoldUDP64
 * Protocol Specification", version 1.00; its sections are what comments here
 * refer to.
 *
 * What stands here takes bytes and a time, and calls back: it does no I/O and
 * reads no clock.  <sonicio/mold_feed.h> puts it on sockets and timers.
 *   sonic_mold_packet     packets, read and written
 *   sonic_mold_store      the last messages of a session, by number
 *   sonic_mold_packer     messages to packets, heartbeats, end of session
 *   sonic_mold_answerer   requests to packets out of a store
 *   sonic_mold_receiver   packets of all feeds to messages in order, requests
 *
 * A session's name is up to 10 characters as text; on the wire it is padded
 * with blanks on the right.  Numbers begin at 1, and end before 2^64 - 1.
 */
#ifndef SONICIO_MOLD_H
#define SONICIO_MOLD_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/fsm.h>
#include <sonicio/mem.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SONIC_MOLD_SESSION = 10,        /* bytes of a session on the wire */
    SONIC_MOLD_HEADER = 20,         /* bytes of a header, and of a request */
    SONIC_MOLD_COUNT_MAX = 0xfffe,  /* messages of a packet */
    SONIC_MOLD_END = 0xffff,        /* the count that ends a session */
    SONIC_MOLD_MESSAGE_MAX = 65535, /* bytes of a message */
    SONIC_MOLD_PACKET_MAX = 65507,  /* bytes of a datagram over IPv4 */
    SONIC_MOLD_FEEDS_MAX = 8,
    SONIC_MOLD_SERVERS_MAX = 8,
    SONIC_MOLD_REPLY = SONIC_MOLD_FEEDS_MAX /* "feed" of a server's answers */
};

/* ---- packets ----------------------------------------------------------- */

/* A packet's header, and where its messages lie.  The header alone is also
 * the form of a request. */
typedef struct sonic_mold_packet {
    uint8_t session[SONIC_MOLD_SESSION]; /* as on the wire */
    uint64_t sequence; /* of the first message; heartbeat, end: of the next */
    unsigned count;    /* messages; 0: a heartbeat; SONIC_MOLD_END; of a
                          request: messages wanted */
    uint8_t *data;     /* the blocks that were not taken yet ... */
    size_t len;        /* ... and their bytes */
} sonic_mold_packet;

/* sonic_mold_parse - read a downstream packet, section "Downstream Packet"
 *
 * All of it is checked: blocks end where the datagram ends.
 *   data  borrowed for as long as *out is used
 * ERRORS  SONIC_EMOLD_PACKET: too short or too long for its count, numbers
 * beyond the last. */
SONIC_API SONIC_MUST_CHECK int sonic_mold_parse(void *data, size_t len,
                                                sonic_mold_packet *out);

/* sonic_mold_take - the next message of a packet, where it lies
 * Returns false when there is none left.  A message may be empty. */
SONIC_API bool sonic_mold_take(sonic_mold_packet *packet, uint8_t **data,
                               size_t *len);

/* sonic_mold_parse_request - ERRORS SONIC_EMOLD_PACKET: not 20 bytes, nothing
 * asked for (a count of 0 or 0xFFFF), numbers beyond the last. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_parse_request(const void *data, size_t len, sonic_mold_packet *out);

/* sonic_mold_write_header - write the 20 bytes of a header or request */
SONIC_API void sonic_mold_write_header(void *out, const uint8_t *session,
                                       uint64_t sequence, unsigned count);

/* Text to wire: SONIC_EOPTION when it is empty, has more than 10 characters or
 * one that is no printable ASCII.  Wire to text: terminated, without the
 * padding; what is not printable is shown as '?'. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_session_set(uint8_t session[SONIC_MOLD_SESSION], const char *text);
SONIC_API void
sonic_mold_session_text(const uint8_t session[SONIC_MOLD_SESSION],
                        char text[SONIC_MOLD_SESSION + 1]);

/* ---- the store --------------------------------------------------------- */

/* The last messages of a session: new ones push the oldest out. */
typedef struct sonic_mold_store sonic_mold_store;

typedef struct sonic_mold_store_options {
    size_t size;
    const sonic_mem *mem; /* copied; NULL: malloc(3) */
    size_t messages;      /* kept at most; default 1,048,576, rounded up to a
                             power of two, at most 2^28 */
    size_t bytes;         /* of them, at most; default 64 MiB, at least 64 KiB,
                             at most 4 GiB - 1 */
} sonic_mold_store_options;

#define SONIC_MOLD_STORE_OPTIONS_INIT                                          \
    {                                                                          \
        .size = sizeof(sonic_mold_store_options)                               \
    }

/* opt may be NULL.  Nothing is allocated later.
 * ERRORS -ENOMEM; SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_store_new(const sonic_mold_store_options *opt,
                     sonic_mold_store **out);
SONIC_API void sonic_mold_store_free(sonic_mold_store *store); /* or NULL */

/* sonic_mold_store_put - keep message `sequence`
 * A number that is not the one behind the last empties the store first.
 * ERRORS  SONIC_ETOOBIG, longer than 65,535 bytes. */
SONIC_API SONIC_MUST_CHECK int sonic_mold_store_put(sonic_mold_store *store,
                                                    uint64_t sequence,
                                                    const void *data,
                                                    size_t len);
/* sonic_mold_store_get - valid until the next put; NULL: not (any more, yet)
 * there */
SONIC_API const void *sonic_mold_store_get(const sonic_mold_store *store,
                                           uint64_t sequence, size_t *len);
/* The oldest number that is there, and the one behind the newest. */
SONIC_API uint64_t sonic_mold_store_first(const sonic_mold_store *store);
SONIC_API uint64_t sonic_mold_store_next(const sonic_mold_store *store);
SONIC_API void sonic_mold_store_clear(sonic_mold_store *store);

/* ---- publishing -------------------------------------------------------- */

/* Packets go out through this; data is valid until it returns.  It must not
 * free what called it. */
typedef void sonic_mold_packet_fn(const void *data, size_t len, void *ud);

typedef struct sonic_mold_packer sonic_mold_packer;

typedef struct sonic_mold_packer_options {
    size_t size;
    const sonic_mem *mem; /* copied; NULL: malloc(3) */
    const char *session;  /* required */
    uint64_t first;       /* number of the first message; default 1 */
    size_t packet_max;    /* bytes of a packet; default 1,400, 22 to 65,507 */
    int64_t heartbeat;    /* ns without a packet; default 1 s */
    unsigned end_repeats; /* end-of-session packets, one each heartbeat, the
                             first at once; default 30 */
    sonic_mold_store
        *store; /* keeps what is published; borrowed; may be NULL */
} sonic_mold_packer_options;

#define SONIC_MOLD_PACKER_OPTIONS_INIT                                         \
    {                                                                          \
        .size = sizeof(sonic_mold_packer_options)                              \
    }

/* fn, ud: where packets go.  ERRORS -ENOMEM; SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_packer_new(const sonic_mold_packer_options *opt,
                      sonic_mold_packet_fn *fn, void *ud,
                      sonic_mold_packer **out);
SONIC_API void sonic_mold_packer_free(sonic_mold_packer *packer); /* or NULL */

/* sonic_mold_pack - number a message, and put it into the packet being made
 * When it does not fit, that packet goes out first.
 * ERRORS  SONIC_ETOOBIG: longer than a packet allows; SONIC_ESTATE: the session
 * has ended, or its numbers are used up. */
SONIC_API SONIC_MUST_CHECK int sonic_mold_pack(sonic_mold_packer *packer,
                                               const void *data, size_t len,
                                               int64_t now);
/* sonic_mold_packer_flush - the packet being made, if any, goes out */
SONIC_API void sonic_mold_packer_flush(sonic_mold_packer *packer, int64_t now);
/* sonic_mold_packer_end - flush, and say that the session is over, now and
 * with each heartbeat.  Idempotent. */
SONIC_API void sonic_mold_packer_end(sonic_mold_packer *packer, int64_t now);
/* sonic_mold_packer_tick - time has passed: heartbeats are due at _deadline,
 * which is INT64_MAX when all has been said. */
SONIC_API void sonic_mold_packer_tick(sonic_mold_packer *packer, int64_t now);
SONIC_API int64_t sonic_mold_packer_deadline(const sonic_mold_packer *packer);
/* The number of the next message. */
SONIC_API uint64_t sonic_mold_packer_next(const sonic_mold_packer *packer);
/* Trace every step: `sonicio tables mold-publish`.  Borrowed; NULL ends it. */
SONIC_API void sonic_mold_packer_set_trace(sonic_mold_packer *packer,
                                           const sonic_fsm_tracer *tracer);

/* ---- answering requests ------------------------------------------------ */

typedef struct sonic_mold_answerer sonic_mold_answerer;

typedef struct sonic_mold_answerer_options {
    size_t size;
    const sonic_mem *mem;          /* copied; NULL: malloc(3) */
    const char *session;           /* required */
    const sonic_mold_store *store; /* required; borrowed */
    size_t packet_max;             /* bytes of an answer; default 1,400 */
    unsigned packets;              /* an answer may have; default 1, as the
                                      specification has it; at most 64 */
    unsigned rate, burst; /* packets a second, and at once, for all; default
                             100,000 and 10,000 */
    unsigned client_rate, client_burst; /* and for one client; default 10,000
                                           and 1,000 */
} sonic_mold_answerer_options;

#define SONIC_MOLD_ANSWERER_OPTIONS_INIT                                       \
    {                                                                          \
        .size = sizeof(sonic_mold_answerer_options)                            \
    }

/* ERRORS -ENOMEM; SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_answerer_new(const sonic_mold_answerer_options *opt,
                        sonic_mold_answerer **out);
SONIC_API void sonic_mold_answerer_free(sonic_mold_answerer *a); /* or NULL */

/* sonic_mold_answer - answer a request
 *
 *   client  anything that tells clients apart, such as a hash of the address.
 *           Limits are kept for 256 at a time: some share theirs.
 *   fn, ud  called for each packet of the answer
 * Returns how many messages were sent.
 * ERRORS  nothing is sent: SONIC_EMOLD_PACKET; SONIC_EMOLD_SESSION, of another
 * session; SONIC_EMOLD_GONE, the first message is not in the store;
 * SONIC_EMOLD_RATE, over a limit. */
SONIC_API SONIC_MUST_CHECK int sonic_mold_answer(sonic_mold_answerer *a,
                                                 uint64_t client, int64_t now,
                                                 const void *data, size_t len,
                                                 sonic_mold_packet_fn *fn,
                                                 void *ud);
/* sonic_mold_answerer_session - from now on, of this session.
 * ERRORS SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_answerer_session(sonic_mold_answerer *a, const char *session);

typedef struct sonic_mold_answerer_stats {
    uint64_t requests, packets, messages;
    uint64_t malformed, foreign, gone, limited; /* requests not answered */
} sonic_mold_answerer_stats;

SONIC_API void sonic_mold_answerer_get_stats(const sonic_mold_answerer *a,
                                             sonic_mold_answerer_stats *out);

/* ---- receiving --------------------------------------------------------- */

typedef struct sonic_mold_receiver sonic_mold_receiver;

enum sonic_mold_state {
    SONIC_MOLD_IDLE,     /* no session yet */
    SONIC_MOLD_LEVEL,    /* nothing is missing */
    SONIC_MOLD_GAPPED,   /* something is; it is being fetched */
    SONIC_MOLD_SNAPSHOT, /* on_snapshot has been told; see _resume */
    SONIC_MOLD_ENDED     /* the session is over, and complete */
};

/* Messages that were missing together. */
typedef struct sonic_mold_gap {
    uint64_t first, last;
    uint64_t missing;       /* of them, still */
    int64_t begun, took;    /* ns; took: 0 until it is filled or given up */
    unsigned requests;      /* sent for it */
    uint64_t from_feeds;    /* messages that came by another feed or late ... */
    uint64_t from_requests; /* ... and that a server sent */
} sonic_mold_gap;

/* What happens.  Members may be NULL.  Borrowed.  A callback may do anything,
 * sonic_mold_receiver_free included. */
typedef struct sonic_mold_handler {
    size_t size;
    /* A session begins: with message `first`. */
    void (*on_session)(sonic_mold_receiver *r, const char *session,
                       uint64_t first, void *ud);
    /* The next message, in order, once; where it was received or put aside:
     * valid until this returns, and it may be written to. */
    void (*on_message)(sonic_mold_receiver *r, uint64_t sequence, uint8_t *data,
                       size_t len, void *ud);
    /* Messages are missing; all that were have come.  A gap may grow in between
     * (not its first number).  One of which some are given up ends with
     * on_lost instead. */
    void (*on_gap)(sonic_mold_receiver *r, const sonic_mold_gap *gap, void *ud);
    void (*on_filled)(sonic_mold_receiver *r, const sonic_mold_gap *gap,
                      void *ud);
    /* Messages first .. last will not come: every server was asked as often as
     * it may be, or they are too far behind, or the session changed. */
    void (*on_lost)(sonic_mold_receiver *r, uint64_t first, uint64_t last,
                    void *ud);
    /* The same, with a choice: get the state of things elsewhere, and go on
     * with sonic_mold_receiver_resume behind it, now or later.  Until then
     * messages are put aside, the newest ones when there is no room for all.
     * Gaps told of before are forgotten; those that are still there after the
     * resume are told again.  NULL: on_lost instead, and on it goes. */
    void (*on_snapshot)(sonic_mold_receiver *r, uint64_t next, uint64_t newest,
                        void *ud);
    /* Send these bytes to that server. */
    void (*on_request)(sonic_mold_receiver *r, unsigned server,
                       const void *data, size_t len, void *ud);
    /* The session is over, and all of it was delivered, but for what was
     * lost; `next` was not used. */
    void (*on_end)(sonic_mold_receiver *r, uint64_t next, void *ud);
} sonic_mold_handler;

#define SONIC_MOLD_HANDLER_INIT .size = sizeof(sonic_mold_handler)

typedef struct sonic_mold_receiver_options {
    size_t size;
    const sonic_mem *mem;    /* copied; NULL: malloc(3) */
    const char *session;     /* packets of others are dropped; NULL: the first
                                that comes, then each new one that comes on a
                                feed */
    uint64_t first;          /* number wanted first; default 1 */
    enum sonic_switch join;  /* ON: of each session, the first that comes */
    unsigned servers;        /* to ask, at most 8; default 0: none */
    int64_t request_delay;   /* ns that another feed is given to fill a gap
                                before a server is asked; default 2 ms */
    int64_t request_timeout; /* ns without an answer until the next server is
                                asked, or the gap given up; default 100 ms */
    unsigned request_tries;  /* in a row without an answer; default 3 for each
                                server */
    unsigned request_max;    /* messages asked for at once; default 1,024, at
                                most 65,534 */
    unsigned request_rate, request_burst; /* requests a second, and at once;
                                             default 1,000 and 100 */
    size_t window;     /* messages from the next one to the newest: more is
                          too far behind; default 65,536, at most 2^24 */
    size_t hold_bytes; /* for what is put aside; default 16 MiB */
    unsigned gaps_max; /* told apart at a time; default 1,024 */
} sonic_mold_receiver_options;

#define SONIC_MOLD_RECEIVER_OPTIONS_INIT                                       \
    {                                                                          \
        .size = sizeof(sonic_mold_receiver_options)                            \
    }

/* opt may be NULL; handler is borrowed.  Nothing is allocated later.
 * ERRORS -ENOMEM; SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_receiver_new(const sonic_mold_receiver_options *opt,
                        const sonic_mold_handler *handler, void *ud,
                        sonic_mold_receiver **out);
SONIC_API void sonic_mold_receiver_free(sonic_mold_receiver *r); /* or NULL */

/* sonic_mold_receive - a packet has come
 *
 *   feed  0 .. 7, or SONIC_MOLD_REPLY: from a server
 *   now   ns of any clock that does not go back
 *   data  borrowed until this returns; may be written to
 * Callbacks run before it returns.  0, also for a duplicate; the errors are
 * for whoever wants to know: the packet has been dropped and counted.
 * ERRORS  SONIC_EMOLD_PACKET; SONIC_EMOLD_SESSION: of a session that is not
 * wanted; SONIC_EOPTION: there is no such feed. */
SONIC_API int sonic_mold_receive(sonic_mold_receiver *r, unsigned feed,
                                 int64_t now, void *data, size_t len);

/* sonic_mold_receiver_tick - time has passed: to be called at _deadline, which
 * is INT64_MAX while nothing is missing */
SONIC_API void sonic_mold_receiver_tick(sonic_mold_receiver *r, int64_t now);
SONIC_API int64_t sonic_mold_receiver_deadline(const sonic_mold_receiver *r);

/* sonic_mold_receiver_resume - go on with message `next`, after on_snapshot
 * What was put aside follows.  ERRORS  SONIC_ESTATE, no snapshot is awaited;
 * SONIC_EOPTION, before what was delivered. */
SONIC_API SONIC_MUST_CHECK int
sonic_mold_receiver_resume(sonic_mold_receiver *r, uint64_t next, int64_t now);

SONIC_API enum sonic_mold_state
sonic_mold_receiver_state(const sonic_mold_receiver *r);
/* The next message to be delivered, and the one behind the newest heard of. */
SONIC_API uint64_t sonic_mold_receiver_next(const sonic_mold_receiver *r);
SONIC_API uint64_t sonic_mold_receiver_newest(const sonic_mold_receiver *r);
/* "" before the first. */
SONIC_API const char *sonic_mold_receiver_session(const sonic_mold_receiver *r);
/* Messages put aside now. */
SONIC_API size_t sonic_mold_receiver_held(const sonic_mold_receiver *r);
/* Trace every step: `sonicio tables mold`.  Borrowed; NULL ends it. */
SONIC_API void sonic_mold_receiver_set_trace(sonic_mold_receiver *r,
                                             const sonic_fsm_tracer *tracer);

typedef struct sonic_mold_feed_stats {
    uint64_t packets, bytes, messages, heartbeats, ends;
    uint64_t used;       /* messages that came here first */
    uint64_t duplicates; /* that had come before */
    uint64_t lost;       /* numbers that this feed jumped over ... */
    uint64_t late;       /* ... and packets behind them, in number only */
    uint64_t malformed, foreign; /* packets */
    int64_t heard;               /* when the last packet came */
} sonic_mold_feed_stats;

typedef struct sonic_mold_receiver_stats {
    uint64_t messages;     /* delivered */
    uint64_t held;         /* of them, put aside before */
    uint64_t gaps, filled; /* how many there were, and were filled */
    uint64_t lost;         /* messages */
    uint64_t requests;     /* packets sent to servers */
    uint64_t asked;        /* messages asked for */
    uint64_t no_room;      /* messages that could not be put aside, to be asked
                              for again */
    uint64_t snapshots, sessions;
    int64_t longest; /* ns that a gap took to be filled */
    sonic_mold_feed_stats feed[SONIC_MOLD_FEEDS_MAX + 1]; /* last: replies */
} sonic_mold_receiver_stats;

SONIC_API void sonic_mold_receiver_get_stats(const sonic_mold_receiver *r,
                                             sonic_mold_receiver_stats *out);

#ifdef __cplusplus
}
#endif
#endif
