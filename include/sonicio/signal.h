/* <sonicio/signal.h> - signals as reactor events */
#ifndef SONICIO_SIGNAL_H
#define SONICIO_SIGNAL_H

#include <sonicio/io.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_signal sonic_signal;

/* signo is the signal that arrived; with err -ECANCELED it is 0. */
typedef void sonic_signal_fn(sonic_signal *sig, int err, int signo, void *ud);

/* sonic_signal_new - receive the signals of set on io's thread
 *
 * signalfd(2): the signals are blocked in the calling thread, and must be
 * blocked in every other thread of the process (threads started afterwards
 * inherit that).  They stay blocked when the object is freed. */
SONIC_API SONIC_MUST_CHECK int
sonic_signal_new(sonic_io *io, const sigset_t *set, sonic_signal **out);

/* sonic_signal_async_wait - call back for the next signal, once
 * ERRORS, given to cb: -EBUSY a wait is pending; -ECANCELED; SONIC_ECLOSED */
SONIC_API void sonic_signal_async_wait(sonic_signal *sig, sonic_signal_fn *cb,
                                       void *ud);
/* sonic_signal_wait - the blocking twin: the signal's number or an error */
SONIC_API SONIC_MUST_CHECK int sonic_signal_wait(sonic_signal *sig);

SONIC_API void sonic_signal_cancel(sonic_signal *sig);
SONIC_API void sonic_signal_close(sonic_signal *sig);
SONIC_API void sonic_signal_free(sonic_signal *sig);

#ifdef __cplusplus
}
#endif
#endif
