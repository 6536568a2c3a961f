#include <assert.h>
#include <string.h>

#include "mold/packet.h"

#define SECOND (INT64_C(1000) * 1000 * 1000)

struct sonic_mold_packer {
    sonic_mem mem;
    sonic_mold_packet_fn *fn;
    void *ud;
    sonic_mold_store *store;
    const sonic_fsm_tracer *tracer;
    uint64_t next; /* number of the next message */
    int64_t sent;  /* when the last packet went out */
    int64_t heartbeat;
    size_t packet_max, len; /* bytes of the packet being made */
    unsigned count;         /* messages in it */
    unsigned repeats;       /* of the end, still to be said */
    uint8_t state;          /* machine: packer.def */
    uint8_t session[SONIC_MOLD_SESSION];
    uint8_t packet[];
};

struct arg {
    const void *data;
    size_t len;
    int64_t now;
};

typedef int fsm_act(sonic_mold_packer *p, const struct arg *a);
static fsm_act act_add, act_send, act_send_end, act_end, act_beat, act_refuse,
    act_nothing, act_impossible;

#define FSM_NAME "mold-publish"
#define FSM_DEF "mold/packer.def"
#define FSM_INFO sonic__mold_packer_fsm
#include <sonicio/fsm_build.h>

#include "base/pack.h"

static int
step(sonic_mold_packer *p, enum fsm_event e, const struct arg *a)
{
    return fsm_step(&p->state, e, p->tracer)->act(p, a);
}

static size_t
size_of(size_t packet_max)
{
    return sizeof(sonic_mold_packer) + packet_max;
}

int
sonic_mold_packer_new(const sonic_mold_packer_options *opt,
                      sonic_mold_packet_fn *fn, void *ud,
                      sonic_mold_packer **out)
{
    sonic_mold_packer_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    size_t max = o.packet_max != 0 ? o.packet_max : SONIC__MOLD_PACKET_DEFAULT;
    sonic_mold_packer *p;

    if (err < 0)
        return err;
    if (max < SONIC_MOLD_HEADER + SONIC__MOLD_BLOCK ||
        max > SONIC_MOLD_PACKET_MAX || o.heartbeat < 0 ||
        o.heartbeat > INT64_MAX / 4 || o.session == NULL ||
        o.first == UINT64_MAX)
        return SONIC_EOPTION;
    p = sonic__mold_alloc(mem, size_of(max));
    if (p == NULL)
        return -ENOMEM;
    p->mem = *mem;
    p->fn = fn;
    p->ud = ud;
    p->store = o.store;
    p->next = o.first != 0 ? o.first : 1;
    p->heartbeat = o.heartbeat != 0 ? o.heartbeat : SECOND;
    p->repeats = o.end_repeats != 0 ? o.end_repeats : 30;
    p->packet_max = max;
    p->len = SONIC_MOLD_HEADER;
    p->sent = INT64_MIN; /* the first heartbeat says that we are here */
    if (sonic_mold_session_set(p->session, o.session) < 0) {
        sonic_mold_packer_free(p);
        return SONIC_EOPTION;
    }
    *out = p;
    return 0;
}

void
sonic_mold_packer_free(sonic_mold_packer *p)
{
    sonic_mem mem;

    if (p == NULL)
        return;
    mem = p->mem;
    mem.free(p, size_of(p->packet_max), mem.ud);
}

/* ---- what may happen --------------------------------------------------- */

int
sonic_mold_pack(sonic_mold_packer *p, const void *data, size_t len, int64_t now)
{
    const struct arg a = {data, len, now};

    if (len > p->packet_max - SONIC_MOLD_HEADER - SONIC__MOLD_BLOCK)
        return SONIC_ETOOBIG;
    if (p->count > 0 && (len + SONIC__MOLD_BLOCK > p->packet_max - p->len ||
                         p->count == SONIC_MOLD_COUNT_MAX))
        (void)step(p, E_FULL, &a);
    return step(p, E_MESSAGE, &a);
}

void
sonic_mold_packer_flush(sonic_mold_packer *p, int64_t now)
{
    (void)step(p, E_FLUSH, &(const struct arg){.now = now});
}

void
sonic_mold_packer_end(sonic_mold_packer *p, int64_t now)
{
    (void)step(p, E_END, &(const struct arg){.now = now});
}

int64_t
sonic_mold_packer_deadline(const sonic_mold_packer *p)
{
    if (p->state == S_DONE)
        return INT64_MAX;
    return p->sent == INT64_MIN ? INT64_MIN : p->sent + p->heartbeat;
}

void
sonic_mold_packer_tick(sonic_mold_packer *p, int64_t now)
{
    if (now < sonic_mold_packer_deadline(p))
        return;
    (void)step(p, p->state == S_ENDING && p->repeats == 1 ? E_LAST : E_BEAT,
               &(const struct arg){.now = now});
}

uint64_t
sonic_mold_packer_next(const sonic_mold_packer *p)
{
    return p->next;
}

void
sonic_mold_packer_set_trace(sonic_mold_packer *p,
                            const sonic_fsm_tracer *tracer)
{
    p->tracer = tracer;
}

/* ---- actions ----------------------------------------------------------- */

static int
act_add(sonic_mold_packer *p, const struct arg *a)
{
    int err = 0;

    if (p->next >= UINT64_MAX - 1)
        return SONIC_ESTATE; /* the number behind it must exist */
    if (p->store != NULL)
        err = sonic_mold_store_put(p->store, p->next, a->data, a->len);
    if (err < 0)
        return err;
    sonic__mold_put16(p->packet + p->len, a->len);
    p->len += SONIC__MOLD_BLOCK;
    if (a->len > 0)
        memcpy(p->packet + p->len, a->data, a->len);
    p->len += a->len;
    p->count++;
    p->next++;
    return 0;
}

/* The messages before `next` are in it. */
static void
send(sonic_mold_packer *p, unsigned count, const struct arg *a)
{
    size_t len = p->len;

    sonic_mold_write_header(p->packet, p->session, p->next - p->count, count);
    p->sent = a->now;
    p->len = SONIC_MOLD_HEADER;
    p->count = 0;
    p->fn(p->packet, len, p->ud);
}

static int
act_send(sonic_mold_packer *p, const struct arg *a)
{
    if (p->count > 0) /* numbers may be used up */
        send(p, p->count, a);
    return 0;
}

static int
act_beat(sonic_mold_packer *p, const struct arg *a)
{
    send(p, 0, a);
    return 0;
}

static int
act_end(sonic_mold_packer *p, const struct arg *a)
{
    p->repeats--;
    send(p, SONIC_MOLD_END, a);
    return 0;
}

static int
act_send_end(sonic_mold_packer *p, const struct arg *a)
{
    (void)act_send(p, a);
    return act_end(p, a);
}

static int
act_refuse(sonic_mold_packer *p, const struct arg *a)
{
    (void)p;
    (void)a;
    return SONIC_ESTATE;
}

static int
act_nothing(sonic_mold_packer *p, const struct arg *a)
{
    (void)p;
    (void)a;
    return 0;
}

static int
act_impossible(sonic_mold_packer *p, const struct arg *a)
{
    (void)p;
    (void)a;
    assert(false && "a cell that cannot be reached");
    return SONIC_ESTATE;
}
