/* Anything inside a record of TLS 1.3, sealed by a peer that has the keys:
 * data comes out as it went in, whatever the room; what is refused is refused
 * for good and said in an alert; both sides' keys stay the same.
 *
 * The input: the role and the suite, then records: what to do, a type, zeros
 * behind it, bytes of content (two), the content. */
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "net/tls_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {              /* bits of what to do */
       WRITE = 1,   /* we send something after it */
       LITTLE = 2,  /* the reader has little room */
       DAMAGE = 4,  /* a bit is not as it was sent */
       UPDATED = 8, /* we have sealed enough with this key */
       MUCH = 16    /* of zeros: 256 times */
};

static struct {
    struct sonic__tls_record r;
    struct sonic__tls_keys out, in; /* the peer's */
    uint8_t inner[1 << 17], wire[1 << 17], buf[1 << 17];
} w;

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
begin(struct sonic__tls_keys *k, unsigned suite, uint8_t secret, bool seals)
{
    uint8_t s[SONIC__TLS_SECRET_MAX];

    memset(s, secret, sizeof s);
    must(sonic__tls_keys_begin(k, sonic__tls_suite(suite), s, seals, 0) == 0);
}

/* The peer takes what we have to say. */
static void
take_note(void)
{
    uint8_t got[SONIC__TLS_NOTE], type;

    if (w.r.n_note == 0)
        return;
    must(sonic__tls_keys_open(&w.in, w.r.note, w.r.n_note, got, &type) == 0);
    must(type == SONIC__TLS_ALERT || type == SONIC__TLS_HANDSHAKE);
    if (type == SONIC__TLS_HANDSHAKE)
        must(sonic__tls_keys_update(&w.in, false) == 0);
    w.r.n_note = 0;
}

static size_t
seal(unsigned type, const uint8_t *p, size_t n, size_t zeros)
{
    size_t size = sonic__tls_sealed_size(n + zeros);
    struct iovec v = {w.inner, n + zeros}, to[2] = {{w.wire, size}, {NULL, 0}};
    struct sonic__tls_from from = {&v, 0};

    memset(w.inner, 0, n + zeros + 1);
    if (n > 0)
        memcpy(w.inner, p, n);
    w.inner[n] = (uint8_t)type;
    must(sonic__tls_keys_seal(&w.out, zeros > 0 ? 0 : type, &from, n + zeros,
                              to) == 0);
    return size;
}

/* One record.  Is there to be another? */
static bool
play(unsigned what, unsigned type, size_t zeros, const uint8_t *p, size_t n)
{
    size_t size = seal(type, p, n, zeros), room = n + zeros;
    struct sonic__tls_content c = {NULL, 0};
    uint8_t secret[SONIC__TLS_SECRET_MAX];
    int got;

    while (type == 0 && n > 0) { /* then the content's end is the type */
        type = p[--n];
        zeros++;
    }
    memcpy(secret, w.r.in.secret, sizeof secret);
    if (what & DAMAGE)
        w.wire[5 + (n + zeros) / 2] ^= 1;
    must(size > SONIC__TLS_SEALED + SONIC__TLS_HEAD ||
         sonic__tls_record_size(w.wire, size) == size);
    got = sonic__tls_record_open(&w.r, w.wire, size, w.buf,
                                 what & LITTLE ? room / 2 : room, &c);
    take_note();
    must(got <= 1);
    if (got == 1) {
        must(type == SONIC__TLS_DATA && !(what & DAMAGE));
        must(c.len == n && memcmp(c.at, p, n) == 0);
        must(n <= SONIC__TLS_CONTENT && n + zeros <= SONIC__TLS_CONTENT);
    }
    if (what & DAMAGE)
        must(got < 0);
    if (memcmp(secret, w.r.in.secret, sizeof secret) != 0) {
        must(type == SONIC__TLS_HANDSHAKE && got == 0);
        must(sonic__tls_keys_update(&w.out, true) == 0);
    }
    if (got < 0 && got != SONIC_EOF) {
        must(w.r.error == got && sonic__tls_record_write(&w.r) == got);
        must(sonic__tls_record_open(&w.r, w.wire, size, w.buf, room, &c) ==
             got);
        must(w.r.n_note == 0);
        return false;
    }
    w.r.limit = what & UPDATED ? w.r.out.seq : SONIC__TLS_PER_KEY;
    if (what & (WRITE | UPDATED))
        must(sonic__tls_record_write(&w.r) == 0);
    take_note();
    must(memcmp(w.in.secret, w.r.out.secret, sizeof secret) == 0);
    must(w.in.seq == w.r.out.seq);
    return got != SONIC_EOF;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool more = true;
    unsigned suite;

    if (size < 1 || size > 100000)
        return 0;
    suite = 0x1301 + data[0] / 2u % 3;
    memset(&w.r, 0, sizeof w.r);
    begin(&w.out, suite, 1, true);
    begin(&w.r.in, suite, 1, false);
    begin(&w.r.out, suite, 2, true);
    begin(&w.in, suite, 2, false);
    sonic__tls_record_init(&w.r, data[0] & 1);
    for (data++, size--; more && size >= 5;) {
        size_t n = (size_t)data[3] << 8 | data[4];
        size_t zeros = data[0] & MUCH ? data[2] * 256u : data[2];

        n = n < size - 5 ? n : size - 5;
        more = play(data[0], data[1], zeros, data + 5, n);
        data += 5 + n;
        size -= 5 + n;
    }
    must(sonic__tls_record_close(&w.r) == w.r.error);
    take_note();
    sonic__tls_record_fini(&w.r);
    sonic__tls_keys_end(&w.out);
    sonic__tls_keys_end(&w.in);
    return 0;
}
