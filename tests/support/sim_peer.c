#include "sim_peer.h"

#include <errno.h>
#include <string.h>

#include <sonicio/error.h>

#define MS INT64_C(1000000)

enum { LEND_MIN = 3000, LEND_WANT = 20000, STEPS = 4 };

static void on_tick(sonic_timer *timer, int err, void *ud);
static void read_more(struct peer *p);

static uint64_t
pick(struct peer *p, uint64_t n)
{
    return sonic_sim_below(p->session->sim, n);
}

static void
wrong(struct peer *p, const char *what)
{
    if (p->session->wrong == NULL)
        p->session->wrong = what;
}

/* ---- the bytes ---- */

static uint8_t
byte_at(uint64_t salt, uint64_t at)
{
    uint64_t x = (at / 8 + salt) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint8_t)(x >> (8 * (at % 8)));
}

static void
make_bytes(struct peer *p, uint8_t *to, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        to[i] = byte_at(p->salt, p->queued + i);
    p->queued += n;
}

static void
check_bytes(struct peer *p, const uint8_t *got, size_t n, size_t consumed)
{
    size_t i;

    for (i = 0; i < n && !p->other->holes; i++) {
        if (got[i] != byte_at(p->other->salt, p->checked + i)) {
            wrong(p, "a byte is wrong");
            break;
        }
    }
    if (p->checked + n > p->other->queued)
        wrong(p, "bytes were invented");
    p->checked += consumed;
}

/* ---- operations ---- */

static void
begin(struct peer_op *op, struct peer *p)
{
    op->peer = p;
    op->busy = true;
    p->session->started++;
}

static struct peer *
complete(struct peer_op *op)
{
    struct peer *p = op->peer;

    p->session->completed++;
    if (!op->busy)
        wrong(p, "an operation completed twice");
    op->busy = false;
    return p;
}

static void
give_up(struct peer *p)
{
    p->failed = true;
    peer_end(p);
}

static void
step_later(struct peer *p)
{
    int64_t delay = pick(p, 2) == 0 ? 0 : (int64_t)pick(p, 5 * MS);

    if (sonic_timer_state(p->timer) != SONIC_TIMER_READY)
        return;
    p->session->started++;
    sonic_timer_once(p->timer, delay, on_tick, p);
}

/* ---- writing ---- */

static void write_more(struct peer *p);

static void
on_write(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct peer_op *op = ud;
    struct peer *p = complete(op);

    (void)stream;
    if (err == 0 && n != op->asked)
        wrong(p, "a write took less and says success");
    if (n > op->asked)
        wrong(p, "a write took more than it had");
    memset(op->buf, 0xee, sizeof op->buf); /* it is ours again */
    if (p->stream == NULL)
        return;
    if (err < 0)
        give_up(p);
    else if (pick(p, 2) == 0)
        write_more(p);
    else
        step_later(p);
}

static void
on_drain(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct peer *p = ud;

    (void)stream;
    (void)n;
    p->session->completed++;
    if (!p->draining)
        wrong(p, "a drain completed twice");
    p->draining = false;
    if (p->stream == NULL)
        return;
    if (err < 0)
        give_up(p);
    else
        write_more(p);
}

static void
write_op(struct peer *p, struct peer_op *op, size_t n)
{
    struct iovec iov[3];
    size_t a = (size_t)pick(p, n + 1), head;

    make_bytes(p, op->buf, n);
    op->asked = n;
    begin(op, p);
    switch (pick(p, 3)) {
    case 0:
        sonic_stream_async_write(p->stream, op->buf, n, on_write, op);
        break;
    case 1:
        iov[0] = (struct iovec){op->buf, a};
        iov[1] = (struct iovec){NULL, 0};
        iov[2] = (struct iovec){op->buf + a, n - a};
        sonic_stream_async_writev(p->stream, iov, 3, on_write, op);
        break;
    default:
        head = n < 14 ? n : 14;
        op->asked = n - head;
        sonic_stream_async_write_framed(p->stream, op->buf, head,
                                        op->buf + head, n - head, on_write, op);
        break;
    }
}

/* What sends say: 0, 1 above the mark, or an error. */
static int
send_copy(struct peer *p, size_t n)
{
    uint8_t buf[PEER_BUFFER], *at;
    uint64_t before = p->queued;
    size_t head = n < 14 ? n : 14;
    int r;

    switch (pick(p, 3)) {
    case 0:
        make_bytes(p, buf, n);
        r = sonic_stream_send(p->stream, buf, n);
        break;
    case 1:
        make_bytes(p, buf, n);
        r = sonic_stream_send_framed(p->stream, buf, head, buf + head,
                                     n - head);
        break;
    default:
        at = sonic_stream_reserve(p->stream, PEER_BUFFER);
        if (at == NULL)
            return -ENOMEM;
        make_bytes(p, at, n);
        r = sonic_stream_commit(p->stream, n);
        break;
    }
    if (r < 0)
        p->queued = before;
    return r;
}

static struct peer_op *
free_write(struct peer *p)
{
    size_t i;

    for (i = 0; i < PEER_WRITES; i++) {
        if (!p->writes[i].busy)
            return &p->writes[i];
    }
    return NULL;
}

static void
write_one(struct peer *p, size_t n)
{
    struct peer_op *op = pick(p, 2) == 0 ? free_write(p) : NULL;
    int r;

    if (op != NULL) {
        write_op(p, op, n);
        return;
    }
    r = send_copy(p, n);
    if (r < 0) {
        give_up(p);
    } else if (r == 1) {
        p->draining = true;
        p->session->started++;
        sonic_stream_async_drain(p->stream, on_drain, p);
    }
}

static void
write_more(struct peer *p)
{
    int i;

    for (i = 0; i < STEPS && p->stream != NULL && !p->draining; i++) {
        uint64_t left = p->to_write - p->queued;
        size_t n = 1 + (size_t)pick(p, pick(p, 2) == 0 ? 100 : PEER_BUFFER);

        if (left == 0) {
            sonic_stream_shutdown(p->stream);
            return;
        }
        write_one(p, n < left ? n : (size_t)left);
    }
    if (p->stream != NULL && !p->draining)
        step_later(p);
}

/* ---- reading ---- */

/* After a read: go on, pause, or end. */
static void
after_read(struct peer *p, int err)
{
    if (p->stream == NULL)
        return;
    if (err == SONIC_EOF)
        p->ended = true;
    else if (err < 0 && err != -ECANCELED)
        give_up(p);
    else if (pick(p, 8) == 0)
        step_later(p);
    else
        read_more(p);
}

static void
on_read(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct peer_op *op = ud;
    struct peer *p = complete(op);

    (void)stream;
    if (n > op->asked || (err == 0 && n == 0))
        wrong(p, "a read's count is wrong");
    check_bytes(p, op->buf, n < op->asked ? n : op->asked, n);
    after_read(p, err);
}

static void
on_read_all(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct peer_op *op = ud;

    if (err == 0 && n != op->asked)
        wrong(op->peer, "a read_all is short");
    on_read(stream, err, n, ud);
}

static void
on_readv(sonic_stream *stream, int err, size_t n, void *ud)
{
    on_read(stream, err, n, ud); /* the parts lie one behind the other */
}

static void
on_lend(sonic_stream *stream, int err, uint8_t *data, size_t len, void *ud)
{
    struct peer *p = complete(ud);
    size_t n = err < 0 ? len : (size_t)pick(p, len + 1);

    check_bytes(p, data, len, n);
    if (p->stream != NULL)
        sonic_stream_consume(stream, n);
    after_read(p, err);
}

static void
read_more(struct peer *p)
{
    struct peer_op *op = &p->read;
    size_t n = 1 + (size_t)pick(p, pick(p, 2) == 0 ? 50 : PEER_BUFFER);

    if (op->busy || p->ended)
        return;
    op->asked = n;
    begin(op, p);
    switch (pick(p, 5)) {
    case 0:
        sonic_stream_async_read(p->stream, op->buf, n, on_read, op);
        break;
    case 1:
        sonic_stream_async_read_all(p->stream, op->buf, n, on_read_all, op);
        break;
    case 2:
        p->iov[0] = (struct iovec){op->buf, n / 3};
        p->iov[1] = (struct iovec){op->buf + n / 3, 0};
        p->iov[2] = (struct iovec){op->buf + n / 3, n - n / 3};
        sonic_stream_async_readv(p->stream, p->iov, 3, on_readv, op);
        break;
    default:
        sonic_stream_lend(p->stream, 1 + (size_t)pick(p, LEND_MIN),
                          pick(p, 4) == 0 ? (size_t)pick(p, LEND_WANT) : 0,
                          on_lend, op);
        break;
    }
}

/* ---- now and then ---- */

static void
be_rough(struct peer *p)
{
    switch (pick(p, 4)) {
    case 0:
        give_up(p);
        break;
    case 1:
        sonic_stream_reset(p->stream);
        give_up(p);
        break;
    case 2:
        p->holes = true;
        sonic_stream_cancel(p->stream, SONIC_BOTH);
        break;
    default:
        p->holes = true;
        if (sonic_stream_set_deadline(p->stream, SONIC_BOTH,
                                      sonic_sim_now(p->session->sim) +
                                          (int64_t)pick(p, 50 * MS)) < 0)
            give_up(p);
        break;
    }
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct peer *p = ud;

    (void)timer;
    p->session->completed++;
    if (p->stream == NULL)
        return;
    if (err < 0) {
        wrong(p, "a timer failed");
        return;
    }
    if (p->session->rough && pick(p, 20) == 0)
        be_rough(p);
    else if (pick(p, 20) == 0)
        sonic_stream_cancel(p->stream, SONIC_READING);
    if (p->stream != NULL)
        read_more(p);
    if (p->stream != NULL)
        write_more(p);
}

void
peer_start(struct peer *p, struct session *s, sonic_stream *stream,
           struct peer *other)
{
    p->session = s;
    p->other = other;
    p->stream = stream;
    p->read.peer = p;
    p->salt = sonic_sim_random(s->sim);
    p->to_write = pick(p, 2) == 0 ? pick(p, 100) : pick(p, 100000);
    if (sonic_timer_new(s->io, &p->timer) < 0 ||
        sonic_stream_set_marks(stream, 1 + (size_t)pick(p, 2000),
                               3000 + (size_t)pick(p, 9000), 0) < 0) {
        give_up(p);
        return;
    }
    step_later(p);
}

void
peer_end(struct peer *p)
{
    sonic_stream *stream = p->stream;
    sonic_timer *timer = p->timer;

    p->stream = NULL;
    p->timer = NULL;
    sonic_stream_free(stream);
    sonic_timer_free(timer);
}
