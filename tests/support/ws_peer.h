/* ws_peer.h - a server or client of the library, and a peer that is nothing
 * but a descriptor: what it says is written by hand, what it hears is read as
 * bytes.  Both live in one thread; the peer's calls run the io meanwhile. */
#ifndef SONICIO_TESTS_WS_PEER_H
#define SONICIO_TESTS_WS_PEER_H

#include <sonicio/sonicio.h>

/* What happened on the library's side, in order, as text: "open ",
 * "text:abc ", "ping:x ", "drain ", "close:1000 " … */
struct ws_log {
    char text[4096];
    sonic_ws_close_record why;
    int closes, opens, drains;
    sonic_ws *ws; /* the last one that was open */
    /* Done in the callback whose name (as in text) this is, once. */
    const char *act_at;
    void (*act)(sonic_ws *ws);
};

struct ws_world {
    sonic_io *io;
    sonic_ws_server *server;
    sonic_ws *client;
    int fd; /* the peer's end */
    struct ws_log log;
    sonic_ws_options opt;
    size_t allocs, live; /* made ever, not freed */
    const char *backend;
};

extern const sonic_ws_handler ws_log_handler;   /* on_message */
extern const sonic_ws_handler ws_chunk_handler; /* on_chunk */
extern const sonic_ws_handler ws_frame_handler; /* on_frame */
extern const sonic_ws_handler ws_quiet_handler; /* takes no data */
extern const sonic_ws_handler ws_echo_handler; /* sends messages back; no log */

/* A world on backend 0 (epoll) or 1 (poll); options may be changed in
 * w->opt before ws_serve or ws_client. */
void ws_world_open(struct ws_world *w, int backend);
void ws_world_close(struct ws_world *w); /* and check that nothing leaked */

/* A server and a peer connected to it, no byte exchanged. */
void ws_serve(struct ws_world *w, const sonic_ws_handler *handler);
/* The same, upgraded. */
void ws_serve_open(struct ws_world *w, const sonic_ws_handler *handler);
/* A client that upgrades over a stream to the peer. */
void ws_client(struct ws_world *w, const sonic_ws_handler *handler);
/* The same, upgraded by the peer. */
void ws_client_open(struct ws_world *w, const sonic_ws_handler *handler);

/* The peer answers a client's request with a right 101. */
void ws_answer(struct ws_world *w);
/* The same with more fields, each ended by CR LF. */
void ws_answer_with(struct ws_world *w, const char *more);
/* Only the saying, of an answer that may be refused. */
void ws_say_answer(struct ws_world *w, const char *more);

/* The peer says bytes; a client's frame, masked; a server's frame. */
void ws_say(struct ws_world *w, const void *data, size_t n);
void ws_say_text(struct ws_world *w, const char *text);
void ws_say_frame(struct ws_world *w, uint8_t head, const char *payload);
/* The peer hears n bytes, or until the end; runs the io meanwhile. */
size_t ws_hear(struct ws_world *w, void *buf, size_t n);
/* The peer hears exactly these bytes. */
void ws_expect(struct ws_world *w, const void *data, size_t n);
/* The peer hears a frame of this head (server's, unmasked) and payload. */
void ws_expect_frame(struct ws_world *w, uint8_t head, const char *payload);
void ws_expect_close(struct ws_world *w, unsigned code);
/* The peer hears the end of the stream. */
void ws_expect_eof(struct ws_world *w);
/* A head up to its empty line. */
void ws_hear_head(struct ws_world *w, char *buf, size_t cap);
/* Run until the log ends with this text. */
void ws_until(struct ws_world *w, const char *end);

#define WS_REQUEST                                                             \
    "GET /chat?a=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"      \
    "Connection: keep-alive, Upgrade\r\n"                                      \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                          \
    "Sec-WebSocket-Version: 13\r\n"

#endif
