/* What goes wrong before there is a connection: accepting, names, settings
 * that contradict each other. */
#include <check.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/rig.h"

static struct told {
    unsigned errors, opens, closes;
    int err;
    bool free_it, drain_it;
    sonic_ws_close_record why;
} told;

static void
on_drained(sonic_ws_server *s, int err, const sonic_ws_drained *n, void *ud)
{
    (void)s;
    (void)n;
    (void)ud;
    ck_assert_int_eq(err, 0);
}

static void
on_error(sonic_ws_server *s, int err, void *ud)
{
    struct told *t = ud;

    t->errors++;
    t->err = err;
    if (t->free_it)
        sonic_ws_server_free(s);
    if (t->drain_it)
        sonic_ws_server_async_drain(s, SECOND, on_drained, NULL);
}

static void
on_open(sonic_ws *ws, void *ud)
{
    (void)ws;
    ((struct told *)ud)->opens++;
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    struct told *t = ud;

    (void)ws;
    t->closes++;
    t->why = *why;
}

static const sonic_ws_handler handler = {
    SONIC_WS_HANDLER_INIT,
    .on_open = on_open,
    .on_message = sonic_ws_discard,
    .on_close = on_close,
};

static sonic_ws_server *
serve(struct rig *r, sonic_address *at, const char *const *proxies)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_server *s;

    told = (struct told){0};
    opt.on_error = on_error;
    opt.proxies = proxies;
    opt.n_proxies = proxies != NULL;
    ck_assert_int_eq(sonic_ws_server_new(r->io, &opt, &handler, &told, &s), 0);
    ck_assert_int_eq(sonic_ws_server_listen(s, "127.0.0.1:0", NULL, at), 0);
    return s;
}

static int
call(const sonic_address *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(
        connect(fd, (const struct sockaddr *)&at->storage, at->len), 0);
    return fd;
}

/* ---- accepting --------------------------------------------------------- */

START_TEST(errors_of_accepting_are_told)
{
    static const int v[] = {-EMFILE, -ENFILE, -ENOMEM, -EINVAL};
    struct rig r;
    sonic_ws_server *s;
    sonic_address at;
    int fd[4];

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        rig_open(&r, _i);
        s = serve(&r, &at, NULL);
        hook_fail(&r.hook, HOOK_accept4, v[i], 1);
        fd[i] = call(&at);
        RIG_UNTIL(&r, told.errors == 1);
        ck_assert_int_eq(told.err, v[i]);
        ck_assert_uint_eq(sonic_ws_server_shed(s), i < 2);
        close(fd[i]);
        fd[i] = call(&at); /* it goes on */
        RIG_UNTIL(&r, sonic_ws_server_count(s) > 0);
        ck_assert_uint_eq(told.errors, 1);
        told.drain_it = false;
        sonic_ws_server_async_drain(s, SECOND, on_drained, NULL);
        ck_assert_uint_eq(sonic_ws_server_shed(s), i < 2); /* for ever */
        close(fd[i]);
        sonic_ws_server_free(s);
        rig_close(&r);
    }
}
END_TEST

/* Every allocation between accept(2) and the session fails in turn; what only
 * costs a balancer its connection need not be told. */
START_TEST(so_is_a_lack_of_memory)
{
    static const char *const balancer[] = {"127.0.0.0/8"};
    struct rig r;
    sonic_address at;
    unsigned failed = 0;

    for (int proxied = 0; proxied < 2; proxied++)
        for (unsigned long n = 1;; n++) {
            sonic_ws_server *s;
            bool failing;
            int fd;

            rig_open(&r, _i);
            s = serve(&r, &at, proxied ? balancer : NULL);
            rig_settle(&r);
            fd = call(&at);
            rig_put(fd, "PROXY UNKNOWN\r\n", proxied ? 15 : 0);
            hook_mem_fail_nth(&r.hook, n);
            RIG_UNTIL(&r, r.hook.mem_failed || sonic_ws_server_count(s) > 0);
            rig_settle(&r);
            failing = r.hook.mem_failed;
            failed += told.errors;
            if (told.errors > 0)
                ck_assert_int_eq(told.err, -ENOMEM);
            close(fd);
            sonic_ws_server_free(s);
            rig_close(&r);
            if (!failing)
                break;
        }
    ck_assert_uint_ge(failed, 4); /* at least the stream and the session */
}
END_TEST

START_TEST(the_server_may_end_in_there)
{
    struct rig r;
    sonic_address at;

    for (int drain = 0; drain < 2; drain++) {
        sonic_ws_server *s;
        int fd;

        rig_open(&r, _i);
        s = serve(&r, &at, NULL);
        told.free_it = !drain;
        told.drain_it = drain;
        hook_fail(&r.hook, HOOK_accept4, -EMFILE, 1);
        fd = call(&at);
        RIG_UNTIL(&r, told.errors == 1);
        rig_settle(&r);
        close(fd);
        if (drain)
            sonic_ws_server_free(s);
        rig_close(&r);
    }
}
END_TEST

/* ---- names ------------------------------------------------------------- */

/* A client in a world whose names are ours; how connecting ended. */
static sonic_ws_close_record
fate(int eai, int64_t delay, const char *address, int64_t timeout,
     const char *url)
{
    sonic_io_options io_opt = SONIC_IO_OPTIONS_INIT;
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_sim *sim;
    sonic_io *io;
    sonic_ws *ws;

    told = (struct told){0};
    ck_assert_int_eq(sonic_sim_new(&sim, NULL), 0);
    io_opt.sys = sonic_sim_sys(sim);
    ck_assert_int_eq(sonic_io_new(&io, &io_opt), 0);
    if (address != NULL)
        ck_assert_int_eq(sonic_sim_host(sim, "name", address, delay), 0);
    else
        ck_assert_int_eq(sonic_sim_host_fails(sim, "name", eai, delay), 0);
    ck_assert_int_eq(sonic_sim_route(sim, "192.0.2.9", SONIC_SIM_BLACKHOLE, 0),
                     0);
    opt.handshake_timeout = timeout;
    ck_assert_int_eq(sonic_ws_new(io, &opt, &handler, &told, &ws), 0);
    sonic_ws_async_connect(ws, "ws://name/", NULL, NULL);
    while (told.closes == 0)
        ck_assert_int_ge(sonic_io_run_one(io), 0);
    if (url != NULL) { /* another try, and what was before is forgotten */
        sonic_ws_async_connect(ws, url, NULL, NULL);
        while (told.closes == 1)
            ck_assert_int_ge(sonic_io_run_one(io), 0);
    }
    sonic_ws_free(ws);
    sonic_io_free(io);
    ck_assert_int_eq(sonic_sim_free(sim, NULL), 0);
    return told.why;
}

START_TEST(trouble_with_a_name_is_the_names)
{
    static const struct {
        int eai, err;
        bool retryable;
    } v[] = {
        {EAI_NONAME, SONIC_ERESOLVE, true},
        {EAI_FAIL, SONIC_ERESOLVE, true},
        {EAI_AGAIN, SONIC_ERESOLVE_AGAIN, true},
        {EAI_MEMORY, -ENOMEM, true},
    };
    sonic_ws_close_record why;

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        why = fate(v[i].eai, MS, NULL, 0, NULL);
        ck_assert_int_eq(why.error, v[i].err);
        ck_assert_int_eq(why.layer, SONIC_WS_LAYER_RESOLVE);
        ck_assert_int_eq(why.retryable, v[i].retryable);
        ck_assert_str_eq(why.reason, sonic_strerror(v[i].err));
    }
    why = fate(0, 5 * SECOND, "192.0.2.1", SECOND, NULL); /* too slow */
    ck_assert_int_eq(why.error, -ETIMEDOUT);
    ck_assert_int_eq(why.layer, SONIC_WS_LAYER_RESOLVE);
}
END_TEST

START_TEST(trouble_behind_it_is_not)
{
    sonic_ws_close_record why;

    why = fate(0, MS, "192.0.2.1", 0, NULL);
    ck_assert_int_eq(why.error, -ECONNREFUSED);
    ck_assert_int_eq(why.layer, SONIC_WS_LAYER_CONNECT);
    why = fate(0, MS, "192.0.2.9", SECOND, NULL); /* nobody answers */
    ck_assert_int_eq(why.error, -ETIMEDOUT);
    ck_assert_int_eq(why.layer, SONIC_WS_LAYER_CONNECT);
    why = fate(EAI_NONAME, MS, NULL, 0, "ws://192.0.2.1/");
    ck_assert_int_eq(why.layer, SONIC_WS_LAYER_CONNECT);
    why = fate(EAI_NONAME, MS, NULL, 0, "http://name/");
    ck_assert_int_eq(why.error, SONIC_EWS_URL);
    ck_assert_int_eq(why.layer, SONIC_WS_LAYER_CONNECT);
}
END_TEST

/* ---- marks ------------------------------------------------------------- */

static int
marks(sonic_io *io, bool server, size_t low, size_t high, size_t limit)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    sonic_ws_server *s;
    sonic_ws *ws;
    int err;

    opt.low_water = low;
    opt.high_water = high;
    opt.queue_limit = limit;
    if (server) {
        err = sonic_ws_server_new(io, &opt, NULL, NULL, &s);
        if (err == 0)
            sonic_ws_server_free(s);
    } else {
        err = sonic_ws_new(io, &opt, NULL, NULL, &ws);
        if (err == 0)
            sonic_ws_free(ws);
    }
    return err;
}

START_TEST(marks_that_contradict_each_other_are_refused_at_once)
{
    struct rig r;

    rig_open(&r, _i);
    for (int server = 0; server < 2; server++) {
        ck_assert_int_eq(marks(r.io, server, 0, 0, 512 << 10), 0);
        ck_assert_int_eq(marks(r.io, server, 0, 1000, 0), 0);
        ck_assert_int_eq(marks(r.io, server, 1, 2, 3), 0);
        ck_assert_int_eq(marks(r.io, server, 2, 1, 3), SONIC_EOPTION);
        ck_assert_int_eq(marks(r.io, server, 1, 3, 2), SONIC_EOPTION);
        ck_assert_int_eq(marks(r.io, server, 2 << 20, 0, 0), SONIC_EOPTION);
        ck_assert_int_eq(marks(r.io, server, 0, 65 << 20, 0), SONIC_EOPTION);
        ck_assert_int_eq(marks(r.io, server, 0, 0, SIZE_MAX), SONIC_EOPTION);
    }
    rig_close(&r);
}
END_TEST

/* A limit alone, below the default of the mark below it: as it was said, and
 * nobody is turned away. */
START_TEST(a_limit_alone_is_enough)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;
    static char block[60000];
    struct rig r;
    sonic_ws_server *s;
    sonic_ws *ws;
    sonic_address at;
    char url[SONIC_ADDRESS_TEXT + 8] = "ws://";
    int ret = 0;

    rig_open(&r, _i);
    told = (struct told){0};
    opt.queue_limit = 512 << 10;
    ck_assert_int_eq(sonic_ws_server_new(r.io, &opt, &handler, &told, &s), 0);
    ck_assert_int_eq(sonic_ws_server_listen(s, "127.0.0.1:0", NULL, &at), 0);
    ck_assert_int_gt(sonic_address_format(&at, url + 5, SONIC_ADDRESS_TEXT), 0);
    ck_assert_int_eq(sonic_ws_new(r.io, &opt, &handler, &told, &ws), 0);
    ck_assert_int_eq(sonic_ws_connect(ws, strcat(url, "/")), 0);
    while (ret >= 0)
        ret = sonic_ws_send(ws, SONIC_WS_BINARY, block, sizeof block);
    ck_assert_int_eq(ret, SONIC_EQUEUE);
    ck_assert_uint_le(sonic_ws_queued(ws), 512 << 10);
    sonic_ws_free(ws);
    sonic_ws_server_free(s);
    rig_close(&r);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_server");
    TCase *tc = tcase_create("before a connection");

    rig_add(tc, errors_of_accepting_are_told);
    rig_add(tc, so_is_a_lack_of_memory);
    rig_add(tc, the_server_may_end_in_there);
    tcase_add_test(tc, trouble_with_a_name_is_the_names);
    tcase_add_test(tc, trouble_behind_it_is_not);
    rig_add(tc, marks_that_contradict_each_other_are_refused_at_once);
    rig_add(tc, a_limit_alone_is_enough);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
