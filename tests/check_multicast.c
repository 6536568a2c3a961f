/* Groups on one machine: what is joined is received, what the kernel says, the
 * settings; on each backend, IPv4 and IPv6.  IPv4 stays on loopback; IPv6, for
 * which that has no groups, in a network of the test's own. */
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/udp.h"
#include "support/netns.h"
#include "support/udp_rig.h"

struct names {
    const char *a, *b, *source, *other, *host, *any, *on_a, *wrong, *dev;
};

static const struct names *
names(const struct udp_rig *r)
{
    static const struct names v4 = {"239.7.7.1",   "239.7.7.2",   "127.0.0.1",
                                    "127.0.0.2",   "127.0.0.1:0", "udp4::0",
                                    "239.7.7.1:0", "10.0.0.1",    "lo"};
    static const struct names v6 = {
        "ff12::7:1",        "ff12::7:2",     "fd00:7::1",
        "fd00:7::2",        "[fd00:7::1]:0", "udp6::0",
        "[ff12::7:1%v0]:0", "2001:db8::1",   "v0"};

    return r->family == AF_INET ? &v4 : &v6;
}

static int
begin_network(void)
{
    int err = netns_enter();

    if (err == 0)
        err = netns_veth("v0", "v1");
    if (err == 0)
        err = netns_address("v0", "fd00:7::1", 64);
    return err < 0 ? err : netns_wait_wire("v0", "v1", "ff05::7:99");
}

static void
open_rig(struct udp_rig *r, int index)
{
    if (index >= RIG_BACKENDS)
        ck_assert_int_eq(begin_network(), 0);
    udp_open(r, index);
}

/* May this process have one?  A child tries: what it does goes with it. */
static bool
has_network(void)
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(begin_network() < 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static sonic_udp *
peer_with(struct udp_rig *r, const char *address,
          const sonic_multicast_options *opt)
{
    sonic_udp *u;
    int err = sonic_multicast_new(r->rig.io, address, opt, &u);

    ck_assert_msg(err == 0, "%s: %s", address, sonic_errname(err));
    return u;
}

static sonic_udp *
peer(struct udp_rig *r, const char *address)
{
    return peer_with(r, address, NULL);
}

static sonic_udp *
writer(struct udp_rig *r)
{
    sonic_multicast_options o = SONIC_MULTICAST_OPTIONS_INIT;

    o.outbound = names(r)->dev;
    return peer_with(r, names(r)->host, &o);
}

static sonic_address
at_port_of(const char *group, const sonic_udp *u)
{
    sonic_address mine = udp_where(u), a;
    char text[SONIC_ADDRESS_TEXT];

    snprintf(text, sizeof text, strchr(group, ':') ? "[%s%%v0]:%u" : "%s:%u",
             group, sonic_address_port(&mine));
    ck_assert_int_eq(sonic_address_parse(text, &a), 0);
    return a;
}

static void
put(struct udp_rig *r, sonic_udp *from, const char *group, const sonic_udp *to,
    const char *text)
{
    sonic_address a = at_port_of(group, to);

    ck_assert_int_eq(sonic_udp_send(from, &a, text, strlen(text)), 0);
    rig_settle(&r->rig);
}

static void
listen_to(sonic_udp *u, struct udp_got *g)
{
    *g = (struct udp_got){.again = true};
    sonic_udp_lend(u, on_udp_lend, g);
}

START_TEST(what_is_joined_is_received)
{
    struct udp_rig r;
    const struct names *n;
    struct udp_got got;
    sonic_udp *u, *w;
    sonic_address group;

    open_rig(&r, _i);
    n = names(&r);
    u = peer(&r, n->any);
    w = writer(&r);
    listen_to(u, &got);
    put(&r, w, n->a, u, "nobody joined");
    ck_assert_uint_eq(got.n, 0);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, n->dev), 0);
    put(&r, w, n->b, u, "another group");
    put(&r, w, n->a, w, "another port");
    ck_assert_uint_eq(got.n, 0);
    put(&r, w, n->a, u, "ours");
    ck_assert_uint_eq(got.n, 1);
    ck_assert_mem_eq(got.data, "ours", 4);
    group = at_port_of(n->a, u);
    ck_assert(udp_same_address(&got.to, &group));
    ck_assert_uint_eq(got.interface, if_nametoindex(n->dev));
    group = udp_where(w);
    ck_assert(udp_same_address(&got.from, &group));
    ck_assert_int_eq(sonic_multicast_leave(u, n->a, n->dev), 0);
    put(&r, w, n->a, u, "not any more");
    ck_assert_uint_eq(got.n, 1);
    udp_close(&r);
}
END_TEST

/* Bound to a group: that one alone.  To an address: none. */
START_TEST(the_address_filters)
{
    struct udp_rig r;
    const struct names *n;
    struct udp_got got, none;
    sonic_udp *u, *w, *host;

    open_rig(&r, _i);
    n = names(&r);
    u = peer(&r, n->on_a);
    host = peer(&r, n->host);
    w = writer(&r);
    listen_to(u, &got);
    listen_to(host, &none);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, n->dev), 0);
    ck_assert_int_eq(sonic_multicast_join(u, n->b, n->dev), 0);
    ck_assert_int_eq(sonic_multicast_join(host, n->a, n->dev), 0);
    put(&r, w, n->b, u, "b");
    put(&r, w, n->a, u, "a");
    put(&r, w, n->a, host, "a");
    ck_assert_uint_eq(got.n, 1);
    ck_assert_mem_eq(got.data, "a", 1);
    ck_assert_uint_eq(none.n, 0);
    udp_close(&r);
}
END_TEST

/* Ten readers on one port. */
START_TEST(all_or_ones_own)
{
    enum { READERS = 10 };
    struct udp_rig r;
    const struct names *n;
    struct udp_got got[READERS];
    sonic_udp *u[READERS], *w;
    char address[SONIC_ADDRESS_TEXT];
    sonic_address a;
    bool all;

    open_rig(&r, _i);
    n = names(&r);
    w = writer(&r);
    u[0] = peer(&r, n->any);
    a = udp_where(u[0]);
    snprintf(address, sizeof address, "%s:%u",
             r.family == AF_INET ? "udp4:" : "udp6:", sonic_address_port(&a));
    for (int i = 0; i < READERS; i++) {
        if (i > 0)
            u[i] = peer(&r, address);
        listen_to(u[i], &got[i]);
        ck_assert_int_eq(sonic_multicast_all(u[i], &all), 0);
        ck_assert(!all);
    }
    put(&r, w, n->a, u[0], "none");
    ck_assert_int_eq(sonic_multicast_join(u[3], n->a, n->dev), 0);
    put(&r, w, n->a, u[0], "one");
    for (int i = 0; i < READERS; i++)
        ck_assert_uint_eq(got[i].n, i == 3);
    for (int i = 0; i < READERS; i++) {
        ck_assert_int_eq(sonic_multicast_set_all(u[i], true), 0);
        ck_assert_int_eq(sonic_multicast_all(u[i], &all), 0);
        ck_assert(all);
    }
    put(&r, w, n->a, u[0], "all");
    for (int i = 0; i < READERS; i++)
        ck_assert_uint_eq(got[i].n, 1 + (i == 3));
    udp_close(&r);
}
END_TEST

/* What the kernel says, state by state (Linux 6.18; sonic.md, part 2). */
START_TEST(the_kernels_matrix)
{
    struct udp_rig r;
    const struct names *n;
    const char *g, *s, *o;
    sonic_udp *u;

    open_rig(&r, _i);
    n = names(&r);
    g = n->a, s = n->source, o = n->other;
    u = peer(&r, n->any);
#define IS(call, group, want)                                                  \
    ck_assert_int_eq(sonic_multicast_##call(u, group, n->dev), want)
#define IS_OF(call, source, want)                                              \
    ck_assert_int_eq(sonic_multicast_##call##_source(u, g, source, n->dev),    \
                     want)
    IS_OF(block, s, -EINVAL);
    IS_OF(unblock, s, -EINVAL);
    IS(leave, g, -EADDRNOTAVAIL);
    /* all but some */
    IS(join, g, 0);
    IS(join, g, -EADDRINUSE);
    IS_OF(block, s, 0);
    IS_OF(block, s, -EADDRNOTAVAIL);
    IS_OF(join, o, -EINVAL);
    IS_OF(unblock, s, 0);
    IS_OF(unblock, s, -EADDRNOTAVAIL);
    IS_OF(join, s, -EINVAL); /* it had a list, which stays */
    IS(leave, g, 0);
    IS(leave, g, -EADDRNOTAVAIL);
    IS(join, g, 0);
    IS_OF(join, s, 0); /* only some, from now on */
    IS(join, g, -EADDRINUSE);
    IS_OF(block, s, -EINVAL);
    IS(leave, g, 0);
    IS(leave, g, -EADDRNOTAVAIL);
    /* only some */
    IS_OF(join, s, 0);
    IS_OF(join, s, -EADDRNOTAVAIL);
    IS_OF(join, o, 0);
    IS_OF(block, s, -EINVAL);
    IS_OF(unblock, s, -EINVAL);
    IS(join, g, -EADDRINUSE);
    IS_OF(leave, n->wrong, -EADDRNOTAVAIL);
    IS_OF(leave, o, 0);
    IS_OF(leave, o, -EADDRNOTAVAIL);
    IS_OF(leave, s, 0); /* the last: the group is left */
    IS(leave, g, -EADDRNOTAVAIL);
    IS_OF(join, s, 0);
    IS_OF(join, o, 0);
    IS(leave, g, 0);
    IS(leave, g, -EADDRNOTAVAIL);
    IS_OF(leave, s, -EINVAL);
#undef IS
#undef IS_OF
    udp_close(&r);
}
END_TEST

START_TEST(sources_are_let_through_or_not)
{
    struct udp_rig r;
    const struct names *n;
    struct udp_got got;
    sonic_udp *u, *w;

    open_rig(&r, _i);
    n = names(&r);
    u = peer(&r, n->any);
    w = writer(&r);
    listen_to(u, &got);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, n->dev), 0);
    put(&r, w, n->a, u, "1");
    ck_assert_uint_eq(got.n, 1);
    ck_assert_int_eq(sonic_multicast_block_source(u, n->a, n->source, n->dev),
                     0);
    put(&r, w, n->a, u, "2");
    ck_assert_uint_eq(got.n, 1);
    ck_assert_int_eq(sonic_multicast_unblock_source(u, n->a, n->source, n->dev),
                     0);
    put(&r, w, n->a, u, "3");
    ck_assert_uint_eq(got.n, 2);
    ck_assert_int_eq(sonic_multicast_leave(u, n->a, n->dev), 0);
    ck_assert_int_eq(sonic_multicast_join_source(u, n->a, n->other, n->dev), 0);
    put(&r, w, n->a, u, "4");
    ck_assert_uint_eq(got.n, 2);
    ck_assert_int_eq(sonic_multicast_join_source(u, n->a, n->source, n->dev),
                     0);
    put(&r, w, n->a, u, "5");
    ck_assert_uint_eq(got.n, 3);
    ck_assert_mem_eq(got.data, "5", 1);
    ck_assert_int_eq(sonic_multicast_leave_source(u, n->a, n->source, n->dev),
                     0);
    put(&r, w, n->a, u, "6");
    ck_assert_uint_eq(got.n, 3);
    udp_close(&r);
}
END_TEST

START_TEST(settings)
{
    struct udp_rig r;
    sonic_multicast_options o = SONIC_MULTICAST_OPTIONS_INIT;
    const struct names *n;
    sonic_udp *u;
    unsigned index;
    bool on;
    int ttl;

    open_rig(&r, _i);
    n = names(&r);
    u = peer(&r, n->any);
    ck_assert_int_eq(sonic_multicast_ttl(u, &ttl), 0);
    ck_assert_int_eq(ttl, 1);
    for (int i = 0; i <= 255; i++) {
        ck_assert_int_eq(sonic_multicast_set_ttl(u, i), 0);
        ck_assert_int_eq(sonic_multicast_ttl(u, &ttl), 0);
        ck_assert_int_eq(ttl, i);
    }
    ck_assert_int_eq(sonic_multicast_set_ttl(u, -1), SONIC_EOPTION);
    ck_assert_int_eq(sonic_multicast_set_ttl(u, 256), SONIC_EOPTION);
    ck_assert_int_eq(sonic_multicast_loop(u, &on), 0);
    ck_assert(on);
    ck_assert_int_eq(sonic_multicast_set_loop(u, false), 0);
    ck_assert_int_eq(sonic_multicast_loop(u, &on), 0);
    ck_assert(!on);
    ck_assert_int_eq(sonic_multicast_outbound(u, &index), 0);
    ck_assert_uint_eq(index, 0);
    ck_assert_int_eq(sonic_multicast_set_outbound(u, n->dev), 0);
    ck_assert_int_eq(sonic_multicast_outbound(u, &index), 0);
    ck_assert_uint_eq(index, if_nametoindex(n->dev));
    ck_assert_int_eq(sonic_multicast_set_outbound(u, NULL), 0);
    ck_assert_int_eq(sonic_multicast_outbound(u, &index), 0);
    ck_assert_uint_eq(index, 0);
    ck_assert_int_eq(sonic_multicast_set_outbound(u, n->source), 0);
    ck_assert_int_eq(sonic_multicast_outbound(u, &index), 0);
    ck_assert_uint_eq(index, if_nametoindex(n->dev));
    ck_assert_int_eq(sonic_multicast_set_outbound(u, "none-such"), -ENODEV);
    ck_assert_int_eq(sonic_multicast_inbound(u, &index), 0);
    ck_assert_uint_eq(index, 0);
    ck_assert_int_eq(sonic_multicast_set_inbound(u, n->dev), 0);
    ck_assert_int_eq(sonic_multicast_inbound(u, &index), 0);
    ck_assert_uint_eq(index, if_nametoindex(n->dev));
    ck_assert_int_eq(sonic_multicast_set_inbound(u, NULL), 0);
    ck_assert_int_eq(sonic_multicast_inbound(u, &index), 0);
    ck_assert_uint_eq(index, 0);
    ck_assert_int_eq(sonic_multicast_set_inbound(u, "none-such"), -ENODEV);

    o.ttl = 7;
    o.all = SONIC_ON;
    o.loop = SONIC_OFF;
    o.outbound = o.inbound = names(&r)->dev;
    u = peer_with(&r, n->any, &o);
    ck_assert_int_eq(sonic_multicast_ttl(u, &ttl), 0);
    ck_assert_int_eq(ttl, 7);
    ck_assert_int_eq(sonic_multicast_all(u, &on), 0);
    ck_assert(on);
    ck_assert_int_eq(sonic_multicast_loop(u, &on), 0);
    ck_assert(!on);
    ck_assert_int_eq(sonic_multicast_outbound(u, &index), 0);
    ck_assert_uint_eq(index, if_nametoindex(n->dev));
    ck_assert_int_eq(sonic_multicast_inbound(u, &index), 0);
    ck_assert_uint_eq(index, if_nametoindex(n->dev));
    udp_close(&r);
}
END_TEST

/* Nothing comes back where the loop is off. */
START_TEST(the_loop)
{
    struct udp_rig r;
    const struct names *n;
    struct udp_got got;
    sonic_udp *u, *w;

    open_rig(&r, _i);
    n = names(&r);
    u = peer(&r, n->any);
    w = writer(&r);
    listen_to(u, &got);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, n->dev), 0);
    put(&r, w, n->a, u, "1");
    ck_assert_uint_eq(got.n, 1);
    ck_assert_int_eq(sonic_multicast_set_loop(w, false), 0);
    put(&r, w, n->a, u, "2");
    if (r.family == AF_INET6) /* where lo is what it leaves by, it is back */
        ck_assert_uint_eq(got.n, 1);
    udp_close(&r);
}
END_TEST

START_TEST(refusals)
{
    struct udp_rig r;
    sonic_multicast_options o = SONIC_MULTICAST_OPTIONS_INIT;
    const struct names *n;
    unsigned long sockets, closed;
    sonic_udp *u, *none;
    unsigned index;
    bool on;
    int ttl;

    open_rig(&r, _i);
    n = names(&r);
    u = peer(&r, n->any);
    ck_assert_int_eq(sonic_multicast_join(u, n->wrong, n->dev), SONIC_EGROUP);
    ck_assert_int_eq(sonic_multicast_join(u, "feed", n->dev), SONIC_EADDRESS);
    ck_assert_int_eq(sonic_multicast_join(u, "239.7.7.1:80", n->dev),
                     SONIC_EADDRESS);
    ck_assert_int_eq(sonic_multicast_join(u, "ff12::1%", NULL), SONIC_EADDRESS);
    ck_assert_int_eq(sonic_multicast_join(u, NULL, n->dev), SONIC_EADDRESS);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, "none-such"), -ENODEV);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, "99999"), -ENODEV);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, "1x"), -ENODEV);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, "10.99.99.99"), -ENODEV);
    ck_assert_int_eq(sonic_multicast_join_source(u, n->a, n->b, n->dev),
                     SONIC_EADDRESS);
    ck_assert_int_eq(sonic_multicast_join_source(u, n->a, "here", n->dev),
                     SONIC_EADDRESS);
    if (r.family == AF_INET) {
        ck_assert_int_eq(sonic_multicast_join(u, "ff12::1", n->dev),
                         -EAFNOSUPPORT);
        ck_assert_int_eq(sonic_multicast_join_source(u, n->a, "::1", n->dev),
                         -EAFNOSUPPORT);
    } else {
        ck_assert_int_eq(sonic_multicast_join(u, "ff12::7:1%v0", "none-such"),
                         -ENODEV);
        ck_assert_int_eq(sonic_multicast_join(u, "ff12::7:1%v0", NULL), 0);
        ck_assert_int_eq(sonic_multicast_leave(u, n->a, n->dev), 0);
    }
    sockets = hook_calls(&r.rig.hook, HOOK_socket);
    closed = hook_calls(&r.rig.hook, HOOK_close);
    o.outbound = "none-such";
    ck_assert_int_eq(sonic_multicast_new(r.rig.io, n->any, &o, &none), -ENODEV);
    o.outbound = NULL;
    o.ttl = 256;
    ck_assert_int_eq(sonic_multicast_new(r.rig.io, n->any, &o, &none),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic_multicast_new(r.rig.io, "nowhere", NULL, &none),
                     SONIC_EADDRESS);
    ck_assert_uint_eq(hook_calls(&r.rig.hook, HOOK_socket) - sockets,
                      hook_calls(&r.rig.hook, HOOK_close) - closed);
    sonic_udp_close(u);
    ck_assert_int_eq(sonic_multicast_join(u, n->a, n->dev), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_multicast_set_ttl(u, 1), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_multicast_ttl(u, &ttl), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_multicast_loop(u, &on), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_multicast_set_outbound(u, n->dev), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_multicast_outbound(u, &index), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_multicast_set_inbound(u, n->dev), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_multicast_inbound(u, &index), SONIC_ECLOSED);
    udp_close(&r);
}
END_TEST

/* Whatever call fails, no descriptor is left, nor memory. */
START_TEST(each_call_failing)
{
    for (unsigned long nth = 1;; nth++) {
        sonic_multicast_options o = SONIC_MULTICAST_OPTIONS_INIT;
        struct udp_rig r;
        sonic_udp *u = NULL;
        bool over;
        int err;

        open_rig(&r, _i);
        o.outbound = o.inbound = names(&r)->dev;
        o.loop = SONIC_OFF;
        hook_fail_nth(&r.rig.hook, nth);
        err = sonic_multicast_new(r.rig.io, names(&r)->any, &o, &u);
        if (err == 0)
            err = sonic_multicast_join(u, names(&r)->a, names(&r)->dev);
        over = r.rig.hook.failed == HOOK_N;
        r.rig.hook.fail_nth = 0;
        if (over)
            ck_assert_int_eq(err, 0);
        udp_close(&r);
        if (over)
            break;
        ck_assert_uint_lt(nth, 1000);
    }
}
END_TEST

/* An IPv6 socket on any address takes IPv4's groups as well. */
START_TEST(both_families_on_one_socket)
{
    struct udp_rig r;
    struct udp_got got;
    sonic_udp *u, *w;

    open_rig(&r, _i);
    u = peer(&r, ":0");
    if (sonic_udp_family(u) == AF_INET6) {
        w = writer(&r);
        listen_to(u, &got);
        put(&r, w, names(&r)->a, u, "not yet");
        ck_assert_uint_eq(got.n, 0);
        ck_assert_int_eq(sonic_multicast_join(u, names(&r)->a, names(&r)->dev),
                         0);
        put(&r, w, names(&r)->a, u, "both");
        ck_assert_uint_eq(got.n, 1);
        ck_assert_mem_eq(got.data, "both", 4);
    }
    udp_close(&r);
}
END_TEST

/* Two readers of one feed fill one buffer, in turns. */
START_TEST(one_buffer_for_two)
{
    enum { ROUNDS = 16 };
    struct udp_rig r;
    const struct names *n;
    struct udp_got got[2] = {{0}, {0}};
    uint8_t shared[2 * ROUNDS], elsewhere[2][1];
    sonic_udp *u[2], *w;
    size_t at = 0;

    open_rig(&r, _i);
    n = names(&r);
    w = writer(&r);
    for (int i = 0; i < 2; i++) {
        u[i] = peer(&r, n->any);
        ck_assert_int_eq(sonic_multicast_join(u[i], n->a, n->dev), 0);
        sonic_udp_async_read(u[i], elsewhere[i], 1, on_udp_read, &got[i]);
    }
    for (unsigned k = 0; k < 2 * ROUNDS; k++) {
        char text[2] = {(char)('A' + k), '\0'};
        struct udp_got *g = &got[k % 2];

        ck_assert_int_eq(
            sonic_udp_set_async_read_buffer(u[k % 2], &shared[at++], 1), 0);
        put(&r, w, n->a, u[k % 2], text);
        ck_assert_uint_eq(g->n, k / 2 + 1);
        sonic_udp_async_read(u[k % 2], elsewhere[k % 2], 1, on_udp_read, g);
    }
    for (unsigned k = 0; k < 2 * ROUNDS; k++)
        ck_assert_int_eq(shared[k], 'A' + k);
    udp_close(&r);
}
END_TEST

static bool six;

#define add(tc, test)                                                          \
    tcase_add_loop_test(tc, test, 0, six ? 2 * RIG_BACKENDS : RIG_BACKENDS)

int
main(void)
{
    Suite *suite = suite_create("multicast");
    TCase *tc = tcase_create("groups");

    six = has_network();
    if (!six)
        puts("IPv6 is left out: this process may not have a network of its "
             "own");
    add(tc, what_is_joined_is_received);
    add(tc, the_address_filters);
    add(tc, all_or_ones_own);
    add(tc, the_kernels_matrix);
    add(tc, sources_are_let_through_or_not);
    add(tc, settings);
    add(tc, the_loop);
    add(tc, refusals);
    add(tc, each_call_failing);
    add(tc, both_families_on_one_socket);
    add(tc, one_buffer_for_two);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
