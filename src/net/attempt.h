/* attempt.h - one socket on its way to one address */
#ifndef SONICIO_SRC_ATTEMPT_H
#define SONICIO_SRC_ATTEMPT_H

#include <net/if.h>

#include "net/address.h"
#include "net/options.h"

/* What every socket gets before it connects. */
struct sonic__plan {
    sonic_socket_options socket; /* a copy, with pointers into this struct */
    struct sonic__address_parts from; /* where socket.bind is given */
    char device[IFNAMSIZ];
};

struct sonic__attempt;

/* Runs once, on the loop, unless the attempt was freed before: with a
 * connected descriptor, which is yours, or an error.  Free a then. */
typedef void sonic__attempt_fn(struct sonic__attempt *a, int fd, void *ud);

struct sonic__attempt {
    struct sonic__object object;
    struct sonic__attempt *next; /* for its owner */
    sonic__attempt_fn *fn;
    void *ud;
    const sonic_address *to;
    const struct sonic__plan *plan;
};

/* Copy options into a plan for connecting to `to`, whose family may become
 * that of the local address.  0, SONIC_EOPTION. */
int sonic__plan_init(struct sonic__plan *plan, const sonic_socket_options *opt,
                     struct sonic__address_parts *to);

/* Begin to connect.  `to` and plan are borrowed until it ends.
 * Returns a descriptor that is connected already; or -EINPROGRESS with *out
 * set, and fn will run; or an error. */
int sonic__attempt_start(sonic_io *io, const struct sonic__plan *plan,
                         const sonic_address *to, sonic__attempt_fn *fn,
                         void *ud, struct sonic__attempt **out);

/* Close it, whatever its state. */
static inline void
sonic__attempt_free(struct sonic__attempt *a)
{
    sonic__object_free(&a->object);
}

#endif
