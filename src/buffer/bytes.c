#include "buffer/bytes.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pack.h"

enum { CAPACITY_DEFAULT = 1 << 20 };
#define CAPACITY_MOST (UINT64_C(1) << 40)
enum { SLOTS_DEFAULT = 65536, SLOTS_MOST = 1 << 24, SLOTS_AT_FIRST = 16 };

int
sonic_bytes_new(const sonic_bytes_options *opt, sonic_bytes **out)
{
    sonic_bytes_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    sonic_mirror_options mirror = SONIC_MIRROR_OPTIONS_INIT;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    sonic_bytes *b;

    if (err < 0)
        return err;
    if (o.capacity > CAPACITY_MOST || o.capacity > SIZE_MAX / 4 ||
        o.max_slots > SLOTS_MOST)
        return SONIC_EOPTION;
    b = mem->alloc(sizeof *b, mem->ud);
    if (b == NULL)
        return -ENOMEM;
    *b = (sonic_bytes){
        .capacity = o.capacity != 0 ? o.capacity : CAPACITY_DEFAULT,
        .max_slots = o.max_slots != 0 ? o.max_slots : SLOTS_DEFAULT,
        .mem = *mem,
    };
    while (size < b->capacity)
        size *= 2;
    b->mask = size - 1;
    mirror.sys = o.sys;
    mirror.mem = mem;
    mirror.prefault = o.prefault;
    err = sonic_mirror_new(size, &mirror, &b->mirror);
    if (err < 0) {
        mem->free(b, sizeof *b, mem->ud);
        return err;
    }
    *out = b;
    return 0;
}

void
sonic__bytes_destroy(sonic_bytes *b)
{
    sonic_mem mem = b->mem;

    sonic_mirror_free(b->mirror);
    if (b->slots != NULL)
        mem.free(b->slots, b->slot_cap * sizeof *b->slots, mem.ud);
    mem.free(b, sizeof *b, mem.ud);
}

void
sonic_bytes_free(sonic_bytes *b)
{
    if (b == NULL)
        return;
    b->freed = true;
    if (b->busy == 0)
        sonic__bytes_destroy(b);
}

static uint8_t *
at(const sonic_bytes *b, uint64_t i)
{
    return b->mirror->base + (size_t)(i & b->mask);
}

static struct sonic__saved *
record(const sonic_bytes *b, uint64_t id)
{
    return &b->slots[id & (b->slot_cap - 1)];
}

/* The first byte that somebody may still look at. */
static uint64_t
front(const sonic_bytes *b)
{
    return b->first_id != b->next_id ? record(b, b->first_id)->at : b->data;
}

/* An empty buffer starts over at its first, warmest page. */
static void
start_over(sonic_bytes *b)
{
    if (b->first_id == b->next_id && b->data == b->end &&
        b->reading.cb == NULL && b->writing.cb == NULL)
        b->data = b->work = b->end = (b->end + b->mask) & ~b->mask;
}

/* ---- the write area --------------------------------------------------- */

uint8_t *
sonic__bytes_room(const sonic_bytes *b, size_t *len)
{
    *len = b->capacity - (size_t)(b->end - front(b));
    return at(b, b->end);
}

size_t
sonic_bytes_reserved(const sonic_bytes *b)
{
    size_t room;

    sonic__bytes_room(b, &room);
    return room;
}

int
sonic_bytes_reserve(const sonic_bytes *b, size_t n)
{
    return n <= sonic_bytes_reserved(b) ? 0 : -ENOBUFS;
}

uint8_t *
sonic_bytes_claim_fixed(sonic_bytes *b, size_t n)
{
    size_t room;
    uint8_t *p = sonic__bytes_room(b, &room);

    if (n > room || b->reading.cb != NULL)
        return NULL;
    b->end += n;
    return p;
}

int
sonic_bytes_write(sonic_bytes *b, const void *p, size_t n)
{
    uint8_t *room;

    if (b->reading.cb != NULL)
        return -EBUSY;
    room = sonic_bytes_claim_fixed(b, n);
    if (room == NULL)
        return -ENOBUFS;
    if (n > 0)
        memcpy(room, p, n);
    return 0;
}

int
sonic_bytes_write_byte(sonic_bytes *b, uint8_t byte)
{
    return sonic_bytes_write(b, &byte, 1);
}

int
sonic_bytes_write_string(sonic_bytes *b, const char *text)
{
    return sonic_bytes_write(b, text, strlen(text));
}

size_t
sonic_bytes_claim(sonic_bytes *b, sonic_claim_fn *fn, void *ud)
{
    size_t room, n;
    uint8_t *p = sonic__bytes_room(b, &room);

    if (b->reading.cb != NULL)
        return 0;
    n = fn(p, room, ud);
    if (n > room)
        return 0;
    b->end += n;
    return n;
}

size_t
sonic_bytes_shrink_by(sonic_bytes *b, size_t n)
{
    size_t len = sonic_bytes_write_len(b);

    if (b->reading.cb != NULL)
        return 0;
    if (n > len)
        n = len;
    b->end -= n;
    start_over(b);
    return n;
}

size_t
sonic_bytes_shrink_to(sonic_bytes *b, size_t n)
{
    size_t len = sonic_bytes_write_len(b);

    return n < len ? sonic_bytes_shrink_by(b, len - n) : 0;
}

size_t
sonic_bytes_commit(sonic_bytes *b, size_t n)
{
    size_t len = sonic_bytes_write_len(b);

    if (n > len)
        n = len;
    b->work += n;
    return n;
}

/* ---- the read area ---------------------------------------------------- */

uint8_t *
sonic_bytes_data(const sonic_bytes *b, size_t *len)
{
    *len = sonic_bytes_read_len(b);
    return *len == 0 ? NULL : at(b, b->data);
}

int
sonic_bytes_prepare_read(sonic_bytes *b, size_t n)
{
    size_t have = sonic_bytes_read_len(b);

    if (n <= have)
        return 0;
    if (n - have > sonic_bytes_write_len(b))
        return SONIC_ENEEDMORE;
    b->work += n - have;
    return 0;
}

void
sonic__bytes_drop(sonic_bytes *b, size_t n)
{
    b->data += n;
    start_over(b);
}

size_t
sonic_bytes_consume(sonic_bytes *b, size_t n)
{
    size_t len = sonic_bytes_read_len(b);

    if (b->writing.cb != NULL)
        return 0;
    if (n > len)
        n = len;
    sonic__bytes_drop(b, n);
    return n;
}

ssize_t
sonic_bytes_read(sonic_bytes *b, void *p, size_t n)
{
    size_t len = sonic_bytes_read_len(b);

    if (n == 0)
        return 0;
    if (b->writing.cb != NULL)
        return -EBUSY;
    if (len == 0)
        return SONIC_ENEEDMORE;
    if (n > len)
        n = len;
    memcpy(p, at(b, b->data), n);
    sonic__bytes_drop(b, n);
    return (ssize_t)n;
}

int
sonic_bytes_read_byte(sonic_bytes *b)
{
    uint8_t byte;
    ssize_t n = sonic_bytes_read(b, &byte, 1);

    return n < 0 ? (int)n : byte;
}

/* ---- the save area ---------------------------------------------------- */

static int
grow_slots(sonic_bytes *b)
{
    size_t cap = b->slot_cap == 0 ? SLOTS_AT_FIRST : 2 * b->slot_cap;
    struct sonic__saved *v = b->mem.alloc(cap * sizeof *v, b->mem.ud);

    if (v == NULL)
        return -ENOMEM;
    for (uint64_t id = b->first_id; id != b->next_id; id++)
        v[id & (cap - 1)] = *record(b, id);
    if (b->slots != NULL)
        b->mem.free(b->slots, b->slot_cap * sizeof *v, b->mem.ud);
    b->slots = v;
    b->slot_cap = cap;
    return 0;
}

int
sonic_bytes_save(sonic_bytes *b, size_t n, sonic_slot *out)
{
    size_t len = sonic_bytes_read_len(b);
    uint64_t used = b->next_id - b->first_id;
    int err;

    *out = (sonic_slot){0, 0};
    if (n > len)
        n = len;
    if (n == 0)
        return 0;
    if (b->writing.cb != NULL)
        return -EBUSY;
    if (used == b->max_slots)
        return -ENOBUFS;
    if (used == b->slot_cap && (err = grow_slots(b)) < 0)
        return err;
    *out = (sonic_slot){b->next_id++, n};
    *record(b, out->id) = (struct sonic__saved){b->data, n};
    b->data += n;
    b->saved_len += n;
    b->saved_n++;
    return 0;
}

static struct sonic__saved *
find(const sonic_bytes *b, sonic_slot slot)
{
    struct sonic__saved *s;

    if (slot.id - b->first_id >= b->next_id - b->first_id)
        return NULL;
    s = record(b, slot.id);
    return s->len != 0 && s->len == slot.len ? s : NULL;
}

uint8_t *
sonic_bytes_saved(const sonic_bytes *b, sonic_slot slot)
{
    const struct sonic__saved *s = find(b, slot);

    return s == NULL ? NULL : at(b, s->at);
}

bool
sonic_bytes_next_saved(const sonic_bytes *b, sonic_slot *slot)
{
    uint64_t id = slot->len == 0 ? b->first_id : slot->id + 1;

    if (id < b->first_id)
        id = b->first_id; /* what it named, and more, is gone */
    for (; id < b->next_id; id++)
        if (record(b, id)->len != 0) {
            *slot = (sonic_slot){id, record(b, id)->len};
            return true;
        }
    return false;
}

size_t
sonic_bytes_discard(sonic_bytes *b, sonic_slot slot)
{
    struct sonic__saved *s = find(b, slot);

    if (s == NULL)
        return 0;
    s->len = 0;
    b->saved_len -= slot.len;
    b->saved_n--;
    while (b->first_id != b->next_id && record(b, b->first_id)->len == 0)
        b->first_id++;
    start_over(b);
    return slot.len;
}

void
sonic_bytes_discard_all(sonic_bytes *b)
{
    b->first_id = b->next_id;
    b->saved_len = b->saved_n = 0;
    start_over(b);
}

/* ---- the whole -------------------------------------------------------- */

size_t
sonic_bytes_save_len(const sonic_bytes *b)
{
    return b->saved_len;
}

size_t
sonic_bytes_read_len(const sonic_bytes *b)
{
    return (size_t)(b->work - b->data);
}

size_t
sonic_bytes_write_len(const sonic_bytes *b)
{
    return (size_t)(b->end - b->work);
}

size_t
sonic_bytes_slots(const sonic_bytes *b)
{
    return b->saved_n;
}

size_t
sonic_bytes_capacity(const sonic_bytes *b)
{
    return b->capacity;
}

int
sonic_bytes_reset(sonic_bytes *b)
{
    if (b->reading.cb != NULL || b->writing.cb != NULL)
        return -EBUSY;
    b->data = b->work = b->end;
    sonic_bytes_discard_all(b);
    return 0;
}

int
sonic_bytes_prefault(sonic_bytes *b)
{
    return sonic__mirror_prefault(b->mirror);
}
