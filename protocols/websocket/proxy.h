/* proxy.h - ask a proxy for a connection: HTTP CONNECT (RFC 9110 9.3.6) and
 * SOCKS5 (RFC 1928, 1929).
 *
 *     init;  loop { say, send that;  receive, feed until > 0, consume }
 *     until sonic__proxy_is_open
 *
 * Nothing behind the proxy's last answer is taken from the window: that is
 * the first of the tunnel.
 */
#ifndef SONICIO_WEBSOCKET_PROXY_H
#define SONICIO_WEBSOCKET_PROXY_H

#include <sonicio/url.h>

#include "websocket/handshake.h"

enum sonic__proxy_kind { SONIC__PROXY_HTTP, SONIC__PROXY_SOCKS5 };

enum { SONIC__PROXY_CREDENTIAL_MAX = 255 }; /* bytes each, RFC 1929 2 */

/* A proxy, as its URL names it. */
struct sonic__proxy_url {
    enum sonic__proxy_kind kind;
    bool credentials; /* user and password were given */
    sonic_url at;     /* kind, host and port are where to connect */
    char user[SONIC__PROXY_CREDENTIAL_MAX + 1];
    char password[SONIC__PROXY_CREDENTIAL_MAX + 1];
};

/* sonic__proxy_url_parse - http://[USER[:PASSWORD]@]HOST[:PORT], or socks5:
 *
 * The port is 80, or 1080 for socks5 (also written socks5h: names always go to
 * the proxy).  User and password may be percent-encoded.  Returns 0, or
 * SONIC_EWS_URL with the reason in *why, which may be NULL. */
SONIC_MUST_CHECK int sonic__proxy_url_parse(const char *text,
                                            struct sonic__proxy_url *url,
                                            const char **why);

/* All pointers are borrowed until the machine is open or has failed. */
struct sonic__proxy_options {
    enum sonic__proxy_kind kind;
    const char *host;            /* the far end: name or address, bare */
    uint16_t port;               /* 1..65535 */
    const char *user, *password; /* NULL: none */
    const struct sonic_ws_header *headers; /* HTTP: for the proxy */
    size_t n_headers;
};

struct sonic__proxy {
    const sonic_fsm_tracer *tracer; /* NULL, or the caller's after init */
    const struct sonic__proxy_options *options;
    struct sonic__http_field *fields;
    struct sonic__http_head head; /* HTTP */
    uint16_t max_fields;
    uint16_t status; /* what the proxy said: HTTP status or SOCKS reply code;
                        0 before it did */
    const char *why; /* an error in words; constant */
    uint8_t state;
    bool due;    /* it is our turn to say something */
    int verdict; /* 0, or the error that feed returned */
};

/* sonic__proxy_init - begin
 *
 *   fields  HTTP: room for max_fields header lines of the answer
 *
 * ERRORS
 *   SONIC_EWS_HEADER  a byte that may not be sent in host, credentials or
 *                     headers; ':' in an HTTP user; a header of the
 *                     library's own
 *   -EINVAL           host empty, over 253 bytes or with a scope; port 0; a
 *                     credential over 255 bytes, or empty for SOCKS5 */
SONIC_MUST_CHECK int
sonic__proxy_init(struct sonic__proxy *p,
                  const struct sonic__proxy_options *options,
                  struct sonic__http_field *fields, uint16_t max_fields);

/* sonic__proxy_say - the bytes to send now
 *
 * Returns their number, all written when it is at most cap; 0 when it is the
 * proxy's turn still (after an interim answer) or the tunnel is open; the
 * error when the machine has failed.  Say once after init and after each
 * positive feed. */
SONIC_MUST_CHECK int sonic__proxy_say(struct sonic__proxy *p, char *buf,
                                      size_t cap);

/* sonic__proxy_feed - look at the proxy's answer
 *
 *   window, len  all bytes received and not consumed; grows until feed
 *                returns a count, which the caller then consumes
 *
 * Returns the size of a complete answer, or 0 when more is needed.
 *
 * ERRORS, final, with p->status and p->why
 *   -EACCES        credentials wanted or wrong, or not allowed to (HTTP 401,
 *                  403, 407; SOCKS 2)
 *   -ECONNREFUSED  SOCKS 5; HTTP: any status not named here
 *   -ENETUNREACH, -EHOSTUNREACH   SOCKS 3, 4; HTTP 502, 503: the latter
 *   -ETIMEDOUT     SOCKS 6; HTTP 408, 504
 *   -EOPNOTSUPP, -EAFNOSUPPORT    SOCKS 7, 8; HTTP 405, 501: the former
 *   -EIO           SOCKS 1: general failure
 *   -EPROTO        not an answer of this protocol
 *   SONIC_EWS_HEAD, SONIC_EWS_HEAD_TOOBIG   of the HTTP head */
SONIC_MUST_CHECK int sonic__proxy_feed(struct sonic__proxy *p,
                                       const char *window, size_t len);

bool sonic__proxy_is_open(const struct sonic__proxy *p);

extern const sonic_fsm sonic__proxy_fsm;

#endif
