/* kit.h - what the benches share: a clock, cores, medians, the table */
#ifndef SONICIO_BENCH_KIT_H
#define SONICIO_BENCH_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* Print what failed, and errno when it is not 0; leave with failure. */
noreturn void kit_die(const char *what);

/* CLOCK_MONOTONIC in nanoseconds */
double kit_now(void);

/* Stay on the nth core of those that this process began with.  False when
 * there are fewer than two: then nobody is pinned. */
bool kit_pin(int nth);

/* Print, once, why nothing is pinned, if so. */
void kit_tell_cores(void);

/* The median of v[0..n); v is sorted.  n > 0. */
double kit_median(double *v, size_t n);

/* What has to hold for "ok". */
enum kit_rule {
    KIT_NO_RULE,
    KIT_AT_MOST,        /* measured <= must */
    KIT_RATIO_AT_MOST,  /* ratio <= must */
    KIT_RATIO_AT_LEAST, /* ratio >= must */
};

struct kit_row {
    const char *what;
    double measured;
    double floor; /* 0: there is none */
    double ratio; /* 0: measured / floor */
    double must;
    enum kit_rule rule;
};

void kit_title(const char *title, const char *unit);
void kit_row(const struct kit_row *row);

/* Is --quick among the arguments?  Anything else ends the program. */
bool kit_quick(int argc, char **argv);

#endif
