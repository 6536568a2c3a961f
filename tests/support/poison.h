/* poison.h - what an io keeps for later, overwritten: whatever of it should
 * reach a wire is seen there */
#ifndef SONICIO_TESTS_POISON_H
#define SONICIO_TESTS_POISON_H

#include <sonicio/io.h>

enum { POISON = 0xa5 }; /* as hook.c fills new memory with */

/* Fill the spare buffers and blocks of an io, all of each. */
void poison_spares(sonic_io *io);

#endif
