#include "ktls_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ktls_sim ktls_sim;

bool
ktls_is_here(void)
{
    FILE *f = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "r");
    char text[256] = "";
    bool here = f != NULL && fgets(text, sizeof text, f) != NULL &&
                strstr(text, "tls") != NULL;

    if (f != NULL)
        fclose(f);
    /* Set where the kernel was chosen for these tests. */
    if (getenv("SONIC_TEST_KTLS") != NULL && !here) {
        fputs("SONIC_TEST_KTLS is set, and the kernel has no tls\n", stderr);
        exit(EXIT_FAILURE);
    }
    return here;
}

bool
ktls_is_real(int index)
{
    return index >= RIG_BACKENDS;
}

void
ktls_open(struct rig *r, int index)
{
    ktls_sim_init(&ktls_sim);
    rig_open(r, index % RIG_BACKENDS);
    if (!ktls_is_real(index))
        r->hook.below = &ktls_sim.sys;
}

void
ktls_close(struct rig *r)
{
    rig_close(r);
    ktls_sim_fini(&ktls_sim);
}

sonic_tls_context *
ktls_context(sonic_io *io, enum sonic_tls_role role, const char *suites)
{
    sonic_tls_certificate own = kit_own(&kit.server);
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;

    opt.ktls = SONIC_ON;
    opt.ciphersuites = suites;
    if (role == SONIC_TLS_SERVER) {
        opt.certificates = &own;
        opt.n_certificates = 1;
    } else {
        opt.ca = kit.root.pem;
        opt.ca_len = kit.root.pem_len;
    }
    return kit_context(io, role, &opt);
}

sonic_stream *
ktls_begin(struct rig *r, enum sonic_tls_role role, const char *suites,
           int *peer, struct outcome *o)
{
    sonic_tls_context *ctx = ktls_context(r->io, role, suites);
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_stream *s;
    int fd[2];

    memset(o, 0, sizeof *o);
    opt.server_name = role == SONIC_TLS_CLIENT ? "localhost" : NULL;
    rig_tcp(fd);
    *peer = fd[1];
    ck_assert_int_eq(sonic_tls_new(ctx, rig_adopt(r, fd[0]), &opt, &s), 0);
    sonic_tls_context_free(ctx);
    ck_assert_str_eq(sonic_tls_ktls(s), "the handshake is not over");
    sonic_tls_async_handshake(s, on_outcome, o);
    return s;
}

void
ktls_connect(struct rig *r, struct kit_ends *e, const char *suites)
{
    sonic_tls_context *c = ktls_context(r->io, SONIC_TLS_CLIENT, suites),
                      *s = ktls_context(r->io, SONIC_TLS_SERVER, suites);

    kit_shake(r, e, 1, c, s, NULL, 0, 0);
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
}

/* ---- OpenSSL at the other end ------------------------------------------ */

sonic_stream *
ktls_meet(struct rig *r, struct ktls_peer *p, enum sonic_tls_role role,
          const char *suite)
{
    struct outcome o;
    sonic_stream *s = ktls_begin(r, role, suite, &p->fd, &o);
    bool server = role == SONIC_TLS_CLIENT;

    p->r = r;
    p->ctx = kit_raw_context(server);
    p->ssl = kit_raw(p->ctx, p->fd, server);
    ck_assert_int_eq(kit_raw_shake(r, p->ssl, &o), 1);
    ck_assert_int_eq(o.err, 0);
    return s;
}

void
ktls_leave(struct ktls_peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    close(p->fd);
}

static void
turn(const struct ktls_peer *p)
{
    ck_assert_int_ge(sonic_io_run_one_for(p->r->io, MS), -ETIMEDOUT);
}

int
ktls_peer_reads(struct ktls_peer *p, uint8_t *to, size_t n)
{
    for (size_t got = 0; got < n;) {
        int k = SSL_read(p->ssl, to + got, (int)(n - got));

        if (k > 0)
            got += (size_t)k;
        else if (SSL_get_error(p->ssl, k) != SSL_ERROR_WANT_READ)
            return SSL_get_error(p->ssl, k);
        else
            turn(p);
    }
    return 0;
}

void
ktls_peer_writes(struct ktls_peer *p, const uint8_t *from, size_t n)
{
    for (size_t put = 0; put < n;) {
        int k = SSL_write(p->ssl, from + put, (int)(n - put));

        if (k > 0)
            put += (size_t)k;
        else
            turn(p);
    }
}

void
ktls_swap(struct ktls_peer *p, sonic_stream *s, size_t n)
{
    static uint8_t a[KTLS_BIG], b[KTLS_BIG];
    struct outcome w = {0}, o = {0};

    rig_fill(a, n, 3);
    memset(b, 0, n);
    sonic_stream_async_write(s, a, n, on_outcome, &w);
    ck_assert_int_eq(ktls_peer_reads(p, b, n), 0);
    RIG_UNTIL(p->r, w.calls == 1);
    ck_assert_int_eq(w.err, 0);
    ck_assert(rig_same(b, n, 3));
    memset(b, 0, n);
    sonic_stream_async_read_all(s, b, n, on_outcome, &o);
    ktls_peer_writes(p, a, n);
    RIG_UNTIL(p->r, o.calls == 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert(rig_same(b, n, 3));
}
