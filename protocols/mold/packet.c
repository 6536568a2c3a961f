/* Packets: read, checked, written.  MoldUDP64 1.00, "Downstream Packet" and
 * "Request Packet". */
#include "mold/packet.h"

#include <string.h>

#define SECOND (INT64_C(1000) * 1000 * 1000)

static uint64_t
get64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static void
put64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--) {
        p[i] = (uint8_t)v;
        v >>= 8;
    }
}

void
sonic_mold_write_header(void *out, const uint8_t *session, uint64_t sequence,
                        unsigned count)
{
    uint8_t *p = out;

    memmove(p, session, SONIC_MOLD_SESSION);
    put64(p + 10, sequence);
    sonic__mold_put16(p + 18, count);
}

static void
read_header(const uint8_t *p, sonic_mold_packet *out)
{
    memcpy(out->session, p, SONIC_MOLD_SESSION);
    out->sequence = get64(p + 10);
    out->count = sonic__mold_get16(p + 18);
}

/* The number behind the last one must exist, too. */
static bool
numbers_fit(const sonic_mold_packet *p)
{
    return p->count == SONIC_MOLD_END ? p->sequence < UINT64_MAX
                                      : p->sequence < UINT64_MAX - p->count;
}

/* Do n blocks fill p[0..len) exactly? */
static bool
blocks_fit(const uint8_t *p, size_t len, unsigned n)
{
    while (n > 0) {
        size_t size;

        if (len < SONIC__MOLD_BLOCK)
            return false;
        size = SONIC__MOLD_BLOCK + sonic__mold_get16(p);
        if (size > len)
            return false;
        p += size;
        len -= size;
        n--;
    }
    return len == 0;
}

int
sonic_mold_parse(void *data, size_t len, sonic_mold_packet *out)
{
    if (len < SONIC_MOLD_HEADER)
        return SONIC_EMOLD_PACKET;
    read_header(data, out);
    out->data = (uint8_t *)data + SONIC_MOLD_HEADER;
    out->len = len - SONIC_MOLD_HEADER;
    if (!numbers_fit(out) ||
        !blocks_fit(out->data, out->len,
                    out->count == SONIC_MOLD_END ? 0 : out->count))
        return SONIC_EMOLD_PACKET;
    return 0;
}

bool
sonic_mold_take(sonic_mold_packet *packet, uint8_t **data, size_t *len)
{
    size_t n;

    if (packet->len < SONIC__MOLD_BLOCK)
        return false;
    n = sonic__mold_get16(packet->data);
    if (n > packet->len - SONIC__MOLD_BLOCK)
        return false; /* it was not parsed */
    *data = packet->data + SONIC__MOLD_BLOCK;
    *len = n;
    packet->data += SONIC__MOLD_BLOCK + n;
    packet->len -= SONIC__MOLD_BLOCK + n;
    return true;
}

int
sonic_mold_parse_request(const void *data, size_t len, sonic_mold_packet *out)
{
    if (len != SONIC_MOLD_HEADER)
        return SONIC_EMOLD_PACKET;
    read_header(data, out);
    out->data = NULL;
    out->len = 0;
    if (out->count == 0 || out->count == SONIC_MOLD_END || !numbers_fit(out))
        return SONIC_EMOLD_PACKET;
    return 0;
}

/* ---- sessions ---------------------------------------------------------- */

static bool
is_printable(unsigned char c)
{
    return c >= ' ' && c < 0x7f;
}

int
sonic_mold_session_set(uint8_t session[SONIC_MOLD_SESSION], const char *text)
{
    size_t n = strlen(text);

    if (n == 0 || n > SONIC_MOLD_SESSION)
        return SONIC_EOPTION;
    for (size_t i = 0; i < n; i++)
        if (!is_printable((unsigned char)text[i]))
            return SONIC_EOPTION;
    memset(session, ' ', SONIC_MOLD_SESSION);
    memcpy(session, text, n);
    return 0;
}

void
sonic_mold_session_text(const uint8_t session[SONIC_MOLD_SESSION],
                        char text[SONIC_MOLD_SESSION + 1])
{
    size_t n = SONIC_MOLD_SESSION;

    while (n > 0 && (session[n - 1] == ' ' || session[n - 1] == '\0'))
        n--;
    for (size_t i = 0; i < n; i++)
        text[i] = is_printable(session[i]) ? (char)session[i] : '?';
    text[n] = '\0';
}

/* ---- rates ------------------------------------------------------------- */

/* `paid` moves on by one item's time with each, and lies at most `burst` items
 * behind the present: that is what may be had at once. */
int64_t
sonic__mold_ready(const struct sonic__mold_bucket *b, unsigned rate,
                  unsigned burst)
{
    int64_t each = SECOND / (int64_t)rate;

    return b->paid + each - each * (int64_t)burst;
}

bool
sonic__mold_spend(struct sonic__mold_bucket *b, unsigned rate, unsigned burst,
                  int64_t now)
{
    if (now < sonic__mold_ready(b, rate, burst))
        return false;
    if (b->paid < now)
        b->paid = now;
    b->paid += SECOND / (int64_t)rate;
    return true;
}

/* ---- memory ------------------------------------------------------------ */

void *
sonic__mold_alloc(const sonic_mem *mem, size_t bytes)
{
    void *p = mem->alloc(bytes, mem->ud);

    return p != NULL ? memset(p, 0, bytes) : NULL;
}

void
sonic__mold_release(const sonic_mem *mem, void *p, size_t bytes)
{
    if (p != NULL)
        mem->free(p, bytes, mem->ud);
}
