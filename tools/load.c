/* Closed loop: each connection has `depth` messages under way, and an answer
 * sends the next one; a message's time begins when it is sent.
 *
 * Open loop: messages are due at fixed times, whatever the answers do, and a
 * message's time begins when it was due.  What a slow server delays counts for
 * every message that it delays, which is what a closed loop hides
 * ("coordinated omission").  Messages go to the connections in turn; when one
 * does not take more, it owes them. */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/timer.h>

#define GRACE (2 * NS_PER_S) /* for the last answers, and for the end */

enum { DUE_AT_ONCE = 256 }; /* messages sent before answers are looked at */

struct conn {
    struct link link;
    struct load *load;
    uint64_t sent, answered;
    uint64_t owed;  /* due, and not taken by the queue */
    int64_t *times; /* closed loop: when each of the last `depth` was sent */
    bool full, over;
};

struct load {
    const struct load_options *opt;
    struct load_result *result;
    sonic_tls_context *tls;
    sonic_io *io;
    sonic_timer *pace, *clock;
    struct conn *conn;
    int64_t *times;
    char *message;
    unsigned open, over;
    int64_t begin; /* of the warm-up */
    int64_t start, stop;
    uint64_t due;       /* open loop: messages that were due up to now */
    uint64_t under_way; /* due or sent, and not answered */
    bool running, ending;
    int err;
};

static void
fail(struct load *l, int err, const char *why)
{
    if (l->err == 0) {
        l->err = err < 0 ? err : SONIC_EOF;
        snprintf(l->result->why, sizeof l->result->why, "%s", why);
    }
    sonic_io_stop(l->io);
}

/* ---- sending ---------------------------------------------------------- */

/* Open loop: when message n of all is due. */
static int64_t
due_at(const struct load *l, uint64_t n)
{
    return l->begin + (int64_t)((double)n / l->opt->rate * 1e9);
}

static void
send_one(struct conn *c, int64_t now)
{
    struct load *l = c->load;
    int r;

    if (c->times != NULL)
        c->times[c->sent % l->opt->depth] = now;
    c->sent++;
    r = link_send(&c->link, l->message, l->opt->size);
    if (r == 1)
        c->full = true;
    else if (r < 0)
        fail(l, r, sonic_strerror(r));
}

/* Closed loop: go on, with one clock for all that one answer brings. */
static void
refill(struct conn *c, int64_t now)
{
    struct load *l = c->load;

    while (!c->full && !l->ending && c->sent - c->answered < l->opt->depth) {
        l->under_way++;
        send_one(c, now);
    }
}

static void
pay(struct conn *c)
{
    while (!c->full && c->owed > 0) {
        c->owed--;
        send_one(c, 0);
    }
}

static void
on_pace(sonic_timer *timer, int err, void *ud)
{
    struct load *l = ud;
    int64_t now;

    if (err < 0 || l->ending)
        return;
    now = monotonic_now();
    for (unsigned i = 0; i < DUE_AT_ONCE && due_at(l, l->due) <= now; i++) {
        struct conn *c = &l->conn[l->due++ % l->opt->connections];

        l->under_way++;
        c->owed++;
        pay(c);
    }
    sonic_timer_at(timer, due_at(l, l->due), on_pace, l);
}

/* ---- the course of it ------------------------------------------------- */

static void
end_links(struct load *l)
{
    sonic_timer_cancel(l->clock);
    for (unsigned i = 0; i < l->opt->connections; i++)
        if (!l->conn[i].over)
            link_close(&l->conn[i].link);
}

static void
on_end(sonic_timer *timer, int err, void *ud)
{
    struct load *l = ud;

    (void)timer;
    if (err == 0)
        sonic_io_stop(l->io); /* they had their time */
}

/* Every answer is here, or will not come. */
static void
finish(struct load *l)
{
    l->result->unanswered = l->under_way;
    l->running = false;
    end_links(l);
    sonic_timer_once(l->pace, GRACE, on_end, l);
}

static void
on_grace(sonic_timer *timer, int err, void *ud)
{
    (void)timer;
    if (err == 0)
        finish(ud);
}

static void
on_stop(sonic_timer *timer, int err, void *ud)
{
    struct load *l = ud;

    if (err < 0)
        return;
    l->ending = true;
    sonic_timer_cancel(l->pace);
    if (l->under_way == 0)
        finish(l);
    else
        sonic_timer_once(timer, GRACE, on_grace, l);
}

static void
begin(struct load *l)
{
    l->running = true;
    l->begin = monotonic_now();
    l->start = l->begin + l->opt->warmup;
    l->stop = l->start + l->opt->duration;
    sonic_timer_at(l->clock, l->stop, on_stop, l);
    if (l->opt->rate > 0) {
        on_pace(l->pace, 0, l);
        return;
    }
    for (unsigned i = 0; i < l->opt->connections; i++)
        refill(&l->conn[i], monotonic_now());
}

/* ---- what happens on a connection ------------------------------------- */

static void
on_open(struct link *link)
{
    struct load *l = ((struct conn *)link->owner)->load;

    if (++l->open == l->opt->connections)
        begin(l);
}

static void
count_answer(struct load *l, struct conn *c, int64_t now, size_t len)
{
    int64_t sent;

    if (c->times != NULL)
        sent = c->times[c->answered % l->opt->depth];
    else
        sent = due_at(l, c->answered * l->opt->connections +
                             (uint64_t)(c - l->conn));
    c->answered++;
    l->result->answered++;
    l->under_way--;
    if (len != l->opt->size)
        l->result->wrong++;
    if (now >= l->start && now < l->stop)
        l->result->messages++;
    /* Those that were begun in the time that is measured, however late their
     * answer. */
    if (sent >= l->start && sent < l->stop)
        sonic_histogram_record(l->result->latency, now - sent);
}

static void
on_message(struct link *link, const uint8_t *data, size_t len)
{
    struct conn *c = link->owner;
    struct load *l = c->load;
    int64_t now = monotonic_now();

    (void)data;
    if (!l->running)
        return; /* too late */
    if (c->answered == c->sent) {
        fail(l, SONIC_ESTATE, "an answer to nothing: this is no echo server");
        return;
    }
    count_answer(l, c, now, len);
    if (c->times != NULL)
        refill(c, now);
    if (l->ending && l->under_way == 0)
        finish(l);
}

static void
on_drain(struct link *link)
{
    struct conn *c = link->owner;

    c->full = false;
    if (c->times != NULL)
        refill(c, monotonic_now());
    else
        pay(c);
}

static void
on_over(struct link *link, int err, const char *why)
{
    struct conn *c = link->owner;
    struct load *l = c->load;

    c->over = true;
    if (!l->ending || l->running)
        fail(l, err, why);
    else if (++l->over == l->open)
        sonic_io_stop(l->io);
}

static const struct link_events events = {on_open, on_message, on_drain,
                                          on_over};

/* ---- setting up ------------------------------------------------------- */

/* Letters, which are right in text, too. */
static void
fill(char *message, size_t size)
{
    for (size_t i = 0; i < size; i++)
        message[i] = (char)('a' + i % 26);
}

/* What people compress: JSON, of which no two lines are the same. */
static void
fill_with_json(char *message, size_t size)
{
    uint32_t x = 1;
    char row[96];

    for (size_t at = 0, n; at < size; at += n) {
        x = x * 1103515245 + 12345;
        n = (size_t)snprintf(row, sizeof row,
                             "{\"type\":\"trade\",\"id\":%u,\"price\":%u.%02u,"
                             "\"quantity\":%u},\n",
                             x >> 8, (x >> 16) % 1000, (x >> 4) % 100, x % 977);
        if (n > size - at)
            n = size - at;
        memcpy(message + at, row, n);
    }
}

static int
set_up(struct load *l)
{
    const struct load_options *o = l->opt;
    sonic_io_options iopt = SONIC_IO_OPTIONS_INIT;
    int err;

    l->conn = calloc(o->connections, sizeof *l->conn);
    l->message = malloc(o->size + 1);
    if (o->rate <= 0)
        l->times = calloc((size_t)o->connections * o->depth, sizeof *l->times);
    if (l->conn == NULL || l->message == NULL ||
        (o->rate <= 0 && l->times == NULL))
        return -ENOMEM;
    if (o->deflate.on == SONIC_ON)
        fill_with_json(l->message, o->size);
    else
        fill(l->message, o->size);
    iopt.backend = o->backend;
    err = sonic_io_new(&l->io, &iopt);
    if (err == 0)
        err = sonic_timer_new(l->io, &l->pace);
    if (err == 0)
        err = sonic_timer_new(l->io, &l->clock);
    if (err == 0 && o->proto == LINK_WS && strncmp(o->where, "wss", 3) == 0)
        err = secure_client(l->io, "bench", &o->tls, &l->tls);
    return err;
}

static void
connect_all(struct load *l)
{
    sonic_io_work_begin(l->io);
    for (unsigned i = 0; i < l->opt->connections && l->err == 0; i++) {
        struct conn *c = &l->conn[i];

        c->load = l;
        c->times =
            l->times != NULL ? l->times + (size_t)i * l->opt->depth : NULL;
        c->link.owner = c;
        c->link.events = &events;
        c->link.proto = l->opt->proto;
        c->link.text = l->opt->text;
        c->link.tls = l->tls;
        c->link.deflate = &l->opt->deflate;
        c->link.raw_size = l->opt->size;
        link_connect(&c->link, l->io, l->opt->where);
    }
}

int
load_run(const struct load_options *opt, struct load_result *result)
{
    struct load l;
    int err;

    memset(&l, 0, sizeof l);
    l.opt = opt;
    l.result = result;
    err = set_up(&l);
    if (err == 0) {
        connect_all(&l);
        result->backend = sonic_io_backend_name(l.io);
        err = run_io(l.io, opt->mode);
    }
    if (err < 0)
        snprintf(result->why, sizeof result->why, "%s", sonic_strerror(err));
    result->elapsed = opt->duration;
    for (unsigned i = 0; l.conn != NULL && i < opt->connections; i++)
        link_drop(&l.conn[i].link);
    sonic_io_free(l.io);
    sonic_tls_context_free(l.tls);
    free(l.times);
    free(l.message);
    free(l.conn);
    return err < 0 ? err : l.err;
}
