/* One end of a stream in a seeded session: it writes bytes that the other end
 * can check, reads and checks the other's, by a random choice of the stream's
 * operations, and counts that each completes exactly once. */
#ifndef SONICIO_TESTS_SIM_PEER_H
#define SONICIO_TESTS_SIM_PEER_H

#include <sonicio/timer.h>

#include "sim_plan.h"

enum { PEER_BUFFER = 8192, PEER_WRITES = 4 };

/* An operation that may be under way. */
struct peer_op {
    struct peer *peer;
    bool busy;
    bool framed;
    size_t asked;
    uint8_t buf[PEER_BUFFER];
};

struct peer {
    struct session *session;
    struct peer *other;
    sonic_stream *stream;
    sonic_timer *timer;
    uint64_t salt; /* of the bytes that it writes */
    uint64_t to_write;
    uint64_t queued; /* handed to the stream */
    uint64_t checked;
    bool ended;  /* has seen the end of the stream */
    bool failed; /* has met an error, or gave up */
    bool holes;  /* writes that were cancelled are missing in what it writes */
    bool draining;
    struct peer_op read;
    struct iovec iov[3];
    struct peer_op writes[PEER_WRITES];
};

/* Let a peer begin; its stream is open and becomes the peer's. */
void peer_start(struct peer *p, struct session *s, sonic_stream *stream,
                struct peer *other);
/* Free what is left of it. */
void peer_end(struct peer *p);

#endif
