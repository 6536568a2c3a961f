/* Deadlines of an open connection: read-idle, pings and their pongs; and of
 * one that closes.  One timer serves them all: it is set to whatever comes
 * first, and never moved because bytes came.
 *
 * What nobody takes is not read, so that nothing is known of the peer: that
 * time is no silence of its. */
#include "websocket/session.h"

#include <errno.h>
#include <string.h>

static bool
is_wanted(const sonic_ws *ws)
{
    const sonic_ws_options *o = &ws->config->opt;

    return o->read_idle > 0 || o->ping_interval > 0;
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void on_timer(sonic_timer *t, int err, void *ud);

static void
set_timer(sonic_ws *ws, int64_t when)
{
    sonic__ws_hold(ws);
    sonic_timer_at(ws->more->timer, when, on_timer, ws);
}

static int64_t
next_deadline(const sonic_ws *ws)
{
    const sonic_ws_options *o = &ws->config->opt;
    const struct sonic__ws_more *m = ws->more;
    int64_t when = INT64_MAX;

    if (o->read_idle > 0)
        when = least(when, m->last_read + o->read_idle);
    if (o->ping_interval > 0)
        when = least(when, m->next_ping);
    if (m->pong_due != 0)
        when = least(when, m->pong_due);
    return when;
}

/* A ping carries its number: only the pong to the last one counts.  So none is
 * sent while one is awaited, or no pong would ever count where the round trip
 * takes longer than the interval; but for one that nobody could hear. */
static void
send_ping(sonic_ws *ws, int64_t now, bool heard)
{
    struct sonic__ws_more *m = ws->more;

    m->next_ping = now + ws->config->opt.ping_interval;
    if (m->pong_due != 0 && heard)
        return;
    m->ping_id++;
    m->ping_sent = heard ? now : 0;
    m->pong_due = now + ws->config->opt.pong_timeout;
    sonic_ws_ping(ws, &m->ping_id, sizeof m->ping_id);
}

/* The peer has its whole time again.  `paused`: nobody looked for the pong, so
 * that it measures no round trip. */
static void
begin_anew(sonic_ws *ws, bool paused)
{
    struct sonic__ws_more *m = ws->more;
    int64_t now = sonic_io_now(ws->config->io);

    m->last_read = now;
    if (m->pong_due != 0)
        m->pong_due = now + ws->config->opt.pong_timeout;
    if (paused)
        m->ping_sent = 0;
}

static void
check_deadlines(sonic_ws *ws)
{
    const sonic_ws_options *o = &ws->config->opt;
    struct sonic__ws_more *m = ws->more;
    int64_t now = sonic_io_now(ws->config->io);
    bool heard = sonic__ws_is_heard(ws);

    if (!heard)
        begin_anew(ws, true);
    if (m->pong_due != 0 && now >= m->pong_due) {
        sonic__ws_late(ws, SONIC_EWS_PONG);
        return;
    }
    if (o->read_idle > 0 && now >= m->last_read + o->read_idle) {
        sonic__ws_late(ws, SONIC_EWS_IDLE);
        return;
    }
    if (o->ping_interval > 0 && now >= m->next_ping)
        send_ping(ws, now, heard);
    set_timer(ws, next_deadline(ws));
}

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    sonic_ws *ws = ud;

    if (err == 0 && ws->more != NULL && t == ws->more->timer) {
        if (sonic__ws_may_send(ws))
            check_deadlines(ws);
        else
            sonic__ws_late(ws, -ETIMEDOUT);
    }
    sonic__ws_drop(ws);
}

static bool
have_timer(sonic_ws *ws)
{
    struct sonic__ws_more *m = sonic__ws_more(ws);

    return m != NULL && (m->timer != NULL ||
                         sonic_timer_new(ws->config->io, &m->timer) == 0);
}

/* The connection is open. */
void
sonic__ws_keepalive_start(sonic_ws *ws)
{
    int64_t now;

    if (!is_wanted(ws))
        return;
    if (!have_timer(ws)) {
        sonic__ws_violated(ws, -ENOMEM);
        return;
    }
    now = sonic_io_now(ws->config->io);
    ws->more->last_read = now;
    ws->more->next_ping = now + ws->config->opt.ping_interval;
    ws->more->pong_due = 0;
    set_timer(ws, next_deadline(ws));
}

void
sonic__ws_keepalive_read(sonic_ws *ws)
{
    if (ws->config->opt.read_idle > 0)
        ws->more->last_read = sonic_io_now(ws->config->io);
}

void
sonic__ws_keepalive_resume(sonic_ws *ws, bool paused)
{
    if (ws->more != NULL && is_wanted(ws))
        begin_anew(ws, paused);
}

void
sonic__ws_keepalive_pong(sonic_ws *ws, const uint8_t *data, size_t len)
{
    struct sonic__ws_more *m = ws->more;

    if (m == NULL || m->pong_due == 0 || len != sizeof m->ping_id ||
        memcmp(data, &m->ping_id, len) != 0)
        return;
    m->pong_due = 0;
    if (m->ping_sent == 0)
        return;
    m->rtt = sonic_io_now(ws->config->io) - m->ping_sent;
    if (ws->config->opt.rtt != NULL)
        sonic_histogram_record(ws->config->opt.rtt, m->rtt);
}

/* The closing handshake, and the end of TCP, may take this long together. */
void
sonic__ws_close_timer(sonic_ws *ws)
{
    int64_t when;

    sonic__ws_untime_message(ws);
    if (!have_timer(ws)) {
        sonic__ws_late(ws, -ENOMEM);
        return;
    }
    if (ws->more->closing)
        return; /* it runs since our Close */
    ws->more->closing = true;
    when = sonic_io_now(ws->config->io) + ws->config->opt.close_timeout;
    sonic_timer_cancel(ws->more->timer);
    set_timer(ws, when);
}

int64_t
sonic_ws_rtt(const sonic_ws *ws)
{
    return ws->more != NULL ? ws->more->rtt : 0;
}
