/* <sonicio/io.h> - the reactor
 *
 * A sonic_io runs the operations of many objects on one thread.  It has no
 * locks; sonic_io_post and sonic_io_stop alone may be called from elsewhere.
 * To use more cores, make more of them.
 */
#ifndef SONICIO_IO_H
#define SONICIO_IO_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/histogram.h>
#include <sonicio/mem.h>
#include <sonicio/mirror.h>
#include <sonicio/sys.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_io sonic_io;

/* How an io waits. */
enum sonic_backend {
    SONIC_BACKEND_DEFAULT = 0, /* epoll, or $SONIC_BACKEND when that is set */
    SONIC_BACKEND_EPOLL,       /* epoll(7), edge-triggered, registered once */
    SONIC_BACKEND_POLL         /* poll(2) */
};

typedef struct sonic_io_options {
    size_t size; /* SONIC_IO_OPTIONS_INIT sets it */
    enum sonic_backend backend;
    const sonic_sys *sys; /* borrowed, outlives the io; NULL: the kernel */
    const sonic_mem *mem; /* copied; NULL: malloc(3) */
    unsigned batch;       /* events per wait; default 256, at most 4096 */
    unsigned budget;      /* handlers per object and cycle; default 16 */
    size_t buffer_size;   /* bytes of the receive buffer; default 256 KiB */
    size_t buffer_limit;  /* bytes that all lent buffers may map together;
                             default 4 GiB, of which only touched pages
                             exist; at most SIZE_MAX / 4 */
    enum sonic_switch prefault;   /* touch buffers when they are made */
    enum sonic_switch huge_pages; /* ask for them; used where granted */
    unsigned busy_poll_us;        /* SO_BUSY_POLL on sockets; 0: not set */
    int64_t buffer_idle; /* ns; default 1 s.  Buffers that were not in use all
                            that time, or up to twice as long, go back to the
                            system, by the loop: all but 1 MiB of those of
                            buffer_size.  At no time are more than 64 MiB kept
                            for later */
} sonic_io_options;

#define SONIC_IO_OPTIONS_INIT                                                  \
    {                                                                          \
        .size = sizeof(sonic_io_options)                                       \
    }

/* sonic_io_new - make a reactor
 * opt may be NULL.  ERRORS -ENOMEM, -EMFILE, -ENFILE, SONIC_EOPTION. */
SONIC_API SONIC_MUST_CHECK int sonic_io_new(sonic_io **out,
                                            const sonic_io_options *opt);

/* sonic_io_close - end an io
 *
 * Every object of the io is closed; every pending operation completes with
 * -ECANCELED, by the run call that is under way, or else before this returns.
 * Afterwards run and poll calls return SONIC_ECLOSED.  Idempotent. */
SONIC_API void sonic_io_close(sonic_io *io);

/* sonic_io_free - close, and give everything back
 *
 * Objects of the io that were not freed are freed with it.  From inside a
 * callback the memory goes when the run call returns.  NULL is allowed. */
SONIC_API void sonic_io_free(sonic_io *io);

/* Running.  Each returns how many handlers (callbacks) it ran, or an error:
 *   -EBUSY         called from inside a callback of this io
 *   SONIC_ECLOSED  the io is closed
 *   -ETIMEDOUT     the time passed and nothing ran (run_one_for, run_for)
 *   others         the wait itself failed
 * Pending work is: operations not completed, timers scheduled, posts not run,
 * name look-ups, and work guards.  Listeners, streams and so on that have no
 * operation under way are not work. */

/* Until there is no work, or sonic_io_stop. */
SONIC_API int sonic_io_run(sonic_io *io);
/* As sonic_io_run, but not held by work guards. */
SONIC_API int sonic_io_run_pending(sonic_io *io);
/* Wait until one handler can run; run that one only. */
SONIC_API int sonic_io_run_one(sonic_io *io);
/* The same, for at most ns nanoseconds. */
SONIC_API int sonic_io_run_one_for(sonic_io *io, int64_t ns);
/* One wait and all that it brings. */
SONIC_API int sonic_io_run_batch(sonic_io *io);
/* For ns nanoseconds, or until there is no work. */
SONIC_API int sonic_io_run_for(sonic_io *io, int64_t ns);
/* As sonic_io_run, with a warm core: poll without blocking until busy cycles
 * in a row brought nothing, then block for at most timeout nanoseconds; any
 * work starts over.  SONIC_EOPTION when busy is 0 or timeout < 1 ms. */
SONIC_API int sonic_io_run_warm(sonic_io *io, unsigned busy, int64_t timeout);
/* As sonic_io_run, never blocking: burns one core for the lowest latency.
 * With few descriptors armed they are read directly, without asking
 * epoll(7) first. */
SONIC_API int sonic_io_run_spin(sonic_io *io);
/* What is ready now: all of it, or one handler. */
SONIC_API int sonic_io_poll(sonic_io *io);
SONIC_API int sonic_io_poll_one(sonic_io *io);

/* sonic_io_stop - make the run call under way, or else the next one, return
 * as soon as the handler that runs has returned.  Any thread, and safe in a
 * signal handler.  Run calls return at once until sonic_io_restart. */
SONIC_API void sonic_io_stop(sonic_io *io);
SONIC_API void sonic_io_restart(sonic_io *io);
SONIC_API bool sonic_io_stopped(const sonic_io *io);

/* A work guard keeps sonic_io_run from returning for lack of work.  Guards
 * are counted. */
SONIC_API void sonic_io_work_begin(sonic_io *io);
SONIC_API void sonic_io_work_end(sonic_io *io);

/* Operations whose callback has not run yet; posts among them. */
SONIC_API size_t sonic_io_pending(const sonic_io *io);
/* Posts that have not run yet.  Any thread. */
SONIC_API size_t sonic_io_posted(const sonic_io *io);

/* The time of this cycle, without a system call. */
SONIC_API int64_t sonic_io_now(const sonic_io *io);

typedef void sonic_post_fn(sonic_io *io, void *ud);

/* sonic_io_post - run fn(io, ud) on the io's thread.  Any thread.
 *
 * In order for one posting thread.  Never waits for a handler or a lock.
 * Wakes a blocked io once, however many posts come together.
 * Nodes are reused, so a steady stream of posts does not allocate.
 * ERRORS -ENOMEM; SONIC_ECLOSED.  After either, fn does not run.
 * What is posted before the io is closed runs, at the latest while it closes.
 */
SONIC_API SONIC_MUST_CHECK int sonic_io_post(sonic_io *io, sonic_post_fn *fn,
                                             void *ud);

/* Embedding in another event loop: wait for sonic_io_fd to be readable, or
 * for sonic_io_next_deadline, then call sonic_io_poll.
 * The descriptor is -1 with a backend that has none (poll).
 * The deadline is absolute, INT64_MAX for none, and in the past when there is
 * work now. */
SONIC_API int sonic_io_fd(const sonic_io *io);
SONIC_API int64_t sonic_io_next_deadline(const sonic_io *io);

/* For protocols written on an io: its memory hooks and its seam, and
 * unpredictable bytes from its batch (0, or why there are none). */
SONIC_API const sonic_mem *sonic_io_mem(const sonic_io *io);
SONIC_API const sonic_sys *sonic_io_sys(const sonic_io *io);
SONIC_API SONIC_MUST_CHECK int sonic_io_random(sonic_io *io, void *buf,
                                               size_t len);
/* sonic_io_borrow, _give_back - an empty mirrored buffer of the io's pool, of
 * at least min_size bytes; what it holds at the end is dropped.
 * ERRORS -ENOMEM (buffer_limit, too), SONIC_ETOOBIG. */
SONIC_API SONIC_MUST_CHECK int sonic_io_borrow(sonic_io *io, size_t min_size,
                                               sonic_mirror **out);
SONIC_API void sonic_io_give_back(sonic_io *io, sonic_mirror *m);
/* sonic_io_attach - a block of memory that the io has for its protocols
 *
 *   key   the address of something static: who asks
 *   fini  may be NULL; runs when the io is freed, after its objects are gone
 * The first call makes it, zeroed, aligned as malloc(3) aligns; later ones
 * with the same key find it again.  NULL when there is no memory. */
SONIC_API void *sonic_io_attach(sonic_io *io, const void *key, size_t bytes,
                                void (*fini)(sonic_io *io, void *block));
/* Is a run call of this io on the stack, or a callback? */
SONIC_API bool sonic_io_inside(const sonic_io *io);
/* Run the io, as sonic_io_run_pending, until *done is true: what a blocking
 * twin is made of.  0; -EBUSY inside a callback; SONIC_ESTOPPED when it ended
 * before. */
SONIC_API SONIC_MUST_CHECK int sonic_io_run_until(sonic_io *io,
                                                  const bool *done);

typedef struct sonic_io_stats {
    uint64_t cycles;       /* turns of the loop */
    uint64_t waits;        /* calls that waited or polled for events */
    uint64_t events;       /* descriptor events */
    uint64_t handlers;     /* callbacks run */
    uint64_t deferred;     /* completions that went through the queue */
    uint64_t wakeups;      /* wake-ups by sonic_io_post */
    uint64_t registered;   /* descriptors registered, ever */
    uint64_t reads;        /* receive calls of streams */
    uint64_t writes;       /* send calls of streams */
    uint64_t bytes_in;     /* by streams */
    uint64_t bytes_out;    /* by streams */
    size_t objects;        /* streams, listeners, timers … alive */
    size_t buffers;        /* mirrored buffers that exist */
    size_t buffers_lent;   /* of these, held by a stream */
    size_t buffer_bytes;   /* bytes of all mirrored buffers */
    unsigned max_dispatch; /* deepest nesting of completions seen */
} sonic_io_stats;

SONIC_API void sonic_io_get_stats(const sonic_io *io, sonic_io_stats *out);

/* sonic_cork - what a read callback does most, without a call
 *
 * For protocols whose messages are small and many; the functions named here
 * are always right.  While a callback of sonic_stream_lend runs:
 *   at, end  where `stream` is the stream to send on and n <= end - at, n bytes
 *            written at `at`, which is then advanced, go out when the callback
 *            returns, in one call with what else it queues and in the order of
 *            the calls: sonic_stream_send.  The queue stands below its
 *            high-water mark after that.
 *   ref_end  where sonic_stream_refer has referred, for `stream`, to memory,
 * and `at` stands at ref_at still: the end of that memory.  n bytes from there
 * on that were lent too, n <= ref_room, are referred to by adding n to ref_end
 * and taking it from ref_room.  ref_room 0: nothing was referred to, or no more
 * can be. again    true: all that was lent is consumed; lend again when there
 * is more, as before: sonic_stream_lend_again.  Set it last, and where nothing
 * else was done with the read side. */
typedef struct sonic_cork {
    uint8_t *at, *end;
    struct sonic_stream *stream; /* NULL: there is no room for any */
    const uint8_t *ref_end, *ref_at;
    size_t ref_room; /* bytes */
    bool again;
} sonic_cork;

/* The io's own, as long as the io lives. */
SONIC_API sonic_cork *sonic_io_cork(sonic_io *io);

/* sonic_io_time_cycles - record how long each turn of the loop takes that runs
 * a handler: nanoseconds from the end of one wait to the beginning of the next
 *
 *   h  borrowed, until the io is freed or this is called again; NULL: no more.
 * Costs two readings of the clock per turn, and nothing while h is NULL. */
SONIC_API void sonic_io_time_cycles(sonic_io *io, sonic_histogram *h);

/* How epoll_wait(2) looks for packets itself before it sleeps, on the queues of
 * the network cards that the io's sockets receive from. */
typedef struct sonic_busy_poll {
    size_t size;
    uint32_t time;   /* microseconds; 0: not at all */
    uint16_t budget; /* packets at a time; 0: the kernel's choice; over 64 needs
                        CAP_NET_ADMIN */
    enum sonic_switch prefer; /* ON: keep interrupts off meanwhile */
} sonic_busy_poll;

#define SONIC_BUSY_POLL_INIT                                                   \
    {                                                                          \
        .size = sizeof(sonic_busy_poll)                                        \
    }

/* sonic_io_set_busy_poll, _get_busy_poll - EPIOCSPARAMS, EPIOCGPARAMS of
 * ioctl_eventpoll(2), Linux 6.9.  For older kernels there is busy_poll_us in
 * sonic_io_options, which is per socket.
 * ERRORS  SONIC_EOPTION, the backend is not epoll; -ENOTTY, the kernel does not
 * have it; -EINVAL; -EPERM. */
SONIC_API SONIC_MUST_CHECK int sonic_io_set_busy_poll(sonic_io *io,
                                                      const sonic_busy_poll *p);
SONIC_API SONIC_MUST_CHECK int sonic_io_get_busy_poll(const sonic_io *io,
                                                      sonic_busy_poll *out);

/* The backend in use, and what it is called: "epoll", "poll". */
SONIC_API const char *sonic_io_backend_name(const sonic_io *io);

#ifdef __cplusplus
}
#endif
#endif
