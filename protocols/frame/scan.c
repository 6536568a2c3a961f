#include "frame/scan.h"

#include <assert.h>

typedef int fsm_act(struct sonic__frame_scan *s, uint64_t value);
static fsm_act act_note, act_next, act_malformed, act_too_big;

#define FSM_NAME "frame"
#define FSM_DEF "frame/scan.def"
#define FSM_INFO sonic__frame_scan_fsm
#define FSM_SPARSE
#include <sonicio/fsm_build.h>

_Static_assert((int)SONIC__FRAME_SCAN_PREFIX == (int)S_PREFIX &&
                   (int)SONIC__FRAME_SCAN_BODY == (int)S_BODY,
               "see scan.h");
_Static_assert(sizeof(struct sonic__frame_scan) == 16,
               "it is in every idle connection");

static inline bool
is_varint(const sonic_frame_codec *c)
{
    return (c->field & SONIC__FRAME_VARINT) != 0;
}

static inline unsigned
field_bytes(const sonic_frame_codec *c)
{
    return c->field & SONIC__FRAME_BYTES;
}

static inline uint64_t
le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

static inline uint64_t
be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | *p++;
    return v;
}

static inline uint64_t
load_length(const sonic_frame_codec *c, const uint8_t *p)
{
    return c->field & SONIC__FRAME_LITTLE ? le(p, field_bytes(c))
                                          : be(p, field_bytes(c));
}

/* ---- the table -------------------------------------------------------- */

/* Bytes of the window that the state waits for. */
size_t
sonic__frame_scan_need(const struct sonic__frame_scan *s,
                       const sonic_frame_codec *c)
{
    switch (s->state) {
    case S_PREFIX: /* no use without some of the length */
        return c->offset + (is_varint(c) ? 1 : field_bytes(c));
    case S_LENGTH:
        return s->have + field_bytes(c);
    case S_VARINT:
        return s->have + (size_t)1;
    case S_BODY:
        return (size_t)s->value;
    default:
        return 0;
    }
}

static enum fsm_event
event_of(int err)
{
    return err == 0                     ? E_DONE
           : err == SONIC_EFRAME_TOOBIG ? E_LONG
                                        : E_MALFORMED;
}

/* The byte b of a varint, behind n others that make up *value. */
static enum fsm_event
classify_group(const sonic_frame_codec *c, uint8_t b, unsigned n,
               uint64_t *value)
{
    if (n == 9 && b > 1)
        return E_MALFORMED; /* over 64 bits */
    *value |= (uint64_t)(b & 0x7f) << 7 * n;
    n++;
    if (b & 0x80)
        return n == field_bytes(c) ? E_MALFORMED : E_MORE;
    if (b == 0 && n > 1 && !(c->field & SONIC__FRAME_NON_MINIMAL))
        return E_MALFORMED;
    return event_of(sonic__frame_measure(c, *value, n, value));
}

/* What the part at p is, which is all there; all checks are here.  *value is
 * what the action gets. */
static enum fsm_event
classify(const struct sonic__frame_scan *s, const sonic_frame_codec *c,
         const uint8_t *p, uint64_t *value)
{
    *value = s->value;
    switch (s->state) {
    case S_PREFIX:
        return is_varint(c) ? E_GROUPS : E_FIXED;
    case S_LENGTH:
        return event_of(
            sonic__frame_measure(c, load_length(c, p), field_bytes(c), value));
    case S_VARINT:
        return classify_group(c, *p, s->have - c->offset, value);
    default:
        return E_WHOLE;
    }
}

/* Bytes of the part that the state stands for. */
static size_t
part(const struct sonic__frame_scan *s, const sonic_frame_codec *c)
{
    switch (s->state) {
    case S_PREFIX:
        return c->offset;
    case S_BODY:
        return (size_t)s->value - s->have;
    default:
        return sonic__frame_scan_need(s, c) - s->have;
    }
}

static void
describe(const struct sonic__frame_scan *s, const sonic_frame_codec *c,
         sonic_frame *out)
{
    size_t total = (size_t)s->value, front;

    front = c->strip == 0 ? s->have : c->strip > 0 ? (size_t)c->strip : 0;
    out->header = s->have;
    out->offset = front;
    out->len = total - front;
    out->total = total;
    out->need = total;
}

int
sonic__frame_scan_table(struct sonic__frame_scan *s, const sonic_frame_codec *c,
                        const uint8_t *data, size_t len,
                        const sonic_fsm_tracer *tracer, sonic_frame *out)
{
    *out = (sonic_frame){.need = sonic__frame_scan_need(s, c)};
    if (s->state == S_FAILED)
        return SONIC_ESTATE;
    for (;;) {
        const struct fsm_cell *cell;
        size_t n = part(s, c);
        enum fsm_event e;
        uint64_t value;
        int err;

        if (s->state == S_BODY)
            describe(s, c, out);
        else
            out->need = sonic__frame_scan_need(s, c);
        assert(s->have <= len);
        if (len - s->have < n)
            return SONIC_ENEEDMORE;
        e = classify(s, c, data + s->have, &value);
        s->have = (uint16_t)(s->have + (e == E_WHOLE ? 0 : n));
        cell = fsm_step(&s->state, e, tracer);
        assert(cell->act != NULL);
        err = cell->act(s, value);
        if (err < 0)
            *out = (sonic_frame){.need = 0};
        if (err < 0 || e == E_WHOLE)
            return err;
    }
}

static int
act_note(struct sonic__frame_scan *s, uint64_t value)
{
    s->value = value;
    return 0;
}

static int
act_next(struct sonic__frame_scan *s, uint64_t value)
{
    (void)value;
    sonic__frame_scan_reset(s);
    return 0;
}

static int
act_malformed(struct sonic__frame_scan *s, uint64_t value)
{
    (void)s;
    (void)value;
    return SONIC_EFRAME_LENGTH;
}

static int
act_too_big(struct sonic__frame_scan *s, uint64_t value)
{
    (void)s;
    (void)value;
    return SONIC_EFRAME_TOOBIG;
}

/* ---- without the table ------------------------------------------------ */

/* The varint at p[0..n): its size, 0 when there is not all of it, or
 * SONIC_EFRAME_LENGTH. */
static inline int
load_varint(const sonic_frame_codec *c, const uint8_t *p, size_t n,
            uint64_t *value)
{
    unsigned most = field_bytes(c), i;

    *value = 0;
    for (i = 0; i < n; i++) {
        if (i == 9 && p[i] > 1)
            return SONIC_EFRAME_LENGTH;
        *value |= (uint64_t)(p[i] & 0x7f) << 7 * i;
        if (!(p[i] & 0x80))
            break;
        if (i + 1 == most)
            return SONIC_EFRAME_LENGTH;
    }
    if (i == n)
        return 0;
    if (p[i] == 0 && i > 0 && !(c->field & SONIC__FRAME_NON_MINIMAL))
        return SONIC_EFRAME_LENGTH;
    return (int)i + 1;
}

/* A header that lies in the window to its last byte is read in one go.  False:
 * it does not.  The tests compare the two for every header. */
static inline bool
load(struct sonic__frame_scan *s, const sonic_frame_codec *c,
     const uint8_t *data, size_t len, int *err)
{
    uint64_t value;
    int n = (int)field_bytes(c);

    if (len < c->offset)
        return false;
    if (is_varint(c)) {
        n = load_varint(c, data + c->offset, len - c->offset, &value);
    } else if (len - c->offset < (size_t)n) {
        return false;
    } else {
        value = load_length(c, data + c->offset);
    }
    if (n == 0)
        return false;
    *err = n < 0 ? n : sonic__frame_measure(c, value, (unsigned)n, &s->value);
    s->have = (uint16_t)(c->offset + n);
    s->state = *err < 0 ? S_FAILED : S_BODY;
    return true;
}

int
sonic__frame_scan(struct sonic__frame_scan *s, const sonic_frame_codec *c,
                  const uint8_t *data, size_t len,
                  const sonic_fsm_tracer *tracer, sonic_frame *out)
{
    int err = 0;

    if (s->state != S_PREFIX || tracer != NULL || !load(s, c, data, len, &err))
        return sonic__frame_scan_table(s, c, data, len, tracer, out);
    if (err < 0) {
        *out = (sonic_frame){.need = 0};
        return err;
    }
    describe(s, c, out);
    if (len < out->total)
        return SONIC_ENEEDMORE;
    sonic__frame_scan_reset(s);
    return 0;
}

int
sonic_frame_decode(const sonic_frame_codec *codec, const void *data, size_t len,
                   sonic_frame *out)
{
    struct sonic__frame_scan s = {.state = S_PREFIX};

    return sonic__frame_scan(&s, codec, data, len, NULL, out);
}
