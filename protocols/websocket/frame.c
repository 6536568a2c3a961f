#include "websocket/frame.h"

#include <assert.h>
#include <string.h>

#include <sonicio/error.h>

typedef int fsm_act(struct sonic__ws_frame *f, int err);
static fsm_act act_head, act_len, act_key, act_reject;

#define FSM_NAME "ws-frame"
#define FSM_DEF "websocket/frame.def"
#define FSM_INFO sonic__ws_frame_fsm
#define FSM_SPARSE
#include <sonicio/fsm_build.h>

_Static_assert((int)SONIC__WS_FRAME_HEAD == (int)S_HEAD &&
                   (int)SONIC__WS_FRAME_BODY == (int)S_BODY,
               "see frame.h");

/* Bytes of the field that a state waits for. */
static const uint8_t need[FSM_STATES] = {
    [S_HEAD] = 2,
    [S_LEN16] = 2,
    [S_LEN64] = 8,
    [S_KEY] = 4,
};

enum {
    OPCODES = 1 << SONIC__WS_CONT | 1 << SONIC__WS_TEXT |
              1 << SONIC__WS_BINARY | 1 << SONIC__WS_CLOSE |
              1 << SONIC__WS_PING | 1 << SONIC__WS_PONG,
    /* RSV bits speak of a message: its first frame alone carries them. */
    STARTS = 1 << SONIC__WS_TEXT | 1 << SONIC__WS_BINARY
};

static inline uint64_t
be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | *p++;
    return v;
}

/* 0, or the first reason why the two bytes b0 b1 are not allowed. */
static inline int
check_head(uint8_t b0, uint8_t b1, struct sonic__ws_expect expect)
{
    unsigned opcode = b0 & 15;

    if (b0 & 0x70 & ~(STARTS >> opcode & 1 ? expect.rsv : 0))
        return SONIC_EWS_RSV;
    if (!(OPCODES >> opcode & 1))
        return SONIC_EWS_OPCODE;
    if ((opcode & 8) && (!(b0 & 0x80) || (b1 & 0x7f) > SONIC__WS_CONTROL_MAX))
        return SONIC_EWS_CONTROL;
    if ((b1 ^ expect.mask) & 0x80)
        return SONIC_EWS_MASK;
    return 0;
}

static inline int
check_len16(uint64_t len)
{
    return len < 126 ? SONIC_EWS_LENGTH : 0;
}

static inline int
check_len64(uint64_t len)
{
    return len <= 0xffff || len >> 63 ? SONIC_EWS_LENGTH : 0;
}

/* What the complete field in f->field[] is; all checks are here. */
static enum fsm_event
classify(const struct sonic__ws_frame *f, struct sonic__ws_expect expect,
         int *err)
{
    const uint8_t *b = f->field;
    unsigned len7;

    switch (f->state) {
    case S_HEAD:
        if ((*err = check_head(b[0], b[1], expect)) != 0)
            return E_BAD;
        len7 = b[1] & 0x7f;
        if (len7 >= 126)
            return len7 == 126 ? E_EXT16 : E_EXT64;
        return b[1] & 0x80 ? E_KEYED : E_BARE;
    case S_LEN16:
        if ((*err = check_len16(be(b, 2))) != 0)
            return E_BAD;
        return sonic__ws_frame_masked(f) ? E_KEYED : E_BARE;
    case S_LEN64:
        if ((*err = check_len64(be(b, 8))) != 0)
            return E_BAD;
        return sonic__ws_frame_masked(f) ? E_KEYED : E_BARE;
    default:
        return E_BARE;
    }
}

int
sonic__ws_frame_feed(struct sonic__ws_frame *f, const uint8_t *p, size_t n,
                     struct sonic__ws_expect expect,
                     const sonic_fsm_tracer *tracer)
{
    size_t i = 0;
    int err = 0;

    if (f->state == S_FAILED)
        return SONIC_ESTATE;
    while (f->state != S_BODY && i < n) {
        const struct fsm_cell *c;

        f->field[f->have++] = p[i++];
        if (f->have < need[f->state])
            continue;
        c = fsm_step(&f->state, classify(f, expect, &err), tracer);
        assert(c->act != NULL);
        err = c->act(f, err);
        f->have = 0;
        if (err < 0)
            return err;
    }
    return (int)i;
}

static int
act_head(struct sonic__ws_frame *f, int err)
{
    (void)err;
    f->head[0] = f->field[0];
    f->head[1] = f->field[1];
    f->len = f->head[1] & 0x7f;
    return 0;
}

static int
act_len(struct sonic__ws_frame *f, int err)
{
    (void)err;
    f->len = be(f->field, f->have);
    return 0;
}

static int
act_key(struct sonic__ws_frame *f, int err)
{
    (void)err;
    memcpy(&f->key, f->field, 4);
    return 0;
}

static int
act_reject(struct sonic__ws_frame *f, int err)
{
    (void)f;
    return err;
}

/* A header that is refused here leaves the state that the table would. */
static int
load_failed(struct sonic__ws_frame *f, int err)
{
    f->state = S_FAILED;
    return err;
}

int
sonic__ws_frame_load(struct sonic__ws_frame *f, const uint8_t *p, size_t n,
                     struct sonic__ws_expect expect)
{
    unsigned ext, size;
    uint64_t len;
    int err;

    assert(f->state == S_HEAD && f->have == 0);
    if (n < 2)
        return 0;
    if ((err = check_head(p[0], p[1], expect)) != 0)
        return load_failed(f, err);
    len = p[1] & 0x7f;
    ext = len < 126 ? 0 : len == 126 ? 2 : 8;
    size = 2 + ext + (p[1] >> 7) * 4u;
    if (n < 2 + ext)
        return 0;
    if (ext != 0) {
        len = be(p + 2, ext);
        err = ext == 2 ? check_len16(len) : check_len64(len);
        if (err != 0)
            return load_failed(f, err);
    }
    if (n < size)
        return 0;
    f->head[0] = p[0];
    f->head[1] = p[1];
    f->len = len;
    if (p[1] & 0x80)
        memcpy(&f->key, p + 2 + ext, 4);
    f->state = S_BODY;
    return (int)size;
}

size_t
sonic__ws_frame_encode(uint8_t *dst, bool fin, uint8_t rsv, uint8_t opcode,
                       uint64_t len, const uint32_t *key)
{
    uint8_t mask = key != NULL ? 0x80 : 0;
    size_t ext = len < 126 ? 0 : len <= 0xffff ? 2 : 8;

    assert(len >> 63 == 0);
    dst[0] = (uint8_t)((fin ? 0x80 : 0) | rsv | opcode);
    dst[1] = (uint8_t)(mask | (ext == 0 ? len : ext == 2 ? 126 : 127));
    for (size_t i = ext; i > 0; i--, len >>= 8)
        dst[1 + i] = (uint8_t)len;
    if (key != NULL)
        memcpy(dst + 2 + ext, key, 4);
    return 2 + ext + (key != NULL ? 4 : 0);
}
