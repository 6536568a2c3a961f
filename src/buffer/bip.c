#include <sonicio/bip.h>

#include <unistd.h>

#include "base/mem.h"
#include "base/pack.h"

/* Bytes [from, to) of the memory. */
struct range {
    size_t from, to;
};

/* head is the older chunk.  wrapped lies before it, and is empty unless head
 * is not.  An empty buffer has both at 0, so that all its room is one piece. */
struct sonic_bip {
    uint8_t *data;
    size_t size;
    struct range head, wrapped, claim;
    sonic_mem mem;
};

static inline size_t
length(struct range r)
{
    return r.to - r.from;
}

int
sonic_bip_new(size_t bytes, const sonic_bip_options *opt, sonic_bip **out)
{
    sonic_bip_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    sonic_bip *b;

    if (err < 0)
        return err;
    if (bytes == 0)
        return SONIC_EOPTION;
    b = mem->alloc(sizeof *b, mem->ud);
    if (b == NULL)
        return -ENOMEM;
    *b = (sonic_bip){.size = bytes, .mem = *mem};
    b->data = mem->alloc(bytes, mem->ud);
    if (b->data == NULL) {
        mem->free(b, sizeof *b, mem->ud);
        return -ENOMEM;
    }
    if (o.prefault == SONIC_ON)
        sonic_bip_prefault(b);
    *out = b;
    return 0;
}

void
sonic_bip_free(sonic_bip *b)
{
    sonic_mem mem;

    if (b == NULL)
        return;
    mem = b->mem;
    mem.free(b->data, b->size, mem.ud);
    mem.free(b, sizeof *b, mem.ud);
}

uint8_t *
sonic_bip_claim(sonic_bip *b, size_t n, size_t *got)
{
    struct range room;

    if (length(b->wrapped) > 0)
        room = (struct range){b->wrapped.to, b->head.from};
    else if (b->head.from <= b->size - b->head.to)
        room = (struct range){b->head.to, b->size};
    else
        room = (struct range){0, b->head.from};
    if (length(room) == 0) {
        *got = 0;
        return NULL;
    }
    if (n < length(room))
        room.to = room.from + n;
    b->claim = room;
    *got = length(room);
    return b->data + room.from;
}

uint8_t *
sonic_bip_commit(sonic_bip *b, size_t n, size_t *len)
{
    struct range c = b->claim;

    b->claim = (struct range){0, 0};
    if (n < length(c))
        c.to = c.from + n;
    *len = length(c);
    if (length(c) == 0)
        return NULL;
    if (length(b->head) == 0) /* the claim may be older than a consume */
        b->head = c;
    else if (c.from == b->head.to)
        b->head.to = c.to;
    else
        b->wrapped.to = c.to;
    return b->data + c.from;
}

uint8_t *
sonic_bip_head(const sonic_bip *b, size_t *len)
{
    *len = length(b->head);
    return *len == 0 ? NULL : b->data + b->head.from;
}

size_t
sonic_bip_consume(sonic_bip *b, size_t n)
{
    if (n < length(b->head)) {
        b->head.from += n;
        return n;
    }
    n = length(b->head);
    b->head = b->wrapped;
    b->wrapped = (struct range){0, 0};
    return n;
}

bool
sonic_bip_wrapped(const sonic_bip *b)
{
    return length(b->wrapped) > 0;
}

size_t
sonic_bip_committed(const sonic_bip *b)
{
    return length(b->head) + length(b->wrapped);
}

size_t
sonic_bip_claimed(const sonic_bip *b)
{
    return length(b->claim);
}

size_t
sonic_bip_size(const sonic_bip *b)
{
    return b->size;
}

bool
sonic_bip_empty(const sonic_bip *b)
{
    return sonic_bip_committed(b) == 0 && sonic_bip_claimed(b) == 0;
}

void
sonic_bip_reset(sonic_bip *b)
{
    b->head = b->wrapped = b->claim = (struct range){0, 0};
}

void
sonic_bip_prefault(sonic_bip *b)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    volatile uint8_t *p = b->data;

    for (size_t i = 0; i < b->size; i += page)
        p[i] = p[i];
    p[b->size - 1] = p[b->size - 1];
}
