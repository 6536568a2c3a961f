/* Bytes through TLS: in any pieces, of any size, both ways at once. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <openssl/err.h>

#include "support/tls_kit.h"

static struct rig r;

/* ---- whatever the pieces ---------------------------------------------- */

/* Between two sockets stands the test: it hands on a piece at a time. */
struct cut {
    struct kit_ends e;
    int a, b;       /* the test's ends */
    size_t at, cut; /* bytes handed on; one piece ends behind this many */
};

static void
hand_on(int from, int to, size_t *at, size_t cut)
{
    char buf[4096];
    size_t most = sizeof buf;
    ssize_t n;

    if (*at < cut && cut - *at < most)
        most = cut - *at;
    n = recv(from, buf, most, MSG_DONTWAIT);
    if (n <= 0)
        return;
    *at += (size_t)n;
    rig_put(to, buf, (size_t)n);
}

static void
cut_begin(struct cut *c, sonic_tls_context *client, sonic_tls_context *server)
{
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    int x[2], y[2];

    memset(c, 0, sizeof *c);
    rig_pair(x);
    rig_pair(y);
    c->a = x[1];
    c->b = y[1];
    opt.server_name = "localhost";
    ck_assert_int_eq(
        sonic_tls_new(client, rig_adopt(&r, x[0]), &opt, &c->e.client), 0);
    ck_assert_int_eq(
        sonic_tls_new(server, rig_adopt(&r, y[0]), NULL, &c->e.server), 0);
    sonic_tls_async_handshake(c->e.server, on_outcome, &c->e.s);
    sonic_tls_async_handshake(c->e.client, on_outcome, &c->e.c);
}

static void
cut_end(struct cut *c)
{
    kit_end(&c->e);
    close(c->a);
    close(c->b);
}

/* A handshake and a message each way, everything that the client sends cut at
 * one byte, then what the server sends; at every byte. */
static size_t
run_cut(sonic_tls_context *client, sonic_tls_context *server, size_t at,
        bool of_server)
{
    struct cut c;
    struct outcome o[2] = {{0}, {0}};
    size_t up = 0, down = 0, never = 0;
    char buf[2][8];
    bool said = false;

    cut_begin(&c, client, server);
    for (int turns = 0; o[0].calls == 0 || o[1].calls == 0; turns++) {
        ck_assert_int_lt(turns, 10000);
        if (!said && c.e.c.calls == 1 && c.e.s.calls == 1) {
            said = true;
            ck_assert_int_eq(sonic_stream_send(c.e.client, "question", 8), 0);
            ck_assert_int_eq(sonic_stream_send(c.e.server, "answers!", 8), 0);
            sonic_stream_async_read_all(c.e.server, buf[0], 8, on_outcome,
                                        &o[0]);
            sonic_stream_async_read_all(c.e.client, buf[1], 8, on_outcome,
                                        &o[1]);
        }
        rig_settle(&r);
        hand_on(c.a, c.b, &up, of_server ? never : at);
        rig_settle(&r);
        hand_on(c.b, c.a, &down, of_server ? at : never);
    }
    ck_assert_int_eq(c.e.c.err, 0);
    ck_assert_int_eq(c.e.s.err, 0);
    ck_assert_mem_eq(buf[0], "question", 8);
    ck_assert_mem_eq(buf[1], "answers!", 8);
    cut_end(&c);
    rig_settle(&r);
    return of_server ? down : up;
}

START_TEST(cut_at_every_byte)
{
    sonic_tls_context *client, *server;
    size_t n, step;

    rig_open(&r, 0);
    client = kit_client(r.io);
    server = kit_server(r.io);
    n = run_cut(client, server, 0, _i == 1);
    step = rig_slow() ? 17 : 1;
    for (size_t at = 1; at < n; at += step)
        run_cut(client, server, at, _i == 1);
    sonic_tls_context_free(client);
    sonic_tls_context_free(server);
    rig_close(&r);
}
END_TEST

/* ---- much ------------------------------------------------------------- */

enum { CHUNK = 96 * 1024 };

struct mill {
    sonic_stream *s;
    size_t to_write, wrote, to_read, got;
    unsigned char in[CHUNK], out[CHUNK];
    int err;
};

static void mill_write(struct mill *m);

static void
on_mill_wrote(sonic_stream *s, int err, size_t n, void *ud)
{
    struct mill *m = ud;

    (void)s;
    ck_assert_int_eq(err, 0);
    m->wrote += n;
    mill_write(m);
}

static void
mill_write(struct mill *m)
{
    size_t n = m->to_write - m->wrote;

    if (n > CHUNK)
        n = CHUNK;
    if (n == 0)
        return;
    rig_fill(m->out, n, m->wrote);
    sonic_stream_async_write(m->s, m->out, n, on_mill_wrote, m);
}

static void
on_mill_lent(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct mill *m = ud;
    size_t n = len;

    if (err == -ECANCELED)
        return;
    ck_assert_int_eq(err, 0);
    if (n > 10000 && m->got % 3 == 0)
        n = 10000; /* leave something */
    ck_assert(rig_same(data, n, m->got));
    m->got += n;
    sonic_stream_consume(s, n);
    if (m->got < m->to_read)
        sonic_stream_lend(s, 1, 0, on_mill_lent, m);
}

/* Both write megabytes at once and read them: neither waits for the other. */
START_TEST(large_both_ways)
{
    struct kit_ends e;
    struct mill *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);

    rig_open(&r, _i / 2);
    kit_connect(&r, &e, _i % 2);
    *a = (struct mill){.s = e.client, .to_write = 5 << 20, .to_read = 3 << 20};
    *b = (struct mill){.s = e.server, .to_write = 3 << 20, .to_read = 5 << 20};
    mill_write(a);
    mill_write(b);
    sonic_stream_lend(a->s, 1, 0, on_mill_lent, a);
    sonic_stream_lend(b->s, 1, 0, on_mill_lent, b);
    RIG_UNTIL(&r, a->got == a->to_read && b->got == b->to_read &&
                      a->wrote == a->to_write && b->wrote == b->to_write);
    kit_end(&e);
    rig_close(&r);
    free(a);
    free(b);
}
END_TEST

/* ---- back-pressure ---------------------------------------------------- */

/* A peer that reads nothing: a write is complete only when the system has it,
 * and what waits in ciphertext is bounded. */
START_TEST(writes_wait)
{
    enum { MANY = 8 << 20 };
    struct kit_ends e;
    struct outcome o = {0}, d = {0};
    unsigned char *p = malloc(MANY);
    sonic_stream *below;

    rig_fill(p, MANY, 0);
    rig_open(&r, _i / 2);
    kit_connect(&r, &e, _i % 2);
    below = sonic_stream_next_layer(e.client);
    sonic_stream_async_write(e.client, p, MANY, on_outcome, &o);
    sonic_stream_async_drain(e.client, on_outcome, &d);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 0);
    ck_assert_uint_eq(d.calls, 0);
    ck_assert_uint_gt(sonic_stream_queued(below), 0);
    ck_assert_uint_lt(sonic_stream_queued(below), 400 << 10);
    ck_assert_uint_gt(sonic_stream_queued(e.client),
                      sonic_stream_queued(below));
    for (size_t got = 0; got < MANY;) {
        struct outcome in = {0};

        sonic_stream_async_read(e.server, p, 60000, on_outcome, &in);
        RIG_UNTIL(&r, in.calls == 1);
        ck_assert_int_eq(in.err, 0);
        ck_assert(rig_same(p, in.n, got));
        got += in.n;
    }
    RIG_UNTIL(&r, o.calls == 1 && d.calls == 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert_uint_eq(o.n, MANY);
    ck_assert_uint_eq(sonic_stream_queued(e.client), 0);
    kit_end(&e);
    rig_close(&r);
    free(p);
}
END_TEST

/* A write that is complete is with the system: closing loses nothing. */
START_TEST(complete_means_gone)
{
    enum { MUCH = 3 << 20 };
    struct kit_ends e;
    struct outcome o = {0}, in = {0};
    unsigned char *p = malloc(MUCH), *q = malloc(MUCH + 1);

    rig_fill(p, MUCH, 0);
    rig_open(&r, _i / 2);
    kit_connect(&r, &e, _i % 2);
    sonic_stream_async_write(e.client, p, MUCH, on_outcome, &o);
    sonic_stream_async_read_all(e.server, q, MUCH + 1, on_outcome, &in);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, 0);
    sonic_stream_free(e.client);
    RIG_UNTIL(&r, in.calls == 1);
    ck_assert_int_eq(in.err, SONIC_EOF);
    ck_assert_uint_eq(in.n, MUCH);
    ck_assert_mem_eq(p, q, MUCH);
    sonic_stream_free(e.server);
    rig_close(&r);
    free(p);
    free(q);
}
END_TEST

/* …and when it never gets there, it says so. */
START_TEST(writes_that_never_get_there)
{
    enum { MUCH = 4 << 20 };
    struct kit_ends e;
    struct outcome o = {0}, z = {0};
    unsigned char *p = calloc(1, MUCH);

    rig_open(&r, _i / 3 % 2);
    kit_connect(&r, &e, 1);
    sonic_stream_async_write(e.client, p, MUCH, on_outcome, &o);
    sonic_stream_async_write(e.client, "", 0, on_outcome, &z);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 0);
    if (_i % 3 == 0)
        sonic_stream_free(e.server); /* unread bytes: a reset */
    else if (_i % 3 == 1)
        sonic_stream_close(e.client);
    else
        sonic_stream_reset(e.client);
    RIG_UNTIL(&r, o.calls == 1 && z.calls == 1);
    if (_i % 3 == 0) {
        ck_assert(o.err == -ECONNRESET || o.err == -EPIPE);
        sonic_stream_free(e.client);
    } else {
        ck_assert_int_eq(o.err, -ECANCELED);
        kit_end(&e);
    }
    ck_assert_int_lt(z.err, 0);
    rig_close(&r);
    free(p);
}
END_TEST

/* All of it is encrypted and waits below. */
START_TEST(writes_that_wait_below)
{
    enum { SOME = 200 << 10 };
    struct kit_ends e;
    struct outcome o = {0};
    unsigned char *p = calloc(1, SOME);
    int size = 8192;

    rig_open(&r, 0);
    kit_connect(&r, &e, 0);
    setsockopt(sonic_stream_fd(e.client), SOL_SOCKET, SO_SNDBUF, &size,
               sizeof size);
    sonic_stream_async_write(e.client, p, SOME, on_outcome, &o);
    rig_settle(&r);
    ck_assert_uint_eq(o.calls, 0);
    if (_i == 0)
        sonic_stream_close(e.client);
    else
        sonic_stream_reset(e.client);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, -ECANCELED);
    kit_end(&e);
    rig_close(&r);
    free(p);
}
END_TEST

/* ---- other ways ------------------------------------------------------- */

/* readv and writev. */
START_TEST(scattered)
{
    struct kit_ends e;
    struct outcome o = {0}, w = {0};
    static char a[100], b[20000], c[30000], d[40000];
    struct iovec out[4] = {{a, 100}, {NULL, 0}, {b, 20000}, {c, 1}},
                 in[3] = {{c, 50}, {NULL, 0}, {d, 40000}};

    rig_open(&r, _i / 2);
    kit_connect(&r, &e, _i % 2);
    rig_fill(a, 100, 0);
    rig_fill(b, 20000, 100);
    rig_fill(c, 1, 20100);
    sonic_stream_async_writev(e.client, out, 4, on_outcome, &w);
    RIG_UNTIL(&r, w.calls == 1);
    ck_assert_uint_eq(w.n, 20101);
    for (size_t got = 0; got < 20101; got += o.n) {
        memset(&o, 0, sizeof o);
        sonic_stream_async_readv(e.server, in, 3, on_outcome, &o);
        RIG_UNTIL(&r, o.calls == 1);
        ck_assert_int_eq(o.err, 0);
        if (o.n > 50) {
            ck_assert(rig_same(c, 50, got));
            ck_assert(rig_same(d, o.n - 50, got + 50));
        } else {
            ck_assert(rig_same(c, o.n, got));
        }
    }
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* ---- rubbish ---------------------------------------------------------- */

START_TEST(not_tls)
{
    static const char *const said[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff\xff\x01",
        "\x17\x03\x03\x00\x05hello", "\x80\x2e\x01\x03\x01", "x"};
    sonic_tls_context *s;

    rig_open(&r, 0);
    s = kit_server(r.io);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        size_t n = i == 1 ? 6 : i == 2 ? 10 : i == 3 ? 5 : strlen(said[i]);
        struct outcome o = {0};
        sonic_stream *server;
        int fd[2];

        rig_pair(fd);
        ck_assert_int_eq(sonic_tls_new(s, rig_adopt(&r, fd[0]), NULL, &server),
                         0);
        sonic_tls_async_handshake(server, on_outcome, &o);
        rig_put(fd[1], said[i], n);
        rig_settle(&r);
        if (o.calls == 0) /* it could still become TLS */
            shutdown(fd[1], SHUT_WR);
        RIG_UNTIL(&r, o.calls == 1);
        ck_assert_msg(o.err == SONIC_ETLS_PROTOCOL ||
                          o.err == SONIC_ETLS_VERSION ||
                          o.err == SONIC_ETLS_TRUNCATED,
                      "%zu: %s", i, sonic_errname(o.err));
        ck_assert_str_ne(sonic_tls_reason(server), "");
        sonic_stream_free(server);
        close(fd[1]);
    }
    sonic_tls_context_free(s);
    rig_close(&r);
}
END_TEST

/* A byte of a record is not what was sent. */
START_TEST(damage_is_found)
{
    struct cut c;
    struct outcome o = {0};
    sonic_tls_context *client, *server;
    size_t at = 0;
    char buf[64];
    ssize_t n;

    rig_open(&r, 0);
    client = kit_client(r.io);
    server = kit_server(r.io);
    cut_begin(&c, client, server);
    while (c.e.c.calls == 0 || c.e.s.calls == 0) {
        rig_settle(&r);
        hand_on(c.a, c.b, &at, 0);
        rig_settle(&r);
        hand_on(c.b, c.a, &at, 0);
    }
    sonic_stream_async_read(c.e.server, buf, sizeof buf, on_outcome, &o);
    ck_assert_int_eq(sonic_stream_send(c.e.client, "precious", 8), 0);
    rig_settle(&r);
    n = recv(c.a, buf, sizeof buf, 0);
    ck_assert_int_gt(n, 12);
    buf[n - 3] ^= 1;
    rig_put(c.b, buf, (size_t)n);
    RIG_UNTIL(&r, o.calls == 1);
    ck_assert_int_eq(o.err, SONIC_ETLS_PROTOCOL);
    ck_assert_int_eq(sonic_stream_send(c.e.server, "x", 1), 0);
    ck_assert_int_lt(sonic_stream_flush(c.e.server), 0); /* it is over */
    sonic_stream_async_read(c.e.server, buf, sizeof buf, on_outcome, &o);
    RIG_UNTIL(&r, o.calls == 2);
    ck_assert_int_eq(o.err, SONIC_ETLS_PROTOCOL);
    cut_end(&c);
    sonic_tls_context_free(client);
    sonic_tls_context_free(server);
    rig_close(&r);
}
END_TEST

static void
add_cases(TCase *tc)
{
    tcase_set_timeout(tc, 120); /* thousands of handshakes */
    tcase_add_loop_test(tc, cut_at_every_byte, 0, 2);
    tcase_add_loop_test(tc, large_both_ways, 0, 2 * RIG_BACKENDS);
    tcase_add_loop_test(tc, writes_wait, 0, 2 * RIG_BACKENDS);
    tcase_add_loop_test(tc, complete_means_gone, 0, 2 * RIG_BACKENDS);
    tcase_add_loop_test(tc, writes_that_never_get_there, 0, 3 * RIG_BACKENDS);
    tcase_add_loop_test(tc, writes_that_wait_below, 0, 2);
    tcase_add_loop_test(tc, scattered, 0, 2 * RIG_BACKENDS);
    tcase_add_test(tc, not_tls);
    tcase_add_test(tc, damage_is_found);
}

int
main(void)
{
    Suite *suite = suite_create("tls_data");

    kit_add(suite, add_cases);
    return rig_main(suite);
}
