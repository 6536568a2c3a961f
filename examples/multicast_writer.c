/* multicast_writer - send lines to a group
 *
 *     multicast_writer                              a demonstration on loopback
 *     multicast_writer GROUP:PORT [INTERFACE [TTL]]  each line of the input
 *
 * What a writer may set: the interface, how far packets go, whether sockets of
 * this machine get them; and what the kernel says that is set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

static int
check(const char *what, int err)
{
    if (err >= 0)
        return err;
    fprintf(stderr, "%s: %s\n", what, sonic_strerror(err));
    exit(1);
}

/* Asked of the kernel, each of them. */
static void
show_settings(const sonic_udp *udp)
{
    char name[SONIC_INTERFACE_NAME] = "any";
    unsigned outbound;
    bool loop;
    int ttl;

    check("interface", sonic_multicast_outbound(udp, &outbound));
    check("ttl", sonic_multicast_ttl(udp, &ttl));
    check("loop", sonic_multicast_loop(udp, &loop));
    if (outbound != 0)
        check("name", sonic_interface_name(sonic_udp_io(udp), outbound, name));
    printf("interface %s, ttl %d, %s on this machine\n", name, ttl,
           loop ? "heard" : "not heard");
}

static void
send_lines(sonic_udp *udp, const sonic_address *to, FILE *in)
{
    char line[1024];

    while (fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        check("send", sonic_udp_write(udp, to, line, strlen(line)));
    }
}

/* One line, to a reader of our own. */
static void
demonstrate(sonic_io *io, sonic_udp *udp)
{
    char line[64];
    sonic_datagram d;
    sonic_address to;
    sonic_udp *reader;

    check("reader", sonic_multicast_new(io, "239.200.0.3:0", NULL, &reader));
    check("join", sonic_multicast_join(reader, "239.200.0.3", "lo"));
    check("address", sonic_udp_local_address(reader, &to));
    check("send", sonic_udp_write(udp, &to, "is anybody there?", 17));
    check("read", sonic_udp_read(reader, line, sizeof line, &d));
    printf("heard: %.*s\n", (int)d.len, line);
}

int
main(int argc, char **argv)
{
    sonic_multicast_options m = SONIC_MULTICAST_OPTIONS_INIT;
    sonic_address to = {.len = 0};
    sonic_udp *udp;
    sonic_io *io;
    bool v4 = true;

    if (argc > 1) {
        check(argv[1], sonic_address_parse(argv[1], &to));
        v4 = to.storage.ss_family == AF_INET;
    }
    m.outbound = argc > 2 ? argv[2] : argc > 1 ? NULL : "lo";
    m.ttl = argc > 3 ? atoi(argv[3]) : 1;
    check("io", sonic_io_new(&io, NULL));
    check(m.outbound != NULL ? m.outbound : "writer",
          sonic_multicast_new(io, v4 ? "udp4::0" : "udp6::0", &m, &udp));
    show_settings(udp);
    if (argc > 1)
        send_lines(udp, &to, stdin);
    else
        demonstrate(io, udp);
    sonic_io_free(io);
    return 0;
}
