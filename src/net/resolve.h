/* resolve.h - looking a name up without holding up the loop */
#ifndef SONICIO_SRC_RESOLVE_H
#define SONICIO_SRC_RESOLVE_H

#include "net/address.h"
#include "reactor/reactor.h"

enum { SONIC__RESOLVE_MAX = 32 }; /* addresses of a name that are used */

struct sonic__resolve;

/* Runs once, on the loop, unless the look-up was dropped before. */
typedef void sonic__resolve_fn(struct sonic__resolve *r, void *ud);

/* One look-up and what it found.  It belongs to whoever started it until
 * sonic__resolve_drop, which may be called at any time. */
struct sonic__resolve {
    struct sonic__job job;
    sonic__resolve_fn *fn; /* loop only; NULL: dropped, nobody is interested */
    void *ud;
    const sonic_sys *sys;
    sonic_mem mem;
    bool busy; /* loop only: a worker may still write to it */
    char host[SONIC__HOST_MAX + 1];
    int family; /* AF_UNSPEC, AF_INET, AF_INET6 */
    uint16_t port;

    int err; /* 0, SONIC_ERESOLVE, _AGAIN, -ENOMEM, -EMFILE, -ENFILE */
    unsigned n;
    sonic_address found[SONIC__RESOLVE_MAX]; /* in the order of RFC 8305 */
};

/* Look host up on another thread; not a pending operation of the io by
 * itself.  ERRORS -ENOMEM, -EAGAIN: fn does not run. */
int sonic__resolve_start(sonic_io *io, const char *host, int family,
                         uint16_t port, sonic__resolve_fn *fn, void *ud,
                         struct sonic__resolve **out);

/* Look host up here and now.  As above, *out is dropped by the caller. */
int sonic__resolve_now(sonic_io *io, const char *host, int family,
                       uint16_t port, struct sonic__resolve **out);

/* Be done with it: fn will not run, and the memory goes when no worker holds
 * it any more.  NULL is allowed. */
void sonic__resolve_drop(struct sonic__resolve *r);

#endif
