/* Ends of WebSocket connections that talk at random and check each other. */
#ifndef SONICIO_TESTS_SIM_WS_H
#define SONICIO_TESTS_SIM_WS_H

#include <sonicio/timer.h>
#include <sonicio/websocket.h>

#include "sim_plan.h"

enum { WS_PAIRS = 3, WS_MOST = 40000, WS_SENDS = 2 };

/* How an end takes messages. */
enum ws_mode {
    WS_MESSAGES, /* by the handler: whole ... */
    WS_CHUNKS,   /* ... in parts ... */
    WS_FRAMES,   /* ... as frames */
    WS_READ,     /* by read operations: the same, and ... */
    WS_READ_INTO,
    WS_READ_CHUNK,
    WS_READ_FRAME,
    WS_MODES,
};

struct ws_send {
    struct ws_end *end;
    bool busy;
    uint8_t buf[WS_MOST];
};

struct ws_end {
    struct session *session;
    struct ws_end *other;
    sonic_ws *ws;
    sonic_timer *timer;
    sonic_ws_handler handler;
    enum ws_mode mode;
    uint64_t salt;
    unsigned to_send, sent, got;
    size_t part_sent, part_got;
    bool parting, parting_in; /* in the middle of a message in parts */
    bool reading, connecting;
    bool opened, over, closer, draining, paused, lossy;
    unsigned ticks;
    sonic_ws_close_record why;
    struct ws_send sends[WS_SENDS];
    uint8_t into[WS_MOST], scratch[WS_MOST];
};

/* Set up an end that will talk: before it is connected. */
void ws_end_init(struct ws_end *e, struct session *s, struct ws_end *other);
/* The handler's table for it, and its connect callback. */
void ws_end_connected(sonic_ws *ws, int err, void *ud);
void ws_end_free(struct ws_end *e);

#endif
