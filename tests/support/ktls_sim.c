#include "ktls_sim.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

enum { DATA = 23, HEAD = 5, TAG = 16, CONTENT = 16384 };

/* ---- records ---------------------------------------------------------- */

static void
nonce(const struct sealing *s, uint8_t out[12])
{
    memcpy(out, s->iv, 12);
    for (int i = 0; i < 8; i++)
        out[4 + i] ^= (uint8_t)(s->seq >> (56 - 8 * i));
}

size_t
sealing_seal(struct sealing *s, uint8_t type, const void *p, size_t n,
             size_t zeros, uint8_t *out)
{
    static uint8_t inner[SEALED_MAX];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    size_t len = n + 1 + zeros;
    uint8_t iv[12];
    int k, ok;

    memcpy(inner, p, n);
    inner[n] = type;
    memset(inner + n + 1, 0, zeros);
    out[0] = DATA;
    out[1] = out[2] = 3;
    out[3] = (uint8_t)((len + TAG) >> 8);
    out[4] = (uint8_t)(len + TAG);
    nonce(s, iv);
    ok = EVP_EncryptInit_ex(c, s->cipher, NULL, s->key, iv) == 1 &&
         EVP_EncryptUpdate(c, NULL, &k, out, HEAD) == 1 &&
         EVP_EncryptUpdate(c, out + HEAD, &k, inner, (int)len) == 1 &&
         EVP_EncryptFinal_ex(c, out + HEAD + len, &k) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, out + HEAD + len) ==
             1;
    EVP_CIPHER_CTX_free(c);
    if (!ok)
        abort();
    s->seq++;
    return HEAD + len + TAG;
}

int
sealing_open(struct sealing *s, const uint8_t *record, size_t size,
             uint8_t *out, uint8_t *type)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    size_t n = size - HEAD - TAG;
    uint8_t iv[12], tag[TAG];
    int k, ok;

    nonce(s, iv);
    memcpy(tag, record + HEAD + n, TAG);
    ok = EVP_DecryptInit_ex(c, s->cipher, NULL, s->key, iv) == 1 &&
         EVP_DecryptUpdate(c, NULL, &k, record, HEAD) == 1 &&
         EVP_DecryptUpdate(c, out, &k, record + HEAD, (int)n) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
         EVP_DecryptFinal_ex(c, out + n, &k) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!ok)
        return -1;
    s->seq++;
    while (n > 0 && out[n - 1] == 0)
        n--;
    if (n == 0)
        return -2;
    *type = out[n - 1];
    return (int)n - 1;
}

/* ---- sockets ---------------------------------------------------------- */

static struct ktls_sock *
find(const struct ktls_sim *sim, int fd)
{
    return fd >= 0 && fd < KTLS_SIM_SOCKETS ? sim->sock[fd] : NULL;
}

/* What is held, as far as TCP has room.  True: nothing is left. */
static bool
push(struct ktls_sim *sim, int fd)
{
    struct ktls_sock *k = find(sim, fd);

    while (k != NULL && k->held_n > 0) {
        ssize_t n = sim->below->send(fd, k->held + k->held_from, k->held_n,
                                     MSG_NOSIGNAL, sim->below->ud);

        if (n == -EAGAIN)
            return false;
        if (n < 0) /* nobody will hear it */
            n = (ssize_t)k->held_n;
        k->held_from += (size_t)n;
        k->held_n -= (size_t)n;
    }
    return true;
}

static void
push_all(struct ktls_sim *sim)
{
    for (int fd = 0; fd < KTLS_SIM_SOCKETS; fd++)
        if (sim->sock[fd] != NULL)
            push(sim, fd);
}

/* ---- keys ------------------------------------------------------------- */

static bool
take_key(struct sealing *s, const void *val, socklen_t n)
{
    const struct tls_crypto_info *info = val;
    const struct tls12_crypto_info_aes_gcm_128 *a = val;
    const struct tls12_crypto_info_aes_gcm_256 *b = val;
    const struct tls12_crypto_info_chacha20_poly1305 *c = val;
    const uint8_t *seq;

    if (n < sizeof *info || info->version != TLS_1_3_VERSION)
        return false;
    if (info->cipher_type == TLS_CIPHER_AES_GCM_128 && n == sizeof *a) {
        s->cipher = EVP_aes_128_gcm();
        memcpy(s->key, a->key, sizeof a->key);
        memcpy(s->iv, a->salt, 4);
        memcpy(s->iv + 4, a->iv, 8);
        seq = a->rec_seq;
    } else if (info->cipher_type == TLS_CIPHER_AES_GCM_256 && n == sizeof *b) {
        s->cipher = EVP_aes_256_gcm();
        memcpy(s->key, b->key, sizeof b->key);
        memcpy(s->iv, b->salt, 4);
        memcpy(s->iv + 4, b->iv, 8);
        seq = b->rec_seq;
    } else if (info->cipher_type == TLS_CIPHER_CHACHA20_POLY1305 &&
               n == sizeof *c) {
        s->cipher = EVP_chacha20_poly1305();
        memcpy(s->key, c->key, sizeof c->key);
        memcpy(s->iv, c->iv, 12);
        seq = c->rec_seq;
    } else {
        return false;
    }
    s->seq = 0;
    for (int i = 0; i < 8; i++)
        s->seq = s->seq << 8 | seq[i];
    return true;
}

static int
set_key(struct ktls_sim *sim, int fd, int name, const void *val, socklen_t n)
{
    struct ktls_sock *k = find(sim, fd);
    int err = name == TLS_TX ? sim->tx_error : sim->rx_error;
    struct sealing *s;

    if (k == NULL || !k->ulp || (name != TLS_TX && name != TLS_RX))
        return -ENOPROTOOPT;
    if (err < 0)
        return err;
    s = name == TLS_TX ? &k->tx : &k->rx;
    if (s->cipher != NULL && !sim->rekeys)
        return -EBUSY;
    sim->keys++;
    return take_key(s, val, n) ? 0 : -EINVAL;
}

static int
sim_setsockopt(int fd, int level, int name, const void *val, socklen_t n,
               void *ud)
{
    struct ktls_sim *sim = ud;

    if (level == SOL_TLS)
        return set_key(sim, fd, name, val, n);
    if (level != IPPROTO_TCP || name != TCP_ULP)
        return sim->below->setsockopt(fd, level, name, val, n, sim->below->ud);
    if (sim->ulp_error < 0)
        return sim->ulp_error;
    if (n != 3 || memcmp(val, "tls", 3) != 0)
        return -ENOENT;
    if (find(sim, fd) != NULL)
        return -EEXIST;
    sim->sock[fd] = calloc(1, sizeof **sim->sock);
    sim->sock[fd]->ulp = true;
    return 0;
}

/* ---- sending ---------------------------------------------------------- */

static ssize_t
send_records(struct ktls_sim *sim, int fd, uint8_t type,
             const struct iovec *iov, size_t parts)
{
    static uint8_t all[1 << 20];
    struct ktls_sock *k = find(sim, fd);
    size_t n = 0, done = 0;

    if (!push(sim, fd))
        return -EAGAIN;
    for (size_t i = 0; i < parts; i++) {
        size_t room = sizeof all - n;
        size_t m = iov[i].iov_len < room ? iov[i].iov_len : room;

        memcpy(all + n, iov[i].iov_base, m);
        n += m;
    }
    if (type == DATA && sim->max_take > 0 && n > sim->max_take)
        n = sim->max_take;
    if (type == DATA && parts > 0) {
        sim->from = iov[parts - 1].iov_base;
        sim->from_n = iov[parts - 1].iov_len;
    }
    while (done < n && push(sim, fd)) {
        size_t m = n - done < CONTENT ? n - done : CONTENT;

        k->held_from = 0;
        k->held_n = sealing_seal(&k->tx, type, all + done, m, 0, k->held);
        done += m;
    }
    push(sim, fd);
    return (ssize_t)done;
}

static ssize_t
sim_send(int fd, const void *buf, size_t len, int flags, void *ud)
{
    struct ktls_sim *sim = ud;
    const struct ktls_sock *k = find(sim, fd);
    struct iovec v = {(void *)(uintptr_t)buf, len};

    if (k == NULL || k->tx.cipher == NULL)
        return sim->below->send(fd, buf, len, flags, sim->below->ud);
    return send_records(sim, fd, DATA, &v, 1);
}

static ssize_t
sim_sendmsg(int fd, const struct msghdr *m, int flags, void *ud)
{
    struct ktls_sim *sim = ud;
    const struct ktls_sock *k = find(sim, fd);
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);
    uint8_t type = DATA;

    if (k == NULL || k->tx.cipher == NULL)
        return sim->below->sendmsg(fd, m, flags, sim->below->ud);
    if (c != NULL) {
        if (c->cmsg_level != SOL_TLS || c->cmsg_type != TLS_SET_RECORD_TYPE ||
            c->cmsg_len != CMSG_LEN(1))
            return -EINVAL;
        type = *CMSG_DATA(c);
    }
    return send_records(sim, fd, type, m->msg_iov, m->msg_iovlen);
}

/* ---- receiving -------------------------------------------------------- */

/* Bytes of the first record in raw, 0: it is not whole, or an error. */
static int
whole(const struct ktls_sock *k)
{
    size_t len;

    if (k->raw_n < HEAD)
        return 0;
    len = (size_t)k->raw[3] << 8 | k->raw[4];
    if (len > CONTENT + 256)
        return -EMSGSIZE;
    if (len < TAG + 1)
        return -EBADMSG;
    if (k->raw[1] != 3 || k->raw[2] != 3)
        return -EINVAL;
    return k->raw_n >= HEAD + len ? (int)(HEAD + len) : 0;
}

/* Have a record opened: 1; 0 at the end of the stream; or -errno. */
static int
open_next(struct ktls_sim *sim, int fd)
{
    struct ktls_sock *k = find(sim, fd);
    int size, n;

    if (k->opened)
        return 1;
    while ((size = whole(k)) == 0) {
        ssize_t got = sim->below->recv(
            fd, k->raw + k->raw_n, sizeof k->raw - k->raw_n, 0, sim->below->ud);

        if (got <= 0)
            return (int)got;
        k->raw_n += (size_t)got;
    }
    if (size < 0)
        return size;
    n = sealing_open(&k->rx, k->raw, (size_t)size, k->plain, &k->type);
    if (n < 0)
        return -EBADMSG;
    k->raw_n -= (size_t)size;
    memmove(k->raw, k->raw + size, k->raw_n);
    k->opened = true;
    k->plain_from = 0;
    k->plain_n = (size_t)n;
    return 1;
}

/* As tls_sw_recvmsg: data records one after the other, but a record of another
 * type by itself, and only to somebody who asks for its type. */
static ssize_t
receive(struct ktls_sim *sim, int fd, uint8_t *buf, size_t len, uint8_t *type)
{
    struct ktls_sock *k = find(sim, fd);
    uint8_t first = 0;
    size_t got = 0;

    if (type == NULL && sim->max_give > 0 && len > sim->max_give)
        len = sim->max_give;
    if (k->error < 0)
        return k->error;
    while (got < len) {
        int n = open_next(sim, fd);
        size_t m;

        if (n < 0 && n != -EAGAIN)
            k->error = n;
        if (n <= 0)
            return got > 0 ? (ssize_t)got : n;
        if (first != 0 && k->type != first)
            break;
        if (type == NULL && k->type != DATA)
            return got > 0 ? (ssize_t)got : -EIO;
        first = k->type;
        m = k->plain_n < len - got ? k->plain_n : len - got;
        memcpy(buf + got, k->plain + k->plain_from, m);
        got += m;
        k->plain_from += m;
        k->plain_n -= m;
        k->opened = k->plain_n > 0;
        if (first != DATA && !k->opened)
            break;
    }
    if (type != NULL)
        *type = first;
    return (ssize_t)got;
}

static ssize_t
sim_recv(int fd, void *buf, size_t len, int flags, void *ud)
{
    struct ktls_sim *sim = ud;
    const struct ktls_sock *k = find(sim, fd);

    if (k == NULL || k->rx.cipher == NULL)
        return sim->below->recv(fd, buf, len, flags, sim->below->ud);
    return receive(sim, fd, buf, len, NULL);
}

static ssize_t
sim_recvmsg(int fd, struct msghdr *m, int flags, void *ud)
{
    struct ktls_sim *sim = ud;
    const struct ktls_sock *k = find(sim, fd);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    uint8_t type = 0;
    ssize_t n;

    if (k == NULL || k->rx.cipher == NULL)
        return sim->below->recvmsg(fd, m, flags, sim->below->ud);
    n = receive(sim, fd, m->msg_iov->iov_base, m->msg_iov->iov_len,
                c != NULL ? &type : NULL);
    if (n > 0 && c != NULL) {
        c->cmsg_level = SOL_TLS;
        c->cmsg_type = TLS_GET_RECORD_TYPE;
        c->cmsg_len = CMSG_LEN(1);
        *CMSG_DATA(c) = type;
    }
    return n;
}

/* ---- the rest --------------------------------------------------------- */

static void
drop(struct ktls_sim *sim, int fd)
{
    struct ktls_sock *k = find(sim, fd);

    if (k != NULL && !push(sim, fd)) {
        sim->lost++;
        k->held_n = 0;
    }
}

static int
sim_shutdown(int fd, int how, void *ud)
{
    struct ktls_sim *sim = ud;

    drop(sim, fd);
    return sim->below->shutdown(fd, how, sim->below->ud);
}

static int
sim_close(int fd, void *ud)
{
    struct ktls_sim *sim = ud;

    drop(sim, fd);
    if (find(sim, fd) != NULL) {
        free(sim->sock[fd]);
        sim->sock[fd] = NULL;
    }
    return sim->below->close(fd, sim->below->ud);
}

/* No room where something is held. */
static int
sim_poll(struct pollfd *fds, nfds_t n, int64_t timeout, void *ud)
{
    struct ktls_sim *sim = ud;

    push_all(sim);
    if (n == 1 && timeout == 0 && (fds->events & POLLOUT) &&
        find(sim, fds->fd) != NULL && !push(sim, fds->fd))
        return 0;
    return sim->below->poll(fds, n, timeout, sim->below->ud);
}

static int
sim_epoll_wait(int epfd, struct epoll_event *ev, int max, int64_t timeout,
               void *ud)
{
    struct ktls_sim *sim = ud;

    push_all(sim);
    return sim->below->epoll_wait(epfd, ev, max, timeout, sim->below->ud);
}

void
ktls_sim_init(struct ktls_sim *sim)
{
    memset(sim, 0, sizeof *sim);
    sim->below = sonic_sys_kernel();
    sim->sys = *sim->below;
    sim->sys.ud = sim;
    sim->sys.setsockopt = sim_setsockopt;
    sim->sys.send = sim_send;
    sim->sys.sendmsg = sim_sendmsg;
    sim->sys.recv = sim_recv;
    sim->sys.recvmsg = sim_recvmsg;
    sim->sys.shutdown = sim_shutdown;
    sim->sys.close = sim_close;
    sim->sys.poll = sim_poll;
    sim->sys.epoll_wait = sim_epoll_wait;
}

void
ktls_sim_fini(struct ktls_sim *sim)
{
    for (int fd = 0; fd < KTLS_SIM_SOCKETS; fd++)
        free(sim->sock[fd]);
}
