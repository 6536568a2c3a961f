/* The handshake: one operation, with a deadline of its own. */
#include "net/tls_kernel.h"

#include <string.h>

#include <openssl/err.h>

#define TIMEOUT (INT64_C(10) * 1000000000)

static void
on_late(struct sonic__timer *timer)
{
    struct sonic__tls_opening *o =
        (void *)((char *)timer - offsetof(struct sonic__tls_opening, timer));

    if (o->outcome == 0)
        o->outcome = -ETIMEDOUT;
    sonic__tls_run(&o->stream->object);
}

int
sonic__tls_opening_new(struct sonic__tls *t, int64_t timeout)
{
    sonic_io *io = t->stream.object.io;
    struct sonic__tls_opening *o = sonic__alloc(io, sizeof *o);
    int err;

    if (o == NULL)
        return -ENOMEM;
    err = sonic__timer_init(io, &o->timer, on_late);
    if (err < 0) {
        sonic__free(io, o, sizeof *o);
        return err;
    }
    o->stream = &t->stream;
    o->timeout = timeout != 0 ? timeout : TIMEOUT;
    t->opening = o;
    return 0;
}

void
sonic__tls_opening_free(struct sonic__tls *t)
{
    sonic_io *io = t->stream.object.io;

    if (t->opening == NULL)
        return;
    sonic__timer_fini(io, &t->opening->timer);
    OPENSSL_cleanse(&t->opening->seen, sizeof t->opening->seen);
    sonic__free(io, t->opening, sizeof *t->opening);
    t->opening = NULL;
}

/* OpenSSL's name of it is not terminated. */
static int
keep_protocol(struct sonic__tls *t)
{
    const unsigned char *p = NULL;
    unsigned n = 0;

    SSL_get0_alpn_selected(t->ssl, &p, &n);
    if (n == 0)
        return 0;
    t->alpn = sonic__alloc(t->stream.object.io, n + 1);
    if (t->alpn == NULL)
        return -ENOMEM;
    memcpy(t->alpn, p, n);
    return 0;
}

/* OpenSSL is done; 1 when we are content as well. */
static int
succeed(struct sonic__tls *t)
{
    int ok = keep_protocol(t) < 0 ? -ENOMEM : sonic__tls_accept_peer(t);

    if (ok == 1)
        sonic__tls_hand_over(t);
    return ok;
}

/* As far as it goes now: 1 done, 0 when it waits, or why it failed. */
static int
advance(struct sonic__tls *t)
{
    size_t before = t->position;

    do {
        int n, e;

        if (t->out_error < 0)
            return t->out_error;
        ERR_clear_error();
        sonic__tls_look(t);
        n = SSL_do_handshake(t->ssl);
        e = n == 1 ? 0 : SSL_get_error(t->ssl, n);
        sonic__tls_took(t);
        if (n == 1)
            return succeed(t);
        if (e != SSL_ERROR_WANT_READ)
            return t->out_error < 0 ? t->out_error : sonic__tls_fail(t, e);
        if (t->in_error == SONIC_EOF) {
            sonic__tls_explain(t, "the connection ended in the handshake");
            return SONIC_ETLS_TRUNCATED;
        }
        if (t->in_error < 0)
            return t->in_error;
    } while (sonic__tls_arm(t));
    /* The peer answers what it gets: be told if it never gets this. */
    return t->position != before ? sonic__tls_wait_for_taken(t) : 0;
}

/* Its outcome is known and may be told. */
static void
finish(struct sonic__tls *t, int outcome)
{
    sonic_stream *s = &t->stream, *outer = s->object.io->dispatching;
    sonic_io *io = s->object.io;
    sonic_stream_fn *cb = t->opening->cb;
    void *ud = t->opening->ud;

    sonic__tls_opening_free(t);
    if (outcome == 1) {
        t->flags |= SONIC__TLS_ESTABLISHED;
        if (t->why != NULL)
            t->flags |= SONIC__TLS_HARMLESS;
        s->object.bits2 |= SONIC__CONNECTED;
        s->object.ready = SONIC__READ | SONIC__WRITE;
        sonic__tls_kernel_begin(t);
    } else {
        t->error = outcome;
        if (t->below != NULL)
            sonic__tls_disarm(t);
    }
    io->dispatching = s;
    sonic__complete_begin(io);
    cb(s, outcome == 1 ? 0 : outcome, 0, ud);
    sonic__complete_end(io);
    io->dispatching = outer;
    sonic__dispatch_end(s);
}

void
sonic__tls_handshake_run(struct sonic__tls *t)
{
    struct sonic__object *o = &t->stream.object;

    if (t->flags & SONIC__TLS_SHAKING)
        return;
    if (o->flags & SONIC__CLOSED)
        t->opening->outcome = -ECANCELED;
    if (t->opening->outcome == 0) {
        t->flags |= SONIC__TLS_SHAKING;
        t->opening->outcome = advance(t);
        t->flags &= ~(unsigned)SONIC__TLS_SHAKING;
    }
    if (t->opening->outcome == 0)
        return;
    if (sonic__may_complete(o->io))
        finish(t, t->opening->outcome);
    else
        sonic__defer(o);
}

void
sonic__tls_handshake_cancel(sonic_stream *s)
{
    struct sonic__tls *t = sonic__tls_from(s);

    if (t->opening == NULL || t->opening->cb == NULL)
        return;
    if (t->opening->outcome == 0)
        t->opening->outcome = -ECANCELED;
    sonic__defer(&s->object);
}

static int
refusal(const sonic_stream *s)
{
    const struct sonic__tls *t = sonic__tls_of(s);

    if (t == NULL)
        return -EINVAL;
    if (sonic__stream_closed(s))
        return SONIC_ECLOSED;
    if (t->opening != NULL && t->opening->cb != NULL)
        return -EBUSY;
    if (t->error < 0)
        return t->error;
    return t->opening == NULL ? -EISCONN : 0;
}

void
sonic_tls_async_handshake(sonic_stream *tls, sonic_stream_fn *cb, void *ud)
{
    struct sonic__tls *t = sonic__tls_from(tls);
    sonic_io *io = tls->object.io;
    int err = refusal(tls);
    int64_t now = io->sys->clock(io->sys->ud);

    if (err < 0) {
        sonic__stream_refuse(tls, err, cb, ud);
        return;
    }
    sonic__op_begin(io);
    t->opening->cb = cb;
    t->opening->ud = ud;
    sonic__timer_arm(io, &t->opening->timer,
                     t->opening->timeout > INT64_MAX - now
                         ? INT64_MAX
                         : now + t->opening->timeout);
    if (sonic__may_complete(io))
        sonic__tls_run(&tls->object);
    else
        sonic__defer(&tls->object);
}

/* ---- the blocking twin ------------------------------------------------ */

/* Should the io be stopped first, the handshake cannot go on: half of one
 * leads nowhere. */
int
sonic_tls_handshake(sonic_stream *tls)
{
    sonic_io *io = tls->object.io;
    struct sonic__await a = {false, 0, 0};
    int err;

    if (sonic_io_inside(io))
        return -EBUSY;
    sonic_tls_async_handshake(tls, sonic__await_done, &a);
    if (a.done)
        return a.err;
    err = sonic_io_run_until(io, &a.done);
    if (!a.done) {
        struct sonic__tls *t = sonic__tls_from(tls);

        sonic__tls_disarm(t);
        sonic__tls_opening_free(t);
        t->error = -ECANCELED;
        io->pending--;
    }
    return err < 0 ? err : a.err;
}
