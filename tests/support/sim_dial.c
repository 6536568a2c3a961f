#include "sim_dial.h"

#include <stdio.h>
#include <string.h>

#define S INT64_C(1000000000)
#define CONNECT_TIME (600 * S)

enum { TEXT = 160 };

static void
stop_listening(struct dial *d)
{
    sonic_listener *listener = d->listener;
    sonic_timer *timer = d->timer;

    d->listener = NULL;
    d->timer = NULL;
    sonic_listener_free(listener);
    sonic_timer_free(timer);
}

void
dial_end(struct dial *d)
{
    sonic_stream *stream = d->stream;

    d->stream = NULL;
    sonic_stream_free(stream);
    stop_listening(d);
}

static void
fail(struct dial *d)
{
    d->failed = true;
    dial_end(d);
}

static void
on_late(sonic_timer *timer, int err, void *ud)
{
    struct dial *d = ud;

    (void)timer;
    d->session->completed++;
    if (err == 0)
        sonic_listener_cancel(d->listener);
}

static void
on_accept(sonic_listener *listener, int err, sonic_stream *stream, void *ud)
{
    struct dial *d = ud;

    (void)listener;
    d->session->completed++;
    if (!d->accepting)
        d->session->wrong = "an accept completed twice";
    d->accepting = false;
    if (err < 0) {
        if (stream != NULL)
            d->session->wrong = "an accept failed with a stream";
        fail(d);
        return;
    }
    stop_listening(d);
    peer_start(d->server, d->session, stream, d->client);
}

static void
on_connect(sonic_stream *stream, int err, size_t n, void *ud)
{
    struct dial *d = ud;

    d->session->completed++;
    if (!d->connecting || n != 0)
        d->session->wrong = "a connect completed wrongly";
    d->connecting = false;
    if (d->stream == NULL)
        return;
    if (err < 0) {
        fail(d);
        return;
    }
    d->stream = NULL;
    peer_start(d->client, d->session, stream, d->server);
}

/* An address to listen on. */
static const char *
choose(struct dial *d, char *text)
{
    static const char *const some[] = {"127.0.0.1:0", "[::1]:0", ":0",
                                       "tcp4:127.0.0.1:0"};
    uint64_t i = sonic_sim_below(d->session->sim, 6);

    if (i < 4)
        return some[i];
    snprintf(text, TEXT, i == 4 ? "unix:/run/%d" : "unix:@%d",
             (int)sonic_sim_below(d->session->sim, 1000000));
    return text;
}

/* The address that it got, perhaps by a name whose first address is mute. */
static int
where(struct dial *d, char *text)
{
    sonic_sim *sim = d->session->sim;
    sonic_address a;
    int err = sonic_listener_address(d->listener, &a);

    if (err < 0)
        return err;
    if (a.storage.ss_family == AF_UNIX || sonic_sim_below(sim, 2) == 0) {
        err = sonic_address_format(&a, text, TEXT);
        if (strncmp(text, "0.0.0.0:", 8) == 0)
            snprintf(text, TEXT, "127.0.0.1:%d", (int)sonic_address_port(&a));
        else if (strncmp(text, "[::]:", 5) == 0)
            snprintf(text, TEXT, "[::1]:%d", (int)sonic_address_port(&a));
        return err < 0 ? err : 0;
    }
    snprintf(text, TEXT, "mixed.example:%d", (int)sonic_address_port(&a));
    return 0;
}

static int
begin(struct dial *d)
{
    sonic_connect_options opt = SONIC_CONNECT_OPTIONS_INIT;
    struct session *s = d->session;
    char text[TEXT];
    int err;

    opt.timeout = CONNECT_TIME;
    err = sonic_listener_new(s->io, choose(d, text), NULL, &d->listener);
    if (err < 0) {
        d->listener = NULL;
        return err;
    }
    err = where(d, text);
    if (err < 0)
        return err;
    err = sonic_stream_new(s->io, &d->stream);
    if (err < 0) {
        d->stream = NULL;
        return err;
    }
    err = sonic_timer_new(s->io, &d->timer);
    if (err < 0) {
        d->timer = NULL;
        return err;
    }
    d->accepting = d->connecting = true;
    s->started += 3;
    sonic_timer_once(d->timer, 2 * CONNECT_TIME, on_late, d);
    sonic_listener_async_accept(d->listener, on_accept, d);
    if (d->stream != NULL) {
        sonic_stream_async_connect(d->stream, text, &opt, on_connect, d);
    } else { /* the accept failed at once */
        d->connecting = false;
        s->started--;
    }
    return 0;
}

void
dial_start(struct dial *d, struct session *s, struct peer *client,
           struct peer *server)
{
    *d = (struct dial){.session = s, .client = client, .server = server};
    client->other = server;
    server->other = client;
    if (sonic_sim_host(s->sim, "mixed.example",
                       "2001:db8::1 192.0.2.1 ::1 127.0.0.1",
                       (int64_t)sonic_sim_below(s->sim, S)) < 0 ||
        sonic_sim_route(s->sim, "2001:db8::1", SONIC_SIM_BLACKHOLE, 0) < 0 ||
        sonic_sim_route(s->sim, "192.0.2.1", SONIC_SIM_REFUSE, 0) < 0 ||
        begin(d) < 0)
        fail(d);
}
