/* plain.h - the messages that most messages are: one short frame, whole and
 * at hand
 *
 * What the tables would do with one (SINGLE, END; back in IDLE) is done here
 * without them.  The tests compare the two at every split. */
#ifndef SONICIO_WEBSOCKET_PLAIN_H
#define SONICIO_WEBSOCKET_PLAIN_H

#include <string.h>

#include "base/hint.h"
#include "websocket/parser.h"
#include "websocket/utf8.h"

enum {
    SONIC__WS_PLAIN_SHORTEST = 4, /* bytes that are read of one before it is
                                     known how many there are */
    SONIC__WS_HEADROOM = 4        /* bytes of a server's header for a message of
                                     126 to 65,535 bytes */
};

/* Gets one.  headroom: it is of such a length, and the HEADROOM bytes in front
 * of it may be written to.  Returns as a sink's on_message (parser.h). */
typedef bool sonic__ws_plain_fn(uint8_t opcode, bool headroom, uint8_t *data,
                                size_t n, void *ud);

/* May a window be read so?  The four are neighbours: one comparison. */
static inline bool
sonic__ws_is_parser_plain(const struct sonic__ws_parser *p,
                          const struct sonic__ws_rules *rules)
{
    uint32_t four;

    _Static_assert(offsetof(struct sonic__ws_parser, delivery) ==
                       offsetof(struct sonic__ws_parser, frame.state) + 3,
                   "the frame's state and have, state, delivery");
    memcpy(&four,
           (const char *)p + offsetof(struct sonic__ws_parser, frame.state),
           sizeof four);
    return four == 0 && rules->tracer == NULL;
}

/* Unmask it, if it is masked, on its way from `data` down to `to`, or where it
 * lies.  False: text, and not UTF-8. */
static SONIC__INLINE bool
sonic__ws_plain_unmask(const struct sonic__ws_rules *rules, bool masked,
                       bool text, uint8_t *to, const uint8_t *data, size_t n)
{
    const struct sonic__ws_simd *simd = rules->simd;
    uint32_t key = 0;

    if (masked)
        memcpy(&key, data - 4, 4);
    if (!text || !rules->utf8) {
        if (masked)
            sonic__ws_mask(simd, to, data, n, key);
        return true;
    }
    return (masked && simd->mask_ascii(to, data, n, key)) ||
           simd->utf8(SONIC__UTF8_OK, to, n) == SONIC__UTF8_OK;
}

/* Which ones to read: up to 125 bytes, or all. */
enum sonic__ws_plain { SONIC__WS_PLAIN_SHORT, SONIC__WS_PLAIN_ANY };

/* Take in the plain messages that the window [at, end) begins with.
 *
 * masked says which role reads, and is what rules expects; that, `which` and
 * on_message are best constant.  Ends at anything else, or when on_message has
 * changed the delivery.  Returns how far it came, and in *r 0; 1 if on_message
 * paused; or SONIC_EWS_UTF8, with which the parser is to fail.
 *
 * A masked payload that is not short moves down while it is unmasked, to where
 * the one before it ends and four bytes: the header that a server would give
 * it, which is shorter than the client's.  So the answers of a server that
 * sends messages back lie in one piece. */
static SONIC__INLINE uint8_t *
sonic__ws_parse_plain(const struct sonic__ws_parser *p,
                      const struct sonic__ws_rules *rules, bool masked,
                      enum sonic__ws_plain which,
                      sonic__ws_plain_fn *on_message, void *ud, uint8_t *at,
                      const uint8_t *end, int *r)
{
    uint8_t *to = at;

    *r = 0;
    while (end - at >= SONIC__WS_PLAIN_SHORTEST) {
        unsigned opcode = at[0] - 0x80u; /* FIN, no RSV */
        bool text = opcode == SONIC__WS_TEXT, fine;
        size_t n = at[1] ^ (masked ? 0x80u : 0), head = masked ? 6 : 2;

        if (opcode - 1 > 1 || n > 125u + which)
            break;
        if (n <= 125) {
            if ((size_t)(end - at) < head + n || n > rules->max_message)
                break;
            at += head;
            fine = sonic__ws_plain_unmask(rules, masked, text, at, at, n);
            if (fine)
                *r = !on_message((uint8_t)opcode, false, at, n, ud);
        } else {
            head += 2;
            n = (size_t)at[2] << 8 | at[3];
            if (n <= 125 || (size_t)(end - at) < head + n ||
                n > rules->max_message)
                break;
            at += head;
            to = masked ? to + SONIC__WS_HEADROOM : at;
            fine = sonic__ws_plain_unmask(rules, masked, text, to, at, n);
            if (fine)
                *r = !on_message((uint8_t)opcode, masked, to, n, ud);
            to += n;
        }
        if (!fine)
            *r = SONIC_EWS_UTF8;
        at += n;
        if (*r != 0 || p->delivery != SONIC__WS_WHOLE)
            break;
    }
    return at;
}

#endif
