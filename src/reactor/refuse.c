/* Refusals: operations that end inside the call that began them.  The callback
 * may begin the next, which is refused too: at SONIC_MAX_DISPATCH of them on
 * one stack the loop takes over. */
#include "reactor/reactor.h"

/* Those that are there now: their callbacks may bring more. */
static void
refuser_run(struct sonic__object *o)
{
    sonic_io *io = o->io;

    for (unsigned n = io->refusals_n; n > 0 && sonic__may_complete(io); n--) {
        struct sonic__refusal *r = io->refusals, told = *r;

        io->refusals = r->next;
        if (io->refusals == NULL)
            io->refusals_tail = &io->refusals;
        io->refusals_n--;
        r->next = io->spare_refusals;
        io->spare_refusals = r;
        sonic__complete_begin(io);
        told.say(told.object, told.err, told.cb, told.ud);
        sonic__complete_end(io);
        if (told.last && told.owner->next == NULL)
            sonic__object_bury(told.owner);
    }
    if (io->refusals != NULL)
        sonic__defer(o);
}

/* It has no slot: it is never closed, and nobody waits for it. */
void
sonic__refuser_init(sonic_io *io)
{
    static const struct sonic__class refuser_class = {
        .name = "refuser",
        .run = refuser_run,
    };

    io->refuser.io = io;
    io->refuser.cls = &refuser_class;
    io->refuser.fd = -1;
    io->refusals_tail = &io->refusals;
    io->spare_refusals = &io->one_refusal;
}

void
sonic__refuser_free(sonic_io *io)
{
    struct sonic__refusal *r;

    while ((r = io->spare_refusals) != NULL) {
        io->spare_refusals = r->next;
        if (r != &io->one_refusal)
            sonic__free(io, r, sizeof *r);
    }
}

static bool
put_off(sonic_io *io, const struct sonic__refusal *told)
{
    struct sonic__refusal *r = io->spare_refusals;

    if (r != NULL)
        io->spare_refusals = r->next;
    else if ((r = sonic__alloc(io, sizeof *r)) == NULL)
        return false;
    *r = *told;
    r->next = NULL;
    *io->refusals_tail = r;
    io->refusals_tail = &r->next;
    io->refusals_n++;
    sonic__defer(&io->refuser);
    return true;
}

/* One refusal at a time can always be put off; where memory is short, more of
 * them nest. */
void
sonic__end_in_call(sonic_io *io, const struct sonic__refusal *r)
{
    if (io->dispatched >= SONIC_MAX_DISPATCH && put_off(io, r))
        return;
    sonic__complete_begin(io);
    r->say(r->object, r->err, r->cb, r->ud);
    sonic__complete_end(io);
    if (io->running || io->dispatched > 0 || !io->closed)
        return;
    if (io->freed)
        sonic__io_destroy(io);
    else
        sonic__io_drain(io);
}

void
sonic__refuse(struct sonic__object *o, sonic_refusal_fn *say, int err,
              void (*cb)(void), void *ud)
{
    sonic__op_begin(o->io);
    sonic__end_in_call(o->io, &(struct sonic__refusal){.owner = o,
                                                       .say = say,
                                                       .object = o,
                                                       .err = err,
                                                       .cb = cb,
                                                       .ud = ud});
}

void
sonic_io_refuse(sonic_io *io, sonic_refusal_fn *say, void *object, int err,
                void (*cb)(void), void *ud)
{
    sonic__op_begin(io);
    sonic__end_in_call(
        io, &(struct sonic__refusal){
                .say = say, .object = object, .err = err, .cb = cb, .ud = ud});
}

/* Is a refusal of this object still to be told?  It stays until then, and goes
 * with the last one. */
void
sonic__object_bury(struct sonic__object *o)
{
    struct sonic__refusal *last = NULL;

    for (struct sonic__refusal *r = o->io->refusals; r != NULL; r = r->next) {
        if (r->owner == o)
            last = r;
    }
    if (last != NULL)
        last->last = true;
    else
        sonic__object_destroy(o);
}
