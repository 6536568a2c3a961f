/* The warm path: all first times at once. */
#include "reactor/reactor.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <sonicio/thread.h>
#include <sonicio/warm.h>

#include "base/pack.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4 /* Linux 4.4 */
#endif

enum { BUFFERS_DEFAULT = 2, BUFFERS_MOST = 1024 };
enum { BLOCKS_DEFAULT = 8, BLOCKS_MOST = 4096 };
enum { STACK_DEFAULT = 256 * 1024, STACK_SPARED = 64 * 1024, FRAME = 4096 };

static int
touch_buffers(sonic_io *io, size_t n, size_t *bytes)
{
    struct sonic_mirror *lent = NULL, *m;
    int err = 0;

    for (; n > 0 && err == 0; n--) {
        err = sonic__pool_lend(&io->pool, 0, &m);
        if (err < 0)
            break;
        m->next = lent;
        lent = m;
        err = sonic__mirror_prefault(m);
        if (err == 0)
            *bytes += m->size;
    }
    while ((m = lent) != NULL) {
        lent = m->next;
        sonic__pool_return(&io->pool, m);
    }
    return err;
}

static int
touch_blocks(sonic_io *io, size_t n, size_t *bytes)
{
    static const size_t sizes[] = {512, 2048, 8192, SONIC__BLOCK_LARGEST};
    struct sonic__block *kept = NULL, *b;
    int err = 0;

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (size_t i = 0; i < n && err == 0; i++) {
            b = sonic__block_new(&io->pool, sizes[k]);
            if (b == NULL) {
                err = -ENOMEM;
                break;
            }
            memset(b->bytes, 0, b->cap);
            *bytes += b->cap;
            b->next = kept;
            kept = b;
        }
    while ((b = kept) != NULL) {
        kept = b->next;
        sonic__block_free(&io->pool, b);
    }
    return err;
}

/* A frame for each page, down to an address.  What is written after the call
 * keeps the compiler from reusing the frame.  Returns the lowest one. */
__attribute__((noinline)) static uintptr_t
touch_stack(uintptr_t until)
{
    char frame[FRAME];
    volatile char *p = frame;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), lowest = here;

    p[0] = p[FRAME - 1] = 1;
    if (here > until)
        lowest = touch_stack(until);
    p[0] = 2;
    return lowest;
}

/* Bytes of the thread's stack below `here`, less some for others. */
static size_t
stack_below(uintptr_t here)
{
    pthread_attr_t attr;
    void *base;
    size_t size;

    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return 0;
    if (pthread_attr_getstack(&attr, &base, &size) != 0)
        size = 0;
    pthread_attr_destroy(&attr);
    if (size == 0 || here - (uintptr_t)base < STACK_SPARED)
        return 0;
    return here - (uintptr_t)base - STACK_SPARED;
}

static int
warm_stack(size_t want, size_t *bytes)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    size_t left = stack_below(here);

    if (left > 0)
        *bytes = here - touch_stack(here - (want < left ? want : left));
    return want <= left ? 0 : -ENOMEM;
}

/* Locking what will be mapped would also make all of it, the io's buffers up
 * to their limit: ONFAULT leaves that to the first touch.  Linux before 4.4
 * says -EINVAL to it. */
static int
lock(const sonic_sys *sys, bool all)
{
    int err;

    if (all)
        return sys->mlockall(MCL_CURRENT | MCL_FUTURE, sys->ud);
    err = sys->mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, sys->ud);
    return err == -EINVAL ? sys->mlockall(MCL_CURRENT, sys->ud) : err;
}

static int
first_error(const sonic_warm_report *r)
{
    const int all[] = {r->pin, r->buffers, r->blocks, r->stack, r->lock};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] < 0)
            return all[i];
    return 0;
}

int
sonic_warm_path(sonic_io *io, const sonic_warm_options *opt,
                sonic_warm_report *report)
{
    sonic_warm_report r = {.pin = 1, .lock = 1};
    sonic_warm_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err < 0)
        return err;
    if (o.buffers > BUFFERS_MOST || o.blocks > BLOCKS_MOST)
        return SONIC_EOPTION;
    if (o.n_cpus > 0)
        r.pin = sonic_pin_thread(io->sys, o.cpus, o.n_cpus);
    r.buffers = touch_buffers(io, o.buffers != 0 ? o.buffers : BUFFERS_DEFAULT,
                              &r.buffer_bytes);
    r.blocks = touch_blocks(io, o.blocks != 0 ? o.blocks : BLOCKS_DEFAULT,
                            &r.block_bytes);
    r.stack =
        warm_stack(o.stack != 0 ? o.stack : STACK_DEFAULT, &r.stack_bytes);
    if (o.lock != SONIC_OFF)
        r.lock = lock(io->sys, o.lock_all == SONIC_ON);
    if (report != NULL)
        *report = r;
    return first_error(&r);
}

/* ---- in words --------------------------------------------------------- */

struct text {
    char *at;
    size_t cap, len;
};

/* "part: done, 12 KiB\n" */
static void
say(struct text *t, const char *part, int result, size_t bytes)
{
    const char *how = result == 0  ? "done"
                      : result > 0 ? "not asked for"
                                   : sonic_strerror(result);
    size_t at = t->len < t->cap ? t->len : t->cap;
    int n;

    if (bytes > 0)
        n = snprintf(t->at + at, t->cap - at, "%-8s %s, %zu KiB\n", part, how,
                     bytes / 1024);
    else
        n = snprintf(t->at + at, t->cap - at, "%-8s %s\n", part, how);
    if (n > 0)
        t->len += (size_t)n;
}

int
sonic_warm_format(const sonic_warm_report *r, char *text, size_t cap)
{
    struct text t = {text, cap, 0};

    if (cap > 0)
        text[0] = '\0';
    say(&t, "pin", r->pin, 0);
    say(&t, "buffers", r->buffers, r->buffer_bytes);
    say(&t, "blocks", r->blocks, r->block_bytes);
    say(&t, "stack", r->stack, r->stack_bytes);
    say(&t, "lock", r->lock, 0);
    return t.len < cap ? (int)t.len : SONIC_ETOOBIG;
}
