/* Strings of bytes that grow.  A runner that has no memory ends. */
#ifndef CONFORMANCE_BYTES_H
#define CONFORMANCE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t len, cap;
};

void *must_alloc(size_t n); /* zeroed */
void bytes_add(struct bytes *b, const void *data, size_t len);
/* Room for n more; adding them to len is the caller's. */
uint8_t *bytes_room(struct bytes *b, size_t n);
void bytes_drop(struct bytes *b, size_t n); /* the first n */
void bytes_free(struct bytes *b);
bool bytes_equal(const struct bytes *a, const struct bytes *b);
/* The first of them in hexadecimal, for people; in a static buffer. */
const char *bytes_show(const struct bytes *b);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t clock_now(void);

#endif
