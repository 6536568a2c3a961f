#include "mold_world.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ULL(x) ((unsigned long long)(x))

static void *
count_alloc(size_t bytes, void *ud)
{
    struct mold_world *w = ud;
    void *p;

    if (++w->allocs == w->fail_at)
        return NULL;
    p = malloc(bytes);
    w->blocks++;
    return memset(p, 0xa5, bytes < 4096 ? bytes : 4096);
}

static void
count_free(void *p, size_t bytes, void *ud)
{
    struct mold_world *w = ud;

    memset(p, 0x5a, bytes < 4096 ? bytes : 4096);
    w->blocks--;
    free(p);
}

sonic_mem
mold_mem(struct mold_world *w)
{
    return (sonic_mem){count_alloc, count_free, w};
}

__attribute__((format(printf, 3, 4))) static void
note(struct mold_world *w, char what, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(w->log + w->logged, sizeof w->log - w->logged, format, args);
    va_end(args);
    ck_assert_uint_lt(w->logged + (size_t)n, sizeof w->log);
    w->logged += (size_t)n;
    if (w->quit == what) {
        sonic_mold_receiver_free(w->r);
        w->r = NULL;
    }
}

static void
on_session(sonic_mold_receiver *r, const char *session, uint64_t first,
           void *ud)
{
    ck_assert_str_eq(sonic_mold_receiver_session(r), session);
    note(ud, 's', "session %s %llu\n", session, ULL(first));
}

static void
on_message(sonic_mold_receiver *r, uint64_t sequence, uint8_t *data, size_t len,
           void *ud)
{
    ck_assert_uint_eq(sonic_mold_receiver_next(r), sequence + 1);
    note(ud, 'm', "%llu:%.*s\n", ULL(sequence), (int)len, (const char *)data);
}

static void
on_gap(sonic_mold_receiver *r, const sonic_mold_gap *g, void *ud)
{
    (void)r;
    ck_assert_uint_eq(g->missing, g->last - g->first + 1);
    note(ud, 'g', "gap %llu-%llu\n", ULL(g->first), ULL(g->last));
}

static void
on_filled(sonic_mold_receiver *r, const sonic_mold_gap *g, void *ud)
{
    (void)r;
    ck_assert_uint_eq(g->missing, 0);
    note(ud, 'f', "filled %llu-%llu\n", ULL(g->first), ULL(g->last));
}

static void
on_lost(sonic_mold_receiver *r, uint64_t first, uint64_t last, void *ud)
{
    (void)r;
    ck_assert_uint_le(first, last);
    note(ud, 'l', "lost %llu-%llu\n", ULL(first), ULL(last));
}

static void
on_snapshot(sonic_mold_receiver *r, uint64_t next, uint64_t newest, void *ud)
{
    struct mold_world *w = ud;
    uint64_t at = w->resume_at;

    note(w, 'S', "snapshot %llu %llu\n", ULL(next), ULL(newest));
    if (at != 0)
        ck_assert_int_eq(sonic_mold_receiver_resume(r, at, w->now), 0);
}

static void
on_request(sonic_mold_receiver *r, unsigned server, const void *data,
           size_t len, void *ud)
{
    sonic_mold_packet p;

    (void)r;
    ck_assert_int_eq(sonic_mold_parse_request(data, len, &p), 0);
    note(ud, 'a', "ask %u %llu-%llu\n", server, ULL(p.sequence),
         ULL(p.sequence + p.count - 1));
}

static void
on_end(sonic_mold_receiver *r, uint64_t next, void *ud)
{
    ck_assert_uint_eq(sonic_mold_receiver_next(r), next);
    note(ud, 'e', "end %llu\n", ULL(next));
}

#define ALL                                                                    \
    SONIC_MOLD_HANDLER_INIT,                                                   \
        .on_session = on_session, .on_message = on_message, .on_gap = on_gap,  \
        .on_filled = on_filled, .on_lost = on_lost, .on_request = on_request,  \
        .on_end = on_end

const sonic_mold_handler mold_recorder = {ALL};
const sonic_mold_handler mold_snapshooter = {ALL, .on_snapshot = on_snapshot};

void
mold_begin(struct mold_world *w, const sonic_mold_receiver_options *opt,
           const sonic_mold_handler *handler)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;
    sonic_mem mem = mold_mem(w);

    memset(w, 0, sizeof *w);
    w->session = "DAY1";
    w->now = SECOND;
    if (opt != NULL)
        o = *opt;
    o.mem = &mem;
    ck_assert_int_eq(
        sonic_mold_receiver_new(&o, handler != NULL ? handler : &mold_recorder,
                                w, &w->r),
        0);
}

bool
mold_end(struct mold_world *w)
{
    sonic_mold_receiver_free(w->r);
    return w->blocks == 0;
}

size_t
mold_write(void *out, const char *session, uint64_t sequence, int count,
           const char *text)
{
    uint8_t name[SONIC_MOLD_SESSION], *p = out;
    size_t at = SONIC_MOLD_HEADER;
    int words = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");

        p[at++] = (uint8_t)(n >> 8);
        p[at++] = (uint8_t)n;
        memcpy(p + at, text, n);
        at += n;
        words++;
        text += n;
        text += *text == ' ';
    }
    ck_assert_int_eq(sonic_mold_session_set(name, session), 0);
    sonic_mold_write_header(p, name, sequence,
                            (unsigned)(count < 0 ? words : count));
    return at;
}

static int
feed(struct mold_world *w, unsigned feed, uint64_t sequence, int count,
     const char *text)
{
    uint8_t packet[2048];
    size_t n = mold_write(packet, w->session, sequence, count, text);
    uint8_t *exact = malloc(n); /* so that nothing is read beyond */
    int err;

    memcpy(exact, packet, n);
    err = sonic_mold_receive(w->r, feed, w->now, exact, n);
    free(exact);
    return err;
}

int
mold_packet(struct mold_world *w, unsigned f, uint64_t sequence,
            const char *text)
{
    return feed(w, f, sequence, -1, text);
}

int
mold_heartbeat(struct mold_world *w, unsigned f, uint64_t next)
{
    return feed(w, f, next, 0, "");
}

int
mold_over(struct mold_world *w, unsigned f, uint64_t next)
{
    return feed(w, f, next, SONIC_MOLD_END, "");
}

void
mold_pass(struct mold_world *w, int64_t time)
{
    int64_t until = w->now + time, next;

    while (w->r != NULL &&
           (next = sonic_mold_receiver_deadline(w->r)) <= until) {
        if (next > w->now)
            w->now = next;
        sonic_mold_receiver_tick(w->r, w->now);
    }
    w->now = until;
}
