/* What tests of sockets share: ios of both backends over any seam, streams
 * and callbacks that note what they were told, and counts of what is open. */
#ifndef SONICIO_TESTS_NET_WORLD_H
#define SONICIO_TESTS_NET_WORLD_H

#include <sonicio/listener.h>
#include <sonicio/sim.h>
#include <sonicio/timer.h>

enum { NET_BACKENDS = 2 };
#define NET_MS INT64_C(1000000)
#define NET_S INT64_C(1000000000)

/* An io with backend i; sys and mem may be NULL. */
sonic_io *net_io(int i, const sonic_sys *sys, const sonic_mem *mem);

/* Descriptors of this process that are open. */
unsigned net_open_fds(void);

/* Has this machine an IPv6 loopback? */
bool net_has_ipv6(void);

/* What a callback was told. */
struct net_told {
    int calls;
    int err;
    size_t n;
    sonic_stream *stream; /* from an accept */
};

sonic_stream_fn net_on_stream;
sonic_accept_fn net_on_accept;

sonic_stream *net_stream(sonic_io *io);
sonic_listener *net_listener(sonic_io *io, const char *address);
/* Its real address as text, in a buffer of SONIC_ADDRESS_TEXT. */
void net_where(sonic_listener *l, char *text);
/* An address of loopback that refuses: bound, not listening.  The caller
 * closes *fd. */
void net_refusing(int *fd, char *text);

/* Both streams are connected to each other: a byte each way. */
void net_talk(sonic_stream *a, sonic_stream *b);

#endif
