#include "input.h"

#include <errno.h>
#include <unistd.h>

static void *
work(void *arg)
{
    struct input *in = arg;
    int state, err;

    do {
        do
            in->len = read(STDIN_FILENO, in->block, sizeof in->block);
        while (in->len < 0 && errno == EINTR);
        if (in->len < 0)
            in->len = -errno;
        /* sonic_io_post must not be left half-way. */
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
        err = sonic_io_post(in->io, in->fn, in->ud);
        pthread_setcancelstate(state, NULL);
        if (err < 0)
            break; /* the io is closed */
        while (in->len > 0 && sem_wait(&in->taken) < 0)
            ; /* a signal: it is not for this thread */
    } while (in->len > 0);
    return NULL;
}

int
input_start(struct input *in, sonic_io *io, sonic_post_fn *fn, void *ud)
{
    int err;

    in->io = io;
    in->fn = fn;
    in->ud = ud;
    if (sem_init(&in->taken, 0, 0) < 0)
        return -errno;
    err = pthread_create(&in->thread, NULL, work, in);
    if (err != 0) {
        sem_destroy(&in->taken);
        return -err;
    }
    in->started = true;
    return 0;
}

void
input_next(struct input *in)
{
    sem_post(&in->taken);
}

void
input_stop(struct input *in)
{
    if (!in->started)
        return;
    pthread_cancel(in->thread);
    pthread_join(in->thread, NULL);
    sem_destroy(&in->taken);
    in->started = false;
}
