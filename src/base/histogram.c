/* Log-linear buckets.  Bucket i holds
 *     i < 128     the value i
 *     otherwise   [m << s, (m + 1) << s) with s = i / 64 - 1, m = i % 64 + 64
 * which is one formula, shift and index below, for both. */
#include <sonicio/histogram.h>

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/root.h"

enum {
    SUB_BITS = 6, /* 2^SUB_BITS buckets for each power of two */
    SUB = 1 << SUB_BITS,
    BUCKETS = (63 - SUB_BITS) * SUB + SUB
};

struct sonic_histogram {
    uint64_t count;
    int64_t min, max;
    /* Sums of v - origin and of its square: origin is the first value, which
     * keeps the sums small where the spread is, and so exact enough. */
    int64_t origin;
    double sum, squares;
    sonic_mem mem;
    uint64_t buckets[BUCKETS];
};

static unsigned
shift_of(uint64_t v)
{
    return 63 - SUB_BITS - (unsigned)__builtin_clzll(v | SUB);
}

static size_t
index_of(uint64_t v)
{
    unsigned s = shift_of(v);

    return s * SUB + (size_t)(v >> s);
}

static unsigned
bucket_shift(size_t i)
{
    return i < 2 * SUB ? 0 : (unsigned)(i / SUB) - 1;
}

static int64_t
bucket_low(size_t i)
{
    unsigned s = bucket_shift(i);

    return (int64_t)(((uint64_t)i - (uint64_t)s * SUB) << s);
}

static int64_t
bucket_high(size_t i)
{
    return (int64_t)((uint64_t)bucket_low(i) +
                     ((UINT64_C(1) << bucket_shift(i)) - 1));
}

int
sonic_histogram_new(const sonic_mem *mem, sonic_histogram **out)
{
    const sonic_mem *m = sonic__mem_or_default(mem);
    sonic_histogram *h = m->alloc(sizeof *h, m->ud);

    *out = h;
    if (h == NULL)
        return -ENOMEM;
    h->mem = *m;
    sonic_histogram_reset(h);
    return 0;
}

void
sonic_histogram_free(sonic_histogram *h)
{
    if (h != NULL)
        h->mem.free(h, sizeof *h, h->mem.ud);
}

void
sonic_histogram_reset(sonic_histogram *h)
{
    h->count = 0;
    h->min = INT64_MAX;
    h->max = 0;
    h->origin = 0;
    h->sum = h->squares = 0;
    memset(h->buckets, 0, sizeof h->buckets);
}

void
sonic_histogram_record(sonic_histogram *h, int64_t value)
{
    int64_t v = value < 0 ? 0 : value;
    double d;

    if (h->count == 0)
        h->origin = v;
    d = (double)(v - h->origin);
    h->count++;
    h->min = v < h->min ? v : h->min;
    h->max = v > h->max ? v : h->max;
    h->sum += d;
    h->squares += d * d;
    h->buckets[index_of((uint64_t)v)]++;
}

void
sonic_histogram_record_n(sonic_histogram *h, int64_t value, uint64_t n)
{
    int64_t v = value < 0 ? 0 : value;
    double d;

    if (n == 0)
        return;
    if (h->count == 0)
        h->origin = v;
    d = (double)(v - h->origin);
    h->count += n;
    h->min = v < h->min ? v : h->min;
    h->max = v > h->max ? v : h->max;
    h->sum += d * (double)n;
    h->squares += d * d * (double)n;
    h->buckets[index_of((uint64_t)v)] += n;
}

void
sonic_histogram_add(sonic_histogram *h, const sonic_histogram *from)
{
    double n = (double)from->count;
    double d; /* from our origin to theirs */

    if (from->count == 0)
        return;
    if (h->count == 0)
        h->origin = from->origin;
    d = (double)(from->origin - h->origin);
    h->squares += from->squares + d * (2 * from->sum + n * d);
    h->sum += from->sum + n * d;
    h->min = from->min < h->min ? from->min : h->min;
    h->max = from->max > h->max ? from->max : h->max;
    h->count += from->count;
    for (size_t i = 0; i < BUCKETS; i++)
        h->buckets[i] += from->buckets[i];
}

uint64_t
sonic_histogram_count(const sonic_histogram *h)
{
    return h->count;
}

int64_t
sonic_histogram_min(const sonic_histogram *h)
{
    return h->count == 0 ? 0 : h->min;
}

int64_t
sonic_histogram_max(const sonic_histogram *h)
{
    return h->max;
}

double
sonic_histogram_mean(const sonic_histogram *h)
{
    if (h->count == 0)
        return 0;
    return (double)h->origin + h->sum / (double)h->count;
}

double
sonic_histogram_stddev(const sonic_histogram *h)
{
    double mean;

    if (h->count == 0)
        return 0;
    mean = h->sum / (double)h->count; /* counted from the origin */
    return sonic__root(h->squares / (double)h->count - mean * mean);
}

/* The rank of a percentile, 1 to count.  The product is cut a little before
 * it is rounded up: 99.99 / 100 is not exact, and must not become the rank
 * behind. */
static uint64_t
rank_of(const sonic_histogram *h, double percent)
{
    double exact = (double)h->count * (percent / 100) * (1 - 1e-14);
    uint64_t rank = (uint64_t)exact;

    if ((double)rank < exact)
        rank++;
    if (rank < 1)
        rank = 1;
    return rank > h->count ? h->count : rank;
}

int64_t
sonic_histogram_percentile(const sonic_histogram *h, double percent)
{
    uint64_t rank, seen = 0;
    size_t i = 0;

    if (h->count == 0)
        return 0;
    if (!(percent > 0)) /* and what is not a number */
        return h->min;
    if (percent >= 100)
        return h->max;
    rank = rank_of(h, percent);
    for (seen = h->buckets[0]; seen < rank; seen += h->buckets[i])
        i++;
    return bucket_high(i) < h->max ? bucket_high(i) : h->max;
}

void
sonic_histogram_each(const sonic_histogram *h, sonic_histogram_fn *fn, void *ud)
{
    for (size_t i = 0; i < BUCKETS; i++)
        if (h->buckets[i] > 0)
            fn(bucket_low(i), bucket_high(i), h->buckets[i], ud);
}
