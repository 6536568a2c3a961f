/* One message to many connections: <sonicio/websocket_prepared.h>. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/ws_crowd.h"

/* ---- uncompressed ----------------------------------------------------- */

START_TEST(same_bytes_as_send)
{
    static const size_t sizes[] = {0,   1,   125,   126,   127,  255,
                                   256, 512, 32000, 65535, 65536};

    crowd_open(_i, NULL);
    crowd_join(NULL);
    crowd_join(NULL);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unsigned opcode = k % 2 ? SONIC_WS_TEXT : SONIC_WS_BINARY;
        sonic_ws_prepared *p = crowd_prepare(opcode, crowd_text, sizes[k]);
        const uint8_t *data;
        size_t n;

        data = sonic_ws_prepared_data(p, &n);
        ck_assert_uint_eq(n, sizes[k]);
        ck_assert_mem_eq(data, crowd_text, n);
        ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[0], p), 0);
        ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[1], p), 0);
        ck_assert_ptr_eq(sonic_ws_prepared_hold(p), p);
        sonic_ws_prepared_free(p);
        sonic_ws_prepared_free(p);
        rig_settle(&crowd.rig);
        crowd_expect(crowd.fd[0], (uint8_t)(0x80 | opcode), crowd_text,
                     sizes[k]);
        crowd_expect(crowd.fd[1], (uint8_t)(0x80 | opcode), crowd_text,
                     sizes[k]);
        rig_settle(&crowd.rig);
        ck_assert_uint_eq(crowd_held(), 0);
    }
    sonic_ws_prepared_free(NULL);
    crowd_close();
}
END_TEST

START_TEST(in_order_with_other_sends)
{
    sonic_ws_prepared *p;

    crowd_open(_i, NULL);
    crowd_join(NULL);
    p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 1000);
    ck_assert_int_eq(sonic_ws_send(crowd.ws[0], SONIC_WS_TEXT, "a", 1), 0);
    ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[0], p), 0);
    ck_assert_int_eq(sonic_ws_ping(crowd.ws[0], "b", 1), 0);
    ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[0], p), 0);
    ck_assert_int_eq(
        sonic_ws_send_part(crowd.ws[0], SONIC_WS_TEXT, "c", 1, false), 0);
    ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[0], p),
                     SONIC_EWS_FRAGMENT);
    ck_assert_int_eq(
        sonic_ws_send_part(crowd.ws[0], SONIC_WS_TEXT, "d", 1, true), 0);
    ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[0], p), 0);
    ck_assert_int_eq(sonic_ws_close(crowd.ws[0], 1000, NULL), 0);
    ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[0], p), SONIC_ESTATE);
    sonic_ws_prepared_free(p);
    rig_settle(&crowd.rig);
    crowd_expect(crowd.fd[0], 0x81, "a", 1);
    crowd_expect(crowd.fd[0], 0x81, crowd_text, 1000);
    crowd_expect(crowd.fd[0], 0x89, "b", 1);
    crowd_expect(crowd.fd[0], 0x81, crowd_text, 1000);
    crowd_expect(crowd.fd[0], 0x01, "c", 1);
    crowd_expect(crowd.fd[0], 0x80, "d", 1);
    crowd_expect(crowd.fd[0], 0x81, crowd_text, 1000);
    crowd_expect(crowd.fd[0], 0x88, "\x03\xe8", 2);
    crowd_close();
}
END_TEST

START_TEST(refusals)
{
    static const unsigned bad[] = {0, 3, 8, 9, 10, 0x11, 0x81};
    sonic_ws_prepared *p, *none;
    sonic_ws *client;
    sonic_io *other;

    crowd_open(_i, NULL);
    crowd_join(NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(sonic_ws_prepared_new(crowd.rig.io,
                                               (enum sonic_ws_opcode)bad[i],
                                               crowd_text, 1, &none),
                         SONIC_EWS_OPCODE);
    ck_assert_int_eq(sonic_ws_prepared_new(crowd.rig.io, SONIC_WS_TEXT,
                                           crowd_text, ((size_t)1 << 30) + 1,
                                           &none),
                     SONIC_ETOOBIG);
    p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 1000);
    ck_assert_int_eq(sonic_ws_new(crowd.rig.io, NULL, NULL, NULL, &client), 0);
    ck_assert_int_eq(sonic_ws_send_prepared(client, p), SONIC_ESTATE);
    sonic_ws_free(client);
    ck_assert_int_eq(sonic_io_new(&other, NULL), 0);
    ck_assert_int_eq(sonic_ws_prepared_new(other, SONIC_WS_TEXT, "x", 1, &none),
                     0);
    ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[0], none), -EINVAL);
    ck_assert_int_eq(
        sonic_ws_broadcast(crowd.server, none, SONIC_WS_SLOW_QUEUE, NULL),
        -EINVAL);
    sonic_io_free(other); /* none goes with it */
    ck_assert_uint_eq(crowd_held(), 1);
    sonic_io_close(crowd.rig.io);
    ck_assert_int_eq(
        sonic_ws_prepared_new(crowd.rig.io, SONIC_WS_TEXT, "x", 1, &none),
        SONIC_ECLOSED);
    crowd_close(); /* p goes with it */
}
END_TEST

/* A client masks each with a key of its own. */
START_TEST(clients_mask)
{
    struct ws_world w;
    sonic_ws_prepared *p;
    uint8_t frame[2][2 + 4 + 5];

    ws_world_open(&w, _i);
    ws_client_open(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_prepared_new(w.io, SONIC_WS_TEXT, "hello", 5, &p),
                     0);
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(sonic_ws_send_prepared(w.client, p), 0);
        ck_assert_uint_eq(ws_hear(&w, frame[k], sizeof *frame), sizeof *frame);
        ck_assert_mem_eq(frame[k], "\x81\x85", 2);
        for (int i = 0; i < 5; i++)
            ck_assert_int_eq(frame[k][6 + i] ^ frame[k][2 + i % 4], "hello"[i]);
    }
    ck_assert_mem_ne(frame[0] + 2, frame[1] + 2, 4);
    sonic_ws_prepared_free(p);
    ws_world_close(&w);
}
END_TEST

/* ---- compressed ------------------------------------------------------- */

#define SHARED_COMPRESSOR "permessage-deflate"

START_TEST(compressed_once)
{
    z_stream z[CROWD_PEERS];
    sonic_ws_prepared *p;

    crowd_open(_i, NULL);
    crowd_join(NULL);
    for (int i = 1; i < CROWD_PEERS; i++) {
        crowd_join(SHARED_COMPRESSOR);
        dw_inflater(&z[i], 15);
    }
    for (int round = 0; round < 3; round++) {
        size_t n = round == 0 ? 1000 : round == 1 ? 5000 : CROWD_LARGEST;

        p = crowd_prepare(SONIC_WS_TEXT, crowd_text, n);
        ck_assert_int_eq(
            sonic_ws_broadcast(crowd.server, p, SONIC_WS_SLOW_QUEUE, NULL), 0);
        ck_assert_uint_eq(crowd_held(), 2);
        sonic_ws_prepared_free(p);
        rig_settle(&crowd.rig);
        crowd_expect(crowd.fd[0], 0x81, crowd_text, n);
        for (int i = 1; i < CROWD_PEERS;
             i++) /* each inflates it without the last */
            crowd_expect_inflated(crowd.fd[i], &z[i], crowd_text, n);
        rig_settle(&crowd.rig);
        ck_assert_uint_eq(crowd_held(), 0);
    }
    for (int i = 1; i < CROWD_PEERS; i++)
        inflateEnd(&z[i]);
    crowd_close();
}
END_TEST

/* Nor where it does not pay, nor where it is not to be. */
START_TEST(not_compressed)
{
    static uint8_t noise[1000];
    struct {
        unsigned opcode;
        const uint8_t *data;
        size_t n;
        unsigned held;
    } v[] = {
        {SONIC_WS_BINARY, noise, sizeof noise, 1},
        {SONIC_WS_TEXT, crowd_text, 127, 1},
        {SONIC_WS_TEXT | SONIC_WS_PLAIN, crowd_text, 2000, 1},
    };

    crowd_open(_i, NULL);
    crowd_join(SHARED_COMPRESSOR);
    crowd_join(SHARED_COMPRESSOR);
    ck_assert_int_eq(sonic_io_random(crowd.rig.io, noise, sizeof noise), 0);
    for (size_t k = 0; k < sizeof v / sizeof *v; k++) {
        sonic_ws_prepared *p = crowd_prepare(v[k].opcode, v[k].data, v[k].n);

        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[i], p), 0);
        ck_assert_uint_eq(crowd_held(), v[k].held);
        sonic_ws_prepared_free(p);
        rig_settle(&crowd.rig);
        for (int i = 0; i < 2; i++)
            crowd_expect(crowd.fd[i], 0x80 | (v[k].opcode & 15), v[k].data,
                         v[k].n);
    }
    crowd_close();
}
END_TEST

/* With takeover each depends on those before it, prepared or not. */
START_TEST(takeover)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_deflate_options deflate = SONIC_WS_DEFLATE_OPTIONS_INIT;
    sonic_ws_prepared *p;
    z_stream z;

    opt.deflate = &deflate;
    deflate.takeover = SONIC_ON;
    crowd_open(_i, &opt);
    crowd_join(SHARED_COMPRESSOR);
    dw_inflater(&z, 15);
    for (int round = 0; round < 4; round++) {
        p = crowd_prepare(SONIC_WS_TEXT, crowd_text + round, 1000);
        ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[0], p), 0);
        ck_assert_int_eq(sonic_ws_send(crowd.ws[0], SONIC_WS_TEXT,
                                       crowd_text + 99 * round, 500),
                         0);
        ck_assert_uint_eq(crowd_held(), 1);
        sonic_ws_prepared_free(p);
        ck_assert_uint_eq(crowd_held(), 0);
        rig_settle(&crowd.rig);
        crowd_expect_inflated(crowd.fd[0], &z, crowd_text + round, 1000);
        crowd_expect_inflated(crowd.fd[0], &z, crowd_text + 99 * round, 500);
    }
    inflateEnd(&z);
    crowd_close();
}
END_TEST

/* More settings than a message keeps forms for. */
START_TEST(many_settings)
{
    static const char *const offers[] = {
        SHARED_COMPRESSOR "; server_max_window_bits=9",
        SHARED_COMPRESSOR "; server_max_window_bits=10",
        SHARED_COMPRESSOR "; server_max_window_bits=11",
        SHARED_COMPRESSOR "; server_max_window_bits=12",
        SHARED_COMPRESSOR "; server_max_window_bits=13",
        SHARED_COMPRESSOR "; server_max_window_bits=14",
    };
    enum { N = sizeof offers / sizeof *offers };
    sonic_ws_prepared *p;
    z_stream z[N];

    crowd_open(_i, NULL);
    for (int i = 0; i < N; i++) {
        crowd_join(offers[i]);
        dw_inflater(&z[i], 9 + i);
    }
    p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 20000);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(sonic_ws_send_prepared(crowd.ws[i], p), 0);
        ck_assert_uint_eq(crowd_held(), 1 + 4);
        rig_settle(&crowd.rig);
        for (int i = 0; i < N; i++)
            crowd_expect_inflated(crowd.fd[i], &z[i], crowd_text, 20000);
    }
    sonic_ws_prepared_free(p);
    for (int i = 0; i < N; i++)
        inflateEnd(&z[i]);
    crowd_close();
}
END_TEST

/* ---- lifetime and memory ---------------------------------------------- */

/* Connections that end in every way with it queued. */
START_TEST(connections_die_with_it)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_prepared *p;

    opt.close_timeout = 1;
    crowd_open(_i, &opt);
    for (int i = 0; i < CROWD_PEERS; i++)
        crowd_join(i % 2 ? SHARED_COMPRESSOR : NULL);
    for (int round = 0; round < 100; round++) {
        p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 30000);
        ck_assert_int_eq(
            sonic_ws_broadcast(crowd.server, p, SONIC_WS_SLOW_QUEUE, NULL), 0);
        sonic_ws_prepared_free(p);
        rig_settle(&crowd.rig);
    }
    ck_assert_uint_gt(crowd_held(), 0);
    for (int i = 0; i < CROWD_PEERS; i++) {
        ck_assert_uint_gt(sonic_ws_queued(crowd.ws[i]), 0);
        if (i / 2 == 0)
            sonic_ws_free(crowd.ws[i]);
        else if (i / 2 == 1)
            sonic_ws_terminate(crowd.ws[i]);
        else if (i / 2 == 2)
            shutdown(crowd.fd[i], SHUT_RDWR);
        else
            sonic_ws_close(crowd.ws[i], 1000, NULL);
    }
    RIG_UNTIL(&crowd.rig,
              crowd.closes == CROWD_PEERS - 2); /* freed ones say nothing */
    rig_settle(&crowd.rig);
    ck_assert_uint_eq(crowd_held(), 0);
    crowd_close();
}
END_TEST

/* With it queued everything goes, its io first. */
START_TEST(io_goes_first)
{
    sonic_ws_prepared *p;

    crowd_open(_i, NULL);
    crowd_join(NULL);
    crowd_join(SHARED_COMPRESSOR);
    p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 5000);
    ck_assert_int_eq(
        sonic_ws_broadcast(crowd.server, p, SONIC_WS_SLOW_QUEUE, NULL), 0);
    for (int i = 0; i < 3; i++)
        crowd_prepare(SONIC_WS_TEXT, crowd_text, 50000);
    close(crowd.fd[0]);
    close(crowd.fd[1]);
    rig_close(&crowd.rig);
}
END_TEST

START_TEST(nothing_is_allocated)
{
    sonic_ws_prepared *p;
    unsigned long allocs = 0;
    z_stream z;

    crowd_open(_i, NULL);
    for (int i = 0; i < CROWD_PEERS; i++)
        crowd_join(i % 2 ? SHARED_COMPRESSOR : NULL);
    for (int round = 0; round < 100; round++) {
        p = crowd_prepare(SONIC_WS_TEXT, crowd_text + round,
                          1000 + (size_t)round * 200);
        ck_assert_int_eq(
            sonic_ws_broadcast(crowd.server, p, SONIC_WS_SLOW_QUEUE, NULL), 0);
        sonic_ws_prepared_free(p);
        rig_settle(&crowd.rig);
        dw_inflater(&z, 15);
        for (int i = 0; i < CROWD_PEERS; i++)
            if (i % 2)
                crowd_expect_inflated(crowd.fd[i], &z, crowd_text + round,
                                      1000 + (size_t)round * 200);
            else
                crowd_expect(crowd.fd[i], 0x81, crowd_text + round,
                             1000 + (size_t)round * 200);
        inflateEnd(&z);
        rig_settle(&crowd.rig);
        if (round == 50) /* every size of block has been there */
            allocs = crowd.rig.hook.allocs;
    }
    ck_assert_uint_eq(crowd.rig.hook.allocs, allocs);
    crowd_close();
}
END_TEST

/* Each allocation fails once: an error, or the message, whole. */
START_TEST(memory_runs_out)
{
    bool failed = true;

    for (unsigned long nth = 1; failed; nth++) {
        static uint8_t got[CROWD_LARGEST];
        sonic_ws_prepared *p = NULL;
        int err, sent[2] = {-ENOMEM, -ENOMEM};
        size_t n;

        crowd_open(_i, NULL);
        crowd_join(NULL);
        crowd_join(SHARED_COMPRESSOR);
        hook_mem_fail_nth(&crowd.rig.hook, nth);
        err = sonic_ws_prepared_new(crowd.rig.io, SONIC_WS_TEXT, crowd_text,
                                    40000, &p);
        for (int i = 0; i < 2 && err == 0; i++)
            sent[i] = sonic_ws_send_prepared(crowd.ws[i], p);
        failed = crowd.rig.hook.mem_failed;
        hook_mem_fail_nth(&crowd.rig.hook, 0);
        if (err == 0)
            sonic_ws_prepared_free(p);
        else
            ck_assert_int_eq(err, -ENOMEM);
        rig_settle(&crowd.rig);
        for (int i = 0; i < 2; i++)
            if (sent[i] == 0)
                crowd_hear(crowd.fd[i], got, &n);
            else
                ck_assert_int_eq(sent[i], -ENOMEM);
        rig_settle(&crowd.rig);
        ck_assert_uint_eq(crowd_held(), 0);
        ck_assert_uint_lt(nth, 50);
        crowd_close();
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_prepared");
    TCase *plain = tcase_create("plain"), *deflate = tcase_create("deflate"),
          *life = tcase_create("life");

    rig_add(plain, same_bytes_as_send);
    rig_add(plain, in_order_with_other_sends);
    rig_add(plain, refusals);
    rig_add(plain, clients_mask);
    rig_add(deflate, compressed_once);
    rig_add(deflate, not_compressed);
    rig_add(deflate, takeover);
    rig_add(deflate, many_settings);
    rig_add(life, connections_die_with_it);
    rig_add(life, io_goes_first);
    rig_add(life, nothing_is_allocated);
    rig_add(life, memory_runs_out);
    suite_add_tcase(s, plain);
    suite_add_tcase(s, deflate);
    suite_add_tcase(s, life);
    return rig_main(s);
}
