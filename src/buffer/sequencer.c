#include <sonicio/sequencer.h>

#include "base/mem.h"
#include "base/pack.h"
#include "buffer/bitset.h"

enum { SPAN_LEAST = 64, SPAN_DEFAULT = 65536, SPAN_MOST = 1 << 24 };
enum { BYTES_DEFAULT = 64 << 20 };

/* An item lies at its number modulo span, so its place is its number. */
struct cell {
    void *data;
    size_t len;
    uint64_t tag;
};

struct sonic_sequencer {
    struct cell *cells;
    uint64_t mask; /* span - 1 */
    /* held and missing complement each other: one finds the end of a gap, the
     * other its beginning. */
    struct sonic__bitset held, missing;
    uint64_t least, greatest; /* valid unless items is 0 */
    size_t items, bytes, max_items, max_bytes;
    sonic_mem mem;
};

static size_t
span_of(const sonic_sequencer *s)
{
    return (size_t)s->mask + 1;
}

static void
fill(struct sonic__bitset *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sonic__bitset_add(b, i);
}

static int
allocate(sonic_sequencer *s)
{
    size_t span = span_of(s), bytes = span * sizeof *s->cells;
    int err;

    s->cells = s->mem.alloc(bytes, s->mem.ud);
    if (s->cells == NULL)
        return -ENOMEM;
    err = sonic__bitset_init(&s->held, span, &s->mem);
    if (err == 0) {
        err = sonic__bitset_init(&s->missing, span, &s->mem);
        if (err == 0)
            return 0;
        sonic__bitset_fini(&s->held, &s->mem);
    }
    s->mem.free(s->cells, bytes, s->mem.ud);
    return err;
}

int
sonic_sequencer_new(const sonic_sequencer_options *opt, sonic_sequencer **out)
{
    sonic_sequencer_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    size_t span = SPAN_LEAST, want = o.span != 0 ? o.span : SPAN_DEFAULT;
    sonic_sequencer *s;

    if (err < 0)
        return err;
    if (want > SPAN_MOST)
        return SONIC_EOPTION;
    while (span < want)
        span *= 2;
    if (o.max_items > span)
        return SONIC_EOPTION;
    s = mem->alloc(sizeof *s, mem->ud);
    if (s == NULL)
        return -ENOMEM;
    *s = (sonic_sequencer){
        .mask = span - 1,
        .max_items = o.max_items != 0 ? o.max_items : span,
        .max_bytes = o.max_bytes != 0 ? o.max_bytes : BYTES_DEFAULT,
        .mem = *mem,
    };
    err = allocate(s);
    if (err < 0) {
        mem->free(s, sizeof *s, mem->ud);
        return err;
    }
    fill(&s->missing, span);
    *out = s;
    return 0;
}

void
sonic_sequencer_free(sonic_sequencer *s)
{
    sonic_mem mem;

    if (s == NULL)
        return;
    mem = s->mem;
    sonic__bitset_fini(&s->missing, &mem);
    sonic__bitset_fini(&s->held, &mem);
    mem.free(s->cells, span_of(s) * sizeof *s->cells, mem.ud);
    mem.free(s, sizeof *s, mem.ud);
}

static inline size_t
place_of(const sonic_sequencer *s, uint64_t seq)
{
    return (size_t)(seq & s->mask);
}

/* Is seq between the least and the greatest? */
static inline bool
inside(const sonic_sequencer *s, uint64_t seq)
{
    return s->items > 0 && seq - s->least <= s->greatest - s->least;
}

bool
sonic_sequencer_has(const sonic_sequencer *s, uint64_t seq)
{
    return inside(s, seq) && sonic__bitset_has(&s->held, place_of(s, seq));
}

/* Move a bound so that seq is inside.  Distances are modulo 2^64, so the same
 * lines serve where the numbers start over. */
static int
reach(sonic_sequencer *s, uint64_t seq)
{
    if (s->items == 0)
        s->least = s->greatest = seq;
    else if (inside(s, seq))
        return 0;
    else if (seq - s->least <= s->mask)
        s->greatest = seq;
    else if (s->greatest - seq <= s->mask)
        s->least = seq;
    else
        return -ERANGE;
    return 0;
}

int
sonic_sequencer_push(sonic_sequencer *s, const sonic_sequenced *item)
{
    size_t at = place_of(s, item->seq);
    int err;

    if (sonic_sequencer_has(s, item->seq))
        return -EEXIST;
    if (s->items == s->max_items || item->len > s->max_bytes - s->bytes)
        return -ENOBUFS;
    err = reach(s, item->seq);
    if (err < 0)
        return err;
    s->cells[at] = (struct cell){item->data, item->len, item->tag};
    sonic__bitset_add(&s->held, at);
    sonic__bitset_remove(&s->missing, at);
    s->items++;
    s->bytes += item->len;
    return 0;
}

/* The first member of b at or after seq, which is within the span: how far
 * from seq it is.  b is not empty there. */
static uint64_t
ahead(const sonic_sequencer *s, const struct sonic__bitset *b, uint64_t seq)
{
    size_t from = place_of(s, seq), at = sonic__bitset_next(b, from);

    if (at == SONIC__BITSET_NONE) /* at the beginning of the ring */
        at = sonic__bitset_next(b, 0);
    return ((uint64_t)at - from) & s->mask;
}

static uint64_t
behind(const sonic_sequencer *s, const struct sonic__bitset *b, uint64_t seq)
{
    size_t from = place_of(s, seq), at = sonic__bitset_prev(b, from);

    if (at == SONIC__BITSET_NONE)
        at = sonic__bitset_prev(b, (size_t)s->mask);
    return ((uint64_t)from - at) & s->mask;
}

static void
take(sonic_sequencer *s, uint64_t seq, sonic_sequenced *out)
{
    size_t at = place_of(s, seq);
    const struct cell *c = &s->cells[at];

    if (out != NULL)
        *out = (sonic_sequenced){seq, c->data, c->len, c->tag};
    s->items--;
    s->bytes -= c->len;
    sonic__bitset_remove(&s->held, at);
    sonic__bitset_add(&s->missing, at);
    if (s->items == 0)
        return;
    if (seq == s->least)
        s->least += ahead(s, &s->held, seq);
    else if (seq == s->greatest)
        s->greatest -= behind(s, &s->held, seq);
}

int
sonic_sequencer_pop(sonic_sequencer *s, uint64_t seq, sonic_sequenced *out)
{
    if (!sonic_sequencer_has(s, seq))
        return -ENOENT;
    take(s, seq, out);
    return 0;
}

size_t
sonic_sequencer_pop_range(sonic_sequencer *s, uint64_t seq, size_t n,
                          sonic_sequenced *out)
{
    size_t k = 0;

    for (; k < n && sonic_sequencer_has(s, seq); k++, seq++)
        take(s, seq, &out[k]);
    return k;
}

int
sonic_sequencer_pop_first(sonic_sequencer *s, sonic_sequenced *out)
{
    if (s->items == 0)
        return -ENOENT;
    take(s, s->least, out);
    return 0;
}

int
sonic_sequencer_peek(const sonic_sequencer *s, uint64_t seq,
                     sonic_sequenced *out)
{
    const struct cell *c = &s->cells[place_of(s, seq)];

    if (!sonic_sequencer_has(s, seq))
        return -ENOENT;
    *out = (sonic_sequenced){seq, c->data, c->len, c->tag};
    return 0;
}

/* The first number at or after seq that is not held. */
static uint64_t
first_missing(const sonic_sequencer *s, uint64_t seq)
{
    if (!sonic_sequencer_has(s, seq))
        return seq;
    if (s->items == span_of(s)) /* the ring has no bit to end the search */
        return s->greatest + 1;
    return seq + ahead(s, &s->missing, seq);
}

/* RFC 1982: a comes after b. */
static inline bool
after(uint64_t a, uint64_t b)
{
    return a != b && a - b <= (uint64_t)INT64_MAX;
}

bool
sonic_sequencer_missing(const sonic_sequencer *s, uint64_t from, uint64_t to,
                        uint64_t *first, uint64_t *last)
{
    uint64_t a = first_missing(s, from), b = to;

    if (after(from, to) || after(a, to))
        return false;
    if (inside(s, a))
        b = a + ahead(s, &s->held, a) - 1;
    else if (s->items > 0 && after(s->least, a))
        b = s->least - 1;
    *first = a;
    *last = after(b, to) ? to : b;
    return true;
}

bool
sonic_sequencer_gap(const sonic_sequencer *s, uint64_t from, uint64_t *first,
                    uint64_t *last)
{
    return s->items > 0 &&
           sonic_sequencer_missing(s, from, s->greatest, first, last);
}

bool
sonic_sequencer_bounds(const sonic_sequencer *s, uint64_t *least,
                       uint64_t *greatest)
{
    if (s->items == 0)
        return false;
    *least = s->least;
    *greatest = s->greatest;
    return true;
}

size_t
sonic_sequencer_items(const sonic_sequencer *s)
{
    return s->items;
}

size_t
sonic_sequencer_bytes(const sonic_sequencer *s)
{
    return s->bytes;
}

double
sonic_sequencer_percent(const sonic_sequencer *s)
{
    double items = (double)s->items / (double)s->max_items;
    double bytes = (double)s->bytes / (double)s->max_bytes;

    return 100 * (items > bytes ? items : bytes);
}

void
sonic_sequencer_reset(sonic_sequencer *s)
{
    sonic_sequenced item;

    while (sonic_sequencer_pop_first(s, &item) == 0)
        ;
}
