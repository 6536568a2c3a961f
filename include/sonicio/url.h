/* <sonicio/url.h> - WebSocket URLs */
#ifndef SONICIO_URL_H
#define SONICIO_URL_H

#include <sonicio/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Most bytes of a URL, of a host (RFC 1035 2.3.4, as text), of the path of a
 * unix socket (unix(7)). */
#define SONIC_URL_MAX 8192
#define SONIC_URL_HOST_MAX 253
#define SONIC_URL_UNIX_MAX 107

enum sonic_url_kind {
    SONIC_URL_NAME, /* a name for the resolver */
    SONIC_URL_IPV4, /* dotted decimal */
    SONIC_URL_IPV6, /* as inet_pton(3) reads it, perhaps with %scope */
    SONIC_URL_UNIX  /* the path of a unix socket; a leading '@' is abstract */
};

typedef struct sonic_url {
    size_t size;              /* sizeof(sonic_url); set by the INIT macro */
    enum sonic_url_kind kind; /* what host is */
    bool secure;              /* wss: TLS below */
    uint16_t port;            /* 1..65535, the scheme's own unless given; 0
                                 for a unix socket */
    /* What to connect to: terminated, brackets removed, %25scope decoded. */
    char host[256];
    /* What the Host header says: IPv6 in brackets and without its scope, the
     * port unless it is the scheme's own; "localhost" for a unix socket. */
    char authority[272];
    /* Path and query as they stand in the URL's own text, to its end.  When
     * this does not begin with '/', a '/' goes before it on the wire. */
    const char *resource;
} sonic_url;

#define SONIC_URL_INIT                                                         \
    {                                                                          \
        sizeof(sonic_url), SONIC_URL_NAME, false, 0, {0}, {0}, NULL            \
    }

/* sonic_url_parse - take a WebSocket URL apart
 *
 *   text  ws://HOST[:PORT][/PATH][?QUERY], the same with wss:, or
 *         ws+unix:SOCKET[:/PATH][?QUERY], or wss+unix.  HOST is a name, an IPv4
 *         address, or an IPv6 address in brackets with an optional %25SCOPE.
 *         SOCKET may be percent-encoded.
 *   url   filled in; its resource points into text
 *   why   NULL, or gets the reason of an error: one sentence, constant
 *
 * A user name and a fragment are refused, and so is every byte that is not
 * visible ASCII: percent-encode it; names of other scripts are written as
 * xn--.  Nothing is resolved and nothing is normalised but what `host` and
 * `authority` say above.
 *
 * ERRORS
 *   SONIC_EWS_URL  text is not such a URL, *why says what is wrong with it
 *   -EINVAL        an argument is NULL, or url->size was not set
 *
 * OWNERSHIP  text must live as long as url->resource is used.
 * SEE        RFC 6455 section 3, RFC 3986 section 3, RFC 6874.
 */
SONIC_API SONIC_MUST_CHECK int sonic_url_parse(const char *text, sonic_url *url,
                                               const char **why);

#ifdef __cplusplus
}
#endif
#endif
