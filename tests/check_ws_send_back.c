/* A server's messages that lie where they were received: what is sent of them
 * is referred to, and goes out in as few pieces as can be.  Whatever a callback
 * does with its message, the peer hears what it would hear of copies. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/rig.h"
#include "support/ws_peer.h"
#include "support/ws_script.h"
#include "websocket/session.h"

enum {
    MESSAGES = 24,
    LONGEST = 70000,
    ROOM = 8 << 20,  /* bytes said, and heard */
    LITTLE = 8 << 10 /* bytes; of four times as many the kernel keeps some */
};

struct world {
    struct rig r;
    sonic_ws_server *server;
    int peer;
    unsigned seed;     /* of what is done; 0: each message is sent back */
    unsigned first;    /* seed */
    unsigned messages; /* that came */
    int closed;        /* error of the close record */
    unsigned closes;
    unsigned long fail; /* allocation, from the next message's callback on */
    uint8_t *said, *want, *heard;
    size_t n_said, n_want, n_heard;
};

static unsigned
draw(struct world *w, unsigned n)
{
    w->seed = w->seed * 1103515245u + 12345u;
    return (w->seed >> 16) % n;
}

/* Send, and expect what a frame of it is. */
static void
send_of(struct world *w, sonic_ws *ws, enum sonic_ws_opcode opcode,
        const uint8_t *data, size_t n)
{
    w->n_want += ws_script_frame(w->want + w->n_want, (uint8_t)(0x80 | opcode),
                                 data, n, NULL);
    ck_assert_uint_lt(w->n_want, ROOM);
    ck_assert_int_ge(sonic_ws_send(ws, opcode, data, n), 0);
}

/* One thing that a callback may do with its message, or beside it. */
static void
do_something(struct world *w, sonic_ws *ws, const sonic_ws_message *m)
{
    size_t from = m->len > 0 ? draw(w, (unsigned)m->len) : 0;
    size_t some = m->len / 2;
    const struct sonic__ws_config *config = ws->config;

    switch (draw(w, 10)) {
    case 0:
    case 1:
    case 2:
        send_of(w, ws, m->opcode, m->data, m->len);
        break;
    case 3:
        send_of(w, ws, SONIC_WS_BINARY, m->data, m->len);
        break;
    case 4: /* from its beginning, not all */
        send_of(w, ws, SONIC_WS_BINARY, m->data, from);
        break;
    case 5: /* from inside */
        send_of(w, ws, SONIC_WS_BINARY, m->data + from, m->len - from);
        break;
    case 6: /* two that follow each other, and a header's size between them */
        if (some < 4)
            break;
        send_of(w, ws, SONIC_WS_BINARY, m->data, some - 4);
        send_of(w, ws, SONIC_WS_BINARY, m->data + some, m->len - some);
        break;
    case 7:
        send_of(w, ws, SONIC_WS_TEXT, (const uint8_t *)"no message", 10);
        break;
    case 8: /* settings of its own from here on */
        ck_assert_int_eq(sonic_ws_set_max_message(ws, 1 << 20), 0);
        if (ws->config != config) /* the server's: of no message any more */
            ck_assert_ptr_null(config->headroom);
        break;
    default:
        w->n_want += ws_script_frame(w->want + w->n_want, 0x89,
                                     (const uint8_t *)"?", 1, NULL);
        ck_assert_int_ge(sonic_ws_ping(ws, "?", 1), 0);
    }
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    struct world *w = ud;
    unsigned n;

    w->messages++;
    if (m->len < 126) /* no room, nor any left from the one before */
        ck_assert_ptr_null(ws->config->headroom);
    if (w->seed == 0) {
        send_of(w, ws, m->opcode, m->data, m->len);
        ck_assert_uint_eq(sonic_ws_queued(ws), w->n_want);
        hook_mem_fail_nth(&w->r.hook, w->fail);
        return;
    }
    if (m->len > 0 && draw(w, 4) == 0)
        m->data[draw(w, (unsigned)m->len)] = '!'; /* changed before it goes */
    for (n = draw(w, 4); n > 0; n--)
        do_something(w, ws, m);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *record, void *ud)
{
    struct world *w = ud;

    (void)ws;
    w->closes++;
    w->closed = record->error;
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT, .on_message = on_message, .on_close = on_close};

/* What the peer can hear now. */
static void
hear(struct world *w)
{
    ssize_t n;

    while ((n = recv(w->peer, w->heard + w->n_heard, ROOM - w->n_heard,
                     MSG_DONTWAIT)) > 0)
        w->n_heard += (size_t)n;
}

static void
open_world(struct world *w, int index, unsigned seed,
           const sonic_io_options *io)
{
    static const char request[] = WS_REQUEST "\r\n";
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    int fd[2], little = seed % 8 == 0 ? LITTLE : 4 * LITTLE;

    *w = (struct world){
        .said = malloc(ROOM), .want = malloc(ROOM), .heard = malloc(ROOM)};
    rig_open_with(&w->r, index, io);
    rig_pair(fd);
    w->peer = fd[0];
    if (seed != 0 || io != NULL)
        setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
    ck_assert_int_eq(
        sonic_ws_server_new(w->r.io, &opt, &handler, w, &w->server), 0);
    ck_assert_int_eq(
        sonic_ws_server_accept(w->server, rig_adopt(&w->r, fd[1]), NULL), 0);
    rig_put(w->peer, request, sizeof request - 1);
    do {
        rig_settle(&w->r);
        hear(w);
    } while (w->n_heard < 4 ||
             memcmp(w->heard + w->n_heard - 4, "\r\n\r\n", 4) != 0);
    w->n_heard = 0;
    w->seed = w->first = seed;
}

static void
close_world(struct world *w)
{
    sonic_ws_server_free(w->server);
    close(w->peer);
    rig_close(&w->r);
    free(w->said);
    free(w->want);
    free(w->heard);
}

static void
say_later(struct world *w, uint8_t head, size_t n)
{
    static uint8_t payload[LONGEST];
    uint32_t key = 0x35a9c16eu * (unsigned)(w->n_said + 1);

    for (size_t i = 0; i < n; i++)
        payload[i] = (uint8_t)('a' + (i + w->n_said) % 26);
    w->n_said += ws_script_frame(w->said + w->n_said, head, payload, n, &key);
    ck_assert_uint_lt(w->n_said, ROOM);
}

/* A message in two fragments: the next ones are read another way. */
static void
say_in_two(struct world *w)
{
    static const uint8_t part[700] = {'p', 'a', 'r', 't'};
    uint32_t key = 0x9d11e5a7u;

    w->n_said +=
        ws_script_frame(w->said + w->n_said, 0x02, part, sizeof part, &key);
    w->n_said +=
        ws_script_frame(w->said + w->n_said, 0x80, part, sizeof part, &key);
}

static void
check_heard(struct world *w)
{
    size_t i = 0;

    while (w->n_heard < w->n_want) {
        size_t before = w->n_heard;

        rig_settle(&w->r);
        hear(w);
        ck_assert_msg(w->n_heard > before,
                      "SONIC_TEST_SEED=%u: %zu of %zu bytes, then silence",
                      w->first, before, w->n_want);
    }
    ck_assert_uint_eq(w->n_heard, w->n_want);
    while (i < w->n_want && w->heard[i] == w->want[i])
        i++;
    ck_assert_msg(i == w->n_want, "SONIC_TEST_SEED=%u: byte %zu of %zu differs",
                  w->first, i, w->n_want);
}

/* ---- how many pieces --------------------------------------------------- */

/* n messages of `size` bytes that come at once go back in one send(2). */
static void
in_one(int index, unsigned n, size_t size)
{
    struct world w;
    unsigned long sends;

    open_world(&w, index, 0, NULL);
    for (unsigned i = 0; i < n; i++)
        say_later(&w, i % 2 == 0 ? 0x82 : 0x81, size);
    sends = hook_calls(&w.r.hook, HOOK_send);
    rig_put(w.peer, w.said, w.n_said);
    RIG_UNTIL(&w.r, w.messages == n);
    ck_assert_uint_eq(hook_calls(&w.r.hook, HOOK_send), sends + 1);
    ck_assert_uint_eq(hook_calls(&w.r.hook, HOOK_sendmsg), 0);
    check_heard(&w);
    close_world(&w);
}

START_TEST(medium_ones_in_one_piece)
{
    in_one(_i, 1, 512);
    in_one(_i, 1, 1024);
    in_one(_i, 16, 1024);
    in_one(_i, 3, 16384);
    in_one(_i, 1, 65535 - 8);
}
END_TEST

/* As recv(2) of all that the peer will ever say. */
static struct world *world_of_much;

static ssize_t
recv_all(int fd, void *buf, size_t n, int flags, void *ud)
{
    struct world *w = world_of_much;

    (void)fd, (void)flags, (void)ud;
    if (w->n_said == 0)
        return -EAGAIN;
    ck_assert_uint_ge(n, w->n_said);
    n = w->n_said;
    memcpy(buf, w->said, n);
    w->n_said = 0;
    return (ssize_t)n;
}

static ssize_t
send_little(int fd, const void *buf, size_t n, int flags, void *ud)
{
    (void)ud;
    ck_assert_uint_le(n, 256 << 10);
    n = (size_t)send(fd, buf, n, flags);
    return n == SIZE_MAX ? -errno : (ssize_t)n;
}

/* More than the cork refers to: its queue would stand above the marks. */
START_TEST(many_at_once)
{
    enum { MANY = 700, SIZE = 1024 };
    struct world w;
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    sonic_sys sys;

    opt.buffer_size = 1 << 20;
    open_world(&w, _i, 0, &opt);
    for (unsigned i = 0; i < MANY; i++)
        say_later(&w, 0x82, SIZE);
    world_of_much = &w;
    sys = *w.r.hook.below;
    sys.recv = recv_all;
    sys.send = send_little;
    w.r.hook.below = &sys;
    rig_put(w.peer, "", 1); /* something is there */
    RIG_UNTIL(&w.r, w.messages == MANY);
    check_heard(&w);
    close_world(&w);
}
END_TEST

START_TEST(short_ones_in_one_piece)
{
    in_one(_i, 1, 32);
    in_one(_i, 16, 32);
    in_one(_i, 16, 125);
}
END_TEST

/* The system takes a part, and there is no memory to keep the rest: the
 * connection is over, and told so. */
START_TEST(no_memory_for_the_rest)
{
    unsigned failed = 0;

    for (unsigned long nth = 1; nth <= 4; nth++) {
        struct world w;
        sonic_io_options opt = SONIC_IO_OPTIONS_INIT;

        open_world(&w, _i, 0, &opt);
        for (unsigned i = 0; i < 12; i++)
            say_later(&w, 0x82, i % 2 == 0 ? 16384 : 10);
        w.fail = nth;
        rig_put(w.peer, w.said, w.n_said);
        rig_settle(&w.r);
        w.fail = 0;
        if (w.r.hook.mem_failed) {
            failed++;
            RIG_UNTIL(&w.r, w.closes > 0);
            ck_assert_int_eq(w.closed, -ENOMEM);
        } else {
            hook_mem_fail_nth(&w.r.hook, 0);
            check_heard(&w);
        }
        close_world(&w);
    }
    ck_assert_uint_gt(failed, 0);
}
END_TEST

/* ---- whatever is done with them ---------------------------------------- */

static size_t
some_size(struct world *w)
{
    static const size_t sizes[] = {0,   1,    16,   125,  126,   127,  200,
                                   511, 512,  513,  1000, 1024,  1024, 1024,
                                   900, 4096, 5000, 9000, 16384, 65535};

    return draw(w, 30) == 0 ? LONGEST
                            : sizes[draw(w, sizeof sizes / sizeof *sizes)];
}

static void
one_seed(int index, unsigned seed)
{
    struct world w;
    size_t at = 0;
    bool at_once = seed % 3 == 0;

    open_world(&w, index, seed, NULL);
    for (unsigned i = 0; i < MESSAGES; i++)
        if (draw(&w, 8) == 0)
            say_in_two(&w);
        else
            say_later(&w, draw(&w, 3) == 0 ? 0x81 : 0x82, some_size(&w));
    while (at < w.n_said) {
        size_t n = at_once ? 60000 : 1 + draw(&w, 9000);

        n = n < w.n_said - at ? n : w.n_said - at;
        rig_put(w.peer, w.said + at, n);
        at += n;
        rig_settle(&w.r);
        if (draw(&w, 3) != 0) /* else the kernel keeps what it can, no more */
            hear(&w);
    }
    RIG_UNTIL(&w.r, w.messages == MESSAGES);
    check_heard(&w);
    close_world(&w);
}

START_TEST(any_use_of_any_message)
{
    const char *only = getenv("SONIC_TEST_SEED");
    unsigned n = rig_slow() ? 100 : 400;

    for (unsigned seed = 1; seed <= n; seed++) {
        one_seed(_i, only != NULL ? (unsigned)strtoul(only, NULL, 10) : seed);
        if (only != NULL)
            break;
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ws_send_back");
    TCase *tc = tcase_create("pieces");

    rig_add(tc, medium_ones_in_one_piece);
    rig_add(tc, short_ones_in_one_piece);
    rig_add(tc, many_at_once);
    rig_add(tc, no_memory_for_the_rest);
    suite_add_tcase(suite, tc);
    tc = tcase_create("seeds");
    tcase_set_timeout(tc, 120);
    rig_add(tc, any_use_of_any_message);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
