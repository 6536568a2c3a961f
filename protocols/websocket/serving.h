/* serving.h - the inside of sonic_ws_server */
#ifndef SONICIO_WEBSOCKET_SERVING_H
#define SONICIO_WEBSOCKET_SERVING_H

#include "websocket/session.h"

struct listening {
    sonic_ws_server *server;
    sonic_listener *listener;
    struct listening *next;
};

/* A balancer's connection, whose header is awaited. */
struct waiting {
    sonic_ws_server *server;
    sonic_stream *stream;
    struct waiting *next, **prev;
};

struct sonic_ws_server {
    sonic_io *io;
    struct sonic__ws_config *config;
    struct listening *listeners;
    sonic_ws **v;            /* NULL where one went while `walking` */
    sonic_address **clients; /* as their balancers said, or NULL; only with
                                opt.proxies */
    uint32_t n, cap, live;
    struct waiting *waiting;
    size_t n_waiting;
    uint64_t shed;         /* by listeners that are gone */
    sonic_address *coming; /* of the connection that is being accepted */
    unsigned walking;
    bool freed;
    sonic_ws_drain_fn *drain_cb;
    void *drain_ud;
    sonic_timer *drain_timer;
    sonic_ws_drained drained;
};

#endif
