/* <sonicio/bytes.h> - the byte buffer: save, read and write areas
 *
 *      saved slots        read area         write area       room
 *     [slot]  [slot]  [ sonic_bytes_data ][             ][ ........ ]
 *                      ^ consume, save    ^ commit       ^ write, claim
 *
 * Bytes are written to the write area, and cannot be read yet; commit moves
 * its first ones to the read area.  From there they are consumed, or saved: a
 * saved slot can be looked at until it is discarded, in any order.
 *
 * The storage is a mirrored buffer (<sonicio/mirror.h>), so each area and each
 * slot is contiguous and no byte moves, ever: a pointer to one is good until
 * the byte is consumed or discarded.  Nor is any byte overwritten while an
 * operation of a stream is under way with it.
 */
#ifndef SONICIO_BYTES_H
#define SONICIO_BYTES_H

#include <sonicio/api.h>
#include <sonicio/error.h>
#include <sonicio/mem.h>
#include <sonicio/stream.h>
#include <sonicio/sys.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_bytes sonic_bytes;

typedef struct sonic_bytes_options {
    size_t size;
    const sonic_sys *sys;       /* borrowed; NULL: the kernel */
    const sonic_mem *mem;       /* copied; NULL: malloc(3) */
    size_t capacity;            /* bytes, of all areas together: the limit.
                                   Default 1 MiB, at most 1 TiB; pages of it
                                   exist once they are touched */
    unsigned max_slots;         /* default 65,536, at most 2^24 */
    enum sonic_switch prefault; /* touch every page now */
} sonic_bytes_options;

#define SONIC_BYTES_OPTIONS_INIT                                               \
    {                                                                          \
        .size = sizeof(sonic_bytes_options)                                    \
    }

/* Saved bytes.  Never given twice by one buffer. */
typedef struct sonic_slot {
    uint64_t id;
    size_t len; /* 0: there are none */
} sonic_slot;

/* sonic_bytes_new - an empty buffer
 * opt may be NULL.  Allocates later only to keep more slots at a time than
 * ever before.
 * ERRORS -ENOMEM, -EMFILE, -ENFILE; SONIC_EOPTION, a value over its limit. */
SONIC_API SONIC_MUST_CHECK int sonic_bytes_new(const sonic_bytes_options *opt,
                                               sonic_bytes **out);
/* sonic_bytes_free - NULL is allowed
 * Operations of a stream that are under way go on, and complete as usual; the
 * memory goes after the last of them. */
SONIC_API void sonic_bytes_free(sonic_bytes *b);

/* ---- the write area --------------------------------------------------- */

/* sonic_bytes_reserved - bytes that can be written now
 * What lies between two slots, consumed or discarded, is room again when all
 * slots before it are discarded. */
SONIC_API size_t sonic_bytes_reserved(const sonic_bytes *b);
/* sonic_bytes_reserve - can n more bytes be written?
 * 0, or -ENOBUFS: not within the capacity. */
SONIC_API SONIC_MUST_CHECK int sonic_bytes_reserve(const sonic_bytes *b,
                                                   size_t n);

/* sonic_bytes_write, _write_byte, _write_string - append a copy, all or none
 * ERRORS  -ENOBUFS; -EBUSY, a read is under way into this very room. */
SONIC_API SONIC_MUST_CHECK int sonic_bytes_write(sonic_bytes *b, const void *p,
                                                 size_t n);
SONIC_API SONIC_MUST_CHECK int sonic_bytes_write_byte(sonic_bytes *b,
                                                      uint8_t byte);
SONIC_API SONIC_MUST_CHECK int sonic_bytes_write_string(sonic_bytes *b,
                                                        const char *text);

/* Fills room[0..len); returns how many bytes it wrote.  More than len count as
 * none.  It must not use the buffer. */
typedef size_t sonic_claim_fn(uint8_t *room, size_t len, void *ud);

/* sonic_bytes_claim - have fn write straight into all the room there is, which
 * may be none.  Returns by how much the write area has grown; 0 without a call
 * while a read is under way. */
SONIC_API size_t sonic_bytes_claim(sonic_bytes *b, sonic_claim_fn *fn,
                                   void *ud);
/* sonic_bytes_claim_fixed - grow the write area by n bytes, to be filled by the
 * caller.  NULL: there is not enough room, or a read is under way. */
SONIC_API uint8_t *sonic_bytes_claim_fixed(sonic_bytes *b, size_t n);

/* sonic_bytes_shrink_by, _shrink_to - drop the last bytes of the write area: n
 * of them, or all but n.  Both return how many that were; 0 while a read is
 * under way. */
SONIC_API size_t sonic_bytes_shrink_by(sonic_bytes *b, size_t n);
SONIC_API size_t sonic_bytes_shrink_to(sonic_bytes *b, size_t n);

/* sonic_bytes_commit - move n bytes to the read area, cut to those there are.
 * Returns how many. */
SONIC_API size_t sonic_bytes_commit(sonic_bytes *b, size_t n);

/* ---- the read area ---------------------------------------------------- */

/* sonic_bytes_data - the read area.  NULL, and *len 0, when it is empty. */
SONIC_API uint8_t *sonic_bytes_data(const sonic_bytes *b, size_t *len);

/* sonic_bytes_prepare_read - have at least n bytes in the read area, with those
 * of the write area that are needed
 * ERRORS  SONIC_ENEEDMORE, there are not so many: nothing was committed. */
SONIC_API SONIC_MUST_CHECK int sonic_bytes_prepare_read(sonic_bytes *b,
                                                        size_t n);

/* sonic_bytes_consume - drop the first n bytes, cut to those there are
 * Returns how many; 0 while a write is under way from them. */
SONIC_API size_t sonic_bytes_consume(sonic_bytes *b, size_t n);

/* sonic_bytes_read - copy out and consume at most n bytes; returns how many
 * sonic_bytes_read_byte - the same with one, which it returns (0 to 255)
 * ERRORS  SONIC_ENEEDMORE, the read area is empty (and n is not 0), whatever is
 * saved; -EBUSY, a write is under way from it. */
SONIC_API SONIC_MUST_CHECK ssize_t sonic_bytes_read(sonic_bytes *b, void *p,
                                                    size_t n);
SONIC_API SONIC_MUST_CHECK int sonic_bytes_read_byte(sonic_bytes *b);

/* ---- the save area ---------------------------------------------------- */

/* sonic_bytes_save - consume the first n bytes, cut to those there are, and
 * keep them
 *   *out  the slot; of length 0, and nothing to discard, when there are none
 * ERRORS  nothing is saved, *out is empty: -ENOBUFS, as many slots as allowed
 * (one counts until all before it are discarded, too); -ENOMEM; -EBUSY, a
 * write is under way from these bytes. */
SONIC_API SONIC_MUST_CHECK int sonic_bytes_save(sonic_bytes *b, size_t n,
                                                sonic_slot *out);
/* sonic_bytes_saved - the bytes of a slot, slot.len of them.  NULL: it is
 * empty, discarded, or not of this buffer. */
SONIC_API uint8_t *sonic_bytes_saved(const sonic_bytes *b, sonic_slot slot);
/* sonic_bytes_next_saved - walk the slots in the order of their saving
 * Begin with *slot = (sonic_slot){0, 0}.  false: there are no more.  The one
 * that *slot names may have been discarded. */
SONIC_API bool sonic_bytes_next_saved(const sonic_bytes *b, sonic_slot *slot);

/* sonic_bytes_discard, _discard_all - let go of a slot; of all
 * Returns its length; 0 where _saved says NULL.  All others stay. */
SONIC_API size_t sonic_bytes_discard(sonic_bytes *b, sonic_slot slot);
SONIC_API void sonic_bytes_discard_all(sonic_bytes *b);

/* ---- the whole -------------------------------------------------------- */

SONIC_API size_t sonic_bytes_save_len(const sonic_bytes *b); /* of all slots */
SONIC_API size_t sonic_bytes_read_len(const sonic_bytes *b);
SONIC_API size_t sonic_bytes_write_len(const sonic_bytes *b);
SONIC_API size_t sonic_bytes_slots(const sonic_bytes *b); /* not discarded */
SONIC_API size_t sonic_bytes_capacity(const sonic_bytes *b);

/* sonic_bytes_reset - empty all areas, and discard all slots
 * ERRORS  -EBUSY, an operation of a stream is under way: nothing changed. */
SONIC_API SONIC_MUST_CHECK int sonic_bytes_reset(sonic_bytes *b);

/* sonic_bytes_prefault - have every page made now: -ENOMEM instead of SIGBUS
 * later.  Where the kernel does not know how (before Linux 5.14) each page is
 * touched. */
SONIC_API SONIC_MUST_CHECK int sonic_bytes_prefault(sonic_bytes *b);

/* ---- with a stream ---------------------------------------------------- */

/* n: bytes moved */
typedef void sonic_bytes_fn(sonic_bytes *b, int err, size_t n, void *ud);

/* sonic_bytes_async_read_from - read once from a stream into the write area
 *
 *   most  bytes at most, cut to the room; 0: all the room
 * The room is not touched by others until cb runs; commit, consume, save and
 * discard remain possible.  cb runs exactly once, possibly before this returns.
 * ERRORS  those of sonic_stream_async_read; -ENOBUFS, there is no room; -EBUSY,
 * a read into this buffer is under way. */
SONIC_API void sonic_bytes_async_read_from(sonic_bytes *b, sonic_stream *stream,
                                           size_t most, sonic_bytes_fn *cb,
                                           void *ud);
/* sonic_bytes_async_write_to - write all of the read area to a stream
 *
 * What was written is consumed when cb runs, on an error too.  Until then the
 * area can grow, by commit, but is not consumed or saved.
 * ERRORS  those of sonic_stream_async_write; -EBUSY, a write from this buffer
 * is under way.  An empty read area: 0 bytes and no error. */
SONIC_API void sonic_bytes_async_write_to(sonic_bytes *b, sonic_stream *stream,
                                          sonic_bytes_fn *cb, void *ud);
/* The blocking twins.  *n may be NULL. */
SONIC_API SONIC_MUST_CHECK int sonic_bytes_read_from(sonic_bytes *b,
                                                     sonic_stream *stream,
                                                     size_t most, size_t *n);
SONIC_API SONIC_MUST_CHECK int
sonic_bytes_write_to(sonic_bytes *b, sonic_stream *stream, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
