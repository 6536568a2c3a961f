/* <sonicio/address.h> - where something is: TCP and UDP over IPv4 and IPv6,
 * and unix sockets
 *
 * As text:
 *     HOST:PORT           a name or an IPv4 literal; port 0 to 65535
 *     [V6]:PORT           an IPv6 literal, with %SCOPE where one is needed
 *     :PORT               any address (to listen on)
 *     unix:PATH           a unix socket in the file system
 *     unix:@NAME          one in the abstract namespace (Linux)
 *     tcp:… tcp4:… tcp6:… the same as HOST:PORT, with the family fixed
 *     udp:… udp4:… udp6:… likewise, where datagrams are meant
 */
#ifndef SONICIO_ADDRESS_H
#define SONICIO_ADDRESS_H

#include <sys/socket.h>

#include <sonicio/api.h>
#include <sonicio/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Long enough for every address as text, with its terminator. */
#define SONIC_ADDRESS_TEXT 128

typedef struct sonic_address {
    socklen_t len; /* bytes of storage in use; 0: no address */
    struct sockaddr_storage storage;
} sonic_address;

/* sonic_address_parse - text to address, without looking names up
 * ERRORS  SONIC_EADDRESS malformed, or a host that is a name. */
SONIC_API SONIC_MUST_CHECK int sonic_address_parse(const char *text,
                                                   sonic_address *out);

/* sonic_address_format - address to text, as sonic_address_parse reads it
 * But for what has no such text: a unix socket without a name, as most clients
 * have it, is "unix:", and another family's address "family-N".
 * Always terminated.  Returns the length, or SONIC_ETOOBIG when it was cut. */
SONIC_API int sonic_address_format(const sonic_address *a, char *text,
                                   size_t cap);

/* The port in host order; 0 for unix addresses. */
SONIC_API uint16_t sonic_address_port(const sonic_address *a);

#ifdef __cplusplus
}
#endif
#endif
