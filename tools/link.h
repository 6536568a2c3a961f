/* link.h - one end of a connection that carries messages, in any protocol */
#ifndef SONICIO_TOOLS_LINK_H
#define SONICIO_TOOLS_LINK_H

#include <sonicio/frame.h>
#include <sonicio/websocket.h>

enum link_proto { LINK_WS, LINK_FRAME, LINK_RAW };

extern const char *const link_proto_names[];

struct link;

/* What happens on a link. */
struct link_events {
    void (*open)(struct link *link);
    void (*message)(struct link *link, const uint8_t *data, size_t len);
    /* Once for each send that returned 1. */
    void (*drain)(struct link *link);
    /* The end, once; the link is empty then and may be used again.  err is 0
     * after an orderly end; why is err in words, or what the peer said. */
    void (*over)(struct link *link, int err, const char *why);
};

struct link {
    const struct link_events *events;
    void *owner;
    enum link_proto proto;
    bool text;              /* WS: send text */
    bool ours;              /* WS: not a server's, which frees its own */
    bool closing;           /* RAW: we have ended */
    size_t raw_size;        /* RAW: bytes of each message that comes */
    sonic_tls_context *tls; /* of our end; NULL: of WS the default, else none */
    const sonic_ws_deflate_options *deflate; /* WS, of a client */
    sonic_io *io;
    sonic_ws *ws;
    sonic_frame_conn *frame;
    sonic_stream *stream; /* RAW, and FRAME while it connects */
};

/* Connect to a URL (WS) or an address.  events and owner are set before; what
 * goes wrong, then or later, is told to over. */
void link_connect(struct link *link, sonic_io *io, const char *where);

/* Be the server's end: of a WebSocket that is open, or of a stream. */
void link_take_ws(struct link *link, sonic_ws *ws);
int link_take_frames(struct link *link, sonic_stream *stream);

/* 0, 1 (pause until drain), or an error: the message is not queued. */
int link_send(struct link *link, const void *data, size_t len);

/* Room for a message of len bytes in the queue itself, NULL when there is
 * none (use link_send then); link_commit sends it.  WS and FRAME only. */
uint8_t *link_reserve(struct link *link, size_t len);
int link_commit(struct link *link, size_t len);

/* End in good order, or now.  over follows. */
void link_close(struct link *link);
/* Let go of everything; over does not follow. */
void link_drop(struct link *link);

#endif
