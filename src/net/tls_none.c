/* A build without TLS: what can fail says so. */
#include <sonicio/tls.h>

#include "net/stream.h"

int
sonic_tls_context_new(sonic_io *io, enum sonic_tls_role role,
                      const sonic_tls_context_options *opt,
                      sonic_tls_context **out, char *why, size_t n_why)
{
    (void)io;
    (void)role;
    (void)opt;
    (void)out;
    if (why != NULL && n_why > 0)
        *why = '\0';
    return SONIC_ENOTLS;
}

int
sonic_tls_context_reload(sonic_tls_context *ctx,
                         const sonic_tls_context_options *opt, char *why,
                         size_t n_why)
{
    (void)ctx;
    (void)opt;
    if (why != NULL && n_why > 0)
        *why = '\0';
    return SONIC_ENOTLS;
}

sonic_tls_context *
sonic_tls_context_hold(sonic_tls_context *ctx)
{
    return ctx;
}

/* No context and no TLS stream can exist, so nothing looks at one. */
void
sonic_tls_context_free(sonic_tls_context *ctx)
{
    (void)ctx;
}

sonic_io *
sonic_tls_context_io(const sonic_tls_context *ctx)
{
    (void)ctx;
    return NULL;
}

enum sonic_tls_role
sonic_tls_context_role(const sonic_tls_context *ctx)
{
    (void)ctx;
    return SONIC_TLS_CLIENT;
}

int
sonic_tls_new(sonic_tls_context *ctx, sonic_stream *below,
              const sonic_tls_options *opt, sonic_stream **out)
{
    (void)ctx;
    (void)below;
    (void)opt;
    (void)out;
    return SONIC_ENOTLS;
}

void
sonic_tls_async_handshake(sonic_stream *tls, sonic_stream_fn *cb, void *ud)
{
    sonic__stream_refuse(tls, SONIC_ENOTLS, cb, ud);
}

int
sonic_tls_handshake(sonic_stream *tls)
{
    (void)tls;
    return SONIC_ENOTLS;
}

bool
sonic_stream_is_tls(const sonic_stream *stream)
{
    (void)stream;
    return false;
}

const char *
sonic_tls_version_name(const sonic_stream *tls)
{
    (void)tls;
    return NULL;
}

const char *
sonic_tls_cipher_name(const sonic_stream *tls)
{
    (void)tls;
    return NULL;
}

const char *
sonic_tls_alpn(const sonic_stream *tls)
{
    (void)tls;
    return NULL;
}

const char *
sonic_tls_server_name(const sonic_stream *tls)
{
    (void)tls;
    return NULL;
}

size_t
sonic_tls_peer_name(const sonic_stream *tls, char *buf, size_t cap)
{
    (void)tls;
    if (cap > 0)
        *buf = '\0';
    return 0;
}

size_t
sonic_tls_peer_certificate(const sonic_stream *tls, void *buf, size_t cap)
{
    (void)tls;
    (void)buf;
    (void)cap;
    return 0;
}

int
sonic_tls_verify_result(const sonic_stream *tls)
{
    (void)tls;
    return 0;
}

const char *
sonic_tls_reason(const sonic_stream *tls)
{
    (void)tls;
    return "";
}

bool
sonic_tls_resumed(const sonic_stream *tls)
{
    (void)tls;
    return false;
}

const char *
sonic_tls_ktls(const sonic_stream *tls)
{
    (void)tls;
    return NULL;
}

size_t
sonic_tls_export_session(const sonic_stream *tls, void *buf, size_t cap)
{
    (void)tls;
    (void)buf;
    (void)cap;
    return 0;
}

void *
sonic_tls_native(const sonic_stream *tls)
{
    (void)tls;
    return NULL;
}
