/* <sonicio/timer.h> - timers on the reactor
 *
 * One heap per io; arming and cancelling cost no system call.  A timer is
 * READY, SCHEDULED or CLOSED.  `sonicio tables timer` has two states more:
 * CANCELLED is READY and LAST_WORD is CLOSED, with the -ECANCELED of a schedule
 * still owed.
 */
#ifndef SONICIO_TIMER_H
#define SONICIO_TIMER_H

#include <sonicio/io.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_timer sonic_timer;

typedef void sonic_timer_fn(sonic_timer *timer, int err, void *ud);

enum sonic_timer_state {
    SONIC_TIMER_READY,
    SONIC_TIMER_SCHEDULED,
    SONIC_TIMER_CLOSED
};

/* What a repeating timer does about ticks whose time passed while other
 * callbacks ran. */
enum sonic_missed_tick {
    SONIC_TICK_CATCH_UP = 0, /* run them all, one after the other */
    SONIC_TICK_SKIP          /* run once, then keep to the original grid */
};

/* sonic_timer_new - a timer of io, READY.  ERRORS -ENOMEM, SONIC_ECLOSED. */
SONIC_API SONIC_MUST_CHECK int sonic_timer_new(sonic_io *io, sonic_timer **out);

/* sonic_timer_once - call back once, after a delay
 *
 *   delay   nanoseconds of CLOCK_MONOTONIC.  0 or less runs cb through the
 *           bounded dispatch, as soon as possible.
 *   cb, ud  cb(timer, err, ud) runs exactly once.
 *
 * ERRORS, given to cb
 *   0              the delay has passed; never early, late by the time other
 *                  callbacks take and the kernel's timer slack
 *   -EBUSY         the timer was scheduled already; the first schedule stands
 *   -ECANCELED     sonic_timer_cancel or _close came first
 *   SONIC_ECLOSED  the timer was closed before
 *
 * OWNERSHIP  ud is yours and must live until cb has run.
 * SEE        epoll_pwait2(2); Sonic: Timer.ScheduleOnce.
 * DIFFERS    Sonic drops cb on Close; here it gets -ECANCELED.  Sonic cancels
 *            the second of two schedules; here it gets -EBUSY, for nobody
 *            cancelled it.
 */
SONIC_API void sonic_timer_once(sonic_timer *timer, int64_t delay,
                                sonic_timer_fn *cb, void *ud);

/* sonic_timer_at - the same at an absolute time of CLOCK_MONOTONIC */
SONIC_API void sonic_timer_at(sonic_timer *timer, int64_t when,
                              sonic_timer_fn *cb, void *ud);

/* sonic_timer_repeat - call back every `interval` nanoseconds
 *
 * The deadlines are now + k * interval: the grid does not drift, however late
 * a callback is.  cb runs with 0 for each tick, and once with the error that
 * ends the schedule: those of sonic_timer_once, or SONIC_EOPTION when
 * interval is not positive. */
SONIC_API void sonic_timer_repeat(sonic_timer *timer, int64_t interval,
                                  enum sonic_missed_tick missed,
                                  sonic_timer_fn *cb, void *ud);

/* sonic_timer_cancel - end the schedule
 *
 * The timer is READY at once and may be scheduled again; the callback of the
 * schedule that ended runs with -ECANCELED from the loop (or, when the timer
 * is scheduled again before that, from that call).  Without effect on a timer
 * that is not scheduled: a later schedule is not touched by it. */
SONIC_API void sonic_timer_cancel(sonic_timer *timer);

/* sonic_timer_close - cancel, for good.  Idempotent. */
SONIC_API void sonic_timer_close(sonic_timer *timer);

/* sonic_timer_free - close and release.  NULL is allowed. */
SONIC_API void sonic_timer_free(sonic_timer *timer);

SONIC_API enum sonic_timer_state sonic_timer_state(const sonic_timer *timer);
SONIC_API sonic_io *sonic_timer_io(const sonic_timer *timer);
/* When it is due; INT64_MAX when it is not scheduled. */
SONIC_API int64_t sonic_timer_deadline(const sonic_timer *timer);

#ifdef __cplusplus
}
#endif
#endif
