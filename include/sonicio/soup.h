/* <sonicio/soup.h> - SoupBinTCP 3.00: a numbered stream of messages that
 * survives its connections
 *
 * A server numbers the messages of a session, from 1.  A client logs in, says
 * which number it wants next, counts what it gets, and after a disconnection
 * goes on where it was.  Messages of a client are not numbered, and may be
 * lost with the connection.  Both sides send a heartbeat when they have sent
 * nothing for a second, and give the other up when they have heard nothing for
 * 15 seconds.  Source: NASDAQ, "SoupBinTCP", version 3.00; its sections are
 * what comments here refer to.
 *
 * A sonic_soup is one end of a connection, over any sonic_stream: TCP, TLS, a
 * unix socket, a simulated one.  The machine is `sonicio tables soup`; both
 * roles run it.
 */
#ifndef SONICIO_SOUP_H
#define SONICIO_SOUP_H

#include <sonicio/fsm.h>
#include <sonicio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_soup sonic_soup;

enum {
    SONIC_SOUP_USER_MAX = 6,
    SONIC_SOUP_PASSWORD_MAX = 10,
    SONIC_SOUP_SESSION_MAX = 10,
    SONIC_SOUP_MESSAGE_MAX = 65534 /* the length field counts the type, too */
};

enum sonic_soup_role { SONIC_SOUP_CLIENT, SONIC_SOUP_SERVER };

enum sonic_soup_state {
    SONIC_SOUP_START,    /* just made                                     */
    SONIC_SOUP_ASKING,   /* client: the login is sent, its answer is due  */
    SONIC_SOUP_AWAITING, /* server: a login is due                        */
    SONIC_SOUP_DECIDING, /* server: on_login has it, the answer is due    */
    SONIC_SOUP_OPEN,     /* logged in: messages both ways                 */
    SONIC_SOUP_LEAVING,  /* one side has said its last word               */
    SONIC_SOUP_CLOSED    /* over; see the close record                    */
};

/* Section 2.2.2. */
enum sonic_soup_reject {
    SONIC_SOUP_NOT_AUTHORIZED = 'A', /* no such user and password */
    SONIC_SOUP_NO_SESSION = 'S'      /* the session is not available */
};

/* What a client asks for, section 2.3.1.  Blanks around the fields are gone;
 * compare user and password without regard to case (sonic_soup_same). */
typedef struct sonic_soup_login {
    char user[SONIC_SOUP_USER_MAX + 1];
    char password[SONIC_SOUP_PASSWORD_MAX + 1];
    char session[SONIC_SOUP_SESSION_MAX + 1]; /* "": the current one */
    uint64_t sequence; /* that it wants next; 0: the most recent one */
} sonic_soup_login;

/* Where a client is in a session: what it takes to go on after a
 * disconnection.  Zeroed: at the beginning of the current session. */
typedef struct sonic_soup_position {
    char session[SONIC_SOUP_SESSION_MAX + 1];
    uint64_t next; /* the number of the next message; 0 is taken for 1 */
} sonic_soup_position;

/* How a connection ended. */
enum sonic_soup_end {
    SONIC_SOUP_BROKEN,    /* an error: see the record */
    SONIC_SOUP_LOGOUT,    /* the client logged out */
    SONIC_SOUP_SESSION,   /* the session is over: nothing more will come */
    SONIC_SOUP_REJECTED,  /* the login was refused */
    SONIC_SOUP_TERMINATED /* by sonic_soup_terminate or the io's end */
};

typedef struct sonic_soup_close_record {
    enum sonic_soup_end end;
    enum sonic_soup_state state;   /* in which it ended, LEAVING apart */
    enum sonic_soup_reject reject; /* REJECTED: why; else 0 */
    int error;     /* 0: in good order.  SONIC_ESOUP_PACKET, _UNEXPECTED,
                      _SEQUENCE, _LOGIN, _SILENT, _REJECTED; SONIC_EOF: the
                      peer's stream ended with no word of farewell;
                      SONIC_EFRAME_CUT, -ECANCELED, the stream's errors */
    uint64_t next; /* number of the next message: to come, or to be sent */
    size_t unsent; /* bytes that were queued and did not go out */
} sonic_soup_close_record;

/* What happens.  Members may be NULL.  The table is borrowed, and the same one
 * may serve any number of connections. */
typedef struct sonic_soup_handler {
    size_t size;
    /* Server: a login.  Answer with sonic_soup_accept or _reject, now or later,
     * within login_timeout.  NULL: nobody is let in. */
    void (*on_login)(sonic_soup *soup, const sonic_soup_login *login, void *ud);
    /* Client: logged in to the session; its next message has this number. */
    void (*on_open)(sonic_soup *soup, const char *session, uint64_t next,
                    void *ud);
    /* Client: a message of the session, where it was received: in the
     * reactor's buffer, valid until this returns; it may be written to. */
    void (*on_message)(sonic_soup *soup, uint64_t sequence, uint8_t *data,
                       size_t len, void *ud);
    /* A message without a number: a client's, or of a server that sends such;
     * lent likewise. */
    void (*on_unsequenced)(sonic_soup *soup, uint8_t *data, size_t len,
                           void *ud);
    /* Text for people, section 2.1; not terminated. */
    void (*on_debug)(sonic_soup *soup, const char *text, size_t len, void *ud);
    /* Server: message `sequence` and its length, or NULL when it is not there
     * yet.  With this set messages are not sent but fetched, the old ones like
     * the new ones, as fast as the client takes them: call sonic_soup_pump
     * when there is a new one.  Valid until the next call of this. */
    const void *(*source)(sonic_soup *soup, uint64_t sequence, size_t *len,
                          void *ud);
    /* The queue is at or below its low-water mark, after a send returned 1. */
    void (*on_drain)(sonic_soup *soup, void *ud);
    /* The end, once, last.  The soup may be freed from here. */
    void (*on_close)(sonic_soup *soup, const sonic_soup_close_record *why,
                     void *ud);
} sonic_soup_handler;

#define SONIC_SOUP_HANDLER_INIT .size = sizeof(sonic_soup_handler)

typedef struct sonic_soup_options {
    size_t size;
    /* A client's login.  At most 6, 10 and 10 printable ASCII characters
     * without blanks; NULL: "". */
    const char *user, *password, *session;
    uint64_t sequence;              /* wanted next; default 1 */
    enum sonic_switch most_recent;  /* ON: ask for 0 instead, the most recent */
    enum sonic_switch any_sequence; /* ON: be content when the server begins
                                       with another number than was asked for;
                                       else that is SONIC_ESOUP_SEQUENCE */
    /* Go on there; session and sequence are not looked at.  Borrowed until the
     * end, and kept up to date: when this connection has ended it is what the
     * next one needs. */
    sonic_soup_position *position;
    /* Both roles; nanoseconds. */
    int64_t heartbeat;     /* sent when nothing else was; default 1 s */
    int64_t silence;       /* of the peer, after which it is gone; default
                              15 s; at least as long as heartbeat */
    int64_t login_timeout; /* from the beginning to OPEN; default 15 s */
    int64_t close_timeout; /* for an orderly end; default 5 s */
    size_t max_message;    /* bytes, sent or received; default and at most
                              SONIC_SOUP_MESSAGE_MAX */
    size_t low_water, high_water, queue_limit; /* bytes; see stream.h */
} sonic_soup_options;

#define SONIC_SOUP_OPTIONS_INIT                                                \
    {                                                                          \
        .size = sizeof(sonic_soup_options)                                     \
    }

/* sonic_soup_client_new - log in, over a stream that is connected
 * sonic_soup_server_new - await a login on one
 *
 *   stream   the soup's from now on; on error it stays the caller's
 *   opt      may be NULL; copied, strings included, position borrowed
 *   handler  borrowed; may be NULL
 * Callbacks run from the loop, not before this returns.
 * ERRORS  -ENOMEM, -ENOTCONN, SONIC_ECLOSED (the io), SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int
sonic_soup_client_new(sonic_stream *stream, const sonic_soup_options *opt,
                      const sonic_soup_handler *handler, void *ud,
                      sonic_soup **out);
SONIC_API SONIC_MUST_CHECK int
sonic_soup_server_new(sonic_stream *stream, const sonic_soup_options *opt,
                      const sonic_soup_handler *handler, void *ud,
                      sonic_soup **out);

/* ---- a server's answers ------------------------------------------------ */

/* sonic_soup_accept - let the client in
 *
 *   session  1 to 10 printable ASCII characters without blanks
 *   next     number of the message that it will get next, at least 1
 * ERRORS  SONIC_ESTATE, no login is waiting; SONIC_EOPTION; those of a send. */
SONIC_API SONIC_MUST_CHECK int
sonic_soup_accept(sonic_soup *soup, const char *session, uint64_t next);

/* sonic_soup_reject - turn the client away, and close.  ERRORS as accept. */
SONIC_API SONIC_MUST_CHECK int sonic_soup_reject(sonic_soup *soup,
                                                 enum sonic_soup_reject why);

/* ---- messages ---------------------------------------------------------- */

/* sonic_soup_send - queue the next message of the session (a server's)
 * sonic_soup_send_unsequenced - queue a message without a number.  3.00 has
 *     only clients send these; there are servers that do.
 * sonic_soup_send_debug - queue a text for people
 *
 * Returns 0, or 1 when the queue stands above its high-water mark now: pause,
 * and wait for on_drain.
 * ERRORS  nothing is queued: SONIC_ESTATE, not OPEN, a client's send, or the
 * handler has a source; SONIC_ETOOBIG; SONIC_EQUEUE; -ENOMEM; or the error
 * that an earlier write met. */
SONIC_API SONIC_MUST_CHECK int sonic_soup_send(sonic_soup *soup,
                                               const void *data, size_t len);
SONIC_API SONIC_MUST_CHECK int
sonic_soup_send_unsequenced(sonic_soup *soup, const void *data, size_t len);
SONIC_API SONIC_MUST_CHECK int
sonic_soup_send_debug(sonic_soup *soup, const char *text, size_t len);

/* sonic_soup_pump - there are new messages: fetch them from the source
 * Cheap when there are none.  A source's message that is too long, and an
 * error of the stream, end the connection. */
SONIC_API void sonic_soup_pump(sonic_soup *soup);

/* Bytes queued. */
SONIC_API size_t sonic_soup_queued(const sonic_soup *soup);

/* data is NULL and sequence 0 with an error. */
typedef void sonic_soup_read_fn(sonic_soup *soup, int err, uint64_t sequence,
                                uint8_t *data, size_t len, void *ud);

/* sonic_soup_async_read - the next message, lent
 *
 * A client's are those of the session, a server's those without a number, with
 * sequence 0.  While one is pending it comes before the handler; without
 * on_message (on_unsequenced) nothing is read from the stream but for it.
 * Called again in its callback it goes on with the same receive, in a loop.
 * ERRORS  SONIC_EOF, the end came in good order; the close record's error;
 * -EBUSY, a read is pending; -ECANCELED; SONIC_ECLOSED, it was over before. */
SONIC_API void sonic_soup_async_read(sonic_soup *soup, sonic_soup_read_fn *cb,
                                     void *ud);

/* sonic_soup_read - the blocking twin, which copies
 * SONIC_ETOOBIG: the message was longer than cap, *len says how long; it is
 * passed over.  sequence and len may be NULL. */
SONIC_API SONIC_MUST_CHECK int sonic_soup_read(sonic_soup *soup, void *buf,
                                               size_t cap, size_t *len,
                                               uint64_t *sequence);

/* sonic_soup_wait - run the io until the login is answered: the blocking twin
 * of on_open (client) and on_login's answer (server)
 * ERRORS  the close record's; SONIC_ECLOSED, it was over before; -EBUSY. */
SONIC_API SONIC_MUST_CHECK int sonic_soup_wait(sonic_soup *soup);

/* sonic_soup_flush - run the io until the system has taken all that is queued
 * ERRORS  of the stream; SONIC_ECLOSED; -EBUSY inside a callback. */
SONIC_API SONIC_MUST_CHECK int sonic_soup_flush(sonic_soup *soup);

/* Stop, and go on with, reading: the peer feels it.  Its silence does not
 * count meanwhile. */
SONIC_API void sonic_soup_pause(sonic_soup *soup);
SONIC_API void sonic_soup_resume(sonic_soup *soup);

/* ---- ending ------------------------------------------------------------ */

/* sonic_soup_close - end in good order
 *
 * A client logs out; a server that has let the client in says that the session
 * is over.  What is queued goes out, the peer's end is awaited, on_close
 * follows.  What a source still has is not fetched any more: sonic_soup_next
 * says how far it got.  Messages that cross this are not delivered.
 * Idempotent. */
SONIC_API void sonic_soup_close(sonic_soup *soup);

/* sonic_soup_terminate - end now, with no word; on_close runs from the loop.
 * The way for a server to drop a client that may come back. */
SONIC_API void sonic_soup_terminate(sonic_soup *soup);

/* sonic_soup_free - terminate and release; on_close does not run any more, a
 * pending read gets -ECANCELED.  NULL is allowed. */
SONIC_API void sonic_soup_free(sonic_soup *soup);

/* ---- looking at one ---------------------------------------------------- */

SONIC_API enum sonic_soup_state sonic_soup_state(const sonic_soup *soup);
SONIC_API enum sonic_soup_role sonic_soup_role(const sonic_soup *soup);
/* The session logged in to; "" before. */
SONIC_API const char *sonic_soup_session(const sonic_soup *soup);
/* Number of the next message: to come (client), to be sent (server); 0 before
 * the login. */
SONIC_API uint64_t sonic_soup_next(const sonic_soup *soup);
SONIC_API sonic_io *sonic_soup_io(const sonic_soup *soup);
/* The stream below; it stays the soup's.  NULL once CLOSED. */
SONIC_API sonic_stream *sonic_soup_next_layer(const sonic_soup *soup);
SONIC_API void *sonic_soup_user(const sonic_soup *soup);
/* Another handler; NULL: none.  ERRORS SONIC_EOPTION: it is not one (size), and
 * the present one stays. */
SONIC_API SONIC_MUST_CHECK int
sonic_soup_set_handler(sonic_soup *soup, const sonic_soup_handler *handler,
                       void *ud);
/* Trace every step.  tracer is borrowed; NULL ends it. */
SONIC_API void sonic_soup_set_trace(sonic_soup *soup,
                                    const sonic_fsm_tracer *tracer);

typedef struct sonic_soup_stats {
    uint64_t messages_in, messages_out; /* numbered ones */
    uint64_t unsequenced_in, unsequenced_out;
    uint64_t heartbeats_in, heartbeats_out;
    uint64_t bytes_in, bytes_out; /* of packets */
} sonic_soup_stats;

SONIC_API void sonic_soup_get_stats(const sonic_soup *soup,
                                    sonic_soup_stats *out);

/* sonic_soup_same - are two names the same, but for case?  Section 2.3.1. */
SONIC_API bool sonic_soup_same(const char *a, const char *b);

#ifdef __cplusplus
}
#endif
#endif
