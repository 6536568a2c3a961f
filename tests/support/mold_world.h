/* A receiver whose packets, time and memory are the test's.  What its handler
 * hears is written down, a line each:
 *     "session S 1"  "5:text"  "gap 2-4"  "filled 2-4"  "lost 2-4"
 *     "ask SERVER 2-4"  "snapshot NEXT NEWEST"  "end 9" */
#ifndef SONICIO_TESTS_MOLD_WORLD_H
#define SONICIO_TESTS_MOLD_WORLD_H

#include <sonicio/mold.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

struct mold_world {
    sonic_mold_receiver *r;
    int64_t now;
    size_t allocs, blocks;
    size_t fail_at; /* this allocation fails, from 1 on */
    char log[8192];
    size_t logged;
    const char *session; /* of packets */
    char quit;           /* free the receiver on this: first letter of a line,
                            'm' for a message */
    uint64_t resume_at;  /* in on_snapshot; 0: not */
};

extern const sonic_mold_handler mold_recorder;    /* without on_snapshot */
extern const sonic_mold_handler mold_snapshooter; /* with it */

sonic_mem mold_mem(struct mold_world *w);
/* handler NULL: mold_recorder. */
void mold_begin(struct mold_world *w, const sonic_mold_receiver_options *opt,
                const sonic_mold_handler *handler);
bool mold_end(struct mold_world *w);

/* A packet of `session` with a message for each word of text; returns its
 * size.  count -1: as many as there are words. */
size_t mold_write(void *out, const char *session, uint64_t sequence, int count,
                  const char *text);
/* It comes on a feed.  Returns what the receiver said. */
int mold_packet(struct mold_world *w, unsigned feed, uint64_t sequence,
                const char *text);
int mold_heartbeat(struct mold_world *w, unsigned feed, uint64_t next);
int mold_over(struct mold_world *w, unsigned feed, uint64_t next);
/* Time goes by; ticks come when they are due. */
void mold_pass(struct mold_world *w, int64_t time);

/* The log is that, and empty from now on. */
#define mold_expect(w, text)                                                   \
    do {                                                                       \
        ck_assert_str_eq((w)->log, text);                                      \
        (w)->log[(w)->logged = 0] = '\0';                                      \
    } while (0)

#endif
