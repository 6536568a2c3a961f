#include "sim_message.h"

static uint64_t
hash(uint64_t salt, uint64_t n)
{
    uint64_t x = (salt + n) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 29;
}

size_t
message_length(uint64_t salt, unsigned n, size_t most)
{
    static const size_t below[] = {1,   200, 200,  200,  200,
                                   132, 132, 5000, 40000};
    uint64_t h = hash(salt, n);
    size_t len = (size_t)(h >> 16) % below[h % 9];

    return len % (most + 1);
}

bool
message_is_text(uint64_t salt, unsigned n)
{
    return hash(salt, n) >> 63;
}

/* Pairs: of two letters, or one letter of two bytes. */
static uint8_t
byte_at(uint64_t salt, unsigned n, size_t length, size_t at)
{
    uint64_t h = hash(salt ^ n, at / 2);

    if (!message_is_text(salt, n))
        return (uint8_t)(at % 2 == 0 ? h : h >> 8);
    if (h % 4 > 0 || at / 2 * 2 + 1 == length)
        return (uint8_t)(0x20 + (h >> (8 + at % 2 * 8)) % 0x5f);
    return at % 2 == 0 ? 0xc3 : (uint8_t)(0x80 + (h >> 8) % 0x40);
}

void
message_bytes(uint64_t salt, unsigned n, size_t length, size_t from,
              uint8_t *to, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        to[i] = byte_at(salt, n, length, from + i);
}

bool
message_is(uint64_t salt, unsigned n, size_t length, size_t from,
           const uint8_t *got, size_t len)
{
    size_t i;

    if (from + len > length)
        return false;
    for (i = 0; i < len; i++) {
        if (got[i] != byte_at(salt, n, length, from + i))
            return false;
    }
    return true;
}
