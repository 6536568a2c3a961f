/* Compressed messages that go out, what was agreed on, and callbacks that end
 * everything in the middle of it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/ws_deflate.h"
#include "websocket/session.h"

static struct deflate_world d;
static uint8_t wire[256 * 1024], plain[256 * 1024];
static char json[200000];

/* One frame, of the first byte expected; its payload inflated, or as it is. */
static size_t
hear(uint8_t head, z_stream *z)
{
    size_t n;

    ck_assert_uint_eq(dw_hear(&d, wire, sizeof wire, &n), head);
    if (z != NULL)
        return dw_inflate(z, wire, n, plain, sizeof plain, false);
    memcpy(plain, wire, n);
    return n;
}

static void
expect(uint8_t head, z_stream *z, const void *p, size_t n)
{
    ck_assert_uint_eq(hear(head, z), n);
    ck_assert_mem_eq(plain, p, n);
}

static void
on_sent(sonic_ws *ws, int err, void *ud)
{
    (void)ws;
    ck_assert_int_eq(err, 0);
    ++*(int *)ud;
}

/* Ours, of either role, with both takeovers or none. */
static void
begin(int i, bool takeover)
{
    const char *text = takeover ? DEFLATE : TAKEOVERS_OFF;

    dw_open(&d, i & 1);
    d.opt.takeover = d.opt.peer_takeover = takeover ? SONIC_ON : SONIC_OFF;
    d.opt.threshold = 1;
    if (i & 2)
        dw_client(&d, &ws_log_handler, text);
    else
        dw_serve(&d, &ws_log_handler, DEFLATE);
    ck_assert_str_eq(sonic_ws_extensions(d.w.log.ws), text);
    ck_assert(sonic_ws_deflate(d.w.log.ws).on);
    ck_assert_int_eq(sonic_ws_deflate(d.w.log.ws).takeover, takeover);
}
enum { ROLES = 4 };

/* ---- what goes out ---------------------------------------------------- */

START_TEST(hello_as_in_the_rfc)
{
    size_t n;

    begin(_i, true);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(sonic_ws_send(d.w.log.ws, SONIC_WS_TEXT, "Hello", 5),
                         0);
        ck_assert_uint_eq(dw_hear(&d, wire, sizeof wire, &n), 0xc1);
        if (i == 0)
            ck_assert_mem_eq(wire, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
        else
            ck_assert_mem_eq(wire, "\xf2\x00\x11\x00\x00", 5);
        ck_assert_uint_eq(n, i == 0 ? 7 : 5);
    }
    dw_close(&d);
}
END_TEST

START_TEST(every_way_to_send)
{
    static const size_t sizes[] = {1,    125,  126,   1000,
                                   4095, 8200, 70000, 200000};
    sonic_ws *ws;
    z_stream z;

    for (int takeover = 0; takeover < 2; takeover++) {
        begin(_i, takeover);
        ws = d.w.log.ws;
        dw_inflater(&z, 15);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t n = sizes[i];
            int sent = 0;
            uint8_t one = takeover || n > 1 ? 0xc1 : 0x81, *to;
            z_stream *how = one == 0xc1 ? &z : NULL;

            dw_json(json, n, (unsigned)i);
            ck_assert_int_eq(sonic_ws_send(ws, SONIC_WS_TEXT, json, n), 0);
            expect(one, how, json, n);
            sonic_ws_async_send(ws, SONIC_WS_TEXT, json, n, on_sent, &sent);
            expect(one, how, json, n);
            while (sent == 0)
                sonic_io_run_one_for(d.w.io, 1000000);
            ck_assert_int_eq(sent, 1);
            if (n <= 16000) {
                to = sonic_ws_reserve(ws, n);
                ck_assert_ptr_nonnull(to);
                memcpy(to, json, n);
                ck_assert_int_eq(sonic_ws_commit(ws, SONIC_WS_TEXT, n), 0);
                expect(one, how, json, n);
            }
            /* as it is */
            ck_assert_int_eq(
                sonic_ws_send(
                    ws, (enum sonic_ws_opcode)(SONIC_WS_TEXT | SONIC_WS_PLAIN),
                    json, n),
                0);
            expect(0x81, NULL, json, n);
        }
        inflateEnd(&z);
        dw_close(&d);
    }
}
END_TEST

/* Each part can be read when it comes; an empty last one ends it. */
START_TEST(parts)
{
    size_t n;
    z_stream z;

    for (int takeover = 0; takeover < 2; takeover++) {
        begin(_i, takeover);
        dw_inflater(&z, 15);
        dw_json(json, 9000, 5);
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 3; i++) {
                uint8_t head = i == 0 ? 0x41 : 0x00;

                ck_assert_int_eq(sonic_ws_send_part(d.w.log.ws, SONIC_WS_TEXT,
                                                    json + 3000 * i, 3000,
                                                    false),
                                 0);
                ck_assert_int_eq(
                    sonic_ws_send(d.w.log.ws, SONIC_WS_TEXT, "x", 1),
                    SONIC_EWS_FRAGMENT);
                ck_assert_uint_eq(dw_hear(&d, wire, sizeof wire, &n), head);
                z.next_in = wire;
                z.avail_in = (uInt)n;
                z.next_out = plain;
                z.avail_out = sizeof plain;
                inflate(&z, Z_SYNC_FLUSH);
                ck_assert_uint_eq(sizeof plain - z.avail_out, 3000);
                ck_assert_mem_eq(plain, json + 3000 * i, 3000);
            }
            ck_assert_int_eq(
                sonic_ws_send_part(d.w.log.ws, SONIC_WS_TEXT, "", 0, true), 0);
            expect(0x80, &z, "", 0);
            ck_assert_int_eq(
                sonic_ws_send(d.w.log.ws, SONIC_WS_TEXT, json, 500), 0);
            expect(0xc1, &z, json, 500);
            if (!takeover)
                ck_assert_ptr_null(d.w.log.ws->codec);
        }
        inflateEnd(&z);
        dw_close(&d);
    }
}
END_TEST

START_TEST(what_does_not_pay_is_plain)
{
    uint8_t noise[300];
    z_stream z;

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(rand() >> 7);
    begin(_i, false);
    dw_inflater(&z, 15);
    ck_assert_int_eq(
        sonic_ws_send(d.w.log.ws, SONIC_WS_BINARY, noise, sizeof noise), 0);
    expect(0x82, NULL, noise, sizeof noise);
    ck_assert_int_eq(sonic_ws_send(d.w.log.ws, SONIC_WS_BINARY, "", 0), 0);
    expect(0x82, NULL, "", 0);
    dw_close(&d);
    dw_open(&d, _i & 1);
    dw_serve(&d, &ws_log_handler, DEFLATE); /* the default threshold */
    memset(noise, 'a', sizeof noise);
    ck_assert_int_eq(sonic_ws_send(d.w.log.ws, SONIC_WS_TEXT, noise, 127), 0);
    expect(0x81, NULL, noise, 127);
    ck_assert_int_eq(sonic_ws_send(d.w.log.ws, SONIC_WS_TEXT, noise, 128), 0);
    expect(0xc1, &z, noise, 128);
    inflateEnd(&z);
    dw_close(&d);
}
END_TEST

/* Every setting, read by a zlib that has no larger window than what was agreed
 * on; and zlib's least is 9 where 8 is agreed. */
START_TEST(windows_suffice)
{
    struct sonic__ws_press *press;

    dw_open(&d, 0);
    press = sonic__ws_press_of(d.w.io);
    ck_assert_ptr_nonnull(press);
    dw_json(json, 3000, 1);
    memcpy(json + 1500, json, 1500);
    for (int bits = 8; bits <= 15; bits++)
        for (int memory = 1; memory <= 9; memory++)
            for (int level = 1; level <= 9; level += 5) {
                z_stream ours, z;

                ck_assert_int_eq(
                    sonic__deflate_open(&ours, press, level, memory, bits), 0);
                dw_inflater(&z, bits);
                for (int i = 0; i < 2; i++) {
                    size_t cap = sonic__deflate_bound(&ours, 3000), n;
                    ptrdiff_t r =
                        sonic__deflate_run(&ours, json, 3000, wire, cap, true);

                    ck_assert_int_gt(r, 0);
                    n = dw_inflate(&z, wire, (size_t)r, plain, sizeof plain,
                                   true);
                    ck_assert_uint_eq(n, 3000);
                    ck_assert_mem_eq(plain, json, n);
                }
                inflateEnd(&z);
                sonic__deflate_close(&ours, press);
            }
    dw_close(&d);
}
END_TEST

/* A stream is one block of memory, that of its window with it; a large one is
 * as many as zlib asks for. */
START_TEST(one_block_each)
{
    static const struct {
        int bits, memory;
        bool one;
    } cases[] = {{8, 1, true}, {12, 5, true}, {15, 8, false}};
    struct sonic__ws_press *press;

    dw_open(&d, 0);
    press = sonic__ws_press_of(d.w.io);
    ck_assert_ptr_nonnull(press);
    dw_json(json, 3000, 1);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        int bits = cases[i / 2].bits, memory = cases[i / 2].memory;
        struct sonic__ws_inflation m = {.any = true};
        z_stream in, out;
        size_t allocs = d.w.allocs, live = d.w.live;
        ptrdiff_t n;

        ck_assert_int_eq(sonic__deflate_open(&out, press, 1, memory, bits), 0);
        if (i % 2 == 1) /* the first was tried out */
            ck_assert_uint_eq(d.w.allocs == allocs + 1, cases[i / 2].one);
        allocs = d.w.allocs;
        ck_assert_int_eq(sonic__inflate_open(&in, press, bits), 0);
        if (i % 2 == 1)
            ck_assert_uint_eq(d.w.allocs, allocs + 1);
        allocs = d.w.allocs;
        for (int round = 0; round < 3; round++) {
            n = sonic__deflate_run(&out, json, 3000, wire, sizeof wire, false);
            ck_assert_int_gt(n, 0);
            in.next_in = wire;
            in.avail_in = (uInt)n;
            n = sonic__inflate_run(&m, &in, plain, sizeof plain);
            ck_assert_int_eq(n, 3000);
            ck_assert_mem_eq(plain, json, 3000);
        }
        ck_assert_uint_eq(d.w.allocs, allocs);
        sonic__inflate_close(&in, press);
        sonic__deflate_close(&out, press);
        sonic__deflate_close(&out, press); /* once more does nothing */
        ck_assert_uint_eq(d.w.live, live);
    }
    dw_close(&d);
}
END_TEST

/* A message that the queue has no room for was not sent: the next one does
 * not refer to it. */
START_TEST(refused_and_forgotten)
{
    z_stream z;

    dw_open(&d, _i);
    d.opt.takeover = SONIC_ON;
    d.w.opt.low_water = 1;
    d.w.opt.high_water = 2;
    d.w.opt.queue_limit = 3000;
    dw_serve(&d, &ws_log_handler, DEFLATE);
    dw_inflater(&z, 15);
    for (size_t i = 0; i < sizeof json; i++)
        json[i] = (char)(rand() >> 7);
    ck_assert_int_eq(sonic_ws_send(d.w.log.ws, SONIC_WS_BINARY, json, 100000),
                     SONIC_EQUEUE);
    ck_assert_int_ge(sonic_ws_send(d.w.log.ws, SONIC_WS_BINARY, json, 2000), 0);
    expect(0xc2, &z, json, 2000);
    inflateEnd(&z);
    dw_close(&d);
}
END_TEST

START_TEST(sending_does_not_allocate)
{
    size_t allocs = 0, n;
    z_stream z;

    for (int takeover = 0; takeover < 2; takeover++) {
        begin(_i, takeover);
        ck_assert_ptr_null(d.w.log.ws->codec); /* made when it is needed */
        dw_inflater(&z, 15);
        for (int i = 0; i < 100; i++) {
            n = i % 2 ? 1000 : 20000;
            dw_json(json, n, (unsigned)i);
            ck_assert_int_eq(sonic_ws_send(d.w.log.ws, SONIC_WS_TEXT, json, n),
                             0);
            expect(0xc1, &z, json, n);
            ck_assert_int_eq(
                sonic_ws_send_part(d.w.log.ws, SONIC_WS_TEXT, json, n, false),
                0);
            (void)dw_hear(&d, wire, sizeof wire, &n);
            ck_assert_int_eq(
                sonic_ws_send_part(d.w.log.ws, SONIC_WS_TEXT, "", 0, true), 0);
            ck_assert_uint_eq(wire[n - 1], 0xff); /* of a flush */
            wire[n] = 0;
            dw_inflate(&z, wire, n + 1, plain, sizeof plain, false);
            expect(0x80, NULL, "", 1);
            if (i == 5)
                allocs = d.w.allocs;
        }
        ck_assert_uint_eq(d.w.allocs, allocs);
        inflateEnd(&z);
        dw_close(&d);
    }
}
END_TEST

/* ---- what is agreed on ------------------------------------------------ */

START_TEST(client_offers)
{
    dw_open(&d, _i);
    dw_client(&d, &ws_log_handler, NULL);
    ck_assert_str_eq(d.value, DEFLATE "; client_max_window_bits");
    ck_assert_str_eq(d.w.log.text, "open ");
    ck_assert(!sonic_ws_deflate(d.w.log.ws).on);
    dw_close(&d);
    dw_open(&d, _i);
    d.opt.takeover = SONIC_OFF;
    d.opt.peer_takeover = SONIC_OFF;
    d.opt.window_bits = 10;
    d.opt.peer_window_bits = 11;
    dw_client(&d, &ws_log_handler,
              TAKEOVERS_OFF "; server_max_window_bits=\"11\"");
    ck_assert_str_eq(d.value, TAKEOVERS_OFF "; server_max_window_bits=11"
                                            "; client_max_window_bits=10");
    ck_assert_str_eq(d.w.log.text, "open ");
    ck_assert_uint_eq(sonic_ws_deflate(d.w.log.ws).window_bits, 10);
    ck_assert_uint_eq(sonic_ws_deflate(d.w.log.ws).peer_window_bits, 11);
    dw_close(&d);
    dw_open(&d, _i);
    d.opt.on = SONIC_OFF;
    dw_client(&d, &ws_log_handler, NULL);
    ck_assert_str_eq(d.value, "");
    dw_close(&d);
}
END_TEST

START_TEST(client_fails)
{
    static const char *const answers[] = {
        DEFLATE "; client_max_window_bits",
        DEFLATE "; server_max_window_bits",
        DEFLATE "; server_max_window_bits=7",
        DEFLATE "; server_max_window_bits=16",
        DEFLATE "; server_max_window_bits=08",
        DEFLATE "; server_max_window_bits=",
        DEFLATE "; client_max_window_bits=0",
        DEFLATE "; server_no_context_takeover; server_no_context_takeover",
        DEFLATE "; x=1",
        DEFLATE ", " DEFLATE,
        DEFLATE "\r\nSec-WebSocket-Extensions: " DEFLATE,
        "x-webkit-deflate-frame",
        DEFLATE ", x-other",
    };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        dw_open(&d, _i);
        dw_client(&d, &ws_log_handler, answers[i]);
        ws_until(&d.w, "close:1006 ");
        ck_assert_int_eq(d.w.log.why.error, SONIC_EWS_EXTENSION);
        ck_assert_int_eq(d.w.log.why.layer, SONIC_WS_LAYER_HANDSHAKE);
        dw_close(&d);
    }
}
END_TEST

/* A connection is what it agreed on, and no other one's is. */
START_TEST(each_its_own)
{
    sonic_ws *first, *second;
    int fds[3];

    dw_open(&d, _i);
    d.opt.takeover = SONIC_ON;
    dw_serve(&d, &ws_log_handler, DEFLATE);
    first = d.w.log.ws;
    fds[0] = d.w.fd;
    d.w.fd = -1; /* ws_serve would close it */
    dw_serve(&d, &ws_log_handler, DEFLATE "; server_no_context_takeover");
    second = d.w.log.ws;
    ck_assert(sonic_ws_deflate(first).takeover);
    ck_assert(!sonic_ws_deflate(second).takeover);
    ck_assert_int_eq(sonic_ws_set_max_message(second, 5), 0);
    ck_assert_uint_ne(first->config->rules.max_message, 5);
    ck_assert(sonic_ws_deflate(second).on);
    fds[1] = d.w.fd;
    d.w.fd = -1;
    dw_serve(&d, &ws_log_handler, DEFLATE "; server_no_context_takeover");
    ck_assert_uint_ne(d.w.log.ws->config->rules.max_message, 5);
    ck_assert_ptr_ne(d.w.log.ws->config, second->config);
    dw_say(&d, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    ws_until(&d.w, "text:Hello ");
    fds[2] = d.w.fd;
    d.w.fd = -1;
    dw_serve(&d, &ws_log_handler, "x-other");
    ck_assert(!sonic_ws_deflate(d.w.log.ws).on);
    dw_say(&d, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    dw_expect_close(&d, 1002);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    dw_close(&d);
}
END_TEST

START_TEST(connected_again_without)
{
    dw_open(&d, _i);
    dw_client(&d, &ws_log_handler, DEFLATE);
    dw_say(&d, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    ws_until(&d.w, "text:Hello ");
    sonic_ws_terminate(d.w.client);
    ws_until(&d.w, "close:1006 ");
    dw_client(&d, &ws_log_handler, NULL);
    ck_assert_ptr_null(sonic_ws_extensions(d.w.client));
    dw_say(&d, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    dw_expect_close(&d, 1002);
    dw_close(&d);
}
END_TEST

START_TEST(options_are_checked)
{
    static const struct {
        int level, memory, bits, peer;
    } bad[] = {{10, 0, 0, 0}, {-1, 0, 0, 0}, {0, 10, 0, 0}, {0, -1, 0, 0},
               {0, 0, 7, 0},  {0, 0, 16, 0}, {0, 0, 0, 7},  {0, 0, 0, 16}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sonic_ws *ws;

        dw_open(&d, _i);
        d.opt.level = bad[i].level;
        d.opt.memory_level = bad[i].memory;
        d.opt.window_bits = bad[i].bits;
        d.opt.peer_window_bits = bad[i].peer;
        ck_assert_int_eq(sonic_ws_new(d.w.io, &d.w.opt, NULL, NULL, &ws),
                         SONIC_EOPTION);
        dw_close(&d);
    }
    ck_assert(sonic_ws_can_deflate());
}
END_TEST

/* Frames come as they are: only to those that want them so. */
START_TEST(frames)
{
    dw_open(&d, _i);
    dw_serve(&d, &ws_frame_handler, DEFLATE);
    ck_assert_str_eq(d.value, "");
    dw_close(&d);
    dw_open(&d, _i);
    d.opt.on = SONIC_ON;
    dw_serve(&d, &ws_frame_handler, DEFLATE);
    ck_assert_str_eq(d.value, TAKEOVERS_OFF);
    dw_say(&d, 0xc1, "abc", 3); /* no deflate at all: nobody looks */
    ws_until(&d.w, "text:<>abc ");
    ck_assert_int_eq(
        sonic_ws_send_frame(d.w.log.ws, true, 0x40, SONIC_WS_TEXT, "xyz", 3),
        0);
    expect(0xc1, NULL, "xyz", 3);
    ck_assert_int_eq(sonic_ws_send_frame(d.w.log.ws, true, 0x40,
                                         SONIC_WS_CONTINUATION, "xyz", 3),
                     SONIC_EWS_RSV);
    ck_assert_int_eq(
        sonic_ws_send_frame(d.w.log.ws, true, 0x20, SONIC_WS_TEXT, "xyz", 3),
        SONIC_EWS_RSV);
    dw_close(&d);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ws_deflate");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, hello_as_in_the_rfc, 0, ROLES);
    tcase_add_loop_test(tc, every_way_to_send, 0, ROLES);
    tcase_add_loop_test(tc, parts, 0, ROLES);
    tcase_add_loop_test(tc, what_does_not_pay_is_plain, 0, ROLES);
    tcase_add_test(tc, windows_suffice);
    tcase_add_test(tc, one_block_each);
    tcase_add_loop_test(tc, refused_and_forgotten, 0, 2);
    tcase_add_loop_test(tc, sending_does_not_allocate, 0, ROLES);
    tcase_add_loop_test(tc, client_offers, 0, 2);
    tcase_add_loop_test(tc, client_fails, 0, 2);
    tcase_add_loop_test(tc, each_its_own, 0, 2);
    tcase_add_loop_test(tc, connected_again_without, 0, 2);
    tcase_add_loop_test(tc, options_are_checked, 0, 2);
    tcase_add_loop_test(tc, frames, 0, 2);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
