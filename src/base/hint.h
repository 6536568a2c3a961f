/* hint.h - for the compiler, where it was measured that it matters */
#ifndef SONICIO_SRC_HINT_H
#define SONICIO_SRC_HINT_H

/* A function that is called rarely: kept out of the ones that call it, which
 * then save fewer registers. */
#if defined(__GNUC__)
#define SONIC__RARELY __attribute__((noinline))
#else
#define SONIC__RARELY
#endif

/* A function that takes another one, which is inlined where it is known. */
#if defined(__GNUC__)
#define SONIC__INLINE inline __attribute__((always_inline))
#else
#define SONIC__INLINE inline
#endif

#endif
