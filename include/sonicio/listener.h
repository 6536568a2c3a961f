/* <sonicio/listener.h> - accepting connections */
#ifndef SONICIO_LISTENER_H
#define SONICIO_LISTENER_H

#include <sonicio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_listener sonic_listener;

/* stream is the caller's; NULL with an error. */
typedef void sonic_accept_fn(sonic_listener *listener, int err,
                             sonic_stream *stream, void *ud);

typedef struct sonic_listener_options {
    size_t size;
    int backlog; /* default 4096, which the system cuts to somaxconn */
    enum sonic_switch keep_path;        /* leave a unix socket's path alone: do
                                           not remove one that nobody listens
                                           on, nor this one at the end */
    const sonic_socket_options *socket; /* for the listener */
    const sonic_socket_options *accepted; /* for each connection */
} sonic_listener_options;

#define SONIC_LISTENER_OPTIONS_INIT                                            \
    {                                                                          \
        .size = sizeof(sonic_listener_options)                                 \
    }

/* sonic_listener_new - listen on an address given as text
 *
 * See <sonicio/address.h>; a name is looked up, blocking.  opt may be NULL.
 * ERRORS  SONIC_EADDRESS, SONIC_ERESOLVE, _AGAIN, SONIC_EOPTION,
 * -EADDRINUSE, … */
SONIC_API SONIC_MUST_CHECK int
sonic_listener_new(sonic_io *io, const char *address,
                   const sonic_listener_options *opt, sonic_listener **out);

/* sonic_listener_async_accept - the next connection, once
 *
 * Non-blocking, close-on-exec, with the options for accepted ones applied.
 * Called again in its callback it goes through the whole backlog of one
 * readiness without another wait.  Connections that were reset in the queue
 * (ECONNABORTED) are passed over.
 * With no descriptor left (EMFILE, ENFILE) the connection is taken with a
 * descriptor kept in reserve and closed, so that its client learns of it; cb
 * gets that error once per occasion and may go on: the listener rests for
 * 100 ms where even that is impossible, and never spins.
 * ERRORS  -EBUSY, -ECANCELED, SONIC_ECLOSED, -EMFILE, -ENFILE, -ENOMEM … */
SONIC_API void sonic_listener_async_accept(sonic_listener *listener,
                                           sonic_accept_fn *cb, void *ud);
SONIC_API SONIC_MUST_CHECK int sonic_listener_accept(sonic_listener *listener,
                                                     sonic_stream **out);

SONIC_API void sonic_listener_cancel(sonic_listener *listener);
SONIC_API void sonic_listener_close(sonic_listener *listener);
SONIC_API void sonic_listener_free(sonic_listener *listener);

/* The address it got: the real port where 0 was asked for. */
SONIC_API SONIC_MUST_CHECK int
sonic_listener_address(const sonic_listener *listener, sonic_address *out);
SONIC_API sonic_io *sonic_listener_io(const sonic_listener *listener);
SONIC_API int sonic_listener_fd(const sonic_listener *listener);
/* Connections turned away for lack of descriptors, ever. */
SONIC_API uint64_t sonic_listener_shed(const sonic_listener *listener);

#ifdef __cplusplus
}
#endif
#endif
