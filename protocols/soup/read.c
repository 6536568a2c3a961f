/* Messages to whoever takes them: a read operation first, then the handler.
 * When nobody does, nothing is read. */
#include <errno.h>
#include <string.h>

#include "soup/conn.h"

static bool
wanted(const sonic_soup *s)
{
    const sonic_soup_handler *h = s->handler;

    if (s->flags & SONIC__SOUP_PAUSED)
        return false;
    if (s->state != SONIC_SOUP_OPEN || s->read != NULL)
        return true;
    return s->role == SONIC_SOUP_CLIENT ? h->on_message != NULL
                                        : h->on_unsequenced != NULL;
}

void
sonic__soup_regulate(sonic_soup *s)
{
    bool still = !wanted(s);

    if (s->conn == NULL || still == ((s->flags & SONIC__SOUP_STILL) != 0))
        return;
    if (still) {
        s->flags |= SONIC__SOUP_STILL;
        sonic_frame_pause(s->conn);
        return;
    }
    s->flags &= (uint8_t)~SONIC__SOUP_STILL;
    s->heard = sonic_io_now(sonic_object_io(s));
    if (s->state == SONIC_SOUP_OPEN)
        sonic__soup_arm(s); /* its silence counts again */
    sonic_frame_resume(s->conn);
}

void
sonic_soup_pause(sonic_soup *s)
{
    s->flags |= SONIC__SOUP_PAUSED;
    sonic__soup_regulate(s);
}

void
sonic_soup_resume(sonic_soup *s)
{
    s->flags &= (uint8_t)~SONIC__SOUP_PAUSED;
    sonic__soup_regulate(s);
}

/* ---- the read operation ------------------------------------------------ */

/* Is there one to take it? */
bool
sonic__soup_give(sonic_soup *s, uint64_t sequence, uint8_t *data, size_t len)
{
    sonic_soup_read_fn *cb = s->read;

    if (cb == NULL)
        return false;
    s->read = NULL; /* first: the callback may read again, or free */
    cb(s, 0, sequence, data, len, s->read_ud);
    return true;
}

void
sonic__soup_complete_read(sonic_soup *s, int err)
{
    sonic_soup_read_fn *cb = s->read;

    s->read = NULL;
    if (cb != NULL)
        cb(s, err, 0, NULL, 0, s->read_ud);
}

static void
say(void *object, int err, void (*cb)(void), void *ud)
{
    ((sonic_soup_read_fn *)cb)(object, err, 0, NULL, 0, ud);
}

void
sonic_soup_async_read(sonic_soup *s, sonic_soup_read_fn *cb, void *ud)
{
    int err = s->read != NULL ? -EBUSY : s->conn == NULL ? SONIC_ECLOSED : 0;

    if (err < 0) {
        sonic_object_refuse(s, say, err, (void (*)(void))cb, ud);
        return;
    }
    s->read = cb;
    s->read_ud = ud;
    sonic__soup_regulate(s);
}

struct copy {
    bool done;
    int err;
    uint8_t *buf;
    size_t cap, len;
    uint64_t sequence;
};

static void
on_read(sonic_soup *s, int err, uint64_t sequence, uint8_t *data, size_t len,
        void *ud)
{
    struct copy *c = ud;

    (void)s;
    c->done = true;
    c->err = err == 0 && len > c->cap ? SONIC_ETOOBIG : err;
    c->len = len;
    c->sequence = sequence;
    if (c->err == 0 && len > 0)
        memcpy(c->buf, data, len);
}

int
sonic_soup_read(sonic_soup *s, void *buf, size_t cap, size_t *len,
                uint64_t *sequence)
{
    sonic_io *io = sonic_object_io(s);
    struct copy c = {.buf = buf, .cap = cap};
    int err;

    if (sonic_io_inside(io))
        return -EBUSY;
    sonic_soup_async_read(s, on_read, &c);
    err = c.done ? 0 : sonic_io_run_until(io, &c.done);
    if (!c.done)
        s->read = NULL; /* s is there: or else it would be done */
    if (len != NULL)
        *len = c.len;
    if (sequence != NULL)
        *sequence = c.sequence;
    return c.done ? c.err : err;
}

/* ---- the blocking wait for the login ----------------------------------- */

void
sonic__soup_settle(sonic_soup *s, int err)
{
    if (s->await != NULL)
        *s->await = (struct sonic__soup_await){true, err};
    s->await = NULL;
}

int
sonic_soup_wait(sonic_soup *s)
{
    sonic_io *io = sonic_object_io(s);
    struct sonic__soup_await a = {false, 0};
    int err;

    if (sonic_io_inside(io))
        return -EBUSY;
    if (s->conn == NULL)
        return SONIC_ECLOSED;
    if (s->state == SONIC_SOUP_OPEN)
        return 0;
    s->await = &a;
    err = sonic_io_run_until(io, &a.done);
    if (a.done)
        return a.err;
    s->await = NULL; /* s is there: or else it would be done */
    return err;
}
