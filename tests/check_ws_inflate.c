/* Compressed messages that come in: RFC 7692's examples byte for byte, every
 * split, what is wrong, what is too much, and what it costs. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/ws_deflate.h"
#include "websocket/session.h"

enum { MIB = 1 << 20 };

static struct deflate_world d;

static void
serve(int backend, const sonic_ws_handler *handler)
{
    dw_open(&d, backend);
    d.opt.peer_takeover = d.opt.takeover = SONIC_ON;
    dw_serve(&d, handler, DEFLATE);
    ck_assert_str_eq(d.value, DEFLATE);
}

/* ---- examples --------------------------------------------------------- */

/* RFC 7692 7.2.3.  Each is "Hello", and all use one context. */
static const struct {
    const char *bytes;
    size_t n;
} hellos[] = {
    {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7},                         /* .1 */
    {"\xf2\x00\x11\x00\x00", 5},                                 /* .2 */
    {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11},        /* .3 */
    {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8},                     /* .4 */
    {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13} /* .5 */
};
enum { HELLOS = sizeof hellos / sizeof *hellos };

START_TEST(examples_of_the_rfc)
{
    serve(_i, &ws_log_handler);
    for (int i = 0; i < HELLOS; i++)
        dw_say(&d, 0xc1, hellos[i].bytes, hellos[i].n);
    dw_say(&d, 0x41, "\xf2\x48\xcd", 3); /* .1, in fragments */
    dw_say(&d, 0x80, "\xc9\xc9\x07\x00", 4);
    dw_say(&d, 0xc1, "\x00", 1); /* .6 */
    dw_say(&d, 0x81, "plain", 5);
    ws_until(&d.w, "text:plain ");
    ck_assert_str_eq(d.w.log.text,
                     "open text:Hello text:Hello text:Hello text:Hello "
                     "text:Hello text:Hello text text:plain ");
    dw_close(&d);
}
END_TEST

/* Three frames cut anywhere, an empty one and a ping between them. */
START_TEST(every_split)
{
    for (int i = 0; i < HELLOS; i++) {
        size_t n = hellos[i].n;

        if (i == 1)
            continue; /* means something behind the first only */
        for (size_t a = 0; a <= n; a++)
            for (size_t b = a; b <= n; b++) {
                serve(_i % 2, _i < 2 ? &ws_log_handler : &ws_quiet_handler);
                if (_i >= 2)
                    ck_assert_int_eq(sonic_ws_set_handler(
                                         d.w.log.ws, &ws_log_handler, &d.w.log),
                                     0);
                dw_say(&d, 0x41, hellos[i].bytes, a);
                dw_say(&d, 0x00, hellos[i].bytes + a, b - a);
                dw_say(&d, 0x89, "x", 1);
                dw_say(&d, 0x00, "", 0);
                dw_say(&d, 0x80, hellos[i].bytes + b, n - b);
                ws_until(&d.w, "text:Hello ");
                ck_assert_str_eq(d.w.log.text, "open ping:x text:Hello ");
                dw_close(&d);
            }
    }
}
END_TEST

START_TEST(one_byte_at_a_time)
{
    uint8_t out[4096], masked[64];
    char json[2000];
    z_stream z;
    size_t n;

    dw_deflater(&z, 9, 15, 8, Z_DEFAULT_STRATEGY);
    dw_json(json, sizeof json, 1);
    serve(_i, &ws_log_handler);
    for (int round = 0; round < 3; round++) {
        n = dw_deflate(&z, json, sizeof json, out, sizeof out, true);
        for (size_t i = 0; i < n; i++) {
            uint8_t head =
                (uint8_t)((i == 0 ? 0x41 : 0) | (i == n - 1 ? 0x80 : 0));

            masked[0] = head;
            masked[1] = 0x81;
            memset(masked + 2, 0, 4);
            masked[6] = out[i];
            for (int j = 0; j < 7; j++)
                ws_say(&d.w, masked + j, 1);
        }
    }
    ws_until(&d.w, "text:2000 bytes text:2000 bytes text:2000 bytes ");
    deflateEnd(&z);
    dw_close(&d);
}
END_TEST

START_TEST(every_setting)
{
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FILTERED,
                                     Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
    static uint8_t out[65536];
    char json[9000];
    z_stream z;

    dw_json(json, sizeof json, 7);
    for (int bits = 9; bits <= 15; bits++) {
        serve(_i, &ws_log_handler);
        for (int memory = 1; memory <= 9; memory++)
            for (int s = 0; s < 5; s++) {
                size_t n;

                dw_deflater(&z, 1 + (memory + s) % 9, bits, memory,
                            strategies[s]);
                for (size_t len = 1; len < sizeof json; len = 5 * len + 1) {
                    d.w.log.text[0] = '\0';
                    n = dw_deflate(&z, json, len, out, sizeof out, true);
                    dw_say(&d, 0xc1, out, n);
                    ws_until(&d.w, len > 64 ? "bytes " : " ");
                }
                deflateEnd(&z);
            }
        dw_close(&d);
    }
}
END_TEST

/* ---- what is wrong ---------------------------------------------------- */

START_TEST(wrong_bytes)
{
    static const struct {
        const char *bytes;
        size_t n;
        unsigned code;
    } c[] = {
        {"\x07", 1, 1007},                     /* a block of type 3 */
        {"\xff\xff\xff\xff", 4, 1007},         /* the same */
        {"\x00\x05\x00\x05\x00", 5, 1007},     /* length, not complemented */
        {"\xf2\x48\xcd\xc9", 4, 1007},         /* cut in a block */
        {"\x00\x05\x00\xfa\xff\x48", 6, 1007}, /* cut in a stored one */
        {"\x02\x01", 2, 1007},                 /* a distance too far back */
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\xff", 8, 1007}, /* behind the last */
        {"\xf2\x48\xcd\xc9\xc9\x07\x00\x00", 8, 1007}, /* one byte too many */
        {"\x02\xfe\x3f\x00", 4, 1007}, /* not UTF-8: a lone 0xff or so */
    };

    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        serve(_i % 2, _i < 2 ? &ws_log_handler : &ws_chunk_handler);
        dw_say(&d, 0xc1, c[i].bytes, c[i].n);
        dw_expect_close(&d, c[i].code);
        dw_close(&d);
    }
}
END_TEST

/* Those that make mistakes which do no harm are understood. */
START_TEST(lenient)
{
    serve(_i, &ws_log_handler);
    dw_say(&d, 0xc1, "", 0); /* nothing, for nothing */
    dw_say(&d, 0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00", 7); /* final, no 00 */
    dw_say(&d, 0xc1, "\xf2\x00\x11\x00\x00", 5); /* and the window stays */
    dw_say(&d, 0xc1, "\x01", 1); /* final, with what was left out */
    dw_say(&d, 0xc1, "\xf2\x00\x11\x00\x00", 5);
    ws_until(&d.w, "text text:Hello text:Hello text text:Hello ");
    dw_close(&d);
}
END_TEST

START_TEST(rsv1_in_the_wrong_place)
{
    dw_open(&d, _i);
    d.opt.on = SONIC_OFF;
    dw_serve(&d, &ws_log_handler, DEFLATE);
    ck_assert_str_eq(d.value, "");
    ck_assert_ptr_null(sonic_ws_extensions(d.w.log.ws));
    dw_say(&d, 0xc1, hellos[0].bytes, hellos[0].n);
    dw_expect_close(&d, 1002);
    dw_close(&d);
    serve(_i, &ws_log_handler);
    dw_say(&d, 0xc9, "", 0);
    dw_expect_close(&d, 1002);
    dw_close(&d);
    serve(_i, &ws_log_handler);
    dw_say(&d, 0x41, hellos[0].bytes, 3);
    dw_say(&d, 0xc0, hellos[0].bytes + 3, 4);
    dw_expect_close(&d, 1002);
    dw_close(&d);
    serve(_i, &ws_log_handler);
    dw_say(&d, 0xa1, "x", 1); /* RSV2 is nobody's */
    dw_expect_close(&d, 1002);
    dw_close(&d);
}
END_TEST

/* Text is checked as it comes out: the rest is not waited for. */
START_TEST(text_fails_at_once)
{
    static const char *const bad[] = {"ok \xff", "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80", "\xc0\xaf"};
    uint8_t out[256];
    z_stream z;
    size_t n;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        dw_deflater(&z, 1, 15, 8, Z_DEFAULT_STRATEGY);
        n = dw_deflate(&z, bad[i], strlen(bad[i]), out, sizeof out, false);
        serve(_i % 2, _i < 2 ? &ws_log_handler : &ws_chunk_handler);
        dw_say(&d, 0x41, out, n);
        dw_expect_close(&d, 1007);
        dw_close(&d);
        serve(_i % 2, &ws_log_handler);
        dw_say(&d, 0xc2, out, n - 4); /* binary may be anything */
        ws_until(&d.w, " ");
        dw_close(&d);
        deflateEnd(&z);
    }
}
END_TEST

START_TEST(characters_across_fragments)
{
    static const char text[] = "\xce\xba\xe1\xbd\xb9\xf0\x9f\x98\x80";
    uint8_t out[256];
    z_stream z;

    for (size_t cut = 0; cut < sizeof text; cut++) {
        size_t n;

        dw_deflater(&z, 1, 15, 8, Z_DEFAULT_STRATEGY);
        serve(_i, &ws_log_handler);
        n = dw_deflate(&z, text, cut, out, sizeof out, false);
        dw_say(&d, 0x41, out, n);
        n = dw_deflate(&z, text + cut, sizeof text - 1 - cut, out, sizeof out,
                       false);
        dw_say(&d, 0x00, out, n);
        dw_say(&d, 0x80, "\x00", 1);
        ws_until(&d.w, "text:\xce\xba\xe1\xbd\xb9\xf0\x9f\x98\x80 ");
        deflateEnd(&z);
        dw_close(&d);
    }
    /* and one that the message ends in */
    dw_deflater(&z, 1, 15, 8, Z_DEFAULT_STRATEGY);
    serve(_i, &ws_log_handler);
    dw_say(&d, 0xc1, out, dw_deflate(&z, text, 6, out, sizeof out, true));
    dw_expect_close(&d, 1007);
    deflateEnd(&z);
    dw_close(&d);
}
END_TEST

/* ---- what is too much ------------------------------------------------- */

/* n zeros, in as few bytes as can be. */
static size_t
bomb(uint8_t *out, size_t cap, size_t n)
{
    static uint8_t zeros[MIB];
    size_t have = 0;
    z_stream z;

    dw_deflater(&z, 9, 15, 9, Z_DEFAULT_STRATEGY);
    z.next_out = out;
    z.avail_out = (uInt)cap;
    while (n > 0) {
        size_t k = n < sizeof zeros ? n : sizeof zeros;

        z.next_in = zeros;
        z.avail_in = (uInt)k;
        deflate(&z, k == n ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        n -= k;
    }
    ck_assert_uint_gt(z.avail_out, 0);
    have = cap - z.avail_out;
    deflateEnd(&z);
    return have - 4;
}

static uint8_t wire[256 * 1024];

static void
say_bomb(size_t n, size_t fragment)
{
    for (size_t at = 0; at < n; at += fragment) {
        size_t k = n - at < fragment ? n - at : fragment;

        dw_say(&d, (uint8_t)((at == 0 ? 0x42 : 0) | (at + k == n ? 0x80 : 0)),
               wire + at, k);
    }
}

START_TEST(bombs)
{
    size_t n = bomb(wire, sizeof wire, 100 * MIB);
    sonic_io_stats stats;

    ck_assert_uint_lt(n, 120 * 1024);
    for (int how = 0; how < 4; how++) {
        serve(_i, how / 2 ? &ws_chunk_handler : &ws_log_handler);
        if (how / 2)
            ck_assert_int_eq(
                sonic_ws_set_handler(d.w.log.ws, &ws_quiet_handler, &d.w.log),
                0);
        ck_assert_int_eq(
            sonic_ws_set_handler(d.w.log.ws,
                                 how / 2 ? &ws_chunk_handler : &ws_log_handler,
                                 &d.w.log),
            0);
        ck_assert_int_eq(sonic_ws_set_max_message(d.w.log.ws, MIB), 0);
        say_bomb(n, how % 2 ? 1000 : n);
        dw_expect_close(&d, 1009);
        sonic_io_get_stats(d.w.io, &stats);
        ck_assert_uint_lt(stats.buffer_bytes, 5 * MIB);
        dw_close(&d);
    }
}
END_TEST

/* The limit is of what the message is, not of what it was on the wire. */
START_TEST(limit_is_exact)
{
    static const size_t sizes[] = {1,      1000,   65536, 262143,
                                   262144, 262145, 524288};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t over = 0; over < 2; over++) {
            size_t n = bomb(wire, sizeof wire, sizes[i] + over);
            char text[64];

            serve(_i, &ws_log_handler);
            ck_assert_int_eq(sonic_ws_set_max_message(d.w.log.ws, sizes[i]), 0);
            dw_say(&d, 0xc2, wire, n);
            if (over) {
                dw_expect_close(&d, 1009);
            } else {
                snprintf(text, sizeof text, "binary:%zu bytes ", sizes[i]);
                ws_until(&d.w, sizes[i] > 64 ? text : " ");
                ck_assert_int_eq(sonic_ws_state(d.w.log.ws), SONIC_WS_OPEN);
            }
            dw_close(&d);
        }
}
END_TEST

/* Blocks that hold nothing end some time, too. */
START_TEST(endless_nothing)
{
    memset(wire, 0, sizeof wire);
    for (size_t i = 0; i + 5 <= sizeof wire; i += 5)
        memcpy(wire + i, "\0\0\0\xff\xff", 5);
    serve(_i, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_set_max_message(d.w.log.ws, 1000), 0);
    dw_say(&d, 0x42, wire, 5 * 2000);
    dw_say(&d, 0x00, wire, 5 * 2000);
    dw_expect_close(&d, 1009);
    dw_close(&d);
}
END_TEST

/* ---- what it costs ---------------------------------------------------- */

START_TEST(many_tiny_fragments)
{
    sonic_io_stats stats;
    size_t allocs = 0;

    serve(_i, &ws_log_handler);
    dw_say(&d, 0x42, "", 0);
    for (int i = 0; i < 20000; i++) {
        dw_say(&d, 0x00,
               "\x00\x01\x00\xfe\xff"
               "a",
               6);
        if (i == 100)
            allocs = d.w.allocs;
    }
    ck_assert_uint_eq(d.w.allocs, allocs);
    dw_say(&d, 0x80, "\x00", 1);
    ws_until(&d.w, "binary:20000 bytes ");
    sonic_io_get_stats(d.w.io, &stats);
    ck_assert_uint_eq(stats.buffers_lent, 0);
    dw_close(&d);
}
END_TEST

START_TEST(nothing_is_allocated_nor_kept)
{
    static const char *const offers[] = {DEFLATE, TAKEOVERS_OFF};
    sonic_io_stats stats;
    size_t allocs = 0, live = 0;
    uint8_t out[4096];
    char json[3000];
    z_stream z;

    dw_json(json, sizeof json, 3);
    for (int o = 0; o < 2; o++) {
        dw_deflater(&z, 6, 15, 8, Z_DEFAULT_STRATEGY);
        dw_open(&d, _i);
        d.opt.peer_takeover = SONIC_ON;
        dw_serve(&d, &ws_log_handler, offers[o]);
        ck_assert_ptr_null(d.w.log.ws->codec); /* made when it is needed */
        for (int i = 0; i < 200; i++) {
            size_t n = dw_deflate(&z, json, sizeof json, out, sizeof out, true);

            d.w.log.text[0] = '\0';
            dw_say(&d, 0x41, out, n / 2);
            dw_say(&d, 0x80, out + n / 2, n - n / 2);
            ws_until(&d.w, "text:3000 bytes ");
            if (o == 1)
                deflateReset(&z);
            if (i == 10) {
                allocs = d.w.allocs;
                live = d.w.live;
            }
        }
        ck_assert_uint_eq(d.w.allocs, allocs);
        ck_assert_uint_eq(d.w.live, live);
        sonic_io_get_stats(d.w.io, &stats);
        ck_assert_uint_eq(stats.buffers_lent, 0);
        ck_assert(o == 0 ? d.w.log.ws->codec != NULL
                         : d.w.log.ws->codec == NULL);
        ck_assert_uint_eq(sizeof(struct sonic_ws), 104);
        deflateEnd(&z);
        dw_close(&d);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ws_inflate");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, examples_of_the_rfc, 0, 2);
    tcase_add_loop_test(tc, every_split, 0, 4);
    tcase_add_loop_test(tc, one_byte_at_a_time, 0, 2);
    tcase_add_loop_test(tc, every_setting, 0, 2);
    tcase_add_loop_test(tc, wrong_bytes, 0, 4);
    tcase_add_loop_test(tc, lenient, 0, 2);
    tcase_add_loop_test(tc, rsv1_in_the_wrong_place, 0, 2);
    tcase_add_loop_test(tc, text_fails_at_once, 0, 4);
    tcase_add_loop_test(tc, characters_across_fragments, 0, 2);
    tcase_add_loop_test(tc, bombs, 0, 2);
    tcase_add_loop_test(tc, limit_is_exact, 0, 2);
    tcase_add_loop_test(tc, endless_nothing, 0, 2);
    tcase_add_loop_test(tc, many_tiny_fragments, 0, 2);
    tcase_add_loop_test(tc, nothing_is_allocated_nor_kept, 0, 2);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
