/* ws_crowd.h - a server of WebSocket on a rig, and peers that are plain
 * descriptors: what a message to all of them becomes. */
#ifndef SONICIO_TESTS_WS_CROWD_H
#define SONICIO_TESTS_WS_CROWD_H

#include "rig.h"
#include "ws_deflate.h"

enum { CROWD_PEERS = 8, CROWD_LARGEST = 70000 };

struct crowd {
    struct rig rig;
    sonic_ws_server *server;
    sonic_ws *ws[CROWD_PEERS];
    int fd[CROWD_PEERS];
    unsigned n, drains, closes;
    sonic_ws_close_record why;
};

extern struct crowd crowd;
/* JSON, to be sent. */
extern uint8_t crowd_text[CROWD_LARGEST];

/* Make one without peers, on a backend; opt may be NULL. */
void crowd_open(int i, const sonic_ws_options *opt);
void crowd_close(void);
/* One more peer, which offers these extensions, or NULL. */
void crowd_join(const char *offer);
sonic_ws_prepared *crowd_prepare(unsigned opcode, const void *data, size_t n);

/* A frame as a peer hears it; its first byte. */
uint8_t crowd_hear(int fd, uint8_t *buf, size_t *n);
void crowd_expect(int fd, uint8_t first, const void *data, size_t n);
/* A compressed one, to be inflated with z. */
void crowd_expect_inflated(int fd, z_stream *z, const void *data, size_t n);

/* Messages, and compressed forms of them, that are held. */
unsigned crowd_held(void);

#endif
