/* <sonicio/histogram.h> - how values are distributed: latencies, sizes
 *
 * A histogram has a bucket for each value below 128, and from there on 64
 * buckets for each power of two, up to INT64_MAX.  So its memory is fixed
 * (30 KiB), recording costs the same for every value, and what it says about
 * a value is never off by more than 1/64 (1.6 %) of it; count, least, greatest
 * and mean are those of the values themselves.
 *
 * One thread at a time; for several, one each and sonic_histogram_add.
 */
#ifndef SONICIO_HISTOGRAM_H
#define SONICIO_HISTOGRAM_H

#include <stdio.h>

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/mem.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_histogram sonic_histogram;

/* sonic_histogram_new - an empty one
 *
 *   mem  copied; NULL: malloc(3).  Nothing is allocated after this.
 * ERRORS  -ENOMEM. */
SONIC_API SONIC_MUST_CHECK int sonic_histogram_new(const sonic_mem *mem,
                                                   sonic_histogram **out);
/* NULL is allowed. */
SONIC_API void sonic_histogram_free(sonic_histogram *h);

/* sonic_histogram_record, _record_n - a value, once or n times
 * No branch depends on the value.  A negative value counts as 0. */
SONIC_API void sonic_histogram_record(sonic_histogram *h, int64_t value);
SONIC_API void sonic_histogram_record_n(sonic_histogram *h, int64_t value,
                                        uint64_t n);

/* sonic_histogram_add - record all that `from` has recorded, too
 * from is not changed, and may be h itself. */
SONIC_API void sonic_histogram_add(sonic_histogram *h,
                                   const sonic_histogram *from);

/* sonic_histogram_reset - forget everything */
SONIC_API void sonic_histogram_reset(sonic_histogram *h);

/* Of an empty histogram each of these is 0. */
SONIC_API uint64_t sonic_histogram_count(const sonic_histogram *h);
SONIC_API int64_t sonic_histogram_min(const sonic_histogram *h);
SONIC_API int64_t sonic_histogram_max(const sonic_histogram *h);
SONIC_API double sonic_histogram_mean(const sonic_histogram *h);
/* Of the population: the root of the mean squared deviation. */
SONIC_API double sonic_histogram_stddev(const sonic_histogram *h);

/* sonic_histogram_percentile - the value that this share of all does not
 * exceed
 *
 *   percent  0 to 100, cut to that range; 0 is the least value, 100 the
 *            greatest, 50 the (lower) median, 99.9 what is called p99.9
 * Of n values in order it is the one at rank ceil(n * percent / 100), told
 * too high by less than 1/64 of it, and never too low. */
SONIC_API int64_t sonic_histogram_percentile(const sonic_histogram *h,
                                             double percent);

/* Values in [low, high], n of them. */
typedef void sonic_histogram_fn(int64_t low, int64_t high, uint64_t n,
                                void *ud);

/* sonic_histogram_each - every bucket that is not empty, in order */
SONIC_API void sonic_histogram_each(const sonic_histogram *h,
                                    sonic_histogram_fn *fn, void *ud);

/* sonic_histogram_format - nanoseconds for people, in three digits: "950 ns",
 * "12.3 us", "1.00 s"
 * Always terminated; 16 bytes always suffice.  Returns the length, or
 * SONIC_ETOOBIG when it was cut. */
SONIC_API int sonic_histogram_format(int64_t ns, char *text, size_t cap);

typedef struct sonic_histogram_drawing {
    size_t size;
    unsigned width;          /* columns; default 80, at least 60*/
    unsigned rows;           /* at most so many bars; default 20, at least 20 */
    enum sonic_switch ascii; /* ON: bars of '#'; else of UTF-8 blocks */
    const char *unit;        /* written behind each number; NULL: values are
                                nanoseconds, written as format does */
    const char *indent;      /* written before each row; NULL: none */
} sonic_histogram_drawing;

#define SONIC_HISTOGRAM_DRAWING_INIT                                           \
    {                                                                          \
        .size = sizeof(sonic_histogram_drawing)                                \
    }

/* sonic_histogram_draw - bars, one row each, with counts, shares, and the
 * percentiles that fall into it: p50 p90 p99 p99.9 p99.99 max
 *
 * Rows end at 1, 3, 6, 12 or 24 values of each power of ten: as fine as fit,
 * finer up to p99 than above it.  A bucket that lies in two rows is drawn in
 * the lower one.  An empty histogram draws one line that says so.  Without the
 * indent a row is `width` columns at most when it names no more than one
 * percentile.
 *   how  NULL: all defaults
 * ERRORS  -EIO, out could not be written. */
SONIC_API SONIC_MUST_CHECK int
sonic_histogram_draw(const sonic_histogram *h, FILE *out,
                     const sonic_histogram_drawing *how);

#ifdef __cplusplus
}
#endif
#endif
