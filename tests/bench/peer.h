/* peer.h - the two echo servers that are compared */
#ifndef SONICIO_BENCH_PEER_H
#define SONICIO_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct peer_options {
    bool raw;   /* the floor: recv() and send(); else sonicio's WebSocket */
    bool spin;  /* never block */
    bool brief; /* end when the last connection has ended */
};

/* Serve on a free port of 127.0.0.1, which ready is told once. */
void peer_serve(const struct peer_options *opt,
                void (*ready)(uint16_t port, void *ud), void *ud);

struct peer {
    pid_t pid;
    uint16_t port;
};

/* The same in another process, on the first core. */
struct peer peer_start(const struct peer_options *opt);
void peer_stop(const struct peer *p);

#endif
