#include "mold/socket.h"

#include <netinet/in.h>
#include <string.h>

/* "239.1.1.1:5000" to "239.1.1.1", "[ff15::1%eth0]:5000" to "ff15::1%eth0". */
static int
host_of(const char *address, char *host, size_t cap)
{
    const char *end = strrchr(address, ':');
    size_t n;

    if (end == NULL)
        return SONIC_EADDRESS;
    if (address[0] == '[' && end > address + 1 && end[-1] == ']') {
        address++;
        end--;
    }
    n = (size_t)(end - address);
    if (n >= cap)
        return SONIC_EADDRESS;
    memcpy(host, address, n);
    host[n] = '\0';
    return 0;
}

/* Does the group mean nothing without an interface?  RFC 4291 2.7. */
static bool
needs_scope(const sonic_address *a)
{
    const struct sockaddr_in6 *six = (const void *)&a->storage;

    return a->storage.ss_family == AF_INET6 && six->sin6_scope_id == 0 &&
           (IN6_IS_ADDR_MC_LINKLOCAL(&six->sin6_addr) ||
            IN6_IS_ADDR_MC_NODELOCAL(&six->sin6_addr));
}

/* The feed's address, with its interface where that belongs to it. */
static int
address_of(const sonic_mold_feed *f, char text[SONIC_ADDRESS_TEXT],
           sonic_address *out)
{
    size_t n = strlen(f->address);
    const char *end = strrchr(f->address, ']');
    int err = sonic_address_parse(f->address, out);

    if (n >= SONIC_ADDRESS_TEXT)
        return SONIC_EADDRESS;
    memcpy(text, f->address, n + 1);
    if (err < 0 || f->interface == NULL || end == NULL || !needs_scope(out))
        return err;
    n = (size_t)(end - f->address);
    if (n + strlen(f->interface) + strlen(end) + 2 > SONIC_ADDRESS_TEXT)
        return SONIC_EADDRESS;
    text[n] = '%';
    strcpy(text + n + 1, f->interface);
    strcat(text, end);
    return sonic_address_parse(text, out);
}

static int
join(sonic_udp *udp, const sonic_mold_feed *f, const char *address)
{
    char group[SONIC_ADDRESS_TEXT];
    int err = host_of(address, group, sizeof group);

    if (err < 0)
        return err;
    if (f->source != NULL)
        return sonic_multicast_join_source(udp, group, f->source, f->interface);
    return sonic_multicast_join(udp, group, f->interface);
}

int
sonic__mold_listen(sonic_io *io, const sonic_mold_feed *f,
                   const sonic_udp_options *opt, sonic_udp **out)
{
    sonic_multicast_options mc = SONIC_MULTICAST_OPTIONS_INIT;
    char address[SONIC_ADDRESS_TEXT];
    sonic_address a;
    int err;

    if (f->address == NULL)
        return SONIC_EOPTION;
    if (address_of(f, address, &a) < 0 || !sonic_multicast_is_group(&a))
        return sonic_udp_new(io, f->address, opt, out);
    mc.udp = opt;
    err = sonic_multicast_new(io, address, &mc, out);
    if (err < 0)
        return err;
    err = join(*out, f, address);
    if (err < 0) {
        sonic_udp_free(*out);
        *out = NULL;
    }
    return err;
}

int
sonic__mold_speak(sonic_io *io, const sonic_mold_feed *f,
                  const sonic_udp_options *opt, int ttl, sonic_udp **out,
                  sonic_address *to)
{
    sonic_multicast_options mc = SONIC_MULTICAST_OPTIONS_INIT;
    char address[SONIC_ADDRESS_TEXT];
    const char *any;
    int err;

    if (f->address == NULL)
        return SONIC_EOPTION;
    err = address_of(f, address, to);
    if (err < 0)
        return err;
    any = to->storage.ss_family == AF_INET6 ? "[::]:0" : "0.0.0.0:0";
    if (!sonic_multicast_is_group(to))
        return sonic_udp_new(io, any, opt, out);
    mc.udp = opt;
    mc.outbound = f->interface;
    mc.ttl = ttl;
    return sonic_multicast_new(io, any, &mc, out);
}
