/* A message to all, and those who do not take it: sonic_ws_broadcast. */
#include "support/ws_crowd.h"

/* A server whose connections hold little; the first peer does not read. */
static void
open_slow(int i)
{
    sonic_ws_options opt = SONIC_WS_OPTIONS_INIT;

    opt.low_water = 10000;
    opt.high_water = 20000;
    opt.queue_limit = 40000;
    opt.close_timeout = 1; /* whoever does not read does not answer */
    crowd_open(i, &opt);
    crowd_join(NULL);
    crowd_join(NULL);
}

static sonic_ws_broadcast_counts
tell_all(sonic_ws_prepared *p, enum sonic_ws_slow slow)
{
    sonic_ws_broadcast_counts counts;

    ck_assert_int_eq(sonic_ws_broadcast(crowd.server, p, slow, &counts), 0);
    rig_settle(&crowd.rig);
    if (sonic_ws_queued(crowd.ws[1]) == 0)
        crowd_expect(crowd.fd[1], 0x81, crowd_text, 5000);
    return counts;
}

START_TEST(slow_ones_are_queued_for)
{
    sonic_ws_broadcast_counts n;
    sonic_ws_prepared *p;
    unsigned heard = 0, told = 0;

    open_slow(_i);
    p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 5000);
    do {
        n = tell_all(p, SONIC_WS_SLOW_QUEUE);
        ck_assert_uint_eq(n.sent + n.dropped, 2);
        ck_assert_uint_eq(n.closed, 0);
        told += n.sent == 2;
    } while (n.dropped == 0);
    ck_assert_uint_le(sonic_ws_queued(crowd.ws[0]), 40000);
    ck_assert_uint_gt(sonic_ws_queued(crowd.ws[0]), 34000);
    ck_assert_uint_eq(crowd.drains, 0);
    for (; heard < told; heard++) {
        crowd_expect(crowd.fd[0], 0x81, crowd_text, 5000);
        rig_settle(&crowd.rig);
    }
    ck_assert_uint_eq(crowd.drains, 1);
    sonic_ws_prepared_free(p);
    ck_assert_uint_eq(crowd_held(), 0);
    crowd_close();
}
END_TEST

START_TEST(slow_ones_miss_some)
{
    sonic_ws_broadcast_counts n;
    sonic_ws_prepared *p;
    unsigned told = 0;

    open_slow(_i);
    p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 5000);
    do {
        n = tell_all(p, SONIC_WS_SLOW_DROP);
        ck_assert_uint_eq(n.sent, 2);
        told++;
    } while (n.above == 0);
    for (int i = 0; i < 10; i++) {
        n = tell_all(p, SONIC_WS_SLOW_DROP);
        ck_assert_uint_eq(n.sent, 1);
        ck_assert_uint_eq(n.dropped, 1);
    }
    ck_assert_uint_le(sonic_ws_queued(crowd.ws[0]), 20000 + 5004);
    for (; told > 0; told--) {
        crowd_expect(crowd.fd[0], 0x81, crowd_text, 5000);
        rig_settle(&crowd.rig);
    }
    ck_assert_uint_eq(crowd.drains, 1);
    n = tell_all(p, SONIC_WS_SLOW_DROP); /* and now it has caught up */
    ck_assert_uint_eq(n.sent, 2);
    crowd_expect(crowd.fd[0], 0x81, crowd_text, 5000);
    sonic_ws_prepared_free(p);
    crowd_close();
}
END_TEST

START_TEST(slow_ones_are_closed)
{
    sonic_ws_broadcast_counts n;
    sonic_ws_prepared *p;

    open_slow(_i);
    p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 5000);
    do {
        n = tell_all(p, SONIC_WS_SLOW_CLOSE);
        ck_assert_uint_eq(n.dropped, 0);
    } while (n.closed == 0);
    ck_assert_uint_eq(n.sent, 1);
    RIG_UNTIL(&crowd.rig, crowd.closes == 1);
    ck_assert_int_eq(crowd.why.side, SONIC_WS_US);
    ck_assert_uint_eq(crowd.why.code, SONIC_WS_ABNORMAL); /* no answer came */
    ck_assert_int_eq(crowd.why.error, -ETIMEDOUT);
    ck_assert_uint_gt(crowd.why.unsent, 30000);
    n = tell_all(p, SONIC_WS_SLOW_CLOSE);
    ck_assert_uint_eq(n.sent, 1);
    ck_assert_uint_eq(n.dropped + n.closed, 0);
    sonic_ws_prepared_free(p);
    ck_assert_uint_eq(crowd_held(), 0);
    crowd_close();
}
END_TEST

/* In the midst of a message in parts there is no place for another. */
START_TEST(parts_go_first)
{
    sonic_ws_broadcast_counts n;
    sonic_ws_prepared *p;

    crowd_open(_i, NULL);
    crowd_join(NULL);
    crowd_join(NULL);
    crowd_join(NULL);
    p = crowd_prepare(SONIC_WS_TEXT, crowd_text, 5000);
    ck_assert_int_eq(
        sonic_ws_send_part(crowd.ws[0], SONIC_WS_TEXT, "a", 1, false), 0);
    sonic_ws_close(crowd.ws[2], 1000, NULL);
    n = tell_all(p, SONIC_WS_SLOW_QUEUE);
    ck_assert_uint_eq(n.sent, 1);
    ck_assert_uint_eq(n.dropped, 1);
    sonic_ws_prepared_free(p);
    crowd_close();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_broadcast");
    TCase *tc = tcase_create("broadcast");

    rig_add(tc, slow_ones_are_queued_for);
    rig_add(tc, slow_ones_miss_some);
    rig_add(tc, slow_ones_are_closed);
    rig_add(tc, parts_go_first);
    suite_add_tcase(s, tc);
    return rig_main(s);
}
