/* Threads for calls that block: name look-ups, files.  They are started when
 * there is work, wait for more, and end with the io.  It never waits for a
 * job: whoever holds the shared state last frees it. */
#include "reactor/reactor.h"

#include <pthread.h>
#include <signal.h>

enum { THREADS = 4 };

struct sonic__workers {
    pthread_mutex_t lock; /* everything below; never held by a job */
    pthread_cond_t more, left;
    struct sonic__job *head, **tail;
    unsigned threads, idle, busy; /* idle wait for a job, busy are in one */
    unsigned queued;              /* jobs that no thread has begun */
    unsigned holders;             /* the io and the threads */
    bool shut;
    sonic_mem mem;
};

static void
drop(struct sonic__workers *w) /* with the lock held; lets it go */
{
    bool last = --w->holders == 0;
    sonic_mem mem = w->mem;

    pthread_cond_signal(&w->left);
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    pthread_cond_destroy(&w->left);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    mem.free(w, sizeof *w, mem.ud);
}

static void
report(struct sonic__job *job)
{
    struct sonic__door *d = job->door;

    sonic__door_job_done(d, job);
    sonic__door_drop(d);
}

static void *
worker(void *arg)
{
    struct sonic__workers *w = arg;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct sonic__job *job = w->head;

        if (job == NULL) {
            if (w->shut)
                break;
            w->idle++;
            pthread_cond_wait(&w->more, &w->lock);
            w->idle--;
            continue;
        }
        w->head = job->next;
        w->queued--;
        if (w->head == NULL)
            w->tail = &w->head;
        w->busy++;
        job->begun = true;
        pthread_mutex_unlock(&w->lock);
        job->work(job);
        pthread_mutex_lock(&w->lock);
        w->busy--; /* from here on an io that goes waits for this thread */
        job->begun = false;
        pthread_cond_signal(&w->left);
        pthread_mutex_unlock(&w->lock);
        report(job);
        pthread_mutex_lock(&w->lock);
    }
    w->threads--;
    drop(w);
    return NULL;
}

/* Signals are for the program's own threads. */
static int
start_thread(struct sonic__workers *w)
{
    sigset_t all, old;
    pthread_t id;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&id, NULL, worker, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err == 0)
        pthread_detach(id);
    return -err;
}

static int
open_workers(sonic_io *io)
{
    struct sonic__workers *w = sonic__alloc(io, sizeof *w);

    if (w == NULL)
        return -ENOMEM;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    pthread_cond_init(&w->left, NULL);
    w->tail = &w->head;
    w->holders = 1;
    w->mem = io->mem;
    io->workers = w;
    return 0;
}

/* 0 and the job's done will run; or an error, and it will not. */
int
sonic__work_submit(sonic_io *io, struct sonic__job *job)
{
    struct sonic__workers *w;
    int err = 0;

    job->next = NULL;
    job->begun = false;
    job->door = io->door;
    if (io->sys->single_threaded) {
        sonic__door_hold(io->door);
        job->work(job);
        report(job);
        return 0;
    }
    if (io->workers == NULL && (err = open_workers(io)) < 0)
        return err;
    w = io->workers;
    pthread_mutex_lock(&w->lock);
    if (w->queued >= w->idle && w->threads < THREADS) {
        err = start_thread(w);
        if (err == 0) {
            w->threads++;
            w->holders++;
        } else if (w->threads > 0) {
            err = 0; /* one of the others will come to it */
        }
    }
    if (err == 0) {
        sonic__door_hold(io->door);
        *w->tail = job;
        w->tail = &job->next;
        w->queued++;
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    return err;
}

bool
sonic__work_recall(sonic_io *io, struct sonic__job *job)
{
    struct sonic__workers *w = io->workers;
    struct sonic__job **at;
    bool found;

    if (w == NULL)
        return false;
    pthread_mutex_lock(&w->lock);
    for (at = &w->head; *at != NULL && *at != job; at = &(*at)->next)
        ;
    found = *at != NULL;
    if (found) {
        *at = job->next;
        if (*at == NULL)
            w->tail = at;
        w->queued--;
    }
    pthread_mutex_unlock(&w->lock);
    if (found)
        sonic__door_drop(job->door);
    return found;
}

void
sonic__work_await(sonic_io *io, const struct sonic__job *job)
{
    struct sonic__workers *w = io->workers;

    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    while (job->begun)
        pthread_cond_wait(&w->left, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

/* The io goes; jobs that no thread has begun are dropped here.  Threads that
 * have no job end first, so that without one nothing is left to them. */
void
sonic__work_shut(sonic_io *io)
{
    struct sonic__workers *w = io->workers;
    struct sonic__job *job, *next;

    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->shut = true;
    job = w->head;
    w->head = NULL;
    w->tail = &w->head;
    w->queued = 0;
    pthread_cond_broadcast(&w->more);
    while (w->holders > 1 + w->busy)
        pthread_cond_wait(&w->left, &w->lock);
    drop(w);
    io->workers = NULL;
    for (; job != NULL; job = next) {
        next = job->next;
        sonic__door_drop(job->door);
        job->done(job, NULL);
    }
}
