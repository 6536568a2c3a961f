/* Socket options: each is read back from the system, applied where it exists
 * and refused where it does not. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sonicio/sonicio.h>

#include "net/options.h"
#include "support/net_world.h"

enum { OFF_TOO = -1 }; /* a switch: tried both ways */

static const struct {
    const char *name;
    size_t field;
    int value, read; /* asked for, and read back */
    int level, option;
    int level6, option6; /* on an IPv6 socket */
    bool ip_only;        /* not on a unix socket */
} v[] = {
#define F(name) #name, offsetof(sonic_socket_options, name)
    {F(reuse_addr), OFF_TOO, 1, SOL_SOCKET, SO_REUSEADDR, 0, 0, true},
    {F(reuse_port), OFF_TOO, 1, SOL_SOCKET, SO_REUSEPORT, 0, 0, true},
    {F(no_delay), OFF_TOO, 1, IPPROTO_TCP, TCP_NODELAY, 0, 0, true},
    {F(keep_alive), OFF_TOO, 1, SOL_SOCKET, SO_KEEPALIVE, 0, 0, true},
    {F(keep_alive_idle), 77, 77, IPPROTO_TCP, TCP_KEEPIDLE, 0, 0, true},
    {F(keep_alive_interval), 7, 7, IPPROTO_TCP, TCP_KEEPINTVL, 0, 0, true},
    {F(keep_alive_count), 5, 5, IPPROTO_TCP, TCP_KEEPCNT, 0, 0, true},
    {F(user_timeout), 9000, 9000, IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, true},
    {F(receive_buffer), 8192, 16384, SOL_SOCKET, SO_RCVBUF, 0, 0, false},
    {F(send_buffer), 8192, 16384, SOL_SOCKET, SO_SNDBUF, 0, 0, false},
    {F(timestamps), OFF_TOO, 1, SOL_SOCKET, SO_TIMESTAMPNS, 0, 0, false},
    {F(ttl), 9, 9, IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS, true},
    {F(tos), 16, 16, IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS, true},
    {F(priority), 5, 5, SOL_SOCKET, SO_PRIORITY, 0, 0, true},
#undef F
};
enum { V = sizeof v / sizeof *v };

static int
read_back(int fd, int level, int option)
{
    int n = -1;
    socklen_t len = sizeof n;

    ck_assert_int_eq(getsockopt(fd, level, option, &n, &len), 0);
    return n;
}

static int
new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    return fd;
}

static sonic_socket_options
option(size_t field, int value)
{
    sonic_socket_options o = SONIC_SOCKET_OPTIONS_INIT;

    memcpy((char *)&o + field, &value, sizeof value);
    return o;
}

static void
apply_and_read(sonic_io *io, int family, int i, int value, int want)
{
    sonic_socket_options o = option(v[i].field, value);
    bool six = family == AF_INET6 && v[i].option6 != 0;
    int fd = new_socket(family);
    int err = sonic__options_apply(io, fd, family, SOCK_STREAM, &o,
                                   SONIC__BEFORE_CONNECT);

    if (family == AF_UNIX && v[i].ip_only) {
        ck_assert_msg(err == SONIC_EOPTION, "%s", v[i].name);
        close(fd);
        return;
    }
    ck_assert_msg(err == 0, "%s: %s", v[i].name, sonic_errname(err));
    ck_assert_msg(read_back(fd, v[i].level, v[i].option) == want, "%s",
                  v[i].name);
    if (six)
        ck_assert_msg(read_back(fd, v[i].level6, v[i].option6) == want, "%s6",
                      v[i].name);
    close(fd);
}

START_TEST(each_option_is_applied_or_refused)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    sonic_io *io = net_io(0, NULL, NULL);

    for (int i = 0; i < 3; i++) {
        int on = v[_i].value == OFF_TOO ? SONIC_ON : v[_i].value;

        if (families[i] == AF_INET6 && !net_has_ipv6())
            continue;
        apply_and_read(io, families[i], _i, on, v[_i].read);
        if (v[_i].value == OFF_TOO)
            apply_and_read(io, families[i], _i, SONIC_OFF, 0);
    }
    sonic_io_free(io);
}
END_TEST

START_TEST(quick_ack_comes_after_connecting)
{
    sonic_socket_options o =
        option(offsetof(sonic_socket_options, quick_ack), SONIC_OFF);
    sonic_io *io = net_io(0, NULL, NULL);
    int fd = new_socket(AF_INET);

    ck_assert_int_eq(read_back(fd, IPPROTO_TCP, TCP_QUICKACK), 1);
    ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o,
                                          SONIC__BEFORE_CONNECT),
                     0);
    ck_assert_int_eq(read_back(fd, IPPROTO_TCP, TCP_QUICKACK), 1);
    ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o,
                                          SONIC__AFTER_CONNECT),
                     0);
    ck_assert_int_eq(read_back(fd, IPPROTO_TCP, TCP_QUICKACK), 0);
    ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o,
                                          SONIC__BEFORE_BIND),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic__options_apply(io, fd, AF_UNIX, SOCK_STREAM, &o,
                                          SONIC__BEFORE_CONNECT),
                     SONIC_EOPTION);
    close(fd);
    sonic_io_free(io);
}
END_TEST

START_TEST(v6_only_is_for_ipv6)
{
    static const size_t field = offsetof(sonic_socket_options, v6_only);
    sonic_io *io = net_io(0, NULL, NULL);

    for (int on = 0; on < 2 && net_has_ipv6(); on++) {
        sonic_socket_options o = option(field, on ? SONIC_ON : SONIC_OFF);
        int fd = new_socket(AF_INET6), fd4 = new_socket(AF_INET);

        ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET6, SOCK_STREAM, &o,
                                              SONIC__BEFORE_BIND),
                         0);
        ck_assert_int_eq(read_back(fd, IPPROTO_IPV6, IPV6_V6ONLY), on);
        ck_assert_int_eq(sonic__options_apply(io, fd4, AF_INET, SOCK_STREAM, &o,
                                              SONIC__BEFORE_BIND),
                         SONIC_EOPTION);
        close(fd);
        close(fd4);
    }
    sonic_io_free(io);
}
END_TEST

START_TEST(a_device_is_bound_to)
{
    sonic_socket_options o = SONIC_SOCKET_OPTIONS_INIT;
    sonic_io *io = net_io(0, NULL, NULL);
    int fd = new_socket(AF_INET), err;
    char name[IFNAMSIZ] = "";
    socklen_t len = sizeof name;

    o.device = "lo";
    err = sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o,
                               SONIC__BEFORE_CONNECT);
    if (err != -EPERM && err != -ENODEV) { /* not our right, or not there */
        ck_assert_int_eq(err, 0);
        ck_assert_int_eq(
            getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len), 0);
        ck_assert_str_eq(name, "lo");
    }
    o.device = "no-such-device0";
    err = sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o,
                               SONIC__BEFORE_CONNECT);
    ck_assert(err == -ENODEV || err == -EPERM);
    o.device = "sixteen-letters-";
    ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o,
                                          SONIC__BEFORE_CONNECT),
                     SONIC_EOPTION);
    o.device = "lo";
    ck_assert_int_eq(sonic__options_apply(io, fd, AF_UNIX, SOCK_STREAM, &o,
                                          SONIC__BEFORE_CONNECT),
                     SONIC_EOPTION);
    close(fd);
    sonic_io_free(io);
}
END_TEST

START_TEST(values_out_of_range_are_refused)
{
#define F(name) offsetof(sonic_socket_options, name)
    static const struct {
        size_t field;
        int value;
    } bad[] = {
        {F(reuse_addr), 2},
        {F(no_delay), -2},
        {F(keep_alive), 7},
        {F(keep_alive_idle), -1},
        {F(keep_alive_idle), 32768},
        {F(keep_alive_interval), 32768},
        {F(keep_alive_count), 128},
        {F(user_timeout), -1},
        {F(receive_buffer), -1},
        {F(send_buffer), INT_MIN},
        {F(busy_poll), -1},
        {F(ttl), 256},
        {F(ttl), -1},
        {F(tos), 256},
        {F(priority), 7},
        {F(priority), -1},
    };
#undef F
    sonic_io *io = net_io(0, NULL, NULL);
    int fd = new_socket(AF_INET);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sonic_socket_options o = option(bad[i].field, bad[i].value);

        ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o,
                                              SONIC__BEFORE_CONNECT),
                         SONIC_EOPTION);
    }
    close(fd);
    sonic_io_free(io);
}
END_TEST

START_TEST(defaults_depend_on_the_stage)
{
    static const struct {
        enum sonic__stage stage;
        int no_delay, reuse_addr;
    } d[] = {
        {SONIC__BEFORE_BIND, 0, 1},   {SONIC__BEFORE_CONNECT, 1, 0},
        {SONIC__AFTER_CONNECT, 0, 0}, {SONIC__ACCEPTED, 1, 0},
        {SONIC__IN_USE, 0, 0},
    };
    sonic_io *io = net_io(0, NULL, NULL);

    for (size_t i = 0; i < sizeof d / sizeof *d; i++) {
        int fd = new_socket(AF_INET), path = new_socket(AF_UNIX);

        ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET, SOCK_STREAM,
                                              NULL, d[i].stage),
                         0);
        ck_assert_int_eq(!!read_back(fd, IPPROTO_TCP, TCP_NODELAY),
                         d[i].no_delay);
        ck_assert_int_eq(read_back(fd, SOL_SOCKET, SO_REUSEADDR),
                         d[i].reuse_addr);
        ck_assert_int_eq(sonic__options_apply(io, path, AF_UNIX, SOCK_STREAM,
                                              NULL, d[i].stage),
                         0);
        close(fd);
        close(path);
    }
    sonic_io_free(io);
}
END_TEST

/* More than net.core.busy_read takes a privilege, so look at the seam. */
static int busy_poll;

static int
spy_setsockopt(int fd, int level, int name, const void *val, socklen_t n,
               void *ud)
{
    if (level == SOL_SOCKET && name == SO_BUSY_POLL) {
        memcpy(&busy_poll, val, sizeof busy_poll);
        return 0;
    }
    return sonic_sys_kernel()->setsockopt(fd, level, name, val, n, ud);
}

START_TEST(busy_poll_is_the_ios_unless_given)
{
    sonic_socket_options o = SONIC_SOCKET_OPTIONS_INIT;
    sonic_io_options io_opt = SONIC_IO_OPTIONS_INIT;
    sonic_sys sys = *sonic_sys_kernel();
    int fd = new_socket(AF_INET), path = new_socket(AF_UNIX);
    sonic_io *io;

    sys.setsockopt = spy_setsockopt;
    io_opt.sys = &sys;
    io_opt.busy_poll_us = 50;
    ck_assert_int_eq(sonic_io_new(&io, &io_opt), 0);
    busy_poll = 0;
    ck_assert_int_eq(sonic__options_apply(io, path, AF_UNIX, SOCK_STREAM, &o,
                                          SONIC__BEFORE_CONNECT),
                     0);
    ck_assert_int_eq(busy_poll, 0);
    ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o,
                                          SONIC__BEFORE_CONNECT),
                     0);
    ck_assert_int_eq(busy_poll, 50);
    o.busy_poll = 70;
    ck_assert_int_eq(
        sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, &o, SONIC__ACCEPTED),
        0);
    ck_assert_int_eq(busy_poll, 70);
    close(fd);
    close(path);
    sonic_io_free(io);
}
END_TEST

static int
broken_setsockopt(int fd, int level, int name, const void *val, socklen_t n,
                  void *ud)
{
    (void)fd, (void)level, (void)name, (void)val, (void)n, (void)ud;
    return -ENOBUFS;
}

START_TEST(the_systems_refusal_is_the_callers)
{
    sonic_sys sys = *sonic_sys_kernel();
    int fd = new_socket(AF_INET);
    sonic_io *io;

    sys.setsockopt = broken_setsockopt;
    io = net_io(0, &sys, NULL);
    ck_assert_int_eq(sonic__options_apply(io, fd, AF_INET, SOCK_STREAM, NULL,
                                          SONIC__ACCEPTED),
                     -ENOBUFS);
    close(fd);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_stream_takes_options_in_use)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0");
    sonic_socket_options o = SONIC_SOCKET_OPTIONS_INIT;
    sonic_stream *s = net_stream(io), *pair[2], *pipes[2];
    char where[SONIC_ADDRESS_TEXT];

    o.no_delay = SONIC_OFF;
    o.ttl = 33;
    ck_assert_int_eq(sonic_stream_set_options(s, &o), -ENOTCONN);
    net_where(l, where);
    ck_assert_int_eq(sonic_stream_connect(s, where, NULL), 0);
    ck_assert_int_ne(read_back(sonic_stream_fd(s), IPPROTO_TCP, TCP_NODELAY),
                     0);
    ck_assert_int_eq(sonic_stream_set_options(s, &o), 0);
    ck_assert_int_eq(read_back(sonic_stream_fd(s), IPPROTO_TCP, TCP_NODELAY),
                     0);
    ck_assert_int_eq(read_back(sonic_stream_fd(s), IPPROTO_IP, IP_TTL), 33);
    o.bind = "127.0.0.1:0";
    ck_assert_int_eq(sonic_stream_set_options(s, &o), SONIC_EOPTION);
    o.bind = NULL;
    ck_assert_int_eq(sonic_stream_pair(io, pair), 0);
    ck_assert_int_eq(sonic_stream_set_options(pair[0], &o), SONIC_EOPTION);
    ck_assert_int_eq(sonic_stream_set_options(pair[0], NULL), 0);
    ck_assert_int_eq(sonic_pipe_new(io, pipes), 0);
    ck_assert_int_eq(sonic_stream_set_options(pipes[0], &o), -ENOTSOCK);
    sonic_io_free(io);
}
END_TEST

struct versioned {
    size_t size;
    long a, b;
};

START_TEST(structs_of_other_versions_are_understood)
{
    struct versioned dst, src = {.size = sizeof src, .a = 1, .b = 2};
    struct {
        struct versioned known;
        int more[2]; /* no padding: it could be anything */
    } newer = {{sizeof newer, 3, 4}, {0, 0}};

    ck_assert_int_eq(sonic__options_copy(&dst, sizeof dst, &src), 0);
    ck_assert_int_eq(dst.b, 2);
    src.size = offsetof(struct versioned, b);
    ck_assert_int_eq(sonic__options_copy(&dst, sizeof dst, &src), 0);
    ck_assert_int_eq(dst.a, 1);
    ck_assert_int_eq(dst.b, 0);
    ck_assert_uint_eq(dst.size, sizeof dst);
    ck_assert_int_eq(sonic__options_copy(&dst, sizeof dst, &newer), 0);
    ck_assert_int_eq(dst.b, 4);
    newer.more[1] = 1;
    ck_assert_int_eq(sonic__options_copy(&dst, sizeof dst, &newer),
                     SONIC_EOPTION);
    src.size = 0;
    ck_assert_int_eq(sonic__options_copy(&dst, sizeof dst, &src),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic__options_copy(&dst, sizeof dst, NULL), 0);
    ck_assert_int_eq(dst.a, 0);
}
END_TEST

/* ---- options of programs compiled against another version --------------- */

/* Who takes each kind of options: 0, or the error. */
static sonic_io *io;

static int
take_io(const void *opt)
{
    sonic_io *other;
    int err = sonic_io_new(&other, opt);

    if (err == 0)
        sonic_io_free(other);
    return err;
}

static int
take_ws(const void *opt)
{
    sonic_ws *ws;
    int err = sonic_ws_new(io, opt, NULL, NULL, &ws);

    if (err == 0)
        sonic_ws_free(ws);
    return err;
}

static int
take_deflate(const void *opt)
{
    sonic_ws_options o = SONIC_WS_OPTIONS_INIT;

    o.deflate = opt;
    return take_ws(&o);
}

static int
take_connect(const void *opt)
{
    sonic_ws_options o = SONIC_WS_OPTIONS_INIT;

    o.connect = opt;
    return take_ws(&o);
}

static int
take_frame(const void *opt)
{
    sonic_frame_codec codec;
    sonic_frame_conn *conn;
    sonic_stream *s[2];
    int err;

    ck_assert_int_eq(sonic_stream_pair(io, s), 0);
    ck_assert_int_eq(sonic_frame_codec_init(&codec, NULL), 0);
    err = sonic_frame_conn_new(s[0], &codec, opt, NULL, NULL, &conn);
    if (err == 0)
        sonic_frame_conn_free(conn);
    else
        sonic_stream_free(s[0]);
    sonic_stream_free(s[1]);
    return err;
}

static int
take_tls(const void *opt)
{
    sonic_tls_context *ctx;
    int err = sonic_tls_context_new(io, SONIC_TLS_CLIENT, opt, &ctx, NULL, 0);

    if (err == 0)
        sonic_tls_context_free(ctx);
    return err == SONIC_ENOTLS ? 0 : err;
}

static const struct {
    int (*take)(const void *opt);
    size_t size;
} takers[] = {
    {take_io, sizeof(sonic_io_options)},
    {take_ws, sizeof(sonic_ws_options)},
    {take_deflate, sizeof(sonic_ws_deflate_options)},
    {take_connect, sizeof(sonic_connect_options)},
    {take_frame, sizeof(sonic_frame_options)},
    {take_tls, sizeof(sonic_tls_context_options)},
};

/* An older one has fewer members: nothing behind them is read.  A newer one
 * has more: they are refused where they ask for something. */
START_TEST(another_version)
{
    size_t size = takers[_i].size;

    ck_assert_int_eq(sonic_io_new(&io, NULL), 0);
    for (size_t n = sizeof n; n <= size + 16; n += 8) {
        uint8_t *opt = calloc(1, n);

        ck_assert_ptr_nonnull(opt);
        memcpy(opt, &n, sizeof n);
        ck_assert_int_eq(takers[_i].take(opt), 0);
        if (n > size) {
            opt[n - 1] = 1;
            ck_assert_int_eq(takers[_i].take(opt), SONIC_EOPTION);
        }
        memset(opt, 0, n); /* its size was forgotten */
        ck_assert_int_eq(takers[_i].take(opt), SONIC_EOPTION);
        free(opt);
    }
    sonic_io_free(io);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("options");
    TCase *tc = tcase_create("socket");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_loop_test(tc, each_option_is_applied_or_refused, 0, V);
    tcase_add_test(tc, quick_ack_comes_after_connecting);
    tcase_add_test(tc, v6_only_is_for_ipv6);
    tcase_add_test(tc, a_device_is_bound_to);
    tcase_add_test(tc, values_out_of_range_are_refused);
    tcase_add_test(tc, defaults_depend_on_the_stage);
    tcase_add_test(tc, busy_poll_is_the_ios_unless_given);
    tcase_add_test(tc, the_systems_refusal_is_the_callers);
    tcase_add_loop_test(tc, a_stream_takes_options_in_use, 0, NET_BACKENDS);
    tcase_add_test(tc, structs_of_other_versions_are_understood);
    tcase_add_loop_test(tc, another_version, 0, sizeof takers / sizeof *takers);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
