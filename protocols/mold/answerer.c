/* Requests, and the packets that answer them.  MoldUDP64 1.00, "Request
 * Packet": the answer is a downstream packet like any other. */
#include <string.h>

#include "base/pack.h"
#include "mold/packet.h"

enum { CLIENTS = 256, PACKETS_MAX = 64, RATE_MAX = 100 * 1000 * 1000 };

struct sonic_mold_answerer {
    sonic_mem mem;
    const sonic_mold_store *store;
    sonic_mold_answerer_stats stats;
    size_t packet_max;
    unsigned packets;
    unsigned rate, burst, client_rate, client_burst;
    struct sonic__mold_bucket all, client[CLIENTS];
    uint8_t session[SONIC_MOLD_SESSION];
    uint8_t packet[];
};

static size_t
size_of(size_t packet_max)
{
    return sizeof(sonic_mold_answerer) + packet_max;
}

static bool
set_rate(unsigned *out, unsigned value, unsigned otherwise)
{
    *out = value != 0 ? value : otherwise;
    return value <= RATE_MAX;
}

static int
set_options(sonic_mold_answerer *a, const sonic_mold_answerer_options *o)
{
    a->packets = o->packets != 0 ? o->packets : 1;
    if (!set_rate(&a->rate, o->rate, 100000) ||
        !set_rate(&a->burst, o->burst, 10000) ||
        !set_rate(&a->client_rate, o->client_rate, 10000) ||
        !set_rate(&a->client_burst, o->client_burst, 1000) ||
        a->packets > PACKETS_MAX)
        return SONIC_EOPTION;
    return sonic_mold_answerer_session(a, o->session);
}

int
sonic_mold_answerer_new(const sonic_mold_answerer_options *opt,
                        sonic_mold_answerer **out)
{
    sonic_mold_answerer_options o;
    int err = sonic__options_copy(&o, sizeof o, opt);
    const sonic_mem *mem = sonic__mem_or_default(o.mem);
    size_t max = o.packet_max != 0 ? o.packet_max : SONIC__MOLD_PACKET_DEFAULT;
    sonic_mold_answerer *a;

    if (err < 0)
        return err;
    if (max < SONIC_MOLD_HEADER + SONIC__MOLD_BLOCK ||
        max > SONIC_MOLD_PACKET_MAX || o.session == NULL || o.store == NULL)
        return SONIC_EOPTION;
    a = sonic__mold_alloc(mem, size_of(max));
    if (a == NULL)
        return -ENOMEM;
    a->mem = *mem;
    a->store = o.store;
    a->packet_max = max;
    err = set_options(a, &o);
    if (err < 0) {
        sonic_mold_answerer_free(a);
        return err;
    }
    *out = a;
    return 0;
}

void
sonic_mold_answerer_free(sonic_mold_answerer *a)
{
    sonic_mem mem;

    if (a == NULL)
        return;
    mem = a->mem;
    mem.free(a, size_of(a->packet_max), mem.ud);
}

int
sonic_mold_answerer_session(sonic_mold_answerer *a, const char *session)
{
    return sonic_mold_session_set(a->session, session);
}

void
sonic_mold_answerer_get_stats(const sonic_mold_answerer *a,
                              sonic_mold_answerer_stats *out)
{
    *out = a->stats;
}

/* One of the client's and one of everybody's, or neither. */
static bool
may_send(sonic_mold_answerer *a, struct sonic__mold_bucket *client, int64_t now)
{
    if (now < sonic__mold_ready(&a->all, a->rate, a->burst))
        return false;
    return sonic__mold_spend(client, a->client_rate, a->client_burst, now) &&
           sonic__mold_spend(&a->all, a->rate, a->burst, now);
}

/* Messages from `sequence` on into a packet; returns how many.  *len: bytes. */
static unsigned
fill(sonic_mold_answerer *a, uint64_t sequence, unsigned most, size_t *len)
{
    size_t at = SONIC_MOLD_HEADER, n;
    unsigned count = 0;
    const void *data;

    while (count < most &&
           (data = sonic_mold_store_get(a->store, sequence + count, &n)) !=
               NULL &&
           n + SONIC__MOLD_BLOCK <= a->packet_max - at) {
        sonic__mold_put16(a->packet + at, n);
        at += SONIC__MOLD_BLOCK;
        if (n > 0)
            memcpy(a->packet + at, data, n);
        at += n;
        count++;
    }
    sonic_mold_write_header(a->packet, a->session, sequence, count);
    *len = at;
    return count;
}

static int
refuse(uint64_t *counter, int err)
{
    ++*counter;
    return err;
}

int
sonic_mold_answer(sonic_mold_answerer *a, uint64_t client, int64_t now,
                  const void *data, size_t len, sonic_mold_packet_fn *fn,
                  void *ud)
{
    struct sonic__mold_bucket *b;
    sonic_mold_packet want;
    unsigned done = 0, n;
    size_t size;

    a->stats.requests++;
    if (sonic_mold_parse_request(data, len, &want) < 0)
        return refuse(&a->stats.malformed, SONIC_EMOLD_PACKET);
    if (memcmp(want.session, a->session, SONIC_MOLD_SESSION) != 0)
        return refuse(&a->stats.foreign, SONIC_EMOLD_SESSION);
    if (fill(a, want.sequence, want.count, &size) == 0)
        return refuse(&a->stats.gone, SONIC_EMOLD_GONE);
    /* Fibonacci hashing: neighbours do not share. */
    b = &a->client[client * UINT64_C(0x9e3779b97f4a7c15) >> 56];
    for (unsigned i = 0; i < a->packets && done < want.count; i++) {
        n = fill(a, want.sequence + done, want.count - done, &size);
        if (n == 0)
            break;
        if (!may_send(a, b, now)) {
            if (i == 0)
                return refuse(&a->stats.limited, SONIC_EMOLD_RATE);
            break;
        }
        done += n;
        a->stats.packets++;
        a->stats.messages += n;
        fn(a->packet, size, ud);
    }
    return (int)done;
}
