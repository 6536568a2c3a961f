/* Heartbeats and silence, section 1.3.  One timer serves them: it is set to
 * what comes first, and never moved because a packet came or went. */
#include "soup/conn.h"
#include "soup/packet.h"

static void on_timer(sonic_timer *t, int err, void *ud);

static int64_t
deadline(const sonic_soup *s)
{
    int64_t beat = s->said + s->heartbeat, silent = s->heard + s->silence;

    if (s->state != SONIC_SOUP_OPEN)
        return s->login_by;
    if (s->flags & SONIC__SOUP_STILL)
        return beat; /* it is we who do not listen */
    return beat < silent ? beat : silent;
}

static void
set_timer(sonic_soup *s)
{
    sonic_object_hold(s);
    sonic_timer_at(s->timer, deadline(s), on_timer, s);
}

static void
beat(sonic_soup *s)
{
    int r =
        sonic__soup_put(s,
                        s->role == SONIC_SOUP_CLIENT ? SONIC__SOUP_CLIENT_BEAT
                                                     : SONIC__SOUP_SERVER_BEAT,
                        NULL, 0);

    s->said = sonic_io_now(sonic_object_io(s));
    if (r >= 0)
        s->stats.heartbeats_out++;
    else if (r != SONIC_EQUEUE) /* a full queue says that we are alive */
        sonic__soup_fail(s, r);
}

static void
check(sonic_soup *s)
{
    int64_t now = sonic_io_now(sonic_object_io(s));

    if (s->state != SONIC_SOUP_OPEN) {
        sonic__soup_late(s, SONIC_ESOUP_LOGIN);
        return;
    }
    if (!(s->flags & SONIC__SOUP_STILL) && now >= s->heard + s->silence) {
        sonic__soup_late(s, SONIC_ESOUP_SILENT);
        return;
    }
    if (now >= s->said + s->heartbeat)
        beat(s);
    if (s->state == SONIC_SOUP_OPEN)
        set_timer(s);
}

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    sonic_soup *s = ud;

    (void)t;
    if (err == 0 && s->state != SONIC_SOUP_LEAVING &&
        s->state != SONIC_SOUP_CLOSED)
        check(s);
    sonic_object_drop(s);
}

void
sonic__soup_arm(sonic_soup *s)
{
    sonic_timer_cancel(s->timer);
    set_timer(s);
}

void
sonic__soup_disarm(sonic_soup *s)
{
    sonic_timer_cancel(s->timer);
}
