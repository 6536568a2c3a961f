/* tls.h - the inside of TLS contexts and streams
 *
 * A context has one SSL_CTX at a time; reload makes another.  What belongs to
 * an SSL_CTX (certificates to choose from, protocol lists) hangs on it and
 * goes with it, so that a connection keeps what it began with.
 *
 * A stream feeds OpenSSL from the bytes that the stream below lends, whole
 * records only: an idle connection, or one that waits for the rest of a
 * record, holds no buffer of OpenSSL's.  What OpenSSL writes goes straight
 * into the queue of the stream below.
 */
#ifndef SONICIO_SRC_TLS_H
#define SONICIO_SRC_TLS_H

#include <openssl/ssl.h>

#include <sonicio/tls.h>

#include "net/stream.h"
#include "net/tls_record.h"

enum {
    SONIC__TLS_RECORD = 16384,    /* bytes of plaintext in one, RFC 8446 5.1 */
    SONIC__TLS_RECORD_HEAD = 5,   /* bytes before its content */
    SONIC__TLS_RECORD_MORE = 2048 /* that encryption may add, RFC 5246 6.2.3 */
};

/* Where a reason goes. */
struct sonic__why {
    char *text; /* may be NULL */
    size_t cap;
};
void sonic__why(const struct sonic__why *why, const char *format, ...)
    SONIC_PRINTF(2, 3);

/* ---- what an SSL_CTX was made of -------------------------------------- */

struct sonic__tls_credential {
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

struct sonic__tls_settings {
    sonic_tls_context *ctx; /* only while the SSL_CTX makes callbacks */
    sonic_mem mem;
    struct sonic__tls_credential *credentials;
    size_t n_credentials;
    unsigned char *alpn; /* as on the wire */
    unsigned alpn_len;
};

struct sonic__tls_saved; /* a client's session, see tls_session.c */

struct sonic_tls_context {
    sonic_io *io;
    sonic_mem mem;
    const sonic_sys *sys;
    unsigned refs;
    enum sonic_tls_role role;
    sonic_tls_context_options opt; /* defaults filled in */
    void *packed;                  /* what opt points to */
    size_t packed_len;
    SSL_CTX *ssl_ctx;
    int key_log;                    /* descriptor or -1 */
    struct sonic__tls_saved *saved; /* newest first */
    size_t n_saved;
};

/* tls_context.c */
void sonic__tls_context_drop(sonic_tls_context *ctx);
/* tls_build.c: an SSL_CTX from ctx->opt. */
int sonic__tls_build(sonic_tls_context *ctx, SSL_CTX **out,
                     const struct sonic__why *why);
/* tls_files.c.  Memory of read_file: the context's, len + 1 bytes. */
int sonic__tls_read_file(sonic_tls_context *ctx, const char *path, char **out,
                         size_t *len, const struct sonic__why *why);
void sonic__tls_drop_file(sonic_tls_context *ctx, char *text, size_t len);
int sonic__tls_load_credential(sonic_tls_context *ctx,
                               const sonic_tls_certificate *from,
                               struct sonic__tls_credential *out,
                               const struct sonic__why *why);
void sonic__tls_drop_credential(struct sonic__tls_credential *c);
int sonic__tls_trust(sonic_tls_context *ctx, SSL_CTX *c,
                     const struct sonic__why *why);
int sonic__tls_key_log_open(sonic_tls_context *ctx,
                            const struct sonic__why *why);
void sonic__tls_key_log_close(sonic_tls_context *ctx);
void sonic__tls_key_log_line(const SSL *ssl, const char *line);

/* ---- streams ---------------------------------------------------------- */

enum {
    SONIC__TLS_ARMED = 1,        /* a lend of the stream below is pending */
    SONIC__TLS_DRAINING = 2,     /* its drain */
    SONIC__TLS_BARRIER = 4,      /* an empty write, behind what we wrote */
    SONIC__TLS_CALLING = 8,      /* one of these is being begun */
    SONIC__TLS_SHAKING = 16,     /* the handshake is on the stack */
    SONIC__TLS_PENDING = 32,     /* OpenSSL holds plaintext */
    SONIC__TLS_ESTABLISHED = 64, /* the handshake has succeeded */
    SONIC__TLS_NOTIFIED = 128,   /* our close_notify is sent */
    SONIC__TLS_ENDED = 256,      /* the peer's has come */
    SONIC__TLS_HARMLESS = 512    /* what `why` says did no harm */
};

/* What the handshake shows of what comes after it, RFC 8446 section 7.1; by
 * who seals with it: enum sonic_tls_role. */
struct sonic__tls_seen {
    uint8_t secret[2][SONIC__TLS_SECRET_MAX];
    size_t len[2];       /* bytes; 0: not seen */
    uint64_t records[2]; /* that were sealed with it already */
};

/* Until the handshake is over. */
struct sonic__tls_opening {
    sonic_stream *stream;
    struct sonic__timer timer;
    sonic_stream_fn *cb; /* NULL: not begun */
    void *ud;
    int64_t timeout;
    int outcome; /* 1 done, negative failed, 0 open */
    struct sonic__tls_seen seen;
};

/* After the hand-over: the records are ours.  The rest is what is asked about
 * a connection. */
struct sonic__tls_own {
    struct sonic__tls_record record;
    size_t plain;   /* bytes of plaintext in front of what is lent, … */
    size_t trailer; /* … and bytes of their record behind them */
    int verified;   /* sonic_tls_verify_result */
    bool resumed;
    char *server_name;    /* or NULL */
    uint8_t *certificate; /* the peer's as DER, or NULL */
    size_t n_certificate;
};

struct sonic__tls {
    sonic_stream stream;
    sonic_stream *below; /* NULL once closed */
    sonic_tls_context *ctx;
    SSL *ssl;                         /* NULL: handed over … */
    struct sonic__tls_own *own;       /* … to this */
    struct sonic__tls_kernel *kernel; /* … and on; or NULL */
    struct sonic__tls_opening *opening;
    char *why;         /* SONIC__TLS_WHY bytes, or NULL */
    char *name;        /* that is verified, for the session cache */
    char *alpn;        /* agreed on, or NULL */
    const char *ktls;  /* see sonic_tls_ktls */
    const uint8_t *in; /* what the stream below lends … */
    size_t in_len;
    size_t taken;    /* … of which OpenSSL took this much */
    size_t record;   /* bytes left of the record that it is reading */
    size_t position; /* bytes put into the stream below; once closed, those
                        that the system took */
    int error;       /* it has failed */
    int in_error;    /* of reading below; SONIC_EOF too */
    int out_error;   /* of writing below */
    unsigned flags;
};

enum { SONIC__TLS_WHY = 256 };

struct sonic__tls *sonic__tls_of(const sonic_stream *s); /* or NULL */

static inline struct sonic__tls *
sonic__tls_from(const sonic_stream *s)
{
    return (struct sonic__tls *)(uintptr_t)s;
}

/* tls_bio.c */
int sonic__tls_bio_attach(struct sonic__tls *t);
void sonic__tls_look(struct sonic__tls *t); /* at what is lent */
void sonic__tls_took(struct sonic__tls *t); /* consume what OpenSSL took */
bool sonic__tls_record_ready(const struct sonic__tls *t);
size_t sonic__tls_next_record(const struct sonic__tls *t);
bool sonic__tls_arm(struct sonic__tls *t); /* true: something has come */
int sonic__tls_put(struct sonic__tls *t, const void *p, size_t n);
void sonic__tls_disarm(struct sonic__tls *t);
bool sonic__tls_wait_for_room(struct sonic__tls *t); /* true: it is there */
int sonic__tls_wait_for_taken(struct sonic__tls *t); /* see stream.h: taken */

/* tls_data.c */
ssize_t sonic__tls_read(sonic_stream *s, void *buf, size_t len);
ssize_t sonic__tls_readv(sonic_stream *s, const struct iovec *iov, int n);
ssize_t sonic__tls_writev(sonic_stream *s, const struct iovec *iov, int n);
int sonic__tls_shutdown(sonic_stream *s);
void sonic__tls_notify(struct sonic__tls *t);

/* tls_own.c: the same without OpenSSL's object.  What open gets is bytes. */
size_t sonic__tls_own_open(struct sonic__tls *t, uint8_t *buf, size_t len);
ssize_t sonic__tls_own_seal(struct sonic__tls *t, struct sonic__tls_from *from,
                            size_t len);
void sonic__tls_own_notify(struct sonic__tls *t);

/* tls_handover.c */
bool sonic__tls_wants_keys(const sonic_tls_context *ctx);
void sonic__tls_watch(struct sonic__tls *t); /* the handshake that begins */
void sonic__tls_see_secret(struct sonic__tls *t, const char *line);
void sonic__tls_hand_over(struct sonic__tls *t);
void sonic__tls_own_free(struct sonic__tls *t);

/* tls_stream.c */
void sonic__tls_run(struct sonic__object *o);

/* tls_handshake.c */
int sonic__tls_opening_new(struct sonic__tls *t, int64_t timeout);
void sonic__tls_opening_free(struct sonic__tls *t);
void sonic__tls_handshake_run(struct sonic__tls *t);
void sonic__tls_handshake_cancel(sonic_stream *s);

/* tls_verify.c: errors and their words */
int sonic__tls_fail(struct sonic__tls *t, int ssl_error);
int sonic__tls_own_fail(struct sonic__tls *t);
int sonic__tls_verify_error(long x509_error);
int sonic__tls_on_verified(int ok, X509_STORE_CTX *store);
int sonic__tls_name_peer(struct sonic__tls *t, const sonic_tls_options *opt);
int sonic__tls_accept_peer(struct sonic__tls *t);
void sonic__tls_explain(struct sonic__tls *t, const char *format, ...)
    SONIC_PRINTF(2, 3);

/* tls_info.c */
size_t sonic__tls_certificate_name(X509 *x, char *buf, size_t cap);

/* tls_session.c */
void sonic__tls_sessions_set(sonic_tls_context *ctx, SSL_CTX *c);
int sonic__tls_session_use(struct sonic__tls *t, const sonic_tls_options *opt);
void sonic__tls_sessions_free(sonic_tls_context *ctx);

/* tls_choose.c: SNI and ALPN of a server */
void sonic__tls_choose_set(SSL_CTX *c, struct sonic__tls_settings *s);

#endif
