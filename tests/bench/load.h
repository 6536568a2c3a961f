/* load.h - the clients: as many messages as go through, or one at a time */
#ifndef SONICIO_BENCH_LOAD_H
#define SONICIO_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is sent, to whom. */
struct load {
    uint16_t port;
    bool raw;  /* no WebSocket: payload alone */
    bool text; /* or binary */
    size_t size;
    unsigned connections;
    unsigned depth;    /* messages sent before the first answer is awaited */
    double seconds;    /* how long; 0: until ... */
    uint64_t messages; /* ... so many are answered */
};

/* A connection on which messages may be sent; it blocks. */
int load_connect(const struct load *l);

/* Messages per second; *answered, when it is not NULL, is how many there were.
 * Whatever is wrong with an answer ends the program. */
double load_run(const struct load *l, uint64_t *answered);

/* Ping and pong on one connection, count times; spin: never block.  Times in
 * nanoseconds go to ns[0..count). */
void load_pings(const struct load *l, bool spin, double *ns, size_t count);

/* One message there and back on fd. */
void load_once(const struct load *l, int fd);

#endif
