/* feed.h - messages that can be checked: numbered, stamped, and filled with a
 * pattern that follows from the head
 *
 *     offset 0   number of the feed          uint64_t
 *            8   number of the message       uint64_t, 0 and up
 *           16   when it was sent            int64_t, ns
 *           24   the pattern                 uint64_t, the last one cut
 *
 * All in the machine's own byte order: both ends are one program.  Each word
 * depends on the whole head and on its place, so that no part of one message
 * passes for a part of another. */
#ifndef SONICIO_TOOLS_FEED_H
#define SONICIO_TOOLS_FEED_H

#include <stddef.h>
#include <stdint.h>

/* At least a head and one word. */
enum { FEED_HEAD = 24, FEED_MIN = 32, FEED_MAX = 1 << 20 };

/* Write message number `seq` of a feed; size bytes of dst. */
void feed_write(void *dst, size_t size, uint64_t feed, uint64_t seq,
                int64_t now);

/* The receiving end of one feed. */
struct feed_check {
    uint64_t feed;
    size_t size;
    uint64_t next; /* the number that comes next */
    uint64_t good;
    uint64_t lost;      /* numbers left out, or never seen at the end */
    uint64_t reordered; /* messages behind one with a greater number: late,
                           or a second time */
    uint64_t corrupt;   /* of another length or feed, or with other bytes */
};

/* Look at a message.  Returns when it was sent, or -1 when it is corrupt. */
int64_t feed_read(struct feed_check *c, const void *data, size_t len);

/* No more will come of the `sent` messages: what is missing is lost. */
void feed_finish(struct feed_check *c, uint64_t sent);

#endif
