#include "ws_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
need(bool ok, const char *script)
{
    if (!ok) {
        fprintf(stderr, "ws_script: cannot make %s\n", script);
        abort();
    }
}

/* Written out here, so that the library's own encoder is not what the tests
 * of the parser stand on. */
size_t
ws_script_frame(uint8_t *out, uint8_t head, const uint8_t *payload, size_t n,
                const uint32_t *key)
{
    uint8_t k[4] = {0, 0, 0, 0};
    size_t size = 0;

    out[size++] = head;
    if (n < 126) {
        out[size++] = (uint8_t)n;
    } else if (n < 65536) {
        out[size++] = 126;
        out[size++] = (uint8_t)(n >> 8);
        out[size++] = (uint8_t)n;
    } else {
        out[size++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[size++] = (uint8_t)((uint64_t)n >> shift);
    }
    if (key != NULL) {
        memcpy(k, key, 4);
        out[1] |= 0x80;
        memcpy(out + size, k, 4);
        size += 4;
    }
    for (size_t i = 0; i < n; i++)
        out[size + i] = payload[i] ^ k[i % 4];
    return size + n;
}

static uint8_t
hex(const char *s)
{
    char digits[3] = {s[0], s[0] != '\0' ? s[1] : '\0', '\0'}, *end;
    unsigned long v = strtoul(digits, &end, 16);

    need(end == digits + 2, s);
    return (uint8_t)v;
}

static size_t
raw(const char *w, size_t len, uint8_t *out)
{
    for (size_t i = 0; i < len; i += 2)
        out[i / 2] = hex(w + i);
    return len / 2;
}

static size_t
payload(const char *w, size_t len, uint8_t *out, size_t cap)
{
    size_t n = 0;

    if (len > 1 && w[0] == '*') {
        n = strtoul(w + 1, NULL, 10);
        need(n <= cap, w);
        memset(out, 'z', n);
        return n;
    }
    for (size_t i = 0; i < len; i++) {
        need(n < cap, w);
        if (w[i] == '%') {
            out[n++] = hex(w + i + 1);
            i += 2;
        } else {
            out[n++] = (uint8_t)w[i];
        }
    }
    return n;
}

size_t
ws_script(const char *script, bool masked, uint8_t *out, size_t cap)
{
    static const char kinds[] = "ctb.....xpo";
    static uint8_t body[1 << 17];
    uint32_t key = 0x12345678;
    size_t size = 0;

    for (const char *w = script; *w != '\0';) {
        size_t len = strcspn(w, " "), n;
        const char *end = w + len, *kind;
        uint8_t head = 0x80;

        need(cap - size >= len, script);
        if (*w == '=') {
            size += raw(w + 1, len - 1, out + size);
        } else {
            if (*w == 'r') {
                head |= 0x40;
                w++;
            }
            kind = strchr(kinds, *w++);
            need(kind != NULL, script);
            head |= (uint8_t)(kind - kinds);
            if (*w == '+') {
                head &= 0x7f;
                w++;
            }
            n = payload(w, (size_t)(end - w), body, sizeof body);
            need(cap - size >= n + 14, script);
            key = key * 2654435761u + 12345;
            size += ws_script_frame(out + size, head, body, n,
                                    masked ? &key : NULL);
        }
        w = *end == ' ' ? end + 1 : end;
    }
    return size;
}
