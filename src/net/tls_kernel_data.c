/* kTLS: plaintext and control records to and from the kernel.  tls.rst,
 * "Sending TLS control messages" and "Receiving TLS control messages". */
#include "net/tls_kernel.h"

#include <linux/tls.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

enum {
    PART = 4096, /* bytes of a control record that are taken at once */
    TURNS = 32   /* control records in a row, before others have theirs */
};

/* A control message that is one byte, the type of a record. */
union record_type {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(1)];
};

static bool
try_again(ssize_t err)
{
    return err == -EAGAIN || err == -EWOULDBLOCK || err == -EINTR ||
           err == -ENOBUFS;
}

/* ---- control records out ---------------------------------------------- */

static ssize_t
send_record(struct sonic__tls *t, uint8_t type, const void *p, size_t n)
{
    const sonic_sys *sys = t->ctx->sys;
    struct iovec v = {(void *)(uintptr_t)p, n};
    union record_type control;
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    struct cmsghdr *c = &control.head;

    memset(&control, 0, sizeof control);
    c->cmsg_level = SOL_TLS;
    c->cmsg_type = TLS_SET_RECORD_TYPE;
    c->cmsg_len = CMSG_LEN(sizeof type);
    memcpy(CMSG_DATA(c), &type, sizeof type);
    return sys->sendmsg(t->below->object.fd, &m, MSG_NOSIGNAL, sys->ud);
}

/* Keys that are due, which Linux can change since 6.14. */
static const char no_new_keys[] =
    "new keys are due, and the kernel does not change them";

static void
await_room(struct sonic__tls *t)
{
    t->kernel->flags |= SONIC__KTLS_TIGHT;
    sonic__await(&t->below->object, SONIC__WRITE);
}

bool
sonic__tls_kernel_note(struct sonic__tls *t)
{
    struct sonic__tls_record *r = &t->own->record;
    ssize_t n;

    if (r->n_note > 0) {
        n = send_record(t, r->note[0], r->note + 1, r->n_note - 1u);
        if (try_again(n)) {
            await_room(t);
            return false;
        }
        r->n_note = 0;
        if (n < 0)
            t->out_error = (int)n;
        else
            t->position += (size_t)n;
    }
    if (r->renewed & SONIC__TLS_OUT) {
        r->renewed &= (uint8_t)~SONIC__TLS_OUT;
        if (sonic__tls_kernel_set(t, TLS_TX) < 0) {
            /* The peer awaits new ones: there is nothing that it can read. */
            sonic__tls_explain(t, "%s", no_new_keys);
            t->error = t->out_error = SONIC_ETLS;
        }
    }
    return true;
}

/* ---- data out --------------------------------------------------------- */

ssize_t
sonic__tls_kernel_writev(struct sonic__tls *t, const struct iovec *iov, int n)
{
    int err = 0;
    ssize_t k;

    /* A note that waits goes first; one may come of writing. */
    if (!sonic__tls_kernel_note(t))
        return -EAGAIN;
    if (t->error == 0)
        err = sonic__tls_record_write(&t->own->record);
    if (!sonic__tls_kernel_note(t))
        return -EAGAIN;
    if (err < 0 && t->error == 0)
        t->error = sonic__tls_own_fail(t);
    if (t->error < 0 || t->out_error < 0)
        return t->error < 0 ? t->error : t->out_error;
    k = t->kernel->below->writev(t->below, iov, n);
    if (k >= 0)
        t->position += (size_t)k;
    else if (k == -EAGAIN || k == -EWOULDBLOCK)
        await_room(t);
    else if (!try_again(k))
        t->out_error = (int)k;
    return k;
}

/* The kernel takes bytes for a record and then has no room for all of it with
 * TCP.  It goes on by itself; but what it holds when the socket is closed or
 * shut down is lost.  It holds nothing when there is room after it was asked to
 * go on, which a send of no bytes does. */
static bool
is_pushed(struct sonic__tls *t)
{
    struct sonic__tls_kernel *k = t->kernel;
    const sonic_sys *sys = t->ctx->sys;
    struct pollfd p = {.fd = t->below->object.fd, .events = POLLOUT};

    if (k->pushed == t->position)
        return true;
    if (k->flags & SONIC__KTLS_TIGHT)
        (void)sys->send(p.fd, "", 0, MSG_NOSIGNAL, sys->ud);
    if (sys->poll(&p, 1, 0, sys->ud) == 1) {
        k->flags &= ~(unsigned)SONIC__KTLS_TIGHT;
        k->pushed = t->position;
        return true;
    }
    await_room(t);
    return false;
}

int
sonic__tls_kernel_taken(struct sonic__tls *t, size_t up_to)
{
    if (up_to <= t->kernel->pushed)
        return 1;
    if (t->out_error < 0)
        return t->out_error;
    return is_pushed(t) ? 1 : 0;
}

int
sonic__tls_kernel_shutdown(struct sonic__tls *t)
{
    struct sonic__tls_kernel *k = t->kernel;

    k->flags |= SONIC__KTLS_SHUT;
    if (!sonic__tls_kernel_note(t))
        return 0;
    if (!(t->flags & SONIC__TLS_NOTIFIED)) {
        sonic__tls_notify(t);
        if (!sonic__tls_kernel_note(t))
            return 0;
    }
    if (!is_pushed(t))
        return 0;
    k->flags &= ~(unsigned)SONIC__KTLS_SHUT;
    return sonic_stream_shutdown(t->below);
}

void
sonic__tls_kernel_go_on(struct sonic__tls *t)
{
    if (t->kernel->flags & SONIC__KTLS_SHUT)
        (void)sonic__tls_kernel_shutdown(t);
    else
        (void)sonic__tls_kernel_note(t);
}

/* ---- in --------------------------------------------------------------- */

/* The peer has new keys: so must the kernel. */
static int
follow(struct sonic__tls *t)
{
    struct sonic__tls_record *r = &t->own->record;

    if (!(r->renewed & SONIC__TLS_IN))
        return 0;
    r->renewed &= (uint8_t)~SONIC__TLS_IN;
    if (sonic__tls_kernel_set(t, TLS_RX) == 0)
        return 0;
    return sonic__tls_record_refuse(r, SONIC_ETLS, SONIC__TLS_INTERNAL_ERROR,
                                    no_new_keys);
}

/* What the machine made of content: 0, the end is noted, or an error. */
static int
judge(struct sonic__tls *t, int outcome)
{
    if (outcome >= 0)
        outcome = follow(t);
    if (outcome == SONIC_EOF)
        t->flags |= SONIC__TLS_ENDED;
    else if (outcome < 0)
        t->error = sonic__tls_own_fail(t);
    (void)sonic__tls_kernel_note(t);
    return t->error;
}

/* The next record is no data: take it, or a part of it.  0, SONIC_EOF when the
 * stream has ended, -errno. */
static int
take_control(struct sonic__tls *t)
{
    const sonic_sys *sys = t->ctx->sys;
    uint8_t bytes[PART], type = SONIC__TLS_DATA;
    struct iovec v = {bytes, sizeof bytes};
    union record_type control;
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    const struct cmsghdr *c = &control.head;
    ssize_t n;

    memset(&control, 0, sizeof control);
    n = sys->recvmsg(t->below->object.fd, &m, 0, sys->ud);
    if (n <= 0)
        return n == 0 ? SONIC_EOF : (int)n;
    if (m.msg_controllen >= CMSG_LEN(1) && c->cmsg_level == SOL_TLS &&
        c->cmsg_type == TLS_GET_RECORD_TYPE)
        memcpy(&type, CMSG_DATA(c), sizeof type);
    if (type == SONIC__TLS_DATA)
        return -EIO; /* then that was no control record, but an error */
    return judge(
        t, sonic__tls_record_opened(&t->own->record, type, bytes, (size_t)n));
}

/* What the kernel could not open.  The socket keeps the error until it was
 * asked for, and sends nothing before, which our alert is. */
static int
refuse(struct sonic__tls *t, int err)
{
    struct sonic__tls_record *r = &t->own->record;
    const sonic_sys *sys = t->ctx->sys;
    int kept = 0;
    socklen_t n = sizeof kept;

    (void)sys->getsockopt(t->below->object.fd, SOL_SOCKET, SO_ERROR, &kept, &n,
                          sys->ud);

    switch (err) {
    case -EBADMSG:
        err = sonic__tls_record_refuse(r, SONIC_ETLS_PROTOCOL,
                                       SONIC__TLS_BAD_RECORD_MAC,
                                       "decryption failed or bad record mac");
        break;
    case -EMSGSIZE:
        err = sonic__tls_record_refuse(r, SONIC_ETLS_PROTOCOL,
                                       SONIC__TLS_RECORD_OVERFLOW,
                                       "encrypted length too long");
        break;
    case -EINVAL:
        err = sonic__tls_record_refuse(r, SONIC_ETLS_PROTOCOL,
                                       SONIC__TLS_DECODE_ERROR,
                                       "no record of TLS 1.3");
        break;
    default: /* of the socket; for the next try there may be memory */
        t->in_error = err == -ENOMEM ? 0 : err;
        return err;
    }
    return judge(t, err);
}

static ssize_t
truncated(struct sonic__tls *t)
{
    sonic__tls_explain(t, "the connection ended without close_notify");
    return t->error = SONIC_ETLS_TRUNCATED;
}

ssize_t
sonic__tls_kernel_read(struct sonic__tls *t, void *buf, size_t len)
{
    const sonic_sys *sys = t->ctx->sys;

    for (int turn = 0; turn < TURNS; turn++) {
        ssize_t n;

        if (t->error < 0 || t->in_error < 0)
            return t->error < 0 ? t->error : t->in_error;
        if (t->flags & SONIC__TLS_ENDED)
            return 0;
        n = sys->recv(t->below->object.fd, buf, len, 0, sys->ud);
        if (n > 0) {
            int err = sonic__tls_record_opened(&t->own->record, SONIC__TLS_DATA,
                                               buf, (size_t)n);

            if (err == 1)
                return n;
            n = judge(t, err);
        } else if (n == -EIO) {
            n = take_control(t);
        } else if (n == 0) {
            n = SONIC_EOF;
        }
        if (n == SONIC_EOF)
            return truncated(t);
        if (n == -EAGAIN || n == -EWOULDBLOCK)
            sonic__await(&t->below->object, SONIC__READ);
        if (n < 0 && t->error == 0)
            return try_again(n) ? n : refuse(t, (int)n);
    }
    return -EINTR; /* there is more */
}
