/* counting.h - how often an io asks the system, and the memory, for something
 */
#ifndef SONICIO_TOOLS_COUNTING_H
#define SONICIO_TOOLS_COUNTING_H

#include <sonicio/io.h>

/* Set up with counting_init; lives as long as the io.  The clock is not
 * counted: on Linux it is read without a system call (vdso(7)).  Name look-ups
 * are not, either: they are many. */
struct counting {
    sonic_sys sys;
    sonic_mem mem;
    uint64_t calls;  /* system calls */
    uint64_t allocs; /* blocks of memory asked for */
};

void counting_init(struct counting *c);

#endif
