/* multicast_dump - print what comes for a group
 *
 *     multicast_dump                          a demonstration on loopback
 *     multicast_dump GROUP:PORT [INTERFACE [SOURCE]]
 *
 * Bound to the group, the socket gets nothing else; with a source, what that
 * host sends and no more.  Each packet is shown with its sender, the interface
 * that it came by and when the kernel had it. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { SHOWN = 16 }; /* bytes of each line */

static int left = -1; /* packets until the end; negative: none */

static void
dump(const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len; at += SHOWN) {
        size_t n = len - at < SHOWN ? len - at : SHOWN;

        printf("  %04zx ", at);
        for (size_t i = 0; i < SHOWN; i++)
            printf(i < n ? " %02x" : "   ", i < n ? data[at + i] : 0);
        printf("  ");
        for (size_t i = 0; i < n; i++)
            putchar(isprint(data[at + i]) ? data[at + i] : '.');
        putchar('\n');
    }
}

static void
on_packets(sonic_udp *udp, int err, const sonic_datagram *d, size_t n, void *ud)
{
    char from[SONIC_ADDRESS_TEXT], name[SONIC_INTERFACE_NAME] = "?";

    if (err < 0)
        return;
    for (size_t i = 0; i < n; i++, left--) {
        sonic_address_format(d[i].from, from, sizeof from);
        if (sonic_interface_name(sonic_udp_io(udp), d[i].interface, name) < 0)
            strcpy(name, "?");
        printf("%" PRId64 ".%09" PRId64 " %s by %s: %zu bytes%s\n",
               d[i].timestamp / 1000000000, d[i].timestamp % 1000000000, from,
               name, d[i].sent, d[i].truncated ? ", cut" : "");
        dump(d[i].data, d[i].len);
    }
    if (left != 0)
        sonic_udp_lend(udp, on_packets, ud);
    else
        sonic_udp_close(udp);
}

/* "GROUP:PORT" or "[GROUP]:PORT" without the port. */
static void
group_of(const char *address, char *group, size_t cap)
{
    const char *end = strrchr(address, ':');
    size_t n = end != NULL ? (size_t)(end - address) : strlen(address);

    if (*address == '[' && n >= 2) {
        address++;
        n -= 2;
    }
    snprintf(group, cap, "%.*s", (int)n, address);
}

static int
join(sonic_io *io, const char *address, const char *interface,
     const char *source, sonic_udp **udp)
{
    sonic_multicast_options m = SONIC_MULTICAST_OPTIONS_INIT;
    sonic_udp_options o = SONIC_UDP_OPTIONS_INIT;
    char group[SONIC_ADDRESS_TEXT];
    int err;

    o.timestamps = SONIC_ON;
    m.udp = &o;
    group_of(address, group, sizeof group);
    err = sonic_multicast_new(io, address, &m, udp);
    if (err < 0)
        return err;
    if (source != NULL)
        return sonic_multicast_join_source(*udp, group, source, interface);
    return sonic_multicast_join(*udp, group, interface);
}

/* Two packets of our own. */
static int
send_some(sonic_io *io, sonic_udp *to)
{
    sonic_multicast_options m = SONIC_MULTICAST_OPTIONS_INIT;
    sonic_address group;
    sonic_udp *udp;
    int err;

    m.outbound = "lo";
    err = sonic_multicast_new(io, "127.0.0.1:0", &m, &udp);
    if (err == 0)
        err = sonic_udp_local_address(to, &group); /* it is bound to it */
    if (err == 0)
        err = sonic_udp_send(udp, &group, "hello, group", 12);
    if (err == 0)
        err = sonic_udp_send(udp, &group, "here is a second packet", 23);
    return err;
}

int
main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "239.200.0.1:0";
    sonic_udp *udp;
    sonic_io *io;
    int err;

    if (sonic_io_new(&io, NULL) < 0)
        return 1;
    err = join(io, address,
               argc > 2   ? argv[2]
               : argc > 1 ? NULL
                          : "lo",
               argc > 3 ? argv[3] : NULL, &udp);
    if (err == 0)
        sonic_udp_lend(udp, on_packets, NULL);
    if (err == 0 && argc == 1) {
        left = 2;
        err = send_some(io, udp);
    }
    if (err == 0)
        sonic_io_run(io);
    else
        fprintf(stderr, "%s: %s\n", address, sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
