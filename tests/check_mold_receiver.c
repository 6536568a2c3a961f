/* A receiver hears packets, and time; what it makes of them, line by line. */
#include <check.h>
#include <stdlib.h>

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

START_TEST(in_order)
{
    sonic_mold_receiver_stats s;

    mold_begin(&w, NULL, NULL);
    ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_IDLE);
    ck_assert_str_eq(sonic_mold_receiver_session(w.r), "");
    ck_assert_int_eq(mold_heartbeat(&w, 0, 1), 0);
    ck_assert_int_eq(mold_packet(&w, 0, 1, "a b c"), 0);
    ck_assert_int_eq(mold_packet(&w, 0, 4, "d"), 0);
    ck_assert_int_eq(mold_heartbeat(&w, 0, 5), 0);
    ck_assert_int_eq(mold_packet(&w, 0, 5, "e"), 0);
    ck_assert_int_eq(mold_over(&w, 0, 6), 0);
    ck_assert_int_eq(mold_over(&w, 0, 6), 0);
    mold_expect(&w, "session DAY1 1\n1:a\n2:b\n3:c\n4:d\n5:e\nend 6\n");
    ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_ENDED);
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.messages, 5);
    ck_assert_uint_eq(s.feed[0].packets, 7);
    ck_assert_uint_eq(s.feed[0].heartbeats, 2);
    ck_assert_uint_eq(s.feed[0].ends, 2);
    ck_assert_uint_eq(s.feed[0].used, 5);
    ck_assert_uint_eq(s.feed[0].messages, 5);
    ck_assert_uint_eq(s.feed[0].lost + s.feed[0].duplicates + s.lost, 0);
    ck_assert(sonic_mold_receiver_deadline(w.r) == INT64_MAX);
    ck_assert(mold_end(&w));
}
END_TEST

/* Whichever copy comes first is used, once; packets may be cut differently. */
START_TEST(two_feeds_are_one)
{
    sonic_mold_receiver_stats s;

    mold_begin(&w, NULL, NULL);
    mold_packet(&w, 0, 1, "a b");
    mold_packet(&w, 1, 1, "a b c");
    mold_packet(&w, 1, 4, "d");
    mold_packet(&w, 0, 3, "c d e");
    mold_packet(&w, 1, 5, "e");
    mold_packet(&w, 0, 6, "f");
    mold_expect(&w, "session DAY1 1\n1:a\n2:b\n3:c\n4:d\n5:e\n6:f\n");
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.feed[0].used, 4);
    ck_assert_uint_eq(s.feed[1].used, 2);
    ck_assert_uint_eq(s.feed[0].duplicates, 2);
    ck_assert_uint_eq(s.feed[1].duplicates, 3);
    ck_assert(mold_end(&w));
}
END_TEST

/* What one feed loses the other has: no server is asked. */
START_TEST(the_other_feed_fills)
{
    sonic_mold_receiver_options o = with_servers(1);
    sonic_mold_receiver_stats s;

    mold_begin(&w, &o, NULL);
    mold_packet(&w, 0, 1, "a");
    mold_packet(&w, 1, 1, "a");
    mold_packet(&w, 0, 4, "d e");
    mold_pass(&w, MS);
    mold_packet(&w, 1, 2, "b");
    mold_expect(&w, "session DAY1 1\n1:a\ngap 2-3\n2:b\n");
    ck_assert_uint_eq(sonic_mold_receiver_held(w.r), 2);
    mold_packet(&w, 1, 3, "c d");
    mold_expect(&w, "filled 2-3\n3:c\n4:d\n5:e\n");
    mold_pass(&w, SECOND);
    mold_expect(&w, "");
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.requests, 0);
    ck_assert_int_eq(s.longest, MS);
    ck_assert_uint_eq(s.feed[0].lost, 2);
    ck_assert_uint_eq(s.feed[1].lost, 0);
    ck_assert_uint_eq(s.held, 1); /* d came again before it was used */
    ck_assert_uint_eq(sonic_mold_receiver_held(w.r), 0);
    ck_assert(mold_end(&w));
}
END_TEST

/* A gap that a heartbeat told of, and from whose middle something came: its
 * beginning falls too far behind, its end comes. */
START_TEST(what_is_lost_in_part_is_not_filled)
{
    sonic_mold_receiver_options o = with_servers(1);
    sonic_mold_receiver_stats s;

    o.window = 32;
    mold_begin(&w, &o, NULL);
    mold_packet(&w, 0, 1, "a");
    mold_heartbeat(&w, 0, 10);
    mold_packet(&w, 0, 5, "e f");
    mold_pass(&w, 2 * MS);
    mold_expect(&w, "session DAY1 1\n1:a\ngap 2-9\nask 0 2-4\nask 0 7-9\n");
    mold_packet(&w, 0, 34, "z");
    mold_expect(&w, "lost 2-4\n5:e\n6:f\ngap 10-33\n");
    mold_packet(&w, 0, 7, "g h i");
    mold_expect(&w, "7:g\n8:h\n9:i\n");
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.gaps, 2);
    ck_assert_uint_eq(s.filled, 0);
    ck_assert_uint_eq(s.lost, 3);
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(a_server_fills)
{
    sonic_mold_receiver_options o = with_servers(2);
    sonic_mold_receiver_stats s;

    mold_begin(&w, &o, NULL);
    mold_packet(&w, 0, 1, "a");
    mold_packet(&w, 0, 5, "e");
    mold_packet(&w, 0, 8, "h");
    mold_expect(&w, "session DAY1 1\n1:a\ngap 2-4\ngap 6-7\n");
    mold_pass(&w, 2 * MS - 1);
    mold_expect(&w, "");
    mold_pass(&w, 1);
    mold_expect(&w, "ask 0 2-4\nask 0 6-7\n");
    mold_pass(&w, 100 * MS); /* no answer: the other one */
    mold_expect(&w, "ask 1 2-4\nask 1 6-7\n");
    mold_packet(&w, SONIC_MOLD_REPLY, 6, "f g");
    mold_expect(&w, "filled 6-7\n");
    mold_packet(&w, SONIC_MOLD_REPLY, 2, "b");
    mold_expect(&w, "2:b\n");
    mold_pass(&w, 2 * MS); /* it is there: soon the rest */
    mold_expect(&w, "ask 0 3-4\n");
    mold_packet(&w, SONIC_MOLD_REPLY, 3, "c d e");
    mold_expect(&w, "3:c\nfilled 2-4\n4:d\n5:e\n6:f\n7:g\n8:h\n");
    ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_LEVEL);
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.gaps, 2);
    ck_assert_uint_eq(s.filled, 2);
    ck_assert_uint_eq(s.requests, 5);
    ck_assert_uint_eq(s.asked, 3 + 2 + 3 + 2 + 2);
    ck_assert_uint_eq(s.feed[SONIC_MOLD_REPLY].used, 5);
    ck_assert_uint_eq(s.feed[SONIC_MOLD_REPLY].duplicates, 1);
    ck_assert_int_eq(s.longest, 104 * MS);
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(nobody_answers)
{
    sonic_mold_receiver_options o = with_servers(2);

    o.request_tries = 3;
    mold_begin(&w, &o, NULL);
    mold_packet(&w, 0, 2, "b");
    mold_packet(&w, 0, 4, "d");
    mold_expect(&w, "session DAY1 1\ngap 1-1\ngap 3-3\n");
    mold_pass(&w, 202 * MS);
    mold_expect(&w, "ask 0 1-1\nask 0 3-3\nask 1 1-1\nask 1 3-3\n"
                    "ask 0 1-1\nask 0 3-3\n");
    mold_pass(&w, 100 * MS);
    mold_expect(&w, "lost 1-1\n2:b\nlost 3-3\n4:d\n");
    ck_assert_int_eq(sonic_mold_receiver_state(w.r), SONIC_MOLD_LEVEL);
    ck_assert(sonic_mold_receiver_deadline(w.r) == INT64_MAX);
    ck_assert(mold_end(&w));
}
END_TEST

/* Without a server the other feeds have request_timeout. */
START_TEST(nobody_can_be_asked)
{
    mold_begin(&w, NULL, NULL);
    mold_packet(&w, 0, 3, "c");
    mold_pass(&w, 99 * MS);
    mold_expect(&w, "session DAY1 1\ngap 1-2\n");
    mold_pass(&w, MS);
    mold_expect(&w, "lost 1-2\n3:c\n");
    mold_packet(&w, 1, 1, "a b"); /* too late */
    mold_expect(&w, "");
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(heartbeats_and_the_end_tell_of_loss)
{
    sonic_mold_receiver_options o = with_servers(1);

    mold_begin(&w, &o, NULL);
    mold_packet(&w, 0, 1, "a");
    mold_heartbeat(&w, 0, 3);
    mold_expect(&w, "session DAY1 1\n1:a\ngap 2-2\n");
    mold_packet(&w, 1, 2, "b");
    mold_expect(&w, "filled 2-2\n2:b\n");
    mold_over(&w, 0, 5);
    mold_expect(&w, "gap 3-4\n");
    mold_pass(&w, 2 * MS);
    mold_packet(&w, SONIC_MOLD_REPLY, 3, "c d");
    mold_expect(&w, "ask 0 3-4\n3:c\nfilled 3-4\n4:d\nend 5\n");
    mold_packet(&w, 0, 5, "nonsense");
    mold_packet(&w, 0, 7, "nonsense");
    mold_heartbeat(&w, 0, 9);
    mold_expect(&w, "");
    ck_assert(mold_end(&w));
}
END_TEST

/* ---- sessions ---------------------------------------------------------- */

START_TEST(a_session_follows_another)
{
    mold_begin(&w, NULL, NULL);
    mold_packet(&w, 0, 1, "a");
    mold_over(&w, 0, 2);
    w.session = "DAY2";
    mold_packet(&w, 1, 1, "A");
    w.session = "DAY1"; /* a straggler of the other feed */
    ck_assert_int_eq(mold_over(&w, 1, 2), SONIC_EMOLD_SESSION);
    w.session = "DAY2";
    mold_packet(&w, 1, 2, "B");
    mold_expect(&w, "session DAY1 1\n1:a\nend 2\nsession DAY2 1\n1:A\n2:B\n");
    w.session = "DAY3"; /* the server's answers begin no session */
    ck_assert_int_eq(mold_packet(&w, SONIC_MOLD_REPLY, 1, "x"),
                     SONIC_EMOLD_SESSION);
    ck_assert_int_eq(mold_heartbeat(&w, 0, 1), 0);
    mold_expect(&w, "session DAY3 1\n");
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(a_session_breaks_off)
{
    mold_begin(&w, NULL, NULL);
    mold_packet(&w, 0, 1, "a");
    mold_packet(&w, 0, 3, "c");
    mold_packet(&w, 0, 6, "f");
    mold_heartbeat(&w, 0, 8);
    w.session = "DAY2";
    mold_packet(&w, 0, 1, "A");
    mold_expect(&w, "session DAY1 1\n1:a\ngap 2-2\ngap 4-5\ngap 7-7\n"
                    "lost 2-2\n3:c\nlost 4-5\n6:f\nlost 7-7\n"
                    "session DAY2 1\n1:A\n");
    ck_assert_uint_eq(sonic_mold_receiver_held(w.r), 0);
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(only_one_session_is_wanted)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;
    sonic_mold_receiver_stats s;

    o.session = "DAY2";
    mold_begin(&w, &o, NULL);
    ck_assert_int_eq(mold_packet(&w, 0, 1, "a"), SONIC_EMOLD_SESSION);
    w.session = "DAY2";
    ck_assert_int_eq(mold_packet(&w, 0, 1, "b"), 0);
    w.session = "DAY3";
    ck_assert_int_eq(mold_packet(&w, 0, 1, "c"), SONIC_EMOLD_SESSION);
    mold_expect(&w, "session DAY2 1\n1:b\n");
    sonic_mold_receiver_get_stats(w.r, &s);
    ck_assert_uint_eq(s.feed[0].foreign, 2);
    ck_assert(mold_end(&w));
}
END_TEST

START_TEST(joining_begins_anywhere)
{
    sonic_mold_receiver_options o = SONIC_MOLD_RECEIVER_OPTIONS_INIT;

    o.join = SONIC_ON;
    mold_begin(&w, &o, NULL);
    mold_heartbeat(&w, 0, 77);
    mold_packet(&w, 0, 77, "x");
    w.session = "DAY2";
    mold_packet(&w, 0, 5, "y");
    mold_over(&w, 0, 6);
    w.session = "DAY3";
    mold_over(&w, 0, 9);
    mold_expect(&w, "session DAY1 77\n77:x\nsession DAY2 5\n5:y\nend 6\n"
                    "session DAY3 9\nend 9\n");
    ck_assert(mold_end(&w));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("mold receiver");
    TCase *tc = tcase_create("receiver");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, in_order);
    tcase_add_test(tc, two_feeds_are_one);
    tcase_add_test(tc, the_other_feed_fills);
    tcase_add_test(tc, what_is_lost_in_part_is_not_filled);
    tcase_add_test(tc, a_server_fills);
    tcase_add_test(tc, nobody_answers);
    tcase_add_test(tc, nobody_can_be_asked);
    tcase_add_test(tc, heartbeats_and_the_end_tell_of_loss);
    tcase_add_test(tc, a_session_follows_another);
    tcase_add_test(tc, a_session_breaks_off);
    tcase_add_test(tc, only_one_session_is_wanted);
    tcase_add_test(tc, joining_begins_anywhere);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
