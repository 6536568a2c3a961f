/* <sonicio/stats.h> - mean and spread of values, as they come
 *
 * Welford's method: one pass, no sample is kept, and no loss of digits where
 * the values are large and their spread is small.  For percentiles see
 * <sonicio/histogram.h>.
 */
#ifndef SONICIO_STATS_H
#define SONICIO_STATS_H

#include <sonicio/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed, it is empty.  To be read through the functions. */
typedef struct sonic_stats {
    uint64_t count;
    double mean, squares; /* squares: of the deviations from the mean */
    double min, max;
} sonic_stats;

/* sonic_stats_add - one more value; one that is not a number is left out */
SONIC_API void sonic_stats_add(sonic_stats *s, double value);

/* sonic_stats_merge - as if all values of `from` had been added, too (Chan,
 * Golub and LeVeque).  from may be s itself. */
SONIC_API void sonic_stats_merge(sonic_stats *s, const sonic_stats *from);

SONIC_API void sonic_stats_reset(sonic_stats *s);

/* Of no values each of these is 0. */
SONIC_API uint64_t sonic_stats_count(const sonic_stats *s);
SONIC_API double sonic_stats_min(const sonic_stats *s);
SONIC_API double sonic_stats_max(const sonic_stats *s);
SONIC_API double sonic_stats_mean(const sonic_stats *s);
/* Of the population: divided by n. */
SONIC_API double sonic_stats_variance(const sonic_stats *s);
SONIC_API double sonic_stats_stddev(const sonic_stats *s);
/* Of a sample of it: divided by n - 1; 0 of one value. */
SONIC_API double sonic_stats_sample_variance(const sonic_stats *s);
SONIC_API double sonic_stats_sample_stddev(const sonic_stats *s);

/* The same of each window of so many values: what a program prints every
 * 1000 messages, say. */
typedef struct sonic_tracker {
    uint64_t window;  /* values; 0 means 128 */
    sonic_stats now;  /* of the window under way */
    sonic_stats last; /* of the one before */
} sonic_tracker;

/* sonic_tracker_add - true when this value completes a window, which is in
 * t->last then */
SONIC_API bool sonic_tracker_add(sonic_tracker *t, double value);

#ifdef __cplusplus
}
#endif
#endif
