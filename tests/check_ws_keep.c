/* A client's connection that comes back: <sonicio/websocket_keep.h>. */
#include <stdio.h>
#include <string.h>

#include "support/rig.h"

static struct rig r;
static sonic_ws_server *server;
static sonic_ws *client;
static char url[SONIC_ADDRESS_TEXT + 16], address[SONIC_ADDRESS_TEXT];
static sonic_ws_keep_options opt;
static unsigned status; /* that the server answers; 101: it accepts */

/* What happened at the client, and at the server. */
static struct {
    unsigned opens, closes, ends, served;
    int outcome;
    sonic_ws_close_record why;
    sonic_ws_keeping then[200]; /* in each on_close */
    sonic_ws *ws;               /* the server's newest */
    void (*at_open)(void), (*at_close)(void), (*at_end)(void);
    void (*at_response)(void);
} seen;

static void
call(void (*fn)(void))
{
    if (fn != NULL)
        fn();
}

static void
on_open(sonic_ws *ws, void *ud)
{
    (void)ud;
    ck_assert_ptr_eq(ws, client);
    seen.opens++;
    if (sonic_ws_kept(ws).next == INT64_MAX && sonic_ws_kept(ws).opens > 0)
        ck_assert_uint_eq(sonic_ws_kept(ws).opens, seen.opens);
    call(seen.at_open);
}

static void
on_close(sonic_ws *ws, const sonic_ws_close_record *why, void *ud)
{
    (void)ud;
    seen.then[seen.closes % 200] = sonic_ws_kept(ws);
    seen.closes++;
    seen.why = *why;
    call(seen.at_close);
}

static void
on_end(sonic_ws *ws, int err, void *ud)
{
    ck_assert_ptr_eq(ud, &seen);
    if (err != -EBUSY)
        ck_assert(!sonic_ws_kept(ws).on);
    seen.ends++;
    seen.outcome = err;
    call(seen.at_end);
}

static void
on_message(sonic_ws *ws, const sonic_ws_message *m, void *ud)
{
    (void)ws;
    (void)m;
    (void)ud;
}

static int
on_response(sonic_ws *ws, const sonic_ws_head *head, void *ud)
{
    (void)ws;
    (void)head;
    (void)ud;
    call(seen.at_response);
    return 0;
}

static void
on_served(sonic_ws *ws, void *ud)
{
    (void)ud;
    seen.served++;
    seen.ws = ws;
}

static void
on_upgrade(sonic_ws *ws, const sonic_ws_head *head, sonic_ws_reply *reply,
           void *ud)
{
    (void)ws;
    (void)head;
    (void)ud;
    reply->status = status;
}

static const sonic_ws_handler ours = {SONIC_WS_HANDLER_INIT, .on_open = on_open,
                                      .on_message = on_message,
                                      .on_close = on_close};
static const sonic_ws_handler theirs = {
    SONIC_WS_HANDLER_INIT, .on_open = on_served, .on_message = on_message};

static void
listen_again(void)
{
    sonic_ws_options o = SONIC_WS_OPTIONS_INIT;
    sonic_address a;

    o.on_upgrade = on_upgrade;
    ck_assert_int_eq(sonic_ws_server_new(r.io, &o, &theirs, NULL, &server), 0);
    ck_assert_int_eq(sonic_ws_server_listen(server, address, NULL, &a), 0);
    sonic_address_format(&a, address, sizeof address);
    snprintf(url, sizeof url, "ws://%s/", address);
}

static void
hang_up(void)
{
    sonic_ws_server_free(server);
    server = NULL;
}

static void
begin(int i)
{
    sonic_ws_options o = SONIC_WS_OPTIONS_INIT;

    rig_open(&r, i);
    memset(&seen, 0, sizeof seen);
    opt = (sonic_ws_keep_options)SONIC_WS_KEEP_OPTIONS_INIT;
    opt.pause_min = MS;
    opt.pause_max = 20 * MS;
    status = 101;
    strcpy(address, "127.0.0.1:0");
    listen_again();
    o.on_response = on_response;
    o.close_timeout = 50 * MS;
    ck_assert_int_eq(sonic_ws_new(r.io, &o, &ours, &seen, &client), 0);
}

static void
keep(void)
{
    sonic_ws_async_keep(client, url, &opt, on_end, &seen);
}

static void
end(void)
{
    sonic_ws_free(client);
    client = NULL;
    hang_up();
    rig_close(&r);
}

#define UNTIL(cond) RIG_UNTIL(&r, cond)

/* ---- it comes back ---------------------------------------------------- */

START_TEST(after_every_end)
{
    sonic_ws_keeping k;

    begin(_i);
    keep();
    for (unsigned n = 1; n <= 6; n++) {
        UNTIL(seen.opens == n && seen.served == n);
        k = sonic_ws_kept(client);
        ck_assert(k.on);
        ck_assert_uint_eq(k.opens, n);
        ck_assert_int_eq(k.next, INT64_MAX);
        if (n % 3 == 0)
            sonic_ws_terminate(seen.ws); /* 1006 */
        else
            sonic_ws_close(seen.ws, n % 3 == 1 ? 1000 : 1008, NULL);
        UNTIL(seen.closes == n);
        k = seen.then[n - 1];
        ck_assert(k.on);
        ck_assert_uint_eq(k.failures, n);
        ck_assert_int_lt(k.next, INT64_MAX);
    }
    ck_assert_uint_eq(seen.ends, 0);
    UNTIL(seen.opens == 7);
    ck_assert_int_eq(sonic_ws_close(client, 1000, NULL), 0);
    UNTIL(seen.ends == 1);
    ck_assert_int_eq(seen.outcome, 0);
    ck_assert_uint_eq(seen.closes, 7);
    ck_assert(!seen.then[6].on || seen.then[6].next == INT64_MAX);
    rig_settle(&r);
    ck_assert_uint_eq(seen.opens, 7);
    end();
}
END_TEST

/* Nobody listens for a while. */
START_TEST(when_the_server_does)
{
    begin(_i);
    hang_up();
    keep();
    UNTIL(seen.closes == 5);
    ck_assert_int_eq(seen.why.error, -ECONNREFUSED);
    ck_assert(seen.why.retryable);
    listen_again();
    UNTIL(seen.opens == 1);
    hang_up();
    UNTIL(seen.closes >= 8);
    listen_again();
    UNTIL(seen.opens == 2);
    end();
    ck_assert_uint_eq(seen.ends, 1);
    ck_assert_int_eq(seen.outcome, -ECANCELED);
}
END_TEST

/* Each pause lies between the least and three times the one before, below the
 * most; and they are not all alike. */
START_TEST(pauses_grow_with_jitter)
{
    int64_t last = 10 * MS, different = 0, most = 0;

    begin(_i);
    hang_up();
    hook_clock(&r.hook, 1000 * SECOND);
    opt.pause_min = 10 * MS;
    opt.pause_max = SECOND;
    opt.tries = 100;
    keep();
    UNTIL(seen.ends == 1);
    ck_assert_int_eq(seen.outcome, -ECONNREFUSED);
    ck_assert_uint_eq(seen.closes, 100);
    for (unsigned i = 0; i + 1 < 100; i++) {
        /* the time stands still between two pauses */
        int64_t before = i == 0 ? 1000 * SECOND : seen.then[i - 1].next;
        int64_t pause = seen.then[i].next - before;

        ck_assert_uint_eq(seen.then[i].failures, i + 1);
        ck_assert_int_ge(pause, 10 * MS);
        ck_assert_int_le(pause, SECOND);
        ck_assert_int_le(pause, 3 * last + MS);
        different += pause != last;
        most = pause > most ? pause : most;
        last = pause;
    }
    ck_assert_int_gt(different, 90);
    ck_assert_int_gt(most, SECOND / 2);
    ck_assert_int_eq(seen.then[99].next, INT64_MAX); /* that was the last */
    end();
}
END_TEST

/* After a good connection pauses and failures begin anew. */
START_TEST(settled)
{
    begin(_i);
    opt.settled = 1; /* nanosecond */
    opt.tries = 2;
    keep();
    for (unsigned n = 1; n <= 5; n++) {
        UNTIL(seen.opens == n && seen.served == n);
        sonic_ws_terminate(seen.ws);
        UNTIL(seen.closes == n);
        ck_assert_uint_eq(seen.then[n - 1].failures, 1);
    }
    UNTIL(seen.opens == 6);
    hang_up();
    UNTIL(seen.ends == 1); /* the end, and an attempt in vain */
    ck_assert_int_eq(seen.outcome, -ECONNREFUSED);
    ck_assert_uint_eq(seen.closes, 7);
    end();
}
END_TEST

/* What will not mend by itself: before it ever worked, and after. */
START_TEST(in_vain)
{
    begin(_i);
    status = 403;
    keep();
    UNTIL(seen.ends == 1);
    ck_assert_int_eq(seen.outcome, SONIC_EWS_STATUS);
    ck_assert_uint_eq(seen.closes, 1);
    ck_assert_uint_eq(seen.why.status, 403);

    sonic_ws_async_keep(client, "ws:nonsense", &opt, on_end, &seen);
    UNTIL(seen.ends == 2);
    ck_assert_int_eq(seen.outcome, SONIC_EWS_URL);

    opt.stubborn = SONIC_ON;
    keep();
    UNTIL(seen.closes == 6);
    status = 503; /* passes, says the record */
    UNTIL(seen.closes == 8);
    status = 101;
    UNTIL(seen.opens == 1);
    ck_assert_uint_eq(seen.ends, 2);
    sonic_ws_stop_keeping(client);
    sonic_ws_terminate(client);
    UNTIL(seen.ends == 3);

    UNTIL(sonic_ws_state(client) == SONIC_WS_TERMINATED);
    rig_settle(&r);
    opt.stubborn = SONIC_DEFAULT;
    seen.opens = seen.served = 0;
    keep();
    UNTIL(seen.opens == 1 && seen.served == 1);
    status = 403; /* it worked before: this may pass */
    sonic_ws_terminate(seen.ws);
    UNTIL(seen.why.status == 403);
    status = 101;
    UNTIL(seen.opens == 2);
    ck_assert_uint_eq(seen.ends, 3);
    end();
}
END_TEST

/* ---- the caller's wishes ---------------------------------------------- */

static void
again(void)
{
    ck_assert_int_eq(sonic_ws_connect_again(client), 0);
}

START_TEST(again_at_once)
{
    begin(_i);
    ck_assert_int_eq(sonic_ws_connect_again(client), SONIC_ESTATE);
    opt.pause_min = opt.pause_max = 1000 * SECOND;
    keep();
    again(); /* it is connecting */
    UNTIL(seen.opens == 1 && seen.served == 1);
    again(); /* cut */
    again();
    UNTIL(seen.opens == 2 && seen.served == 2);
    ck_assert_uint_eq(seen.closes, 1);
    ck_assert_uint_eq(seen.then[0].failures, 0);
    sonic_ws_terminate(seen.ws);
    UNTIL(seen.closes == 2); /* a long pause begins */
    ck_assert_uint_eq(seen.then[1].failures, 1);
    again();
    UNTIL(seen.opens == 3 && seen.served == 3);
    seen.at_close = again; /* inside on_close */
    sonic_ws_terminate(seen.ws);
    UNTIL(seen.opens == 4);
    end();
}
END_TEST

static void
stop(void)
{
    sonic_ws_stop_keeping(client);
    sonic_ws_stop_keeping(client);
}

/* What is there goes on. */
START_TEST(stopped)
{
    begin(_i);
    sonic_ws_stop_keeping(client);
    keep();
    stop(); /* while it connects */
    UNTIL(seen.ends == 1 && seen.opens == 1 && seen.served == 1);
    ck_assert_int_eq(seen.outcome, -ECANCELED);
    ck_assert(!sonic_ws_kept(client).on);
    sonic_ws_terminate(seen.ws);
    UNTIL(seen.closes == 1);
    rig_settle(&r);
    ck_assert_uint_eq(seen.opens, 1);

    seen.at_response = stop; /* just before it is open */
    seen.opens = 0;
    keep();
    UNTIL(seen.ends == 2);
    UNTIL(sonic_ws_state(client) == SONIC_WS_OPEN);
    sonic_ws_terminate(client);
    UNTIL(seen.closes == 2);

    seen.at_response = NULL;
    seen.opens = 0;
    keep();
    UNTIL(seen.opens == 1);
    stop(); /* open */
    UNTIL(seen.ends == 3);
    ck_assert_int_eq(sonic_ws_state(client), SONIC_WS_OPEN);
    sonic_ws_terminate(client);
    UNTIL(seen.closes == 3);

    seen.opens = 0;
    opt.pause_min = opt.pause_max = 1000 * SECOND;
    keep();
    UNTIL(seen.opens == 1 && seen.served == 4);
    sonic_ws_terminate(seen.ws);
    UNTIL(seen.closes == 4);
    stop(); /* in a pause */
    UNTIL(seen.ends == 4);
    hang_up();
    ck_assert_int_ge(sonic_io_run(r.io), 0); /* no timer is left */
    end();
}
END_TEST

/* Between the end and its telling. */
START_TEST(stopped_while_it_ends)
{
    begin(_i);
    keep();
    UNTIL(seen.opens == 1);
    again(); /* cut, and ... */
    stop();
    UNTIL(seen.ends == 1 && seen.closes == 1);
    ck_assert_int_eq(seen.outcome, -ECANCELED);

    seen.opens = 0;
    keep();
    UNTIL(seen.opens == 1);
    sonic_ws_terminate(client);
    stop();
    UNTIL(seen.ends == 2 && seen.closes == 2);
    ck_assert_int_eq(seen.outcome, -ECANCELED);

    seen.opens = 0; /* after the last one, in on_close */
    status = 403;
    seen.at_close = stop;
    keep();
    UNTIL(seen.ends == 3);
    ck_assert_int_eq(seen.outcome, SONIC_EWS_STATUS);
    seen.at_close = again;
    keep();
    UNTIL(seen.ends == 4);
    ck_assert_int_eq(seen.outcome, SONIC_EWS_STATUS);
    end();
}
END_TEST

static void
keep_once_more(void)
{
    seen.at_end = NULL;
    status = 101;
    seen.opens = 0;
    keep();
}

START_TEST(refusals)
{
    sonic_ws_keep_options bad = opt;

    begin(_i);
    sonic_ws_async_connect(client, url, NULL, NULL);
    keep();
    ck_assert_int_eq(seen.outcome, -EBUSY);
    UNTIL(seen.served == 1 && sonic_ws_state(client) == SONIC_WS_OPEN);
    sonic_ws_async_keep(seen.ws, url, NULL, on_end, &seen);
    ck_assert_int_eq(seen.outcome, SONIC_ESTATE);
    sonic_ws_terminate(client);
    UNTIL(seen.closes == 1);
    seen.opens = 0;

    bad = opt;
    bad.pause_min = -1;
    sonic_ws_async_keep(client, url, &bad, on_end, &seen);
    ck_assert_int_eq(seen.outcome, SONIC_EOPTION);
    bad = opt;
    bad.pause_max = opt.pause_min - 1;
    sonic_ws_async_keep(client, url, &bad, on_end, &seen);
    ck_assert_int_eq(seen.outcome, SONIC_EOPTION);
    bad = opt;
    bad.size = 0;
    sonic_ws_async_keep(client, url, &bad, on_end, &seen);
    ck_assert_int_eq(seen.outcome, SONIC_EOPTION);
    ck_assert_uint_eq(seen.ends, 5);

    status = 403;
    seen.at_end = keep_once_more;
    keep();
    sonic_ws_async_keep(client, url, NULL, NULL, NULL); /* nobody is told */
    UNTIL(seen.opens == 1);
    ck_assert_uint_eq(seen.ends, 6);
    ck_assert_int_eq(sonic_ws_connect(client, url), -EBUSY);
    end();
}
END_TEST

/* ---- lifetime --------------------------------------------------------- */

static void
free_it(void)
{
    sonic_ws *ws = client;

    client = NULL;
    sonic_ws_free(ws);
}

static void
terminate(void)
{
    sonic_ws_terminate(client);
}

static void
close_io(void)
{
    sonic_io_close(r.io);
}

/* In every state, and in every callback; freed, terminated, and the io
 * closed. */
START_TEST(it_can_end_at_any_moment)
{
    static void (*const deeds[])(void) = {free_it, terminate, close_io, stop};

    for (unsigned deed = 0; deed < 4; deed++)
        for (int when = 0; when < 7; when++) {
            begin(_i);
            opt.pause_min = opt.pause_max = 1000 * SECOND;
            seen.at_open = when == 3 ? deeds[deed] : NULL;
            seen.at_close = when == 4 ? deeds[deed] : NULL;
            seen.at_response = when == 5 ? deeds[deed] : NULL;
            seen.at_end = when == 6 ? deeds[deed] : NULL;
            if (when == 6)
                status = 403;
            keep();
            if (when == 0) /* connecting */
                deeds[deed]();
            if (when == 1 || when == 2 || when == 4)
                UNTIL(seen.opens == 1 && seen.served == 1);
            if (when == 1) /* open */
                deeds[deed]();
            if (when == 2 || when == 4) {
                sonic_ws_terminate(seen.ws);
                UNTIL(seen.closes == 1);
            }
            if (when == 2) /* in the pause */
                deeds[deed]();
            while (seen.ends == 0)
                if (sonic_io_run_one_for(r.io, RIG_PATIENCE) == SONIC_ECLOSED)
                    break;
            ck_assert_msg(seen.ends == 1, "deed %u when %d", deed, when);
            ck_assert_int_eq(seen.outcome,
                             when == 6 ? SONIC_EWS_STATUS : -ECANCELED);
            end();
        }
}
END_TEST

/* Each allocation fails once: it comes all the same, or says why not. */
START_TEST(memory_runs_out)
{
    bool failed = true;

    for (unsigned long nth = 1; failed; nth++) {
        begin(_i);
        hook_mem_fail_nth(&r.hook, nth);
        keep();
        while (seen.ends == 0 && seen.opens < 2) {
            ck_assert_int_ge(sonic_io_run_one_for(r.io, RIG_PATIENCE), 0);
            if (seen.opens == 1 && sonic_ws_state(client) == SONIC_WS_OPEN)
                again();
        }
        failed = r.hook.mem_failed;
        hook_mem_fail_nth(&r.hook, 0);
        if (seen.ends > 0)
            ck_assert_int_eq(seen.outcome, -ENOMEM);
        ck_assert_uint_lt(nth, 200);
        end();
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_keep");
    TCase *tc = tcase_create("keep");

    rig_add(tc, after_every_end);
    rig_add(tc, when_the_server_does);
    rig_add(tc, pauses_grow_with_jitter);
    rig_add(tc, settled);
    rig_add(tc, in_vain);
    rig_add(tc, again_at_once);
    rig_add(tc, stopped);
    rig_add(tc, stopped_while_it_ends);
    rig_add(tc, refusals);
    rig_add(tc, it_can_end_at_any_moment);
    rig_add(tc, memory_runs_out);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
