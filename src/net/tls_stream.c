/* The life of a TLS stream. */
#include "net/tls_kernel.h"

#include <string.h>

#include "base/pack.h"

/* Nobody reads and nothing waits to be written: the stream below need not be
 * asked for more, which would keep the io at work. */
static void
rest(struct sonic__tls *t)
{
    if ((t->flags & SONIC__TLS_ARMED) && t->opening == NULL &&
        (t->stream.object.bits & SONIC__READ_KIND) == SONIC__READ_NONE) {
        sonic__read_abandon(t->below, t);
        t->flags &= ~(unsigned)SONIC__TLS_ARMED;
        t->stream.object.ready |= SONIC__READ; /* the next read arms again */
    }
}

void
sonic__tls_run(struct sonic__object *o)
{
    struct sonic__tls *t = (struct sonic__tls *)o;

    if (t->opening != NULL && t->opening->cb != NULL)
        sonic__tls_handshake_run(t);
    sonic__stream_go_on(&t->stream);
    rest(t);
}

/* Closing TCP with bytes unread resets it, and what is still on its way is
 * lost.  A server of TLS 1.3 sends tickets that a client which only writes has
 * never read: they are no reason for that. */
static void
drop_tickets(struct sonic__tls *t)
{
    char tickets[4096];

    if (!(t->flags & SONIC__TLS_ESTABLISHED) ||
        t->ctx->role != SONIC_TLS_CLIENT || sonic__stream_closed(t->below))
        return;
    if (sonic__tls_kernel_is(t, SONIC__KTLS_RX))
        (void)sonic__tls_kernel_read(t, tickets, sizeof tickets);
    else
        (void)sonic__stream_class(t->below)->read(t->below, tickets,
                                                  sizeof tickets);
}

static void
close_tls(struct sonic__object *o)
{
    struct sonic__tls *t = (struct sonic__tls *)o;
    sonic_stream *below = t->below;
    bool cut;

    if (!(o->bits2 & SONIC__RESET))
        sonic_stream_flush(&t->stream);
    cut = t->stream.wq != NULL && t->stream.wq->head != NULL;
    sonic__stream_close(o);
    if (below == NULL)
        return; /* it was never made */
    sonic__tls_disarm(t);
    if (!(o->bits2 & SONIC__RESET)) {
        if (!cut) /* else the peer would take it for the end */
            sonic__tls_notify(t);
        sonic_stream_flush(below);
        drop_tickets(t);
    }
    t->position -= sonic_stream_queued(below);
    if (o->bits2 & SONIC__RESET)
        sonic_stream_reset(below);
    sonic__tls_kernel_end(t);
    t->below = NULL;
    sonic_stream_free(below);
}

static void
free_text(sonic_io *io, char *text)
{
    if (text != NULL)
        sonic__free(io, text, strlen(text) + 1);
}

/* Everything but the stream below, and the memory of t. */
static void
release(struct sonic__tls *t)
{
    sonic_io *io = t->stream.object.io;

    sonic__tls_opening_free(t);
    SSL_free(t->ssl);
    sonic__tls_kernel_end(t);
    sonic__tls_own_free(t);
    sonic__free(io, t->why, SONIC__TLS_WHY);
    free_text(io, t->name);
    free_text(io, t->alpn);
    sonic__tls_context_drop(t->ctx);
    sonic__stream_fini(&t->stream);
}

static void
destroy(struct sonic__object *o)
{
    release((struct sonic__tls *)o);
    sonic__free(o->io, o, sizeof(struct sonic__tls));
}

static sonic_stream *
next_layer(const sonic_stream *s)
{
    return sonic__tls_from(s)->below;
}

static size_t
position(const sonic_stream *s)
{
    return sonic__tls_from(s)->position;
}

static int
taken(sonic_stream *s, size_t up_to)
{
    struct sonic__tls *t = sonic__tls_from(s);

    if (t->below == NULL)
        return up_to <= t->position ? 1 : -ECANCELED;
    if (sonic__tls_kernel_is(t, SONIC__KTLS_TX))
        return sonic__tls_kernel_taken(t, up_to);
    if (t->position - sonic_stream_queued(t->below) >= up_to)
        return t->out_error < 0 ? t->out_error : 1;
    sonic_stream_flush(t->below);
    if (t->below->object.error < 0)
        return t->below->object.error;
    if (t->position - sonic_stream_queued(t->below) >= up_to)
        return 1;
    return sonic__tls_wait_for_taken(t);
}

static const struct sonic__stream_class tls_class = {
    .base = {.name = "tls",
             .run = sonic__tls_run,
             .close = close_tls,
             .destroy = destroy,
             .layer = true},
    .read = sonic__tls_read,
    .readv = sonic__tls_readv,
    .writev = sonic__tls_writev,
    .shutdown = sonic__tls_shutdown,
    .next_layer = next_layer,
    .position = position,
    .taken = taken,
    .cancel = sonic__tls_handshake_cancel,
};

struct sonic__tls *
sonic__tls_of(const sonic_stream *s)
{
    return sonic__stream_class(s) == &tls_class ? sonic__tls_from(s) : NULL;
}

bool
sonic_stream_is_tls(const sonic_stream *stream)
{
    return sonic__tls_of(stream) != NULL;
}

static int
refusal(const sonic_tls_context *ctx, const sonic_stream *below)
{
    const struct sonic__object *o = &below->object;

    if (o->io != ctx->io)
        return -EINVAL;
    if (!sonic_stream_is_open(below))
        return -ENOTCONN;
    if ((o->bits & SONIC__READ_KIND) != SONIC__READ_NONE ||
        (below->wq != NULL && below->wq->drain != NULL))
        return -EBUSY;
    return 0;
}

static int
set_up(struct sonic__tls *t, const sonic_tls_options *opt)
{
    int err;

    t->ssl = SSL_new(t->ctx->ssl_ctx);
    if (t->ssl == NULL)
        return -ENOMEM;
    SSL_set_app_data(t->ssl, t);
    err = sonic__tls_bio_attach(t);
    if (err == 0)
        err = sonic__tls_opening_new(t, opt->timeout);
    if (err < 0)
        return err;
    sonic__tls_watch(t);
    if (t->ctx->role == SONIC_TLS_SERVER) {
        SSL_set_accept_state(t->ssl);
        return 0;
    }
    SSL_set_connect_state(t->ssl);
    err = sonic__tls_name_peer(t, opt);
    return err < 0 ? err : sonic__tls_session_use(t, opt);
}

int
sonic_tls_new(sonic_tls_context *ctx, sonic_stream *below,
              const sonic_tls_options *opt, sonic_stream **out)
{
    sonic_tls_options o;
    struct sonic__tls *t;
    int err = refusal(ctx, below);

    if (err == 0)
        err = sonic__options_copy(&o, sizeof o, opt);
    if (err < 0)
        return err;
    t = sonic__alloc(ctx->io, sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    err = sonic__stream_init(ctx->io, &t->stream, &tls_class);
    if (err < 0) {
        sonic__free(ctx->io, t, sizeof *t);
        return err;
    }
    t->ctx = ctx;
    ctx->refs++;
    t->below = below;
    err = sonic__tls_kernel_prepare(t);
    if (err == 0)
        err = set_up(t, &o);
    if (err < 0) {
        t->below = NULL; /* stays the caller's */
        sonic_stream_free(&t->stream);
        return err;
    }
    *out = &t->stream;
    return 0;
}
