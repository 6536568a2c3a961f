/* Conversations of both roles, packet by packet: what is said, and heard. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/soup_world.h"

static struct soup_world w;

static void
client(const char *user, const char *session, uint64_t sequence)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;

    opt.user = user;
    opt.password = "secret";
    opt.session = session;
    opt.sequence = sequence;
    soup_world_begin(&w, SONIC_SOUP_CLIENT, &opt, NULL);
}

START_TEST(a_client_logs_in_and_counts)
{
    sonic_soup_stats stats;

    client("alice", NULL, 0);
    ck_assert_str_eq(soup_peer_got(&w), "L|alice secret 1\n");
    ck_assert_str_eq(sonic_soup_session(w.soup), "");
    soup_peer(&w, '+', "hello there");
    soup_peer_accept(&w, "20261125", "1");
    soup_expect(&w, "+:hello there\nopen 20261125 1\n");
    soup_peer(&w, 'S', "one");
    soup_peer(&w, 'H', "");
    soup_peer(&w, 'S', "");
    soup_peer(&w, 'U', "aside");
    soup_peer(&w, 'S', "three");
    soup_expect(&w, "1:one\n2:\nu:aside\n3:three\n");
    ck_assert_uint_eq(sonic_soup_next(w.soup), 4);
    ck_assert_int_eq(sonic_soup_send(w.soup, "x", 1), SONIC_ESTATE);
    ck_assert_int_eq(sonic_soup_send_unsequenced(w.soup, "order", 5), 0);
    ck_assert_int_eq(sonic_soup_send_debug(w.soup, "hm", 2), 0);
    ck_assert_str_eq(soup_peer_got(&w), "U|order\n+|hm\n");
    sonic_soup_get_stats(w.soup, &stats);
    ck_assert_uint_eq(stats.messages_in, 3);
    ck_assert_uint_eq(stats.unsequenced_in, 1);
    ck_assert_uint_eq(stats.unsequenced_out, 1);
    ck_assert_uint_eq(stats.heartbeats_in, 1);
    ck_assert_uint_eq(stats.bytes_in, 14 + 33 + 6 + 3 + 3 + 8 + 8);
    ck_assert_uint_eq(stats.bytes_out, 49 + 8 + 5);
    sonic_soup_close(w.soup);
    sonic_soup_close(w.soup);
    ck_assert_str_eq(soup_peer_got(&w), "O|\n");
    soup_peer(&w, 'S', "late");
    soup_peer_end(&w);
    soup_expect(&w, "close logout OPEN 0 next=4\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(a_server_numbers_and_ends)
{
    soup_world_begin(&w, SONIC_SOUP_SERVER, NULL, NULL);
    w.answer = "MYSESSION";
    w.first = 7;
    soup_peer_login(&w, "bob", "pw", "MYSESSION", "7");
    soup_expect(&w, "login bob pw MYSESSION 7\n");
    ck_assert_str_eq(soup_peer_got(&w), "A| MYSESSION 7\n");
    ck_assert_int_eq(sonic_soup_send(w.soup, "seven", 5), 0);
    ck_assert_int_eq(sonic_soup_send(w.soup, NULL, 0), 0);
    ck_assert_int_eq(sonic_soup_send_unsequenced(w.soup, "u", 1), 0);
    ck_assert_str_eq(soup_peer_got(&w), "S|seven\nS|\nU|u\n");
    ck_assert_uint_eq(sonic_soup_next(w.soup), 9);
    soup_peer(&w, 'U', "order");
    soup_peer(&w, 'R', "");
    soup_peer(&w, '+', "note");
    soup_expect(&w, "u:order\n+:note\n");
    sonic_soup_close(w.soup);
    ck_assert_str_eq(soup_peer_got(&w), "Z|\n");
    ck_assert_int_eq(sonic_soup_send(w.soup, "x", 1), SONIC_ESTATE);
    soup_peer_end(&w);
    soup_expect(&w, "close session OPEN 0 next=9\n");
    ck_assert_int_eq(sonic_soup_accept(w.soup, "S", 1), SONIC_ESTATE);
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(a_client_logs_out)
{
    soup_world_open(&w, SONIC_SOUP_SERVER, NULL, NULL);
    soup_peer(&w, 'O', "");
    soup_settle(&w);
    soup_peer_end(&w);
    soup_expect(&w, "close logout OPEN 0 next=5\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(a_session_ends)
{
    soup_world_open(&w, SONIC_SOUP_CLIENT,
                    &(sonic_soup_options){.size = sizeof(sonic_soup_options),
                                          .sequence = 5},
                    NULL);
    soup_peer(&w, 'S', "last");
    soup_peer(&w, 'Z', "");
    soup_peer_end(&w);
    soup_expect(&w, "5:last\nclose session OPEN 0 next=6\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(logins_are_refused)
{
    static const struct {
        const char *answer, *wire, *log;
        enum sonic_soup_reject why;
    } ways[] = {
        {"", "J|S\n", "close rejected DECIDING 0 next=0\n",
         SONIC_SOUP_NO_SESSION},
        {"no", "J|A\n", "close rejected DECIDING 0 next=0\n",
         SONIC_SOUP_NOT_AUTHORIZED},
    };

    for (size_t i = 0; i < 2; i++) {
        soup_world_begin(&w, SONIC_SOUP_SERVER, NULL, NULL);
        w.answer = ways[i].answer;
        soup_peer_login(&w, "bob", "pw", "", "0");
        soup_expect(&w, "login bob pw  0\n");
        ck_assert_str_eq(soup_peer_got(&w), ways[i].wire);
        soup_peer_end(&w);
        soup_expect(&w, ways[i].log);
        ck_assert_int_eq(w.why.reject, ways[i].why);
        ck_assert(soup_world_end(&w));
        client("bob", NULL, 0);
        soup_peer(&w, 'J', ways[i].answer[0] == '\0' ? "S" : "A");
        soup_settle(&w);
        soup_peer_end(&w);
        soup_expect(&w, "close rejected ASKING SONIC_ESOUP_REJECTED next=0\n");
        ck_assert_int_eq(w.why.reject, ways[i].why);
        ck_assert(soup_world_end(&w));
    }
    /* Nobody to ask: nobody is let in. */
    soup_world_begin(&w, SONIC_SOUP_SERVER, NULL,
                     &(sonic_soup_handler){SONIC_SOUP_HANDLER_INIT});
    soup_peer_login(&w, "bob", "pw", "", "0");
    ck_assert_str_eq(soup_peer_got(&w), "J|A\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

/* The answer may come later, from anywhere, once. */
START_TEST(a_login_is_answered_later)
{
    soup_world_begin(&w, SONIC_SOUP_SERVER, NULL, NULL);
    ck_assert_int_eq(sonic_soup_accept(w.soup, "S", 1), SONIC_ESTATE);
    ck_assert_int_eq(sonic_soup_reject(w.soup, SONIC_SOUP_NO_SESSION),
                     SONIC_ESTATE);
    soup_peer_login(&w, "bob", "pw", "", "0");
    soup_peer(&w, 'R', "");
    soup_expect(&w, "login bob pw  0\n");
    ck_assert_int_eq(sonic_soup_state(w.soup), SONIC_SOUP_DECIDING);
    ck_assert_int_eq(sonic_soup_send(w.soup, "x", 1), SONIC_ESTATE);
    ck_assert_int_eq(sonic_soup_accept(w.soup, "", 1), SONIC_EOPTION);
    ck_assert_int_eq(sonic_soup_accept(w.soup, "S", 0), SONIC_EOPTION);
    ck_assert_int_eq(sonic_soup_accept(w.soup, "12345678901", 1),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic_soup_accept(w.soup, "a b", 1), SONIC_EOPTION);
    ck_assert_int_eq(sonic_soup_reject(w.soup, (enum sonic_soup_reject)'X'),
                     SONIC_EOPTION);
    ck_assert_int_eq(sonic_soup_accept(w.soup, "S", UINT64_MAX), 0);
    ck_assert_int_eq(sonic_soup_accept(w.soup, "S", 1), SONIC_ESTATE);
    ck_assert_str_eq(soup_peer_got(&w), "A| S18446744073709551615\n");
    ck_assert_int_eq(sonic_soup_send(w.soup, "x", 1), SONIC_ESOUP_SEQUENCE);
    ck_assert(soup_world_end(&w));
}
END_TEST

/* ---- where a session goes on ------------------------------------------- */

START_TEST(a_position_carries_on)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    sonic_soup_position at = {"", 0};

    opt.user = "bob";
    opt.position = &at;
    soup_world_begin(&w, SONIC_SOUP_CLIENT, &opt, NULL);
    ck_assert_str_eq(soup_peer_got(&w), "L|bob 1\n");
    soup_peer_accept(&w, "S9", "1");
    soup_peer(&w, 'S', "a");
    soup_peer(&w, 'S', "b");
    soup_peer_bytes(&w, "\0\3S", 3); /* cut off */
    soup_settle(&w);
    soup_peer_end(&w);
    soup_expect(&w, "open S9 1\n1:a\n2:b\n"
                    "close broken OPEN SONIC_EFRAME_CUT next=3\n");
    ck_assert(soup_world_end(&w));
    ck_assert_str_eq(at.session, "S9");
    ck_assert_uint_eq(at.next, 3);
    soup_world_begin(&w, SONIC_SOUP_CLIENT, &opt, NULL);
    ck_assert_str_eq(soup_peer_got(&w), "L|bob S9 3\n");
    soup_peer_accept(&w, "s9", "3");
    soup_peer(&w, 'S', "c");
    soup_peer_end(&w);
    soup_expect(&w, "open s9 3\n3:c\nclose broken OPEN SONIC_EOF next=4\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

START_TEST(another_session_or_number_is_refused)
{
    static const struct {
        const char *session, *number;
        bool any, most_recent, ok;
    } rows[] = {
        {"S1", "5", 0, 0, 1}, {"S2", "5", 0, 0, 0}, {"S1", "4", 0, 0, 0},
        {"S1", "6", 0, 0, 0}, {"S2", "1", 1, 0, 1}, {"S1", "77", 0, 1, 1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;

        opt.session = "S1";
        opt.sequence = 5;
        opt.any_sequence = rows[i].any ? SONIC_ON : SONIC_DEFAULT;
        opt.most_recent = rows[i].most_recent ? SONIC_ON : SONIC_DEFAULT;
        soup_world_begin(&w, SONIC_SOUP_CLIENT, &opt, NULL);
        ck_assert_str_eq(soup_peer_got(&w),
                         rows[i].most_recent ? "L| S1 0\n" : "L| S1 5\n");
        soup_peer_accept(&w, rows[i].session, rows[i].number);
        soup_settle(&w);
        ck_assert_int_eq(sonic_soup_state(w.soup),
                         rows[i].ok ? SONIC_SOUP_OPEN : SONIC_SOUP_CLOSED);
        if (!rows[i].ok)
            soup_expect(&w, "close broken ASKING SONIC_ESOUP_SEQUENCE "
                            "next=0\n");
        ck_assert(soup_world_end(&w));
    }
}
END_TEST

START_TEST(numbers_run_out)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;

    opt.sequence = UINT64_MAX - 1;
    soup_world_begin(&w, SONIC_SOUP_CLIENT, &opt, NULL);
    soup_peer_accept(&w, "S", "18446744073709551614");
    soup_peer(&w, 'S', "a");
    soup_peer(&w, 'S', "b");
    soup_expect(&w, "open S 18446744073709551614\n18446744073709551614:a\n"
                    "close broken OPEN SONIC_ESOUP_SEQUENCE "
                    "next=18446744073709551615\n");
    ck_assert(soup_world_end(&w));
}
END_TEST

/* ---- packets that are wrong -------------------------------------------- */

static const struct {
    enum sonic_soup_role role;
    bool open;
    const char *bytes;
    size_t n;
    int err;
} wrong[] = {
#define B(text) text, sizeof text - 1
    {SONIC_SOUP_CLIENT, false, B("\0\0"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\1?"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, true, B("\0\2Hx"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, true, B("\0\2Zx"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, true, B("\0\1R"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, true, B("\0\1O"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\1J"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\3JAA"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\1S"), SONIC_ESOUP_UNEXPECTED},
    {SONIC_SOUP_CLIENT, false, B("\0\1U"), SONIC_ESOUP_UNEXPECTED},
    {SONIC_SOUP_CLIENT, true, B("\0\2JA"), SONIC_ESOUP_UNEXPECTED},
    {SONIC_SOUP_CLIENT, true, B("\0\1A"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, true, B("\0\37A         S                   1"),
     SONIC_ESOUP_UNEXPECTED},
    {SONIC_SOUP_CLIENT, false, B("\0\37A         S                   0"),
     SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\37A         S                    "),
     SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\37A         S                 1 1"),
     SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\37A         S                  -1"),
     SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\37A         S18446744073709551616"),
     SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\37A       S S                   1"),
     SONIC_ESOUP_PACKET},
    {SONIC_SOUP_CLIENT, false, B("\0\37A         \0                   1"),
     SONIC_ESOUP_PACKET},
    {SONIC_SOUP_SERVER, false, B("\0\1L"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_SERVER, false, B("\0\1U"), SONIC_ESOUP_UNEXPECTED},
    {SONIC_SOUP_SERVER, false, B("\0\1S"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_SERVER, true, B("\0\1Z"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_SERVER, true, B("\0\1H"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_SERVER, true, B("\0\1A"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_SERVER, true, B("\0\2Rx"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_SERVER, true, B("\0\2Ox"), SONIC_ESOUP_PACKET},
    {SONIC_SOUP_SERVER, true,
     B("\0\57Lbob   pw                           1"
       "            "),
     SONIC_ESOUP_UNEXPECTED},
};

START_TEST(wrong_packets_end_it)
{
    char log[128];

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
        bool is_client = wrong[i].role == SONIC_SOUP_CLIENT;

        opt.any_sequence = SONIC_ON;
        if (wrong[i].open)
            soup_world_open(&w, wrong[i].role, &opt, NULL);
        else
            soup_world_begin(&w, wrong[i].role, &opt, NULL);
        soup_peer_bytes(&w, wrong[i].bytes, wrong[i].n);
        snprintf(log, sizeof log, "close broken %s %s next=%d\n",
                 wrong[i].open ? "OPEN"
                 : is_client   ? "ASKING"
                               : "AWAITING",
                 sonic_errname(wrong[i].err), wrong[i].open ? 5 : 0);
        soup_expect(&w, log);
        ck_assert(soup_world_end(&w));
    }
}
END_TEST

/* Fixed sizes: every other length is malformed. */
START_TEST(every_other_length_is_malformed)
{
    static const struct {
        enum sonic_soup_role role;
        char type;
        size_t right;
    } rows[] = {{SONIC_SOUP_SERVER, 'L', 46}, {SONIC_SOUP_CLIENT, 'A', 30},
                {SONIC_SOUP_CLIENT, 'J', 1},  {SONIC_SOUP_SERVER, 'O', 0},
                {SONIC_SOUP_SERVER, 'R', 0},  {SONIC_SOUP_CLIENT, 'H', 0},
                {SONIC_SOUP_CLIENT, 'Z', 0}};
    char text[80];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t n = 0; n < sizeof text - 1; n++) {
            soup_world_begin(&w, rows[i].role, NULL, NULL);
            memset(text, '1', n);
            text[n] = '\0';
            if (n == 30)
                memset(text + 10, ' ', 19);
            if (n == 46)
                memset(text + 26, ' ', 10);
            soup_peer(&w, rows[i].type, text);
            soup_settle(&w);
            ck_assert_msg((w.why.error == SONIC_ESOUP_PACKET) ==
                              (n != rows[i].right),
                          "%c of %zu", rows[i].type, n);
            ck_assert(soup_world_end(&w));
        }
}
END_TEST

/* ---- any split of the bytes -------------------------------------------- */

START_TEST(every_split_gives_the_same)
{
    static const char bytes[] =
        "\0\37A         S                   1"
        "\0\4Sabc\0\1H\0\1S\0\3Uxy\0\3+no\0\5Sdefg\0\1Z";
    size_t n = sizeof bytes - 1;

    for (size_t a = 0; a <= n; a++)
        for (size_t b = a; b <= n; b += 7) {
            soup_world_begin(&w, SONIC_SOUP_CLIENT, NULL, NULL);
            if (a > 0)
                soup_peer_bytes(&w, bytes, a);
            soup_settle(&w);
            if (b > a)
                soup_peer_bytes(&w, bytes + a, b - a);
            soup_settle(&w);
            if (n > b)
                soup_peer_bytes(&w, bytes + b, n - b);
            soup_settle(&w);
            soup_peer_end(&w);
            soup_expect(&w, "open S 1\n1:abc\n2:\nu:xy\n+:no\n3:defg\n"
                            "close session OPEN 0 next=4\n");
            ck_assert(soup_world_end(&w));
        }
}
END_TEST

/* The stream ends after any byte: what was whole has been delivered, and the
 * position says so. */
START_TEST(every_cut_keeps_the_position)
{
    static const char bytes[] = "\0\37A         S                   1"
                                "\0\4Sabc\0\1H\0\1S\0\5Sdefg";
    static const size_t ends[] = {33, 39, 45, 52};
    size_t n = sizeof bytes - 1;

    for (size_t cut = 0; cut <= n; cut++) {
        sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
        sonic_soup_position at = {"", 0};
        uint64_t next = 0;

        opt.position = &at;
        soup_world_begin(&w, SONIC_SOUP_CLIENT, &opt, NULL);
        if (cut > 0)
            soup_peer_bytes(&w, bytes, cut);
        soup_settle(&w);
        soup_peer_end(&w);
        soup_settle(&w);
        for (size_t i = 0; i < 4; i++)
            next += cut >= ends[i];
        ck_assert_uint_eq(at.next, next);
        ck_assert_uint_eq(w.why.next, next);
        ck_assert_int_eq(w.why.end, SONIC_SOUP_BROKEN);
        ck_assert(w.why.error == SONIC_EOF || w.why.error == SONIC_EFRAME_CUT);
        ck_assert(soup_world_end(&w));
    }
}
END_TEST

/* ---- options ----------------------------------------------------------- */

START_TEST(options_out_of_range_are_refused)
{
#define O(...)                                                                 \
    {                                                                          \
        .size = sizeof(sonic_soup_options), __VA_ARGS__                        \
    }
    static sonic_soup_position bad = {"a b", 1};
    static const sonic_soup_options rows[] = {
        O(.user = "1234567"),
        O(.password = "12345678901"),
        O(.session = "12345678901"),
        O(.user = "a b"),
        O(.user = "\xc3\xa9"),
        O(.heartbeat = -1),
        O(.silence = -1),
        O(.login_timeout = -1),
        O(.close_timeout = -1),
        O(.max_message = 65535),
        O(.silence = 1, .heartbeat = 2),
        O(.position = &bad),
        O(.low_water = 2, .high_water = 1),
        O(.heartbeat = INT64_MAX),
    };
    static const sonic_soup_handler no_size = {.on_close = NULL};
    sonic_stream *s[2];
    sonic_soup *soup;
    sonic_io *io;

    ck_assert_int_eq(sonic_io_new(&io, NULL), 0);
    ck_assert_int_eq(sonic_stream_pair(io, s), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(sonic_soup_client_new(s[0], &rows[i], NULL, NULL,
                                            &soup) == SONIC_EOPTION,
                      "row %zu", i);
    ck_assert(sonic_stream_is_open(s[0])); /* it stays the caller's */
    ck_assert_int_eq(sonic_soup_client_new(s[0], NULL, NULL, NULL, &soup), 0);
    ck_assert_int_eq(sonic_soup_set_handler(soup, &no_size, NULL),
                     SONIC_EOPTION);
    sonic_soup_free(soup);
    ck_assert_int_eq(sonic_soup_server_new(s[1], NULL, NULL, NULL, &soup), 0);
    sonic_io_free(io);
}
END_TEST

START_TEST(names_are_compared_without_case)
{
    ck_assert(sonic_soup_same("Bob", "bOB"));
    ck_assert(sonic_soup_same("", ""));
    ck_assert(!sonic_soup_same("bob", "bobo"));
    ck_assert(!sonic_soup_same("bobo", "bob"));
    ck_assert(!sonic_soup_same("@", "`"));
    ck_assert(!sonic_soup_same("[", "{"));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("soup");
    TCase *tc = tcase_create("conversations");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_client_logs_in_and_counts);
    tcase_add_test(tc, a_server_numbers_and_ends);
    tcase_add_test(tc, a_client_logs_out);
    tcase_add_test(tc, a_session_ends);
    tcase_add_test(tc, logins_are_refused);
    tcase_add_test(tc, a_login_is_answered_later);
    tcase_add_test(tc, a_position_carries_on);
    tcase_add_test(tc, another_session_or_number_is_refused);
    tcase_add_test(tc, numbers_run_out);
    tcase_add_test(tc, wrong_packets_end_it);
    tcase_add_test(tc, every_other_length_is_malformed);
    tcase_add_test(tc, every_split_gives_the_same);
    tcase_add_test(tc, every_cut_keeps_the_position);
    tcase_add_test(tc, options_out_of_range_are_refused);
    tcase_add_test(tc, names_are_compared_without_case);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
