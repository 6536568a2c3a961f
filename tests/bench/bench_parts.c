/* bench_parts - what the parts cost: timers, posts, a client's frame.  Each
 * figure is the best of many short runs: the machine is shared. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

#include "bench/kit.h"
#include "websocket/frame.h"
#include "websocket/mask.h"

enum { BATCH = 1000, LARGEST = 65536, HOUR_S = 3600 };

static sonic_io *io;
static sonic_timer *timers[BATCH];
static size_t called;

/* Nanoseconds of one of `batch` things that fn does. */
static double
best(void (*fn)(void), size_t batch, bool quick)
{
    double least = 1e18;

    for (int i = 0; i < (quick ? 50 : 300); i++) {
        double t = kit_now();

        fn();
        t = (kit_now() - t) / (double)batch;
        if (t < least)
            least = t;
    }
    return least;
}

/* ---- timers ----------------------------------------------------------- */

static void
on_timer(sonic_timer *t, int err, void *ud)
{
    (void)t;
    (void)err;
    (void)ud;
    called++;
}

/* Every callback has run when this has; otherwise the figures are wrong. */
static void
run_all(size_t expected)
{
    kit_check(sonic_io_run(io), "run");
    if (called != expected) {
        fprintf(stderr, "bench: %zu callbacks, not %zu\n", called, expected);
        exit(EXIT_FAILURE);
    }
    called = 0;
}

/* A deadline that is pushed back over and over, as with a time-out. */
static void
arm_and_cancel(void)
{
    for (int i = 0; i < BATCH; i++) {
        sonic_timer_once(timers[i], (int64_t)HOUR_S * 1000000000 - i, on_timer,
                         NULL);
        sonic_timer_cancel(timers[i]);
    }
    run_all(BATCH); /* the cancelled callbacks */
}

static void
fire(void)
{
    for (int i = 0; i < BATCH; i++)
        sonic_timer_once(timers[i], 1, on_timer, NULL);
    run_all(BATCH);
}

/* ---- posts ------------------------------------------------------------ */

static void
on_post(sonic_io *which, void *ud)
{
    (void)which;
    (void)ud;
    called++;
}

static void
post_here(void)
{
    for (int i = 0; i < BATCH; i++)
        kit_check(sonic_io_post(io, on_post, NULL), "post");
    run_all(BATCH);
}

static atomic_bool running; /* the loop of the other thread */

static void
on_last_post(sonic_io *which, void *ud)
{
    (void)ud;
    sonic_io_work_end(which);
}

static void *
loop(void *ud)
{
    (void)ud;
    kit_pin(0);
    atomic_store(&running, true);
    kit_check(sonic_io_run(io), "run");
    return NULL;
}

/* Posted by this thread while another runs the io. */
static double
post_there(bool quick)
{
    size_t n = quick ? 100000 : 1000000;
    pthread_t thread;
    double t;

    sonic_io_work_begin(io);
    if (pthread_create(&thread, NULL, loop, NULL) != 0)
        kit_die("pthread_create");
    while (!atomic_load(&running))
        ;
    kit_pin(1);
    t = kit_now();
    for (size_t i = 0; i < n; i++)
        kit_check(sonic_io_post(io, on_post, NULL), "post");
    kit_check(sonic_io_post(io, on_last_post, NULL), "post");
    if (pthread_join(thread, NULL) != 0)
        kit_die("pthread_join");
    t = (kit_now() - t) / (double)n;
    if (called != n)
        kit_die("posts were lost");
    called = 0;
    return t;
}

/* ---- a client's frame ------------------------------------------------- */

static uint8_t payload[LARGEST], frame[LARGEST + SONIC__WS_HEADER_MAX];
static const struct sonic__ws_simd *simd;
static size_t frame_size;

/* From the caller's payload, or, when that is NULL, where it lies. */
static inline void
build_from(const uint8_t *from)
{
    for (int i = 0; i < BATCH; i++) {
        uint32_t key;
        size_t head;

        kit_check(sonic_io_random(io, &key, sizeof key), "random");
        head = sonic__ws_frame_encode(frame, true, 0, SONIC_WS_BINARY,
                                      frame_size, &key);
        simd->mask(frame + head, from != NULL ? from : frame + head, frame_size,
                   key);
        __asm__ volatile("" ::: "memory"); /* each is really built */
    }
}

static void
build(void)
{
    build_from(payload);
}

static void
build_in_place(void)
{
    build_from(NULL);
}

/* What a frame cannot take less than: its payload, copied. */
static void
copy(void)
{
    for (int i = 0; i < BATCH; i++) {
        memcpy(frame, payload, frame_size);
        __asm__ volatile("" ::: "memory");
    }
}

static void
build_frames(bool quick)
{
    static const struct {
        const char *what;
        size_t size;
        void (*build)(void);
        double must;
        enum kit_rule rule;
    } cases[] = {
        {"masked frame, 32 B", 32, build, 12, KIT_AT_MOST},
        {"masked frame, 1 KiB", 1024, build, 20, KIT_AT_MOST},
        {"masked frame, 64 KiB", LARGEST, build, 1.1, KIT_RATIO_AT_MOST},
        {"the same, in place", LARGEST, build_in_place, 900, KIT_AT_MOST},
    };

    memset(payload, 'a', sizeof payload);
    simd = sonic__ws_simd_best();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        frame_size = cases[i].size;
        kit_row(
            &(struct kit_row){.what = cases[i].what,
                              .measured = best(cases[i].build, BATCH, quick),
                              .floor = best(copy, BATCH, quick),
                              .must = cases[i].must,
                              .rule = cases[i].rule});
    }
}

static void
row(const char *what, double ns)
{
    kit_row(&(struct kit_row){.what = what, .measured = ns});
}

int
main(int argc, char **argv)
{
    bool quick = kit_quick(argc, argv);

    kit_title("Parts", "ns");
    kit_check(sonic_io_new(&io, NULL), "sonic_io_new");
    for (int i = 0; i < BATCH; i++)
        kit_check(sonic_timer_new(io, &timers[i]), "sonic_timer_new");
    row("timer: arm, cancel, callback", best(arm_and_cancel, BATCH, quick));
    row("timer: arm, fire", best(fire, BATCH, quick));
    row("post, same thread", best(post_here, BATCH, quick));
    row("post, other thread", post_there(quick));
    build_frames(quick);
    sonic_io_free(io);
    return 0;
}
