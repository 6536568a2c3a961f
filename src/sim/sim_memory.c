/* Memory: the hooks for a sonic_io, and the real kernel's mappings. */
#include "world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>

enum { NEW = 0xa5, FREED = 0x5a }; /* what fills memory without contents */

/* In front of every block. */
struct sim_block {
    _Alignas(max_align_t) struct sim_block *prev;
    struct sim_block *next;
    size_t bytes;
    uint64_t serial;
};

/* Pages that are mapped, by what is left of each mmap. */
struct sim_map {
    struct sim_map *next;
    uintptr_t from, to;
};

void *
sonic__sim_alloc(size_t bytes, void *ud)
{
    sonic_sim *sim = ud;
    sonic_sim_counters *c = &sim->count;
    struct sim_block *b = NULL;

    c->call[SONIC_SIM_ALLOC]++;
    sim->block_serial++;
    sim->hash = sonic__sim_mix(sim->hash, bytes);
    if (sonic__sim_ordered(sim, SONIC_SIM_ALLOC) < 0 ||
        SIM_CHANCE(sim, alloc_fails) || bytes > SIZE_MAX - sizeof *b)
        return NULL;
    b = sim->own.alloc(sizeof *b + bytes, sim->own.ud);
    if (b == NULL)
        return NULL;
    *b = (struct sim_block){
        .next = sim->blocks, .bytes = bytes, .serial = sim->block_serial};
    if (sim->blocks != NULL)
        sim->blocks->prev = b;
    sim->blocks = b;
    c->blocks++;
    c->block_bytes += bytes;
    if (c->block_bytes > c->block_bytes_most)
        c->block_bytes_most = c->block_bytes;
    memset(b + 1, NEW, bytes);
    return b + 1;
}

void
sonic__sim_release(void *ptr, size_t bytes, void *ud)
{
    sonic_sim *sim = ud;
    struct sim_block *b = ptr;

    sim->count.call[SONIC_SIM_FREE]++;
    if (ptr == NULL)
        return;
    b--;
    sim->count.bad_frees += b->bytes != bytes;
    if (b->prev != NULL)
        b->prev->next = b->next;
    else
        sim->blocks = b->next;
    if (b->next != NULL)
        b->next->prev = b->prev;
    sim->count.blocks--;
    sim->count.block_bytes -= b->bytes;
    bytes = b->bytes;
    memset(ptr, FREED, bytes);
    sim->own.free(b, sizeof *b + bytes, sim->own.ud);
}

/* ---- mappings ---- */

/* Forget [from, to) of all mappings. */
static int
forget(sonic_sim *sim, uintptr_t from, uintptr_t to)
{
    struct sim_map **at = &sim->maps, *m, *rest;

    while ((m = *at) != NULL) {
        if (m->to <= from || m->from >= to) {
            at = &m->next;
        } else if (m->from < from && m->to > to) {
            rest = sonic__sim_get(sim, sizeof *rest);
            if (rest == NULL)
                return -ENOMEM;
            *rest = (struct sim_map){.next = m->next, .from = to, .to = m->to};
            m->to = from;
            m->next = rest;
            sim->count.maps++;
            at = &rest->next;
        } else if (m->from < from) {
            m->to = from;
            at = &m->next;
        } else if (m->to > to) {
            m->from = to;
            at = &m->next;
        } else {
            *at = m->next;
            sonic__sim_put(sim, m, sizeof *m);
            sim->count.maps--;
        }
    }
    return 0;
}

static int
remember(sonic_sim *sim, void *addr, size_t len)
{
    uintptr_t from = (uintptr_t)addr;
    struct sim_map *m = sonic__sim_get(sim, sizeof *m);

    if (m == NULL || forget(sim, from, from + len) < 0) {
        sonic__sim_put(sim, m, sizeof *m);
        return -ENOMEM;
    }
    *m = (struct sim_map){.next = sim->maps, .from = from, .to = from + len};
    sim->maps = m;
    sim->count.maps++;
    return 0;
}

struct sim_memfd {
    struct sim_file file;
    int real; /* the kernel's descriptor */
};

static void
memfd_close(struct sim_file *f)
{
    struct sim_memfd *m = SIM_ITEM(f, struct sim_memfd, file);
    const sonic_sys *sys = f->sim->opt.sys;

    if (m->real >= 0)
        sys->close(m->real, sys->ud);
    sonic__sim_put(f->sim, m, sizeof *m);
}

static const struct sim_ops memfd_ops = {.close = memfd_close};

static int
real_fd(sonic_sim *sim, int fd)
{
    struct sim_file *f;
    int err = sonic__sim_file(sim, fd, &f);

    if (err < 0)
        return err;
    if (f->ops != &memfd_ops)
        return -EINVAL;
    return SIM_ITEM(f, struct sim_memfd, file)->real;
}

static int
make_memfd(sonic_sim *sim, const char *name, unsigned flags)
{
    const sonic_sys *sys = sim->opt.sys;
    struct sim_memfd *m;
    int fd;

    if (SIM_CHANCE(sim, memfd_fails))
        return -EMFILE;
    m = sonic__sim_get(sim, sizeof *m);
    if (m == NULL)
        return -ENOMEM;
    sonic__sim_file_init(&m->file, sim, &memfd_ops, O_RDWR);
    fd = m->real = sys->memfd_create(name, flags, sys->ud);
    if (fd >= 0)
        fd = sonic__sim_install(&m->file);
    if (fd < 0)
        memfd_close(&m->file);
    return fd;
}

int
sonic__sim_memfd_create(const char *name, unsigned flags, void *ud)
{
    int fd = sonic__sim_begin(ud, SONIC_SIM_MEMFD_CREATE, -1, flags);

    if (fd == 0)
        fd = make_memfd(ud, name, flags);
    return (int)sonic__sim_end(ud, fd);
}

int
sonic__sim_ftruncate(int fd, int64_t len, void *ud)
{
    sonic_sim *sim = ud;
    const sonic_sys *sys = sim->opt.sys;
    int err = sonic__sim_begin(sim, SONIC_SIM_FTRUNCATE, fd, len);

    if (err == 0 && (err = sonic__sim_disk_truncate(sim, fd, len)) != -ESPIPE)
        return (int)sonic__sim_end(sim, err);
    if (err == -ESPIPE)
        err = SIM_CHANCE(sim, memfd_fails) ? -ENOSPC : real_fd(sim, fd);
    if (err >= 0)
        err = sys->ftruncate(err, len, sys->ud);
    return (int)sonic__sim_end(sim, err);
}

void *
sonic__sim_mmap(void *addr, size_t len, int prot, int flags, int fd,
                int64_t off, int *err, void *ud)
{
    sonic_sim *sim = ud;
    const sonic_sys *sys = sim->opt.sys;
    void *p = MAP_FAILED;
    int real = -1;

    *err = sonic__sim_begin(sim, SONIC_SIM_MMAP, fd, (int64_t)len);
    if (*err == 0 && SIM_CHANCE(sim, map_fails))
        *err = -ENOMEM;
    if (*err == 0 && (flags & MAP_ANONYMOUS) == 0 &&
        (real = real_fd(sim, fd)) < 0)
        *err = real;
    if (*err == 0)
        p = sys->mmap(addr, len, prot, flags, real, off, err, sys->ud);
    if (p != MAP_FAILED && remember(sim, p, len) < 0)
        sim->sick = -ENOMEM;
    sonic__sim_end(sim, p == MAP_FAILED ? *err : 0);
    return p;
}

int
sonic__sim_munmap(void *addr, size_t len, void *ud)
{
    sonic_sim *sim = ud;
    const sonic_sys *sys = sim->opt.sys;
    uintptr_t from = (uintptr_t)addr;
    int err = sonic__sim_begin(sim, SONIC_SIM_MUNMAP, -1, (int64_t)len);

    if (err == 0)
        err = sys->munmap(addr, len, sys->ud);
    if (err == 0 && forget(sim, from, from + len) < 0)
        sim->sick = -ENOMEM;
    return (int)sonic__sim_end(sim, err);
}

int
sonic__sim_madvise(void *addr, size_t len, int advice, void *ud)
{
    sonic_sim *sim = ud;
    const sonic_sys *sys = sim->opt.sys;
    int err = sonic__sim_begin(sim, SONIC_SIM_MADVISE, -1, advice);

    if (err == 0)
        err = sys->madvise(addr, len, advice, sys->ud);
    return (int)sonic__sim_end(sim, err);
}

void
sonic__sim_memory_leaks(sonic_sim *sim, sonic_sim_leaks *leaks)
{
    const struct sim_block *b = sim->blocks;

    leaks->maps = sim->count.maps;
    leaks->blocks = sim->count.blocks;
    leaks->block_bytes = sim->count.block_bytes;
    leaks->bad_frees = sim->count.bad_frees;
    while (b != NULL && b->next != NULL)
        b = b->next; /* the oldest */
    if (leaks->what[0] == 0 && b != NULL)
        snprintf(leaks->what, sizeof leaks->what,
                 "allocation %" PRIu64 ", %zu bytes", b->serial, b->bytes);
    else if (leaks->what[0] == 0 && sim->maps != NULL)
        snprintf(leaks->what, sizeof leaks->what, "a mapping of %zu bytes",
                 (size_t)(sim->maps->to - sim->maps->from));
    while (sim->maps != NULL) {
        struct sim_map *m = sim->maps;

        sim->maps = m->next;
        sonic__sim_put(sim, m, sizeof *m);
    }
}
