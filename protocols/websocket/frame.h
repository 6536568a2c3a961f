/* frame.h - the frame header, RFC 6455 section 5.2: read, split or not, and
 * written */
#ifndef SONICIO_WEBSOCKET_FRAME_H
#define SONICIO_WEBSOCKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sonicio/fsm.h>

enum sonic__ws_opcode {
    SONIC__WS_CONT = 0,
    SONIC__WS_TEXT = 1,
    SONIC__WS_BINARY = 2,
    SONIC__WS_CLOSE = 8,
    SONIC__WS_PING = 9,
    SONIC__WS_PONG = 10
};

enum {
    SONIC__WS_HEADER_MAX = 14,  /* bytes of a frame header */
    SONIC__WS_CONTROL_MAX = 125 /* bytes of a control frame's payload */
};

/* What a header must be, besides well-formed. */
struct sonic__ws_expect {
    uint8_t mask; /* 0x80 where a server reads, 0 where a client does */
    uint8_t rsv;  /* bits 6..4 that an extension owns; they may be set on the
                     first frame of a message, nowhere else */
};

/* A header under way, or the last one that was complete. */
struct sonic__ws_frame {
    uint64_t len;     /* payload bytes */
    uint32_t key;     /* masking key, order of the wire; valid if masked */
    uint8_t field[8]; /* the field under way */
    uint8_t head[2];  /* the first two bytes, as they came */
    uint8_t state;    /* machine: the field that comes next */
    uint8_t have;     /* bytes of it that are in field[] */
};

/* State numbers of frame.def that are of use outside. */
enum { SONIC__WS_FRAME_HEAD = 0, SONIC__WS_FRAME_BODY = 4 };

static inline bool
sonic__ws_frame_done(const struct sonic__ws_frame *f)
{
    return f->state == SONIC__WS_FRAME_BODY;
}

/* Make ready for a header; the fields of the last one stay readable until the
 * first byte of the next. */
static inline void
sonic__ws_frame_reset(struct sonic__ws_frame *f)
{
    f->state = SONIC__WS_FRAME_HEAD;
    f->have = 0;
}

static inline bool
sonic__ws_frame_fin(const struct sonic__ws_frame *f)
{
    return f->head[0] >> 7;
}

static inline uint8_t
sonic__ws_frame_rsv(const struct sonic__ws_frame *f)
{
    return f->head[0] & 0x70;
}

static inline uint8_t
sonic__ws_frame_opcode(const struct sonic__ws_frame *f)
{
    return f->head[0] & 0x0f;
}

static inline bool
sonic__ws_frame_masked(const struct sonic__ws_frame *f)
{
    return f->head[1] >> 7;
}

/* sonic__ws_frame_feed - read a header from pieces of any size
 *
 * Returns how many of the n bytes belong to the header; it is complete when
 * sonic__ws_frame_done says so.  Negative when it is not allowed; of several
 * reasons the first in this list is given, as soon as its bytes are there:
 *   SONIC_EWS_RSV      a reserved bit that no extension owns (5.2)
 *   SONIC_EWS_OPCODE   an opcode that is not defined (5.2)
 *   SONIC_EWS_CONTROL  a control frame with FIN clear or over 125 bytes (5.5)
 *   SONIC_EWS_MASK     masked for a client, or not masked for a server (5.1)
 *   SONIC_EWS_LENGTH   not the shortest form, or over 2^63-1 (5.2)
 *   SONIC_ESTATE       a header failed before; reset comes first
 * tracer may be NULL. */
int sonic__ws_frame_feed(struct sonic__ws_frame *f, const uint8_t *p, size_t n,
                         struct sonic__ws_expect expect,
                         const sonic_fsm_tracer *tracer);

/* sonic__ws_frame_load - the same header in one go, when nothing of it was
 * read yet and all of it lies in p[0..n)
 *
 * Returns its size and is done, or 0 and has changed nothing because n is too
 * small, or the same error that feed gives, failed as feed is. */
int sonic__ws_frame_load(struct sonic__ws_frame *f, const uint8_t *p, size_t n,
                         struct sonic__ws_expect expect);

/* sonic__ws_frame_encode - write a header
 *
 *   dst     room for SONIC__WS_HEADER_MAX bytes
 *   rsv     as bits 6..4
 *   len     payload bytes, at most 2^63-1
 *   key     NULL: not masked
 *
 * Returns its size.  The length takes the fewest bytes that it can. */
size_t sonic__ws_frame_encode(uint8_t *dst, bool fin, uint8_t rsv,
                              uint8_t opcode, uint64_t len,
                              const uint32_t *key);

extern const sonic_fsm sonic__ws_frame_fsm;

#endif
