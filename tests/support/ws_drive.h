/* ws_drive.h - drive sonic__ws_parse over a window as a stream would, and
 * write down what it delivers, in a form that does not depend on how the
 * input was split: a message that comes in chunks is written when it ends. */
#ifndef SONICIO_TESTS_WS_DRIVE_H
#define SONICIO_TESTS_WS_DRIVE_H

#include "websocket/parser.h"

struct ws_log {
    char *text; /* NULL when nothing was written */
    size_t n, cap;
};

struct ws_drive {
    struct sonic__ws_parser parser;
    struct sonic__ws_rules rules;
    struct ws_log log;
    struct ws_log chunks; /* of the message under way */
    bool between;         /* chunks: no message is under way */
    bool pause;           /* pause at every delivery */
    unsigned pauses;      /* how often it did */
    uint8_t *window;
    size_t len, largest; /* bytes in the window, now and at most */
    int err;             /* what the parser failed with, 0 */
};

/* One line of the log: "m1/0 5 hello".  What is not printable is written as
 * %xx, payload of more than 64 bytes as a hash.
 *   m opcode/flags   message
 *   f, F opcode/rsv  frame, F when FIN is set
 *   c opcode/0       control frame */
void ws_log_line(struct ws_log *log, char kind, unsigned a, unsigned b,
                 const uint8_t *data, size_t n);
void ws_log_error(struct ws_log *log, int err);
void ws_log_free(struct ws_log *log);
const char *ws_log_text(const struct ws_log *log);

void ws_drive_init(struct ws_drive *d, const struct sonic__ws_rules *rules,
                   enum sonic__ws_delivery delivery);
void ws_drive_free(struct ws_drive *d);

/* Feed a piece, until the parser wants more or fails.  What it says about the
 * window is checked; false, with the reason in the log, if it is wrong.  The
 * window is a fresh block of just the right size each time, so that memory
 * checkers see a byte too far. */
bool ws_drive_feed(struct ws_drive *d, const uint8_t *data, size_t n);

/* The input in pieces that end at cut[0..cuts) and at n. */
bool ws_drive_pieces(struct ws_drive *d, const uint8_t *data, size_t n,
                     const size_t *cut, size_t cuts);

#endif
