#include "bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void *
must_alloc(size_t n)
{
    void *p = calloc(1, n > 0 ? n : 1);

    if (p == NULL) {
        fprintf(stderr, "conformance: out of memory\n");
        exit(2);
    }
    return p;
}

uint8_t *
bytes_room(struct bytes *b, size_t n)
{
    if (b->cap - b->len < n) {
        size_t cap = b->cap < 256 ? 256 : b->cap;
        uint8_t *data;

        while (cap - b->len < n)
            cap *= 2;
        data = must_alloc(cap);
        if (b->len > 0)
            memcpy(data, b->data, b->len);
        free(b->data);
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
}

void
bytes_add(struct bytes *b, const void *data, size_t len)
{
    uint8_t *to = bytes_room(b, len);

    if (len > 0)
        memcpy(to, data, len);
    b->len += len;
}

void
bytes_drop(struct bytes *b, size_t n)
{
    b->len -= n;
    if (b->len > 0 && n > 0)
        memmove(b->data, b->data + n, b->len);
}

void
bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){NULL, 0, 0};
}

bool
bytes_equal(const struct bytes *a, const struct bytes *b)
{
    return a->len == b->len &&
           (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

const char *
bytes_show(const struct bytes *b)
{
    enum { MOST = 24 };
    static char text[3 * MOST + 40];
    int at = 0;

    for (size_t i = 0; i < b->len && i < MOST; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%02x", b->data[i]);
    snprintf(text + at, sizeof text - (size_t)at, "%s (%zu bytes)",
             b->len > MOST ? "..." : "", b->len);
    return text;
}

int64_t
clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
