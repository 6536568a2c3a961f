/* sonicio mcast send - numbered, stamped packets to a group, at a rate */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mcast.h"

enum { BURST = 512 };                 /* packets at a time, at most */
#define TICK_LEAST INT64_C(100000)    /* ns */
#define TICK_MOST INT64_C(1000000000) /* ns */

struct sender {
    const struct mcast_options *o;
    sonic_io *io;
    sonic_udp *udp;
    sonic_timer *timer;
    struct mcast_packet next;
    uint8_t *packet;
    int64_t begun, ended; /* ns of CLOCK_MONOTONIC */
    int err;
};

/* How many should have gone by now; the first goes at once. */
static uint64_t
due(const struct sender *s)
{
    double passed = (double)(sonic_io_now(s->io) - s->begun) / 1e9;
    uint64_t n = (uint64_t)(passed * s->o->rate) + 1;

    return s->o->count > 0 && n > s->o->count ? s->o->count : n;
}

static bool
is_over(const struct sender *s)
{
    return (s->o->count > 0 && s->next.sequence == s->o->count) ||
           (s->o->duration > 0 &&
            sonic_io_now(s->io) - s->begun >= s->o->duration);
}

static void
on_drained(sonic_udp *udp, int err, size_t n, void *ud)
{
    (void)udp;
    (void)err;
    (void)n;
    sonic_io_stop(((struct sender *)ud)->io);
}

static void
finish(struct sender *s)
{
    sonic_timer_cancel(s->timer);
    sonic_udp_async_drain(s->udp, on_drained, s);
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct sender *s = ud;
    uint64_t until;

    (void)timer;
    if (err < 0)
        return;
    until = due(s);
    for (int i = 0; i < BURST && s->next.sequence < until; i++) {
        s->next.sent = wall_clock();
        mcast_encode(s->packet, &s->next);
        err = sonic_udp_queue(s->udp, &s->o->to, s->packet, s->o->size);
        if (err == SONIC_EQUEUE)
            break; /* the system is slower than we are: later */
        if (err < 0)
            s->err = err;
        s->next.sequence++;
    }
    err = sonic_udp_flush(s->udp);
    if (err < 0)
        s->err = err;
    if (s->err < 0)
        sonic_io_stop(s->io);
    else if (is_over(s))
        finish(s);
}

static void
report(const struct sender *s)
{
    double seconds = (double)(s->ended - s->begun) / 1e9;
    sonic_udp_stats st;
    char a[GROUPED], b[GROUPED];

    sonic_udp_get_stats(s->udp, &st);
    if (seconds <= 0)
        seconds = 1e-9;
    if (s->o->json) {
        struct json j = {stdout, false};

        json_begin(&j, NULL);
        json_text(&j, "group", s->o->address);
        json_count(&j, "run", s->next.run);
        json_count(&j, "packets", st.datagrams_out);
        json_count(&j, "bytes", st.bytes_out);
        json_real(&j, "seconds", seconds);
        json_real(&j, "packets_per_second", (double)st.datagrams_out / seconds);
        json_count(&j, "system_calls", st.sends);
        json_count(&j, "refused", st.write_errors);
        json_end(&j);
        putchar('\n');
    } else if (!s->o->quiet) {
        printf(
            "sent %s packets of %zu bytes, %s a second\n",
            grouped(st.datagrams_out, a), s->o->size,
            grouped((uint64_t)((double)st.datagrams_out / seconds + 0.5), b));
    }
}

static int
begin(struct sender *s)
{
    int64_t tick = (int64_t)(1e9 / s->o->rate);
    int err = mcast_socket(s->io, s->o, false, &s->udp);

    if (err == 0)
        err = sonic_io_random(s->io, &s->next.run, sizeof s->next.run);
    if (err == 0)
        err = sonic_timer_new(s->io, &s->timer);
    if (err < 0)
        return err;
    s->next.run >>= 1; /* it is a number to JSON, too */
    tick = tick < TICK_LEAST ? TICK_LEAST : tick > TICK_MOST ? TICK_MOST : tick;
    s->begun = monotonic_now();
    sonic_timer_repeat(s->timer, tick, SONIC_TICK_SKIP, on_tick, s);
    return 0;
}

int
mcast_send(const struct mcast_options *o)
{
    struct sender s = {.o = o};
    int err = mcast_io(o, &s.io);

    if (err < 0)
        return mcast_fail(o->address, err);
    s.packet = calloc(1, o->size);
    err = s.packet == NULL ? -ENOMEM : begin(&s);
    if (err == 0 && !o->json && !o->quiet)
        printf("sending to %s\n", o->address);
    if (err == 0 && fflush(stdout) == 0)
        err = run_io(s.io, o->mode);
    s.ended = monotonic_now();
    if (err == 0)
        err = s.err;
    if (err == 0)
        report(&s);
    else
        mcast_fail(o->iface != NULL && err == -ENODEV ? o->iface : o->address,
                   err);
    sonic_io_free(s.io);
    free(s.packet);
    return err < 0 ? EXIT_BAD : EXIT_GOOD;
}
