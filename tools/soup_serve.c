/* sonicio soup serve: one session, made at a rate, for any number of clients
 * who may come and go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/listener.h>
#include <sonicio/timer.h>

#include "soup.h"

enum { TICK = 1000000 };

struct serve;

struct client {
    struct client *next, **link;
    struct serve *s;
    sonic_soup *soup;
    uint64_t sent; /* since its login */
};

struct serve {
    const struct soup_options *o;
    sonic_io *io;
    sonic_listener *listener;
    sonic_timer *timer;
    struct client *clients;
    uint64_t count, made; /* messages 1 .. made exist */
    int64_t begun;
    char *message;
    uint64_t logins, refused, cut, received;
    uint64_t finished; /* clients that saw the session's end */
    bool over;
    char bound[SONIC_ADDRESS_TEXT];
    const char *session;
};

static void
forget(struct client *c)
{
    struct serve *s = c->s;

    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    sonic_soup_free(c->soup);
    free(c);
    if (s->over && s->clients == NULL)
        sonic_io_stop(s->io);
}

/* ---- a client ---------------------------------------------------------- */

static void
on_login(sonic_soup *soup, const sonic_soup_login *l, void *ud)
{
    struct client *c = ud;
    struct serve *s = c->s;
    const struct soup_options *o = s->o;
    uint64_t next = l->sequence != 0 ? l->sequence : s->made > 0 ? s->made : 1;
    int err;

    if (!sonic_soup_same(l->user, o->user) ||
        !sonic_soup_same(l->password, o->password)) {
        s->refused++;
        err = sonic_soup_reject(soup, SONIC_SOUP_NOT_AUTHORIZED);
    } else if ((l->session[0] != '\0' &&
                !sonic_soup_same(l->session, s->session)) ||
               next > s->made + 1) {
        s->refused++;
        err = sonic_soup_reject(soup, SONIC_SOUP_NO_SESSION);
    } else {
        s->logins++;
        if (!o->quiet && !o->json)
            printf("%s logged in, from message %llu on\n", l->user,
                   (unsigned long long)next);
        err = sonic_soup_accept(soup, s->session, next);
    }
    if (err < 0)
        sonic_soup_terminate(soup);
    fflush(stdout);
}

static const void *
source(sonic_soup *soup, uint64_t sequence, size_t *len, void *ud)
{
    struct client *c = ud;
    struct serve *s = c->s;

    if (sequence > s->made) {
        if (s->made == s->count)
            sonic_soup_close(soup); /* that was all */
        return NULL;
    }
    if (s->o->drop_after > 0 && c->sent >= s->o->drop_after) {
        s->cut++;
        sonic_soup_terminate(soup);
        return NULL;
    }
    c->sent++;
    memset(s->message, '.', s->o->size);
    (void)snprintf(s->message, s->o->size, "%07llu",
                   (unsigned long long)sequence % 10000000);
    s->message[7] = ' ';
    *len = s->o->size;
    return s->message;
}

static void
on_unsequenced(sonic_soup *soup, uint8_t *data, size_t len, void *ud)
{
    struct client *c = ud;

    (void)soup;
    c->s->received++;
    if (!c->s->o->json)
        printf("> %.*s\n", (int)len, (const char *)data);
    fflush(stdout);
}

static void
on_close(sonic_soup *soup, const sonic_soup_close_record *why, void *ud)
{
    struct client *c = ud;

    (void)soup;
    c->s->finished += why->end == SONIC_SOUP_SESSION && why->unsent == 0;
    if (!c->s->o->quiet && !c->s->o->json && why->error < 0)
        printf("a client is gone: %s\n", sonic_strerror(why->error));
    forget(c);
}

static const sonic_soup_handler handler = {
    SONIC_SOUP_HANDLER_INIT,          .on_login = on_login, .source = source,
    .on_unsequenced = on_unsequenced, .on_close = on_close,
};

static void
on_accept(sonic_listener *listener, int err, sonic_stream *stream, void *ud)
{
    struct serve *s = ud;
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    struct client *c;

    if (err == -ECANCELED || err == SONIC_ECLOSED)
        return;
    if (err == 0) {
        opt.heartbeat = s->o->heartbeat;
        opt.silence = s->o->silence;
        c = calloc(1, sizeof *c);
        if (c == NULL ||
            sonic_soup_server_new(stream, &opt, &handler, c, &c->soup) < 0) {
            sonic_stream_free(stream);
            free(c);
        } else {
            c->s = s;
            c->next = s->clients;
            c->link = &s->clients;
            if (c->next != NULL)
                c->next->link = &c->next;
            s->clients = c;
        }
    }
    sonic_listener_async_accept(listener, on_accept, s);
}

/* ---- the session ------------------------------------------------------- */

static void
end_session(struct serve *s)
{
    if (s->over)
        return;
    s->over = true;
    if (s->clients == NULL)
        sonic_io_stop(s->io);
}

/* Messages come into being; whoever is logged in is sent them.  A session
 * that nobody has seen to its end waits for somebody. */
static void
on_tick(sonic_timer *t, int err, void *ud)
{
    struct serve *s = ud;
    struct client *next;
    double seconds;
    uint64_t due;

    (void)t;
    if (err < 0)
        return;
    seconds = (double)(sonic_io_now(s->io) - s->begun) / 1e9;
    due = (uint64_t)(seconds * s->o->rate);
    s->made = due < s->count ? due : s->count;
    for (struct client *c = s->clients; c != NULL; c = next) {
        next = c->next;
        sonic_soup_pump(c->soup);
    }
    if (s->made == s->count && s->finished > 0 && s->clients == NULL)
        end_session(s);
}

static int
begin(struct serve *s)
{
    sonic_address at;
    int err = stop_on_signal(s->io);

    if (err < 0)
        return err;
    err = sonic_listener_new(s->io, s->o->address, NULL, &s->listener);
    if (err == 0)
        err = sonic_listener_address(s->listener, &at);
    if (err == 0)
        err = sonic_timer_new(s->io, &s->timer);
    if (err < 0)
        return err;
    sonic_address_format(&at, s->bound, sizeof s->bound);
    if (!s->o->json)
        printf("serving %s at %s\n", s->session, s->bound);
    fflush(stdout);
    s->begun = sonic_io_now(s->io);
    sonic_listener_async_accept(s->listener, on_accept, s);
    sonic_timer_repeat(s->timer, TICK, SONIC_TICK_SKIP, on_tick, s);
    return 0;
}

static void
show(const struct serve *s)
{
    struct json j = {stdout, false};

    if (!s->o->json) {
        printf("%llu messages, %llu logins, %llu refused, %llu connections "
               "cut, %llu messages received\n",
               (unsigned long long)s->made, (unsigned long long)s->logins,
               (unsigned long long)s->refused, (unsigned long long)s->cut,
               (unsigned long long)s->received);
        return;
    }
    json_begin(&j, NULL);
    json_text(&j, "address", s->bound);
    json_count(&j, "messages", s->made);
    json_count(&j, "logins", s->logins);
    json_count(&j, "refused", s->refused);
    json_count(&j, "cut", s->cut);
    json_count(&j, "received", s->received);
    json_end(&j);
    putchar('\n');
}

int
soup_serve(const struct soup_options *o)
{
    struct serve s = {.o = o,
                      .count = o->count > 0 ? o->count : 10000,
                      .session = o->session != NULL ? o->session : "SONICIO"};
    int err = sonic_io_new(&s.io, NULL);

    s.message = malloc(o->size + 1);
    if (err == 0 && s.message == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = begin(&s);
    if (err == 0) {
        err = run_io(s.io, RUN_BLOCKING);
        show(&s);
    }
    while (s.clients != NULL)
        forget(s.clients);
    sonic_io_free(s.io);
    free(s.message);
    return err < 0 ? soup_failed(o->address, err) : EXIT_GOOD;
}
