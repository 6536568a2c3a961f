/* mask_simd.h - the ways to mask that only some processors know; for mask.c */
#ifndef SONICIO_WEBSOCKET_MASK_SIMD_H
#define SONICIO_WEBSOCKET_MASK_SIMD_H

#include "websocket/mask.h"

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define SONIC__WS_X86
extern const struct sonic__ws_simd sonic__ws_sse2, sonic__ws_avx2;
sonic__ws_utf8_fn sonic__utf8_feed_avx2;
#endif
#if defined(__GNUC__) && defined(__aarch64__)
#define SONIC__WS_NEON
extern const struct sonic__ws_simd sonic__ws_neon;
sonic__ws_utf8_fn sonic__utf8_feed_neon;
#endif

/* For what is too short for a vector. */
sonic__ws_mask_fn sonic__ws_mask_portable;
sonic__ws_mask_ascii_fn sonic__ws_mask_ascii_portable;

#endif
