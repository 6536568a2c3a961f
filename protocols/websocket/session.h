/* session.h - the inside of sonic_ws
 *
 * 104 bytes for an open connection at rest.  What it needs beyond that it has
 * while it needs it: `opening` until it is open, `more` for timers, read
 * operations and the close record.
 *
 * A sonic_ws is kept alive by references: the owner's, one for each operation
 * of the stream or timer that will come back to it, and one for each frame of
 * its own on the stack.
 */
#ifndef SONICIO_WEBSOCKET_SESSION_H
#define SONICIO_WEBSOCKET_SESSION_H

#include <string.h>

#include <sonicio/timer.h>
#include <sonicio/url.h>
#include <sonicio/websocket.h>

#include "websocket/deflate.h"
#include "websocket/extension.h"
#include "websocket/handshake.h"
#include "websocket/parser.h"
#include "websocket/proxy.h"

/* Connections inside a message: slow.c. */
struct sonic__ws_slow {
    struct sonic__ws_slow_one *v;
    uint32_t n, cap;
    sonic_timer *timer;
};

/* Settings, shared by the connections of a server; a connection that changes
 * one of its own gets a copy. */
struct sonic__ws_config {
    sonic_io *io;
    sonic_cork *cork;  /* the io's */
    uint8_t *headroom; /* the message whose callback runs, where the bytes in
                          front of it may become its header */
    unsigned refs;
    bool server;
    struct sonic__ws_rules rules;
    sonic_ws_options opt; /* every default filled in */
    sonic_connect_options connect;
    sonic_socket_options socket;
    struct sonic__ws_strings *strings; /* what opt points to, copied */
    const sonic_ws_handler *handler;   /* a server's, for all */
    void *ud;
    sonic_ws_server *owner;          /* a server's */
    struct sonic__ws_anchor *anchor; /* a client's */
    struct sonic__ws_keep *keep;     /* a client's that is kept */
    sonic_ws_timing timing;          /* a client's */
    sonic_connect_timing net_timing;
    int64_t phase_began; /* time of its connecting */

    /* permessage-deflate: what is asked for; what is agreed, which a server
     * keeps as a variant of its settings for each thing agreed. */
    sonic_ws_deflate_options deflate;
    sonic_ws_deflate_agreed wish, agreed;
    char extensions[SONIC__WS_EXTENSION_TEXT]; /* "": none */
    struct sonic__ws_press *press;             /* the io's, once agreed */
    struct sonic__ws_slow slow;                /* but not of a variant */
    struct sonic__ws_config *base;             /* of a variant */
    struct sonic__ws_config *variants, *next;  /* of a base; among these */
};

struct sonic_ws_head {
    const struct sonic__http_head *head;
    const char *window;
};

/* Why the session takes a step; what an action needs to know. */
struct sonic__ws_cause {
    int err;
    enum sonic_ws_side side;
    enum sonic_ws_layer layer;
    uint16_t code;      /* of a Close frame; 0 none */
    uint16_t status;    /* HTTP */
    const char *reason; /* not terminated */
    size_t reason_len;
    const sonic_ws_reply *reply; /* a server's refusal */
    uint16_t code_to_send;       /* 0: an empty Close frame */
};

enum sonic__ws_read_kind { READ_WHOLE, READ_INTO, READ_CHUNK, READ_FRAME };

/* A pending read operation. */
struct sonic__ws_reader {
    sonic_ws_read_fn *cb; /* NULL: none */
    void *ud;
    enum sonic__ws_read_kind kind;
    uint8_t *buf;
    size_t cap, have;
};

/* Needed sometimes. */
struct sonic__ws_more {
    struct sonic__ws_reader reader;
    sonic_timer *timer; /* keep-alive, then the closing handshake */
    sonic_ws_fn *close_cb;
    void *close_ud;
    sonic_ws_close_record record;
    int64_t last_read, next_ping, pong_due, ping_sent, rtt;
    uint64_t ping_id;
    uint8_t reserved; /* header bytes that sonic_ws_reserve left room for */
    uint8_t part;     /* opcode of a message being sent in parts, or 0 */
    bool part_deflated;
    struct sonic__ws_deflater *parts; /* what that is compressed with, where it
                                         is not the connection's own */
    uint8_t pong_len; /* newest pong that the queue had no room for */
    bool pong_waits;
    bool closing; /* the timer is the close timer */
    bool doubted; /* on_doubt is on its way */
    uint8_t pong[SONIC__WS_CONTROL_MAX];
    char *subprotocol; /* one that a hook chose itself */
};

/* Needed until the connection is open. */
struct sonic__ws_opening {
    sonic_timer *timer;
    sonic_ws_fn *cb; /* of async_connect */
    void *ud;
    sonic_url url;
    char *url_text;
    const char *why; /* what is wrong with a URL; constant */
    struct sonic__ws_request request;
    char offer[SONIC__WS_EXTENSION_TEXT];
    struct sonic__http_head head;
    struct sonic__http_field fields[SONIC__HTTP_HEAD_FIELDS];
    struct sonic__proxy proxy;
    struct sonic__proxy_options proxy_options;
    struct sonic__proxy_url proxy_url;
};

enum {
    SONIC__WS_ARMED = 1,     /* a lend is pending */
    SONIC__WS_PAUSED = 2,    /* by the caller */
    SONIC__WS_PARSING = 4,   /* its parser is on the stack */
    SONIC__WS_DRAINING = 8,  /* a drain is pending */
    SONIC__WS_FREED = 16,    /* by its owner: no callbacks any more */
    SONIC__WS_SERVER = 32,   /* role */
    SONIC__WS_DEFLATED = 64, /* permessage-deflate is in use */
    SONIC__WS_PUSHING = 128  /* the handler takes data */
};

/* index of one that is in no server's list; a server has fewer */
enum { SONIC__WS_NOT_LISTED = (1 << 23) - 1 };
enum { SONIC__WS_NO_SUBPROTOCOL = 255, SONIC__WS_OWN_SUBPROTOCOL = 254 };

struct sonic_ws {
    sonic_stream *stream;
    struct sonic__ws_config *config;
    const sonic_ws_handler *handler;
    void *ud;
    struct sonic__ws_more *more;
    union {
        struct sonic__ws_opening *opening; /* until it is open */
        struct sonic__ws_codec *codec;     /* with SONIC__WS_DEFLATED; NULL
                                              while there is nothing in it */
    };
    struct sonic__ws_parser parser;
    uint32_t index : 23;      /* in the server's list */
    uint32_t end_posted : 1;  /* on_end is on its way */
    uint32_t subprotocol : 8; /* index in the settings */
    uint16_t refs;
    uint8_t flags;
    uint8_t state; /* session.def; behind the flags, see sonic__ws_is */
};

/* NULL once it is open. */
static inline struct sonic__ws_opening *
sonic__ws_opening(const sonic_ws *ws)
{
    return ws->flags & SONIC__WS_DEFLATED ? NULL : ws->opening;
}

/* State numbers of session.def that are of use outside. */
enum {
    SONIC__WS_STATE_PROXYING = 2,
    SONIC__WS_STATE_SECURING = 3,
    SONIC__WS_STATE_UPGRADING = 4,
    SONIC__WS_STATE_OPEN = 5,
    SONIC__WS_STATE_CLOSING = 6,
    SONIC__WS_STATE_ENDING = 7
};

/* What the bytes that come are. */
enum sonic__ws_phase {
    SONIC__WS_SILENCE, /* there is no stream to read */
    SONIC__WS_HEADS,   /* of the proxy, the handshake */
    SONIC__WS_DATA,    /* frames */
    SONIC__WS_NOISE    /* nothing any more */
};

static inline enum sonic__ws_phase
sonic__ws_phase(const sonic_ws *ws)
{
    switch (ws->state) {
    case SONIC__WS_STATE_OPEN:
    case SONIC__WS_STATE_CLOSING:
        return SONIC__WS_DATA;
    case SONIC__WS_STATE_PROXYING:
    case SONIC__WS_STATE_UPGRADING:
        return SONIC__WS_HEADS;
    case SONIC__WS_STATE_ENDING:
        return SONIC__WS_NOISE;
    default:
        return SONIC__WS_SILENCE;
    }
}

/* Has it these flags of the mask, in this state?  One comparison. */
static inline bool
sonic__ws_is(const sonic_ws *ws, unsigned mask, unsigned flags, unsigned state)
{
    const uint8_t both[2] = {(uint8_t)mask, 0xff};
    const uint8_t want[2] = {(uint8_t)flags, (uint8_t)state};
    uint16_t m, w, have;

    memcpy(&m, both, sizeof m);
    memcpy(&w, want, sizeof w);
    memcpy(&have, &ws->flags, sizeof have);
    return (have & m) == w;
}

/* Open, its data pushed, and none of what is needed sometimes. */
static inline bool
sonic__ws_is_plain(const sonic_ws *ws)
{
    return ws->more == NULL &&
           sonic__ws_is(ws, SONIC__WS_PUSHING | SONIC__WS_PAUSED,
                        SONIC__WS_PUSHING, SONIC__WS_STATE_OPEN);
}

static inline bool
sonic__ws_may_send(const sonic_ws *ws)
{
    return ws->state == SONIC__WS_STATE_OPEN;
}

static inline bool
sonic__ws_is_closing(const sonic_ws *ws)
{
    return ws->state == SONIC__WS_STATE_CLOSING;
}

/* session.c: the machine.  Each returns what the action returns.
 * ending.c: memory, the record, the end. */
int sonic__ws_begin(sonic_ws *ws); /* CONNECT */
int sonic__ws_accept_begin(sonic_ws *ws);
void sonic__ws_connected(sonic_ws *ws, bool at_proxy);
void sonic__ws_tunnelled(sonic_ws *ws);
void sonic__ws_secured(sonic_ws *ws);
void sonic__ws_upgraded(sonic_ws *ws);
void sonic__ws_rejected(sonic_ws *ws, const struct sonic__ws_cause *why);
void sonic__ws_refused(sonic_ws *ws, const struct sonic__ws_cause *why);
void sonic__ws_heard_close(sonic_ws *ws, const struct sonic__ws_cause *why);
void sonic__ws_violated(sonic_ws *ws, int err);
void sonic__ws_lost(sonic_ws *ws, int err); /* EOF or BROKEN */
void sonic__ws_late(sonic_ws *ws, int err);
bool sonic__ws_is_over(const sonic_ws *ws);
bool sonic__ws_is_proxying(const sonic_ws *ws);
void sonic__ws_destroy(sonic_ws *ws);

static inline void
sonic__ws_hold(sonic_ws *ws)
{
    ws->refs++;
}

static inline void
sonic__ws_drop(sonic_ws *ws)
{
    if (--ws->refs == 0)
        sonic__ws_destroy(ws);
}

void sonic__ws_note(sonic_ws *ws, const struct sonic__ws_cause *why,
                    enum sonic_ws_state in);
void sonic__ws_note_anew(sonic_ws *ws, const struct sonic__ws_cause *why);
void sonic__ws_end(sonic_ws *ws, const struct sonic__ws_cause *why);
struct sonic__ws_more *sonic__ws_more(sonic_ws *ws);
void sonic__ws_more_reset(sonic_ws *ws);       /* before another connection */
void *sonic__ws_alloc(sonic_io *io, size_t n); /* zeroed */
void sonic__ws_release(sonic_io *io, void *p, size_t n);
char *sonic__ws_copy(sonic_io *io, const char *text);
void sonic__ws_release_text(sonic_io *io, char *text);
/* Refuse an operation, see sonic_io_refuse; cb may be NULL. */
void sonic__ws_decline(sonic_ws *ws, int err, sonic_ws_fn *cb, void *ud);
int sonic__ws_make(struct sonic__ws_config *config,
                   const sonic_ws_handler *handler, void *ud, sonic_ws **out);

/* config.c */
int sonic__ws_handler_check(const sonic_ws_handler *h);
int sonic__ws_config_new(sonic_io *io, const sonic_ws_options *opt, bool server,
                         struct sonic__ws_config **out);
int sonic__ws_config_own(sonic_ws *ws); /* before changing it for ws alone */
void sonic__ws_config_drop(struct sonic__ws_config *c);

/* agreeing.c: permessage-deflate, in the settings and the handshake */
int sonic__ws_deflate_configure(struct sonic__ws_config *c);
bool sonic__ws_wants_deflate(const sonic_ws *ws, const sonic_ws_handler *h);
int sonic__ws_agree(sonic_ws *ws, const struct sonic__ws_extension_result *r);
void sonic__ws_disagree(sonic_ws *ws); /* before another handshake */
void sonic__ws_config_unlist(struct sonic__ws_config *c);

/* inflating.c, deflating.c: only with SONIC__WS_DEFLATED */
void sonic__ws_inflate(sonic_ws *ws, const struct sonic__ws_sink *sink,
                       uint8_t opcode, uint8_t flags, uint8_t *data, size_t n);
struct sonic__ws_deflate_setting sonic__ws_deflate_setting(const sonic_ws *ws,
                                                           size_t n);
int sonic__ws_deflate_send(sonic_ws *ws, uint8_t opcode, const void *data,
                           size_t len);
int sonic__ws_deflate_part(sonic_ws *ws, uint8_t opcode, const void *data,
                           size_t len, bool first, bool last);
int sonic__ws_codec_open(sonic_ws *ws);
void sonic__ws_codec_rest(sonic_ws *ws); /* nothing is under way: let go */
void sonic__ws_codec_release(sonic_ws *ws);

/* client.c: what ends a client's connection with its io */
void sonic__ws_weigh_anchor(sonic_ws *ws);

void sonic__ws_connect_kept(sonic_ws *ws, const char *url);

/* keep.c: of one that is kept */
void sonic__ws_keep_opened(sonic_ws *ws);
void sonic__ws_keep_ended(sonic_ws *ws, const sonic_ws_close_record *why);
void sonic__ws_keep_settle(sonic_ws *ws); /* on_close has run */
void sonic__ws_keep_terminated(sonic_ws *ws);

/* opening.c */
void sonic__ws_phase_ends(sonic_ws *ws, int64_t *took);
int sonic__ws_open_connect(sonic_ws *ws);
int sonic__ws_open_ask(sonic_ws *ws);
int sonic__ws_open_await(sonic_ws *ws);
int sonic__ws_open_timer(sonic_ws *ws); /* unless it runs */
int sonic__ws_open_marks(sonic_ws *ws);
void sonic__ws_open_bytes(sonic_ws *ws, uint8_t *data, size_t len);
int sonic__ws_opening_new(sonic_ws *ws);
void sonic__ws_opening_free(sonic_ws *ws);

/* securing.c */
bool sonic__ws_wants_tls(const sonic_ws *ws);
int sonic__ws_tls_prepare(sonic_ws *ws); /* is there what it takes? */
int sonic__ws_open_secure(sonic_ws *ws);
const char *sonic__ws_tls_reason(const sonic_ws *ws, int err); /* or NULL */
int sonic__ws_tls_configure(struct sonic__ws_config *c);
void sonic__ws_tls_release(struct sonic__ws_config *c);

/* tunnel.c */
int sonic__ws_proxy_prepare(sonic_ws *ws);
int sonic__ws_open_ask_proxy(sonic_ws *ws);
void sonic__ws_proxy_bytes(sonic_ws *ws, const char *window, size_t len);

/* answering.c */
void sonic__ws_serve_request(sonic_ws *ws, const char *window, size_t size);
void sonic__ws_serve_refusal(sonic_ws *ws, const struct sonic__ws_cause *why);
void sonic__ws_refuse(sonic_ws *ws, int err, unsigned status, const char *text,
                      const sonic_ws_reply *reply);

/* serving.c */
bool sonic__ws_server_is_full(const sonic_ws_server *server);
sonic_ws_server *sonic__ws_server_remove(sonic_ws *ws, bool clean);
void sonic__ws_server_settle(sonic_ws_server *server);

/* receiving.c */
void sonic__ws_arm(sonic_ws *ws, size_t min, size_t want);
void sonic__ws_go_on(sonic_ws *ws); /* if there is somebody to deliver to */
bool sonic__ws_has_taker(const sonic_ws *ws);
bool sonic__ws_is_heard(const sonic_ws *ws);
bool sonic__ws_forget_reader(sonic_ws *ws); /* its callback never runs */
void sonic__ws_choose_delivery(sonic_ws *ws);
int sonic__ws_outcome(const sonic_ws *ws); /* for operations at the end */

/* slow.c */
void sonic__ws_time_message(sonic_ws *ws, bool anew);
void sonic__ws_stop_message(sonic_ws *ws);
void sonic__ws_untime_message(sonic_ws *ws);
void sonic__ws_rest_messages(sonic_ws *ws);
void sonic__ws_slow_release(struct sonic__ws_config *c);

/* outgoing.c */
int sonic__ws_send_head(sonic_ws *ws,
                        int (*build)(const void *what, char *buf, size_t cap),
                        const void *what);
int sonic__ws_send_control(sonic_ws *ws, uint8_t opcode, const void *data,
                           size_t len);
int sonic__ws_send_close(sonic_ws *ws, uint16_t code, const char *reason,
                         size_t len);
int sonic__ws_send_frame(sonic_ws *ws, bool fin, uint8_t rsv, uint8_t opcode,
                         const void *data, size_t len);
void sonic__ws_pong_back(sonic_ws *ws, const uint8_t *data, size_t len);
void sonic__ws_watch_drain(sonic_ws *ws);

void sonic__ws_doubt(sonic_ws *ws, int err);
int sonic__ws_no_room(sonic_ws *ws, size_t n);

/* What sending returns: at 1 a drain event is on its way. */
static inline int
sonic__ws_sent(sonic_ws *ws, int ret)
{
    if (ret == 1)
        sonic__ws_watch_drain(ws);
    else if (ret < 0)
        sonic__ws_doubt(ws, ret);
    return ret;
}

/* keepalive.c */
void sonic__ws_keepalive_start(sonic_ws *ws);
void sonic__ws_keepalive_read(sonic_ws *ws);
void sonic__ws_keepalive_resume(sonic_ws *ws, bool paused); /* somebody takes */
void sonic__ws_keepalive_pong(sonic_ws *ws, const uint8_t *data, size_t len);
/* ENDING and CLOSING: end it when the time is up. */
void sonic__ws_close_timer(sonic_ws *ws);

extern const sonic_fsm sonic__ws_session_fsm;

#endif
