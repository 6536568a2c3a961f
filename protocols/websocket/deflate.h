/* deflate.h - zlib for messages, RFC 7692 section 7.2; no session in here
 *
 * What connections of an io share lies in its press: decompressors and
 * compressors that are lent for a message and hold nothing in between.  A
 * connection with context takeover has its own, in its codec.
 */
#ifndef SONICIO_WEBSOCKET_DEFLATE_H
#define SONICIO_WEBSOCKET_DEFLATE_H

#include <sonicio/io.h>
#include <sonicio/websocket.h>

#ifndef SONIC_WITHOUT_DEFLATE
#include <zlib.h>
#endif

enum {
    SONIC__DEFLATE_SLACK = 16, /* bytes: a flush's marks, and one to spare */
    SONIC__DEFLATE_MOST = 1 << 30, /* bytes compressed at once */
    SONIC__DEFLATE_SPARE = 32      /* of a kind, kept by an io */
};

/* What makes two compressors the same. */
struct sonic__ws_deflate_setting {
    int level, memory, bits;
};

struct sonic__ws_press;
struct sonic__ws_codec;
struct sonic__ws_deflater;

/* NULL when there is no memory. */
struct sonic__ws_press *sonic__ws_press_of(sonic_io *io);

static inline bool
sonic__ws_deflate_alike(struct sonic__ws_deflate_setting a,
                        struct sonic__ws_deflate_setting b)
{
    return a.level == b.level && a.memory == b.memory && a.bits == b.bits;
}

#ifndef SONIC_WITHOUT_DEFLATE

/* A message that is being inflated. */
struct sonic__ws_inflation {
    struct sonic__ws_inflation *next; /* of a spare one */
    sonic_mirror *buf;                /* NULL while it is shown */
    uint8_t *out;                     /* room bytes in buf, have are filled */
    size_t have, room;
    uint64_t total, limit; /* bytes of the message so far, and at most */
    uint8_t opcode, utf8;
    bool whole; /* to be delivered in one piece */
    bool begun; /* a part has been delivered */
    bool ended; /* the last block said to be final, nothing came since */
    bool any;   /* there was a byte of it on the wire */
    z_stream z; /* for connections without takeover; made when needed */
};

/* A compressor, for a message of a connection without takeover. */
struct sonic__ws_deflater {
    struct sonic__ws_deflater *next;
    z_stream z;
    struct sonic__ws_deflate_setting setting;
};

/* What a connection has of its own, or while a message comes in. */
struct sonic__ws_codec {
    union {
        struct sonic__ws_inflation *now; /* comes in */
        struct sonic__ws_codec *next;    /* of a spare one */
    };
    z_stream own[]; /* in, out; those with takeover */
};

struct sonic__ws_press {
    sonic_io *io;
    struct sonic__ws_inflation *inflations;
    struct sonic__ws_deflater *deflaters;
    struct sonic__ws_codec *codecs; /* without streams of their own */
    unsigned n_inflations, n_deflaters;
    /* What zlib takes for a stream, where it was asked already: by window
     * bits, by memory level and window bits. */
    uint32_t inflate_bytes[16], deflate_bytes[10][16];
};

/* sonic__inflate_open, sonic__deflate_open - with the io's memory
 * 0 or -ENOMEM, and then *z need not be closed.  A window of 8 bits is held in
 * one of 9: zlib knows no raw stream of 8, and its compressor never looks back
 * further than 250 bytes in one of 9 (512, less MIN_LOOKAHEAD), so what it
 * makes fits 8. */
int sonic__inflate_open(z_stream *z, struct sonic__ws_press *p, int bits);
int sonic__deflate_open(z_stream *z, struct sonic__ws_press *p, int level,
                        int memory, int bits);
/* One that is all zeros, or closed, stays as it is. */
void sonic__inflate_close(z_stream *z, struct sonic__ws_press *p);
void sonic__deflate_close(z_stream *z, struct sonic__ws_press *p);

/* sonic__inflate_run - inflate input of z into room bytes at out
 *
 * Returns the bytes written, which is less than room only when the input is
 * used up; SONIC_EWS_DEFLATE; -ENOMEM. */
ptrdiff_t sonic__inflate_run(struct sonic__ws_inflation *m, z_stream *z,
                             uint8_t *out, size_t room);

/* sonic__inflate_tail - the four bytes that the sender left out, as input
 * False when there are none to be put: z stands behind a final block. */
bool sonic__inflate_tail(struct sonic__ws_inflation *m, z_stream *z);
/* Did the input of the last run end where a block does? */
bool sonic__inflate_complete(struct sonic__ws_inflation *m, z_stream *z);

/* sonic__deflate_run - compress n bytes (at most SONIC__DEFLATE_MOST) to dst
 *
 * As a part of a message, to which nothing need follow for it to be read; the
 * last part's mark is left out (7.2.1).  Returns the bytes, or -1 when cap is
 * too small: then z must be reset. */
ptrdiff_t sonic__deflate_run(z_stream *z, const void *src, size_t n,
                             uint8_t *dst, size_t cap, bool last);

/* Bytes that n may become at worst. */
size_t sonic__deflate_bound(z_stream *z, size_t n);

/* Lend and take back.  NULL when there is no memory. */
struct sonic__ws_inflation *sonic__ws_inflation_take(struct sonic__ws_press *p);
void sonic__ws_inflation_give(struct sonic__ws_press *p,
                              struct sonic__ws_inflation *m);
struct sonic__ws_deflater *
sonic__ws_deflater_take(struct sonic__ws_press *p,
                        struct sonic__ws_deflate_setting setting);
void sonic__ws_deflater_give(struct sonic__ws_press *p,
                             struct sonic__ws_deflater *d);
/* A codec with own streams, not opened. */
struct sonic__ws_codec *sonic__ws_codec_new(struct sonic__ws_press *p,
                                            unsigned own);
void sonic__ws_codec_free(struct sonic__ws_press *p, struct sonic__ws_codec *c,
                          bool own_in, bool own_out);
#endif

#endif
