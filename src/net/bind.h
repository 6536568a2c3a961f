/* bind.h - sockets that have an address of their own */
#ifndef SONICIO_SRC_BIND_H
#define SONICIO_SRC_BIND_H

#include <sonicio/address.h>
#include <sonicio/options.h>

#include "reactor/reactor.h"

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
