/* Compressed messages, and callbacks that pause, go on and end everything in
 * the middle of them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/ws_deflate.h"
#include "websocket/session.h"

enum { MIB = 1 << 20, LONG = 3 * MIB + 17 };

static struct deflate_world d;
static uint8_t wire[64 * 1024], into[LONG];
static size_t n_wire;

/* LONG bytes that compress well, and are not all the same. */
static void
make_wire(void)
{
    z_stream z;

    for (size_t i = 0; i < LONG; i++)
        into[i] = (uint8_t)('a' + i / 1000 % 26);
    dw_deflater(&z, 9, 15, 9, Z_DEFAULT_STRATEGY);
    n_wire = dw_deflate(&z, into, LONG, wire, sizeof wire, true);
    deflateEnd(&z);
}

static void
serve(int i, const sonic_ws_handler *handler)
{
    dw_open(&d, i & 1);
    d.opt.peer_takeover = i & 2 ? SONIC_ON : SONIC_OFF;
    dw_serve(&d, handler, DEFLATE);
}
enum { WAYS = 4 };

/* What has come, checked byte by byte. */
struct got {
    size_t n;
    unsigned parts, messages;
    bool pausing, reading;
};

static struct got got;

static void
take(const sonic_ws_message *m)
{
    ck_assert_int_eq(m->opcode, SONIC_WS_TEXT);
    ck_assert_int_eq(m->first, got.n == 0);
    for (size_t i = 0; i < m->len; i += 97)
        ck_assert_uint_eq(m->data[i], 'a' + (got.n + i) / 1000 % 26);
    got.n += m->len;
    got.parts++;
    if (!m->last)
        return;
    ck_assert_uint_eq(got.n, LONG);
    got.n = 0;
    got.messages++;
}

static void
on_part(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ud;
    take(m);
    if (got.pausing)
        sonic_ws_pause(ws);
}

static void
on_open(sonic_ws *ws, void *ud)
{
    ((struct ws_log *)ud)->ws = ws;
}

static const sonic_ws_handler parts = {SONIC_WS_HANDLER_INIT,
                                       .on_open = on_open, .on_chunk = on_part};
static const sonic_ws_handler quiet = {SONIC_WS_HANDLER_INIT,
                                       .on_open = on_open};

static void
turn(void)
{
    sonic_io_run_one_for(d.w.io, 1000000);
}

/* Nothing is said while it is paused, all of it when it goes on; and what is
 * not taken stays where it was received. */
START_TEST(paused_after_each_part)
{
    sonic_io_stats stats;
    unsigned before;

    make_wire();
    memset(&got, 0, sizeof got);
    serve(_i, &parts);
    got.pausing = true;
    for (int round = 0; round < 2; round++) {
        dw_say(&d, 0x41, wire, n_wire / 2);
        dw_say(&d, 0x80, wire + n_wire / 2, n_wire - n_wire / 2);
        if (d.opt.peer_takeover == SONIC_ON)
            dw_say(&d, 0x89, "", 0);
        while (got.messages == (unsigned)round) {
            before = got.parts;
            for (int i = 0; i < 3; i++)
                turn();
            ck_assert_uint_le(got.parts, before + 1);
            sonic_io_get_stats(d.w.io, &stats);
            ck_assert_uint_le(stats.buffers_lent, 1); /* the stream's */
            sonic_ws_resume(d.w.log.ws);
        }
        if (d.opt.peer_takeover == SONIC_ON)
            break; /* the peer's zlib does not go on from there */
    }
    ck_assert_uint_gt(got.parts, 10);
    dw_close(&d);
}
END_TEST

static void
on_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)ud;
    ck_assert_int_eq(err, 0);
    got.reading = false;
    take(m);
}

/* Each kind of read operation, one by one. */
START_TEST(read_operations)
{
    make_wire();
    for (int kind = 0; kind < 4; kind++) {
        memset(&got, 0, sizeof got);
        serve(_i, &quiet);
        dw_say(&d, 0x41, wire, 100);
        dw_say(&d, 0x80, wire + 100, n_wire - 100);
        while (got.messages == 0) {
            if (!got.reading) {
                got.reading = true;
                if (kind == 0 || (kind == 3 && got.parts >= 3))
                    sonic_ws_async_read(d.w.log.ws, on_read, NULL);
                else if (kind == 1)
                    sonic_ws_async_read_into(d.w.log.ws, into, sizeof into,
                                             on_read, NULL);
                else
                    sonic_ws_async_read_chunk(d.w.log.ws, on_read, NULL);
            }
            turn();
        }
        ck_assert_uint_eq(got.parts == 1, kind < 2);
        dw_close(&d);
    }
}
END_TEST

static void
on_failed(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    ck_assert_ptr_null(m);
    *(int *)ud = err;
}

START_TEST(read_into_too_little)
{
    int err = 0;

    make_wire();
    serve(_i, &ws_quiet_handler);
    sonic_ws_async_read_into(d.w.log.ws, into, MIB, on_failed, &err);
    dw_say(&d, 0xc1, wire, n_wire);
    dw_expect_close(&d, 1009);
    ck_assert_int_eq(err, SONIC_EWS_TOOBIG);
    dw_close(&d);
}
END_TEST

/* ---- ends ------------------------------------------------------------- */

static void
do_terminate(sonic_ws *ws)
{
    sonic_ws_terminate(ws);
}

static void
do_free(sonic_ws *ws)
{
    sonic_ws_free(ws);
}

static void
do_close(sonic_ws *ws)
{
    sonic_ws_close(ws, 1000, NULL);
}

static void
do_free_server(sonic_ws *ws)
{
    (void)ws;
    sonic_ws_server_free(d.w.server);
    d.w.server = NULL;
}

static void
do_quiet(sonic_ws *ws)
{
    ck_assert_int_eq(sonic_ws_set_handler(ws, &ws_quiet_handler, &d.w.log), 0);
}

static void
do_send(sonic_ws *ws)
{
    ck_assert_int_ge(sonic_ws_send(ws, SONIC_WS_TEXT, into, 5000), 0);
    ck_assert_int_ge(sonic_ws_send_part(ws, SONIC_WS_TEXT, into, 500, false),
                     0);
    sonic_ws_terminate(ws);
}

static void
do_close_io(sonic_ws *ws)
{
    sonic_io_close(sonic_ws_io(ws));
}

static void (*const acts[])(sonic_ws *ws) = {do_terminate,   do_free,  do_close,
                                             do_free_server, do_quiet, do_send,
                                             do_close_io};
enum { ACTS = sizeof acts / sizeof *acts };

/* In the first part of many, in a message, in a control frame between two
 * fragments; the world looks for what is left when it is closed. */
START_TEST(anything_in_any_callback)
{
    static const char *const at[] = {"text", "ping"};

    make_wire();
    for (int act = 0; act < ACTS; act++)
        for (int how = 0; how < 4; how++) {
            serve(_i, how / 2 ? &ws_chunk_handler : &ws_log_handler);
            d.w.log.act = acts[act];
            d.w.log.act_at = at[how % 2];
            dw_say(&d, 0x41, wire, n_wire / 2);
            if (how % 2)
                dw_say(&d, 0x89, "p", 1);
            if (d.w.log.act_at != NULL)
                dw_say(&d, 0x80, wire + n_wire / 2, n_wire - n_wire / 2);
            for (int i = 0; i < 1000 && d.w.log.act_at != NULL; i++)
                turn();
            ck_assert_ptr_null(d.w.log.act_at);
            for (int i = 0; i < 5; i++)
                turn();
            dw_close(&d);
        }
}
END_TEST

/* The connection breaks in the middle of messages both ways. */
START_TEST(broken_in_the_middle)
{
    make_wire();
    for (int how = 0; how < 2; how++) {
        serve(_i, &ws_log_handler);
        dw_say(&d, 0x41, wire, n_wire / 2);
        ck_assert_int_ge(
            sonic_ws_send_part(d.w.log.ws, SONIC_WS_TEXT, into, 500, false), 0);
        if (how == 0)
            ck_assert_int_eq(shutdown(d.w.fd, SHUT_WR), 0);
        else
            sonic_ws_close(d.w.log.ws, 1001, NULL);
        if (how == 0)
            ws_until(&d.w, "close:1006 ");
        dw_close(&d);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ws_deflate_life");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, paused_after_each_part, 0, WAYS);
    tcase_add_loop_test(tc, read_operations, 0, WAYS);
    tcase_add_loop_test(tc, read_into_too_little, 0, WAYS);
    tcase_add_loop_test(tc, anything_in_any_callback, 0, WAYS);
    tcase_add_loop_test(tc, broken_in_the_middle, 0, WAYS);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
