/* ws_deflate_json.h - text of the kind that people compress */
#ifndef SONICIO_TESTS_WS_DEFLATE_JSON_H
#define SONICIO_TESTS_WS_DEFLATE_JSON_H

#include <stdio.h>
#include <string.h>

/* n bytes of JSON, not the same for each seed; not terminated. */
static inline void
ws_deflate_json(char *to, size_t n, unsigned seed)
{
    char row[128];
    size_t at = 0;

    while (at < n) {
        size_t len;

        seed = seed * 1103515245 + 12345;
        len = (size_t)snprintf(
            row, sizeof row,
            "{\"type\":\"trade\",\"id\":%u,\"px\":\"%u.%02u\",\"qty\":%u},",
            seed >> 8, (seed >> 16) % 1000, (seed >> 4) % 100, seed % 977);
        if (len > n - at)
            len = n - at;
        memcpy(to + at, row, len);
        at += len;
    }
}

#endif
