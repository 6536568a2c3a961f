/* A receiver that is too far behind, has no room, hears nonsense, has no memory
 * or is freed by a callback. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mold_world.h"

static struct mold_world w;

/* A gap of which a server is asked. */
static sonic_mold_receiver_options
with_servers(unsigned n)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;

    o.servers = n;
    return o;
}

/* ---- too much ---------------------------------------------------------- */

START_TEST(too_far_behind_without_a_snapshot)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;

    o.window = 100;
    mold_begin(&w, &o, NULL);
    mold_packet(&w, 0, 1, "a");
    mold_packet(&w, 0, 50, "b");
    mold_packet(&w, 0, 90, "c");
    mold_packet(&w, 0, 102, "d");
    mold_expect(&w, "session DAY1 1\n1:a\ngap 2-49\ngap 51-89\n"
                    "lost 2-49\n50:b\ngap 91-101\n");
    mold_packet(&w, 0, 1000, "e");
    mold_expect(&w, "lost 51-89\n90:c\nlost 91-101\n102:d\nlost 103-999\n"
                    "1000:e\n");
    mold_heartbeat(&w, 0, 5000);
    mold_expect(&w, "lost 1001-4999\n");
    ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_LEVEL);
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(a_snapshot_now)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;

    o.window = 100;
    mold_begin(&w, &o, &mold_snapshooter);
    w.resume_at = 995;
    mold_packet(&w, 0, 1000, "e");
    mold_expect(&w, "session DAY1 1\nsnapshot 1 1001\ngap 995-999\n");
    mold_packet(&w, 1, 995, "a b c d d");
    mold_expect(&w, "995:a\n996:b\n997:c\n998:d\nfilled 995-999\n999:d\n"
                    "1000:e\n");
    /* Resuming where it was helps nothing, and does no harm. */
    w.resume_at = 1001;
    mold_packet(&w, 0, 9999, "f");
    mold_packet(&w, 0, 9999, "f");
    mold_expect(&w, "snapshot 1001 10000\nsnapshot 1001 10000\n");
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(a_snapshot_later)
{
    sonic_mold_receiver_options o = with_servers(1);

    o.window = 100;
    o.request_tries = 1;
    mold_begin(&w, &o, &mold_snapshooter);
    ck_assert_int_eq(sonic_mold_receiver_resume(w.r, 1, 0), SONIC_ESTATE);
    ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_IDLE);
    mold_packet(&w, 0, 1, "a");
    ck_assert_int_eq(sonic_mold_receiver_resume(w.r, 2, 0), SONIC_ESTATE);
    ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_LEVEL);
    mold_packet(&w, 0, 5, "e");
    mold_pass(&w, 102 * MS);
    mold_expect(&w, "session DAY1 1\n1:a\ngap 2-4\nask 0 2-4\nsnapshot 2 6\n");
    ck_assert(sonic_mold_receiver_deadline(w.r) == INT64_MAX);
    mold_packet(&w, 0, 2, "b");
    ck_assert_uint_eq(sonic_mold_receiver_held(w.r), 2);
    mold_packet(&w, 0, 8, "h");
    mold_heartbeat(&w, 0, 10);
    mold_pass(&w, SECOND);
    mold_expect(&w, "");
    ck_assert_int_eq(sonic_mold_receiver_resume(w.r, 1, w.now), SONIC_EOPTION);
    ck_assert_int_eq(sonic_mold_receiver_resume(w.r, 4, w.now), 0);
    mold_expect(&w, "gap 4-4\ngap 6-7\ngap 9-9\n");
    mold_packet(&w, 0, 4, "d");
    mold_packet(&w, 0, 6, "f g");
    mold_packet(&w, 0, 9, "i");
    mold_expect(&w, "filled 4-4\n4:d\n5:e\n6:f\nfilled 6-7\n7:g\n8:h\n"
                    "filled 9-9\n9:i\n");
    ck_assert_int_eq(sonic_mold_receiver_resume(w.r, 99, w.now), SONIC_ESTATE);
    ck_assert(mold_end(&w));
}
END_TEST

/* While the user looks for a snapshot the newest messages are kept. */
START_TEST(a_snapshot_much_later)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;
    char word[16];

    o.window = 64;
    mold_begin(&w, &o, &mold_snapshooter);
    mold_packet(&w, 0, 1000, "x");
    mold_expect(&w, "session DAY1 1\nsnapshot 1 1001\n");
    for (uint64_t i = 1001; i < 1400; i++) {
        snprintf(word, sizeof word, "%d", (int)i);
        mold_packet(&w, 0, i, word);
        ck_assert_uint_le(sonic_mold_receiver_held(w.r), 64);
    }
    mold_over(&w, 0, 1400);
    mold_heartbeat(&w, 0, 1100);
    mold_expect(&w, "");
    ck_assert_int_eq(sonic_mold_receiver_resume(w.r, 1398, w.now), 0);
    mold_expect(&w, "1398:1398\n1399:1399\nend 1400\n");
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(a_session_ends_a_snapshot)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;

    o.window = 64;
    mold_begin(&w, &o, &mold_snapshooter);
    mold_packet(&w, 0, 1000, "x");
    w.session = "DAY2";
    mold_packet(&w, 0, 1, "y");
    mold_expect(&w, "session DAY1 1\nsnapshot 1 1001\nlost 1-1000\n"
                    "session DAY2 1\n1:y\n");
    ck_assert(mold_end(&w));
}
END_TEST

/* After the end nothing is news, however far ahead it says it is. */
START_TEST(too_late)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;

    o.window = 64;
    for (int i = 0; i < 2; i++) {
        mold_begin(&w, &o, i == 0 ? &mold_recorder : &mold_snapshooter);
        mold_packet(&w, 0, 2, "b");
        ck_assert_int_eq(sonic_mold_receiver_resume(w.r, 2, w.now),
                         SONIC_ESTATE);
        mold_packet(&w, 0, 1, "a");
        mold_over(&w, 0, 3);
        mold_expect(&w, "session DAY1 1\ngap 1-1\nfilled 1-1\n1:a\n2:b\n"
                        "end 3\n");
        mold_heartbeat(&w, 0, 1000);
        mold_packet(&w, 0, 1000, "x");
        ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_ENDED);
        mold_packet(&w, 0, 3, "x"); /* within the window, too */
        ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_ENDED);
        mold_packet(&w, 0, 5, "x");
        ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_ENDED);
        mold_heartbeat(&w, 0, 7);
        ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_ENDED);
        mold_packet(&w, 0, 1, "a"); /* long known */
        ck_assert_uint_eq(sonic_mold_receiver_held(w.r), 0);
        ck_assert_uint_eq(sonic_mold_receiver_newest(w.r), 3);
        ck_assert_int_eq(sonic_mold_receiver_resume(w.r, 3, w.now),
                         SONIC_ESTATE);
        ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_ENDED);
        mold_expect(&w, "");
        ck_assert(mold_end(&w));
    }
}
END_TEST

/* What finds no room is missing, and asked for later. */
START_TEST(the_store_is_full)
{
    sonic_mold_receiver_options o = with_servers(1);
    static uint8_t packet[SONIC_MOLD_HEADER + 2 + 60000];
    uint8_t session[SONIC_MOLD_SESSION];
    sonic_mold_receiver_stats s;

    o.hold_bytes = 1 << 17;
    mold_begin(&w, &o, NULL);
    mold_heartbeat(&w, 0, 1);
    ck_assert_int_eq(sonic_mold_session_set(session, "DAY1"), 0);
    packet[20] = 60000 >> 8;
    packet[21] = 60000 & 0xff;
    for (unsigned i = 2; i < 6; i++) {
        sonic_mold_write_header(packet, session, i, 1);
        ck_assert_int_eq(
            sonic_mold_receive(w.r, 0, w.now, packet, sizeof packet), 0);
    }
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.no_room, 2);
    mold_expect(&w, "session DAY1 1\ngap 1-1\ngap 4-4\n"); /* 4-5 by now */
    mold_pass(&w, 2 * MS);
    mold_expect(&w, "ask 0 1-1\nask 0 4-5\n");
    ck_assert(mold_end(&w));
}
END_TEST

/* More gaps than can be told apart: the last one grows, nothing is lost. */
START_TEST(more_gaps_than_there_is_room_for)
{
    sonic_mold_receiver_options o = with_servers(1);

    o.gaps_max = 2;
    mold_begin(&w, &o, NULL);
    mold_packet(&w, 0, 2, "b");
    mold_packet(&w, 0, 4, "d");
    mold_packet(&w, 0, 6, "f");
    mold_packet(&w, 0, 8, "h");
    mold_expect(&w, "session DAY1 1\ngap 1-1\ngap 3-3\n");
    mold_pass(&w, 2 * MS);
    mold_expect(&w, "ask 0 1-1\nask 0 3-3\nask 0 5-5\nask 0 7-7\n");
    mold_packet(&w, SONIC_MOLD_REPLY, 7, "g");
    mold_packet(&w, SONIC_MOLD_REPLY, 3, "c");
    mold_packet(&w, SONIC_MOLD_REPLY, 5, "e");
    mold_expect(&w, "filled 3-7\n");
    mold_packet(&w, 0, 10, "j");
    mold_expect(&w, "gap 9-9\n");
    mold_packet(&w, SONIC_MOLD_REPLY, 1, "a");
    mold_packet(&w, SONIC_MOLD_REPLY, 9, "i");
    mold_expect(&w, "filled 1-1\n1:a\n2:b\n3:c\n4:d\n5:e\n6:f\n7:g\n8:h\n"
                    "filled 9-9\n9:i\n10:j\n");
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(requests_keep_to_their_rate)
{
    sonic_mold_receiver_options o = with_servers(1);
    sonic_mold_receiver_stats s;

    o.request_rate = 100;
    o.request_burst = 5;
    o.request_timeout = 10 * SECOND;
    mold_begin(&w, &o, NULL);
    for (uint64_t i = 2; i < 200; i += 2)
        mold_packet(&w, 0, i, "x");
    mold_pass(&w, 2 * MS);
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.requests, 5);
    mold_pass(&w, 500 * MS);
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_ge(s.requests, 54);
    ck_assert_uint_le(s.requests, 56);
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(requests_keep_to_their_size)
{
    sonic_mold_receiver_options o = with_servers(1);

    o.request_max = 10;
    mold_begin(&w, &o, NULL);
    mold_packet(&w, 0, 101, "x");
    mold_pass(&w, 2 * MS);
    mold_packet(&w, SONIC_MOLD_REPLY, 1, "a b c");
    mold_pass(&w, 2 * MS);
    mold_expect(&w, "session DAY1 1\ngap 1-100\nask 0 1-10\n1:a\n2:b\n3:c\n"
                    "ask 0 4-13\n");
    ck_assert(mold_end(&w));
}
END_TEST

/* ---- malformed --------------------------------------------------------- */

START_TEST(malformed_packets_change_nothing)
{
    uint8_t packet[256], *cut;
    size_t n = mold_write(packet, "DAY1", 1, -1, "abc de f");
    sonic_mold_receiver_stats s;

    mold_begin(&w, NULL, NULL);
    for (size_t len = 0; len < n; len++) {
        cut = malloc(len > 0 ? len : 1);
        memcpy(cut, packet, len);
        ck_assert_int_eq(sonic_mold_receive(w.r, 0, w.now, cut, len),
                         SONIC_EMOLD_PACKET);
        free(cut);
    }
    packet[n] = 0;
    ck_assert_int_eq(sonic_mold_receive(w.r, 0, w.now, packet, n + 1),
                     SONIC_EMOLD_PACKET);
    packet[19] = 2;
    ck_assert_int_eq(sonic_mold_receive(w.r, 0, w.now, packet, n),
                     SONIC_EMOLD_PACKET);
    packet[19] = 3;
    ck_assert_int_eq(sonic_mold_receive(w.r, 9, w.now, packet, n),
                     SONIC_EOPTION);
    mold_expect(&w, "");
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.feed[0].malformed, n + 2);
    ck_assert_uint_eq(s.feed[0].packets, 0);
    ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_IDLE);
    ck_assert(mold_end(&w));
}
END_TEST

/* ---- memory and life --------------------------------------------------- */

START_TEST(freed_in_each_callback)
{
    static const char when[] = "smgflaSe";

    for (const char *c = when; *c != '\0'; c++) {
        sonic_mold_receiver_options o = with_servers(1);

        o.request_tries = 1;
        o.window = 64;
        mold_begin(&w, &o, *c == 'S' ? &mold_snapshooter : &mold_recorder);
        w.quit = *c;
        for (int i = 0; i < 8 && w.r != NULL; i++)
            switch (i) {
            case 0:
                mold_packet(&w, 0, 1, "a b");
                break;
            case 1:
                mold_packet(&w, 0, 5, "e f");
                break;
            case 2:
                mold_packet(&w, 0, 3, "c d e");
                break;
            case 3:
                mold_packet(&w, 0, 9, "i j");
                break;
            case 4:
                mold_pass(&w, SECOND);
                break;
            case 5:
                if (*c == 'S')
                    mold_packet(&w, 0, 999, "x");
                break;
            default:
                mold_over(&w, 0, 11);
            }
        ck_assert_msg(w.r == NULL, "%c did not come", *c);
        ck_assert_uint_eq(w.blocks, 0);
    }
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;
    sonic_mold_receiver *r = NULL;
    sonic_mem mem;
    int err;

    do {
        size_t at = w.fail_at + 1;

        memset(&w, 0, sizeof w);
        w.fail_at = at;
        mem = mold_mem(&w);
        o.mem = &mem;
        err = sonic_mold_receiver_new(&o, NULL, NULL, &r);
        ck_assert(err == 0 || (err == -ENOMEM && w.blocks == 0));
    } while (err < 0);
    ck_assert_uint_ge(w.fail_at, 4);
    sonic_mold_receiver_free(r);
    ck_assert_uint_eq(w.blocks, 0);
    sonic_mold_receiver_free(NULL);
}
END_TEST

START_TEST(nothing_is_allocated_later)
{
    sonic_mold_receiver_options o = with_servers(1);
    size_t allocs;

    mold_begin(&w, &o, NULL);
    allocs = w.allocs;
    for (uint64_t i = 1; i < 20000; i += 4) {
        mold_packet(&w, 0, i + 2, "c d");
        mold_packet(&w, 1, i, "a b");
        w.log[w.logged = 0] = '\0';
    }
    ck_assert_uint_eq(w.allocs, allocs);
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(options_out_of_range)
{
#define O(...)                                                                 \
    {                                                                          \
        .size = sizeof(sonic_mold_receiver_options), __VA_ARGS__               \
    }
    static const sonic_mold_receiver_options rows[] = {
        O(.session = ""),
        O(.session = "12345678901"),
        O(.session = "\n"),
        O(.servers = 9),
        O(.request_delay = -1),
        O(.request_timeout = -1),
        O(.request_max = 65535),
        O(.window = (1 << 24) + 1),
        O(.hold_bytes = 1000),
        O(.gaps_max = (1 << 20) + 1),
        O(.first = UINT64_MAX),
        O(.request_rate = 100000001),
        O(.request_burst = 100000001),
    };
    sonic_mold_receiver *r;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(sonic_mold_receiver_new(&rows[i], NULL, NULL, &r) ==
                          SONIC_EOPTION,
                      "row %zu", i);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("mold limits");
    TCase *tc = tcase_create("limits");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, too_far_behind_without_a_snapshot);
    tcase_add_test(tc, a_snapshot_now);
    tcase_add_test(tc, a_snapshot_later);
    tcase_add_test(tc, a_snapshot_much_later);
    tcase_add_test(tc, a_session_ends_a_snapshot);
    tcase_add_test(tc, too_late);
    tcase_add_test(tc, the_store_is_full);
    tcase_add_test(tc, more_gaps_than_there_is_room_for);
    tcase_add_test(tc, requests_keep_to_their_rate);
    tcase_add_test(tc, requests_keep_to_their_size);
    tcase_add_test(tc, malformed_packets_change_nothing);
    tcase_add_test(tc, freed_in_each_callback);
    tcase_add_test(tc, every_allocation_may_fail);
    tcase_add_test(tc, nothing_is_allocated_later);
    tcase_add_test(tc, options_out_of_range);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
