#include <sonicio/thread.h>

#include <sched.h>
#include <string.h>

enum { CPUS = 8192 }; /* what Linux can be built for */

/* A cpu_set_t of that many, which is a plain array of bits. */
struct cpus {
    unsigned long bits[CPUS / (8 * sizeof(unsigned long))];
};

enum { WORD = 8 * sizeof(unsigned long) };

int
sonic_pin_thread(const sonic_sys *sys, const unsigned *cpus, size_t n)
{
    struct cpus set;

    if (sys == NULL)
        sys = sonic_sys_kernel();
    if (n == 0)
        return SONIC_EOPTION;
    memset(&set, 0, sizeof set);
    for (size_t i = 0; i < n; i++) {
        if (cpus[i] >= CPUS)
            return SONIC_EOPTION;
        set.bits[cpus[i] / WORD] |= 1ul << cpus[i] % WORD;
    }
    return sys->sched_setaffinity(sizeof set, &set, sys->ud);
}

int
sonic_thread_cpus(const sonic_sys *sys, unsigned *cpus, size_t cap)
{
    struct cpus set;
    size_t n = 0;
    int err;

    if (sys == NULL)
        sys = sonic_sys_kernel();
    memset(&set, 0, sizeof set);
    err = sys->sched_getaffinity(sizeof set, &set, sys->ud);
    if (err < 0)
        return err;
    for (unsigned i = 0; i < CPUS; i++)
        if (set.bits[i / WORD] >> i % WORD & 1) {
            if (n < cap)
                cpus[n] = i;
            n++;
        }
    return (int)n;
}
