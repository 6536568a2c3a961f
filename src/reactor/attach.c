/* What an io has for the protocols on it: its buffers, and a place for what
 * their connections share. */
#include "reactor/reactor.h"

#include <stddef.h>

struct sonic__attached {
    struct sonic__attached *next;
    const void *key;
    size_t bytes;
    void (*fini)(sonic_io *io, void *block);
    _Alignas(max_align_t) unsigned char block[];
};

void *
sonic_io_attach(sonic_io *io, const void *key, size_t bytes,
                void (*fini)(sonic_io *io, void *block))
{
    struct sonic__attached *a = io->attached;

    while (a != NULL && a->key != key)
        a = a->next;
    if (a != NULL)
        return a->block;
    a = sonic__alloc(io, sizeof *a + bytes);
    if (a == NULL)
        return NULL;
    a->next = io->attached;
    a->key = key;
    a->bytes = bytes;
    a->fini = fini;
    io->attached = a;
    return a->block;
}

void
sonic__attached_free(sonic_io *io)
{
    while (io->attached != NULL) {
        struct sonic__attached *a = io->attached;

        io->attached = a->next;
        if (a->fini != NULL)
            a->fini(io, a->block);
        sonic__free(io, a, sizeof *a + a->bytes);
    }
}

int
sonic_io_borrow(sonic_io *io, size_t min_size, sonic_mirror **out)
{
    return sonic__pool_lend(&io->pool, min_size, out);
}

void
sonic_io_give_back(sonic_io *io, sonic_mirror *m)
{
    sonic__pool_return(&io->pool, m);
}
