#include "tls_crafted.h"

#include <string.h>
#include <unistd.h>

#include <openssl/hmac.h>

static struct crafted *speaking; /* a test has one at a time */

static void
on_key(const SSL *ssl, const char *line)
{
    static const char *const labels[2] = {"CLIENT_TRAFFIC_SECRET_0 ",
                                          "SERVER_TRAFFIC_SECRET_0 "};
    const char *hex = strrchr(line, ' ') + 1;

    (void)ssl;
    for (int i = 0; i < 2; i++) {
        if (strncmp(line, labels[i], strlen(labels[i])) != 0)
            continue;
        speaking->n_secret = strlen(hex) / 2;
        for (size_t k = 0; k < speaking->n_secret; k++) {
            unsigned v;

            ck_assert_int_eq(sscanf(hex + 2 * k, "%2x", &v), 1);
            speaking->secret[i][k] = (uint8_t)v;
        }
    }
}

void
crafted_open(struct crafted *c, struct rig *r, int fd, bool server,
             const char *suite)
{
    memset(c, 0, sizeof *c);
    speaking = c;
    c->r = r;
    c->fd = fd;
    c->ctx = kit_raw_context(server);
    SSL_CTX_set_num_tickets(c->ctx, 0);
    SSL_CTX_set_keylog_callback(c->ctx, on_key);
    if (suite != NULL)
        ck_assert_int_eq(SSL_CTX_set_ciphersuites(c->ctx, suite), 1);
    c->ssl = kit_raw(c->ctx, fd, server);
}

/* HKDF-Expand-Label of one block, RFC 5869 and RFC 8446 section 7.1. */
static void
expand(const struct crafted *c, const uint8_t *secret, const char *label,
       uint8_t *out, size_t n)
{
    const EVP_MD *md = c->n_secret == 48 ? EVP_sha384() : EVP_sha256();
    uint8_t info[64], block[EVP_MAX_MD_SIZE];
    unsigned len = sizeof block;
    size_t k = strlen(label) + 6;

    info[0] = 0;
    info[1] = (uint8_t)n;
    info[2] = (uint8_t)k;
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, k - 6);
    info[3 + k] = 0; /* no context */
    info[4 + k] = 1; /* the first block */
    ck_assert_ptr_nonnull(
        HMAC(md, secret, (int)c->n_secret, info, 5 + k, block, &len));
    memcpy(out, block, n);
}

static void
set_keys(struct crafted *c, int who, struct sealing *s)
{
    switch (SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(c->ssl))) {
    case 0x1301:
        s->cipher = EVP_aes_128_gcm();
        break;
    case 0x1302:
        s->cipher = EVP_aes_256_gcm();
        break;
    default:
        s->cipher = EVP_chacha20_poly1305();
    }
    expand(c, c->secret[who], "key", s->key,
           (size_t)EVP_CIPHER_get_key_length(s->cipher));
    expand(c, c->secret[who], "iv", s->iv, 12);
    s->seq = 0;
}

void
crafted_keys(struct crafted *c)
{
    int us = SSL_is_server(c->ssl);

    ck_assert_uint_gt(c->n_secret, 0);
    set_keys(c, us, &c->out);
    set_keys(c, !us, &c->in);
}

void
crafted_update(struct crafted *c, bool own)
{
    int us = SSL_is_server(c->ssl), who = own ? us : !us;
    uint8_t next[48];

    expand(c, c->secret[who], "traffic upd", next, c->n_secret);
    memcpy(c->secret[who], next, c->n_secret);
    set_keys(c, who, own ? &c->out : &c->in);
}

void
crafted_shake(struct crafted *c, const struct outcome *o)
{
    ck_assert_int_eq(kit_raw_shake(c->r, c->ssl, o), 1);
    crafted_keys(c);
}

void
crafted_close(struct crafted *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
}

size_t
crafted_seal(struct crafted *c, uint8_t type, const void *p, size_t n,
             uint8_t *out)
{
    return sealing_seal(&c->out, type, p, n, 0, out);
}

void
crafted_send(struct crafted *c, uint8_t type, const void *p, size_t n)
{
    static uint8_t record[SEALED_MAX];

    rig_put(c->fd, record, crafted_seal(c, type, p, n, record));
}

int
crafted_next(struct crafted *c, uint8_t *out, uint8_t *type)
{
    for (;;) {
        size_t size = c->n < 5 ? 0 : 5 + ((size_t)c->raw[3] << 8 | c->raw[4]);
        ssize_t k;
        int n;

        if (size > 0 && c->n >= size) {
            ck_assert_uint_le(size, SEALED_MAX);
            n = sealing_open(&c->in, c->raw, size, out, type);
            ck_assert_int_ge(n, 0);
            c->n -= size;
            memmove(c->raw, c->raw + size, c->n);
            if (*type == 22 && n > 0 && out[0] == 4)
                continue;
            return n;
        }
        k = recv(c->fd, c->raw + c->n, sizeof c->raw - c->n, MSG_DONTWAIT);
        if (k == 0)
            return -1;
        if (k > 0)
            c->n += (size_t)k;
        else if (errno == ECONNRESET)
            return -1;
        else
            ck_assert_int_ge(sonic_io_run_one_for(c->r->io, 10 * MS),
                             -ETIMEDOUT);
    }
}

/* ---- talking --------------------------------------------------------- */

sonic_stream *
crafted_meet(struct rig *r, struct crafted *c, enum sonic_tls_role role,
             const char *suite)
{
    struct outcome o;
    int fd;
    sonic_stream *s = ktls_begin(r, role, suite, &fd, &o);

    crafted_open(c, r, fd, role == SONIC_TLS_CLIENT, suite);
    crafted_shake(c, &o);
    ck_assert_int_eq(o.err, 0);
    ck_assert_str_eq(sonic_tls_ktls(s), "active");
    return s;
}

void
crafted_read(struct rig *r, sonic_stream *s, void *buf, size_t n,
             struct outcome *o)
{
    memset(o, 0, sizeof *o);
    sonic_stream_async_read_all(s, buf, n, on_outcome, o);
    RIG_UNTIL(r, o->calls == 1);
}

void
crafted_hears(struct crafted *c, sonic_stream *s, const char *text)
{
    struct outcome o;
    char buf[64];
    size_t n = strlen(text);

    crafted_send(c, DATA, text, n);
    crafted_read(c->r, s, buf, n, &o);
    ck_assert_msg(o.err == 0, "%s", sonic_tls_reason(s));
    ck_assert_mem_eq(buf, text, n);
}

void
crafted_says(struct crafted *c, sonic_stream *s, const char *text)
{
    static uint8_t got[SEALED_MAX];
    uint8_t type;

    ck_assert_int_eq(sonic_stream_send(s, text, strlen(text)), 0);
    ck_assert_int_eq(crafted_next(c, got, &type), (int)strlen(text));
    ck_assert_uint_eq(type, DATA);
    ck_assert_mem_eq(got, text, strlen(text));
}

void
crafted_expect(struct crafted *c, int type, const void *p, size_t n)
{
    static uint8_t got[SEALED_MAX];
    uint8_t t;

    ck_assert_int_eq(crafted_next(c, got, &t), (int)n);
    ck_assert_int_eq(t, type);
    ck_assert_mem_eq(got, p, n);
}
