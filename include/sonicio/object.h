/* <sonicio/object.h> - objects of your own on an io
 *
 * For those who write protocols.  What stands on streams and timers needs
 * three things of the io itself: memory that goes with it, a turn of the loop
 * to call back from, and word of its end.  An object is a block of memory that
 * has these.  protocols/frame/conn.c is the example.
 */
#ifndef SONICIO_OBJECT_H
#define SONICIO_OBJECT_H

#include <sonicio/io.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the objects of a kind do.  Static; members may be NULL but for run. */
typedef struct sonic_object_class {
    size_t size;  /* sizeof(sonic_object_class) */
    size_t bytes; /* of each object */
    /* The turn that sonic_object_defer asked for; also after sonic_object_close
     * and after the last sonic_object_drop of a closed one.  Called by the
     * loop, as a handler: it may call back. */
    void (*run)(void *object);
    /* sonic_object_close, sonic_object_free or the io's end: let go of what is
     * not memory.  Once; it must not call back, since run follows. */
    void (*close)(void *object);
    /* Last words, before the memory goes: run will not be called again. */
    void (*destroy)(void *object);
} sonic_object_class;

#define SONIC_OBJECT_CLASS_INIT .size = sizeof(sonic_object_class)

/* sonic_object_new - an object of io, zeroed, aligned as malloc(3) aligns
 * ERRORS -ENOMEM, SONIC_ECLOSED (the io). */
SONIC_API SONIC_MUST_CHECK int
sonic_object_new(sonic_io *io, const sonic_object_class *cls, void **out);

SONIC_API sonic_io *sonic_object_io(const void *object);

/* sonic_object_defer - have run called by the loop, once however often asked */
SONIC_API void sonic_object_defer(void *object);

/* sonic_object_hold, _drop - hold: something that is under way (an operation
 * of a stream, say) will call back with the object; drop: it has. */
SONIC_API void sonic_object_hold(void *object);
SONIC_API void sonic_object_drop(void *object);
SONIC_API bool sonic_object_held(const void *object);

/* Calls cb, whose type it knows, as the callback of an operation of object
 * that came to nothing. */
typedef void sonic_refusal_fn(void *object, int err, void (*cb)(void),
                              void *ud);

/* sonic_object_refuse - refuse an operation inside the call that asked for it
 *
 * say runs now; or, when SONIC_MAX_DISPATCH callbacks are on the stack, from
 * the loop, and the object stays until then.  It must be the last thing which
 * that call does: the callback may have freed the io. */
SONIC_API void sonic_object_refuse(void *object, sonic_refusal_fn *say, int err,
                                   void (*cb)(void), void *ud);
/* The same for what is no such object; the caller sees that it stays. */
SONIC_API void sonic_io_refuse(sonic_io *io, sonic_refusal_fn *say,
                               void *object, int err, void (*cb)(void),
                               void *ud);

/* sonic_object_close - idempotent.  An io that is closed closes its objects. */
SONIC_API void sonic_object_close(void *object);
SONIC_API bool sonic_object_closed(const void *object);

/* sonic_object_free - close, and give the memory back once nothing holds it.
 * An io that is freed frees its objects. */
SONIC_API void sonic_object_free(void *object);

#ifdef __cplusplus
}
#endif
#endif
