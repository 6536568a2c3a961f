/* bind.h - sockets that have an address of their own */
#ifndef SONICIO_SRC_BIND_H
#define SONICIO_SRC_BIND_H

#include <sonicio/options.h>

#include "net/address.h"
#include "reactor/reactor.h"

/* How a socket is made for an address; the first member of whatever else that
 * takes. */
struct sonic__opening {
    /* A descriptor, or an error: then the next address is tried. */
    int (*open)(sonic_io *io, const struct sonic__opening *r,
                const sonic_address *a);
    sonic_socket_options socket;
};

/* Make a socket for an address taken apart: any address means both families,
 * and of a name the first address that works is taken.  *out is that one.
 * Returns the descriptor, or the last error. */
int sonic__open(sonic_io *io, struct sonic__opening *r,
                const struct sonic__address_parts *parts, sonic_address *out);

/* A listening socket, non-blocking, for an address given as text; *out is the
 * one of its addresses that could be had.  A unix socket's path on which
 * nobody listens is removed first, unless keep_path.
 * Returns the descriptor, or an error. */
int sonic__listen(sonic_io *io, const char *address, int backlog,
                  bool keep_path, const sonic_socket_options *opt,
                  sonic_address *out);

/* Remove the path of a unix socket, if it is one and nobody listens there. */
void sonic__unbind(sonic_io *io, const sonic_address *a);

#endif
