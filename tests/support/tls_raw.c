#include "tls_raw.h"

#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

struct raw raw;

void
raw_open(void)
{
    memset(&raw, 0, sizeof raw);
    rig_open(&raw.r, 0);
    raw.own = kit_own(&kit.server);
    raw.so = (sonic_tls_context_options)SONIC_TLS_CONTEXT_OPTIONS_INIT;
    raw.so.certificates = &raw.own;
    raw.so.n_certificates = 1;
    raw.c = kit_raw_context(false);
}

/* Its handshake, with raw.so and raw.c as they are. */
void
raw_shake(SSL_SESSION *session)
{
    int fd[2];

    if (raw.s == NULL)
        raw.s = kit_context(raw.r.io, SONIC_TLS_SERVER, &raw.so);
    rig_pair(fd);
    raw.fd = fd[0];
    raw.client = kit_raw(raw.c, fd[0], false);
    if (session != NULL)
        SSL_set_session(raw.client, session);
    ck_assert_int_eq(SSL_set_tlsext_host_name(raw.client, "localhost"), 1);
    ck_assert_int_eq(
        sonic_tls_new(raw.s, rig_adopt(&raw.r, fd[1]), NULL, &raw.server), 0);
    memset(&raw.shook, 0, sizeof raw.shook);
    sonic_tls_async_handshake(raw.server, on_outcome, &raw.shook);
    ck_assert_int_eq(kit_raw_shake(&raw.r, raw.client, &raw.shook), 1);
    ck_assert_int_eq(raw.shook.err, 0);
}

void
raw_hang_up(void)
{
    sonic_stream_free(raw.server);
    SSL_set_shutdown(raw.client,
                     SSL_SENT_SHUTDOWN); /* its session stays good */
    SSL_free(raw.client);
    close(raw.fd);
    raw.server = NULL;
    raw.client = NULL;
}

void
raw_close(void)
{
    if (raw.server != NULL)
        raw_hang_up();
    SSL_CTX_free(raw.c);
    sonic_tls_context_free(raw.s);
    rig_close(&raw.r);
}

struct sonic__tls_record *
raw_record(void)
{
    ck_assert_ptr_null(sonic_tls_native(raw.server));
    return &sonic__tls_of(raw.server)->own->record;
}

/* Text from the client to the server. */
void
raw_up(const char *text)
{
    struct outcome o = {0};
    char buf[64];
    int n = (int)strlen(text);

    ck_assert_int_eq(SSL_write(raw.client, text, n), n);
    sonic_stream_async_read_all(raw.server, buf, (size_t)n, on_outcome, &o);
    RIG_UNTIL(&raw.r, o.calls == 1);
    ck_assert_int_eq(o.err, 0);
    ck_assert_mem_eq(buf, text, (size_t)n);
}

void
raw_read(void *buf, size_t len)
{
    for (size_t got = 0, n; got < len;) {
        ERR_clear_error();
        if (SSL_read_ex(raw.client, (char *)buf + got, len - got, &n) == 1) {
            got += n;
            continue;
        }
        ck_assert_int_eq(SSL_get_error(raw.client, 0), SSL_ERROR_WANT_READ);
        rig_settle(&raw.r);
    }
}

void
raw_down(const char *text)
{
    char buf[64];

    ck_assert_int_eq(sonic_stream_send(raw.server, text, strlen(text)), 0);
    rig_settle(&raw.r);
    raw_read(buf, strlen(text));
    ck_assert_mem_eq(buf, text, strlen(text));
}

void
raw_talk(void)
{
    raw_up("a question");
    raw_down("an answer");
    raw_up("another");
    raw_down("and another");
}
