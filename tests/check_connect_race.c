/* The race of a name's addresses, in a world where time and faults are ours:
 * the order, the delays, the one deadline, who wins, and every call failing
 * in turn. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/net_world.h"

struct world {
    sonic_sim *sim;
    sonic_sys sys; /* the world's, with a spy on connect */
    sonic_io *io;
    sonic_listener *server; /* NULL, or listening on port 80 of everywhere */
    struct net_told accepted;
};

enum { TRIED = 64 };
static char tried[TRIED][SONIC_ADDRESS_TEXT]; /* by connect, in order */
static unsigned n_tried;
static const sonic_sys *below;

static int
spy_connect(int fd, const struct sockaddr *a, socklen_t n, void *ud)
{
    sonic_address to = {.len = n};

    memcpy(&to.storage, a, n);
    if (n_tried < TRIED)
        ck_assert_int_gt(
            sonic_address_format(&to, tried[n_tried++], sizeof tried[0]), 0);
    return below->connect(fd, a, n, ud);
}

static void
world_begin(struct world *w, int backend, bool serve,
            const sonic_sim_options *opt)
{
    memset(w, 0, sizeof *w);
    ck_assert_int_eq(sonic_sim_new(&w->sim, opt), 0);
    below = sonic_sim_sys(w->sim);
    w->sys = *below;
    w->sys.connect = spy_connect;
    n_tried = 0;
    w->io = net_io(backend, &w->sys, sonic_sim_mem(w->sim));
    if (serve)
        w->server = net_listener(w->io, ":80");
}

static void
world_end(struct world *w)
{
    sonic_sim_leaks leaks;
    int err;

    sonic_io_free(w->io);
    err = sonic_sim_free(w->sim, &leaks);
    ck_assert_msg(err == 0, "left over: %s", leaks.what);
}

static void
host(struct world *w, const char *name, const char *addresses, int64_t delay)
{
    ck_assert_int_eq(sonic_sim_host(w->sim, name, addresses, delay), 0);
}

static void
route(struct world *w, const char *address, enum sonic_sim_route r,
      int64_t delay)
{
    ck_assert_int_eq(sonic_sim_route(w->sim, address, r, delay), 0);
}

/* Connect, blocking; how long it took in *ns. */
static int
timed(struct world *w, sonic_stream *s, const char *to, int64_t timeout,
      int64_t stagger, int64_t *ns)
{
    sonic_connect_options o = SONIC_CONNECT_OPTIONS_INIT;
    int64_t begin = sonic_sim_now(w->sim);
    int err;

    o.timeout = timeout;
    o.stagger = stagger;
    err = sonic_stream_connect(s, to, &o);
    *ns = sonic_sim_now(w->sim) - begin;
    return err;
}

static void
assert_remote(sonic_stream *s, const char *want)
{
    char text[SONIC_ADDRESS_TEXT];
    sonic_address a;

    ck_assert_int_eq(sonic_stream_remote_address(s, &a), 0);
    ck_assert_int_gt(sonic_address_format(&a, text, sizeof text), 0);
    ck_assert_str_eq(text, want);
}

START_TEST(families_alternate_ipv6_first)
{
    static const char *const want[] = {
        "[2001:db8::1]:80", "192.0.2.1:80", "[2001:db8::2]:80",
        "192.0.2.2:80",     "192.0.2.3:80",
    };
    struct world w;
    int64_t ns;

    world_begin(&w, _i, false, NULL);
    host(&w, "many", "192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2",
         0);
    ck_assert_int_eq(timed(&w, net_stream(w.io), "many:80", 0, 0, &ns),
                     -ECONNREFUSED);
    ck_assert_uint_eq(n_tried, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(tried[i], want[i]);
    ck_assert_int_lt(ns, 50 * NET_MS); /* each at once after the other */
    world_end(&w);
}
END_TEST

START_TEST(a_family_may_be_asked_for)
{
    struct world w;
    int64_t ns;

    world_begin(&w, _i, false, NULL);
    host(&w, "many", "192.0.2.1 2001:db8::1", 0);
    ck_assert_int_eq(timed(&w, net_stream(w.io), "tcp4:many:80", 0, 0, &ns),
                     -ECONNREFUSED);
    ck_assert_int_eq(timed(&w, net_stream(w.io), "tcp6:many:80", 0, 0, &ns),
                     -ECONNREFUSED);
    ck_assert_uint_eq(n_tried, 2);
    ck_assert_str_eq(tried[0], "192.0.2.1:80");
    ck_assert_str_eq(tried[1], "[2001:db8::1]:80");
    world_end(&w);
}
END_TEST

START_TEST(the_next_begins_when_the_first_hangs)
{
    static const struct {
        int64_t stagger, least;
    } v[] = {{0, 250 * NET_MS}, {10 * NET_MS, 10 * NET_MS}};

    for (int i = 0; i < 2; i++) {
        struct world w;
        sonic_stream *s;
        int64_t ns;

        world_begin(&w, _i, true, NULL);
        s = net_stream(w.io);
        host(&w, "hang", "192.0.2.1 2001:db8::1", 0);
        route(&w, "2001:db8::1", SONIC_SIM_BLACKHOLE, 0);
        ck_assert_int_eq(timed(&w, s, "hang:80", 0, v[i].stagger, &ns), 0);
        ck_assert_int_ge(ns, v[i].least);
        ck_assert_int_lt(ns, v[i].least + 5 * NET_MS);
        assert_remote(s, "192.0.2.1:80");
        world_end(&w);
    }
}
END_TEST

START_TEST(the_first_to_connect_wins)
{
    static const struct {
        int64_t slow6, slow4;
        const char *winner;
    } v[] = {
        {100 * NET_MS, 0, "[2001:db8::1]:80"}, /* before the other begins */
        {200 * NET_MS, 900 * NET_MS, "[2001:db8::1]:80"}, /* while it runs */
        {900 * NET_MS, 50 * NET_MS, "192.0.2.1:80"},
    };

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        struct world w;
        sonic_stream *s;
        uint64_t fds;
        int64_t ns;

        world_begin(&w, _i, true, NULL);
        host(&w, "two", "192.0.2.1 2001:db8::1", 0);
        route(&w, "2001:db8::1", SONIC_SIM_NORMAL, v[i].slow6);
        route(&w, "192.0.2.1", SONIC_SIM_NORMAL, v[i].slow4);
        s = net_stream(w.io);
        fds = sonic_sim_stats(w.sim)->fds;
        ck_assert_int_eq(timed(&w, s, "two:80", 0, 0, &ns), 0);
        assert_remote(s, v[i].winner);
        ck_assert_uint_eq(sonic_sim_stats(w.sim)->fds, fds + 1);
        world_end(&w);
    }
}
END_TEST

START_TEST(the_error_is_the_last_attempts)
{
    struct world w;
    int64_t ns;

    world_begin(&w, _i, true, NULL);
    host(&w, "bad", "192.0.2.1 192.0.2.2 2001:db8::1", 0);
    route(&w, "2001:db8::1", SONIC_SIM_NO_ROUTE, 0);
    route(&w, "192.0.2.1", SONIC_SIM_REFUSE, 0);
    route(&w, "192.0.2.2", SONIC_SIM_UNREACHABLE, 0);
    ck_assert_int_eq(timed(&w, net_stream(w.io), "bad:80", 0, 0, &ns),
                     -EHOSTUNREACH);
    world_end(&w);
}
END_TEST

START_TEST(one_deadline_over_all_attempts)
{
    static const int64_t timeout[] = {0, 3 * NET_S, 100 * NET_MS, 1};

    for (int i = 0; i < 4; i++) {
        int64_t want = timeout[i] != 0 ? timeout[i] : 10 * NET_S, ns;
        struct world w;
        sonic_stream *s;
        uint64_t fds;

        world_begin(&w, _i, true, NULL);
        s = net_stream(w.io);
        host(&w, "hole", "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2", 0);
        route(&w, "192.0.2.1", SONIC_SIM_BLACKHOLE, 0);
        route(&w, "192.0.2.2", SONIC_SIM_BLACKHOLE, 0);
        route(&w, "2001:db8::1", SONIC_SIM_BLACKHOLE, 0);
        route(&w, "2001:db8::2", SONIC_SIM_BLACKHOLE, 0);
        fds = sonic_sim_stats(w.sim)->fds;
        ck_assert_int_eq(timed(&w, s, "hole:80", timeout[i], 0, &ns),
                         -ETIMEDOUT);
        ck_assert_int_ge(ns, want);
        ck_assert_int_lt(ns, want + NET_MS);
        ck_assert_uint_eq(sonic_sim_stats(w.sim)->fds, fds);
        ck_assert_int_eq(timed(&w, s, "198.51.100.1:80", 0, 0, &ns), 0);
        world_end(&w);
    }
}
END_TEST

START_TEST(the_deadline_counts_the_name)
{
    struct world w;
    int64_t ns;

    world_begin(&w, _i, true, NULL);
    host(&w, "slow", "192.0.2.1", 2 * NET_S);
    ck_assert_int_eq(timed(&w, net_stream(w.io), "slow:80", NET_S, 0, &ns),
                     -ETIMEDOUT);
    ck_assert_int_eq(timed(&w, net_stream(w.io), "slow:80", 3 * NET_S, 0, &ns),
                     0);
    ck_assert_int_ge(ns, 2 * NET_S);
    world_end(&w);
}
END_TEST

START_TEST(names_that_cannot_be_found)
{
    static const struct {
        int eai, err;
    } v[] = {
        {EAI_NONAME, SONIC_ERESOLVE}, {EAI_FAIL, SONIC_ERESOLVE},
        {EAI_SYSTEM, SONIC_ERESOLVE}, {EAI_AGAIN, SONIC_ERESOLVE_AGAIN},
        {EAI_MEMORY, -ENOMEM},
    };
    struct world w;
    sonic_stream *s;
    int64_t ns;

    world_begin(&w, _i, true, NULL);
    s = net_stream(w.io);
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        ck_assert_int_eq(sonic_sim_host_fails(w.sim, "bad", v[i].eai, NET_MS),
                         0);
        ck_assert_int_eq(timed(&w, s, "bad:80", 0, 0, &ns), v[i].err);
    }
    host(&w, "none", "", 0);
    ck_assert_int_eq(timed(&w, s, "none:80", 0, 0, &ns), SONIC_ERESOLVE);
    ck_assert_int_eq(timed(&w, s, "unheard-of:80", 0, 0, &ns), SONIC_ERESOLVE);
    ck_assert_uint_eq(n_tried, 0);
    ck_assert_int_eq(timed(&w, s, "localhost:80", 0, 0, &ns), 0);
    world_end(&w);
}
END_TEST

START_TEST(a_literal_is_not_looked_up)
{
    static const char *const v[] = {"192.0.2.1:80", "[2001:db8::1]:80",
                                    "unix:@x", "tcp6:[::1]:80"};
    struct world w;
    int64_t ns;

    world_begin(&w, _i, false, NULL);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(timed(&w, net_stream(w.io), v[i], 0, 0, &ns),
                         -ECONNREFUSED);
    ck_assert_uint_eq(sonic_sim_stats(w.sim)->call[SONIC_SIM_GETADDRINFO], 0);
    world_end(&w);
}
END_TEST

/* The local address leaves only its own family. */
START_TEST(a_local_address_chooses_the_family)
{
    sonic_connect_options o = SONIC_CONNECT_OPTIONS_INIT;
    sonic_socket_options so = SONIC_SOCKET_OPTIONS_INIT;
    struct world w;
    sonic_stream *s;

    world_begin(&w, _i, true, NULL);
    s = net_stream(w.io);
    host(&w, "two", "192.0.2.1 2001:db8::1", 0);
    o.socket = &so;
    so.bind = "192.0.2.9:0";
    ck_assert_int_eq(sonic_stream_connect(s, "two:80", &o), 0);
    ck_assert_uint_eq(n_tried, 1);
    assert_remote(s, "192.0.2.1:80");
    s = net_stream(w.io);
    ck_assert_int_eq(sonic_stream_connect(s, "tcp6:two:80", &o), SONIC_EOPTION);
    world_end(&w);
}
END_TEST

/* ---- everything fails in turn ----------------------------------------- */

/* One connect with its nth call, or nth allocation, failing.  False when
 * there was no nth. */
static bool
one_failure(int backend, const char *to, enum sonic_sim_call call, unsigned n)
{
    struct net_told t = {0};
    struct world w;
    sonic_stream *s;
    bool happened;

    world_begin(&w, backend, true, NULL);
    s = net_stream(w.io);
    host(&w, "two", "192.0.2.1 2001:db8::1", NET_MS);
    route(&w, "2001:db8::1", SONIC_SIM_NORMAL, 300 * NET_MS);
    sonic_sim_fail_call(w.sim, call, n, 0);
    sonic_stream_async_connect(s, to, NULL, net_on_stream, &t);
    for (int i = 0; i < 100 && t.calls == 0; i++)
        (void)sonic_io_run(w.io); /* a wait may be what fails */
    happened = sonic_sim_stats(w.sim)->forced > 0;
    sonic_sim_fail_call(w.sim, call, 0, 0);
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(sonic_stream_is_open(s), t.err == 0);
    ck_assert_int_eq(sonic_stream_fd(s) >= 0, t.err == 0);
    world_end(&w);
    return happened;
}

START_TEST(any_call_may_fail)
{
    static const char *const to[] = {"two:80", "192.0.2.1:80"};

    for (int i = 0; i < 2; i++)
        for (int alloc = 0; alloc < 2; alloc++) {
            enum sonic_sim_call call = alloc ? SONIC_SIM_ALLOC : SONIC_SIM_ANY;
            unsigned n = 1;

            while (n < 200 && one_failure(_i, to[i], call, n))
                n++;
            ck_assert_uint_gt(n, alloc ? 1 : 5);
            ck_assert_uint_lt(n, 200);
        }
}
END_TEST

/* ---- many worlds ------------------------------------------------------ */

static void
on_accept(sonic_listener *l, int err, sonic_stream *stream, void *ud)
{
    sonic_stream_free(stream);
    if (err != -ECANCELED && err != SONIC_ECLOSED)
        sonic_listener_async_accept(l, on_accept, ud);
}

enum { CLIENTS = 20 };

static void
one_world(int backend, uint64_t seed)
{
    static const char *const to[] = {"two:80", "192.0.2.1:80", "unix:@x",
                                     "unheard-of:80", "[2001:db8::1]:80"};
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    struct net_told t[CLIENTS] = {{0}};
    sonic_stream *s[CLIENTS];
    sonic_listener *l;
    struct world w;

    sonic_sim_swarm(&opt, seed);
    opt.faults.alloc_fails = opt.faults.socket_nobufs = 0; /* of the server */
    opt.faults.map_fails = opt.faults.memfd_fails = 0;
    world_begin(&w, backend, true, &opt);
    host(&w, "two", "192.0.2.1 2001:db8::1", 5 * NET_MS);
    l = net_listener(w.io, "unix:@x");
    sonic_listener_async_accept(l, on_accept, NULL);
    sonic_listener_async_accept(w.server, on_accept, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        s[i] = net_stream(w.io);
        sonic_stream_async_connect(s[i], to[sonic_sim_below(w.sim, 5)], NULL,
                                   net_on_stream, &t[i]);
    }
    for (int i = 0; i < 200; i++) {
        uint64_t k = sonic_sim_below(w.sim, 4 * CLIENTS);

        (void)sonic_io_run_one_for(w.io, 20 * NET_MS);
        if (k < CLIENTS && s[k] != NULL)
            sonic_stream_cancel(s[k], SONIC_BOTH);
        else if (k >= CLIENTS && k < 2 * CLIENTS) {
            sonic_stream_free(s[k - CLIENTS]);
            s[k - CLIENTS] = NULL;
        }
    }
    world_end(&w);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(t[i].calls, 1);
}

START_TEST(many_worlds)
{
    for (uint64_t seed = 1; seed <= 200; seed++)
        one_world(_i, seed);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("race");
    TCase *tc = tcase_create("world");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, families_alternate_ipv6_first, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_family_may_be_asked_for, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, the_next_begins_when_the_first_hangs, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, the_first_to_connect_wins, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, the_error_is_the_last_attempts, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, one_deadline_over_all_attempts, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, the_deadline_counts_the_name, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, names_that_cannot_be_found, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_literal_is_not_looked_up, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_local_address_chooses_the_family, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, any_call_may_fail, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, many_worlds, 0, NET_BACKENDS);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
