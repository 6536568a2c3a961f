/* Objects that others write: <sonicio/object.h>. */
#include "reactor/reactor.h"

#include <stdalign.h>

#include <sonicio/object.h>

#include "base/pack.h"

enum { FREE_LATER = 1 }; /* base.bits: when the last hold is dropped */

/* What stands in front of the caller's memory.  base.error counts holds. */
struct box {
    struct sonic__object base;
    const sonic_object_class *cls;
    alignas(max_align_t) unsigned char object[];
};

static struct box *
box_of(const void *object)
{
    return (struct box *)((uintptr_t)object - offsetof(struct box, object));
}

static void
run(struct sonic__object *o)
{
    struct box *b = (struct box *)o;
    sonic_io *io = o->io;

    sonic__op_begin(io);
    sonic__complete_begin(io);
    b->cls->run(b->object);
    sonic__complete_end(io);
    if ((o->flags & SONIC__FREED) && o->error > 0)
        sonic__defer(o); /* the io ends: what holds it has its last word soon */
}

static void
close_box(struct sonic__object *o)
{
    struct box *b = (struct box *)o;

    if (b->cls->close != NULL)
        b->cls->close(b->object);
}

static void
destroy(struct sonic__object *o)
{
    struct box *b = (struct box *)o;

    if (b->cls->destroy != NULL)
        b->cls->destroy(b->object);
    sonic__free(o->io, b, sizeof *b + b->cls->bytes);
}

int
sonic_object_new(sonic_io *io, const sonic_object_class *cls, void **out)
{
    static const struct sonic__class box_class = {
        .name = "object",
        .run = run,
        .close = close_box,
        .destroy = destroy,
    };
    size_t size = sizeof(struct box) + cls->bytes;
    struct box *b;
    int err = sonic__options_fit(cls, sizeof *cls);

    if (err < 0)
        return err;
    b = sonic__alloc(io, size);
    if (b == NULL)
        return -ENOMEM;
    err = sonic__object_init(io, &b->base, &box_class);
    if (err < 0) {
        sonic__free(io, b, size);
        return err;
    }
    b->cls = cls;
    *out = b->object;
    return 0;
}

sonic_io *
sonic_object_io(const void *object)
{
    return box_of(object)->base.io;
}

void
sonic_object_defer(void *object)
{
    sonic__defer(&box_of(object)->base);
}

void
sonic_object_hold(void *object)
{
    box_of(object)->base.error++;
}

void
sonic_object_drop(void *object)
{
    struct sonic__object *o = &box_of(object)->base;

    assert(o->error > 0);
    if (--o->error > 0)
        return;
    if (o->bits & FREE_LATER)
        sonic__object_free(o);
    else if (o->flags & SONIC__CLOSED)
        sonic__defer(o);
}

bool
sonic_object_held(const void *object)
{
    return box_of(object)->base.error > 0;
}

void
sonic_object_refuse(void *object, sonic_refusal_fn *say, int err,
                    void (*cb)(void), void *ud)
{
    struct sonic__object *o = &box_of(object)->base;

    sonic__op_begin(o->io);
    sonic__end_in_call(o->io, &(struct sonic__refusal){.owner = o,
                                                       .say = say,
                                                       .object = object,
                                                       .err = err,
                                                       .cb = cb,
                                                       .ud = ud});
}

void
sonic_object_close(void *object)
{
    sonic__object_close(&box_of(object)->base);
}

bool
sonic_object_closed(const void *object)
{
    return (box_of(object)->base.flags & SONIC__CLOSED) != 0;
}

void
sonic_object_free(void *object)
{
    struct sonic__object *o = &box_of(object)->base;

    if (o->error == 0) {
        sonic__object_free(o);
    } else {
        o->bits |= FREE_LATER;
        sonic__object_close(o);
    }
}
