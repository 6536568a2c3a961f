/* The world itself: options, memory of its own, beginning and end. */
#include "net.h"

#include <fcntl.h>
#include <stdlib.h>

#include <sonicio/error.h>

#include "base/pack.h"

enum {
    DEFAULT_BUFFER = 64 * 1024,
    DEFAULT_FD_LIMIT = 1024,
    DEFAULT_FIRST_FD = 3,
    DEFAULT_TRACE = 256,
    DEFAULT_DISK = 16 * 1024 * 1024,
    DEFAULT_CALL_COST = 50,
    DEFAULT_CALL_LIMIT = 50 * 1000 * 1000,
    FIRST_PORT = 32767,
    ALWAYS = 1000000, /* parts per million */
};

static void *
c_alloc(size_t bytes, void *ud)
{
    (void)ud;
    return malloc(bytes);
}

static void
c_free(void *ptr, size_t bytes, void *ud)
{
    (void)bytes;
    (void)ud;
    free(ptr);
}

void *
sonic__sim_get(sonic_sim *sim, size_t bytes)
{
    void *p = sim->own.alloc(bytes, sim->own.ud);

    if (p != NULL)
        memset(p, 0, bytes);
    return p;
}

void
sonic__sim_put(sonic_sim *sim, void *ptr, size_t bytes)
{
    if (ptr != NULL)
        sim->own.free(ptr, bytes, sim->own.ud);
}

int
sonic__sim_grow(sonic_sim *sim, void **array, size_t *max, size_t need,
                size_t item)
{
    size_t size = *max > 0 ? *max : 16;
    void *p;

    if (need <= *max)
        return 0;
    while (size < need)
        size *= 2;
    p = sonic__sim_get(sim, size * item);
    if (p == NULL)
        return -ENOMEM;
    if (*max > 0)
        memcpy(p, *array, *max * item);
    sonic__sim_put(sim, *array, *max * item);
    *array = p;
    *max = size;
    return 0;
}

static void
default_time(int64_t *t, int64_t otherwise)
{
    if (*t == 0)
        *t = otherwise;
}

static void
default_size(size_t *s, size_t otherwise)
{
    if (*s == 0)
        *s = otherwise;
}

static int
set_options(sonic_sim_options *to, const sonic_sim_options *from)
{
    int err = sonic__options_copy(to, sizeof *to, from);

    if (err < 0)
        return err;
    default_time(&to->start, SIM_S);
    default_time(&to->call_cost, DEFAULT_CALL_COST);
    default_time(&to->stall, 200 * SIM_MS);
    default_time(&to->jump, SIM_S);
    default_time(&to->reorder_delay, 5 * SIM_MS);
    default_time(&to->skew_delay, 2 * SIM_MS);
    default_size(&to->send_buffer, DEFAULT_BUFFER);
    default_size(&to->receive_buffer, DEFAULT_BUFFER);
    default_size(&to->pipe_buffer, DEFAULT_BUFFER);
    default_size(&to->disk, DEFAULT_DISK);
    default_size(&to->trace, DEFAULT_TRACE);
    if (to->call_limit == 0)
        to->call_limit = DEFAULT_CALL_LIMIT;
    if (to->reset_within == 0)
        to->reset_within = DEFAULT_BUFFER;
    if (to->fd_limit == 0)
        to->fd_limit = DEFAULT_FD_LIMIT;
    if (to->first_fd == 0)
        to->first_fd = DEFAULT_FIRST_FD;
    if (to->latency_max == 0)
        to->latency_max = to->latency_min;
    if (to->latency_min < 0 || to->latency_max < to->latency_min ||
        to->call_cost < 0 || to->stall < 0 || to->jump < 0 ||
        to->reorder_delay < 0 || to->skew_delay < 0 || to->start < 0 ||
        to->first_fd > to->fd_limit || to->fd_limit > INT32_MAX)
        return SONIC_EOPTION;
#define X(name, text)                                                          \
    if (to->faults.name > ALWAYS)                                              \
        return SONIC_EOPTION;
    SONIC_SIM_FAULT_LIST(X)
#undef X
    return 0;
}

static const sonic_sys members = {
    .size = sizeof(sonic_sys),
    .single_threaded = true,
    .random = sonic__sim_random,
    .socket = sonic__sim_socket,
    .socketpair = sonic__sim_socketpair,
    .bind = sonic__sim_bind,
    .listen = sonic__sim_listen,
    .accept4 = sonic__sim_accept4,
    .connect = sonic__sim_connect,
    .shutdown = sonic__sim_shutdown,
    .getsockopt = sonic__sim_getsockopt,
    .setsockopt = sonic__sim_setsockopt,
    .getsockname = sonic__sim_getsockname,
    .getpeername = sonic__sim_getpeername,
    .recv = sonic__sim_recv,
    .recvmsg = sonic__sim_recvmsg,
    .send = sonic__sim_send,
    .sendmsg = sonic__sim_sendmsg,
    .readv = sonic__sim_readv,
    .writev = sonic__sim_writev,
    .open = sonic__sim_open,
    .close = sonic__sim_close,
    .unlink = sonic__sim_unlink,
    .pipe2 = sonic__sim_pipe2,
    .fcntl = sonic__sim_fcntl,
    .poll = sonic__sim_poll,
    .epoll_create1 = sonic__sim_epoll_create1,
    .epoll_ctl = sonic__sim_epoll_ctl,
    .epoll_wait = sonic__sim_epoll_wait,
    .eventfd = sonic__sim_eventfd,
    .signalfd = sonic__sim_signalfd,
    .memfd_create = sonic__sim_memfd_create,
    .ftruncate = sonic__sim_ftruncate,
    .mmap = sonic__sim_mmap,
    .munmap = sonic__sim_munmap,
    .madvise = sonic__sim_madvise,
    .getaddrinfo = sonic__sim_getaddrinfo,
    .freeaddrinfo = sonic__sim_freeaddrinfo,
    .recvmmsg = sonic__sim_recvmmsg,
    .sendmmsg = sonic__sim_sendmmsg,
    .if_nametoindex = sonic__sim_if_nametoindex,
    .if_indextoname = sonic__sim_if_indextoname,
    .getifaddrs = sonic__sim_getifaddrs,
    .freeifaddrs = sonic__sim_freeifaddrs,
    .pread = sonic__sim_pread,
    .pwrite = sonic__sim_pwrite,
    .lseek = sonic__sim_lseek,
    .fstat = sonic__sim_fstat,
    .fsync = sonic__sim_fsync,
    .realtime = sonic__sim_realtime,
    .sched_setaffinity = sonic__sim_setaffinity,
    .sched_getaffinity = sonic__sim_getaffinity,
    .mlockall = sonic__sim_mlockall,
    .ioctl = sonic__sim_ioctl,
};

static int64_t
clock_now(void *ud)
{
    sonic_sim *sim = ud;

    sonic__sim_begin(sim, SONIC_SIM_CLOCK, -1, 0);
    return sonic__sim_end(sim, sim->now);
}

int
sonic_sim_new(sonic_sim **out, const sonic_sim_options *opt)
{
    static const sonic_mem from_c = {c_alloc, c_free, NULL};
    sonic_sim_options set;
    sonic_mem own;
    sonic_sim *sim;
    int err = set_options(&set, opt);

    *out = NULL;
    if (err < 0)
        return err;
    own = set.mem != NULL ? *set.mem : from_c;
    sim = own.alloc(sizeof *sim, own.ud);
    if (sim == NULL)
        return -ENOMEM;
    memset(sim, 0, sizeof *sim);
    sim->own = own;
    sim->opt = set;
    sim->trace = sonic__sim_get(sim, set.trace * sizeof *sim->trace);
    if (sim->trace == NULL) {
        own.free(sim, sizeof *sim, own.ud);
        return -ENOMEM;
    }
    if (sim->opt.sys == NULL)
        sim->opt.sys = sonic_sys_kernel();
    sim->opt.mem = NULL;
    sim->now = set.start;
    sim->port = FIRST_PORT;
    sim->lowest_free = set.first_fd;
    sonic__sim_seed(&sim->world, set.seed);
    sonic__sim_seed(&sim->entropy, set.seed ^ 0x656e74726f7079);
    sonic__sim_seed(&sim->user, set.seed ^ 0x75736572);
    sim_list_init(&sim->bound);
    sim_list_init(&sim->paths);
    sim_list_init(&sim->routes);
    sim_list_init(&sim->ways);
    sim_list_init(&sim->inodes);
    sonic__sim_loopback(sim);
    sim->sys = members;
    sim->sys.clock = clock_now;
    sim->sys.ud = sim;
    sim->mem = (sonic_mem){sonic__sim_alloc, sonic__sim_release, sim};
    *out = sim;
    return 0;
}

static void
free_lists(sonic_sim *sim)
{
    while (!sim_list_empty(&sim->paths)) {
        struct sim_path *p = SIM_ITEM(sim->paths.next, struct sim_path, all);

        sim_list_remove(&p->all);
        sonic__sim_put(sim, p, sizeof *p);
    }
    while (!sim_list_empty(&sim->routes)) {
        struct sim_route *r = SIM_ITEM(sim->routes.next, struct sim_route, all);

        sim_list_remove(&r->all);
        sonic__sim_put(sim, r, sizeof *r);
    }
    sonic__sim_ways_free(sim);
    sonic__sim_disk_free(sim);
    sonic__sim_hosts_free(sim);
}

int
sonic_sim_free(sonic_sim *sim, sonic_sim_leaks *leaks)
{
    sonic_sim_leaks found = {0};
    sonic_mem own;

    if (leaks != NULL)
        *leaks = found;
    if (sim == NULL)
        return 0;
    found.fds = sim->count.fds;
    found.addrinfos = sim->addrinfos;
    if (found.fds > 0) {
        size_t fd = 0;

        while (sim->files[fd] == NULL)
            fd++;
        snprintf(found.what, sizeof found.what, "descriptor %zu is open", fd);
    }
    sonic__sim_memory_leaks(sim, &found);
    sonic__sim_close_all(sim);
    sonic__sim_drop_events(sim);
    free_lists(sim);
    sonic__sim_put(sim, sim->heap, sim->events_max * sizeof *sim->heap);
    sonic__sim_put(sim, sim->files, sim->files_max * sizeof *sim->files);
    sonic__sim_put(sim, sim->records, sim->records_max * sizeof *sim->records);
    sonic__sim_put(sim, sim->trace, sim->opt.trace * sizeof *sim->trace);
    own = sim->own;
    own.free(sim, sizeof *sim, own.ud);
    if (leaks != NULL)
        *leaks = found;
    return found.fds + found.maps + found.blocks + found.addrinfos +
                       found.bad_frees >
                   0
               ? -ENOTEMPTY
               : 0;
}

const sonic_sys *
sonic_sim_sys(sonic_sim *sim)
{
    return &sim->sys;
}

const sonic_mem *
sonic_sim_mem(sonic_sim *sim)
{
    return &sim->mem;
}

const sonic_sim_counters *
sonic_sim_stats(sonic_sim *sim)
{
    sonic_sim_counters *c = &sim->count;

    c->bytes_flying = c->bytes_written - c->bytes_read - c->bytes_dropped;
    return c;
}

int
sonic_sim_connection_get(const sonic_sim *sim, uint64_t index,
                         sonic_sim_connection *out)
{
    if (index >= sim->count.connections)
        return -ERANGE;
    *out = sim->records[index];
    return 0;
}
