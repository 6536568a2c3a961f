/* <sonicio/interface.h> - network interfaces, and their addresses */
#ifndef SONICIO_INTERFACE_H
#define SONICIO_INTERFACE_H

#include <sonicio/address.h>
#include <sonicio/io.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SONIC_INTERFACE_NAME 16 /* with its terminator */

typedef struct sonic_interface {
    unsigned index;
    char name[SONIC_INTERFACE_NAME];
    bool up, loopback, multicast;
    bool v4, v6; /* has such an address */
} sonic_interface;

/* sonic_interface_find - the index of an interface
 *
 *   text  its name, its index in decimal, or an address that it has;
 *         NULL and "" are 0: the system's choice
 * ERRORS  -ENODEV: there is none. */
SONIC_API SONIC_MUST_CHECK int
sonic_interface_find(sonic_io *io, const char *text, unsigned *index);

/* sonic_interface_name - the name of an index.  ERRORS -ENODEV. */
SONIC_API SONIC_MUST_CHECK int
sonic_interface_name(sonic_io *io, unsigned index,
                     char name[SONIC_INTERFACE_NAME]);

/* sonic_interface_list - those there are, in the order of their indices
 * Fills at most cap; returns how many there are. */
SONIC_API SONIC_MUST_CHECK int
sonic_interface_list(sonic_io *io, sonic_interface *out, size_t cap);

/* sonic_interface_addresses - the addresses of an interface, port 0
 *   family  AF_INET, AF_INET6, or AF_UNSPEC for both
 * Fills at most cap; returns how many there are.  ERRORS -ENODEV. */
SONIC_API SONIC_MUST_CHECK int
sonic_interface_addresses(sonic_io *io, unsigned index, int family,
                          sonic_address *out, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
