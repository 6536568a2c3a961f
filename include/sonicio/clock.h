/* <sonicio/clock.h> - clocks
 *
 * Time in nanoseconds.  Intervals are measured with the monotonic clock, which
 * is the one that sonic_io_now and all deadlines go by; the time of day may
 * jump.  The processor's own counter is the quickest to read (a few
 * nanoseconds, no call), where it runs at one rate: see sonic_tsc.
 */
#ifndef SONICIO_CLOCK_H
#define SONICIO_CLOCK_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/sys.h>

#ifdef __cplusplus
extern "C" {
#endif

/* sys may be NULL: the kernel. */
SONIC_API int64_t sonic_clock_monotonic(const sonic_sys *sys);
/* Since 1970-01-01, UTC. */
SONIC_API int64_t sonic_clock_realtime(const sonic_sys *sys);

/* A line through two readings of both clocks: ns = base_ns + (ticks -
 * base_ticks) * mult / 2^shift. */
typedef struct sonic_tsc {
    uint64_t base_ticks, first_ticks;
    int64_t base_ns, first_ns;
    uint32_t mult, shift;
    const sonic_sys *sys;
} sonic_tsc;

/* sonic_tsc_open - calibrate the processor's counter against the monotonic
 * clock
 *
 *   wait  nanoseconds of calibration, which this call spins; default (0) 10 ms.
 *         The rate is then right to about 100 ns in that time (10 ppm).
 * Afterwards the counter belongs to no thread, but sonic_tsc_sync does.
 * ERRORS  SONIC_EOPTION: this processor has no counter that runs at one rate
 * whatever the clock frequency and sleep states (x86: invariant TSC; ARM64 has
 * one), or sys has no threads (a simulated world, whose time is not the
 * processor's); or wait is negative or over 10 s. */
SONIC_API SONIC_MUST_CHECK int
sonic_tsc_open(sonic_tsc *tsc, const sonic_sys *sys, int64_t wait);

/* sonic_tsc_now - nanoseconds, on the scale of sonic_clock_monotonic */
SONIC_API int64_t sonic_tsc_now(const sonic_tsc *tsc);

/* sonic_tsc_sync - set it again by the monotonic clock, its rate too
 * Call it every second or so where both clocks are compared: the kernel's
 * drifts against any other as NTP steers it.  Returns by how much it was
 * wrong, in nanoseconds: positive when it was ahead. */
SONIC_API int64_t sonic_tsc_sync(sonic_tsc *tsc);

#ifdef __cplusplus
}
#endif
#endif
