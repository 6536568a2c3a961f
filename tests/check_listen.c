/* What a listener listens on: addresses, ports, names, and the paths that unix
 * sockets leave behind. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/net_world.h"

START_TEST(bad_arguments_are_refused)
{
    static const sonic_socket_options quick = {.size = sizeof quick,
                                               .quick_ack = SONIC_ON};
    static const sonic_socket_options from = {.size = sizeof from,
                                              .bind = "127.0.0.1:0"};
    static const sonic_socket_options delay = {.size = sizeof delay,
                                               .no_delay = SONIC_ON};
    static const struct {
        const char *address;
        int backlog;
        const sonic_socket_options *socket, *accepted;
        int err;
    } v[] = {
        {"", 0, NULL, NULL, SONIC_EADDRESS},
        {NULL, 0, NULL, NULL, SONIC_EADDRESS},
        {"127.0.0.1", 0, NULL, NULL, SONIC_EADDRESS},
        {"127.0.0.1:0", -1, NULL, NULL, SONIC_EOPTION},
        {"127.0.0.1:0", 0, &quick, NULL, SONIC_EOPTION},
        {"127.0.0.1:0", 0, &from, NULL, SONIC_EOPTION},
        {"127.0.0.1:0", 0, NULL, &from, SONIC_EOPTION},
        {"unix:@sonicio-bad", 0, NULL, &delay, SONIC_EOPTION},
        {"unix:/no/such/directory/x", 0, NULL, NULL, -ENOENT},
    };
    sonic_io *io = net_io(_i, NULL, NULL);
    unsigned fds = net_open_fds();

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        sonic_listener_options o = SONIC_LISTENER_OPTIONS_INIT;
        sonic_listener *l;
        int err;

        o.backlog = v[i].backlog;
        o.socket = v[i].socket;
        o.accepted = v[i].accepted;
        err = sonic_listener_new(io, v[i].address, &o, &l);
        ck_assert_msg(err == v[i].err, "row %zu: %s", i, sonic_errname(err));
    }
    ck_assert_uint_eq(net_open_fds(), fds);
    sonic_io_free(io);
}
END_TEST

START_TEST(port_0_is_a_real_port_which_is_then_in_use)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "127.0.0.1:0"), *m;
    char where[SONIC_ADDRESS_TEXT];
    sonic_address a;

    ck_assert_int_eq(sonic_listener_address(l, &a), 0);
    ck_assert_uint_ne(sonic_address_port(&a), 0);
    net_where(l, where);
    ck_assert_int_eq(sonic_listener_new(io, where, NULL, &m), -EADDRINUSE);
    sonic_listener_free(l);
    sonic_io_poll(io);
    ck_assert_int_eq(sonic_listener_new(io, where, NULL, &m), 0);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_port_is_shared_where_both_ask)
{
    sonic_socket_options so = SONIC_SOCKET_OPTIONS_INIT;
    sonic_listener_options o = SONIC_LISTENER_OPTIONS_INIT;
    sonic_io *io = net_io(_i, NULL, NULL);
    char where[SONIC_ADDRESS_TEXT];
    sonic_listener *l, *m;

    so.reuse_port = SONIC_ON;
    o.socket = &so;
    ck_assert_int_eq(sonic_listener_new(io, "127.0.0.1:0", &o, &l), 0);
    net_where(l, where);
    ck_assert_int_eq(sonic_listener_new(io, where, &o, &m), 0);
    sonic_io_free(io);
}
END_TEST

START_TEST(any_address_is_both_families)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, ":0");
    sonic_stream *s = net_stream(io), *peer;
    char to[64];
    sonic_address a;

    ck_assert_int_eq(sonic_listener_address(l, &a), 0);
    snprintf(to, sizeof to, "127.0.0.1:%u", sonic_address_port(&a));
    ck_assert_int_eq(sonic_stream_connect(s, to, NULL), 0);
    ck_assert_int_eq(sonic_listener_accept(l, &peer), 0);
    net_talk(s, peer);
    if (net_has_ipv6()) {
        ck_assert_int_eq(a.storage.ss_family, AF_INET6);
        s = net_stream(io);
        snprintf(to, sizeof to, "[::1]:%u", sonic_address_port(&a));
        ck_assert_int_eq(sonic_stream_connect(s, to, NULL), 0);
        ck_assert_int_eq(sonic_listener_accept(l, &peer), 0);
        net_talk(s, peer);
    }
    sonic_io_free(io);
}
END_TEST

static int
no_ipv6(int domain, int type, int protocol, void *ud)
{
    if (domain == AF_INET6)
        return -EAFNOSUPPORT;
    return sonic_sys_kernel()->socket(domain, type, protocol, ud);
}

START_TEST(any_address_is_ipv4_without_ipv6)
{
    sonic_sys sys = *sonic_sys_kernel();
    sonic_listener *l;
    sonic_address a;
    sonic_io *io;

    sys.socket = no_ipv6;
    io = net_io(_i, &sys, NULL);
    l = net_listener(io, ":0");
    ck_assert_int_eq(sonic_listener_address(l, &a), 0);
    ck_assert_int_eq(a.storage.ss_family, AF_INET);
    ck_assert_uint_ne(sonic_address_port(&a), 0);
    ck_assert_int_eq(sonic_listener_new(io, "tcp6::0", NULL, &l),
                     -EAFNOSUPPORT);
    sonic_io_free(io);
}
END_TEST

START_TEST(a_name_is_listened_on)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l = net_listener(io, "tcp4:localhost:0");
    sonic_address a;

    ck_assert_int_eq(sonic_listener_address(l, &a), 0);
    ck_assert_int_eq(a.storage.ss_family, AF_INET);
    sonic_io_free(io);
}
END_TEST

/* ---- paths ------------------------------------------------------------ */

struct place {
    char dir[32];
    char path[64];
    char address[80];
};

static void
make_place(struct place *p)
{
    strcpy(p->dir, "listener-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/s", p->dir);
    snprintf(p->address, sizeof p->address, "unix:%s", p->path);
}

static void
end_place(struct place *p)
{
    unlink(p->path);
    ck_assert_int_eq(rmdir(p->dir), 0);
}

static bool
exists(const struct place *p)
{
    return access(p->path, F_OK) == 0;
}

/* What a program that crashed leaves behind. */
static void
leave_behind(const struct place *p)
{
    sonic_address a;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_eq(sonic_address_parse(p->address, &a), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a.storage, a.len), 0);
    close(fd);
}

START_TEST(a_path_goes_with_its_listener)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    struct place p;

    make_place(&p);
    for (int i = 0; i < 2; i++) {
        sonic_listener *l = net_listener(io, p.address);

        ck_assert(exists(&p));
        sonic_listener_close(l);
        ck_assert(!exists(&p));
        sonic_listener_free(l);
    }
    net_listener(io, p.address);
    sonic_io_free(io);
    ck_assert(!exists(&p));
    end_place(&p);
}
END_TEST

START_TEST(a_stale_path_is_replaced_one_in_use_is_not)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l, *m;
    struct place p;

    make_place(&p);
    leave_behind(&p);
    l = net_listener(io, p.address);
    ck_assert_int_eq(sonic_listener_new(io, p.address, NULL, &m), -EADDRINUSE);
    ck_assert(exists(&p));
    sonic_listener_free(l);
    sonic_io_free(io);
    end_place(&p);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_never_removed)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l;
    struct place p;
    int fd;

    make_place(&p);
    fd = open(p.path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    ck_assert_int_eq(sonic_listener_new(io, p.address, NULL, &l), -EADDRINUSE);
    ck_assert(exists(&p));
    unlink(p.path);
    ck_assert_int_eq(symlink("nowhere", p.path), 0);
    ck_assert_int_eq(sonic_listener_new(io, p.address, NULL, &l), -EADDRINUSE);
    sonic_io_free(io);
    end_place(&p);
}
END_TEST

START_TEST(a_path_is_left_alone_where_asked)
{
    sonic_listener_options o = SONIC_LISTENER_OPTIONS_INIT;
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l;
    struct place p;

    make_place(&p);
    o.keep_path = SONIC_ON;
    leave_behind(&p);
    ck_assert_int_eq(sonic_listener_new(io, p.address, &o, &l), -EADDRINUSE);
    ck_assert(exists(&p));
    unlink(p.path);
    ck_assert_int_eq(sonic_listener_new(io, p.address, &o, &l), 0);
    sonic_listener_free(l);
    ck_assert(exists(&p));
    sonic_io_free(io);
    end_place(&p);
}
END_TEST

/* Somebody else's listener at the same path outlives ours. */
START_TEST(a_path_that_another_took_over_is_left_to_it)
{
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l, *m;
    struct place p;

    make_place(&p);
    l = net_listener(io, p.address);
    unlink(p.path);
    m = net_listener(io, p.address);
    sonic_listener_free(l);
    ck_assert(exists(&p));
    sonic_listener_free(m);
    ck_assert(!exists(&p));
    sonic_io_free(io);
    end_place(&p);
}
END_TEST

START_TEST(a_listener_that_fails_late_leaves_no_path)
{
    sonic_socket_options so = SONIC_SOCKET_OPTIONS_INIT;
    sonic_listener_options o = SONIC_LISTENER_OPTIONS_INIT;
    sonic_io *io = net_io(_i, NULL, NULL);
    sonic_listener *l;
    struct place p;

    make_place(&p);
    so.no_delay = SONIC_ON;
    o.accepted = &so;
    ck_assert_int_eq(sonic_listener_new(io, p.address, &o, &l), SONIC_EOPTION);
    ck_assert(!exists(&p));
    sonic_io_free(io);
    end_place(&p);
}
END_TEST

static void
add_addresses(TCase *tc)
{
    tcase_add_loop_test(tc, bad_arguments_are_refused, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, port_0_is_a_real_port_which_is_then_in_use, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_port_is_shared_where_both_ask, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, any_address_is_both_families, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, any_address_is_ipv4_without_ipv6, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_name_is_listened_on, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_path_goes_with_its_listener, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_stale_path_is_replaced_one_in_use_is_not, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_file_that_is_no_socket_is_never_removed, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_path_is_left_alone_where_asked, 0, NET_BACKENDS);
    tcase_add_loop_test(tc, a_path_that_another_took_over_is_left_to_it, 0,
                        NET_BACKENDS);
    tcase_add_loop_test(tc, a_listener_that_fails_late_leaves_no_path, 0,
                        NET_BACKENDS);
}

int
main(void)
{
    Suite *s = suite_create("listening");
    TCase *tc = tcase_create("addresses");
    SRunner *sr = srunner_create(s);
    int failed;

    add_addresses(tc);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
