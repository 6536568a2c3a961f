/* pool.h - the io's memory for bytes on their way in and out
 *
 * Mirrored buffers for receiving: size classes of buffer_size << order, lent
 * last in, first out, so that the one that is warm is used again.  Making one
 * costs 13 us and its page faults more, hence they are kept.
 *
 * Blocks for what waits to be sent, and for the small remainders of
 * connections when many hold one: five sizes, on free lists.  The smallest has
 * no room of its own and refers to bytes elsewhere.
 */
#ifndef SONICIO_SRC_POOL_H
#define SONICIO_SRC_POOL_H

#include "buffer/mirror.h"

enum {
    SONIC__POOL_ORDERS = 20,     /* buffer_size << 19 at most */
    SONIC__POOL_KEEP = 64 << 20, /* bytes of spare buffers kept mapped */
    SONIC__POOL_FLOOR = 1 << 20, /* bytes of order 0 that are, idle or not */
    SONIC__POOL_HELD = 64,       /* lent ones from which remainders move out */
    SONIC__BLOCK_CLASSES = 5,    /* 0, 512, 2 Ki, 8 Ki, 32 Ki bytes of room */
    SONIC__BLOCK_LARGEST = 32 * 1024
};

struct sonic_stream;
struct sonic_shared;

/* A run of bytes in a queue: in the block's own room, or elsewhere. */
struct sonic__block {
    struct sonic__block *next;
    uint8_t *data;  /* the first byte that is not done with */
    size_t len;     /* bytes from there */
    uint32_t cap;   /* bytes of room */
    uint8_t class_; /* SONIC__BLOCK_CLASSES: of any size, not kept */
    uint8_t n_prefix;
    uint8_t prefix[16]; /* bytes that go before data */

    /* of a write queue: who waits for the last byte, if anybody does */
    struct sonic_mirror *pin;    /* lent buffer that data lies in */
    struct sonic_shared *shared; /* what data lies in, held */
    void (*cb)(struct sonic_stream *s, int err, size_t n, void *ud);
    void *ud;
    size_t total; /* bytes of that write, in this block and before it */
    int err;
    uint8_t bytes[];
};

static inline struct sonic__block *
sonic__block_empty(struct sonic__block *b)
{
    b->next = NULL;
    b->data = b->bytes;
    b->len = 0;
    b->n_prefix = 0;
    b->pin = NULL;
    b->shared = NULL;
    b->cb = NULL;
    b->total = 0;
    b->err = 0;
    return b;
}

/* Bytes that can still be put behind data[0..len). */
static inline size_t
sonic__block_room(const struct sonic__block *b)
{
    return b->cap == 0 ? 0 : (size_t)(b->bytes + b->cap - (b->data + b->len));
}

struct sonic__pool {
    const sonic_sys *sys;
    sonic_mem mem;
    size_t base_size; /* bytes of order 0 */
    size_t limit;     /* bytes of all buffers */
    size_t bytes, count, lent;
    enum sonic_switch prefault, huge_pages;
    struct sonic_mirror *spare[SONIC__POOL_ORDERS];
    size_t spare_bytes; /* of order 0 ... */
    size_t large_bytes; /* ... and of the others */
    /* The least that was spare since the last trim: bytes of order 0, buffers
     * of each of the others. */
    size_t idle_bytes;
    unsigned n_spare[SONIC__POOL_ORDERS], n_idle[SONIC__POOL_ORDERS];
    /* With so many spare bytes a buffer comes back by the longer way: where
     * nobody watches them, watch is called, and sonic__pool_trim in a while. */
    size_t unwatched;
    void (*watch)(struct sonic__pool *p); /* may be NULL */
    struct sonic__block *blocks[SONIC__BLOCK_CLASSES];
    unsigned n_blocks[SONIC__BLOCK_CLASSES]; /* on the free lists */
};

void sonic__pool_free(struct sonic__pool *p);

int sonic__pool_lend_slow(struct sonic__pool *p, size_t min_size,
                          struct sonic_mirror **out);
void sonic__pool_return_slow(struct sonic__pool *p, struct sonic_mirror *m);

/* An empty buffer of at least min_size bytes.  -ENOMEM, SONIC_ETOOBIG. */
static inline int
sonic__pool_lend(struct sonic__pool *p, size_t min_size,
                 struct sonic_mirror **out)
{
    struct sonic_mirror *m = p->spare[0];

    if (m == NULL || min_size > p->base_size)
        return sonic__pool_lend_slow(p, min_size, out);
    p->spare[0] = m->next;
    p->spare_bytes -= m->size;
    if (p->spare_bytes < p->idle_bytes)
        p->idle_bytes = p->spare_bytes;
    p->lent++;
    *out = m;
    return 0;
}

/* Is there a spare buffer of the size that min_size asks for? */
bool sonic__pool_has(const struct sonic__pool *p, size_t min_size);

/* Give a buffer back; what it holds is dropped. */
static inline void
sonic__pool_return(struct sonic__pool *p, struct sonic_mirror *m)
{
    if (m->order != 0 || m->pins != 0 ||
        p->spare_bytes + p->large_bytes >= p->unwatched) {
        sonic__pool_return_slow(p, m);
        return;
    }
    m->head = m->used = 0;
    m->next = p->spare[0];
    p->spare[0] = m;
    p->spare_bytes += m->size;
    p->lent--;
}

/* sonic__pool_trim - what was not in use since the last call is unmapped, but
 * for the floor.  Is it to be called again? */
bool sonic__pool_trim(struct sonic__pool *p);

/* A chunk points into m: it stays until sonic__pool_unpin. */
void sonic__pool_unpin(struct sonic__pool *p, struct sonic_mirror *m);

/* An empty block with at least cap bytes of room; NULL when there is no
 * memory. */
struct sonic__block *sonic__block_new(struct sonic__pool *p, size_t cap);
void sonic__block_free(struct sonic__pool *p, struct sonic__block *b);

#endif
