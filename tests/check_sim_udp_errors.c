/* Errors of the network among datagrams, in a simulated world: told once, to
 * the read they belong to, and hiding nothing that came with them. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>
#include <sonicio/io.h>
#include <sonicio/udp.h>

#include "support/sim_udp.h"
#include "support/sim_world.h"

enum { PORT = 4000, MANY = 20 };

struct reader {
    sonic_udp *udp;
    bool lends;
    unsigned errors, got;
    int err;
    uint32_t last;
    char buf[16];
};

static sonic_io *io;

static void next(struct reader *r);

static void
heard(struct reader *r, int err, const sonic_datagram *d, size_t n)
{
    size_t i;

    if (err == -ECANCELED)
        return;
    if (err < 0) {
        r->errors++;
        r->err = err;
    }
    for (i = 0; i < n; i++) {
        ck_assert_uint_eq(d[i].len, sizeof r->last);
        memcpy(&r->last, d[i].data, sizeof r->last);
        r->got++;
    }
    next(r);
}

static void
on_read(sonic_udp *udp, int err, const sonic_datagram *d, void *ud)
{
    (void)udp;
    heard(ud, err, d, err == 0);
}

static void
on_lend(sonic_udp *udp, int err, const sonic_datagram *d, size_t n, void *ud)
{
    (void)udp;
    heard(ud, err, d, n);
}

static void
next(struct reader *r)
{
    if (r->lends)
        sonic_udp_lend(r->udp, on_lend, r);
    else
        sonic_udp_async_read(r->udp, r->buf, sizeof r->buf, on_read, r);
}

static void
begin_io(enum sonic_backend backend)
{
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;

    begin(NULL);
    opt.sys = sonic_sim_sys(sim);
    opt.mem = sonic_sim_mem(sim);
    opt.backend = backend;
    ck_assert_int_eq(sonic_io_new(&io, &opt), 0);
}

static void
settle(void)
{
    while (sonic_io_poll(io) > 0) {
    }
}

/* A socket connected to the port, and its own port. */
static uint16_t
dial(struct reader *r)
{
    sonic_udp_options opt = SONIC_UDP_OPTIONS_INIT;
    sonic_address at;

    opt.batch = 4;
    ck_assert_int_eq(sonic_udp_dial(io, "127.0.0.1:4000", &opt, &r->udp), 0);
    ck_assert_int_eq(sonic_udp_local_address(r->udp, &at), 0);
    return sonic_address_port(&at);
}

/* Nobody is there; then somebody is, and says much before it is read. */
static void
refused_then_answered(bool lends, bool reading, enum sonic_backend backend)
{
    struct reader r = {.lends = lends};
    uint16_t port;
    uint32_t i;
    int peer;

    begin_io(backend);
    port = dial(&r);
    settle();
    if (reading)
        next(&r);
    settle();
    ck_assert_int_eq(sonic_udp_send(r.udp, NULL, "x", 1), 0);
    peer = bound("127.0.0.1", PORT);
    for (i = 1; i <= MANY; i++)
        ck_assert_int_eq(send_number(peer, "127.0.0.1", port, i), 4);
    if (!reading)
        next(&r);
    settle();
    ck_assert_uint_eq(r.errors, 1);
    ck_assert_int_eq(r.err, -ECONNREFUSED);
    ck_assert_uint_eq(r.got, MANY);
    ck_assert_uint_eq(r.last, MANY);
    ck_assert_int_eq(send_number(peer, "127.0.0.1", port, 99), 4);
    settle();
    ck_assert_uint_eq(r.last, 99);
    sonic_udp_free(r.udp);
    shut(peer);
    sonic_io_free(io);
    end();
}

START_TEST(an_error_hides_nothing)
{
    refused_then_answered((_i & 1) != 0, (_i & 2) != 0,
                          (_i & 4) != 0 ? SONIC_BACKEND_POLL
                                        : SONIC_BACKEND_EPOLL);
}
END_TEST

/* What came before the error comes before it. */
START_TEST(an_error_behind_a_batch_is_told)
{
    struct reader r = {.lends = true};
    uint16_t port;
    uint32_t i;
    int peer;

    begin_io(SONIC_BACKEND_EPOLL);
    port = dial(&r);
    peer = bound("127.0.0.1", PORT);
    settle();
    for (i = 1; i <= 6; i++)
        ck_assert_int_eq(send_number(peer, "127.0.0.1", port, i), 4);
    shut(peer);
    next(&r);
    ck_assert_int_eq(sonic_udp_send(r.udp, NULL, "x", 1), 0);
    settle();
    ck_assert_uint_eq(r.got, 6);
    ck_assert_uint_eq(r.errors, 1);
    ck_assert_int_eq(r.err, -ECONNREFUSED);
    sonic_udp_free(r.udp);
    sonic_io_free(io);
    end();
}
END_TEST

/* An unconnected socket learns of nothing, and loses nothing. */
START_TEST(the_unconnected_do_not_hear)
{
    struct reader r = {.lends = _i == 0};
    sonic_address at, to;
    int peer;

    begin_io(SONIC_BACKEND_EPOLL);
    ck_assert_int_eq(sonic_udp_new(io, "127.0.0.1:0", NULL, &r.udp), 0);
    ck_assert_int_eq(sonic_udp_local_address(r.udp, &at), 0);
    ck_assert_int_eq(sonic_address_parse("127.0.0.1:4000", &to), 0);
    next(&r);
    ck_assert_int_eq(sonic_udp_send(r.udp, &to, "x", 1), 0);
    settle();
    peer = bound("127.0.0.1", PORT);
    ck_assert_int_eq(send_number(peer, "127.0.0.1", sonic_address_port(&at), 7),
                     4);
    settle();
    ck_assert_uint_eq(r.errors, 0);
    ck_assert_uint_eq(r.last, 7);
    sonic_udp_free(r.udp);
    shut(peer);
    sonic_io_free(io);
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim_udp_errors");
    TCase *tc = tcase_create("errors");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, an_error_hides_nothing, 0, 8);
    tcase_add_test(tc, an_error_behind_a_batch_is_told);
    tcase_add_loop_test(tc, the_unconnected_do_not_hear, 0, 2);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
