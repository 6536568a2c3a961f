/* Heartbeats, silence, replay from a source, reading one by one, and memory;
 * by a simulated clock. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/soup_world.h"

static struct soup_world w;

static uint64_t
beats_out(void)
{
    sonic_soup_stats s;

    sonic_soup_get_stats(w.soup, &s);
    return s.heartbeats_out;
}

/* Section 1.3: more than a second after the last thing that was sent. */
START_TEST(heartbeats_are_sent_when_idle)
{
    enum sonic_soup_role role = _i == 0 ? SONIC_SOUP_CLIENT : SONIC_SOUP_SERVER;
    const char *beat = _i == 0 ? "R|\n" : "H|\n", *theirs = _i == 0 ? "H" : "R";
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;

    opt.any_sequence = SONIC_ON;
    soup_world_open(&w, role, &opt, NULL);
    soup_pass(&w, 999 * MS);
    ck_assert_str_eq(soup_peer_got(&w), "");
    soup_pass(&w, 2 * MS);
    ck_assert_str_eq(soup_peer_got(&w), beat);
    soup_pass(&w, 500 * MS);
    ck_assert_int_eq(sonic_soup_send_unsequenced(w.soup, "x", 1), 0);
    soup_pass(&w, 990 * MS);
    ck_assert_str_eq(soup_peer_got(&w), "U|x\n");
    soup_pass(&w, 20 * MS);
    ck_assert_str_eq(soup_peer_got(&w), beat);
    for (int i = 0; i < 100; i++) {
        soup_peer(&w, theirs[0], "");
        soup_pass(&w, SECOND);
    }
    ck_assert_uint_ge(beats_out(), 100);
    ck_assert_uint_le(beats_out(), 103);
    soup_expect(&w, "");
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(silence_ends_it)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;

    opt.any_sequence = SONIC_ON;
    soup_world_open(&w, SONIC_SOUP_CLIENT, &opt, NULL);
    soup_pass(&w, 14900 * MS);
    soup_peer(&w, 'H', "");
    soup_pass(&w, 14900 * MS);
    soup_expect(&w, "");
    soup_pass(&w, 200 * MS);
    soup_expect(&w, "close broken OPEN SONIC_ESOUP_SILENT next=5\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

/* It is we who do not listen. */
START_TEST(a_pause_is_no_silence)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;

    opt.any_sequence = SONIC_ON;
    soup_world_open(&w, SONIC_SOUP_CLIENT, &opt, NULL);
    sonic_soup_pause(w.soup);
    soup_peer(&w, 'S', "a");
    soup_pass(&w, 60 * SECOND);
    soup_expect(&w, "");
    ck_assert_uint_ge(beats_out(), 59);
    sonic_soup_resume(w.soup);
    soup_expect(&w, "5:a\n");
    soup_pass(&w, 14900 * MS);
    soup_expect(&w, "");
    soup_pass(&w, 200 * MS);
    soup_expect(&w, "close broken OPEN SONIC_ESOUP_SILENT next=6\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(a_login_takes_no_longer_than_it_may)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;

    opt.login_timeout = 3 * SECOND;
    soup_world_begin(&w, SONIC_SOUP_SERVER, &opt, NULL);
    soup_pass(&w, 2 * SECOND);
    soup_peer(&w, 'R', ""); /* no login, however often it beats */
    soup_pass(&w, 990 * MS);
    soup_expect(&w, "");
    soup_pass(&w, 20 * MS);
    soup_expect(&w, "close broken AWAITING SONIC_ESOUP_LOGIN next=0\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

/* ---- a source of messages ---------------------------------------------- */

static uint64_t there; /* messages 1 .. there exist */
static unsigned asked;

static const void *
source(sonic_soup *s, uint64_t sequence, size_t *len, void *ud)
{
    static char text[24];

    (void)s;
    (void)ud;
    asked++;
    if (sequence > there)
        return NULL;
    *len = (size_t)snprintf(text, sizeof text, "m%d", (int)sequence);
    return text;
}

START_TEST(a_source_is_replayed_and_goes_on)
{
    sonic_soup_handler h = soup_recorder;

    h.source = source;
    there = 6;
    soup_world_begin(&w, SONIC_SOUP_SERVER, NULL, &h);
    w.answer = "S";
    soup_peer_login(&w, "me", "", "S", "4");
    ck_assert_str_eq(soup_peer_got(&w), "A| S 4\nS|m4\nS|m5\nS|m6\n");
    ck_assert_int_eq(sonic_soup_send(w.soup, "x", 1), SONIC_ESTATE);
    there = 7;
    sonic_soup_pump(w.soup);
    sonic_soup_pump(w.soup);
    ck_assert_str_eq(soup_peer_got(&w), "S|m7\n");
    ck_assert_uint_eq(sonic_soup_next(w.soup), 8);
    ck_assert(soup_world_end(&w));
}
END_TEST

static char big[60000];

static const void *
big_source(sonic_soup *s, uint64_t sequence, size_t *len, void *ud)
{
    (void)s;
    (void)ud;
    *len = sizeof big;
    return sequence > there ? NULL : big;
}

/* A client that does not read is not written to without end. */
START_TEST(a_source_waits_for_the_client)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    sonic_soup_handler h = soup_recorder;
    static char sink[65536];
    size_t got = 0;

    h.source = big_source;
    h.on_drain = NULL;
    there = 1000;
    opt.high_water = 500000;
    opt.low_water = 100000;
    soup_world_begin(&w, SONIC_SOUP_SERVER, &opt, &h);
    w.answer = "S";
    soup_peer_login(&w, "me", "", "S", "1");
    soup_settle(&w);
    ck_assert_uint_lt(sonic_soup_queued(w.soup), 700000);
    ck_assert_uint_lt(sonic_soup_next(w.soup), 100);
    while (got < 1000 * (sizeof big + 3) + 33) {
        ssize_t n = w.k->recv(w.peer, sink, sizeof sink, MSG_DONTWAIT, w.k->ud);

        if (n > 0)
            got += (size_t)n;
        soup_settle(&w);
        ck_assert_uint_lt(sonic_soup_queued(w.soup), 700000);
    }
    ck_assert_uint_eq(sonic_soup_next(w.soup), 1001);
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(a_sources_message_is_too_long)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    sonic_soup_handler h = soup_recorder;

    h.source = big_source;
    there = 1;
    opt.max_message = 100;
    soup_world_begin(&w, SONIC_SOUP_SERVER, &opt, &h);
    w.answer = "S";
    soup_peer_login(&w, "me", "", "S", "1");
    soup_expect(&w, "login me  S 1\n"
                    "close broken OPEN SONIC_ETOOBIG next=1\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

/* ---- limits ------------------------------------------------------------ */

START_TEST(messages_keep_to_their_limit)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    static char body[SONIC_SOUP_MESSAGE_MAX + 1];

    opt.any_sequence = SONIC_ON;
    opt.max_message = 100;
    soup_world_open(&w, SONIC_SOUP_CLIENT, &opt, NULL);
    ck_assert_int_eq(sonic_soup_send_unsequenced(w.soup, body, 101),
                     SONIC_ETOOBIG);
    ck_assert_int_eq(sonic_soup_send_unsequenced(w.soup, body, 100), 0);
    soup_peer_bytes(&w, "\0\146S", 3); /* 101 bytes are to follow */
    soup_expect(&w, "close broken OPEN SONIC_EFRAME_TOOBIG next=5\n");
    ck_assert(soup_world_end(&w));
    soup_world_open(&w, SONIC_SOUP_SERVER, NULL, NULL);
    ck_assert_int_eq(sonic_soup_send(w.soup, body, sizeof body), SONIC_ETOOBIG);
    ck_assert_int_eq(sonic_soup_send(w.soup, body, sizeof body - 1), 0);
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(a_send_says_when_to_pause)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    static char sink[65536];
    int r = 0;

    opt.any_sequence = SONIC_ON;
    opt.low_water = 1000;
    opt.high_water = 200000;
    opt.queue_limit = 400000;
    soup_world_open(&w, SONIC_SOUP_SERVER, &opt, NULL);
    while (r == 0)
        r = sonic_soup_send(w.soup, sink, 50000);
    ck_assert_int_eq(r, 1);
    while (r == 1)
        r = sonic_soup_send(w.soup, sink, 50000);
    ck_assert_int_eq(r, SONIC_EQUEUE);
    soup_pass(&w, 5 * SECOND); /* a heartbeat that finds no room is left out */
    ck_assert_int_eq(sonic_soup_state(w.soup), SONIC_SOUP_OPEN);
    while (sonic_soup_queued(w.soup) > 0) {
        (void)w.k->recv(w.peer, sink, sizeof sink, MSG_DONTWAIT, w.k->ud);
        soup_settle(&w);
    }
    soup_expect(&w, "drain\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

/* ---- read operations, and their blocking twins -------------------------- */

static const sonic_soup_handler silent = {SONIC_SOUP_HANDLER_INIT};

START_TEST(reading_one_by_one)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    uint64_t number;
    char buf[8];
    size_t len;

    opt.any_sequence = SONIC_ON;
    soup_world_begin(&w, SONIC_SOUP_CLIENT, &opt, &silent);
    soup_peer_accept(&w, "S", "5");
    soup_peer(&w, 'S', "one");
    soup_peer(&w, 'H', "");
    soup_peer(&w, 'S', "much too long");
    soup_peer(&w, 'S', "");
    ck_assert_int_eq(sonic_soup_wait(w.soup), 0);
    ck_assert_int_eq(sonic_soup_wait(w.soup), 0);
    ck_assert_int_eq(sonic_soup_flush(w.soup), 0);
    ck_assert_int_eq(sonic_soup_read(w.soup, buf, sizeof buf, &len, &number),
                     0);
    ck_assert_uint_eq(number, 5);
    ck_assert_uint_eq(len, 3);
    ck_assert_mem_eq(buf, "one", 3);
    ck_assert_int_eq(sonic_soup_read(w.soup, buf, sizeof buf, &len, NULL),
                     SONIC_ETOOBIG);
    ck_assert_uint_eq(len, 13);
    ck_assert_int_eq(sonic_soup_read(w.soup, NULL, 0, NULL, &number), 0);
    ck_assert_uint_eq(number, 7);
    soup_peer(&w, 'Z', "");
    soup_peer_end(&w);
    ck_assert_int_eq(sonic_soup_read(w.soup, buf, sizeof buf, NULL, NULL),
                     SONIC_EOF);
    ck_assert_int_eq(sonic_soup_read(w.soup, buf, sizeof buf, NULL, NULL),
                     SONIC_ECLOSED);
    ck_assert_int_eq(sonic_soup_wait(w.soup), SONIC_ECLOSED);
    ck_assert_int_eq(sonic_soup_flush(w.soup), SONIC_ECLOSED);
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(waiting_for_a_login_that_fails)
{
    soup_world_begin(&w, SONIC_SOUP_CLIENT, NULL, &silent);
    soup_peer(&w, 'J', "A");
    ck_assert_int_eq(sonic_soup_wait(w.soup), SONIC_ESOUP_REJECTED);
    ck_assert(soup_world_end(&w));
    soup_world_begin(&w, SONIC_SOUP_CLIENT, NULL, &silent);
    ck_assert_int_eq(sonic_soup_wait(w.soup), SONIC_ESOUP_LOGIN);
    ck_assert(soup_world_end(&w));
}
END_TEST

static unsigned reads;
static int read_err;

static void
on_read(sonic_soup *s, int err, uint64_t sequence, uint8_t *data, size_t len,
        void *ud)
{
    (void)sequence;
    (void)data;
    (void)len;
    (void)ud;
    reads++;
    read_err = err;
    if (err == 0)
        sonic_soup_async_read(s, on_read, NULL);
}

START_TEST(reads_complete_once)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;

    opt.any_sequence = SONIC_ON;
    reads = 0;
    soup_world_open(&w, SONIC_SOUP_CLIENT, &opt, NULL);
    sonic_soup_async_read(w.soup, on_read, NULL);
    sonic_soup_async_read(w.soup, on_read, NULL);
    ck_assert_uint_eq(reads, 1);
    ck_assert_int_eq(read_err, -EBUSY);
    soup_peer(&w, 'S', "a");
    soup_peer(&w, 'S', "b");
    soup_expect(&w, ""); /* they come before the handler */
    ck_assert_uint_eq(reads, 3);
    sonic_soup_free(w.soup);
    w.soup = NULL;
    ck_assert_uint_eq(reads, 3); /* from the loop */
    soup_settle(&w);
    ck_assert_uint_eq(reads, 4);
    ck_assert_int_eq(read_err, -ECANCELED);
    ck_assert(soup_world_end(&w));
}
END_TEST

/* ---- memory ------------------------------------------------------------ */

START_TEST(nothing_is_allocated_in_the_steady_state)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    size_t allocs = 0;

    opt.any_sequence = SONIC_ON;
    soup_world_open(&w, SONIC_SOUP_CLIENT, &opt, NULL);
    for (int i = 0; i < 200; i++) {
        if (i == 50)
            allocs = w.allocs;
        soup_peer(&w, 'S', "message");
        soup_peer(&w, 'U', "aside");
        ck_assert_int_eq(sonic_soup_send_unsequenced(w.soup, "order", 5), 0);
        soup_pass(&w, 1100 * MS);
        (void)soup_peer_got(&w);
        w.log[w.logged = 0] = '\0';
    }
    ck_assert_uint_ge(beats_out(), 100);
    ck_assert_uint_eq(w.allocs, allocs);
    ck_assert(soup_world_end(&w));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("soup time");
    TCase *tc = tcase_create("time");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_loop_test(tc, heartbeats_are_sent_when_idle, 0, 2);
    tcase_add_test(tc, silence_ends_it);
    tcase_add_test(tc, a_pause_is_no_silence);
    tcase_add_test(tc, a_login_takes_no_longer_than_it_may);
    tcase_add_test(tc, a_source_is_replayed_and_goes_on);
    tcase_add_test(tc, a_source_waits_for_the_client);
    tcase_add_test(tc, a_sources_message_is_too_long);
    tcase_add_test(tc, messages_keep_to_their_limit);
    tcase_add_test(tc, a_send_says_when_to_pause);
    tcase_add_test(tc, reading_one_by_one);
    tcase_add_test(tc, waiting_for_a_login_that_fails);
    tcase_add_test(tc, reads_complete_once);
    tcase_add_test(tc, nothing_is_allocated_in_the_steady_state);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
