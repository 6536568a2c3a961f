/* What a program may look at, decide and set, beside talking: the response
 * before it is judged, states on the way to the end, traces, the crowd. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/ws_peer.h"

static struct ws_world w;

static void
begin(int i)
{
    ws_world_open(&w, i);
    w.opt.close_timeout = 50000000; /* ns */
}

static const sonic_ws_close_record *
why(void)
{
    return &w.log.why;
}

/* ---- the response ----------------------------------------------------- */

static struct {
    unsigned calls, status;
    char field[32];
    int ret;
    void (*act)(sonic_ws *ws);
} hook;

static int
on_response(sonic_ws *ws, const sonic_ws_head *head, void *ud)
{
    size_t n;
    const char *field = sonic_ws_head_field(head, "x-What", &n);

    ck_assert_ptr_eq(ud, &w.log);
    hook.calls++;
    hook.status = sonic_ws_head_status(head);
    snprintf(hook.field, sizeof hook.field, "%.*s", (int)n,
             field != NULL ? field : "");
    if (hook.act != NULL)
        hook.act(ws);
    return hook.ret;
}

static void
note_err(sonic_ws *ws, int err, void *ud)
{
    (void)ws;
    *(int *)ud = err;
}

/* A client with the hook, whose request has come to the peer. */
static void
ask(int i, int ret, void (*act)(sonic_ws *ws))
{
    char head[2048];

    begin(i);
    memset(&hook, 0, sizeof hook);
    hook.ret = ret;
    hook.act = act;
    w.opt.on_response = on_response;
    ws_client(&w, &ws_log_handler);
    ws_hear_head(&w, head, sizeof head);
}

#define FORBIDDEN "HTTP/1.1 403 No\r\nX-What: it\r\nContent-Length: 0\r\n\r\n"

/* 403 is an error of its own; what the hook says of it comes first. */
START_TEST(response_is_seen_before_it_is_judged)
{
    for (int ret = -EDOM; ret <= 0; ret += EDOM) {
        ask(_i, ret, NULL);
        ws_say_text(&w, FORBIDDEN);
        ws_until(&w, "close:1006 ");
        ck_assert_uint_eq(hook.calls, 1);
        ck_assert_uint_eq(hook.status, 403);
        ck_assert_str_eq(hook.field, "it");
        ck_assert_int_eq(why()->error, ret < 0 ? ret : SONIC_EWS_STATUS);
        ck_assert_int_eq(why()->layer, SONIC_WS_LAYER_HANDSHAKE);
        ck_assert_uint_eq(why()->status, 403);
        ws_world_close(&w);
    }
}
END_TEST

/* A response that is right in all is refused, and nothing is opened. */
START_TEST(response_is_refused_by_the_hook)
{
    for (int ret = -EDOM; ret <= 0; ret += EDOM) {
        begin(_i);
        memset(&hook, 0, sizeof hook);
        hook.ret = ret;
        w.opt.on_response = on_response;
        ws_client(&w, &ws_log_handler);
        if (ret == 0) {
            ws_answer_with(&w, "X-What: fine\r\n");
        } else {
            ws_say_answer(&w, "X-What: fine\r\n");
            ws_until(&w, "close:1006 ");
            ck_assert_int_eq(why()->error, ret);
            ck_assert_int_eq(why()->layer, SONIC_WS_LAYER_HANDSHAKE);
        }
        ck_assert_uint_eq(hook.calls, 1);
        ck_assert_uint_eq(hook.status, 101);
        ck_assert_str_eq(hook.field, "fine");
        ck_assert_int_eq(w.log.opens, ret == 0);
        ws_world_close(&w);
    }
}
END_TEST

static void
free_it(sonic_ws *ws)
{
    sonic_ws_free(ws);
    w.client = NULL;
}

START_TEST(hook_ends_it)
{
    ask(_i, 0, sonic_ws_terminate);
    ws_say_text(&w, FORBIDDEN);
    ws_until(&w, "close:1006 ");
    ck_assert_int_eq(why()->error, -ECANCELED);
    ws_world_close(&w);

    ask(_i, -EDOM, free_it);
    ws_say_text(&w, FORBIDDEN);
    ws_expect_eof(&w);
    ck_assert_uint_eq(hook.calls, 1);
    ck_assert_int_eq(w.log.closes, 0);
    ws_world_close(&w);
}
END_TEST

/* ---- states on the way to the end -------------------------------------- */

static void
until_state(const sonic_ws *ws, enum sonic_ws_state state)
{
    for (int i = 0; i < 20000 && sonic_ws_state(ws) != state; i++)
        (void)sonic_io_run_one_for(w.io, 1000000);
    ck_assert_int_eq(sonic_ws_state(ws), state);
}

/* The peer closes, and does not take what is queued: ours is behind that. */
START_TEST(closed_by_the_peer)
{
    static char big[4 << 20];
    static char heard[sizeof big + 100];
    sonic_ws_close_record r;
    size_t n = 0;

    begin(_i);
    w.opt.close_timeout = 0;
    ws_client_open(&w, &ws_log_handler);
    ck_assert_int_ge(sonic_ws_send(w.client, SONIC_WS_BINARY, big, sizeof big),
                     0);
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_OPEN);
    ck_assert_int_eq(sonic_ws_why_closed(w.client, &r), SONIC_ESTATE);
    ws_say_frame(&w, 0x88, "\x03\xe9zoo");
    until_state(w.client, SONIC_WS_CLOSED_BY_PEER);
    ck_assert_int_eq(sonic_ws_send(w.client, SONIC_WS_TEXT, "x", 1),
                     SONIC_ESTATE);
    ck_assert_int_eq(sonic_ws_close(w.client, 1000, NULL), SONIC_ESTATE);
    /* header, key; then its answer, of 8 bytes */
    n = ws_hear(&w, heard, 14 + sizeof big + 8);
    ck_assert_uint_eq(n, 14 + sizeof big + 8);
    ck_assert_uint_eq((uint8_t)heard[n - 8], 0x88);
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_CLOSE_ACKED);
    ck_assert_int_eq(sonic_ws_why_closed(w.client, &r), SONIC_ESTATE);
    close(w.fd);
    w.fd = -1;
    ws_until(&w, "close:1001 ");
    ck_assert_int_eq(sonic_ws_state(w.client), SONIC_WS_TERMINATED);
    ck_assert_int_eq(sonic_ws_why_closed(w.client, &r), 0);
    ck_assert_mem_eq(&r, why(), sizeof r);
    ck_assert_int_eq(r.side, SONIC_WS_PEER);
    ck_assert_int_eq(r.layer, SONIC_WS_LAYER_CLOSE);
    ck_assert_int_eq(r.error, 0);
    ck_assert_uint_eq(r.code, 1001);
    ck_assert_str_eq(r.reason, "zoo");
    ck_assert(r.clean);
    ws_world_close(&w);
}
END_TEST

/* ---- options and calls ------------------------------------------------- */

static void
on_upgrade(sonic_ws *ws, const sonic_ws_head *head, sonic_ws_reply *reply,
           void *ud)
{
    size_t n;
    const char *host = sonic_ws_head_field(head, "host", &n);

    (void)ws;
    (void)reply;
    (void)ud;
    ck_assert_ptr_nonnull(host);
    snprintf(hook.field, sizeof hook.field, "%.*s", (int)n, host);
}

/* The URL's name is not looked up, and is what the server is asked for. */
START_TEST(connect_to_another_address)
{
    char text[SONIC_ADDRESS_TEXT];
    sonic_address at;
    int err = 1;

    begin(_i);
    w.opt.on_upgrade = on_upgrade;
    ck_assert_int_eq(
        sonic_ws_server_new(w.io, &w.opt, &ws_log_handler, &w.log, &w.server),
        0);
    ck_assert_int_eq(sonic_ws_server_listen(w.server, "127.0.0.1:0", NULL, &at),
                     0);
    ck_assert_int_gt(sonic_address_format(&at, text, sizeof text), 0);
    w.opt.connect_to = text;
    ck_assert_int_eq(sonic_ws_new(w.io, &w.opt, NULL, NULL, &w.client), 0);
    memset(text, '!', strlen(text)); /* it was copied */
    sonic_ws_async_connect(w.client, "ws://no-such-host.invalid/", note_err,
                           &err);
    while (err == 1)
        ck_assert_int_ge(sonic_io_run_one(w.io), 0);
    ck_assert_int_eq(err, 0);
    ck_assert_str_eq(hook.field, "no-such-host.invalid");
    ck_assert_int_eq(sonic_ws_connect_timing(w.client).resolve, 0);
    ws_world_close(&w);
}
END_TEST

START_TEST(text_of_any_bytes)
{
    for (int off = 0; off < 2; off++) {
        begin(_i);
        w.opt.no_utf8 = off ? SONIC_ON : SONIC_OFF;
        ws_serve_open(&w, &ws_log_handler);
        ws_say_frame(&w, 0x81, "\xff!");
        if (off) {
            ws_until(&w, "text:\xff! ");
            ws_say_frame(&w, 0x01, "\xc3"); /* cut, and in pieces */
            ws_say_frame(&w, 0x80, "\xc3");
            ws_until(&w, "text:\xc3\xc3 ");
            ck_assert_int_eq(sonic_ws_state(w.log.ws), SONIC_WS_OPEN);
        } else {
            ws_expect_close(&w, 1007);
        }
        ws_world_close(&w);
    }
}
END_TEST

START_TEST(pongs_of_ours)
{
    static const char long_one[126];

    begin(_i);
    ws_client(&w, &ws_log_handler);
    ck_assert_int_eq(sonic_ws_pong(w.client, "a", 1), SONIC_ESTATE);
    ck_assert_int_eq(sonic_ws_ping(w.client, "a", 1), SONIC_ESTATE);
    ws_answer(&w);
    ck_assert_int_eq(sonic_ws_pong(w.client, long_one, 126), SONIC_EWS_CONTROL);
    ck_assert_int_eq(sonic_ws_ping(w.client, long_one, 126), SONIC_EWS_CONTROL);
    ck_assert_uint_eq(sonic_ws_queued(w.client), 0);
    ck_assert_int_eq(sonic_ws_pong(w.client, "alive", 5), 0);
    ck_assert_int_eq(sonic_ws_pong(w.client, NULL, 0), 0);
    ck_assert_int_eq(sonic_ws_ping(w.client, "?", 1), 0);
    ws_expect_frame(&w, 0x8a, "alive");
    ws_expect_frame(&w, 0x8a, "");
    ws_expect_frame(&w, 0x89, "?");
    ws_world_close(&w);
}
END_TEST

static struct {
    unsigned session, frame, message, other;
} steps;

static void
on_step(const sonic_fsm *fsm, unsigned from, unsigned event, unsigned to,
        void *ud)
{
    ck_assert_ptr_eq(ud, &steps);
    ck_assert_uint_lt(from, fsm->n_states);
    ck_assert_uint_lt(to, fsm->n_states);
    ck_assert_uint_lt(event, fsm->n_events);
    if (strcmp(fsm->name, "ws-session") == 0)
        steps.session++;
    else if (strcmp(fsm->name, "ws-frame") == 0)
        steps.frame++;
    else if (strcmp(fsm->name, "ws-message") == 0)
        steps.message++;
    else
        steps.other++;
}

/* Of one connection, not of its sibling, which has the same settings. */
START_TEST(a_trace_of_one)
{
    static const sonic_fsm_tracer tracer = {on_step, &steps};
    sonic_ws *first;
    int fd;

    begin(_i);
    memset(&steps, 0, sizeof steps);
    ws_serve_open(&w, &ws_log_handler);
    first = w.log.ws;
    fd = dup(w.fd);
    ws_serve_open(&w, &ws_log_handler);
    ck_assert_ptr_ne(first, w.log.ws);
    ck_assert_int_eq(sonic_ws_set_trace(first, &tracer), 0);
    ws_say_frame(&w, 0x81, "of the sibling");
    ws_until(&w, "text:of the sibling ");
    ck_assert_uint_eq(steps.frame + steps.message + steps.session, 0);
    close(w.fd);
    w.fd = fd;
    ws_say_frame(&w, 0x81, "traced");
    ws_until(&w, "text:traced ");
    ck_assert_uint_gt(steps.frame, 0);
    ck_assert_uint_gt(steps.message, 0);
    ck_assert_int_eq(sonic_ws_set_trace(first, NULL), 0);
    memset(&steps, 0, sizeof steps);
    ws_say_frame(&w, 0x81, "untraced");
    ws_until(&w, "text:untraced ");
    ck_assert_uint_eq(steps.frame + steps.message, 0);
    ck_assert_int_eq(sonic_ws_set_trace(first, &tracer), 0);
    ws_say_frame(&w, 0x88, "\x03\xe8");
    ws_expect_close(&w, 1000);
    ck_assert_uint_gt(steps.session, 0);
    ck_assert_uint_eq(steps.other, 0);
    ws_world_close(&w);
}
END_TEST

START_TEST(whose_it_is)
{
    struct ws_log other = {0};

    begin(_i);
    ws_client_open(&w, &ws_log_handler);
    ck_assert_ptr_eq(sonic_ws_user(w.client), &w.log);
    ck_assert_int_eq(sonic_ws_set_handler(w.client, &ws_log_handler, &other),
                     0);
    ck_assert_ptr_eq(sonic_ws_user(w.client), &other);
    ws_say_frame(&w, 0x81, "x");
    for (int i = 0; i < 20000 && other.text[0] == '\0'; i++)
        (void)sonic_io_run_one_for(w.io, 1000000);
    ck_assert_str_eq(other.text, "text:x ");
    ck_assert_str_eq(w.log.text, "open ");
    ws_world_close(&w);
}
END_TEST

/* ---- the crowd --------------------------------------------------------- */

static unsigned each_calls;

static void
greet(sonic_ws *ws, void *ud)
{
    ck_assert_int_eq(sonic_ws_state(ws), SONIC_WS_OPEN);
    ck_assert_ptr_eq(ud, &each_calls);
    each_calls++;
    ck_assert_int_eq(sonic_ws_send(ws, SONIC_WS_TEXT, "all", 3), 0);
}

static void
free_each(sonic_ws *ws, void *ud)
{
    (void)ud;
    each_calls++;
    sonic_ws_free(ws);
}

static void
close_each(sonic_ws *ws, void *ud)
{
    (void)ud;
    each_calls++;
    ck_assert_int_eq(sonic_ws_close(ws, 1001, NULL), 0);
}

static unsigned
each(void (*fn)(sonic_ws *ws, void *ud))
{
    each_calls = 0;
    sonic_ws_server_each(w.server, fn, &each_calls);
    return each_calls;
}

static void
hear_each(const int *fd, unsigned n, void (*hear)(struct ws_world *w))
{
    for (unsigned i = 0; i < n; i++) {
        ck_assert_int_eq(dup2(fd[i], w.fd), w.fd);
        hear(&w);
    }
}

static void
hear_all(struct ws_world *world)
{
    ws_expect_frame(world, 0x81, "all");
}

static void
hear_close(struct ws_world *world)
{
    ws_expect_close(world, 1001);
}

START_TEST(each_that_is_open)
{
    enum { OPEN = 5 };
    int fd[OPEN + 1];

    for (int freed = 0; freed < 2; freed++) {
        begin(_i);
        for (int i = 0; i < OPEN; i++) {
            ws_serve_open(&w, &ws_log_handler);
            fd[i] = dup(w.fd);
        }
        ws_serve(&w, &ws_log_handler); /* not open yet */
        fd[OPEN] = dup(w.fd);
        ck_assert_uint_eq(each(greet), OPEN);
        hear_each(fd, OPEN, hear_all);
        ck_assert_uint_eq(each(freed ? free_each : close_each), OPEN);
        ck_assert_uint_eq(each(greet), 0);
        hear_each(fd, OPEN, freed ? ws_expect_eof : hear_close);
        ck_assert_uint_eq(sonic_ws_server_count(w.server),
                          freed ? 1 : OPEN + 1);
        for (int i = 0; i <= OPEN; i++)
            close(fd[i]);
        ws_world_close(&w);
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_look");
    TCase *t = tcase_create("both backends");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, response_is_seen_before_it_is_judged, 0, 2);
    tcase_add_loop_test(t, response_is_refused_by_the_hook, 0, 2);
    tcase_add_loop_test(t, hook_ends_it, 0, 2);
    tcase_add_loop_test(t, closed_by_the_peer, 0, 2);
    tcase_add_loop_test(t, connect_to_another_address, 0, 2);
    tcase_add_loop_test(t, text_of_any_bytes, 0, 2);
    tcase_add_loop_test(t, pongs_of_ours, 0, 2);
    tcase_add_loop_test(t, a_trace_of_one, 0, 2);
    tcase_add_loop_test(t, whose_it_is, 0, 2);
    tcase_add_loop_test(t, each_that_is_open, 0, 2);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
