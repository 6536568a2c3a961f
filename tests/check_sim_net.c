/* The simulated world: what may become of datagrams. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/sim_udp.h"
#include "support/sim_world.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

enum { PORT = 4000, SENT = 1000, COST = 768 };

/* ---- faults ---- */

struct tally {
    unsigned got, twice, late; /* late: after one sent later */
    unsigned seen[SENT];
};

/* Send numbers a microsecond apart and see what comes. */
static void
send_all(const sonic_sim_options *opt, struct tally *t)
{
    int a, b;
    int64_t n, last = -1;
    uint32_t i;

    memset(t, 0, sizeof *t);
    begin(opt);
    a = bound("10.0.0.1", PORT);
    b = udp();
    for (i = 0; i < SENT; i++) {
        n = send_number(b, "10.0.0.1", PORT, i);
        ck_assert(n == 4 || n == -ENOBUFS);
        if (n < 0)
            i--;
        sonic_sim_advance(sim, sonic_sim_now(sim) + 1000);
        while ((n = take_number(a)) >= 0) {
            t->got++;
            t->twice += t->seen[n]++ == 1;
            t->late += n < last;
            last = n;
        }
        ck_assert_int_eq(n, -EAGAIN);
    }
    sonic_sim_advance(sim, INT64_MAX);
    while ((n = take_number(a)) >= 0) {
        t->got++;
        t->twice += t->seen[n]++ == 1;
        t->late += n < last;
        last = n;
    }
    shut(a);
    shut(b);
}

START_TEST(without_faults_all_come_in_order)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    static struct tally t;
    const sonic_sim_counters *c;

    opt.latency_min = 100;
    opt.latency_max = 9 * MS;
    opt.call_cost = 1;
    opt.receive_buffer = SENT * (COST + 4);
    send_all(&opt, &t);
    c = sonic_sim_stats(sim);
    ck_assert_uint_eq(t.got, SENT);
    ck_assert_uint_eq(t.twice + t.late, 0);
    ck_assert_uint_eq(c->datagrams_sent, SENT);
    ck_assert_uint_eq(c->datagrams_arrived, SENT);
    ck_assert_uint_eq(c->datagrams_read, SENT);
    ck_assert_uint_eq(c->datagrams_overflowed + c->datagrams_unwanted, 0);
    end();
}
END_TEST

START_TEST(datagrams_are_dropped)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    static struct tally t;

    opt.faults.drop = ALWAYS / 4;
    send_all(&opt, &t);
    ck_assert_uint_gt(t.got, SENT / 2);
    ck_assert_uint_lt(t.got, SENT * 9 / 10);
    ck_assert_uint_eq(t.twice + t.late, 0);
    ck_assert_uint_eq(sonic_sim_stats(sim)->fault.drop, SENT - t.got);
    ck_assert_uint_eq(sonic_sim_stats(sim)->call[SONIC_SIM_NET_DROPPED],
                      SENT - t.got);
    end();
}
END_TEST

START_TEST(datagrams_come_twice)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    static struct tally t;

    opt.faults.duplicate = ALWAYS / 4;
    opt.reorder_delay = 10000;
    send_all(&opt, &t);
    ck_assert_uint_gt(t.twice, SENT / 10);
    ck_assert_uint_eq(t.got, SENT + t.twice);
    ck_assert_uint_eq(sonic_sim_stats(sim)->fault.duplicate, t.twice);
    ck_assert_uint_gt(t.late, 0); /* some second ones are */
    end();
}
END_TEST

START_TEST(datagrams_overtake_one_another)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    static struct tally t;

    opt.faults.reorder = ALWAYS / 4;
    opt.reorder_delay = 20000;
    send_all(&opt, &t);
    ck_assert_uint_eq(t.got, SENT);
    ck_assert_uint_eq(t.twice, 0);
    ck_assert_uint_gt(t.late, SENT / 10);
    end();
}
END_TEST

START_TEST(sending_may_find_a_full_queue)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    static struct tally t;

    opt.faults.datagram_nobufs = ALWAYS / 4;
    send_all(&opt, &t);
    ck_assert_uint_eq(t.got, SENT);
    ck_assert_uint_eq(t.twice + t.late, 0);
    ck_assert_uint_gt(sonic_sim_stats(sim)->fault.datagram_nobufs, SENT / 10);
    end();
}
END_TEST

/* Each feed stays in order, and one runs behind the other for a while. */
START_TEST(two_ways_drift_apart)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    uint32_t i, next[2] = {0, 0}, apart = 0, behind[2] = {0, 0};
    int fd[2], s;

    opt.faults.skew = ALWAYS / 20;
    opt.skew_delay = 50000;
    opt.receive_buffer = SENT * (COST + 4);
    begin(&opt);
    fd[0] = bound("239.0.0.1", PORT);
    fd[1] = bound("239.0.0.2", PORT);
    join(fd[0], "239.0.0.1", 0);
    join(fd[1], "239.0.0.2", 0);
    s = udp();
    for (i = 0; i < SENT; i++) {
        int f;

        ck_assert_int_eq(send_number(s, "239.0.0.1", PORT, i), 4);
        ck_assert_int_eq(send_number(s, "239.0.0.2", PORT, i), 4);
        sonic_sim_advance(sim, sonic_sim_now(sim) + 1000);
        for (f = 0; f < 2; f++) {
            int64_t n;

            while ((n = take_number(fd[f])) >= 0)
                ck_assert_int_eq(n, next[f]++);
        }
        behind[0] += next[0] < next[1];
        behind[1] += next[1] < next[0];
        if (next[0] > next[1] + apart || next[1] > next[0] + apart)
            apart++;
    }
    ck_assert_uint_gt(behind[0], 10);
    ck_assert_uint_gt(behind[1], 10);
    ck_assert_uint_gt(apart, 5);
    ck_assert_uint_gt(sonic_sim_stats(sim)->fault.skew, 10);
    shut(fd[0]);
    shut(fd[1]);
    shut(s);
    end();
}
END_TEST

START_TEST(what_does_not_fit_is_counted)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    _Alignas(struct cmsghdr) char control[64];
    uint32_t i, n, lost = 0, memory[9];
    struct iovec v = {&n, sizeof n};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    socklen_t len = sizeof memory;
    int a, b;

    opt.receive_buffer = 10 * (COST + 4);
    begin(&opt);
    a = bound("10.0.0.1", PORT);
    set_int(a, SOL_SOCKET, SO_RXQ_OVFL, 1);
    b = udp();
    for (i = 0; i < 15; i++)
        ck_assert_int_eq(send_number(b, "10.0.0.1", PORT, i), 4);
    for (i = 0; i < 10; i++)
        ck_assert_int_eq(take_number(a), i);
    ck_assert_int_eq(take_number(a), -EAGAIN);
    ck_assert_int_eq(send_number(b, "10.0.0.1", PORT, 15), 4);
    ck_assert_int_eq(
        k->getsockopt(a, SOL_SOCKET, SO_MEMINFO, memory, &len, k->ud), 0);
    ck_assert_uint_eq(memory[0], COST + 4);
    ck_assert_uint_eq(memory[8], 5);
    ck_assert_int_eq(k->recvmsg(a, &m, 0, k->ud), 4);
    ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&m));
    memcpy(&lost, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof lost);
    ck_assert_uint_eq(lost, 5);
    ck_assert_uint_eq(sonic_sim_stats(sim)->datagrams_overflowed, 5);
    shut(a);
    shut(b);
    end();
}
END_TEST

/* ---- determinism ---- */

static uint64_t
session(uint64_t seed, char *trace, size_t room)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    uint64_t hash;
    int a, b;
    uint32_t i;
    FILE *f;

    sonic_sim_swarm(&opt, seed);
    opt.faults.drop = opt.faults.duplicate = opt.faults.reorder = ALWAYS / 5;
    opt.faults.skew = ALWAYS / 5;
    opt.faults.socket_nobufs = 0;
    opt.latency_min = 0;
    opt.latency_max = opt.reorder_delay = opt.skew_delay = 20000;
    opt.trace = 1000;
    begin(&opt);
    a = bound("10.0.0.1", PORT);
    b = udp();
    for (i = 0; i < 50; i++) {
        send_number(b, "10.0.0.1", PORT, i);
        sonic_sim_advance(sim, sonic_sim_now(sim) + 1000);
        take_number(a);
    }
    shut(a);
    shut(b);
    hash = sonic_sim_hash(sim);
    f = fmemopen(trace, room, "w");
    sonic_sim_print_trace(sim, f);
    fclose(f);
    end();
    return hash;
}

START_TEST(the_same_seed_is_the_same_network)
{
    static char one[100000], two[100000];
    uint64_t seed, last = 0;

    for (seed = 1; seed <= 100; seed++) {
        uint64_t hash = session(seed, one, sizeof one);

        ck_assert_uint_eq(session(seed, two, sizeof two), hash);
        ck_assert_str_eq(one, two);
        ck_assert_uint_ne(hash, last);
        last = hash;
    }
    ck_assert_ptr_nonnull(strstr(one, "(arrived)"));
    ck_assert_ptr_nonnull(strstr(one, "(dropped)"));
    ck_assert_ptr_nonnull(strstr(one, "(duplicated)"));
    ck_assert_ptr_nonnull(strstr(one, "(reordered)"));
    ck_assert_ptr_nonnull(strstr(one, "(skewed)"));
}
END_TEST

START_TEST(the_world_may_run_out_of_memory)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    sonic_sim *outer;
    uint64_t n, failed;
    int64_t r;

    ck_assert_int_eq(sonic_sim_new(&outer, NULL), 0);
    opt.mem = sonic_sim_mem(outer);
    opt.faults.duplicate = ALWAYS;
    for (n = 1;; n++) {
        struct sockaddr_in a = at("10.0.0.1", PORT);
        struct group_req g = {.gr_interface = 0};
        struct sockaddr_in group = at("239.0.0.1", 0);
        struct ifaddrs *list;
        int fd;

        failed = sonic_sim_stats(outer)->forced;
        memcpy(&g.gr_group, &group, sizeof group);
        ck_assert_int_eq(sonic_sim_new(&sim, &opt), 0);
        sonic_sim_fail_call(outer, SONIC_SIM_ALLOC, n, 0);
        k = sonic_sim_sys(sim);
        fd = k->socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0, k->ud);
        k->bind(fd, (struct sockaddr *)&a, sizeof a, k->ud);
        k->setsockopt(fd, IPPROTO_IP, MCAST_JOIN_GROUP, &g, sizeof g, k->ud);
        r = send_number(fd, "10.0.0.1", PORT, 5);
        ck_assert(r == 4 || r < 0);
        take_number(fd);
        send_number(fd, "10.0.0.1", PORT + 1, 5);
        if (k->getifaddrs(&list, k->ud) == 0)
            k->freeifaddrs(list, k->ud);
        sonic_sim_free(sim, NULL);
        if (sonic_sim_stats(outer)->forced == failed)
            break;
    }
    ck_assert_uint_gt(n, 10);
    ck_assert_int_eq(sonic_sim_free(outer, NULL), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim_net");
    TCase *tc = tcase_create("datagrams");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, without_faults_all_come_in_order);
    tcase_add_test(tc, datagrams_are_dropped);
    tcase_add_test(tc, datagrams_come_twice);
    tcase_add_test(tc, datagrams_overtake_one_another);
    tcase_add_test(tc, sending_may_find_a_full_queue);
    tcase_add_test(tc, two_ways_drift_apart);
    tcase_add_test(tc, what_does_not_fit_is_counted);
    tcase_add_test(tc, the_same_seed_is_the_same_network);
    tcase_add_test(tc, the_world_may_run_out_of_memory);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
