#include <sonicio/clock.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#define WAIT_DEFAULT INT64_C(10000000)
#define WAIT_MOST INT64_C(10000000000)

int64_t
sonic_clock_monotonic(const sonic_sys *sys)
{
    if (sys == NULL)
        sys = sonic_sys_kernel();
    return sys->clock(sys->ud);
}

int64_t
sonic_clock_realtime(const sonic_sys *sys)
{
    if (sys == NULL)
        sys = sonic_sys_kernel();
    return sys->realtime(sys->ud);
}

/* ---- the processor's counter ------------------------------------------ */

#if defined(__x86_64__) || defined(__i386__)
/* Intel SDM volume 3, 18.17.1: CPUID 80000007H, EDX bit 8. */
static bool
has_counter(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d >> 8 & 1) != 0;
}

static inline uint64_t
ticks(void)
{
    return __rdtsc();
}
#elif defined(__aarch64__)
static bool
has_counter(void)
{
    return true;
}

static inline uint64_t
ticks(void)
{
    uint64_t t;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
}
#else
static bool
has_counter(void)
{
    return false;
}

static inline uint64_t
ticks(void)
{
    return 0;
}
#endif

struct pair {
    uint64_t ticks;
    int64_t ns;
};

/* Both clocks at one time: of some tries the one that took least. */
static struct pair
read_both(const sonic_sys *sys)
{
    struct pair best = {0, 0};
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < 16; i++) {
        uint64_t before = ticks(), after;
        int64_t ns = sys->clock(sys->ud);

        after = ticks();
        if (after - before < least) {
            least = after - before;
            best = (struct pair){before + least / 2, ns};
        }
    }
    return best;
}

/* The rate, in a 32-bit factor: a counter of more than 2^32 Hz has none. */
static int
set_rate(sonic_tsc *t, const struct pair *now)
{
    uint64_t passed = now->ticks - t->first_ticks;
    double ns = (double)(now->ns - t->first_ns), rate;

    if (passed == 0 || ns <= 0)
        return SONIC_EOPTION;
    rate = ns / (double)passed;
    t->shift = 32;
    while (t->shift > 0 && rate * (double)(UINT64_C(1) << t->shift) > 4e9)
        t->shift--;
    rate *= (double)(UINT64_C(1) << t->shift);
    if (rate < 1 || rate > 4e9)
        return SONIC_EOPTION;
    t->mult = (uint32_t)(rate + 0.5);
    return 0;
}

int
sonic_tsc_open(sonic_tsc *tsc, const sonic_sys *sys, int64_t wait)
{
    struct pair now;

    if (sys == NULL)
        sys = sonic_sys_kernel();
    if (wait < 0 || wait > WAIT_MOST || !has_counter() || sys->single_threaded)
        return SONIC_EOPTION;
    if (wait == 0)
        wait = WAIT_DEFAULT;
    now = read_both(sys);
    *tsc =
        (sonic_tsc){.first_ticks = now.ticks, .first_ns = now.ns, .sys = sys};
    while (now.ns - tsc->first_ns < wait)
        now = read_both(sys);
    tsc->base_ticks = now.ticks;
    tsc->base_ns = now.ns;
    return set_rate(tsc, &now);
}

/* n * mult / 2^shift without more than 64 bits, exact to 1 ns. */
static uint64_t
scale(uint64_t n, uint32_t mult, uint32_t shift)
{
    uint64_t high = (n >> 32) * mult, low = (n & UINT32_MAX) * mult;

    return (high << (32 - shift)) + (low >> shift);
}

static int64_t
time_at(const sonic_tsc *t, uint64_t at)
{
    if (at < t->base_ticks) /* a core whose counter is a little behind */
        return t->base_ns -
               (int64_t)scale(t->base_ticks - at, t->mult, t->shift);
    return t->base_ns + (int64_t)scale(at - t->base_ticks, t->mult, t->shift);
}

int64_t
sonic_tsc_now(const sonic_tsc *tsc)
{
    return time_at(tsc, ticks());
}

int64_t
sonic_tsc_sync(sonic_tsc *tsc)
{
    struct pair now = read_both(tsc->sys);
    int64_t wrong = time_at(tsc, now.ticks) - now.ns;

    if (set_rate(tsc, &now) == 0) {
        tsc->base_ticks = now.ticks;
        tsc->base_ns = now.ns;
    }
    return wrong;
}
