/* sonicio mold publish: messages at a rate, to feeds that are spoilt on
 * purpose, and a server for what they lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/timer.h>

#include "hexdump.h"
#include "mold.h"

enum { TICK = 1000000, LATE_MAX = 4096 };

/* A packet that goes out later: behind the next one, or for skew. */
struct late {
    int64_t when; /* 0: behind the next packet of the feed */
    size_t len;
    uint8_t data[];
};

struct feed {
    struct late *held;            /* to be sent behind the next one */
    struct late *queue[LATE_MAX]; /* a ring, for skew */
    size_t head, n;
    uint64_t sent, lost, doubled, swapped;
};

struct publish {
    const struct mold_options *o;
    sonic_io *io;
    sonic_mold_publisher *p;
    sonic_mold_server *server;
    sonic_mold_store *store;
    sonic_timer *timer;
    struct feed feeds[SONIC_MOLD_FEEDS_MAX];
    uint64_t random; /* splitmix64 */
    int64_t begun;
    uint64_t published;
    bool ended;
    FILE *dump;
    uint8_t *message;
};

static double
chance(struct publish *s)
{
    uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

/* ---- spoiling ---------------------------------------------------------- */

static void
put(struct publish *s, unsigned feed, const void *data, size_t len)
{
    if (sonic_mold_publisher_send(s->p, feed, data, len) == 0)
        s->feeds[feed].sent++;
    if (s->dump != NULL)
        hexdump(s->dump, 'O', data, len);
}

static struct late *
copy(const void *data, size_t len, int64_t when)
{
    struct late *l = malloc(sizeof *l + len);

    if (l == NULL)
        abort();
    l->when = when;
    l->len = len;
    memcpy(l->data, data, len);
    return l;
}

/* Send, or put off: each feed is `skew` behind the one before. */
static void
emit(struct publish *s, unsigned feed, const void *data, size_t len)
{
    struct feed *f = &s->feeds[feed];
    int64_t behind = s->o->skew * (int64_t)feed;

    if (behind == 0 || f->n == LATE_MAX)
        put(s, feed, data, len);
    else
        f->queue[(f->head + f->n++) % LATE_MAX] =
            copy(data, len, monotonic_now() + behind);
}

static void
emit_held(struct publish *s, unsigned feed)
{
    struct late *l = s->feeds[feed].held;

    if (l == NULL)
        return;
    s->feeds[feed].held = NULL;
    emit(s, feed, l->data, l->len);
    free(l);
}

static void
emit_late(struct publish *s, int64_t now)
{
    for (unsigned i = 0; i < s->o->n_feeds; i++) {
        struct feed *f = &s->feeds[i];

        while (f->n > 0 && f->queue[f->head]->when <= now) {
            struct late *l = f->queue[f->head];

            f->head = (f->head + 1) % LATE_MAX;
            f->n--;
            put(s, i, l->data, l->len);
            free(l);
        }
    }
}

static void
on_packet(sonic_mold_publisher *p, unsigned feed, const void *data, size_t len,
          void *ud)
{
    struct publish *s = ud;
    struct feed *f = &s->feeds[feed];

    (void)p;
    if (((const uint8_t *)data)[18] == 0xff &&
        ((const uint8_t *)data)[19] == 0xff) {
        emit_held(s, feed);
        emit(s, feed, data, len); /* the end is told, or nobody knows it */
        return;
    }
    if (chance(s) < s->o->loss) {
        f->lost++;
        return;
    }
    if (f->held == NULL && chance(s) < s->o->reorder) {
        f->swapped++;
        f->held = copy(data, len, 0);
        return;
    }
    emit(s, feed, data, len);
    if (chance(s) < s->o->duplicate) {
        f->doubled++;
        emit(s, feed, data, len);
    }
    emit_held(s, feed);
}

/* ---- the clock --------------------------------------------------------- */

static int
publish_due(struct publish *s, int64_t now)
{
    double seconds = (double)(now - s->begun) / 1e9;
    uint64_t due = seconds <= 0 ? 0 : (uint64_t)(seconds * s->o->rate);
    int err = 0;

    if (due > s->o->count)
        due = s->o->count;
    while (s->published < due && err == 0) {
        mold_stamp(s->message, sonic_mold_publisher_next(s->p),
                   monotonic_now());
        err = sonic_mold_publish(s->p, s->message, s->o->size);
        s->published += err == 0;
    }
    return err;
}

static void
on_tick(sonic_timer *t, int err, void *ud)
{
    struct publish *s = ud;
    int64_t now = sonic_io_now(s->io);

    if (err < 0)
        return;
    emit_late(s, monotonic_now());
    err = publish_due(s, now);
    sonic_mold_publisher_flush(s->p);
    if (err < 0) {
        mold_failed("publishing", err);
        sonic_io_stop(s->io);
    }
    if (s->published == s->o->count && !s->ended) {
        s->ended = true;
        sonic_mold_publisher_end(s->p);
    }
    (void)t;
}

static void
on_done(sonic_mold_publisher *p, void *ud)
{
    (void)p;
    sonic_io_stop(((struct publish *)ud)->io);
}

/* ---- the figures ------------------------------------------------------- */

static void
show(const struct publish *s)
{
    sonic_mold_answerer_stats a = {0};
    char text[GROUPED];
    struct json j = {stdout, false};

    if (s->server != NULL)
        sonic_mold_answerer_get_stats(sonic_mold_server_answerer(s->server),
                                      &a);
    if (s->o->json) {
        json_begin(&j, NULL);
        json_count(&j, "messages", s->published);
        json_count(&j, "packets", sonic_mold_publisher_packets(s->p));
        json_count(&j, "refused", sonic_mold_publisher_refused(s->p));
        for (unsigned i = 0; i < s->o->n_feeds; i++) {
            const struct feed *f = &s->feeds[i];

            json_begin(&j, (const char[]){(char)('a' + i), '\0'});
            json_count(&j, "sent", f->sent);
            json_count(&j, "lost", f->lost);
            json_count(&j, "duplicated", f->doubled);
            json_count(&j, "reordered", f->swapped);
            json_end(&j);
        }
        json_count(&j, "requests", a.requests);
        json_count(&j, "resent", a.messages);
        json_count(&j, "limited", a.limited);
        json_end(&j);
        putchar('\n');
        return;
    }
    printf("published %s messages", grouped(s->published, text));
    printf(" in %s packets\n",
           grouped(sonic_mold_publisher_packets(s->p), text));
    for (unsigned i = 0; i < s->o->n_feeds; i++) {
        const struct feed *f = &s->feeds[i];

        printf("feed %c: %llu sent, %llu lost, %llu twice, %llu out of order\n",
               (char)('A' + i), (unsigned long long)f->sent,
               (unsigned long long)f->lost, (unsigned long long)f->doubled,
               (unsigned long long)f->swapped);
    }
    printf("server: %llu requests, %llu messages sent again\n",
           (unsigned long long)a.requests, (unsigned long long)a.messages);
}

/* ---- making it --------------------------------------------------------- */

static int
make_publisher(struct publish *s)
{
    const struct mold_options *o = s->o;
    sonic_mold_packer_options packer = SONIC_MOLD_PACKER_OPTIONS_INIT;
    sonic_mold_publisher_options opt = SONIC_MOLD_PUBLISHER_OPTIONS_INIT;
    int64_t beats = (o->linger + NS_PER_S - 1) / NS_PER_S;

    packer.session = o->session != NULL ? o->session : "SONICIO";
    packer.packet_max = o->packet_max;
    packer.store = s->store;
    packer.end_repeats = (unsigned)beats + 1;
    opt.packer = &packer;
    opt.feeds = o->feeds;
    opt.n_feeds = o->n_feeds;
    opt.on_packet = on_packet;
    opt.on_done = on_done;
    opt.ud = s;
    return sonic_mold_publisher_new(s->io, &opt, &s->p);
}

static int
make_server(struct publish *s)
{
    const struct mold_options *o = s->o;
    sonic_mold_answerer_options answerer = SONIC_MOLD_ANSWERER_OPTIONS_INIT;
    sonic_mold_server_options opt = SONIC_MOLD_SERVER_OPTIONS_INIT;

    answerer.session = o->session != NULL ? o->session : "SONICIO";
    answerer.store = s->store;
    answerer.packet_max = o->packet_max;
    answerer.packets = 32; /* long gaps are filled in one go */
    opt.address = o->servers[0];
    opt.answerer = &answerer;
    return sonic_mold_server_new(s->io, &opt, &s->server);
}

static int
begin(struct publish *s)
{
    const char *what = s->o->dump;
    int err = 0;

    if (what != NULL && (s->dump = fopen(what, "w")) == NULL)
        return mold_failed(what, -errno);
    s->message = calloc(1, s->o->size);
    what = "store";
    if (s->message == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = sonic_mold_store_new(NULL, &s->store);
    if (err == 0)
        err = stop_on_signal(s->io);
    if (err == 0) {
        what = s->o->feeds[0].address;
        err = make_publisher(s);
    }
    if (err == 0) {
        what = s->o->servers[0];
        err = make_server(s);
    }
    if (err == 0)
        err = sonic_timer_new(s->io, &s->timer);
    if (err < 0)
        return mold_failed(what, err);
    s->begun = sonic_io_now(s->io) + s->o->start;
    sonic_timer_repeat(s->timer, TICK, SONIC_TICK_SKIP, on_tick, s);
    return EXIT_GOOD;
}

static int
end(struct publish *s, int status)
{
    for (unsigned i = 0; i < s->o->n_feeds; i++) {
        struct feed *f = &s->feeds[i];

        free(f->held);
        while (f->n > 0)
            free(f->queue[(f->head + --f->n) % LATE_MAX]);
    }
    if (s->dump != NULL && fclose(s->dump) != 0)
        status = mold_failed(s->o->dump, -errno);
    sonic_io_free(s->io);
    sonic_mold_store_free(s->store);
    free(s->message);
    free(s);
    return status;
}

int
mold_publish(const struct mold_options *o)
{
    struct mold_options with = *o;
    struct publish *s = calloc(1, sizeof *s);
    int err, status;

    if (s == NULL)
        return mold_failed("memory", -ENOMEM);
    if (with.count == 0)
        with.count = 100000;
    s->o = &with;
    s->random = o->seed;
    err = sonic_io_new(&s->io, NULL);
    if (err < 0) {
        free(s);
        return mold_failed("io", err);
    }
    status = begin(s);
    if (status == EXIT_GOOD) {
        err = run_io(s->io, RUN_BLOCKING);
        if (err < 0)
            status = mold_failed("running", err);
        show(s);
        if (s->published < with.count)
            status = EXIT_BAD;
    }
    return end(s, status);
}
