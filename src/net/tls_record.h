/* tls_record.h - TLS 1.3 after the handshake, as a machine over records
 *
 * It opens records and says what is in them, keeps both sides' keys young, and
 * knows when to send what besides data.  It reads and writes memory only.  See
 * tls_record.def; RFC 8446 sections 4.6, 5 and 6.
 */
#ifndef SONICIO_SRC_TLS_RECORD_H
#define SONICIO_SRC_TLS_RECORD_H

#include "net/tls_keys.h"

enum sonic__tls_alert { /* RFC 8446 section 6 */
                        SONIC__TLS_CLOSE_NOTIFY = 0,
                        SONIC__TLS_UNEXPECTED_MESSAGE = 10,
                        SONIC__TLS_BAD_RECORD_MAC = 20,
                        SONIC__TLS_RECORD_OVERFLOW = 22,
                        SONIC__TLS_ILLEGAL_PARAMETER = 47,
                        SONIC__TLS_DECODE_ERROR = 50,
                        SONIC__TLS_INTERNAL_ERROR = 80,
                        SONIC__TLS_USER_CANCELED = 90
};

enum {
    SONIC__TLS_USELESS = 32,     /* records without data in a row, as OpenSSL */
    SONIC__TLS_NOTE = 32,        /* bytes of the longest note */
    SONIC__TLS_PER_KEY = 1 << 24 /* records: RFC 8446 section 5.5, for GCM */
};

enum { SONIC__TLS_IN = 1, SONIC__TLS_OUT = 2 };

struct sonic__tls_record {
    struct sonic__tls_keys in, out;
    uint64_t limit;   /* records sealed with one key */
    const char *why;  /* it failed, in words */
    int error;        /* it failed; SONIC_ETLS_ALERT: see alert */
    uint32_t skip;    /* bytes left of a handshake message of no concern */
    uint16_t content; /* bytes at most in a record, both ways */
    uint8_t state;
    bool client;
    bool plain;      /* the kernel seals: a note is its type and content */
    uint8_t renewed; /* directions whose keys have changed: SONIC__TLS_IN … */
    uint8_t alert;   /* the peer's, or ours */
    uint8_t useless; /* records in a row */
    uint8_t n_head;  /* bytes of a handshake message that has begun */
    uint8_t head[5]; /* as long as a KeyUpdate */
    uint8_t n_note;
    uint8_t note[SONIC__TLS_NOTE]; /* a record that is to be sent first */
};

/* After the keys of both directions have begun.  A client is sent tickets. */
void sonic__tls_record_init(struct sonic__tls_record *r, bool client);
void sonic__tls_record_fini(struct sonic__tls_record *r);

/* Bytes that the record at p takes, n > 0 of which are there.  What cannot
 * become one is of the size that is there: open says what is wrong. */
size_t sonic__tls_record_size(const uint8_t *p, size_t n);

/* What was in a record. */
struct sonic__tls_content {
    uint8_t *at; /* in buf, or in the record itself */
    size_t len;
};

/* sonic__tls_record_open - open the record of `size` bytes, as above
 * Content goes straight to buf when the room suffices, which it may scribble
 * on in any case; else it stays where it stood.
 * 1: there is data, as *out tells; 0: there is none; SONIC_EOF: the peer will
 * send no more; or error, from now on.  There may be a note to send. */
int sonic__tls_record_open(struct sonic__tls_record *r, uint8_t *record,
                           size_t size, uint8_t *buf, size_t room,
                           struct sonic__tls_content *out);

/* sonic__tls_record_opened - content that the kernel has opened: of a record or
 * a part of one, or data of several.  Returns as open. */
int sonic__tls_record_opened(struct sonic__tls_record *r, uint8_t type,
                             const uint8_t *p, size_t n);
/* Give up with err, which the peer is told of with `alert`. */
int sonic__tls_record_refuse(struct sonic__tls_record *r, int err,
                             enum sonic__tls_alert alert, const char *why);

/* Data is about to be sealed with r->out, or our side to be closed: send the
 * note first, if there is one.  0, or error. */
int sonic__tls_record_write(struct sonic__tls_record *r);
int sonic__tls_record_close(struct sonic__tls_record *r);

#endif
