/* A receiver: made, looked at, freed. */
#include <string.h>

#include "base/pack.h"
#include "mold/receiver.h"

#define MS (INT64_C(1000) * 1000)

enum {
    WINDOW_DEFAULT = 65536,
    WINDOW_MAX = 1 << 24,
    HOLD_DEFAULT = 16 << 20,
    HOLD_MIN = 1 << 17, /* a message always fits */
    GAPS_DEFAULT = 1024,
    GAPS_MAX = 1 << 20,
    RATE_MAX = 100 * 1000 * 1000
};

static void
set_default(unsigned *value, unsigned otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static void
set_size(size_t *value, size_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static bool
set_time(int64_t *value, int64_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
    return *value > 0 && *value <= INT64_MAX / 4;
}

static int
set_options(sonic_mold_receiver *r)
{
    sonic_mold_receiver_options *o = &r->opt;

    if (o->first == 0)
        o->first = 1;
    set_default(&o->request_tries, 3 * (o->servers > 0 ? o->servers : 1));
    set_default(&o->request_max, 1024);
    set_default(&o->request_rate, 1000);
    set_default(&o->request_burst, 100);
    set_default(&o->gaps_max, GAPS_DEFAULT);
    set_size(&o->window, WINDOW_DEFAULT);
    set_size(&o->hold_bytes, HOLD_DEFAULT);
    if (!set_time(&o->request_delay, 2 * MS) ||
        !set_time(&o->request_timeout, 100 * MS) ||
        o->servers > SONIC_MOLD_SERVERS_MAX ||
        o->request_max > SONIC_MOLD_COUNT_MAX || o->request_rate > RATE_MAX ||
        o->request_burst > RATE_MAX || o->gaps_max > GAPS_MAX ||
        o->window > WINDOW_MAX || o->hold_bytes < HOLD_MIN ||
        o->hold_bytes > UINT32_MAX || o->first == UINT64_MAX)
        return SONIC_EOPTION;
    r->has_wanted = o->session != NULL;
    return r->has_wanted ? sonic_mold_session_set(r->wanted, o->session) : 0;
}

static size_t
power_of_two(size_t n)
{
    size_t p = 1;

    while (p < n)
        p <<= 1;
    return p;
}

static int
make_stores(sonic_mold_receiver *r)
{
    sonic_sequencer_options seq = SONIC_SEQUENCER_OPTIONS_INIT;
    sonic_bip_options bip = SONIC_BIP_OPTIONS_INIT;
    size_t gaps = power_of_two(r->opt.gaps_max);
    int err;

    r->gaps_mask = gaps - 1;
    r->gaps = sonic__mold_alloc(&r->mem, gaps * sizeof *r->gaps);
    if (r->gaps == NULL)
        return -ENOMEM;
    seq.mem = bip.mem = &r->mem;
    seq.span = r->opt.window;
    seq.max_bytes = r->opt.hold_bytes;
    err = sonic_sequencer_new(&seq, &r->held);
    if (err == 0)
        err = sonic_bip_new(r->opt.hold_bytes / 8 * 8, &bip, &r->bytes);
    return err;
}

int
sonic_mold_receiver_new(const sonic_mold_receiver_options *opt,
                        const sonic_mold_handler *handler, void *ud,
                        sonic_mold_receiver **out)
{
    static const sonic_mold_handler nothing = {SONIC_MOLD_HANDLER_INIT};
    sonic_mold_receiver_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    sonic_mold_receiver *r;

    if (err == 0 && handler != NULL)
        err = sonic__options_fit(handler, sizeof *handler);
    if (err < 0)
        return err;
    r = sonic__mold_alloc(mem, sizeof *r);
    if (r == NULL)
        return -ENOMEM;
    r->mem = *mem;
    r->opt = o;
    r->handler = handler != NULL ? handler : &nothing;
    r->ud = r->request_ud = ud;
    r->soonest = INT64_MAX;
    err = set_options(r);
    if (err == 0)
        err = make_stores(r);
    if (err < 0) {
        sonic_mold_receiver_free(r);
        return err;
    }
    *out = r;
    return 0;
}

void
sonic_mold_receiver_free(sonic_mold_receiver *r)
{
    sonic_mem mem;

    if (r == NULL)
        return;
    if (r->busy > 0) { /* from a callback: when that has returned */
        r->dead = true;
        return;
    }
    mem = r->mem;
    sonic_sequencer_free(r->held);
    sonic_bip_free(r->bytes);
    sonic__mold_release(&mem, r->gaps, (r->gaps_mask + 1) * sizeof *r->gaps);
    mem.free(r, sizeof *r, mem.ud);
}

enum sonic_mold_state
sonic_mold_receiver_state(const sonic_mold_receiver *r)
{
    return (enum sonic_mold_state)r->state;
}

uint64_t
sonic_mold_receiver_next(const sonic_mold_receiver *r)
{
    return r->next;
}

uint64_t
sonic_mold_receiver_newest(const sonic_mold_receiver *r)
{
    return r->high;
}

const char *
sonic_mold_receiver_session(const sonic_mold_receiver *r)
{
    return r->name;
}

size_t
sonic_mold_receiver_held(const sonic_mold_receiver *r)
{
    return sonic_sequencer_items(r->held);
}

void
sonic_mold_receiver_set_trace(sonic_mold_receiver *r,
                              const sonic_fsm_tracer *tracer)
{
    r->tracer = tracer;
}

void
sonic_mold_receiver_get_stats(const sonic_mold_receiver *r,
                              sonic_mold_receiver_stats *out)
{
    *out = r->stats;
}
