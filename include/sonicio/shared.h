/* <sonicio/shared.h> - bytes that many streams send, without a copy for each
 *
 *     sonic_shared_new(io, n, &m);
 *     memcpy(sonic_shared_data(m), bytes, n);
 *     for (...)
 *         sonic_stream_send_shared(stream[i], m, 0, n);
 *     sonic_shared_free(m);
 *
 * A stream that has not got rid of it yet refers to it, and lets go when the
 * system has taken the last byte, or when the stream ends: whoever made it may
 * let go at once.  One io's streams, one thread.
 *
 * Memory of up to 32 KiB comes from the io's pool and goes back there, so that
 * a steady stream of messages allocates nothing.
 */
#ifndef SONICIO_SHARED_H
#define SONICIO_SHARED_H

#include <sonicio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sonic_shared sonic_shared;

/* sonic_shared_new - len bytes, of no particular value; their maker holds them
 * ERRORS -ENOMEM; SONIC_ETOOBIG over 2^31; SONIC_ECLOSED (the io). */
SONIC_API SONIC_MUST_CHECK int sonic_shared_new(sonic_io *io, size_t len,
                                                sonic_shared **out);

/* The bytes.  To be written before the first send; afterwards only when there
 * is no other holder. */
SONIC_API uint8_t *sonic_shared_data(sonic_shared *m);
SONIC_API size_t sonic_shared_len(const sonic_shared *m);

/* Who holds it: whoever made it, those of sonic_shared_hold, and one for each
 * send that waits. */
SONIC_API size_t sonic_shared_holders(const sonic_shared *m);

/* sonic_shared_hold - one more holder, for whom it must be freed too */
SONIC_API sonic_shared *sonic_shared_hold(sonic_shared *m);
/* sonic_shared_free - let go; the last one gives the memory back.  NULL is
 * allowed.  What is held when its io is freed goes with it. */
SONIC_API void sonic_shared_free(sonic_shared *m);

/* sonic_stream_send_shared - queue len of its bytes, beginning at from
 *
 * As sonic_stream_send, but that m is held until they have gone.  A few bytes
 * behind others that wait are copied all the same: what stands in a queue is
 * never much more than the bytes that it counts.
 * Returns and fails as sonic_stream_send; -EINVAL when m has not so many bytes
 * or belongs to another io. */
SONIC_API SONIC_MUST_CHECK int sonic_stream_send_shared(sonic_stream *stream,
                                                        sonic_shared *m,
                                                        size_t from,
                                                        size_t len);

#ifdef __cplusplus
}
#endif
#endif
