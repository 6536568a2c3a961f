/* message.h - from frames to messages, RFC 6455 section 5.4; for parser.c
 *
 * One call of sonic__ws_parse is a run over a window:
 *
 *      0        front     front + held     read            len
 *      |  done  |  assembled  |  done  |  still to read  |
 */
#ifndef SONICIO_WEBSOCKET_MESSAGE_H
#define SONICIO_WEBSOCKET_MESSAGE_H

#include "websocket/parser.h"

struct sonic__ws_run {
    struct sonic__ws_parser *p;
    const struct sonic__ws_rules *rules;
    const struct sonic__ws_sink *sink;
    void *ud;
    uint8_t *data;
    size_t len;
    size_t front; /* where the assembled bytes begin */
    size_t read;  /* the next byte to read */
    int err;      /* why the event BAD */
    bool anew;    /* see struct sonic__ws_progress */
};

/* State numbers of message.def that are of use outside. */
enum { SONIC__WS_MESSAGE_IDLE = 0, SONIC__WS_MESSAGE_FAILED = 4 };

/* What parser.c knows of run->p->message. */
enum { SONIC__WS_MESSAGE_AGAIN = 8 << 4 };

static inline enum sonic__ws_delivery
sonic__ws_message_delivery(const struct sonic__ws_parser *p)
{
    return (enum sonic__ws_delivery)(p->message >> 2 & 3);
}

/* Each returns 0 to go on, 1 when the sink paused, or the error that the
 * connection fails with. */

/* The header of a data frame is complete. */
int sonic__ws_message_header(struct sonic__ws_run *run);

/* Payload of a data frame: as much of it as is at hand, perhaps all. */
int sonic__ws_message_payload(struct sonic__ws_run *run);

/* A control frame: the header is complete, the payload is at hand. */
int sonic__ws_message_control(struct sonic__ws_run *run);

/* Show what was not taken. */
int sonic__ws_message_again(struct sonic__ws_run *run);

/* Whatever it is, it is not allowed. */
int sonic__ws_message_bad(struct sonic__ws_run *run, int err);

#endif
