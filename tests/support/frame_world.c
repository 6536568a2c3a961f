#include "frame_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
die(const char *what, int err)
{
    fprintf(stderr, "%s: %s\n", what, sonic_errname(err));
    abort();
}

/* ---- memory ----------------------------------------------------------- */

static void *
count_alloc(size_t bytes, void *ud)
{
    struct frame_world *w = ud;
    void *p;

    if (++w->allocs == w->fail_at)
        return NULL;
    p = malloc(bytes);
    if (p != NULL) {
        memset(p, 0xa5, bytes);
        w->blocks++;
    }
    return p;
}

static void
count_free(void *p, size_t bytes, void *ud)
{
    struct frame_world *w = ud;

    memset(p, 0x5a, bytes);
    w->blocks--;
    free(p);
}

/* ---- the recording handler -------------------------------------------- */

static void
on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    struct frame_world *w = ud;

    (void)conn;
    w->frames++;
    w->bytes += len;
    if (len > 0)
        memcpy(w->last, data, len < sizeof w->last ? len : sizeof w->last);
}

static void
on_drain(sonic_frame_conn *conn, void *ud)
{
    struct frame_world *w = ud;

    (void)conn;
    w->drains++;
}

static void
on_close(sonic_frame_conn *conn, const sonic_frame_close_record *why, void *ud)
{
    struct frame_world *w = ud;

    (void)conn;
    w->closes++;
    w->why = *why;
}

const sonic_frame_handler frame_recorder = {
    SONIC_FRAME_HANDLER_INIT,
    .on_frame = on_frame,
    .on_drain = on_drain,
    .on_close = on_close,
};

const sonic_frame_handler frame_puller = {
    SONIC_FRAME_HANDLER_INIT,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* ---- begin and end ---------------------------------------------------- */

int
frame_world_open(struct frame_world *w, int i, sonic_io_options *opt,
                 const sonic_frame_format *format,
                 const sonic_frame_options *options)
{
    sonic_io_options o = SONIC_IO_OPTIONS_INIT;
    sonic_mem mem = {count_alloc, count_free, w};
    sonic_stream *s[2];
    sonic_frame_codec codec;
    int err;

    if (opt != NULL)
        o = *opt;
    o.backend = (enum sonic_backend)((int)FIRST_BACKEND + i);
    o.mem = &mem;
    err = sonic_frame_codec_init(&codec, format);
    if (err < 0)
        return err;
    err = sonic_io_new(&w->io, &o);
    if (err < 0)
        return err;
    err = sonic_stream_pair(w->io, s);
    if (err == 0)
        err = sonic_frame_conn_new(s[0], &codec, options, &frame_recorder, w,
                                   &w->conn);
    if (err == 0) {
        w->peer = s[1];
        return 0;
    }
    sonic_io_free(w->io);
    w->io = NULL;
    return err;
}

void
frame_world_begin(struct frame_world *w, int i, sonic_io_options *opt,
                  const sonic_frame_format *format,
                  const sonic_frame_options *options)
{
    int err;

    memset(w, 0, sizeof *w);
    err = frame_world_open(w, i, opt, format, options);
    if (err < 0)
        die("frame_world_begin", err);
}

bool
frame_world_end(struct frame_world *w)
{
    sonic_frame_conn_free(w->conn);
    sonic_stream_free(w->peer);
    sonic_io_free(w->io);
    return w->blocks == 0;
}

void
frame_world_until(struct frame_world *w, const size_t *n, size_t least)
{
    while (*n < least) {
        int ran = sonic_io_run_one(w->io);

        if (ran < 0)
            die("sonic_io_run_one", ran);
        if (ran == 0 && *n < least)
            die("nothing is left to do", 0);
    }
}

/* ---- the peer --------------------------------------------------------- */

void
frame_peer_puts(struct frame_world *w, const void *p, size_t n)
{
    size_t done;
    int err = sonic_stream_write(w->peer, p, n, &done);

    if (err < 0 || done != n)
        die("the peer's write", err);
}

void
frame_peer_frame(struct frame_world *w, const void *body, size_t n)
{
    uint8_t head[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16),
                       (uint8_t)(n >> 8), (uint8_t)n};
    int err = sonic_stream_send_framed(w->peer, head, 4, body, n);

    if (err < 0)
        die("the peer's send", err);
}

void
frame_peer_gets(struct frame_world *w, void *p, size_t n)
{
    size_t done;
    int err = sonic_stream_read_all(w->peer, p, n, &done);

    if (err < 0 || done != n)
        die("the peer's read", err);
}

bool
frame_peer_sees_end(struct frame_world *w)
{
    uint8_t byte;
    size_t n;

    return sonic_stream_read(w->peer, &byte, 1, &n) == SONIC_EOF;
}
