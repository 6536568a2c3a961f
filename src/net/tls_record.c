/* Records of TLS 1.3 after the handshake.  See tls_record.def. */
#include "net/tls_record.h"

#include <assert.h>
#include <string.h>

#include <sonicio/error.h>

enum { /* handshake messages, RFC 8446 section 4 */
       NEW_SESSION_TICKET = 4,
       KEY_UPDATE = 24,
       MESSAGE_HEAD = 4,                  /* bytes: its type and length */
       TICKET_MAX = 2 * 65536 + 1024,     /* bytes: 4.6.1, all fields at most */
       INNER_MAX = SONIC__TLS_CONTENT + 1 /* with the type: section 5.2 */
};

typedef int fsm_act(struct sonic__tls_record *r);
static fsm_act act_deliver, act_renew, act_end, act_pay_and_end, act_give_up,
    act_refuse, act_pay, act_notify, act_nothing, act_impossible;

#define FSM_NAME "tls_record"
#define FSM_DEF "net/tls_record.def"
#define FSM_INFO sonic__tls_record_fsm
#include <sonicio/fsm_build.h>

/* 1: there is data; 0; SONIC_EOF; an error. */
static int
step(struct sonic__tls_record *r, enum fsm_event e)
{
    return fsm_step(&r->state, e, NULL)->act(r);
}

/* ---- looking at a record ---------------------------------------------- */

/* What is against the rules, and the alert that says so. */
static enum fsm_event
wrong(struct sonic__tls_record *r, enum sonic__tls_alert alert, const char *why)
{
    r->alert = (uint8_t)alert;
    r->why = why;
    return E_WRONG;
}

static size_t
length(const uint8_t *record)
{
    return (size_t)record[3] << 8 | record[4];
}

/* As far as it is there. */
static bool
is_head(const uint8_t *p, size_t n)
{
    return p[0] == SONIC__TLS_DATA && (n < 2 || p[1] == 3) &&
           (n < 3 || p[2] == 3) &&
           (n < SONIC__TLS_HEAD || length(p) <= SONIC__TLS_SEALED);
}

size_t
sonic__tls_record_size(const uint8_t *p, size_t n)
{
    if (!is_head(p, n))
        return n;
    return n < SONIC__TLS_HEAD ? SONIC__TLS_HEAD : SONIC__TLS_HEAD + length(p);
}

/* Of a record whose head is not to be opened. */
static enum fsm_event
classify_head(struct sonic__tls_record *r, const uint8_t *p, size_t size)
{
    if (p[0] == SONIC__TLS_CHANGE_CIPHER_SPEC)
        return wrong(r, SONIC__TLS_UNEXPECTED_MESSAGE,
                     "change_cipher_spec after the handshake");
    if (p[0] != SONIC__TLS_DATA)
        return wrong(r, SONIC__TLS_UNEXPECTED_MESSAGE, "bad record type");
    if ((size > 1 && p[1] != 3) || (size > 2 && p[2] != 3))
        return wrong(r, SONIC__TLS_DECODE_ERROR, "wrong version number");
    return wrong(r, SONIC__TLS_RECORD_OVERFLOW, "encrypted length too long");
}

static enum fsm_event
classify_alert(struct sonic__tls_record *r, const uint8_t *p, size_t n)
{
    if (n != 2)
        return wrong(r, SONIC__TLS_DECODE_ERROR, "an alert of another size");
    r->alert = p[1]; /* the level has no meaning: section 6 */
    if (p[1] == SONIC__TLS_CLOSE_NOTIFY)
        return E_CLOSE;
    return p[1] == SONIC__TLS_USER_CANCELED ? E_CANCEL : E_ALERT;
}

/* The four bytes in head are all there is of this message, so far. */
static enum fsm_event
classify_message(struct sonic__tls_record *r)
{
    size_t len =
        (size_t)r->head[1] << 16 | (size_t)r->head[2] << 8 | r->head[3];

    if (r->head[0] == KEY_UPDATE)
        return len == 1 ? E_PART
                        : wrong(r, SONIC__TLS_DECODE_ERROR, "bad key update");
    if (r->head[0] != NEW_SESSION_TICKET || !r->client)
        return wrong(r, SONIC__TLS_UNEXPECTED_MESSAGE,
                     "unexpected handshake message");
    if (len > TICKET_MAX)
        return wrong(r, SONIC__TLS_DECODE_ERROR, "excessive message size");
    r->skip = (uint32_t)len;
    r->n_head = 0;
    return E_PART;
}

/* A whole KeyUpdate is in head; keys change at the end of a record only. */
static enum fsm_event
classify_update(struct sonic__tls_record *r, size_t more)
{
    r->n_head = 0;
    if (more > 0)
        return wrong(r, SONIC__TLS_UNEXPECTED_MESSAGE,
                     "not on record boundary");
    if (r->head[MESSAGE_HEAD] > 1)
        return wrong(r, SONIC__TLS_ILLEGAL_PARAMETER, "bad key update");
    return r->head[MESSAGE_HEAD] == 1 ? E_ASK : E_UPDATE;
}

static enum fsm_event
classify_handshake(struct sonic__tls_record *r, const uint8_t *p, size_t n)
{
    enum fsm_event e = E_PART;

    if (n == 0)
        return wrong(r, SONIC__TLS_UNEXPECTED_MESSAGE, "bad length");
    while (n > 0 && e == E_PART) {
        size_t k = r->skip < n ? r->skip : n;

        r->skip -= (uint32_t)k;
        p += k;
        n -= k;
        if (n == 0)
            break;
        r->head[r->n_head++] = *p++;
        n--;
        if (r->n_head == MESSAGE_HEAD)
            e = classify_message(r);
        else if (r->n_head > MESSAGE_HEAD)
            e = classify_update(r, n);
    }
    return e;
}

/* n bytes of content at p; n is SIZE_MAX when all were zeros. */
static enum fsm_event
classify_content(struct sonic__tls_record *r, uint8_t type, const uint8_t *p,
                 size_t n)
{
    if (n == SIZE_MAX || type < SONIC__TLS_ALERT || type > SONIC__TLS_DATA)
        return wrong(r, SONIC__TLS_UNEXPECTED_MESSAGE, "bad record type");
    if (n > r->content)
        return wrong(r, SONIC__TLS_RECORD_OVERFLOW, "data length too long");
    if (type == SONIC__TLS_HANDSHAKE)
        return classify_handshake(r, p, n);
    if (r->n_head > 0 || r->skip > 0)
        return wrong(r, SONIC__TLS_UNEXPECTED_MESSAGE,
                     "within a handshake message");
    if (type == SONIC__TLS_ALERT)
        return classify_alert(r, p, n);
    return n > 0 ? E_DATA : E_EMPTY;
}

/* Records that bring nothing cost something: not many in a row. */
static enum fsm_event
count(struct sonic__tls_record *r, enum fsm_event e)
{
    if (e == E_DATA)
        r->useless = 0;
    else if (e < E_CLOSE && ++r->useless > SONIC__TLS_USELESS)
        return wrong(r, SONIC__TLS_UNEXPECTED_MESSAGE,
                     "too many records without data");
    return e;
}

/* ---- opening ---------------------------------------------------------- */

/* The content of an opened record ends before its type, the last byte that is
 * not a zero; `last` stands behind the n bytes at p. */
static size_t
strip(const uint8_t *p, size_t n, uint8_t last, uint8_t *type)
{
    *type = last;
    if (last != 0)
        return n;
    while (n > 0 && p[n - 1] == 0)
        n--;
    if (n == 0)
        return SIZE_MAX;
    *type = p[n - 1];
    return n - 1;
}

static enum fsm_event
open_record(struct sonic__tls_record *r, uint8_t *record, size_t size,
            uint8_t *buf, size_t room, struct sonic__tls_content *out)
{
    size_t n = size - SONIC__TLS_HEAD - SONIC__TLS_TAG;
    uint8_t last, type;
    int err;

    if (!is_head(record, size))
        return classify_head(r, record, size);
    if (size <= SONIC__TLS_HEAD + SONIC__TLS_TAG)
        return wrong(r, SONIC__TLS_BAD_RECORD_MAC, "length too short");
    out->at = n - 1 <= room ? buf : record + SONIC__TLS_HEAD;
    if (n - 1 == room) { /* just the type has none */
        err = sonic__tls_keys_open(&r->in, record, size, buf, &last);
    } else {
        err = sonic__tls_keys_open(&r->in, record, size, out->at, NULL);
        last = out->at[n - 1];
    }
    if (err == SONIC_ETLS_PROTOCOL)
        return wrong(r, SONIC__TLS_BAD_RECORD_MAC,
                     "decryption failed or bad record mac");
    if (err < 0) {
        r->error = err;
        return wrong(r, SONIC__TLS_INTERNAL_ERROR, "OpenSSL cannot decrypt");
    }
    if (n > INNER_MAX)
        return wrong(r, SONIC__TLS_RECORD_OVERFLOW, "data length too long");
    out->len = strip(out->at, n - 1, last, &type);
    return count(r, classify_content(r, type, out->at, out->len));
}

int
sonic__tls_record_open(struct sonic__tls_record *r, uint8_t *record,
                       size_t size, uint8_t *buf, size_t room,
                       struct sonic__tls_content *out)
{
    return r->error < 0 ? r->error
                        : step(r, open_record(r, record, size, buf, room, out));
}

int
sonic__tls_record_opened(struct sonic__tls_record *r, uint8_t type,
                         const uint8_t *p, size_t n)
{
    if (n > r->content)
        n = r->content; /* of several records, whose bounds it has checked */
    return r->error < 0 ? r->error
                        : step(r, count(r, classify_content(r, type, p, n)));
}

int
sonic__tls_record_refuse(struct sonic__tls_record *r, int err,
                         enum sonic__tls_alert alert, const char *why)
{
    if (r->error < 0)
        return r->error;
    r->error = err;
    return step(r, wrong(r, alert, why));
}

/* ---- sending ---------------------------------------------------------- */

int
sonic__tls_record_write(struct sonic__tls_record *r)
{
    if (r->error < 0)
        return r->error;
    r->useless = 0;
    return step(r, r->out.seq >= r->limit ? E_SPENT : E_WRITE);
}

int
sonic__tls_record_close(struct sonic__tls_record *r)
{
    return r->error < 0 ? r->error : step(r, E_SHUT);
}

/* ---- actions ---------------------------------------------------------- */

/* Keys that cannot be renewed or used: the first error stands. */
static int
broken(struct sonic__tls_record *r, int err)
{
    if (err < 0 && r->error == 0) {
        r->error = err;
        r->why = "OpenSSL cannot encrypt";
    }
    return r->error;
}

static int
note(struct sonic__tls_record *r, enum sonic__tls_type type, const void *p,
     size_t n)
{
    struct iovec v = {(void *)(uintptr_t)p, n},
                 to[2] = {{r->note, sonic__tls_sealed_size(n)}, {NULL, 0}};
    struct sonic__tls_from from = {&v, 0};
    int err = 0;

    if (r->plain) {
        r->note[0] = (uint8_t)type;
        memcpy(r->note + 1, p, n);
        to[0].iov_len = 1 + n;
    } else {
        err = sonic__tls_keys_seal(&r->out, type, &from, n, to);
    }
    r->n_note = err == 0 ? (uint8_t)to[0].iov_len : 0;
    return broken(r, err);
}

static int
act_deliver(struct sonic__tls_record *r)
{
    (void)r; /* the caller has it */
    return 1;
}

static int
act_renew(struct sonic__tls_record *r)
{
    r->renewed |= SONIC__TLS_IN;
    return broken(r, sonic__tls_keys_update(&r->in, false));
}

/* New keys of ours, and the last record with the old ones says so. */
static int
act_pay(struct sonic__tls_record *r)
{
    static const uint8_t not_requested[] = {KEY_UPDATE, 0, 0, 1, 0};
    int err =
        note(r, SONIC__TLS_HANDSHAKE, not_requested, sizeof not_requested);

    r->renewed |= SONIC__TLS_OUT;
    return err < 0 ? err : broken(r, sonic__tls_keys_update(&r->out, true));
}

static int
act_end(struct sonic__tls_record *r)
{
    (void)r;
    return SONIC_EOF;
}

static int
act_pay_and_end(struct sonic__tls_record *r)
{
    int err = act_pay(r);

    return err < 0 ? err : SONIC_EOF;
}

static int
act_give_up(struct sonic__tls_record *r)
{
    return r->error = SONIC_ETLS_ALERT;
}

static int
act_refuse(struct sonic__tls_record *r)
{
    const uint8_t fatal[2] = {2, r->alert};

    if (r->error == 0)
        r->error = SONIC_ETLS_PROTOCOL;
    return note(r, SONIC__TLS_ALERT, fatal, sizeof fatal);
}

static int
act_notify(struct sonic__tls_record *r)
{
    static const uint8_t close_notify[2] = {1, SONIC__TLS_CLOSE_NOTIFY};

    return note(r, SONIC__TLS_ALERT, close_notify, sizeof close_notify);
}

static int
act_nothing(struct sonic__tls_record *r)
{
    (void)r;
    return 0;
}

static int
act_impossible(struct sonic__tls_record *r)
{
    assert(false && "tls_record.def: a cell that cannot happen");
    return r->error;
}

/* ---- life ------------------------------------------------------------- */

void
sonic__tls_record_init(struct sonic__tls_record *r, bool client)
{
    r->client = client;
    r->limit = SONIC__TLS_PER_KEY;
    r->content = SONIC__TLS_CONTENT;
    r->state = S_OPEN;
}

void
sonic__tls_record_fini(struct sonic__tls_record *r)
{
    sonic__tls_keys_end(&r->in);
    sonic__tls_keys_end(&r->out);
}
