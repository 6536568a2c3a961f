/* conn.h - the inside of one end of a SoupBinTCP connection
 *
 *   packet.c                packets that have fields
 *   session.def, session.c  its life: packets and calls to events, to actions
 *   time.c                  heartbeats and silence
 *   send.c                  packets into the stream's queue
 *   read.c                  messages to whoever takes them
 *   conn.c                  made, looked at, freed
 *
 * It stands on a frame connection, and follows the rules at the top of
 * frame/conn.h.  What ends it ends that one; its on_close is ours. */
#ifndef SONICIO_SOUP_CONN_H
#define SONICIO_SOUP_CONN_H

#include <sonicio/frame.h>
#include <sonicio/object.h>
#include <sonicio/soup.h>
#include <sonicio/timer.h>

enum {
    SONIC__SOUP_PAUSED = 1,   /* by the user */
    SONIC__SOUP_STILL = 2,    /* the frame connection is: nobody reads */
    SONIC__SOUP_DRAINING = 4, /* sonic_stream_async_drain is under way */
    SONIC__SOUP_PUMPING = 8,  /* sonic_soup_pump is on the stack */
    SONIC__SOUP_ANY = 16,     /* option any_sequence */
    SONIC__SOUP_REPORTED = 32 /* on_close has run */
};

/* A blocking call that waits for the login or the end. */
struct sonic__soup_await {
    bool done;
    int err;
};

struct sonic_soup {
    sonic_frame_conn *conn; /* NULL once it has ended */
    sonic_timer *timer;
    const sonic_soup_handler *handler;
    void *ud;
    sonic_soup_read_fn *read; /* the operation that is pending, or NULL */
    void *read_ud;
    uint64_t next;
    int64_t heard, said; /* when the last packet came, went */
    int64_t heartbeat, silence, login_by;
    size_t max_message;
    sonic_soup_position *position;
    struct sonic__soup_await *await;
    const sonic_fsm_tracer *tracer;
    sonic_soup_login login; /* client: what it asks; session: what it got */
    sonic_soup_stats stats;
    size_t unsent;
    int error;        /* of the close record */
    uint8_t end;      /* of the close record */
    uint8_t ended_in; /* of the close record: its state */
    uint8_t reject;   /* of the close record */
    uint8_t state;    /* machine: session.def; enum sonic_soup_state */
    uint8_t role;
    uint8_t flags;
};

/* session.c: what may happen. */
void sonic__soup_begin(sonic_soup *s);
void sonic__soup_packet(sonic_soup *s, uint8_t *data, size_t len);
void sonic__soup_fail(sonic_soup *s, int err);
void sonic__soup_late(sonic_soup *s, int err);
void sonic__soup_gone(sonic_soup *s, enum sonic_soup_end end, int err);

/* send.c: as a send; no check of the state. */
int sonic__soup_put(sonic_soup *s, uint8_t type, const void *data, size_t len);

/* read.c */
bool sonic__soup_give(sonic_soup *s, uint64_t sequence, uint8_t *data,
                      size_t len);
void sonic__soup_complete_read(sonic_soup *s, int err);
/* Read from the stream, or do not, as somebody wants it. */
void sonic__soup_regulate(sonic_soup *s);
void sonic__soup_settle(sonic_soup *s, int err);

/* time.c */
void sonic__soup_arm(sonic_soup *s);
void sonic__soup_disarm(sonic_soup *s);

extern const sonic_fsm sonic__soup_fsm;

#endif
