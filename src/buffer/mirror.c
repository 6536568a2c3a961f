#include "buffer/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pack.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
enum { HUGE_PAGE = 2 * 1024 * 1024 };

/* min_size in whole units of `unit`, 0 when that does not fit a size_t twice */
static size_t
round_up(size_t min_size, size_t unit)
{
    size_t max = SIZE_MAX / 4;

    return min_size == 0 || min_size > max
               ? 0
               : (min_size + unit - 1) / unit * unit;
}

/* Lay the pages of fd into both halves of 2 * size bytes of address space:
 * byte i and byte size + i are one byte of memory.  The range is reserved
 * first, aligned for huge pages where those are wanted. */
static int
map_twice(const sonic_sys *sys, int fd, size_t size, size_t align,
          uint8_t **base)
{
    const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_FIXED;
    size_t span = 2 * size + (align > 1 ? align : 0), skip;
    uint8_t *all, *p;
    int err;

    all = sys->mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
                    &err, sys->ud);
    if (err < 0)
        return err;
    skip = align > 1 ? align - (uintptr_t)all % align : 0;
    if (align > 1)
        sys->munmap(all, skip, sys->ud);
    p = all + skip;
    if (span - skip > 2 * size)
        sys->munmap(p + 2 * size, span - skip - 2 * size, sys->ud);
    sys->mmap(p, size, prot, flags, fd, 0, &err, sys->ud);
    if (err == 0)
        sys->mmap(p + size, size, prot, flags, fd, 0, &err, sys->ud);
    if (err < 0) {
        sys->munmap(p, 2 * size, sys->ud);
        return err;
    }
    *base = p;
    return 0;
}

/* An error instead of SIGBUS, should memory be short.  Kernels that do not know
 * the advice say -EINVAL. */
static int
populate(const sonic_sys *sys, uint8_t *base, size_t size)
{
    int err = sys->madvise(base, 2 * size, MADV_POPULATE_WRITE, sys->ud);

    return err == -EFAULT ? -ENOMEM : err;
}

/* One attempt, with huge pages or without. */
static int
map_pages(const sonic_sys *sys, size_t size, bool huge, bool prefault,
          uint8_t **base)
{
    unsigned flags = MFD_CLOEXEC | (huge ? MFD_HUGETLB : 0u);
    int err, fd = sys->memfd_create("sonicio", flags, sys->ud);

    if (fd < 0)
        return fd;
    err = sys->ftruncate(fd, (int64_t)size, sys->ud);
    if (err == 0)
        err = map_twice(sys, fd, size, huge ? HUGE_PAGE : 1, base);
    sys->close(fd, sys->ud); /* the mappings keep the pages */
    if (err < 0 || !prefault)
        return err;
    err = populate(sys, *base, size);
    if (err == -EINVAL) /* the pages are made when they are first used */
        return 0;
    if (err < 0)
        sys->munmap(*base, 2 * size, sys->ud);
    return err;
}

static int
map_any(const sonic_sys *sys, size_t min_size, bool *huge, bool prefault,
        uint8_t **base, size_t *size)
{
    int err;

    if (*huge) {
        *size = round_up(min_size, HUGE_PAGE);
        err =
            *size == 0 ? -ENOMEM : map_pages(sys, *size, true, prefault, base);
        if (err == 0)
            return 0;
        *huge = false;
    }
    *size = round_up(min_size, (size_t)sysconf(_SC_PAGESIZE));
    if (*size == 0)
        return min_size == 0 ? SONIC_EOPTION : -ENOMEM;
    return map_pages(sys, *size, false, prefault, base);
}

int
sonic_mirror_new(size_t min_size, const sonic_mirror_options *opt,
                 sonic_mirror **out)
{
    sonic_mirror_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    sonic_mirror *m;

    if (err < 0)
        return err;
    m = mem->alloc(sizeof *m, mem->ud);
    if (m == NULL)
        return -ENOMEM;
    memset(m, 0, sizeof *m);
    m->mem = *mem;
    m->sys = o.sys != NULL ? o.sys : sonic_sys_kernel();
    m->huge = o.huge_pages == SONIC_ON;
    m->prefault = o.prefault == SONIC_ON;
    err = map_any(m->sys, min_size, &m->huge, m->prefault, &m->base, &m->size);
    if (err < 0) {
        mem->free(m, sizeof *m, mem->ud);
        return err;
    }
    *out = m;
    return 0;
}

void
sonic_mirror_free(sonic_mirror *m)
{
    sonic_mem mem;

    if (m == NULL)
        return;
    mem = m->mem;
    m->sys->munmap(m->base, 2 * m->size, m->sys->ud);
    mem.free(m, sizeof *m, mem.ud);
}

int
sonic_mirror_grow(sonic_mirror *m, size_t min_size)
{
    bool huge = m->huge;
    uint8_t *base;
    size_t size;
    int err;

    if (min_size <= m->size)
        return 0;
    err = map_any(m->sys, min_size, &huge, m->prefault, &base, &size);
    if (err < 0)
        return err;
    memcpy(base, sonic__mirror_data(m), m->used);
    m->sys->munmap(m->base, 2 * m->size, m->sys->ud);
    m->base = base;
    m->size = size;
    m->head = 0;
    m->huge = huge;
    return 0;
}

int
sonic__mirror_prefault(sonic_mirror *m)
{
    int err = populate(m->sys, m->base, m->size);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    volatile uint8_t *p = m->base;

    if (err != -EINVAL)
        return err;
    for (size_t i = 0; i < 2 * m->size; i += page)
        p[i] = p[i];
    return 0;
}

uint8_t *
sonic_mirror_claim(sonic_mirror *m, size_t n, size_t *got)
{
    size_t room = m->size - m->used;

    *got = n < room ? n : room;
    return room == 0 ? NULL : sonic__mirror_tail(m);
}

size_t
sonic_mirror_commit(sonic_mirror *m, size_t n)
{
    size_t room = m->size - m->used;

    if (n > room)
        n = room;
    m->used += n;
    return n;
}

uint8_t *
sonic_mirror_head(const sonic_mirror *m, size_t *len)
{
    *len = m->used;
    return m->used == 0 ? NULL : sonic__mirror_data(m);
}

size_t
sonic_mirror_consume(sonic_mirror *m, size_t n)
{
    if (n > m->used)
        n = m->used;
    sonic__mirror_drop(m, n);
    return n;
}

size_t
sonic_mirror_trim(sonic_mirror *m, size_t n)
{
    if (n > m->used)
        n = m->used;
    m->used -= n;
    return n;
}

void
sonic_mirror_reset(sonic_mirror *m)
{
    m->head = 0;
    m->used = 0;
}

size_t
sonic_mirror_size(const sonic_mirror *m)
{
    return m->size;
}

size_t
sonic_mirror_used(const sonic_mirror *m)
{
    return m->used;
}

size_t
sonic_mirror_room(const sonic_mirror *m)
{
    return m->size - m->used;
}

bool
sonic_mirror_huge(const sonic_mirror *m)
{
    return m->huge;
}
