/* input.h - standard input, a block at a time
 *
 * Read by a thread of its own, with plain read(2): a terminal, or whatever
 * else other programs share with us, is not made non-blocking for it. */
#ifndef SONICIO_TOOLS_INPUT_H
#define SONICIO_TOOLS_INPUT_H

#include <pthread.h>
#include <semaphore.h>

#include <sonicio/io.h>

enum { INPUT_BLOCK = 65536 };

struct input {
    sonic_io *io;
    sonic_post_fn *fn; /* fn(io, ud): there is a block */
    void *ud;
    ssize_t len; /* bytes of block; 0: the end; negative: -errno, the end */
    sem_t taken;
    pthread_t thread;
    bool started;
    char block[INPUT_BLOCK];
};

/* Begin; fn is called on io's thread for each block.  0 or an error. */
int input_start(struct input *in, sonic_io *io, sonic_post_fn *fn, void *ud);

/* The block is done with: read the next one.  Not after the end. */
void input_next(struct input *in);

/* End the thread, also one that waits for somebody to type. */
void input_stop(struct input *in);

#endif
