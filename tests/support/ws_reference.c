#include "ws_reference.h"

#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

/* By arithmetic: could the characters from here on be lo..hi?  All that is
 * asked is whether some code point begins with these bytes. */
static bool
begins_character(const uint8_t *p, size_t n, size_t *size)
{
    uint32_t least, lo, hi;
    size_t k;

    if (p[0] < 0x80) {
        *size = 1;
        return true;
    }
    if (p[0] >= 0xc0 && p[0] < 0xe0) {
        *size = 2;
        lo = p[0] & 0x1f;
        least = 0x80;
    } else if (p[0] >= 0xe0 && p[0] < 0xf0) {
        *size = 3;
        lo = p[0] & 0x0f;
        least = 0x800;
    } else if (p[0] >= 0xf0 && p[0] < 0xf8) {
        *size = 4;
        lo = p[0] & 0x07;
        least = 0x10000;
    } else {
        return false;
    }
    for (k = 1; k < *size && k < n; k++) {
        if ((p[k] & 0xc0) != 0x80)
            return false;
        lo = lo << 6 | (p[k] & 0x3f);
    }
    hi = lo;
    for (; k < *size; k++) {
        lo <<= 6;
        hi = hi << 6 | 0x3f;
    }
    /* lo..hi is what it can become: is any of it a scalar value? */
    if (hi < least || lo > 0x10ffff)
        return false;
    return lo < 0xd800 || hi > 0xdfff;
}

enum ws_utf8
ws_reference_utf8(const uint8_t *p, size_t n)
{
    size_t size;

    for (; n > 0; p += size, n -= size) {
        if (!begins_character(p, n, &size))
            return WS_UTF8_BAD;
        if (size > n)
            return WS_UTF8_CUT;
    }
    return WS_UTF8_WHOLE;
}

struct header {
    bool fin, masked;
    uint8_t rsv, opcode, key[4];
    uint64_t len;
    size_t size;
};

/* 1 complete, 0 cut off, or an error. */
static int
read_header(const struct sonic__ws_rules *rules, const uint8_t *in, size_t n,
            struct header *h)
{
    size_t ext;

    if (n < 2)
        return 0;
    h->fin = (in[0] & 0x80) != 0;
    h->rsv = in[0] & 0x70;
    h->opcode = in[0] & 0x0f;
    h->masked = (in[1] & 0x80) != 0;
    h->len = in[1] & 0x7f;
    if (h->opcode == 1 || h->opcode == 2) {
        if ((h->rsv & ~rules->expect.rsv) != 0)
            return SONIC_EWS_RSV;
    } else if (h->rsv != 0) {
        return SONIC_EWS_RSV;
    }
    if ((h->opcode >= 3 && h->opcode <= 7) || h->opcode >= 11)
        return SONIC_EWS_OPCODE;
    if (h->opcode >= 8 && !h->fin)
        return SONIC_EWS_CONTROL;
    if (h->opcode >= 8 && h->len > 125)
        return SONIC_EWS_CONTROL;
    if (h->masked != (rules->expect.mask != 0))
        return SONIC_EWS_MASK;
    ext = h->len == 126 ? 2 : h->len == 127 ? 8 : 0;
    if (n < 2 + ext)
        return 0;
    if (ext > 0) {
        h->len = 0;
        for (size_t i = 0; i < ext; i++)
            h->len = h->len * 256 + in[2 + i];
        if (ext == 2 && h->len <= 125)
            return SONIC_EWS_LENGTH;
        if (ext == 8 && (h->len <= 65535 || h->len > INT64_MAX))
            return SONIC_EWS_LENGTH;
    }
    h->size = 2 + ext + (h->masked ? 4 : 0);
    if (n < h->size)
        return 0;
    if (h->masked)
        memcpy(h->key, in + h->size - 4, 4);
    return 1;
}

struct reference {
    const struct sonic__ws_rules *rules;
    enum sonic__ws_delivery delivery;
    struct ws_log *log;
    bool open; /* a message is under way */
    uint8_t opcode, rsv;
    uint8_t *message;
    size_t n;
};

/* The rest of a data frame that is in[0..n), perhaps cut off. */
static int
data_frame(struct reference *r, const struct header *h, const uint8_t *in,
           size_t n)
{
    uint8_t *frame = r->message + r->n;
    bool text;

    for (size_t i = 0; i < n; i++)
        frame[i] = h->masked ? in[i] ^ h->key[i % 4] : in[i];
    r->n += n;
    text = r->opcode == 1 && r->rules->utf8 && !(r->rsv & 0x40);
    if (text) {
        enum ws_utf8 is = ws_reference_utf8(r->message, r->n);

        if (is == WS_UTF8_BAD)
            return SONIC_EWS_UTF8;
        if (is == WS_UTF8_CUT && h->fin && n == h->len)
            return SONIC_EWS_UTF8;
    }
    if (n < h->len)
        return 0;
    if (r->delivery == SONIC__WS_FRAMES)
        ws_log_line(r->log, h->fin ? 'F' : 'f', h->opcode, h->rsv, frame, n);
    else if (h->fin)
        ws_log_line(r->log, 'm', r->opcode,
                    r->rsv & 0x40 ? SONIC__WS_COMPRESSED : 0, r->message, r->n);
    r->open = !h->fin;
    return 0;
}

static int
begin_data(struct reference *r, const struct header *h)
{
    size_t before = h->opcode == 0 ? r->n : 0;
    uint64_t max = r->rules->max_message;

    if (max > PTRDIFF_MAX) /* memory holds no more */
        max = PTRDIFF_MAX;
    if (h->opcode == 0 && !r->open)
        before = 0;
    if (h->len > max || before > max - h->len)
        return SONIC_EWS_TOOBIG;
    if ((h->opcode == 0) != r->open)
        return SONIC_EWS_FRAGMENT;
    if (h->opcode != 0) {
        r->opcode = h->opcode;
        r->rsv = h->rsv;
        r->n = 0;
    }
    return 0;
}

static void
control_frame(struct reference *r, const struct header *h, const uint8_t *in)
{
    uint8_t payload[125];

    for (size_t i = 0; i < h->len; i++)
        payload[i] = h->masked ? in[i] ^ h->key[i % 4] : in[i];
    if (r->delivery == SONIC__WS_FRAMES)
        ws_log_line(r->log, 'F', h->opcode, 0, payload, (size_t)h->len);
    else
        ws_log_line(r->log, 'c', h->opcode, 0, payload, (size_t)h->len);
}

void
ws_reference(const struct sonic__ws_rules *rules,
             enum sonic__ws_delivery delivery, const uint8_t *in, size_t n,
             struct ws_log *log)
{
    struct reference r = {.rules = rules, .delivery = delivery, .log = log};
    struct header h;
    int err;

    r.message = malloc(n + 1);
    if (r.message == NULL)
        abort();
    while ((err = read_header(rules, in, n, &h)) == 1) {
        size_t here;

        in += h.size;
        n -= h.size;
        here = h.len < n ? (size_t)h.len : n;
        if (h.opcode >= 8) {
            if (here < h.len)
                break;
            control_frame(&r, &h, in);
        } else {
            if ((err = begin_data(&r, &h)) < 0)
                break;
            if ((err = data_frame(&r, &h, in, here)) < 0)
                break;
        }
        in += here;
        n -= here;
        if (here < h.len)
            break;
    }
    if (err < 0)
        ws_log_error(log, err);
    free(r.message);
}
