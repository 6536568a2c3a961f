/* <sonicio/mirror.h> - the mirrored buffer: a FIFO that never moves a byte
 *
 * The same pages are mapped twice, one copy behind the other, so whatever
 * lies in the ring, and whatever room is left in it, is contiguous.
 * Claim room, fill it, commit what was filled; look at the head, consume.
 */
#ifndef SONICIO_MIRROR_H
#define SONICIO_MIRROR_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/mem.h>
#include <sonicio/sys.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_mirror sonic_mirror;

typedef struct sonic_mirror_options {
    size_t size;
    const sonic_sys *sys;         /* borrowed; NULL: the kernel */
    const sonic_mem *mem;         /* copied; NULL: malloc(3) */
    enum sonic_switch prefault;   /* allocate and touch every page now */
    enum sonic_switch huge_pages; /* MFD_HUGETLB; falls back to small pages */
} sonic_mirror_options;

#define SONIC_MIRROR_OPTIONS_INIT                                              \
    {                                                                          \
        .size = sizeof(sonic_mirror_options)                                   \
    }

/* sonic_mirror_new - make a buffer of at least min_size bytes
 *
 * The size is rounded up to pages; any number of pages is fine.  Pages exist
 * once they are touched, unless prefault is on.  With prefault, a shortage of
 * memory is -ENOMEM here and never SIGBUS later.  opt may be NULL.
 * ERRORS  SONIC_EOPTION when min_size is 0; -ENOMEM; -EMFILE; -ENFILE. */
SONIC_API SONIC_MUST_CHECK int sonic_mirror_new(size_t min_size,
                                                const sonic_mirror_options *opt,
                                                sonic_mirror **out);
SONIC_API void sonic_mirror_free(sonic_mirror *m); /* NULL is allowed */

/* sonic_mirror_claim - room to write n bytes into, valid until the next
 * commit.  *got is how many bytes there are, at most n; NULL when full. */
SONIC_API uint8_t *sonic_mirror_claim(sonic_mirror *m, size_t n, size_t *got);
/* sonic_mirror_commit - queue the first n claimed bytes, cut to the room
 * there is.  Returns how many were queued. */
SONIC_API size_t sonic_mirror_commit(sonic_mirror *m, size_t n);
/* sonic_mirror_head - the queued bytes, all of them contiguous.  NULL when
 * there are none. */
SONIC_API uint8_t *sonic_mirror_head(const sonic_mirror *m, size_t *len);
/* sonic_mirror_consume - drop n bytes from the front, cut to what is queued.
 * Returns how many were dropped. */
SONIC_API size_t sonic_mirror_consume(sonic_mirror *m, size_t n);
/* sonic_mirror_trim - take back the n bytes committed last, cut likewise. */
SONIC_API size_t sonic_mirror_trim(sonic_mirror *m, size_t n);
/* sonic_mirror_grow - make it at least min_size bytes; what is queued is
 * kept.  Pointers into the buffer are void afterwards.  ERRORS as _new. */
SONIC_API SONIC_MUST_CHECK int sonic_mirror_grow(sonic_mirror *m,
                                                 size_t min_size);
SONIC_API void sonic_mirror_reset(sonic_mirror *m);

SONIC_API size_t sonic_mirror_size(const sonic_mirror *m); /* capacity */
SONIC_API size_t sonic_mirror_used(const sonic_mirror *m); /* queued */
SONIC_API size_t sonic_mirror_room(const sonic_mirror *m); /* free */
/* True when the buffer lies in huge pages. */
SONIC_API bool sonic_mirror_huge(const sonic_mirror *m);

#ifdef __cplusplus
}
#endif
#endif
