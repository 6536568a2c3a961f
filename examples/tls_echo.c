/* tls_echo - an echo server over TLS, and one client
 *
 *     tls_echo                             both ends, over loopback
 *     tls_echo server ADDRESS CERT KEY     the server, until it is killed
 *     tls_echo client HOST:PORT [CA]       the client; CA: whom to trust
 *
 * TLS is a stream over a stream: once it has shaken hands it is read and
 * written as TCP is (compare tcp_echo).  The certificate below is for this
 * example alone: its key is known to everybody. */
#include <stdio.h>
#include <string.h>

#include <sonicio/sonicio.h>

static const char question[] = "is anybody there, in private?";

static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBYTCCAQegAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv\n"
    "c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM\n"
    "CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABK4Dhn9XAK61RrG0\n"
    "fYm7F093E9yBrhGShl1xkB5Ne4K7J2/fMfBp/WqFwElmmsMqw84RdXFaBnVpf5mA\n"
    "mYNfvuCjSDBGMA8GA1UdEwEB/wQFMAMBAf8wFAYDVR0RBA0wC4IJbG9jYWxob3N0\n"
    "MB0GA1UdDgQWBBSOmbpuXwws3OCR93m5jNrF8WhIRzAKBggqhkjOPQQDAgNIADBF\n"
    "AiBaKF3qtq1gQbaX55vTaDiiAM5P/YpmIX/bxUVX2jfr+gIhALRua0NxOJyIxvdW\n"
    "iFCiYoAWeo08K3qP/MSLuM68MF1K\n"
    "-----END CERTIFICATE-----\n";
static const char key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcyx5kNcnzUd5fIbH\n"
    "KfJGSR4RjF805dXZfZFnV2pHy5OhRANCAASuA4Z/VwCutUaxtH2JuxdPdxPcga4R\n"
    "koZdcZAeTXuCuydv3zHwaf1qhcBJZprDKsPOEXVxWgZ1aX+ZgJmDX77g\n"
    "-----END PRIVATE KEY-----\n";

/* ---- server ----------------------------------------------------------- */

static void
on_bytes(sonic_stream *tls, int err, uint8_t *data, size_t len, void *ud)
{
    if (err < 0 || sonic_stream_send(tls, data, len) < 0) {
        sonic_stream_free(tls); /* and what is below it */
        return;
    }
    sonic_stream_consume(tls, len);
    sonic_stream_lend(tls, 1, 0, on_bytes, ud);
}

static void
on_handshake(sonic_stream *tls, int err, size_t n, void *ud)
{
    (void)n;
    if (err == 0) {
        sonic_stream_lend(tls, 1, 0, on_bytes, ud);
        return;
    }
    fprintf(stderr, "a client failed: %s: %s\n", sonic_strerror(err),
            sonic_tls_reason(tls));
    sonic_stream_free(tls);
}

static void
on_accept(sonic_listener *listener, int err, sonic_stream *peer, void *ud)
{
    sonic_tls_context *ctx = ud;
    sonic_stream *tls;

    if (err == SONIC_ECLOSED || err == -ECANCELED) { /* the io ends */
        sonic_tls_context_free(ctx);
        return;
    }
    if (err == 0 && sonic_tls_new(ctx, peer, NULL, &tls) == 0)
        sonic_tls_async_handshake(tls, on_handshake, NULL);
    else if (err == 0)
        sonic_stream_free(peer);
    sonic_listener_async_accept(listener, on_accept, ctx);
}

static int
serve(sonic_io *io, const char *address, const sonic_tls_certificate *cert,
      char *bound)
{
    sonic_tls_context_options opt = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_context *ctx;
    sonic_listener *listener;
    sonic_address at;
    char why[128] = "";
    int err;

    opt.certificates = cert;
    opt.n_certificates = 1;
    err = sonic_tls_context_new(io, SONIC_TLS_SERVER, &opt, &ctx, why,
                                sizeof why);
    if (err < 0) {
        fprintf(stderr, "%s\n", why);
        return err;
    }
    err = sonic_listener_new(io, address, NULL, &listener);
    if (err == 0)
        err = sonic_listener_address(listener, &at);
    if (err < 0) {
        sonic_tls_context_free(ctx);
        return err;
    }
    sonic_address_format(&at, bound, SONIC_ADDRESS_TEXT);
    printf("listening on %s\n", bound);
    sonic_listener_async_accept(listener, on_accept, ctx);
    return 0;
}

/* ---- client, in the blocking style ------------------------------------ */

/* The stream over `below`, handshake done; on an error nothing is left. */
static int
secure(sonic_tls_context *ctx, sonic_stream *below, const char *host,
       sonic_stream **out)
{
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    int err;

    opt.server_name = host; /* asked for, and verified */
    err = sonic_tls_new(ctx, below, &opt, out);
    if (err < 0) {
        sonic_stream_free(below);
        return err;
    }
    err = sonic_tls_handshake(*out);
    if (err < 0) {
        fprintf(stderr, "%s\n", sonic_tls_reason(*out));
        sonic_stream_free(*out);
    }
    return err;
}

static int
ask(sonic_io *io, const sonic_tls_context_options *trust, const char *address,
    const char *host)
{
    char answer[sizeof question] = "";
    sonic_tls_context *ctx;
    sonic_stream *s;
    int err = sonic_tls_context_new(io, SONIC_TLS_CLIENT, trust, &ctx, NULL, 0);

    if (err < 0)
        return err;
    err = sonic_stream_new(io, &s);
    if (err == 0)
        err = sonic_stream_connect(s, address, NULL); /* s goes with the io */
    if (err == 0)
        err = secure(ctx, s, host, &s);
    sonic_tls_context_free(ctx); /* the stream keeps what it needs of it */
    if (err < 0)
        return err;
    printf("%s, %s\n", sonic_tls_version_name(s), sonic_tls_cipher_name(s));
    err = sonic_stream_write(s, question, strlen(question), NULL);
    if (err == 0)
        err = sonic_stream_read_all(s, answer, strlen(question), NULL);
    if (err == 0)
        printf("the echo: %s\n", answer);
    if (err == 0 && strcmp(answer, question) != 0)
        err = -EPROTO;
    sonic_stream_free(s);
    return err;
}

/* "example.org" of "example.org:443" */
static void
host_of(const char *address, char *host, size_t cap)
{
    size_t n = strcspn(address, ":");

    snprintf(host, cap, "%.*s", (int)n, address);
}

int
main(int argc, char **argv)
{
    sonic_tls_context_options trust = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_certificate cert = {.chain = certificate,
                                  .chain_len = sizeof certificate - 1,
                                  .key = key,
                                  .key_len = sizeof key - 1};
    char address[SONIC_ADDRESS_TEXT] = "127.0.0.1:0", host[256];
    const char *role = argc > 2 ? argv[1] : "both";
    sonic_io *io = NULL;
    int err = sonic_io_new(&io, NULL);

    if (err == 0 && strcmp(role, "client") == 0) {
        host_of(argv[2], host, sizeof host);
        trust.ca_file = argc > 3 ? argv[3] : NULL; /* NULL: the system's */
        err = ask(io, &trust, argv[2], host);
    } else if (err == 0 && strcmp(role, "server") == 0 && argc > 4) {
        cert =
            (sonic_tls_certificate){.chain_file = argv[3], .key_file = argv[4]};
        err = serve(io, argv[2], &cert, address);
        if (err == 0)
            err = sonic_io_run(io);
    } else if (err == 0) {
        trust.ca = certificate;
        trust.ca_len = sizeof certificate - 1;
        err = serve(io, address, &cert, address);
        if (err == 0)
            err = ask(io, &trust, address, "localhost");
    }
    if (err < 0)
        fprintf(stderr, "tls_echo: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err == SONIC_ENOTLS ? 77 : err < 0; /* 77: make check skips it */
}
