/* Making and ending an io, and looking at it. */
#include "reactor/reactor.h"

#include <stdlib.h>
#include <string.h>

#include "base/marks.h"
#include "base/mem.h"
#include "base/pack.h"

enum { BATCH = 256, BATCH_MAX = 4096, BUDGET = 16 };
#define BUFFER_SIZE ((size_t)256 << 10)
#define BUFFER_IDLE (INT64_C(1000) * 1000 * 1000)
#define BUFFER_LIMIT ((size_t)4 << 30)

/* In the order of preference; NULL where configure left one out. */
static const struct sonic__backend *const backends[SONIC_BACKEND_POLL + 1] = {
#ifndef SONIC_WITHOUT_EPOLL
    [SONIC_BACKEND_EPOLL] = &sonic__backend_epoll,
#endif
#ifndef SONIC_WITHOUT_POLL
    [SONIC_BACKEND_POLL] = &sonic__backend_poll,
#endif
};

static int
choose_backend(enum sonic_backend want, const struct sonic__backend **out)
{
    const char *name = getenv("SONIC_BACKEND");

    for (unsigned i = 0; i < sizeof backends / sizeof *backends; i++) {
        bool fits = want == (enum sonic_backend)i;

        if (backends[i] == NULL)
            continue;
        if (want == SONIC_BACKEND_DEFAULT)
            fits = name == NULL || *name == '\0' ||
                   strcmp(name, backends[i]->name) == 0;
        if (fits) {
            *out = backends[i];
            return 0;
        }
    }
    return SONIC_EOPTION;
}

static int
set_options(sonic_io *io, const sonic_io_options *opt)
{
    if (opt->batch > BATCH_MAX || opt->buffer_size > BUFFER_LIMIT ||
        opt->buffer_limit > SONIC__SIZE_MOST || opt->buffer_idle < 0 ||
        opt->buffer_idle > INT64_MAX / 4)
        return SONIC_EOPTION;
    io->batch = opt->batch != 0 ? opt->batch : BATCH;
    io->budget = opt->budget != 0 ? opt->budget : BUDGET;
    io->busy_poll_us = opt->busy_poll_us;
    io->pool.sys = io->sys;
    io->pool.mem = io->mem;
    io->pool.base_size = opt->buffer_size ? opt->buffer_size : BUFFER_SIZE;
    io->pool.limit = opt->buffer_limit ? opt->buffer_limit : BUFFER_LIMIT;
    io->pool.prefault = opt->prefault;
    io->pool.huge_pages = opt->huge_pages;
    io->buffer_idle = opt->buffer_idle != 0 ? opt->buffer_idle : BUFFER_IDLE;
    return choose_backend(opt->backend, &io->backend);
}

int
sonic_io_new(sonic_io **out, const sonic_io_options *opt)
{
    sonic_io_options o;
    const sonic_mem *mem;
    sonic_io *io;
    int err = sonic__options_copy(&o, sizeof o, opt);

    if (err < 0)
        return err;
    mem = sonic__mem_or_default(o.mem);
    io = mem->alloc(sizeof *io, mem->ud);
    if (io == NULL)
        return -ENOMEM;
    memset(io, 0, sizeof *io);
    io->mem = *mem;
    io->sys = o.sys != NULL ? o.sys : sonic_sys_kernel();
    io->slots_free = UINT32_MAX;
    io->queue.tail = &io->queue.head;
    io->due_tail = &io->due;
    io->dirty_tail = &io->dirty;
    io->dirty_udp_tail = &io->dirty_udp;
    io->allowed = UINT64_MAX;
    sonic__refuser_init(io);
    err = set_options(io, &o);
    if (err < 0)
        goto fail;
    err = -ENOMEM;
    io->events = sonic__alloc(io, io->batch * sizeof *io->events);
    if (io->events == NULL)
        goto fail;
    err = io->backend->open(io);
    if (err < 0)
        goto fail_events;
    err = sonic__spares_init(io);
    if (err == 0)
        err = sonic__door_new(io);
    if (err < 0)
        goto fail_backend;
    sonic__random_open(&io->random, io->sys);
    *out = io;
    return 0;

fail_backend:
    sonic__timers_free(io);
    io->backend->close(io);
    sonic__free(io, io->slots, io->slots_cap * sizeof *io->slots);
fail_events:
    sonic__free(io, io->events, io->batch * sizeof *io->events);
fail:
    mem->free(io, sizeof *io, mem->ud);
    return err;
}

static void
close_objects(sonic_io *io, bool layers, bool free_them)
{
    for (uint32_t i = 0; i < io->slots_n; i++) {
        struct sonic__object *o = io->slots[i].owner;

        if (o == NULL || (o->flags & SONIC__INTERNAL) ||
            (layers && !o->cls->layer))
            continue;
        if (free_them)
            sonic__object_free(o);
        else
            sonic__object_close(o);
    }
}

void
sonic_io_close(sonic_io *io)
{
    if (io->closed)
        return;
    close_objects(io, true, false);
    close_objects(io, false, false);
    io->closed = true;
    io->besides = true;
    atomic_store(&io->door->shut, true); /* the last posts are in */
    if (!io->running && io->dispatched == 0)
        sonic__io_drain(io);
}

/* Nothing of the io is on the stack but the caller. */
void
sonic__io_destroy(sonic_io *io)
{
    sonic_mem mem = io->mem;

    io->freed = true;
    close_objects(io, false, true);
    sonic__io_drain(io);
    sonic__work_shut(io);
    sonic__object_close(&io->door->waker);
    sonic__door_shut(io);
    io->backend->close(io);
    sonic__net_free(io);
    sonic__timers_free(io);
    sonic__refuser_free(io);
    sonic__attached_free(io);
    sonic__pool_free(&io->pool);
    sonic__random_close(&io->random, io->sys);
    sonic__free(io, io->slots, io->slots_cap * sizeof *io->slots);
    sonic__free(io, io->events, io->batch * sizeof *io->events);
    mem.free(io, sizeof *io, mem.ud);
}

void
sonic_io_free(sonic_io *io)
{
    if (io == NULL)
        return;
    sonic_io_close(io);
    io->freed = true;
    if (!io->running && io->dispatched == 0)
        sonic__io_destroy(io);
}

void
sonic_io_work_begin(sonic_io *io)
{
    io->guards++;
}

void
sonic_io_work_end(sonic_io *io)
{
    if (io->guards > 0)
        io->guards--;
}

size_t
sonic_io_pending(const sonic_io *io)
{
    return io->pending + sonic_io_posted(io);
}

const sonic_mem *
sonic_io_mem(const sonic_io *io)
{
    return &io->mem;
}

const sonic_sys *
sonic_io_sys(const sonic_io *io)
{
    return io->sys;
}

int
sonic_io_random(sonic_io *io, void *buf, size_t len)
{
    if (len == sizeof(uint32_t)) /* a masking key */
        return sonic__random_key(&io->random, io->sys, buf);
    return sonic__random_fill(&io->random, io->sys, buf, len);
}

bool
sonic_io_inside(const sonic_io *io)
{
    return io->running || io->dispatched > 0;
}

int64_t
sonic_io_now(const sonic_io *io)
{
    return io->now_valid ? io->now : io->sys->clock(io->sys->ud);
}

int
sonic_io_fd(const sonic_io *io)
{
    return io->backend->fd(io);
}

int64_t
sonic_io_next_deadline(const sonic_io *io)
{
    if (io->queue.head != NULL || io->taken != NULL || io->due != NULL ||
        io->posts != NULL || io->dirty != NULL || io->dirty_udp != NULL ||
        io->next_event < io->n_events || sonic_io_posted(io) > 0)
        return 0;
    return io->heap_n > 0 ? io->heap[0].deadline : INT64_MAX;
}

void
sonic_io_get_stats(const sonic_io *io, sonic_io_stats *out)
{
    *out = io->stats;
    out->handlers = io->handlers;
    out->waits = io->stats.cycles; /* one each */
    out->objects--;                /* the waker is not the caller's */
    out->buffers = io->pool.count;
    out->buffers_lent = io->pool.lent;
    out->buffer_bytes = io->pool.bytes;
}

const char *
sonic_io_backend_name(const sonic_io *io)
{
    return io->backend->name;
}

sonic_cork *
sonic_io_cork(sonic_io *io)
{
    return &io->cork;
}
