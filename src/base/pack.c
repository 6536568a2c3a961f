#include "base/pack.h"

#include <stdint.h>
#include <string.h>

#include <sonicio/error.h>

void *
sonic__pack(struct sonic__pack *p, const void *from, size_t n)
{
    size_t a = _Alignof(max_align_t);
    void *to = p->bytes == NULL ? NULL : p->bytes + p->used;

    if (to != NULL && n > 0)
        memcpy(to, from, n);
    p->used += (n + a - 1) / a * a;
    return to;
}

void
sonic__pack_bytes(struct sonic__pack *p, const void **bytes, size_t n)
{
    void *to;

    if (*bytes == NULL)
        return;
    to = sonic__pack(p, *bytes, n);
    if (to != NULL)
        *bytes = to;
}

void
sonic__pack_text(struct sonic__pack *p, const char **text)
{
    const void *bytes = *text;

    if (bytes == NULL)
        return;
    sonic__pack_bytes(p, &bytes, strlen(*text) + 1);
    *text = bytes;
}

void
sonic__pack_list(struct sonic__pack *p, const char *const **list, size_t n)
{
    const char **to = sonic__pack(p, *list, n * sizeof **list);

    for (size_t i = 0; i < n; i++) {
        const char *text = (*list)[i];

        sonic__pack_text(p, &text);
        if (to != NULL)
            to[i] = text;
    }
    if (to != NULL)
        *list = to;
}

int
sonic__options_copy(void *dst, size_t cap, const void *src)
{
    const uint8_t *from = src;
    size_t size = cap;

    memset(dst, 0, cap);
    if (src != NULL) {
        memcpy(&size, src, sizeof size);
        if (size < sizeof size)
            return SONIC_EOPTION;
        for (size_t i = cap; i < size; i++)
            if (from[i] != 0)
                return SONIC_EOPTION;
        memcpy(dst, src, size < cap ? size : cap);
    }
    memcpy(dst, &cap, sizeof cap);
    return 0;
}
