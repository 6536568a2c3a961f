/* <sonicio/warm.h> - have everything in place before the first message
 *
 * The first use of a page costs a fault, being moved to another processor its
 * caches, being swapped out a disk.  sonic_warm_path pays for all of that at
 * once, on the thread that is going to run the io, and says what it could not
 * do.
 */
#ifndef SONICIO_WARM_H
#define SONICIO_WARM_H

#include <sonicio/io.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_warm_options {
    size_t size;
    const unsigned *cpus;   /* pin the thread to these; see thread.h */
    size_t n_cpus;          /* default 0: it is not pinned */
    enum sonic_switch lock; /* keep all of the process's pages in memory, those
                               that are made later too (mlockall(2)); default
                               on */
    enum sonic_switch lock_all; /* ON: have every page of every mapping made
                                   now, touched or not; default: what exists is
                                   kept, and the rest as it is touched */
    size_t buffers; /* of the io's receive buffers, touch so many; default 2,
                       at most 1024 */
    size_t blocks;  /* of its blocks for what is to be sent, have so many of
                       each size ready; default 8, at most 4096 */
    size_t stack;   /* bytes of the thread's stack; default 256 KiB */
} sonic_warm_options;

#define SONIC_WARM_OPTIONS_INIT                                                \
    {                                                                          \
        .size = sizeof(sonic_warm_options)                                     \
    }

/* 1: it was not asked for.  0: done.  Else why it was not. */
typedef struct sonic_warm_report {
    int pin;
    int buffers;
    int blocks;
    int stack; /* -ENOMEM: the stack is not so large; what there is was
                  touched */
    int lock;  /* -EPERM, -ENOMEM: see RLIMIT_MEMLOCK */
    size_t buffer_bytes, block_bytes, stack_bytes; /* touched */
} sonic_warm_report;

/* sonic_warm_path - prepare the calling thread, and an io that it will run
 *
 *   opt     NULL: the defaults
 *   report  may be NULL
 * In this order: pin (so that memory comes from the processor's own node),
 * buffers, blocks, stack, lock.  What fails does not keep the rest from being
 * tried.
 * Returns 0, or the first error of the report; SONIC_EOPTION, and nothing is
 * done, for a value over its limit. */
SONIC_API SONIC_MUST_CHECK int sonic_warm_path(sonic_io *io,
                                               const sonic_warm_options *opt,
                                               sonic_warm_report *report);

/* sonic_warm_format - a report in words, a line for each part
 * Always terminated; 512 bytes always suffice.  Returns the length, or
 * SONIC_ETOOBIG when it was cut. */
SONIC_API int sonic_warm_format(const sonic_warm_report *report, char *text,
                                size_t cap);

#ifdef __cplusplus
}
#endif
#endif
