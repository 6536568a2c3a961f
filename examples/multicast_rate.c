/* multicast_rate - numbered packets at a rate, and who receives them
 *
 *     multicast_rate                              both ends, half a second on
 *                                                 loopback
 *     multicast_rate writer GROUP:PORT INTERFACE  10,000 packets a second,
 *                                                 until it is killed
 *     multicast_rate reader GROUP:PORT INTERFACE  how many came each second,
 *                                                 and how many are missing
 *
 * The writer queues what is due at each tick of a timer, and all of it goes out
 * in one system call. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { SIZE = 32, RATE = 10000, BURST = 100, MS = 1000000 };

static int
check(const char *what, int err)
{
    if (err >= 0)
        return err;
    fprintf(stderr, "%s: %s\n", what, sonic_strerror(err));
    exit(1);
}

/* ---- writer ----------------------------------------------------------- */

struct writer {
    sonic_udp *udp;
    sonic_timer *timer;
    sonic_address to;
    int64_t begun;
    uint64_t next, last; /* last 0: no end */
};

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct writer *w = ud;
    uint64_t due;
    uint8_t packet[SIZE] = {0};

    if (err < 0)
        return;
    due = (uint64_t)(sonic_io_now(sonic_timer_io(timer)) - w->begun) /
          (1000 * (uint64_t)MS / RATE);
    if (due > w->next + BURST) /* we were held up: no flood */
        due = w->next + BURST;
    if (w->last > 0 && due > w->last)
        due = w->last;
    while (w->next < due) {
        memcpy(packet, &w->next, sizeof w->next);
        if (sonic_udp_queue(w->udp, &w->to, packet, sizeof packet) < 0)
            break; /* the system is slower: the rest at the next tick */
        w->next++;
    }
    if (w->last > 0 && w->next == w->last)
        sonic_timer_close(timer);
}

static void
start_writer(sonic_io *io, struct writer *w, const char *interface)
{
    sonic_multicast_options m = SONIC_MULTICAST_OPTIONS_INIT;
    bool v4 = w->to.storage.ss_family == AF_INET;

    m.outbound = interface;
    check("writer",
          sonic_multicast_new(io, v4 ? "udp4::0" : "udp6::0", &m, &w->udp));
    check("timer", sonic_timer_new(io, &w->timer));
    w->begun = sonic_io_now(io);
    sonic_timer_repeat(w->timer, MS, SONIC_TICK_SKIP, on_tick, w);
}

/* ---- reader ----------------------------------------------------------- */

struct reader {
    sonic_udp *udp;
    sonic_timer *timer;
    uint64_t next, packets, missing, shown;
    uint64_t last; /* 0: no end */
};

static void
on_packets(sonic_udp *udp, int err, const sonic_datagram *d, size_t n, void *ud)
{
    struct reader *r = ud;

    if (err < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        uint64_t k;

        if (d[i].len < sizeof k)
            continue;
        memcpy(&k, d[i].data, sizeof k);
        if (r->packets++ > 0 && k > r->next)
            r->missing += k - r->next;
        r->next = k + 1;
    }
    if (r->last > 0 && r->next == r->last) {
        sonic_udp_close(udp);
        sonic_timer_close(r->timer);
    } else {
        sonic_udp_lend(udp, on_packets, r);
    }
}

static void
on_second(sonic_timer *timer, int err, void *ud)
{
    struct reader *r = ud;
    sonic_udp_stats st;

    (void)timer;
    if (err < 0)
        return;
    sonic_udp_get_stats(r->udp, &st);
    printf("%" PRIu64 " packets, %" PRIu64 " missing, %" PRIu64
           " dropped here, at most %" PRIu64 " at a time\n",
           r->packets - r->shown, r->missing, st.kernel_drops, st.batch_most);
    r->shown = r->packets;
}

static void
start_reader(sonic_io *io, struct reader *r, const char *address,
             const char *group, const char *interface)
{
    check(address, sonic_multicast_new(io, address, NULL, &r->udp));
    check(group, sonic_multicast_join(r->udp, group, interface));
    check("timer", sonic_timer_new(io, &r->timer));
    sonic_udp_lend(r->udp, on_packets, r);
    sonic_timer_repeat(r->timer, 1000 * (int64_t)MS, SONIC_TICK_SKIP, on_second,
                       r);
}

/* ----------------------------------------------------------------------- */

static void
group_of(const sonic_address *a, char *group)
{
    char *end;

    sonic_address_format(a, group, SONIC_ADDRESS_TEXT);
    end = strrchr(group, ':');
    *end = '\0';
    if (*group == '[') {
        end[-1] = '\0';
        memmove(group, group + 1, strlen(group));
    }
}

int
main(int argc, char **argv)
{
    const char *address = argc > 2 ? argv[2] : "239.200.0.2:0";
    const char *interface = argc > 3 ? argv[3] : argc > 2 ? NULL : "lo";
    bool write = argc < 2 || strcmp(argv[1], "writer") == 0;
    bool read = argc < 2 || strcmp(argv[1], "reader") == 0;
    struct writer w = {.last = argc < 2 ? RATE / 2 : 0};
    struct reader r = {.last = w.last};
    char group[SONIC_ADDRESS_TEXT];
    sonic_io *io;

    if (argc == 2 || (!write && !read)) {
        fprintf(stderr, "usage: %s [writer|reader GROUP:PORT [INTERFACE]]\n",
                argv[0]);
        return 2;
    }
    check("io", sonic_io_new(&io, NULL));
    check(address, sonic_address_parse(address, &w.to));
    group_of(&w.to, group);
    if (read)
        start_reader(io, &r, address, group, interface);
    if (read && write) /* the port that it got */
        check(address, sonic_udp_local_address(r.udp, &w.to));
    if (write)
        start_writer(io, &w, interface);
    check("run", sonic_io_run(io));
    if (read)
        printf("%" PRIu64 " packets, %" PRIu64 " missing\n", r.packets,
               r.missing);
    sonic_io_free(io);
    return 0;
}
