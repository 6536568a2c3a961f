/* sonicio mold serve: a re-request server beside the publisher's own. */
#include <stdlib.h>

#include <sonicio/timer.h>

#include "mold.h"

struct serve {
    const struct mold_options *o;
    sonic_io *io;
    sonic_mold_store *store;
    sonic_mold_subscriber *sub;
    sonic_mold_server *server;
    sonic_timer *timer;
    uint64_t messages, lost;
};

static void
on_session(sonic_mold_receiver *r, const char *session, uint64_t first,
           void *ud)
{
    struct serve *s = ud;

    (void)r;
    (void)first;
    sonic_mold_store_clear(s->store);
    (void)!sonic_mold_answerer_session(sonic_mold_server_answerer(s->server),
                                       session);
}

static void
on_message(sonic_mold_receiver *r, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    struct serve *s = ud;

    (void)r;
    s->messages++;
    if (sonic_mold_store_put(s->store, sequence, data, len) < 0)
        complain("mold", "a message of %zu bytes cannot be kept", len);
}

static void
on_lost(sonic_mold_receiver *r, uint64_t first, uint64_t last, void *ud)
{
    struct serve *s = ud;

    (void)r;
    s->lost += last - first + 1;
    complain("mold", "lost %llu-%llu", (unsigned long long)first,
             (unsigned long long)last);
}

static void
on_late(sonic_timer *t, int err, void *ud)
{
    (void)t;
    if (err == 0)
        sonic_io_stop(((struct serve *)ud)->io);
}

/* Requests may still come for a while. */
static void
on_end(sonic_mold_receiver *r, uint64_t next, void *ud)
{
    struct serve *s = ud;

    (void)r;
    (void)next;
    sonic_timer_once(s->timer, s->o->linger, on_late, s);
}

static const sonic_mold_handler handler = {
    SONIC_MOLD_HANDLER_INIT, .on_session = on_session, .on_message = on_message,
    .on_lost = on_lost, .on_end = on_end};

static int
begin(struct serve *s)
{
    const struct mold_options *o = s->o;
    sonic_mold_receiver_options r = SONIC_MOLD_RECEIVER_OPTIONS_INIT;
    sonic_mold_subscriber_options sub = SONIC_MOLD_SUBSCRIBER_OPTIONS_INIT;
    sonic_mold_answerer_options answerer = SONIC_MOLD_ANSWERER_OPTIONS_INIT;
    sonic_mold_server_options server = SONIC_MOLD_SERVER_OPTIONS_INIT;
    const char *what = "store";
    int err = sonic_mold_store_new(NULL, &s->store);

    mold_receiver_of(o, &r);
    sub.receiver = &r;
    sub.feeds = o->feeds;
    sub.n_feeds = o->n_feeds;
    sub.servers = o->upstream;
    sub.n_servers = o->n_upstream;
    answerer.session = o->session != NULL ? o->session : "SONICIO";
    answerer.store = s->store;
    answerer.packet_max = o->packet_max;
    answerer.packets = 32; /* long gaps are filled in one go */
    server.address = o->servers[0];
    server.answerer = &answerer;
    if (err == 0)
        err = stop_on_signal(s->io);
    if (err == 0)
        err = sonic_timer_new(s->io, &s->timer);
    if (err == 0) {
        what = o->servers[0];
        err = sonic_mold_server_new(s->io, &server, &s->server);
    }
    if (err == 0) {
        what = o->feeds[0].address;
        err = sonic_mold_subscriber_new(s->io, &sub, &handler, s, &s->sub);
    }
    if (err < 0)
        return mold_failed(what, err);
    if (!o->json) {
        printf("answering at %s\n", o->servers[0]);
        fflush(stdout);
    }
    return EXIT_GOOD;
}

static void
show(const struct serve *s)
{
    sonic_mold_answerer_stats a;
    struct json j = {stdout, false};

    sonic_mold_answerer_get_stats(sonic_mold_server_answerer(s->server), &a);
    if (!s->o->json) {
        printf("kept %llu messages (%llu lost); %llu requests, %llu messages "
               "sent again, %llu requests over the limit\n",
               (unsigned long long)s->messages, (unsigned long long)s->lost,
               (unsigned long long)a.requests, (unsigned long long)a.messages,
               (unsigned long long)a.limited);
        return;
    }
    json_begin(&j, NULL);
    json_count(&j, "messages", s->messages);
    json_count(&j, "lost", s->lost);
    json_count(&j, "requests", a.requests);
    json_count(&j, "packets", a.packets);
    json_count(&j, "resent", a.messages);
    json_count(&j, "gone", a.gone);
    json_count(&j, "foreign", a.foreign);
    json_count(&j, "malformed", a.malformed);
    json_count(&j, "limited", a.limited);
    json_end(&j);
    putchar('\n');
}

int
mold_serve(const struct mold_options *o)
{
    struct serve s = {.o = o};
    int err = sonic_io_new(&s.io, NULL), status;

    if (err < 0)
        return mold_failed("io", err);
    status = begin(&s);
    if (status == EXIT_GOOD) {
        err = run_io(s.io, RUN_BLOCKING);
        if (err < 0)
            status = mold_failed("running", err);
        show(&s);
        if (s.lost > 0)
            status = EXIT_BAD;
    }
    sonic_io_free(s.io);
    sonic_mold_store_free(s.store);
    return status;
}
