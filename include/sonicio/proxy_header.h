/* <sonicio/proxy_header.h> - who is behind a load balancer
 *
 * The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): a
 * balancer begins each connection with a header that says whose it is.  Anyone
 * can write one, so it is read from those alone who are known to be balancers,
 * and then it must be there.  A WebSocket server does that by itself: see
 * sonic_ws_options.proxies.  The parser's machine is
 * `sonicio tables proxy-header`.
 */
#ifndef SONICIO_PROXY_HEADER_H
#define SONICIO_PROXY_HEADER_H

#include <sonicio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_proxy_header {
    uint8_t version; /* 1 or 2 */
    bool local;      /* of the balancer itself, such as a health check, or it
                        does not know whose: the stream's own addresses hold,
                        and these have len 0 */
    sonic_address source, target; /* the client's; what it connected to */
} sonic_proxy_header;

/* Bytes of a header with all that may follow its addresses, at most. */
#define SONIC_PROXY_HEADER_MAX 2048

/* sonic_proxy_header_parse - read what the bytes data[0..len) begin with
 *
 * Returns how many bytes it takes; 0: more of them are needed.  Additions of
 * version 2 (TLVs) are checked for their form and passed over.
 * ERRORS SONIC_EPROXY_HEADER: this is none. */
SONIC_API SONIC_MUST_CHECK int
sonic_proxy_header_parse(const void *data, size_t len, sonic_proxy_header *out);

/* h is NULL with an error. */
typedef void sonic_proxy_header_fn(sonic_stream *stream, int err,
                                   const sonic_proxy_header *h, void *ud);

/* sonic_proxy_header_async_read - take a header off a stream
 *
 * What follows it stays, to be read next.
 *   timeout  nanoseconds; 0: 10 s
 * ERRORS, given to cb: SONIC_EPROXY_HEADER, SONIC_EOF, -ETIMEDOUT, -EBUSY,
 * -ECANCELED, -ENOMEM, those of sonic_stream_lend. */
SONIC_API void sonic_proxy_header_async_read(sonic_stream *stream,
                                             int64_t timeout,
                                             sonic_proxy_header_fn *cb,
                                             void *ud);

/* sonic_network_holds - is an address in a network?
 *
 *   network  "10.0.0.0/8", "fd00::/8", "192.0.2.7", "::1"; "unix": any unix
 *            socket.  An IPv4 address that came by IPv6 is one of IPv4.
 * Returns 1 or 0.  ERRORS SONIC_EADDRESS: network is none. */
SONIC_API SONIC_MUST_CHECK int sonic_network_holds(const char *network,
                                                   const sonic_address *a);

#ifdef __cplusplus
}
#endif
#endif
