#include "poison.h"

#include <string.h>

#include "reactor/reactor.h"

void
poison_spares(sonic_io *io)
{
    const struct sonic__pool *p = &io->pool;

    for (unsigned i = 0; i < SONIC__POOL_ORDERS; i++)
        for (struct sonic_mirror *m = p->spare[i]; m != NULL; m = m->next)
            memset(m->base, POISON, m->size);
    for (unsigned i = 0; i < SONIC__BLOCK_CLASSES; i++)
        for (struct sonic__block *b = p->blocks[i]; b != NULL; b = b->next) {
            memset(b->prefix, POISON, sizeof b->prefix);
            memset(b->bytes, POISON, b->cap);
        }
}
