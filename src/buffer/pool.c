#include "buffer/pool.h"

#include <errno.h>

static const uint32_t block_size[SONIC__BLOCK_CLASSES] = {0, 512, 2048, 8192,
                                                          SONIC__BLOCK_LARGEST};
enum { BLOCKS_KEPT = 2 << 20 }; /* bytes of spare blocks per size */

/* One buffer, if that is more. */
static size_t
floor_of(const struct sonic__pool *p)
{
    return p->base_size > SONIC__POOL_FLOOR ? p->base_size : SONIC__POOL_FLOOR;
}

static void
least(unsigned *n, unsigned value)
{
    if (value < *n)
        *n = value;
}

static struct sonic_mirror *
take_spare(struct sonic__pool *p, unsigned order)
{
    struct sonic_mirror *m = p->spare[order];

    if (m == NULL)
        return NULL;
    p->spare[order] = m->next;
    p->lent++;
    if (order > 0) {
        p->large_bytes -= m->size;
        least(&p->n_idle[order], --p->n_spare[order]);
        return m;
    }
    p->spare_bytes -= m->size;
    if (p->spare_bytes < p->idle_bytes)
        p->idle_bytes = p->spare_bytes;
    return m;
}

static void
put_spare(struct sonic__pool *p, struct sonic_mirror *m)
{
    m->next = p->spare[m->order];
    p->spare[m->order] = m;
    if (m->order == 0) {
        p->spare_bytes += m->size;
    } else {
        p->large_bytes += m->size;
        p->n_spare[m->order]++;
    }
}

/* Is more spare than what stays in any case? */
static bool
has_more(const struct sonic__pool *p)
{
    return p->large_bytes > 0 || p->spare_bytes > floor_of(p);
}

static void
unmap(struct sonic__pool *p, struct sonic_mirror *m)
{
    p->count--;
    p->bytes -= m->size;
    sonic_mirror_free(m);
}

/* Unmap spare buffers until `need` more bytes fit below the limit. */
static void
make_room(struct sonic__pool *p, size_t need)
{
    for (int i = SONIC__POOL_ORDERS - 1; i >= 0; i--)
        while (p->spare[i] != NULL && p->bytes + need > p->limit) {
            struct sonic_mirror *m = take_spare(p, (unsigned)i);

            p->lent--;
            unmap(p, m);
        }
}

bool
sonic__pool_has(const struct sonic__pool *p, size_t min_size)
{
    size_t size = p->base_size;
    unsigned order = 0;

    while (size < min_size && ++order < SONIC__POOL_ORDERS)
        size *= 2;
    return order < SONIC__POOL_ORDERS && p->spare[order] != NULL;
}

int
sonic__pool_lend_slow(struct sonic__pool *p, size_t min_size,
                      struct sonic_mirror **out)
{
    sonic_mirror_options opt = {.size = sizeof opt,
                                .sys = p->sys,
                                .mem = &p->mem,
                                .prefault = p->prefault,
                                .huge_pages = p->huge_pages};
    unsigned order = 0;
    size_t size = p->base_size;
    int err;

    while (size < min_size) {
        if (++order == SONIC__POOL_ORDERS || size > SIZE_MAX / 2)
            return SONIC_ETOOBIG;
        size *= 2;
    }
    *out = take_spare(p, order);
    if (*out != NULL)
        return 0;
    if (p->bytes + size > p->limit)
        make_room(p, size);
    if (p->bytes + size > p->limit)
        return -ENOMEM;
    if (order > 0) /* large ones come and go: only what is touched exists */
        opt.prefault = SONIC_OFF;
    err = sonic_mirror_new(size, &opt, out);
    if (err < 0)
        return err;
    (*out)->order = (uint8_t)order;
    p->bytes += (*out)->size;
    p->count++;
    p->lent++;
    return 0;
}

void
sonic__pool_return_slow(struct sonic__pool *p, struct sonic_mirror *m)
{
    m->head = m->used = 0;
    if (m->pins != 0) {
        m->orphan = true;
        return;
    }
    m->orphan = false;
    p->lent--;
    if (p->spare_bytes + p->large_bytes + m->size > SONIC__POOL_KEEP) {
        unmap(p, m);
        return;
    }
    put_spare(p, m);
    if (p->watch != NULL && p->unwatched != SONIC__POOL_KEEP && has_more(p)) {
        p->unwatched = SONIC__POOL_KEEP;
        p->watch(p);
    }
}

/* The last n of a list: those used last stay, for they are warm. */
static void
drop_last(struct sonic__pool *p, unsigned order, size_t n)
{
    struct sonic_mirror *m, **at = &p->spare[order];
    size_t all = 0;

    for (m = *at; m != NULL; m = m->next)
        all++;
    for (; all > n; all--)
        at = &(*at)->next;
    m = *at;
    *at = NULL;
    while (m != NULL) {
        struct sonic_mirror *next = m->next;

        if (order == 0) {
            p->spare_bytes -= m->size;
        } else {
            p->large_bytes -= m->size;
            p->n_spare[order]--;
        }
        unmap(p, m);
        m = next;
    }
}

bool
sonic__pool_trim(struct sonic__pool *p)
{
    size_t idle =
        p->idle_bytes < p->spare_bytes ? p->idle_bytes : p->spare_bytes;

    for (unsigned i = SONIC__POOL_ORDERS - 1; i > 0; i--) {
        drop_last(p, i, p->n_idle[i]);
        p->n_idle[i] = p->n_spare[i];
    }
    if (idle > floor_of(p))
        drop_last(p, 0, (idle - floor_of(p)) / p->spare[0]->size);
    p->idle_bytes = p->spare_bytes;
    p->unwatched = has_more(p) ? SONIC__POOL_KEEP : floor_of(p);
    return has_more(p);
}

void
sonic__pool_unpin(struct sonic__pool *p, struct sonic_mirror *m)
{
    if (--m->pins == 0 && m->orphan)
        sonic__pool_return_slow(p, m);
}

struct sonic__block *
sonic__block_new(struct sonic__pool *p, size_t cap)
{
    struct sonic__block *b;
    uint8_t c = 0;

    while (c < SONIC__BLOCK_CLASSES && block_size[c] < cap)
        c++;
    if (c < SONIC__BLOCK_CLASSES) {
        cap = block_size[c];
        b = p->blocks[c];
        if (b != NULL) {
            p->blocks[c] = b->next;
            p->n_blocks[c]--;
            return sonic__block_empty(b);
        }
    }
    if (cap > UINT32_MAX)
        return NULL;
    b = p->mem.alloc(sizeof *b + cap, p->mem.ud);
    if (b == NULL)
        return NULL;
    b->cap = (uint32_t)cap;
    b->class_ = c;
    return sonic__block_empty(b);
}

void
sonic__block_free(struct sonic__pool *p, struct sonic__block *b)
{
    if (b->class_ == SONIC__BLOCK_CLASSES ||
        p->n_blocks[b->class_] >= BLOCKS_KEPT / (sizeof *b + b->cap)) {
        p->mem.free(b, sizeof *b + b->cap, p->mem.ud);
        return;
    }
    b->next = p->blocks[b->class_];
    p->blocks[b->class_] = b;
    p->n_blocks[b->class_]++;
}

void
sonic__pool_free(struct sonic__pool *p)
{
    for (unsigned i = 0; i < SONIC__POOL_ORDERS; i++)
        while (p->spare[i] != NULL) {
            struct sonic_mirror *m = p->spare[i];

            p->spare[i] = m->next;
            sonic_mirror_free(m);
        }
    for (unsigned i = 0; i < SONIC__BLOCK_CLASSES; i++)
        while (p->blocks[i] != NULL) {
            struct sonic__block *b = p->blocks[i];

            p->blocks[i] = b->next;
            p->mem.free(b, sizeof *b + b->cap, p->mem.ud);
        }
}
