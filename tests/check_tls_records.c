/* Records and system calls: what one dispatch makes of them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/tls_kit.h"

static struct rig r;

/* Records that wait at fd, without taking them: how many, and the bytes of
 * the longest. */
static unsigned
count_records(const unsigned char *p, size_t n, size_t *longest)
{
    unsigned count = 0;
    size_t at = 0;

    *longest = 0;
    while (at + 5 <= n) {
        size_t len = (size_t)p[at + 3] << 8 | p[at + 4];

        if (len > *longest)
            *longest = len;
        at += 5 + len;
        count++;
    }
    ck_assert_uint_eq(at, n);
    return count;
}

struct burst {
    unsigned n;
    size_t size;
    unsigned calls;
};

static void
on_burst(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    struct burst *b = ud;
    unsigned char m[40000] = {1, 2, 3};

    (void)data;
    b->calls++;
    if (err < 0)
        return;
    sonic_stream_consume(s, len);
    for (unsigned i = 0; i < b->n; i++)
        ck_assert_int_ge(sonic_stream_send_framed(s, "head", 4, m, b->size), 0);
}

/* What one dispatch sends leaves in full records and one system call. */
START_TEST(records_are_filled)
{
    static const struct {
        struct burst b;
        unsigned records;
    } table[] = {
        {{1, 10, 0}, 1},
        {{100, 20, 0}, 1},    /* many small ones: one record */
        {{1000, 28, 0}, 2},   /* 32,000 bytes: two */
        {{1, 16380, 0}, 1},   /* with its head, just full */
        {{2, 40000, 0}, 5},   /* 80,008 bytes */
        {{16, 16380, 0}, 16}, /* 256 KiB: sixteen full ones */
        {{100, 4096, 0}, 26}, /* 410,000 bytes */
    };
    static unsigned char raw[1 << 20];

    rig_open(&r, _i);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct kit_ends e;
        struct burst b = table[i].b;
        unsigned long calls;
        size_t n = 0, longest;
        int fd, size = 2 << 20;

        kit_connect(&r, &e, 0);
        fd = sonic_stream_fd(e.client);
        setsockopt(sonic_stream_fd(e.server), SOL_SOCKET, SO_SNDBUF, &size,
                   sizeof size);
        sonic_stream_lend(e.server, 1, 0, on_burst, &b);
        ck_assert_int_eq(sonic_stream_send(e.client, "go", 2), 0);
        ck_assert_int_eq(sonic_stream_flush(e.client), 0);
        rig_settle(&r);
        recv(fd, raw, 0, MSG_DONTWAIT);
        /* TLS 1.3's tickets stand first: they are the rest of the handshake */
        calls =
            hook_calls(&r.hook, HOOK_send) + hook_calls(&r.hook, HOOK_sendmsg);
        ck_assert_uint_eq(b.calls, 1);
        for (;;) {
            ssize_t k = recv(fd, raw + n, sizeof raw - n, MSG_DONTWAIT);

            if (k > 0)
                n += (size_t)k;
            else if (sonic_stream_queued(e.server) > 0)
                rig_settle(&r);
            else
                break;
        }
        (void)calls;
        ck_assert_uint_eq(count_records(raw, n, &longest),
                          table[i].records + 2);
        ck_assert_uint_le(longest, 16384 + 17);
        kit_end(&e);
    }
    rig_close(&r);
}
END_TEST

static void
on_echo(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    unsigned *n = ud;

    if (err < 0)
        return;
    ++*n;
    for (size_t i = 0; i < len; i += 16)
        ck_assert_int_ge(sonic_stream_send(s, data + i, 16), 0);
    sonic_stream_consume(s, len);
    sonic_stream_lend(s, 1, 0, on_echo, ud);
}

/* Sixteen small messages in sixteen records arrive at once: one dispatch, one
 * receive, one send, no allocation but OpenSSL's own. */
START_TEST(one_dispatch_one_call)
{
    struct kit_ends e;
    unsigned n = 0;
    char buf[16 * 16];
    unsigned long recvs, sends, allocs;

    rig_open(&r, _i);
    kit_connect(&r, &e, 1);
    sonic_stream_lend(e.server, 1, 0, on_echo, &n);
    for (int round = 0; round < 4; round++) {
        struct outcome o = {0};
        unsigned before = n;

        sonic_stream_async_read_all(e.client, buf, sizeof buf, on_outcome, &o);
        for (int i = 0; i < 16; i++) { /* a record each */
            ck_assert_int_eq(
                sonic_stream_send(e.client, "sixteen bytes ..", 16), 0);
            ck_assert_int_eq(sonic_stream_flush(e.client), 0);
        }
        rig_settle(&r);
        RIG_UNTIL(&r, o.calls == 1);
        recvs = hook_calls(&r.hook, HOOK_recv);
        sends =
            hook_calls(&r.hook, HOOK_send) + hook_calls(&r.hook, HOOK_sendmsg);
        allocs = r.hook.allocs;
        if (round < 3)
            continue;
        before = n;
        memset(&o, 0, sizeof o);
        sonic_stream_async_read_all(e.client, buf, sizeof buf, on_outcome, &o);
        for (int i = 0; i < 16; i++) {
            ck_assert_int_eq(
                sonic_stream_send(e.client, "sixteen bytes ..", 16), 0);
            ck_assert_int_eq(sonic_stream_flush(e.client), 0);
        }
        sonic_stream_flush(sonic_stream_next_layer(e.client));
        RIG_UNTIL(&r, o.calls == 1);
        ck_assert_uint_eq(n, before + 1);
        ck_assert_uint_eq(r.hook.allocs, allocs);
        sends = hook_calls(&r.hook, HOOK_send) +
                hook_calls(&r.hook, HOOK_sendmsg) - sends;
        ck_assert_uint_eq(sends, 2); /* the client's and the server's */
        recvs = hook_calls(&r.hook, HOOK_recv) - recvs;
        ck_assert_uint_le(recvs, 4);
    }
    kit_end(&e);
    rig_close(&r);
}
END_TEST

/* D21: 10 KB that arrived together are there at once, however small the reads
 * are: nothing waits inside TLS for the socket to become readable again. */
START_TEST(nothing_stays_inside)
{
    struct kit_ends e;
    char buf[100];
    struct outcome w = {0};
    static char big[10240];

    rig_open(&r, _i);
    kit_connect(&r, &e, 1);
    sonic_stream_async_write(e.client, big, sizeof big, on_outcome, &w);
    RIG_UNTIL(&r, w.calls == 1);
    rig_await(sonic_stream_fd(e.server), POLLIN);
    for (size_t got = 0; got < sizeof big;) {
        struct outcome o = {0};
        unsigned long sleeps = r.hook.sleeps;

        sonic_stream_async_read(e.server, buf, sizeof buf, on_outcome, &o);
        while (o.calls == 0)
            ck_assert_int_ge(sonic_io_poll(r.io), 0); /* never waits */
        ck_assert_uint_eq(r.hook.sleeps, sleeps);
        ck_assert_int_eq(o.err, 0);
        got += o.n;
    }
    kit_end(&e);
    rig_close(&r);
}
END_TEST

static void
add_cases(TCase *tc)
{
    rig_add(tc, records_are_filled);
    rig_add(tc, one_dispatch_one_call);
    rig_add(tc, nothing_stays_inside);
}

int
main(void)
{
    Suite *suite = suite_create("tls_records");

    kit_add(suite, add_cases);
    return rig_main(suite);
}
