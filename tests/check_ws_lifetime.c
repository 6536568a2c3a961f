/* Anything, done to a connection in any of its callbacks and between any two
 * steps of the loop, in every state that it has: for each conversation of a
 * table, each place in it, each deed of a list, and each of the two ends.
 *
 * SONIC_LIFE=PLAN:PLACE:DEED:DEED:WHOM does one only. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/life_world.h"
#include "websocket/session.h"

static const struct life_plan plans[] = {
    {.name = "messages", .size = 5},
    {.name = "the server closes", .size = 5, .server_closes = true},
    {.name = "chunks", .delivery = LIFE_CHUNKS, .size = 20000},
    {.name = "frames", .delivery = LIFE_FRAMES, .size = 5},
    {.name = "read", .delivery = LIFE_READ, .size = 5},
    {.name = "read into", .delivery = LIFE_READ_INTO, .size = 60},
    {.name = "read chunks", .delivery = LIFE_READ_CHUNK, .size = 20000},
    {.name = "read frames", .delivery = LIFE_READ_FRAME, .size = 5},
    {.name = "too big to read into", .delivery = LIFE_READ_INTO, .size = 65},
    {.name = "a full queue", .size = 150000, .small_marks = true},
    {.name = "refused", .size = 5, .refuse = true},
    {.name = "bad text", .size = 5, .bad_text = true},
    {.name = "a deaf server", .size = 5, .deaf_server = true},
    {.name = "no pong",
     .size = 5,
     .deaf_server = true,
     .nobody_closes = true,
     .keepalive = true},
    {.name = "no answer", .size = 5, .silent_server = true},
    {.name = "a proxy", .size = 5, .proxy = true},
    {.name = "no such host", .size = 5, .no_such_host = true},
#ifndef SONIC_WITHOUT_TLS
    {.name = "TLS", .size = 20000, .tls = true},
    {.name = "TLS, a proxy", .size = 5, .proxy = true, .tls = true},
    {.name = "TLS of a server without", .size = 5, .mistaken = true},
#endif
    {.name = "draining", .size = 5, .drain = true, .nobody_closes = true},
};
enum { PLANS = sizeof plans / sizeof *plans };

static void
try(const struct life_plan *p, const struct life_deeds *d)
{
    unsigned seed = (unsigned)(d->at * 31 + (unsigned)d->deed * 2 + d->whom);
    unsigned long places;
    const char *wrong = life_run(p, d, seed, &places);

    ck_assert_msg(wrong == NULL, "SONIC_LIFE=%d:%lu:%d:%d:%u (%s, %s, %s): %s",
                  (int)(p - plans), d->at, (int)d->deed, (int)d->then, d->whom,
                  p->name, life_deed_name(d->deed), life_deed_name(d->then),
                  wrong);
}

static bool
only_one(void)
{
    const char *text = getenv("SONIC_LIFE");
    unsigned plan, deed, then;
    struct life_deeds d;

    if (text == NULL || sscanf(text, "%u:%lu:%u:%u:%u", &plan, &d.at, &deed,
                               &then, &d.whom) != 5)
        return false;
    d.deed = (enum life_deed)deed;
    d.then = (enum life_deed)then;
    try(&plans[plan % PLANS], &d);
    return true;
}

/* How many places a conversation has when nothing is done.  Another seed is
 * another order of things, and another number. */
static unsigned long
count_places(const struct life_plan *p)
{
    const struct life_deeds none = {0, LIFE_DO_NOTHING, LIFE_DO_NOTHING, 0};
    unsigned long most = 0, places;

    for (unsigned seed = 0; seed < 4; seed++) {
        const char *wrong = life_run(p, &none, seed, &places);

        ck_assert_msg(wrong == NULL, "%s, undisturbed: %s", p->name, wrong);
        most = places > most ? places : most;
    }
    ck_assert_uint_gt(most, 4);
    return most;
}

/* A deed to the server or the io is the same to either end. */
static bool
is_double(unsigned deed, unsigned whom)
{
    return whom == LIFE_SERVER && deed >= LIFE_DO_DRAIN_SERVER;
}

/* A handshake of TLS takes a millisecond: one place in 4 then. */
static unsigned
every(const struct life_plan *p)
{
    if (getenv("SONIC_LIFE_ALL") != NULL)
        return 1;
    return (p->tls || p->mistaken ? 4u : 1u) *
           (getenv("SONIC_TEST_SLOW") != NULL ? 3 : 1);
}

START_TEST(anything_anywhere)
{
    const struct life_plan *p = &plans[_i];
    unsigned step = every(p), n = 0;
    unsigned long most;

    if (only_one())
        return;
    most = count_places(p);
    for (unsigned deed = 1; deed < LIFE_DEEDS; deed++)
        for (unsigned whom = 0; whom < LIFE_ENDS; whom++)
            for (unsigned long at = 1 + n++ % step; at <= most; at += step) {
                const struct life_deeds d = {at, (enum life_deed)deed,
                                             LIFE_DO_NOTHING, whom};

                if (!is_double(deed, whom))
                    try(p, &d);
            }
}
END_TEST

/* Two deeds, one right behind the other, at one place in 32; with
 * SONIC_LIFE_ALL=1 at all of them. */
START_TEST(two_things)
{
    const struct life_plan *p = &plans[_i];
    unsigned step = getenv("SONIC_LIFE_ALL") != NULL ? 1 : 32 * every(p), n = 0;
    unsigned long most;

    if (getenv("SONIC_LIFE") != NULL)
        return;
    most = count_places(p);
    for (unsigned deed = 1; deed < LIFE_DO_CLOSE_IO; deed++)
        for (unsigned then = 1; then < LIFE_DEEDS; then++)
            for (unsigned long at = 1 + n++ % step; at <= most; at += step) {
                const struct life_deeds d = {at, (enum life_deed)deed,
                                             (enum life_deed)then, at / 8 % 2};

                try(p, &d);
            }
}
END_TEST

/* The places that there must have been. */
static const struct {
    enum life_place place;
    unsigned end;
    const char *states; /* numbers of session.def, as letters from 'a' */
} expected[] = {
#ifndef SONIC_WITHOUT_TLS
    {LIFE_AT_BETWEEN, LIFE_CLIENT, "d"},
#endif
    {LIFE_AT_BETWEEN, LIFE_CLIENT, "abcefghi"},
    {LIFE_AT_BETWEEN, LIFE_SERVER, "fgh"},
    {LIFE_AT_ON_REQUEST, LIFE_CLIENT, "e"},
    {LIFE_AT_ON_RESPONSE, LIFE_CLIENT, "e"},
    {LIFE_AT_ON_UPGRADE, LIFE_SERVER, "e"},
    {LIFE_AT_ON_OPEN, LIFE_CLIENT, "f"},
    {LIFE_AT_ON_OPEN, LIFE_SERVER, "f"},
    {LIFE_AT_ON_MESSAGE, LIFE_CLIENT, "fg"},
    {LIFE_AT_ON_MESSAGE, LIFE_SERVER, "fg"},
    {LIFE_AT_ON_CHUNK, LIFE_CLIENT, "fg"},
    {LIFE_AT_ON_CHUNK, LIFE_SERVER, "fg"},
    {LIFE_AT_ON_FRAME, LIFE_CLIENT, "fg"},
    {LIFE_AT_ON_FRAME, LIFE_SERVER, "fg"},
    {LIFE_AT_ON_CONTROL, LIFE_CLIENT, "fh"},
    {LIFE_AT_ON_CONTROL, LIFE_SERVER, "fh"},
    {LIFE_AT_ON_DRAIN, LIFE_CLIENT, "f"},
    {LIFE_AT_ON_DRAIN, LIFE_SERVER, "f"},
    {LIFE_AT_ON_CLOSE, LIFE_CLIENT, "i"},
    {LIFE_AT_ON_CLOSE, LIFE_SERVER, "i"},
    {LIFE_AT_CONNECTED, LIFE_CLIENT, "fi"},
    {LIFE_AT_SENT, LIFE_CLIENT, "fghi"},
    {LIFE_AT_SENT, LIFE_SERVER, "fghi"},
    {LIFE_AT_READ_DONE, LIFE_CLIENT, "fgi"},
    {LIFE_AT_READ_DONE, LIFE_SERVER, "fgi"},
    {LIFE_AT_CLOSED, LIFE_CLIENT, "i"},
    {LIFE_AT_CLOSED, LIFE_SERVER, "i"},
};

/* Which places the undisturbed conversations and the deeds come to. */
START_TEST(everywhere)
{
    unsigned long places;

    memset(life_seen, 0, sizeof life_seen);
    for (size_t i = 0; i < PLANS; i++)
        for (unsigned deed = 0; deed < LIFE_DEEDS; deed++)
            for (unsigned long at = 1; at < 100; at += 7) {
                const struct life_deeds d = {at, (enum life_deed)deed,
                                             LIFE_DO_NOTHING, at % 2};

                (void)life_run(&plans[i], &d, 1, &places);
            }
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        for (const char *s = expected[i].states; *s != '\0'; s++)
            ck_assert_msg(
                life_seen[expected[i].place][expected[i].end][*s - 'a'] > 0,
                "%s of the %s never in %s", life_place_name(expected[i].place),
                expected[i].end == LIFE_CLIENT ? "client" : "server",
                sonic__ws_session_fsm.states[*s - 'a']);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ws_lifetime");
    TCase *tc = tcase_create("lives");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, anything_anywhere, 0, PLANS);
    tcase_add_loop_test(tc, two_things, 0, PLANS);
    tcase_add_test(tc, everywhere);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
