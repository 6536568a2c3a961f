/* sequencing - a numbered feed that comes out of order, put in order four ways
 *
 *     sequencing [PACKETS]
 *
 * The sender takes up to fifty numbers at a time, sends them in any order, and
 * one in eight twice.  A packet is a number, a length, and so many letters, 256
 * bytes at most.  The receiver uses each once, in order, and keeps what is
 * early copy       in memory of malloc(3), one block each pool       in blocks
 * of one size that it keeps sequencer  where it was received, in a byte buffer,
 * as saved slots bip        where it was received, in a bip buffer, with what
 * is used up marked in place The first two copy, the last two do not; the
 * sequencer finds what is next in all of them.  For each: how long the
 * processing of a packet takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { HEAD = 8, PACKET = 256, JUMP = 50, WINDOW = 16, BLOCKS = 4 * JUMP };
enum { BUFFER = 1 << 20 }; /* bytes */

static void
put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t
get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

/* ---- sender ------------------------------------------------------------- */

struct sender {
    sonic_udp *udp;
    uint32_t last;        /* number that was handed out */
    uint32_t order[JUMP]; /* numbers to be sent, the last one first */
    unsigned n;
    uint32_t random;
};

static uint32_t
next_random(struct sender *s)
{
    s->random = s->random * 1664525 + 1013904223;
    return s->random >> 16;
}

static void
shuffle(struct sender *s)
{
    s->n = 1 + next_random(s) % JUMP;
    for (unsigned i = 0; i < s->n; i++) {
        unsigned k = next_random(s) % (i + 1);

        s->order[i] = s->order[k];
        s->order[k] = ++s->last;
    }
}

/* One packet, or twice the same: how many, or an error. */
static int
send_one(struct sender *s)
{
    uint8_t packet[PACKET];
    uint32_t n = next_random(s) % (PACKET - HEAD + 1);
    int times = next_random(s) % 8 == 0 ? 2 : 1, err = 0;

    if (s->n == 0)
        shuffle(s);
    put32(packet, s->order[--s->n]);
    put32(packet + 4, n);
    for (uint32_t i = 0; i < n; i++)
        packet[HEAD + i] = (uint8_t)('a' + i % 26);
    for (int i = 0; i < times && err == 0; i++)
        err = sonic_udp_write(s->udp, NULL, packet, HEAD + n);
    return err < 0 ? err : times;
}

/* ---- receiver ----------------------------------------------------------- */

struct receiver;

struct strategy {
    const char *name;
    uint8_t *(*room)(struct receiver *r); /* for a packet of PACKET bytes */
    void (*came)(struct receiver *r, size_t len); /* it has len bytes */
    void (*keep)(struct receiver *r, uint8_t *packet, size_t len);
    void (*drop)(struct receiver *r, uint8_t *packet); /* used, or old */
    void (*kept)(struct receiver *r, const sonic_sequenced *s); /* used */
};

struct receiver {
    const struct strategy *how;
    sonic_udp *udp;
    sonic_sequencer *early;
    sonic_histogram *times;
    uint32_t used, wanted; /* the last number that was used; the last of all */
    uint64_t came, old;
    size_t most; /* kept at a time */
    int err;

    uint8_t one[PACKET];             /* copy and pool receive into this */
    uint8_t blocks[BLOCKS][PACKET];  /* pool */
    unsigned spare[BLOCKS], n_spare; /* its free blocks */
    sonic_bytes *bytes;              /* sequencer */
    sonic_bip *bip;                  /* bip */
};

static void
hold(struct receiver *r, uint8_t *data, size_t len, uint64_t tag, uint32_t seq)
{
    sonic_sequenced item = {seq, data, len, tag};

    r->err = sonic_sequencer_push(r->early, &item);
    if (sonic_sequencer_items(r->early) > r->most)
        r->most = sonic_sequencer_items(r->early);
}

/* -- copy and pool -- */

static uint8_t *
room_in_one(struct receiver *r)
{
    return r->one;
}

static void
nothing_came(struct receiver *r, size_t len)
{
    (void)r;
    (void)len;
}

static void
keep_copy(struct receiver *r, uint8_t *packet, size_t len)
{
    uint8_t *copy = malloc(len);

    if (copy == NULL) {
        r->err = -ENOMEM;
        return;
    }
    memcpy(copy, packet, len);
    hold(r, copy, len, 0, get32(packet));
}

static void
drop_nothing(struct receiver *r, uint8_t *packet)
{
    (void)r;
    (void)packet;
}

static void
free_copy(struct receiver *r, const sonic_sequenced *s)
{
    (void)r;
    free(s->data);
}

static void
keep_in_pool(struct receiver *r, uint8_t *packet, size_t len)
{
    unsigned i;

    if (r->n_spare == 0) {
        r->err = -ENOBUFS;
        return;
    }
    i = r->spare[--r->n_spare];
    memcpy(r->blocks[i], packet, len);
    hold(r, r->blocks[i], len, i, get32(packet));
}

static void
back_to_pool(struct receiver *r, const sonic_sequenced *s)
{
    r->spare[r->n_spare++] = (unsigned)s->tag;
}

/* -- sequencer: the packet is the read area; to keep it, save it -- */

static uint8_t *
room_in_bytes(struct receiver *r)
{
    return sonic_bytes_claim_fixed(r->bytes, PACKET);
}

static void
commit_bytes(struct receiver *r, size_t len)
{
    sonic_bytes_shrink_to(r->bytes, len);
    sonic_bytes_commit(r->bytes, len);
}

static void
save_slot(struct receiver *r, uint8_t *packet, size_t len)
{
    sonic_slot slot;

    r->err = sonic_bytes_save(r->bytes, len, &slot);
    if (r->err == 0)
        hold(r, packet, len, slot.id, get32(packet));
}

static void
consume_bytes(struct receiver *r, uint8_t *packet)
{
    (void)packet;
    sonic_bytes_consume(r->bytes, SIZE_MAX);
}

static void
discard_slot(struct receiver *r, const sonic_sequenced *s)
{
    sonic_bytes_discard(r->bytes, (sonic_slot){s->tag, s->len});
}

/* -- bip: the packet stays; a used one has number 0, and goes when all before
 *    it have gone -- */

static uint8_t *
room_in_bip(struct receiver *r)
{
    size_t got;
    uint8_t *p = sonic_bip_claim(r->bip, PACKET, &got);

    return got == PACKET ? p : NULL;
}

static void
commit_bip(struct receiver *r, size_t len)
{
    size_t n;

    sonic_bip_commit(r->bip, len, &n);
}

static void
keep_in_place(struct receiver *r, uint8_t *packet, size_t len)
{
    hold(r, packet, len, 0, get32(packet));
}

static void
mark(struct receiver *r, uint8_t *packet)
{
    size_t len;
    const uint8_t *p;

    put32(packet, 0);
    while ((p = sonic_bip_head(r->bip, &len)) != NULL && get32(p) == 0)
        sonic_bip_consume(r->bip, HEAD + get32(p + 4));
}

static void
mark_kept(struct receiver *r, const sonic_sequenced *s)
{
    mark(r, s->data);
}

static const struct strategy strategies[] = {
    {"copy", room_in_one, nothing_came, keep_copy, drop_nothing, free_copy},
    {"pool", room_in_one, nothing_came, keep_in_pool, drop_nothing,
     back_to_pool},
    {"sequencer", room_in_bytes, commit_bytes, save_slot, consume_bytes,
     discard_slot},
    {"bip", room_in_bip, commit_bip, keep_in_place, mark, mark_kept},
};

/* -- all of them -- */

static void
use(struct receiver *r, const uint8_t *packet, size_t len)
{
    if (get32(packet) != ++r->used || get32(packet + 4) != len - HEAD ||
        (len > HEAD && packet[len - 1] != 'a' + (len - HEAD - 1) % 26))
        r->err = -EPROTO;
}

static void
process(struct receiver *r, uint8_t *packet, size_t len)
{
    uint32_t seq = get32(packet);
    sonic_sequenced next;

    if (seq <= r->used || sonic_sequencer_has(r->early, seq)) {
        r->old++;
        r->how->drop(r, packet);
    } else if (seq > r->used + 1) {
        r->how->keep(r, packet, len);
    } else {
        use(r, packet, len);
        r->how->drop(r, packet);
        while (sonic_sequencer_pop(r->early, r->used + 1, &next) == 0) {
            use(r, next.data, next.len);
            r->how->kept(r, &next);
        }
    }
}

static void receive(struct receiver *r);

static void
on_packet(sonic_udp *udp, int err, const sonic_datagram *d, void *ud)
{
    struct receiver *r = ud;
    int64_t began = sonic_clock_monotonic(NULL);

    (void)udp;
    if (err < 0 || d->len < HEAD) {
        r->err = err < 0 ? err : -EPROTO;
        return;
    }
    r->came++;
    r->how->came(r, d->len);
    process(r, d->data, d->len);
    sonic_histogram_record(r->times, sonic_clock_monotonic(NULL) - began);
    if (r->err == 0 && r->used < r->wanted)
        receive(r);
}

static void
receive(struct receiver *r)
{
    uint8_t *room = r->how->room(r);

    if (room == NULL)
        r->err = -ENOBUFS;
    else
        sonic_udp_async_read(r->udp, room, PACKET, on_packet, r);
}

static int
run(sonic_io *io, struct receiver *r, struct sender *s)
{
    uint64_t sent = 0;
    int err = 0;

    receive(r);
    while (err >= 0 && r->err == 0 && r->used < r->wanted) {
        while (err >= 0 && sent - r->came < WINDOW) { /* lose nothing */
            err = send_one(s);
            sent += err > 0 ? (uint64_t)err : 0;
        }
        if (err >= 0)
            err = sonic_io_run_one(io);
    }
    return err < 0 ? err : r->err;
}

static int
open_all(sonic_io *io, struct receiver *r, struct sender *s)
{
    sonic_bytes_options o = SONIC_BYTES_OPTIONS_INIT;
    char address[SONIC_ADDRESS_TEXT];
    sonic_address at;
    int err = sonic_udp_new(io, "127.0.0.1:0", NULL, &r->udp);

    o.capacity = BUFFER;
    if (err == 0)
        err = sonic_udp_local_address(r->udp, &at);
    if (err < 0)
        return err;
    sonic_address_format(&at, address, sizeof address);
    if ((err = sonic_udp_dial(io, address, NULL, &s->udp)) < 0 ||
        (err = sonic_sequencer_new(NULL, &r->early)) < 0 ||
        (err = sonic_histogram_new(NULL, &r->times)) < 0 ||
        (err = sonic_bytes_new(&o, &r->bytes)) < 0 ||
        (err = sonic_bip_new(BUFFER, NULL, &r->bip)) < 0)
        return err;
    while (r->n_spare < BLOCKS) {
        r->spare[r->n_spare] = r->n_spare;
        r->n_spare++;
    }
    return 0;
}

static void
report(const struct receiver *r)
{
    sonic_histogram *h = r->times;

    printf("%-10s %7llu packets, %6llu twice, %2zu kept at most;  p50 %4lld  "
           "p99 %5lld  p99.9 %6lld  max %7lld ns\n",
           r->how->name, (unsigned long long)r->came,
           (unsigned long long)r->old, r->most,
           (long long)sonic_histogram_percentile(h, 50),
           (long long)sonic_histogram_percentile(h, 99),
           (long long)sonic_histogram_percentile(h, 99.9),
           (long long)sonic_histogram_max(h));
}

static int
try_one(const struct strategy *how, uint32_t packets)
{
    static struct receiver r;
    struct sender s = {.random = 7};
    sonic_sequenced rest;
    sonic_io *io = NULL;
    int err = sonic_io_new(&io, NULL);

    memset(&r, 0, sizeof r);
    r.how = how;
    r.wanted = packets;
    if (err == 0)
        err = open_all(io, &r, &s);
    if (err == 0)
        err = run(io, &r, &s);
    if (err == 0)
        report(&r);
    while (r.early != NULL && sonic_sequencer_pop_first(r.early, &rest) == 0)
        how->kept(&r, &rest);
    sonic_io_free(io); /* before the buffers: a read may be under way */
    sonic_sequencer_free(r.early);
    sonic_histogram_free(r.times);
    sonic_bytes_free(r.bytes);
    sonic_bip_free(r.bip);
    return err;
}

int
main(int argc, char **argv)
{
    uint32_t packets = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;

    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        int err = try_one(&strategies[i], packets);

        if (err < 0) {
            fprintf(stderr, "sequencing: %s: %s\n", strategies[i].name,
                    sonic_strerror(err));
            return 1;
        }
    }
    return 0;
}
