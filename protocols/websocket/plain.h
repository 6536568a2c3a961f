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

/* Bytes that are read of one before it is known how many there are. */
enum { SONIC__WS_PLAIN_SHORTEST = 4 };

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

/* Unmask it where it lies, if it is masked.  False: text, and not UTF-8. */
static SONIC__INLINE bool
sonic__ws_plain_unmask(const struct sonic__ws_rules *rules, bool masked,
                       bool text, uint8_t *data, size_t n)
{
    const struct sonic__ws_simd *simd = rules->simd;
    uint32_t key = 0;

    if (masked)
        memcpy(&key, data - 4, 4);
    if (!text || !rules->utf8) {
        if (masked)
            sonic__ws_mask(simd, data, n, key);
        return true;
    }
    return (masked && simd->mask_ascii(data, data, n, key)) ||
           simd->utf8(SONIC__UTF8_OK, data, n) == SONIC__UTF8_OK;
}

/* The connection fails: text that is not UTF-8. */
ptrdiff_t sonic__ws_plain_fail(struct sonic__ws_parser *p,
                               const struct sonic__ws_rules *rules);

/* Take in the plain messages that a window begins with.
 *
 * masked says which role reads, and is what rules expects.  on_message is the
 * sink's (see parser.h).  Both are best constant.  Ends at anything else, or
 * when on_message pauses (*paused) or has changed the delivery.  Returns how
 * many bytes it took, or SONIC_EWS_UTF8. */
static SONIC__INLINE ptrdiff_t
sonic__ws_parse_plain(struct sonic__ws_parser *p,
                      const struct sonic__ws_rules *rules, bool masked,
                      bool (*on_message)(uint8_t opcode, uint8_t flags,
                                         uint8_t *data, size_t n, void *ud),
                      void *ud, uint8_t *data, size_t len, bool *paused)
{
    const size_t head = masked ? 6 : 2;
    uint8_t *at = data;
    const uint8_t *end = data + len;

    *paused = false;
    while (end - at >= SONIC__WS_PLAIN_SHORTEST) {
        unsigned opcode = at[0] - 0x80u; /* FIN, no RSV */
        size_t n = at[1] ^ (masked ? 0x80u : 0), size = head;

        if (opcode - 1 > 1 || n > 126)
            break;
        if (n == 126) {
            n = (size_t)at[2] << 8 | at[3];
            size += 2;
            if (n < 126)
                break;
        }
        if ((size_t)(end - at) < size + n || n > rules->max_message)
            break;
        at += size;
        if (!sonic__ws_plain_unmask(rules, masked, opcode == SONIC__WS_TEXT, at,
                                    n))
            return sonic__ws_plain_fail(p, rules);
        *paused = !on_message((uint8_t)opcode, 0, at, n, ud);
        at += n;
        if (*paused || p->delivery != SONIC__WS_WHOLE)
            break;
    }
    return at - data;
}

#endif
