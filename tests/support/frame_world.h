/* An io whose memory is counted, a frame connection on it, and at the other
 * end of its stream a plain one. */
#ifndef SONICIO_TESTS_FRAME_WORLD_H
#define SONICIO_TESTS_FRAME_WORLD_H

#include <sonicio/frame.h>

/* The backends that were built, by index. */
#ifdef SONIC_WITHOUT_EPOLL
enum { BACKENDS = 1, FIRST_BACKEND = SONIC_BACKEND_POLL };
#elif defined(SONIC_WITHOUT_POLL)
enum { BACKENDS = 1, FIRST_BACKEND = SONIC_BACKEND_EPOLL };
#else
enum { BACKENDS = 2, FIRST_BACKEND = SONIC_BACKEND_EPOLL };
#endif

struct frame_world {
    sonic_io *io;
    sonic_stream *peer; /* NULL it once it is freed */
    sonic_frame_conn *conn;
    /* memory */
    size_t blocks, allocs;
    size_t fail_at; /* this alloc fails, counted from 1; 0: none does */
    /* what the recording handler saw */
    size_t frames, bytes, drains, closes;
    uint8_t last[256]; /* of the last frame */
    sonic_frame_close_record why;
};

/* Make one; i chooses the backend.  opt, format, options may be NULL.  The
 * connection has the recording handler, whose ud is the world.
 * 0, or the first error; nothing is left over then. */
int frame_world_open(struct frame_world *w, int i, sonic_io_options *opt,
                     const sonic_frame_format *format,
                     const sonic_frame_options *options);
/* The same, or abort. */
void frame_world_begin(struct frame_world *w, int i, sonic_io_options *opt,
                       const sonic_frame_format *format,
                       const sonic_frame_options *options);
/* Free what is there; false if memory is left over. */
bool frame_world_end(struct frame_world *w);

extern const sonic_frame_handler frame_recorder;
/* The same without on_frame: for read operations. */
extern const sonic_frame_handler frame_puller;

/* Run until *n is at least `least`; abort when the io has no more work. */
void frame_world_until(struct frame_world *w, const size_t *n, size_t least);

/* The peer queues bytes, and they go out. */
void frame_peer_puts(struct frame_world *w, const void *p, size_t n);
/* The peer queues a frame of the default format. */
void frame_peer_frame(struct frame_world *w, const void *body, size_t n);
/* The peer reads exactly n bytes. */
void frame_peer_gets(struct frame_world *w, void *p, size_t n);
/* The peer's next read gives the end of the stream. */
bool frame_peer_sees_end(struct frame_world *w);

#endif
