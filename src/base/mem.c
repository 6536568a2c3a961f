#include "base/mem.h"

#include <stdlib.h>

static void *
std_alloc(size_t bytes, void *ud)
{
    (void)ud;
    return malloc(bytes);
}

static void
std_free(void *ptr, size_t bytes, void *ud)
{
    (void)bytes;
    (void)ud;
    free(ptr);
}

const sonic_mem *
sonic__mem_or_default(const sonic_mem *mem)
{
    static const sonic_mem standard = {std_alloc, std_free, NULL};

    return mem != NULL ? mem : &standard;
}
