/* A peer that says a great deal of nothing; and memory used before, none of
 * which may be heard. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/poison.h"
#include "support/rig.h"
#include "support/ws_peer.h"
#include "support/ws_script.h"

static struct rig r;
static struct ws_world w;

static void
begin(int i)
{
    rig_open(&r, i);
    memset(&w, 0, sizeof w);
    w.io = r.io;
    w.opt = (sonic_ws_options)SONIC_WS_OPTIONS_INIT;
    w.fd = -1;
}

static void
end(void)
{
    sonic_ws_free(w.client);
    sonic_ws_server_free(w.server);
    close(w.fd);
    rig_close(&r);
}

/* ---- pongs that nobody asked for --------------------------------------- */

enum { AT_ONCE = 5000 }; /* of which there are a whole number */
static unsigned long pongs;

static void
on_open(sonic_ws *ws, void *ud)
{
    ((struct ws_log *)ud)->ws = ws;
}

static void
count_pong(sonic_ws *ws, enum sonic_ws_opcode opcode, const uint8_t *data,
           size_t len, void *ud)
{
    (void)ws;
    (void)data;
    (void)ud;
    if (opcode == SONIC_WS_PONG && len == 1)
        pongs++;
}

static void
no_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)m;
    (void)ud;
    ck_abort_msg("nobody sent a message");
}

/* Nothing is kept of them, nothing is said to them, and they are no answer to
 * a ping of ours. */
START_TEST(a_million_pongs)
{
    static const sonic_ws_handler h = {
        SONIC_WS_HANDLER_INIT, .on_open = on_open, .on_message = no_message,
        .on_control = count_pong};
    static uint8_t said[AT_ONCE * 7 + 64];
    const unsigned long all = rig_slow() ? 50000 : 1000000;
    unsigned long allocs = 0;
    size_t n = 0, bytes = 0, mapped = 0;
    char c;

    begin(_i);
    w.opt.ping_interval = 3600 * SECOND;
    ws_serve_open(&w, &h);
    pongs = 0;
    while (n < AT_ONCE * 7)
        n += ws_script("ox", true, said + n, sizeof said - n);
    for (unsigned long sent = 0; sent < all; sent += AT_ONCE) {
        ws_say(&w, said, n);
        if (sent > 0)
            continue;
        rig_settle(&r);
        allocs = atomic_load(&r.hook.allocs);
        bytes = atomic_load(&r.hook.bytes);
        mapped = atomic_load(&r.hook.mapped);
    }
    RIG_UNTIL(&r, pongs == all);
    rig_settle(&r);
    ck_assert_uint_eq(atomic_load(&r.hook.allocs), allocs);
    ck_assert_uint_eq(atomic_load(&r.hook.bytes), bytes);
    ck_assert_uint_eq(atomic_load(&r.hook.mapped), mapped);
    ck_assert_int_eq(recv(w.fd, &c, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(sonic_ws_rtt(w.log.ws), 0);
    ws_say_frame(&w, 0x89, "still there?");
    ws_expect_frame(&w, 0x8a, "still there?");
    end();
}
END_TEST

/* ---- only what was given to be sent ------------------------------------ */

enum { LONGEST = 70000, ROOM = 1 << 20 };
static uint8_t want[ROOM], heard[ROOM], data[LONGEST];
static size_t n_want;

/* Keys of zero: a client's payload is heard as it is. */
static int
zeros(void *buf, size_t n, void *ud)
{
    (void)ud;
    memset(buf, 0, n);
    return 0;
}

static void
expect(uint8_t head, const uint8_t *p, size_t n)
{
    static const uint32_t zero;

    ck_assert_uint_le(n_want + n + 14, sizeof want);
    n_want += ws_script_frame(want + n_want, head, p, n,
                              w.client != NULL ? &zero : NULL);
}

static void
hear(void)
{
    ck_assert_uint_eq(ws_hear(&w, heard, n_want), n_want);
    for (size_t i = 0; i < n_want; i++)
        if (heard[i] != want[i])
            ck_abort_msg("byte %zu of %zu: %02x, not %02x", i, n_want, heard[i],
                         want[i]);
    ck_assert_int_eq(recv(w.fd, heard, 1, MSG_DONTWAIT), -1);
    n_want = 0;
}

/* Each way to send n bytes, each after everything spare was overwritten. */
static void
say_all(sonic_ws *ws, size_t n)
{
    uint8_t *p;

    poison_spares(r.io);
    expect(0x82, data, n);
    ck_assert_int_ge(sonic_ws_send(ws, SONIC_WS_BINARY, data, n), 0);
    expect(0x01, data, n);
    ck_assert_int_ge(sonic_ws_send_part(ws, SONIC_WS_TEXT, data, n, false), 0);
    if (n <= 125) {
        expect(0x89, data, n);
        ck_assert_int_ge(sonic_ws_ping(ws, data, n), 0);
    }
    expect(0x80, data, n);
    ck_assert_int_ge(sonic_ws_send_part(ws, SONIC_WS_TEXT, data, n, true), 0);
    expect(0x02, data, n);
    ck_assert_int_ge(
        sonic_ws_send_frame(ws, false, 0, SONIC_WS_BINARY, data, n), 0);
    expect(0x80, NULL, 0);
    ck_assert_int_ge(
        sonic_ws_send_frame(ws, true, 0, SONIC_WS_CONTINUATION, NULL, 0), 0);
    hear();
    if (n > 16000)
        return;
    poison_spares(r.io);
    p = sonic_ws_reserve(ws, 16000); /* a longer header than it will have */
    ck_assert_ptr_nonnull(p);
    memset(p, POISON, 16000);
    if (n > 0)
        memcpy(p, data, n);
    expect(0x82, data, n);
    ck_assert_int_ge(sonic_ws_commit(ws, SONIC_WS_BINARY, n), 0);
    hear();
}

START_TEST(nothing_of_what_was_there_before)
{
    static const size_t sizes[] = {
        0,   1,   15,   16,   64,   65,    125,   126,   127,   511,
        512, 513, 2047, 2048, 8192, 16000, 16384, 16385, 32768, LONGEST};
    sonic_sys sys = *sonic_sys_kernel();

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)('a' + i % 26);
    sys.random = zeros;
    for (int client = 0; client < 2; client++) {
        sonic_ws *ws;

        begin(_i);
        r.hook.below = &sys;
        if (client)
            ws_client_open(&w, &ws_log_handler);
        else
            ws_serve_open(&w, &ws_log_handler);
        ws = w.log.ws;
        for (int round = 0; round < 2; round++)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                say_all(ws, sizes[i]);
        poison_spares(r.io);
        ws_say_frame(&w, 0x89, "?");
        ws_expect_frame(&w, 0x8a, "?");
        poison_spares(r.io);
        ck_assert_int_eq(sonic_ws_close(ws, 1001, "bye"), 0);
        ws_expect_frame(&w, 0x88,
                        "\x03\xe9"
                        "bye");
        end();
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ws_flood");
    TCase *tc = tcase_create("flood");

    tcase_set_timeout(tc, 60);
    rig_add(tc, a_million_pongs);
    rig_add(tc, nothing_of_what_was_there_before);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
