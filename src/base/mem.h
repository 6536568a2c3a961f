/* mem.h - the default memory hooks */
#ifndef SONICIO_SRC_MEM_H
#define SONICIO_SRC_MEM_H

#include <sonicio/mem.h>

/* mem, or malloc(3) and free(3) where it is NULL. */
const sonic_mem *sonic__mem_or_default(const sonic_mem *mem);

#endif
