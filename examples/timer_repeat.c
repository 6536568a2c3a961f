/* timer_repeat - five ticks, 20 milliseconds apart, that do not drift
 *
 * The deadlines lie on a grid that begins when the timer is armed: a tick that
 * is late does not make the next one late. */
#include <stdio.h>

#include <sonicio/sonicio.h>

#define MS INT64_C(1000000)

struct ticks {
    int64_t begin;
    int count;
};

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct ticks *t = ud;

    if (err == -ECANCELED) {
        printf("cancelled after %d ticks\n", t->count);
        return;
    }
    t->count++;
    printf("tick %d at %.2f ms\n", t->count,
           (double)(sonic_io_now(sonic_timer_io(timer)) - t->begin) /
               (double)MS);
    if (t->count == 5)
        sonic_timer_cancel(timer);
}

int
main(void)
{
    struct ticks t = {0, 0};
    sonic_io *io = NULL;
    sonic_timer *timer;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = sonic_timer_new(io, &timer);
    if (err == 0) {
        t.begin = sonic_io_now(io);
        sonic_timer_repeat(timer, 20 * MS, SONIC_TICK_SKIP, on_tick, &t);
        err = sonic_io_run(io);
    }
    if (err < 0)
        fprintf(stderr, "timer_repeat: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
