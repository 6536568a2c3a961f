/* post - hand work from other threads to the reactor's thread
 *
 * sonic_io_post is the one call that any thread may make.  What it posts runs
 * on the io's thread, so nothing here needs a lock. */
#include <pthread.h>
#include <stdio.h>

#include <sonicio/sonicio.h>

enum { THREADS = 4, POSTS = 1000 };

struct shared {
    sonic_io *io;
    int sum;      /* touched on the io's thread only */
    int finished; /* the same */
};

static void
add_one(sonic_io *io, void *ud)
{
    (void)io;
    ((struct shared *)ud)->sum++;
}

static void
thread_done(sonic_io *io, void *ud)
{
    struct shared *s = ud;

    if (++s->finished == THREADS)
        sonic_io_work_end(io); /* nothing keeps sonic_io_run any more */
}

static void *
producer(void *arg)
{
    struct shared *s = arg;

    for (int i = 0; i < POSTS; i++)
        if (sonic_io_post(s->io, add_one, s) < 0)
            fprintf(stderr, "a post was refused\n");
    if (sonic_io_post(s->io, thread_done, s) < 0)
        sonic_io_stop(s->io);
    return NULL;
}

int
main(void)
{
    struct shared s = {NULL, 0, 0};
    pthread_t thread[THREADS];
    int err = sonic_io_new(&s.io, NULL);

    if (err < 0) {
        fprintf(stderr, "post: %s\n", sonic_strerror(err));
        return 1;
    }
    sonic_io_work_begin(s.io); /* run until told otherwise */
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, producer, &s);
    err = sonic_io_run(s.io);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    printf("%d threads posted %d of %d\n", THREADS, s.sum, THREADS * POSTS);
    sonic_io_free(s.io);
    return err < 0 || s.sum != THREADS * POSTS;
}
