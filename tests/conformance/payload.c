#include "payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t seed = 1;

static uint32_t
rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static void
put_char(struct bytes *out, unsigned c)
{
    uint8_t b[4] = {(uint8_t)c};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n; n > 1 && i-- > 1; c >>= 6)
        b[i] = (uint8_t)(0x80 | (c & 0x3f));
    if (n > 1)
        b[0] = (uint8_t)(0xf00u >> n | c);
    bytes_add(out, b, n);
}

/* ---- kinds ------------------------------------------------------------- */

static void
add_fill(struct bytes *out, size_t n)
{
    uint8_t *to = bytes_room(out, n);

    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)('a' + (i + i / 26) % 26);
    out->len += n;
}

static void
add_zeros(struct bytes *out, size_t n)
{
    memset(bytes_room(out, n), 0, n);
    out->len += n;
}

static void
add_random(struct bytes *out, size_t n)
{
    uint8_t *to = bytes_room(out, n);

    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)rnd();
    out->len += n;
}

static void
add_json(struct bytes *out, size_t n)
{
    size_t end = out->len + n;
    char item[128];

    for (unsigned i = 0; out->len < end; i++) {
        int len = snprintf(item, sizeof item,
                           "%s{\"id\":%u,\"price\":%u.%02u,\"side\":\"%s\"}",
                           i == 0 ? "[" : ",", i, rnd() % 1000, rnd() % 100,
                           rnd() % 2 == 0 ? "buy" : "sell");

        bytes_add(out, item, (size_t)len);
    }
    out->len = end;
}

static void
add_words(struct bytes *out, size_t n)
{
    static const char *const word[] = {
        "the ", "quick ", "brown ", "fox ", "jumps ", "over ",
        "a ",   "lazy ",  "dog, ",  "and ", "then\n", "sleeps. "};
    size_t end = out->len + n;

    while (out->len < end) {
        const char *w = word[rnd() % 12];

        bytes_add(out, w, strlen(w));
    }
    out->len = end;
}

static void
add_utf8(struct bytes *out, size_t n)
{
    static const unsigned from[] = {0x20, 0x80, 0x800, 0x10000};
    static const unsigned range[] = {0x5f, 0x780, 0xc000, 0x100000};
    size_t end = out->len + n;

    while (out->len + 4 <= end) {
        unsigned i = rnd() % 4;

        put_char(out, from[i] + rnd() % range[i]);
    }
    while (out->len < end)
        bytes_add(out, ".", 1);
}

static void
add_every(struct bytes *out, size_t n)
{
    (void)n;
    for (unsigned c = 0; c < 0x110000; c++)
        if (c < 0xd800 || c > 0xdfff)
            put_char(out, c);
}

static void
add_code(struct bytes *out, size_t n)
{
    const uint8_t code[2] = {(uint8_t)(n >> 8), (uint8_t)n};

    bytes_add(out, code, 2);
}

static const struct {
    const char *name;
    void (*add)(struct bytes *out, size_t n);
} kinds[] = {{"fill ", add_fill},     {"zeros ", add_zeros},
             {"random ", add_random}, {"json ", add_json},
             {"words ", add_words},   {"utf8 ", add_utf8},
             {"code ", add_code},     {"every", add_every}};

/* ---- reading them ------------------------------------------------------ */

static const char *
read_escape(const char *p, struct bytes *out)
{
    static const char letters[] = "nrt0\\\"", bytes[] = "\n\r\t\0\\\"";
    const char *found = strchr(letters, *p);
    unsigned x;

    if (*p == 'x' && sscanf(p + 1, "%2x", &x) == 1) {
        const uint8_t byte = (uint8_t)x;

        bytes_add(out, &byte, 1);
        return p + 3;
    }
    if (*p == '\0' || found == NULL)
        return NULL;
    bytes_add(out, &bytes[found - letters], 1);
    return p + 1;
}

/* A string, and perhaps how often. */
static const char *
read_string(const char *p, struct bytes *out)
{
    size_t from = out->len, len;
    unsigned long times = 1;

    for (p++; *p != '"';) {
        if (*p == '\\') {
            p = read_escape(p + 1, out);
            if (p == NULL)
                return NULL;
        } else if (*p == '\0') {
            return NULL;
        } else {
            bytes_add(out, p++, 1);
        }
    }
    p++;
    len = out->len - from;
    if (*p == '*') {
        char *end;

        times = strtoul(p + 1, &end, 10);
        p = end;
    }
    if (times == 0)
        out->len = from;
    for (; times > 1; times--) {
        bytes_room(out, len); /* which may move what is copied */
        bytes_add(out, out->data + from, len);
    }
    return p;
}

static const char *
read_hex(const char *p, struct bytes *out)
{
    unsigned x;

    for (p += 4; sscanf(p, "%2x", &x) == 1 && *p != ' '; p += 2) {
        const uint8_t byte = (uint8_t)x;

        bytes_add(out, &byte, 1);
    }
    return p;
}

static const char *
read_kind(const char *p, struct bytes *out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].name);
        char *end;

        if (strncmp(p, kinds[i].name, n) != 0)
            continue;
        seed = 1; /* the same payload has the same bytes */
        kinds[i].add(out, (size_t)strtoul(p + n, &end, 10));
        return end;
    }
    return NULL;
}

bool
payload_read(const char *text, struct bytes *out)
{
    const char *p = text;

    while (p != NULL && *p != '\0') {
        if (*p == ' ')
            p++;
        else if (*p == '"')
            p = read_string(p, out);
        else if (strncmp(p, "hex ", 4) == 0)
            p = read_hex(p, out);
        else
            p = read_kind(p, out);
    }
    return p != NULL;
}
