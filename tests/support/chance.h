/* chance.h - random numbers that can be had again
 *
 *     struct chance c = chance_open(seed);   prints the seed; $SONIC_SEED, when
 *                                            it is set, is used instead
 *     chance_below(&c, n)                    0 .. n - 1
 *     must(cond)                             ck_assert, cheap: that one tells
 *                                            its parent each time it is reached
 */
#ifndef SONICIO_TESTS_CHANCE_H
#define SONICIO_TESTS_CHANCE_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#define must(cond)                                                             \
    do {                                                                       \
        if (!(cond))                                                           \
            ck_abort_msg("not so: %s", #cond);                                 \
    } while (0)

struct chance {
    uint64_t state;
};

struct chance chance_open(uint64_t seed);
uint64_t chance_next(struct chance *c);
size_t chance_below(struct chance *c, size_t n);

#endif
