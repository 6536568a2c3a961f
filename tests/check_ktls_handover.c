/* kTLS: the moment of the hand-over. */
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "support/tls_crafted.h"

static struct rig r;

/* A client whose last flight the test sends, with more behind it. */
struct flight {
    struct crafted c;
    BIO *in, *out;
    uint8_t bytes[4096 + 2 * SEALED_MAX];
    size_t n; /* of the flight */
};

static void
fly(struct flight *f, int fd, const struct outcome *o)
{
    crafted_open(&f->c, &r, fd, false, NULL);
    f->in = BIO_new(BIO_s_mem());
    f->out = BIO_new(BIO_s_mem());
    SSL_set_bio(f->c.ssl, f->in, f->out);
    while (SSL_do_handshake(f->c.ssl) != 1) {
        uint8_t buf[8192];
        int k = BIO_read(f->out, buf, sizeof buf);
        ssize_t n;

        ERR_clear_error();
        if (k > 0)
            rig_put(fd, buf, (size_t)k);
        ck_assert_int_ge(sonic_io_run_one_for(r.io, MS), -ETIMEDOUT);
        n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n > 0)
            BIO_write(f->in, buf, (int)n);
    }
    ck_assert_uint_eq(o->calls, 0);
    f->n = (size_t)BIO_read(f->out, f->bytes, 4096);
    crafted_keys(&f->c);
}

/* Two records of data follow the handshake's last bytes, cut anywhere.  What
 * had come with them is opened by us, the rest by the kernel. */
START_TEST(cut_anywhere)
{
    static struct flight f;
    const char *text = "first and second";
    size_t size = 2 * (5 + 8 + 1 + 16);

    for (size_t cut = 0; cut <= size; cut++) {
        struct outcome hand, o;
        char buf[16];
        size_t n;
        int fd;
        sonic_stream *s;

        ktls_open(&r, _i);
        s = ktls_begin(&r, SONIC_TLS_SERVER, NULL, &fd, &hand);
        fly(&f, fd, &hand);
        n = f.n;
        n += crafted_seal(&f.c, DATA, text, 8, f.bytes + n);
        n += crafted_seal(&f.c, DATA, text + 8, 8, f.bytes + n);
        ck_assert_uint_eq(n, f.n + size);
        rig_put(fd, f.bytes, f.n + cut);
        RIG_UNTIL(&r, hand.calls == 1);
        ck_assert_int_eq(hand.err, 0);
        memset(&o, 0, sizeof o);
        sonic_stream_async_read_all(s, buf, 16, on_outcome, &o);
        rig_settle(&r);
        ck_assert_uint_eq(o.calls, cut == size);
        rig_put(fd, f.bytes + f.n + cut, n - f.n - cut);
        RIG_UNTIL(&r, o.calls == 1);
        ck_assert_int_eq(o.err, 0);
        ck_assert_mem_eq(buf, text, 16);
        crafted_says(&f.c, s, "from the server");
        crafted_hears(&f.c, s, "from the client");
        ck_assert_str_eq(sonic_tls_ktls(s), "active");
        sonic_stream_free(s);
        crafted_close(&f.c);
        ktls_close(&r);
    }
}
END_TEST

/* A KeyUpdate that we still open, behind which the kernel takes over. */
START_TEST(new_keys_before)
{
    static const uint8_t update[] = {24, 0, 0, 1, 0};
    static struct flight f;
    struct outcome hand;
    size_t n;
    int fd;
    sonic_stream *s;

    ktls_open(&r, _i);
    s = ktls_begin(&r, SONIC_TLS_SERVER, NULL, &fd, &hand);
    fly(&f, fd, &hand);
    n = f.n +
        crafted_seal(&f.c, HANDSHAKE, update, sizeof update, f.bytes + f.n);
    crafted_update(&f.c, true);
    rig_put(fd, f.bytes, n);
    RIG_UNTIL(&r, hand.calls == 1);
    crafted_hears(&f.c, s, "with the new key");
    ck_assert_str_eq(sonic_tls_ktls(s), "active");
    crafted_says(&f.c, s, "with ours");
    sonic_stream_free(s);
    crafted_close(&f.c);
    ktls_close(&r);
}
END_TEST

/* The system does not take what the handshake wrote: data waits until it has,
 * for sealing is the kernel's by then. */
START_TEST(sending_waits_for_the_handshake)
{
    static struct flight f;
    struct outcome hand, w = {0};
    int fd;
    sonic_stream *s;

    ktls_open(&r, _i);
    s = ktls_begin(&r, SONIC_TLS_SERVER, NULL, &fd, &hand);
    fly(&f, fd, &hand);
    rig_put(fd, f.bytes, f.n);
    rig_await(sonic_stream_fd(s), POLLIN);
    hook_fail(&r.hook, HOOK_send, -ENOBUFS, 4);
    RIG_UNTIL(&r, hand.calls == 1);
    ck_assert_str_eq(sonic_tls_ktls(s),
                     "what was written before is not out yet");
    sonic_stream_async_write(s, "one", 3, on_outcome, &w);
    ck_assert_int_eq(sonic_stream_send(s, "two", 3), 0);
    RIG_UNTIL(&r, w.calls == 1);
    ck_assert_int_eq(w.err, 0);
    crafted_expect(&f.c, DATA, "onetwo", 6);
    crafted_hears(&f.c, s, "from the client");
    ck_assert_str_eq(sonic_tls_ktls(s), "active");
    sonic_stream_free(s);
    crafted_close(&f.c);
    ktls_close(&r);
}
END_TEST

/* A wait may be what fails. */
static void
until_both(const struct outcome *a, const struct outcome *b)
{
    while (a->calls == 0 || b->calls == 0) {
        int k = sonic_io_run_one_for(r.io, RIG_PATIENCE);

        ck_assert(k >= 0 || r.hook.failed != HOOK_N);
    }
    ck_assert_uint_eq(a->calls, 1);
    ck_assert_uint_eq(b->calls, 1);
}

/* Every call that can fail does so once: one end each, and nothing is left. */
START_TEST(each_call_fails)
{
    bool failed = true;

    for (unsigned long n = 1; failed; n++) {
        struct outcome o, w = {0}, d = {0};
        struct crafted c;
        char buf[4];
        int fd;
        sonic_stream *s;

        ktls_open(&r, _i);
        s = ktls_begin(&r, SONIC_TLS_SERVER, NULL, &fd, &o);
        crafted_open(&c, &r, fd, false, NULL);
        crafted_shake(&c, &o);
        ck_assert_int_eq(o.err, 0);
        crafted_send(&c, DATA, "abcd", 4);
        crafted_send(&c, ALERT, "\1\0", 2);
        rig_await(sonic_stream_fd(s), POLLIN);
        hook_fail_nth(&r.hook, n);
        r.hook.failed = HOOK_N;
        sonic_stream_async_read_all(s, buf, 4, on_outcome, &d);
        sonic_stream_async_write(s, "efgh", 4, on_outcome, &w);
        until_both(&d, &w);
        if (d.err == 0) {
            ck_assert_mem_eq(buf, "abcd", 4);
            d.calls = 0;
            sonic_stream_async_read_all(s, buf, 1, on_outcome, &d);
            until_both(&d, &w);
        }
        (void)sonic_stream_shutdown(s);
        for (int i = 0; i < 3; i++)
            (void)sonic_io_poll(r.io);
        sonic_stream_free(s);
        for (int i = 0; i < 3; i++)
            (void)sonic_io_poll(r.io);
        failed = r.hook.fail_nth == 0;
        r.hook.fail_nth = 0;
        crafted_close(&c);
        ktls_close(&r);
    }
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("ktls_handover");
    TCase *tc = tcase_create("ktls_handover");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, kit_open, kit_close);
    ktls_add(tc, cut_anywhere);
    ktls_add(tc, new_keys_before);
    ktls_add(tc, sending_waits_for_the_handshake);
    ktls_add_sim(tc, each_call_fails);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return rig_main(suite());
}
