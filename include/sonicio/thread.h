/* <sonicio/thread.h> - which processors the calling thread runs on */
#ifndef SONICIO_THREAD_H
#define SONICIO_THREAD_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/sys.h>

#ifdef __cplusplus
extern "C" {
#endif

/* sonic_pin_thread - run the calling thread on these processors only
 *
 *   sys      NULL: the kernel
 *   cpus, n  their numbers, each below 8192; the system leaves out those that
 *            are off, or not in the thread's cgroup
 * Threads that it starts later inherit the set.
 * ERRORS  SONIC_EOPTION, n is 0 or a number too great; -EINVAL, none of them
 * can be had; -EPERM.  sched_setaffinity(2). */
SONIC_API SONIC_MUST_CHECK int sonic_pin_thread(const sonic_sys *sys,
                                                const unsigned *cpus, size_t n);

/* sonic_thread_cpus - the processors that the calling thread may run on
 *
 *   cpus  their numbers, ascending, as many as fit into cap
 * Returns how many there are, which may be more than cap; or an error of
 * sched_getaffinity(2). */
SONIC_API SONIC_MUST_CHECK int sonic_thread_cpus(const sonic_sys *sys,
                                                 unsigned *cpus, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
