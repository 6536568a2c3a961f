/* Objects and their slots. */
#include "reactor/reactor.h"

#include <string.h>

void *
sonic__alloc(sonic_io *io, size_t bytes)
{
    void *p = io->mem.alloc(bytes, io->mem.ud);

    return p == NULL ? NULL : memset(p, 0, bytes);
}

void
sonic__free(sonic_io *io, void *p, size_t bytes)
{
    if (p != NULL)
        io->mem.free(p, bytes, io->mem.ud);
}

static int
grow_slots(sonic_io *io)
{
    uint32_t cap = io->slots_cap == 0 ? 64 : io->slots_cap * 2;
    struct sonic__slot *v;

    if (cap > UINT32_MAX / 4)
        return -ENOMEM;
    v = io->mem.alloc(cap * sizeof *v, io->mem.ud);
    if (v == NULL)
        return -ENOMEM;
    if (io->slots_n > 0)
        memcpy(v, io->slots, io->slots_n * sizeof *v);
    sonic__free(io, io->slots, io->slots_cap * sizeof *v);
    io->slots = v;
    io->slots_cap = cap;
    return 0;
}

int
sonic__object_init(sonic_io *io, struct sonic__object *o,
                   const struct sonic__class *cls)
{
    uint32_t slot = io->slots_free;
    int err;

    if (io->closed)
        return SONIC_ECLOSED;
    if (slot != UINT32_MAX) {
        io->slots_free = io->slots[slot].next_free;
    } else {
        if (io->slots_n == io->slots_cap && (err = grow_slots(io)) < 0)
            return err;
        slot = io->slots_n++;
        io->slots[slot].generation = 0;
    }
    io->slots[slot].owner = o;
    memset(o, 0, sizeof *o);
    o->io = io;
    o->cls = cls;
    o->fd = -1;
    o->slot = slot;
    io->stats.objects++;
    return 0;
}

/* Watch fd from now on; it is taken to be ready until a call says otherwise.
 * On error fd stays the caller's. */
int
sonic__object_watch(struct sonic__object *o, int fd)
{
    int err;

    o->fd = fd;
    o->ready = SONIC__READ | SONIC__WRITE;
    err = o->io->backend->add(o->io, o);
    if (err == -EPERM) { /* epoll(7): a regular file is always ready */
        o->flags |= SONIC__ALWAYS;
        return 0;
    }
    if (err < 0) {
        o->fd = -1;
        return err;
    }
    o->flags |= SONIC__REGISTERED;
    o->io->registered++;
    o->io->stats.registered++;
    return 0;
}

int
sonic__object_detach(struct sonic__object *o)
{
    int fd = o->fd;

    if (o->flags & SONIC__REGISTERED) {
        o->io->backend->remove(o->io, o);
        o->io->registered--;
        /* Events of this descriptor that are in the batch are stale now. */
        o->io->slots[o->slot].generation++;
    }
    o->flags &= (uint8_t) ~(SONIC__REGISTERED | SONIC__ALWAYS);
    o->fd = -1;
    o->ready = 0;
    return fd;
}

void
sonic__object_unwatch(struct sonic__object *o)
{
    int fd = sonic__object_detach(o);

    if (fd >= 0)
        o->io->sys->close(fd, o->io->sys->ud);
}

void
sonic__object_close(struct sonic__object *o)
{
    if (o->flags & SONIC__CLOSED)
        return;
    o->flags |= SONIC__CLOSED;
    o->cls->close(o);
    sonic__defer(o); /* to cancel what is pending */
}

void
sonic__object_free(struct sonic__object *o)
{
    sonic__object_close(o);
    o->flags |= SONIC__FREED;
    sonic__defer(o);
}

/* The end: no frame of the object is on the stack, and it is in no list. */
void
sonic__object_destroy(struct sonic__object *o)
{
    sonic_io *io = o->io;
    struct sonic__slot *s = &io->slots[o->slot];

    assert(o->next == NULL && o->fd < 0);
    s->owner = NULL;
    s->generation++;
    s->next_free = io->slots_free;
    io->slots_free = o->slot;
    io->stats.objects--;
    o->cls->destroy(o);
}
