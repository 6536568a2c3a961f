/* Playing a case against a peer.  Its steps:
 *
 *   only server|client      otherwise this is no case for that peer
 *   full                    only when everything is asked for
 *   offer TEXT              the extensions that we ask a server for
 *   answer TEXT             what we answer a client's offer with
 *   agree TEXT              what the server's answer must be, exactly
 *   raw                     no handshake but the one that the steps make
 *   head PAYLOAD            a part of a head; @key@ and @accept@ are filled in
 *   status N                the answer is a head with that status
 *   upgraded                the answer is right, and frames follow
 *   refused                 the peer ends without having sent a frame
 *
 *   chop N                  send in pieces of N bytes
 *   cipher N                the same of TLS's own bytes, from its handshake on
 *   tls 1.2|1.3             that version, and no other; both only over TLS
 *   rekey, renegotiate      ask for new keys, for another handshake
 *   hangup                  end TCP without a close_notify
 *   send [z] [nofin] [rsv=N] [form=7|16|64] [claim=N] [mask=wrong|zero]
 *        [split=N] OPCODE PAYLOAD
 *                           a frame; z compresses it, split makes it a message
 *                           of fragments of N bytes
 *   bytes PAYLOAD           these, as they are
 *   flush                   now; otherwise before the next wait
 *   echo [z|plain]          the oldest message sent comes back, and nothing
 *                           before it (compressed, or not)
 *   recv OPCODE PAYLOAD     that message, ping or pong comes
 *   alive                   a ping is answered, and nothing comes before
 *   repeat N ... done       so often; many, several and few are 1000, 200 and
 *                           20 of it, or 20, 3 and 2 when in a hurry
 *
 * and its last one:
 *   end                     we close with 1000, and the peer answers that
 *   closed N|none           the peer answers the close that we sent ...
 *   fail N                  ... or closes with N, because of what we sent;
 *                           nothing comes before it
 *   gone                    the peer ends, with or without a close
 *   cut                     we break the connection
 */
#ifndef CONFORMANCE_PLAY_H
#define CONFORMANCE_PLAY_H

#include "cases.h"
#include "codec.h"
#include "http.h"
#include "squash.h"

struct setup {
    bool server;         /* the peer is one: we dial */
    bool full;           /* everything */
    bool step;           /* see wire.h */
    bool deflate;        /* the peer knows it */
    const char *address; /* of a server */
    SSL_CTX *tls;        /* or NULL */
    int64_t patience;    /* nanoseconds a step may take */
};

struct message {
    struct message *next;
    unsigned opcode;
    struct bytes data;
};

enum { LOG_LINES = 16, LOG_LINE = 160 };

struct play {
    const struct setup *setup;
    const struct test_case *test;
    struct wire wire;
    struct masks masks; /* of all cases, when the peer is a client */
    struct agreement agreed;
    struct squash squash;
    bool opened;                  /* frames may go both ways */
    bool raw;                     /* the steps make the handshake */
    struct message *sent, **last; /* not echoed yet */
    struct bytes part;            /* of the message that is being sent ... */
    unsigned part_opcode;         /* ... or 0 */
    struct head head;             /* the last that came */
    struct bytes coming;          /* of a message of which a part came ... */
    unsigned coming_opcode;
    bool inside, squashed; /* ... and more will */
    char key[KEY_TEXT];    /* of the handshake */
    const char *offer, *answer;
    char log[LOG_LINES][LOG_LINE];
    unsigned long logged;
    char wrong[400];  /* what is, or nothing */
    unsigned reports; /* of cases that went wrong; the first are told */
};

/* Whether the case is one for this peer. */
bool play_concerns(const struct setup *s, const struct test_case *t);

/* Play it: whether all went as it should.  A client's connection and its
 * request are in p already. */
bool play_case(struct play *p, const struct test_case *t);

/* For steps.c.  Each of these returns false when it has said what is wrong. */
bool play_wrong(struct play *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void play_log(struct play *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What came. */
enum event_kind { EVENT_MESSAGE, EVENT_CONTROL, EVENT_END, EVENT_WRONG };
struct event {
    enum event_kind kind;
    unsigned opcode;
    struct bytes data;
    bool squashed;
};
void event_next(struct play *p, struct event *e);

bool step_take(struct play *p, const char *line);
bool send_step(struct play *p, const char *text);
void send_forget(struct play *p);
bool step_rekey(struct play *p, const char *text);
bool step_renegotiate(struct play *p, const char *text);
bool step_hangup(struct play *p, const char *text);
/* Before the handshake; either may be NULL. */
void tls_settings(struct play *p, const char *version, const char *pieces);

#endif
