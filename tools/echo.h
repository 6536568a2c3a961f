/* echo.h - one io that sends back what it receives */
#ifndef SONICIO_TOOLS_ECHO_H
#define SONICIO_TOOLS_ECHO_H

#include <sonicio/frame.h>
#include <sonicio/listener.h>
#include <sonicio/timer.h>
#include <sonicio/websocket.h>

#include "common.h"
#include "secure.h"

enum echo_proto { ECHO_WS, ECHO_FRAME, ECHO_RAW };

struct echo_options {
    const char *listen;
    enum echo_proto proto;
    enum run_mode mode;
    unsigned threads;
    enum sonic_backend backend;
    uint64_t max_message;
    sonic_ws_deflate_options deflate;
    struct secure_options tls;
    bool quiet;
};

struct echo;

/* What is known of a connection of frames or raw bytes; the library knows the
 * WebSockets.  Found by descriptor, so that none is allocated by itself. */
struct echo_slot {
    struct echo *echo;
    void *conn; /* sonic_frame_conn, sonic_stream; NULL: the slot is free */
};

enum { ECHO_CHUNK = 1024 }; /* slots in a chunk */

struct echo {
    const struct echo_options *opt;
    sonic_io *io;
    sonic_tls_context *tls;    /* NULL: plain */
    sonic_ws_server *server;   /* ECHO_WS */
    sonic_listener *listener;  /* the others */
    sonic_frame_codec codec;   /* ECHO_FRAME */
    sonic_timer *deadline;     /* of a drain, for the others */
    struct echo_slot **chunks; /* [fd / ECHO_CHUNK][fd % ECHO_CHUNK] */
    size_t n_chunks;
    size_t open; /* slots in use */
    bool draining;
    /* Told at the end. */
    uint64_t connections, messages, bytes;
    size_t last;           /* bytes of the newest message */
    uint64_t clean, reset; /* ends while draining */
};

/* Make an io and listen.  *bound is the address it got.  0 or an error; call
 * echo_free in any case. */
int echo_new(struct echo *e, const struct echo_options *opt,
             const char *address, sonic_address *bound);

/* Read the certificates again, for connections from now on. */
void echo_reload(struct echo *e);

/* Stop accepting, say goodbye to every connection; then stop the io. */
void echo_drain(struct echo *e);

void echo_free(struct echo *e);

/* The queue must take one message more than what makes us pause; 0: the
 * library's own limit does. */
size_t echo_queue_limit(const struct echo_options *opt);

/* echo_conn.c: the same for ECHO_FRAME and ECHO_RAW. */
int echo_listen_conns(struct echo *e, const char *address,
                      const sonic_listener_options *lopt, sonic_address *bound);
void echo_drain_conns(struct echo *e);
void echo_free_conns(struct echo *e);

/* How long a drain may take. */
#define ECHO_DEADLINE (5 * NS_PER_S)

#endif
