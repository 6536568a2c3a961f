/* Plaintext in and out, as recv(2) and writev(2) would have it. */
#include "net/tls_kernel.h"

#include <string.h>

#include <openssl/err.h>

/* ---- reading ---------------------------------------------------------- */

/* Decrypt what is whole, until buf is full. */
static size_t
decrypt(struct sonic__tls *t, uint8_t *buf, size_t len)
{
    size_t got = 0, n;

    if (!(t->flags & SONIC__TLS_PENDING) && !sonic__tls_record_ready(t))
        return 0;
    ERR_clear_error();
    while (got < len &&
           ((t->flags & SONIC__TLS_PENDING) || sonic__tls_record_ready(t))) {
        int e;

        t->flags &= ~(unsigned)SONIC__TLS_PENDING;
        if (SSL_read_ex(t->ssl, buf + got, len - got, &n) == 1) {
            got += n;
            continue;
        }
        e = SSL_get_error(t->ssl, 0);
        if (e == SSL_ERROR_WANT_READ)
            continue;
        if (e == SSL_ERROR_ZERO_RETURN)
            t->flags |= SONIC__TLS_ENDED;
        else
            t->error = sonic__tls_fail(t, e);
        return got;
    }
    if (got == len && SSL_pending(t->ssl) > 0)
        t->flags |= SONIC__TLS_PENDING;
    return got;
}

/* Why no bytes will come, or 0 when they will. */
static int
verdict(struct sonic__tls *t)
{
    int err = t->in_error;

    if (t->error < 0)
        return t->error;
    if (err == -ENOMEM)
        t->in_error = 0; /* for the next try there may be some */
    if (err == SONIC_EOF) {
        sonic__tls_explain(t, "the connection ended without close_notify");
        err = t->error = SONIC_ETLS_TRUNCATED;
    }
    return err;
}

ssize_t
sonic__tls_read(sonic_stream *s, void *buf, size_t len)
{
    struct sonic__tls *t = sonic__tls_from(s);

    do {
        size_t got = 0;
        int err;

        if (t->error < 0)
            return t->error;
        if (t->kernel != NULL && sonic__tls_kernel_take_receiving(t))
            return sonic__tls_kernel_read(t, buf, len);
        if (!(t->flags & SONIC__TLS_ENDED)) {
            sonic__tls_look(t);
            got = t->own != NULL ? sonic__tls_own_open(t, buf, len)
                                 : decrypt(t, buf, len);
            sonic__tls_took(t);
        }
        if (got > 0)
            return (ssize_t)got;
        if (t->flags & SONIC__TLS_ENDED)
            return 0;
        err = verdict(t);
        if (err < 0)
            return err;
    } while ((t->kernel != NULL && sonic__tls_kernel_take_receiving(t)) ||
             sonic__tls_arm(t));
    return -EAGAIN;
}

ssize_t
sonic__tls_readv(sonic_stream *s, const struct iovec *iov, int n)
{
    ssize_t total = 0, got;

    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len == 0)
            continue;
        got = sonic__tls_read(s, iov[i].iov_base, iov[i].iov_len);
        if (got <= 0)
            return total > 0 ? total : got;
        total += got;
        if ((size_t)got < iov[i].iov_len)
            break;
    }
    return total;
}

/* ---- writing ---------------------------------------------------------- */

/* What writev was given, and how far it has come. */
struct parts {
    struct sonic__tls_from at;
    const struct iovec *end;
};

static void
skip_empty(struct parts *p)
{
    while (p->at.iov < p->end && p->at.done == p->at.iov->iov_len) {
        p->at.iov++;
        p->at.done = 0;
    }
}

static void
advance(struct parts *p, size_t n)
{
    while (n > 0) {
        size_t left = p->at.iov->iov_len - p->at.done, k = n < left ? n : left;

        p->at.done += k;
        n -= k;
        skip_empty(p);
    }
}

/* Bytes of the next record, `most` at most. */
static size_t
next_size(const struct parts *p, size_t most)
{
    size_t n = p->at.iov->iov_len - p->at.done;

    for (const struct iovec *v = p->at.iov + 1; v < p->end && n < most; v++)
        n += v->iov_len;
    return n < most ? n : most;
}

/* One record from the front of the parts.  Bytes, or an error. */
static ssize_t
encrypt(struct sonic__tls *t, const void *from, size_t len)
{
    size_t n;
    int e;

    if (SSL_write_ex(t->ssl, from, len, &n) == 1)
        return (ssize_t)n;
    e = SSL_get_error(t->ssl, 0);
    if (t->out_error < 0)
        t->error = t->out_error;
    else
        t->error = sonic__tls_fail(t, e);
    return t->error;
}

/* Several small parts become one record. */
static ssize_t
encrypt_gathered(struct sonic__tls *t, const struct parts *from, size_t n)
{
    uint8_t record[SONIC__TLS_RECORD];
    struct parts p = *from;

    for (size_t at = 0, k; at < n; at += k) {
        size_t left = p.at.iov->iov_len - p.at.done;

        k = left < n - at ? left : n - at;
        memcpy(record + at, (const char *)p.at.iov->iov_base + p.at.done, k);
        advance(&p, k);
    }
    return encrypt(t, record, n);
}

static ssize_t
encrypt_next(struct sonic__tls *t, const struct parts *p)
{
    size_t n = next_size(p, SONIC__TLS_RECORD);

    if (p->at.iov->iov_len - p->at.done < n)
        return encrypt_gathered(t, p, n);
    return encrypt(t, (const char *)p->at.iov->iov_base + p->at.done, n);
}

static ssize_t
seal_next(struct sonic__tls *t, const struct parts *p)
{
    struct sonic__tls_from from = p->at;

    return sonic__tls_own_seal(t, &from, next_size(p, t->own->record.content));
}

ssize_t
sonic__tls_writev(sonic_stream *s, const struct iovec *iov, int n)
{
    struct sonic__tls *t = sonic__tls_from(s);
    struct parts p = {{iov, 0}, iov + n};
    ssize_t total = 0, k;

    if (t->error < 0)
        return t->error;
    if (t->kernel != NULL && sonic__tls_kernel_take_sending(t))
        return sonic__tls_kernel_writev(t, iov, n);
    if (t->kernel != NULL)
        return t->out_error < 0 ? t->out_error : -EAGAIN;
    ERR_clear_error();
    for (skip_empty(&p); p.at.iov < p.end; total += k) {
        if (!sonic__tls_wait_for_room(t))
            return total > 0 ? total : -EAGAIN;
        k = t->own != NULL ? seal_next(t, &p) : encrypt_next(t, &p);
        if (k < 0)
            return k;
        advance(&p, (size_t)k);
    }
    return total;
}

/* ---- ending ----------------------------------------------------------- */

void
sonic__tls_notify(struct sonic__tls *t)
{
    unsigned said = t->flags & (SONIC__TLS_ESTABLISHED | SONIC__TLS_NOTIFIED);

    if (said != SONIC__TLS_ESTABLISHED || t->error < 0 || t->below == NULL)
        return;
    t->flags |= SONIC__TLS_NOTIFIED;
    ERR_clear_error();
    if (t->own != NULL)
        sonic__tls_own_notify(t);
    else
        (void)SSL_shutdown(t->ssl); /* 0: the peer's has not come yet */
}

/* RFC 8446 section 6.1: our side is closed, the peer's may go on. */
int
sonic__tls_shutdown(sonic_stream *s)
{
    struct sonic__tls *t = sonic__tls_from(s);

    if (sonic__tls_kernel_is(t, SONIC__KTLS_TX))
        return sonic__tls_kernel_shutdown(t);
    sonic__tls_notify(t);
    return sonic_stream_shutdown(t->below);
}
