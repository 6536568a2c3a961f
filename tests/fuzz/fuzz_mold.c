/* Packets of any kind on any feed, time, snapshots.  What is delivered comes
 * once and in order, what is missing is told, and no byte beyond a packet is
 * read.
 *
 * The input is a series of steps: a byte that says which, one that says how
 * many bytes belong to it, and these. */
#include <stdlib.h>
#include <string.h>

#include <sonicio/mold.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct watch {
    uint64_t next; /* to be delivered, or told lost */
    bool begun, snapshot;
};

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
on_session(sonic_mold_receiver *r, const char *session, uint64_t first,
           void *ud)
{
    struct watch *w = ud;

    must(strcmp(session, sonic_mold_receiver_session(r)) == 0);
    w->next = first;
    w->begun = true;
}

static void
on_message(sonic_mold_receiver *r, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    struct watch *w = ud;
    volatile uint8_t sum = 0;

    must(w->begun && sequence == w->next);
    must(sonic_mold_receiver_state(r) != SONIC_MOLD_IDLE);
    w->next++;
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + data[i]);
}

static void
on_lost(sonic_mold_receiver *r, uint64_t first, uint64_t last, void *ud)
{
    struct watch *w = ud;

    (void)r;
    must(first == w->next && last >= first);
    w->next = last + 1;
}

static void
on_filled(sonic_mold_receiver *r, const sonic_mold_gap *g, void *ud)
{
    (void)r;
    (void)ud;
    must(g->missing == 0 && g->first <= g->last && g->took >= 0);
}

static void
on_request(sonic_mold_receiver *r, unsigned server, const void *data,
           size_t len, void *ud)
{
    sonic_mold_packet p;

    (void)ud;
    must(server < 2 && sonic_mold_parse_request(data, len, &p) == 0);
    must(p.sequence >= sonic_mold_receiver_next(r));
    must(p.sequence + p.count <= sonic_mold_receiver_newest(r));
}

static void
on_snapshot(sonic_mold_receiver *r, uint64_t next, uint64_t newest, void *ud)
{
    (void)r;
    must(next == ((struct watch *)ud)->next && newest > next);
}

static void
on_end(sonic_mold_receiver *r, uint64_t next, void *ud)
{
    (void)r;
    must(next == ((struct watch *)ud)->next);
}

#define MOST                                                                   \
    SONIC_MOLD_HANDLER_INIT, .on_session = on_session,                         \
                             .on_message = on_message, .on_lost = on_lost,     \
                             .on_filled = on_filled, .on_request = on_request, \
                             .on_end = on_end

/* A packet: as it is; or with a header that is likely. */
static void
packet(sonic_mold_receiver *r, unsigned how, int64_t now, const uint8_t *p,
       size_t n)
{
    unsigned feed = how & 8 ? SONIC_MOLD_REPLY : how & 1;
    size_t len = how & 2 ? n : n > 2 ? n + 18 : SONIC_MOLD_HEADER;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    size_t at = 0;

    if (!(how & 2)) {
        static const uint8_t name[] = "SESSION   ";
        uint64_t sequence = n > 0 ? p[0] : 0;

        at = SONIC_MOLD_HEADER;
        memcpy(copy, name, 10);
        memset(copy + 10, 0, 10);
        copy[9] = how & 4 ? 'x' : ' ';
        copy[17] = (uint8_t)sequence;
        if (n > 1)
            copy[19] = p[1];
        if (n > 1 && p[1] == 0xff)
            copy[18] = 0xff;
        if (n > 2)
            memcpy(copy + at, p + 2, n - 2);
        if (n == 0)
            copy[19] = 0;
    } else if (n > 0) {
        memcpy(copy, p, n);
    }
    (void)sonic_mold_receive(r, feed, now, copy, len);
    free(copy);
}

static void
play(const sonic_mold_handler *h, const uint8_t *data, size_t size)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;
    struct watch w = {0, false, false};
    sonic_mold_receiver *r;
    int64_t now = 1;

    o.servers = 2;
    o.window = 64;
    o.hold_bytes = 1 << 17;
    o.gaps_max = 4;
    must(sonic_mold_receiver_new(&o, h, &w, &r) == 0);
    while (size >= 2) {
        unsigned how = data[0];
        size_t n = data[1] < size - 2 ? data[1] : size - 2;

        data += 2;
        if ((how & 0xf0) == 0x10) {
            now += (int64_t)n * 1000000;
            sonic_mold_receiver_tick(r, now);
        } else if ((how & 0xf0) == 0x20 && n > 0) {
            if (sonic_mold_receiver_state(r) == SONIC_MOLD_SNAPSHOT &&
                data[0] >= w.next)
                w.next = data[0];
            (void)!sonic_mold_receiver_resume(r, data[0], now);
        } else {
            packet(r, how & 15, now, data, n);
        }
        must(!w.begun || w.next == sonic_mold_receiver_next(r));
        must(sonic_mold_receiver_held(r) <= 64);
        data += n;
        size -= n + 2;
    }
    sonic_mold_receiver_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sonic_mold_handler plain = {MOST};
    static const sonic_mold_handler careful = {MOST,
                                               .on_snapshot = on_snapshot};
    sonic_mold_packet p;

    (void)!sonic_mold_parse_request(data, size, &p);
    play(&plain, data, size);
    play(&careful, data, size);
    return 0;
}
