/* <sonicio/websocket.h> - WebSocket, client and server (RFC 6455)
 *
 * A sonic_ws is one connection.  Its machine is `sonicio tables ws-session`.
 *
 * Messages come through a handler table (push) or through read operations
 * (pull), whichever suits; a read operation, while one is pending, comes
 * first.  Data is shown where it was received: a message that is lent lies in
 * the reactor's buffer, is contiguous, may be written to, and is valid until
 * the callback returns.
 *
 * Pings are answered, close frames too, before the handler hears of them.
 * Whatever ends a connection, on_close runs once, last, with a record of it.
 */
#ifndef SONICIO_WEBSOCKET_H
#define SONICIO_WEBSOCKET_H

#include <sonicio/fsm.h>
#include <sonicio/histogram.h>
#include <sonicio/listener.h>
#include <sonicio/stream.h>
#include <sonicio/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_ws sonic_ws;
typedef struct sonic_ws_server sonic_ws_server;

enum sonic_ws_opcode { /* RFC 6455 section 5.2 */
                       SONIC_WS_CONTINUATION = 0,
                       SONIC_WS_TEXT = 1,
                       SONIC_WS_BINARY = 2,
                       SONIC_WS_CLOSE = 8,
                       SONIC_WS_PING = 9,
                       SONIC_WS_PONG = 10
};

/* Or it to the opcode of a message that is to go out as it is, though the
 * connection compresses: (enum sonic_ws_opcode)(SONIC_WS_TEXT |
 * SONIC_WS_PLAIN). Where nothing is compressed it says nothing. */
#define SONIC_WS_PLAIN 0x40

enum sonic_ws_status { /* RFC 6455 section 7.4.1 */
                       SONIC_WS_NORMAL = 1000,
                       SONIC_WS_GOING_AWAY = 1001,
                       SONIC_WS_PROTOCOL_ERROR = 1002,
                       SONIC_WS_UNSUPPORTED = 1003,
                       SONIC_WS_NO_STATUS = 1005, /* never on the wire */
                       SONIC_WS_ABNORMAL = 1006,  /* never on the wire */
                       SONIC_WS_INVALID = 1007,
                       SONIC_WS_POLICY = 1008,
                       SONIC_WS_TOO_BIG = 1009,
                       SONIC_WS_INTERNAL = 1011,
                       SONIC_WS_TRY_AGAIN = 1013
};

/* In `sonicio tables ws-session`: IDLE; CONNECTING, PROXYING, SECURING and
 * UPGRADING are HANDSHAKE; OPEN; CLOSING is CLOSED_BY_US; ENDING is
 * CLOSED_BY_US when this side failed the connection, else CLOSED_BY_PEER while
 * the answer to the peer's close is going out, then CLOSE_ACKED; CLOSED is
 * TERMINATED. */
enum sonic_ws_state {
    SONIC_WS_IDLE,           /* made, not connected yet */
    SONIC_WS_HANDSHAKE,      /* connecting, TLS, upgrading */
    SONIC_WS_OPEN,           /* messages both ways */
    SONIC_WS_CLOSED_BY_US,   /* our close is sent, the peer's awaited */
    SONIC_WS_CLOSED_BY_PEER, /* the peer's close came, ours is going out */
    SONIC_WS_CLOSE_ACKED,    /* both closes exchanged, TCP is ending */
    SONIC_WS_TERMINATED      /* over; see the close record */
};

/* A message, a part of one, or a frame. */
typedef struct sonic_ws_message {
    uint8_t *data;
    size_t len;     /* bytes */
    uint8_t opcode; /* TEXT or BINARY; for frames any */
    uint8_t rsv;    /* frames: bits 6..4 */
    bool first;     /* this part begins the message */
    bool last;      /* this part ends it (a frame: FIN) */
} sonic_ws_message;

enum sonic_ws_side { SONIC_WS_NOBODY, SONIC_WS_US, SONIC_WS_PEER };

enum sonic_ws_layer {
    SONIC_WS_LAYER_NONE,
    SONIC_WS_LAYER_RESOLVE,   /* the name */
    SONIC_WS_LAYER_CONNECT,   /* TCP, unix */
    SONIC_WS_LAYER_PROXY,     /* CONNECT, SOCKS5 */
    SONIC_WS_LAYER_TLS,       /* TLS */
    SONIC_WS_LAYER_HANDSHAKE, /* the HTTP upgrade */
    SONIC_WS_LAYER_PROTOCOL,  /* frames and messages */
    SONIC_WS_LAYER_CLOSE,     /* a close handshake, done or begun */
    SONIC_WS_LAYER_TRANSPORT  /* the stream under an open connection */
};

/* Why a connection ended. */
typedef struct sonic_ws_close_record {
    enum sonic_ws_side side;   /* who ended it; NOBODY: the network */
    enum sonic_ws_layer layer; /* where */
    enum sonic_ws_state state; /* in which state */
    int error;        /* 0: the close is clean, or will be; else what went
                         wrong: SONIC_EWS_ABNORMAL, the peer hung up */
    uint16_t code;    /* status of the peer's close frame, whoever closed first
                         (RFC 6455 section 7.1.5); 1005 none in it; 1006 none
                         came; of a violation, what the peer was told */
    uint16_t status;  /* HTTP status of a refused handshake, else 0 */
    bool clean;       /* both close frames were exchanged */
    bool retryable;   /* the same again may succeed */
    char reason[124]; /* the close frame's reason, or the error in words */
    size_t unsent;    /* bytes that were queued and did not go out */
} sonic_ws_close_record;

/* What happens on a connection.  Members may be NULL.  The table is borrowed,
 * and the same one may serve any number of connections.
 *
 * One of on_message, on_chunk and on_frame chooses how data comes (two are
 * refused, with SONIC_EOPTION); one that has no use for what comes has
 * sonic_ws_discard in its place.
 *
 * With none of them, and no read operation pending, nobody takes data, and the
 * first data frame waits until somebody does; so does what lies behind it, the
 * peer's Close and the end of the stream, too.  Until then a handler with an
 * on_close has control frames seen to, and hears of the end, as ever: the
 * connection is an operation that is pending, which keeps sonic_io_run from
 * returning.  Without an on_close, while paused, and between two operations of
 * sonic_ws_async_read_frame, nothing is read at all.  Even so a connection is
 * over, from the loop, once a send has met the stream's error. */
typedef struct sonic_ws_handler {
    size_t size;
    void (*on_open)(sonic_ws *ws, void *ud);
    /* A whole message, of any number of frames. */
    void (*on_message)(sonic_ws *ws, const sonic_ws_message *m, void *ud);
    /* Parts of messages as they come in, of no particular size. */
    void (*on_chunk)(sonic_ws *ws, const sonic_ws_message *m, void *ud);
    /* Every frame, control frames too (they are answered all the same). */
    void (*on_frame)(sonic_ws *ws, const sonic_ws_message *m, void *ud);
    /* PING, PONG or CLOSE came. */
    void (*on_control)(sonic_ws *ws, enum sonic_ws_opcode opcode,
                       const uint8_t *data, size_t len, void *ud);
    /* The send queue is at or below its low-water mark again: once for each
     * time that it rose above the high-water mark, by a send that returned 1
     * or by an automatic pong. */
    void (*on_drain)(sonic_ws *ws, void *ud);
    /* The end, once for each connection begun, refused handshakes included.
     * The sonic_ws may be freed, or connected again, from here. */
    void (*on_close)(sonic_ws *ws, const sonic_ws_close_record *why, void *ud);
} sonic_ws_handler;

#define SONIC_WS_HANDLER_INIT .size = sizeof(sonic_ws_handler)

/* A header field to be sent. */
typedef struct sonic_ws_header {
    const char *name, *value;
    bool exact_case; /* send the name as it is, not in canonical case */
} sonic_ws_header;

/* A response to an upgrade request, as seen by the client; the head of a
 * request, as seen by the server.  Valid during the callback. */
typedef struct sonic_ws_head sonic_ws_head;

/* sonic_ws_head_field - the value of the first field of that name, without
 * case; NULL when there is none.  *len is its length: it is not terminated. */
SONIC_API const char *sonic_ws_head_field(const sonic_ws_head *head,
                                          const char *name, size_t *len);
/* The request's path and query. */
SONIC_API const char *sonic_ws_head_target(const sonic_ws_head *head,
                                           size_t *len);
/* The response's status. */
SONIC_API unsigned sonic_ws_head_status(const sonic_ws_head *head);

/* What the server's hook decides.  Zeroed but for status, 101, before.  What
 * may not be sent (a status that is not 101 or 200 to 599, a header of the
 * handshake's own) or used (a handler, see sonic_ws_set_handler) is answered
 * with 500, and the close record says why. */
typedef struct sonic_ws_reply {
    unsigned status;    /* 101: accept; else refuse with this status */
    const char *reason; /* phrase; NULL: the usual one */
    const char *body;   /* text of a refusal; NULL: the reason */
    const sonic_ws_header *headers; /* more fields to send */
    size_t n_headers;
    const char *subprotocol;         /* instead of the server's own choice */
    const sonic_ws_handler *handler; /* for this connection; NULL: server's */
    void *ud;                        /* for this connection; NULL: server's */
} sonic_ws_reply;

/* permessage-deflate (RFC 7692).  In a build with it a client offers it and a
 * server accepts it, unless told otherwise here or its handler takes frames
 * only: frames are shown as they came, compressed, with rsv 0x40 on the first
 * one of such a message.  Everything else sees messages as they were before.
 *
 * "takeover": a message is compressed with the help of those before it.  That
 * makes repetitive messages much smaller, and costs memory of its own per
 * connection and direction, from the first compressed message on.  Without it
 * all connections of an io share one compressor and one decompressor, and one
 * at rest owns nothing.  A server forbids it to a client in its response; the
 * clients of Tornado 6.2 and Mojolicious 9.31 do not look for that (RFC 7692
 * section 7.1.1.2), and are closed with 1007 at their second compressed
 * message: where they are expected, switch peer_takeover on.
 * Bytes for each connection, with zlib 1.2.13:
 *
 *   sending    2^(window_bits + 2) + 2^(memory_level + 9) + 6 Ki
 *              (15, 8: 268,208; 12, 5: 38,832; 9, 1: 9,136)
 *   receiving  2^peer_window_bits + 7 Ki (15: 40,040; 12: 11,368; 9: 7,784)
 */
typedef struct sonic_ws_deflate_options {
    size_t size;
    enum sonic_switch on; /* OFF: neither offered nor accepted; ON: also with a
                             handler that takes frames only; SONIC_EOPTION in
                             a build without it */
    int level;            /* 1 fast .. 9 small; default 1 */
    int memory_level;     /* 1 .. 9; default 8 */
    int window_bits;      /* of what we send, at most: 8 .. 15; default 15 */
    int peer_window_bits; /* of what the peer sends, at most; default 15.  A
                             server whose client cannot be told goes without
                             the client's takeover instead */
    enum sonic_switch takeover;      /* of what we send, and ... */
    enum sonic_switch peer_takeover; /* ... of what the peer sends, where it
                                        wants to; default: client ON, server
                                        OFF */
    size_t threshold; /* messages of fewer bytes are not compressed; default
                         128, 1 for all */
} sonic_ws_deflate_options;

#define SONIC_WS_DEFLATE_OPTIONS_INIT                                          \
    {                                                                          \
        .size = sizeof(sonic_ws_deflate_options)                               \
    }

/* Settings of a connection.  All times in nanoseconds.  Strings and arrays
 * are copied. */
typedef struct sonic_ws_options {
    size_t size;
    uint64_t max_message;      /* payload bytes, when inflated; at most
                                  4 GiB - 1; default 16 MiB */
    size_t max_head;           /* bytes of the HTTP head; default 16 KiB */
    enum sonic_switch no_utf8; /* ON: do not check that text is UTF-8 */
    int64_t handshake_timeout; /* name, TCP, proxy, TLS and upgrade together;
                                  default 10 s */
    int64_t close_timeout;     /* the peer's close, and its TCP; default 5 s */
    int64_t message_timeout;   /* from the first byte of a message to its last,
                                  fragments and all, while somebody takes it,
                                  or the end is EWS_SLOW: late by a sixteenth
                                  at most; default 2 min; INT64_MAX: any */
    int64_t read_idle;         /* end with EWS_IDLE when nothing at all came for
                                  this long; 0: never.  Time in which nobody
                                  takes what comes (paused, no read pending) is
                                  no silence, here and for pongs */
    int64_t ping_interval;     /* send a ping this often, unless the pong to the
                                  last one is awaited still; 0: never */
    int64_t pong_timeout;      /* a pong must follow each ping within this time,
                                  or the end is EWS_PONG; may be longer than
                                  the interval; default ping_interval */
    sonic_histogram *rtt;      /* gets the round trip of each of these pings, in
                                  nanoseconds, unless a pause fell into it;
                                  borrowed, by any number of connections; NULL:
                                  none */
    size_t low_water, high_water, queue_limit; /* bytes; see stream.h */
    const char *const *subprotocols;           /* by preference; at most 254 */
    size_t n_subprotocols;
    sonic_tls_context *tls; /* client: of wss URLs; NULL: a default one, that
                               trusts the system's authorities.  server: every
                               connection is TLS; NULL: none is.  Held as long
                               as needed. */
    const sonic_ws_deflate_options *deflate; /* copied; NULL: the defaults */

    /* client */
    const char *origin;             /* Origin; NULL: none */
    const sonic_ws_header *headers; /* later ones of a name win; they may
                                       replace Host, Origin, User-Agent.  Not
                                       the handshake's own, which are Upgrade,
                                       Connection, Sec-WebSocket-Key, -Version,
                                       -Accept, -Protocol, -Extensions,
                                       Content-Length and Transfer-Encoding:
                                       connecting fails with EWS_HEADER, as for
                                       a subprotocol that is no token */
    size_t n_headers;
    const char *proxy; /* "http://[USER[:PASS]@]HOST[:PORT]", "socks5://…" */
    const char *connect_to; /* address to use instead of the URL's host */
    const char *tls_name;   /* name to verify instead of the URL's host; of
                               wss+unix it is "localhost" */
    const char *tls_sni;    /* name to ask for instead (SNI); "": none */
    const sonic_connect_options *connect; /* but for timing: that is told by
                                             sonic_ws_connect_timing */
    /* Called just before the request is sent: it may add fields of its own
     * to *more (valid until it returns to the loop). */
    void (*on_request)(sonic_ws *ws, const sonic_ws_header **more, size_t *n,
                       void *ud);
    /* Called with the response before it is validated; a negative return
     * fails the handshake with that error. */
    int (*on_response)(sonic_ws *ws, const sonic_ws_head *head, void *ud);

    /* server */
    const char *path;           /* requests for others get 404; NULL: any */
    const char *const *origins; /* allowed Origin values; others get 403, as
                                   does a request without one */
    size_t n_origins;           /* 0: any, and none */
    size_t max_connections;     /* further ones get 503; default 1,000,000 */
    const char *const *proxies; /* networks of balancers that speak the PROXY
                                   protocol, see sonic_network_holds: what they
                                   connect begins with its header, before TLS,
                                   or is reset; nobody else's is read */
    size_t n_proxies;
    /* Decide on a request that is a correct upgrade and passed the two checks
     * above. */
    void (*on_upgrade)(sonic_ws *ws, const sonic_ws_head *head,
                       sonic_ws_reply *reply, void *ud);
    /* Accepting failed: no descriptors (-EMFILE, -ENFILE, once an occasion, see
     * sonic_listener_async_accept), no memory, options that the system refuses.
     * The server goes on.  It may be drained or freed from here; ud is that of
     * the server. */
    void (*on_error)(sonic_ws_server *server, int err, void *ud);
} sonic_ws_options;

#define SONIC_WS_OPTIONS_INIT                                                  \
    {                                                                          \
        .size = sizeof(sonic_ws_options)                                       \
    }

/* ---- client ----------------------------------------------------------- */

/* sonic_ws_new - a client's connection, not connected yet
 *
 * opt and handler may be NULL; handler is borrowed.
 * ERRORS -ENOMEM, SONIC_ECLOSED (the io), SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int sonic_ws_new(sonic_io *io,
                                            const sonic_ws_options *opt,
                                            const sonic_ws_handler *handler,
                                            void *ud, sonic_ws **out);

typedef void sonic_ws_fn(sonic_ws *ws, int err, void *ud);

/* sonic_ws_async_connect - connect and upgrade
 *
 *   url  ws://HOST[:PORT]/PATH, ws+unix:PATH:/RESOURCE; with wss in place of
 *        ws, over TLS; copied
 * On success on_open has run before cb.  A sonic_ws may be connected again any
 * number of times, from on_close on; until then it is -EBUSY, TERMINATED or
 * not.
 * ERRORS, given to cb (which may be NULL) and then to on_close: SONIC_EWS_URL,
 * those of sonic_stream_async_connect, of the proxy and of the upgrade
 * (SONIC_EWS_STATUS …), of TLS (SONIC_ETLS…), -ETIMEDOUT, -ECANCELED,
 * -EBUSY, SONIC_ECLOSED. */
SONIC_API void sonic_ws_async_connect(sonic_ws *ws, const char *url,
                                      sonic_ws_fn *cb, void *ud);
SONIC_API SONIC_MUST_CHECK int sonic_ws_connect(sonic_ws *ws, const char *url);

/* sonic_ws_async_upgrade - the same over a stream that is connected already
 *
 * The stream is the ws's from now on, whatever the outcome.  url gives Host
 * and path; with wss, TLS goes over the stream unless it is TLS already.
 * ERRORS as async_connect. */
SONIC_API void sonic_ws_async_upgrade(sonic_ws *ws, sonic_stream *stream,
                                      const char *url, sonic_ws_fn *cb,
                                      void *ud);

/* ---- server ----------------------------------------------------------- */

/* sonic_ws_server_new - settings and handlers for accepted connections
 * ERRORS -ENOMEM, SONIC_ECLOSED, SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int
sonic_ws_server_new(sonic_io *io, const sonic_ws_options *opt,
                    const sonic_ws_handler *handler, void *ud,
                    sonic_ws_server **out);

/* sonic_ws_server_listen - accept on an address; may be called again for
 * others.  bound, when not NULL, gets the real address. */
SONIC_API SONIC_MUST_CHECK int
sonic_ws_server_listen(sonic_ws_server *server, const char *address,
                       const sonic_listener_options *opt, sonic_address *bound);

/* sonic_ws_server_accept - serve a stream that is connected already
 *
 * The stream is the server's from now on, on error too.  *out, when out is
 * not NULL, is the connection, in HANDSHAKE. */
SONIC_API SONIC_MUST_CHECK int sonic_ws_server_accept(sonic_ws_server *server,
                                                      sonic_stream *stream,
                                                      sonic_ws **out);

typedef struct sonic_ws_drained {
    size_t clean; /* connections that completed the close handshake */
    size_t reset; /* that did not in time */
} sonic_ws_drained;

typedef void sonic_ws_drain_fn(sonic_ws_server *server, int err,
                               const sonic_ws_drained *counts, void *ud);

/* sonic_ws_server_async_drain - end gracefully
 *
 * Stops listening, answers handshakes under way with 503, closes every
 * connection with 1001, and after `timeout` resets what is left (TCP RST).
 *   cb  not NULL
 * ERRORS, given to cb: -EBUSY, -ECANCELED. */
SONIC_API void sonic_ws_server_async_drain(sonic_ws_server *server,
                                           int64_t timeout,
                                           sonic_ws_drain_fn *cb, void *ud);

/* Connections now, those in handshake included. */
SONIC_API size_t sonic_ws_server_count(const sonic_ws_server *server);

/* Connections turned away for lack of descriptors, ever, by all listeners. */
SONIC_API uint64_t sonic_ws_server_shed(const sonic_ws_server *server);

/* sonic_ws_remote_address - of the client: as its balancer said, or of the
 * stream.  ERRORS those of sonic_stream_remote_address. */
SONIC_API SONIC_MUST_CHECK int sonic_ws_remote_address(const sonic_ws *ws,
                                                       sonic_address *out);

/* Call fn for each open connection; it may send, close or free any. */
SONIC_API void sonic_ws_server_each(sonic_ws_server *server,
                                    void (*fn)(sonic_ws *ws, void *ud),
                                    void *ud);

/* sonic_ws_server_free - stop listening, and let go.  Its connections are
 * terminated and freed. */
SONIC_API void sonic_ws_server_free(sonic_ws_server *server);

/* ---- receiving -------------------------------------------------------- */

/* m is NULL with an error. */
typedef void sonic_ws_read_fn(sonic_ws *ws, int err, const sonic_ws_message *m,
                              void *ud);

/* The next message, lent; the next message in the caller's buffer; the next
 * part of a message; the next frame.  One such operation at a time.
 * ERRORS  SONIC_EWS_CLOSED after a clean close, SONIC_EWS_ABNORMAL when the
 * connection ended without one, the protocol error (SONIC_EWS_UTF8 …),
 * -EBUSY, -ECANCELED, SONIC_ECLOSED, SONIC_ESTATE before it is open and once
 * this side has failed it (sonic_ws_shut waits for the end then).
 * SONIC_EWS_TOOBIG from read_into: the message does not fit cap, and the
 * connection is closed with 1009. */
SONIC_API void sonic_ws_async_read(sonic_ws *ws, sonic_ws_read_fn *cb,
                                   void *ud);
SONIC_API void sonic_ws_async_read_into(sonic_ws *ws, void *buf, size_t cap,
                                        sonic_ws_read_fn *cb, void *ud);
SONIC_API void sonic_ws_async_read_chunk(sonic_ws *ws, sonic_ws_read_fn *cb,
                                         void *ud);
SONIC_API void sonic_ws_async_read_frame(sonic_ws *ws, sonic_ws_read_fn *cb,
                                         void *ud);
/* The blocking twin: *m describes the message in buf. */
SONIC_API SONIC_MUST_CHECK int sonic_ws_read(sonic_ws *ws, void *buf,
                                             size_t cap, sonic_ws_message *m);

/* sonic_ws_discard - takes what comes and drops it
 * For a handler of one who only sends, as its on_chunk; on_message would do
 * the same and have each message put together first. */
SONIC_API void sonic_ws_discard(sonic_ws *ws, const sonic_ws_message *m,
                                void *ud);

/* Stop, and go on with, delivery to the handler.  A paused connection stops
 * reading: the peer feels it. */
SONIC_API void sonic_ws_pause(sonic_ws *ws);
SONIC_API void sonic_ws_resume(sonic_ws *ws);

/* ---- sending ---------------------------------------------------------- */

/* sonic_ws_send - queue a message
 *
 * Returns 0, or 1 when the queue stands above its high-water mark now: pause,
 * and wait for on_drain.  data may be (part of) a message being delivered: that
 * is not copied where it need not be, and may not be changed any more until its
 * callback returns.  Text is not checked: sending bad UTF-8 is the caller's
 * fault.
 * ERRORS  nothing is queued: SONIC_ESTATE when not OPEN, SONIC_EQUEUE,
 * SONIC_ETOOBIG over 2^63-1, -ENOMEM, SONIC_EWS_FRAGMENT while a message is
 * sent in parts; or the error that an earlier write met. */
SONIC_API int sonic_ws_send(sonic_ws *ws, enum sonic_ws_opcode opcode,
                            const void *data, size_t len);

/* sonic_ws_send_part - queue one fragment of a message
 * The first part begins the message with opcode, which is ignored for the
 * others.  Pings and so on may be sent in between.  Returns as send. */
SONIC_API int sonic_ws_send_part(sonic_ws *ws, enum sonic_ws_opcode opcode,
                                 const void *data, size_t len, bool last);

/* sonic_ws_send_frame - queue one frame as it is given
 * For tests and gateways: the order of fragments is the caller's business.
 * Returns as send; SONIC_EWS_CONTROL, _OPCODE, _RSV when it may not be sent.
 * A CLOSE frame is sent with sonic_ws_close. */
SONIC_API int sonic_ws_send_frame(sonic_ws *ws, bool fin, uint8_t rsv,
                                  enum sonic_ws_opcode opcode, const void *data,
                                  size_t len);

/* sonic_ws_async_send - as send; cb runs when the system has taken it all
 * A server refers to data, which must live until then; a client copies it. */
SONIC_API void sonic_ws_async_send(sonic_ws *ws, enum sonic_ws_opcode opcode,
                                   const void *data, size_t len,
                                   sonic_ws_fn *cb, void *ud);
/* The blocking twin. */
SONIC_API SONIC_MUST_CHECK int sonic_ws_write(sonic_ws *ws,
                                              enum sonic_ws_opcode opcode,
                                              const void *data, size_t len);

/* sonic_ws_reserve, _commit - encode a message straight into the queue
 * reserve gives room for up to n bytes (n at most 16,000), or NULL; commit
 * sends the first n of them.  Nothing else may be done with ws in between. */
SONIC_API uint8_t *sonic_ws_reserve(sonic_ws *ws, size_t n);
SONIC_API int sonic_ws_commit(sonic_ws *ws, enum sonic_ws_opcode opcode,
                              size_t n);

/* At most 125 bytes.  Returns as send; SONIC_EWS_CONTROL when longer. */
SONIC_API int sonic_ws_ping(sonic_ws *ws, const void *data, size_t len);
SONIC_API int sonic_ws_pong(sonic_ws *ws, const void *data, size_t len);

/* Bytes queued; the round trip of the last keep-alive ping in nanoseconds, 0
 * before there was one. */
SONIC_API size_t sonic_ws_queued(const sonic_ws *ws);
SONIC_API int64_t sonic_ws_rtt(const sonic_ws *ws);

/* ---- ending ----------------------------------------------------------- */

/* sonic_ws_close - begin the close handshake
 *
 * code 0 sends a close frame without one.  reason may be NULL, and is cut at
 * nothing: ERRORS SONIC_EWS_CLOSE for a code that must not be sent or a reason
 * over 123 bytes, SONIC_EWS_UTF8 for one that is not UTF-8, SONIC_ESTATE when
 * closing has begun or the connection is not open; nothing happens then.
 * on_close follows within close_timeout.  Messages that arrive meanwhile are
 * still delivered. */
SONIC_API int sonic_ws_close(sonic_ws *ws, uint16_t code, const char *reason);

/* sonic_ws_async_close - the same; cb runs when the connection is over, with 0
 * when both close frames were exchanged. */
SONIC_API void sonic_ws_async_close(sonic_ws *ws, uint16_t code,
                                    const char *reason, sonic_ws_fn *cb,
                                    void *ud);
/* The blocking twin: reads and drops what still arrives.  When closing has
 * begun already, by either side, it waits for the end, and when the connection
 * is over it says how that was: so it may be connected again after it. */
SONIC_API SONIC_MUST_CHECK int sonic_ws_shut(sonic_ws *ws, uint16_t code,
                                             const char *reason);

/* sonic_ws_terminate - end now, without the handshake.  Pending operations
 * get -ECANCELED; on_close follows from the loop. */
SONIC_API void sonic_ws_terminate(sonic_ws *ws);

/* sonic_ws_free - terminate and release; on_close does not run any more.
 * A server's connection that is not freed in on_close is freed after it. */
SONIC_API void sonic_ws_free(sonic_ws *ws);

/* ---- looking at one --------------------------------------------------- */

SONIC_API enum sonic_ws_state sonic_ws_state(const sonic_ws *ws);
SONIC_API bool sonic_ws_is_server(const sonic_ws *ws);
/* The subprotocol agreed on; NULL when none is. */
SONIC_API const char *sonic_ws_subprotocol(const sonic_ws *ws);
/* The extensions agreed on, as the server's answer has them, such as
 * "permessage-deflate; server_no_context_takeover"; NULL when none is. */
SONIC_API const char *sonic_ws_extensions(const sonic_ws *ws);

/* What that means, seen from this side. */
typedef struct sonic_ws_deflate_agreed {
    bool on;                               /* else the rest says nothing */
    bool takeover, peer_takeover;          /* see sonic_ws_deflate_options */
    uint8_t window_bits, peer_window_bits; /* 8 .. 15 */
} sonic_ws_deflate_agreed;
SONIC_API sonic_ws_deflate_agreed sonic_ws_deflate(const sonic_ws *ws);
/* Is permessage-deflate part of this build? */
SONIC_API bool sonic_ws_can_deflate(void);

/* How long each part of a client's last connect took, in nanoseconds; 0: there
 * was none, or it has not ended. */
typedef struct sonic_ws_timing {
    int64_t resolve, connect; /* see sonic_connect_timing */
    int64_t proxy;            /* CONNECT, SOCKS5 */
    int64_t tls;
    int64_t upgrade; /* from the request to the response */
} sonic_ws_timing;
SONIC_API sonic_ws_timing sonic_ws_connect_timing(const sonic_ws *ws);

/* Why it ended; only when TERMINATED. */
SONIC_API SONIC_MUST_CHECK int sonic_ws_why_closed(const sonic_ws *ws,
                                                   sonic_ws_close_record *out);
/* The stream below; it stays the ws's.  NULL when not connected. */
SONIC_API sonic_stream *sonic_ws_next_layer(const sonic_ws *ws);
SONIC_API sonic_io *sonic_ws_io(const sonic_ws *ws);
/* Another handler; NULL: none.  ERRORS SONIC_EOPTION: it is not one (size, or
 * more than one way for data to come), and the present one stays. */
SONIC_API SONIC_MUST_CHECK int
sonic_ws_set_handler(sonic_ws *ws, const sonic_ws_handler *handler, void *ud);
SONIC_API void *sonic_ws_user(const sonic_ws *ws);
/* Change the limit, at any time; it holds for what is received from then on. */
SONIC_API SONIC_MUST_CHECK int sonic_ws_set_max_message(sonic_ws *ws,
                                                        uint64_t bytes);
/* Trace every step of the connection's machines.  tracer is borrowed; NULL
 * ends it.  ERRORS -ENOMEM. */
SONIC_API SONIC_MUST_CHECK int
sonic_ws_set_trace(sonic_ws *ws, const sonic_fsm_tracer *tracer);

#ifdef __cplusplus
}
#endif
#endif
