/* The simulated world: faults, resources, and that all follows from a seed. */
#include <check.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>

#include <sonicio/error.h>

#include "support/sim_world.h"

/* ---- faults ---- */

/* What a correct edge-triggered program does: after a short count it waits. */
static void
pump(int ep, int from, int to, size_t total)
{
    size_t sent = 0, got = 0;
    int idle = 0;

    while (got < total && idle < 10000) {
        struct epoll_event ev[4];
        ssize_t n = 0;

        if (sent < total && (n = put(from, total - sent)) > 0)
            sent += (size_t)n;
        ck_assert(n >= 0 || n == -EAGAIN || n == -EINTR);
        if (n == -EINTR)
            continue;
        n = take(to, 1000);
        ck_assert(n > 0 || n == -EAGAIN || n == -EINTR);
        if (n > 0)
            got += (size_t)n;
        if (n != -EAGAIN)
            continue;
        n = k->epoll_wait(ep, ev, 4, -1, k->ud);
        ck_assert_msg(n >= 0 || n == -EINTR, "%s", sonic_errname((int)n));
        idle += n <= 0;
    }
    ck_assert_uint_eq(got, total);
}

START_TEST(every_fault_that_is_on_happens_and_loses_nothing)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    const sonic_sim_faults *f;
    int ep, fd[2];

    opt.seed = 5;
    opt.faults.short_read = opt.faults.short_write = ALWAYS / 3;
    opt.faults.read_again = opt.faults.write_again = ALWAYS / 3;
    opt.faults.eintr = opt.faults.stall = opt.faults.clock_jump = ALWAYS / 10;
    opt.send_buffer = opt.receive_buffer = 5000;
    begin(&opt);
    ep = new_epoll();
    new_pair(fd);
    watch(ep, fd[0]);
    watch(ep, fd[1]);
    pump(ep, fd[0], fd[1], 200000);
    pump(ep, fd[1], fd[0], 200000);
    f = &sonic_sim_stats(sim)->fault;
    ck_assert_uint_gt(f->short_read, 10);
    ck_assert_uint_gt(f->short_write, 10);
    ck_assert_uint_gt(f->read_again, 10);
    ck_assert_uint_gt(f->write_again, 10);
    ck_assert_uint_gt(f->eintr, 10);
    ck_assert_uint_gt(f->stall, 2);
    ck_assert_uint_gt(f->clock_jump, 2);
    ck_assert_uint_eq(f->reset + f->send_nobufs, 0);
    ck_assert_uint_eq(sonic_sim_stats(sim)->bytes_read, 400000);
    shut(fd[0]);
    shut(fd[1]);
    shut(ep);
    end();
}
END_TEST

START_TEST(faults_that_end_an_attempt)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    int l, c, fd[2], err;
    void *p;

    opt.faults.accept_abort = opt.faults.send_nobufs = ALWAYS;
    opt.faults.socket_nobufs = 0;
    opt.faults.map_fails = opt.faults.memfd_fails = ALWAYS;
    opt.faults.alloc_fails = opt.faults.resolve_fails = ALWAYS;
    begin(&opt);
    l = new_listener("127.0.0.1", 80, 9);
    c = new_client("127.0.0.1", 80, -EINPROGRESS);
    ck_assert_int_eq(k->accept4(l, NULL, NULL, 0, k->ud), -ECONNABORTED);
    ck_assert_int_eq(k->accept4(l, NULL, NULL, 0, k->ud), -EAGAIN);
    ck_assert_int_eq(take(c, 1), -ECONNRESET);
    new_pair(fd);
    ck_assert_int_eq(put(fd[0], 1), -ENOBUFS);
    ck_assert_int_eq(k->memfd_create("x", 0, k->ud), -EMFILE);
    p = k->mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &err,
                k->ud);
    ck_assert_ptr_eq(p, MAP_FAILED);
    ck_assert_int_eq(err, -ENOMEM);
    ck_assert_ptr_null(sonic_sim_mem(sim)->alloc(9, sonic_sim_mem(sim)->ud));
    expect_addresses("localhost", AF_UNSPEC, EAI_AGAIN, 0);
    shut(l);
    shut(c);
    shut(fd[0]);
    shut(fd[1]);
    end();

    memset(&opt.faults, 0, sizeof opt.faults);
    opt.faults.refuse = opt.faults.accept_full = ALWAYS;
    begin(&opt);
    l = new_listener("127.0.0.1", 80, 9);
    c = new_client("127.0.0.1", 80, -EINPROGRESS);
    ck_assert_int_eq(so_error(c), ECONNREFUSED);
    shut(l);
    shut(c);
    end();
}
END_TEST

START_TEST(the_nth_call_fails_once)
{
    int a, b;

    begin(NULL);
    sonic_sim_fail_call(sim, SONIC_SIM_SOCKET, 2, 0);
    a = new_socket();
    ck_assert_int_eq(k->socket(AF_INET, SOCK_STREAM, 0, k->ud), -EMFILE);
    b = new_socket();
    ck_assert_uint_eq(sonic_sim_stats(sim)->forced, 1);
    sonic_sim_fail_call(sim, SONIC_SIM_ANY, 3, ENOSYS);
    k->clock(k->ud); /* cannot fail, does not count */
    ck_assert_int_eq(take(a, 1), -ENOTCONN);
    ck_assert_int_eq(take(a, 1), -ENOTCONN);
    ck_assert_int_eq(take(a, 1), -ENOSYS);
    ck_assert_int_eq(take(a, 1), -ENOTCONN);
    sonic_sim_fail_call(sim, SONIC_SIM_CLOSE, 1, EIO);
    ck_assert_int_eq(k->close(a, k->ud), -EIO);
    ck_assert_int_eq(k->close(a, k->ud), -EBADF); /* it was closed */
    sonic_sim_fail_call(sim, SONIC_SIM_CLOSE, 1, EIO);
    sonic_sim_fail_call(sim, SONIC_SIM_CLOSE, 0, 0);
    shut(b);
    ck_assert_uint_eq(sonic_sim_stats(sim)->forced, 3);
    ck_assert_uint_eq(sonic_sim_stats(sim)->bad_fd, 1);
    end();
}
END_TEST

/* A read told -EAGAIN by order gets an edge afterwards, as a real one would. */
START_TEST(again_by_order_is_followed_by_an_edge)
{
    int ep, fd[2];

    begin(NULL);
    ep = new_epoll();
    new_pair(fd);
    watch(ep, fd[1]);
    ck_assert_int_eq(put(fd[0], 5), 5);
    ck_assert_uint_eq(events_within(ep, 0), EPOLLIN | EPOLLOUT);
    sonic_sim_fail_call(sim, SONIC_SIM_RECV, 1, EAGAIN);
    ck_assert_int_eq(take(fd[1], 9), -EAGAIN);
    ck_assert_uint_eq(events_within(ep, S), EPOLLIN | EPOLLOUT);
    ck_assert_int_eq(take(fd[1], 9), 5);
    sonic_sim_fail_call(sim, SONIC_SIM_SEND, 1, EAGAIN);
    ck_assert_int_eq(put(fd[1], 9), -EAGAIN);
    ck_assert_uint_eq(events_within(ep, S), EPOLLOUT);
    ck_assert_int_eq(put(fd[1], 9), 9);
    shut(fd[0]);
    shut(fd[1]);
    shut(ep);
    end();
}
END_TEST

/* ---- resources ---- */

START_TEST(descriptors_run_out)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    int fd[2], a;

    opt.fd_limit = 6;
    begin(&opt);
    new_pair(fd);
    ck_assert_int_eq(fd[0], 3);
    ck_assert_int_eq(fd[1], 4);
    ck_assert_int_eq(k->pipe2(fd, 0, k->ud), -EMFILE);
    a = new_socket();
    ck_assert_int_eq(a, 5); /* the failed pipe gave its first one back */
    ck_assert_int_eq(k->socket(AF_INET, SOCK_STREAM, 0, k->ud), -EMFILE);
    ck_assert_int_eq(k->accept4(a, NULL, NULL, 0, k->ud), -EMFILE);
    shut(3);
    shut(4);
    shut(5);
    end();
}
END_TEST

/* Memory whose leak the leak checker of a sanitizer does not see. */
static void *
arena_alloc(size_t bytes, void *ud)
{
    static _Alignas(max_align_t) uint8_t arena[256 * 1024];
    size_t *used = ud, at = (*used + 15) / 16 * 16;

    ck_assert_uint_le(at + bytes, sizeof arena);
    *used = at + bytes;
    return arena + at;
}

static void
arena_free(void *ptr, size_t bytes, void *ud)
{
    (void)ptr;
    (void)bytes;
    (void)ud;
}

START_TEST(what_is_left_over_is_reported)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    size_t used = 0;
    const sonic_mem arena = {arena_alloc, arena_free, &used};
    sonic_sim_leaks leaks;
    const sonic_mem *m;
    void *p, *q, *map;
    int fd, err;

    opt.mem = &arena;
    begin(&opt);
    m = sonic_sim_mem(sim);
    p = m->alloc(100, m->ud);
    ck_assert_int_eq(*(uint8_t *)p, 0xa5);
    q = m->alloc(7, m->ud);
    ck_assert_uint_eq((uintptr_t)q % sizeof(void *), 0);
    m->free(p, 99, m->ud);
    m->free(NULL, 0, m->ud);
    ck_assert_uint_eq(sonic_sim_stats(sim)->block_bytes, 7);
    ck_assert_uint_eq(sonic_sim_stats(sim)->block_bytes_most, 107);
    fd = k->memfd_create("check", 0, k->ud);
    ck_assert_int_eq(k->ftruncate(fd, 2 * PAGE, k->ud), 0);
    map = k->mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0,
                  &err, k->ud);
    ck_assert_ptr_ne(map, MAP_FAILED);
    memset(map, 1, 2 * PAGE);
    ck_assert_int_eq(k->munmap(map, PAGE, k->ud), 0);
    ck_assert_int_eq(sonic_sim_free(sim, &leaks), -ENOTEMPTY);
    ck_assert_uint_eq(leaks.fds, 1);
    ck_assert_uint_eq(leaks.maps, 1);
    ck_assert_uint_eq(leaks.blocks, 1);
    ck_assert_uint_eq(leaks.block_bytes, 7);
    ck_assert_uint_eq(leaks.bad_frees, 1);
    ck_assert_str_eq(leaks.what, "descriptor 3 is open");
    munmap((char *)map + PAGE, PAGE);
}
END_TEST

START_TEST(the_world_may_run_out_of_memory_itself)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    sonic_sim *outer;
    uint64_t n;
    int fd[2], err;

    ck_assert_int_eq(sonic_sim_new(&outer, NULL), 0);
    opt.mem = sonic_sim_mem(outer);
    for (n = 1;; n++) {
        uint64_t failed = sonic_sim_stats(outer)->forced;

        sonic_sim_fail_call(outer, SONIC_SIM_ALLOC, n, 0);
        err = sonic_sim_new(&sim, &opt);
        ck_assert(err == 0 || err == -ENOMEM);
        if (err == 0) {
            k = sonic_sim_sys(sim);
            if (sonic_sim_pair(sim, fd) == 0)
                put(fd[0], 1);
            sonic_sim_free(sim, NULL);
        }
        if (sonic_sim_stats(outer)->forced == failed)
            break;
    }
    ck_assert_uint_gt(n, 5);
    ck_assert_int_eq(sonic_sim_free(outer, NULL), 0);
}
END_TEST

START_TEST(options_are_checked)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;

    opt.faults.eintr = ALWAYS + 1;
    ck_assert_int_eq(sonic_sim_new(&sim, &opt), SONIC_EOPTION);
    opt.faults.eintr = 0;
    opt.call_cost = -1;
    ck_assert_int_eq(sonic_sim_new(&sim, &opt), SONIC_EOPTION);
    opt.call_cost = 0;
    opt.latency_min = 5;
    opt.latency_max = 2;
    ck_assert_int_eq(sonic_sim_new(&sim, &opt), SONIC_EOPTION);
}
END_TEST

START_TEST(signals_come_when_sent)
{
    struct signalfd_siginfo info;
    struct iovec v = {&info, sizeof info};
    sigset_t set;
    int fd, ep;

    begin(NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    fd = k->signalfd(-1, &set, SFD_NONBLOCK, k->ud);
    ep = new_epoll();
    watch(ep, fd);
    sonic_sim_signal(sim, SIGINT);
    ck_assert_uint_eq(events_within(ep, 0), 0);
    sonic_sim_signal(sim, SIGTERM);
    ck_assert_uint_eq(events_within(ep, 0), EPOLLIN);
    ck_assert_int_eq(k->readv(fd, &v, 1, k->ud), sizeof info);
    ck_assert_uint_eq(info.ssi_signo, SIGTERM);
    ck_assert_int_eq(k->readv(fd, &v, 1, k->ud), -EAGAIN);
    shut(fd);
    shut(ep);
    end();
}
END_TEST

/* ---- determinism ---- */

static uint64_t
session(uint64_t seed)
{
    sonic_sim_options opt = SONIC_SIM_OPTIONS_INIT;
    uint64_t hash, secret;
    int ep, fd[2];

    sonic_sim_swarm(&opt, seed);
    opt.faults.reset = opt.faults.send_nobufs = 0;
    begin(&opt);
    ck_assert_int_eq(k->random(&secret, sizeof secret, k->ud), 0);
    ep = new_epoll();
    new_pair(fd);
    watch(ep, fd[0]);
    watch(ep, fd[1]);
    pump(ep, fd[0], fd[1], 1 + sonic_sim_below(sim, 50000));
    pump(ep, fd[1], fd[0], 1 + sonic_sim_below(sim, 50000));
    shut(fd[0]);
    shut(fd[1]);
    shut(ep);
    hash = sonic_sim_hash(sim) ^ secret;
    end();
    return hash;
}

START_TEST(the_same_seed_is_the_same_world)
{
    uint64_t seed, last = 0;

    for (seed = 1; seed <= 200; seed++) {
        uint64_t hash = session(seed);

        ck_assert_msg(session(seed) == hash, "seed %d", (int)seed);
        ck_assert_uint_ne(hash, last);
        last = hash;
    }
}
END_TEST

START_TEST(the_hash_sees_every_byte)
{
    uint64_t hash[2];
    char byte;
    int fd[2];

    for (byte = 0; byte < 2; byte++) {
        begin(NULL);
        new_pair(fd);
        ck_assert_int_eq(k->send(fd[0], &byte, 1, 0, k->ud), 1);
        hash[(int)byte] = sonic_sim_hash(sim);
        shut(fd[0]);
        shut(fd[1]);
        end();
    }
    ck_assert_uint_ne(hash[0], hash[1]);
}
END_TEST

START_TEST(the_trace_names_calls_and_errors)
{
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    begin(NULL);
    take(77, 5);
    sonic_sim_print_trace(sim, f);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "recv"));
    ck_assert_ptr_nonnull(strstr(text, "fd 77"));
    ck_assert_ptr_nonnull(strstr(text, "EBADF"));
    free(text);
    ck_assert_str_eq(sonic_sim_call_name(SONIC_SIM_ACCEPT), "accept4");
    ck_assert_str_eq(sonic_sim_call_name(SONIC_SIM_CALLS), "?");
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim_faults");
    TCase *tc = tcase_create("world");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, every_fault_that_is_on_happens_and_loses_nothing);
    tcase_add_test(tc, faults_that_end_an_attempt);
    tcase_add_test(tc, the_nth_call_fails_once);
    tcase_add_test(tc, again_by_order_is_followed_by_an_edge);
    tcase_add_test(tc, descriptors_run_out);
    tcase_add_test(tc, what_is_left_over_is_reported);
    tcase_add_test(tc, the_world_may_run_out_of_memory_itself);
    tcase_add_test(tc, options_are_checked);
    tcase_add_test(tc, signals_come_when_sent);
    tcase_add_test(tc, the_same_seed_is_the_same_world);
    tcase_add_test(tc, the_hash_sees_every_byte);
    tcase_add_test(tc, the_trace_names_calls_and_errors);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
