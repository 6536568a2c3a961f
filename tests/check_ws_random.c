/* The parser against the plain reference in tests/support/ws_reference.c, on
 * random streams, some broken, cut at random.
 *
 * SONIC_TEST_SEED=n repeats one stream; SONIC_TEST_ROUNDS=n takes n of them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>

#include "support/ws_drive.h"
#include "support/ws_reference.h"
#include "support/ws_script.h"

/* What streams must have shown when all ROUNDS are done, or they are not worth
 * much. */
static const char *const shows[] = {
    "m1/0",       "m2/0",         "m1/4",     "F1/0",
    "f1/64",      "F8/",          "c9/0",     "F0/0",
    "EWS_RSV",    "EWS_OPCODE",   "EWS_MASK", "EWS_CONTROL",
    "EWS_LENGTH", "EWS_FRAGMENT", "EWS_UTF8", "EWS_TOOBIG",
};
enum { SHOWS = sizeof shows / sizeof *shows };
static unsigned shown[SHOWS];

enum { ROUNDS = 60000, STREAM_MAX = 400000, PAYLOAD_MAX = 70000 };

static uint64_t state; /* of the random numbers: splitmix64 */

static uint64_t
next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t
below(size_t n)
{
    return (size_t)(next() % n);
}

static bool
one_in(size_t n)
{
    return below(n) == 0;
}

static size_t
some_length(void)
{
    switch (below(12)) {
    case 0:
        return 0;
    case 1:
        return 120 + below(12);
    case 2:
        return below(1000);
    case 3:
        return one_in(20) ? 65530 + below(12) : below(300);
    default:
        return below(40);
    }
}

/* A character, mostly right. */
static size_t
put_character(uint8_t *p)
{
    uint32_t c;

    switch (below(6)) {
    case 0:
        c = 0x80 + (uint32_t)below(0x780);
        p[0] = (uint8_t)(0xc0 | c >> 6);
        p[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    case 1:
        c = one_in(50) ? 0xd7f0 + (uint32_t)below(0x20)
                       : 0x800 + (uint32_t)below(0xc000);
        p[0] = (uint8_t)(0xe0 | c >> 12);
        p[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        p[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    case 2:
        c = 0x10000 + (uint32_t)below(one_in(50) ? 0x100400 : 0x100000);
        p[0] = (uint8_t)(0xf0 | c >> 18);
        p[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        p[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        p[3] = (uint8_t)(0x80 | (c & 0x3f));
        return 4;
    default:
        p[0] = (uint8_t)(one_in(400) ? next() : ' ' + below(95));
        return 1;
    }
}

static size_t
fill_payload(uint8_t *p, size_t n, bool text)
{
    size_t at = 0;

    if (!text) {
        for (; at < n; at++)
            p[at] = (uint8_t)next();
        return n;
    }
    while (at + 4 <= n)
        at += put_character(p + at);
    while (at < n)
        p[at++] = one_in(30) ? 0xc3 : 'a';
    return n;
}

/* A stream as a peer would send it: fragments in order, control frames in
 * between.  Fragments are cut anywhere, in characters too. */
static size_t
make_stream(uint8_t *out, bool masked, bool rsv)
{
    static uint8_t payload[PAYLOAD_MAX];
    size_t frames = 1 + below(8), size = 0;
    bool open = false, text = false;

    while (frames-- > 0 && size < STREAM_MAX - PAYLOAD_MAX - 100) {
        uint32_t key = (uint32_t)next();
        uint8_t head = one_in(3) ? 0 : 0x80;
        size_t n;

        if (one_in(4)) {
            head = (uint8_t)(0x88 + below(3));
            n = fill_payload(payload, below(one_in(5) ? 126 : 12), one_in(2));
        } else {
            if (!open) {
                text = one_in(2);
                head |= text ? 1 : 2;
                if (rsv && one_in(3))
                    head |= 0x40;
            }
            open = !(head & 0x80);
            n = fill_payload(payload, some_length(), text);
        }
        size +=
            ws_script_frame(out + size, head, payload, n, masked ? &key : NULL);
    }
    return size;
}

/* Break it: rarely, a byte anywhere; a bit near the front; the end. */
static size_t
spoil(uint8_t *in, size_t n)
{
    if (n > 0 && one_in(6))
        in[below(n)] = (uint8_t)next();
    if (n > 2 && one_in(6))
        in[below(n < 30 ? n : 30)] ^= (uint8_t)(1u << below(8));
    if (n > 2 && one_in(40)) /* a length that its payload has to make up */
        in[1] = (uint8_t)((in[1] & 0x80) | (126 + below(2)));
    return one_in(4) ? below(n + 1) : n;
}

static int
by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return x < y ? -1 : x > y;
}

static size_t
make_cuts(size_t *cut, size_t n)
{
    size_t cuts = below(8);

    for (size_t i = 0; i < cuts; i++)
        cut[i] = one_in(2) ? below(n + 1) : below(n < 40 ? n + 1 : 40);
    qsort(cut, cuts, sizeof *cut, by_size);
    return cuts;
}

static void
one_stream(uint64_t seed)
{
    static const uint64_t limits[] = {0, 30, 125, 1000, 65536, UINT64_MAX};
    static uint8_t in[STREAM_MAX];
    struct sonic__ws_rules rules = {0};
    struct ws_log expected = {NULL, 0, 0};
    enum sonic__ws_delivery delivery;
    size_t n, cut[8], cuts, simds = 0;
    struct ws_drive d;

    state = seed;
    while (sonic__ws_simd_at(simds) != NULL)
        simds++;
    rules.simd = sonic__ws_simd_at(below(simds));
    rules.max_message = limits[2 + below(one_in(5) ? 3 : 4)];
    if (one_in(10))
        rules.max_message = limits[below(2)];
    rules.expect.mask = one_in(2) ? 0x80 : 0;
    rules.expect.rsv = one_in(2) ? 0x40 : 0;
    rules.utf8 = !one_in(4);
    delivery = (enum sonic__ws_delivery)below(3);
    n = make_stream(in, rules.expect.mask != 0, rules.expect.rsv != 0);
    n = spoil(in, n);
    cuts = make_cuts(cut, n);

    ws_reference(&rules, delivery, in, n, &expected);
    ws_drive_init(&d, &rules, delivery);
    d.pause = one_in(3);
    ck_assert_msg(ws_drive_pieces(&d, in, n, cut, cuts),
                  "SONIC_TEST_SEED=%llu: %s", (unsigned long long)seed,
                  ws_log_text(&d.log));
    ck_assert_msg(strcmp(ws_log_text(&d.log), ws_log_text(&expected)) == 0,
                  "SONIC_TEST_SEED=%llu, %s, delivery %d, expected:\n%sgot:\n"
                  "%s",
                  (unsigned long long)seed, rules.simd->name, (int)delivery,
                  ws_log_text(&expected), ws_log_text(&d.log));
    for (size_t i = 0; i < SHOWS; i++)
        shown[i] += strstr(ws_log_text(&expected), shows[i]) != NULL;
    ws_drive_free(&d);
    ws_log_free(&expected);
}

START_TEST(random_streams)
{
    const char *seed = getenv("SONIC_TEST_SEED");
    const char *rounds = getenv("SONIC_TEST_ROUNDS");
    unsigned long n = getenv("SONIC_TEST_SLOW") != NULL ? ROUNDS / 20 : ROUNDS;

    if (rounds != NULL)
        n = strtoul(rounds, NULL, 10);
    if (seed != NULL) {
        one_stream(strtoull(seed, NULL, 10));
        return;
    }
    for (unsigned long i = 0; i < n; i++)
        one_stream(i);
    for (size_t i = 0; n >= ROUNDS && i < SHOWS; i++)
        ck_assert_msg(shown[i] >= 20, "%s was shown %u times", shows[i],
                      shown[i]);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("ws_random");
    TCase *t = tcase_create("against the reference");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, random_streams);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
