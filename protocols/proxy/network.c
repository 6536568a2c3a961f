/* Networks as text, for settings that say who is trusted. */
#include <sonicio/proxy_header.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* An address's bytes, of IPv4 where it is one; how many, 0: it is neither. */
static size_t
host_of(const sonic_address *a, uint8_t host[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0,    0,
                                       0, 0, 0, 0, 0xff, 0xff};
    const struct sockaddr_in *v4 = (const void *)&a->storage;
    const struct sockaddr_in6 *v6 = (const void *)&a->storage;

    if (a->len == 0)
        return 0;
    if (a->storage.ss_family == AF_INET) {
        memcpy(host, &v4->sin_addr, 4);
        return 4;
    }
    if (a->storage.ss_family != AF_INET6)
        return 0;
    memcpy(host, &v6->sin6_addr, 16);
    if (memcmp(host, mapped, sizeof mapped) != 0)
        return 16;
    memmove(host, host + 12, 4);
    return 4;
}

/* The number behind the slash, at most `most`; -1: it is none. */
static int
bits_of(const char *text, int most)
{
    int v = 0;

    if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || v > most)
            return -1;
        v = 10 * v + (*text - '0');
    }
    return v > most ? -1 : v;
}

static bool
is_within(const uint8_t *host, const uint8_t *net, int bits)
{
    int whole = bits / 8, more = bits % 8;

    return memcmp(host, net, (size_t)whole) == 0 &&
           (more == 0 || (host[whole] ^ net[whole]) >> (8 - more) == 0);
}

int
sonic_network_holds(const char *network, const sonic_address *a)
{
    const char *slash = strchr(network, '/');
    size_t n = slash != NULL ? (size_t)(slash - network) : strlen(network);
    uint8_t net[16], host[16];
    char text[INET6_ADDRSTRLEN];
    int bytes, bits;

    if (strcmp(network, "unix") == 0)
        return a->len > 0 && a->storage.ss_family == AF_UNIX;
    if (n >= sizeof text)
        return SONIC_EADDRESS;
    memcpy(text, network, n);
    text[n] = '\0';
    bytes = strchr(text, ':') != NULL ? 16 : 4;
    if (inet_pton(bytes == 4 ? AF_INET : AF_INET6, text, net) != 1)
        return SONIC_EADDRESS;
    bits = slash != NULL ? bits_of(slash + 1, 8 * bytes) : 8 * bytes;
    if (bits < 0)
        return SONIC_EADDRESS;
    return host_of(a, host) == (size_t)bytes && is_within(host, net, bits);
}
