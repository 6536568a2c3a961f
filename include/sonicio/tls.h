/* <sonicio/tls.h> - TLS over any stream, client and server (OpenSSL)
 *
 * A context holds settings, made once and shared by connections.  A TLS stream
 * is a sonic_stream like any other: read, lend, write, send, shutdown, close.
 * It stands on the stream that it was made over, which is its next layer.
 *
 *     sonic_tls_context_new(io, SONIC_TLS_CLIENT, NULL, &ctx, NULL, 0);
 *     opt.server_name = "example.org";
 *     sonic_tls_new(ctx, tcp, &opt, &tls);
 *     sonic_tls_async_handshake(tls, cb, ud);
 *
 * A client verifies the chain of the server's certificate and that it was
 * made out to server_name, by default; each refusal has an error of its own
 * and sonic_tls_reason gives it in words.
 *
 * Ciphertext is read into the reactor's buffers; OpenSSL decrypts from there
 * into the buffer that sonic_stream_lend shows, or into the reader's memory.
 * What one dispatch writes becomes full records and one system call.
 *
 * OpenSSL makes the handshake.  When that is over, a server of TLS 1.3 seals
 * and opens the records itself, with OpenSSL's ciphers: see handover below.
 * Keys are renewed when the peer asks, and before one has sealed 2^24 records.
 *
 * With the option ktls, records of TLS 1.3 are sealed and opened by the kernel
 * once the handshake is over, where it can; sonic_tls_ktls tells.
 *
 * The end: shutdown sends close_notify, and close does when nothing failed.
 * An end of the stream below without the peer's close_notify is
 * SONIC_ETLS_TRUNCATED, never SONIC_EOF: somebody may have cut it.
 *
 * Renegotiation is refused, compression and versions below TLS 1.2 are off.
 * In a build without TLS (configure --disable-tls) what can fail fails with
 * SONIC_ENOTLS.
 */
#ifndef SONICIO_TLS_H
#define SONICIO_TLS_H

#include <sonicio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_tls_context sonic_tls_context;

enum sonic_tls_role { SONIC_TLS_CLIENT, SONIC_TLS_SERVER };

enum sonic_tls_version { /* as on the wire */
                         SONIC_TLS_DEFAULT_VERSION = 0,
                         SONIC_TLS_1_2 = 0x0303,
                         SONIC_TLS_1_3 = 0x0304
};

/* What a server asks of its clients. */
enum sonic_tls_client_auth {
    SONIC_TLS_NO_CLIENT_CERTIFICATE, /* nothing */
    SONIC_TLS_REQUEST_CERTIFICATE,   /* one, if it has any; a bad one fails */
    SONIC_TLS_REQUIRE_CERTIFICATE    /* one, or the handshake fails */
};

/* A certificate, its chain (leaf first, PEM), and its private key.  Each is
 * in a file or in memory; a key that is not given is in the chain's file. */
typedef struct sonic_tls_certificate {
    const char *chain_file, *key_file;
    const void *chain, *key; /* PEM, in memory */
    size_t chain_len, key_len;
    const char *password; /* of the key; NULL: it is not encrypted */
} sonic_tls_certificate;

/* Settings of a context; what they point to is copied. */
typedef struct sonic_tls_context_options {
    size_t size;

    /* Whom to trust.  With none of ca_file, ca_dir and ca, a client trusts the
     * system's authorities. */
    const char *ca_file; /* PEM */
    const char *ca_dir;  /* hashed, see openssl-rehash(1) */
    const void *ca;      /* PEM, in memory */
    size_t ca_len;
    enum sonic_switch system_store; /* the system's authorities as well */
    const char *crl_file;     /* PEM; certificates without a list are refused */
    enum sonic_switch verify; /* default on; OFF: a client takes anybody */
    int depth;                /* certificates in a chain; default 10 */

    /* Who we are.  A server's first one serves clients that ask for a name
     * which none has; which names each has is read from it. */
    const sonic_tls_certificate *certificates;
    size_t n_certificates;

    /* What is spoken. */
    enum sonic_tls_version min_version; /* default TLS 1.2 */
    enum sonic_tls_version max_version; /* default the newest */
    const char *ciphers;                /* TLS 1.2, openssl-ciphers(1) */
    const char *ciphersuites;           /* TLS 1.3 */
    const char *groups;                 /* key exchange, "X25519:P-256" */
    const char *const *alpn;            /* protocols, by preference */
    size_t n_alpn;

    enum sonic_tls_client_auth client_auth; /* of a server */

    /* Resumption of sessions: default on.  A client remembers the sessions of
     * session_cache names (default 64) and resumes them by itself.  A server
     * gives tickets, and keeps as many sessions for clients that do not take
     * any. */
    enum sonic_switch resumption;
    size_t session_cache;

    /* Secrets for debugging, in the format of SSLKEYLOGFILE, are appended to
     * this file; NULL: nowhere.  Anyone who has it can read the traffic. */
    const char *key_log_file;
    enum sonic_switch key_log_env; /* ON: to the file that the environment
                                      names in SSLKEYLOGFILE, if it does */

    /* Once a handshake of TLS 1.3 is over, encrypt with OpenSSL's ciphers but
     * without its object of the connection, an SSL, which takes 14 KB.  Default
     * on.  A client that resumes sessions keeps the object, for the tickets
     * that come later; so does TLS 1.2. */
    enum sonic_switch handover;

    /* Encryption by the kernel (Linux, TLS 1.3 over TCP); default off.
     * sonic_tls_ktls tells whether it does.  Data then goes from the writer's
     * memory to the kernel and from there to the reader's, without a copy
     * between.  What is different:
     *   - A peer that changes its keys (KeyUpdate) ends the connection with
     *     SONIC_ETLS, unless the kernel can follow, as Linux 6.14 does; and
     *     our own keys are changed only when the peer asks.
     *   - A client gets no sessions to resume from such a connection. */
    enum sonic_switch ktls;
} sonic_tls_context_options;

#define SONIC_TLS_CONTEXT_OPTIONS_INIT                                         \
    {                                                                          \
        .size = sizeof(sonic_tls_context_options)                              \
    }

/* ---- contexts --------------------------------------------------------- */

/* sonic_tls_context_new - settings for connections of one role
 *
 *   opt  NULL: defaults, which a server cannot do with
 *   why  gets what is wrong, in words, at most n_why bytes; may be NULL
 * Files are read here and in reload, and never later, but for ca_dir and the
 * system's authorities, which OpenSSL reads when it needs them.
 * ERRORS  SONIC_ETLS_CERTIFICATE (ours, or its key, is not usable),
 * SONIC_EOPTION, -errno of a file, -ENOMEM, SONIC_ENOTLS. */
SONIC_API SONIC_MUST_CHECK int
sonic_tls_context_new(sonic_io *io, enum sonic_tls_role role,
                      const sonic_tls_context_options *opt,
                      sonic_tls_context **out, char *why, size_t n_why);

/* sonic_tls_context_reload - read the files again
 *
 *   opt  new settings; NULL: those that it has
 * Connections that begin from now on use what was read; those that are there
 * go on as they are.  On an error nothing changes.  ERRORS as new. */
SONIC_API SONIC_MUST_CHECK int
sonic_tls_context_reload(sonic_tls_context *ctx,
                         const sonic_tls_context_options *opt, char *why,
                         size_t n_why);

/* sonic_tls_context_hold - one more holder, for whom it must be freed too */
SONIC_API sonic_tls_context *sonic_tls_context_hold(sonic_tls_context *ctx);
/* sonic_tls_context_free - let go; connections keep what they need.  NULL is
 * allowed. */
SONIC_API void sonic_tls_context_free(sonic_tls_context *ctx);

SONIC_API sonic_io *sonic_tls_context_io(const sonic_tls_context *ctx);
SONIC_API enum sonic_tls_role
sonic_tls_context_role(const sonic_tls_context *ctx);

/* ---- streams ---------------------------------------------------------- */

/* Of one connection.  Strings and bytes are copied. */
typedef struct sonic_tls_options {
    size_t size;
    /* client */
    const char *server_name; /* host to ask for (SNI) and to verify; an address
                                is only verified */
    const char *verify_name; /* to verify instead */
    const char *sni;         /* to ask for instead; "": ask for none */
    enum sonic_switch verify_host; /* OFF: any certificate that is trusted */
    const void *session;           /* from sonic_tls_export_session */
    size_t session_len;
    /* both */
    int64_t timeout; /* nanoseconds for the handshake; default 10 s; negative:
                        it is over already */
} sonic_tls_options;

#define SONIC_TLS_OPTIONS_INIT                                                 \
    {                                                                          \
        .size = sizeof(sonic_tls_options)                                      \
    }

/* sonic_tls_new - TLS over a stream that is connected
 *
 * `below` is the TLS stream's from now on, on error it stays the caller's.
 * It must have no operation under way, and none may be begun on it; bytes
 * that it holds unconsumed are the first that TLS reads.  Its marks are those
 * of the ciphertext.
 *   opt  may be NULL for a server, and for a client that verifies nothing
 * ERRORS  -ENOTCONN, -EBUSY (below has an operation), SONIC_EOPTION (a client
 * without a name to verify, a name that is none, a malformed session),
 * -EINVAL (another io), -ENOMEM, SONIC_ENOTLS. */
SONIC_API SONIC_MUST_CHECK int sonic_tls_new(sonic_tls_context *ctx,
                                             sonic_stream *below,
                                             const sonic_tls_options *opt,
                                             sonic_stream **out);

/* sonic_tls_async_handshake - agree on keys; cb with n 0
 *
 * The stream can be read and written once cb has had err 0.  After an error it
 * can only be freed; why is in sonic_tls_reason.
 * ERRORS, given to cb: SONIC_ETLS_… , the error of the stream below,
 * -ETIMEDOUT, -ECANCELED (sonic_stream_cancel too), -EBUSY, -EISCONN,
 * -EINVAL (not a TLS stream), SONIC_ECLOSED, -ENOMEM. */
SONIC_API void sonic_tls_async_handshake(sonic_stream *tls, sonic_stream_fn *cb,
                                         void *ud);
/* The blocking twin. */
SONIC_API SONIC_MUST_CHECK int sonic_tls_handshake(sonic_stream *tls);

/* ---- looking at one --------------------------------------------------- */

/* Of a stream that is not TLS, and before the handshake, these are NULL, 0 and
 * false.  Strings live as long as the stream, unless said otherwise. */

SONIC_API bool sonic_stream_is_tls(const sonic_stream *stream);
/* "TLSv1.3" */
SONIC_API const char *sonic_tls_version_name(const sonic_stream *tls);
/* "TLS_AES_256_GCM_SHA384" */
SONIC_API const char *sonic_tls_cipher_name(const sonic_stream *tls);
/* The protocol agreed on; NULL when none was. */
SONIC_API const char *sonic_tls_alpn(const sonic_stream *tls);
/* The name asked for (SNI), on both sides; NULL when none was. */
SONIC_API const char *sonic_tls_server_name(const sonic_stream *tls);

/* sonic_tls_peer_name - whom the peer's certificate is made out to: its first
 * DNS name or address, else its subject.  Returns the length, cut to cap - 1
 * bytes in buf; 0 when the peer has shown none. */
SONIC_API size_t sonic_tls_peer_name(const sonic_stream *tls, char *buf,
                                     size_t cap);

/* sonic_tls_peer_certificate - the peer's own certificate as DER
 * Returns its length; buf gets it when cap suffices.  0: there is none. */
SONIC_API size_t sonic_tls_peer_certificate(const sonic_stream *tls, void *buf,
                                            size_t cap);

/* sonic_tls_verify_result - 0, or the error that verification gave, also when
 * verification is off; SONIC_ETLS_NO_CERTIFICATE without one. */
SONIC_API int sonic_tls_verify_result(const sonic_stream *tls);

/* Why it failed, or what is wrong with the peer's certificate, in words;
 * "" when nothing is. */
SONIC_API const char *sonic_tls_reason(const sonic_stream *tls);

/* Was a session resumed?  Then no certificates were sent. */
SONIC_API bool sonic_tls_resumed(const sonic_stream *tls);

/* "active": the kernel seals and opens the records.  "active for sending …"
 * where it only seals, for good or until the record ends that has begun.  Else
 * why it does neither: "not asked for", "the kernel has no tls module", "TLS
 * 1.2 stays with OpenSSL" …  Constant; it may change until data has gone both
 * ways. */
SONIC_API const char *sonic_tls_ktls(const sonic_stream *tls);

/* sonic_tls_export_session - a client's session, for sonic_tls_options.session
 * of a later connection, perhaps of another process
 *
 * With TLS 1.3 there is one once the first bytes have been read.
 * Returns its length; buf gets it when cap suffices.  0: there is none.  It
 * contains secrets. */
SONIC_API size_t sonic_tls_export_session(const sonic_stream *tls, void *buf,
                                          size_t cap);

/* OpenSSL's own object, an SSL *, for what is not covered here.  Look, but
 * neither read, write nor free.  NULL once it is gone, which for a server of
 * TLS 1.3 is before the handshake's callback, unless
 * sonic_tls_context_options.handover is off. */
SONIC_API void *sonic_tls_native(const sonic_stream *tls);

#ifdef __cplusplus
}
#endif
#endif
