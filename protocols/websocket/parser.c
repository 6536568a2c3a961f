#include "websocket/parser.h"

#include <assert.h>
#include <string.h>

#include <sonicio/error.h>

#include "base/hint.h"
#include "websocket/message.h"
#include "websocket/utf8.h"

_Static_assert(sizeof(struct sonic__ws_parser) <= 48,
               "it is in every idle one");

/* A tail is moved down to close a gap if that is cheap in itself, or has been
 * paid for by the bytes of the gap.  The rest of a control frame is cheap. */
enum { CHEAP = 256 /* bytes */ };

/* Bytes that plain_messages reads before it knows how many there are. */
enum { SHORTEST = 4 };

void
sonic__ws_parser_init(struct sonic__ws_parser *p,
                      enum sonic__ws_delivery delivery)
{
    memset(p, 0, sizeof *p);
    p->delivery = (uint8_t)delivery;
}

void
sonic__ws_parser_deliver(struct sonic__ws_parser *p,
                         enum sonic__ws_delivery delivery)
{
    p->delivery = (uint8_t)delivery;
}

void
sonic__ws_parser_untake(struct sonic__ws_parser *p, size_t n, bool last)
{
    p->held = n;
    p->message |=
        (uint8_t)(SONIC__WS_MESSAGE_AGAIN | (last ? SONIC__WS_LAST << 4 : 0));
    if (p->frame.state == SONIC__WS_FRAME_HEAD)
        p->frame.have = 1; /* neither idle nor plain */
}

bool
sonic__ws_parser_idle(const struct sonic__ws_parser *p)
{
    return p->state == SONIC__WS_MESSAGE_IDLE &&
           p->frame.state == SONIC__WS_FRAME_HEAD && p->frame.have == 0;
}

/* Unmask it where it lies, if it is masked.  False: text, and not UTF-8. */
static inline bool
unmask(const struct sonic__ws_simd *simd, bool masked, bool text, uint8_t *data,
       size_t n)
{
    uint32_t key = 0;

    if (masked)
        memcpy(&key, data - 4, 4);
    if (!text) {
        if (masked)
            simd->mask(data, data, n, key);
        return true;
    }
    return (masked && simd->mask_ascii(data, data, n, key)) ||
           simd->utf8(SONIC__UTF8_OK, data, n) == SONIC__UTF8_OK;
}

static SONIC__RARELY int
fail_plain(struct sonic__ws_parser *p, const struct sonic__ws_rules *rules)
{
    struct sonic__ws_run run = {.p = p, .rules = rules};

    return sonic__ws_message_bad(&run, SONIC_EWS_UTF8);
}

/* Messages of one short frame that are at hand to the last byte: most of all
 * there are.  What the tables would do with one (SINGLE, END; back in IDLE) is
 * done here without them; anything else is left to them untouched.  The tests
 * compare the two at every split. */
ptrdiff_t
sonic__ws_parse_plain(struct sonic__ws_parser *p,
                      const struct sonic__ws_rules *rules,
                      const struct sonic__ws_sink *sink, void *ud,
                      uint8_t *data, size_t len, bool *paused)
{
    const uint8_t mask = rules->expect.mask;
    const size_t head = 2 + (mask >> 5);
    uint8_t *at = data;
    const uint8_t *end = data + len;

    *paused = false;
    while (end - at >= SHORTEST) {
        unsigned opcode = at[0] - 0x80u; /* FIN, no RSV */
        size_t n = at[1] ^ mask, size = head;

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
        if (!unmask(rules->simd, mask != 0,
                    opcode == SONIC__WS_TEXT && rules->utf8, at, n))
            return fail_plain(p, rules);
        *paused = !sink->on_message((uint8_t)opcode, 0, at, n, ud);
        at += n;
        if (*paused || p->delivery != SONIC__WS_WHOLE)
            break;
    }
    return at - data;
}

/* What can be done without the tables. */
static int
plain(struct sonic__ws_run *run)
{
    bool paused;
    ptrdiff_t n;

    if (run->read == run->len || !sonic__ws_parser_plain(run->p, run->rules))
        return 0;
    n = sonic__ws_parse_plain(run->p, run->rules, run->sink, run->ud,
                              run->data + run->read, run->len - run->read,
                              &paused);
    if (n < 0)
        return (int)n;
    run->read += (size_t)n;
    return paused;
}

/* Read a header, or as much of it as there is. */
static int
header(struct sonic__ws_run *run)
{
    const struct sonic__ws_rules *rules = run->rules;
    struct sonic__ws_frame *f = &run->p->frame;
    const uint8_t *at = run->data + run->read;
    size_t n = run->len - run->read;
    int size = 0;

    if (f->have == 0 && f->state == SONIC__WS_FRAME_HEAD &&
        rules->tracer == NULL)
        size = sonic__ws_frame_load(f, at, n, rules->expect);
    if (size == 0)
        size = sonic__ws_frame_feed(f, at, n, rules->expect, rules->tracer);
    if (size < 0)
        return sonic__ws_message_bad(run, size);
    run->read += (size_t)size;
    if (sonic__ws_frame_done(f) && !(sonic__ws_frame_opcode(f) & 8))
        return sonic__ws_message_header(run);
    return 0;
}

/* One frame's worth of work.  Sets *more when bytes have run out. */
static int
frame(struct sonic__ws_run *run, bool *more)
{
    const struct sonic__ws_frame *f = &run->p->frame;
    int r;

    if (!sonic__ws_frame_done(f)) {
        r = plain(run);
        if (r != 0)
            return r;
        *more = run->read == run->len;
        if (*more || (r = header(run)) != 0)
            return r;
        *more = !sonic__ws_frame_done(f);
        if (*more)
            return 0;
    }
    if (sonic__ws_frame_opcode(f) & 8) {
        *more = run->len - run->read < f->len;
        return *more ? 0 : sonic__ws_message_control(run);
    }
    *more = run->read == run->len && f->len > 0;
    if (*more)
        return 0;
    r = sonic__ws_message_payload(run);
    *more = sonic__ws_frame_done(f);
    return r;
}

/* Close the gap between the assembled bytes and the tail, and say what is to
 * be kept. */
static void
settle(struct sonic__ws_run *run, struct sonic__ws_progress *done)
{
    struct sonic__ws_parser *p = run->p;
    const struct sonic__ws_frame *f = &p->frame;
    size_t tail = run->len - run->read, end, gap;

    if (p->held == 0)
        run->front = run->read;
    end = run->front + p->held;
    gap = run->read - end;
    done->consumed = run->front;
    done->trimmed = 0;
    if (gap > 0 && (tail <= CHEAP || tail <= gap || gap > UINT32_MAX)) {
        memmove(run->data + end, run->data + run->read, tail);
        done->trimmed = gap;
        gap = 0;
    }
    p->gap = (uint32_t)gap;
    done->want = 0;
    if (!sonic__ws_frame_done(f))
        return;
    if (sonic__ws_frame_opcode(f) & 8)
        done->want = p->held + gap + (size_t)f->len;
    else if (sonic__ws_message_delivery(p) != SONIC__WS_CHUNKS)
        done->want = p->held + (size_t)f->len;
}

int
sonic__ws_parse(struct sonic__ws_parser *p, const struct sonic__ws_rules *rules,
                const struct sonic__ws_sink *sink, void *ud, uint8_t *data,
                size_t len, struct sonic__ws_progress *done)
{
    struct sonic__ws_run run = {
        .p = p,
        .rules = rules,
        .sink = sink,
        .ud = ud,
        .data = data,
        .len = len,
        .read = p->held + p->gap,
    };
    bool more = false;
    int r = 0;

    if (p->state == SONIC__WS_MESSAGE_FAILED) {
        r = sonic__ws_message_bad(&run, SONIC_ESTATE);
    } else {
        assert(run.read <= len);
        if (p->message & SONIC__WS_MESSAGE_AGAIN)
            r = sonic__ws_message_again(&run);
        while (r == 0 && !more)
            r = frame(&run, &more);
    }
    if (r < 0) {
        *done = (struct sonic__ws_progress){.consumed = len};
        return r;
    }
    settle(&run, done);
    return r;
}
