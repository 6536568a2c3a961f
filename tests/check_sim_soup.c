/* SoupBinTCP sessions that lose their connections: cut at every byte of both
 * directions, cut and mistreated at random in seeded worlds.  The client comes
 * back with its position.  No message is lost, doubled or out of order; what
 * the client sends is in order, and only the tail of a connection may be lost.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>
#include <sonicio/soup.h>
#include <sonicio/timer.h>

#include "support/sim_message.h"
#include "support/sim_plan.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

enum {
    SEEDS = 3000,
    FAIL_SEEDS = 2,
    MOST = 300,    /* bytes of a message */
    SERVERS = 400, /* connections of a session */
    GIVE_UP = 350, /* ... after which it is not saved any more */
    MAX_TICKS = 40000,
    STEP = 6, /* messages published at once */
    FEW = 6,  /* messages where every byte is tried */
};

struct feed;

struct server {
    struct feed *feed;
    sonic_soup *soup;
    uint32_t heard; /* the client's last message here */
};

/* One session: its publisher, and the one subscriber. */
struct feed {
    struct session *session;
    sonic_timer *timer;
    sonic_soup *client;
    sonic_soup_position position;
    struct server servers[SERVERS];
    unsigned connections;
    uint64_t salt;
    unsigned messages;  /* of the session, in all */
    unsigned published; /* so far: the server has them */
    unsigned got;
    uint32_t said; /* number of the client's last own message */
    bool heard[MAX_TICKS + 1];
    unsigned ticks;
    bool over;      /* the client has been told that the session is over */
    bool abandoned; /* too many connections failed */
    uint8_t scratch[MOST];
};

static struct feed feed;
static uint64_t connections, resets; /* of all sessions so far */

/* What the tests decide. */
static struct {
    bool cut; /* the first connection, at the byte of the direction */
    enum sonic_sim_direction dir;
    uint64_t at;
    bool random; /* cut, terminate and free now and then */
} order;

static uint64_t
pick(struct feed *f, uint64_t n)
{
    return sonic_sim_below(f->session->sim, n);
}

static void on_tick(sonic_timer *timer, int err, void *ud);

static void
tick_later(struct feed *f)
{
    if (f->timer == NULL || sonic_timer_state(f->timer) != SONIC_TIMER_READY)
        return;
    f->session->started++;
    sonic_timer_once(f->timer,
                     order.random ? (int64_t)pick(f, 20 * MS) : 5 * MS, on_tick,
                     f);
}

/* ---- the server ---- */

static void
server_login(sonic_soup *soup, const sonic_soup_login *login, void *ud)
{
    const struct server *s = ud;
    struct feed *f = s->feed;
    int err;

    if (login->sequence == 0 || login->sequence > f->published + 1)
        session_wrong(f->session, "a client wants what is not there");
    if (login->session[0] != 0 && strcmp(login->session, "SIMULATED") != 0)
        session_wrong(f->session, "a client wants another session");
    if (s == &f->servers[f->connections - 1] && /* else it has given up */
        login->sequence != f->got + 1)
        session_wrong(f->session, "a client does not go on where it was");
    err = sonic_soup_accept(soup, "SIMULATED", login->sequence);
    if (err < 0 && !f->session->may_fail)
        session_wrong(f->session, sonic_errname(err));
    if (err < 0)
        sonic_soup_terminate(soup);
}

static const void *
server_source(sonic_soup *soup, uint64_t sequence, size_t *len, void *ud)
{
    struct feed *f = ((struct server *)ud)->feed;
    unsigned n = (unsigned)sequence;

    (void)soup;
    if (sequence > f->published)
        return NULL;
    *len = message_length(f->salt, n, MOST);
    message_bytes(f->salt, n, *len, 0, f->scratch, *len);
    return f->scratch;
}

static void
server_heard(sonic_soup *soup, uint8_t *data, size_t len, void *ud)
{
    struct server *s = ud;
    struct feed *f = s->feed;
    uint32_t n;

    (void)soup;
    if (len != sizeof n) {
        session_wrong(f->session, "a client's message is not whole");
        return;
    }
    memcpy(&n, data, sizeof n);
    if (n <= s->heard || n > f->said)
        session_wrong(f->session, "a client's messages are out of order");
    else if (f->heard[n])
        session_wrong(f->session, "a client's message came twice");
    else
        f->heard[n] = true;
    s->heard = n;
}

static void
server_closed(sonic_soup *soup, const sonic_soup_close_record *why, void *ud)
{
    struct server *s = ud;

    (void)why;
    if (soup != s->soup)
        session_wrong(s->feed->session, "a server closed twice");
    s->soup = NULL;
    sonic_soup_free(soup);
}

static const sonic_soup_handler server_handler = {
    SONIC_SOUP_HANDLER_INIT,        .on_login = server_login,
    .on_unsequenced = server_heard, .source = server_source,
    .on_close = server_closed,
};

/* ---- the client ---- */

static void
client_open(sonic_soup *soup, const char *session, uint64_t next, void *ud)
{
    struct feed *f = ud;

    (void)soup;
    if (strcmp(session, "SIMULATED") != 0 || next != f->got + 1)
        session_wrong(f->session, "a session was opened elsewhere");
}

static void
client_message(sonic_soup *soup, uint64_t sequence, uint8_t *data, size_t len,
               void *ud)
{
    struct feed *f = ud;
    unsigned n = f->got + 1;

    if (f->over)
        session_wrong(f->session, "a message came after the end");
    if (sequence != n)
        session_wrong(f->session, "a message is lost or came twice");
    else if (len != message_length(f->salt, n, MOST) ||
             !message_is(f->salt, n, len, 0, data, len))
        session_wrong(f->session, "a message was changed");
    f->got = n;
    if (order.random && pick(f, 100) == 0)
        sonic_soup_terminate(soup);
}

static void
client_closed(sonic_soup *soup, const sonic_soup_close_record *why, void *ud)
{
    struct feed *f = ud;

    if (soup != f->client)
        session_wrong(f->session, "a client closed twice");
    if (why->end == SONIC_SOUP_SESSION)
        f->over = true;
    else if (why->end == SONIC_SOUP_REJECTED)
        session_wrong(f->session, "a client was turned away");
    if (f->over && (f->got != f->messages || why->next != f->got + 1))
        session_wrong(f->session, "a session ended before its last message");
    if (f->position.next > 1 && f->position.next != f->got + 1)
        session_wrong(f->session, "a position is not kept up to date");
    f->client = NULL;
    sonic_soup_free(soup);
    tick_later(f);
}

static const sonic_soup_handler client_handler = {
    SONIC_SOUP_HANDLER_INIT,
    .on_open = client_open,
    .on_message = client_message,
    .on_close = client_closed,
};

/* ---- connections ---- */

static int
new_streams(struct feed *f, sonic_stream *out[2])
{
    sonic_sim *sim = f->session->sim;
    const sonic_sys *k = sonic_sim_sys(sim);
    int fd[2], err = sonic_sim_pair(sim, fd);

    if (err < 0)
        return err;
    if (order.cut && f->connections == 0)
        ck_assert_int_eq(sonic_sim_reset_at(sim, fd[0], order.dir, order.at),
                         0);
    if (order.random && pick(f, 2) == 0)
        ck_assert_int_eq(
            sonic_sim_reset_at(sim, fd[0], (enum sonic_sim_direction)pick(f, 2),
                               pick(f, 3000)),
            0);
    err = sonic_stream_adopt(f->session->io, fd[0], &out[0]);
    if (err < 0)
        k->close(fd[0], k->ud);
    else if ((err = sonic_stream_adopt(f->session->io, fd[1], &out[1])) < 0)
        sonic_stream_free(out[0]);
    else
        return 0;
    k->close(fd[1], k->ud);
    return err;
}

static void
connect_again(struct feed *f)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    struct server *s = &f->servers[f->connections];
    sonic_stream *streams[2];
    int err;

    if (f->connections == GIVE_UP) {
        f->abandoned = true;
        return;
    }
    err = new_streams(f, streams);
    f->connections++;
    if (err < 0)
        return; /* the next tick tries again */
    s->feed = f;
    opt.position = &f->position;
    opt.user = "sim";
    err =
        sonic_soup_client_new(streams[0], &opt, &client_handler, f, &f->client);
    if (err < 0) {
        f->client = NULL;
        sonic_stream_free(streams[0]);
        sonic_stream_free(streams[1]);
        return;
    }
    err = sonic_soup_server_new(streams[1], NULL, &server_handler, s, &s->soup);
    if (err < 0) {
        s->soup = NULL;
        sonic_stream_free(streams[1]); /* the client notices */
    }
}

/* The last connection: those before have been given up. */
static sonic_soup *
serving(struct feed *f)
{
    return f->connections > 0 ? f->servers[f->connections - 1].soup : NULL;
}

static void
serve(struct feed *f, sonic_soup *s)
{
    unsigned left = f->messages - f->published;

    if (left > 0 && pick(f, 2) == 0)
        f->published += 1 + (unsigned)pick(f, left < STEP ? left : STEP);
    sonic_soup_pump(s);
    if (order.random && pick(f, 60) == 0)
        sonic_soup_terminate(s);
    else if (f->published == f->messages &&
             sonic_soup_next(s) == f->messages + 1)
        sonic_soup_close(s); /* the session is over */
}

static void
talk(struct feed *f)
{
    uint32_t n = f->said + 1;

    if (sonic_soup_state(f->client) != SONIC_SOUP_OPEN || pick(f, 2) == 0)
        return;
    f->said = n;
    if (sonic_soup_send_unsequenced(f->client, &n, sizeof n) < 0)
        sonic_soup_terminate(f->client);
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct feed *f = ud;

    (void)timer;
    f->session->completed++;
    if (err < 0 || f->over || f->abandoned)
        return;
    if (f->ticks++ == MAX_TICKS) {
        session_wrong(f->session, "a session never ends");
        return;
    }
    if (f->client == NULL)
        connect_again(f);
    else
        talk(f);
    if (serving(f) != NULL && sonic_soup_state(serving(f)) == SONIC_SOUP_OPEN)
        serve(f, serving(f));
    if (order.random && f->client != NULL && pick(f, 200) == 0) {
        sonic_soup_free(f->client);
        f->client = NULL;
    }
    tick_later(f);
}

/* ---- sessions ---- */

static void
run(struct session *s)
{
    struct feed *f = &feed;
    unsigned i;
    int err;

    memset(f, 0, sizeof *f);
    f->session = s;
    f->salt = sonic_sim_random(s->sim);
    f->messages = order.random ? (unsigned)pick(f, 150) : FEW;
    f->published = order.random ? (unsigned)pick(f, f->messages + 1) : 2;
    err = sonic_timer_new(s->io, &f->timer);
    if (err < 0) {
        if (!s->may_fail)
            session_wrong(s, sonic_errname(err));
        return;
    }
    tick_later(f);
    session_run(s);
    if (s->may_fail && !f->over && !f->abandoned)
        session_run(s); /* it was the wait that failed */
    sonic_soup_free(f->client);
    f->client = NULL;
    for (i = 0; i < f->connections; i++)
        sonic_soup_free(f->servers[i].soup);
    sonic_timer_free(f->timer);
    f->timer = NULL;
    connections += f->connections;
}

static void
look(struct session *s)
{
    const struct feed *f = &feed;

    if (f->ticks == 0 && s->may_fail)
        return; /* nothing could be begun */
    if (f->abandoned && s->may_fail)
        return;
    if (!f->over || f->got != f->messages)
        session_wrong(s, "messages were lost");
}

/* A session alone: how many bytes its first connection carries each way. */
static void
measure(struct session *s)
{
    sonic_sim_connection c;

    run(s);
    ck_assert_int_eq(sonic_sim_connection_get(s->sim, 0, &c), 0);
    resets += c.reset;
    if (!order.cut) {
        order.dir = SONIC_SIM_SENT;
        order.at = c.written[0] > c.written[1] ? c.written[0] : c.written[1];
    }
}

/* ---- an hour of nothing ---- */

enum { HOUR = 3600 };

static sonic_soup_stats idle_stats[2];

static void
look_at_idle(sonic_timer *timer, int err, void *ud)
{
    struct feed *f = ud;

    (void)timer;
    f->session->completed++;
    ck_assert_int_eq(err, 0);
    ck_assert_ptr_nonnull(f->client);
    ck_assert_ptr_nonnull(f->servers[0].soup);
    sonic_soup_get_stats(f->client, &idle_stats[0]);
    sonic_soup_get_stats(f->servers[0].soup, &idle_stats[1]);
    f->over = true;
    f->messages = f->got;
    sonic_soup_close(f->client); /* a logout: the session goes on */
}

static void
idle(struct session *s)
{
    struct feed *f = &feed;

    memset(f, 0, sizeof *f);
    f->session = s;
    connect_again(f);
    ck_assert_int_eq(sonic_timer_new(s->io, &f->timer), 0);
    s->started++;
    sonic_timer_once(f->timer, HOUR * S, look_at_idle, f);
    session_run(s);
    sonic_timer_free(f->timer);
    f->timer = NULL;
}

static void
idle_look(struct session *s)
{
    int i;

    if (feed.client != NULL || feed.servers[0].soup != NULL)
        session_wrong(s, "an idle connection did not log out");
    for (i = 0; i < 2; i++) {
        if (idle_stats[i].heartbeats_out < HOUR - 2 ||
            idle_stats[i].heartbeats_out > HOUR + 1 ||
            idle_stats[i].heartbeats_in < HOUR - 2)
            session_wrong(s, "there was not one heartbeat a second");
    }
}

START_TEST(an_idle_connection_lives)
{
    struct plan p = {.run = idle,
                     .look = idle_look,
                     .world = SONIC_SIM_OPTIONS_INIT,
                     .call = SONIC_SIM_ANY};
    const char *wrong;

    memset(&order, 0, sizeof order);
    p.world.latency_max = 20 * MS;
    wrong = plan_run(&p);
    ck_assert_msg(wrong == NULL, "%s", wrong);
}
END_TEST

static const char *
one(uint64_t seed)
{
    struct plan p = {.run = measure,
                     .look = look,
                     .world = SONIC_SIM_OPTIONS_INIT,
                     .call = SONIC_SIM_ANY};

    p.world.seed = seed;
    p.world.latency_min = p.world.latency_max = MS;
    return plan_run(&p);
}

START_TEST(cut_at_every_byte)
{
    uint64_t seed = (uint64_t)_i + 1, at, most;
    int dir;

    memset(&order, 0, sizeof order);
    ck_assert_ptr_null(one(seed));
    ck_assert_uint_eq(connections, 1);
    most = order.at;
    ck_assert_uint_gt(most, 100);
    order.cut = true;
    for (dir = 0; dir < 2; dir++) {
        order.dir = (enum sonic_sim_direction)dir;
        connections = resets = 0;
        for (at = 0; at <= most; at++) {
            const char *wrong;

            order.at = at;
            wrong = one(seed);
            ck_assert_msg(wrong == NULL,
                          "seed %" PRIu64 ", direction %d cut at byte %" PRIu64
                          ": %s",
                          seed, dir, at, wrong);
        }
        ck_assert_uint_gt(resets, 50); /* the shorter way has fewer bytes */
        ck_assert_uint_gt(connections, most + 50);
    }
}
END_TEST

START_TEST(sessions_survive_every_world)
{
    memset(&order, 0, sizeof order);
    order.random = true;
    connections = 0;
    plan_seeds(run, look, SEEDS);
    if (getenv("SONIC_SEED") == NULL && getenv("SONIC_SEEDS") == NULL)
        ck_assert_uint_gt(connections, 2 * SEEDS);
}
END_TEST

START_TEST(every_call_may_fail)
{
    memset(&order, 0, sizeof order);
    plan_fail_each(run, look, SONIC_SIM_ANY, (uint64_t)_i + 1);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    memset(&order, 0, sizeof order);
    plan_fail_each(run, look, SONIC_SIM_ALLOC, (uint64_t)_i + 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sim_soup");
    TCase *tc = tcase_create("sessions");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, cut_at_every_byte, 0, 2);
    tcase_add_test(tc, an_idle_connection_lives);
    tcase_add_test(tc, sessions_survive_every_world);
    tcase_add_loop_test(tc, every_call_may_fail, 0, FAIL_SEEDS);
    tcase_add_loop_test(tc, every_allocation_may_fail, 0, FAIL_SEEDS);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
