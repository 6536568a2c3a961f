/* Frame connections in simulated worlds.
 *
 * Two of them talk: each sends so many frames in every way there is, takes the
 * other's in every way there is, pauses, and closes.  Whatever the network
 * does, what arrives is what was sent, in order, up to where it was cut;
 * without cuts it is all of it.  Every operation completes once.
 *
 * SONIC_SEED=n plays seed n alone, and says what happened. */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/frame.h>
#include <sonicio/sim.h>
#include <sonicio/timer.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)

enum { SEEDS = 2000, LARGEST = 120000, UNDER_WAY = 4 };

/* ---- the two ends ----------------------------------------------------- */

struct part {
    bool busy; /* an async_send refers to it */
    struct end *end;
    uint8_t bytes[LARGEST];
};

struct end {
    sonic_frame_conn *conn;
    sonic_timer *timer;
    struct end *other;
    unsigned id;
    size_t n_send, sent, got; /* frames to send, sent, received */
    size_t begun, done;       /* operations that call back */
    size_t closes;
    size_t cap; /* of the next read_into */
    bool pull, blocked, closing, reading;
    sonic_frame_close_record why;
    struct part parts[UNDER_WAY];
    uint8_t into[LARGEST];
};

static struct world {
    sonic_sim *sim;
    sonic_io *io;
    uint64_t seed;
    bool lossless;
    struct end end[2];
} w;

#define MUST(cond)                                                             \
    do {                                                                       \
        if (!(cond))                                                           \
            ck_abort_msg("seed %" PRIu64 ": %s", w.seed, #cond);               \
    } while (0)

static uint64_t
below(uint64_t n)
{
    return sonic_sim_below(w.sim, n);
}

/* ---- what the frames are ---------------------------------------------- */

static uint64_t
mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) + b;

    x ^= x >> 31;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 27;
}

static size_t
length(unsigned id, size_t i)
{
    uint64_t x = mix(w.seed * 2 + id, i);

    switch (x >> 60) {
    case 0:
        return 0;
    case 1:
    case 2:
        return x % 6000;
    case 3:
        return x % LARGEST;
    default:
        return x % 60;
    }
}

static void
fill(uint8_t *p, unsigned id, size_t i)
{
    size_t n = length(id, i);

    for (size_t k = 0; k < n; k++)
        p[k] = (uint8_t)(i * 31 + k * 7 + k / 256 + id);
}

/* Frame `got` of the other end, and nothing else. */
static void
check_frame(struct end *e, const uint8_t *data, size_t len)
{
    static uint8_t want[LARGEST];
    unsigned id = e->other->id;

    MUST(e->got < e->other->sent);
    MUST(len == length(id, e->got));
    fill(want, id, e->got);
    MUST(len == 0 || memcmp(data, want, len) == 0);
    e->got++;
}

/* ---- sending ---------------------------------------------------------- */

static void send_some(struct end *e);

static void
on_sent(sonic_frame_conn *conn, int err, void *ud)
{
    struct part *p = ud;
    struct end *e = p->end;

    MUST(conn == e->conn && p->busy);
    p->busy = false;
    e->done++;
    if (err == 0) {
        send_some(e);
        return;
    }
    MUST(!w.lossless);
    sonic_frame_conn_terminate(conn); /* a hole would follow */
}

/* Begin an async_send of frame i; false: too many are under way. */
static bool
send_async(struct end *e, size_t i)
{
    struct part *p = e->parts;
    size_t n = length(e->id, i);
    struct iovec iov[2];

    while (p < e->parts + UNDER_WAY && p->busy)
        p++;
    if (p == e->parts + UNDER_WAY)
        return false;
    p->busy = true;
    p->end = e;
    fill(p->bytes, e->id, i);
    iov[0] = (struct iovec){p->bytes, n / 2};
    iov[1] = (struct iovec){p->bytes + n / 2, n - n / 2};
    e->begun++;
    e->sent++;
    if (below(2))
        sonic_frame_async_send(e->conn, p->bytes, n, on_sent, p);
    else
        sonic_frame_async_sendv(e->conn, NULL, iov, 2, on_sent, p);
    return true;
}

static int
send_in_place(struct end *e, size_t i)
{
    uint8_t *p = sonic_frame_reserve(e->conn, length(e->id, i));

    if (p == NULL)
        return -ENOMEM;
    fill(p, e->id, i);
    return sonic_frame_commit(e->conn, NULL, length(e->id, i));
}

static int
send_copied(struct end *e, size_t i)
{
    static uint8_t bytes[LARGEST];
    size_t n = length(e->id, i);
    struct iovec iov[3] = {{bytes, n / 3}, {NULL, 0}, {bytes, 0}};
    int r;

    fill(bytes, e->id, i);
    iov[2] = (struct iovec){bytes + n / 3, n - n / 3};
    r = below(2) ? sonic_frame_send(e->conn, bytes, n)
                 : sonic_frame_sendv(e->conn, NULL, iov, 3);
    memset(bytes, 0xff, n); /* it was copied, or is gone */
    return r;
}

/* The end of our sending: orderly, once the other's frames have come too. */
static void
maybe_close(struct end *e)
{
    if (e->closing || e->sent < e->n_send || e->got < e->other->n_send)
        return;
    e->closing = true;
    sonic_frame_conn_close(e->conn);
}

static void
send_some(struct end *e)
{
    int r = 0;

    while (r >= 0 && !e->blocked && !e->closing && e->sent < e->n_send &&
           sonic_frame_conn_state(e->conn) == SONIC_FRAME_OPEN) {
        if (below(4) == 0) {
            if (!send_async(e, e->sent))
                return; /* on_sent goes on */
            continue;
        }
        r = length(e->id, e->sent) <= SONIC_FRAME_RESERVE_MAX && below(2)
                ? send_in_place(e, e->sent)
                : send_copied(e, e->sent);
        if (r >= 0)
            e->sent++;
        e->blocked = r == 1;
    }
    if (r < 0) { /* a hole would follow */
        MUST(!w.lossless);
        sonic_frame_conn_terminate(e->conn);
        return;
    }
    maybe_close(e);
}

static void
on_drain(sonic_frame_conn *conn, void *ud)
{
    struct end *e = ud;

    MUST(conn == e->conn && e->blocked);
    e->blocked = false;
    send_some(e);
}

/* ---- receiving -------------------------------------------------------- */

static void
on_timer(sonic_timer *timer, int err, void *ud)
{
    struct end *e = ud;

    (void)timer;
    if (err == 0)
        sonic_frame_resume(e->conn);
}

static void
on_frame(sonic_frame_conn *conn, uint8_t *data, size_t len, void *ud)
{
    struct end *e = ud;

    MUST(conn == e->conn && e->closes == 0);
    check_frame(e, data, len);
    memset(data, 0xee, len); /* it is ours until we return */
    if (below(16) == 0 && sonic_timer_state(e->timer) == SONIC_TIMER_READY) {
        sonic_frame_pause(conn);
        sonic_timer_once(e->timer, (int64_t)below(30 * MS), on_timer, e);
    }
    if (below(2))
        send_some(e);
    maybe_close(e);
}

static void read_next(struct end *e);

static void
on_read(sonic_frame_conn *conn, int err, uint8_t *data, size_t len, void *ud)
{
    struct end *e = ud;

    MUST(conn == e->conn && e->reading);
    e->reading = false;
    e->done++;
    if (err == SONIC_ETOOBIG) {
        MUST(len > e->cap);
        e->cap = len;
        read_next(e);
        return;
    }
    if (err < 0)
        return;
    check_frame(e, data, len);
    if (e->got < e->other->n_send)
        read_next(e);
    else
        maybe_close(e);
}

static void
read_next(struct end *e)
{
    e->reading = true;
    e->begun++;
    if (e->cap == 0 && below(2)) {
        sonic_frame_async_read(e->conn, on_read, e);
        return;
    }
    if (e->cap == 0)
        e->cap = below(4) ? LARGEST : below(LARGEST);
    sonic_frame_async_read_into(e->conn, e->into, e->cap, on_read, e);
    e->cap = 0;
}

static void
on_close(sonic_frame_conn *conn, const sonic_frame_close_record *why, void *ud)
{
    struct end *e = ud;

    MUST(conn == e->conn);
    MUST(!e->reading && e->begun == e->done); /* it is the last */
    e->closes++;
    e->why = *why;
    sonic_timer_cancel(e->timer);
}

/* ---- a session -------------------------------------------------------- */

static const sonic_frame_handler push = {
    SONIC_FRAME_HANDLER_INIT,
    .on_frame = on_frame,
    .on_drain = on_drain,
    .on_close = on_close,
};

static const sonic_frame_handler pull = {
    SONIC_FRAME_HANDLER_INIT,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void
choose_format(sonic_frame_format *f)
{
    static const int lengths[] = {3, 4, 8, SONIC_FRAME_VARINT};

    f->length = lengths[below(4)];
    f->counts = (enum sonic_frame_counts)below(3);
    f->offset = below(3) == 0 ? (unsigned)below(30) : 0;
    if (f->length != SONIC_FRAME_VARINT && below(2))
        f->order = SONIC_FRAME_LITTLE_ENDIAN;
}

static void
choose_world(sonic_sim_options *opt, uint64_t seed)
{
    sonic_sim_swarm(opt, seed);
    if (!w.lossless)
        return;
    opt->faults.reset = 0;
    opt->faults.send_nobufs = 0;
    opt->faults.socket_nobufs = 0;
    opt->faults.map_fails = 0;
    opt->faults.memfd_fails = 0;
    opt->faults.alloc_fails = 0;
}

static int
open_end(struct end *e, int fd, const sonic_frame_codec *codec,
         const sonic_frame_options *opt)
{
    sonic_stream *s;
    int err = sonic_timer_new(w.io, &e->timer);

    if (err == 0)
        err = sonic_stream_adopt(w.io, fd, &s);
    if (err < 0) {
        sonic_sim_sys(w.sim)->close(fd, sonic_sim_sys(w.sim)->ud);
        return err;
    }
    e->n_send = below(60);
    e->pull = below(3) == 0;
    err = sonic_frame_conn_new(s, codec, opt, e->pull ? &pull : &push, e,
                               &e->conn);
    if (err < 0)
        sonic_stream_free(s);
    return err;
}

static int
open_ends(void)
{
    sonic_frame_options opt = SONIC_FRAME_OPTIONS_INIT;
    sonic_frame_format format = SONIC_FRAME_FORMAT_INIT;
    sonic_frame_codec codec;
    int fd[2], err;

    choose_format(&format);
    MUST(sonic_frame_codec_init(&codec, &format) == 0);
    opt.close_timeout = w.lossless ? 3600 * SECOND : SECOND;
    opt.high_water = 1 + below(200000);
    opt.low_water = 1 + below(opt.high_water);
    err = sonic_sim_pair(w.sim, fd);
    if (err < 0)
        return err;
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &w.end[i];

        e->other = &w.end[1 - i];
        e->id = i;
        if (err == 0)
            err = open_end(e, fd[i], &codec, &opt);
        else
            sonic_sim_sys(w.sim)->close(fd[i], sonic_sim_sys(w.sim)->ud);
    }
    return err;
}

static void
close_ends(void)
{
    for (int i = 0; i < 2; i++) {
        sonic_frame_conn_free(w.end[i].conn);
        sonic_timer_free(w.end[i].timer);
    }
}

/* Run until both are over; nothing may hang. */
static void
talk(void)
{
    for (int i = 0; i < 2; i++) {
        struct end *e = &w.end[i];

        if (e->pull && e->other->n_send > 0)
            read_next(e);
        send_some(e);
    }
    while (w.end[0].closes == 0 || w.end[1].closes == 0) {
        int ran = sonic_io_run(w.io);

        if (ran < 0 && !w.lossless)
            break; /* the wait itself may fail */
        MUST(ran > 0);
        if (w.end[0].closes == 0 && w.end[1].closes > 0)
            sonic_frame_conn_close(w.end[0].conn); /* nothing was under way */
        if (w.end[1].closes == 0 && w.end[0].closes > 0)
            sonic_frame_conn_close(w.end[1].conn);
    }
}

static void
judge(void)
{
    for (int i = 0; i < 2; i++) {
        struct end *e = &w.end[i];

        MUST(e->begun == e->done);
        if (!w.lossless)
            continue;
        MUST(e->closes == 1);
        MUST(e->sent == e->n_send && e->got == e->other->n_send);
        MUST(e->why.error == 0 && e->why.partial == 0 && e->why.unsent == 0);
    }
}

static void
play(uint64_t seed)
{
    sonic_sim_options world = SONIC_SIM_OPTIONS_INIT;
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    sonic_sim_leaks leaks;
    bool talked;

    memset(&w.end, 0, sizeof w.end);
    w.seed = seed;
    w.lossless = seed % 2 == 0;
    choose_world(&world, seed);
    MUST(sonic_sim_new(&w.sim, &world) == 0);
    opt.sys = sonic_sim_sys(w.sim);
    opt.mem = sonic_sim_mem(w.sim);
    opt.buffer_size = (size_t)4096 << below(6);
    if (sonic_io_new(&w.io, &opt) == 0) {
        talked = open_ends() == 0;
        MUST(talked || !w.lossless);
        if (talked)
            talk();
        close_ends();
        sonic_io_free(w.io);
        judge();
    } else {
        MUST(!w.lossless);
    }
    if (sonic_sim_free(w.sim, &leaks) < 0)
        ck_abort_msg("seed %" PRIu64 ": left over: %s", seed, leaks.what);
}

START_TEST(what_is_sent_arrives_in_any_world)
{
    const char *one = getenv("SONIC_SEED");
    uint64_t n = getenv("SONIC_TEST_SLOW") != NULL ? SEEDS / 20 : SEEDS;

    for (uint64_t seed = 1; one == NULL && seed <= n; seed++)
        play(seed);
    if (one == NULL)
        return;
    play(strtoull(one, NULL, 10));
    for (int i = 0; i < 2; i++)
        printf("end %d: sent %zu of %zu, got %zu, ended by %s in state %d\n", i,
               w.end[i].sent, w.end[i].n_send, w.end[i].got,
               sonic_errname(w.end[i].why.error), (int)w.end[i].why.state);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("frame sim");
    TCase *tc = tcase_create("sim");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 100);
    tcase_add_test(tc, what_is_sent_arrives_in_any_world);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
