/* The step that sends a frame, or a message of many. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "payload.h"
#include "play.h"

struct flags {
    struct frame frame;
    bool squash, wrong_mask, zero_mask;
    size_t split;
};

static bool
number_flag(const char *word, const char *name, unsigned long long *out)
{
    size_t n = strlen(name);
    char *end;

    if (strncmp(word, name, n) != 0)
        return false;
    *out = strtoull(word + n, &end, 10);
    return *end == '\0';
}

static bool
read_flag(struct flags *f, const char *word)
{
    unsigned long long n = 0;

    if (strcmp(word, "z") == 0) {
        f->squash = true;
    } else if (strcmp(word, "fin") == 0) {
        f->frame.fin = true;
    } else if (strcmp(word, "nofin") == 0) {
        f->frame.fin = false;
    } else if (number_flag(word, "rsv=", &n)) {
        f->frame.rsv = (unsigned)n & 7;
    } else if (number_flag(word, "form=", &n)) {
        f->frame.form = (unsigned)n;
    } else if (number_flag(word, "split=", &n)) {
        f->split = (size_t)n;
    } else if (number_flag(word, "claim=", &n)) {
        f->frame.claims = true;
        f->frame.claim = n;
    } else if (strcmp(word, "mask=wrong") == 0) {
        f->wrong_mask = true;
    } else if (strcmp(word, "mask=zero") == 0) {
        f->zero_mask = true;
    } else {
        return false;
    }
    return true;
}

static bool
read_opcode(const char *word, unsigned *opcode)
{
    for (*opcode = 0; *opcode < 16; ++*opcode)
        if (strcmp(word, opcode_name(*opcode)) == 0)
            return true;
    return false;
}

/* ---- what should come back --------------------------------------------- */

static void
remember(struct play *p, unsigned opcode, bool fin, const struct bytes *data)
{
    struct message *m;

    if (opcode > OP_BINARY)
        return;
    if (opcode != OP_CONT)
        p->part_opcode = opcode;
    bytes_add(&p->part, data->data, data->len);
    if (!fin)
        return;
    m = must_alloc(sizeof *m);
    m->opcode = p->part_opcode;
    m->data = p->part;
    p->part = (struct bytes){NULL, 0, 0};
    *p->last = m;
    p->last = &m->next;
}

void
send_forget(struct play *p)
{
    while (p->sent != NULL) {
        struct message *m = p->sent;

        p->sent = m->next;
        bytes_free(&m->data);
        free(m);
    }
    p->last = &p->sent;
    bytes_free(&p->part);
}

/* ---- frames ------------------------------------------------------------ */

static void
write_one(struct play *p, struct flags *f, const uint8_t *data, size_t len)
{
    f->frame.masked = p->setup->server != f->wrong_mask;
    RAND_bytes(f->frame.key, 4);
    if (f->zero_mask)
        memset(f->frame.key, 0, 4);
    frame_write(&p->wire.out, &f->frame, data, len);
}

static void
write_split(struct play *p, struct flags *f, const struct bytes *wire)
{
    bool fin = f->frame.fin;

    for (size_t at = 0; at == 0 || at < wire->len; at += f->split) {
        size_t left = wire->len - at;

        f->frame.fin = left <= f->split && fin;
        write_one(p, f, wire->len > 0 ? wire->data + at : NULL,
                  left < f->split ? left : f->split);
        f->frame.opcode = OP_CONT;
        f->frame.rsv = 0;
    }
}

static void
write_frames(struct play *p, struct flags *f, const struct bytes *plain)
{
    struct bytes squashed = {NULL, 0, 0};
    const struct bytes *wire = plain;

    play_log(p, "> %s%s%s rsv %u %s", opcode_name(f->frame.opcode),
             f->squash ? " z" : "", f->frame.fin ? "" : " nofin", f->frame.rsv,
             bytes_show(plain));
    if (!f->frame.claims)
        remember(p, f->frame.opcode, f->frame.fin, plain);
    if (f->squash && p->squash.on) {
        squash_out(&p->squash, plain->data, plain->len, &squashed);
        f->frame.rsv |= 4;
        wire = &squashed;
    }
    if (f->split > 0)
        write_split(p, f, wire);
    else
        write_one(p, f, wire->data, wire->len);
    bytes_free(&squashed);
}

bool
send_step(struct play *p, const char *text)
{
    struct flags f = {.frame.fin = true};
    struct bytes data = {NULL, 0, 0};
    bool good = false;
    char word[64];
    int used;

    while (sscanf(text, "%63s%n", word, &used) == 1) {
        text += used;
        good = read_opcode(word, &f.frame.opcode);
        if (good || !read_flag(&f, word))
            break;
    }
    good = good && payload_read(text, &data);
    if (good)
        write_frames(p, &f, &data);
    bytes_free(&data);
    return good || play_wrong(p, "this step cannot be read");
}
