/* Messages put aside: their bytes in a bip buffer, once, and a reference by
 * number in a sequencer.  They leave in the order of their numbers, not of
 * their coming: a record that is not needed any more waits for those in front
 * of it. */
#include <string.h>

#include "mold/receiver.h"

enum { DEAD = 1, ALIGN = 8 }; /* sizes are multiples of ALIGN */

/* In front of a message's bytes. */
struct record {
    uint32_t size; /* of the record, with DEAD when it is not needed */
    uint32_t len;
    uint8_t data[];
};

int
sonic__mold_hold(sonic_mold_receiver *r, uint64_t sequence, const uint8_t *data,
                 size_t len)
{
    size_t size = (sizeof(struct record) + len + ALIGN - 1) / ALIGN * ALIGN;
    sonic_sequenced item = {.seq = sequence, .len = len};
    struct record *rec;
    size_t got;
    int err;

    if (sonic_sequencer_has(r->held, sequence))
        return -EEXIST;
    rec = (struct record *)(void *)sonic_bip_claim(r->bytes, size, &got);
    if (got < size) {
        (void)sonic_bip_commit(r->bytes, 0, &got);
        return -ENOBUFS;
    }
    item.data = rec->data;
    err = sonic_sequencer_push(r->held, &item);
    if (err < 0) {
        (void)sonic_bip_commit(r->bytes, 0, &got);
        return err;
    }
    rec->size = (uint32_t)size;
    rec->len = (uint32_t)len;
    if (len > 0)
        memcpy(rec->data, data, len);
    (void)sonic_bip_commit(r->bytes, size, &got);
    return 0;
}

bool
sonic__mold_unhold(sonic_mold_receiver *r, uint64_t sequence,
                   sonic_sequenced *out)
{
    return sonic_sequencer_pop(r->held, sequence, out) == 0;
}

void
sonic__mold_drop(sonic_mold_receiver *r, const sonic_sequenced *item)
{
    struct record *rec =
        (struct record *)(void *)((uint8_t *)item->data -
                                  offsetof(struct record, data));
    size_t len;

    rec->size |= DEAD;
    while ((rec = (struct record *)(void *)sonic_bip_head(r->bytes, &len)) !=
               NULL &&
           (rec->size & DEAD))
        (void)sonic_bip_consume(r->bytes, rec->size & ~(uint32_t)DEAD);
}

uint64_t
sonic__mold_held_least(const sonic_mold_receiver *r)
{
    uint64_t least, greatest;

    return sonic_sequencer_bounds(r->held, &least, &greatest) ? least
                                                              : UINT64_MAX;
}

void
sonic__mold_drop_before(sonic_mold_receiver *r, uint64_t sequence)
{
    sonic_sequenced item;

    while (sonic__mold_held_least(r) < sequence &&
           sonic_sequencer_pop_first(r->held, &item) == 0)
        sonic__mold_drop(r, &item);
}

void
sonic__mold_drop_all(sonic_mold_receiver *r)
{
    sonic_sequencer_reset(r->held);
    sonic_bip_reset(r->bytes);
}
