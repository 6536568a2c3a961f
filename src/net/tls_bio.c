/* Between OpenSSL and the stream below. */
#include "net/tls_kernel.h"

#include <string.h>

/* ---- reading ---------------------------------------------------------- */

void
sonic__tls_look(struct sonic__tls *t)
{
    t->in = sonic__stream_rest(t->below);
    t->in_len = sonic_stream_buffered(t->below);
    t->taken = 0;
}

void
sonic__tls_took(struct sonic__tls *t)
{
    if (t->taken > 0)
        sonic_stream_consume(t->below, t->taken);
    t->taken = 0;
    t->in = NULL;
    t->in_len = 0;
}

/* Bytes that the record at p takes, n of which are there; what is no record
 * is of the size that is there: OpenSSL shall say what is wrong with it. */
static size_t
record_size(const struct sonic__tls *t, const uint8_t *p, size_t n)
{
    size_t len;

    if (n == 0)
        return 1;
    if (t->own != NULL)
        return sonic__tls_record_size(p, n);
    if (p[0] < SSL3_RT_CHANGE_CIPHER_SPEC || p[0] > SSL3_RT_APPLICATION_DATA)
        return n;
    if (n < SONIC__TLS_RECORD_HEAD)
        return SONIC__TLS_RECORD_HEAD;
    len = (size_t)p[3] << 8 | p[4];
    return len > SONIC__TLS_RECORD + SONIC__TLS_RECORD_MORE
               ? n
               : len + SONIC__TLS_RECORD_HEAD;
}

/* Bytes of the record that may be read now; 0 when it is not whole. */
size_t
sonic__tls_next_record(const struct sonic__tls *t)
{
    size_t n = t->in_len - t->taken;
    size_t size = n == 0 ? 1 : record_size(t, t->in + t->taken, n);

    return size <= n ? size : 0;
}

bool
sonic__tls_record_ready(const struct sonic__tls *t)
{
    return t->record > 0 || sonic__tls_next_record(t) > 0;
}

static int
bio_read(BIO *b, char *buf, size_t len, size_t *n)
{
    struct sonic__tls *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (t->record == 0)
        t->record = sonic__tls_next_record(t);
    if (t->record == 0) {
        BIO_set_retry_read(b);
        return 0;
    }
    *n = len < t->record ? len : t->record;
    memcpy(buf, t->in + t->taken, *n);
    t->taken += *n;
    t->record -= *n;
    return 1;
}

/* Bytes have come, or there will be none. */
static void
on_lent(sonic_stream *below, int err, uint8_t *data, size_t len, void *ud)
{
    struct sonic__tls *t = ud;

    (void)below;
    (void)data;
    (void)len;
    t->flags &= ~(unsigned)SONIC__TLS_ARMED;
    if (err < 0)
        t->in_error = err;
    t->stream.object.ready |= SONIC__READ;
    if (!(t->flags & SONIC__TLS_CALLING))
        sonic__tls_run(&t->stream.object);
}

/* Have the rest of the next record received. */
bool
sonic__tls_arm(struct sonic__tls *t)
{
    size_t need;

    if (t->flags & SONIC__TLS_ARMED)
        return false;
    sonic__tls_look(t);
    need = record_size(t, t->in, t->in_len);
    t->flags |= SONIC__TLS_ARMED | SONIC__TLS_CALLING;
    sonic_stream_lend(t->below, need, 0, on_lent, t);
    t->flags &= ~(unsigned)SONIC__TLS_CALLING;
    return !(t->flags & SONIC__TLS_ARMED);
}

/* Nothing of the stream below will come back to t. */
void
sonic__tls_disarm(struct sonic__tls *t)
{
    if (t->flags & SONIC__TLS_ARMED)
        sonic__read_abandon(t->below, t);
    if (t->flags & SONIC__TLS_BARRIER)
        sonic__write_abandon(t->below, t);
    if (t->flags & SONIC__TLS_DRAINING)
        sonic__drain_abandon(t->below);
    t->flags &= ~(unsigned)(SONIC__TLS_ARMED | SONIC__TLS_BARRIER |
                            SONIC__TLS_DRAINING);
}

/* ---- writing ---------------------------------------------------------- */

/* To the end of the last block of the queue, then into a new one: full records
 * fill full blocks. */
static int
put(sonic_stream *below, const char *p, size_t n)
{
    size_t k = below->wq != NULL ? below->wq->room : 0;
    uint8_t *to;
    int err = 0;

    if (k >= n || k < 1024)
        k = 0;
    if (k > 0) {
        memcpy(sonic_stream_reserve(below, k), p, k);
        err = sonic_stream_commit(below, k);
    }
    if (err < 0)
        return err;
    to = sonic_stream_reserve(below, n - k);
    if (to == NULL) /* why? */
        return sonic_stream_send(below, p + k, n - k);
    memcpy(to, p + k, n - k);
    return sonic_stream_commit(below, n - k);
}

/* On error a part may be gone: the stream cannot go on. */
int
sonic__tls_put(struct sonic__tls *t, const void *p, size_t n)
{
    int err = t->below == NULL ? SONIC_ECLOSED : put(t->below, p, n);

    if (err < 0)
        return t->out_error = err;
    t->position += n;
    return 0;
}

static int
bio_write(BIO *b, const char *buf, size_t len, size_t *n)
{
    BIO_clear_retry_flags(b);
    if (sonic__tls_put(BIO_get_data(b), buf, len) < 0)
        return 0;
    *n = len;
    return 1;
}

static void
on_room(sonic_stream *below, int err, size_t n, void *ud)
{
    struct sonic__tls *t = ud;

    (void)below;
    (void)n;
    t->flags &= ~(unsigned)SONIC__TLS_DRAINING;
    if (err < 0)
        t->out_error = err;
    t->stream.object.ready |= SONIC__WRITE;
    if (t->flags & SONIC__TLS_CALLING)
        sonic__defer(&t->stream.object);
    else
        sonic__tls_run(&t->stream.object);
}

/* Is the queue below short enough for more?  Else the stream's WRITE comes
 * back when it is. */
bool
sonic__tls_wait_for_room(struct sonic__tls *t)
{
    size_t low = sonic__low_water(t->below);

    if (sonic_stream_queued(t->below) <= low)
        return true;
    if (sonic_stream_flush(t->below) < 0 ||
        sonic_stream_queued(t->below) <= low)
        return true; /* the next write says what is wrong */
    if (t->flags & SONIC__TLS_DRAINING)
        return false;
    t->flags |= SONIC__TLS_DRAINING | SONIC__TLS_CALLING;
    sonic_stream_async_drain(t->below, on_room, t);
    t->flags &= ~(unsigned)SONIC__TLS_CALLING;
    return !(t->flags & SONIC__TLS_DRAINING);
}

static void
on_barrier(sonic_stream *below, int err, size_t n, void *ud)
{
    struct sonic__tls *t = ud;

    (void)below;
    (void)n;
    t->flags &= ~(unsigned)SONIC__TLS_BARRIER;
    if (err < 0)
        t->out_error = err;
    if (sonic__tls_kernel_is(t, SONIC__KTLS_WANTS_TX))
        t->stream.object.ready |= SONIC__WRITE; /* it has waited for this */
    if (t->flags & SONIC__TLS_CALLING)
        sonic__defer(&t->stream.object);
    else
        sonic__tls_run(&t->stream.object);
}

/* Not yet: be called back when everything written up to now is with the
 * system. */
int
sonic__tls_wait_for_taken(struct sonic__tls *t)
{
    if (t->out_error < 0)
        return t->out_error;
    if (t->flags & SONIC__TLS_BARRIER)
        return 0;
    t->flags |= SONIC__TLS_BARRIER | SONIC__TLS_CALLING;
    sonic_stream_async_write(t->below, NULL, 0, on_barrier, t);
    t->flags &= ~(unsigned)SONIC__TLS_CALLING;
    return t->out_error;
}

/* ---- the object ------------------------------------------------------- */

static long
bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static int
bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

static BIO_METHOD *
make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                                 "sonicio stream");

    if (m != NULL && BIO_meth_set_read_ex(m, bio_read) &&
        BIO_meth_set_write_ex(m, bio_write) && BIO_meth_set_ctrl(m, bio_ctrl) &&
        BIO_meth_set_create(m, bio_create))
        return m;
    BIO_meth_free(m);
    return NULL;
}

/* One method for the process, as OpenSSL wants it. */
static const BIO_METHOD *
method(void)
{
    static _Atomic(BIO_METHOD *) shared;
    BIO_METHOD *m = atomic_load(&shared), *none = NULL;

    if (m != NULL)
        return m;
    m = make_method();
    if (m != NULL && !atomic_compare_exchange_strong(&shared, &none, m)) {
        BIO_meth_free(m);
        m = none;
    }
    return m;
}

int
sonic__tls_bio_attach(struct sonic__tls *t)
{
    const BIO_METHOD *m = method();
    BIO *b = m == NULL ? NULL : BIO_new(m);

    if (b == NULL)
        return -ENOMEM;
    BIO_set_data(b, t);
    SSL_set_bio(t->ssl, b, b);
    return 0;
}
