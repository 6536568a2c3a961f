/* socket.h - sockets for feeds: of a group, or of one address */
#ifndef SONICIO_MOLD_SOCKET_H
#define SONICIO_MOLD_SOCKET_H

#include <sonicio/mold_feed.h>

/* One that receives a feed. */
int sonic__mold_listen(sonic_io *io, const sonic_mold_feed *feed,
                       const sonic_udp_options *opt, sonic_udp **out);
/* One that sends it, and where to. */
int sonic__mold_speak(sonic_io *io, const sonic_mold_feed *feed,
                      const sonic_udp_options *opt, int ttl, sonic_udp **out,
                      sonic_address *to);

#endif
