/* kit.h - what the benches share: a clock, cores, medians, the table */
#ifndef SONICIO_BENCH_KIT_H
#define SONICIO_BENCH_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

/* Print what failed, and errno when it is not 0; leave with failure. */
noreturn void kit_die(const char *what);

/* Likewise, unless err, one of the library's, is none. */
void kit_check(int err, const char *what);

/* CLOCK_MONOTONIC in nanoseconds */
double kit_now(void);

/* Nanoseconds that a process has had of the processors */
double kit_processor(pid_t pid);

/* Stay on the nth core of those that this process began with.  False when
 * there are fewer than two: then nobody is pinned. */
bool kit_pin(int nth);

/* Print, once, why nothing is pinned, if so. */
void kit_tell_cores(void);

/* A TCP socket that listens on a free port of 127.0.0.1. */
int kit_listen(uint16_t *port);

/* As many descriptors as this process and its children may have; how many. */
size_t kit_descriptors(void);

/* Resident memory of a process, bytes.  The sum over the mappings: the counter
 * in statm lags behind. */
double kit_resident(pid_t pid);

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
