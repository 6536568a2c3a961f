/* The simulated world: where datagrams go, and what calls tell of them. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "support/sim_udp.h"
#include "support/sim_world.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { PORT = 4000, SENT = 1000 };

#define EPOCH INT64_C(1609459200000000000) /* 2021-01-01 */

/* ---- routes ---- */

START_TEST(routes_are_for_datagrams_too)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    int a, fd;
    int64_t t;

    opt.latency_min = opt.latency_max = 10 * MS;
    begin(&opt);
    a = bound("0.0.0.0", PORT);
    ck_assert_int_eq(sonic_sim_route(sim, "192.0.2.1", SONIC_SIM_REFUSE, 0), 0);
    ck_assert_int_eq(
        sonic_sim_route(sim, "192.0.2.2", SONIC_SIM_UNREACHABLE, 0), 0);
    ck_assert_int_eq(sonic_sim_route(sim, "192.0.2.3", SONIC_SIM_BLACKHOLE, 0),
                     0);
    ck_assert_int_eq(sonic_sim_route(sim, "192.0.2.4", SONIC_SIM_NO_ROUTE, 0),
                     0);
    ck_assert_int_eq(
        sonic_sim_route(sim, "192.0.2.5", SONIC_SIM_NORMAL, 100 * MS), 0);
    fd = connected("192.0.2.1", PORT);
    t = sonic_sim_now(sim);
    ck_assert_int_eq(send_number(fd, NULL, 0, 1), 4);
    sonic_sim_advance(sim, t + 19 * MS);
    ck_assert_int_eq(take_number(fd), -EAGAIN);
    sonic_sim_advance(sim, t + 21 * MS);
    ck_assert_int_eq(take_number(fd), -ECONNREFUSED);
    ck_assert_int_eq(take_number(fd), -EAGAIN);
    shut(fd);
    fd = connected("192.0.2.2", PORT);
    ck_assert_int_eq(send_number(fd, NULL, 0, 1), 4);
    sonic_sim_advance(sim, INT64_MAX);
    ck_assert_int_eq(take_number(fd), -EAGAIN); /* it may pass: udp(7) */
    set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
    ck_assert_int_eq(send_number(fd, NULL, 0, 1), 4);
    sonic_sim_advance(sim, INT64_MAX);
    ck_assert_int_eq(take_number(fd), -EHOSTUNREACH);
    shut(fd);
    fd = udp();
    ck_assert_int_eq(send_number(fd, "192.0.2.3", PORT, 1), 4);
    ck_assert_int_eq(send_number(fd, "192.0.2.4", PORT, 1), -ENETUNREACH);
    sonic_sim_advance(sim, INT64_MAX);
    ck_assert_int_eq(take_number(a), -EAGAIN);
    t = sonic_sim_now(sim);
    ck_assert_int_eq(send_number(fd, "192.0.2.5", PORT, 7), 4);
    sonic_sim_advance(sim, t + 109 * MS);
    ck_assert_int_eq(take_number(a), -EAGAIN);
    sonic_sim_advance(sim, t + 111 * MS);
    ck_assert_int_eq(take_number(a), 7);
    ck_assert_uint_eq(sonic_sim_stats(sim)->datagrams_unwanted, 4);
    shut(fd);
    shut(a);
    end();
}
END_TEST

START_TEST(a_broadcast_is_for_all)
{
    int a, b, s;

    begin(NULL);
    s = udp();
    a = udp();
    b = udp();
    set_int(a, SOL_SOCKET, SO_REUSEADDR, 1);
    set_int(b, SOL_SOCKET, SO_REUSEADDR, 1);
    {
        struct sockaddr_in any = at("0.0.0.0", PORT);

        ck_assert_int_eq(k->bind(a, (struct sockaddr *)&any, sizeof any, k->ud),
                         0);
        ck_assert_int_eq(k->bind(b, (struct sockaddr *)&any, sizeof any, k->ud),
                         0);
    }
    ck_assert_int_eq(send_number(s, "255.255.255.255", PORT, 1), -EACCES);
    set_int(s, SOL_SOCKET, SO_BROADCAST, 1);
    ck_assert_int_eq(send_number(s, "255.255.255.255", PORT, 1), 4);
    ck_assert_int_eq(take_number(a), 1);
    ck_assert_int_eq(take_number(b), 1);
    shut(a);
    shut(b);
    shut(s);
    end();
}
END_TEST

/* Sockets of one port share it by flow, and all of them get some. */
START_TEST(a_shared_port_is_shared)
{
    enum { SHARERS = 4, FLOWS = 200 };
    struct sockaddr_in a = at("10.0.0.1", PORT);
    int fd[SHARERS], got[SHARERS] = {0}, i, j;

    begin(NULL);
    for (i = 0; i < SHARERS; i++) {
        fd[i] = udp();
        set_int(fd[i], SOL_SOCKET, SO_REUSEPORT, 1);
        ck_assert_int_eq(k->bind(fd[i], (struct sockaddr *)&a, sizeof a, k->ud),
                         0);
    }
    for (j = 0; j < FLOWS; j++) {
        int s = udp(), of = -1;

        ck_assert_int_eq(send_number(s, "10.0.0.1", PORT, 1), 4);
        ck_assert_int_eq(send_number(s, "10.0.0.1", PORT, 2), 4);
        for (i = 0; i < SHARERS; i++) {
            if (take_number(fd[i]) == 1)
                of = i;
        }
        ck_assert_int_ge(of, 0);
        ck_assert_int_eq(take_number(fd[of]), 2);
        got[of]++;
        shut(s);
    }
    for (i = 0; i < SHARERS; i++) {
        ck_assert_int_gt(got[i], FLOWS / SHARERS / 4);
        shut(fd[i]);
    }
    end();
}
END_TEST

/* ---- times, joining, batches ---- */

START_TEST(timestamps_are_of_the_virtual_clock)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    _Alignas(struct cmsghdr) char control[128];
    struct timespec t[3];
    uint32_t n;
    struct iovec v = {&n, sizeof n};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    int64_t sent;
    int a, b;

    opt.latency_min = opt.latency_max = 7 * MS;
    opt.start = 5 * S;
    begin(&opt);
    a = bound("10.0.0.1", PORT);
    set_int(a, SOL_SOCKET, SO_TIMESTAMPING, 1 << 3 | 1 << 4);
    b = udp();
    ck_assert_int_eq(send_number(b, "10.0.0.1", PORT, 1), 4);
    sent = sonic_sim_now(sim);
    sonic_sim_advance(sim, sent + 100 * MS);
    ck_assert_int_eq(k->recvmsg(a, &m, 0, k->ud), 4);
    ck_assert_int_eq(CMSG_FIRSTHDR(&m)->cmsg_type, SO_TIMESTAMPING);
    memcpy(t, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof t);
    ck_assert_int_eq(t[0].tv_sec * S + t[0].tv_nsec, EPOCH + sent + 7 * MS);
    ck_assert_int_ge(k->realtime(k->ud), EPOCH + sent + 100 * MS);
    ck_assert_int_eq(t[2].tv_sec + t[2].tv_nsec, 0); /* no hardware */
    shut(a);
    shut(b);
    end();
}
END_TEST

START_TEST(datagrams_of_a_flow_are_joined)
{
    _Alignas(struct cmsghdr) char control[64];
    static char buf[70000];
    unsigned joined = 0, got = 0;
    int a, b, i;

    begin(NULL);
    a = bound("10.0.0.1", PORT);
    set_int(a, IPPROTO_UDP, UDP_GRO, 1);
    b = udp();
    for (i = 0; i < 40; i++)
        ck_assert_int_eq(send_number(b, "10.0.0.1", PORT, (uint32_t)i), 4);
    for (;;) {
        struct iovec v = {buf, sizeof buf};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = k->recvmsg(a, &m, 0, k->ud), at_byte;
        int size = 4;

        if (n == -EAGAIN)
            break;
        if (n > 4) {
            ck_assert_int_eq(CMSG_FIRSTHDR(&m)->cmsg_type, UDP_GRO);
            memcpy(&size, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof size);
            joined++;
        }
        ck_assert_int_eq(size, 4);
        for (at_byte = 0; at_byte < n; at_byte += 4, got++) {
            uint32_t number;

            memcpy(&number, buf + at_byte, 4);
            ck_assert_uint_eq(number, got);
        }
    }
    ck_assert_uint_eq(got, 40);
    ck_assert_uint_gt(joined, 1);
    ck_assert_uint_eq(sonic_sim_stats(sim)->datagrams_read, 40);
    shut(a);
    shut(b);
    end();
}
END_TEST

START_TEST(faults_of_batches_lose_nothing)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    struct mmsghdr m[8];
    struct iovec v[8];
    uint32_t n[8], next = 0, sent = 0;
    struct epoll_event in = {.events = EPOLLIN | EPOLLET};
    int a, b, i, r, ep;

    opt.faults.eintr = opt.faults.read_again = ALWAYS / 5;
    opt.faults.write_again = opt.faults.datagram_nobufs = ALWAYS / 5;
    begin(&opt);
    a = bound("10.0.0.1", PORT);
    b = connected("10.0.0.1", PORT);
    ep = new_epoll();
    ck_assert_int_eq(k->epoll_ctl(ep, EPOLL_CTL_ADD, a, &in, k->ud), 0);
    while (next < SENT) {
        memset(m, 0, sizeof m);
        for (i = 0; i < 8; i++) {
            n[i] = sent + (uint32_t)i;
            v[i] = (struct iovec){&n[i], sizeof n[i]};
            m[i].msg_hdr.msg_iov = &v[i];
            m[i].msg_hdr.msg_iovlen = 1;
        }
        r = k->sendmmsg(b, m, 8, 0, k->ud);
        ck_assert(r > 0 || r == -EAGAIN || r == -EINTR || r == -ENOBUFS);
        sent += r > 0 ? (uint32_t)r : 0;
        r = k->recvmmsg(a, m, 8, 0, k->ud);
        ck_assert(r > 0 || r == -EAGAIN || r == -EINTR);
        for (i = 0; i < r; i++)
            ck_assert_uint_eq(n[i], next++);
        if (r == -EAGAIN && next < sent) /* held up: an edge will come */
            while ((r = k->epoll_wait(ep, &in, 1, S, k->ud)) != 1)
                ck_assert_int_eq(r, -EINTR);
    }
    sonic_sim_fail_call(sim, SONIC_SIM_RECVMMSG, 1, EAGAIN);
    while ((r = k->sendmmsg(b, m, 1, 0, k->ud)) < 0) {
    }
    ck_assert_int_eq(k->recvmmsg(a, m, 8, 0, k->ud), -EAGAIN);
    while ((r = k->epoll_wait(ep, &in, 1, S, k->ud)) != 1)
        ck_assert_int_eq(r, -EINTR);
    shut(a);
    shut(b);
    shut(ep);
    end();
}
END_TEST

/* ---- interfaces ---- */

START_TEST(interfaces_have_names_and_addresses)
{
    struct ifaddrs *list, *i;
    char name[IF_NAMESIZE];
    unsigned v4 = 0, v6 = 0, none = 0;

    begin(NULL);
    ck_assert_int_eq(k->if_nametoindex("lo", k->ud), 1);
    ck_assert_int_eq(k->if_nametoindex("eth0", k->ud), -ENODEV);
    ck_assert_int_eq(sonic_sim_interface(sim, "eth0", "10.0.0.1 fe80::1", 0),
                     2);
    ck_assert_int_eq(sonic_sim_interface(sim, "eth1", "", 0), 3);
    ck_assert_int_eq(sonic_sim_interface(sim, "lo", "", 0), -EEXIST);
    ck_assert_int_eq(sonic_sim_interface(sim, "", "", 0), -EINVAL);
    ck_assert_int_eq(sonic_sim_interface(sim, "sixteen-letters-", "", 0),
                     -EINVAL);
    ck_assert_int_eq(sonic_sim_interface(sim, "eth2", "here", 0), -EINVAL);
    ck_assert_int_eq(k->if_nametoindex("eth0", k->ud), 2);
    ck_assert_int_eq(k->if_indextoname(2, name, k->ud), 0);
    ck_assert_str_eq(name, "eth0");
    ck_assert_int_eq(k->if_indextoname(4, name, k->ud), -ENODEV);
    ck_assert_int_eq(k->if_indextoname(0, name, k->ud), -ENODEV);
    ck_assert_int_eq(k->getifaddrs(&list, k->ud), 0);
    for (i = list; i != NULL; i = i->ifa_next) {
        if (i->ifa_addr == NULL)
            none++;
        else if (i->ifa_addr->sa_family == AF_INET)
            v4++;
        else
            v6++;
        ck_assert_int_eq((i->ifa_flags & IFF_LOOPBACK) != 0,
                         strcmp(i->ifa_name, "lo") == 0);
    }
    ck_assert_uint_eq(none, 3);
    ck_assert_uint_eq(v4, 2);
    ck_assert_uint_eq(v6, 2);
    k->freeifaddrs(list, k->ud);
    sonic_sim_fail_call(sim, SONIC_SIM_GETIFADDRS, 1, 0);
    ck_assert_int_eq(k->getifaddrs(&list, k->ud), -ENOMEM);
    ck_assert_ptr_null(list);
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim_udp_calls");
    TCase *tc = tcase_create("calls");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, routes_are_for_datagrams_too);
    tcase_add_test(tc, a_broadcast_is_for_all);
    tcase_add_test(tc, a_shared_port_is_shared);
    tcase_add_test(tc, timestamps_are_of_the_virtual_clock);
    tcase_add_test(tc, datagrams_of_a_flow_are_joined);
    tcase_add_test(tc, faults_of_batches_lose_nothing);
    tcase_add_test(tc, interfaces_have_names_and_addresses);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
