/* Sockets for datagrams: made, read from, written to, ended; on each backend,
 * IPv4 and IPv6. */
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/udp_rig.h"

static void
exchange(struct udp_rig *r, sonic_udp *a, sonic_udp *b)
{
    sonic_address to = udp_where(b), from = udp_where(a);
    struct udp_got got = {0};
    uint8_t buf[64];

    sonic_udp_async_read(b, buf, sizeof buf, on_udp_read, &got);
    ck_assert_uint_eq(got.calls, 0);
    ck_assert_int_eq(sonic_udp_send(a, &to, "hello", 5), 0);
    RIG_UNTIL(&r->rig, got.calls == 1);
    ck_assert_int_eq(got.err, 0);
    ck_assert_uint_eq(got.len, 5);
    ck_assert_uint_eq(got.sent, 5);
    ck_assert(!got.truncated);
    ck_assert_mem_eq(buf, "hello", 5);
    ck_assert(udp_same_address(&got.from, &from));
    ck_assert(udp_same_address(&got.to, &to));
    ck_assert_uint_eq(got.interface, if_nametoindex("lo"));
    ck_assert_int_eq(got.timestamp, 0);
}

START_TEST(there_and_back)
{
    struct udp_rig r;
    sonic_udp *a, *b;

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    ck_assert_uint_ne(sonic_address_port(&(sonic_address){0}) +
                          sonic_address_port((sonic_address[]){udp_where(a)}),
                      0);
    exchange(&r, a, b);
    exchange(&r, b, a);
    ck_assert_int_eq(sonic_udp_family(a), r.family);
    ck_assert(sonic_udp_is_open(a));
    ck_assert_ptr_eq(sonic_udp_io(a), r.rig.io);
    sonic_udp_free(a);
    udp_close(&r);
}
END_TEST

START_TEST(connected)
{
    struct udp_rig r;
    sonic_udp *server, *client, *other;
    sonic_address a, where;
    struct udp_got got = {0};
    uint8_t buf[64];

    udp_open(&r, _i);
    server = udp_bound(&r, NULL);
    client = udp_dialled(&r, server, NULL);
    other = udp_bound(&r, NULL);
    where = udp_where(client);
    ck_assert_int_eq(sonic_udp_remote_address(client, &a), 0);
    ck_assert_uint_eq(sonic_address_port(&a),
                      sonic_address_port((sonic_address[]){udp_where(server)}));
    ck_assert_int_eq(sonic_udp_remote_address(server, &a), -ENOTCONN);
    /* what comes from elsewhere does not come */
    ck_assert_int_eq(sonic_udp_send(other, &where, "no", 2), 0);
    ck_assert_int_eq(sonic_udp_send(server, &where, "yes", 3), 0);
    sonic_udp_async_read(client, buf, sizeof buf, on_udp_read, &got);
    RIG_UNTIL(&r.rig, got.calls == 1);
    ck_assert_mem_eq(buf, "yes", 3);
    ck_assert_int_eq(sonic_udp_send(client, NULL, "to you", 6), 0);
    sonic_udp_async_read(server, buf, sizeof buf, on_udp_read, &got);
    RIG_UNTIL(&r.rig, got.calls == 2);
    ck_assert_mem_eq(buf, "to you", 6);
    ck_assert_int_eq(sonic_udp_send(server, NULL, "?", 1), -EDESTADDRREQ);
    /* and from now on it does */
    ck_assert_int_eq(sonic_udp_connect(client, NULL), 0);
    ck_assert_int_eq(sonic_udp_remote_address(client, &a), -ENOTCONN);
    ck_assert_int_eq(
        sonic_udp_connect(client, (sonic_address[]){udp_where(other)}), 0);
    ck_assert_int_eq(sonic_udp_send(client, NULL, "hello", 5), 0);
    sonic_udp_async_read(other, buf, sizeof buf, on_udp_read, &got);
    RIG_UNTIL(&r.rig, got.calls == 3);
    ck_assert_mem_eq(buf, "hello", 5);
    udp_close(&r);
}
END_TEST

START_TEST(blocking_twins)
{
    struct udp_rig r;
    sonic_udp *a, *b;
    sonic_address to;
    sonic_datagram d;
    uint8_t buf[64];

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    to = udp_where(b);
    ck_assert_int_eq(sonic_udp_write(a, &to, "one", 3), 0);
    ck_assert_int_eq(sonic_udp_read(b, buf, sizeof buf, &d), 0);
    ck_assert_uint_eq(d.len, 3);
    ck_assert_ptr_eq(d.data, buf);
    ck_assert(udp_same_address(d.from, (sonic_address[]){udp_where(a)}));
    ck_assert_int_eq(sonic_udp_write(a, NULL, "one", 3), -EDESTADDRREQ);
    ck_assert_int_eq(
        sonic_udp_set_deadline(b, SONIC_READING, sonic_io_now(r.rig.io) + MS),
        0);
    ck_assert_int_eq(sonic_udp_read(b, buf, sizeof buf, NULL), -ETIMEDOUT);
    ck_assert_int_eq(sonic_udp_set_deadline(b, SONIC_READING, INT64_MAX), 0);
    ck_assert_int_eq(sonic_udp_write(a, &to, "two", 3), 0);
    ck_assert_int_eq(sonic_udp_read(b, buf, sizeof buf, NULL), 0);
    ck_assert_mem_eq(buf, "two", 3);
    sonic_io_stop(r.rig.io);
    ck_assert_int_eq(sonic_udp_read(b, buf, sizeof buf, NULL), SONIC_ESTOPPED);
    ck_assert_int_eq(sonic_udp_write(a, &to, "three", 5), SONIC_ESTOPPED);
    sonic_io_restart(r.rig.io);
    ck_assert_uint_eq(sonic_io_pending(r.rig.io), 0);
    ck_assert_uint_eq(sonic_udp_queued(a), 0);
    sonic_udp_close(b);
    ck_assert_int_eq(sonic_udp_read(b, buf, sizeof buf, NULL), SONIC_ECLOSED);
    udp_close(&r);
}
END_TEST

/* The empty datagram is one, for each door, and what is cut says so. */
START_TEST(empty_and_cut)
{
    struct udp_rig r;
    sonic_udp_options o = SONIC_UDP_OPTIONS_INIT;
    sonic_udp *a, *b, *c;
    struct udp_got got = {0}, lent = {.again = true};
    sonic_address to, to_c;
    uint8_t buf[8];

    udp_open(&r, _i);
    o.datagram_max = 8;
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    c = udp_bound(&r, &o);
    to = udp_where(b);
    to_c = udp_where(c);
    sonic_udp_async_read(b, buf, sizeof buf, on_udp_read, &got);
    ck_assert_int_eq(sonic_udp_send(a, &to, NULL, 0), 0);
    RIG_UNTIL(&r.rig, got.calls == 1);
    ck_assert_uint_eq(got.len + got.sent, 0);
    ck_assert(!got.truncated);
    sonic_udp_async_read(b, buf, sizeof buf, on_udp_read, &got);
    ck_assert_int_eq(sonic_udp_send(a, &to, "123456789", 9), 0);
    RIG_UNTIL(&r.rig, got.calls == 2);
    ck_assert_uint_eq(got.len, 8);
    ck_assert_uint_eq(got.sent, 9);
    ck_assert(got.truncated);
    sonic_udp_async_read(b, buf, 0, on_udp_read, &got); /* into nothing */
    ck_assert_int_eq(sonic_udp_send(a, &to, "1", 1), 0);
    RIG_UNTIL(&r.rig, got.calls == 3);
    ck_assert_uint_eq(got.len, 0);
    ck_assert(got.truncated && got.sent == 1);
    ck_assert_uint_eq(udp_stats(b).truncated, 2);

    sonic_udp_lend(c, on_udp_lend, &lent);
    ck_assert_int_eq(sonic_udp_send(a, &to_c, "", 0), 0);
    RIG_UNTIL(&r.rig, lent.n == 1);
    ck_assert(lent.len == 0 && lent.sent == 0 && !lent.truncated);
    ck_assert_int_eq(sonic_udp_send(a, &to_c, "12345678", 8), 0);
    RIG_UNTIL(&r.rig, lent.n == 2);
    ck_assert(lent.len == 8 && lent.sent == 8 && !lent.truncated);
    ck_assert_int_eq(sonic_udp_send(a, &to_c, "123456789", 9), 0);
    RIG_UNTIL(&r.rig, lent.n == 3);
    ck_assert(lent.len == 8 && lent.sent == 9 && lent.truncated);
    ck_assert_mem_eq(lent.data, "12345678", 8);
    ck_assert_uint_eq(udp_stats(c).truncated, 1);
    udp_close(&r);
}
END_TEST

/* Without a word about it, the largest datagram is shown whole. */
START_TEST(the_largest)
{
    static uint8_t data[65507], buf[65507];
    struct udp_rig r;
    sonic_udp *a, *b;
    struct udp_got got = {0};
    sonic_address to;

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    b = udp_bound(&r, NULL);
    to = udp_where(b);
    rig_fill(data, sizeof data, 0);
    sonic_udp_lend(b, on_udp_lend, &got);
    ck_assert_int_eq(sonic_udp_send(a, &to, data, sizeof data), 0);
    RIG_UNTIL(&r.rig, got.calls == 1);
    ck_assert_uint_eq(got.len, sizeof data);
    ck_assert(!got.truncated);
    ck_assert_int_eq(sonic_udp_write(a, &to, data, sizeof data), 0);
    ck_assert_int_eq(sonic_udp_read(b, buf, sizeof buf, NULL), 0);
    ck_assert_mem_eq(buf, data, sizeof data);
    ck_assert_int_eq(sonic_udp_send(a, &to, data, 65528), -EMSGSIZE);
    ck_assert_int_eq(sonic_udp_queue(a, &to, data, 65528), -EMSGSIZE);
    udp_close(&r);
}
END_TEST

START_TEST(nobody_at_the_port)
{
    struct udp_rig r;
    sonic_address nobody;
    sonic_udp *a, *c;
    struct udp_got got = {0};
    struct outcome w = {0};
    char text[SONIC_ADDRESS_TEXT];
    uint8_t buf[8];

    udp_open(&r, _i);
    nobody = udp_nobody(&r);
    a = udp_bound(&r, NULL);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sonic_udp_send(a, &nobody, "x", 1), 0);
    rig_settle(&r.rig);
    ck_assert_int_eq(sonic_udp_send(a, &nobody, "x", 1), 0);

    sonic_address_format(&nobody, text, sizeof text);
    ck_assert_int_eq(sonic_udp_dial(r.rig.io, text, NULL, &c), 0);
    /* to the read that is under way, though a send is told of it first */
    sonic_udp_async_read(c, buf, sizeof buf, on_udp_read, &got);
    rig_settle(&r.rig);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(sonic_udp_send(c, NULL, "x", 1), 0);
    RIG_UNTIL(&r.rig, got.calls == 1);
    ck_assert_int_eq(got.err, -ECONNREFUSED);
    /* to the next read */
    rig_settle(&r.rig);
    sonic_udp_async_read(c, buf, sizeof buf, on_udp_read, &got);
    RIG_UNTIL(&r.rig, got.calls == 2);
    ck_assert_int_eq(got.err, -ECONNREFUSED);
    /* to a send, where nobody reads */
    ck_assert_int_eq(sonic_udp_send(c, NULL, "x", 1), 0);
    ck_assert_int_eq(sonic_udp_send(c, NULL, "x", 1), -ECONNREFUSED);
    ck_assert_int_eq(sonic_udp_send(c, NULL, "x", 1), 0);
    sonic_udp_async_write(c, NULL, "x", 1, on_udp_write, &w);
    RIG_UNTIL(&r.rig, w.calls == 1);
    ck_assert_int_eq(w.err, -ECONNREFUSED);
    ck_assert_uint_eq(w.n, 0);
    /* and a lend */
    sonic_udp_lend(c, on_udp_lend, &got);
    rig_settle(&r.rig);
    ck_assert_int_eq(sonic_udp_send(c, NULL, "x", 1), 0);
    RIG_UNTIL(&r.rig, got.calls == 3);
    ck_assert_int_eq(got.err, -ECONNREFUSED);
    ck_assert_uint_eq(udp_stats(c).read_errors, 3);
    udp_close(&r);
}
END_TEST

START_TEST(refusals)
{
    struct udp_rig r;
    sonic_udp *a;
    struct udp_got got = {0};
    struct outcome w = {0};
    sonic_address bad = {0}, four;
    uint8_t buf[8];

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    ck_assert_int_eq(sonic_udp_set_async_read_buffer(a, buf, 8), SONIC_ESTATE);
    sonic_udp_async_read(a, buf, sizeof buf, on_udp_read, &(struct udp_got){0});
    sonic_udp_async_read(a, buf, sizeof buf, on_udp_read, &got);
    ck_assert_int_eq(got.err, -EBUSY);
    sonic_udp_lend(a, on_udp_lend, &got);
    ck_assert_int_eq(got.err, -EBUSY);
    ck_assert_int_eq(sonic_udp_send(a, &bad, "x", 1), -EAFNOSUPPORT);
    four = udp_where(a);
    four.len = 4;
    ck_assert_int_eq(sonic_udp_send(a, &four, "x", 1), -EINVAL);
    if (r.family == AF_INET) {
        ck_assert_int_eq(sonic_address_parse("[::1]:7", &four), 0);
        ck_assert_int_eq(sonic_udp_queue(a, &four, "x", 1), -EAFNOSUPPORT);
        sonic_udp_async_write(a, &four, "x", 1, on_udp_write, &w);
        ck_assert_int_eq(w.err, -EAFNOSUPPORT);
    }
    sonic_udp_close(a);
    sonic_udp_close(a);
    ck_assert_int_eq(sonic_udp_fd(a), -1);
    got.calls = 0;
    sonic_udp_async_read(a, buf, sizeof buf, on_udp_read, &got);
    sonic_udp_lend(a, on_udp_lend, &got);
    ck_assert_uint_eq(got.calls, 2);
    ck_assert_int_eq(got.err, SONIC_ECLOSED);
    w.calls = 0;
    sonic_udp_async_write(a, &bad, "x", 1, on_udp_write, &w);
    sonic_udp_async_drain(a, on_udp_write, &w);
    ck_assert_uint_eq(w.calls, 2);
    ck_assert_int_eq(w.err, SONIC_ECLOSED);
    ck_assert_int_eq(sonic_udp_send(a, &bad, "x", 1), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_udp_flush(a), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_udp_local_address(a, &four), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_udp_remote_address(a, &four), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_udp_set_deadline(a, SONIC_BOTH, 0), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_udp_connect(a, NULL), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_udp_set_options(a, NULL), SONIC_ECLOSED);
    udp_close(&r);
}
END_TEST

START_TEST(cancelled_and_closed)
{
    static void (*const ends[])(sonic_udp * u) = {sonic_udp_close,
                                                  sonic_udp_free};
    struct udp_rig r;
    struct udp_got got = {0};
    sonic_udp *a;
    uint8_t buf[8];

    udp_open(&r, _i);
    a = udp_bound(&r, NULL);
    sonic_udp_async_read(a, buf, sizeof buf, on_udp_read, &got);
    sonic_udp_cancel(a, SONIC_WRITING);
    rig_settle(&r.rig);
    ck_assert_uint_eq(got.calls, 0);
    sonic_udp_cancel(a, SONIC_READING);
    ck_assert_uint_eq(got.calls, 0); /* never from the call */
    RIG_UNTIL(&r.rig, got.calls == 1);
    ck_assert_int_eq(got.err, -ECANCELED);
    exchange(&r, a, a); /* it goes on */
    sonic_udp_lend(a, on_udp_lend, &got);
    sonic_udp_cancel(a, SONIC_BOTH);
    RIG_UNTIL(&r.rig, got.calls == 2);
    ck_assert_int_eq(got.err, -ECANCELED);
    for (int i = 0; i < 4; i++) {
        got = (struct udp_got){0};
        a = udp_bound(&r, NULL);
        if (i & 1)
            sonic_udp_lend(a, on_udp_lend, &got);
        else
            sonic_udp_async_read(a, buf, sizeof buf, on_udp_read, &got);
        ends[i / 2](a);
        ck_assert_uint_eq(got.calls, 0);
        rig_settle(&r.rig);
        ck_assert_uint_eq(got.calls, 1);
        ck_assert_int_eq(got.err, -ECANCELED);
    }
    a = udp_bound(&r, NULL);
    got = (struct udp_got){0};
    sonic_udp_lend(a, on_udp_lend, &got);
    sonic_udp_free(NULL);
    sonic_io_free(r.rig.io);
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_int_eq(got.err, -ECANCELED);
    rig_closed(&r.rig);
}
END_TEST

static int
ask(const sonic_udp *u, int level, int name)
{
    socklen_t len = sizeof(int);
    int v = -1;

    ck_assert_int_eq(getsockopt(sonic_udp_fd(u), level, name, &v, &len), 0);
    return v;
}

/* Whatever is asked for is there, or the call fails. */
START_TEST(options)
{
    struct udp_rig r;
    sonic_udp_options o = SONIC_UDP_OPTIONS_INIT;
    sonic_socket_options s = SONIC_SOCKET_OPTIONS_INIT;
    char name[IFNAMSIZ] = "";
    socklen_t len = sizeof name;
    bool v4;
    sonic_udp *u;

    udp_open(&r, _i);
    v4 = r.family == AF_INET;
    s.reuse_addr = s.reuse_port = SONIC_ON;
    s.receive_buffer = s.send_buffer = 8192;
    s.ttl = 9;
    s.tos = 16;
    s.device = "lo";
    o.socket = &s;
    o.broadcast = v4 ? SONIC_ON : SONIC_DEFAULT;
    u = udp_bound(&r, &o);
    ck_assert_int_eq(ask(u, SOL_SOCKET, SO_REUSEADDR), 1);
    ck_assert_int_eq(ask(u, SOL_SOCKET, SO_REUSEPORT), 1);
    ck_assert_int_eq(ask(u, SOL_SOCKET, SO_RCVBUF), 16384);
    ck_assert_int_eq(ask(u, SOL_SOCKET, SO_SNDBUF), 16384);
    ck_assert_int_eq(ask(u, SOL_SOCKET, SO_BROADCAST), v4);
    ck_assert_int_eq(v4 ? ask(u, IPPROTO_IP, IP_TTL)
                        : ask(u, IPPROTO_IPV6, IPV6_UNICAST_HOPS),
                     9);
    ck_assert_int_eq(v4 ? ask(u, IPPROTO_IP, IP_TOS)
                        : ask(u, IPPROTO_IPV6, IPV6_TCLASS),
                     16);
    ck_assert_int_eq(
        getsockopt(sonic_udp_fd(u), SOL_SOCKET, SO_BINDTODEVICE, name, &len),
        0);
    ck_assert_str_eq(name, "lo");
    s.ttl = 10;
    s.device = NULL;
    ck_assert_int_eq(sonic_udp_set_options(u, &s), 0);
    ck_assert_int_eq(v4 ? ask(u, IPPROTO_IP, IP_TTL)
                        : ask(u, IPPROTO_IPV6, IPV6_UNICAST_HOPS),
                     10);
    s.no_delay = SONIC_ON; /* TCP's */
    ck_assert_int_eq(sonic_udp_set_options(u, &s), SONIC_EOPTION);
    ck_assert_int_eq(sonic_udp_new(r.rig.io, r.host, &o, &u), SONIC_EOPTION);
    s.no_delay = SONIC_DEFAULT;
    s.v6_only = SONIC_ON;
    ck_assert_int_eq(sonic_udp_new(r.rig.io, r.host, &o, &u),
                     v4 ? SONIC_EOPTION : 0);
    if (!v4)
        ck_assert_int_eq(ask(u, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    udp_close(&r);
}
END_TEST

START_TEST(adopted_and_any)
{
    struct udp_rig r;
    sonic_address a;
    sonic_udp *u, *any, *v4;
    int fd[2];

    udp_open(&r, _i);
    fd[0] = socket(r.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(sonic_udp_adopt(r.rig.io, fd[0], NULL, &u), 0);
    ck_assert_int_eq(sonic_udp_family(u), r.family);
    rig_pair(fd);
    ck_assert_int_eq(sonic_udp_adopt(r.rig.io, fd[0], NULL, &u),
                     SONIC_EADDRESS);
    close(fd[0]);
    close(fd[1]);
    ck_assert_int_eq(sonic_udp_adopt(r.rig.io, 0x7fff, NULL, &u), -EBADF);
    /* both families on one socket */
    ck_assert_int_eq(sonic_udp_new(r.rig.io, NULL, NULL, &any), 0);
    ck_assert_int_eq(sonic_udp_new(r.rig.io, "udp4:127.0.0.1:0", NULL, &v4), 0);
    if (sonic_udp_family(any) == AF_INET6) {
        struct udp_got got = {0};

        a = udp_where(v4);
        sonic_udp_lend(v4, on_udp_lend, &got);
        ck_assert_int_eq(sonic_udp_send(any, &a, "4", 1), 0);
        RIG_UNTIL(&r.rig, got.n == 1);
        a = udp_where(any);
        ck_assert_uint_eq(sonic_address_port(&got.from),
                          sonic_address_port(&a));
    }
    ck_assert_int_eq(sonic_udp_new(r.rig.io, "tcp:127.0.0.1:0", NULL, &u),
                     SONIC_EADDRESS);
    ck_assert_int_eq(sonic_udp_new(r.rig.io, "unix:x", NULL, &u),
                     SONIC_EADDRESS);
    ck_assert_int_eq(sonic_udp_dial(r.rig.io, ":7", NULL, &u), SONIC_EADDRESS);
    ck_assert_int_eq(sonic_udp_dial(r.rig.io, NULL, NULL, &u), SONIC_EADDRESS);
    udp_close(&r);
}
END_TEST

/* From an address and a port of its own. */
START_TEST(dialled_from)
{
    struct udp_rig r;
    sonic_udp_options o = SONIC_UDP_OPTIONS_INIT;
    sonic_socket_options s = SONIC_SOCKET_OPTIONS_INIT;
    sonic_udp *server, *u;
    sonic_address free_one, a;
    char text[SONIC_ADDRESS_TEXT], to[SONIC_ADDRESS_TEXT];

    udp_open(&r, _i);
    server = udp_bound(&r, NULL);
    free_one = udp_nobody(&r);
    sonic_address_format(&free_one, text, sizeof text);
    a = udp_where(server);
    sonic_address_format(&a, to, sizeof to);
    s.bind = text;
    o.socket = &s;
    ck_assert_int_eq(sonic_udp_dial(r.rig.io, to, &o, &u), 0);
    a = udp_where(u);
    ck_assert(udp_same_address(&a, &free_one));
    ck_assert_int_eq(sonic_udp_dial(r.rig.io, to, &o, &u), -EADDRINUSE);
    s.bind = "nonsense";
    ck_assert_int_eq(sonic_udp_dial(r.rig.io, to, &o, &u), SONIC_EOPTION);
    s.bind = r.family == AF_INET ? "[::1]:0" : "127.0.0.1:0";
    ck_assert_int_eq(sonic_udp_dial(r.rig.io, to, &o, &u), SONIC_EOPTION);
    s.bind = ":0";
    ck_assert_int_eq(sonic_udp_dial(r.rig.io, to, &o, &u), 0);
    ck_assert_int_eq(sonic_udp_new(r.rig.io, r.host, &o, &u), SONIC_EOPTION);
    udp_close(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("udp");
    TCase *tc = tcase_create("sockets");

    udp_add(tc, there_and_back);
    udp_add(tc, connected);
    udp_add(tc, blocking_twins);
    udp_add(tc, empty_and_cut);
    udp_add(tc, the_largest);
    udp_add(tc, nobody_at_the_port);
    udp_add(tc, refusals);
    udp_add(tc, cancelled_and_closed);
    udp_add(tc, options);
    udp_add(tc, adopted_and_any);
    udp_add(tc, dialled_from);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
