/* A client and a server in a simulated world, to whom something is done at one
 * chosen place: in one of their callbacks, or between two steps of the loop.
 * Whatever it is, every operation completes once, every connection ends once,
 * nothing is called after its end, and nothing is left over. */
#ifndef SONICIO_TESTS_LIFE_WORLD_H
#define SONICIO_TESTS_LIFE_WORLD_H

#include <sonicio/sim.h>
#include <sonicio/sonicio.h>

/* What can be done to an end. */
#define LIFE_DEED_LIST(X)                                                      \
    X(NOTHING)                                                                 \
    X(CLOSE)                                                                   \
    X(ASYNC_CLOSE)                                                             \
    X(TERMINATE)                                                               \
    X(FREE)                                                                    \
    X(SEND)                                                                    \
    X(ASYNC_SEND)                                                              \
    X(SEND_PART)                                                               \
    X(RESERVE)                                                                 \
    X(PING)                                                                    \
    X(READ)                                                                    \
    X(RECONNECT)                                                               \
    X(TWINS)                                                                   \
    X(PAUSE)                                                                   \
    X(RESUME)                                                                  \
    X(MUTE)                                                                    \
    X(BREAK)                                                                   \
    X(DRAIN_SERVER)                                                            \
    X(FREE_SERVER)                                                             \
    X(CLOSE_IO)                                                                \
    X(FREE_IO)

enum life_deed {
#define X(name) LIFE_DO_##name,
    LIFE_DEED_LIST(X)
#undef X
        LIFE_DEEDS
};

/* Where. */
#define LIFE_PLACE_LIST(X)                                                     \
    X(BETWEEN)                                                                 \
    X(ON_REQUEST)                                                              \
    X(ON_RESPONSE)                                                             \
    X(ON_UPGRADE)                                                              \
    X(ON_OPEN)                                                                 \
    X(ON_MESSAGE)                                                              \
    X(ON_CHUNK)                                                                \
    X(ON_FRAME)                                                                \
    X(ON_CONTROL)                                                              \
    X(ON_DRAIN)                                                                \
    X(ON_CLOSE)                                                                \
    X(CONNECTED)                                                               \
    X(SENT)                                                                    \
    X(READ_DONE)                                                               \
    X(CLOSED)                                                                  \
    X(DRAINED)

enum life_place {
#define X(name) LIFE_AT_##name,
    LIFE_PLACE_LIST(X)
#undef X
        LIFE_PLACES
};

enum { LIFE_CLIENT, LIFE_SERVER, LIFE_ENDS, LIFE_STATES = 12 };
enum { LIFE_OPS = 4096 };

enum life_delivery {
    LIFE_MESSAGES,
    LIFE_CHUNKS,
    LIFE_FRAMES,
    LIFE_READ,
    LIFE_READ_INTO,
    LIFE_READ_CHUNK,
    LIFE_READ_FRAME
};

/* How a conversation goes when nothing is done to it. */
struct life_plan {
    const char *name;
    enum life_delivery delivery;
    size_t size;        /* of a message */
    bool small_marks;   /* so that on_drain runs */
    bool server_closes; /* after the first message; else the client does */
    bool nobody_closes; /* a deadline ends it, or the other end */
    bool refuse;        /* by the hook */
    bool bad_text;      /* the client sends some */
    bool deaf_server;   /* it pauses, and never reads */
    bool silent_server; /* no WebSocket server is there */
    bool proxy;         /* between them */
    bool no_such_host;
    bool drain; /* the server drains after the first message */
    bool keepalive;
    bool tls;
    bool mistaken; /* the client expects TLS of a server that has none */
};

struct life_end {
    sonic_ws *ws; /* NULL: not there, or freed */
    sonic_ws_handler handler;
    unsigned begun, opens, closes; /* connections */
    bool freed;                    /* by its owner: nothing may be called */
    bool muted;                    /* its handler was taken away */
    bool reading;                  /* a read operation is pending */
    bool partial;                  /* a message is being sent in parts */
    uint8_t into[64];
};

/* What is done, `then` behind `deed`; at the place of that number, counted from
 * 1, where 0 is nowhere; to whom. */
struct life_deeds {
    unsigned long at;
    enum life_deed deed, then;
    unsigned whom;
};

struct life {
    const struct life_plan *plan;
    sonic_sim *sim;
    sonic_io *io; /* NULL: freed */
    sonic_ws_server *server;
    sonic_listener *listener; /* of what is no WebSocket server */
    sonic_stream *proxied;
    char head[512]; /* read by the proxy */
    char url[64], proxy_url[64];
    struct life_end end[LIFE_ENDS];
    bool io_ending;
    bool asking;    /* sonic_ws_async_connect is on the stack */
    unsigned depth; /* of callbacks */
    /* Of each operation, how often it completed. */
    uint8_t op[LIFE_OPS];
    size_t ops;
    struct life_deeds deeds;
    unsigned long places; /* so far */
    bool done;            /* the deeds are */
    const char *wrong;
    uint8_t *payload;
};

/* Where a place has been, in which state of which end; over all runs. */
extern unsigned long life_seen[LIFE_PLACES][LIFE_ENDS][LIFE_STATES];

const char *life_deed_name(enum life_deed deed);
const char *life_place_name(enum life_place place);

/* A whole life.  Returns what is wrong, or NULL; *places is how many there
 * were. */
const char *life_run(const struct life_plan *plan, const struct life_deeds *d,
                     unsigned seed, unsigned long *places);

/* Inside: life_deeds.c and life_talk.c. */
void life_wrong(struct life *l, const char *what);
void life_at(struct life *l, unsigned end, enum life_place place);
void life_do(struct life *l, enum life_deed deed, unsigned whom);
void life_read(struct life *l, unsigned end);
void *life_begin_op(struct life *l, unsigned end);
unsigned life_end_op(struct life *l, void *ud); /* whose it was */
void life_connect(struct life *l);
int life_open_world(struct life *l);
struct life *life_now(void);

#endif
