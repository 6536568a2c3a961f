/* Accepting: the whole backlog, the end at any moment, and what happens when
 * descriptors run out. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/net_world.h"

/* ---- calls counted ---------------------------------------------------- */

static unsigned accepts, opens;

static int
count_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags, void *ud)
{
    accepts++;
    return sonic_sys_kernel()->accept4(fd, a, n, flags, ud);
}

static int
count_open(const char *path, int flags, unsigned mode, void *ud)
{
    opens++;
    return sonic_sys_kernel()->open(path, flags, mode, ud);
}

static sonic_sys
counting(void)
{
    sonic_sys sys = *sonic_sys_kernel();

    sys.accept4 = count_accept4;
    sys.open = count_open;
    accepts = opens = 0;
    return sys;
}

/* ---- many ------------------------------------------------------------- */

enum { MANY = 100 };

struct server {
    unsigned calls, streams;
    int last;
    sonic_stream *kept[MANY];
};

/* Keep what comes, and accept again. */
static void
on_many(sonic_listener *l, int err, sonic_stream *stream, void *ud)
{
    struct server *sv = ud;

    sv->calls++;
    sv->last = err;
    ck_assert((stream != NULL) == (err == 0));
    if (stream != NULL)
        sv->kept[sv->streams++] = stream;
    if (err != -ECANCELED)
        sonic_listener_async_accept(l, on_many, sv);
}

START_TEST(a_backlog_is_accepted_in_one_go)
{
    sonic_sys sys = counting();
    sonic_io *io = net_io(_i, &sys, NULL), *far = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    struct server sv = {0};
    char where[SONIC_ADDRESS_TEXT];
    sonic_io_stats stats;

    net_where(l, where);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(sonic_stream_connect(net_stream(far), where, NULL), 0);
    sonic_listener_async_accept(l, on_many, &sv);
    while (sv.streams < MANY)
        ck_assert_int_ge(sonic_io_run_batch(io), 0);
    ck_assert_int_eq(sonic_io_poll(io), 0);
    ck_assert_uint_le(accepts, MANY + 2);
    sonic_io_get_stats(io, &stats);
    ck_assert_uint_le(stats.max_dispatch, SONIC_MAX_DISPATCH);
    for (int i = 0; i < MANY; i++) {
        int fd = sonic_stream_fd(sv.kept[i]), on = 0;
        socklen_t len = sizeof on;

        ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
        ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
        ck_assert_int_ne(on, 0);
    }
    sonic_io_free(far);
    sonic_io_free(io);
    ck_assert_int_eq(sv.last, -ECANCELED);
}
END_TEST

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    unsigned *streams = ud;

    (void)err;
    streams[1] = streams[0]; /* seen so far */
    sonic_timer_free(t);
}

START_TEST(a_flood_does_not_starve_a_timer)
{
    sonic_io *io = net_io(_i, NULL, NULL), *far = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    struct server sv = {0};
    char where[SONIC_ADDRESS_TEXT];
    sonic_timer *t;
    unsigned *seen = malloc(2 * sizeof *seen);

    net_where(l, where);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(sonic_stream_connect(net_stream(far), where, NULL), 0);
    ck_assert_int_eq(sonic_timer_new(io, &t), 0);
    sonic_timer_once(t, 0, on_timer, seen);
    sonic_listener_async_accept(l, on_many, &sv);
    seen[0] = 0;
    seen[1] = MANY;
    while (seen[1] == MANY && sv.streams < MANY) {
        ck_assert_int_ge(sonic_io_run_one(io), 0);
        seen[0] = sv.streams;
    }
    ck_assert_uint_lt(seen[1], 2 * 16 + 1); /* the default budget, twice */
    free(seen);
    sonic_io_free(far);
    sonic_io_free(io);
}
END_TEST

/* ---- no descriptor left ----------------------------------------------- */

/* Let exactly n more descriptors be opened. */
static void
limit_fds(int n, struct rlimit *old)
{
    struct rlimit now;
    int fd = dup(0);

    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, old), 0);
    now = *old;
    now.rlim_cur = (rlim_t)(fd + n);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
}

/* valgrind looks at the limit after a call has been made, and then closes the
 * connection itself: what there is to turn away differs. */
static bool
honest_limits(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload == NULL || strstr(preload, "vgpreload") == NULL;
}

enum { CLIENTS = 10, ROOM = 3 };

static int
raw_client(const sonic_address *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(
        connect(fd, (const struct sockaddr *)&to->storage, to->len), 0);
    return fd;
}

START_TEST(without_descriptors_clients_are_turned_away)
{
    sonic_sys sys = counting();
    sonic_io *io = net_io(_i, &sys, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    struct server sv = {0};
    int client[CLIENTS];
    sonic_address at;
    struct rlimit old;
    unsigned calls;
    char c;

    ck_assert_int_eq(sonic_listener_address(l, &at), 0);
    for (int i = 0; i < CLIENTS; i++)
        client[i] = raw_client(&at);
    limit_fds(ROOM, &old);
    sonic_listener_async_accept(l, on_many, &sv);
    for (int i = 0; i < 20; i++)
        ck_assert_int_ge(sonic_io_poll(io), 0);
    ck_assert_uint_eq(sv.streams, ROOM);
    ck_assert_uint_eq(sv.calls, ROOM + 1); /* told once */
    ck_assert_int_eq(sv.last, -EMFILE);
    if (honest_limits())
        ck_assert_uint_eq(sonic_listener_shed(l), CLIENTS - ROOM);
    for (int i = ROOM; i < CLIENTS; i++) /* they have learnt of it */
        ck_assert_int_le(recv(client[i], &c, 1, 0), 0);

    calls = accepts + opens; /* nothing is tried while nobody comes */
    for (int i = 0; i < 50; i++)
        ck_assert_int_ge(sonic_io_poll(io), 0);
    ck_assert_uint_eq(accepts + opens, calls);

    setrlimit(RLIMIT_NOFILE, &old); /* and when there are some again: */
    close(client[CLIENTS - 1]);
    client[CLIENTS - 1] = raw_client(&at);
    while (sv.streams == ROOM)
        ck_assert_int_ge(sonic_io_run_batch(io), 0);
    ck_assert_int_eq(sv.last, 0);

    close(client[ROOM]); /* another occasion, told again */
    client[ROOM] = raw_client(&at);
    limit_fds(0, &old);
    for (int i = 0; i < 20; i++)
        ck_assert_int_ge(sonic_io_poll(io), 0);
    setrlimit(RLIMIT_NOFILE, &old);
    if (honest_limits()) {
        ck_assert_uint_eq(sv.calls, ROOM + 3);
        ck_assert_int_eq(sv.last, -EMFILE);
        ck_assert_uint_eq(sonic_listener_shed(l), CLIENTS - ROOM + 1);
    }
    for (int i = 0; i < CLIENTS; i++)
        close(client[i]);
    sonic_io_free(io);
}
END_TEST

/* Linux says EMFILE before it looks whether anybody is waiting. */
START_TEST(without_descriptors_and_clients_nothing_is_told)
{
    sonic_sys sys = counting();
    sonic_io *io = net_io(_i, &sys, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    struct server sv = {0};
    struct rlimit old;

    limit_fds(0, &old);
    sonic_listener_async_accept(l, on_many, &sv);
    for (int i = 0; i < 50; i++)
        ck_assert_int_ge(sonic_io_poll(io), 0);
    setrlimit(RLIMIT_NOFILE, &old);
    ck_assert_uint_eq(sv.calls, 0);
    ck_assert_uint_eq(sonic_listener_shed(l), 0);
    ck_assert_uint_le(accepts + opens, 5);
    sonic_io_free(io);
}
END_TEST

/* Not even the reserve can be had: accept says EMFILE whatever is closed. */
static bool starved;

static int
starved_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags, void *ud)
{
    accepts++;
    return starved ? -ENFILE : sonic_sys_kernel()->accept4(fd, a, n, flags, ud);
}

START_TEST(where_even_that_is_impossible_it_rests)
{
    sonic_sys sys = counting();
    struct server sv = {0};
    sonic_listener *l;
    sonic_io *io;
    sonic_address at;
    int client, polls = 0;

    sys.accept4 = starved_accept4;
    starved = true;
    io = net_io(_i, &sys, NULL);
    l = net_listener(io, "127.0.0.1:0");
    ck_assert_int_eq(sonic_listener_address(l, &at), 0);
    client = raw_client(&at);
    sonic_listener_async_accept(l, on_many, &sv);
    ck_assert_int_eq(sonic_io_run_for(io, 350 * NET_MS), 1);
    ck_assert_uint_eq(sv.calls, 1); /* one occasion */
    ck_assert_int_eq(sv.last, -ENFILE);
    ck_assert_uint_le(accepts, 2 * 4); /* at 0, 100, 200 and 300 ms */
    ck_assert_uint_ge(accepts, 2 * 2);
    starved = false;
    while (sv.streams == 0 && polls++ < 100)
        ck_assert_int_ne(sonic_io_run_for(io, 10 * NET_MS), 0);
    ck_assert_uint_eq(sv.streams, 1);
    close(client);
    sonic_io_free(io);
}
END_TEST

static int script[8];
static unsigned at_script;

static int
scripted_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags, void *ud)
{
    if (script[at_script] != 0)
        return script[at_script++];
    return sonic_sys_kernel()->accept4(fd, a, n, flags, ud);
}

START_TEST(connections_that_died_in_the_queue_are_passed_over)
{
    static const int died[8] = {-ECONNABORTED, -EPROTO, -EINTR, -ENETDOWN,
                                -EHOSTUNREACH};
    sonic_sys sys = *sonic_sys_kernel();
    struct net_told t = {0};
    sonic_listener *l;
    sonic_io *io;
    sonic_address at;
    int client;

    sys.accept4 = scripted_accept4;
    memcpy(script, died, sizeof died);
    at_script = 0;
    io = net_io(_i, &sys, NULL);
    l = net_listener(io, "127.0.0.1:0");
    ck_assert_int_eq(sonic_listener_address(l, &at), 0);
    client = raw_client(&at);
    sonic_listener_async_accept(l, net_on_accept, &t);
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(t.err, 0);
    ck_assert_uint_eq(at_script, 5);
    close(client);
    sonic_io_free(io);
}
END_TEST

START_TEST(an_error_of_accept_itself_is_told)
{
    sonic_sys sys = *sonic_sys_kernel();
    struct net_told t = {0};
    sonic_listener *l;
    sonic_io *io;

    sys.accept4 = scripted_accept4;
    memset(script, 0, sizeof script);
    script[0] = -EPERM;
    at_script = 0;
    io = net_io(_i, &sys, NULL);
    l = net_listener(io, "127.0.0.1:0");
    sonic_listener_async_accept(l, net_on_accept, &t);
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(t.err, -EPERM);
    ck_assert_ptr_null(t.stream);
    sonic_io_free(io);
}
END_TEST

/* ---- ending ----------------------------------------------------------- */

static void
end_io_close(sonic_listener *l)
{
    sonic_io_close(*(sonic_io **)l); /* the object's first member */
}

static void (*const ends[])(sonic_listener *l) = {
    sonic_listener_cancel,
    sonic_listener_close,
    sonic_listener_free,
    end_io_close,
};
enum { ENDS = sizeof ends / sizeof *ends };

START_TEST(it_can_end_at_any_moment)
{
    unsigned fds = net_open_fds();

    for (int e = 0; e < ENDS; e++)
        for (int turns = 0; turns < 3; turns++) {
            sonic_io *io = net_io(_i, NULL, NULL);
            sonic_listener *l = net_listener(io, "127.0.0.1:0");
            struct net_told t = {0};

            sonic_listener_async_accept(l, net_on_accept, &t);
            for (int i = 0; i < turns; i++)
                sonic_io_poll(io);
            ck_assert_int_eq(t.calls, 0);
            ends[e](l);
            if (ends[e] != end_io_close) {
                ck_assert_int_eq(t.calls, 0); /* from the loop only */
                ck_assert_int_eq(sonic_io_run(io), 1);
            }
            ck_assert_int_eq(t.calls, 1);
            ck_assert_int_eq(t.err, -ECANCELED);
            sonic_io_free(io);
        }
    ck_assert_uint_eq(net_open_fds(), fds);
}
END_TEST

struct ending {
    void (*end)(sonic_listener *l);
    int calls;
    sonic_io *io; /* freed when not NULL */
};

static void
on_then_end(sonic_listener *l, int err, sonic_stream *stream, void *ud)
{
    struct ending *e = ud;

    ck_assert_int_eq(err, 0);
    e->calls++;
    sonic_stream_free(stream);
    if (e->io != NULL)
        sonic_io_free(e->io);
    else
        e->end(l);
}

START_TEST(the_callback_may_end_everything)
{
    unsigned fds = net_open_fds();

    for (int e = 0; e <= ENDS; e++) {
        sonic_io *io = net_io(_i, NULL, NULL);
        sonic_listener *l = net_listener(io, "127.0.0.1:0");
        struct ending en = {.io = e == ENDS ? io : NULL};
        sonic_address at;
        int client[2];

        if (e < ENDS)
            en.end = ends[e];
        ck_assert_int_eq(sonic_listener_address(l, &at), 0);
        client[0] = raw_client(&at);
        client[1] = raw_client(&at);
        sonic_listener_async_accept(l, on_then_end, &en);
        ck_assert_int_eq(sonic_io_run(io), 1);
        ck_assert_int_eq(en.calls, 1);
        if (e < ENDS)
            sonic_io_free(io);
        close(client[0]);
        close(client[1]);
    }
    ck_assert_uint_eq(net_open_fds(), fds);
}
END_TEST

START_TEST(a_cancelled_accept_loses_no_connection)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    struct net_told t = {0};
    sonic_address at;
    int client;

    ck_assert_int_eq(sonic_listener_address(l, &at), 0);
    client = raw_client(&at);
    sonic_listener_cancel(l); /* nothing pending: nothing happens */
    sonic_listener_async_accept(l, net_on_accept, &t);
    sonic_listener_cancel(l);
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(t.err, -ECANCELED);
    sonic_listener_async_accept(l, net_on_accept, &t);
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(t.err, 0);
    close(client);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_second_accept_is_busy_and_a_closed_listener_closed)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    struct net_told a = {0}, b = {0};
    sonic_stream *s;
    sonic_address at;

    sonic_listener_async_accept(l, net_on_accept, &a);
    sonic_listener_async_accept(l, net_on_accept, &b);
    ck_assert_int_eq(b.calls, 1);
    ck_assert_int_eq(b.err, -EBUSY);
    sonic_listener_close(l);
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(a.err, -ECANCELED);
    sonic_listener_async_accept(l, net_on_accept, &b);
    ck_assert_int_eq(b.err, SONIC_ECLOSED);
    ck_assert_int_eq(sonic_listener_accept(l, &s), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_listener_address(l, &at), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_listener_fd(l), -1);
    sonic_listener_close(l);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_stopped_loop_takes_the_accept_back)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    sonic_address at;
    sonic_stream *s;
    int client;

    sonic_io_stop(io);
    ck_assert_int_eq(sonic_listener_accept(l, &s), SONIC_ESTOPPED);
    ck_assert_uint_eq(sonic_io_pending(io), 0);
    sonic_io_restart(io);
    ck_assert_int_eq(sonic_listener_address(l, &at), 0);
    client = raw_client(&at);
    ck_assert_int_eq(sonic_listener_accept(l, &s), 0);
    close(client);
    sonic_io_free(io);
}
END_TEST

static void
add_accepting(TCase *tc)
{
    tcase_add_loop_test(tc, a_backlog_is_accepted_in_one_go, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_flood_does_not_starve_a_timer, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, without_descriptors_clients_are_turned_away, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, without_descriptors_and_clients_nothing_is_told, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, where_even_that_is_impossible_it_rests, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, connections_that_died_in_the_queue_are_passed_over,
                        0, NET_BACKENDS);
    tcase_add_loop_test(tc, an_error_of_accept_itself_is_told, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, it_can_end_at_any_moment, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, the_callback_may_end_everything, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_cancelled_accept_loses_no_connection, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc,
                        a_second_accept_is_busy_and_a_closed_listener_closed, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_stopped_loop_takes_the_accept_back, 0,
                        NET_BACKENDS);
}

int
main(void)
{
    Suite *s = suite_create("listener");
    TCase *accepting = tcase_create("accepting");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(accepting, 60);
    add_accepting(accepting);
    suite_add_tcase(s, accepting);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
