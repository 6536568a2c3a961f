#include "soup_world.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ----------------------------------------------------------- */

static void *
count_alloc(size_t bytes, void *ud)
{
    struct soup_world *w = ud;
    void *p = malloc(bytes);

    w->allocs++;
    w->blocks++;
    return memset(p, 0xa5, bytes);
}

static void
count_free(void *p, size_t bytes, void *ud)
{
    struct soup_world *w = ud;

    memset(p, 0x5a, bytes);
    w->blocks--;
    free(p);
}

/* ---- the recorder ------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void
note(struct soup_world *w, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(w->log + w->logged, sizeof w->log - w->logged, format, args);
    va_end(args);
    ck_assert_uint_lt(w->logged + (size_t)n, sizeof w->log);
    w->logged += (size_t)n;
}

static void
leave(struct soup_world *w)
{
    if (w->quit) {
        sonic_soup_free(w->soup);
        w->soup = NULL;
    }
}

static void
on_login(sonic_soup *s, const sonic_soup_login *l, void *ud)
{
    struct soup_world *w = ud;
    uint64_t first = w->first != 0 ? w->first : l->sequence;

    note(w, "login %s %s %s %llu\n", l->user, l->password, l->session,
         (unsigned long long)l->sequence);
    if (w->answer != NULL && strcmp(w->answer, "") == 0)
        ck_assert_int_ge(sonic_soup_reject(s, SONIC_SOUP_NO_SESSION), 0);
    else if (w->answer != NULL && strcmp(w->answer, "no") == 0)
        ck_assert_int_ge(sonic_soup_reject(s, SONIC_SOUP_NOT_AUTHORIZED), 0);
    else if (w->answer != NULL)
        ck_assert_int_ge(sonic_soup_accept(s, w->answer, first), 0);
    leave(w);
}

static void
on_open(sonic_soup *s, const char *session, uint64_t next, void *ud)
{
    ck_assert_str_eq(session, sonic_soup_session(s));
    note(ud, "open %s %llu\n", session, (unsigned long long)next);
    leave(ud);
}

static void
on_message(sonic_soup *s, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    (void)s;
    note(ud, "%llu:%.*s\n", (unsigned long long)sequence, (int)len,
         (const char *)data);
    leave(ud);
}

static void
on_unsequenced(sonic_soup *s, uint8_t *data, size_t len, void *ud)
{
    (void)s;
    note(ud, "u:%.*s\n", (int)len, (const char *)data);
    leave(ud);
}

static void
on_debug(sonic_soup *s, const char *text, size_t len, void *ud)
{
    (void)s;
    note(ud, "+:%.*s\n", (int)len, text);
    leave(ud);
}

static void
on_drain(sonic_soup *s, void *ud)
{
    (void)s;
    note(ud, "drain\n");
    leave(ud);
}

static void
on_close(sonic_soup *s, const sonic_soup_close_record *why, void *ud)
{
    static const char *const ends[] = {"broken", "logout", "session",
                                       "rejected", "terminated"};
    static const char *const states[] = {
        "START", "ASKING", "AWAITING", "DECIDING", "OPEN", "LEAVING", "CLOSED"};
    struct soup_world *w = ud;

    ck_assert_int_eq(sonic_soup_state(s), SONIC_SOUP_CLOSED);
    w->why = *why;
    note(w, "close %s %s %s next=%llu\n", ends[why->end], states[why->state],
         why->error == 0 ? "0" : sonic_errname(why->error),
         (unsigned long long)why->next);
    leave(w);
}

const sonic_soup_handler soup_recorder = {
    SONIC_SOUP_HANDLER_INIT,
    .on_login = on_login,
    .on_open = on_open,
    .on_message = on_message,
    .on_unsequenced = on_unsequenced,
    .on_debug = on_debug,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* ---- begin and end ----------------------------------------------------- */

void
soup_world_begin(struct soup_world *w, enum sonic_soup_role role,
                 const sonic_soup_options *opt,
                 const sonic_soup_handler *handler)
{
    sonic_io_options o = SONIC_IO_OPTIONS_INIT;
    sonic_mem mem = {count_alloc, count_free, w};
    sonic_stream *stream;
    int fd[2];

    memset(w, 0, sizeof *w);
    ck_assert_int_eq(sonic_sim_new(&w->sim, NULL), 0);
    w->k = sonic_sim_sys(w->sim);
    o.sys = w->k;
    o.mem = &mem;
    ck_assert_int_eq(sonic_io_new(&w->io, &o), 0);
    ck_assert_int_eq(sonic_sim_pair(w->sim, fd), 0);
    ck_assert_int_eq(sonic_stream_adopt(w->io, fd[0], &stream), 0);
    w->peer = fd[1];
    if (handler == NULL)
        handler = &soup_recorder;
    ck_assert_int_eq((role == SONIC_SOUP_CLIENT ? sonic_soup_client_new
                                                : sonic_soup_server_new)(
                         stream, opt, handler, w, &w->soup),
                     0);
}

bool
soup_world_end(struct soup_world *w)
{
    sonic_soup_free(w->soup);
    sonic_io_free(w->io);
    soup_peer_end(w);
    return sonic_sim_free(w->sim, NULL) == 0 && w->blocks == 0;
}

void
soup_world_open(struct soup_world *w, enum sonic_soup_role role,
                const sonic_soup_options *opt,
                const sonic_soup_handler *handler)
{
    soup_world_begin(w, role, opt, handler);
    w->answer = "S";
    if (role == SONIC_SOUP_CLIENT)
        soup_peer_accept(w, "S", "5");
    else
        soup_peer_login(w, "me", "", "", "5");
    soup_settle(w);
    ck_assert_int_eq(sonic_soup_state(w->soup), SONIC_SOUP_OPEN);
    (void)soup_peer_got(w);
    w->log[w->logged = 0] = '\0';
}

void
soup_settle(struct soup_world *w)
{
    while (sonic_io_poll(w->io) > 0)
        ;
}

/* In steps: a timer of the io is the io's to see. */
void
soup_pass(struct soup_world *w, int64_t time)
{
    int64_t until = sonic_sim_now(w->sim) + time, next;

    soup_settle(w);
    while ((next = sonic_io_next_deadline(w->io)) <= until) {
        if (next > sonic_sim_now(w->sim))
            sonic_sim_advance(w->sim, next);
        soup_settle(w);
    }
    if (until > sonic_sim_now(w->sim))
        sonic_sim_advance(w->sim, until);
    soup_settle(w);
}

/* ---- the peer ---------------------------------------------------------- */

void
soup_peer_bytes(struct soup_world *w, const void *p, size_t n)
{
    ck_assert_int_eq(w->k->send(w->peer, p, n, 0, w->k->ud), (ssize_t)n);
}

void
soup_peer(struct soup_world *w, char type, const char *rest)
{
    size_t n = strlen(rest);
    uint8_t head[3] = {(uint8_t)((n + 1) >> 8), (uint8_t)(n + 1),
                       (uint8_t)type};

    soup_peer_bytes(w, head, 3);
    if (n > 0)
        soup_peer_bytes(w, rest, n);
}

void
soup_peer_login(struct soup_world *w, const char *user, const char *password,
                const char *session, const char *number)
{
    char text[64];

    snprintf(text, sizeof text, "%-6s%-10s%10s%20s", user, password, session,
             number);
    soup_peer(w, 'L', text);
}

void
soup_peer_accept(struct soup_world *w, const char *session, const char *number)
{
    char text[64];

    snprintf(text, sizeof text, "%10s%20s", session, number);
    soup_peer(w, 'A', text);
}

void
soup_peer_end(struct soup_world *w)
{
    char unread[256];

    if (w->peer < 0)
        return;
    while (w->k->recv(w->peer, unread, sizeof unread, MSG_DONTWAIT, w->k->ud) >
           0)
        ; /* what is not read would make a reset of it */
    w->k->close(w->peer, w->k->ud);
    w->peer = -1;
}

const char *
soup_peer_got(struct soup_world *w)
{
    static char text[4096];
    uint8_t raw[4096];
    size_t have = 0, out = 0, at = 0;
    ssize_t n;

    soup_settle(w);
    while ((n = w->k->recv(w->peer, raw + have, sizeof raw - have, MSG_DONTWAIT,
                           w->k->ud)) > 0)
        have += (size_t)n;
    while (have - at >= 3) {
        size_t len = (size_t)raw[at] << 8 | raw[at + 1];

        ck_assert_uint_le(len, have - at - 2);
        text[out++] = (char)raw[at + 2];
        text[out++] = '|';
        for (size_t i = at + 3; i < at + 2 + len; i++)
            if (raw[i] != ' ' || raw[i + 1] != ' ' || i + 1 == at + 2 + len)
                text[out++] = (char)raw[i];
        text[out++] = '\n';
        at += 2 + len;
    }
    ck_assert_uint_eq(at, have);
    text[out] = '\0';
    return text;
}
