/* Refusals: callbacks that begin again what was refused, however often, use no
 * more of the stack than SONIC_MAX_DISPATCH says; what is put off for that is
 * told all the same. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/rig.h"

enum { ROUNDS = 5000 };

/* An operation that begins again in its callback. */
struct chain {
    sonic_io *io;
    void (*begin)(struct chain *c);
    void *object, *second;
    unsigned calls, deep, deepest; /* on the stack: our own count */
    unsigned end_at;               /* the last call that begins again, and */
    void (*end)(struct chain *c);  /* what it does then; 0: none does */
    struct iovec none;
    char byte;
};

static void
more(struct chain *c, int err)
{
    unsigned n;

    ck_assert_int_lt(err, 0);
    ck_assert(sonic_io_inside(c->io));
    if (++c->deep > c->deepest)
        c->deepest = c->deep;
    n = ++c->calls;
    if (n < ROUNDS && (c->end == NULL || n <= c->end_at))
        c->begin(c);
    if (c->end != NULL && n == c->end_at)
        c->end(c);
    c->deep--;
}

/* ---- the kinds --------------------------------------------------------- */

static void
on_stream(sonic_stream *s, int err, size_t n, void *ud)
{
    ck_assert_ptr_eq(s, ((struct chain *)ud)->object);
    ck_assert_uint_eq(n, 0);
    more(ud, err);
}

static void
on_lend(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    ck_assert_ptr_eq(s, ((struct chain *)ud)->object);
    ck_assert(data == NULL && len == 0);
    more(ud, err);
}

static void
do_lend(struct chain *c)
{
    sonic_stream_lend(c->object, 1, 0, on_lend, c);
}

/* Each of its other operations in turn. */
static void
do_stream(struct chain *c)
{
    switch (c->calls % 7) {
    case 0:
        sonic_stream_async_connect(c->object, ":9", NULL, on_stream, c);
        break;
    case 1:
        sonic_stream_async_read(c->object, &c->byte, 1, on_stream, c);
        break;
    case 2:
        sonic_stream_async_read_all(c->object, &c->byte, 1, on_stream, c);
        break;
    case 3:
        sonic_stream_async_readv(c->object, &c->none, -1, on_stream, c);
        break;
    case 4:
        sonic_stream_async_write(c->object, &c->byte, 1, on_stream, c);
        break;
    case 5:
        sonic_stream_async_writev(c->object, &c->none, 1, on_stream, c);
        break;
    default:
        sonic_stream_async_drain(c->object, on_stream, c);
    }
}

static void
on_bytes(sonic_bytes *b, int err, size_t n, void *ud)
{
    ck_assert_ptr_eq(b, ((struct chain *)ud)->second);
    ck_assert_uint_eq(n, 0);
    more(ud, err);
}

/* Over a stream that is closed, and, in turn, with a read that is under way. */
static void
do_bytes(struct chain *c)
{
    sonic_bytes_async_read_from(c->second, c->object, 0, on_bytes, c);
}

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    ck_assert_ptr_eq(t, ((struct chain *)ud)->object);
    more(ud, err);
}

/* The cancelled callback runs from the call that schedules anew; in turn, a
 * tick that cannot be. */
static void
do_timer(struct chain *c)
{
    if (c->calls % 2 == 1) {
        sonic_timer_repeat(c->object, 0, SONIC_TICK_SKIP, on_timer, c);
        return;
    }
    sonic_timer_cancel(c->object);
    sonic_timer_once(c->object, 1000 * SECOND, on_timer, c);
    if (c->calls == 0) {
        sonic_timer_cancel(c->object);
        sonic_timer_once(c->object, 1000 * SECOND, on_timer, c);
    }
}

static void
on_signal(sonic_signal *s, int err, int signo, void *ud)
{
    ck_assert_ptr_eq(s, ((struct chain *)ud)->object);
    ck_assert_int_eq(signo, 0);
    more(ud, err);
}

static void
do_signal(struct chain *c)
{
    sonic_signal_async_wait(c->object, on_signal, c);
}

static void
on_accept(sonic_listener *l, int err, sonic_stream *s, void *ud)
{
    ck_assert_ptr_eq(l, ((struct chain *)ud)->object);
    ck_assert_ptr_null(s);
    more(ud, err);
}

static void
do_accept(struct chain *c)
{
    sonic_listener_async_accept(c->object, on_accept, c);
}

static void
on_udp(sonic_udp *u, int err, size_t n, void *ud)
{
    ck_assert_ptr_eq(u, ((struct chain *)ud)->object);
    ck_assert_uint_eq(n, 0);
    more(ud, err);
}

static void
on_datagram(sonic_udp *u, int err, const sonic_datagram *d, void *ud)
{
    ck_assert_ptr_eq(u, ((struct chain *)ud)->object);
    ck_assert_ptr_null(d);
    more(ud, err);
}

static void
on_datagrams(sonic_udp *u, int err, const sonic_datagram *d, size_t n, void *ud)
{
    ck_assert_ptr_eq(u, ((struct chain *)ud)->object);
    ck_assert(d == NULL && n == 0);
    more(ud, err);
}

/* Each of its operations in turn. */
static void
do_udp(struct chain *c)
{
    switch (c->calls % 4) {
    case 0:
        sonic_udp_async_read(c->object, &c->byte, 1, on_datagram, c);
        break;
    case 1:
        sonic_udp_lend(c->object, on_datagrams, c);
        break;
    case 2:
        sonic_udp_async_write(c->object, NULL, &c->byte, 1, on_udp, c);
        break;
    default:
        sonic_udp_async_drain(c->object, on_udp, c);
    }
}

static void
on_file(sonic_file *f, int err, size_t n, void *ud)
{
    ck_assert(f == NULL || f == ((struct chain *)ud)->object);
    ck_assert_uint_eq(n, 0);
    more(ud, err);
}

/* A file that is closed, and one that cannot be. */
static void
do_file(struct chain *c)
{
    static const sonic_file_options bad = {0};

    if (c->calls % 2 == 0)
        sonic_file_async_read(c->object, &c->byte, 1, on_file, c);
    else
        sonic_file_async_open(c->io, "/dev/null", 0, 0, &bad, on_file, c);
}

static void
on_frame(sonic_frame_conn *f, int err, uint8_t *data, size_t len, void *ud)
{
    ck_assert_ptr_eq(f, ((struct chain *)ud)->object);
    ck_assert(data == NULL && len == 0);
    more(ud, err);
}

static void
on_frame_sent(sonic_frame_conn *f, int err, void *ud)
{
    ck_assert_ptr_eq(f, ((struct chain *)ud)->object);
    more(ud, err);
}

static void
do_frame(struct chain *c)
{
    if (c->calls % 2 == 0)
        sonic_frame_async_read(c->object, on_frame, c);
    else
        sonic_frame_async_send(c->object, &c->byte, 1, on_frame_sent, c);
}

static void
on_soup(sonic_soup *s, int err, uint64_t sequence, uint8_t *data, size_t len,
        void *ud)
{
    ck_assert_ptr_eq(s, ((struct chain *)ud)->object);
    ck_assert(sequence == 0 && data == NULL && len == 0);
    more(ud, err);
}

static void
do_soup(struct chain *c)
{
    sonic_soup_async_read(c->object, on_soup, c);
}

static void
on_ws(sonic_ws *ws, int err, void *ud)
{
    ck_assert_ptr_eq(ws, ((struct chain *)ud)->object);
    more(ud, err);
}

static void
on_ws_read(sonic_ws *ws, int err, const sonic_ws_message *m, void *ud)
{
    ck_assert_ptr_eq(ws, ((struct chain *)ud)->object);
    ck_assert_ptr_null(m);
    more(ud, err);
}

/* One that is not connected, and has a server's stream only to refuse it. */
static void
do_ws(struct chain *c)
{
    static const sonic_ws_keep_options bad = {0};

    switch (c->calls % 4) {
    case 0:
        sonic_ws_async_send(c->object, SONIC_WS_TEXT, "x", 1, on_ws, c);
        break;
    case 1:
        sonic_ws_async_read(c->object, on_ws_read, c);
        break;
    case 2:
        sonic_ws_async_close(c->object, 1, NULL, on_ws, c);
        break;
    default:
        sonic_ws_async_keep(c->object, "ws://a/", &bad, on_ws, c);
    }
}

static void
on_ws_connect(sonic_ws *ws, int err, void *ud)
{
    if (err == -EBUSY)
        on_ws(ws, err, ud);
}

static void
do_ws_connect(struct chain *c)
{
    sonic_ws_async_connect(c->object, "ws://a/", on_ws_connect, c);
}

static void
on_drained(sonic_ws_server *s, int err, const sonic_ws_drained *counts,
           void *ud)
{
    ck_assert_ptr_eq(s, ((struct chain *)ud)->object);
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(counts->clean + counts->reset, 0);
    more(ud, -1);
}

static void
do_ws_drain(struct chain *c)
{
    sonic_ws_server_async_drain(c->object, SECOND, on_drained, c);
}

/* ---- objects that refuse ----------------------------------------------- */

static void
make_stream(struct chain *c)
{
    sonic_stream *s;

    ck_assert_int_eq(sonic_stream_new(c->io, &s), 0);
    sonic_stream_close(s);
    c->object = s;
}

/* No room: a buffer of a page that is full. */
static void
make_bytes(struct chain *c)
{
    sonic_bytes *b;

    make_stream(c);
    ck_assert_int_eq(sonic_bytes_new(NULL, &b), 0);
    while (sonic_bytes_write(b, &c->byte, 1) == 0)
        ;
    c->second = b;
}

static void
make_timer(struct chain *c)
{
    sonic_timer *t;

    ck_assert_int_eq(sonic_timer_new(c->io, &t), 0);
    c->object = t;
}

static void
make_signal(struct chain *c)
{
    sonic_signal *s;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(sonic_signal_new(c->io, &set, &s), 0);
    sonic_signal_close(s);
    c->object = s;
}

static void
make_listener(struct chain *c)
{
    sonic_listener *l;

    ck_assert_int_eq(sonic_listener_new(c->io, "127.0.0.1:0", NULL, &l), 0);
    sonic_listener_close(l);
    c->object = l;
}

static void
make_udp(struct chain *c)
{
    sonic_udp *u;

    ck_assert_int_eq(sonic_udp_new(c->io, "127.0.0.1:0", NULL, &u), 0);
    sonic_udp_close(u);
    c->object = u;
}

static void
make_file(struct chain *c)
{
    sonic_file *f;

    ck_assert_int_eq(sonic_file_open(c->io, "/dev/zero", 0, 0, NULL, &f), 0);
    sonic_file_close(f);
    c->object = f;
}

static void
make_frame(struct chain *c)
{
    sonic_frame_codec codec;
    sonic_stream *s[2];
    sonic_frame_conn *f;

    ck_assert_int_eq(sonic_frame_codec_init(&codec, NULL), 0);
    ck_assert_int_eq(sonic_stream_pair(c->io, s), 0);
    sonic_stream_free(s[1]);
    ck_assert_int_eq(sonic_frame_conn_new(s[0], &codec, NULL, NULL, NULL, &f),
                     0);
    sonic_frame_conn_close(f);
    c->object = f;
}

static void
make_soup(struct chain *c)
{
    sonic_stream *s[2];
    sonic_soup *soup;

    ck_assert_int_eq(sonic_stream_pair(c->io, s), 0);
    ck_assert_int_eq(sonic_soup_server_new(s[0], NULL, NULL, NULL, &soup), 0);
    sonic_stream_free(s[1]);
    while (sonic_io_pending(c->io) > 0) /* until it has seen the end */
        ck_assert_int_ge(sonic_io_run_one_for(c->io, RIG_PATIENCE), 0);
    c->object = soup;
}

static void
make_ws(struct chain *c)
{
    sonic_ws *ws;

    ck_assert_int_eq(sonic_ws_new(c->io, NULL, NULL, NULL, &ws), 0);
    c->object = ws;
}

/* Nobody will answer. */
static void
make_connecting(struct chain *c)
{
    sonic_stream *s[2];

    make_ws(c);
    ck_assert_int_eq(sonic_stream_pair(c->io, s), 0);
    sonic_ws_async_upgrade(c->object, s[0], "ws://a/", on_ws_connect, c);
}

static void
make_server(struct chain *c)
{
    sonic_ws_server *s;

    ck_assert_int_eq(sonic_ws_server_new(c->io, NULL, NULL, NULL, &s), 0);
    c->object = s;
}

#define OBJECTS(X)                                                             \
    X(stream)                                                                  \
    X(timer)                                                                   \
    X(signal)                                                                  \
    X(listener)                                                                \
    X(udp)                                                                     \
    X(file)                                                                    \
    X(frame_conn)                                                              \
    X(soup)                                                                    \
    X(ws)                                                                      \
    X(ws_server)
#define X(name)                                                                \
    static void free_##name(void *object)                                      \
    {                                                                          \
        sonic_##name##_free(object);                                           \
    }
OBJECTS(X)
#undef X

static const struct kind {
    void (*make)(struct chain *c);
    void (*begin)(struct chain *c);
    void (*free)(void *object);
} kinds[] = {
    {make_stream, do_lend, free_stream},
    {make_stream, do_stream, free_stream},
    {make_bytes, do_bytes, free_stream},
    {make_timer, do_timer, free_timer},
    {make_signal, do_signal, free_signal},
    {make_listener, do_accept, free_listener},
    {make_udp, do_udp, free_udp},
    {make_file, do_file, free_file},
    {make_frame, do_frame, free_frame_conn},
    {make_soup, do_soup, free_soup},
    {make_ws, do_ws, free_ws},
    {make_connecting, do_ws_connect, free_ws},
    {make_server, do_ws_drain, free_ws_server},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- the tests --------------------------------------------------------- */

static void
begin_chain(sonic_io *io, void *ud)
{
    struct chain *c = ud;

    (void)io;
    c->begin(c);
}

static void
open_chain(struct rig *r, struct chain *c, int test, const struct kind **k)
{
    *k = &kinds[test % KINDS];
    rig_open(r, test / KINDS);
    *c = (struct chain){.io = r->io, .begin = (*k)->begin};
    (*k)->make(c);
    rig_settle(r);
}

/* As often as one likes, called from outside the loop and from within. */
START_TEST(the_stack_is_bounded)
{
    for (int inside = 0; inside < 2; inside++) {
        const struct kind *k;
        struct chain c;
        struct rig r;

        open_chain(&r, &c, _i, &k);
        if (inside)
            ck_assert_int_eq(sonic_io_post(r.io, begin_chain, &c), 0);
        else
            c.begin(&c);
        RIG_UNTIL(&r, c.calls == ROUNDS);
        ck_assert_uint_le(c.deepest, SONIC_MAX_DISPATCH);
        ck_assert_uint_ge(c.deepest, SONIC_MAX_DISPATCH - 1);
        ck_assert_uint_eq(rig_stats(&r).max_dispatch, SONIC_MAX_DISPATCH);
        k->free(c.object);
        rig_settle(&r);
        ck_assert_uint_eq(sonic_io_pending(r.io), 0);
        rig_close(&r);
        sonic_bytes_free(c.second);
    }
}
END_TEST

static const struct kind *freed; /* the kind whose object end_object frees */

static void
end_object(struct chain *c)
{
    freed->free(c->object);
}

static void
end_io(struct chain *c)
{
    sonic_io_free(c->io);
}

/* The object goes, or the io, at any depth: also where a refusal has been put
 * off, which is told nevertheless. */
START_TEST(freed_meanwhile)
{
    for (unsigned i = 0; i < 12; i++) {
        struct chain c;
        struct rig r;

        open_chain(&r, &c, _i, &freed);
        c.end_at = 30 + i / 2;
        c.end = i % 2 == 0 ? end_object : end_io;
        c.begin(&c);
        if (c.end_at > SONIC_MAX_DISPATCH)
            ck_assert_int_gt(sonic_io_poll(r.io), 0);
        if (c.end == end_object) {
            rig_settle(&r);
            ck_assert_uint_eq(sonic_io_pending(r.io), 0);
            sonic_io_free(r.io);
        }
        ck_assert_uint_gt(c.calls, c.end_at);
        rig_closed(&r);
        sonic_bytes_free(c.second);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("refuse");
    TCase *tc = tcase_create("refuse");

    tcase_add_loop_test(tc, the_stack_is_bounded, 0, KINDS * RIG_BACKENDS);
    tcase_add_loop_test(tc, freed_meanwhile, 0, KINDS * RIG_BACKENDS);
    suite_add_tcase(suite, tc);
    return rig_main(suite);
}
