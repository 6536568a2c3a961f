/* <sonicio/mem.h> - memory hooks, one set per sonic_io */
#ifndef SONICIO_MEM_H
#define SONICIO_MEM_H

#include <sonicio/api.h>

/* Where an io and all that belongs to it take memory from.  The hooks run on
 * the io's thread, with two exceptions for which they must be safe to use from
 * several threads: sonic_io_post may call alloc on any thread, and a name
 * look-up, or a file's job, that outlives its io calls free on the library's
 * own.
 * Memory comes back through free with the size it was asked for with. */
typedef struct sonic_mem {
    /* NULL when there is none; aligned as malloc(3) aligns. */
    void *(*alloc)(size_t bytes, void *ud);
    void (*free)(void *ptr, size_t bytes, void *ud);
    void *ud;
} sonic_mem;

#endif
