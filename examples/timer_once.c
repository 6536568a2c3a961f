/* timer_once - call back once, 50 milliseconds from now */
#include <stdio.h>

#include <sonicio/sonicio.h>

#define MS INT64_C(1000000)

static void
on_timer(sonic_timer *timer, int err, void *ud)
{
    int64_t *armed = ud;
    sonic_io *io = sonic_timer_io(timer);

    if (err < 0)
        printf("the timer ended with %s\n", sonic_strerror(err));
    else
        printf("fired after %.3f ms\n",
               (double)(sonic_io_now(io) - *armed) / (double)MS);
}

int
main(void)
{
    sonic_io *io = NULL;
    sonic_timer *timer;
    int64_t armed;
    int err = sonic_io_new(&io, NULL);

    if (err == 0)
        err = sonic_timer_new(io, &timer);
    if (err == 0) {
        armed = sonic_io_now(io);
        sonic_timer_once(timer, 50 * MS, on_timer, &armed);
        err = sonic_io_run(io);
    }
    if (err < 0)
        fprintf(stderr, "timer_once: %s\n", sonic_strerror(err));
    sonic_io_free(io);
    return err < 0;
}
