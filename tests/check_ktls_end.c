/* kTLS: how connections end, and who else runs them. */
#include <string.h>
#include <unistd.h>

#include "support/ktls_kit.h"

static struct rig r;

/* ---- ends ------------------------------------------------------------- */

/* Room for little between the ends, so that the kernel holds a part. */
static void
narrow(sonic_stream *s)
{
    int size = 20000;

    ck_assert_int_eq(setsockopt(sonic_stream_fd(s), SOL_SOCKET, SO_SNDBUF,
                                &size, sizeof size),
                     0);
}

/* All that was sent before a shutdown arrives, and then the end. */
START_TEST(shutdown_loses_nothing)
{
    static uint8_t block[16384], got[KTLS_BIG];

    for (int room = 0; room < 2; room++) {
        struct ktls_peer p;
        size_t n = 0;
        sonic_stream *s;

        ktls_open(&r, _i);
        s = ktls_meet(&r, &p, SONIC_TLS_SERVER, NULL);
        if (room == 0)
            narrow(s);
        while (n + sizeof block <= KTLS_BIG) {
            rig_fill(block, sizeof block, n);
            ck_assert_int_ge(sonic_stream_send(s, block, sizeof block), 0);
            sonic_stream_flush(s);
            n += sizeof block;
        }
        ck_assert_int_eq(sonic_stream_shutdown(s), 0);
        rig_settle(&r);
        ck_assert_int_eq(ktls_peer_reads(&p, got, n), 0);
        ck_assert(rig_same(got, n, 0));
        ck_assert_int_eq(ktls_peer_reads(&p, got, 1), SSL_ERROR_ZERO_RETURN);
        if (!ktls_is_real(_i))
            ck_assert_uint_eq(ktls_sim.lost, 0);
        sonic_stream_free(s);
        ktls_leave(&p);
        ktls_close(&r);
    }
}
END_TEST

/* A write is complete when the stream may be closed. */
START_TEST(complete_is_complete)
{
    static uint8_t all[40 * 16384], got[sizeof all];
    enum { PART = 16384, PARTS = 40 };
    struct ktls_peer p;
    struct outcome w[PARTS] = {{0}};
    size_t n = 0;
    sonic_stream *s;

    ktls_open(&r, _i);
    s = ktls_meet(&r, &p, SONIC_TLS_SERVER, NULL);
    narrow(s);
    rig_fill(all, sizeof all, 0);
    for (int i = 0; i < PARTS; i++) {
        sonic_stream_async_write(s, all + i * PART, PART, on_outcome, &w[i]);
        rig_settle(&r);
    }
    for (int i = 0; i < PARTS; i++)
        n += w[i].calls == 1 && w[i].err == 0 ? PART : 0;
    ck_assert_uint_lt(n, sizeof all);
    sonic_stream_free(s);
    rig_settle(&r);
    ck_assert_int_eq(ktls_peer_reads(&p, got, n), 0);
    ck_assert(rig_same(got, n, 0));
    for (int i = 0; i < PARTS; i++)
        ck_assert_uint_eq(w[i].calls, 1);
    ktls_leave(&p);
    ktls_close(&r);
}
END_TEST

/* close says close_notify, and a peer that is gone without one has cut. */
START_TEST(both_kinds_of_end)
{
    struct ktls_peer p;
    struct outcome o = {0};
    uint8_t c;
    sonic_stream *s;

    ktls_open(&r, _i);
    s = ktls_meet(&r, &p, SONIC_TLS_SERVER, NULL);
    ktls_swap(&p, s, 10);
    sonic_stream_free(s);
    rig_settle(&r);
    ck_assert_int_eq(ktls_peer_reads(&p, &c, 1), SSL_ERROR_ZERO_RETURN);
    ktls_leave(&p);

    s = ktls_meet(&r, &p, SONIC_TLS_CLIENT, NULL);
    sonic_stream_async_read(s, &c, 1, on_outcome, &o);
    rig_settle(&r);
    ktls_leave(&p);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, SONIC_ETLS_TRUNCATED);
    sonic_stream_free(s);
    ktls_close(&r);
}
END_TEST

/* The blocking twins, and a stream that is read after its bytes have come. */
START_TEST(blocking_twins)
{
    struct kit_ends e;
    char buf[16] = "";
    size_t n;

    ktls_open(&r, _i);
    ktls_connect(&r, &e, NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(sonic_stream_write(e.client, "twelve bytes", 12, &n),
                         0);
        ck_assert_uint_eq(n, 12);
        ck_assert_int_eq(sonic_stream_read_all(e.server, buf, 12, &n), 0);
        ck_assert_mem_eq(buf, "twelve bytes", 12);
    }
    kit_end(&e);
    ktls_close(&r);
}
END_TEST

/* ---- callbacks that free the stream ------------------------------------ */

static void
on_free(sonic_stream *s, int err, size_t n, void *ud)
{
    unsigned *calls = ud;

    (void)err;
    (void)n;
    ++*calls;
    sonic_stream_free(s);
}

static void
on_lent_free(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    (void)data;
    on_free(s, err, len, ud);
}

START_TEST(freed_in_callbacks)
{
    for (int how = 0; how < 5; how++) {
        struct kit_ends e;
        unsigned calls = 0;
        char c;

        ktls_open(&r, _i);
        ktls_connect(&r, &e, NULL);
        if (how == 0)
            sonic_stream_async_read(e.server, &c, 1, on_free, &calls);
        else if (how == 1)
            sonic_stream_lend(e.server, 1, 0, on_lent_free, &calls);
        else if (how == 2)
            sonic_stream_async_write(e.server, "x", 1, on_free, &calls);
        else if (how == 3)
            sonic_stream_async_drain(e.server, on_free, &calls);
        else /* close_notify comes */
            sonic_stream_async_read(e.server, &c, 1, on_free, &calls);
        if (how == 4)
            ck_assert_int_eq(sonic_stream_shutdown(e.client), 0);
        else
            ck_assert_int_eq(sonic_stream_send(e.client, "abc", 3), 0);
        RIG_UNTIL(&r, calls == 1);
        rig_settle(&r);
        ck_assert_uint_eq(calls, 1);
        sonic_stream_free(e.client);
        ktls_close(&r);
    }
}
END_TEST

/* ---- spinning ---------------------------------------------------------- */

struct rally {
    unsigned left;
    int err;
};

static void
on_ball(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct rally *b = ud;

    if (err < 0 || --b->left == 0) {
        b->err = err;
        sonic_io_stop(sonic_stream_io(s));
        return;
    }
    ck_assert_int_ge(sonic_stream_send(s, data, len), 0);
    sonic_stream_consume(s, len);
    sonic_stream_lend(s, 1, 0, on_ball, ud);
}

START_TEST(spins)
{
    struct kit_ends e;
    struct rally b = {200, 1};

    ktls_open(&r, _i);
    ktls_connect(&r, &e, NULL);
    sonic_stream_lend(e.server, 1, 0, on_ball, &b);
    sonic_stream_lend(e.client, 1, 0, on_ball, &b);
    ck_assert_int_eq(sonic_stream_send(e.client, "ball", 4), 0);
    ck_assert_int_ge(sonic_io_run_spin(r.io), 0);
    ck_assert_uint_eq(b.left, 0);
    ck_assert_int_eq(b.err, 0);
    kit_end(&e);
    ktls_close(&r);
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("ktls_end");
    TCase *tc = tcase_create("ktls_end");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, kit_open, kit_close);
    ktls_add(tc, shutdown_loses_nothing);
    ktls_add(tc, complete_is_complete);
    ktls_add(tc, both_kinds_of_end);
    ktls_add(tc, blocking_twins);
    ktls_add(tc, freed_in_callbacks);
    ktls_add(tc, spins);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return rig_main(suite());
}
