#include "squash.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 15 };

static const char *
read_bits(const char *value, unsigned *bits)
{
    char *end;
    unsigned long n;

    if (value == NULL)
        return "7.1.2: window bits without a value in an answer";
    n = strtoul(value, &end, 10);
    if (*end != '\0' || value[0] < '1' || value[0] > '9' || n < 8 || n > 15)
        return "7.1.2: window bits are not 8 to 15";
    *bits = (unsigned)n;
    return NULL;
}

static const char *
read_param(struct agreement *a, const char *name, const char *value,
           unsigned *seen)
{
    static const char *const names[] = {
        "server_no_context_takeover", "client_no_context_takeover",
        "server_max_window_bits", "client_max_window_bits"};
    unsigned i = 0;

    while (i < 4 && strcmp(name, names[i]) != 0)
        i++;
    if (i == 4)
        return "7.1: unknown parameter";
    if (*seen & 1u << i)
        return "7.1: the same parameter twice";
    *seen |= 1u << i;
    if (i < 2 && value != NULL)
        return "7.1.1: a value where there is none";
    if (i == 0)
        a->server_fresh = true;
    else if (i == 1)
        a->client_fresh = true;
    else
        return read_bits(value, i == 2 ? &a->server_bits : &a->client_bits);
    return NULL;
}

const char *
agreement_read(struct agreement *a, const char *text)
{
    char copy[1024], *rest = copy, *item;
    unsigned seen = 0;
    const char *wrong = NULL;

    *a = (struct agreement){.server_bits = 15, .client_bits = 15};
    if (text == NULL || *text == '\0')
        return NULL;
    if (strlen(text) >= sizeof copy || strchr(text, ',') != NULL)
        return "9.1: more than one extension was agreed on";
    strcpy(copy, text);
    for (int i = 0; wrong == NULL && (item = strsep(&rest, ";")) != NULL; i++) {
        char *value;

        item += strspn(item, " \t");
        item[strcspn(item, " \t")] = '\0';
        value = strchr(item, '=');
        if (value != NULL)
            *value++ = '\0';
        if (i == 0)
            wrong = strcmp(item, "permessage-deflate") == 0 && value == NULL
                        ? NULL
                        : "9.1: an extension that was not offered";
        else
            wrong = read_param(a, item, value, &seen);
    }
    a->on = wrong == NULL;
    return wrong;
}

void
squash_open(struct squash *s, const struct agreement *a, bool server)
{
    unsigned out = server ? a->server_bits : a->client_bits;
    unsigned in = server ? a->client_bits : a->server_bits;

    memset(s, 0, sizeof *s);
    if (!a->on)
        return;
    s->on = true;
    s->out_fresh = server ? a->server_fresh : a->client_fresh;
    s->in_fresh = server ? a->client_fresh : a->server_fresh;
    /* zlib cannot compress with a window of 256 bytes; without any reference
     * back, none is too far. */
    if (deflateInit2(&s->out, 6, Z_DEFLATED, -(int)(out < 9 ? 9 : out), 8,
                     out < 9 ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY) != Z_OK ||
        inflateInit2(&s->in, -(int)in) != Z_OK)
        abort();
}

void
squash_close(struct squash *s)
{
    if (s->on) {
        deflateEnd(&s->out);
        inflateEnd(&s->in);
    }
    s->on = false;
}

void
squash_out(struct squash *s, const void *data, size_t len, struct bytes *out)
{
    s->out.next_in = (uint8_t *)(uintptr_t)data;
    s->out.avail_in = (uInt)len;
    do {
        s->out.next_out = bytes_room(out, BLOCK);
        s->out.avail_out = BLOCK;
        if (deflate(&s->out, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
            abort();
        out->len += BLOCK - s->out.avail_out;
    } while (s->out.avail_out == 0);
    /* An empty message after another adds nothing (7.2.3.6). */
    if (len == 0) {
        out->len = 0;
        bytes_add(out, "", 1);
    } else {
        out->len -= 4;
    }
    if (s->out_fresh)
        deflateReset(&s->out);
}

static const char *
inflate_some(struct squash *s, const void *data, size_t len, struct bytes *out)
{
    s->in.next_in = (uint8_t *)(uintptr_t)data;
    s->in.avail_in = (uInt)len;
    do {
        int r;

        s->in.next_out = bytes_room(out, BLOCK);
        s->in.avail_out = BLOCK;
        r = inflate(&s->in, Z_SYNC_FLUSH);
        out->len += BLOCK - s->in.avail_out;
        if (r == Z_STREAM_END) /* 7.2.3.5: a block with BFINAL */
            inflateReset(&s->in);
        else if (r != Z_OK && r != Z_BUF_ERROR)
            return s->in.msg != NULL ? s->in.msg : "7.2.2: bad deflate data";
    } while (s->in.avail_out == 0 || s->in.avail_in > 0);
    return NULL;
}

const char *
squash_in(struct squash *s, const void *data, size_t len, struct bytes *out)
{
    const char *wrong = inflate_some(s, data, len, out);

    if (wrong == NULL)
        wrong = inflate_some(s, "\x00\x00\xff\xff", 4, out);
    if (s->in_fresh)
        inflateReset(&s->in);
    return wrong;
}
