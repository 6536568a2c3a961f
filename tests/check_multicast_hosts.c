/* Groups between hosts: two senders on two cables, each with two addresses, in
 * network namespaces of the test's own; IPv4 and IPv6. */
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/netns.h"
#include "support/udp_rig.h"

/* The cables end here as c0 and c1; far hosts have the other ends, f0 and f1.
 * Each has two addresses: [cable][which]. */
struct plan {
    const char *here[2], *far[2][2], *group, *bound[2][2], *any;
    unsigned prefix;
};

static const struct plan v4 = {
    .here = {"10.7.0.1", "10.7.1.1"},
    .far = {{"10.7.0.2", "10.7.0.3"}, {"10.7.1.2", "10.7.1.3"}},
    .bound = {{"10.7.0.2:0", "10.7.0.3:0"}, {"10.7.1.2:0", "10.7.1.3:0"}},
    .group = "239.7.7.1",
    .any = "udp4::0",
    .prefix = 24};
static const struct plan v6 = {
    .here = {"fd07:0::1", "fd07:1::1"},
    .far = {{"fd07:0::2", "fd07:0::3"}, {"fd07:1::2", "fd07:1::3"}},
    .bound = {{"[fd07:0::2]:0", "[fd07:0::3]:0"},
              {"[fd07:1::2]:0", "[fd07:1::3]:0"}},
    .group = "ff15::7:1",
    .any = "udp6::0",
    .prefix = 64};

static const char *const near_end[] = {"c0", "c1"};
static const char *const far_end[] = {"f0", "f1"};

static int
lay_cables(const struct plan *p, int home, int host[2])
{
    int err = 0;

    for (int i = 0; i < 2 && err == 0; i++) {
        host[i] = netns_host();
        if (host[i] < 0)
            return host[i];
        err = netns_veth(near_end[i], far_end[i]);
        if (err == 0)
            err = netns_move(far_end[i], host[i]);
        if (err == 0)
            err = netns_address(near_end[i], p->here[i], p->prefix);
        if (err == 0)
            err = netns_visit(host[i]);
        for (int k = 0; k < 2 && err == 0; k++)
            err = netns_address(far_end[i], p->far[i][k], p->prefix);
        if (err == 0)
            err = netns_visit(home);
    }
    return err;
}

struct net {
    struct udp_rig r;
    const struct plan *p;
    int home, host[2];
    sonic_udp *writer[2][2]; /* on the far hosts, one for each address */
};

static void
make_writers(struct net *n)
{
    sonic_multicast_options o = SONIC_MULTICAST_OPTIONS_INIT;

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(netns_visit(n->host[i]), 0);
        for (int k = 0; k < 2; k++) {
            o.outbound = far_end[i];
            ck_assert_int_eq(sonic_multicast_new(n->r.rig.io, n->p->bound[i][k],
                                                 &o, &n->writer[i][k]),
                             0);
        }
    }
    ck_assert_int_eq(netns_visit(n->home), 0);
}

static void
send_from(struct net *n, int cable, int which, const sonic_udp *to,
          const char *text)
{
    sonic_address a = udp_where(to), group;
    char where[SONIC_ADDRESS_TEXT];

    snprintf(where, sizeof where, n->p == &v4 ? "%s:%u" : "[%s]:%u",
             n->p->group, sonic_address_port(&a));
    ck_assert_int_eq(sonic_address_parse(where, &group), 0);
    ck_assert_int_eq(
        sonic_udp_send(n->writer[cable][which], &group, text, strlen(text)), 0);
}

/* What the kernel does behind our back (carrier, addrconf) takes a while: send
 * on each cable until it comes. */
static void
await_cables(struct net *n)
{
    for (int i = 0; i < 2; i++) {
        struct udp_got got = {.again = true};
        sonic_udp *u;

        ck_assert_int_eq(sonic_multicast_new(n->r.rig.io, n->p->any, NULL, &u),
                         0);
        ck_assert_int_eq(sonic_multicast_join(u, n->p->group, near_end[i]), 0);
        sonic_udp_lend(u, on_udp_lend, &got);
        for (int tries = 0; got.n == 0; tries++) {
            ck_assert_int_lt(tries, 2000);
            send_from(n, i, 0, u, "up?");
            sonic_io_run_for(n->r.rig.io, 5 * MS);
        }
        sonic_udp_free(u);
        rig_settle(&n->r.rig);
    }
}

static void
net_open(struct net *n, int index)
{
    memset(n, 0, sizeof *n);
    n->p = index < RIG_BACKENDS ? &v4 : &v6;
    ck_assert_int_eq(netns_enter(), 0);
    n->home = netns_here();
    ck_assert_int_eq(lay_cables(n->p, n->home, n->host), 0);
    udp_open(&n->r, index);
    make_writers(n);
    await_cables(n);
}

static void
net_close(struct net *n)
{
    udp_close(&n->r);
    close(n->home);
    close(n->host[0]);
    close(n->host[1]);
}

static sonic_udp *
reader(struct net *n, struct udp_got *got)
{
    sonic_udp *u;

    ck_assert_int_eq(sonic_multicast_new(n->r.rig.io, n->p->any, NULL, &u), 0);
    *got = (struct udp_got){.again = true};
    sonic_udp_lend(u, on_udp_lend, got);
    return u;
}

/* From everywhere, one after the other; which of the four came, as bits. */
static unsigned
who_comes(struct net *n, sonic_udp *u, struct udp_got *got)
{
    unsigned came = 0;

    for (int i = 0; i < 4; i++) {
        size_t before = got->n;
        char text[2] = {(char)('a' + i), '\0'};

        send_from(n, i / 2, i % 2, u, text);
        rig_settle(&n->r.rig);
        ck_assert_uint_le(got->n - before, 1);
        if (got->n == before)
            continue;
        ck_assert_int_eq(got->data[0], 'a' + i);
        came |= 1U << i;
    }
    return came;
}

START_TEST(the_interface_decides)
{
    struct net n;
    struct udp_got got;
    const char *g;
    sonic_udp *u;

    net_open(&n, _i);
    g = n.p->group;
    u = reader(&n, &got);
    ck_assert_uint_eq(who_comes(&n, u, &got), 0);
    ck_assert_int_eq(sonic_multicast_join(u, g, "c1"), 0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 4 + 8);
    ck_assert_uint_eq(got.interface, if_nametoindex("c1"));
    ck_assert_int_eq(sonic_multicast_join(u, g, n.p->here[0]), 0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 15);
    ck_assert_int_eq(sonic_multicast_leave(u, g, "c1"), 0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 1 + 2);
    ck_assert_uint_eq(got.interface, if_nametoindex("c0"));
    net_close(&n);
}
END_TEST

START_TEST(the_source_decides)
{
    struct net n;
    struct udp_got got;
    const char *g;
    sonic_udp *u;

    net_open(&n, _i);
    g = n.p->group;
    u = reader(&n, &got);
    ck_assert_int_eq(sonic_multicast_join(u, g, "c0"), 0);
    ck_assert_int_eq(sonic_multicast_block_source(u, g, n.p->far[0][0], "c0"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 2);
    ck_assert_int_eq(sonic_multicast_block_source(u, g, n.p->far[0][1], "c0"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 0);
    ck_assert_int_eq(sonic_multicast_unblock_source(u, g, n.p->far[0][0], "c0"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 1);
    ck_assert_int_eq(sonic_multicast_leave(u, g, "c0"), 0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 0);
    ck_assert_int_eq(sonic_multicast_join_source(u, g, n.p->far[1][1], "c1"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 8);
    ck_assert_int_eq(sonic_multicast_join_source(u, g, n.p->far[1][0], "c1"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 4 + 8);
    ck_assert_int_eq(sonic_multicast_leave_source(u, g, n.p->far[1][1], "c1"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 4);
    ck_assert_int_eq(sonic_multicast_leave_source(u, g, n.p->far[1][0], "c1"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 0);
    net_close(&n);
}
END_TEST

/* Each interface has its own sources; IPv4 only, see <sonicio/multicast.h>. */
START_TEST(sources_of_each_interface)
{
    struct net n;
    struct udp_got got;
    const char *g;
    sonic_udp *u;

    net_open(&n, _i);
    g = n.p->group;
    u = reader(&n, &got);
    ck_assert_int_eq(sonic_multicast_join(u, g, "c0"), 0);
    ck_assert_int_eq(sonic_multicast_join(u, g, "c1"), 0);
    ck_assert_int_eq(sonic_multicast_block_source(u, g, n.p->far[0][0], "c0"),
                     0);
    ck_assert_int_eq(sonic_multicast_block_source(u, g, n.p->far[0][1], "c1"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 2 + 4 + 8);
    ck_assert_int_eq(sonic_multicast_leave(u, g, "c0"), 0);
    ck_assert_int_eq(sonic_multicast_leave(u, g, "c1"), 0);
    ck_assert_int_eq(sonic_multicast_join_source(u, g, n.p->far[0][1], "c0"),
                     0);
    ck_assert_int_eq(sonic_multicast_join_source(u, g, n.p->far[1][0], "c1"),
                     0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 2 + 4);
    net_close(&n);
}
END_TEST

/* The socket is bound to one interface, whatever it joined. */
START_TEST(inbound)
{
    struct net n;
    struct udp_got got;
    sonic_udp *u;

    net_open(&n, _i);
    u = reader(&n, &got);
    ck_assert_int_eq(sonic_multicast_set_inbound(u, "c0"), 0);
    ck_assert_int_eq(sonic_multicast_join(u, n.p->group, "c0"), 0);
    ck_assert_int_eq(sonic_multicast_join(u, n.p->group, "c1"), 0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 1 + 2);
    ck_assert_int_eq(sonic_multicast_set_inbound(u, NULL), 0);
    ck_assert_uint_eq(who_comes(&n, u, &got), 15);
    net_close(&n);
}
END_TEST

/* Which cable it leaves by is heard at the other end; the getter says so. */
START_TEST(outbound)
{
    struct net n;
    struct udp_got got[2];
    sonic_udp *u[2], *w;
    sonic_address a, group;
    char where[SONIC_ADDRESS_TEXT];
    unsigned index;

    net_open(&n, _i);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(netns_visit(n.host[i]), 0);
        u[i] = reader(&n, &got[i]);
        ck_assert_int_eq(sonic_multicast_join(u[i], n.p->group, far_end[i]), 0);
    }
    ck_assert_int_eq(netns_visit(n.home), 0);
    ck_assert_int_eq(sonic_multicast_new(n.r.rig.io, n.p->any, NULL, &w), 0);
    for (int i = 0; i < 4; i++) {
        int cable = i % 2;

        ck_assert_int_eq(sonic_multicast_set_outbound(
                             w, i < 2 ? near_end[cable] : n.p->here[cable]),
                         0);
        ck_assert_int_eq(sonic_multicast_outbound(w, &index), 0);
        ck_assert_uint_eq(index, if_nametoindex(near_end[cable]));
        for (int k = 0; k < 2; k++) {
            size_t before = got[k].n;

            a = udp_where(u[k]);
            snprintf(where, sizeof where, n.p == &v4 ? "%s:%u" : "[%s]:%u",
                     n.p->group, sonic_address_port(&a));
            ck_assert_int_eq(sonic_address_parse(where, &group), 0);
            ck_assert_int_eq(sonic_udp_send(w, &group, "x", 1), 0);
            rig_settle(&n.r.rig);
            ck_assert_uint_eq(got[k].n - before, k == cable);
        }
    }
    net_close(&n);
}
END_TEST

/* One reader that is there for all gets two writers; a second, for one. */
START_TEST(two_writers_two_readers)
{
    enum { EACH = 200 };
    struct net n;
    struct udp_got all, one;
    sonic_udp *u, *v;

    net_open(&n, _i);
    u = reader(&n, &all);
    v = reader(&n, &one);
    ck_assert_int_eq(sonic_multicast_join(u, n.p->group, "c0"), 0);
    ck_assert_int_eq(sonic_multicast_join(u, n.p->group, "c1"), 0);
    ck_assert_int_eq(
        sonic_multicast_join_source(v, n.p->group, n.p->far[0][0], "c0"), 0);
    for (int i = 0; i < EACH; i++) {
        send_from(&n, 0, 0, u, "x");
        send_from(&n, 1, 0, u, "y");
        send_from(&n, 0, 0, v, "x");
        send_from(&n, 0, 1, v, "y");
        if (i % 20 == 0)
            rig_settle(&n.r.rig);
    }
    rig_settle(&n.r.rig);
    ck_assert_uint_eq(all.n, 2 * EACH);
    ck_assert_uint_eq(one.n, EACH);
    ck_assert_int_eq(one.data[0], 'x');
    net_close(&n);
}
END_TEST

/* A child tries: what it does goes with it. */
static bool
has_hosts(void)
{
    int status = -1, host[2];
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(netns_enter() < 0 || lay_cables(&v6, netns_here(), host) < 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int
main(void)
{
    Suite *suite = suite_create("multicast_hosts");
    TCase *tc = tcase_create("hosts");

    if (!has_hosts()) {
        puts("skipped: this process may not have networks of its own");
        return 77;
    }
    udp_add(tc, the_interface_decides);
    udp_add(tc, the_source_decides);
    rig_add(tc, sources_of_each_interface);
    udp_add(tc, inbound);
    udp_add(tc, outbound);
    udp_add(tc, two_writers_two_readers);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
