/* kTLS: data through the kernel, with peers that know nothing of it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/ktls_kit.h"

static struct rig r;

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256",
                                     "TLS_AES_256_GCM_SHA384",
                                     "TLS_CHACHA20_POLY1305_SHA256"};
enum { SUITES = 3, BIG = 1 << 20 };

/* Both directions of both ends, with each cipher. */
START_TEST(is_active)
{
    for (int i = 0; i < SUITES; i++) {
        struct kit_ends e;

        ktls_open(&r, _i);
        ktls_connect(&r, &e, suites[i]);
        ck_assert_str_eq(sonic_tls_ktls(e.server), "active");
        ck_assert_str_eq(sonic_tls_ktls(e.client), "active");
        ck_assert_str_eq(sonic_tls_cipher_name(e.client), suites[i]);
        ck_assert_str_eq(sonic_tls_version_name(e.server), "TLSv1.3");
        kit_talk(&r, &e);
        kit_talk(&r, &e);
        if (!ktls_is_real(_i))
            ck_assert_uint_eq(ktls_sim.keys, 4);
        kit_end(&e);
        ktls_close(&r);
    }
}
END_TEST

/* n bytes from one end to the other by one write, with its completion. */
static void
move(sonic_stream *from, sonic_stream *to, size_t n)
{
    static uint8_t a[BIG], b[BIG];
    struct outcome w = {0}, o = {0};

    rig_fill(a, n, n);
    memset(b, 0, n);
    sonic_stream_async_write(from, a, n, on_outcome, &w);
    sonic_stream_async_read_all(to, b, n, on_outcome, &o);
    RIG_UNTIL(&r, w.calls == 1 && o.calls == 1);
    ck_assert_int_eq(w.err, 0);
    ck_assert_uint_eq(w.n, n);
    ck_assert_int_eq(o.err, 0);
    ck_assert(rig_same(b, n, n));
}

START_TEST(carries_all_sizes)
{
    static const size_t sizes[] = {1,     2,     255,   16383, 16384, 16385,
                                   32768, 40000, 65536, 99999, BIG};
    struct kit_ends e;

    ktls_open(&r, _i);
    ktls_connect(&r, &e, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        move(e.client, e.server, sizes[i]);
        move(e.server, e.client, sizes[i]);
    }
    kit_end(&e);
    ktls_close(&r);
}
END_TEST

/* A kernel that takes and gives a little at a time. */
START_TEST(carries_in_parts)
{
    struct kit_ends e;

    for (size_t part = 1; part <= 5000; part = part * 7 + 1) {
        ktls_open(&r, _i);
        ktls_connect(&r, &e, NULL);
        ktls_sim.max_take = part;
        ktls_sim.max_give = part * 2 - 1;
        move(e.client, e.server, part < 100 ? 500 : 100000);
        ktls_sim.max_take = part * 2 - 1;
        ktls_sim.max_give = part;
        move(e.server, e.client, part < 100 ? 500 : 100000);
        kit_end(&e);
        ktls_close(&r);
    }
}
END_TEST

START_TEST(speaks_with_openssl)
{
    for (int role = 0; role < 2; role++)
        for (int i = 0; i < SUITES; i++) {
            struct ktls_peer p;
            struct outcome o = {0};
            uint8_t c, last[4];
            sonic_stream *s;

            ktls_open(&r, _i);
            s = ktls_meet(&r, &p, (enum sonic_tls_role)role, suites[i]);
            ktls_swap(&p, s, 1);
            ck_assert_str_eq(sonic_tls_ktls(s), "active");
            ktls_swap(&p, s, 16384);
            ktls_swap(&p, s, 100001);
            ktls_swap(&p, s, BIG);
            /* one after the other, each side says that it has finished */
            ck_assert_int_eq(SSL_shutdown(p.ssl), 0);
            sonic_stream_async_read(s, &c, 1, on_outcome, &o);
            RIG_UNTIL(&r, o.calls == 1);
            ck_assert_int_eq(o.err, SONIC_EOF);
            ck_assert_int_eq(sonic_stream_send(s, "last", 4), 0);
            ck_assert_int_eq(sonic_stream_shutdown(s), 0);
            ck_assert_int_eq(ktls_peer_reads(&p, last, 4), 0);
            ck_assert_mem_eq(last, "last", 4);
            ck_assert_int_eq(ktls_peer_reads(&p, last, 1),
                             SSL_ERROR_ZERO_RETURN);
            sonic_stream_free(s);
            ktls_leave(&p);
            ktls_close(&r);
        }
}
END_TEST

/* ---- no copies, no allocations ---------------------------------------- */

/* What is written goes to the kernel from where it lies. */
START_TEST(copies_nothing)
{
    static uint8_t a[100000], b[100000];
    struct outcome w = {0}, o = {0};
    struct kit_ends e;

    ktls_open(&r, _i);
    ktls_connect(&r, &e, NULL);
    rig_fill(a, sizeof a, 0);
    sonic_stream_async_write(e.client, a, sizeof a, on_outcome, &w);
    sonic_stream_async_read_all(e.server, b, sizeof b, on_outcome, &o);
    RIG_UNTIL(&r, w.calls == 1 && o.calls == 1);
    ck_assert((const uint8_t *)ktls_sim.from >= a &&
              (const uint8_t *)ktls_sim.from + ktls_sim.from_n <= a + sizeof a);
    ck_assert(rig_same(b, sizeof b, 0));
    kit_end(&e);
    ktls_close(&r);
}
END_TEST

START_TEST(allocates_nothing)
{
    struct kit_ends e;
    unsigned long allocs = 0, sends = 0, recvs = 0;
    char buf[64];

    ktls_open(&r, _i);
    ktls_connect(&r, &e, NULL);
    sonic_stream_lend(e.server, 1, 0, rig_echo, NULL);
    for (int round = 0; round < 40; round++) {
        struct outcome o = {0};

        if (round == 8) {
            allocs = r.hook.allocs;
            sends = hook_calls(&r.hook, HOOK_send);
            recvs = hook_calls(&r.hook, HOOK_recv);
        }
        sonic_stream_async_read_all(e.client, buf, 20, on_outcome, &o);
        ck_assert_int_eq(
            sonic_stream_send(e.client, "twenty bytes, no more", 20), 0);
        RIG_UNTIL(&r, o.calls == 1);
        ck_assert_int_eq(o.err, 0);
    }
    ck_assert_uint_eq(r.hook.allocs, allocs);
    /* A round: a send each; a receive, and one that says there is no more. */
    ck_assert_uint_eq(hook_calls(&r.hook, HOOK_send) - sends, 2 * 32);
    ck_assert_uint_le(hook_calls(&r.hook, HOOK_recv) - recvs, 4 * 32);
    kit_end(&e);
    ktls_close(&r);
}
END_TEST

/* ---- refusals --------------------------------------------------------- */

static void
refused(int index, const char *words, const char *peer_words)
{
    struct kit_ends e;

    (void)index;
    ktls_connect(&r, &e, NULL);
    ck_assert_str_eq(sonic_tls_ktls(e.server), words);
    ck_assert_str_eq(sonic_tls_ktls(e.client), peer_words);
    move(e.client, e.server, 100000);
    move(e.server, e.client, 100000);
    kit_talk(&r, &e);
    kit_end(&e);
}

/* Where the kernel refuses a step, encryption stays where it was. */
START_TEST(refusals_do_no_harm)
{
    static const struct {
        int ulp, tx, rx;
        const char *words;
    } table[] = {
        {-ENOENT, 0, 0, "the kernel has no tls module"},
        {-ENOPROTOOPT, 0, 0, "the kernel knows no protocols above TCP"},
        {-ENOTCONN, 0, 0, "the connection has ended already"},
        {-EEXIST, 0, 0, "the socket has another protocol above TCP"},
        {-EPERM, 0, 0, "the kernel does not allow it"},
        {-ENOMEM, 0, 0, "the kernel refuses it for this socket"},
        {0, -ENOENT, 0, "the kernel does not know this version or cipher"},
        {0, -EINVAL, 0, "the kernel does not know this version or cipher"},
        {0, -ENOPROTOOPT, 0, "the kernel has no TLS of this kind"},
        {0, -EBUSY, 0, "the socket is encrypted already"},
        {0, -ENOMEM, 0, "the kernel refuses the keys"},
        {0, 0, -EOPNOTSUPP,
         "active for sending only: the kernel does not open records"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ktls_open(&r, _i);
        ktls_sim.ulp_error = table[i].ulp;
        ktls_sim.tx_error = table[i].tx;
        ktls_sim.rx_error = table[i].rx;
        refused(_i, table[i].words, table[i].words);
        ktls_close(&r);
    }
}
END_TEST

/* A client that got no kTLS still has its tickets. */
START_TEST(refusal_keeps_resumption)
{
    struct kit_ends e;
    sonic_tls_context *c, *s;

    ktls_open(&r, _i);
    ktls_sim.ulp_error = -ENOENT;
    c = ktls_context(r.io, SONIC_TLS_CLIENT, NULL);
    s = ktls_context(r.io, SONIC_TLS_SERVER, NULL);
    for (int i = 0; i < 2; i++) {
        kit_shake(&r, &e, 1, c, s, NULL, 0, 0);
        ck_assert_int_eq(sonic_tls_resumed(e.client), i == 1);
        kit_talk(&r, &e);
        kit_end(&e);
        rig_settle(&r);
    }
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
    ktls_close(&r);
}
END_TEST

START_TEST(what_is_not_for_the_kernel)
{
    sonic_tls_context *c, *s;
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    struct kit_ends e;

    ktls_open(&r, _i);
    s = ktls_context(r.io, SONIC_TLS_SERVER, NULL);
    opt.ca = kit.root.pem;
    opt.ca_len = kit.root.pem_len;
    opt.max_version = SONIC_TLS_1_2;
    opt.ktls = SONIC_ON;
    c = kit_context(r.io, SONIC_TLS_CLIENT, &opt);
    kit_shake(&r, &e, 1, c, s, NULL, 0, 0);
    ck_assert_str_eq(sonic_tls_ktls(e.client), "TLS 1.2 stays with OpenSSL");
    ck_assert_str_eq(sonic_tls_ktls(e.server), "TLS 1.2 stays with OpenSSL");
    kit_talk(&r, &e);
    kit_end(&e);
    sonic_tls_context_free(c);
    c = ktls_context(r.io, SONIC_TLS_CLIENT, NULL);
    kit_shake(&r, &e, 0, c, s, NULL, 0, 0);
    ck_assert_str_eq(sonic_tls_ktls(e.client), "the stream below is not TCP");
    kit_talk(&r, &e);
    kit_end(&e);
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
    ktls_close(&r);
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("ktls");
    TCase *tc = tcase_create("ktls");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, kit_open, kit_close);
    ktls_add(tc, is_active);
    ktls_add(tc, carries_all_sizes);
    ktls_add_sim(tc, carries_in_parts);
    ktls_add(tc, speaks_with_openssl);
    ktls_add_sim(tc, copies_nothing);
    ktls_add(tc, allocates_nothing);
    ktls_add_sim(tc, refusals_do_no_harm);
    ktls_add_sim(tc, refusal_keeps_resumption);
    ktls_add(tc, what_is_not_for_the_kernel);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return rig_main(suite());
}
