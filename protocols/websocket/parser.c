#include "websocket/parser.h"

#include <assert.h>
#include <string.h>

#include <sonicio/error.h>

#include "websocket/message.h"
#include "websocket/plain.h"

_Static_assert(sizeof(struct sonic__ws_parser) <= 48,
               "it is in every idle one");

/* A tail is moved down to close a gap if that is cheap in itself, or has been
 * paid for by the bytes of the gap.  The rest of a control frame is cheap. */
enum { CHEAP = 256 /* bytes */ };

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
    p->held = (uint32_t)n;
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

int
sonic__ws_parser_fail(struct sonic__ws_parser *p,
                      const struct sonic__ws_rules *rules, int err)
{
    struct sonic__ws_run run = {.p = p, .rules = rules};

    return sonic__ws_message_bad(&run, err);
}

static bool
on_plain(uint8_t opcode, bool headroom, uint8_t *data, size_t n, void *ud)
{
    const struct sonic__ws_run *run = ud;

    (void)headroom;
    return run->sink->on_message(opcode, 0, data, n, run->ud);
}

/* What can be done without the tables. */
static int
plain(struct sonic__ws_run *run)
{
    uint8_t *at = run->data + run->read;
    int r;

    if (run->read == run->len || !sonic__ws_is_parser_plain(run->p, run->rules))
        return 0;
    at = sonic__ws_parse_plain(run->p, run->rules, run->rules->expect.mask != 0,
                               SONIC__WS_PLAIN_ANY, on_plain, run, at,
                               run->data + run->len, &r);
    if (r < 0)
        return sonic__ws_message_bad(run, r);
    run->read = (size_t)(at - run->data);
    return r;
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
        run->anew |= sonic__ws_parser_idle(run->p);
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
    done->anew = run->anew;
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
        .read = (size_t)p->held + p->gap,
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
