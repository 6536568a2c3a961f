/* parser.h - bytes of the wire in, messages out; RFC 6455 section 5
 *
 * The parser works on a window: contiguous bytes that its caller received and
 * owns.  It unmasks payload where it lies, or a few bytes further down (see
 * plain.h), and moves the payload of later fragments down behind the earlier
 * ones, so that a message is whole in the window without having been copied. It
 * does no I/O, reads no clock and allocates nothing; any split of the input
 * gives the same deliveries.
 */
#ifndef SONICIO_WEBSOCKET_PARSER_H
#define SONICIO_WEBSOCKET_PARSER_H

#include <sonicio/api.h>
#include <sonicio/fsm.h>

#include "websocket/frame.h"
#include "websocket/mask.h"

/* How data arrives at the sink. */
enum sonic__ws_delivery {
    SONIC__WS_WHOLE = 0, /* on_message: the message, in one piece */
    SONIC__WS_CHUNKS,    /* on_chunk: payload as it comes in */
    SONIC__WS_FRAMES     /* on_frame: every frame, control frames too */
};

enum {
    SONIC__WS_FIRST = 1,     /* chunk: the message begins with it */
    SONIC__WS_LAST = 2,      /* chunk: the message ends with it */
    SONIC__WS_COMPRESSED = 4 /* RSV1 was set, RFC 7692 section 6.  The payload
                                was not checked as text: inflate it first */
};

/* What to read, the same for many connections. */
struct sonic__ws_rules {
    const struct sonic__ws_simd *simd;
    const sonic_fsm_tracer *tracer; /* NULL: not traced */
    uint64_t max_message;           /* payload bytes of one message, all
                                       fragments together, in every delivery;
                                       over PTRDIFF_MAX means PTRDIFF_MAX */
    struct sonic__ws_expect expect; /* the role, and RSV bits in use */
    bool utf8;                      /* check text as it arrives */
    bool inflate; /* the sink inflates: what is COMPRESSED and is to be WHOLE
                     comes in CHUNKS; there max_message is for the sink to
                     check, and here it is exceeded by what cannot be right */
};

/* Who gets it.  Each returns true to go on, false to pause: nothing more is
 * delivered by this call of sonic__ws_parse.
 *
 * data is unmasked, lies in the window, may be written to and is valid until
 * the function returns.  The parser is consistent at that time: its delivery
 * may be changed, and it may be given up.  sonic__ws_parse must not be called
 * for the same parser from here. */
struct sonic__ws_sink {
    /* opcode TEXT or BINARY; flags 0 or COMPRESSED. */
    bool (*on_message)(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n,
                       void *ud);
    /* A chunk is empty only if it is the last one.  It can end inside a
     * character; what has come of a text was right so far. */
    bool (*on_chunk)(uint8_t opcode, uint8_t flags, uint8_t *data, size_t n,
                     void *ud);
    /* rsv as bits 6..4.  Order and UTF-8 were checked as for messages. */
    bool (*on_frame)(bool fin, uint8_t rsv, uint8_t opcode, uint8_t *data,
                     size_t n, void *ud);
    /* CLOSE, PING or PONG, whole; not called while frames are delivered. */
    bool (*on_control)(uint8_t opcode, uint8_t *data, size_t n, void *ud);
};

/* The state of one connection.  48 bytes: it is in every idle one. */
struct sonic__ws_parser {
    struct sonic__ws_frame frame; /* .len: payload still to come, and .key
                                     turned to it, once the header is done */
    uint8_t state;    /* machine: message.def; behind the frame's state, see
                         plain.h */
    uint8_t delivery; /* of the next message */
    uint8_t utf8;     /* of the text so far */
    uint8_t message;  /* its opcode | delivery << 2 | flags << 4; of these 8:
                         `held` bytes of a chunk are to be shown again */
    uint32_t gap;   /* dead bytes behind those held; not 0 after a pause only */
    uint64_t seen;  /* payload bytes of the message, as promised by headers */
    uint32_t held;  /* bytes at the front of the window that are assembled */
    uint32_t timed; /* its owner's, who keeps it here: see slow.c */
};

/* What became of the window.  Keep data[consumed .. len - trimmed) for the
 * next call, and append to it. */
struct sonic__ws_progress {
    size_t consumed; /* bytes to drop from the front */
    size_t trimmed;  /* bytes to drop from the end */
    size_t want;     /* bytes the window must hold, kept ones included, until
                        the frame under way is complete; 0 unknown, or any
                        number will do */
    bool anew;       /* it was between messages: one under way has begun in
                        this window */
};

/* sonic__ws_parser_init - a parser that waits for the first frame */
void sonic__ws_parser_init(struct sonic__ws_parser *p,
                           enum sonic__ws_delivery delivery);

/* sonic__ws_parser_deliver - choose the delivery, from the next message on
 * At any time, in a sink's function too. */
void sonic__ws_parser_deliver(struct sonic__ws_parser *p,
                              enum sonic__ws_delivery delivery);

/* sonic__ws_parser_untake - the last n bytes of the chunk were not taken
 * For on_chunk, which then pauses: the next sonic__ws_parse shows them again,
 * n at least 1, last as the chunk was. */
void sonic__ws_parser_untake(struct sonic__ws_parser *p, size_t n, bool last);

/* sonic__ws_parser_idle - between messages and with no byte of a frame */
bool sonic__ws_parser_idle(const struct sonic__ws_parser *p);

/* sonic__ws_parser_fail - fail the connection for what was found elsewhere
 * Returns err, as sonic__ws_parse would. */
int sonic__ws_parser_fail(struct sonic__ws_parser *p,
                          const struct sonic__ws_rules *rules, int err);

/* sonic__ws_parse - take in a window
 *
 *   rules  may differ from call to call; a changed role or check applies to
 *          what is read from then on
 *   data   data[0..len), less than 4 GiB of it kept: what the last call said to
 * keep, unchanged but possibly elsewhere in memory, and behind it what has
 * arrived since done   always filled in
 *
 * Returns
 *   0      all that was whole is delivered; more bytes are needed
 *   1      the sink paused; call again, with or without more bytes
 * or fails the connection (7.1.7).  The parser stays failed, the window is
 * of no more use, and what was delivered stands:
 *   SONIC_EWS_RSV, _OPCODE, _CONTROL, _MASK, _LENGTH   see frame.h
 *   SONIC_EWS_FRAGMENT  a fragment out of sequence (5.4)
 *   SONIC_EWS_TOOBIG    the header takes the message over max_message;
 *                       told before any of that payload
 *   SONIC_EWS_UTF8      text is not UTF-8, at the first wrong byte (8.1)
 *   SONIC_ESTATE        it had failed before
 */
SONIC_MUST_CHECK int sonic__ws_parse(struct sonic__ws_parser *p,
                                     const struct sonic__ws_rules *rules,
                                     const struct sonic__ws_sink *sink,
                                     void *ud, uint8_t *data, size_t len,
                                     struct sonic__ws_progress *done);

extern const sonic_fsm sonic__ws_message_fsm;

#endif
