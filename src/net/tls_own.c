/* A TLS stream without OpenSSL's object: records opened from what the stream
 * below lends into the reader's memory, and sealed from the writer's into the
 * queue of the stream below. */
#include "net/tls_kernel.h"

#include <string.h>

/* What the machine has to say goes out before anything else. */
static int
send_note(struct sonic__tls *t)
{
    struct sonic__tls_record *r = &t->own->record;
    int err;

    if (sonic__tls_kernel_is(t, SONIC__KTLS_TX)) {
        (void)sonic__tls_kernel_note(t); /* it is kept while it must wait */
        return t->out_error;
    }
    err = r->n_note > 0 ? sonic__tls_put(t, r->note, r->n_note) : 0;
    r->n_note = 0;
    return err;
}

/* ---- reading ---------------------------------------------------------- */

/* Plaintext that did not fit into an earlier read: it stands where its record
 * stood. */
static size_t
take_plain(struct sonic__tls *t, uint8_t *buf, size_t len)
{
    struct sonic__tls_own *own = t->own;
    size_t n = own->plain < len ? own->plain : len;

    memcpy(buf, t->in + t->taken, n);
    t->taken += n;
    own->plain -= n;
    if (own->plain == 0) {
        t->taken += own->trailer;
        own->trailer = 0;
    }
    return n;
}

/* Open a record that is whole.  Bytes that went to buf. */
static size_t
open_one(struct sonic__tls *t, size_t size, uint8_t *buf, size_t len)
{
    struct sonic__tls_own *own = t->own;
    uint8_t *record = (uint8_t *)(uintptr_t)t->in + t->taken;
    struct sonic__tls_content c = {buf, 0};
    int n = sonic__tls_record_open(&own->record, record, size, buf, len, &c);

    if (send_note(t) < 0 && n >= 0)
        t->error = t->out_error;
    if (n == SONIC_EOF)
        t->flags |= SONIC__TLS_ENDED;
    else if (n < 0)
        t->error = sonic__tls_own_fail(t);
    if (n != 1 || c.at == buf) {
        t->taken += size;
        return n == 1 ? c.len : 0;
    }
    t->taken += (size_t)(c.at - record);
    own->plain = c.len;
    own->trailer = size - (size_t)(c.at - record) - c.len;
    return take_plain(t, buf, len);
}

size_t
sonic__tls_own_open(struct sonic__tls *t, uint8_t *buf, size_t len)
{
    size_t got = 0, size;

    while (got < len && t->error == 0 && !(t->flags & SONIC__TLS_ENDED)) {
        if (t->own->plain > 0) {
            got += take_plain(t, buf + got, len - got);
            continue;
        }
        size = sonic__tls_next_record(t);
        if (size == 0)
            break;
        got += open_one(t, size, buf + got, len - got);
    }
    return got;
}

/* ---- writing ---------------------------------------------------------- */

/* Where a record of `size` bytes goes: the rest of the queue's last block and
 * then a new one, so that full records fill full blocks.  Its tail, which is
 * not cut, goes to the second.  False: there is no room for all of it, but
 * to[0] is taken, if it has any. */
static bool
find_room(sonic_stream *below, size_t size, struct iovec to[2])
{
    size_t k = below->wq != NULL ? below->wq->room : 0;
    uint8_t *p;

    if (k >= size || k < 1024)
        k = 0;
    else if (k > size - SONIC__TLS_TAIL)
        k = size - SONIC__TLS_TAIL;
    to[0] = to[1] = (struct iovec){NULL, 0};
    if (k > 0) {
        to[0] = (struct iovec){sonic_stream_reserve(below, k), k};
        if (sonic_stream_commit(below, k) < 0)
            return false;
    }
    p = sonic_stream_reserve(below, size - k);
    if (p == NULL || sonic_stream_commit(below, size - k) < 0)
        return false;
    to[k > 0] = (struct iovec){p, size - k};
    return true;
}

/* Without room the stream below has to say why. */
static int
seal_aside(struct sonic__tls *t, struct sonic__tls_from *from, size_t len,
           const struct iovec *first)
{
    uint8_t record[SONIC__TLS_HEAD + SONIC__TLS_CONTENT + SONIC__TLS_TAIL];
    size_t size = sonic__tls_sealed_size(len), k = first->iov_len;
    struct iovec to[2] = {{record, size}, {NULL, 0}};
    int err = sonic__tls_keys_seal(&t->own->record.out, SONIC__TLS_DATA, from,
                                   len, to);

    if (k > 0)
        memcpy(first->iov_base, record, k);
    if (err == 0)
        err = sonic_stream_send(t->below, record + k, size - k);
    if (err < 0)
        OPENSSL_cleanse(record, sizeof record);
    return err;
}

/* What is in the queue already must not show what it should have hidden. */
static void
wipe(const struct iovec to[2])
{
    for (int i = 0; i < 2; i++)
        if (to[i].iov_len > 0)
            OPENSSL_cleanse(to[i].iov_base, to[i].iov_len);
}

ssize_t
sonic__tls_own_seal(struct sonic__tls *t, struct sonic__tls_from *from,
                    size_t len)
{
    struct sonic__tls_record *r = &t->own->record;
    size_t size = sonic__tls_sealed_size(len);
    struct iovec to[2];
    int err = t->out_error;

    if (err == 0 && sonic__tls_record_write(r) < 0)
        return t->error = sonic__tls_own_fail(t);
    if (err == 0)
        err = t->below == NULL ? SONIC_ECLOSED : send_note(t);
    if (err < 0)
        return t->error = err;
    if (find_room(t->below, size, to))
        err = sonic__tls_keys_seal(&r->out, SONIC__TLS_DATA, from, len, to);
    else
        err = seal_aside(t, from, len, &to[0]);
    if (err < 0) {
        wipe(to);
        return t->error = t->out_error = err;
    }
    t->position += size;
    return (ssize_t)len;
}

/* RFC 8446 section 6.1. */
void
sonic__tls_own_notify(struct sonic__tls *t)
{
    if (sonic__tls_record_close(&t->own->record) == 0)
        (void)send_note(t);
}
