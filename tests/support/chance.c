#include "chance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct chance
chance_open(uint64_t seed)
{
    const char *s = getenv("SONIC_SEED");

    if (s != NULL)
        seed = strtoull(s, NULL, 0);
    printf("seed %" PRIu64 " (SONIC_SEED=%" PRIu64 " has it again)\n", seed,
           seed);
    fflush(stdout); /* before the test is forked away, or fails */
    return (struct chance){seed};
}

/* splitmix64 */
uint64_t
chance_next(struct chance *c)
{
    uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

size_t
chance_below(struct chance *c, size_t n)
{
    return (size_t)(chance_next(c) % n);
}
