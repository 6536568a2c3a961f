#include "wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

enum { RECORD = 16384, READ = 1 << 16 };

void
wire_open(struct wire *w, int fd, bool step)
{
    int64_t deadline = w->deadline;

    *w = (struct wire){.fd = fd, .step = step, .deadline = deadline};
}

void
wire_close(struct wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    SSL_free(w->ssl);
    w->ssl = NULL;
    bytes_free(&w->in);
    bytes_free(&w->out);
}

void
wire_cut(struct wire *w)
{
    struct linger now = {1, 0};

    setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    wire_close(w);
}

/* ---- waiting ----------------------------------------------------------- */

/* Until the socket is ready for one of events, or the deadline. */
static bool
await(struct wire *w, short events)
{
    struct pollfd p = {w->fd, events, 0};
    int64_t left = w->deadline - clock_now();
    int r;

    if (left < 0)
        left = 0;
    r = poll(&p, 1, (int)(left / 1000000) + 1);
    if (r == 0 && clock_now() >= w->deadline && w->end == WIRE_OPEN)
        w->end = WIRE_LATE;
    return r > 0 || w->end != WIRE_LATE;
}

/* A piece that went into a unix socket has left its queue when the peer has
 * read it (unix(7)): so the peer sees each piece by itself. */
static void
await_read(struct wire *w)
{
    int queued;

    while (ioctl(w->fd, SIOCOUTQ, &queued) == 0 && queued > 0) {
        struct pollfd p = {w->fd, POLLIN | POLLRDHUP, 0};

        if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLRDHUP | POLLERR))
            return;
        if (clock_now() >= w->deadline)
            return;
        sched_yield();
    }
}

/* ---- in ---------------------------------------------------------------- */

static void
note_tls(struct wire *w, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;

    if (w->why[0] == '\0')
        snprintf(w->why, sizeof w->why, "%s: %s", what,
                 reason != NULL ? reason : "no reason");
    ERR_clear_error();
}

static void
decrypt(struct wire *w)
{
    for (;;) {
        uint8_t *to = bytes_room(&w->in, RECORD);
        int n, why;

        ERR_clear_error();
        n = SSL_read(w->ssl, to, RECORD);
        if (n > 0) {
            w->in.len += (size_t)n;
            continue;
        }
        why = SSL_get_error(w->ssl, n);
        if (why == SSL_ERROR_ZERO_RETURN) {
            w->end = WIRE_EOF;
        } else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            note_tls(w, "SSL_read");
            w->end = WIRE_TLS;
        }
        return;
    }
}

/* Read once, without waiting.  False when there was nothing. */
static bool
receive(struct wire *w)
{
    static uint8_t buf[READ];
    ssize_t n = recv(w->fd, buf, sizeof buf, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n > 0 && w->ssl == NULL) {
        bytes_add(&w->in, buf, (size_t)n);
    } else if (n > 0) {
        BIO_write(w->from_net, buf, (int)n);
        decrypt(w);
    } else if (w->end == WIRE_OPEN) {
        if (n == 0 && w->ssl != NULL)
            note_tls(w, "no close_notify before the end");
        w->end = n < 0 ? WIRE_RESET : w->ssl != NULL ? WIRE_TLS : WIRE_EOF;
    }
    return true;
}

bool
wire_fill(struct wire *w)
{
    size_t before = w->in.len - w->at;

    bytes_drop(&w->in, w->at);
    w->at = 0;
    while (w->in.len == before && w->end == WIRE_OPEN) {
        if (!receive(w) && !await(w, POLLIN))
            break;
    }
    return w->in.len > before;
}

bool
wire_need(struct wire *w, size_t n)
{
    while (w->in.len - w->at < n)
        if (!wire_fill(w))
            return false;
    return true;
}

/* ---- out --------------------------------------------------------------- */

/* All of it, in pieces, reading what comes meanwhile. */
static bool
push(struct wire *w, const uint8_t *data, size_t len, size_t chop)
{
    while (len > 0 && !w->deaf) {
        size_t want = chop > 0 && chop < len ? chop : len;
        ssize_t n = send(w->fd, data, want, MSG_NOSIGNAL);

        if (n > 0) {
            data += n;
            len -= (size_t)n;
            if (w->step)
                await_read(w);
        } else if (n < 0 && errno == EAGAIN) {
            if (!await(w, POLLIN | POLLOUT))
                return false;
            if (w->end == WIRE_OPEN)
                receive(w);
        } else if (n < 0 && errno != EINTR) {
            w->deaf = true;
        }
    }
    return len == 0;
}

bool
wire_push_cipher(struct wire *w)
{
    char *data;
    long len = BIO_get_mem_data(w->to_net, &data);
    bool ok =
        len <= 0 || push(w, (const uint8_t *)data, (size_t)len, w->cipher_chop);

    (void)BIO_reset(w->to_net);
    return ok;
}

static bool
push_plain(struct wire *w)
{
    size_t most = w->chop > 0 && w->chop < RECORD ? w->chop : RECORD;

    for (size_t at = 0; at < w->out.len;) {
        size_t n = w->out.len - at < most ? w->out.len - at : most;

        if (SSL_write(w->ssl, w->out.data + at, (int)n) != (int)n) {
            note_tls(w, "SSL_write");
            w->deaf = true;
            return false;
        }
        if (!wire_push_cipher(w))
            return false;
        at += n;
    }
    return true;
}

bool
wire_flush(struct wire *w)
{
    bool ok = w->ssl != NULL ? push_plain(w)
                             : push(w, w->out.data, w->out.len, w->chop);

    w->out.len = 0;
    return ok;
}

/* ---- TLS --------------------------------------------------------------- */

bool
wire_secure(struct wire *w, SSL_CTX *ctx, const char *host)
{
    w->ssl = SSL_new(ctx);
    w->from_net = BIO_new(BIO_s_mem());
    w->to_net = BIO_new(BIO_s_mem());
    if (w->ssl == NULL || w->from_net == NULL || w->to_net == NULL)
        return false;
    BIO_set_mem_eof_return(w->from_net, -1);
    BIO_set_mem_eof_return(w->to_net, -1);
    SSL_set_bio(w->ssl, w->from_net, w->to_net);
    if (w->version != 0 &&
        (SSL_set_min_proto_version(w->ssl, w->version) != 1 ||
         SSL_set_max_proto_version(w->ssl, w->version) != 1))
        return false;
    if (host != NULL) {
        SSL_set_tlsext_host_name(w->ssl, host);
        SSL_set_connect_state(w->ssl);
    } else {
        SSL_set_accept_state(w->ssl);
    }
    for (;;) {
        int r = SSL_do_handshake(w->ssl), why = SSL_get_error(w->ssl, r);

        if (!wire_push_cipher(w) && w->end == WIRE_LATE)
            return false;
        if (r == 1) {
            decrypt(w); /* what came along with the last of it */
            return true;
        }
        if (why != SSL_ERROR_WANT_READ) {
            note_tls(w, "handshake");
            return false;
        }
        while (BIO_ctrl_pending(w->from_net) == 0) {
            uint8_t buf[4096];
            ssize_t n = recv(w->fd, buf, sizeof buf, 0);

            if (n > 0)
                BIO_write(w->from_net, buf, (int)n);
            else if (n == 0 || errno != EAGAIN || !await(w, POLLIN))
                return false;
        }
    }
}

void
wire_finish(struct wire *w)
{
    if (w->ssl != NULL && !w->deaf) {
        SSL_shutdown(w->ssl);
        wire_push_cipher(w);
    }
    shutdown(w->fd, SHUT_WR);
}
