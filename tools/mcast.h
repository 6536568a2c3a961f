/* mcast.h - what the three sides of `sonicio mcast` share */
#ifndef SONICIO_TOOLS_MCAST_H
#define SONICIO_TOOLS_MCAST_H

#include <signal.h>

#include <sonicio/sonicio.h>

#include "common.h"

/* A packet of ours: so many bytes, and what is asked for beyond that, zeros.
 * All numbers in network order. */
enum {
    MCAST_HEAD = 28, /* "sncm", the run's number, sequence, wall clock */
    MCAST_MOST = 65507
};

struct mcast_packet {
    uint64_t run, sequence;
    int64_t sent; /* ns of CLOCK_REALTIME */
};

void mcast_encode(uint8_t *to, const struct mcast_packet *p);
/* False: it is somebody else's. */
bool mcast_decode(const uint8_t *data, size_t len, struct mcast_packet *p);

struct mcast_options {
    const char *address; /* "GROUP:PORT", as given */
    char group[64];      /* its host, without brackets; a scope stays */
    sonic_address to;
    const char *iface, *source;
    uint64_t count; /* 0: until a signal */
    double rate;    /* packets a second */
    size_t size;
    int64_t duration; /* ns; 0: until a signal */
    int ttl;
    enum run_mode mode;
    enum sonic_backend backend;
    bool timestamps, json, quiet;
};

int64_t wall_clock(void);

/* "no such interface", "not a multicast address" ...: to stderr; EXIT_BAD. */
int mcast_fail(const char *what, int err);

/* An io that SIGINT and SIGTERM stop: 0 or the error. */
int mcast_io(const struct mcast_options *o, sonic_io **io);

/* A socket for the group: bound to it (receiving) or to any port. */
int mcast_socket(sonic_io *io, const struct mcast_options *o, bool receive,
                 sonic_udp **out);

/* The commands' statuses. */
int mcast_receive(const struct mcast_options *o);
int mcast_send(const struct mcast_options *o);
int mcast_stat(const struct mcast_options *o);

#endif
