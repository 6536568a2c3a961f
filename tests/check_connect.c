/* Connecting over the real kernel: every kind of address, every way to fail,
 * cancel, close and free at every moment, and no descriptor left over. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/net_world.h"

static void
connect_and_talk(sonic_io *io, const char *listen, const char *to)
{
    sonic_listener *l = net_listener(io, listen);
    sonic_stream *s = net_stream(io);
    char where[SONIC_ADDRESS_TEXT], text[SONIC_ADDRESS_TEXT];
    struct net_told accepted = {0};
    sonic_address a;

    net_where(l, where);
    ck_assert(!sonic_stream_is_open(s));
    sonic_listener_async_accept(l, net_on_accept, &accepted);
    ck_assert_int_eq(sonic_stream_connect(s, to ? to : where, NULL), 0);
    while (accepted.calls == 0)
        ck_assert_int_ge(sonic_io_run_one(io), 0);
    ck_assert_int_eq(accepted.err, 0);
    ck_assert(sonic_stream_is_open(s));
    net_talk(s, accepted.stream);
    ck_assert_int_eq(sonic_stream_remote_address(s, &a), 0);
    ck_assert_int_gt(sonic_address_format(&a, text, sizeof text), 0);
    ck_assert_str_eq(text, where);
    sonic_stream_free(accepted.stream);
    sonic_stream_free(s);
    sonic_listener_free(l);
}

START_TEST(every_kind_of_address_connects)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    unsigned fds = net_open_fds();
    char path[64], abstract[64];

    snprintf(path, sizeof path, "unix:connect-%d.sock", (int)getpid());
    snprintf(abstract, sizeof abstract, "unix:@sonicio-%d", (int)getpid());
    connect_and_talk(io, "127.0.0.1:0", NULL);
    if (net_has_ipv6())
        connect_and_talk(io, "[::1]:0", NULL);
    connect_and_talk(io, path, NULL);
    connect_and_talk(io, abstract, NULL);
    sonic_io_poll(io);
    ck_assert_uint_eq(net_open_fds(), fds);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_name_connects)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    sonic_stream *s = net_stream(io);
    sonic_connect_options opt = SONIC_CONNECT_OPTIONS_INIT;
    sonic_connect_timing t;
    char text[64];
    sonic_address a;

    ck_assert_int_eq(sonic_listener_address(l, &a), 0);
    snprintf(text, sizeof text, "localhost:%u", sonic_address_port(&a));
    opt.timing = &t;
    ck_assert_int_eq(sonic_stream_connect(s, text, &opt), 0);
    ck_assert_int_gt(t.resolve, 0);
    ck_assert_int_gt(t.connect, 0);
    ck_assert_uint_ge(t.attempts, 1);
    snprintf(text, sizeof text, "tcp6:localhost:%u", sonic_address_port(&a));
    sonic_stream_free(s);
    s = net_stream(io);
    ck_assert_int_lt(sonic_stream_connect(s, text, &opt), 0);
    ck_assert_int_eq(t.connect, 0); /* of one that failed */
    sonic_io_free(io);
}
END_TEST

START_TEST(bad_arguments_are_told_to_the_callback)
{
    static const sonic_socket_options ttl = {.size = sizeof ttl, .ttl = 256};
    static const sonic_socket_options delay = {.size = sizeof delay,
                                               .no_delay = SONIC_ON};
    static const sonic_socket_options bind_name = {.size = sizeof bind_name,
                                                   .bind = "localhost:0"};
    static const sonic_socket_options bind_v6 = {.size = sizeof bind_v6,
                                                 .bind = "[::1]:0"};
    static const sonic_socket_options device = {
        .size = sizeof device, .device = "an-interface-name-too-long"};
    static const struct {
        const char *address;
        const sonic_socket_options *socket;
        int64_t timeout, stagger;
        size_t size;
        int err;
    } v[] = {
        {"", NULL, 0, 0, 0, SONIC_EADDRESS},
        {NULL, NULL, 0, 0, 0, SONIC_EADDRESS},
        {"127.0.0.1", NULL, 0, 0, 0, SONIC_EADDRESS},
        {":80", NULL, 0, 0, 0, SONIC_EADDRESS},
        {"unix:", NULL, 0, 0, 0, SONIC_EADDRESS},
        {"127.0.0.1:1", &ttl, 0, 0, 0, SONIC_EOPTION},
        {"unix:/x", &delay, 0, 0, 0, SONIC_EOPTION},
        {"unix:/x", &bind_v6, 0, 0, 0, SONIC_EOPTION},
        {"127.0.0.1:1", &bind_name, 0, 0, 0, SONIC_EOPTION},
        {"127.0.0.1:1", &bind_v6, 0, 0, 0, SONIC_EOPTION},
        {"127.0.0.1:1", &device, 0, 0, 0, SONIC_EOPTION},
        {"127.0.0.1:1", NULL, 0, -1, 0, SONIC_EOPTION},
        {"127.0.0.1:1", NULL, 0, 0, 1, SONIC_EOPTION},
        {"127.0.0.1:1", NULL, -1, 0, 0, -ETIMEDOUT},
        {"unix:/no/such/path", NULL, 0, 0, 0, -ENOENT},
    };
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_stream *s = net_stream(io);
    unsigned fds = net_open_fds();

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        sonic_connect_options o = SONIC_CONNECT_OPTIONS_INIT;
        struct net_told t = {0};

        o.socket = v[i].socket;
        o.timeout = v[i].timeout;
        o.stagger = v[i].stagger;
        if (v[i].size != 0)
            o.size = v[i].size;
        sonic_stream_async_connect(s, v[i].address, &o, net_on_stream, &t);
        ck_assert_int_eq(sonic_io_run(io), 1);
        ck_assert_int_eq(t.calls, 1);
        ck_assert_msg(t.err == v[i].err, "row %zu: %s", i,
                      sonic_errname(t.err));
        ck_assert_int_eq(sonic_stream_connect(s, v[i].address, &o), v[i].err);
    }
    ck_assert_uint_eq(net_open_fds(), fds);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_stream_that_failed_may_try_again)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    sonic_stream *s = net_stream(io), *peer;
    char where[SONIC_ADDRESS_TEXT], closed[SONIC_ADDRESS_TEXT];
    int fd;

    net_refusing(&fd, closed);
    net_where(l, where);
    ck_assert_int_eq(sonic_stream_connect(s, closed, NULL), -ECONNREFUSED);
    ck_assert_int_eq(sonic_stream_fd(s), -1);
    ck_assert_int_eq(sonic_stream_connect(s, "nonsense", NULL), SONIC_EADDRESS);
    ck_assert_int_eq(sonic_stream_connect(s, where, NULL), 0);
    ck_assert_int_eq(sonic_listener_accept(l, &peer), 0);
    net_talk(s, peer);
    ck_assert_int_eq(sonic_stream_connect(s, where, NULL), -EISCONN);
    sonic_stream_close(s);
    ck_assert_int_eq(sonic_stream_connect(s, where, NULL), SONIC_ECLOSED);
    close(fd);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_thousand_failures_leave_nothing)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_stream *s = net_stream(io);
    char closed[SONIC_ADDRESS_TEXT];
    unsigned fds;
    int fd;

    net_refusing(&fd, closed);
    fds = net_open_fds();
    for (int i = 0; i < 1000; i++) {
        struct net_told t = {0};

        ck_assert_int_eq(sonic_stream_connect(s, closed, NULL), -ECONNREFUSED);
        sonic_stream_async_connect(s, closed, NULL, net_on_stream, &t);
        sonic_stream_cancel(s, SONIC_BOTH);
        ck_assert_int_eq(t.calls, 0);
        ck_assert_int_eq(sonic_io_run(io), 1);
        ck_assert_int_eq(t.calls, 1);
        ck_assert_int_eq(t.err, -ECANCELED);
    }
    ck_assert_uint_eq(net_open_fds(), fds);
    close(fd);
    sonic_io_free(io);
}
END_TEST

START_TEST(the_first_error_stands)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_stream *s = net_stream(io);
    struct net_told t = {0};

    sonic_stream_async_connect(s, "malformed", NULL, net_on_stream, &t);
    sonic_stream_cancel(s, SONIC_BOTH);
    sonic_stream_close(s);
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(t.err, SONIC_EADDRESS);
    sonic_io_free(io);
}
END_TEST

/* A unix socket connects at once, but that has not been told yet. */
START_TEST(a_cancel_beats_a_connection_that_was_not_told)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_stream *s = net_stream(io);
    struct net_told t = {0};
    char name[64];
    unsigned fds;

    snprintf(name, sizeof name, "unix:@sonicio-cancel-%d", (int)getpid());
    net_listener(io, name);
    fds = net_open_fds();
    sonic_stream_async_connect(s, name, NULL, net_on_stream, &t);
    sonic_stream_cancel(s, SONIC_BOTH);
    ck_assert_uint_eq(net_open_fds(), fds);
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(t.calls, 1);
    ck_assert_int_eq(t.err, -ECANCELED);
    ck_assert(!sonic_stream_is_open(s));
    ck_assert_int_eq(sonic_stream_connect(s, name, NULL), 0);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_second_connect_is_busy)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    sonic_stream *s = net_stream(io);
    struct net_told a = {0}, b = {0};
    char where[SONIC_ADDRESS_TEXT];

    net_where(l, where);
    sonic_stream_async_connect(s, where, NULL, net_on_stream, &a);
    sonic_stream_async_connect(s, where, NULL, net_on_stream, &b);
    ck_assert_int_eq(b.calls, 1);
    ck_assert_int_eq(b.err, -EBUSY);
    ck_assert_uint_eq(sonic_io_pending(io), 1);
    ck_assert_int_ge(sonic_io_run(io), 1);
    ck_assert_int_eq(a.calls, 1);
    ck_assert_int_eq(a.err, 0);
    sonic_io_free(io);
}
END_TEST

/* What is done to a stream that connects. */
static void
end_cancel(sonic_stream *s)
{
    sonic_stream_cancel(s, SONIC_BOTH);
    sonic_stream_cancel(s, SONIC_BOTH);
}

static void
end_io_close(sonic_stream *s)
{
    sonic_io_close(sonic_stream_io(s));
}

static void
end_io_free(sonic_stream *s)
{
    sonic_io_free(sonic_stream_io(s));
}

static void (*const ends[])(sonic_stream *s) = {
    end_cancel,        sonic_stream_close, sonic_stream_reset,
    sonic_stream_free, end_io_close,       end_io_free,
};
enum { ENDS = sizeof ends / sizeof *ends };

/* Before the first turn of the loop, and after each of some. */
START_TEST(it_can_end_at_any_moment)
{
    unsigned fds = net_open_fds();

    for (int e = 0; e < ENDS; e++)
        for (int turns = 0; turns < 4; turns++) {
            sonic_io *io = net_io(_i, NULL, NULL);
            sonic_listener *l = net_listener(io, "127.0.0.1:0");
            sonic_stream *s = net_stream(io);
            char where[SONIC_ADDRESS_TEXT];
            struct net_told t = {0};

            net_where(l, where);
            sonic_stream_async_connect(s, where, NULL, net_on_stream, &t);
            for (int i = 0; i < turns; i++)
                sonic_io_poll(io);
            if (t.calls == 0) {
                ends[e](s);
                if (ends[e] != end_io_close && ends[e] != end_io_free)
                    sonic_io_run(io);
                ck_assert_int_eq(t.calls, 1);
                ck_assert_int_eq(t.err, -ECANCELED);
            }
            if (ends[e] != end_io_free || t.err == 0)
                sonic_io_free(io);
            ck_assert_int_eq(t.calls, 1);
        }
    ck_assert_uint_eq(net_open_fds(), fds);
}
END_TEST

struct script {
    void (*end)(sonic_stream *s);
    const char *where;
    struct net_told told;
};

static void
on_then_end(sonic_stream *s, int err, size_t n, void *ud)
{
    struct script *sc = ud;

    net_on_stream(s, err, n, &sc->told);
    sc->end(s);
}

START_TEST(the_callback_may_end_everything)
{
    unsigned fds = net_open_fds();
    char closed[SONIC_ADDRESS_TEXT];
    int fd;

    net_refusing(&fd, closed);
    for (int e = 0; e < ENDS; e++)
        for (int good = 0; good < 2; good++) {
            sonic_io *io = net_io(_i, NULL, NULL);
            sonic_listener *l = net_listener(io, "127.0.0.1:0");
            sonic_stream *s = net_stream(io);
            char where[SONIC_ADDRESS_TEXT];
            struct script sc = {.end = ends[e]};

            net_where(l, where);
            sonic_stream_async_connect(s, good ? where : closed, NULL,
                                       on_then_end, &sc);
            ck_assert_int_eq(sonic_io_run(io), 1);
            ck_assert_int_eq(sc.told.calls, 1);
            ck_assert_int_eq(sc.told.err, good ? 0 : -ECONNREFUSED);
            if (ends[e] != end_io_free)
                sonic_io_free(io);
        }
    close(fd);
    ck_assert_uint_eq(net_open_fds(), fds);
}
END_TEST

/* Each failure connects anew from its callback, the last one succeeds. */
static void
on_again(sonic_stream *s, int err, size_t n, void *ud)
{
    struct script *sc = ud;

    net_on_stream(s, err, n, &sc->told);
    if (sc->told.calls < 100)
        sonic_stream_async_connect(s, "malformed", NULL, on_again, sc);
    else if (sc->told.calls == 100)
        sonic_stream_async_connect(s, sc->where, NULL, on_again, sc);
}

START_TEST(the_callback_may_connect_again)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    sonic_stream *s = net_stream(io);
    char where[SONIC_ADDRESS_TEXT];
    struct script sc = {.where = where};
    sonic_io_stats stats;

    net_where(l, where);
    sonic_stream_async_connect(s, "malformed", NULL, on_again, &sc);
    ck_assert_int_eq(sonic_io_run(io), 101);
    ck_assert_int_eq(sc.told.err, 0);
    sonic_io_get_stats(io, &stats);
    ck_assert_uint_le(stats.max_dispatch, SONIC_MAX_DISPATCH);
    sonic_io_free(io);
}
END_TEST

static void
on_blocking(sonic_stream *s, int err, size_t n, void *ud)
{
    net_on_stream(s, err, n, ud);
    ck_assert_int_eq(sonic_stream_connect(s, "127.0.0.1:1", NULL), -EBUSY);
}

START_TEST(blocking_inside_a_callback_is_busy)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_stream *s = net_stream(io);
    struct net_told t = {0};

    sonic_stream_async_connect(s, "malformed", NULL, on_blocking, &t);
    ck_assert_int_eq(sonic_io_run(io), 1);
    ck_assert_int_eq(t.calls, 1);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_stopped_loop_takes_the_operation_back)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    sonic_stream *s = net_stream(io);
    char where[SONIC_ADDRESS_TEXT];
    unsigned fds = net_open_fds();

    net_where(l, where);
    sonic_io_stop(io);
    ck_assert_int_eq(sonic_stream_connect(s, where, NULL), SONIC_ESTOPPED);
    ck_assert_uint_eq(sonic_io_pending(io), 0);
    sonic_io_restart(io);
    sonic_io_poll(io);
    ck_assert_uint_eq(net_open_fds(), fds);
    ck_assert_int_eq(sonic_stream_connect(s, where, NULL), 0);
    sonic_io_free(io);
}
END_TEST

/* The system has no word for "there is room again" here. */
START_TEST(a_full_unix_backlog_is_waited_out)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener_options lo = SONIC_LISTENER_OPTIONS_INIT;
    sonic_connect_options o = SONIC_CONNECT_OPTIONS_INIT;
    sonic_stream *a = net_stream(io), *b = net_stream(io), *c = net_stream(io);
    sonic_stream *peer;
    sonic_listener *l;
    char name[64];
    struct net_told t = {0};
    unsigned fds;

    snprintf(name, sizeof name, "unix:@sonicio-full-%d", (int)getpid());
    lo.backlog = 1;
    ck_assert_int_eq(sonic_listener_new(io, name, &lo, &l), 0);
    ck_assert_int_eq(sonic_stream_connect(a, name, NULL), 0);
    ck_assert_int_eq(sonic_stream_connect(b, name, NULL), 0);
    o.timeout = 20 * NET_MS;
    fds = net_open_fds();
    ck_assert_int_eq(sonic_stream_connect(c, name, &o), -ETIMEDOUT);
    ck_assert_uint_eq(net_open_fds(), fds);
    sonic_stream_async_connect(c, name, NULL, net_on_stream, &t);
    ck_assert_int_eq(sonic_listener_accept(l, &peer), 0);
    while (t.calls == 0)
        ck_assert_int_ge(sonic_io_run_one(io), 0);
    ck_assert_int_eq(t.err, 0);
    sonic_io_free(io);
}
END_TEST

START_TEST(it_connects_from_where_it_is_told)
{
    static const struct {
        const char *listen, *bind, *from;
    } v[] = {
        {"127.0.0.1:0", "127.0.0.2:0", "127.0.0.2:"},
        {"127.0.0.1:0", "tcp4::0", "127.0.0.1:"},
        {"127.0.0.1:0", ":0", "127.0.0.1:"},
        {"[::1]:0", ":0", "[::1]:"},
        {"[::1]:0", "[::1]:0", "[::1]:"},
    };
    sonic_io *io = net_io(_i, NULL, NULL);

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        sonic_connect_options o = SONIC_CONNECT_OPTIONS_INIT;
        sonic_socket_options so = SONIC_SOCKET_OPTIONS_INIT;
        sonic_listener *l;
        char where[SONIC_ADDRESS_TEXT], bind_to[32], text[SONIC_ADDRESS_TEXT];
        sonic_stream *s = net_stream(io);
        sonic_address a;

        if (v[i].listen[0] == '[' && !net_has_ipv6())
            break;
        l = net_listener(io, v[i].listen);
        net_where(l, where);
        strcpy(bind_to, v[i].bind);
        so.bind = bind_to;
        o.socket = &so;
        {
            struct net_told t = {0};

            sonic_stream_async_connect(s, where, &o, net_on_stream, &t);
            memset(bind_to, 'x', sizeof bind_to); /* it was copied */
            memset(&so, 0xff, sizeof so);
            ck_assert_int_eq(sonic_io_run(io), 1);
            ck_assert_int_eq(t.err, 0);
        }
        ck_assert_int_eq(sonic_stream_local_address(s, &a), 0);
        ck_assert_int_gt(sonic_address_format(&a, text, sizeof text), 0);
        ck_assert_int_eq(strncmp(text, v[i].from, strlen(v[i].from)), 0);
        ck_assert_uint_ne(sonic_address_port(&a), 0);
        sonic_stream_free(s);
        sonic_listener_free(l);
    }
    sonic_io_free(io);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("connect");
    TCase *tc = tcase_create("kernel");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_kind_of_address_connects, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, bad_arguments_are_told_to_the_callback, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_stream_that_failed_may_try_again, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_thousand_failures_leave_nothing, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, the_first_error_stands, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_cancel_beats_a_connection_that_was_not_told, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_second_connect_is_busy, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, it_can_end_at_any_moment, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, the_callback_may_end_everything, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, the_callback_may_connect_again, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, blocking_inside_a_callback_is_busy, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_stopped_loop_takes_the_operation_back, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_full_unix_backlog_is_waited_out, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, it_connects_from_where_it_is_told, 0, NET_BACKENDS);
    /* Last: its thread may keep a descriptor for a moment longer. */
    tcase_add_loop_test(tc, a_name_connects, 0, NET_BACKENDS);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
