/* address.h - an address taken apart, before any name is looked up */
#ifndef SONICIO_SRC_ADDRESS_H
#define SONICIO_SRC_ADDRESS_H

#include <sonicio/address.h>

enum { SONIC__HOST_MAX = 253 }; /* RFC 1035 section 2.3.4, as text */

enum sonic__address_kind {
    SONIC__ADDRESS_NAME,    /* host is to be looked up */
    SONIC__ADDRESS_NUMERIC, /* address is complete */
    SONIC__ADDRESS_ANY,     /* no host; address is the IPv6 wildcard, or the
                               IPv4 one where family says so */
    SONIC__ADDRESS_UNIX     /* address is complete */
};

struct sonic__address_parts {
    enum sonic__address_kind kind;
    int family; /* AF_UNSPEC where the text leaves it open */
    uint16_t port;
    char host[SONIC__HOST_MAX + 1]; /* "" unless it is a name */
    sonic_address address;
};

/* Take text apart: where a stream goes, or datagrams.  0 or SONIC_EADDRESS;
 * NULL is malformed. */
int sonic__address_split(const char *text, struct sonic__address_parts *out);
int sonic__address_split_udp(const char *text,
                             struct sonic__address_parts *out);

/* Write port, in host order, into an IPv4 or IPv6 address. */
void sonic__address_set_port(sonic_address *a, uint16_t port);

#endif
