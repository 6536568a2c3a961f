/* Writes that do not come to their end: given up, cancelled, late. */
#include "net/stream.h"

/* Take the write that begins at b out of the list *p; its callback gets err
 * and what of it is gone already.  Returns where the rest begins. */
static struct sonic__block *
give_up_write(sonic_stream *s, struct sonic__block *b, int err)
{
    struct sonic__block *next;
    size_t left = 0;

    for (;; b = next) {
        next = b->next;
        left += b->len;
        s->wq->bytes -= b->len + b->n_prefix;
        if (b->err != SONIC__WRITE_PART)
            break;
        sonic__write_drop_block(s, b);
    }
    if (b->cb != NULL)
        sonic__write_done(s, b, err, b->total - left);
    else
        sonic__write_drop_block(s, b);
    return next;
}

/* Everything queued is lost. */
void
sonic__write_give_up(sonic_stream *s, int err)
{
    struct sonic__wq *q = s->wq;

    if (q == NULL)
        return;
    while (q->head != NULL)
        q->head = give_up_write(s, q->head, err);
    q->tail = NULL;
    q->room = 0;
    q->started = false;
    if (q->drain != NULL)
        q->drain_err = err;
    sonic__defer(&s->object);
}

/* Give up the writes that have callbacks and of which nothing is gone. */
static void
cancel_writes(sonic_stream *s, int err)
{
    struct sonic__wq *q = s->wq;
    struct sonic__block **p = &q->head, *b, *last;

    q->tail = NULL;
    q->room = 0;
    while ((b = *p) != NULL) {
        for (last = b; last->err == SONIC__WRITE_PART;)
            last = last->next;
        if (last->cb != NULL && !(q->started && b == q->head)) {
            *p = give_up_write(s, b, err);
            continue;
        }
        q->tail = last;
        p = &last->next;
    }
    if (q->drain != NULL)
        q->drain_err = err;
    if (q->done != NULL || q->drain != NULL)
        sonic__defer(&s->object);
}

/* The deadline has passed.  A write of which a part is gone cannot be taken
 * back, and its memory is the caller's again: nothing can follow it. */
void
sonic__write_late(sonic_stream *s)
{
    struct sonic__wq *q = s->wq;
    const struct sonic__block *last = q->head;

    while (last != NULL && last->err == SONIC__WRITE_PART)
        last = last->next;
    if (q->started && last != NULL && last->cb != NULL) {
        s->object.error = -ETIMEDOUT;
        sonic__write_give_up(s, -ETIMEDOUT);
    } else {
        cancel_writes(s, -ETIMEDOUT);
    }
}

/* The write at *p is in part with the system: the rest is copied and goes out
 * for itself. */
static void
orphan(sonic_stream *s, struct sonic__block **p, struct sonic__block *b)
{
    struct sonic__wq *q = s->wq;

    b->cb = NULL;
    *p = sonic__write_unpinned(s, b);
    if (*p == b) /* no memory for it: a stream with a hole is no stream */
        sonic_stream_reset(s);
    else if (q->tail == b)
        q->tail = *p;
}

static void
drop_write(sonic_stream *s, struct sonic__block **p, struct sonic__block *b,
           struct sonic__block *before)
{
    struct sonic__wq *q = s->wq;

    q->bytes -= b->len + b->n_prefix;
    *p = b->next;
    if (q->tail == b) {
        q->tail = before;
        q->room = 0;
    }
    sonic__write_drop_block(s, b);
}

/* -1: it is not there. */
static ssize_t
abandon_done(sonic_stream *s, const void *ud)
{
    struct sonic__wq *q = s->wq;
    struct sonic__block **p = &q->done, *b;
    size_t n;

    while ((b = *p) != NULL && b->ud != ud)
        p = &b->next;
    if (b == NULL)
        return -1;
    n = b->total;
    *p = b->next;
    if (*p == NULL)
        q->done_tail = p;
    sonic__block_free(&s->object.io->pool, b);
    return (ssize_t)n;
}

static ssize_t
abandon_queued(sonic_stream *s, const void *ud)
{
    struct sonic__wq *q = s->wq;
    struct sonic__block **p = &q->head, *b, *before = NULL;
    size_t n;

    for (; (b = *p) != NULL && (b->cb == NULL || b->ud != ud); p = &b->next)
        before = b;
    if (b == NULL)
        return -1;
    n = b->total - b->len;
    if (q->started && b == q->head)
        orphan(s, p, b);
    else
        drop_write(s, p, b, before);
    return (ssize_t)n;
}

/* The write of ud is of one block.  It may be complete already, its callback
 * on its way. */
size_t
sonic__write_abandon(sonic_stream *s, const void *ud)
{
    ssize_t n = s->wq == NULL ? -1 : abandon_done(s, ud);

    if (s->wq != NULL && n < 0)
        n = abandon_queued(s, ud);
    if (n < 0)
        return 0;
    s->object.io->pending--;
    sonic__write_release(s);
    return (size_t)n;
}

/* The pending drain, of whomever. */
void
sonic__drain_abandon(sonic_stream *s)
{
    struct sonic__wq *q = s->wq;

    if (q == NULL || q->drain == NULL)
        return;
    q->drain = NULL;
    q->drain_err = 0;
    s->object.io->pending--;
    sonic__write_release(s);
}

void
sonic_stream_cancel(sonic_stream *s, int directions)
{
    struct sonic__connect *c = sonic__stream_connecting(s);

    if (c != NULL) {
        sonic__connect_cancel(c);
        return;
    }
    if (sonic__stream_class(s)->cancel != NULL)
        sonic__stream_class(s)->cancel(s);
    if ((directions & SONIC_READING) &&
        (s->object.bits & SONIC__READ_KIND) != SONIC__READ_NONE) {
        s->object.bits |= SONIC__READ_CANCEL;
        sonic__defer(&s->object);
    }
    if ((directions & SONIC_WRITING) && s->wq != NULL)
        cancel_writes(s, -ECANCELED);
}
