/* Packets into the stream's queue. */
#include "soup/conn.h"
#include "soup/packet.h"

enum { PUMP_MAX = 256 /* messages a source is asked for in one turn */ };

static void
on_drained(sonic_stream *stream, int err, size_t n, void *ud)
{
    sonic_soup *s = ud;

    (void)stream;
    (void)n;
    s->flags &= (uint8_t)~SONIC__SOUP_DRAINING;
    sonic_object_drop(s);
    if (err < 0 || s->state != SONIC_SOUP_OPEN)
        return; /* the frame connection tells of errors */
    if (s->handler->on_drain != NULL)
        s->handler->on_drain(s, s->ud);
    sonic_soup_pump(s);
}

/* Length, type, and what follows: one frame, without putting it together. */
int
sonic__soup_put(sonic_soup *s, uint8_t type, const void *data, size_t len)
{
    sonic_stream *stream = sonic_soup_next_layer(s);
    uint8_t head[3] = {(uint8_t)((len + 1) >> 8), (uint8_t)(len + 1), type};
    int r;

    if (stream == NULL)
        return SONIC_ESTATE;
    r = sonic_stream_send_framed(stream, head, sizeof head, data, len);
    if (r < 0)
        return r;
    s->said = sonic_io_now(sonic_object_io(s));
    s->stats.bytes_out += sizeof head + len;
    if (r == 1 && !(s->flags & SONIC__SOUP_DRAINING)) {
        s->flags |= SONIC__SOUP_DRAINING;
        sonic_object_hold(s);
        sonic_stream_async_drain(stream, on_drained, s);
    }
    return r;
}

static int
check(const sonic_soup *s, size_t len)
{
    if (s->state != SONIC_SOUP_OPEN)
        return SONIC_ESTATE;
    return len > s->max_message ? SONIC_ETOOBIG : 0;
}

static int
send_next(sonic_soup *s, const void *data, size_t len)
{
    int r = check(s, len);

    if (r == 0 && s->next == UINT64_MAX)
        r = SONIC_ESOUP_SEQUENCE; /* there is no number behind it */
    if (r == 0)
        r = sonic__soup_put(s, SONIC__SOUP_SEQUENCED, data, len);
    if (r >= 0) {
        s->next++;
        s->stats.messages_out++;
    }
    return r;
}

int
sonic_soup_send(sonic_soup *s, const void *data, size_t len)
{
    if (s->role != SONIC_SOUP_SERVER || s->handler->source != NULL)
        return SONIC_ESTATE;
    return send_next(s, data, len);
}

int
sonic_soup_send_unsequenced(sonic_soup *s, const void *data, size_t len)
{
    int r = check(s, len);

    if (r == 0)
        r = sonic__soup_put(s, SONIC__SOUP_UNSEQUENCED, data, len);
    if (r >= 0)
        s->stats.unsequenced_out++;
    return r;
}

int
sonic_soup_send_debug(sonic_soup *s, const char *text, size_t len)
{
    int r = check(s, len);

    return r == 0 ? sonic__soup_put(s, SONIC__SOUP_DEBUG, text, len) : r;
}

/* False: nothing more can be sent now. */
static bool
pump_one(sonic_soup *s)
{
    const void *data;
    size_t len = 0;
    int r;

    if (s->state != SONIC_SOUP_OPEN || (s->flags & SONIC__SOUP_DRAINING) ||
        s->handler->source == NULL)
        return false;
    data = s->handler->source(s, s->next, &len, s->ud);
    if (data == NULL || s->state != SONIC_SOUP_OPEN)
        return false;
    r = send_next(s, data, len);
    if (r < 0)
        sonic__soup_fail(s, r);
    return r == 0;
}

void
sonic_soup_pump(sonic_soup *s)
{
    int n = 0;

    if (s->role != SONIC_SOUP_SERVER || (s->flags & SONIC__SOUP_PUMPING))
        return;
    s->flags |= SONIC__SOUP_PUMPING;
    while (n < PUMP_MAX && pump_one(s))
        n++;
    s->flags &= (uint8_t)~SONIC__SOUP_PUMPING;
    if (n == PUMP_MAX)
        sonic_object_defer(s); /* others have their turn */
}

size_t
sonic_soup_queued(const sonic_soup *s)
{
    return s->conn != NULL ? sonic_frame_queued(s->conn) : 0;
}

int
sonic_soup_flush(sonic_soup *s)
{
    sonic_stream *stream = sonic_soup_next_layer(s);

    if (sonic_io_inside(sonic_object_io(s)))
        return -EBUSY;
    return stream == NULL ? SONIC_ECLOSED
                          : sonic_stream_write(stream, NULL, 0, NULL);
}
