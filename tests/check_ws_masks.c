/* A client's masking keys: each frame has one that no other has, and without
 * an unpredictable one nothing is sent (RFC 6455 sections 5.3, 10.3). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/chance.h"
#include "support/rig.h"
#include "support/ws_peer.h"

#define DEFLATE                                                                \
    "Sec-WebSocket-Extensions: permessage-deflate; "                           \
    "server_no_context_takeover; client_no_context_takeover\r\n"

enum { FRAMES = 100000, AT_ONCE = 500 };

static struct rig r;
static struct ws_world w;

/* A client on the rig's io, open.  The peer's end is w.fd. */
static void
begin(int i, const char *extension)
{
    rig_open(&r, i);
    memset(&w, 0, sizeof w);
    w.io = r.io;
    w.opt = (sonic_ws_options)SONIC_WS_OPTIONS_INIT;
    w.opt.close_timeout = 20 * MS;
    w.fd = -1;
    ws_client(&w, &ws_log_handler);
    ws_answer_with(&w, extension);
}

static void
end(void)
{
    sonic_ws_free(w.client);
    close(w.fd);
    rig_close(&r);
}

/* ---- no key twice ----------------------------------------------------- */

/* Words that are all different: a multiplication by an odd number loses
 * nothing. */
static int
different_words(void *buf, size_t n, void *ud)
{
    uint32_t *next = ud, word;

    for (size_t i = 0; i + sizeof word <= n; i += sizeof word) {
        word = ++*next * 2654435761u;
        memcpy((uint8_t *)buf + i, &word, sizeof word);
    }
    return 0;
}

static int
compare(const void *a, const void *b)
{
    uint32_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* The sender's choice of call. */
static int
send_one(unsigned how)
{
    uint8_t *p;

    switch (how % 5) {
    case 0:
        return sonic_ws_ping(w.client, "x", 1);
    case 1:
        return sonic_ws_send_part(w.client, SONIC_WS_TEXT, "x", 1, true);
    case 2:
        return sonic_ws_send_frame(w.client, true, 0, SONIC_WS_TEXT, "x", 1);
    case 3:
        p = sonic_ws_reserve(w.client, 1);
        ck_assert_ptr_nonnull(p);
        *p = 'x';
        return sonic_ws_commit(w.client, SONIC_WS_TEXT, 1);
    default:
        return sonic_ws_send(w.client, SONIC_WS_TEXT, "x", 1);
    }
}

/* With a source that never repeats itself, so that there is no chance in it:
 * any key that is there twice was used twice. */
START_TEST(no_key_twice)
{
    static uint32_t key[FRAMES];
    static uint8_t wire[AT_ONCE * 7];
    sonic_sys sys = *sonic_sys_kernel();
    uint32_t word = 0;
    size_t n = 0;

    begin(_i, "");
    sys.random = different_words;
    sys.ud = &word;
    r.hook.below = &sys;
    while (n < FRAMES) {
        for (unsigned i = 0; i < AT_ONCE; i++)
            ck_assert_int_ge(send_one(i), 0);
        ck_assert_uint_eq(ws_hear(&w, wire, sizeof wire), sizeof wire);
        for (size_t at = 0; at < sizeof wire; at += 7) {
            must(wire[at + 1] == (0x80 | 1));
            must((wire[at + 6] ^ wire[at + 2]) == 'x');
            memcpy(&key[n++], wire + at + 2, 4);
        }
    }
    qsort(key, n, sizeof *key, compare);
    for (size_t i = 1; i < n; i++)
        must(key[i] != key[i - 1]);
    r.hook.below = sonic_sys_kernel();
    end();
}
END_TEST

/* ---- no key ----------------------------------------------------------- */

static struct outcome sent;

static void
on_sent(sonic_ws *ws, int err, void *ud)
{
    struct outcome *o = ud;

    (void)ws;
    o->calls++;
    o->err = err;
}

static int
async_send(void)
{
    sent = (struct outcome){0};
    sonic_ws_async_send(w.client, SONIC_WS_TEXT, "x", 1, on_sent, &sent);
    if (sent.calls == 0)
        rig_settle(&r);
    ck_assert_uint_eq(sent.calls, 1);
    return sent.err;
}

/* The bytes that were drawn before the source failed, to the last. */
static void
use_up(void)
{
    uint32_t key;
    int err;

    hook_fail(&r.hook, HOOK_random, -EIO, UINT32_MAX);
    do
        err = sonic_io_random(r.io, &key, sizeof key);
    while (err == 0);
    ck_assert_int_eq(err, -EIO);
}

static void
expect_nothing(void)
{
    char c;

    ck_assert_uint_eq(sonic_ws_queued(w.client), 0);
    rig_settle(&r);
    ck_assert_int_eq(recv(w.fd, &c, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(no_key_no_frame)
{
    begin(_i, "");
    use_up();
    for (unsigned how = 0; how < 5; how++) {
        ck_assert_int_eq(send_one(how), -EIO);
        expect_nothing();
    }
    ck_assert_int_eq(async_send(), -EIO);
    expect_nothing();
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_OPEN);
    /* it comes back: so does everything else */
    hook_fail(&r.hook, HOOK_random, 0, 0);
    for (unsigned how = 0; how < 5; how++) {
        ck_assert_int_ge(send_one(how), 0);
        ws_expect_frame(&w, how == 0 ? 0x89 : 0x81, "x");
    }
    ck_assert_int_eq(async_send(), 0);
    ws_expect_frame(&w, 0x81, "x");
    end();
}
END_TEST

START_TEST(no_key_no_compressed_frame)
{
    static char zeros[1000], large[100000];
    struct ws_log *log = &w.log;

    if (!sonic_ws_can_deflate()) {
        puts("no permessage-deflate in this build");
        return;
    }
    begin(_i, DEFLATE);
    ck_assert_ptr_nonnull(sonic_ws_extensions(w.client));
    use_up();
    ck_assert_int_eq(
        sonic_ws_send(w.client, SONIC_WS_TEXT, zeros, sizeof zeros), -EIO);
    expect_nothing();
    ck_assert_int_eq(
        sonic_ws_send(w.client, SONIC_WS_TEXT, large, sizeof large), -EIO);
    expect_nothing();
    ck_assert_int_eq(log->closes, 0);
    end();
}
END_TEST

/* What the library says by itself: a ping is not answered rather than badly,
 * and our own Close cannot go out, so the connection ends without one. */
START_TEST(no_key_no_answer)
{
    begin(_i, "");
    use_up();
    ws_say_frame(&w, 0x89, "?");
    ws_until(&w, "ping:? ");
    expect_nothing();
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_OPEN);
    ws_say_frame(&w, 0x88, "\x03\xe8");
    ws_expect_eof(&w);
    RIG_UNTIL(&r, w.log.closes > 0);
    ck_assert(!w.log.why.clean);
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ws_masks");
    TCase *tc = tcase_create("keys");

    tcase_set_timeout(tc, 60);
    rig_add(tc, no_key_twice);
    rig_add(tc, no_key_no_frame);
    rig_add(tc, no_key_no_compressed_frame);
    rig_add(tc, no_key_no_answer);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
