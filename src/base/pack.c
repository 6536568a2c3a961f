#include "base/pack.h"

#include <stdbool.h>
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

/* Bytes; what says that it has more has not been set. */
enum { GROWS_BY = 4096 };

/* Is that the size of a struct, and of nothing but zeros beyond cap? */
static bool
can_be(const uint8_t *src, size_t size, size_t cap)
{
    if (size == 0 || size % _Alignof(size_t) != 0 || size > cap + GROWS_BY)
        return false;
    for (size_t i = cap; i < size; i++)
        if (src[i] != 0)
            return false;
    return true;
}

int
sonic__options_copy(void *dst, size_t cap, const void *src)
{
    size_t size = cap;

    memset(dst, 0, cap);
    if (src != NULL) {
        memcpy(&size, src, sizeof size);
        if (!can_be(src, size, cap))
            return SONIC_EOPTION;
        memcpy(dst, src, size < cap ? size : cap);
    }
    memcpy(dst, &cap, sizeof cap);
    return 0;
}

int
sonic__options_fit(const void *src, size_t cap)
{
    size_t size;

    memcpy(&size, src, sizeof size);
    return size >= cap && can_be(src, size, cap) ? 0 : SONIC_EOPTION;
}
