/* Seeded sessions of length-prefixed frames over TCP and UNIX streams in
 * simulated worlds.  Every frame arrives once, whole, in order; every
 * operation completes once; every connection closes once, and in good order
 * where nothing is to fail. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/frame.h>
#include <sonicio/timer.h>

#include "support/sim_message.h"
#include "support/sim_plan.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

enum {
    SEEDS = 1200,
    FAIL_SEEDS = 3,
    PAIRS = 3,
    SENDS = 2,
    STEPS = 3,
    MOST = 40000,
    SMALL = 200, /* fits a length of one byte */
    MAX_TICKS = 200000,
};

enum mode { PUSHED, LENT, COPIED, MODES };

struct end;

struct sending {
    struct end *end;
    bool busy;
    uint8_t buf[MOST];
};

struct end {
    struct session *session;
    struct end *other;
    sonic_frame_conn *conn;
    sonic_timer *timer;
    sonic_frame_handler handler;
    enum mode mode;
    uint64_t salt;
    size_t most; /* bytes of a body */
    unsigned to_send, sent, got, ticks;
    bool reading, draining, paused, over, closer, lossy;
    sonic_frame_close_record why;
    struct sending sends[SENDS];
    uint8_t into[MOST], scratch[MOST];
};

static struct end ends[2 * PAIRS];
static size_t n_ends;

static void on_tick(sonic_timer *timer, int err, void *ud);

static uint64_t
pick(struct end *e, uint64_t n)
{
    return sonic_sim_below(e->session->sim, n);
}

static void
step_later(struct end *e)
{
    if (e->timer == NULL || sonic_timer_state(e->timer) != SONIC_TIMER_READY)
        return;
    e->session->started++;
    sonic_timer_once(e->timer, (int64_t)pick(e, 5 * MS), on_tick, e);
}

static bool
is_open(const struct end *e)
{
    return e->conn != NULL && !e->over &&
           sonic_frame_conn_state(e->conn) == SONIC_FRAME_OPEN;
}

/* ---- receiving ---- */

static void
take(struct end *e, const uint8_t *data, size_t len)
{
    const struct end *o = e->other;
    size_t expected = message_length(o->salt, e->got, o->most);

    if (e->lossy)
        return;
    if (e->got >= o->sent)
        session_wrong(e->session, "a frame was invented");
    else if (len != expected)
        session_wrong(e->session, "a frame's length is wrong");
    else if (!message_is(o->salt, e->got, expected, 0, data, len))
        session_wrong(e->session, "a frame's bytes are wrong");
    e->got++;
}

static void
on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    struct end *e = ud;

    (void)conn;
    if (e->paused)
        session_wrong(e->session, "a paused connection delivers");
    take(e, data, len);
}

static void on_read(sonic_frame_conn *conn, int err, uint8_t *data, size_t len,
                    void *ud);

static void
read_next(struct end *e)
{
    if (e->mode == PUSHED || e->reading || e->over || e->conn == NULL)
        return;
    e->reading = true;
    e->session->started++;
    if (e->mode == LENT)
        sonic_frame_async_read(e->conn, on_read, e);
    else
        sonic_frame_async_read_into(e->conn, e->into, sizeof e->into, on_read,
                                    e);
}

static void
on_read(sonic_frame_conn *conn, int err, uint8_t *data, size_t len, void *ud)
{
    struct end *e = ud;

    (void)conn;
    e->session->completed++;
    if (!e->reading || (err == 0) != (data != NULL))
        session_wrong(e->session, "a read completed wrongly");
    e->reading = false;
    if (err == -ECANCELED && e->conn != NULL && !e->over &&
        !e->session->rough) {
        step_later(e); /* cancelled by ourselves */
        return;
    }
    if (err < 0) {
        if (err != SONIC_EOF && !e->session->may_fail)
            session_wrong(e->session, sonic_errname(err));
        return;
    }
    take(e, data, len);
    if (pick(e, 10) == 0)
        step_later(e); /* which reads on */
    else
        read_next(e);
}

/* ---- sending ---- */

static void
queued(struct end *e, int r)
{
    if (r == 1)
        e->draining = true;
    if (r >= 0)
        return;
    if (!e->session->may_fail)
        session_wrong(e->session, sonic_errname(r));
    sonic_frame_conn_terminate(e->conn);
}

static void
on_drain(sonic_frame_conn *conn, void *ud)
{
    struct end *e = ud;

    (void)conn;
    if (!e->draining)
        session_wrong(e->session, "drained without having been full");
    e->draining = false;
    step_later(e);
}

static void
on_sent(sonic_frame_conn *conn, int err, void *ud)
{
    struct sending *op = ud;
    struct end *e = op->end;

    (void)conn;
    e->session->completed++;
    if (!op->busy)
        session_wrong(e->session, "a send completed twice");
    op->busy = false;
    memset(op->buf, 0xee, sizeof op->buf);
    if (err < 0 && !e->session->may_fail)
        session_wrong(e->session, sonic_errname(err));
    if (err < 0 && e->conn != NULL && !e->over)
        sonic_frame_conn_terminate(e->conn);
}

static struct sending *
free_send(struct end *e)
{
    size_t i;

    for (i = 0; i < SENDS; i++) {
        if (!e->sends[i].busy)
            return &e->sends[i];
    }
    return NULL;
}

/* A body in three parts, the middle one empty. */
static void
cut(struct end *e, uint8_t *body, size_t n, struct iovec iov[3])
{
    size_t k = (size_t)pick(e, n + 1);

    iov[0] = (struct iovec){body, k};
    iov[1] = (struct iovec){body + k, 0};
    iov[2] = (struct iovec){body + k, n - k};
}

static void
send_async(struct end *e, size_t n, struct sending *op, bool in_parts)
{
    struct iovec iov[3];

    op->end = e;
    op->busy = true;
    e->session->started++;
    message_bytes(e->salt, e->sent, n, 0, op->buf, n);
    e->sent++; /* before it can be received */
    cut(e, op->buf, n, iov);
    if (in_parts)
        sonic_frame_async_sendv(e->conn, NULL, iov, 3, on_sent, op);
    else
        sonic_frame_async_send(e->conn, op->buf, n, on_sent, op);
}

static void
send_in_place(struct end *e, size_t n)
{
    uint8_t *to = sonic_frame_reserve(e->conn, n);

    if (to == NULL) {
        queued(e, -ENOMEM);
        return;
    }
    message_bytes(e->salt, e->sent, n, 0, to, n);
    e->sent++;
    queued(e, sonic_frame_commit(e->conn, NULL, n));
}

static void
send_one(struct end *e)
{
    size_t n = message_length(e->salt, e->sent, e->most);
    struct sending *op = free_send(e);
    uint64_t how = pick(e, 5);
    struct iovec iov[3];

    if (how < 2 && op != NULL) {
        send_async(e, n, op, how == 0);
        return;
    }
    if (how == 2 && n <= SONIC_FRAME_RESERVE_MAX) {
        send_in_place(e, n);
        return;
    }
    message_bytes(e->salt, e->sent, n, 0, e->scratch, n);
    e->sent++;
    cut(e, e->scratch, n, iov);
    if (how == 3)
        queued(e, sonic_frame_sendv(e->conn, NULL, iov, 3));
    else
        queued(e, sonic_frame_send(e->conn, e->scratch, n));
}

/* ---- the end ---- */

static void
end_free(struct end *e)
{
    sonic_frame_conn *conn = e->conn;
    sonic_timer *timer = e->timer;

    e->over = true;
    e->conn = NULL;
    e->timer = NULL;
    sonic_timer_free(timer);
    sonic_frame_conn_free(conn);
}

static void
on_close(sonic_frame_conn *conn, const sonic_frame_close_record *why, void *ud)
{
    struct end *e = ud;

    if (e->over || conn != e->conn)
        session_wrong(e->session, "closed twice");
    e->over = true;
    e->why = *why;
    if (pick(e, 2) == 0)
        end_free(e);
}

static void
be_rough(struct end *e)
{
    switch (pick(e, 3)) {
    case 0:
        sonic_frame_conn_terminate(e->conn);
        break;
    case 1:
        e->lossy = true; /* what nobody reads while closing is dropped */
        sonic_frame_conn_close(e->conn);
        break;
    default:
        end_free(e);
        break;
    }
}

static void
pause_or_resume(struct end *e)
{
    if (!e->paused && pick(e, 20) > 0)
        return;
    e->paused = !e->paused;
    if (e->paused)
        sonic_frame_pause(e->conn);
    else
        sonic_frame_resume(e->conn);
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct end *e = ud;
    int i;

    (void)timer;
    e->session->completed++;
    if (err < 0 || e->over || e->conn == NULL)
        return;
    if (e->ticks++ == MAX_TICKS) {
        session_wrong(e->session, "a session never ends");
        sonic_frame_conn_terminate(e->conn);
        return;
    }
    pause_or_resume(e);
    if (e->session->rough && pick(e, 40) == 0)
        be_rough(e);
    else if (pick(e, 30) == 0)
        sonic_frame_cancel_read(e->conn);
    for (i = 0; i < STEPS && is_open(e) && !e->draining; i++) {
        if (e->sent < e->to_send)
            send_one(e);
    }
    read_next(e);
    if (e->closer && is_open(e) && e->sent == e->to_send &&
        e->got == e->other->to_send)
        sonic_frame_conn_close(e->conn);
    step_later(e);
}

/* ---- sessions ---- */

/* A format at random; the longest body that it can carry. */
static size_t
choose(struct session *s, sonic_frame_codec *codec)
{
    static const int lengths[] = {1, 2, 3, 4, 8, SONIC_FRAME_VARINT};
    sonic_frame_format f = SONIC_FRAME_FORMAT_INIT;

    f.length = lengths[sonic_sim_below(s->sim, 6)];
    if (f.length != SONIC_FRAME_VARINT) {
        f.order = (enum sonic_frame_order)sonic_sim_below(s->sim, 2);
        f.counts = (enum sonic_frame_counts)sonic_sim_below(s->sim, 3);
    }
    f.offset = (unsigned)sonic_sim_below(s->sim, 10);
    f.max_body = f.length == 1 ? SMALL : MOST;
    ck_assert_int_eq(sonic_frame_codec_init(codec, &f), 0);
    return (size_t)f.max_body;
}

static int
start_end(struct session *s, struct end *e, struct end *other,
          sonic_stream *stream, const sonic_frame_codec *codec, size_t most)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    int err;

    *e = (struct end){.session = s, .other = other, .most = most};
    e->salt = sonic_sim_random(s->sim);
    e->to_send = (unsigned)pick(e, 15);
    e->mode = (enum mode)pick(e, MODES);
    e->handler = (sonic_frame_handler){
        SONIC_FRAME_HANDLER_INIT, .on_drain = on_drain, .on_close = on_close};
    if (e->mode == PUSHED)
        e->handler.on_frame = on_frame;
    opt.close_timeout = 600 * S;
    if (pick(e, 2) == 0) {
        opt.low_water = 1 + (size_t)pick(e, 5000);
        opt.high_water = 5000 + (size_t)pick(e, 60000);
    }
    err = sonic_frame_conn_new(stream, codec, &opt, &e->handler, e, &e->conn);
    if (err < 0) {
        e->conn = NULL;
        sonic_stream_free(stream);
        return err;
    }
    err = sonic_timer_new(s->io, &e->timer);
    if (err < 0) {
        e->timer = NULL;
        return err;
    }
    step_later(e);
    read_next(e);
    return 0;
}

static int
start_pair(struct session *s, struct end *a, struct end *b)
{
    sonic_frame_codec codec;
    size_t most = choose(s, &codec);
    sonic_stream *streams[2];
    int err = session_pair(s, streams), err_b;

    if (err < 0)
        return err;
    n_ends += 2;
    err = start_end(s, a, b, streams[0], &codec, most);
    err_b = start_end(s, b, a, streams[1], &codec, most);
    a->closer = sonic_sim_below(s->sim, 2) == 0;
    b->closer = !a->closer || sonic_sim_below(s->sim, 4) == 0;
    return err < 0 ? err : err_b;
}

static void
run(struct session *s)
{
    size_t pairs = 1 + (size_t)sonic_sim_below(s->sim, PAIRS), i;
    int err = 0;

    n_ends = 0;
    for (i = 0; i < pairs && err == 0; i++)
        err = start_pair(s, &ends[2 * i], &ends[2 * i + 1]);
    if (err < 0 && !s->may_fail)
        session_wrong(s, sonic_errname(err));
    if (err == 0)
        session_run(s);
    for (i = 0; i < n_ends; i++)
        end_free(&ends[i]);
}

static void
look(struct session *s)
{
    size_t i, j;

    for (i = 0; i < n_ends; i++) {
        const struct end *e = &ends[i];

        for (j = 0; j < SENDS; j++) {
            if (e->sends[j].busy)
                session_wrong(s, "a send never completed");
        }
        if (e->reading)
            session_wrong(s, "a read never completed");
        if (s->may_fail)
            continue;
        if (e->got != e->other->to_send)
            session_wrong(s, "frames were lost");
        if (e->why.error != 0 || e->why.partial != 0 || e->why.unsent != 0 ||
            e->why.side == SONIC_FRAME_NOBODY)
            session_wrong(s, "a connection did not end in good order");
    }
}

START_TEST(sessions_survive_every_world)
{
    plan_seeds(run, look, SEEDS);
}
END_TEST

int
main(void)
{
    return plan_main("sim_frames", sessions_survive_every_world, run, look,
                     FAIL_SEEDS);
}
