/* The last messages of a session: an index by number, and a ring of bytes in
 * which each is whole. */
#include <string.h>

#include "base/pack.h"
#include "mold/packet.h"

enum {
    MESSAGES_DEFAULT = 1 << 20,
    MESSAGES_MAX = 1 << 28,
    BYTES_DEFAULT = 64 << 20,
    BYTES_MIN = 64 << 10 /* a message always fits */
};

struct slot {
    uint32_t at, len;
};

struct sonic_mold_store {
    sonic_mem mem;
    struct slot *slots; /* of number n: slots[n & mask] */
    uint8_t *ring;
    uint64_t first, next; /* numbers that are there */
    size_t mask, bytes;
    size_t head; /* where the next one goes */
};

static size_t
power_of_two(size_t n)
{
    size_t p = 64;

    while (p < n)
        p <<= 1;
    return p;
}

int
sonic_mold_store_new(const sonic_mold_store_options *opt,
                     sonic_mold_store **out)
{
    sonic_mold_store_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    sonic_mold_store *s;
    size_t messages, bytes;

    if (err < 0)
        return err;
    messages = o.messages != 0 ? o.messages : MESSAGES_DEFAULT;
    bytes = o.bytes != 0 ? o.bytes : BYTES_DEFAULT;
    if (messages > MESSAGES_MAX || bytes < BYTES_MIN || bytes > UINT32_MAX)
        return SONIC_EOPTION;
    messages = power_of_two(messages);
    s = sonic__mold_alloc(mem, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    s->mem = *mem;
    s->mask = messages - 1;
    s->bytes = bytes;
    s->slots = mem->alloc(messages * sizeof *s->slots, mem->ud);
    s->ring = mem->alloc(bytes, mem->ud);
    if (s->slots == NULL || s->ring == NULL) {
        sonic_mold_store_free(s);
        return -ENOMEM;
    }
    *out = s;
    return 0;
}

void
sonic_mold_store_free(sonic_mold_store *s)
{
    sonic_mem mem;

    if (s == NULL)
        return;
    mem = s->mem;
    sonic__mold_release(&mem, s->slots, (s->mask + 1) * sizeof *s->slots);
    sonic__mold_release(&mem, s->ring, s->bytes);
    mem.free(s, sizeof *s, mem.ud);
}

void
sonic_mold_store_clear(sonic_mold_store *s)
{
    s->first = s->next;
    s->head = 0;
}

/* An empty message takes a byte, so that it lies somewhere. */
static size_t
room_for(size_t len)
{
    return len > 0 ? len : 1;
}

/* Does the oldest message lie in ring[at..at + len)? */
static bool
oldest_is_in(const sonic_mold_store *s, size_t at, size_t len)
{
    const struct slot *o = &s->slots[s->first & s->mask];

    return o->at < at + len && at < o->at + room_for(o->len);
}

/* Push out what lies in ring[at..at + len): the oldest ones, for they lie in
 * the order of their numbers, from head on. */
static void
make_room(sonic_mold_store *s, size_t at, size_t len)
{
    while (s->first < s->next && oldest_is_in(s, at, len))
        s->first++;
}

int
sonic_mold_store_put(sonic_mold_store *s, uint64_t sequence, const void *data,
                     size_t len)
{
    size_t size = room_for(len);
    struct slot *slot = &s->slots[sequence & s->mask];

    if (len > SONIC_MOLD_MESSAGE_MAX)
        return SONIC_ETOOBIG;
    if (sequence != s->next) {
        s->next = sequence;
        sonic_mold_store_clear(s);
    }
    if (size > s->bytes - s->head) { /* behind it there is too little */
        make_room(s, s->head, s->bytes - s->head);
        s->head = 0;
    }
    make_room(s, s->head, size);
    if (s->next - s->first > s->mask)
        s->first = s->next - s->mask;
    slot->at = (uint32_t)s->head;
    slot->len = (uint32_t)len;
    if (len > 0)
        memcpy(s->ring + s->head, data, len);
    s->head += size;
    s->next++;
    return 0;
}

const void *
sonic_mold_store_get(const sonic_mold_store *s, uint64_t sequence, size_t *len)
{
    const struct slot *slot = &s->slots[sequence & s->mask];

    if (sequence < s->first || sequence >= s->next)
        return NULL;
    *len = slot->len;
    return s->ring + slot->at;
}

uint64_t
sonic_mold_store_first(const sonic_mold_store *s)
{
    return s->first;
}

uint64_t
sonic_mold_store_next(const sonic_mold_store *s)
{
    return s->next;
}
