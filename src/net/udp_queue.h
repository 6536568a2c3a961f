/* udp_queue.h - datagrams that wait to be sent, in the order of their calls
 *
 * One block of memory that records are put into from end to end and around.
 * A record holds a datagram's destination, what is to be called when it has
 * gone, and its bytes or where they are.  Records are sent in order and leave
 * in order; one that is cancelled is done with before its turn.
 */
#ifndef SONICIO_SRC_UDP_QUEUE_H
#define SONICIO_SRC_UDP_QUEUE_H

#include <netinet/in.h>
#include <string.h>

#include <sonicio/udp.h>

struct sonic__udp_out {
    uint32_t size; /* bytes to the next record; 0: that is at the start */
    uint32_t len;
    const uint8_t *data;
    sonic_udp_write_fn *cb; /* NULL: nobody is to be told, or was */
    void *ud;
    int err;        /* when done */
    bool done;      /* sent, refused or cancelled */
    uint8_t to_len; /* 0: the socket is connected */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    _Alignas(8) uint8_t bytes[];
};

struct sonic__udp_queue {
    uint8_t *base;
    size_t cap;
    size_t head, next, tail; /* the oldest record, the first unsent, the end */
    size_t used;             /* bytes */
    size_t total, unsent;    /* records: all, and from next on */
    size_t waiting, bytes;   /* datagrams of these that are not done */
    size_t finished;         /* done, and somebody is to be told */
};

static inline struct sonic__udp_out *
sonic__udp_out_at(const struct sonic__udp_queue *q, size_t pos)
{
    struct sonic__udp_out *r = (void *)(q->base + pos);

    if (pos == q->cap || r->size == 0)
        return (void *)q->base;
    return r;
}

/* Only where another record follows. */
static inline struct sonic__udp_out *
sonic__udp_out_next(const struct sonic__udp_queue *q,
                    const struct sonic__udp_out *r)
{
    return sonic__udp_out_at(q,
                             (size_t)((const uint8_t *)r - q->base) + r->size);
}

/* A record at the end, with room for `room` bytes; NULL: it is full. */
struct sonic__udp_out *sonic__udp_queue_put(struct sonic__udp_queue *q,
                                            size_t room);

/* A record is done with. */
void sonic__udp_queue_done(struct sonic__udp_queue *q, struct sonic__udp_out *r,
                           int err);

/* Let the records at the front go that nobody has an interest in. */
void sonic__udp_queue_trim(struct sonic__udp_queue *q);

/* The oldest record whose callback is due, which is taken off it. */
struct sonic__udp_out *sonic__udp_queue_finished(struct sonic__udp_queue *q);

#endif
