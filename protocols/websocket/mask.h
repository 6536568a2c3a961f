/* mask.h - the client-to-server mask, RFC 6455 section 5.3, and what else is
 * worth doing many bytes at a time */
#ifndef SONICIO_WEBSOCKET_MASK_H
#define SONICIO_WEBSOCKET_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A key is the four bytes of the wire in the order of the wire, whatever the
 * machine's byte order: memcpy it from and to the frame. */

/* sonic__ws_key_rotate - the key for the byte n places further on */
static inline uint32_t
sonic__ws_key_rotate(uint32_t key, size_t n)
{
    unsigned bits = 8 * (unsigned)n;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return key << (bits & 31) | key >> (-bits & 31);
#else
    return key >> (bits & 31) | key << (-bits & 31);
#endif
}

/* Write src[0..n) XOR key to dst[0..n); the first byte meets the first byte
 * of the key.  dst == src, or dst < src (they may overlap: payload moves
 * down), or they are disjoint. */
typedef void sonic__ws_mask_fn(uint8_t *dst, const uint8_t *src, size_t n,
                               uint32_t key);

/* The same, and true when every byte written was ASCII. */
typedef bool sonic__ws_mask_ascii_fn(uint8_t *dst, const uint8_t *src, size_t n,
                                     uint32_t key);

/* As sonic__utf8_feed. */
typedef uint8_t sonic__ws_utf8_fn(uint8_t state, const uint8_t *p, size_t n);

/* One way to do it, for one kind of processor.  Constant tables. */
struct sonic__ws_simd {
    const char *name;
    sonic__ws_mask_fn *mask;
    sonic__ws_mask_ascii_fn *mask_ascii;
    sonic__ws_utf8_fn *utf8;
};

/* Does what simd->mask does; without a call where it is short. */
static inline void
sonic__ws_mask(const struct sonic__ws_simd *simd, uint8_t *dst,
               const uint8_t *src, size_t n, uint32_t key)
{
#ifdef __GNUC__
    typedef uint32_t v __attribute__((vector_size(16)));

    if (n - 16 <= 48) { /* all is read before any of it is written */
        const uint32_t turned = sonic__ws_key_rotate(key, n);
        const v k = {key, key, key, key}, t = {turned, turned, turned, turned};
        v a, b, y, z;

        memcpy(&a, src, sizeof a);
        memcpy(&z, src + n - 16, sizeof z);
        if (n > 32) {
            memcpy(&b, src + 16, sizeof b);
            memcpy(&y, src + n - 32, sizeof y);
            b ^= k;
            y ^= t;
            memcpy(dst + 16, &b, sizeof b);
            memcpy(dst + n - 32, &y, sizeof y);
        }
        a ^= k;
        z ^= t;
        memcpy(dst, &a, sizeof a);
        memcpy(dst + n - 16, &z, sizeof z);
        return;
    }
#endif
    simd->mask(dst, src, n, key);
}

/* sonic__ws_simd_at - the ways that this processor knows, slowest first;
 * NULL past the last one.  The first one is plain C. */
const struct sonic__ws_simd *sonic__ws_simd_at(size_t index);

/* sonic__ws_simd_best - the last of them.  Asks the processor each time: ask
 * once and keep the answer. */
const struct sonic__ws_simd *sonic__ws_simd_best(void);

#endif
