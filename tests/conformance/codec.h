/* Frames, as RFC 6455 section 5.2 draws them: written for the runner alone, so
 * that a mistake of the library is not made twice. */
#ifndef CONFORMANCE_CODEC_H
#define CONFORMANCE_CODEC_H

#include "wire.h"

enum {
    OP_CONT = 0,
    OP_TEXT = 1,
    OP_BINARY = 2,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10
};

/* What a frame that is sent looks like; what is not said is as it should be. */
struct frame {
    unsigned opcode;
    bool fin;
    unsigned rsv; /* 4 2 1 are RSV1 RSV2 RSV3 */
    bool masked;
    uint8_t key[4];
    unsigned form; /* 7, 16 or 64 bits of length; 0: the shortest */
    bool claims;   /* claim is the length that the header says */
    uint64_t claim;
};

void frame_write(struct bytes *out, const struct frame *f, const void *data,
                 size_t len);

/* What a frame that came is.  data points into the wire's buffer. */
struct frame_in {
    unsigned opcode, rsv;
    bool fin;
    uint8_t *data;
    size_t len;
    const char *wrong; /* why it may not be sent, or NULL */
};

/* The masks that came, and how often one came twice in a row. */
struct masks {
    uint32_t last;
    unsigned long frames, repeats, zeros;
};

/* The next frame, unmasked.  masks is NULL when the peer must not mask.  False
 * when the wire ends first; a part of a frame then is an end too. */
bool frame_read(struct wire *w, struct masks *masks, struct frame_in *f);

const char *opcode_name(unsigned opcode);

#endif
