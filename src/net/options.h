/* options.h - socket options, and options structs of any kind */
#ifndef SONICIO_SRC_OPTIONS_H
#define SONICIO_SRC_OPTIONS_H

#include <sonicio/options.h>

#include "base/pack.h"
#include "reactor/reactor.h"

/* Where in its life a socket is: what is set by default, and what can be. */
enum sonic__stage {
    SONIC__BEFORE_BIND,    /* a listener, or a socket for datagrams */
    SONIC__BEFORE_CONNECT, /* everything but quick_ack ... */
    SONIC__AFTER_CONNECT,  /* ... which is all of this one */
    SONIC__ACCEPTED,
    SONIC__IN_USE /* what is asked for, no defaults */
};

/* Are all values in range, and have such sockets all these options at this
 * stage?  family 0: not known yet.  0 or SONIC_EOPTION. */
int sonic__options_check(const sonic_socket_options *opt, int family, int type,
                         enum sonic__stage stage);

/* Apply opt, which may be NULL, and the defaults of the stage.
 * 0; SONIC_EOPTION; or the system's error, and then some may be applied.
 * opt->bind is left to the caller, and refused where it has no meaning. */
int sonic__options_apply(sonic_io *io, int fd, int family, int type,
                         const sonic_socket_options *opt,
                         enum sonic__stage stage);

#endif
