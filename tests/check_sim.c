/* The simulated world: its time, its connections, its names. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "support/sim_world.h"

/* ---- time ---- */

START_TEST(waiting_is_what_moves_the_clock)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    int ep;
    int64_t t;

    opt.start = 7 * S;
    opt.call_cost = 10;
    begin(&opt);
    ck_assert_int_eq(sonic_sim_now(sim), 7 * S);
    ck_assert_int_eq(k->clock(k->ud), 7 * S + 10);
    ep = new_epoll();
    t = sonic_sim_now(sim);
    ck_assert_uint_eq(events_within(ep, 0), 0);
    ck_assert_int_eq(sonic_sim_now(sim), t + 10);
    ck_assert_uint_eq(events_within(ep, 3600 * S), 0);
    ck_assert_int_eq(sonic_sim_now(sim), t + 20 + 3600 * S);
    shut(ep);
    end();
}
END_TEST

START_TEST(waiting_for_nothing_is_an_error)
{
    struct epoll_event ev;
    struct pollfd p;
    int ep, fd[2];

    begin(NULL);
    ep = new_epoll();
    ck_assert_int_eq(k->epoll_wait(ep, &ev, 1, -1, k->ud), -EDEADLK);
    new_pair(fd);
    p = (struct pollfd){.fd = fd[0], .events = POLLIN};
    ck_assert_int_eq(k->poll(&p, 1, -1, k->ud), -EDEADLK);
    ck_assert_int_eq(k->fcntl(fd[0], F_SETFL, 0, k->ud), 0);
    ck_assert_int_eq(take(fd[0], 1), -EDEADLK);
    shut(fd[0]);
    shut(fd[1]);
    shut(ep);
    end();
}
END_TEST

START_TEST(too_many_calls_are_an_error)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    int ep, i;
    struct epoll_event ev;

    opt.call_limit = 100;
    begin(&opt);
    ep = new_epoll();
    for (i = 1; i < 100; i++)
        ck_assert_int_eq(k->epoll_wait(ep, &ev, 1, 0, k->ud), 0);
    ck_assert_int_eq(k->epoll_wait(ep, &ev, 1, 0, k->ud), -EDEADLK);
    ck_assert_int_eq(k->close(ep, k->ud), -EDEADLK); /* but it closes */
    end();
}
END_TEST

START_TEST(bytes_take_their_time_and_stay_in_order)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    sonic_sim_connection c;
    int ep, fd[2], i;
    int64_t t;

    opt.latency_min = MS;
    opt.latency_max = 9 * MS;
    begin(&opt);
    ep = new_epoll();
    new_pair(fd);
    watch(ep, fd[1]);
    ck_assert_uint_eq(events_within(ep, 0), EPOLLOUT);
    t = sonic_sim_now(sim);
    for (i = 0; i < 20; i++)
        ck_assert_int_eq(put(fd[0], 100), 100);
    ck_assert_int_eq(take(fd[1], 1), -EAGAIN);
    ck_assert_uint_eq(sonic_sim_stats(sim)->bytes_flying, 2000);
    ck_assert_uint_eq(events_within(ep, S), EPOLLIN | EPOLLOUT);
    ck_assert_int_ge(sonic_sim_now(sim), t + MS);
    ck_assert_int_eq(take(fd[1], 10000) % 100, 0);
    sonic_sim_advance(sim, t + 10 * MS);
    ck_assert_int_eq(take(fd[1], 10000) % 100, 0);
    ck_assert_uint_eq(sonic_sim_stats(sim)->bytes_flying, 0);
    ck_assert_int_eq(sonic_sim_connection_get(sim, 0, &c), 0);
    ck_assert_uint_eq(c.written[0], 2000);
    ck_assert_uint_eq(c.read[0], 2000);
    ck_assert_uint_eq(c.order_written[0], c.order_read[0]);
    ck_assert_int_eq(sonic_sim_connection_get(sim, 1, &c), -ERANGE);
    shut(fd[0]);
    shut(fd[1]);
    shut(ep);
    end();
}
END_TEST

START_TEST(a_writer_waits_for_the_reader)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    int ep, fd[2];

    opt.latency_min = opt.latency_max = MS;
    opt.send_buffer = 3000;
    opt.receive_buffer = 1000;
    begin(&opt);
    ep = new_epoll();
    new_pair(fd);
    watch(ep, fd[0]);
    ck_assert_uint_eq(events_within(ep, 0), EPOLLOUT);
    ck_assert_int_eq(put(fd[0], 9999), 3000);
    ck_assert_int_eq(put(fd[0], 9999), -EAGAIN);
    sonic_sim_advance(sim, sonic_sim_now(sim) + S);
    ck_assert_uint_eq(events_within(ep, 0), EPOLLOUT); /* 1000 are there */
    ck_assert_int_eq(put(fd[0], 9999), 1000);
    sonic_sim_advance(sim, sonic_sim_now(sim) + S);
    ck_assert_uint_eq(events_within(ep, 0), 0);
    ck_assert_int_eq(take(fd[1], 9999), 1000);
    ck_assert_int_eq(take(fd[1], 9999), 1000);
    ck_assert_uint_eq(events_within(ep, S), EPOLLOUT);
    ck_assert_int_eq(take(fd[1], 9999), 1000);
    ck_assert_int_eq(take(fd[1], 9999), 1000);
    ck_assert_int_eq(take(fd[1], 9999), -EAGAIN);
    shut(fd[0]);
    shut(fd[1]);
    shut(ep);
    end();
}
END_TEST

/* ---- connections ---- */

/* After how long, and how, a connection attempt ends. */
static int64_t
attempt(const char *at, int error)
{
    int ep = new_epoll(), fd = new_client(at, 80, -EINPROGRESS);
    int64_t t = sonic_sim_now(sim);
    uint32_t events;

    watch(ep, fd);
    events = events_within(ep, 3600 * S);
    ck_assert_int_eq((events & EPOLLERR) != 0, error != 0);
    ck_assert_uint_ne(events & EPOLLOUT, 0);
    ck_assert_int_eq(so_error(fd), error);
    shut(fd);
    shut(ep);
    return sonic_sim_now(sim) - t;
}

START_TEST(routes_decide_how_connecting_ends)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    int l;

    opt.latency_min = opt.latency_max = 10 * MS;
    opt.call_cost = 1;
    begin(&opt);
    l = new_listener("0.0.0.0", 80, 99);
    ck_assert_int_eq(sonic_sim_route(sim, "192.0.2.1", SONIC_SIM_REFUSE, 0), 0);
    ck_assert_int_eq(
        sonic_sim_route(sim, "192.0.2.2", SONIC_SIM_UNREACHABLE, 0), 0);
    ck_assert_int_eq(sonic_sim_route(sim, "192.0.2.3", SONIC_SIM_BLACKHOLE, 0),
                     0);
    ck_assert_int_eq(sonic_sim_route(sim, "192.0.2.4", SONIC_SIM_NO_ROUTE, 0),
                     0);
    ck_assert_int_eq(
        sonic_sim_route(sim, "192.0.2.5", SONIC_SIM_NORMAL, 100 * MS), 0);
    ck_assert_int_eq(sonic_sim_route(sim, "nowhere", SONIC_SIM_NORMAL, 0),
                     -EINVAL);
    ck_assert_int_eq(attempt("192.0.2.9", 0) / MS, 20);
    ck_assert_int_eq(attempt("192.0.2.1", ECONNREFUSED) / MS, 20);
    ck_assert_int_eq(attempt("192.0.2.2", EHOSTUNREACH) / MS, 20);
    ck_assert_int_eq(attempt("192.0.2.3", ETIMEDOUT) / S, 127);
    ck_assert_int_eq(attempt("192.0.2.5", 0) / MS, 220);
    shut(new_client("192.0.2.4", 80, -ENETUNREACH));
    shut(l);
    end();
}
END_TEST

/* A full queue drops the SYN, which comes again a second later. */
START_TEST(a_full_accept_queue_delays)
{
    int l, a, b, s, ep;
    int64_t t;

    begin(NULL);
    ep = new_epoll();
    l = new_listener("127.0.0.1", 80, 0);
    t = sonic_sim_now(sim);
    a = new_client("127.0.0.1", 80, -EINPROGRESS);
    b = new_client("127.0.0.1", 80, -EINPROGRESS);
    watch(ep, b);
    ck_assert_uint_eq(events_within(ep, 500 * MS), 0);
    s = k->accept4(l, NULL, NULL, 0, k->ud);
    ck_assert_int_ge(s, 0);
    ck_assert_uint_eq(events_within(ep, 9 * S), EPOLLOUT);
    ck_assert_int_eq((sonic_sim_now(sim) - t) / S, 1);
    shut(a);
    shut(b);
    shut(s);
    shut(l);
    shut(ep);
    end();
}
END_TEST

START_TEST(names_have_addresses_delays_and_failures)
{
    int64_t t;

    begin(NULL);
    ck_assert_int_eq(
        sonic_sim_host(sim, "a.example", "2001:db8::1 192.0.2.1", 30 * MS), 0);
    ck_assert_int_eq(sonic_sim_host_fails(sim, "b.example", EAI_FAIL, 0), 0);
    ck_assert_int_eq(sonic_sim_host(sim, "c.example", "192.0.2.500", 0),
                     -EINVAL);
    t = sonic_sim_now(sim);
    expect_addresses("A.example", AF_UNSPEC, 0, 2);
    ck_assert_int_eq((sonic_sim_now(sim) - t) / MS, 30);
    expect_addresses("a.example", AF_INET6, 0, 1);
    expect_addresses("b.example", AF_UNSPEC, EAI_FAIL, 0);
    expect_addresses("c.example", AF_UNSPEC, EAI_NONAME, 0);
    expect_addresses("localhost", AF_UNSPEC, 0, 2);
    expect_addresses("::1", AF_UNSPEC, 0, 1);
    expect_addresses("::1", AF_INET, EAI_ADDRFAMILY, 0);
    expect_addresses("192.0.2.7", AF_UNSPEC, 0, 1);
    ck_assert_int_eq(sonic_sim_host(sim, "a.example", "", 0), 0);
    expect_addresses("a.example", AF_UNSPEC, EAI_NODATA, 0);
    end();
}
END_TEST

START_TEST(a_reset_comes_at_its_byte)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    sonic_sim_connection c;
    uint64_t at;

    opt.latency_min = opt.latency_max = MS;
    for (at = 0; at <= 40; at++) {
        int fd[2];

        begin(&opt);
        new_pair(fd);
        ck_assert_int_eq(sonic_sim_reset_at(sim, fd[1], SONIC_SIM_RECEIVED, at),
                         0);
        sonic_sim_advance(sim, sonic_sim_now(sim) + 5 * MS);
        if (at > 0) {
            ck_assert_int_eq(put(fd[1], 7), 7);
            ck_assert_int_eq(put(fd[0], 20), 20);
            ck_assert_int_eq(put(fd[0], 30), 30);
            sonic_sim_advance(sim, sonic_sim_now(sim) + 5 * MS);
            ck_assert_int_eq(take(fd[1], 99), (ssize_t)at);
            ck_assert_int_eq(take(fd[0], 99), 7);
        }
        ck_assert_int_eq(take(fd[1], 99), -ECONNRESET);
        ck_assert_int_eq(take(fd[1], 99), 0);
        ck_assert_int_eq(put(fd[0], 1), -ECONNRESET);
        ck_assert_int_eq(put(fd[0], 1), -EPIPE);
        shut(fd[0]);
        shut(fd[1]);
        ck_assert_int_eq(sonic_sim_connection_get(sim, 0, &c), 0);
        ck_assert(c.closed && c.reset);
        ck_assert_uint_eq(c.written[0], c.read[0] + c.dropped[0]);
        ck_assert_uint_eq(c.read[0], at);
        ck_assert_uint_eq(sonic_sim_stats(sim)->bytes_flying, 0);
        end();
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim");
    TCase *tc = tcase_create("world");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, waiting_is_what_moves_the_clock);
    tcase_add_test(tc, waiting_for_nothing_is_an_error);
    tcase_add_test(tc, too_many_calls_are_an_error);
    tcase_add_test(tc, bytes_take_their_time_and_stay_in_order);
    tcase_add_test(tc, a_writer_waits_for_the_reader);
    tcase_add_test(tc, routes_decide_how_connecting_ends);
    tcase_add_test(tc, a_full_accept_queue_delays);
    tcase_add_test(tc, names_have_addresses_delays_and_failures);
    tcase_add_test(tc, a_reset_comes_at_its_byte);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
