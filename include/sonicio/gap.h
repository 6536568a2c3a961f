/* <sonicio/gap.h> - what to do with a numbered message: use, keep, ask again
 *
 * A feed numbers its messages; some are lost on the way and can be asked for.
 * The detector knows two numbers:
 *     present   the last one that was used; all before it were, too
 *     future    the greatest one that was heard of
 * and, when they differ, that what lies between is missing, or came too early
 * and is kept (in a <sonicio/sequencer.h>).  As soon as a message lies beyond
 * future + 1, those from future + 1 up to it are asked for; nothing is asked
 * for twice until `retry` has passed without progress.
 *
 *     switch (sonic_gap_received(g, seq, 1, now, &ask)) {
 *     case SONIC_GAP_USE:
 *         use the message, then what follows it in the sequencer, and
 *         sonic_gap_used(g, the last one that was used, now);
 *         break;
 *     case SONIC_GAP_KEEP:
 *         push it to the sequencer
 *         break;
 *     case SONIC_GAP_DROP:
 *         break;
 *     }
 *     if (ask.count > 0) request ask.count messages from ask.first on
 *
 * It reads no clock, does no I/O and holds no message: time comes from the
 * caller, in nanoseconds of any clock.  Numbers follow each other modulo 2^64
 * and are compared as RFC 1982 does.  Its table: `sonicio tables gap`.
 */
#ifndef SONICIO_GAP_H
#define SONICIO_GAP_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/fsm.h>
#include <sonicio/mem.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_gap sonic_gap;

typedef struct sonic_gap_options {
    size_t size;
    const sonic_mem *mem;   /* copied; NULL: malloc(3) */
    int64_t retry;          /* ns without progress until what is missing is
                               asked for again; default 100 ms */
    unsigned tries;         /* requests for one gap, the first included;
                               default 10 */
    enum sonic_switch join; /* ON: the first number received is the first of
                               all; default: `first` is */
    uint64_t first;         /* the first number of the feed; default 1 (for one
                               that begins with 0: sonic_gap_restart(g, 0)) */
} sonic_gap_options;

#define SONIC_GAP_OPTIONS_INIT                                                 \
    {                                                                          \
        .size = sizeof(sonic_gap_options)                                      \
    }

/* Numbers first .. first + count - 1. */
typedef struct sonic_gap_range {
    uint64_t first, count;
} sonic_gap_range;

enum sonic_gap_verdict {
    SONIC_GAP_DROP, /* all of it was used before, or the feed is over */
    SONIC_GAP_USE,  /* it is next (its first part may have been used) */
    SONIC_GAP_KEEP  /* it is too early */
};

enum sonic_gap_state {
    SONIC_GAP_JOINING, /* nothing was received: any number will do */
    SONIC_GAP_LEVEL,   /* present == future: nothing is missing */
    SONIC_GAP_OPEN,    /* something between them is */
    SONIC_GAP_ENDING,  /* the same, and there will be no new messages */
    SONIC_GAP_ENDED    /* the end was reached without a gap */
};

/* sonic_gap_new - opt may be NULL.  ERRORS -ENOMEM; SONIC_EOPTION, retry is
 * negative. */
SONIC_API SONIC_MUST_CHECK int sonic_gap_new(const sonic_gap_options *opt,
                                             sonic_gap **out);
SONIC_API void sonic_gap_free(sonic_gap *g); /* NULL is allowed */

/* sonic_gap_received - messages first .. first + count - 1 have come
 *
 *   count  at least 1: with 0 nothing happens, and it is DROP
 *   now    time, any clock that does not go back
 *   *ask   what to ask for at once; count 0: nothing
 * USE moves present to the last of them.  KEEP says nothing about duplicates:
 * the sequencer does. */
SONIC_API enum sonic_gap_verdict sonic_gap_received(sonic_gap *g,
                                                    uint64_t first,
                                                    uint64_t count, int64_t now,
                                                    sonic_gap_range *ask);

/* sonic_gap_heard - the feed says which number its next message will have
 *
 * As heartbeats do: it shows the loss of the last message before a pause.
 *   *ask  as above
 * Returns true when something is missing. */
SONIC_API bool sonic_gap_heard(sonic_gap *g, uint64_t next, int64_t now,
                               sonic_gap_range *ask);

/* sonic_gap_used - messages that were kept have been used, up to `last`
 * Cut to future; numbers at or before present change nothing. */
SONIC_API void sonic_gap_used(sonic_gap *g, uint64_t last, int64_t now);

/* sonic_gap_deadline - when sonic_gap_late is to be called; INT64_MAX while
 * nothing is missing. */
SONIC_API int64_t sonic_gap_deadline(const sonic_gap *g);

/* sonic_gap_late - time has passed
 *
 *   *ask  from present + 1 to future, once the deadline is reached: what
 *         sonic_sequencer_missing says of that is to be asked for again
 * Returns 0; or -ETIMEDOUT when all tries are spent: ask is what is lost then,
 * and to be skipped, or fetched by other means. */
SONIC_API SONIC_MUST_CHECK int sonic_gap_late(sonic_gap *g, int64_t now,
                                              sonic_gap_range *ask);

/* sonic_gap_skip - go on behind `last`: all up to it counts as used
 *
 * For giving up on what is missing, and for a snapshot, which may lie beyond
 * future, and ends joining.  What follows in the sequencer is next then, as
 * after SONIC_GAP_USE. */
SONIC_API void sonic_gap_skip(sonic_gap *g, uint64_t last, int64_t now);

/* sonic_gap_end - there will be no new messages (numbers after future);
 * what is missing still may come. */
SONIC_API void sonic_gap_end(sonic_gap *g, int64_t now);

/* sonic_gap_restart, _rejoin - a new session: number `first` is next; whichever
 * comes is.  Statistics go on. */
SONIC_API void sonic_gap_restart(sonic_gap *g, uint64_t first);
SONIC_API void sonic_gap_rejoin(sonic_gap *g);

SONIC_API enum sonic_gap_state sonic_gap_state(const sonic_gap *g);
/* present + 1: the number to be used next.  0 while joining. */
SONIC_API uint64_t sonic_gap_next(const sonic_gap *g);
/* The greatest number that was heard of.  0 while joining. */
SONIC_API uint64_t sonic_gap_future(const sonic_gap *g);

typedef struct sonic_gap_stats {
    uint64_t used;    /* messages: in order, or kept before */
    uint64_t kept;    /* verdicts KEEP, in messages */
    uint64_t dropped; /* verdicts DROP, in messages */
    uint64_t asked;   /* messages asked for by the first request */
    uint64_t retries; /* requests after the first */
    uint64_t lost;    /* messages skipped */
    uint64_t gaps;    /* times that something was missing, and is or not */
    int64_t longest;  /* ns from the first sign of a gap until it was closed */
    int64_t last;     /* the same of the gap that was closed last */
} sonic_gap_stats;

SONIC_API void sonic_gap_get_stats(const sonic_gap *g, sonic_gap_stats *out);

/* sonic_gap_trace - see the machine's steps; NULL: no more.  Borrowed. */
SONIC_API void sonic_gap_trace(sonic_gap *g, const sonic_fsm_tracer *tracer);

#ifdef __cplusplus
}
#endif
#endif
