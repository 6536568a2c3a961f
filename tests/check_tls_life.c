/* TLS streams in bad company: no memory, calls that fail, worlds that cut and
 * delay, and callbacks that close what calls them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include <sonicio/sim.h>

#include "support/tls_kit.h"

/* ---- a conversation that may fail anywhere ---------------------------- */

enum { MUCH = 40000 };

struct talk {
    sonic_stream *end[2]; /* TLS; NULL: never made */
    struct outcome shake[2], wrote[2], got[2];
    unsigned char out[MUCH], in[2][MUCH];
    bool asked[2];
};

static struct talk talk;

static void
say(sonic_stream *s, int i)
{
    sonic_stream_async_write(s, talk.out, MUCH, on_outcome, &talk.wrote[i]);
    sonic_stream_async_read_all(s, talk.in[i], MUCH, on_outcome, &talk.got[i]);
}

/* Ends of this pair, with contexts of their own.  False: not even that. */
static bool
talk_begin(sonic_io *io, sonic_stream *pair[2])
{
    sonic_tls_certificate own = kit_own(&kit.server);
    sonic_tls_context_options so = SONIC_TLS_CONTEXT_OPTIONS_INIT,
                              co = SONIC_TLS_CONTEXT_OPTIONS_INIT;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    sonic_tls_context *c[2] = {NULL, NULL};
    int err;

    memset(&talk, 0, sizeof talk);
    rig_fill(talk.out, MUCH, 0);
    so.certificates = &own;
    so.n_certificates = 1;
    co.ca = kit.root.pem;
    co.ca_len = kit.root.pem_len;
    kit_set_mode(&so, SONIC_TLS_SERVER);
    kit_set_mode(&co, SONIC_TLS_CLIENT);
    opt.server_name = "localhost";
    err = sonic_tls_context_new(io, SONIC_TLS_CLIENT, &co, &c[0], NULL, 0);
    if (err == 0)
        err = sonic_tls_context_new(io, SONIC_TLS_SERVER, &so, &c[1], NULL, 0);
    for (int i = 0; i < 2; i++) {
        if (err == 0)
            err = sonic_tls_new(c[i], pair[i], &opt, &talk.end[i]);
        if (talk.end[i] == NULL)
            sonic_stream_free(pair[i]);
    }
    sonic_tls_context_free(c[0]);
    sonic_tls_context_free(c[1]);
    if (talk.end[0] == NULL || talk.end[1] == NULL)
        return false;
    for (int i = 0; i < 2; i++)
        sonic_tls_async_handshake(talk.end[i], on_outcome, &talk.shake[i]);
    return true;
}

/* Go on as far as it goes.  True when there is nothing more to wait for. */
static bool
talk_step(void)
{
    for (int i = 0; i < 2; i++)
        if (talk.shake[i].calls > 0 && talk.shake[i].err < 0 &&
            talk.end[i] != NULL) {
            sonic_stream_free(talk.end[i]); /* so that the other hears of it */
            talk.end[i] = NULL;
        }
    for (int i = 0; i < 2; i++)
        if (talk.shake[i].calls > 0 && talk.end[i] != NULL && !talk.asked[i]) {
            talk.asked[i] = true;
            say(talk.end[i], i);
        }
    for (int i = 0; i < 2; i++)
        if (talk.end[i] != NULL &&
            (talk.wrote[i].err < 0 || talk.got[i].err < 0))
            sonic_stream_close(talk.end[i]); /* the other hears of it */
    for (int i = 0; i < 2; i++)
        if (talk.end[i] != NULL &&
            (talk.wrote[i].calls == 0 || talk.got[i].calls == 0))
            return false; /* or not begun */
    return true;
}

/* Everything was told once, and what was told is true.  Did all go well? */
static bool
talk_end(void)
{
    bool well = talk.end[0] != NULL && talk.end[1] != NULL;

    for (int i = 0; i < 2; i++) {
        ck_assert_uint_le(talk.shake[i].calls, 1);
        ck_assert_uint_le(talk.wrote[i].calls, 1);
        ck_assert_uint_le(talk.got[i].calls, 1);
        ck_assert(rig_same(talk.in[i], talk.got[i].n, 0));
        well = well && talk.shake[i].err == 0 && talk.wrote[i].err == 0 &&
               talk.got[i].err == 0 && talk.got[i].n == MUCH;
        sonic_stream_free(talk.end[i]);
    }
    return well;
}

/* Whether it ends, and well: in a rig whose nth allocation or call fails. */
static bool
talk_in_rig(struct rig *r)
{
    sonic_stream *pair[2];
    int fd[2];

    rig_pair(fd);
    for (int i = 0; i < 2; i++)
        if (sonic_stream_adopt(r->io, fd[i], &pair[i]) < 0) {
            close(fd[i]);
            if (i == 1)
                sonic_stream_free(pair[0]);
            else
                close(fd[1]);
            return false;
        }
    if (talk_begin(r->io, pair))
        while (!talk_step()) {
            int n = sonic_io_run_one_for(r->io, RIG_PATIENCE);

            ck_assert_msg(n >= 0 || n == -EINTR || n == -ENOMEM ||
                              n == -EMFILE ||
                              r->hook.failed == HOOK_epoll_wait ||
                              r->hook.failed == HOOK_poll,
                          "%s", sonic_errname(n));
        }
    return talk_end();
}

START_TEST(each_allocation_fails)
{
    unsigned long n = 0;
    bool failed, well;

    do {
        struct rig r;

        rig_open(&r, _i);
        hook_mem_fail_nth(&r.hook, ++n);
        well = talk_in_rig(&r);
        failed = r.hook.mem_failed;
        hook_mem_fail_nth(&r.hook, 0);
        rig_close(&r);
        ck_assert_uint_lt(n, 1000);
    } while (failed);
    ck_assert(well);
    ck_assert_uint_gt(n, 20);
}
END_TEST

START_TEST(each_call_fails)
{
    unsigned long n = 0;
    bool failed, well;

    do {
        struct rig r;

        rig_open(&r, _i);
        hook_fail_nth(&r.hook, ++n);
        well = talk_in_rig(&r);
        failed = r.hook.failed != HOOK_N;
        hook_fail_nth(&r.hook, 0);
        rig_close(&r);
        ck_assert_uint_lt(n, 2000);
    } while (failed);
    ck_assert(well);
    ck_assert_uint_gt(n, 20);
}
END_TEST

/* ---- simulated worlds ------------------------------------------------- */

enum { SEEDS = 150 };

/* Short reads, partial writes, EAGAIN, EINTR, delays: it goes well.  With
 * resets and no memory, it ends. */
static void
run_world(uint64_t seed, bool cruel)
{
    sonic_sim_options world = SONIC_SIM_OPTIONS_INIT;
    sonic_io_options opt = SONIC_IO_OPTIONS_INIT;
    sonic_sim_leaks leaks;
    sonic_stream *pair[2];
    sonic_sim *sim;
    sonic_io *io;
    bool well = false;

    world.seed = seed;
    world.faults.short_read = world.faults.short_write =
        seed % 3 == 0 ? 900000 : 200000;
    world.faults.eintr = 50000;
    world.faults.read_again = world.faults.write_again = 50000;
    world.faults.send_nobufs = 20000;
    world.latency_min = 1;
    world.latency_max = MS;
    world.send_buffer = world.receive_buffer = seed % 2 ? 3000 : 0;
    if (cruel) {
        world.faults.alloc_fails = 3000;
        world.faults.map_fails = 3000;
    }
    ck_assert_int_eq(sonic_sim_new(&sim, &world), 0);
    opt.sys = sonic_sim_sys(sim);
    opt.mem = sonic_sim_mem(sim);
    opt.backend = RIG_FIRST + (enum sonic_backend)(seed % RIG_BACKENDS);
    if (sonic_io_new(&io, &opt) == 0) {
        if (sonic_stream_pair(io, pair) == 0) {
            if (talk_begin(io, pair))
                while (!talk_step()) {
                    int n = sonic_io_run_one_for(io, 60 * SECOND);

                    ck_assert_msg(n >= 0 || cruel, "seed %d: %s", (int)seed,
                                  sonic_errname(n));
                    if (n < 0)
                        break;
                }
            well = talk_end();
        }
        sonic_io_free(io);
    }
    ck_assert_msg(sonic_sim_free(sim, &leaks) == 0, "seed %d: %s", (int)seed,
                  leaks.what);
    if (!cruel)
        ck_assert_msg(well, "seed %d: %s, %s", (int)seed,
                      sonic_errname(talk.shake[0].err),
                      sonic_errname(talk.got[0].err));
}

START_TEST(worlds)
{
    for (uint64_t seed = 1; seed <= (rig_slow() ? 5 : SEEDS); seed++)
        run_world(seed, _i == 1);
}
END_TEST

/* ---- callbacks that do something -------------------------------------- */

enum deed {
    CLOSE,
    FREE,
    RESET,
    SHUTDOWN,
    FREE_PEER,
    CLOSE_BELOW,
    FREE_IO,
    DEEDS
};
enum place { SHAKEN, READ, WROTE, LENT, DRAINED, PLACES };

static struct life {
    struct rig r;
    struct kit_ends e;
    enum deed deed;
    enum place place;
    bool done, io_freed;
    unsigned begun, told;
    unsigned char big[1 << 20];
} life;

static void
act(sonic_stream *s, enum place place)
{
    sonic_stream **other = s == life.e.client ? &life.e.server : &life.e.client;
    sonic_stream **own = s == life.e.client ? &life.e.client : &life.e.server;

    if (place != life.place || life.done)
        return;
    life.done = true;
    switch (life.deed) {
    case CLOSE:
        sonic_stream_close(s);
        break;
    case FREE:
        sonic_stream_free(s);
        *own = NULL;
        break;
    case RESET:
        sonic_stream_reset(s);
        break;
    case SHUTDOWN:
        sonic_stream_shutdown(s);
        break;
    case FREE_PEER:
        sonic_stream_free(*other);
        *other = NULL;
        break;
    case CLOSE_BELOW:
        sonic_stream_close(sonic_stream_next_layer(s));
        break;
    default:
        life.io_freed = true;
        sonic_io_free(life.r.io);
    }
}

static void
on_life(sonic_stream *s, int err, size_t n, void *ud)
{
    enum place place = (enum place)(uintptr_t)ud;

    (void)err;
    (void)n;
    life.told++;
    act(s, place);
}

static void
on_life_lent(sonic_stream *s, int err, uint8_t *data, size_t len, void *ud)
{
    (void)data;
    (void)ud;
    life.told++;
    act(s, LENT);
    if (err == 0 && !life.io_freed && s == life.e.server)
        sonic_stream_consume(s, len);
}

static void
on_life_shaken(sonic_stream *s, int err, size_t n, void *ud)
{
    static char small[10];

    on_life(s, err, n, ud);
    if (life.io_freed || (s != life.e.client && s != life.e.server) || err < 0)
        return;
    life.begun += 4;
    if (s == life.e.client)
        sonic_stream_async_read(s, small, sizeof small, on_life,
                                (void *)(uintptr_t)READ);
    else
        sonic_stream_lend(s, 1, 0, on_life_lent, NULL);
    if (!life.io_freed)
        sonic_stream_async_write(s, life.big, sizeof life.big, on_life,
                                 (void *)(uintptr_t)WROTE);
    else
        life.begun--;
    if (!life.io_freed)
        sonic_stream_async_drain(s, on_life, (void *)(uintptr_t)DRAINED);
    else
        life.begun--;
    life.begun--; /* the handshake was counted where it began */
}

START_TEST(anything_in_a_callback)
{
    sonic_tls_context *c, *s;
    sonic_tls_options opt = SONIC_TLS_OPTIONS_INIT;
    int fd[2];

    memset(&life, 0, sizeof life);
    life.deed = (enum deed)(_i / PLACES);
    life.place = (enum place)(_i % PLACES);
    rig_open(&life.r, _i % RIG_BACKENDS);
    c = kit_client(life.r.io);
    s = kit_server(life.r.io);
    opt.server_name = "localhost";
    rig_tcp(fd);
    ck_assert_int_eq(
        sonic_tls_new(c, rig_adopt(&life.r, fd[0]), &opt, &life.e.client), 0);
    ck_assert_int_eq(
        sonic_tls_new(s, rig_adopt(&life.r, fd[1]), NULL, &life.e.server), 0);
    sonic_tls_context_free(c);
    sonic_tls_context_free(s);
    life.begun = 2;
    sonic_tls_async_handshake(life.e.server, on_life_shaken,
                              (void *)(uintptr_t)SHAKEN);
    sonic_tls_async_handshake(life.e.client, on_life_shaken,
                              (void *)(uintptr_t)SHAKEN);
    for (int i = 0; i < 300 && !life.io_freed; i++)
        sonic_io_run_one_for(life.r.io, MS / 10);
    ck_assert(life.done);
    if (!life.io_freed) {
        sonic_stream_free(life.e.client);
        sonic_stream_free(life.e.server);
        sonic_io_free(life.r.io);
    }
    rig_closed(&life.r);
    ck_assert_uint_eq(life.told, life.begun);
}
END_TEST

/* ---- what OpenSSL allocates ------------------------------------------- */

static unsigned long allocations;

static void *
counted_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    allocations++;
    return malloc(n);
}

static void *
counted_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    allocations++;
    return realloc(p, n);
}

static void
counted_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* A message of one record there and back allocates nothing of ours, and nothing
 * of OpenSSL's where the records are ours.  With its object OpenSSL 3.0
 * allocates 6 times on each side: the buffers of a record read and of one
 * written, because an idle connection keeps none (SSL_MODE_RELEASE_BUFFERS),
 * and four small ones while it writes the record. */
START_TEST(allocations_of_a_message)
{
    enum { MESSAGES = 100 };
    static const unsigned long most[KIT_MODES] = {
        [KIT_OPENSSL] = 12, [KIT_SERVER] = 6, [KIT_BOTH] = 0};
    struct rig r;
    struct kit_ends e;
    char text[64] = "a message";
    unsigned long ours = 0, theirs = 0;

    rig_open(&r, _i);
    kit_connect(&r, &e, 1);
    sonic_stream_lend(e.server, 1, 0, rig_echo, NULL);
    for (unsigned i = 0; i < 2 * MESSAGES; i++) {
        struct outcome o = {0};

        if (i == MESSAGES) {
            ours = r.hook.allocs;
            theirs = allocations;
        }
        ck_assert_int_eq(sonic_stream_send(e.client, text, sizeof text), 0);
        sonic_stream_async_read_all(e.client, text, sizeof text, on_outcome,
                                    &o);
        RIG_UNTIL(&r, o.calls == 1);
        ck_assert_int_eq(o.err, 0);
    }
    ck_assert_uint_eq(r.hook.allocs, ours);
    ck_assert_uint_le(allocations - theirs, most[kit.mode] * MESSAGES);
    kit_end(&e);
    rig_close(&r);
}
END_TEST

static void
add_cases(TCase *tc)
{
    tcase_set_timeout(tc, 120);
    rig_add(tc, each_allocation_fails);
    rig_add(tc, each_call_fails);
    tcase_add_loop_test(tc, worlds, 0, 2);
    tcase_add_loop_test(tc, anything_in_a_callback, 0, DEEDS * PLACES);
    rig_add(tc, allocations_of_a_message);
}

int
main(void)
{
    Suite *suite = suite_create("tls_life");

    /* Before anything of OpenSSL's has allocated. */
    if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc,
                                 counted_free) != 1)
        return EXIT_FAILURE;
    kit_add(suite, add_cases);
    return rig_main(suite);
}
