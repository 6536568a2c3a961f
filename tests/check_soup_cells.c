/* Every cell of soup/session.def that can be taken: a state, what happens in
 * it, and all that is heard of it at both ends. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/soup_world.h"

static struct soup_world w;

/* What happens: a packet, by its type; or
 *     a  accept    r  reject    c  close    t  20 s go by    g  the peer ends
 */
struct row {
    char in; /* k: ASKING, w: AWAITING, d: DECIDING, o/O: OPEN as a client or
                server, l/L: LEAVING likewise, x: CLOSED */
    char on;
    const char *log, *wire;
};

#define ERR(state, err) "close broken " state " SONIC_ESOUP_" err " next=0\n"
#define ERR5(err) "close broken OPEN SONIC_ESOUP_" err " next=5\n"

static const struct row rows[] = {
    {'k', 'A', "open S 5\n", ""},
    {'k', 'J', "", ""},
    {'k', 'S', ERR("ASKING", "UNEXPECTED"), NULL},
    {'k', 'U', ERR("ASKING", "UNEXPECTED"), NULL},
    {'k', '+', "+:x\n", ""},
    {'k', 'H', "", ""},
    {'k', 'Z', "", ""},
    {'k', '?', ERR("ASKING", "PACKET"), NULL},
    {'k', 'a', "", ""},
    {'k', 'r', "", ""},
    {'k', 'c', "", "O|\n"},
    {'k', 't', ERR("ASKING", "LOGIN"), NULL},
    {'k', 'g', "close broken ASKING SONIC_EOF next=0\n", NULL},
    {'w', 'L', "login me   1\n", ""},
    {'w', 'U', ERR("AWAITING", "UNEXPECTED"), NULL},
    {'w', '+', "+:x\n", ""},
    {'w', 'O', "", ""},
    {'w', '?', ERR("AWAITING", "PACKET"), NULL},
    {'w', 'a', "", ""},
    {'w', 'r', "", ""},
    {'w', 'c', "", ""},
    {'w', 't', ERR("AWAITING", "LOGIN"), NULL},
    {'w', 'g', "close broken AWAITING SONIC_EOF next=0\n", NULL},
    {'d', 'L', ERR("DECIDING", "UNEXPECTED"), NULL},
    {'d', 'U', ERR("DECIDING", "UNEXPECTED"), NULL},
    {'d', 'R', "", ""},
    {'d', 'O', "", ""},
    {'d', '?', ERR("DECIDING", "PACKET"), NULL},
    {'d', 'a', "", "A| S 9\n"},
    {'d', 'r', "", "J|S\n"},
    {'d', 'c', "", ""},
    {'d', 't', ERR("DECIDING", "LOGIN"), NULL},
    {'d', 'g', "close broken DECIDING SONIC_EOF next=0\n", NULL},
    {'o', 'A', ERR5("UNEXPECTED"), NULL},
    {'o', 'J', ERR5("UNEXPECTED"), NULL},
    {'o', 'S', "5:x\n", ""},
    {'o', 'U', "u:x\n", ""},
    {'o', '+', "+:x\n", ""},
    {'o', 'H', "", ""},
    {'o', 'Z', "", ""},
    {'o', '?', ERR5("PACKET"), NULL},
    {'o', 'a', "", ""},
    {'o', 'r', "", ""},
    {'o', 'c', "", "O|\n"},
    {'o', 't', ERR5("SILENT"), NULL},
    {'o', 'g', "close broken OPEN SONIC_EOF next=5\n", NULL},
    {'O', 'L', ERR5("UNEXPECTED"), NULL},
    {'O', 'U', "u:x\n", ""},
    {'O', 'R', "", ""},
    {'O', 'O', "", ""},
    {'O', '?', ERR5("PACKET"), NULL},
    {'O', 'a', "", ""},
    {'O', 'c', "", "Z|\n"},
    {'O', 't', ERR5("SILENT"), NULL},
    {'O', 'g', "close broken OPEN SONIC_EOF next=5\n", NULL},
    {'l', 'A', "", ""},
    {'l', 'J', "", ""},
    {'l', 'S', "", ""},
    {'l', 'U', "", ""},
    {'l', '+', "", ""},
    {'l', 'Z', "", ""},
    {'l', '?', "", ""},
    {'l', 'a', "", ""},
    {'l', 'r', "", ""},
    {'l', 'c', "", ""},
    {'l', 't', "close logout OPEN ETIMEDOUT next=5\n", NULL},
    {'l', 'g', "close logout OPEN 0 next=5\n", NULL},
    {'L', 'L', "", ""},
    {'L', 'U', "", ""},
    {'L', 'R', "", ""},
    {'L', 'O', "", ""},
    {'L', '?', "", ""},
    {'L', 'c', "", ""},
    {'L', 'g', "close session OPEN 0 next=5\n", NULL},
    {'x', 'a', "close terminated OPEN ECANCELED next=5\n", NULL},
    {'x', 'r', "close terminated OPEN ECANCELED next=5\n", NULL},
    {'x', 'c', "close terminated OPEN ECANCELED next=5\n", NULL},
};

static void
reach(char state)
{
    sonic_soup_options opt = SONIC_SOUP_OPTIONS_INIT;
    enum sonic_soup_role role =
        strchr("wdOL", state) != NULL ? SONIC_SOUP_SERVER : SONIC_SOUP_CLIENT;

    opt.any_sequence = SONIC_ON;
    if (strchr("kwd", state) != NULL)
        soup_world_begin(&w, role, &opt, NULL);
    else
        soup_world_open(&w, role, &opt, NULL);
    if (state == 'd')
        soup_peer_login(&w, "me", "", "", "1");
    if (state == 'l' || state == 'L')
        sonic_soup_close(w.soup);
    if (state == 'x')
        sonic_soup_terminate(w.soup);
    else
        (void)soup_peer_got(&w);
    w.log[w.logged = 0] = '\0';
}

static void
happen(const struct row *row)
{
    bool may = row->in == 'd';

    switch (row->on) {
    case 'A':
        soup_peer_accept(&w, "S", "5");
        break;
    case 'L':
        soup_peer_login(&w, "me", "", "", "1");
        break;
    case 'S':
    case 'U':
    case '+':
        soup_peer(&w, row->on, "x");
        break;
    case 'J':
        soup_peer(&w, 'J', "A");
        break;
    case 'a':
        ck_assert_int_eq(sonic_soup_accept(w.soup, "S", 9),
                         may ? 0 : SONIC_ESTATE);
        break;
    case 'r':
        ck_assert_int_eq(sonic_soup_reject(w.soup, SONIC_SOUP_NO_SESSION),
                         may ? 0 : SONIC_ESTATE);
        break;
    case 'c':
        sonic_soup_close(w.soup);
        break;
    case 't':
        soup_pass(&w, 20 * SECOND);
        break;
    case 'g':
        soup_peer_end(&w);
        break;
    default:
        soup_peer(&w, row->on, "");
    }
}

/* The state that is to follow, when it is none of every_way_to_leave. */
static void
look(const struct row *row, enum sonic_soup_state before)
{
    enum sonic_soup_state now = sonic_soup_state(w.soup);

    if (row->on == 'A' && row->in == 'k')
        before = SONIC_SOUP_OPEN;
    if (row->on == 'L' && row->in == 'w')
        before = SONIC_SOUP_DECIDING;
    if (row->on == 'a' && row->in == 'd')
        before = SONIC_SOUP_OPEN;
    if (now == SONIC_SOUP_LEAVING)
        ck_assert(strchr("JZcOr", row->on) != NULL || strchr("lL", row->in));
    else
        ck_assert_msg(now == before, "%c on %c: in %d", row->in, row->on, now);
    if (strchr("lL", row->in) == NULL)
        return;
    ck_assert_int_eq(now, SONIC_SOUP_LEAVING);
    soup_peer_end(&w);
    soup_settle(&w);
    ck_assert_str_eq(w.log, row->in == 'l' ? "close logout OPEN 0 next=5\n"
                                           : "close session OPEN 0 next=5\n");
    ck_assert_int_eq(w.why.reject, 0);
}

START_TEST(every_cell)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        enum sonic_soup_state before;
        const char *got;

        reach(row->in);
        before = sonic_soup_state(w.soup);
        happen(row);
        if (row->in == 'x')
            ck_assert_int_eq(sonic_soup_state(w.soup), SONIC_SOUP_CLOSED);
        soup_settle(&w);
        ck_assert_msg(strcmp(w.log, row->log) == 0, "%c on %c: heard %s",
                      row->in, row->on, w.log);
        if (row->wire != NULL) {
            got = soup_peer_got(&w);
            ck_assert_msg(strcmp(got, row->wire) == 0, "%c on %c: sent %s",
                          row->in, row->on, got);
            look(row, before);
        } else {
            ck_assert_int_eq(sonic_soup_state(w.soup), SONIC_SOUP_CLOSED);
        }
        ck_assert(soup_world_end(&w));
    }
}
END_TEST

/* What LEAVING came from is what the record tells. */
START_TEST(every_way_to_leave)
{
    static const struct {
        char in, on;
        const char *log;
    } ways[] = {
        {'k', 'J', "close rejected ASKING SONIC_ESOUP_REJECTED next=0\n"},
        {'k', 'Z', "close session ASKING 0 next=0\n"},
        {'k', 'c', "close logout ASKING 0 next=0\n"},
        {'w', 'O', "close logout AWAITING 0 next=0\n"},
        {'w', 'c', "close terminated AWAITING 0 next=0\n"},
        {'d', 'O', "close logout DECIDING 0 next=0\n"},
        {'d', 'r', "close rejected DECIDING 0 next=0\n"},
        {'d', 'c', "close terminated DECIDING 0 next=0\n"},
        {'o', 'Z', "close session OPEN 0 next=5\n"},
        {'o', 'c', "close logout OPEN 0 next=5\n"},
        {'O', 'O', "close logout OPEN 0 next=5\n"},
        {'O', 'c', "close session OPEN 0 next=5\n"},
    };

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const struct row row = {ways[i].in, ways[i].on, NULL, NULL};

        reach(row.in);
        happen(&row);
        soup_settle(&w);
        ck_assert_int_eq(sonic_soup_state(w.soup), SONIC_SOUP_LEAVING);
        if (strchr("ko", row.in) != NULL)
            soup_peer_accept(&w, "S", "5"); /* it changes nothing now */
        soup_settle(&w);
        soup_peer_end(&w);
        soup_settle(&w);
        ck_assert_msg(strcmp(w.log, ways[i].log) == 0, "%c on %c: heard %s",
                      row.in, row.on, w.log);
        ck_assert(soup_world_end(&w));
    }
}
END_TEST

/* ---- life -------------------------------------------------------------- */

/* It is freed in each callback in turn: nothing more is heard, no memory is
 * left, and the peer sees the end. */
START_TEST(freed_in_each_callback)
{
    static const struct {
        char in, on;
    } ways[] = {{'k', 'A'}, {'k', '+'}, {'o', 'S'}, {'o', 'U'},
                {'w', 'L'}, {'O', 'U'}, {'o', 'g'}, {'d', '?'}};
    char c;

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const struct row row = {ways[i].in, ways[i].on, NULL, NULL};

        reach(row.in);
        w.quit = true;
        happen(&row);
        if (row.on == 'S') /* one more behind it */
            soup_peer(&w, 'S', "y");
        soup_settle(&w);
        ck_assert_ptr_null(w.soup);
        ck_assert_ptr_null(strchr(w.log, 'y'));
        if (w.peer >= 0)
            ck_assert_int_eq(w.k->recv(w.peer, &c, 1, MSG_DONTWAIT, w.k->ud),
                             0);
        ck_assert(soup_world_end(&w));
    }
}
END_TEST

START_TEST(the_io_ends_in_each_state)
{
    for (const char *state = "kwdoOlLx"; *state != '\0'; state++) {
        reach(*state);
        sonic_io_close(w.io);
        ck_assert_msg(strncmp(w.log, "close ", 6) == 0, "%c: %s", *state,
                      w.log);
        ck_assert_int_eq(w.why.error, -ECANCELED);
        ck_assert(soup_world_end(&w));
    }
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("soup cells");
    TCase *tc = tcase_create("cells");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_test(tc, every_cell);
    tcase_add_test(tc, every_way_to_leave);
    tcase_add_test(tc, freed_in_each_callback);
    tcase_add_test(tc, the_io_ends_in_each_state);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
