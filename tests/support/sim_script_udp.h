/* What scripts about datagrams are written with. */
#ifndef SONICIO_TESTS_SIM_SCRIPT_UDP_H
#define SONICIO_TESTS_SIM_SCRIPT_UDP_H

#include "sim_script.h"

struct addr {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_storage ss;
    };
};

/* All of the world's family. */
int udp_socket(struct world *w);
struct addr addr_of(struct world *w, const char *text, unsigned port);
struct addr home(struct world *w, unsigned port);
struct addr anywhere(struct world *w, unsigned port);
unsigned port_of(struct world *w, int fd);
int udp_bound(struct world *w, struct addr at);
/* to may be NULL. */
ssize_t send_bytes(struct world *w, int fd, const struct addr *to,
                   const void *p, size_t n);
ssize_t send_text(struct world *w, int fd, const struct addr *to,
                  const char *text);
/* recvmsg of at most max bytes, with `room` for control messages: all that it
 * tells but port numbers and times. */
void take_from(struct world *w, const char *what, int fd, size_t max,
               size_t room, int flags);
void udp_take(struct world *w, const char *what, int fd);
void set_one(struct world *w, int fd, int level, int name, int value);

#endif
