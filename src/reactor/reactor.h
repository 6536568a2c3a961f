/* reactor.h - the inside of sonic_io, for floor 3 and the reactor itself
 *
 * Life of an object: made with sonic__object_init (which gives it a slot),
 * closed once, freed once.  Closing marks it, closes the descriptor and queues
 * the object; its run function, called from the loop, completes what was
 * pending with -ECANCELED.  The loop destroys a freed object when no frame of
 * it is on the stack, which is after its run function has returned.
 */
#ifndef SONICIO_SRC_REACTOR_H
#define SONICIO_SRC_REACTOR_H

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <sonicio/io.h>
#include <sonicio/object.h>
#include <sonicio/timer.h>

#include "base/random.h"
#include "buffer/pool.h"

/* Readiness, remembered in user space until a call says EAGAIN.  The first two
 * are EPOLLIN and EPOLLOUT, which are most of what epoll(7) says. */
enum {
    SONIC__READ = 1,  /* bytes, a connection, end of stream */
    SONIC__WRITE = 4, /* room */
    SONIC__HUP = 2    /* peer gone, error, urgent data: a short read is not the
                         last */
};

enum {
    SONIC__CLOSED = 1,
    SONIC__FREED = 2,
    SONIC__REGISTERED = 4, /* the backend watches fd */
    SONIC__ALWAYS = 8,     /* a descriptor that never says EAGAIN: a file */
    SONIC__INTERNAL = 16,  /* part of the io: neither counted nor closed */
    SONIC__QUIET = 32      /* of a socket for datagrams, to which every one
                              that leaves is an edge of writing: room is told
                              of when asked for only */
};

struct sonic__object;

struct sonic__class {
    const char *name;
    /* Try what is pending, or cancel it when the object is closed. */
    void (*run)(struct sonic__object *o);
    /* Let go of everything that is not memory.  Called once. */
    void (*close)(struct sonic__object *o);
    /* Release the memory. */
    void (*destroy)(struct sonic__object *o);
    /* Waiting for SONIC__READ right now?  NULL: never polled directly. */
    bool (*reading)(const struct sonic__object *o);
    /* It stands on another object, and is closed before that when the io is:
     * it has a last word to say through it. */
    bool layer;
};

/* The base of everything that belongs to an io: 40 bytes. */
struct sonic__object {
    sonic_io *io;
    const struct sonic__class *cls;
    struct sonic__object *next; /* in the queue; NULL when not queued */
    int fd;                     /* -1: none */
    uint32_t slot;
    uint8_t ready; /* SONIC__READ … */
    uint8_t flags; /* SONIC__CLOSED … */
    uint8_t bits;  /* the class's own */
    uint8_t bits2; /* the class's own */
    int32_t error; /* the class's own; behind the four, see sonic__object_is */
};
_Static_assert(offsetof(struct sonic__object, error) ==
                   offsetof(struct sonic__object, ready) + 4,
               "sonic__object_is compares eight bytes");

/* Are ready, flags, bits and bits2 just these, and is there no error?  One
 * comparison. */
static inline bool
sonic__object_is(const struct sonic__object *o, int ready, int flags, int bits,
                 int bits2)
{
    const uint8_t want[8] = {(uint8_t)ready, (uint8_t)flags, (uint8_t)bits,
                             (uint8_t)bits2};

    return memcmp((const char *)o + offsetof(struct sonic__object, ready), want,
                  sizeof want) == 0;
}

/* A slot outlives its object: an event that names an older generation is
 * stale and dropped. */
struct sonic__slot {
    struct sonic__object *owner; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

/* As struct epoll_event, so that the kernel fills it in. */
#if defined(__x86_64__) && defined(__GNUC__)
#define SONIC__EVENT_LAYOUT __attribute__((packed))
#else
#define SONIC__EVENT_LAYOUT
#endif
struct sonic__event {
    uint32_t ready; /* SONIC__READ …, or more for the backend to translate */
    uint64_t id;    /* generation << 32 | slot */
} SONIC__EVENT_LAYOUT;

static inline uint64_t
sonic__event_id(uint32_t slot, uint32_t generation)
{
    return (uint64_t)generation << 32 | slot;
}

struct sonic__queue {
    struct sonic__object *head, **tail;
};

struct sonic__timer {
    int64_t deadline;
    uint32_t pos; /* in the heap, or one of the two below */
    void (*fire)(struct sonic__timer *t);
    struct sonic__timer *next, **prev; /* due, when not in the heap */
};
#define SONIC__TIMER_IDLE UINT32_MAX
#define SONIC__TIMER_DUE (UINT32_MAX - 1)

struct sonic__heap_entry {
    int64_t deadline;
    uint64_t seq; /* order of arming: of equals the first armed runs first */
    struct sonic__timer *timer;
};

/* An operation that was refused too deep in the stack to say so. */
struct sonic__refusal {
    struct sonic__refusal *next;
    struct sonic__object *owner; /* stays meanwhile; may be NULL */
    sonic_refusal_fn *say;
    void *object;
    void (*cb)(void);
    void *ud;
    int err;
    bool last; /* the owner is destroyed with it */
};

struct sonic__post {
    struct sonic__post *next;
    sonic_post_fn *fn;
    void *ud;
    struct sonic__post *batch; /* of a spare one, the first of its batch */
};

struct sonic__door;

/* What an io needs from the kernel.  Errors are negative. */
struct sonic__backend {
    const char *name;
    int (*open)(sonic_io *io);
    void (*close)(sonic_io *io);
    int (*add)(sonic_io *io, struct sonic__object *o);
    void (*remove)(sonic_io *io, struct sonic__object *o);
    /* Tell of this readiness once.  NULL: edges are told of anyway. */
    void (*arm)(sonic_io *io, struct sonic__object *o, unsigned ready);
    /* Tell of room for writing, or do not, of a SONIC__QUIET object.  NULL: it
     * is told of when armed only. */
    int (*tell_room)(sonic_io *io, struct sonic__object *o, bool tell);
    /* Fill io->events; how many, or an error.  Negative timeout: for ever. */
    int (*wait)(sonic_io *io, int64_t timeout);
    /* An event's `ready` that is more than READ and WRITE.  NULL: as it is. */
    uint32_t (*translate)(uint32_t ready);
    int (*fd)(const sonic_io *io);
};

struct sonic__udp_ring;
struct sonic__workers;
struct sonic__wq;
struct sonic_stream;
struct sonic_udp;

/* References to lent memory, and the cork's bytes between them. */
enum { SONIC__CORK_PARTS = 64 };
struct sonic__cork_parts {
    unsigned n;                        /* 0: nothing is referred to */
    struct iovec v[SONIC__CORK_PARTS]; /* the last one's length is what the
                                          cork says, up to ref_end */
};

struct sonic_io {
    const sonic_sys *sys;
    const struct sonic__backend *backend;
    union {
        int fd;
        void *data;
    } watch; /* the backend's own */

    /* What is ready and not run yet: see gather() and step(). */
    struct sonic__event *events;
    unsigned n_events, next_event, batch;
    struct sonic__timer *due, **due_tail;
    struct sonic__post *posts; /* taken from the door, oldest first */
    struct sonic__post *used_posts;
    unsigned used_n, used_shard;
    struct sonic__object *taken;              /* queue of this cycle */
    struct sonic__queue queue;                /* queue of the next one */
    struct sonic_stream *dirty, **dirty_tail; /* have bytes to flush */
    struct sonic_stream *dispatching; /* flushed when its dispatch ends */
    struct sonic__wq *spare_wq;       /* write queues not in use */
    struct sonic_shared *shared;      /* all that is held */
    struct sonic__wq *cork_wq;        /* the one that the cork fills */
    uint8_t *cork_base;               /* its block; NULL: there is none */
    sonic_cork cork;
    struct sonic_udp *dirty_udp, **dirty_udp_tail;
    struct sonic__udp_ring *spare_rings;
    struct sonic__cork_parts parts; /* what goes out, where it is more than
                                       the cork's own bytes */

    unsigned dispatched; /* completions on the stack */
    unsigned budget;
    uint64_t allowed; /* handlers that may still run in this run call */
    size_t guards;
    uint64_t handlers;
    bool running, closed, freed, now_valid;
    bool besides; /* there may be more to look at than events.  Set by whoever
                     brings it, cleared by the loop: see run_events() */
    size_t pending;
    int64_t now;

    struct sonic__heap_entry *heap;
    uint32_t heap_n, heap_cap;
    uint32_t timers; /* that exist; each has a place in the heap */
    uint64_t timer_seq;

    struct sonic__slot *slots;
    uint32_t slots_n, slots_cap, slots_free;
    uint32_t registered;

    struct sonic__pool pool;
    struct sonic__timer spares; /* until its spare buffers are looked at */
    int64_t buffer_idle;        /* nanoseconds */
    struct sonic__random random;
    struct sonic__door *door;
    struct sonic__workers *workers;
    unsigned busy_poll_us;
    sonic_histogram *cycle_times; /* NULL: they are not recorded */
    int64_t cycle_began;          /* time */
    uint64_t cycle_handlers;      /* handlers then */

    struct sonic__attached *attached;
    sonic_mem mem;
    sonic_io_stats stats;

    struct sonic__object refuser; /* of those refused too deep in the stack */
    struct sonic__refusal *refusals, **refusals_tail, *spare_refusals;
    struct sonic__refusal one_refusal; /* there is always one */
    unsigned refusals_n;
};

extern const struct sonic__backend sonic__backend_epoll, sonic__backend_poll;

/* Memory from the io's hooks, zeroed; NULL when there is none. */
void *sonic__alloc(sonic_io *io, size_t bytes);
void sonic__free(sonic_io *io, void *p, size_t bytes);

/* objects */
int sonic__object_init(sonic_io *io, struct sonic__object *o,
                       const struct sonic__class *cls);
int sonic__object_watch(struct sonic__object *o, int fd);
void sonic__object_unwatch(struct sonic__object *o); /* closes fd */
int sonic__object_detach(struct sonic__object *o);   /* gives fd back, open */
void sonic__object_close(struct sonic__object *o);
void sonic__object_free(struct sonic__object *o);
void sonic__object_destroy(struct sonic__object *o);
void sonic__object_bury(struct sonic__object *o); /* once that may be */

/* Have o->cls->run called in the next cycle. */
static inline void
sonic__defer(struct sonic__object *o)
{
    sonic_io *io = o->io;

    if (o->next != NULL)
        return;
    o->next = o; /* marks the end of the queue */
    *io->queue.tail = o;
    io->queue.tail = &o->next;
    io->besides = true;
    io->stats.deferred++;
}

/* Wait for readiness that a call just denied. */
static inline void
sonic__await(struct sonic__object *o, unsigned ready)
{
    o->ready &= (uint8_t)~ready;
    if (o->io->backend->arm != NULL && (o->flags & SONIC__REGISTERED))
        o->io->backend->arm(o->io, o, ready);
}

/* An operation begins; it ends with sonic__complete_begin … _end around its
 * callback. */
static inline void
sonic__op_begin(sonic_io *io)
{
    io->pending++;
}

static inline void
sonic__complete_begin(sonic_io *io)
{
    io->pending--;
    io->handlers++;
    if (++io->dispatched > io->stats.max_dispatch)
        io->stats.max_dispatch = io->dispatched;
    io->allowed -= io->allowed > 0;
}

/* Refuse an operation of o inside the call that asked for it, even outside the
 * loop; from the loop when as many completions as may be are on the stack.  It
 * must be the last thing that call does: the callback may have freed the io.
 * say calls cb, by its true type. */
void sonic__refuse(struct sonic__object *o, sonic_refusal_fn *say, int err,
                   void (*cb)(void), void *ud);
/* The same for an operation that has begun, see sonic__op_begin. */
void sonic__end_in_call(sonic_io *io, const struct sonic__refusal *r);
void sonic__refuser_init(sonic_io *io);
void sonic__refuser_free(sonic_io *io);

/* May a completion run on this stack?  Only inside the loop. */
static inline bool
sonic__may_complete(const sonic_io *io)
{
    return io->running && io->dispatched < SONIC_MAX_DISPATCH &&
           io->allowed > 0;
}

int64_t sonic__now_slow(sonic_io *io);

static inline int64_t
sonic__now(sonic_io *io)
{
    return io->now_valid ? io->now : sonic__now_slow(io);
}

/* spares.c: -ENOMEM */
int sonic__spares_init(sonic_io *io);

/* timers: a 4-ary heap of absolute deadlines */
int sonic__timer_init(sonic_io *io, struct sonic__timer *t,
                      void (*fire)(struct sonic__timer *t));
void sonic__timer_fini(sonic_io *io, struct sonic__timer *t);
void sonic__timer_arm(sonic_io *io, struct sonic__timer *t, int64_t deadline);
void sonic__timer_disarm(sonic_io *io, struct sonic__timer *t);
void sonic__timers_collect(sonic_io *io); /* what is due goes to io->due */
void sonic__timers_free(sonic_io *io);

static inline bool
sonic__timer_armed(const struct sonic__timer *t)
{
    return t->pos != SONIC__TIMER_IDLE;
}

struct sonic__job;

enum { SONIC__SPARE_SHARDS = 8 };

/* The door: what other threads may touch.  It outlives the io while a worker
 * holds it.  See post.c. */
struct sonic__door {
    _Atomic(struct sonic__post *) posts; /* newest first */
    _Atomic(struct sonic__post *) spare[SONIC__SPARE_SHARDS];
    _Atomic(struct sonic__job *) jobs; /* done, to be reported */
    atomic_size_t posted;
    atomic_bool sleeping, shut, stop;
    atomic_bool knocked; /* a post, a job or a stop since the last look */
    atomic_uint holders; /* the io and its workers */
    const sonic_sys *sys;
    sonic_mem mem;
    struct sonic__object waker; /* the eventfd as an object of the loop */
    int eventfd;
};

/* When it was stopped, the run call ends with the handler that ends here. */
static inline void
sonic__complete_end(sonic_io *io)
{
    io->dispatched--;
    if (atomic_load_explicit(&io->door->stop, memory_order_relaxed) &&
        !io->closed) {
        io->allowed = 0;
        io->besides = true;
    }
}

/* Say that the loop is about to block.  False when something came before it
 * was said: then it must not. */
static inline bool
sonic__door_sleep(struct sonic__door *d)
{
    atomic_store(&d->sleeping, true);
    if (!atomic_load(&d->knocked))
        return true;
    atomic_store(&d->sleeping, false);
    return false;
}

static inline void
sonic__door_awake(struct sonic__door *d)
{
    atomic_store_explicit(&d->sleeping, false, memory_order_relaxed);
}

static inline bool
sonic__stop_requested(const sonic_io *io)
{
    return atomic_load_explicit(&io->door->stop, memory_order_relaxed);
}

/* Has anything come in? */
static inline bool
sonic__door_knocked(struct sonic__door *d)
{
    return atomic_load_explicit(&d->knocked, memory_order_relaxed);
}

int sonic__door_new(sonic_io *io);
void sonic__door_shut(sonic_io *io);
void sonic__door_hold(struct sonic__door *d);
void sonic__door_drop(struct sonic__door *d);
void sonic__door_job_done(struct sonic__door *d, struct sonic__job *job);
void sonic__door_wake_self(sonic_io *io);
void sonic__posts_take(sonic_io *io);
void sonic__post_run(sonic_io *io); /* the oldest that was taken */

/* Blocking jobs off the loop.  work runs on another thread (on the loop where
 * sys->single_threaded); done runs on the loop, exactly once, unless the io
 * is gone: then it runs with io NULL on the worker and must only free. */
struct sonic__job {
    void (*work)(struct sonic__job *job);
    void (*done)(struct sonic__job *job, sonic_io *io);
    struct sonic__job *next;
    struct sonic__door *door;
    bool begun; /* a thread is in its work; see work.c */
};
int sonic__work_submit(sonic_io *io, struct sonic__job *job);
/* Take back a job that was submitted and not reported.  False when a thread has
 * begun it, or has done it: then done runs as usual. */
bool sonic__work_recall(sonic_io *io, struct sonic__job *job);
/* Wait until its work has returned; done is still to run. */
void sonic__work_await(sonic_io *io, const struct sonic__job *job);
void sonic__work_shut(sonic_io *io);

/* What protocols keep with the io: let go of it. */
void sonic__attached_free(sonic_io *io);

void sonic__io_drain(sonic_io *io);
void sonic__io_destroy(sonic_io *io);

/* Called by the loop; lives in src/net, NULL-safe when nothing is dirty. */
void sonic__flush_dirty(sonic_io *io);
void sonic__net_free(sonic_io *io);

#endif
