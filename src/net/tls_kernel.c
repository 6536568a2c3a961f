/* kTLS: handing the keys over.  Documentation/networking/tls.rst. */
#include "net/tls_kernel.h"

#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <openssl/crypto.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* Linux 6.0; older headers do not have it. */
enum { RX_EXPECT_NO_PAD = 4 };

/* ---- the stream below, once the kernel encrypts ------------------------ */

/* The TLS stream above: its lend of the stream below said so. */
static struct sonic__tls *
above(const sonic_stream *s)
{
    return s->rd.ud;
}

/* No further than the record that has begun, so that its end is met. */
static ssize_t
read_below(sonic_stream *s, void *buf, size_t len)
{
    const struct sonic__tls *t = above(s);
    const sonic_sys *sys = s->object.io->sys;

    if (t->kernel->flags & SONIC__KTLS_WANTS_RX) {
        size_t have = sonic_stream_buffered(s);
        size_t size = have > 0
                          ? sonic__tls_record_size(sonic__stream_rest(s), have)
                          : SONIC__TLS_HEAD;

        if (size > have && len > size - have)
            len = size - have;
    }
    return sys->recv(s->object.fd, buf, len, 0, sys->ud);
}

static ssize_t
readv_below(sonic_stream *s, const struct iovec *iov, int n)
{
    return n > 0 ? read_below(s, iov->iov_base, iov->iov_len) : 0;
}

static ssize_t
writev_below(sonic_stream *s, const struct iovec *iov, int n)
{
    return above(s)->kernel->below->writev(s, iov, n);
}

static int
shutdown_below(sonic_stream *s)
{
    return above(s)->kernel->below->shutdown(s);
}

/* What is ready is so for the stream above. */
static void
run_below(struct sonic__object *o)
{
    sonic_stream *s = (sonic_stream *)o;
    struct sonic__tls *t = above(s);
    const struct sonic__class *cls = o->cls;
    unsigned ready = 0;

    sonic__stream_run(o);
    if ((o->flags & SONIC__CLOSED) || o->cls != cls)
        return; /* a callback has done with it */
    if (t->kernel->flags & SONIC__KTLS_RX)
        ready |= SONIC__READ;
    if (t->kernel->flags & SONIC__KTLS_TX)
        ready |= SONIC__WRITE;
    t->stream.object.ready |= (uint8_t)(o->ready & ready);
    if (o->ready & ready & SONIC__WRITE)
        sonic__tls_kernel_go_on(t);
    sonic__tls_run(&t->stream.object);
}

static bool
reading_below(const struct sonic__object *o)
{
    const struct sonic__tls *t = above((const sonic_stream *)o);

    if (!(t->kernel->flags & SONIC__KTLS_RX))
        return sonic__stream_reading(o);
    return (t->stream.object.bits & SONIC__READ_KIND) != SONIC__READ_NONE &&
           (o->flags & SONIC__REGISTERED);
}

static const struct sonic__stream_class below_class = {
    .base = {.name = "tcp",
             .run = run_below,
             .close = sonic__stream_close,
             .destroy = sonic__stream_destroy,
             .reading = reading_below},
    .read = read_below,
    .readv = readv_below,
    .writev = writev_below,
    .shutdown = shutdown_below,
};

/* ---- what is told ----------------------------------------------------- */

void
sonic__tls_kernel_end(struct sonic__tls *t)
{
    struct sonic__tls_kernel *k = t->kernel;

    if (k == NULL)
        return;
    t->kernel = NULL;
    if (k->below != NULL)
        t->below->object.cls = &k->below->base;
    sonic__free(t->stream.object.io, k, sizeof *k);
}

static void
refuse(struct sonic__tls *t, const char *why)
{
    sonic__tls_kernel_end(t);
    t->ktls = why;
}

static bool
is_tcp(const struct sonic__tls *t)
{
    const sonic_sys *sys = t->ctx->sys;
    int fd = t->below->object.fd, protocol = 0;
    socklen_t n = sizeof protocol;

    return fd >= 0 &&
           sys->getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n,
                           sys->ud) == 0 &&
           protocol == IPPROTO_TCP;
}

int
sonic__tls_kernel_prepare(struct sonic__tls *t)
{
    if (t->ctx->opt.ktls != SONIC_ON) {
        t->ktls = "not asked for";
        return 0;
    }
    if (!is_tcp(t)) {
        t->ktls = "the stream below is not TCP";
        return 0;
    }
    t->ktls = "the handshake is not over";
    t->kernel = sonic__alloc(t->stream.object.io, sizeof *t->kernel);
    return t->kernel == NULL ? -ENOMEM : 0;
}

/* ---- keys ------------------------------------------------------------- */

union crypto {
    struct tls_crypto_info info;
    struct tls12_crypto_info_aes_gcm_128 aes128;
    struct tls12_crypto_info_aes_gcm_256 aes256;
    struct tls12_crypto_info_chacha20_poly1305 chacha;
};

static void
put_seq(uint8_t to[8], uint64_t seq)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(seq >> (56 - 8 * i));
}

/* The name that every cipher's structure gives its parts. */
#define FILL(c, k, m)                                                          \
    do {                                                                       \
        memcpy((c)->key, (m)->key, sizeof(c)->key);                            \
        memcpy((c)->salt, (m)->iv, sizeof(c)->salt);                           \
        memcpy((c)->iv, (m)->iv + sizeof(c)->salt, sizeof(c)->iv);             \
        put_seq((c)->rec_seq, (k)->seq);                                       \
    } while (0)

static socklen_t
describe(const struct sonic__tls_keys *k, const struct sonic__tls_traffic *m,
         union crypto *c)
{
    c->info.version = TLS_1_3_VERSION;
    switch (k->suite->id) {
    case 0x1301:
        c->info.cipher_type = TLS_CIPHER_AES_GCM_128;
        FILL(&c->aes128, k, m);
        return sizeof c->aes128;
    case 0x1302:
        c->info.cipher_type = TLS_CIPHER_AES_GCM_256;
        FILL(&c->aes256, k, m);
        return sizeof c->aes256;
    case 0x1303: /* without a salt */
        c->info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
        memcpy(c->chacha.key, m->key, sizeof c->chacha.key);
        memcpy(c->chacha.iv, m->iv, sizeof c->chacha.iv);
        put_seq(c->chacha.rec_seq, k->seq);
        return sizeof c->chacha;
    default:
        return 0;
    }
}

int
sonic__tls_kernel_set(struct sonic__tls *t, int direction)
{
    const sonic_sys *sys = t->ctx->sys;
    const struct sonic__tls_keys *k =
        direction == TLS_TX ? &t->own->record.out : &t->own->record.in;
    struct sonic__tls_traffic m;
    union crypto c;
    socklen_t n;
    int err;

    memset(&c, 0, sizeof c);
    err = sonic__tls_keys_derive(k->suite, k->secret, &m);
    n = err == 0 ? describe(k, &m, &c) : 0;
    if (err == 0)
        err = n == 0 ? -EOPNOTSUPP
                     : sys->setsockopt(t->below->object.fd, SOL_TLS, direction,
                                       &c, n, sys->ud);
    OPENSSL_cleanse(&m, sizeof m);
    OPENSSL_cleanse(&c, sizeof c);
    return err;
}

/* ---- handing over ----------------------------------------------------- */

static const char *
why_no_ulp(int err)
{
    switch (err) {
    case -ENOENT:
        return "the kernel has no tls module";
    case -ENOPROTOOPT:
        return "the kernel knows no protocols above TCP";
    case -ENOTCONN:
        return "the connection has ended already";
    case -EEXIST:
        return "the socket has another protocol above TCP";
    case -EPERM:
    case -EACCES:
        return "the kernel does not allow it";
    default:
        return "the kernel refuses it for this socket";
    }
}

static const char *
why_no_keys(int err)
{
    switch (err) {
    case -ENOENT:
    case -EINVAL:
    case -EOPNOTSUPP:
        return "the kernel does not know this version or cipher";
    case -ENOPROTOOPT:
        return "the kernel has no TLS of this kind";
    case -EBUSY:
    case -EEXIST:
        return "the socket is encrypted already";
    default:
        return "the kernel refuses the keys";
    }
}

/* Everything that was written before must have left the queue. */
bool
sonic__tls_kernel_take_sending(struct sonic__tls *t)
{
    struct sonic__tls_kernel *k = t->kernel;
    int err;

    if (!(k->flags & SONIC__KTLS_WANTS_TX))
        return (k->flags & SONIC__KTLS_TX) != 0;
    err = sonic_stream_flush(t->below);
    if (err < 0)
        t->out_error = err;
    if (err < 0 || sonic_stream_queued(t->below) > 0) {
        (void)sonic__tls_wait_for_taken(t);
        return false;
    }
    err = sonic__tls_kernel_set(t, TLS_TX);
    if (err < 0) {
        refuse(t, why_no_keys(err));
        return false;
    }
    k->flags &= ~(unsigned)SONIC__KTLS_WANTS_TX;
    k->flags |= SONIC__KTLS_TX;
    k->pushed = t->position;
    t->own->record.plain = true;
    t->own->record.renewed &= (uint8_t)~SONIC__TLS_OUT;
    t->ktls = "active for sending, for receiving from the next record on";
    return true;
}

/* No byte of the next record may have been read, and nobody be about to. */
bool
sonic__tls_kernel_take_receiving(struct sonic__tls *t)
{
    struct sonic__tls_kernel *k = t->kernel;
    const sonic_sys *sys = t->ctx->sys;
    int err, one = 1;

    if ((k->flags & (SONIC__KTLS_WANTS_RX | SONIC__KTLS_TX)) !=
        (SONIC__KTLS_WANTS_RX | SONIC__KTLS_TX))
        return (k->flags & SONIC__KTLS_RX) != 0;
    if ((t->flags & SONIC__TLS_ARMED) || t->in_error < 0 || t->own->plain > 0 ||
        sonic_stream_buffered(t->below) > 0)
        return false;
    err = sonic__tls_kernel_set(t, TLS_RX);
    k->flags &= ~(unsigned)SONIC__KTLS_WANTS_RX;
    if (err < 0) {
        t->ktls = "active for sending only: the kernel does not open records";
        return false;
    }
    k->flags |= SONIC__KTLS_RX;
    t->own->record.renewed &= (uint8_t)~SONIC__TLS_IN;
    t->ktls = "active";
    /* Straight into the reader's memory; what has padding or is no data is
     * opened once more.  Kernels before 6.0 do not know of it. */
    (void)sys->setsockopt(t->below->object.fd, SOL_TLS, RX_EXPECT_NO_PAD, &one,
                          sizeof one, sys->ud);
    return true;
}

/* TLS 1.2 is not handed over: OpenSSL does not show its keys, its ciphers are
 * many, and who wants the kernel to encrypt can have TLS 1.3. */
void
sonic__tls_kernel_attach(struct sonic__tls *t)
{
    const sonic_sys *sys = t->ctx->sys;
    int err;

    if (t->kernel == NULL)
        return;
    if (SSL_version(t->ssl) != TLS1_3_VERSION) {
        refuse(t, "TLS 1.2 stays with OpenSSL");
        return;
    }
    err = sys->setsockopt(t->below->object.fd, IPPROTO_TCP, TCP_ULP, "tls", 3,
                          sys->ud);
    if (err < 0)
        refuse(t, why_no_ulp(err));
}

void
sonic__tls_kernel_begin(struct sonic__tls *t)
{
    struct sonic__tls_kernel *k = t->kernel;

    if (k == NULL)
        return;
    if (t->own == NULL) {
        refuse(t, "OpenSSL has not shown the keys");
        return;
    }
    if (t->own->record.content < SONIC__TLS_CONTENT) {
        refuse(t, "the peer wants shorter records than the kernel makes");
        return;
    }
    k->below = sonic__stream_class(t->below);
    k->flags = SONIC__KTLS_WANTS_TX | SONIC__KTLS_WANTS_RX;
    t->below->object.cls = &below_class.base;
    t->below->rd.ud = t;
    t->ktls = "what was written before is not out yet";
    if (sonic__tls_kernel_take_sending(t))
        (void)sonic__tls_kernel_take_receiving(t);
}
