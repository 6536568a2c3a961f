/* bip_sender_receiver - packets received into a bip buffer
 *
 *     bip_sender_receiver                    both, over loopback
 *     bip_sender_receiver receiver ADDRESS   the receiver, until all have come
 *     bip_sender_receiver sender ADDRESS     the sender
 *
 * A packet is a number (4 bytes), a length (4 bytes) and so many letters.  The
 * receiver claims room for the largest one, receives into it, commits what
 * came, and processes eight at a time: until then they wait where they were
 * received, each in one piece.  Prints how long a packet takes, from the end
 * of its receive call to the end of its processing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/sonicio.h>

enum { PACKETS = 20000, HEAD = 8, PACKET_MAX = 256, AT_ONCE = 8, WINDOW = 32 };

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
    uint32_t sent;
};

static int
send_one(struct sender *s)
{
    uint8_t packet[PACKET_MAX];
    uint32_t n = s->sent * 31 % (PACKET_MAX - HEAD + 1);

    put32(packet, ++s->sent);
    put32(packet + 4, n);
    for (uint32_t i = 0; i < n; i++)
        packet[HEAD + i] = (uint8_t)('a' + i % 26);
    return sonic_udp_write(s->udp, NULL, packet, HEAD + n);
}

/* ---- receiver ----------------------------------------------------------- */

struct receiver {
    sonic_udp *udp;
    sonic_bip *bip;
    sonic_histogram *times;
    int64_t received[AT_ONCE]; /* when */
    unsigned waiting;          /* packets committed and not processed */
    uint32_t last;
    int err;
};

static bool
process(struct receiver *r)
{
    size_t len, n;
    const uint8_t *p = sonic_bip_head(r->bip, &len);

    if (p == NULL || len < HEAD || len < HEAD + (n = get32(p + 4)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (p[HEAD + i] != 'a' + i % 26)
            return false;
    if (get32(p) != r->last + 1)
        return false;
    r->last++;
    sonic_bip_consume(r->bip, HEAD + n);
    return true;
}

static void
process_all(struct receiver *r)
{
    for (unsigned i = 0; i < r->waiting; i++) {
        if (!process(r))
            r->err = -EPROTO;
        sonic_histogram_record(r->times,
                               sonic_clock_monotonic(NULL) - r->received[i]);
    }
    r->waiting = 0;
}

static void receive(struct receiver *r);

static void
on_packet(sonic_udp *udp, int err, const sonic_datagram *d, void *ud)
{
    struct receiver *r = ud;
    size_t n;

    (void)udp;
    if (err < 0) {
        r->err = err;
        return;
    }
    sonic_bip_commit(r->bip, d->len, &n);
    r->received[r->waiting++] = sonic_clock_monotonic(NULL);
    if (r->waiting == AT_ONCE || r->last + r->waiting == PACKETS)
        process_all(r);
    if (r->err == 0 && r->last < PACKETS)
        receive(r);
}

static void
receive(struct receiver *r)
{
    size_t got;
    uint8_t *room = sonic_bip_claim(r->bip, PACKET_MAX, &got);

    if (got < PACKET_MAX)
        r->err = -ENOBUFS; /* the buffer is too small for AT_ONCE packets */
    else
        sonic_udp_async_read(r->udp, room, got, on_packet, r);
}

static int
open_receiver(sonic_io *io, const char *address, struct receiver *r)
{
    int err = sonic_udp_new(io, address, NULL, &r->udp);

    if (err == 0) /* room for AT_ONCE packets on either side of a wrap */
        err = sonic_bip_new((size_t)4 * AT_ONCE * PACKET_MAX, NULL, &r->bip);
    return err == 0 ? sonic_histogram_new(NULL, &r->times) : err;
}

/* Run until all have come; send on as they do, when we have the sender. */
static int
run(sonic_io *io, struct receiver *r, struct sender *s)
{
    int err = 0;

    if (r->udp != NULL)
        receive(r);
    while (err >= 0 && r->err == 0 && r->last < PACKETS) {
        while (s->udp != NULL && s->sent < PACKETS &&
               (r->udp == NULL || s->sent - r->last < WINDOW))
            if ((err = send_one(s)) < 0)
                return err;
        if (r->udp == NULL)
            return 0;
        err = sonic_io_run_one(io);
    }
    return err < 0 ? err : r->err;
}

int
main(int argc, char **argv)
{
    const char *role = argc == 3 ? argv[1] : "both";
    char address[SONIC_ADDRESS_TEXT] = "127.0.0.1:0";
    struct receiver r = {0};
    struct sender s = {0};
    sonic_address at;
    sonic_io *io = NULL;
    int err = sonic_io_new(&io, NULL);

    if (argc == 3)
        snprintf(address, sizeof address, "%s", argv[2]);
    if (err == 0 && strcmp(role, "sender") != 0) {
        err = open_receiver(io, address, &r);
        if (err == 0)
            err = sonic_udp_local_address(r.udp, &at);
        if (err == 0)
            sonic_address_format(&at, address, sizeof address);
    }
    if (err == 0 && strcmp(role, "receiver") != 0)
        err = sonic_udp_dial(io, address, NULL, &s.udp);
    if (err == 0)
        err = run(io, &r, &s);
    if (err == 0 && r.udp != NULL) {
        printf("%u packets, in order\n", r.last);
        err = sonic_histogram_draw(r.times, stdout, NULL);
    }
    if (err < 0)
        fprintf(stderr, "bip_sender_receiver: %s\n", sonic_strerror(err));
    sonic_histogram_free(r.times);
    sonic_bip_free(r.bip);
    sonic_io_free(io);
    return err < 0;
}
