#include "sim_feed.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "sim_message.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

enum { MAX_TICKS = 60000, BEFORE = 3, AFTER = 40, MOST_MESSAGES = 200 };

struct feed feed;

static const char *const groups[2][2] = {
    {"239.1.1.1:5001", "239.1.1.2:5002"},
    {"[ff05::1:1]:5001", "[ff05::1:2]:5002"}};
static const char *const addresses[2][2] = {{"239.1.1.1", "239.1.1.2"},
                                            {"ff05::1:1", "ff05::1:2"}};
static const char *const devices[2] = {"eth0", "eth1"};
static const char *const server_at[2][FEED_SERVERS] = {
    {"10.0.0.1:6001", "10.0.0.2:6002"}, {"[fd00::1]:6001", "[fd00::2]:6002"}};

static uint64_t
pick(struct feed *f, uint64_t n)
{
    return sonic_sim_below(f->session->sim, n);
}

static void
wrong(struct subscriber *u, const char *what)
{
    session_wrong(u->feed->session, what);
}

/* With SONIC_SEED: what a subscriber hears, and when. */
static void
show(const struct subscriber *u, const char *what, uint64_t first,
     uint64_t last)
{
    if (u->feed->show)
        printf("%14" PRId64 " subscriber %d: %s %" PRIu64 "-%" PRIu64 "\n",
               sonic_sim_now(u->feed->session->sim),
               (int)(u - u->feed->subscribers), what, first, last);
}

/* ---- the oracle ---- */

static void
on_session(sonic_mold_receiver *r, const char *session, uint64_t first,
           void *ud)
{
    struct subscriber *u = ud;
    struct feed *f = u->feed;
    int day;

    (void)r;
    for (day = 0; day < f->n_days; day++) {
        if (strcmp(f->days[day].name, session) == 0)
            break;
    }
    if (day == f->n_days || day <= u->day) {
        wrong(u, "a session was invented, or came back");
        return;
    }
    if (first == 0 || first > f->days[day].published + 1 ||
        (first != 1 && !u->join))
        wrong(u, "a session does not begin at its beginning");
    show(u, session, first, 0);
    u->sessions++;
    u->day = day;
    u->next = first;
    u->open = 0;
    u->waiting = false;
}

static void
on_message(sonic_mold_receiver *r, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    struct subscriber *u = ud;
    const struct day *d;
    unsigned n = (unsigned)sequence;

    (void)r;
    if (u->day < 0 || u->over || u->waiting) {
        wrong(u, "a message came where none may");
        return;
    }
    d = &u->feed->days[u->day];
    if (sequence != u->next)
        wrong(u, "a message was lost, doubled or out of order");
    else if (sequence > d->published)
        wrong(u, "a message was invented");
    else if (len != message_length(d->salt, n, FEED_MOST) ||
             !message_is(d->salt, n, len, 0, data, len))
        wrong(u, "a message was changed");
    memset(data, 0xee, len); /* it is ours meanwhile */
    show(u, "message", sequence, sequence);
    u->next = sequence + 1;
    u->messages++;
}

static void
on_gap(sonic_mold_receiver *r, const sonic_mold_gap *gap, void *ud)
{
    struct subscriber *u = ud;
    size_t i;

    (void)r;
    show(u, "gap", gap->first, gap->last);
    u->gaps++;
    if (gap->first > gap->last || gap->first < u->next ||
        gap->missing != gap->last - gap->first + 1)
        wrong(u, "a gap makes no sense");
    for (i = 0; i < u->open; i++) {
        if (gap->first <= u->gap[i].last && gap->last >= u->gap[i].first)
            wrong(u, "a gap was told twice");
    }
    if (u->open == FEED_GAPS) {
        wrong(u, "there are more gaps than there may be");
        return;
    }
    u->gap[u->open].first = gap->first;
    u->gap[u->open++].last = gap->last;
}

static void
close_gap(struct subscriber *u, size_t i)
{
    u->gap[i] = u->gap[--u->open];
}

static void
on_filled(sonic_mold_receiver *r, const sonic_mold_gap *gap, void *ud)
{
    struct subscriber *u = ud;
    size_t i;

    (void)r;
    show(u, "filled", gap->first, gap->last);
    u->filled++;
    if (gap->missing != 0 || gap->took < 0 ||
        gap->from_feeds + gap->from_requests != gap->last - gap->first + 1)
        wrong(u, "a filled gap's account is wrong");
    for (i = 0; i < u->open; i++) {
        if (u->gap[i].first == gap->first && u->gap[i].last <= gap->last) {
            close_gap(u, i);
            return;
        }
    }
    wrong(u, "a gap was filled twice, or never was");
}

/* Gaps below a number are nobody's affair any more. */
static void
forget_gaps(struct subscriber *u, uint64_t below)
{
    size_t i = 0;

    while (i < u->open) {
        if (u->gap[i].first < below)
            close_gap(u, i);
        else
            i++;
    }
}

static void
on_lost(sonic_mold_receiver *r, uint64_t first, uint64_t last, void *ud)
{
    struct subscriber *u = ud;
    struct feed *f = u->feed;

    (void)r;
    show(u, "lost", first, last);
    if (first != u->next || last < first)
        wrong(u, "what was lost is not what came next");
    /* Requests are not given up, all fits the window, the server answers as
     * long as the session is the last. */
    if (f->patient && f->window >= MOST_MESSAGES && !f->session->may_fail &&
        u->day == f->n_days - 1)
        wrong(u, "messages were given up although a server has them");
    u->waiting = false; /* a new session: the snapshot is of no use now */
    u->lost += last - first + 1;
    u->next = last + 1;
    forget_gaps(u, u->next);
}

static void
on_snapshot(sonic_mold_receiver *r, uint64_t next, uint64_t newest, void *ud)
{
    struct subscriber *u = ud;
    struct feed *f = u->feed;

    show(u, "snapshot", next, newest);
    if (next != u->next || newest < next || u->waiting || u->day < 0 ||
        newest > f->days[u->day].published + 1)
        wrong(u, "a snapshot is asked for in the wrong place");
    u->snapshots++;
    u->open = 0; /* gaps are told anew afterwards */
    u->from = next + pick(f, newest - next + 1);
    u->waiting = pick(f, 3) > 0;
    if (u->waiting)
        return; /* the next tick has it */
    show(u, "resume", u->from, u->from);
    u->next = u->from;
    forget_gaps(u, u->next);
    if (sonic_mold_receiver_resume(r, u->from, sonic_sim_now(f->session->sim)) <
        0)
        wrong(u, "there is no going on after a snapshot");
}

static void
on_end(sonic_mold_receiver *r, uint64_t next, void *ud)
{
    struct subscriber *u = ud;
    struct feed *f = u->feed;

    (void)r;
    show(u, "end", next, next);
    u->ended++;
    if (u->day < 0 || u->over || u->waiting || next != u->next ||
        next != f->days[u->day].messages + 1)
        wrong(u, "a session ended before its end");
    if (u->open > 0)
        wrong(u, "a gap's filling was never told");
    u->over = u->day == f->n_days - 1;
}

static const sonic_mold_handler handler = {
    SONIC_MOLD_HANDLER_INIT, .on_session = on_session, .on_message = on_message,
    .on_gap = on_gap,        .on_filled = on_filled,   .on_lost = on_lost,
    .on_end = on_end,
};

static const sonic_mold_handler snapshooter = {
    SONIC_MOLD_HANDLER_INIT,    .on_session = on_session,
    .on_message = on_message,   .on_gap = on_gap,
    .on_filled = on_filled,     .on_lost = on_lost,
    .on_snapshot = on_snapshot, .on_end = on_end,
};

/* ---- making one ---- */

static const sonic_udp_options small = {.size = sizeof(sonic_udp_options),
                                        .datagram_max = 1500,
                                        .queue_limit = 64 << 10};

static int
new_publisher(struct feed *f)
{
    sonic_mold_packer_options pack = SONIC_MOLD_PACKER_OPTIONS_INIT;
    sonic_mold_publisher_options opt = SONIC_MOLD_PUBLISHER_OPTIONS_INIT;
    sonic_mold_feed feeds[2];
    int i;

    for (i = 0; i < 2; i++)
        feeds[i] = (sonic_mold_feed){.address = groups[f->six][i],
                                     .interface = devices[i]};
    pack.session = f->days[f->day].name;
    pack.packet_max = f->packet_max;
    pack.store = f->store;
    opt.packer = &pack;
    opt.udp = &small;
    opt.feeds = feeds;
    opt.n_feeds = 2;
    return sonic_mold_publisher_new(f->session->io, &opt, &f->publisher);
}

static int
new_server(struct feed *f, size_t i)
{
    sonic_mold_answerer_options answer = SONIC_MOLD_ANSWERER_OPTIONS_INIT;
    sonic_mold_server_options opt = SONIC_MOLD_SERVER_OPTIONS_INIT;

    answer.session = f->days[f->day].name;
    answer.store = f->store;
    answer.packets = 1 + (unsigned)pick(f, 4);
    answer.packet_max = f->packet_max;
    opt.address = server_at[f->six][i];
    opt.answerer = &answer;
    opt.udp = &small;
    return sonic_mold_server_new(f->session->io, &opt, &f->servers[i]);
}

static int
new_subscriber(struct feed *f, struct subscriber *u)
{
    sonic_mold_receiver_options receiver = SONIC_MOLD_RECEIVER_OPTIONS_INIT;
    sonic_mold_subscriber_options opt = SONIC_MOLD_SUBSCRIBER_OPTIONS_INIT;
    sonic_mold_feed feeds[2];
    int i;

    u->feed = f;
    u->day = -1;
    u->join = pick(f, 4) == 0;
    for (i = 0; i < 2; i++)
        feeds[i] = (sonic_mold_feed){.address = groups[f->six][i],
                                     .interface = devices[i]};
    receiver.join = u->join ? SONIC_ON : SONIC_DEFAULT;
    receiver.request_tries = f->patient ? 100000 : 1 + (unsigned)pick(f, 4);
    receiver.request_max = 1 + (unsigned)pick(f, 100);
    receiver.window = f->window;
    receiver.hold_bytes = 256 << 10;
    receiver.gaps_max = FEED_GAPS;
    opt.receiver = &receiver;
    opt.feeds = feeds;
    opt.n_feeds = 2;
    opt.servers = server_at[f->six];
    opt.udp = &small;
    opt.n_servers = (unsigned)f->n_servers;
    return sonic_mold_subscriber_new(f->session->io, &opt,
                                     pick(f, 2) == 0 ? &handler : &snapshooter,
                                     u, &u->mold);
}

static int
new_store(struct feed *f)
{
    sonic_mold_store_options opt = SONIC_MOLD_STORE_OPTIONS_INIT;

    opt.mem = sonic_sim_mem(f->session->sim);
    opt.messages = 4096;
    opt.bytes = 1 << 20;
    return sonic_mold_store_new(&opt, &f->store);
}

static void
choose(struct feed *f)
{
    static const char *const names[FEED_DAYS] = {"MONDAY", "TUESDAY"};
    int i;

    f->six = pick(f, 2) == 0;
    f->patient = pick(f, 2) == 0;
    f->dark = pick(f, 4) == 0;
    f->window = pick(f, 4) == 0 ? 32 : 1024;
    f->packet_max = pick(f, 3) == 0 ? 300 : 1400;
    f->n_servers = (f->patient ? 1 : 0) + (size_t)pick(f, FEED_SERVERS);
    f->n_subscribers = 1 + (size_t)pick(f, FEED_SUBSCRIBERS);
    f->n_days = pick(f, 4) == 0 ? 2 : 1;
    for (i = 0; i < f->n_days; i++) {
        struct day *d = &f->days[i];

        strcpy(d->name, names[i]);
        d->salt = sonic_sim_random(f->session->sim);
        d->messages = pick(f, MOST_MESSAGES);
        d->unended = i + 1 < f->n_days && pick(f, 2) == 0;
    }
}

static int
begin(struct feed *f)
{
    sonic_sim *sim = f->session->sim;
    size_t i;
    int err;

    ck_assert_int_eq(sonic_sim_interface(sim, "eth0", "10.0.0.1 fd00::1", 1),
                     2);
    ck_assert_int_eq(sonic_sim_interface(sim, "eth1", "10.0.0.2 fd00::2", 2),
                     3);
    if ((err = new_store(f)) < 0 || (err = new_publisher(f)) < 0)
        return err;
    for (i = 0; i < f->n_servers && err == 0; i++)
        err = new_server(f, i);
    for (i = 0; i < f->n_subscribers && err == 0; i++)
        err = new_subscriber(f, &f->subscribers[i]);
    return err < 0 ? err : sonic_timer_new(f->session->io, &f->timer);
}

/* ---- its course ---- */

static void on_tick(sonic_timer *timer, int err, void *ud);

static void
tick_later(struct feed *f)
{
    f->session->started++;
    sonic_timer_once(f->timer, (int64_t)pick(f, 10 * MS), on_tick, f);
}

static void
publish(struct feed *f)
{
    struct day *d = &f->days[f->day];
    uint8_t text[FEED_MOST];
    unsigned n = (unsigned)d->published + 1;
    size_t len = message_length(d->salt, n, FEED_MOST);
    int err;

    message_bytes(d->salt, n, len, 0, text, len);
    d->published++; /* before it can be received */
    err = sonic_mold_publish(f->publisher, text, len);
    if (err < 0)
        session_wrong(f->session, sonic_errname(err));
}

/* Both feeds are cut: more is lost than the window holds, or nothing but the
 * requests can tell. */
static void
darken(struct feed *f, enum sonic_sim_route what)
{
    int i;

    for (i = 0; i < 2; i++)
        ck_assert_int_eq(
            sonic_sim_route(f->session->sim, addresses[f->six][i], what, 0), 0);
}

static void
next_day(struct feed *f)
{
    size_t i;
    int err;

    if (f->days[f->day].unended)
        f->days[f->day].messages = f->days[f->day].published;
    sonic_mold_publisher_free(f->publisher);
    f->publisher = NULL;
    f->day++;
    sonic_mold_store_clear(f->store);
    err = new_publisher(f);
    for (i = 0; i < f->n_servers && err == 0; i++)
        err = sonic_mold_answerer_session(
            sonic_mold_server_answerer(f->servers[i]), f->days[f->day].name);
    if (err < 0 && !f->session->may_fail)
        session_wrong(f->session, sonic_errname(err));
    f->since_end = 0;
}

static void
resume(struct subscriber *u)
{
    sonic_mold_receiver *r = sonic_mold_subscriber_receiver(u->mold);

    if (!u->waiting || pick(u->feed, 4) > 0)
        return;
    show(u, "resume", u->from, u->from);
    u->waiting = false;
    u->next = u->from;
    forget_gaps(u, u->next);
    if (sonic_mold_receiver_resume(r, u->from,
                                   sonic_sim_now(u->feed->session->sim)) < 0)
        wrong(u, "there is no going on after a snapshot");
    sonic_mold_subscriber_kick(u->mold);
}

static bool
all_over(const struct feed *f)
{
    size_t i;

    for (i = 0; i < f->n_subscribers; i++) {
        if (!f->subscribers[i].over)
            return false;
    }
    return true;
}

static void
go_on(struct feed *f)
{
    struct day *d = &f->days[f->day];
    uint64_t n;

    if (f->publisher == NULL)
        return; /* it could not be made */
    if (f->ticks < BEFORE && pick(f, 2) == 0)
        return; /* the subscribers are there before it begins, mostly */
    for (n = pick(f, 8); n > 0 && d->published < d->messages; n--)
        publish(f);
    if (pick(f, 3) == 0)
        sonic_mold_publisher_flush(f->publisher);
    if (d->published < d->messages)
        return;
    if (!d->unended)
        sonic_mold_publisher_end(f->publisher);
    f->since_end++;
    if (f->day + 1 < f->n_days && f->since_end > AFTER)
        next_day(f);
}

static void
stop(struct feed *f)
{
    size_t i;

    for (i = 0; i < f->n_subscribers; i++) {
        sonic_mold_subscriber_free(f->subscribers[i].mold);
        f->subscribers[i].mold = NULL;
    }
    for (i = 0; i < f->n_servers; i++) {
        sonic_mold_server_free(f->servers[i]);
        f->servers[i] = NULL;
    }
    sonic_mold_publisher_free(f->publisher);
    f->publisher = NULL;
    sonic_mold_store_free(f->store);
    f->store = NULL;
    sonic_timer_free(f->timer);
    f->timer = NULL;
}

static void
on_tick(sonic_timer *timer, int err, void *ud)
{
    struct feed *f = ud;
    size_t i;

    (void)timer;
    f->session->completed++;
    if (err < 0)
        return;
    if (f->dark && f->ticks == 10)
        darken(f, SONIC_SIM_BLACKHOLE);
    if (f->dark && f->ticks == 40)
        darken(f, SONIC_SIM_NORMAL);
    go_on(f);
    for (i = 0; i < f->n_subscribers; i++)
        resume(&f->subscribers[i]);
    if (all_over(f) || f->ticks++ == MAX_TICKS ||
        (f->session->may_fail && f->ticks > MAX_TICKS / 10))
        stop(f);
    else
        tick_later(f);
}

void
feed_run(struct session *s)
{
    struct feed *f = &feed;
    int err;

    memset(f, 0, sizeof *f);
    f->session = s;
    f->show = getenv("SONIC_SEED") != NULL;
    choose(f);
    err = begin(f);
    if (err < 0 && !s->may_fail)
        session_wrong(s, sonic_errname(err));
    if (err == 0) {
        tick_later(f);
        session_run(s);
    }
    stop(f);
}

void
feed_look(struct session *s)
{
    const struct feed *f = &feed;

    if (f->show)
        printf("memory at most %" PRIu64 "\n",
               sonic_sim_stats(s->sim)->block_bytes_most);
    if (sonic_sim_stats(s->sim)->block_bytes_most > FEED_MEMORY)
        session_wrong(s, "memory is not bounded");
    if (!s->may_fail && !all_over(f))
        session_wrong(s, "a subscriber never came to the end");
}
