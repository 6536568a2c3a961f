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

static inline uint32_t
be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t
be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
}

static inline uint32_t
le16(const uint8_t *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}

static inline uint32_t
le32(const uint8_t *p)
{
    return le16(p + 2) << 16 | le16(p);
}

static inline uint64_t
load_length(const sonic_frame_codec *c, const uint8_t *p)
{
    switch (c->field & (SONIC__FRAME_BYTES | SONIC__FRAME_LITTLE)) {
    case 2:
        return be16(p);
    case 3:
        return be16(p) << 8 | p[2];
    case 4:
        return be32(p);
    case 8:
        return (uint64_t)be32(p) << 32 | be32(p + 4);
    case 2 | SONIC__FRAME_LITTLE:
        return le16(p);
    case 3 | SONIC__FRAME_LITTLE:
        return (uint32_t)p[2] << 16 | le16(p);
    case 4 | SONIC__FRAME_LITTLE:
        return le32(p);
    case 8 | SONIC__FRAME_LITTLE:
        return (uint64_t)le32(p + 4) << 32 | le32(p);
    default:
        return p[0];
    }
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

/* Where things lie in a frame whose header is complete. */
static inline void
describe(const sonic_frame_codec *c, size_t header, size_t total,
         sonic_frame *out)
{
    size_t front = c->strip == 0 ? header : c->strip > 0 ? (size_t)c->strip : 0;

    out->header = header;
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
            describe(c, s->have, (size_t)s->value, out);
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

/* A header that lies in the window to its last byte, in one go.  Its size, and
 * that of the frame; 0 when it does not; or what is wrong with it.  The tests
 * compare this with the table for every header. */
static inline int
load(const sonic_frame_codec *c, const uint8_t *data, size_t len,
     uint64_t *total)
{
    int n = (int)field_bytes(c), err;
    uint64_t value;

    if (len < c->offset)
        return 0;
    if (is_varint(c)) {
        n = load_varint(c, data + c->offset, len - c->offset, &value);
        if (n <= 0)
            return n;
    } else if (len - c->offset < (size_t)n) {
        return 0;
    } else {
        value = load_length(c, data + c->offset);
    }
    err = sonic__frame_measure(c, value, (unsigned)n, total);
    return err < 0 ? err : c->offset + n;
}

int
sonic__frame_scan(struct sonic__frame_scan *s, const sonic_frame_codec *c,
                  const uint8_t *data, size_t len,
                  const sonic_fsm_tracer *tracer, sonic_frame *out)
{
    uint64_t total;
    int header = 0;

    if (s->state == S_PREFIX && tracer == NULL)
        header = load(c, data, len, &total);
    if (header == 0)
        return sonic__frame_scan_table(s, c, data, len, tracer, out);
    if (header < 0) {
        s->state = S_FAILED;
        *out = (sonic_frame){.need = 0};
        return header;
    }
    describe(c, (size_t)header, (size_t)total, out);
    if (len >= total)
        return 0; /* by the table: back in PREFIX */
    s->state = S_BODY;
    s->have = (uint16_t)header;
    s->value = total;
    return SONIC_ENEEDMORE;
}

int
sonic_frame_decode(const sonic_frame_codec *codec, const void *data, size_t len,
                   sonic_frame *out)
{
    struct sonic__frame_scan s = {.state = S_PREFIX};

    return sonic__frame_scan(&s, codec, data, len, NULL, out);
}
