#include "base/random.h"

#include <sys/mman.h>

void
sonic__random_open(struct sonic__random *r, const sonic_sys *sys)
{
    int err;
    void *p = sys->mmap(NULL, sizeof *r->batch, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &err, sys->ud);

    r->batch = NULL;
    if (p == MAP_FAILED)
        return;
    if (sys->madvise(p, sizeof *r->batch, MADV_WIPEONFORK, sys->ud) < 0) {
        sys->munmap(p, sizeof *r->batch, sys->ud);
        return;
    }
    r->batch = p;
}

void
sonic__random_close(struct sonic__random *r, const sonic_sys *sys)
{
    if (r->batch != NULL)
        sys->munmap(r->batch, sizeof *r->batch, sys->ud);
    r->batch = NULL;
}

int
sonic__random_fill(struct sonic__random *r, const sonic_sys *sys, void *buf,
                   size_t len)
{
    struct sonic__random_batch *b = r->batch;

    if (b == NULL || len > sizeof b->bytes)
        return sys->random(buf, len, sys->ud);
    if (b->left < len) {
        int err = sys->random(b->bytes, sizeof b->bytes, sys->ud);

        if (err < 0)
            return err;
        b->left = sizeof b->bytes;
    }
    b->left -= (uint32_t)len;
    memcpy(buf, b->bytes + b->left, len);
    memset(b->bytes + b->left, 0, len); /* handed out once only */
    return 0;
}
