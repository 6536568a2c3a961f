#include "hexdump.h"

#include <stdint.h>

void
hexdump(FILE *out, char letter, const void *data, size_t len)
{
    const uint8_t *p = data;

    fprintf(out, "%c\n", letter);
    for (size_t i = 0; i < len; i++) {
        if (i % 16 == 0)
            fprintf(out, "%06zx", i);
        fprintf(out, " %02x", p[i]);
        if (i % 16 == 15 || i + 1 == len)
            putc('\n', out);
    }
}
