/* Bytes with a count of holders: see <sonicio/shared.h>.  They lie in a block
 * of the io's pool, behind what is known of them. */
#include "net/stream.h"

#include <stdalign.h>

enum { SHARED_ALIGN = alignof(max_align_t) };

int
sonic_shared_new(sonic_io *io, size_t len, sonic_shared **out)
{
    const size_t around = sizeof(sonic_shared) + SHARED_ALIGN;
    struct sonic__block *b;
    sonic_shared *m;

    if (io->closed)
        return SONIC_ECLOSED;
    if (len > INT32_MAX)
        return SONIC_ETOOBIG;
    b = sonic__block_new(&io->pool, around + len);
    if (b == NULL)
        return -ENOMEM;
    m = (void *)(b->bytes + SHARED_ALIGN - (uintptr_t)b->bytes % SHARED_ALIGN);
    m->io = io;
    m->block = b;
    m->len = len;
    m->holders = 1;
    m->prev = &io->shared;
    m->next = io->shared;
    if (m->next != NULL)
        m->next->prev = &m->next;
    io->shared = m;
    *out = m;
    return 0;
}

uint8_t *
sonic_shared_data(sonic_shared *m)
{
    return m->data;
}

size_t
sonic_shared_len(const sonic_shared *m)
{
    return m->len;
}

size_t
sonic_shared_holders(const sonic_shared *m)
{
    return m->holders;
}

sonic_shared *
sonic_shared_hold(sonic_shared *m)
{
    m->holders++;
    return m;
}

void
sonic_shared_free(sonic_shared *m)
{
    if (m == NULL || --m->holders > 0)
        return;
    *m->prev = m->next;
    if (m->next != NULL)
        m->next->prev = m->prev;
    sonic__block_free(&m->io->pool, m->block);
}

/* The io ends, and no stream is left that could hold one. */
void
sonic__shared_end(sonic_io *io)
{
    while (io->shared != NULL) {
        io->shared->holders = 1;
        sonic_shared_free(io->shared);
    }
}
