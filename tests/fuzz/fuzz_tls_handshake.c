/* Any bytes to either end of a handshake, and after one that cannot succeed:
 * it is told once, with an error, however the bytes are cut.
 *
 * The input: the role, where to cut, then the bytes. */
#include <stdlib.h>
#include <string.h>

#include <sonicio/sim.h>
#include <sonicio/tls.h>

#include "certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct certificate certificate;

static void
must(bool holds)
{
    if (!holds)
        abort();
}

struct told {
    unsigned calls;
    int err;
};

static void
on_told(sonic_stream *s, int err, size_t n, void *ud)
{
    struct told *t = ud;

    must(n == 0 && sonic_tls_reason(s) != NULL);
    t->calls++;
    t->err = err;
}

static sonic_tls_context *
make_context(sonic_io *io, bool client)
{
    sonic_tls_certificate own = {.chain = certificate.pem,
                                 .chain_len = certificate.pem_len,
                                 .key = certificate.key_pem,
                                 .key_len = certificate.key_len};
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_context *ctx;

    if (client) {
        opt.ca = certificate.pem;
        opt.ca_len = certificate.pem_len;
    } else {
        opt.certificates = &own;
        opt.n_certificates = 1;
    }
    must(sonic_tls_context_new(io, client ? SONIC_TLS_CLIENT : SONIC_TLS_SERVER,
                               &opt, &ctx, NULL, 0) == 0);
    return ctx;
}

static void
settle(sonic_io *io)
{
    while (sonic_io_poll(io) > 0)
        ;
}

static void
play(bool client, const uint8_t *data, size_t size, size_t piece)
{
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_io_options io_opt = SONIC_IO_OPTIONS_INIT;
    struct told told = {0};
    sonic_tls_context *ctx;
    sonic_stream *below, *tls;
    const sonic_sys *k;
    sonic_sim *sim;
    sonic_io *io;
    int fd[2];

    must(sonic_sim_new(&sim, NULL) == 0);
    io_opt.sys = k = sonic_sim_sys(sim);
    io_opt.buffer_size = 1 << 17;
    must(sonic_io_new(&io, &io_opt) == 0 && sonic_sim_pair(sim, fd) == 0);
    must(sonic_stream_adopt(io, fd[0], &below) == 0);
    ctx = make_context(io, client);
    opt.server_name = "localhost";
    must(sonic_tls_new(ctx, below, &opt, &tls) == 0);
    sonic_tls_context_free(ctx);
    sonic_tls_async_handshake(tls, on_told, &told);
    settle(io);
    while (size > 0) {
        size_t n = size < piece ? size : piece;

        if (k->send(fd[1], data, n, MSG_NOSIGNAL, k->ud) <= 0)
            break;
        data += n;
        size -= n;
        settle(io);
    }
    must(told.calls <= 1);
    k->close(fd[1], k->ud);
    settle(io);
    must(told.calls == 1 && told.err < 0);
    sonic_stream_free(tls);
    sonic_io_free(io);
    must(sonic_sim_free(sim, NULL) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct certificate_wish wish = {.name = "fuzz",
                                          .names = "DNS:localhost"};

    if (size < 2 || size > 20000)
        return 0;
    if (certificate.x509 == NULL)
        must(certificate_make(&wish, &certificate));
    play(data[0] & 1, data + 2, size - 2, data[1] * 8u + 1);
    return 0;
}
