/* <sonicio/websocket_keep.h> - a client's connection that comes back
 *
 *     sonic_ws_async_keep(ws, "wss://feed.example/", NULL, on_given_up, ud);
 *
 * connects, and connects again whenever the connection has ended, after pauses
 * that grow.  The handler sees each time as ever: on_open runs for each
 * connection, which is the place to subscribe; on_close for each end and for
 * each attempt that failed, with the record of it, and sonic_ws_kept tells
 * there how long the pause is.  Its machine is `sonicio tables ws-keep`.
 *
 * Each attempt has the deadlines of sonic_ws_options: connect->timeout for
 * name and TCP, handshake_timeout for all of it.
 *
 * Pauses have decorrelated jitter, so that many clients which lost the same
 * server do not come back all at once: each is drawn from pause_min to three
 * times the one before, and is pause_max at most.
 */
#ifndef SONICIO_WEBSOCKET_KEEP_H
#define SONICIO_WEBSOCKET_KEEP_H

#include <sonicio/websocket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All times in nanoseconds. */
typedef struct sonic_ws_keep_options {
    size_t size;
    int64_t pause_min; /* default 100 ms */
    int64_t pause_max; /* default 30 s */
    int64_t settled;   /* a connection that was open for so long was a good one:
                          pauses and failures are counted anew; default 10 s */
    uint32_t tries;    /* give up after so many failures in a row; default
                          2^32 - 1 */
    enum sonic_switch stubborn; /* ON: go on also after failures that will not
                                   mend by themselves; see below */
} sonic_ws_keep_options;

#define SONIC_WS_KEEP_OPTIONS_INIT                                             \
    {                                                                          \
        .size = sizeof(sonic_ws_keep_options)                                  \
    }

/* sonic_ws_async_keep - connect, now and whenever the connection has ended
 *
 *   ws   a client's, not connected; url and opt (may be NULL) are copied
 *   cb   runs once, when it is over
 * It is over after
 *   sonic_ws_close          0, or why it was not clean
 *   sonic_ws_terminate, _free, sonic_ws_stop_keeping, the io's end  -ECANCELED
 *   the last of opt->tries  the error of that one
 *   a failure that its record calls not retryable (a wrong URL, a certificate,
 *   a status such as 403), before there ever was an open connection: that
 *   error; later such a failure is taken for one that passes
 * ERRORS, given to cb at once: -EBUSY, SONIC_ESTATE (a server's),
 * SONIC_EOPTION, -ENOMEM. */
SONIC_API void sonic_ws_async_keep(sonic_ws *ws, const char *url,
                                   const sonic_ws_keep_options *opt,
                                   sonic_ws_fn *cb, void *ud);

/* sonic_ws_stop_keeping - do not connect again.  A connection or an attempt
 * that is there goes on.  Without effect where nothing is kept. */
SONIC_API void sonic_ws_stop_keeping(sonic_ws *ws);

/* sonic_ws_connect_again - without a pause: in one, end it; cut a connection
 * that is open, such as one on which nothing comes any more.
 * ERRORS SONIC_ESTATE when nothing is kept. */
SONIC_API int sonic_ws_connect_again(sonic_ws *ws);

typedef struct sonic_ws_keeping {
    bool on;
    int64_t next;      /* time of the next attempt; INT64_MAX: none is due */
    uint32_t failures; /* in a row */
    uint64_t opens;    /* connections that were open */
} sonic_ws_keeping;
SONIC_API sonic_ws_keeping sonic_ws_kept(const sonic_ws *ws);

#ifdef __cplusplus
}
#endif
#endif
