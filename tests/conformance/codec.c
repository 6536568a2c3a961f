#include "codec.h"

#include <string.h>

void
frame_write(struct bytes *out, const struct frame *f, const void *data,
            size_t len)
{
    uint64_t length = f->claims ? f->claim : len;
    unsigned form = f->form;
    uint8_t head[14];
    size_t n = 2;
    uint8_t *to;

    if (form == 0)
        form = length < 126 ? 7 : length < 65536 ? 16 : 64;
    head[0] = (uint8_t)(f->opcode | f->rsv << 4 | (f->fin ? 0x80u : 0));
    head[1] = (uint8_t)(f->masked ? 0x80 : 0);
    if (form == 7)
        head[1] = (uint8_t)(head[1] | length);
    else
        head[1] = (uint8_t)(head[1] | (form == 16 ? 126 : 127));
    for (unsigned bits = form == 7 ? 0 : form; bits > 0; bits -= 8)
        head[n++] = (uint8_t)(length >> (bits - 8));
    bytes_add(out, head, n);
    if (f->masked)
        bytes_add(out, f->key, 4);
    to = bytes_room(out, len);
    for (size_t i = 0; i < len; i++)
        to[i] = (uint8_t)(((const uint8_t *)data)[i] ^
                          (f->masked ? f->key[i % 4] : 0));
    out->len += len;
}

static const char *
judge(const struct frame_in *f, unsigned form, uint64_t len, bool masked,
      bool must_mask)
{
    if (masked != must_mask)
        return must_mask ? "5.1: a client's frame is not masked"
                         : "5.1: a server's frame is masked";
    if ((form == 16 && len < 126) || (form == 64 && len < 65536))
        return "5.2: the length is not in its shortest form";
    if (len > UINT64_MAX / 2)
        return "5.2: the length's first bit is set";
    if (f->opcode >= 8 && (!f->fin || len > 125))
        return "5.5: a control frame is long or fragmented";
    if ((f->opcode > OP_BINARY && f->opcode < OP_CLOSE) || f->opcode > OP_PONG)
        return "5.2: the opcode is reserved";
    return NULL;
}

static void
note_mask(struct masks *m, const uint8_t *key)
{
    uint32_t mask;

    memcpy(&mask, key, 4);
    m->repeats += m->frames > 0 && mask == m->last;
    m->zeros += mask == 0;
    m->last = mask;
    m->frames++;
}

bool
frame_read(struct wire *w, struct masks *masks, struct frame_in *f)
{
    unsigned form, extra;
    uint64_t len = 0;
    const uint8_t *p;
    uint8_t key[4];
    bool masked;

    if (!wire_need(w, 2))
        return false;
    p = w->in.data + w->at;
    form = (p[1] & 0x7f) == 126 ? 16 : (p[1] & 0x7f) == 127 ? 64 : 7;
    masked = p[1] & 0x80;
    extra = form == 7 ? 0 : form / 8;
    if (!wire_need(w, 2 + extra + (masked ? 4u : 0)))
        return false;
    p = w->in.data + w->at;
    *f = (struct frame_in){
        .opcode = p[0] & 15u, .rsv = p[0] >> 4 & 7u, .fin = p[0] & 0x80};
    if (form == 7)
        len = p[1] & 0x7fu;
    for (unsigned i = 0; i < extra; i++)
        len = len << 8 | p[2 + i];
    if (masked)
        memcpy(key, p + 2 + extra, 4);
    f->wrong = judge(f, form, len, masked, masks != NULL);
    if (f->wrong != NULL)
        return true;
    w->at += 2 + extra + (masked ? 4u : 0);
    if (!wire_need(w, (size_t)len))
        return false;
    f->data = w->in.data + w->at;
    f->len = (size_t)len;
    w->at += f->len;
    if (masked) {
        note_mask(masks, key);
        for (size_t i = 0; i < f->len; i++)
            f->data[i] ^= key[i % 4];
    }
    return true;
}

const char *
opcode_name(unsigned opcode)
{
    static const char *const name[16] = {
        "cont",  "text", "binary", "3",  "4",  "5",  "6",  "7",
        "close", "ping", "pong",   "11", "12", "13", "14", "15"};

    return name[opcode & 15];
}
