/* The memory of datagrams that wait to be sent. */
#include "net/udp_queue.h"

#include <assert.h>

enum { ALIGN = 16 };

static void
move_to_start(struct sonic__udp_queue *q)
{
    if (q->tail < q->cap)
        ((struct sonic__udp_out *)(void *)(q->base + q->tail))->size = 0;
    q->used += q->cap - q->tail;
    q->tail = 0;
}

static bool
make_room(struct sonic__udp_queue *q, size_t size)
{
    if (q->total == 0)
        q->head = q->next = q->tail = q->used = 0;
    if (q->used > 0 && q->tail <= q->head)
        return q->head - q->tail >= size;
    if (q->cap - q->tail >= size)
        return true;
    if (q->head < size)
        return false;
    move_to_start(q);
    return true;
}

struct sonic__udp_out *
sonic__udp_queue_put(struct sonic__udp_queue *q, size_t room)
{
    size_t size = sizeof(struct sonic__udp_out) + room;
    struct sonic__udp_out *r;

    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!make_room(q, size))
        return NULL;
    r = (void *)(q->base + q->tail);
    memset(r, 0, sizeof *r);
    r->size = (uint32_t)size;
    if (q->unsent == 0)
        q->next = q->tail;
    q->tail += size;
    q->used += size;
    q->total++;
    q->unsent++;
    q->waiting++;
    return r;
}

void
sonic__udp_queue_done(struct sonic__udp_queue *q, struct sonic__udp_out *r,
                      int err)
{
    assert(!r->done);
    r->done = true;
    r->err = err;
    q->waiting--;
    q->bytes -= r->len;
    if (r->cb != NULL)
        q->finished++;
}

/* The position behind r, and the bytes between that and r. */
static size_t
behind(const struct sonic__udp_queue *q, const struct sonic__udp_out *r)
{
    return (size_t)((const uint8_t *)r - q->base) + r->size;
}

void
sonic__udp_queue_trim(struct sonic__udp_queue *q)
{
    while (q->unsent > 0) {
        struct sonic__udp_out *r = sonic__udp_out_at(q, q->next);

        if (!r->done)
            break;
        q->next = behind(q, r);
        q->unsent--;
    }
    while (q->total > q->unsent) {
        struct sonic__udp_out *r = sonic__udp_out_at(q, q->head);

        if (r->cb != NULL)
            break;
        if ((uint8_t *)r != q->base + q->head)
            q->used -= q->cap - q->head; /* what was left free at the end */
        q->head = behind(q, r);
        q->used -= r->size;
        q->total--;
    }
}

struct sonic__udp_out *
sonic__udp_queue_finished(struct sonic__udp_queue *q)
{
    struct sonic__udp_out *r = sonic__udp_out_at(q, q->head);

    assert(q->finished > 0);
    while (!r->done || r->cb == NULL)
        r = sonic__udp_out_next(q, r);
    q->finished--;
    return r;
}
