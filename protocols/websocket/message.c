#include "websocket/message.h"

#include <assert.h>
#include <string.h>

#include <sonicio/error.h>

#include "websocket/utf8.h"

typedef int fsm_act(struct sonic__ws_run *run);
static fsm_act act_open, act_extend, act_keep, act_deliver, act_control,
    act_reject, act_fail, act_impossible;

#define FSM_NAME "ws-message"
#define FSM_DEF "websocket/message.def"
#define FSM_INFO sonic__ws_message_fsm
#include <sonicio/fsm_build.h>

_Static_assert((int)SONIC__WS_MESSAGE_IDLE == (int)S_IDLE &&
                   (int)SONIC__WS_MESSAGE_FAILED == (int)S_FAILED,
               "see message.h");

static int
step(struct sonic__ws_run *run, enum fsm_event e)
{
    return fsm_step(&run->p->state, e, run->rules->tracer)->act(run);
}

static uint8_t
opcode_of(const struct sonic__ws_parser *p)
{
    return p->message & 3;
}

static uint8_t
flags_of(const struct sonic__ws_parser *p)
{
    return p->message >> 4;
}

/* The limit for bytes of the wire that the sink inflates.  They can be more
 * than they become: a sender that flushes after each byte sends eight.  What
 * is longer than that ends some time. */
static uint64_t
inflated_limit(uint64_t max)
{
    return 8 * max + 4096;
}

static bool
is_inflated(const struct sonic__ws_run *run, uint8_t opcode)
{
    const struct sonic__ws_parser *p = run->p;

    if (!run->rules->inflate)
        return false;
    if (opcode == SONIC__WS_CONT)
        return (flags_of(p) & SONIC__WS_COMPRESSED) &&
               sonic__ws_message_delivery(p) != SONIC__WS_FRAMES;
    return (sonic__ws_frame_rsv(&p->frame) & 0x40) &&
           p->delivery != SONIC__WS_FRAMES;
}

/* Would the frame take its message over the limit?  A whole message or frame
 * lies in memory, so it must fit there too. */
static bool
too_big(const struct sonic__ws_run *run, uint8_t opcode)
{
    const struct sonic__ws_parser *p = run->p;
    uint64_t before = opcode == SONIC__WS_CONT ? p->seen : 0;
    uint64_t max = run->rules->max_message;

    if (max > PTRDIFF_MAX)
        max = PTRDIFF_MAX;
    if (is_inflated(run, opcode))
        max = max > UINT64_MAX >> 4 ? UINT64_MAX >> 1 : inflated_limit(max);
    return before > max || p->frame.len > max - before;
}

static enum fsm_event
classify(struct sonic__ws_run *run)
{
    const struct sonic__ws_frame *f = &run->p->frame;
    uint8_t opcode = sonic__ws_frame_opcode(f);

    if (too_big(run, opcode)) {
        run->err = SONIC_EWS_TOOBIG;
        return E_BAD;
    }
    if (opcode == SONIC__WS_CONT)
        return sonic__ws_frame_fin(f) ? E_FINISH : E_MORE;
    return sonic__ws_frame_fin(f) ? E_SINGLE : E_FIRST;
}

int
sonic__ws_message_header(struct sonic__ws_run *run)
{
    return step(run, classify(run));
}

int
sonic__ws_message_bad(struct sonic__ws_run *run, int err)
{
    run->err = err;
    return step(run, E_BAD);
}

/* Move n bytes of payload from `read` behind the assembled ones and unmask
 * them, in one pass.  Returns true if they are known to be ASCII. */
static bool
take(struct sonic__ws_run *run, size_t n, bool text)
{
    struct sonic__ws_parser *p = run->p;
    uint8_t *dst = run->data + run->front + p->held;
    const uint8_t *src = run->data + run->read;
    uint32_t key = p->frame.key;

    assert(n <= UINT32_MAX - p->held); /* of what fits a window */
    run->read += n;
    p->held += (uint32_t)n;
    p->frame.len -= n;
    if (!sonic__ws_frame_masked(&p->frame)) {
        if (dst != src)
            memmove(dst, src, n);
        return false;
    }
    p->frame.key = sonic__ws_key_rotate(key, n);
    if (text)
        return run->rules->simd->mask_ascii(dst, src, n, key);
    run->rules->simd->mask(dst, src, n, key);
    return false;
}

static bool
is_text(const struct sonic__ws_run *run)
{
    return run->rules->utf8 && opcode_of(run->p) == SONIC__WS_TEXT &&
           !(flags_of(run->p) & SONIC__WS_COMPRESSED);
}

/* Text must be right so far, and complete where the message ends. */
static bool
utf8_ok(const struct sonic__ws_parser *p)
{
    if (p->frame.len == 0 && p->state == S_LAST)
        return p->utf8 == SONIC__UTF8_OK;
    return p->utf8 != SONIC__UTF8_BAD;
}

/* Hand over the assembled bytes as a chunk. */
static int
chunk(struct sonic__ws_run *run, uint8_t last)
{
    struct sonic__ws_parser *p = run->p;
    uint8_t *data = run->data + run->front;
    uint8_t flags = (uint8_t)(flags_of(p) | last);
    size_t n = p->held;
    bool on;

    if (n == 0 && !last)
        return 0;
    p->held = 0;
    p->message &= (uint8_t) ~(SONIC__WS_FIRST << 4);
    on = run->sink->on_chunk(opcode_of(p), flags, data, n, run->ud);
    if (p->message & SONIC__WS_MESSAGE_AGAIN)
        run->front += n - p->held;
    return !on;
}

int
sonic__ws_message_again(struct sonic__ws_run *run)
{
    struct sonic__ws_parser *p = run->p;
    uint8_t last = flags_of(p) & SONIC__WS_LAST;

    p->message &= (uint8_t) ~(SONIC__WS_MESSAGE_AGAIN | SONIC__WS_LAST << 4);
    if (p->frame.state == SONIC__WS_FRAME_HEAD)
        p->frame.have = 0;
    return chunk(run, last);
}

/* Hand over the assembled bytes as a frame. */
static int
frame(struct sonic__ws_run *run)
{
    const struct sonic__ws_frame *f = &run->p->frame;
    uint8_t *data = run->data + run->front;
    size_t n = run->p->held;

    run->p->held = 0;
    return !run->sink->on_frame(sonic__ws_frame_fin(f), sonic__ws_frame_rsv(f),
                                sonic__ws_frame_opcode(f), data, n, run->ud);
}

int
sonic__ws_message_payload(struct sonic__ws_run *run)
{
    struct sonic__ws_parser *p = run->p;
    size_t n = run->len - run->read;
    bool text = is_text(run), ascii;

    if (n > p->frame.len)
        n = (size_t)p->frame.len;
    if (p->held == 0)
        run->front = run->read; /* in place: there is nothing to lie behind */
    ascii = take(run, n, text);
    if (text) {
        if (!ascii || p->utf8 != SONIC__UTF8_OK)
            p->utf8 = run->rules->simd->utf8(
                p->utf8, run->data + run->front + p->held - n, n);
        if (!utf8_ok(p))
            return sonic__ws_message_bad(run, SONIC_EWS_UTF8);
    }
    if (p->frame.len == 0) {
        sonic__ws_frame_reset(&p->frame);
        return step(run, E_END);
    }
    return sonic__ws_message_delivery(p) == SONIC__WS_CHUNKS ? chunk(run, 0)
                                                             : 0;
}

int
sonic__ws_message_control(struct sonic__ws_run *run)
{
    sonic__ws_frame_reset(&run->p->frame);
    return step(run, E_CONTROL);
}

static int
act_open(struct sonic__ws_run *run)
{
    struct sonic__ws_parser *p = run->p;
    const struct sonic__ws_frame *f = &p->frame;
    unsigned flags = SONIC__WS_FIRST, delivery = p->delivery;

    if (sonic__ws_frame_rsv(f) & 0x40) {
        flags |= SONIC__WS_COMPRESSED;
        if (run->rules->inflate && delivery == SONIC__WS_WHOLE)
            delivery = SONIC__WS_CHUNKS;
    }
    p->message =
        (uint8_t)(sonic__ws_frame_opcode(f) | delivery << 2 | flags << 4);
    p->utf8 = SONIC__UTF8_OK;
    p->seen = f->len;
    return 0;
}

static int
act_extend(struct sonic__ws_run *run)
{
    run->p->seen += run->p->frame.len;
    return 0;
}

static int
act_keep(struct sonic__ws_run *run)
{
    switch (sonic__ws_message_delivery(run->p)) {
    case SONIC__WS_CHUNKS:
        return chunk(run, 0);
    case SONIC__WS_FRAMES:
        return frame(run);
    default:
        return 0;
    }
}

static int
act_deliver(struct sonic__ws_run *run)
{
    struct sonic__ws_parser *p = run->p;
    uint8_t *data = run->data + run->front;
    size_t n = p->held;

    p->seen = 0;
    switch (sonic__ws_message_delivery(p)) {
    case SONIC__WS_CHUNKS:
        return chunk(run, SONIC__WS_LAST);
    case SONIC__WS_FRAMES:
        return frame(run);
    default:
        p->held = 0;
        return !run->sink->on_message(
            opcode_of(p), flags_of(p) & SONIC__WS_COMPRESSED, data, n, run->ud);
    }
}

/* Unmask it where it lies and hand it over.  What is assembled stays. */
static int
act_control(struct sonic__ws_run *run)
{
    const struct sonic__ws_parser *p = run->p;
    const struct sonic__ws_frame *f = &p->frame;
    uint8_t opcode = sonic__ws_frame_opcode(f);
    uint8_t *data = run->data + run->read;
    size_t n = (size_t)f->len;

    run->read += n;
    if (sonic__ws_frame_masked(f))
        run->rules->simd->mask(data, data, n, f->key);
    if ((p->state == S_IDLE ? p->delivery : sonic__ws_message_delivery(p)) ==
        SONIC__WS_FRAMES)
        return !run->sink->on_frame(true, 0, opcode, data, n, run->ud);
    return !run->sink->on_control(opcode, data, n, run->ud);
}

static int
act_reject(struct sonic__ws_run *run)
{
    (void)run;
    return SONIC_EWS_FRAGMENT;
}

static int
act_fail(struct sonic__ws_run *run)
{
    return run->err;
}

static int
act_impossible(struct sonic__ws_run *run)
{
    (void)run;
    assert(false && "a cell that cannot be reached");
    return SONIC_ESTATE;
}
