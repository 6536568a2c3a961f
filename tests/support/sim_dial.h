/* Two peers that find each other: one listens, the other connects. */
#ifndef SONICIO_TESTS_SIM_DIAL_H
#define SONICIO_TESTS_SIM_DIAL_H

#include <sonicio/listener.h>

#include "sim_peer.h"

struct dial {
    struct session *session;
    struct peer *client, *server;
    sonic_listener *listener;
    sonic_stream *stream; /* that connects */
    sonic_timer *timer;   /* ends the accept if its client was aborted */
    bool accepting, connecting;
    bool failed;
};

/* Listen on some address, and connect to it.  A failure is noted. */
void dial_start(struct dial *d, struct session *s, struct peer *client,
                struct peer *server);
void dial_end(struct dial *d);

#endif
