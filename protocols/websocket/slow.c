/* The time that a message may take, from its first byte to its last.  A
 * connection of which a window ended inside a message stands in a list of its
 * settings, all of which one timer serves; the others cost nothing. */
#include "websocket/session.h"

#include <assert.h>
#include <string.h>

enum {
    FIRST = 8,  /* places of a list at first */
    GRAINS = 16 /* the list is looked through this often, at most, in the
                   time that a message may take */
};

struct sonic__ws_slow_one {
    sonic_ws *ws;
    int64_t due;
    int64_t stopped; /* since then nobody takes it; 0: somebody does */
};

static struct sonic__ws_config *
settings(const sonic_ws *ws)
{
    return ws->config->base != NULL ? ws->config->base : ws->config;
}

static struct sonic__ws_slow_one *
place(const sonic_ws *ws)
{
    return &settings(ws)->slow.v[ws->parser.timed - 1];
}

static bool
grow(sonic_io *io, struct sonic__ws_slow *l)
{
    uint32_t cap = l->cap == 0 ? FIRST : l->cap * 2;
    struct sonic__ws_slow_one *v;

    if (l->n < l->cap)
        return true;
    v = sonic__ws_alloc(io, cap * sizeof *v);
    if (v == NULL)
        return false;
    if (l->n > 0)
        memcpy(v, l->v, l->n * sizeof *v);
    sonic__ws_release(io, l->v, l->cap * sizeof *v);
    l->v = v;
    l->cap = cap;
    return true;
}

static void on_timer(sonic_timer *t, int err, void *ud);

static void
wake(struct sonic__ws_config *c, int64_t when)
{
    if (when >= sonic_timer_deadline(c->slow.timer))
        return;
    sonic_timer_cancel(c->slow.timer);
    sonic_timer_at(c->slow.timer, when, on_timer, c);
}

/* The place of one that is late is empty when this returns.  It tells users,
 * who may end any other. */
static void
look_at(struct sonic__ws_slow_one *one, int64_t now)
{
    sonic_ws *ws = one->ws;

    if (one->stopped == 0 && !sonic__ws_has_taker(ws))
        one->stopped = now;
    if (one->stopped != 0 || now < one->due)
        return;
    sonic__ws_hold(ws);
    sonic__ws_late(ws, SONIC_EWS_SLOW);
    sonic__ws_drop(ws);
}

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    struct sonic__ws_config *c = ud;
    struct sonic__ws_slow *l;
    int64_t now, next = INT64_MAX;

    (void)t;
    if (err < 0)
        return; /* the settings may be gone */
    l = &c->slow;
    c->refs++;
    now = sonic_io_now(c->io);
    for (uint32_t i = l->n; i-- > 0;)
        if (i < l->n) /* the last one takes the place of one that goes */
            look_at(&l->v[i], now);
    for (uint32_t i = 0; i < l->n; i++)
        if (l->v[i].stopped == 0 && l->v[i].due < next)
            next = l->v[i].due;
    if (next < now + c->opt.message_timeout / GRAINS)
        next = now + c->opt.message_timeout / GRAINS;
    if (next < INT64_MAX)
        wake(c, next);
    sonic__ws_config_drop(c);
}

static int
enlist(struct sonic__ws_config *c, sonic_ws *ws)
{
    struct sonic__ws_slow *l = &c->slow;
    int err;

    if (l->timer == NULL && (err = sonic_timer_new(c->io, &l->timer)) < 0)
        return err;
    if (!grow(c->io, l))
        return -ENOMEM;
    l->v[l->n++] = (struct sonic__ws_slow_one){.ws = ws};
    ws->parser.timed = l->n;
    return 0;
}

/* More of its message is awaited now.  `anew`: it is not the one that was
 * timed. */
void
sonic__ws_time_message(sonic_ws *ws, bool anew)
{
    struct sonic__ws_config *c = settings(ws);
    int64_t now = sonic_io_now(c->io);
    struct sonic__ws_slow_one *one;
    int err;

    if (!sonic__ws_may_send(ws) || sonic__ws_parser_idle(&ws->parser)) {
        sonic__ws_untime_message(ws);
        return;
    }
    if (c->opt.message_timeout > INT64_MAX - now)
        return; /* there is no such time */
    if (ws->parser.timed == 0) {
        if ((err = enlist(c, ws)) < 0) {
            sonic__ws_violated(ws, err);
            return;
        }
        anew = true;
    }
    one = place(ws);
    if (anew)
        one->due = now + c->opt.message_timeout;
    else if (one->stopped != 0)
        one->due += now - one->stopped;
    one->stopped = 0;
    wake(c, one->due);
}

/* Nobody takes it for now: that time does not count. */
void
sonic__ws_stop_message(sonic_ws *ws)
{
    if (ws->parser.timed != 0 && place(ws)->stopped == 0)
        place(ws)->stopped = sonic_io_now(ws->config->io);
}

void
sonic__ws_untime_message(sonic_ws *ws)
{
    struct sonic__ws_slow *l = &settings(ws)->slow;
    struct sonic__ws_slow_one *one;

    if (ws->parser.timed == 0)
        return;
    one = place(ws);
    assert(one->ws == ws);
    *one = l->v[--l->n];
    one->ws->parser.timed = ws->parser.timed;
    ws->parser.timed = 0;
}

/* Let the io's work end with the connections. */
void
sonic__ws_rest_messages(sonic_ws *ws)
{
    struct sonic__ws_slow *l = &settings(ws)->slow;

    sonic__ws_untime_message(ws);
    if (l->n == 0 && l->timer != NULL)
        sonic_timer_cancel(l->timer);
}

void
sonic__ws_slow_release(struct sonic__ws_config *c)
{
    assert(c->slow.n == 0);
    sonic_timer_free(c->slow.timer);
    sonic__ws_release(c->io, c->slow.v, c->slow.cap * sizeof *c->slow.v);
}
