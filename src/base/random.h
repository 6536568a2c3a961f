/* random.h - unpredictable bytes, taken from the kernel in batches */
#ifndef SONICIO_SRC_RANDOM_H
#define SONICIO_SRC_RANDOM_H

#include <string.h>

#include <sonicio/sys.h>

enum { SONIC__RANDOM_BATCH = 2048 }; /* bytes */

/* Lies in a page that fork(2) wipes in the child (MADV_WIPEONFORK), so a child
 * finds it empty and never hands out its parent's bytes. */
struct sonic__random_batch {
    uint32_t left;
    uint8_t bytes[SONIC__RANDOM_BATCH];
};

struct sonic__random {
    struct sonic__random_batch *batch; /* NULL: ask the kernel each time */
};

void sonic__random_open(struct sonic__random *r, const sonic_sys *sys);
void sonic__random_close(struct sonic__random *r, const sonic_sys *sys);

/* Fill buf.  0, or the kernel's error: then nothing may be sent. */
int sonic__random_fill(struct sonic__random *r, const sonic_sys *sys, void *buf,
                       size_t len);

/* Four bytes for a masking key (RFC 6455 section 5.3). */
static inline int
sonic__random_key(struct sonic__random *r, const sonic_sys *sys, void *key)
{
    struct sonic__random_batch *b = r->batch;

    if (b == NULL || b->left < sizeof(uint32_t))
        return sonic__random_fill(r, sys, key, sizeof(uint32_t));
    b->left -= (uint32_t)sizeof(uint32_t);
    memcpy(key, b->bytes + b->left, sizeof(uint32_t));
    memset(b->bytes + b->left, 0, sizeof(uint32_t));
    return 0;
}

#endif
